"""The customer's pages: the time of the server and the statements, for a customer with two years of three connections."""

from collections.abc import Iterator

from tests.bench.figures import Figure, at_most
from tests.bench.harness import Bench

DAYS = 730
REPEATS = 15
MOST_MILLISECONDS, MOST_STATEMENTS = 60, 12
BARE = "help"  # a page of words alone: the frame that every page has


def figures(bench: Bench) -> Iterator[Figure]:
    """Each page's median beside that of a page of words alone, measured in turns in one process."""
    days, repeats = (9, 1) if bench.quick else (DAYS, REPEATS)
    bench.emptied()
    told = bench.stored("pages_work:visit", days=days, repeats=repeats).told["pages"]
    bare = told[BARE]
    for name, page in told.items():
        note = f"{page['cpu'] / bare['cpu']:.1f} x the bare page; {page['ms']:.0f} ms passed; {page['bytes'] / 1000:.0f} kB"
        yield at_most(f"page: {name}", page["cpu"], "ms", MOST_MILLISECONDS, note)
    for name, page in told.items():
        yield at_most(f"page: {name}: statements", page["statements"], "", MOST_STATEMENTS)
