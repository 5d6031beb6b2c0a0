"""What every platform of the sandbox shares: configuration, the store, the clock, addresses, faults and the ledger."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import flask

from utilities.sandbox import faults, notify, people
from utilities.sandbox.state import Row, Store

ROOT = Path(__file__).resolve().parents[2]
SECRET_FIELDS = frozenset(
    ("code", "authcode", "client_secret", "clientsecret", "refresh_token", "refreshtoken", "access_token", "token")
)


@dataclass(frozen=True)
class Config:
    """How one sandbox is set up; the defaults suit tests that call it in process."""

    state_path: str = ":memory:"
    base_url: str = "http://localhost:8001"
    tls_base_url: str = "https://localhost:8002"
    clock: Callable[[], float] = time.time
    deliver: Callable[[str, bytes, dict[str, str]], int] = notify.post
    notify_delay: float = 2.0
    pki_dir: Path = ROOT / "var" / "sandbox" / "pki"


@dataclass
class Sandbox:
    """One running sandbox."""

    config: Config
    store: Store
    utilities: dict[str, str]  # slug -> name
    tls_hosts: frozenset[str]
    api_hosts: frozenset[str]
    hosts: dict[str, str]  # host -> slug ("" where several utilities share it)
    on_notified: dict[str, Callable[[Row], None]] = field(default_factory=dict)  # slug -> told after each delivery
    on_revoked: dict[str, Callable[[Row], None]] = field(default_factory=dict)  # slug -> told after each revocation
    lookups: dict[str, tuple[tuple[str, ...], ...]] = field(
        default_factory=dict
    )  # slug -> who a look-up finds, and how
    born: int = 0

    def __post_init__(self) -> None:
        self.born = int(self.store.meta("born", str(int(self.now()))))

    def now(self) -> float:
        """Epoch seconds of the sandbox's clock."""
        return self.config.clock()

    def base(self, host: str) -> str:
        """The base address of one of the utilities' hosts, in the style this request (if any) came in by."""
        secure = host in self.tls_hosts
        if not flask.has_request_context():
            return f"{self.config.tls_base_url if secure else self.config.base_url}/{host}"
        environ = flask.request.environ
        if environ.get("sandbox.style") == "host":
            port = flask.request.host.partition(":")[2]
            return f"{environ['wsgi.url_scheme']}://{host}{':' + port if port else ''}"
        if secure == (environ["wsgi.url_scheme"] == "https"):
            return f"{environ['wsgi.url_scheme']}://{flask.request.host}/{host}"
        return f"{self.config.tls_base_url if secure else self.config.base_url}/{host}"

    @property
    def host(self) -> str:
        """The utility's host name this request is for."""
        return flask.request.environ["sandbox.host"]

    def fault(self, name: str, utility: str) -> Row | None:
        """The arguments of an armed fault (used up by this), or None. The ledger names it."""
        args = faults.take(self, name, utility)
        if args is not None and flask.has_request_context():
            flask.g.setdefault("ledger", {}).setdefault("faults", []).append(name)
        return args

    def note(self, **facts: Any) -> None:
        """Tell the ledger about this request: token_class, authorization (id), utility."""
        flask.g.setdefault("ledger", {}).update(facts)

    def delivered(self, utility: str, authorization: int | None, size: int, channels: list[Row]) -> None:
        """Record a delivered document: per channel {usage_point, meter_reading, unit, count, sum, first, last}.

        ``sum`` is of the integers in the meter's own unit (Wh, varh, 1/100000 therm), first and last are starts.
        """
        path = flask.request.path if flask.has_request_context() else ""
        self.store.insert(
            "deliveries", at=self.now(), utility=utility, authorization=authorization, path=path, bytes=size,
            channels=channels,
        )  # fmt: skip

    def person(self, utility: str, username: str) -> people.Person | None:
        """The customer with this login."""
        return people.find(utility, username, self.born)

    def account(self, utility: str, username: str, number: str) -> people.Account | None:
        """One account of a customer."""
        person = self.person(utility, username)
        return people.account(person, number) if person else None

    def registration(self, environment: str, **where: Any) -> Row | None:
        """A third party's registration that is good in this environment (test, production) and has these columns.

        Credentials issued for the environment "sandbox" are good everywhere.
        """
        rows = self.store.find("registrations", **where)
        return next((row for row in rows if row["environment"] in ("sandbox", environment)), None)

    def issue(self, kind: str, registration: Row, lifetime: float | None, **more: Any) -> str:
        """Make and keep a token of a kind (access, client, refresh, registration); lifetime in seconds or None.

        ``more``: authorization (id), scope, data, and token for a value made elsewhere.
        """
        token = more.pop("token", None) or secrets.token_urlsafe(32)
        now, ends = self.now(), None if lifetime is None else self.now() + lifetime
        columns = {"utility": registration["utility"], "registration": registration["id"], "created": now}
        self.store.insert("tokens", token=token, kind=kind, expires=ends, **columns, **more)
        return token

    def token(self, value: str) -> Row | None:
        """A token's row while it is good: neither revoked nor expired."""
        row = self.store.get("tokens", token=value)
        if row is None or row["revoked"] or (row["expires"] is not None and row["expires"] <= self.now()):
            return None
        return row

    def revoke(self, authorization: int) -> None:
        """End an authorization and all its tokens."""
        self.store.update("authorizations", {"id": authorization}, status="revoked", updated=self.now())
        self.store.update("tokens", {"authorization": authorization}, revoked=1)
        row = self.store.get("authorizations", id=authorization)
        if row and (callback := self.on_revoked.get(row["utility"])):
            callback(row)


