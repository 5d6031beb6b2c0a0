"""What the dashboard says of each connection: its meters, their days, what waits and what failed."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import lxml.html
import pytest
from django.test import Client
from django.utils import timezone

from espi.models import (
    Authorization,
    FetchJob,
    IntervalBlock,
    IntervalReading,
    Subscription,
    UsagePoint,
    UsageSummary,
)
from portal.models import FetchPlan
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
    assert "January 1, 2025 to" in card(held)[1]


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


def news(authorization, day, state, **more):
    """A job for the news up to a day of July, as a round asks for them: other days, another address."""
    end = datetime(2025, 7, day, 4, tzinfo=UTC)
    fields = {"data": "usage", "priority": FetchJob.Priority.DAILY, "reason": REFUSED} | more
    job = rows.job(authorization, f"{rows.V1}?to={day}", state=state, window_end=end, **fields)
    FetchJob.objects.filter(pk=job.pk).update(created_at=end)
    return end


def planned(authorization, asked_at, complete_to=None, part="usage"):
    FetchPlan.objects.create(
        application_information=authorization.application_information,
        authorization=authorization,
        part=part,
        asked_at=asked_at,
        complete_to=complete_to,
    )


def test_news_that_failed_and_came_in_a_later_round_are_history(held):
    rows.day(meter(held), "2025-07-01", [1] * 24)
    news(held, 2, FAILED)
    end = news(held, 3, DONE)
    planned(held, asked_at=end, complete_to=end)
    state, words = card(held)
    assert state == "Receiving data"
    assert REFUSED not in words


def test_news_that_failed_are_told_until_the_round_that_asks_for_them_again_has_ended(held):
    rows.day(meter(held), "2025-07-01", [1] * 24)
    failed_at = news(held, 2, FAILED)
    planned(held, asked_at=failed_at)
    assert card(held)[0] == "Receiving data, but not all of it"
    FetchPlan.objects.update(asked_at=news(held, 3, DUE, reason=""), complete_to=failed_at - timedelta(days=1))
    state, words = card(held)
    assert state == "Receiving data, but not all of it"
    assert f"{REFUSED} More is on its way." in words
    FetchJob.objects.filter(state=DUE).update(state=FAILED, reason="The utility no longer has this file.")
    state, words = card(held)
    assert state == "Receiving data, but not all of it"
    assert REFUSED not in words


def test_a_portion_of_the_history_that_failed_and_was_not_asked_for_again_is_told(held):
    rows.day(meter(held), "2025-07-01", [1] * 24)
    failed_at = news(held, 2, FAILED, priority=FetchJob.Priority.HISTORY)
    planned(held, asked_at=failed_at - timedelta(seconds=1))
    planned(held, asked_at=failed_at + timedelta(days=7), part="gaps")
    assert card(held)[0] == "Receiving data, but not all of it"


def test_a_gap_that_could_not_be_asked_for_is_told_though_later_rounds_do_not_reach_it(held):
    rows.day(meter(held), "2025-07-01", [1] * 24)
    news(held, 2, FAILED, priority=FetchJob.Priority.HISTORY)
    failed_at = timezone.now() - timedelta(days=20)
    FetchJob.objects.update(created_at=failed_at)
    planned(held, asked_at=failed_at + timedelta(days=1), complete_to=failed_at + timedelta(days=1))
    assert card(held)[0] == "Receiving data, but not all of it"
    FetchJob.objects.update(created_at=failed_at - timedelta(days=20))  # its days were asked for again, or came
    assert card(held)[0] != "Receiving data, but not all of it"


def test_news_that_failed_and_came_with_everybodys_are_history(held):
    """With a bulk id a connection is asked by itself weekly, and told its news daily."""
    rows.day(meter(held), "2025-07-01", [1] * 24)
    failed_at = news(held, 2, FAILED)
    planned(held, asked_at=failed_at, complete_to=failed_at - timedelta(days=1))
    assert card(held)[0] == "Receiving data, but not all of it"
    FetchPlan.objects.update(complete_to=failed_at)
    assert card(held)[0] == "Receiving data"


def test_a_failure_of_account_details_is_not_made_good_by_readings(held):
    rows.day(meter(held), "2025-07-01", [1] * 24)
    failed_at = news(held, 2, FAILED, kind="customer", data="customer")
    planned(held, asked_at=failed_at, part="customer")
    end = news(held, 3, DONE)
    planned(held, asked_at=end, complete_to=end)
    assert "Your account details did not arrive." in card(held)[1]


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


def lately(days):
    """A day so long ago, and the instant at which it ends in New York."""
    day = datetime.now(ZoneInfo("America/New_York")).date() - timedelta(days=days)
    return day, datetime.combine(day + timedelta(days=1), time(), ZoneInfo("America/New_York"))


def complete(authorization, days, channel=None):
    """Everything up to a day so long ago is here."""
    day, end = lately(days)
    rows.day(channel or meter(authorization), str(day), [1] * 24)
    Subscription.objects.filter(pk=authorization.subscription_id).update(complete_to=end)
    return day


def test_a_connection_of_which_everything_is_here_is_up_to_date_and_says_to_which_day_by_which_clock(held):
    day = complete(held, 1)
    state, words = card(held)
    assert state == "Up to date"
    assert f"Complete to {day:%B} {day.day}, {day.year} (Eastern Time)" in words


def test_a_utility_that_sends_nothing_newer_is_late_after_five_days(held):
    complete(held, 5)
    assert card(held)[0] == "Up to date"
    IntervalBlock.objects.all().delete()
    complete(held, 6, held.subscription.usage_points.get().meter_readings.get())
    state, words = card(held)
    assert state == "Late"
    assert "Your utility has sent nothing newer for 6 days. We keep asking." in words


@pytest.mark.parametrize(("days", "state"), [(30, "Up to date"), (1, "Late")])
def test_a_meter_that_is_read_by_the_month_is_not_late_within_one_and_one_that_is_read_by_the_day_is(held, days, state):
    """Days in one reading that begin beside midnight fit no grid, and months do not either."""
    day, end = lately(40)
    begins = int(end.timestamp()) - days * 86400 + 1
    IntervalReading.objects.create(
        meter_reading=meter(held), start=begins, duration=days * 86400, local_date=day, value=1
    )
    Subscription.objects.filter(pk=held.subscription_id).update(complete_to=end)
    assert card(held)[0] == state


@pytest.mark.parametrize(
    ("days", "said"),
    [(0, "Your permission ends today."), (1, "ends tomorrow."), (14, "ends in 14 days."), (15, None)],
)
def test_a_permission_that_ends_soon_says_so_and_can_be_renewed(held, days, said):
    complete(held, 1)
    Authorization.objects.filter(pk=held.pk).update(end_date=lately(-days)[0])
    state, words = card(held)
    assert state == ("Ends soon" if said else "Up to date")
    assert said is None or said in words
    assert ("Renew" in words) is bool(said)


def test_the_next_update_is_the_earliest_of_its_own_plans_and_of_everybodys(held):
    complete(held, 1)
    app = held.application_information
    at = datetime(2026, 11, 27, 11, 0, tzinfo=UTC)
    FetchPlan.objects.create(application_information=app, authorization=held, part="usage", next_at=at)
    assert "Next update November 27, 2026, 06:00" in card(held)[1]
    FetchPlan.objects.create(application_information=app, part="bulk", next_at=at - timedelta(hours=1))
    assert "Next update November 27, 2026, 05:00" in card(held)[1]


@pytest.mark.parametrize(
    ("granted", "hour"), [(["customer", "programs"], "05:00"), (["usage"], "04:00"), (["usage", "customer"], "04:00")]
)
def test_who_shares_account_details_alone_is_told_when_those_are_asked_for(held, granted, hour):
    complete(held, 1)
    Authorization.objects.filter(pk=held.pk).update(data_granted=granted)
    app, at = held.application_information, datetime(2026, 11, 27, 10, 0, tzinfo=UTC)
    FetchPlan.objects.create(application_information=app, part="bulk customers", next_at=at)
    FetchPlan.objects.create(application_information=app, part="bulk", next_at=at - timedelta(hours=1))
    assert f"Next update November 27, 2026, {hour}" in card(held)[1]


def test_a_connection_that_ended_offers_to_connect_again_and_shows_no_next_update(held):
    complete(held, 1)
    FetchPlan.objects.create(
        application_information=held.application_information, authorization=held, part="usage", next_at=rows.NOW
    )
    Authorization.objects.filter(pk=held.pk).update(status=Authorization.Status.REVOKED)
    state, words = card(held)
    assert state == "Stopped at the utility"
    assert "Connect again" in words
    assert "Next update" not in words
    assert "Stop sharing" not in words


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
    text = " ".join(dashboard(held.retail_customer).text_content().split())
    assert "Connected on March 1, 2026" in text
    assert "Connected on February 10, 2026" in text
