"""What numbers mean: units, multipliers, directions, registers, lengths, services and clocks, as documents really tell them."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

import utilities
from espi import links, marks, models, resources, usage, zones
from espi.dialect import HUNDRED_CUBIC_FEET, Dialect
from espi.enums import PROVISIONAL
from espi.models import ApplicationInformation
from tests.espi import documents
from tests.espi.documents import BASE, METER, MIDNIGHT, POINT, block, reading
from tests.espi.storing import NOW, store

pytestmark = pytest.mark.django_db
DAY = date(2026, 1, 15)
NEXT = DAY + timedelta(days=1)
GAS = {"commodity": 7, "kind": 58, "uom": 119}


def dialect_of(slug, edition=""):
    return utilities.get(slug).dialect(ApplicationInformation(utility=slug, edition=edition))


def point():
    return models.UsagePoint.objects.get()


def amounts(start=DAY, end=NEXT):
    """{(unit, direction): quantity in the plain unit} of everything that may be added, for local days."""
    found = {}
    for channel, days in usage.daily_totals(point(), start, end).items():
        key = (channel.uom, channel.flow_direction)
        assert key not in found
        found[key] = usage.amount(channel, sum(day.value for day in days))
    return found


def series(name, *blocks, **codes):
    """A MeterReading with its ReadingType, and blocks made for its address."""
    meter, kind = f"{POINT}/MeterReading/{name}", f"{BASE}/ReadingType/{name}"
    made = (documents.reading_type(kind, **codes), documents.meter_reading(meter, kind))
    return (*made, *(make(meter) for make in blocks))


def day_of(value, start=MIDNIGHT, count=24):
    return lambda meter: documents.hours(count, start, href=meter, value=lambda _: value)


def service(*parts, kind=0):
    return documents.bare_feed(documents.local_time(), documents.usage_point(kind=kind), *parts)


# --- Gas --------------------------------------------------------------------------------------------------------------


def test_con_edison_v1_gas_in_ccf_is_hundreds_of_cubic_feet_because_its_declaration_says_so(subscription):
    content = documents.v1_feed(documents.v1_entry("CCF", ["0.01325", "0.00500"]))
    store(subscription, content, dialect=dialect_of("cecony", "v1"))
    assert amounts() == {(119, None): Decimal("1.825")}


@pytest.mark.parametrize("word", ["CCF", "MCF", "THERMS", "DTH"])
def test_a_word_for_gas_that_nobody_declared_leaves_the_unit_untold(subscription, word):
    v1 = Dialect(time_zone="America/New_York", interval_values="decimal_kwh")
    store(subscription, documents.v1_feed(documents.v1_entry(word, ["0.01325"])), dialect=v1)
    (channel,) = usage.channels(point())
    assert channel.uom is None


@pytest.mark.parametrize(("units", "feet"), [({}, 240), ({119: HUNDRED_CUBIC_FEET}, 24_000)])
def test_what_uom_119_counts_is_declared_for_gas_and_scales_readings_exactly(subscription, units, feet):
    content = service(*series("G", day_of(10), **GAS, powerOfTenMultiplier=0), kind=1)
    store(subscription, content, dialect=Dialect(time_zone="America/New_York", gas_units=units))
    assert amounts() == {(119, 1): feet}


def test_another_declaration_reads_the_same_document_again_and_corrects_what_stands(subscription):
    content = service(*series("G", day_of(10), **GAS, powerOfTenMultiplier=0), kind=1)
    plain = Dialect(time_zone="America/New_York")
    store(subscription, content, dialect=plain)
    store(
        subscription, content, dialect=replace(plain, gas_units={119: HUNDRED_CUBIC_FEET}), now=NOW + timedelta(days=1)
    )
    assert amounts() == {(119, 1): 24_000}


def test_water_in_uom_119_is_not_gas(subscription):
    water = GAS | {"commodity": 9}
    content = service(*series("W", day_of(10), **water), kind=2)
    store(subscription, content, dialect=Dialect(time_zone="America/New_York", gas_units={119: HUNDRED_CUBIC_FEET}))
    assert amounts() == {(119, 1): 240}


def test_a_gas_bill_has_a_declaration_of_its_own(subscription):
    told = documents.bill(MIDNIGHT, 30 * 86400, (24, 0, 119), commodity=7)
    dialect = Dialect(time_zone="America/New_York", gas_bill_units={119: HUNDRED_CUBIC_FEET})
    store(subscription, service(told, kind=1), dialect=dialect)
    bill = models.UsageSummary.objects.get()
    assert (bill.consumption, bill.consumption_multiplier, bill.consumption_uom) == (24, 2, 119)


def test_therms_cubic_feet_hundreds_of_them_and_cubic_metres_never_share_a_channel(subscription):
    """One MeterReading id, whose ReadingType names another unit from document to document."""
    for day, (uom, multiplier) in enumerate([(169, -8), (42, -3), (119, 0), (119, 2)]):
        start = MIDNIGHT + day * 86400
        kind = {"commodity": 7, "kind": 12, "uom": uom, "powerOfTenMultiplier": multiplier}
        store(subscription, service(*series("G", day_of(1000, start), **kind), kind=1))
    assert amounts(DAY, DAY + timedelta(days=4)) == {
        (169, 1): Decimal("0.00024"),
        (42, 1): 24,
        (119, 1): 24_000 + 2_400_000,
    }


@pytest.mark.parametrize(("billed", "is_said"), [(7440, False), (74, True), (744_000, True), (9000, False)])
def test_a_gas_bill_a_hundred_times_off_its_readings_is_told_to_staff(subscription, billed, is_said):
    month = [day_of(10, MIDNIGHT + day * 86400) for day in range(31)]
    bill = documents.bill(MIDNIGHT, 31 * 86400, (billed, 0, 119), commodity=7)
    document = store(subscription, service(*series("G", *month, **GAS), bill, kind=1))
    assert [each["what"] for each in document.summary["remarks"]] == ["gas"] * is_said


def test_a_bill_in_therms_is_not_compared_with_cubic_feet(subscription):
    month = [day_of(10, MIDNIGHT + day * 86400) for day in range(31)]
    bill = documents.bill(MIDNIGHT, 31 * 86400, (74, 0, 169), commodity=7)
    assert store(subscription, service(*series("G", *month, **GAS), bill, kind=1)).summary["remarks"] == []


@pytest.mark.parametrize(
    ("slug", "edition"), [("cecony", "v1"), ("cecony", "v2"), ("oru", "v1"), ("oru", "v2"), ("pge", "")]
)
def test_every_utility_that_delivers_gas_declares_its_unit_and_where_it_says_so(slug, edition):
    gas = utilities.get(slug).gas(ApplicationInformation(utility=slug, edition=edition))
    assert gas.unit
    assert gas.source
    assert gas.is_confirmed == (slug == "pge")


# --- Each object by its own multiplier --------------------------------------------------------------------------------


def test_readings_bill_and_line_item_are_each_scaled_by_their_own_multiplier(subscription):
    """PG&E: readings and bill at 10^-3; here all three differ, as they may (PG&E contract 9.4, Con Edison contract 5.5)."""
    item = "<amount>2250000</amount><measurement><powerOfTenMultiplier>-1</powerOfTenMultiplier><uom>72</uom><value>5000</value></measurement>"
    bill = documents.bill(MIDNIGHT, 30 * 86400, (4488, 3, 72), costAdditionalDetailLastPeriod=item)
    store(subscription, service(*series("E", day_of(842500), powerOfTenMultiplier=-3), bill))
    assert amounts() == {(72, 1): Decimal("20220")}
    found = models.UsageSummary.objects.get()
    assert (found.consumption, found.consumption_multiplier) == (4488, 3)
    assert found.details[0]["measurement"] == {"powerOfTenMultiplier": -1, "uom": 72, "value": 5000}


# --- What may be added ------------------------------------------------------------------------------------------------


def test_forward_reverse_net_reactive_and_registers_are_five_series_and_only_amounts_are_added(subscription):
    content = service(
        *series("in", day_of(5)),
        *series("out", day_of(3), flowDirection=19),
        *series("net", day_of(-2), flowDirection=4),
        *series("reactive", day_of(7), uom=73),
        *series("dial", day_of(1000), accumulationBehaviour=1),
    )
    store(subscription, content)
    assert amounts() == {(72, 1): 120, (72, 19): 72, (72, 4): -48, (73, 1): 168}
    assert models.MeterReading.objects.get(is_register=True).interval_blocks.count() == 1


def test_a_register_of_duration_0_beside_deltas_adds_nothing(subscription):
    dial = lambda meter: block([reading(MIDNIGHT + 60 * i, 90_000 + i, 0) for i in range(60)], meter)  # noqa: E731
    store(subscription, service(*series("in", day_of(5)), *series("dial", dial, accumulationBehaviour=1)))
    assert amounts() == {(72, 1): 120}
    dials = [readings for channel, readings in usage.day_readings(point(), DAY).items() if channel.is_register]
    assert [len(readings) for readings in dials] == [60]


def test_a_temperature_beside_the_energy_is_kept_and_never_added(subscription):
    store(
        subscription, service(*series("in", day_of(5)), *series("outdoors", day_of(21), commodity=0, kind=46, uom=23))
    )
    assert amounts() == {(72, 1): 120}
    shown = {channel.uom: readings for channel, readings in usage.day_readings(point(), DAY).items()}
    assert [each.value for each in shown[23]] == [21] * 24


def test_times_of_use_in_reading_types_of_their_own_are_series_of_their_own(subscription):
    peak = lambda meter: block([reading(MIDNIGHT + 3600 * i, 9) for i in range(16, 21)], meter)  # noqa: E731
    rest = lambda meter: block([reading(MIDNIGHT + 3600 * i, 2) for i in range(16)], meter)  # noqa: E731
    store(subscription, service(*series("peak", peak, tou=1), *series("rest", rest, tou=2)))
    totals = usage.daily_totals(point(), DAY, NEXT)
    assert {channel.tou: days[0].value for channel, days in totals.items()} == {1: 45, 2: 32}


@pytest.mark.parametrize("code", ["tou", "cpp", "consumptionTier", "phase", "dataQualifier"])
def test_a_code_that_does_not_apply_says_no_more_than_one_that_is_absent(subscription, code):
    store(subscription, service(*series("A", day_of(5))))
    store(subscription, service(*series("B", day_of(6, MIDNIGHT + 86400), **{code: 0})))
    assert models.MeterReading.objects.count() == 1
    assert links.identity(resources.ReadingType(uom=0)) == "uom=0"


def shared_id(*units, are_types_last=False):
    """A MeterReading per unit, each with a ReadingType; all ReadingTypes have one id."""
    parts, kinds = [], []
    for number, uom in enumerate(units):
        meter = f"{POINT}/MeterReading/{number}"
        kinds.append(documents.reading_type(uom=uom))
        parts += [] if are_types_last else kinds[-1:]
        parts += [documents.meter_reading(meter), day_of(number + 1)(meter)]
        parts += kinds[-1:] if are_types_last else []
    return service(*parts)


@pytest.mark.parametrize("are_types_last", [False, True])
def test_of_reading_types_with_one_id_each_meter_reading_has_its_own(subscription, are_types_last):
    upload = Dialect(usage_points="address")
    store(subscription, shared_id(72, 73, 73, 169, are_types_last=are_types_last), dialect=upload)
    found = models.IntervalBlock.objects.values_list("total", "meter_reading__reading_type__uom")
    assert sorted(found) == [(24, 72), (48, 73), (72, 73), (96, 169)]


def test_the_unit_of_readings_is_not_guessed_where_reading_types_of_one_id_are_not_one_for_each(subscription):
    kinds = (documents.reading_type(uom=72), documents.reading_type(uom=169))
    meters = [f"{POINT}/MeterReading/{number}" for number in range(3)]
    blocks = [part for meter in meters for part in (documents.meter_reading(meter), day_of(5)(meter))]
    document = store(subscription, service(*kinds, *blocks))
    assert {row.reading_type.uom for row in models.MeterReading.objects.all()} == {None}
    why = "several share one id, and not one for each meter reading (their readings are kept without a unit)"
    assert document.summary["remarks"] == [{"what": "ReadingType", "why": why, "count": 1}]


# --- How long a reading lasts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, -1])
def test_readings_of_a_day_that_start_every_hour_last_an_hour(subscription, order):
    readings = [reading(MIDNIGHT + 3600 * i, 100 + i, 86400) for i in range(24)][::order]
    document = store(subscription, documents.feed(block(readings)))
    row = models.IntervalBlock.objects.get()
    assert (row.interval_length, row.count, row.total) == (3600, 24, sum(range(100, 124)))
    assert not models.IntervalReading.objects.exists()
    ((days),) = usage.daily_totals(point(), DAY, NEXT).values()
    assert days == [usage.DayTotal(DAY, row.total, None, 24, True)]
    why = "it lasts longer than until the next one (that time was taken)"
    assert document.summary["remarks"] == [{"what": "reading", "why": why, "count": 24}]


@pytest.mark.parametrize("is_one_block", [True, False])
def test_an_hour_alone_after_hours_that_say_to_last_a_day_is_an_hour_too(subscription, is_one_block):
    """A block is read in parts, of which one can be a single reading."""
    hours = [reading(MIDNIGHT + 3600 * i, 100 + i, 86400) for i in range(23)]
    last = reading(MIDNIGHT + 3600 * 23, 123, 86400, quality=17)
    blocks = [block([*hours, last])] if is_one_block else [block(hours), block([last], name="2")]
    store(subscription, documents.feed(*blocks))
    row = models.IntervalBlock.objects.get()
    assert (row.interval_length, row.count, row.total) == (3600, 24, sum(range(100, 124)))
    assert not models.IntervalReading.objects.exists()


def test_a_day_alone_without_hours_is_a_day(subscription):
    store(subscription, documents.feed(block([reading(MIDNIGHT, 100, 86400)])))
    assert models.IntervalBlock.objects.get().interval_length == 86400


@pytest.mark.parametrize(
    ("starts", "duration"),
    [
        (["2026-03-08T05:00", "2026-03-09T04:00"], 86400),  # clocks are put forward on the 8th
        (["2026-02-01T05:00", "2026-03-01T05:00"], 31 * 86400),
    ],
)
def test_days_and_months_that_overlap_because_one_is_shorter_last_as_long_alone_as_among_others(
    subscription, starts, duration
):
    """Else a window of two of them and a longer one would be two histories, and a correction of one miss the other."""
    told = [reading(int(datetime.fromisoformat(f"{start}Z").timestamp()), 10, duration) for start in starts]
    store(subscription, documents.feed(block(told)), now=NOW + timedelta(days=60))
    lengths = [*models.IntervalBlock.objects.values_list("interval_length", flat=True)]
    assert {*lengths, *models.IntervalReading.objects.values_list("duration", flat=True)} == {duration}


def test_rolling_demand_and_registers_may_overlap(subscription):
    rolling = lambda meter: block([reading(MIDNIGHT + 300 * i, i, 900) for i in range(12)], meter)  # noqa: E731
    document = store(subscription, service(*series("kw", rolling, uom=38, kind=8, accumulationBehaviour=6)))
    assert document.summary["remarks"] == []
    assert {each.duration for each in usage.day_readings(point(), DAY).popitem()[1] if each.value is not None} == {900}


@pytest.mark.parametrize(("other", "is_said"), [(31, True), (30, False)])
def test_months_that_all_begin_at_one_instant_are_told_to_staff(subscription, other, is_said):
    """A gas utility writes the time of its export into every start."""
    blocks = [block([reading(MIDNIGHT, 12, days * 86400)], name=str(index)) for index, days in enumerate((30, other))]
    remarks = store(subscription, documents.feed(*blocks)).summary["remarks"]
    why = "it begins with a longer or shorter one: one of the starts is wrong"
    assert remarks == ([{"what": "reading", "why": why, "count": 1}] if is_said else [])


# --- As documents are in the wild -------------------------------------------------------------------------------------


def test_a_block_without_any_link_of_its_own_belongs_to_the_meter_reading_it_is_related_to(subscription):
    lone = documents.entry(documents.espi("IntervalBlock", reading(MIDNIGHT, 5)), related=[METER])
    store(subscription, documents.feed(lone))
    assert (point().resource_id, amounts()) == ("U1", {(72, 1): 5})


def test_a_document_without_a_usage_point_entry_has_the_one_that_its_links_name(subscription):
    kinds = series("A", day_of(5))
    store(subscription, documents.bare_feed(documents.local_time(), *kinds))
    assert (point().resource_id, point().service_kind, amounts()) == ("U1", None, {(72, 1): 120})


def test_ids_that_are_made_anew_for_every_answer_are_not_looked_at(subscription):
    """PG&E: 19 downloads of one usage point, 19 atom:ids (its contract, 9.1)."""
    for number in range(3):
        content = documents.feed(documents.hours(24)).replace(b"<entry>", f"<entry><id>{number}</id>".encode())
        store(subscription, content, now=NOW + timedelta(days=number))
    assert (models.UsagePoint.objects.count(), models.IntervalBlock.objects.count()) == (1, 1)
    assert amounts() == {(72, 1): sum(range(100, 124))}


def test_a_bill_whose_id_has_thousands_separators_is_the_same_without_them(subscription):
    for name in ("1,436,684,400,000", "1436684400000"):
        store(subscription, service(documents.bill(MIDNIGHT, 30 * 86400, (4488, 3, 72), name=name)))
    assert models.UsageSummary.objects.count() == 1


@pytest.mark.parametrize(("slug", "edition", "currency"), [("pge", "", 840), ("essex", "", 124), ("cecony", "v2", 840)])
def test_a_bill_that_names_no_currency_is_in_the_utilitys_own(subscription, slug, edition, currency):
    told = documents.bill(MIDNIGHT, 30 * 86400, (4488, 3, 72), billLastPeriod=4800000)
    store(subscription, service(told), dialect=dialect_of(slug, edition))
    assert models.UsageSummary.objects.get().currency == currency


# --- Told twice -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [3600, 86401])
def test_of_two_readings_of_one_time_in_one_document_the_last_holds_and_the_first_is_kept_and_counted(
    subscription, length
):
    """So a file with a 7200-second hour in March may tell one hour of that day twice."""
    first, second = (block([reading(MIDNIGHT, value, length)], name=str(value)) for value in (617, 586))
    document = store(subscription, documents.feed(first, second))
    revision = models.IntervalRevision.objects.get()
    assert (revision.old_value, revision.new_value, revision.old_document) == (617, 586, document)
    why = "it is told twice, and differently (the last one was taken)"
    assert document.summary["remarks"] == [{"what": "reading", "why": why, "count": 1}]
    assert (document.summary["stored"], document.summary["revised"]) == (1, 0)


@pytest.mark.parametrize("hours", [[0, 0, 1], [1, 0, 0]])
@pytest.mark.parametrize("length", [3600, 3601])
def test_of_two_readings_of_one_time_in_one_block_the_last_holds_and_the_first_is_kept_and_counted(
    subscription, hours, length
):
    values = {0: iter((617, 586)), 1: iter((9,))}
    readings = [reading(MIDNIGHT + 7200 * hour, next(values[hour]), length) for hour in hours]
    document = store(subscription, documents.feed(block(readings)))
    revision = models.IntervalRevision.objects.get()
    assert (revision.start, revision.old_value, revision.new_value) == (MIDNIGHT, 617, 586)
    assert amounts() == {(72, 1): 586 + 9}
    why = "it is told twice, and differently (the last one was taken)"
    assert document.summary["remarks"] == [{"what": "reading", "why": why, "count": 1}]


def test_a_provisional_reading_after_a_checked_one_in_one_block_does_not_hold(subscription):
    readings = [reading(MIDNIGHT, 617, quality=17), reading(MIDNIGHT, 586, quality=int(PROVISIONAL))]
    store(subscription, documents.feed(block(readings)))
    revision = models.IntervalRevision.objects.get()
    assert (amounts(), revision.old_value, revision.new_value) == ({(72, 1): 617}, 586, 617)


def test_what_is_told_twice_alike_in_one_block_is_not_counted(subscription):
    document = store(subscription, documents.feed(block([reading(MIDNIGHT, 5), reading(MIDNIGHT, 5)])))
    assert (document.summary["remarks"], document.summary["stored"]) == ([], 1)


def test_what_is_told_twice_alike_is_not_counted(subscription):
    document = store(subscription, documents.feed(*[documents.hours(count) for count in range(1, 25)]))
    assert document.summary["remarks"] == []
    assert not models.IntervalRevision.objects.exists()


def test_a_quality_that_changes_without_its_value_is_no_correction_for_people(subscription):
    """PG&E: 17 after three days, 19 after two months (its contract, 9.3)."""
    for quality, published in ((17, "2026-01-18T00:00:00Z"), (19, "2026-03-18T00:00:00Z")):
        content = documents.feed(block([reading(MIDNIGHT, 5, quality=quality)], published=published))
        store(subscription, content, now=NOW + timedelta(days=60))
    assert models.IntervalBlock.objects.get().qualities[0] == 19
    assert not any(marks.revised_starts(point(), DAY, NEXT).values())


# --- Provisional ------------------------------------------------------------------------------------------------------

V1 = "https://api.coned.com/gbc/v1/resource"
BATCH = f"{V1}/Batch/Download?requestId=1&responseId=2"
REAL_TIME = f"{V1}/RealTime/Subscription/976/UsagePoint/4100000001/MeterReading/MR_1/IntervalBlock"


def real_time(*values, start=MIDNIGHT):
    return documents.v1_feed(documents.v1_entry("KWH", values, start)).replace(b"/resource/", b"/resource/RealTime/")


def batch(*values, start=MIDNIGHT):
    return documents.v1_feed(documents.v1_entry("KWH", values, start))


def stored():
    """[(value in kWh, quality)] of the first readings of the day."""
    row = models.IntervalBlock.objects.get()
    values = [value and Decimal(value).scaleb(row.meter_reading.power_of_ten_multiplier - 3) for value in row.values]
    qualities = row.qualities or [None] * len(values)
    return [(value, quality) for value, quality in zip(values, qualities, strict=True) if value is not None]


def arrive(subscription, *contents):
    for minutes, (url, content) in enumerate(contents):
        store(subscription, content, url=url, dialect=dialect_of("cecony", "v1"), now=NOW + timedelta(minutes=minutes))


def test_real_time_readings_of_con_edison_v1_are_stored_as_provisional(subscription):
    arrive(subscription, (REAL_TIME, real_time("0.2", "0.3")))
    assert stored() == [(Decimal("0.2"), 14), (Decimal("0.3"), 14)]


def test_they_are_so_by_their_address_too_where_their_links_do_not_say_it(subscription):
    arrive(subscription, (REAL_TIME, batch("0.2")))
    assert stored() == [(Decimal("0.2"), 14)]


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (0, 2, 1), (2, 1, 0)])
def test_the_checked_reading_stands_in_whatever_order_it_and_the_provisional_ones_arrive(subscription, order):
    """The second of the day is checked; the third is known from real time only, and its later value holds."""
    arrived = [
        (BATCH, batch("0.21", "0.31")),
        (REAL_TIME, real_time("0.2", "0.31", "0.4")),
        (REAL_TIME, real_time("0.2", "0.31", "0.4", "0.5")),
    ]
    arrive(subscription, *[arrived[place] for place in order])
    assert stored() == [(Decimal("0.21"), None), (Decimal("0.31"), None), (Decimal("0.4"), 14), (Decimal("0.5"), 14)]
    lost = models.IntervalRevision.objects.values_list("old_value", "old_quality", "new_quality").distinct()
    assert list(lost) == [(200_000, 14, None)]


def test_of_two_provisional_readings_the_later_holds(subscription):
    arrive(subscription, (REAL_TIME, real_time("0.2")), (REAL_TIME, real_time("0.25")))
    assert stored() == [(Decimal("0.25"), 14)]


def test_a_provisional_single_gives_way_too(subscription):
    odd = MIDNIGHT + 7
    arrive(subscription, (BATCH, batch("0.21", start=odd)), (REAL_TIME, real_time("0.2", start=odd)))
    found = models.IntervalReading.objects.get()
    assert (found.value, found.quality) == (210_000, None)


# --- What it is called and what it measures ---------------------------------------------------------------------------


def test_a_service_that_contradicts_its_units_is_reported_and_numbers_keep_the_unit_of_their_reading_type(subscription):
    document = store(subscription, service(*series("A", day_of(5)), kind=1))
    assert point().service_kind == 1
    assert amounts() == {(72, 1): 120}
    why = "it is gas, and has readings of electricity"
    assert document.summary["remarks"] == [{"what": "ServiceCategory", "why": why, "count": 1}]


@pytest.mark.parametrize(
    ("kind", "codes"), [(0, {}), (1, GAS), (1, {"commodity": 7, "uom": 169}), (2, {"commodity": 9, "uom": 128})]
)
def test_a_service_that_agrees_is_not_reported(subscription, kind, codes):
    assert store(subscription, service(*series("A", day_of(5), **codes), kind=kind)).summary["remarks"] == []


# --- Clocks -----------------------------------------------------------------------------------------------------------

SAID = "<dstEndRule>{end}</dstEndRule><dstOffset>{dst}</dstOffset><dstStartRule>{start}</dstStartRule><tzOffset>{tz}</tzOffset>"


def local_time(tz=-18000, dst=3600, start="360E2000", end="B40E2000"):
    return documents.local_time(SAID.format(tz=tz, dst=dst, start=start, end=end))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"tz": -28800}, "its time zone is -28800 seconds from UTC, that of America/New_York is -18000"),
        ({"tz": 18000}, "its time zone is 18000 seconds from UTC, that of America/New_York is -18000"),
        ({"dst": 0}, "it says that clocks do not change, unlike those of America/New_York"),
        ({"start": "3E0E2000", "end": "AE0E2000"}, "its clocks change on other days than those of America/New_York"),
    ],
)
def test_local_time_parameters_that_contradict_the_utilitys_zone_are_counted_for_staff(subscription, said, words):
    content = documents.bare_feed(local_time(**said), documents.usage_point(), *series("A", day_of(5)))
    document = store(subscription, content, dialect=Dialect(time_zone="America/New_York"))
    assert document.summary["remarks"] == [{"what": "LocalTimeParameters", "why": words, "count": 1}]
    assert models.IntervalBlock.objects.get().local_date == DAY


@pytest.mark.parametrize("is_last", [False, True])
def test_the_clock_that_a_usage_point_links_to_is_its_clock_wherever_it_stands_in_the_file(subscription, is_last):
    """Days, once cut, stay in their zone: another clock that comes first must not be taken."""
    western = local_time(-28800).replace("LocalTimeParameters/1", "LocalTimeParameters/2")
    kind = documents.espi("ServiceCategory", "<kind>0</kind>")
    linked = documents.entry(documents.espi("UsagePoint", kind), POINT, related=[f"{BASE}/LocalTimeParameters/2"])
    parts = [local_time(), linked, *series("A", day_of(5, MIDNIGHT + 3 * 3600)), western]
    if not is_last:
        parts = [parts[-1], *parts[:-1]]
    store(subscription, documents.bare_feed(*parts))
    assert point().time_zone == "America/Los_Angeles"
    assert models.IntervalBlock.objects.get().local_date == DAY


@pytest.mark.parametrize("said", [{}, {"start": "B60E", "end": ""}, {"tz": "", "dst": ""}], ids=str)
def test_local_time_parameters_that_agree_or_cannot_be_read_are_not_counted(subscription, said):
    content = documents.bare_feed(local_time(**said), documents.usage_point(), *series("A", day_of(5)))
    assert store(subscription, content, dialect=Dialect(time_zone="America/Toronto")).summary["remarks"] == []


@pytest.mark.parametrize("year", [2023, 2024, 2026, 2027])
def test_the_american_rules_are_the_days_on_which_clocks_change(year):
    said = resources.LocalTimeParameters(resources.Entry(), -28800, 3600, "360E2000", "B40E2000")
    assert zones.contradiction(said, "America/Los_Angeles", year) == ""
    assert zones.contradiction(replace(said, tz_offset=-25200), "America/Phoenix", year) != ""
