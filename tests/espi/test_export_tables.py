"""What is stored goes out as CSV: exact, with the meter's own clock, safe to open, and in constant memory."""

import csv
import io
import tracemalloc
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espi import customers, ingest, models, numbers, readings, revisions, usage
from espi.export import Days, Meter, tables
from tests.espi import documents
from tests.espi.documents import BASE, MIDNIGHT, bare_feed, block, customer, entry, espi, reading

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def store(subscription, content):
    return ingest.store(content, subscription=subscription, now=NOW)


def meters(**more):
    return [Meter(point, "Electricity", **more) for point in models.UsagePoint.objects.order_by("pk")]


def read(pieces):
    content = b"".join(pieces)
    assert not content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))


def lines(days=None, **more):
    return read(tables.of_readings(meters(**more), days or Days()))


def bills():
    return read(tables.of_bills(meters()))


def summary(inner, name="1", published="2026-02-01T00:00:00Z"):
    href = f"{documents.POINT}/UsageSummary/{name}"
    return entry(espi("UsageSummary", inner), href, up=f"{documents.POINT}/UsageSummary", published=published)


def test_a_reading_is_one_line_with_everything_that_is_known_of_it(subscription):
    one = reading(MIDNIGHT, 1234, cost=250000, quality=8, tou=2).replace(
        "</value>", "</value><consumptionTier>1</consumptionTier>"
    )
    one = one.replace("</tou>", "</tou><cpp>3</cpp>")
    store(subscription, documents.feed(block([one]), powerOfTenMultiplier=-3, currency=840))
    (line,) = lines()
    (point,) = models.UsagePoint.objects.all()
    (channel,) = usage.channels(point)
    assert line == {
        "meter": "Electricity",
        "meter_id": str(point.public_id),
        "service": "electricity",
        "channel_id": str(channel.public_id),
        "measurement": "energy",
        "flow_direction": "delivered",
        "is_register": "no",
        "start": "2026-01-15T00:00:00-05:00",
        "duration_seconds": "3600",
        "value": "1.234",
        "unit": "Wh",
        "quality": "estimated from a similar day",
        "quality_code": "8",
        "cost": "2.5",
        "currency": "USD",
        "tou": "2",
        "consumption_tier": "1",
        "cpp": "3",
    }


def test_starts_carry_the_offset_of_their_hour_on_the_days_when_clocks_change(subscription):
    fall_back = int(datetime(2025, 11, 2, 4, tzinfo=UTC).timestamp())
    spring_forward = int(datetime(2026, 3, 8, 5, tzinfo=UTC).timestamp())
    store(subscription, documents.feed(documents.hours(25, fall_back), documents.hours(23, spring_forward)))
    starts = [line["start"] for line in lines()]
    assert len(starts) == 48
    assert starts[1:3] == ["2025-11-02T01:00:00-04:00", "2025-11-02T01:00:00-05:00"]
    assert starts[26:28] == ["2026-03-08T01:00:00-05:00", "2026-03-08T03:00:00-04:00"]
    assert [int(datetime.fromisoformat(start).timestamp()) for start in starts[:25]] == list(
        range(fall_back, fall_back + 25 * 3600, 3600)
    )


def test_what_was_not_said_is_empty_and_what_is_missing_has_no_line(subscription):
    store(subscription, documents.feed(block([reading(MIDNIGHT, 0), reading(MIDNIGHT + 7200, 5)])))
    first, second = lines()
    assert (first["value"], first["cost"], first["currency"], first["quality"], first["tou"]) == ("0", "", "", "", "")
    assert second["start"] == "2026-01-15T02:00:00-05:00"


def test_readings_off_every_grid_stand_in_their_places(subscription):
    readings_ = [reading(MIDNIGHT + hour * 3600, hour) for hour in range(3)]
    odd = [reading(MIDNIGHT + 5400, 77, duration=0), reading(MIDNIGHT - 86400, 9, duration=30 * 86400)]
    store(subscription, documents.feed(block([*readings_, *odd])))
    assert [(line["value"], line["duration_seconds"]) for line in lines()] == [
        ("9", "2592000"),
        ("0", "3600"),
        ("1", "3600"),
        ("77", "0"),
        ("2", "3600"),
    ]


