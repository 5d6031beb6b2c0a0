"""F01 to F08: workers that die, are told to stop, or meet what they do not know."""

import os
import signal
import time
from typing import Any

from tests.chaos import invariants
from tests.chaos.experiments import experiment
from tests.chaos.gates import gate
from tests.chaos.world import PACE, World, check, is_worker, node, until
from tests.journeys.customers import CECONY_V1, ESSEX, PGE

LEASE, SWEEP = float(PACE["JOB_LEASE_SECONDS"]), float(PACE["SWEEP_SECONDS"])
RESTART = LEASE + 2 * SWEEP + 6  # seconds: a lost job is claimed again
BLOCKS = "espi_intervalblock"


def busy(world: World) -> list[int]:
    """The pool processes that run jobs, by Celery's own account."""
    from portal.celery import app
    from portal.flows import fetch

    nodes = [node(program.name) for program in world.programs.values() if is_worker(program.words)]
    answers = app.control.inspect(destination=nodes, timeout=2).active() or {}
    return [task["worker_pid"] for tasks in answers.values() for task in tasks if task["name"] == fetch.RUN_JOBS]


def kill_busy(world: World) -> list[int]:
    """kill -9 for every pool process that runs jobs."""
    killed = until(lambda: busy(world), 10, "a pool process is at work")
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    return list(killed)


def claimed_again(authorization: Any, job_id: int, claim: Any, seconds: float = RESTART) -> float:
    """How long until another claim holds the job, or it has ended."""
    from espi.models import FetchJob

    began = time.monotonic()
    mine = FetchJob.objects.filter(pk=job_id)
    again = lambda: mine.exclude(claim=claim).exists() or mine.filter(state=FetchJob.State.DONE).exists()  # noqa: E731
    until(again, seconds, "the lost job is claimed again")
    return round(time.monotonic() - began, 1)


def running(authorization: Any, **where: Any) -> Any:
    return authorization.fetch_jobs.filter(state="running", **where).first()


@experiment("F01", kind="kill")
def killed_during_download(world: World) -> dict[str, Any]:
    """A pool process killed while a file comes down loses nothing: the job starts again within a lease."""
    since = time.time()
    world.arm("resource_slow", "essex", seconds=3)
    held = world.connect(ESSEX)
    job = until(lambda: running(held), 20, "a job runs")
    killed = kill_busy(world)
    restart = claimed_again(held, job.pk, job.claim)
    world.quiet(60)
    job.refresh_from_db()
    check(job.state == "done", f"the job is {job.state}: {job.reason}")
    return {"killed": len(killed), "restart": restart} | invariants.hold(world, [held], since)


@experiment("F02")
def killed_while_parsing(world: World) -> dict[str, Any]:
    """A pool process killed while it reads a file has stored nothing of it, and all of it afterwards."""
    since = time.time()
    with gate(world, BLOCKS) as held_at:
        held = world.connect(ESSEX)
        held_at.arrival()
        job = running(held)
        kill_busy(world)
    restart = claimed_again(held, job.pk, job.claim)
    world.quiet(60)
    return {"restart": restart} | invariants.hold(world, [held], since)


@experiment("F03")
def killed_before_commit(world: World) -> dict[str, Any]:
    """A pool process killed when all is written and nothing committed, or while it commits, doubles nothing."""
    since = time.time()
    connected = []
    for at_commit in (False, True):
        with gate(world, "espi_document" if at_commit else BLOCKS, at_commit=at_commit) as held_at:
            held = world.connect(PGE if at_commit else CECONY_V1)
            held_at.arrival(90)
            kill_busy(world)
        connected.append(held)
        world.quiet(120)
    return invariants.hold(world, connected, since)


@experiment("F04")
def whole_worker_killed(world: World) -> dict[str, Any]:
    """A worker killed with all its processes while it holds ten jobs: another one runs them all."""
    since = time.time()
    first = world.connect(ESSEX)  # brings the ReadingType, which all the others share
    world.quiet(60)
    for worker in world.workers:
        worker.stop()
    many = world.program("many", like="downloads", concurrency=12).start()
    with gate(world, BLOCKS) as held_at:
        browser = world.signed_in()
        held = [world.connect(ESSEX, browser=browser) for _ in range(10)]
        held_at.arrival(90, count=10)
        many.kill()
        killed = time.monotonic()
    for worker in world.workers:
        worker.start()
    from espi.models import FetchJob

    mine = FetchJob.objects.filter(authorization__in=held, state=FetchJob.State.RUNNING, attempts__lte=1)
    until(lambda: not mine.exists(), RESTART + 60, "all ten are claimed again")
    restart = round(time.monotonic() - killed, 1)
    world.quiet(300)
    return {"restart": restart} | invariants.hold(world, [first, *held], since)
