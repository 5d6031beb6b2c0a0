"""Running: one attempt at one job. Whatever happens is on its row, in words."""

import logging
from dataclasses import replace
from datetime import datetime
from typing import IO, BinaryIO, cast

from django.db import transaction
from django.utils.translation import gettext_noop

import utilities
from espi import atom, authorizations, client, temporary
from espi.contents import Whole
from espi.models import Authorization, FetchJob
from portal.acceptance import tracing
from portal.flows import budgets, circuits, standing
from portal.flows.fetch import reconciling, refusing
from portal.flows.fetch.announced import NOT_HIS_FILE, another_owner, finish_waiting, match
from portal.flows.fetch.asking import CONNECTED_AGAIN
from portal.flows.fetch.calling import download, owner, with_token
from portal.flows.fetch.claiming import MOST_ATTEMPTS, Clock, Lease, Taken, claim, gave_up, held
from portal.flows.fetch.judging import Result, later, result_of
from portal.flows.fetch.planning import LISTED, fetch_what_was_added
from portal.flows.fetch.settling import settle
from portal.flows.fetch.storing import follow_up, left_out, store, store_bulk
from portal.flows.fetch.waking import queue_of, wake_soon
from portal.models import FetchPlan
from utilities.base import Utility

log = logging.getLogger(__name__)

State, Kind, TokenClass = FetchJob.State, FetchJob.Kind, FetchJob.TokenClass
WAKE_UP_WITHIN = 60  # seconds; longer waits are the sweep's
STATUS_BYTES = 1024 * 1024  # an Authorization; a whole list of them may come
NO_CONTENT = 204  # not even an empty feed: no data in this window (PG&E contract §8.2)


def run(job_id: int, *, now: datetime) -> FetchJob | None:
    """Make one attempt at a job; None when there was nothing to claim. Whatever happens is on the row, in words."""
    job = claim(job_id, now=now)
    if job is None:
        return None
    with Lease(job, now) as lease:
        try:
            with tracing.listening(job.application_information):
                result = attempt(job, lease)
            if result.is_answer:
                circuits.answered(job.application_information, now=lease.now(), is_served=True)
        except Taken:
            return None
        except Exception as error:
            result = result_of(error, job, lease.now())
    finish(job, result, lease.now())
    return job


def finish(job: FetchJob, result: Result, now: datetime) -> None:
    """Write the result down, if the job is still ours, and see to what follows from it."""
    result = limited(job, result)
    attempts = job.attempts if result.is_counted else job.attempts - 1
    changes = {
        "state": result.state,
        "reason": result.reason[:500],
        "attempts": attempts,
        "not_before": result.not_before or job.not_before,
        "finished_at": None if result.state in FetchJob.OPEN else now,
        "lease_expires_at": None,
        "held_up_since": result.held_up_since,
        "accepted_at": result.accepted_at or job.accepted_at,
        "asked_again": job.asked_again,
    }
    if result.is_in_line:
        changes["woken_at"] = None  # no message is left that wakes it
    if not held(job).update(**changes):
        return
    for name, value in changes.items():
        setattr(job, name, value)
    settle(job, now=now)
    pause = (job.not_before - now).total_seconds()
    if result.state == State.DUE and pause <= WAKE_UP_WITHIN and not result.is_in_line:
        queue = queue_of(job.priority)
        transaction.on_commit(lambda: wake_soon([job.pk], queue=queue, countdown=max(pause, 1)), robust=True)
    log.info("job %s of %s: %s", job.pk, job.application_information.utility, job.state)


def limited(job: FetchJob, result: Result) -> Result:
    """The last attempt's `later` is a failure."""
    if result.state == State.DUE and result.is_counted and job.attempts >= MOST_ATTEMPTS:
        return Result(State.FAILED, gave_up(result.reason))
    return result


