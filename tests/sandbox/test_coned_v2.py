"""Con Edison's and O&R's contract V2 ("DCX GBC API V2"), as the sandbox plays it."""

import base64
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest

from tests.sandbox.coned_helpers import (
    REDIRECT,
    TAIL,
    World,
    links,
    query_of,
    subscription_of,
    texts,
    xml,
)
from utilities.sandbox import coned_terms, meters
from utilities.sandbox.coned_data import decimal

EVERYTHING = "1_3_4_5_7_10_15_16_51_53_56_57_58_60"
WINDOW = {"published-min": "2026-11-01T04:00:00Z", "published-max": "2026-11-02T05:00:00Z"}


@pytest.fixture
def world() -> World:
    return World(edition="v2")


def open_page(world: World, **changes: str | None):
    query = {name: value for name, value in world.authorize_query(**changes).items() if value is not None}
    return world.browser.get(f"{world.web}/en/oauth/authorize?{urlencode(query)}")


def usage_point(world: World, tokens: dict, index: int = 0) -> str:
    root = xml(world.get(f"/Subscription/{subscription_of(tokens)}/UsagePoint", tokens["access_token"]))
    return links(root, "self")[index + 1]


def reading(world: World, tokens: dict) -> str:
    return links(xml(world.get(usage_point(world, tokens) + "/MeterReading", tokens["access_token"])), "self")[1]


# authorization


def test_the_customer_signs_in_and_sees_what_is_asked_for(world):
    assert "/sign-in" in open_page(world).headers["Location"]
    world.sign_in()
    page = open_page(world)
    assert page.status_code == 200
    for words in ("Electricity use", "Gas use", "What the bills cost", "Your meters"):
        assert words in page.text


def test_signing_in_returns_to_the_same_request(world):
    location = open_page(world).headers["Location"]
    form = {"username": "home@example.com", "password": "green-button"}
    page = world.browser.get(location)
    wanted = page.text.partition('name="next" value="')[2].partition('"')[0].replace("&amp;", "&")
    answer = world.browser.post(f"{world.web}/sign-in", data=form | {"next": wanted})
    assert world.browser.get(answer.headers["Location"]).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"response_type": None},
        {"response_type": "token"},
        {"client_id": None},
        {"client_id": "somebody"},
        {"redirect_uri": None},
        {"redirect_uri": REDIRECT + "/"},
        {"redirect_uri": "https://attacker.example/"},
        {"state": None},
        {"state": ""},
        {"scope": "FB=1_3_4_5"},
        {"scope": f"FB=1_3_4_5;{TAIL};BR=000000"},
    ],
)
def test_a_wrong_parameter_shows_an_error_page_and_never_redirects(world, change):
    world.sign_in()
    response = open_page(world, **change)
    assert response.status_code == 400
    assert "Location" not in response.headers
    query = {name: value for name, value in world.authorize_query(**change).items() if value is not None}
    posted = world.browser.post(f"{world.web}/en/oauth/authorize?{urlencode(query)}", data={"decision": "deny"})
    assert (posted.status_code, "Location" in posted.headers) == (400, False)


def test_the_third_party_id_is_the_br_and_not_the_client_id(world):
    world.sign_in()
    assert open_page(world, scope=f"FB=1_3_4_5;{TAIL};BR={world.package['client_id']}").status_code == 400
    assert open_page(world, scope=f"FB=1_3_4_5;{TAIL};BR={world.package['third_party_id']}").status_code == 200