def test_of_two_interval_lengths_both_are_written_in_order_of_time(subscription):
    quarter = [reading(MIDNIGHT + index * 900, index, duration=900) for index in range(96)]
    store(subscription, documents.feed(block(quarter), documents.hours(24)))
    found = [(line["start"], int(line["duration_seconds"])) for line in lines()]
    assert len(found) == 120
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("first", "end", "count"),
    [
        (None, None, 72),
        (date(2026, 1, 16), None, 48),
        (None, date(2026, 1, 16), 24),
        (date(2026, 1, 16), date(2026, 1, 17), 24),
        (date(2030, 1, 1), None, 0),
        (date(2026, 1, 17), date(2026, 1, 16), 0),
    ],
)
def test_a_range_is_of_local_days(subscription, first, end, count):
    store(subscription, documents.feed(documents.hours(72)))
    assert len(lines(Days(first, end))) == count


def test_only_the_channels_that_are_wanted_are_written(subscription):
    other = documents.METER.replace("M1", "M2")
    store(
        subscription,
        documents.feed(
            documents.hours(3),
            documents.reading_type(f"{documents.BASE}/ReadingType/2", flowDirection=19),
            documents.meter_reading(other, f"{documents.BASE}/ReadingType/2"),
            documents.hours(2, href=other),
        ),
    )
    delivered, received = usage.channels(models.UsagePoint.objects.get())
    assert [line["flow_direction"] for line in lines()] == ["delivered"] * 3 + ["received"] * 2
    assert [line["flow_direction"] for line in lines(channel_ids=frozenset({received.public_id}))] == ["received"] * 2
    assert len(lines(channel_ids=frozenset({delivered.public_id}))) == 3


def test_a_bill_is_a_line_and_its_items_are_lines_below_it(subscription):
    item = (
        "<costAdditionalDetailLastPeriod><amount>-150000</amount><note>Solar credit</note><measurement>"
        "<powerOfTenMultiplier>-3</powerOfTenMultiplier><uom>72</uom><value>12345</value></measurement>"
        "<itemKind>6</itemKind><unitCost>12000</unitCost><itemPeriod><duration>86400</duration>"
        f"<start>{MIDNIGHT}</start></itemPeriod></costAdditionalDetailLastPeriod>"
    )
    store(
        subscription,
        documents.feed(
            summary(
                f"<billingPeriod><duration>{30 * 86400}</duration><start>{MIDNIGHT}</start></billingPeriod>"
                f"<billLastPeriod>13127000</billLastPeriod><costAdditionalLastPeriod>5</costAdditionalLastPeriod>{item}"
                "<currency>124</currency><overallConsumptionLastPeriod><powerOfTenMultiplier>3</powerOfTenMultiplier>"
                "<uom>72</uom><value>420</value></overallConsumptionLastPeriod><qualityOfReading>17</qualityOfReading>"
                "<statusTimeStamp>1771200000</statusTimeStamp><tariffProfile>EL1</tariffProfile>"
            )
        ),
    )
    bill, line = bills()
    assert {name: value for name, value in bill.items() if value} == {
        "meter": "Electricity",
        "meter_id": str(models.UsagePoint.objects.get().public_id),
        "service": "electricity",
        "row": "bill",
        "period_start": "2026-01-15T00:00:00-05:00",
        "period_end": "2026-02-14T00:00:00-05:00",
        "duration_seconds": "2592000",
        "consumption": "420000",
        "unit": "Wh",
        "cost": "131.27",
        "currency": "CAD",
        "additional_cost": "0.00005",
        "quality": "validated",
        "quality_code": "17",
        "tariff": "EL1",
        "published_at": "2026-02-01T00:00:00+00:00",
    }
    assert (line["row"], line["note"], line["cost"], line["currency"]) == ("line item", "Solar credit", "-1.5", "CAD")
    assert (line["consumption"], line["unit"], line["unit_cost"]) == ("12.345", "Wh", "0.12")
    assert (line["item_kind"], line["item_kind_code"]) == ("energy generation credit", "6")
    assert (line["item_start"], line["item_end"]) == ("2026-01-15T00:00:00-05:00", "2026-01-16T00:00:00-05:00")
    assert line["period_start"] == bill["period_start"]


def test_a_bill_of_which_little_was_said_has_empty_places(subscription):
    store(subscription, documents.feed(summary(f"<billingPeriod><start>{MIDNIGHT}</start></billingPeriod>")))
    (bill,) = bills()
    assert (bill["period_end"], bill["cost"], bill["currency"], bill["consumption"], bill["unit"]) == ("",) * 5


