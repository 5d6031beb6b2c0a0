"""What PG&E knows about its customers, as the values its XML shows: channels, Pacific days, bills, customer records."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from utilities.sandbox import meters, people, pge_xml

ZONE = "America/Los_Angeles"
# Yesterday appears in the course of the day, not at midnight: ten in the morning Pacific, about 18:00Z.
LATENCY = 10 * 3600
REVENUE_QUALITY_AFTER = 30 * 86400
HISTORY_DAYS = 730
ESTIMATED, REVENUE = 17, 19


class BadWindow(ValueError):
    """A published or updated bound is neither Zulu time nor epoch seconds."""


@dataclass(frozen=True)
class Window:
    """Bounds in epoch seconds, inclusive by day: published is reading time, updated is when PG&E changed it."""

    published_min: int | None = None
    published_max: int | None = None
    updated_min: int | None = None
    updated_max: int | None = None

    def shows(self, start: int, end: int, *changes: int) -> bool:
        """Whether a period that was published or corrected at `changes` lies in the window."""
        if self.published_min is not None and end <= self.published_min:
            return False
        if self.published_max is not None and start > self.published_max:
            return False
        if self.updated_min is None and self.updated_max is None:
            return True
        low, high = self.updated_min or 0, self.updated_max or 2**40
        return any(low <= at <= high for at in changes)

    @property
    def length(self) -> int | None:
        if self.published_min is None or self.published_max is None:
            return None
        return self.published_max - self.published_min


@dataclass(frozen=True)
class Channel:
    """One MeterReading: a meter, a direction, and the length of its readings."""

    service: people.Service
    meter: meters.Meter
    kind: pge_xml.ReadingType
    number: int

    @property
    def uid(self) -> str:
        return pge_xml.meter_reading_uid(self.kind, self.number, self.meter.serial)


@dataclass(frozen=True)
class Day:
    """One IntervalBlock: `start` and `duration` in seconds (gas one second later than midnight), readings in order."""

    start: int
    duration: int
    readings: tuple[pge_xml.Reading, ...]
    total: int  # in the meter's own unit


def instant(text: str) -> int:
    """`2024-03-01T08:00:00Z` or epoch seconds, as PG&E's own SDK sent them; BadWindow for anything else."""
    if text.isascii() and text.isdigit() and len(text) <= 12:
        return int(text)
    try:
        return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise BadWindow("dates are written as 2024-03-01T08:00:00Z") from error


def window(query: dict[str, str]) -> Window:
    """The window of a request's query; unknown parameters are ignored, as PG&E ignores them."""
    names = ("published-min", "published-max", "updated-min", "updated-max")
    return Window(*(instant(query[name]) if query.get(name) else None for name in names))


def channels(service: people.Service, hourly: bool = False) -> list[Channel]:
    """The service's MeterReadings: each meter has its own, and each direction where there are solar panels."""
    found = []
    for meter in service.meters:
        if service.kind == "gas":
            kinds = [pge_xml.ReadingType(169, 86400)]
        else:
            length = 3600 if hourly else meter.length
            kinds = [pge_xml.ReadingType(72, length, flow) for flow in ((1, 19) if meter.solar else (1,))]
        found += [Channel(service, meter, kind, 1) for kind in kinds]
    return found


def history_start(now: float, accounts: tuple[people.Account, ...]) -> int:
    """The earliest reading of accounts connected now: two years, or the day the first of them was opened."""
    return max(meters.history_start(now, ZONE, HISTORY_DAYS), min(account.opened or 0 for account in accounts))


def tou(at: int, zone: ZoneInfo) -> int:
    """Time-of-use code: from June to September 1-3, from March to May 7-9, else 4-6 and 10; 16 to 21 o'clock is peak."""
    local = datetime.fromtimestamp(at, zone)
    summer, spring = 6 <= local.month <= 9, 3 <= local.month <= 5
    if 16 <= local.hour < 21:
        return 1 if summer else 7 if spring else 4
    if 9 <= local.hour < 14 and not summer:
        return 9 if spring else 10
    if local.hour in (15, 21, 22, 23):
        return 3 if summer else 8 if spring else 5
    return 2 if summer else 8 if spring else 6


def days(channel: Channel, window: Window, start: int, now: float) -> Iterator[Day]:
    """The IntervalBlocks of a channel in a window, oldest first: only whole Pacific days already published."""
    low = max(start, window.published_min or 0, channel.meter.installed)
    high = min(now, channel.meter.removed or 2**40)
    if window.published_max is not None:
        high = min(high, window.published_max + 1)
    for first, last in meters.local_days(low, int(high), ZONE) if low < high else []:
        changes = [at for at in (last + LATENCY, last + REVENUE_QUALITY_AFTER) if at <= now]
        if not changes or not window.shows(first, last, *changes):
            continue
        day = _day(channel, first, last, now)
        if day.readings:
            yield day


