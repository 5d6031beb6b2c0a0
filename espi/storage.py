"""Rows of readings into PostgreSQL: look what is there, COPY what is new, update what differs.

Unchanged data writes nothing. One writer per subscription is the caller's promise (an advisory lock); the statements run
in his transaction.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.db import connection

from espi import binary, models, packing
from espi.packing import Cell, Change, Day, Single

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_ARRAYS = '"values", costs, qualities, tous, tiers, cpps'
_DAY_COLUMNS = (
    f'meter_reading_id, local_date, interval_length, start, {_ARRAYS}, total, total_cost, "count", published_at, '
    "document_id, publications, documents"
)
_CONTENT = "value, cost, quality, tou, tier, cpp"
_SINGLE_COLUMNS = f"meter_reading_id, start, duration, local_date, {_CONTENT}, published_at, document_id"
_DAYS_HERE = f"""
    SELECT meter_reading_id, local_date, interval_length, start, {_ARRAYS}, published_at, document_id, publications,
        documents
    FROM espi_intervalblock JOIN unnest(%s::bigint[], %s::date[], %s::int[]) AS wanted (channel, day, length)
        ON (meter_reading_id, local_date, interval_length) = (channel, day, length)"""  # noqa: S608
_SINGLES_HERE = f"""
    SELECT {_SINGLE_COLUMNS}
    FROM espi_intervalreading JOIN unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS wanted (channel, first, length)
        ON (meter_reading_id, start, duration) = (channel, first, length)"""  # noqa: S608
_UPDATE_DAY = """
    UPDATE espi_intervalblock SET "values" = %s, costs = %s, qualities = %s, tous = %s, tiers = %s, cpps = %s,
        total = %s, total_cost = %s, "count" = %s, published_at = %s, document_id = %s, publications = %s,
        documents = %s
    WHERE (meter_reading_id, local_date, interval_length) = (%s, %s, %s)"""
_UPDATE_SINGLE = f"""
    UPDATE espi_intervalreading SET ({_CONTENT}, published_at, document_id) = (%s, %s, %s, %s, %s, %s, %s, %s)
    WHERE (meter_reading_id, start, duration) = (%s, %s, %s)"""  # noqa: S608


@dataclass
class Written:
    """How many readings were new, replaced an earlier value, or were here already.

    `contradicted`: how often the document says two things of one time; the last of them counts, and is counted once.
    """

    stored: int = 0
    revised: int = 0
    unchanged: int = 0
    contradicted: int = 0

    def add(self, other: "Written") -> None:
        """Count two writes together."""
        self.stored += other.stored
        self.revised += other.revised
        self.unchanged += other.unchanged
        self.contradicted += other.contradicted


class Batch:
    """Rows that wait to be written together; a second row of the same key is merged into the first."""

    def __init__(self, document_id: int) -> None:
        self.document_id = document_id
        self.days: dict[tuple, Day] = {}
        self.singles: dict[tuple, Single] = {}
        self.changes: list[Change] = []
        self.size = 0  # cells, roughly: what decides when to write

    def add(self, days: Iterable[Day], singles: Iterable[Single], changes: Sequence[Change] = ()) -> None:
        """Take rows of one block, and what it said besides of the same times."""
        self.changes += changes
        self.size += 10 * len(changes)
        for day in days:
            known = self.days.get(day.key)
            self.size += len(day.values)
            self.days[day.key] = self._combined(known, day) if known else day
        for single in singles:
            other = self.singles.get(single.key)
            self.size += 10
            is_held = other is None or packing.holds(single.cell, other.cell)
            if other and packing.differs(single.cell, other.cell):
                lost, held = (other, single) if is_held else (single, other)
                self.changes.append(Change(*single.key, lost.cell, held.cell))
            if is_held:
                self.singles[single.key] = single

    def _combined(self, known: Day, day: Day) -> Day:
        if packing.agree(known, day):
            return packing.combine(known, day)
        merged, changes, _ = packing.merge(known, day)
        self.changes += changes
        return merged

    def write(self) -> Written:
        """Write and forget all rows."""
        written = Written()
        if self.days:
            written.add(_write_days(self.days, self.document_id))
        if self.singles:
            written.add(_write_singles(self.singles, self.document_id))
        _keep_in_audit_trail(self.changes)
        written.contradicted += len(self.changes)
        self.days, self.singles, self.changes, self.size = {}, {}, [], 0
        return written


def day_of(row: models.IntervalBlock, meter_reading_id: int) -> Day:
    """A stored row as one of another channel."""
    columns = (row.values, row.costs, row.qualities, row.tous, row.tiers, row.cpps)
    key = (meter_reading_id, row.local_date, row.interval_length)
    at = row.published_at or _LONG_AGO
    return Day(*key, row.start, columns, at, row.document_id, publications=row.publications, documents=row.documents)


def single_of(row: models.IntervalReading, meter_reading_id: int) -> Single:
    """The same of a row of IntervalReading."""
    content = (row.value, row.cost, row.quality, row.tou, row.tier, row.cpp)
    said = Cell(*content, row.published_at, row.document_id)
    return Single(meter_reading_id, row.start, row.duration, row.local_date, said, is_told=True)


def _write_days(days: dict[tuple, Day], document_id: int) -> Written:
    with connection.cursor() as cursor:
        here = [_day_of(row) for row in binary.fetched(_DAYS_HERE, list(map(list, zip(*days, strict=True))))]
        known = {old.key for old in here}
        new = [day for key, day in days.items() if key not in known]
        _copy(cursor, f"espi_intervalblock ({_DAY_COLUMNS})", map(_day_line, new))
        written = Written(stored=sum(day.count for day in new))
        _merge_days(cursor, here, days, document_id, written)
    written.unchanged = sum(day.count for day in days.values()) - written.stored - written.revised
    return written


def _copy(cursor: Any, into: str, lines: Iterator[str]) -> None:
    """Lines of COPY's text format, some dozen at a time: each write is a round of its own through the driver."""
    with cursor.copy(f"COPY {into} FROM STDIN") as copy:
        while together := "".join(islice(lines, 64)):
            copy.write(together)


