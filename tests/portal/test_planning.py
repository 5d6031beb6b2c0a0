"""News are asked for by plan: when, from which day, how far a connection is complete, what is missing in between."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest

import utilities
from espi.models import Authorization, Document, FetchJob, IntervalReading, Notification, UsagePoint
from portal.flows import deletion, fetch, telling
from portal.flows.fetch import announced, marking, planning
from portal.flows.staffing import completeness
from portal.models import DataGap, FetchPlan, Letter
from tests.portal import rows, standin
from tests.portal.rows import ESSEX, NOW, PGE, V1

pytestmark = pytest.mark.django_db
BATCH = f"{V1}/Batch/Subscription/976"
FILE = f"{V1}/Batch/Download?requestId=1&responseId=2&subscriptionId=976"
DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
MIDNIGHT = datetime(2026, 3, 20, 4, tzinfo=UTC)  # in New York, of NOW's day
NEW_YORK, PACIFIC = ZoneInfo("America/New_York"), ZoneInfo("America/Los_Angeles")
State, Priority = FetchJob.State, FetchJob.Priority


@pytest.fixture
def held():
    return rows.authorization(rows.registration(), created_at=NOW)


def run(job, now=NOW):
    fetch.run(job.pk, now=now)
    job.refresh_from_db()
    return job


def query(job):
    return {name: values[0] for name, values in parse_qs(urlsplit(job.url).query).items()}


def planned(now, **where):
    """The jobs that planning makes now."""
    before = set(FetchJob.objects.values_list("pk", flat=True))
    fetch.plan(now)
    return list(FetchJob.objects.exclude(pk__in=before).filter(**where).order_by("pk"))


def complete(held, until, part="usage", **more):
    """A connection whose history is here."""
    fields = {"asked_at": NOW, "asked_to": until, "complete_to": until, "next_at": NOW} | more
    return FetchPlan.objects.create(
        application_information=held.application_information, authorization=held, part=part, **fields
    )


def plan_of(held, part="usage"):
    return FetchPlan.objects.get(authorization=held, part=part)


# --- When, and from which day -----------------------------------------------------------------------------------------


def test_a_new_connection_is_asked_for_its_history_at_once_and_for_news_from_the_next_day_on(held):
    (job,) = fetch.enqueue_first(held, now=NOW)
    assert (job.priority, job.data) == (Priority.FIRST_DATA, "usage")
    plan = plan_of(held)
    assert (plan.asked_at, plan.asked_to, plan.complete_to) == (NOW, MIDNIGHT, None)
    assert MIDNIGHT + DAY <= plan.next_at < MIDNIGHT + 2 * DAY
    assert set(held.fetch_plans.values_list("part", flat=True)) == {"usage", "gaps"}


@pytest.mark.parametrize("now", [NOW, datetime(2026, 3, 7, 20, tzinfo=UTC), datetime(2026, 10, 31, 20, tzinfo=UTC)])
def test_pge_is_asked_for_news_in_its_evening_and_night_each_connection_at_its_own_time(now):
    """Off-peak, from 18 to 6 o'clock in California, also where clocks change meanwhile; no two of a hundred together."""
    utility = utilities.get("pge")
    times = [planning.first_time(utility, key, DAY, now) for key in range(100)]
    hours = {time.astimezone(PACIFIC).hour for time in times}
    assert hours == {*range(18, 24), *range(6)}, hours
    assert len(set(times)) == 100
    assert min(times) > now