def _day(channel: Channel, first: int, last: int, now: float) -> Day:
    quality = REVENUE if now - last > REVENUE_QUALITY_AFTER else ESTIMATED
    if channel.kind.uom == 169:
        total = sum(meters.readings(channel.meter, first, last))
        reading = pge_xml.Reading(first + 1, last - first, total * 1000, quality)
        return Day(first + 1, last - first, (reading,), total)
    length, direction = channel.kind.length, "reverse" if channel.kind.flow == 19 else "forward"
    values = meters.readings(channel.meter, first, last, length, direction)
    begin = meters.first_interval(channel.meter, first, length)
    zone = ZoneInfo(ZONE)
    starts = range(begin, begin + length * len(values), length)
    readings = tuple(
        pge_xml.Reading(at, length, value * 1000, quality, tou(at, zone))
        for at, value in zip(starts, values, strict=True)
    )
    return Day(first, last - first, readings, sum(values))


def bills(
    service: people.Service, window: Window, start: int, now: float, *, costs: bool, cca: bool
) -> list[pge_xml.Bill]:
    """Bills of a service in a window, oldest publication first; the bill of a meter change is published twice."""
    found = []
    for bill in meters.bills(service.meters, service.tariff, service.cycle_day, start, int(now)):
        for version in _versions(service, bill, cca):
            ends = version.start + version.duration
            if version.published <= now and window.shows(version.start, ends, int(version.published)):
                found.append(version if costs else replace(version, total=None, lines=()))
    return sorted(found, key=lambda one: one.published)


def _versions(service: people.Service, bill: meters.Bill, cca: bool) -> list[pge_xml.Bill]:
    """What PG&E publishes for a period: once, or first with a shifted period and a wrong sum and then corrected."""
    final = _bill(service, bill, cca)
    swapped = [meter.removed for meter in service.meters if meter.removed and bill.start <= meter.removed < bill.end]
    if not swapped:
        return [final]
    first = _bill(service, replace(bill, usage=bill.usage * 97 // 100, cost=bill.cost * 97 // 100), cca)
    first = replace(first, duration=first.duration - 86400)
    return [first, replace(final, published=final.published + 4 * 86400)]


def _bill(service: people.Service, bill: meters.Bill, cca: bool) -> pge_xml.Bill:
    gas = service.kind == "gas"
    # billingPeriod starts a day before the first day printed on the paper bill and ends on the last printed day.
    start, end = (meters.local_midnight(meters.local_day(edge - 86400, ZONE), ZONE) for edge in (bill.start, bill.end))
    lines = tuple(_lines(service, bill, cca))
    return pge_xml.Bill(
        start=start,
        duration=end - start,
        quantity=bill.usage * 1000,
        uom=169 if gas else 72,
        multiplier=-8 if gas else -3,
        commodity=7 if gas else 1,
        published=bill.end + 86400 + LATENCY,
        total=sum(line.amount for line in lines),
        lines=lines,
        tariff="HG1" if gas else "HETOUC",
    )


def _lines(service: people.Service, bill: meters.Bill, cca: bool) -> Iterator[pge_xml.LineItem]:
    """Lines that add up to the bill: energy by period, a fixed charge, a tax, and what another supplier changes."""
    count, unit = round((bill.end - bill.start) / 86400), service.tariff.unit
    price = service.tariff.per_unit if bill.usage >= 0 else service.tariff.credit
    measure = {"uom": 169, "multiplier": -8} if service.kind == "gas" else {"uom": 72, "multiplier": -3}
    peak = bill.usage * 3 // 10
    names = ("Gas Usage Charge", "Gas Usage Charge Above Baseline")
    names = names if service.kind == "gas" else ("Peak Energy Charge", "Off Peak Energy Charge")
    for name, usage in zip(names, (peak, bill.usage - peak), strict=True):
        yield pge_xml.LineItem(name, usage * price // unit, 3, usage * 1000, unit_cost=price, **measure)
    fixed = service.tariff.per_day
    yield pge_xml.LineItem("Customer Charge", fixed * count, 4, count * 1000, 72, -3, unit_cost=fixed)
    if cca:
        yield pge_xml.LineItem("Generation Credit", -bill.usage * 11_000 // unit, 6, bill.usage * 1000, **measure)
        name = "Power Cost Incentive Adjustment (PCIA)"
        yield pge_xml.LineItem(name, bill.usage * 2_300 // unit, 3, bill.usage * 1000, **measure)
    # A tax line carries a measurement of nothing.
    yield pge_xml.LineItem("Energy Commission Tax", max(bill.usage, 0) * 30 // unit, 5, 0, 72, -3)
