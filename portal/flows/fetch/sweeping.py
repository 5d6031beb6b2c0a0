"""Sweeping: whatever is due and nobody works on is woken up again."""

from datetime import datetime

from espi.models import FetchJob
from portal.flows.fetch.claiming import due
from portal.flows.fetch.waking import wake

SWEEP_LIMIT = 1000
BATCH = 10


def sweep(now: datetime) -> int:
    """Wake workers up for every job that is due; how many. Runs on a schedule, and may run twice at once."""
    ids = list(FetchJob.objects.filter(due(now)).order_by("not_before").values_list("pk", flat=True)[:SWEEP_LIMIT])
    for first in range(0, len(ids), BATCH):
        if not wake(ids[first : first + BATCH]):
            break
    return len(ids)
