"""What an authorization gives access to on Con Edison's platform: services, series of readings, bills, windows.

Figures are whole numbers in the meter's unit: Wh, varh, and 1/100000 CCF of gas. Instants are epoch seconds.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from utilities.sandbox import coned_terms as terms
from utilities.sandbox import meters
from utilities.sandbox.context import Sandbox
from utilities.sandbox.meters import Bill, Meter
from utilities.sandbox.people import Account, Service
from utilities.sandbox.state import Row

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
DAY = re.compile(r"\d{4}-\d\d-\d\d")
UNITS = {"net": "Wh", "reactive": "varh", "gas": "0.00001 CCF"}


@dataclass(frozen=True)
class Series:
    """Readings of one meter: ``values[i]`` is the interval that starts at ``start + i * length``."""

    service: Service
    meter: Meter
    quantity: str  # "net", "reactive" or "gas"
    start: int
    values: list[int]
    revision: tuple[int, int] = (0, 0)  # since when values are told otherwise, and by how much

    @property
    def length(self) -> int:
        """Seconds in one interval."""
        return self.meter.length

    def days(self) -> Iterator[tuple[int, list[int]]]:
        """(first start, values) of each local day."""
        end = self.start + len(self.values) * self.length
        for low, high in meters.local_days(self.start, end, self.meter.zone) if self.values else []:
            first = max(low, self.start)
            begin = (first - self.start) // self.length
            yield first, self.values[begin : begin + (min(high, end) - first) // self.length]

    def revised(self, since: int, add: int) -> "Series":
        """The same, told otherwise from an instant on."""
        first = max(0, -(-(since - self.start) // self.length))
        values = self.values[:first] + [value + add for value in self.values[first:]]
        return replace(self, values=values, revision=(since, add))

    def channel(self) -> Row:
        """What the deliveries ledger says about it."""
        last = self.start + (len(self.values) - 1) * self.length
        return {
            "usage_point": self.service.id, "meter_reading": self.meter.serial, "quantity": self.quantity,
            "unit": UNITS[self.quantity], "length": self.length, "count": len(self.values), "sum": sum(self.values),
            "first": self.start, "last": last, "revision": self.revision,
        }  # fmt: skip


def account_of(sandbox: Sandbox, authorization: Row) -> Account:
    """The authorized account. Raises LookupError when it was removed from the customer's profile."""
    account = sandbox.account(authorization["utility"], authorization["username"], authorization["account"])
    if account is None:
        raise LookupError("The account is no longer in the customer's profile.")
    return account


def granted(authorization: Row, *strings: str) -> bool:
    """V1: is one of these scope strings granted?"""
    return any(string in authorization["scope"].split(" ") for string in strings)


def blocks(authorization: Row) -> frozenset[str]:
    """V2: the granted function blocks."""
    return frozenset(terms.parse_v2(authorization["scope"]).blocks)


def services(sandbox: Sandbox, authorization: Row) -> list[Service]:
    """The usage points an authorization covers; V2 scopes may leave out gas or electricity."""
    all_services = list(account_of(sandbox, authorization).services)
    if authorization["edition"] == "v1":
        usage = granted(authorization, terms.CONSUMPTION, terms.BILLING, terms.REAL_TIME)
        return all_services if usage else []
    held = blocks(authorization)
    if not held & {"4", "15"}:
        return []
    if not held & terms.INTERVAL_CHOICES:
        return all_services
    kinds = {"electricity"} if held & {"5", "7", "8"} else set()
    kinds |= {"gas"} if "10" in held else set()
    return [service for service in all_services if service.kind in kinds]


def history(sandbox: Sandbox, authorization: Row | None = None) -> tuple[int, int]:
    """[start, end) of what can be had: two years up to the last local midnight, less when the scope says so."""
    start = meters.history_start(sandbox.now(), terms.ZONE)
    end = meters.local_midnight(meters.local_day(sandbox.now(), terms.ZONE), terms.ZONE)
    if authorization and authorization["edition"] == "v2":
        tail = dict(terms.parse_v2(authorization["scope"]).tail)
        start = max(start, int(sandbox.now()) - int(tail.get("HistoryLength", terms.LONGEST_HISTORY)))
    return start, end


def real_time(sandbox: Sandbox) -> tuple[int, int]:
    """[start, end) of real-time data: 24 hours, 45 minutes behind."""
    end = int(sandbox.now()) - terms.REAL_TIME_LATENCY
    return end - 86400, end


def installed(service: Service, end: int) -> list[Meter]:
    """Meters of a service that have readings before ``end``."""
    return [meter for meter in service.meters if meter.installed < end]


def series(service: Service, meter: Meter, start: int, end: int, quantity: str) -> Series:
    """One meter's readings of the complete intervals in [start, end)."""
    start = meters.first_interval(meter, start)
    end = min(end, meter.removed or end)
    end = start + max(0, end - start) // meter.length * meter.length
    channel = "reactive" if quantity == "reactive" else "net"
    return Series(service, meter, quantity, start, meters.readings(meter, start, end, channel=channel))


def quantities(service: Service, *, reactive: bool) -> list[str]:
    """What a meter of a service measures; V1 sends reactive energy too, and first."""
    if service.kind == "gas":
        return ["gas"]
    return ["reactive", "net"] if reactive else ["net"]


def bills(sandbox: Sandbox, authorization: Row, service: Service, window: tuple[int, int]) -> list[Bill]:
    """Bills that touch the window; none for an account that has just been opened."""
    start, end = history(sandbox, authorization)
    if account_of(sandbox, authorization).opened is not None:
        return []
    found = meters.bills(service.meters, service.tariff, service.cycle_day, start, end)
    return [bill for bill in found if bill.start < window[1] and bill.end >= window[0]]


def v2_window(query: dict[str, str], limits: tuple[int, int]) -> tuple[int, int]:
    """published-min and published-max (UTC, reading time) within the limits. Raises ValueError when malformed."""
    start, end = (_instant(query[name]) if name in query else None for name in ("published-min", "published-max"))
    if start is not None and end is not None and start >= end:
        raise ValueError("published-min is not before published-max.")
    return max(limits[0], start or limits[0]), min(limits[1], limits[1] if end is None else end)


def _instant(text: str) -> int:
    if not INSTANT.fullmatch(text):
        raise ValueError(f"{text!r} is not of the form YYYY-MM-DDTHH:MM:SSZ.")
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())


def v1_window(query: dict[str, str], limits: tuple[int, int]) -> tuple[int, int, int | None]:
    """(start, end, days) of publishedMin and publishedMax, local days, both included; days is None without both.

    Raises ValueError when malformed.
    """
    first, last = (_day(query[name]) if name in query else None for name in ("publishedMin", "publishedMax"))
    if first and last and first > last:
        raise ValueError("publishedMin is after publishedMax.")
    start = limits[0] if first is None else max(limits[0], meters.local_midnight(first, terms.ZONE))
    end = limits[1] if last is None else min(limits[1], meters.local_midnight(last + timedelta(days=1), terms.ZONE))
    return start, end, ((last - first).days + 1 if first and last else None)


def _day(text: str) -> date:
    if not DAY.fullmatch(text):
        raise ValueError(f"{text!r} is not of the form YYYY-MM-DD.")
    return date.fromisoformat(text)


def decimal(value: int, digits: int) -> str:
    """A whole number with its last ``digits`` behind the point: decimal(236, 3) is 0.236."""
    whole, rest = divmod(abs(value), 10**digits)
    return f"{'-' if value < 0 else ''}{whole}.{rest:0{digits}d}"
