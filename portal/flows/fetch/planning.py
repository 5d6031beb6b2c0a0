"""Planning: each part of a connection has a row that says when to ask next, and from where.

A scheduler's task takes due rows by the hundred: a few statements for all of them, never a task for one.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q, QuerySet

import utilities
from espi.models import ApplicationInformation, Authorization, FetchJob, Notification
from portal.flows import standing
from portal.flows.fetch import gaps
from portal.flows.fetch.asking import enqueue_planned, enqueue_status, planned_job, ranked
from portal.models import FetchPlan
from utilities.base import BULK, BULK_CUSTOMERS, DAILY, WEEKLY, PlannedRequest, Utility

AT_ONCE = 500  # rows in one transaction
MOST = 50_000  # rows in one run; the next minute goes on
REREAD = timedelta(days=7)  # Con Edison has 99.8 % of readings after seven days, and corrects (contract §8)
LOOK_AGAIN = timedelta(hours=6)  # while what was asked for last is still on its way
USAGE, GAPS, LISTED = "usage", "gaps", "authorizations"
SECRETS = ("access_token", "refresh_token", "account_number")  # encrypted: not read where nobody needs them
SPREAD = 7919  # a prime: neighbours among the rows are not asked for one after another


# --- When a connection begins -----------------------------------------------------------------------------------------


def begin(authorization: Authorization, *, now: datetime) -> list[FetchJob]:
    """The first jobs of a new connection. Where the customer chose its end at the utility, only the utility knows it."""
    jobs = enqueue_first(authorization, now=now)
    return jobs if authorization.end_date else jobs + enqueue_status(authorization, now=now)


def enqueue_first(
    authorization: Authorization, *, now: datetime, notification: Notification | None = None
) -> list[FetchJob]:
    """The jobs that bring what the customer granted: history, bills, customer data, in the utility's own portions.

    What is already being fetched is not asked for twice. From now on the news are asked for by plan.
    """
    app = authorization.application_information
    planned = utilities.get(app.utility).first_requests(app, authorization, now)
    with transaction.atomic():
        keep_plans(authorization, now=now)
        return enqueue_planned(authorization, planned, now=now, notification=notification, of_history=True)


def enqueue_news(
    authorization: Authorization, *, now: datetime, notification: Notification | None = None
) -> list[FetchJob]:
    """The jobs that bring what the utility has added since a connection was complete; all there is, while it is not.

    They are news as those asked for by plan, whose time stays as it is. What is on its way is not asked for twice, alone or
    within everything.
    """
    app = authorization.application_information
    utility = utilities.get(app.utility)
    with transaction.atomic():  # the plan before jobs, as planners lock them
        plan = authorization.fetch_plans.select_for_update().filter(part=USAGE, complete_to__isnull=False).first()
        if plan is None:
            return enqueue_first(authorization, now=now, notification=notification)
        everything = [each.url for each in utility.first_requests(app, authorization, now)]
        if authorization.fetch_jobs.filter(url__in=everything, kind=USAGE, state__in=FetchJob.OPEN).exists():
            return []
        after = utility.today(now)
        planned = utility.next_requests(app, authorization, USAGE, first_day(plan, utility, now), after)
        jobs = enqueue_planned(authorization, planned, now=now, notification=notification)
        if jobs:
            FetchPlan.objects.filter(pk=plan.pk).update(asked_at=now, asked_to=utility.midnight(after))
    return jobs


def fetch_what_was_added(authorization: Authorization, *, now: datetime) -> list[FetchJob]:
    """Ask for data the customer has begun to share since (PG&E's page lets him change the groups)."""
    before = set(authorization.data_granted)
    authorization.refresh_from_db()
    if authorization.status != Authorization.Status.ACTIVE or not set(authorization.data_granted) - before:
        return []
    return enqueue_first(authorization, now=now)


def keep_plans(authorization: Authorization, *, now: datetime, is_asked: bool = True) -> None:
    """One row for each part of what is granted now. `is_asked`: all of it was asked for just now."""
    app = authorization.application_information
    utility = utilities.get(app.utility)
    parts = parts_of(utility, app, authorization)
    asked = {"asked_at": now, "asked_to": utility.midnight(utility.today(now))} if is_asked else {}
    rows = [
        FetchPlan(
            application_information=app,
            authorization=authorization,
            part=part,
            next_at=first_time(utility, authorization.pk, every, now),
            **asked,
        )
        for part, every in parts.items()
    ]
    with transaction.atomic():  # the authorization before its plans, as whoever ends it locks them
        # Written only where it is news: who stores a file holds the row for as long as that takes.
        Authorization.objects.filter(pk=authorization.pk, is_planned=False).update(is_planned=True)
        authorization.fetch_plans.exclude(part__in=parts).delete()
        FetchPlan.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["authorization", "part", "application_information"],
            update_fields=["next_at", *asked],
        )
    authorization.is_planned = True


