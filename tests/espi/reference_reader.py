"""A second reader of IntervalReadings, to compare ours with: slow, obvious, and sharing no line with it.

The standard library's ElementTree holds the whole document; each reading is looked at alone, each field is looked up by
its name. What a reading must be to be kept is written down here once more, in the plainest words there are.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO, NamedTuple

ESPI = "{http://naesb.org/espi}"
READINGS_OF = {f"{ESPI}IntervalBlock": f"{ESPI}IntervalReading", f"{ESPI}intervalBlock": f"{ESPI}intervalReading"}
FIRST, LAST = datetime(1990, 1, 1, tzinfo=UTC).timestamp(), datetime(2100, 1, 1, tzinfo=UTC).timestamp()
FIVE_YEARS = 5 * 366 * 24 * 60 * 60


class Reading(NamedTuple):
    """`start` in epoch seconds, `duration` in seconds (None: not said), `value` as sent; the rest None when absent."""

    start: int
    duration: int | None
    value: int | Decimal
    cost: int | None
    quality: int | None
    tou: int | None
    tier: int | None
    cpp: int | None


def blocks(source: Path | BinaryIO) -> Iterator[list[Reading]]:
    """The readings of every IntervalBlock, in the order of the document. Those that cannot be kept are left out."""
    for element in ElementTree.parse(source).getroot().iter():
        if element.tag in READINGS_OF:
            found = [reading(child) for child in element if child.tag == READINGS_OF[element.tag]]
            yield [each for each in found if each is not None]


def reading(element: ElementTree.Element) -> Reading | None:
    """One IntervalReading; None without a usable value, or with a start or duration that cannot be."""
    start, duration = start_of(text(element, "timePeriod/start")), text(element, "timePeriod/duration")
    value = number(text(element, "value"))
    if value is None or start is None or (duration and length(duration) is None):
        return None
    return Reading(
        start=start,
        duration=length(duration),
        value=value,
        cost=whole(number(text(element, "cost"))),
        quality=code(text(element, "ReadingQuality/quality")),
        tou=code(text(element, "tou")),
        tier=code(text(element, "consumptionTier")),
        cpp=code(text(element, "cpp")),
    )


def text(element: ElementTree.Element, path: str) -> str:
    found = element.find("/".join(ESPI + name for name in path.split("/")))
    return "" if found is None else (found.text or "").strip()


def number(written: str) -> int | Decimal | None:
    """An integer of 64 bits, or a decimal of up to 19 digits before the point and 18 after it."""
    if re.fullmatch(r"[+-]?[0-9]{1,19}", written):
        return int(written) if -(2**63) <= int(written) < 2**63 else None
    if re.fullmatch(r"[+-]?([0-9]{1,19}\.[0-9]{0,18}|\.[0-9]{1,18})", written):
        return Decimal(written)
    return None


def whole(found: int | Decimal | None) -> int | None:
    return int(found) if found is not None and found == int(found) and -(2**63) <= found < 2**63 else None


def start_of(written: str) -> int | None:
    """Seconds since 1970; PG&E also sends milliseconds, which no date before the year 5138 could be mistaken for."""
    found = number(written)
    if found is None:
        return None
    seconds = int(found)
    if abs(seconds) >= 100_000_000_000:
        seconds = seconds // 1000
    return seconds if FIRST <= seconds < LAST else None


def length(written: str) -> int | None:
    found = whole(number(written))
    return found if found is not None and 0 <= found <= FIVE_YEARS else None


def code(written: str) -> int | None:
    found = number(written)
    return found if isinstance(found, int) and -(2**15) <= found < 2**15 else None
