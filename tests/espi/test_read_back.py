"""What is stored, read for people and for analysts."""

import tracemalloc
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection

from espi import models, usage
from tests.espi import documents
from tests.espi.documents import BASE, METER, MIDNIGHT, block, reading
from tests.espi.storing import DAY, channels, store

pytestmark = pytest.mark.django_db


def test_months_are_sums_of_days_and_say_whether_they_are_whole(subscription):
    days = [documents.hours(24, MIDNIGHT + 86400 * day, value=lambda _: 1) for day in range(-14, 20)]
    store(subscription, documents.feed(*days))
    point = models.UsagePoint.objects.get()
    (months,) = usage.monthly_totals(point, date(2026, 1, 1), date(2027, 1, 1)).values()
    assert [(m.month, m.value, m.days, m.is_complete) for m in months] == [
        (date(2026, 1, 1), 744, 31, True),
        (date(2026, 2, 1), 72, 3, False),
    ]
    assert usage.coverage(point) == (date(2026, 1, 1), date(2026, 2, 3))


def test_monthly_readings_appear_in_the_month_that_holds_their_middle(subscription):
    store(subscription, documents.feed(block([reading(MIDNIGHT, 500, 30 * 86400)])))
    point = models.UsagePoint.objects.get()
    (months,) = usage.monthly_totals(point, date(2026, 1, 1), date(2026, 3, 1)).values()
    assert [(m.month, m.value, m.from_long_readings) for m in months] == [(date(2026, 1, 1), 500, True)]
    assert usage.daily_totals(point, date(2026, 1, 1), date(2026, 3, 1)) == {usage.channels(point)[0]: []}


def test_a_month_whose_end_is_corrected_counts_once(subscription):
    for days, published in ((30, "2026-02-16T00:00:00Z"), (31, "2026-02-18T00:00:00Z")):
        store(subscription, documents.feed(block([reading(MIDNIGHT, 500 + days, days * 86400)], published=published)))
    (months,) = usage.monthly_totals(models.UsagePoint.objects.get(), date(2026, 1, 1), date(2026, 3, 1)).values()
    assert [month.value for month in months] == [531]


def test_the_same_hours_in_two_interval_lengths_count_once(subscription):
    quarters = block([reading(MIDNIGHT + 900 * i, 10, 900) for i in range(8)])
    hourly = block([reading(MIDNIGHT + 3600 * i, 40) for i in range(24)], name="2")
    daily = block([reading(MIDNIGHT, 960, 86400)], name="3")
    store(subscription, documents.feed(quarters, hourly, daily))
    (totals,) = usage.daily_totals(models.UsagePoint.objects.get(), DAY, DAY + timedelta(days=1)).values()
    assert [(total.value, total.is_complete) for total in totals] == [(960, True)]


def test_a_day_shows_its_gaps(subscription):
    store(subscription, documents.feed(block([reading(MIDNIGHT, 1), reading(MIDNIGHT + 7200, 3)])))
    (found,) = usage.day_readings(models.UsagePoint.objects.get(), DAY).values()
    assert [each.value for each in found[:4]] == [1, None, 3, None]
    assert found[0].start == datetime(2026, 1, 15, 5, tzinfo=UTC)
    assert len(found) == 24


def test_readings_spread_thinly_over_decades_are_stored_in_little_memory(subscription):
    """One minute each day, and one second each day: no grid of seconds, and no hundred years at once."""
    minutes = [reading(631152000 + 86400 * day, day, 60) for day in range(3000)]
    seconds = [reading(631152007 + 86400 * day, day, 1) for day in range(3000)]
    content = documents.feed(block(minutes + seconds))
    tracemalloc.start()
    store(subscription, content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert models.IntervalBlock.objects.count() == 3000
    assert models.IntervalReading.objects.count() == 3000
    assert peak < 60_000_000


def test_meter_readings_named_by_related_links_only_are_found(subscription):
    lone = documents.entry(
        documents.espi("IntervalBlock", reading(MIDNIGHT, 5)), f"{BASE}/IntervalBlock/7", related=[METER]
    )
    store(subscription, documents.feed(lone))
    assert list(channels()) == ["commodity=1;kind=12;uom=72;flow=1;accumulation=4"]


def test_analysts_read_plain_rows_from_a_view(subscription):
    first = store(subscription, documents.feed(documents.hours(2), block([reading(MIDNIGHT + 1, 5, 86400)], name="2")))
    second = store(
        subscription, documents.feed(documents.hours(1, published="2026-02-20T08:00:00Z", value=lambda _: 7))
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM start)::bigint, duration, value, quantity, uom, document_id FROM espi_reading"
            " WHERE subscription_id = %s ORDER BY start",
            [subscription.pk],
        )
        found = cursor.fetchall()
    multiplier = models.MeterReading.objects.first().power_of_ten_multiplier
    assert [(*row[:3], row[5]) for row in found] == [
        (MIDNIGHT, 3600, 7, second.pk),
        (MIDNIGHT + 1, 86400, 5, first.pk),
        (MIDNIGHT + 3600, 3600, 101, first.pk),
    ]
    assert [row[3] for row in found] == [Decimal(row[2]).scaleb(multiplier) for row in found]


def test_the_tables_of_readings_can_be_partitioned_and_rows_moved_as_they_are(subscription):
    store(subscription, documents.feed(documents.hours(24), block([reading(MIDNIGHT + 1, 5, 86400)], name="2")))
    tables = (
        ("espi_intervalblock", "local_date", "'2026-01-01'", "'2026-02-01'"),
        ("espi_intervalreading", "start", "0", "2000000000"),
    )
    with connection.cursor() as cursor:
        for table, column, low, high in tables:
            cursor.execute(f"CREATE TABLE parted (LIKE {table} INCLUDING ALL) PARTITION BY RANGE ({column})")
            cursor.execute(f"CREATE TABLE part PARTITION OF parted FOR VALUES FROM ({low}) TO ({high})")
            cursor.execute(f"INSERT INTO parted SELECT * FROM {table}")
            cursor.execute("SELECT count(*) FROM part")
            assert cursor.fetchone() == (1,)
            cursor.execute("DROP TABLE parted")
