"""Whether a database that holds millions of readings stores more of them as fast as an empty one."""

from collections.abc import Iterator

from tests.bench.figures import Figure, at_most
from tests.bench.harness import Bench

MEGABYTES = 25
MILLIONS, ALL_MILLIONS = 20, 200
COPIES_AT_ONCE = 100  # meters of two years


def figures(bench: Bench) -> Iterator[Figure]:
    """Loads in turns into a database that gets its first million readings, and into one that is full."""
    millions = ALL_MILLIONS if bench.full else MILLIONS
    first, full = bench.database, bench.another_database()
    bench.emptied()
    readings, size = _fill(bench, full, millions * 1_000_000 // (4000 if bench.quick else 1))
    path = str(bench.document("coned", MEGABYTES))
    found = bench.interleaved(
        {
            "first": lambda: bench.stored("stored:store", at=first, path=path),
            "full": lambda: bench.stored("stored:store", at=full, path=path),
        },
        2 * bench.rounds,
    )
    value, note = found.ratio("full", "first")
    name = f"growth: a reading beyond {millions} million / of the first million"
    yield at_most(name, value, "x", 1.15, f"{note}; {readings:,} readings were there")
    yield at_most("growth: disk of what was there, a reading", size / readings, "bytes", None)


def _fill(bench: Bench, address: str, readings: int) -> tuple[int, int]:
    """Copy a meter of two years until there are so many readings: (how many there are, bytes of their tables)."""
    path = str(bench.document("one_meter", 20))
    each = bench.stored("stored:store", at=address, path=path).told["readings"]
    copies = -(-readings // each)
    for done in range(0, copies, COPIES_AT_ONCE):
        bench.stored("stored:copy_meters", at=address, copies=min(COPIES_AT_ONCE, copies - done))
    bench.settled(address)
    return each * (1 + copies), bench.stored("stored:sizes", at=address).told["size"]
