"""The engine: sweeping a large queue, sending wake-ups, a day's news of many connections, a storm of refreshes."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portal.local import servers
from tests.bench.figures import Figure, at_least, at_most
from tests.bench.harness import Bench
from tests.bench.workers_work import ANSWERS_AFTER

IDLE, DUE = 1_000_000, 1_000
POSTED, AT_ONCE = 5_000, 50
DISPATCHED, SENT_ALONE = 100_000, 5_000
CONNECTIONS = 1_000
EXPIRED, JOBS_EACH, JOBS_EACH_IN_FULL = 500, 5, 50


def figures(bench: Bench) -> Iterator[Figure]:
    """With the database on this machine, and a broker of our own."""
    small = 100 if bench.quick else 1
    os.environ["LOG_LEVEL"] = "ERROR"
    with broker(bench.directory):
        yield from _notifications(bench, small)
        yield from _claiming(bench, small)
        yield from _dispatching(bench, small)
        yield from _news(bench, small)
        if not bench.quick:  # the fault experiments of the suite start the same programs
            yield from _workers(bench)
        yield from _storm(bench, small)


@contextmanager
def broker(directory: Path) -> Iterator[None]:
    """A Valkey for the time being, unless REDIS_URL names one."""
    if servers.given("REDIS_URL"):
        yield
        return
    directory.mkdir(parents=True, exist_ok=True)
    ours = servers.Valkey(Path(tempfile.mkdtemp(prefix="valkey-", dir=directory)), durable=False)
    try:
        ours.start()
        os.environ["REDIS_URL"] = ours.url
        yield
    finally:
        os.environ.pop("REDIS_URL", None)
        ours.stop()
        servers.remove(ours)


def _notifications(bench: Bench, small: int) -> Iterator[Figure]:
    words = {"count": POSTED // small, "at_once": AT_ONCE, "rounds": 1 if bench.quick else 5}
    told = bench.stored("endpoint_work:compared", **words).told
    rate = told["ours_a_second"] / told["bare_a_second"]
    note = f"{told['ours_a_second']:.0f} a second / {told['bare_a_second']:.0f} a second, {AT_ONCE} at once"
    yield at_least("notifications: throughput / a bare view with one INSERT", rate, "x", 0.6, note)
    note = f"{told['ours_p99'] * 1000:.0f} ms / {told['bare_p99'] * 1000:.0f} ms"
    slower = told["ours_p99"] / told["bare_p99"]
    yield at_most("notifications: 99th percentile / of the bare view", slower, "x", 2, note)
    yield at_most(f"notifications: 99th percentile, {AT_ONCE} at once", told["ours_p99"] * 1000, "ms", 300)
    yield at_most("notifications: the slowest, Valkey frozen", told["frozen"] * 1000, "ms", 1000)


def _claiming(bench: Bench, small: int) -> Iterator[Figure]:
    many = bench.stored("engine_work:claiming", idle=IDLE // small, due=DUE // small).told
    few = bench.stored("engine_work:claiming", idle=DUE // small, due=DUE // small).told
    note = f"by the wall clock {many['wall'] * 1000:.1f} ms"
    yield at_most("sweep: marking 1,000 due among 1,000,000 idle jobs", many["cpu"] * 1000, "ms", 50, note)
    note = f"{many['least'] * 1000:.1f} ms / {few['least'] * 1000:.1f} ms, the least of nine"
    yield at_most("sweep: the same / among 1,000 idle jobs", many["least"] / few["least"], "x", 1.2, note)


def _dispatching(bench: Bench, small: int) -> Iterator[Figure]:
    batches = bench.stored("engine_work:dispatching", due=DISPATCHED // small)
    alone = bench.stored("engine_work:one_by_one", due=SENT_ALONE // small)
    for_all = alone.wall * DISPATCHED / SENT_ALONE
    note = f"{batches.wall:.2f} s / {for_all:.1f} s (from {SENT_ALONE // small} sent)"
    yield at_most("dispatch of 100,000 due jobs / a task for each", batches.wall / for_all, "x", 0.1, note)


def _news(bench: Bench, small: int) -> Iterator[Figure]:
    found = bench.stored("engine_work:a_days_news", count=CONNECTIONS // small)
    note = f"{found.told['a_second']:.0f} connections a second in one process, a utility that answers at once"
    yield at_most("a day's news: statements per connection", found.told["statements"], "SQL", 40, note)


def _workers(bench: Bench) -> Iterator[Figure]:
    count = CONNECTIONS if bench.full else CONNECTIONS // 10
    told = bench.fresh("workers_work:compared", count=count).told
    note = f"{told['one']:.1f} s / {told['two']:.1f} s for {count} connections, answers after {ANSWERS_AFTER} s"
    yield at_least("a day's news: two workers / one", told["one"] / told["two"], "x", 1.7, note)


def _storm(bench: Bench, small: int) -> Iterator[Figure]:
    count, each = EXPIRED // small, JOBS_EACH_IN_FULL if bench.full else JOBS_EACH
    told = bench.stored("engine_work:storm", count=count, each=each).told
    words = f"{told['token_calls']} calls for {count} connections with {each} jobs each, all {told['done']} done"
    yield at_most("refresh storm: token calls per connection", told["token_calls"] / count, "calls", 1, words)
    yield at_most("refresh storm: token calls in any minute", told["most"], "calls", 40)
