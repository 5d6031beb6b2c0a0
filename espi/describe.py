"""What a document says, without storing it: the answer of `import_greenbutton --dry-run --json`."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, BinaryIO

from espi import atom, links, numbers, parse, resources
from espi.dialect import STANDARD, Dialect


@dataclass
class _Blocks:
    """What the blocks of one MeterReading say together."""

    sample: resources.IntervalBlock
    count: int = 0
    total: int | Decimal = 0
    first: int | None = None
    last: int | None = None

    def overlaps(self, other: "_Blocks") -> bool:
        """Whether both tell of the same time: then they are two meters."""
        if self.first is None or self.last is None or other.first is None or other.last is None:
            return False
        return self.first <= other.last and other.first <= self.last


@dataclass
class _Counts:
    usage_points: int = 0
    meter_readings: int = 0
    blocks: int = 0
    readings: int = 0
    first: int | None = None
    last: int | None = None
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_link: dict[Any, _Blocks] = field(default_factory=dict)


def describe(source: BinaryIO, dialect: Dialect = STANDARD) -> dict[str, Any]:
    """Counts as written in the document, `value_sum` of the raw values, `first` and `last` start, channels, refusals.

    Sums are an integer, or the exact decimal as text where a value has a decimal point. A channel is what tells series
    of one usage point apart: {uom, multiplier, flow_direction, count, sum}. Raises atom.DocumentRefused.
    """
    counts = _Counts()
    directory = links.Directory(dialect)
    try:
        for resource in parse.read(source):
            directory.learn(resource)
            _count(counts, resource, directory)
    except atom.NothingUnderstood as error:
        counts.refused["document", str(error)] += 1
    total = numbers.total(blocks.total for blocks in counts.by_link.values())
    return {
        "usage_points": counts.usage_points,
        "meter_readings": counts.meter_readings,
        "blocks": counts.blocks,
        "readings": counts.readings,
        "value_sum": _plain(total),
        "first": counts.first,
        "last": counts.last,
        "channels": _channels(counts, directory),
        "refused": [{"what": what, "why": why, "count": n} for (what, why), n in sorted(counts.refused.items())],
    }


def _count(counts: _Counts, resource: resources.Resource, directory: links.Directory) -> None:
    match resource:
        case resources.UsagePoint():
            counts.usage_points += 1
        case resources.MeterReading():
            counts.meter_readings += 1
        case resources.IntervalBlock():
            _count_block(counts, resource, directory)
        case resources.Refused():
            counts.refused[resource.what, resource.why] += 1


def _count_block(counts: _Counts, block: resources.IntervalBlock, directory: links.Directory) -> None:
    columns = block.columns
    counts.blocks += block.is_first
    counts.readings += columns.written
    for reason, n in (columns.refused + columns.remarks).items():
        counts.refused["reading", reason] += n
    if columns.starts:
        _widen(counts, columns.starts)
    entry = block.entry
    key = (directory.written_usage_point(entry), entry.segment("MeterReading"), block.is_lower_camel and entry.hrefs)
    blocks = counts.by_link.setdefault(key if any(key) else entry.hrefs, _Blocks(block))
    blocks.count += columns.written
    if columns.starts:
        _widen(blocks, columns.starts)
    blocks.total = numbers.total((blocks.total, columns.raw_sum))


def _widen(span: _Counts | _Blocks, starts: list[int]) -> None:
    earliest, latest = min(starts), max(starts)
    span.first = earliest if span.first is None else min(span.first, earliest)
    span.last = latest if span.last is None else max(span.last, latest)


def _channels(counts: _Counts, directory: links.Directory) -> list[dict[str, Any]]:
    found: dict[Any, list[list[_Blocks]]] = defaultdict(list)
    for blocks in counts.by_link.values():
        source = directory.source(blocks.sample, is_final=True)
        kind = source.reading_type if source else None
        identity = links.identity(kind) if kind else source and source.meter_reading_id
        multiplier = kind.power_of_ten_multiplier if kind else None
        told = (kind.uom, multiplier, kind.flow_direction) if kind else (None, None, None)
        _place(found[source and source.usage_point_id, identity, told], blocks)
    return [_channel(key[2], blocks) for key, channels in found.items() for blocks in channels]


def _place(channels: list[list[_Blocks]], blocks: _Blocks) -> None:
    for members in channels:
        if not any(blocks.overlaps(other) for other in members):
            members.append(blocks)
            return
    channels.append([blocks])


def _channel(told: tuple[int | None, ...], blocks: list[_Blocks]) -> dict[str, Any]:
    uom, multiplier, flow_direction = told
    return {
        "uom": uom,
        "multiplier": multiplier,
        "flow_direction": flow_direction,
        "count": sum(each.count for each in blocks),
        "sum": _plain(numbers.total(each.total for each in blocks)),
    }


def _plain(total: int | Decimal) -> int | str:
    return total if isinstance(total, int) else f"{total:f}"
