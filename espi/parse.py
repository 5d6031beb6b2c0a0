"""Atom entries -> resources: what the document says, in its order. Pure functions over bytes; no database.

A resource is picked by namespace and name, never by position, and in any mixture of small and capital letters. Each of
its elements is either in a typed field, or among what else it said, or counted as refused.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Any, BinaryIO

from lxml import etree

from espi import atom, customer_resources, elements, numbers, own, resources, shapes
from espi.elements import Fields

# Of the way bytes become numbers and words, and these become rows: documents that come again are read again once it is
# raised. Raise it with every change after which the same bytes mean something else.
VERSION = 3
_BLOCKS = {"intervalblocks", "intervalblock"}  # these are read already
_OURS = (atom.ESPI, atom.CUSTOMER)
_OF_ENTRY = {"id", "link", "published", "updated", "title"}  # stand inside the content too (Essex contract, 5.4)
# Of a resource; as JSON it takes several times the room.
_IS_TOO_LARGE = etree.XPath(
    "count(descendant::*) > 20000 or string-length() > 1000000 or descendant-or-self::*/@*[string-length() > 10000]"
)
_REPEATED = 8192  # bytes of a resource that may well come again
_HUNDRED_THOUSANDTHS = 5

_Reader = Callable[[resources.Entry, Any], Iterable[resources.Resource]]


def read(source: BinaryIO, *, by_runs: bool = True) -> Iterator[resources.Resource]:
    """Every resource of a document; `by_runs` as in atom.read.

    Raises atom.DocumentRefused, possibly after some resources have been given.
    """
    parcels = understood = 0
    for parcel in atom.read(source, by_runs=by_runs):
        parcels += parcel.is_entry
        for resource in _resources(parcel):
            understood += not isinstance(resource, resources.Refused | resources.Unknown)
            yield resource
    if parcels and not understood:
        raise atom.NothingUnderstood("None of the file's entries is Green Button (ESPI) data.")


def _resources(parcel: atom.Parcel) -> Iterator[resources.Resource]:
    for path in parcel.strange:
        yield resources.Unknown(parcel.entry, path[:200])
    for element in parcel.payloads:
        yield from _read(parcel.entry, element)
    for part in parcel.blocks:
        yield resources.IntervalBlock(parcel.entry, part.columns, part.is_lower_camel, part.is_first)
    if parcel.text and not parcel.payloads and not parcel.blocks:
        yield resources.Refused(parcel.entry, "entry", "its content is text where an element should be")


def _read(entry: resources.Entry, element: etree._Element) -> Iterator[resources.Resource]:
    namespace, _, name = element.tag[1:].rpartition("}")
    if namespace not in _OURS:
        if namespace != atom.ATOM or name not in _OF_ENTRY:
            yield resources.Unknown(entry, element.tag[:200])
        return
    known = _NOUNS.get((namespace, name.lower()))
    if known is not None:
        yield from _resource(entry, element, *known)
    elif name.lower() not in _BLOCKS:
        yield resources.Other(entry, name, namespace == atom.CUSTOMER)


def _resource(
    entry: resources.Entry, element: etree._Element, noun: str, shape: shapes.Shape, reader: _Reader
) -> Iterator[resources.Resource]:
    if not len(element) and noun == "MeterReading":  # one for each block of a daily feed, and it says nothing
        yield resources.MeterReading(entry)
        return
    if _IS_TOO_LARGE(element):
        yield resources.Refused(entry, noun, "it holds more than can be kept")
    elif noun == "ReadingType" and len(xml := etree.tostring(element, with_tail=False)) < _REPEATED:
        yield from (replace(each, entry=entry) for each in _same_reading_type(xml))
    else:
        yield from _understood(entry, element, noun, shape, reader)


@lru_cache(maxsize=64)  # UtilityAPI writes the same one again for every block (Essex contract, 5.2)
def _same_reading_type(xml: bytes) -> tuple[resources.Resource, ...]:
    element = etree.fromstring(xml, etree.XMLParser(resolve_entities=False, no_network=True))
    return tuple(_understood(resources.Entry(), element, "ReadingType", shapes.READING_TYPE, _reading_type))


def _understood(
    entry: resources.Entry, element: etree._Element, noun: str, shape: shapes.Shape, reader: _Reader
) -> Iterator[resources.Resource]:
    said = own.restored(elements.as_json(element, integers=noun not in customer_resources.NOUNS))
    for path in elements.unknown(said, shape, noun):
        yield resources.Unknown(entry, path[:200])
    yield from reader(entry, said)


# --- Usage ------------------------------------------------------------------------------------------------------------


def usage_point(entry: resources.Entry, said: Any) -> resources.UsagePoint:
    """A UsagePoint from what was said of it (`espi.elements`): in one document, or in several."""
    told = Fields(said)
    return resources.UsagePoint(
        entry,
        service_kind=told.code("ServiceCategory/kind"),
        status=told.code("status"),
        role_flags=told.text("roleFlags", 16),
        tariff_profile=told.text("serviceDeliveryPoint/tariffProfile"),
        connection_state=told.text("connectionState", 32),
        ami_billing_ready=told.text("amiBillingReady", 32),
        phase_code=told.code("phaseCode"),
        read_cycle=told.text("readCycle"),
        said=Fields(said).rest,
    )


def _usage_point(entry: resources.Entry, said: Any) -> Iterator[resources.Resource]:
    yield usage_point(entry, said)


def _meter_reading(entry: resources.Entry, said: Any) -> Iterator[resources.Resource]:
    """It has no fields of its own: what it holds all the same is kept with the document."""
    series, rest = own.series(said)
    for name in Fields(rest).rest:
        if name.lower() in shapes.METER_READING:
            yield resources.Unknown(entry, f"MeterReading/{name}")
    yield resources.MeterReading(entry, series)


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
_LENGTHS = range(1, 2**31)


def _reading_type(entry: resources.Entry, said: Any) -> Iterator[resources.Resource]:
    told = Fields(said)
    codes = {field: told.code(name) for field, name in _READING_TYPE.items()}
    yield resources.ReadingType(
        entry,
        interval_length=told.integer("intervalLength", _LENGTHS),
        interharmonic=_ratio(told, "interharmonic"),
        argument=_ratio(told, "argument"),
        extra=told.rest,
        **codes,
    )


def _ratio(told: Fields, name: str) -> str:
    """A RationalNumber as `numerator/denominator`; "" where it is none."""
    paths = [f"{name}/numerator", f"{name}/denominator"]
    found = [numbers.integer(told.peek(path), range(-(2**31), 2**31)) for path in paths]
    if None in found:
        return ""
    for path in paths:
        told.drop(path)
    return "/".join(map(str, found))


_OFFSETS = range(-86400, 86401)


def _local_time(entry: resources.Entry, said: Any) -> Iterator[resources.Resource]:
    told = Fields(said)
    yield resources.LocalTimeParameters(
        entry,
        tz_offset=told.integer("tzOffset", _OFFSETS),
        dst_offset=told.integer("dstOffset", _OFFSETS),
        dst_start_rule=told.text("dstStartRule", 16),
        dst_end_rule=told.text("dstEndRule", 16),
        extra=told.rest,
    )


# --- Bills ------------------------------------------------------------------------------------------------------------

# Con Edison V1's names for a bill (its contract, 5.3); amounts there are dollars, energy is kilowatt-hours.
_V1_SUMMARY = ("electricBilledAmount", "electricConsumption", "serviceClass")


def _usage_summary(entry: resources.Entry, said: Any) -> Iterator[resources.Resource]:
    told = Fields(said)
    is_v1 = any(told.peek(name) for name in _V1_SUMMARY)
    consumption = _v1_consumption(told) if is_v1 else _measurement(told, "overallConsumptionLastPeriod")
    yield resources.UsageSummary(
        entry,
        start=told.epoch("billingPeriod/start"),
        duration=told.integer("billingPeriod/duration", range(1, numbers.LONGEST)),
        end=told.take("billToDate", numbers.local_time),
        bill_last_period=told.take("electricBilledAmount", _dollars) if is_v1 else told.integer("billLastPeriod"),
        bill_to_date=told.integer("billToDate"),
        cost_additional_last_period=told.integer("costAdditionalLastPeriod"),
        currency=told.code("currency"),
        **consumption,
        quality=told.code("qualityOfReading"),
        status_timestamp=told.take("statusTimeStamp", numbers.timestamp),
        commodity=told.code("commodity"),
        tariff_profile=told.text("serviceClass" if is_v1 else "tariffProfile"),
        details=told.all("costAdditionalDetailLastPeriod"),
        extra=told.rest,
    )


def _measurement(told: Fields, name: str) -> dict[str, Any]:
    """A SummaryMeasurement, with its own multiplier and unit: not those of the readings."""
    value, multiplier = numbers.number(told.peek(f"{name}/value")), told.peek(f"{name}/powerOfTenMultiplier")
    found = _consumption(value, numbers.integer(multiplier or "0"))
    if found:
        told.drop(f"{name}/value")
        told.drop(f"{name}/powerOfTenMultiplier")
        found["consumption_uom"] = told.code(f"{name}/uom")
    return found


def _v1_consumption(told: Fields) -> dict[str, Any]:
    found = told.take("electricConsumption", lambda text: _consumption(numbers.number(text), 3) or None)
    return found | {"consumption_uom": 72} if found else {}


def _consumption(value: int | Decimal | None, multiplier: int | None) -> dict[str, Any]:
    if value is None or multiplier is None or multiplier not in numbers.MULTIPLIERS:
        return {}
    while value != int(value):
        value, multiplier = Decimal(value).scaleb(1), multiplier - 1
    if int(value) not in numbers.INT64:
        return {}
    return {"consumption": int(value), "consumption_multiplier": multiplier}


def _dollars(text: str) -> int | None:
    found = numbers.number(text)
    if found is None:
        return None
    exact = numbers.EXACT.multiply(found, 10**_HUNDRED_THOUSANDTHS)
    return int(exact) if exact == int(exact) and int(exact) in numbers.INT64 else None


# --- The rest of the usage schema -------------------------------------------------------------------------------------

_QUALITIES = (
    "flickerPlt",
    "flickerPst",
    "harmonicVoltage",
    "longInterruptions",
    "mainsVoltage",
    "measurementProtocol",
    "powerFrequency",
    "rapidVoltageChanges",
    "shortInterruptions",
    "supplyVoltageDips",
    "supplyVoltageImbalance",
    "supplyVoltageVariations",
    "tempOvervoltage",
)


def _quality_summary(entry: resources.Entry, said: Any) -> Iterator[resources.Resource]:
    told = Fields(said)
    found = {name: told.integer(name) for name in _QUALITIES}
    yield resources.ElectricPowerQualitySummary(
        entry,
        start=told.epoch("summaryInterval/start"),
        duration=told.integer("summaryInterval/duration", range(numbers.LONGEST)),
        values={name: value for name, value in found.items() if value is not None},
        extra=told.rest,
    )


_CODES = range(2**31)


def _program_ids(entry: resources.Entry, said: Any) -> Iterator[resources.Resource]:
    mappings = []
    for each in Fields(said).all("programIdMapping"):
        told = Fields(each)
        kind, code = told.text("tOUorCPPorConsumptionTier", 32), told.integer("code", _CODES)
        if code is None:
            yield resources.Refused(entry, "ProgramIdMapping", "its code is no number")
        else:
            mappings.append(resources.ProgramIdMapping(kind, code, told.text("name"), told.text("note")))
    yield resources.ProgramIdMappings(entry, tuple(mappings))


def _service_status(entry: resources.Entry, said: Any) -> Iterator[resources.Resource]:
    yield resources.ServiceStatus(entry, Fields(said).code("currentStatus"))


def _batch_list(entry: resources.Entry, said: Any) -> Iterator[resources.Resource]:
    yield resources.BatchList(entry, _texts(Fields(said), "resources"))


def _authorization(entry: resources.Entry, said: Any) -> Iterator[resources.Resource]:
    told = Fields(said)
    told.drop("accessToken")  # 2012
    yield resources.Authorization(
        entry,
        status=told.text("status", 16),
        scope=told.text("scope", 4096),
        resource_uri=told.text("resourceURI", 2048) or told.text("resource", 2048),
        authorization_uri=told.text("authorizationURI", 2048),
        customer_resource_uri=told.text("customerResourceURI", 2048),
        authorized_period=_period(told, "authorizedPeriod"),
        published_period=_period(told, "publishedPeriod"),
        expires_at=told.integer("expires_at"),
        extra=told.rest,
    )


def _period(told: Fields, name: str) -> tuple[int | None, int | None]:
    return told.integer(f"{name}/start"), told.integer(f"{name}/duration")


_SECRETS = ("client_secret", "registration_access_token", "dataCustodianThirdPartySecret")


def _application_information(entry: resources.Entry, said: Any) -> Iterator[resources.Resource]:
    told = Fields(said)
    for name in _SECRETS:
        told.all(name)
    yield resources.ApplicationInformation(
        entry,
        data_custodian_id=told.text("dataCustodianId"),
        client_id=told.text("client_id"),
        status=told.text("dataCustodianApplicationStatus", 16),
        redirect_uris=_texts(told, "redirect_uri"),
        notify_uri=told.text("thirdPartyNotifyUri", 2048),
        scope_selection_uri=told.text("thirdPartyScopeSelectionScreenURI", 2048),
        portal_uri=told.text("thirdPartyUserPortalScreenURI", 2048),
        scopes=_texts(told, "scope"),
        extra=told.rest,
    )


def _texts(told: Fields, name: str) -> tuple[str, ...]:
    found = (Fields(each).peek(elements.TEXT) for each in told.all(name))
    return tuple(text for text in found if text)


_USAGE: dict[str, tuple[shapes.Shape, _Reader]] = {
    "UsagePoint": (shapes.USAGE_POINT, _usage_point),
    "MeterReading": (shapes.METER_READING, _meter_reading),
    "ReadingType": (shapes.READING_TYPE, _reading_type),
    "LocalTimeParameters": (shapes.LOCAL_TIME, _local_time),
    "UsageSummary": (shapes.USAGE_SUMMARY, _usage_summary),
    "ElectricPowerUsageSummary": (shapes.USAGE_SUMMARY, _usage_summary),
    "ElectricPowerQualitySummary": (shapes.QUALITY_SUMMARY, _quality_summary),
    "ProgramIdMappings": (shapes.PROGRAM_IDS, _program_ids),
    "ServiceStatus": (shapes.SERVICE_STATUS, _service_status),
    "BatchList": (shapes.BATCH_LIST, _batch_list),
    "Authorization": (shapes.AUTHORIZATION, _authorization),
    "ApplicationInformation": (shapes.APPLICATION_INFORMATION, _application_information),
}
_CUSTOMER: dict[str, tuple[shapes.Shape, _Reader]] = {
    "LocalTimeParameters": (shapes.LOCAL_TIME, _local_time),  # UtilityAPI's customer feed (Essex contract, 5)
    "BatchList": (shapes.BATCH_LIST, _batch_list),
    **customer_resources.READERS,
}
_NOUNS = {
    (namespace, noun.lower()): (noun, *how)
    for namespace, nouns in ((atom.ESPI, _USAGE), (atom.CUSTOMER, _CUSTOMER))
    for noun, how in nouns.items()
}
