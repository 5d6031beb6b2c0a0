"""People in headless Chromium: real sockets, a real worker, everything started as `make` starts it.

The fixtures are known to every journey by conftest.py.
"""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

ROOT = Path(__file__).resolve().parents[2]
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 360, "height": 740}}
ZOOMED = {"width": 320, "height": 256}  # 1280 by 1024 at 400 % (WCAG 1.4.10)
START_SECONDS = 240
FIRST_DATA_SECONDS = 120
SEEN: set[tuple[object, ...]] = set()  # kinds of pages whose accessibility was checked at this window size


@dataclass(frozen=True)
class System:
    """A running portal with its sandbox, and where they are."""

    var: Path
    portal: str
    sandbox: str

    def login(self, who: str) -> dict[str, str]:
        """A demo login, as the launcher prints it."""
        logins = json.loads((self.var / "demo-logins.json").read_text())
        return next(login for login in logins if login["email"].startswith(who))

    def manage(self, *words: str) -> None:
        """A management command on the running system."""
        command = [sys.executable, "-m", "portal.local", "manage", *words]
        subprocess.run(command, cwd=ROOT, env=self.environment(), check=True, capture_output=True)

    def environment(self) -> dict[str, str]:
        """The launcher's environment: its own servers, its own folder, its own ports."""
        ours = {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "DJANGO_SETTINGS_MODULE"}
        ports = {
            name: address.rpartition(":")[2]
            for name, address in (("PORT", self.portal), ("SANDBOX_PORT", self.sandbox))
        }
        kept = {name: value for name, value in os.environ.items() if name not in ours}
        return {**kept, "VAR_DIR": str(self.var), **ports, "SANDBOX_TLS_PORT": str(int(ports["SANDBOX_PORT"]) + 1)}

    def code_for(self, address: str) -> str:
        """The code in the newest mail to this address, once a worker has sent it."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            mails = sorted((self.var / "mail").rglob("*"), key=lambda path: path.stat().st_mtime, reverse=True)
            texts = [path.read_text() for path in mails if path.is_file()]
            for mail in (text for text in texts if address in text):
                if found := re.findall(r"^\s*([A-Z0-9]{4}-?[A-Z0-9]{2,4})\s*$", mail, re.MULTILINE):
                    return found[-1]
            time.sleep(0.2)
        raise AssertionError(f"no code was mailed to {address}")


def free_ports(count: int) -> int:
    """The first of `count` neighbouring ports nobody uses; anywhere, as other processes of the tests look for some too."""
    for first in random.sample(range(18_000, 30_000, count), 100):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


@pytest.fixture(scope="session")
def system(tmp_path_factory) -> Iterator[System]:
    var = tmp_path_factory.mktemp("var")
    first = free_ports(3)
    running = System(var, f"http://localhost:{first}", f"http://localhost:{first + 1}")
    log = (var / "launcher.log").open("wb")
    command = [sys.executable, "-m", "portal.local", "run"]
    launcher = subprocess.Popen(command, cwd=ROOT, env=running.environment(), stdout=log, stderr=log)
    try:
        _wait_for(running, launcher, var / "launcher.log")
        yield running
    finally:
        launcher.send_signal(signal.SIGINT)
        launcher.wait(60)


def _wait_for(running: System, launcher: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        assert launcher.poll() is None, log.read_text()[-4000:]
        if (running.var / "demo-logins.json").exists():
            try:
                urlopen(f"{running.portal}/", timeout=5).read()
                urlopen(f"{running.sandbox}/_sandbox/", timeout=5).read()
                return
            except OSError:
                pass
        time.sleep(0.3)
    raise AssertionError(log.read_text()[-4000:])


@pytest.fixture(scope="session")
def chromium(browser) -> Browser:
    return browser


@dataclass
class Visit:
    """One person's browser window, and the checks of every page met in it."""

    system: System
    page: Page
    name: str
    pages: int = 0

    def met(self) -> None:
        """Check the page that is shown now."""
        self.page.wait_for_load_state("load")
        self._picture()
        assert self.page.locator("h1").count() == 1, self.page.url
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{self.page.url} is {wide} px wider than the window"
        kind = (re.sub(r"[0-9a-f-]{36}|\d+", "*", urlsplit(self.page.url).path), self.page.title(), *self._size())
        if kind in SEEN:
            return
        SEEN.add(kind)
        for theme in ("light", "dark") if self._is_ours() else ("light",):
            self.page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # no colour half way
            found = Axe().run(self.page).response["violations"]
            told = [f"{each['id']} ({each['impact']}): {each['nodes'][0]['html'][:200]}" for each in found]
            assert not told, f"{self.page.url}, {theme}: {told}"

    def _is_ours(self) -> bool:
        """Not a page of the utilities' side."""
        return self.page.url.startswith(self.system.portal)

    def _size(self) -> tuple[int, int]:
        size = self.page.viewport_size or {}
        return size.get("width", 0), size.get("height", 0)

    def _picture(self) -> None:
        folder = os.environ.get("SCREENSHOTS")
        if folder:
            self.pages += 1
            self.page.screenshot(path=f"{folder}/{self.name}-{self.pages:02}.png", full_page=True)

    def go(self, address: str) -> None:
        """Open an address and check its page."""
        self.page.goto(address)
        self.met()

    def press(self, words: str) -> None:
        """Press a button and check the page that follows."""
        self.page.get_by_role("button", name=words).first.click()
        self.met()

    def sign_in(self, who: str = "demo") -> None:
        """Sign in with a demo login."""
        login = self.system.login(who)
        self.go(f"{self.system.portal}/account/login/")
        self.page.get_by_label("E-mail address").fill(login["email"])
        self.page.get_by_label("Password").fill(login["password"])
        self.press("Sign in")
        expect(self.page.get_by_role("button", name="Sign out")).to_be_attached()

    def register(self, address: str) -> None:
        """Register with the code from the mail; the page that sent us here is not lost."""
        self.page.get_by_role("link", name="Register").first.click()
        self.met()
        self.page.get_by_label("E-mail address").fill(address)
        for field in self.page.locator("input[type=password]").all():
            field.fill("three plain words walking")
        self.press("Register")
        self.page.get_by_label("Code").fill(self.system.code_for(address))
        self.page.locator("main button[type=submit]").first.click()
        self.met()


