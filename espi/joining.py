"""Two usage points that are one service: how we know, and how their histories become one.

A utility names a service anew when its customer connects again, when his contract changes, when a meter is replaced. Two
homes must never become one history. So one of these is needed, and none that speaks against it:

* the same readings, told under both ids for the same times: many, not zero, and of many sizes;
* the same meter, by its serial number in the customer data;
* the same place there (id and address), of one service, where one's readings end as the other's begin, and no third fits.

That one ends where the other begins, in one account, is no proof: somebody moved. It is told on both pages instead.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from django.db.models import Q

from espi import bills, customers, merging, models, packing, said, usage_points
from espi.models import ServicePlace, Succession

Reason = Succession.Reason
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
class _Held:
    """From when to when there are readings of a usage point, in epoch seconds."""

    first: int
    last: int


def evidence(
    one: models.UsagePoint, other: models.UsagePoint, others: Sequence[models.UsagePoint] = ()
) -> Evidence | None:
    """Why they are one; None if nothing says so. `others`: all further usage points of the customer at that utility."""
    if one.service_kind != other.service_kind or one.time_zone != other.time_zone:
        return None
    spans = held(one), held(other)
    if spans[0] is None or spans[1] is None or _are_elsewhere(one, other):
        return None
    verdict = compare(one, other)
    if verdict == Verdict.DIFFERENT:
        return None
    if verdict == Verdict.SAME:
        return _since(Reason.SAME_READINGS, one, other, spans[0], spans[1])
    if _shared(one, other, ServicePlace.Kind.METER):
        return _since(Reason.SAME_METER, one, other, spans[0], spans[1])
    found = _in_turn(one, other, spans[0], spans[1], Reason.SAME_PLACE)
    if found is None or any(_fits(each, one, found) for each in others):
        return None
    return found if _shared(one, other, ServicePlace.Kind.LOCATION) else None


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
    for row in Succession.objects.filter(reason=Reason.MAYBE, usage_point__in=usage_points).select_related("other"):
        if row.other is None or not may_follow(row.other, row.usage_point):
            row.delete()


def may_follow(
    one: models.UsagePoint, other: models.UsagePoint, others: Sequence[models.UsagePoint] = ()
) -> Evidence | None:
    """Whether one ends where the other begins, and no third does: worth telling, and no proof."""
    if one.service_kind != other.service_kind or one.time_zone != other.time_zone:
        return None
    spans = held(one), held(other)
    if spans[0] is None or spans[1] is None:
        return None
    found = _in_turn(one, other, spans[0], spans[1], Reason.MAYBE)
    return found if found and not any(_fits(each, one, found) for each in others) else None


def _since(reason: str, one: models.UsagePoint, other: models.UsagePoint, span: _Held, other_span: _Held) -> Evidence:
    """The later one is whose readings go on longer; it has its name since the earlier one's end, if they overlap."""
    if span.last > other_span.last:
        one, other, span, other_span = other, one, other_span, span
    return Evidence(reason, one, other, max(span.last, other_span.first))


def _in_turn(
    one: models.UsagePoint, other: models.UsagePoint, span: _Held, other_span: _Held, reason: str
) -> Evidence | None:
    if span.first > other_span.first:
        one, other, span, other_span = other, one, other_span, span
    pause = other_span.first - span.last
    return Evidence(reason, one, other, other_span.first) if 0 <= pause <= LONGEST_PAUSE else None


def _fits(third: models.UsagePoint, one: models.UsagePoint, found: Evidence) -> bool:
    """Whether a third usage point of the service begins or ends around the same time too."""
    if third.service_kind != one.service_kind or not (span := held(third)):
        return False
    return abs(span.first - found.at) <= LONGEST_PAUSE or abs(span.last - found.at) <= LONGEST_PAUSE


def held(usage_point: models.UsagePoint) -> _Held | None:
    """None without any reading."""
    firsts, lasts = [], []
    for row in usage_point.meter_readings.all():
        blocks = row.interval_blocks.order_by("local_date")
        for block in (blocks.first(), blocks.last()):
            known = [index for index, value in enumerate(block.values) if value is not None] if block else []
            if block and known:
                firsts.append(block.start + known[0] * block.interval_length)
                lasts.append(block.start + (known[-1] + 1) * block.interval_length)
        singles = row.interval_readings.order_by("start")
        for single in (singles.first(), singles.last()):
            if single:
                firsts.append(single.start)
                lasts.append(single.start + single.duration)
    return _Held(min(firsts), max(lasts)) if firsts else None


