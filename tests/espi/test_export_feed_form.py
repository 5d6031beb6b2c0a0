"""What an exported Green Button file says: the standard's tree, its links, ids, times, extensions, and how it streams."""

import tracemalloc
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from zoneinfo import available_timezones

import pytest
from lxml import etree

from espi import ingest, models, parse, readings, resources, usage, zones
from espi.dialect import Dialect
from espi.export import Days, Meter, feed, local_time
from tests.espi import documents, green_button
from tests.espi.documents import BASE, METER, MIDNIGHT, bare_feed, block, entry, espi, reading
from tests.espi.exported import (
    NOW,
    OURS,
    PERIOD,
    assert_it_comes_back,
    bill,
    entries,
    export,
    owner,
    points,
    store,
    stored,
)
from tests.espi.green_button import ATOM, ESPI

pytestmark = pytest.mark.django_db


def test_the_feed_holds_the_standards_tree_with_links_that_lead_somewhere():
    store(documents.feed(documents.hours(30), bill(PERIOD), title="7 Mill Lane"))
    content = export()
    assert green_button.problems(content) == []
    nouns = [etree.QName(each.find(f"{ATOM}content")[0]).localname for each in entries(content)]
    assert nouns == [
        "LocalTimeParameters",
        "UsagePoint",
        "ReadingType",
        "MeterReading",
        "IntervalBlock",
        "IntervalBlock",
        "UsageSummary",
    ]
    (point,) = entries(content, "UsagePoint")
    (row,) = points()
    own = f"{OURS}/Subscription/{row.subscription.public_id}/UsagePoint/{row.public_id}"
    assert green_button.hrefs(point, "self") == [own]
    assert green_button.hrefs(point, "related")[:2] == [f"{own}/MeterReading", f"{own}/UsageSummary"]
    assert point.findtext(f"{ATOM}title") == "7 Mill Lane"
    (meter_reading,) = entries(content, "MeterReading")
    (reading_type,) = entries(content, "ReadingType")
    (its_blocks, its_type) = green_button.hrefs(meter_reading, "related")
    assert its_type == green_button.hrefs(reading_type, "self")[0]
    assert its_blocks == f"{green_button.hrefs(meter_reading, 'self')[0]}/IntervalBlock"


def test_ids_stay_the_same_from_export_to_export_and_differ_between_resources():
    store(documents.feed(documents.hours(30), bill(PERIOD)))
    first, second = export(), export(now=NOW + timedelta(days=3))
    ids = [each.findtext(f"{ATOM}id") for each in entries(first)]
    assert ids == [each.findtext(f"{ATOM}id") for each in entries(second)]
    assert len(set(ids)) == len(ids)
    store(documents.feed(documents.hours(30)), "bob")
    assert not set(ids[1:]) & {each.findtext(f"{ATOM}id") for each in entries(export("bob"))}


def test_a_block_says_when_the_utility_said_it_so_an_old_export_never_overrides_newer_data():
    store(documents.feed(documents.hours(3, published="2026-01-16T00:00:00Z")))
    old = export()
    (told,) = entries(old, "IntervalBlock")
    assert told.findtext(f"{ATOM}updated") == "2026-01-16T00:00:00Z"
    store(old, "bob")
    corrected = documents.hours(3, published="2026-01-17T00:00:00Z", value=lambda index: 500)
    store(documents.feed(corrected))
    store(export(), "bob")
    newest = stored("bob")
    store(old.replace(b"<title>Usage</title>", b"<title>Usage again</title>"), "bob")
    assert stored("bob") == newest == stored("ann")


def test_what_was_said_at_different_times_stands_in_different_blocks():
    early = documents.hours(3, published="2026-01-16T00:00:00Z")
    late = block([reading(MIDNIGHT + 3600, 9)], published="2026-01-17T00:00:00Z")
    store(documents.feed(early, late))
    told = {
        each.findtext(f"{ATOM}updated"): [value.text for value in each.iter(f"{ESPI}value")]
        for each in entries(export(), "IntervalBlock")
    }
    assert told == {"2026-01-16T00:00:00Z": ["100", "102"], "2026-01-17T00:00:00Z": ["9"]}


def test_readings_that_overlap_stand_in_different_blocks():
    odd = [reading(MIDNIGHT, 1, duration=86400), reading(MIDNIGHT + 1800, 2, duration=86400)]
    store(documents.feed(block(odd[:1])))
    store(documents.feed(block(odd[1:])))
    assert_it_comes_back()


@pytest.mark.parametrize(
    ("first", "end", "hours"),
    [(None, None, 72), (date(2026, 1, 16), date(2026, 1, 17), 24), (date(2030, 1, 1), None, 0)],
)
def test_a_range_is_of_local_days(first, end, hours):
    store(documents.feed(documents.hours(72), bill(PERIOD)))
    content = export(days=Days(first, end))
    assert green_button.problems(content) == []
    assert len(list(etree.fromstring(content).iter(f"{ESPI}IntervalReading"))) == hours
    assert len(entries(content, "UsageSummary")) == (first is None)
    assert len(entries(content, "MeterReading")) == (hours > 0)