@pytest.mark.parametrize("slug", ["pge", "cecony", "essex"])
@pytest.mark.parametrize(("every", "days"), [(DAY, 1), (7 * DAY, 7)])
@pytest.mark.parametrize("now", [NOW, datetime(2026, 2, 27, 20, tzinfo=UTC), datetime(2026, 10, 24, 20, tzinfo=UTC)])
def test_daily_is_every_day_and_weekly_every_seven_also_for_those_whose_time_is_past_midnight(slug, every, days, now):
    """A scheduler asks within a minute or some; the days in which clocks change are an hour shorter or longer."""
    utility = utilities.get(slug)
    for key in range(200):
        times = [planning.first_time(utility, key, every, now)]
        for _ in range(14):
            late = 6 * HOUR if len(times) % 3 else key * SECOND  # what it asked for last was still on its way, or not
            times.append(planning.next_time(utility, key, every, times[-1] + late))
        apart = [later - earlier for earlier, later in pairwise(times)]
        assert {each - days * DAY for each in apart} <= {-HOUR, 0 * HOUR, HOUR}, key
        assert now < times[0] < now + (days + 2) * DAY


def test_pge_asks_every_day_of_a_connection_whose_time_is_after_midnight():
    """Key 4 has 8 h 47 min 56 s after 18 o'clock."""
    at = datetime(2026, 3, 20, 2, 47, 56, tzinfo=PACIFIC)
    assert planning.next_time(utilities.get("pge"), 4, DAY, at.astimezone(UTC)) == at + DAY


