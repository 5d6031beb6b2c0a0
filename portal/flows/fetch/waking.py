"""Wake-ups: Celery messages that carry ids. The row is the truth; losing a message costs a sweep."""

import logging
from collections.abc import Sequence
from typing import Any

from celery import current_app

log = logging.getLogger(__name__)

RUN_JOBS = "portal.run_fetch_jobs"


def wake(job_ids: Sequence[int], countdown: float = 0) -> bool:
    """Wake a worker for these jobs; whether the broker took it."""
    return publish(RUN_JOBS, countdown=countdown, job_ids=list(job_ids))


def publish(task: str, *, countdown: float = 0, **kwargs: Any) -> bool:
    """Send a wake-up; whether the broker took it. It is never waited for longer than its socket's time-out."""
    try:
        current_app.send_task(task, kwargs=kwargs, countdown=countdown or None, expires=countdown + 120, retry=False)
    except Exception as error:  # whatever is wrong with the broker, the row is safe
        log.warning("wake-up not sent: task=%s cause=%s", task, type(error).__name__)
        return False
    return True
