"""The platform's tokens, Green Button API, notifications, webhooks and JSON API."""

import hashlib
import json
from datetime import UTC, datetime

import pytest

from tests.sandbox.answers import NS, selves, texts, xml
from tests.sandbox.utilityapi_helpers import ESPI, NOW, PORTAL, World, back, resources
from utilities.sandbox import utilityapi_events


@pytest.fixture
def world():
    return World()


def blocks(feed):
    return [
        (int(one.find("e:interval/e:start", NS).text), int(one.find("e:interval/e:duration", NS).text))
        for one in feed.iter("{http://naesb.org/espi}IntervalBlock")
    ]


# Tokens


def test_the_token_response_has_resource_addresses_without_batch(world):
    tokens = world.connect()
    uid = tokens["authorizationURI"].rpartition("/")[2]
    assert tokens["resourceURI"] == f"{ESPI}/Subscription/{uid}"
    assert tokens["customerResourceURI"] == f"{ESPI}/RetailCustomer/{uid}"
    assert len(tokens["access_token"]) == len(tokens["refresh_token"]) == 64
    assert tokens["scope"] == (
        "FB=1_3_4_5_13_14_16_18_19_35_39_51;IntervalDuration=3600;BlockDuration=daily;HistoryLength=63072000;"
        "SubscriptionFrequency=billingPeriod;AccountCollection=1"
    )


def test_fields_come_urlencoded_or_multipart_and_nothing_else(world):
    def post(**how):
        return world.app.test_client().post(f"{PORTAL}/oauth/token", headers=world.basic(), **how)

    fields = {"grant_type": "client_credentials"}
    assert post(data=fields).status_code == 200
    assert post(data=fields, content_type="multipart/form-data").status_code == 200
    assert post(json=fields).json["error"] == "invalid_request"
    assert post(query_string=fields).json["error"] == "invalid_request"
    assert post(data={"grant_type": "password"}).json["error"] == "unsupported_grant_type"
    assert world.app.test_client().get(f"{PORTAL}/oauth/token").status_code == 405


def test_a_wrong_secret_is_401_invalid_client(world):
    data = {"grant_type": "client_credentials"}
    for headers in (world.basic("wrong"), {}):
        answer = world.app.test_client().post(f"{PORTAL}/oauth/token", data=data, headers=headers)
        assert (answer.status_code, answer.json["error"]) == (401, "invalid_client")


def test_a_code_works_once_for_ten_minutes_and_its_own_redirect(world):
    code = back(world.authorize())["code"]
    assert world.exchange(code, redirect_uri="https://portal.example/other").json["error"] == "invalid_grant"
    assert world.exchange(code).status_code == 200
    assert world.exchange(code).json["error"] == "invalid_grant"
    late = back(world.authorize())["code"]
    world.now += 601
    assert world.exchange(late).status_code == 400


def test_refresh_tokens_rotate_stay_or_are_left_out_as_the_settings_say(world):
    first = world.connect()
    second = world.token(grant_type="refresh_token", refresh_token=first["refresh_token"]).json
    assert second["refresh_token"] != first["refresh_token"]
    assert (
        world.token(grant_type="refresh_token", refresh_token=first["refresh_token"]).json["error"] == "invalid_grant"
    )
    world.settings(action="behaviour", rotation="same", renewal="same")
    third = world.token(grant_type="refresh_token", refresh_token=second["refresh_token"]).json
    assert third["refresh_token"] == second["refresh_token"]
    world.settings(action="behaviour", rotation="omit", renewal="same")
    fourth = world.token(grant_type="refresh_token", refresh_token=third["refresh_token"]).json
    assert "refresh_token" not in fourth
    assert world.token(grant_type="refresh_token", refresh_token=third["refresh_token"]).status_code == 200


def test_an_access_token_lives_an_hour_and_an_authorization_until_its_end(world):
    tokens = world.connect()
    world.now += 3601
    assert world.get(tokens["resourceURI"] + "/UsagePoint", tokens["access_token"]).status_code == 401
    world.now = datetime(2027, 6, 3, tzinfo=UTC).timestamp()
    assert (
        world.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"]).json["error"] == "invalid_grant"
    )
    entry = xml(world.get(tokens["authorizationURI"], world.client_token()))
    assert texts(entry, "status") == ["0"]