@pytest.mark.parametrize(
    ("scope", "fine"),
    [
        (f"FB=1_3_4_5;{TAIL};BR=1", True),
        (f"FB=1_3_4_10;{TAIL};BR=1", True),
        ("FB=1_3_15_16;IntervalDuration=Monthly;BlockDuration=Monthly;HistoryLength=63072000;BR=1", True),
        ("FB=51_53_56;BR=1", True),
        (f"FB=1_3_4_5_7_8_10_15_16_51_53_56_57_58_60;{TAIL};BR=1", True),
        (f"FB=1_3_5;{TAIL};BR=1", False),
        (f"FB=4_5;{TAIL};BR=1", False),
        ("FB=56_57;BR=1", False),
        ("FB=1_3_4_5;BR=1", False),
        (f"FB=1_3_4_5;{TAIL};BR=1;", False),
        (f"FB=1_3_4_5_99;{TAIL};BR=1", False),
        (f"FB=1_3_4_5_5;{TAIL};BR=1", False),
        (f"FB=1_3_4_5;{TAIL}", False),
        (f"FB=1_3_4_5;{TAIL.replace('63072000', '63113904')};BR=1", False),
        (f"FB=1_3_4_5;{TAIL.replace('_3600', ' _3600')};BR=1", False),
        ("", False),
    ],
)
def test_the_scope_grammar(scope, fine):
    if fine:
        assert coned_terms.v2_scope(scope, "1").text() == scope
    else:
        with pytest.raises(ValueError, match=r"\w"):
            coned_terms.v2_scope(scope, "1")


def test_authorizing_redirects_with_code_and_state(world):
    answer = query_of(world.decide())
    assert set(answer) == {"code", "state"}
    assert answer["state"] == "s-123"


def test_denying_redirects_with_the_documented_error(world):
    answer = query_of(world.decide(decision="deny"))
    assert answer == {
        "error": "access_denied",
        "error_description": "Customer denied authorization.",
        "state": "s-123",
    }


def test_the_customer_can_only_remove(world):
    tokens = world.tokens(choice=["10", "56", "8", "35"])
    assert tokens["scope"] == f"FB=1_3_4_10_51_53_56;{TAIL};BR={world.package['third_party_id']}"
    customer_only = world.tokens(choice=["56"])
    assert customer_only["scope"] == f"FB=51_53_56;BR={world.package['third_party_id']}"


@pytest.mark.parametrize("form", [{"choice": []}, {"account": "1"}, {"duration": ""}, {"duration": "fixed", "end": ""}])
def test_an_incomplete_consent_stays_at_the_utility(world, form):
    assert world.decide(**form).status_code == 400


def test_a_one_time_authorization_ends_after_24_hours(world):
    tokens = world.tokens(duration="one_time")
    world.now += 86400
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "scope": tokens["scope"]}
    assert world.v2_request(form).get_json()["error"] == "invalid_grant"
    root = xml(world.get("/Authorization", world.client_token()))
    assert texts(root, "status") == ["0"]


def test_a_fixed_period_ends_after_its_last_day(world):
    tokens = world.tokens(duration="fixed", end="2026-11-23")
    path = f"/Subscription/{subscription_of(tokens)}/UsagePoint"
    world.now = (
        meters.local_midnight(meters.local_day(world.now + 3 * 86400, "America/New_York"), "America/New_York") - 60
    )
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "scope": tokens["scope"]}
    token = world.v2_request(form).get_json()["access_token"]
    assert world.get(path, token).status_code == 200
    world.now += 60
    assert world.get(path, token).status_code == 401


def test_the_utility_can_be_the_starting_place(world):
    response = world.leave()
    assert query_of(response)["accountid"] == world.account().number


# token endpoint


def test_the_token_response_has_the_documented_keys(world):
    tokens = world.tokens()
    assert set(tokens) == {
        "access_token", "refresh_token", "token_type", "expires_in", "scope", "resourceURI", "authorizationURI",
        "customerResourceURI",
    }  # fmt: skip
    assert tokens["expires_in"] == 3600
    assert tokens["customerResourceURI"].endswith(f"/Batch/RetailCustomer/{subscription_of(tokens)}")
    assert "customerResourceURI" not in world.tokens(choice=["5"])


@pytest.mark.parametrize("path", ["Token", "token"])
def test_without_basic_the_answer_is_the_one_seen_live(world, path):
    response = world.api.post(f"{world.base}/oauth/{path}", data={"grant_type": "client_credentials"})
    assert response.status_code == 401
    assert response.get_json() == {"Message": "Unauthorized. Access token is missing or invalid."}
    assert world.api.get(f"{world.base}/oauth/{path}").status_code == 404


