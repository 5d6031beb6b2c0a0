"""The sandbox as a person finds around in it: where to start, how to be somebody else, how to make it misbehave."""

import threading
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from lxml import html
from werkzeug.serving import make_server

from tests.sandbox import utilityapi_helpers
from tests.sandbox.coned_helpers import PATH, World
from utilities.sandbox import people

OWN = ["/_sandbox/", "/_sandbox/ledger/view"]


@pytest.mark.browser
def test_a_fault_is_armed_and_cleared_in_a_real_browser(chromium):
    world = World()
    server = make_server("127.0.0.1", 0, world.app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        page = chromium.new_page()
        page.goto(f"http://127.0.0.1:{server.port}/_sandbox/")
        page.get_by_label("Fault", exact=True).select_option("decline")
        page.get_by_role("button", name="Arm this fault").click()
        assert "decline for every utility, 1 times" in page.inner_text("main")
        page.get_by_role("button", name="Clear all faults").click()
        assert "None is armed." in page.inner_text("main")
    finally:
        server.shutdown()


@pytest.mark.parametrize("path", OWN)
def test_the_sandboxs_own_pages_let_the_browser_say_where_a_form_comes_from(path):
    assert World().api.get(path).headers["Referrer-Policy"] == "same-origin"


def test_the_utilities_pages_send_no_referrer():
    assert World().api.get("/www.coned.com/sign-in").headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("origin", ["null", "https://attacker.example"])
def test_a_form_on_another_site_does_not_steer_the_sandbox(origin):
    world = World()
    answer = world.api.post("/_sandbox/faults", data={"name": "decline"}, headers={"Origin": origin})
    assert answer.status_code == 403


def test_the_index_says_where_to_start_at_each_utility():
    world = World()
    page = html.fromstring(world.api.get("/_sandbox/").data)
    starts = {a.text_content(): a.get("href") for a in page.xpath("//a[starts-with(., 'Share My Data')]")}
    assert len(starts) == len(world.sandbox.utilities) == 5
    for slug, name in world.sandbox.utilities.items():
        address = starts[f"Share My Data: start here at {name}"]
        assert world.sandbox.hosts[address.strip("/")] == slug
        assert world.browser.get(address, follow_redirects=True).status_code == 200


@pytest.mark.parametrize("edition", ["v1", "v2"])
def test_somebody_else_signs_in_and_comes_back_to_the_account_page(edition):
    world = World(edition=edition)
    world.sign_in("home@example.com")
    query = {"ThirdPartyId": world.package["third_party_id"]} if edition == "v1" else world.authorize_query()
    address = f"{world.web}{PATH if edition == 'v1' else '/en/oauth/authorize'}?{urlencode(query)}"
    page = html.fromstring(world.browser.get(address).data)
    (form,) = [form for form in page.forms if "I am somebody else" in form.text_content()]
    answer = world.browser.post(form.get("action"), data=dict(form.form_values()))
    wanted = parse_qs(urlsplit(answer.headers["Location"]).query)["next"][0]
    assert world.browser.get(address).status_code == 302  # signed out
    assert world.browser.get(answer.headers["Location"]).status_code == 200
    form = {"username": "solar@example.com", "password": people.PASSWORD, "next": wanted}
    back = world.browser.post(f"{world.web}/sign-in", data=form)
    assert parse_qs(urlsplit(back.headers["Location"]).query) == {name: [value] for name, value in query.items()}
    page = world.browser.get(back.headers["Location"]).text
    assert world.account("solar@example.com").number in page
    assert world.account("home@example.com").number not in page


def test_signing_out_never_leads_to_another_site():
    world = World()
    answer = world.browser.post(f"{world.web}/sign-out", data={"next": "https://attacker.example/"})
    assert answer.headers["Location"] == f"{world.web}/sign-in?next=/"


def test_essex_says_how_a_company_leaves_sandbox_mode():
    world = utilityapi_helpers.World()
    page = html.fromstring(world.browser.get(world.request()).data)
    (link,) = page.xpath("//a[contains(., 'third party settings')]/@href")
    assert "is in Sandbox mode" in page.text_content()
    path = urlsplit(link).path
    assert "Switch to Live mode" in world.browser.get(path).text
    world.settings(action="mode")
    assert "is in Sandbox mode" not in world.browser.get(world.request()).text
