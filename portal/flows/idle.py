"""Idle connections: some utilities end an authorization that was not used for 45 days (Con Edison, third-party FAQ)."""

from collections import Counter
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, QuerySet

from espi.models import ApplicationInformation, Authorization
from portal.flows import alerts
from portal.models import FetchPlan

WARN, CRITICAL = 30, 40  # days


def review(now: datetime) -> dict[int, int]:
    """Tell staff of live connections that gave nothing for so long; how many, by days."""
    return {days: sum(tell(days, now).values()) for days in (WARN, CRITICAL)}


def connections(days: int, now: datetime) -> QuerySet[Authorization]:
    """Live connections that gave nothing for so long."""
    since = now - timedelta(days=days)
    used = FetchPlan.objects.filter(authorization=OuterRef("pk"), answered_at__gte=since)
    idle = Authorization.objects.filter(~Exists(used), status=Authorization.Status.ACTIVE, created_at__lt=since)
    return idle.exclude(data_granted=[])


def tell(days: int, now: datetime) -> Counter[int]:
    """One alert for each registration that has such connections; how many each has."""
    counts = Counter(connections(days, now).values_list("application_information", flat=True))
    for app in ApplicationInformation.objects.all():
        key = f"idle {app.pk} {days}"
        if not counts[app.pk]:
            alerts.end(key, now=now)
            continue
        words = (
            f"{counts[app.pk]} connections with {app} gave nothing for {days} days. Some utilities end an authorization "
            "after 45. Their jobs say why."
        )
        alerts.begin(key, f"{app}: connections that gave nothing for {days} days", words, now=now, app=app)
    return counts
