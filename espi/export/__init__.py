"""What is stored goes out again, in constant memory: as CSV (`tables`) and as Green Button XML (`feed`).

Both take `Meter`s and local days, and give pieces of bytes. They read through `usage` and `readings` only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from espi import models, usage

PIECE = 64 * 1024  # bytes, roughly, that are given at once


@dataclass(frozen=True)
class Meter:
    """A usage point to be written out, what its owner calls it, and which of its channels (None: all)."""

    usage_point: models.UsagePoint
    name: str
    channel_ids: frozenset[UUID] | None = None

    def wanted(self, channels: Iterable[usage.Channel]) -> list[usage.Channel]:
        """Of the usage point's channels those he wants, in their order."""
        return [each for each in channels if self.channel_ids is None or each.public_id in self.channel_ids]


@dataclass(frozen=True)
class Days:
    """Local days from `first` up to and without `end`; None: no limit on that side."""

    first: date | None = None
    end: date | None = None

    def of(self, channel: usage.Channel) -> tuple[date, date] | None:
        """Those on which readings of the channel begin; None where there are none."""
        if channel.first_date is None or channel.last_date is None:
            return None
        after = channel.last_date + timedelta(days=1)
        first = max(self.first, channel.first_date) if self.first else channel.first_date
        end = min(self.end, after) if self.end else after
        return (first, end) if first < end else None


EVERY_DAY = Days()
