"""F44 to F50, F55, F56: clocks that differ, schedulers, long silence, clock changes, and histories that go on."""

import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.chaos import invariants
from tests.chaos.answers import batches
from tests.chaos.experiments import experiment
from tests.chaos.travel import travel, travel_there
from tests.chaos.work import expire, queue, ready, reasons
from tests.chaos.world import PACE, World, check, until
from tests.journeys.browser import Browser
from tests.journeys.customers import CECONY_V1, CECONY_V2, ESSEX, PGE, sign_in

SENDS = "Sending due task sweep"
PLANS = float(PACE["PLAN_SECONDS"])


def set_clock(world: World, seconds: float) -> None:
    """The utilities' clock differs from ours by so much from now on."""
    words = world.sandbox.words
    if "--clock-offset" in words:
        del words[words.index("--clock-offset") :]
    words += ["--clock-offset", str(seconds)]
    world.sandbox.stop()
    world.sandbox.start()
    until(lambda: world.answers(world.sandbox_url("/_sandbox/faults")), 30, "the sandbox answers")


@experiment("F44")
def clocks_differ(world: World) -> dict[str, Any]:
    """With ten minutes between our clock and the utility's, either way, no data are lost and tokens live as long as ever."""
    since, connected, found = time.time(), [], {}
    try:
        for minutes in (-10, 10):
            set_clock(world, 60 * minutes)
            held = ready(world, ESSEX)
            queue(held, 10)
            world.quiet(120)
            expects_token_calls(world, held, since, 1)  # the exchange alone
            expire(held)
            queue(held, 10, days_back=3)
            world.quiet(120)
            time.sleep(PLANS)
            found[f"token calls at {minutes:+d} min"] = expects_token_calls(world, held, since, 2)
            found[f"complete to at {minutes:+d} min"] = str(is_complete(held))
            connected.append(held)
            travel_there(world, hours=minutes / 60)  # afterwards all that was noted before is where it was
    finally:
        set_clock(world, 0)
    return found | invariants.hold(world, connected, since)


def expects_token_calls(world: World, authorization: Any, since: float, count: int) -> int:
    mine = invariants.numbers(world, authorization.subscription)
    calls = [row for row in invariants.token_calls(world, since - 700) if row["authorization"] in mine]
    check(len(calls) == count, f"{len(calls)} token calls, not {count}")
    return len(calls)


def is_complete(authorization: Any) -> datetime:
    """Up to where a connection is complete: the last midnight at the utility, whatever its clock says."""
    import utilities

    utility = utilities.get(authorization.application_information.utility)
    midnight = utility.midnight(utility.today(datetime.now(UTC)))
    authorization.subscription.refresh_from_db()
    reached = authorization.subscription.complete_to
    check(reached and midnight - reached <= timedelta(days=1), f"complete to {reached}, and not {midnight}")
    return reached


@experiment("F45")
def two_beats(world: World) -> dict[str, Any]:
    """Of two schedulers one schedules and the other stands by; when the first is killed the second takes over."""
    since = time.time()
    second = world.program("beat2", like="beat").start()
    try:
        time.sleep(8)
        first_before, second_before = world.beat.text().count(SENDS), second.text().count(SENDS)
        held = ready(world, ESSEX)
        time.sleep(4)
        counts = (world.beat.text().count(SENDS) - first_before, second.text().count(SENDS) - second_before)
        check(counts[0] > 0 and counts[1] == 0, f"sweeps sent: {counts}")
        world.beat.kill()
        killed = time.monotonic()
        until(lambda: second.text().count(SENDS) > second_before, 30, "the second takes over")
        took = round(time.monotonic() - killed, 1)
        world.beat.start()
        queue(held, 10)
        world.quiet(120)
    finally:
        second.stop()
    one_at_a_time(held)
    until(lambda: world.beat.text().rpartition("is in charge")[2].count(SENDS), 30, "the first is in charge again")
    return {"sweeps": counts, "took_over_after": took} | invariants.hold(world, [held], since)


def one_at_a_time(authorization: Any) -> None:
    """Of two jobs for one window the second was made after the first had ended."""
    last: dict[str, Any] = {}
    for job in authorization.fetch_jobs.filter(kind="usage").order_by("created_at", "pk"):
        earlier = last.get(job.url)
        fine = earlier is None or (earlier.finished_at and earlier.finished_at <= job.created_at)
        check(fine, f"two jobs at once for one window: {reasons(authorization)}")
        last[job.url] = job


