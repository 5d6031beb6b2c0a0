"""The short way for regular readings gives what the XML parser gives, or leaves the readings to it. Never anything else."""

import random
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espi import atom, parse, resources, runs
from tests.espi import documents, samples
from tests.espi.documents import ESPI, MIDNIGHT, bare_feed, entry, espi, reading
from tests.examples import cases

CHUNKS = (1, 2, 3, 7, 64, 333, 4096, 65536)


class Slow:
    """A file that gives so many bytes at a time."""

    def __init__(self, content, size):
        self.file, self.size = BytesIO(content), size

    def read(self, _):
        return self.file.read(self.size)


def outcome(content, *, by_runs, size=65536):
    """All that is read of a document, or that it was refused: the same whatever way it was read."""
    found = []
    try:
        for each in parse.read(Slow(content, size), by_runs=by_runs):
            if not isinstance(each, resources.IntervalBlock):
                found.append(each)
                continue
            if each.is_first:
                found.append([each.entry, each.is_lower_camel, [], 0, 0, {}])
            add(found[-1], each.columns)
    except atom.NothingUnderstood:
        found.append("nothing understood")
    except atom.DocumentRefused:
        found = ["refused"]
    return found


def add(told, columns):
    nothing = [None] * len(columns.starts)
    optional = (columns.costs, columns.qualities, columns.tous, columns.tiers, columns.cpps)
    told[2] += zip(
        columns.starts, columns.durations, columns.values, *(each or nothing for each in optional), strict=True
    )
    told[3] += columns.written
    told[4] += columns.raw_sum
    for reason, count in (columns.refused + columns.remarks).items():
        told[5][reason] = told[5].get(reason, 0) + count


def taken(content, size=65536):
    """How many runs the short way took."""
    here = []
    made = runs.Runs._marker

    def marker(self, *args):
        here.append(1)
        return made(self, *args)

    runs.Runs._marker = marker
    try:
        outcome(content, by_runs=True, size=size)
    finally:
        runs.Runs._marker = made
    return len(here)


def day(count=6, shape=reading, **more):
    return [shape(MIDNIGHT + index * 900, 100 + index, 900, **more) for index in range(count)]


def feed(*inner, begin="", xmlns=f'xmlns="{ESPI}"'):
    blocks = "".join(entry(f"<IntervalBlock {xmlns}>{''.join(each)}</IntervalBlock>") for each in inner)
    return begin.encode() + bare_feed(documents.usage_point(), blocks)


def prefixed(readings, prefix="e"):
    return [
        each.replace("</", f"</{prefix}:").replace("<", f"<{prefix}:").replace(f"<{prefix}:/", "</")
        for each in readings
    ]


def swapped(start, value, length):
    return (
        f"<IntervalReading><value>{value}</value><timePeriod><start>{start}</start><duration>{length}</duration>"
        "</timePeriod></IntervalReading>"
    )


def spaced(start, value, length):
    return reading(start, f" {value}\n ", length).replace("><", ">\n  <") + "\n"


