"""Which stored readings were estimated or revised later: what a page has to say beside the numbers.

    estimated_days(usage_point, start, end) -> {meter reading id: {local day}}
    revised_starts(usage_point, start, end) -> {meter reading id: {epoch seconds of the reading's start}}

`start` and `end` are local dates of the usage point; `end` is exclusive.
"""

from collections import defaultdict
from datetime import date
from zoneinfo import ZoneInfo

from espi import enums, models
from espi.usage import day_start

ESTIMATED = frozenset(
    {
        enums.QualityOfReading.ESTIMATED_USING_REFERENCE_DAY,
        enums.QualityOfReading.ESTIMATED_USING_LINEAR_INTERPOLATION,
        enums.QualityOfReading.PROJECTED,
    }
)


def estimated_days(usage_point: models.UsagePoint, start_date: date, end_date: date) -> dict[int, set[date]]:
    """The local days that hold an estimated reading."""
    days = {
        "meter_reading__usage_point": usage_point,
        "local_date__gte": start_date,
        "local_date__lt": end_date,
    }
    codes = [int(code) for code in ESTIMATED]
    blocks = models.IntervalBlock.objects.filter(**days, qualities__overlap=codes)
    singles = models.IntervalReading.objects.filter(**days, quality__in=codes)
    found: dict[int, set[date]] = defaultdict(set)
    columns = ("meter_reading", "local_date")
    for pk, day in blocks.values_list(*columns).union(singles.values_list(*columns)):
        found[pk].add(day)
    return found


def revised_starts(usage_point: models.UsagePoint, start_date: date, end_date: date) -> dict[int, set[int]]:
    """The readings whose value a later document corrected."""
    zone = ZoneInfo(usage_point.time_zone)
    rows = models.IntervalRevision.objects.filter(
        meter_reading__usage_point=usage_point,
        start__gte=day_start(start_date, zone),
        start__lt=day_start(end_date, zone),
    )
    found: dict[int, set[int]] = defaultdict(set)
    for pk, start in rows.values_list("meter_reading", "start"):
        found[pk].add(start)
    return found
