"""Two channels that turn out to be one: readings, ids and audit trail of both in one row, at one multiplier."""

import itertools
from contextlib import suppress
from typing import Any

from django.db import DataError, IntegrityError, connection, transaction

from espi import models, numbers, packing, storage, successions

_ROWS_AT_ONCE = 200
_SMALLEST_MULTIPLIER = -18
_RESCALED = (
    """UPDATE espi_intervalblock SET total = total * %(by)s, "values" = ARRAY(
        SELECT value * %(by)s FROM unnest("values") WITH ORDINALITY AS each (value, place) ORDER BY place
    ) WHERE meter_reading_id = %(id)s""",
    "UPDATE espi_intervalreading SET value = value * %(by)s WHERE meter_reading_id = %(id)s",
)
# Of values between two powers of the factor: none becomes what another of them is, which the table would not have.
_RESCALED_REVISIONS = """
    UPDATE espi_intervalrevision SET old_value = old_value * %(by)s, new_value = new_value * %(by)s
    WHERE meter_reading_id = %(id)s AND abs(old_value) >= %(low)s AND abs(old_value) < %(high)s"""
_HAS_GIANTS = """
    SELECT EXISTS (SELECT FROM espi_intervalblock WHERE meter_reading_id = %(id)s
            AND (%(most)s < ANY ("values") OR -%(most)s > ANY ("values")))
        OR EXISTS (SELECT FROM espi_intervalreading WHERE meter_reading_id = %(id)s AND abs(value) > %(most)s)"""
_TOO_FINE_BESIDE = "a value with more digits than can be stored beside the ones that are here"


class NotStorable(ValueError):
    """Readings that cannot be stored exactly, or whose unit is unknown; the message says why."""


def refine(row: models.MeterReading, multiplier: int) -> None:
    """Bring all that is stored of a channel to a smaller power of ten. Raises NotStorable.

    Nothing may become larger than what is stored at all: a value like those that are here could not come any more.
    """
    if multiplier < _SMALLEST_MULTIPLIER:
        raise NotStorable("a value with more digits than can be stored exactly")
    by = 10 ** (row.power_of_ten_multiplier - multiplier)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            for statement in _RESCALED:
                cursor.execute(statement, {"by": by, "id": row.pk})
            _rescale_revisions(cursor, row, by)
            cursor.execute(_HAS_GIANTS, {"id": row.pk, "most": packing.LARGEST})
            if cursor.fetchone()[0]:
                raise NotStorable(_TOO_FINE_BESIDE)
    except DataError:
        raise NotStorable(_TOO_FINE_BESIDE) from None
    row.power_of_ten_multiplier = multiplier
    row.save(update_fields=["power_of_ten_multiplier"])


def _rescale_revisions(cursor: Any, row: models.MeterReading, by: int) -> None:
    """The largest first: each takes a place that is free by then."""
    powers = [0, 1]
    while by > 1 and powers[-1] <= numbers.INT64.stop:
        powers.append(powers[-1] * by)
    for low, high in reversed([*itertools.pairwise(powers)]):
        cursor.execute(_RESCALED_REVISIONS, {"by": by, "id": row.pk, "low": low, "high": high})


def merge(target: models.MeterReading, channel: models.MeterReading) -> None:
    """Put all of `channel` into `target`, as if one document after the other had told it of that; it is deleted.

    Inside a transaction. Raises NotStorable.
    """
    finest = min(target.power_of_ten_multiplier, channel.power_of_ten_multiplier)
    for row in (target, channel):
        if row.power_of_ten_multiplier > finest:
            refine(row, finest)
    _merge_readings(target, channel)
    spans = {row.resource_id: (row.first_start, row.last_end) for row in channel.spans.all()}
    move_aliases(channel, target, target.usage_point)
    models.Succession.objects.filter(meter_reading=channel).update(usage_point=target.usage_point)
    move_rows(models.MeterReading, channel, target)
    if spans:
        successions.settle(target, successions.widen(target, spans), set(), None)
    channel.delete()


def move_aliases(channel: models.MeterReading, target: models.MeterReading, kept: models.UsagePoint) -> None:
    """An id that stands for another channel of `kept` goes on standing for that."""
    taken = models.MeterReadingAlias.objects.filter(usage_point=kept).values_list("resource_id", flat=True)
    rows = models.MeterReadingAlias.objects.filter(meter_reading=channel).exclude(usage_point=kept)
    rows.filter(resource_id__in=list(taken)).delete()
    rows.update(usage_point=kept, meter_reading=target)


def _merge_readings(target: models.MeterReading, channel: models.MeterReading) -> None:
    batch = storage.Batch(document_id=0)
    for block in channel.interval_blocks.order_by("local_date").iterator(_ROWS_AT_ONCE):
        batch.add([storage.day_of(block, target.pk)], [])
        if len(batch.days) >= _ROWS_AT_ONCE:
            batch.write()
    for reading in channel.interval_readings.iterator(_ROWS_AT_ONCE):
        batch.add([], [storage.single_of(reading, target.pk)])
    batch.write()
    channel.interval_blocks.all().delete()
    channel.interval_readings.all().delete()


def move_rows(model: Any, source: Any, target: Any) -> None:
    """Let every row that belongs to `source` belong to `target`; one that is there already in the same form stays behind."""
    for relation in model._meta.related_objects:
        rows = relation.related_model._base_manager.filter(**{relation.field.name: source})
        try:
            with transaction.atomic():
                rows.update(**{relation.field.name: target})
        except IntegrityError:
            for row in rows:
                _move_one(relation, row, target)


def _move_one(relation: Any, row: Any, target: Any) -> None:
    """Of two rows of one name, such as two bills of one period, the one that was published later stays."""
    rows = relation.related_model._base_manager
    published_at, start = getattr(row, "published_at", None), getattr(row, "start", None)
    with suppress(IntegrityError), transaction.atomic():
        if published_at is not None and start is not None:
            rows.filter(**{relation.field.name: target}, start=start, published_at__lt=published_at).delete()
        rows.filter(pk=row.pk).update(**{relation.field.name: target})
