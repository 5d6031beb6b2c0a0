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
from portal.flows import budgets, circuits
from portal.flows.fetch.waking import INTERACTIVE, PROBE, publish, queue_of, wake
from portal.models import Circuit

WOKEN_FOR = timedelta(seconds=2.5 * settings.SWEEP_SECONDS)
MOST_AT_ONCE = 10_000  # of one registration, in one sweep
BATCH = {INTERACTIVE: 10}  # jobs that one message wakes, by queue: what a person waits for is spread over workers
LARGE_BATCH = 100
SHARE_OF_RETRIES = 10  # one retry for ten fresh jobs, while calls fail here and there

Job = tuple[int, int]  # its id and its priority

# Few rows are open, and of those few are due: what is due is found in a small index (FetchJob.Meta). The rows are locked,
# so they are marked where they stand (ctid), without looking for their ids among all jobs.
# Its values: registration, now, when an earlier wake-up counts as lost, retries (twice), the most,
# now.
DUE = """
    WITH chosen AS (
        SELECT ctid FROM espi_fetchjob
        WHERE application_information_id = %s AND state IN ('due', 'awaiting_notification') AND not_before <= %s
            AND (woken_at IS NULL OR woken_at <= %s)
            AND (%s::boolean IS NULL OR (attempts > 0 OR held_up_since IS NOT NULL) = %s)
        ORDER BY priority, not_before, id LIMIT %s
        FOR UPDATE SKIP LOCKED
    )
    UPDATE espi_fetchjob AS job SET woken_at = %s FROM chosen WHERE job.ctid = chosen.ctid
    RETURNING job.id, job.priority
"""


def sweep(now: datetime) -> int:
    """Wake workers up for every job that is due; how many. Runs on a schedule, and may run twice at once."""
    lapsed = FetchJob.objects.filter(state=FetchJob.State.RUNNING, lease_expires_at__lt=now)
    found = dispatch(lapsed.order_by("lease_expires_at").values_list("pk", "priority")[:MOST_AT_ONCE])
    for app in ApplicationInformation.objects.select_related("circuit"):
        found += dispatch(chosen(app, now))
    return found


def chosen(app: ApplicationInformation, now: datetime) -> list[Job]:
    """The due jobs of a registration that may run now, as its circuit stands."""
    circuit = circuits.of(app)
    if circuit.opened_at:
        return probe(circuit, now)
    most = budgets.room(app, circuits.room(circuit, MOST_AT_ONCE, now=now), now=now)
    if not circuits.is_unsteady(circuit):
        return take(app.pk, most, now=now)
    fresh = take(app.pk, most, now=now, retries=False)
    return fresh + take(app.pk, max(1, len(fresh) // SHARE_OF_RETRIES), now=now, retries=True)


def probe(circuit: Circuit, now: datetime) -> list[Job]:
    """One job, when it is time to try an open circuit; our credentials are tried by asking for a token instead."""
    if not circuits.take_probe(circuit, now=now):
        return []
    if circuit.cause == Circuit.Cause.CREDENTIALS:
        publish(PROBE, application_information_id=circuit.pk)
        return []
    jobs = take(circuit.pk, 1, now=now)
    for id_, _ in jobs:
        circuits.probe_with(circuit, id_)
    return jobs


def take(app_id: int, most: int, *, now: datetime, retries: bool | None = None) -> list[Job]:
    """Mark at most so many due jobs of a registration as woken, what matters most first. `retries`: only, or none."""
    with connection.cursor() as cursor:
        cursor.execute(DUE, [app_id, now, now - WOKEN_FOR, retries, retries, most, now])
        return sorted(cursor.fetchall(), key=lambda row: (row[1], row[0]))


def dispatch(jobs: Iterable[Job]) -> int:
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
