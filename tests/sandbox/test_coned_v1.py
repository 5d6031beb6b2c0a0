"""Con Edison's and O&R's contract V1, as the sandbox plays it."""

import base64
from urllib.parse import parse_qs, quote, urlsplit
from xml.etree import ElementTree

import pytest

from tests.sandbox.coned_helpers import (
    ALL_FOUR,
    BILLING,
    CONSUMPTION,
    PATH,
    REAL_TIME,
    REDIRECT,
    RETAIL,
    World,
    announced,
    links,
    query_of,
    subscription_of,
    texts,
    xml,
)
from utilities.sandbox import meters
from utilities.sandbox.coned_data import decimal


@pytest.fixture
def world() -> World:
    return World()


def usage_point(world: World, tokens: dict, index: int = 0) -> str:
    root = xml(world.get(f"/Subscription/{subscription_of(tokens)}/UsagePoint", tokens["access_token"]))
    return links(root, "self")[index]


def reading(world: World, tokens: dict, index: int = 0) -> str:
    return links(xml(world.get(usage_point(world, tokens) + "/MeterReading", tokens["access_token"])), "self")[index]


# hop 1 and 2


def test_a_visitor_signs_in_first_and_comes_back_to_the_authorization(world):
    target = f"{world.web}{PATH}?ThirdPartyId={world.package['third_party_id']}"
    response = world.browser.get(target)
    wanted = parse_qs(urlsplit(response.headers["Location"]).query)["next"][0]
    assert wanted == f"{PATH}?ThirdPartyId={world.package['third_party_id']}"
    world.sign_in()
    page = world.browser.get(target)
    assert page.status_code == 200
    assert "Example Meter Company" in page.text
    assert world.account().number in page.text


@pytest.mark.parametrize("prefix", ["", "/en"])
def test_the_en_prefix_is_optional(world, prefix):
    world.sign_in()
    query = f"?ThirdPartyId={world.package['third_party_id']}"
    assert world.browser.get(f"{world.web}{prefix}{PATH}{query}").status_code == 200


@pytest.mark.parametrize("key", ["client_id", "subscription_key"])
def test_another_id_in_place_of_third_party_id_is_noticed(world, key):
    world.sign_in()
    response = world.browser.get(f"{world.web}{PATH}?ThirdPartyId={world.package[key]}")
    assert response.status_code == 404
    assert "No third party is registered with the ID" in response.text


def test_a_customer_can_start_at_the_utility(world):
    world.sign_in()
    page = world.browser.get(f"{world.web}/", follow_redirects=True)
    assert "Share My Data" in page.text
    assert world.package["third_party_id"] in page.text


def test_hop_two_carries_the_four_parameters(world):
    response = world.leave()
    assert response.headers["Location"].startswith("https://portal.example/espi/1_1/ScopeSelection?")
    assert query_of(response) == {
        "accountid": world.account().number,
        "startdate": "11/21/2026",
        "enddate": "11/20/2027",
        "DataCustodianID": "ConEdison",
    }


def test_both_custodians_say_con_edison(world):
    assert query_of(World(utility="oru").leave())["DataCustodianID"] == "ConEdison"


@pytest.mark.parametrize(
    "change",
    [
        {"account": "999"},
        {"start": ""},
        {"start": "2026-12-24"},
        {"end": "2026-11-21"},
        {"end": "soon"},
        {"terms": []},
    ],
)
def test_an_incomplete_form_stays_at_the_utility(world, change):
    response = world.leave(**change)
    assert response.status_code == 400
    assert 'role="alert"' in response.text


def test_cancelling_ends_with_an_error_at_the_redirect_uri(world):
    response = world.leave(decision="cancel")
    assert response.headers["Location"] == f"{REDIRECT}?error=access_denied"


def test_a_registration_for_another_environment_is_not_on_the_list(world):
    package = world.register("cecony", "v1", "test")
    world.sign_in()
    query = f"{PATH}?ThirdPartyId={package['third_party_id']}"
    assert world.browser.get(f"/www.coned.com{query}").status_code == 404
    assert world.browser.get(f"/uat10-core.coned.com{query}").status_code == 200


# hop 3 and 4


