"""The daily list of authorizations at each utility that has one, as the sandbox writes it."""

from datetime import UTC, datetime

import pytest

from espi.models import Authorization, FetchJob
from portal.flows import fetch
from portal.models import FetchPlan, StaffAlert
from tests.journeys.customers import CECONY_V2, ESSEX, PGE
from tests.journeys.test_first_data import connect


@pytest.fixture(params=[CECONY_V2, PGE, ESSEX], ids=str)
def connection(request, world):
    held = connect(world, request.param)
    world.work()
    Authorization.objects.update(created_at=datetime(2026, 1, 1, tzinfo=UTC))
    return held


def reconcile(world):
    """Today's reconciliation, by plan; its words."""
    now = datetime.now(UTC)
    fetch.plan(now)
    FetchPlan.objects.filter(part="authorizations").update(next_at=now)
    fetch.plan(now)
    world.work(6)
    job = FetchJob.objects.filter(kind="reconciliation").latest("pk")
    assert job.state == "done", job.reason
    return job.reason


def test_a_connection_that_stands_is_left_alone(world, connection):
    assert reconcile(world) == "1 known, 0 unknown, 0 looked into."
    connection.refresh_from_db()
    assert connection.status == "active"
    assert not StaffAlert.objects.exists()


def test_f54_a_connection_that_was_ended_there_without_a_word_is_ended_here(world, connection):
    number = world.sandbox.store.find("authorizations", order="id DESC", limit=1)[0]["id"]
    world.sandbox.store.update("authorizations", {"id": number}, status="revoked")
    reconcile(world)
    connection.refresh_from_db()
    assert (connection.status, connection.status_reason) == ("revoked", "Sharing was stopped at the utility.")
    assert connection.refresh_token is None
