"""Asking: jobs are made here, and tried again or cancelled by staff."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext_noop

import utilities
from espi.models import Authorization, FetchJob, Notification
from portal.flows.fetch.waking import INTERACTIVE, queue_of, wake_soon
from utilities.base import PlannedRequest

State, Kind, TokenClass = FetchJob.State, FetchJob.Kind, FetchJob.TokenClass
Priority = FetchJob.Priority
SHARED = Q(authorization=None) | Q(authorization__status=Authorization.Status.ACTIVE)
CONNECTED_AGAIN = gettext_noop("The customer connected again.")
THE_REQUEST = (
    "application_information",
    "authorization",
    "kind",
    "data",
    "token_class",
    "url",
    "window_start",
    "window_end",
)


def enqueue_planned(
    authorization: Authorization,
    planned: Sequence[PlannedRequest],
    *,
    now: datetime,
    notification: Notification | None = None,
    of_history: bool = False,
) -> list[FetchJob]:
    """Jobs for requests a utility planned, except for those already on their way.

    `of_history`: the first portion is the first data somebody waits for; the others follow, each behind everybody's earlier.
    """
    running = set(authorization.fetch_jobs.filter(state__in=FetchJob.OPEN).values_list("url", flat=True))
    wanted = {request.url: request for request in planned if request.url not in running}
    jobs = [planned_job(authorization, each, notification, now) for each in wanted.values()]
    return enqueue(ranked(jobs) if of_history else jobs)


def ranked(jobs: list[FetchJob]) -> list[FetchJob]:
    """The same jobs; of each kind the first is first data, the n-th the n-th portion of a history."""
    so_far: Counter[str] = Counter()
    for job in jobs:
        portion = so_far[job.data]
        job.priority = min(Priority.HISTORY + portion, Priority.UPKEEP - 1) if portion else Priority.FIRST_DATA
        so_far[job.data] += 1
    return jobs


def planned_job(
    authorization: Authorization, request: PlannedRequest, notification: Notification | None, now: datetime
) -> FetchJob:
    return FetchJob(
        application_information=authorization.application_information,
        authorization=authorization,
        notification=notification,
        kind=request.kind,
        data=request.data or request.kind,
        token_class=request.token_class,
        url=request.url,
        window_start=request.window_start,
        window_end=request.window_end,
        not_before=now,
    )


def enqueue_status(
    authorization: Authorization,
    *,
    now: datetime,
    notification: Notification | None = None,
    priority: int = FetchJob.Priority.WAITED_FOR,
) -> list[FetchJob]:
    """A job that asks the utility how this authorization stands; none where it gave no address to ask, or one waits."""
    app, url = authorization.application_information, authorization.authorization_uri
    if not url or authorization.fetch_jobs.filter(kind=Kind.AUTHORIZATION, state__in=FetchJob.OPEN).exists():
        return []
    return enqueue(
        [
            FetchJob(
                application_information=app,
                authorization=authorization,
                notification=notification,
                kind=Kind.AUTHORIZATION,
                priority=priority,
                token_class=utilities.get(app.utility).token_class(app, url),
                url=url,
                not_before=now,
            )
        ]
    )


def enqueue_checks_of_earlier(authorization: Authorization, *, now: datetime) -> list[FetchJob]:
    """Ask how the customer's other connections stand, where a new one ends an earlier one (PG&E contract §5.4)."""
    app = authorization.application_information
    if not utilities.get(app.utility).replaces_earlier:
        return []
    others = Authorization.objects.filter(
        retail_customer=authorization.retail_customer_id, application_information=app, status__in=Authorization.LIVE
    )
    found = others.exclude(pk=authorization.pk).select_related("application_information")
    return [job for each in found for job in enqueue_status(each, now=now)]


def enqueue_revocation(authorization: Authorization, *, now: datetime) -> list[FetchJob]:
    """A job that tells the utility the customer stopped, where it offers a call for that."""
    app = authorization.application_information
    if not utilities.get(app.utility).can_revoke(app) or is_somebody_elses(authorization):
        return []
    job = FetchJob(
        application_information=app,
        authorization=authorization,
        kind=Kind.REVOCATION,
        priority=Priority.WAITED_FOR,
        token_class=TokenClass.CLIENT,
        url=authorization.authorization_uri,
        not_before=now,
    )
    return enqueue([job])


