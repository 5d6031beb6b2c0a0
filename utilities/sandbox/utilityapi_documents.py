"""The documents of the UtilityAPI platform's Green Button API, put together from data and dialect.

A block is a day from midnight to midnight UTC whatever the meter's zone, and each has a MeterReading and a ReadingType
of its own whose ids name the window: the same day asked for with other bounds has other ids.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from utilities.sandbox import meters, people
from utilities.sandbox import utilityapi_utilities as utilities
from utilities.sandbox import utilityapi_xml as xml
from utilities.sandbox.utilityapi_scope import BILLS, DETAILS, USAGE
from utilities.sandbox.utilityapi_xml import Link

# A UTC day is added six hours after it ended; what lies before the consent is collected right after it.
LATENCY = 6 * 3600
HISTORY_DAYS = 730


class BadParameter(ValueError):
    """A query parameter is malformed."""


@dataclass(frozen=True)
class Window:
    """Bounds in epoch seconds: published is the time the data are about, updated when the platform added them."""

    published_min: int = 0
    published_max: int = 2**40
    updated_min: int = 0
    updated_max: int = 2**40

    def added(self, at: float) -> bool:
        return self.updated_min <= at <= self.updated_max


@dataclass(frozen=True)
class Grant:
    """What one authorization opens."""

    uid: str
    utility: utilities.Utility
    customer: utilities.Customer
    services: tuple[people.Service, ...]
    blocks: frozenset[int]
    created: int
    history: int  # seconds back from the consent

    @property
    def floor(self) -> int:
        """The earliest instant there are data of: a midnight UTC."""
        return max(self.created - self.history, self.customer.account.opened or 0) // 86400 * 86400


@dataclass(frozen=True)
class Block:
    """Readings of one channel in one UTC day, clipped to the window; values in Wh."""

    uid: str
    flow: int
    start: int
    end: int
    readings: tuple[tuple[int, int], ...]
    added: float


def window(query: dict[str, str]) -> Window:
    """The four documented parameters; BadParameter when one is not written as 2018-08-01T00:00:00Z."""
    names = ("published-min", "published-max", "updated-min", "updated-max")
    bounds = {name.replace("-", "_"): _instant(name, query[name]) for name in names if name in query}
    return Window(**bounds)


def _instant(name: str, text: str) -> int:
    try:
        return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise BadParameter(f"{name} must be formatted as YYYY-MM-DDTHH:MM:SSZ") from error


def blocks(grant: Grant, service: people.Service, when: Window, now: float) -> Iterator[Block]:
    """The blocks of a meter in a window, oldest first; a solar meter has an import and an export block each day."""
    if USAGE not in grant.blocks:
        return
    low, high = max(grant.floor, when.published_min), min(int(now), when.published_max)
    for day in range(low // 86400 * 86400, high, 86400):
        added = max(day + 86400 + LATENCY, grant.created)
        if day + 86400 + LATENCY > now or not when.added(added):
            continue
        start, end = max(day, low), min(day + 86400, high)
        for meter in service.meters:
            yield from _channels(service, meter, start, end, added)


def _channels(service: people.Service, meter: meters.Meter, start: int, end: int, added: float) -> Iterator[Block]:
    for flow, direction in ((1, "forward"), (19, "reverse")) if meter.solar else ((1, "forward"),):
        first = meters.first_interval(meter, start)
        values = meters.readings(meter, start, end, channel=direction)
        # Where nothing was exported there is no reading at all.
        pairs = tuple(
            (first + number * meter.length, value) for number, value in enumerate(values) if value or flow == 1
        )
        if pairs:
            yield Block(f"{service.id}-{end}-{start}_kwh_{flow}", flow, start, end, pairs, added)


@dataclass
class Writer:
    """Writes entries below one resource base; `channels` collects what was delivered, for the deliveries ledger."""

    root: str
    now: float
    channels: list[dict[str, Any]] = field(default_factory=list)

    def usage_point(self, grant: Grant, service: people.Service, *, in_batch: bool = False) -> str:
        href = f"{self.root}/Subscription/{grant.uid}/UsagePoint/{service.id}"
        links = [
            Link("self", href, "espi-entry/UsagePoint"),
            Link("up", href.rsplit("/", 1)[0], "espi-feed/UsagePoint"),
            Link("related", f"{href}/MeterReading", "espi-feed/MeterReading"),
        ]
        if not in_batch:
            for kind in ("UsageSummary", "ElectricPowerQualitySummary"):
                links.append(Link("related", f"{href}/{kind}", f"espi-feed/{kind}"))
        zone = f"{self.root}/LocalTimeParameters/TIMEZONE_{grant.uid}_{service.id}"
        links.append(Link("related", zone, "espi-entry/LocalTimeParameters"))
        return xml.entry("UsagePoint", links, xml.usage_point(self.tariff(grant)), grant.created, self.now)

    @staticmethod
    def tariff(grant: Grant) -> str:
        return "GS-LESS-50" if "Shop" in grant.customer.name or "shop" in grant.customer.about else "RES-TOU"

    def zone(self, grant: Grant, service: people.Service, *, in_customer_feed: bool = False) -> str:
        href = f"{self.root}/LocalTimeParameters/TIMEZONE_{grant.uid}_{service.id}"
        prefix = "cust" if in_customer_feed else "espi"
        links = [
            Link("self", href, f"{prefix}-entry/LocalTimeParameters"),
            Link("up", f"{self.root}/LocalTimeParameters", f"{prefix}-feed/LocalTimeParameters"),
        ]
        content = xml.local_time_parameters(grant.utility.offset, in_customer_feed=in_customer_feed)
        return xml.entry("LocalTimeParameters", links, content, grant.created, self.now)

    def meter_reading(self, grant: Grant, service: people.Service, block: Block) -> str:
        point = f"{self.root}/Subscription/{grant.uid}/UsagePoint/{service.id}"
        href = f"{point}/MeterReading/{block.uid}"
        links = [
            Link("self", href, "espi-entry/MeterReading"),
            Link("up", f"{point}/MeterReading", "espi-feed/MeterReading"),
            Link("related", point, "espi-entry/UsagePoint"),
            Link("related", f"{href}/IntervalBlock", "espi-feed/IntervalBlock"),
            Link("related", self._type_href(grant, service, block), "espi-entry/ReadingType"),
        ]
        return xml.entry("MeterReading", links, xml.espi("MeterReading", []), block.added, block.added + 0.25)

    def _type_href(self, grant: Grant, service: people.Service, block: Block) -> str:
        return f"{self.root}/ReadingType/{grant.uid}_{service.id}_{block.uid}"

    def reading_type(self, grant: Grant, service: people.Service, block: Block) -> str:
        point = f"{self.root}/Subscription/{grant.uid}/UsagePoint/{service.id}"
        links = [
            Link("self", self._type_href(grant, service, block), "espi-entry/ReadingType"),
            Link("up", f"{self.root}/ReadingType", "espi-feed/ReadingType"),
            Link("related", f"{point}/MeterReading/{block.uid}", "espi-entry/MeterReading"),
        ]
        content = xml.reading_type(block.flow, service.meter.length, grant.utility.reading_currency)
        return xml.entry("ReadingType", links, content, block.added, block.added + 0.25)

    def interval_block(self, grant: Grant, service: people.Service, block: Block) -> str:
        """The link to its one MeterReading is of a feed's type, as the platform writes it."""
        reading = f"{self.root}/Subscription/{grant.uid}/UsagePoint/{service.id}/MeterReading/{block.uid}"
        links = [
            Link("self", f"{reading}/IntervalBlock/000001", "espi-entry/IntervalBlock"),
            Link("up", f"{reading}/IntervalBlock", "espi-feed/IntervalBlock"),
            Link("related", reading, "espi-feed/MeterReading"),
        ]
        length = service.meter.length
        content = xml.interval_block(
            block.start, block.end - block.start, ((at, length, value * 1000) for at, value in block.readings)
        )
        self._count(service, block)
        return xml.entry("IntervalBlock", links, content, block.added, block.added + 0.25)

    def _count(self, service: people.Service, block: Block) -> None:
        starts = [at for at, _value in block.readings]
        total = sum(value for _at, value in block.readings)
        for channel in self.channels:
            if channel["usage_point"] == service.id and channel["flow"] == block.flow:
                channel["count"] += len(starts)
                channel["sum"] += total
                channel["first"], channel["last"] = min(channel["first"], starts[0]), max(channel["last"], starts[-1])
                return
        facts = {"usage_point": service.id, "meter_reading": block.uid, "unit": 72, "flow": block.flow}
        self.channels.append({**facts, "count": len(starts), "sum": total, "first": starts[0], "last": starts[-1]})

    def bills(self, grant: Grant, service: people.Service, when: Window) -> list[tuple[float, xml.Bill]]:
        """(added, bill) of the bills a window shows."""
        if BILLS not in grant.blocks:
            return []
        found = []
        for bill in meters.bills(service.meters, service.tariff, service.cycle_day, grant.floor, int(self.now)):
            added = max(bill.end + 2 * 86400, grant.created)
            shown = bill.end > when.published_min and bill.start < when.published_max and when.added(added)
            if shown and bill.end + 2 * 86400 <= self.now:
                found.append((float(added), _bill(grant, service, bill, self.tariff(grant))))
        return found

    def summary(self, grant: Grant, service: people.Service, added: float, bill: xml.Bill) -> str:
        up = f"{self.root}/Subscription/{grant.uid}/UsagePoint/{service.id}/UsageSummary"
        links = [
            Link("self", f"{up}/{service.id}-{bill.start}", "espi-entry/UsageSummary"),
            Link("up", up, "espi-feed/UsageSummary"),
        ]
        return xml.entry("UsageSummary", links, xml.usage_summary(bill), added, added + 0.5)

    def batch(self, grant: Grant, services: tuple[people.Service, ...], when: Window) -> list[str]:
        """Everything about these meters; the customer's choices decide what is in it."""
        entries = []
        for service in services:
            entries += [self.usage_point(grant, service, in_batch=True), self.zone(grant, service)]
            for block in blocks(grant, service, when, self.now):
                entries.append(self.meter_reading(grant, service, block))
                entries.append(self.reading_type(grant, service, block))
                entries.append(self.interval_block(grant, service, block))
            entries += [self.summary(grant, service, added, bill) for added, bill in self.bills(grant, service, when)]
        return entries

    def news(self, grant: Grant, when: Window) -> list[str]:
        """What a bulk feed brings of one authorization: usage summaries and interval blocks, nothing around them."""
        entries = []
        for service in grant.services:
            entries += [self.summary(grant, service, added, bill) for added, bill in self.bills(grant, service, when)]
            found = blocks(grant, service, when, self.now)
            entries += [self.interval_block(grant, service, block) for block in found]
        return entries


