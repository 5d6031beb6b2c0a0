"""The UtilityAPI platform's way of writing ESPI: default namespaces, version-5 uuids, `atom+xml` content, typed links.

Pure functions from values to text. Source: captures of the platform's Green Button API of 2023 and 2024, including what
they get wrong: a capital S in ServiceDeliveryPoint, link types that say feed for an entry, pucNumber after the name.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.sax.saxutils import quoteattr

from utilities.sandbox.elements import nested

ATOM = "http://www.w3.org/2005/Atom"
ESPI = "http://naesb.org/espi"
CUSTOMER = "http://naesb.org/espi/customer"
# Every document carries this link; whoever follows all related links with a token gives the token away.
CERTIFICATE = "https://cert.greenbuttonalliance.org/certificate/52df5b79-f375-54b4-9eca-3ab0fa6fd45b"
_NAMESPACE = uuid.UUID("0d0a7e5c-52a5-5b0e-8f8b-6d7b6c5f4a01")


@dataclass(frozen=True)
class Link:
    """An Atom link; `kind` is the platform's media type such as `espi-feed/UsagePoint`."""

    rel: str
    href: str
    kind: str


@dataclass(frozen=True)
class LineItem:
    """One line of a bill, in 1/100 000 of the currency unit; `kind` is the standard's item kind."""

    note: str
    amount: int
    kind: int


@dataclass(frozen=True)
class Bill:
    """One UsageSummary; money in 1/100 000 of the currency unit, consumption in Wh."""

    start: int
    duration: int
    total: int
    consumption: int
    currency: int
    issued: int
    tariff: str
    lines: tuple[LineItem, ...] = ()


def atom_id(href: str) -> str:
    """The same resource has the same id in every answer."""
    return f"urn:uuid:{uuid.uuid5(_NAMESPACE, href)}"


def instant(epoch: float) -> str:
    """UTC with six digits of fraction."""
    return f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _link(link: Link) -> str:
    return f'<link rel="{link.rel}" href={quoteattr(link.href)} type="{link.kind}"/>'


def entry(
    title: str, links: Sequence[Link], content: str, published: float, updated: float, *, typed: bool = True
) -> str:
    """One Atom entry; the first link must be its self link. Some answers leave the content's type out."""
    kind = ' type="atom+xml"' if typed else ""
    return (
        f'<entry xmlns="{ATOM}"><id>{atom_id(links[0].href)}</id>{"".join(map(_link, links))}'
        f"<published>{instant(published)}</published><updated>{instant(updated)}</updated><title>{title}</title>"
        f"<content{kind}>{content}</content></entry>"
    )


def document(body: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'


def feed(title: str, self_href: str, kind: str, entries: Iterable[str], updated: float) -> str:
    """A feed document; `updated` is the platform's clock for incremental fetches."""
    return document(
        f'<feed xmlns="{ATOM}"><id>{atom_id(self_href)}</id>{_link(Link("self", self_href, kind))}'
        f"{_link(Link('related', CERTIFICATE, 'text/html'))}<title>{title}</title><updated>{instant(updated)}</updated>"
        f"{''.join(entries)}</feed>"
    )


def _element(name: str, namespace: str, body: Sequence[tuple[str, object]]) -> str:
    return f'<{name} xmlns="{namespace}">{nested(body)}</{name}>' if body else f'<{name} xmlns="{namespace}"/>'


def espi(name: str, body: Sequence[tuple[str, object]]) -> str:
    """An element of the usage schema; nested lists become nested elements, None is left out."""
    return _element(name, ESPI, body)


def customer(name: str, body: Sequence[tuple[str, object]]) -> str:
    """An element of the customer schema."""
    return _element(name, CUSTOMER, body)


def local_time_parameters(offset: int, *, in_customer_feed: bool = False) -> str:
    """`offset`: seconds east of UTC in winter. The element exists in both namespaces."""
    rules = [("dstEndRule", "B40E2000"), ("dstOffset", 3600), ("dstStartRule", "360E2000"), ("tzOffset", offset)]
    return _element("LocalTimeParameters", CUSTOMER if in_customer_feed else ESPI, rules)


def usage_point(tariff: str, kind: int = 0) -> str:
    return espi(
        "UsagePoint", [("ServiceCategory", [("kind", kind)]), ("ServiceDeliveryPoint", [("tariffProfile", tariff)])]
    )


def reading_type(flow: int, length: int, currency: int) -> str:
    """Watt-hours at 10^-3."""
    fields = [("accumulationBehaviour", 4), ("commodity", 1), ("currency", currency), ("flowDirection", flow)]
    return espi(
        "ReadingType",
        [*fields, ("intervalLength", length), ("kind", 12), ("phase", 0), ("powerOfTenMultiplier", -3), ("uom", 72)],
    )


def interval_block(start: int, duration: int, readings: Iterable[tuple[int, int, int]]) -> str:
    """One block from midnight to midnight UTC; readings are (start, seconds, value)."""
    rows = "".join(
        f"<IntervalReading><timePeriod><duration>{seconds}</duration><start>{at}</start></timePeriod>"
        f"<value>{value}</value></IntervalReading>"
        for at, seconds, value in readings
    )
    interval = f"<interval><duration>{duration}</duration><start>{start}</start></interval>"
    return f'<IntervalBlock xmlns="{ESPI}">{interval}{rows}</IntervalBlock>'


def usage_summary(bill: Bill) -> str:
    """A bill in the schema's order. No capture of the platform's own exists, so this follows the 3.3 schema."""
    body: list[tuple[str, object]] = [
        ("billingPeriod", [("duration", bill.duration), ("start", bill.start)]),
        ("billLastPeriod", bill.total),
    ]
    for line in bill.lines:
        fields = [("amount", line.amount), ("note", line.note), ("itemKind", line.kind)]
        body.append(("costAdditionalDetailLastPeriod", fields))
    measurement = [("powerOfTenMultiplier", 0), ("uom", 72), ("value", bill.consumption)]
    body += [("currency", bill.currency), ("overallConsumptionLastPeriod", measurement)]
    body += [("statusTimeStamp", bill.issued), ("commodity", 1), ("tariffProfile", bill.tariff)]
    return espi("UsageSummary", body)


def authorization(
    *, start: int, duration: int, status: int, scope: str, resource: str, own: str, customer_resource: str
) -> str:
    """`expires_at` is the end of the authorization, not of a token; both periods begin at the moment of consent."""
    period = [("duration", duration), ("start", start)]
    return espi(
        "Authorization",
        [
            ("authorizedPeriod", period),
            ("publishedPeriod", period),
            ("status", status),
            ("expires_at", start + duration),
            ("scope", scope),
            ("token_type", "Bearer"),
            ("resourceURI", resource),
            ("authorizationURI", own),
            ("customerResourceURI", customer_resource),
        ],
    )


def batch_list(resources: Iterable[str]) -> str:
    return document(espi("BatchList", [("resources", uri) for uri in resources]))


def service_status(status: int) -> str:
    return document(espi("ServiceStatus", [("currentStatus", status)]))
