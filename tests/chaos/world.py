"""One copy of the whole product with a sandbox beside it, in real processes on ports and in directories of its own.

The experiments start, stop, kill and freeze its parts, connect customers through its pages, and read its tables.
"""

import contextlib
import io
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from portal.local import commands, keys, servers
from portal.local.place import ROOT, Place
from tests import template
from tests.chaos.processes import Memory, Program, frozen
from tests.chaos.wire import Wire
from tests.journeys.browser import Browser
from tests.journeys.customers import Profile

# Shorter than in production, so that an experiment does not last a lease of five minutes. Limits in time that the
# requirements name are measured against these: a restart within a lease and two sweeps, and so on.
PACE = {
    "SWEEP_SECONDS": "2",
    "PLAN_SECONDS": "5",
    "JOB_LEASE_SECONDS": "8",
    "JOB_LEASE_RENEWED_EVERY_SECONDS": "1",
    "JOB_WAITS_SECONDS": "1,8",
    "REFRESH_CLAIM_SECONDS": "20",
    "CIRCUIT_PROBE_SECONDS": "3",
    "CONN_MAX_AGE": "60",
    "LOG_JSON": "false",
    "STATICFILES_STORAGE": "django.contrib.staticfiles.storage.StaticFilesStorage",
}
PASSWORD = "a long enough pass-phrase"
REACHABLE_IN = 90.0  # seconds


class NotSo(AssertionError):
    """What an experiment found instead of what must be so."""


def check(condition: object, words: str) -> None:
    """Raises NotSo in these words unless the condition holds."""
    if not condition:
        raise NotSo(words)


