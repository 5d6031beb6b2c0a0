"""Every Celery task of the portal, where Celery looks for them, and the sweep. The schedule is in the settings."""

from typing import Any

from celery import shared_task
from django.utils import timezone

from portal.flows import fetch, notify
from portal.flows.fetch import run_fetch_job, run_fetch_jobs
from portal.flows.notify import resolve_notifications
from portal.flows.returning import heal

__all__ = ["heal", "resolve_notifications", "run_fetch_job", "run_fetch_jobs", "sweep"]


@shared_task
def sweep(**kwargs: Any) -> None:
    """Wake workers up for every notification and every job that waits for one. It may run twice at once."""
    now = timezone.now()
    notify.sweep()
    fetch.sweep(now)
