"""F09 to F16: a broker that forgets, freezes, fills up or goes away. The rows are the truth; messages only wake."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import requests
from django.db.models import Max

from portal.local.place import ROOT
from tests.chaos import invariants
from tests.chaos.experiments import experiment
from tests.chaos.gates import gate
from tests.chaos.notifications import batch_list, figures, hold, in_time, let_go, notify_url, post
from tests.chaos.work import BLOCKS, nobody_ended, queue, ready, running
from tests.chaos.world import World, check, until
from tests.journeys.customers import CECONY_V1, ESSEX

REPUBLISHED_IN = 60.0  # seconds


def republished(jobs: list[Any], since: float) -> float:
    """How long until each of these jobs, whose message is lost, was woken again or has ended; a minute at most."""
    rows = type(jobs[0]).objects.filter(pk__in=[job.pk for job in jobs])
    left = rows.filter(state="due").exclude(woken_at__gte=invariants.at(since))
    began = time.monotonic()
    until(lambda: not left.exists(), REPUBLISHED_IN, "every job is published again")
    return round(time.monotonic() - began, 1)


def all_done(jobs: list[Any]) -> None:
    states = Counter(type(jobs[0]).objects.filter(pk__in=[job.pk for job in jobs]).values_list("state", flat=True))
    check(states == {"done": len(jobs)}, f"the jobs are {dict(states)}")


@experiment("F09")
def restarted_empty(world: World) -> dict[str, Any]:
    """Valkey comes back empty with a hundred jobs queued: every one of them is published again and done."""
    since = time.time()
    held = world.connect(ESSEX)
    world.quiet(120)
    with world.frozen_workers():
        jobs = queue(held, 100)
        world.lose_broker()
        lost = time.time()
    world.broker_again()
    found = {"republished_after": republished(jobs, lost), "done_after": round(world.quiet(180), 1)}
    all_done(jobs)
    return {"jobs": len(jobs)} | found | invariants.hold(world, [held], since)


@experiment("F10")
def flushed(world: World) -> dict[str, Any]:
    """FLUSHALL while workers are at work loses no job."""
    since = time.time()
    held = world.connect(ESSEX)
    world.quiet(120)
    jobs = queue(held, 100)
    for _ in range(3):
        time.sleep(1)
        world.valkey.client().flushall()
    found = {"republished_after": republished(jobs, time.time()), "done_after": round(world.quiet(180), 1)}
    all_done(jobs)
    return {"jobs": len(jobs)} | found | invariants.hold(world, [held], since)


def strange(count: int) -> list[bytes]:
    """So many bodies that are kept, and then lead to nothing."""
    return [batch_list(f"http://nobody.example/{time.time_ns()}/{number}") for number in range(count)]


def notified(world: World, url: str, bodies: list[bytes], seconds: float) -> dict[str, Any]:
    """Post them spread over so many seconds, as I5 wants them answered: 200, in time, a row for each."""
    from espi.models import Notification

    mine = Notification.objects.filter(pk__gt=Notification.objects.aggregate(last=Max("pk"))["last"] or 0)
    began, answers = time.monotonic(), []
    for number, body in enumerate(bodies, 1):
        answers.append(post(url, body))
        time.sleep(max(0, began + seconds * number / len(bodies) - time.monotonic()))
    found = figures(answers)
    check(found["statuses"] == {200: len(bodies)}, f"answered {found}")
    in_time(url, answers, at_once=1)
    kept = sum(1 for each in mine if bytes(each.body) in bodies)
    check(kept == len(bodies), f"{len(bodies)} answered 200, {kept} kept")
    return found


@experiment("F11")
def frozen(world: World) -> dict[str, Any]:
    """While Valkey stands still, fifty notifications are answered in time, each kept; afterwards all is done."""
    since = time.time()
    held, other, row = ready(world, ESSEX), *announced(world)
    with world.frozen_broker():
        jobs = queue_by_notification(world, held)
        let_go(world, row)
        found = notified(world, notify_url(world, "essex"), strange(50), 60)
        page = requests.get(world.url("/"), timeout=20)
        check(page.status_code == 200, f"the site's first page was answered {page.status_code}")
    took = world.quiet(120)
    return found | {"jobs": jobs, "done_after": round(took, 1)} | invariants.hold(world, [held, other], since)


def announced(world: World) -> tuple[Any, dict[str, Any]]:
    """A new customer whose files the utility has not announced yet, and the announcement."""
    other = world.connect(CECONY_V1)
    (row,) = hold(world, "cecony", 1)
    world.quiet(120, besides=("awaiting_notification",))
    return other, row


def queue_by_notification(world: World, authorization: Any) -> int:
    """Rows of twenty more jobs, by a process that finds no broker; how many."""
    code = f"import django; django.setup()\nfrom tests.chaos import broker\nbroker.queue_of({authorization.pk}, 20)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=dict(os.environ), check=True, timeout=60)
    return int(authorization.fetch_jobs.filter(state="due").count())


@experiment("F12")
def away(world: World) -> dict[str, Any]:
    """While Valkey is away, notifications are answered in time and pages are shown; when it is back, all is done."""
    since = time.time()
    held, other, row = ready(world, ESSEX), *announced(world)
    processes = {worker.name: worker.pid for worker in [*world.workers, world.beat]}
    world.lose_broker()
    jobs = queue_by_notification(world, held)
    let_go(world, row)
    found = notified(world, notify_url(world, "essex"), strange(30), 45)
    page = requests.get(world.url("/"), timeout=20)
    world.broker_again()
    check(page.status_code == 200, f"the site's first page was answered {page.status_code}")
    took = world.quiet(180)
    nobody_ended(world, processes)
    return found | {"jobs": jobs, "done_after": round(took, 1)} | invariants.hold(world, [held, other], since)


@experiment("F13")
def full(world: World) -> dict[str, Any]:
    """While Valkey takes nothing more, notifications are answered in time; when it has room, all is done."""
    since = time.time()
    held, other, row = ready(world, ESSEX), *announced(world)
    world.valkey.client().config_set("maxmemory", 1)
    jobs = queue_by_notification(world, held)
    let_go(world, row)
    found = notified(world, notify_url(world, "essex"), strange(30), 20)
    page = requests.get(world.url("/account/login/"), timeout=20)
    world.valkey.client().config_set("maxmemory", 0)
    check(page.status_code == 200, f"the sign-in page was answered {page.status_code}")
    took = world.quiet(180)
    return found | {"jobs": jobs, "done_after": round(took, 1)} | invariants.hold(world, [held, other], since)


@experiment("F14")
def five_restarts(world: World) -> dict[str, Any]:
    """After five restarts of Valkey within two minutes the workers consume again without help."""
    since = time.time()
    held = ready(world, ESSEX)
    processes = {worker.name: worker.pid for worker in [*world.workers, world.beat]}
    for turn in range(5):
        queue(held, 5, days_back=1 + turn)
        world.valkey.stop()
        time.sleep(3)
        world.broker_again()
        time.sleep(4)
    began = time.monotonic()
    world.quiet(120)
    until(world.listens, 180, "every worker consumes again")
    took = round(time.monotonic() - began, 1)
    nobody_ended(world, processes)
    return {"consumes_after": took} | invariants.hold(world, [held], since)


@experiment("F15", kind="broker")
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
        # The utility says that it has collected the data. Heard after the job it would be a reason to ask once more.
        until(lambda: world.left(besides=job.OPEN) == [], 60, "its events are heard while the job runs")
        time.sleep(2)
        again = running(held)
        check(again is not None and again.claim == job.claim, "somebody else claimed a job that was held")
    world.quiet(120)
    asked = [row["status"] for row in invariants.ledger(world, since) if "/Batch/Subscription" in row["path"]]
    check(asked == [202, 200], f"the utility was asked {asked}")
    job.refresh_from_db()
    check((job.state, job.attempts) == ("done", 1), f"the job is {job.state} after {job.attempts} attempts")
    return {"asked": asked} | invariants.hold(world, [held], since)


@experiment("F16")
def died_before_publishing(world: World) -> dict[str, Any]:
    """A process that dies between its commit and its message: the sweep finds the job."""
    from espi.models import FetchJob

    since = time.time()
    held = world.connect(ESSEX)
    world.quiet(120)
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


def queue_of(authorization_id: int, count: int = 1) -> None:
    """More jobs for a connection, in a process that finds no broker, or will not live to tell."""
    from espi.models import Authorization

    queue(Authorization.objects.get(pk=authorization_id), count)
