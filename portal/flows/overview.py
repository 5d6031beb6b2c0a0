"""What a customer's dashboard says of each connection, in words."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Case, DateTimeField, Exists, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce, NullIf
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

import utilities
from espi import usage
from espi.models import (
    Authorization,
    Document,
    FetchJob,
    IntervalBlock,
    IntervalReading,
    Subscription,
    UsagePoint,
    UsageSummary,
)
from portal import writing
from portal.flows import circuits, holding
from portal.models import Circuit, FetchPlan, User
from portal.words import retold
from utilities.base import BULK, BULK_CUSTOMERS

Status = Authorization.Status
State = FetchJob.State

SERVICE_NAMES = {0: gettext_noop("Electricity"), 1: gettext_noop("Gas"), 2: gettext_noop("Water")}
LATE_AFTER, LATE_AFTER_BY_THE_MONTH = timedelta(days=5), timedelta(days=45)  # without a newer reading
ENDS_SOON = timedelta(days=14)
GAPS_ARE_TOLD_FOR = timedelta(days=31)  # by then they were asked for again, or are no gaps any more
NAMELESS = gettext_noop("My files")


@dataclass(frozen=True)
class Meter:
    """A usage point on the dashboard; the days are the meter's local ones. `has_days`: not read by the month only."""

    usage_point: UsagePoint
    name: str
    first_day: date | None
    last_day: date | None
    has_bills: bool = False
    has_days: bool = True


@dataclass(frozen=True)
class Card:
    """One connection or one collection of uploaded files. `tone` is ok, wait, bad or empty.

    `action` is the one thing that helps: "connect", "renew" or "" for nothing. `next_update` is an instant.
    """

    subscription: Subscription
    name: str
    state: str
    tone: str
    detail: str
    authorization: Authorization | None = None
    meters: list[Meter] = field(default_factory=list)
    action: str = ""
    can_delete: bool = False
    next_update: datetime | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The clock by which its days are told."""
        return ZoneInfo(self.subscription.time_zone)

    @property
    def zone_name(self) -> str:
        """The same for people: "Eastern Time"."""
        return writing.zone(self.subscription.time_zone)

    @property
    def connected_on(self) -> date | None:
        """The day of the meter's clock on which the customer connected."""
        return self.authorization.created_at.astimezone(self.zone).date() if self.authorization else None

    @property
    def complete_to(self) -> date | None:
        """The last local day of which everything is here."""
        reached = self.subscription.complete_to
        return (reached.astimezone(self.zone) - timedelta(seconds=1)).date() if reached else None

    @property
    def can_stop(self) -> bool:
        """Whether there is a permission that the customer can take back."""
        return self.authorization is not None and self.authorization.status in Authorization.LIVE


ENDED: dict[str, tuple[str, str, str]] = {
    Status.NEEDS_RECONNECT: (gettext_noop("Action needed"), "bad", "connect"),
    Status.REVOKED: (gettext_noop("Stopped at the utility"), "", "connect"),
    Status.WITHDRAWN: (gettext_noop("Stopped by you"), "", "connect"),
    Status.EXPIRED: (gettext_noop("Expired"), "wait", "connect"),
}


def cards(user: User) -> list[Card]:
    """One card per subscription of this customer, newest first; a handful of queries however many there are."""
    subscriptions = list(Subscription.objects.filter(retail_customer=user).order_by("-created_at"))
    meters = meters_of(subscriptions)
    with_documents = set(Document.objects.filter(subscription__in=subscriptions).values_list("subscription", flat=True))
    found = list(standing(subscriptions, meters).values())
    updates = _next_updates([card.authorization for card in found if card.authorization])
    return [
        replace(
            card,
            can_delete=_can_delete(card, with_documents),
            next_update=updates.get(card.authorization.pk) if card.authorization and card.can_stop else None,
        )
        for card in found
    ]


def standing(subscriptions: Iterable[Subscription], meters: Mapping[int, list[Meter]]) -> dict[int, Card]:
    """How each stands, by its primary key and in the same order; `meters` are those of each. Two queries."""
    kept = list(subscriptions)
    newest = _newest_authorizations(kept)
    jobs = _jobs(newest.values())
    return {each.pk: _card(each, newest.get(each.pk), jobs, meters[each.pk]) for each in kept}


def _next_updates(authorizations: list[Authorization]) -> dict[int, datetime]:
    """When each is asked for news next: by itself, or with all others of its registration who share the same."""
    apps = {each.application_information_id for each in authorizations}
    together = Q(authorization=None, application_information__in=apps, part__in=[BULK, BULK_CUSTOMERS])
    plans = FetchPlan.objects.filter(Q(authorization__in=authorizations) | together, next_at__isnull=False)
    own: dict[int, list[datetime]] = defaultdict(list)
    of_all: dict[tuple[int, str], list[datetime]] = defaultdict(list)
    for plan in plans.only("authorization_id", "application_information_id", "part", "next_at"):
        if plan.next_at and plan.authorization_id:
            own[plan.authorization_id].append(plan.next_at)
        elif plan.next_at:
            of_all[plan.application_information_id, plan.part].append(plan.next_at)
    for each in authorizations:
        for part in _shared_parts(each):
            own[each.pk] += of_all[each.application_information_id, part]
    return {pk: min(times) for pk, times in own.items() if times}


