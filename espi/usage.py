"""What is stored for a UsagePoint, read for people: no SQL and no arrays outside this module.

    channels(usage_point)                        -> [Channel]
    coverage(usage_point)                        -> (first local day, last local day) or None
    days_held(usage_points)                      -> {usage point's pk: (first local day, last local day)}, for many at once
    daily_totals(usage_point, start, end)        -> {Channel: [DayTotal]}
    monthly_totals(usage_point, start, end)      -> {Channel: [MonthTotal]}
    hourly_totals(usage_point, start, end)       -> {Channel: HourTotals}  by the hours of the clock on the wall
    day_readings(usage_point, date)              -> {Channel: [Reading]}
    long_readings(usage_point, start, end)       -> {Channel: [Reading]}   readings longer than a day (monthly data)
    bills(usage_point, start, end)               -> UsageSummary rows, a few at a time; quality_summaries the same
    reading_types(usage_point)                   -> {Channel.id: ReadingType row}
    amount(channel, value)                       -> Decimal in the channel's unit: value x 10 ^ multiplier
    channels_of(usage_points)                    -> {usage point's pk: [Channel]}, for many at once
    daily_totals_of, monthly_totals_of           -> {Channel: [...]}, for many usage points at once

A page that asks several of these of one usage point reads its channels once and hands them on (`known=`).

`start` and `end` are local dates of the usage point; `end` is exclusive. Values are integers at
`channel.multiplier` of the unit `channel.uom` (UnitSymbolKind; 72 is Wh, 169 therm); costs are hundred-thousandths of
`channel.currency`. Dicts are in display order: what is delivered to the customer first, exports after it.

Totals hold only channels that can be added (`channel.is_addable`): no registers, demands or temperatures. `day_readings`
holds all of them. Where one channel came in two interval lengths for the same hours, the finest is counted once.
A day of DayTotal is absent when nothing is known of it: absent is not zero.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import reduce
from operator import itemgetter, or_
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from django.db.models import BigIntegerField, Case, Count, F, Max, Min, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Least, TruncMonth

from espi import binary, enums, models, numbers
from espi.spans import Covered, Grid, Span, Sums, finest, spans_of, sums_of, values_of
from espi.zones import day_length, day_start

# A day is at most 25 hours long (26 leaves room for zones that change by two); longer readings are not a day's.
LONGEST_DAY = 26 * 3600
_HOUR = 3600
_A_DAY = 24 * _HOUR
_BILLS_AT_ONCE = 100
_Dated = TypeVar("_Dated", models.UsageSummary, models.ElectricPowerQualitySummary)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_MONTHLY = ("meter_reading", "month", "interval_length", "value", "cost", "days", "readings")


@dataclass(frozen=True)
class Channel:
    """One series of a usage point: what its numbers are, and from which local day to which they are here.

    `public_id` stays the same for as long as the channel is here, and cannot be guessed.
    `first_date` and `last_date` are the days on which the first and the last reading begin, `end_date` is the last day
    that a reading covers: later than `last_date` where readings are longer than a day (`is_long`: all of them are).
    """

    id: int
    public_id: uuid.UUID
    channel: str
    commodity: int | None
    kind: int | None
    uom: int | None
    multiplier: int
    flow_direction: int | None
    currency: int | None
    tou: int | None
    cpp: int | None
    consumption_tier: int | None
    is_register: bool
    first_date: date | None
    last_date: date | None
    end_date: date | None
    interval_lengths: tuple[int, ...]
    is_long: bool
    goes_below_zero: bool

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def is_addable(self) -> bool:
        """Whether values may be added over time: energy and volume, but no register, power or temperature."""
        return not self.is_register and (self.uom is None or self.uom in enums.ADDABLE_UNITS)

    @property
    def is_reverse(self) -> bool:
        """Energy that the customer delivered to the utility."""
        return self.flow_direction == enums.FlowDirectionKind.REVERSE


class Reading(NamedTuple):
    """One reading; `value` is None for a stretch of the day's grid that we do not have. `start` is aware UTC."""

    start: datetime
    duration: int
    value: int | None
    cost: int | None
    quality: int | None
    tou: int | None
    tier: int | None = None
    cpp: int | None = None


