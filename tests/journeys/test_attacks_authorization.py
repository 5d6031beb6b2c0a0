"""Attacks on the authorization journey, A01 to A31. "Refused" means: no state change, no call to the utility, a plain page.

Most run on Con Edison's V2 contract, whose journey is the plainest; what is particular to V1 or PG&E runs there.
"""

import re
import threading
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

import utilities
from espi.models import ApplicationInformation, Authorization, AuthorizationRequest, FetchJob, UsagePoint
from portal.models import UtilityVisit
from tests.journeys.browser import Browser
from tests.journeys.conftest import PASSWORD, PORTAL, World
from tests.journeys.customers import CECONY_V1, CECONY_V2, ESSEX, ORU, PGE, Profile, sign_in
from utilities.base import AuthorizationParameters

Status = AuthorizationRequest.Status
CALLBACK = f"{PORTAL}/espi/1_1/OAuthCallBack"
ARRIVAL = f"{PORTAL}/espi/1_1/ScopeSelection"


@pytest.fixture
def v2(world: World) -> World:
    """The portal offers CECONY under contract V2, and everybody else."""
    world.offer("cecony", "v2")
    return world


def callback(slug: str = "cecony", **query: object) -> str:
    return f"{CALLBACK}/{slug}?{urlencode(query, doseq=True)}"


def held_callback(world: World, browser: Browser, profile: Profile = CECONY_V2, *chosen: str) -> str:
    """Walk to the point where the utility redirects back, and keep that address instead of going there."""
    browser.hold, browser.held = CALLBACK, ""
    world.to_utility(browser, profile.slug, *chosen)
    profile.approve(browser, profile.who)
    browser.hold = None
    assert browser.held, browser.text
    return browser.held


def state_of(address: str) -> str:
    return parse_qs(urlsplit(address).query)["state"][0]


def at_utility(world: World, browser: Browser) -> str:
    """Walk to the utility's first page; returns the state of the journey."""
    world.to_utility(browser, "cecony")
    address = next(url for url in reversed(browser.trail) if "state=" in url)
    return state_of(address.replace("%3D", "=")) if "next=" not in address else ""


def assert_refused(world: World, browser: Browser, address: str, *, status: int = 400) -> None:
    """A plain page, no token request, no journey moved, nothing connected."""
    before = list(AuthorizationRequest.objects.order_by("pk").values_list("pk", "status"))
    tokens, connected = len(world.token_requests()), Authorization.objects.count()
    browser.get(address)
    assert browser.response.status_code == status, browser.text
    assert len(browser.page.xpath("//h1")) == 1
    assert len(world.token_requests()) == tokens
    assert list(AuthorizationRequest.objects.order_by("pk").values_list("pk", "status")) == before
    assert Authorization.objects.count() == connected


# --- state -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [CECONY_V2, PGE, ESSEX], ids=str)
def test_a01_a_callback_without_state_is_refused(world, profile):
    if profile.edition:
        world.offer(profile.slug, profile.edition)
    browser = world.signed_in()
    world.to_utility(browser, profile.slug)
    assert_refused(world, browser, callback(profile.slug, code="0123456789"))


def test_a01_a_v1_callback_without_state_needs_this_browsers_one_open_journey(world):
    browser = world.signed_in()
    assert_refused(world, browser, callback(code="0123456789"))
    address = held_callback(world, browser, CECONY_V1)
    stranger = world.signed_in("eve@example.com")
    code = parse_qs(urlsplit(address).query)["code"][0]
    assert_refused(world, stranger, callback(code=code))
    browser.get(callback(code=code))
    assert browser.heading == "You are connected"


def test_a01_two_open_v1_journeys_cannot_be_told_apart_without_state(world):
    browser = world.signed_in()
    held_callback(world, browser, CECONY_V1)
    address = held_callback(world, browser, CECONY_V1)
    assert_refused(world, browser, callback(code=parse_qs(urlsplit(address).query)["code"][0]))


