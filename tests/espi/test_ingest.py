"""Documents become rows: local days, whatever order and ids they come in, and nothing of anybody else."""

import itertools
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO

import pytest
from django.db import connection

from espi import ingest, models, usage
from espi.dialect import Dialect
from tests.espi import documents
from tests.espi.documents import BASE, METER, MIDNIGHT, POINT, block, paid_bill, reading
from tests.espi.storing import DAY, NOW, channels, history, kept, rows, store

pytestmark = pytest.mark.django_db


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


def test_a23_what_the_customer_did_not_allow_is_counted_and_not_kept(subscription):
    content = documents.feed(documents.hours(24), paid_bill())
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
    store(subscription, documents.feed(documents.hours(24), paid_bill()), accepts=frozenset({ingest.BILLS}))
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