def _shared_parts(authorization: Authorization) -> list[str]:
    """What is asked for of all who share the same: readings and bills, and apart from them account details."""
    granted = set(authorization.data_granted)
    return [BULK] * bool(granted & {"usage", "billing"}) + [BULK_CUSTOMERS] * ("customer" in granted)


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

    A failure that was made good later is history: of jobs for one address only the newest counts, and what its part's plan
    has asked for since, under other days, has taken its place.
    """
    columns = (
        "id",
        "authorization_id",
        "kind",
        "data",
        "url",
        "state",
        "reason",
        "priority",
        "created_at",
        "window_end",
    )
    rows = FetchJob.objects.filter(authorization__in=list(authorizations)).exclude(kind__in=_WITHOUT_DATA)
    newest = rows.order_by("authorization", "url", "-id").distinct("authorization", "url").only(*columns)
    jobs: dict[int, list[FetchJob]] = defaultdict(list)
    for job in newest.annotate(plan_asked_at=_of_plan("asked_at"), plan_complete_to=_of_plan("complete_to")):
        jobs[job.authorization_id or 0].append(job)
    return {pk: [job for job in its if not _is_made_good(job, its)] for pk, its in jobs.items()}


def _of_plan(name: str) -> Case:
    """What the plan of a failed job's part says; of other jobs nothing is looked up."""
    part = Coalesce(NullIf(OuterRef("data"), Value("")), Value("usage"))
    plan = FetchPlan.objects.filter(authorization=OuterRef("authorization"), part=part)
    return Case(When(state=State.FAILED, then=Subquery(plan.values(name)[:1])), output_field=DateTimeField())


def _is_made_good(job: FetchJob, beside: Iterable[FetchJob]) -> bool:
    """Whether a failure says nothing any more.

    A later round of its part has asked for the same days again, and nothing of that is on its way: if it failed, it tells
    so itself. Or what failed were news, and a file for everybody has brought all there was up to their end.
    """
    asked_at, complete_to = job.plan_asked_at, job.plan_complete_to  # type: ignore[attr-defined]
    if job.state != State.FAILED or asked_at is None:
        return False
    if job.created_at >= asked_at:
        is_news = job.priority == FetchJob.Priority.DAILY
        return bool(is_news and job.window_end and complete_to and job.window_end <= complete_to)
    if job.priority == FetchJob.Priority.HISTORY:  # of a gap: later rounds do not reach it, but its own do
        return timezone.now() - job.created_at > GAPS_ARE_TOLD_FOR
    part = job.data or "usage"
    return not any(other.state in FetchJob.OPEN and (other.data or "usage") == part for other in beside)


def meters_of(subscriptions: Iterable[Subscription]) -> dict[int, list[Meter]]:
    """The meters of each subscription, by its primary key; several of one kind are numbered."""
    of_point = {"meter_reading__usage_point": OuterRef("pk")}
    singles = IntervalReading.objects.filter(duration__lte=usage.LONGEST_DAY, **of_point)
    points = list(
        UsagePoint.objects.filter(subscription__in=list(subscriptions))
        .annotate(
            has_bills=Exists(UsageSummary.objects.filter(usage_point=OuterRef("pk"))),
            has_days=Exists(IntervalBlock.objects.filter(**of_point)) | Exists(singles),
        )
        .order_by("service_kind", "resource_id")
    )
    days = usage.days_held(points)
    found: dict[int, list[Meter]] = defaultdict(list)
    for point in points:
        name = service_name(point)
        first_day, last_day = days.get(point.pk, (None, None))
        found[point.subscription_id].append(Meter(point, name, first_day, last_day, point.has_bills, point.has_days))
    return defaultdict(list, {pk: _numbered(meters) for pk, meters in found.items()})


def service_name(point: UsagePoint) -> str:
    """What flows through it, in the reader's language."""
    return service_word(point.service_kind)


def service_word(kind: int | None) -> str:
    """A ServiceKind in the reader's language."""
    known = SERVICE_NAMES.get(kind if kind is not None else -1)
    return _(known) if known else _("Energy")


def _numbered(meters: list[Meter]) -> list[Meter]:
    many = Counter(meter.name for meter in meters)
    so_far: Counter[str] = Counter()
    numbered = []
    for meter in meters:
        so_far[meter.name] += 1
        is_alone = many[meter.name] == 1
        name = _("{service}, meter {number}").format(service=meter.name, number=so_far[meter.name])
        numbered.append(meter if is_alone else replace(meter, name=name))
    return numbered


def name_of(subscription: Subscription) -> str:
    """What the customer knows it by."""
    return utilities.get(subscription.utility).long_name if subscription.utility else _(subscription.name or NAMELESS)