@experiment("F46")
def beat_was_away(world: World) -> dict[str, Any]:
    """After two days without a scheduler each connection is asked for once, from where it was complete; no stampede."""
    since = time.time() - 50 * 3600
    browser = world.signed_in()
    connected = [world.connect(ESSEX, browser=browser) for _ in range(8)] + [world.connect(CECONY_V1)]
    world.quiet(180)
    before = {each.pk: set(each.fetch_jobs.values_list("pk", flat=True)) for each in connected}
    world.beat.stop()
    travel(world, hours=48)
    said, began = len(world.beat.text()), time.time()
    world.beat.start()
    asked = lambda each: each.fetch_jobs.exclude(pk__in=before[each.pk]).filter(kind="usage")  # noqa: E731
    until(lambda: all(asked(each).exists() for each in connected), 90, "everybody's news are asked for")
    world.quiet(180)
    time.sleep(2 * PLANS + 2)
    world.quiet(120)
    windows = Counter(url for each in connected for url in asked(each).values_list("url", flat=True))
    check(max(windows.values()) == 1, f"a window was asked for {max(windows.values())} times")
    jobs = [asked(each).count() for each in connected]
    check(max(jobs) <= 2, f"jobs for each connection: {jobs}")
    retried = [each.attempts for each in connected for each in asked(each) if each.attempts > 2]
    check(not retried, f"jobs were tried {retried} times")
    daily = world.beat.text()[said:].count("Sending due task purge")
    check(daily <= 1, f"what is due once a day was sent {daily} times")
    calls = sum(len(batches(world, began, part)) for part in ("/Batch/Subscription", "/Batch/Download"))
    check(calls <= 3 * sum(jobs) + len(connected), f"{calls} calls for {sum(jobs)} windows")
    found = {"jobs for each": jobs, "calls": calls, "daily task sent": daily}
    return found | invariants.hold(world, connected, since)


