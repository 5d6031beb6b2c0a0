"""What was measured by the meters of a page, by place on the time axis: [start, end) in epoch seconds.

Of a month or a year the same days of the year before are read along, for comparison.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from espi import enums, marks, models, usage
from espi.usage import Channel
from espi.zones import day_start
from portal import charts, writing
from portal.charts import Value
from portal.periods import Period

Known = Mapping[models.UsagePoint, Sequence[Channel]]
Places = dict[tuple[int, int], Value]
Measured = dict[Channel, Places]
COMPARED = ("month", "year")
ONE_DAY = timedelta(days=1)
NOTHING: frozenset[date] = frozenset()


def measured(known: Known, period: Period) -> Measured:
    """The readings of a day, or sums of days, or of months. `known`: meters with their channels.

    Of a gap there is no value. A day is a question of one meter.
    """
    if period.name == "day":
        found: Measured = {}
        for point, channels in known.items():
            found |= readings_of_day(point, period.first, channels)
        return found
    return sums_of_months(known, period) if period.name == "year" else sums_of_days(known, period)


def readings_of_day(usage_point: models.UsagePoint, day: date, channels: Sequence[Channel]) -> Measured:
    """Every reading that begins on a local day."""
    revised = marks.revised_starts(usage_point, day, day + timedelta(days=1))
    found: Measured = {}
    for channel, readings in usage.day_readings(usage_point, day, known=channels).items():
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


def sums_of_days(known: Known, period: Period) -> Measured:
    """The sums of each local day."""
    marked, zones = marks.marked_days(known, period.first, period.end), zones_of(known)
    found: Measured = {}
    for channel, days in usage.daily_totals_of(known, *spans(period)).items():
        zone = zones[channel.id]
        held = {word: found_days.get(channel.id, NOTHING) for word, found_days in marked.items()}
        found[channel] = {
            (day_start(day.date, zone), day_start(day.date + ONE_DAY, zone)): value_of(
                channel,
                day.value,
                day.cost,
                **{word: day.date in with_it for word, with_it in held.items()},
                partial=not day.is_complete,
                is_sum=day.count > 1,
            )
            for day in days
        }
    return found


def sums_of_months(known: Known, period: Period) -> Measured:
    """The sums of each local month."""
    marked, zones = marks.marked_days(known, period.first, period.end), zones_of(known)
    found: Measured = {}
    for channel, months in usage.monthly_totals_of(known, *spans(period)).items():
        held = {word: {day.replace(day=1) for day in days.get(channel.id, ())} for word, days in marked.items()}
        found[channel] = {
            month_of(month.month, zones[channel.id]): value_of(
                channel,
                month.value,
                month.cost,
                **{word: month.month in with_it for word, with_it in held.items()},
                partial=not (month.is_complete or month.from_long_readings),
                is_sum=True,
            )
            for month in months
        }
    return found


def spans(period: Period) -> list[tuple[date, date]]:
    """The stretches of days to be read."""
    compared = [period.before] if period.name in COMPARED else []
    return [(each.first, each.end) for each in (period, *compared)]


def zones_of(known: Known) -> dict[int, ZoneInfo]:
    """The clock of each channel, by its id."""
    return {channel.id: ZoneInfo(point.time_zone) for point, channels in known.items() for channel in channels}


def month_of(first: date, zone: ZoneInfo) -> tuple[int, int]:
    """The local month that begins on `first`."""
    return day_start(first, zone), day_start((first + timedelta(days=31)).replace(day=1), zone)


def value_of(channel: Channel, raw: int, cost: int | None, **marks: bool) -> Value:
    """A stored integer in the unit people know."""
    amount = charts.unit_of(channel.uom).shown(raw, channel.multiplier)
    return Value(amount=amount, cost=None if cost is None else writing.cost(cost), **marks)
