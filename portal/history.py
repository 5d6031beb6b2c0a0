"""What a page says of meters that followed each other: one history, told as one, with its seams in plain words."""

from typing import NamedTuple
from zoneinfo import ZoneInfo

from espi import models, successions
from espi.models import Succession

Reason = Succession.Reason
WORDS: dict[str, str] = {
    Reason.REPLACED: "another meter measures here. Your utility lists both: the readings of one end where those of the "
    "other begin. They are shown together.",
    Reason.RENUMBERED: "your utility lists this meter under another number. It does not say whether the meter itself was "
    "replaced. The figures from before and after are shown together.",
}


class Change(NamedTuple):
    """`when` is a local date and time in words: `3 March 2026, 11:00`."""

    when: str
    words: str


def changes(usage_point: models.UsagePoint) -> list[Change]:
    """Oldest first, by the meter's own clock."""
    zone = ZoneInfo(usage_point.time_zone)
    found = []
    for note in successions.notes(usage_point):
        local = note.at.astimezone(zone)
        found.append(Change(f"{local.day} {local:%B %Y, %H:%M}", WORDS[note.reason]))
    return found
