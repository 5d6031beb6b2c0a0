"""Files that are prepared while the customer does something else: everything he has here, or very many readings.

A row says what is wanted; a worker claims it, writes the file, keeps it in encrypted parts, and a letter says that it is
ready. It can be fetched for KEPT, signed in. A worker that dies loses its claim, and the file is begun anew.
"""

import uuid
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, BinaryIO
from uuid import UUID

import structlog
from celery import shared_task
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet, Sum
from django.utils import timezone, translation
from django.utils.formats import date_format

from espi import temporary
from espi.export import Days
from espi.models import IntervalBlock, IntervalReading
from portal import limits
from portal.flows import bundle, exports, mailing
from portal.flows.fetch.waking import HOUSEKEEPING, outbox
from portal.models import Export, ExportPart, User

log = structlog.get_logger(__name__)

PREPARE = "portal.prepare_exports"
KEPT = timedelta(days=7)
CLAIM_LASTS = timedelta(minutes=15)
MOST_ATTEMPTS = 4
PIECE = 1 << 20  # bytes of a part
LARGE = 1_000_000  # readings: of so many a file is prepared instead of being written while it is sent
State = Export.State


class AlreadyAsked(Exception):
    """The same file is being prepared."""


# --- Asking -------------------------------------------------------------------------------------------------------


def ask_for_everything(user: User, *, now: datetime) -> Export:
    """Everything that is kept of this customer, as one ZIP. Raises AlreadyAsked, and limits.TooMany."""
    return _ask(user, Export.Kind.EVERYTHING, {}, now)


def ask_for_files(user: User, public_ids: list[UUID], kind: str, days: Days, *, now: datetime) -> Export:
    """What `exports.write` would send. Raises AlreadyAsked, limits.TooMany, exports.NotHis and exports.Nothing."""
    exports.check(user, public_ids, kind, days)
    wanted = {
        "meters": [str(each) for each in public_ids],
        "kind": kind,
        "first": days.first.isoformat() if days.first else None,
        "end": days.end.isoformat() if days.end else None,
    }
    return _ask(user, Export.Kind.FILES, wanted, now)


def _ask(user: User, kind: Export.Kind, wanted: dict[str, Any], now: datetime) -> Export:
    same = Export.objects.filter(retail_customer=user, kind=kind, wanted=wanted, state__in=Export.OPEN)
    if same.exists():
        raise AlreadyAsked
    limits.one_export(user.pk)
    try:
        with transaction.atomic():
            export = Export.objects.create(retail_customer=user, kind=kind, wanted=wanted, asked_at=now, not_before=now)
    except IntegrityError:  # asked twice at the same instant
        raise AlreadyAsked from None
    transaction.on_commit(lambda: outbox.put(PREPARE, queue=HOUSEKEEPING), robust=True)
    log.info("export asked for", user=user.pk, kind=kind)
    return export


def is_large(public_ids: list[UUID], days: Days) -> bool:
    """Whether there are more readings than are written while they are sent."""
    wanted = Q(meter_reading__usage_point__public_id__in=public_ids)
    wanted &= Q(local_date__gte=days.first) if days.first else Q()
    wanted &= Q(local_date__lt=days.end) if days.end else Q()
    on_grids = IntervalBlock.objects.filter(wanted).aggregate(readings=Sum("count"))["readings"] or 0
    return on_grids + IntervalReading.objects.filter(wanted).count() > LARGE


def of(user: User, *, now: datetime) -> QuerySet[Export]:
    """The files that this customer asked for and may still see, the newest first."""
    rows = Export.objects.filter(retail_customer=user).exclude(state=State.OVER).exclude(expires_at__lte=now)
    return rows.order_by("-asked_at")


# --- Preparing ----------------------------------------------------------------------------------------------------


@shared_task(name=PREPARE)
def prepare_exports(**kwargs: Any) -> None:
    """Prepare what was asked for, one file after the other. It may run many times at once."""
    while prepare_next(timezone.now()):
        pass


