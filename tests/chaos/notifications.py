"""F21 to F28, F53, F54, F58: announcements in any number, order and age, and files that cannot be had."""

import statistics
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import requests

from tests.chaos import invariants
from tests.chaos.experiments import experiment
from tests.chaos.travel import travel
from tests.chaos.work import queue, ready, reasons
from tests.chaos.world import World, check, until
from tests.journeys.customers import CECONY_V1, ESSEX, PGE

LATEST = 1.0  # second: an answer to a notification
SLOWER = 3  # times what a refusal takes at the same moment: on a machine that does much else nothing takes a second
HOUR = 3600


def post(url: str, body: bytes, content_type: str = "application/atom+xml") -> tuple[int, float]:
    """Post a notification as a utility does: (status, seconds)."""
    began = time.monotonic()
    try:
        status = requests.post(url, data=body, headers={"Content-Type": content_type}, timeout=30).status_code
    except requests.RequestException:
        status = 0
    return status, time.monotonic() - began


def post_many(posts: list[tuple[str, bytes]], at_once: int = 16) -> list[tuple[int, float]]:
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(lambda each: post(*each), posts))


def batch_list(*urls: str) -> bytes:
    """A BatchList with these addresses."""
    from xml.sax.saxutils import escape

    inner = "".join(f"<resources>{escape(url)}</resources>" for url in urls)
    return f'<BatchList xmlns="http://naesb.org/espi">{inner}</BatchList>'.encode()


def notify_url(world: World, slug: str, edition: str = "") -> str:
    """Where a utility posts to."""
    from espi.models import ApplicationInformation

    app = ApplicationInformation.objects.get(utility=slug, environment="sandbox", edition=edition)
    return world.url(f"/espi/1_1/Notification/{slug}/{app.notify_secret}")


def figures(answers: list[tuple[int, float]]) -> dict[str, Any]:
    """Of many posts: how many of each status, and how long they took."""
    times = sorted(seconds for _, seconds in answers)
    return {
        "statuses": dict(Counter(status for status, _ in answers)),
        "median_ms": round(1000 * statistics.median(times)),
        "p99_ms": round(1000 * times[int(len(times) * 0.99) - 1]),
        "slowest_ms": round(1000 * times[-1]),
    }