def parts_of(utility: Utility, app: ApplicationInformation, authorization: Authorization) -> dict[str, timedelta]:
    """The parts of a connection's plan, each with how often it is asked for; gaps are looked for where there is usage."""
    parts = dict(utility.plan(app, authorization))
    return parts | ({GAPS: WEEKLY} if USAGE in parts else {})


def next_time(utility: Utility, key: int, every: timedelta, now: datetime) -> datetime:
    """When to ask next: the same time of the utility's day every time, each connection at its own.

    The hours of news may go past midnight (PG&E): counted is the day on which those began that it was asked in.
    """
    if every < DAILY:
        return now + every
    late = timedelta(hours=utility.news_from_hour)  # so long after its time it still counts as that day's
    shown = now.astimezone(ZoneInfo(utility.time_zone)) - offset_of(utility, key) - late
    day = shown.date() + timedelta(days=every.days)
    found = at_its_time(utility, key, day)
    return found if found > now else at_its_time(utility, key, day + DAILY)  # in autumn clocks show an hour twice


def first_time(utility: Utility, key: int, every: timedelta, now: datetime) -> datetime:
    """When to ask for news after everything was asked for, at whatever time: on a later day, as today has none for us."""
    if every < DAILY:
        return now + every
    return at_its_time(utility, key, utility.today(now) + timedelta(days=every.days))


def at_its_time(utility: Utility, key: int, day: date) -> datetime:
    """The connection's own time in the hours of news that begin on this day, by the utility's clocks."""
    # What a clock shows is added to, whatever changes that night.
    begins = utility.clock(day, utility.news_from_hour).astimezone(ZoneInfo(utility.time_zone))
    return (begins + offset_of(utility, key)).astimezone(UTC)


def offset_of(utility: Utility, key: int) -> timedelta:
    """How long after the beginning of the hours of news a connection has its time."""
    return timedelta(seconds=key * SPREAD % (utility.news_hours * 3600))


# --- On a schedule ----------------------------------------------------------------------------------------------------


def plan(now: datetime) -> int:
    """Ask for everything whose time has come; how many rows were. It may run twice at once."""
    end_what_is_over(now)
    adopt(now)
    done = 0
    while done < MOST and (count := plan_some(now)):
        done += count
    return done


def end_what_is_over(now: datetime) -> int:
    """End connections whose last day is over, also those that nothing is due for; how many."""
    over = whose_last_day_is_over(now)
    ids = list(over.order_by("end_date").values_list("pk", flat=True)[:AT_ONCE])
    return sum(end_if_free(over, pk, now) for pk in ids)


def whose_last_day_is_over(now: datetime) -> QuerySet[Authorization]:
    """Live connections whose last day lies before today, each by its utility's clock. Reads an index of those with one."""
    on_this_day: dict[date, list[str]] = defaultdict(list)
    for utility in utilities.all():
        on_this_day[utility.today(now)].append(utility.slug)
    of_utilities = Q()
    for today, slugs in on_this_day.items():
        of_utilities |= Q(end_date__lt=today, application_information__utility__in=slugs)
    live = Authorization.objects.filter(status=Authorization.Status.ACTIVE, end_date__lt=max(on_this_day))
    return live.filter(of_utilities)


@transaction.atomic
def end_if_free(over: QuerySet[Authorization], pk: int, now: datetime) -> bool:
    """End one of these, if its last day is still over. One into which a file is being stored is left to the next minute."""
    row = over.select_for_update(no_key=True, skip_locked=True, of=("self",)).filter(pk=pk).first()
    if row:
        standing.expire(row, now)
    return row is not None


