"""Readings to pictures: where each bar of a chart stands. No queries, no request, no float.

Lengths along the time axis are per cent of the width, so that one drawing fits every screen and its text keeps its
size; heights are pixels. Energy delivered to the customer stands above the zero line, energy received from him below
it: they are two quantities and are never added.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from functools import cached_property

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from portal import writing

PLOT_HEIGHT = 220
TOP = 12
LABEL_ROOM = 26
TICKS = 4
STEPS = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))
MAXIMUM_LABELS = 12
GAP, BEFORE, AFTER = "gap", "before", "after"
WHY_ABSENT: dict[str, Promise] = {
    GAP: gettext_lazy("No reading"),
    BEFORE: gettext_lazy("Before the first reading"),
    AFTER: gettext_lazy("Not here yet"),
}


@dataclass(frozen=True)
class Unit:
    """How a unit of measure is shown: shown value = raw value * 10 ** exponent, written with `symbol`."""

    symbol: str | Promise
    exponent: int = 0

    @property
    def in_brackets(self) -> str:
        """For headings."""
        symbol = str(self.symbol)
        return symbol if symbol.startswith("(") else f"({symbol})"

    def shown(self, raw: int | Decimal, multiplier: int = 0) -> Decimal:
        """A raw integer at a power-of-ten multiplier, in this unit."""
        return Decimal(raw).scaleb(multiplier + self.exponent)

    def words(self, amount: Decimal) -> str:
        """`412 kWh`."""
        return f"{writing.number(amount)} {self.symbol}"

    def about(self, amount: Decimal) -> str:
        """`1,235 kWh`: where the third decimal of a sum tells nothing."""
        if amount.adjusted() > writing.LARGEST_WRITTEN_OUT:
            return self.words(amount)
        return f"{writing.about(amount)} {self.symbol}"


@dataclass(frozen=True)
class Money(Unit):
    """An amount of money in place of energy; `currency` is a number of ISO 4217."""

    currency: int | None = None

    def words(self, amount: Decimal) -> str:
        """`$131.27`."""
        return writing.money(amount, self.currency)

    about = words


# UnitSymbolKind (ESPI 4.0). Electrical quantities are shown in thousands, as bills do.
UNITS = {
    23: Unit("°C"),
    29: Unit("V"),
    31: Unit("J"),
    38: Unit("kW", -3),
    42: Unit("m³"),
    61: Unit("kVA", -3),
    63: Unit("kvar", -3),
    71: Unit("kVAh", -3),
    72: Unit("kWh", -3),
    73: Unit("kvarh", -3),
    119: Unit("ft³"),
    120: Unit("ft³"),
    128: Unit(gettext_lazy("US gal")),
    130: Unit(gettext_lazy("imp gal")),
    132: Unit("Btu"),
    134: Unit("L"),
    156: Unit("L"),
    157: Unit("L"),
    166: Unit("m³"),
    167: Unit("m³"),
    169: Unit(gettext_lazy("therms")),
}


def unit_of(uom: int | None) -> Unit:
    """The unit of a UnitSymbolKind code; one we do not know is shown by its number, at the value as sent."""
    if uom is None:
        return Unit(_("(unit not stated)"))
    return UNITS.get(uom) or Unit(_("(unit number {number})").format(number=uom))


@dataclass(frozen=True)
class Value:
    """What was measured in one slot. `cost` is in units of the currency.

    Of a sum (`is_sum`) some readings may be estimated, provisional, revised or, if it is `partial`, missing.
    """

    amount: Decimal
    estimated: bool = False
    provisional: bool = False
    revised: bool = False
    partial: bool = False
    cost: Decimal | None = None
    is_sum: bool = False

    @property
    def notes(self) -> list[str]:
        """What has to be known beside the number."""
        found = []
        if self.estimated:
            found.append(_("partly estimated") if self.is_sum else _("estimated"))
        if self.provisional:
            found.append(_("partly provisional") if self.is_sum else _("provisional"))
        if self.revised:
            found.append(_("partly revised") if self.is_sum else _("revised"))
        return [*found, _("incomplete")] if self.partial else found


@dataclass(frozen=True)
class Slot:
    """One place on the time axis, epoch seconds [start, end). Where nothing was measured, `absent` is one of WHY_ABSENT.

    `link` is the query of the page that shows this slot in detail, if there is one. `before` and `before_received` are
    what was measured in the same place a year earlier.
    """

    start: int
    end: int
    label: str
    short_label: str = ""
    delivered: Value | None = None
    received: Value | None = None
    before: Value | None = None
    before_received: Value | None = None
    absent: str = ""
    link: str = ""

    @property
    def is_gap(self) -> bool:
        """Time between our first and our last reading of which we hold nothing."""
        return self.absent == GAP

    @property
    def why_absent(self) -> str:
        """In words; nothing where something was measured."""
        return str(WHY_ABSENT.get(self.absent, ""))


@dataclass(frozen=True)
class Bar:
    """A rectangle of the picture; `mark_y` is where its dot stands, if it has one."""

    x: str
    width: str
    y: int
    height: int
    kind: str
    mark_y: int | None = None
    middle: str = ""


@dataclass(frozen=True)
class Place:
    """What stands in one slot, and what it says when pointed at. `x` and `width` are those of the whole slot."""

    x: str
    width: str
    title: str
    link: str
    bars: list[Bar]


@dataclass(frozen=True)
class Tick:
    """A line across the picture and the number beside it."""

    y: int
    text: str
    is_zero: bool = False


@dataclass(frozen=True)
class Label:
    """A word under the time axis; `minor` ones give way on narrow screens."""

    x: str
    text: str
    minor: bool


@dataclass(frozen=True)
class Chart:
    """A picture, ready to be written out as SVG."""

    unit: str
    height: int = TOP + PLOT_HEIGHT + LABEL_ROOM
    label_y: int = TOP + PLOT_HEIGHT + 18
    plot_top: int = TOP
    plot_height: int = PLOT_HEIGHT
    ticks: list[Tick] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    seams: list[Label] = field(default_factory=list)

    @property
    def bars(self) -> list[Bar]:
        """Every rectangle, from left to right."""
        return [bar for place in self.places for bar in place.bars]

    @cached_property
    def kinds(self) -> frozenset[str]:
        """What the legend has to explain."""
        found = {bar.kind for bar in self.bars}
        return frozenset(found | ({"revised"} if any(bar.mark_y is not None for bar in self.bars) else set()))

    @cached_property
    def has_links(self) -> bool:
        """Whether a place of it leads to another page."""
        return any(place.link for place in self.places)


Moments = Sequence[tuple[int, str]]


def draw(
    slots: Sequence[Slot],
    unit: Unit,
    span: tuple[int, int],
    moments: Moments = (),
    seams: Moments = (),
    *,
    beside: str = "",
) -> Chart:
    """The picture of one quantity from `span[0]` up to `span[1]` (epoch seconds). Slots need not be regular.

    `moments` (epoch seconds and what the clock says) are written under the axis in place of the slots' short labels;
    at `seams` (and why) something about the meter changed. `beside` words what a slot's thin line stands for, with
    {amount} in it: the year before, if nothing is said.
    """
    low, high = extent(slots)
    step = tick_step(high - low)
    low, high = floor_to(low, step), -floor_to(-high, step)
    scale = Scale(*span, low, high)
    beneath = [(scale.x(moment), text) for moment, text in moments] or middles(slots, scale)
    signed = any(slot.delivered and slot.delivered.amount < 0 for slot in slots)
    return Chart(
        unit=str(unit.symbol),
        ticks=ticks(scale, step, signed=signed),
        places=[place for slot in slots if (place := place_of(slot, scale, unit, beside)).bars],
        labels=labels(beneath),
        seams=[Label(percent(scale.x(at)), text, False) for at, text in seams if span[0] < at < span[1]],
    )


@dataclass(frozen=True)
class Scale:
    """From time and energy to places in the picture."""

    start: int
    end: int
    low: Decimal
    high: Decimal
    plot_height: int = PLOT_HEIGHT

    def x(self, instant: int) -> Decimal:
        """Per cent of the width."""
        return Decimal(100 * (instant - self.start)) / Decimal(self.end - self.start)

    def y(self, amount: Decimal) -> int:
        """Pixels from the top."""
        share = (self.high - amount) / (self.high - self.low)
        return TOP + int((share * self.plot_height).to_integral_value(ROUND_HALF_UP))


def extent(slots: Iterable[Slot]) -> tuple[Decimal, Decimal]:
    """The lowest and highest amount to be drawn; always holds zero and is never empty."""
    low = high = Decimal(0)
    for slot in slots:
        for amount in heights(slot):
            low, high = min(low, amount), max(high, amount)
    return (low, high) if low < high else (low, low + 1)


def heights(slot: Slot) -> list[Decimal]:
    """Delivered energy counts upwards, received energy downwards."""
    up = [value.amount for value in (slot.delivered, slot.before) if value]
    return up + [-value.amount for value in (slot.received, slot.before_received) if value]


def tick_step(span: Decimal) -> Decimal:
    """A round distance between lines that cuts `span` into about four."""
    raw = span / TICKS
    power = Decimal(1).scaleb(raw.adjusted())
    return next(step * power for step in STEPS if step * power >= raw)


def floor_to(amount: Decimal, step: Decimal) -> Decimal:
    """The multiple of `step` at or below `amount`."""
    return -((-amount / step).to_integral_value(ROUND_CEILING)) * step


def ticks(scale: Scale, step: Decimal, *, signed: bool) -> list[Tick]:
    """One line per step. Below zero stands the energy received, a positive number, unless net values are `signed`."""
    count = int((scale.high - scale.low) / step)
    amounts = [scale.low + step * number for number in range(count + 1)]
    return [Tick(scale.y(amount), writing.number(amount if signed else abs(amount)), amount == 0) for amount in amounts]


def place_of(slot: Slot, scale: Scale, unit: Unit, beside: str = "") -> Place:
    """Everything that stands in a slot."""
    x, width = stretch(slot, scale, Decimal(0))
    return Place(
        x, width, in_words(slot, unit, beside), slot.link, [*slot_bars(slot, scale), *year_before(slot, scale)]
    )


def slot_bars(slot: Slot, scale: Scale) -> list[Bar]:
    """Up to two rectangles for a slot; a gap is one rectangle over the whole height."""
    if slot.is_gap:
        return [Bar(*stretch(slot, scale, Decimal(0)), TOP, PLOT_HEIGHT, GAP)]
    pairs = (("delivered", slot.delivered, Decimal(1)), ("received", slot.received, Decimal(-1)))
    return [value_bar(slot, name, value, sign, scale) for name, value, sign in pairs if value]


def value_bar(slot: Slot, name: str, value: Value, sign: Decimal, scale: Scale) -> Bar:
    """A rectangle between zero and the amount; at least a pixel high, so that a zero differs from a gap."""
    x, width = stretch(slot, scale, Decimal("0.12"))
    zero, end = scale.y(Decimal(0)), scale.y(sign * value.amount)
    top, height = min(zero, end), max(1, abs(zero - end))
    kind = f"{name}-estimated" if value.estimated else f"{name}-provisional" if value.provisional else name
    mark = (top - 5 if end <= zero else top + height + 5) if value.revised else None
    middle = percent((scale.x(slot.start) + scale.x(slot.end)) / 2)
    return Bar(x, width, top, height, kind, mark, middle)


def year_before(slot: Slot, scale: Scale) -> list[Bar]:
    """A thin line where the bar ended a year earlier."""
    x, width = stretch(slot, scale, Decimal("0.04"))
    ends = [value.amount * sign for value, sign in ((slot.before, 1), (slot.before_received, -1)) if value]
    return [Bar(x, width, scale.y(end) - 1, 2, "before") for end in ends]


def in_words(slot: Slot, unit: Unit, beside: str = "") -> str:
    """`Tue, July 1: 12 kWh, partly estimated; 3 kWh received; a year earlier 11 kWh`."""
    told = [value_in_words(slot.delivered, unit.words(slot.delivered.amount))] if slot.delivered else []
    if slot.received:
        received = _("{amount} received").format(amount=unit.words(slot.received.amount))
        told.append(value_in_words(slot.received, received))
    if slot.before:
        told.append((beside or _("a year earlier {amount}")).format(amount=unit.words(slot.before.amount)))
    # Translators: a time, and what was measured then, as in "July 2025: 412 kWh".
    return _("{when}: {what}").format(when=slot.label, what="; ".join(told) or slot.why_absent.lower())


def value_in_words(value: Value, amount: str) -> str:
    """`0.42 kWh received, estimated`."""
    return ", ".join([amount, *value.notes])


def stretch(slot: Slot, scale: Scale, margin: Decimal) -> tuple[str, str]:
    """Left edge and width in per cent, with a margin (share of the width) around."""
    left, right = scale.x(slot.start), scale.x(slot.end)
    inset = (right - left) * margin
    return percent(left + inset), percent(right - left - 2 * inset)


def percent(amount: Decimal) -> str:
    """`12.5%`."""
    return f"{amount.quantize(Decimal('0.001')).normalize():f}%"


def middles(slots: Sequence[Slot], scale: Scale) -> list[tuple[Decimal, str]]:
    """The short labels of slots, each under the middle of its slot."""
    return [((scale.x(slot.start) + scale.x(slot.end)) / 2, slot.short_label) for slot in slots if slot.short_label]


def labels(places: Sequence[tuple[Decimal, str]]) -> list[Label]:
    """Words under the axis, thinned out to what fits."""
    every = -(-len(places) // MAXIMUM_LABELS) or 1
    return [Label(percent(x), text, number % 2 == 1) for number, (x, text) in enumerate(places[::every])]
