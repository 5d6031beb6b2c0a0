"""Readings -> rows: one channel, one local day, one interval length; and the merge of two such rows. Pure functions.

What fits no grid becomes a Single: months, 0 seconds, less than a minute, starts beside the grid, lengths that do not
divide the day.

Of two statements about the same time one that is provisional gives way; of two alike the one published later holds. Of
two published at once in one document the one read last holds; in two documents, the greater one: so what holds in the end
does not depend on which came here first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from espi import numbers
from espi.enums import PROVISIONAL
from espi.resources import Columns
from espi.zones import day_start

# Larger values could overflow the total of a day of one-minute readings.
LARGEST = 2**52
_SHORTEST = 60  # seconds; a grid of seconds would be mostly holes
_CELLS_AT_ONCE = 60_000
_SPARE_DIGITS = 6  # of a channel whose values come with a decimal point
_MOST_DIGITS = 9  # after the point; with more of them, ordinary values would be too large beside it

Column = list[int | None] | None


class Publication(NamedTuple):
    """When the utility said something. Not `is_told`: its document does not say, so it is when we received it."""

    at: datetime
    is_told: bool


class Cell(NamedTuple):
    """What a document says of one time: the content of a reading, when it was published, and in which document."""

    value: int | None
    cost: int | None
    quality: int | None
    tou: int | None
    tier: int | None
    cpp: int | None
    published_at: datetime | None
    document_id: int | None

    @property
    def content(self) -> tuple[int | None, ...]:
        """All but when and where it was said."""
        return self[:6]

    @property
    def is_provisional(self) -> bool:
        """Not validated yet."""
        return self.quality == PROVISIONAL


@dataclass(slots=True)
class Day:
    """A row of IntervalBlock. `columns`: values, costs, qualities, tous, tiers, cpps; a column nobody tells is None.

    `publications` and `documents` are per element, None where all elements share `published_at` and `document_id`.
    """

    meter_reading_id: int
    local_date: date
    interval_length: int
    start: int
    columns: tuple[Column, ...]
    published_at: datetime
    document_id: int | None
    is_told: bool = True
    publications: list[datetime | None] | None = None
    documents: list[int | None] | None = None

    @property
    def key(self) -> tuple[int, date, int]:
        """What tells rows apart."""
        return self.meter_reading_id, self.local_date, self.interval_length

    @property
    def values(self) -> list[int | None]:
        """The column that is never None."""
        return self.columns[0] or []

    @property
    def count(self) -> int:
        """Readings that are known."""
        return len(self.values) - self.values.count(None)

    @property
    def is_mixed(self) -> bool:
        """Whether its elements were said by several documents, or at several times."""
        return self.publications is not None or self.documents is not None

    def cells(self) -> Iterator[Cell]:
        """Each element with all that is known of it."""
        size = len(self.values)
        nothing = [None] * size
        columns = [column or nothing for column in self.columns]
        publications = self.publications or [self.published_at] * size
        documents = self.documents or [self.document_id] * size
        return map(Cell._make, zip(*columns, publications, documents, strict=True))


class Single(NamedTuple):
    """A row of IntervalReading."""

    meter_reading_id: int
    start: int
    duration: int
    local_date: date
    cell: Cell
    is_told: bool

    @property
    def key(self) -> tuple[int, int, int]:
        """What tells rows apart."""
        return self.meter_reading_id, self.start, self.duration


class Change(NamedTuple):
    """Two statements that differ: `lost` is for the audit trail, `held` stands."""

    meter_reading_id: int
    start: int
    duration: int
    lost: Cell
    held: Cell


def cut(
    columns: Columns, *, meter_reading_id: int, zone: ZoneInfo, publication: Publication, document_id: int | None
) -> Iterator[tuple[list[Day], list[Single], list[Change]]]:
    """The readings of a block (durations known, values integers) as rows, cut at the midnights of `zone`.

    They come in pieces of bounded size, however thinly readings are spread over days; a row may come in two pieces. The
    changes are what a row no longer shows: the block said two things of one time.
    """
    if not columns.starts:
        return
    cutter = _Cutter(columns, meter_reading_id, zone, publication, document_id)
    for _ in cutter.run():
        yield cutter.days, cutter.singles, cutter.changes
        cutter.days, cutter.singles, cutter.changes = [], [], []


class _Cutter:
    def __init__(
        self,
        columns: Columns,
        meter_reading_id: int,
        zone: ZoneInfo,
        publication: Publication,
        document_id: int | None,
    ) -> None:
        self.meter_reading_id, self.zone = meter_reading_id, zone
        self.publication, self.document_id = publication, document_id
        self.starts: Sequence[int] = columns.starts
        self.durations: Sequence[int] = columns.durations  # type: ignore[assignment]
        self.columns: list[Sequence[Any] | None] = [
            columns.values,
            columns.costs,
            columns.qualities,
            columns.tous,
            columns.tiers,
            columns.cpps,
        ]
        self.days: list[Day] = []
        self.singles: list[Single] = []
        self.changes: list[Change] = []

    def run(self) -> Iterator[None]:
        """Fill `days`, `singles` and `changes`; each step is a piece."""
        step = self.durations[0]
        if self.starts[0] > self.starts[-1] and self._is_run(step, -step):
            self._turn()
        if self._is_run(step, step):
            yield from self._runs(step)
        else:
            yield from self._scattered()

    def _is_run(self, duration: int, step: int) -> bool:
        """Whether all readings are as long as that, and each starts `step` after the one before."""
        first, size = self.starts[0], len(self.starts)
        is_regular = duration >= _SHORTEST and self.durations.count(duration) == size
        return is_regular and self.starts == list(range(first, first + size * step, step))

    def _turn(self) -> None:
        """Newest first becomes oldest first."""
        self.starts, self.durations = self.starts[::-1], self.durations[::-1]
        self.columns = [column and column[::-1] for column in self.columns]

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
            self._put(index, rows[day, step], (start - low) // step)
        self.days += rows.values()
        yield

    def _put(self, index: int, row: Day, slot: int) -> None:
        """A reading into its element. What the block says of that time already is weighed against it, and not forgotten."""
        if row.values[slot] is not None:
            new = self._cell(index)
            old = Cell._make((*(column[slot] if column else None for column in row.columns), *new[6:]))
            is_held = holds(new, old)
            if differs(old, new):
                lost, held = (old, new) if is_held else (new, old)
                self.changes.append(Change(row.meter_reading_id, self.starts[index], row.interval_length, lost, held))
            if not is_held:
                return
        for target, column in zip(row.columns, self.columns, strict=True):
            if column and target is not None:
                target[slot] = column[index]

    def _day(self, day: date, step: int, low: int, parts: list[Any]) -> Day:
        key = (self.meter_reading_id, day, step)
        return Day(*key, low, tuple(parts), self.publication.at, self.document_id, self.publication.is_told)

    def _single(self, index: int, day: date) -> None:
        start, duration, cell = self.starts[index], self.durations[index], self._cell(index)
        self.singles.append(Single(self.meter_reading_id, start, duration, day, cell, self.publication.is_told))

    def _cell(self, index: int) -> Cell:
        content = [column[index] if column else None for column in self.columns]
        return Cell._make((*content, self.publication.at, self.document_id))

    def _day_of(self, start: int) -> tuple[date, int, int]:
        day = datetime.fromtimestamp(start, self.zone).date()
        return day, day_start(day, self.zone), day_start(day + timedelta(days=1), self.zone)


def holds(new: Cell, old: Cell, *, is_told: bool = True) -> bool:
    """Whether `new` stands in place of `old`, both about one time and both with a value.

    What is provisional stands in place of nothing but what is provisional too. `is_told`: whether the new one's document
    says when it was published. Cell again without a time, it is no news.
    """
    if new.is_provisional != old.is_provisional:
        return old.is_provisional
    if new.content == old.content and not is_told:
        return False
    if old.published_at is None or new.published_at is None or new.published_at != old.published_at:
        return old.published_at is None or (new.published_at is not None and new.published_at > old.published_at)
    if new.document_id == old.document_id:
        return True
    return _rank(new) > _rank(old)


def differs(one: Cell, other: Cell) -> bool:
    """Whether two statements about one time belong side by side into the audit trail.

    A provisional reading that is confirmed has not been corrected.
    """
    if one.is_provisional != other.is_provisional:
        return one.value != other.value
    return one.content != other.content


def _rank(cell: Cell) -> tuple[tuple[bool, int], ...]:
    return tuple((each is not None, each or 0) for each in cell.content)


def agree(old: Day, new: Day) -> bool:
    """Whether two rows of one key nowhere say different things of one time."""
    if all(before is None or after is None for before, after in zip(old.values, new.values, strict=True)):
        return True
    cells = zip(old.cells(), new.cells(), strict=True)
    return all(a.value is None or b.value is None or a.content == b.content for a, b in cells)


def combine(old: Day, new: Day) -> Day:
    """Two rows of one key from one document: the same as `merge`, without the changes."""
    if old.published_at != new.published_at or old.is_mixed or new.is_mixed:
        return merge(old, new)[0]
    columns = tuple(
        _laid_over(before, after, new.values) for before, after in zip(old.columns, new.columns, strict=True)
    )
    return replace(old, columns=columns, is_told=old.is_told or new.is_told)


def _laid_over(old: Column, new: Column, new_values: list[int | None]) -> Column:
    """A column of two rows said at once: the new row's element wherever the new row has a value."""
    if old is None and new is None:
        return None
    size = len(new_values)
    old, new = old or [None] * size, new or [None] * size
    return _or_none([a if value is None else b for a, b, value in zip(old, new, new_values, strict=True)])


