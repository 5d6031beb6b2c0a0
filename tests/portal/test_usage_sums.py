"""Whatever the day, the gaps and the sun: every view of a meter adds up to what is stored."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from espi import usage, zones
from espi.models import IntervalBlock, IntervalReading
from portal import measured, meters, panels, patterns, periods
from tests.examples import cases
from tests.portal import rows

pytestmark = pytest.mark.django_db
ZONES = ("America/New_York", "America/Los_Angeles")
# Around both changes of the clocks, the turn of a year and of a month, and a leap day.
DAYS = tuple(
    first + timedelta(days=number)
    for first in (date(2025, 3, 8), date(2025, 11, 1), date(2024, 12, 31), date(2024, 2, 28))
    for number in range(3)
)
LENGTHS = (300, 900, 1800, 3600, 86400)
VALUES = st.one_of(st.none(), st.integers(-(10**6), 10**9))
ONE = timedelta(days=1)


class Undone(Exception):
    """Takes an example's rows back."""


@st.composite
def days(draw):
    """Some local days of a channel: {day: (interval length, values drawn over and over)}."""
    chosen = draw(st.lists(st.sampled_from(DAYS), min_size=1, max_size=5, unique=True))
    pieces = st.tuples(st.sampled_from(LENGTHS), st.lists(VALUES, min_size=1, max_size=7))
    return {day: draw(pieces) for day in chosen}


def keep(channel, told, zone):
    for day, (length, values) in told.items():
        seconds = zones.day_length(day, zone)
        if length == 86400:  # 23 and 25 hours fit no grid
            start = zones.day_start(day, zone)
            known = values[0] or 0
            IntervalReading.objects.create(
                meter_reading=channel, start=start, duration=seconds, local_date=day, value=known, cost=None
            )
        elif any(value is not None for value in values):
            count = seconds // length
            row = [values[number % len(values)] for number in range(count)]
            if any(value is not None for value in row):
                rows.day(channel, day, row, length=length)


def stored(channel):
    """The exact sum, in the unit that pages show."""
    whole = sum(IntervalBlock.objects.filter(meter_reading=channel).values_list("total", flat=True))
    whole += sum(IntervalReading.objects.filter(meter_reading=channel).values_list("value", flat=True))
    return Decimal(whole).scaleb(-3 + channel.power_of_ten_multiplier)


def summed(point, name, first):
    """(delivered, received) of every period of that name that has a day of ours."""
    channels = usage.channels(point)
    sums = [Decimal(0), Decimal(0)]
    for period in {periods.of(name, day) for day in first}:
        found = measured.measured({point: channels}, period)
        for panel in panels.panels(point, period, channels, found):
            for slot in panel.slots:
                sums[0] += slot.delivered.amount if slot.delivered else 0
                sums[1] += slot.received.amount if slot.received else 0
    return sums


def by_the_hour(point):
    """The same, of the heat maps and of their tables."""
    channels = usage.channels(point)
    pictures, tables = [Decimal(0), Decimal(0)], [Decimal(0), Decimal(0)]
    for period in {periods.of("year", day) for day in DAYS}:
        totals = usage.hourly_totals(point, period.first, period.end, known=channels)
        for pattern in patterns.patterns(period, channels, totals):
            pictures[pattern.is_received] += pattern.total + pattern.longer
            lines = pattern.amount(sum(value or 0 for line in pattern.lines for value in line.values))
            tables[pattern.is_received] += lines + pattern.longer
    return pictures, tables


def side_by_side(point):
    channels, sums = usage.channels(point), Decimal(0)
    for period in {periods.of("year", day) for day in DAYS}:
        known = {point: channels}
        found = meters.meters(known, period, measured.measured(known, period), {})
        for meter in found:
            sums += (
                sum((meters.amount_of(slot) or Decimal(0) for slot in meter.panels[0].slots), Decimal(0))
                if meter.panels
                else 0
            )
    return sums


