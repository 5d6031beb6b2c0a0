"""Fetch jobs: asked for, claimed, run, and put back until they are done or a person is needed.

The row is the truth. A Celery message only wakes a worker up and carries ids: losing one costs a sweep, repeating one
finds nothing to claim. A claim is a lease; a worker that died loses it, and the sweep finds the row again.
"""

import logging
import random
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any, BinaryIO, Self, TypeVar, cast

from celery import Task, shared_task
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Max, Min, Q, QuerySet
from django.utils import timezone

import utilities
from espi import atom, client, ingest, links, session
from espi.models import (
    ApplicationInformation,
    Authorization,
    Document,
    FetchJob,
    IntervalBlock,
    Notification,
    UsageSummary,
)
from portal.flows import continuity, standing, tokens
from utilities import oauth
from utilities.base import PlannedRequest, RevocationRefused, Utility

log = logging.getLogger(__name__)

Answered = TypeVar("Answered")
State, Kind, TokenClass = FetchJob.State, FetchJob.Kind, FetchJob.TokenClass

LEASE = timedelta(seconds=settings.JOB_LEASE_SECONDS)
RENEW_EVERY = settings.JOB_LEASE_RENEWED_EVERY_SECONDS
MOST_ATTEMPTS = 8  # of those that crash, or meet what we do not know
HELD_UP_FOR = timedelta(days=3)  # a utility that cannot be reached costs no attempt
SHORTEST_WAIT, LONGEST_WAIT = settings.JOB_WAITS_SECONDS  # between attempts
LONGEST_RETRY_AFTER = 6 * 3600  # seconds
ANNOUNCED_WITHIN = timedelta(hours=26)  # Con Edison: usually an hour, up to 24 (contract §6)
NOT_READY_FOR = timedelta(hours=26)
WAKE_UP_WITHIN = 60  # seconds; longer waits are the sweep's
DOWNLOAD_SECONDS = 15 * 60  # from the beginning of an attempt; settings.CELERY_TASK_TIME_LIMIT leaves time to read
STATUS_BYTES = 1024 * 1024  # an Authorization; a whole list of them may come
EXPIRED_FILE = 410
NO_CONTENT = 204  # not even an empty feed: no data in this window (PG&E contract §8.2)
SWEEP_LIMIT = 1000
BATCH = 10
BATCH_SECONDS = 60  # then no other job is begun: it could not be ended within CELERY_TASK_TIME_LIMIT


@dataclass(frozen=True)
class Result:
    """How an attempt ended. `not_before` is for jobs that go on; a wait the utility asked for is not counted.

    `held_up_since`: since when it could not be reached, if it could not. `accepted_at`: when it first said 202.
    """

    state: str
    reason: str = ""
    not_before: datetime | None = None
    is_counted: bool = True
    held_up_since: datetime | None = None
    accepted_at: datetime | None = None


class Clock:
    """`now` as the flow was given it, moving on while the work takes its time."""

    def __init__(self, now: datetime) -> None:
        self.began, self.ticks = now, time.monotonic()

    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.passed())

    def passed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.ticks


# --- Asking -----------------------------------------------------------------------------------------------------------


def enqueue_first(
    authorization: Authorization, *, now: datetime, notification: Notification | None = None
) -> list[FetchJob]:
    """The jobs that bring what the customer granted: history, bills, customer data, in the utility's own portions.

    What is already being fetched is not asked for twice.
    """
    app = authorization.application_information
    planned = utilities.get(app.utility).first_requests(app, authorization, now)
    return enqueue_planned(authorization, planned, now=now, notification=notification)


def begin(authorization: Authorization, *, now: datetime) -> list[FetchJob]:
    """The first jobs of a new connection. Where the customer chose its end at the utility, only the utility knows it."""
    jobs = enqueue_first(authorization, now=now)
    return jobs if authorization.end_date else jobs + enqueue_status(authorization, now=now)


def enqueue_planned(
    authorization: Authorization,
    planned: Sequence[PlannedRequest],
    *,
    now: datetime,
    notification: Notification | None = None,
) -> list[FetchJob]:
    """Jobs for requests a utility planned, except for those already on their way."""
    running = set(authorization.fetch_jobs.filter(state__in=FetchJob.OPEN).values_list("url", flat=True))
    wanted = {request.url: request for request in planned if request.url not in running}
    return enqueue([planned_job(authorization, each, notification, now) for each in wanted.values()])


