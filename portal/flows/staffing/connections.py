"""One customer's connection as support sees it: found by reference or masked account, and told in words, oldest first."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from espi.models import Authorization, AuthorizationRequest, Document, FetchJob, UsagePoint
from portal.flows import holding, looking, overview
from portal.flows.staffing.masking import masked
from portal.models import Consent, ConsentEvent, Letter, User

MOST_FOUND = 50
MOST_TOLD = 100  # of each kind of event, the newest


@dataclass(frozen=True)
class Event:
    """Something that happened to a connection. `kind`: consent, journey, token, fetch, data or letter.

    `row`: (label of the model, number) of what the words are about, for a link.
    """

    at: datetime
    kind: str
    words: str
    row: tuple[str, int] | None = None


def find(asked: str) -> QuerySet[Authorization]:
    """Connections with this reference, with this id of ours, or whose masked account ends in these digits; newest first.

    At most MOST_FOUND; none for what is none of these.
    """
    words = asked.strip()
    found = Authorization.objects.select_related("application_information__circuit").order_by("-pk")
    if consent := Consent.objects.filter(reference=words.upper()).exclude(authorization=None).first():
        return found.filter(consent=consent)
    try:
        return found.filter(public_id=UUID(words))
    except ValueError:
        digits = re.sub(r"\D", "", words)
    if not 3 <= len(digits) <= 20:
        return found.none()
    return found.filter(account_hint__endswith=digits[-4:] if len(digits) > 4 else digits)[:MOST_FOUND]


def look(public_id: UUID, *, staff: User, now: datetime) -> Authorization:
    """The connection, once the look is written down. Raises NoReason, Authorization.DoesNotExist."""
    found = Authorization.objects.select_related("application_information__circuit", "subscription", "retail_customer")
    authorization = found.get(public_id=public_id)
    what = f"espi.authorization {authorization.pk}"
    looking.look(staff=staff, customer=authorization.retail_customer, what=what, now=now)
    return authorization


def seen_by_customer(authorization: Authorization) -> overview.Card | None:
    """The card on the customer's own dashboard that tells of this connection; None: he sees none."""
    held = authorization.subscription
    if held is None:
        return None
    return overview.standing([held], overview.meters_of([held])).get(held.pk)


def meters(authorization: Authorization) -> QuerySet[UsagePoint]:
    """The meters whose data this connection fills."""
    return UsagePoint.objects.filter(subscription=authorization.subscription).order_by("pk")[:MOST_FOUND]


def why_seen(authorization: Authorization, card: overview.Card | None) -> str:
    """Why the customer sees what he sees, in one or two sentences."""
    if card is None:
        return f"Nothing of it is on the dashboard: {authorization.get_status_display()}. {authorization.status_reason}"
    if card.authorization is None or card.authorization.pk != authorization.pk:
        return "The dashboard tells of a newer connection for the same data; this one is history."
    failed = authorization.fetch_jobs.filter(state=FetchJob.State.FAILED).order_by("-pk").first()
    parts = [f"The connection is: {authorization.get_status_display()}.", authorization.status_reason]
    if failed:
        parts.append(f"Job {failed.pk} failed last: {masked(failed.reason)}")
    return " ".join(part for part in parts if part)


def timeline(authorization: Authorization) -> list[Event]:
    """All that happened, oldest first; of fetches, data and letters the newest MOST_TOLD of each."""
    told: list[Iterable[Event]] = [
        journeys(authorization),
        consents(authorization),
        dates(authorization),
        fetches(authorization),
        data(authorization),
        letters(authorization),
    ]
    return sorted((event for some in told for event in some), key=lambda event: event.at)


def journeys(authorization: Authorization) -> Iterator[Event]:
    """The way to the utility and back."""
    for each in AuthorizationRequest.objects.filter(authorization=authorization).order_by("pk")[:MOST_TOLD]:
        steps = (
            (each.created_at, "The customer began to choose data."),
            (each.agreed_at, "The customer agreed here."),
            (each.departed_at, "The customer left for the utility."),
            (each.returned_at, f"The customer came back: {each.get_status_display()}. {masked(each.reason)}".strip()),
        )
        yield from (Event(at, "journey", words) for at, words in steps if at)


def consents(authorization: Authorization) -> Iterator[Event]:
    """What happened to what was agreed."""
    found = ConsentEvent.objects.filter(consent__authorization=authorization).select_related("consent")
    for each in found.order_by("-pk")[:MOST_TOLD]:
        words = f"Consent {each.consent.reference}: {each.get_kind_display()}. {masked(each.words)}".strip()
        yield Event(each.at, "consent", words, ("portal.consent", each.consent_id))


def dates(authorization: Authorization) -> Iterator[Event]:
    """The connection's own dates; of tokens nothing but theirs."""
    yield Event(authorization.created_at, "token", "The utility gave the first tokens.")
    if authorization.access_token_expires_at and authorization.access_token:
        words = "The access token holds until then; it is renewed before."
        yield Event(authorization.access_token_expires_at, "token", words)
    if authorization.ended_at:
        words = f"Ended: {authorization.get_status_display()}. {masked(authorization.status_reason)}".strip()
        yield Event(authorization.ended_at, "consent", words)


def fetches(authorization: Authorization) -> Iterator[Event]:
    """What was asked for, and how that ended."""
    now = timezone.now()
    app, has_room = authorization.application_information, holding.rooms(now)
    for job in authorization.fetch_jobs.order_by("-pk")[:MOST_TOLD]:
        name, row = job.get_kind_display(), ("espi.fetchjob", job.pk)
        why = holding.why(job, app, now=now, has_room=has_room)
        waits = f" {job.get_state_display()}: {masked(why)}" if why and job.state in FetchJob.OPEN else ""
        yield Event(job.created_at, "fetch", f"Asked for: {name}{_window(job)}.{waits}", row)
        if job.finished_at:
            why = f" {masked(job.reason)}" if job.reason else ""
            yield Event(job.finished_at, "fetch", f"{name}: {job.get_state_display()}.{why}", row)


def _window(job: FetchJob) -> str:
    if job.window_start is None or job.window_end is None:
        return ""
    return f", {job.window_start:%Y-%m-%d} to {job.window_end:%Y-%m-%d}"


def data(authorization: Authorization) -> Iterator[Event]:
    """What arrived."""
    found = Document.objects.filter(fetch_job__authorization=authorization).defer("url").order_by("-pk")[:MOST_TOLD]
    for each in found:
        refused = sum(part["count"] for part in each.summary.get("refused", ()))
        words = f"{each.size:,} bytes arrived"
        if each.refusal:
            words += f" and were refused: {masked(each.refusal)}"
        elif refused:
            words += f"; {refused:,} readings or other things of them were refused"
        yield Event(each.received_at, "data", words.rstrip(".") + ".", ("espi.document", each.pk))


def letters(authorization: Authorization) -> Iterator[Event]:
    """What the customer was told by e-mail; never the text."""
    for each in Letter.objects.filter(authorization=authorization).order_by("-pk")[:MOST_TOLD]:
        words = f"E-mail “{each.kind}”: {each.get_state_display()}."
        yield Event(each.sent_at or each.created_at, "letter", words, ("portal.letter", each.pk))
