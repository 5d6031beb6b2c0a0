"""Claiming: a worker takes a job for one lease and renews it; a worker that died loses it, and the sweep finds the row."""

import logging
import threading
import time
import uuid
from contextlib import suppress
from datetime import datetime, timedelta
from typing import IO, Any, Self

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import F, Q, QuerySet

from espi.models import FetchJob
from portal.flows import circuits

log = logging.getLogger(__name__)

State = FetchJob.State
LEASE = timedelta(seconds=settings.JOB_LEASE_SECONDS)
RENEW_EVERY = settings.JOB_LEASE_RENEWED_EVERY_SECONDS
MOST_ATTEMPTS = 8  # of those that crash, or meet what we do not know


class Clock:
    """`now` as the flow was given it, moving on while the work takes its time."""

    def __init__(self, now: datetime) -> None:
        self.began, self.ticks = now, time.monotonic()

    def now(self) -> datetime:
        return self.began + timedelta(seconds=self.passed())

    def passed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.ticks


def due(now: datetime) -> Q:
    """Jobs to be run now: their time has come, their worker is gone, or no notification ever came."""
    return (
        Q(state=State.DUE, not_before__lte=now)
        | Q(state=State.RUNNING, lease_expires_at__lt=now)
        | Q(state=State.AWAITING_NOTIFICATION, not_before__lte=now)
    )


def claim(job_id: int, *, now: datetime) -> FetchJob | None:
    """Take a due job for one lease; None when it is not due, its circuit is open, or somebody else was faster.

    A job that has used up its attempts (a file that kills every worker, say) is closed instead.
    """
    mine = FetchJob.objects.filter(due(now), circuits.closed(now), pk=job_id)
    taken: dict[str, Any] = {
        "state": State.RUNNING,
        "attempts": F("attempts") + 1,
        "lease_expires_at": now + LEASE,
        "claim": uuid.uuid4(),
    }
    if not mine.update(**taken):
        return None
    related = ("application_information__circuit", "authorization__subscription")
    job = FetchJob.objects.select_related(*related).filter(pk=job_id, claim=taken["claim"]).first()
    return None if job is None or is_worn_out(job, now) else job


def is_worn_out(job: FetchJob, now: datetime) -> bool:
    """Whether a job just claimed had used up its attempts; then it is closed."""
    if job.attempts <= MOST_ATTEMPTS:
        return False
    closed = {"state": State.FAILED, "attempts": MOST_ATTEMPTS, "reason": gave_up(""), "finished_at": now}
    held(job).update(**closed, lease_expires_at=None)
    return True


def gave_up(reason: str) -> str:
    """Words for a job without attempts left."""
    return f"We tried {MOST_ATTEMPTS} times without success. {reason}".strip()


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
        """Another lease from now. Raises Taken when the job is no longer ours."""
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
            except (DatabaseError, InterfaceError) as error:
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
