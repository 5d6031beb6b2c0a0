"""Reading back: two years of quarter-hours of one meter among fifty, from the packed rows and from plain ones."""

from collections.abc import Iterator
from datetime import timedelta

from tests.bench.documents import FIRST_DAY
from tests.bench.figures import Figure, at_most
from tests.bench.harness import Bench, Measured
from tests.bench.measure import Sample

METERS = 50
MEGABYTES = 20  # a little more than two years of one meter
DAYS = 730
REPEATS = 10
PAIRS = (
    ("raw", "packed_values", "rows_values", 1 / 3),
    ("raw with cost and quality", "packed_raw", "rows_raw", None),
    ("daily sums", "packed_daily", "rows_daily", 1 / 15),
    ("monthly sums", "packed_monthly", "rows_monthly", 1 / 15),
    ("a page's daily sums, by the ORM", "page_daily", "orm_daily", None),
    ("a page's monthly sums, by the ORM", "page_monthly", "orm_monthly", None),
)
SAME = (
    ("packed_values", "rows_values"),
    ("packed_raw", "rows_raw"),
    ("packed_daily", "rows_daily", "page_daily", "orm_daily"),
    ("packed_monthly", "rows_monthly"),
)


def figures(bench: Bench) -> Iterator[Figure]:
    """Times of the packed rows in units of the plain ones'; and whether the answers are the same."""
    meter = _filled(bench)
    asked = bench.interleaved({"all": lambda: _ask(bench, meter)}).samples["all"]
    found = Measured({query: [Sample(**each.told[query]) for each in asked] for query in asked[0].told})
    for name, packed, rows, limit in PAIRS:
        value, _ = found.ratio(packed, rows)
        note = f"{1000 * found.cpu(packed):.2f} ms / {1000 * found.cpu(rows):.2f} ms; by the wall clock "
        note += f"{found.wall(packed) / found.wall(rows):.3g}"
        yield at_most(f"read two years, {name} / plain rows", value, "x", limit, note)
    yield at_most("read two years: answers that differ", _differing(found), "answers", 0)


def _filled(bench: Bench) -> int:
    """Fifty meters in both tables; a meter in the middle of them."""
    bench.emptied()
    bench.stored("stored:store", path=str(bench.document("one_meter", MEGABYTES)))
    meters = bench.stored("stored:copy_meters", copies=METERS - 1).told["meters"]
    bench.stored("rows:copy_readings")
    bench.settled()
    return meters[len(meters) // 2]


def _ask(bench: Bench, meter: int) -> Sample:
    span = {"start": str(FIRST_DAY), "end": str(FIRST_DAY + timedelta(days=DAYS))}
    return bench.stored("reads:ask", meter=meter, repeats=REPEATS, **span)


def _differing(found: Measured) -> int:
    """How many groups of queries that ask the same thing were not answered alike."""
    answers = [{sample.told["answer"] for query in queries for sample in found.samples[query]} for queries in SAME]
    return sum(len(each) > 1 for each in answers)
