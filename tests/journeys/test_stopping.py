"""A customer stops sharing: at once, for good, at the utility too where it offers a call, and his data go or stay."""

import pytest

from espi.models import Authorization, Document, FetchJob, UsagePoint
from tests.journeys.conftest import PORTAL
from tests.journeys.customers import CECONY_V2, ESSEX, PGE


def connected(world, profile):
    if profile.edition:
        world.offer(profile.slug, profile.edition)
    browser = world.signed_in()
    world.to_utility(browser, profile.slug)
    profile.approve(browser, profile.who)
    world.work()
    assert UsagePoint.objects.exists()
    return browser.get(f"{PORTAL}/dashboard").click("Stop sharing")


@pytest.mark.parametrize("profile", [CECONY_V2, PGE, ESSEX], ids=str)
def test_stopping_destroys_the_tokens_and_deletes_the_data_unless_told_otherwise(world, profile):
    browser = connected(world, profile).press("Stop sharing")
    assert browser.heading == "Sharing is stopped"
    assert "We no longer collect anything" in browser.text
    assert "What we had collected was deleted." in browser.text
    assert "Stopped by you" in browser.get(f"{PORTAL}/dashboard").text
    authorization = Authorization.objects.get()
    assert authorization.status == Authorization.Status.WITHDRAWN
    assert (authorization.access_token, authorization.refresh_token) == (None, None)
    assert not UsagePoint.objects.exists()
    assert not Document.objects.exists()


def test_data_that_the_customer_keeps_can_still_be_seen(world):
    browser = connected(world, PGE).press("Stop sharing", collected="keep")
    assert "is kept for you" in browser.text
    browser.get(f"{PORTAL}/dashboard").click("Electricity")
    assert browser.response.status_code == 200
    assert browser.page.xpath("//main//table//tbody/tr")


@pytest.mark.parametrize("profile", [PGE, ESSEX], ids=str)
def test_a_utility_that_offers_a_call_is_told(world, profile):
    connected(world, profile).press("Stop sharing")
    world.work()
    assert FetchJob.objects.get(kind=FetchJob.Kind.REVOCATION).state == FetchJob.State.DONE
    assert [row["status"] for row in world.sandbox.store.find("authorizations")] == ["revoked"]


def test_nothing_is_collected_after_stopping(world):
    connected(world, CECONY_V2).press("Stop sharing")
    before = len(world.sandbox.store.find("deliveries"))
    world.work()
    assert len(world.sandbox.store.find("deliveries")) == before
    assert not FetchJob.objects.filter(state__in=["due", "running", "awaiting_notification"]).exists()


def test_stopping_needs_a_post_and_the_owner(world):
    browser = connected(world, PGE)
    address = browser.url
    assert Authorization.objects.get().status == Authorization.Status.ACTIVE
    assert browser.raw("POST", address).status_code == 403
    stranger = world.signed_in("eve@example.com")
    assert stranger.raw("GET", address).status_code == 404
