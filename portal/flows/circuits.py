"""A circuit per registration: a utility that does not answer, or does not know us, is left alone but for a probe.

Jobs wait meanwhile, with all their attempts. Closing lets the work come back step by step, never in one burst.
"""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_noop

import utilities
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
# Why jobs wait while it is open, for customers too.
NO_SERVICE = gettext_noop("The utility's service is not available at the moment; we keep trying.")
NOT_KNOWN = gettext_noop(
    "The utility does not accept our own credentials. Our staff have to mend this; your data will follow."
)
NOT_PROVEN = gettext_noop(
    "We could not prove that we had reached the utility, so nothing was sent. Our staff have to mend this."
)
WORDS = {Cause.SERVICE: NO_SERVICE, Cause.CREDENTIALS: NOT_KNOWN, Cause.UNPROVEN: NOT_PROVEN}
SUBJECTS = {
    Cause.SERVICE: "{app}: its service does not answer",
    Cause.CREDENTIALS: "{app}: it does not accept our credentials",
    Cause.UNPROVEN: "{app}: we could not prove that we reached it",
}


def closed(now: datetime) -> Q:
    """Condition on a FetchJob: its registration's circuit is closed, or the job is the probe; and no pause holds it."""
    circuit = Circuit.objects.filter(application_information=OuterRef("application_information"))
    is_open = Q(opened_at__isnull=False) & (Q(probe_job=None) | ~Q(probe_job=OuterRef("pk")))
    return ~Q(Exists(circuit.filter(is_open | Q(paused_until__gt=now, is_pause_of_tokens=False))))


def of(app: ApplicationInformation) -> Circuit:
    """The circuit as it was read with the registration; a closed one where there never was trouble."""
    try:
        return app.circuit
    except Circuit.DoesNotExist:
        return Circuit(application_information=app)


def answered(app: ApplicationInformation, *, now: datetime, is_served: bool = False) -> None:
    """The utility answered. Costs nothing while it always does; the answer to a probe closes the circuit.

    An answer proves that the utility is there, and is the utility; not that it knows us, which only a token shows.
    `is_served`: with what was asked for, so that a pause is over.
    """
    known = of(app)
    if known.opened_at is None and FAILED not in known.outcomes and not (is_served and known.pauses):
        return
    with transaction.atomic():
        row = locked(app)
        if is_served and row.paused_until and row.paused_until <= now:
            row.paused_until, row.pauses = None, 0
        row.outcomes = (row.outcomes + ANSWERED)[-len(row.outcomes) :]
        if row.opened_at and row.cause != Cause.CREDENTIALS:
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
    """Our credentials, a certificate, or what stands at the utility's address: no customer can mend it, staff must.

    Where a probe found it, that probe is over: the next one is due in a minute. Refused credentials outlast other causes.
    """
    with transaction.atomic():
        row = locked(app)
        row.probe_job = None
        if row.opened_at is None or row.cause not in (cause, Cause.CREDENTIALS):
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


# --- A utility that asks us to wait -----------------------------------------------------------------------------------

WAIT = gettext_noop("The utility asked us to wait.")
EVERYTHING, TOKENS = "everything", "tokens"


def pause(app: ApplicationInformation, seconds: float, *, what: str, now: datetime) -> None:
    """A utility asked one of us to wait, and meant us all: until then nothing, or no token, is asked of it.

    `seconds`: from now, at most six hours as the caller sees to. Afterwards the work comes back step by step.
    """
    until = now + timedelta(seconds=seconds)
    for each in sharing(app):
        with transaction.atomic():
            row = locked(each)
            if row.paused_until and row.paused_until >= until:
                continue
            row.is_pause_of_tokens = what == TOKENS and (row.is_pause_of_tokens or not is_paused(row, now))
            row.paused_until, row.pauses = until, min(row.pauses + 1, 100)
            row.closed_at = row.closed_at if row.opened_at or what == TOKENS else until
            row.save()
            log.warning("asked to wait: registration=%s what=%s seconds=%d", each, what, seconds)
            if not row.is_pause_of_tokens:
                tell_those_who_wait(each, now)


def sharing(app: ApplicationInformation) -> list[ApplicationInformation]:
    """The registrations that a utility counts as one caller."""
    utility, sandbox = utilities.get(app.utility), ApplicationInformation.Environment.SANDBOX
    if not utility.budget_is_shared or app.environment == sandbox:
        return [app]
    return list(ApplicationInformation.objects.filter(utility=app.utility).exclude(environment=sandbox).order_by("pk"))


def tell_those_who_wait(app: ApplicationInformation, now: datetime) -> None:
    """The customer of each job that is held up now sees why."""
    due = FetchJob.objects.filter(application_information=app, state=FetchJob.State.DUE, not_before__lte=now)
    due.update(reason=WAIT, held_up_since=Coalesce(F("held_up_since"), now))


def is_paused(circuit: Circuit, now: datetime) -> bool:
    """Whether a pause goes on."""
    return circuit.paused_until is not None and circuit.paused_until > now


def pause_left(app: ApplicationInformation, *, is_token: bool, now: datetime) -> float:
    """Seconds for which this kind of call has to wait; 0 mostly. As the registration was read."""
    circuit = of(app)
    if circuit.paused_until is None or not is_paused(circuit, now) or (circuit.is_pause_of_tokens and not is_token):
        return 0
    return (circuit.paused_until - now).total_seconds()


# --- For the sweep --------------------------------------------------------------------------------------------------


def room(circuit: Circuit, most: int, *, now: datetime) -> int:
    """How many jobs a sweep may wake: none while it is open or paused, few after it closed, then `most`."""
    if circuit.opened_at or (is_paused(circuit, now) and not circuit.is_pause_of_tokens):
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
