"""The journeys as people walk them: headless Chromium, real sockets, a real worker, everything started as `make` starts it.

Every page met is checked: no accessibility finding in light or dark, nothing wider than the window, one main heading.
Set SCREENSHOTS to a folder to keep a picture of each page.
"""

import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.journeys.walking import (
    FIRST_DATA_SECONDS,
    ROOT,
    Visit,
    agree_and_leave,
    choose_everything,
    con_edison_account,
    con_edison_v1,
    con_edison_v2,
    essex,
    pge,
    utility_sign_in,
)

pytestmark = pytest.mark.browser


PROFILES: dict[str, tuple[str, str, Callable[[Visit, str], None]]] = {
    "cecony-v1": ("cecony", "v1", con_edison_v1),
    "cecony-v2": ("cecony", "v2", con_edison_v2),
    "oru-v1": ("oru", "v1", con_edison_v1),
    "pge": ("pge", "", pge),
    "essex": ("essex", "", essex),
}
# Every utility in a wide window; in a narrow one each platform's pages, once.
HERE = [("desktop", profile) for profile in PROFILES] + [("phone", "cecony-v1"), ("phone", "pge"), ("phone", "essex")]
THERE = [("desktop", "cecony"), ("phone", "oru"), ("phone", "pge")]
CONNECTED = re.compile("You are connected|This account was already connected")


def see_usage(visit: Visit, slug: str) -> None:
    """Result, receipt, dashboard, and the chart once the first data are there."""
    page = visit.page
    expect(page.get_by_role("heading", level=1)).to_have_text(CONNECTED)
    visit.met()
    page.get_by_role("link", name="receipt").click()
    visit.met()
    visit.go("/dashboard")
    card = page.locator("li.card").first
    until = time.monotonic() + FIRST_DATA_SECONDS
    while (
        not re.search("Receiving data|Up to date", card.inner_text())
        or not card.get_by_role("link", name="Electricity").count()
    ):
        assert time.monotonic() < until, card.inner_text()
        time.sleep(0.5)
        page.reload()
    visit.met()
    card.get_by_role("link", name="Electricity").first.click()
    visit.met()
    assert page.locator("svg").count() >= 1
    assert "kWh" in page.locator("main").inner_text()
    assert page.locator("table tbody tr").count() >= 1


@pytest.mark.parametrize(("visit", "profile"), HERE, indirect=["visit"])
def test_a_customer_who_starts_here_ends_at_a_chart(visit, profile):
    slug, edition, approve = PROFILES[profile]
    if edition:
        visit.system.manage("offer_utility", slug, "sandbox", edition)
    visit.go("/")
    visit.sign_in()
    visit.go(f"/connect/{slug}")
    choose_everything(visit)
    agree_and_leave(visit)
    approve(visit, "load1@example.com" if "desktop" in visit.name else "load2@example.com")
    see_usage(visit, slug)


@pytest.mark.parametrize(("visit", "slug"), THERE, indirect=["visit"])
def test_a_customer_who_starts_at_the_utility_registers_on_the_way_and_ends_at_a_chart(visit, slug):
    if slug != "pge":
        visit.system.manage("offer_utility", slug, "sandbox", "v1")
    who = "load3@example.com" if "desktop" in visit.name else "load4@example.com"
    START[slug](visit, who)
    expect(visit.page.get_by_role("heading", level=1)).to_have_text("Sign in to go on")
    visit.register(f"{visit.name[-20:].strip('-')}-{slug}@example.org")
    if slug != "pge":
        expect(visit.page.get_by_role("heading", level=1)).to_have_text("Which company is on your bill?")
        visit.page.locator(f"input[value={slug}]").check()
        visit.press("Continue")
    choose_everything(visit)
    agree_and_leave(visit)
    if slug == "pge":
        pge(visit, who)
    see_usage(visit, slug)


def _start_at_con_edison(host: str) -> Callable[[Visit, str], None]:
    def start(visit: Visit, who: str) -> None:
        visit.page.goto(f"{visit.system.sandbox}/{host}/")
        utility_sign_in(visit, who)
        visit.press("Continue")
        con_edison_account(visit, who)

    return start


def _start_at_pge(visit: Visit, who: str) -> None:
    visit.page.goto(f"{visit.system.sandbox}/sharemydata.pge.com/")
    visit.met()
    visit.press("Continue")


START = {
    "cecony": _start_at_con_edison("www.coned.com"),
    "oru": _start_at_con_edison("www.oru.com"),
    "pge": _start_at_pge,
}


