"""What Prometheus reads at /metrics: how long requests took, and how the work stands, asked of the rows themselves.

Requests are counted by the processes of one web server, together where PROMETHEUS_MULTIPROC_DIR is set. Everything else is
the same whichever server answers: it comes from PostgreSQL at the moment of asking. Labels hold names of registrations
and of pages, never a person, an id or an address.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import Aggregate, Count, Max, Min, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from prometheus_client import CollectorRegistry, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

import utilities
from espi.models import ApplicationInformation, Authorization, FetchJob, Notification
from portal.flows import budgets
from portal.models import Circuit, FetchPlan, Heartbeat, StaffAlert

SLOWEST = 3000  # milliseconds that one of the questions may take
FILE_LIVES = timedelta(hours=48)  # an announced file, at Con Edison (contract §6)
LIVES = {"6h": timedelta(hours=6), "24h": timedelta(hours=24), "48h": FILE_LIVES}  # warn, urgent, expired
IDLE_DAYS = (30, 40)
ALIVE = timedelta(seconds=60)  # since a worker last showed that it is
METHODS = {"GET", "POST", "HEAD"}
REQUESTS = Histogram(
    "portal_request_seconds",
    "How long requests took, by page.",
    ["view", "method", "status"],
    buckets=(0.025, 0.05, 0.1, 0.3, 0.5, 1, 2.5, 5, 10),
    registry=None,
)


def note_request(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    """Count a request that was answered. `status` is 2xx, 3xx, 4xx or 5xx."""
    match = request.resolver_match
    view = match.view_name if match and match.view_name else "none"
    method = request.method if request.method in METHODS else "other"
    REQUESTS.labels(view, method, f"{response.status_code // 100}xx").observe(seconds)


def exposition() -> bytes:
    """The whole page, in Prometheus' text format."""
    registry = CollectorRegistry()
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        multiprocess.MultiProcessCollector(registry)
    else:
        registry.register(REQUESTS)
    registry.register(Rows())
    return generate_latest(registry)


class Rows(Collector):
    """Asks the database. One that is away is a figure too: `portal_database_up` is 0, and nothing else is told."""

    def collect(self) -> Iterable[Metric]:
        """Every figure, each question ended after SLOWEST."""
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {SLOWEST}")
                found = [metric for figure in FIGURES for metric in figure(timezone.now())]
        except (DatabaseError, InterfaceError):
            found = []
        up = Gauge("portal_database_up", "Whether PostgreSQL answers, in time.", value=float(bool(found)))
        return [up, *found]


def jobs(now: datetime) -> Iterator[Metric]:
    """Work that has not ended, and how long the oldest that is due has waited."""
    count = Gauge("portal_jobs_open", "Jobs that have not ended.", labels=["registration", "state"])
    oldest = Gauge("portal_oldest_due_job_seconds", "How long the oldest due job has waited.", labels=["registration"])
    open_jobs = FetchJob.objects.filter(state__in=FetchJob.OPEN).order_by()
    for app, state, number in by_registration(open_jobs.values_list("application_information", "state"), Count("pk")):
        count.add_metric([app, state], number)
    due = open_jobs.filter(state="due", not_before__lte=now, application_information__circuit__opened_at=None)
    for app, since in by_registration(due.values_list("application_information"), Min("not_before")):
        oldest.add_metric([app], (now - since).total_seconds())
    yield from (count, oldest)


def files(now: datetime) -> Iterator[Metric]:
    """Announced files that were not fetched yet, by how long ago they were announced. Most live for 48 hours."""
    gauge = Gauge(
        "portal_files_waiting",
        "Announced files not fetched yet, by age in hours.",
        labels=["registration", "older_than"],
    )
    waiting = FetchJob.objects.filter(kind="download", state__in=FetchJob.OPEN).order_by()
    older = {f"n{name}": Count("pk", filter=Q(created_at__lte=now - age)) for name, age in LIVES.items()}
    for app, *numbers in by_registration(waiting.values_list("application_information"), **older):
        for name, number in zip(LIVES, numbers, strict=True):
            gauge.add_metric([app, name], number)
    yield gauge


def notifications(now: datetime) -> Iterator[Metric]:
    """What was posted to us and set aside, and how long the oldest has waited to be read."""
    aside = Gauge("portal_notifications_quarantined", "Notifications set aside for staff.", labels=["registration"])
    for app, number in by_registration(
        Notification.objects.filter(state="quarantined").values_list("application_information"), Count("pk")
    ):
        aside.add_metric([app], number)
    first = Notification.objects.filter(state="received").aggregate(first=Min("received_at"))["first"]
    waiting = Gauge("portal_oldest_notification_seconds", "How long the oldest unread notification has waited.")
    waiting.add_metric([], (now - first).total_seconds() if first else 0)
    yield from (aside, waiting)