def test_the_first_data_of_a_new_customer_come_before_the_later_portions_of_an_earlier_ones_history():
    app = rows.registration("pge", "")
    earlier = rows.authorization(app, "1", user=rows.customer("early@example.com"), created_at=NOW)
    later = rows.authorization(app, "2", user=rows.customer("late@example.com"), created_at=NOW)
    fetch.enqueue_first(earlier, now=NOW - MINUTE)
    fetch.enqueue_first(later, now=NOW)
    taken = [job for job, _ in marking.take(app, 10_000, now=NOW)]
    whose = [FetchJob.objects.get(pk=pk).authorization_id for pk in taken]
    assert len(whose) >= 4
    assert whose == [earlier.pk, later.pk] * (len(whose) // 2)


def test_news_are_asked_for_from_a_week_before_it_is_complete_to_up_to_yesterday(held):
    complete(held, MIDNIGHT - DAY)
    (job,) = planned(NOW)
    assert query(job) == {"publishedMin": "2026-03-12", "publishedMax": "2026-03-19"}
    assert (job.priority, job.window_end, job.state) == (Priority.DAILY, MIDNIGHT, "due")
    assert planned(NOW + MINUTE) == []


def test_what_was_missed_for_a_month_is_asked_for_in_one_request(held):
    complete(held, MIDNIGHT - 30 * DAY + HOUR)  # midnight, in winter
    (job,) = planned(NOW)
    assert query(job)["publishedMin"] == "2026-02-11"


def test_f46_after_a_day_without_a_scheduler_there_is_one_round_and_not_one_for_each_that_was_missed(held):
    complete(held, MIDNIGHT, next_at=NOW - 3 * DAY)
    assert len(planned(NOW)) == 1
    assert plan_of(held).next_at > NOW
    assert planned(NOW + HOUR) == []


def test_what_is_still_on_its_way_is_not_asked_for_again(held):
    complete(held, MIDNIGHT)
    rows.job(held, BATCH, state="awaiting_notification", data="usage")
    assert planned(NOW) == []
    assert plan_of(held).next_at == NOW + 6 * HOUR


def test_as_long_as_nothing_is_complete_the_history_is_asked_for(held):
    complete(held, None)
    (job,) = planned(NOW)
    assert query(job)["publishedMin"] == "2024-03-20"


def test_customer_data_are_asked_for_weekly_and_real_time_data_four_times_a_day(held):
    Authorization.objects.update(data_granted=["customer", "realtime"])
    for part in ("customer", "realtime"):
        complete(held, MIDNIGHT, part)
    assert {job.data: job.priority for job in planned(NOW)} == {
        "customer": Priority.UPKEEP,
        "realtime": Priority.DAILY,
    }
    assert plan_of(held, "realtime").next_at == NOW + 6 * HOUR
    assert plan_of(held, "customer").next_at > NOW + 6 * DAY


def test_pge_is_asked_between_18_and_6_pacific(held):
    app = rows.registration("pge", "", bulk_id="")
    for number in range(30):
        fetch.enqueue_first(rows.authorization(app, str(number)), now=NOW)
    times = FetchPlan.objects.filter(part="usage", application_information=app).values_list("next_at", flat=True)
    hours = {moment.astimezone(PACIFIC).hour for moment in times}
    assert hours <= {*range(18, 24), *range(6)}
    assert len(hours) > 6


def test_utilityapi_is_asked_for_what_it_added_since_under_an_address_that_stays_the_same_for_a_day():
    held = rows.authorization(rows.registration("essex", ""))
    complete(held, MIDNIGHT)
    (job,) = planned(NOW)
    assert query(job) == {"updated-min": "2026-03-13T04:00:00Z"}


def test_planning_five_hundred_connections_takes_a_handful_of_statements(held, django_assert_max_num_queries):
    user = held.retail_customer
    for number in range(60):
        complete(rows.authorization(held.application_information, f"1{number}", user=user), MIDNIGHT)
    with django_assert_max_num_queries(20):
        assert fetch.plan(NOW) == 60
    assert FetchJob.objects.count() == 60


# --- Who is asked no more ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["withdrawn", "revoked", "needs_reconnect"])
def test_nothing_is_asked_for_whoever_does_not_share_any_more(held, status):
    complete(held, MIDNIGHT)
    Authorization.objects.update(status=status)
    assert planned(NOW) == []
    assert plan_of(held).next_at is None


def test_sharing_ends_after_the_last_day_the_customer_agreed_to(held):
    complete(held, MIDNIGHT)
    Authorization.objects.update(end_date=date(2026, 3, 20))
    assert len(planned(NOW)) == 1
    FetchPlan.objects.update(next_at=NOW)
    FetchJob.objects.update(state="done")
    assert planned(NOW + DAY) == []
    held.refresh_from_db()
    assert (held.status, held.access_token, held.refresh_token) == ("expired", None, None)
    assert held.status_reason == "The last day you agreed to is over."


@pytest.mark.parametrize(("slug", "midnight"), [("pge", 7), ("cecony", 4)])
def test_sharing_ends_with_its_last_day_by_the_utilitys_clock_also_where_nothing_is_due(slug, midnight):
    """With a bulk id a connection itself is asked weekly at most; one of nothing but account details every four weeks."""
    held = rows.authorization(rows.registration(slug, "" if slug == "pge" else "v2"), end_date=date(2026, 3, 20))
    for part in ("usage", "customer"):
        complete(held, MIDNIGHT, part, next_at=NOW + 27 * DAY)
    job = rows.job(held, BATCH, state="awaiting_notification")
    over = datetime(2026, 3, 21, midnight, tzinfo=UTC)
    fetch.plan(over - SECOND)
    held.refresh_from_db()
    assert held.status == "active"
    fetch.plan(over)
    held.refresh_from_db()
    assert (held.status, held.ended_at) == ("expired", over)
    assert (held.access_token, held.access_token_expires_at, held.refresh_token) == (None, None, None)
    job.refresh_from_db()
    assert job.state == "superseded"
    telling.tell(over + 2 * HOUR)
    assert Letter.objects.get().kind == "expired"


def test_sharing_ends_with_its_last_day_also_where_there_is_no_plan():
    held = rows.authorization(rows.registration("essex", ""), end_date=date(2026, 3, 19), is_planned=True)
    others = [
        rows.authorization(held.application_information, str(number), end_date=end, status=status)
        for number, (end, status) in enumerate([(None, "active"), (date(2026, 3, 19), "withdrawn")])
    ]
    assert planning.end_what_is_over(NOW) == 1
    assert planning.end_what_is_over(NOW) == 0
    assert [Authorization.objects.get(pk=each.pk).status for each in [held, *others]] == [
        *("expired", "active", "withdrawn")
    ]


def test_no_more_connections_than_a_few_hundred_are_ended_in_a_minute_the_longest_over_first(monkeypatch):
    app = rows.registration("essex", "")
    for number, day in enumerate((18, 16, 17)):
        rows.authorization(app, str(number), end_date=date(2026, 3, day), is_planned=True)
    monkeypatch.setattr(planning, "AT_ONCE", 2)
    assert planning.end_what_is_over(NOW) == 2
    assert Authorization.objects.get(status="active").end_date == date(2026, 3, 18)


def test_a_connection_from_before_there_were_plans_is_given_its_own(held):
    rows.job(held, BATCH, state="done")
    fetch.plan(NOW)
    assert plan_of(held).next_at > NOW


# --- How far it is complete -------------------------------------------------------------------------------------------


def a_round(held, *more):
    complete(held, MIDNIGHT - 2 * DAY, asked_at=NOW - HOUR, asked_to=MIDNIGHT)
    FetchJob.objects.all().delete()
    return [rows.job(held, FILE + extra, kind="download") for extra in ("", *more)]


def yesterday(**more):
    return 200, standin.feed(start=int((MIDNIGHT - DAY).timestamp()), values=range(24), **more), {}


def test_it_is_complete_to_where_its_readings_reach_once_everything_is_here(held, utility):
    first, second = a_round(held, "&part=2")
    utility.says("/Download", yesterday())
    run(first)
    assert plan_of(held).complete_to == MIDNIGHT - 2 * DAY
    run(second)
    plan = plan_of(held)
    assert (plan.complete_to, plan.answered_at >= NOW) == (MIDNIGHT, True)
    held.subscription.refresh_from_db()
    assert held.subscription.complete_to == MIDNIGHT


def test_it_is_complete_only_as_far_as_every_meter_is(held, utility):
    first, second = a_round(held, "&part=2")
    utility.says("part=2", (200, standin.feed(start=int((MIDNIGHT - 2 * DAY).timestamp()), point="gas"), {}))
    utility.says("/Download", yesterday())
    run(first)
    run(second)
    assert plan_of(held).complete_to == MIDNIGHT - DAY


def readings_of(day, **more):
    return 200, standin.feed(start=int(day.timestamp()), values=range(24), **more), {}


def test_of_files_in_two_lists_the_later_days_move_it_past_no_day_that_the_other_list_has_yet_to_bring(held, utility):
    complete(held, MIDNIGHT - 3 * DAY, asked_at=NOW - HOUR, asked_to=MIDNIGHT - 3 * DAY)
    utility.says("part=0", readings_of(MIDNIGHT - 4 * DAY))
    run(rows.job(held, f"{FILE}&part=0", kind="download"))
    FetchPlan.objects.update(asked_at=NOW + HOUR, asked_to=MIDNIGHT)
    asked = rows.job(held, BATCH, data="usage", state="awaiting_notification")
    found = []
    for part, day in (("1", 1), ("2", 3), ("3", 2)):  # each announced once the one before is here
        utility.says(f"part={part}", readings_of(MIDNIGHT - day * DAY))
        file = FILE.replace("requestId=1", "requestId=2")
        run(rows.job(held, f"{file}&part={part}", kind="download"), NOW + 2 * HOUR)
        asked.refresh_from_db()
        found.append((asked.state, MIDNIGHT - plan_of(held).complete_to))
    assert found == [("done", 3 * DAY), ("done", 2 * DAY), ("done", 0 * DAY)]


def created(now, *days):
    """A file that calls all in it new as of its creation, as PG&E's do, also what was told before."""
    head, _ = standin.feed().split(b"<updated>")
    entries = [readings_of(day)[1].split(b"</updated>")[1].removesuffix(b"</feed>") for day in days]
    return 200, head + f"<updated>{now:%Y-%m-%dT%H:%M:%SZ}</updated>".encode() + b"".join(entries) + b"</feed>", {}


def test_a_day_that_never_comes_holds_up_what_is_complete_for_a_week_and_no_longer(held, utility):
    complete(held, MIDNIGHT - 3 * DAY)
    told, reached, asked_from = [MIDNIGHT - 4 * DAY], [], []
    for number in range(12):
        now, until = NOW + number * DAY, MIDNIGHT + number * DAY
        told.append(until - DAY)  # nothing of the two days before the first of these
        FetchPlan.objects.update(next_at=now)
        (asked,) = planned(now, kind="usage")
        asked_from.append((until.date() - date.fromisoformat(query(asked)["publishedMin"])).days)
        asked.delete()
        utility.says(f"part={number}&", created(now, *told))
        file = rows.job(held, f"{FILE}&part={number}&", kind="download", not_before=now)
        assert run(file, now).state == "done"
        reached.append((until - plan_of(held).complete_to).days)
    assert (reached, max(asked_from)) == ([*range(3, 9), 0, 0, 0, 0, 0, 0], 16)


@pytest.mark.parametrize(("duration", "reached"), [(86400, MIDNIGHT - DAY), (31 * 86400, MIDNIGHT)])
def test_a_meter_whose_days_fit_no_grid_counts_too_and_one_of_months_does_not(held, utility, duration, reached):
    (only,) = a_round(held)
    gas = rows.channel(UsagePoint.objects.create(subscription=held.subscription, resource_id="2"))
    start = MIDNIGHT - 2 * DAY + SECOND
    IntervalReading.objects.create(
        meter_reading=gas, start=int(start.timestamp()), duration=duration, local_date=date(2026, 3, 18), value=1
    )
    utility.says("/Download", yesterday())
    run(only)
    assert plan_of(held).complete_to == reached


def test_days_that_fit_no_grid_are_days_for_whoever_asks_which_days_there_are(held):
    point = UsagePoint.objects.create(subscription=held.subscription, resource_id="2", time_zone="America/New_York")
    file = Document.objects.create(subscription=held.subscription, received_at=NOW, sha256="0" * 64, size=1)
    starts = [int((MIDNIGHT - count * DAY + SECOND).timestamp()) for count in (20, 3)]
    for start, day in zip(starts, (date(2026, 2, 28), date(2026, 3, 17)), strict=True):
        IntervalReading.objects.create(
            meter_reading=rows.channel(point, f"kwh{day}"),
            start=start,
            duration=86400,
            local_date=day,
            value=1,
            document=file,
        )
    there = deletion.held(held.subscription)
    assert (there.meters, there.first_day, there.last_day) == (1, date(2026, 2, 28), date(2026, 3, 17))
    assert announced.span(file) == tuple(starts)
    assert completeness.last_month(point, NOW + 90 * DAY) == date(2026, 3, 1)


def test_i8_it_never_moves_when_something_failed_and_never_goes_back(held, utility):
    first, second = a_round(held, "&part=2")
    utility.says("part=2", (400, b"No", {}))
    utility.says("/Download", yesterday())
    run(second)
    run(first)
    assert (second.state, plan_of(held).complete_to) == ("failed", MIDNIGHT - 2 * DAY)
    FetchPlan.objects.update(complete_to=MIDNIGHT + DAY, asked_at=NOW + HOUR)
    run(rows.job(held, f"{FILE}&part=3", kind="download"), NOW + 2 * HOUR)
    assert plan_of(held).complete_to == MIDNIGHT + DAY


def test_an_account_without_readings_is_complete_after_a_week(held, utility):
    utility.says("/Batch", (204, b"", {}))
    complete(held, None, asked_to=MIDNIGHT)
    Authorization.objects.update(created_at=NOW)
    run(rows.job(held, BATCH, data="usage"))
    assert plan_of(held).complete_to is None
    run(rows.job(held, BATCH, data="usage", not_before=NOW), NOW + 8 * DAY)
    assert plan_of(held).complete_to == MIDNIGHT


# --- Everybody's news at once -----------------------------------------------------------------------------------------


@pytest.fixture
def in_bulk(utility):
    """PG&E with our bulk id: one connection whose history is here."""
    app = rows.registration("pge", "", client_access_token="ours", client_access_token_expires_at=NOW + 90 * DAY)
    held = rows.authorization(app, "61234")
    complete(held, datetime(2026, 3, 19, 7, tzinfo=UTC), next_at=NOW + 5 * DAY)
    fetch.plan(NOW)
    FetchPlan.objects.filter(part="bulk").update(next_at=NOW)
    return held


def test_where_there_is_a_bulk_id_one_request_brings_everybodys_news_and_each_is_asked_by_itself_weekly(in_bulk):
    (job,) = planned(NOW)
    assert (job.authorization, job.token_class, job.data) == (None, "client", "bulk")
    assert job.url.startswith(f"{PGE}/Batch/Bulk/50123?published-min=2026-03-13T07:00:00Z")
    fetch.enqueue_first(in_bulk, now=NOW)
    assert plan_of(in_bulk).next_at > NOW + 6 * DAY


def test_a_bulk_file_ends_its_request_and_says_how_far_its_connections_are_complete(in_bulk, utility):
    (job,) = planned(NOW)
    utility.says("Bulk/50123?published", (202, b"", {}))
    assert run(job).state == "awaiting_notification"
    start = int(datetime(2026, 3, 19, 7, tzinfo=UTC).timestamp())
    utility.says("correlationID", (200, standin.feed("61234", start=start, values=range(24)), {}))
    file = FetchJob.objects.create(
        application_information=in_bulk.application_information,
        kind="download",
        token_class="client",
        url=f"{PGE}/Batch/Bulk/50123?correlationID=1a",
        not_before=NOW,
    )
    assert run(file).state == "done"
    job.refresh_from_db()
    assert job.state == "done"
    assert plan_of(in_bulk).complete_to == datetime(2026, 3, 20, 7, tzinfo=UTC)
    assert plan_of(in_bulk).answered_at >= NOW


def file_of_all(app, correlation, **more):
    """A file of many customers that PG&E announced."""
    url = f"{PGE}/Batch/Bulk/50123?correlationID={correlation}"
    values = {"kind": "download", "token_class": "client", "url": url, "not_before": NOW} | more
    return FetchJob.objects.create(application_information=app, **values)


def test_of_a_bulk_request_in_several_files_nobody_is_complete_before_all_of_them_are_here(in_bulk, utility):
    app, day = in_bulk.application_information, datetime(2026, 3, 19, 7, tzinfo=UTC)
    other = rows.authorization(app, "61235", user=rows.customer("grace@example.com"))
    complete(other, day, next_at=NOW + 5 * DAY)
    (job,) = planned(NOW)
    utility.says("Bulk/50123?published", (202, b"", {}))
    run(job)
    utility.says("=1a", (200, standin.feed("61234", start=int(day.timestamp()), values=range(24)), {}))
    utility.says(
        "=1b", (400, b"No", {}), (200, standin.feed("61235", start=int(day.timestamp()), values=range(24)), {})
    )
    first, second = file_of_all(app, "1a"), file_of_all(app, "1b")

    def reached():
        bulk = FetchPlan.objects.get(part="bulk")
        return [plan.complete_to for plan in (bulk, plan_of(in_bulk), plan_of(other))]

    before = reached()
    assert (run(first).state, reached()) == ("done", before)
    assert (run(second).state, reached()) == ("failed", before)
    fetch.retry(second.pk, now=NOW)
    assert run(second).state == "done"
    assert reached() == [day + DAY] * 3


def test_a_late_bulk_file_completes_no_request_that_was_made_since(in_bulk, utility):
    app, day = in_bulk.application_information, datetime(2026, 3, 19, 7, tzinfo=UTC)
    late = file_of_all(app, "1a")
    (asked,) = planned(NOW, data="bulk")
    FetchPlan.objects.filter(part="bulk").update(asked_at=asked.created_at)
    utility.says("Bulk/50123?published", (200, standin.feed("61234", start=int(day.timestamp()), values=range(24)), {}))
    utility.says("=1a", (200, standin.feed("61234", start=int((day - DAY).timestamp()), values=range(24)), {}))

    def reached():
        return [plan.complete_to for plan in (FetchPlan.objects.get(part="bulk"), plan_of(in_bulk))]

    assert (run(late).state, reached()) == ("done", [None, day])
    assert (run(asked).state, reached()) == ("done", [day + DAY] * 2)  # answered at once, without a file


def test_the_second_bulk_file_of_one_notification_ends_no_second_request(in_bulk, utility):
    app = in_bulk.application_information
    waiting = {"kind": "usage", "data": "bulk", "token_class": "client", "state": "awaiting_notification"}
    asked = [
        FetchJob.objects.create(
            application_information=app, url=f"{PGE}/Batch/Bulk/50123?{n}", not_before=NOW, **waiting
        )
        for n in range(2)
    ]
    told = [Notification.objects.create(application_information=app, received_at=NOW, body=b"") for _ in range(2)]
    utility.says("correlationID", (200, standin.feed("61234"), {}))
    files = [
        file_of_all(app, name, notification=notification)
        for name, notification in zip("abc", told[:1] * 2 + told[1:], strict=True)
    ]

    def states():
        return [FetchJob.objects.get(pk=job.pk).state for job in asked]

    seen = []
    for file in files:
        assert run(file).state == "done"
        seen.append(states())
    assert seen == [["done", "awaiting_notification"], ["done", "awaiting_notification"], ["done", "done"]]


def test_a_bulk_file_that_is_held_up_or_failed_keeps_the_next_of_its_notification_from_ending_nothing(in_bulk, utility):
    app = in_bulk.application_information
    waiting = {"kind": "usage", "data": "bulk", "token_class": "client", "state": "awaiting_notification"}
    asked = FetchJob.objects.create(
        application_information=app, url=f"{PGE}/Batch/Bulk/50123?1", not_before=NOW, **waiting
    )
    told = Notification.objects.create(application_information=app, received_at=NOW, body=b"")
    file_of_all(app, "a", notification=told, state="due")
    utility.says("correlationID", (200, standin.feed("61234"), {}))
    assert run(file_of_all(app, "b", notification=told)).state == "done"
    asked.refresh_from_db()
    assert asked.state == "done"


def test_a_file_at_the_address_of_the_list_of_authorizations_moves_no_plan_of_data(in_bulk, utility):
    app = in_bulk.application_information
    url = f"{PGE}/Authorization"
    FetchPlan.objects.filter(part="authorizations").update(asked_at=NOW, asked_to=NOW)
    own = {"application_information": app, "token_class": "client", "url": url, "not_before": NOW}
    FetchJob.objects.create(kind="reconciliation", data="authorizations", state="done", **own)
    utility.says("/Authorization", (204, b"", {}))
    assert run(FetchJob.objects.create(kind="download", **own)).state == "done"
    assert FetchPlan.objects.get(part="authorizations").answered_at is None


def test_a_bulk_file_that_is_held_up_ends_no_request_before_it_is_read(in_bulk, utility):
    (asked,) = planned(NOW)
    utility.says("Bulk/50123?published", (202, b"", {}))
    run(asked)
    rows.job(in_bulk, f"{PGE}/Batch/Subscription/61234", state="awaiting_notification")
    utility.says("=1a", (200, standin.feed("61234"), {}))
    assert run(file_of_all(in_bulk.application_information, "1a")).state == "due"
    asked.refresh_from_db()
    assert asked.state == "awaiting_notification"


# --- What is missing in between ---------------------------------------------------------------------------------------


@pytest.fixture
def with_a_hole(held):
    """Readings of the 1st, 2nd, 5th and 6th of March."""
    point = UsagePoint.objects.create(subscription=held.subscription, resource_id="1", time_zone="America/New_York")
    kwh = rows.channel(point)
    for day in (1, 2, 5, 6):
        rows.day(kwh, date(2026, 3, day), [1] * 24)
    complete(held, MIDNIGHT, "gaps")
    return kwh


def test_days_that_are_missing_between_others_are_asked_for_again(with_a_hole):
    (job,) = planned(NOW)
    assert query(job) == {"publishedMin": "2026-03-03", "publishedMax": "2026-03-04"}
    assert job.priority == Priority.HISTORY
    gap = DataGap.objects.get()
    assert (gap.first_day, gap.last_day, gap.times_asked) == (date(2026, 3, 3), date(2026, 3, 4), 1)


def test_a_day_in_one_reading_that_fits_no_grid_is_not_missing(with_a_hole):
    """Where clocks change: 86400 seconds of a day of 23 hours; 90000 seconds of one of 25."""
    rows.day(with_a_hole, date(2026, 3, 3), [24], length=90000)
    start = int(datetime(2026, 3, 4, 5, tzinfo=UTC).timestamp())
    IntervalReading.objects.create(
        meter_reading=with_a_hole, start=start, duration=86400, local_date=date(2026, 3, 4), value=24
    )
    assert planned(NOW) == []
    assert not DataGap.objects.exists()


def test_a_gap_that_stays_is_asked_for_three_times_after_longer_and_longer_pauses(with_a_hole):
    asked_on = []
    for week in range(20):
        now = NOW + week * 7 * DAY
        FetchPlan.objects.update(next_at=now)
        if planned(now, state="due"):
            asked_on.append(week)
        FetchJob.objects.update(state="done")
    assert asked_on == [0, 1, 6]


def test_a_gap_that_was_filled_is_noted(with_a_hole):
    planned(NOW)
    for day in (3, 4):
        rows.day(with_a_hole, date(2026, 3, day), [1] * 24)
    FetchPlan.objects.update(next_at=NOW)
    FetchJob.objects.update(state="done")
    assert planned(NOW) == []
    assert DataGap.objects.get().filled_at == NOW


# --- What was announced too late, or not at all -----------------------------------------------------------------------


def test_f34_what_is_never_announced_is_asked_for_again_once_and_then_given_up(held, utility):
    utility.says("/Batch", (202, b"", {}))
    job = run(rows.job(held, BATCH))
    job = run(job, NOW + 27 * HOUR)
    assert (job.state, job.asked_again) == ("awaiting_notification", True)
    job = run(job, NOW + 54 * HOUR)
    assert (job.state, len(utility.paths("/Batch"))) == ("failed", 2)
    assert job.reason == "The utility accepted our request twice and never sent its answer."


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("state", ["awaiting_notification", "done"])
def test_f24_a_file_that_is_gone_after_two_days_is_asked_for_again_once(held, utility, status, state):
    asked = rows.job(held, BATCH, state=state, window_start=NOW - DAY, window_end=NOW)
    files = [rows.job(held, f"{FILE}&part={part}", kind="download") for part in range(2)]
    utility.says("/Download", (status, b"", {}))
    for file in files:
        assert run(file).state == "superseded"
    asked.refresh_from_db()
    assert asked.state == ("superseded" if state == "awaiting_notification" else "done")
    again = FetchJob.objects.get(asked_again=True)
    assert (again.url, again.window_start, again.state) == (BATCH, NOW - DAY, "due")
    utility.says("/Batch/Subscription", (202, b"", {}))
    assert run(again, NOW + 2 * SECOND).state == "awaiting_notification"
    FetchJob.objects.filter(pk=again.pk).update(state="done")
    assert run(rows.job(held, f"{FILE}&part=9", kind="download")).state == "failed"


def test_f24_a_request_that_is_being_sent_once_more_is_not_sent_by_the_file_that_is_gone_too(held, utility):
    asked = rows.job(held, BATCH, state="running", window_start=NOW - DAY, window_end=NOW)
    utility.says("/Download", (404, b"", {}))
    assert run(rows.job(held, FILE, kind="download")).state == "superseded"
    asked.refresh_from_db()
    assert (asked.state, FetchJob.objects.count()) == ("running", 2)


def test_what_a_webhook_asks_for_is_not_asked_twice_by_plan():
    held = rows.authorization(rows.registration("essex", ""))
    (job,) = fetch.enqueue_first(held, now=NOW)
    assert job.url == f"{ESSEX}/Batch/Subscription/976"
    FetchPlan.objects.update(next_at=NOW)
    assert planned(NOW) == []