@pytest.mark.parametrize("state", ["unknown", "A" * 43, "../../etc", "0", "null"])
def test_a02_an_unknown_or_malformed_state_is_refused(v2, state):
    browser = v2.signed_in()
    v2.to_utility(browser, "cecony")
    assert_refused(v2, browser, callback(code="0123456789", state=state))


def test_a03_a_used_state_is_refused_in_another_session(v2):
    browser = v2.signed_in()
    address = held_callback(v2, browser)
    browser.get(address)
    assert browser.heading == "You are connected"
    assert_refused(v2, v2.signed_in(), address)


def test_a04_an_attackers_callback_links_nothing_to_the_victim(v2):
    address = held_callback(v2, v2.signed_in("mallory@example.com"))
    victim = v2.signed_in("victim@example.com")
    victim.get(address)
    assert victim.response.status_code == 400
    assert not v2.token_requests()
    assert not Authorization.objects.exists()


def test_a05_a_flow_of_one_user_is_closed_when_another_returns(v2):
    browser = v2.signed_in("first@example.com")
    address = held_callback(v2, browser)
    browser.get(f"{PORTAL}/dashboard").press("Sign out")
    v2.user("second@example.com")
    browser.get(f"{PORTAL}/account/login/").press("Sign in", login="second@example.com", password=PASSWORD)
    browser.get(address)
    assert browser.response.status_code == 400
    assert v2.journey().status == Status.CLOSED
    assert not v2.token_requests()


def test_a06_an_expired_state_offers_to_start_again_with_the_same_choices(v2):
    browser = v2.signed_in()
    address = held_callback(v2, browser, CECONY_V2, "usage", "billing")
    AuthorizationRequest.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    browser.get(address)
    assert browser.heading == "That took too long"
    assert "Nothing was shared" in browser.text
    assert not v2.token_requests()
    browser.click("Start again with the same choices")
    assert set(browser.page.xpath("//input[@name='kinds'][@checked]/@value")) == {"usage", "billing"}


def test_a07_two_utilities_in_two_tabs_both_complete(v2):
    browser = v2.signed_in()
    first = held_callback(v2, browser, CECONY_V2)
    second = held_callback(v2, browser, PGE)
    assert browser.get(second).heading == "You are connected"
    assert browser.get(first).heading == "You are connected"
    slugs = Authorization.objects.values_list("application_information__utility", flat=True)
    assert sorted(slugs) == ["cecony", "pge"]


def test_a08_two_identical_callbacks_at_once_make_one_token_request(transactional_db, v2):
    browser = v2.signed_in()
    address = held_callback(v2, browser)
    headings: list[str] = []

    def go() -> None:
        twin = v2.browser()
        twin.http.cookies.update(browser.http.cookies)
        headings.append(twin.get(address).heading)
        connection.close()

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert headings == ["You are connected"] * 2
    assert len(v2.token_requests()) == 1
    assert Authorization.objects.count() == 1


def test_a09_a_state_at_another_utilitys_callback_aborts_both(v2):
    browser = v2.signed_in()
    address = held_callback(v2, browser)
    browser.get(address.replace("/OAuthCallBack/cecony", "/OAuthCallBack/pge"))
    assert browser.response.status_code == 400
    assert v2.journey().status == Status.CLOSED
    browser.get(address)
    assert browser.heading == "This connection was stopped"
    assert not v2.token_requests()


@pytest.mark.parametrize("issuer", ["https://evil.example", "http://localhost:8001.evil.example"])
def test_a10_another_issuer_aborts(v2, issuer):
    browser = v2.signed_in()
    address = held_callback(v2, browser)
    browser.get(f"{address}&{urlencode({'iss': issuer})}")
    assert browser.heading == "The connection did not work"
    assert not v2.token_requests()
    assert not Authorization.objects.exists()


def test_a11_a_profile_that_changed_meanwhile_aborts(v2):
    browser = v2.signed_in()
    address = held_callback(v2, browser)
    ApplicationInformation.objects.filter(utility="cecony", edition="v2").update(client_id="somebody-else")
    browser.get(address)
    assert browser.heading == "The connection did not work"
    assert "settings for this utility changed" in browser.text
    assert not v2.token_requests()