def merge(old: Day, new: Day) -> tuple[Day, list[Change], int]:
    """Two rows of the same key, element by element: the merged row, what was said otherwise, number of values added."""
    if _is_confirmed(old, new):
        return replace(new, is_told=True), [], 0
    changes: list[Change] = []
    cells: list[Cell] = []
    added = 0
    for index, (before, after) in enumerate(zip(old.cells(), new.cells(), strict=True)):
        cell = _standing(before, after, is_told=new.is_told)
        cells.append(cell)
        if after.value is None:
            continue
        added += before.value is None
        if before.value is not None and differs(before, after):
            lost = before if cell is after else after
            start = new.start + index * new.interval_length
            changes.append(Change(new.meter_reading_id, start, new.interval_length, lost, cell))
    return _row(replace(old, is_told=old.is_told or new.is_told), cells), changes, added


def is_news(new: Day, old: Day) -> bool:
    """Whether a day that is here could be changed by what is said of it now."""
    if new.columns != old.columns:
        return True
    return new.is_told and (old.publications is not None or old.published_at < new.published_at)


def _is_confirmed(old: Day, new: Day) -> bool:
    """The whole day said again at once, later."""
    return (
        new.is_told
        and not (old.is_mixed or new.is_mixed)
        and new.published_at > old.published_at
        and old.columns == new.columns
    )


