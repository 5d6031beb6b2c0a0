"""What the measured processes do with the database: store a document, look at sizes. Django is set up here."""

import secrets
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from django.db import DatabaseError, connection, transaction

from espi import ingest, models
from portal.models import User
from tests.bench.measure import Sample, measuring

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
READINGS = ("espi_intervalblock", "espi_intervalreading", "espi_intervalrevision")
_SIZE = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relname LIKE ANY(%s)"
# The WAL records that touch a table of documents, an index of one, or the place where PostgreSQL puts long values.
_WAL_OF_DOCUMENTS = """
    WITH RECURSIVE touched (oid) AS (
        SELECT oid FROM pg_class WHERE relkind = 'r' AND relname LIKE 'espi_document%%'
        UNION SELECT unnest(array[reltoastrelid, indexrelid]) FROM touched JOIN pg_class USING (oid)
            LEFT JOIN pg_index ON indrelid = pg_class.oid
    ), records AS (
        SELECT DISTINCT start_lsn, record_length FROM pg_get_wal_block_info(%s::pg_lsn, %s::pg_lsn, false)
        JOIN pg_class USING (relfilenode) JOIN touched ON touched.oid = pg_class.oid
    ) SELECT coalesce(sum(record_length), 0) FROM records"""


def store(path: str, subscription: int | None = None) -> Sample:
    """Store a document under a subscription, a new one unless it is named; with what it cost the database."""
    kept = _subscription() if subscription is None else models.Subscription.objects.get(pk=subscription)
    before = _one("SELECT pg_current_wal_insert_lsn()")
    with measuring(session()) as sample:
        document = ingest.store(Path(path), subscription=kept, now=NOW)
    after = _one("SELECT pg_current_wal_insert_lsn()")
    sample.told = {
        "subscription": kept.pk,
        "readings": document.summary["readings"],
        "refused": sum(each["count"] for each in document.summary["refused"]),
        "wal": int(_one("SELECT pg_wal_lsn_diff(%s, %s)", after, before)),
        "wal_of_documents": _wal_of_documents(before, after),
        "size": size(*READINGS),
        "size_of_documents": size("espi_document%"),
    }
    return sample


def _wal_of_documents(before: object, after: object) -> int:
    """Bytes; 0 where there is no whole record in between, or the server does not let us look."""
    can_look = _one("SELECT count(*) FROM pg_extension WHERE extname = 'pg_walinspect'")
    if can_look and before != after:
        with suppress(DatabaseError), transaction.atomic():  # raised where our commit wrote no record
            return int(_one(_WAL_OF_DOCUMENTS, before, after))
    return 0


def session() -> int:
    """The process of our database session."""
    connection.ensure_connection()
    return int(connection.connection.info.backend_pid)


def size(*tables: str) -> int:
    """Bytes of tables with all their indexes and long values; names may hold `%`."""
    return int(_one(_SIZE, list(tables)) or 0)


def sizes() -> Sample:
    with measuring() as sample:
        sample.told = {"size": size(*READINGS), "size_of_documents": size("espi_document%")}
    return sample


def copy_meters(copies: int) -> Sample:
    """As many more meters with the readings of the first one, their rows in the order of days, as they would arrive."""
    first = models.MeterReading.objects.earliest("pk")
    subscription, name = first.usage_point.subscription, secrets.token_hex(4)
    points = models.UsagePoint.objects.bulk_create(
        models.UsagePoint(
            subscription=subscription, resource_id=f"{name}-{number}", time_zone=first.usage_point.time_zone
        )
        for number in range(copies)
    )
    channel = {"channel": first.channel, "reading_type": first.reading_type}
    made = models.MeterReading.objects.bulk_create(
        models.MeterReading(usage_point=point, **channel) for point in points
    )
    columns = [
        field.column for field in models.IntervalBlock._meta.concrete_fields if field.column != "meter_reading_id"
    ]
    names = ", ".join(f'"{column}"' for column in columns)
    with measuring() as sample, connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO espi_intervalblock (meter_reading_id, {names}) SELECT copy, {names} FROM espi_intervalblock "
            "CROSS JOIN unnest(%s::bigint[]) AS copy WHERE meter_reading_id = %s ORDER BY local_date, copy",
            [[each.pk for each in made], first.pk],
        )
    sample.told["meters"] = [each.pk for each in made]
    return sample


def _subscription() -> models.Subscription:
    user = User.objects.create_user(f"{secrets.token_hex(8)}@example.com")
    return models.Subscription.objects.create(retail_customer=user, utility="cecony", time_zone="America/New_York")


def _one(statement: str, *arguments: object) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        return cursor.fetchone()[0]