def test_parts_of_a_history_come_back_as_the_whole():
    store(documents.feed(documents.hours(100), bill(PERIOD)))
    for first in range(15, 21):
        store(export(days=Days(date(2026, 1, first), date(2026, 1, first + 1))), "bob")
    assert stored("bob") == stored("ann")


def test_only_the_wanted_channels_are_in_it():
    other = METER.replace("M1", "M2")
    kind = f"{BASE}/ReadingType/2"
    store(
        documents.feed(
            documents.hours(3),
            documents.reading_type(kind, flowDirection=19),
            documents.meter_reading(other, kind),
            documents.hours(2, href=other),
        )
    )
    received = usage.channels(points().get())[1]
    content = export(channel_ids=frozenset({received.public_id}))
    assert [each.text for each in etree.fromstring(content).iter(f"{ESPI}flowDirection")] == ["19"]


def test_of_like_channels_that_follow_each_other_each_stays_its_own():
    """Two meters of one service (PG&E contract, 9.2): the second takes over where the first one ends."""
    other = METER.replace("M1", "M2")
    store(documents.feed(documents.hours(3), documents.meter_reading(other), documents.hours(3, href=other)))
    second = models.IntervalBlock.objects.filter(meter_reading__channel__contains="#2")
    second.update(local_date=date(2026, 1, 20), start=MIDNIGHT + 5 * 86400)
    content = export()
    assert [each.text for each in etree.fromstring(content).iter("{urn:x-share-my-meter:1}series")] == ["2"]
    assert_it_comes_back()
    assert models.MeterReading.objects.filter(usage_point__in=points("bob")).count() == 2


def test_a_value_past_48_bits_is_written_all_the_same_and_comes_back():
    store(documents.feed(block([reading(MIDNIGHT, 2**51), reading(MIDNIGHT + 3600, -(2**51))])))
    content = export()
    assert green_button.problems(content)
    assert all("value" in each for each in green_button.problems(content))
    store(content, "bob")
    assert stored("bob") == stored("ann")


# --- What utilities wrote ----------------------------------------------------------------------------------------------

HOSTILE = "a\x08b\x1fc\x7fd\x85e\ufffef\uffff<script>alert(1)</script>&amp;]]>"


def test_d14_control_characters_are_left_out_and_markup_is_text():
    store(documents.feed(documents.hours(1), bill(PERIOD)))
    row = points().get()
    models.UsagePoint.objects.filter(pk=row.pk).update(title=HOSTILE)
    row.usage_summaries.update(
        tariff_profile=HOSTILE,
        details=[{"note": HOSTILE, "odd": HOSTILE, "rate": {"@unit\x01": HOSTILE}}],
        extra={"x": {"y": HOSTILE}},
    )
    content = export()
    assert green_button.problems(content) == []
    titles = [each.findtext(f"{ATOM}title") for each in entries(content, "UsagePoint")]
    assert titles == ["abcdef<script>alert(1)</script>&amp;]]>"]
    assert not set(content.decode()) & {chr(code) for code in (*range(9), 11, 12, *range(14, 32), *range(127, 160))}
    assert store(content, "bob").summary["refused"] == []


def test_d14_a_bill_with_what_the_schema_forbids_is_valid_and_comes_back():
    odd = (
        "<costAdditionalDetailLastPeriod><amount>12.50 USD</amount></costAdditionalDetailLastPeriod>"
        "<costAdditionalDetailLastPeriod>free text</costAdditionalDetailLastPeriod><costAdditionalDetailLastPeriod>"
        f"<note>{'n' * 9000}</note><itemKind>3</itemKind></costAdditionalDetailLastPeriod>"
        f"<billToDate>{2**60}</billToDate><ourIdea><deep a='1'>x</deep><deep>2</deep></ourIdea>"
        "<tariffRiderRefs><tariffRiderRef><riderType>r</riderType></tariffRiderRef></tariffRiderRefs>"
    )
    store(documents.feed(bill(f"{PERIOD}{odd}")))
    assert_it_comes_back()
    (row,) = points("bob").get().usage_summaries.all()
    assert row.details[:2] == [{"amount": "12.50 USD"}, "free text"]
    assert row.bill_to_date == 2**60
    assert row.extra["ourIdea"] == {"deep": [{"@a": "1", "#text": "x"}, 2]}


def test_a_line_item_is_where_the_standard_has_it():
    item = (
        "<costAdditionalDetailLastPeriod><amount>1200000</amount><note>Peak</note><measurement><powerOfTenMultiplier>-3"
        "</powerOfTenMultiplier><uom>72</uom><value>5</value></measurement><itemKind>3</itemKind><unitCost>7</unitCost>"
        "</costAdditionalDetailLastPeriod><readCycle>Q</readCycle>"
    )
    rest = "<billLastPeriod>9</billLastPeriod><statusTimeStamp>1771200000</statusTimeStamp>"
    store(documents.feed(bill(f"{PERIOD}{item}{rest}")))
    (summary,) = etree.fromstring(export()).iter(f"{ESPI}UsageSummary")
    assert [each.tag.removeprefix(ESPI) for each in summary] == [
        "billingPeriod",
        "billLastPeriod",
        "costAdditionalDetailLastPeriod",
        "statusTimeStamp",
        "readCycle",
    ]
    assert not list(summary.iter(f"{ESPI}extension"))


