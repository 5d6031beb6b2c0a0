"""What experiments do with jobs: ask for more of them, find who runs them, kill him."""

import os
import signal
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from tests.chaos.world import World, check, is_worker, node, until

BLOCKS = "espi_intervalblock"


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


def ready(world: World, profile: Any, **more: Any) -> Any:
    """A connected customer whose first data are here."""
    held = world.connect(profile, **more)
    world.quiet(120)
    held.refresh_from_db()
    return held


def queue_for(authorization: Any) -> list[Any]:
    """One more job of a connection, whichever utility it is at."""
    from portal.flows import fetch

    if authorization.application_information.utility == "essex":
        return queue(authorization, 1)
    return fetch.enqueue_first(authorization, now=datetime.now(UTC))


def expire(*authorizations: Any) -> None:
    """Their access tokens have run out, as we know."""
    for each in authorizations:
        type(each).objects.filter(pk=each.pk).update(access_token_expires_at=datetime.now(UTC) - timedelta(minutes=1))


def busy(world: World) -> list[int]:
    """The pool processes that run jobs, by Celery's own account."""
    from portal.celery import app
    from portal.flows import fetch

    nodes = [node(program.name) for program in world.programs.values() if is_worker(program.words)]
    answers = app.control.inspect(destination=nodes, timeout=5).active() or {}
    return [task["worker_pid"] for tasks in answers.values() for task in tasks if task["name"] == fetch.RUN_JOBS]


def kill_busy(world: World) -> list[int]:
    """kill -9 for every pool process that runs jobs."""
    killed = until(lambda: busy(world), 40, "a pool process is at work")
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    return list(killed)


def pids_of(world: World, job_id: int) -> list[int]:
    """The pool processes that were woken for this job."""
    from portal.celery import app

    nodes = [node(program.name) for program in world.programs.values() if is_worker(program.words)]
    answers = app.control.inspect(destination=nodes, timeout=3).active() or {}
    found = [task for tasks in answers.values() for task in tasks if job_id in task["kwargs"].get("job_ids", [])]
    return [task["worker_pid"] for task in found]


def running(authorization: Any) -> Any:
    """The job that brings a connection's usage, while somebody runs it."""
    return authorization.fetch_jobs.filter(state="running", kind="usage").first()


def nothing_is_stored(authorization: Any) -> None:
    """Of a file whose worker is dead there must be nothing, before somebody reads it again."""
    from espi.models import Document, IntervalBlock

    blocks = IntervalBlock.objects.filter(meter_reading__usage_point__subscription=authorization.subscription_id)
    found = (Document.objects.filter(subscription=authorization.subscription_id).count(), blocks.count())
    check(found == (0, 0), f"{found} documents and blocks were stored of a file whose worker died")


def has_his_data(authorization: Any, seconds: float = 60) -> float:
    """How long until a new customer's first data are here."""
    began = time.monotonic()
    first = authorization.fetch_jobs.filter(kind="usage", state="done")
    until(first.exists, seconds, "another customer has his data")
    return round(time.monotonic() - began, 1)


def nobody_ended(world: World, processes: dict[str, int]) -> None:
    """Programs, by name, still have the process numbers they had."""
    now = {name: program.pid for name, program in world.programs.items() if program.runs()}
    ended = [name for name, pid in processes.items() if now.get(name) != pid]
    check(not ended, f"{ended} ended meanwhile")


def reasons(authorization: Any) -> list[str]:
    return [f"{job.kind} {job.state}: {job.reason}" for job in authorization.fetch_jobs.order_by("pk")]
