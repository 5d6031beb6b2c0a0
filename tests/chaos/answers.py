"""F24, F29 to F34: utilities that ask us to wait, fail, trickle, break off, answer something else, or never finish."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from tests.chaos import invariants
from tests.chaos.experiments import experiment
from tests.chaos.notifications import hold, let_go
from tests.chaos.travel import travel
from tests.chaos.work import queue, ready, reasons
from tests.chaos.world import World, check, until
from tests.journeys.customers import CECONY_V1, CECONY_V2, ESSEX

LONGEST_WAIT = timedelta(hours=6, minutes=5)
PROBE = 3.0  # seconds between probes of an open circuit: PACE


def batches(world: World, since: float, part: str = "/Batch/Subscription") -> list[dict[str, Any]]:
    """Requests for data that reached the sandbox."""
    return [row for row in invariants.ledger(world, since) if part in row["path"]]


def answered(world: World, since: float, part: str = "/Batch/Subscription", of: Any = None) -> dict[int, int]:
    """How requests for data were answered; those of one connection, if it is named."""
    mine = invariants.numbers(world, of.subscription) if of else ()
    rows = [row for row in batches(world, since, part) if not of or row["authorization"] in mine]
    return dict(Counter(row["status"] for row in rows))


@experiment("F24")
def link_is_dead(world: World) -> dict[str, Any]:
    """A file that was not fetched within its 48 hours (404 or 202 now), or is gone (410), is asked for again, once."""
    since, connected = time.time() - 5 * 86400, []
    found: dict[str, Any] = {}
    for profile, status in ((CECONY_V1, 404), (CECONY_V2, 202), (CECONY_V1, 410)):
        held = world.connect(profile)
        connected.append(held)
        (row,) = hold(world, "cecony", 1)
        world.quiet(60, besides=("awaiting_notification",))
        began = time.time()
        if status == 410:
            world.arm("resource_410", "cecony", count=row["body"].count(b"resources>") // 2)
            let_go(world, row)
        else:
            not_fetched_for(world, row, hours=49)
        part = "/Batch/" if profile is CECONY_V2 else "/Batch/Download"
        until(lambda s=status, b=began, p=part, h=held: s in answered(world, b, p, h), 90, f"{status} is met")
        world.quiet(90, besides=("due",))
        move_up(held)
        world.quiet(150)
        found[str(status)] = asked_again_once(world, held, began)
    return found | invariants.hold(world, connected, since)


def not_fetched_for(world: World, row: dict[str, Any], hours: float) -> None:
    """The utility announces, and so many hours pass before a worker runs."""
    with world.frozen_workers():
        let_go(world, row)
        until(lambda: world.store.get("notifications", id=row["id"])["status"] == 200, 30, "it is delivered")
        travel(world, hours=hours)


def asked_again_once(world: World, held: Any, since: float) -> dict[str, Any]:
    """Whether the window was asked for once more, and whatever was asked for before is superseded or done."""
    asked = answered(world, since, of=held)
    check(asked.get(202) == 1, f"the window was asked for {asked}: {reasons(held)}")
    states = dict(Counter(f"{job.kind} {job.state}" for job in held.fetch_jobs.all()))
    left = held.fetch_jobs.exclude(state__in=["done", "superseded"])
    check(not left.exists(), f"jobs ended as {reasons(held)}")
    return {"asked": asked, "jobs": states}


def move_up(*authorizations: Any) -> None:
    """What waits for its time has waited long enough."""
    for each in authorizations:
        each.fetch_jobs.filter(state="due").update(not_before=datetime.now(UTC), woken_at=None)


@experiment("F29")
def asked_to_wait(world: World) -> dict[str, Any]:
    """429 with seconds, a date, nothing or a year: we wait as asked, never over six hours, and customers are told."""
    since, found = time.time(), {}
    browser = world.signed_in()
    held = ready(world, ESSEX, browser=browser)
    until_then = datetime.now(UTC) + timedelta(seconds=25)
    date = format_datetime(until_then, usegmt=True)
    for name, value in {"seconds": "4", "a date": date, "nothing": None, "a year": "31536000"}.items():
        world.arm("resource_429", "essex", retry_after=value)
        began = time.time()
        (job,) = queue(held, 1)
        until(lambda began=began: 429 in answered(world, began), 30, "it was asked to wait")
        until(lambda job=job: type(job).objects.get(pk=job.pk).state == "due", 30, "the job waits")
        job.refresh_from_db()
        wait = job.not_before - datetime.now(UTC)
        check(wait <= LONGEST_WAIT, f"after {name} it waits {wait}")
        check("asked us to wait" in job.reason, f"it says {job.reason!r}")
        if name == "a year":
            check(wait > timedelta(hours=5), f"after a year was asked it waits {wait} only")
            check(fetch_page(world, browser, "asked us to wait"), f"the dashboard says {browser.text[:600]}")
            move_up(held)
        world.quiet(120)
        asked = batches(world, began)
        gap = asked[1]["at"] - asked[0]["at"]
        check(name != "seconds" or gap >= 4, f"asked again after {gap:.1f} s, not 4")
        early = int(until_then.timestamp()) - asked[1]["at"]
        check(name != "a date" or early <= 0, f"asked again {early:.1f} s before the date")
        found[name] = f"waits {wait.total_seconds():.0f} s"
    world.arm("resource_429", "essex", count=12, retry_after="2")
    began = time.time()
    jobs = queue(held, 20)
    world.quiet(180)
    found["storm"] = answered(world, began)
    check(found["storm"].get(429) == 12, f"it was answered {found['storm']}")
    done = held.fetch_jobs.filter(pk__in=[job.pk for job in jobs], state="done").count()
    check(done == len(jobs), f"{done} of {len(jobs)} jobs are done after the storm")
    return found | invariants.hold(world, [held], since)


def fetch_page(world: World, browser: Any, words: str) -> bool:
    browser.get(world.url("/dashboard"))
    return words in browser.text


@experiment("F30")
def fails_for_a_while(world: World) -> dict[str, Any]:
    """A utility that fails for a while (500, 503, 504) is left alone but for a probe; nobody must reconnect; work returns without a burst."""
    from portal.models import Circuit

    since = time.time()
    held = ready(world, ESSEX)
    began = time.time()
    queue(held, 30)
    world.quiet(120)
    normal = invariants.busiest(batches(world, began), 1)
    for status, count in ((500, 2), (503, 2), (504, 0)):  # 0: until it is cleared
        world.arm(f"resource_{status}", "essex", count=count)
    queue(held, 30)
    opened = Circuit.objects.filter(opened_at__isnull=False)
    until(opened.exists, 60, "the circuit opens")
    began = time.time()
    time.sleep(12)
    probes = len(batches(world, began))
    check(1 <= probes <= 12 / PROBE + 2, f"{probes} calls in 12 s although the circuit is open")
    world.disarm()
    mended = time.time()
    until(lambda: not opened.exists(), 30, "the circuit closes")
    took = world.quiet(120)
    burst = invariants.busiest(batches(world, mended), 1)
    check(burst <= max(2 * normal, 4), f"{burst} calls in a second after it came back; normally {normal}")
    rates = {"normal": normal, "after": burst}
    return rates | {"probes": probes, "done_after": round(took, 1)} | invariants.hold(world, [held], since)


@experiment("F31")
def trickles(world: World) -> dict[str, Any]:
    """Ten answers of a utility that trickle do not keep another utility's new customer waiting."""
    from espi.models import FetchJob

    since = time.time()
    held = ready(world, ESSEX)
    before = len(world.wire.spoiled)
    world.wire.spoil("/Batch/Subscription", "trickle", times=10, seconds=45)
    jobs = queue(held, 10)
    FetchJob.objects.filter(pk__in=[job.pk for job in jobs]).update(priority=FetchJob.Priority.DAILY)
    until(lambda: len(world.wire.spoiled) >= before + 2, 60, "answers trickle")
    began = time.monotonic()
    other = world.connect(CECONY_V1)
    first = other.fetch_jobs.filter(kind="download", state="done")
    until(first.exists, 40, "the other customer's first file is here")
    took = round(time.monotonic() - began, 1)
    trickling = held.fetch_jobs.filter(state__in=["running", "due"]).count()
    check(trickling, "nothing trickled any more when the other's data came")
    world.wire.rules.clear()
    world.quiet(300)
    return {"first_data_after": took, "still_trickling": trickling} | invariants.hold(world, [held, other], since)