def is_somebody_elses(ended: Authorization) -> bool:
    """Whether the utility knows it by the id of a connection that goes on: the account is also another customer's."""
    others = Authorization.objects.filter(
        application_information=ended.application_information_id, status__in=Authorization.LIVE
    ).exclude(pk=ended.pk)
    of_subscription = others.filter(utility_subscription_id=ended.utility_subscription_id)
    of_authorization = others.filter(utility_authorization_id=ended.utility_authorization_id)
    return (bool(ended.utility_subscription_id) and of_subscription.exists()) or (
        bool(ended.utility_authorization_id) and of_authorization.exists()
    )


def drop_revocations(authorization: Authorization, *, now: datetime) -> int:
    """The customer connected again under the same id (UtilityAPI contract §4.6): what was to end it does so no more."""
    waiting = authorization.fetch_jobs.filter(kind=Kind.REVOCATION, state__in=FetchJob.OPEN)
    return waiting.update(state=State.SUPERSEDED, reason=CONNECTED_AGAIN, finished_at=now, lease_expires_at=None)


def enqueue(jobs: Sequence[FetchJob]) -> list[FetchJob]:
    """Save jobs; after the commit wake a worker for each. A broker that is away changes nothing: the sweep will."""
    saved = saved_once(jobs)
    transaction.on_commit(lambda: wake_each(saved), robust=True)
    return saved


def wake_each(jobs: Sequence[FetchJob]) -> None:
    """A message for each: what is asked for together is spread over the workers."""
    for job in jobs:
        wake_soon([job.pk], queue=queue_of(job.priority))


def saved_once(jobs: Sequence[FetchJob]) -> list[FetchJob]:
    """The rows that were made; not those for which somebody asked at the same instant (one open job per request)."""
    try:
        with transaction.atomic():
            return FetchJob.objects.bulk_create(jobs)
    except IntegrityError:
        half = len(jobs) // 2
        return saved_once(jobs[:half]) + saved_once(jobs[half:]) if half else []


def retry(job_id: int, *, now: datetime) -> bool:
    """Set a job that failed, or waits, going at once, with all its attempts; whether it may be.

    Nothing is fetched for a customer who does not share any more.
    """
    mine = FetchJob.objects.filter(pk=job_id)
    fresh: dict[str, Any] = {
        "attempts": 0,
        "held_up_since": None,
        "accepted_at": None,
        "finished_at": None,
        "not_before": now,
    }
    fresh |= {"asked_again": False, "priority": Priority.WAITED_FOR}
    if not mine.filter(SHARED | Q(kind=Kind.REVOCATION)).exists():
        return False
    try:
        with transaction.atomic():
            if not mine.filter(state__in=[State.FAILED, State.DUE]).update(state=State.DUE, **fresh):
                return False
    except IntegrityError:  # the same is being asked for already
        return False
    transaction.on_commit(lambda: wake_soon([job_id], queue=INTERACTIVE), robust=True)
    return True


def ask_again(job_id: int, *, now: datetime) -> bool:
    """Ask once more for what a job asked for that has ended; whether it may be. The ended job stays as it is.

    One open job for a request is enough: asking twice makes no second one.
    """
    ended = FetchJob.objects.filter(SHARED, pk=job_id).exclude(state__in=FetchJob.OPEN).exclude(kind=Kind.REVOCATION)
    asked = ended.select_related("application_information", "authorization").first()
    if asked is None:
        return False
    values = {name: getattr(asked, name) for name in THE_REQUEST}
    return bool(enqueue([FetchJob(**values, priority=Priority.WAITED_FOR, not_before=now)]))


def cancel(job_id: int, *, now: datetime) -> bool:
    """End a job that has not ended; a worker that runs it stores nothing more. Whether there was anything to end."""
    mine = FetchJob.objects.filter(pk=job_id, state__in=FetchJob.OPEN)
    ended_by_us = {"reason": gettext_noop("Cancelled by our staff."), "finished_at": now, "lease_expires_at": None}
    return bool(mine.update(state=State.SUPERSEDED, **ended_by_us))