def test_credentials_in_the_body_or_wrong_ones_are_refused(world):
    package = world.package
    body = {
        "grant_type": "client_credentials",
        "scope": "FB=34_35",
        "client_id": package["client_id"],
        "client_secret": package["client_secret"],
    }
    assert world.api.post(f"{world.base}/oauth/Token", data=body).status_code == 401
    for value in (f"{package['client_id']}:wrong", f"{package['third_party_id']}:{package['client_secret']}", "x"):
        headers = {"Authorization": "Basic " + base64.b64encode(value.encode()).decode()}
        assert world.api.post(f"{world.base}/oauth/Token", data=body, headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grantType": "client_credentials", "scope": "FB=34_35"}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "invalid_request"),
        ({"grant_type": "client_credentials", "scope": "FB=3_35_47"}, "invalid_scope"),
        ({"grant_type": "authorization_code", "code": "x", "redirect_uri": REDIRECT}, "invalid_grant"),
        ({"grant_type": "authorization_code", "authCode": "x", "redirect_uri": REDIRECT}, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "x", "redirectUri": REDIRECT}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x", "scope": "FB=1_3"}, "invalid_grant"),
        ({"grant_type": ["client_credentials", "client_credentials"], "scope": "FB=34_35"}, "invalid_request"),
    ],
)
def test_token_requests_that_are_refused(world, form, error):
    response = world.v2_request(form)
    assert (response.status_code, response.get_json()["error"]) == (400, error)


def test_json_in_place_of_a_form_is_refused(world):
    headers = {"Authorization": "Basic " + base64.b64encode(
        f"{world.package['client_id']}:{world.package['client_secret']}".encode()
    ).decode()}  # fmt: skip
    body = {"grant_type": "client_credentials", "scope": "FB=34_35"}
    assert world.api.post(f"{world.base}/oauth/Token", json=body, headers=headers).status_code == 400


def test_a_code_is_good_once_for_a_minute_and_with_its_redirect_uri(world):
    code = query_of(world.decide())["code"]
    assert world.v2_exchange(code, redirect_uri=REDIRECT + "/").status_code == 400
    assert world.v2_exchange(code).status_code == 200
    assert world.v2_exchange(code).get_json()["error"] == "invalid_grant"
    late = query_of(world.decide())["code"]
    world.now += 60
    assert world.v2_exchange(late).status_code == 400


def test_a_refresh_needs_the_granted_scope_and_gives_no_new_refresh_token(world):
    tokens = world.tokens(choice=["5", "15"])
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert world.v2_request(form).get_json()["error"] == "invalid_request"
    assert world.v2_request(form | {"scope": f"FB={EVERYTHING}"}).get_json()["error"] == "invalid_scope"
    for scope in (tokens["scope"], "FB=1_3_4_5_15"):
        answer = world.v2_request(form | {"scope": scope, "redirect_uri": REDIRECT})
        assert answer.status_code == 200
        assert "refresh_token" not in answer.get_json()


def test_a_refresh_token_dies_after_a_year_without_use(world):
    tokens = world.tokens()
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "scope": tokens["scope"]}
    world.now += 364 * 86400
    assert world.v2_request(form).status_code == 200
    world.now += 365 * 86400
    assert world.v2_request(form).status_code == 400


def test_fifty_token_calls_a_minute_without_counting_code_exchanges(world):
    form = {"grant_type": "client_credentials", "scope": "FB=34_35"}
    assert {world.v2_request(form).status_code for _ in range(50)} == {200}
    limited = world.v2_request(form)
    assert limited.status_code == 429
    assert int(limited.headers["Retry-After"]) <= 60
    assert world.v2_exchange(query_of(world.decide())["code"]).status_code == 200
    world.now += 60
    assert world.v2_request(form).status_code == 200


def test_scope_faults_change_what_is_granted(world):
    world.fault("narrower_scope")
    assert "60" not in world.tokens()["scope"].partition(";")[0]
    world.fault("wider_scope")
    assert "_8_" in world.tokens()["scope"]


