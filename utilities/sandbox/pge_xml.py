"""PG&E's way of writing ESPI: prefixes ns0 (ESPI) and ns1 (Atom) declared again and again, xsi:type on every Atom element.

Pure functions from values to text. Atom ids are new in every answer, as they are at PG&E; only the links identify.
Source: PG&E Share My Data captures of 2015-2020 and the ESPI_XSDs of 2018 (espiDerived.20180821, retailcustomer.20180802).
"""

import base64
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

from utilities.sandbox.elements import nested

ATOM = "http://www.w3.org/2005/Atom"
ESPI = "http://naesb.org/espi"
CUSTOMER = "http://naesb.org/espi/customer"
_XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
_XSD = 'xmlns:xsd="http://www.w3.org/2001/XMLSchema"'

# Time-of-use codes of the one ProgramIdMappings entry PG&E delivers.
TOU_PERIODS = (
    (1, "SPK", "Summer Peak"),
    (2, "SOP", "Summer Off Peak"),
    (3, "SPP", "Summer Partial Peak"),
    (4, "WPK", "Winter Peak"),
    (5, "WPP", "Winter Partial Peak"),
    (6, "WOP", "Winter Off Peak"),
    (7, "MPK", "Spring Peak"),
    (8, "MOP", "Spring Off Peak"),
    (9, "MXO", "Spring Super Off Peak"),
    (10, "WSO", "Winter Super Off Peak"),
)


@dataclass(frozen=True)
class ReadingType:
    """One kind of reading PG&E supports: Wh at 10^-3 every `length` seconds, or therms at 10^-8 a day."""

    uom: int
    length: int
    flow: int = 1

    @property
    def uid(self) -> str:
        return b64(f"{self.uom}:null:{self.length}:{self.flow}")

    @property
    def commodity(self) -> int:
        return 7 if self.uom == 169 else 1

    @property
    def multiplier(self) -> int:
        return -8 if self.uom == 169 else -3


READING_TYPES = (
    ReadingType(72, 300, 1),
    ReadingType(72, 300, 19),
    ReadingType(72, 900, 1),
    ReadingType(72, 900, 19),
    ReadingType(72, 3600, 1),
    ReadingType(72, 3600, 19),
    ReadingType(169, 86400, 1),
)


@dataclass(frozen=True)
class Reading:
    """One IntervalReading: epoch seconds, seconds, integer in the reading type's unit and multiplier."""

    start: int
    duration: int
    value: int
    quality: int
    tou: int | None = None


@dataclass(frozen=True)
class LineItem:
    """One line of a bill; money in hundred-thousandths of a dollar, `unit_cost` per kWh although the amount is in Wh."""

    note: str
    amount: int
    kind: int
    quantity: int
    uom: int
    multiplier: int
    unit_cost: int | None = None


@dataclass(frozen=True)
class Bill:
    """One UsageSummary. `start` is a day before the first day printed on the paper bill; `lines` empty: costs not shared."""

    start: int
    duration: int
    quantity: int
    uom: int
    multiplier: int
    commodity: int
    published: float
    total: int | None = None
    lines: tuple[LineItem, ...] = ()
    tariff: str = ""

    @property
    def uid(self) -> str:
        """PG&E prints the end of the period in milliseconds with grouping commas."""
        return f"{self.milliseconds:,}"

    @property
    def milliseconds(self) -> int:
        return (self.start + self.duration) * 1000


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def meter_reading_uid(reading_type: ReadingType, number: int, serial: str) -> str:
    """Re-encoded in March 2023 and June 2024 to carry the meter; the exact recipe is PG&E's secret."""
    return b64(f"{reading_type.uid}:{number}:{serial}")


def instant(epoch: float) -> str:
    """Zulu time with one to three digits of fraction, as PG&E's servers print it."""
    at = datetime.fromtimestamp(int(epoch), UTC)
    fraction = f"{int((epoch % 1) * 1000):03d}".rstrip("0") or "0"
    return f"{at:%Y-%m-%dT%H:%M:%S}.{fraction}Z"


def _typed(tag: str, kind: str, text: str, attributes: str = "") -> str:
    return f'<ns1:{tag}{attributes} {_XSI} xsi:type="ns1:{kind}">{escape(text)}</ns1:{tag}>'


def _link(rel: str, href: str) -> str:
    return f'<ns1:link href={quoteattr(href)} rel="{rel}" {_XSI} xsi:type="ns1:linkType"/>'