ODD = day()
REGULAR = {
    "plain": feed(ODD, ODD),
    "cost and quality": feed(day(cost=5, quality=8)),
    "time of use": feed(day(tou=3)),
    "another order": feed(day(shape=swapped)),
    "white space": feed(day(shape=spaced)),
    "windows line ends": feed(["\r\n".join(ODD)]),
    "decimals": feed([reading(MIDNIGHT, "0.25", 900), reading(MIDNIGHT + 900, "1", 900)]),
    "negative numbers": feed([reading(MIDNIGHT, -5, 900), reading(MIDNIGHT + 900, 7, 900)]),
    "a prefix": feed(prefixed(ODD), xmlns=f'xmlns:e="{ESPI}"').replace(b"IntervalBlock", b"e:IntervalBlock"),
    "V1": documents.v1_feed(documents.v1_entry("KWH", ["0.25", "1.5", "7"])),
    "a declaration": feed(ODD, begin='<?xml version="1.0" encoding="ISO-8859-1"?>'),
    "a byte order mark": feed(ODD, begin="\ufeff<?xml version='1.0'?>"),
    "a comment before": feed(["<!-- 15 minutes: <IntervalReading> -->", *ODD]),
    "a comment after": feed([*ODD, "<!--", *ODD, "-->"], ODD),
    "a stylesheet": feed(ODD, begin='<?xml-stylesheet href="x.xsl"?>'),
    "two shapes": feed(day(cost=5), ODD, day(quality=1), ODD),
    "several in a content": bare_feed(entry(espi("IntervalBlock", "".join(ODD)) * 3)),
    "a bare block": espi("IntervalBlock", "".join(ODD)).encode(),
    "empty costs": feed(day(cost="")),
}
IRREGULAR = {
    "a comment in each": feed([each.replace("<value>", "<!-- x --><value>") for each in ODD]),
    "a comment in a number": feed([ODD[0].replace(">100<", ">1<!-- -->00<")]),
    "all in a comment": feed(["<!--", *ODD, "-->"]),
    "an end of block in a comment": feed(["<IntervalReading><!-- </IntervalBlock> --></IntervalReading>", "<x/>"]),
    "CDATA": feed([each.replace(">100<", "><![CDATA[100]]><") for each in ODD[:1]]),
    "all in CDATA": feed(["<![CDATA[", *ODD, "]]>"]),
    "a title in CDATA": bare_feed(entry("", title=f"<![CDATA[{ODD[0]}]]>"), documents.hours(1)),
    "an instruction": feed(["<?x ", *ODD, "?>"]),
    "an instruction in a number": feed([ODD[0].replace(">100<", ">1<?x y?>00<")]),
    "character references": feed([ODD[0].replace(">100<", ">&#49;00<")]),
    "two qualities": feed(
        [ODD[0].replace("<timePeriod>", "<ReadingQuality><quality>7</quality></ReadingQuality>" * 2 + "<timePeriod>")]
    ),
    "two values": feed([ODD[0].replace("<value>", "<value>3</value><value>")]),
    "two periods": feed(
        [
            "<IntervalReading><timePeriod><start>1768453200</start></timePeriod><timePeriod><duration>900</duration></timePeriod><value>1</value></IntervalReading>"
        ]
    ),
    "an unknown element": feed([ODD[0].replace("<value>", "<heat>3</heat><value>")]),
    "an empty unknown element": feed([ODD[0].replace("<value>", "<heat></heat><value>")]),
    "an attribute": feed([ODD[0].replace("<value>", '<value unit="Wh">')]),
    "a tag with a space": feed([ODD[0].replace("</value>", "</value >")]),
    "text beside": feed([ODD[0].replace("<value>", "7<value>")]),
    "text between": feed([ODD[0] + "x", ODD[1]]),
    "text between periods": feed([ODD[0].replace("<timePeriod>", "<timePeriod>5")]),
    "no value": feed([reading(MIDNIGHT, None, 900)]),
    "no duration": feed([each.replace("<duration>900</duration>", "") for each in ODD]),
    "an empty value": feed([reading(MIDNIGHT, "", 900)]),
    "a plus": feed([reading(MIDNIGHT, "+5", 900)]),
    "an exponent": feed([reading(MIDNIGHT, "1e3", 900), reading(MIDNIGHT + 900, "NaN", 900)]),
    "too many digits": feed([reading(MIDNIGHT, "9" * 25, 900)]),
    "19 digits": feed([reading(MIDNIGHT, "9" * 19, 900), reading(MIDNIGHT, "1" + "0" * 18, 900)]),
    "other digits": feed([reading(MIDNIGHT, "٣", 900)]),
    "milliseconds": feed([reading(MIDNIGHT * 1000, 1, 900)]),
    "another century": feed([reading(-2208988800, 1, 900)]),
    "a large quality": feed(day(quality=70000)),
    "a foreign namespace": feed(ODD, xmlns='xmlns="urn:x"'),
    "a foreign prefix": feed(prefixed(ODD), xmlns=f'xmlns="{ESPI}" xmlns:e="urn:x"'),
    "an unknown prefix": feed(prefixed(ODD)),
    "a prefix bound anew": feed(['<x xmlns="urn:x">', *ODD, "</x>"], ODD),
    "deeper than a block": feed(["<x>", *ODD, "</x>", *ODD]),
    "a block in a block": feed([espi("IntervalBlock", "".join(ODD)), *ODD]),
    "without a block": bare_feed(documents.usage_point(), entry(f'<x xmlns="{ESPI}">{"".join(ODD)}</x>')),
    "upper in lower": documents.v1_feed(documents.v1_entry("KWH", ["1"]).replace("intervalReading", "IntervalReading")),
    "lower in upper": feed([each.replace("IntervalReading", "intervalReading") for each in ODD]),
    "a forged marker": feed(['<IntervalReading run="0-1"/>', *ODD, '<IntervalReading run=""/>']),
    "odd ones among regular ones": feed([*ODD, reading(MIDNIGHT + 9000, None, 900), *day(4, cost=1)]),
    "mixed names": feed([ODD[0], ODD[1].replace("timePeriod", "TimePeriod")]),
    "UTF-16": feed(ODD).decode().encode("utf-16"),
    "UTF-7": feed(ODD, begin='<?xml version="1.0" encoding="UTF-7"?>'),
    "a shift encoding": feed(ODD, begin='<?xml version="1.0" encoding="ISO-2022-JP"?>'),
    "a DOCTYPE": feed(ODD, begin="<!DOCTYPE feed>"),
    "cut off": feed(ODD)[:-60],
    "cut off in a reading": feed(ODD)[: feed(ODD).rindex(b"<value>") + 9],
    "an end tag too many": feed([*ODD, "</x>"]),
    "overlapping tags": feed([ODD[0].replace("</start></timePeriod>", "</timePeriod></start>")]),
    "an attribute full of readings": bare_feed(f'<entry a="{ODD[0]}"/>', documents.hours(2)),
    "many shapes": feed(
        *[[*day(2, tou=1 if n % 2 else None, cost=n, quality=n % 3 or None), "\n" * n] for n in range(60)]
    ),
}


