"""Readings -> rows: one channel, one local day, one interval length; and the merge of two such rows. Pure functions.

What fits no grid becomes a Single: months, 0 seconds, less than a minute, starts beside the grid, lengths that do not
divide the day.
Of two values for the same time the one published later wins; when both were published at once, the one read last.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from espi import numbers
from espi.resources import Columns
from espi.usage import day_start

# Larger values could overflow the total of a day of one-minute readings.
LARGEST = 2**52
_SHORTEST = 60  # seconds; a grid of seconds would be mostly holes
_CELLS_AT_ONCE = 200_000
_SPARE_DIGITS = 6  # of a channel whose values come with a decimal point


class Publication(NamedTuple):
    """When the utility said something. Not `is_told`: its document does not say, so it is when we received it."""

    at: datetime
    is_told: bool


@dataclass(slots=True)
class Day:
    """A row of IntervalBlock. `publications` is per element, None where all elements share `published_at`."""

    meter_reading_id: int
    local_date: date
    interval_length: int
    start: int
    values: list[int | None]
    costs: list[int | None] | None
    qualities: list[int | None] | None
    tous: list[int | None] | None
    published_at: datetime
    is_told: bool = True
    publications: list[datetime | None] | None = None

    @property
    def key(self) -> tuple[int, date, int]:
        """What tells rows apart."""
        return self.meter_reading_id, self.local_date, self.interval_length

    @property
    def count(self) -> int:
        """Readings that are known."""
        return len(self.values) - self.values.count(None)

    def cells(self) -> Iterator["Cell"]:
        """Each element with all that is known of it."""
        size = len(self.values)
        columns = [column or [None] * size for column in (self.costs, self.qualities, self.tous)]
        pubs = self.publications or [self.published_at] * size
        for value, cost, quality, tou, published_at in zip(self.values, *columns, pubs, strict=True):
            yield Cell(value, cost, quality, tou, published_at)


class Cell(NamedTuple):
    """One element of a Day."""

    value: int | None
    cost: int | None
    quality: int | None
    tou: int | None
    published_at: datetime | None


class Single(NamedTuple):
    """A row of IntervalReading."""

    meter_reading_id: int
    start: int
    duration: int
    local_date: date
    value: int
    cost: int | None
    quality: int | None
    tou: int | None
    published_at: datetime
    is_told: bool

    @property
    def key(self) -> tuple[int, int, int]:
        """What tells rows apart."""
        return self.meter_reading_id, self.start, self.duration


class Change(NamedTuple):
    """A known value that another one replaces."""

    meter_reading_id: int
    start: int
    duration: int
    old: int
    new: int


def cut(
    columns: Columns, *, meter_reading_id: int, zone: ZoneInfo, publication: Publication
) -> Iterator[tuple[list[Day], list[Single]]]:
    """The readings of a block (durations known, values integers) as rows, cut at the midnights of `zone`.

    They come in pieces of bounded size, however thinly readings are spread over days; a row may come in two pieces.
    """
    if not columns.starts:
        return
    cutter = _Cutter(columns, meter_reading_id, zone, publication)
    if columns.starts[0] > columns.starts[-1]:
        cutter.turn()
    for _ in cutter.run():
        yield cutter.days, cutter.singles
        cutter.days, cutter.singles = [], []


class _Cutter:
    def __init__(self, columns: Columns, meter_reading_id: int, zone: ZoneInfo, publication: Publication) -> None:
        self.meter_reading_id, self.zone, self.publication = meter_reading_id, zone, publication
        self.starts: Sequence[int] = columns.starts
        self.durations: Sequence[int] = columns.durations  # type: ignore[assignment]
        self.columns: list[Sequence[Any] | None] = [columns.values, columns.costs, columns.qualities, columns.tous]
        self.days: list[Day] = []
        self.singles: list[Single] = []

    def turn(self) -> None:
        """Newest first becomes oldest first."""
        self.starts, self.durations = self.starts[::-1], self.durations[::-1]
        self.columns = [column and column[::-1] for column in self.columns]

    def run(self) -> Iterator[None]:
        """Fill `days` and `singles`; each step is a piece."""
        step, size = self.durations[0], len(self.starts)
        first = self.starts[0]
        is_regular = step >= _SHORTEST and self.durations.count(step) == size
        if is_regular and self.starts == list(range(first, first + size * step, step)):
            yield from self._runs(step)
        else:
            yield from self._scattered()

    def _runs(self, step: int) -> Iterator[None]:
        """Readings without gap: a slice per local day."""
        index, size = 0, len(self.starts)
        while index < size:
            start = self.starts[index]
            day, low, high = self._day_of(start)
            if (high - low) % step == 0 and (start - low) % step == 0:
                until = min(size, index + (high - start) // step)
                self._slice(day, low, (high - low) // step, index, until)
            else:
                until = min(size, index - (start - high) // step)
                for each in range(index, until):
                    self._single(each, day)
            index = until
        yield

    def _slice(self, day: date, low: int, slots: int, index: int, until: int) -> None:
        step = self.durations[index]
        before = (self.starts[index] - low) // step
        after = slots - before - (until - index)
        if before or after:
            parts = [column and [*[None] * before, *column[index:until], *[None] * after] for column in self.columns]
        else:
            parts = [column and list(column[index:until]) for column in self.columns]
        self.days.append(self._day(day, step, low, parts))

    def _scattered(self) -> Iterator[None]:
        """Readings with gaps, of several lengths or in no order: one by one."""
        rows: dict[tuple[date, int], Day] = {}
        cells = 0
        day, low, high = self._day_of(self.starts[0])
        for index, (start, step) in enumerate(zip(self.starts, self.durations, strict=True)):
            if not low <= start < high:
                day, low, high = self._day_of(start)
            if step < _SHORTEST or (high - low) % step or (start - low) % step or start + step > high:
                self._single(index, day)
                continue
            if (day, step) not in rows:
                slots = (high - low) // step
                if (cells := cells + slots) > _CELLS_AT_ONCE:
                    self.days += rows.values()
                    yield
                    rows, cells = {}, slots
                rows[day, step] = self._day(day, step, low, [column and [None] * slots for column in self.columns])
            row = rows[day, step]
            for target, column in zip((row.values, row.costs, row.qualities, row.tous), self.columns, strict=True):
                if column and target is not None:
                    target[(start - low) // step] = column[index]
        self.days += rows.values()
        yield

    def _day(self, day: date, step: int, low: int, parts: list[Any]) -> Day:
        values, costs, qualities, tous = parts
        key = (self.meter_reading_id, day, step)
        return Day(*key, low, values, costs, qualities, tous, self.publication.at, self.publication.is_told)

    def _single(self, index: int, day: date) -> None:
        value, cost, quality, tou = (column[index] if column else None for column in self.columns)
        start, duration = self.starts[index], self.durations[index]
        key = (self.meter_reading_id, start, duration, day)
        self.singles.append(Single(*key, value, cost, quality, tou, *self.publication))  # type: ignore[arg-type]

    def _day_of(self, start: int) -> tuple[date, int, int]:
        day = datetime.fromtimestamp(start, self.zone).date()
        return day, day_start(day, self.zone), day_start(day + timedelta(days=1), self.zone)


def wins(new_at: datetime | None, old_at: datetime | None) -> bool:
    """Whether what was published at `new_at` replaces what was published at `old_at`."""
    return old_at is None or (new_at is not None and new_at >= old_at)


def combine(old: Day, new: Day) -> Day:
    """Two rows of one key from one document: the same as `merge`, without the changes."""
    if old.published_at != new.published_at or old.publications or new.publications:
        return merge(old, new)[0]
    parts = [
        _laid_over(old_column, new_column, new.values)
        for old_column, new_column in (
            (old.values, new.values),
            (old.costs, new.costs),
            (old.qualities, new.qualities),
            (old.tous, new.tous),
        )
    ]
    values, costs, qualities, tous = parts
    return replace(old, values=values, costs=costs, qualities=qualities, tous=tous, is_told=old.is_told or new.is_told)


def _laid_over(old: list | None, new: list | None, new_values: list) -> Any:
    """A column of two rows said at once: the new row's element wherever the new row has a value."""
    if old is None and new is None:
        return None
    size = len(new_values)
    old, new = old or [None] * size, new or [None] * size
    return _or_none([a if value is None else b for a, b, value in zip(old, new, new_values, strict=True)])


