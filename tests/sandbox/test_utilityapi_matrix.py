"""Every row of Essex Powerlines' sandbox table, and what else can happen on the platform's form."""

import pytest

from tests.sandbox.answers import selves, xml
from tests.sandbox.utilityapi_helpers import PORTAL, REDIRECT, RESIDENTIAL, World, back
from utilities.sandbox import utilityapi_utilities as utilities

ESSEX = utilities.BY_SLUG["essex"]


@pytest.fixture
def world():
    return World()


def who(scenario):
    return {"action": "lastbill", "account": scenario.account, "amount": scenario.amount, "date": scenario.bill_date}


def test_row_1_the_residential_account_gives_one_usage_point(world):
    address = world.request(scope="FB=4_16_51;AdditionalScope=auth-lastbill-111111111-1")
    assert 'value="111111111-1"' in world.browser.get(address).text, "the account number is prefilled"
    tokens = world.connect(address)
    assert "AccountCollection=1" in tokens["scope"]
    assert len(selves(xml(world.get(tokens["resourceURI"] + "/UsagePoint", tokens["access_token"])))) == 1


def test_row_2_the_commercial_account_also_has_one_electric_service(world):
    tokens = world.connect(who=who(ESSEX.scenarios[1]))
    assert len(selves(xml(world.get(tokens["resourceURI"] + "/UsagePoint", tokens["access_token"])))) == 1


def test_row_3_the_badlogin_account_is_not_found_and_nothing_is_sent_back(world):
    answer = world.verify(**who(ESSEX.scenarios[2]))
    assert answer.status_code == 422
    assert "could not find that customer" in answer.text
    assert world.sandbox.store.find("authorizations") == []


@pytest.mark.parametrize("name", ["test_residential", "test_commercial"])
def test_rows_4_and_5_test_scenarios_need_no_bill(world, name):
    address = world.request(scope=f"FB=4_16_51;AdditionalScope=auth-test-{name}")
    page = world.browser.get(address).text
    assert f'<option value="{name}" selected>' in page
    assert page.index("With a test account") < page.index("With your latest bill")
    assert "code" in back(world.authorize(address, {"action": "test", "scenario": name}))


def test_row_6_the_badlogin_scenario_leaves_the_customer_on_the_page(world):
    answer = world.verify(action="test", scenario="test_badlogin")
    assert answer.status_code == 422
    assert "could not find that customer" in answer.text


def test_row_7_cancel_on_either_page_is_access_denied(world):
    assert back(world.browser.post(world.request(), data={"action": "cancel"})) == {
        "error": "access_denied",
        "state": "s1",
    }
    world.verify()
    assert back(world.browser.post(world.request(), data={"action": "cancel"}))["error"] == "access_denied"
    assert world.sandbox.store.find("authorizations") == []


def test_row_8_what_the_customer_unticks_is_not_granted(world):
    tokens = world.connect(data=["4"])
    assert tokens["scope"].startswith("FB=1_3_4_5_13_14_18_19_35_39;")
    bills = world.get(tokens["resourceURI"] + "/UsagePoint/804264/UsageSummary", tokens["access_token"])
    assert bills.status_code == 404 or selves(xml(bills)) == []
    customer = tokens["customerResourceURI"].replace("/resource/", "/resource/Batch/")
    assert selves(xml(world.get(customer, tokens["access_token"]))) == []


def test_row_9_a_real_account_is_refused_until_the_third_party_is_live(world):
    answer = world.verify(**world.live_customer())
    assert answer.status_code == 422
    assert "still in Sandbox mode" in answer.text
    world.settings(action="mode")
    assert "code" in back(world.authorize(who=world.live_customer()))


def test_row_10_without_a_redirect_address_the_customer_ends_on_a_receipt(world):
    answer = world.authorize(world.request(redirect_uri=None))
    assert answer.status_code == 200
    assert "Thank you" in answer.text
    assert len(selves(xml(world.get("Authorization", world.client_token())))) == 1


@pytest.mark.parametrize("where", [REDIRECT + "/", "https://other.example/", ""])
def test_row_11_an_unregistered_redirect_address_is_an_error_page(world, where):
    answer = world.browser.get(world.request(redirect_uri=where))
    assert answer.status_code == 400
    assert "Location" not in answer.headers


@pytest.mark.parametrize(("renewal", "number"), [("same", 1), ("new", 2)])
def test_row_12_authorizing_again_keeps_the_uid_or_makes_a_new_one(world, renewal, number):
    world.settings(action="behaviour", rotation="rotate", renewal=renewal)
    first, second = world.connect(), world.connect(data=["4"])
    assert len({first["authorizationURI"], second["authorizationURI"]}) == number


def test_the_platforms_generic_test_logins_do_not_work(world):
    address = world.request(scope="FB=4;AdditionalScope=auth-test-UAPI_TEST_residential")
    assert 'value="UAPI_TEST_residential" selected' in world.browser.get(address).text
    answer = world.verify(address, action="test", scenario="UAPI_TEST_residential")
    assert (answer.status_code, "no test account" in answer.text) == (422, True)


@pytest.mark.parametrize(
    "change", [{"amount": "100.01"}, {"amount": "a lot"}, {"date": "2023-07-02"}, {"account": "111111111"}]
)
def test_the_bill_must_match(world, change):
    assert world.verify(**RESIDENTIAL | change).status_code == 422


@pytest.mark.parametrize("amount", ["100", "100.00", "$100.0"])
def test_the_same_amount_may_be_written_in_other_ways(world, amount):
    assert world.verify(**RESIDENTIAL | {"amount": amount}).status_code == 302


