"""The page of a meter: its figures, its words, and who may see it."""

from datetime import UTC, date, datetime

import lxml.html
import pytest
import time_machine
from django.test import Client

from espi.models import IntervalReading, IntervalRevision, Succession, UsageSummary
from portal import periods
from tests.portal import rows
from tests.portal.pages import table, words

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return rows.customer()


@pytest.fixture
def point(ada):
    return rows.usage_point(ada)


def get(point, query="", *, user=None):
    client = Client()
    client.force_login(user or point.subscription.retail_customer)
    return client.get(f"/usage/{point.public_id}{query}")


def page(point, query=""):
    response = get(point, query)
    assert response.status_code == 200
    return lxml.html.fromstring(response.content)


# --- Whose it is ------------------------------------------------------------------------------------------------------


def test_a_meter_is_shown_to_its_owner_only(point):
    assert get(point).status_code == 200
    assert get(point, user=rows.customer("eve@example.com")).status_code == 404
    assert Client().get(f"/usage/{point.public_id}").status_code == 302


def test_the_page_is_kept_by_no_cache(point):
    assert "no-store" in get(point).headers["Cache-Control"]


# --- What is asked for ------------------------------------------------------------------------------------------------

NONSENSE = [
    "?period=decade",
    "?period=day&date=yesterday",
    "?period=day&date=2025-13-01",
    "?period=day&date=2025-02-29",
    "?period=day&date=0001-01-01",
    "?period=year&date=9999-12-31",
    "?date=2025-01-01T00:00",
    "?date=%00",
    "?date=" + "9" * 10_000,
    "?date=٢٠٢٥-٠١-٠١",
    "?period=<script>alert(1)</script>",
]


@pytest.mark.parametrize("query", NONSENSE, ids=[query[:40] for query in NONSENSE])
def test_b14_nonsense_is_answered_400_in_plain_words(point, query):
    response = get(point, query)
    assert response.status_code == 400
    document = lxml.html.fromstring(response.content)
    assert words(document.xpath("//h1")[0]) == "We cannot show that period"
    assert b"<script>alert" not in response.content


@pytest.mark.parametrize(
    "query", ["?period=year&date=1990-01-01", "?period=week&date=2100-12-31", "?other=1", "?period="]
)
def test_the_ends_of_the_calendar_are_shown_without_readings(point, query):
    assert get(point, query).status_code == 200


def test_the_latest_month_is_shown_when_nothing_is_asked_for(point):
    channel = rows.channel(point)
    rows.day(channel, "2025-01-31", [1000] * 24)
    rows.day(channel, "2025-02-03", [2000] * 24)
    document = page(point)
    assert words(document.xpath("//h2[@id='period']")[0]) == "February 2025"
    links = {words(a): a.get("href") for a in document.xpath("//a[@rel]")}
    assert links == {
        "Month before: January 2025": "?period=month&date=2025-01-01",
        "Month after: March 2025": "?period=month&date=2025-03-01",
    }


def test_before_the_first_reading_and_after_today_there_is_nothing_to_go_to(point):
    rows.day(rows.channel(point), "2025-01-31", [1000] * 24)
    with time_machine.travel("2025-02-03T12:00Z"):
        links = [
            [words(a) for a in page(point, f"?date={day}").xpath("//a[@rel]")] for day in ("2025-01-01", "2025-02-01")
        ]
    assert links == [["Month after: February 2025"], ["Month before: January 2025"]]


# --- Figures ----------------------------------------------------------------------------------------------------------


def test_a_day_is_shown_by_the_hour_in_the_meters_own_time(point):
    rows.day(rows.channel(point), "2025-07-01", list(range(0, 24_000, 1000)))
    document = page(point, "?period=day&date=2025-07-01")
    figures = table(document)
    assert (len(figures), figures[0], figures[23]) == (
        24,
        ["00:00 to 01:00", "0"],
        ["23:00 to 00:00", "23"],
    )
    assert words(document.xpath("//dl[contains(@class,'totals')]")[0]) == "Delivered to you 276 kWh"
    assert "Eastern Time" in document.text_content()
    assert "America/" not in document.text_content()
    assert len(document.xpath("//*[local-name()='rect' and contains(@class,'chart-delivered')]")) >= 24


