"""The account pages in a real Chromium: accessible, narrow enough, quiet on the console, passkeys, and without script.

Set SCREENSHOTS to a folder to keep a picture of each page.
"""

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.portal.people import PASSWORD, mailed_code, person, staff, totp_code

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PUBLIC = (
    "/",
    "/help",
    "/help/stop",
    "/privacy",
    "/account/login/",
    "/account/signup/",
    "/account/password/reset/",
    "/no/such/page",
)
OWN = (
    "/account/",
    "/account/email/",
    "/account/password/change/",
    "/account/2fa/",
    "/account/2fa/totp/activate/",
    "/account/2fa/webauthn/add/",
    "/account/2fa/recovery-codes/generate/",
    "/account/sessions/",
    "/account/logout/",
)
STAFF = ("", "espi/applicationinformation/", "espi/applicationinformation/add/", "espi/fetchjob/", "portal/user/")
SMALL = """() => [...document.querySelectorAll('main a, main button, main input, main summary, header a, header button, footer a')]
    .filter(e => e.offsetParent && !(getComputedStyle(e).display === 'inline' && e.closest('p, li, dd')))
    .filter(e => e.getBoundingClientRect().height < 24 || e.getBoundingClientRect().width < 24)
    .map(e => e.outerHTML)"""


@pytest.fixture
def page(chromium):
    """A tab whose console must stay silent, but for the status of a page that is not there."""
    tab = chromium.new_context().new_page()
    said = []
    tab.on("console", lambda line: said.append(line.text) if line.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    yield tab
    assert [words for words in said if "404 (Not Found)" not in words] == []


def look(page, *, theme_is_ours=True):
    """The page wide and light, narrow and dark: no serious finding, no sideways scrolling, targets of 24 pixels."""
    for width, scheme in ((1280, "light"), (320, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found = Axe().run(page).response["violations"]
        serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
        assert serious == [], (page.url, width, scheme)
        picture(page, f"{width}-{scheme}")
        if theme_is_ours:
            assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url
            assert page.evaluate(SMALL) == [], page.url
            assert page.locator("h1").count() == 1


def picture(page, name):
    if folder := os.environ.get("SCREENSHOTS"):
        path = page.url.split("/", 3)[3].partition("?")[0].strip("/").replace("/", "_") or "start"
        page.screenshot(path=Path(folder) / f"{path}-{name}.png", full_page=True)


def sign_in(page, live_server, email, password=PASSWORD):
    page.goto(f"{live_server.url}/account/login/")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(lambda url: "/account/login/" not in url)


def sign_out(page):
    """Waits for the page that follows: to open another address meanwhile would break the sign-out off."""
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign out").wait_for(state="detached")


def prove(page):
    if "/reauthenticate/" in page.url:
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Continue").click()


def test_public_pages_are_accessible_and_fit_a_small_window(page, live_server):
    for path in PUBLIC:
        page.goto(live_server.url + path)
        look(page)


def test_account_pages_are_accessible_and_fit_a_small_window(page, live_server):
    person()
    sign_in(page, live_server, "ann@example.com")
    for path in OWN:
        page.goto(live_server.url + path)
        if "/reauthenticate/" in page.url:
            look(page)
        prove(page)
        look(page)


def test_registering_with_a_mistake_on_the_way(page, live_server):
    page.goto(f"{live_server.url}/account/signup/")
    page.get_by_label("E-mail address").fill("new@example.com")
    page.get_by_label("Choose a password").fill("short")
    page.get_by_role("button", name="Register").click()
    assert page.title() == "Error: Register – Share My Meter"
    expect(page.locator("#error-summary")).to_be_focused()
    look(page)
    page.locator("#error-summary a").click()
    expect(page.locator("#id_password1")).to_be_focused()
    assert page.get_by_label("E-mail address").input_value() == "new@example.com"
    page.get_by_label("Choose a password").fill(PASSWORD)
    page.get_by_role("button", name="Register").click()
    look(page)
    page.get_by_label("Code").fill(mailed_code())
    page.get_by_role("button", name="Continue").click()
    assert page.url == f"{live_server.url}/dashboard"


def test_a_second_step_is_set_up_and_asked_for(page, live_server):
    person()
    sign_in(page, live_server, "ann@example.com")
    page.goto(f"{live_server.url}/account/2fa/totp/activate/")
    prove(page)
    key = page.locator("main code").inner_text()
    page.get_by_label("Code").fill(totp_code(key))
    page.get_by_role("button", name="Turn on").click()
    look(page)
    sign_out(page)
    sign_in(page, live_server, "ann@example.com")
    look(page)
    recovery = page.get_by_label("Code")
    recovery.fill("000000")
    page.get_by_role("button", name="Sign in", exact=True).click()
    assert page.title().startswith("Error: ")


def test_a_passkey_is_added_and_opens_the_account_without_a_password(page, live_server):
    person()
    device = page.context.new_cdp_session(page)
    device.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    device.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    sign_in(page, live_server, "ann@example.com")
    page.goto(f"{live_server.url}/account/2fa/webauthn/add/")
    prove(page)
    page.get_by_label("Name").fill("my phone")
    assert page.get_by_label("Sign in with it alone, without my password").is_checked()
    page.get_by_role("button", name="Add").click()
    # The device is asked first, then the form goes: what is on its way must not be cut off by opening another page.
    page.wait_for_url(lambda url: "/webauthn/add/" not in url)
    page.goto(f"{live_server.url}/account/2fa/webauthn/")
    assert page.get_by_role("rowheader", name="my phone").is_visible()
    look(page)
    sign_out(page)
    page.goto(f"{live_server.url}/account/login/?next=/help")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"{live_server.url}/help")
    assert page.get_by_role("button", name="Sign out").is_visible()


def test_everything_but_passkeys_works_without_script(chromium, live_server):
    tab = chromium.new_context(java_script_enabled=False).new_page()
    tab.goto(f"{live_server.url}/account/signup/")
    tab.get_by_label("E-mail address").fill("new@example.com")
    tab.get_by_label("Choose a password").fill(PASSWORD)
    tab.get_by_role("button", name="Register").click()
    tab.get_by_label("Code").fill(mailed_code())
    tab.get_by_role("button", name="Continue").click()
    sign_out(tab)
    tab.goto(f"{live_server.url}/account/login/")
    assert not tab.get_by_role("button", name="Sign in with a passkey").is_visible()
    tab.get_by_role("link", name="Forgot your password?").click()
    tab.get_by_label("E-mail address").fill("new@example.com")
    tab.get_by_role("button", name="Send me a code").click()
    tab.get_by_label("Code").fill(mailed_code())
    tab.get_by_role("button", name="Continue").click()
    tab.get_by_label("New password", exact=True).fill("four quiet words here")
    tab.get_by_label("New password again").fill("four quiet words here")
    tab.get_by_role("button", name="Save and sign in").click()
    assert tab.url == f"{live_server.url}/dashboard"


def test_a_quiet_session_warns_and_one_click_keeps_it(page, live_server):
    person()
    page.clock.install()
    sign_in(page, live_server, "ann@example.com")
    page.goto(f"{live_server.url}/account/")
    warning = page.get_by_role("alertdialog")
    page.clock.fast_forward("26:00")
    assert not warning.is_visible()
    page.clock.fast_forward("01:40")
    assert warning.is_visible()
    look(page)
    with page.expect_response("**/account/stay") as answer:
        page.get_by_role("button", name="Stay signed in").click()
    assert answer.value.status == 204
    warning.wait_for(state="hidden")


def test_the_staff_site_works_under_its_policy(page, live_server):
    user = staff()
    page.goto(f"{live_server.url}/staff/")
    sign_in(page, live_server, user.email)
    page.get_by_label("Code").fill(totp_code(user.totp_secret))
    page.get_by_role("button", name="Sign in", exact=True).click()
    for path in STAFF:
        page.goto(f"{live_server.url}/staff/{path}")
        look(page, theme_is_ours=False)
