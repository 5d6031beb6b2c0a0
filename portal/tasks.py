"""Every Celery task of the portal, where Celery looks for them, and the sweep. The schedule is in the settings."""

import logging
from typing import Any

from celery import shared_task
from django.utils import timezone

from portal.acceptance import running
from portal.acceptance.running import run_acceptance_parts
from portal.flows import alerts, fetch, idle, leaving, notify, telling
from portal.flows import purge as purging
from portal.flows.exporting import prepare_exports
from portal.flows.fetch import probe_credentials, run_fetch_jobs
from portal.flows.mailing import send_letters
from portal.flows.notify import resolve_notifications
from portal.flows.returning import heal
from portal.flows.staffing import ending

__all__ = [
    "heal",
    "plan",
    "prepare_exports",
    "probe_credentials",
    "purge",
    "resolve_notifications",
    "review",
    "run_acceptance_parts",
    "run_fetch_jobs",
    "send_letters",
    "sweep",
    "watch",
]

log = logging.getLogger(__name__)


@shared_task
def sweep(**kwargs: Any) -> None:
    """Wake workers up for every notification, job and acceptance test that waits for one. It may run twice at once."""
    now = timezone.now()
    notify.sweep()
    fetch.sweep(now)
    running.sweep(now)


@shared_task
def plan(**kwargs: Any) -> None:
    """Ask for the news of every connection whose time has come. Every minute; it may run twice at once."""
    fetch.plan(timezone.now())


@shared_task
def review(**kwargs: Any) -> None:
    """Look for connections and credentials that lie idle, or end soon, and for customers to remind. Once an hour."""
    now = timezone.now()
    idle.review(now)
    ending.tell(now)
    telling.remind(now)
    leaving.finish(now)


@shared_task
def watch(**kwargs: Any) -> None:
    """Tell staff and customers what they were not told yet. Every minute."""
    now = timezone.now()
    alerts.send_mails(now)
    telling.tell(now)


@shared_task
def purge(**kwargs: Any) -> None:
    """Let go of what nobody needs any more. Once a day."""
    log.info("purged: %s", purging.purge(timezone.now()))
