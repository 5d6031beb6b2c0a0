"""F01 to F08: workers that die, are told to stop, or meet what they do not know."""

import os
import signal
import time
from typing import Any

from tests.chaos import invariants
from tests.chaos.experiments import experiment
from tests.chaos.gates import gate
from tests.chaos.work import BLOCKS, has_his_data, kill_busy, nothing_is_stored, pids_of, queue, ready, running
from tests.chaos.world import PACE, World, check, until
from tests.journeys.customers import CECONY_V1, ESSEX, PGE

LEASE, SWEEP = float(PACE["JOB_LEASE_SECONDS"]), float(PACE["SWEEP_SECONDS"])
RESTART = LEASE + 2 * SWEEP + 12  # seconds: a lost job is claimed again; six minutes in production


def claimed_again(job: Any, seconds: float = RESTART) -> float:
    """How long until another claim than this one holds the job, or it has ended."""
    began = time.monotonic()
    mine = type(job).objects.filter(pk=job.pk)
    again = lambda: mine.exclude(claim=job.claim).exists() or mine.filter(state="done").exists()  # noqa: E731
    until(again, seconds, "the lost job is claimed again")
    return round(time.monotonic() - began, 1)


@experiment("F01", kind="kill")
def killed_during_download(world: World) -> dict[str, Any]:
    """A pool process killed while a file comes down loses nothing: the job starts again within a lease."""
    since = time.time()
    before = len(world.wire.spoiled)
    world.wire.spoil("/Batch/Subscription", "trickle", times=2, seconds=8)
    held = world.connect(ESSEX)
    until(lambda: len(world.wire.spoiled) >= before + 2, 60, "the file comes down")
    time.sleep(0.5)
    job = running(held)
    killed = kill_busy(world)
    restart = claimed_again(job)
    world.quiet(120)
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
    nothing_is_stored(held)
    restart = claimed_again(job)
    world.quiet(120)
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
    world.quiet(120)
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
        job = connected[-1].fetch_jobs.get(kind="usage")
        took = max(worker.stop(patience) for worker in world.workers)
        check(took <= 60, f"a worker took {took:.0f} s to stop")
        state = connected[-1].fetch_jobs.get(kind="usage").state
        check(patience < seconds or state == "done", f"after a stop in time the job is {state}")
        for worker in world.workers:
            worker.start()
        again = 0.0 if state == "done" else claimed_again(job)
        found[f"file of {seconds} s, killed after {patience} s"] = f"{took:.0f} s, {state}, again after {again} s"
    world.quiet(120)
    return found | invariants.hold(world, connected, since)


@experiment("F06")
def file_that_kills(world: World) -> dict[str, Any]:
    """A file that kills every worker is tried eight times, then failed in words; other jobs are not affected."""
    since = time.time()
    first = ready(world, ESSEX)
    world.wire.spoil(f"/Batch/Subscription/{first.utility_subscription_id}", "trickle", times=50, seconds=90)
    (job,) = queue(first, 1)
    kills = [kill_runner(world, job)]
    other = world.connect(ESSEX)
    waited = has_his_data(other)
    job.refresh_from_db()
    check(job.state in job.OPEN, f"the job had ended before the other customer had his data: {job.state}")
    while len(kills) < 8:
        kills.append(kill_runner(world, job))
    until(lambda: has_failed(job), RESTART + 20, "the job has failed")
    world.wire.rules.clear()
    words = f"after {job.attempts} attempts and {sum(kills)} kills it is {job.state}: {job.reason}"
    check(job.attempts == 8 and job.reason, words)
    world.quiet(120)
    return {"kills": sum(kills), "reason": job.reason, "other_after": waited} | invariants.hold(world, [other], since)


def kill_runner(world: World, job: Any) -> int:
    """kill -9 for the process that has claimed this job, once the claim is a new one; how many were killed."""
    before = job.claim

    def claimed() -> bool:
        job.refresh_from_db()
        return bool(job.state == "running" and job.claim != before)

    until(claimed, RESTART + 60, f"the job is claimed for attempt {job.attempts + 1}")
    pids = until(lambda: pids_of(world, job.pk), 20, "a process runs the job")
    for pid in set(pids):
        os.kill(pid, signal.SIGKILL)
    return len(set(pids))


def has_failed(job: Any) -> bool:
    job.refresh_from_db()
    return bool(job.state == "failed")


@experiment("F07")
def hard_time_limit(world: World) -> dict[str, Any]:
    """A job that Celery's hard time limit ends each time is failed in words after its last attempt; others are not affected."""
    since = time.time()
    first = ready(world, ESSEX)
    downloads = world.programs["downloads"]
    downloads.stop()
    limited = world.program("limited", like="downloads", CELERY_TASK_TIME_LIMIT="4").start()
    try:
        world.wire.spoil(f"/Batch/Subscription/{first.utility_subscription_id}", "trickle", times=50, seconds=90)
        (job,) = queue(first, 1)
        type(job).objects.filter(pk=job.pk).update(attempts=5)  # three are left
        waited = has_his_data(other := world.connect(ESSEX))
        until(lambda: has_failed(job), 240, "it has failed")
    finally:
        world.wire.rules.clear()
        limited.stop()
        downloads.start()
    check(job.attempts == 8 and job.reason, f"{job.attempts} attempts: {job.reason}")
    limits = limited.text().count("Hard time limit")
    check(limits >= 3, f"the hard time limit was met {limits} times")
    world.quiet(120)
    return {"limits": limits, "reason": job.reason, "other_after": waited} | invariants.hold(world, [other], since)


@experiment("F08")
def unknown_task(world: World) -> dict[str, Any]:
    """A worker that meets a task of another release drops the message; the job runs all the same."""
    from portal.celery import app
    from portal.flows.fetch import waking

    since = time.time()
    held = world.connect(ESSEX)
    world.quiet(120)
    with world.frozen_workers():
        jobs = queue(held, 3)
        world.valkey.client().flushall()
        for name in ("interactive", "downloads", "housekeeping"):
            ids = [job.pk for job in jobs]
            app.send_task(f"{waking.RUN_JOBS}_of_tomorrow", kwargs={"job_ids": ids}, queue=name)
    world.quiet(120)
    met = sum(worker.text().count("of_tomorrow") for worker in world.workers)
    check(met >= 3, f"the workers met it {met} times")
    states = set(held.fetch_jobs.filter(pk__in=[job.pk for job in jobs]).values_list("state", flat=True))
    check(states == {"done"}, f"the jobs are {states}")
    return {"met": met} | invariants.hold(world, [held], since)