class DayTotal(NamedTuple):
    """One local day. `count` readings are known; `is_complete` when they cover the whole day, 23 to 25 hours.

    A reading of a day is all of it, also where it says 86400 seconds of a day of 25 hours.
    """

    date: date
    value: int
    cost: int | None
    count: int  # type: ignore[assignment]  # tuples have a method of that name
    is_complete: bool


class MonthTotal(NamedTuple):
    """One local calendar month, `month` is its first day; `days` days of it have data, `is_complete` if all have all.

    `from_long_readings`: made of readings longer than a day, put whole into the month that holds their middle.
    """

    month: date
    value: int
    cost: int | None
    days: int
    is_complete: bool
    from_long_readings: bool


class HourTotals(NamedTuple):
    """Each local day that has readings: 24 sums by the hour of the clock on the wall, None where nothing is known.

    An hour that comes twice when clocks change is one sum. `longer` is the sum of the readings that last longer than an
    hour and so belong to none.
    """

    days: dict[date, list[int | None]]
    longer: int


def amount(channel: Channel, value: int) -> Decimal:
    """The exact quantity in the channel's unit (not in kilo-units)."""
    return Decimal(value).scaleb(channel.multiplier)


def channels(usage_point: models.UsagePoint) -> list[Channel]:
    """Every channel of the usage point, with its first and last local day."""
    return channels_of([usage_point])[usage_point.pk]


def channels_of(usage_points: Iterable[models.UsagePoint]) -> dict[int, list[Channel]]:
    """The channels of each usage point, by its primary key; in two queries, however many there are."""
    points = {point.pk: point for point in usage_points}
    rows = list(models.MeterReading.objects.filter(usage_point__in=points).select_related("reading_type"))
    held = _held([row.pk for row in rows])
    found: dict[int, list[Channel]] = {pk: [] for pk in points}
    for row in rows:
        found[row.usage_point_id].append(_channel(points[row.usage_point_id], row, held[row.pk]))
    return {pk: sorted(members, key=_display_order) for pk, members in found.items()}


def _display_order(channel: Channel) -> tuple[bool, bool, int, str]:
    return channel.is_register, channel.is_reverse, channel.uom or 0, channel.channel


def reading_types(usage_point: models.UsagePoint) -> dict[int, models.ReadingType]:
    """What the utility said of the numbers of each channel, by `Channel.id`."""
    rows = models.MeterReading.objects.filter(usage_point=usage_point).select_related("reading_type")
    return {row.pk: row.reading_type for row in rows}


def bills(
    usage_point: models.UsagePoint,
    start_date: date | None = None,
    end_date: date | None = None,
    *,
    after: tuple[int, int] = (0, 0),
) -> Iterator[models.UsageSummary]:
    """The bills whose period begins on these local days (None: no limit), oldest first, a few at a time.

    With `after` those that follow the bill of that start (epoch seconds) and pk.
    """
    yield from _beginning(usage_point.usage_summaries.all(), usage_point, start_date, end_date, after)


def quality_summaries(
    usage_point: models.UsagePoint, start_date: date | None = None, end_date: date | None = None
) -> Iterator[models.ElectricPowerQualitySummary]:
    """Summaries of how good the power was whose interval begins on these local days, oldest first."""
    yield from _beginning(usage_point.quality_summaries.all(), usage_point, start_date, end_date)


def program_id_mappings(usage_point: models.UsagePoint) -> list[models.ProgramIdMapping]:
    """What the usage point's utility calls the codes of its readings."""
    return list(models.ProgramIdMapping.objects.filter(subscription=usage_point.subscription_id).order_by("pk"))