def test_the_client_credentials_answer_points_to_a_bulk_feed_and_has_no_refresh_token(world):
    answer = world.token(grant_type="client_credentials").json
    assert answer["resourceURI"].startswith(f"{ESPI}/Bulk/b-")
    assert answer["scope"] == "FB=1_3_14_32"
    assert "refresh_token" not in answer
    assert xml(world.get(answer["resourceURI"], answer["access_token"])).tag.endswith("}feed")


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("narrower_scope", lambda answer: "_16_" not in answer["scope"] and "_51" not in answer["scope"]),
        ("wider_scope", lambda answer: "_99;" in answer["scope"]),
        ("no_refresh_token", lambda answer: "refresh_token" not in answer),
        ("token_foreign_resource_uri", lambda answer: answer["resourceURI"].startswith("https://attacker.example")),
    ],
)
def test_oddities_of_token_answers_can_be_asked_for(world, fault, check):
    world.fault(fault)
    assert check(world.connect())


# Green Button API


def test_classes_of_tokens_are_enforced_with_403_and_dead_ones_with_401(world):
    tokens, client = world.connect(), world.client_token()
    registration, access = world.welcome["registration_access_token"], tokens["access_token"]
    record = f"ApplicationInformation/{world.welcome['app_uid']}"
    for path, good in (
        ("Authorization", client),
        (record, registration),
        (tokens["resourceURI"] + "/UsagePoint", access),
    ):
        assert world.get(path, good).status_code == 200
        for token in {client, registration, access} - {good}:
            wrong = world.get(path, token)
            assert (wrong.status_code, set(wrong.json)) == (403, {"error", "error_description", "url"})
        assert world.get(path, "dead").status_code == 401
    for token in (client, registration, access, world.welcome["api_token"]):
        assert world.get("ReadServiceStatus", token).status_code == 200


def test_what_is_not_visible_or_does_not_exist_is_404(world):
    home, shop = world.connect(), world.connect(who={"action": "test", "scenario": "test_commercial"})
    assert world.get(home["resourceURI"] + "/UsagePoint", shop["access_token"]).status_code == 404
    assert world.get("Batch/Bulk/b-1", world.client_token()).status_code == 404
    assert world.get("Bulk/b-nothing", world.client_token()).status_code == 404
    assert world.get("Nothing", world.client_token()).json["error"] == "not_found"
    assert world.get(home["resourceURI"] + "/UsagePoint/1", home["access_token"]).status_code == 404


def test_a_whole_batch_is_202_first_and_another_address_is_another_build(world):
    tokens = world.connect()
    url = tokens["resourceURI"].replace("/resource/", "/resource/Batch/")
    first = world.get(url, tokens["access_token"])
    assert (first.status_code, first.data, first.headers["Retry-After"]) == (202, b"", "1")
    assert world.get(url, tokens["access_token"]).status_code == 200
    assert world.get(url, tokens["access_token"], **{"published-max": "2026-11-01T00:00:00Z"}).status_code == 202
    assert world.get(url, tokens["access_token"], **{"updated-min": "2026-11-01T00:00:00Z"}).status_code == 200
    world.fault("not_ready_202", count=2)
    answers = [world.get(url, tokens["access_token"]).status_code for _turn in range(3)]
    assert answers == [202, 202, 200]


@pytest.mark.parametrize("value", ["2026-11-01", "1795262400", "2026-11-01T00:00:00", ""])
def test_a_malformed_window_is_invalid_param(world, value):
    tokens = world.connect()
    url = tokens["resourceURI"].replace("/resource/", "/resource/Batch/")
    answer = world.get(url, tokens["access_token"], **{"published-min": value})
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_param")


def test_blocks_are_utc_days_each_with_a_meter_reading_and_a_reading_type_of_its_own(world):
    tokens = world.connect()
    feed = world.batch(tokens, **{"published-min": "2026-10-30T00:00:00Z", "published-max": "2026-11-03T00:00:00Z"})
    days = blocks(feed)
    assert [start % 86400 for start, _duration in days] == [0, 0, 0, 0]
    assert {duration for _start, duration in days} == {86400}
    names = [href for href in selves(feed) if "/MeterReading/" in href and "IntervalBlock" not in href]
    assert len(names) == len(set(names)) == 4
    start = days[0][0]
    assert names[0].rpartition("/")[2].endswith(f"-{start + 86400}-{start}_kwh_1")
    assert len([href for href in selves(feed) if "/ReadingType/" in href]) == 4
    assert texts(feed, "uom")[0] == "72"
    assert texts(feed, "powerOfTenMultiplier")[0] == "-3"


