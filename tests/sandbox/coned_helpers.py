"""A third party that walks Con Edison's pages and calls its API, for the sandbox's own tests."""

import base64
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from xml.etree import ElementTree

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests import sandbox_app
from utilities.sandbox import people
from utilities.sandbox.app import Config, register_forms
from utilities.sandbox.context import Sandbox

NOW = 1_795_262_400  # 2026-11-21T07:00:00-05:00, a Saturday
REDIRECT = "https://portal.example/espi/1_1/OAuthCallBack/cecony"
PATH = "/accounts-billing/dashboard/billing-and-usage/share-my-data-connections/third-party-authorization"
CONSUMPTION = (
    "FB=1_3_4_5_7_10_13_14_18_32_33_35_37_38_41_44;IntervalDuration=Monthly_3600_900_300;"
    "BlockDuration=Monthly_Daily;HistoryLength=63113904;"
)
BILLING = (
    "FB=1_3_6_10_13_14_15_16_28_32_33_35_37_38_41_44;IntervalDuration=Monthly;BlockDuration=Monthly;"
    "HistoryLength=63113904;"
)
REAL_TIME = (
    "FB=1_3_4_5_7_13_14_18_32_33_35_37_38_41_44;IntervalDuration=900_300;BlockDuration=Daily;HistoryLength=86400;"
)
RETAIL = "FB=1_3_13_14_46_47;"
ALL_FOUR = "|".join((CONSUMPTION, BILLING, REAL_TIME, RETAIL))
TAIL = "IntervalDuration=Monthly_3600_900_300;BlockDuration=Monthly_Daily;HistoryLength=63072000"


