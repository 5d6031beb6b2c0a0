"""Acceptance tests: begun, carried out part by part by workers, and finished with a report that stands.

The row of a part is the work. A turn is short: it takes the part for a minute, does some of it, and says when the next
turn is due. A lost wake-up costs a sweep, a repeated one finds nothing to take.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from celery import shared_task
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

import utilities
from espi.models import ApplicationInformation
from portal.acceptance import checklist, connectivity, platforms, scenarios, tracing
from portal.acceptance.customers import TESTED
from portal.acceptance.turns import Turn
from portal.flows.fetch import outbox, publish
from portal.flows.fetch.waking import DOWNLOADS
from portal.models import AcceptancePart, AcceptanceStep, AcceptanceTest, Outcome, User

log = logging.getLogger(__name__)

RUN = "portal.run_acceptance_parts"
LEASE = timedelta(seconds=90)
MOST_ATTEMPTS = 3
SWEPT_AT_ONCE = 50
Kind, State = AcceptancePart.Kind, AcceptancePart.State
TURNS: dict[str, Callable[[AcceptancePart, datetime], Turn]] = {
    Kind.CONNECTIVITY: connectivity.turn,
    Kind.CHECKLIST: checklist.turn,
    Kind.SCENARIO: scenarios.turn,
}


class TestRefused(Exception):
    """It cannot be done, and nothing was changed; the message says why and what helps."""


def registrations() -> list[ApplicationInformation]:
    """Those that can be tested: of known utilities, in the sandbox or in a utility's test environment."""
    known = [utility.slug for utility in utilities.all()]
    found = ApplicationInformation.objects.filter(utility__in=known, environment__in=TESTED).order_by("environment")
    return sorted(found, key=lambda app: (known.index(app.utility), app.edition, app.environment))


def begin(app: ApplicationInformation, tester: User, *, now: datetime) -> AcceptanceTest:
    """The tester's open test of this registration, or a new one. Raises TestRefused for production or an incomplete one."""
    if app.environment not in TESTED:
        raise TestRefused("Production is never tested from here: real customers are behind it.")
    if lacking := utilities.get(app.utility).missing(app):
        raise TestRefused(f"The registration is not complete. Still missing: {', '.join(lacking)}.")
    values = {"tester_name": tester.email, "started_at": now}
    try:
        with transaction.atomic():
            test, _ = AcceptanceTest.objects.get_or_create(
                application_information=app, tester=tester, finished_at=None, defaults=values
            )
    except IntegrityError:
        test = AcceptanceTest.objects.get(application_information=app, tester=tester, finished_at=None)
    return test


@transaction.atomic
def start(
    test: AcceptanceTest, kind: str, *, now: datetime, name: str = "", memory: dict[str, Any] | None = None
) -> AcceptancePart:
    """Begin a part anew; what is open of the same part ends. Raises TestRefused once the test is finished."""
    row = held_open(test)
    row.parts.filter(kind=kind, name=name).exclude(state=State.DONE).update(
        state=State.DONE, finished_at=now, actual="Begun anew before it ended.", outcome=Outcome.FAILED
    )
    part = AcceptancePart(
        test=row, kind=kind, name=name, memory=memory or {}, not_before=now, started_at=now, state=State.DUE
    )
    if kind == Kind.SCENARIO:
        scenario = scenarios.find(row.application_information, name)
        part.expected = scenario.expected
        part.state = State.BY_HAND if scenario.is_by_hand(row.application_information) else State.DUE
    part.save()
    if kind == Kind.CHECKLIST:
        checklist.make_rows(part, platforms.operations(row.application_information))
    tracing.forget_known()
    wake(part)
    return part


def held_open(test: AcceptanceTest) -> AcceptanceTest:
    """The test, held until the end of the transaction. Raises TestRefused if it is finished."""
    rows = AcceptanceTest.objects.select_for_update(of=("self",)).select_related("application_information")
    row = rows.get(pk=test.pk)
    if row.finished_at:
        raise TestRefused("This test is finished. Its report stands; begin a new test to try again.")
    return row


