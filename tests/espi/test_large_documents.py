"""Documents that are small on the wire and large in memory, and honest ones that are merely long."""

import json
import subprocess
import sys
from collections import Counter
from io import BytesIO

import pytest

from espi import atom, parse, resources
from tests.espi import documents
from tests.espi.documents import ATOM, ESPI, MIDNIGHT, bare_feed, block, entry, espi, reading

MEMORY = 512  # MiB: what a worker may take, whatever the file
READ = """
import json, sys, time
from pathlib import Path
from espi import atom, parse

class Stream:
    def __init__(self, parts):
        self.parts, self.rest = [(unit.encode(), count) for unit, count in parts], b""

    def read(self, size):
        while len(self.rest) < size and self.parts:
            unit, count = self.parts.pop(0)
            now = min(count, size // len(unit) + 1)
            self.rest += unit * now
            if count > now:
                self.parts.insert(0, (unit, count - now))
        found, self.rest = self.rest[:size], self.rest[size:]
        return found

began, refused, readings = time.process_time(), "", 0
try:
    for each in parse.read(Stream(json.loads(sys.argv[1]))):
        readings += len(each.columns.starts) if hasattr(each, "columns") else 0
except atom.DocumentRefused as error:
    refused = str(error)
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024
print(json.dumps([peak, time.process_time() - began, refused, readings]))
"""
FEED, END = f'<feed xmlns="{ATOM}" xmlns:e="{ESPI}">', "</feed>"
OPEN_BLOCK = f'<entry><content><IntervalBlock xmlns="{ESPI}">'
END_BLOCK = "</IntervalBlock></content></entry>"
POINT = "<entry><content><e:UsagePoint/></content></entry>"


def measured(*parts):
    """(peak MiB, CPU seconds, why it was refused, readings) of reading a document in a process of its own."""
    given = json.dumps([part if isinstance(part, tuple) else (part, 1) for part in parts])
    done = subprocess.run([sys.executable, "-c", READ, given], capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout)


TOO_LARGE = {
    "12,000,000 elements in an entry": (FEED, "<entry>", ("<a/>", 12_000_000), "</entry>", END),
    "12,000,000 elements outside entries": (FEED, ("<a/>", 12_000_000), END),
    "elements between blocks outside entries": (FEED, ("<a/>" * 8000 + "<e:IntervalBlock/>", 1500), END),
    "texts in a block": (FEED, OPEN_BLOCK, "<x>", ("<a/>x", 5_000_000), "</x>", END_BLOCK, END),
    "attributes": (FEED, "<entry>", ('<a b="x"/>', 5_000_000), "</entry>", END),
    "namespaces": (FEED, "<entry>", ('<a xmlns:b="u" xmlns:c="u" xmlns:d="u"/>', 1_000_000), "</entry>", END),
    "empty blocks": (FEED, "<entry><content>", ("<e:IntervalBlock/>", 3_000_000), "</content></entry>", END),
    "entries in an entry": (FEED, "<entry>", (f"<x>{POINT}<y/></x>", 400_000), "</entry>", END),
    "long texts": (FEED, "<entry>", ("<a>" + "x" * 50_000 + "</a>", 9000), "</entry>", END),
    "long attributes": (FEED, "<entry>", ('<a b="' + "x" * 50_000 + '"/>', 9000), "</entry>", END),
    "long texts in an open reading": (
        FEED,
        OPEN_BLOCK + "<IntervalReading>",
        ("<a>" + "x" * 50_000 + "</a>", 9000),
        "</IntervalReading>" + END_BLOCK,
        END,
    ),
}


@pytest.mark.parametrize("parts", TOO_LARGE.values(), ids=TOO_LARGE)
def test_d01_an_entry_too_large_for_a_worker_is_refused_in_words_and_in_little_memory(parts):
    peak, _, refused, _ = measured(*parts)
    assert refused.startswith("One entry of the file is too large to be read. Ask for a shorter period")
    assert peak < MEMORY


