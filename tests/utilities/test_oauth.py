"""Token requests as each utility's document prints them, and its answers, right and wrong; over real sockets.

Requests and answers are composed from the documents; no answer was captured.
"""

import base64
import json
import ssl
import time
from urllib.parse import parse_qsl, urlsplit

import pytest
from pytest_httpserver import HTTPServer

import utilities
from espi import models
from espi.session import AddressRefused
from tests.certificates import Authority
from tests.raw_server import raw_server, response, trickles
from tests.utilities.conftest import PROFILES, registration
from utilities import oauth
from utilities.oauth import (
    BadTokenAnswer,
    InvalidClient,
    InvalidGrant,
    NoConnection,
    TokenError,
    TokenRefused,
    TokenThrottled,
    TokenUnavailable,
    UnclearRefusal,
    UnprovenServer,
    UntrustedAddress,
)

BASIC = "Basic " + base64.b64encode(b"0oa-client:s3cr:et/+").decode()
REDIRECT = "http://localhost:8000/espi/1_1/OAuthCallBack/{}"
CODE = "canary/code+1"
V1_SCOPE = "FB=1_3_13_14_46_47; FB=1_3_4_5_7_10_13_14_18_32_33_35_37_38_41_44;IntervalDuration=Monthly_3600_900_300;BlockDuration=Monthly_Daily;HistoryLength=63113904;"


def answer(utility, app, **changes):
    """A good token answer of this utility, with its own addresses."""
    base = utility.resource_base(app)
    said = {
        "access_token": "canary-access",
        "refresh_token": "canary-refresh",
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "FB=1_3_4_5",
        "resourceURI": f"{base}/Batch/Subscription/976",
        "authorizationURI": f"{base}/Authorization/1482",
    }
    return {name: value for name, value in (said | changes).items() if value is not ...}


@pytest.fixture
def play(httpserver: HTTPServer, settings):
    """A registration in the sandbox, whose part a server plays that gives one answer to every token request.

    `said`: text, or what differs from a good answer.
    """

    def start(slug, edition="", said=None, **options):
        httpserver.clear()
        settings.SANDBOX_BASE_URL = settings.SANDBOX_TLS_BASE_URL = httpserver.url_for("").rstrip("/")
        utility, app = utilities.get(slug), registration(slug, edition)
        body = said if isinstance(said, str) else json.dumps(answer(utility, app, **(said or {})))
        httpserver.expect_request(urlsplit(utility.token_url(app)).path, method="POST").respond_with_data(
            body, **options
        )
        return utility, app

    return start


@pytest.fixture
def heard(httpserver: HTTPServer):
    def last():
        request = httpserver.log[-1][0]
        return request.headers, request.get_data()

    return last


def exchange(utility, app, **options):
    return utility.exchange_code(app, code=CODE, redirect_uri=REDIRECT.format(utility.slug), **options)


def refresh(utility, app):
    return utility.refresh(app, refresh_token="canary-old", subscription_id="976", scope=V1_SCOPE)


# --- Requests ---


@pytest.mark.parametrize("slug", ["cecony", "oru"])
def test_edition_1_posts_json_with_its_own_names(play, heard, slug):
    utility, app = play(slug, "v1")
    client = {"clientId": "0oa-client", "clientSecret": "s3cr:et/+"}
    calls = [
        (exchange, {"grantType": "authorization_code", "redirectUri": REDIRECT.format(slug), "authCode": CODE}),
        (refresh, {"grantType": "refresh_token", "refreshToken": "canary-old", "subscriptionId": "976"}),
        (lambda u, a: u.client_token(a), {"grantType": "client_credentials", "scope": "FB=3_35_47"}),
    ]
    for call, fields in calls:
        call(utility, app)
        headers, body = heard()
        assert json.loads(body) == client | fields
        assert headers["Content-Type"] == "application/json"
        assert headers["ocp-apim-subscription-key"] == "apim-key"
        assert "Authorization" not in headers


