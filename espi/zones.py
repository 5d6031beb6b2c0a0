"""LocalTimeParameters -> the IANA time zone that a document means.

Offsets are seconds from UTC in winter. Rules are packed bits (ESPI 4.0, DstRuleType): `360E2000` is the second Sunday of
March and `B40E2000` the first Sunday of November, at 02:00, as in all of the United States and Canada that change clocks.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from espi import numbers, resources

_AMERICAN_RULES = {"360E2000", "B40E2000"}
_CHANGING = {
    -12600: "America/St_Johns",
    -14400: "America/Halifax",
    -18000: "America/New_York",
    -21600: "America/Chicago",
    -25200: "America/Denver",
    -28800: "America/Los_Angeles",
    -32400: "America/Anchorage",
}
_YEARS = range(2000, 2041)  # in which LocalTimeParameters may have been written
_FIXED = {-25200: "America/Phoenix", -36000: "Pacific/Honolulu", 0: "UTC"}


@lru_cache(maxsize=4096)
def day_start(day: date, zone: ZoneInfo) -> int:
    """Epoch seconds of the first instant of a local day."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


@lru_cache(maxsize=8192)
def day_length(day: date, zone: ZoneInfo) -> int:
    """Seconds of a local day: 82800 and 90000 where clocks change."""
    return day_start(day + timedelta(days=1), zone) - day_start(day, zone)


class UnknownTimeZone(ValueError):
    """A name that is no IANA time zone."""


def zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name. Raises UnknownTimeZone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownTimeZone(f"{name[:64]!r} is not the name of a time zone, like America/New_York.") from None


def name_of(said: Iterable[resources.LocalTimeParameters]) -> str | None:
    """The zone that the first understandable LocalTimeParameters mean; None when none is.

    A positive offset with American rules is a wrong sign (seen in a gas utility's files). Where the entry's title names
    a zone of that offset, it is that one: offsets and rules are the same in many (our own exports; `espi.export`).
    """
    for local_time in said:
        if named := _titled(local_time):
            return named
        offset = local_time.tz_offset
        if offset is None:
            continue
        rules = {local_time.dst_start_rule.upper(), local_time.dst_end_rule.upper()}
        changes = bool(local_time.dst_offset)
        if changes and rules & _AMERICAN_RULES and (found := _CHANGING.get(-abs(offset))):
            return found
        if found := (_CHANGING if changes else _FIXED).get(offset) or _whole_hours(offset):
            return found
    return None


def _titled(said: resources.LocalTimeParameters) -> str | None:
    title = said.entry.title
    if said.tz_offset is None or not ("/" in title or title == "UTC"):
        return None
    try:
        there = zone(title)
    except UnknownTimeZone:
        return None
    return title if said.tz_offset in {_offset(there, year) for year in _YEARS} else None


def _whole_hours(offset: int) -> str | None:
    hours, rest = divmod(abs(offset), 3600)
    if rest or hours > 12:
        return None
    return f"Etc/GMT{'-' if offset > 0 else '+'}{hours}" if hours else "UTC"  # POSIX signs: GMT+5 is five hours west


def contradiction(said: resources.LocalTimeParameters, name: str, year: int) -> str:
    """What LocalTimeParameters say otherwise than the zone `name` does in that year, in words; "" where they agree.

    What they leave out, or cannot be read, says nothing.
    """
    there = zone(name)
    winter = _offset(there, year)
    if said.tz_offset is not None and said.tz_offset != winter:
        return f"its time zone is {said.tz_offset} seconds from UTC, that of {name} is {winter}"
    days = _changes(there, year)
    if said.dst_offset is not None and bool(said.dst_offset) != bool(days):
        return f"it says that clocks {'change' if said.dst_offset else 'do not change'}, unlike those of {name}"
    rules = (said.dst_start_rule, said.dst_end_rule) if days else ()
    told = {day for rule in rules if (day := _rule_day(rule, year))}
    if told - set(days):
        return f"its clocks change on other days than those of {name}"
    return ""


def _offset(there: ZoneInfo, year: int) -> int:
    """Seconds from UTC in winter, when clocks are not put forward."""
    offsets = (datetime(year, month, 1, tzinfo=there).utcoffset() for month in (1, 7))
    return min(int(offset.total_seconds()) for offset in offsets if offset is not None)


def _changes(there: ZoneInfo, year: int) -> list[date]:
    """The local days of a year on which clocks change."""
    noons = [datetime(year, 1, 1, 12, tzinfo=UTC) + timedelta(days=number) for number in range(366)]
    offsets = [noon.astimezone(there).utcoffset() for noon in noons]
    return [noons[n].astimezone(there).date() for n in range(1, 366) if offsets[n] != offsets[n - 1]]


def _rule_day(rule: str, year: int) -> date | None:
    """The day that a rule means in a year; None for one that is no rule, or counts otherwise than by weekdays.

    DstRuleType (ESPI 4.0): seconds in bits 0-11, hours 12-16, weekday 17-19 (Monday is 1), day of the month 20-24,
    operator 25-27 (2 to 6: the first to the fifth such weekday of the month, 7: the last), month 28-31.
    """
    bits = numbers.hexadecimal(rule)
    if bits is None:
        return None
    month, operator, weekday = bits >> 28, bits >> 25 & 7, bits >> 17 & 7
    if not (1 <= month <= 12 and operator >= 2 and weekday):
        return None
    first = date(year, month, 1)
    day = first + timedelta(days=(weekday - 1 - first.weekday()) % 7)
    found = [each for week in range(5) if (each := day + timedelta(weeks=week)).month == month]
    return found[-1] if operator == 7 or operator - 2 >= len(found) else found[operator - 2]
