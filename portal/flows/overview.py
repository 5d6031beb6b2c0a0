"""What a customer's dashboard says of each connection, in words."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from zoneinfo import ZoneInfo

from django.db.models import Case, Exists, OuterRef, When

import utilities
from espi import usage
from espi.models import Authorization, Document, FetchJob, Subscription, UsagePoint, UsageSummary
from portal.flows import circuits
from portal.models import Circuit, User

Status = Authorization.Status
State = FetchJob.State

SERVICE_NAMES = {0: "Electricity", 1: "Gas", 2: "Water"}


@dataclass(frozen=True)
class Meter:
    """A usage point on the dashboard; the days are the meter's local ones."""

    usage_point: UsagePoint
    name: str
    first_day: date | None
    last_day: date | None
    has_bills: bool = False


@dataclass(frozen=True)
class Card:
    """One connection or one collection of uploaded files. `tone` is ok, wait, bad or empty."""

    subscription: Subscription
    name: str
    state: str
    tone: str
    detail: str
    authorization: Authorization | None = None
    meters: list[Meter] = field(default_factory=list)
    action: str = ""
    can_delete: bool = False

    @property
    def connected_on(self) -> date | None:
        """The day of the meter's clock on which the customer connected."""
        zone = ZoneInfo(self.subscription.time_zone)
        return self.authorization.created_at.astimezone(zone).date() if self.authorization else None


ENDED: dict[str, tuple[str, str, str]] = {
    Status.NEEDS_RECONNECT: ("Action needed", "bad", "connect"),
    Status.REVOKED: ("Stopped at the utility", "", "connect"),
    Status.WITHDRAWN: ("Stopped by you", "", "connect"),
    Status.EXPIRED: ("Expired", "wait", "connect"),
}


def cards(user: User) -> list[Card]:
    """One card per subscription of this customer, newest first; a handful of queries however many there are."""
    subscriptions = list(Subscription.objects.filter(retail_customer=user).order_by("-created_at"))
    meters = meters_of(subscriptions)
    with_documents = set(Document.objects.filter(subscription__in=subscriptions).values_list("subscription", flat=True))
    found = standing(subscriptions, meters).values()
    return [replace(card, can_delete=_can_delete(card, with_documents)) for card in found]


def standing(subscriptions: Iterable[Subscription], meters: Mapping[int, list[Meter]]) -> dict[int, Card]:
    """How each stands, by its primary key and in the same order; `meters` are those of each. Two queries."""
    kept = list(subscriptions)
    newest = _newest_authorizations(kept)
    jobs = _jobs(newest.values())
    return {each.pk: _card(each, newest.get(each.pk), jobs, meters[each.pk]) for each in kept}


def _can_delete(card: Card, with_documents: set[int]) -> bool:
    """Whether there is something that no live authorization goes on filling."""
    is_filled = card.authorization is not None and card.authorization.status in Authorization.LIVE
    return not is_filled and bool(card.meters or card.subscription.pk in with_documents)


def _newest_authorizations(subscriptions: Iterable[Subscription]) -> dict[int, Authorization]:
    rows = (
        Authorization.objects.filter(subscription__in=list(subscriptions))
        .exclude(status__in=[Status.PARKED, Status.SUPERSEDED])
        .select_related("application_information__circuit")
        # A live one says more than a newer one that ended: it still collects.
        .order_by(Case(When(status__in=Authorization.LIVE, then=1), default=0), "created_at")
    )
    return {row.subscription_id: row for row in rows if row.subscription_id}


def _jobs(authorizations: Iterable[Authorization]) -> dict[int, list[FetchJob]]:
    """Jobs that bring data and say something today; what is asked of the permission itself is not the customer's to watch.

    Of jobs for one address only the newest counts: a failure that was made good later is history.
    """
    columns = ("id", "authorization_id", "kind", "url", "state", "reason")
    rows = FetchJob.objects.filter(authorization__in=list(authorizations)).exclude(kind__in=_WITHOUT_DATA)
    newest = rows.order_by("authorization", "url", "-id").distinct("authorization", "url").only(*columns)
    jobs: dict[int, list[FetchJob]] = defaultdict(list)
    for job in newest:
        jobs[job.authorization_id or 0].append(job)
    return jobs


