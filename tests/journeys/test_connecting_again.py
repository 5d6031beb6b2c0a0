"""A customer connects an account that is connected: one history, one card, and one press of "Stop sharing" ends it all."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from espi.models import Authorization, FetchJob, Subscription, UsagePoint
from portal.flows import fetch
from tests.journeys.conftest import PORTAL
from tests.journeys.customers import CECONY_V1, CECONY_V2, ESSEX, PGE, Profile
from tests.journeys.test_first_data import connect, stored

STATUS = Authorization.Status


def again(world, profile: Profile, *chosen: str) -> Authorization:
    browser = world.signed_in()
    world.to_utility(browser, profile.slug, *chosen)
    profile.approve(browser, profile.who)
    return Authorization.objects.latest("pk")


def test_pge_replaces_the_earlier_authorization_and_the_history_goes_on(world):
    first = connect(world, PGE)
    world.work()
    before, points = stored(first), set(UsagePoint.objects.values_list("pk", flat=True))
    second = again(world, PGE)
    assert second.utility_subscription_id != first.utility_subscription_id
    world.work()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, first.status_reason) == (STATUS.SUPERSEDED, "Replaced by your newer connection.")
    assert (first.access_token, first.refresh_token) == (None, None)
    assert (second.status, second.subscription_id) == (STATUS.ACTIVE, first.subscription_id)
    assert stored(second) == before
    assert (Subscription.objects.count(), set(UsagePoint.objects.values_list("pk", flat=True))) == (1, points)
    browser = world.signed_in()
    browser.get(f"{PORTAL}/dashboard")
    assert browser.text.count("Up to date") == 1
    assert "Stopped" not in browser.text


def test_the_earlier_one_is_looked_up_even_if_pge_does_not_tell(world):
    first = connect(world, PGE)
    world.work()
    world.arm("no_notification", "pge")
    again(world, PGE)
    job = FetchJob.objects.get(kind="authorization", authorization=first, state="due")
    assert job.url == first.authorization_uri
    fetch.run(job.pk, now=datetime.now(UTC))
    first.refresh_from_db()
    assert first.status == STATUS.REVOKED


def test_another_account_at_pge_stays_another_connection(world):
    connect(world, PGE)
    world.work()
    again(world, replace(PGE, who="solar@example.com"))
    world.work()
    assert list(Authorization.objects.order_by("pk").values_list("status", flat=True)) == [STATUS.ACTIVE] * 2
    assert Subscription.objects.count() == 2


@pytest.mark.parametrize("profile", [CECONY_V1, CECONY_V2, ESSEX], ids=str)
def test_one_press_stops_every_authorization_of_the_account(world, profile):
    connect(world, profile)
    world.work()
    again(world, profile)
    world.work()
    assert Subscription.objects.count() == 1
    world.signed_in().get(f"{PORTAL}/dashboard").click("Stop sharing").press("Stop sharing")
    assert set(Authorization.objects.values_list("status", flat=True)) == {STATUS.WITHDRAWN}
    assert not Authorization.objects.filter(refresh_token__isnull=False).exists()
    assert not UsagePoint.objects.exists()
