"""A document's bytes come back as they were, whatever its size, and no part of them lies in the clear."""

import random
import tracemalloc
from datetime import UTC, datetime
from io import BytesIO

import pytest
from django.db import connection

from espi import archive, models

pytestmark = pytest.mark.django_db
NOISE = random.Random(7).randbytes(5_000_000)


def kept(content):
    document = models.Document.objects.create(sha256="0" * 64, size=len(content), received_at=datetime.now(UTC))
    archive.keep(document, BytesIO(content))
    return document


@pytest.mark.parametrize("content", [b"<feed/>", b"<a/>" * 2_000_000, NOISE], ids=["small", "repetitive", "noise"])
def test_the_bytes_come_back_as_they_were_received(content):
    assert b"".join(archive.content(kept(content))) == content


def test_a_large_document_lies_in_several_parts_none_of_them_in_the_clear():
    document = kept(NOISE)
    with connection.cursor() as cursor:
        cursor.execute("SELECT content FROM espi_documentpart WHERE document_id = %s ORDER BY number", [document.pk])
        parts = [bytes(row[0]) for row in cursor.fetchall()]
    assert len(parts) > 1
    assert {part[:1] for part in parts} == {b"\x80"}


def test_reading_a_large_document_back_takes_little_memory():
    document = kept(b"<a/>" * 10_000_000)
    tracemalloc.start()
    size = sum(map(len, archive.content(document)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (size, peak < 8_000_000) == (40_000_000, True)


def test_a_document_without_bytes_gives_none():
    document = models.Document.objects.create(sha256="0" * 64, size=1, received_at=datetime.now(UTC))
    assert b"".join(archive.content(document)) == b""
