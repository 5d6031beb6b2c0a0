"""One history per real meter: whatever ids a utility gives it, and never one of two."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from espi import ingest, models, successions, usage
from espi.dialect import Dialect
from tests.espi import documents
from tests.espi.documents import BASE, MIDNIGHT, POINT

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = date(2026, 1, 15)
PER_METER = Dialect(time_zone="America/New_York", is_per_meter=True)
HOUR, DAYS = 3600, 86400
REPLACED, RENUMBERED = models.Succession.Reason.REPLACED, models.Succession.Reason.RENUMBERED


def store(subscription, content, dialect=PER_METER, **more):
    return ingest.store(content, subscription=subscription, dialect=dialect, **({"now": NOW} | more))


def content(*meters, **codes):
    """A document with these meters of one usage point: (MeterReading id, start, hours, value of the hour)."""
    kind = f"{BASE}/ReadingType/1"
    parts = [documents.usage_point(), documents.reading_type(kind, **codes)]
    for name, start, count, value in meters:
        meter = f"{POINT}/MeterReading/{name}"
        parts.append(documents.meter_reading(meter, kind))
        parts += [
            documents.hours(
                min(24, count - at), start + at * HOUR, href=meter, value=lambda i, at=at, value=value: value(at + i)
            )
            for at in range(0, count, 24)
        ]
    return documents.bare_feed(*parts)


def plain(index):
    return 100 + index


def other(index):
    return 7000 - index


def series():
    """{channel: sum of all its hours}."""
    found = {}
    for row in models.MeterReading.objects.all():
        blocks = list(row.interval_blocks.all())
        found[row.channel] = (sum(block.count for block in blocks), sum(block.total for block in blocks))
    return found


def told():
    return [(note.at, note.reason) for note in successions.notes(models.UsagePoint.objects.get())]


def at(seconds):
    return datetime.fromtimestamp(MIDNIGHT + seconds, UTC)


CHANNEL = "commodity=1;kind=12;uom=72;flow=1;accumulation=4"


# --- A meter that was replaced ----------------------------------------------------------------------------------------


def test_f50_a_swapped_meter_is_one_history_and_the_seam_is_kept_as_a_fact(subscription):
    swap = 35
    document = store(subscription, content(("M1", MIDNIGHT, swap, plain), ("M2", MIDNIGHT + swap * HOUR, 37, plain)))
    assert series() == {CHANNEL: (72, sum(map(plain, range(35))) + sum(map(plain, range(37))))}
    row = models.Succession.objects.get()
    assert (row.earlier_id, row.later_id, row.reason, row.document) == ("M1", "M2", REPLACED, document)
    assert told() == [(at(swap * HOUR), REPLACED)]
    ((days),) = usage.daily_totals(models.UsagePoint.objects.get(), DAY, DAY + timedelta(days=3)).values()
    assert [(day.count, day.is_complete) for day in days] == [(24, True)] * 3


def swapped_with_whole_days(swap=35):
    """Both meters are sent with the whole day of the change: zeros after the one was removed, and before the other came."""
    return content(
        ("M1", MIDNIGHT, 48, lambda hour: plain(hour) if hour < swap else 0),
        ("M2", MIDNIGHT + DAYS, 48, lambda hour: plain(hour + 24) if hour + 24 >= swap else 0),
    )


def test_two_meters_that_both_tell_the_whole_day_of_the_change_are_told_as_one_after_the_other(subscription):
    document = store(subscription, swapped_with_whole_days())
    assert sorted(series()) == [CHANNEL, f"{CHANNEL}#2"]
    assert told() == [(at(DAYS), REPLACED)]
    days = usage.daily_totals(models.UsagePoint.objects.get(), DAY, DAY + timedelta(days=3))
    assert sum(day.value for sums in days.values() for day in sums) == sum(map(plain, range(72)))
    assert models.Succession.objects.get().document == document
    store(subscription, swapped_with_whole_days() + b"\n")
    assert models.Succession.objects.count() == 1


def test_a_second_meter_that_turns_out_to_run_beside_the_first_has_not_replaced_it(subscription):
    store(subscription, swapped_with_whole_days())
    store(subscription, content(("M1", MIDNIGHT + 2 * DAYS, 48, plain)))
    assert told() == []


def test_both_directions_of_a_swapped_meter_are_told_once(subscription):
    for flow in (1, 19):
        meters = (f"A{flow}", MIDNIGHT, 24, plain), (f"B{flow}", MIDNIGHT + DAYS, 24, plain)
        store(subscription, content(*meters, flowDirection=flow))
    assert models.Succession.objects.count() == 2
    assert told() == [(at(DAYS), REPLACED)]


@pytest.mark.parametrize("order", [1, -1])
def test_a_number_that_changes_between_documents_is_told_as_no_more_than_that_in_either_order(subscription, order):
    contents = [content(("M1", MIDNIGHT, 24, plain)), content(("M2", MIDNIGHT + DAYS, 24, plain))]
    for each in contents[::order]:
        store(subscription, each)
    assert list(series()) == [CHANNEL]
    assert told() == [(at(DAYS), RENUMBERED)]


def test_when_a_later_document_lists_both_it_is_known_that_the_meter_was_replaced(subscription):
    store(subscription, content(("M1", MIDNIGHT, 24, plain)))
    store(subscription, content(("M2", MIDNIGHT + DAYS, 24, plain)))
    store(subscription, content(("M1", MIDNIGHT, 24, plain), ("M2", MIDNIGHT + DAYS, 24, plain)))
    assert told() == [(at(DAYS), REPLACED)]


def test_three_meters_in_a_row_are_two_seams(subscription):
    meters = [(f"M{n}", MIDNIGHT + n * DAYS, 24, plain) for n in range(3)]
    store(subscription, content(*meters))
    assert [moment for moment, _ in told()] == [at(DAYS), at(2 * DAYS)]


def test_the_same_documents_again_write_nothing(subscription):
    meters = ("M1", MIDNIGHT, 24, plain), ("M2", MIDNIGHT + DAYS, 24, plain)
    store(subscription, content(*meters))
    before = [list(model.objects.values()) for model in (models.MeterSpan, models.Succession)]
    store(subscription, content(*meters) + b"\n", now=NOW + timedelta(days=1))
    assert [list(model.objects.values()) for model in (models.MeterSpan, models.Succession)] == before


# --- The same meter under another id ----------------------------------------------------------------------------------


def test_ids_that_were_encoded_anew_are_the_same_meter_and_nothing_is_told(subscription):
    """PG&E re-encoded its MeterReading ids twice (its contract, 9.2); a window that is asked for again shows it."""
    store(subscription, content(("old", MIDNIGHT, 72, plain)))
    store(subscription, content(("new", MIDNIGHT + DAYS, 72, lambda i: plain(i + 24))))
    assert series() == {CHANNEL: (96, sum(map(plain, range(96))))}
    assert told() == []


def test_ids_of_windows_say_nothing_of_meters(subscription):
    """UtilityAPI has a MeterReading for each window (Essex contract, 5.2)."""
    for day in range(3):
        name = f"800001-{MIDNIGHT + (day + 1) * DAYS}-{MIDNIGHT + day * DAYS}_kwh_1"
        store(subscription, content((name, MIDNIGHT + day * DAYS, 24, plain)), Dialect(time_zone="America/Toronto"))
    assert list(series()) == [CHANNEL]
    assert told() == []


# --- Told later what it measures --------------------------------------------------------------------------------------


def untold(name, start, count, value):
    """Blocks alone, as bulk files have them (PG&E's FB 19)."""
    meter = f"{POINT}/MeterReading/{name}"
    return documents.bare_feed(documents.hours(count, start, href=meter, value=value))


@pytest.mark.parametrize("multiplier", [-3, 0, 3])
def test_readings_that_came_before_their_reading_type_get_its_multiplier_too(subscription, multiplier):
    store(subscription, untold("M1", MIDNIGHT, 24, plain))
    store(subscription, content(("M1", MIDNIGHT + DAYS, 24, plain), powerOfTenMultiplier=multiplier))
    ((channel, days),) = usage.daily_totals(models.UsagePoint.objects.get(), DAY, DAY + timedelta(days=2)).items()
    quantity = Decimal(sum(map(plain, range(24)))).scaleb(multiplier)
    assert [usage.amount(channel, day.value) for day in days] == [quantity, quantity]


def test_an_empty_reading_type_is_filled_in_later_too(subscription):
    empty = dict.fromkeys(
        ("accumulationBehaviour", "commodity", "flowDirection", "kind", "powerOfTenMultiplier", "uom")
    )
    store(subscription, content(("M1", MIDNIGHT, 24, plain), **empty))
    assert list(series()) == ["untold"]
    store(subscription, content(("M1", MIDNIGHT + DAYS, 24, plain), powerOfTenMultiplier=3))
    ((channel, days),) = usage.daily_totals(models.UsagePoint.objects.get(), DAY, DAY + timedelta(days=2)).items()
    assert (channel.uom, {usage.amount(channel, day.value) for day in days}) == (
        72,
        {sum(map(plain, range(24))) * 1000},
    )


@pytest.mark.parametrize("order", [1, -1])
def test_they_join_the_history_that_their_channel_has_already_under_another_id(subscription, order):
    """The told part has another multiplier, and an hour in common that was published later."""
    first = untold("M2", MIDNIGHT + DAYS, 24, lambda hour: plain(hour) * 1000)
    store(subscription, first)
    contents = [
        content(("M1", MIDNIGHT, 25, plain), powerOfTenMultiplier=0).replace(b"2026-02-01", b"2026-02-02"),
        content(("M2", MIDNIGHT + 2 * DAYS, 24, lambda hour: plain(hour) * 1000), powerOfTenMultiplier=-3),
    ]
    for each in contents[::order]:
        store(subscription, each)
    ((channel, days),) = usage.daily_totals(models.UsagePoint.objects.get(), DAY, DAY + timedelta(days=3)).items()
    whole = sum(map(plain, range(24)))
    assert [usage.amount(channel, day.value) for day in days] == [whole, whole - plain(0) + plain(24), whole]
    store(subscription, untold("M2", MIDNIGHT + 3 * DAYS, 24, lambda hour: plain(hour) * 1000))
    assert list(series()) == [CHANNEL]
    assert series()[CHANNEL][0] == 96


# --- Two meters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, -1])
def test_two_meters_of_one_service_that_come_in_two_documents_stay_two(subscription, order):
    contents = [content(("A", MIDNIGHT, 48, plain)), content(("B", MIDNIGHT, 48, other))]
    for each in contents[::order]:
        store(subscription, each)
    sums = {sum(map(plain, range(48))), sum(map(other, range(48)))}
    assert {total for _, total in series().values()} == sums
    assert not models.IntervalRevision.objects.exists()
    assert told() == []


def test_two_meters_whose_ids_are_encoded_anew_and_listed_in_another_order_keep_their_own_histories(subscription):
    store(subscription, content(("A", MIDNIGHT, 48, plain), ("B", MIDNIGHT, 48, other)))
    before = series()
    again = content(
        ("new-B", MIDNIGHT + DAYS, 48, lambda i: other(i + 24)), ("new-A", MIDNIGHT + DAYS, 48, lambda i: plain(i + 24))
    )
    store(subscription, again)
    assert list(series()) == list(before)
    assert {total for _, total in series().values()} == {sum(map(plain, range(72))), sum(map(other, range(72)))}
    assert not models.IntervalRevision.objects.exists()


def test_a_corrected_day_under_another_id_is_a_correction_and_no_other_meter(subscription):
    store(subscription, content(("old", MIDNIGHT, 48, plain)))
    corrected = content(("new", MIDNIGHT, 48, lambda i: 5 if i < 6 else plain(i)))
    store(subscription, corrected.replace(b"2026-02-01", b"2026-02-02"))
    assert series() == {CHANNEL: (48, sum(map(plain, range(6, 48))) + 30)}
    assert models.IntervalRevision.objects.count() == 6


def test_a_whole_day_corrected_under_the_same_id_is_a_correction(subscription):
    store(subscription, content(("A", MIDNIGHT, 24, plain)))
    store(subscription, content(("A", MIDNIGHT, 24, other)).replace(b"2026-02-01", b"2026-02-02"))
    assert series() == {CHANNEL: (24, sum(map(other, range(24))))}


def test_hours_without_any_use_do_not_make_two_meters_one_or_one_meter_two(subscription):
    """An empty flat is all zeros: that proves nothing, either way."""
    store(subscription, content(("A", MIDNIGHT, 24, lambda _: 0)))
    store(subscription, content(("B", MIDNIGHT, 24, lambda _: 0)))
    assert list(series()) == [CHANNEL]
    assert told() == []
