"""What a usage page shows: for each quantity a meter measures, its places on the time axis and what was measured there.

A quantity is a unit in one direction. Several channels of it (a meter that was swapped) make one picture as long as
they follow each other in time; channels that run side by side are shown side by side, because their sum may count the
same energy twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from espi import enums, marks, models, usage, words
from espi.usage import Channel
from portal import charts
from portal.charts import Slot, Value
from portal.periods import Period, instant

SHORTEST_GAP = 60  # seconds; PG&E's gas days begin at 00:00:01 (contract §9.3)
CLOCKS = 7200  # seconds; a period of whole times 86400 s ends an hour off midnight when clocks change within it
MOST_ROWS = 40  # a month, or a day with a few gaps
COST_UNIT = -5  # costs are hundred-thousandths
UNIT_ORDER = (72, 169, 119, 42)
QUANTITIES = {
    23: "Temperature",
    29: "Voltage",
    38: "Power",
    61: "Apparent power",
    71: "Apparent energy",
    73: "Reactive energy",
}
COMMODITIES: dict[int, str] = {enums.CommodityKind.NATURAL_GAS: "Gas", enums.CommodityKind.POTABLE_WATER: "Water"}
DETAIL = {"year": "month", "month": "day", "week": "day"}

Measured = dict[Channel, dict[tuple[int, int], Value]]


@dataclass(frozen=True)
class Row:
    """A place on the time axis as a row of the table; a number that is not there is an empty text."""

    label: str
    delivered: str
    received: str
    cost: str
    notes: str
    link: str


@dataclass(frozen=True)
class Panel:
    """One quantity of the meter in the period asked for."""

    title: str
    unit: charts.Unit
    slots: list[Slot]
    chart: charts.Chart | None
    has_delivered: bool
    has_received: bool
    currency: str = ""
    can_be_added: bool = True
    is_net: bool = False

    @property
    def delivered_name(self) -> str:
        """What the bars above the line are."""
        return "Net: used less sent out" if self.is_net else "Delivered to you"

    @property
    def delivered_total(self) -> str | None:
        """The sum of the period, in words; None where values cannot be added or none are there."""
        return self._total([slot.delivered for slot in self.slots])

    @property
    def received_total(self) -> str | None:
        """The same for what the customer sent out."""
        return self._total([slot.received for slot in self.slots])

    def _total(self, values: Iterable[Value | None]) -> str | None:
        known = [value.amount for value in values if value is not None]
        return f"{charts.text_of(sum(known, Decimal(0)))} {self.unit.symbol}" if known and self.can_be_added else None

    @property
    def rows(self) -> list[Row]:
        """The same figures as in the picture."""
        values = [value.amount for slot in self.slots for value in (slot.delivered, slot.received) if value is not None]
        places = charts.places_of(values)
        return [row(slot, places) for slot in self.slots]

    @property
    def is_long(self) -> bool:
        """Whether the table would fill several windows: then it gets a frame of its own that scrolls."""
        return len(self.slots) > MOST_ROWS

    @property
    def has_costs(self) -> bool:
        """Whether any slot has a cost beside its energy."""
        return any(value and value.cost is not None for slot in self.slots for value in (slot.delivered, slot.received))

    @property
    def is_empty(self) -> bool:
        """Nothing was measured in the whole period."""
        return not any(slot.delivered or slot.received for slot in self.slots)


def row(slot: Slot, places: int) -> Row:
    """The texts of one row; numbers with so many decimals."""
    values = [value for value in (slot.delivered, slot.received) if value is not None]
    costs = [value.cost for value in values if value.cost is not None]
    return Row(
        label=slot.label,
        delivered=charts.text_of(slot.delivered.amount, places) if slot.delivered else "",
        received=charts.text_of(slot.received.amount, places) if slot.received else "",
        cost=f"{sum(costs, Decimal(0)):,.2f}" if costs else "",
        notes=slot.absent or ", ".join(dict.fromkeys(note for value in values for note in value.notes)),
        link=slot.link,
    )


def panels(usage_point: models.UsagePoint, period: Period, channels: Sequence[Channel]) -> list[Panel]:
    """Every quantity of a usage point in a period, what bills are made of first. Times are the meter's own.

    `channels` are those of the usage point, as `usage.channels` gives them.
    """
    zone = ZoneInfo(usage_point.time_zone)
    span = (instant(period.first, zone), instant(period.end, zone))
    measured = MEASURED[period.name](usage_point, period, zone, channels)
    shown = [channel for channel in channels if period.name == "day" or channel.is_addable]
    found = []
    for pair in pairs(shown):
        grid = day_grid(pair, measured, span, zone) if period.name == "day" else calendar_grid(period, zone)
        held = known_from_to(pair, measured, zone)
        slots = [filled(slot, pair, measured, held) for slot in grid]
        found.append(panel(pair, slots, span, hours(period, zone) if period.name == "day" else []))
    return sorted(found, key=lambda each: (each.is_empty, order(each)))


def comes_by_the_month(channels: Iterable[Channel]) -> bool:
    """Whether all readings that can be added are longer than a day, so that only the year has figures."""
    held = [channel for channel in channels if channel.first_date and channel.is_addable]
    return bool(held) and all(channel.is_long for channel in held)


def latest_day(channels: Iterable[Channel]) -> date | None:
    """The local day on which the last reading begins; None without readings."""
    return max((channel.last_date for channel in channels if channel.last_date), default=None)


def order(each: Panel) -> int:
    symbols = [charts.unit_of(uom).symbol for uom in UNIT_ORDER]
    return symbols.index(each.unit.symbol) if each.unit.symbol in symbols else len(symbols)


# --- Which channels belong in one picture -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """Channels of one unit: those that measure what was delivered, and those that measure what was received."""

    delivered: tuple[Channel, ...]
    received: tuple[Channel, ...]
    number: int = 0

    @property
    def channels(self) -> tuple[Channel, ...]:
        """All of them."""
        return self.delivered + self.received

    @property
    def first(self) -> Channel:
        """Any of them: they agree in unit."""
        return self.channels[0]


def pairs(channels: Sequence[Channel]) -> list[Pair]:
    """Channels grouped by what they measure; both directions of a quantity in one picture where each is one series.

    A series for each time of use is not added to the others: it may be a part of one of them.
    """
    kinds: dict[tuple[int | None, bool, int], list[Channel]] = {}
    for channel in channels:
        kinds.setdefault((channel.uom, channel.is_register, channel.tou or 0), []).append(channel)
    found: list[Pair] = []
    for members in kinds.values():
        delivered = successions(each for each in members if not each.is_reverse)
        received = successions(each for each in members if each.is_reverse)
        if len(delivered) <= 1 and len(received) <= 1:
            found.append(Pair(delivered[0] if delivered else (), received[0] if received else ()))
            continue
        alone = [Pair(chain, ()) for chain in delivered] + [Pair((), chain) for chain in received]
        found += [Pair(pair.delivered, pair.received, number) for number, pair in enumerate(alone, 1)]
    return found


def successions(channels: Iterable[Channel]) -> list[tuple[Channel, ...]]:
    """Channels in groups whose members follow each other in time; they may share the day of the change."""
    groups: list[tuple[Channel, ...]] = []
    for channel in sorted(channels, key=lambda each: (each.first_date or date.max, each.id)):
        for number, group in enumerate(groups):
            if follows(group[-1], channel):
                groups[number] = (*group, channel)
                break
        else:
            groups.append((channel,))
    return groups


def follows(earlier: Channel, later: Channel) -> bool:
    if earlier.last_date is None or later.first_date is None:
        return False
    alike = (earlier.flow_direction, earlier.kind, earlier.currency) == (
        later.flow_direction,
        later.kind,
        later.currency,
    )
    return alike and earlier.last_date <= later.first_date


# --- What was measured, by place on the time axis ---------------------------------------------------------------------


def measured_in_day(
    usage_point: models.UsagePoint, period: Period, zone: ZoneInfo, channels: Sequence[Channel]
) -> Measured:
    """The readings of a day; of a gap in the grid there is no value."""
    revised = marks.revised_starts(usage_point, period.first, period.end)
    found: Measured = {}
    for channel, readings in usage.day_readings(usage_point, period.first, known=channels).items():
        values = found.setdefault(channel, {})
        for reading in readings:
            start = int(reading.start.timestamp())
            if reading.value is not None:
                values[start, start + reading.duration] = value_of(
                    channel,
                    reading.value,
                    reading.cost,
                    estimated=reading.quality in marks.ESTIMATED,
                    provisional=reading.quality == enums.PROVISIONAL,
                    revised=start in revised[channel.id],
                )
    return found


def measured_by_days(
    usage_point: models.UsagePoint, period: Period, zone: ZoneInfo, channels: Sequence[Channel]
) -> Measured:
    """The sums of each local day."""
    marked = day_marks(usage_point, period, zone)
    found: Measured = {}
    for channel, days in usage.daily_totals(usage_point, period.first, period.end, known=channels).items():
        found[channel] = {
            (instant(day.date, zone), instant(day.date + timedelta(days=1), zone)): value_of(
                channel,
                day.value,
                day.cost,
                **{word: day.date in held.get(channel.id, ()) for word, held in marked.items()},
                partial=not day.is_complete,
                is_sum=day.count > 1,
            )
            for day in days
        }
    return found


def measured_by_months(
    usage_point: models.UsagePoint, period: Period, zone: ZoneInfo, channels: Sequence[Channel]
) -> Measured:
    """The sums of each local month."""
    marked = day_marks(usage_point, period, zone)
    ends = {first: (instant(first, zone), instant(end, zone)) for first, end in period.months}
    found: Measured = {}
    for channel, months in usage.monthly_totals(usage_point, period.first, period.end, known=channels).items():
        held = {word: {day.replace(day=1) for day in days.get(channel.id, ())} for word, days in marked.items()}
        found[channel] = {
            ends[month.month]: value_of(
                channel,
                month.value,
                month.cost,
                **{word: month.month in with_it for word, with_it in held.items()},
                partial=not (month.is_complete or month.from_long_readings),
                is_sum=True,
            )
            for month in months
            if month.month in ends
        }
    return found


MEASURED = {
    "day": measured_in_day,
    "week": measured_by_days,
    "month": measured_by_days,
    "year": measured_by_months,
}


def day_marks(usage_point: models.UsagePoint, period: Period, zone: ZoneInfo) -> Mapping[str, Mapping[int, set[date]]]:
    """The local days with estimated, provisional and revised readings: by word of Value, then by channel."""
    starts = marks.revised_starts(usage_point, period.first, period.end)
    revised = {pk: {datetime.fromtimestamp(each, zone).date() for each in found} for pk, found in starts.items()}
    return {**marks.marked_days(usage_point, period.first, period.end), "revised": revised}


def value_of(channel: Channel, raw: int, cost: int | None, **marks: bool) -> Value:
    """A stored integer in the unit people know."""
    amount = charts.unit_of(channel.uom).shown(raw, channel.multiplier)
    money = None if cost is None else Decimal(cost).scaleb(COST_UNIT)
    return Value(amount=amount, cost=money, **marks)


# --- Places on the time axis ------------------------------------------------------------------------------------------


def day_grid(pair: Pair, measured: Measured, span: tuple[int, int], zone: ZoneInfo) -> list[Slot]:
    """One place for each reading of a day, and one for each stretch without any."""
    places = sorted({place for channel in pair.channels for place in measured.get(channel, ())})
    if not places:
        return []
    slots, reached = [], span[0]
    for start, end in places:
        if start - reached >= SHORTEST_GAP:
            slots.append(clock_slot(reached, start, zone))
        slots.append(clock_slot(start, end, zone))
        reached = max(reached, end)
    if span[1] - reached >= SHORTEST_GAP:
        slots.append(clock_slot(reached, span[1], zone))
    return slots


def clock_slot(start: int, end: int, zone: ZoneInfo) -> Slot:
    """A stretch of a day, by the clock on the wall; where clocks change, the zone's letters tell the hours apart."""
    begins, ends = datetime.fromtimestamp(start, zone), datetime.fromtimestamp(end, zone)
    pattern = "{0:%H:%M %Z} to {1:%H:%M %Z}" if changes(begins) else "{0:%H:%M} to {1:%H:%M}"
    return Slot(start, end, pattern.format(begins, ends))


