"""Green Button XML: an Atom feed as a utility would send it (NAESB ESPI 4.0, espi.xsd), which our own import reads back.

Ids are UUIDs of version 5 and stay the same from export to export; links are those of the standard's resource tree under
`base`. Every block of readings is an entry with the time at which the utility said it, so that an old export never
overrides newer data. What the schema has no place for goes into extensions (`espi.own`).

A value past 48 bits is written although the schema ends there: leaving it out would lose energy.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, cast
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

from lxml import etree

from espi import links, models, own, readings, usage, words, zones
from espi.export import EVERY_DAY, PIECE, Days, Meter, local_time, schema
from espi.export.elements import ATOM, ATOM_MAP, OWN_MAP, add, atom, espi_root, plain
from espi.readings import Stored

_A = f"{{{ATOM}}}"
_MOST_READINGS = 5000  # in a block
_PROGRAM_KINDS = {"tou", "cpp", "consumptiontier"}
_CODES = {
    "accumulationBehaviour": "accumulation_behaviour",
    "commodity": "commodity",
    "consumptionTier": "consumption_tier",
    "currency": "currency",
    "dataQualifier": "data_qualifier",
    "defaultQuality": "default_quality",
    "flowDirection": "flow_direction",
    "intervalLength": "interval_length",
    "kind": "kind",
    "phase": "phase",
    "timeAttribute": "time_attribute",
    "tou": "tou",
    "uom": "uom",
    "cpp": "cpp",
    "measuringPeriod": "measuring_period",
}


def of(meters: Iterable[Meter], days: Days = EVERY_DAY, *, base: str, title: str, now: datetime) -> Iterator[bytes]:
    """The feed in pieces: of each meter its channels with their readings, and its bills. Raises readings.Rewritten.

    `base`: the address that every link begins with, without a slash at its end.
    """
    meters = list(meters)
    sink = _Sink()
    with etree.xmlfile(sink, encoding="utf-8") as out:
        out.write_declaration()
        with out.element(f"{_A}feed", nsmap=ATOM_MAP):
            for element in _head(meters, days, base, title, now):
                out.write(element)
            for entry in _entries(meters, days, base, now):
                out.write(entry)
                if sink.size > PIECE:
                    out.flush()
                    yield sink.take()
    yield sink.take()


class _Sink:
    """What was written and not yet given away."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def write(self, data: bytes) -> None:
        self.parts.append(data)
        self.size += len(data)

    def take(self) -> bytes:
        data, self.parts, self.size = b"".join(self.parts), [], 0
        return data


def _head(meters: list[Meter], days: Days, base: str, title: str, now: datetime) -> Iterator[etree._Element]:
    whole = f"{[str(meter.usage_point.public_id) for meter in meters]} {days.first} {days.end}"
    yield _text("id", f"urn:uuid:{uuid5(NAMESPACE_URL, f'{base}/Batch {whole}')}")
    yield _text("title", title)
    yield _text("updated", _instant(now))
    yield _link("self", f"{base}/Batch")


def _entries(meters: list[Meter], days: Days, base: str, now: datetime) -> Iterator[etree._Element]:
    for name in dict.fromkeys(meter.usage_point.time_zone for meter in meters):
        yield _local_time(name, base, now)
    for meter in meters:
        yield from _Tree(meter, base).entries(days)
    subscriptions = {meter.usage_point.subscription_id for meter in meters}
    if len(subscriptions) == 1:  # of several utilities nobody could tell whose code 6 is meant
        yield from _program_ids(meters[0].usage_point, base)


def _program_ids(point: models.UsagePoint, base: str) -> Iterator[etree._Element]:
    """What the utility calls the codes of `tou`, `cpp` and `consumptionTier`; an entry for each, with its time."""
    href = f"{base}/Subscription/{point.subscription.public_id}/ProgramIdMappings"
    for row in usage.program_id_mappings(point):
        if row.kind.lower() not in _PROGRAM_KINDS:
            continue
        uid = uuid5(point.subscription.public_id, f"ProgramIdMappings/{row.kind}/{row.code}")
        content = espi_root("ProgramIdMappings")
        mapping = add(content, "programIdMapping")
        add(mapping, "tOUorCPPorConsumptionTier", row.kind.lower())
        for name, value in (("code", row.code), ("name", row.name), ("note", row.note or None)):
            add(mapping, name, value)
        ends = ("ProgramIdMappings", f"{href}/{uid}", href)
        at = row.published_at or point.created_at
        yield _entry(uid, ends, [], title="Programme", content=content, at=at)


