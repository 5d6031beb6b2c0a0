"""PG&E's OAuth endpoints: mutual TLS, Basic authentication, form or query, three grants, a registration test pair.

Source: PG&E developer page (Authentication), Client SDK Python Development Guide V2.1, Supported APIs table.
"""

import base64
import binascii
import functools
import hmac
import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flask

from utilities.sandbox import faults, pge_notify, pge_xml, pki
from utilities.sandbox.context import with_query
from utilities.sandbox.state import Row

if TYPE_CHECKING:
    from utilities.sandbox.context import Sandbox

ACCESS_LIFETIME, CODE_LIFETIME, REFRESH_LIFETIME = 3600, 600, 365 * 86400
Answer = flask.Response
TEST_SCOPE = "FB=1_3_8_13_14_18_19_31_32_35_37_38_39;dataCustodianId=PGE"


class Refused(Exception):
    """A request PG&E turns down: status, OAuth error code, description."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status, self.error, self.description = status, error, description

    def answer(self) -> Answer:
        body = {"error": self.error, "error_description": self.description}
        return flask.Response(json.dumps(body), self.status, content_type="application/json")


def add_endpoints(sandbox: "Sandbox", app: flask.Flask) -> None:
    """Token and authorize endpoints, for production and for the registration test."""

    @app.route("/datacustodian/oauth/v2/token", methods=["GET", "POST", "PUT", "DELETE"])
    def production_token() -> Answer:
        return _token(sandbox, "production")

    @app.route("/datacustodian/test/oauth/v2/token", methods=["GET", "POST", "PUT", "DELETE"])
    def test_token() -> Answer:
        return _token(sandbox, "test")

    @app.get("/datacustodian/test/oauth/v2/authorize")
    def test_authorize() -> Answer:
        return _test_authorize(sandbox)

    @app.get("/datacustodian/oauth/v2/Authorize")
    @app.get("/datacustodian/oauth/v2/authorize")
    def old_authorize() -> Answer:
        # Since June 2018 the customer's page is on the other host; the old endpoint leads there.
        query = flask.request.query_string.decode("latin-1")
        where = f"{sandbox.base('sharemydata.pge.com')}/myAuthorization?{query}"
        return flask.Response("", 302, {"Location": where})


def invalid_certificate() -> Answer:
    """The gateway's answer without the registered client certificate: a JSON string, quotes included."""
    return flask.Response('"Invalid Certificate"', 400, content_type="application/json")


def presented_certificate() -> str | None:
    """Fingerprint of the client certificate the TLS layer verified, or None."""
    environ = flask.request.environ
    if environ.get("SSL_CLIENT_VERIFY") != "SUCCESS" or not environ.get("SSL_CLIENT_CERT"):
        return None
    try:
        return pki.fingerprint(environ["SSL_CLIENT_CERT"].encode())
    except ValueError:
        return None


@functools.lru_cache(maxsize=500)
def _fingerprint_of(path: str) -> str:
    return pki.fingerprint(Path(path).read_bytes())


def is_registered_certificate(registration: Row, presented: str | None) -> bool:
    """It must be the very certificate that was registered, not just any good one."""
    return presented is not None and presented == _fingerprint_of(registration["data"]["client_certificate_path"])


def _token(sandbox: "Sandbox", environment: str) -> Answer:
    if flask.request.method != "POST":
        return Refused(405, "invalid_request", f"{flask.request.method} not permitted").answer()
    presented = presented_certificate()
    if presented is None:
        return invalid_certificate()
    try:
        fields = _fields()
        registration = _client(sandbox, environment)
        if not is_registered_certificate(registration, presented):
            return invalid_certificate()
        answer = _granted(sandbox, environment, registration, fields)
    except Refused as refusal:
        return refusal.answer()
    spoiled = _spoiled(sandbox, answer)
    return spoiled or flask.Response(json.dumps(answer), 200, content_type="application/json")


def _spoiled(sandbox: "Sandbox", answer: dict[str, Any]) -> Answer | None:
    """Oddities PG&E's token answers have been seen with, and the sandbox's common token faults."""
    if sandbox.fault("token_expires_string", "pge") is not None:
        answer["expires_in"] = str(answer["expires_in"])
    if sandbox.fault("token_scope_number", "pge") is not None and "resourceURI" in answer:
        answer["scope"] = answer["resourceURI"].rsplit("/", 1)[1]
    if sandbox.fault("token_no_resource_uri", "pge") is not None:
        answer.pop("resourceURI", None)
    if "client_access_token" in answer and sandbox.fault("client_token_xml", "pge") is not None:
        return flask.Response(pge_xml.response_xml(answer.items()), 200, content_type="application/xml")
    return faults.token_answer(sandbox, "pge", answer)


