"""The usage points and channels of one subscription: found or made, whatever ids the utility uses today."""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from operator import add
from typing import Any
from zoneinfo import ZoneInfo

from espi import enums, links, merging, models, numbers, packing, resources, successions, zones
from espi.atom import DocumentRefused
from espi.merging import NotStorable

_ENOUGH = 8  # readings that are not both 0, to tell two meters apart
_DAYS_COMPARED = 3
_MOST_NEW_IDS = 10_000  # of MeterReadings with readings, in one document
_TYPE_FIELDS = [field.name for field in fields(resources.ReadingType) if field.name != "entry"]
_SELDOM_TOLD = {"interharmonic", "argument", "extra"}
_BY_ITS_ID = "meter_reading="  # begins the name of a channel whose ReadingType has not come
_TOO_FINE = "a value with more digits than can be stored exactly"
_SCALE = {"uom", "poweroftenmultiplier"}  # among the rest of a ReadingType when they could not be read


class TooFine(NotStorable):
    """Some of the readings have too many digits (`packing.is_too_fine`): without them the others can be stored."""


class OtherTimeZone(ValueError):
    """The days of a usage point are kept in another time zone than the one asked for."""


@dataclass
class Channel:
    """A MeterReading row, and what this document said of it so far."""

    row: models.MeterReading
    zone: ZoneInfo
    is_coarsest: bool = False  # tried: what is stored has digits that a larger multiplier would lose
    too_fine: tuple[int, str] | None = None  # tried: what is stored does not come to this multiplier; why

    @property
    def multiplier(self) -> int:
        """Of every value stored for the channel."""
        return self.row.power_of_ten_multiplier


