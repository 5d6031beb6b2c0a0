"""A circuit per registration: a utility that does not answer, or does not know us, is left alone but for a probe.

Jobs wait meanwhile, with all their attempts. Closing lets the work come back step by step, never in one burst.
"""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from espi.models import ApplicationInformation, FetchJob
from portal.flows import alerts
from portal.models import Circuit

log = logging.getLogger(__name__)

Cause = Circuit.Cause
IN_A_ROW, OF_THE_LAST = 5, 10  # failures that open it: one after another, or among the twenty calls remembered
PROBE_EVERY = timedelta(seconds=settings.CIRCUIT_PROBE_SECONDS)
ANSWERED, FAILED = "1", "0"
UNSTEADY = 2  # failures among the calls remembered, from which on retries are kept to a tenth
FIRST_STEP = 20  # jobs in the first sweep after it closed; in each later one twice as many
SUBJECTS = {
    Cause.SERVICE: "{app}: its service does not answer",
    Cause.CREDENTIALS: "{app}: it does not accept our credentials",
    Cause.UNPROVEN: "{app}: we could not prove that we reached it",
}


def closed() -> Q:
    """Condition on a FetchJob: its registration's circuit is closed, or the job is the probe."""
    open_to_others = Circuit.objects.filter(
        application_information=OuterRef("application_information"), opened_at__isnull=False
    )
    return ~Q(Exists(open_to_others.exclude(probe_job=OuterRef("pk"))))


def of(app: ApplicationInformation) -> Circuit:
    """The circuit as it was read with the registration; a closed one where there never was trouble."""
    try:
        return app.circuit
    except Circuit.DoesNotExist:
        return Circuit(application_information=app)


def answered(app: ApplicationInformation, *, now: datetime) -> None:
    """The utility answered. Costs nothing while it always does; the answer to a probe closes the circuit."""
    known = of(app)
    if known.opened_at is None and FAILED not in known.outcomes:
        return
    with transaction.atomic():
        row = locked(app)
        row.outcomes = (row.outcomes + ANSWERED)[-len(row.outcomes) :]
        if row.opened_at and row.cause == Cause.SERVICE:
            close(row, now)
        row.save()


def failed(app: ApplicationInformation, reason: str, *, now: datetime) -> None:
    """The utility's service did not answer. Enough of that opens the circuit; a failed probe keeps it open."""
    with transaction.atomic():
        row = locked(app)
        row.outcomes = (row.outcomes + FAILED)[-len(row.outcomes) :]
        row.probe_job = None
        if row.opened_at is None and trips(row.outcomes):
            open_(row, Cause.SERVICE, reason, now)
        row.save()


def trips(outcomes: str) -> bool:
    """Whether so many failures open a circuit."""
    return outcomes.endswith(FAILED * IN_A_ROW) or outcomes.count(FAILED) >= OF_THE_LAST


def misconfigured(app: ApplicationInformation, cause: Circuit.Cause, reason: str, *, now: datetime) -> None:
    """Our credentials, a certificate, or what stands at the utility's address: no customer can mend it, staff must."""
    with transaction.atomic():
        row = locked(app)
        if row.opened_at is None or row.cause == Cause.SERVICE:
            open_(row, cause, reason, now)
        row.save()


def open_(row: Circuit, cause: Circuit.Cause, reason: str, now: datetime) -> None:
    """Open it and tell staff, once; trouble of the utility's own is shown to them and not mailed."""
    row.opened_at, row.closed_at, row.cause, row.reason = row.opened_at or now, None, cause, reason[:500]
    row.probe_at, row.probe_job = now + PROBE_EVERY, None
    app = row.application_information
    log.error("circuit opened: registration=%s cause=%s", app, cause)
    words = f"{reason}\n\nIts jobs wait, and no customer is asked to do anything. We try again every minute."
    subject = SUBJECTS[cause].format(app=app)
    alerts.begin(key(app, cause), subject, words, now=now, app=app, is_mailed=cause != Cause.SERVICE)


def close(row: Circuit, now: datetime) -> None:
    """Close it; the caller saves it."""
    log.info("circuit closed: registration=%s after=%s", row.application_information, now - (row.opened_at or now))
    for cause in Cause:
        alerts.end(key(row.application_information, cause), now=now)
    row.opened_at = row.probe_at = row.probe_job = None
    row.closed_at, row.cause, row.reason, row.outcomes = now, "", "", ANSWERED * len(row.outcomes)


def key(app: ApplicationInformation, cause: str) -> str:
    """Of the alert."""
    return f"circuit {app.pk} {cause}"


@transaction.atomic
def mended(app: ApplicationInformation, *, now: datetime) -> None:
    """Staff changed the registration, or a probe of our credentials was accepted: work goes on."""
    row = Circuit.objects.select_for_update().filter(application_information=app, opened_at__isnull=False).first()
    if row:
        close(row, now)
        row.save()


def locked(app: ApplicationInformation) -> Circuit:
    """The row, made if there is none, held until the transaction ends."""
    Circuit.objects.bulk_create([Circuit(application_information=app)], ignore_conflicts=True)
    return Circuit.objects.select_for_update(of=("self",)).select_related("application_information").get(pk=app.pk)


# --- For the sweep --------------------------------------------------------------------------------------------------


def room(circuit: Circuit, most: int, *, now: datetime) -> int:
    """How many jobs a sweep may wake: none while it is open, few after it closed, then `most`."""
    if circuit.opened_at:
        return 0
    if circuit.closed_at is None:
        return most
    steps = int((now - circuit.closed_at).total_seconds() // settings.SWEEP_SECONDS)
    return min(most, FIRST_STEP * 2 ** min(max(steps, 0), 20))


def is_unsteady(circuit: Circuit) -> bool:
    """Whether calls fail here and there, so that retries must not add to the load."""
    return circuit.outcomes.count(FAILED) >= UNSTEADY


def take_probe(circuit: Circuit, *, now: datetime) -> bool:
    """Take the right to probe an open circuit; one a minute, whoever asks."""
    mine = Circuit.objects.filter(pk=circuit.pk, opened_at__isnull=False, probe_at__lte=now)
    return bool(mine.update(probe_at=now + PROBE_EVERY))


def probe_with(circuit: Circuit, job: FetchJob | int) -> None:
    """This job may be run although the circuit is open."""
    job_id = job if isinstance(job, int) else job.pk
    Circuit.objects.filter(pk=circuit.pk, opened_at__isnull=False).update(probe_job=job_id)
