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
from tests.journeys.customers import CECONY_V1, ESSEX

LONGEST_WAIT = timedelta(hours=6, minutes=5)
PROBE = 3.0  # seconds between probes of an open circuit: PACE


def batches(world: World, since: float, part: str = "/Batch/Subscription") -> list[dict[str, Any]]:
    """Requests for data that reached the sandbox."""
    return [row for row in invariants.ledger(world, since) if part in row["path"]]


def answered(world: World, since: float, part: str = "/Batch/Subscription") -> dict[int, int]:
    return dict(Counter(row["status"] for row in batches(world, since, part)))


@experiment("F24")
def link_is_dead(world: World) -> dict[str, Any]:
    """A file that was not fetched within its 48 hours is asked for again, once, and arrives."""
    since = time.time()
    held = world.connect(CECONY_V1)
    (row,) = hold(world, "cecony", 1)
    with world.frozen_workers():
        let_go(world, row)
        until(lambda: world.store.get("notifications", id=row["id"])["status"] == 200, 30, "it is delivered")
        travel(world, hours=49)
    began = time.time()
    world.quiet(150, besides=("due",))
    until(lambda: 404 in answered(world, began, "/Batch/Download"), 60, "the dead links are met")
    move_up(held)
    world.quiet(150)
    asked = answered(world, began)
    check(asked.get(202) == 1, f"the window was asked for {asked}")
    found = {"asked again": asked[202], "downloads": answered(world, began, "/Batch/Download"), "jobs": reasons(held)}
    return found | invariants.hold(world, [held], since - 50 * 3600)


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
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=25), usegmt=True)
    for name, value in {"seconds": "4", "a date": date, "nothing": None, "a year": "31536000"}.items():
        world.arm("resource_429", "essex", retry_after=value)
        began = time.time()
        (job,) = queue(held, 1)
        until(lambda began=began: 429 in answered(world, began), 30, "it was asked to wait")
        until(lambda job=job: type(job).objects.get(pk=job.pk).state == "due", 10, "the job waits")
        job.refresh_from_db()
        wait = job.not_before - datetime.now(UTC)
        check(wait <= LONGEST_WAIT, f"after {name} it waits {wait}")
        check("asked us to wait" in job.reason, f"it says {job.reason!r}")
        if name == "a year":
            check(wait > timedelta(hours=5), f"after a year was asked it waits {wait} only")
            check(fetch_page(world, browser, "asked us to wait"), f"the dashboard says {browser.text[:600]}")
            move_up(held)
        world.quiet(60)
        asked = batches(world, began)
        gap = asked[1]["at"] - asked[0]["at"]
        check(name != "seconds" or gap >= 4, f"asked again after {gap:.1f} s, not 4")
        found[name] = f"waits {wait.total_seconds():.0f} s"
    world.arm("resource_429", "essex", count=12, retry_after="2")
    began = time.time()
    queue(held, 20)
    world.quiet(120)
    found["storm"] = answered(world, began)
    return found | invariants.hold(world, [held], since)


def fetch_page(world: World, browser: Any, words: str) -> bool:
    browser.get(world.url("/dashboard"))
    return words in browser.text


@experiment("F30")
def fails_for_a_while(world: World) -> dict[str, Any]:
    """A utility that fails for a while is left alone but for a probe; nobody must reconnect; work returns without a burst."""
    from portal.models import Circuit

    since = time.time()
    held = ready(world, ESSEX)
    began = time.time()
    queue(held, 30)
    world.quiet(60)
    normal = busiest(batches(world, began))
    world.arm("resource_500", "essex", count=0)
    queue(held, 30)
    opened = Circuit.objects.filter(opened_at__isnull=False)
    until(opened.exists, 60, "the circuit opens")
    began = time.time()
    time.sleep(12)
    probes = len(batches(world, began))
    check(probes <= 12 / PROBE + 2, f"{probes} calls in 12 s although the circuit is open")
    world.disarm()
    mended = time.time()
    until(lambda: not opened.exists(), 30, "the circuit closes")
    took = world.quiet(120)
    burst = busiest(batches(world, mended))
    check(burst <= max(2 * normal, 4), f"{burst} calls in a second after it came back; normally {normal}")
    rates = {"normal": normal, "after": burst}
    return rates | {"probes": probes, "done_after": round(took, 1)} | invariants.hold(world, [held], since)


def busiest(rows: list[dict[str, Any]]) -> int:
    """The most calls in any second."""
    times = [row["at"] for row in rows]
    return max((sum(1 for t in times if began <= t < began + 1) for began in times), default=0)


@experiment("F31")
def trickles(world: World) -> dict[str, Any]:
    """Ten answers of a utility that trickle do not keep another utility's new customer waiting."""
    from espi.models import FetchJob

    since = time.time()
    held = ready(world, ESSEX)
    world.wire.spoil("/Batch/Subscription", "trickle", times=10, seconds=45)
    jobs = queue(held, 10)
    FetchJob.objects.filter(pk__in=[job.pk for job in jobs]).update(priority=FetchJob.Priority.DAILY)
    until(lambda: len(world.wire.spoiled) >= 2, 30, "answers trickle")
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
        world.quiet(60)
        more = Document.objects.filter(subscription=held.subscription_id).count() - documents
        check(more == 1, f"{how}: {more} documents were stored of one file")
        connected.append(held)
    return found | invariants.hold(world, connected, since)


@experiment("F33", kind="answers")
def something_else(world: World) -> dict[str, Any]:
    """A page, nothing, or half a document instead of data is a failure in words, and never counts as data."""
    from portal.flows import fetch

    since, found = time.time(), {}
    held = ready(world, ESSEX)
    for fault in ("resource_html", "resource_empty"):
        world.arm(fault, "essex")
        began = time.time()
        (job,) = queue(held, 1)
        until(lambda job=job: type(job).objects.get(pk=job.pk).reason, 30, "the job says what it met")
        job.refresh_from_db()
        found[fault] = f"{job.state}: {job.reason}"
        check(job.state in ("failed", "due"), f"{fault}: the job is {job.state}")
        check(200 in answered(world, began), "the utility was not asked")
        if job.state == "failed":
            check(fetch.retry(job.pk, now=datetime.now(UTC)), "it cannot be retried")
        world.quiet(90)
    return found | invariants.hold(world, [held], since)


@experiment("F34")
def never_ready(world: World) -> dict[str, Any]:
    """202 and then nothing: overdue after 26 hours, asked for once more, then failed in words."""
    since = time.time()
    held = world.connect(CECONY_V1)
    world.arm("no_notification", "cecony", count=0)
    first = held.fetch_jobs.get(kind="usage")
    mine = invariants.numbers(world, held.subscription)
    for _ in range(2):
        world.quiet(30, besides=("awaiting_notification",))
        travel(world, hours=27)
        until(lambda: changed(first), 30, "it is overdue")
    time.sleep(5)
    first.refresh_from_db()
    check(first.state == "failed" and first.reason, f"after 54 hours it is {first.state}: {first.reason}")
    asked = [r["status"] for r in batches(world, since - 60 * 3600) if r["authorization"] in mine]
    check(asked == [202, 202], f"it was answered {asked}")
    return {"asked": asked, "reason": first.reason}


def changed(job: Any) -> bool:
    """Whether an attempt was made after it became overdue."""
    now = type(job).objects.get(pk=job.pk)
    return bool(now.state == "failed" or now.not_before > datetime.now(UTC))