def test_line_items_that_are_not_what_they_should_be_are_told_as_they_are(subscription):
    odd = (
        "<costAdditionalDetailLastPeriod><amount>12.50 USD</amount><itemKind>other</itemKind><measurement>none"
        "</measurement><itemPeriod><start>-99999999999999</start><duration>x</duration></itemPeriod>"
        "</costAdditionalDetailLastPeriod><costAdditionalDetailLastPeriod>free of charge</costAdditionalDetailLastPeriod>"
    )
    store(
        subscription,
        documents.feed(summary(f"<billingPeriod><duration>5</duration><start>{MIDNIGHT}</start></billingPeriod>{odd}")),
    )
    _, first, second = bills()
    assert (first["cost"], first["item_kind_code"], first["item_start"]) == ("12.50 USD", "other", "")
    assert (second["row"], second["note"], second["cost"]) == ("line item", "free of charge", "")


FORMULAS = ["=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201"]


@pytest.mark.parametrize("hostile", [*FORMULAS, '=HYPERLINK("http://evil.example","x")', "\0=1"])
def test_d13_text_that_a_spreadsheet_would_compute_begins_with_an_apostrophe(subscription, hostile):
    store(
        subscription,
        documents.feed(
            documents.hours(1),
            summary(f"<billingPeriod><duration>5</duration><start>{MIDNIGHT}</start></billingPeriod>"),
        ),
    )
    (point,) = models.UsagePoint.objects.all()
    point.usage_summaries.update(tariff_profile=hostile.strip("\0"), details=[{"note": hostile.strip("\0")}])
    expected = f"'{hostile.lstrip(chr(0))}"
    (line,) = read(tables.of_readings([Meter(point, hostile)]))
    assert line["meter"] == expected
    bill, item = read(tables.of_bills([Meter(point, hostile)]))
    assert (bill["meter"], bill["tariff"], item["note"]) == (expected,) * 3


def test_d13_negative_numbers_stay_numbers(subscription):
    bill = f"<billingPeriod><duration>5</duration><start>{MIDNIGHT}</start></billingPeriod><billLastPeriod>-100000</billLastPeriod>"
    store(subscription, documents.feed(block([reading(MIDNIGHT, -1500, cost=-250000)]), summary(bill)))
    (line,) = lines()
    assert (line["value"], line["cost"], bills()[0]["cost"]) == ("-1500", "-2.5", "-1")


def test_d13_text_with_commas_quotes_and_line_ends_stays_one_cell(subscription):
    store(subscription, documents.feed(documents.hours(1)))
    (line,) = read(tables.of_readings([Meter(models.UsagePoint.objects.get(), 'Home, "old"\nhouse Zürich')]))
    assert line["meter"] == 'Home, "old"\nhouse Zürich'
    assert line["value"] == "100"


@given(st.integers(-(2**63), 2**63), st.integers(-18, 12))
def test_a_number_is_written_out_exactly(value, exponent):
    text = numbers.exact(value, exponent)
    assert Decimal(text) == Decimal(value).scaleb(exponent)
    assert "E" not in text
    assert not ("." in text and text.endswith("0"))


def test_years_of_readings_are_written_in_constant_memory(subscription):
    def peak(days):
        pieces = tables.of_readings(meters(), Days(end=start + timedelta(days=days)))
        next(pieces)
        tracemalloc.start()
        size = sum(map(len, pieces))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found, size

    start = date(2024, 1, 1)
    first = int(datetime(2024, 1, 1, 5, tzinfo=UTC).timestamp())
    for month in range(12):
        quarter = [reading(first + (month * 2880 + index) * 900, index, duration=900) for index in range(2880)]
        store(subscription, documents.feed(block(quarter)))
    (small, little), (large, much) = peak(60), peak(360)
    assert much > 5 * little
    assert large < small + 1024 * 1024


def test_a_channel_that_is_rescaled_meanwhile_ends_the_file_rather_than_lying(subscription):
    store(subscription, documents.feed(documents.hours(24 * 40)))
    (point,) = models.UsagePoint.objects.all()
    (channel,) = usage.channels(point)
    stored = readings.of_channel(channel, ZoneInfo(point.time_zone), channel.first_date, date(2027, 1, 1))
    assert next(stored).value == 100
    store(subscription, documents.feed(block([reading(MIDNIGHT + 999 * 3600, "0.5")])))
    with pytest.raises(readings.Rewritten):
        list(stored)


def test_reading_goes_on_behind_any_place(subscription):
    odd = [reading(MIDNIGHT + 5400, 77, duration=0), reading(MIDNIGHT + 5400, 78, duration=30 * 86400)]
    quarter = [reading(MIDNIGHT + index * 900, index, duration=900) for index in range(96)]
    store(
        subscription, documents.feed(documents.hours(30), block(quarter), block(odd, published="2026-02-02T00:00:00Z"))
    )
    (point,) = models.UsagePoint.objects.all()
    (channel,) = usage.channels(point)
    span = (ZoneInfo(point.time_zone), channel.first_date, date(2027, 1, 1))
    whole = list(readings.of_channel(channel, *span))
    assert len(whole) == 128
    for index, each in enumerate(whole):
        assert list(readings.of_channel(channel, *span, after=each.place)) == whole[index + 1 :]


