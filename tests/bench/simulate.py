"""A day of very many connections, simulated: `python -m tests.bench.simulate`.

What is taken from the product: each utility's declared budgets and the hours it likes to be asked in, the minute of the
day each connection has, how often it is asked. What is taken from measurement (docs/scaling.md): a job's statements and
CPU time. What is assumed: how long a utility takes to answer, and to announce a file. A call is granted in the order in
which calls are asked for, as the budgets do it; a worker's process does one thing at a time.
"""

import argparse
import heapq
import os
import random
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

HOUR, DAY = 3600.0, 86_400.0
BEGAN = datetime(2026, 3, 10, tzinfo=UTC)
SHARE = 0.8  # of a large budget: flows.budgets


@dataclass(frozen=True)
class Costs:
    """Of one job, measured; of a utility, assumed. Seconds, but for `statements`."""

    cpu: float = 0.030
    statements: int = 34
    answer: float = 0.5  # a utility's time for any answer
    announced_after: float = HOUR  # in the middle; Con Edison: "usually an hour"


@dataclass(frozen=True)
class Way:
    """How a connection is asked: `calls` before an announcement, `files` after it, `days` from one time to the next."""

    name: str
    slug: str
    tokens: int
    files: int
    days: int = 1


WAYS = (
    Way("PG&E, each daily", "pge", 1, 2),
    Way("PG&E, with a bulk id", "pge", 1, 2, days=7),
    Way("Con Edison, each daily", "cecony", 1, 1),
    Way("Con Edison, with a bulk id", "cecony", 1, 1, days=7),
    Way("UtilityAPI", "essex", 1, 0),
)
PROCESSES = {10_000: 2, 100_000: 8, 1_000_000: 64}  # of workers, on any number of machines


ASKED_FOR = ("token", "call", "file")


@dataclass
class Limit:
    """A budget: no more than `calls` in any `seconds`, or between two resets. Calls are granted in their order."""

    calls: int
    seconds: float
    tokens_only: bool
    resets_at: float | None  # seconds into the day, UTC
    granted: deque[float] = field(default_factory=deque)

    def earliest(self, now: float) -> float:
        """When the next call is free."""
        if len(self.granted) < self.calls:
            return now
        oldest = self.granted[0]
        if self.resets_at is None:
            return max(now, oldest + self.seconds)
        return max(now, oldest - (oldest - self.resets_at) % DAY + DAY)

    def take(self, at: float) -> None:
        self.granted.append(at)
        if len(self.granted) > self.calls:
            self.granted.popleft()


@dataclass
class Outcome:
    """Of a day. `late`: seconds from a connection's time to its data, of those that were done."""

    asked: int = 0
    calls: int = 0
    late: list[float] = field(default_factory=list)
    busy: float = 0.0
    hours: Counter[int] = field(default_factory=Counter)  # jobs in each hour

    def percentile(self, share: float) -> float:
        """Hours."""
        return self.late[min(int(len(self.late) * share), len(self.late) - 1)] / HOUR if self.late else float("nan")


