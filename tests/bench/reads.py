"""Two years of one meter, asked of the packed rows and of the plain ones: the same question, the same answer."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime
from hashlib import sha256
from itertools import chain, compress
from typing import Any

import psycopg
from django.db import connection
from django.db.models import Count, Sum
from django.db.models.functions import TruncDate, TruncMonth

from espi import models, usage
from tests.bench.documents import NEW_YORK
from tests.bench.measure import Sample, measuring
from tests.bench.rows import PlainReading
from tests.bench.stored import session

Answer = Any
_BLOCKS = "FROM espi_intervalblock WHERE meter_reading_id = %s AND local_date >= %s AND local_date < %s"
_ROWS = """FROM bench_plainreading WHERE meter = %s AND start >= (%s::date)::timestamp AT TIME ZONE 'America/New_York'
    AND start < (%s::date)::timestamp AT TIME ZONE 'America/New_York'"""
_LOCAL = "start AT TIME ZONE 'America/New_York'"


def packed_values(*where: Any) -> Answer:
    """Starts in epoch seconds and values, as columns."""
    return _columns(f'SELECT start, interval_length, "count", "values" {_BLOCKS} ORDER BY local_date', where)


def rows_values(*where: Any) -> Answer:
    """The same, as tuples."""
    return _all(f"SELECT extract(epoch FROM start)::bigint, value {_ROWS} ORDER BY start", where)


def packed_raw(*where: Any) -> Answer:
    """Starts in epoch seconds, values, costs and qualities, as columns."""
    arrays = '"values", costs, qualities'
    return _columns(f'SELECT start, interval_length, "count", {arrays} {_BLOCKS} ORDER BY local_date', where)


def rows_raw(*where: Any) -> Answer:
    """The same, as tuples."""
    return _all(f"SELECT extract(epoch FROM start)::bigint, value, cost, quality {_ROWS} ORDER BY start", where)


def _columns(statement: str, where: tuple[Any, ...]) -> Answer:
    """Every element that has a value, of days of (start, seconds, number of values, values, other arrays)."""
    days = _all(statement, where)
    columns: tuple[list[Any], ...] = tuple([] for _ in days[0][2:])
    for start, length, known, *arrays in days:
        size = len(arrays[0])
        day = [range(start, start + size * length, length), *(array or [None] * size for array in arrays)]
        if known < size:
            day = [list(compress(column, [value is not None for value in arrays[0]])) for column in day]
        for whole, part in zip(columns, day, strict=True):
            whole += part
    return columns


def packed_daily(*where: Any) -> Answer:
    """(local day, sum, cost, readings)."""
    return _all(f'SELECT local_date, total, total_cost, "count" {_BLOCKS} ORDER BY local_date', where)


def rows_daily(*where: Any) -> Answer:
    return _all(
        f"SELECT ({_LOCAL})::date, sum(value)::bigint, sum(cost)::bigint, count(*) {_ROWS} GROUP BY 1 ORDER BY 1", where
    )


def packed_monthly(*where: Any) -> Answer:
    """(first day of the local month, sum, cost, readings)."""
    return _all(
        "SELECT date_trunc('month', local_date)::date, sum(total)::bigint, sum(total_cost)::bigint, sum(\"count\")::bigint "
        f"{_BLOCKS} GROUP BY 1 ORDER BY 1",
        where,
    )


def rows_monthly(*where: Any) -> Answer:
    return _all(
        f"SELECT date_trunc('month', {_LOCAL})::date, sum(value)::bigint, sum(cost)::bigint, count(*) "
        f"{_ROWS} GROUP BY 1 ORDER BY 1",
        where,
    )


def page_daily(meter: int, start: date, end: date) -> Answer:
    """What a page gets: with its channels, completeness of days, and overlapping interval lengths sorted out."""
    (totals,) = usage.daily_totals(_point(meter), start, end).values()
    return [(day.date, day.value, day.cost, day.count) for day in totals]


def page_monthly(meter: int, start: date, end: date) -> Answer:
    (totals,) = usage.monthly_totals(_point(meter), start, end).values()
    return [(month.month, month.value, month.cost) for month in totals]


def orm_daily(meter: int, start: date, end: date) -> Answer:
    """What a page would get of plain rows."""
    return _summed(TruncDate("start", tzinfo=NEW_YORK), meter, start, end)


def orm_monthly(meter: int, start: date, end: date) -> Answer:
    found = _summed(TruncMonth("start", tzinfo=NEW_YORK), meter, start, end)
    return [(month.date(), value, cost) for month, value, cost, _ in found]


QUERIES: dict[str, Callable[..., Answer]] = {
    query.__name__: query
    for query in chain(
        (packed_values, rows_values, packed_raw, rows_raw, packed_daily, rows_daily, packed_monthly, rows_monthly),
        (page_daily, orm_daily, page_monthly, orm_monthly),
    )
}


def ask(meter: int, start: str, end: str, repeats: int) -> Sample:
    """Ask every question once to be warm, then `repeats` times; `told` has its sample, times of one asking."""
    where = (meter, date.fromisoformat(start), date.fromisoformat(end))
    server = session()
    found = {}
    for name, query in QUERIES.items():
        answer = query(*where)
        with measuring(server) as sample:
            for _ in range(repeats):
                query(*where)
        sample.wall, sample.cpu = sample.wall / repeats, sample.cpu / repeats
        comparable = list(zip(*answer, strict=True)) if isinstance(answer, tuple) else answer
        sample.told["answer"] = sha256(repr(comparable).encode()).hexdigest()
        found[name] = asdict(sample)
    return Sample(told=found)


def _all(statement: str, where: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """In PostgreSQL's binary format, which both kinds of rows arrive faster in; Django itself asks for text."""
    with psycopg.Cursor(connection.connection) as cursor:
        return cursor.execute(statement, where, binary=True).fetchall()


def _point(meter: int) -> models.UsagePoint:
    return models.UsagePoint.objects.get(meter_readings=meter)


def _summed(period: Any, meter: int, start: date, end: date) -> Answer:
    first, last = (datetime(day.year, day.month, day.day, tzinfo=NEW_YORK) for day in (start, end))
    found = PlainReading.objects.filter(meter=meter, start__gte=first, start__lt=last).annotate(period=period)
    sums = found.values("period").annotate(value=Sum("value"), total=Sum("cost"), readings=Count("*"))
    rows = sums.order_by("period").values_list("period", "value", "total", "readings")
    return [(day, int(value), int(total), readings) for day, value, total, readings in rows]
