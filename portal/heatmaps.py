"""Hours to pictures: a field of days by hours whose shades tell the amount, and the lines of a usual day. Pure functions.

A year has 8,760 fields: those of one shade are one path, and neighbours in a column are one stroke of it, a unit wide, so
the picture stays small. A column is a unit wide and an hour a unit high; the page stretches it to its width.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

from django.utils.translation import gettext as _

from portal import charts, writing
from portal.panels import link_to
from portal.periods import Period

HOUR_HEIGHT = 9
LEVELS, LEVELS_BELOW_ZERO = 6, 3
GAP = "gap"
THOUSANDTHS, HUNDREDTHS = 3, 2
LINES_HEIGHT = 180
Hours = Mapping[date, Sequence[int | None]]
NO_HOUR: Sequence[None] = [None] * 24


@dataclass(frozen=True)
class Shade:
    """All fields of one shade; `name` is its class, `words` what it stands for."""

    name: str
    path: str
    words: str


@dataclass(frozen=True)
class Column:
    """A day, or a month, to point at and to follow."""

    x: str
    width: str
    title: str
    link: str


@dataclass(frozen=True)
class HeatMap:
    """Ready to be written out. `values` are for the script: hour by hour, days parted by `;`, 10 ^ `places` of a unit."""

    days: int
    first: date
    shades: list[Shade]
    columns: list[Column]
    labels: list[charts.Label]
    ticks: list[charts.Tick]
    values: str
    places: int
    height: int = charts.TOP + 24 * HOUR_HEIGHT + charts.LABEL_ROOM
    plot_top: int = charts.TOP
    plot_height: int = 24 * HOUR_HEIGHT
    label_y: int = charts.TOP + 24 * HOUR_HEIGHT + 18


@dataclass(frozen=True)
class Lines:
    """The usual day, ready to be written out: a path for each series, x in hundredths of an hour, y in pixels."""

    paths: list[str]
    ticks: list[charts.Tick]
    labels: list[charts.Label]
    height: int = charts.TOP + LINES_HEIGHT + charts.LABEL_ROOM
    plot_top: int = charts.TOP
    plot_height: int = LINES_HEIGHT
    label_y: int = charts.TOP + LINES_HEIGHT + 18


def draw(
    hours: Hours, period: Period, known: tuple[date, date], unit: charts.Unit, exponent: int, *, by_month: bool
) -> HeatMap:
    """The hours of a period; `known`: the first and the last day between which an hour without a reading is a gap."""
    days, places = period.days, HUNDREDTHS if by_month else THOUSANDTHS
    scale = Shades.of(value for values in hours.values() for value in values if value is not None)
    shown = (day if day in hours or known[0] <= day <= known[1] else None for day in days)
    paths = strokes(list(map(scale.name_of.__getitem__, hours.get(day, NO_HOUR))) if day else [] for day in shown)
    written = rounded(scale.name_of, exponent + places)
    words = {name: shade_in_words(name, limit, unit, exponent) for name, limit in scale.limits.items()}
    words[GAP] = str(charts.WHY_ABSENT[charts.GAP])
    return HeatMap(
        days=len(days),
        first=period.first,
        shades=[Shade(name, paths[name], said) for name, said in words.items() if name in paths],
        columns=columns(hours, period, unit, exponent, by_month=by_month),
        labels=labels(period, by_month=by_month),
        ticks=[charts.Tick(charts.TOP + hour * HOUR_HEIGHT + 5, writing.hour(hour)) for hour in range(0, 24, 6)],
        values=";".join([",".join(map(written.__getitem__, hours.get(day, ()))) for day in days]),
        places=places,
    )


@dataclass(frozen=True)
class Shades:
    """An equal number of hours in each, zero and below by themselves; their names are the classes of charts.css.

    `name_of` each value, and of None; `limits`: the most that each stands for, with no sign, from the most below zero up.
    """

    name_of: dict[int | None, str]
    limits: dict[str, int]

    @classmethod
    def of(cls, values: Iterable[int]) -> "Shades":
        """The shades of a picture of these."""
        ordered = sorted(values)
        zero = bisect_left(ordered, 0)
        above = named("level", parts(ordered[zero:], LEVELS), LEVELS)
        below = named(
            "below", parts([-each for each in reversed(ordered[:zero])], LEVELS_BELOW_ZERO), LEVELS_BELOW_ZERO
        )
        name_of: dict[int | None, str] = {None: GAP}
        for name, part in below.items():
            name_of |= dict.fromkeys([-each for each in part], name)
        for name, part in above.items():
            name_of |= dict.fromkeys(part, name)
        return cls(name_of, {name: part[-1] for name, part in [*reversed(below.items()), *above.items()]})


def named(word: str, members: Sequence[list[int]], levels: int) -> dict[str, list[int]]:
    """`level-1`, `level-2` and so on; of fewer than `levels`, with equal steps up to the last one."""
    last = len(members) - 1
    numbers = [1 + (levels - 1) * number // last if last else levels for number in range(last + 1)]
    return {f"{word}-{number}": part for number, part in zip(numbers, members, strict=True)}


def parts(ordered: list[int], count: int) -> list[list[int]]:
    """As many, of equal size; but those that are equal stay together."""
    ends = {ordered[-(-len(ordered) * number // count) - 1] for number in range(1, count + 1)} if ordered else set()
    return [ordered[start:end] for start, end in pairwise([0, *(bisect_right(ordered, each) for each in sorted(ends))])]


def strokes(columns: Iterable[Sequence[str]]) -> dict[str, str]:
    """The path of each shade, by its name. `columns`: the shades of a day's hours."""
    paths: dict[str, list[str]] = defaultdict(list)
    for x, names in enumerate(columns):
        first, shade = 0, names[0] if names else ""
        for hour, name in enumerate([*names, ""]):
            if name != shade:
                paths[shade].append(f"M{x} {first}v{hour - first}")
                first, shade = hour, name
    return {name: "".join(drawn) for name, drawn in paths.items()}


