"""Judging: what becomes of a job after an attempt. Reasons are written for people."""

import errno
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils.translation import gettext_noop

import utilities
from espi import atom, client, session
from espi.models import FetchJob
from portal import words
from portal.flows import budgets, circuits, standing, tokens
from portal.flows.fetch.asking import enqueue_planned, enqueue_status
from portal.flows.fetch.calling import is_urgent, owner
from portal.models import Circuit
from utilities import oauth
from utilities.base import PlannedRequest, RevocationRefused

log = logging.getLogger(__name__)

State, Kind = FetchJob.State, FetchJob.Kind
SPREAD = 30  # seconds over which those come back who wait for one budget
LONGEST_AT_A_SHUT_DOOR = 300  # seconds
HELD_UP_FOR = timedelta(days=3)  # a utility that cannot be reached costs no attempt
SHORTEST_WAIT, LONGEST_WAIT = settings.JOB_WAITS_SECONDS  # between attempts
LONGEST_RETRY_AFTER = 6 * 3600  # seconds
ANNOUNCED_WITHIN = timedelta(hours=26)  # Con Edison: usually an hour, up to 24 (contract §6)
NOT_READY_FOR = timedelta(hours=26)
REFUSED = gettext_noop("The utility refused the request.")


@dataclass(frozen=True)
class Result:
    """How an attempt ended. `not_before` is for jobs that go on; a wait the utility asked for is not counted.

    `held_up_since`: since when it could not be reached, if it could not. `accepted_at`: when it first said 202.
    `is_answer`: it came of an answer of the utility, not of our own rows.
    `is_in_line`: nothing but the sweep, which knows who has waited longest, wakes it.
    """

    state: str
    reason: str = ""
    not_before: datetime | None = None
    is_counted: bool = True
    held_up_since: datetime | None = None
    accepted_at: datetime | None = None
    is_in_line: bool = False
    is_answer: bool = True


def result_of(error: Exception, job: FetchJob, now: datetime) -> Result:
    """What becomes of a job after an error: later, or a person is needed. The reason is written for people.

    The registration's circuit learns whether the utility answered at all.
    """
    if isinstance(error, ANSWERS):
        circuits.answered(job.application_information, now=now)
    for kind, judge in JUDGES:
        if isinstance(error, kind):
            return judge(error, job, now)
    log.error("job %s met a fault of ours: %s", job.pk, type(error).__name__, exc_info=error)
    return later(job, words.OUR_FAULT.format(kind=type(error).__name__), now)


def later(job: FetchJob, reason: str, now: datetime) -> Result:
    """Try again after a pause that doubles with every attempt."""
    return Result(State.DUE, reason, now + pause(SHORTEST_WAIT * 2**job.attempts))


def pause(ceiling: float, retry_after: int | None = None) -> timedelta:
    """The seconds the utility named, and never less than our own back-off with full jitter."""
    own = random.uniform(SHORTEST_WAIT, min(max(ceiling, 2 * SHORTEST_WAIT), LONGEST_WAIT))  # noqa: S311
    return timedelta(seconds=max(own, min(retry_after or 0, LONGEST_RETRY_AFTER)))


def held_up(
    job: FetchJob, reason: str, now: datetime, retry_after: int | None = None, *, longest: float = LONGEST_WAIT
) -> Result:
    """The utility's trouble, not the job's: it costs no attempt, and is waited out for three days."""
    since = job.held_up_since or now
    if now - since > HELD_UP_FOR:
        return Result(State.FAILED, f"{words.TRIED_FOR.format(days=HELD_UP_FOR.days)} {reason}")
    wait = pause(min((now - since).total_seconds(), longest), retry_after)
    return Result(State.DUE, reason, now + wait, is_counted=False, held_up_since=since)