class Channels:
    """Finds the rows that the resources of one document belong to."""

    def __init__(
        self,
        subscription: models.Subscription,
        directory: links.Directory,
        time_zone: str | None,
        write_waiting: Callable[[], None],
    ) -> None:
        """`time_zone` is the caller's word for all usage points. Raises zones.UnknownTimeZone.

        `write_waiting` writes the rows of this document that wait: before rows are compared, rescaled or merged.
        """
        if time_zone:
            zones.zone(time_zone)
        self.subscription, self.directory, self.time_zone = subscription, directory, time_zone
        self._write_waiting = write_waiting
        self._usage_points: dict[str, models.UsagePoint] = {}
        self._found: dict[str, models.UsagePoint | None] = {}  # by id, what was looked for
        self._made: set[int] = set()  # usage points of which nothing was here before
        self._zones: dict[str, str] = {}
        self._channels: dict[tuple[int, str], Channel] = {}
        self._aliases: dict[int, dict[str, models.MeterReading]] = {}
        self._new_aliases: dict[tuple[int, str], models.MeterReadingAlias] = {}
        self._namesakes: dict[tuple[int, str], models.MeterReading] = {}
        self._spans: dict[int, dict[str, tuple[int, int]]] = defaultdict(dict)

    def zone_name(self, usage_point_id: str, *, is_final: bool) -> str | None:
        """The zone a usage point's days are cut in; None while the document may still say it.

        In order: the zone its days are in already, the caller's, the document's, the subscription's. Raises OtherTimeZone.
        """
        if usage_point_id not in self._zones:
            found = self._kept_zone(usage_point_id) or self.time_zone
            if not found and not is_final and self.directory.awaits_local_time(usage_point_id):
                return None
            found = found or zones.name_of(self.directory.local_times_of(usage_point_id))
            if not found and not is_final:
                return None
            self._zones[usage_point_id] = found or self.subscription.time_zone
        return self._zones[usage_point_id]

    def usage_point(self, usage_point_id: str) -> models.UsagePoint:
        """The row of a usage point, made if need be."""
        if usage_point_id not in self._usage_points:
            row_id = self._row_id(usage_point_id)
            row = self._find(row_id) or models.UsagePoint(subscription=self.subscription, resource_id=row_id)
            is_new = row.pk is None
            self._bring_up_to_date(row, usage_point_id)
            self._usage_points[usage_point_id] = self._found[row_id] = row
            if is_new:
                self._made.add(row.pk)
            if len(self._usage_points) > links.MOST_USAGE_POINTS:
                raise DocumentRefused(f"The file names more than {links.MOST_USAGE_POINTS:,} usage points.")
        return self._usage_points[usage_point_id]

    @property
    def touched(self) -> frozenset[int]:
        """The usage points that the document told something of."""
        return frozenset(point.pk for point in self._usage_points.values())

    def settle(self, document: models.Document) -> None:
        """Make every usage point of the document, note all that it said of them, and keep the ids it used."""
        for usage_point_id in self.directory.usage_points:
            self._bring_up_to_date(self.usage_point(usage_point_id), usage_point_id)
        models.MeterReadingAlias.objects.bulk_create(
            self._new_aliases.values(),
            update_conflicts=True,
            unique_fields=["usage_point", "resource_id"],
            update_fields=["meter_reading"],
        )
        if self.directory.dialect.is_per_meter:
            self._settle_meters(document)

    def _settle_meters(self, document: models.Document) -> None:
        told = {pk: {each: span for each, span in spans.items() if each} for pk, spans in self._spans.items()}
        for channel in self._channels.values():
            if spans := told.get(channel.row.pk):
                successions.settle(channel.row, successions.widen(channel.row, spans), set(spans), document)
        touched = {channel.row.usage_point_id for channel in self._channels.values()}
        several = models.UsagePoint.objects.filter(pk__in=touched, meter_readings__channel__contains="#").distinct()
        for point in several:
            successions.settle_change_over(point, told, document)

    def clocks(self) -> Iterator[tuple[resources.LocalTimeParameters, str]]:
        """What the document says of the clock of each usage point, and the zone in which its days are cut."""
        for usage_point_id, name in self._zones.items():
            for said in self.directory.local_times_of(usage_point_id):
                yield said, name

    def points_in(self, units: Collection[int]) -> list[models.UsagePoint]:
        """The document's usage points that are measured in one of these units, now or before."""
        points = {point.pk: point for point in self._usage_points.values()}
        rows = models.MeterReading.objects.filter(usage_point__in=points, reading_type__uom__in=units)
        return [points[pk] for pk in rows.values_list("usage_point", flat=True).distinct()]

    def contradictions(self) -> set[tuple[str, str]]:
        """Usage points that are said to be another service than their readings' units tell: (what, why in words).

        Units are believed for what numbers mean, the ServiceCategory for what the service is called.
        """
        points = {point.pk: point.service_kind for point in self._usage_points.values()}
        found = set()
        for (pk, _), channel in self._channels.items():
            kind, said = channel.row.reading_type, points[pk]
            told = enums.service_of(kind.uom, kind.commodity)
            if said is not None and told is not None and said != told:
                found.add(("ServiceCategory", f"it is {_service(said)}, and has readings of {_service(told)}"))
        return found

    def channel(self, source: links.Source, columns: resources.Columns) -> Channel:
        """The channel of a block with these readings, durations known. Raises NotStorable for an unknown unit."""
        if source.reading_type is not None:
            require_known(source.reading_type)
        span = _span(columns)
        point = self.usage_point(source.usage_point_id)
        meter_reading_id = short(source.meter_reading_id)
        base = _channel_name(source, meter_reading_id)
        known = self._alias(point, meter_reading_id)
        if known is None and source.reading_type is None:
            known = self._namesake(point, meter_reading_id)
        if known and (source.reading_type is None or known.row.channel.partition("#")[0] == base):
            found = known
        else:
            found = self._unoccupied(point, base, source, columns, known)
            self._remember(point, meter_reading_id, found, known)
            if known and source.reading_type and _is_untold(known.row) and known.row.pk != found.row.pk:
                self._reveal(point, known, source.reading_type, found)
        self._widen(found, meter_reading_id, span)
        return found

    def _reveal(self, point: models.UsagePoint, known: Channel, kind: resources.ReadingType, found: Channel) -> None:
        """What was kept until its ReadingType came is of a channel that has a history already."""
        self._write_waiting()
        _explain(known.row, kind)
        names = {name: found.row for name, row in self._ids(point).items() if row == known.row}
        merging.merge(found.row, known.row)
        self._ids(point).update(names)
        self._channels.pop((point.pk, known.row.channel), None)
        self._namesakes.clear()

    def fit(self, channel: Channel, values: Sequence[int | Decimal], multiplier: int) -> Sequence[int]:
        """The values as integers at the channel's multiplier, which is made finer, or coarser, if it has to be.

        Raises TooFine where some of the values ask for more than that, and NotStorable. What is too large all the same
        is among the values.
        """
        found = packing.scaled(values, multiplier - channel.multiplier)
        if found is None:
            if any(map(packing.is_too_fine, values)):
                raise TooFine(_TOO_FINE)
            self._refine(channel, min(channel.multiplier, packing.fitting_multiplier(values, multiplier)))
        elif packing.fit(found) or channel.is_coarsest:
            return found
        else:
            self._coarsen(channel, found)
        found = packing.scaled(values, multiplier - channel.multiplier)
        if found is None:
            raise NotStorable(_TOO_FINE)
        return found

    def _refine(self, channel: Channel, multiplier: int) -> None:
        """Tried once: every attempt writes the whole channel, and a document can ask for thousands in vain."""
        if channel.too_fine and multiplier <= channel.too_fine[0]:
            raise NotStorable(channel.too_fine[1])
        self._write_waiting()
        try:
            merging.refine(channel.row, multiplier)
        except NotStorable as error:
            channel.too_fine = (multiplier, str(error))
            raise

    def _coarsen(self, channel: Channel, values: Sequence[int]) -> None:
        """A first ReadingType of 10^-12 leaves no room for usual values: their last digits are zeros then.

        Nothing is done for values that would be too large all the same: the next one could undo it, again and again.
        """
        multiplier = packing.coarser_multiplier(values, channel.multiplier)
        largest = packing.LARGEST * 10 ** (multiplier - channel.multiplier)
        if any(packing.LARGEST < abs(value) <= largest for value in values):
            self._write_waiting()
            merging.coarsen(channel.row, multiplier)
            channel.is_coarsest = channel.multiplier < multiplier

    def _kept_zone(self, usage_point_id: str) -> str | None:
        row = self._find(self._row_id(usage_point_id))
        if row is None or not models.MeterReading.objects.filter(usage_point=row).exists():
            return None
        if self.time_zone and self.time_zone != row.time_zone:
            raise OtherTimeZone(f"The days of this usage point are kept in the time zone {row.time_zone}.")
        return row.time_zone

    def _find(self, row_id: str) -> models.UsagePoint | None:
        """The usage point of that id, or the one that had the id before it was found to be another's."""
        if row_id not in self._found:
            self._found[row_id] = self._fetched(row_id)
        return self._found[row_id]

    def _fetched(self, row_id: str) -> models.UsagePoint | None:
        known = {"subscription": self.subscription, "resource_id": row_id}
        row = models.UsagePoint.objects.filter(**known).first()
        if row is None and (
            alias := models.UsagePointAlias.objects.select_related("usage_point").filter(**known).first()
        ):
            row = alias.usage_point
        return next((each for each in self._usage_points.values() if row and each.pk == row.pk), row)

    def _bring_up_to_date(self, row: models.UsagePoint, usage_point_id: str) -> None:
        said = self.directory.usage_points.get(usage_point_id)
        told: dict[str, Any] = {"time_zone": self.zone_name(usage_point_id, is_final=True)}
        if said:
            told["service_kind"] = said.service_kind if row.service_kind is None else row.service_kind
            told["title"] = row.title or said.entry.title[:500]
        changed = [name for name, value in told.items() if getattr(row, name) != value]
        for name in changed:
            setattr(row, name, told[name])
        if changed or row.pk is None:
            row.save()

    def _row_id(self, usage_point_id: str) -> str:
        """Its id, marked with the service kind where another service came under the same id.

        Download My Data files of many utilities name every usage point "01".
        """
        plain = short(usage_point_id)
        said = self.directory.usage_points.get(usage_point_id)
        kind = said.service_kind if said else None
        row = self._find(plain)
        taken = row.service_kind if row else None
        if kind is None or taken is None or taken == kind:
            return plain
        return short(f"{usage_point_id};kind={kind}")

    def _ids(self, point: models.UsagePoint) -> dict[str, models.MeterReading]:
        """Every id that a channel of the usage point was given so far."""
        if point.pk in self._made:
            self._aliases.setdefault(point.pk, {})
        if point.pk not in self._aliases:
            rows = models.MeterReadingAlias.objects.filter(usage_point=point).select_related("meter_reading")
            self._aliases[point.pk] = {each.resource_id: each.meter_reading for each in rows}
        return self._aliases[point.pk]

    def _alias(self, point: models.UsagePoint, meter_reading_id: str) -> Channel | None:
        row = self._ids(point).get(meter_reading_id)
        return self._known(point, row) if row else None

    def _namesake(self, point: models.UsagePoint, meter_reading_id: str) -> Channel | None:
        """The one channel whose ids differ from this one in nothing but the instants they hold.

        UtilityAPI's id of a MeterReading is its meter, end and start of its window, unit and direction: every window
        is another MeterReading, and bulk files bring blocks without any ReadingType (Essex contract, 4.3 and 5.2).
        """
        pattern = _without_instants(meter_reading_id)
        if pattern == meter_reading_id:
            return None
        if (point.pk, pattern) not in self._namesakes:
            found = {row.pk: row for name, row in self._ids(point).items() if _without_instants(name) == pattern}
            if len(found) != 1:
                return None
            self._namesakes[point.pk, pattern] = next(iter(found.values()))
        return self._known(point, self._namesakes[point.pk, pattern])

    def _known(self, point: models.UsagePoint, row: models.MeterReading) -> Channel:
        return self._channels.setdefault((point.pk, row.channel), Channel(row, zones.zone(point.time_zone)))

    def _remember(
        self, point: models.UsagePoint, meter_reading_id: str, channel: Channel, known: Channel | None
    ) -> None:
        """Note the id. One that stands for a channel already keeps it: Con Edison V1 has KVARH and KWH under one."""
        is_told = known is not None and not _is_untold(known.row)
        if meter_reading_id and not is_told and self._ids(point).get(meter_reading_id) != channel.row:
            self._ids(point)[meter_reading_id] = channel.row
            alias = models.MeterReadingAlias(usage_point=point, resource_id=meter_reading_id, meter_reading=channel.row)
            self._new_aliases[point.pk, meter_reading_id] = alias
            if len(self._new_aliases) > _MOST_NEW_IDS:
                raise DocumentRefused(f"The file holds readings of more than {_MOST_NEW_IDS:,} meter readings.")

    def _unoccupied(
        self,
        point: models.UsagePoint,
        base: str,
        source: links.Source,
        columns: resources.Columns,
        known: Channel | None,
    ) -> Channel:
        """The first of base, base#2, base#3 ... to which no other MeterReading gave the same hours.

        PG&E lists a MeterReading per meter of a service, each with the same ReadingType (its contract, 9.2); it has given
        all of them new ids twice: then the readings tell which is which.
        """
        span = _span(columns)
        for ordinal in range(source.series, 1000):
            name = base if ordinal == 1 else f"{base}#{ordinal}"
            channel = self._named(point, name, source, known if ordinal == 1 else None)
            others = self._spans[channel.row.pk]
            own = short(source.meter_reading_id)
            is_overlapped = any(_overlap(span, other) for key, other in others.items() if key != own)
            if is_overlapped and self._are_two(channel, source, columns):
                continue
            if not (
                known is None and self.directory.dialect.is_per_meter and _is_another_meters(channel, source, columns)
            ):
                return channel
        raise NotStorable("more meters of one kind than can be told apart")

    def _are_two(self, channel: Channel, source: links.Source, columns: resources.Columns) -> bool:
        """Whether two ids of this document that tell of the same days are two meters.

        Where ids are meters, they are. Elsewhere one quantity may come under an id per window, and windows may overlap, or
        under one per length of its readings: then enough readings of the same times agree, or there are none.
        """
        if self.directory.dialect.is_per_meter:
            return True
        self._write_waiting()
        pairs = _common(channel, source, columns)
        telling = [pair for pair in pairs if any(pair)]
        same = sum(one == other for one, other in telling)
        return bool(pairs) and (same < _ENOUGH or same * 2 <= len(telling))

    def _named(self, point: models.UsagePoint, name: str, source: links.Source, known: Channel | None) -> Channel:
        if (point.pk, name) in self._channels:
            return self._channels[point.pk, name]
        row = None
        if point.pk not in self._made:
            row = models.MeterReading.objects.filter(usage_point=point, channel=name).first()
        if row is None:
            row = _new_row(point, name, source.reading_type, known)
        return self._known(point, row)

    def _widen(self, channel: Channel, meter_reading_id: str, span: tuple[int, int]) -> None:
        spans = self._spans[channel.row.pk]
        before = spans.get(meter_reading_id, span)
        spans[meter_reading_id] = (min(before[0], span[0]), max(before[1], span[1]))


