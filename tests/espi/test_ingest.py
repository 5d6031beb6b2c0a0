"""Documents become rows: one history per channel, local days, corrections, and nothing written twice."""

import itertools
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from zoneinfo import ZoneInfo

import pytest
from django.apps import apps
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from espi import archive, ingest, models, parse, usage
from espi.dialect import Dialect
from portal.bills import bills as bills_shown
from portal.models import User
from tests.espi import documents
from tests.espi.documents import BASE, METER, MIDNIGHT, POINT, block, reading

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = date(2026, 1, 15)
V1 = Dialect(time_zone="America/New_York", interval_values="decimal_kwh", default_currency=840)


@pytest.fixture
def subscription():
    user = User.objects.create_user("ann@example.com")
    return models.Subscription.objects.create(retail_customer=user, utility="pge", time_zone="America/New_York")


def store(subscription, content, **more):
    return ingest.store(content, subscription=subscription, **({"now": NOW} | more))


def kept(document):
    return b"".join(archive.content(document))


def rows(*, without=("Document", "DocumentPart")):
    """Every row of the app, without what the receipt of a document leaves."""
    found = {}
    for model in apps.get_app_config("espi").get_models():
        if model.__name__ not in without:
            found[model.__name__] = sorted(map(repr, model.objects.values()))
    return found


def history():
    """{(channel, start, duration): value} of everything stored, whatever rows hold it."""
    found = {}
    for each in models.IntervalBlock.objects.select_related("meter_reading"):
        for index, value in enumerate(each.values):
            if value is not None:
                start = each.start + index * each.interval_length
                found[each.meter_reading.channel, start, each.interval_length] = value
    for each in models.IntervalReading.objects.select_related("meter_reading"):
        found[each.meter_reading.channel, each.start, each.duration] = each.value
    return found


def channels():
    return {row.channel: row for row in models.MeterReading.objects.all()}


# --- Days -------------------------------------------------------------------------------------------------------------


def test_a_block_becomes_a_row_of_its_local_day(subscription):
    document = store(subscription, documents.feed(documents.hours(24)))
    row = models.IntervalBlock.objects.get()
    assert (row.local_date, row.interval_length, row.start, row.count) == (DAY, 3600, MIDNIGHT, 24)
    assert row.values == list(range(100, 124))
    assert row.total == sum(range(100, 124))
    assert row.document == document
    assert document.summary["stored"] == 24
    assert kept(document) == documents.feed(documents.hours(24))


def test_a_block_of_many_days_is_cut_at_local_midnights(subscription):
    store(subscription, documents.feed(documents.hours(60, start=MIDNIGHT + 7 * 3600)))
    found = models.IntervalBlock.objects.order_by("local_date")
    assert [(row.local_date.day, row.count, len(row.values)) for row in found] == [
        (15, 17, 24),
        (16, 24, 24),
        (17, 19, 24),
    ]
    assert found[0].values[:7] == [None] * 7


@pytest.mark.parametrize(("day", "length"), [(date(2026, 3, 8), 23), (date(2025, 11, 2), 25), (date(2026, 3, 9), 24)])
def test_days_of_23_and_25_hours_are_ordinary(subscription, day, length):
    midnight = int(datetime(day.year, day.month, day.day, 5, tzinfo=UTC).timestamp())
    midnight -= 3600 * (date(2026, 3, 8) < day or day.month == 11)
    content = documents.feed(documents.hours(length + 24, start=midnight))
    store(subscription, content, now=NOW + timedelta(days=30))
    row = models.IntervalBlock.objects.get(local_date=day)
    assert (len(row.values), row.count) == (length, length)
    point = models.UsagePoint.objects.get()
    (totals,) = usage.daily_totals(point, day, day + timedelta(days=1)).values()
    assert totals == [usage.DayTotal(day, sum(range(100, 100 + length)), None, length, True)]


def test_a_7200_second_and_a_0_second_reading_keep_the_sums_of_days_whole(subscription):
    spring = [reading(MIDNIGHT, 1), reading(MIDNIGHT + 3600, 2, 7200), reading(MIDNIGHT + 3 * 3600, 4)]
    autumn = [reading(MIDNIGHT + 4 * 3600, 8), reading(MIDNIGHT + 4 * 3600, 16, 0)]
    store(subscription, documents.feed(block(spring + autumn)))
    (totals,) = usage.daily_totals(models.UsagePoint.objects.get(), DAY, DAY + timedelta(days=1)).values()
    assert [total.value for total in totals] == [31]


def test_days_of_90000_and_82800_seconds_are_days(subscription):
    start = int(datetime(2025, 11, 2, 4, tzinfo=UTC).timestamp())
    store(subscription, documents.feed(block([reading(start, 7, 90000), reading(start + 90000, 8, 86400)])))
    (totals,) = usage.daily_totals(models.UsagePoint.objects.get(), date(2025, 11, 1), date(2025, 11, 5)).values()
    assert [(total.date.day, total.value, total.is_complete) for total in totals] == [(2, 7, True), (3, 8, True)]