def test_hop_four_carries_the_code_and_the_state_when_there_was_one(world):
    world.leave()
    assert set(query_of(world.back())) == {"code"}
    world.leave()
    answer = query_of(world.back(state="abc", redirectUri=REDIRECT, response_type="code", startDate="11/21/2026"))
    assert answer["state"] == "abc"


@pytest.mark.parametrize(
    "scope",
    [CONSUMPTION, BILLING, REAL_TIME, RETAIL, ALL_FOUR, f"{RETAIL}|{CONSUMPTION}"],
)
def test_one_to_four_strings_of_the_closed_list_are_taken(world, scope):
    world.leave()
    assert "code" in query_of(world.back(scope))


@pytest.mark.parametrize(
    "scope",
    [
        "",
        CONSUMPTION.rstrip(";"),
        CONSUMPTION.replace("IntervalDuration=", "IntervalDuration= "),
        f"{CONSUMPTION}|{CONSUMPTION}",
        f"{CONSUMPTION} {RETAIL}",
        f"{CONSUMPTION}|",
        f"{CONSUMPTION}|FB=1_3_4_5;",
        CONSUMPTION.replace("63113904", "63072000"),
        CONSUMPTION.lower(),
        quote(f"{CONSUMPTION}|{RETAIL}"),
    ],
)
def test_any_other_scope_fails_without_a_redirect(world, scope):
    world.leave()
    response = world.back(scope)
    assert response.status_code == 400
    assert "authorization process failed" in response.text
    assert world.sandbox.store.find("codes") == []


def test_the_vector_of_the_document_is_taken_and_bare_semicolons_cut_a_scope(world):
    vector = (
        "FB%3D1_3_4_5_7_10_13_14_18_32_33_35_37_38_41_44%3BIntervalDuration%3DMonthly_3600_900_300"
        "%3BBlockDuration%3DMonthly_Daily%3BHistoryLength%3D63113904%3B%7CFB%3D1_3_13_14_46_47%3B"
    )
    base = f"{world.web}{PATH}/redirect?client_id={world.package['client_id']}&scope="
    for raw, status in ((vector, 302), (vector.replace("%", "%25"), 400), (f"{CONSUMPTION}%7C{RETAIL}", 400)):
        world.leave()
        assert world.browser.get(base + raw).status_code == status


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "somebody"},
        {"redirectUri": REDIRECT + "/"},
        {"redirectUri": "https://attacker.example/"},
        {"accountNumber": "123"},
        {"startDate": "2026-11-21"},
        {"endDate": "11/21/2027"},
        {"response_type": "token"},
    ],
)
def test_a_parameter_that_is_not_expected_shows_the_utilitys_error_page(world, change):
    world.leave()
    response = world.back(**change)
    assert response.status_code == 400
    assert "Location" not in response.headers


def test_coming_back_without_having_left_is_refused(world):
    world.sign_in()
    assert world.back().status_code == 400
    world.leave()
    assert world.back().status_code == 302
    assert world.back().status_code == 400


def test_a_customer_of_v2_cannot_use_this_page(world):
    package = world.register("cecony", "v2")
    world.leave(third_party=package["third_party_id"])
    assert world.back(client_id=package["client_id"]).status_code == 400


def test_faults_of_the_redirect(world):
    world.fault("no_state_echo")
    world.leave()
    assert set(query_of(world.back(state="s"))) == {"code"}
    world.leave()
    world.fault("decline")
    assert query_of(world.back(state="s")) == {"error": "access_denied", "state": "s"}


# token endpoint


def test_the_token_response_has_the_documented_keys(world):
    tokens = world.tokens(f"{RETAIL}|{CONSUMPTION}")
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 3600
    assert tokens["scope"] == f"{CONSUMPTION} {RETAIL}"
    assert len(tokens["access_token"]) > 1000
    assert len(tokens["refresh_token"]) == 43
    assert base64.b64decode(tokens["accountNumber"]).decode() == world.account().number
    assert "/gbc/v1/resource/Batch/Subscription/" in tokens["resourceURI"]
    assert "/gbc/v1/resource/Authorization/" in tokens["authorizationURI"]


@pytest.mark.parametrize(
    "change",
    [
        {"authCode": None, "code": "x"},
        {"authCode": None, "AuthCode": "x"},
        {"redirectUri": None, "redirect_uri": REDIRECT},
        {"redirectUri": REDIRECT + "?x=1"},
        {"grantType": None, "grant_type": "authorization_code"},
        {"grantType": "Authorization_Code"},
        {"authCode": 5},
    ],
)
def test_other_field_names_and_values_are_refused_and_leave_the_code_unused(world, change):
    code = world.v1_code()
    assert world.v1_exchange(code, **change).status_code == 400
    assert world.v1_exchange(code).status_code == 200


