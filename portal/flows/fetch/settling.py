"""Settling: once everything that was asked for is here, a part of a connection's plan is complete up to there."""

from datetime import date, datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Greatest

import utilities
from espi import usage
from espi.models import (
    Authorization,
    Document,
    FetchJob,
    IntervalBlock,
    IntervalReading,
    MeterReading,
    Subscription,
)
from portal.flows.fetch.planning import REREAD
from portal.models import FetchPlan
from utilities.base import BULK, BULK_CUSTOMERS

State, Kind = FetchJob.State, FetchJob.Kind
USAGE = "usage"
BY_ITSELF = {BULK: USAGE, BULK_CUSTOMERS: "customer"}  # the part of a connection's own plan that a part for all serves
OF_DATA = (Kind.USAGE, Kind.CUSTOMER, Kind.DOWNLOAD)
QUIET_FOR = timedelta(days=45)  # a meter without readings for so long is taken as gone
NEAR = timedelta(days=8)  # a bulk request reads a week again; what was missing before that it does not bring
YOUNG = timedelta(days=7)  # a new connection without any reading may still get its history

# The first day after the `last` complete one that a meter misses (no channel of it has it) before one that is later than
# `settled`.
MISSING = """
    WITH channel AS MATERIALIZED (
        SELECT channel.id, channel.usage_point_id
        FROM espi_meterreading AS channel JOIN espi_usagepoint AS point ON point.id = channel.usage_point_id
        WHERE point.subscription_id = %(subscription)s AND NOT channel.is_register
    ), day AS (
        SELECT channel.usage_point_id, block.local_date
        FROM channel JOIN espi_intervalblock AS block ON channel.id = block.meter_reading_id
        WHERE block.interval_length <= %(longest)s AND block.local_date >= %(last)s
        UNION
        SELECT channel.usage_point_id, single.local_date
        FROM channel JOIN espi_intervalreading AS single ON channel.id = single.meter_reading_id
        WHERE single.duration <= %(longest)s AND single.local_date >= %(last)s
    ), held AS (
        SELECT local_date, lead(local_date) OVER meter AS following
        FROM day WINDOW meter AS (PARTITION BY usage_point_id ORDER BY local_date)
    )
    SELECT min(local_date) + 1 FROM held WHERE following > local_date + 1 AND following > %(settled)s
"""


def settle(job: FetchJob, *, now: datetime) -> None:
    """After a job ended well: note that the utility gave something, and how far the data are complete.

    That never goes back, and does not move while anything of what was asked for is under way or failed.
    """
    if job.state != State.DONE or job.kind not in OF_DATA:
        return
    if job.authorization is None:
        settle_bulk(job, now=now)
        return
    part = job.data or USAGE
    plan = FetchPlan.objects.filter(authorization=job.authorization, part=part).first()
    if plan is None:
        return
    reached = None if is_unfinished(plan) else reach(plan, job.authorization, now)
    with transaction.atomic():
        changes: dict[str, object] = {"answered_at": now}
        if reached and still_shares(job.authorization):
            changes["complete_to"] = Greatest(F("complete_to"), reached)
            if part == USAGE:
                show(job.authorization, reached)
        FetchPlan.objects.filter(pk=plan.pk).update(**changes)


def still_shares(authorization: Authorization) -> bool:
    """Whether its data are not being deleted: it is active, and held until the commit."""
    row = Authorization.objects.select_for_update(no_key=True).only("status").get(pk=authorization.pk)
    return row.status == Authorization.Status.ACTIVE


def is_unfinished(plan: FetchPlan) -> bool:
    """Whether something of what was asked for last is under way, or failed."""
    own = Q(data="") | Q(data=USAGE) if plan.part == USAGE else Q(data=plan.part)
    failed = Q(state=State.FAILED, created_at__gte=plan.asked_at) if plan.asked_at else Q(pk=None)
    jobs = FetchJob.objects.filter(own, authorization=plan.authorization_id, kind__in=OF_DATA)
    return jobs.filter(failed | Q(state__in=FetchJob.OPEN)).exists()


def reach(plan: FetchPlan, authorization: Authorization, now: datetime) -> datetime | None:
    """Up to where the data are here: as far as was asked, and no further than the readings that came."""
    if plan.asked_to is None or plan.part != USAGE or not authorization.subscription_id:
        return plan.asked_to
    last = last_reading(authorization)
    if last is None:
        return plan.asked_to if now - authorization.created_at > YOUNG else None
    return min(plan.asked_to, last, missing_from(plan, authorization, plan.asked_to) or last)


