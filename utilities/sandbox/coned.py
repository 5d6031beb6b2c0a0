"""Con Edison's Share My Data platform: CECONY and ORU, contract editions V1 and V2."""

import secrets

import flask

from utilities.sandbox import signin
from utilities.sandbox.context import Sandbox, platform_app
from utilities.sandbox.registration import kept
from utilities.sandbox.state import Row

UTILITIES = {"cecony": "Con Edison", "oru": "Orange & Rockland"}
WEB_HOSTS = {
    "www.coned.com": "cecony",
    "uat10-core.coned.com": "cecony",
    "uat10.coned.com": "cecony",
    "www.oru.com": "oru",
    "uat10-core.oru.com": "oru",
    "uat10.oru.com": "oru",
}
API_HOSTS = frozenset(("api.coned.com", "apit.coned.com"))
TLS_HOSTS: frozenset[str] = frozenset()
HOSTS = WEB_HOSTS | dict.fromkeys(API_HOSTS, "")


def make_app(sandbox: Sandbox) -> flask.Flask:
    """The web sites of both utilities and the API they share."""
    app = platform_app(sandbox, "coned")
    signin.add_pages(sandbox, app)
    return app


def welcome(sandbox: Sandbox, registration: Row) -> dict[str, str]:
    """What the onboarding team sends besides the OAuth credentials."""

    def digits() -> str:
        return f"{secrets.randbelow(900000) + 100000}"

    return {"third_party_id": kept(registration, "third_party_id", digits)}