def test_credentials_of_one_edition_or_custodian_are_unknown_to_the_other(world):
    v1 = World(edition="v1")
    assert v1.v2_request({"grant_type": "client_credentials", "scope": "FB=34_35"}).status_code == 401
    oru = world.register("oru", "v2")
    world.sign_in()
    assert open_page(world, client_id=oru["client_id"]).status_code == 400


def test_test_credentials_work_on_the_test_hosts_only(world):
    world.package = world.register("cecony", "v2", "test")
    form = {"grant_type": "client_credentials", "scope": "FB=34_35"}
    assert world.v2_request(form, host="apit.coned.com").status_code == 200
    assert world.v2_request(form).status_code == 401


# resources


def test_every_operation_of_the_swagger_file_answers(world):
    tokens, client = world.tokens(), world.client_token()
    token, registration = tokens["access_token"], world.package["registration_access_token"]
    subscription = subscription_of(tokens)
    point, meter = usage_point(world, tokens), reading(world, tokens)
    point_path = point.partition("/resource")[2]
    serial = meter.rpartition("_")[2]
    real_time = meter.replace("/Subscription", "/RealTime/Subscription").replace("MR_", "RTMR_")
    account = links(xml(world.get(f"/Customer/{subscription}/CustomerAccount", token)), "self")[1]
    agreement = f"{account}/CustomerAgreement/AG{point.rpartition('/')[2]}"
    location = f"{agreement}/ServiceLocation/{account.rpartition('/')[2].replace('CA', 'SL')}"
    summaries = f"{point}/UsageSummary"
    history = {"published-min": "2026-01-01T05:00:00Z", "published-max": "2026-11-01T04:00:00Z"}
    summary = links(xml(world.get(summaries, token, **history)), "self")[1]
    calls = [
        (f"/ApplicationInformation/{world.package['third_party_id']}", registration, {}, 200),
        ("/Authorization", client, {}, 200),
        (tokens["authorizationURI"], client, {}, 200),
        ("/ReadServiceStatus", client, {}, 200),
        (f"/Batch/Bulk/{world.package['bulk_id']}", client, WINDOW, 202),
        (f"/Batch/Bulk/{world.package['customer_bulk_id']}", client, {}, 202),
        (f"/Batch/Subscription/{subscription}", token, WINDOW, 202),
        (f"/Batch{point_path}", token, WINDOW, 202),
        (f"/Batch/RetailCustomer/{subscription}", token, {}, 200),
        (f"{meter}/IntervalBlock", token, WINDOW, 200),
        (f"{meter}/IntervalBlock/IB_{serial}", token, WINDOW, 200),
        ("/LocalTimeParameters", token, {}, 200),
        ("/LocalTimeParameters/1", token, {}, 200),
        (f"{point}/MeterReading", token, {}, 200),
        (meter, token, {}, 200),
        ("/ReadingType", token, {}, 200),
        ("/ReadingType/RT_E900", token, {}, 200),
        (f"/RealTime/Batch/Bulk/{world.package['bulk_id']}", client, {}, 202),
        (f"/RealTime/Batch/Subscription/{subscription}", token, {}, 202),
        (f"/RealTime/Batch{point_path}", token, {}, 202),
        (f"{real_time}/IntervalBlock", token, {}, 200),
        (f"{real_time}/IntervalBlock/RTIB_{serial}", token, {}, 200),
        ("/RealTime/ReadingType", token, {}, 200),
        ("/RealTime/ReadingType/RTRT_E900", token, {}, 200),
        (f"/Customer/{subscription}", token, {}, 200),
        (f"/Customer/{subscription}/CustomerAccount", token, {}, 200),
        (account, token, {}, 200),
        (f"{account}/CustomerAgreement", token, {}, 202),
        (agreement, token, {}, 202),
        (f"{agreement}/ServiceLocation", token, {}, 202),
        (location, token, {}, 202),
        (f"{location}/Meter", token, {}, 202),
        (f"{location}/Meter/{serial}", token, {}, 202),
        (summaries, token, history, 200),
        (f"/Subscription/{subscription}/UsagePoint", token, {}, 200),
        (point, token, {}, 200),
    ]
    seen = {(path, status): world.get(path, value, **query).status_code for path, value, query, status in calls}
    assert {key: status for key, status in seen.items() if status != key[1]} == {}
    assert world.get(summary, token, method="POST").status_code == 200
    assert world.get(summary, token).status_code == 404
    assert (
        len(calls) + 1 == 37
    )  # one path more, the token operation, and one less, bulk being here twice: the 37 of the file


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/Authorization", "access"),
        ("/Authorization", "registration"),
        ("/ReadServiceStatus", "access"),
        ("/Batch/Bulk/1", "access"),
        ("/ApplicationInformation/1", "client"),
        ("/ApplicationInformation/1", "access"),
        ("/Subscription/{s}/UsagePoint", "client"),
        ("/Subscription/{s}/UsagePoint", "registration"),
        ("/Batch/Subscription/{s}", "client"),
        ("/Customer/{s}", "client"),
    ],
)
def test_the_wrong_class_of_token_is_forbidden(world, path, kind):
    tokens = world.tokens()
    values = {
        "access": tokens["access_token"],
        "client": world.client_token(),
        "registration": world.package["registration_access_token"],
    }
    assert world.get(path.format(s=subscription_of(tokens)), values[kind]).status_code == 403


