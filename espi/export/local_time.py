"""LocalTimeParameters of a time zone, as the standard writes them; `espi.zones` reads them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from espi.zones import zone

_NO_RULE = "FFFFFFFF"  # "rule processing is disabled" (espi.xsd 4.0, DstRuleType)


def parameters(name: str, year: int) -> dict[str, str | int]:
    """LocalTimeParameters of the zone in that year, by the standard's names and in its order.

    Rules count weekdays of a month (DstRuleType, operators 2 to 7). Where clocks do not change twice, or in other ways,
    there are none.
    """
    there = zone(name)
    changes = _instants_of_change(there, year)
    winter = min(_seconds(there, at) for at in changes or [datetime(year, 1, 1, tzinfo=UTC)])
    start, end, saved = _NO_RULE, _NO_RULE, 0
    if len(changes) == 2:
        first, second = ((_rule(there, at), _seconds(there, at) - winter) for at in changes)
        start, end = (first[0], second[0]) if first[1] else (second[0], first[0])
        saved = first[1] or second[1]
    return {"dstEndRule": end, "dstOffset": saved, "dstStartRule": start, "tzOffset": winter}


def _seconds(there: ZoneInfo, at: datetime) -> int:
    offset = at.astimezone(there).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _instants_of_change(there: ZoneInfo, year: int) -> list[datetime]:
    """The first instants of each new offset within a local year, to the minute."""
    found = []
    at, end = datetime(year, 1, 1, tzinfo=there).astimezone(UTC), datetime(year + 1, 1, 1, tzinfo=there)
    while at < end:
        after = at + timedelta(days=1)
        if _seconds(there, after) != _seconds(there, at):
            low, high = at, after
            while high - low > timedelta(minutes=1):
                middle = low + (high - low) // 2
                low, high = (middle, high) if _seconds(there, middle) == _seconds(there, at) else (low, middle)
            found.append(high.replace(second=0, microsecond=0))
        at = after
    return found


def _rule(there: ZoneInfo, at: datetime) -> str:
    """The clock's own time at which it is changed, as a DstRuleType: the n-th, or the last, such weekday of its month."""
    before = _seconds(there, at - timedelta(minutes=1))
    clock = (at + timedelta(seconds=before)).replace(tzinfo=None)
    is_last = (clock + timedelta(days=7)).month != clock.month
    operator = 7 if is_last else 2 + (clock.day - 1) // 7
    bits = clock.month << 28 | operator << 25 | clock.isoweekday() << 17 | clock.hour << 12 | clock.minute * 60
    return f"{bits:08X}"