@pytest.mark.parametrize("field", ["authorize_url", "token_url", "resource_base"])
def test_a11_an_address_outside_the_utilitys_hosts_is_never_saved_nor_used(world, field):
    from utilities.oauth import UntrustedAddress

    app = ApplicationInformation.objects.get(utility="essex", environment="sandbox")
    with pytest.raises(UntrustedAddress):
        utilities.get("essex").check_address(app, field, "https://evil.example/oauth")
    form = _admin_form(app, **{field: "https://evil.example/oauth"})
    assert not form.is_valid()
    assert field in form.errors


def _admin_form(app: ApplicationInformation, **changes: str):
    from django.contrib import admin
    from django.forms.models import model_to_dict
    from django.test import RequestFactory

    request = RequestFactory().get("/")
    from portal.models import User

    request.user = User(is_staff=True, is_superuser=True, is_active=True)
    form_class = admin.site._registry[ApplicationInformation].get_form(request, app)
    shown = {name: value for name, value in model_to_dict(app).items() if name in form_class.base_fields}
    return form_class({**{k: v for k, v in shown.items() if v is not None}, **changes}, instance=app)


# --- the code ----------------------------------------------------------------------------------------------------


def test_a12_where_pkce_is_on_a_code_of_another_flow_cannot_be_redeemed(world, monkeypatch):
    """No utility documents PKCE; the portal's half is proven against the request it would send."""
    from base64 import urlsafe_b64encode
    from hashlib import sha256

    utility = utilities.get("essex")
    monkeypatch.setattr(type(utility), "uses_pkce", True)
    browser = world.signed_in()
    challenges = []
    for _ in range(2):
        world.to_check(browser, "essex").press("Agree and continue")
        browser.hold = "http://localhost:8001/"
        browser.press("Continue to")
        query = parse_qs(urlsplit(browser.held).query)
        browser.hold = None
        assert query["code_challenge_method"] == ["S256"]
        challenges += query["code_challenge"]
    verifier = world.journey().code_verifier
    assert challenges[0] != challenges[1]
    assert challenges[1] == urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert verifier not in browser.held


def test_a13_an_account_of_another_portal_user_is_parked(v2):
    owner = v2.signed_in("owner@example.com")
    owner.get(held_callback(v2, owner))
    held = Authorization.objects.get()
    newcomer = v2.signed_in("newcomer@example.com")
    address = held_callback(v2, newcomer)
    Authorization.objects.filter(pk=held.pk).update(utility_subscription_id=v2.newest_subscription())
    newcomer.get(address)
    assert newcomer.heading == "We could not finish this connection"
    held.refresh_from_db()
    assert held.retail_customer.email == "owner@example.com"
    assert held.status == Authorization.Status.ACTIVE
    parked = Authorization.objects.get(retail_customer__email="newcomer@example.com")
    assert parked.status == Authorization.Status.PARKED
    assert not parked.fetch_jobs.exists()
    assert "Nothing is connected yet" in newcomer.get(f"{PORTAL}/dashboard").text


@pytest.mark.parametrize("query", ["code=a&code=b&state={0}", "code=a&state={0}&state={0}", "code=a&error=b&state={0}"])
def test_a14_repeats_and_code_beside_error_are_refused(v2, query):
    browser = v2.signed_in()
    state = state_of(held_callback(v2, browser))
    assert_refused(v2, browser, f"{CALLBACK}/cecony?{query.format(state)}")


@pytest.mark.parametrize(
    "error", ["<script>alert(1)</script>", "x\r\nSet-Cookie: a=b", "e" * 10_240, "%ff%fe", "invalid_scope"]
)
def test_a15_hostile_errors_show_our_own_words(v2, caplog, error):
    browser = v2.signed_in()
    state = state_of(held_callback(v2, browser))
    quoted = error if error == "%ff%fe" else urlencode({"": error})[1:]
    browser.get(f"{CALLBACK}/cecony?state={state}&error={quoted}&error_description={quoted}")
    assert browser.heading == "The connection did not work"
    assert "Nothing was shared" in browser.text
    assert "alert(1)" not in browser.response.text
    assert "eeeeeeeeee" not in browser.response.text
    assert all("\r" not in record.getMessage() and "\n" not in record.getMessage() for record in caplog.records)
    assert all(len(record.getMessage()) < 1000 for record in caplog.records)


