"""Looking at energy: links in pictures, comparison, cost, habits, bills beside the meter, all meters, and how fresh it is."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import lxml.html
import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from django.utils import translation

from espi import usage
from espi.models import Authorization, FetchJob, Succession, UsageSummary
from portal import patterns, periods, writing
from tests.portal import household, rows
from tests.portal.pages import table, words

pytestmark = pytest.mark.django_db
MOST_STATEMENTS = 12
MOST_BYTES = 150_000


@pytest.fixture
def ada():
    return rows.customer()


@pytest.fixture
def point(ada):
    return rows.usage_point(ada)


def client_of(user):
    client = Client()
    client.force_login(user)
    return client


def page(user, address, status=200):
    response = client_of(user).get(address)
    assert response.status_code == status
    return lxml.html.fromstring(response.content)


def main(document):
    return words(document.xpath("//main")[0])


def fill(channel, first, count, value=1000, **more):
    for number in range(count):
        rows.day(channel, date.fromisoformat(first) + timedelta(days=number), [value] * 24, **more)


# --- The promise ------------------------------------------------------------------------------------------------------


def test_every_page_of_a_large_household_asks_little_and_weighs_little(ada, django_assert_max_num_queries):
    """Three connections, five meters, two years of quarter-hours, sun, costs, estimates, a revision."""
    points = household.household(ada)
    client = client_of(ada)
    views = [f"?period={name}&date=2025-07-15" for name in periods.NAMES]
    pages = [f"/usage?period={name}&date=2025-07-15" for name in patterns.NAMES]
    pages.append(f"/usage/{points[0].public_id}/bills")
    for point in (points[0], points[1]):
        pages += [
            f"/usage/{point.public_id}{query}" for query in ("", "?period=year&date=2025-07-15&show=cost", *views)
        ]
        pages += [f"/usage/{point.public_id}/patterns{query}" for query in ("", *views[1:])]
    cache.clear()
    with time_machine.travel("2026-03-21T12:00Z"):
        client.get("/dashboard")  # the session is written now, as once a minute
        for address in pages:
            with django_assert_max_num_queries(MOST_STATEMENTS, info=address):
                answer = client.get(address)
            assert answer.status_code == 200, address
            assert len(answer.content) <= MOST_BYTES, (address, len(answer.content))
            assert lxml.html.fromstring(answer.content).xpath("//figure"), address


# --- Pictures that lead on --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period", "link"),
    [
        ("year", "?period=month&date=2025-07-01"),
        ("month", "?period=day&date=2025-07-01"),
        ("week", "?period=day&date=2025-07-01"),
    ],
)
def test_a_bar_leads_to_what_it_is_made_of_and_so_does_its_row(ada, point, period, link):
    fill(rows.channel(point), "2025-07-01", 31)
    document = page(ada, f"/usage/{point.public_id}?period={period}&date=2025-07-01")
    places = document.xpath("//svg//a[contains(@class,'chart-place')]/@href")
    assert link in places
    assert places == document.xpath("//table//a/@href")


def test_what_a_bar_says_is_the_figure_of_its_row(ada, point):
    fill(rows.channel(point), "2025-07-01", 2, qualities=[8] * 24)
    document = page(ada, f"/usage/{point.public_id}?period=month&date=2025-07-01")
    titles = document.xpath("//svg//title/text()")
    assert titles[0] == "Tue, Jul 1: 24 kWh, partly estimated"
    assert document.xpath("//svg//a/@aria-label") == titles


def test_a_change_of_the_meter_is_drawn_where_it_happened(ada, point):
    fill(rows.channel(point), "2025-07-01", 31)
    at = int(datetime(2025, 7, 15, 4, tzinfo=UTC).timestamp())
    Succession.objects.create(usage_point=point, earlier_id="1", later_id="2", at=at, reason="replaced")
    address = f"/usage/{point.public_id}?period=month&date=2025-0"
    (seam,) = page(ada, f"{address}7-01").xpath("//*[contains(@class,'chart-seam')]")
    assert seam.get("x1") == "45.161%"
    assert words(seam) == "July 15, 2025: another meter, or another number"
    assert page(ada, f"{address}6-01").xpath("//*[contains(@class,'chart-seam')]") == []


# --- The year before, and cost ----------------------------------------------------------------------------------------


def test_a_year_is_held_against_the_months_that_are_whole_in_both(ada, point):
    channel = rows.channel(point)
    fill(channel, "2024-01-01", 60, 2000)  # January and February, a leap year's
    fill(channel, "2025-01-01", 40, 1000)  # January, a part of February
    document = page(ada, f"/usage/{point.public_id}?period=year&date=2025-01-01")
    assert (
        "50% less than a year earlier. Over the 1 month that is whole in both years: 744 kWh now, 1,488 kWh then."
        in main(document)
    )
    assert table(document)[:2] == [
        ["January 2025", "744", "1,488", ""],
        ["February 2025", "216", "1,392", "Incomplete"],
    ]
    assert len(document.xpath("//rect[contains(@class,'chart-before')]")) == 2


def test_a_month_is_held_against_the_same_days_a_year_earlier(ada, point):
    channel = rows.channel(point)
    fill(channel, "2024-02-01", 29, 1000)
    fill(channel, "2025-02-01", 10, 1100)
    document = page(ada, f"/usage/{point.public_id}?period=month&date=2025-02-01")
    assert (
        "10% more than a year earlier. Over the 10 days that are whole in both years: 264 kWh now, 240 kWh then."
        in main(document)
    )
    assert document.xpath("//rect[contains(@class,'chart-before')]") == []


def test_without_a_year_before_nothing_is_compared(ada, point):
    fill(rows.channel(point), "2025-02-01", 10)
    assert "earlier" not in main(page(ada, f"/usage/{point.public_id}?period=year&date=2025-02-01"))


def test_costs_are_added_drawn_and_said_to_be_partial(ada, point):
    channel = rows.channel(point, currency=840)
    fill(channel, "2025-07-01", 2, costs=[25_000] * 24, total_cost=600_000)
    address = f"/usage/{point.public_id}?period=month&date=2025-07-01"
    document = page(ada, address)
    assert "Cost $12.00" in main(document)
    assert words(document.xpath("//thead")[0]) == "Day Delivered (kWh) Cost (USD) Notes"
    assert table(document)[0] == ["Tue, Jul 1", "24", "6.00", ""]
    drawn = page(ada, f"{address}&show=cost")
    assert drawn.xpath("//svg//title/text()")[0] == "Tue, Jul 1: $6.00"
    assert drawn.xpath("//svg//a/@href")[0] == "?period=day&date=2025-07-01&show=cost"
    fill(channel, "2025-07-03", 1)
    assert "Cost, as far as it is known $12.00" in main(page(ada, address))


def test_canadian_money_is_told_from_american(ada):
    point = rows.usage_point(ada, utility="essex", zone="America/Toronto")
    fill(rows.channel(point, currency=124), "2025-07-01", 1, costs=[100_000] * 24, total_cost=2_400_000)
    assert "Cost CA$24.00" in main(page(ada, f"/usage/{point.public_id}"))


# --- Habits -----------------------------------------------------------------------------------------------------------


def test_habits_tell_what_is_always_on_the_highest_hour_and_the_highest_day(ada, point):
    channel = rows.channel(point)
    for number in range(1, 31):
        hours = [300] * 24
        hours[19] = 3000 if number == 12 else 1200
        rows.day(channel, date(2025, 6, number), hours)
    document = page(ada, f"/usage/{point.public_id}/patterns?period=month&date=2025-06-01")
    told = {words(each.xpath("./dt")[0]): words(each.xpath("./dd")[0]) for each in document.xpath("//dl/div")}
    assert told == {
        "All hours": "244.8 kWh",
        "Always on, each hour": "0.3 kWh 88% of your use",
        "Highest hour": "3 kWh Thursday, June 12, 2025, from 19:00",
        "Highest day": "9.9 kWh Thursday, June 12, 2025",
    }
    figures = table(document)
    assert (len(figures), figures[11][0], figures[11][20], figures[11][-1]) == (30, "Thu, Jun 12", "3.0", "9.9")
    assert len(document.xpath("//svg//a[contains(@class,'chart-place')]")) == 30
    assert document.xpath("//svg/@data-values")[0].split(";")[11].split(",")[19] == "3000"


def test_a_usual_day_is_told_apart_by_weekdays_and_weekends(ada, point):
    channel = rows.channel(point)
    for number in range(7):
        day = date(2025, 6, 2) + timedelta(days=number)  # a Monday
        rows.day(channel, day, [5000 if day.weekday() > 4 else 1000 + 500 * number] * 24)
    document = page(ada, f"/usage/{point.public_id}/patterns?period=week&date=2025-06-02")
    assert table(document, 1)[8] == ["08:00", "2", "5"]
    assert len(document.xpath("//path[contains(@class,'profile-line')]")) == 2


def test_of_a_year_hours_are_summed_by_the_month(ada, point):
    fill(rows.channel(point), "2025-02-01", 28)
    figures = table(page(ada, f"/usage/{point.public_id}/patterns?period=year&date=2025-02-01"))
    assert (len(figures), figures[0][:4], figures[0][-1]) == (24, ["00:00", "", "28", ""], "28")


def test_daily_readings_have_no_hours_and_the_page_says_so(ada):
    point = rows.usage_point(ada, utility="pge", service_kind=1)
    rows.day(rows.channel(point, "gas", uom=169, commodity=7), "2025-07-01", [3], length=86400)
    assert "last longer than an hour" in main(page(ada, f"/usage/{point.public_id}/patterns"))


@pytest.mark.parametrize("query", ["", "?period=week", "?period=year"])
def test_a_meter_of_bills_or_of_a_dial_has_a_page_of_habits_too(ada, point, query):
    bill(point, "2025-06-01", 30)
    assert page(ada, f"/usage/{point.public_id}/patterns{query}") is not None
    fill(rows.channel(point, is_register=True), "2025-07-01", 3)
    assert page(ada, f"/usage/{point.public_id}/patterns{query}") is not None
    assert page(ada, f"/usage{query}") is not None


def test_what_the_sun_sent_out_has_a_picture_of_its_own(ada, point):
    fill(rows.channel(point, "in"), "2025-07-01", 3)
    fill(rows.channel(point, "out", flow_direction=19), "2025-07-01", 3, 250)
    document = page(ada, f"/usage/{point.public_id}/patterns")
    assert [words(heading) for heading in document.xpath("//h3")] == ["Energy used", "Energy received from you"]
    assert [words(each) for each in document.xpath("//dl/div[dt='All hours']/dd")] == ["72 kWh", "18 kWh"]


@pytest.mark.parametrize(
    "query",
    ["?period=day", "?period=month&date=0001-01-01", "?date=9999-99-99", "?period=year&date=" + "1" * 5000],
    ids=["a day", "long ago", "no date", "very long"],
)
@pytest.mark.parametrize("where", ["/usage", "patterns"])
def test_b14_nonsense_is_answered_400_in_plain_words_everywhere(ada, point, query, where):
    rows.day(rows.channel(point), "2025-07-01", [1] * 24)
    address = where if where == "/usage" else f"/usage/{point.public_id}/{where}"
    assert words(page(ada, address + query, 400).xpath("//h1")[0]) == "We cannot show that period"


@pytest.mark.parametrize("query", ["?period=year&date=1990-01-01", "?period=week&date=2100-12-31"])
def test_b14_the_ends_of_the_calendar_are_shown(ada, point, query):
    rows.day(rows.channel(point), "2025-07-01", [1] * 24)
    for address in ("/usage", f"/usage/{point.public_id}/patterns"):
        page(ada, address + query)


# --- Bills ------------------------------------------------------------------------------------------------------------


def bill(point, first, days, **more):
    start = int(datetime.fromisoformat(f"{first}T04:00").replace(tzinfo=UTC).timestamp())
    more = {"consumption_uom": 72, "currency": 840} | more
    return UsageSummary.objects.create(usage_point=point, resource_id=first, start=start, duration=days * 86400, **more)


def test_a_bill_stands_beside_what_the_meter_measured(ada, point):
    fill(rows.channel(point), "2025-06-01", 40)
    bill(point, "2025-06-01", 30, consumption=720_000)
    bill(point, "2025-07-01", 31, consumption=800_000)
    document = page(ada, f"/usage/{point.public_id}/bills")
    assert [row[1:3] for row in table(document)] == [
        ["800 kWh", "240 kWh 10 of 31 days"],
        ["720 kWh", "720 kWh the bill agrees"],
    ]
    assert len(document.xpath("//svg//a")) == 2
    assert set(document.xpath("//svg//a/@href")) == {f"#{row.get('id')}" for row in document.xpath("//tbody/tr")}


def test_a_bill_that_differs_from_the_meter_says_by_how_much(ada, point):
    fill(rows.channel(point), "2025-06-01", 30)
    bill(point, "2025-06-01", 30, consumption=792_000)
    assert table(page(ada, f"/usage/{point.public_id}/bills"))[0][2] == "720 kWh the bill says 10% more"


@pytest.mark.parametrize(
    ("billed", "said"),
    [
        (540_000, "540 kWh used less sent out, the bill agrees"),
        (594_000, "540 kWh used less sent out, the bill says 10% more"),
        (720_000, "720 kWh the bill agrees"),
    ],
)
def test_a_bill_of_a_home_that_sends_out_is_held_against_what_it_is_about(ada, point, billed, said):
    """Most such bills count what was used less what was sent out, and none says so."""
    fill(rows.channel(point, "in"), "2025-06-01", 30)
    fill(rows.channel(point, "out", flow_direction=19), "2025-06-01", 30, 250)
    bill(point, "2025-06-01", 30, consumption=billed)
    assert table(page(ada, f"/usage/{point.public_id}/bills"))[0][2] == said


def test_more_sent_out_than_used_is_not_told_in_per_cent(ada, point):
    fill(rows.channel(point, "in"), "2025-06-01", 30, 100)
    fill(rows.channel(point, "out", flow_direction=19), "2025-06-01", 30)
    bill(point, "2025-06-01", 30, consumption=-700_000)
    assert table(page(ada, f"/usage/{point.public_id}/bills"))[0][2] == "-648 kWh used less sent out"


def test_the_lines_of_a_bill_are_told_without_their_script(ada, point):
    details = [
        {"amount": 1_250_000, "note": "<script>x</script>"},
        {"amount": -100_000, "itemKind": 8},
        {"note": "?"},
        7,
    ]
    bill(point, "2025-06-01", 30, bill_last_period=1_150_000, details=details)
    document = page(ada, f"/usage/{point.public_id}/bills")
    assert [words(each) for each in document.xpath("//details//dl/div")] == [
        "<script>x</script> $12.50",
        "Service credit -$1.00",
    ]


@pytest.mark.parametrize("days", [-3, 0, 100_000])
def test_a_period_of_a_bill_that_cannot_be_stops_no_page(ada, point, days):
    fill(rows.channel(point), "2025-06-01", 2)
    bill(point, "2025-06-01", days, consumption=1)
    assert len(table(page(ada, f"/usage/{point.public_id}/bills"))) == 1


def test_without_bills_the_page_says_so(ada, point):
    assert "No bills are here for this meter." in main(page(ada, f"/usage/{point.public_id}/bills"))


# --- All meters -------------------------------------------------------------------------------------------------------


def test_all_meters_stand_side_by_side_by_unit(ada):
    home = rows.usage_point(ada)
    gas = rows.usage_point(ada, utility="pge", zone="America/Los_Angeles", service_kind=1)
    away = rows.usage_point(ada, utility="essex", zone="America/Toronto")
    fill(rows.channel(home), "2025-07-01", 2)
    fill(rows.channel(away), "2025-07-01", 2, 500)
    fill(rows.channel(gas, uom=169, multiplier=-3, commodity=7), "2025-07-01", 2, 100)
    document = page(ada, "/usage?period=month&date=2025-07-01")
    headings = [words(heading) for heading in document.xpath("//h2")]
    assert headings[1:3] == ["Side by side, in kWh", "Side by side, in therms"]
    bars = document.xpath("//*[contains(@class,'beside-bar')]/rect/@width")
    assert bars == ["100%", "50%", "100%"]
    assert table(document)[0] == ["Tue, Jul 1", "24", "12"]
    assert len(document.xpath("//figure")) == 3


def test_a_customer_without_meters_is_shown_the_way(ada):
    assert "No meters are here yet" in main(page(ada, "/usage"))


def test_nobody_elses_meters_are_among_them(ada, point):
    fill(rows.channel(point), "2025-07-01", 2)
    assert "No meters are here yet" in main(page(rows.customer("eve@example.com"), "/usage"))


# --- How fresh it is --------------------------------------------------------------------------------------------------


@pytest.fixture
def connected(ada):
    held = rows.authorization(rows.registration(), user=ada)
    return held, rows.usage_point(ada, resource_id="9"), ada


def of_connection(connected):
    held, point, ada = connected
    point.subscription = held.subscription
    point.save()
    return held, point, ada


def told(ada, point):
    return [words(each) for each in page(ada, f"/usage/{point.public_id}").xpath("//p[contains(@class,'notice')]")]


def test_a_meter_without_news_is_said_to_be_late(connected):
    _held, point, ada = of_connection(connected)
    fill(rows.channel(point), "2025-07-01", 2)
    with time_machine.travel("2025-07-05T12:00Z"):
        assert told(ada, point) == []
    with time_machine.travel("2025-07-10T12:00Z"):
        assert told(ada, point) == [
            "Your utility is late: the newest reading is from July 2, 2025, 8 days ago. We keep asking for the rest."
        ]


def test_a_first_wait_a_failure_and_an_end_are_said(connected):
    held, point, ada = of_connection(connected)
    job = rows.job(held, f"{rows.V1}/Batch")
    assert told(ada, point)[0].startswith("Waiting for first data")
    job.state, job.reason = FetchJob.State.FAILED, "Your utility sent a file that we cannot read."
    job.save()
    assert "Your utility sent a file that we cannot read." in told(ada, point)[0]
    fill(rows.channel(point), "2025-07-01", 2)
    Authorization.objects.update(status=Authorization.Status.WITHDRAWN)
    assert told(ada, point) == ["Stopped by you: no new readings arrive. What is here stays as it is."]


# --- In the reader's language -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "number", "day"),
    [
        ("en", "1,234.5", "March 14, 2025"),
        ("es", "1,234.5", "14 de marzo de 2025"),
        ("fr-ca", "1\xa0234,5", "14 mars 2025"),
    ],
)
def test_numbers_and_days_are_written_as_the_language_writes_them(language, number, day):
    with translation.override(language):
        assert (writing.number(Decimal("1234.5")), writing.day(date(2025, 3, 14))) == (number, day)


@pytest.mark.parametrize(("language", "title"), [("es", "Julio de 2025"), ("fr-ca", "Juillet 2025")])
def test_pages_of_energy_are_written_in_the_customers_language(ada, point, language, title):
    ada.language = language
    ada.save()
    fill(rows.channel(point), "2025-07-01", 31, 1500)
    bill(point, "2025-07-01", 31, consumption=1_116_000, bill_last_period=13_127_000)
    for page_name in ("", "/patterns"):
        document = page(ada, f"/usage/{point.public_id}{page_name}?period=month&date=2025-07-01")
        assert document.get("lang").lower() == language
        assert words(document.xpath("//h2[@id='period']")[0]) == title
    told = main(page(ada, f"/usage/{point.public_id}/bills"))
    with translation.override(language):
        for figure in (writing.number(Decimal(1116)), writing.money(Decimal("131.27"), 840)):
            assert " ".join(figure.split()) in told
    page(ada, "/usage")


def test_statements_do_not_grow_with_meters(ada, django_assert_max_num_queries):
    for number in range(6):
        fill(rows.channel(rows.usage_point(ada, resource_id=str(number))), "2025-07-01", 1)
    client = client_of(ada)
    client.get("/usage")
    with django_assert_max_num_queries(MOST_STATEMENTS):
        client.get("/usage")
    assert len(usage.channels_of([])) == 0
