"""What the engine asks the database every few seconds reads an index, whatever else is in the table."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from espi.models import Authorization, AuthorizationRequest, Notification
from portal.flows import alerts, circuits, fetch, notify, returning, telling
from portal.flows.fetch import marking, planning
from portal.models import FetchPlan, Letter
from tests.portal import rows
from tests.portal.rows import NOW, copies
from utilities import pge
from utilities.base import Budget

pytestmark = pytest.mark.django_db
MANY = 20_000


@pytest.fixture
def crowd():
    """A registration with very many connections that are well, or ended long ago, and with all that belongs to them."""
    app = rows.registration("pge", "")
    held = rows.authorization(app, is_planned=True, end_date=NOW.date() + timedelta(days=1))
    Authorization.objects.filter(pk=held.pk).update(created_at=NOW - timedelta(days=400))
    numbers = f"generate_series(1, {MANY}) AS n"
    copies(held, numbers, utility_subscription_id="'s' || n", public_id="gen_random_uuid()")
    for status in ("revoked", "expired"):
        words = {"status": f"'{status}'", "utility_subscription_id": f"'{status}' || n"}
        copies(held, numbers, public_id="gen_random_uuid()", ended_at="TIMESTAMPTZ '2025-12-24 12:00Z'", **words)
    others = f"espi_authorization AS a WHERE a.id <> {held.pk} AND a.status = 'active'"
    plan = FetchPlan.objects.create(
        application_information=app, authorization=held, part="usage", next_at=NOW + timedelta(days=1)
    )
    copies(plan, others.replace(" WHERE ", " JOIN (SELECT 1) AS one ON true AND "), authorization_id="a.id")
    copies(rows.job(held, "https://utility.example/1", state="done"), numbers, url="'https://utility.example/' || n")
    journey = AuthorizationRequest.objects.create(
        retail_customer=held.retail_customer, application_information=app, status="connected", expires_at=NOW
    )
    copies(journey, numbers, public_id="gen_random_uuid()")
    told = Notification.objects.create(application_information=app, received_at=NOW, state="resolved", body=b"")
    copies(told, numbers)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return app


def scanned(statement):
    """Tables that a statement reads from one end to the other, of those with very many rows."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}")
        found = cursor.fetchone()[0]
    tree = json.loads(found) if isinstance(found, str) else found
    return {node["Relation Name"] for node in nodes(tree[0]["Plan"]) if node["Node Type"] == "Seq Scan"} & LARGE


LARGE = {"espi_authorization", "espi_authorizationrequest", "espi_fetchjob", "portal_fetchplan", "espi_notification"}


def nodes(node):
    yield node
    for child in node.get("Plans", []):
        yield from nodes(child)


ASKED_OFTEN = {
    "heal: journeys": lambda now: returning.end_unfinished(now),
    "heal: grants": lambda now: fetch.begin_what_was_left(now, before=now),
    "plan: connections whose last day is over": lambda now: planning.end_what_is_over(now),
    "plan: connections without plans": lambda now: planning.adopt(now),
    "plan": lambda now: planning.plan_some(now),
    "sweep of notifications": lambda now: notify.sweep(),
    "sweep of jobs": lambda now: fetch.sweep(now),
    "watch": lambda now: alerts.send_mails(now),
    "watch: letters": lambda now: telling.tell(now),
}


@pytest.mark.parametrize("ask", ASKED_OFTEN.values(), ids=ASKED_OFTEN)
def test_nothing_that_is_asked_every_minute_reads_a_large_table_from_end_to_end(crowd, ask):
    ask(NOW)
    with CaptureQueriesContext(connection) as queries:
        ask(NOW)
    asked = [each["sql"] for each in queries if each["sql"].split()[0] in ("SELECT", "UPDATE", "WITH", "DELETE")]
    assert [(scanned(sql), sql[:200]) for sql in asked if scanned(sql)] == []
    assert asked or ask is ASKED_OFTEN["watch"]


def test_a_scan_would_be_noticed(crowd):
    assert scanned("SELECT * FROM espi_authorization WHERE account_hint = 'x'") == {"espi_authorization"}


def test_one_connection_that_a_crash_left_is_found_among_all(crowd):
    left = rows.authorization(crowd, "left", is_planned=False)
    Authorization.objects.filter(pk=left.pk).update(updated_at=NOW - timedelta(minutes=3))
    assert fetch.begin_what_was_left(NOW, before=NOW) == [left]
    assert fetch.begin_what_was_left(NOW, before=NOW) == []


def test_who_is_to_be_told_something_or_has_come_to_his_last_day_is_found_among_all(crowd):
    rows.authorization(crowd, "needy", status="needs_reconnect")
    rows.authorization(crowd, "gone", status="revoked", ended_at=NOW - timedelta(hours=2))
    over = rows.authorization(crowd, "over", end_date=NOW.date() - timedelta(days=1))
    with CaptureQueriesContext(connection) as queries:
        planning.end_what_is_over(NOW)
        telling.tell(NOW)
        telling.tell(NOW + timedelta(hours=1))
    over.refresh_from_db()
    assert over.status == "expired"
    assert sorted(Letter.objects.values_list("kind", flat=True)) == ["action_needed", "expired", "stopped_there"]
    asked = [each["sql"] for each in queries if each["sql"].startswith("SELECT")]
    assert [(scanned(sql), sql[:200]) for sql in asked if scanned(sql)] == []


def test_the_marking_of_what_is_due_reads_the_index_of_open_jobs_only(crowd):
    with CaptureQueriesContext(connection) as queries:
        marking.take(crowd, 100, now=NOW)
    assert not scanned(queries[0]["sql"])
    assert circuits.of(crowd).opened_at is None


def test_the_line_for_tokens_is_read_from_the_indexes_of_open_jobs_only(crowd, monkeypatch):
    monkeypatch.setattr(pge.PGE, "budgets", (Budget(40, 60, tokens_only=True),))
    with CaptureQueriesContext(connection) as queries:
        marking.take(crowd, 100, now=NOW)
    asked = [query["sql"] for query in queries if "espi_fetchjob" in query["sql"]]
    assert [scanned(sql) for sql in asked] == [set()] * 3