def test_a_day_of_25_hours_told_in_one_reading_of_86400_seconds_is_whole_and_one_told_in_24_hours_is_not(subscription):
    start = int(datetime(2025, 11, 2, 4, tzinfo=UTC).timestamp())
    autumn = date(2025, 11, 2)

    def told(*readings):
        subscription.usage_points.all().delete()
        store(subscription, documents.feed(block(readings)))
        (totals,) = usage.daily_totals(models.UsagePoint.objects.get(), autumn, autumn + timedelta(days=1)).values()
        return [total.is_complete for total in totals]

    assert told(reading(start, 7, 86400)) == [True]
    assert told(*(reading(start + 3600 * hour, 7) for hour in range(24))) == [False]
    assert told(reading(start, 7)) == [False]


def test_gas_that_begins_one_second_after_midnight_belongs_to_its_day(subscription):
    gas = {"commodity": 7, "uom": 169, "powerOfTenMultiplier": -8}
    store(subscription, documents.feed(block([reading(MIDNIGHT + 1, 103659540, 86400)]), **gas))
    point = models.UsagePoint.objects.get()
    ((channel, totals),) = usage.daily_totals(point, DAY, DAY + timedelta(days=1)).items()
    assert [total.date for total in totals] == [DAY]
    assert usage.amount(channel, totals[0].value) == Decimal("1.03659540")


def test_newest_first_and_scattered_readings_land_in_the_same_rows(subscription):
    readings = [reading(MIDNIGHT + 3600 * hour, hour) for hour in range(24)]
    store(subscription, documents.feed(block(readings[::-1])))
    straight = history()
    models.UsagePoint.objects.all().delete()
    store(subscription, documents.feed(block(readings[1::2] + readings[::2])))
    assert history() == straight
    assert models.IntervalBlock.objects.get().values == list(range(24))


def test_absent_is_not_zero(subscription):
    store(subscription, documents.feed(block([reading(MIDNIGHT, 0), reading(MIDNIGHT + 7200, 5)])))
    assert models.IntervalBlock.objects.get().values[:4] == [0, None, 5, None]


def test_cost_quality_and_tou_stand_beside_the_value(subscription):
    readings = [reading(MIDNIGHT, 1, cost=500, quality=17, tou=6), reading(MIDNIGHT + 3600, 2, quality=8)]
    store(subscription, documents.feed(block(readings)))
    row = models.IntervalBlock.objects.get()
    assert (row.costs[:2], row.qualities[:2], row.tous[:2]) == ([500, None], [17, 8], [6, None])
    assert row.total_cost == 500


def test_the_time_zone_comes_from_the_caller_then_the_document_then_the_subscription(subscription):
    content = documents.feed(documents.hours(1))
    store(subscription, content, dialect=Dialect(time_zone="America/Chicago"))
    assert models.UsagePoint.objects.get().time_zone == "America/Chicago"
    models.UsagePoint.objects.all().delete()
    store(subscription, content.replace(b"-18000", b"-28800"))
    assert models.UsagePoint.objects.get().time_zone == "America/Los_Angeles"
    models.UsagePoint.objects.all().delete()
    models.Document.objects.all().delete()
    bare = documents.bare_feed(
        documents.usage_point(), documents.meter_reading(), documents.reading_type(), documents.hours(1)
    )
    store(subscription, bare)
    assert models.UsagePoint.objects.get().time_zone == "America/New_York"


def test_days_that_are_kept_in_one_zone_are_not_cut_again_in_another(subscription):
    store(subscription, documents.feed(documents.hours(24)))
    before = rows()
    with pytest.raises(ingest.DocumentRefused, match="America/New_York"):
        store(subscription, documents.feed(documents.hours(25)), dialect=Dialect(time_zone="America/Chicago"))
    assert rows() == before


# --- Any order, any ids -----------------------------------------------------------------------------------------------


def test_any_order_of_entries_gives_the_same_rows(subscription):
    parts = [documents.local_time(), documents.reading_type(), documents.usage_point(), documents.meter_reading()]
    parts += [documents.hours(24), documents.hours(24, start=MIDNIGHT + 86400)]
    expected = None
    for order in itertools.islice(itertools.permutations(parts), 0, 720, 37):
        models.UsagePoint.objects.all().delete()
        models.Document.objects.all().delete()
        store(subscription, documents.bare_feed(*order))
        expected = expected or history()
        assert history() == expected
        assert models.IntervalBlock.objects.filter(count=24).count() == 2


def test_meter_reading_ids_that_change_with_the_window_are_one_history(subscription):
    for day in range(3):
        meter = f"{POINT}/MeterReading/800001-{day + 1}-{day}_kwh_1"
        kind = f"{BASE}/ReadingType/976_800001_{day}"
        content = documents.bare_feed(
            documents.local_time(),
            documents.usage_point(),
            documents.reading_type(kind),
            documents.meter_reading(meter, kind),
            documents.hours(24, MIDNIGHT + day * 86400, href=meter),
        )
        store(subscription, content)
    assert models.MeterReading.objects.count() == 1
    assert models.IntervalBlock.objects.count() == 3


