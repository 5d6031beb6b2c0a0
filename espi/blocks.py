"""The readings of a document's blocks on their way into rows: how long each is, how checked, and at which power of ten."""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial

from espi import links, packing, resources, storage, usage
from espi.channels import Channel, Channels, TooFine
from espi.enums import ADDABLE_UNITS, PROVISIONAL, AccumulationKind, MeasurementKind
from espi.merging import NotStorable
from espi.rules import Rules

_CELLS_AT_ONCE = 60_000
_MOST_LONG = 10_000
_Fit = Callable[[Sequence[int | Decimal], int], Sequence[int]]


class Blocks:
    """The rows of readings of one document; what is refused, or remarkable, is counted in the two given counters."""

    def __init__(
        self, document_id: int, rules: Rules, refused: Counter[tuple[str, str]], remarks: Counter[tuple[str, str]]
    ) -> None:
        self._document_id, self._rules = document_id, rules
        self._refused, self._remarks = refused, remarks
        self._batch = storage.Batch(document_id)
        self.written = storage.Written()
        # Durations of readings longer than a day, by channel and start.
        self._long: dict[tuple[int, int], int | None] = {}
        self._steps: dict[tuple[str, str, int], int] = {}  # of series whose readings say to last longer than they do

    def take(self, block: resources.IntervalBlock, source: links.Source, channels: Channels) -> None:
        """Put a block's readings among the rows to write."""
        try:
            self._take(block, source, channels)
        except NotStorable as error:
            self._refused["reading", str(error)] += len(block.columns.starts)

    def write(self) -> None:
        """Write the rows that wait."""
        self.written.add(self._batch.write())

    def _take(self, block: resources.IntervalBlock, source: links.Source, channels: Channels) -> None:
        kind = source.reading_type
        columns = self._marked(block.entry, self._with_durations(block.columns, source))
        channel = channels.channel(source, columns)
        self._note_long(channel, columns)
        # Blocks may come without their ReadingType (bulk files; PG&E's FB 19): what was said of the channel holds.
        multiplier = (kind or channel.row.reading_type).power_of_ten_multiplier or 0
        columns = self._scaled(columns, partial(channels.fit, channel), multiplier)
        pieces = packing.cut(
            columns,
            meter_reading_id=channel.row.pk,
            zone=channel.zone,
            publication=self._rules.publication(block.entry),
            document_id=self._document_id,
        )
        for days, singles, changes in pieces:
            self._batch.add(days, singles, changes)
            if self._batch.size > _CELLS_AT_ONCE:
                self.write()

    def _with_durations(self, columns: resources.Columns, source: links.Source) -> resources.Columns:
        """A reading that does not say how long it is is as long as its ReadingType says; of no length if nobody does.

        Amounts that follow each other faster than they say to last (duration 86400 with hourly starts) last until the
        next one: an hour is not counted in two readings.
        """
        kind, durations = source.reading_type, columns.durations
        if None in durations:
            length = (kind.interval_length if kind else None) or 0
            durations = [length if each is None else each for each in durations]
        longest = durations[0] or 0
        if kind and _is_delta(kind) and durations.count(longest) == len(durations):
            step = self._true_step(columns.starts, longest, (source.usage_point_id, source.meter_reading_id, longest))
            if step:
                why = "it lasts longer than until the next one (that time was taken)"
                self._remarks["reading", why] += len(durations)
                durations = [step] * len(durations)
        return columns if durations is columns.durations else replace(columns, durations=durations)

    def _true_step(self, starts: list[int], longest: int, series: tuple[str, str, int]) -> int:
        """How long readings last that say to last longer than until the next one; 0 where they do not.

        One alone, as a part of a block can be, is as long as those of its series that came before.
        """
        if len(starts) == 1:
            return self._steps.get(series, 0)
        step = _step(starts) if _seem_to_overlap(starts, longest) else 0
        if not 0 < step < longest or longest % step:  # a day of 86400 seconds where clocks change, a month of 31 days
            return 0
        if len(self._steps) < _MOST_LONG:
            self._steps[series] = step
        return step

    def _note_long(self, channel: Channel, columns: resources.Columns) -> None:
        """A utility wrote the instant of its export as the start of every month: they are kept, and told."""
        if (columns.durations[0] or 0) <= usage.LONGEST_DAY or len(self._long) > _MOST_LONG:
            return
        for start, duration in zip(columns.starts, columns.durations, strict=True):
            if self._long.setdefault((channel.row.pk, start), duration) != duration:
                self._remarks["reading", "it begins with a longer or shorter one: one of the starts is wrong"] += 1

    def _marked(self, entry: resources.Entry, columns: resources.Columns) -> resources.Columns:
        """With the quality RAW where all is provisional, whatever quality is told there."""
        if not self._rules.are_provisional(entry):
            return columns
        return replace(columns, qualities=[int(PROVISIONAL)] * len(columns.starts))

    def _scaled(self, columns: resources.Columns, fit: _Fit, multiplier: int) -> resources.Columns:
        try:
            values = fit(columns.values, multiplier)
        except TooFine as error:
            return self._scaled(self._without_fine(columns, str(error)), fit, multiplier)
        columns = columns if values is columns.values else replace(columns, values=list(values))
        if packing.fit(columns.values) and packing.fit(columns.costs or ()):
            return columns
        return self._without_giants(columns)

    def _without_fine(self, columns: resources.Columns, why: str) -> resources.Columns:
        keep = [index for index, value in enumerate(columns.values) if not packing.is_too_fine(value)]
        self._refused["reading", why] += len(columns.values) - len(keep)
        return _picked(columns, keep)

    def _without_giants(self, columns: resources.Columns) -> resources.Columns:
        keep = [
            index
            for index, value in enumerate(columns.values)
            if abs(value) <= packing.LARGEST and abs((columns.costs or {index: 0})[index] or 0) <= packing.LARGEST
        ]
        self._refused["reading", "a value or cost too large to be stored"] += len(columns.values) - len(keep)
        return _picked(columns, keep)


def _is_delta(kind: resources.ReadingType) -> bool:
    """Whether values are amounts of the time they cover, which cannot overlap."""
    is_amount = kind.uom in ADDABLE_UNITS and kind.kind != MeasurementKind.DEMAND
    return is_amount and kind.accumulation_behaviour in (None, AccumulationKind.NONE, AccumulationKind.DELTA_DATA)


def _seem_to_overlap(starts: list[int], duration: int) -> bool:
    """Whether the first reading lasts beyond the start of the second."""
    return len(starts) > 1 and 0 < abs(starts[1] - starts[0]) < duration


def _step(starts: list[int]) -> int:
    """The seconds between the starts of readings, gaps left out, where they are a grid; else 0."""
    ordered = sorted(set(starts))
    steps = {later - earlier for earlier, later in itertools.pairwise(ordered)}
    least = min(steps, default=0)
    return least if least and all(step % least == 0 for step in steps) else 0


def _picked(columns: resources.Columns, keep: list[int]) -> resources.Columns:
    picked = replace(columns)
    for name in ("starts", "durations", "values", "costs", "qualities", "tous", "tiers", "cpps"):
        column = getattr(columns, name)
        setattr(picked, name, column and [column[index] for index in keep])
    return picked
