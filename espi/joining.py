"""Two usage points that are one service: how we know, and how their histories become one.

A utility names a service anew when its customer connects again, when his contract changes, when a meter is replaced. Two
homes must never become one history. So one of these is needed, and none that speaks against it:

* the same readings, told under both ids for the same times: many, not zero, and of many sizes;
* the same meter, by its serial number in the customer data;
* the same place there (id and address), of one service, where one's readings end as the other's begin, and no third fits.

That one ends where the other begins, in one account, is no proof: somebody moved. It is told on both pages instead.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from django.db import connection
from django.db.models import Q

from espi import bills, customers, merging, models, usage_points
from espi.models import ServicePlace, Succession
from espi.records import Record

Reason = Succession.Reason
Pair = tuple[models.UsagePoint, models.UsagePoint]
_ChannelPair = tuple[models.MeterReading, models.MeterReading]
LONGEST_PAUSE = 31 * 86400  # seconds between the last reading of one and the first of the next
_COMPARED = 60  # days, or single readings, of a channel
_ENOUGH = 24  # readings that are not 0
_SIZES = 12  # different ones among them: of many small whole numbers two homes may have the same
_TOO_FEW = 8


class Verdict(Enum):
    """What the readings of two usage points say about their being one."""

    SAME = "same"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Evidence:
    """Why two usage points are one service; `at`: epoch seconds since which it has the later one's name."""

    reason: str
    earlier: models.UsagePoint
    later: models.UsagePoint
    at: int


@dataclass(frozen=True)
class Held:
    """From when to when there are readings of a usage point, in epoch seconds."""

    first: int
    last: int


def note_that_one_may_follow(found: Evidence, document: models.Document | None) -> None:
    """Keep it as a fact for both pages."""
    Succession.objects.update_or_create(
        usage_point=found.later,
        meter_reading=None,
        earlier_id=found.earlier.resource_id,
        later_id=found.later.resource_id,
        defaults={"at": found.at, "reason": Reason.MAYBE, "other": found.earlier, "document": document},
    )


def forget_what_no_longer_holds(usage_points: Sequence[models.UsagePoint]) -> None:
    """Two that were seen to follow each other may turn out to run side by side."""
    rows = Succession.objects.filter(reason=Reason.MAYBE, usage_point__in=usage_points)
    told = list(rows.select_related("other", "usage_point"))
    found = Comparison([each for row in told for each in (row.other, row.usage_point) if each]) if told else None
    past = [row.pk for row in told if found and not (row.other and found.is_in_turn(row.other, row.usage_point))]
    Succession.objects.filter(pk__in=past).delete()


