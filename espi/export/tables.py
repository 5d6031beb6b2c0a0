"""CSV (RFC 4180, UTF-8 without a byte order mark) of readings, bills, the audit trail and customer data.

No mark at the beginning, because programs would take it for a part of the first column's name, and because everything
that is ours is ASCII; only what a utility wrote itself can need more.

Numbers are exact decimals with a point; times are ISO 8601 with the meter's own offset; absent is empty, not zero.
Text that a spreadsheet would take for a formula begins with an apostrophe; numbers are never touched.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

from espi import customers, models, numbers, readings, revisions, usage, words
from espi.export import EVERY_DAY, PIECE, Days, Meter

_OF_A_READING = (
    "meter",
    "meter_id",
    "service",
    "channel_id",
    "measurement",
    "flow_direction",
    "is_register",
    "start",
    "duration_seconds",
)
READING_COLUMNS = (
    *_OF_A_READING,
    "value",
    "unit",
    "quality",
    "quality_code",
    "cost",
    "currency",
    "tou",
    "consumption_tier",
    "cpp",
)
BILL_COLUMNS = (
    "meter",
    "meter_id",
    "service",
    "row",
    "period_start",
    "period_end",
    "duration_seconds",
    "consumption",
    "unit",
    "cost",
    "currency",
    "cost_to_date",
    "additional_cost",
    "quality",
    "quality_code",
    "tariff",
    "note",
    "item_kind",
    "item_kind_code",
    "unit_cost",
    "item_start",
    "item_end",
    "published_at",
    "commodity",
)
_STATEMENT = ("value", "quality", "quality_code", "cost", "tou", "consumption_tier", "cpp", "published_at")
REVISION_COLUMNS = (
    *_OF_A_READING,
    "unit",
    "currency",
    *(f"{side}_{name}" for side in ("old", "new") for name in _STATEMENT),
    "revised_at",
)
CUSTOMER_COLUMNS = (
    "connection",
    "connection_id",
    "resource",
    "resource_id",
    "belongs_to",
    "element",
    "value",
    "said_at",
)
# What Excel, LibreOffice and Google Sheets take for the beginning of a formula, or pass over on the way to one;
# the last four are the full-width forms.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def of_readings(meters: Iterable[Meter], days: Days = EVERY_DAY) -> Iterator[bytes]:
    """One line per reading, channel after channel, each in order of time. Raises readings.Rewritten."""
    return _pieces(READING_COLUMNS, (line for meter in meters for line in _readings(meter, days)))


def of_bills(meters: Iterable[Meter], days: Days = EVERY_DAY) -> Iterator[bytes]:
    """One line per bill and, under it, one per line item; bills whose period begins on these days."""
    return _pieces(BILL_COLUMNS, (line for meter in meters for line in _bills(meter, days)))


def of_revisions(meters: Iterable[Meter], days: Days = EVERY_DAY) -> Iterator[bytes]:
    """One line per reading that was told otherwise: what does not hold (`old_`), and what held when that was noted."""
    return _pieces(REVISION_COLUMNS, (line for meter in meters for line in _revisions(meter, days)))


def of_customers(connections: Iterable[tuple[str, models.Subscription]]) -> Iterator[bytes]:
    """One line per element of the customer data of connections, each with its name for people."""
    return _pieces(CUSTOMER_COLUMNS, (line for name, each in connections for line in _customer(name, each)))


def text(value: str) -> str:
    """What somebody else wrote, as a cell that no spreadsheet computes (OWASP, CSV injection)."""
    value = value.replace("\0", "")
    return f"'{value}" if value.startswith(_FORMULA) else value


def _pieces(columns: Sequence[str], lines: Iterator[Sequence[Any]]) -> Iterator[bytes]:
    buffer = StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(columns)
    for line in lines:
        writer.writerow(line)
        if buffer.tell() > PIECE:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _readings(meter: Meter, days: Days) -> Iterator[list[Any]]:
    point = meter.usage_point
    zone = ZoneInfo(point.time_zone)
    for channel in meter.wanted(usage.channels(point)):
        span = days.of(channel)
        if span is None:
            continue
        line = _reading_line(meter, channel, zone)
        for each in readings.of_channel(channel, zone, *span):
            yield line(each)


def _of_channel(meter: Meter, channel: usage.Channel) -> list[str]:
    return [
        *_of_meter(meter),
        str(channel.public_id),
        words.word(words.MEASUREMENTS, channel.kind),
        words.word(words.FLOW_DIRECTIONS, channel.flow_direction),
        "yes" if channel.is_register else "no",
    ]


def _reading_line(meter: Meter, channel: usage.Channel, zone: ZoneInfo) -> Callable[[readings.Stored], list[Any]]:
    """What all lines of a channel share is put into words once."""
    first = _of_channel(meter, channel)
    unit, currency = text(words.unit(channel.uom)), words.word(words.CURRENCIES, channel.currency)
    multiplier, fromtimestamp, exact = channel.multiplier, datetime.fromtimestamp, numbers.exact

    def line(each: readings.Stored) -> list[Any]:
        start, duration, value, cost, quality, tou, tier, cpp, _ = each
        money = ("", "") if cost is None else (exact(cost, numbers.MONEY), currency)
        said = (words.word(words.QUALITIES, quality), quality, *money, tou, tier, cpp)
        return [*first, fromtimestamp(start, zone).isoformat(), duration, exact(value, multiplier), unit, *said]

    return line


def _revisions(meter: Meter, days: Days) -> Iterator[list[Any]]:
    zone = ZoneInfo(meter.usage_point.time_zone)
    for channel in meter.wanted(usage.channels(meter.usage_point)):
        shared = _of_channel(meter, channel)
        unit, currency = text(words.unit(channel.uom)), words.word(words.CURRENCIES, channel.currency)
        span = days.of(channel)
        for each in revisions.of_channel(channel, zone, *span) if span else ():
            said = [*_statement(each.old, each.multiplier), *_statement(each.new, each.multiplier)]
            start = numbers.local(each.start, zone)
            yield [*shared, start, each.duration, unit, currency, *said, each.revised_at.isoformat()]


def _statement(said: revisions.Statement, multiplier: int) -> list[Any]:
    quality, cost = words.word(words.QUALITIES, said.quality), _money(said.cost)
    codes = (said.tou, said.tier, said.cpp, said.published_at and said.published_at.isoformat())
    return [numbers.exact(said.value, multiplier), quality, said.quality, cost, *codes]


def _customer(name: str, subscription: models.Subscription) -> Iterator[list[Any]]:
    for told in customers.each(subscription):
        above = " ".join(map(str, told.above))
        shared = [text(name), str(subscription.public_id), told.noun, str(told.public_id), above]
        for element, value in told.said.items():
            for path, each in _leaves(element, value):
                yield [*shared, text(path), _as_text(each), told.said_at.get(element, "")]


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """`mainAddress/townDetail/name` and its value, for each value that holds no others; `name[2]` of several."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(f"{path}/{name}", each)
    elif isinstance(value, list):
        for number, each in enumerate(value, 1):
            yield from _leaves(f"{path}[{number}]", each)
    else:
        yield path, value


