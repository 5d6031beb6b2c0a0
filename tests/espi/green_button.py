"""What makes a Green Button file valid, twice: by the published schemas where they lie beside the project, and by the
part of them that our exports use, written down here from ESPI 4.0 (espi.xsd) and RFC 4287.
"""

import re
from functools import cache
from uuid import UUID

from lxml import etree

from tests.espi import samples

ATOM, ESPI = "{http://www.w3.org/2005/Atom}", "{http://naesb.org/espi}"
XSD = samples.FOLDER / "xsd"
_DRIVER = """
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:import namespace="http://www.w3.org/2005/Atom" schemaLocation="{0}/atom-2020.xsd"/>
  <xs:import namespace="http://naesb.org/espi" schemaLocation="{0}/espi-4.0.xsd"/>
</xs:schema>"""
# The Atom schema imports the W3C's by its address.
_XML = """
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="http://www.w3.org/XML/1998/namespace">
  <xs:attribute name="lang" type="xs:string"/><xs:attribute name="base" type="xs:string"/>
</xs:schema>"""


class _Local(etree.Resolver):
    def resolve(self, url, public_id, context):
        if url.endswith("/xml.xsd"):
            return self.resolve_string(_XML, context)
        if url.endswith("/atom.xsd"):
            return self.resolve_filename(str(XSD / "atom-2020.xsd"), context)
        return None


@cache
def published_schema():
    """The schemas of 4.0; None where they are not there."""
    if not XSD.exists():
        return None
    parser = etree.XMLParser()
    parser.resolvers.add(_Local())
    return etree.XMLSchema(etree.fromstring(_DRIVER.format(XSD), parser))


def problems(content):
    """Everything that is wrong with a feed, in words; [] for a valid one."""
    feed = etree.fromstring(content)
    found = list(_feed_problems(feed))
    schema = published_schema()
    if schema is not None and not schema.validate(feed):
        found += [f"schema: {each.message}" for each in schema.error_log]
    return found


def _integer(low, high):
    return lambda text: re.fullmatch("-?[0-9]+", text) is not None and low <= int(text) <= high


def _text(longest):
    return lambda text: len(text) <= longest