def test_a_form_in_place_of_json_is_refused(world):
    form = {"grantType": "client_credentials", "scope": "FB=3_35_47", "clientId": world.package["client_id"]}
    headers = {"ocp-apim-subscription-key": world.package["subscription_key"]}
    url = f"{world.base}/oauth/v1/Token"
    assert world.api.post(url, data=form, headers=headers).status_code == 400
    assert world.api.post(url, data="{", content_type="application/json", headers=headers).status_code == 400
    assert world.api.get(url, headers=headers).status_code == 404


def test_the_subscription_key_is_required_and_is_the_third_partys_own(world):
    body = {"grantType": "client_credentials", "scope": "FB=3_35_47"}
    missing = world.v1_request(body, key=None)
    assert missing.status_code == 401
    assert "missing subscription key" in missing.get_json()["message"]
    other = world.register("oru", "v1")["subscription_key"]
    for key in (other, "0" * 32, world.package["client_id"]):
        assert world.v1_request(body, key=key).status_code == 401
    assert world.v1_request(body).status_code == 200


@pytest.mark.parametrize("name", ["clientId", "clientSecret"])
def test_wrong_client_credentials_are_refused(world, name):
    assert world.v1_request({"grantType": "client_credentials", "scope": "FB=3_35_47", name: "x"}).status_code == 401


@pytest.mark.parametrize(
    ("field", "scope"), [("scope", "FB=3_35_47"), ("Scope", "FB=3_35_47"), ("scope", " FB=3_35_47")]
)
def test_the_client_credentials_scope_in_the_forms_seen(world, field, scope):
    answer = world.v1_request({"grantType": "client_credentials", field: scope})
    assert answer.status_code == 200
    assert "refresh_token" not in answer.get_json()


def test_another_client_credentials_scope_is_refused(world):
    assert world.v1_request({"grantType": "client_credentials", "scope": "FB=34_35"}).status_code == 400


def test_a_code_is_good_once_and_for_a_minute(world):
    code = world.v1_code()
    assert world.v1_exchange(code).status_code == 200
    assert world.v1_exchange(code).status_code == 400
    late = world.v1_code()
    world.now += 60
    assert world.v1_exchange(late).status_code == 400


def test_a_code_belongs_to_the_third_party_it_was_made_for(world):
    other = World(utility="oru")
    assert other.v1_exchange(world.v1_code()).status_code == 400


def test_credentials_of_the_test_environment_are_good_there_only(world):
    world.package = world.register("cecony", "v1", "test")
    body = {"grantType": "client_credentials", "scope": "FB=3_35_47"}
    assert world.v1_request(body, host="apit.coned.com").status_code == 200
    assert world.v1_request(body, host="api.coned.com").status_code == 401


@pytest.mark.parametrize("kind", [str, int])
def test_a_refresh_needs_the_subscription_id_as_text_or_number(world, kind):
    tokens = world.tokens()
    body = {"grantType": "refresh_token", "refreshToken": tokens["refresh_token"]}
    assert world.v1_request(body).status_code == 400
    assert world.v1_request(body | {"subscriptionId": "1"}).status_code == 400
    answer = world.v1_request(body | {"subscriptionId": kind(subscription_of(tokens))})
    assert answer.status_code == 200
    assert answer.get_json()["access_token"] != tokens["access_token"]