def test_edition_2_posts_a_form_with_basic_authentication(play, heard):
    utility, app = play("cecony", "v2")
    callback = REDIRECT.format("cecony")
    calls = [
        (exchange, {"grant_type": "authorization_code", "code": CODE, "redirect_uri": callback}),
        (
            refresh,
            {"grant_type": "refresh_token", "refresh_token": "canary-old", "scope": V1_SCOPE, "redirect_uri": callback},
        ),
        (lambda u, a: u.client_token(a), {"grant_type": "client_credentials", "scope": "FB=34_35"}),
    ]
    for call, fields in calls:
        call(utility, app)
        headers, body = heard()
        assert dict(parse_qsl(body.decode(), strict_parsing=True)) == fields
        assert headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert headers["Accept"] == "application/json"
        assert headers["Authorization"] == BASIC
        assert "ocp-apim-subscription-key" not in headers
    assert body == b"grant_type=client_credentials&scope=FB%3D34_35"


def test_utilityapi_gets_the_fields_of_the_standard_and_no_more(play, heard):
    utility, app = play("essex")
    exchange(utility, app)
    assert heard()[1] == (
        b"grant_type=authorization_code&code=canary%2Fcode%2B1"
        b"&redirect_uri=http%3A%2F%2Flocalhost%3A8000%2Fespi%2F1_1%2FOAuthCallBack%2Fessex"
    )
    refresh(utility, app)
    assert heard()[1] == b"grant_type=refresh_token&refresh_token=canary-old"
    utility.client_token(app)
    assert heard()[1] == b"grant_type=client_credentials"
    assert heard()[0]["Authorization"] == BASIC


def test_a12_a_verifier_is_sent_where_there_is_one(play, heard):
    exchange(*play("essex"), code_verifier="the-verifier")
    assert heard()[1].endswith(b"&code_verifier=the-verifier")


def test_pge_is_asked_with_our_certificate_and_answers_with_its_own_key(tmp_path, settings):
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certificate("localhost"))
    context.load_verify_locations(authority.path)
    context.verify_mode = ssl.CERT_REQUIRED
    certificate, key = authority.certificate("third party")
    with HTTPServer(host="localhost", ssl_context=context) as server:
        settings.SANDBOX_TLS_BASE_URL = server.url_for("").rstrip("/")
        files = {"client_certificate_path": certificate, "client_key_path": key, "ca_bundle_path": authority.path}
        utility, app = utilities.get("pge"), registration("pge", **files)
        said = {"client_access_token": "canary-client", "token_type": "Bearer", "expires_in": "3600", "scope": "5+6+7"}
        server.expect_request("/api.pge.com/datacustodian/oauth/v2/token", method="POST").respond_with_json(said)
        assert utility.client_token(app).access_token == "canary-client"
        request = server.log[-1][0]
        assert request.get_data() == b"grant_type=client_credentials"
        assert request.query_string == b""
        assert request.headers["Authorization"] == BASIC
        assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"


# --- Answers ---


@pytest.mark.parametrize(("slug", "edition"), PROFILES)
def test_a_grant_says_the_same_in_the_same_words_everywhere(play, slug, edition):
    utility, app = play(slug, edition)
    base = utility.resource_base(app)
    grant = exchange(utility, app)
    assert (grant.access_token, grant.refresh_token, grant.expires_in) == ("canary-access", "canary-refresh", 3600)
    assert (grant.scope, grant.subscription_id, grant.authorization_id) == ("FB=1_3_4_5", "976", "1482")
    assert grant.resource_uri == f"{base}/Batch/Subscription/976"
    assert (grant.authorization_uri, grant.customer_resource_uri) == (f"{base}/Authorization/1482", "")
    assert "canary" not in repr(grant)
    assert "s3cr" not in repr(utility.endpoint(app))


def test_edition_1_sends_numbers_as_text_and_the_account_number_in_base64(play):
    said = {"expires_in": "3600", "accountNumber": "NDEwMDAwMDAwMDAwMTIz", "scope": V1_SCOPE}
    utility, app = play("cecony", "v1")
    grant = oauth.read_grant(json.dumps(answer(utility, app, **said)).encode(), utility.token_dialect(app))
    assert (grant.expires_in, grant.account_number, grant.scope) == (3600, "410000000000123", V1_SCOPE)
    said["AccountNumber"] = said.pop("accountNumber")
    grant = oauth.read_grant(json.dumps(answer(utility, app, **said)).encode(), utility.token_dialect(app))
    assert grant.account_number == "410000000000123"


