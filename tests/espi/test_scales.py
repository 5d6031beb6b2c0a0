"""Values are exact integers at their channel's power of ten, which may change."""

from datetime import date
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from espi import models, usage
from tests.espi import documents
from tests.espi.documents import BASE, MIDNIGHT, POINT, block, reading
from tests.espi.storing import DAY, V1, channels, history, store

pytestmark = pytest.mark.django_db


def test_con_edison_v1_is_decimal_kwh_with_kvarh_beside_it(subscription):
    content = documents.v1_feed(documents.v1_entry("KVARH", ["0.011"]), documents.v1_entry("KWH", ["0.236", "0.241"]))
    store(subscription, content, dialect=V1)
    point = models.UsagePoint.objects.get()
    assert (point.resource_id, point.time_zone) == ("4100000001", "America/New_York")
    found = {channel.uom: channel for channel in usage.channels(point)}
    assert set(found) == {72, 73}
    totals = {channel.uom: days[0].value for channel, days in usage.daily_totals(point, DAY, date(2026, 1, 16)).items()}
    assert found[72].multiplier == -3
    assert totals == {72: 477_000, 73: 11_000}
    assert usage.amount(found[72], totals[72]) == Decimal(477)


def test_con_edison_v2_decimals_with_multiplier_3_are_exact(subscription):
    store(subscription, documents.feed(block([reading(MIDNIGHT, "0.236")]), powerOfTenMultiplier=3))
    (channel,) = usage.channels(models.UsagePoint.objects.get())
    assert usage.amount(channel, models.IntervalBlock.objects.get().total) == Decimal(236)


def test_values_are_rescaled_exactly_when_the_multiplier_changes(subscription):
    store(subscription, documents.feed(documents.hours(2), powerOfTenMultiplier=0))
    store(subscription, documents.feed(documents.hours(2, start=MIDNIGHT + 86400), powerOfTenMultiplier=3))
    store(subscription, documents.feed(block([reading(MIDNIGHT + 2 * 86400, 1)]), powerOfTenMultiplier=-3))
    (row,) = channels().values()
    assert row.power_of_ten_multiplier == -3
    found = [each.values[:2] for each in models.IntervalBlock.objects.order_by("local_date")]
    assert found == [[100_000, 101_000], [100_000_000, 101_000_000], [1, None]]
    assert models.IntervalBlock.objects.earliest("local_date").total == 201_000


@pytest.mark.parametrize("codes", [{"uom": 9999}, {"powerOfTenMultiplier": 99}, {"powerOfTenMultiplier": -99}])
def test_d08_an_unknown_unit_or_multiplier_refuses_those_readings_and_keeps_the_rest(subscription, codes):
    odd, kind = f"{POINT}/MeterReading/9", f"{BASE}/ReadingType/9"
    parts = (documents.reading_type(kind, **codes), documents.meter_reading(odd, kind), documents.hours(3, href=odd))
    document = store(subscription, documents.feed(documents.hours(24), *parts))
    assert len(history()) == 24
    (refused,) = document.summary["refused"]
    assert (refused["what"], refused["count"]) == ("reading", 3)


def test_d08_a_giant_value_is_refused_and_the_rest_of_its_block_kept(subscription):
    readings = [
        reading(MIDNIGHT, 9 * 10**18),
        reading(MIDNIGHT + 3600, 5),
        reading(MIDNIGHT + 7200, 6, cost=9 * 10**18),
    ]
    document = store(subscription, documents.feed(block(readings)))
    assert list(history().values()) == [5]
    assert document.summary["refused"] == [
        {"what": "reading", "why": "a value or cost too large to be stored", "count": 2}
    ]


TOO_FINE = "a value with more digits than can be stored exactly"


def test_d08_a_value_with_the_noise_of_a_float_costs_its_own_reading_and_leaves_its_channel_fit_for_all_others(
    subscription,
):
    def day(start, *values):
        told = [reading(start + 3600 * hour, value) for hour, value in enumerate(values)]
        return documents.feed(block(told), powerOfTenMultiplier=3)

    document = store(subscription, day(MIDNIGHT, "0.25", "0.30000000000000004", "0.500000000000000000"))
    assert document.summary["refused"] == [{"what": "reading", "why": TOO_FINE, "count": 1}]
    store(subscription, day(MIDNIGHT + 86400, "123456.123456789"))
    (row,) = channels().values()
    assert row.power_of_ten_multiplier == -6
    assert list(history().values()) == [250_000_000, 500_000_000, 123_456_123_456_789]


@pytest.mark.parametrize("length", [3600, 7200])
def test_d08_a_multiplier_beside_which_no_usual_value_could_be_stored_is_refused(subscription, length):
    usual = documents.feed(block([reading(MIDNIGHT, 12_345, length)]))
    store(subscription, usual)
    store(subscription, documents.feed(block([reading(MIDNIGHT + 7200, 1)]), powerOfTenMultiplier=-14))
    (row,) = channels().values()
    assert (row.power_of_ten_multiplier, list(history().values())) == (0, [12_345])


