"""What the schema allows in the elements that we write (espi.xsd 4.0): their children, in its order, and their types.

What utilities wrote is theirs: bills hold line items as they liked them, elements of other editions, numbers of any size.
`fill` puts each thing where the schema has it if it is valid there, and into an extension otherwise (`espi.own`), so that
the file is valid and nothing is lost.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from espi import own
from espi.elements import TEXT
from espi.export.elements import OWN_MAP, add, plain

Check = Callable[[Any], bool]


@dataclass(frozen=True)
class Shape:
    """The children of a type of the schema, in its order. `required`: those that must be there, `repeated`: those of
    which there may be several. `filler`: what can stand for one that was never said.
    """

    children: Mapping[str, "Check | Shape"]
    required: frozenset[str] = frozenset()
    repeated: frozenset[str] = frozenset()
    filler: Mapping[str, Any] = field(default_factory=dict)


def _whole(low: int, high: int) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _string(longest: int) -> Check:
    return lambda value: isinstance(value, str | int) and len(str(value)) <= longest


def _matching(pattern: str) -> Check:
    compiled = re.compile(pattern)
    return lambda value: isinstance(value, str | int) and compiled.fullmatch(str(value)) is not None


def _each(names: str, check: "Check | Shape") -> dict[str, "Check | Shape"]:
    return dict.fromkeys(names.split(), check)


_INT48, _UINT32 = _whole(-(2**47), 2**47), _whole(0, 2**32 - 1)
_UINT8, _UINT16, _INT16 = _whole(0, 2**8 - 1), _whole(0, 2**16 - 1), _whole(-(2**15), 2**15 - 1)
_INT64, _STRING256 = _whole(-(2**63), 2**63 - 1), _string(256)
_ADDRESS = _matching(r"[A-Za-z0-9._~:/?#@!$&'()*+,;=-]*")  # of xs:anyURI the part that nobody disputes
_BOOLEAN = _matching("true|false|0|1")

_INTERVAL = Shape(
    {"duration": _UINT32, "start": _INT64},
    required=frozenset({"duration", "start"}),
    filler={"duration": 0, "start": 0},
)
_MEASUREMENT = Shape(
    {
        "powerOfTenMultiplier": _INT16,
        "timeStamp": _INT64,
        "uom": _UINT16,
        "value": _INT48,
        "readingTypeRef": _ADDRESS,
    }
)
_RATIO = Shape(_each("numerator denominator", _INT64))
_RIDER = Shape(
    {
        "riderType": _STRING256,
        "enrollmentStatus": _matching("unenrolled|enrolled|enrolledPending"),
        "effectiveDate": _INT64,
    },
    required=frozenset({"riderType", "enrollmentStatus", "effectiveDate"}),
)
_RIDERS = Shape(
    {"tariffRiderRef": _RIDER}, required=frozenset({"tariffRiderRef"}), repeated=frozenset({"tariffRiderRef"})
)
_LINE_ITEM = Shape(
    {
        "amount": _INT48,
        "rounding": _INT48,
        "dateTime": _INT64,
        "note": _STRING256,
        "measurement": _MEASUREMENT,
        "itemKind": _UINT16,
        "unitCost": _INT48,
        "itemPeriod": _INTERVAL,
    },
    required=frozenset({"note", "itemKind"}),
    filler={"note": "", "itemKind": 0},
)
USAGE_SUMMARY = Shape(
    {
        "billingPeriod": _INTERVAL,
        **_each("billLastPeriod billToDate costAdditionalLastPeriod", _INT48),
        "costAdditionalDetailLastPeriod": _LINE_ITEM,
        "currency": _UINT16,
        **_each(
            "overallConsumptionLastPeriod currentBillingPeriodOverAllConsumption currentDayLastYearNetConsumption "
            "currentDayNetConsumption currentDayOverallConsumption peakDemand previousDayLastYearOverallConsumption "
            "previousDayNetConsumption previousDayOverallConsumption",
            _MEASUREMENT,
        ),
        "qualityOfReading": _UINT16,
        "ratchetDemand": _MEASUREMENT,
        "ratchetDemandPeriod": _INTERVAL,
        "statusTimeStamp": _INT64,
        "commodity": _UINT16,
        **_each("tariffProfile readCycle", _STRING256),
        "tariffRiderRefs": _RIDERS,
        "billingChargeSource": Shape({"agencyName": _STRING256}),
    },
    required=frozenset({"statusTimeStamp"}),
    repeated=frozenset({"costAdditionalDetailLastPeriod"}),
    filler={"statusTimeStamp": 0},
)
_EFFECTIVE = _each("startEffectiveDate endEffectiveDate", _INT64)
_PRICE_NODE = Shape(
    {
        "apnodeType": _matching("AG|CPZ|DPZ|LAP|TH|SYS|CA|DCA|GA|GH|EHV|ZN|INT|BUS"),
        "ref": _STRING256,
        **_EFFECTIVE,
    },
    required=frozenset({"apnodeType", "ref"}),
)
_AGGREGATE_NODE = Shape(
    {
        "anodeType": _matching("SYS|RUC|LFZ|REG|AGR|POD|ALR|LTAC|ACA|ASR|ECA"),
        "ref": _STRING256,
        **_EFFECTIVE,
        "pnodeRef": _PRICE_NODE,
    },
    required=frozenset({"anodeType", "ref"}),
    repeated=frozenset({"pnodeRef"}),
)
QUALITY_SUMMARY = Shape(
    {
        **_each("flickerPlt flickerPst harmonicVoltage longInterruptions mainsVoltage", _INT48),
        "measurementProtocol": _UINT8,
        **_each("powerFrequency rapidVoltageChanges shortInterruptions", _INT48),
        "summaryInterval": _INTERVAL,
        **_each("supplyVoltageDips supplyVoltageImbalance supplyVoltageVariations tempOvervoltage", _INT48),
    },
    required=frozenset({"summaryInterval"}),
)
READING_TYPE = Shape(
    {
        **_each("accumulationBehaviour commodity", _UINT16),
        "consumptionTier": _INT16,
        **_each("currency dataQualifier defaultQuality flowDirection", _UINT16),
        "intervalLength": _UINT32,
        **_each("kind phase", _UINT16),
        "powerOfTenMultiplier": _INT16,
        "timeAttribute": _UINT16,
        "tou": _INT16,
        "uom": _UINT16,
        "cpp": _INT16,
        "interharmonic": _RATIO,
        "measuringPeriod": _UINT16,
        "argument": _RATIO,
    }
)
USAGE_POINT = Shape(
    {
        "roleFlags": _matching("([0-9A-Fa-f]{2}){0,2}"),
        "ServiceCategory": Shape({"kind": _UINT16}, required=frozenset({"kind"})),
        "status": _UINT8,
        "serviceDeliveryPoint": Shape(
            {**_each("name tariffProfile customerAgreement", _STRING256), "tariffRiderRefs": _RIDERS}
        ),
        "amiBillingReady": _matching("amiCapable|amiDisabled|billingApproved|enabled|nonAmi|nonMetered|operable"),
        "checkBilling": _BOOLEAN,
        "connectionState": _matching("connected|logicallyDisconnected|physicallyDisconnected"),
        "estimatedLoad": _MEASUREMENT,
        **_each("grounded isSdp isVirtual minimalUsageExpected", _BOOLEAN),
        "nominalServiceVoltage": _MEASUREMENT,
        "outageRegion": _STRING256,
        "phaseCode": _UINT16,
        **_each("ratedCurrent ratedPower", _MEASUREMENT),
        **_each("readCycle readRoute serviceDeliveryRemark", _STRING256),
        "servicePriority": _string(32),
        "pnodeRefs": Shape(
            {"pnodeRef": _PRICE_NODE}, required=frozenset({"pnodeRef"}), repeated=frozenset({"pnodeRef"})
        ),
        "aggregateNodeRefs": Shape(
            {"aggregateNodeRef": _AGGREGATE_NODE},
            required=frozenset({"aggregateNodeRef"}),
            repeated=frozenset({"aggregateNodeRef"}),
        ),
    }
)


def fill(parent: etree._Element, shape: Shape, data: Mapping[str, Any]) -> etree._Element:
    """Children for what was said (JSON, as `espi.parse` gives it; None: nothing). Returns `parent`."""
    said = {name: value for name, value in data.items() if value is not None}
    valid = {name: value for name, value in said.items() if name in shape.children and _fits(shape, name, value)}
    untold = [name for name in shape.children if name in shape.required and name not in valid]
    _extend(parent, {name: value for name, value in said.items() if name not in valid}, untold)
    for name, check in shape.children.items():
        value = valid.get(name, shape.filler.get(name) if name in untold else None)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(check, Shape) and each is not None:
                fill(add(parent, name), check, each)
            elif each is not None:
                add(parent, name, each)
    return parent


def _fits(shape: Shape, name: str, value: Any) -> bool:
    check = shape.children[name]
    if isinstance(value, list):
        return name in shape.repeated and all(_is_valid(check, each) for each in value)
    return _is_valid(check, value)


def _is_valid(check: "Check | Shape", value: Any) -> bool:
    """Of an object also that it has what it must have, or something that can stand for it."""
    if not isinstance(check, Shape):
        return check(value)
    return isinstance(value, dict) and all(
        name in check.filler or (name in value and _fits(check, name, value[name])) for name in check.required
    )


def _extend(parent: etree._Element, others: Mapping[str, Any], untold: Iterable[str]) -> None:
    if others:
        told = etree.SubElement(add(parent, "extension"), own.TOLD, nsmap=OWN_MAP)
        for name, value in others.items():
            _put(told, name, value)
    if words := " ".join(untold):
        etree.SubElement(add(parent, "extension"), own.UNTOLD, nsmap=OWN_MAP).text = words


def _put(parent: etree._Element, name: str, value: Any) -> None:
    """JSON as XML: the opposite of `espi.elements.as_json`. A list is its items under one name."""
    namespace = parent.tag.rpartition("}")[0]
    tag = name if name.startswith("{") else f"{namespace}}}{name}"
    if not _is_name(tag):
        return
    for each in value if isinstance(value, list) else [] if value is None else [value]:
        child = etree.SubElement(parent, tag)
        for inner, inner_value in each.items() if isinstance(each, dict) else ((TEXT, each),):
            if inner == TEXT:
                child.text = plain(str(inner_value))
            elif not inner.startswith("@"):
                _put(child, inner, inner_value)
            elif _is_name(inner[1:]):
                child.set(inner[1:], plain(str(inner_value)))


def _is_name(text: str) -> bool:
    """Whether XML has such names; one that it has not cannot have come from a document."""
    try:
        etree.QName(text)
    except ValueError:
        return False
    return True
