"""PG&E's authorization pages: what they accept, refuse, and send back."""

from urllib.parse import quote, unquote

import pytest

from tests.sandbox.pge_helpers import NOTIFY, NOW, PORTAL, REDIRECT, World, back


@pytest.fixture
def world():
    return World()


def test_the_customer_comes_back_with_a_code_the_state_and_the_raw_granted_scope(world):
    answer = world.authorize()
    scope = answer.headers["Location"].partition("&scope=")[2].partition("&state")[0]
    assert scope == (
        "FB=1_3_8_13_14_18_19_31_32_35_37_38_39_4_5_10_15_16_46_47;"
        "AdditionalScope=Usage_Billing_Basic_Account_ProgramEnrollment;IntervalDuration=900_86400;BlockDuration=Daily;"
        f"HistoryLength=63072000;AccountCollection=2;BR={world.welcome['third_party_id']};dataCustodianId=PGE"
    )
    assert back(answer)["state"] == "s1"
    assert len(world.welcome["client_id"]) == 32


def test_a_fault_escapes_the_scope_on_the_way_back(world):
    world.fault("callback_scope_escaped")
    location = world.authorize().headers["Location"]
    assert "%3BAdditionalScope" in location
    assert unquote(location).count(";AdditionalScope=") == 1


@pytest.mark.parametrize("missing", [{"client_id": None}, {"redirect_uri": None}, {"client_id": "0" * 32}])
def test_without_a_known_client_or_redirect_the_customer_sees_a_page_and_is_not_sent_back(world, missing):
    answer = world.browser.get(world.request(**missing))
    assert answer.status_code == 400
    assert "Location" not in answer.headers
    assert "We cannot process this request" in answer.text


def test_another_redirect_address_is_refused_on_a_page(world):
    assert world.browser.get(world.request(redirect_uri=REDIRECT + "/")).status_code == 400


@pytest.mark.parametrize("kind", [None, "token"])
def test_another_response_type_goes_back_as_invalid_request(world, kind):
    answer = back(world.browser.get(world.request(response_type=kind)))
    assert answer == {"error": "invalid_request", "state": "s1"}


@pytest.mark.parametrize(
    "scope",
    [
        "FB=4_5_15",
        "MinAuthEndDate=soon",
        "MinAuthEndDate=1000",
        f"MinAuthEndDate={NOW + 9}&PreferredAuthEndDate=1",
        "x",
    ],
)
def test_a_data_scope_or_a_bad_end_date_goes_back_as_invalid_request(world, scope):
    assert back(world.browser.get(world.request(scope=scope)))["error"] == "invalid_request"


def test_end_dates_are_accepted_and_prefill_the_page(world):
    scope = f"MinAuthEndDate={NOW + 86400};PreferredAuthEndDate={NOW + 90 * 86400}"
    address = world.request(scope=scope)
    world.sign_in(address=address)
    assert 'value="2027-02-19"' in world.browser.get(address).text


def test_an_end_before_the_wished_minimum_is_refused_on_the_page(world):
    address = world.request(scope=f"MinAuthEndDate={NOW + 60 * 86400}")
    answer = world.authorize(address=address, period="until", until="2026-12-01")
    assert answer.status_code == 422
    assert "later end date" in answer.text


def test_cancel_before_and_after_signing_in_goes_back_as_access_denied(world):
    assert back(world.browser.post(world.request(), data={"action": "cancel"}))["error"] == "access_denied"
    world.sign_in()
    answer = back(world.browser.post(world.request(), data={"action": "cancel"}))
    assert answer == {"error": "access_denied", "state": "s1"}
    assert world.sandbox.store.find("authorizations") == []


def test_the_third_failed_sign_in_goes_back_as_access_denied(world):
    form = {"action": "sign-in", "username": "home@example.com", "password": "wrong"}
    first = world.browser.post(world.request(), data=form)
    assert first.status_code == 401
    assert 'name="attempts" value="1"' in first.text
    assert back(world.browser.post(world.request(), data=form | {"attempts": "2"}))["error"] == "access_denied"


def test_a_guest_proves_one_account_and_sees_only_that(world):
    person = world.sandbox.person("pge", "business@example.com")
    address = world.request(login="guest")
    page = world.browser.get(address).text
    assert page.index("Continue as a guest") < page.index("I have an online account")
    form = {"action": "guest", "account": person.accounts[1].number, "postal_code": "94607"}
    assert world.browser.post(address, data=form | {"postal_code": "99999"}).status_code == 401
    assert world.browser.post(address, data=form).status_code == 302
    assert world.services(address) == [person.accounts[1].services[0].id]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"group": []}, "at least one kind of data"),
        ({"service": []}, "at least one service agreement"),
        ({"service": ["0000000000"]}, "at least one service agreement"),
        ({"terms": ""}, "accept the terms"),
        ({"period": "until", "until": "2020-01-01"}, "in the future"),
        ({"period": "until", "until": "31/12/2027"}, "year-month-day"),
    ],
)
def test_an_incomplete_form_is_explained_and_saves_nothing(world, form, words):
    answer = world.authorize(**form)
    assert answer.status_code == 422
    assert words in answer.text
    assert world.sandbox.store.find("authorizations") == []


