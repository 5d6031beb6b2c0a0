"""The engine's measured work: sweeping, sending wake-ups, a day's news of many connections, a storm of refreshes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from celery import current_app
from django.db import ProgrammingError, connection, connections
from django.utils import timezone

import utilities
from espi import session
from espi.models import ApplicationInformation, Authorization, FetchJob, IntervalBlock, Subscription
from portal.flows import fetch
from portal.flows.fetch import marking, sweeping
from portal.models import FetchPlan, User, UtilityCall
from tests.bench.measure import Sample, measuring
from tests.portal import rows, standin

FILL = """
    INSERT INTO espi_fetchjob (application_information_id, authorization_id, kind, token_class, url, state, reason,
        attempts, not_before, created_at)
    SELECT %s, NULL, 'usage', 'access', 'https://utility.example/' || %s || n, %s, '', 0, now() + %s, now()
    FROM generate_series(1, %s) AS n
"""
TABLES = "espi_fetchjob, portal_user, espi_applicationinformation"


def emptied() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLES} CASCADE")


def fill(app: ApplicationInformation, name: str, count: int, state: str, after: timedelta) -> None:
    with connection.cursor() as cursor:
        cursor.execute(FILL, [app.pk, name, state, after, count])


def queue(idle: int, due: int) -> ApplicationInformation:
    """So many jobs that are due among idle ones: half of these are done, half wait for next week."""
    emptied()
    app = rows.registration()
    fill(app, "done", idle // 2, "done", timedelta(0))
    fill(app, "later", idle - idle // 2, "due", timedelta(days=7))
    fill(app, "due", due, "due", timedelta(seconds=-1))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) espi_fetchjob")
        with suppress(ProgrammingError):  # what is still to be written of so many rows is not the sweep's work
            cursor.execute("CHECKPOINT")
    return app


# --- Sweeping, and sending wake-ups -----------------------------------------------------------------------------------


def claiming(idle: int, due: int, times: int = 9) -> Sample:
    """How long a sweep needs to mark what is due. `told`: medians in seconds, by the processor's and the wall's clock, and
    the least of the processor's, which what else the machine does touches least."""
    app, found = queue(idle, due), []
    for _ in range(times):
        with measuring(connection.connection.info.backend_pid) as sample:
            taken = marking.take(app, due, now=timezone.now())
        found.append(sample)
        assert len(taken) == due, taken
        FetchJob.objects.filter(woken_at__isnull=False).update(woken_at=None)
    told = {"cpu": median(each.cpu for each in found), "wall": median(each.wall for each in found)}
    told["least"] = min(each.cpu for each in found)
    return Sample(told=told)


def dispatching(due: int) -> Sample:
    """All wake-ups for so many jobs, as sweeps send them. The database's work is in it."""
    queue(due, due)
    with_broker()
    with measuring() as sample:
        sent = 0
        while count := fetch.sweep(timezone.now()):
            sent += count
    assert sent == due, sent
    return sample


def one_by_one(due: int) -> Sample:
    """A message for each job and nothing else: what `delay()` in a loop does."""
    with_broker()
    with measuring() as sample:
        for id_ in range(due):
            assert fetch.wake([id_])
    return sample


def with_broker() -> None:
    """An empty broker."""
    with current_app.connection_for_write() as broker:
        broker.default_channel.client.flushdb()


# --- A utility that answers at once -----------------------------------------------------------------------------------


