"""The token endpoints: V1's JSON with camelCase names and a subscription key, V2's RFC 6749 form with Basic."""

import base64
import binascii
import json
import secrets
from collections import deque
from collections.abc import Callable
from typing import Any

import flask

from utilities.sandbox import coned_terms as terms
from utilities.sandbox import faults
from utilities.sandbox.context import Sandbox
from utilities.sandbox.state import Row

NO_KEY = "Access denied due to missing subscription key. Make sure to include subscription key when making requests to an API."
WRONG_KEY = (
    "Access denied due to invalid subscription key. Make sure to provide a valid key for an active subscription."
)
NO_CREDENTIALS = {"Message": "Unauthorized. Access token is missing or invalid."}


class Refusal(Exception):
    """A token request that is not granted: status, and the JSON body in the edition's form."""

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(str(status))
        self.status, self.body, self.headers = status, body, headers or {}


def add_endpoints(sandbox: Sandbox, app: flask.Flask) -> None:
    """POST {base}/oauth/v1/Token and {base}/oauth/Token (document 4.4 prints the test one in lower case)."""
    calls: dict[str, deque[float]] = {}
    app.add_url_rule(
        f"{terms.V1}/oauth/v1/Token", "v1_token", lambda: _answer(sandbox, lambda: v1_token(sandbox)), methods=["POST"]
    )
    for rule in ("Token", "token"):
        app.add_url_rule(
            f"{terms.V2}/oauth/{rule}",
            f"v2_{rule}",
            lambda: _answer(sandbox, lambda: v2_token(sandbox, calls)),
            methods=["POST"],
        )


def _answer(sandbox: Sandbox, grant: Callable[[], tuple[Row, Row]]) -> flask.Response:
    """Run a grant -> (registration, token response), and answer as JSON, spoiled when a fault is armed."""
    try:
        registration, answer = grant()
    except Refusal as refusal:
        body = json.dumps(refusal.body)
        return flask.Response(body, refusal.status, refusal.headers, content_type="application/json")
    slug = registration["utility"]
    sandbox.note(utility=slug, token_class="client authentication")  # noqa: S106
    spoiled = faults.token_answer(sandbox, slug, answer)
    return spoiled or flask.Response(json.dumps(answer), 200, content_type="application/json; charset=utf-8")


# --- V1 ---------------------------------------------------------------------------------------------------------------


def check_key(key: str | None, registration: Row | None) -> None:
    """The gateway's check of ocp-apim-subscription-key. Raises Refusal (401)."""
    if not key:
        raise Refusal(401, {"statusCode": 401, "message": NO_KEY})
    if registration is None or not secrets.compare_digest(key, registration["data"].get("subscription_key", "")):
        raise Refusal(401, {"statusCode": 401, "message": WRONG_KEY})


def v1_token(sandbox: Sandbox) -> tuple[Row, Row]:
    """Onboarding document 2.1.1 step 9 and section 3.2. Raises Refusal."""
    request = flask.request
    key, environment = request.headers.get("ocp-apim-subscription-key"), terms.environment(sandbox.host)
    rows = sandbox.store.find("registrations", edition="v1")
    by_key = next((row for row in rows if key and row["data"].get("subscription_key") == key), None)
    check_key(key, by_key)
    body = request.get_json(silent=True) if request.mimetype == "application/json" else None
    if not isinstance(body, dict):
        raise _bad("The request body is not JSON.")
    registration = sandbox.registration(environment, edition="v1", client_id=_text(body, "clientId"))
    known = registration is not None and secrets.compare_digest(
        registration["client_secret"], _text(body, "clientSecret")
    )
    if registration is None or not known:
        raise Refusal(401, {"statusCode": 401, "message": "Invalid client credentials."})
    check_key(key, registration)
    grants = {"authorization_code": _v1_code, "refresh_token": _v1_refresh, "client_credentials": _v1_client}
    grant = grants.get(_text(body, "grantType"))
    if grant is None:
        raise _bad("grantType is not supported.")
    return registration, grant(sandbox, registration, body)


def _bad(message: str) -> Refusal:
    return Refusal(400, {"statusCode": 400, "message": message})


