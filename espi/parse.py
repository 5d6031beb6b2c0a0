"""Atom entries -> resources: what the document says, in its order. Pure functions over bytes; no database.

The element is picked by namespace and name, never by position. Unknown elements are skipped, unknown resources counted.
"""

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from lxml import etree

from espi import atom, numbers, resources

_E = f"{{{atom.ESPI}}}"
_WRAPPERS = {"intervalBlocks", "intervalBlock", "IntervalBlock", "IntervalBlocks"}  # their blocks are read already
_HUNDRED_THOUSANDTHS = 5


def read(source: BinaryIO) -> Iterator[resources.Resource]:
    """Every resource of a document. Raises atom.DocumentRefused, possibly after some resources have been given."""
    parcels = understood = 0
    for parcel in atom.read(source):
        parcels += 1
        for resource in _resources(parcel):
            understood += not isinstance(resource, resources.Refused)
            yield resource
    if parcels and not understood:
        raise atom.NothingUnderstood("None of the file's entries is Green Button (ESPI) data.")


def _resources(parcel: atom.Parcel) -> Iterator[resources.Resource]:
    for element in parcel.payloads:
        resource = _resource(parcel.entry, element)
        if resource is not None:
            yield resource
    for is_lower_camel, columns in parcel.blocks:
        yield resources.IntervalBlock(parcel.entry, columns, is_lower_camel)
    if parcel.text and not parcel.payloads and not parcel.blocks:
        yield resources.Refused(parcel.entry, "entry", "its content is text where an element should be")


def _resource(entry: resources.Entry, element: etree._Element) -> resources.Resource | None:
    name = etree.QName(element)
    if name.namespace not in (atom.ESPI, atom.CUSTOMER) or name.localname in _WRAPPERS:
        return None
    reader = _READERS.get(name.localname) if name.namespace == atom.ESPI else None
    if reader is None:
        return resources.Other(entry, name.localname, name.namespace == atom.CUSTOMER)
    return reader(entry, element)


def _usage_point(entry: resources.Entry, element: etree._Element) -> resources.UsagePoint:
    kind = _code(element, "ServiceCategory/kind")
    return resources.UsagePoint(entry, service_kind=kind, status=_code(element, "status"))


def _meter_reading(entry: resources.Entry, element: etree._Element) -> resources.MeterReading:
    return resources.MeterReading(entry)


_READING_TYPE = {
    "commodity": "commodity",
    "kind": "kind",
    "uom": "uom",
    "flow_direction": "flowDirection",
    "accumulation_behaviour": "accumulationBehaviour",
    "data_qualifier": "dataQualifier",
    "default_quality": "defaultQuality",
    "power_of_ten_multiplier": "powerOfTenMultiplier",
    "time_attribute": "timeAttribute",
    "measuring_period": "measuringPeriod",
    "phase": "phase",
    "tou": "tou",
    "cpp": "cpp",
    "consumption_tier": "consumptionTier",
    "currency": "currency",
}


def _reading_type(entry: resources.Entry, element: etree._Element) -> resources.ReadingType:
    codes = {field: _code(element, name) for field, name in _READING_TYPE.items()}
    length = numbers.integer(_text(element, "intervalLength"), within=range(1, 2**31))
    return resources.ReadingType(entry, interval_length=length, **codes)


def _local_time(entry: resources.Entry, element: etree._Element) -> resources.LocalTimeParameters:
    return resources.LocalTimeParameters(
        entry,
        tz_offset=numbers.integer(_text(element, "tzOffset"), within=range(-86400, 86401)),
        dst_offset=numbers.integer(_text(element, "dstOffset"), within=range(-86400, 86401)),
        dst_start_rule=_text(element, "dstStartRule")[:16],
        dst_end_rule=_text(element, "dstEndRule")[:16],
    )


# Con Edison V1's names for a bill (its contract, 5.3); amounts there are dollars, energy is kilowatt-hours.
_V1_SUMMARY = {"electricBilledAmount", "electricConsumption", "serviceClass"}
_SUMMARY = {
    "billingPeriod",
    "billLastPeriod",
    "billToDate",
    "costAdditionalLastPeriod",
    "costAdditionalDetailLastPeriod",
    "currency",
    "overallConsumptionLastPeriod",
    "qualityOfReading",
    "statusTimeStamp",
    "commodity",
    "tariffProfile",
}