def prepare_next(now: datetime) -> bool:
    """Prepare the file that has waited longest; False if none waits."""
    _give_up(now)
    export = claim(now)
    if export is None:
        return False
    try:
        _prepare(export)
    except Exception as fault:  # whatever it is, it must not stop the files behind it
        log.error("export failed", export=export.pk, cause=type(fault).__name__, exc_info=fault)
        Export.objects.filter(pk=export.pk, claim=export.claim).update(
            state=State.DUE, not_before=timezone.now() + timedelta(minutes=1), claim=None
        )
    return True


def claim(now: datetime) -> Export | None:
    """Take the file that is due, or whose worker is gone; for CLAIM_LASTS. The attempt is counted now."""
    due = Export.objects.filter(state__in=Export.OPEN, not_before__lte=now, attempts__lt=MOST_ATTEMPTS)
    for pk in due.order_by("asked_at").values_list("pk", flat=True)[:10]:
        mine = uuid.uuid4()
        taken = Export.objects.filter(pk=pk, state__in=Export.OPEN, not_before__lte=now).update(
            state=State.RUNNING, claim=mine, not_before=now + CLAIM_LASTS, attempts=F("attempts") + 1
        )
        if taken:
            return Export.objects.select_related("retail_customer").get(pk=pk)
    return None


def _give_up(now: datetime) -> None:
    """What could not be prepared several times is told to who asked for it."""
    lost = Export.objects.filter(state__in=Export.OPEN, not_before__lte=now, attempts__gte=MOST_ATTEMPTS)
    for export in lost.select_related("retail_customer"):
        with transaction.atomic():
            if lost.filter(pk=export.pk).update(state=State.FAILED, reason="It could not be prepared.", claim=None):
                mailing.post("export_failed", str(export.public_id), now=now, user=export.retail_customer)


def _prepare(export: Export) -> None:
    with temporary.file() as file:
        name, content_type = _write(export, file)
        size = file.tell()
        file.seek(0)
        _keep(export, file, name=name, content_type=content_type, size=size)


def _write(export: Export, file: BinaryIO) -> tuple[str, str]:
    """Write the file; its name and type."""
    now = timezone.now()
    if export.kind == Export.Kind.EVERYTHING:
        bundle.write(export.retail_customer, file, now=now)
        return bundle.name(now), "application/zip"
    wanted = export.wanted
    first, end = (date.fromisoformat(wanted[each]) if wanted[each] else None for each in ("first", "end"))
    ids = [UUID(each) for each in wanted["meters"]]
    made = exports.write(export.retail_customer, ids, wanted["kind"], Days(first, end), now=now)
    for piece in made.content:
        file.write(piece)
    return made.name, made.content_type


@transaction.atomic
def _keep(export: Export, file: BinaryIO, *, name: str, content_type: str, size: int) -> None:
    """The file and its letter, unless the claim was lost meanwhile: then another worker's file counts."""
    now = timezone.now()
    mine = Export.objects.filter(pk=export.pk, claim=export.claim, state=State.RUNNING)
    until = now + KEPT
    ready = mine.update(
        state=State.READY,
        file_name=name,
        content_type=content_type,
        size=size,
        ready_at=now,
        expires_at=until,
        claim=None,
    )
    if not ready:
        return
    for number, piece in enumerate(iter(lambda: file.read(PIECE), b"")):
        ExportPart.objects.create(export=export, number=number, content=piece)
    user = export.retail_customer
    language = mailing.language_of(user)
    with translation.override(language):
        last = date_format(until, "DATE_FORMAT")
    mailing.post("export_ready", str(export.public_id), now=now, user=user, language=language, until=last)


# --- Fetching, and the end ----------------------------------------------------------------------------------------


def content(export: Export) -> Iterator[bytes]:
    """The file in pieces."""
    parts = ExportPart.objects.filter(export=export).order_by("number")
    for number in parts.values_list("number", flat=True):
        yield bytes(parts.get(number=number).content)


def let_go(now: datetime) -> int:
    """Files whose time is over go; how many."""
    over = Export.objects.filter(expires_at__lte=now, state=State.READY)
    ExportPart.objects.filter(export__in=over).delete()
    return over.update(state=State.OVER)