def test_no_token_and_a_bad_token_get_an_empty_401(world):
    tokens = world.tokens()
    url = f"{world.base}/resource/Subscription/{subscription_of(tokens)}/UsagePoint"
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Basic {tokens['access_token']}"}):
        response = world.api.get(url, headers=headers)
        assert (response.status_code, response.data) == (401, b"")


def test_another_customers_subscription_is_forbidden(world):
    mine, other = world.tokens(), world.tokens(username="solar@example.com")
    assert world.get(f"/Subscription/{subscription_of(mine)}/UsagePoint", other["access_token"]).status_code == 403


def test_granted_blocks_decide_what_can_be_read(world):
    tokens = world.tokens(choice=["10", "15"])
    token, subscription = tokens["access_token"], subscription_of(tokens)
    root = xml(world.get(f"/Subscription/{subscription}/UsagePoint", token))
    assert texts(root, "kind") == ["1"]
    assert world.get(f"/Customer/{subscription}", token).status_code == 403
    query = {"published-min": "2026-01-01T05:00:00Z", "published-max": "2026-11-01T04:00:00Z"}
    bills = xml(world.get(usage_point(world, tokens) + "/UsageSummary", token, **query))
    assert texts(bills, "overallConsumptionLastPeriod")
    assert texts(bills, "billLastPeriod") == []


def test_interval_data_are_decimal_kilowatt_hours_of_a_25_hour_day(world):
    tokens = world.tokens()
    root = xml(world.get(reading(world, tokens) + "/IntervalBlock", tokens["access_token"], **WINDOW))
    assert texts(root, "duration")[0] == "90000"
    expected = meters.readings(world.account().services[0].meter, 1_793_505_600, 1_793_595_600)
    assert texts(root, "value") == [decimal(value, 3) for value in expected]
    assert len(expected) == 100
    assert set(texts(root, "quality")) == {"17"}
    assert len(texts(root, "IntervalBlock")) == 1


def test_units_are_those_of_the_document(world):
    tokens = world.tokens()
    root = xml(world.get("/ReadingType", tokens["access_token"]))
    assert list(zip(texts(root, "uom"), texts(root, "powerOfTenMultiplier"), strict=True)) == [
        ("72", "3"),
        ("119", "0"),
    ]
    solar = world.tokens(username="solar@example.com")
    assert texts(xml(world.get("/ReadingType", solar["access_token"])), "flowDirection") == ["4"]


def test_bills_have_their_own_multiplier(world):
    tokens = world.tokens()
    query = {"published-min": "2026-06-01T04:00:00Z", "published-max": "2026-06-10T04:00:00Z"}
    root = xml(world.get(usage_point(world, tokens) + "/UsageSummary", tokens["access_token"], **query))
    assert set(texts(root, "powerOfTenMultiplier")) == {"0"}
    assert all(int(value) > 100_000 for value in texts(root, "value"))
    assert all(int(value) > 1_000_000 for value in texts(root, "billLastPeriod"))


