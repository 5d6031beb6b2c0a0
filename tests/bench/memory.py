"""The most memory that storing a document takes, whatever its length: with Django, in a process of its own."""

from collections.abc import Iterator
from itertools import product

from tests.bench.figures import Figure, at_most
from tests.bench.harness import Bench
from tests.bench.measure import Sample

SHAPES = {"coned": "ConEd-like", "one_block": "one giant block"}
SMALL, LARGE = 25, 250  # megabytes
ROUNDS = 3  # memory hardly varies, and these take their time


def figures(bench: Bench) -> Iterator[Figure]:
    """How much more a document of 250 MB takes than one of 25 MB, and what both take."""
    methods = {
        (shape, size): lambda shape=shape, size=size: _stored(bench, shape, size)
        for shape, size in product(SHAPES, (SMALL, LARGE))
    }
    found = bench.interleaved(methods, min(ROUNDS, bench.rounds))
    ordinary = found.peak(("coned", SMALL))
    for shape, name in SHAPES.items():
        small, large = (found.peak((shape, size)) for size in (SMALL, LARGE))
        note = f"{small:.1f} MiB and {large:.1f} MiB; {found.told((shape, LARGE), 'readings'):,} readings"
        yield at_most(f"memory: {name}, 250 MB above 25 MB", large - small, "MiB", 8, note)
    giant = found.peak(("one_block", LARGE))
    yield at_most("memory: a giant block of 250 MB above ordinary 25 MB", giant - ordinary, "MiB", 8)
    yield at_most("memory: the most of all", max(giant, found.peak(("coned", LARGE))), "MiB", None)


def _stored(bench: Bench, shape: str, megabytes: int) -> Sample:
    bench.emptied()
    return bench.stored("stored:store", path=str(bench.document(shape, megabytes)))