def _local_time(name: str, base: str, now: datetime) -> etree._Element:
    """A zone by the rules of this year, and by its name, which says more, as the title."""
    href = f"{base}/LocalTimeParameters"
    uid = uuid5(NAMESPACE_URL, f"{href}/{name}")
    content = espi_root("LocalTimeParameters")
    for field, value in local_time.parameters(name, now.year).items():
        add(content, field, value)
    ends = ("LocalTimeParameters", f"{href}/{uid}", href)
    return _entry(uid, ends, [], title=name, content=content, at=datetime(now.year, 1, 1, tzinfo=UTC))


class _Tree:
    """The resources of one usage point, with their addresses."""

    def __init__(self, meter: Meter, base: str) -> None:
        point = meter.usage_point
        self.meter, self.point, self.base = meter, point, base
        self.points = f"{base}/Subscription/{point.subscription.public_id}/UsagePoint"
        self.href = f"{self.points}/{point.public_id}"
        self.zone = ZoneInfo(point.time_zone)

    def entries(self, days: Days) -> Iterator[etree._Element]:
        yield self._usage_point()
        kinds, channels = usage.reading_types(self.point), usage.channels(self.point)
        ranks = _ranks(kinds, channels)
        for channel in self.meter.wanted(channels):
            span = days.of(channel)
            if span is not None:
                yield from self._channel(channel, kinds[channel.id], ranks[channel.id], span)
        for bill in usage.bills(self.point, days.first, days.end):
            yield self._bill(bill)
        for summary in usage.quality_summaries(self.point, days.first, days.end):
            yield self._quality(summary)

    def _usage_point(self) -> etree._Element:
        kind = self.point.service_kind
        said = {"status": self.point.status} | self.point.said
        if kind is not None:
            said |= {"ServiceCategory": {**_object(said.get("ServiceCategory")), "kind": kind}}
        content = schema.fill(espi_root("UsagePoint"), schema.USAGE_POINT, said)
        last = max(self.point.said_at.values(), default="")
        at = datetime.fromisoformat(last) if last else self.point.created_at
        zone_id = uuid5(NAMESPACE_URL, f"{self.base}/LocalTimeParameters/{self.point.time_zone}")
        related = [
            ("espi-feed/MeterReading", f"{self.href}/MeterReading"),
            ("espi-feed/UsageSummary", f"{self.href}/UsageSummary"),
            ("espi-entry/LocalTimeParameters", f"{self.base}/LocalTimeParameters/{zone_id}"),
        ]
        uid = uuid5(self.point.public_id, "UsagePoint")
        ends = ("UsagePoint", self.href, self.points)
        return _entry(uid, ends, related, title=self.point.title, content=content, at=at)

    def _channel(
        self, channel: usage.Channel, kind: models.ReadingType, rank: int, span: tuple[date, date]
    ) -> Iterator[etree._Element]:
        """Its ReadingType, its MeterReading, and a block for what was said together of a local day."""
        groups = _together(readings.of_channel(channel, self.zone, *span), self.zone)
        first = next(groups, None)
        if first is None:
            return
        href = f"{self.href}/MeterReading/{channel.public_id}"
        kind_id = uuid5(channel.public_id, "ReadingType")
        yield self._reading_type(channel, kind, kind_id)
        yield self._meter_reading(channel, rank, href, kind_id)
        yield self._block(first, channel, href)
        for group in groups:
            yield self._block(group, channel, href)

    def _reading_type(self, channel: usage.Channel, kind: models.ReadingType, uid: UUID) -> etree._Element:
        said: dict[str, Any] = {name: getattr(kind, field) for name, field in _CODES.items()}
        said |= {name: _ratio(getattr(kind, name)) for name in ("interharmonic", "argument")}
        said["powerOfTenMultiplier"] = channel.multiplier
        content = schema.fill(espi_root("ReadingType"), schema.READING_TYPE, _merged(kind.extra, said))
        href = f"{self.base}/ReadingType"
        ends = ("ReadingType", f"{href}/{uid}", href)
        return _entry(uid, ends, [], title=_described(channel), content=content, at=self.point.created_at)

    def _meter_reading(self, channel: usage.Channel, rank: int, href: str, kind_id: UUID) -> etree._Element:
        content = espi_root("MeterReading")
        if rank > 1:
            own_word = etree.SubElement(add(content, "extension"), own.SERIES, nsmap=OWN_MAP)
            own_word.text = str(rank)
        related = [
            ("espi-feed/IntervalBlock", f"{href}/IntervalBlock"),
            ("espi-entry/ReadingType", f"{self.base}/ReadingType/{kind_id}"),
        ]
        ends = ("MeterReading", href, f"{self.href}/MeterReading")
        title = _described(channel)
        return _entry(channel.public_id, ends, related, title=title, content=content, at=self.point.created_at)

    def _block(self, group: list[Stored], channel: usage.Channel, href: str) -> etree._Element:
        first, last = group[0], group[-1]
        said_at = first.published_at or self.point.created_at
        uid = uuid5(channel.public_id, f"IntervalBlock/{first.start}/{first.duration}/{_instant(said_at)}")
        content = espi_root("IntervalBlock")
        _interval(content, "interval", first.start, last.start + last.duration - first.start)
        for each in group:
            _reading(content, each)
        ends = ("IntervalBlock", f"{href}/IntervalBlock/{uid}", f"{href}/IntervalBlock")
        return _entry(uid, ends, [], title="", content=content, at=said_at)

    def _bill(self, bill: models.UsageSummary) -> etree._Element:
        uid = uuid5(self.point.public_id, _bill_name(bill))
        href = f"{self.href}/UsageSummary"
        content = schema.fill(espi_root("UsageSummary"), schema.USAGE_SUMMARY, _said(bill))
        at = bill.published_at or self.point.created_at
        ends = ("UsageSummary", f"{href}/{uid}", href)
        return _entry(uid, ends, [], title="Bill", content=content, at=at)

    def _quality(self, summary: models.ElectricPowerQualitySummary) -> etree._Element:
        uid = uuid5(self.point.public_id, f"ElectricPowerQualitySummary/{summary.start}")
        href = f"{self.href}/ElectricPowerQualitySummary"
        interval = {"duration": summary.duration, "start": summary.start}
        said = _merged(summary.extra, summary.values | {"summaryInterval": interval})
        content = schema.fill(espi_root("ElectricPowerQualitySummary"), schema.QUALITY_SUMMARY, said)
        ends = ("ElectricPowerQualitySummary", f"{href}/{uid}", href)
        at = summary.published_at or self.point.created_at
        return _entry(uid, ends, [], title="Power quality", content=content, at=at)