def not_ready(error: client.NotReady, job: FetchJob, now: datetime) -> Result:
    """202. Con Edison and PG&E will notify us; UtilityAPI wants the same request again (contract §4.1)."""
    utility, since = utilities.get(job.application_information.utility), job.accepted_at or now
    if utility.announces_batches:  # whatever time it names: asking there again would begin another batch
        job.asked_again = job.asked_again or job.accepted_at is not None
        told = gettext_noop("The utility is preparing the data and will tell us when they are ready.")
        return Result(State.AWAITING_NOTIFICATION, told, now + ANNOUNCED_WITHIN, accepted_at=since)
    if now - since > NOT_READY_FOR:
        return Result(State.FAILED, gettext_noop("The utility was still preparing the data after a day."))
    asked = 60 if error.retry_after is None else error.retry_after
    wait = timedelta(seconds=min(max(asked, 1), LONGEST_RETRY_AFTER))
    told = gettext_noop("The utility is still preparing the data.")
    return Result(State.DUE, told, now + wait, is_counted=False, accepted_at=since)


def throttled(error: client.Throttled | oauth.TokenThrottled, job: FetchJob, now: datetime) -> Result:
    """429. Where it speaks for all of a registration's calls, or all its token calls, all of them wait."""
    app = job.application_information
    utility, is_token = utilities.get(app.utility), isinstance(error, oauth.TokenThrottled)
    if utility.limits_together is not None and (is_token or utility.limits_together == circuits.EVERYTHING):
        wait = pause(SHORTEST_WAIT * 2 ** (circuits.of(app).pauses + 1), error.retry_after)
        circuits.pause(app, wait.total_seconds(), what=utility.limits_together, now=now)
    return held_up(job, circuits.WAIT, now, error.retry_after)


def asked_to_wait(error: budgets.AskedToWait, job: FetchJob, now: datetime) -> Result:
    """Not this job, but another one was asked to wait for all."""
    asked = error.retry_after or 1
    wait = asked + random.uniform(0, min(asked, SPREAD))  # noqa: S311
    since = job.held_up_since or now
    return Result(State.DUE, circuits.WAIT, now + timedelta(seconds=wait), is_counted=False, held_up_since=since)


def unavailable(error: Exception, job: FetchJob, now: datetime) -> Result:
    """Short pauses: the circuit, not each job by itself, keeps us from hammering at a door that is shut."""
    circuits.failed(job.application_information, str(error), now=now)
    return held_up(job, circuits.NO_SERVICE, now, getattr(error, "retry_after", None), longest=LONGEST_AT_A_SHUT_DOOR)


def spent(error: budgets.Spent, job: FetchJob, now: datetime) -> Result:
    """The job waits for its turn, and so do all of the same connection, but for what a person waits for; nothing is counted.

    Where the wait is a long one it stands in a line; those who wait for a moment, or for whom a person does, come back.
    """
    asked = error.retry_after or 1
    is_in_line = asked >= settings.SWEEP_SECONDS and not is_urgent(job)
    spread = 0 if is_in_line else random.uniform(0, min(asked, SPREAD))  # noqa: S311
    turn = now + timedelta(seconds=asked + spread)
    if job.authorization_id:
        others = FetchJob.objects.filter(authorization=job.authorization_id, state=State.DUE, not_before__lt=turn)
        for_people = Q(pk=None) if is_urgent(job) else Q(priority__lte=FetchJob.Priority.FIRST_DATA)
        others.exclude(for_people).update(not_before=turn)
    return Result(State.DUE, budgets.USED_UP, turn, is_counted=False, is_in_line=is_in_line)


def busy(error: tokens.Busy, job: FetchJob, now: datetime) -> Result:
    return held_up(job, gettext_noop("Our access is being renewed at this moment."), now)


def incomplete(error: Exception, job: FetchJob, now: datetime) -> Result:
    circuits.failed(job.application_information, str(error), now=now)
    return held_up(job, gettext_noop("The utility's answer was cut off; we keep trying."), now)


def not_understood(error: Exception, job: FetchJob, now: datetime) -> Result:
    return later(
        job,
        gettext_noop("The utility's answer to our request for access is not what it should be; we keep trying."),
        now,
    )


def unauthorized(error: Exception, job: FetchJob, now: datetime) -> Result:
    """401 with a brand-new token as well: stop, and ask the utility how the authorization stands."""
    if job.authorization is not None and job.kind != Kind.AUTHORIZATION:
        enqueue_status(job.authorization, now=now)
    return Result(State.FAILED, gettext_noop("The utility refused our access, also after we renewed it."))