def test_without_parameters_or_with_an_unknown_client_the_page_says_401(world):
    assert world.browser.get(f"{PORTAL}/oauth/authorize").status_code == 401
    assert world.browser.get(world.request(client_id="ESSEX_unknown")).status_code == 401


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"scope": "HistoryLength=1;FB=4"}, "invalid_scope"),
        ({"scope": "FB=four"}, "invalid_scope"),
        ({"scope": "FB=4;AdditionalScope=please"}, "invalid_scope"),
        ({"scope": "FB=4;HistoryLength=-1"}, "invalid_scope"),
        ({"scope": "FB=4;Unknown=1"}, "invalid_scope"),
    ],
)
def test_a_bad_request_of_a_known_client_goes_back_with_its_error(world, change, error):
    assert back(world.browser.get(world.request(**change))) == {"error": error, "state": "s1"}


def test_an_unencoded_semicolon_cuts_the_scope_short(world):
    address = world.request().replace("%3B", ";").replace("FB%3D4_16_39_51", "FB%3D4_16_51")
    address = address.replace("HistoryLength%3D63072000", "HistoryLength%3D0")
    world.verify(address)
    page = world.browser.get(address).text
    assert 'value="63072000" selected' in page, "HistoryLength=0 was not seen"


def test_the_scope_prefills_the_form_and_noedit_locks_it(world):
    address = world.request(scope="FB=4;HistoryLength=31536000;PreferredAuthEndDate=1830000000")
    world.verify(address)
    page = world.browser.get(address).text
    assert 'name="data" value="4"' in page
    assert 'name="data" value="16"' not in page
    assert 'value="2027-12-28"' in page
    assert 'value="63072000"' not in page
    locked = world.request(scope="FB=4_16_39;AdditionalScope=noedit")
    tokens = world.connect(locked, data=["51"])
    assert "_4_5_13_14_16_18_19_35_39;" in tokens["scope"]


def test_the_customer_cannot_grant_what_was_not_asked_for(world):
    tokens = world.connect(world.request(scope="FB=4"), data=["4", "16", "51"])
    assert tokens["scope"].startswith("FB=1_3_4_5_13_14_18_19_35;")


@pytest.mark.parametrize(
    ("form", "words"),
    [({"data": []}, "one kind of data"), ({"meter": []}, "one meter"), ({"until": "2020-01-01"}, "in the future"),
     ({"until": "tomorrow"}, "year-month-day")],
)  # fmt: skip
def test_an_incomplete_consent_is_explained_and_saves_nothing(world, form, words):
    answer = world.authorize(**form)
    assert (answer.status_code, words in answer.text) == (422, True)
    assert world.sandbox.store.find("authorizations") == []


def test_the_look_up_counts_for_one_request_only(world):
    world.verify()
    assert "Find your account" in world.browser.get(world.request(state="another")).text
    assert world.consent(world.request(state="another")).status_code == 200, "asked to find the account again"
    assert world.sandbox.store.find("authorizations") == []


def test_the_platforms_own_authorize_address_works_too(world):
    address = world.request(portal="/utilityapi.com/DataCustodian/essex/oauth/authorize")
    code = back(world.authorize(address))["code"]
    answer = world.exchange(code, portal="/utilityapi.com/DataCustodian/ESSEX/oauth/token")
    assert answer.status_code == 200
    assert world.browser.get("/utilityapi.com/DataCustodian/nobody/oauth/authorize").status_code == 404


def test_the_public_client_is_sandbox_only_and_comes_back_to_the_demo_page(world):
    address = world.request(
        client_id="ESSEX_ccccccccc", redirect_uri="https://utilityapi.com/DataCustodian/thirdparty-demo"
    )
    location = world.authorize(address).headers["Location"]
    assert location.startswith("https://utilityapi.com/DataCustodian/thirdparty-demo?code=")
    demo = world.browser.get("/utilityapi.com/DataCustodian/thirdparty-demo?" + location.partition("?")[2]).text
    assert "<dt>code</dt>" in demo


def test_a_customer_stops_sharing_on_the_utilitys_page(world):
    tokens = world.connect()
    assert "Stop sharing with Example Energy" in world.browser.get(f"{PORTAL}/?account=111111111-1").text
    form = {"account": "111111111-1", "authorization": tokens["authorizationURI"].rpartition("/")[2]}
    world.browser.post(f"{PORTAL}/", data=form)
    assert world.get(tokens["resourceURI"] + "/UsagePoint", tokens["access_token"]).status_code == 401


def test_faults_decline_lose_the_state_and_age_the_code(world):
    world.fault("decline")
    assert back(world.authorize())["error"] == "access_denied"
    world.fault("no_state_echo")
    assert "state" not in back(world.authorize())
    world.fault("expired_code")
    assert world.exchange(back(world.authorize())["code"]).json["error"] == "invalid_grant"


def test_another_utility_is_one_entry_of_the_table(monkeypatch):
    welland = utilities.Utility(
        slug="welland", utility_id="WELLAND", name="Welland Hydro", portal_host="greenbutton.wellandhydro.com",
        currency=124, zone=utilities.ONTARIO, tariff=ESSEX.tariff, scenarios=ESSEX.scenarios, city="WELLAND",
        region="ON", postal_code="L3B 1A1",
    )  # fmt: skip
    for name, key in (("BY_SLUG", "welland"), ("BY_HOST", welland.portal_host)):
        monkeypatch.setitem(getattr(utilities, name), key, welland)
    customers = utilities.customers(welland, 0)
    assert [one.account.number for one in customers] == ["111111111-1", "222222222-2"]
    assert customers[0].account.city == "WELLAND"