@pytest.mark.parametrize("sent", ["410000000000123", "123456789012", "not base64!", ""])
def test_an_account_number_that_is_not_base64_is_taken_as_it_stands(sent):
    utility, app = utilities.get("oru"), registration("oru", "v1")
    said = json.dumps(answer(utility, app, accountNumber=sent)).encode()
    assert oauth.read_grant(said, utility.token_dialect(app)).account_number == sent


def test_pge_may_answer_in_xml():
    said = b"""<?xml version="1.0"?><Response xmlns="urn:x"><client_access_token>canary</client_access_token>
      <token_type>Bearer</token_type><expires_in>3600</expires_in><scope>5+6+7</scope></Response>"""
    utility, app = utilities.get("pge"), registration("pge")
    grant = oauth.read_grant(said, utility.token_dialect(app), "client_access_token")
    assert (grant.access_token, grant.expires_in, grant.scope) == ("canary", 3600, "5+6+7")


@pytest.mark.parametrize(("slug", "edition"), [("pge", ""), ("essex", "")])
def test_the_subscription_is_known_from_the_authorization_where_they_are_the_same(slug, edition):
    utility, app = utilities.get(slug), registration(slug, edition)
    said = answer(utility, app, resourceURI=..., authorizationURI=f"{utility.resource_base(app)}/Authorization/61234")
    grant = oauth.read_grant(json.dumps(said).encode(), utility.token_dialect(app))
    assert (grant.subscription_id, grant.authorization_id, grant.resource_uri) == ("61234", "61234", "")


def test_con_edisons_authorization_id_is_no_subscription_id(play):
    utility, app = play("cecony", "v1", {"resourceURI": ...})
    assert "names no subscription" in fails(BadTokenAnswer, exchange, utility, app).reason
    assert refresh(utility, app).subscription_id == ""


@pytest.mark.parametrize("sent", [..., None, ""])
def test_f38_an_answer_without_a_refresh_token_keeps_the_old_one(sent):
    utility, app = utilities.get("oru"), registration("oru", "v2")
    said = json.dumps(answer(utility, app, refresh_token=sent)).encode()
    assert oauth.read_grant(said, utility.token_dialect(app)).refresh_token is None


# --- A20: answers that are wrong ---

XML = '<?xml version="1.0"?><Response><access_token>canary</access_token><token_type>Bearer</token_type></Response>'
WRONG = {
    "not JSON": ("canary, and no JSON", "not JSON"),
    "empty": ("", "not JSON"),
    "HTML": ("<html>canary</html>", "not JSON"),
    "XML where JSON is expected": (XML, "not JSON"),
    "a list": ('["canary"]', "not a JSON object"),
    "a text": ('"canary"', "not a JSON object"),
    "nested without end": ("[" * 60_000, "not JSON"),
    "no token": ({"access_token": ...}, "no access_token"),
    "an empty token": ({"access_token": ""}, "no access_token"),
    "a null token": ({"access_token": None}, "no access_token"),
    "a token that is a number": ({"access_token": 12345}, "no access_token"),
    "a token that is an object": ({"access_token": {"canary": 1}}, "no access_token"),
    "a token that breaks a header": ({"access_token": "canary\r\nX-Evil: 1"}, "cannot be a token"),
    "a token with a blank": ({"access_token": "canary canary"}, "cannot be a token"),
    "a token beyond ASCII": ({"access_token": "canary-é"}, "cannot be a token"),
    "a token without end": ({"access_token": "canary" * 5000}, "cannot be a token"),
    "a refresh token that is a list": ({"refresh_token": ["canary"]}, "no refresh_token"),
    "no token_type": ({"token_type": ...}, "token_type is not Bearer"),
    "another token_type": ({"token_type": "mac"}, "token_type is not Bearer"),
    "no expires_in": ({"expires_in": ...}, "not a whole number"),
    "expires_in in words": ({"expires_in": "an hour"}, "not a whole number"),
    "expires_in negative": ({"expires_in": -1}, "not a possible number"),
    "expires_in negative in text": ({"expires_in": "-3600"}, "not a whole number"),
    "expires_in nought": ({"expires_in": 0}, "not a possible number"),
    "expires_in huge": ({"expires_in": 10**12}, "not a possible number"),
    "expires_in a fraction": ({"expires_in": 3600.5}, "not a whole number"),
    "expires_in true": ({"expires_in": True}, "not a whole number"),
    "an error called a success": ({"error": "invalid_grant", "canary": 1}, "reports an error"),
    "a nested error called a success": ({"error": {"code": "canary"}}, "reports an error"),
    "a scope that is a list": ({"scope": ["canary"]}, "scope is not a line of text"),
    "a scope of two lines": ({"scope": "FB=1\nFB=2"}, "scope is not a line of text"),
    "an address that is a number": ({"resourceURI": 976}, "resourceuri is not a line of text"),
    "an address that cannot be read": ({"resourceURI": "https://[canary/976"}, "cannot be read"),
    "no subscription": ({"resourceURI": ..., "authorizationURI": ...}, "names no subscription"),
    "more than 64 KiB": ("{" + " " * 70_000, "longer than 64 KiB"),
    "10 MB": (" " * 10_000_000, "longer than 64 KiB"),
}