def planned_job(
    authorization: Authorization, request: PlannedRequest, notification: Notification | None, now: datetime
) -> FetchJob:
    return FetchJob(
        application_information=authorization.application_information,
        authorization=authorization,
        notification=notification,
        kind=request.kind,
        token_class=request.token_class,
        url=request.url,
        window_start=request.window_start,
        window_end=request.window_end,
        not_before=now,
    )


def enqueue_status(
    authorization: Authorization, *, now: datetime, notification: Notification | None = None
) -> list[FetchJob]:
    """A job that asks the utility how this authorization stands; none where it gave no address to ask, or one waits."""
    app, url = authorization.application_information, authorization.authorization_uri
    if not url or authorization.fetch_jobs.filter(kind=Kind.AUTHORIZATION, state__in=FetchJob.OPEN).exists():
        return []
    return enqueue(
        [
            FetchJob(
                application_information=app,
                authorization=authorization,
                notification=notification,
                kind=Kind.AUTHORIZATION,
                token_class=utilities.get(app.utility).token_class(app, url),
                url=url,
                not_before=now,
            )
        ]
    )


def enqueue_checks_of_earlier(authorization: Authorization, *, now: datetime) -> list[FetchJob]:
    """Ask how the customer's other connections stand, where a new one ends an earlier one (PG&E contract §5.4)."""
    app = authorization.application_information
    if not utilities.get(app.utility).replaces_earlier:
        return []
    others = Authorization.objects.filter(
        retail_customer=authorization.retail_customer_id, application_information=app, status__in=Authorization.LIVE
    )
    found = others.exclude(pk=authorization.pk).select_related("application_information")
    return [job for each in found for job in enqueue_status(each, now=now)]


def enqueue_revocation(authorization: Authorization, *, now: datetime) -> list[FetchJob]:
    """A job that tells the utility the customer stopped, where it offers a call for that."""
    app = authorization.application_information
    if not utilities.get(app.utility).can_revoke(app):
        return []
    job = FetchJob(
        application_information=app,
        authorization=authorization,
        kind=Kind.REVOCATION,
        token_class=TokenClass.CLIENT,
        url=authorization.authorization_uri,
        not_before=now,
    )
    return enqueue([job])


def enqueue(jobs: Sequence[FetchJob]) -> list[FetchJob]:
    """Save jobs; after the commit wake a worker for each. A broker that is away changes nothing: the sweep will."""
    saved = FetchJob.objects.bulk_create(jobs)
    transaction.on_commit(lambda: wake([job.pk for job in saved]), robust=True)
    return saved


def wake(job_ids: Sequence[int], countdown: float = 0) -> None:
    """Wake a worker for each of these jobs; a broker that did not take one is not asked again."""
    for job_id in job_ids:
        if not publish(run_fetch_job, job_id=job_id, countdown=countdown):
            return


def retry(job_id: int, *, now: datetime) -> bool:
    """Set a job that failed, or waits, going at once, with all its attempts; whether it may be.

    Nothing is fetched for a customer who does not share any more.
    """
    shared = Q(authorization=None) | Q(authorization__status=Authorization.Status.ACTIVE) | Q(kind=Kind.REVOCATION)
    mine = FetchJob.objects.filter(pk=job_id)
    fresh = {"attempts": 0, "held_up_since": None, "accepted_at": None, "finished_at": None, "not_before": now}
    if not mine.filter(shared).exists():
        return False
    if not mine.filter(state__in=[State.FAILED, State.DUE]).update(state=State.DUE, **fresh):
        return False
    transaction.on_commit(lambda: wake([job_id]), robust=True)
    return True


def cancel(job_id: int, *, now: datetime) -> bool:
    """End a job that has not ended; a worker that runs it stores nothing more. Whether there was anything to end."""
    mine = FetchJob.objects.filter(pk=job_id, state__in=FetchJob.OPEN)
    ended_by_us = {"reason": "Cancelled by our staff.", "finished_at": now, "lease_expires_at": None}
    return bool(mine.update(state=State.SUPERSEDED, **ended_by_us))


def publish(task: Task, *, countdown: float = 0, **kwargs: Any) -> bool:
    """Send a wake-up; whether the broker took it. It is never waited for longer than its socket's time-out."""
    try:
        task.apply_async(kwargs=kwargs, countdown=countdown or None, expires=countdown + 120, retry=False)
    except Exception as error:  # whatever is wrong with the broker, the row is safe
        log.warning("wake-up not sent: task=%s cause=%s", task.name, type(error).__name__)
        return False
    return True