def until(condition: Callable[[], Any], seconds: float, words: str, every: float = 0.1) -> Any:
    """Ask until the answer is true, and give it; raises NotSo after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise NotSo(f"not within {seconds:.0f} s: {words}")
        time.sleep(every)
    return found


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def forget_utilities(browser: Browser) -> None:
    """Sign out at the utilities, so that another of their customers can sign in."""
    for cookie in [each for each in browser.http.cookies if each.name.startswith("sandbox")]:
        browser.http.cookies.clear(cookie.domain, cookie.path, cookie.name)


def is_worker(words: list[str]) -> bool:
    return "celery" in words and "worker" in words


def node(name: str) -> str:
    """A worker's name among Celery's."""
    return f"{name}@localhost"


class World:
    """`directory` holds everything; `close` removes it. One world per process: Django reads its settings once."""

    def __init__(self, pace: dict[str, str] | None = None) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="portal-chaos-"))
        self.postgres = servers.Postgres(self.directory / "postgres", durable=False)
        self.valkey = servers.Valkey(self.directory / "valkey", durable=False)
        web, sandbox, tls, wire, self.mail_port = free_ports(5)
        self.place = Place(self.directory / "var", "127.0.0.1", web, sandbox, tls)
        self.wire = Wire(wire, sandbox)
        self.utility_url = f"http://localhost:{wire}"
        self.environment = self._environment(PACE | (pace or {}))
        self.kinds = {each.name: each for each in commands.programs(self.place, self.environment)}
        self.programs: dict[str, Program] = {}
        self.memory = Memory()
        self.customers = 0

    def _environment(self, pace: dict[str, str]) -> dict[str, str]:
        """This copy's own values over everything that stands in ours."""
        self.place.var.mkdir(mode=0o700)
        own = {
            "VAR_DIR": str(self.place.var),
            "PORTAL_BASE_URL": f"http://localhost:{self.place.port}",
            "SANDBOX_BASE_URL": self.utility_url,
            "SANDBOX_TLS_BASE_URL": f"https://localhost:{self.place.sandbox_tls_port}",
            "SANDBOX_PORT": str(self.place.sandbox_port),
            "SANDBOX_TLS_PORT": str(self.place.sandbox_tls_port),
            "SANDBOX_STATE": str(self.place.var / "sandbox"),
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.valkey.url,
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "EMAIL_URL": f"smtp://localhost:{self.mail_port}",  # nobody serves it unless an experiment does
            "STAFF_EMAILS": "staff@example.com",
            "PYTHONPATH": str(ROOT),
        }
        os.environ.update(own | pace | keys.fresh())
        os.environ.pop("DEBUG", None)
        return self.place.environment()

    # --- The whole ----------------------------------------------------------------------------------------------------

    def start(self) -> "World":
        """Servers, tables, the onboarding exchange, then every program; returns when the pages answer."""
        template.seeded(self.postgres).start()
        self.valkey.start()
        self._prepare()
        for name in self.kinds:
            self.program(name).start()
        self.whole()
        return self

    def _prepare(self) -> None:
        """What `make` does before its first page, without its demo customers."""
        import django
        from django.core.management import call_command

        django.setup()
        import portal.celery  # noqa: F401 -- what we publish goes to this copy's broker

        forms, welcome = self.directory / "forms.json", self.directory / "welcome.json"
        with (self.directory / "prepare.log").open("w") as log:
            call_command("migrate", verbosity=0, interactive=False)
            call_command("registration_form", output=str(forms), stdout=log)
            register = [sys.executable, "-m", "utilities.sandbox", "register", str(forms), "--output", str(welcome)]
            register += ["--base-url", self.utility_url]
            subprocess.run(register, cwd=ROOT, env=self.environment, stdout=log, stderr=log, check=True)
            call_command("load_welcome_package", str(welcome), stdout=log)

    def program(self, name: str, like: str = "", concurrency: int = 0, **environment: str) -> Program:
        """The program of this name; another one of the kind `like` where there is none yet."""
        if name not in self.programs:
            kind = self.kinds[like or name]
            words = list(kind.words)
            words += ["--base-url", self.utility_url] if name == "sandbox" else []
            if is_worker(words):
                words[words.index("-n") + 1] = node(name)
                words[words.index("-c") + 1] = str(concurrency or words[words.index("-c") + 1])
            made = Program(name, words, kind.environment | environment, self.directory / f"{name}.log")
            self.programs[name] = made
            if is_worker(words) or kind.name == "web":
                self.memory.programs.append(made)
        return self.programs[name]

    @property
    def web(self) -> Program:
        return self.programs["web"]

    @property
    def sandbox(self) -> Program:
        return self.programs["sandbox"]

    @property
    def beat(self) -> Program:
        return self.programs["beat"]

    @property
    def workers(self) -> list[Program]:
        """The workers that are there from the beginning."""
        return [self.programs[name] for name, kind in self.kinds.items() if is_worker(kind.words)]

    @contextmanager
    def frozen_workers(self) -> Iterator[None]:
        """Every process of every worker stands still."""
        with contextlib.ExitStack() as stack:
            for worker in self.workers:
                stack.enter_context(worker.frozen())
            yield

    def whole(self) -> None:
        """Start whatever does not run, clear every fault, and wait until all of it answers."""
        for server in (self.postgres, self.valkey):
            if server.process is None or server.process.poll() is not None:
                server.process = None
                server.start()
        for name in self.kinds:
            self.programs[name].start()
        until(lambda: self.answers(self.sandbox_url("/_sandbox/faults")), REACHABLE_IN, "the sandbox answers")
        until(lambda: self.answers(self.url("/")), REACHABLE_IN, "the site answers")
        self._forget_connections()
        self.disarm()
        self.settle()
        until(self.listens, REACHABLE_IN, "the workers listen")

    def settle(self) -> None:
        """End whatever an experiment left, here and at the utilities, its connections too: the next one begins on its own."""
        from django.utils import timezone

        from espi.models import Authorization, FetchJob, Notification
        from portal.models import Circuit, Letter

        Letter.objects.filter(state="waiting").delete()
        Authorization.objects.filter(status__in=Authorization.LIVE).update(status=Authorization.Status.WITHDRAWN)
        ended = {"state": FetchJob.State.SUPERSEDED, "reason": "An experiment is over."}
        FetchJob.objects.filter(state__in=FetchJob.OPEN).update(**ended, finished_at=timezone.now())
        Notification.objects.filter(state=Notification.State.RECEIVED).update(state="quarantined", reason="Over.")
        Circuit.objects.all().delete()
        store = self.store
        store.execute("UPDATE notifications SET sent = due, status = 0 WHERE sent IS NULL")
        store.execute("UPDATE authorizations SET status = 'revoked' WHERE status = 'active'")
        store.close()

    def listens(self) -> bool:
        """Whether every worker answers."""
        from portal.celery import app

        nodes = [node(worker.name) for worker in self.workers]
        with contextlib.suppress(Exception):
            return len(app.control.ping(timeout=1.0, destination=nodes)) == len(nodes)
        return False

    def answers(self, url: str) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(url, timeout=5).status_code == 200
        return False

    def close(self) -> None:
        """Stop everything and remove it."""
        self.memory.over.set()
        self.wire.close()
        for program in reversed(list(self.programs.values())):
            program.kill()
        for server in (self.valkey, self.postgres):
            if server.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(server.process.pid, signal.SIGCONT)
            server.stop()
            servers.remove(server)
        shutil.rmtree(self.directory, ignore_errors=True)

    # --- Addresses ----------------------------------------------------------------------------------------------------

    def url(self, path: str) -> str:
        return f"http://localhost:{self.place.port}{path}"

    def sandbox_url(self, path: str) -> str:
        return f"http://localhost:{self.place.sandbox_port}{path}"

    # --- The other side -----------------------------------------------------------------------------------------------

    def said(self, table: str, **query: Any) -> list[dict[str, Any]]:
        """The sandbox's own record: ledger, deliveries, notifications, authorizations."""
        answer = requests.get(self.sandbox_url(f"/_sandbox/{table}"), params=query, timeout=30)
        answer.raise_for_status()
        return list(answer.json())

    def arm(self, fault: str, utility: str, count: int = 1, **args: Any) -> None:
        """Let a utility do something wrong `count` times; 0: until it is cleared."""
        asked = {"name": fault, "utility": utility, "count": count, "args": args}
        requests.post(self.sandbox_url("/_sandbox/faults"), json=asked, timeout=10).raise_for_status()

    def disarm(self) -> None:
        self.wire.rules.clear()
        requests.delete(self.sandbox_url("/_sandbox/faults"), timeout=10).raise_for_status()

    @property
    def store(self) -> Any:
        """The sandbox's store itself: for what its pages do not show, and to let its time pass."""
        from utilities.sandbox.state import Store

        return Store(str(self.place.var / "sandbox" / "sandbox.sqlite3"))

    # --- Customers ----------------------------------------------------------------------------------------------------

    def browser(self) -> Browser:
        site, utility = self.url(""), self.utility_url
        tls = f"https://localhost:{self.place.sandbox_tls_port}"
        browser = Browser({site: HTTPAdapter(), utility: HTTPAdapter(), tls: HTTPAdapter()})
        browser.http.verify = str(self.place.var / "sandbox" / "pki" / "ca.pem")
        return browser

    def signed_in(self) -> Browser:
        """A new customer whose address is confirmed, signed in through the page."""
        from allauth.account.models import EmailAddress

        from portal.models import User

        email = f"chaos-{secrets.token_hex(6)}@example.com"
        user = User.objects.create_user(email, PASSWORD)
        EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
        browser = self.browser()
        browser.get(self.url("/account/login/")).press("Sign in", login=email, password=PASSWORD)
        check(browser.response.status_code == 200, f"signing in was answered {browser.response.status_code}")
        return browser

    def connect(
        self,
        profile: Profile,
        who: str = "",
        browser: Browser | None = None,
        kinds: tuple[str, ...] = ("usage",),
        headings: tuple[str, ...] = ("You are connected",),
    ) -> Any:
        """Connect a customer of a utility through everybody's own pages; his new Authorization.

        `headings`: one of these stands on the page he comes back to.
        """
        from espi.models import Authorization

        self.offer(profile)
        self.customers += 1
        browser = browser or self.signed_in()
        forget_utilities(browser)
        browser.get(self.url(f"/connect/{profile.slug}")).press("Continue", kinds=list(kinds))
        browser.press("Agree and continue")
        browser.press("Continue to")
        before = set(Authorization.objects.values_list("pk", flat=True))
        profile.approve(browser, who or self.somebody(profile))
        fine = any(heading in browser.heading for heading in headings)
        check(fine, f"the result page says {browser.heading!r}: {browser.text[:600]}")
        return Authorization.objects.exclude(pk__in=before).select_related("application_information").latest("pk")

    def somebody(self, profile: Profile) -> str:
        """A customer of the sandbox whom nobody has connected yet; Essex Powerlines knows him by his latest bill."""
        login = f"load{self.customers}@example.com"
        if profile.slug != "essex":
            return login
        from utilities.sandbox import utilityapi_utilities

        essex = utilityapi_utilities.BY_SLUG["essex"]
        born = int(self.store.meta("born", "0"))
        customer = utilityapi_utilities.find(essex, login, born)
        assert customer is not None
        amount, day = utilityapi_utilities.last_bill(essex, customer, time.time()) or ("", "")
        return f"{login}|{amount}|{day}"

    def offer(self, profile: Profile) -> None:
        from django.core.management import call_command

        from espi.models import ApplicationInformation

        here = {"utility": profile.slug, "environment": "sandbox", "edition": profile.edition}
        if not ApplicationInformation.objects.get(**here).is_offered:
            words = [part for part in (profile.slug, "sandbox", profile.edition) if part]
            call_command("offer_utility", *words, verbosity=0, stdout=io.StringIO())

    # --- Faults of ours -----------------------------------------------------------------------------------------------

    @contextmanager
    def frozen_broker(self) -> Iterator[None]:
        """Valkey keeps its connections and answers nothing."""
        assert self.valkey.process is not None
        with frozen(self.valkey.process.pid):
            yield

    def lose_broker(self) -> None:
        """Kill Valkey, with everything it remembers."""
        assert self.valkey.process is not None
        self.valkey.process.kill()
        self.valkey.process.wait()
        for left in (self.valkey.directory / "appendonlydir", self.valkey.directory / "dump.rdb"):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)

    def broker_again(self) -> None:
        self.valkey.process = None
        self.valkey.start()

    def crash_database(self) -> None:
        """PostgreSQL ends at once, as after a power cut: no session is asked to finish."""
        assert self.postgres.process is not None
        self.postgres.process.send_signal(signal.SIGQUIT)
        self.postgres.process.wait()
        self._forget_connections()

    def stop_database(self) -> None:
        """PostgreSQL is shut down."""
        self.postgres.stop()
        self._forget_connections()

    def _forget_connections(self) -> None:
        from django.db import connections

        connections.close_all()

    def database_again(self) -> None:
        self.postgres.process = None
        self.postgres.start()

    # --- Waiting ------------------------------------------------------------------------------------------------------

    def quiet(self, seconds: float, *, besides: tuple[str, ...] = ()) -> float:
        """Wait until nothing is on its way any more; how long it took.

        `besides`: states of jobs that may remain. Raises NotSo, saying what is left, after so many seconds.
        """
        began = time.monotonic()
        try:
            until(lambda: not self.left(besides), seconds, "", every=0.3)
        except NotSo:
            raise NotSo(f"not quiet after {seconds:.0f} s: {self.left(besides)}") from None
        return time.monotonic() - began

    def left(self, besides: tuple[str, ...] = ()) -> list[str]:
        """What is on its way, in words: notifications not sent or not resolved, jobs not ended."""
        from espi.models import FetchJob, Notification

        soon = time.time() + 60  # webhooks that were not accepted come again after an hour
        unsent = [row for row in self.said("notifications") if row["status"] is None and row["due"] < soon]
        received = Notification.objects.filter(state=Notification.State.RECEIVED).count()
        jobs = FetchJob.objects.filter(state__in=FetchJob.OPEN).exclude(state__in=besides)
        words = [f"{len(unsent)} notifications to be sent"] if unsent else []
        words += [f"{received} notifications to be resolved"] if received else []
        words += [f"job {job.pk} {job.kind} {job.state} {job.attempts}: {job.reason}" for job in jobs[:5]]
        return words

    def jobs(self, authorization: Any, **where: Any) -> Any:
        return authorization.fetch_jobs.filter(**where).order_by("pk")

    def record(self) -> dict[str, Any]:
        """What one needs to look into a failure."""
        return {"left": self.left(), "logs": {p.name: p.text()[-1500:] for p in self.programs.values()}}