def _merge_days(cursor: Any, here: list[Day], days: dict[tuple, Day], document_id: int, written: Written) -> None:
    updates, changes = [], []
    for old in here:
        if not packing.is_news(days[old.key], old):
            continue
        merged, differing, added = packing.merge(old, days[old.key])
        changes += differing
        if merged == old:
            continue
        updates.append((*_day_values(merged), *merged.key))
        written.stored += added
        _count(differing, document_id, written)
    if updates:
        cursor.executemany(_UPDATE_DAY, updates)
    _keep_in_audit_trail(changes)


def _day_of(row: tuple) -> Day:
    channel, local_date, length, start, *columns, published_at, document_id, publications, documents = row
    day = Day(channel, local_date, length, start, tuple(columns), published_at, document_id)
    return replace(day, publications=publications, documents=documents)


def _count(changes: Iterable[Change], document_id: int, written: Written) -> None:
    """Those that changed what holds; and those of one document with itself. Others are statements that came too late."""
    for change in changes:
        if change.held.document_id == document_id:
            is_its_own = change.lost.document_id == document_id
            written.contradicted += is_its_own
            written.revised += not is_its_own


def _write_singles(singles: dict[tuple, Single], document_id: int) -> Written:
    with connection.cursor() as cursor:
        cursor.execute(_SINGLES_HERE, list(map(list, zip(*singles, strict=True))))
        here = cursor.fetchall()
        known = {row[:3] for row in here}
        new = [single for key, single in singles.items() if key not in known]
        _copy(cursor, f"espi_intervalreading ({_SINGLE_COLUMNS})", map(_single_line, new))
        written = Written(stored=len(new))
        _merge_singles(cursor, here, singles, document_id, written)
    written.unchanged = len(singles) - written.stored - written.revised
    return written


def _merge_singles(
    cursor: Any, rows: list[tuple], singles: dict[tuple, Single], document_id: int, written: Written
) -> None:
    updates, changes = [], []
    for row in rows:
        key, old = row[:3], Cell._make(row[4:])
        new = singles[key]
        is_held = packing.holds(new.cell, old, is_told=new.is_told)
        if packing.differs(old, new.cell):
            changes.append(Change._make((*key, old, new.cell) if is_held else (*key, new.cell, old)))
        if is_held:
            updates.append((*new.cell, *key))
    if updates:
        cursor.executemany(_UPDATE_SINGLE, updates)
    _count(changes, document_id, written)
    _keep_in_audit_trail(changes)


def _keep_in_audit_trail(changes: list[Change]) -> None:
    """Add to the audit trail what is not there yet: a document that comes again says nothing new."""
    rows = [
        models.IntervalRevision(
            meter_reading_id=change.meter_reading_id,
            start=change.start,
            duration=change.duration,
            **_side("old", change.lost),
            **_side("new", change.held),
        )
        for change in changes
    ]
    models.IntervalRevision.objects.bulk_create(rows, batch_size=1000, ignore_conflicts=True)


def _side(side: str, said: Cell) -> dict[str, Any]:
    return {
        f"{side}_value": said.value,
        f"{side}_cost": said.cost,
        f"{side}_quality": said.quality,
        f"{side}_tou": said.tou,
        f"{side}_tier": said.tier,
        f"{side}_cpp": said.cpp,
        f"{side}_published_at": said.published_at,
        f"{side}_document_id": said.document_id,
    }


def _day_values(day: Day) -> tuple[Any, ...]:
    known, costs = _known(day.values), _known(day.columns[1] or [])
    sums = (sum(known), sum(costs) if costs else None, len(known))
    return (*day.columns, *sums, day.published_at, day.document_id, day.publications, day.documents)


def _known(column: list[int | None]) -> list[int]:
    found: Any = column if None not in column else [each for each in column if each is not None]
    return found


def _day_line(day: Day) -> str:
    """A line of COPY's text format. All columns are numbers, dates and arrays of them: nothing needs escaping."""
    *columns, total, total_cost, count, published_at, document_id, publications, documents = _day_values(day)
    fields = (
        *(str(each) for each in (*day.key, day.start)),
        *map(_array, columns),
        str(total),
        _text(total_cost),
        str(count),
        published_at.isoformat(),
        _text(document_id),
        _instants(publications),
        _array(documents),
    )
    return "\t".join(fields) + "\n"


def _single_line(single: Single) -> str:
    *content, published_at, document_id = single.cell
    fields = [*map(_text, single[:4]), *map(_text, content), _instant(published_at), _text(document_id)]
    return "\t".join(fields) + "\n"


def _array(column: Sequence[int | None] | None) -> str:
    return r"\N" if column is None else "{" + repr(column)[1:-1].replace("None", "NULL") + "}"


def _instants(column: Sequence[datetime | None] | None) -> str:
    if column is None:
        return r"\N"
    return "{" + ",".join("NULL" if each is None else f'"{each.isoformat()}"' for each in column) + "}"


def _instant(moment: datetime | None) -> str:
    return r"\N" if moment is None else moment.isoformat()


def _text(value: Any) -> str:
    return r"\N" if value is None else str(value)