def _beginning(
    rows: QuerySet[_Dated],
    usage_point: models.UsagePoint,
    start_date: date | None,
    end_date: date | None,
    after: tuple[int, int] = (0, 0),
) -> Iterator[_Dated]:
    zone = ZoneInfo(usage_point.time_zone)
    if start_date:
        rows = rows.filter(start__gte=day_start(start_date, zone))
    if end_date:
        rows = rows.filter(start__lt=day_start(end_date, zone))
    while piece := list(_following(rows, *after).order_by("start", "pk")[:_BILLS_AT_ONCE]):
        yield from piece
        after = (piece[-1].start, piece[-1].pk)


def _following(rows: QuerySet[_Dated], start: int, pk: int) -> QuerySet[_Dated]:
    return rows.filter(Q(start__gt=start) | Q(start=start, pk__gt=pk))


def coverage(usage_point: models.UsagePoint, *, known: Sequence[Channel] | None = None) -> tuple[date, date] | None:
    """First and last local day of any channel; None when no reading is here."""
    found = channels(usage_point) if known is None else known
    first = [channel.first_date for channel in found if channel.first_date]
    last = [channel.end_date for channel in found if channel.end_date]
    return (min(first), max(last)) if first and last else None


def are_as_known(known: Iterable[Channel]) -> bool:
    """Whether values of these channels still stand at the multipliers told with them: a document may change these."""
    told = {channel.id: channel.multiplier for channel in known}
    rows = models.MeterReading.objects.filter(pk__in=told).values_list("pk", "power_of_ten_multiplier")
    return dict(rows) == told


def days_held(usage_points: Sequence[models.UsagePoint]) -> dict[int, tuple[date, date]]:
    """The same for many usage points, in one query; those without any reading are left out."""
    zones = {point.pk: ZoneInfo(point.time_zone) for point in usage_points}
    by_point = "meter_reading__usage_point"
    held: dict[int, list[_Held]] = defaultdict(list)
    for pk, row in _all_held({f"{by_point}__in": list(zones)}, by_point):
        held[pk].append(row)
    return {pk: (min(row.first for row in rows), _end_date(rows, zones[pk])) for pk, rows in held.items()}


def daily_totals(
    usage_point: models.UsagePoint, start_date: date, end_date: date, *, known: Sequence[Channel] | None = None
) -> dict[Channel, list[DayTotal]]:
    """Sums per local day from `start_date` up to and without `end_date`, for the channels that can be added."""
    return daily_totals_of({usage_point: channels(usage_point) if known is None else known}, (start_date, end_date))


def daily_totals_of(
    known: Mapping[models.UsagePoint, Sequence[Channel]], *spans: tuple[date, date]
) -> dict[Channel, list[DayTotal]]:
    """The same for the channels of several usage points, each by its own calendar; of several stretches of days."""
    found, zones = _addable(known)
    in_range = _in_range(found, *spans)
    return _daily(found, in_range, _singles(in_range), zones)


def monthly_totals(
    usage_point: models.UsagePoint, start_date: date, end_date: date, *, known: Sequence[Channel] | None = None
) -> dict[Channel, list[MonthTotal]]:
    """Sums per local calendar month of the days from `start_date` up to and without `end_date`."""
    return monthly_totals_of({usage_point: channels(usage_point) if known is None else known}, (start_date, end_date))


def monthly_totals_of(
    known: Mapping[models.UsagePoint, Sequence[Channel]], *spans: tuple[date, date]
) -> dict[Channel, list[MonthTotal]]:
    """The same for the channels of several usage points, each by its own calendar; of several stretches of days."""
    found, zones = _addable(known)
    in_range = _in_range(found, *spans)
    singles = _singles(in_range)
    long = _latest_long(found, singles)
    plain, several = _plain_months(in_range, zones)
    several |= {row.meter_reading_id for row in singles if row.duration <= LONGEST_DAY}
    mixed = {pk: channel for pk, channel in found.items() if pk in several}
    days = _daily(mixed, _in_range(mixed, *spans), singles, zones) if mixed else {}
    result: dict[Channel, list[MonthTotal]] = {}
    for channel in found.values():
        months = _months_of_days(days[channel]) if channel in days else plain[channel.id]
        covered = {month.month for month in months}
        by_month = _months_of_long(long.get(channel, []), zones[channel.id])
        result[channel] = sorted([*months, *(month for month in by_month if month.month not in covered)])
    return result


