"""Announced files: whose they are, and which waiting request they answer."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max, Min, Q, QuerySet
from django.utils.translation import gettext_noop

import utilities
from espi import client, ingest
from espi.models import (
    ApplicationInformation,
    Authorization,
    Document,
    FetchJob,
    IntervalBlock,
    IntervalReading,
    UsageSummary,
)
from portal.flows.fetch.asking import THE_REQUEST, enqueue
from portal.flows.fetch.claiming import held
from portal.flows.fetch.judging import Result, result_of

State, Kind, TokenClass = FetchJob.State, FetchJob.Kind, FetchJob.TokenClass
Priority = FetchJob.Priority
EXPIRED_FILE = 410
ANSWERED_WITHIN = timedelta(hours=48)  # all files of a request; the same request sent again later is another one
MOST_LOOKED_AT = 200  # requests of a connection, the latest
ASKED_AGAIN = gettext_noop("The file was no longer there; its period is asked for again.")


NOT_HIS_FILE = (client.Gone, client.WrongTokenClass, ingest.OtherSubscription)


def is_guess(job: FetchJob) -> bool:
    """Whether nobody knows whose file it is: its address names nobody, and so it was given to one who waits."""
    app = job.application_information
    is_file = job.kind == Kind.DOWNLOAD and job.token_class == TokenClass.ACCESS
    return is_file and not utilities.get(app.utility).url_subscription_id(app, job.url)


def waiting(app: ApplicationInformation) -> Any:
    """Jobs of a registration whose result has to be announced; a notification may overtake our own note of the 202."""
    asked = FetchJob.objects.filter(
        application_information=app,
        state__in=[State.AWAITING_NOTIFICATION, State.RUNNING],
        token_class=TokenClass.ACCESS,
        authorization__status=Authorization.Status.ACTIVE,
    )
    return asked.exclude(kind__in=[Kind.DOWNLOAD, Kind.AUTHORIZATION]).select_related("authorization")


def waiting_authorization(app: ApplicationInformation, *, after: int = 0) -> Authorization | None:
    """A connection that waits for a file, by number; for addresses that name nobody (Con Edison V1, contract §6)."""
    job = waiting(app).filter(authorization_id__gt=after).order_by("authorization_id").first()
    return job.authorization if job else None


def match(job: FetchJob) -> bool:
    """Give a file that names nobody to a connection that waits for one; whether there was any."""
    job.authorization = waiting_authorization(job.application_information)
    return job.authorization is not None and bool(held(job).update(authorization=job.authorization))


def another_owner(job: FetchJob, error: Exception, now: datetime) -> Result:
    """A file that turned out not to be this customer's may be the next one's who waits; otherwise it failed.

    Which customer a file belongs to shows only in the file, where its address names nobody.
    """
    app, tried = job.application_information, job.authorization_id
    if not tried or not is_guess(job) or getattr(error, "status", 0) == EXPIRED_FILE:
        return unclaimed(error, job, now)
    following = waiting_authorization(app, after=tried)
    if following is None or not held(job).update(authorization=following):
        return unclaimed(error, job, now)
    return Result(State.DUE, gettext_noop("Looking for the connection this file belongs to."), now, is_counted=False)


def unclaimed(error: Exception, job: FetchJob, now: datetime) -> Result:
    """What becomes of a file that is nobody else's. One that is gone may have been anybody's who waits, if several do."""
    if isinstance(error, client.Gone) and not (is_guess(job) and others_wait(job)):
        return lost(job, now)
    return result_of(error, job, now)


def others_wait(job: FetchJob) -> bool:
    """Whether another connection than the one it was given to waits for a file."""
    return bool(waiting(job.application_information).exclude(authorization=job.authorization_id).exists())


def finish_waiting(job: FetchJob, document: Document | None, now: datetime) -> None:
    """An announced file is here: the request that asked for it is done.

    It is the one with this very address (Con Edison V2), else the one whose window the readings lie in, else, when the
    file does not say, the oldest. The second file of a request finds it done, and finishes no other.
    """
    if job.kind != Kind.DOWNLOAD:
        return
    if job.authorization is None:
        finish_bulk(job, now)
        return
    asked = list(waiting(job.application_information).filter(authorization=job.authorization).order_by("created_at"))
    same = [each for each in asked if each.url == job.url]
    found = same or ([] if is_one_more(job, document) else covering(asked, document))
    for each in found[:1]:
        FetchJob.objects.filter(pk=each.pk, state__in=FetchJob.OPEN).update(
            state=State.DONE, reason="", finished_at=now, lease_expires_at=None
        )


def is_one_more(job: FetchJob, document: Document | None) -> bool:
    """Whether another file of the same request was stored before this one, whichever list announced it.

    Of two at once it is the one with the older document that was. A file without a document of its own (the utility had no
    data, or sent these bytes before) is told by its job.
    """
    utility = utilities.get(job.application_information.utility)
    request = utility.url_request(job.application_information, job.url)
    if not request:
        return document is None and stored_beside(job) is not None
    files = FetchJob.objects.filter(
        authorization=job.authorization_id,
        kind=Kind.DOWNLOAD,
        url__contains=request,
        created_at__gt=job.created_at - ANSWERED_WITHIN,
    ).exclude(pk=job.pk)
    others = {
        pk: state
        for pk, url, state in files.values_list("pk", "url", "state")
        if utility.url_request(job.application_information, url) == request
    }
    stored = Document.objects.filter(fetch_job__in=others, refusal="").order_by("pk").values_list("pk", flat=True)
    first = stored.first()
    if first is None:
        return State.DONE in others.values()
    return document is None or document.fetch_job_id != job.pk or first <= document.pk


def told_with(job: FetchJob) -> QuerySet[FetchJob]:
    """The other files at this address, whatever the query, that the same notification named."""
    address = job.url.partition("?")[0]
    told = FetchJob.objects.filter(notification=job.notification_id or 0, kind=Kind.DOWNLOAD).exclude(pk=job.pk)
    return told.filter(url__startswith=f"{address}?")


def stored_beside(job: FetchJob) -> Document | None:
    """What was stored from one of these that is the same customer's, and answers the same request where addresses tell.

    Where they do not it is taken to answer the same (electricity, gas: PG&E contract §8.3).
    """
    app, utility = job.application_information, utilities.get(job.application_information.utility)
    request = utility.url_request(app, job.url)
    told = told_with(job).filter(authorization=job.authorization_id).values_list("pk", "url")
    same = [pk for pk, url in told if utility.url_request(app, url) == request]
    return Document.objects.filter(fetch_job__in=same, refusal="").order_by("-pk").first()


def finish_bulk(job: FetchJob, now: datetime) -> None:
    """A file of many customers is here: of the requests for its address, whatever the query, the oldest is done.

    Other files that one notification names are taken to answer the same request (PG&E names several at once: contract
    §8.3). Of two that are read at the same moment the one with the lower number ends it.
    """
    address = job.url.partition("?")[0]
    if told_with(job).filter(Q(state=State.DONE) | Q(state=State.RUNNING, pk__lt=job.pk)).exists():
        return
    asked = FetchJob.objects.filter(
        application_information=job.application_information,
        authorization=None,
        kind__in=[Kind.USAGE, Kind.CUSTOMER],
        state__in=[State.AWAITING_NOTIFICATION, State.RUNNING],
    )
    same = [each.pk for each in asked.order_by("created_at") if each.url.partition("?")[0] == address]
    FetchJob.objects.filter(pk__in=same[:1], state__in=FetchJob.OPEN).update(
        state=State.DONE, reason="", finished_at=now, lease_expires_at=None
    )


def lost(job: FetchJob, now: datetime) -> Result:
    """An announced file that is not there any more (Con Edison keeps it for 48 hours): its window is asked for again, once."""
    if job.kind != Kind.DOWNLOAD or job.authorization is None:
        return Result(State.FAILED, gettext_noop("The utility no longer has this file."))
    mine = FetchJob.objects.filter(authorization=job.authorization, kind__in=[Kind.USAGE, Kind.CUSTOMER])
    if mine.filter(asked_again=True, state__in=FetchJob.OPEN).exists():
        return Result(State.SUPERSEDED, ASKED_AGAIN)
    asked = answered_by(job, mine.filter(token_class=job.token_class, created_at__lte=job.created_at))
    if asked is None or asked.asked_again:
        return Result(
            State.FAILED, gettext_noop("The utility no longer has this file, although we had asked for it again.")
        )
    if asked.state not in FetchJob.OPEN or give_up(asked, now):
        enqueue([again(asked, now)])
    return Result(State.SUPERSEDED, ASKED_AGAIN)


def answered_by(job: FetchJob, before: QuerySet[FetchJob]) -> FetchJob | None:
    """Which of the requests made before it a lost file answered.

    One for its address, and if possible for the period that the files named with it tell; of several the oldest that
    waits, else the latest.
    """
    requests, address = list(before.order_by("-pk")[:MOST_LOOKED_AT]), job.url.partition("?")[0]
    found = [each for each in requests if each.url == job.url]
    found = found or [each for each in requests if each.url.partition("?")[0] == address]
    found = found or [each for each in requests if each.data in ("", "usage")] or requests
    found = covering(found, stored_beside(job)) or found
    return next((each for each in reversed(found) if each.state in FetchJob.OPEN), found[0] if found else None)


def give_up(asked: FetchJob, now: datetime) -> bool:
    """Stop waiting for a request's files; not while a worker sends it once more (it was overdue), or after another did this."""
    waiting_still = FetchJob.objects.filter(pk=asked.pk, state__in=[State.DUE, State.AWAITING_NOTIFICATION])
    return bool(waiting_still.update(state=State.SUPERSEDED, reason=ASKED_AGAIN, finished_at=now))


def again(asked: FetchJob, now: datetime) -> FetchJob:
    """The same request once more, unsaved."""
    values = {name: getattr(asked, name) for name in THE_REQUEST}
    return FetchJob(**values, priority=Priority.ANNOUNCED, asked_again=True, not_before=now)


def covering(asked: list[FetchJob], document: Document | None) -> list[FetchJob]:
    """Of requests, those whose window overlaps what a document says; all when it does not say.

    A document that says so holds readings or bills: no request for account details, which has no window, is among them.
    """
    first, last = span(document)
    if first is None or last is None:
        return asked
    return [
        job
        for job in asked
        if job.kind != Kind.CUSTOMER
        and (job.window_start is None or job.window_start.timestamp() <= last)
        and (job.window_end is None or job.window_end.timestamp() > first)
    ]


def span(document: Document | None) -> tuple[int | None, int | None]:
    """Epoch seconds of the first and the last day, else single reading, else bill, that was stored from a document."""
    if document is None:
        return None, None
    for kind in (IntervalBlock, IntervalReading, UsageSummary):
        found = kind._default_manager.filter(document=document).aggregate(first=Min("start"), last=Max("start"))
        if found["first"] is not None:
            return found["first"], found["last"]
    return None, None