def test_the_dialect_is_the_platforms(world):
    tokens = world.connect()
    url = tokens["resourceURI"].replace("/resource/", "/resource/Batch/")
    window = {"published-min": "2026-11-01T00:00:00Z", "published-max": "2026-11-02T00:00:00Z"}
    text = world.get(url, tokens["access_token"], **window).text
    assert '<content type="atom+xml">' in text
    assert "<ServiceDeliveryPoint><tariffProfile>" in text
    assert "https://cert.greenbuttonalliance.org/certificate/" in text
    assert 'rel="related" href="' in text
    assert "urn:uuid:" in text
    again = world.get(url, tokens["access_token"], **window).text
    ids = [{part.partition("</id>")[0] for part in one.split("<id>")[1:]} for one in (text, again)]
    assert ids[0] == ids[1], "the same resource has the same id in every answer"
    assert {one[23] for one in ids[0]} == {"5"}, "version 5 uuids"


def test_another_window_gives_the_same_day_another_id(world):
    tokens = world.connect()
    whole = world.batch(tokens, **{"published-min": "2026-11-01T00:00:00Z", "published-max": "2026-11-02T00:00:00Z"})
    part = world.batch(tokens, **{"published-min": "2026-11-01T06:00:00Z", "published-max": "2026-11-02T00:00:00Z"})
    assert not set(selves(whole)[2:]) & set(selves(part)[2:])
    counts = [len(list(one.iter("{http://naesb.org/espi}IntervalReading"))) for one in (whole, part)]
    assert counts == [24, 18]


def test_updated_min_brings_what_was_added_since_and_not_what_it_is_about(world):
    tokens = world.connect()
    updated = world.batch(tokens).find("a:updated", NS).text
    assert updated.endswith("Z")
    world.now += 2 * 86400
    tokens = world.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"]).json
    fresh = world.batch(tokens, **{"updated-min": updated[:19] + "Z"})
    assert [start for start, _duration in blocks(fresh)] != []
    day = 86400
    newest = NOW // day * day
    after = [start for start, _duration in blocks(world.batch(tokens, **{"updated-min": "2026-11-21T12:00:01Z"}))]
    assert after == [newest, newest + day]


def test_every_address_of_a_batch_opens_as_an_entry(world):
    tokens = world.connect()
    feed = world.batch(tokens, **{"published-min": "2026-10-01T00:00:00Z", "published-max": "2026-10-03T00:00:00Z"})
    for href in selves(feed):
        assert xml(world.get(href, tokens["access_token"])).tag.endswith("}entry"), href
    customer = tokens["customerResourceURI"].replace("/resource/", "/resource/Batch/")
    for href in selves(xml(world.get(customer, tokens["access_token"]))):
        assert xml(world.get(href, tokens["access_token"])).tag.endswith("}entry"), href


def test_the_customer_tree_lists_level_by_level_and_joins_by_usage_point(world):
    tokens = world.connect()
    here, seen = tokens["customerResourceURI"] + "/Customer", []
    for below in ("CustomerAccount", "CustomerAgreement", "ServiceLocation", "Meter", None):
        (href,) = selves(xml(world.get(here, tokens["access_token"])))
        seen.append(href)
        here = f"{href}/{below}"
    location = xml(world.get(seen[3], tokens["access_token"]))
    point = location.find(".//c:UsagePoints/c:UsagePoint", NS).text
    assert point != point.strip()
    assert xml(world.get(point.strip(), tokens["access_token"])).tag.endswith("}entry")


def test_a_solar_home_exports_in_a_series_of_its_own_with_gaps(world):
    world.settings(action="mode")
    tokens = world.connect(who=world.live_customer())
    feed = world.batch(tokens, **{"published-min": "2026-06-10T00:00:00Z", "published-max": "2026-06-11T00:00:00Z"})
    assert texts(feed, "flowDirection") == ["1", "19"]
    counts = [len(texts(one, "value")) for one in feed.iter("{http://naesb.org/espi}IntervalBlock")]
    assert counts[0] == 24
    assert 0 < counts[1] < 24


