"""Budgets: how often a utility lets us call, held across all workers.

Every call to a utility with a budget is a row, so that the count outlives whatever the broker forgets. Who asks takes a
lock of the database for the moment of counting; two workers never take the same place.
"""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_noop

import utilities
from espi.models import ApplicationInformation
from espi.session import TryLater
from portal.flows import circuits
from portal.models import UtilityCall
from utilities.base import Budget

SHARE = 0.8  # of a large budget; the rest is kept for what a person waits for
LARGE = 10  # calls
SHORT_WAIT = 1.5  # seconds that a worker waits for its turn; longer, and the job goes back
KEPT_FOR = timedelta(days=2)
USED_UP = gettext_noop("This utility lets us ask only so often. It is soon your turn.")  # why a job waits


class Spent(TryLater):
    """The utility may not be called now. `retry_after`: seconds until it may."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("our calls to this utility are used up for the moment")
        self.retry_after = max(1, int(retry_after + 0.999))


class AskedToWait(Spent):
    """The utility itself asked us to wait."""


def take(app: ApplicationInformation, *, now: datetime, is_token: bool = False, is_urgent: bool = False) -> None:
    """Take one call, after a short wait if need be. Raises Spent. Costs nothing where no budget is declared.

    Raises AskedToWait while a pause goes on that the utility asked for.
    """
    if left := circuits.pause_left(app, is_token=is_token, now=now):
        raise AskedToWait(left)
    budgets = declared(app, is_token=is_token)
    if not budgets:
        return
    wait = attempt(app, budgets, is_token=is_token, is_urgent=is_urgent, now=now)
    if 0 < wait <= SHORT_WAIT:
        time.sleep(wait)
        now += timedelta(seconds=wait)
        wait = attempt(app, budgets, is_token=is_token, is_urgent=is_urgent, now=now)
    if wait > 0:
        raise Spent(wait)


def note(app: ApplicationInformation, *, now: datetime) -> None:
    """Count a call that cannot wait: the code of a customer who just came back dies within a minute.

    Con Edison does not count code exchanges among its token calls (contract §1), PG&E counts every call (§8.6).
    """
    try:
        take(app, now=now, is_urgent=True)
    except Spent:
        UtilityCall.objects.create(scope=scope(app), is_token=False, at=now)


def declared(app: ApplicationInformation, *, is_token: bool) -> list[Budget]:
    """The budgets that a call uses."""
    return [each for each in utilities.get(app.utility).budgets if is_token or not each.tokens_only]


def scope(app: ApplicationInformation) -> str:
    """What shares a budget: a registration, or all of ours with a vendor."""
    if utilities.get(app.utility).budget_is_shared:
        played = app.environment == ApplicationInformation.Environment.SANDBOX
        return f"{app.utility} {'sandbox' if played else 'live'}"
    return f"registration {app.pk}"


@transaction.atomic
def attempt(
    app: ApplicationInformation, budgets: Sequence[Budget], *, is_token: bool, is_urgent: bool, now: datetime
) -> float:
    """Seconds until a call is free; 0: it was, and is taken."""
    name = scope(app)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"budget {name}"])
    free_at = max(free(name, budget, is_urgent=is_urgent, now=now) for budget in budgets)
    if free_at > now:
        return (free_at - now).total_seconds()
    UtilityCall.objects.create(scope=name, is_token=is_token, at=now)
    return 0


def free(name: str, budget: Budget, *, is_urgent: bool, now: datetime) -> datetime:
    """From when on this budget has room."""
    place = limit(budget, is_urgent=is_urgent)
    nth = calls(name, budget, now).order_by("-at").values_list("at", flat=True)[place - 1 : place]
    return next((budget.free_after(at) for at in nth), now)


def limit(budget: Budget, *, is_urgent: bool) -> int:
    """How many calls it allows."""
    return budget.calls if is_urgent or budget.calls < LARGE else int(budget.calls * SHARE)


def calls(name: str, budget: Budget, now: datetime) -> QuerySet[UtilityCall]:
    """The calls that count now."""
    made = UtilityCall.objects.filter(scope=name, at__gt=budget.counts_from(now))
    return made.filter(is_token=True) if budget.tokens_only else made


def used(app: ApplicationInformation, *, now: datetime) -> list[tuple[Budget, int]]:
    """Each budget and how much of it is used, for staff."""
    name = scope(app)
    return [(budget, calls(name, budget, now).count()) for budget in utilities.get(app.utility).budgets]


def room(app: ApplicationInformation, most: int, *, now: datetime) -> int:
    """How many jobs a sweep may wake: no more than there will be calls for until the next one."""
    for budget in declared(app, is_token=False):
        if budget.seconds < settings.SWEEP_SECONDS:
            most = min(most, max(1, int(settings.SWEEP_SECONDS / budget.seconds * budget.calls)))
        else:
            most = min(most, limit(budget, is_urgent=True) - calls(scope(app), budget, now).count())
    return max(0, most)


def renewals(app: ApplicationInformation, *, now: datetime) -> int | None:
    """For how many connections nobody waits for a token may be renewed now; None where tokens have no budget of their own.

    None of them, too, while a pause goes on that the utility asked for.
    """
    rationed = [budget for budget in declared(app, is_token=True) if budget.tokens_only]
    if not rationed:
        return None
    if circuits.pause_left(app, is_token=True, now=now):
        return 0
    return max(0, min(limit(each, is_urgent=False) - calls(scope(app), each, now).count() for each in rationed))


def forget(now: datetime) -> int:
    """Delete calls that no budget counts any more; how many."""
    gone, _ = UtilityCall.objects.filter(at__lt=now - KEPT_FOR).delete()
    return gone