def platform_app(sandbox: Sandbox, name: str) -> flask.Flask:
    """A Flask app for one platform: templates, the style sheet, the ledger and safe headers."""
    app = flask.Flask(
        f"sandbox-{name}",
        template_folder=str(ROOT / "templates" / "sandbox"),
        static_folder=str(ROOT / "static" / "sandbox"),
        static_url_path="/_sandbox/static",
    )
    app.url_map.strict_slashes = False
    app.jinja_env.globals["utilities"] = sandbox.utilities
    app.before_request(lambda: flask.g.setdefault("began", time.monotonic()) and None)
    app.after_request(lambda response: _record(sandbox, response))
    return app


def _record(sandbox: Sandbox, response: flask.Response) -> flask.Response:
    """Add the request to the ledger, and headers that keep pages to themselves."""
    request, facts = flask.request, flask.g.get("ledger", {})
    host = request.environ.get("sandbox.host", "")
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if response.mimetype == "text/html":
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'"
        )
        # A browser told "no-referrer" sends forms with `Origin: null`, which the sandbox's own pages do not accept.
        response.headers["Referrer-Policy"] = "no-referrer" if host else "same-origin"
    if not host or "/_sandbox/static" in request.path:
        return response
    sandbox.store.insert(
        "ledger",
        at=sandbox.now(),
        kind="api" if host in sandbox.api_hosts else "page",
        utility=facts.get("utility") or sandbox.hosts.get(host, ""),
        host=host,
        method=request.method,
        path=request.path,
        query=masked(request.query_string.decode("latin-1")),
        token_class=facts.get("token_class"),
        authorization=facts.get("authorization"),
        status=response.status_code,
        bytes=response.calculate_content_length() or 0,
        fault=", ".join(facts.get("faults", [])) or None,
        data={"took": round(time.monotonic() - flask.g.get("began", time.monotonic()), 3)},
    )
    return response


def masked(query: str) -> str:
    """A query string without the values of secrets."""
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode([(name, "***" if name.lower() in SECRET_FIELDS else value) for name, value in pairs], safe="*")


def with_query(url: str, **parameters: str | None) -> str:
    """A registered address with parameters added to whatever query it has; None values are left out."""
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    return f"{url}{'&' if urlsplit(url).query else '?'}{query}" if query else url
