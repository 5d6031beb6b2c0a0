"""What the measured process does with the staff site: very many rows are made, and an owner opens each page, in turns."""

import re
import time
from datetime import timedelta
from statistics import mean, median
from typing import Any

from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.urls import reverse
from django.utils import timezone

from espi.models import (
    ApplicationInformation,
    Authorization,
    AuthorizationRequest,
    Document,
    FetchJob,
    Notification,
    UsagePoint,
)
from portal.flows import looking
from portal.models import FetchPlan, Letter, User
from tests.bench.measure import Sample, cpu_of_server, measuring
from tests.bench.pages_work import PLAIN
from tests.portal.household import household
from tests.portal.people import staff
from tests.portal.rows import copies, job

BIG = ("espi_fetchjob", "espi_document", "espi_notification", "espi_authorization", "portal_user", "portal_letter")
STATES = {"failed": 200, "due": 500, "awaiting_notification": 500, "running": 50_000}  # one of so many jobs
AGE = "now() - ({} - n) * interval '20 seconds'"


def furnish(jobs: int, connections: int) -> Sample:
    """A household that is looked at, and around it so many connections, each with its jobs, files, letters and plan."""
    now = timezone.now()
    customer = User.objects.create_user("looked-at@example.com")
    household(customer, now.date() - timedelta(days=60), now.date())
    held = Authorization.objects.filter(retail_customer=customer).earliest("pk")
    copies(customer, f"generate_series(1, {connections}) AS n", email="'c' || n || '@example.com'")
    others = "portal_user AS u JOIN (SELECT 1) AS one ON u.email LIKE 'c%@example.com'"
    copies(held.subscription, others, retail_customer_id="u.id", public_id="gen_random_uuid()")
    subscribed = (
        f"espi_subscription AS s JOIN portal_user AS u ON s.retail_customer_id = u.id AND u.id <> {customer.pk}"
    )
    copies(
        held, subscribed, retail_customer_id="u.id", subscription_id="s.id", public_id="gen_random_uuid()",
        utility_subscription_id="'s' || s.id", utility_authorization_id="'a' || s.id",
        account_hint="lpad((s.id % 10000)::text, 4, '0')",
    )  # fmt: skip
    crowd(held, jobs, connections)
    return Sample()


