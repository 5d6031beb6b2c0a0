"""Which stored readings were estimated, are provisional, or were revised later: what a page has to say beside the numbers.

    marked_days(usage_point, start, end)    -> {"estimated" and "provisional": {meter reading id: {local day}}}
    revised_starts(usage_point, start, end) -> {meter reading id: {epoch seconds of the reading's start}}

`start` and `end` are local dates of the usage point; `end` is exclusive.
"""

import itertools
from collections import defaultdict
from datetime import date
from zoneinfo import ZoneInfo

from django.db.models import BooleanField, ExpressionWrapper, F, Q

from espi import enums, models
from espi.usage import day_start

Days = dict[int, set[date]]
ESTIMATED = frozenset(
    {
        enums.QualityOfReading.ESTIMATED_USING_REFERENCE_DAY,
        enums.QualityOfReading.ESTIMATED_USING_LINEAR_INTERPOLATION,
        enums.QualityOfReading.PROJECTED,
    }
)


def marked_days(usage_point: models.UsagePoint, start_date: date, end_date: date) -> dict[str, Days]:
    """The local days that hold an estimated reading, and those with one that is not validated yet."""
    days = {
        "meter_reading__usage_point": usage_point,
        "local_date__gte": start_date,
        "local_date__lt": end_date,
    }
    codes = {"estimated": [int(code) for code in ESTIMATED], "provisional": [int(enums.PROVISIONAL)]}
    every = [code for members in codes.values() for code in members]
    blocks = models.IntervalBlock.objects.filter(**days, qualities__overlap=every).annotate(
        **{word: _whether(qualities__overlap=members) for word, members in codes.items()}
    )
    singles = models.IntervalReading.objects.filter(**days, quality__in=every).annotate(
        **{word: _whether(quality__in=members) for word, members in codes.items()}
    )
    found: dict[str, Days] = {word: defaultdict(set) for word in codes}
    columns = ("meter_reading", "local_date", *codes)
    for pk, day, *marks in blocks.values_list(*columns).union(singles.values_list(*columns)):
        for word in itertools.compress(codes, marks):
            found[word][pk].add(day)
    return found


def _whether(**condition: object) -> ExpressionWrapper:
    return ExpressionWrapper(Q(**condition), output_field=BooleanField())


def revised_starts(usage_point: models.UsagePoint, start_date: date, end_date: date) -> dict[int, set[int]]:
    """The readings whose value a later document corrected; that a provisional one was replaced is no correction."""
    zone = ZoneInfo(usage_point.time_zone)
    rows = models.IntervalRevision.objects.filter(
        meter_reading__usage_point=usage_point,
        start__gte=day_start(start_date, zone),
        start__lt=day_start(end_date, zone),
    )
    rows = rows.exclude(old_quality=enums.PROVISIONAL).exclude(old_value=F("new_value"))
    found: dict[int, set[int]] = defaultdict(set)
    for pk, start in rows.values_list("meter_reading", "start"):
        found[pk].add(start)
    return found