def _card(
    subscription: Subscription,
    authorization: Authorization | None,
    jobs: dict[int, list[FetchJob]],
    meters: list[Meter],
) -> Card:
    name = name_of(subscription)
    if authorization is None:
        detail = _("From files you uploaded.") if meters else _("No readings yet.")
        return Card(subscription, name, _("Your own files"), "", detail, None, meters)
    reason = retold(authorization.status_reason)
    if authorization.status in ENDED:
        state, tone, action = ENDED[Status(authorization.status)]
        return Card(subscription, name, _(state), tone, reason, authorization, meters, action)
    its_jobs = jobs.get(authorization.pk, [])
    state, tone, detail, action = _live(authorization, its_jobs, meters, subscription)
    detail = _sentences([detail, reason])
    if not (authorization.data_granted or its_jobs or meters):
        detail = _("Your utility allows none of the data you chose, so we have asked for nothing.")
    return Card(subscription, name, state, tone, detail, authorization, meters, action)


def _live(
    authorization: Authorization, jobs: list[FetchJob], meters: list[Meter], subscription: Subscription
) -> tuple[str, str, str, str]:
    """State, tone, detail and action of a connection that is alive. What failed is always said, also beside data."""
    waiting = [job for job in jobs if job.state in (State.DUE, State.RUNNING, State.AWAITING_NOTIFICATION)]
    failed = [job for job in jobs if job.state == State.FAILED]
    circuit = circuits.of(authorization.application_information)
    if waiting and circuit.opened_at:
        return _("Paused: we keep trying"), "wait", _paused(circuit), ""
    if any(meter.last_day or meter.has_bills for meter in meters):
        return _with_data(authorization, waiting, failed, meters, subscription)
    if waiting:
        why = _why_it_waits(waiting[0], authorization)
        return _("Waiting for first data"), "wait", _sentences([why, _what_failed(failed), _first_wait()]), ""
    if failed:
        return _("We could not fetch your data"), "bad", _what_failed(failed), "connect"
    none_yet = _("Your utility has no readings for this account yet.")
    return _("Connected"), "ok", none_yet if jobs else _first_wait(), ""


def _with_data(
    authorization: Authorization,
    waiting: list[FetchJob],
    failed: list[FetchJob],
    meters: list[Meter],
    subscription: Subscription,
) -> tuple[str, str, str, str]:
    more = _sentences([_("More is on its way."), _why_it_waits(waiting[0], authorization)]) if waiting else ""
    today = timezone.now().astimezone(ZoneInfo(subscription.time_zone)).date()
    if failed:
        return _("Receiving data, but not all of it"), "wait", _sentences([_what_failed(failed), more]), ""
    if authorization.end_date and authorization.end_date - today <= ENDS_SOON:
        return _("Ends soon"), "wait", _sentences([_ends(authorization.end_date, today), more]), "renew"
    if waiting or subscription.complete_to is None:
        return _("Receiving data"), "ok", more, ""
    if days := _late(meters, today):
        words = _("Your utility has sent nothing newer for %(days)s days. We keep asking.") % {"days": days}
        return _("Late"), "wait", words, ""
    return _("Up to date"), "ok", "", ""


def _why_it_waits(job: FetchJob, authorization: Authorization) -> str:
    now = timezone.now()
    return retold(holding.why(job, authorization.application_information, now=now, has_room=holding.rooms(now)))


def _late(meters: list[Meter], today: date) -> int:
    """For how many days nothing newer has come; 0 where that is no longer than usual."""
    last = max((meter.last_day for meter in meters if meter.last_day), default=today)
    patience = LATE_AFTER if any(meter.has_days for meter in meters) else LATE_AFTER_BY_THE_MONTH
    return (today - last).days if today - last > patience else 0


def _ends(end: date, today: date) -> str:
    days = (end - today).days
    if days <= 0:
        return _("Your permission ends today.")
    return ngettext("Your permission ends tomorrow.", "Your permission ends in %(days)s days.", days) % {"days": days}


def _what_failed(failed: list[FetchJob]) -> str:
    """One sentence for each kind of thing that did not arrive, with the reason of the newest; "" for none."""
    said = {job.kind: retold(job.reason) for job in sorted(failed, key=lambda job: job.pk)}
    return _sentences(part for kind, reason in said.items() for part in (_missing(kind), reason))


def _missing(kind: str) -> str:
    if kind == FetchJob.Kind.CUSTOMER:
        return _("Your account details did not arrive.")
    return _("Some of your readings or bills did not arrive.")


def _sentences(parts: Iterable[str]) -> str:
    return " ".join(part.strip() for part in parts if part.strip())


def _paused(circuit: Circuit) -> str:
    if circuit.cause == Circuit.Cause.SERVICE:
        return _("Your utility's service does not answer at the moment. Your data will follow.")
    return _("Something between your utility and us needs our staff. Your data will follow.")


def _first_wait() -> str:
    return _("We have asked your utility. An hour is usual, a day is possible.")


_WITHOUT_DATA = (FetchJob.Kind.AUTHORIZATION, FetchJob.Kind.REVOCATION)
