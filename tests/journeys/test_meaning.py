"""What a customer reads on the page of a meter that was replaced, and of readings that are not checked yet."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from espi import usage
from espi.models import IntervalBlock, MeterReading, Succession, UsagePoint
from tests.journeys.conftest import PORTAL
from tests.journeys.customers import CECONY_V1, CECONY_V2, PGE
from tests.journeys.test_first_data import connect, delivered, stored

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize("profile", [CECONY_V1, CECONY_V2, PGE], ids=str)
def test_f50_a_swapped_meter_is_one_picture_with_its_seam_in_words(world, profile):
    authorization = connect(world, replace(profile, who="swapped@example.com"))
    world.work()
    assert stored(authorization) == delivered(world)
    point = UsagePoint.objects.get()
    facts = Succession.objects.filter(usage_point=point)
    assert set(facts.values_list("reason", flat=True)) == {Succession.Reason.REPLACED}
    (at,) = set(facts.values_list("at", flat=True))
    assert {row.channel.partition("#")[2] for row in MeterReading.objects.all()} == {""}
    local = datetime.fromtimestamp(at, ZoneInfo(point.time_zone))
    browser = world.signed_in()
    browser.get(f"{PORTAL}/usage/{point.public_id}?period=day&date={local.date()}")
    assert f"Since {local:%B} {local.day}, {local:%Y, %H:%M}, another meter measures here." in browser.text
    totals = usage.daily_totals(point, local.date(), local.date() + timedelta(days=1))
    assert all(day.is_complete for days in totals.values() for day in days)


def test_real_time_readings_are_marked_and_checked_ones_stand(world):
    """The last hours of yesterday come both ways: the checked ones stand. Today's are provisional, 45 minutes behind."""
    connect(world, CECONY_V1.with_most_data, "usage", "realtime")
    world.work()
    point = UsagePoint.objects.get(service_kind=0)
    now = datetime.now(UTC).astimezone(NEW_YORK)
    provisional = {row.local_date for row in _energy(point) if 14 in (row.qualities or [])}
    assert provisional <= {now.date()}
    browser = world.signed_in()
    for day in (now.date(), now.date() - timedelta(days=1)):
        browser.get(f"{PORTAL}/usage/{point.public_id}?period=day&date={day}")
        assert ("Provisional" in browser.text) == (day in provisional)
    if now.hour >= 2:
        assert provisional == {now.date()}


def _energy(point):
    channel = MeterReading.objects.get(usage_point=point, reading_type__uom=72)
    return IntervalBlock.objects.filter(meter_reading=channel, local_date__gte=date(2020, 1, 1)).order_by("local_date")
