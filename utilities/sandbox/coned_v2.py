"""V2's XML: Green Button Connect My Data 3.3 in Atom, with decimal values under a multiplier of 3.

Shapes are the standard's, with what document 4.4 says about multipliers, units and quality.
"""

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

from utilities.sandbox import coned_terms as terms
from utilities.sandbox.coned_data import Series, decimal
from utilities.sandbox.meters import Bill, Meter
from utilities.sandbox.people import Account, Person, Service
from utilities.sandbox.state import Row

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom"'
    ' xmlns:espi="http://naesb.org/espi" xmlns:cust="http://naesb.org/espi/customer">'
)
NAMESPACES = HEAD.partition("<feed")[2]
STATUS = {"active": 1, "revoked": 0, "denied": 2}


def instant(at: float) -> str:
    """An Atom date in UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def feed(title: str, itself: str, updated: float, entries: Iterable[str]) -> bytes:
    """A feed document."""
    head = f'<id>urn:uuid:{_uuid(itself)}</id><title>{title}</title><updated>{instant(updated)}</updated><link rel="self" href={quoteattr(itself)}/>'
    return f"{HEAD}{head}{''.join(entries)}</feed>".encode()


def lone(entry: str) -> bytes:
    """A document that is one entry."""
    head = '<?xml version="1.0" encoding="UTF-8"?><entry'
    return (head + NAMESPACES + entry.removeprefix("<entry>")).encode()


def _uuid(address: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, address)


def _entry(title: str, itself: str, content: str, at: float, related: Iterable[str] = ()) -> str:
    up = itself.rpartition("/")[0]
    links = "".join(f'<link rel="related" href={quoteattr(href)}/>' for href in related)
    return (
        f'<entry><id>urn:uuid:{_uuid(itself)}</id><link rel="self" href={quoteattr(itself)}/>'
        f'<link rel="up" href={quoteattr(up)}/>{links}<title>{escape(title)}</title>'
        f"<published>{instant(at)}</published><updated>{instant(at)}</updated>"
        f"<content>{content}</content></entry>"
    )


def _fields(prefix: str, values: Mapping[str, object]) -> str:
    return "".join(f"<{prefix}:{name}>{escape(str(value))}</{prefix}:{name}>" for name, value in values.items())


def reading_type_id(service: Service, meter: Meter, *, real_time: bool = False) -> str:
    """One reading type for each kind, direction and interval; the real-time tree has its own."""
    kind = "G" if service.kind == "gas" else "N" if meter.solar else "E"
    return f"{'RTRT' if real_time else 'RT'}_{kind}{meter.length}"


def reading_id(meter: Meter, *, real_time: bool = False) -> str:
    """A meter reading's id."""
    return f"{'RTMR' if real_time else 'MR'}_{meter.serial}"


def block_id(meter: Meter, *, real_time: bool = False) -> str:
    """One meter reading has one interval block (document 4.4)."""
    return f"{'RTIB' if real_time else 'IB'}_{meter.serial}"


def usage_point(resource: str, subscription: int, service: Service, at: float) -> str:
    """``resource`` is the address of the resource root."""
    itself = f"{resource}/Subscription/{subscription}/UsagePoint/{service.id}"
    kind = (
        f"<espi:ServiceCategory>{_fields('espi', {'kind': 1 if service.kind == 'gas' else 0})}</espi:ServiceCategory>"
    )
    related = [f"{itself}/MeterReading", f"{itself}/UsageSummary", f"{resource}/LocalTimeParameters/1"]
    return _entry(
        "Usage Point", itself, f"<espi:UsagePoint>{kind}<espi:status>1</espi:status></espi:UsagePoint>", at, related
    )


def meter_reading(
    resource: str, subscription: int, service: Service, meter: Meter, at: float, *, real_time: bool = False
) -> str:
    """A meter reading and where its block and reading type are."""
    tree = f"{resource}/RealTime" if real_time else resource
    reading = reading_id(meter, real_time=real_time)
    itself = f"{tree}/Subscription/{subscription}/UsagePoint/{service.id}/MeterReading/{reading}"
    reading_type = f"{tree}/ReadingType/{reading_type_id(service, meter, real_time=real_time)}"
    return _entry("Meter Reading", itself, "<espi:MeterReading/>", at, [f"{itself}/IntervalBlock", reading_type])


