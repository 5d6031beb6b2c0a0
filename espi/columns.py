"""An IntervalBlock element -> columns. libxml2 selects; a Python object per reading is made only where one is odd.

One compiled XPath per column (each takes at most one text per reading, so equal lengths mean equal rows). Where a
reading lacks a field that others have, or a number is no plain integer, the block is read reading by reading.
"""

from collections import Counter
from collections.abc import MutableMapping
from decimal import Decimal
from itertools import groupby
from typing import Any

from lxml import etree

from espi import numbers, resources

ESPI = "http://naesb.org/espi"
_E = f"{{{ESPI}}}"
FIELDS = {
    "start": "e:timePeriod[1]/e:start[1]",
    "duration": "e:timePeriod[1]/e:duration[1]",
    "value": "e:value[1]",
    "cost": "e:cost[1]",
    "quality": "e:ReadingQuality[1]/e:quality[1]",
    "tou": "e:tou[1]",
    "tier": "e:consumptionTier[1]",
    "cpp": "e:cpp[1]",
}
_OPTIONAL = {"cost": "costs", "quality": "qualities", "tou": "tous", "tier": "tiers", "cpp": "cpps"}
_CODES = ("quality", "tou", "tier", "cpp")
_USUAL = ("start", "duration", "value", "cost", "quality")
_RARE = ("tou", "tier", "cpp")


_LOWER_CAMEL_BLOCK = f"{_E}intervalBlock"
_MOST_NAMES = 50
_OF_MANY_NAMES = "elements of many names that we do not read (the reading is kept without them)"
MARKER = "run"  # the attribute of an element that stands in the tree for a run of readings
Runs = MutableMapping[str, resources.Columns]


def _compile(path: str) -> etree.XPath:
    return etree.XPath(path, namespaces={"e": ESPI}, smart_strings=False)


_PLACES = {
    tuple(step.partition("[")[0].removeprefix("e:") for step in path.split("/")): name for name, path in FIELDS.items()
}
_PLACES_AROUND = {place[:depth] for place in _PLACES for depth in (1, 2)}


class _Spelling:
    """The compiled paths for one spelling of the reading's element name."""

    def __init__(self, reading: str, which: str = "") -> None:
        path = f"e:{reading}{which}"
        self.tag = f"{_E}{reading}"
        self.readings = _compile(path)
        self.count = _compile(f"count({path})")
        self.elements = _compile(f"count({path}/descendant::*)")
        self.columns = {name: _compile(f"{path}/{field}/text()[1]") for name, field in FIELDS.items()}
        self.beside = _compile(f"*[not(self::e:interval or self::e:{reading})]")


_STANDARD = _Spelling("IntervalReading")
_LOWER_CAMEL = _Spelling("intervalReading")
_BUT_THE_LAST = "[position() < last()]"
_STANDARD_OPEN = _Spelling("IntervalReading", _BUT_THE_LAST)
_LOWER_CAMEL_OPEN = _Spelling("intervalReading", _BUT_THE_LAST)


def read(block: etree._Element, runs: Runs) -> list[resources.Columns]:
    """Every reading of an IntervalBlock (or Con Edison V1's intervalBlock), in parts that follow one another.

    Numbers as sent; none is guessed. `runs`: readings that a marker in the tree stands for; they are taken out of it.
    """
    spelling = _LOWER_CAMEL if is_lower_camel(block) else _STANDARD
    readings = list(block.iterchildren(spelling.tag)) if runs else []
    has_runs = any(_is_marker(each, runs) for each in readings)
    found = _parts(readings, runs) if has_runs else [_read(block, spelling)]
    if len(block) > len(readings) + 1:  # there is an interval, too
        _note_strange(found[-1].remarks, spelling.beside(block))
    return found


