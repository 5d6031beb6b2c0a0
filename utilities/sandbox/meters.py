"""Deterministic, lifelike meter readings: a pure function of the meter's seed and the instant.

Electricity is in Wh per interval, reactive energy in varh, gas in 1/100000 therm. All instants are epoch seconds.
Whole numbers only, so that every machine computes the same series.
"""

import itertools
import random
import zlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

# Share of a day's use in each local hour, in parts per thousand.
HOME = (24, 21, 19, 18, 19, 25, 40, 52, 49, 40, 36, 35, 36, 36, 37, 42, 52, 66, 76, 75, 68, 57, 44, 33)
HOME_WEEKEND = (27, 24, 21, 19, 19, 21, 27, 36, 47, 54, 56, 55, 55, 53, 51, 50, 54, 61, 66, 63, 55, 43, 39, 34)
OFFICE = (15, 15, 15, 15, 16, 22, 36, 54, 66, 72, 75, 76, 74, 75, 74, 71, 64, 52, 36, 25, 18, 12, 11, 11)
OFFICE_WEEKEND = (38, 38, 38, 38, 38, 39, 40, 42, 44, 45, 46, 46, 46, 46, 45, 44, 43, 42, 41, 41, 40, 40, 40, 40)
FURNACE = (48, 46, 45, 45, 48, 62, 68, 60, 44, 34, 29, 27, 26, 26, 28, 33, 42, 48, 50, 48, 45, 44, 42, 12)
SUN = (0, 0, 0, 0, 0, 4, 18, 45, 77, 104, 122, 130, 128, 119, 99, 75, 48, 23, 8, 0, 0, 0, 0, 0)
# Percent of the yearly mean in each month.
COOLING = (104, 98, 88, 80, 82, 112, 142, 138, 108, 82, 86, 100)
HEATING = (232, 208, 158, 90, 48, 28, 22, 22, 30, 66, 128, 198)
SUNSHINE = (48, 66, 92, 114, 132, 140, 138, 124, 102, 76, 52, 42)

PROFILES = {
    "home": (HOME, HOME_WEEKEND, COOLING),
    "office": (OFFICE, OFFICE_WEEKEND, COOLING),
    "gas": (FURNACE, FURNACE, HEATING),
}


@dataclass(frozen=True)
class Meter:
    """One meter: ``length`` is its interval in seconds, ``daily`` its mean use per day in the commodity's unit."""

    serial: str
    seed: str
    commodity: str  # "electricity" or "gas"
    length: int
    daily: int
    profile: str = "home"
    solar: int = 0  # mean generation per day, Wh
    zone: str = "America/New_York"
    installed: int = 0
    removed: int | None = None


def local_midnight(day: date, zone: str) -> int:
    """The epoch second at which a local day starts."""
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp())


def local_day(at: float, zone: str) -> date:
    """The local calendar day of an instant."""
    return datetime.fromtimestamp(at, ZoneInfo(zone)).date()


def local_days(start: int, end: int, zone: str) -> list[tuple[int, int]]:
    """[(start, end)] of the local days that overlap a period, not clipped: 82800, 86400 or 90000 seconds each."""
    days, day = [], local_day(start, zone)
    while (first := local_midnight(day, zone)) < end:
        day += timedelta(days=1)
        days.append((first, local_midnight(day, zone)))
    return days