class Comparison:
    """All usage points of a customer at one utility, side by side: which of them are one service, and why.

    What is compared is read at once for all of them, in a few statements however many they are.
    """

    def __init__(self, points: Iterable[models.UsagePoint], pairs: Iterable[Pair] = ()) -> None:
        """`pairs`: those that will be asked for; their readings are compared at once."""
        self._points = {point.pk: point for point in points}
        self._held = held(self._points)
        self._places = _places(self._points.values())
        self._channels: dict[int, list[models.MeterReading]] = defaultdict(list)
        for channel in models.MeterReading.objects.filter(usage_point__in=self._points).order_by("pk"):
            self._channels[channel.usage_point_id].append(channel)
        self._verdicts: dict[tuple[int, int], Verdict] = {}
        self._read([pair for pair in pairs if self._may_be_one(*pair)])

    def evidence(self, one: models.UsagePoint, other: models.UsagePoint) -> Evidence | None:
        """Why they are one; None if nothing says so."""
        verdict = self.compare(one, other) if self._may_be_one(one, other) else Verdict.DIFFERENT
        if verdict == Verdict.DIFFERENT:
            return None
        if verdict == Verdict.SAME:
            return self._since(Reason.SAME_READINGS, one, other)
        if self._shared(one, other, ServicePlace.Kind.METER):
            return self._since(Reason.SAME_METER, one, other)
        found = self._followed(one, other, Reason.SAME_PLACE)
        return found if found and self._shared(one, other, ServicePlace.Kind.LOCATION) else None

    def may_follow(self, one: models.UsagePoint, other: models.UsagePoint) -> Evidence | None:
        """Whether one ends where the other begins, and no third does: worth telling, and no proof."""
        return self._followed(one, other, Reason.MAYBE) if self._are_alike(one, other) else None

    def is_in_turn(self, one: models.UsagePoint, other: models.UsagePoint) -> bool:
        """Whether one ends where the other begins, whatever a third one does."""
        return self._are_alike(one, other) and self._in_turn(one, other, Reason.MAYBE) is not None

    def compare(self, one: models.UsagePoint, other: models.UsagePoint) -> Verdict:
        """By the latest times of which both have readings. One quantity that differs outweighs all that are the same.

        Two flats with equal shares of one roof's solar power have the same readings of what was sent out.
        """
        if (one.pk, other.pk) not in self._verdicts:
            self._read([(one, other)])
        return self._verdicts[one.pk, other.pk]

    def _are_alike(self, one: models.UsagePoint, other: models.UsagePoint) -> bool:
        is_one_kind = one.service_kind == other.service_kind and one.time_zone == other.time_zone
        return is_one_kind and one.pk in self._held and other.pk in self._held

    def _may_be_one(self, one: models.UsagePoint, other: models.UsagePoint) -> bool:
        return self._are_alike(one, other) and not self._are_elsewhere(one, other)

    def _since(self, reason: str, one: models.UsagePoint, other: models.UsagePoint) -> Evidence:
        """The later one is whose readings go on longer; it has its name since the earlier one's end if they overlap."""
        if self._held[one.pk].last > self._held[other.pk].last:
            one, other = other, one
        return Evidence(reason, one, other, max(self._held[one.pk].last, self._held[other.pk].first))

    def _followed(self, one: models.UsagePoint, other: models.UsagePoint, reason: str) -> Evidence | None:
        found = self._in_turn(one, other, reason)
        others = (each for pk, each in self._points.items() if pk not in (one.pk, other.pk))
        return found if found and not any(self._fits(each, found) for each in others) else None

    def _in_turn(self, one: models.UsagePoint, other: models.UsagePoint, reason: str) -> Evidence | None:
        if self._held[one.pk].first > self._held[other.pk].first:
            one, other = other, one
        at = self._held[other.pk].first
        return Evidence(reason, one, other, at) if 0 <= at - self._held[one.pk].last <= LONGEST_PAUSE else None

    def _fits(self, third: models.UsagePoint, found: Evidence) -> bool:
        """Whether a third usage point of the service begins or ends around the same time too."""
        span = self._held.get(third.pk)
        if third.service_kind != found.earlier.service_kind or span is None:
            return False
        return abs(span.first - found.at) <= LONGEST_PAUSE or abs(span.last - found.at) <= LONGEST_PAUSE

    def _shared(self, one: models.UsagePoint, other: models.UsagePoint, kind: str) -> bool:
        return bool(self._places[one.pk, kind] & self._places[other.pk, kind])

    def _are_elsewhere(self, one: models.UsagePoint, other: models.UsagePoint) -> bool:
        """Whether both have a place, and none in common: two homes, whatever else is the same."""
        kind = ServicePlace.Kind.LOCATION
        return bool(self._places[one.pk, kind] and self._places[other.pk, kind]) and not self._shared(one, other, kind)

    def _read(self, pairs: Sequence[Pair]) -> None:
        """Compare the readings of pairs."""
        alike = {(one.pk, other.pk): self._channel_pairs(one, other) for one, other in pairs}
        found = _compared(pair for channels in alike.values() for candidates in channels for pair in candidates)
        for key, channels in alike.items():
            told = [{found[one.pk, other.pk] for one, other in candidates} for candidates in channels]
            self._verdicts[key] = _verdict_by_channels(told)

    def _channel_pairs(self, one: models.UsagePoint, other: models.UsagePoint) -> list[list[_ChannelPair]]:
        """For each channel of `other`, registers left out, those of `one` that it may be; none if they share no time."""
        spans = [self._held[each.pk] for each in (one, other) if each.pk in self._held]
        if len(spans) < 2 or max(span.first for span in spans) >= min(span.last for span in spans):
            return []
        channels = [channel for channel in self._channels[other.pk] if not channel.is_register]
        return [[(each, channel) for each in _alike(self._channels[one.pk], channel)] for channel in channels]


_HELD = """
SELECT channel.usage_point_id, min(told.first), max(told.last)
FROM espi_meterreading AS channel
CROSS JOIN LATERAL (
    (SELECT start, interval_length, "values" FROM espi_intervalblock
    WHERE meter_reading_id = channel.id ORDER BY local_date LIMIT 1)
    UNION ALL
    (SELECT start, interval_length, "values" FROM espi_intervalblock
    WHERE meter_reading_id = channel.id ORDER BY local_date DESC LIMIT 1)
    UNION ALL
    (SELECT start, duration, ARRAY[value] FROM espi_intervalreading
    WHERE meter_reading_id = channel.id ORDER BY start LIMIT 1)
    UNION ALL
    (SELECT start, duration, ARRAY[value] FROM espi_intervalreading
    WHERE meter_reading_id = channel.id ORDER BY start DESC LIMIT 1)
) AS piece (start, length, "values")
CROSS JOIN LATERAL (
    SELECT piece.start + (min(place) - 1) * piece.length, piece.start + max(place) * piece.length
    FROM unnest(piece."values") WITH ORDINALITY AS each (value, place) WHERE value IS NOT NULL
) AS told (first, last)
WHERE channel.usage_point_id = ANY(%s) AND told.first IS NOT NULL
GROUP BY channel.usage_point_id
"""


