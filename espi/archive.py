"""The bytes of documents as they were received: compressed, encrypted, in parts; written and read without holding them.

keep(document, file)      -> the bytes of the file become the document's
content(document)         -> the bytes again, in pieces
let_go(received_before)   -> parts of older documents are deleted; how many
"""

import zlib
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

import psycopg
from django.db import connection
from isal import isal_zlib

from espi import models

_PIECE = 1 << 18  # bytes read at once, and about the size of a part: encrypting holds some eight copies of it
_LEVEL = 1  # of ISA-L: what gzip's level 1 makes of it, in a quarter of the time
_GZIP = 16 + zlib.MAX_WBITS
_KEEP = "INSERT INTO espi_documentpart (document_id, number, content) VALUES (%s, %s, %b)"


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, no more than `size`; none at the end."""


def keep(document: models.Document, file: Readable) -> None:
    """Store what the file holds from where it stands, as the document's parts, in the caller's transaction.

    Django's cursors would write a megabyte into the statement, as two of hexadecimal digits.
    """
    prepared = models.DocumentPart._meta.get_field("content").get_prep_value
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        for number, part in enumerate(_parts(file)):
            cursor.execute(_KEEP, (document.pk, number, prepared(part)))


def _parts(file: Readable) -> Iterator[bytes]:
    packer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP)
    packed = bytearray()
    while piece := file.read(_PIECE):
        packed += packer.compress(piece)
        if len(packed) >= _PIECE:
            yield bytes(packed)
            packed.clear()
    yield bytes(packed) + packer.flush()


def content(document: models.Document) -> Iterator[bytes]:
    """The document as received, in pieces; nothing where its bytes were not kept, or are not any more."""
    unpacker = zlib.decompressobj(_GZIP)
    parts = models.DocumentPart.objects.filter(document=document).order_by("number")
    for number in parts.values_list("number", flat=True):
        packed = parts.get(number=number).content
        while packed:
            yield unpacker.decompress(packed, _PIECE)
            packed = unpacker.unconsumed_tail
    yield unpacker.flush()


def let_go(received_before: datetime) -> int:
    """Delete the bytes of documents received before an instant; the documents' rows stay. How many parts."""
    return models.DocumentPart.objects.filter(document__received_at__lt=received_before).delete()[0]