@lru_cache(maxsize=12_000)
def _day(meter: Meter, day: date, channel: str) -> tuple[int, ...]:
    """One local day's readings: 23, 24 or 25 hours of them."""
    first, last = local_midnight(day, meter.zone), local_midnight(day + timedelta(days=1), meter.zone)
    use = _load(meter, day, first, last)
    if channel == "reactive":
        return tuple(value * (18 + index % 7) // 100 for index, value in enumerate(use))
    if not meter.solar:
        return tuple(use) if channel in ("net", "forward") else (0,) * len(use)
    net = [load - sun for load, sun in zip(use, _sun(meter, day, first, last), strict=True)]
    if channel == "net":
        return tuple(net)
    return tuple(max(value, 0) if channel == "forward" else max(-value, 0) for value in net)


def _load(meter: Meter, day: date, first: int, last: int) -> list[int]:
    weekday, weekend, months = PROFILES[meter.profile]
    shape = weekend if day.weekday() >= 5 else weekday
    noise = random.Random(f"{meter.seed}/{day}/load")  # noqa: S311 -- lifelike figures, not secrets
    total = meter.daily * months[day.month - 1] * noise.randint(78, 126) // 10_000
    return [
        total * shape[hour] * meter.length * noise.randint(60, 145) // (1000 * 3600 * 100)
        for hour in _hours(meter, first, last)
    ]


def _sun(meter: Meter, day: date, first: int, last: int) -> list[int]:
    noise = random.Random(f"{meter.seed}/{day}/sun")  # noqa: S311
    total = meter.solar * SUNSHINE[day.month - 1] * noise.choice((35, 70, 95, 120, 130)) // 10_000
    return [
        total * SUN[hour] * meter.length * noise.randint(80, 118) // (1000 * 3600 * 100)
        for hour in _hours(meter, first, last)
    ]


def _hours(meter: Meter, first: int, last: int) -> list[int]:
    """The local hour of every interval; a day of a clock change skips or repeats one."""
    if last - first == 86400:
        return [at // 3600 for at in range(0, 86400, meter.length)]
    zone = ZoneInfo(meter.zone)
    return [datetime.fromtimestamp(at, zone).hour for at in range(first, last, meter.length)]


def readings(meter: Meter, start: int, end: int, length: int | None = None, channel: str = "net") -> list[int]:
    """Readings of the intervals that begin in [start, end), oldest first.

    ``length`` may be a multiple of the meter's own (values are added up). Channels: ``net`` (signed where there is
    solar), ``forward``, ``reverse``, ``reactive``. Start and end are clipped to the time the meter was in place and
    moved up to the next interval boundary. Raises ValueError when ``length`` is no multiple of the meter's.
    """
    length = length or meter.length
    if length % meter.length:
        raise ValueError(f"{length} is not a multiple of the meter's interval {meter.length}")
    start, end = first_interval(meter, start, length), min(end, meter.removed or end)
    values: list[int] = []
    for first, last in local_days(start, end, meter.zone) if start < end else []:
        day = _day(meter, local_day(first, meter.zone), channel)
        low, high = max(start - first, 0), min(end, last) - first
        values.extend(day[low // meter.length : -(-high // meter.length)])
    if length == meter.length:
        return values
    step = length // meter.length
    return [sum(values[index : index + step]) for index in range(0, len(values), step)]


def first_interval(meter: Meter, start: int, length: int | None = None) -> int:
    """The start of the first interval that ``readings`` gives for this start: a multiple of its length."""
    length = length or meter.length
    return -(-max(start, meter.installed) // length) * length


def daily_totals(meter: Meter, start: int, end: int, channel: str = "net") -> list[tuple[int, int, int]]:
    """(start, duration, total) of every local day that begins in [start, end)."""
    days = [(low, high) for low, high in local_days(start, end, meter.zone) if low >= start]
    return [(low, high - low, sum(readings(meter, low, high, channel=channel))) for low, high in days]


def history_start(now: float, zone: str, days: int = 730) -> int:
    """Utilities keep about two years: the local midnight that many days before today."""
    return local_midnight(local_day(now, zone) - timedelta(days=days), zone)


@dataclass(frozen=True)
class Bill:
    """A billing period [start, end) in epoch seconds; usage in the commodity's unit; cost in 1/100000 of currency."""

    number: str
    start: int
    end: int
    usage: int
    cost: int


@dataclass(frozen=True)
class Tariff:
    """Cost in 1/100000 of the currency: a fixed charge per day and a price per 1000 Wh (or per therm)."""

    per_day: int
    per_unit: int
    unit: int = 1000
    credit: int = 0  # price paid per unit sent to the grid


def bills(meters: tuple[Meter, ...], tariff: Tariff, cycle_day: int, start: int, end: int) -> list[Bill]:
    """Monthly bills that lie wholly in [start, end): periods run from ``cycle_day`` to ``cycle_day``, local days."""
    zone = meters[0].zone
    edges = [at for at in _cycle_edges(cycle_day, start, end, zone) if start <= at <= end]
    return [_bill(meters, tariff, low, high) for low, high in itertools.pairwise(edges)]


def _cycle_edges(cycle_day: int, start: int, end: int, zone: str) -> list[int]:
    first = local_day(start, zone).replace(day=1)
    months = (local_day(end, zone).year - first.year) * 12 + 13
    dates = [
        date(first.year + (first.month - 1 + n) // 12, (first.month - 1 + n) % 12 + 1, cycle_day) for n in range(months)
    ]
    return [local_midnight(day, zone) for day in dates]


@lru_cache(maxsize=20_000)
def _bill(meters: tuple[Meter, ...], tariff: Tariff, low: int, high: int) -> Bill:
    usage = sum(sum(readings(meter, low, high, channel="net")) for meter in meters)
    days = round((high - low) / 86400)
    price = tariff.per_unit if usage >= 0 else tariff.credit
    cost = tariff.per_day * days + usage * price // tariff.unit
    number = f"{datetime.fromtimestamp(high, UTC):%Y%m%d}{zlib.crc32(meters[0].seed.encode()) % 10_000:04d}"
    return Bill(number, low, high, usage, cost)