INT48, INT64 = _integer(-(2**47), 2**47), _integer(-(2**63), 2**63 - 1)
UINT32, UINT16, UINT8, INT16 = (
    _integer(0, 2**32 - 1),
    _integer(0, 2**16 - 1),
    _integer(0, 2**8 - 1),
    _integer(-(2**15), 2**15 - 1),
)
PERIOD = [("duration", UINT32, 1, 1), ("start", INT64, 1, 1)]
MEASUREMENT = [
    ("powerOfTenMultiplier", INT16, 0, 1),
    ("timeStamp", INT64, 0, 1),
    ("uom", UINT16, 0, 1),
    ("value", INT48, 0, 1),
    ("readingTypeRef", _text(10_000), 0, 1),
]
ITEM = [
    ("amount", INT48, 0, 1),
    ("rounding", INT48, 0, 1),
    ("dateTime", INT64, 0, 1),
    ("note", _text(256), 1, 1),
    ("measurement", MEASUREMENT, 0, 1),
    ("itemKind", UINT16, 1, 1),
    ("unitCost", INT48, 0, 1),
    ("itemPeriod", PERIOD, 0, 1),
]
READING = [
    ("cost", INT48, 0, 1),
    ("ReadingQuality", [("quality", UINT16, 1, 1)], 0, 10),
    ("timePeriod", PERIOD, 0, 1),
    ("value", INT48, 0, 1),
    ("consumptionTier", INT16, 0, 1),
    ("tou", INT16, 0, 1),
    ("cpp", INT16, 0, 1),
]
PROGRAM = [
    ("tOUorCPPorConsumptionTier", re.compile("tou|cpp|consumptiontier").fullmatch, 1, 1),
    ("code", INT64, 1, 1),
    ("name", _text(256), 1, 1),
    ("note", _text(256), 0, 1),
]
RIDER = [
    ("riderType", _text(256), 1, 1),
    ("enrollmentStatus", re.compile("unenrolled|enrolled|enrolledPending").fullmatch, 1, 1),
    ("effectiveDate", INT64, 1, 1),
]
DELIVERY = [
    ("name", _text(256), 0, 1),
    ("tariffProfile", _text(256), 0, 1),
    ("customerAgreement", _text(256), 0, 1),
    ("tariffRiderRefs", [("tariffRiderRef", RIDER, 1, 100)], 0, 1),
]
AMI = re.compile("amiCapable|amiDisabled|billingApproved|enabled|nonAmi|nonMetered|operable").fullmatch
BOOLEAN = re.compile("true|false|0|1").fullmatch
CONNECTED = re.compile("connected|logicallyDisconnected|physicallyDisconnected").fullmatch
EFFECTIVE = [("startEffectiveDate", INT64, 0, 1), ("endEffectiveDate", INT64, 0, 1)]
PRICE_NODE = [
    ("apnodeType", re.compile("AG|CPZ|DPZ|LAP|TH|SYS|CA|DCA|GA|GH|EHV|ZN|INT|BUS").fullmatch, 1, 1),
    ("ref", _text(256), 1, 1),
    *EFFECTIVE,
]
AGGREGATE_NODE = [
    ("anodeType", re.compile("SYS|RUC|LFZ|REG|AGR|POD|ALR|LTAC|ACA|ASR|ECA").fullmatch, 1, 1),
    ("ref", _text(256), 1, 1),
    *EFFECTIVE,
    ("pnodeRef", PRICE_NODE, 0, 100),
]
RULE = re.compile("([0-9A-Fa-f]{2}){0,4}").fullmatch
CONTENTS = {
    "UsagePoint": [
        ("roleFlags", re.compile("([0-9A-Fa-f]{2}){0,2}").fullmatch, 0, 1),
        ("ServiceCategory", [("kind", UINT16, 1, 1)], 0, 1),
        ("status", UINT8, 0, 1),
        ("serviceDeliveryPoint", DELIVERY, 0, 1),
        ("amiBillingReady", AMI, 0, 1),
        ("checkBilling", BOOLEAN, 0, 1),
        ("connectionState", CONNECTED, 0, 1),
        ("estimatedLoad", MEASUREMENT, 0, 1),
        ("grounded", BOOLEAN, 0, 1),
        ("isSdp", BOOLEAN, 0, 1),
        ("isVirtual", BOOLEAN, 0, 1),
        ("minimalUsageExpected", BOOLEAN, 0, 1),
        ("nominalServiceVoltage", MEASUREMENT, 0, 1),
        ("outageRegion", _text(256), 0, 1),
        ("phaseCode", UINT16, 0, 1),
        ("ratedCurrent", MEASUREMENT, 0, 1),
        ("ratedPower", MEASUREMENT, 0, 1),
        ("readCycle", _text(256), 0, 1),
        ("readRoute", _text(256), 0, 1),
        ("serviceDeliveryRemark", _text(256), 0, 1),
        ("servicePriority", _text(32), 0, 1),
        ("pnodeRefs", [("pnodeRef", PRICE_NODE, 1, 100)], 0, 1),
        ("aggregateNodeRefs", [("aggregateNodeRef", AGGREGATE_NODE, 1, 100)], 0, 1),
    ],
    "ElectricPowerQualitySummary": [
        ("flickerPlt", INT48, 0, 1),
        ("flickerPst", INT48, 0, 1),
        ("harmonicVoltage", INT48, 0, 1),
        ("longInterruptions", INT48, 0, 1),
        ("mainsVoltage", INT48, 0, 1),
        ("measurementProtocol", UINT8, 0, 1),
        ("powerFrequency", INT48, 0, 1),
        ("rapidVoltageChanges", INT48, 0, 1),
        ("shortInterruptions", INT48, 0, 1),
        ("summaryInterval", PERIOD, 1, 1),
        ("supplyVoltageDips", INT48, 0, 1),
        ("supplyVoltageImbalance", INT48, 0, 1),
        ("supplyVoltageVariations", INT48, 0, 1),
        ("tempOvervoltage", INT48, 0, 1),
    ],
    "ProgramIdMappings": [("programIdMapping", PROGRAM, 1, 1)],
    "MeterReading": [],
    "LocalTimeParameters": [
        ("dstEndRule", RULE, 1, 1),
        ("dstOffset", INT64, 1, 1),
        ("dstStartRule", RULE, 1, 1),
        ("tzOffset", INT64, 1, 1),
    ],
    "ReadingType": [
        ("accumulationBehaviour", UINT16, 0, 1),
        ("commodity", UINT16, 0, 1),
        ("consumptionTier", INT16, 0, 1),
        ("currency", UINT16, 0, 1),
        ("dataQualifier", UINT16, 0, 1),
        ("defaultQuality", UINT16, 0, 1),
        ("flowDirection", UINT16, 0, 1),
        ("intervalLength", UINT32, 0, 1),
        ("kind", UINT16, 0, 1),
        ("phase", UINT16, 0, 1),
        ("powerOfTenMultiplier", INT16, 0, 1),
        ("timeAttribute", UINT16, 0, 1),
        ("tou", INT16, 0, 1),
        ("uom", UINT16, 0, 1),
        ("cpp", INT16, 0, 1),
        ("interharmonic", [("numerator", INT64, 0, 1), ("denominator", INT64, 0, 1)], 0, 1),
        ("measuringPeriod", UINT16, 0, 1),
        ("argument", [("numerator", INT64, 0, 1), ("denominator", INT64, 0, 1)], 0, 1),
    ],
    "IntervalBlock": [("interval", PERIOD, 0, 1), ("IntervalReading", READING, 0, 10**6)],
    "UsageSummary": [
        ("billingPeriod", PERIOD, 0, 1),
        ("billLastPeriod", INT48, 0, 1),
        ("billToDate", INT48, 0, 1),
        ("costAdditionalLastPeriod", INT48, 0, 1),
        ("costAdditionalDetailLastPeriod", ITEM, 0, 10**6),
        ("currency", UINT16, 0, 1),
        ("overallConsumptionLastPeriod", MEASUREMENT, 0, 1),
        ("currentBillingPeriodOverAllConsumption", MEASUREMENT, 0, 1),
        ("currentDayLastYearNetConsumption", MEASUREMENT, 0, 1),
        ("currentDayNetConsumption", MEASUREMENT, 0, 1),
        ("currentDayOverallConsumption", MEASUREMENT, 0, 1),
        ("peakDemand", MEASUREMENT, 0, 1),
        ("previousDayLastYearOverallConsumption", MEASUREMENT, 0, 1),
        ("previousDayNetConsumption", MEASUREMENT, 0, 1),
        ("previousDayOverallConsumption", MEASUREMENT, 0, 1),
        ("qualityOfReading", UINT16, 0, 1),
        ("ratchetDemand", MEASUREMENT, 0, 1),
        ("ratchetDemandPeriod", PERIOD, 0, 1),
        ("statusTimeStamp", INT64, 1, 1),
        ("commodity", UINT16, 0, 1),
        ("tariffProfile", _text(256), 0, 1),
        ("readCycle", _text(256), 0, 1),
        ("tariffRiderRefs", [("tariffRiderRef", RIDER, 1, 100)], 0, 1),
        ("billingChargeSource", [("agencyName", _text(256), 0, 1)], 0, 1),
    ],
}
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")