def entry(title: str, links: Sequence[tuple[str, str]], content: str, published: float) -> str:
    """One Atom entry in PG&E's prefixes; `content` is the ready ESPI element, `links` are (rel, href)."""
    parts = [f'<ns1:entry xmlns:ns1="{ATOM}">', _typed("id", "idType", str(uuid.uuid4()))]
    parts += [_link(rel, href) for rel, href in links]
    parts.append(_typed("title", "textType", title, ' type="text"'))
    parts.append(_typed("published", "dateTimeType", instant(published)))
    parts.append(_typed("updated", "dateTimeType", instant(published)))
    parts.append(f'<ns1:content {_XSI} xsi:type="ns1:contentType">{content}</ns1:content></ns1:entry>')
    return "".join(parts)


def feed(self_href: str, entries: Iterable[str], now: float, title: str = "Green Button Usage Feed") -> str:
    """The feed around entries; its self link lacks the query and is not to be relied on."""
    head = (
        f'<ns1:feed xmlns:ns0="{ESPI}" xmlns:ns1="{ATOM}"><ns1:id xmlns:ns1="{ATOM}">{uuid.uuid4()}</ns1:id>'
        f'<ns1:title xmlns:ns1="{ATOM}" type="text">{title}</ns1:title>'
        f'<ns1:updated xmlns:ns1="{ATOM}">{instant(now)}</ns1:updated>'
        f'<ns1:link xmlns:ns1="{ATOM}" href={quoteattr(self_href)} rel="self"/>'
    )
    return head + "".join(entries) + "</ns1:feed>"


def _espi(name: str, body: str) -> str:
    return f'<ns0:{name} xmlns:ns0="{ESPI}">{body}</ns0:{name}>' if body else f'<ns0:{name} xmlns:ns0="{ESPI}"/>'


def _e(name: str, value: object) -> str:
    return f"<ns0:{name}>{escape(str(value))}</ns0:{name}>"


def _period(name: str, start: int, duration: int) -> str:
    return f"<ns0:{name}><ns0:duration>{duration}</ns0:duration><ns0:start>{start}</ns0:start></ns0:{name}>"


def local_time_parameters() -> str:
    """The one LocalTimeParameters of PG&E: Pacific, second Sunday of March to first Sunday of November."""
    fields = (("dstEndRule", "B40E2000"), ("dstOffset", 3600), ("dstStartRule", "360E2000"), ("tzOffset", -28800))
    return _espi("LocalTimeParameters", "".join(_e(name, value) for name, value in fields))


def reading_type(kind: ReadingType) -> str:
    daily = kind.uom == 169
    fields = [
        ("accumulationBehaviour", 4),
        ("commodity", kind.commodity),
        ("dataQualifier", 12),
        ("defaultQuality", 17),
        ("flowDirection", kind.flow),
        ("intervalLength", kind.length),
        ("kind", 12),
        ("powerOfTenMultiplier", kind.multiplier),
        ("timeAttribute", 11 if daily else 0),
        ("uom", kind.uom),
        ("measuringPeriod", 4 if daily else {300: 6, 900: 2, 3600: 7}[kind.length]),
    ]
    return _espi("ReadingType", "".join(_e(name, value) for name, value in fields))


def usage_point(kind: int) -> str:
    return _espi("UsagePoint", f"<ns0:ServiceCategory><ns0:kind>{kind}</ns0:kind></ns0:ServiceCategory>")


def meter_reading() -> str:
    return _espi("MeterReading", "")


def interval_block(start: int, duration: int, readings: Iterable[Reading]) -> str:
    """One Pacific day: 82,800, 86,400 or 90,000 seconds of readings."""
    body = [_period("interval", start, duration)]
    for reading in readings:
        tou = f"<ns0:tou>{reading.tou}</ns0:tou>" if reading.tou else ""
        body.append(
            f"<ns0:IntervalReading><ns0:ReadingQuality><ns0:quality>{reading.quality}</ns0:quality></ns0:ReadingQuality>"
            f"<ns0:timePeriod><ns0:duration>{reading.duration}</ns0:duration><ns0:start>{reading.start}</ns0:start>"
            f"</ns0:timePeriod><ns0:value>{reading.value}</ns0:value>{tou}</ns0:IntervalReading>"
        )
    return _espi("IntervalBlock", "".join(body))


def program_id_mappings() -> str:
    rows = []
    for code, name, note in TOU_PERIODS:
        rows.append(
            "<ns0:programIdMapping><ns0:tOUorCPPorConsumptionTier>tou</ns0:tOUorCPPorConsumptionTier>"
            f'<ns0:code {_XSD} {_XSI} xsi:type="xsd:int">{code}</ns0:code>'
            f'<ns0:name {_XSD} {_XSI} xsi:type="xsd:string">{name}</ns0:name>'
            f'<ns0:note {_XSD} {_XSI} xsi:type="xsd:string">{note}</ns0:note></ns0:programIdMapping>'
        )
    return _espi("ProgramIdMappings", "".join(rows))