def take(block: etree._Element, runs: Runs) -> list[resources.Columns]:
    """The readings of a block whose end has not come yet, but the last, which may be unfinished. They leave the tree."""
    spelling = _LOWER_CAMEL_OPEN if is_lower_camel(block) else _STANDARD_OPEN
    readings = list(block.iterchildren(spelling.tag))
    if readings and not _is_marker(readings[-1], runs):
        readings.pop()
    if not readings:
        return []
    has_runs = any(_is_marker(each, runs) for each in readings)
    found = _parts(readings, runs) if has_runs else [_read(block, spelling)]
    finished = block.index(readings[-1]) + 1
    gone = set(list(block.iterchildren())[:finished])
    _note_strange(found[-1].remarks, [each for each in spelling.beside(block) if each in gone])  # type: ignore[union-attr]
    del block[:finished]
    return found


def is_lower_camel(block: etree._Element) -> bool:
    """Whether it is Con Edison V1's intervalBlock (its contract, 5.2)."""
    return bool(block.tag == _LOWER_CAMEL_BLOCK)


def _is_marker(element: etree._Element, runs: Runs) -> bool:
    return element.get(MARKER) in runs


def _parts(readings: list[etree._Element], runs: Runs) -> list[resources.Columns]:
    found: list[resources.Columns] = []
    for is_run, group in groupby(readings, key=lambda each: _is_marker(each, runs)):
        if is_run:
            found += [runs.pop(str(each.get(MARKER))) for each in group]
        else:
            found.append(_one_by_one(list(group)))
    return found


def _read(block: etree._Element, spelling: _Spelling) -> resources.Columns:
    count = int(spelling.count(block))  # type: ignore[arg-type]
    elements = int(spelling.elements(block))  # type: ignore[arg-type]
    texts = _texts(block, spelling, _USUAL)
    if elements != count * _elements_in_each(texts):
        texts |= _texts(block, spelling, _RARE)
    found = regular(count, texts)
    if found is None:
        return _one_by_one(spelling.readings(block))  # type: ignore[arg-type]
    if elements != count * _elements_in_each(texts):
        for reading in block.iterchildren(spelling.tag):
            _note_strange(found.remarks, _fields(reading)[1])
    return found


def _texts(block: etree._Element, spelling: _Spelling, names: tuple[str, ...]) -> dict[str, list[str]]:
    return {name: spelling.columns[name](block) for name in names}  # type: ignore[misc]


def _elements_in_each(texts: dict[str, list[str]]) -> int:
    """In a reading that has these fields and nothing else: one for each, and one around times and around a quality."""
    return sum(1 for column in texts.values() if column) + 1 + bool(texts["quality"])


def _note_strange(remarks: Counter[str], elements: Any) -> None:
    """What nobody reads is counted, with its document to look it up in. Of many names the rest is counted together."""
    for element in elements:
        told = f"an element {element.tag.rpartition('}')[2][:60]} that we do not read (the reading is kept without it)"
        is_told = told in remarks or len(remarks) < _MOST_NAMES
        remarks[told if is_told else _OF_MANY_NAMES] += 1


def regular(count: int, texts: dict[str, list[str]], *, are_numbers: bool = False) -> resources.Columns | None:
    """The columns when all readings have the same fields and every number is a plain one in range; otherwise None.

    `are_numbers`: every text is known to be an integer of up to 18 digits, and a value that or such a decimal number.
    """
    found: dict[str, Any] = {}
    for name in FIELDS:
        column = texts.get(name, [])
        if not column and name in _OPTIONAL:
            found[name] = None
            continue
        whole: Any = numbers.converted(column) if are_numbers else numbers.integers(column)
        if whole is None and name == "value":
            whole = numbers.decimals(column)
        if whole is None or len(whole) != count:
            return None
        found[name] = whole
    return _columns(count, found) if _in_range(found) else None


def _in_range(found: dict[str, Any]) -> bool:
    starts, durations = found["start"] or [0], _different(found["duration"] or [0])
    small = [_different(found[name]) for name in _CODES if found[name]]
    return (
        min(starts) >= numbers.EARLIEST
        and max(starts) < numbers.LATEST
        and min(durations) >= 0
        and max(durations) <= numbers.LONGEST
        and all(min(column) >= numbers.INT16.start and max(column) < numbers.INT16.stop for column in small)
    )