# --- Claiming ---------------------------------------------------------------------------------------------------------


def due(now: datetime) -> Q:
    """Jobs to be run now: their time has come, their worker is gone, or no notification ever came."""
    return (
        Q(state=State.DUE, not_before__lte=now)
        | Q(state=State.RUNNING, lease_expires_at__lt=now)
        | Q(state=State.AWAITING_NOTIFICATION, not_before__lte=now)
    )


def claim(job_id: int, *, now: datetime) -> FetchJob | None:
    """Take a due job for one lease; None when it is not due or somebody else was faster.

    A job that has used up its attempts (a file that kills every worker, say) is closed instead.
    """
    mine = FetchJob.objects.filter(due(now), pk=job_id)
    worn_out = mine.filter(attempts__gte=MOST_ATTEMPTS)
    if worn_out.update(state=State.FAILED, finished_at=now, lease_expires_at=None, reason=gave_up("")):
        return None
    taken: dict[str, Any] = {
        "state": State.RUNNING,
        "attempts": F("attempts") + 1,
        "lease_expires_at": now + LEASE,
        "claim": uuid.uuid4(),
    }
    if not mine.update(**taken):
        return None
    related = ("application_information", "authorization__subscription")
    return FetchJob.objects.select_related(*related).filter(claim=taken["claim"]).first()


def held(job: FetchJob) -> QuerySet[FetchJob]:
    """The job's row, as long as it is ours: nobody took it over, withdrew it or closed it."""
    return FetchJob.objects.filter(pk=job.pk, state=State.RUNNING, claim=job.claim)


class Taken(Exception):
    """The job was taken from us while we worked: withdrawn by the customer, or claimed by another worker."""


class Lease(Clock):
    """A claim that a thread renews for as long as the work takes: a large file is parsed longer than a lease lasts."""

    def __init__(self, job: FetchJob, now: datetime) -> None:
        super().__init__(now)
        self.job, self.is_lost, self.over = job, False, threading.Event()
        self.thread = threading.Thread(target=self._keep, name=f"lease of job {job.pk}", daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self.thread.join()

    def renew(self) -> None:
        """Another five minutes from now. Raises Taken when the job is no longer ours."""
        self.is_lost = self.is_lost or not held(self.job).update(lease_expires_at=self.now() + LEASE)
        self.check()

    def check(self) -> None:
        """Raises Taken when the job is known to be no longer ours."""
        if self.is_lost:
            raise Taken

    def _keep(self) -> None:
        while not self.over.wait(RENEW_EVERY) and not self.is_lost:
            try:
                with suppress(Taken):
                    self.renew()
            except DatabaseError as error:
                log.warning("lease of job %s not renewed: %s", self.job.pk, type(error).__name__)
            finally:
                connection.close()


class Watched:
    """A file to download into, until the job is taken from us."""

    def __init__(self, file: IO[bytes], lease: Lease) -> None:
        self.file, self.lease = file, lease

    def write(self, data: bytes) -> int:
        """Raises Taken when the job is no longer ours."""
        self.lease.check()
        return self.file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


# --- Running ----------------------------------------------------------------------------------------------------------


def run(job_id: int, *, now: datetime) -> FetchJob | None:
    """Make one attempt at a job; None when there was nothing to claim. Whatever happens is on the row, in words."""
    job = claim(job_id, now=now)
    if job is None:
        return None
    with Lease(job, now) as lease:
        try:
            result = attempt(job, lease)
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
    }
    if not held(job).update(**changes):
        return
    for name, value in changes.items():
        setattr(job, name, value)
    pause = (job.not_before - now).total_seconds()
    if result.state == State.DUE and pause <= WAKE_UP_WITHIN:
        transaction.on_commit(lambda: wake([job.pk], max(pause, 1)), robust=True)
    log.info("job %s of %s: %s", job.pk, job.application_information.utility, job.state)


def limited(job: FetchJob, result: Result) -> Result:
    """The last attempt's `later` is a failure."""
    if result.state == State.DUE and result.is_counted and job.attempts >= MOST_ATTEMPTS:
        return Result(State.FAILED, gave_up(result.reason))
    return result


def gave_up(reason: str) -> str:
    """Words for a job without attempts left."""
    return f"We tried {MOST_ATTEMPTS} times without success. {reason}".strip()