# --- Places -----------------------------------------------------------------------------------------------------------


def _digests(usage_point: models.UsagePoint, kind: str) -> set[str]:
    ids = [usage_point.resource_id, *usage_point.aliases.values_list("resource_id", flat=True)]
    rows = ServicePlace.objects.filter(subscription=usage_point.subscription_id, resource_id__in=ids, kind=kind)
    return set(rows.values_list("digest", flat=True))


def _shared(one: models.UsagePoint, other: models.UsagePoint, kind: str) -> bool:
    return bool(_digests(one, kind) & _digests(other, kind))


def _are_elsewhere(one: models.UsagePoint, other: models.UsagePoint) -> bool:
    """Whether both have a place, and none in common: two homes, whatever else is the same."""
    places = _digests(one, ServicePlace.Kind.LOCATION), _digests(other, ServicePlace.Kind.LOCATION)
    return bool(places[0] and places[1] and not places[0] & places[1])


# --- Readings ---------------------------------------------------------------------------------------------------------


def compare(one: models.UsagePoint, other: models.UsagePoint) -> Verdict:
    """By the times of which both have readings, the latest ones. One quantity that differs outweighs all that are the same.

    Two flats with equal shares of one roof's solar power have the same readings of what was sent out.
    """
    verdicts = set()
    for channel in other.meter_readings.filter(is_register=False):
        candidates = list(_alike(one, channel))
        found = {_compared(each, channel) for each in candidates}
        verdicts.add(Verdict.SAME if Verdict.SAME in found else found.pop() if len(found) == 1 else Verdict.UNKNOWN)
    return next((each for each in (Verdict.DIFFERENT, Verdict.SAME) if each in verdicts), Verdict.UNKNOWN)


def _alike(usage_point: models.UsagePoint, channel: models.MeterReading) -> Iterator[models.MeterReading]:
    """Channels that measure the same quantity."""
    stem = channel.channel.partition("#")[0]
    return (each for each in usage_point.meter_readings.all() if each.channel.partition("#")[0] == stem)


def _compared(one: models.MeterReading, other: models.MeterReading) -> Verdict:
    pairs = [(a, b) for a, b in (*_days_of_both(one, other), *_singles_of_both(one, other)) if a or b]
    same = sum(a == b for a, b in pairs)
    if len(pairs) >= _ENOUGH and same * 20 >= len(pairs) * 19 and len({a for a, _ in pairs}) >= _SIZES:
        return Verdict.SAME
    return Verdict.DIFFERENT if len(pairs) >= _TOO_FEW and same * 2 < len(pairs) else Verdict.UNKNOWN


def _days_of_both(one: models.MeterReading, other: models.MeterReading) -> Iterator[tuple[Decimal, Decimal]]:
    days = one.interval_blocks.values("local_date", "interval_length")
    shared = other.interval_blocks.filter(local_date__in=days.values("local_date")).order_by("-local_date")[:_COMPARED]
    theirs = {(row.local_date, row.interval_length): row for row in shared}
    for row in one.interval_blocks.filter(local_date__in={day for day, _ in theirs}):
        twin = theirs.get((row.local_date, row.interval_length))
        for mine, its in zip(row.values, twin.values, strict=True) if twin else ():
            if mine is not None and its is not None:
                yield _quantity(mine, one), _quantity(its, other)


def _singles_of_both(one: models.MeterReading, other: models.MeterReading) -> Iterator[tuple[Decimal, Decimal]]:
    latest = other.interval_readings.filter(start__in=one.interval_readings.values("start")).order_by("-start")
    theirs = {(row.start, row.duration): row.value for row in latest[:_COMPARED]}
    for row in one.interval_readings.filter(start__in={start for start, _ in theirs}):
        if (row.start, row.duration) in theirs:
            yield _quantity(row.value, one), _quantity(theirs[row.start, row.duration], other)


def _quantity(value: int, channel: models.MeterReading) -> Decimal:
    return packing.quantity(value, channel.power_of_ten_multiplier)


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
    usage_points.store(said.Record(joined.said, joined.said_at), kept)
    _move_names(joined, kept)
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
    verdicts = {each: _compared(each, channel) for each in _alike(kept, channel)}
    same = [each for each, verdict in verdicts.items() if verdict == Verdict.SAME]
    possible = [each for each, verdict in verdicts.items() if verdict == Verdict.UNKNOWN]
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
