"""PG&E's side of Share My Data: the customers' site (sharemydata.pge.com) and the mutual-TLS API (api.pge.com)."""

import secrets
import uuid

import flask

from utilities.sandbox import pge_api, pge_notify, pge_oauth, pge_pages, pki, signin
from utilities.sandbox.context import Sandbox, platform_app
from utilities.sandbox.registration import kept
from utilities.sandbox.state import Row

UTILITIES = {"pge": "Pacific Gas and Electric (PG&E)"}
WEB_HOST, API_HOST = "sharemydata.pge.com", "api.pge.com"
HOSTS = {WEB_HOST: "pge", API_HOST: "pge"}
API_HOSTS = frozenset((API_HOST,))
TLS_HOSTS = frozenset((API_HOST,))


def make_app(sandbox: Sandbox) -> flask.Flask:
    """Both hosts in one application; each answers its own paths only."""
    app = platform_app(sandbox, "pge")
    signin.add_pages(sandbox, app)
    pge_pages.add_pages(sandbox, app)
    pge_oauth.add_endpoints(sandbox, app)
    pge_api.add_endpoints(sandbox, app)
    app.before_request(_right_host)
    app.register_error_handler(404, _unknown)
    sandbox.on_revoked["pge"] = lambda row: pge_notify.authorization_changed(sandbox, row)
    return app


def _right_host() -> flask.typing.ResponseReturnValue | None:
    """The API's paths exist on the API's host only, and the pages on the customers' site only."""
    path, host = flask.request.path, flask.request.environ["sandbox.host"]
    if path.startswith("/_sandbox/"):
        return None
    on_api = path.startswith(("/datacustodian", "/GreenButtonConnect"))
    if on_api == (host == API_HOST):
        return None
    return _unknown(None)


def _unknown(_error: object) -> flask.typing.ResponseReturnValue:
    """Developer page, probed: the gateway's text for a path it does not route."""
    if flask.request.environ["sandbox.host"] == API_HOST:
        text = f"No listener for endpoint: {flask.request.path}"
        return flask.Response(text, 404, content_type="text/plain; charset=utf-8")
    return flask.render_template("pge/message.html", title="Page not found", text="There is no such page here."), 404


def welcome(sandbox: Sandbox, registration: Row) -> dict[str, str]:
    """What PG&E's registration portal shows: third party id (also the bulk id), registration token, certificate."""
    if len(registration["client_id"]) != 32:  # PG&E's client ids have 32 characters
        client_id = secrets.token_hex(16)
        sandbox.store.update("registrations", {"id": registration["id"]}, client_id=client_id)
        registration["client_id"] = client_id
    third_party = kept(registration, "third_party_id", lambda: str(secrets.randbelow(90000) + 10000))
    token = kept(registration, "registration_access_token", lambda: str(uuid.uuid4()))
    certificate, key = pki.client(sandbox.config.pki_dir, f"pge-{registration['client_id']}")
    return {
        "third_party_id": third_party,
        "bulk_id": third_party,
        "registration_access_token": token,
        "client_certificate_path": str(certificate.resolve()),
        "client_key_path": str(key.resolve()),
        "ca_bundle_path": str((sandbox.config.pki_dir / "ca.pem").resolve()),
    }