def in_time(url: str, answers: list[tuple[int, float]], at_once: int = 16) -> None:
    """I5: answered within a second; or, where the machine itself is slow, not much later than a refusal (C01) is."""
    slowest = late(answers)
    if slowest > LATEST:
        refusals = post_many([(f"{url}-not", b"")] * max(20, len(answers) // 2), at_once)
        least = late(refusals)
        words = f"answered too late: {figures(answers)}, a refusal after {least:.1f} s"
        check({status for status, _ in refusals} == {404} and slowest <= SLOWER * least, words)


def late(answers: list[tuple[int, float]]) -> float:
    """Seconds: the slowest answer; of a hundred the slowest but one."""
    return figures(answers)["p99_ms" if len(answers) >= 100 else "slowest_ms"] / 1000


def hold(world: World, slug: str, count: int, seconds: float = 60) -> list[dict[str, Any]]:
    """Keep the utility from sending what it has prepared, until it is let go; the rows, oldest first."""
    store = world.store

    def waiting() -> list[dict[str, Any]]:
        store.execute("UPDATE notifications SET due = due + 1e6 WHERE sent IS NULL AND due < ?", (time.time() + 1e5,))
        return list(store.find("notifications", utility=slug, kind="batch", sent=None))

    return list(until(lambda: len(found := waiting()) >= count and found, seconds, f"{count} announcements", every=0.2))


def let_go(world: World, row: dict[str, Any]) -> None:
    world.store.update("notifications", {"id": row["id"]}, due=time.time())


@experiment("F21", kind="notification")
def a_hundred_times(world: World) -> dict[str, Any]:
    """The same notification a hundred times at once is answered 200 each time, in time, and fetched once."""
    since = time.time()
    held = world.connect(CECONY_V1)
    (row,) = hold(world, "cecony", 1)
    answers = post_many([(row["url"], row["body"])] * 100)
    check({status for status, _ in answers} == {200}, f"answered {figures(answers)}")
    in_time(row["url"], answers)
    world.quiet(120)
    let_go(world, row)
    world.quiet(120)
    urls = Counter(held.fetch_jobs.filter(kind="download").values_list("url", flat=True))
    check(urls and max(urls.values()) == 1, f"files were fetched more than once: {urls}")
    return figures(answers) | invariants.hold(world, [held], since)


@experiment("F22")
def newer_before_older(world: World) -> dict[str, Any]:
    """Whichever of two windows is announced first, both are stored whole."""
    since, connected = time.time(), []
    for in_order in (True, False):
        held = world.connect(PGE)
        connected.append(held)
        for row in sorted(hold_pge(world, 2), key=lambda each: each["id"], reverse=not in_order):
            let_go(world, row)
            until(lambda row=row: world.store.get("notifications", id=row["id"])["status"], 30, "it is delivered")
            time.sleep(1)
        world.quiet(120)
    return invariants.hold(world, connected, since)


def hold_pge(world: World, count: int) -> list[dict[str, Any]]:
    store = world.store

    def waiting() -> list[dict[str, Any]]:
        store.execute("UPDATE notifications SET due = due + 1e6 WHERE sent IS NULL AND due < ?", (time.time() + 1e5,))
        return list(store.find("notifications", utility="pge", sent=None))

    return list(until(lambda: len(found := waiting()) >= count and found, 60, f"{count} announcements", every=0.2))


@experiment("F23", kind="time")
def two_days_late(world: World) -> dict[str, Any]:
    """A notification that comes after 47 hours still brings its files, whatever was asked for in between."""
    since = time.time()
    held = world.connect(CECONY_V1)
    (row,) = hold(world, "cecony", 1)
    travel(world, hours=47)
    time.sleep(5)
    let_go(world, row)
    world.quiet(120)
    states = Counter(held.fetch_jobs.values_list("kind", "state"))
    check(not held.fetch_jobs.filter(state="failed").exists(), f"jobs failed: {reasons(held)}")
    return {"jobs": {" ".join(key): n for key, n in states.items()}} | invariants.hold(world, [held], since - 48 * HOUR)


@experiment("F25")
def before_our_own_note(world: World) -> dict[str, Any]:
    """A notification that arrives before the 202 it belongs to has been noted is matched with it."""
    since, connected = time.time(), []
    for profile in (CECONY_V1, PGE):
        world.arm("early_notification", profile.slug, count=2)
        connected.append(world.connect(profile))
    world.quiet(180)
    world.disarm()
    for held in connected:
        check(not held.fetch_jobs.exclude(state="done").exists(), f"left: {reasons(held)}")
    return invariants.hold(world, connected, since)


@experiment("F26")
def unknown_request(world: World) -> dict[str, Any]:
    """An announcement of files nobody asked for is accepted, shown with a reason, and harms no customer."""
    from espi.models import FetchJob

    since = time.time()
    held = world.connect(CECONY_V1)
    world.quiet(120)
    before = FetchJob.objects.count()
    url = held.fetch_jobs.filter(kind="download").first().url.partition("?")[0]
    strange = f"{url}?requestId={uuid.uuid4()}&responseId={uuid.uuid4()}"
    status, seconds = post(notify_url(world, "cecony", "v1"), batch_list(strange))
    check(status == 200, f"answered {status}")
    until(lambda: FetchJob.objects.filter(url=strange).exists(), 30, "there is a job for it")
    until(lambda: FetchJob.objects.get(url=strange).reason, 30, "it says why it waits or failed")
    job = FetchJob.objects.get(url=strange)
    check(FetchJob.objects.count() == before + 1, "it led to more than one job")
    check(job.authorization_id is None or job.state == "failed", "it was given to a customer who waits for nothing")
    job_words = f"{job.state}: {job.reason}"
    FetchJob.objects.filter(pk=job.pk, state="due").update(state="superseded", reason="The experiment is over.")
    return {"job": job_words, "ms": round(1000 * seconds)} | invariants.hold(world, [held], since)


@experiment("F27")
def two_of_five_files(world: World) -> dict[str, Any]:
    """Of five files two cannot be had at first: three stay, and those two alone are fetched again."""
    since = time.time()
    world.arm("small_files", "cecony", bytes=6_700_000)
    held = world.connect(CECONY_V1)
    (row,) = hold(world, "cecony", 1)
    check(row["body"].count(b"responseId") == 5, f"there are {row['body'].count(b'responseId')} files, not five")
    world.arm("resource_500", "cecony", count=2)
    let_go(world, row)
    until(lambda: held.fetch_jobs.filter(kind="download").exists(), 30, "the files are known")
    world.quiet(180)
    asked = [r["status"] for r in invariants.ledger(world, since) if r["path"].endswith("/Batch/Download")]
    check(Counter(asked) == {200: 5, 500: 2}, f"the utility was asked {Counter(asked)}")
    files = Counter(r["query"] for r in invariants.ledger(world, since) if r["path"].endswith("/Batch/Download"))
    check(sorted(files.values()) == [1, 1, 1, 2, 2], f"the files were asked for {sorted(files.values())} times")
    return {"asked": dict(Counter(asked))} | invariants.hold(world, [held], since)


@experiment("F28")
def same_content_again(world: World) -> dict[str, Any]:
    """The same content under another responseId changes nothing."""
    from espi.models import IntervalRevision
    from portal.flows import fetch

    since = time.time()
    held = world.connect(CECONY_V1)
    world.quiet(120)
    fetch.enqueue_first(held, now=datetime.now(UTC))
    world.quiet(120)
    files = set(held.fetch_jobs.filter(kind="download", state="done").values_list("url", flat=True))
    check(len(files) == 4, f"files under {len(files)} addresses, not four")
    check(not IntervalRevision.objects.filter(meter_reading__usage_point__subscription=held.subscription).exists(),
          "readings count as corrected")  # fmt: skip
    return {"files": len(files)} | invariants.hold(world, [held], since)


@experiment("F53")
def withdrawn_meanwhile(world: World) -> dict[str, Any]:
    """A customer who stops while his data come down: nothing is written after that, and his tokens are gone."""
    from espi.models import Document, UsagePoint

    browser = world.signed_in()
    world.arm("resource_slow", "essex", count=3, seconds=4)
    held = world.connect(ESSEX, browser=browser)
    until(lambda: held.fetch_jobs.filter(kind="usage", state="running").exists(), 20, "a job runs")
    browser.get(world.url("/dashboard")).click("Stop sharing").press("Stop sharing")
    check("We no longer collect anything" in browser.text, f"the page says {browser.text[:200]}")
    world.quiet(120)
    world.disarm()
    held.refresh_from_db()
    rows = {
        "usage points": UsagePoint.objects.filter(subscription=held.subscription_id).count(),
        "documents": Document.objects.filter(subscription=held.subscription_id).count(),
        "tokens": sum(1 for token in (held.access_token, held.refresh_token) if token),
    }
    check(held.status == "withdrawn" and not any(rows.values()), f"{held.status}, {rows}")
    return rows


@experiment("F54")
def revoked_silently(world: World) -> dict[str, Any]:
    """Sharing stopped at the utility without a word is noticed at the next call, or within a day, and shown as that."""
    found = {}
    for when in ("at the next call", "within a day"):
        browser = world.signed_in()
        held = ready(world, ESSEX, browser=browser)
        world.arm("no_notification", "essex", count=0)
        world.arm("revoke", "essex")
        if when == "at the next call":
            queue(held, 1)
        else:
            travel(world, hours=24)
        until(lambda held=held: status_of(held) != "active", 90, f"it is noticed {when}")
        world.quiet(120)
        world.disarm()
        check(status_of(held) == "revoked", f"{when} the connection is {held.status}: {held.status_reason}")
        browser.get(world.url("/dashboard"))
        check("stopped at the utility" in browser.text.lower(), f"the dashboard says {browser.text[:500]}")
        found[when] = held.status_reason
    return found


def status_of(authorization: Any) -> str:
    authorization.refresh_from_db(fields=["status", "status_reason"])
    return str(authorization.status)


@experiment("F58")
def replayed_after_a_fix(world: World) -> dict[str, Any]:
    """A notification we failed on is set aside whole; after the fault is mended staff replay it, and nothing is lost."""
    from espi.models import Notification
    from portal.flows import notify

    since = time.time()
    held = world.connect(CECONY_V1)
    (row,) = hold(world, "cecony", 1)
    with broken_table(world, "espi_fetchjob"):
        let_go(world, row)
        kept = Notification.objects.filter(received_at__gte=datetime.fromtimestamp(since, UTC))
        until(lambda: kept.filter(state="quarantined").exists(), 60, "it is set aside")
    aside = kept.get(state="quarantined")
    check(aside.reason, "no reason is given")
    check(notify.replay(aside.pk, now=datetime.now(UTC)), "it cannot be replayed")
    world.quiet(120)
    return {"reason": aside.reason} | invariants.hold(world, [held], since)


def broken_table(world: World, table: str) -> Any:
    """No row can be added to a table inside: a fault of ours, as a wrong migration would make it."""
    from contextlib import contextmanager

    @contextmanager
    def broken() -> Any:
        with world.postgres.connect("portal") as connection:
            connection.execute(
                "CREATE OR REPLACE FUNCTION chaos_break() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE EXCEPTION 'broken for an experiment'; END $$"
            )
            trigger = f"CREATE TRIGGER chaos_broken BEFORE INSERT ON {table} EXECUTE FUNCTION chaos_break()"
            connection.execute(trigger)
            try:
                yield
            finally:
                connection.execute(f"DROP TRIGGER chaos_broken ON {table}")

    return broken()
