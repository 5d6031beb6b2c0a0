"""Which stored readings were estimated, are provisional, or were revised later: what a page has to say beside the numbers.

    marked_days(usage_points, start, end)   -> {"estimated", "provisional", "revised": {meter reading id: {local day}}}
    revised_starts(usage_point, start, end) -> {meter reading id: {epoch seconds of the reading's start}}

`start` and `end` are local dates of the usage point; `end` is exclusive.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import BooleanField, DateTimeField, ExpressionWrapper, F, Func, Q, QuerySet, Value
from django.db.models.functions import TruncDate

from espi import enums, models
from espi.zones import day_start

Days = dict[int, set[date]]
ESTIMATED = frozenset(
    {
        enums.QualityOfReading.ESTIMATED_USING_REFERENCE_DAY,
        enums.QualityOfReading.ESTIMATED_USING_LINEAR_INTERPOLATION,
        enums.QualityOfReading.PROJECTED,
    }
)
_CODES = {"estimated": [int(code) for code in ESTIMATED], "provisional": [int(enums.PROVISIONAL)]}
NEVER, ALWAYS = Value(value=False), Value(value=True)


def marked_days(usage_points: Iterable[models.UsagePoint], start_date: date, end_date: date) -> dict[str, Days]:
    """The local days that hold an estimated reading, one that is not validated yet, and one that was revised."""
    by_zone: dict[str, list[int]] = defaultdict(list)
    for point in usage_points:
        by_zone[point.time_zone].append(point.pk)
    days = {
        "meter_reading__usage_point__in": [pk for members in by_zone.values() for pk in members],
        "local_date__gte": start_date,
        "local_date__lt": end_date,
    }
    found: dict[str, Days] = {word: defaultdict(set) for word in (*_CODES, "revised")}
    by_code = _marked_by_code(days)
    revised = (_revised_days(members, ZoneInfo(name), start_date, end_date) for name, members in by_zone.items())
    for pk, day, *which in by_code.union(*revised):
        for word in itertools.compress(found, which):
            found[word][pk].add(day)
    return found


def _marked_by_code(days: dict[str, Any]) -> QuerySet[Any, Any]:
    """The columns that `marked_days` reads, of the days with a reading whose quality is one of _CODES."""
    every = [code for members in _CODES.values() for code in members]
    blocks = models.IntervalBlock.objects.filter(**days, qualities__overlap=every).annotate(
        revised=NEVER, **{word: _whether(qualities__overlap=members) for word, members in _CODES.items()}
    )
    singles = models.IntervalReading.objects.filter(**days, quality__in=every).annotate(
        revised=NEVER, **{word: _whether(quality__in=members) for word, members in _CODES.items()}
    )
    columns = ("meter_reading", "local_date", *_CODES, "revised")
    return blocks.values_list(*columns).union(singles.values_list(*columns))


def _whether(**condition: object) -> ExpressionWrapper:
    return ExpressionWrapper(Q(**condition), output_field=BooleanField())


def _revised_days(usage_points: Sequence[int], zone: ZoneInfo, start_date: date, end_date: date) -> QuerySet[Any, Any]:
    """The columns that `marked_days` reads, of the days with a revised reading."""
    instant = Func(F("start"), function="to_timestamp", output_field=DateTimeField())
    rows = _revisions(usage_points, zone, start_date, end_date).annotate(
        day=TruncDate(instant, tzinfo=zone), estimated=NEVER, provisional=NEVER, revised=ALWAYS
    )
    return rows.values_list("meter_reading", "day", "estimated", "provisional", "revised")


def revised_starts(usage_point: models.UsagePoint, start_date: date, end_date: date) -> dict[int, set[int]]:
    """The readings whose value a later document corrected; that a provisional one was replaced is no correction."""
    found: dict[int, set[int]] = defaultdict(set)
    rows = _revisions([usage_point.pk], ZoneInfo(usage_point.time_zone), start_date, end_date)
    for pk, start in rows.values_list("meter_reading", "start"):
        found[pk].add(start)
    return found


def _revisions(
    usage_points: Sequence[int], zone: ZoneInfo, start_date: date, end_date: date
) -> QuerySet[models.IntervalRevision]:
    rows = models.IntervalRevision.objects.filter(
        meter_reading__usage_point__in=usage_points,
        start__gte=day_start(start_date, zone),
        start__lt=day_start(end_date, zone),
    )
    return rows.exclude(old_quality=enums.PROVISIONAL).exclude(old_value=F("new_value"))