@pytest.mark.parametrize(("day", "hours"), [("2025-03-09", 23), ("2025-11-02", 25)])
def test_f47_days_on_which_clocks_change_have_all_their_hours_once(point, day, hours):
    rows.day(rows.channel(point), day, [1000] * hours)
    document = page(point, f"?period=day&date={day}")
    figures = table(document)
    assert len(figures) == hours
    assert len({row[0] for row in figures}) == hours
    assert f"{hours} kWh" in words(document.xpath("//dl")[0])
    month = table(page(point, f"?period=month&date={day}"))
    (shown,) = [row for row in month if row[1]]
    assert shown[1:] == [str(hours), ""]


def test_the_hour_that_comes_twice_is_told_apart_by_the_zones_letters(point):
    rows.day(rows.channel(point), "2025-11-02", [1000] * 25)
    labels = [row[0] for row in table(page(point, "?period=day&date=2025-11-02"))]
    assert labels[1:3] == ["01:00 EDT to 01:00 EST", "01:00 EST to 02:00 EST"]


def test_a_stretch_without_readings_is_a_gap_and_not_a_zero(point):
    rows.day(rows.channel(point), "2025-07-01", [1000] * 6 + [None] * 3 + [0] * 15)
    document = page(point, "?period=day&date=2025-07-01")
    figures = table(document)
    assert figures[6] == ["06:00 to 09:00", "", "No reading"]
    assert figures[7] == ["09:00 to 10:00", "0", ""]
    assert len(document.xpath("//*[local-name()='rect' and contains(@class,'chart-gap')]")) == 1


def test_time_before_the_first_and_after_the_last_reading_is_no_gap(point):
    channel = rows.channel(point)
    rows.day(channel, "2025-07-10", [1000] * 24)
    rows.day(channel, "2025-07-12", [1000] * 5 + [None] * 19)
    month = {row[0]: row[1:] for row in table(page(point, "?period=month&date=2025-07-01"))}
    assert month["Wed, Jul 9"] == ["", "Before the first reading"]
    assert month["Thu, Jul 10"] == ["24", ""]
    assert month["Fri, Jul 11"] == ["", "No reading"]
    assert month["Sat, Jul 12"] == ["5", "Incomplete"]
    assert month["Sun, Jul 13"] == ["", "Not here yet"]
    assert table(page(point, "?period=day&date=2025-07-12"))[-1] == ["05:00 to 00:00", "", "Not here yet"]


def test_energy_received_from_the_customer_stands_apart_and_is_not_added(point):
    rows.day(rows.channel(point, "in"), "2025-07-01", [3000] * 24)
    rows.day(rows.channel(point, "out", flow_direction=19), "2025-07-01", [1000] * 24)
    document = page(point, "?period=day&date=2025-07-01")
    assert table(document)[0] == ["00:00 to 01:00", "3", "1"]
    assert words(document.xpath("//dl")[0]) == "Delivered to you 72 kWh Received from you 24 kWh"
    assert len(document.xpath("//figure")) == 1


@pytest.mark.parametrize("flow", [1, 4], ids=["not said to be net", "said to be net"])
def test_net_energy_of_a_solar_home_is_called_net_and_stands_below_zero(point, flow):
    rows.day(rows.channel(point, flow_direction=flow), "2025-07-01", [1000] * 8 + [-2500] * 8 + [500] * 8)
    document = page(point, "?period=day&date=2025-07-01")
    assert words(document.xpath("//h3")[0]) == "Net energy"
    assert words(document.xpath("//dl")[0]) == "Net: used less sent out -8 kWh"
    assert "Net (kWh)" in words(document.xpath("//thead")[0])
    assert table(document)[8] == ["08:00 to 09:00", "-2.5"]
    assert "Delivered" not in words(document.xpath("//main")[0])
    assert "below the line you sent out more than you used" in words(document.xpath("//figcaption")[0])
    bars = {
        place.xpath("string(title)"): place.xpath("./rect[contains(@class,'chart-bar')]")[0]
        for place in document.xpath("//*[contains(@class,'chart-place')]")
    }
    zero = int(document.xpath("//*[contains(@class,'chart-zero')]/@y1")[0])
    assert int(bars["08:00 to 09:00: -2.5 kWh"].get("y")) == zero
    assert int(bars["00:00 to 01:00: 1 kWh"].get("y")) < zero


