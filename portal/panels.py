"""What a usage page shows: for each quantity a meter measures, its places on the time axis and what was measured there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from espi import models
from espi.usage import Channel
from espi.zones import day_start
from portal import charts, writing
from portal.charts import Slot, Value
from portal.measured import COMPARED, Measured, month_of
from portal.pairs import Pair, pairs, shows_net, title_of
from portal.periods import Period, same_day

SHORTEST_GAP = 60  # seconds; PG&E's gas days begin at 00:00:01 (contract §9.3)
MOST_ROWS = 40  # a month, or a day with a few gaps
UNIT_ORDER = (72, 169, 119, 42)
DETAIL = {"year": "month", "month": "day", "week": "day"}


@dataclass(frozen=True)
class Row:
    """A place on the time axis as a row of the table; a number that is not there is an empty text."""

    label: str
    delivered: str
    received: str
    before: str
    cost: str
    notes: str
    link: str


@dataclass(frozen=True)
class Comparison:
    """This year beside the last, over the `count` places that both have whole."""

    unit: charts.Unit
    now: Decimal
    before: Decimal
    count: int

    @property
    def now_in_words(self) -> str:
        """This year."""
        return self.unit.about(self.now)

    @property
    def before_in_words(self) -> str:
        """The last."""
        return self.unit.about(self.before)

    @property
    def words(self) -> str:
        """`4% less than a year earlier`."""
        change = (self.now - self.before) / self.before
        if writing.rounded_to(change, 2) == 0:
            return _("About the same as a year earlier")
        said = _("{share} more than a year earlier") if change > 0 else _("{share} less than a year earlier")
        return said.format(share=writing.percent(change))


@dataclass(frozen=True)
class Panel:
    """One quantity of the meter in the period asked for. `currency` is a number of ISO 4217."""

    title: str
    unit: charts.Unit
    slots: list[Slot]
    chart: charts.Chart | None
    has_delivered: bool
    has_received: bool
    currency: int | None = None
    can_be_added: bool = True
    is_net: bool = False
    comparison: Comparison | None = None

    @property
    def delivered_name(self) -> str:
        """What the bars above the line are."""
        return _("Net: used less sent out") if self.is_net else _("Delivered to you")

    @cached_property
    def delivered_total(self) -> str | None:
        """The sum of the period, in words; None where values cannot be added or none are there."""
        return self._total([slot.delivered for slot in self.slots])

    @cached_property
    def received_total(self) -> str | None:
        """The same for what the customer sent out."""
        return self._total([slot.received for slot in self.slots])

    def _total(self, values: Iterable[Value | None]) -> str | None:
        known = [value.amount for value in values if value is not None]
        return self.unit.about(sum(known, Decimal(0))) if known and self.can_be_added else None

    @cached_property
    def cost_total(self) -> str | None:
        """What it cost, in words; None where no cost is known."""
        costs = [cost for slot in self.slots if (cost := cost_of(slot)) is not None]
        return writing.money(sum(costs, Decimal(0)), self.currency) if costs and self.can_be_added else None

    @property
    def costs_are_partial(self) -> bool:
        """Whether there is energy without a cost."""
        return any((slot.delivered or slot.received) and cost_of(slot) is None for slot in self.slots)

    @property
    def cost_heading(self) -> str:
        """`Cost (USD)`."""
        return _("Cost ({currency})").format(currency=writing.currency_code(self.currency))

    @cached_property
    def rows(self) -> list[Row]:
        """The same figures as in the picture."""
        values = [value for slot in self.slots for value in (slot.delivered, slot.received, slot.before) if value]
        places = writing.places_of(value.amount for value in values)
        return [row(slot, places) for slot in self.slots]

    @property
    def is_long(self) -> bool:
        """Whether the table would fill several windows: then it gets a frame of its own that scrolls."""
        return len(self.slots) > MOST_ROWS

    @cached_property
    def has_costs(self) -> bool:
        """Whether any slot has a cost beside its energy."""
        return any(cost_of(slot) is not None for slot in self.slots)

    @cached_property
    def has_before(self) -> bool:
        """Whether the picture shows the year before."""
        return any(slot.before or slot.before_received for slot in self.slots)

    @cached_property
    def has_notes(self) -> bool:
        """Whether anything is told beside the numbers."""
        return any(row.notes for row in self.rows)

    @cached_property
    def is_empty(self) -> bool:
        """Nothing was measured in the whole period."""
        return not any(slot.delivered or slot.received for slot in self.slots)


def cost_of(slot: Slot) -> Decimal | None:
    """In units of the currency; None where nobody said."""
    costs = [value.cost for value in (slot.delivered, slot.received) if value and value.cost is not None]
    return sum(costs, Decimal(0)) if costs else None


def row(slot: Slot, places: int) -> Row:
    """The texts of one row; numbers with so many decimals."""
    values = [value for value in (slot.delivered, slot.received) if value is not None]
    cost = cost_of(slot)

    def text(value: Value | None) -> str:
        return writing.number(value.amount, places) if value else ""

    return Row(
        label=slot.label,
        delivered=text(slot.delivered),
        received=text(slot.received),
        before=text(slot.before),
        cost="" if cost is None else writing.number(cost, 2),
        notes=slot.why_absent or ", ".join(dict.fromkeys(note for value in values for note in value.notes)),
        link=slot.link,
    )


def compared(slots: Iterable[Slot], unit: charts.Unit) -> Comparison | None:
    """What was delivered in the places that are whole in both years; None where nothing was the year before."""
    both = [
        (slot.delivered.amount, slot.before.amount)
        for slot in slots
        if slot.delivered and slot.before and not (slot.delivered.partial or slot.before.partial)
    ]
    now, before = (
        (sum(amounts, Decimal(0)) for amounts in zip(*both, strict=True)) if both else (Decimal(0), Decimal(0))
    )
    return Comparison(unit, now, before, len(both)) if before > 0 else None


def panels(
    usage_point: models.UsagePoint,
    period: Period,
    channels: Sequence[Channel],
    measured: Measured,
    *,
    show_cost: bool = False,
    seams: charts.Moments = (),
    default_currency: int | None = None,
) -> list[Panel]:
    """Every quantity of a usage point in a period, what bills are made of first. Times are the meter's own.

    `channels` are those of the usage point, as `usage.channels` gives them; `measured` what they hold in the period.
    """
    zone = ZoneInfo(usage_point.time_zone)
    shown = [channel for channel in channels if period.name == "day" or channel.is_addable]
    found = []
    for pair in pairs(shown):
        grid = day_grid(pair, measured, period, zone) if period.name == "day" else calendar_grid(period, zone)
        held = known_from_to(pair, measured, zone)
        slots = [filled(slot, pair, measured, held) for slot in grid]
        if period.name in COMPARED:
            slots = [with_year_before(slot, pair, measured, period, zone) for slot in slots]
        drawn = Drawn(period, zone, show_cost, seams, default_currency)
        found.append(panel(pair, slots, drawn))
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


# --- Places on the time axis ------------------------------------------------------------------------------------------


def span_of(period: Period, zone: ZoneInfo) -> tuple[int, int]:
    """Epoch seconds."""
    return day_start(period.first, zone), day_start(period.end, zone)


def day_grid(pair: Pair, measured: Measured, period: Period, zone: ZoneInfo) -> list[Slot]:
    """One place for each reading of a day, and one for each stretch without any."""
    places = sorted({place for channel in pair.channels for place in measured.get(channel, ())})
    if not places:
        return []
    reached, closes = span_of(period, zone)
    slots = []
    for start, end in places:
        if start - reached >= SHORTEST_GAP:
            slots.append(clock_slot(reached, start, zone))
        slots.append(clock_slot(start, end, zone))
        reached = max(reached, end)
    if closes - reached >= SHORTEST_GAP:
        slots.append(clock_slot(reached, closes, zone))
    return slots


def clock_slot(start: int, end: int, zone: ZoneInfo) -> Slot:
    """A stretch of a day, by the clock on the wall; where clocks change, the zone's letters tell the hours apart."""
    moments = [datetime.fromtimestamp(each, zone) for each in (start, end)]
    letters = [f" {moment:%Z}" if changes(moments[0]) else "" for moment in moments]
    first, last = (writing.clock(moment) + name for moment, name in zip(moments, letters, strict=True))
    return Slot(start, end, writing.from_to(first, last))


