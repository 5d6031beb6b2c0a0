"""The acceptance tests' pages in a real Chromium, wide and narrow: no accessibility finding at all, nothing too wide."""

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import Group

from portal.acceptance import checklist, reports, running
from portal.acceptance.platforms import operations
from portal.models import AcceptanceHop, AcceptancePart, AcceptanceResult
from portal.roles import settle
from tests.portal import rows
from tests.portal.people import person, sign_in_there

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
FOUND: list[tuple[str, int, list[str]]] = []  # page, width, what is wrong with it
NOW = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def tester():
    from django.apps import apps

    settle(apps.get_app_config("portal"), "default")  # the groups are gone after each test of real transactions
    user = person("tester@example.com", is_staff=True)
    user.groups.add(Group.objects.get(name="tester"))
    user.totp_secret = generate_totp_secret()
    TOTP.activate(user, user.totp_secret)
    return user


def look(page, name):
    """Write down every finding of any kind, and what is wider than the window."""
    for width, scheme in ((1280, "light"), (360, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"testing-{name}-{width}.png", full_page=True)
        found = [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in Axe().run(page).response["violations"]]
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
            found.append(f"{wide} px wide")
        if page.locator("h1").count() != 1:
            found.append("not one h1")
        if found:
            FOUND.append((name, width, found))


def test_every_page_of_an_acceptance_test(chromium, live_server, tester):
    app = rows.registration()
    page = chromium.new_page()
    sign_in_there(page, live_server, "/testing/", tester)
    look(page, "overview")
    page.goto(f"{live_server.url}/testing/registrations/{app.pk}/pack")
    look(page, "pack")
    page.get_by_role("button", name="Show the document to print").click()
    look(page, "pack-document")
    page.goto(f"{live_server.url}/testing/")
    page.get_by_role("button", name="Begin the test").click()
    look(page, "begun")
    a_long_test(app, tester)
    page.reload()
    look(page, "test")
    for part in AcceptancePart.objects.order_by("pk"):
        page.goto(f"{live_server.url}/testing/parts/{part.public_id}")
        for each in page.locator("summary").all()[:2]:
            each.click()
        look(page, f"part-{part.kind}-{part.name}")
    page.get_by_role("link", name="This test").click()
    page.get_by_role("link", name=re.compile("Registration form sent$")).click()
    look(page, "step")
    page.select_option("[name=outcome]", "passed")
    page.get_by_role("button", name="Save").click()
    AcceptancePart.objects.update(state="done", outcome="passed", finished_at=NOW + timedelta(minutes=1))
    page.get_by_role("button", name="Finish and write the report").click()
    look(page, "report")
    page.goto(f"{live_server.url}/testing/")
    look(page, "overview-after")
    assert not FOUND


def a_long_test(app, tester):
    """One of everything, with long words in it."""
    test = running.begin(app, tester, now=NOW)
    listed = running.start(test, "checklist", now=NOW)
    checklist.make_rows(listed, operations(app))
    proof = {"status": 200, "content_type": "application/atom+xml", "size": 123, "holds": "2 usagePoint", "parsed": "ok",
             "request": "GET https://api.example/" + "x" * 200, "first_bytes": "<feed>" + "y" * 900}  # fmt: skip
    outcomes = ("passed", "failed", "not_needed", "waiting")
    for number, row in enumerate(AcceptanceResult.objects.filter(part=listed)):
        row.outcome, row.actual, row.evidence, row.at = outcomes[number % 4], "200 with 2 usagePoint", proof, NOW
        row.milliseconds, row.remedy = 12, "Ask the utility's onboarding team." if number % 4 == 1 else ""
        row.save()
    running.start(test, "scenario", name="success", now=NOW)
    running.start(test, "scenario", name="bad_login", now=NOW)
    running.start(test, "scenario", name="success_there", now=NOW)
    done = running.start(test, "scenario", name="throttled", now=NOW)
    AcceptancePart.objects.filter(pk=done.pk).update(state="done", outcome="failed", actual="It did not come to that.")
    for way in ("out", "in", "browser"):
        AcceptanceHop.objects.create(part=done, way=way, at=NOW, method="POST", address="https://api.example/" + "z" * 300,
                                     request="Authorization: Bearer ••••", status=200, response="{}", milliseconds=3)  # fmt: skip
    assert reports.newest(test)


def test_a_running_checklist_is_shown_live_and_without_script_by_a_link(chromium, live_server, tester):
    test = running.begin(rows.registration(), tester, now=datetime.now(UTC))
    part = running.start(test, "checklist", now=datetime.now(UTC))
    checklist.make_rows(part, operations(test.application_information))
    first = chromium.new_context()
    sign_in_there(first.new_page(), live_server, "/testing/", tester)
    for script in (True, False):
        context = chromium.new_context(java_script_enabled=script, storage_state=first.storage_state())
        page = context.new_page()
        page.goto(f"{live_server.url}/testing/parts/{part.public_id}")
        done = part.results.filter(outcome="passed").count()
        assert f"Running: {done} of 14 done" in page.get_by_role("status").inner_text()
        waiting = part.results.filter(outcome="waiting").first()
        AcceptanceResult.objects.filter(pk=waiting.pk).update(outcome="passed")
        if not script:
            page.get_by_role("link", name="Look again").click()
        page.get_by_text(f"Running: {done + 1} of 14 done").wait_for(timeout=5000)
