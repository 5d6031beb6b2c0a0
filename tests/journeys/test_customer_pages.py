"""How much a customer has to do, to load and to see with: clicks, bytes, a keyboard, no script, each language."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.walking import Visit

pytestmark = pytest.mark.browser
MOST_CLICKS, MOST_DECISIONS = 4, 2
FIRST_LOAD = 60_000  # bytes over the wire, pictures left out


def test_from_the_start_page_to_the_leaving_page_are_two_decisions_and_four_clicks(visit):
    visit.sign_in("second")
    page, decisions = visit.page, []
    visit.go("/")
    clicks = [
        page.get_by_role("link", name="Connect PG&E"),
        page.locator("input[name=kinds]").first,
        page.get_by_role("button", name="Continue"),
        page.get_by_role("button", name="Agree and continue"),
    ]
    for click in clicks:
        click.click()
        page.wait_for_load_state()
        decisions.append(page.locator("h1").inner_text())
    expect(page.get_by_role("heading", level=1)).to_have_text("You are now leaving for PG&E")
    visit.met()
    assert len(clicks) <= MOST_CLICKS
    assert len(set(decisions[:-1])) <= MOST_DECISIONS, decisions


@pytest.mark.parametrize("path", ["/", "/connect", "/account/login/", "/account/signup/", "/help"])
def test_a_first_load_is_small_and_asks_nobody_else(chromium, system, path):
    context = chromium.new_context(base_url=system.portal)
    page, loaded = context.new_page(), {}
    page.on("requestfinished", lambda request: loaded.update({request.url: _bytes(request)}))
    page.goto(path)
    page.wait_for_load_state("networkidle")
    context.close()
    assert all(url.startswith(system.portal) for url in loaded), loaded
    assert len(loaded) >= 3
    assert 3_000 < sum(loaded.values()) < FIRST_LOAD, loaded


def _bytes(request) -> int:
    sizes = request.sizes()
    is_picture = request.resource_type in ("image", "other")
    return 0 if is_picture else sizes["responseBodySize"] + sizes["responseHeadersSize"]


FOCUSED = "(document.activeElement.textContent.replace(/\\s+/g, ' ').trim() || document.activeElement.id)"


def _tab_until(page: Page, words: str) -> list[str]:
    """Press the tabulator until something with these words has the focus; everything that had it, in order."""
    had: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        had.append(page.evaluate(FOCUSED))
        if re.search(words, had[-1]):
            return had
    raise AssertionError(f"{words} is not reached: {had}")


def test_the_whole_way_can_be_gone_with_a_keyboard_at_400_percent(chromium, system):
    context = chromium.new_context(viewport={"width": 320, "height": 256}, base_url=system.portal)
    visit = Visit(system, context.new_page(), "keyboard")
    page = visit.page
    page.goto("/account/login/")
    login = system.login("second")
    _tab_until(page, "^id_login$")
    page.keyboard.type(login["email"])
    _tab_until(page, "^id_password$")
    page.keyboard.type(login["password"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sign out")).to_be_attached()
    page.goto("/connect/pge")
    order = _tab_until(page, "^Choose another utility$")
    assert order[:2] == ["Skip to main content", "Share My Meter"]
    assert order[-6:] == ["id_kinds_0", "id_kinds_1", "id_kinds_2", "id_kinds_3", "Continue", "Choose another utility"]
    page.reload()
    _tab_until(page, "^id_kinds_0$")
    page.keyboard.press("Space")
    _tab_until(page, "^Continue$")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Check and agree")
    visit.met()
    order = _tab_until(page, "^Agree and continue")
    assert [words for words in order if words.startswith("Change")] == ["Change the utility", "Change what to share"]
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("You are now leaving for PG&E")
    visit.met()
    order = _tab_until(page, "^Cancel")
    assert order[-2:] == ["Continue to PG&E", "Cancel, share nothing"]
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("This connection was stopped")
    visit.met()
    context.close()


def test_the_focus_is_never_covered_and_always_seen(chromium, system):
    context = chromium.new_context(viewport={"width": 320, "height": 256}, base_url=system.portal)
    page = context.new_page()
    page.goto("/")
    for _ in range(12):
        page.keyboard.press("Tab")
        box = page.evaluate(
            "(e => { const r = e.getBoundingClientRect(); return [r.top, r.bottom, r.height] })(document.activeElement)"
        )
        style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style != "none"
        assert box[1] > 0 and box[0] < 256, box
    context.close()


def test_an_error_takes_the_focus_and_leads_to_its_field(visit):
    visit.sign_in("second")
    visit.go("/connect/pge")
    visit.press("Continue")
    page = visit.page
    assert page.title().startswith("Error:")
    assert page.evaluate("document.activeElement.id") == "error-summary"
    page.locator("#error-summary a").first.click()
    assert page.url.endswith("#id_kinds")


def test_the_whole_way_works_without_script(chromium, system):
    context = chromium.new_context(java_script_enabled=False, base_url=system.portal)
    visit = Visit(system, context.new_page(), "no-script")
    page, login = visit.page, system.login("second")
    page.goto("/account/login/")
    page.get_by_label("E-mail address").fill(login["email"])
    page.get_by_label("Password").fill(login["password"])
    page.locator("main button[type=submit]").first.click()
    page.goto("/connect/pge")
    page.locator("input[name=kinds]").first.check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Agree and continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are now leaving for PG&E")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("This connection was stopped")
    page.get_by_role("button", name="Español").click()
    assert page.locator("html").get_attribute("lang") == "es"
    page.get_by_role("button", name="English").click()
    context.close()


PUBLIC = ("/", "/connect", "/connect?code=10580", "/help", "/help/stop", "/privacy", "/account/login/", "/nothing-here")


@pytest.mark.parametrize("language", ["en", "es", "fr-ca"])
def test_pages_that_need_no_account_are_in_order_in_each_language(walk, language):
    walk.page.goto("/")
    walk.page.locator(f"form.languages button[value={language}]").click()
    for path in PUBLIC:
        walk.go(path)
        assert walk.page.locator("html").get_attribute("lang") == language


def test_whoever_asks_for_more_contrast_gets_it(chromium, system):
    context = chromium.new_context(base_url=system.portal, contrast="more")
    page = context.new_page()
    for scheme, ground in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(0, 0, 0)")):
        page.emulate_media(color_scheme=scheme, contrast="more")
        page.goto("/")
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == ground
    context.close()