def reading_type(resource: str, service: Service, meter: Meter, at: float, *, real_time: bool = False) -> str:
    """uom 72 with multiplier 3 for electricity, 119 (ft3) with 0 for gas; flowDirection 4 is net."""
    tree = f"{resource}/RealTime" if real_time else resource
    gas = service.kind == "gas"
    values = {
        "accumulationBehaviour": 4, "commodity": 7 if gas else 1, "defaultQuality": 17,
        "flowDirection": 4 if meter.solar else 1, "intervalLength": meter.length, "kind": 12,
        "powerOfTenMultiplier": 0 if gas else 3, "uom": 119 if gas else 72,
    }  # fmt: skip
    itself = f"{tree}/ReadingType/{reading_type_id(service, meter, real_time=real_time)}"
    return _entry("Reading Type", itself, f"<espi:ReadingType>{_fields('espi', values)}</espi:ReadingType>", at)


def local_time(resource: str, at: float) -> str:
    """US Eastern: second Sunday of March to first Sunday of November, both at 2 o'clock."""
    values = {"dstEndRule": "B40E2000", "dstOffset": 3600, "dstStartRule": "360E2000", "tzOffset": -18000}
    content = f"<espi:LocalTimeParameters>{_fields('espi', values)}</espi:LocalTimeParameters>"
    return _entry("Local Time Parameters", f"{resource}/LocalTimeParameters/1", content, at)


def interval_block(resource: str, subscription: int, one: Series, at: float, *, real_time: bool = False) -> str:
    """All readings of a meter in the window, as one block; gas is in ft3 with decimals."""
    tree = f"{resource}/RealTime" if real_time else resource
    reading, length = reading_id(one.meter, real_time=real_time), one.length
    up = f"{tree}/Subscription/{subscription}/UsagePoint/{one.service.id}/MeterReading/{reading}"
    quality = "" if real_time else "<espi:ReadingQuality><espi:quality>17</espi:quality></espi:ReadingQuality>"
    readings = "".join(
        f"<espi:IntervalReading>{quality}<espi:timePeriod><espi:duration>{length}</espi:duration>"
        f"<espi:start>{one.start + index * length}</espi:start></espi:timePeriod>"
        f"<espi:value>{decimal(value, 3)}</espi:value></espi:IntervalReading>"
        for index, value in enumerate(one.values)
    )
    period = _fields("espi", {"duration": len(one.values) * length, "start": one.start})
    content = f"<espi:IntervalBlock><espi:interval>{period}</espi:interval>{readings}</espi:IntervalBlock>"
    return _entry("Interval Block", f"{up}/IntervalBlock/{block_id(one.meter, real_time=real_time)}", content, at)