def _measurement(name: str, multiplier: int, uom: int, value: int) -> str:
    fields = (("powerOfTenMultiplier", multiplier), ("uom", uom), ("value", value))
    return f"<ns0:{name}>" + "".join(_e(key, number) for key, number in fields) + f"</ns0:{name}>"


def _line(item: LineItem, bill: Bill) -> str:
    cost = "" if item.unit_cost is None else _e("unitCost", item.unit_cost)
    body = (
        _e("amount", item.amount)
        + _e("note", item.note)
        + _measurement("measurement", item.multiplier, item.uom, item.quantity)
        + _e("itemKind", item.kind)
        + cost
        + _period("itemPeriod", bill.start, bill.duration)
    )
    return f"<ns0:costAdditionalDetailLastPeriod>{body}</ns0:costAdditionalDetailLastPeriod>"


def usage_summary(bill: Bill) -> str:
    """A bill. Without the Billing consent only the period and the consumption are there. No currency: dollars."""
    body = [_period("billingPeriod", bill.start, bill.duration)]
    overall = _measurement("overallConsumptionLastPeriod", bill.multiplier, bill.uom, bill.quantity)
    if bill.total is None:
        return _espi("UsageSummary", "".join([*body, overall]))
    body.append(_e("billLastPeriod", bill.total))
    body += [_line(item, bill) for item in bill.lines]
    body += [overall, _e("qualityOfReading", 17), _e("statusTimeStamp", int(bill.published * 1000))]
    body += [_e("commodity", bill.commodity), _e("tariffProfile", bill.tariff), _e("readCycle", "Q")]
    return _espi("UsageSummary", "".join(body))


def authorization(
    *,
    authorized: tuple[int, int],
    published: tuple[int, int],
    status: int,
    expires_at: int,
    scope: str,
    resource_uri: str,
    authorization_uri: str,
) -> str:
    """One Authorization; periods are (start, duration) in whatever unit the caller's record has."""
    body = _period("authorizedPeriod", *authorized) + _period("publishedPeriod", *published)
    fields = (
        ("status", status),
        ("expires_at", expires_at),
        ("scope", scope),
        ("token_type", "Bearer"),
        ("resourceURI", resource_uri),
        ("authorizationURI", authorization_uri),
    )
    return _espi("Authorization", body + "".join(_e(name, value) for name, value in fields))


def application_information(fields: Iterable[tuple[str, object]]) -> str:
    return _espi("ApplicationInformation", "".join(_e(name, value) for name, value in fields))


def service_status(status: int) -> str:
    """Default namespace and no Atom around it, unlike everything else PG&E sends."""
    return (
        f'<ServiceStatus xmlns="{ESPI}" {_XSI} xsi:schemaLocation="{ESPI} espiDerived.xsd">'
        f"<currentStatus>{status}</currentStatus></ServiceStatus>"
    )


def batch_list(resources: Iterable[str]) -> str:
    rows = "".join(f"<ns0:resources>{escape(uri)}</ns0:resources>" for uri in resources)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<ns0:BatchList xmlns:ns0="{ESPI}">{rows}</ns0:BatchList>'


def customer_entry(title: str, href: str, content: str, published: float) -> str:
    """An entry of the customer feed: Atom is ns2 here, and the customer schema is the default namespace."""
    up = href.rsplit("/", 1)[0]
    return (
        f'<ns2:entry xmlns:ns2="{ATOM}" xmlns="{CUSTOMER}"><ns2:id>{uuid.uuid4()}</ns2:id>'
        f'<ns2:link href={quoteattr(up)} rel="up"/><ns2:link href={quoteattr(href)} rel="self"/>'
        f'<ns2:title type="text">{title}</ns2:title><ns2:published>{instant(published)}</ns2:published>'
        f"<ns2:updated>{instant(published)}</ns2:updated><ns2:content>{content}</ns2:content></ns2:entry>"
    )


def customer_element(name: str, body: Sequence[tuple[str, object]]) -> str:
    """An element of the customer schema; a value that is itself a list becomes nested elements, None is left out."""
    return f"<{name}>{nested(body)}</{name}>"


def response_xml(fields: Iterable[tuple[str, object]]) -> str:
    """The client-credentials answer as PG&E's developer page prints it: an XML Response document."""
    rows = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in fields)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Response>{rows}</Response>'