def test_a15_access_denied_is_an_ordinary_page(v2):
    browser = v2.signed_in()
    v2.to_utility(browser, "cecony")
    sign_in(browser, CECONY_V2.who)
    browser.press("Deny")
    assert browser.heading == "You are not connected"
    assert "Nothing was shared" in browser.text
    assert v2.journey().status == Status.DECLINED


@pytest.mark.parametrize("name", ["code", "state"])
@pytest.mark.parametrize("value", ["x" * 8192, "a%00b", "%C3%A9", "a%0Ab"])
def test_a16_impossible_values_are_a_400_and_never_a_500(v2, name, value):
    browser = v2.signed_in()
    state = state_of(held_callback(v2, browser))
    good = {"code": "0123456789", "state": state}
    query = "&".join(f"{key}={value if key == name else text}" for key, text in good.items())
    assert_refused(v2, browser, f"{CALLBACK}/cecony?{query}")


def test_a17_only_a_real_visit_consumes_the_state(v2):
    browser = v2.signed_in()
    address = held_callback(v2, browser)
    for method in ("HEAD", "POST", "OPTIONS", "PUT"):
        assert browser.raw(method, address).status_code in (403, 405)
    for headers in ({"Sec-Purpose": "prefetch"}, {"Purpose": "prefetch"}, {"X-Moz": "prefetch"}):
        assert browser.raw("GET", address, headers=headers).status_code == 400
    assert v2.browser().raw("GET", address).status_code == 400  # a link preview has no session
    assert v2.journey().status == Status.DEPARTED
    assert not v2.token_requests()
    assert browser.get(address).heading == "You are connected"


def test_a18_reload_and_back_show_the_same_result_without_a_second_exchange(v2):
    browser = v2.signed_in()
    address = held_callback(v2, browser)
    first = browser.get(address).text
    assert browser.get(address).text == first
    assert browser.get(browser.url).text == first
    assert len(v2.token_requests()) == 1