def _bill_name(bill: models.UsageSummary) -> str:
    """Its own among the bills of its usage point."""
    name = f"UsageSummary/{bill.start}"
    if bill.commodity is not None:
        return f"{name}/{bill.commodity}"
    return name if bill.service is None else f"{name}/service/{bill.service}"


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _ratio(text: str) -> dict[str, int] | None:
    """A RationalNumber of `numerator/denominator`."""
    numerator, _, denominator = text.partition("/")
    return {"numerator": int(numerator), "denominator": int(denominator)} if denominator else None


def _said(bill: models.UsageSummary) -> dict[str, Any]:
    """All of a bill under the standard's names; None: not said."""
    consumption = {
        "powerOfTenMultiplier": bill.consumption_multiplier,
        "uom": bill.consumption_uom,
        "value": bill.consumption,
    }
    return _merged(
        bill.extra,
        {
            "billingPeriod": {"duration": bill.duration, "start": bill.start},
            "billLastPeriod": bill.bill_last_period,
            "billToDate": bill.bill_to_date,
            "costAdditionalLastPeriod": bill.cost_additional_last_period,
            "costAdditionalDetailLastPeriod": bill.details or None,
            "currency": bill.currency,
            "overallConsumptionLastPeriod": None if bill.consumption is None else consumption,
            "qualityOfReading": bill.quality,
            "statusTimeStamp": _stamp(bill.status_timestamp),
            "commodity": bill.commodity,
            "tariffProfile": bill.tariff_profile or None,
        },
    )


def _stamp(at: datetime | None) -> int | str | None:
    """Whole seconds as the schema wants them; of a finer instant the text."""
    if at is None:
        return None
    return _instant(at) if at.microsecond else int(at.timestamp())


