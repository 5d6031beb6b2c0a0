"""A tester who has only the README: he passes Con Edison's acceptance test against the sandbox and holds the report.

Headless Chromium, real sockets, real workers; the recipe of docs/acceptance-tests.md with one scenario of each kind. The
others run in tests/journeys/test_acceptance.py, and tests/portal/test_testing_browser.py looks closely at every page.
"""

import csv
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.walking import Visit, agree_and_leave, con_edison_account
from tests.portal.people import totp_code

pytestmark = pytest.mark.browser


class Walker(Visit):
    """A visit whose pages are not looked at closely."""

    def met(self) -> None:
        """The page is here."""
        self.page.wait_for_load_state("load")


@pytest.fixture
def tester(chromium, system):
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, base_url=system.portal)
    context.set_default_timeout(30_000)
    visit = Walker(system, context.new_page(), "acceptance")
    login = system.login("tester")
    visit.go("/account/login/?next=/testing/")
    visit.page.get_by_label("E-mail address").fill(login["email"])
    visit.page.get_by_label("Password").fill(login["password"])
    visit.press("Sign in")
    visit.page.get_by_label("Code").fill(totp_code(login["totp_secret"]))
    visit.press("Sign in")
    yield visit
    context.close()


def finished(visit: Visit, seconds: float = 120) -> str:
    """Wait, on the page that looks again by itself, until the part is over; the words of its outcome."""
    expect(visit.page.locator("#live[data-live]")).to_have_count(0, timeout=seconds * 1000)
    visit.met()
    return visit.page.locator("#live .tag").first.inner_text()


def start(visit: Visit, title: str) -> None:
    visit.page.get_by_role("link", name=re.compile("This test|Back to the test")).first.click()
    visit.page.get_by_role("button", name=re.compile(f"{re.escape(title)}$")).click()
    visit.met()


def walk(visit: Visit, title: str) -> None:
    """Through our pages and the sandbox's as the test customer, and back to the walk."""
    start(visit, title)
    visit.press("Go on as the test customer")
    agree_and_leave(visit)
    con_edison_account(visit, "home@example.com")
    agree_and_leave(visit)
    visit.page.get_by_role("link", name="Back to your walk").click()


def test_a_tester_with_only_the_readme_holds_the_report_of_con_edison(tester, tmp_path):
    page = tester.page
    expect(page.get_by_role("heading", level=1)).to_have_text("Acceptance tests")
    card = page.locator("li.card", has_text="Con Edison (CECONY), edition v1")
    card.get_by_role("link", name="Registration pack").click()
    tester.met()
    assert "/espi/1_1/ScopeSelection" in page.locator("main").inner_text()
    page.go_back()
    card.get_by_role("button", name="Begin the test").click()
    tester.met()
    tester.press("Check connectivity")
    assert finished(tester) == "Passed", page.locator("#live").inner_text()
    walk(tester, "Success, started here")
    walked = page.url
    page.get_by_role("link", name="Back to the test").click()
    tester.press("Run the checklist")
    assert finished(tester) == "Passed", page.locator("#live").inner_text()
    page.goto(walked)
    assert finished(tester) == "Passed", page.locator("#live").inner_text()
    hops = page.locator("#live h3").all_inner_texts()
    assert any("The utility posted to us" in hop for hop in hops), hops
    walk(tester, "Declined")
    assert finished(tester) == "Passed", page.locator("#live").inner_text()
    start(tester, "Revoked")
    assert finished(tester) == "Passed", page.locator("#live").inner_text()
    report_what_people_do(tester)
    tester.press("Finish and write the report")
    expect(page.get_by_role("heading", level=1)).to_have_text("Acceptance test report")
    assert f"{datetime.now(UTC):%Y-%m-%d}" in page.locator(".lead").inner_text()
    with page.expect_download() as arriving:
        page.get_by_role("link", name="Download as CSV").click()
    rows = list(csv.DictReader(Path(arriving.value.path()).read_text().splitlines()))
    assert len([row for row in rows if row["section"] == "checklist" and row["outcome"] == "Passed"]) == 14
    assert "Two mails" in next(row["actual"] for row in rows if row["item"].startswith("2. Registration form"))


def report_what_people_do(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name="Back to the test").click()
    page.get_by_role("link", name=re.compile("Registration form sent$")).click()
    visit.met()
    page.select_option("[name=outcome]", "passed")
    page.fill("[name=evidence]", "Two mails to the onboarding team.")
    visit.press("Save")
