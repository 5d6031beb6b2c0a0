"""V1's XML: lower-camel names, decimal kWh, reactive energy before energy, blanks as %20 in links.

Written after the shapes integrators' public code reads (there is no published sample but the notification).
"""

import uuid
from collections.abc import Iterable, Iterator
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from utilities.sandbox import coned_data as data
from utilities.sandbox import meters
from utilities.sandbox.coned_data import Series, decimal
from utilities.sandbox.meters import Bill, Meter
from utilities.sandbox.people import Account, Service

HEAD = '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:espi="http://naesb.org/espi">'
CUSTOMER_HEAD = '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:cust="http://naesb.org/espi/customer">'
NAMES = {"net": ("KWH", 3), "reactive": ("KVARH", 3), "gas": ("CCF", 5)}  # link text, decimals


def feed(entries: Iterable[str], head: str = HEAD) -> bytes:
    """A whole document."""
    return f"{head}{''.join(entries)}</feed>".encode()


def _entry(title: str, up: str, itself: str, content: str, related: Iterable[str] = ()) -> str:
    links = "".join(f'<link rel="related" href={quoteattr(href)}/>' for href in related)
    return (
        f"<entry><id>urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, itself)}</id>"
        f'<link rel="up" href={quoteattr(up)}/><link rel="self" href={quoteattr(itself)}/>{links}'
        f"<title>{escape(title)}</title><content>{content}</content></entry>"
    )


def usage_point(subscription: str, service: Service) -> str:
    """Lower-camel usagePoint with an upper-camel ServiceCategory: so it is. ``subscription`` is its address."""
    up = f"{subscription}/UsagePoint"
    kind = 1 if service.kind == "gas" else 0
    inner = f"<espi:ServiceCategory><espi:kind>{kind}</espi:kind></espi:ServiceCategory>"
    return _entry("Usage Point", up, f"{up}/{service.id}", f"<espi:usagePoint>{inner}</espi:usagePoint>")


def reading_id(meter: Meter) -> str:
    """A meter reading's id; V1's real-time tree is addressed with the same one."""
    return f"MR_{meter.serial}"


def block_name(service: Service, quantity: str, length: int) -> str:
    """The id of an interval block: it tells quantity and interval."""
    return f"SP_{service.id}_{NAMES[quantity][0]} {length // 60} Minute Interval Read Interval"


def meter_reading(subscription: str, service: Service, meter: Meter) -> str:
    """Its related links carry the names of the interval blocks."""
    up = f"{subscription}/UsagePoint/{service.id}/MeterReading"
    itself = f"{up}/{reading_id(meter)}"
    names = [block_name(service, quantity, meter.length) for quantity in data.quantities(service, reactive=True)]
    related = [f"{itself}/IntervalBlock/{quote(name)}" for name in names]
    return _entry("Meter Reading", up, itself, "<espi:meterReading/>", related)


def interval_block(subscription: str, one: Series) -> str:
    """One quantity of one meter, an intervalBlock for each local day."""
    up = f"{subscription}/UsagePoint/{one.service.id}/MeterReading/{reading_id(one.meter)}/IntervalBlock"
    itself = f"{up}/{quote(block_name(one.service, one.quantity, one.length))}"
    content = f"<espi:intervalBlocks>{''.join(_days(one))}</espi:intervalBlocks>"
    return _entry("Interval Block Data", up, itself, content)


def _days(one: Series) -> Iterator[str]:
    length, digits = one.length, NAMES[one.quantity][1]
    for first, values in one.days():
        readings = "".join(
            f"<espi:intervalReading><espi:timePeriod><espi:duration>{length}</espi:duration>"
            f"<espi:start>{first + index * length}</espi:start></espi:timePeriod>"
            f"<espi:value>{decimal(value, digits)}</espi:value></espi:intervalReading>"
            for index, value in enumerate(values)
        )
        yield (
            f"<espi:intervalBlock><espi:interval><espi:duration>{len(values) * length}</espi:duration>"
            f"<espi:start>{first}</espi:start></espi:interval>{readings}</espi:intervalBlock>"
        )


def summary(subscription: str, service: Service, bill: Bill) -> str:
    """A bill: here UsageSummary is upper-camel, the end is a date, and amounts are not scaled."""
    up = f"{subscription}/UsagePoint/{service.id}/ElectricPowerUsageSummary"
    last = meters.local_day(bill.end - 1, service.meter.zone)
    issued = meters.local_day(bill.end, service.meter.zone)
    fields = (
        f"<espi:billingPeriod><espi:start>{bill.start}</espi:start></espi:billingPeriod>"
        f"<espi:billToDate>{last}T00:00:00</espi:billToDate><espi:statusTimeStamp>{issued}T00:00:00</espi:statusTimeStamp>"
        f"<espi:currency>840</espi:currency>"
        f"<espi:electricConsumption>{_kilowatt_hours(bill.usage)}</espi:electricConsumption>"
        f"<espi:electricBilledAmount>{decimal((bill.cost + 500) // 1000, 2)}</espi:electricBilledAmount>"
        f"<espi:serviceClass>1</espi:serviceClass><espi:qualityOfReading>17</espi:qualityOfReading><espi:ICAPtag>1.2</espi:ICAPtag>"
    )
    content = f"<espi:UsageSummary>{fields}</espi:UsageSummary>"
    return _entry("Usage Summary", up, f"{up}?electricPowerUsageSummaryId={bill.number}", content)


def _kilowatt_hours(usage: int) -> int:
    return (usage + 500) // 1000


def retail_customer(account: Account) -> str:
    """Flat address parts, plain text."""
    parts = {
        "streetDetail": account.street,
        "cityDetail": account.city,
        "stateDetail": account.state,
        "postalCode": account.postal_code,
    }
    address = "".join(f"<cust:{name}>{escape(text)}</cust:{name}>" for name, text in parts.items())
    number = f"<cust:accountNumber>{account.number}</cust:accountNumber>"
    inner = f"{number}<cust:mainAddress>{address}</cust:mainAddress>"
    return f"<entry><content><cust:retailCustomer>{inner}</cust:retailCustomer></content></entry>"
