"""The staff site's pages: the time of the server and the statements, among very many rows; no big table is counted."""

from collections.abc import Iterator

from tests.bench.figures import Figure, at_most
from tests.bench.harness import Bench

JOBS, CONNECTIONS = 1_000_000, 100_000
REPEATS = 7
MOST_MILLISECONDS, MOST_STATEMENTS = 300, 25


def figures(bench: Bench) -> Iterator[Figure]:
    """Each page's CPU time with its database session's, as an owner opens it who has given a reason."""
    jobs, connections, repeats = (40, 10, 1) if bench.quick else (JOBS, CONNECTIONS, REPEATS)
    bench.emptied()
    bench.stored("staff_work:furnish", jobs=jobs, connections=connections)
    bench.settled()
    told = bench.stored("staff_work:visit", repeats=repeats).told["pages"]
    for name, page in told.items():
        note = f"by the wall clock {page['wall']:.0f}; {page['bytes'] / 1000:.0f} kB"
        yield at_most(f"staff: {name}", page["ms"], "ms", MOST_MILLISECONDS, note)
    for name, page in told.items():
        yield at_most(f"staff: {name}: statements", page["statements"], "", MOST_STATEMENTS)
    yield at_most("staff: counts of a whole big table", sum(page["counts"] for page in told.values()), "", 0)
