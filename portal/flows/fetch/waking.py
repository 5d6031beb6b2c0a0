"""Wake-ups: Celery messages that carry ids. The row is the truth; losing a message costs a sweep."""

import logging
from collections.abc import Sequence
from typing import Any

from celery import current_app

from espi.models import FetchJob

log = logging.getLogger(__name__)

RUN_JOBS = "portal.run_fetch_jobs"
PROBE = "portal.probe_credentials"
EXPIRES_AFTER = 120  # seconds: by then a sweep has found the row
# The queues (settings.CELERY_TASK_QUEUES): what a person waits for stands behind no download, and no download behind
# what nobody waits for.
INTERACTIVE, DOWNLOADS, HOUSEKEEPING = "interactive", "downloads", "housekeeping"


def queue_of(priority: int) -> str:
    """Which queue a job of this priority is woken up through."""
    if priority <= FetchJob.Priority.FIRST_DATA:
        return INTERACTIVE
    return DOWNLOADS if priority < FetchJob.Priority.UPKEEP else HOUSEKEEPING


def wake(job_ids: Sequence[int], *, queue: str = DOWNLOADS, countdown: float = 0, expires: float = 0) -> bool:
    """Wake a worker for these jobs; whether the broker took it."""
    return publish(RUN_JOBS, queue=queue, countdown=countdown, expires=expires, job_ids=list(job_ids))


def publish(task: str, *, queue: str = INTERACTIVE, countdown: float = 0, expires: float = 0, **kwargs: Any) -> bool:
    """Send a wake-up; whether the broker took it. It is never waited for longer than its socket's time-out."""
    until = countdown + (expires or EXPIRES_AFTER)
    try:
        current_app.send_task(task, kwargs=kwargs, queue=queue, countdown=countdown or None, expires=until, retry=False)
    except Exception as error:  # whatever is wrong with the broker, the row is safe
        log.warning("wake-up not sent: task=%s cause=%s", task, type(error).__name__)
        return False
    return True
