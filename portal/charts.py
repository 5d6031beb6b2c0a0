"""Readings to pictures: where each bar of a chart stands. Pure functions; no queries, no request, no float.

Lengths along the time axis are per cent of the width, so that one drawing fits every screen and its text keeps its
size; heights are pixels. Energy delivered to the customer stands above the zero line, energy received from him below
it: they are two quantities and are never added.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

PLOT_HEIGHT = 220
TOP = 12
LABEL_ROOM = 26
TICKS = 4
STEPS = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))
MAXIMUM_LABELS = 12
GAP, BEFORE, AFTER = "No reading", "Before the first reading", "Not here yet"
FINEST = Decimal("0.001")
LARGEST_WRITTEN_OUT = 15  # powers of ten; beyond, a nonsense reading would break the page's layout


@dataclass(frozen=True)
class Unit:
    """How a unit of measure is shown: shown value = raw value * 10 ** exponent, written with `symbol`."""

    symbol: str
    exponent: int = 0

    @property
    def in_brackets(self) -> str:
        """For headings."""
        return self.symbol if self.symbol.startswith("(") else f"({self.symbol})"

    def shown(self, raw: int | Decimal, multiplier: int = 0) -> Decimal:
        """A raw integer at a power-of-ten multiplier, in this unit."""
        return Decimal(raw).scaleb(multiplier + self.exponent)


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
    128: Unit("US gal"),
    130: Unit("imp gal"),
    132: Unit("Btu"),
    134: Unit("L"),
    156: Unit("L"),
    157: Unit("L"),
    166: Unit("m³"),
    167: Unit("m³"),
    169: Unit("therms"),
}


def unit_of(uom: int | None) -> Unit:
    """The unit of a UnitSymbolKind code; one we do not know is shown by its number, at the value as sent."""
    if uom is None:
        return Unit("(unit not stated)")
    return UNITS.get(uom, Unit(f"(unit number {uom})"))


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
        part = "partly " if self.is_sum else ""
        words = (
            (f"{part}estimated", self.estimated),
            (f"{part}provisional", self.provisional),
            (f"{part}revised", self.revised),
            ("incomplete", self.partial),
        )
        return [word for word, applies in words if applies]


@dataclass(frozen=True)
class Slot:
    """One place on the time axis, epoch seconds [start, end). Where nothing was measured, `absent` says why in words.

    `link` is the query of the page that shows this slot in detail, if there is one.
    """

    start: int
    end: int
    label: str
    short_label: str = ""
    delivered: Value | None = None
    received: Value | None = None
    absent: str = ""
    link: str = ""

    @property
    def is_gap(self) -> bool:
        """Time between our first and our last reading of which we hold nothing."""
        return self.absent == GAP


@dataclass(frozen=True)
class Bar:
    """A rectangle of the picture and what it says when pointed at."""

    x: str
    width: str
    y: int
    height: int
    kind: str
    title: str
    mark_y: int | None = None
    middle: str = ""


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
    bars: list[Bar] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    kinds: frozenset[str] = frozenset()


def draw(slots: Sequence[Slot], unit: str, span: tuple[int, int], moments: Sequence[tuple[int, str]] = ()) -> Chart:
    """The picture of one quantity from `span[0]` up to `span[1]` (epoch seconds). Slots need not be regular.

    `moments` (epoch seconds and what the clock says) are written under the axis in place of the slots' short labels.
    """
    low, high = extent(slots)
    step = tick_step(high - low)
    low, high = floor_to(low, step), -floor_to(-high, step)
    scale = Scale(*span, low, high)
    bars = [bar for slot in slots for bar in slot_bars(slot, scale, unit)]
    places = [(scale.x(moment), text) for moment, text in moments] or middles(slots, scale)
    signed = any(slot.delivered and slot.delivered.amount < 0 for slot in slots)
    return Chart(
        unit=unit, ticks=ticks(scale, step, signed=signed), bars=bars, labels=labels(places), kinds=kinds(bars)
    )  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """From time and energy to places in the picture."""

    start: int
    end: int
    low: Decimal
    high: Decimal

    def x(self, instant: int) -> Decimal:
        """Per cent of the width."""
        return Decimal(100 * (instant - self.start)) / Decimal(self.end - self.start)

    def y(self, amount: Decimal) -> int:
        """Pixels from the top."""
        share = (self.high - amount) / (self.high - self.low)
        return TOP + int((share * PLOT_HEIGHT).to_integral_value(ROUND_HALF_UP))


def extent(slots: Iterable[Slot]) -> tuple[Decimal, Decimal]:
    """The lowest and highest amount to be drawn; always holds zero and is never empty."""
    low = high = Decimal(0)
    for slot in slots:
        for amount in heights(slot):
            low, high = min(low, amount), max(high, amount)
    return (low, high) if low < high else (low, low + 1)


def heights(slot: Slot) -> list[Decimal]:
    """Delivered energy counts upwards, received energy downwards."""
    up = [slot.delivered.amount] if slot.delivered else []
    return up + ([-slot.received.amount] if slot.received else [])


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
    return [Tick(scale.y(amount), text_of(amount if signed else abs(amount)), amount == 0) for amount in amounts]


def slot_bars(slot: Slot, scale: Scale, unit: str) -> list[Bar]:
    """Up to two rectangles for a slot; a gap is one rectangle over the whole height."""
    if slot.is_gap:
        x, width = place(slot, scale, Decimal(0))
        return [Bar(x, width, TOP, PLOT_HEIGHT, "gap", f"{slot.label}: {GAP.lower()}")]
    pairs = (("delivered", slot.delivered, Decimal(1)), ("received", slot.received, Decimal(-1)))
    return [value_bar(slot, name, value, sign, scale, unit) for name, value, sign in pairs if value]


def value_bar(slot: Slot, name: str, value: Value, sign: Decimal, scale: Scale, unit: str) -> Bar:
    """A rectangle between zero and the amount; at least a pixel high, so that a zero differs from a gap."""
    x, width = place(slot, scale, Decimal("0.12"))
    zero, end = scale.y(Decimal(0)), scale.y(sign * value.amount)
    top, height = min(zero, end), max(1, abs(zero - end))
    kind = f"{name}-estimated" if value.estimated else f"{name}-provisional" if value.provisional else name
    mark = (top - 5 if end <= zero else top + height + 5) if value.revised else None
    middle = percent((scale.x(slot.start) + scale.x(slot.end)) / 2)
    return Bar(x, width, top, height, kind, f"{slot.label}: {in_words(name, value, unit)}", mark, middle)


def in_words(name: str, value: Value, unit: str) -> str:
    """`0.42 kWh received, estimated`."""
    words = f"{text_of(value.amount)} {unit}{' received' if name == 'received' else ''}"
    return ", ".join([words, *value.notes])


def place(slot: Slot, scale: Scale, margin: Decimal) -> tuple[str, str]:
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


def kinds(bars: Iterable[Bar]) -> frozenset[str]:
    """What the legend has to explain."""
    found = {bar.kind for bar in bars}
    return frozenset(found | ({"revised"} if any(bar.mark_y is not None for bar in bars) else set()))


def text_of(amount: Decimal, places: int | None = None) -> str:
    """A number for people: thousands separated, `places` decimals; without it at most three and no trailing zeros."""
    if amount.adjusted() > LARGEST_WRITTEN_OUT:
        return f"{amount:.3E}"
    rounded = amount.quantize(FINEST if places is None else Decimal(1).scaleb(-places), ROUND_HALF_UP)
    text = f"{rounded + 0:,f}"  # + 0: no negative zero
    return text if places is not None else text.rstrip("0").rstrip(".") or "0"


def places_of(amounts: Iterable[Decimal]) -> int:
    """How many decimals, at most three, a column of numbers needs to be written alike."""
    texts = [text_of(amount) for amount in amounts]
    return max((len(text.partition(".")[2]) for text in texts if "E" not in text), default=0)
