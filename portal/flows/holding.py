"""Why a job waits, as it is now: one that was asked for while nothing may be asked has no reason on its row."""

from collections.abc import Callable
from datetime import datetime
from functools import cache

from espi.models import ApplicationInformation, FetchJob
from portal.flows import budgets, circuits

HasRoom = Callable[[ApplicationInformation, bool], bool]


def rooms(now: datetime) -> HasRoom:
    """Whether a registration may be asked, by its budgets: with a token that is rationed (utilities.base.Budget), or not.

    Looked up once for each, however many jobs of a page ask.
    """

    @cache
    def has_room(app: ApplicationInformation, needs_no_ration: bool) -> bool:
        return budgets.room(app, 1, now=now) > 0 and (needs_no_ration or budgets.renewals(app, now=now) != 0)

    return has_room


def why(job: FetchJob, app: ApplicationInformation, *, now: datetime, has_room: HasRoom) -> str:
    """In words as they are stored (portal.words.retold); "" where nothing holds it up. Of a job that ended: its row's.

    `app`: its registration, read with its `circuit`. `has_room`: of `rooms`; asked only for a due job without a reason.
    """
    if job.state != FetchJob.State.DUE:
        return job.reason
    circuit = circuits.of(app)
    if circuit.opened_at:
        return circuits.WORDS[circuits.Cause(circuit.cause)]
    if circuits.is_paused(circuit, now) and not circuit.is_pause_of_tokens:
        return circuits.WAIT
    needs_no_ration = job.priority <= FetchJob.Priority.FIRST_DATA or job.token_class != FetchJob.TokenClass.ACCESS
    if job.reason or has_room(app, needs_no_ration):
        return job.reason
    return circuits.WAIT if circuits.is_paused(circuit, now) else budgets.USED_UP