def wrong_class(error: client.Refused, job: FetchJob, now: datetime) -> Result:
    """403: the address wants another class of token; where it may also mean a dead one, as after a 401."""
    if error.status in utilities.get(job.application_information.utility).stale_token_statuses:
        return unauthorized(error, job, now)
    return Result(State.FAILED, gettext_noop("The utility says this address needs another kind of access."))


def refused_to_renew(error: Exception, job: FetchJob, now: datetime) -> Result:
    """Con Edison V1 gives no reason we know (its contract, §7): the authorization itself tells whether it has ended.

    A bare 401 or 403 comes here only once a new token of our own has shown that it is not our credentials.
    """
    if job.authorization is not None and job.kind != Kind.AUTHORIZATION:
        enqueue_status(job.authorization, now=now)
    return later(job, gettext_noop("The utility refused to renew our access. We ask it why."), now)


def our_credentials(error: Exception, job: FetchJob, now: datetime) -> Result:
    """A fault of the registration. No customer can mend it, so none is asked to; the open circuit holds the job."""
    reason = getattr(error, "reason", "") or str(error)
    circuits.misconfigured(job.application_information, Circuit.Cause.CREDENTIALS, reason, now=now)
    return Result(State.DUE, circuits.NOT_KNOWN, now, is_counted=False)


def unproven(error: Exception, job: FetchJob, now: datetime) -> Result:
    """A certificate or a network that is not the utility's. Mostly ours to configure; the job waits for staff.

    It stands behind the others that wait, and is due again by the next probe: it may be the only one.
    """
    reason = getattr(error, "reason", "") or str(error)
    circuits.misconfigured(job.application_information, Circuit.Cause.UNPROVEN, reason, now=now)
    by_the_next_probe = now + circuits.PROBE_EVERY / 2
    return Result(State.DUE, f"{circuits.NOT_PROVEN} ({reason})", by_the_next_probe, is_counted=False)


def not_yet(error: standing.NotYet, job: FetchJob, now: datetime) -> Result:
    """Asked again as long as the authorization is new; nothing is concluded from an answer that early."""
    result = later(job, error.reason, now)
    if result.not_before and result.not_before < owner(job).created_at + standing.SETTLING:
        return result
    return Result(State.FAILED, error.reason)


def failed(told: str, *, tells_why: bool = False) -> Callable[[Exception, FetchJob, datetime], Result]:
    """A judge for errors that trying again does not heal; `tells_why`: the error's own reason is worth telling."""

    def judge(error: Exception, job: FetchJob, now: datetime) -> Result:
        why = getattr(error, "reason", "") or str(error) if tells_why else ""
        return Result(State.FAILED, f"{told} {why}".strip())

    return judge


def refused(error: client.Refused, job: FetchJob, now: datetime) -> Result:
    """PG&E answers 400 "Invalid Certificate" to a client without the registered one (contract §8.2)."""
    if "certificate" in error.reason.lower():
        return our_credentials(error, job, now)
    if "date range too large" in error.reason.lower() and (halves := smaller(job, now)):
        return Result(State.SUPERSEDED, f"The period was too long; it is asked for in {len(halves)} parts.")
    if is_asked_for_anew(job):
        return Result(State.SUPERSEDED, gettext_noop("The file was no longer there; its period is asked for again."))
    if is_pending_there(job, now):
        told = gettext_noop("The utility is still preparing what we asked for, and will tell us when it is ready.")
        return Result(State.AWAITING_NOTIFICATION, told, now + ANNOUNCED_WITHIN, accepted_at=job.accepted_at)
    return Result(State.FAILED, f"{REFUSED} {error.reason}")


def is_pending_there(job: FetchJob, now: datetime) -> bool:
    """Whether a refusal means that our first request is still being worked on: a batch that was accepted already.

    Con Edison rejects a request that it has in hand, in what words is not known (contract §6).
    """
    if job.accepted_at is None or not utilities.get(job.application_information.utility).announces_batches:
        return False
    return now - job.accepted_at < 2 * ANNOUNCED_WITHIN