def held(usage_points: Iterable[int]) -> dict[int, Held]:
    """From when to when there are readings, by usage points' pk; those without any are left out."""
    with connection.cursor() as cursor:
        cursor.execute(_HELD, [list(usage_points)])
        return {pk: Held(first, last) for pk, first, last in cursor.fetchall()}


def _places(points: Iterable[models.UsagePoint]) -> Mapping[tuple[int, str], set[str]]:
    """What is known of where usage points are and of their meters, by pk and kind."""
    by_id = defaultdict(set)
    for point in points:
        by_id[point.subscription_id, point.resource_id].add(point.pk)
    pks = {pk: subscription for (subscription, _), pks in by_id.items() for pk in pks}
    for pk, name in models.UsagePointAlias.objects.filter(usage_point__in=pks).values_list(
        "usage_point", "resource_id"
    ):
        by_id[pks[pk], name].add(pk)
    found: dict[tuple[int, str], set[str]] = defaultdict(set)
    rows = ServicePlace.objects.filter(subscription__in=set(pks.values()))
    for subscription, name, kind, digest in rows.values_list("subscription", "resource_id", "kind", "digest"):
        for pk in by_id.get((subscription, name), ()):
            found[pk, kind].add(digest)
    return found


# --- Readings ---------------------------------------------------------------------------------------------------------

_AT_ONCE = """
SELECT pair.one, pair.other, count(*), count(*) FILTER (WHERE a * one_by = b * other_by), count(DISTINCT a)
FROM unnest(%s::bigint[], %s::bigint[], %s::numeric[], %s::numeric[]) AS pair (one, other, one_by, other_by)
CROSS JOIN LATERAL (
    SELECT a, b FROM (
        SELECT mine."values" AS mine, its."values" AS its
        FROM espi_intervalblock AS its JOIN espi_intervalblock AS mine USING (local_date, interval_length)
        WHERE mine.meter_reading_id = pair.one AND its.meter_reading_id = pair.other
        ORDER BY local_date DESC, interval_length DESC LIMIT %s
    ) AS days CROSS JOIN LATERAL unnest(days.mine, days.its) AS each (a, b)
    UNION ALL
    (SELECT mine.value, its.value
    FROM espi_intervalreading AS its JOIN espi_intervalreading AS mine USING (start, duration)
    WHERE mine.meter_reading_id = pair.one AND its.meter_reading_id = pair.other
    ORDER BY start DESC, duration DESC LIMIT %s)
) AS told (a, b)
WHERE a IS NOT NULL AND b IS NOT NULL AND (a <> 0 OR b <> 0)
GROUP BY pair.one, pair.other
"""


def _compared(pairs: Iterable[_ChannelPair]) -> dict[tuple[int, int], Verdict]:
    """What the readings of each pair of channels say, in one statement for all of them."""
    channels = {(one.pk, other.pk): (one, other) for one, other in pairs}
    if not channels:
        return {}
    columns = [
        (one.pk, other.pk, 10 ** max(0, _finer(one, other)), 10 ** max(0, _finer(other, one)))
        for one, other in channels.values()
    ]
    with connection.cursor() as cursor:
        cursor.execute(_AT_ONCE, [*map(list, zip(*columns, strict=True)), _COMPARED, _COMPARED])
        told = {(one, other): counts for one, other, *counts in cursor.fetchall()}
    return {key: _verdict_by_counts(*told.get(key, (0, 0, 0))) for key in channels}


def _finer(one: models.MeterReading, other: models.MeterReading) -> int:
    """By how many powers of ten the other one's values are finer."""
    return one.power_of_ten_multiplier - other.power_of_ten_multiplier


def _verdict_by_counts(both: int, same: int, sizes: int) -> Verdict:
    """Of two channels with so many readings of the same times, not both 0."""
    if both >= _ENOUGH and same * 20 >= both * 19 and sizes >= _SIZES:
        return Verdict.SAME
    return Verdict.DIFFERENT if both >= _TOO_FEW and same * 2 < both else Verdict.UNKNOWN


def _verdict_by_channels(channels: Iterable[set[Verdict]]) -> Verdict:
    """Of two usage points, by what each channel of one says beside the channels of the other that it may be."""
    told = set()
    for found in channels:
        is_clear = len(found) == 1 or Verdict.SAME in found
        told.add((Verdict.SAME if Verdict.SAME in found else next(iter(found))) if is_clear else Verdict.UNKNOWN)
    return next((each for each in (Verdict.DIFFERENT, Verdict.SAME) if each in told), Verdict.UNKNOWN)