def test_a_utilitys_own_extensions_are_kept_apart_from_ours():
    store(documents.feed(bill(f"<extension><theirs>1</theirs></extension>{PERIOD}")))
    (row,) = points().get().usage_summaries.all()
    assert row.extra == {"extension": {"theirs": 1}}
    assert_it_comes_back()


# --- Time zones --------------------------------------------------------------------------------------------------------


def said(name, year=2026):
    told = local_time.parameters(name, year)
    inner = "".join(f"<{field}>{value}</{field}>" for field, value in told.items())
    content = bare_feed(entry(espi("LocalTimeParameters", inner), f"{BASE}/LocalTimeParameters/1", title=name))
    (found,) = parse.read(BytesIO(content))
    assert isinstance(found, resources.LocalTimeParameters)
    return found


def titled(title):
    return resources.LocalTimeParameters(resources.Entry(title=title), -18000, 3600, "360E2000", "B40E2000")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("America/New_York", ("360E2000", "B40E2000", 3600, -18000)),
        ("America/Los_Angeles", ("360E2000", "B40E2000", 3600, -28800)),
        ("America/Phoenix", ("FFFFFFFF", "FFFFFFFF", 0, -25200)),
        ("Europe/London", ("3E0E1000", "AE0E2000", 3600, 0)),
        ("Australia/Sydney", ("A40E2000", "440E3000", 3600, 36000)),
    ],
)
def test_a_zones_rules_are_written_as_the_standard_does(name, told):
    found = said(name)
    assert (found.dst_start_rule, found.dst_end_rule, found.dst_offset, found.tz_offset) == told


def test_d15_every_zone_of_the_world_comes_back_by_its_name():
    names = [name for name in sorted(available_timezones()) if "/" in name or name == "UTC"]
    assert len(names) > 400
    assert [zones.name_of([said(name)]) for name in names] == names


@pytest.mark.parametrize("name", ["America/New_York", "America/Toronto", "Europe/Dublin", "America/St_Johns"])
def test_rules_agree_with_the_zone_they_were_made_of(name):
    assert [zones.contradiction(said(name, year), name, year) for year in range(2020, 2035)] == [""] * 15


@pytest.mark.parametrize(
    "title", ["America/Los_Angeles", "../../etc/passwd", "No/Where", "/etc/localtime", "x/" * 999, "A/B\0"]
)
def test_a_title_that_names_no_zone_or_one_of_another_offset_is_not_believed(title):
    assert zones.name_of([titled(title)]) == "America/New_York"


def test_a_title_that_names_a_zone_of_the_same_offset_is_believed():
    assert zones.name_of([titled("America/Toronto")]) == "America/Toronto"


def test_meters_in_two_zones_go_out_in_one_file_and_come_back_each_in_its_own():
    store(documents.feed(documents.hours(24)), time_zone="America/New_York")
    west = documents.feed(documents.hours(24)).replace(b"/U1", b"/U2")
    store(west, time_zone="America/Los_Angeles")
    assert_it_comes_back()
    assert {point.time_zone for point in points("bob")} == {"America/New_York", "America/Los_Angeles"}


def test_a_utilitys_document_is_read_by_offset_as_before():
    document = ingest.store(
        documents.feed(documents.hours(1)),
        subscription=models.Subscription.objects.create(retail_customer=owner("ann"), utility="pge"),
        dialect=Dialect(),
        now=NOW,
    )
    assert document.summary["stored"] == 1
    assert models.UsagePoint.objects.get().time_zone == "America/New_York"


# --- Streaming ---------------------------------------------------------------------------------------------------------


def pieces(days=None):
    return feed.of([Meter(points().get(), "Electricity")], days or Days(), base=OURS, title="Usage", now=NOW)


def test_years_of_readings_are_written_in_constant_memory():
    def peak(days):
        content = pieces(Days(end=date(2024, 1, 1) + timedelta(days=days)))
        next(content)
        tracemalloc.start()
        size = sum(map(len, content))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found, size

    first = int(datetime(2024, 1, 1, 5, tzinfo=UTC).timestamp())
    for month in range(8):
        quarter = [reading(first + (month * 2880 + index) * 900, index, duration=900) for index in range(2880)]
        store(documents.feed(block(quarter)))
    (small, little), (large, much) = peak(40), peak(240)
    assert much > 5 * little
    assert large < small + 1024 * 1024


def test_a_reader_who_stops_in_the_middle_leaves_nothing_behind():
    store(documents.feed(documents.hours(24 * 40)))
    content = pieces()
    assert next(content).startswith(b"<?xml")
    content.close()


def test_a_channel_that_is_rescaled_meanwhile_ends_the_file_rather_than_lying():
    store(documents.feed(documents.hours(24 * 80)))
    content = pieces()
    next(content)
    store(documents.feed(block([reading(MIDNIGHT + 9999 * 3600, "0.5")])))
    with pytest.raises(readings.Rewritten):
        list(content)