def test_scope_faults_change_what_is_granted(world):
    world.fault("narrower_scope")
    assert world.tokens(f"{CONSUMPTION}|{RETAIL}")["scope"] == CONSUMPTION
    world.fault("wider_scope")
    assert world.tokens(CONSUMPTION)["scope"].count("FB=") == 4


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("token_500", lambda answer: answer.status_code == 500),
        ("token_html", lambda answer: "<html" in answer.text),
        ("token_non_json", lambda answer: answer.get_json(silent=True) is None),
        ("token_xml", lambda answer: "<access_token>" in answer.text),
        ("token_empty", lambda answer: answer.data == b""),
        ("token_missing_access_token", lambda answer: "access_token" not in answer.get_json()),
        ("token_wrong_type", lambda answer: answer.get_json()["access_token"] == 12345),
        ("token_expires_text", lambda answer: answer.get_json()["expires_in"] == "soon"),
        ("token_expires_string", lambda answer: answer.get_json()["expires_in"] == "3600"),
        ("token_account_number_key", lambda answer: "AccountNumber" in answer.get_json()),
        ("token_expires_negative", lambda answer: answer.get_json()["expires_in"] == -1),
        ("token_huge", lambda answer: len(answer.data) > 5_000_000),
        ("token_error_200", lambda answer: answer.get_json()["error"] == "server_error"),
        ("token_foreign_resource_uri", lambda answer: "attacker" in answer.get_json()["resourceURI"]),
        ("no_refresh_token", lambda answer: "refresh_token" not in answer.get_json()),
        ("expired_code", lambda answer: answer.status_code == 400),
    ],
)
def test_token_faults(world, name, check):
    world.fault(name)
    assert check(world.v1_exchange(world.v1_code()))
    assert world.v1_exchange(world.v1_code()).get_json()["access_token"]


# resources


def test_resources_need_key_and_token(world):
    tokens = world.tokens()
    url = f"{world.base}/resource/Subscription/{subscription_of(tokens)}/UsagePoint"
    bearer, key = f"Bearer {tokens['access_token']}", world.package["subscription_key"]
    assert world.api.get(url, headers={"Authorization": bearer}).status_code == 401
    no_token = world.api.get(url, headers={"ocp-apim-subscription-key": key})
    assert (no_token.status_code, no_token.data) == (401, b"")
    assert world.get(url.partition("/resource")[2], "wrong").status_code == 401
    assert world.get(url.partition("/resource")[2], tokens["refresh_token"]).status_code == 401
    assert world.get(url.partition("/resource")[2], tokens["access_token"]).status_code == 200


def test_the_client_token_and_other_subscriptions_are_kept_out(world):
    mine, other = world.tokens(), world.tokens(username="solar@example.com")
    path = f"/Subscription/{subscription_of(mine)}/UsagePoint"
    assert world.get(path, world.client_token()).status_code == 403
    assert world.get(path, other["access_token"]).status_code == 403


def test_an_access_token_ends_after_an_hour_and_with_the_authorization(world):
    tokens = world.tokens()
    path = f"/Subscription/{subscription_of(tokens)}/UsagePoint"
    world.now += 3600
    assert world.get(path, tokens["access_token"]).status_code == 401
    fresh = world.tokens()
    world.fault("revoke")
    assert world.get(f"/Subscription/{subscription_of(fresh)}/UsagePoint", fresh["access_token"]).status_code == 401
    world.fault("expire_token")
    assert world.get(path, tokens["access_token"]).status_code == 401


def test_forty_five_days_without_use_end_an_authorization(world):
    tokens = world.tokens()
    body = {
        "grantType": "refresh_token",
        "refreshToken": tokens["refresh_token"],
        "subscriptionId": subscription_of(tokens),
    }
    world.now += 44 * 86400
    assert world.v1_request(body).status_code == 200
    world.now += 45 * 86400
    assert world.v1_request(body).status_code == 400


def test_the_customer_can_stop_sharing_at_the_utility(world):
    tokens = world.tokens()
    number = tokens["authorizationURI"].rpartition("/")[2]
    world.browser.post(f"{world.web}{PATH.rpartition('/')[0]}/stop", data={"authorization": number})
    assert world.get(f"/Customer/{subscription_of(tokens)}", tokens["access_token"]).status_code == 401


def test_usage_points_are_spelled_as_the_platform_spells_them(world):
    tokens = world.tokens()
    root = xml(world.get(f"/Subscription/{subscription_of(tokens)}/UsagePoint", tokens["access_token"]))
    assert len(texts(root, "usagePoint")) == 2
    assert texts(root, "kind") == ["0", "1"]
    assert links(root, "self")[0].rpartition("/")[2].isdigit()