def fails(kind, call, *args):
    """The error; nothing of the request or the answer is in it."""
    with pytest.raises(TokenError) as caught:
        call(*args)
    assert type(caught.value) is kind
    for text in (str(caught.value), caught.value.reason, repr(caught.value), repr(caught.value.__cause__)):
        assert not any(secret in text for secret in ("canary", "s3cr", "apim-key", BASIC))
    return caught.value


@pytest.mark.parametrize(("said", "words"), WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize(("slug", "edition"), [("cecony", "v1"), ("oru", "v2"), ("essex", "")])
def test_a20_a_wrong_answer_is_a_named_failure(play, slug, edition, said, words):
    assert words in fails(BadTokenAnswer, exchange, *play(slug, edition, said)).reason


@pytest.mark.parametrize(("slug", "edition"), PROFILES)
def test_a20_a_good_answer_in_text_is_only_taken_where_the_utility_writes_so(play, slug, edition):
    utility, app = play(slug, edition, {"expires_in": "3600"})
    if utility.slug == "pge" or edition == "v1":
        assert exchange(utility, app).expires_in == 3600
    else:
        fails(BadTokenAnswer, exchange, utility, app)


@pytest.mark.parametrize(
    "said",
    [
        "<Response><client_access_token>canary",
        "<Response/>",
        '<!DOCTYPE r [<!ENTITY a "canary">]><Response><access_token>&a;</access_token></Response>',
        "<Response><token_type>Bearer</token_type><expires_in>3600</expires_in></Response>",
    ],
)
def test_a20_pges_xml_is_judged_like_its_json(play, said):
    fails(BadTokenAnswer, exchange, *play("pge", "", said))


def test_a20_pges_client_token_must_come_under_its_own_name(play):
    utility, app = play("pge")
    assert "no client_access_token" in fails(BadTokenAnswer, utility.client_token, app).reason


def test_a20_a_redirect_of_the_token_endpoint_is_not_followed(play):
    utility, app = play("oru", "v2", "", status=307, headers={"Location": "http://localhost:1/canary"})
    fails(BadTokenAnswer, exchange, utility, app)


# --- A21: addresses that are not the utility's ---


@pytest.mark.parametrize("name", ["resourceURI", "authorizationURI", "customerResourceURI"])
@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("localhost", "canary.example"),
        lambda url: url.replace("http:", "https:"),
        lambda url: url.replace("http:", "ftp:"),
        lambda url: url.replace("/resource/", "/elsewhere/"),
        lambda url: url.replace("/resource/", "/resource/../"),
        lambda url: url.replace("localhost:", "localhost:1"),
        lambda url: url.replace("//", "//canary@"),
        lambda url: urlsplit(url).path,
    ],
    ids=["host", "scheme", "odd scheme", "path", "climbing", "port", "user", "relative"],
)
@pytest.mark.parametrize(("slug", "edition"), PROFILES)
def test_a21_an_answer_that_points_elsewhere_fails_and_the_token_goes_nowhere(
    play, httpserver, slug, edition, name, change
):
    utility, app = play(slug, edition)
    play(slug, edition, {name: change(f"{utility.resource_base(app)}/Batch/Subscription/976")})
    fails(UntrustedAddress, exchange, utility, app)
    assert len(httpserver.log) == 1


