"""What followed what in one history: found when documents are stored, told on pages.

Of a MeterReading that is one meter's (Dialect.is_per_meter) another id is another meter, or another number of it. Where a
document lists both, one after the other, the meter was replaced; otherwise all we know is that the id changed.
"""

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import F, Q

from espi import models, numbers
from espi.usage import LONGEST_DAY

Span = tuple[int, int]
Reason = models.Succession.Reason


class Note(NamedTuple):
    """Something that a page says of a usage point: since when (aware UTC), and why.

    `other` is the public id of the usage point that may be the same service and is kept apart; `is_before`: it went before.
    """

    at: datetime
    reason: str
    other: UUID | None = None
    is_before: bool = False


def notes(usage_point: models.UsagePoint) -> list[Note]:
    """Oldest first; what happened to several channels at once, or to the whole service, is said once."""
    rows = models.Succession.objects.filter(Q(usage_point=usage_point) | Q(other=usage_point))
    columns = ("at", "reason", "meter_reading", "usage_point", "usage_point__public_id", "other__public_id")
    told: dict[Note, None] = {}
    of_the_service: set[int] = set()
    # Facts of the whole service first: they say why, where those of its channels only see another id.
    for at, reason, channel, own, public_id, other in rows.order_by(
        F("meter_reading").asc(nulls_first=True)
    ).values_list(*columns):
        if channel is None:
            of_the_service.add(at)
        elif at in of_the_service:
            continue
        is_before = own == usage_point.pk
        told[Note(numbers.from_epoch(at), reason, other and (other if is_before else public_id), is_before)] = None
    return sorted(told, key=lambda note: note.at)


def widen(channel: models.MeterReading, told: Mapping[str, Span]) -> list[models.MeterSpan]:
    """Note from when to when readings came under each id; all that is known of the channel, oldest first."""
    known = {row.resource_id: row for row in models.MeterSpan.objects.filter(meter_reading=channel)}
    for resource_id, (first, last) in told.items():
        row = known.get(resource_id)
        if row is None:
            row = models.MeterSpan(meter_reading=channel, resource_id=resource_id, first_start=first, last_end=last)
        elif row.first_start <= first and last <= row.last_end:
            continue
        row.first_start, row.last_end = min(row.first_start, first), max(row.last_end, last)
        row.save()
        known[resource_id] = row
    return sorted(known.values(), key=lambda row: (row.first_start, row.last_end))


def settle(
    channel: models.MeterReading,
    spans: Iterable[models.MeterSpan],
    together: set[str],
    document: models.Document | None,
) -> None:
    """Keep one Succession for each id that readings of a channel went on under. `together`: the ids of one document.

    Two ids that were both in use at one time are one meter's, numbered anew: nothing to tell.
    """
    known = {(row.earlier_id, row.later_id): row for row in models.Succession.objects.filter(meter_reading=channel)}
    for earlier, later in itertools.pairwise(spans):
        if later.first_start < earlier.last_end:
            continue
        ids = (earlier.resource_id, later.resource_id)
        row = known.pop(ids, None) or models.Succession(
            usage_point_id=channel.usage_point_id,
            meter_reading=channel,
            earlier_id=ids[0],
            later_id=ids[1],
            reason=Reason.RENUMBERED,
            document=document,
        )
        reason = Reason.REPLACED if together.issuperset(ids) else row.reason
        if (row.at, row.reason) != (later.first_start, reason) or row.pk is None:
            row.at, row.reason = later.first_start, reason
            row.save()
    for row in known.values():
        row.delete()


def settle_change_over(
    usage_point: models.UsagePoint, told: Mapping[int, Collection[str]], document: models.Document
) -> None:
    """Two meters that share no more than the day of the change: both were sent with a whole day, one as zeros.

    Their readings are in two channels, since they overlap; shown as one. `told`: by channel, the ids of this document.
    """
    rows = models.MeterSpan.objects.filter(meter_reading__usage_point=usage_point).select_related("meter_reading")
    by_quantity: dict[str, list[models.MeterSpan]] = defaultdict(list)
    for row in rows:
        by_quantity[row.meter_reading.channel.partition("#")[0]].append(row)
    whole = models.Succession.objects.filter(usage_point=usage_point, meter_reading=None, reason=Reason.REPLACED)
    known = {(row.earlier_id, row.later_id): row for row in whole}
    for spans in by_quantity.values():
        for earlier, later in itertools.permutations(spans, 2):
            ids = (earlier.resource_id, later.resource_id)
            fact = known.get(ids)
            if not _takes_over(earlier, later):
                if fact:
                    fact.delete()
            elif fact is None and _both_told(earlier, later, told):
                made = {"usage_point": usage_point, "earlier_id": ids[0], "later_id": ids[1], "at": later.first_start}
                models.Succession.objects.create(**made, reason=Reason.REPLACED, document=document)


def _takes_over(earlier: models.MeterSpan, later: models.MeterSpan) -> bool:
    is_after = earlier.first_start < later.first_start and earlier.last_end < later.last_end
    shared = earlier.last_end - later.first_start
    return is_after and earlier.meter_reading_id != later.meter_reading_id and 0 < shared <= LONGEST_DAY


def _both_told(earlier: models.MeterSpan, later: models.MeterSpan, told: Mapping[int, Collection[str]]) -> bool:
    return all(span.resource_id in told.get(span.meter_reading_id, ()) for span in (earlier, later))