def missing_from(plan: FetchPlan, authorization: Authorization, asked_to: datetime) -> datetime | None:
    """The midnight before the first day that is missing between what was complete and one of the last week's days.

    No answer says in how many files, or lists of them, it comes: the days between may be in the next. Only for as long
    as late days are to be expected, as each round asks from there. Days told again do not tell that those between them
    were not to be had: nearly all that is told again is told as new (PG&E: a file's creation time, contract §8).
    """
    if plan.complete_to is None:
        return None
    utility = utilities.get(authorization.application_information.utility)
    values = {
        "subscription": authorization.subscription_id,
        "longest": usage.LONGEST_DAY,
        "last": utility.today(plan.complete_to) - timedelta(days=1),
        "settled": utility.today(asked_to) - REREAD,
    }
    with connection.cursor() as cursor:
        cursor.execute(MISSING, values)
        (day,) = cursor.fetchone()
    return utility.midnight(day) if day else None


def last_reading(authorization: Authorization) -> datetime | None:
    """The end of the day up to which every meter has readings; meters that have gone quiet are left out.

    Days in one reading count too where they fit no grid (gas that begins a second after midnight); months do not.
    """
    latest = IntervalBlock.objects.filter(meter_reading=OuterRef("pk")).order_by("-local_date")
    singles = IntervalReading.objects.filter(meter_reading=OuterRef("pk"), duration__lte=usage.LONGEST_DAY)
    last = [Subquery(latest.values("local_date")[:1]), Subquery(singles.order_by("-start").values("local_date")[:1])]
    channels = MeterReading.objects.filter(usage_point__subscription=authorization.subscription_id, is_register=False)
    held = channels.annotate(last=Greatest(*last)).filter(last__isnull=False)
    days: dict[int, date] = {}
    for point, day in held.values_list("usage_point", "last"):
        days[point] = max(day, days.get(point, day))
    if not days:
        return None
    counted = [day for day in days.values() if max(days.values()) - day < QUIET_FOR]
    utility = utilities.get(authorization.application_information.utility)
    return utility.midnight(min(counted) + timedelta(days=1))


def show(authorization: Authorization, reached: datetime) -> None:
    """What the customer is told."""
    held = Subscription.objects.filter(pk=authorization.subscription_id or 0)
    held.update(complete_to=Greatest(F("complete_to"), reached))


def settle_bulk(job: FetchJob, *, now: datetime) -> None:
    """After a bulk file was read, those whom it named were given something.

    Once what was asked for last is all here, it is complete for those whom its files named: each as far as he had come
    before. A file of an earlier request that comes late counts with those of the last one.
    """
    asked = at_address(job).exclude(kind=Kind.DOWNLOAD).order_by("-pk").values_list("data", flat=True).first()
    plans = FetchPlan.objects.filter(application_information=job.application_information, authorization=None)
    bulk = plans.filter(part=asked).first() if asked else None
    if bulk is None or bulk.part not in BY_ITSELF or bulk.asked_at is None or bulk.asked_to is None:
        return
    named = plans_of_named(FetchJob.objects.filter(pk=job.pk), BY_ITSELF[bulk.part])
    FetchPlan.objects.filter(pk__in=[bulk.pk, *named.values_list("pk", flat=True)]).update(answered_at=now)
    beside = at_address(job).filter(Q(created_at__gte=bulk.asked_at) | Q(pk=job.pk))
    if beside.exclude(state__in=[State.DONE, State.SUPERSEDED]).exists():
        return
    files = beside.filter(Q(kind=Kind.DOWNLOAD) | Q(pk=job.pk))
    usage_plans = plans_of_named(files, USAGE).filter(complete_to__isnull=False) if bulk.part == BULK else []
    reached = [settle_from_bulk(bulk, plan) for plan in usage_plans]
    FetchPlan.objects.filter(pk=bulk.pk).update(
        complete_to=Greatest(F("complete_to"), max(filter(None, reached), default=bulk.asked_to))
    )


def at_address(job: FetchJob) -> QuerySet[FetchJob]:
    """The jobs for everybody's data at a bulk job's address, whatever the query: its request, its files; itself among them."""
    address = job.url.partition("?")[0]
    named = Q(url=address) | Q(url__startswith=f"{address}?")
    return FetchJob.objects.filter(named, application_information=job.application_information, authorization=None)


def plans_of_named(files: QuerySet[FetchJob], part: str) -> QuerySet[FetchPlan]:
    """The plans of this part of connections into whose data something of these files went."""
    subscriptions = Document.objects.filter(fetch_job__in=files, refusal="").values("subscription")
    plans = FetchPlan.objects.filter(
        part=part,
        authorization__subscription__in=subscriptions,
        authorization__status=Authorization.Status.ACTIVE,
    )
    return plans.select_related("authorization__application_information")


def settle_from_bulk(bulk: FetchPlan, plan: FetchPlan) -> datetime | None:
    """How far a connection is complete after the files of a bulk request; None where that is nothing new for sure."""
    authorization = plan.authorization
    if authorization is None or bulk.asked_to is None or plan.complete_to is None:
        return None
    last = last_reading(authorization) or bulk.asked_to
    reached = min(bulk.asked_to, last, missing_from(plan, authorization, bulk.asked_to) or last)
    if plan.complete_to < reached - NEAR:
        return None
    FetchPlan.objects.filter(pk=plan.pk).update(complete_to=Greatest(F("complete_to"), reached))
    show(authorization, reached)
    return reached
