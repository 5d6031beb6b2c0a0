"""How often a utility lets us call, held across workers; who waits for it goes first, and nothing is lost by waiting."""

import threading
from datetime import UTC, datetime, time, timedelta
from unittest.mock import patch

import pytest
from django.db import connection

from espi.models import ApplicationInformation, Authorization, FetchJob
from portal.flows import budgets, circuits, fetch, holding, purge
from portal.flows.fetch import marking
from portal.models import Circuit, UtilityCall
from tests.portal import rows, standin
from tests.portal.rows import NOW, PGE, V1
from tests.portal.test_fetch import swept
from utilities import coned, pge
from utilities.base import Budget

pytestmark = pytest.mark.django_db
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
ONE_A_SECOND = Budget(1, 1.2)
A_DAY = Budget(20_000, 86_400, resets_at=time(17), time_zone="America/Los_Angeles")


@pytest.fixture
def utility(utility):
    utility.says("/Batch", (200, standin.feed(), {}))
    return utility


@pytest.fixture
def app(monkeypatch):
    """PG&E's registration, under what is declared here."""
    monkeypatch.setattr(pge.PGE, "budgets", (Budget(10, 60), Budget(3, 60, tokens_only=True)))
    return rows.registration("pge", "")


def took(app, count, now=NOW, **more):
    """How many of so many calls were let through."""
    taken = 0
    for _ in range(count):
        try:
            budgets.take(app, now=now, **more)
        except budgets.Spent:
            continue
        taken += 1
    return taken


# --- What is declared -------------------------------------------------------------------------------------------------


def test_con_edison_is_asked_for_forty_tokens_a_minute_at_most():
    assert coned.ConEdison.budgets == (Budget(40, 60, tokens_only=True),)


@pytest.mark.parametrize(
    ("now", "since"),
    [
        (datetime(2026, 1, 10, 0, 30, tzinfo=UTC), datetime(2026, 1, 9, 1, 0, tzinfo=UTC)),  # 16:30 Pacific
        (datetime(2026, 1, 10, 1, 0, tzinfo=UTC), datetime(2026, 1, 10, 1, 0, tzinfo=UTC)),
        (datetime(2026, 7, 10, 23, 59, tzinfo=UTC), datetime(2026, 7, 10, 0, 0, tzinfo=UTC)),  # 16:59, daylight saving
    ],
)
def test_pges_day_begins_at_17_pacific(now, since):
    assert A_DAY.counts_from(now) == since
    assert A_DAY.free_after(now) > now


# --- Taking -----------------------------------------------------------------------------------------------------------


def test_calls_are_counted_over_any_minute_and_the_wait_is_told(app):
    assert took(app, 4, NOW, is_urgent=True) == 4
    assert took(app, 20, NOW + 30 * SECOND, is_urgent=True) == 6
    with pytest.raises(budgets.Spent) as spent:
        budgets.take(app, now=NOW + 50 * SECOND, is_urgent=True)
    assert spent.value.retry_after == 10
    assert took(app, 20, NOW + 61 * SECOND, is_urgent=True) == 4


def test_a_part_is_kept_for_what_a_person_waits_for(app):
    assert took(app, 20) == 8
    assert took(app, 20, is_urgent=True) == 2


def test_tokens_have_a_budget_of_their_own(app):
    assert took(app, 5, is_token=True, is_urgent=True) == 3
    assert took(app, 20, is_urgent=True) == 7


def test_a_short_wait_is_waited_out(app, monkeypatch):
    monkeypatch.setattr(pge.PGE, "budgets", (Budget(1, 0.05),))
    assert took(app, 3) == 3


def test_one_budget_serves_all_our_registrations_with_a_vendor(app):
    other, third = (ApplicationInformation(utility="pge", environment=name) for name in ("test", "production"))
    assert (budgets.scope(other), budgets.scope(app)) == (budgets.scope(third), "pge sandbox")


def test_a_code_that_cannot_wait_is_exchanged_and_counted(app):
    took(app, 10, is_urgent=True)
    budgets.note(app, now=NOW)
    assert UtilityCall.objects.count() == 11


def test_what_no_budget_counts_any_more_is_deleted(app):
    took(app, 2, NOW - timedelta(days=3))
    took(app, 1, NOW - timedelta(days=1))
    assert purge.purge(NOW)["calls"] == 2


@pytest.mark.django_db(transaction=True)
def test_i4_many_workers_at_the_same_instant_take_no_more_than_there_is(app):
    taken = []

    def take():
        taken.append(took(app, 5, is_urgent=True))
        connection.close()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sum(taken), UtilityCall.objects.count()) == (10, 10)