def attempt(job: FetchJob, clock: Lease) -> Result:
    """Ask the utility, and do what the answer says."""
    app = job.application_information
    utility = utilities.get(app.utility)
    if job.kind == Kind.REVOCATION:
        return revoke(job, utility, clock)
    utility.check_url(app, job.url)
    if job.authorization is None and job.token_class == TokenClass.ACCESS and not match(job):
        return later(job, "We do not know yet which connection this file belongs to.", clock.now())
    if job.kind == Kind.AUTHORIZATION:
        return read_status(job, utility, clock)
    return fetch_data(job, utility, clock)


def revoke(job: FetchJob, utility: Utility, clock: Clock) -> Result:
    """Tell the utility that the customer stopped, by our own token where it wants one."""
    app, authorization = job.application_information, owner(job)
    if utility.revokes_with_client_token:
        with_token(job, utility, clock, lambda token: utility.revoke(app, authorization, client_token=token))
    else:
        utility.revoke(app, authorization, client_token="")
    return Result(State.DONE, "The utility ended the sharing on its side.")


def fetch_data(job: FetchJob, utility: Utility, clock: Lease) -> Result:
    """Download into a private file that has no name, then read it into the customer's data."""
    with private_file() as file:
        try:
            answer = download(job, utility, file, clock)
            if answer.status == NO_CONTENT:
                finish_waiting(job, None, clock.now())
                return Result(State.DONE, "The utility has no data for this period.")
            if job.token_class == TokenClass.CLIENT:
                return store_bulk(job, utility, answer, file, clock)
            document = store(job, owner(job), utility, answer, file, clock)
            follow_up(job, utility, file, clock.now())
        except NOT_HIS_FILE as error:
            return another_owner(job, error, clock.now())
    finish_waiting(job, document, clock.now())
    return Result(State.DONE)


def private_file() -> IO[bytes]:
    """A temporary file nobody else can open; it is gone with the process, however that ends."""
    directory = Path(settings.VAR_DIR) / "downloads"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return cast(IO[bytes], tempfile.TemporaryFile(dir=directory))


def download(
    job: FetchJob, utility: Utility, file: IO[bytes], clock: Lease, *, most: int = client.MAX_BYTES
) -> client.Answer:
    """GET the job's address into a file of at most so many bytes. Raises Taken, and as `client.get` does."""
    into = cast(BinaryIO, Watched(file, clock))

    def get(token: str) -> client.Answer:
        into.seek(0)
        into.truncate()
        return resource(job, utility, token, into, clock, most)

    return with_token(job, utility, clock, get)


def with_token(job: FetchJob, utility: Utility, clock: Clock, call: Callable[[str], Answered]) -> Answered:
    """One call; after a 401 one more with a new token (contracts: Con Edison §7, PG&E §8.2, UtilityAPI §6.1).

    PG&E also answers 403 to a token that has run out; elsewhere a 403 is about the class of token, which stays the same.
    """
    token = token_for(job, clock.now())
    try:
        return call(token)
    except (client.Unauthorized, client.WrongTokenClass) as error:
        if job.token_class == TokenClass.REGISTRATION or error.status not in utility.stale_token_statuses:
            raise
    return call(renewed_token(job, token, clock.now()))


def resource(job: FetchJob, utility: Utility, token: str, into: BinaryIO, clock: Clock, most: int) -> client.Answer:
    """One GET in what is left of the attempt's time."""
    app, left = job.application_information, DOWNLOAD_SECONDS - clock.passed()
    if left <= 0:
        raise client.Incomplete("there was no time left for the download")
    with utility.session(app) as session_there:
        return client.get(
            session_there,
            job.url,
            headers=utility.resource_headers(app, token),
            deadline_seconds=left,
            max_bytes=most,
            max_wire_bytes=min(most, client.MAX_WIRE_BYTES),
            into=into,
        )


def token_for(job: FetchJob, now: datetime) -> str:
    """The class of token this address is served with; never another."""
    if job.token_class == TokenClass.CLIENT:
        return tokens.client(job.application_information, now=now)
    if job.token_class == TokenClass.REGISTRATION:
        return job.application_information.registration_access_token
    return tokens.current(owner(job), now=now)


def renewed_token(job: FetchJob, rejected: str, now: datetime) -> str:
    """Another token of the same class than the one the utility did not take."""
    if job.token_class == TokenClass.CLIENT:
        return tokens.renewed_client(job.application_information, now=now, rejected=rejected)
    return tokens.renewed(owner(job), now=now, rejected=rejected)


