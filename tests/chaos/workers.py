"""F01 to F08: workers that die, are told to stop, or meet what they do not know."""

import os
import signal
import time
from typing import Any

from tests.chaos import invariants
from tests.chaos.experiments import experiment
from tests.chaos.gates import gate
from tests.chaos.work import BLOCKS, kill_busy, pids_of, queue, running
from tests.chaos.world import PACE, World, check, until
from tests.journeys.customers import CECONY_V1, ESSEX, PGE

LEASE, SWEEP = float(PACE["JOB_LEASE_SECONDS"]), float(PACE["SWEEP_SECONDS"])
RESTART = LEASE + 2 * SWEEP + 6  # seconds: a lost job is claimed again


def claimed_again(authorization: Any, job_id: int, claim: Any, seconds: float = RESTART) -> float:
    """How long until another claim holds the job, or it has ended."""
    from espi.models import FetchJob

    began = time.monotonic()
    mine = FetchJob.objects.filter(pk=job_id)
    again = lambda: mine.exclude(claim=claim).exists() or mine.filter(state=FetchJob.State.DONE).exists()  # noqa: E731
    until(again, seconds, "the lost job is claimed again")
    return round(time.monotonic() - began, 1)


@experiment("F01", kind="kill")
def killed_during_download(world: World) -> dict[str, Any]:
    """A pool process killed while a file comes down loses nothing: the job starts again within a lease."""
    since = time.time()
    world.wire.spoil("/Batch/Subscription", "trickle", times=2, seconds=4)
    held = world.connect(ESSEX)
    until(lambda: len(world.wire.spoiled) >= 2, 20, "the file comes down")
    time.sleep(0.5)
    job = running(held)
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


@experiment("F05")
def told_to_stop(world: World) -> dict[str, Any]:
    """Workers told to stop while files come down finish them; what they cannot finish in time is released."""
    since, found, connected = time.time(), {}, []
    for seconds, patience in ((6, 60), (30, 8)):
        world.wire.spoil("/Batch/Subscription", "trickle", times=2, seconds=seconds)
        before = len(world.wire.spoiled)
        connected.append(world.connect(ESSEX))
        until(lambda before=before: len(world.wire.spoiled) >= before + 2, 60, "the file comes down")
        took = max(worker.stop(patience) for worker in world.workers)
        check(took <= 60, f"a worker took {took:.0f} s to stop")
        state = connected[-1].fetch_jobs.get(kind="usage").state
        check(patience < seconds or state == "done", f"after a stop in time the job is {state}")
        found[f"file of {seconds} s, killed after {patience} s"] = f"{took:.0f} s, {state}"
        for worker in world.workers:
            worker.start()
    world.quiet(90)
    return found | invariants.hold(world, connected, since)


@experiment("F06")
def file_that_kills(world: World) -> dict[str, Any]:
    """A file that kills every worker is tried eight times, then failed in words; other jobs are not affected."""
    since = time.time()
    first = world.connect(ESSEX)
    world.quiet(60)
    (job,) = queue(first, 1)
    killed: set[int] = set()
    with gate(world, "espi_document"):
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and job.state != "failed":
            for pid in set(pids_of(world, job.pk)) - killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            time.sleep(0.3)
            job.refresh_from_db()
    words = f"after {job.attempts} attempts and {len(killed)} kills it is {job.state}: {job.reason}"
    check(job.state == "failed" and job.attempts == 8 and job.reason, words)
    other = world.connect(ESSEX)
    world.quiet(60)
    return {"kills": len(killed), "reason": job.reason} | invariants.hold(world, [other], since)


@experiment("F07")
def hard_time_limit(world: World) -> dict[str, Any]:
    """A job that Celery's hard time limit ends each time is failed in words after its last attempt."""
    from espi.models import FetchJob

    since = time.time()
    first = world.connect(ESSEX)
    world.quiet(60)
    for worker in world.workers:
        worker.stop()
    limited = world.program("limited", like="downloads", CELERY_TASK_TIME_LIMIT="4").start()
    try:
        with gate(world, "espi_document"):
            (job,) = queue(first, 1)
            FetchJob.objects.filter(pk=job.pk).update(attempts=5)  # three are left
            until(lambda: FetchJob.objects.get(pk=job.pk).state == "failed", 120, "it has failed")
    finally:
        limited.stop()
    job.refresh_from_db()
    check(job.attempts == 8 and job.reason, f"{job.attempts} attempts: {job.reason}")
    limits = limited.text().count("Hard time limit")
    check(limits >= 3, f"the hard time limit was met {limits} times")
    for worker in world.workers:
        worker.start()
    other = world.connect(ESSEX)
    world.quiet(60)
    return {"limits": limits, "reason": job.reason} | invariants.hold(world, [other], since)


@experiment("F08")
def unknown_task(world: World) -> dict[str, Any]:
    """A worker that meets a task of another release drops the message; the job runs all the same."""
    from portal.celery import app
    from portal.flows.fetch import waking

    since = time.time()
    held = world.connect(ESSEX)
    world.quiet(60)
    with world.frozen_workers():
        jobs = queue(held, 3)
        world.valkey.client().flushall()
        for name in ("interactive", "downloads", "housekeeping"):
            ids = [job.pk for job in jobs]
            app.send_task(f"{waking.RUN_JOBS}_of_tomorrow", kwargs={"job_ids": ids}, queue=name)
    world.quiet(60)
    met = sum(worker.text().count("of_tomorrow") for worker in world.workers)
    check(met >= 3, f"the workers met it {met} times")
    return {"met": met} | invariants.hold(world, [held], since)
