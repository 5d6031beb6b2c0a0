"""Readings as stretches of time: which of them count where several lengths tell of the same hours. No database."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from espi import models

Sums = tuple[int, int | None, int, int]


class Span(NamedTuple):
    """A reading in its place: `start` in epoch seconds, `duration` in seconds; values are integers."""

    start: int
    duration: int
    value: int
    cost: int | None = None
    quality: int | None = None
    tou: int | None = None
    tier: int | None = None
    cpp: int | None = None


class Grid(NamedTuple):
    """The columns of an IntervalBlock that tell its values."""

    interval_length: int
    start: int
    values: list[int | None]
    count: int  # type: ignore[assignment]  # tuples have a method of that name


def values_of(block: Grid) -> Iterator[Span]:
    """The readings of a block that are known, their values alone."""
    for index, value in enumerate(block.values):
        if value is not None:
            yield Span(block.start + index * block.interval_length, block.interval_length, value)


def spans_of(block: models.IntervalBlock) -> list[Span]:
    """The readings of a block that are known, with all that is told of them."""
    nothing = [None] * len(block.values)
    others = (block.costs, block.qualities, block.tous, block.tiers, block.cpps)
    columns = zip(block.values, *(column or nothing for column in others), strict=True)
    return [
        Span(block.start + index * block.interval_length, block.interval_length, value, *rest)
        for index, (value, *rest) in enumerate(columns)
        if value is not None
    ]


def finest(spans: list[Span]) -> list[Span]:
    """Without the readings that cover hours which a finer reading of the same channel tells."""
    kept: list[Span] = []
    for duration in sorted({span.duration for span in spans}):
        finer = Covered((span.start, span.start + span.duration) for span in kept if span.duration)
        kept += [span for span in spans if span.duration == duration and not finer.overlaps(span)]
    return kept


class Covered:
    """Stretches of time, overlapping ones as one: whether a span shares any with them."""

    def __init__(self, stretches: Iterable[tuple[int, int]]) -> None:
        """Each from and until, in epoch seconds."""
        self.starts: list[int] = []
        self.stops: list[int] = []
        for start, stop in sorted(stretches):
            if self.stops and start < self.stops[-1]:
                self.stops[-1] = max(stop, self.stops[-1])
            else:
                self.starts.append(start)
                self.stops.append(stop)

    def overlaps(self, span: Span) -> bool:
        """Stretches that only touch share nothing."""
        place = bisect_right(self.stops, span.start)
        return place < len(self.starts) and self.starts[place] < span.start + span.duration


def sums_of(spans: list[Span]) -> Sums:
    """Value, cost if any is told, number of readings, and the seconds they cover."""
    costs = [span.cost for span in spans if span.cost is not None]
    covered = sum(span.duration for span in spans)
    return sum(span.value for span in spans), sum(costs) if costs else None, len(spans), covered