@transaction.atomic
def plan_some(now: datetime) -> int:
    """Plan the rows that are due longest; those that another scheduler's task works on are left to it."""
    rows = due(now)
    apps = ApplicationInformation.objects.in_bulk({row.application_information_id for row in rows})
    for row in rows:
        row.application_information = apps[row.application_information_id]
        if row.authorization:
            row.authorization.application_information = row.application_information
    live = [row for row in rows if is_live(row, now)]
    busy = on_their_way(live)
    jobs = jobs_of([row for row in live if (row.authorization_id, row.part) not in busy], now)
    FetchJob.objects.bulk_create(jobs, ignore_conflicts=True, batch_size=1000)
    for row in rows:
        row.next_at = next_of(row, now, is_live=row in live, is_busy=(row.authorization_id, row.part) in busy)
    FetchPlan.objects.bulk_update(rows, ["next_at", "asked_at", "asked_to"], batch_size=AT_ONCE)
    return len(rows)


def due(now: datetime) -> list[FetchPlan]:
    """Rows whose time has come, held until the transaction ends."""
    found = FetchPlan.objects.select_for_update(skip_locked=True, of=("self",)).filter(next_at__lte=now)
    secret = [f"authorization__{name}" for name in SECRETS]
    return list(found.select_related("authorization").defer(*secret).order_by("next_at")[:AT_ONCE])


def is_live(row: FetchPlan, now: datetime) -> bool:
    """Whether there is a permission to ask with. One whose last day is over is left to `end_what_is_over`."""
    authorization = row.authorization
    if authorization is None:
        return True
    if authorization.status != Authorization.Status.ACTIVE:
        return False
    return not is_over(row, now)


def is_over(row: FetchPlan, now: datetime) -> bool:
    """Whether its connection's last day is over by its utility's clock."""
    last = row.authorization.end_date if row.authorization else None
    return last is not None and last < utility_of(row).today(now)


def on_their_way(rows: Iterable[FetchPlan]) -> set[tuple[int | None, str]]:
    """(connection, part) of what was asked for and has not come yet."""
    ids = [row.authorization_id for row in rows if row.authorization_id]
    open_jobs = FetchJob.objects.filter(authorization__in=ids, state__in=FetchJob.OPEN)
    of_data = open_jobs.exclude(kind__in=[FetchJob.Kind.AUTHORIZATION, FetchJob.Kind.REVOCATION])
    return {(id_, part or USAGE) for id_, part in of_data.values_list("authorization_id", "data")}


def jobs_of(rows: Sequence[FetchPlan], now: datetime) -> list[FetchJob]:
    """The jobs that these rows ask for, unsaved; the rows note what was asked."""
    jobs = [job for row in rows if row.part != GAPS for job in jobs_of_row(row, now)]
    looked_through = {row.authorization_id: row for row in rows if row.part == GAPS}
    owners = [row.authorization for row in looked_through.values() if row.authorization]
    for authorization, first, after in gaps.to_ask_for(owners, now=now):
        app = authorization.application_information
        requests = utilities.get(app.utility).window_requests(app, authorization, first, after)
        jobs += made(authorization, requests, now, FetchJob.Priority.HISTORY)
    return jobs


def jobs_of_row(row: FetchPlan, now: datetime) -> list[FetchJob]:
    """What one row asks for: from a week before it is complete to, up to the end of yesterday."""
    utility, app, authorization = utility_of(row), row.application_information, row.authorization
    after = utility.today(now)
    row.asked_at, row.asked_to = now, utility.midnight(after)
    first = first_day(row, utility, now)
    if authorization is None:
        if row.part == LISTED:
            return [our_job(app, list_of_authorizations(utility, app), now)] if utility.authorization_feed(app) else []
        if row.part == BULK_CUSTOMERS:
            return [our_job(app, each, now) for each in utility.bulk_customer_requests(app)]
        return [our_job(app, each, now) for each in utility.bulk_requests(app, first, after)]
    if row.part == USAGE and row.complete_to is None:
        history = [
            each for each in utility.first_requests(app, authorization, now) if (each.data or each.kind) == USAGE
        ]
        return ranked(made(authorization, history, now, FetchJob.Priority.HISTORY))
    is_news = row.part != "customer"
    priority = FetchJob.Priority.DAILY if is_news else FetchJob.Priority.UPKEEP
    return made(authorization, utility.next_requests(app, authorization, row.part, first, after), now, priority)


def first_day(row: FetchPlan, utility: Utility, now: datetime) -> date:
    """The first day that is read again; never before the history that a utility keeps."""
    earliest, today = utility.history(now)
    complete = utility.today(row.complete_to) if row.complete_to else today
    return max(earliest, min(complete, today) - REREAD)


def made(
    authorization: Authorization, requests: Iterable[PlannedRequest], now: datetime, priority: int
) -> list[FetchJob]:
    """Jobs for these requests, unsaved."""
    jobs = [planned_job(authorization, each, None, now) for each in requests]
    for job in jobs:
        job.priority = priority
    return jobs