def _text(body: Row, name: str) -> str:
    """A required field. Raises Refusal (400)."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise _bad(f"{name} is required.")
    return value


def _v1_code(sandbox: Sandbox, registration: Row, body: Row) -> Row:
    redirect_uri, code = _text(body, "redirectUri"), _text(body, "authCode")
    authorization = spend_code(sandbox, registration, code, redirect_uri)
    if authorization is None:
        raise _bad("The authorization code is invalid or expired.")
    authorization = grant_authorization(sandbox, registration, authorization)
    return _v1_answer(sandbox, registration, authorization, refresh_token(sandbox, registration, authorization))


def _v1_refresh(sandbox: Sandbox, registration: Row, body: Row) -> Row:
    """Needs the refresh token and the subscription id (printed unquoted, sent by integrators as text or number)."""
    token, subscription = _text(body, "refreshToken"), body.get("subscriptionId")
    if isinstance(subscription, bool) or not isinstance(subscription, str | int):
        raise _bad("subscriptionId is required.")
    authorization = refreshed(sandbox, registration, token)
    if authorization is None or str(subscription) != str(authorization["subscription"]):
        raise _bad("The refresh token is invalid for this subscription.")
    return _v1_answer(sandbox, registration, authorization, token)


def _v1_client(sandbox: Sandbox, registration: Row, body: Row) -> Row:
    """Integrators send the scope under ``Scope``, and the document prints a leading blank: both are taken."""
    scope = body.get("scope", body.get("Scope"))
    if not isinstance(scope, str) or scope.strip() != terms.V1_CLIENT_SCOPE:
        raise _bad("scope is not valid for client_credentials.")
    return _client_answer(sandbox, registration, terms.V1_CLIENT_SCOPE)


def _v1_answer(sandbox: Sandbox, registration: Row, authorization: Row, refresh: str) -> Row:
    resource = f"{sandbox.base(sandbox.host)}{terms.V1}/resource"
    return {
        "access_token": access_token(sandbox, registration, authorization),
        "refresh_token": refresh,
        "token_type": "Bearer",
        "expires_in": terms.TOKEN_LIFETIME,
        "scope": authorization["scope"],
        "resourceURI": f"{resource}/Batch/Subscription/{authorization['subscription']}",
        "authorizationURI": f"{resource}/Authorization/{authorization['id']}",
        "accountNumber": base64.b64encode(authorization["account"].encode()).decode(),
    }


# --- V2 ---------------------------------------------------------------------------------------------------------------


def v2_token(sandbox: Sandbox, calls: dict[str, deque[float]]) -> tuple[Row, Row]:
    """RFC 6749 with Basic. Raises Refusal."""
    registration = _basic(sandbox)
    request = flask.request
    if request.mimetype != "application/x-www-form-urlencoded":
        raise _error("invalid_request", "The body is application/x-www-form-urlencoded.")
    form = request.form
    if any(len(values) > 1 for _, values in form.lists()):
        raise _error("invalid_request", "A parameter is repeated.")
    grant_type = form.get("grant_type", "")
    if grant_type != "authorization_code":
        _limit(sandbox, calls.setdefault(registration["client_id"], deque()))
    grants = {"authorization_code": _v2_code, "refresh_token": _v2_refresh, "client_credentials": _v2_client}
    if grant_type not in grants:
        raise _error("unsupported_grant_type" if grant_type else "invalid_request", "grant_type is not supported.")
    return registration, grants[grant_type](sandbox, registration, form)


def _error(code: str, description: str, status: int = 400) -> Refusal:
    return Refusal(status, {"error": code, "error_description": description})


def _basic(sandbox: Sandbox) -> Row:
    """The registration that authenticates with Basic. Raises Refusal (401, as seen live without credentials)."""
    kind, _, value = flask.request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic" or not value:
        raise Refusal(401, NO_CREDENTIALS)
    try:
        client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Refusal(401, NO_CREDENTIALS) from None
    registration = sandbox.registration(terms.environment(sandbox.host), edition="v2", client_id=client_id)
    if registration is None or not secrets.compare_digest(registration["client_secret"].encode(), secret.encode()):
        raise _error("invalid_client", "Client authentication failed.", 401)
    return registration


def _limit(sandbox: Sandbox, calls: deque[float]) -> None:
    """50 calls a minute for the whole client, the code exchange excluded. Raises Refusal (429)."""
    now = sandbox.now()
    while calls and calls[0] <= now - 60:
        calls.popleft()
    if len(calls) >= terms.TOKEN_CALLS_PER_MINUTE:
        wait = str(max(1, int(calls[0] + 60 - now)))
        message = f"Rate limit is exceeded. Try again in {wait} seconds."
        raise Refusal(429, {"statusCode": 429, "message": message}, {"Retry-After": wait})
    calls.append(now)


def _field(form: Row, name: str) -> str:
    if not form.get(name):
        raise _error("invalid_request", f"{name} is required.")
    return form[name]


def _v2_code(sandbox: Sandbox, registration: Row, form: Row) -> Row:
    authorization = spend_code(sandbox, registration, _field(form, "code"), _field(form, "redirect_uri"))
    if authorization is None:
        raise _error("invalid_grant", "The authorization code is invalid or expired.")
    authorization = grant_authorization(sandbox, registration, authorization)
    answer = _v2_answer(sandbox, registration, authorization)
    return answer | {"refresh_token": refresh_token(sandbox, registration, authorization)}


def _v2_refresh(sandbox: Sandbox, registration: Row, form: Row) -> Row:
    """Needs the scope too, nothing beyond the granted one. The refresh token is never issued again."""
    token, scope = _field(form, "refresh_token"), _field(form, "scope")
    if form.get("redirect_uri") not in (None, "redirect_uri", registration["redirect_uri"]):
        raise _error("invalid_request", "redirect_uri is not the registered one.")
    authorization = refreshed(sandbox, registration, token)
    if authorization is None:
        raise _error("invalid_grant", "The refresh token is invalid.")
    try:
        blocks = set(terms.parse_v2(scope).blocks)
    except ValueError:
        blocks = {"?"}
    if not blocks <= set(terms.parse_v2(authorization["scope"]).blocks):
        raise _error("invalid_scope", "The scope is not within what the customer granted.")
    return _v2_answer(sandbox, registration, authorization)


def _v2_client(sandbox: Sandbox, registration: Row, form: Row) -> Row:
    if _field(form, "scope") != terms.V2_CLIENT_SCOPE:
        raise _error("invalid_scope", "The scope of client credentials is FB=34_35.")
    return _client_answer(sandbox, registration, terms.V2_CLIENT_SCOPE)


def _v2_answer(sandbox: Sandbox, registration: Row, authorization: Row) -> Row:
    resource, blocks = f"{sandbox.base(sandbox.host)}{terms.V2}/resource", terms.parse_v2(authorization["scope"]).blocks
    answer = {
        "access_token": access_token(sandbox, registration, authorization),
        "token_type": "Bearer",
        "expires_in": terms.TOKEN_LIFETIME,
        "scope": authorization["scope"],
        "resourceURI": f"{resource}/Batch/Subscription/{authorization['subscription']}",
        "authorizationURI": f"{resource}/Authorization/{authorization['id']}",
    }
    if "51" in blocks:
        answer["customerResourceURI"] = f"{resource}/Batch/RetailCustomer/{authorization['subscription']}"
    return answer


# --- both editions ----------------------------------------------------------------------------------------------------


def spend_code(sandbox: Sandbox, registration: Row, code: str, redirect_uri: str) -> Row | None:
    """The authorization a code stands for; None when it is unknown, used, too old or somebody else's."""
    row = sandbox.store.get("codes", code=code, registration=registration["id"])
    if row is None or row["redirect_uri"] != redirect_uri or row["expires"] <= sandbox.now():
        return None
    if not sandbox.store.update("codes", {"id": row["id"], "used": 0}, used=1):
        return None
    return sandbox.store.get("authorizations", id=row["authorization"])


