"""Every page of a signed-in customer in Spanish and French: no sideways scrolling, nothing in English, no finding of axe."""

import re
from datetime import date

import pytest
from axe_playwright_python.sync_playwright import Axe
from lxml import html

from portal.models import User
from tests.bench import pages_work
from tests.portal import household
from tests.portal.people import person, sign_in, sign_in_there

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
ENGLISH = {"api-description"}  # what programs read
ENGLISH_WORDS = re.compile(r"\b(the|your|with|you|we)\b", re.IGNORECASE)
# What is kept in the language in which it was agreed to says so.
READER = "//body//text()[not(ancestor::script) and not(ancestor::*[@lang][not(self::html)])]"


@pytest.fixture
def customer():
    """(a customer with a household, the addresses of his pages)."""
    user = person()
    return user, pages_work.addresses(user, household.household(user, date(2026, 2, 25), date(2026, 3, 10)))


@pytest.fixture
def window(chromium, live_server, customer):
    """Open a page in that size and theme, signed in with that language."""

    def signed_in(language, width, theme):
        User.objects.update(language=language)
        sizes = {"viewport": {"width": width, "height": 800}, "color_scheme": theme}
        page = chromium.new_context(base_url=str(live_server), reduced_motion="reduce", **sizes).new_page()
        sign_in_there(page, live_server, "/dashboard")
        page.wait_for_selector(f"html[lang={language}]")
        return page

    return signed_in


def is_in_order(page, name, language, width):
    """One main heading, no wider than the window, and no finding of any severity."""
    assert page.locator("html").get_attribute("lang") == language, name
    assert page.locator("h1").count() == 1, name
    assert page.evaluate("document.documentElement.scrollWidth") == width, name
    found = Axe().run(page).response["violations"]
    assert not found, (name, [(each["id"], each["nodes"][0]["html"]) for each in found])


@pytest.mark.parametrize(("language", "width", "theme", "place"), [("es", 1280, "light", 0), ("fr-ca", 320, "dark", 1)])
def test_every_page_is_in_order_in_other_languages(customer, window, language, width, theme, place):
    """For the sake of time every second page in one language, the others in the other."""
    _user, pages = customer
    page = window(language, width, theme)
    for name, address in list(pages.items())[place::2]:
        if name not in ENGLISH:
            page.goto(address)
            is_in_order(page, name, language, width)
    page.goto(pages["choose data"])
    page.locator("input[name=kinds]").first.check()
    for name in ("check", "leave"):
        page.locator("main form button").first.click()
        page.wait_for_url(f"**/connect/{name}/**")
        is_in_order(page, name, language, width)


@pytest.mark.parametrize("language", ["es", "fr-ca"])
def test_no_page_says_anything_in_english(customer, client, language):
    user, pages = customer
    User.objects.filter(pk=user.pk).update(language=language)
    sign_in(client)
    for name, address in (pages | pages_work.journey(client, pages["choose data"])).items():
        if name in ENGLISH:
            continue
        document = html.fromstring(client.get(address).content)
        assert document.get("lang") == language, name
        assert not ENGLISH_WORDS.findall(" ".join(document.xpath(READER))), name
