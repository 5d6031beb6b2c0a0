"""Why a job waits, as it is now: one that was asked for while nothing may be asked has no reason on its row."""

from datetime import datetime

from espi.models import ApplicationInformation, FetchJob
from portal.flows import budgets, circuits


def why(job: FetchJob, app: ApplicationInformation, *, now: datetime) -> str:
    """In words as they are stored (portal.words.retold); "" where nothing holds it up. Of a job that ended: its row's.

    `app`: its registration, read with its `circuit`. Costs a statement only for a due job without a reason, and only where
    the utility has a budget.
    """
    if job.state != FetchJob.State.DUE:
        return job.reason
    circuit = circuits.of(app)
    if circuit.opened_at:
        return circuits.WORDS[circuits.Cause(circuit.cause)]
    if circuits.is_paused(circuit, now) and not circuit.is_pause_of_tokens:
        return circuits.WAIT
    return job.reason or ("" if budgets.room(app, 1, now=now) else budgets.USED_UP)
