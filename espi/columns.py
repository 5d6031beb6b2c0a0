"""An IntervalBlock element -> columns. libxml2 selects; a Python object per reading is made only where one is odd.

One compiled XPath per column (each takes at most one text per reading, so equal lengths mean equal rows). Where a
reading lacks a field that others have, or a number is no plain integer, the block is read reading by reading.
"""

from collections import Counter
from decimal import Decimal
from typing import Any

from lxml import etree

from espi import numbers, resources

ESPI = "http://naesb.org/espi"
_FIELDS = {
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


def _compile(path: str) -> etree.XPath:
    return etree.XPath(path, namespaces={"e": ESPI}, smart_strings=False)


class _Spelling:
    """The compiled paths for one spelling of the reading's element name."""

    def __init__(self, reading: str) -> None:
        self.readings = _compile(f"e:{reading}")
        self.count = _compile(f"count(e:{reading})")
        self.columns = {name: _compile(f"e:{reading}/{path}/text()[1]") for name, path in _FIELDS.items()}


_IN_READING = {name: _compile(f"{path}/text()[1]") for name, path in _FIELDS.items()}
_STANDARD = _Spelling("IntervalReading")
_LOWER_CAMEL = _Spelling("intervalReading")
_BUT_THE_LAST = "[position() < last()]"
_STANDARD_OPEN = _Spelling("IntervalReading" + _BUT_THE_LAST)
_LOWER_CAMEL_OPEN = _Spelling("intervalReading" + _BUT_THE_LAST)


def read(block: etree._Element) -> resources.Columns:
    """Every reading of an IntervalBlock (or Con Edison V1's intervalBlock). Numbers as sent; none is guessed."""
    return _read(block, _LOWER_CAMEL if _is_lower_camel(block) else _STANDARD)


def take(block: etree._Element) -> resources.Columns | None:
    """The readings of a block whose end has not come yet, but the last, which may be unfinished. They leave the tree.

    None when there are none.
    """
    is_lower_camel = _is_lower_camel(block)
    name = "intervalReading" if is_lower_camel else "IntervalReading"
    last = next(block.iterchildren(f"{{{ESPI}}}{name}", reversed=True), None)
    if last is None:
        return None
    columns = _read(block, _LOWER_CAMEL_OPEN if is_lower_camel else _STANDARD_OPEN)
    del block[: block.index(last)]
    return columns


def join(parts: list[resources.Columns]) -> resources.Columns:
    """Parts of one block as one, in their order."""
    whole, *others = parts
    for part in others:
        for name in _OPTIONAL.values():
            _extend(whole, part, name)
        whole.starts += part.starts
        whole.durations += part.durations
        whole.values += part.values
        whole.written += part.written
        whole.raw_sum = numbers.total((whole.raw_sum, part.raw_sum))
        whole.refused += part.refused
        whole.remarks += part.remarks
    return whole


def _extend(whole: resources.Columns, part: resources.Columns, name: str) -> None:
    """Add an optional column, before the others: where one part has it, the whole has it."""
    first, second = getattr(whole, name), getattr(part, name)
    if first is not None or second is not None:
        nothing: list[int | None] = [None]
        setattr(whole, name, (first or nothing * len(whole.starts)) + (second or nothing * len(part.starts)))


def _is_lower_camel(block: etree._Element) -> bool:
    return etree.QName(block).localname == "intervalBlock"


def _read(block: etree._Element, spelling: _Spelling) -> resources.Columns:
    count = int(spelling.count(block))  # type: ignore[arg-type]
    texts: dict[str, list[str]] = {name: path(block) for name, path in spelling.columns.items()}  # type: ignore[misc]
    return _regular(count, texts) or _one_by_one(spelling.readings(block))  # type: ignore[arg-type]


def _regular(count: int, texts: dict[str, list[str]]) -> resources.Columns | None:
    """The columns when all readings have the same fields and every number is a plain integer in range."""
    found: dict[str, Any] = {}
    for name, column in texts.items():
        if not column and name in _OPTIONAL:
            found[name] = None
            continue
        whole: Any = numbers.integers(column)
        if whole is None and name == "value":
            whole = numbers.decimals(column)
        if whole is None or len(whole) != count:
            return None
        found[name] = whole
    return _columns(count, found) if _in_range(found) else None


def _in_range(found: dict[str, Any]) -> bool:
    starts, durations = found["start"] or [0], found["duration"] or [0]
    small = [found[name] for name in _CODES if found[name]]
    return (
        min(starts) >= numbers.EARLIEST
        and max(starts) < numbers.LATEST
        and min(durations) >= 0
        and max(durations) <= numbers.LONGEST
        and all(min(column) >= numbers.INT16.start and max(column) < numbers.INT16.stop for column in small)
    )


def _columns(count: int, found: dict[str, Any]) -> resources.Columns:
    values = found["value"]
    return resources.Columns(
        written=count,
        raw_sum=numbers.total(values),
        starts=found["start"],
        durations=found["duration"],
        values=values,
        **{column: found[name] for name, column in _OPTIONAL.items()},
    )


def _one_by_one(readings: list[etree._Element]) -> resources.Columns:
    columns = resources.Columns(len(readings), costs=[], qualities=[], tous=[], tiers=[], cpps=[])
    for element in readings:
        texts = {name: "".join(path(element)[:1]) for name, path in _IN_READING.items()}  # type: ignore[index,arg-type]
        _add(columns, texts)
    for name in _OPTIONAL.values():
        if not any(item is not None for item in getattr(columns, name)):
            setattr(columns, name, None)
    return columns


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
