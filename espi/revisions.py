"""The audit trail, read for people: what was said of readings beside what stands.

of_channel(channel, zone, first_date, end_date)    -> Revision, in order of start and duration
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet

from espi import models
from espi.usage import Channel
from espi.zones import day_start

Place = tuple[int, int, int]  # start, duration and number of a revision: where to go on
_AT_ONCE = 1000
_STATEMENT = ("value", "cost", "quality", "tou", "tier", "cpp", "published_at")
_COLUMNS = (
    "pk",
    "start",
    "duration",
    "meter_reading__power_of_ten_multiplier",
    "revised_at",
    *(f"{side}_{name}" for side in ("old", "new") for name in _STATEMENT),
)


class Statement(NamedTuple):
    """What a document said of a reading: `cost` in hundred-thousandths of the channel's currency."""

    value: int
    cost: int | None
    quality: int | None
    tou: int | None
    tier: int | None
    cpp: int | None
    published_at: datetime | None


class Revision(NamedTuple):
    """A reading of which two things were said. `old` does not hold; `new` held when this was noted, at `revised_at`.

    `start` in epoch seconds, values at `multiplier` (a power of ten) of the channel's unit.
    """

    number: int
    start: int
    duration: int
    multiplier: int
    revised_at: datetime
    old: Statement
    new: Statement

    @property
    def place(self) -> Place:
        """Where to go on: `after` of `of_channel`."""
        return self.start, self.duration, self.number


def of_channel(
    channel: Channel, zone: ZoneInfo, first_date: date, end_date: date, *, after: Place | None = None
) -> Iterator[Revision]:
    """Of the readings that begin on local days from `first_date` up to and without `end_date`; a few at a time."""
    rows = models.IntervalRevision.objects.filter(
        meter_reading=channel.id, start__gte=day_start(first_date, zone), start__lt=day_start(end_date, zone)
    )
    while True:
        piece = list(_behind(rows, after).order_by("start", "duration", "pk").values_list(*_COLUMNS)[:_AT_ONCE])
        found = [_revision(*row) for row in piece]
        yield from found
        if len(found) < _AT_ONCE:
            return
        after = found[-1].place


def _behind(rows: QuerySet[models.IntervalRevision], after: Place | None) -> QuerySet[models.IntervalRevision]:
    if after is None:
        return rows
    start, duration, number = after
    later = (
        Q(start__gt=start) | Q(start=start, duration__gt=duration) | Q(start=start, duration=duration, pk__gt=number)
    )
    return rows.filter(later, start__gte=start)


def _revision(number: int, start: int, duration: int, multiplier: int, revised_at: datetime, *said: object) -> Revision:
    middle = len(_STATEMENT)
    old, new = Statement._make(said[:middle]), Statement._make(said[middle:])
    return Revision(number, start, duration, multiplier, revised_at, old, new)