def _alike(channels: Iterable[models.MeterReading], channel: models.MeterReading) -> Iterator[models.MeterReading]:
    """Those that measure the same quantity."""
    stem = channel.channel.partition("#")[0]
    return (each for each in channels if each.channel.partition("#")[0] == stem)


# --- One history ------------------------------------------------------------------------------------------------------


def join(kept: models.UsagePoint, joined: models.UsagePoint, why: Evidence, document: models.Document | None) -> None:
    """Put everything of `joined` into `kept`, to which both ids lead from now on; inside a transaction.

    Readings of the same time are merged as those of two documents are. Raises merging.NotStorable.
    """
    ids = (why.earlier.resource_id, why.later.resource_id)
    _merge(kept, joined)
    Succession.objects.update_or_create(
        usage_point=kept,
        meter_reading=None,
        earlier_id=ids[0],
        later_id=ids[1],
        defaults={"at": why.at, "reason": why.reason, "document": document},
    )


def absorb(kept: models.Subscription, joined: models.Subscription) -> None:
    """Put everything of a subscription into another one of the same account, authorizations too; `joined` is deleted."""
    for usage_point in joined.usage_points.all():
        twin = kept.usage_points.filter(
            Q(resource_id=usage_point.resource_id) | Q(aliases__resource_id=usage_point.resource_id)
        ).first()
        if twin:
            _merge(twin, usage_point)
    aliases = models.UsagePointAlias.objects
    known = list(aliases.filter(subscription=kept).values_list("resource_id", flat=True))
    aliases.filter(subscription=joined).exclude(resource_id__in=known).update(subscription=kept)
    customers.move(joined, kept)
    merging.move_rows(models.Subscription, joined, kept)
    joined.delete()


def _merge(kept: models.UsagePoint, joined: models.UsagePoint) -> None:
    for channel in joined.meter_readings.all():
        if target := _counterpart(kept, channel):
            merging.merge(target, channel)
        else:
            _move_channel(channel, kept)
    Succession.objects.filter(other=joined).update(other=kept)
    Succession.objects.filter(usage_point=joined, other=kept).delete()
    Succession.objects.filter(usage_point=kept, other=kept).delete()
    for bill in joined.usage_summaries.all():
        bills.move(bill, kept)
    merging.move_rows(models.UsagePoint, joined, kept)
    usage_points.store(Record(joined.said, joined.said_at), kept)
    _move_names(joined, kept)
    models.FormerUsagePoint.objects.create(public_id=joined.public_id, usage_point=kept)
    joined.delete()


def _move_names(joined: models.UsagePoint, kept: models.UsagePoint) -> None:
    """The ids of `joined` lead to `kept`, and bring with them what places are known of them."""
    aliases = models.UsagePointAlias.objects
    former, subscription = joined.subscription_id, kept.subscription
    aliases.filter(usage_point=kept).update(subscription=subscription)
    if joined.resource_id != kept.resource_id:
        aliases.update_or_create(
            subscription=subscription, resource_id=joined.resource_id, defaults={"usage_point": kept}
        )
    ids = [joined.resource_id, *aliases.filter(usage_point=kept).values_list("resource_id", flat=True)]
    places = ServicePlace.objects.filter(subscription=former, resource_id__in=ids)
    copies = [
        ServicePlace(subscription=subscription, **place) for place in places.values("resource_id", "kind", "digest")
    ]
    ServicePlace.objects.bulk_create(copies, ignore_conflicts=True)


def _counterpart(kept: models.UsagePoint, channel: models.MeterReading) -> models.MeterReading | None:
    """The channel of the same quantity and, of two meters, the same meter; None if the quantity, or the meter, is new."""
    alike = list(_alike(kept.meter_readings.order_by("pk"), channel))
    verdicts = _compared((each, channel) for each in alike)
    same = [each for each in alike if verdicts[each.pk, channel.pk] == Verdict.SAME]
    possible = [each for each in alike if verdicts[each.pk, channel.pk] == Verdict.UNKNOWN]
    named = [each for each in possible if each.channel == channel.channel]
    return next(iter((*same, *named, *possible)), None)


def _move_channel(channel: models.MeterReading, kept: models.UsagePoint) -> None:
    stem = channel.channel.partition("#")[0]
    taken = set(kept.meter_readings.values_list("channel", flat=True))
    names = (stem if ordinal == 1 else f"{stem}#{ordinal}" for ordinal in itertools.count(1))
    channel.channel, channel.usage_point = next(name for name in names if name not in taken), kept
    channel.save(update_fields=["channel", "usage_point"])
    merging.move_aliases(channel, channel, kept)
    Succession.objects.filter(meter_reading=channel).update(usage_point=kept)
