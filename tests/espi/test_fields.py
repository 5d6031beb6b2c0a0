"""Documents at rest: whoever reads the database alone learns nothing of a customer from them."""

import gzip

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from espi.models import Document, DocumentPart

pytestmark = pytest.mark.django_db
CONTENT = gzip.compress(b"<CustomerAccount><accountId>110022003300</accountId></CustomerAccount>")


def document(content):
    row = Document.objects.create(sha256="0" * 64, size=1, received_at=timezone.now())
    return DocumentPart.objects.create(document=row, number=0, content=content)


def stored(row):
    with connection.cursor() as cursor:
        cursor.execute("SELECT content FROM espi_documentpart WHERE id = %s", [row.pk])
        return bytes(cursor.fetchone()[0])


def store_plain(row):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE espi_documentpart SET content = %s WHERE id = %s", [CONTENT, row.pk])


def test_e06_a_document_rests_encrypted_and_is_read_as_it_came():
    row = document(CONTENT)
    assert stored(row)[:1] == b"\x80"
    assert b"\x1f\x8b" not in stored(row)[:2]
    assert len(stored(row)) < len(CONTENT) + 100
    assert bytes(DocumentPart.objects.get().content) == CONTENT


def test_a_document_without_bytes_stays_empty():
    row = document(b"")
    assert stored(row) == b""
    assert DocumentPart.objects.filter(content=b"").get().content == b""


def test_e06_documents_come_under_the_newest_key_also_those_that_were_not_encrypted(settings):
    before, plain = document(CONTENT), document(CONTENT)
    store_plain(plain)
    assert [bytes(row.content) for row in DocumentPart.objects.all()] == [CONTENT, CONTENT]
    newest = Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [newest, *settings.FIELD_ENCRYPTION_KEYS]
    call_command("rotate_field_keys", verbosity=0)
    settings.FIELD_ENCRYPTION_KEYS = [newest]
    assert [bytes(row.content) for row in DocumentPart.objects.all()] == [CONTENT, CONTENT]
    assert {stored(row)[:1] for row in (before, plain)} == {b"\x80"}
