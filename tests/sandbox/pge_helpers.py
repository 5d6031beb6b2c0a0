"""A third party that walks PG&E's pages and calls its API over mutual TLS, for the sandbox's own tests."""

import base64
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests import sandbox_app
from tests.sandbox.answers import redirected
from utilities.sandbox import people
from utilities.sandbox.app import Config, register_forms
from utilities.sandbox.context import Sandbox

NOW = 1_795_262_400  # 2026-11-21 12:00:00 UTC
REDIRECT = "https://portal.example/espi/1_1/OAuthCallBack/pge"
PORTAL = "https://portal.example/espi/1_1/ThirdPartyPortal/pge"
NOTIFY = "https://portal.example/espi/1_1/Notification/pge/secret"
GROUPS = ("Usage", "Billing", "Basic", "Account", "ProgramEnrollment")
API = "https://localhost:8002/api.pge.com"
ESPI = f"{API}/GreenButtonConnect/espi/1_1/resource"
PAGE = "/sharemydata.pge.com/myAuthorization"
PKI = Path(tempfile.mkdtemp(prefix="sandbox-pki-"))


@dataclass
class World:
    """One sandbox and one registered third party; `now` is its clock, `posted` what it was notified of."""

    environment: str = "sandbox"
    now: float = NOW
    posted: list[tuple[str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.app = sandbox_app.take(Config(pki_dir=PKI, clock=lambda: self.now, deliver=self._deliver))
        self.sandbox: Sandbox = self.app.extensions["sandbox"]
        self.welcome = self.register(REDIRECT)
        self.browser: FlaskClient = self.app.test_client()

    def _deliver(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        self.posted.append((url, body))
        return 200

    def register(self, redirect_uri: str) -> dict[str, Any]:
        form = {
            "utility": "pge", "environment": self.environment, "edition": "", "company": "Example Energy",
            "portal_uri": PORTAL, "scope_selection_uri": PORTAL, "redirect_uri": redirect_uri, "notify_uri": NOTIFY,
            "webhook_uri": "",
        }  # fmt: skip
        return register_forms(self.sandbox, [form])[0]

    # Pages
    def request(self, **changes: str | None) -> str:
        query = {
            "client_id": self.welcome["client_id"], "redirect_uri": REDIRECT, "response_type": "code", "state": "s1",
        } | changes  # fmt: skip
        return f"{PAGE}?{urlencode({name: value for name, value in query.items() if value is not None})}"

    def sign_in(self, username: str = "home", address: str | None = None) -> TestResponse:
        form = {"action": "sign-in", "username": f"{username}@example.com", "password": people.PASSWORD}
        return self.browser.post(address or self.request(), data=form)

    def services(self, address: str | None = None) -> list[str]:
        page = self.browser.get(address or self.request())
        return re.findall(r'name="service" value="(\d+)"', page.text)

    def authorize(self, username: str = "home", address: str | None = None, **form: Any) -> TestResponse:
        address = address or self.request()
        self.sign_in(username, address)
        filled = {"service": self.services(address), "group": list(GROUPS), "period": "indefinite", "terms": "yes"}
        return self.browser.post(address, data={"action": "authorize", **filled, **form})

    def code(self, username: str = "home", **form: Any) -> str:
        return back(self.authorize(username, **form))["code"]

    # API
    def certificate(self, welcome: dict[str, Any] | None = None) -> dict[str, str]:
        path = Path((welcome or self.welcome)["client_certificate_path"])
        return {"SSL_CLIENT_VERIFY": "SUCCESS", "SSL_CLIENT_CERT": path.read_text()}

    def basic(self, secret: str | None = None) -> dict[str, str]:
        pair = f"{self.welcome['client_id']}:{secret or self.welcome['client_secret']}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

    def token(self, test: bool = False, certificate: bool = True, **fields: str) -> TestResponse:
        url = f"{API}/datacustodian{'/test' if test else ''}/oauth/v2/token"
        overrides = self.certificate() if certificate else {}
        return self.app.test_client().post(url, data=fields, headers=self.basic(), environ_overrides=overrides)

    def exchange(self, code: str, **more: Any) -> TestResponse:
        return self.token(grant_type="authorization_code", code=code, redirect_uri=REDIRECT, **more)

    def connect(self, username: str = "home", **form: Any) -> dict[str, Any]:
        answer = self.exchange(self.code(username, **form))
        assert answer.status_code == 200, answer.text
        return answer.json

    def client_token(self) -> str:
        return self.token(grant_type="client_credentials").json["client_access_token"]

    def get(self, url: str, token: str, method: str = "GET", **query: str) -> TestResponse:
        url = url if url.startswith("https:") else f"{ESPI}/{url}"
        url += ("?" + urlencode(query)) if query else ""
        headers = {"Authorization": f"Bearer {token}"}
        return self.app.test_client().open(url, method=method, headers=headers, environ_overrides=self.certificate())

    def fault(self, name: str, **more: Any) -> None:
        asked = {"name": name, "utility": "pge", **more}
        assert self.app.test_client().post("/_sandbox/faults", json=asked).status_code == 200

    def deliver(self) -> list[str]:
        """Send what waits; the addresses announced."""
        self.posted.clear()
        self.app.test_client().post("/_sandbox/deliver?all=1")
        return [one.text or "" for _url, body in self.posted for one in ElementTree.fromstring(body)]


def back(answer: TestResponse) -> dict[str, str]:
    return redirected(answer, REDIRECT)