def test_a_day_without_sun_of_a_net_series_is_called_net_too(point):
    channel = rows.channel(point)
    rows.day(channel, "2025-07-01", [-2500] * 24)
    rows.day(channel, "2025-12-01", [1000] * 24)
    assert words(page(point, "?period=day&date=2025-12-01").xpath("//h3")[0]) == "Net energy"


def test_delivered_energy_keeps_its_name_beside_what_was_received(point):
    delivered, received = rows.channel(point, "in"), rows.channel(point, "out", flow_direction=19)
    rows.day(delivered, "2025-07-01", [3000] * 23 + [-1])
    rows.day(received, "2025-07-01", [1000] * 24)
    document = page(point, "?period=day&date=2025-07-01")
    assert words(document.xpath("//h3")[0]) == "Energy used and sent out"
    legend = [words(item) for item in document.xpath("//figcaption//li")]
    assert legend == ["Delivered to you", "Received from you, below the line"]


def test_reactive_energy_below_zero_is_not_called_net(point):
    rows.day(rows.channel(point, uom=73), "2025-07-01", [-1000] * 24)
    assert words(page(point, "?period=day&date=2025-07-01").xpath("//h3")[0]) == "Reactive energy"


def test_estimated_and_revised_readings_are_marked_in_every_view(point):
    channel = rows.channel(point)
    rows.day(channel, "2025-07-01", [1000] * 24, qualities=[17, 8, 9] + [17] * 21)
    IntervalRevision.objects.create(
        meter_reading=channel, start=rows_start("2025-07-01", 2), duration=3600, old_value=5, new_value=1000
    )
    figures = table(page(point, "?period=day&date=2025-07-01"))
    assert [row[2] for row in figures[:4]] == ["", "Estimated", "Estimated, revised", ""]
    for view, label in (("month", "Tue, Jul 1"), ("year", "July 2025")):
        shown = {row[0]: row[2] for row in table(page(point, f"?period={view}&date=2025-07-01"))}
        assert shown[label].startswith("Partly estimated, partly revised")


def test_provisional_readings_are_marked_in_every_view_until_checked_ones_replace_them(point):
    channel = rows.channel(point)
    rows.day(channel, "2025-07-01", [1000] * 24, qualities=[17] * 20 + [14] * 4)
    IntervalRevision.objects.create(
        meter_reading=channel,
        start=rows_start("2025-07-01", 2),
        duration=3600,
        old_value=5,
        old_quality=14,
        new_value=1000,
    )
    document = page(point, "?period=day&date=2025-07-01")
    assert [row[2] for row in table(document)[18:22]] == ["", "", "Provisional", "Provisional"]
    assert table(document)[2][2] == ""
    assert "Outlined: provisional" in words(document.xpath("//figcaption")[0])
    for view, label in (("month", "Tue, Jul 1"), ("year", "July 2025")):
        shown = {row[0]: row[2] for row in table(page(point, f"?period={view}&date=2025-07-01"))}
        assert shown[label].startswith("Partly provisional")


def rows_start(day, hour):
    return int(datetime.fromisoformat(f"{day}T{hour:02}:00:00-04:00").timestamp())


def test_a_year_is_shown_by_the_month_with_links_to_each(point):
    channel = rows.channel(point)
    for day in range(1, 32):
        rows.day(channel, date(2025, 1, day), [1000] * 24)
    document = page(point, "?period=year&date=2025-06-01")
    figures = table(document)
    assert (len(figures), figures[0]) == (12, ["January 2025", "744", ""])
    assert document.xpath("//a[normalize-space()='January 2025']/@href") == ["?period=month&date=2025-01-01"]


def test_gas_is_shown_in_its_own_unit(ada):
    point = rows.usage_point(ada, zone="America/Los_Angeles", utility="pge", service_kind=1)
    channel = rows.channel(point, "gas", uom=169, multiplier=-8)
    rows.day(channel, "2025-07-01", [123_000_000], length=86400)
    document = page(point, "?period=month&date=2025-07-01")
    assert words(document.xpath("//h1")[0]) == "Gas"
    assert {row[0]: row[1] for row in table(document)}["Tue, Jul 1"] == "1.23"
    assert "therms" in words(document.xpath("//thead")[0])