def owner(job: FetchJob) -> Authorization:
    """Whose data the job fetches. Raises NotAllowed when it has none."""
    if job.authorization is None:
        raise tokens.NotAllowed("It belongs to no connection.")
    return job.authorization


def store(
    job: FetchJob, authorization: Authorization, utility: Utility, answer: client.Answer, file: IO[bytes], clock: Lease
) -> Document:
    """Read the file into the customer's data. A customer who stops meanwhile waits for the commit, or we refuse it.

    Of a file that is only his, an entry of another subscription refuses all; of a bulk file only his part is read.
    """
    app = job.application_information
    clock.renew()
    with transaction.atomic():
        row = standing_authorization(authorization)
        return ingest.store(
            cast(BinaryIO, file),
            subscription=continuity.subscription_of(row, file, now=clock.now()),
            dialect=utility.dialect(app),
            now=clock.now(),
            url=job.url,
            content_type=answer.content_type,
            fetch_job=job,
            application_information=app,
            accepts=accepted_kinds(utility, app, row),
            expected_subscription_id=row.utility_subscription_id or None,
            others="skip" if job.token_class == TokenClass.CLIENT else "refuse",
            must_name=is_guess(job),
        )


def store_bulk(job: FetchJob, utility: Utility, answer: client.Answer, file: IO[bytes], clock: Lease) -> Result:
    """Read a file of many customers into each one's data; whoever does not share with us is passed over."""
    file.seek(0)
    named = {links.subscription_id(parcel.entry) for parcel in atom.read(cast(BinaryIO, file))} - {""}
    connections = Authorization.objects.filter(
        application_information=job.application_information,
        status=Authorization.Status.ACTIVE,
        utility_subscription_id__in=named,
    )
    found = list(connections.order_by("pk"))
    for authorization in found:
        store(job, authorization, utility, answer, file, clock)
    return Result(State.DONE, f"Read for {len(found)} of the {len(named)} connections it names.")


def follow_up(job: FetchJob, utility: Utility, file: IO[bytes], now: datetime) -> list[FetchJob]:
    """Ask for what the document's own links lead to, where a utility has no batch for it (Con Edison V1, real time)."""
    if not utility.has_follow_ups or job.kind != Kind.USAGE:
        return []
    file.seek(0)
    links = [parcel.entry.self_href for parcel in atom.read(cast(BinaryIO, file)) if parcel.entry.self_href]
    planned = utility.follow_up_requests(job.application_information, owner(job), links)
    return enqueue_planned(owner(job), planned, now=now)


def standing_authorization(authorization: Authorization) -> Authorization:
    """The authorization as it is now, held until the data are committed. Raises NotAllowed if it ended meanwhile."""
    # The subscription is read after the lock: one joined to the row would be the one before, if we had to wait for it.
    row = Authorization.objects.select_for_update(no_key=True).get(pk=authorization.pk)
    if not tokens.is_active(row) or row.subscription is None:
        raise tokens.NotAllowed(f"Sharing ended before the data arrived. {row.status_reason}".strip())
    return row


def accepted_kinds(utility: Utility, app: ApplicationInformation, authorization: Authorization) -> frozenset[str]:
    """The kinds of data the customer granted; nothing else is stored."""
    granted = [choice.kinds for choice in utility.data_choices(app) if choice.id in authorization.data_granted]
    return frozenset().union(*granted)


def read_status(job: FetchJob, utility: Utility, clock: Lease) -> Result:
    """Ask how an authorization stands; the customer sees what the utility says."""
    with private_file() as file:
        try:
            download(job, utility, file, clock, most=STATUS_BYTES)
            file.seek(0)
            words = standing.read(owner(job), file.read(), now=clock.now())
        except client.Gone:
            words = standing.gone(owner(job), now=clock.now())
    fetch_what_was_added(owner(job), now=clock.now())
    return Result(State.DONE, words)


def fetch_what_was_added(authorization: Authorization, *, now: datetime) -> list[FetchJob]:
    """Ask for data the customer has begun to share since (PG&E's page lets him change the groups)."""
    before = set(authorization.data_granted)
    authorization.refresh_from_db()
    if authorization.status != Authorization.Status.ACTIVE or not set(authorization.data_granted) - before:
        return []
    return enqueue_first(authorization, now=now)


# --- Announced files --------------------------------------------------------------------------------------------------

NOT_HIS_FILE = (client.Gone, client.WrongTokenClass, ingest.OtherSubscription)