# --- Jobs that meet a spent budget ------------------------------------------------------------------------------------


def test_a_job_that_meets_a_spent_budget_waits_for_its_turn_and_loses_no_attempt(app, utility):
    held = rows.authorization(app)
    job = rows.job(held, f"{PGE}/Batch/Subscription/976")
    took(app, 10, is_urgent=True)
    fetch.run(job.pk, now=NOW)
    job.refresh_from_db()
    assert (job.state, job.attempts, job.held_up_since) == ("due", 0, None)
    assert 58 * SECOND < job.not_before - NOW <= 92 * SECOND
    assert "only so often" in job.reason
    assert utility.asked == []
    fetch.run(job.pk, now=NOW + 2 * MINUTE)
    job.refresh_from_db()
    assert job.state == "done"


def test_f36_expired_connections_are_given_tokens_as_the_budget_allows_and_their_other_jobs_wait_along(utility):
    app = rows.registration()
    held = [rows.authorization(app, str(number)) for number in range(1000, 1045)]
    Authorization.objects.update(access_token_expires_at=NOW)
    jobs = [rows.job(each, f"{V1}/Batch/Download?subscriptionId={each.utility_subscription_id}&part={part}")
            for each in held for part in range(2)]  # fmt: skip
    for job in jobs:
        fetch.run(job.pk, now=NOW)
    assert len(utility.paths("/oauth/")) == 32  # the share of forty that is not kept for people who wait
    calls = len(utility.asked)
    for job in jobs:  # what waits for a token is not even claimed
        assert not (fetch.run(job.pk, now=NOW + 30 * SECOND) and len(utility.asked) > calls)
    assert FetchJob.objects.filter(state="due", not_before__gt=NOW + 55 * SECOND).count() == 2 * (45 - 32)


def test_a_sweep_wakes_no_more_jobs_than_there_will_be_calls_for(app, monkeypatch):
    assert budgets.room(app, 1000, now=NOW) == 10
    took(app, 4)
    assert budgets.room(app, 1000, now=NOW) == 6
    monkeypatch.setattr(pge.PGE, "budgets", (ONE_A_SECOND, A_DAY))
    assert budgets.room(app, 1000, now=NOW) == 12
    assert budgets.room(rows.registration("essex", ""), 1000, now=NOW) == 1000


# --- The line for tokens ----------------------------------------------------------------------------------------------


@pytest.fixture
def line():
    """Jobs of forty-five connections whose tokens have run out, in their order; the last was due the longest ago."""
    app = rows.registration()
    held = [rows.authorization(app, str(number)) for number in range(1000, 1045)]
    Authorization.objects.update(access_token_expires_at=NOW)
    return [daily(each, NOW - number * SECOND) for number, each in enumerate(held)]


def daily(authorization, not_before=NOW, **more):
    url = f"{V1}/Batch/Download?subscriptionId={authorization.utility_subscription_id}&{FetchJob.objects.count()}"
    return rows.job(authorization, url, **{"priority": FetchJob.Priority.DAILY, "not_before": not_before} | more)


def woken(now=NOW):
    return [id_ for _, ids in swept(now) for id_ in ids]


def numbers(jobs):
    return [job.pk for job in jobs]


def test_f36_of_those_whose_tokens_ran_out_as_many_are_woken_as_may_be_renewed_the_oldest_first(line):
    assert woken() == numbers(line[:32])
    assert woken(NOW + SECOND) == []  # they are on their way
    took(line[0].application_information, 32, is_token=True)
    Authorization.objects.filter(fetch_jobs__in=numbers(line[:32])).update(access_token_expires_at=NOW + HOUR)
    FetchJob.objects.filter(pk__in=numbers(line[:32])).update(state="done")
    assert woken(NOW + 59 * SECOND) == []
    assert woken(NOW + 61 * SECOND) == numbers(line[32:])


def test_f36_who_was_turned_away_keeps_his_place_in_the_line(line, django_capture_on_commit_callbacks):
    took(line[0].application_information, 32, is_token=True)
    assert woken() == []
    with patch("portal.flows.fetch.running.wake_soon") as message, django_capture_on_commit_callbacks(execute=True):
        fetch.run(line[0].pk, now=NOW)  # by a message of its own
    assert not message.called  # the next ones are the sweep's
    line[0].refresh_from_db()
    assert (line[0].state, line[0].not_before > NOW) == ("due", True)
    assert woken(NOW + 2 * MINUTE) == numbers(line[:32])