def is_asked_for_anew(job: FetchJob) -> bool:
    """Whether an announced file lies at the address of a request that has been sent once more meanwhile (Con Edison V2)."""
    if job.kind != Kind.DOWNLOAD:
        return False
    same = FetchJob.objects.filter(application_information=job.application_information_id, url=job.url)
    return same.filter(state__in=[State.RUNNING, State.AWAITING_NOTIFICATION]).exclude(pk=job.pk).exists()


def smaller(job: FetchJob, now: datetime) -> list[FetchJob]:
    """The same window in smaller parts, where the utility has a way (PG&E contract §8.1)."""
    if job.authorization is None:
        return []
    app = job.application_information
    request = PlannedRequest(job.kind, job.url, job.token_class, job.window_start, job.window_end)
    return enqueue_planned(job.authorization, utilities.get(app.utility).smaller_requests(app, request), now=now)


def not_routed(error: client.NotRouted, job: FetchJob, now: datetime) -> Result:
    """Trouble of the utility's gateway with this one path, or ours in its making: nobody else's job waits for it."""
    return held_up(job, gettext_noop("The utility's service does not know the address that it gave us."), now)


def ended(error: tokens.NotAllowed, job: FetchJob, now: datetime) -> Result:
    """No permission any more. A refused refresh may mean that sharing was stopped there: the utility is asked."""
    if error.reason == tokens.REFUSED and job.authorization is not None:
        enqueue_status(job.authorization, now=now)
    return Result(State.FAILED, getattr(error, "reason", ""))


# The utility's service is there: it said something, if not what we hoped for.
ANSWERS = (
    client.NotReady,
    client.Throttled,
    client.Gone,
    client.NotRouted,
    client.Unauthorized,
    client.WrongTokenClass,
    oauth.TokenRefused,
    oauth.TokenThrottled,
    atom.DocumentRefused,
    standing.NotAnAuthorization,
)


def our_machine(error: OSError, job: FetchJob, now: datetime) -> Result:
    """A disk without room is nobody's fault but ours, and costs the job no attempt."""
    log.error("job %s met trouble of our machine: %s", job.pk, type(error).__name__, exc_info=error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return held_up(job, gettext_noop("We have no room for the file at the moment; we keep trying."), now)
    return later(job, words.OUR_FAULT.format(kind=type(error).__name__), now)


JUDGES: tuple[tuple[type[Exception], Callable[[Any, FetchJob, datetime], Result]], ...] = (
    (client.NotReady, not_ready),
    (client.Throttled, throttled),
    (client.Unavailable, unavailable),
    (client.Incomplete, incomplete),
    (client.Unauthorized, unauthorized),
    (client.WrongTokenClass, wrong_class),
    (client.Gone, failed(gettext_noop("The utility no longer has this file."))),
    (client.TooLarge, failed(gettext_noop("The file is larger than we accept."))),
    (client.NotRouted, not_routed),
    (client.Unproven, unproven),
    (client.Refused, refused),
    (session.AddressRefused, unproven),
    (session.CertificateUnusable, our_credentials),
    (atom.CutOff, incomplete),
    (atom.DocumentRefused, failed(gettext_noop("The file could not be used."), tells_why=True)),
    (standing.NotYet, not_yet),
    (standing.NotAnAuthorization, failed("", tells_why=True)),
    (tokens.NotAllowed, ended),
    (oauth.InvalidClient, our_credentials),
    (oauth.TokenRefused, refused_to_renew),
    (oauth.TokenThrottled, throttled),
    (oauth.TokenUnavailable, unavailable),
    (oauth.NoConnection, unavailable),
    (tokens.Busy, busy),
    (budgets.AskedToWait, asked_to_wait),
    (budgets.Spent, spent),
    (oauth.UnprovenServer, unproven),
    (oauth.UntrustedAddress, failed(gettext_noop("The address is not one of this utility's."), tells_why=True)),
    (oauth.TokenError, not_understood),
    (RevocationRefused, failed(gettext_noop("We could not end the sharing on the utility's side."), tells_why=True)),
    (OSError, our_machine),
)
