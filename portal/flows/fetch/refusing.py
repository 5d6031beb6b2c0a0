"""Refusing: of a file that could not be used nothing is stored, but staff can look at what the utility sent."""

import hashlib
import logging
from datetime import datetime
from typing import IO

from django.db import transaction

from espi import archive
from espi.models import Document, FetchJob
from portal.flows import tokens
from portal.flows.fetch.storing import standing_authorization

log = logging.getLogger(__name__)

KEPT = 16 * 1024 * 1024  # bytes of a refused file, from its beginning


class Beginning:
    """A file of which no more than so many bytes can be read."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self.file, self.left = file, most

    def read(self, size: int) -> bytes:
        """The next bytes."""
        found = self.file.read(min(size, self.left))
        self.left -= len(found)
        return found


def keep(job: FetchJob, file: IO[bytes], *, content_type: str, reason: str, now: datetime) -> Document | None:
    """Keep the beginning of a refused file with the reason, in place of one that the job kept before; None if empty.

    None, too, where the connection ended meanwhile: its customer may have had his data deleted.

    It belongs to the connection that asked: it goes with the customer's data, and when documents go (DOCUMENT_DAYS). Of a
    file of many customers no bytes are kept: none of them could have his part of it deleted.
    """
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    size = file.tell()
    if not size:
        return None
    log.warning("file refused: job=%s size=%s sha256=%s", job.pk, size, digest)
    file.seek(0)
    with transaction.atomic():
        try:
            row = standing_authorization(job.authorization) if job.authorization else None
        except tokens.NotAllowed:
            return None
        job.documents.exclude(refusal="").delete()
        document = Document.objects.create(
            subscription=row.subscription if row else None,
            application_information=job.application_information,
            fetch_job=job,
            url=job.url,
            content_type=content_type,
            sha256=digest,
            size=size,
            received_at=now,
            refusal=reason[:500],
        )
        if row:
            archive.keep(document, Beginning(file, KEPT))
    return document