def grant_authorization(sandbox: Sandbox, registration: Row, authorization: Row) -> Row:
    """Activate what the customer agreed to, with a subscription id of its own; scope faults act here."""
    number, slug = authorization["id"], registration["utility"]
    scope = _faulty_scope(sandbox, slug, authorization)
    columns = {"status": "active", "subscription": 970_000 + number * 7, "scope": scope, "updated": sandbox.now()}
    sandbox.store.update("authorizations", {"id": number}, **columns, accessed=sandbox.now())
    sandbox.note(authorization=number)
    return {**authorization, **columns}


def _faulty_scope(sandbox: Sandbox, slug: str, authorization: Row) -> str:
    """The granted scope, less or more when narrower_scope or wider_scope is armed."""
    scope = authorization["scope"]
    narrower = sandbox.fault("narrower_scope", slug) is not None
    if not narrower and sandbox.fault("wider_scope", slug) is None:
        return scope
    if authorization["edition"] == "v1":
        strings = ["FB=" + part.strip() for part in scope.split("FB=") if part]
        return " ".join((strings[:-1] or [terms.RETAIL_CUSTOMER]) if narrower else terms.V1_SCOPES)
    value = terms.parse_v2(scope)
    choices = list(terms.v2_choices(value))
    if narrower:
        return value.kept(set(choices[:-1] or choices)).text()
    everything = tuple(sorted(terms.V2_BLOCKS - {"35", "67"}, key=int))
    return terms.V2Scope(everything, value.tail, value.third_party).text()