def list_of_authorizations(utility: Utility, app: ApplicationInformation) -> PlannedRequest:
    """The request for the utility's own list."""
    url = utility.authorization_feed(app)
    return PlannedRequest(FetchJob.Kind.RECONCILIATION, url, utility.token_class(app, url), data=LISTED)


def our_job(app: ApplicationInformation, request: PlannedRequest, now: datetime) -> FetchJob:
    """The job of a request that belongs to no connection."""
    return FetchJob(
        application_information=app,
        kind=request.kind,
        data=request.data,
        priority=FetchJob.Priority.DAILY if request.data == BULK else FetchJob.Priority.UPKEEP,
        token_class=request.token_class,
        url=request.url,
        window_start=request.window_start,
        window_end=request.window_end,
        not_before=now,
    )


def next_of(row: FetchPlan, now: datetime, *, is_live: bool, is_busy: bool) -> datetime | None:
    """When this row is due again; never, once the permission has ended or does not hold this part any more."""
    utility, app, authorization = utility_of(row), row.application_information, row.authorization
    if not is_live:  # a last day may still be moved
        is_active = authorization is not None and authorization.status == Authorization.Status.ACTIVE
        return now + LOOK_AGAIN if is_active else None
    for_all = WEEKLY if row.part == BULK_CUSTOMERS else DAILY
    every = parts_of(utility, app, authorization).get(row.part) if authorization else for_all
    if every is None:
        return None
    if is_busy:
        return now + min(LOOK_AGAIN, every)
    return next_time(utility, authorization.pk if authorization else 0, every, now)


def utility_of(row: FetchPlan) -> Utility:
    """Whose plan it is."""
    return utilities.get(row.application_information.utility)


def unplanned(**more: Any) -> tuple[list[Authorization], set[int], set[int]]:
    """Live connections for which nothing has been asked since they were last granted; the ids of those with jobs; with plans.

    Reads only small indexes: nearly always there is none.
    """
    rows = Authorization.objects.filter(status=Authorization.Status.ACTIVE, is_planned=False, **more)
    found = list(rows.select_related("application_information").order_by("updated_at")[:AT_ONCE])
    if not found:
        return [], set(), set()
    jobs = FetchJob.objects.filter(authorization__in=found).order_by().values_list("authorization", flat=True)
    plans = FetchPlan.objects.filter(authorization__in=found).values_list("authorization", flat=True)
    return found, {id_ for id_ in jobs.distinct() if id_}, {id_ for id_ in plans if id_}


def begin_what_was_left(now: datetime, *, before: datetime) -> list[Authorization]:
    """Make the first requests of connections whose grant was stored `before` then, and followed by nothing."""
    found, with_jobs, with_plans = unplanned(updated_at__lt=before)
    left = [each for each in found if each.pk not in with_jobs or each.pk in with_plans]
    for authorization in left:
        begin(authorization, now=now)
    return left


def adopt(now: datetime) -> int:
    """Rows for connections that were made before there were plans, and for registrations; how many connections."""
    found, with_jobs, with_plans = unplanned()
    old = [each for each in found if each.pk in with_jobs - with_plans]
    for authorization in old:
        keep_plans(authorization, now=now, is_asked=False)
    plan_for_registrations(now)
    return len(old)


def plan_for_registrations(now: datetime) -> None:
    """Rows for what is asked once for all connections of a registration, where it has any and the utility offers it."""
    planned = set(FetchPlan.objects.filter(authorization=None).values_list("application_information", "part"))
    for app in ApplicationInformation.objects.all():
        missing = [part for part in offered(app, now) if (app.pk, part) not in planned]
        if not missing or not app.authorization_set.filter(status=Authorization.Status.ACTIVE).exists():
            continue
        next_at = first_time(utilities.get(app.utility), app.pk, DAILY, now)
        rows = [FetchPlan(application_information=app, part=part, next_at=next_at) for part in missing]
        FetchPlan.objects.bulk_create(rows, ignore_conflicts=True)


def offered(app: ApplicationInformation, now: datetime) -> list[str]:
    """The parts that a utility lets us ask for once for all."""
    utility = utilities.get(app.utility)
    offers = {
        BULK: utility.bulk_requests(app, *utility.history(now)),
        BULK_CUSTOMERS: utility.bulk_customer_requests(app),
        LISTED: utility.authorization_feed(app),
    }
    return [part for part, offer in offers.items() if offer]