def test_a_window_without_reading_type_joins_the_channel_whose_id_differs_in_its_instants_only(subscription):
    kind = f"{BASE}/ReadingType/1"
    for flow, codes in ((1, {}), (19, {"flowDirection": 19})):
        meter = f"{POINT}/MeterReading/800001-{MIDNIGHT + 86400}-{MIDNIGHT}_kwh_{flow}"
        content = documents.bare_feed(
            documents.local_time(),
            documents.usage_point(),
            documents.reading_type(kind, **codes),
            documents.meter_reading(meter, kind),
            documents.hours(24, href=meter),
        )
        store(subscription, content)
    later = f"{POINT}/MeterReading/800001-{MIDNIGHT + 2 * 86400}-{MIDNIGHT + 86400}_kwh_19"
    store(subscription, documents.bare_feed(documents.hours(24, MIDNIGHT + 86400, href=later)))
    other = f"{POINT}/MeterReading/800002-{MIDNIGHT + 2 * 86400}-{MIDNIGHT + 86400}_kwh_19"
    store(subscription, documents.bare_feed(documents.hours(24, MIDNIGHT + 86400, href=other)))
    found = {row.reading_type.flow_direction: row.interval_blocks.count() for row in models.MeterReading.objects.all()}
    assert found == {1: 1, 19: 2, None: 1}


def test_an_id_that_was_untold_moves_to_the_channel_it_turns_out_to_be(subscription):
    store(subscription, documents.feed(documents.hours(24)))
    other = f"{POINT}/MeterReading/M2"
    store(subscription, documents.bare_feed(documents.hours(24, MIDNIGHT + 86400, href=other)))
    assert models.MeterReading.objects.count() == 2
    told = (documents.local_time(), documents.usage_point(), documents.reading_type(), documents.meter_reading(other))
    store(subscription, documents.bare_feed(*told, documents.hours(24, MIDNIGHT + 2 * 86400, href=other)))
    store(subscription, documents.bare_feed(documents.hours(24, MIDNIGHT + 3 * 86400, href=other)))
    counts = {row.channel: row.interval_blocks.count() for row in models.MeterReading.objects.all()}
    assert counts == {"commodity=1;kind=12;uom=72;flow=1;accumulation=4": 4}


def test_two_meters_of_one_service_are_two_channels_and_stay_so(subscription):
    def content(*ids, day=0):
        meters = [f"{POINT}/MeterReading/{each}" for each in ids]
        head = [documents.local_time(), documents.usage_point(), documents.reading_type()]
        head += [documents.meter_reading(meter) for meter in meters]
        return documents.bare_feed(
            *head,
            *[
                documents.hours(
                    24, MIDNIGHT + day * 86400, href=meter, value=lambda hour, meter=meter: hour * len(meter)
                )
                for meter in meters
            ],
        )

    store(subscription, content("A", "BB"))
    store(subscription, content("BB", day=1))
    assert sorted((row.channel[-2:], row.interval_blocks.count()) for row in channels().values()) == [
        ("#2", 2),
        ("=4", 1),
    ]


def test_blocks_without_any_description_are_kept_and_explained_later(subscription):
    store(subscription, documents.bare_feed(documents.hours(24)))
    assert list(channels()) == ["meter_reading=M1"]
    store(subscription, documents.feed(documents.hours(24, start=MIDNIGHT + 86400)))
    assert list(channels()) == ["commodity=1;kind=12;uom=72;flow=1;accumulation=4"]
    store(subscription, documents.bare_feed(documents.hours(24, start=MIDNIGHT + 2 * 86400)))
    assert models.IntervalBlock.objects.count() == 3
    assert models.MeterReading.objects.count() == 1


def test_forward_reverse_and_registers_stay_apart_and_registers_are_never_added(subscription):
    kinds = {"1": {}, "2": {"flowDirection": 19}, "3": {"accumulationBehaviour": 1}, "4": {"uom": 38, "kind": 37}}
    parts = [documents.local_time(), documents.usage_point()]
    for name, codes in kinds.items():
        meter, kind = f"{POINT}/MeterReading/{name}", f"{BASE}/ReadingType/{name}"
        parts += [documents.reading_type(kind, **codes), documents.meter_reading(meter, kind)]
        parts.append(documents.hours(24, href=meter))
    store(subscription, documents.bare_feed(*parts))
    point = models.UsagePoint.objects.get()
    assert models.MeterReading.objects.filter(is_register=True).count() == 1
    totals = usage.daily_totals(point, DAY, DAY + timedelta(days=1))
    assert [(channel.flow_direction, channel.is_reverse) for channel in totals] == [(1, False), (19, True)]
    assert len(usage.day_readings(point, DAY)) == 4


def test_one_self_link_on_cumulative_blocks_adds_nothing_twice(subscription):
    store(subscription, documents.feed(*[documents.hours(count) for count in range(1, 25)]))
    assert models.IntervalBlock.objects.get().total == sum(range(100, 124))
    assert models.IntervalRevision.objects.count() == 0