def meters_of(subscriptions: Iterable[Subscription]) -> dict[int, list[Meter]]:
    """The meters of each subscription, by its primary key; several of one kind are numbered."""
    points = list(
        UsagePoint.objects.filter(subscription__in=list(subscriptions))
        .annotate(has_bills=Exists(UsageSummary.objects.filter(usage_point=OuterRef("pk"))))
        .order_by("service_kind", "resource_id")
    )
    days = usage.days_held(points)
    found: dict[int, list[Meter]] = defaultdict(list)
    for point in points:
        name = SERVICE_NAMES.get(point.service_kind if point.service_kind is not None else -1, "Energy")
        first_day, last_day = days.get(point.pk, (None, None))
        found[point.subscription_id].append(Meter(point, name, first_day, last_day, point.has_bills))
    return defaultdict(list, {pk: _numbered(meters) for pk, meters in found.items()})


def _numbered(meters: list[Meter]) -> list[Meter]:
    many = Counter(meter.name for meter in meters)
    so_far: Counter[str] = Counter()
    numbered = []
    for meter in meters:
        so_far[meter.name] += 1
        is_alone = many[meter.name] == 1
        numbered.append(meter if is_alone else replace(meter, name=f"{meter.name}, meter {so_far[meter.name]}"))
    return numbered


def name_of(subscription: Subscription) -> str:
    """What the customer knows it by."""
    return utilities.get(subscription.utility).long_name if subscription.utility else subscription.name or "My files"


def _card(
    subscription: Subscription,
    authorization: Authorization | None,
    jobs: dict[int, list[FetchJob]],
    meters: list[Meter],
) -> Card:
    name = name_of(subscription)
    if authorization is None:
        detail = "From files you uploaded." if meters else "No readings yet."
        return Card(subscription, name, "Your own files", "", detail, None, meters)
    if authorization.status in ENDED:
        state, tone, action = ENDED[Status(authorization.status)]
        return Card(subscription, name, state, tone, authorization.status_reason, authorization, meters, action)
    state, tone, detail = _live(
        jobs.get(authorization.pk, []), meters, circuits.of(authorization.application_information)
    )
    detail = _sentences([detail, authorization.status_reason])
    if not (authorization.data_granted or jobs.get(authorization.pk) or meters):
        detail = _NOTHING_ALLOWED
    return Card(subscription, name, state, tone, detail, authorization, meters, "stop")


def _live(jobs: list[FetchJob], meters: list[Meter], circuit: Circuit) -> tuple[str, str, str]:
    """State, tone and detail of a connection that is alive. What failed is always said, also beside data."""
    waiting = [job for job in jobs if job.state in (State.DUE, State.RUNNING, State.AWAITING_NOTIFICATION)]
    failed = [job for job in jobs if job.state == State.FAILED]
    if waiting and circuit.opened_at:
        return "Paused: we keep trying", "wait", _PAUSED[circuit.cause]
    if any(meter.last_day or meter.has_bills for meter in meters):
        more = f"More is on its way. {waiting[0].reason}" if waiting else ""
        if failed:
            return "Receiving data, but not all of it", "wait", _sentences([_what_failed(failed), more])
        return "Receiving data", "ok", more.strip()
    if waiting:
        return "Waiting for first data", "wait", _sentences([waiting[0].reason or _FIRST_WAIT, _what_failed(failed)])
    if failed:
        return "We could not fetch your data", "bad", _what_failed(failed)
    return "Connected", "ok", "Your utility has no readings for this account yet." if jobs else _FIRST_WAIT


def _what_failed(failed: list[FetchJob]) -> str:
    """One sentence for each kind of thing that did not arrive, with the reason of the newest; "" for none."""
    said = {job.kind: job.reason for job in sorted(failed, key=lambda job: job.pk)}
    return _sentences(f"{_MISSING.get(kind, _SOMETHING)} did not arrive. {reason}" for kind, reason in said.items())


def _sentences(parts: Iterable[str]) -> str:
    return " ".join(part.strip() for part in parts if part.strip())


_PAUSED: dict[str, str] = {
    Circuit.Cause.SERVICE: "Your utility's service does not answer at the moment. Your data will follow.",
    Circuit.Cause.CREDENTIALS: "Something between your utility and us needs our staff. Your data will follow.",
    Circuit.Cause.UNPROVEN: "Something between your utility and us needs our staff. Your data will follow.",
}
_WITHOUT_DATA = (FetchJob.Kind.AUTHORIZATION, FetchJob.Kind.REVOCATION)
_NOTHING_ALLOWED = "Your utility allows none of the data you chose, so we have asked for nothing."
_SOMETHING = "Some of your readings or bills"
_MISSING: dict[str, str] = {FetchJob.Kind.CUSTOMER: "Your account details"}
_FIRST_WAIT = "We have asked your utility. An hour is usual, a day is possible."