def test_bills_come_a_few_at_a_time_and_in_order(subscription, monkeypatch):
    monkeypatch.setattr(usage, "_BILLS_AT_ONCE", 2)
    period = "<billingPeriod><duration>86400</duration><start>{}</start></billingPeriod>"
    told = [summary(period.format(MIDNIGHT + 86400 * number), str(number)) for number in (4, 1, 3, 0, 2)]
    store(subscription, bare_feed(documents.local_time(), documents.usage_point(), *told))
    assert [bill["period_start"][:10] for bill in bills()] == [f"2026-01-{day}" for day in range(15, 20)]
    found = read(tables.of_bills(meters(), Days(date(2026, 1, 16), date(2026, 1, 18))))
    assert [bill["period_start"][:10] for bill in found] == ["2026-01-16", "2026-01-17"]


# --- What was told otherwise ------------------------------------------------------------------------------------------


def test_a_corrected_reading_is_one_line_with_both_statements(subscription):
    for value, tou, day in ((1500, 1, 16), (1750, 2, 18)):
        content = block(
            [reading(MIDNIGHT, value, cost=131270, quality=8, tou=tou)], published=f"2026-01-{day}T00:00:00Z"
        )
        store(subscription, documents.feed(content, powerOfTenMultiplier=-3, currency=840))
    (line,) = read(tables.of_revisions(meters()))
    told = {
        "start": "2026-01-15T00:00:00-05:00",
        "duration_seconds": "3600",
        "unit": "Wh",
        "currency": "USD",
        "old_value": "1.5",
        "new_value": "1.75",
        "old_tou": "1",
        "new_tou": "2",
        "old_cost": "1.3127",
        "old_quality_code": "8",
        "old_published_at": "2026-01-16T00:00:00+00:00",
        "new_published_at": "2026-01-18T00:00:00+00:00",
    }
    assert {name: line[name] for name in told} == told
    assert read(tables.of_revisions(meters(), Days(date(2026, 1, 16)))) == []


def test_revisions_go_on_behind_any_place(subscription, monkeypatch):
    for value, day in ((0, 16), (100, 18)):
        content = documents.hours(24, value=lambda i, v=value: v + i, published=f"2026-01-{day}T00:00:00Z")
        store(subscription, documents.feed(content))
    monkeypatch.setattr(revisions, "_AT_ONCE", 5)
    (channel,) = usage.channels(models.UsagePoint.objects.get())
    span = (ZoneInfo("America/New_York"), date(2026, 1, 15), date(2026, 1, 16))
    found = list(revisions.of_channel(channel, *span))
    assert [each.old.value for each in found] == list(range(24))
    for index, each in enumerate(found):
        assert list(revisions.of_channel(channel, *span, after=each.place)) == found[index + 1 :]


def test_customer_data_are_a_line_for_each_element(subscription):
    place = f"{BASE}/RetailCustomer/1/Customer/1/CustomerAccount/A1/CustomerAgreement/1/ServiceLocation/1"
    address = "<mainAddress><townDetail><name>=Town</name></townDetail></mainAddress>"
    contents = [
        entry(customer("CustomerAccount", "<accountId>70 11</accountId>"), place.partition("/CustomerAgreement")[0]),
        entry(customer("ServiceLocation", f"{address}<phone1/><electronicAddress>a</electronicAddress>"), place),
    ]
    store(subscription, documents.bare_feed(*contents))
    told_of = read(tables.of_customers([("Mine", subscription)]))
    told = {(line["resource"], line["element"]): line["value"] for line in told_of}
    assert told["CustomerAccount", "accountId"] == "70 11"
    assert told["ServiceLocation", "mainAddress/townDetail/name"] == "'=Town"
    assert {line["connection"] for line in told_of} == {"Mine"}


def test_customer_data_go_on_behind_any_place(subscription):
    serials = [f"{BASE}/RetailCustomer/1/Customer/1/CustomerAccount/1/CustomerAgreement/1/Meter/{n}" for n in range(9)]
    contents = [entry(customer("Meter", f"<serialNumber>{number}</serialNumber>"), number) for number in serials]
    store(subscription, documents.bare_feed(*contents))
    found = list(customers.each(subscription))
    assert [each.noun for each in found].count("Meter") == 9
    for index, each in enumerate(found):
        assert list(customers.each(subscription, after=each.place)) == found[index + 1 :]
