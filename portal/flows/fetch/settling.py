"""Settling: once everything that was asked for is here, a part of a connection's plan is complete up to there."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Greatest

import utilities
from espi import usage
from espi.models import Authorization, FetchJob, IntervalBlock, IntervalReading, MeterReading, Subscription
from portal.models import FetchPlan

State, Kind = FetchJob.State, FetchJob.Kind
USAGE, BULK = "usage", "bulk"
OF_DATA = (Kind.USAGE, Kind.CUSTOMER, Kind.DOWNLOAD)
QUIET_FOR = timedelta(days=45)  # a meter without readings for so long is taken as gone
YOUNG = timedelta(days=7)  # a new connection without any reading may still get its history


def settle(job: FetchJob, *, now: datetime) -> None:
    """After a job ended well: note that the utility gave something, and how far the data are complete.

    That never goes back, and does not move while anything of what was asked for is under way or failed.
    """
    if job.state != State.DONE or job.kind not in OF_DATA or job.authorization is None:
        return
    part = job.data or USAGE
    plan = FetchPlan.objects.filter(authorization=job.authorization, part=part).first()
    if plan is None:
        return
    changes: dict[str, object] = {"answered_at": now}
    reached = None if is_unfinished(plan) else reach(plan, job.authorization, now)
    if reached:
        changes["complete_to"] = Greatest(F("complete_to"), reached)
    FetchPlan.objects.filter(pk=plan.pk).update(**changes)
    if reached and part == USAGE:
        show(job.authorization, reached)


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
    return min(plan.asked_to, last)


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


def settle_bulk(job: FetchJob, found: Iterable[Authorization], *, now: datetime) -> None:
    """After a bulk file was read: it is complete for those it named, as far as they had come before."""
    bulk = FetchPlan.objects.filter(application_information=job.application_information, authorization=None, part=BULK)
    bulk.update(answered_at=now, complete_to=Greatest(F("complete_to"), F("asked_to")))
    asked_to = bulk.values_list("asked_to", flat=True).first()
    if asked_to is None:
        return
    for authorization in found:
        reached = min(asked_to, last_reading(authorization) or asked_to)
        near = FetchPlan.objects.filter(
            authorization=authorization, part=USAGE, complete_to__gte=reached - timedelta(days=8)
        )
        if near.update(complete_to=Greatest(F("complete_to"), reached)):
            show(authorization, reached)
