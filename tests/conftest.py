"""The harness: a throw-away PostgreSQL and Valkey, started before Django's settings are read; browsers; the cache.

pytest-django would read the settings before any conftest.py if pytest's configuration named the settings module.
So it is named here, after the servers stand. Servers given as DATABASE_URL and REDIS_URL are used instead.
"""

import base64
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portal.local import servers
from tests import template

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HERE = Path(tempfile.mkdtemp(prefix="portal-tests-"))
STARTED: list[servers.Server] = []
ADDRESSES = {"DATABASE_URL": servers.Postgres, "REDIS_URL": servers.Valkey}


def start_servers() -> None:
    for name, server in ADDRESSES.items():
        if not servers.given(name):
            started = server(HERE / server.name, durable=False)
            STARTED.append(started)
            if isinstance(started, servers.Postgres):
                template.seeded(started)
            started.start()
            os.environ[name] = started.url


def stop_servers() -> None:
    while STARTED:
        server = STARTED.pop()
        server.stop()
        servers.remove(server)
    shutil.rmtree(HERE, ignore_errors=True)


def configure_django() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    # Playwright's loop runs in the thread of the tests: Django takes every later query of that process for a mistake.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    os.environ["VAR_DIR"] = str(HERE / "var")
    os.environ["SECRET_KEY"] = base64.urlsafe_b64encode(os.urandom(48)).decode()
    os.environ["FIELD_ENCRYPTION_KEYS"] = base64.urlsafe_b64encode(os.urandom(32)).decode()
    import django
    from django.conf import settings

    # Hashed names need `collectstatic` first; what a page links to is tested where a browser loads it.
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    if any(isinstance(each, servers.Postgres) for each in STARTED):
        settings.DATABASES["default"].setdefault("TEST", {})["TEMPLATE"] = servers.DATABASE
    django.setup()


try:
    start_servers()
    configure_django()
except BaseException:
    stop_servers()
    raise


def pytest_configure(config: pytest.Config) -> None:
    """Side by side (`-n`), every worker starts servers of its own: this process has none, and leaves no address behind."""
    if config.getoption("numprocesses", None):
        own = [name for name, server in ADDRESSES.items() if any(isinstance(each, server) for each in STARTED)]
        stop_servers()
        for name in ("DJANGO_SETTINGS_MODULE", *own):  # pytest-django would read the settings before this file
            del os.environ[name]


LAST_LONG = ("journeys", "chaos", "_browser.py", "test_bench_smoke.py", "test_attacks_secrets.py", "test_migrations.py")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules that last long begin first: at the end no process works on one while the others have nothing to do."""
    items.sort(key=lambda item: not any(part in str(item.path.relative_to(item.config.rootpath)) for part in LAST_LONG))


def pytest_unconfigure() -> None:
    stop_servers()


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    """Sign-in limits live in the cache: one test's failures must not lock the next one out.

    A server somebody gave us is left alone: it may hold more than our cache.
    """
    yield
    if any(isinstance(server, servers.Valkey) for server in STARTED):
        from django.core.cache import cache

        cache.clear()


@pytest.fixture(autouse=True)
def _nobody_elses_language() -> Iterator[None]:
    """A page in Spanish leaves its thread speaking Spanish: the next test begins in English."""
    yield
    from django.utils import translation

    translation.deactivate()


@pytest.fixture(autouse=True)
def _no_waiting_at_pge(monkeypatch):
    """One call a second would make every journey slow; tests of budgets set them again."""
    import utilities

    monkeypatch.setattr(type(utilities.get("pge")), "budgets", ())


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """A Chromium to drive. Where there is none the test is skipped, and says so; in CI it fails."""
    named = os.environ.get("CHROMIUM_PATH", "")
    found = [path for path in map(shutil.which, [named] if named else BROWSERS) if path]
    if found:
        return found[0]
    words = f"No browser: CHROMIUM_PATH is {named!r}" if named else f"No browser: none of {', '.join(BROWSERS)}"
    words += " (Debian: apt-get install -y chromium)."
    if os.environ.get("CI"):
        pytest.fail(words)
    pytest.skip(words)


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Any]:
    """One Chromium for all tests of a process, which takes seconds to start.

    Playwright's loop runs in this thread from now on, and another one cannot be started beside it.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def chromium(browser: Any) -> Iterator[Any]:
    """A browser in which nobody has been; its windows are closed after the test."""
    before = list(browser.contexts)
    yield browser
    for context in browser.contexts:
        if context not in before:
            context.close()