def crowd(held: Authorization, jobs: int, connections: int) -> None:
    """The rows that grow: ten jobs of a connection, a document of each, plans, journeys, letters, notifications."""
    app, now = held.application_information, timezone.now()
    numbered = "(SELECT id AS a, row_number() OVER () - 1 AS m FROM espi_authorization) AS o"
    each = f"generate_series(1, {jobs}) AS n JOIN {numbered} ON o.m = n % {connections}"
    done = job(held, "https://utility.example/done", state="done", finished_at=now)
    copies(done, each, authorization_id="o.a", url="'https://utility.example/' || n", created_at=AGE.format(jobs))
    for state, rarity in STATES.items():
        FetchJob.objects.filter(pk=done.pk).update(state=state, reason="The utility answered with something else.")
        some = each.replace(f"(1, {jobs})", f"(1, {max(jobs // rarity, 1)})")
        copies(done, some, authorization_id="o.a", url=f"'https://utility.example/{state}' || n")
    FetchJob.objects.filter(pk=done.pk).update(state="done")
    paper = Document.objects.create(
        application_information=app,
        subscription=held.subscription,
        fetch_job=done,
        sha256="0" * 64,
        size=9,
        received_at=now,
    )
    of_jobs = "espi_fetchjob AS j JOIN espi_authorization AS o ON o.id = j.authorization_id AND j.state = 'done'"
    copies(
        paper, f"{of_jobs} AND j.id <> {done.pk}", public_id="gen_random_uuid()", sha256="md5(j.id::text)",
        fetch_job_id="j.id", subscription_id="o.subscription_id", received_at="j.created_at",
    )  # fmt: skip
    plan = FetchPlan.objects.create(
        application_information=app, authorization=held, part="usage", answered_at=now, next_at=now
    )
    held_by = f"espi_authorization AS o JOIN (SELECT 1) AS one ON o.id <> {held.pk}"
    copies(plan, held_by, authorization_id="o.id")
    journey = AuthorizationRequest.objects.create(
        retail_customer=held.retail_customer,
        application_information=app,
        authorization=held,
        status="connected",
        expires_at=now,
    )
    copies(
        journey,
        held_by,
        public_id="gen_random_uuid()",
        authorization_id="o.id",
        retail_customer_id="o.retail_customer_id",
    )
    told = Notification.objects.create(
        application_information=app, received_at=now, state="resolved", body=b"<x/>" * 500
    )
    copies(told, f"generate_series(1, {jobs // 3}) AS n", received_at=AGE.format(jobs // 3))
    Notification.objects.filter(pk=told.pk).update(state="quarantined")
    letter = Letter.objects.create(
        retail_customer=held.retail_customer, kind="receipt", key="k", created_at=now, not_before=now, expires_at=now
    )
    copies(letter, f"generate_series(1, {jobs // 3}) AS n", public_id="gen_random_uuid()", key="'k' || n")


def visit(repeats: int) -> Sample:
    """CPU milliseconds, statements, bytes and whole counts of every page, by name."""
    owner = staff("owner@example.com")
    owner.groups.add(Group.objects.get(name="owner"))
    customer = User.objects.get(email="looked-at@example.com")
    looking.give_reason(staff=owner, customer=customer, reason="for the bench", now=timezone.now())
    with override_settings(STORAGES=PLAIN, ALLOWED_HOSTS=["*"], DEBUG=False), measuring() as sample:
        client = Client()
        client.force_login(owner)
        pages = addresses(customer)
        told = {name: counted(client, *page) for name, page in pages.items()}
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in pages}
        for _ in range(repeats):
            for name, page in pages.items():
                times[name].append(timed(client, *page))
    sample.told = {"pages": {name: each | summed(times[name]) for name, each in told.items()}}
    return sample


def timed(client: Client, address: str, posted: str) -> tuple[float, float]:
    """(CPU, wall) milliseconds of one visit, with the CPU of its database session."""
    session = connection.connection.info.backend_pid
    served, worked, began = cpu_of_server(session), time.process_time(), time.perf_counter()
    ask(client, address, posted)
    wall, cpu = time.perf_counter() - began, time.process_time() - worked
    return 1000 * (cpu + cpu_of_server(session) - served), 1000 * wall


def summed(times: list[tuple[float, float]]) -> dict[str, float]:
    """The mean of the CPU, as a session's is told in hundredths of a second; the median by the clock on the wall."""
    return {"ms": mean(cpu for cpu, _ in times), "wall": median(wall for _, wall in times)}


def addresses(customer: User) -> dict[str, tuple[str, str]]:
    """(address, what is posted to it) of each page, by what people call it."""
    held = Authorization.objects.filter(retail_customer=customer).earliest("pk")
    point = UsagePoint.objects.filter(subscription=held.subscription).earliest("pk")
    app, newest = ApplicationInformation.objects.earliest("pk"), FetchJob.objects.latest("pk").pk
    found = {
        "health": reverse("staff:health"),
        "what ends soon": reverse("staff:ending"),
        "a connection": reverse("staff:connection", args=[held.public_id]),
        "a meter": reverse("staff:meter", args=[point.public_id]),
        "start": reverse("admin:index"),
    }
    for slug in ("failed", "due", "running", "awaiting", "set-aside"):
        found[f"work, {slug}"] = reverse("staff:queue", args=[slug])
    found["work, an older page"] = reverse(
        "staff:queue", args=["failed"], query={"before": newest - 100, "registration": app.pk}
    )
    for label in ("espi_fetchjob", "espi_document", "espi_authorization", "espi_notification", "espi_authorizationrequest",
                  "espi_subscription", "portal_fetchplan", "portal_letter", "portal_user"):  # fmt: skip
        found[f"list of {label}"] = reverse(f"admin:{label}_changelist")
    jobs, rest = found["list of espi_fetchjob"], found["list of espi_authorization"]
    found |= {
        "failed jobs": f"{jobs}?state__exact=failed",
        "jobs, a later page": f"{jobs}?p=20",
        "jobs of the last days": f"{jobs}?since=7",
        "a job": reverse("admin:espi_fetchjob_change", args=[held.fetch_jobs.earliest("pk").pk]),
        "connections by e-mail": f"{rest}?q=c77@example.com",
        "documents by digest": f"{found['list of espi_document']}?q={'0' * 64}",
    }
    pages = {name: (address, "") for name, address in found.items()}
    search = reverse("staff:connections")
    return pages | {"search, an account": (search, "0042"), "search, a reference": (search, str(held.public_id))}


def ask(client: Client, address: str, posted: str) -> Any:
    """Open it, or post what is searched for."""
    answer = client.post(address, {"asked": posted}) if posted else client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return answer


def counted(client: Client, address: str, posted: str) -> dict[str, int]:
    """What one visit of it, the second, asks of the database."""
    ask(client, address, posted)
    with CaptureQueriesContext(connection) as queries:
        answer = ask(client, address, posted)
    whole = [each["sql"] for each in queries if is_whole_count(each["sql"])]
    return {"statements": len(queries), "bytes": len(answer.content), "counts": len(whole)}


def is_whole_count(statement: str) -> bool:
    """Whether it counts a big table from end to end."""
    table = re.match(r'SELECT COUNT\(\*\) AS "[_a-z]+" FROM "(\w+)"(?! WHERE)(?!.* WHERE)', statement)
    return table is not None and table[1] in BIG