def hourly_totals(
    usage_point: models.UsagePoint, start_date: date, end_date: date, *, known: Sequence[Channel] | None = None
) -> dict[Channel, HourTotals]:
    """Sums per hour of each local day, for the channels that can be added; a reading counts where it begins."""
    found, zones = _addable({usage_point: channels(usage_point) if known is None else known})
    if not found:
        return {}
    in_range = _in_range(found, (start_date, end_date))
    blocks: dict[tuple[int, date], list[Grid]] = defaultdict(list)
    rows = models.IntervalBlock.objects.filter(in_range).order_by()
    columns = rows.values_list("meter_reading", "local_date", *Grid._fields)
    for pk, day, *grid in binary.fetched(*columns.query.sql_with_params()):
        blocks[pk, day].append(Grid._make(grid))
    singles: dict[tuple[int, date], list[Span]] = defaultdict(list)
    for row in _singles(in_range):
        if row.duration <= LONGEST_DAY:
            singles[row.meter_reading_id, row.local_date].append(Span(row.start, row.duration, row.value))
    days: dict[int, dict[date, list[int | None]]] = {pk: {} for pk in found}
    longer = dict.fromkeys(found, 0)
    for key in sorted(blocks.keys() | singles.keys()):
        pk, day = key
        hours, rest = _hours(day, blocks.get(key, []), singles.get(key, []), zones[pk])
        longer[pk] += rest
        if hours.count(None) < len(hours):
            days[pk][day] = hours
    return {channel: HourTotals(days[pk], longer[pk]) for pk, channel in found.items()}


def _hours(day: date, blocks: Sequence[Grid], singles: list[Span], zone: ZoneInfo) -> tuple[list[int | None], int]:
    """24 sums, and the sum of what is longer than an hour."""
    if len(blocks) == 1 and not singles and _is_plain(blocks[0], day, zone):
        return _hours_of_grid(blocks[0]), 0
    hours: list[int | None] = [None] * 24
    longer = 0
    for span in finest([*singles, *(span for block in blocks for span in values_of(block))]):
        if span.duration > _HOUR:
            longer += span.value
            continue
        hour = datetime.fromtimestamp(span.start, zone).hour
        hours[hour] = (hours[hour] or 0) + span.value
    return hours, longer


def _is_plain(block: Grid, day: date, zone: ZoneInfo) -> bool:
    """Whether equal pieces of the array are the hours of the clock: it covers its day, whose clocks do not change."""
    is_even = _HOUR % block.interval_length == 0 and block.start == day_start(day, zone)
    return is_even and len(block.values) * block.interval_length == _A_DAY


