"""What is collected is what was agreed, whatever two windows, a second click or a crash do in between."""

from contextlib import suppress
from datetime import timedelta
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone

from espi.models import Authorization, AuthorizationRequest, FetchJob, UsageSummary
from portal.flows import authorize, fetch, returning
from portal.models import Consent
from tests.journeys.conftest import PORTAL
from tests.journeys.customers import CECONY_V1, CECONY_V2, ESSEX, ORU, PGE, sign_in
from tests.journeys.test_attacks_authorization import callback, held_callback

Status = AuthorizationRequest.Status


@pytest.mark.parametrize("profile", [CECONY_V1, ESSEX, PGE], ids=str)
@pytest.mark.parametrize("agrees_again", [True, False])
def test_a_choice_changed_after_leaving_voids_the_answer_to_the_old_one(world, profile, agrees_again):
    browser = world.signed_in()
    address = held_callback(world, browser, profile, "usage", "billing")
    browser.get(f"{PORTAL}/connect/change/{world.journey().public_id}").press("Continue", kinds=["usage"])
    if agrees_again:
        browser.press("Agree and continue")
    browser.get(address)
    assert browser.response.status_code == 400
    assert not Authorization.objects.exists()
    assert not world.token_requests()


def test_agreeing_counts_only_for_what_the_page_showed(world):
    browser = world.signed_in()
    world.to_check(browser, "essex", "usage")
    shown = browser.page.xpath("//input[@name='shown']/@value")
    other = world.browser()
    other.http.cookies.update(browser.http.cookies)
    other.get(f"{PORTAL}/connect/change/{world.journey().public_id}").press("Continue", kinds=["usage", "billing"])
    browser.press("Agree and continue")
    assert browser.heading == "Check and agree"
    assert "changed in another window" in browser.text
    assert browser.page.xpath("//input[@name='shown']/@value") != shown
    assert not Consent.objects.exists()


def test_a_double_click_on_agree_and_on_leave_does_no_harm(world):
    browser = world.signed_in()
    world.to_check(browser, "essex", "usage")
    for _ in range(2):
        page = browser.get(f"{PORTAL}/connect/check/{world.journey().public_id}")
        page.press("Agree and continue")
    assert Consent.objects.count() == 1
    leaving = browser.url
    browser.press("Continue to")
    browser.get(leaving).press("Continue to")
    ESSEX.approve(browser, ESSEX.who)
    assert browser.heading == "You are connected"


@pytest.mark.parametrize("step", ["check", "change", "leave", "cancel"])
def test_a_finished_journey_cannot_be_changed_and_leads_to_its_result(world, step):
    browser = world.signed_in()
    browser.get(held_callback(world, browser, ESSEX))
    journey = world.journey()
    if step == "cancel":
        browser.get(f"{PORTAL}/connect")
        token = browser.http.cookies["portal_csrf"]
        form = {"csrfmiddlewaretoken": token}
        browser.raw("POST", f"{PORTAL}/connect/cancel/{journey.public_id}", data=form)
    browser.get(f"{PORTAL}/connect/{step if step != 'cancel' else 'check'}/{journey.public_id}")
    assert browser.heading == "You are connected"
    assert Authorization.objects.get().status == Authorization.Status.ACTIVE


def test_closing_loses_against_an_answer_that_was_quicker(world):
    browser = world.signed_in()
    address = held_callback(world, browser, ESSEX)
    stale = world.journey()
    browser.get(address)
    assert not authorize.close(stale, Status.CLOSED, "Cancelled by the customer.")
    assert world.journey().status == Status.CONNECTED


def test_another_account_than_the_chosen_one_is_parked(world):
    """Con Edison V1 without state: a stranger's code in the customer's browser brings the stranger's account."""
    stranger = world.signed_in("mallory@example.com")
    address = held_callback(world, stranger, CECONY_V1)
    victim = world.signed_in("victim@example.com")
    victim.hold = f"{PORTAL}/espi/1_1/OAuthCallBack"
    world.to_utility(victim, "cecony")
    CECONY_V1.approve(victim, "solar@example.com")
    victim.hold = None
    victim.get(callback(code=parse_qs(urlsplit(address).query)["code"][0]))
    assert victim.heading == "We could not finish this connection"
    assert Authorization.objects.get().status == Authorization.Status.PARKED
    assert not FetchJob.objects.exists()


