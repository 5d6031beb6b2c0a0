"""A portal and a sandbox that talk to each other in one process: real pages, real protocol, no sockets."""

import json
from collections.abc import Iterator
from copy import copy
from datetime import UTC, datetime

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

import utilities
from espi import session as espi_session
from espi.models import ApplicationInformation, AuthorizationRequest, FetchJob, Notification
from portal.flows import fetch, notify
from portal.models import User
from portal.wsgi import application as portal_application
from tests import sandbox_app
from tests.journeys.browser import Browser
from tests.journeys.walking import chromium, system, visit, walk
from tests.wsgi_adapter import WsgiAdapter
from utilities.sandbox import faults
from utilities.sandbox.app import register_forms
from utilities.sandbox.context import Config
from utilities.sandbox.notify import deliver_due
from utilities.sandbox.state import TABLES

__all__ = ["chromium", "system", "visit", "walk"]  # fixtures
PORTAL = "http://localhost:8000"
SANDBOX = "http://localhost:8001"
SANDBOX_TLS = "https://localhost:8002"
PASSWORD = "a long enough pass-phrase"
UTILITY_PASSWORD = "green-button"

ONBOARDED: dict[tuple, tuple[list[ApplicationInformation], dict[str, list[dict]]]] = {}


class World:
    """The portal, the sandbox, and the people between them."""

    def __init__(self, pki_dir, forms_dir) -> None:
        self.portal_adapter = WsgiAdapter(portal_application)
        self.app = sandbox_app.take(Config(deliver=self.deliver, notify_delay=0, pki_dir=pki_dir))
        self.sandbox = self.app.extensions["sandbox"]
        self.sandbox_adapter = WsgiAdapter(self.app)
        self.delivered: list[tuple[str, bytes, int]] = []
        self._onboard(forms_dir)

    def _onboard(self, folder) -> None:
        """The onboarding exchange; from the second time on, what it left on both sides, our numbers of the rows included."""
        among = (settings.SANDBOX_BASE_URL, *((each.slug, each.editions) for each in utilities.all()))
        store = self.sandbox.store
        if among not in ONBOARDED:
            self._exchange(folder)
            theirs = {table: store.find(table) for table in TABLES if table != "meta"}
            ONBOARDED[among] = list(ApplicationInformation.objects.order_by("pk")), theirs
            return
        ours, theirs = ONBOARDED[among]
        ApplicationInformation.objects.bulk_create([copy(each) for each in ours])
        for table, rows in theirs.items():
            store.delete(table)
            for row in rows:
                store.insert(table, **row)

    def _exchange(self, folder) -> None:
        """With files, as `make` does it."""
        forms, welcome = folder / "forms.json", folder / "welcome.json"
        call_command("registration_form", output=str(forms), verbosity=0)
        welcome.write_text(json.dumps(register_forms(self.sandbox, json.loads(forms.read_text()))))
        call_command("load_welcome_package", str(welcome), verbosity=0)

    def deliver(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        """The sandbox posts a notification to the portal."""
        import requests

        with requests.Session() as http:
            http.mount(PORTAL, self.portal_adapter)
            status = http.post(url, data=body, headers=headers, allow_redirects=False).status_code
        self.delivered.append((url, body, status))
        return status

    def browser(self) -> Browser:
        """A new browser without cookies."""
        return Browser({PORTAL: self.portal_adapter, SANDBOX: self.sandbox_adapter, SANDBOX_TLS: self.sandbox_adapter})

    def user(self, email: str = "ada@example.com", **more) -> User:
        """A registered customer whose address is confirmed."""
        user = User.objects.create_user(email, PASSWORD, **more)
        EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
        return user

    def signed_in(self, email: str = "ada@example.com") -> Browser:
        """A browser whose customer signed in through the page."""
        if not User.objects.filter(email=email).exists():
            self.user(email)
        browser = self.browser()
        browser.get(f"{PORTAL}/account/login/").press("Sign in", login=email, password=PASSWORD)
        assert browser.response.status_code == 200, browser.text
        return browser

    def offer(self, slug: str, edition: str = "") -> ApplicationInformation:
        """Offer customers this utility through this edition of its contract."""
        call_command("offer_utility", *[part for part in (slug, "sandbox", edition) if part], verbosity=0)
        return ApplicationInformation.objects.get(utility=slug, environment="sandbox", edition=edition)

    def to_check(self, browser: Browser, slug: str, *chosen: str) -> Browser:
        """Choose data and arrive at the check page."""
        browser.get(f"{PORTAL}/connect/{slug}")
        return browser.press("Continue", kinds=list(chosen or ("usage",)))

    def to_utility(self, browser: Browser, slug: str, *chosen: str) -> Browser:
        """Through the portal's own pages, up to the utility's first page."""
        self.to_check(browser, slug, *chosen)
        browser.press("Agree and continue")
        return browser.press("Continue to")

    def journey(self) -> AuthorizationRequest:
        """The newest journey."""
        return AuthorizationRequest.objects.latest("pk")

    def arm(self, fault: str, slug: str, **args: str) -> None:
        """Let the utility do one thing wrong, once."""
        faults.arm(self.sandbox, fault, slug, 1, args)

    def newest_subscription(self) -> str:
        """The subscription id of the authorization a utility made last."""
        row = self.sandbox.store.find("authorizations", order="id DESC", limit=1)[0]
        return str(row["subscription"] or 970_000 + row["id"] * 7)  # Con Edison's gets it with the token

    def token_requests(self) -> list[dict]:
        """What reached the utilities' token endpoints, from the sandbox's own ledger."""
        rows = self.sandbox.store.find("ledger")
        return [row for row in rows if row["path"].lower().endswith("/token")]

    def work(self, rounds: int = 40) -> None:
        """Let the worker and the utility take turns until nothing is left to do."""
        for _ in range(rounds):
            now = datetime.now(UTC)
            deliver_due(self.sandbox, everything=True)
            notifications = list(Notification.objects.filter(state=Notification.State.RECEIVED))
            due = list(FetchJob.objects.filter(state=FetchJob.State.DUE).order_by("pk"))
            if not notifications and not due:
                return
            for notification in notifications:
                notify.resolve(notification.pk, now=now)
            for job in due:
                FetchJob.objects.filter(pk=job.pk).update(not_before=now)
                fetch.run(job.pk, now=now)


@pytest.fixture
def world(db, settings, tmp_path, tmp_path_factory) -> Iterator[World]:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.ALLOWED_HOSTS = ["localhost"]
    # A page is served inside the test's own transaction, as Django's test client does it.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    pki = tmp_path_factory.getbasetemp() / "pki"
    with sandbox_app.given_back():
        with_sandbox = World(pki, tmp_path)
        with (
            espi_session.mounted(SANDBOX, with_sandbox.sandbox_adapter),
            espi_session.mounted(SANDBOX_TLS, with_sandbox.sandbox_adapter),
        ):
            yield with_sandbox
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)