def _hours_of_grid(block: Grid) -> list[int | None]:
    pieces: Iterable[Any] = zip(*[iter(block.values)] * (_HOUR // block.interval_length), strict=True)
    if block.count == len(block.values):
        return list(map(sum, pieces))
    return [sum(known) if (known := [value for value in piece if value is not None]) else None for piece in pieces]


def day_readings(
    usage_point: models.UsagePoint, day: date, *, known: Sequence[Channel] | None = None
) -> dict[Channel, list[Reading]]:
    """Every reading that starts on a local day, registers and demands too, in order of time; gaps have no value."""
    found = {channel.id: channel for channel in (channels(usage_point) if known is None else known)}
    result: dict[Channel, list[Reading]] = defaultdict(list)
    for block in models.IntervalBlock.objects.filter(meter_reading__in=found, local_date=day):
        result[found[block.meter_reading_id]] += _grid(block)
    singles = models.IntervalReading.objects.filter(meter_reading__in=found, local_date=day, duration__lte=LONGEST_DAY)
    for row in singles:
        result[found[row.meter_reading_id]].append(_single(row))
    ordered = sorted(result, key=lambda channel: list(found).index(channel.id))
    return {channel: _without_filled_gaps(result[channel]) for channel in ordered}


def long_readings(
    usage_point: models.UsagePoint, start_date: date, end_date: date, *, known: Sequence[Channel] | None = None
) -> dict[Channel, list[Reading]]:
    """Readings longer than a day (monthly and billing-period data) that start in the given local days.

    Of readings that begin together, those published last: a period is told again when its end is corrected.
    """
    found, _ = _addable({usage_point: channels(usage_point) if known is None else known})
    return _latest_long(found, _singles(_in_range(found, (start_date, end_date))))


def _addable(
    known: Mapping[models.UsagePoint, Sequence[Channel]],
) -> tuple[dict[int, Channel], dict[int, ZoneInfo]]:
    """The channels that can be added, and the zone of each, by its id."""
    of_points = [(point, channel) for point, members in known.items() for channel in members if channel.is_addable]
    return (
        {channel.id: channel for _, channel in of_points},
        {channel.id: ZoneInfo(point.time_zone) for point, channel in of_points},
    )


class _Held(NamedTuple):
    """What there is of a channel on one grid (`length` seconds), or off every grid (`length` 0)."""

    length: int
    is_long: bool
    first: date
    last: date
    ends: int
    lowest: int


def _held(ids: list[int]) -> dict[int, list[_Held]]:
    held: dict[int, list[_Held]] = defaultdict(list)
    for pk, row in _all_held({"meter_reading__in": ids}, "meter_reading"):
        held[pk].append(row)
    return held


def _all_held(where: dict[str, object], by: str) -> Iterator[tuple[int, _Held]]:
    """`_Held` of all that `where` finds, each with its value of the column `by`; one query."""
    dates = {"first": Min("local_date"), "last": Max("local_date")}
    blocks = models.IntervalBlock.objects.filter(**where).order_by()
    blocks = blocks.annotate(length=F("interval_length"), is_long=Value(value=False))
    is_long = Case(When(duration__gt=LONGEST_DAY, then=Value(value=True)), default=Value(value=False))
    singles = models.IntervalReading.objects.filter(**where).order_by().annotate(length=Value(0), is_long=is_long)
    columns = (by, "length", "is_long", "first", "last", "ends", "lowest")
    on_grids = blocks.values(by, "length", "is_long").annotate(
        **dates, ends=Value(0, BigIntegerField()), lowest=Min("total")
    )
    others = singles.values(by, "length", "is_long").annotate(
        **dates, ends=Max(F("start") + Least(F("duration"), numbers.LATEST)), lowest=Min("value")
    )
    for pk, *held in on_grids.values_list(*columns).union(others.values_list(*columns), all=True):
        yield pk, _Held(*held)


def _end_date(rows: Sequence[_Held], zone: ZoneInfo) -> date:
    """The last local day that a reading covers."""
    ends = max((row.ends for row in rows if row.is_long), default=0)
    last = max(row.last for row in rows)
    return max(last, datetime.fromtimestamp(min(ends, numbers.LATEST) - 1, zone).date()) if ends > 0 else last


def channel_id(usage_point_id: uuid.UUID, pk: int) -> uuid.UUID:
    """What a channel of a usage point, both by their public ids, is called outside."""
    return uuid.uuid5(usage_point_id, f"MeterReading/{pk}")


def _channel(usage_point: models.UsagePoint, row: models.MeterReading, held: Sequence[_Held]) -> Channel:
    kind, zone = row.reading_type, ZoneInfo(usage_point.time_zone)
    return Channel(
        id=row.pk,
        public_id=channel_id(usage_point.public_id, row.pk),
        channel=row.channel,
        commodity=kind.commodity,
        kind=kind.kind,
        uom=kind.uom,
        multiplier=row.power_of_ten_multiplier,
        flow_direction=kind.flow_direction,
        currency=kind.currency,
        tou=kind.tou,
        cpp=kind.cpp,
        consumption_tier=kind.consumption_tier,
        is_register=row.is_register,
        first_date=min((each.first for each in held), default=None),
        last_date=max((each.last for each in held), default=None),
        end_date=_end_date(held, zone) if held else None,
        interval_lengths=tuple(sorted(each.length for each in held if each.length)),
        is_long=bool(held) and all(each.is_long for each in held),
        goes_below_zero=any(each.lowest < 0 for each in held),
    )


_Days = dict[tuple[int, date], Sums]


def _in_range(found: Mapping[int, Channel], *spans: tuple[date, date]) -> Q:
    days = (Q(local_date__gte=start_date, local_date__lt=end_date) for start_date, end_date in spans)
    return Q(meter_reading__in=found) & reduce(or_, days)


def _singles(in_range: Q) -> list[models.IntervalReading]:
    return list(models.IntervalReading.objects.filter(in_range).order_by("start", "duration"))


def _daily(
    found: Mapping[int, Channel],
    in_range: Q,
    singles: Iterable[models.IntervalReading],
    zones: Mapping[int, ZoneInfo],
) -> dict[Channel, list[DayTotal]]:
    totals, several = _plain_days(in_range)
    totals |= _mixed_days(totals, several, singles)
    days: dict[int, list[DayTotal]] = {pk: [] for pk in found}
    for (pk, day), (value, cost, count, covered) in sorted(totals.items(), key=itemgetter(0)):
        length = day_length(day, zones[pk])
        complete = covered >= (min(length, _A_DAY) if count == 1 else length)
        days[pk].append(DayTotal(day, value, cost, count, complete))
    return {channel: days[pk] for pk, channel in found.items()}


def _plain_months(in_range: Q, zones: Mapping[int, ZoneInfo]) -> tuple[dict[int, list[MonthTotal]], set[int]]:
    """Months by the totals kept in their days' rows, and the channels that may have several rows of one day.

    A row never covers more than its day, so a month is whole where its rows cover as much time as it has.
    """
    rows = models.IntervalBlock.objects.filter(in_range).order_by().annotate(month=TruncMonth("local_date"))
    sums = {"value": Sum("total"), "cost": Sum("total_cost"), "days": Count("*"), "readings": Sum("count")}
    grouped = rows.values("meter_reading", "month", "interval_length").annotate(**sums)
    months: dict[int, list[MonthTotal]] = defaultdict(list)
    for pk, month, length, value, cost, days, readings in grouped.values_list(*_MONTHLY):
        opens, closes = day_start(month, zones[pk]), day_start(_month_after(month), zones[pk])
        is_complete = readings * length >= closes - opens
        months[pk].append(MonthTotal(month, int(value), None if cost is None else int(cost), days, is_complete, False))
    several = {pk for pk, members in months.items() if len({each.month for each in members}) < len(members)}
    return months, several


def _month_after(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def _plain_days(in_range: Q) -> tuple[_Days, set[tuple[int, date]]]:
    """Days by the totals kept in their rows, and those that have several rows: these `_mixed_days` reads again."""
    rows = models.IntervalBlock.objects.filter(in_range).values_list(
        "meter_reading", "local_date", "total", "total_cost", "count", "interval_length"
    )
    totals: _Days = {}
    several = set()
    for pk, day, total, cost, count, length in rows:
        key = (pk, day)
        if key in totals:
            several.add(key)
        totals[key] = (total, cost, count, count * length)
    return totals, several


def _mixed_days(
    plain: _Days,
    several: set[tuple[int, date]],
    singles: Iterable[models.IntervalReading],
) -> _Days:
    spans: dict[tuple[int, date], list[Span]] = defaultdict(list)
    for row in singles:
        if row.duration <= LONGEST_DAY:
            span = Span(row.start, row.duration, row.value, row.cost, row.quality, row.tou, row.tier, row.cpp)
            spans[row.meter_reading_id, row.local_date].append(span)
    for block in _blocks_of(several | (set(spans) & set(plain))):
        spans[block.meter_reading_id, block.local_date] += spans_of(block)
    return {key: sums_of(finest(day)) for key, day in spans.items()}


def _blocks_of(keys: set[tuple[int, date]]) -> list[models.IntervalBlock]:
    if not keys:
        return []
    channels_, days = zip(*keys, strict=True)
    blocks = models.IntervalBlock.objects.filter(meter_reading__in=set(channels_), local_date__in=set(days))
    return [block for block in blocks if (block.meter_reading_id, block.local_date) in keys]


def _latest_long(
    found: Mapping[int, Channel], singles: Iterable[models.IntervalReading]
) -> dict[Channel, list[Reading]]:
    rows = [row for row in singles if row.duration > LONGEST_DAY]
    latest: dict[tuple[int, int], datetime] = {}
    for row in rows:
        key, said_at = (row.meter_reading_id, row.start), row.published_at or _LONG_AGO
        latest[key] = max(latest.get(key, said_at), said_at)
    result: dict[Channel, list[Reading]] = defaultdict(list)
    for row in rows:
        if (row.published_at or _LONG_AGO) == latest[row.meter_reading_id, row.start]:
            result[found[row.meter_reading_id]].append(_single(row))
    return dict(result)


def _grid(block: models.IntervalBlock) -> list[Reading]:
    known = {span.start: span for span in spans_of(block)}
    readings = []
    for index in range(len(block.values)):
        start = block.start + index * block.interval_length
        rest = known[start][2:] if start in known else (None,) * 6
        readings.append(Reading(numbers.from_epoch(start), block.interval_length, *rest))
    return readings


def _single(row: models.IntervalReading) -> Reading:
    rest = (row.value, row.cost, row.quality, row.tou, row.tier, row.cpp)
    return Reading(numbers.from_epoch(row.start), row.duration, *rest)


def _without_filled_gaps(readings: list[Reading]) -> list[Reading]:
    """Gaps of one grid that a reading of another interval length fills are no gaps."""
    known = [
        Span(int(each.start.timestamp()), each.duration, each.value) for each in readings if each.value is not None
    ]
    taken = Covered((span.start, span.start + span.duration) for span in known if span.duration)
    kept = [
        each
        for each in readings
        if each.value is not None or not taken.overlaps(Span(int(each.start.timestamp()), each.duration, 0))
    ]
    return sorted(kept, key=lambda each: (each.start, each.duration))


def _months_of_days(days: list[DayTotal]) -> list[MonthTotal]:
    grouped: dict[tuple[int, int], list[DayTotal]] = defaultdict(list)
    for day in days:
        grouped[day.date.year, day.date.month].append(day)
    return [_month(date(year, month, 1), members) for (year, month), members in grouped.items()]


def _month(month: date, days: list[DayTotal]) -> MonthTotal:
    costs = [day.cost for day in days if day.cost is not None]
    complete = len(days) == (_month_after(month) - month).days and all(day.is_complete for day in days)
    return MonthTotal(month, sum(day.value for day in days), sum(costs) if costs else None, len(days), complete, False)


def _months_of_long(readings: list[Reading], zone: ZoneInfo) -> list[MonthTotal]:
    grouped: dict[date, list[Reading]] = defaultdict(list)
    for reading in readings:
        middle = (reading.start + timedelta(seconds=reading.duration / 2)).astimezone(zone)
        grouped[middle.date().replace(day=1)].append(reading)
    return [_month_of_long(month, members) for month, members in grouped.items()]


def _month_of_long(month: date, readings: list[Reading]) -> MonthTotal:
    costs = [reading.cost for reading in readings if reading.cost is not None]
    days = sum(reading.duration for reading in readings) // 86400
    values = sum(reading.value for reading in readings if reading.value is not None)
    return MonthTotal(month, values, sum(costs) if costs else None, days, False, True)