def test_declining_on_con_edisons_first_page_is_an_ordinary_decline(world):
    browser = world.signed_in()
    world.to_utility(browser, "oru", "usage", "billing")
    sign_in(browser, ORU.who)
    browser.press("Cancel")
    assert browser.heading == "You are not connected"
    browser.click("Start again with the same choices")
    assert set(browser.page.xpath("//input[@name='kinds'][@checked]/@value")) == {"usage", "billing"}


def test_an_abandoned_v1_journey_does_not_stand_in_the_way_of_the_next_one(world):
    browser = world.signed_in()
    held_callback(world, browser, ORU)
    AuthorizationRequest.objects.update(expires_at=timezone.now() - timedelta(hours=3))
    address = held_callback(world, browser, ORU)
    browser.get(callback("oru", code=parse_qs(urlsplit(address).query)["code"][0]))
    assert browser.heading == "You are connected"


def test_pge_is_not_asked_for_what_was_not_ticked_here(world):
    browser = world.signed_in()
    world.to_utility(browser, "pge", "usage")
    PGE.approve(browser, PGE.who)  # leaves every group of PG&E's own page ticked
    assert browser.heading == "You are connected"
    assert "You did not choose it here, so we do not collect it" in browser.text
    world.work()
    assert Authorization.objects.get().data_granted == ["usage"]
    assert not FetchJob.objects.filter(kind=FetchJob.Kind.CUSTOMER).exists()
    assert not UsageSummary.objects.exclude(bill_last_period=None).exists()


def test_a_detail_left_out_at_con_edison_is_told(world):
    world.offer("cecony", "v2")
    browser = world.signed_in()
    world.to_utility(browser, "cecony", "usage", "billing")
    sign_in(browser, CECONY_V2.who)
    kept = [value for value in browser.page.xpath("//input[@name='choice']/@value") if value != "16"]
    browser.press("Authorize", choice=kept)  # bills, but not what they cost
    assert browser.heading == "You are connected, with less than you chose here"


def test_an_exchange_that_never_ended_is_ended(world):
    browser = world.signed_in()
    held_callback(world, browser, ESSEX)
    long_ago = timezone.now() - timedelta(minutes=5)
    AuthorizationRequest.objects.update(status=Status.RETURNED, returned_at=long_ago)
    assert returning.end_unfinished(timezone.now()) == 1
    assert world.journey().status == Status.FAILED
    assert returning.end_unfinished(timezone.now()) == 0


def left(minutes=0):
    """What is found so many minutes later of what a crash left."""
    now = timezone.now() + timedelta(minutes=minutes)
    return fetch.begin_what_was_left(now, before=now - returning.EXCHANGED_WITHIN)


def died_before_asking(world, browser):
    """The process is killed between the grant's commit and the first request."""
    back = held_callback(world, browser, ESSEX)
    with patch("portal.flows.fetch.begin", side_effect=KeyboardInterrupt), suppress(KeyboardInterrupt):
        browser.get(back)


def test_what_was_granted_is_asked_for_even_if_we_died_before_asking(world):
    died_before_asking(world, world.signed_in())
    assert not FetchJob.objects.exists()
    assert left() == []  # too early to tell
    assert left(minutes=3) == [Authorization.objects.get()]
    assert FetchJob.objects.exists()
    assert left(minutes=3) == []


def test_what_was_granted_again_is_asked_for_even_if_we_died_before_asking(world):
    browser = world.signed_in()
    browser.get(held_callback(world, browser, ESSEX))
    FetchJob.objects.update(state="done")
    before = FetchJob.objects.count()
    died_before_asking(world, browser)
    assert left(minutes=3) == [Authorization.objects.latest("updated_at")]
    assert FetchJob.objects.count() > before


def test_a_newer_connection_that_ended_does_not_hide_one_that_still_collects(world):
    browser = world.signed_in()
    for _ in range(2):
        browser.get(held_callback(world, browser, CECONY_V1))
    assert browser.heading == "This account was already connected"
    newest = Authorization.objects.latest("pk")
    Authorization.objects.filter(pk=newest.pk).update(status=Authorization.Status.REVOKED)
    browser.get(f"{PORTAL}/dashboard")
    assert browser.page.xpath("//a[contains(., 'Stop sharing')]")
    assert "Stopped at the utility" not in browser.text