def test_interval_blocks_mix_reactive_energy_first_and_decimal_kilowatt_hours(world):
    tokens = world.tokens()
    address = reading(world, tokens) + "/IntervalBlock"
    root = xml(world.get(address, tokens["access_token"], publishedMin="2026-10-31", publishedMax="2026-11-01"))
    assert ["KVARH" in href for href in links(root, "self")] == [True, False]
    assert "%20" in links(root, "self")[0]
    assert texts(root, "duration").count("86400") == 2
    assert texts(root, "duration").count("90000") == 2
    service = world.account().services[0]
    start = meters.local_midnight(meters.local_day(1_793_480_000, "America/New_York"), "America/New_York")
    expected = meters.readings(service.meter, start, start + 86400 + 90000)
    assert texts(root, "value")[196:] == [decimal(value, 3) for value in expected]
    assert texts(root, "intervalReading") and not texts(root, "IntervalReading")


def test_a_named_interval_block_is_that_one_alone(world):
    tokens = world.tokens()
    related = links(xml(world.get(usage_point(world, tokens) + "/MeterReading", tokens["access_token"])), "related")
    wanted = next(href for href in related if "_KWH" in href)
    root = xml(world.get(wanted, tokens["access_token"], publishedMin="2026-11-10", publishedMax="2026-11-10"))
    assert links(root, "self") == [wanted]
    assert len(texts(root, "value")) == 96


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"publishedMin": "2026-10-01", "publishedMax": "2026-11-15"},
        {"publishedMin": "2026-11-02", "publishedMax": "2026-11-01"},
        {"publishedMin": "11/01/2026", "publishedMax": "11/02/2026"},
        {"publishedMin": "2026-11-01T00:00:00Z", "publishedMax": "2026-11-02T00:00:00Z"},
        {"published-min": "2026-11-01", "published-max": "2026-11-02"},
    ],
)
def test_a_window_that_is_malformed_or_longer_than_three_weeks_fails(world, query):
    tokens = world.tokens()
    assert world.get(reading(world, tokens) + "/IntervalBlock", tokens["access_token"], **query).status_code == 400


def test_scopes_open_what_they_name_and_nothing_else(world):
    tokens = world.tokens(RETAIL)
    subscription, token = subscription_of(tokens), tokens["access_token"]
    root = xml(world.get(f"/Customer/{subscription}", token))
    assert texts(root, "accountNumber") == [world.account().number] * 2
    assert texts(root, "postalCode")[0] == "10003"
    assert world.get(f"/Subscription/{subscription}/UsagePoint", token).status_code == 403
    usage = world.tokens(CONSUMPTION)
    token = usage["access_token"]
    assert world.get(f"/Customer/{subscription_of(usage)}", token).status_code == 403
    assert world.get(usage_point(world, usage) + "/ElectricPowerUsageSummary", token).status_code == 403


def test_bills_have_a_date_for_an_end_and_plain_amounts(world):
    tokens = world.tokens(BILLING)
    address = usage_point(world, tokens) + "/ElectricPowerUsageSummary"
    root = xml(world.get(address, tokens["access_token"]))
    assert len(texts(root, "UsageSummary")) >= 22
    assert all(text.endswith("T00:00:00") for text in texts(root, "billToDate"))
    one = xml(world.get(links(root, "self")[0], tokens["access_token"]))
    assert texts(one, "electricBilledAmount") == texts(root, "electricBilledAmount")[:1]


def test_real_time_data_are_the_last_day_45_minutes_behind(world):
    tokens = world.tokens(f"{CONSUMPTION}|{REAL_TIME}")
    address = "/RealTime" + reading(world, tokens).partition("/resource")[2] + "/IntervalBlock"
    root = xml(world.get(address, tokens["access_token"]))
    starts = sorted({int(text) for text in texts(root, "start")})
    assert starts[0] >= world.now - 86400 - 2700
    assert starts[-1] + 900 <= world.now - 2700
    assert len(texts(root, "intervalReading")) == 2 * 96
    assert all("/RealTime/Subscription/" in href for href in links(root, "self"))
    assert world.get(address, world.tokens(CONSUMPTION)["access_token"]).status_code == 403


def test_hourly_meters_have_no_real_time_data(world):
    tokens = world.tokens(f"{CONSUMPTION}|{REAL_TIME}", username="hourly@example.com")
    address = "/RealTime" + reading(world, tokens).partition("/resource")[2] + "/IntervalBlock"
    assert links(xml(world.get(address, tokens["access_token"])), "self") == []