def _fields() -> dict[str, str]:
    """Token fields from a form body or from the query string, not from both."""
    body, query = flask.request.form, flask.request.args
    if body and query:
        raise Refused(400, "invalid_request", "Invalid request")
    if not body and flask.request.get_data(cache=True):
        raise Refused(400, "invalid_request", "Missing grant_type")
    given = body or query
    if any(len(given.getlist(name)) > 1 for name in given):
        raise Refused(400, "invalid_request", "Invalid request")
    fields = {name: given[name] for name in given}
    if not fields.get("grant_type"):
        raise Refused(400, "invalid_request", "Missing grant_type")
    return fields


def _client(sandbox: "Sandbox", environment: str) -> Row:
    """The registration named by the Basic header (standard base64 alphabet)."""
    scheme, _, value = flask.request.headers.get("Authorization", "").partition(" ")
    try:
        client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        client_id = secret = ""
    row = sandbox.registration(environment, utility="pge", client_id=client_id) if client_id else None
    if (
        scheme.lower() != "basic"
        or row is None
        or not hmac.compare_digest(row["client_secret"].encode(), secret.encode())
    ):
        raise Refused(401, "invalid_client", "Client authentication failed")
    return row


def _granted(sandbox: "Sandbox", environment: str, registration: Row, fields: dict[str, str]) -> dict[str, Any]:
    grant = fields["grant_type"]
    if grant == "client_credentials":
        token = sandbox.issue("client", registration, ACCESS_LIFETIME, token=str(uuid.uuid4()))
        sandbox.note(token_class="client")  # noqa: S106 -- the class of a token
        return {
            "client_access_token": token,
            "token_type": "Bearer",
            "expires_in": ACCESS_LIFETIME,
            "scope": "5+6+7",
        }
    if grant == "authorization_code":
        return _exchange(sandbox, environment, registration, fields)
    if grant == "refresh_token":
        return _refresh(sandbox, registration, fields.get("refresh_token", ""))
    raise Refused(400, "unsupported_grant_type", "grant_type is not supported")


def _exchange(sandbox: "Sandbox", environment: str, registration: Row, fields: dict[str, str]) -> dict[str, Any]:
    row = sandbox.store.get("codes", code=fields.get("code", ""))
    test = environment == "test"
    good = (
        row is not None
        and row["registration"] == registration["id"]
        and row["redirect_uri"] == fields.get("redirect_uri")
        and row["expires"] > sandbox.now()
        and bool(row["data"].get("test")) == test
        # Claimed by one exchange only: whoever comes second changes no row.
        and sandbox.store.update("codes", {"code": row["code"], "used": 0}, used=1) == 1
    )
    if not good or row is None:
        raise Refused(400, "invalid_request", "Invalid request")
    if test:
        return _test_tokens(sandbox, registration)
    authorization = sandbox.store.get("authorizations", id=row["authorization"])
    if authorization is None or authorization["status"] != "active":
        raise Refused(400, "invalid_request", "Invalid request")
    _replace_earlier(sandbox, authorization)
    return _tokens(sandbox, registration, authorization)


def _replace_earlier(sandbox: "Sandbox", authorization: Row) -> None:
    """A new authorization of the same customer cancels the earlier SubscriptionID and its token."""
    same = {name: authorization[name] for name in ("utility", "registration", "username")}
    for earlier in sandbox.store.find("authorizations", status="active", **same):
        if earlier["id"] < authorization["id"]:
            sandbox.revoke(earlier["id"])


def _refresh(sandbox: "Sandbox", registration: Row, value: str) -> dict[str, Any]:
    row = sandbox.token(value)
    good = row is not None and row["kind"] == "refresh" and row["registration"] == registration["id"]
    if not good or row is None or not sandbox.store.update("tokens", {"token": value, "revoked": 0}, revoked=1):
        raise Refused(400, "invalid_request", "Invalid request")
    if row["authorization"] is None:
        return _test_tokens(sandbox, registration)
    authorization = sandbox.store.get("authorizations", id=row["authorization"])
    if authorization is None or not is_alive(sandbox, authorization):
        raise Refused(400, "invalid_request", "Invalid request")
    return _tokens(sandbox, registration, authorization)


