"""What ends soon, or has not been used for long: files at a utility, certificates, secrets, tokens, connections."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db.models import Max, QuerySet

from espi.models import ApplicationInformation, Authorization, FetchJob
from portal.flows import alerts, idle
from portal.flows.staffing.health import FILE_LIVES, URGENT
from portal.metrics import days_left
from portal.models import StaffAlert

LEVELS = (7, 30, 60)  # days
ALERT = "ends "  # how its alerts' keys begin
MAILED = (1, 7, 30)  # days: at each of them staff are mailed once
MOST = 50


@dataclass(frozen=True)
class Ending:
    """A certificate or a secret of a registration. `days` left, rounded down; None: nobody has told when it ends."""

    app: ApplicationInformation
    what: str
    days: int | None

    @property
    def words(self) -> str:
        """How near it is."""
        if self.days is None:
            return "Not known: the date is not filled in."
        if self.days < 0:
            return "Ended, or cannot be read."
        level = next((each for each in LEVELS if self.days <= each), None)
        return f"{self.days} days left" + (f": within {level} days" if level else "")

    @property
    def is_near(self) -> bool:
        """Whether somebody must act."""
        return self.days is not None and self.days <= LEVELS[-1]


def credentials(now: datetime) -> list[Ending]:
    """Certificates and client secrets, those that end first at the top."""
    found = [each for app in ApplicationInformation.objects.order_by("utility", "pk") for each in _of(app, now)]
    return sorted(found, key=lambda each: (each.days is None, each.days or 0))


def _of(app: ApplicationInformation, now: datetime) -> Iterable[Ending]:
    if app.client_certificate_path:
        yield Ending(app, "client certificate", int(days_left(Path(app.client_certificate_path), now) // 1))
    if app.client_secret:
        yield Ending(app, "client secret", (app.secret_ends_on - now.date()).days if app.secret_ends_on else None)


def tell(now: datetime) -> None:
    """One alert, and so one mail, when a certificate or secret comes to each of MAILED; over once it is renewed."""
    reached = {f"{ALERT}{each.app.pk} {each.what} {days}": (each, days) for each, days in _reached(now)}
    was_open = StaffAlert.objects.filter(key__startswith=ALERT, closed_at=None).values_list("key", flat=True)
    for key in set(was_open) - reached.keys():
        alerts.end(key, now=now)
    for key, (each, days) in reached.items():
        subject = f"{each.app}: {each.what} ends within {days} day{'s' if days > 1 else ''}"
        words = (
            f"The {each.what} of {each.app}: {each.words.rstrip('.')}. Renew it, save the new one on the registration's page, and tell "
            "the utility where it wants to know."
        )
        alerts.begin(key, subject, words, now=now, app=each.app)


def _reached(now: datetime) -> Iterable[tuple[Ending, int]]:
    """What is near its end, with the nearest of MAILED."""
    for each in credentials(now):
        days = next((days for days in MAILED if each.days is not None and each.days <= days), None)
        if days is not None:
            yield each, days


def files(now: datetime) -> list[tuple[FetchJob, datetime]]:
    """Announced files that nobody fetched for a day, with when the utility drops them; the oldest first."""
    waiting = FetchJob.objects.filter(
        kind=FetchJob.Kind.DOWNLOAD, state__in=FetchJob.OPEN, created_at__lte=now - (FILE_LIVES - URGENT)
    )
    rows = waiting.select_related("application_information").order_by("created_at")[:MOST]
    return [(job, job.created_at + FILE_LIVES) for job in rows]


def stale_tokens(now: datetime) -> QuerySet[Authorization]:
    """Live connections whose access token has been out of date the longest: their refresh token is as old, or older."""
    live = Authorization.objects.filter(status=Authorization.Status.ACTIVE, access_token_expires_at__lt=now)
    return live.select_related("application_information").order_by("access_token_expires_at")[:MOST]


def idle_connections(now: datetime) -> list[tuple[Authorization, int]]:
    """Live connections that gave nothing for thirty days, with the days since; some utilities end them after 45."""
    found = idle.connections(idle.WARN, now).select_related("application_information").order_by("created_at")[:MOST]
    rows = list(found)
    plans = Authorization.objects.filter(pk__in=[row.pk for row in rows]).values_list("pk")
    last = dict(plans.annotate(newest=Max("fetch_plans__answered_at")))
    told = ((row, (now - (last.get(row.pk) or row.created_at)).days) for row in rows)
    return sorted(told, key=lambda each: -each[1])
