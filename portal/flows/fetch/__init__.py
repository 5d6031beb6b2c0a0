"""Fetch jobs: asked for, claimed, run, and put back until they are done or a person is needed.

The row is the truth. A Celery message only wakes a worker up and carries ids: losing one costs a sweep, repeating one
finds nothing to claim. A claim is a lease; a worker that died loses it, and the sweep finds the row again.
"""

from portal.flows.fetch.announced import waiting_authorization
from portal.flows.fetch.asking import (
    ask_again,
    cancel,
    drop_revocations,
    enqueue,
    enqueue_checks_of_earlier,
    enqueue_planned,
    enqueue_revocation,
    enqueue_status,
    retry,
)
from portal.flows.fetch.claiming import Lease, Taken, claim
from portal.flows.fetch.planning import begin, begin_what_was_left, enqueue_first, enqueue_news, plan
from portal.flows.fetch.running import run
from portal.flows.fetch.storing import accepted_kinds, standing_authorization
from portal.flows.fetch.sweeping import sweep
from portal.flows.fetch.tasks import probe_credentials, run_fetch_jobs
from portal.flows.fetch.waking import MOST_WAITING, RUN_JOBS, outbox, publish, wake, wake_soon

__all__ = [
    "MOST_WAITING",
    "RUN_JOBS",
    "Lease",
    "Taken",
    "accepted_kinds",
    "ask_again",
    "begin",
    "begin_what_was_left",
    "cancel",
    "claim",
    "drop_revocations",
    "enqueue",
    "enqueue_checks_of_earlier",
    "enqueue_first",
    "enqueue_news",
    "enqueue_planned",
    "enqueue_revocation",
    "enqueue_status",
    "outbox",
    "plan",
    "probe_credentials",
    "publish",
    "retry",
    "run",
    "run_fetch_jobs",
    "standing_authorization",
    "sweep",
    "waiting_authorization",
    "wake",
    "wake_soon",
]
