"""Each dialect's documents, composed from the contracts: what they mean, however they are written."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

import utilities
from espi import ingest, models, usage
from espi.dialect import Dialect
from espi.models import ApplicationInformation
from portal.models import User
from tests.espi import samples

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
UPLOADED = Dialect(usage_points="address")


@pytest.fixture
def subscription():
    user = User.objects.create_user("ann@example.com")
    return models.Subscription.objects.create(retail_customer=user, utility="pge", time_zone="UTC")


def read(subscription, name, dialect):
    return ingest.store(samples.OWN / "xml" / name, subscription=subscription, dialect=dialect, now=NOW)


def dialect_of(slug, edition=""):
    return utilities.get(slug).dialect(ApplicationInformation(utility=slug, edition=edition))


def days(start, end, **wanted):
    """{local day: (quantity, readings, whole)} of the one channel that has these codes."""
    point = models.UsagePoint.objects.get()
    totals = usage.daily_totals(point, start, end)
    (channel,) = [each for each in totals if all(getattr(each, key) == value for key, value in wanted.items())]
    return {day.date: (usage.amount(channel, day.value), day.count, day.is_complete) for day in totals[channel]}


def test_pge_cumulative_blocks_under_one_self_link_are_one_day_told_ever_longer(subscription):
    document = read(subscription, "composed__cumulative-blocks.xml", dialect_of("pge"))
    assert models.UsagePoint.objects.get().resource_id == "1234567890"
    row = models.IntervalBlock.objects.get()
    assert (row.local_date, row.count, row.total) == (date(2026, 3, 2), 24, 9_876_000)
    assert (set(row.tous), set(row.qualities)) == ({6}, {17})
    assert not models.IntervalRevision.objects.exists()
    assert (document.summary["stored"], document.summary["remarks"]) == (24, [])


def test_pge_gas_is_in_therms_by_its_own_multiplier_on_days_of_the_pacific_clock(subscription):
    read(subscription, "composed__therms.xml", dialect_of("pge"))
    assert days(date(2025, 10, 1), date(2025, 12, 1), uom=169) == {
        date(2025, 10, 31): (Decimal("1.03659540"), 1, True),
        date(2025, 11, 1): (Decimal("0.98"), 1, True),
        date(2025, 11, 2): (Decimal("1.1"), 1, True),
        date(2025, 11, 3): (Decimal("1.2"), 1, True),
    }
    bill = models.UsageSummary.objects.get()
    assert (bill.resource_id, bill.status_timestamp) == ("1,762,146,001,000", datetime(2025, 11, 4, tzinfo=UTC))
    assert (bill.consumption, bill.consumption_multiplier, bill.consumption_uom) == (3_100_000_000, -8, 169)


def test_pge_day_of_25_hours_is_one_row(subscription):
    read(subscription, "composed__fall-back-day.xml", dialect_of("pge"))
    ((day, (quantity, count, is_whole)),) = days(date(2025, 11, 1), date(2025, 11, 5)).items()
    assert (day, quantity, count, is_whole) == (date(2025, 11, 2), Decimal("21362.5"), 25, True)


def test_utilityapi_windows_are_one_history_per_direction_cut_at_the_meters_midnights(subscription):
    read(subscription, "composed__windows-newest-first.xml", dialect_of("essex"))
    assert models.MeterReading.objects.count() == 2
    delivered = days(date(2025, 6, 30), date(2025, 7, 5), flow_direction=1)
    assert list(delivered) == [date(2025, 6, 30), date(2025, 7, 1), date(2025, 7, 2), date(2025, 7, 3)]
    assert [(count, whole) for _, count, whole in delivered.values()] == [
        (4, False),
        (24, True),
        (24, True),
        (20, False),
    ]
    assert delivered[date(2025, 7, 1)][0] == 24 * 500 + sum(range(24))
    received = days(date(2025, 6, 30), date(2025, 7, 5), flow_direction=19)
    assert {day: (quantity, count) for day, (quantity, count, _) in received.items()} == {
        date(2025, 7, day): (7 * 200 + sum(range(14, 21)), 7) for day in (1, 2, 3)
    }
    assert not models.Succession.objects.exists()


def test_con_edison_v1_is_decimal_kilowatt_hours_with_reactive_energy_apart(subscription):
    read(subscription, "composed__decimal-kwh.xml", dialect_of("cecony", "v1"))
    assert days(date(2026, 1, 15), date(2026, 1, 16), uom=72)[date(2026, 1, 15)][0] == 477
    assert days(date(2026, 1, 15), date(2026, 1, 16), uom=73)[date(2026, 1, 15)][0] == 23


def test_con_edison_v2_has_decimals_at_a_multiplier_of_3_and_gas_by_the_month(subscription):
    document = read(subscription, "composed__quarter-hours-and-gas.xml", dialect_of("oru", "v2"))
    assert document.summary["remarks"] == []
    electricity = models.UsagePoint.objects.get(service_kind=0)
    ((channel, (day,)),) = usage.daily_totals(electricity, date(2025, 11, 1), date(2025, 11, 4)).items()
    assert (day.date, day.count, day.is_complete) == (date(2025, 11, 2), 100, True)
    assert (
        usage.amount(channel, day.value) == models.IntervalBlock.objects.get().total * Decimal(10) ** channel.multiplier
    )


def test_an_export_with_one_id_for_all_keeps_the_days_on_which_clocks_change_whole(subscription):
    read(subscription, "composed__one-id-for-all.xml", UPLOADED)
    point = models.UsagePoint.objects.get()
    assert (point.resource_id, point.time_zone) == ("User/1,000,001/UsagePoint/01", "America/New_York")
    found = days(date(2025, 11, 1), date(2026, 4, 1))
    assert {day: quantity for day, (quantity, _, _) in found.items()} == {
        date(2025, 11, 2): 300,
        date(2026, 3, 8): 230,
        date(2026, 3, 9): 168,
    }


def test_every_kind_of_series_keeps_its_own_meaning(subscription):
    document = read(subscription, "composed__every-series.xml", UPLOADED)
    point, day = models.UsagePoint.objects.get(), date(2026, 1, 15)
    totals = usage.daily_totals(point, day, day + timedelta(days=2))
    found = {
        (channel.uom, channel.flow_direction, channel.tou): usage.amount(channel, sum(each.value for each in sums))
        for channel, sums in totals.items()
    }
    assert found == {
        (72, 1, None): sum(range(100, 124)),
        (72, 19, None): 1200,
        (72, 4, None): -120,
        (73, 1, None): 216,
        (72, 1, 1): 20,
        (72, 1, 2): 48,
        (169, 1, None): Decimal("1.2"),
        (None, None, None): 77,
    }
    others = {channel.uom: channel for channel in usage.channels(point) if channel not in totals}
    assert others[72].is_register
    shown = usage.day_readings(point, day)
    assert [usage.amount(others[23], each.value) for each in shown[others[23]][:2]] == [
        Decimal("-1.5"),
        Decimal("-1.4"),
    ]
    assert {(each["what"], each["count"]) for each in document.summary["remarks"]} == {
        ("ServiceCategory", 1),
        ("reading", 24),
    }
    assert document.summary["refused"] == [{"what": "reading", "why": "a reading without a value", "count": 1}]
