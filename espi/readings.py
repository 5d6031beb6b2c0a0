"""All readings of a channel, one after another: in constant memory, however many years there are.

Rows are read in small pieces, each with a query of its own, so that whoever takes the readings may take his time:
nothing is held open in the database meanwhile. Each piece tells at which multiplier its values stand.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from heapq import merge
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from espi import models
from espi.usage import Channel
from espi.zones import day_start

_DAYS_AT_ONCE = 32
_SINGLES_AT_ONCE = 5000
_MULTIPLIER = "meter_reading__power_of_ten_multiplier"
_ARRAYS = ("values", "costs", "qualities", "tous", "tiers", "cpps", "published_at", "publications")
_SINGLE = ("start", "duration", "value", "cost", "quality", "tou", "tier", "cpp", "published_at")
Place = tuple[int, int]  # start and duration of a reading: what tells readings of a channel apart


class Rewritten(Exception):
    """The channel's values were brought to another multiplier while they were read; reading them again helps."""


class Stored(NamedTuple):
    """A reading as it is kept: `start` in epoch seconds, `value` at the channel's multiplier, `cost` in
    hundred-thousandths of its currency. `published_at` is when the utility said it.
    """

    start: int
    duration: int
    value: int
    cost: int | None
    quality: int | None
    tou: int | None
    tier: int | None
    cpp: int | None
    published_at: datetime | None

    @property
    def place(self) -> Place:
        """Where to go on: `after` of `of_channel`."""
        return self.start, self.duration


def of_channel(
    channel: Channel, zone: ZoneInfo, first_date: date, end_date: date, *, after: Place | None = None
) -> Iterator[Stored]:
    """What begins on the local days from `first_date` up to and without `end_date`, in order of start and duration.

    Registers and demands too; of a channel in several interval lengths all of them. With `after` those behind that
    place. Raises Rewritten.
    """
    span = (day_start(first_date, zone), day_start(end_date, zone))
    if after:
        first_date = max(first_date, datetime.fromtimestamp(after[0], zone).date())
    days = (first_date, end_date)
    streams = [_on_grid(channel, length, days) for length in channel.interval_lengths]
    streams.append(_off_grid(channel, span, after))
    together = merge(*streams, key=itemgetter(0, 1)) if len(streams) > 2 else _in_turn(*streams)
    return (each for each in together if each.place > after) if after else iter(together)


def _in_turn(first: Iterator[Stored], second: Iterator[Stored] | None = None) -> Iterator[Stored]:
    """Both in order; quickly where the second is empty, as it mostly is."""
    if second is None:
        return first
    head = next(second, None)
    return first if head is None else merge(first, chain([head], second), key=itemgetter(0, 1))


def _on_grid(channel: Channel, length: int, days: tuple[date, date]) -> Iterator[Stored]:
    first, end = days
    blocks = models.IntervalBlock.objects.filter(meter_reading=channel.id, interval_length=length, local_date__lt=end)
    while True:
        rows = blocks.filter(local_date__gte=first).order_by("local_date")
        piece = list(rows.values_list(_MULTIPLIER, "local_date", "start", *_ARRAYS)[:_DAYS_AT_ONCE])
        for multiplier, _, start, *arrays in piece:
            _check(channel, multiplier)
            yield from _elements(start, length, *arrays)
        if len(piece) < _DAYS_AT_ONCE:
            return
        first = piece[-1][1] + timedelta(days=1)


def _elements(start: int, length: int, values: list[int | None], *others: Any) -> Iterator[Stored]:
    *columns, published_at, publications = others
    size = len(values)
    columns = [column or [None] * size for column in columns]
    said = publications or [published_at] * size
    for place, value, *rest in zip(range(start, start + size * length, length), values, *columns, said, strict=True):
        if value is not None:
            yield Stored(place, length, value, *rest)


def _off_grid(channel: Channel, span: tuple[int, int], after: Place | None) -> Iterator[Stored]:
    singles = models.IntervalReading.objects.filter(meter_reading=channel.id, start__lt=span[1])
    last = after or (span[0], -1)
    while True:
        start, duration = last
        rows = singles.filter(start__gte=max(start, span[0])).exclude(start=start, duration__lte=duration)
        columns = rows.order_by("start", "duration").values_list(_MULTIPLIER, *_SINGLE)
        piece = list(columns[:_SINGLES_AT_ONCE])
        for multiplier, *single in piece:
            _check(channel, multiplier)
            yield Stored(*single)
        if len(piece) < _SINGLES_AT_ONCE:
            return
        last = piece[-1][1:3]


def _check(channel: Channel, multiplier: int) -> None:
    if multiplier != channel.multiplier:
        raise Rewritten