def test_an_id_of_10_kb_and_one_with_markup_are_only_text(subscription):
    for name in ("x" * 10_000, "..%2F..%2Fetc", "&lt;b&gt;"):
        point = f"{BASE}/Subscription/976/UsagePoint/{name}"
        meter = f"{point}/MeterReading/{name}"
        store(
            subscription,
            documents.bare_feed(
                documents.usage_point(point), documents.meter_reading(meter), documents.hours(1, href=meter)
            ),
        )
    ids = set(models.UsagePoint.objects.values_list("resource_id", flat=True))
    assert {"..%2F..%2Fetc", "<b>"} < ids
    assert max(map(len, ids)) == 64


def test_another_service_under_the_same_id_is_another_usage_point(subscription):
    store(subscription, documents.feed(documents.hours(1)))
    gas = documents.bare_feed(
        documents.usage_point(kind=1),
        documents.reading_type(commodity=7, uom=169),
        documents.meter_reading(),
        documents.hours(1),
    )
    store(subscription, gas)
    assert sorted(models.UsagePoint.objects.values_list("resource_id", "service_kind")) == [("U1", 0), ("U1;kind=1", 1)]


# --- Numbers ----------------------------------------------------------------------------------------------------------


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


# --- Corrections ------------------------------------------------------------------------------------------------------


def test_a_later_publication_corrects_and_the_earlier_value_is_kept(subscription):
    first = store(subscription, documents.feed(documents.hours(24, published="2026-01-16T08:00:00Z")))
    second = store(
        subscription, documents.feed(documents.hours(1, published="2026-01-20T08:00:00Z", value=lambda _: 999))
    )
    row = models.IntervalBlock.objects.get()
    assert row.values[:2] == [999, 101]
    assert row.total == sum(range(101, 124)) + 999
    revision = models.IntervalRevision.objects.get()
    assert (revision.old_value, revision.new_value, revision.start) == (100, 999, MIDNIGHT)
    assert (revision.old_document, revision.new_document) == (first, second)
    assert second.summary["revised"] == 1


def test_an_earlier_publication_that_arrives_late_changes_no_reading_and_is_kept_beside_it(subscription):
    standing = store(subscription, documents.feed(documents.hours(24, published="2026-01-20T08:00:00Z")))
    before = rows(without=("Document", "DocumentPart", "IntervalRevision"))
    late = documents.feed(documents.hours(2, published="2026-01-16T08:00:00Z", value=lambda _: 1))
    document = store(subscription, late)
    assert rows(without=("Document", "DocumentPart", "IntervalRevision")) == before
    kept_beside = models.IntervalRevision.objects.order_by("start").values_list(
        "start", "old_value", "new_value", "old_document", "new_document"
    )
    assert list(kept_beside) == [
        (MIDNIGHT, 1, 100, document.pk, standing.pk),
        (MIDNIGHT + 3600, 1, 101, document.pk, standing.pk),
    ]
    assert document.summary["revised"] == 0
    store(subscription, late + b"\n")
    assert models.IntervalRevision.objects.count() == 2


@pytest.mark.parametrize("duration", [3600, 7])
def test_another_time_of_use_is_a_correction_too_and_tells_both(subscription, duration):
    for tou, day in ((3, 16), (4, 17), (5, 18)):
        content = block([reading(MIDNIGHT, 1, duration, tou=tou)], published=f"2026-01-{day}T00:00:00Z")
        store(subscription, documents.feed(content))
    told = models.IntervalRevision.objects.order_by("old_tou").values_list("old_tou", "new_tou", "old_value")
    assert list(told) == [(3, 4, 1), (4, 5, 1)]


@pytest.mark.parametrize("length", [3600, 86401])
def test_a_value_that_is_confirmed_later_is_not_undone_by_a_document_from_between(subscription, length):
    def content(value, published):
        return documents.feed(block([reading(MIDNIGHT, value, length)], published=published))

    store(subscription, content(1, "2026-01-16T00:00:00Z"))
    store(subscription, content(1, "2026-01-20T00:00:00Z"))
    store(subscription, content(2, "2026-01-18T00:00:00Z"))
    assert list(history().values()) == [1]
    assert list(models.IntervalRevision.objects.values_list("old_value", "new_value")) == [(2, 1)]


def test_a_day_said_again_by_parts_is_not_undone_where_its_first_word_is_the_later_one(subscription):
    def part(hours, published, name, value=100):
        return block([reading(MIDNIGHT + hour * 3600, value) for hour in hours], published=published, name=name)

    store(subscription, documents.feed(part(range(24), "2026-01-20T00:00:00Z", "1")))
    halves = part(range(12), "2026-01-16T00:00:00Z", "1"), part(range(12, 24), "2026-01-24T00:00:00Z", "2")
    store(subscription, documents.feed(*halves))
    store(subscription, documents.feed(part(range(1), "2026-01-18T00:00:00Z", "1", value=7)))
    assert set(history().values()) == {100}


