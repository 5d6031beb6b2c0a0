"""Rows of readings into PostgreSQL: COPY into a staging table, compare there, write only what differs.

Unchanged data writes nothing. One writer per subscription is the caller's promise (an advisory lock); the statements run
in his transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from espi import models, packing
from espi.packing import Change, Day, Single

_DAY_COLUMNS = (
    'meter_reading_id, local_date, interval_length, start, "values", costs, qualities, tous, total, total_cost, "count", '
    "published_at, publications, document_id"
)
_DAY_TABLE = """
    CREATE TEMPORARY TABLE IF NOT EXISTS espi_staged_day (
        meter_reading_id bigint, local_date date, interval_length int, start bigint, "values" bigint[], costs bigint[],
        qualities smallint[], tous smallint[], total bigint, total_cost bigint, "count" int, published_at timestamptz,
        publications timestamptz[], document_id bigint, is_told boolean
    ) ON COMMIT DROP"""
_SINGLE_COLUMNS = "meter_reading_id, start, duration, local_date, value, cost, quality, tou, published_at, document_id"
_SINGLE_TABLE = """
    CREATE TEMPORARY TABLE IF NOT EXISTS espi_staged_single (
        meter_reading_id bigint, start bigint, duration bigint, local_date date, value bigint, cost bigint,
        quality smallint, tou smallint, published_at timestamptz, document_id bigint, is_told boolean
    ) ON COMMIT DROP"""
_DAYS_THAT_DIFFER = """
    SELECT old.id, old.document_id, old.meter_reading_id, old.local_date, old.interval_length, old.start, old."values",
           old.costs, old.qualities, old.tous, old.published_at, old.publications
    FROM espi_staged_day AS new JOIN espi_intervalblock AS old USING (meter_reading_id, local_date, interval_length)
    WHERE NOT (
        old."values" = new."values" AND old.costs IS NOT DISTINCT FROM new.costs
        AND old.qualities IS NOT DISTINCT FROM new.qualities AND old.tous IS NOT DISTINCT FROM new.tous
        AND (NOT new.is_told OR (old.publications IS NULL AND old.published_at >= new.published_at))
    )"""
_SINGLES_THAT_DIFFER = """
    SELECT old.id, old.document_id, old.meter_reading_id, old.start, old.duration, old.local_date, old.value, old.cost,
           old.quality, old.tou, old.published_at
    FROM espi_staged_single AS new JOIN espi_intervalreading AS old USING (meter_reading_id, start, duration)
    WHERE NOT (
        old.value = new.value AND old.cost IS NOT DISTINCT FROM new.cost
        AND old.quality IS NOT DISTINCT FROM new.quality AND old.tou IS NOT DISTINCT FROM new.tou
        AND (NOT new.is_told OR old.published_at >= new.published_at)
    )"""
_NEW_DAYS = f"""
    WITH added AS (
        INSERT INTO espi_intervalblock ({_DAY_COLUMNS})
        SELECT {_DAY_COLUMNS} FROM espi_staged_day AS new WHERE NOT EXISTS (
            SELECT FROM espi_intervalblock AS old
            WHERE (old.meter_reading_id, old.local_date, old.interval_length)
                = (new.meter_reading_id, new.local_date, new.interval_length))
        RETURNING "count"
    ) SELECT coalesce(sum("count"), 0) FROM added"""  # noqa: S608
_NEW_SINGLES = f"""
    WITH added AS (
        INSERT INTO espi_intervalreading ({_SINGLE_COLUMNS})
        SELECT {_SINGLE_COLUMNS} FROM espi_staged_single AS new WHERE NOT EXISTS (
            SELECT FROM espi_intervalreading AS old
            WHERE (old.meter_reading_id, old.start, old.duration) = (new.meter_reading_id, new.start, new.duration))
        RETURNING 1
    ) SELECT count(*) FROM added"""  # noqa: S608
_UPDATE_DAY = """
    UPDATE espi_intervalblock SET "values" = %s, costs = %s, qualities = %s, tous = %s, total = %s, total_cost = %s,
        "count" = %s, published_at = %s, publications = %s, document_id = %s WHERE id = %s"""
_UPDATE_SINGLE = """
    UPDATE espi_intervalreading SET value = %s, cost = %s, quality = %s, tou = %s, published_at = %s, document_id = %s
    WHERE id = %s"""


@dataclass
class Written:
    """How many readings were new, replaced an earlier value, or were here already."""

    stored: int = 0
    revised: int = 0
    unchanged: int = 0

    def add(self, other: "Written") -> None:
        """Count two writes together."""
        self.stored += other.stored
        self.revised += other.revised
        self.unchanged += other.unchanged


class Batch:
    """Rows that wait to be written together; a second row of the same key is merged into the first."""

    def __init__(self, document_id: int) -> None:
        self.document_id = document_id
        self.days: dict[tuple, Day] = {}
        self.singles: dict[tuple, Single] = {}
        self.size = 0  # cells, roughly: what decides when to write

    def add(self, days: Iterable[Day], singles: Iterable[Single]) -> None:
        """Take rows of one block."""
        for day in days:
            known = self.days.get(day.key)
            self.size += len(day.values)
            self.days[day.key] = packing.combine(known, day) if known else day
        for single in singles:
            other = self.singles.get(single.key)
            self.size += 10
            if other is None or packing.wins(single.published_at, other.published_at):
                self.singles[single.key] = single

    def write(self) -> Written:
        """Write and forget all rows."""
        written = Written()
        if self.days:
            written.add(_write_days(self.days, self.document_id))
        if self.singles:
            written.add(_write_singles(self.singles, self.document_id))
        self.days, self.singles, self.size = {}, {}, 0
        return written


def _write_days(days: dict[tuple, Day], document_id: int) -> Written:
    with connection.cursor() as cursor:
        cursor.execute(_DAY_TABLE)
        cursor.execute("TRUNCATE espi_staged_day")
        with cursor.copy(f"COPY espi_staged_day ({_DAY_COLUMNS}, is_told) FROM STDIN") as copy:
            copy.write("".join(_day_line(day, document_id) for day in days.values()))
        cursor.execute(_DAYS_THAT_DIFFER)
        differing = cursor.fetchall()
        cursor.execute(_NEW_DAYS)
        written = Written(stored=int(cursor.fetchone()[0]))
        _merge_days(cursor, differing, days, document_id, written)
    written.unchanged = sum(day.count for day in days.values()) - written.stored - written.revised
    return written


def _merge_days(cursor: Any, rows: list[tuple], days: dict[tuple, Day], document_id: int, written: Written) -> None:
    updates, revisions = [], []
    for pk, old_document_id, *columns in rows:
        old = Day(*columns[:-1], publications=columns[-1])  # type: ignore[misc]
        merged, changes, added = packing.merge(old, days[old.key])
        if merged == old:
            continue
        updates.append((*_day_values(merged), document_id, pk))
        revisions += [_revision(change, old_document_id, document_id) for change in changes]
        written.stored += added
        written.revised += len(changes)
    if updates:
        cursor.executemany(_UPDATE_DAY, updates)
    models.IntervalRevision.objects.bulk_create(revisions, batch_size=1000)


def _write_singles(singles: dict[tuple, Single], document_id: int) -> Written:
    with connection.cursor() as cursor:
        cursor.execute(_SINGLE_TABLE)
        cursor.execute("TRUNCATE espi_staged_single")
        with cursor.copy(f"COPY espi_staged_single ({_SINGLE_COLUMNS}, is_told) FROM STDIN") as copy:
            copy.write("".join(_single_line(single, document_id) for single in singles.values()))
        cursor.execute(_SINGLES_THAT_DIFFER)
        differing = cursor.fetchall()
        cursor.execute(_NEW_SINGLES)
        written = Written(stored=int(cursor.fetchone()[0]))
        _merge_singles(cursor, differing, singles, document_id, written)
    written.unchanged = len(singles) - written.stored - written.revised
    return written


def _merge_singles(
    cursor: Any, rows: list[tuple], singles: dict[tuple, Single], document_id: int, written: Written
) -> None:
    updates, revisions = [], []
    for pk, old_document_id, *columns in rows:
        old = Single._make((*columns, True))
        new = singles[old.key]
        if not packing.wins(new.published_at, old.published_at):
            continue
        updates.append((*new[4:9], document_id, pk))
        if new.value != old.value:
            change = Change(*old.key, old.value, new.value)
            revisions.append(_revision(change, old_document_id, document_id))
            written.revised += 1
    if updates:
        cursor.executemany(_UPDATE_SINGLE, updates)
    models.IntervalRevision.objects.bulk_create(revisions, batch_size=1000)


def _revision(change: Change, old_document_id: int | None, document_id: int) -> models.IntervalRevision:
    return models.IntervalRevision(
        meter_reading_id=change.meter_reading_id,
        start=change.start,
        duration=change.duration,
        old_value=change.old,
        new_value=change.new,
        old_document_id=old_document_id,
        new_document_id=document_id,
    )


def _day_values(day: Day) -> tuple[Any, ...]:
    known = [value for value in day.values if value is not None]
    costs = [cost for cost in day.costs or () if cost is not None]
    sums = (sum(known), sum(costs) if costs else None, len(known))
    return (day.values, day.costs, day.qualities, day.tous, *sums, day.published_at, day.publications)


def _day_line(day: Day, document_id: int) -> str:
    """A line of COPY's text format. All columns are numbers, dates and arrays of them: nothing needs escaping."""
    values, costs, qualities, tous, total, total_cost, count, published_at, publications = _day_values(day)
    fields = (
        *(str(each) for each in (*day.key, day.start)),
        *(_array(column) for column in (values, costs, qualities, tous)),
        str(total),
        _text(total_cost),
        str(count),
        published_at.isoformat(),
        _instants(publications),
        str(document_id),
        "t" if day.is_told else "f",
    )
    return "\t".join(fields) + "\n"


def _single_line(single: Single, document_id: int) -> str:
    fields = [_text(each) for each in single[:8]]
    fields += [single.published_at.isoformat(), str(document_id), "t" if single.is_told else "f"]
    return "\t".join(fields) + "\n"


def _array(column: Sequence[int | None] | None) -> str:
    return r"\N" if column is None else "{" + repr(column)[1:-1].replace("None", "NULL") + "}"


def _instants(column: Sequence[datetime | None] | None) -> str:
    if column is None:
        return r"\N"
    return "{" + ",".join("NULL" if each is None else f'"{each.isoformat()}"' for each in column) + "}"


def _text(value: Any) -> str:
    return r"\N" if value is None else str(value)