def test_a19_the_callback_answers_with_a_clean_address_and_keeps_its_query_to_itself(v2):
    browser = v2.signed_in()
    address = held_callback(v2, browser)
    answer = browser.raw("GET", address)
    assert answer.status_code == 303
    assert "?" not in answer.headers["Location"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    page = browser.get(f"{PORTAL}{urlsplit(answer.headers['Location']).path}").page
    loaded = page.xpath("//script/@src | //link[@rel!='canonical']/@href | //img/@src | //iframe/@src")
    assert loaded
    assert all(not urlsplit(item).netloc for item in loaded)


# --- the token answer --------------------------------------------------------------------------------------------

TOKEN_FAULTS = [
    "token_html",
    "token_non_json",
    "token_xml",
    "token_empty",
    "token_missing_access_token",
    "token_wrong_type",
    "token_expires_text",
    "token_expires_negative",
    "token_huge",
    "token_error_200",
    "token_500",
]


@pytest.mark.parametrize("profile", [CECONY_V1, CECONY_V2, ESSEX], ids=str)
@pytest.mark.parametrize("fault", TOKEN_FAULTS)
def test_a20_a_wrong_token_answer_fails_visibly_and_stores_nothing(world, caplog, profile, fault):
    if profile.edition:
        world.offer(profile.slug, profile.edition)
    browser = world.signed_in()
    address = held_callback(world, browser, profile)
    world.arm(fault, profile.slug)
    browser.get(address)
    assert browser.heading == "The connection did not work"
    assert "Nothing was shared" in browser.text
    assert not Authorization.objects.exists()
    assert not FetchJob.objects.exists()
    answered = world.sandbox.store.find("tokens")  # what the utility made, and may have sent, is in no line
    assert not [row for row in answered for record in caplog.records if row["token"] in record.getMessage()]


HERE = "localhost:8001/api.coned.com"
FOREIGN = {
    "host": "https://attacker.example/gbc/v1/resource/Batch/Subscription/1",
    "scheme": f"ftp://{HERE}/gbc/v1/resource/Batch/Subscription/1",
    "port": "http://localhost:9/api.coned.com/gbc/v1/resource/Batch/Subscription/1",
    "path": f"http://{HERE}/elsewhere/Batch/Subscription/1",
    "climbing": f"http://{HERE}/gbc/v1/resource/../../../evil/Subscription/1",
    "user": f"http://user@{HERE}/gbc/v1/resource/Batch/Subscription/1",
}


# Con Edison's V1 and PG&E have no customerResourceURI; should one ever stand there, it must be trusted like the others.
ELSEWHERE = [
    *(pytest.param("resourceURI", FOREIGN[name], id=name) for name in FOREIGN),
    pytest.param("authorizationURI", FOREIGN["host"], id="authorizationURI"),
    pytest.param("customerResourceURI", FOREIGN["host"], id="customerResourceURI"),
]


@pytest.mark.parametrize("profile", [CECONY_V1, CECONY_V2, PGE, ESSEX], ids=str)
@pytest.mark.parametrize(("uri", "place"), ELSEWHERE)
def test_a21_an_answer_that_points_elsewhere_fails_as_an_untrusted_address(world, profile, uri, place):
    if profile.edition:
        world.offer(profile.slug, profile.edition)
    browser = world.signed_in()
    address = held_callback(world, browser, profile)
    world.arm("token_foreign_resource_uri", profile.slug, field=uri, value=place)
    browser.get(address)
    assert browser.heading == "The connection did not work"
    assert "untrusted address" in browser.text
    assert not Authorization.objects.exists()
    world.work()
    # Essex may go on to announce its own, trusted files; what stands in the untrusted place is never asked for.
    assert not [job.url for job in FetchJob.objects.all() if job.url.startswith(place)]
    assert not UsagePoint.objects.exists()


# --- scope -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chosen",
    [
        [],
        ["usage", "billing", "realtime", "customer", "usage"],
        ["everything"],
        ["usage|billing"],
        ["FB=1_3_13_14_46_47;"],
        ["usage;HistoryLength=999999999"],
    ],
)
def test_a22_a_scope_that_is_not_in_the_catalogue_is_a_400(world, chosen):
    browser = world.signed_in()
    browser.get(f"{PORTAL}/connect/cecony").press("Continue", kinds=chosen)
    assert browser.response.status_code == 400
    assert "There is a problem" in browser.text
    assert not AuthorizationRequest.objects.exists()


def test_a22_the_outbound_scope_is_built_from_stored_choices_only(world):
    browser = world.signed_in()
    browser.hold = "http://localhost:8001/www.coned.com"
    world.to_check(browser, "cecony", "usage", "customer")
    browser.press("Agree and continue")
    browser.press("Continue to", **{})
    browser.hold = None
    browser.get(f"{ARRIVAL}?accountid=41000000001&startdate=01/02/2025&enddate=01/02/2027&DataCustodianID=ConEdison")
    browser.press("Agree and continue")
    browser.hold = "http://localhost:8001/www.coned.com"
    browser.press("Continue to")
    assert (
        "scope=FB%3D1_3_4_5_7_10_13_14_18_32_33_35_37_38_41_44%3BIntervalDuration%3DMonthly_3600_900_300%3B"
        "BlockDuration%3DMonthly_Daily%3BHistoryLength%3D63113904%3B%7CFB%3D1_3_13_14_46_47%3B"
    ) in browser.held


