"""Reconciling: the utility's own list of authorizations against our rows, once a day.

The list is taken as a hint: what it says of an end is confirmed by asking for that one authorization, and only that ends
it (flows.standing). What it lacks, or has besides, is looked into.
"""

import itertools
import logging
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q

from espi.authorizations import AuthorizationStatus
from espi.models import ApplicationInformation, Authorization, FetchJob
from portal.flows import alerts, standing
from portal.flows.fetch.asking import enqueue_revocation, enqueue_status
from portal.flows.fetch.planning import fetch_what_was_added

log = logging.getLogger(__name__)

Status, LIVE = Authorization.Status, Authorization.LIVE
AT_ONCE = 500  # entries that are looked up together
MOST_CHECKS = 1000  # in one run: tomorrow's goes on
NAMED = 20  # unknown ids that staff are shown
OF_A_CUSTOMER = "Subscription/"  # in `resourceURI`; PG&E also lists administrative entries (contract §8.4)
UPKEEP = FetchJob.Priority.UPKEEP


@dataclass
class Findings:
    """What a run found. `seen`: rows the list names. `unknown`: ids of active entries that we hold no row for."""

    seen: set[int] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)
    checks: int = 0

    def in_words(self) -> str:
        """For staff, on the job."""
        return f"{len(self.seen)} known, {len(self.unknown)} unknown, {self.checks} looked into."


def reconcile(app: ApplicationInformation, listed: Iterable[AuthorizationStatus], *, now: datetime) -> Findings:
    """Compare the utility's list with our rows, and look into every difference."""
    findings = Findings()
    for some in batches(listed):
        rows = held(app, some)
        for said in some:
            compare(app, rows.get(said.id), said, findings, now)
    for row in unlisted(app, findings.seen, now):
        look_into(row, findings, now)
    tell_of_unknown(app, findings.unknown, now)
    return findings


def batches(listed: Iterable[AuthorizationStatus]) -> Iterator[list[AuthorizationStatus]]:
    """The same, a few hundred at a time."""
    rest = iter(listed)
    while some := list(itertools.islice(rest, AT_ONCE)):
        yield some


def held(app: ApplicationInformation, some: Iterable[AuthorizationStatus]) -> dict[str, Authorization]:
    """Our rows by the ids of their authorizations; of several, the one that lives, else the newest.

    Numbers of subscriptions are others (Con Edison contract §3.1: subscription 976, authorization 1482): by these only
    rows are found of which the utility told no other.
    """
    ids = [said.id for said in some if said.id]
    named = Q(utility_authorization_id__in=ids) | Q(utility_authorization_id="", utility_subscription_id__in=ids)
    rows = Authorization.objects.filter(named, application_information=app).exclude(
        status__in=[Status.PARKED, Status.SUPERSEDED]
    )
    found: dict[str, Authorization] = {}
    for row in sorted(rows, key=lambda row: (bool(row.utility_authorization_id), row.status in LIVE, row.pk)):
        row.application_information = app
        found[row.utility_authorization_id or row.utility_subscription_id] = row
    return found


def compare(
    app: ApplicationInformation, row: Authorization | None, said: AuthorizationStatus, findings: Findings, now: datetime
) -> None:
    """One entry of the list."""
    if row is None:
        if said.status == "active" and OF_A_CUSTOMER in said.resource_uri:
            findings.unknown.append(said.id)
        return
    findings.seen.add(row.pk)
    if row.status == Status.ACTIVE and said.status == "active":
        if standing.note(row, said, now=now) != standing.ACTIVE:
            fetch_what_was_added(row, now=now)
    elif row.status in LIVE and said.status in ("revoked", "denied"):
        look_into(row, findings, now)
    elif row.status == Status.WITHDRAWN and said.status == "active":
        findings.checks += bool(enqueue_revocation(row, now=now))  # the customer stopped; the utility does not know


def unlisted(app: ApplicationInformation, seen: set[int], now: datetime) -> Iterator[Authorization]:
    """Our live rows that the list does not name; a brand-new one may not be listed yet."""
    settled = now - standing.SETTLING
    live = Authorization.objects.filter(application_information=app, status=Status.ACTIVE, created_at__lt=settled)
    missing = [pk for pk in live.values_list("pk", flat=True).iterator() if pk not in seen]
    # Where a list lacks more than are looked into in one run, each has its day.
    some = random.sample(missing, min(len(missing), MOST_CHECKS))
    for row in Authorization.objects.filter(pk__in=some).order_by("pk"):
        row.application_information = app
        yield row


def look_into(row: Authorization, findings: Findings, now: datetime) -> None:
    """Ask the utility how this one stands; its answer ends it, or not."""
    if findings.checks < MOST_CHECKS:
        findings.checks += bool(enqueue_status(row, now=now, priority=UPKEEP))


def tell_of_unknown(app: ApplicationInformation, unknown: list[str], now: datetime) -> None:
    """Authorizations made on paper, or whose customer never came back to us: there is no token for them."""
    key = f"unknown authorizations {app.pk}"
    if not unknown:
        alerts.end(key, now=now)
        return
    log.warning("authorizations unknown to us: registration=%s count=%s", app, len(unknown))
    words = (
        f"{app} lists authorizations that we hold no connection for: made on paper, or the customer closed the page "
        f"before he came back. Number: {len(unknown)}. Their ids: {', '.join(unknown[:NAMED])}."
    )
    alerts.begin(key, f"{app}: authorizations that we do not know", words, now=now, app=app)