def is_alive(sandbox: "Sandbox", authorization: Row) -> bool:
    ends = authorization["ends"]
    return authorization["status"] == "active" and (ends is None or ends > sandbox.now())


def _tokens(sandbox: "Sandbox", registration: Row, authorization: Row) -> dict[str, Any]:
    """A customer's token answer, the same for the code and for a refresh: refresh tokens rotate."""
    link = {"authorization": authorization["id"]}
    root = pge_notify.root(sandbox)
    data = {**authorization["data"], "root": root}
    sandbox.store.update("authorizations", {"id": authorization["id"]}, data=data, accessed=sandbox.now())
    sandbox.note(token_class="access", authorization=authorization["id"])  # noqa: S106
    answer = {
        "access_token": sandbox.issue("access", registration, ACCESS_LIFETIME, token=str(uuid.uuid4()), **link),
        "refresh_token": sandbox.issue("refresh", registration, REFRESH_LIFETIME, token=str(uuid.uuid4()), **link),
        "token_type": "Bearer",
        "expires_in": ACCESS_LIFETIME,
        "scope": _scope(sandbox, authorization["scope"]),
        "resourceURI": f"{root}/Batch/Subscription/{authorization['subscription']}",
        "authorizationURI": f"{root}/Authorization/{authorization['subscription']}",
    }
    if not {"Usage", "Billing"} & set(data.get("groups", ())):
        answer.pop("resourceURI")
    return answer


def _scope(sandbox: "Sandbox", scope: str) -> str:
    """The granted scope, unless a fault narrows or widens it."""
    if sandbox.fault("narrower_scope", "pge") is not None:
        scope = scope.replace("_16", "").replace("_15", "").replace("_Billing", "").replace("Billing_", "")
    if sandbox.fault("wider_scope", "pge") is not None:
        blocks, semicolon, rest = scope.partition(";")
        scope = f"{blocks}_46_47_99{semicolon}{rest}"
    return scope


def _test_tokens(sandbox: "Sandbox", registration: Row) -> dict[str, Any]:
    """Dummy tokens of the registration test: they open no customer's data."""
    root = pge_notify.root(sandbox)
    sandbox.note(token_class="access")  # noqa: S106
    sandbox.store.update("registrations", {"id": registration["id"]}, data={**registration["data"], "oauth_test": True})
    return {
        "access_token": sandbox.issue("access", registration, ACCESS_LIFETIME, token=str(uuid.uuid4())),
        "refresh_token": sandbox.issue("refresh", registration, REFRESH_LIFETIME, token=str(uuid.uuid4())),
        "token_type": "Bearer",
        "expires_in": ACCESS_LIFETIME,
        "scope": TEST_SCOPE,
        "resourceURI": f"{root}/Batch/Subscription/0",
        "authorizationURI": f"{root}/Authorization/0",
    }


def _test_authorize(sandbox: "Sandbox") -> Answer:
    """The registration test's authorize endpoint: no customer, a dummy code at once."""
    query = flask.request.args
    if not query.get("client_id"):
        return Refused(400, "invalid_request", "client_id is empty").answer()
    registration = sandbox.registration("test", utility="pge", client_id=query["client_id"])
    if registration is None or query.get("redirect_uri") != registration["redirect_uri"]:
        return Refused(400, "invalid_request", "client_id or redirect_uri is not registered").answer()
    where, state = registration["redirect_uri"], query.get("state")
    if query.get("response_type") != "code":
        return flask.Response("", 302, {"Location": with_query(where, error="invalid_request", state=state)})
    code = issue_code(sandbox, registration, None, {"test": True})
    return flask.Response("", 302, {"Location": with_query(where, code=code, state=state)})


def issue_code(sandbox: "Sandbox", registration: Row, authorization: int | None, data: Row) -> str:
    """A single-use code that lives 600 seconds (none at all when the fault expired_code is armed)."""
    code, now = str(uuid.uuid4()), sandbox.now()
    lifetime = 0 if sandbox.fault("expired_code", "pge") is not None else CODE_LIFETIME
    sandbox.store.insert(
        "codes", code=code, registration=registration["id"], authorization=authorization,
        redirect_uri=registration["redirect_uri"], created=now, expires=now + lifetime, data=data,
    )  # fmt: skip
    return code
