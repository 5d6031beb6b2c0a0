"""A third party that walks the UtilityAPI platform's form and calls its API, for the sandbox's own tests."""

import base64
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests import sandbox_app
from tests.sandbox.answers import redirected, texts, xml
from utilities.sandbox import utilityapi_utilities as utilities
from utilities.sandbox.app import Config, register_forms
from utilities.sandbox.context import Sandbox

NOW = 1_795_262_400  # 2026-11-21 12:00:00 UTC
BASE = "https://portal.example/espi/1_1"
REDIRECT = f"{BASE}/OAuthCallBack/essex"
PORTAL = "/greenbutton.essexpowerlines.ca"
PLATFORM = "http://localhost:8001/utilityapi.com"
ESPI = f"{PLATFORM}/DataCustodian/espi/1_1/resource"
SCOPE = "FB=4_16_39_51;HistoryLength=63072000"
RESIDENTIAL = {"action": "lastbill", "account": "111111111-1", "amount": "100.0", "date": "2023-07-01"}


@dataclass
class World:
    """One sandbox and one registered third party; `now` is its clock, `posted` (url, body, headers) what it was sent."""

    environment: str = "sandbox"
    now: float = NOW
    answers: int = 200
    posted: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.app = sandbox_app.take(Config(clock=lambda: self.now, deliver=self._deliver))
        self.sandbox: Sandbox = self.app.extensions["sandbox"]
        form = {
            "utility": "essex", "environment": self.environment, "edition": "", "company": "Example Energy",
            "portal_uri": f"{BASE}/", "scope_selection_uri": f"{BASE}/ScopeSelection", "redirect_uri": REDIRECT,
            "notify_uri": f"{BASE}/Notification/essex/secret", "webhook_uri": f"{BASE}/Webhook/essex/secret",
        }  # fmt: skip
        self.welcome = register_forms(self.sandbox, [form])[0]
        self.browser: FlaskClient = self.app.test_client()

    def _deliver(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        self.posted.append((url, body, headers))
        return self.answers

    @property
    def row(self) -> dict[str, Any]:
        return self.sandbox.store.get("registrations", client_id=self.welcome["client_id"]) or {}

    # Pages
    def request(self, portal: str = f"{PORTAL}/oauth/authorize", **changes: str | None) -> str:
        query = {
            "response_type": "code", "client_id": self.welcome["client_id"], "redirect_uri": REDIRECT, "scope": SCOPE,
            "state": "s1",
        } | changes  # fmt: skip
        kept = {name: value for name, value in query.items() if value is not None}
        return f"{portal}?{urlencode(kept, quote_via=quote)}"

    def verify(self, address: str | None = None, **form: str) -> TestResponse:
        return self.browser.post(address or self.request(), data=form or RESIDENTIAL)

    def consent(self, address: str | None = None, **form: Any) -> TestResponse:
        address = address or self.request()
        meters = re.findall(r'name="meter" value="([^"]+)"', self.browser.get(address).text)
        filled = {"data": ["4", "16", "51"], "meter": meters, "until": "2027-06-01", "history": "63072000"}
        return self.browser.post(address, data={"action": "authorize", **filled, **form})

    def authorize(self, address: str | None = None, who: dict[str, str] | None = None, **form: Any) -> TestResponse:
        address = address or self.request()
        assert self.verify(address, **(who or RESIDENTIAL)).status_code == 302
        return self.consent(address, **form)

    def live_customer(self, name: str = "solar@example.com") -> dict[str, str]:
        """The look-up of a customer that only a third party in Live mode may ask for."""
        utility = utilities.BY_SLUG["essex"]
        customer = next(one for one in utilities.customers(utility, self.sandbox.born) if one.username == name)
        amount, day = utilities.last_bill(utility, customer, self.now) or ("", "")
        return {"action": "lastbill", "account": customer.account.number, "amount": amount, "date": day}

    def settings(self, **form: str) -> None:
        self.browser.post("/utilityapi.com/settings", data={"registration": self.row["id"], **form})

    # API
    def basic(self, secret: str | None = None) -> dict[str, str]:
        pair = f"{self.welcome['client_id']}:{secret or self.welcome['client_secret']}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

    def token(self, portal: str = f"{PORTAL}/oauth/token", **fields: str) -> TestResponse:
        base = {"base_url": "http://localhost:8001"}
        return self.app.test_client().post(portal, data=fields, headers=self.basic(), **base)

    def exchange(self, code: str, **more: str) -> TestResponse:
        return self.token(**{"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT} | more)

    def connect(self, address: str | None = None, who: dict[str, str] | None = None, **form: Any) -> dict[str, Any]:
        answer = self.exchange(back(self.authorize(address, who, **form))["code"])
        assert answer.status_code == 200, answer.text
        return answer.json

    def client_token(self) -> str:
        return self.token(grant_type="client_credentials").json["access_token"]

    def get(self, url: str, token: str, **query: str) -> TestResponse:
        url = url if url.startswith("http") else f"{ESPI}/{url}"
        url += ("?" + urlencode(query)) if query else ""
        return self.app.test_client().get(url, headers={"Authorization": f"Bearer {token}"})

    def batch(self, tokens: dict[str, Any], **query: str) -> ElementTree.Element:
        """The batch of an authorization, asked for again when it is still being built."""
        url = tokens["resourceURI"].replace("/resource/", "/resource/Batch/")
        answer = self.get(url, tokens["access_token"], **query)
        if answer.status_code == 202:
            answer = self.get(url, tokens["access_token"], **query)
        return xml(answer)

    def api(self, method: str, path: str, token: str | None = None, **how: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {token or self.welcome['api_token']}"}
        return self.app.test_client().open(f"{PLATFORM}/api/v2{path}", method=method, headers=headers, **how)

    def fault(self, name: str, **more: Any) -> None:
        asked = {"name": name, "utility": "essex", **more}
        assert self.app.test_client().post("/_sandbox/faults", json=asked).status_code == 200

    def deliver(self, kind: str = "Notification") -> list[tuple[str, bytes, dict[str, str]]]:
        """Send what waits; what arrived at that endpoint."""
        self.posted.clear()
        self.app.test_client().post("/_sandbox/deliver?all=1")
        return [one for one in self.posted if f"/{kind}/" in one[0]]


def back(answer: TestResponse) -> dict[str, str]:
    return redirected(answer, REDIRECT)


def resources(notification: tuple[str, bytes, dict[str, str]]) -> list[str]:
    return texts(ElementTree.fromstring(notification[1]), "resources")