def merge(old: Day, new: Day) -> tuple[Day, list[Change], int]:
    """Two rows of the same key, element by element: the merged row, values that changed, number of values added."""
    changes: list[Change] = []
    cells: list[Cell] = []
    added = 0
    for index, (before, after) in enumerate(zip(old.cells(), new.cells(), strict=True)):
        cell = _winner(before, after, is_told=new.is_told)
        cells.append(cell)
        if before.value is None:
            added += cell.value is not None
        elif cell.value != before.value:
            start = new.start + index * new.interval_length
            changes.append(Change(new.meter_reading_id, start, new.interval_length, before.value, cell.value or 0))
    return _row(replace(old, is_told=old.is_told or new.is_told), cells), changes, added


def _winner(old: Cell, new: Cell, *, is_told: bool) -> Cell:
    if new.value is None:
        return old
    if old.value is None:
        return new
    if not is_told and old[:4] == new[:4]:
        return old  # said again, without a time: nothing new
    return new if wins(new.published_at, old.published_at) else old


def _row(day: Day, cells: list[Cell]) -> Day:
    values, costs, qualities, tous, published = (list(column) for column in zip(*cells, strict=True))
    known = {each for each, value in zip(published, values, strict=True) if value is not None}
    is_mixed = len(known) > 1
    return replace(
        day,
        values=values,
        costs=_or_none(costs),
        qualities=_or_none(qualities),
        tous=_or_none(tous),
        published_at=max(each for each in known if each) if known else day.published_at,
        publications=[e if v is not None else None for e, v in zip(published, values, strict=True)]
        if is_mixed
        else None,
    )


def _or_none(column: list[Any]) -> list[Any] | None:
    return column if any(each is not None for each in column) else None


def fitting_multiplier(values: Sequence[int | Decimal], multiplier: int) -> int:
    """A multiplier at which every value is an integer; with digits to spare where there are decimals."""
    digits = [-int(value.as_tuple().exponent) for value in values if isinstance(value, Decimal)]
    return multiplier - max(_SPARE_DIGITS, *digits) if digits else multiplier


def scaled(values: Sequence[int | Decimal], exponent: int) -> list[int] | None:
    """Every value times 10 ** exponent, exactly; None when one would not be an integer."""
    if exponent == 0 and not any(isinstance(value, Decimal) for value in values):
        return list(values)  # type: ignore[arg-type]
    factor = Decimal(1).scaleb(exponent)
    found = [numbers.EXACT.multiply(Decimal(value), factor) for value in values]
    return [int(value) for value in found] if all(value == int(value) for value in found) else None