# --- Pages that a smooth journey never shows: each is looked at wide and narrow, in one window -------------------

NEWEST = "from espi.models import AuthorizationRequest as R; R.objects.filter(pk=R.objects.latest('pk').pk)"
OVERDUE = f"{NEWEST}.update(expires_at='2020-01-01T00:00Z')"
PARKED = f"{NEWEST}.update(status='parked')"
SCOPE_SELECTION = "/espi/1_1/ScopeSelection"


def test_journeys_that_end_otherwise_have_pages_in_order(walk):
    who = "load21@example.com"
    walk.system.manage("offer_utility", "cecony", "sandbox", "v1")
    walk.sign_in("second")
    walk.arm("decline", "pge")
    walk.connect("pge", who)
    walk.says("You are not connected")
    walk.arm("token_500", "pge", 2)
    walk.connect("pge", who)
    walk.says("The connection did not work")
    walk.disarm()
    walk.at_utility("pge", "customer")
    walk.system.manage("shell", "-c", OVERDUE)
    walk.allow("pge", who)
    walk.says("That took too long")
    walk.arm("narrower_scope", "pge")
    walk.page.goto("/connect/pge")
    choose_everything(walk)
    agree_and_leave(walk)
    walk.allow("pge", who)
    walk.says("You are connected, with less than you chose here")
    walk.connect("cecony", who)
    walk.says("You are connected")
    walk.connect("cecony", who)
    walk.says("This account was already connected")
    result = walk.page.url
    walk.page.get_by_role("link", name="receipt").click()
    walk.met()
    walk.system.manage("shell", "-c", PARKED)
    walk.page.goto(result)
    walk.says("We could not finish this connection")
    walk.page.goto("/espi/1_1/OAuthCallBack/cecony?code=0123456789&state=nobody-knows-it")
    walk.says("We stopped here")
    walk.page.get_by_role("button", name="Sign out").click()
    walk.page.get_by_role("button", name="Sign out").wait_for(state="detached")


def test_arrivals_and_addresses_nobody_would_send_have_pages_in_order(walk):
    walk.page.goto(f"{SCOPE_SELECTION}?accountid=41234567890123&startdate=13/45/2026")
    walk.says("We stopped here")
    walk.page.goto(f"{SCOPE_SELECTION}?accountid=41234567890123&DataCustodianID=ConEdison")
    walk.says("Sign in to go on")
    walk.page.get_by_role("link", name="I already have an account here").click()
    login = walk.system.login("second")
    walk.page.get_by_label("E-mail address").fill(login["email"])
    walk.page.get_by_label("Password").fill(login["password"])
    walk.page.get_by_role("button", name="Sign in", exact=True).click()
    walk.says("Which company is on your bill?")
    walk.page.get_by_role("button", name="Continue").click()
    walk.says("Which company is on your bill?")
    expect(walk.page.locator("main .error")).to_be_visible()
    walk.page.goto("/no/such/page")
    walk.met()
    walk.page.goto("/upload")
    walk.page.locator("input[type=file]").set_input_files({"name": "x.xml", "mimeType": "text/xml", "buffer": b"<no"})
    walk.page.locator("main button[type=submit]").first.click()
    expect(walk.page.locator("main .error").first).to_be_visible()
    walk.met()


def test_the_dashboard_tells_each_state(walk):
    walk.sign_in("second")
    walk.arm("no_notification", "pge")
    walk.connect("pge", "load22@example.com", "usage")
    walk.card("Waiting for first data")
    walk.page.locator("li.card").first.get_by_role("link", name="Stop sharing").click()
    walk.says("Stop sharing from PG&E")
    walk.page.get_by_label("Keep it for me").check()
    walk.page.get_by_role("button", name="Stop sharing").click()
    walk.says("Sharing is stopped")
    walk.page.get_by_role("link", name="Back to the dashboard").click()
    walk.card("Stopped by you")
    walk.arm("resource_404", "pge", 0)
    walk.connect("pge", "load23@example.com", "usage")
    walk.card("We could not fetch your data")
    walk.disarm()
    walk.page.goto("/upload")
    sample = ROOT / "tests/samples/espi/xml/composed__both-directions.xml"
    walk.page.locator("input[type=file]").set_input_files(sample)
    walk.page.locator("main button[type=submit]").first.click()
    walk.met()
    walk.page.goto("/dashboard")
    walk.page.get_by_role("link", name="Electricity").first.click()
    walk.met()
    walk.page.goto(f"{walk.page.url}?period=decade")
    walk.says("We cannot show that period")
