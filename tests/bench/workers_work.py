"""A day's news of many connections in the whole product: real workers, a utility that takes its time to answer."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.bench.measure import Sample

ANSWERS_AFTER = 0.5  # seconds: half of what Con Edison's developer portal shows for a small answer
NAMES = ("one", "two")


def compared(count: int) -> Sample:
    """`told`: seconds that one worker needs for so many connections' news, and two for as many others'.

    A worker has one process. The news are announced, so each connection is two calls and a notification.
    """
    from tests.chaos.storm import copies
    from tests.chaos.work import ready
    from tests.chaos.world import World, check
    from tests.journeys.customers import CECONY_V2

    world = World()
    try:
        world.start()
        held = copies(world, ready(world, CECONY_V2, kinds=("usage",)), 2 * count)
        told: dict[str, Any] = {}
        with resting(world):
            for running, some in ((1, held[:count]), (2, held[count:])):
                told[NAMES[running - 1]] = a_day(world, some, running)
        done = jobs_of(held, kind="download", state="done").count()
        check(done == 2 * count, f"{done} files came, for {2 * count} connections")
    finally:
        world.close()
    return Sample(told=told | {"files": done})


@contextmanager
def resting(world: Any) -> Iterator[None]:
    """The workers of other experiments do nothing: either would fetch beside ours. Ours are stopped at the end."""
    for worker in world.workers:
        worker.stop()
    world.wire.late = ANSWERS_AFTER
    try:
        yield
    finally:
        world.wire.late = 0.0
        for name in NAMES:
            if name in world.programs:
                world.programs[name].stop()


def a_day(world: Any, held: list[Any], running: int) -> float:
    """Seconds from the moment that everybody's news are due to the last file stored, with so many workers."""
    from portal.flows import fetch
    from tests.chaos.world import until

    for name in NAMES[:running]:
        world.program(name, like="downloads", concurrency=1).start()
    until(lambda: listening(NAMES[:running]), 60, "the workers listen")
    newsworthy(held)
    fetch.plan(datetime.now(UTC))
    began = time.monotonic()
    patience = 60 + 3 * len(held)  # one worker needs a little more than two answers' time for each
    until(lambda: jobs_of(held, kind="download", state="done").count() == len(held), patience, "all news are here")
    seconds = time.monotonic() - began
    world.quiet(60)
    return seconds


def listening(names: tuple[str, ...]) -> bool:
    from portal.celery import app
    from tests.chaos.world import node

    nodes = [node(name) for name in names]
    return len(app.control.ping(timeout=1.0, destination=nodes)) == len(nodes)


def newsworthy(held: list[Any]) -> None:
    """Everybody's usage is complete to the day before yesterday, and asked for again now."""
    from portal.models import FetchPlan

    now = datetime.now(UTC)
    FetchPlan.objects.filter(authorization__in=held).exclude(part="usage").update(next_at=now + timedelta(days=2))
    usage = FetchPlan.objects.filter(authorization__in=held, part="usage")
    usage.update(next_at=now, asked_at=now - timedelta(days=1), complete_to=now - timedelta(days=2))


def jobs_of(held: list[Any], **where: Any) -> Any:
    from espi.models import FetchJob

    return FetchJob.objects.filter(authorization__in=held, **where)
