"""Calling the utility: one request with the class of token its address wants, into a private file."""

from collections.abc import Callable
from datetime import datetime
from typing import IO, BinaryIO, TypeVar, cast

from espi import client
from espi.models import Authorization, FetchJob
from portal.flows import budgets, tokens
from portal.flows.fetch.claiming import Clock, Lease, Watched
from utilities.base import Utility

Answered = TypeVar("Answered")
TokenClass = FetchJob.TokenClass
DOWNLOAD_SECONDS = 15 * 60  # from the beginning of an attempt; settings.CELERY_TASK_TIME_LIMIT leaves time to read


def owner(job: FetchJob) -> Authorization:
    """Whose data the job fetches. Raises NotAllowed when it has none."""
    if job.authorization is None:
        raise tokens.NotAllowed("It belongs to no connection.")
    return job.authorization


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
    budgets.take(app, now=clock.now(), is_urgent=is_urgent(job))
    with utility.gone_or_not_routed(), utility.session(app) as session_there:
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
        return tokens.client(job.application_information, now=now, is_urgent=is_urgent(job))
    if job.token_class == TokenClass.REGISTRATION:
        return job.application_information.registration_access_token
    return tokens.current(owner(job), now=now, is_urgent=is_urgent(job))


def renewed_token(job: FetchJob, rejected: str, now: datetime) -> str:
    """Another token of the same class than the one the utility did not take."""
    if job.token_class == TokenClass.CLIENT:
        return tokens.renewed_client(job.application_information, now=now, rejected=rejected, is_urgent=is_urgent(job))
    return tokens.renewed(owner(job), now=now, rejected=rejected, is_urgent=is_urgent(job))


def is_urgent(job: FetchJob) -> bool:
    """Whether a person waits for it: it may use the part of a budget that is kept for that."""
    return job.priority <= FetchJob.Priority.FIRST_DATA