def changes(moment: datetime) -> bool:
    """Whether the clocks change on this local day."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return midnight.utcoffset() != (midnight + timedelta(days=1)).utcoffset()


def calendar_grid(period: Period, zone: ZoneInfo) -> list[Slot]:
    """One place for each day, or month, of a period."""
    if period.name == "year":
        spans = [(first, end, f"{first:%B %Y}", f"{first:%b}") for first, end in period.months]
    else:
        one = timedelta(days=1)
        short = "{0:%a} {0.day}" if period.name == "week" else "{0.day}"
        spans = [(day, day + one, f"{day:%a} {day.day} {day:%B}", short.format(day)) for day in period.days]
    return [
        Slot(
            instant(first, zone),
            instant(end, zone),
            label,
            text,
            link=f"?period={DETAIL[period.name]}&date={first.isoformat()}",
        )
        for first, end, label, text in spans
    ]


def known_from_to(pair: Pair, measured: Measured, zone: ZoneInfo) -> tuple[int, int]:
    """Epoch seconds between which a place without a value is a gap: from the first day to the end of the last reading.

    Of the last day only what this page has read is known to be there.
    """
    first = min((channel.first_date for channel in pair.channels if channel.first_date), default=date.max)
    last = max((channel.last_date for channel in pair.channels if channel.last_date), default=date.min)
    if first > last:
        return 0, 0
    opens, closes = instant(last, zone), instant(last + timedelta(days=1), zone)
    ends = [end for channel in pair.channels for start, end in measured.get(channel, ()) if opens <= start < closes]
    return instant(first, zone), max(ends, default=closes)


def filled(slot: Slot, pair: Pair, measured: Measured, known: tuple[int, int]) -> Slot:
    """A place with what was measured there, or with why nothing was."""
    place = (slot.start, slot.end)
    delivered = together(measured.get(channel, {}).get(place) for channel in pair.delivered)
    received = together(measured.get(channel, {}).get(place) for channel in pair.received)
    absent = "" if delivered or received else why_absent(slot, known)
    return replace(slot, delivered=delivered, received=received, absent=absent, link="" if absent else slot.link)


def why_absent(slot: Slot, known: tuple[int, int]) -> str:
    """In words."""
    if slot.start >= known[1]:
        return charts.AFTER
    return charts.BEFORE if slot.end <= known[0] else charts.GAP


def together(values: Iterable[Value | None]) -> Value | None:
    """Channels that follow each other may share one day: there they are added."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return known[0] if known else None
    costs = [value.cost for value in known if value.cost is not None]
    return Value(
        amount=sum((value.amount for value in known), Decimal(0)),
        estimated=any(value.estimated for value in known),
        provisional=any(value.provisional for value in known),
        revised=any(value.revised for value in known),
        partial=any(value.partial for value in known),
        is_sum=True,
        cost=sum(costs, Decimal(0)) if costs else None,
    )


