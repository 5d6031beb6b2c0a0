"""The documents PG&E's resource server sends: entries with their links, put together from data and dialect."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from utilities.sandbox import people, pge_data, pge_xml

ESPI_PATH = "/GreenButtonConnect/espi/1_1/resource"
Channels = list[dict[str, Any]]


@dataclass(frozen=True)
class Grant:
    """What one authorization opens: whose services, which data groups, since when."""

    subscription: str
    accounts: tuple[people.Account, ...]
    person: people.Person
    services: tuple[people.Service, ...]
    groups: frozenset[str]
    hourly: bool
    history_start: int

    @property
    def cca(self) -> bool:
        """Another supplier bills this customer's generation."""
        return self.person.username.startswith("hourly")


@dataclass
class Writer:
    """Writes entries below one resource base; `channels` collects what was delivered, for the deliveries ledger."""

    root: str  # .../GreenButtonConnect/espi/1_1/resource
    now: float
    channels: Channels = field(default_factory=list)

    def up(self, grant: Grant, service: people.Service) -> str:
        return f"{self.root}/Subscription/{grant.subscription}/UsagePoint/{service.id}"

    def local_time_parameters(self) -> str:
        up = f"{self.root}/LocalTimeParameters"
        links = (("up", up), ("self", f"{up}/1"))
        return pge_xml.entry("DST FOR PACIFIC TIMEZONE", links, pge_xml.local_time_parameters(), self.now)

    def reading_type(self, kind: pge_xml.ReadingType) -> str:
        up = f"{self.root}/ReadingType"
        links = (("up", up), ("self", f"{up}/{kind.uid}"))
        return pge_xml.entry("Type of Meter Reading Data", links, pge_xml.reading_type(kind), self.now)

    def usage_point(self, grant: Grant, service: people.Service) -> str:
        href = self.up(grant, service)
        links = (
            ("up", href.rsplit("/", 1)[0]),
            ("self", href),
            ("related", f"{href}/MeterReading"),
            ("related", f"{href}/UsageSummary"),
            ("related", f"{self.root}/LocalTimeParameters/1"),
        )
        kind = 1 if service.kind == "gas" else 0
        return pge_xml.entry("Green Button Data File", links, pge_xml.usage_point(kind), self.now)

    def meter_reading(self, grant: Grant, channel: pge_data.Channel) -> str:
        up = f"{self.up(grant, channel.service)}/MeterReading"
        links = (
            ("up", up),
            ("self", f"{up}/{channel.uid}"),
            ("related", f"{up}/{channel.uid}/IntervalBlock"),
            ("related", f"{self.root}/ReadingType/{channel.kind.uid}"),
            ("related", f"{self.root}/LocalTimeParameters/1"),
        )
        return pge_xml.entry("Green Button Data File", links, pge_xml.meter_reading(), self.now)

    def blocks(
        self, grant: Grant, channel: pge_data.Channel, window: pge_data.Window, only: int | None = None
    ) -> Iterator[str]:
        """One IntervalBlock entry a Pacific day; an IntervalBlock links up and self only."""
        up = f"{self.up(grant, channel.service)}/MeterReading/{channel.uid}/IntervalBlock"
        starts: list[int] = []
        count = total = 0
        for day in pge_data.days(channel, window, grant.history_start, self.now) if "Usage" in grant.groups else ():
            if only is not None and day.start != only:
                continue
            content = pge_xml.interval_block(day.start, day.duration, day.readings)
            links = (("up", up), ("self", f"{up}/{day.start}"))
            starts += [day.readings[0].start, day.readings[-1].start]
            count, total = count + len(day.readings), total + day.total
            yield pge_xml.entry(f"IntervalBlock_{day.start}", links, content, self.now)
        if count:
            facts = {"usage_point": channel.service.id, "meter_reading": channel.uid, "unit": channel.kind.uom}
            flow = {"flow": channel.kind.flow, "count": count, "sum": total}
            self.channels.append({**facts, **flow, "first": min(starts), "last": max(starts)})

    def bills(self, grant: Grant, service: people.Service, window: pge_data.Window) -> list[pge_xml.Bill]:
        if not {"Usage", "Billing"} & grant.groups:
            return []
        costs = "Billing" in grant.groups
        return pge_data.bills(service, window, grant.history_start, self.now, costs=costs, cca=grant.cca)

    def summary(self, grant: Grant, service: people.Service, bill: pge_xml.Bill) -> str:
        up = f"{self.up(grant, service)}/UsageSummary"
        links = (("up", up), ("self", f"{up}/{bill.uid}"))
        title = f"UsageSummary_{bill.milliseconds}"
        return pge_xml.entry(title, links, pge_xml.usage_summary(bill), bill.published)

    def program_id_mappings(self) -> str:
        up = f"{self.root}/ProgramIdMapping"
        links = (("up", up), ("self", f"{up}/1"))
        return pge_xml.entry("Program ID Mappings", links, pge_xml.program_id_mappings(), self.now)

    def usage(
        self, grants: Iterable[Grant], window: pge_data.Window, service_id: str = "", commodity: str = ""
    ) -> list[str]:
        """A batch's entries in PG&E's order, or an empty list when the window holds no data."""
        body: list[str] = []
        kinds: dict[pge_xml.ReadingType, None] = {}
        for grant in grants:
            for service in grant.services:
                if service_id in ("", service.id) and commodity in ("", service.kind):
                    body += self._service(grant, service, window, kinds)
        if not body:
            return []
        types = [self.reading_type(kind) for kind in kinds]
        return [self.local_time_parameters(), *types, *body, self.program_id_mappings()]

    def _service(
        self,
        grant: Grant,
        service: people.Service,
        window: pge_data.Window,
        kinds: dict[pge_xml.ReadingType, None],
    ) -> list[str]:
        entries: list[str] = []
        for channel in pge_data.channels(service, grant.hourly):
            blocks = list(self.blocks(grant, channel, window))
            if blocks:
                kinds[channel.kind] = None
                entries += [self.meter_reading(grant, channel), *blocks]
        entries += [self.summary(grant, service, bill) for bill in self.bills(grant, service, window)]
        return [self.usage_point(grant, service), *entries] if entries else []