def test_the_customer_may_share_less_and_by_the_hour(world):
    world.sign_in()
    answer = back(world.authorize(service=world.services()[:1], group=["Usage"], interval="3600"))
    assert (
        "FB=1_3_8_13_14_18_19_31_32_35_37_38_39_4_5_15;AdditionalScope=Usage;IntervalDuration=3600" in answer["scope"]
    )
    assert "AccountCollection=1" in answer["scope"]


def test_faults_decline_and_leave_out_the_state(world):
    world.fault("decline")
    assert back(world.authorize())["error"] == "access_denied"
    world.fault("no_state_echo")
    assert "state" not in back(world.authorize())


def test_a_state_with_every_awkward_character_comes_back_unchanged(world):
    state = "a b&c=d;e/é"
    answer = world.authorize(address=world.request(state=state))
    assert answer.headers["Location"].endswith("&state=" + quote(state, safe=""))


def test_starting_at_pge_leads_to_the_third_party_portal_with_dummy_parameters(world):
    assert "Example Energy" in world.browser.get("/sharemydata.pge.com/").text
    chosen = {"third_party": world.welcome["third_party_id"]}
    answer = world.browser.post("/sharemydata.pge.com/go", data=chosen)
    assert answer.headers["Location"] == f"{PORTAL}?scope=xxx&ThirdPartyID={world.welcome['third_party_id']}"
    assert world.browser.post("/sharemydata.pge.com/go", data={"third_party": "1"}).status_code == 404


def test_the_old_authorize_endpoint_leads_to_the_customers_page(world):
    answer = world.browser.get("/api.pge.com/datacustodian/oauth/v2/Authorize?client_id=1")
    assert answer.headers["Location"].endswith("/sharemydata.pge.com/myAuthorization?client_id=1")


def test_stopping_on_the_customers_page_ends_the_tokens_and_notifies(world):
    tokens = world.connect()
    subscription = tokens["authorizationURI"].rpartition("/")[2]
    assert "Example Energy" in world.browser.get("/sharemydata.pge.com/manage").text
    world.browser.post("/sharemydata.pge.com/manage", data={"action": "stop", "subscription": subscription})
    assert world.deliver() == [tokens["authorizationURI"]]
    assert world.posted[0][0] == NOTIFY
    assert world.get(tokens["resourceURI"], tokens["access_token"]).status_code == 401
    assert "<ns0:status>0<" in world.get(tokens["authorizationURI"], world.client_token()).text


def test_changing_the_data_groups_changes_the_scope_and_notifies(world):
    tokens = world.connect()
    form = {"subscription": tokens["authorizationURI"].rpartition("/")[2], "action": "save", "group": ["Usage"]}
    world.browser.post("/sharemydata.pge.com/manage", data=form)
    assert world.deliver() == [tokens["authorizationURI"]]
    assert "AdditionalScope=Usage;" in world.get(tokens["authorizationURI"], world.client_token()).text


def test_nobody_stops_what_somebody_else_shares(world):
    tokens = world.connect("home")
    world.sign_in("solar")
    form = {"action": "stop", "subscription": tokens["authorizationURI"].rpartition("/")[2]}
    world.browser.post("/sharemydata.pge.com/manage", data=form)
    assert world.sandbox.store.find("authorizations")[0]["status"] == "active"


@pytest.mark.parametrize("path", ["/sharemydata.pge.com/datacustodian/oauth/v2/token", "/sharemydata.pge.com/nothing"])
def test_the_customers_site_has_no_api(world, path):
    assert world.browser.post(path).status_code == 404


def test_at_the_real_host_names_every_address_keeps_that_style(world):
    page = world.browser.get("/myAuthorization", headers={"Host": "sharemydata.pge.com"})
    assert page.status_code == 400
    overrides = world.certificate() | {"wsgi.url_scheme": "https"}
    fields = {"grant_type": "authorization_code", "code": world.code(), "redirect_uri": REDIRECT}
    answer = world.app.test_client().post(
        "/datacustodian/oauth/v2/token",
        data=fields,
        headers=world.basic() | {"Host": "api.pge.com"},
        environ_overrides=overrides,
    )
    prefix = "https://api.pge.com/GreenButtonConnect/espi/1_1/resource/"
    assert answer.json["resourceURI"].startswith(f"{prefix}Batch/Subscription/")