def is_guess(job: FetchJob) -> bool:
    """Whether nobody knows whose file it is: its address names nobody, and so it was given to one who waits."""
    app = job.application_information
    is_file = job.kind == Kind.DOWNLOAD and job.token_class == TokenClass.ACCESS
    return is_file and not utilities.get(app.utility).url_subscription_id(app, job.url)


def waiting(app: ApplicationInformation) -> Any:
    """Jobs of a registration whose result has to be announced; a notification may overtake our own note of the 202."""
    asked = FetchJob.objects.filter(
        application_information=app,
        state__in=[State.AWAITING_NOTIFICATION, State.RUNNING],
        token_class=TokenClass.ACCESS,
        authorization__status=Authorization.Status.ACTIVE,
    )
    return asked.exclude(kind__in=[Kind.DOWNLOAD, Kind.AUTHORIZATION]).select_related("authorization")


def waiting_authorization(app: ApplicationInformation, *, after: int = 0) -> Authorization | None:
    """A connection that waits for a file, by number; for addresses that name nobody (Con Edison V1, contract §6)."""
    job = waiting(app).filter(authorization_id__gt=after).order_by("authorization_id").first()
    return job.authorization if job else None


def match(job: FetchJob) -> bool:
    """Give a file that names nobody to a connection that waits for one; whether there was any."""
    job.authorization = waiting_authorization(job.application_information)
    return job.authorization is not None and bool(held(job).update(authorization=job.authorization))


def another_owner(job: FetchJob, error: Exception, now: datetime) -> Result:
    """A file that turned out not to be this customer's may be the next one's who waits; otherwise it failed.

    Which customer a file belongs to shows only in the file, where its address names nobody.
    """
    app, tried = job.application_information, job.authorization_id
    if not tried or not is_guess(job) or getattr(error, "status", 0) == EXPIRED_FILE:
        return result_of(error, job, now)
    following = waiting_authorization(app, after=tried)
    if following is None or not held(job).update(authorization=following):
        return result_of(error, job, now)
    return Result(State.DUE, "Looking for the connection this file belongs to.", now, is_counted=False)


def finish_waiting(job: FetchJob, document: Document | None, now: datetime) -> None:
    """An announced file is here: the request that asked for it is done.

    It is the one with this very address (Con Edison V2), else the one whose window the readings lie in, else, when the
    file does not say, the oldest.
    """
    if job.kind != Kind.DOWNLOAD or job.authorization is None:
        return
    asked = list(waiting(job.application_information).filter(authorization=job.authorization).order_by("created_at"))
    same = [each for each in asked if each.url == job.url]
    found = same or covering(asked, document)
    for each in found[:1]:
        FetchJob.objects.filter(pk=each.pk, state__in=FetchJob.OPEN).update(
            state=State.DONE, reason="", finished_at=now, lease_expires_at=None
        )


def covering(asked: list[FetchJob], document: Document | None) -> list[FetchJob]:
    """Of the waiting requests, those whose window overlaps what a document says; all when it does not say."""
    first, last = span(document)
    if first is None or last is None:
        return asked
    return [
        job
        for job in asked
        if (job.window_start is None or job.window_start.timestamp() <= last)
        and (job.window_end is None or job.window_end.timestamp() > first)
    ]


def span(document: Document | None) -> tuple[int | None, int | None]:
    """Epoch seconds of the first and the last day, else bill, that was stored from a document."""
    if document is None:
        return None, None
    for rows in (IntervalBlock.objects.filter(document=document), UsageSummary.objects.filter(document=document)):
        found = rows.aggregate(first=Min("start"), last=Max("start"))
        if found["first"] is not None:
            return found["first"], found["last"]
    return None, None


# --- What an error means ----------------------------------------------------------------------------------------------


def result_of(error: Exception, job: FetchJob, now: datetime) -> Result:
    """What becomes of a job after an error: later, or a person is needed. The reason is written for people."""
    for kind, judge in JUDGES:
        if isinstance(error, kind):
            return judge(error, job, now)
    log.error("job %s met a fault of ours: %s", job.pk, type(error).__name__, exc_info=error)
    return later(job, f"A fault of ours ({type(error).__name__}); we try again.", now)


def later(job: FetchJob, reason: str, now: datetime) -> Result:
    """Try again after a pause that doubles with every attempt."""
    return Result(State.DUE, reason, now + pause(SHORTEST_WAIT * 2**job.attempts))