def _bill(grant: Grant, service: people.Service, bill: meters.Bill, tariff: str) -> xml.Bill:
    """Lines that add up: energy, delivery, tax, and the rebate that Ontario takes off."""
    count = round((bill.end - bill.start) / 86400)
    price = service.tariff.per_unit if bill.usage >= 0 else service.tariff.credit
    energy, delivery = bill.usage * price // service.tariff.unit, service.tariff.per_day * count
    tax, rebate = (energy + delivery) * 13 // 100, -((energy + delivery) * 23 // 1000)
    lines = (
        xml.LineItem("Electricity", energy, 3),
        xml.LineItem("Delivery", delivery, 2),
        xml.LineItem("HST", tax, 5),
        xml.LineItem("Ontario Electricity Rebate", rebate, 8),
    )
    total = sum(line.amount for line in lines)
    return xml.Bill(
        bill.start, bill.end - bill.start, total, bill.usage, grant.utility.currency, bill.end + 86400, tariff, lines
    )


def customer_tree(writer: Writer, grant: Grant) -> dict[str, str]:
    """{address: entry} of the customer feed, in its order; empty when the customer kept these details back."""
    if DETAILS not in grant.blocks:
        return {}
    account, name = grant.customer.account, grant.customer.name
    top = f"{writer.root}/RetailCustomer/{grant.uid}/Customer/{grant.uid}-c"
    owner = f"{top}/CustomerAccount/{grant.uid}-a"
    # pucNumber stands after the name, where the schema does not want it.
    address = _address(account)
    found: list[tuple[str, str, list[tuple[str, object]]]] = [
        (top, "Customer", [("customerName", name), ("pucNumber", grant.utility.utility_id), ("mainAddress", address)]),
        (owner, "CustomerAccount", [("accountId", account.number)]),
    ]
    for service in grant.services:
        found += _agreement(writer, grant, service, f"{owner}/CustomerAgreement/{service.id}", address)
    entries = {href: _customer_entry(grant, writer.now, href, kind, body) for href, kind, body in found}
    for service in grant.services:
        zone = f"{writer.root}/LocalTimeParameters/TIMEZONE_{grant.uid}_{service.id}"
        entries[zone] = writer.zone(grant, service, in_customer_feed=True)
    return entries


