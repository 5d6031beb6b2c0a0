"""The task a wake-up calls: attempts at the jobs it names."""

import time
from typing import Any

from celery import shared_task
from django.utils import timezone
from structlog.contextvars import bound_contextvars

from portal.flows.fetch.probing import probe
from portal.flows.fetch.running import run
from portal.flows.fetch.waking import PROBE, RUN_JOBS

BATCH_SECONDS = 60  # then no other job is begun: it could not be ended within CELERY_TASK_TIME_LIMIT


@shared_task(name=RUN_JOBS)
def run_fetch_jobs(*, job_ids: list[int], **kwargs: Any) -> None:
    """One attempt at each job of a batch; what there is no time for is found by the next sweep."""
    began = time.monotonic()
    for job_id in job_ids:
        if time.monotonic() - began > BATCH_SECONDS:
            return
        with bound_contextvars(job_id=job_id):  # every line that is logged meanwhile names it
            run(job_id, now=timezone.now())


@shared_task(name=PROBE)
def probe_credentials(*, application_information_id: int, **kwargs: Any) -> None:
    """Whether a utility accepts our credentials again."""
    probe(application_information_id, now=timezone.now())
