"""Customers' sign-in at the utilities' web sites: one page, one cookie per utility, journeys kept on this side."""

import secrets
from typing import TYPE_CHECKING

import flask

from utilities.sandbox import people

if TYPE_CHECKING:
    from utilities.sandbox.context import Sandbox
    from utilities.sandbox.state import Row

LIFETIME = 3600
Answer = flask.typing.ResponseReturnValue


def add_pages(sandbox: "Sandbox", app: flask.Flask) -> None:
    """Give a platform's app /sign-in (GET, POST; ``next`` is a path on this site) and POST /sign-out, which leads to the same."""

    @app.get("/sign-in")
    def sign_in() -> Answer:
        return _form(sandbox, flask.request.args.get("next", ""))

    @app.post("/sign-in")
    def check_sign_in() -> Answer:
        form, slug = flask.request.form, sandbox.hosts[sandbox.host]
        person = sandbox.person(slug, form.get("username", ""))
        if person is None or form.get("password") != people.PASSWORD:
            page = _form(sandbox, form.get("next", ""), form.get("username", ""), failed=True)
            return flask.make_response(page, 401)
        session = secrets.token_urlsafe(32)
        sandbox.store.insert("sessions", utility=slug, session=session, username=person.username, created=sandbox.now())
        answer = flask.redirect(flask.request.script_root + local_path(form.get("next", "")))
        answer.set_cookie(f"sandbox_{slug}", session, httponly=True, samesite="Lax", path="/")
        return answer

    @app.post("/sign-out")
    def sign_out() -> Answer:
        slug = sandbox.hosts[sandbox.host]
        sandbox.store.delete("sessions", utility=slug, session=flask.request.cookies.get(f"sandbox_{slug}", ""))
        wanted = flask.request.form.get("next", "")
        answer = flask.redirect(flask.url_for("sign_in", next=local_path(wanted) if wanted else None))
        answer.delete_cookie(f"sandbox_{slug}", path="/")
        return answer


def _form(sandbox: "Sandbox", wanted: str, username: str = "", *, failed: bool = False) -> str:
    slug = sandbox.hosts[sandbox.host]
    return flask.render_template(
        "sign_in.html", slug=slug, utility=sandbox.utilities[slug], people=people.people(slug, sandbox.born), next=wanted,
        password=people.PASSWORD, username=username, failed=failed,
    )  # fmt: skip


def local_path(wanted: str) -> str:
    """A path on this site, whatever was asked for: never another site."""
    return wanted if wanted.startswith("/") and not wanted.startswith(("//", "/\\")) else "/"


def session(sandbox: "Sandbox", utility: str) -> "Row | None":
    """The signed-in customer's session row, or None; its ``data`` holds a platform's journey."""
    row = sandbox.store.get("sessions", utility=utility, session=flask.request.cookies.get(f"sandbox_{utility}", ""))
    return row if row and row["created"] > sandbox.now() - LIFETIME else None


def remember(sandbox: "Sandbox", session_row: "Row", **journey: object) -> None:
    """Keep values of the journey in the session."""
    session_row["data"].update(journey)
    sandbox.store.update("sessions", {"id": session_row["id"]}, data=session_row["data"])


def to_sign_in() -> Answer:
    """Send the visitor to the sign-in page, and back to this address afterwards."""
    wanted = flask.request.full_path if flask.request.query_string else flask.request.path
    return flask.redirect(flask.url_for("sign_in", next=wanted))