def _is_another_meters(channel: Channel, source: links.Source, columns: resources.Columns) -> bool:
    """Whether most readings differ from those that the channel holds of the same times: a correction changes few."""
    pairs = [pair for pair in _common(channel, source, columns) if any(pair)]
    same = sum(one == other for one, other in pairs)
    return len(pairs) >= _ENOUGH and same * 2 < len(pairs)


def _common(channel: Channel, source: links.Source, columns: resources.Columns) -> list[tuple[Decimal, Decimal]]:
    """Quantities of the same times: what the channel holds, and what is said now."""
    multiplier = (source.reading_type.power_of_ten_multiplier if source.reading_type else None) or 0
    stored = _stored(channel, columns)
    return [
        (stored[start], packing.quantity(value, multiplier))
        for start, value in zip(columns.starts, columns.values, strict=True)
        if start in stored
    ]


def _stored(channel: Channel, columns: resources.Columns) -> dict[int, Decimal]:
    """{start: quantity} of what the channel holds of the days on which these readings begin, a few of them."""
    first = datetime.fromtimestamp(min(columns.starts), channel.zone).date()
    blocks = models.IntervalBlock.objects.filter(
        meter_reading=channel.row,
        interval_length=columns.durations[0] or 0,
        local_date__gte=first,
        local_date__lt=first + timedelta(days=_DAYS_COMPARED),
    )
    return {
        block.start + index * block.interval_length: packing.quantity(value, channel.multiplier)
        for block in blocks
        for index, value in enumerate(block.values)
        if value is not None
    }