@contextmanager
def utility(day: datetime) -> Iterator[standin.StandIn]:
    """It gives a day of hourly readings to whoever asks."""
    stand_in = Feeds(int(day.timestamp()) // 3600 * 3600)
    stand_in.says("/oauth/", standin.token())
    with session.mounted("http://localhost:8001", stand_in.adapter):
        yield stand_in


class Feeds(standin.StandIn):
    """Every subscription has its own feed."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self.start = start

    def _next(self, path: str) -> Any:
        if "/Batch/Subscription/" not in path:
            return super()._next(path)
        number = path.partition("/Batch/Subscription/")[2].partition("?")[0]
        return 200, standin.feed(number, start=self.start, values=range(24), point=f"p{number}"), {}


def connected(count: int, *, expires: timedelta = timedelta(hours=1)) -> list[Authorization]:
    """So many connections with Essex, complete up to yesterday."""
    emptied()
    app, now = rows.registration("essex", ""), timezone.now()
    users = User.objects.bulk_create(User(email=f"{number}@example.com", password="!") for number in range(count))
    midnight = utilities.get("essex").midnight(utilities.get("essex").today(now))
    held = [Subscription(retail_customer=user, utility="essex", time_zone="America/Toronto") for user in users]
    Subscription.objects.bulk_create(held)
    some = [
        Authorization(
            retail_customer=subscription.retail_customer,
            application_information=app,
            subscription=subscription,
            utility_subscription_id=str(number),
            data_granted=["usage"],
            scope_granted="FB=4_16_39",
            access_token=f"access-{number}",
            access_token_expires_at=now + expires,
            refresh_token=f"refresh-{number}",
        )
        for number, subscription in enumerate(held)
    ]
    Authorization.objects.bulk_create(some)
    plans = [
        FetchPlan(
            application_information=app,
            authorization=each,
            part="usage",
            next_at=now,
            asked_at=now,
            complete_to=midnight - timedelta(days=1),
        )
        for each in some
    ]
    FetchPlan.objects.bulk_create(plans)
    return some


def a_days_news(count: int) -> Sample:
    """Plan and run the news of so many connections that have a history. `told`: statements for each, connections a second."""
    connected(count)
    a_day(2)
    with measuring() as sample, counting() as statements:
        a_day(1)
    assert FetchJob.objects.filter(state="done").count() == 2 * count
    assert IntervalBlock.objects.count() >= 2 * count
    sample.told = {"statements": statements[0] / count, "a_second": count / sample.wall}
    return sample


def a_day(ago: int) -> None:
    """Plan, and run what was planned, as on the day so many days ago."""
    now = timezone.now()
    FetchPlan.objects.filter(authorization=None).update(next_at=None)
    before = {"asked_at": now - timedelta(days=ago), "complete_to": now - timedelta(days=ago + 1)}
    FetchPlan.objects.filter(part="usage").update(next_at=now, **before)
    with utility(now - timedelta(days=ago)):
        fetch.plan(now)
        for job_id in FetchJob.objects.filter(state="due").values_list("pk", flat=True):
            fetch.run(job_id, now=timezone.now())


@contextmanager
def counting() -> Iterator[list[int]]:
    """Statements that this process's connection is given."""
    count = [0]

    def one_more(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        count[0] += 1
        return execute(sql, params, many, context)

    with connection.execute_wrapper(one_more):
        yield count


# --- A storm of refreshes ---------------------------------------------------------------------------------------------


def storm(count: int, each: int, workers: int = 4) -> Sample:
    """So many connections whose tokens ran out, with so many jobs each, run by several workers until all are done.

    All jobs at once at first, as if each had been woken up; then, minute by minute, those that a sweep takes. `told`:
    token calls, the most of them in a minute, rounds.
    """
    held = connected(count, expires=timedelta(0))
    app = held[0].application_information
    ApplicationInformation.objects.filter(pk=app.pk).update(utility="cecony", edition="v2")
    app.refresh_from_db()
    base = utilities.get("cecony").resource_base(app)
    now = timezone.now()
    Authorization.objects.update(access_token_expires_at=now)
    jobs = [
        FetchJob(
            application_information=app,
            authorization=one,
            kind="usage",
            url=f"{base}/Batch/Subscription/{one.utility_subscription_id}?part={part}",
            not_before=now,
        )
        for one in held
        for part in range(each)
    ]
    FetchJob.objects.bulk_create(jobs, batch_size=2000)
    with utility(now - timedelta(days=1)) as stand_in, measuring() as sample:
        together(workers, list(FetchJob.objects.order_by("pk").values_list("pk", flat=True)), now)
        rounds = 1
        while FetchJob.objects.filter(state__in=FetchJob.OPEN).exists():
            now, rounds = now + timedelta(seconds=61), rounds + 1
            together(workers, [id_ for id_, _ in sweeping.chosen(app, now)], now)
            assert rounds < 20 + count, FetchJob.objects.values_list("state", "reason").distinct()
    calls = sorted(UtilityCall.objects.filter(is_token=True).values_list("at", flat=True))
    most = max((sum(1 for at in calls if since <= at < since + timedelta(minutes=1)) for since in calls), default=0)
    done = FetchJob.objects.filter(state="done").count()
    sample.told = {"token_calls": len(stand_in.paths("/oauth/")), "most": most, "rounds": rounds, "done": done}
    return sample


def together(workers: int, due: list[int], now: datetime) -> None:
    """Let several workers run these jobs, each in a thread with a connection of its own."""

    def work(own: list[int]) -> None:
        for job_id in own:
            fetch.run(job_id, now=now)
        connections.close_all()

    threads = [threading.Thread(target=work, args=(due[number::workers],)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