def test_f36_jobs_of_one_connection_need_one_token_and_what_needs_none_or_is_waited_for_is_not_held_up(line):
    app = line[0].application_information
    took(app, 31, is_token=True)
    beside = daily(line[0].authorization)
    fresh = daily(rows.authorization(app, "2000"))
    status = daily(line[1].authorization, token_class="registration", kind="authorization")
    waited_for = daily(line[2].authorization, priority=FetchJob.Priority.WAITED_FOR)
    assert woken() == numbers([waited_for, line[0], beside, fresh, status])


def test_f36_who_stands_in_the_line_is_told_so(line):
    app, has_room = line[0].application_information, holding.rooms(NOW)
    assert holding.why(line[0], app, now=NOW, has_room=has_room) == ""
    took(app, 32, is_token=True)
    assert holding.why(line[0], app, now=NOW, has_room=has_room) == ""  # looked up once for a page
    assert "only so often" in holding.why(line[0], app, now=NOW, has_room=holding.rooms(NOW))
    line[0].priority = FetchJob.Priority.FIRST_DATA  # for whom a part of the budget is kept
    assert holding.why(line[0], app, now=NOW, has_room=holding.rooms(NOW)) == ""


def test_f36_who_stands_in_the_line_holds_no_place_in_it_once_turned_away(line):
    app = line[0].application_information
    took(app, 32, is_token=True, now=NOW - 40 * SECOND)  # twenty seconds to wait
    FetchJob.objects.filter(pk__in=numbers(line[:32])).update(woken_at=NOW)
    for job in line[:32]:
        fetch.run(job.pk, now=NOW)
    assert woken(NOW + 21 * SECOND) == numbers(line[:32])


def test_f36_a_worker_that_died_holds_no_place_in_the_line(line):
    dead = FetchJob.objects.filter(pk__in=numbers(line[:32]))
    dead.update(state="running", lease_expires_at=NOW - SECOND)
    assert set(woken()) == set(numbers(line))  # the sweep wakes those whose lease has run out anyway


def test_f36_while_the_utility_asks_us_to_wait_for_tokens_nobody_of_the_line_is_begun(line):
    app = line[0].application_information
    circuits.pause(app, 60, what=circuits.TOKENS, now=NOW)
    app = ApplicationInformation.objects.select_related("circuit").get(pk=app.pk)
    assert (budgets.renewals(app, now=NOW), woken()) == (0, [])
    assert holding.why(line[0], app, now=NOW, has_room=holding.rooms(NOW)) == circuits.WAIT
    assert budgets.renewals(app, now=NOW + 61 * SECOND) == 32


def test_f36_while_calls_fail_fresh_jobs_and_retries_share_the_line(line):
    """Neither keeps the other from its places."""
    app = line[0].application_information
    Circuit.objects.create(application_information=app, outcomes="1" * 17 + "010")
    failed = FetchJob.objects.filter(pk__in=numbers(line[:40]))
    failed.update(attempts=1)
    assert woken() == [*numbers(line[40:]), line[0].pk]
    FetchJob.objects.filter(pk__in=numbers(line)).update(woken_at=None, attempts=0)
    FetchJob.objects.filter(pk__in=numbers(line[40:])).update(attempts=1)
    assert woken(NOW + HOUR) == [*numbers(line[:29]), *numbers(line[40:42])]


def test_what_the_utility_did_not_answer_stands_behind_what_was_not_tried():
    held = rows.authorization(rows.registration("essex", ""))
    jobs = [rows.job(held, f"https://utilityapi.com/{n}", held_up_since=NOW if n < 3 else None) for n in range(5)]
    app = held.application_information
    assert [id_ for id_, _ in marking.take(app, 2, now=NOW)] == numbers(jobs[3:])
    assert [id_ for id_, _ in marking.take(app, 9, now=NOW + HOUR)] == numbers(jobs[3:] + jobs[:3])


def test_what_a_person_waits_for_is_not_put_off_with_the_other_jobs_of_his_connection(line):
    took(line[0].application_information, 32, is_token=True)
    waited_for = daily(line[0].authorization, priority=FetchJob.Priority.WAITED_FOR)
    beside = daily(line[0].authorization)
    fetch.run(line[0].pk, now=NOW)
    waited_for.refresh_from_db()
    beside.refresh_from_db()
    assert (waited_for.not_before, beside.not_before > NOW) == (NOW, True)