def customer_entries(root: str, grant: Grant, now: float) -> list[str]:
    """The customer feed: relations exist only in the addresses, and what was not granted is simply missing."""
    basic, numbers = "Basic" in grant.groups, "Account" in grant.groups
    top = f"{root}/RetailCustomer/{grant.subscription}/Customer/{pge_xml.b64(grant.subscription)}"
    name = [("name", grant.person.name)] if basic else []
    entries = [pge_xml.customer_entry("Customer", top, pge_xml.customer_element("Customer", name), now)]
    for account in grant.accounts:
        owner = f"{top}/CustomerAccount/{pge_xml.b64(account.number)}"
        number = [("name", account.number)] if numbers else []
        content = pge_xml.customer_element("CustomerAccount", number)
        entries.append(pge_xml.customer_entry("CustomerAccount", owner, content, now))
        for service in account.services:
            if service in grant.services:
                href = f"{owner}/CustomerAgreement/{service.id}"
                entries += _agreement(href, grant, account, service, now)
    return entries


def agreement_number(service: people.Service) -> str:
    """The service agreement number customers know; changes when the agreement does, unlike the usage point's id."""
    return f"{(int(service.id) * 7919 + 13) % 10**10:010d}"


def _agreement(href: str, grant: Grant, account: people.Account, service: people.Service, now: float) -> Iterator[str]:
    basic, numbers = "Basic" in grant.groups, "Account" in grant.groups
    body: list[tuple[str, object]] = [
        ("name", agreement_number(service) if numbers else None),
        ("type", "COM/IND" if grant.person.username.startswith("business") else "RES"),
        ("docStatus", [("value", "Active")]),
        ("signDate", grant.history_start - 400 * 86400),
    ]
    yield pge_xml.customer_entry("CustomerAgreement", href, pge_xml.customer_element("CustomerAgreement", body), now)
    where = f"{href}/ServiceLocation/{pge_xml.b64(account.number + service.id)}"
    town = [("code", account.postal_code), ("name", account.city), ("stateOrProvince", account.state)]
    address = [("streetDetail", [("addressGeneral", account.street)]), ("townDetail", town)]
    location = [("mainAddress", address)] if basic else []
    content = pge_xml.customer_element("ServiceLocation", [*location, ("outageBlock", "5A")])
    yield pge_xml.customer_entry("ServiceLocation", where, content, now)
    for meter in service.meters if numbers else ():
        fields: list[tuple[str, object]] = [
            ("type", "GAS" if service.kind == "gas" else "ELECTRIC"),
            ("utcNumber", f"UTC{meter.serial[1:]}"),
        ]
        fields += [("serialNumber", meter.serial), ("intervalLength", meter.length)]
        content = pge_xml.customer_element("Meter", fields)
        yield pge_xml.customer_entry("Meter", f"{where}/Meter/{meter.serial}", content, now)


def programme_entries(root: str, grant: Grant, now: float) -> list[str]:
    """Demand response programmes, current values; the solar household is enrolled, one with gas waits, others are not."""
    entries = []
    top = f"{root}/RetailDRPrgInfo/{grant.subscription}/CustomerAccount/{pge_xml.b64(grant.accounts[0].number)}"
    status = {"solar": "enrolled", "home": "enrolledPending"}.get(grant.person.username.partition("@")[0], "unenrolled")
    for service in grant.services:
        if service.kind == "gas":
            continue
        programme = [("programName", "SmartRate"), ("enrollmentStatus", status)]
        body = [("name", agreement_number(service)), ("DemandResponseProgram", programme)]
        content = pge_xml.customer_element("CustomerAgreement", body)
        entries.append(
            pge_xml.customer_entry("CustomerAgreement", f"{top}/CustomerAgreement/{service.id}", content, now)
        )
    mapping = [
        (
            "programDateIdMapping",
            [("programDateType", "CUST_DR_PROGRAM_ENROLLMENT_DATE"), ("code", "SR"), ("name", "SmartDay")],
        )
    ]
    content = pge_xml.customer_element("ProgramDateIdMappings", mapping)
    return [*entries, pge_xml.customer_entry("ProgramDateIdMappings", f"{root}/ProgramDateIdMappings/1", content, now)]