def test_a_unit_we_do_not_know_is_shown_as_such(point):
    rows.day(rows.channel(point, "untold", uom=None), "2025-07-01", [7] * 24)
    document = page(point, "?period=day&date=2025-07-01")
    assert "Delivered (unit not stated)" in words(document.xpath("//thead")[0])


def test_a_meter_that_was_swapped_is_one_picture(point):
    rows.day(rows.channel(point, "old meter"), "2025-07-01", [1000] * 10 + [None] * 14)
    rows.day(rows.channel(point, "new meter"), "2025-07-01", [None] * 10 + [2000] * 14)
    document = page(point, "?period=month&date=2025-07-01")
    assert len(document.xpath("//figure")) == 1
    assert {row[0]: row[1] for row in table(document)}["Tue, Jul 1"] == "38"


def test_the_page_says_since_when_another_meter_measures_and_how_we_know(point):
    at = rows_start("2025-07-01", 10)
    for name in ("in", "out"):
        channel = rows.channel(point, name)
        rows.day(channel, "2025-07-01", [1000] * 24)
        known = {"usage_point": point, "meter_reading": channel, "earlier_id": "M1", "later_id": "M2"}
        Succession.objects.create(**known, at=at, reason="replaced")
    Succession.objects.create(usage_point=point, earlier_id="M2", later_id="M3", at=at + 86400, reason="renumbered")
    first, second = (words(note) for note in page(point).xpath("//p[@class='notice']"))
    assert first.startswith("Since July 1, 2025, 10:00, another meter measures here. Your utility lists both")
    assert second.startswith("Since July 2, 2025, 10:00, your utility lists this meter under another number.")


def test_two_meters_side_by_side_are_two_pictures_because_their_sum_may_count_twice(point):
    for name in ("one", "two"):
        channel = rows.channel(point, name)
        rows.day(channel, "2025-07-01", [1000] * 24)
        rows.day(channel, "2025-07-02", [1000] * 24)
    document = page(point, "?period=month&date=2025-07-01")
    headings = [words(heading) for heading in document.xpath("//h3")]
    assert headings == ["Energy used, series 1", "Energy used, series 2"]


def test_each_quantity_is_called_what_it_is_and_times_of_use_stand_apart(point):
    made = {
        "all": {},
        "peak": {"tou": 1},
        "rest": {"tou": 2},
        "gas": {"uom": 169, "commodity": 7},
        "water": {"uom": 128, "commodity": 9},
        "outdoors": {"uom": 23, "kind": 46},
    }
    for name, kind in made.items():
        rows.day(rows.channel(point, name, **kind), "2025-07-01", [1000] * 24)
    headings = {words(heading) for heading in page(point, "?period=day&date=2025-07-01").xpath("//h3")}
    assert headings == {
        "Energy used",
        "Energy used, time of use 1",
        "Energy used, time of use 2",
        "Gas used",
        "Water used",
        "Temperature",
    }
    month = {words(heading) for heading in page(point, "?period=month&date=2025-07-01").xpath("//h3")}
    assert month == headings - {"Temperature"}


def test_the_figures_of_a_month_stand_whole_and_only_very_long_ones_scroll_by_keyboard_too(point):
    rows.day(rows.channel(point), "2025-07-01", [100] * 96, length=900)
    month = page(point, "?period=month&date=2025-07-01").xpath("//table/parent::*")[0]
    assert (month.get("class"), month.get("tabindex"), month.get("role")) == ("figures scroll", "0", "region")
    day = page(point, "?period=day&date=2025-07-01").xpath("//table/parent::*")[0]
    assert (day.get("class"), day.get("tabindex")) == ("figures figures-long scroll", "0")
    assert day.get("aria-label") == "Energy used: the figures"


def test_dial_readings_are_never_added(point):
    rows.day(rows.channel(point, "dial", is_register=True), "2025-07-01", [1000] * 24)
    assert page(point, "?period=month&date=2025-07-01").xpath("//h3") == []
    document = page(point, "?period=day&date=2025-07-01")
    assert words(document.xpath("//h3")[0]) == "Meter reading"
    assert document.xpath("//figure") == []
    assert document.xpath("//dl") == []


def test_without_any_reading_the_page_says_what_is_usual(point):
    assert "No readings have arrived yet" in page(point).text_content()