@experiment("F32")
def breaks_off(world: World) -> dict[str, Any]:
    """A body that breaks off, in each of three framings, is noticed, nothing of it is stored, and it is fetched again."""
    from espi.models import Document

    since, found, connected = time.time(), {}, []
    for how in ("short", "chunk", "unframed"):
        held = ready(world, ESSEX)
        documents = Document.objects.filter(subscription=held.subscription_id).count()
        world.wire.spoil("/Batch/Subscription", how)
        before = len(world.wire.spoiled)
        (job,) = queue(held, 1)
        until(lambda before=before: len(world.wire.spoiled) > before, 30, "the answer breaks off")
        until(lambda job=job: type(job).objects.get(pk=job.pk).reason, 30, "the job says so")
        found[how] = type(job).objects.get(pk=job.pk).reason
        world.quiet(120)
        more = Document.objects.filter(subscription=held.subscription_id).count() - documents
        check(more == 1, f"{how}: {more} documents were stored of one file")
        connected.append(held)
    return found | invariants.hold(world, connected, since)


@experiment("F33", kind="answers")
def something_else(world: World) -> dict[str, Any]:
    """A page, JSON, nothing, or half a document instead of data is a failure in words; 204 is no data, and no failure."""
    from portal.flows import fetch

    since, found = time.time(), {}
    held = ready(world, ESSEX)
    for fault in ("resource_html", "resource_json", "resource_empty", "resource_truncated", "resource_204"):
        world.arm(fault, "essex")
        began = time.time()
        (job,) = queue(held, 1)
        until(lambda job=job: type(job).objects.get(pk=job.pk).reason, 60, f"the job says what it met: {fault}")
        job.refresh_from_db()
        found[fault] = f"{job.state}: {job.reason}"
        expected = ("done",) if fault == "resource_204" else ("failed", "due", "running")
        check(job.state in expected, f"{fault}: the job is {job.state}")
        check(set(answered(world, began)) & {200, 204}, "the utility was not asked")
        if job.state == "failed":
            check(fetch.retry(job.pk, now=datetime.now(UTC)), "it cannot be retried")
        world.quiet(120)
    return found | invariants.hold(world, [held], since)


