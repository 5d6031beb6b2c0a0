"""Reading documents: against a bare pass of the XML library, the fastest public parser, and a slow obvious reader."""

import importlib.util
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

from lxml import etree

from espi import parse, resources
from tests.bench.documents import ESPI
from tests.bench.figures import Figure, at_least, at_most
from tests.bench.harness import Bench
from tests.bench.measure import Sample, measuring
from tests.espi import reference_reader

MEGABYTES = 25
PROMISED = {"coned": "ConEd-like", "pge": "PG&E-like", "utilityapi": "UtilityAPI-like"}
SHOWN = {"coned_decimals": "ConEd-like, decimals", "five_minutes": "5 minutes", "gas": "gas, an entry per reading"}
SHOWN |= {"one_block": "one giant block"}
PEER = "greenbutton_objects"  # of what PyPI has for Green Button, the only package that parses a file it is given
COLUMNS = ("starts", "durations", "values", "costs", "qualities", "tous", "tiers", "cpps")  # as the reference's Reading


def figures(bench: Bench) -> Iterator[Figure]:
    """Of 25 MB files; and whether any reading differs from the reference reader's."""
    for shape, name in (PROMISED | SHOWN).items():
        yield from _of_shape(bench, shape, name)


def _of_shape(bench: Bench, shape: str, name: str) -> Iterator[Figure]:
    path = str(bench.document(shape, MEGABYTES))
    is_promised = shape in PROMISED
    methods = {each: (lambda each=each: bench.fresh(f"parsing:{each}", path=path)) for each in ("floor", "read")}
    if is_promised and importlib.util.find_spec(PEER):
        methods["peer"] = lambda: bench.fresh("parsing:peer", path=path)
    elif is_promised and not bench.quick:
        raise LookupError("The peer is not installed: uv sync --group bench (make bench does it).")
    found = bench.interleaved(methods)
    value, note = found.ratio("read", "floor")
    yield at_most(f"parse {name} / bare pass", value, "x", 1.7 if is_promised else None, note)
    if "peer" in methods:
        value, note = found.ratio("peer", "read")
        yield at_least(f"parse {name}: faster than {PEER}", value, "x", 6, note)
    differing, readings = differences(Path(path))
    yield at_most(f"parse {name}: unlike the reference reader", differing, "readings", 0, f"of {readings:,}")


def floor(path: str) -> Sample:
    """The least that lxml can do with the file: every IntervalBlock is built and let go, nothing is read."""
    with measuring() as sample:
        for _, element in etree.iterparse(path, events=("end",), tag=f"{{{ESPI}}}IntervalBlock"):
            element.clear()
    return sample


def read(path: str) -> Sample:
    """Our reader: every resource as a value, every reading in columns."""
    readings = 0
    with Path(path).open("rb") as file, measuring() as sample:
        for resource in parse.read(file):
            if isinstance(resource, resources.IntervalBlock):
                readings += len(resource.columns.starts)
    sample.told["readings"] = readings
    return sample


def peer(path: str) -> Sample:
    """greenbutton-objects: the whole file to its objects."""
    from greenbutton_objects.parse import parse_feed

    with measuring() as sample:
        kept = parse_feed(path)
    sample.told["usage_points"] = len(kept)
    return sample


def differences(path: Path) -> tuple[int, int]:
    """How many readings our reader and the reference reader do not agree on, and how many there are."""
    with path.open("rb") as file:
        blocks = [each.columns for each in parse.read(file) if isinstance(each, resources.IntervalBlock)]
        ours = [row for columns in blocks for row in _rows(columns)]
    theirs = [tuple(each) for block in reference_reader.blocks(path) for each in block]
    differing = sum(mine != other for mine, other in zip(ours, theirs, strict=False))
    return differing + abs(len(ours) - len(theirs)), len(theirs)


def _rows(columns: resources.Columns) -> Iterator[tuple[Any, ...]]:
    found = [getattr(columns, name) for name in COLUMNS]
    return zip(*(repeat(None) if column is None else column for column in found), strict=False)
