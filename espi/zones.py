"""LocalTimeParameters -> the IANA time zone that a document means.

Offsets are seconds from UTC in winter. Rules are packed bits (ESPI 4.0, DstRuleType): `360E2000` is the second Sunday of
March and `B40E2000` the first Sunday of November, at 02:00, as in all of the United States and Canada that change clocks.
"""

from collections.abc import Iterable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from espi import resources

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
_FIXED = {-25200: "America/Phoenix", -36000: "Pacific/Honolulu", 0: "UTC"}


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

    A positive offset with American rules is a wrong sign (seen in a gas utility's files).
    """
    for local_time in said:
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


def _whole_hours(offset: int) -> str | None:
    hours, rest = divmod(abs(offset), 3600)
    if rest or hours > 12:
        return None
    return f"Etc/GMT{'-' if offset > 0 else '+'}{hours}" if hours else "UTC"  # POSIX signs: GMT+5 is five hours west