@experiment("F34")
def never_ready(world: World) -> dict[str, Any]:
    """202 and then nothing: overdue after 26 hours and no sooner, asked for once more, then failed in words."""
    since = time.time() - 60 * 3600
    world.arm("no_notification", "cecony", count=0)
    held = world.connect(CECONY_V1)
    first = held.fetch_jobs.get(kind="usage")
    for turn in (1, 2):
        world.quiet(60, besides=("awaiting_notification",))
        travel(world, hours=25)
        time.sleep(6)  # three sweeps
        asked = answered(world, since, of=held)
        check(asked == {202: turn}, f"after 25 hours of waiting it was answered {asked}")
        travel(world, hours=2)
        until(lambda: changed(first), 60, "it is overdue")
    time.sleep(6)
    first.refresh_from_db()
    check(first.state == "failed" and first.reason, f"after 54 hours it is {first.state}: {first.reason}")
    asked = answered(world, since, of=held)
    check(asked == {202: 2}, f"it was answered {asked}")
    kept = invariants.limits_of_retry_hold(since) | invariants.nobody_is_asked_to_reconnect(world, [held])
    invariants.complete_to_is_true(world, [held])
    return {"asked": asked, "reason": first.reason} | kept


def changed(job: Any) -> bool:
    """Whether an attempt was made after it became overdue."""
    now = type(job).objects.get(pk=job.pk)
    return bool(now.state == "failed" or now.not_before > datetime.now(UTC))
