"""The pages of tokens and of the API in a real Chromium, wide and narrow: they fit, obey the policy, and work."""

import json
import re
import urllib.request

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.portal import rows
from tests.portal.people import PASSWORD, person, sign_in_there

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("width", [1280, 360])
def test_a_token_is_made_used_and_taken_back(chromium, live_server, width):
    rows.day(rows.channel(rows.usage_point(person())), "2025-01-15", [1500] * 24)
    page = chromium.new_context(viewport={"width": width, "height": 740}).new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    sign_in_there(page, live_server, "/account/tokens")
    page.fill("[name=name]", "A spreadsheet with rather a long name that goes on and on")
    with page.expect_navigation():
        page.get_by_role("button", name="Make a token").click()
    page.fill("[name=password]", PASSWORD)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    secret = page.locator("code.secret").inner_text()
    fits = [page.evaluate("document.documentElement.scrollWidth")]
    faults = [Axe().run(page).response["violations"]]
    (meter,) = asked(live_server, secret)
    page.goto(f"{live_server}/account/tokens")
    assert page.locator("code.secret").count() == 0
    with page.expect_navigation():
        page.get_by_role("button", name="Take back").click()
    assert page.get_by_text("You have none.").is_visible()
    page.goto(f"{live_server}/api")
    for each in page.locator("summary").all():
        each.click()
    fits.append(page.evaluate("document.documentElement.scrollWidth"))
    faults.append(Axe().run(page).response["violations"])
    assert meter["name"] == "Electricity"
    assert fits == [width, width]
    assert faults == [[], []]
    assert not [each for each in said if re.search("Content.Security.Policy", each)]


def asked(live_server, secret):
    request = urllib.request.Request(
        f"{live_server}/api/v1/usage-points", headers={"Authorization": f"Bearer {secret}"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)
