"""Con Edison's Share My Data platform: CECONY and ORU, contract editions V1 and V2.

Two data custodians with their own web sites, customers and registrations; one API. Three ids of a third party are kept
apart: the OAuth client_id, the ThirdPartyId (ApplicationInformation id, the BR of a V2 scope), the subscription key.
"""

import secrets
import uuid

import flask

from utilities.sandbox import coned_batch, coned_pages, coned_resources, coned_terms, coned_token, signin
from utilities.sandbox.context import Sandbox, platform_app
from utilities.sandbox.registration import kept
from utilities.sandbox.state import Row

UTILITIES = coned_terms.UTILITIES
API_HOSTS = coned_terms.API_HOSTS
TLS_HOSTS: frozenset[str] = frozenset()
HOSTS = coned_terms.WEB_HOSTS | dict.fromkeys(sorted(API_HOSTS), "")


def make_app(sandbox: Sandbox) -> flask.Flask:
    """The web sites of both utilities and the API they share."""
    app = platform_app(sandbox, "coned")
    app.before_request(lambda: _right_side(sandbox))
    signin.add_pages(sandbox, app)
    coned_pages.add_pages(sandbox, app)
    coned_token.add_endpoints(sandbox, app)
    coned_resources.add_resources(sandbox, app)
    for slug in UTILITIES:
        sandbox.on_notified[slug] = lambda row: coned_batch.after_notification(sandbox, row)
    app.register_error_handler(404, lambda _error: _not_found(sandbox))
    app.register_error_handler(405, lambda _error: _not_found(sandbox))
    return app


def _right_side(sandbox: Sandbox) -> flask.Response | None:
    """The API hosts serve no pages, the web hosts no API."""
    api = flask.request.path.startswith("/gbc/")
    if api != (sandbox.host in API_HOSTS) and "/_sandbox/static" not in flask.request.path:
        return _not_found(sandbox)
    return None


def _not_found(sandbox: Sandbox) -> flask.Response:
    """The gateway's own answer on API hosts (seen live in 2026), a page elsewhere."""
    if sandbox.host in API_HOSTS:
        return flask.Response(
            '{ "statusCode": 404, "message": "Resource not found" }', 404, content_type="application/json"
        )
    slug = coned_terms.WEB_HOSTS[sandbox.host]
    return coned_pages.error_page(sandbox, slug, "There is no page at this address.", 404)


def welcome(sandbox: Sandbox, registration: Row) -> dict[str, str]:
    """What the onboarding team sends besides client id and secret; each value is issued once."""

    def once(name: str) -> str:
        makers = {
            "subscription_key": lambda: secrets.token_hex(16),
            "registration_access_token": lambda: str(uuid.uuid4()),
        }
        return kept(registration, name, makers.get(name, lambda: f"{secrets.randbelow(900_000) + 1_000:06d}"))

    if registration["edition"] not in ("v1", "v2"):
        raise ValueError(f"{UTILITIES[registration['utility']]} has the editions v1 and v2.")
    names = ["third_party_id", "bulk_id"]
    names += (
        ["subscription_key"] if registration["edition"] == "v1" else ["registration_access_token", "customer_bulk_id"]
    )
    fields = {name: once(name) for name in names}
    token = fields.get("registration_access_token")
    if token and not sandbox.store.get("tokens", token=token):
        sandbox.issue("registration", registration, None, token=token)
    return fields