def pause(ceiling: float, retry_after: int | None = None) -> timedelta:
    """The seconds the utility named, and never less than our own back-off with full jitter."""
    own = random.uniform(SHORTEST_WAIT, min(max(ceiling, 2 * SHORTEST_WAIT), LONGEST_WAIT))  # noqa: S311
    return timedelta(seconds=max(own, min(retry_after or 0, LONGEST_RETRY_AFTER)))


def held_up(job: FetchJob, reason: str, now: datetime, retry_after: int | None = None) -> Result:
    """The utility's trouble, not the job's: it costs no attempt, and is waited out for three days."""
    since = job.held_up_since or now
    if now - since > HELD_UP_FOR:
        return Result(State.FAILED, f"We tried for {HELD_UP_FOR.days} days without success. {reason}")
    wait = pause((now - since).total_seconds(), retry_after)
    return Result(State.DUE, reason, now + wait, is_counted=False, held_up_since=since)


def not_ready(error: client.NotReady, job: FetchJob, now: datetime) -> Result:
    """202. Con Edison and PG&E will notify us; UtilityAPI wants the same request again (contract §4.1)."""
    utility, since = utilities.get(job.application_information.utility), job.accepted_at or now
    if utility.announces_batches:  # whatever time it names: asking there again would begin another batch
        words = "The utility is preparing the data and will tell us when they are ready."
        return Result(State.AWAITING_NOTIFICATION, words, now + ANNOUNCED_WITHIN, accepted_at=since)
    if now - since > NOT_READY_FOR:
        return Result(State.FAILED, "The utility was still preparing the data after a day.")
    asked = 60 if error.retry_after is None else error.retry_after
    wait = timedelta(seconds=min(max(asked, 1), LONGEST_RETRY_AFTER))
    words = "The utility is still preparing the data."
    return Result(State.DUE, words, now + wait, is_counted=False, accepted_at=since)


def throttled(error: Any, job: FetchJob, now: datetime) -> Result:
    return held_up(job, "The utility asked us to wait.", now, error.retry_after)


def unavailable(error: Exception, job: FetchJob, now: datetime) -> Result:
    words = "The utility's service is not available at the moment; we keep trying."
    return held_up(job, words, now, getattr(error, "retry_after", None))


def incomplete(error: Exception, job: FetchJob, now: datetime) -> Result:
    return held_up(job, "The utility's answer was cut off; we keep trying.", now)


def not_understood(error: Exception, job: FetchJob, now: datetime) -> Result:
    return later(job, "The utility's answer to our request for access is not what it should be; we keep trying.", now)


def unauthorized(error: Exception, job: FetchJob, now: datetime) -> Result:
    """401 with a brand-new token as well: stop, and ask the utility how the authorization stands."""
    if job.authorization is not None and job.kind != Kind.AUTHORIZATION:
        enqueue_status(job.authorization, now=now)
    return Result(State.FAILED, "The utility refused our access, also after we renewed it.")


def wrong_class(error: client.Refused, job: FetchJob, now: datetime) -> Result:
    """403: the address wants another class of token; where it may also mean a dead one, as after a 401."""
    if error.status in utilities.get(job.application_information.utility).stale_token_statuses:
        return unauthorized(error, job, now)
    return Result(State.FAILED, "The utility says this address needs another kind of access.")


def refused_to_renew(error: Exception, job: FetchJob, now: datetime) -> Result:
    """Con Edison V1 gives no reason we know (its contract, §7): the authorization itself tells whether it has ended."""
    if job.authorization is not None and job.kind != Kind.AUTHORIZATION:
        enqueue_status(job.authorization, now=now)
    return later(job, "The utility refused to renew our access. We ask it why.", now)


def our_credentials(error: Exception, job: FetchJob, now: datetime) -> Result:
    """A fault of the registration. No customer can mend it, so none is asked to; the job waits for staff."""
    words = "The utility does not accept our own credentials. Our staff have to mend this; your data will follow."
    log.error("credentials refused: registration=%s", job.application_information)
    return Result(State.DUE, words, now + timedelta(seconds=LONGEST_WAIT), is_counted=False)


def unproven(error: Exception, job: FetchJob, now: datetime) -> Result:
    """A certificate or a network that is not the utility's. Mostly ours to configure; the job waits for staff."""
    words = "We could not prove that we had reached the utility, so nothing was sent. Our staff have to mend this."
    reason = getattr(error, "reason", "") or str(error)
    log.error("not proven to be the utility: registration=%s reason=%s", job.application_information, reason)
    return Result(State.DUE, f"{words} ({reason})", now + timedelta(seconds=LONGEST_WAIT), is_counted=False)