def test_bills_are_in_canadian_dollars_and_add_up(world):
    tokens = world.connect()
    (point,) = selves(xml(world.get(tokens["resourceURI"] + "/UsagePoint", tokens["access_token"])))
    feed = xml(world.get(f"{point}/UsageSummary", tokens["access_token"]))
    assert len(selves(feed)) >= 22
    assert set(texts(feed, "currency")) == {"124"}
    for one in feed.iter("{http://naesb.org/espi}UsageSummary"):
        lines = [int(line.text) for line in one.findall("e:costAdditionalDetailLastPeriod/e:amount", NS)]
        assert sum(lines) == int(one.find("e:billLastPeriod", NS).text)
        assert min(lines) < 0, "the rebate"


def test_an_authorization_ends_where_expires_at_says_and_names_batch_addresses(world):
    tokens = world.connect()
    answer = world.get(tokens["authorizationURI"], world.client_token())
    assert "<content><Authorization" in answer.text
    entry = xml(answer)
    start, duration = (int(entry.find(f".//e:authorizedPeriod/e:{name}", NS).text) for name in ("start", "duration"))
    assert int(texts(entry, "expires_at")[0]) == start + duration
    assert "/Batch/Subscription/" in texts(entry, "resourceURI")[0]
    assert "/Batch/RetailCustomer/" in texts(entry, "customerResourceURI")[0]


def test_the_delivery_ledger_counts_what_the_batch_holds(world):
    tokens = world.connect()
    feed = world.batch(tokens)
    (channel,) = world.app.test_client().get("/_sandbox/deliveries?utility=essex").json[-1]["channels"]
    values = [
        int(value.text)
        for one in feed.iter("{http://naesb.org/espi}IntervalBlock")
        for value in one.iter("{http://naesb.org/espi}value")
    ]
    assert (channel["count"], channel["sum"] * 1000) == (len(values), sum(values))


@pytest.mark.parametrize(("fault", "status"), [("resource_429", 429), ("resource_401", 401), ("resource_500", 500)])
def test_faults_of_resources(world, fault, status):
    tokens = world.connect()
    world.fault(fault)
    answer = world.get(tokens["resourceURI"] + "/UsagePoint", tokens["access_token"])
    assert answer.status_code == status


# Notifications and webhooks


def test_after_consent_a_notification_names_a_bulk_feed_of_several_kinds(world):
    world.connect()
    (notification,) = world.deliver()
    (address,) = resources(notification)
    assert "/DataCustodian/espi/1_1/resource/Bulk/b-" in address
    feed = xml(world.get(address, world.client_token()))
    kinds = {entry.find("a:content", NS)[0].tag.partition("}")[2] for entry in feed.findall("a:entry", NS)}
    assert kinds == {"Authorization", "UsageSummary", "IntervalBlock"}
    world.now += 4 * 86400
    assert world.get(address, world.client_token()).status_code == 404, "bulk links expire"


def test_without_block_39_nothing_is_pushed(world):
    world.connect(world.request(scope="FB=4_16_51"))
    assert world.deliver() == []


def test_one_bulk_feed_holds_several_customers(world):
    world.connect()
    world.connect(who={"action": "test", "scenario": "test_commercial"})
    world.deliver()
    world.settings(action="bulk")
    ((address,),) = [resources(one) for one in world.deliver()]
    assert address.startswith(f"{ESPI}/Bulk/"), "by the address the third party itself calls"
    hrefs = selves(xml(world.get(address, world.client_token())))
    assert (
        len({href.partition("/Subscription/")[2].partition("/")[0] for href in hrefs if "/Subscription/" in href}) == 2
    )


def test_webhooks_are_signed_with_plain_sha256_over_secret_salt_and_body(world):
    world.connect()
    hooks = world.deliver("Webhook")
    kinds = [json.loads(body)["events"][0]["type"] for _url, body, _headers in hooks]
    assert kinds[0] == "authorization_created"
    assert kinds[-1] == "meter_historical_collection_finished_successful"
    for _url, body, headers in hooks:
        text = f"{world.welcome['webhook_secret']}.{headers['X-UtilityAPI-Webhook-Salt']}.".encode() + body
        assert headers["X-UtilityAPI-Webhook-Signature"] == hashlib.sha256(text).hexdigest()
        assert body.startswith(b'{\n    "events"')