def refresh_token(sandbox: Sandbox, registration: Row, authorization: Row) -> str:
    """A refresh token of 43 characters, issued once for each authorization."""
    return sandbox.issue("refresh", registration, terms.REFRESH_UNUSED, authorization=authorization["id"])


def refreshed(sandbox: Sandbox, registration: Row, token: str) -> Row | None:
    """The authorization a good refresh token belongs to; its year without use starts anew."""
    row = sandbox.token(token)
    if row is None or row["kind"] != "refresh" or row["registration"] != registration["id"]:
        return None
    authorization = active(sandbox, row["authorization"])
    if authorization:
        sandbox.store.update("tokens", {"id": row["id"]}, expires=sandbox.now() + terms.REFRESH_UNUSED)
        sandbox.note(authorization=authorization["id"])
    return authorization


def active(sandbox: Sandbox, number: int) -> Row | None:
    """An authorization that is good now, marked as accessed; ended and lapsed ones are revoked by this."""
    row = sandbox.store.get("authorizations", id=number)
    if row is None or row["status"] != "active":
        return None
    now = sandbox.now()
    if (row["ends"] is not None and row["ends"] <= now) or row["accessed"] <= now - terms.INACTIVITY[row["edition"]]:
        sandbox.revoke(number)
        return None
    sandbox.store.update("authorizations", {"id": number}, accessed=now)
    return row


def access_token(sandbox: Sandbox, registration: Row, authorization: Row) -> str:
    """A JWT as Okta makes them, about 1.4 kB, with personal data in it: the customer's e-mail and account list."""
    now = int(sandbox.now())
    account = sandbox.account(authorization["utility"], authorization["username"], authorization["account"])
    claims = {
        "ver": 1,
        "jti": f"AT.{secrets.token_urlsafe(32)}",
        "iss": f"{sandbox.base(sandbox.host)}/oauth2/sandbox",
        "aud": "api://gbc",
        "iat": now,
        "exp": now + terms.TOKEN_LIFETIME,
        "cid": registration["client_id"],
        "scp": [authorization["scope"]],
        "sub": authorization["username"],
        "accounts": [f"{account.meter_account if account else ''};;1"],
        "padding": secrets.token_urlsafe(200),
    }
    parts = [json.dumps(part).encode() for part in ({"kid": "sandbox", "alg": "RS256"}, claims)]
    encoded = [base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, secrets.token_bytes(256))]
    return sandbox.issue(
        "access", registration, terms.TOKEN_LIFETIME, authorization=authorization["id"], scope=authorization["scope"],
        token=".".join(encoded),
    )  # fmt: skip


def _client_answer(sandbox: Sandbox, registration: Row, scope: str) -> Row:
    token = sandbox.issue("client", registration, terms.TOKEN_LIFETIME, scope=scope)
    return {"access_token": token, "token_type": "Bearer", "expires_in": terms.TOKEN_LIFETIME, "scope": scope}