def _feed_problems(feed):
    if feed.tag != f"{ATOM}feed":
        yield f"the root is {feed.tag}"
        return
    entries = feed.findall(f"{ATOM}entry")
    ids = [feed.findtext(f"{ATOM}id"), *(entry.findtext(f"{ATOM}id") for entry in entries)]
    for each in ids:
        if not each or not each.startswith("urn:uuid:") or UUID(each[9:]).version != 5:
            yield f"{each} is no UUID of version 5"
    if len(set(ids)) != len(ids):
        yield "an id comes twice"
    for name in ("title", "updated"):
        if feed.find(f"{ATOM}{name}") is None:
            yield f"the feed has no {name}"
    yield from _link_problems(entries)
    for entry in entries:
        yield from _entry_problems(entry)


def hrefs(entry, rel):
    return [link.get("href") for link in entry.findall(f"{ATOM}link") if link.get("rel") == rel]


def _link_problems(entries):
    """Every entry has an address of its own, and whatever leads to another entry leads to one that is there."""
    selves = [href for entry in entries for href in hrefs(entry, "self")]
    if len(selves) != len(entries) or len(set(selves)) != len(selves):
        yield "an entry has no address of its own"
    collections = {href.rpartition("/")[0] for href in selves}
    for entry in entries:
        for href in hrefs(entry, "up"):
            if href not in collections:
                yield f"up leads nowhere: {href}"
        for href in hrefs(entry, "related"):
            is_entry = re.search(r"/(ReadingType|LocalTimeParameters)/[^/]+$", href)
            if is_entry and href not in selves:
                yield f"related leads nowhere: {href}"


def _entry_problems(entry):
    for name in ("title", "published", "updated"):
        if len(entry.findall(f"{ATOM}{name}")) != 1:
            yield f"an entry without one {name}"
    for name in ("published", "updated"):
        if not _INSTANT.fullmatch(entry.findtext(f"{ATOM}{name}") or ""):
            yield f"{name} is {entry.findtext(f'{ATOM}{name}')}"
    contents = entry.findall(f"{ATOM}content")
    (resource,) = contents[0]
    noun = resource.tag.removeprefix(ESPI)
    (own,) = hrefs(entry, "self")
    (up,) = hrefs(entry, "up")
    if own.rpartition("/")[0] != up or not up.endswith(f"/{noun}"):
        yield f"{noun} stands at {own}, below {up}"
    yield from _object_problems(resource, CONTENTS[noun], noun)


def _object_problems(element, children, path):
    """The schema's order, how often, and of what type; extensions first, whatever they hold."""
    names = [child.tag.removeprefix(ESPI) for child in element]
    while names[:1] == ["extension"]:
        del names[0]
    order = [name for name, *_ in children]
    for name in names:
        if name not in order:
            yield f"{path}/{name} is not in the schema here"
    places = [order.index(name) for name in names if name in order]
    if places != sorted(places):
        yield f"{path}: children in another order: {names}"
    for name, kind, least, most in children:
        found = element.findall(f"{ESPI}{name}")
        if not least <= len(found) <= most:
            yield f"{path}/{name} comes {len(found)} times"
        for each in found:
            if isinstance(kind, list):
                yield from _object_problems(each, kind, f"{path}/{name}")
            elif len(each) or not kind(each.text or ""):
                yield f"{path}/{name} is {each.text!r}"