def circuits(now: datetime) -> Iterator[Metric]:
    """Registrations whose utility is left alone, with the cause."""
    gauge = Gauge(
        "portal_circuit_open", "1: the utility is not called but for a probe.", labels=["registration", "cause"]
    )
    for circuit in Circuit.objects.select_related("application_information"):
        gauge.add_metric(
            [str(circuit.application_information), circuit.cause or "none"], float(bool(circuit.opened_at))
        )
    yield gauge


def calls(now: datetime) -> Iterator[Metric]:
    """How much of each budget is used. A budget is named by its calls and seconds."""
    labels = ["registration", "budget"]
    gauge = Gauge("portal_budget_used_ratio", "Part of a utility's limit of calls that is used.", labels=labels)
    for app in ApplicationInformation.objects.filter(utility__in=[utility.slug for utility in utilities.all()]):
        for budget, used in budgets.used(app, now=now):
            kind = "tokens" if budget.tokens_only else "calls"
            gauge.add_metric([str(app), f"{budget.calls} {kind} in {budget.seconds:g}s"], used / budget.calls)
    yield gauge


def connections(now: datetime) -> Iterator[Metric]:
    """Connections by state, and how long ago the access token that is out of date the longest ended."""
    count = Gauge("portal_connections", "Connections, by state.", labels=["registration", "status"])
    overdue = Gauge(
        "portal_oldest_expired_token_seconds",
        "How long the access token of a live connection has been out of date, at most.",
        labels=["registration"],
    )
    rows = Authorization.objects.order_by().values_list("application_information", "status")
    for app, status, number, first in by_registration(rows, Count("pk"), Min("access_token_expires_at")):
        count.add_metric([app, status], number)
        if status == Authorization.Status.ACTIVE and first:
            overdue.add_metric([app], max(0.0, (now - first).total_seconds()))
    yield from (count, overdue)


def answers(now: datetime) -> Iterator[Metric]:
    """When a utility last gave anything, and connections that gave nothing for long: some utilities end those."""
    last = Gauge("portal_last_answer_seconds", "How long ago the utility last gave data.", labels=["registration"])
    idle = Gauge("portal_idle_connections", "Live connections without an answer.", labels=["registration", "days"])
    since = {f"n{days}": Count("pk", filter=Q(answered_at__lte=now - timedelta(days=days))) for days in IDLE_DAYS}
    live = FetchPlan.objects.filter(part="usage", next_at__isnull=False).order_by()
    rows = live.values_list("application_information")
    for app, newest, *numbers in by_registration(rows, newest=Max("answered_at"), **since):
        if newest:
            last.add_metric([app], (now - newest).total_seconds())
        for days, number in zip(IDLE_DAYS, numbers, strict=True):
            idle.add_metric([app, str(days)], number)
    yield from (last, idle)


def alive(now: datetime) -> Iterator[Metric]:
    """Workers and the scheduler."""
    workers = Gauge("portal_workers_alive", "Workers that showed in the last minute that they are alive.")
    seen = Heartbeat.objects.filter(name__startswith="worker ", at__gte=now - ALIVE).count()
    workers.add_metric([], seen)
    scheduler = Gauge("portal_scheduler_seconds", "How long ago the scheduler in charge showed that it is alive.")
    last = Heartbeat.objects.filter(name="scheduler").values_list("at", flat=True).first()
    scheduler.add_metric([], (now - last).total_seconds() if last else float("inf"))
    yield from (workers, scheduler)


def alerts(now: datetime) -> Iterator[Metric]:
    """What staff must look at."""
    yield Gauge("portal_alerts_open", "Open alerts.", value=StaffAlert.objects.filter(closed_at=None).count())


def certificates(now: datetime) -> Iterator[Metric]:
    """Days that our client certificates are still good for; -1 for one that cannot be read."""
    gauge = Gauge("portal_certificate_days_left", "Days until our client certificate ends.", labels=["registration"])
    for app in ApplicationInformation.objects.exclude(client_certificate_path=""):
        gauge.add_metric([str(app)], days_left(Path(app.client_certificate_path), now))
    yield gauge


def days_left(path: Path, now: datetime) -> float:
    """Of the certificate in a PEM file."""
    try:
        ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return -1
    return (ends - now.astimezone(UTC)).total_seconds() / 86400


FIGURES: tuple[Callable[[datetime], Iterator[Metric]], ...] = (
    jobs,
    files,
    notifications,
    circuits,
    calls,
    connections,
    answers,
    alive,
    alerts,
    certificates,
)


def by_registration(rows: QuerySet[Any, Any], *measures: Aggregate, **named: Aggregate) -> Iterator[tuple[Any, ...]]:
    """Groups of rows whose first column is a registration, which is told by its name."""
    names = {app.pk: str(app) for app in ApplicationInformation.objects.defer("notify_secret")}
    for pk, *rest in rows.annotate(**{f"m{place}": each for place, each in enumerate(measures)}, **named):
        if pk in names:
            yield (names[pk], *rest)
