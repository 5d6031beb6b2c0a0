"""Documents into PostgreSQL: the first time, the same again, and the same with one byte more; and what they take up."""

from collections.abc import Iterator
from statistics import median

from tests.bench import documents
from tests.bench.figures import Figure, at_least, at_most
from tests.bench.harness import Bench, Measured
from tests.bench.measure import Sample

MEGABYTES = 25
PROMISED = "coned"
SHOWN = {"pge": "PG&E-like", "utilityapi": "UtilityAPI-like"}
ANOTHER = "gas"  # whatever is no repetition
REPEATS = {"again": "the same file again", "longer": "one byte more, compared in storage"}


def figures(bench: Bench) -> Iterator[Figure]:
    """Of 25 MB files, one transaction each, everything synced to disk."""
    found = bench.interleaved(_Loads(bench, PROMISED).whole())
    value, note = found.ratio("first", "floor")
    yield at_most("load ConEd-like / bare pass", value, "x", 2.5, note)
    value, note = found.ratio("textbook", "first")
    yield at_least("load ConEd-like: faster than the textbook way", value, "x", 8, note)
    for method, words in REPEATS.items():
        yield from _repeat(found, method, words)
    yield from _space(found)
    for shape, name in SHOWN.items():
        value, note = bench.interleaved(_Loads(bench, shape).first()).ratio("first", "floor")
        yield at_most(f"load {name} / bare pass", value, "x", None, note)


def _repeat(found: Measured, method: str, words: str) -> Iterator[Figure]:
    value, note = found.ratio(method, "first")
    yield at_most(f"{words} / first load", value, "x", 1, note)
    per_million = 1 / found.told("first", "readings")
    documents_own = found.told(method, "wal_of_documents")
    note = f"and {documents_own * per_million:.2f} for the bytes of another document, which are kept"
    wal = (found.told(method, "wal") - documents_own) * per_million
    yield at_most(f"{words}: WAL", wal, "MB/M", 1, note if documents_own else "")
    grown = found.told(method, "size") - found.told("settled", "size")
    yield at_most(f"{words}: tables and indexes grown by", grown, "bytes", 0)


def _space(found: Measured) -> Iterator[Figure]:
    readings = found.told("first", "readings")
    alone = [sample.told["alone"] for sample in found.samples["settled"]]
    size, kept = (median(each[what] for each in alone) / readings for what in ("size", "size_of_documents"))
    yield at_most("disk: a 15-minute reading with cost and quality", size, "bytes", 24, "indexes included")
    yield at_most(
        "disk: the document that said it, per reading", kept, "bytes", None, "compressed; kept as long as set"
    )


class _Loads:
    """The methods of one round, in order: each finds what the one before it left."""

    def __init__(self, bench: Bench, shape: str) -> None:
        self.bench, self.path = bench, bench.document(shape, MEGABYTES)
        self.longer = documents.one_byte_more(self.path)
        self.subscription: int | None = None

    def first(self) -> dict:
        return {"floor": self._floor, "first": self._first}

    def whole(self) -> dict:
        return self.first() | {
            "settled": self._settled,
            "again": lambda: self._store(self.path),
            "longer": lambda: self._store(self.longer),
            "textbook": lambda: self.bench.stored("rows:textbook", path=str(self.path)),
        }

    def _floor(self) -> Sample:
        return self.bench.fresh("parsing:floor", path=str(self.path))

    def _first(self) -> Sample:
        self.bench.emptied()
        self.subscription = None
        sample = self._store(self.path)
        self.subscription = sample.told["subscription"]
        return sample

    def _store(self, path: object) -> Sample:
        return self.bench.stored("stored:store", path=str(path), subscription=self.subscription)

    def _settled(self) -> Sample:
        """The database as a day later, in the middle of work: after a checkpoint each page is written whole once."""
        self.bench.settled()
        alone = self.bench.stored("stored:sizes")
        self.bench.stored("stored:store", path=str(self.bench.document(ANOTHER, 1)))
        sample = self.bench.stored("stored:sizes")
        sample.told["alone"] = alone.told
        return sample