def _merged(rest: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """What was understood together with what was kept beside it, as it stood in the document.

    Of a text longer than its field the whole is in the rest; of a name that came several times the first is the field.
    """
    merged = dict(rest)
    for name, value in fields.items():
        others = rest.get(name)
        if value is None:
            continue
        if others is None:
            merged[name] = value
        elif isinstance(value, dict) and isinstance(others, dict):
            merged[name] = _merged(others, value)
        elif not (isinstance(value, str) and isinstance(others, str) and others.startswith(value)):
            merged[name] = [value, *(others if isinstance(others, list) else [others])]
    return merged


def _ranks(kinds: Mapping[int, models.ReadingType], channels: Iterable[usage.Channel]) -> dict[int, int]:
    """Which one of the usage point's channels of like ReadingTypes each is: 1, 2, 3 ... ."""
    alike: dict[str, list[usage.Channel]] = defaultdict(list)
    for channel in sorted(channels, key=lambda each: each.id):
        alike[links.identity(cast(Any, kinds[channel.id]))].append(channel)
    ordered = (sorted(members, key=_ordinal) for members in alike.values())
    return {channel.id: rank for members in ordered for rank, channel in enumerate(members, 1)}


def _ordinal(channel: usage.Channel) -> int:
    """From its name, as `espi.channels` gives it: `commodity=1;uom=72#2`."""
    found = re.search(r"#([0-9]{1,3})\Z", channel.channel)
    return int(found[1]) if found else 1


def _together(stored: Iterable[Stored], zone: ZoneInfo) -> Iterator[list[Stored]]:
    """Readings of one local day and one length that were said at one time and do not overlap."""
    groups: dict[tuple[datetime | None, int], list[Stored]] = {}
    midnight, day = 0, date.min
    for each in stored:
        if each.start >= midnight:
            yield from groups.values()
            groups = {}
            day = datetime.fromtimestamp(each.start, zone).date()
            midnight = zones.day_start(date.fromordinal(day.toordinal() + 1), zone)
        key = (each.published_at, each.duration)
        group = groups.setdefault(key, [])
        if group and (group[-1].start + each.duration > each.start or len(group) >= _MOST_READINGS):
            yield group
            group = groups[key] = []
        group.append(each)
    yield from groups.values()


def _reading(block: etree._Element, each: Stored) -> None:
    reading = add(block, "IntervalReading")
    if each.cost is not None:
        add(reading, "cost", each.cost)
    if each.quality is not None and each.quality >= 0:
        add(add(reading, "ReadingQuality"), "quality", each.quality)
    _interval(reading, "timePeriod", each.start, each.duration)
    add(reading, "value", each.value)
    for name, code in (("consumptionTier", each.tier), ("tou", each.tou), ("cpp", each.cpp)):
        if code is not None:
            add(reading, name, code)


def _interval(parent: etree._Element, name: str, start: int, duration: int) -> None:
    period = add(parent, name)
    add(period, "duration", duration)
    add(period, "start", start)


def _described(channel: usage.Channel) -> str:
    parts = (
        "register of" if channel.is_register else "",
        words.word(words.MEASUREMENTS, channel.kind),
        words.word(words.FLOW_DIRECTIONS, channel.flow_direction),
        f"in {words.unit(channel.uom)}" if channel.uom is not None else "",
    )
    text = " ".join(part for part in parts if part)
    return text[:1].upper() + text[1:]


def _entry(
    uid: UUID,
    ends: tuple[str, str, str],
    related: Iterable[tuple[str, str]],
    *,
    title: str,
    content: etree._Element,
    at: datetime,
) -> etree._Element:
    """`ends`: the resource's name, its own address, and that of its collection."""
    name, self_href, up_href = ends
    entry = atom("entry")
    entry.append(_text("id", f"urn:uuid:{uid}"))
    entry.append(_link("self", self_href, f"espi-entry/{name}"))
    entry.append(_link("up", up_href, f"espi-feed/{name}"))
    for kind, href in related:
        entry.append(_link("related", href, kind))
    entry.append(_text("title", title))
    etree.SubElement(entry, f"{_A}content", type="application/xml").append(content)
    entry.append(_text("published", _instant(at)))
    entry.append(_text("updated", _instant(at)))
    return entry


def _text(name: str, text: str) -> etree._Element:
    element = atom(name)
    element.text = plain(text)
    return element


def _link(rel: str, href: str, kind: str = "") -> etree._Element:
    more = {"type": kind} if kind else {}
    return atom("link", {"rel": rel, "href": href, **more})


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
