"""Hostile input at PG&E and the UtilityAPI platform: a plain refusal, never a server error."""

import pytest

from tests.sandbox import pge_helpers, utilityapi_helpers

NASTY = (
    "\0",
    "a" * 9000,
    "<script>alert(1)</script>",
    "%00",
    "'; --",
    "é☃",
    "-1",
    "1e9",
    "9" * 30,
    "\r\nX: y",
    "{{7*7}}",
)


@pytest.fixture(scope="module")
def pge():
    return pge_helpers.World()


@pytest.fixture(scope="module")
def essex():
    return utilityapi_helpers.World()


def is_refusal(answer):
    assert answer.status_code < 500
    assert "<script>alert" not in answer.text
    assert "X" not in answer.headers


@pytest.mark.parametrize("value", NASTY)
def test_pges_pages_refuse_in_plain_words(pge, value):
    for name in ("client_id", "redirect_uri", "response_type", "state", "scope", "login"):
        is_refusal(pge.browser.get(pge.request(**{name: value})))
    form = {"username": value, "password": value, "account": value, "postal_code": value, "attempts": value}
    for action in ("sign-in", "guest", value):
        is_refusal(pge.browser.post(pge.request(), data=form | {"action": action}))
    is_refusal(pge.authorize(service=value, group=value, interval=value, period=value, until=value))
    is_refusal(pge.browser.post("/sharemydata.pge.com/manage", data={"subscription": value, "action": "stop"}))
    is_refusal(pge.browser.post("/sharemydata.pge.com/registration", data={"registration": value, "action": "daily"}))


@pytest.mark.parametrize("value", NASTY)
def test_pges_api_refuses(pge, value):
    client = pge.client_token()
    for grant in ("authorization_code", "refresh_token", value):
        is_refusal(pge.token(grant_type=grant, code=value, redirect_uri=value, refresh_token=value))
    is_refusal(
        pge.get(f"Batch/Bulk/{pge.welcome['bulk_id']}", client, **{"published-min": value, "updated-max": value})
    )
    is_refusal(pge.get(f"Batch/Bulk/{pge.welcome['bulk_id']}", client, correlationID=value))


@pytest.mark.parametrize("value", NASTY)
def test_the_platforms_pages_refuse_in_plain_words(essex, value):
    for name in ("client_id", "redirect_uri", "response_type", "state", "scope"):
        is_refusal(essex.browser.get(essex.request(**{name: value})))
    is_refusal(essex.browser.get(essex.request(scope=f"FB=4;AdditionalScope=auth-lastbill-{value}")))
    is_refusal(essex.browser.get(essex.request(scope=f"FB=4;PreferredAuthEndDate={value};HistoryLength={value}")))
    form = {"account": value, "amount": value, "date": value, "scenario": value}
    for action in ("lastbill", "test"):
        is_refusal(essex.browser.post(essex.request(), data=form | {"action": action}))
    is_refusal(essex.authorize(data=value, meter=value, until=value, history=value))
    is_refusal(essex.authorize(history=value))
    is_refusal(essex.browser.post("/utilityapi.com/settings", data={"registration": value, "action": "mode"}))
    is_refusal(essex.browser.post("/greenbutton.essexpowerlines.ca/", data={"account": value, "authorization": value}))


@pytest.mark.parametrize("value", NASTY)
def test_the_platforms_api_refuses(essex, value):
    for grant in ("authorization_code", "refresh_token", value):
        is_refusal(essex.token(grant_type=grant, code=value, redirect_uri=value, refresh_token=value))
    is_refusal(essex.api("GET", "/events", query_string={"after": value}))
    is_refusal(essex.api("POST", "/meters/historical-collection", json={"meters": [value, {}, None]}))
    is_refusal(essex.api("POST", "/meters/historical-collection", data=value, content_type="application/json"))


def test_bytes_that_are_no_text_are_refused(pge, essex):
    for world, path in ((pge, pge_helpers.PAGE), (essex, "/greenbutton.essexpowerlines.ca/oauth/authorize")):
        is_refusal(world.browser.get(f"{path}?client_id=%ff%fe&state=%c3%28"))
    basic = {"Authorization": "Basic //79/Q=="}
    is_refusal(
        essex.app.test_client().post("/greenbutton.essexpowerlines.ca/oauth/token", headers=basic, data={"a": "b"})
    )
    huge = essex.request(scope=f"FB=4;PreferredAuthEndDate={2**35}")
    is_refusal(essex.authorize(huge))


def test_a_secret_that_is_not_ascii_is_only_wrong(pge):
    answer = pge.app.test_client().post(
        f"{pge_helpers.API}/datacustodian/oauth/v2/token",
        data={"grant_type": "client_credentials"},
        headers=pge.basic("gehéim"),
        environ_overrides=pge.certificate(),
    )
    assert answer.json["error"] == "invalid_client"
