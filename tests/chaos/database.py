"""F17 to F20: PostgreSQL that crashes, is away, or is asked for the same by two."""

import time
from datetime import UTC, datetime
from typing import Any

from tests.chaos import invariants
from tests.chaos.experiments import experiment
from tests.chaos.gates import gate
from tests.chaos.notifications import batch_list, notify_url, post_many
from tests.chaos.work import BLOCKS, nobody_ended, nothing_is_stored, queue, ready
from tests.chaos.world import World, check
from tests.journeys.customers import CECONY_V1, ESSEX

AWAY = 30.0  # seconds


@experiment("F17")
def crashed_during_ingest(world: World) -> dict[str, Any]:
    """PostgreSQL crashes while a file is stored: nothing of it is there afterwards, and then all of it."""
    since = time.time()
    with gate(world, BLOCKS) as held_at:
        held = world.connect(ESSEX)
        held_at.arrival()
        world.crash_database()
        world.database_again()
        nothing_is_stored(held)
    world.quiet(180)
    return {"documents_after_crash": 0} | invariants.hold(world, [held], since)


@experiment("F18", kind="database")
def away_at_a_notification(world: World) -> dict[str, Any]:
    """A notification while PostgreSQL is away is answered 503, and not one row less or more stands for a 200."""
    from espi.models import Notification

    url = notify_url(world, "essex")
    bodies = [batch_list(f"http://nobody.example/{time.time_ns()}/{number}") for number in range(60)]
    before = Notification.objects.count()
    world.stop_database()
    down = post_many([(url, body) for body in bodies[:20]], at_once=4)
    world.database_again()
    up = post_many([(url, body) for body in bodies[20:]], at_once=4)
    accepted = sum(1 for status, _ in [*down, *up] if status == 200)
    kept = Notification.objects.count() - before
    check(
        {status for status, _ in down} == {503}, f"answered {sorted({status for status, _ in down})} while it was away"
    )
    check(accepted == 40, f"{accepted} of 40 accepted once it was back")
    check(kept == accepted, f"{accepted} answered 200, {kept} kept")
    return {"refused": len(down), "accepted": accepted, "kept": kept}


@experiment("F19")
def away_for_a_while(world: World) -> dict[str, Any]:
    """While PostgreSQL is away visitors see a page that says so; when it is back, all resumes without help."""
    since = time.time()
    browser = world.signed_in()
    held = ready(world, ESSEX, browser=browser)
    processes = {name: program.pid for name, program in world.programs.items()}
    queue(held, 30)
    world.stop_database()
    page = browser.http.get(world.url("/dashboard"), timeout=30)
    time.sleep(AWAY)
    world.database_again()
    check(page.status_code in (500, 503), f"a page was answered {page.status_code}")
    check("<h1" in page.text and "Traceback" not in page.text, "the problem page is not ours")
    took = world.quiet(180)
    nobody_ended(world, processes)
    other = world.connect(ESSEX)
    world.quiet(120)
    return {"page": page.status_code, "resumed": round(took, 1)} | invariants.hold(world, [held, other], since)


@experiment("F20")
def two_feeds_of_one_meter(world: World) -> dict[str, Any]:
    """Many files of one meter at once, overlapping: each is stored, and no deadlock ends a job."""
    from espi.models import FetchJob
    from portal.flows import fetch

    since = time.time()
    held, two = ready(world, ESSEX), ready(world, CECONY_V1)
    many = world.program("many", like="downloads", concurrency=6).start()
    try:
        with world.frozen_workers(), many.frozen():
            jobs = queue(held, 40) + queue(held, 40, days_back=3)
            fetch.enqueue_first(two, now=datetime.now(UTC))
        world.quiet(240)
    finally:
        many.stop()
    states = set(FetchJob.objects.filter(pk__in=[job.pk for job in jobs]).values_list("state", flat=True))
    check(states == {"done"}, f"jobs ended as {states}")
    deadlocks = sum(program.text().count("deadlock detected") for program in world.programs.values())
    server = world.postgres.log_path.read_text(errors="replace").count("deadlock detected")
    return {"jobs": len(jobs), "deadlocks": deadlocks + server} | invariants.hold(world, [held, two], since)