@pytest.fixture(params=SIZES)
def visit(request, chromium, system) -> Iterator[Visit]:
    context = chromium.new_context(viewport=SIZES[request.param], base_url=system.portal)
    context.set_default_timeout(20_000)
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    yield Visit(system, context.new_page(), name)
    context.close()


# --- What the customer does on the utilities' pages --------------------------------------------------------------


def utility_sign_in(visit: Visit, who: str) -> None:
    visit.met()
    if visit.page.locator("input[name=username]").count():
        visit.page.locator("input[name=username]").first.fill(who)
        visit.page.locator("input[name=password]").first.fill("green-button")
        visit.press("Sign in")


def con_edison_account(visit: Visit, who: str) -> None:
    """Hops 1 and 2 of V1: sign in, pick account and dates, and be sent to the third party."""
    utility_sign_in(visit, who)
    visit.page.locator("input[name=terms]").check()
    visit.press("Continue to the third party")


def con_edison_v1(visit: Visit, who: str) -> None:
    con_edison_account(visit, who)
    agree_and_leave(visit)


def con_edison_v2(visit: Visit, who: str) -> None:
    utility_sign_in(visit, who)
    visit.press("Authorize")


def pge(visit: Visit, who: str) -> None:
    utility_sign_in(visit, who)
    visit.page.locator("input[name=terms]").check()
    visit.press("Share my data")


def essex(visit: Visit, who: str) -> None:
    visit.met()
    page = visit.page
    page.locator("input[name=account]").fill("111111111-1")
    page.locator("input[name=amount]").fill("100.0")
    page.locator("input[name=date]").fill("2023-07-01")
    visit.press("Find my account")
    visit.press("Authorize")


def agree_and_leave(visit: Visit) -> None:
    visit.press("Agree and continue")
    visit.page.get_by_role("button", name="Continue to").click()


def choose_everything(visit: Visit) -> None:
    for box in visit.page.locator("input[name=kinds]").all():
        box.check()
    visit.press("Continue")


# --- One person in every size of window ----------------------------------------------------------------------------


@dataclass
class Walk(Visit):
    """A visit whose pages are looked at in every size of window."""

    def met(self) -> None:
        """Every size of one page; ours also as it is at 400 % zoom."""
        for size in (*SIZES.values(), *([ZOOMED] if self._is_ours() else [])):
            self.page.set_viewport_size(size)
            super().met()

    def says(self, heading: str) -> None:
        """The page of this heading is shown, and is in order."""
        expect(self.page.get_by_role("heading", level=1)).to_have_text(heading)
        self.met()

    def arm(self, fault: str, slug: str, count: int = 1) -> None:
        """Let a utility of the sandbox go wrong."""
        body = json.dumps({"name": fault, "utility": slug, "count": count}).encode()
        urlopen(Request(f"{self.system.sandbox}/_sandbox/faults", body, {"Content-Type": "application/json"})).read()

    def disarm(self) -> None:
        """Nothing goes wrong any more."""
        urlopen(Request(f"{self.system.sandbox}/_sandbox/faults", method="DELETE")).read()

    def at_utility(self, slug: str, kind: str) -> None:
        """Choose one kind of data, agree, and arrive at the utility."""
        self.page.goto(f"/connect/{slug}")
        for box in self.page.locator("input[name=kinds]").all():
            box.set_checked(box.get_attribute("value") == kind)
        for words in ("Continue", "Agree and continue", "Continue to"):
            self.page.get_by_role("button", name=words).first.click()

    def connect(self, slug: str, who: str, kind: str = "customer") -> None:
        """Through Con Edison's V1 or PG&E's pages."""
        self.at_utility(slug, kind)
        self.allow(slug, who)

    def allow(self, slug: str, who: str) -> None:
        """The utility's sign-in and consent; Con Edison's V1 leads over our check page once more."""
        if self.page.locator("input[name=username]").count():
            self.page.locator("input[name=username]").first.fill(who)
            self.page.locator("input[name=password]").first.fill("green-button")
            self.page.get_by_role("button", name="Sign in").click()
        self.page.locator("input[name=terms]").check()
        if slug == "pge":
            self.page.get_by_role("button", name="Share my data").click()
            return
        for words in ("Continue to the third party", "Agree and continue", "Continue to"):
            self.page.get_by_role("button", name=words).first.click()

    def card(self, state: str) -> None:
        """The newest connection comes to this state."""
        self.page.goto("/dashboard")
        until = time.monotonic() + FIRST_DATA_SECONDS
        while state not in (words := self.page.locator("li.card").first.inner_text()):
            assert time.monotonic() < until, words
            time.sleep(0.3)
            self.page.reload()
        self.met()


@pytest.fixture
def walk(request, chromium, system) -> Iterator[Walk]:
    context = chromium.new_context(viewport=SIZES["desktop"], base_url=system.portal)
    context.set_default_timeout(20_000)
    walk = Walk(system, context.new_page(), re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()))
    yield walk
    walk.disarm()
    context.close()