def wake(part: AcceptancePart, *, countdown: float = 0) -> None:
    """Wake a worker for the next turn, once this transaction is committed."""
    if part.state == State.DUE:
        transaction.on_commit(
            lambda: outbox.put(RUN, queue=DOWNLOADS, countdown=countdown, part_ids=[part.pk]), robust=True
        )


# --- In a worker -----------------------------------------------------------------------------------------------------


@shared_task(name=RUN)
def run_acceptance_parts(*, part_ids: list[int], **kwargs: Any) -> None:
    """One turn of each."""
    for part_id in part_ids:
        take_turn(part_id, now=timezone.now())


def take_turn(part_id: int, *, now: datetime) -> AcceptancePart | None:
    """One turn of a part that is due; None when there was nothing to take. A fault of ours ends it after three times."""
    until = now + LEASE
    free = Q(lease_expires_at=None) | Q(lease_expires_at__lt=now)
    due = AcceptancePart.objects.filter(free, pk=part_id, state=State.DUE, not_before__lte=now)
    if not due.update(lease_expires_at=until):
        return None
    part = AcceptancePart.objects.select_related("test__application_information", "journey").get(pk=part_id)
    part.attempts += 1
    try:
        turn = TURNS[part.kind](part, now)
        part.attempts = 0
    except Exception as error:
        log.exception("a turn of acceptance part %s broke off", part.pk)
        turn = broken_off(part, error)
    settle(part, turn, now=timezone.now())
    return part


def broken_off(part: AcceptancePart, error: Exception) -> Turn:
    """Try again in a few seconds, or give up."""
    words = f"A fault of ours: {type(error).__name__}. It is in the log."
    return Turn.done(Outcome.FAILED, words) if part.attempts >= MOST_ATTEMPTS else Turn.again(5)


def settle(part: AcceptancePart, turn: Turn, *, now: datetime) -> None:
    """Write down how a turn ended, unless somebody ended the part meanwhile."""
    part.lease_expires_at = None
    if turn.outcome is None:
        part.not_before = now + timedelta(seconds=turn.wait)
    else:
        part.state, part.outcome, part.actual, part.finished_at = State.DONE, turn.outcome, turn.words[:500], now
    fields = ("state", "outcome", "actual", "finished_at", "not_before", "lease_expires_at", "attempts", "memory")
    changes = {field: getattr(part, field) for field in fields}
    AcceptancePart.objects.filter(pk=part.pk, state=State.DUE).update(**changes)
    tracing.forget_known()
    wake(part, countdown=turn.wait)


def sweep(now: datetime) -> int:
    """Wake workers for parts that are due and nobody works on; how many."""
    free = Q(lease_expires_at=None) | Q(lease_expires_at__lt=now)
    due = AcceptancePart.objects.filter(free, state=State.DUE, not_before__lte=now, test__finished_at=None)
    ids = list(due.values_list("pk", flat=True)[:SWEPT_AT_ONCE])
    if ids:
        publish(RUN, queue=DOWNLOADS, part_ids=ids)
    return len(ids)


# --- By hand ---------------------------------------------------------------------------------------------------------


@transaction.atomic
def report_step(
    test: AcceptanceTest, key: str, *, outcome: str, owner: str, evidence: str, now: datetime
) -> AcceptanceStep:
    """What a person did of the utility's procedure. Raises TestRefused."""
    row = held_open(test)
    if key not in {step.key for step in platforms.steps(row.application_information)}:
        raise TestRefused("There is no such step.")
    values = {"outcome": outcome, "owner": owner[:100], "evidence": evidence[:1000], "changed_at": now}
    step, _ = AcceptanceStep.objects.update_or_create(test=row, key=key, defaults=values)
    return step


@transaction.atomic
def judge_by_hand(part: AcceptancePart, *, passed: bool, words: str, now: datetime) -> None:
    """The tester says how a scenario went that no row of ours can tell. Raises TestRefused."""
    held_open(part.test)
    outcome = Outcome.PASSED if passed else Outcome.FAILED
    open_part = AcceptancePart.objects.filter(pk=part.pk).exclude(state=State.DONE)
    open_part.update(state=State.DONE, outcome=outcome, actual=words[:500], finished_at=now, lease_expires_at=None)
    tracing.forget_known()