def shade_in_words(name: str, limit: int, unit: charts.Unit, exponent: int) -> str:
    """`up to 0.4 kWh`."""
    amount = unit.words(Decimal(limit).scaleb(exponent))
    return (_("up to {amount}") if name.startswith("level") else _("up to {amount} sent out")).format(amount=amount)


def columns(hours: Hours, period: Period, unit: charts.Unit, exponent: int, *, by_month: bool) -> list[Column]:
    """What leads on: a month to its own page, a day to its readings."""
    one = timedelta(days=1)
    spans = period.months if by_month else [(day, day + one) for day in period.days]
    found, width = [], Decimal(100) / len(period.days)
    for first, end in spans:
        days = [day for day in (first + one * number for number in range((end - first).days)) if day in hours]
        if not days:
            continue
        total = sum(value for day in days for value in hours[day] if value is not None)
        when = writing.month(first) if by_month else writing.day_of_year(first)
        what = unit.words(Decimal(total).scaleb(exponent))
        x, wide = (first - period.first).days * width, (end - first).days * width
        link = link_to("month" if by_month else "day", first)
        found.append(
            Column(charts.percent(x), charts.percent(wide), _("{when}: {what}").format(when=when, what=what), link)
        )
    return found


def labels(period: Period, *, by_month: bool) -> list[charts.Label]:
    """Under the picture: months, or days."""
    width = Decimal(100) / len(period.days)
    if by_month:
        spans = [
            ((first - period.first).days, (end - first).days, writing.short_month(first))
            for first, end in period.months
        ]
    else:
        name = writing.weekday_and_number if period.name == "week" else lambda day: str(day.day)
        spans = [(number, 1, name(day)) for number, day in enumerate(period.days)]
    return charts.labels([((x + Decimal(wide) / 2) * width, text) for x, wide, text in spans])


def rounded(values: Iterable[int | None], shift: int) -> dict[int | None, str]:
    """How each is written, times 10 ^ `shift`; nothing where nothing is known."""
    if shift >= 0:
        return {value: "" if value is None else str(value * 10**shift) for value in values}
    divisor = 10**-shift
    half = divisor // 2
    return {value: "" if value is None else str((value + half) // divisor) for value in values}


def lines(series: Sequence[Sequence[Decimal | None]]) -> Lines:
    """24 amounts each, drawn in the middle of their hours; a line breaks off where nothing is known."""
    amounts = [amount for one in series for amount in one if amount is not None]
    low, high = min([*amounts, Decimal(0)]), max([*amounts, Decimal(0)])
    step = charts.tick_step(high - low if high > low else Decimal(1))
    low, high = charts.floor_to(low, step), -charts.floor_to(-high, step)
    scale = charts.Scale(0, 24, low, high if high > low else low + step, LINES_HEIGHT)
    hours = [(Decimal(100 * hour) / 24, writing.hour(hour)) for hour in range(0, 24, 3)]
    return Lines([path(one, scale) for one in series], charts.ticks(scale, step, signed=True), charts.labels(hours))


def path(amounts: Sequence[Decimal | None], scale: charts.Scale) -> str:
    """Through every hour that is known."""
    found, is_drawing = [], False
    for hour, amount in enumerate(amounts):
        if amount is not None:
            found.append(f"{'L' if is_drawing else 'M'}{hour * 100 + 50} {scale.y(amount)}")
        is_drawing = amount is not None
    return "".join(found)