def not_yet(error: standing.NotYet, job: FetchJob, now: datetime) -> Result:
    """Asked again as long as the authorization is new; nothing is concluded from an answer that early."""
    result = later(job, error.reason, now)
    if result.not_before and result.not_before < owner(job).created_at + standing.SETTLING:
        return result
    return Result(State.FAILED, error.reason)


def failed(words: str) -> Callable[[Exception, FetchJob, datetime], Result]:
    """A judge for errors that trying again does not heal; `{}` stands for the error's own reason."""

    def judge(error: Exception, job: FetchJob, now: datetime) -> Result:
        return Result(State.FAILED, words.format(getattr(error, "reason", "") or str(error)).strip())

    return judge


def refused(error: client.Refused, job: FetchJob, now: datetime) -> Result:
    """PG&E answers 400 "Invalid Certificate" to a client without the registered one (contract §8.2)."""
    if "certificate" in error.reason.lower():
        return our_credentials(error, job, now)
    if "date range too large" in error.reason.lower() and (halves := smaller(job, now)):
        return Result(State.SUPERSEDED, f"The period was too long; it is asked for in {len(halves)} parts.")
    return Result(State.FAILED, f"The utility refused the request. {error.reason}")


def smaller(job: FetchJob, now: datetime) -> list[FetchJob]:
    """The same window in smaller parts, where the utility has a way (PG&E contract §8.1)."""
    if job.authorization is None:
        return []
    app = job.application_information
    request = PlannedRequest(job.kind, job.url, job.token_class, job.window_start, job.window_end)
    return enqueue_planned(job.authorization, utilities.get(app.utility).smaller_requests(app, request), now=now)


def ended(error: tokens.NotAllowed, job: FetchJob, now: datetime) -> Result:
    """No permission any more. A refused refresh may mean that sharing was stopped there: the utility is asked."""
    if error.reason == tokens.REFUSED and job.authorization is not None:
        enqueue_status(job.authorization, now=now)
    return Result(State.FAILED, getattr(error, "reason", ""))


JUDGES: tuple[tuple[type[Exception], Callable[[Any, FetchJob, datetime], Result]], ...] = (
    (client.NotReady, not_ready),
    (client.Throttled, throttled),
    (client.Unavailable, unavailable),
    (client.Incomplete, incomplete),
    (client.Unauthorized, unauthorized),
    (client.WrongTokenClass, wrong_class),
    (client.Gone, failed("The utility no longer has this file.")),
    (client.TooLarge, failed("The file is larger than we accept.")),
    (client.Unproven, unproven),
    (client.Refused, refused),
    (session.AddressRefused, unproven),
    (session.CertificateUnusable, our_credentials),
    (atom.DocumentRefused, failed("The file could not be used. {}")),
    (standing.NotYet, not_yet),
    (standing.NotAnAuthorization, failed("{}")),
    (tokens.NotAllowed, ended),
    (oauth.InvalidClient, our_credentials),
    (oauth.TokenRefused, refused_to_renew),
    (oauth.TokenThrottled, throttled),
    (oauth.TokenUnavailable, unavailable),
    (oauth.NoConnection, unavailable),
    (tokens.Busy, unavailable),
    (oauth.UnprovenServer, unproven),
    (oauth.UntrustedAddress, failed("The address is not one of this utility's. {}")),
    (oauth.TokenError, not_understood),
    (RevocationRefused, failed("We could not end the sharing on the utility's side. {}")),
)


# --- The sweep, and the tasks ---------------------------------------------------------------------------------------


def sweep(now: datetime) -> int:
    """Wake workers up for every job that is due; how many. Runs on a schedule, and may run twice at once."""
    ids = list(FetchJob.objects.filter(due(now)).order_by("not_before").values_list("pk", flat=True)[:SWEEP_LIMIT])
    for first in range(0, len(ids), BATCH):
        if not publish(run_fetch_jobs, job_ids=ids[first : first + BATCH]):
            break
    return len(ids)


@shared_task
def run_fetch_job(*, job_id: int, **kwargs: Any) -> None:
    """One attempt at one job."""
    run(job_id, now=timezone.now())


@shared_task
def run_fetch_jobs(*, job_ids: list[int], **kwargs: Any) -> None:
    """One attempt at each job of a batch; what there is no time for is found by the next sweep."""
    began = time.monotonic()
    for job_id in job_ids:
        if time.monotonic() - began > BATCH_SECONDS:
            return
        run(job_id, now=timezone.now())