def _span(columns: resources.Columns) -> tuple[int, int]:
    """Epoch seconds of the first start and of the last end, a second after the last start at least."""
    starts, durations = columns.starts, columns.durations
    if durations.count(durations[0]) == len(durations):
        return min(starts), max(starts) + max(durations[0] or 0, 1)
    ends = map(add, columns.starts, columns.durations)
    return min(columns.starts), max(max(ends), max(columns.starts) + 1)


def _without_instants(meter_reading_id: str) -> str:
    """An id without the pair of epoch seconds in it: `1669851-1725408000-1725321600_kwh_19`."""
    return re.sub(r"(?<![0-9])1[0-9]{9}-1[0-9]{9}(?![0-9])", "*", meter_reading_id)


def _new_row(
    point: models.UsagePoint, name: str, kind: resources.ReadingType | None, known: Channel | None
) -> models.MeterReading:
    """A new channel; or the one that was kept without a ReadingType under the same id, now that it is told."""
    kind = kind or resources.ReadingType()
    row = known.row if known and _is_untold(known.row) else models.MeterReading(usage_point=point)
    row.channel = name
    _explain(row, kind)
    return row


def _is_untold(row: models.MeterReading) -> bool:
    """Whether nobody has said what it measures: no ReadingType came, or an empty one, for the one id it has."""
    is_empty = row.channel.partition("#")[0] == links.UNTOLD
    return row.channel.startswith(_BY_ITS_ID) or (is_empty and row.aliases.count() == 1)