def hours(period: Period, zone: ZoneInfo) -> list[tuple[int, str]]:
    """Every third hour of a day by the clock on the wall, with its instant."""
    moments = [datetime.combine(period.first, time(hour), zone) for hour in range(0, 24, 3)]
    return [(int(moment.timestamp()), f"{moment:%H:%M}") for moment in moments]


def panel(pair: Pair, slots: list[Slot], span: tuple[int, int], moments: list[tuple[int, str]]) -> Panel:
    """A picture and its words."""
    channel, is_net = pair.first, shows_net(pair, slots)
    unit = charts.unit_of(channel.uom)
    is_empty = not any(slot.delivered or slot.received for slot in slots)
    return Panel(
        title=title_of(pair, is_net=is_net),
        unit=unit,
        slots=slots,
        chart=None if is_empty or channel.is_register else charts.draw(slots, unit.symbol, span, moments),
        has_delivered=bool(pair.delivered),
        has_received=bool(pair.received),
        currency=currency_code(channel.currency),
        can_be_added=channel.is_addable,
        is_net=is_net,
    )


def shows_net(pair: Pair, slots: Iterable[Slot]) -> bool:
    """Whether numbers are what was used less what was sent out: so they say, or so the energy below zero tells.

    Con Edison V1 sends solar customers' net without saying so (its contract, 5.5); it never has a reverse series.
    """
    if any(channel.flow_direction == enums.FlowDirectionKind.NET for channel in pair.delivered):
        return True
    if pair.first.uom != enums.UnitSymbolKind.WH or not pair.first.is_addable or pair.received:
        return False
    if any(channel.goes_below_zero for channel in pair.delivered):  # a winter's day is net too, if a summer's was
        return True
    return any(slot.delivered is not None and slot.delivered.amount < 0 for slot in slots)


