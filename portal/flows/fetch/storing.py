"""Storing: a downloaded file is read into the data of the customers whose it is, and leads to what it links to."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import IO, BinaryIO, cast
from urllib.parse import quote, unquote

from django.db import transaction
from django.utils.translation import gettext_noop

from espi import atom, client, contents, ingest
from espi.contents import Content
from espi.models import ApplicationInformation, Authorization, Document, FetchJob, MeterReading
from portal import words
from portal.flows import continuity, tokens
from portal.flows.fetch.announced import is_guess
from portal.flows.fetch.asking import enqueue_planned
from portal.flows.fetch.calling import owner
from portal.flows.fetch.claiming import Lease, Taken
from portal.flows.fetch.judging import Result, held_up
from utilities.base import Utility

log = logging.getLogger(__name__)

State, Kind, TokenClass = FetchJob.State, FetchJob.Kind, FetchJob.TokenClass
READING = "reading"  # in a document's summary
OF_ONE_PART = (atom.DocumentRefused, tokens.NotAllowed)
MOST_NAMED = 5


class NothingUsable(atom.DocumentRefused):
    """A file that is full of readings, of which none can be stored."""


def store(
    job: FetchJob, authorization: Authorization, utility: Utility, answer: client.Answer, content: Content, clock: Lease
) -> Document:
    """Read the file, or his part of it, into the customer's data.

    A customer who stops meanwhile waits for the commit, or we refuse it.
    Of a file that is only his, an entry of another subscription refuses all; of a bulk file only his part is read.
    """
    app = job.application_information
    clock.renew()
    with transaction.atomic():
        row = standing_authorization(authorization)
        document = ingest.store(
            content,
            subscription=continuity.subscription_of(row, content, now=clock.now()),
            dialect=utility.dialect(app),
            now=clock.now(),
            url=job.url,
            content_type=answer.content_type,
            fetch_job=job,
            application_information=app,
            accepts=accepted_kinds(utility, app, row),
            expected_subscription_id=row.utility_subscription_id or None,
            others="skip" if job.token_class == TokenClass.CLIENT else "refuse",
            must_name=is_guess(job),
        )
        require_something(document)
        continuity.settle(row, document, now=clock.now())
    return document


def require_something(document: Document) -> None:
    """Raises NothingUsable where blocks of readings came, and not one reading out of them (nor any bill)."""
    said = document.summary
    readings = said["stored"] + said["unchanged"] + said["revised"]
    left_alone = any(each["what"] == ingest.USAGE for each in said["refused"])  # the customer did not allow it
    if said["blocks"] and not (readings or said["summaries"] or left_alone):
        why = "; ".join(each["why"] for each in said["refused"] if each["what"] == READING) or "they hold none we know"
        raise NothingUsable(f"None of the readings in its {said['blocks']} blocks could be used: {why}.")


def left_out(document: Document) -> str:
    """In words, how many readings of a file were refused; "" for none."""
    refused = [each for each in document.summary["refused"] if each["what"] == READING]
    if not refused:
        return ""
    number = sum(each["count"] for each in refused)
    return f"Readings that were refused: {number:,}. {'; '.join(each['why'] for each in refused)}."


def store_bulk(job: FetchJob, utility: Utility, answer: client.Answer, file: IO[bytes], clock: Lease) -> Result:
    """Read a file of many customers once, and each one's part into his data; who does not share with us is passed over.

    Each in a transaction of his own: what is wrong with one part changes nothing for the others. Raises, after the last
    of them, the first error that is not the part's own.
    """
    with contents.Split(cast(BinaryIO, file)) as split:
        found = connections_named(job, split.named)
        ready = [each for each in found if not (split.has_readings and waits_for_first_data(each))]
        outcomes = [store_part(job, each, utility, answer, split, clock) for each in ready]
        unknown = split.named - {unquote(each.utility_subscription_id) for each in found}
    errors = [error for error in outcomes if error]
    if others := [error for error in errors if not isinstance(error, OF_ONE_PART)]:
        raise others[0]
    if len(ready) < len(found):
        return held_up(job, gettext_noop("It is read when the first data of its connections are here."), clock.now())
    stored = len(ready) - len(errors)
    return Result(State.DONE if stored or not errors else State.FAILED, in_words(stored, errors, unknown))


def connections_named(job: FetchJob, named: set[str]) -> list[Authorization]:
    """Those of the registration that share with us."""
    connections = Authorization.objects.filter(
        application_information=job.application_information,
        status=Authorization.Status.ACTIVE,
        utility_subscription_id__in={*named, *map(quote, named)},
    )
    return list(connections.order_by("pk"))


def store_part(
    job: FetchJob,
    authorization: Authorization,
    utility: Utility,
    answer: client.Answer,
    split: contents.Split,
    clock: Lease,
) -> Exception | None:
    """What went wrong, if anything did. Raises Taken."""
    try:
        store(job, authorization, utility, answer, split.part(authorization.utility_subscription_id), clock)
    except Taken:
        raise
    except Exception as error:
        log.warning("part not stored: job=%s authorization=%s %s", job.pk, authorization.pk, type(error).__name__)
        return error
    return None


def in_words(stored: int, errors: Sequence[Exception], unknown: set[str]) -> str:
    """What became of a file of many customers."""
    told = [f"Read for {stored} of the {stored + len(errors) + len(unknown)} connections it names."]
    if errors:
        told.append(f"Not for {len(errors)}: {'; '.join(sorted({str(error) for error in errors}))}")
    if unknown:
        names = ", ".join(sorted(unknown)[:MOST_NAMED]) + (", …" if len(unknown) > MOST_NAMED else "")
        told.append(f"Of {len(unknown)} nothing was kept, as nobody shares them with us: {names}.")
    return " ".join(told)


def waits_for_first_data(authorization: Authorization) -> bool:
    """Whether nothing is known yet of its meters, and will be.

    UtilityAPI's bulk files hold readings without what they measure (contract §4.3): before a batch has said it, nobody
    knows which channel they belong to, and they would stand beside it a second time.
    """
    if MeterReading.objects.filter(usage_point__subscription=authorization.subscription_id).exists():
        return False
    return authorization.fetch_jobs.filter(kind=Kind.USAGE, state__in=FetchJob.OPEN).exists()


def follow_up(job: FetchJob, utility: Utility, file: IO[bytes], now: datetime) -> list[FetchJob]:
    """Ask for what the document's own links lead to, where a utility has no batch for it (Con Edison V1, real time)."""
    if not utility.has_follow_ups or job.kind != Kind.USAGE:
        return []
    file.seek(0)
    links = [parcel.entry.self_href for parcel in atom.read(cast(BinaryIO, file)) if parcel.entry.self_href]
    planned = utility.follow_up_requests(job.application_information, owner(job), links)
    return enqueue_planned(owner(job), planned, now=now)


def standing_authorization(authorization: Authorization) -> Authorization:
    """The authorization as it is now, held until the data are committed. Raises NotAllowed if it ended meanwhile."""
    # The subscription is read after the lock: one joined to the row would be the one before, if we had to wait for it.
    row = Authorization.objects.select_for_update(no_key=True).get(pk=authorization.pk)
    if not tokens.is_active(row) or row.subscription is None:
        raise tokens.NotAllowed(f"{words.ENDED_BEFORE} {row.status_reason}".strip())
    return row


def accepted_kinds(utility: Utility, app: ApplicationInformation, authorization: Authorization) -> frozenset[str]:
    """The kinds of data the customer granted; nothing else is stored."""
    return utility.granted_kinds(app, authorization)