def test_what_was_said_before_is_rescaled_too_also_where_one_value_is_ten_times_another(subscription):
    told = [reading(MIDNIGHT, value) for value in (10, -1, 1, 0, -10, 100, 5)]
    store(subscription, documents.feed(block(told)))
    store(subscription, documents.feed(block([reading(MIDNIGHT + 3600, 7)]), powerOfTenMultiplier=-1))
    found = models.IntervalRevision.objects.values_list("old_value", flat=True)
    assert sorted(found) == [-100, -10, 0, 10, 100, 1000]
    assert list(history().values()) == [50, 7]


def test_a_register_beside_the_deltas_is_flagged_by_its_accumulation(subscription):
    store(subscription, documents.feed(documents.hours(2), accumulationBehaviour=3))
    assert [row.is_register for row in channels().values()] == [True]


# --- Multipliers finer than the values --------------------------------------------------------------------------------


def told(value, start=MIDNIGHT, length=3600, published="2026-02-01T00:00:00Z", **codes):
    return documents.feed(block([reading(start, value, length)]), updated=published, **codes)


def quantities():
    with connection.cursor() as cursor:
        cursor.execute("SELECT quantity FROM espi_reading ORDER BY start")
        return [quantity for (quantity,) in cursor.fetchall()]


@pytest.mark.parametrize("length", [3600, 7200])
def test_a_first_multiplier_that_is_finer_than_its_values_refuses_no_usual_value_later(subscription, length):
    first = store(subscription, told(500 * 10**12, length=length, powerOfTenMultiplier=-12))
    later = store(subscription, told(12_345_678, MIDNIGHT + 7200, length))
    assert (first.summary["refused"], later.summary["refused"]) == ([], [])
    assert quantities() == [500, 12_345_678]


def test_values_that_are_too_large_for_their_own_multiplier_only_are_stored(subscription):
    document = store(subscription, told(500_000 * 10**12, powerOfTenMultiplier=-12))
    assert (quantities(), document.summary["refused"]) == ([500_000], [])


def test_usual_values_stay_beside_one_whose_multiplier_is_finer_than_it_is(subscription):
    store(subscription, told(12_345_678))
    document = store(subscription, told(1_500_000_000_000, MIDNIGHT + 3600, powerOfTenMultiplier=-12))
    assert ([*map(float, quantities())], document.summary["refused"]) == ([12_345_678, 1.5], [])


def test_no_digit_is_lost_to_make_room_and_what_finds_none_is_refused(subscription):
    store(subscription, told(500 * 10**12 + 1, powerOfTenMultiplier=-12))
    document = store(subscription, told(12_345_678, MIDNIGHT + 7200))
    assert quantities() == [Decimal("500.000000000001")]
    assert document.summary["refused"] == [
        {"what": "reading", "why": "a value or cost too large to be stored", "count": 1}
    ]


def test_what_was_said_before_keeps_its_digits_when_the_multiplier_becomes_coarser(subscription):
    for day, value in enumerate((10, 1, 100, 0, -10, -1000), 1):
        store(subscription, told(value * 10**11, published=f"2026-02-0{day}T00:00:00Z", powerOfTenMultiplier=-12))
    store(subscription, told(12_345_678, MIDNIGHT + 7200))
    (row,) = channels().values()
    found = models.IntervalRevision.objects.order_by("pk").values_list("old_value", flat=True)
    scale = Decimal(10) ** row.power_of_ten_multiplier
    assert [value * scale * 10 for value in found] == [10, 1, 100, 0, -10]
    assert quantities() == [-100, 12_345_678]


def test_a_channel_is_brought_in_vain_to_a_finer_multiplier_once_only(subscription):
    store(subscription, told(2**52 - 1))
    fine = [block([reading(MIDNIGHT + 3600 * number, "0.5")], name=str(number)) for number in range(1, 40)]
    with CaptureQueriesContext(connection) as asked:
        document = store(subscription, documents.feed(*fine))
    rescaled = [each for each in asked if "UPDATE espi_intervalblock SET total" in each["sql"]]
    assert (len(rescaled), document.summary["refused"][0]["count"]) == (1, 39)
    assert quantities() == [2**52 - 1]


def test_a_channel_makes_no_room_for_what_finds_none_all_the_same(subscription):
    store(subscription, told(500))
    giants = [(2**52 + 1) * 10 ** (number % 2) for number in range(20)]
    blocks = [block([reading(MIDNIGHT + 3600 * hour, value)], name=str(hour)) for hour, value in enumerate(giants, 1)]
    with CaptureQueriesContext(connection) as asked:
        document = store(subscription, documents.feed(*blocks, powerOfTenMultiplier=-9))
    rescaled = [each for each in asked if "UPDATE espi_intervalblock SET total" in each["sql"]]
    assert (len(rescaled), document.summary["refused"][0]["count"], quantities()) == (1, 20, [500])
