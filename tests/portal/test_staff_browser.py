"""The staff site's own pages in a real Chromium, wide and narrow: no finding of axe in them, nothing too wide."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone

from espi.models import FetchJob, Notification
from portal.flows import alerts, looking
from portal.models import Circuit, Heartbeat
from tests.portal import rows
from tests.portal.people import sign_in_there, staff
from tests.portal.test_roles import WHY
from tests.portal.test_staff_actions import FILE

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
OURS = {"include": [[".staff-page"]]}  # the theme around it is not ours


def a_busy_site():
    """Something on every page."""
    now = timezone.now()
    held = rows.authorization(rows.registration(), account_hint="•••• 4711", access_token_expires_at=now)
    point = rows.usage_point(held.retail_customer)
    type(point).objects.filter(pk=point.pk).update(subscription=held.subscription)
    rows.day(rows.channel(point), now.date() - timedelta(days=3), [1] * 24)
    app = held.application_information
    Circuit.objects.create(application_information=app, opened_at=now, cause="credentials")
    Heartbeat.objects.create(name="worker celery@machine-with-a-long-name", at=now)
    Notification.objects.create(application_information=app, received_at=now, body=b"<x/>", state="quarantined")
    alerts.begin("k", "CECONY does not accept our credentials", "", now=now)
    for number in range(3):
        rows.job(held, f"{FILE}{number}", state="failed", reason="The utility answered with something else. " * 4)
    FetchJob.objects.update(created_at=now - timedelta(hours=30))
    return held, point


def test_every_page_of_ours(chromium, live_server):
    held, point = a_busy_site()
    boss = staff()
    looking.give_reason(staff=boss, customer=held.retail_customer, reason=WHY, now=timezone.now())
    places = {
        "health": "health/",
        "failed": "work/failed/",
        "set-aside": "work/set-aside/",
        "ending": "ending/",
        "connections": "connections/",
        "reason": f"reason/{held.retail_customer_id}/",
        "connection": f"connections/{held.public_id}/",
        "meter": f"meters/{point.public_id}/",
        "evidence": "evidence/",
    }
    found = []
    page = chromium.new_page()
    sign_in_there(page, live_server, "/staff/health/", boss)
    for name, place in places.items():
        page.goto(f"{live_server.url}/staff/{place}")
        found += [(name, *each) for each in findings(page, name)]
    assert not found


def findings(page, name):
    """(width, what is wrong), in light and dark."""
    for width, scheme in ((1280, "light"), (360, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.wait_for_selector(".staff-page h2, .staff-page p")
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"staff-{name}-{width}.png")
        for one in Axe().run(page, context=OURS).response["violations"]:
            yield width, f"{one['id']}: {one['nodes'][0]['html'][:200]}"
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
            yield width, f"{wide} px wide"