def test_a23_a_narrower_grant_is_shown_as_granted_and_is_no_error(v2):
    browser = v2.signed_in()
    v2.to_utility(browser, "cecony", "usage", "billing")
    sign_in(browser, CECONY_V2.who)
    browser.press("Authorize", choice=["5", "7", "8", "10"])  # leaves out both kinds of bills
    assert browser.heading == "You are connected, with less than you chose here"
    assert "Not shared" in browser.text
    authorization = Authorization.objects.get()
    assert (authorization.data_requested, authorization.data_granted) == (["usage", "billing"], ["usage"])
    assert authorization.status == Authorization.Status.ACTIVE


@pytest.mark.parametrize("profile", [CECONY_V2, ESSEX], ids=str)
def test_a23_a_wider_grant_is_parked(world, profile):
    if profile.edition:
        world.offer(profile.slug, profile.edition)
    browser = world.signed_in()
    world.arm("wider_scope", profile.slug)
    browser.get(held_callback(world, browser, profile, "usage"))
    assert browser.heading == "We could not finish this connection"
    assert Authorization.objects.get().status == Authorization.Status.PARKED
    assert not FetchJob.objects.exists()


# --- what comes from outside -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "custodian", ["", "DataCustodianID=conedison", "DataCustodianID=PGE", "DataCustodianID=https://evil.example",
                  "DataCustodianID=ConEdison&DataCustodianID=ORU", "DataCustodianID=<script>"]
)  # fmt: skip
def test_a24_an_odd_data_custodian_only_leads_to_the_question(world, custodian):
    browser = world.signed_in()
    browser.get(f"{ARRIVAL}?accountid=41000000001&{custodian}")
    assert browser.heading == "Which company is on your bill?"
    assert set(browser.page.xpath("//input[@name='utility']/@value")) == {"cecony", "oru"}
    assert "evil" not in browser.response.text


@pytest.mark.parametrize(
    "query",
    [
        "accountid=<script>alert(1)</script>",
        "accountid=" + "4" * 10_240,
        "accountid=4100%00",
        "accountid=1&accountid=2",
        "accountid=' OR 1=1 --",
        "startdate=13/45/2025",
        "startdate=2025-01-01",
        "startdate=01/02/9999",
        "startdate=01/02/2027&enddate=01/02/2026",
        "enddate=" + "1" * 10_240,
    ],
)
def test_a25_hostile_arrival_parameters_are_refused_in_plain_words(world, query):
    browser = world.signed_in()
    browser.get(f"{ARRIVAL}?DataCustodianID=ConEdison&{query}")
    assert browser.response.status_code == 400
    assert browser.heading == "We stopped here"
    assert "alert(1)" not in browser.response.text
    assert not UtilityVisit.objects.exists()


def test_a25_an_account_number_is_masked_on_screen_and_encrypted_at_rest(world):
    browser = world.signed_in()
    browser.get(f"{ARRIVAL}?accountid=410000000000123&MAID=%3Cscript%3E&DataCustodianID=ConEdison")
    assert "410000000000123" not in browser.response.text
    browser.press("Continue", utility="cecony")
    browser.press("Continue", kinds=["usage"])
    assert "•••• 0123" in browser.text
    assert "410000000000123" not in browser.response.text
    with connection.cursor() as cursor:
        cursor.execute("SELECT account_number FROM portal_utilityvisit")
        ((stored,),) = cursor.fetchall()
    assert stored
    assert "410000000000123" not in stored
    assert all("410000000000123" not in url for url in browser.trail if not url.startswith(ARRIVAL))


def test_a26_a_preloaded_link_does_nothing_before_the_check_page_is_confirmed(world):
    browser = world.signed_in()
    browser.get(f"{ARRIVAL}?accountid=666666666666666&DataCustodianID=ConEdison")
    assert not AuthorizationRequest.objects.exists()
    browser.press("Continue", utility="cecony").press("Continue", kinds=["usage"])
    journey = world.journey()
    assert journey.agreed_at is None
    assert journey.status == Status.CHOOSING
    browser.get(f"{PORTAL}{reverse('connect:leave', args=[journey.public_id])}")
    assert browser.heading == "Check and agree"
    assert not world.sandbox.store.find("authorizations")