STATEMENTS = st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(1, 3), st.integers(16, 18))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.lists(STATEMENTS, min_size=2, max_size=4, unique=True), data=st.data())
def test_what_holds_does_not_depend_on_the_order_in_which_documents_arrive(subscription, said, data):
    """Each statement: from which hour, how many hours, which value, published on which day; some at the same time."""
    content = [
        documents.feed(
            documents.hours(
                count, MIDNIGHT + hour * 3600, published=f"2026-01-{day}T08:00:00Z", value=lambda _, value=value: value
            )
        )
        for hour, count, value, day in said
    ]

    def outcome(order):
        subscription.usage_points.all().delete()
        models.Document.objects.all().delete()
        for index in order:
            store(subscription, content[index])
        stands = history()
        told = {(each.start, each.old_value) for each in models.IntervalRevision.objects.all()}
        return stands, told | {(start, value) for (_, start, _), value in stands.items()}

    one, other = outcome(range(len(said))), outcome(data.draw(st.permutations(range(len(said)))))
    assert one == other
    everything = {(MIDNIGHT + (hour + n) * 3600, value) for hour, count, value, _ in said for n in range(count)}
    assert one[1] == everything


def test_every_element_of_a_day_leads_to_the_document_that_said_it(subscription):
    first = store(subscription, documents.feed(documents.hours(10, published="2026-01-15T16:00:00Z")))
    second = store(
        subscription, documents.feed(documents.hours(14, MIDNIGHT + 36000, published="2026-01-16T16:00:00Z"))
    )
    third = store(subscription, documents.feed(documents.hours(1, published="2026-01-17T16:00:00Z", value=lambda _: 7)))
    row = models.IntervalBlock.objects.get()
    assert row.documents == [third.pk, *[first.pk] * 9, *[second.pk] * 14]
    assert row.document == third


def test_the_same_bytes_are_read_again_by_a_later_reader(subscription, monkeypatch):
    content = documents.bare_feed(block([reading(MIDNIGHT, 1)]))
    first = store(subscription, content)
    assert store(subscription, content) == first
    monkeypatch.setattr(parse, "VERSION", parse.VERSION + 1)
    assert store(subscription, content) != first
    assert list(history().values()) == [1]


@pytest.mark.parametrize(
    "change",
    [{"is_per_meter": True}, {"agreement_is_usage_point": True}, {"default_currency": 124}, {"provisional_path": "x"}],
)
def test_the_same_bytes_are_read_again_where_a_utility_is_known_better(subscription, change):
    content = documents.bare_feed(block([reading(MIDNIGHT, 1)]))
    first = store(subscription, content, dialect=V1)
    assert store(subscription, content, dialect=V1) == first
    assert store(subscription, content, dialect=replace(V1, **change)) != first


def test_the_same_bytes_change_nothing_at_all(subscription):
    content = documents.feed(documents.hours(24), block([reading(MIDNIGHT + 1, 5, 86400)], name="2"))
    first = store(subscription, content)
    before = rows(without=())
    assert store(subscription, content, now=NOW + timedelta(days=1)) == first
    assert rows(without=()) == before


@pytest.mark.parametrize("updated", ["2026-02-01T00:00:00Z", ""])
def test_the_same_data_in_other_bytes_writes_no_row(subscription, updated):
    content = documents.feed(documents.hours(24), block([reading(MIDNIGHT + 1, 5, 86400)], name="2"), updated=updated)
    store(subscription, content)
    before = rows()
    again = store(subscription, content + b"\n", now=NOW + timedelta(days=1))
    assert rows() == before
    assert (again.summary["stored"], again.summary["revised"], again.summary["unchanged"]) == (0, 0, 25)


def test_a_part_of_a_day_completes_the_day(subscription):
    store(subscription, documents.feed(documents.hours(10, published="2026-01-15T16:00:00Z")))
    store(subscription, documents.feed(documents.hours(14, MIDNIGHT + 36000, published="2026-01-16T16:00:00Z")))
    row = models.IntervalBlock.objects.get()
    assert row.count == 24
    assert models.IntervalRevision.objects.count() == 0
    assert row.published_at == datetime(2026, 1, 16, 16, tzinfo=UTC)
    assert row.publications[0] == datetime(2026, 1, 15, 16, tzinfo=UTC)


def test_a_publication_in_the_future_does_not_block_corrections(subscription):
    store(subscription, documents.feed(documents.hours(1, published="2099-01-01T00:00:00Z")))
    later = documents.hours(1, published="2026-03-02T00:00:00Z", value=lambda _: 7)
    store(subscription, documents.feed(later), now=NOW + timedelta(days=2))
    assert list(history().values()) == [7]


PART = st.tuples(st.integers(0, 40), st.integers(1, 30), st.sampled_from([900, 3600, 7200]), st.integers(0, 3))


