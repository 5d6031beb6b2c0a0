"""Evidence for a utility's review, as one ZIP of CSV files: what is kept, for how long, how it is locked, who looked.

No name, e-mail address, account number or reading is in it: people stand there by number, accounts masked.
"""

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any, BinaryIO

from django.apps import apps
from django.conf import settings
from django.db import connection, models

from espi.export.tables import text
from espi.fields import EncryptedBinaryField, EncryptedTextField
from portal.flows import budgets, exporting, mailing, purge
from portal.models import Consent, ConsentEvent, StaffAccess

ENCRYPTED = (EncryptedTextField, EncryptedBinaryField)
APPS = ("espi", "portal")
Row = Iterable[object]
README = """\
Evidence for a review, made {now:%Y-%m-%d %H:%M} UTC. Access log and consents: {first} up to and with {last}.

data-inventory.csv  every table and column, its type, whether it is encrypted; rows are the database's own estimate
retention.csv       how long each kind of row is kept
encryption.csv      every encrypted column, and how many keys are in use
access-log.csv      each look at a customer's data and each act by staff: who, whom, when, what, why; people by number
consents.csv        each consent: reference, customer by number, utility, account masked, what happened and when

No name, e-mail address, full account number or reading is in these files. Times are UTC, ISO 8601.
"""


def write(file: BinaryIO, *, first: date, last: date, now: datetime) -> None:
    """Write the ZIP; `first` and `last` are days in UTC, both inside. A row is held at a time."""
    span = (datetime.combine(first, datetime.min.time(), now.tzinfo), _day_after(last, now))
    tables: dict[str, Iterator[Row]] = {
        "data-inventory.csv": inventory(),
        "retention.csv": retention(),
        "encryption.csv": encryption(),
        "access-log.csv": access_log(*span),
        "consents.csv": consents(*span),
    }
    with zipfile.ZipFile(file, "w", compression=zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", README.format(now=now, first=first, last=last))
        for name, rows in tables.items():
            with archive.open(name, "w", force_zip64=True) as member, io.TextIOWrapper(member, "utf-8") as words:
                csv.writer(words).writerows([_safe(cell) for cell in row] for row in rows)


def _day_after(last: date, now: datetime) -> datetime:
    return datetime.combine(last, datetime.min.time(), now.tzinfo) + timedelta(days=1)


def _safe(cell: object) -> object:
    """Text that no spreadsheet takes for a formula; instants in ISO 8601."""
    if isinstance(cell, datetime):
        return cell.isoformat()
    return text(cell) if isinstance(cell, str) else cell


def _models() -> list[type[models.Model]]:
    return [model for app in APPS for model in apps.get_app_config(app).get_models() if model._meta.managed]


def inventory() -> Iterator[Row]:
    """Every column that we keep."""
    yield ("table", "what", "column", "type", "encrypted", "rows, about")
    sizes = estimates()
    for model in _models():
        for field in model._meta.concrete_fields:
            kind, locked = field.get_internal_type(), "yes" if isinstance(field, ENCRYPTED) else "no"
            name = str(model._meta.verbose_name)
            yield (
                model._meta.db_table,
                name,
                field.column or field.name,
                kind,
                locked,
                sizes.get(model._meta.db_table),
            )


def estimates() -> dict[str, int]:
    """How many rows each table has, as the database estimates: none is counted."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname, greatest(reltuples, 0)::bigint FROM pg_class WHERE relkind IN ('r', 'p')")
        return dict(cursor.fetchall())


def retention() -> Iterator[Row]:
    """How long what is kept."""
    yield ("what", "kept for")
    documents = settings.DOCUMENT_DAYS
    yield ("documents as received", f"{documents} days" if documents else "until the customer deletes them")
    yield ("jobs and notifications that ended well", f"{purge.JOBS_KEPT_FOR.days} days")
    yield ("jobs and notifications that failed", "until staff settle them")
    yield ("calls to utilities", f"{budgets.KEPT_FOR.days} days")
    yield ("e-mails: which was sent when, without its text", f"{mailing.KEPT.days} days")
    yield ("files prepared for customers", f"{exporting.KEPT.days} days")
    yield ("account numbers of journeys that ended", "deleted within a day")
    yield ("readings and bills", "until the customer deletes them, or the account")
    yield ("consents", "as long as the account")
    yield ("audit trail of staff", "for good; by number only")


def encryption() -> Iterator[Row]:
    """What is encrypted in the database, and how."""
    yield ("table", "column", "how", "keys in use")
    keys = len(settings.FIELD_ENCRYPTION_KEYS)
    for model in _models():
        for field in model._meta.concrete_fields:
            if isinstance(field, ENCRYPTED):
                yield (model._meta.db_table, field.column, "Fernet: AES-128-CBC with HMAC-SHA-256", keys)


def access_log(since: datetime, until: datetime) -> Iterator[Row]:
    """Each line of the audit trail, oldest first."""
    yield ("at", "staff", "customer", "kind", "what", "reason")
    lines = StaffAccess.objects.filter(at__gte=since, at__lt=until).order_by("at", "pk")
    yield from lines.values_list("at", "staff_id", "customer_id", "kind", "what", "reason").iterator()


def consents(since: datetime, until: datetime) -> Iterator[Row]:
    """Each consent that was agreed to in that time, with what happened to it since; one line for each event."""
    yield (
        "reference",
        "customer",
        "utility",
        "environment",
        "account",
        "agreed at",
        "event",
        "event at",
        "text version",
    )
    agreed: dict[str, Any] = {"consent__agreed_at__gte": since, "consent__agreed_at__lt": until}
    columns = ("reference", "retail_customer_id", "utility", "environment", "account_hint", "agreed_at")
    events = ConsentEvent.objects.filter(**agreed).order_by("consent__agreed_at", "consent_id", "at", "pk")
    of_consent = [f"consent__{name}" for name in columns]
    yield from events.values_list(*of_consent, "kind", "at", "text_version").iterator()
    silent = Consent.objects.filter(agreed_at__gte=since, agreed_at__lt=until, events=None).order_by("agreed_at")
    for row in silent.values_list(*columns, "text_version").iterator():
        yield (*row[:-1], "", "", row[-1])
