"""What a page says of meters that followed each other: one history, told as one, with its seams in plain words."""

from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from espi import models, successions
from espi.models import Succession

Reason = Succession.Reason
ANOTHER_NUMBER = "your utility lists this service under another number."
TOGETHER = "The figures from before and after are shown together."
WORDS: dict[str, str] = {
    Reason.REPLACED: "another meter measures here. Your utility lists both: the readings of one end where those of the "
    f"other begin. {TOGETHER}",
    Reason.RENUMBERED: "your utility lists this meter under another number. It does not say whether the meter itself was "
    f"replaced. {TOGETHER}",
    Reason.SAME_READINGS: f"{ANOTHER_NUMBER} It is the same meter: it sent the same readings under both. {TOGETHER}",
    Reason.SAME_METER: f"{ANOTHER_NUMBER} It names the same meter under both. {TOGETHER}",
    Reason.SAME_PLACE: f"{ANOTHER_NUMBER} It names the same place under both, and the readings of one end where those of "
    f"the other begin; the meter may be another one. {TOGETHER}",
}
MAYBE_BEFORE = (
    "readings begin here, where those of another meter of yours end. It may be the same service under another number. Your "
    "utility does not say so, and we keep them apart."
)
MAYBE_AFTER = (
    "readings go on with another meter of yours, where those of this one end. It may be the same service under another "
    "number. Your utility does not say so, and we keep them apart."
)


class Change(NamedTuple):
    """`when` is a local date and time in words: `3 March 2026, 11:00`; `other` the public id of a usage point to look at."""

    when: str
    words: str
    other: UUID | None = None


def changes(usage_point: models.UsagePoint) -> list[Change]:
    """Oldest first, by the meter's own clock."""
    zone = ZoneInfo(usage_point.time_zone)
    found = []
    for note in successions.notes(usage_point):
        local = note.at.astimezone(zone)
        words = (MAYBE_BEFORE if note.is_before else MAYBE_AFTER) if note.other else WORDS[note.reason]
        found.append(Change(f"{local.day} {local:%B %Y, %H:%M}", words, note.other))
    return found