def attempt(job: FetchJob, clock: Lease) -> Result:
    """Ask the utility, and do what the answer says."""
    app = job.application_information
    utility = utilities.get(app.utility)
    if utility.announces_batches and job.asked_again and job.accepted_at:  # twice, and a day later still not announced
        twice = gettext_noop("The utility accepted our request twice and never sent its answer.")
        return Result(State.FAILED, twice, is_answer=False)
    if job.kind == Kind.REVOCATION:
        return revoke(job, utility, clock)
    utility.check_url(app, job.url)
    if job.authorization is None and job.token_class == TokenClass.ACCESS and not match(job):
        unknown = gettext_noop("We do not know yet which connection this file belongs to.")
        return replace(later(job, unknown, clock.now()), is_answer=False)
    if job.kind == Kind.RECONCILIATION:
        return reconcile(job, utility, clock)
    if job.kind == Kind.AUTHORIZATION:
        return read_status(job, utility, clock)
    return fetch_data(job, utility, clock)


def revoke(job: FetchJob, utility: Utility, clock: Clock) -> Result:
    """Tell the utility that the customer stopped, by our own token where it wants one."""
    app, authorization = job.application_information, owner(job)
    authorization.refresh_from_db(fields=["status"])
    if authorization.status in Authorization.LIVE:
        return Result(State.SUPERSEDED, CONNECTED_AGAIN, is_answer=False)
    if utility.revokes_with_client_token:

        def tell(token: str) -> None:
            budgets.take(app, now=clock.now(), is_urgent=True)
            utility.revoke(app, authorization, client_token=token)

        with_token(job, utility, clock, tell)
    else:
        budgets.take(app, now=clock.now(), is_urgent=True)
        utility.revoke(app, authorization, client_token="")
    return Result(State.DONE, "The utility ended the sharing on its side.")


def fetch_data(job: FetchJob, utility: Utility, clock: Lease) -> Result:
    """Download into a private file that has no name, then read it into the customer's data."""
    answer = None
    with temporary.file() as file:
        try:
            answer = download(job, utility, file, clock)
            return read_data(job, utility, answer, file, clock)
        except NOT_HIS_FILE as error:
            result = another_owner(job, error, clock.now())
        except (atom.DocumentRefused, client.TooLarge) as error:
            result = result_of(error, job, clock.now())
        if result.state == State.FAILED:
            content_type = answer.content_type if answer else ""
            refusing.keep(job, file, content_type=content_type, reason=result.reason, now=clock.now())
    return result


def read_data(job: FetchJob, utility: Utility, answer: client.Answer, file: IO[bytes], clock: Lease) -> Result:
    """What was downloaded becomes the customer's data, and what waited for it is done."""
    if answer.status == NO_CONTENT:
        finish_waiting(job, None, clock.now())
        return Result(State.DONE, gettext_noop("The utility has no data for this period."))
    if job.token_class == TokenClass.CLIENT:
        result = store_bulk(job, utility, answer, file, clock)
        if result.state == State.DONE:  # one that is held up is read again, and answers one request all the same
            finish_waiting(job, None, clock.now())
        return result
    document = store(job, owner(job), utility, answer, Whole(cast(BinaryIO, file)), clock)
    follow_up(job, utility, file, clock.now())
    finish_waiting(job, document, clock.now())
    return Result(State.DONE, left_out(document))


def read_status(job: FetchJob, utility: Utility, clock: Lease) -> Result:
    """Ask how an authorization stands; the customer sees what the utility says."""
    with temporary.file() as file:
        try:
            download(job, utility, file, clock, most=STATUS_BYTES)
            file.seek(0)
            words = standing.read(owner(job), file.read(), now=clock.now())
        except client.Gone:
            words = standing.gone(owner(job), now=clock.now())
    fetch_what_was_added(owner(job), now=clock.now())
    return Result(State.DONE, words)


def reconcile(job: FetchJob, utility: Utility, clock: Lease) -> Result:
    """Read the utility's list of all authorizations, however long it is."""
    with temporary.file() as file:
        download(job, utility, file, clock)
        file.seek(0)
        listed = authorizations.each(file)
        findings = reconciling.reconcile(job.application_information, listed, now=clock.now())
    FetchPlan.objects.filter(
        application_information=job.application_information, authorization=None, part=LISTED
    ).update(answered_at=clock.now())
    return Result(State.DONE, findings.in_words())