@given(st.lists(PART, min_size=1, max_size=5), st.randoms(use_true_random=False))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_neither_order_nor_repetition_of_documents_matters(subscription, parts, random):
    """Each document has a publication of its own; every order, with some twice, ends in the same history."""
    contents = []
    for index, (offset, count, step, value) in enumerate(parts):
        readings = [reading(MIDNIGHT + offset * 3600 + i * step, value * 100 + i % 2, step) for i in range(count)]
        contents.append(documents.feed(block(readings, published=f"2026-01-{index + 10}T00:00:00Z")))
    expected = None
    for _ in range(3):
        models.UsagePoint.objects.all().delete()
        models.Document.objects.all().delete()
        for content in contents:
            store(subscription, content)
        store(subscription, random.choice(contents) + b"\n")
        stored = sorted(models.IntervalBlock.objects.values_list("local_date", "interval_length", "values", "total", "count",
                                                                 "published_at", "publications"))  # fmt: skip
        found = (history(), stored)
        expected = expected or found
        assert found == expected
        random.shuffle(contents)


@pytest.mark.django_db(transaction=True)
def test_two_documents_at_the_same_moment_wait_for_each_other(subscription):
    """Two workers, two corrections of one day: the later publication stands whoever comes first."""
    contents = [
        documents.feed(
            documents.hours(24, published=f"2026-01-2{each}T00:00:00Z", value=lambda i, each=each: each * 1000 + i)
        )
        for each in range(6)
    ]

    def work(content):
        try:
            store(subscription, content)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, contents))
    assert models.IntervalBlock.objects.get().values == [5000 + i for i in range(24)]
    assert models.Document.objects.count() == 6


# --- What may come in -------------------------------------------------------------------------------------------------


def test_d10_the_same_usage_point_under_another_subscription_is_another_one(subscription):
    other = models.Subscription.objects.create(retail_customer=subscription.retail_customer, time_zone="UTC")
    for each in (subscription, other):
        store(each, documents.feed(documents.hours(24)))
    assert models.UsagePoint.objects.count() == 2
    assert models.IntervalBlock.objects.count() == 2


def test_c10_a_feed_of_another_subscription_is_refused_whole(subscription):
    before = rows(without=())
    with pytest.raises(ingest.DocumentRefused, match="another subscription"):
        store(subscription, documents.feed(documents.hours(24)), expected_subscription_id="977")
    assert rows(without=()) == before
    store(subscription, documents.feed(documents.hours(24)), expected_subscription_id="976")
    assert len(history()) == 24


def test_a_bulk_file_gives_each_customer_his_own_entries(subscription):
    foreign = f"{BASE}/Subscription/977/UsagePoint/U2/MeterReading/M2"
    content = documents.feed(documents.hours(24), documents.meter_reading(foreign), documents.hours(24, href=foreign))
    document = store(subscription, content, expected_subscription_id="976", others="skip")
    assert models.UsagePoint.objects.get().resource_id == "U1"
    assert kept(document) == b""


@pytest.mark.parametrize(
    ("href", "name", "namespace"),
    [
        (f"{BASE}/RetailCustomer/977/Customer/1", "Customer", "http://naesb.org/espi/customer"),
        (f"{BASE}/Customer/977", "Customer", "http://naesb.org/espi/customer"),
        (f"{BASE}/Authorization/977", "Authorization", "http://naesb.org/espi"),
    ],
)
def test_c10_nothing_of_another_customer_in_a_bulk_file_is_kept_however_it_is_addressed(
    subscription, href, name, namespace
):
    foreign = documents.entry(f'<{name} xmlns="{namespace}"><name>Somebody else</name></{name}>', href)
    content = documents.feed(documents.hours(24), foreign)
    document = store(subscription, content, expected_subscription_id="976", others="skip")
    assert len(history()) == 24
    assert (kept(document), document.summary["other"]) == (b"", {})


def test_c10_customer_data_of_another_subscription_refuse_the_file(subscription):
    foreign = '<Customer xmlns="http://naesb.org/espi/customer"/>'
    content = documents.feed(documents.entry(foreign, f"{BASE}/RetailCustomer/977/Customer/1"))
    with pytest.raises(ingest.DocumentRefused, match="another subscription"):
        store(subscription, content, expected_subscription_id="976")


def bill(start=MIDNIGHT, duration=30 * 86400, amount=4800000, published="2026-02-16T00:00:00Z", name="B1"):
    inner = (
        f"<billingPeriod><duration>{duration}</duration><start>{start}</start></billingPeriod>"
        f"<billLastPeriod>{amount}</billLastPeriod><statusTimeStamp>{start + duration}</statusTimeStamp>"
    )
    href = f"{POINT}/UsageSummary/{name}"
    return documents.entry(documents.espi("UsageSummary", inner), href, published=published)


def test_a23_what_the_customer_did_not_allow_is_counted_and_not_kept(subscription):
    content = documents.feed(documents.hours(24), bill())
    document = store(subscription, content, accepts=frozenset({ingest.USAGE}))
    assert len(history()) == 24
    assert models.UsageSummary.objects.count() == 0
    assert document.summary["refused"] == [
        {"what": "UsageSummary", "why": "outside of what the customer allowed", "count": 1}
    ]
    assert kept(document) == b""
    store(subscription, content, accepts=ingest.ALL)
    assert models.UsageSummary.objects.count() == 1