@dataclass
class World:
    """One sandbox, one registered third party, one utility and edition."""

    utility: str = "cecony"
    edition: str = "v1"
    environment: str = "sandbox"
    now: float = NOW
    notify_status: int = 200
    posted: list[tuple[str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        config = Config(clock=lambda: self.now, deliver=self._deliver, notify_delay=2)
        self.app = sandbox_app.take(config)
        self.sandbox: Sandbox = self.app.extensions["sandbox"]
        self.browser: FlaskClient = self.app.test_client()
        self.api: FlaskClient = self.app.test_client(use_cookies=False)
        self.package = self.register(self.utility, self.edition, self.environment)
        self.web = "/www.coned.com" if self.utility == "cecony" else "/www.oru.com"
        self.base = "/api.coned.com/gbc/v1" if self.edition == "v1" else "/api.coned.com/gbc/espi/1_1"

    def _deliver(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        self.posted.append((url, body))
        return self.notify_status

    def register(self, utility: str, edition: str, environment: str = "sandbox") -> dict[str, Any]:
        form = {
            "utility": utility,
            "environment": environment,
            "edition": edition,
            "company": "Example Meter Company",
            "portal_uri": "https://portal.example/",
            "scope_selection_uri": "https://portal.example/espi/1_1/ScopeSelection",
            "redirect_uri": REDIRECT,
            "notify_uri": "https://portal.example/espi/1_1/Notification/cecony/secret",
            "webhook_uri": "",
        }
        return register_forms(self.sandbox, [form])[0]

    def fault(self, name: str, **more: Any) -> None:
        assert self.api.post("/_sandbox/faults", json={"name": name, **more}).status_code == 200

    # the customer

    def sign_in(self, username: str = "home@example.com") -> TestResponse:
        form = {"username": username, "password": people.PASSWORD, "next": "/"}
        return self.browser.post(f"{self.web}/sign-in", data=form)

    def account(self, username: str = "home@example.com", index: int = 0) -> people.Account:
        person = people.find(self.utility, username, self.sandbox.born)
        assert person
        return person.accounts[index]

    def leave(self, username: str = "home@example.com", **changes: Any) -> TestResponse:
        """Hop 2: from the utility's page to the third party."""
        self.sign_in(username)
        form = {
            "third_party": self.package["third_party_id"],
            "account": self.account(username).number,
            "start": "2026-11-21",
            "end": "2027-11-20",
            "terms": "yes",
            "decision": "authorize",
        }
        return self.browser.post(f"{self.web}{PATH}", data=form | changes)

    def back(self, scope: str = ALL_FOUR, **more: str) -> TestResponse:
        """Hop 3: from the third party back to the utility."""
        query = {"client_id": self.package["client_id"], "scope": scope} | more
        return self.browser.get(f"{self.web}{PATH}/redirect?{urlencode(query)}")

    def v1_code(self, scope: str = ALL_FOUR, username: str = "home@example.com") -> str:
        self.leave(username)
        return query_of(self.back(scope))["code"]

    def authorize_query(self, scope: str | None = None, **changes: str) -> dict[str, str]:
        full = f"FB=1_3_4_5_7_10_15_16_51_53_56_57_58_60;{TAIL};BR={self.package['third_party_id']}"
        query = {
            "response_type": "code",
            "client_id": self.package["client_id"],
            "redirect_uri": REDIRECT,
            "scope": scope or full,
            "state": "s-123",
        }
        return query | changes

    def decide(self, scope: str | None = None, username: str = "home@example.com", **form: Any) -> TestResponse:
        self.sign_in(username)
        choices = {
            "account": self.account(username).number,
            "choice": ["5", "7", "8", "10", "15", "16", "56", "57", "58", "60"],
            "duration": "until_revoked",
            "decision": "authorize",
        }
        query = self.authorize_query(scope)
        return self.browser.post(f"{self.web}/en/oauth/authorize?{urlencode(query)}", data=choices | form)

    # the third party

    def v1_request(self, body: dict[str, Any], key: str | None = "", host: str = "api.coned.com") -> TestResponse:
        key = self.package["subscription_key"] if key == "" else key
        headers = {"ocp-apim-subscription-key": key} if key else {}
        credentials = {"clientId": self.package["client_id"], "clientSecret": self.package["client_secret"]}
        return self.api.post(f"/{host}/gbc/v1/oauth/v1/Token", json=credentials | body, headers=headers)

    def v1_exchange(self, code: str, /, **changes: Any) -> TestResponse:
        body = {"grantType": "authorization_code", "redirectUri": REDIRECT, "authCode": code}
        return self.v1_request({name: value for name, value in (body | changes).items() if value is not None})

    def v2_request(self, form: dict[str, Any], host: str = "api.coned.com", **options: Any) -> TestResponse:
        secret = f"{self.package['client_id']}:{self.package['client_secret']}"
        headers = {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()}
        return self.api.post(f"/{host}/gbc/espi/1_1/oauth/Token", data=form, headers=headers, **options)

    def v2_exchange(self, code: str, /, **changes: str) -> TestResponse:
        return self.v2_request({"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT} | changes)

    def tokens(self, scope: str | None = None, username: str = "home@example.com", **form: Any) -> dict[str, Any]:
        """The whole authorization; the token response."""
        if self.edition == "v1":
            response = self.v1_exchange(self.v1_code(scope or ALL_FOUR, username))
        else:
            response = self.v2_exchange(query_of(self.decide(scope, username, **form))["code"])
        assert response.status_code == 200, response.text
        return response.get_json()

    def client_token(self) -> str:
        if self.edition == "v1":
            response = self.v1_request({"grantType": "client_credentials", "scope": "FB=3_35_47"})
        else:
            response = self.v2_request({"grant_type": "client_credentials", "scope": "FB=34_35"})
        return response.get_json()["access_token"]

    def get(self, path: str, token: str, method: str = "GET", **query: str) -> TestResponse:
        """A resource by its path below /resource, or by the address the sandbox gave."""
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/atom+xml"}
        if self.edition == "v1":
            headers["ocp-apim-subscription-key"] = self.package["subscription_key"]
        url = f"{self.base}/resource{path}" if path.startswith("/") else path.removeprefix("http://localhost")
        return self.api.open(url, method=method, headers=headers, query_string=query or None)

    def deliver(self) -> list[str]:
        """Let time pass and send what is due; the addresses announced last."""
        self.now += 5
        self.api.post("/_sandbox/deliver")
        return announced(self.posted[-1][1]) if self.posted else []

    def deliveries(self) -> list[dict[str, Any]]:
        return self.api.get("/_sandbox/deliveries").get_json()


def announced(body: bytes) -> list[str]:
    root = ElementTree.fromstring(body)
    return [(one.text or "").strip() for one in root.iter("{http://naesb.org/espi}resources")]


def query_of(response: TestResponse) -> dict[str, str]:
    """The parameters a redirect carries."""
    assert response.status_code == 302, response.text
    query = parse_qs(urlsplit(response.headers["Location"]).query, keep_blank_values=True)
    return {name: values[0] for name, values in query.items()}


def subscription_of(tokens: dict[str, Any]) -> str:
    return tokens["resourceURI"].rpartition("/")[2]


def xml(response: TestResponse) -> ElementTree.Element:
    assert response.status_code == 200, (response.status_code, response.text[:300])
    return ElementTree.fromstring(response.data)


def texts(root: ElementTree.Element, name: str) -> list[str]:
    """The texts of all elements with a local name, exactly as spelled."""
    return [one.text or "" for one in root.iter() if one.tag.rpartition("}")[2] == name]


def links(root: ElementTree.Element, rel: str) -> list[str]:
    return [one.attrib["href"] for one in root.iter("{http://www.w3.org/2005/Atom}link") if one.attrib["rel"] == rel]