@pytest.mark.parametrize(
    "query",
    [
        {"published-min": "2026-11-01", "published-max": "2026-11-02"},
        {"publishedMin": "2026-11-01T04:00:00Z"},
        {"published-min": "2026-11-02T05:00:00Z", "published-max": "2026-11-01T04:00:00Z"},
        {"published-min": "2026-11-01T00:00:00-04:00"},
        {"published-min": "2026-13-01T00:00:00Z"},
        {"startIndex": "0"},
        {"startIndex": "two"},
        {"max-results": "1"},
    ],
)
def test_query_parameters_are_those_of_the_swagger_file(world, query):
    tokens = world.tokens()
    assert world.get(reading(world, tokens) + "/IntervalBlock", tokens["access_token"], **query).status_code == 400


def test_camel_case_filters_belong_to_authorization_alone(world):
    world.tokens()
    client = world.client_token()
    late, early = {"publishedMin": "2026-11-22T00:00:00Z"}, {"publishedMin": "2026-11-20T00:00:00Z"}
    assert texts(xml(world.get("/Authorization", client, **late)), "status") == []
    assert texts(xml(world.get("/Authorization", client, **early)), "status") == ["1"]
    assert world.get("/Authorization", client, **WINDOW).status_code == 400
    assert world.get(f"/Batch/Bulk/{world.package['bulk_id']}", client, **early).status_code == 400


def test_bills_need_both_dates(world):
    tokens = world.tokens()
    assert world.get(usage_point(world, tokens) + "/UsageSummary", tokens["access_token"]).status_code == 400


def test_start_index_skips_entries(world):
    tokens = world.tokens()
    path = f"/Subscription/{subscription_of(tokens)}/UsagePoint"
    assert len(texts(xml(world.get(path, tokens["access_token"], startIndex="2")), "UsagePoint")) == 1


def test_without_an_accept_header_for_atom_the_answer_is_json(world):
    tokens = world.tokens()
    url = f"{world.base}/resource/Subscription/{subscription_of(tokens)}/UsagePoint"
    headers = {"Authorization": f"Bearer {tokens['access_token']}", "Accept": "*/*"}
    feed = world.api.get(url, headers=headers).get_json()["Feed"]
    assert [entry["Title"]["Text"] for entry in feed["Entry"]] == ["Usage Point", "Usage Point"]
    assert feed["Entry"][0]["Link"][0]["Rel"] == "self"


def test_the_authorization_feed_tells_active_from_revoked(world):
    first, second = world.tokens(), world.tokens(username="solar@example.com")
    world.fault("revoke", args={"authorization": int(first["authorizationURI"].rpartition("/")[2])})
    client = world.client_token()
    assert texts(xml(world.get("/Authorization", client)), "status") == ["0", "1"]
    assert texts(xml(world.get(second["authorizationURI"], client)), "scope") == [second["scope"]]


def test_application_information_tells_addresses_and_no_secret(world):
    path = f"/ApplicationInformation/{world.package['third_party_id']}"
    response = world.get(path, world.package["registration_access_token"])
    root = xml(response)
    assert texts(root, "redirect_uri") == [REDIRECT]
    assert texts(root, "client_id") == [world.package["client_id"]]
    assert world.package["client_secret"] not in response.text
    assert texts(root, "dataCustodianBulkRequestURI")[0].endswith(f"/Batch/Bulk/{world.package['bulk_id']}")


def test_the_customer_tree_comes_at_once_from_batch_retail_customer(world):
    tokens = world.tokens()
    root = xml(world.get(tokens["customerResourceURI"], tokens["access_token"]))
    assert texts(root, "accountId") == [world.account().number]
    assert texts(root, "serialNumber") == [service.meter.serial for service in world.account().services]
    assert texts(root, "postalCode")[0] == "10003"
    less = world.tokens(choice=["56"])
    smaller = xml(world.get(less["customerResourceURI"], less["access_token"]))
    assert texts(smaller, "serialNumber") == texts(smaller, "postalCode") == []


# batch