@experiment("F47")
def clocks_change(world: World) -> dict[str, Any]:
    """Days on which clocks change have 276 and 300 five-minute readings, each once; a clock that jumps doubles nothing."""
    from espi.models import IntervalBlock

    since = time.time()
    held = world.connect(PGE, who="business@example.com")
    world.quiet(240)
    rows = IntervalBlock.objects.filter(meter_reading__usage_point__subscription=held.subscription, interval_length=300)
    found = {}
    for day in changes("America/Los_Angeles"):
        counts = set(rows.filter(local_date=day).values_list("count", flat=True))
        found[day.isoformat()] = sorted(counts)
        check(counts == {seconds_of(day, "America/Los_Angeles") // 300}, f"{day} has {counts} readings")
    check(sorted(count for each in found.values() for count in each)[:: len(found) - 1] == [276, 300], f"{found}")
    jumped = an_hour_jumps(world)
    return found | invariants.hold(world, [held, jumped], since - 3700)


def an_hour_jumps(world: World) -> Any:
    """A customer during whose first file the clock jumps an hour ahead: leases of those at work have run out."""
    world.wire.spoil("/Batch/Subscription", "trickle", times=2, seconds=12)
    before = len(world.wire.spoiled)
    held = world.connect(ESSEX)
    until(lambda: len(world.wire.spoiled) >= before + 2, 60, "the file comes down")
    travel(world, hours=1)
    world.quiet(180)
    return held


def seconds_of(day: date, zone: str) -> int:
    begin, end = (
        datetime(each.year, each.month, each.day, tzinfo=ZoneInfo(zone)) for each in (day, day + timedelta(1))
    )
    return int(end.timestamp() - begin.timestamp())


def changes(zone: str) -> list[date]:
    """The days of the last two years on which clocks changed."""
    today = datetime.now(ZoneInfo(zone)).date()
    days = (today - timedelta(days=back) for back in range(2, 725))
    return [day for day in days if seconds_of(day, zone) != 86400]


@experiment("F48")
def connected_again(world: World) -> dict[str, Any]:
    """A customer who connects again under a new subscription id has one history, with the same totals."""
    since = time.time()
    browser = world.signed_in()
    first = world.connect(CECONY_V1, who=f"load{9000 + world.customers}@example.com", browser=browser)
    world.quiet(120)
    before = totals(first)
    who = world.store.find("authorizations", order="id DESC", limit=1)[0]["username"]
    world.arm("revoke", "cecony")
    again = world.connect(CECONY_V1, who=who, browser=browser, headings=("You are connected", "already connected"))
    world.quiet(120)
    check(again.pk != first.pk, "it is the same connection")
    check(again.utility_subscription_id != first.utility_subscription_id, "it is the same subscription id")
    check(again.subscription_id == first.subscription_id, "there are two histories")
    check(totals(again) == before, f"totals were {before}, and are {totals(again)}")
    return {"totals": before} | invariants.hold(world, [again], since)


def totals(authorization: Any) -> dict[str, int]:
    from django.db.models import Sum

    from espi.models import IntervalBlock

    rows = IntervalBlock.objects.filter(meter_reading__usage_point__subscription=authorization.subscription_id)
    return dict(rows.values_list("meter_reading__channel").annotate(Sum("total")).order_by("meter_reading__channel"))


@experiment("F49")
def revised(world: World) -> dict[str, Any]:
    """Of readings that are told again with another value the latest counts, and the earlier one is kept."""
    from espi.models import IntervalRevision
    from portal.flows import fetch

    since = time.time()
    held = ready(world, CECONY_V1)
    world.arm("revised_readings", "cecony", count=0, days=3, add=7)
    fetch.enqueue_first(held, now=datetime.now(UTC))
    world.quiet(120)
    world.disarm()
    kept = IntervalRevision.objects.filter(meter_reading__usage_point__subscription=held.subscription_id)
    expected = 3 * (96 + 96 + 24)
    check(kept.count() == expected, f"{kept.count()} earlier values are kept, not {expected}")
    return {"earlier values kept": expected} | invariants.hold(world, [held], since)


@experiment("F50")
def swapped(world: World) -> dict[str, Any]:
    """When a meter was replaced both parts of the history are there, and its page says so."""
    since = time.time()
    browser = world.signed_in()
    held = world.connect(PGE, who="swapped@example.com", browser=browser)
    world.quiet(120)
    (point,) = held.subscription.usage_points.all()
    browser.get(world.url(f"/usage/{point.public_id}?period=year"))
    check(browser.response.status_code == 200, f"its page was answered {browser.response.status_code}")
    check("another meter measures here" in browser.text, f"its page says {browser.text[-1500:]}")
    return {"channels": point.meter_readings.count()} | invariants.hold(world, [held], since)


@experiment("F55")
def forty_six_days(world: World) -> dict[str, Any]:
    """Forty-nine days go by: every week each connection is used, so that the utility keeps it; silence alarms staff."""
    from portal.models import StaffAlert

    since = time.time()
    held = ready(world, CECONY_V1)
    mine = invariants.numbers(world, held.subscription)
    weeks = []
    for _ in range(7):
        week_passes(world, 7)
        began = time.time()
        until(lambda began=began: [r for r in batches(world, began) if r["authorization"] in mine], 60, "it is used")
        world.quiet(120)
        weeks.append(len([row for row in batches(world, began) if row["authorization"] in mine]))
    held.refresh_from_db()
    check(held.status == "active", f"after 49 days it is {held.status}: {held.status_reason}")
    observed = invariants.hold(world, [held], since - 50 * 86400)
    alarms = {}
    world.arm("resource_500", "cecony", count=0)
    for days, more in ((30, 31), (40, 10)):
        week_passes(world, more)
        alert = StaffAlert.objects.filter(key=f"idle {held.application_information_id} {days}")
        until(alert.exists, 60, f"staff are told after {days} days")
        alarms[days] = alert.get().subject
    return {"calls in each week": weeks, "alarms": alarms} | observed


def week_passes(world: World, days: int) -> None:
    """Time passes while the scheduler stands; it then sees what is due."""
    world.beat.stop()
    travel(world, hours=24 * days)
    world.beat.start()


@experiment("F56")
def shared_once(world: World) -> dict[str, Any]:
    """Of a share for once, within 24 hours, everything is fetched at once; when it is over the customer is told."""
    since = time.time()

    def once(browser: Browser, who: str) -> None:
        sign_in(browser, who)
        browser.press("Authorize", duration="one_time")

    held = world.connect(replace(CECONY_V2, approve=once), kinds=("usage", "billing"))
    took = world.quiet(120)
    check(not held.fetch_jobs.exclude(state="done").exists(), f"left: {reasons(held)}")
    observed = invariants.hold(world, [held], since)
    week_passes(world, 2)
    until(lambda: status(held) != "active", 60, "its end is noticed")
    held.refresh_from_db()
    check(held.status in ("expired", "revoked"), f"it is {held.status}: {held.status_reason}")
    return {"fetched_after": round(took, 1), "then": f"{held.status}: {held.status_reason}"} | observed


def status(authorization: Any) -> str:
    authorization.refresh_from_db(fields=["status"])
    return str(authorization.status)
