"""What a page says of meters that followed each other: one history, told as one, with its seams in plain words."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from espi import models, successions
from espi.models import Succession
from portal import writing

Reason = Succession.Reason
WORDS: dict[str, Promise] = {
    Reason.REPLACED: gettext_lazy(
        "Since {when}, another meter measures here. Your utility lists both: the readings of one end where those of the "
        "other begin. The figures from before and after are shown together."
    ),
    Reason.RENUMBERED: gettext_lazy(
        "Since {when}, your utility lists this meter under another number. It does not say whether the meter itself was "
        "replaced. The figures from before and after are shown together."
    ),
    Reason.SAME_READINGS: gettext_lazy(
        "Since {when}, your utility lists this service under another number. It is the same meter: it sent the same "
        "readings under both. The figures from before and after are shown together."
    ),
    Reason.SAME_METER: gettext_lazy(
        "Since {when}, your utility lists this service under another number. It names the same meter under both. The "
        "figures from before and after are shown together."
    ),
    Reason.SAME_PLACE: gettext_lazy(
        "Since {when}, your utility lists this service under another number. It names the same place under both, and the "
        "readings of one end where those of the other begin; the meter may be another one. The figures from before and "
        "after are shown together."
    ),
}
MAYBE_BEFORE = gettext_lazy(
    "Since {when}, readings begin here, where those of another meter of yours end. It may be the same service under "
    "another number. Your utility does not say so, and we keep them apart."
)
MAYBE_AFTER = gettext_lazy(
    "Since {when}, readings go on with another meter of yours, where those of this one end. It may be the same service "
    "under another number. Your utility does not say so, and we keep them apart."
)


class Change(NamedTuple):
    """Something about a meter, in words; `other` is the public id of a usage point to look at."""

    at: datetime
    words: str
    short: str
    other: UUID | None = None


def changes(usage_point: models.UsagePoint) -> list[Change]:
    """Oldest first, by the meter's own clock."""
    zone = ZoneInfo(usage_point.time_zone)
    found = []
    for note in successions.notes(usage_point):
        local = note.at.astimezone(zone)
        # Translators: a date and a time, as in "March 3, 2026, 11:00".
        when = _("{day}, {time}").format(day=writing.day(local), time=writing.clock(local))
        words = (MAYBE_BEFORE if note.is_before else MAYBE_AFTER) if note.other else WORDS[note.reason]
        short = _("{day}: another meter, or another number").format(day=writing.day(local))
        found.append(Change(note.at, str(words).format(when=when), short, note.other))
    return found