def test_a_batch_is_announced_by_its_own_address_and_then_read_there(world):
    tokens = world.tokens()
    token = tokens["access_token"]
    assert world.get(tokens["resourceURI"], token, **WINDOW).status_code == 202
    assert world.get(tokens["resourceURI"], token, **WINDOW).status_code == 400
    (url,) = world.deliver()
    assert ElementTree.fromstring(world.posted[0][1]).tag == "{http://naesb.org/espi}BatchList"
    root = xml(world.get(url, token))
    assert len(texts(root, "IntervalBlock")) == 2
    channels = world.deliveries()[-1]["channels"]
    assert [(one["count"], one["length"]) for one in channels] == [(100, 900), (25, 3600)]
    assert len(texts(root, "timePeriod")) == 125


def test_equal_parameters_in_another_order_or_encoding_are_the_same_request(world):
    tokens = world.tokens()
    world.get(tokens["resourceURI"], tokens["access_token"], **WINDOW)
    world.deliver()
    reversed_query = dict(reversed(WINDOW.items()))
    assert world.get(tokens["resourceURI"], tokens["access_token"], **reversed_query).status_code == 200


def test_after_two_days_the_address_is_a_new_request(world):
    tokens = world.tokens()
    world.get(tokens["resourceURI"], tokens["access_token"], **WINDOW)
    (url,) = world.deliver()
    world.now += 48 * 3600
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "scope": tokens["scope"]}
    token = world.v2_request(form).get_json()["access_token"]
    assert world.get(url, token).status_code == 202


def test_a_notification_that_fails_makes_the_request_start_anew(world):
    tokens = world.tokens()
    world.notify_status = 500
    world.get(tokens["resourceURI"], tokens["access_token"])
    (url,) = world.deliver()
    assert world.get(url, tokens["access_token"]).status_code == 202


def test_a_customer_resource_that_answers_202_can_be_read_after_its_notification(world):
    tokens = world.tokens()
    token = tokens["access_token"]
    account = links(xml(world.get(f"/Customer/{subscription_of(tokens)}/CustomerAccount", token)), "self")[1]
    assert world.get(f"{account}/CustomerAgreement", token).status_code == 202
    (url,) = world.deliver()
    assert len(texts(xml(world.get(url, token)), "CustomerAgreement")) == 2


def test_bulk_needs_the_client_token_and_keeps_usage_and_customers_apart(world):
    world.tokens(), world.tokens(username="solar@example.com")
    client = world.client_token()
    assert world.get("/Batch/Bulk/123", client).status_code == 404
    for name, tag in (("bulk_id", "UsagePoint"), ("customer_bulk_id", "CustomerAccount")):
        query = WINDOW if name == "bulk_id" else {}
        assert world.get(f"/Batch/Bulk/{world.package[name]}", client, **query).status_code == 202
        (url,) = world.deliver()
        assert len(texts(xml(world.get(url, client)), tag)) == (3 if tag == "UsagePoint" else 2)


def test_a_bulk_answer_above_200_megabytes_is_announced_one_by_one(world):
    for number in range(1, 11):
        world.tokens(username=f"load{number}@example.com")
    client = world.client_token()
    assert world.get(f"/Batch/Bulk/{world.package['bulk_id']}", client).status_code == 202
    urls = world.deliver()
    assert len(urls) == 10
    assert all("/Batch/Subscription/" in url for url in urls)
    assert len(texts(xml(world.get(urls[3], client)), "UsagePoint")) == 2


def test_five_minute_data_of_a_business_and_nothing_for_a_newcomer(world):
    business = world.tokens(username="business@example.com")
    root = xml(world.get(reading(world, business) + "/IntervalBlock", business["access_token"], **WINDOW))
    assert len(texts(root, "value")) == 300
    empty = world.tokens(username="empty@example.com")
    world.get(empty["resourceURI"], empty["access_token"])
    (url,) = world.deliver()
    root = xml(world.get(url, empty["access_token"]))
    assert (len(texts(root, "UsagePoint")), texts(root, "IntervalBlock"), texts(root, "UsageSummary")) == (1, [], [])