def test_a21_the_misprint_of_pges_guide_is_noticed(play):
    utility, app = play("pge")
    wrong = f"{utility.resource_base(app)}/Authorization/1482".replace("/espi/", "/epi/")
    play("pge", "", {"authorizationURI": wrong})
    fails(UntrustedAddress, exchange, utility, app)


def test_a21_nothing_but_the_sandbox_may_be_on_this_machine(settings):
    with raw_server(response(b"{}", "Content-Length: 2")) as server:
        settings.SANDBOX_BASE_URL = server.url
        utility, app = utilities.get("essex"), registration("essex")
        app.environment, app.token_url = "test", ""
        session = utility.session(app)
        settings.OUTBOUND_ALLOWED_NETWORKS = []
        with pytest.raises(AddressRefused):
            session.get(server.url)
        settings.OUTBOUND_ALLOWED_NETWORKS = ["127.0.0.0/8", "::1/128"]
        assert utility.session(app).get(server.url).text == "{}"


# --- Refusals ---


def oauth_error(code):
    return json.dumps({"error": code, "error_description": "canary"})


@pytest.mark.parametrize(
    ("slug", "edition", "status", "body", "kind"),
    [
        ("cecony", "v1", 400, oauth_error("invalid_grant"), InvalidGrant),
        ("oru", "v2", 400, oauth_error("invalid_scope"), TokenRefused),
        ("oru", "v2", 404, '{ "statusCode": 404, "message": "Resource not found" }', TokenRefused),
        ("pge", "", 400, '"Invalid Certificate"', InvalidClient),
        ("pge", "", 400, oauth_error("invalid_request"), InvalidGrant),
        ("pge", "", 401, "canary invalid_client canary", InvalidClient),
        ("essex", "", 400, oauth_error("invalid_grant"), InvalidGrant),
        ("essex", "", 400, oauth_error("invalid_request"), TokenRefused),
        ("essex", "", 401, oauth_error("invalid_client"), InvalidClient),
        ("essex", "", 400, oauth_error("unauthorized_client"), InvalidClient),
        ("essex", "", 400, oauth_error("canary_made_up"), TokenRefused),
        ("essex", "", 500, oauth_error("invalid_grant"), TokenUnavailable),
        ("essex", "", 502, "<html>canary</html>", TokenUnavailable),
        ("essex", "", 429, "<html>", TokenThrottled),
    ],
)
def test_a_refusal_is_named_after_who_can_do_something_about_it(play, slug, edition, status, body, kind):
    fails(kind, exchange, *play(slug, edition, body, status=status))
    fails(kind, refresh, *play(slug, edition, body, status=status))


@pytest.mark.parametrize(
    ("slug", "edition", "status", "body"),
    [
        ("cecony", "v1", 401, '{"statusCode": 401, "message": "canary"}'),
        ("oru", "v2", 401, '{"Message":"Unauthorized. Access token is missing or invalid."}'),
        ("pge", "", 401, oauth_error("access_denied")),
        ("essex", "", 403, ""),
    ],
)
def test_a_401_or_403_that_does_not_say_why_means_us_but_for_a_refresh(play, slug, edition, status, body):
    fails(InvalidClient, exchange, *play(slug, edition, body, status=status))
    utility, app = play(slug, edition, body, status=status)
    fails(InvalidClient, utility.client_token, app)
    fails(UnclearRefusal, refresh, utility, app)


def test_pges_invalid_request_for_our_own_token_is_no_dead_grant(play):
    utility, app = play("pge", "", oauth_error("invalid_request"), status=400)
    fails(TokenRefused, utility.client_token, app)