def long_reading(channel, first, days, value=400_000):
    start = datetime(first.year, first.month, first.day, 5, tzinfo=UTC)
    seconds = {"start": int(start.timestamp()), "duration": days * 86400}
    return IntervalReading.objects.create(meter_reading=channel, local_date=first, value=value, **seconds)


def test_a_meter_that_is_read_by_the_month_is_shown_by_the_year(point):
    channel = rows.channel(point)
    for month in (6, 7):
        long_reading(channel, date(2025, month, 3), 30)
    shown = {row[0]: row[1:] for row in table(page(point))}
    assert (shown["June 2025"], shown["July 2025"]) == (["400", ""], ["400", ""])
    month = page(point, "?period=month&date=2025-06-01").text_content()
    assert "See the year" in month
    assert "We hold readings from June 3, 2025 to August 2, 2025." in month


def test_a_reading_over_the_turn_of_the_year_opens_the_year_in_which_it_begins(point):
    long_reading(rows.channel(point), date(2025, 12, 10), 40)
    assert words(page(point).xpath("//h2[@id='period']")[0]) == "2025"


# --- Bills ------------------------------------------------------------------------------------------------------------


def bill(point, start, **more):
    instant = int(datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp())
    return UsageSummary.objects.create(usage_point=point, resource_id=start, start=instant, **more)


def test_bills_show_period_usage_and_cost_and_say_what_is_missing(point):
    bill(point, "2025-06-01T04:00", duration=30 * 86400, bill_last_period=13_127_000, currency=840,
         consumption=412_000, consumption_uom=72)  # fmt: skip
    bill(point, "2025-07-01T04:00", duration=31 * 86400, consumption=15, consumption_uom=169)
    bill(point, "2025-08-01T04:00", bill_last_period=100_000)
    assert table(page(point, "/bills")) == [
        ["From August 1, 2025", "Not given by the utility", "No readings", "$1.00"],
        ["Jul 1 to Jul 31, 2025 (Gas) 31 days", "15 therms", "No readings", "Not given by the utility"],
        ["Jun 1 to Jun 30, 2025 (Electricity) 30 days", "412 kWh", "No readings", "$131.27 $4.38 a day"],
    ]


def test_a_bill_over_the_turn_of_the_year_names_both_years(point):
    bill(point, "2025-12-10T05:00", duration=30 * 86400)
    assert table(page(point, "/bills"))[0][0] == "Dec 10, 2025 to Jan 8, 2026 30 days"


def test_a_bill_of_pge_has_the_days_that_are_printed_on_it(ada):
    point = rows.usage_point(ada, utility="pge", zone="America/Los_Angeles")
    bill(point, "2025-02-28T08:00", duration=29 * 86400, bill_last_period=4_800_000)
    row = table(page(point, "/bills"))[0]
    assert (row[0], row[3]) == ("Mar 1 to Mar 29, 2025 29 days", "$48.00 $1.66 a day")


def test_a_bill_without_currency_from_a_file_is_said_to_have_none(ada):
    point = rows.usage_point(ada, utility="")
    bill(point, "2025-08-01T04:00", bill_last_period=100_000)
    assert table(page(point, "/bills"))[0][3] == "1.00 currency not stated"


# --- Periods ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "first", "end", "title"),
    [
        ("day", date(2025, 3, 14), date(2025, 3, 15), "Friday, March 14, 2025"),
        ("week", date(2025, 3, 10), date(2025, 3, 17), "March 10, 2025 to March 16, 2025"),
        ("month", date(2025, 3, 1), date(2025, 4, 1), "March 2025"),
        ("year", date(2025, 1, 1), date(2026, 1, 1), "2025"),
    ],
)
def test_a_period_holds_the_day_asked_for(name, first, end, title):
    period = periods.asked(name, "2025-03-14", default=date(2000, 1, 1))
    assert (period.first, period.end, period.title) == (first, end, title)
    assert period.next().previous() == period


@pytest.mark.parametrize(("name", "day"), [("year", "1990-05-05"), ("week", "1990-01-01"), ("day", "2100-12-31")])
def test_periods_end_where_the_calendar_ends(name, day):
    period = periods.asked(name, day, default=date(2000, 1, 1))
    assert None in (period.previous(), period.next()) or period.first.year in (1989, 2100)
