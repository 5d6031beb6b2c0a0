"""CSV (RFC 4180, UTF-8 without a byte order mark) of readings and of bills.

No mark at the beginning, because programs would take it for a part of the first column's name, and because everything
that is ours is ASCII; only what a utility wrote itself can need more.

Numbers are exact decimals with a point; times are ISO 8601 with the meter's own offset; absent is empty, not zero.
Text that a spreadsheet would take for a formula begins with an apostrophe; numbers are never touched.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

from espi import models, numbers, readings, usage, words
from espi.export import EVERY_DAY, PIECE, Days, Meter

READING_COLUMNS = (
    "meter",
    "meter_id",
    "service",
    "channel_id",
    "measurement",
    "flow_direction",
    "is_register",
    "start",
    "duration_seconds",
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
)
MONEY = -5  # power of ten: amounts are hundred-thousandths
# What Excel, LibreOffice and Google Sheets take for the beginning of a formula, or pass over on the way to one;
# the last four are the full-width forms.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def of_readings(meters: Iterable[Meter], days: Days = EVERY_DAY) -> Iterator[bytes]:
    """One line per reading, channel after channel, each in order of time. Raises readings.Rewritten."""
    return _pieces(READING_COLUMNS, (line for meter in meters for line in _readings(meter, days)))


def of_bills(meters: Iterable[Meter], days: Days = EVERY_DAY) -> Iterator[bytes]:
    """One line per bill and, under it, one per line item; bills whose period begins on these days."""
    return _pieces(BILL_COLUMNS, (line for meter in meters for line in _bills(meter, days)))


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


def _reading_line(meter: Meter, channel: usage.Channel, zone: ZoneInfo) -> Callable[[readings.Stored], list[Any]]:
    """What all lines of a channel share is put into words once."""
    first = [
        *_of_meter(meter),
        str(channel.public_id),
        words.word(words.MEASUREMENTS, channel.kind),
        words.word(words.FLOW_DIRECTIONS, channel.flow_direction),
        "yes" if channel.is_register else "no",
    ]
    unit, currency = text(words.unit(channel.uom)), words.word(words.CURRENCIES, channel.currency)
    multiplier, fromtimestamp, exact = channel.multiplier, datetime.fromtimestamp, numbers.exact

    def line(each: readings.Stored) -> list[Any]:
        start, duration, value, cost, quality, tou, tier, cpp, _ = each
        money = ("", "") if cost is None else (exact(cost, MONEY), currency)
        said = (words.word(words.QUALITIES, quality), quality, *money, tou, tier, cpp)
        return [*first, fromtimestamp(start, zone).isoformat(), duration, exact(value, multiplier), unit, *said]

    return line


def _bills(meter: Meter, days: Days) -> Iterator[list[Any]]:
    zone = ZoneInfo(meter.usage_point.time_zone)
    for bill in usage.bills(meter.usage_point, days.first, days.end):
        shared = _of_meter(meter)
        period = [*_period(bill.start, bill.duration, zone), bill.duration]
        yield [*shared, "bill", *period, *_bill(bill), bill.published_at and bill.published_at.isoformat()]
        for item in bill.details:
            said = item if isinstance(item, dict) else {"note": item}
            yield [*shared, "line item", *period, *_item(said, bill, zone), ""]


def _of_meter(meter: Meter) -> list[Any]:
    point = meter.usage_point
    return [text(meter.name), str(point.public_id), words.word(words.SERVICES, point.service_kind)]


def _period(start: int | None, duration: int | None, zone: ZoneInfo) -> tuple[str, str]:
    if start is None:
        return "", ""
    end = "" if duration is None else _local(start + duration, zone)
    return _local(start, zone), end


def _local(epoch: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(epoch, UTC).astimezone(zone).isoformat()


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
    start, duration = _integer(period.get("start")), _integer(period.get("duration"))
    return [
        _quantity(measured),
        text(words.unit(_integer(measured.get("uom")))) if measured.get("value") is not None else "",
        _money(item.get("amount")),
        words.word(words.CURRENCIES, bill.currency),
        *[""] * 5,
        _as_text(item.get("note")),
        words.word(words.ITEM_KINDS, _integer(kind)),
        _as_text(kind),
        _money(item.get("unitCost")),
        *(_period(start, duration, zone) if start is not None and _is_instant(start, duration) else ("", "")),
    ]


def _is_instant(start: int, duration: int | None) -> bool:
    return start in _INSTANTS and (duration or 0) in range(numbers.LONGEST)


_INSTANTS = range(numbers.EARLIEST, numbers.LATEST)


def _quantity(measured: dict[str, Any]) -> str:
    value, multiplier = _integer(measured.get("value")), _integer(measured.get("powerOfTenMultiplier")) or 0
    if value is None or multiplier not in numbers.MULTIPLIERS:
        return _as_text(measured.get("value"))
    return numbers.exact(value, multiplier)


def _money(value: Any) -> str:
    found = _integer(value)
    return _as_text(value) if found is None else numbers.exact(found, MONEY)


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _as_text(value: Any) -> str:
    if value is None or isinstance(value, dict | list):
        return ""
    return text(str(value)) if isinstance(value, str) else str(value)
