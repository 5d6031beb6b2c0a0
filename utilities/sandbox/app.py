"""The sandbox as one WSGI application, and how a platform plugs into it.

A platform is a module of this package that exposes

- ``UTILITIES``: {slug: the utility's name as its customers know it};
- ``HOSTS``: {real host name: slug, or "" where several utilities share it};
- ``API_HOSTS``, ``TLS_HOSTS``: frozensets of those hosts that serve an API (the ledger's kind), and that are reached
  over the TLS port with a client certificate;
- ``make_app(sandbox) -> flask.Flask``: the site of all those hosts. Start from ``context.platform_app(sandbox, name)``
  and ``signin.add_pages(sandbox, app)``; tell hosts apart with ``sandbox.host``; make addresses with
  ``sandbox.base(host)``, so that they have the style the request came in by;
- ``welcome(sandbox, registration_row) -> dict``: its own fields of a welcome package (they are kept in the row's data;
  ``registration.kept`` gives what was issued before).

``PLATFORMS`` lists them. Everything else is in ``context.Sandbox``: store, clock, tokens, faults, ledger, deliveries.
"""

from collections.abc import Callable, Iterable
from typing import Any

import flask

from utilities.sandbox import index
from utilities.sandbox.context import Config, Sandbox
from utilities.sandbox.platforms import PLATFORMS
from utilities.sandbox.registration import register
from utilities.sandbox.state import Store

__all__ = ["PLATFORMS", "Config", "create_app", "make_sandbox", "register_forms"]

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]


def make_sandbox(config: Config) -> Sandbox:
    """The sandbox's shared parts over its state file, without a web application."""
    utilities = {slug: name for platform in PLATFORMS for slug, name in platform.UTILITIES.items()}
    return Sandbox(
        config=config,
        store=Store(config.state_path),
        utilities=utilities,
        tls_hosts=frozenset().union(*(platform.TLS_HOSTS for platform in PLATFORMS)),
        api_hosts=frozenset().union(*(platform.API_HOSTS for platform in PLATFORMS)),
        hosts={host: slug for platform in PLATFORMS for host, slug in platform.HOSTS.items()},
    )


def create_app(config: Config) -> flask.Flask:
    """The index with every platform behind it; ``app.extensions["sandbox"]`` is its Sandbox."""
    sandbox = make_sandbox(config)
    app = index.make_app(sandbox)
    app.extensions["sandbox"] = sandbox
    sites = {}
    for platform in PLATFORMS:
        site = platform.make_app(sandbox)
        sites.update(dict.fromkeys(platform.HOSTS, site))
    app.wsgi_app = HostDispatch(app.wsgi_app, sites)  # type: ignore[method-assign]
    return app


def register_forms(sandbox: Sandbox, forms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Welcome packages for registration forms, in their order. Raises ValueError on one that cannot be accepted."""
    welcomes = {slug: platform.welcome for platform in PLATFORMS for slug in platform.UTILITIES}
    return [register(sandbox, form, welcomes.get(form.get("utility", ""), lambda _sandbox, _row: {})) for form in forms]


class HostDispatch:
    """Sends a request to a platform by its Host header, or by a host name as the first part of its path."""

    def __init__(self, default: Wsgi, sites: dict[str, flask.Flask]) -> None:
        self.default, self.sites = default, sites

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "").partition(":")[0].lower()
        if host in self.sites:
            return self.sites[host](environ | {"sandbox.host": host, "sandbox.style": "host"}, start_response)
        first, slash, rest = environ.get("PATH_INFO", "")[1:].partition("/")
        if first not in self.sites:
            return self.default(environ, start_response)
        inner = {"sandbox.host": first, "sandbox.style": "path", "PATH_INFO": slash + rest}
        inner["SCRIPT_NAME"] = f"{environ.get('SCRIPT_NAME', '')}/{first}"
        return self.sites[first](environ | inner, start_response)
