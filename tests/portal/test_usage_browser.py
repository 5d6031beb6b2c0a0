"""Pages of energy in a real Chromium: no finding of axe, no sideways scrolling, pictures that lead on and speak."""

from datetime import date

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.portal import household
from tests.portal.people import person, sign_in_there

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
YEAR, MONTH, DAY = (f"?period={name}&date=2026-02-01" for name in ("year", "month", "day"))


@pytest.fixture
def site(chromium, live_server):
    """(open a page in a window of that width and theme, the address of the sunny home's meter)."""
    point, *_others = household.household(person(), date(2025, 12, 20), date(2026, 3, 20))
    signed_in = None

    def window(width=1280, theme="light", *, script=True):
        nonlocal signed_in
        context = chromium.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=theme,
            java_script_enabled=script,
            storage_state=signed_in,
            base_url=str(live_server),
        )
        page = context.new_page()
        if signed_in is None:
            sign_in_there(page, live_server, "/usage")
            signed_in = context.storage_state()
        return page

    return window, f"/usage/{point.public_id}"


def test_pages_of_energy_have_no_finding_and_fit_every_width_in_both_themes(site):
    window, meter = site
    addresses = ["/usage", f"/usage{YEAR}", f"{meter}/bills", f"{meter}/patterns", f"{meter}/patterns{YEAR}"]
    addresses += [meter + query for query in (YEAR, f"{MONTH}&show=cost", DAY, "?period=decade")]
    for width, theme in ((1280, "light"), (320, "dark")):
        page = window(width, theme)
        for address in addresses:
            page.goto(address)
            assert page.evaluate("document.documentElement.scrollWidth") == width, address
            assert page.locator("h1").count() == 1
            found = Axe().run(page).response["violations"]
            assert not found, (address, theme, [(each["id"], each["nodes"][0]["html"]) for each in found])


def test_a_bar_is_read_and_followed_and_the_back_button_leads_back(site):
    window, meter = site
    page = window()
    page.goto(meter + YEAR)
    bar = page.locator("a.chart-place").nth(1)
    bar.hover()
    words = bar.get_attribute("aria-label")
    assert words.startswith("February 2026: ")
    expect(page.locator("[data-said]").first).to_have_text(words)
    bar.click()
    expect(page.locator("#period")).to_have_text("February 2026")
    page.locator("a.chart-place").nth(2).click()
    expect(page.locator("#period")).to_have_text("Tuesday, February 3, 2026")
    page.go_back()
    page.go_back()
    expect(page.locator("#period")).to_have_text("2026")


def test_a_picture_is_one_stop_of_the_keyboard_and_arrows_go_through_it(site):
    window, meter = site
    page = window()
    page.goto(meter + MONTH)
    places = page.locator("a.chart-place")
    assert page.locator("a.chart-place[tabindex='0']").count() == 1
    places.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(places.nth(2)).to_be_focused()
    expect(page.locator("[data-said]").first).to_have_text(places.nth(2).get_attribute("aria-label"))
    page.keyboard.press("End")
    expect(places.last).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator("#period")).to_have_text("Sunday, February 1, 2026")


def test_a_field_of_the_heat_map_says_its_day_its_hour_and_its_figure(site):
    window, meter = site
    page = window()
    page.goto(f"{meter}/patterns{MONTH}")
    place = page.locator("a.chart-place").first
    place.focus()
    page.keyboard.press("ArrowDown")
    figure = page.locator("table").first.locator("tbody tr").first.locator("td").nth(1).text_content()
    expect(page.locator("[data-said]").first).to_contain_text("Sun, Feb 1, 01:00")
    told = page.locator("[data-said]").first.inner_text()
    assert float(told.rsplit(": ")[1].split()[0]) == float(figure)


def test_without_script_the_pictures_lead_on_and_say_nothing_that_is_not_true(site):
    window, meter = site
    window()  # signs in
    page = window(script=False)
    page.goto(meter + YEAR)
    expect(page.locator("[data-said]").first).to_be_hidden()
    page.locator("a.chart-place").first.click()
    expect(page.locator("#period")).to_have_text("January 2026")