@pytest.mark.parametrize("content", (REGULAR | IRREGULAR).values(), ids=REGULAR | IRREGULAR)
def test_the_short_way_reads_what_the_parser_reads(content):
    told = outcome(content, by_runs=False)
    for size in CHUNKS:
        assert outcome(content, by_runs=True, size=size) == told, size


@pytest.mark.parametrize("content", REGULAR.values(), ids=REGULAR)
def test_regular_readings_take_the_short_way(content):
    assert taken(content)


def test_the_parser_sees_neither_tree_nor_text_of_a_run():
    pieces = []
    content = feed(day(96))
    short = runs.Runs(lambda prefix, is_lower_camel: True)
    for start in range(0, len(content), 1000):
        pieces += short.pieces(content[start : start + 1000])
    given_to_parser = b"".join([*pieces, short.rest()])
    assert b"<value>" not in given_to_parser
    assert len(given_to_parser) < len(content) / 5
    assert sum(columns.written for columns in short.found.values()) == 96


def test_an_error_in_a_long_document_still_names_the_line():
    content = feed(day(shape=spaced))[:-60]
    lines = content.count(b"\n") + 1
    with pytest.raises(atom.DocumentRefused, match=rf"line {lines}\b"):
        list(parse.read(BytesIO(content)))


SEEDS = [*REGULAR.values(), IRREGULAR["odd ones among regular ones"], IRREGULAR["a comment in each"]]
SNIPPETS = [b"<", b">", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?x ", b"?>", b"</", b"/>", b"<IntervalReading>", b"</IntervalReading>",
            b"<IntervalBlock>", b"</IntervalBlock>", b"9", b".", b"-", b"&amp;", b" ", b"\n", b"<x>", b"</x>", b'xmlns="urn:x"', b"\xc3\xa9", b"\x00"]  # fmt: skip


@settings(max_examples=cases(100), deadline=None)
@given(st.sampled_from(SEEDS), st.sampled_from(CHUNKS[2:]), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9), st.sampled_from(SNIPPETS)), max_size=3))  # fmt: skip
def test_no_damage_to_a_document_makes_the_two_ways_differ(content, size, damages):
    for place, gone, put in damages:
        at = int(place * len(content))
        content = content[:at] + put + content[at + gone :]
    assert outcome(content, by_runs=True, size=size) == outcome(content, by_runs=False)


@pytest.mark.parametrize(
    "path", [sample.path for sample in samples.stated()] + samples.pge_files(), ids=lambda path: path.name
)
def test_real_files_are_read_alike_both_ways(path):
    content = path.read_bytes()
    size = random.Random(path.name).choice([509, 8191, 65536])
    assert outcome(content, by_runs=True, size=size) == outcome(content, by_runs=False)
