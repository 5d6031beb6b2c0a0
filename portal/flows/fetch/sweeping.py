"""Sweeping: whatever is due and nobody works on is woken up again, in batches of ids.

The sweep marks what it wakes (`woken_at`), so that neither the next sweep nor another scheduler's sends it once more
while the message waits in its queue. A message that got lost is sent again after WOKEN_FOR. One that only waits still
holds then: workers do not stand idle until the next sweep. The second finds nothing left to claim.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain, zip_longest

from django.conf import settings

from espi.models import ApplicationInformation, FetchJob
from portal.flows import budgets, circuits
from portal.flows.fetch.marking import LONGEST_UNTRIED, SHARE_OF_RETRIES, WOKEN_FOR, Job, take
from portal.flows.fetch.waking import INTERACTIVE, PROBE, publish, queue_of, wake
from portal.models import Circuit

HOLDS_FOR = WOKEN_FOR + timedelta(seconds=2 * settings.SWEEP_SECONDS)  # by then another message is there
MOST_AT_ONCE = 10_000  # of one registration, in one sweep
LARGE_BATCH, LARGE_BATCH_FOR_PEOPLE = 100, 10  # jobs that one message wakes at most; the latter, where a person waits
# One message is one process's work. There is no knowing how many processes there are: so many messages, as long as there
# are jobs for them, give each its share and the last no long rest.
MESSAGES = 100

Message = tuple[str, list[int]]  # a queue, and the ids of jobs


def sweep(now: datetime) -> int:
    """Wake workers up for every job that is due; how many. Runs on a schedule, and may run twice at once."""
    lapsed = FetchJob.objects.filter(state=FetchJob.State.RUNNING, lease_expires_at__lt=now)
    found = [list(lapsed.order_by("lease_expires_at").values_list("pk", "priority")[:MOST_AT_ONCE])]
    found += [chosen(app, now) for app in ApplicationInformation.objects.select_related("circuit")]
    return dispatch(found)


def chosen(app: ApplicationInformation, now: datetime) -> list[Job]:
    """The due jobs of a registration that may run now, as its circuit stands."""
    circuit = circuits.of(app)
    if circuit.opened_at:
        return probe(app, circuit, now)
    most = budgets.room(app, circuits.room(circuit, MOST_AT_ONCE, now=now), now=now)
    if not circuits.is_unsteady(circuit):
        return take(app, most, now=now)
    fresh = take(app, most, now=now, retries=False)
    return fresh + take(app, max(1, len(fresh) // SHARE_OF_RETRIES), now=now, retries=True)


def probe(app: ApplicationInformation, circuit: Circuit, now: datetime) -> list[Job]:
    """One job, when it is time to try an open circuit; our credentials are tried by asking for a token instead."""
    if not circuits.take_probe(circuit, now=now):
        return []
    if circuit.cause == Circuit.Cause.CREDENTIALS:
        publish(PROBE, application_information_id=app.pk)
        return []
    jobs = take(app, 1, now=now, order=LONGEST_UNTRIED)
    for id_, _ in jobs:
        circuits.probe_with(circuit, id_)
    return jobs


def dispatch(found: Sequence[Sequence[Job]]) -> int:
    """Send wake-ups for jobs of several registrations; how many jobs the broker was given.

    The registrations take turns: the last one's first message stands behind one of each other's, not behind all of them.
    """
    sent = 0
    for message in chain.from_iterable(zip_longest(*map(messages, found))):
        if message is None:  # this registration has no more
            continue
        queue, ids = message
        if not wake(ids, queue=queue, expires=HOLDS_FOR.total_seconds()):
            break
        sent += len(ids)
    return sent


def messages(jobs: Sequence[Job]) -> Iterator[Message]:
    """The wake-ups for jobs of one registration, in their order."""
    queues: dict[str, list[int]] = defaultdict(list)
    for id_, priority in jobs:
        queues[queue_of(priority)].append(id_)
    for queue, ids in queues.items():
        size = batch_size(queue, len(ids))
        yield from ((queue, ids[first : first + size]) for first in range(0, len(ids), size))


def batch_size(queue: str, count: int) -> int:
    """How many of so many jobs one message wakes: few while they are few, so that all processes find some to do."""
    most = LARGE_BATCH_FOR_PEOPLE if queue == INTERACTIVE else LARGE_BATCH
    return min(most, -(-count // MESSAGES))
