"""F09 to F16: a broker that forgets, freezes, fills up or goes away. The rows are the truth; messages only wake."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from portal.local.place import ROOT
from tests.chaos import invariants
from tests.chaos.experiments import experiment
from tests.chaos.gates import gate
from tests.chaos.workers import BLOCKS, running
from tests.chaos.world import World, check, until
from tests.journeys.customers import ESSEX

REPUBLISHED_IN = 60.0  # seconds


def weekly(authorization: Any, count: int, days_back: int) -> list[Any]:
    """Requests for single weeks of an Essex connection, the newest first; they are answered at once."""
    import utilities
    from utilities.base import PlannedRequest

    app = authorization.application_information
    base = utilities.get("essex").resource(app, f"Batch/Subscription/{authorization.utility_subscription_id}")
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    for week in range(count):
        end = midnight - timedelta(days=7 * week + days_back)
        start = end - timedelta(days=7)
        window = {"published-min": start, "published-max": end}
        query = "&".join(f"{name}={quote(value.strftime('%Y-%m-%dT%H:%M:%SZ'))}" for name, value in window.items())
        found.append(PlannedRequest("usage", f"{base}?{query}", window_start=start, window_end=end))
    return found


def queue(authorization: Any, count: int, days_back: int = 0) -> list[Any]:
    """So many more jobs for a connection, asked for as the product does it."""
    from portal.flows import fetch

    return fetch.enqueue_planned(authorization, weekly(authorization, count, days_back), now=datetime.now(UTC))


@experiment("F09", kind="broker")
def restarted_empty(world: World) -> dict[str, Any]:
    """Valkey comes back empty with a hundred jobs queued: every one of them is published again and done."""
    since = time.time()
    held = world.connect(ESSEX)
    world.quiet(60)
    with world.frozen_workers():
        jobs = queue(held, 100)
        world.lose_broker()
    world.broker_again()
    took = world.quiet(REPUBLISHED_IN)
    check(held.fetch_jobs.filter(pk__in=[job.pk for job in jobs], state="done").count() == 100, "not all are done")
    return {"jobs": 100, "done_after": round(took, 1)} | invariants.hold(world, [held], since)


@experiment("F10")
def flushed(world: World) -> dict[str, Any]:
    """FLUSHALL while workers are at work loses no job."""
    since = time.time()
    held = world.connect(ESSEX)
    world.quiet(60)
    jobs = queue(held, 100)
    for _ in range(3):
        time.sleep(1)
        world.valkey.client().flushall()
    took = world.quiet(REPUBLISHED_IN)
    check(held.fetch_jobs.filter(pk__in=[job.pk for job in jobs], state="done").count() == 100, "not all are done")
    return {"jobs": 100, "done_after": round(took, 1)} | invariants.hold(world, [held], since)


@experiment("F15")
def delivered_again(world: World) -> dict[str, Any]:
    """A message that is delivered again while its job runs finds nothing to claim; the utility is asked once."""
    from portal.flows import fetch

    since = time.time()
    with gate(world, BLOCKS) as held_at:
        held = world.connect(ESSEX)
        held_at.arrival()
        job = running(held)
        for _ in range(5):
            fetch.wake([job.pk])
        time.sleep(2)
        again = running(held)
        check(again is not None and again.claim == job.claim, "somebody else claimed a job that was held")
    world.quiet(60)
    asked = [row["status"] for row in invariants.ledger(world, since) if "/Batch/Subscription" in row["path"]]
    check(asked == [202, 200], f"the utility was asked {asked}")
    return {"asked": asked} | invariants.hold(world, [held], since)


@experiment("F16")
def died_before_publishing(world: World) -> dict[str, Any]:
    """A process that dies between its commit and its message: the sweep finds the job."""
    from espi.models import FetchJob

    since = time.time()
    held = world.connect(ESSEX)
    world.quiet(60)
    before = FetchJob.objects.count()
    code = f"import django; django.setup()\nfrom tests.chaos import broker\nbroker.queue_of({held.pk})"
    with world.frozen_broker():
        dying = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=dict(os.environ))
        until(lambda: FetchJob.objects.count() > before, 30, "its commit is there")
        dying.send_signal(signal.SIGKILL)
        dying.wait()
        check(held.fetch_jobs.filter(state="due").count() == 1, "the job was not left to the sweep")
    took = world.quiet(REPUBLISHED_IN)
    return {"done_after": round(took, 1)} | invariants.hold(world, [held], since)


def queue_of(authorization_id: int) -> None:
    """One more job for a connection, in a process that will not live to tell."""
    from espi.models import Authorization

    queue(Authorization.objects.get(pk=authorization_id), 1)
