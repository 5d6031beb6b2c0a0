"""Customers who start at their utility: its Share My Data page sends them here, and it ends in stored readings."""

from collections.abc import Callable

import pytest
import time_machine

from espi.models import Authorization, AuthorizationRequest, FetchJob
from portal.models import User, UtilityVisit
from tests.journeys.browser import Browser
from tests.journeys.conftest import PASSWORD, PORTAL, SANDBOX, World
from tests.journeys.customers import CECONY_V1, CECONY_V2, ORU, PGE, Profile, sign_in
from tests.journeys.test_first_data import delivered, stored
from tests.portal.people import mailed_code

SITES = {"cecony": "www.coned.com", "oru": "www.oru.com", "pge": "sharemydata.pge.com"}
NEW = "new@example.com"
# The least that ends in readings: Con Edison's last 24 hours, which its second edition does not have.
SHARED = {CECONY_V1: "realtime", ORU: "realtime", CECONY_V2: "usage", PGE: "usage"}


def start(world: World, browser: Browser, profile: Profile) -> Browser:
    """From the utility's own first page, over its list of third parties, to the portal."""
    if profile.edition:
        world.offer(profile.slug, profile.edition)
    browser.get(f"{SANDBOX}/{SITES[profile.slug]}/")
    if profile.slug == "pge":
        return browser.press("Continue")
    sign_in(browser, profile.with_most_data.who)
    browser.press("Continue")
    return browser.press("Continue to the third party", terms="yes")


def register(world: World, browser: Browser) -> None:
    """With the code from the mail."""
    browser.click("Register").press("Register", email=NEW, password1=PASSWORD)
    browser.press("Continue", code=mailed_code())


def sign_in_here(world: World, browser: Browser) -> None:
    """With an account one has."""
    world.user(NEW)
    browser.click("I already have an account").press("Sign in", login=NEW, password=PASSWORD)


def reset_password(world: World, browser: Browser) -> None:
    """The password was forgotten."""
    world.user(NEW)
    browser.click("I already have an account").click("Forgot your password")
    browser.press("Send me a code", email=NEW)
    browser.press("Continue", code=mailed_code())
    browser.press("Save and sign in", password1="another three words", password2="another three words")


def go_on(world: World, browser: Browser, profile: Profile) -> Authorization:
    """From where the visit was taken up again, to the stored readings."""
    if profile.slug != "pge":
        assert browser.heading == "Which company is on your bill?"
        browser.press("Continue", utility=profile.slug)
    assert browser.heading == "Choose what to share", browser.text
    browser.press("Continue", kinds=[SHARED[profile]])
    agree(browser, profile)
    assert browser.heading == "You are connected", browser.text
    world.work()
    authorization = Authorization.objects.get()
    unfinished = FetchJob.objects.exclude(state="done").values_list("kind", "state", "reason", "url")
    assert list(unfinished) == []
    assert sum(count for count, _ in stored(authorization).values()) > 24
    assert stored(authorization) == delivered(world)
    return authorization


def agree(browser: Browser, profile: Profile) -> None:
    """Agree here, and at the utility where it asks again."""
    browser.press("Agree and continue").press("Continue to")
    if profile is CECONY_V2:
        sign_in(browser, profile.with_most_data.who)
        browser.press("Authorize")
    elif profile is PGE:
        sign_in(browser, profile.with_most_data.who)
        browser.press("Share my data", terms="yes")


WAYS = [(profile, register) for profile in SHARED] + [(ORU, sign_in_here), (ORU, reset_password)]


@pytest.mark.parametrize(("profile", "enter"), WAYS, ids=[f"{profile}-{way.__name__}" for profile, way in WAYS])
def test_a_visit_that_begins_at_the_utility_ends_in_readings(
    world: World, profile: Profile, enter: Callable[[World, Browser], None]
):
    browser = start(world, world.browser(), profile)
    assert browser.heading == "Sign in to go on"
    assert "accountid" not in browser.url
    enter(world, browser)
    authorization = go_on(world, browser, profile)
    assert authorization.retail_customer == User.objects.get(email=NEW)
    journey = AuthorizationRequest.objects.get()
    assert (journey.came_from_utility, journey.status) == (True, "connected")
    if profile.slug != "pge":
        assert journey.account_hint == UtilityVisit.objects.get().account_hint != ""
        assert journey.account_number == authorization.account_number
    text = browser.get(f"{PORTAL}/dashboard").text
    assert text.count("Up to date") + text.count("Receiving data") == 1, text  # as far as what was announced is here


@pytest.mark.parametrize("profile", [CECONY_V1, PGE], ids=str)
def test_who_is_signed_in_here_goes_straight_on(world, profile):
    browser = start(world, world.signed_in(NEW), profile)
    go_on(world, browser, profile)


@pytest.mark.parametrize("profile", [CECONY_V1, PGE], ids=str)
def test_a_visit_survives_registration_a_forgotten_password_and_being_signed_out_for_idling(world, profile):
    """All three on one way: the account and the dates from the utility are still there at its end."""
    with time_machine.travel("2026-11-20 10:00:00Z") as clock:
        browser = start(world, world.browser(), profile)
        register(world, browser)
        clock.shift(31 * 60)  # idle for longer than a session may be
        browser.get(f"{PORTAL}/dashboard")
        assert "You were signed out because some time had passed" in browser.text
        browser.click("Forgot your password").press("Send me a code", email=NEW)
        browser.press("Continue", code=mailed_code())
        browser.press("Save and sign in", password1="another three words", password2="another three words")
        go_on(world, browser, profile)
    assert UtilityVisit.objects.count() == 1
    assert AuthorizationRequest.objects.get().came_from_utility


def test_a_visit_that_is_an_hour_old_has_ended_and_changes_nothing(world):
    with time_machine.travel("2026-11-20 10:00:00Z") as clock:
        browser = start(world, world.browser(), ORU)
        clock.shift(61 * 60)
        browser.get(f"{PORTAL}/connect/arrival")
    assert (browser.response.status_code, browser.heading) == (400, "We stopped here")
    assert not AuthorizationRequest.objects.exists()


def test_a_company_that_sends_nobody_here_cannot_be_the_one_on_the_bill(world):
    browser = start(world, world.signed_in(), CECONY_V1)
    answer = browser.press("Continue", utility="essex")
    assert answer.response.status_code == 400
    assert not AuthorizationRequest.objects.exists()