def _explain(row: models.MeterReading, kind: resources.ReadingType) -> None:
    """Say of a channel what it measures. What is here already was written at the ReadingType's multiplier too."""
    known = row.reading_type.power_of_ten_multiplier if row.pk else 0
    row.reading_type = reading_type(kind)
    row.power_of_ten_multiplier += (kind.power_of_ten_multiplier or 0) - known
    row.is_register = kind.accumulation_behaviour in enums.REGISTERS
    row.save()


def _service(service_kind: int) -> str:
    return enums.ServiceKind(service_kind).name.lower() if service_kind in set(enums.ServiceKind) else str(service_kind)


def _channel_name(source: links.Source, meter_reading_id: str) -> str:
    if source.reading_type is None:
        return f"{_BY_ITS_ID}{meter_reading_id}"[:250]
    return links.identity(source.reading_type)


def require_known(kind: resources.ReadingType) -> None:
    """Raises NotStorable for a unit or multiplier that the standard does not know, or that cannot be read."""
    if kind.uom is not None and kind.uom not in enums.KNOWN_UNITS:
        raise NotStorable(f"an unknown unit (uom {kind.uom})")
    if (kind.power_of_ten_multiplier or 0) not in numbers.MULTIPLIERS:
        raise NotStorable(f"an impossible multiplier ({kind.power_of_ten_multiplier})")
    if not {name.lower() for name in kind.extra}.isdisjoint(_SCALE):
        raise NotStorable("a unit or multiplier that is no code")


def reading_type(kind: resources.ReadingType) -> models.ReadingType:
    """The one row of that content. Raises NotStorable for one whose numbers cannot be understood."""
    require_known(kind)
    told = {name: getattr(kind, name) for name in _TYPE_FIELDS}
    told["power_of_ten_multiplier"] = kind.power_of_ten_multiplier or 0
    signed = [(name, _signed(value)) for name, value in sorted(told.items()) if value or name not in _SELDOM_TOLD]
    signature = hashlib.sha256(repr(signed).encode()).hexdigest()
    return models.ReadingType.objects.get_or_create(signature=signature, defaults=told)[0]


def _signed(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value


def short(text: str) -> str:
    """An id as it is, or its digest where it is longer than a column."""
    return text if len(text) <= 255 else hashlib.sha256(text.encode()).hexdigest()


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]
