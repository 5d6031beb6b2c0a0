"""How energy spreads over the hours of the day: what a page says of a meter's habits in a week, a month or a year.

Hours are those of the clock on the wall in the meter's time zone: one that comes twice when clocks change is one sum, one
that is left out has none. Readings longer than an hour belong to no hour; they are told apart, as a sum.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from statistics import median_low

from django.utils.translation import gettext as _

from espi.usage import Channel, HourTotals
from portal import charts, heatmaps, writing
from portal.pairs import Pair, pairs, shows_net, title_of
from portal.panels import link_to
from portal.periods import Period

NAMES = ("week", "month", "year")
SATURDAY = 5
WHOLE_DAY = 23  # known hours of a day, at the least, that may be held against others: one with its clocks put forward
Hours = Mapping[date, Sequence[int | None]]


@dataclass(frozen=True)
class Peak:
    """The hour, or the day, in which most was measured."""

    when: str
    text: str
    link: str


@dataclass(frozen=True)
class Base:
    """What never stops: the lowest hour of a usual day, and what that makes of the whole."""

    text: str
    share: str


@dataclass(frozen=True)
class Line:
    """A row of the table: a day with its hours, or an hour with its months; `cells` are its `values`, written.

    A number that is not known is an empty text.
    """

    label: str
    link: str
    values: Sequence[int | None]
    cells: list[str]
    total: str


@dataclass(frozen=True)
class Profile:
    """The usual day: an hour, and what it holds on weekdays and on weekends."""

    chart: heatmaps.Lines
    rows: list[tuple[str, str, str]]


@dataclass(frozen=True)
class Pattern:
    """One direction of one quantity. `exponent`: an hour's integer times 10 ^ exponent is the amount in `unit`.

    `known`: the first and the last day with a reading; `known_hours` are those of each day, without their places.
    """

    title: str
    unit: charts.Unit
    period: Period
    hours: Hours
    exponent: int
    longer: Decimal
    is_received: bool
    is_net: bool
    has_other_way: bool
    known: tuple[date, date]
    known_hours: Mapping[date, list[int]]

    def amount(self, value: int | Decimal) -> Decimal:
        """In the unit."""
        return Decimal(value).scaleb(self.exponent)

    @property
    def is_empty(self) -> bool:
        """Whether no hour is known."""
        return not self.hours

    @cached_property
    def total(self) -> Decimal:
        """Of all hours."""
        return self.amount(sum(map(sum, self.known_hours.values())))

    @property
    def total_in_words(self) -> str:
        """The same."""
        return self.unit.about(self.total)

    @property
    def longer_in_words(self) -> str:
        """What came in readings longer than an hour; nothing if nothing did."""
        return self.unit.about(self.longer) if self.longer else ""

    @cached_property
    def base(self) -> Base | None:
        """None where no day is whole, and where energy flows both ways: there a meter does not see all that is used."""
        if self.is_net or self.has_other_way:
            return None
        days = [known for known in self.known_hours.values() if len(known) >= WHOLE_DAY]
        whole = sum(map(sum, days))
        if whole <= 0:
            return None
        low = median_low(map(min, days))
        share = Decimal(low * 24 * len(days)) / whole
        return Base(self.unit.about(self.amount(low)), writing.percent(min(share, Decimal(1))))

    @property
    def highest_hour(self) -> Peak | None:
        """The first one, of several."""
        highest = [(max(known), day) for day, known in self.known_hours.items() if known]
        if not highest:
            return None
        value, day = max(highest, key=lambda each: (each[0], -each[1].toordinal()))
        hour = list(self.hours[day]).index(value)
        # Translators: a day and an hour, as in "Tuesday, July 1, 2025, from 18:00".
        when = _("{day}, from {hour}").format(day=writing.weekday_and_day(day), hour=writing.hour(hour))
        return Peak(when, self.unit.about(self.amount(value)), link_to("day", day))

    @property
    def highest_day(self) -> Peak | None:
        """The first one, of several."""
        sums = {day: sum(known) for day, known in self.known_hours.items()}
        if not sums:
            return None
        day = max(sums, key=lambda each: (sums[each], -each.toordinal()))
        return Peak(writing.weekday_and_day(day), self.unit.about(self.amount(sums[day])), link_to("day", day))

    @property
    def heat_map(self) -> heatmaps.HeatMap:
        """The picture of all hours."""
        return heatmaps.draw(self.hours, self.period, self.known, self.unit, self.exponent, by_month=self.by_month)

    @property
    def by_month(self) -> bool:
        """Whether the table has a row for each hour and a column for each month."""
        return self.period.name == "year"

    @property
    def columns(self) -> list[str]:
        """Of the table."""
        if self.by_month:
            return [writing.short_month(first) for first, _end in self.period.months]
        return [writing.hour(hour) for hour in range(24)]

    @property
    def lines(self) -> list[Line]:
        """The rows of the table: days with their hours; of a year, hours with their months."""
        if self.by_month:
            months = [first for first, _end in self.period.months]
            sums = sums_by_month(self.hours)
            rows = [(writing.hour(hour), "", [sums.get((first, hour)) for first in months]) for hour in range(24)]
        else:
            nothing: Sequence[int | None] = [None] * 24
            rows = [
                (writing.day_of_year(day), link_to("day", day), list(self.hours.get(day, nothing)))
                for day in self.period.days
            ]
        every = (value for _label, _link, values in rows for value in known_of(values))
        places = writing.places_of_whole(every, self.exponent)
        return [Line(label, link, values, *self._cells(values, places)) for label, link, values in rows]

    def _cells(self, values: Sequence[int | None], places: int) -> tuple[list[str], str]:
        known = known_of(values)
        *texts, total = writing.wholes([*values, sum(known) if known else None], self.exponent, places)
        return texts, total

    @property
    def profile(self) -> Profile | None:
        """The usual day; None where no hour is known."""
        if not self.hours:
            return None
        means = [
            self._means(values for day, values in self.hours.items() if (day.weekday() >= SATURDAY) == is_weekend)
            for is_weekend in (False, True)
        ]
        places = writing.places_of(value for series in means for value in series if value is not None)
        texts = [["" if value is None else writing.number(value, places) for value in series] for series in means]
        hours = [writing.hour(hour) for hour in range(24)]
        return Profile(heatmaps.lines(means), list(zip(hours, *texts, strict=True)))

    def _means(self, days: Iterable[Sequence[int | None]]) -> list[Decimal | None]:
        by_hour = [known_of(values) for values in zip(*days, strict=True)] or [[]] * 24
        return [self.amount(Decimal(sum(known)) / len(known)) if known else None for known in by_hour]


def known_of(values: Iterable[int | None]) -> list[int]:
    return [value for value in values if value is not None]


def sums_by_month(hours: Hours) -> dict[tuple[date, int], int]:
    """By the first day of the month, and the hour."""
    months: dict[date, list[Sequence[int | None]]] = defaultdict(list)
    for day, values in hours.items():
        months[day.replace(day=1)].append(values)
    return {
        (month, hour): sum(known)
        for month, days in months.items()
        for hour, values in enumerate(zip(*days, strict=True))
        if (known := known_of(values))
    }


def patterns(period: Period, channels: Sequence[Channel], totals: Mapping[Channel, HourTotals]) -> list[Pattern]:
    """Every direction of every quantity that can be added, what bills are made of first.

    `totals`: what `usage.hourly_totals` holds of these channels in the period.
    """
    found = []
    for pair in pairs([channel for channel in channels if channel.is_addable]):
        is_net = shows_net(pair, ())
        for chain in filter(None, (pair.delivered, pair.received)):
            found.append(pattern(pair, chain, period, totals, is_net=is_net))
    return sorted(found, key=lambda each: each.is_empty)


def pattern(
    pair: Pair, chain: Sequence[Channel], period: Period, totals: Mapping[Channel, HourTotals], *, is_net: bool
) -> Pattern:
    """Channels that follow each other, as one."""
    unit, finest = charts.unit_of(pair.first.uom), min(channel.multiplier for channel in chain)
    is_received = chain is pair.received
    hours = together(chain, totals, finest)
    known_hours = {day: known_of(values) for day, values in hours.items()}
    below_zero = any(min(known, default=0) < 0 for known in known_hours.values())
    alone = Pair((), pair.received, pair.number) if is_received else Pair(pair.delivered, (), pair.number)
    is_net = not is_received and (is_net or (below_zero and not pair.received))
    return Pattern(
        title=title_of(alone, is_net=is_net),
        unit=unit,
        period=period,
        hours=hours,
        exponent=finest + unit.exponent,
        longer=sum((unit.shown(totals[each].longer, each.multiplier) for each in chain if each in totals), Decimal(0)),
        is_received=is_received,
        is_net=is_net,
        has_other_way=bool(pair.received),
        known=days_of(chain),
        known_hours=known_hours,
    )


def days_of(chain: Iterable[Channel]) -> tuple[date, date]:
    """The first and the last day on which a reading begins; the other way round where there is none."""
    held = [(each.first_date, each.last_date) for each in chain if each.first_date and each.last_date]
    return min((first for first, _last in held), default=date.max), max(
        (last for _first, last in held), default=date.min
    )


def together(chain: Sequence[Channel], totals: Mapping[Channel, HourTotals], finest: int) -> Hours:
    """Integers at one power of ten; the day of a change of meters is added up."""
    merged: dict[date, Sequence[int | None]] = {}
    for channel in chain:
        scale = 10 ** (channel.multiplier - finest)
        for day, values in (totals[channel].days if channel in totals else {}).items():
            scaled = values if scale == 1 else [None if value is None else value * scale for value in values]
            merged[day] = [added(*both) for both in zip(merged[day], scaled, strict=True)] if day in merged else scaled
    return dict(sorted(merged.items()))


def added(one: int | None, other: int | None) -> int | None:
    """None only where neither is known."""
    known = known_of((one, other))
    return sum(known) if known else None