class Day:
    """One way of asking, so many connections, so many processes of workers, from midnight UTC for two days.

    Only connections whose time falls on the first day are counted; the second is there to finish them.
    """

    def __init__(self, way: Way, connections: int, processes: int, costs: Costs, seed: int = 1) -> None:
        self.way, self.costs, self.chance = way, costs, random.Random(seed)
        self.limits, self.asking_hours = declared(way.slug)
        self.free = [0.0] * processes
        self.outcome, self.processes = Outcome(), processes
        self.times = sorted(self._times(connections))

    def _times(self, connections: int) -> Iterator[float]:
        """When each connection whose day it is asks, as `planning.next_time` spreads them."""
        from portal.flows.fetch.planning import SPREAD

        first, length = self.asking_hours
        for number in range(0, connections, self.way.days):
            yield first + number * SPREAD % int(length)

    def run(self) -> Outcome:
        """All of it."""
        steps = ["token"] * self.way.tokens + ["call"]
        events: list[tuple[float, int, float, list[str]]] = []
        for number, at in enumerate(self.times):
            events.append((at, number, at, steps))
        number = len(events)
        self.outcome.asked = len(events)
        heapq.heapify(events)
        while events:
            now, _, began, left = heapq.heappop(events)
            ended, left = self._step(now, left)
            number += 1
            if left:
                heapq.heappush(events, (ended, number, began, left))
                continue
            self.outcome.late.append(ended - began)
            self.outcome.hours[int(ended // HOUR)] += 1
        self.outcome.late.sort()
        return self.outcome

    def _step(self, now: float, left: Sequence[str]) -> tuple[float, list[str]]:
        """One call, or the wait for an announcement: when it ends, and what is left to do."""
        what, rest = left[0], list(left[1:])
        if what == "announcement":
            return now + self.chance.expovariate(1 / self.costs.announced_after), rest
        if what in ASKED_FOR and (granted := self._granted(now, is_token=what == "token")) > now:
            return granted, [f"granted {what}", *rest]  # meanwhile the worker does something else
        began = max(now, heapq.heappop(self.free))
        took = self.costs.answer + self.costs.cpu / (1 + self.way.tokens + self.way.files)
        heapq.heappush(self.free, began + took)
        self.outcome.busy += took
        self.outcome.calls += 1
        if what.endswith("call") and self.way.files:
            rest = ["announcement", *["file"] * self.way.files]
        return began + took, rest

    def _granted(self, now: float, *, is_token: bool) -> float:
        used = [limit for limit in self.limits if is_token or not limit.tokens_only]
        at = max((limit.earliest(now) for limit in used), default=now)
        for limit in used:
            limit.take(at)
        return at


def declared(slug: str) -> tuple[list[Limit], tuple[float, float]]:
    """A utility's budgets, as far as they are for work nobody waits for; and its hours: (first second UTC, how many)."""
    import utilities
    from portal.flows.budgets import LARGE

    utility = utilities.get(slug)
    limits = []
    for each in utility.budgets:
        reset = each.free_after(BEGAN) if each.resets_at else None
        calls = each.calls if each.calls < LARGE else int(each.calls * SHARE)
        seconds = (reset - BEGAN).total_seconds() if reset else None
        limits.append(Limit(calls, each.seconds, each.tokens_only, seconds))
    first = utility.midnight(utility.today(BEGAN)) + timedelta(hours=utility.news_from_hour)
    return limits, ((first - BEGAN).total_seconds() % DAY, utility.news_hours * HOUR)


HEADING = (
    "connections",
    "utility",
    "processes",
    "calls a day",
    "half / 95 % have their data after",
    "processes busy",
    "statements a second, mean / busiest hour",
)


def row(way: Way, connections: int, processes: int, costs: Costs) -> list[str]:
    """A line of the table."""
    found = Day(way, connections, processes, costs).run()
    span = max(found.hours) - min(found.hours) + 1
    busy = found.busy / (processes * span * HOUR)
    peak = max(found.hours.values()) * costs.statements / HOUR
    return [
        f"{connections:,}",
        way.name,
        str(processes),
        f"{found.calls:,}",
        f"{hours(found.percentile(0.5))} / {hours(found.percentile(0.95))}",
        f"{busy:.0%}",
        f"{found.asked * costs.statements / DAY:.1f} / {peak:.1f}",
    ]


def hours(number: float) -> str:
    """For people."""
    return f"{number:.1f} h" if number < 48 else f"{number / 24:.0f} days"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.simulate", description=__doc__)
    parser.add_argument("--connections", type=int, nargs="+", default=list(PROCESSES))
    parser.add_argument("--processes", type=int, help="of workers, instead of what docs/scaling.md names for each size")
    parser.add_argument("--answer", type=float, default=Costs.answer, help="seconds a utility takes to answer")
    parser.add_argument("--cpu", type=float, default=Costs.cpu, help="seconds of a worker for one connection")
    asked = parser.parse_args()
    costs = Costs(cpu=asked.cpu, answer=asked.answer)
    set_up()
    print(f"| {' | '.join(HEADING)} |\n|{'---|' * len(HEADING)}", flush=True)
    for connections in asked.connections:
        for way in WAYS:
            processes = asked.processes or PROCESSES.get(connections, 8)
            print(f"| {' | '.join(row(way, connections, processes, costs))} |", flush=True)


def set_up() -> None:
    """Django, without a database: only declarations are read."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    os.environ.setdefault("SECRET_KEY", "nothing is signed here")
    os.environ.setdefault("FIELD_ENCRYPTION_KEYS", "")
    django.setup()


if __name__ == "__main__":
    main()
