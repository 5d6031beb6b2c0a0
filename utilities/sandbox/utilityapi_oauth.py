"""The platform's token endpoint, the same at a utility's own host and at utilityapi.com.

Client authentication is HTTP Basic; fields come urlencoded or as multipart/form-data. Lifetimes and rotation are not
published: codes live ten minutes, and a third party's settings say how refresh tokens behave.
"""

import base64
import binascii
import hmac
import json
import secrets
from typing import TYPE_CHECKING, Any

import flask

from utilities.sandbox import faults
from utilities.sandbox import utilityapi_events as events
from utilities.sandbox import utilityapi_utilities as utilities
from utilities.sandbox.state import Row

if TYPE_CHECKING:
    from utilities.sandbox.context import Sandbox

ACCESS_LIFETIME, CODE_LIFETIME = 3600, 600
ROTATIONS = {
    "rotate": "Every refresh gives a new refresh token; the old one is dead",
    "same": "The refresh token stays the same and is repeated in each answer",
    "omit": "The refresh token stays the same and is left out of the answer to a refresh",
}
Answer = flask.Response


class Refused(Exception):
    """An error of RFC 6749 section 5.2."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error, self.description, self.status = error, description, status


def token(sandbox: "Sandbox", utility: utilities.Utility) -> Answer:
    """Answer a POST to the token endpoint of one utility."""
    sandbox.note(utility=utility.slug)
    try:
        registration = _client(sandbox, utility)
        events.remember_root(sandbox, registration)
        answer = _granted(sandbox, registration, _fields())
    except Refused as refusal:
        body = {"error": refusal.error, "error_description": refusal.description}
        headers = {"WWW-Authenticate": 'Basic realm="token"'} if refusal.status == 401 else {}
        return flask.Response(json.dumps(body), refusal.status, headers, content_type="application/json")
    spoiled = faults.token_answer(sandbox, utility.slug, answer)
    return spoiled or flask.Response(json.dumps(answer), 200, content_type="application/json")


def _fields() -> dict[str, str]:
    """Only the body counts: a field in the query string is not seen."""
    if flask.request.mimetype not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        raise Refused("invalid_request", "The request body must be form encoded.")
    form = flask.request.form
    if any(len(form.getlist(name)) > 1 for name in form):
        raise Refused("invalid_request", "A parameter is repeated.")
    if not form.get("grant_type"):
        raise Refused("invalid_request", "grant_type is missing.")
    return form.to_dict()


def _client(sandbox: "Sandbox", utility: utilities.Utility) -> Row:
    scheme, _, value = flask.request.headers.get("Authorization", "").partition(" ")
    try:
        client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        client_id = secret = ""
    row = sandbox.store.get("registrations", utility=utility.slug, client_id=client_id) if client_id else None
    good = row is not None and hmac.compare_digest(row["client_secret"].encode(), secret.encode())
    if scheme.lower() != "basic" or row is None or not good:
        raise Refused("invalid_client", "Client authentication failed.", 401)
    return row


def _granted(sandbox: "Sandbox", registration: Row, fields: dict[str, str]) -> dict[str, Any]:
    grant = fields["grant_type"]
    if grant == "client_credentials":
        return _client_token(sandbox, registration)
    if grant == "authorization_code":
        return _exchange(sandbox, registration, fields)
    if grant == "refresh_token":
        return _refresh(sandbox, registration, fields)
    raise Refused("unsupported_grant_type", "This grant type is not supported.")


def _client_token(sandbox: "Sandbox", registration: Row) -> dict[str, Any]:
    sandbox.note(token_class="client")  # noqa: S106 -- the class of a token
    bulk = sandbox.store.get("batches", request=f"b-{registration['id']}", registration=registration["id"])
    if bulk is None:  # the standing bulk feed that this answer points to
        sandbox.store.insert(
            "batches", request=f"b-{registration['id']}", utility=registration["utility"], status="ready",
            registration=registration["id"], token_kind="client", created=sandbox.now(), data={"standing": True},  # noqa: S106
        )  # fmt: skip
    root = events.root(sandbox)
    return {
        "token_type": "Bearer",
        "access_token": sandbox.issue("client", registration, ACCESS_LIFETIME, token=secrets.token_hex(32)),
        "expires_in": ACCESS_LIFETIME,
        "scope": "FB=1_3_14_32",
        "resourceURI": f"{root}/Bulk/b-{registration['id']}",
        "authorizationURI": f"{root}/Authorization",
    }


def _exchange(sandbox: "Sandbox", registration: Row, fields: dict[str, str]) -> dict[str, Any]:
    row = sandbox.store.get("codes", code=fields.get("code", ""))
    good = (
        row is not None
        and row["registration"] == registration["id"]
        and row["redirect_uri"] == fields.get("redirect_uri")
        and row["expires"] > sandbox.now()
        # Claimed by one exchange only: whoever comes second changes no row.
        and sandbox.store.update("codes", {"code": row["code"], "used": 0}, used=1) == 1
    )
    authorization = sandbox.store.get("authorizations", id=row["authorization"]) if row and good else None
    if authorization is None or not is_alive(sandbox, authorization):
        raise Refused("invalid_grant", "The code is invalid, expired, used, or for another redirect_uri.")
    refresh = sandbox.issue(
        "refresh", registration, None, token=secrets.token_hex(32), authorization=authorization["id"]
    )
    return _answer(sandbox, registration, authorization, refresh)


def _refresh(sandbox: "Sandbox", registration: Row, fields: dict[str, str]) -> dict[str, Any]:
    value = fields.get("refresh_token", "")
    row = sandbox.token(value)
    good = row is not None and row["kind"] == "refresh" and row["registration"] == registration["id"]
    authorization = sandbox.store.get("authorizations", id=row["authorization"]) if row and good else None
    if authorization is None or not is_alive(sandbox, authorization):
        raise Refused("invalid_grant", "The refresh token is invalid, expired or revoked.")
    rotation = registration["data"].get("rotation", "rotate")
    if rotation != "rotate":
        return _answer(sandbox, registration, authorization, value if rotation == "same" else None)
    if not sandbox.store.update("tokens", {"token": value, "revoked": 0}, revoked=1):
        raise Refused("invalid_grant", "The refresh token was used before.")
    fresh = sandbox.issue("refresh", registration, None, token=secrets.token_hex(32), authorization=authorization["id"])
    return _answer(sandbox, registration, authorization, fresh)


def is_alive(sandbox: "Sandbox", authorization: Row) -> bool:
    return authorization["status"] == "active" and authorization["ends"] > sandbox.now()


def _answer(sandbox: "Sandbox", registration: Row, authorization: Row, refresh: str | None) -> dict[str, Any]:
    """resourceURI and customerResourceURI have no /Batch/ here, unlike those of the Authorization resource."""
    uid, root = authorization["subscription"], events.root(sandbox)
    link = {"authorization": authorization["id"]}
    sandbox.note(token_class="access", authorization=authorization["id"])  # noqa: S106
    answer = {
        "token_type": "Bearer",
        "access_token": sandbox.issue("access", registration, ACCESS_LIFETIME, token=secrets.token_hex(32), **link),
        "refresh_token": refresh,
        "expires_in": ACCESS_LIFETIME,
        "scope": _scope(sandbox, registration["utility"], authorization["scope"]),
        "resourceURI": f"{root}/Subscription/{uid}",
        "customerResourceURI": f"{root}/RetailCustomer/{uid}",
        "authorizationURI": f"{root}/Authorization/{uid}",
    }
    return {name: value for name, value in answer.items() if value is not None}


def _scope(sandbox: "Sandbox", slug: str, scope: str) -> str:
    """The granted scope, unless a fault narrows or widens it."""
    blocks, semicolon, rest = scope.partition(";")
    if sandbox.fault("narrower_scope", slug) is not None:
        blocks = "_".join(one for one in blocks.split("_") if one not in ("16", "51"))
    if sandbox.fault("wider_scope", slug) is not None:
        blocks += "_16_51_99"
    return blocks + semicolon + rest
