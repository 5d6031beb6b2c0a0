"""The simulated day: budgets hold in it, everybody gets his data, and what is scarce is what decides."""

import pytest

from tests.bench.simulate import DAY, HOUR, WAYS, Costs, Day, Limit

BY_NAME = {way.name: way for way in WAYS}


@pytest.fixture(autouse=True)
def _no_waiting_at_pge():
    """Here every utility has the budgets it declares."""


def granted(limit, count, now=0.0):
    found = []
    for _ in range(count):
        at = limit.earliest(now)
        limit.take(at)
        found.append(at)
    return found


def test_a_sliding_budget_grants_no_more_calls_than_it_has_in_any_window():
    times = granted(Limit(calls=40, seconds=60, tokens_only=False, resets_at=None), 200)
    assert times == sorted(times)
    assert max(sum(1 for at in times if since <= at < since + 60) for since in times) == 40


def test_a_budget_with_a_reset_begins_anew_at_its_hour():
    times = granted(Limit(calls=3, seconds=DAY, tokens_only=False, resets_at=HOUR), 7, now=0.0)
    assert times == [0, 0, 0, HOUR, HOUR, HOUR, HOUR + DAY]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_everybody_whose_day_it_is_gets_his_data_with_the_calls_that_takes(way):
    found = Day(way, 700, 2, Costs()).run()
    assert found.asked == len(found.late) == 700 // way.days
    assert found.calls == found.asked * (way.tokens + 1 + way.files)


def test_where_a_budget_is_short_the_last_wait_for_days_and_more_processes_change_nothing():
    way = BY_NAME["PG&E, each daily"]
    few, many = (Day(way, 20_000, processes, Costs()).run().percentile(0.95) for processes in (2, 20))
    assert few > 48
    assert few == pytest.approx(many, rel=0.05)


def test_without_a_budget_a_utility_that_is_slow_is_a_matter_of_processes():
    way, slow = BY_NAME["UtilityAPI"], Costs(answer=30)
    few, many = (Day(way, 10_000, processes, slow).run().percentile(0.95) for processes in (2, 20))
    assert few > 10
    assert many < 0.1
