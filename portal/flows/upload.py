"""A file the customer already has: described, or stored among his own data."""

import time
from datetime import datetime
from typing import Any, BinaryIO, cast

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_noop

from espi import customer_resources, ingest, zones
from espi.dialect import Dialect
from espi.models import Document, IntervalBlock, IntervalReading, Subscription, UsagePoint, UsageSummary
from portal.models import User

LARGEST = 100 * 1024 * 1024  # bytes
DEADLINE = 60.0  # seconds for reading and storing a file while its owner waits
SUBSCRIPTION_NAME = gettext_noop("Files you uploaded")


class InTime:
    """A file that can be read for so many seconds; afterwards every read raises ingest.DocumentRefused."""

    def __init__(self, file: BinaryIO, seconds: float) -> None:
        self.file, self.ends = file, time.monotonic() + seconds

    def read(self, size: int = -1) -> bytes:
        """Bytes of the file."""
        if time.monotonic() > self.ends:
            raise ingest.DocumentRefused(
                gettext_noop(
                    "Reading this file takes too long. Ask your utility for a shorter period, and upload the parts one by one."
                )
            )
        return self.file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of the file."""
        return self.file.seek(offset, whence)

    def seekable(self) -> bool:
        """As of the file."""
        return self.file.seekable()


def describe(file: BinaryIO, *, time_zone: str | None = None) -> dict[str, Any]:
    """What the file says, with nothing stored. Raises ingest.DocumentRefused."""
    return ingest.describe(file, _dialect(time_zone))


def store(user: User, file: BinaryIO, *, file_name: str, now: datetime, time_zone: str | None = None) -> Document:
    """Store the file among the user's uploads; the same file again changes nothing.

    `time_zone` is an IANA name; without it the file's own LocalTimeParameters are used, then UTC. Raises
    ingest.DocumentRefused in plain words, with nothing stored; also when it takes longer than DEADLINE.
    """
    with transaction.atomic():
        return ingest.store(
            cast(BinaryIO, InTime(file, DEADLINE)),
            subscription=_uploads(user),
            dialect=_dialect(time_zone),
            now=now,
            file_name=file_name,
        )


def usage_points(document: Document) -> QuerySet[UsagePoint]:
    """The usage points of which the document's readings or bills stand today."""
    blocks = IntervalBlock.objects.filter(meter_reading__usage_point__subscription=document.subscription)
    blocks = blocks.filter(Q(document=document) | Q(documents__contains=[document.pk]))
    readings = Q(pk__in=blocks.values("meter_reading__usage_point"))
    long_ones = Q(pk__in=IntervalReading.objects.filter(document=document).values("meter_reading__usage_point"))
    bills = Q(pk__in=UsageSummary.objects.filter(document=document).values("usage_point"))
    return UsagePoint.objects.filter(readings | long_ones | bills)


def counted(number: int, noun: str) -> str:
    """`1 bill`, `2 bills`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def outcome(document: Document, *, now: datetime) -> dict[str, Any]:
    """What `store` at `now` did: the document's summary, in which the very same file again is nothing new."""
    summary = {key: value for key, value in document.summary.items() if key != "reader"}
    if document.received_at < now:
        here = summary["stored"] + summary["revised"] + summary["unchanged"]
        summary |= {"stored": 0, "revised": 0, "unchanged": here}
    return summary


def tells_of_customer(summary: dict[str, Any]) -> bool:
    """Whether a file held account details."""
    return bool(customer_resources.NOUNS & summary["resources"].keys())


def _uploads(user: User) -> Subscription:
    """The one subscription of a user that holds files; made with his first file, and held until the file is in.

    The user himself is not: he goes on signing in and looking around. Two first files at once are kept in one place
    (`one_place_for_uploads`); a deletion waits for the file, or is waited for.
    """
    places = Subscription.objects.select_for_update(no_key=True)
    place, _ = places.get_or_create(retail_customer=user, utility="", defaults={"name": SUBSCRIPTION_NAME})
    return place


def _dialect(time_zone: str | None) -> Dialect:
    if not time_zone:
        return Dialect(usage_points="address")
    try:
        zones.zone(time_zone)
    except zones.UnknownTimeZone as error:
        raise ingest.DocumentRefused(str(error)) from None
    return Dialect(time_zone=time_zone, usage_points="address")
