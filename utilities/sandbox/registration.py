"""Registering a third party: its registration form in, its welcome package out."""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from utilities.sandbox.context import Sandbox
    from utilities.sandbox.state import Row

ENVIRONMENTS = ("sandbox", "test", "production")
ADDRESSES = ("portal_uri", "scope_selection_uri", "redirect_uri", "notify_uri", "webhook_uri")
Welcome = Callable[["Sandbox", "Row"], dict[str, Any]]


def register(sandbox: "Sandbox", form: dict[str, Any], welcome: Welcome) -> dict[str, Any]:
    """One registration form to one welcome package; the same form again gives the same credentials.

    ``welcome`` gives the platform's own fields for a registration row. Other addresses on a later form replace the
    earlier ones. Raises ValueError, in plain words, on a form that cannot be accepted.
    """
    check(sandbox, form)
    key = {name: form.get(name, "") for name in ("utility", "environment", "edition", "redirect_uri")}
    if not sandbox.store.get("registrations", **key):
        sandbox.store.insert(
            "registrations", **key, client_id=secrets.token_hex(10), client_secret=secrets.token_urlsafe(32),
            created=sandbox.now(),
        )  # fmt: skip
    row = sandbox.store.get("registrations", **key) or {}
    data = {**row["data"], **{name: form.get(name, "") for name in (*ADDRESSES, "company")}}
    sandbox.store.update("registrations", {"id": row["id"]}, data=data)
    row["data"] = data
    fields = welcome(sandbox, row)
    sandbox.store.update("registrations", {"id": row["id"]}, data={**data, **fields})
    package = {name: key[name] for name in ("utility", "environment", "edition")}
    fresh = sandbox.store.get("registrations", id=row["id"]) or row
    return package | {"client_id": fresh["client_id"], "client_secret": fresh["client_secret"]} | fields


def check(sandbox: "Sandbox", form: dict[str, Any]) -> None:
    """Raises ValueError when a registration form has a wrong value."""
    if form.get("utility") not in sandbox.utilities:
        raise ValueError(f"There is no utility called {form.get('utility')!r}.")
    if form.get("environment") not in ENVIRONMENTS:
        raise ValueError(f"The environment is one of {', '.join(ENVIRONMENTS)}, not {form.get('environment')!r}.")
    if not form.get("redirect_uri"):
        raise ValueError("A redirect URI is required.")
    for name in ADDRESSES:
        address = urlsplit(form.get(name) or "https://none.example")
        if address.scheme not in ("http", "https") or not address.hostname or address.fragment:
            raise ValueError(f"{name} is not a web address: {form.get(name)!r}.")


def kept(row: "Row", name: str, make: Callable[[], str]) -> str:
    """A value issued once per registration: the one given before, or a new one."""
    return row["data"].get(name) or make()