def test_bills_without_usage_when_only_bills_were_allowed(subscription):
    store(subscription, documents.feed(documents.hours(24), bill()), accepts=frozenset({ingest.BILLS}))
    assert history() == {}
    assert models.UsageSummary.objects.get().bill_last_period == 4800000


def test_a23_a_bill_without_its_money_when_only_consumption_was_allowed(subscription):
    href, told = (
        f"{POINT}/UsageSummary/B1",
        "<value>412</value><uom>72</uom><powerOfTenMultiplier>3</powerOfTenMultiplier>",
    )
    inner = f"""<billingPeriod><duration>2592000</duration><start>{MIDNIGHT}</start></billingPeriod>
      <billLastPeriod>4800000</billLastPeriod><costAdditionalDetailLastPeriod><amount>2250000</amount>
      </costAdditionalDetailLastPeriod><overallConsumptionLastPeriod>{told}</overallConsumptionLastPeriod>"""
    allowed = frozenset({ingest.USAGE, ingest.CONSUMPTION})
    content = documents.feed(documents.entry(documents.espi("UsageSummary", inner), href))
    document = store(subscription, content, accepts=allowed)
    found = models.UsageSummary.objects.get()
    assert (found.consumption, found.bill_last_period, found.details) == (412, None, [])
    assert kept(document) == b""
    assert [each["what"] for each in document.summary["refused"]] == ["UsageSummary/billLastPeriod"]


def test_a_bill_that_has_no_money_is_kept_whole_when_only_consumption_was_allowed(subscription):
    inner = f"<billingPeriod><duration>2592000</duration><start>{MIDNIGHT}</start></billingPeriod>"
    content = documents.feed(documents.entry(documents.espi("UsageSummary", inner), f"{POINT}/UsageSummary/B1"))
    document = store(subscription, content, accepts=frozenset({ingest.CONSUMPTION}))
    assert models.UsageSummary.objects.count() == 1
    assert (document.summary["refused"], kept(document) != b"") == ([], True)


def test_a_corrected_bill_replaces_the_earlier_one_and_an_old_one_does_not(subscription):
    store(subscription, documents.feed(bill(amount=100, published="2026-02-16T00:00:00Z")))
    store(subscription, documents.feed(bill(amount=200, published="2026-02-18T00:00:00Z")))
    store(subscription, documents.feed(bill(amount=150, published="2026-02-17T00:00:00Z")))
    assert models.UsageSummary.objects.get().bill_last_period == 200


def test_a_bill_with_a_shifted_period_displaces_the_earlier_one_and_its_neighbour_stays(subscription):
    month = 30 * 86400
    store(subscription, documents.feed(bill(), bill(MIDNIGHT - month, name="B0")))
    store(subscription, documents.feed(bill(MIDNIGHT + 86400, published="2026-02-20T00:00:00Z", name="B2")))
    starts = models.UsageSummary.objects.order_by("start").values_list("start", flat=True)
    assert list(starts) == [MIDNIGHT - month, MIDNIGHT + 86400]


def test_a_con_edison_v1_bill_ends_with_the_local_day_it_names(subscription):
    inner = """<billingPeriod><start>1765342800</start></billingPeriod><billToDate>2026-01-12T00:00:00</billToDate>
      <electricConsumption>412</electricConsumption><electricBilledAmount>131.27</electricBilledAmount>"""
    href = f"{documents.V1_BASE}/ElectricPowerUsageSummary?electricPowerUsageSummaryId=B0001"
    store(subscription, documents.bare_feed(documents.entry(documents.espi("UsageSummary", inner), href)), dialect=V1)
    found = models.UsageSummary.objects.get()
    assert found.duration == int(datetime(2026, 1, 13, 5, tzinfo=UTC).timestamp()) - 1765342800
    assert (found.currency, found.bill_last_period, found.resource_id) == (840, 13127000, "B0001")


@pytest.mark.parametrize("end", ["9999-12-31", "2099-12-31"])
def test_a_bill_that_ends_at_no_time_of_this_world_is_stored_without_an_end(subscription, end):
    inner = f"""<billingPeriod><start>1765342800</start></billingPeriod><billToDate>{end}T00:00:00</billToDate>
      <electricBilledAmount>131.27</electricBilledAmount>"""
    href = f"{documents.V1_BASE}/ElectricPowerUsageSummary?electricPowerUsageSummaryId=B0001"
    store(subscription, documents.bare_feed(documents.entry(documents.espi("UsageSummary", inner), href)), dialect=V1)
    found = models.UsageSummary.objects.get()
    assert (found.duration, found.bill_last_period) == (None, 13127000)