def test_a_customer_without_data_has_a_usage_point_and_nothing_below(world):
    tokens = world.tokens(username="empty@example.com")
    address = usage_point(world, tokens)
    assert links(xml(world.get(address + "/MeterReading", tokens["access_token"])), "self") == []
    assert links(xml(world.get(address + "/ElectricPowerUsageSummary", tokens["access_token"])), "self") == []


def test_a_swapped_meter_gives_two_meter_readings_of_one_usage_point(world):
    tokens = world.tokens(username="swapped@example.com")
    first, second = (reading(world, tokens, index) for index in (0, 1))
    assert first.rpartition("/")[0] == second.rpartition("/")[0]
    assert first != second


def test_solar_values_are_net_and_can_be_negative(world):
    tokens = world.tokens(username="solar@example.com")
    root = xml(
        world.get(
            reading(world, tokens) + "/IntervalBlock",
            tokens["access_token"],
            publishedMin="2026-06-01",
            publishedMax="2026-06-07",
        )
    )
    assert any(text.startswith("-0.") for text in texts(root, "value"))


def test_an_authorization_record_is_open_to_its_own_token_and_the_clients(world):
    mine, other = world.tokens(), world.tokens(username="solar@example.com")
    address = mine["authorizationURI"]
    assert texts(xml(world.get(address, mine["access_token"])), "status") == ["1"]
    assert world.get(address, world.client_token()).status_code == 200
    assert world.get(address, other["access_token"]).status_code == 403
    assert world.get("/Authorization/999", world.client_token()).status_code == 404


# batch


def test_a_batch_is_accepted_announced_and_downloaded(world):
    tokens = world.tokens()
    assert world.get(tokens["resourceURI"], tokens["access_token"]).status_code == 202
    assert world.posted == []
    urls = world.deliver()
    assert len(urls) == 2
    assert b"\n    http" in world.posted[0][1]
    assert b"&amp;responseId=" in world.posted[0][1]
    files = [world.get(url, tokens["access_token"]) for url in urls]
    assert all(one.status_code == 200 and len(one.data) <= 25_000_000 for one in files)
    assert {title.text for title in xml(files[1]).iter("{http://www.w3.org/2005/Atom}title")} == {"Interval Block Data"}
    delivered = [channel for row in world.deliveries() for channel in row["channels"]]
    start, end = (meters.local_midnight(meters.local_day(at, "America/New_York"), "America/New_York") for at in (
        world.now - 730 * 86400, world.now
    ))  # fmt: skip
    net = [channel for channel in delivered if channel["quantity"] == "net"]
    assert sum(channel["sum"] for channel in net) == sum(meters.readings(world.account().services[0].meter, start, end))
    found = sum(len(texts(xml(one), "value")) for one in files)
    assert found == sum(channel["count"] for channel in delivered)


def test_a_second_request_while_one_is_pending_is_rejected(world):
    tokens = world.tokens()
    assert world.get(tokens["resourceURI"], tokens["access_token"]).status_code == 202
    assert world.get(tokens["resourceURI"], tokens["access_token"]).status_code == 400
    world.deliver()
    assert world.get(tokens["resourceURI"], tokens["access_token"]).status_code == 202


def test_a_download_needs_the_kind_of_token_that_asked(world):
    mine, other = world.tokens(), world.tokens(username="solar@example.com")
    world.get(mine["resourceURI"], mine["access_token"])
    url = world.deliver()[0]
    assert world.get(url, world.client_token()).status_code == 403
    assert world.get(url, other["access_token"]).status_code == 403
    assert world.get(url, mine["access_token"]).status_code == 200


def test_files_are_kept_48_hours(world):
    tokens = world.tokens()
    world.get(tokens["resourceURI"], tokens["access_token"])
    url = world.deliver()[0]
    world.now += 48 * 3600
    body = {
        "grantType": "refresh_token",
        "refreshToken": tokens["refresh_token"],
        "subscriptionId": subscription_of(tokens),
    }
    token = world.v1_request(body).get_json()["access_token"]
    assert world.get(url, token).status_code == 404


@pytest.mark.parametrize("status", [0, 500, 302])
def test_data_are_deleted_when_the_notification_is_not_answered_with_200(world, status):
    tokens = world.tokens()
    world.notify_status = status
    world.get(tokens["resourceURI"], tokens["access_token"])
    url = world.deliver()[0]
    assert world.get(url, tokens["access_token"]).status_code == 404
    assert world.api.get("/_sandbox/notifications").get_json()[-1]["status"] == status


