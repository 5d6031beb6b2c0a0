"""Sharing ended at the utility: the next refresh is refused, the utility is asked why, and the customer reads it."""

from datetime import UTC, datetime

import pytest

from espi.models import Authorization, FetchJob
from portal.flows import fetch
from tests.journeys.customers import PROFILES
from tests.journeys.test_first_data import connect


@pytest.mark.parametrize("profile", PROFILES, ids=str)
def test_a_refused_refresh_leads_to_what_the_utility_says_of_the_authorization(world, profile):
    authorization = connect(world, profile)
    FetchJob.objects.all().delete()
    authorization_id = world.sandbox.store.find("authorizations", order="id DESC", limit=1)[0]["id"]
    world.sandbox.store.update("authorizations", {"id": authorization_id}, status="revoked")
    Authorization.objects.update(access_token_expires_at=datetime.now(UTC), created_at=datetime(2026, 1, 1, tzinfo=UTC))
    fetch.enqueue_first(authorization, now=datetime.now(UTC))
    world.work(6)
    authorization.refresh_from_db()
    assert (authorization.status, authorization.status_reason) == ("revoked", "Sharing was stopped at the utility.")
    assert authorization.refresh_token is None
    assert not FetchJob.objects.filter(state__in=FetchJob.OPEN).exists()