def changes(moment: datetime) -> bool:
    """Whether the clocks change on this local day."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return midnight.utcoffset() != (midnight + timedelta(days=1)).utcoffset()


def calendar_grid(period: Period, zone: ZoneInfo) -> list[Slot]:
    """One place for each day, or month, of a period."""
    one = timedelta(days=1)
    if period.name == "year":
        spans = [(first, end, writing.month(first), writing.short_month(first)) for first, end in period.months]
    elif period.name == "week":
        spans = [(day, day + one, writing.day_of_year(day), writing.weekday_and_number(day)) for day in period.days]
    else:
        spans = [(day, day + one, writing.day_of_year(day), str(day.day)) for day in period.days]
    return [
        Slot(day_start(first, zone), day_start(end, zone), label, short, link=link_to(DETAIL[period.name], first))
        for first, end, label, short in spans
    ]


def link_to(name: str, day: date) -> str:
    """The query of the page that shows the period."""
    return f"?period={name}&date={day.isoformat()}"


def known_from_to(pair: Pair, measured: Measured, zone: ZoneInfo) -> tuple[int, int]:
    """Epoch seconds between which a place without a value is a gap: from the first day to the end of the last reading.

    Of the last day only what this page has read is known to be there.
    """
    first = min((channel.first_date for channel in pair.channels if channel.first_date), default=date.max)
    last = max((channel.last_date for channel in pair.channels if channel.last_date), default=date.min)
    if first > last:
        return 0, 0
    opens, closes = day_start(last, zone), day_start(last + timedelta(days=1), zone)
    ends = [end for channel in pair.channels for start, end in measured.get(channel, ()) if opens <= start < closes]
    return day_start(first, zone), max(ends, default=closes)


def filled(slot: Slot, pair: Pair, measured: Measured, known: tuple[int, int]) -> Slot:
    """A place with what was measured there, or with why nothing was."""
    place = (slot.start, slot.end)
    delivered, received = (in_place(channels, measured, place) for channels in (pair.delivered, pair.received))
    absent = "" if delivered or received else why_absent(slot, known)
    return replace(slot, delivered=delivered, received=received, absent=absent, link="" if absent else slot.link)


def with_year_before(slot: Slot, pair: Pair, measured: Measured, period: Period, zone: ZoneInfo) -> Slot:
    """A place with what was measured there a year earlier: nothing on February 29th."""
    day = datetime.fromtimestamp(slot.start, zone).date()
    if (day.month, day.day) == (2, 29):
        return slot
    first = same_day(day, day.year - 1)
    one = (day_start(first, zone), day_start(first + timedelta(days=1), zone))
    place = month_of(first, zone) if period.name == "year" else one
    before, received = (in_place(channels, measured, place) for channels in (pair.delivered, pair.received))
    return replace(slot, before=before, before_received=received)


def in_place(channels: Iterable[Channel], measured: Measured, place: tuple[int, int]) -> Value | None:
    """What channels that follow each other measured in one place."""
    return together(measured.get(channel, {}).get(place) for channel in channels)


def why_absent(slot: Slot, known: tuple[int, int]) -> str:
    """One of charts.WHY_ABSENT."""
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
    return [(int(moment.timestamp()), writing.clock(moment)) for moment in moments]


# --- From places to a picture -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """How pictures of a page are drawn: over which time, of energy or of its cost, and what happened to the meter."""

    period: Period
    zone: ZoneInfo
    show_cost: bool
    seams: charts.Moments
    default_currency: int | None

    def chart(self, slots: Sequence[Slot], unit: charts.Unit) -> charts.Chart:
        """The picture of some slots."""
        moments = hours(self.period, self.zone) if self.period.name == "day" else []
        return charts.draw(slots, unit, span_of(self.period, self.zone), moments, self.seams)


def panel(pair: Pair, slots: list[Slot], drawn: Drawn) -> Panel:
    """A picture and its words. Of a month only the sums are compared: its days fall on other days of the week."""
    channel, is_net = pair.first, shows_net(pair, slots)
    unit = charts.unit_of(channel.uom)
    comparison = compared(slots, unit) if channel.is_addable and not is_net else None
    if drawn.period.name != "year":
        slots = [replace(slot, before=None, before_received=None) for slot in slots]
    currency = channel.currency if channel.currency is not None else drawn.default_currency
    made = Panel(
        title=title_of(pair, is_net=is_net),
        unit=unit,
        slots=slots,
        chart=None,
        has_delivered=bool(pair.delivered),
        has_received=bool(pair.received),
        currency=currency,
        can_be_added=channel.is_addable,
        is_net=is_net,
        comparison=comparison,
    )
    if made.is_empty or channel.is_register:
        return made
    if drawn.show_cost and made.has_costs:
        return replace(
            made, chart=drawn.chart(costs(slots), charts.Money(writing.currency_code(currency), 0, currency))
        )
    return replace(made, chart=drawn.chart(slots, made.unit))


def costs(slots: Iterable[Slot]) -> list[Slot]:
    """The same places with their cost as the amount; one without a cost stays empty."""
    found = []
    for slot in slots:
        cost = cost_of(slot)
        value = slot.delivered or slot.received
        amount = replace(value, amount=cost) if value and cost is not None else None
        before = slot.before and slot.before.cost
        earlier = Value(before) if isinstance(before, Decimal) else None
        found.append(replace(slot, delivered=amount, received=None, before=earlier, before_received=None))
    return found