@pytest.mark.parametrize(
    ("first", "last", "following"),
    [("2026-01-12", "2026-02-10", "2026-02-11"), ("2026-02-11", "2026-03-12", "2026-03-13")],
    ids=["winter", "over the change of clocks"],
)
def test_consecutive_con_edison_v1_bills_leave_no_day_out(subscription, first, last, following):
    def told(number, start, end):
        instant = int(datetime.fromisoformat(start).replace(tzinfo=ZoneInfo("America/New_York")).timestamp())
        inner = f"<billingPeriod><start>{instant}</start></billingPeriod><billToDate>{end}T00:00:00</billToDate>"
        href = f"{documents.V1_BASE}/ElectricPowerUsageSummary?electricPowerUsageSummaryId=B{number}"
        return documents.entry(documents.espi("UsageSummary", inner), href)

    bills = told(1, first, last), told(2, following, "2026-04-13")
    store(subscription, documents.bare_feed(*bills), dialect=V1)
    one, other = models.UsageSummary.objects.order_by("start")
    assert one.start + one.duration == other.start
    shown = bills_shown(one.usage_point, usage.channels(one.usage_point), default_currency=840)
    assert [(str(each.first), str(each.last)) for each in shown] == [(following, "2026-04-13"), (first, last)]


def test_a_broken_document_leaves_nothing_even_after_a_thousand_good_days(subscription):
    content = documents.feed(*[documents.hours(24, MIDNIGHT + 86400 * day) for day in range(200)])
    before = rows(without=())
    with pytest.raises(ingest.DocumentRefused, match="well-formed"):
        store(subscription, content[:-20])
    assert rows(without=()) == before


def test_bytes_a_path_and_a_stream_are_read_alike(subscription, tmp_path):
    content = documents.feed(documents.hours(24))
    path = tmp_path / "feed.xml"
    path.write_bytes(content)

    class Stream(BytesIO):
        def seekable(self):
            return False

    first = store(subscription, content)
    assert store(subscription, path) == first
    assert store(subscription, Stream(content)) == first


# --- Read back --------------------------------------------------------------------------------------------------------


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


# --- Ids that turn out to be one channel, or two ------------------------------------------------------------------------

OTHER_METER = f"{POINT}/MeterReading/M2"
WH, MWH = f"{BASE}/ReadingType/1", f"{BASE}/ReadingType/2"


def typed(*entries, multiplier=-3):
    """A document with two ReadingTypes of one quantity: 1 counts whole watt-hours, 2 thousandths of them."""
    types = (documents.reading_type(WH), documents.reading_type(MWH, powerOfTenMultiplier=multiplier))
    return documents.bare_feed(documents.local_time(), *types, documents.usage_point(), *entries)


def quantities():
    """{start: quantity} of everything stored; raises where one time is there twice."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM start)::bigint, quantity FROM espi_reading")
        found = cursor.fetchall()
    assert len(dict(found)) == len(found)
    return {start: int(quantity) for start, quantity in found}


def test_rows_that_wait_are_written_before_their_channel_is_merged_and_rescaled(subscription):
    later = MIDNIGHT + 86400
    store(subscription, documents.bare_feed(documents.usage_point(), documents.hours(1, later, href=OTHER_METER)))
    store(
        subscription,
        typed(
            documents.meter_reading(METER, WH),
            documents.meter_reading(OTHER_METER, MWH),
            documents.hours(1, value=lambda _: 10),
            documents.hours(1, later + 3600, href=OTHER_METER, value=lambda _: 5000),
        ),
    )
    assert quantities()[MIDNIGHT] == 10
    assert quantities()[later + 3600] == 5


def test_a_type_that_told_only_its_scale_is_not_scaled_twice_when_it_tells_the_rest(subscription):
    partly = documents.entry(espi_type("<powerOfTenMultiplier>3</powerOfTenMultiplier>"), WH)
    head = (documents.usage_point(), documents.meter_reading())
    store(subscription, documents.bare_feed(partly, *head, documents.hours(1, value=lambda _: 10)))
    whole = documents.reading_type(powerOfTenMultiplier=3)
    store(
        subscription,
        documents.bare_feed(whole, *head, documents.hours(1, MIDNIGHT + 3600, value=lambda _: 10)),
    )
    assert quantities() == {MIDNIGHT: 10_000, MIDNIGHT + 3600: 10_000}


def espi_type(inner):
    return documents.espi("ReadingType", inner)


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1), (1, 2, 0)])
def test_windows_of_one_quantity_are_one_channel_in_whatever_order_their_blocks_stand(subscription, order):
    blocks = (
        documents.hours(24),
        documents.hours(24, MIDNIGHT + 2 * 86400),
        documents.hours(48, href=OTHER_METER, value=lambda index: 100 + index % 24),
    )
    head = (documents.meter_reading(METER, WH), documents.meter_reading(OTHER_METER, WH))
    store(subscription, typed(*head, *(blocks[each] for each in order)))
    assert len(quantities()) == 72
    assert models.MeterReading.objects.count() == 1


def test_two_meters_of_one_quantity_that_tell_otherwise_of_the_same_hours_stay_two(subscription):
    head = (documents.meter_reading(METER, WH), documents.meter_reading(OTHER_METER, WH))
    store(subscription, typed(*head, documents.hours(24), documents.hours(24, href=OTHER_METER, value=lambda _: 7)))
    totals = [sum(each.values) for each in models.IntervalBlock.objects.order_by("meter_reading")]
    assert totals == [sum(range(100, 124)), 7 * 24]