def summary(resource: str, subscription: int, service: Service, bill: Bill, at: float, *, cost: bool) -> str:
    """A bill: consumption with multiplier 0 (Wh, or ft3), the amount in 1/100000 dollars when block 16 is granted."""
    itself = f"{resource}/Subscription/{subscription}/UsagePoint/{service.id}/UsageSummary/{bill.number}"
    gas = service.kind == "gas"
    usage = {"powerOfTenMultiplier": 0, "uom": 119 if gas else 72, "value": bill.usage // 1000 if gas else bill.usage}
    content = (
        f"<espi:UsageSummary><espi:billingPeriod>{_fields('espi', {'duration': bill.end - bill.start, 'start': bill.start})}"
        f"</espi:billingPeriod>{_fields('espi', {'billLastPeriod': bill.cost, 'currency': 840} if cost else {})}"
        f"<espi:overallConsumptionLastPeriod>{_fields('espi', usage)}</espi:overallConsumptionLastPeriod>"
        f"{_fields('espi', {'qualityOfReading': 17, 'statusTimeStamp': bill.end})}</espi:UsageSummary>"
    )
    return _entry("Usage Summary", itself, content, at)


def authorization(resource: str, row: Row, edition: str = "v2") -> str:
    """An authorization record; a revoked, ended or lapsed one has status 0."""
    itself, subscription = f"{resource}/Authorization/{row['id']}", row["subscription"]
    period = {"duration": int(row["ends"] - row["starts"]) if row["ends"] else 0, "start": int(row["starts"])}
    values: dict[str, object] = {
        "status": STATUS.get(row["status"], 0), "expires_at": int(row["ends"] or 0), "scope": row["scope"],
        "token_type": "Bearer", "resourceURI": f"{resource}/Batch/Subscription/{subscription}",
        "authorizationURI": itself,
    }  # fmt: skip
    if edition == "v2" and "51" in terms.parse_v2(row["scope"]).blocks:
        values["customerResourceURI"] = f"{resource}/Batch/RetailCustomer/{subscription}"
    content = f"<espi:authorizedPeriod>{_fields('espi', period)}</espi:authorizedPeriod>{_fields('espi', values)}"
    return _entry("Authorization", itself, f"<espi:Authorization>{content}</espi:Authorization>", row["updated"])


def application_information(resource: str, web: str, registration: Row) -> str:
    """The third party's own record; its secrets are left out. ``web`` is the utility's web address."""
    data, itself = registration["data"], f"{resource}/ApplicationInformation/{registration['data']['third_party_id']}"
    base = resource.removesuffix("/resource")
    values = {
        "dataCustodianId": "ConEdison", "dataCustodianApplicationStatus": 1, "thirdPartyApplicationStatus": 1,
        "thirdPartyApplicationType": 1, "thirdPartyApplicationUse": 1, "authorizationServerUri": f"{web}/en/",
        "thirdPartyNotifyUri": data.get("notify_uri", ""),
        "authorizationServerAuthorizationEndpoint": f"{web}/en/oauth/authorize",
        "authorizationServerTokenEndpoint": f"{base}/oauth/Token",
        "dataCustodianBulkRequestURI": f"{resource}/Batch/Bulk/{data['bulk_id']}",
        "dataCustodianResourceEndpoint": resource,
        "thirdPartyScopeSelectionScreenURI": data.get("scope_selection_uri", ""),
        "thirdPartyUserPortalScreenURI": data.get("portal_uri", ""), "client_name": data.get("company", ""),
        "redirect_uri": registration["redirect_uri"], "client_id": registration["client_id"],
        "token_endpoint_auth_method": "client_secret_basic", "response_types": "code", "registration_client_uri": itself,
    }  # fmt: skip
    content = f"<espi:ApplicationInformation>{_fields('espi', values)}</espi:ApplicationInformation>"
    return _entry("Application Information", itself, content, registration["created"])


# --- retail customer --------------------------------------------------------------------------------------------------


def customer_ids(account: Account) -> tuple[str, str]:
    """(customer account id, service location id) as addresses use them: neither is the account number."""
    return f"CA{account.meter_account[-6:]}", f"SL{account.meter_account[-6:]}"


def customer_entries(resource: str, subscription: int, person: Person, account: Account, at: float) -> dict[str, str]:
    """{self address: entry} of the whole customer tree, from the customer down to the meters."""
    root, (account_id, location_id) = f"{resource}/Customer/{subscription}", customer_ids(account)
    accounts = f"{root}/CustomerAccount/{account_id}"
    name = f"<cust:Customer><cust:Organisation>{_fields('cust', {'organisationName': person.name})}</cust:Organisation>"
    entries = {
        root: _entry(
            "Customer", root, f"{name}<cust:customerName>{escape(person.name)}</cust:customerName></cust:Customer>", at
        ),
        accounts: _entry("Customer Account", accounts, _customer_account(account), at),
    }
    for service in account.services:
        agreement = f"{accounts}/CustomerAgreement/AG{service.id}"
        location = f"{agreement}/ServiceLocation/{location_id}"
        meter = f"{location}/Meter/{service.meter.serial}"
        entries[agreement] = _entry("Customer Agreement", agreement, _agreement(service), at)
        entries[location] = _entry("Service Location", location, _location(account, service, root), at)
        serial = _fields("cust", {"serialNumber": service.meter.serial})
        entries[meter] = _entry("Meter", meter, f"<cust:Meter>{serial}</cust:Meter>", at)
    return entries


def _customer_account(account: Account) -> str:
    fields = _fields("cust", {"billingCycle": account.services[0].cycle_day, "accountId": account.number})
    return f"<cust:CustomerAccount>{fields}</cust:CustomerAccount>"


def _agreement(service: Service) -> str:
    fields = _fields("cust", {"planName": f"{service.name} residential", "agreementId": f"AG{service.id}"})
    return f"<cust:CustomerAgreement>{fields}</cust:CustomerAgreement>"


def _location(account: Account, service: Service, root: str) -> str:
    street = _fields("cust", {"addressGeneral": account.street})
    town = _fields("cust", {"name": account.city, "stateOrProvince": account.state, "country": "US"})
    address = (
        f"<cust:mainAddress><cust:streetDetail>{street}</cust:streetDetail><cust:townDetail>{town}</cust:townDetail>"
        f"{_fields('cust', {'postalCode': account.postal_code})}</cust:mainAddress>"
    )
    point = f"{root.replace('/Customer/', '/Subscription/')}/UsagePoint/{service.id}"
    points = f"<cust:UsagePoints>{_fields('cust', {'UsagePoint': point})}</cust:UsagePoints>"
    return f"<cust:ServiceLocation>{address}{points}</cust:ServiceLocation>"
