"""What the dashboard says of each connection: its meters, their days, what waits and what failed."""

from datetime import UTC, date, datetime

import lxml.html
import pytest
from django.test import Client

from espi.models import Authorization, FetchJob, IntervalReading, UsagePoint, UsageSummary
from tests.portal import rows

pytestmark = pytest.mark.django_db
FAILED, DONE, DUE = FetchJob.State.FAILED, FetchJob.State.DONE, FetchJob.State.DUE
REFUSED = "The utility refused our access, also after we renewed it."


@pytest.fixture
def held():
    """A live connection of ada's."""
    return rows.authorization(rows.registration())


def meter(authorization, number="1", **more):
    point = UsagePoint.objects.create(
        subscription=authorization.subscription, resource_id=number, service_kind=0, time_zone="America/New_York"
    )
    return rows.channel(point, **more)


def dashboard(user):
    client = Client()
    client.force_login(user)
    answer = client.get("/dashboard")
    assert answer.status_code == 200
    return lxml.html.fromstring(answer.content)


def card(authorization):
    """State and the words of the only card."""
    (found,) = dashboard(authorization.retail_customer).xpath("//li[contains(@class,'card')]")
    state = found.xpath(".//span[contains(@class,'tag')]")[0]
    return state.text_content(), " ".join(found.text_content().split())


def test_the_days_of_a_meter_are_those_of_all_its_readings(held):
    first = meter(held)
    rows.day(first, "2025-07-02", [1] * 24)
    rows.day(first, "2025-07-04", [1] * 24)
    rows.day(rows.channel(first.usage_point, "other"), "2025-07-01", [1] * 24)
    state, words = card(held)
    assert state == "Receiving data"
    assert "July 1, 2025 to July 4, 2025" in words


def test_a_meter_that_is_read_by_the_month_shows_its_days_to_the_end_of_the_last_reading(held):
    start = datetime(2025, 6, 3, 4, tzinfo=UTC)
    IntervalReading.objects.create(
        meter_reading=meter(held), start=int(start.timestamp()), duration=30 * 86400, local_date=start.date(), value=1
    )
    state, words = card(held)
    assert state == "Receiving data"
    assert "June 3, 2025 to July 2, 2025" in words


def test_an_impossible_duration_does_not_break_the_page(held):
    channel = meter(held)
    IntervalReading.objects.create(
        meter_reading=channel, start=2**40, duration=2**62, local_date=date(2025, 1, 1), value=1
    )
    assert "Jan. 1, 2025 to" in card(held)[1]


def test_bills_without_readings_are_data(held):
    UsageSummary.objects.create(usage_point=meter(held).usage_point, resource_id="b", start=0)
    assert card(held)[0] == "Receiving data"


def test_a_job_that_failed_is_told_beside_older_data(held):
    rows.day(meter(held), "2025-07-01", [1] * 24)
    rows.job(held, rows.V1, state=DONE)
    rows.job(held, f"{rows.V1}/2", state=FAILED, reason=REFUSED)
    state, words = card(held)
    assert state == "Receiving data, but not all of it"
    assert f"Some of your readings or bills did not arrive. {REFUSED}" in words


def test_a_failure_that_was_made_good_is_history(held):
    rows.day(meter(held), "2025-07-01", [1] * 24)
    rows.job(held, rows.V1, state=FAILED, reason=REFUSED)
    rows.job(held, rows.V1, state=DONE)
    state, words = card(held)
    assert state == "Receiving data"
    assert REFUSED not in words


def test_what_failed_is_told_while_other_work_waits(held):
    rows.job(held, rows.V1, state=DUE, reason="The utility is preparing the data.")
    rows.job(held, f"{rows.V1}/c", kind="customer", state=FAILED, reason="The utility no longer has this file.")
    state, words = card(held)
    assert state == "Waiting for first data"
    assert "The utility is preparing the data. Your account details did not arrive." in words


def test_work_that_waits_beside_data_says_why(held):
    rows.day(meter(held), "2025-07-01", [1] * 24)
    rows.job(held, rows.V1, state=DUE, reason="The utility's service is not available at the moment; we keep trying.")
    state, words = card(held)
    assert state == "Receiving data"
    assert "More is on its way. The utility's service is not available" in words


def test_without_data_a_failure_is_the_state(held):
    rows.job(held, rows.V1, state=FAILED, reason=REFUSED)
    state, words = card(held)
    assert state == "We could not fetch your data"
    assert REFUSED in words


def test_many_connections_are_read_in_few_queries(held, django_assert_max_num_queries):
    app = held.application_information
    for number in range(30):
        authorization = rows.authorization(app, str(number))
        rows.day(meter(authorization, f"m{number}"), "2025-07-01", [1] * 24)
        rows.job(authorization, f"{rows.V1}/{number}", state=FAILED if number % 2 else DONE, reason="Why.")
    client = Client()
    client.force_login(held.retail_customer)
    client.get("/dashboard")
    with django_assert_max_num_queries(12):
        answer = client.get("/dashboard")
    assert answer.content.count(b"Receiving data, but not all of it") == 15


def names(authorization):
    links = dashboard(authorization.retail_customer).xpath(
        "//li[contains(@class,'card')]//a[contains(@href,'/usage/')]"
    )
    return [" ".join(link.text.split()) for link in links]


def test_several_meters_of_one_kind_are_numbered_where_everybody_sees_it(held):
    meter(held, "1")
    assert names(held) == ["Electricity"]
    meter(held, "2")
    UsagePoint.objects.create(subscription=held.subscription, resource_id="3", service_kind=1)
    assert names(held) == ["Electricity, meter 1", "Electricity, meter 2", "Gas"]


def test_connections_of_one_utility_say_since_when(held):
    other = rows.authorization(held.application_information, "977")
    late = datetime(2026, 3, 2, 3, 30, tzinfo=UTC)  # the evening of the first, in New York
    for each, at in ((held, late), (other, datetime(2026, 2, 10, 12, tzinfo=UTC))):
        Authorization.objects.filter(pk=each.pk).update(created_at=at)
    text = dashboard(held.retail_customer).text_content()
    assert "Connected on March 1, 2026." in text
    assert "Connected on Feb. 10, 2026." in text