def test_d01_hundreds_of_thousands_of_entries_without_data_are_not_looked_at_one_by_one():
    peak, seconds, refused, _ = measured(FEED, ("<entry/>", 500_000), END)
    assert refused == "More than 10,000 of the file's entries are not Green Button (ESPI) data."
    assert (seconds < 3, peak < MEMORY) == (True, True)


def test_d01_what_stands_beside_entries_does_not_add_up():
    peak, _, refused, _ = measured(FEED, (f"<x>{POINT}<a/><a/></x>", 150_000), END)
    assert (refused, peak < 128) == ("", True)


def test_d01_ids_that_the_parser_would_remember_are_refused_before_they_add_up():
    named = f'<entry xml:id="{"x" * 50_000}"><content><e:UsagePoint/></content></entry>'
    peak, _, refused, _ = measured(FEED, (named, 7000), END)
    assert ("xml:id" in refused, peak < MEMORY / 2) == (True, True)


@pytest.mark.parametrize(
    "one", [reading(MIDNIGHT, 7, 300), "<IntervalReading/>", reading(MIDNIGHT, 7, 300) + "<!-- -->"]
)
def test_f51_however_large_a_block_is_it_takes_the_same_memory(one):
    peaks = [
        measured(FEED, OPEN_BLOCK, (one, megabytes * 1_000_000 // len(one)), END_BLOCK, END)[0] for megabytes in (3, 12)
    ]
    assert peaks[1] - peaks[0] < 8, peaks


def blocks(content, **how):
    """[(lower camel or not, [(start, duration, value, cost, quality, tou, tier, cpp)], written, refused, remarks)]."""
    found = []
    for each in parse.read(BytesIO(content), **how):
        if isinstance(each, resources.IntervalBlock):
            columns = each.columns
            nothing = [None] * len(columns.starts)
            optional = (columns.costs, columns.qualities, columns.tous, columns.tiers, columns.cpps)
            rows = list(
                zip(columns.starts, columns.durations, columns.values, *(o or nothing for o in optional), strict=True)
            )
            if each.is_first:
                found.append([each.is_lower_camel, [], 0, Counter(), Counter()])
            found[-1][1] += rows
            found[-1][2] += columns.written
            found[-1][3] += columns.refused
            found[-1][4] += columns.remarks
    return found


def odd_readings(count):
    """Readings of which some lack a field, some are decimal, and some cannot be kept."""
    for index in range(count):
        yield reading(
            MIDNIGHT + index * 900,
            None if index % 97 == 3 else f"{index}.5" if index % 89 == 5 else index,
            900 if index % 83 else "soon",
            cost=index if 500 < index < 900 else None,
            quality=8 if index % 7 == 0 else None,
            tou="x" if index % 101 == 9 else None,
        )


@pytest.mark.parametrize("span", [1, 5_000, 70_000])
@pytest.mark.parametrize("name", ["IntervalBlock", "intervalBlock"])
def test_a_block_read_in_pieces_is_the_same_as_read_at_once(monkeypatch, name, span):
    inner = f"<interval><start>{MIDNIGHT}</start></interval>" + "\n".join(odd_readings(1500))
    lower = inner.replace("IntervalReading", "intervalReading") if name == "intervalBlock" else inner
    content = bare_feed(
        documents.usage_point(), entry(espi(name, lower)), documents.hours(24), entry(espi(name, lower))
    )
    at_once = blocks(content, by_runs=False)
    monkeypatch.setattr(atom, "_SPAN", span)
    monkeypatch.setattr(atom, "_CHUNK", 512)
    pieces = [each for each in parse.read(BytesIO(content)) if isinstance(each, resources.IntervalBlock)]
    assert blocks(content) == at_once
    assert len(pieces) > len(at_once)
    assert [each[2] for each in at_once] == [1500, 24, 1500]


def test_many_entries_that_are_no_data_are_passed_over():
    told = "".join(entry("a note") for _ in range(9_000))
    assert len(blocks(bare_feed(told, block([reading(MIDNIGHT, 1)])))) == 1
