"""Two channels that turn out to be one: readings, ids and audit trail of both in one row, at one multiplier."""

import itertools
from collections.abc import Iterator
from typing import Any

from django.db import DataError, connection, transaction
from django.db.models import UniqueConstraint

from espi import models, numbers, packing, storage, successions

_ROWS_AT_ONCE = 200
_SMALLEST_MULTIPLIER = -18
_RESCALED = (
    """UPDATE espi_intervalblock SET total = total * %(by)s / %(over)s, "values" = ARRAY(
        SELECT value * %(by)s / %(over)s FROM unnest("values") WITH ORDINALITY AS each (value, place) ORDER BY place
    ) WHERE meter_reading_id = %(id)s""",
    "UPDATE espi_intervalreading SET value = value * %(by)s / %(over)s WHERE meter_reading_id = %(id)s",
)
# Of values between two powers of the factor: none becomes what another of them is, which the table would not have.
_RESCALED_REVISIONS = """
    UPDATE espi_intervalrevision
    SET old_value = old_value * %(by)s / %(over)s, new_value = new_value * %(by)s / %(over)s
    WHERE meter_reading_id = %(id)s AND abs(old_value) >= %(low)s AND abs(old_value) < %(high)s"""
_HAS_GIANTS = """
    SELECT EXISTS (SELECT FROM espi_intervalblock WHERE meter_reading_id = %(id)s
            AND (%(most)s < ANY ("values") OR -%(most)s > ANY ("values")))
        OR EXISTS (SELECT FROM espi_intervalreading WHERE meter_reading_id = %(id)s AND abs(value) > %(most)s)"""
_ZEROS = """
    SELECT min(length(digits) - length(rtrim(digits, '0'))) FROM (
        SELECT unnest("values") FROM espi_intervalblock WHERE meter_reading_id = %(id)s
        UNION ALL SELECT value FROM espi_intervalreading WHERE meter_reading_id = %(id)s
        UNION ALL SELECT old_value FROM espi_intervalrevision WHERE meter_reading_id = %(id)s
        UNION ALL SELECT new_value FROM espi_intervalrevision WHERE meter_reading_id = %(id)s
    ) AS held (value), CAST(value AS text) AS digits WHERE value <> 0"""
_TOO_FINE_BESIDE = "a value with more digits than can be stored beside the ones that are here"


class NotStorable(ValueError):
    """Readings that cannot be stored exactly, or whose unit is unknown; the message says why."""


def refine(row: models.MeterReading, multiplier: int) -> None:
    """Bring all that is stored of a channel to a smaller power of ten. Raises NotStorable.

    Nothing may become larger than what is stored at all: a value like those that are here could not come any more.
    """
    if multiplier < _SMALLEST_MULTIPLIER:
        raise NotStorable("a value with more digits than can be stored exactly")
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            _rescale(cursor, row, by=10 ** (row.power_of_ten_multiplier - multiplier))
            cursor.execute(_HAS_GIANTS, {"id": row.pk, "most": packing.LARGEST})
            if cursor.fetchone()[0]:
                raise NotStorable(_TOO_FINE_BESIDE)
    except DataError:
        raise NotStorable(_TOO_FINE_BESIDE) from None
    row.power_of_ten_multiplier = multiplier
    row.save(update_fields=["power_of_ten_multiplier"])


def coarsen(row: models.MeterReading, multiplier: int) -> None:
    """Bring all that is stored of a channel to a larger power of ten, or as near to it as no digit is lost."""
    with connection.cursor() as cursor:
        cursor.execute(_ZEROS, {"id": row.pk})
        zeros = cursor.fetchone()[0]
        raised = min(multiplier - row.power_of_ten_multiplier, numbers.DIGITS if zeros is None else zeros)
        if raised > 0:
            _rescale(cursor, row, over=10**raised)
            row.power_of_ten_multiplier += raised
            row.save(update_fields=["power_of_ten_multiplier"])


def _rescale(cursor: Any, row: models.MeterReading, *, by: int = 1, over: int = 1) -> None:
    factors = {"by": by, "over": over, "id": row.pk}
    for statement in _RESCALED:
        cursor.execute(statement, factors)
    for low, high in _ranges(by, over):
        cursor.execute(_RESCALED_REVISIONS, factors | {"low": low, "high": high})


def _ranges(by: int, over: int) -> Iterator[tuple[int, int]]:
    """Of values, in an order in which each takes a place that is free by then: the largest first where they grow."""
    powers = [0, 1]
    while by != over and powers[-1] <= numbers.INT64.stop:
        powers.append(powers[-1] * max(by, over))
    found = [*itertools.pairwise(powers)]
    return reversed(found) if by > over else iter(found)


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
    """Let every row that belongs to `source` belong to `target`. Of two with one key the later published one does.

    The other, and of two of which neither tells when, the one of `source`, stays behind.
    """
    with connection.cursor() as cursor:
        for relation in model._meta.related_objects:
            for statement in _moving(relation.related_model, relation.field):
                cursor.execute(statement, {"source": source.pk, "target": target.pk})


def _moving(model: Any, field: Any) -> Iterator[str]:
    """The statements that move rows of a model, all at once."""
    quoted = connection.ops.quote_name
    table, owner = quoted(model._meta.db_table), quoted(field.column)
    alike = [_alike(constraint, model, field) for constraint in _keys_with(model, field)]
    if any(each.name == "published_at" for each in model._meta.fields):
        earlier = "coalesce(theirs.published_at, '-infinity') < coalesce(mine.published_at, '-infinity')"
        for same in alike:
            yield f"""DELETE FROM {table} AS theirs USING {table} AS mine
                WHERE mine.{owner} = %(source)s AND theirs.{owner} = %(target)s AND {same} AND {earlier}"""  # noqa: S608
    taken = "".join(
        f" AND NOT EXISTS (SELECT FROM {table} AS theirs WHERE theirs.{owner} = %(target)s AND {same})"
        for same in alike
    )
    yield f"UPDATE {table} AS mine SET {owner} = %(target)s WHERE mine.{owner} = %(source)s{taken}"  # noqa: S608


def _keys_with(model: Any, field: Any) -> Iterator[UniqueConstraint]:
    for constraint in model._meta.constraints:
        if isinstance(constraint, UniqueConstraint) and field.name in constraint.fields:
            yield constraint


def _alike(constraint: UniqueConstraint, model: Any, field: Any) -> str:
    """What two rows have in common that one key keeps from having the same owner."""
    equals = "IS NOT DISTINCT FROM" if constraint.nulls_distinct is False else "="
    columns = [connection.ops.quote_name(model._meta.get_field(name).column) for name in constraint.fields]
    others = [each for each in columns if each != connection.ops.quote_name(field.column)]
    return " AND ".join(f"theirs.{each} {equals} mine.{each}" for each in others)