def test_the_published_signature_vector_holds():
    indented = b'{\n    "json": "object"\n}'
    expected = "6cd59ee8461872a3e0deea0d6428b5cdad5049452b4914ad66ed1cc1081b5e7d"
    assert utilityapi_events.signature("secret", "salt", indented) == expected


def test_a_webhook_that_is_not_answered_with_200_comes_again_every_hour(world):
    world.answers = 500
    world.settings(action="ping")
    assert len(world.deliver("Webhook")) == 1
    world.posted.clear()
    world.app.test_client().post("/_sandbox/deliver")
    assert world.posted == [], "not before an hour has passed"
    world.now += 3601
    world.answers = 200
    world.app.test_client().post("/_sandbox/deliver")
    assert len(world.posted) == 1
    assert world.deliver("Webhook") == []
    events = world.api("GET", "/events").json
    assert [(one["type"], one["is_delivered"]) for one in events["events"]] == [("ping", True)]


def test_faults_spoil_the_webhooks_signature(world):
    world.fault("webhook_bad_signature")
    world.settings(action="ping")
    assert world.deliver("Webhook")[0][2]["X-UtilityAPI-Webhook-Signature"] == "0" * 64
    world.fault("webhook_compact")
    world.settings(action="ping")
    assert world.deliver("Webhook")[0][1].startswith(b'{"events"')


# JSON API


def test_the_third_party_revokes_by_the_json_api_once(world):
    tokens = world.connect()
    uid = tokens["authorizationURI"].rpartition("/")[2]
    world.deliver()
    assert world.api("POST", f"/authorizations/{uid}/revoke").json == {"success": True}
    assert world.api("POST", f"/authorizations/{uid}/revoke").status_code == 404
    assert world.get(tokens["resourceURI"] + "/UsagePoint", tokens["access_token"]).status_code == 401
    assert (
        world.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"]).json["error"] == "invalid_grant"
    )
    assert texts(xml(world.get(tokens["authorizationURI"], world.client_token())), "status") == ["0"]
    kinds = [json.loads(body)["events"][0]["type"] for _url, body, _headers in world.deliver("Webhook")]
    assert kinds == ["authorization_revoked"]


def test_the_json_api_wants_its_own_token(world):
    tokens = world.connect()
    for token in (tokens["access_token"], world.client_token(), world.welcome["registration_access_token"], "x"):
        assert world.api("GET", "/authorizations", token).status_code == 401
    (shown,) = world.api("GET", "/authorizations").json["authorizations"]
    assert shown["uid"] == tokens["authorizationURI"].rpartition("/")[2]
    assert world.api("DELETE", f"/authorizations/{shown['uid']}").status_code == 400


def test_lists_of_the_json_api_are_paged_with_after_and_next(world):
    for _turn in range(103):
        utilityapi_events.webhook(world.sandbox, world.row, ["ping"])
    first = world.api("GET", "/events").json
    assert len(first["events"]) == 100
    second = world.api("GET", first["next"].partition("/api/v2")[2]).json
    assert (len(second["events"]), second["next"]) == (3, None)


def test_historical_collection_accepts_shared_meters_only(world):
    tokens = world.connect()
    (point,) = selves(xml(world.get(tokens["resourceURI"] + "/UsagePoint", tokens["access_token"])))
    meter = point.rpartition("/")[2]
    path = "/meters/historical-collection"
    assert world.api("POST", path, json={"meters": [meter]}).json == {"success": True, "meters": [meter]}
    assert world.api("POST", path, json={"meters": []}).status_code == 404
    assert world.api("POST", path, json={}).status_code == 400


def test_the_application_record_shows_mode_and_addresses(world):
    path, token = f"ApplicationInformation/{world.welcome['app_uid']}", world.welcome["registration_access_token"]
    entry = xml(world.get(path, token))
    assert texts(entry, "dataCustodianApplicationStatus") == ["1"]
    assert texts(entry, "authorizationServerTokenEndpoint")[0].endswith("/greenbutton.essexpowerlines.ca/oauth/token")
    world.settings(action="mode")
    assert texts(xml(world.get(path, token)), "dataCustodianApplicationStatus") == ["2"]