def _different(column: list[Any]) -> list[Any]:
    """One number of a column that holds nothing else, as durations and qualities mostly do."""
    return column[:1] if column.count(column[0]) == len(column) else column


def _columns(count: int, found: dict[str, Any]) -> resources.Columns:
    values = found["value"]
    return resources.Columns(
        written=count,
        raw_sum=sum(values) if values and type(values[0]) is int else numbers.total(values),
        starts=found["start"],
        durations=found["duration"],
        values=values,
        **{column: found[name] for name, column in _OPTIONAL.items()},
    )


def _one_by_one(readings: list[etree._Element]) -> resources.Columns:
    columns = resources.Columns(len(readings), costs=[], qualities=[], tous=[], tiers=[], cpps=[])
    for element in readings:
        texts, strange = _fields(element)
        _add(columns, texts)
        _note_strange(columns.remarks, strange)
    for name in _OPTIONAL.values():
        if not any(item is not None for item in getattr(columns, name)):
            setattr(columns, name, None)
    return columns


def _fields(reading: etree._Element) -> tuple[dict[str, str], list[etree._Element]]:
    """The texts of one reading by field, "" where there is none; and the elements in it that are no field of it."""
    texts: dict[str, str] = dict.fromkeys(FIELDS, "")
    strange: list[etree._Element] = []
    seen: set[tuple[str, ...]] = set()
    for child in reading.iterchildren("{*}*"):
        _field(child, (), seen, texts, strange)
    return texts, strange


def _field(
    element: etree._Element,
    around: tuple[str, ...],
    seen: set[tuple[str, ...]],
    texts: dict[str, str],
    strange: list[etree._Element],
) -> None:
    place = (*around, element.tag.removeprefix(_E))
    if place in seen or place not in _PLACES_AROUND:
        strange.append(element)
        return
    seen.add(place)
    if name := _PLACES.get(place):
        texts[name] = element.text or next((child.tail for child in element if child.tail), "")
        strange += element
        return
    for child in element.iterchildren("{*}*"):
        _field(child, place, seen, texts, strange)


def _add(columns: resources.Columns, texts: dict[str, str]) -> None:
    value = numbers.number(texts["value"])
    if value is not None:
        columns.raw_sum = numbers.total((columns.raw_sum, value))
    if reason := _refusal(texts, value):
        columns.refused[reason] += 1
        return
    columns.starts.append(numbers.epoch(texts["start"]))  # type: ignore[arg-type]
    columns.durations.append(_duration(texts["duration"]))
    columns.values.append(value)
    columns.costs.append(_cost(texts["cost"], columns.remarks))  # type: ignore[union-attr]
    for name in _CODES:
        getattr(columns, _OPTIONAL[name]).append(_code(name, texts, columns.remarks))


def _refusal(texts: dict[str, str], value: int | Decimal | None) -> str:
    """Why a reading cannot be kept, in words; "" when it can."""
    if not texts["value"].strip():
        return "a reading without a value"
    if value is None:
        return "a value that is no number of up to 64 bits"
    if not texts["start"].strip():
        return "a reading without a start"
    if numbers.epoch(texts["start"]) is None:
        return "a start that is no time between 1990 and 2100"
    if texts["duration"].strip() and _duration(texts["duration"]) is None:
        return "a duration that is no number of seconds from 0 to five years"
    return ""


def _duration(text: str) -> int | None:
    found = numbers.number(text)
    if found is None or found != int(found):
        return None
    return int(found) if 0 <= found <= numbers.LONGEST else None


def _cost(text: str, remarks: Counter[str]) -> int | None:
    if not text.strip():
        return None
    found = numbers.number(text)
    if found is None or found != int(found) or int(found) not in numbers.INT64:
        remarks["a cost that is no integer (the reading is kept without it)"] += 1
        return None
    return int(found)


def _code(name: str, texts: dict[str, str], remarks: Counter[str]) -> int | None:
    if not texts[name].strip():
        return None
    found = numbers.integer(texts[name], within=numbers.INT16)
    if found is None:
        remarks[f"a {name} that is no code (the reading is kept without it)"] += 1
    return found