def title_of(pair: Pair, *, is_net: bool = False) -> str:
    """What the picture shows, in words."""
    channel = pair.first
    name = "Meter reading" if channel.is_register else QUANTITIES.get(channel.uom or 0, "Energy")
    if name == "Energy":
        name = (
            "Energy received from you"
            if not pair.delivered
            else f"{COMMODITIES.get(channel.commodity or 0, name)} used"
        )
        name = "Energy used and sent out" if pair.delivered and pair.received else name
        name = "Net energy" if is_net else name
    name = f"{name}, time of use {channel.tou}" if channel.tou else name
    return f"{name}, series {pair.number}" if pair.number else name


def currency_code(number: int | None) -> str:
    """`USD` for 840; words for a code we do not know, and for none."""
    if number is None:
        return "currency not stated"
    return words.CURRENCIES.get(number, f"currency number {number}")


# --- Bills ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bill:
    """One row of the bills table; an empty text means that the utility did not say."""

    first: date
    last: date | None
    consumption: str
    cost: str


def bills(
    usage_point: models.UsagePoint, *, default_currency: int | None, days_late: int = 0, most: int = 60
) -> list[Bill]:
    """The bills of a usage point, newest first, with the days that are printed on them.

    `days_late`: by how many days what the utility sends is earlier than what it prints (PG&E: one).
    """
    zone = ZoneInfo(usage_point.time_zone)
    rows = usage_point.usage_summaries.order_by("-start")[:most]
    return [bill(row, zone, default_currency, timedelta(days=days_late)) for row in rows]


def bill(
    row: models.UsageSummary, zone: ZoneInfo, default_currency: int | None, later: timedelta = timedelta()
) -> Bill:
    unit = charts.unit_of(row.consumption_uom)
    consumption, cost = "", ""
    if row.consumption is not None:
        consumption = f"{charts.text_of(unit.shown(row.consumption, row.consumption_multiplier))} {unit.symbol}"
    if row.bill_last_period is not None:
        cost = money(row.bill_last_period, row.currency if row.currency is not None else default_currency)
    last = None if not row.duration else local_day(max(row.start, row.start + row.duration - CLOCKS), zone) + later
    return Bill(local_day(row.start, zone) + later, last, consumption, cost)


def money(amount: int, currency: int | None) -> str:
    """`131.27 USD` for 13127000 hundred-thousandths."""
    return f"{Decimal(amount).scaleb(COST_UNIT):,.2f} {currency_code(currency)}"


def local_day(epoch: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(epoch, UTC).astimezone(zone).date()
