"""Sweeping: whatever is due and nobody works on is woken up again, a registration at a time, in batches of ids.

The sweep marks what it wakes (`woken_at`), so that neither the next sweep nor another scheduler's sends it once more
while the message waits in its queue. A message that got lost is sent again after WOKEN_FOR.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from espi.models import ApplicationInformation, FetchJob
from portal.flows.fetch.waking import INTERACTIVE, queue_of, wake

WOKEN_FOR = timedelta(seconds=2.5 * settings.SWEEP_SECONDS)
MOST_AT_ONCE = 10_000  # of one registration, in one sweep
BATCH = {INTERACTIVE: 10}  # jobs that one message wakes, by queue: what a person waits for is spread over workers
LARGE_BATCH = 100

# Few rows are open, and of those few are due: both parts read nothing but a small index (FetchJob.Meta).
# Its values: registration, now, when an earlier wake-up counts as lost, the most, now.
DUE = """
    WITH chosen AS (
        SELECT id FROM espi_fetchjob
        WHERE application_information_id = %s AND state IN ('due', 'awaiting_notification') AND not_before <= %s
            AND (woken_at IS NULL OR woken_at <= %s)
        ORDER BY priority, not_before, id LIMIT %s
        FOR UPDATE SKIP LOCKED
    )
    UPDATE espi_fetchjob AS job SET woken_at = %s FROM chosen WHERE job.id = chosen.id
    RETURNING job.id, job.priority
"""


def sweep(now: datetime) -> int:
    """Wake workers up for every job that is due; how many. Runs on a schedule, and may run twice at once."""
    lapsed = FetchJob.objects.filter(state=FetchJob.State.RUNNING, lease_expires_at__lt=now)
    found = dispatch(lapsed.order_by("lease_expires_at").values_list("pk", "priority")[:MOST_AT_ONCE])
    for app_id in ApplicationInformation.objects.values_list("pk", flat=True):
        found += dispatch(take(app_id, MOST_AT_ONCE, now=now))
    return found


def take(app_id: int, most: int, *, now: datetime) -> list[tuple[int, int]]:
    """Mark at most so many due jobs of a registration as woken: (id, priority), what matters most first."""
    with connection.cursor() as cursor:
        cursor.execute(DUE, [app_id, now, now - WOKEN_FOR, most, now])
        return sorted(cursor.fetchall(), key=lambda row: (row[1], row[0]))


def dispatch(jobs: Iterable[tuple[int, int]]) -> int:
    """Send wake-ups for (id, priority), a batch a message; how many jobs the broker was given."""
    queues: dict[str, list[int]] = defaultdict(list)
    for id_, priority in jobs:
        queues[queue_of(priority)].append(id_)
    sent = 0
    for queue, ids in queues.items():
        size = BATCH.get(queue, LARGE_BATCH)
        for batch in (ids[first : first + size] for first in range(0, len(ids), size)):
            if not wake(batch, queue=queue, expires=WOKEN_FOR.total_seconds()):
                return sent
            sent += len(batch)
    return sent