def _usage_summary(entry: resources.Entry, element: etree._Element) -> resources.UsageSummary:
    is_v1 = any(element.find(_E + name) is not None for name in _V1_SUMMARY)
    consumption = _v1_consumption(element) if is_v1 else _measurement(element, "overallConsumptionLastPeriod")
    told = _SUMMARY | _V1_SUMMARY if is_v1 else _SUMMARY
    return resources.UsageSummary(
        entry,
        start=numbers.epoch(_text(element, "billingPeriod/start")),
        duration=numbers.integer(_text(element, "billingPeriod/duration"), within=range(1, numbers.LONGEST)),
        end=numbers.local_time(_text(element, "billToDate")),
        bill_last_period=_dollars(element, "electricBilledAmount") if is_v1 else _money(element, "billLastPeriod"),
        bill_to_date=_money(element, "billToDate"),
        cost_additional_last_period=_money(element, "costAdditionalLastPeriod"),
        currency=_code(element, "currency"),
        **consumption,
        quality=_code(element, "qualityOfReading"),
        status_timestamp=_timestamp(_text(element, "statusTimeStamp")),
        commodity=_code(element, "commodity"),
        tariff_profile=(_text(element, "serviceClass" if is_v1 else "tariffProfile"))[:255],
        details=[_as_json(each) for each in element.findall(_E + "costAdditionalDetailLastPeriod")],
        extra={key: value for key, value in _children(element).items() if key not in told},
    )


def _measurement(element: etree._Element, name: str) -> dict[str, Any]:
    """A SummaryMeasurement, with its own multiplier and unit: not those of the readings."""
    value = numbers.number(_text(element, f"{name}/value"))
    multiplier = _code(element, f"{name}/powerOfTenMultiplier") or 0
    return _consumption(value, multiplier, _code(element, f"{name}/uom"))


def _v1_consumption(element: etree._Element) -> dict[str, Any]:
    return _consumption(numbers.number(_text(element, "electricConsumption")), 3, 72)


def _consumption(value: Any, multiplier: int, uom: int | None) -> dict[str, Any]:
    if value is None or multiplier not in numbers.MULTIPLIERS:
        return {}
    while value != int(value):
        value, multiplier = value.scaleb(1), multiplier - 1
    if int(value) not in numbers.INT64:
        return {}
    return {"consumption": int(value), "consumption_multiplier": multiplier, "consumption_uom": uom}


def _money(element: etree._Element, name: str) -> int | None:
    return numbers.integer(_text(element, name))


def _dollars(element: etree._Element, name: str) -> int | None:
    found = numbers.number(_text(element, name))
    if found is None:
        return None
    exact = numbers.EXACT.multiply(found, 10**_HUNDRED_THOUSANDTHS)
    return int(exact) if exact == int(exact) and int(exact) in numbers.INT64 else None


def _timestamp(text: str) -> Any:
    seconds = numbers.epoch(text)
    return numbers.from_epoch(seconds) if seconds is not None else numbers.instant(text)


def _children(element: etree._Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for child in element.iterchildren("{*}*"):
        name = etree.QName(child).localname
        value = _as_json(child)
        found[name] = [*_listed(found[name]), value] if name in found else value
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _as_json(element: etree._Element) -> Any:
    """An element as JSON: its children by name, or its text; integers as integers, all else as the text it is."""
    if len(element):
        return _children(element)
    text = (element.text or "").strip()
    found = numbers.integer(text)
    return found if found is not None and str(found) == text else text


def _text(element: etree._Element, path: str) -> str:
    found = element.findtext("/".join(_E + name for name in path.split("/")))
    return (found or "").strip()


def _code(element: etree._Element, path: str) -> int | None:
    return numbers.integer(_text(element, path), within=numbers.INT16)


_READERS: dict[str, Callable[[resources.Entry, etree._Element], resources.Resource]] = {
    "UsagePoint": _usage_point,
    "usagePoint": _usage_point,
    "MeterReading": _meter_reading,
    "meterReading": _meter_reading,
    "ReadingType": _reading_type,
    "readingType": _reading_type,
    "LocalTimeParameters": _local_time,
    "localTimeParameters": _local_time,
    "UsageSummary": _usage_summary,
    "usageSummary": _usage_summary,
    "ElectricPowerUsageSummary": _usage_summary,
    "electricPowerUsageSummary": _usage_summary,
}