def _address(account: people.Account) -> list[tuple[str, object]]:
    town = [("name", account.city), ("stateOrProvince", account.state)]
    return [
        ("streetDetail", [("addressGeneral", account.street)]),
        ("townDetail", town),
        ("postalCode", account.postal_code),
    ]


def _agreement(
    writer: Writer, grant: Grant, service: people.Service, href: str, address: list[tuple[str, object]]
) -> list[tuple[str, str, list[tuple[str, object]]]]:
    place, point = (
        f"{href}/ServiceLocation/{service.id}-l",
        f"{writer.root}/Subscription/{grant.uid}/UsagePoint/{service.id}",
    )
    body: list[tuple[str, str, list[tuple[str, object]]]] = [
        (href, "CustomerAgreement", [("agreementId", service.id)]),
        (f"{href}/ServiceSupplier/{service.id}-s", "ServiceSupplier", [("kind", "utility")]),
        (place, "ServiceLocation", [("mainAddress", address), ("UsagePoints", [("UsagePoint", f"\n  {point}\n")])]),
    ]
    for meter in service.meters:
        body.append((f"{place}/Meter/{meter.serial}", "Meter", [("serialNumber", meter.serial)]))
    return body


def _customer_entry(grant: Grant, now: float, href: str, kind: str, body: list[tuple[str, object]]) -> str:
    """An entry of the customer feed; its published instant may be later than its updated one, as captured."""
    links = [Link("self", href, f"cust-entry/{kind}"), Link("up", href.rsplit("/", 1)[0], f"cust-feed/{kind}")]
    return xml.entry(kind, links, xml.customer(kind, body), now, now - 0.5)
