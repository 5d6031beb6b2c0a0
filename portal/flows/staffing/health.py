"""How each utility stands, and who is alive: one page, a fixed number of questions whatever the tables hold."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Count, Max, Min, Q

import utilities
from espi.models import ApplicationInformation, FetchJob, Notification
from portal.flows import budgets, circuits
from portal.flows.staffing.work import MOST_COUNTED
from portal.models import Circuit, FetchPlan, Heartbeat, StaffAlert, UtilityCall
from utilities.base import Budget

FILE_LIVES = timedelta(hours=48)  # an announced file, at Con Edison (contract §6)
URGENT = timedelta(hours=24)
ALIVE = timedelta(seconds=60)
SCHEDULER = "scheduler"


@dataclass(frozen=True)
class Used:
    """A limit of calls and how much of it is used now."""

    budget: Budget
    calls: int

    @property
    def percent(self) -> int:
        """Of what the utility allows."""
        return round(100 * self.calls / self.budget.calls)

    @property
    def words(self) -> str:
        """The limit: "40 token calls in 60 seconds"."""
        kind = "token calls" if self.budget.tokens_only else "calls"
        return f"{self.budget.calls} {kind} in {self.budget.seconds:g} seconds"


@dataclass(frozen=True)
class Standing:
    """How one registration stands. Instants are aware; `oldest_due`: since when the oldest due job could run."""

    app: ApplicationInformation
    circuit: Circuit
    last_success: datetime | None
    budgets: list[Used]
    open_jobs: int
    oldest_due: datetime | None
    expiring_files: int
    set_aside: int
    waits_until: datetime | None

    @property
    def is_well(self) -> bool:
        """Whether nothing here needs a look."""
        return not (self.circuit.opened_at or self.expiring_files or self.set_aside or self.waits_until)


@dataclass(frozen=True)
class Beat:
    """A worker or the scheduler. `seconds` since it last showed that it is alive."""

    name: str
    seconds: int

    @property
    def is_alive(self) -> bool:
        """Whether it showed that within a minute."""
        return self.seconds <= ALIVE.total_seconds()


@dataclass(frozen=True)
class Health:
    """The whole page. `missing`: what should be alive and never showed itself."""

    registrations: list[Standing]
    beats: list[Beat]
    alerts: list[StaffAlert]
    missing: list[str] = field(default_factory=list)
    most_counted: int = MOST_COUNTED


def look(now: datetime) -> Health:
    """Ask the database; eight statements."""
    beats = [Beat(each.name, int((now - each.at).total_seconds())) for each in Heartbeat.objects.order_by("name")]
    alerts = StaffAlert.objects.filter(closed_at=None).select_related("application_information")
    seen = {"worker" if beat.name.startswith("worker ") else beat.name for beat in beats}
    missing = [name for name in ("worker", SCHEDULER) if name not in seen]
    return Health(registrations(now), beats, list(alerts.order_by("-opened_at")[:50]), missing)


def registrations(now: datetime) -> list[Standing]:
    """Every registration of a utility that we know."""
    known = [utility.slug for utility in utilities.all()]
    apps = list(ApplicationInformation.objects.filter(utility__in=known).select_related("circuit").order_by("utility"))
    success = dict(
        FetchPlan.objects.order_by().values_list("application_information").annotate(newest=Max("answered_at"))
    )
    aside = dict(
        Notification.objects.filter(state=Notification.State.QUARANTINED)
        .order_by()
        .values_list("application_information")
        .annotate(number=Count("pk"))
    )
    jobs, used = jobs_of(now), calls_of(apps, now)
    return [_standing(app, now, success.get(app.pk), aside.get(app.pk, 0), jobs, used) for app in apps]


def _standing(
    app: ApplicationInformation,
    now: datetime,
    success: datetime | None,
    aside: int,
    jobs: dict[int, tuple[int, datetime | None, int]],
    used: dict[int, list[Used]],
) -> Standing:
    circuit = circuits.of(app)
    waits = circuit.paused_until if circuit.paused_until and circuit.paused_until > now else None
    return Standing(app, circuit, success, used[app.pk], *jobs.get(app.pk, (0, None, 0)), aside, waits)


def jobs_of(now: datetime) -> dict[int, tuple[int, datetime | None, int]]:
    """Of each registration: open jobs, since when the oldest due one could run, files with less than a day to live."""
    due = Q(state=FetchJob.State.DUE, not_before__lte=now)
    expiring = Q(kind=FetchJob.Kind.DOWNLOAD, created_at__lte=now - (FILE_LIVES - URGENT))
    rows = FetchJob.objects.filter(state__in=FetchJob.OPEN).order_by().values_list("application_information")
    told = rows.annotate(
        number=Count("pk"), oldest=Min("not_before", filter=due), expiring=Count("pk", filter=expiring)
    )
    return {pk: (number, oldest, expiring) for pk, number, oldest, expiring in told}


def calls_of(apps: Iterable[ApplicationInformation], now: datetime) -> dict[int, list[Used]]:
    """Every budget of every registration, all counted by one statement."""
    declared = {app: utilities.get(app.utility).budgets for app in apps}
    named = {
        f"n{app.pk}_{place}": _counts(app, budget, now)
        for app, limits in declared.items()
        for place, budget in enumerate(limits)
    }
    found = UtilityCall.objects.aggregate(**named) if named else {}
    return {
        app.pk: [Used(budget, found[f"n{app.pk}_{place}"]) for place, budget in enumerate(limits)]
        for app, limits in declared.items()
    }


def _counts(app: ApplicationInformation, budget: Budget, now: datetime) -> Count:
    counted = Q(scope=budgets.scope(app), at__gt=budget.counts_from(now))
    return Count("pk", filter=counted & Q(is_token=True) if budget.tokens_only else counted)