def _standing(old: Cell, new: Cell, *, is_told: bool) -> Cell:
    if new.value is None:
        return old
    if old.value is None:
        return new
    return new if holds(new, old, is_told=is_told) else old


def _row(day: Day, cells: list[Cell]) -> Day:
    *columns, published, documents = (list(column) for column in zip(*cells, strict=True))
    known = [index for index, value in enumerate(columns[0]) if value is not None]
    latest = max(known, key=lambda index: (published[index] is not None, published[index]), default=None)
    if latest is None:
        return day
    return replace(
        day,
        columns=(columns[0], *map(_or_none, columns[1:])),
        published_at=published[latest],
        document_id=documents[latest],
        publications=_each(published, known),
        documents=_each(documents, known),
    )


def _each(column: list[Any], known: list[int]) -> list[Any] | None:
    """What is told of each known element; None where all say the same."""
    if len({column[index] for index in known}) <= 1:
        return None
    found: list[Any] = [None] * len(column)
    for index in known:
        found[index] = column[index]
    return found


def _or_none(column: list[Any]) -> list[Any] | None:
    return column if any(each is not None for each in column) else None


def quantity(value: int | Decimal, multiplier: int) -> Decimal:
    """What a value counts, exactly."""
    return numbers.EXACT.scaleb(Decimal(value), multiplier)


def fitting_multiplier(values: Sequence[int | Decimal], multiplier: int) -> int:
    """A multiplier at which every value is an integer; with digits to spare where there are decimals."""
    digits = [_digits(value) for value in values if isinstance(value, Decimal)]
    return multiplier - max(_SPARE_DIGITS, *digits) if digits else coarser_multiplier(values, multiplier)


def coarser_multiplier(values: Sequence[int | Decimal], multiplier: int) -> int:
    """Without the zeros at the end of all these integers, as far as a multiplier is finer than usual values need."""
    zeros = min((_zeros(value) for value in values if value), default=numbers.DIGITS)
    return max(multiplier, min(multiplier + zeros, -_SPARE_DIGITS))


def _zeros(value: int | Decimal) -> int:
    digits = str(value)
    return len(digits) - len(digits.rstrip("0"))


def fit(column: Sequence[int | None]) -> bool:
    """Whether no value is too large to be stored."""
    known = [each for each in column if each is not None] if None in column else column
    return not known or (max(known) <= LARGEST and min(known) >= -LARGEST)  # type: ignore[type-var, operator]


def is_too_fine(value: int | Decimal) -> bool:
    """Whether it has more digits after the point than a channel's multiplier may follow (`0.30000000000000004`)."""
    return isinstance(value, Decimal) and _digits(value) > _MOST_DIGITS


def _digits(value: Decimal) -> int:
    """After the point, without the zeros at the end."""
    return -int(value.normalize(numbers.EXACT).as_tuple().exponent)


def scaled(values: Sequence[int | Decimal], exponent: int) -> Sequence[int] | None:
    """Every value times 10 ** exponent, exactly; None when one would not be an integer."""
    if exponent == 0 and set(map(type, values)) == {int}:
        return values  # type: ignore[return-value]
    factor = Decimal(1).scaleb(exponent)
    found = [numbers.EXACT.multiply(Decimal(value), factor) for value in values]
    return [int(value) for value in found] if all(value == int(value) for value in found) else None