def _bills(meter: Meter, days: Days) -> Iterator[list[Any]]:
    zone = ZoneInfo(meter.usage_point.time_zone)
    for bill in usage.bills(meter.usage_point, days.first, days.end):
        shared, commodity = _of_meter(meter), words.word(words.COMMODITIES, bill.commodity)
        period = [*_period(bill.start, bill.duration, zone), bill.duration]
        yield [*shared, "bill", *period, *_bill(bill), bill.published_at and bill.published_at.isoformat(), commodity]
        for item in bill.details:
            said = item if isinstance(item, dict) else {"note": item}
            yield [*shared, "line item", *period, *_item(said, bill, zone), "", commodity]


def _of_meter(meter: Meter) -> list[Any]:
    point = meter.usage_point
    return [text(meter.name), str(point.public_id), words.word(words.SERVICES, point.service_kind)]


def _period(start: int | None, duration: int | None, zone: ZoneInfo) -> tuple[str, str]:
    if start is None:
        return "", ""
    end = "" if duration is None else numbers.local(start + duration, zone)
    return numbers.local(start, zone), end


def _bill(bill: models.UsageSummary) -> list[Any]:
    has_energy = bill.consumption is not None
    amounts = (bill.bill_last_period, bill.bill_to_date, bill.cost_additional_last_period)
    cost, to_date, additional = (_money(each) for each in amounts)
    return [
        numbers.exact(bill.consumption, bill.consumption_multiplier) if bill.consumption is not None else "",
        text(words.unit(bill.consumption_uom)) if has_energy else "",
        cost,
        words.word(words.CURRENCIES, bill.currency),
        to_date,
        additional,
        words.word(words.QUALITIES, bill.quality),
        bill.quality,
        text(bill.tariff_profile),
        *[""] * 6,
    ]


def _item(item: dict[str, Any], bill: models.UsageSummary, zone: ZoneInfo) -> list[Any]:
    """A line item as sent: whatever is no number where one should be is told as the text it is."""
    kind, measured, period = item.get("itemKind"), item.get("measurement"), item.get("itemPeriod")
    measured = measured if isinstance(measured, dict) else {}
    period = period if isinstance(period, dict) else {}
    start, duration = numbers.json_integer(period.get("start")), numbers.json_integer(period.get("duration"))
    return [
        _quantity(measured),
        text(words.unit(numbers.json_integer(measured.get("uom")))) if measured.get("value") is not None else "",
        _money(item.get("amount")),
        words.word(words.CURRENCIES, bill.currency),
        *[""] * 5,
        _as_text(item.get("note")),
        words.word(words.ITEM_KINDS, numbers.json_integer(kind)),
        _as_text(kind),
        _money(item.get("unitCost")),
        *(_period(start, duration, zone) if start is not None and _is_instant(start, duration) else ("", "")),
    ]


def _is_instant(start: int, duration: int | None) -> bool:
    return start in _INSTANTS and (duration or 0) in range(numbers.LONGEST)


_INSTANTS = range(numbers.EARLIEST, numbers.LATEST)


def _quantity(measured: dict[str, Any]) -> str:
    value, multiplier = (
        numbers.json_integer(measured.get("value")),
        numbers.json_integer(measured.get("powerOfTenMultiplier")) or 0,
    )
    if value is None or multiplier not in numbers.MULTIPLIERS:
        return _as_text(measured.get("value"))
    return numbers.exact(value, multiplier)


def _money(value: Any) -> str:
    found = numbers.json_integer(value)
    return _as_text(value) if found is None else numbers.exact(found, numbers.MONEY)


def _as_text(value: Any) -> str:
    if value is None or isinstance(value, dict | list):
        return ""
    return text(str(value)) if isinstance(value, str) else str(value)