def test_a_bulk_request_names_the_subscription_of_each_file(world):
    one, two = world.tokens(CONSUMPTION), world.tokens(ALL_FOUR, username="hourly@example.com")
    token = world.client_token()
    assert world.get(f"/Batch/Bulk/{world.package['bulk_id']}", one["access_token"]).status_code == 403
    query = {"publishedMin": "2026-11-01", "publishedMax": "2026-11-07"}
    assert world.get(f"/Batch/Bulk/{world.package['bulk_id']}", token, **query).status_code == 202
    urls = world.deliver()
    subscriptions = [parse_qs(urlsplit(url).query)["subscriptionId"][0] for url in urls]
    assert subscriptions == [subscription_of(one), subscription_of(two)]
    last = xml(world.get(urls[1], token))
    assert texts(last, "accountNumber") == [world.account("hourly@example.com").number]
    assert len(texts(last, "intervalReading")) == 2 * (7 * 24 + 1)


@pytest.mark.parametrize(
    ("shape", "tag"),
    [("batchlist_lower", "batchList"), ("atom", "feed"), ("standard", "BatchList")],
)
def test_notifications_come_in_the_shapes_integrators_have_met(world, shape, tag):
    tokens = world.tokens()
    world.fault("notification_shape", args={"shape": shape})
    world.get(tokens["resourceURI"], tokens["access_token"])
    urls = world.deliver()
    assert ElementTree.fromstring(world.posted[0][1]).tag.rpartition("}")[2] == tag
    assert len(urls) == 2


def test_notification_faults(world):
    tokens = world.tokens()
    world.fault("raw_ampersand")
    world.get(tokens["resourceURI"], tokens["access_token"])
    world.now += 5
    world.api.post("/_sandbox/deliver")
    assert b"&responseId=" in world.posted[0][1]
    world.fault("duplicate_notification")
    world.get(tokens["resourceURI"], tokens["access_token"])
    world.deliver()
    assert world.posted[1] == world.posted[2]
    world.fault("early_notification")
    assert world.get(tokens["resourceURI"], tokens["access_token"]).status_code == 202
    assert len(world.posted) == 4
    world.fault("no_notification")
    assert world.get(tokens["resourceURI"], tokens["access_token"]).status_code == 202
    world.deliver()
    assert len(world.posted) == 4
    assert len(announced(world.posted[3][1])) == 2


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("resource_401", 401),
        ("resource_403", 403),
        ("resource_404", 404),
        ("resource_429", 429),
        ("resource_500", 500),
        ("resource_html", 200),
        ("resource_empty", 200),
        ("not_ready_202", 202),
    ],
)
def test_resource_faults(world, name, status):
    tokens = world.tokens()
    path = f"/Subscription/{subscription_of(tokens)}/UsagePoint"
    world.fault(name)
    response = world.get(path, tokens["access_token"])
    assert response.status_code == status
    assert b"usagePoint" not in response.data
    assert world.api.get("/_sandbox/ledger?kind=api").get_json()[-1]["fault"] == name
    assert b"usagePoint" in world.get(path, tokens["access_token"]).data


def test_a_truncated_document_is_not_well_formed(world):
    tokens = world.tokens()
    world.fault("resource_truncated")
    response = world.get(f"/Subscription/{subscription_of(tokens)}/UsagePoint", tokens["access_token"])
    with pytest.raises(ElementTree.ParseError):
        ElementTree.fromstring(response.data)


def test_oru_and_cecony_credentials_do_not_mix(world):
    tokens = world.tokens()
    oru = world.register("oru", "v1")
    headers = {
        "Authorization": f"Bearer {tokens['access_token']}",
        "ocp-apim-subscription-key": oru["subscription_key"],
    }
    url = f"{world.base}/resource/Subscription/{subscription_of(tokens)}/UsagePoint"
    assert world.api.get(url, headers=headers).status_code == 401


def test_an_unknown_path_gets_the_gateways_answer(world):
    response = world.api.get("/api.coned.com/gbc/v1/resource/Nothing")
    assert response.status_code == 404
    assert response.get_json() == {"statusCode": 404, "message": "Resource not found"}
    assert world.api.get("/www.coned.com/gbc/v1/resource/Nothing").mimetype == "text/html"