@given(days(), st.one_of(st.none(), days()), st.sampled_from(ZONES), st.integers(-3, 3))
@settings(max_examples=cases(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_view_adds_up_to_what_is_stored(delivered, received, zone, multiplier):
    with pytest.raises(Undone), transaction.atomic():
        point = rows.usage_point(rows.customer(f"{datetime.now().timestamp()}@example.com"), zone=zone)
        sent = rows.channel(point, "in", multiplier=multiplier)
        keep(sent, delivered, ZoneInfo(zone))
        expected, back = [stored(sent), Decimal(0)], None
        if received:
            back = rows.channel(point, "out", flow_direction=19, multiplier=multiplier)
            keep(back, received, ZoneInfo(zone))
            expected[1] = stored(back)
        for name in periods.NAMES:
            assert summed(point, name, DAYS) == expected, name
        assert by_the_hour(point) == (expected, expected)
        if not received:
            assert side_by_side(point) == expected[0]
        raise Undone


@given(days(), days(), st.sampled_from(ZONES))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_month_is_what_its_days_are(told, beside, zone):
    with pytest.raises(Undone), transaction.atomic():
        point = rows.usage_point(rows.customer(f"{datetime.now().timestamp()}@example.com"), zone=zone)
        channel = rows.channel(point)
        keep(channel, told, ZoneInfo(zone))
        keep(channel, {day: one for day, one in beside.items() if told.get(day, (0,))[0] != one[0]}, ZoneInfo(zone))
        span = (DAYS[-1] - 2 * ONE, date(2026, 1, 1))
        (by_day,), (by_month,) = (each(point, *span).values() for each in (usage.daily_totals, usage.monthly_totals))
        summed_up = {}
        for day in by_day:
            value, count = summed_up.get(day.date.replace(day=1), (0, 0))
            summed_up[day.date.replace(day=1)] = (value + day.value, count + 1)
        assert {month.month: (month.value, month.days) for month in by_month} == summed_up
        raise Undone


@pytest.mark.parametrize("first", [date(2025, 3, 1), date(2025, 11, 1), date(2025, 6, 1)])
@pytest.mark.parametrize("absent", [None, 0, 14])
def test_a_month_is_complete_if_every_hour_of_it_is_here(first, absent):
    point = rows.usage_point(rows.customer())
    channel, zone = rows.channel(point), ZoneInfo(point.time_zone)
    after = (first + 31 * ONE).replace(day=1)
    for number in range((after - first).days):
        row = [1] * (zones.day_length(first + number * ONE, zone) // 3600)
        if number == absent:
            row[-1] = None
        rows.day(channel, first + number * ONE, row)
    ((month,),) = usage.monthly_totals(point, first, after).values()
    hours = (zones.day_start(after, zone) - zones.day_start(first, zone)) // 3600
    assert month == (first, hours - (absent is not None), None, (after - first).days, absent is None, False)


def test_the_hour_that_comes_twice_is_one_field_and_the_one_left_out_is_none():
    point = rows.usage_point(rows.customer())
    channel = rows.channel(point)
    rows.day(channel, "2025-11-02", [1] * 25)
    rows.day(channel, "2025-03-09", [1] * 23)
    (totals,) = usage.hourly_totals(point, date(2025, 1, 1), date(2026, 1, 1)).values()
    assert totals.days[date(2025, 11, 2)] == [1, 2, *[1] * 22]
    assert totals.days[date(2025, 3, 9)] == [1, 1, None, *[1] * 21]


def test_hours_told_twice_count_once():
    point = rows.usage_point(rows.customer())
    channel = rows.channel(point)
    rows.day(channel, "2025-07-01", [4] * 24)
    rows.day(channel, "2025-07-01", [1] * 96, length=900)
    (totals,) = usage.hourly_totals(point, date(2025, 7, 1), date(2025, 7, 2)).values()
    assert totals == ({date(2025, 7, 1): [4] * 24}, 0)
