"""The plain row table that the packed one is compared with: a Django model as tutorials write it, and its upsert."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from zlib import crc32

from django.core.management import call_command
from django.db import DatabaseError, connection, models, transaction
from lxml import etree

from tests.bench.documents import ATOM, ESPI
from tests.bench.measure import Sample, measuring

_A, _E = f"{{{ATOM}}}", f"{{{ESPI}}}"
BATCH = 1000


class PlainReading(models.Model):
    """One reading, one row."""

    meter = models.BigIntegerField()
    start = models.DateTimeField()
    duration = models.IntegerField()
    value = models.BigIntegerField()
    cost = models.BigIntegerField(null=True)
    quality = models.SmallIntegerField(null=True)

    class Meta:
        app_label = "bench"
        db_table = "bench_plainreading"
        constraints = [models.UniqueConstraint(fields=["meter", "start"], name="bench_one_reading_per_start")]


def make_tables() -> Sample:
    """Every table; and the extension that tells what was written for whom, where we may have it."""
    with measuring() as sample:
        call_command("migrate", verbosity=0)
        with suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION pg_walinspect")
        with connection.schema_editor() as editor:
            editor.create_model(PlainReading)
    return sample


def copy_readings() -> Sample:
    """Every reading of the packed table into the plain one, in the order of days, as they would arrive."""
    with measuring() as sample, connection.cursor() as cursor:
        cursor.execute("""
            INSERT INTO bench_plainreading (meter, start, duration, value, cost, quality)
            SELECT meter_reading_id, start, duration, value, cost, quality FROM espi_reading
            ORDER BY local_date, meter_reading_id, start""")
        sample.told["readings"] = cursor.rowcount
    return sample


def textbook(path: str) -> Sample:
    """A document into the plain table the way tutorials do it: the whole tree, an object per reading, bulk_create."""
    connection.ensure_connection()
    with measuring(connection.connection.info.backend_pid) as sample, transaction.atomic():
        readings = list(_readings(etree.parse(path)))
        PlainReading.objects.bulk_create(
            readings,
            batch_size=BATCH,
            update_conflicts=True,
            unique_fields=["meter", "start"],
            update_fields=["duration", "value", "cost", "quality"],
        )
    sample.told["readings"] = len(readings)
    return sample


def _readings(tree: etree._ElementTree) -> Iterator[PlainReading]:
    for entry in tree.getroot().iter(f"{_A}entry"):
        for block in entry.iterfind(f"{_A}content/{_E}IntervalBlock"):
            meter = crc32(entry.find(f"{_A}link[@rel='up']").get("href").encode())
            for element in block.iterfind(f"{_E}IntervalReading"):
                yield _reading(meter, element)


def _reading(meter: int, element: etree._Element) -> PlainReading:
    cost, quality = element.findtext(f"{_E}cost"), element.findtext(f"{_E}ReadingQuality/{_E}quality")
    return PlainReading(
        meter=meter,
        start=datetime.fromtimestamp(int(element.findtext(f"{_E}timePeriod/{_E}start")), UTC),
        duration=int(element.findtext(f"{_E}timePeriod/{_E}duration")),
        value=int(element.findtext(f"{_E}value")),
        cost=None if cost is None else int(cost),
        quality=None if quality is None else int(quality),
    )