@pytest.mark.parametrize(("status", "kind"), [(429, TokenThrottled), (503, TokenUnavailable)])
def test_f29_the_wait_a_utility_asks_for_is_kept(play, status, kind):
    utility, app = play("cecony", "v2", "", status=status, headers={"Retry-After": "42"})
    assert fails(kind, exchange, utility, app).retry_after == 42


def test_no_connection_means_that_nothing_was_sent(settings):
    with raw_server(b"") as server:
        settings.SANDBOX_BASE_URL = server.url
        server.stop()
    fails(NoConnection, exchange, utilities.get("essex"), registration("essex"))
    settings.SANDBOX_BASE_URL = "http://no-such-host.invalid"
    fails(NoConnection, exchange, utilities.get("essex"), registration("essex"))


@pytest.mark.parametrize(
    "said",
    [b"", response(b'{"access_token"', "Content-Length: 500"), response(b"5\r\ncan", "Transfer-Encoding: chunked")],
)
def test_f43_a_broken_answer_may_have_used_the_code_up(settings, said):
    with raw_server(said) as server:
        settings.SANDBOX_BASE_URL = server.url
        fails(TokenUnavailable, exchange, utilities.get("essex"), registration("essex"))
        assert server.connections == 1


def test_f43_an_answer_that_trickles_in_is_given_up_at_the_deadline(settings, monkeypatch):
    monkeypatch.setattr(oauth, "DEADLINE_SECONDS", 0.5)
    with raw_server(trickles(response(b'{"access_token": "canary"}' * 50, "Content-Length: 1300"), 0.02)) as server:
        settings.SANDBOX_BASE_URL = server.url
        began = time.monotonic()
        fails(TokenUnavailable, exchange, utilities.get("essex"), registration("essex"))
        assert time.monotonic() - began < 3


def test_f40_a_certificate_file_that_is_gone_is_our_own_fault():
    app = registration("pge", client_certificate_path="/nowhere/c.pem", client_key_path="/nowhere/k.pem")
    assert "/nowhere/c.pem" in fails(InvalidClient, exchange, utilities.get("pge"), app).reason


def test_d12_a_token_endpoint_nobody_vouches_for_gets_no_secret(tmp_path, settings):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*Authority(tmp_path).certificate("localhost"))
    with raw_server(response(b"{}", "Content-Length: 2"), context) as server:
        settings.SANDBOX_TLS_BASE_URL = server.url
        reason = fails(UnprovenServer, exchange, utilities.get("pge"), registration("pge")).reason
        assert "self-signed" in reason or "local issuer" in reason
        assert server.heard == []


# --- Ending an authorization ---


@pytest.mark.parametrize("status", [200, 202, 204, 404, 410])
def test_pge_is_asked_to_end_an_authorization_with_our_own_token(play, httpserver, status):
    utility, app = play("pge", "", {})
    path = urlsplit(utility.resource_base(app)).path + "/Authorization/1482"
    httpserver.expect_request(path, method="DELETE").respond_with_data("", status=status)
    utility.revoke(app, models.Authorization(utility_authorization_id="1482"), client_token="canary-client")
    assert [request.headers["Authorization"] for request, _ in httpserver.log] == ["Bearer canary-client"]


def test_pge_is_never_asked_at_an_address_that_is_not_its_own(play, httpserver):
    utility, app = play("pge", "", {"client_access_token": "canary-client"})
    with pytest.raises(UntrustedAddress):
        utility.revoke(
            app, models.Authorization(authorization_uri="https://canary.example/Authorization/1"), client_token="t"
        )
    assert httpserver.log == []


def test_utilityapi_is_asked_through_its_other_api_with_its_other_token(play, httpserver):
    utility, app = play("essex")
    path = "/utilityapi.com/api/v2/authorizations/1482/revoke"
    httpserver.expect_request(path, method="POST").respond_with_json({"success": True})
    utility.revoke(app, models.Authorization(utility_authorization_id="1482"), client_token="")
    assert httpserver.log[-1][0].headers["Authorization"] == "Bearer api-token"