@pytest.mark.parametrize(
    "target", ["//e.com", "/\\e.com", "https:e.com", "/%09/e.com", "javascript:alert(1)", "https://portal@e.com",
               "\t//e.com", "\n//e.com", "http:///e.com", "https://e.com/dashboard"]
)  # fmt: skip
@pytest.mark.parametrize("name", ["next", "return_to"])
def test_a27_a_foreign_next_leads_to_our_own_page(world, name, target):
    world.user()
    browser = world.browser()
    browser.get(f"{PORTAL}/account/login/?{urlencode({name: target})}", headers={"Referer": "https://e.com/"})
    browser.press("Sign in", login="ada@example.com", password=PASSWORD)
    assert all(urlsplit(url).netloc == "localhost:8000" for url in browser.trail)
    assert urlsplit(browser.url).path == "/dashboard"


def test_a28_a_redirect_uri_in_a_request_is_ignored(world):
    browser = world.signed_in()
    browser.get(f"{ARRIVAL}?accountid=41000000001&redirectUri=https://evil.example&redirect_uri=https://evil.example")
    browser.press("Continue", utility="oru").press("Continue", kinds=["usage"]).press("Agree and continue")
    browser.hold = "http://localhost:8001/"
    browser.press("Continue to")
    query = parse_qs(urlsplit(browser.held).query)
    assert query["redirectUri"] == [f"{PORTAL}/espi/1_1/OAuthCallBack/oru"]
    registered = world.sandbox.store.find("registrations", utility="oru")
    assert {row["data"]["redirect_uri"] for row in registered} == set(query["redirectUri"])


def test_a29_departure_needs_a_post_with_a_csrf_token_to_a_profile_host(v2):
    browser = v2.signed_in()
    v2.to_check(browser, "cecony")
    browser.press("Agree and continue")
    leaving = browser.url
    assert "localhost:8001" in browser.text  # names the destination
    assert browser.page.xpath("//button[contains(., 'Cancel')]")
    assert browser.raw("GET", leaving).status_code == 200
    assert browser.raw("POST", leaving).status_code == 403
    assert v2.journey().status == Status.CHOOSING
    browser.hold = "http://localhost:8001/"
    browser.press("Continue to")
    hosts = {urlsplit(utilities.get("cecony").authorize_url(v2.journey().application_information)).netloc}
    assert urlsplit(browser.held).netloc in hosts


@pytest.mark.parametrize("path", ["/", "/connect", "/connect/cecony", "/account/login/", "/staff/login/", "/dashboard"])
def test_a30_pages_cannot_be_framed(world, path):
    answer = world.signed_in().raw("GET", f"{PORTAL}{path}")
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_a31_a_post_is_answered_with_303_when_it_redirects(v2):
    browser = v2.signed_in()
    statuses: list[int] = []
    send = browser.http.send

    def watch(request, **kwargs):
        response = send(request, **kwargs)
        if request.method == "POST" and response.is_redirect and request.url.startswith(f"{PORTAL}/connect"):
            statuses.append(response.status_code)
        return response

    browser.http.send = watch
    held_callback(v2, browser)
    assert len(statuses) >= 3
    assert set(statuses) == {303}


def test_a31_no_view_answers_307_or_308():
    from pathlib import Path

    sources = (path.read_text() for folder in ("portal", "utilities") for path in Path(folder).rglob("*.py"))
    assert not any(re.search(r"preserve_request|PermanentRedirect|status_code = 30[78]", text) for text in sources)


def test_every_attack_of_the_list_has_a_test():
    from pathlib import Path

    named = set(re.findall(r"def test_(a\d\d)_", Path(__file__).read_text()))
    assert named == {f"a{number:02}" for number in range(1, 32)}


def test_the_profiles_of_this_file_are_the_ones_on_offer(world):
    others_of_a_platform = {"welland"}  # UtilityAPI's, like Essex
    here = {CECONY_V1.slug, ORU.slug, PGE.slug, ESSEX.slug}
    assert here | others_of_a_platform == {utility.slug for utility, _ in utilities.offered()}
    assert AuthorizationParameters.__doc__
