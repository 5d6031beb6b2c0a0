"""The sandbox's own pages and JSON under /_sandbox/: demo logins, faults, the ledger, deliveries, notifications."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import flask

from utilities.sandbox import faults, notify, people
from utilities.sandbox.context import Sandbox, platform_app
from utilities.sandbox.state import TABLES, Row

Answer = flask.typing.ResponseReturnValue
LEDGER_PAGE = 200
FILTERS = ("utility", "kind", "status")


def make_app(sandbox: Sandbox) -> flask.Flask:
    """The site that answers when no utility is meant."""
    app = platform_app(sandbox, "index")

    @app.before_request
    def only_our_own_forms() -> Answer | None:
        """A form on another site must not steer the sandbox."""
        origin = flask.request.headers.get("Origin")
        if flask.request.method != "GET" and origin and urlsplit(origin).netloc != flask.request.host:
            return {"error": "Requests from other sites are not accepted."}, 403
        return None

    _add_pages(sandbox, app)
    _add_json(sandbox, app)
    _add_actions(sandbox, app)
    return app


def _add_pages(sandbox: Sandbox, app: flask.Flask) -> None:
    @app.get("/")
    def root() -> Answer:
        return flask.redirect(flask.url_for("front"))

    @app.get("/_sandbox/")
    def front() -> Answer:
        return flask.render_template(
            "index.html",
            logins={slug: people.people(slug, sandbox.born) for slug in sandbox.utilities},
            lookups=sandbox.lookups,
            password=people.PASSWORD,
            registrations=sandbox.store.find("registrations"),
            catalogue=faults.CATALOGUE,
            armed=[row for row in sandbox.store.find("faults") if row["remaining"]],
            hosts=sandbox.hosts,
            api_hosts=sandbox.api_hosts,
            starts=_starts(sandbox),
            waiting=len(sandbox.store.find("notifications", sent=None)),
        )

    @app.get("/_sandbox/ledger/view")
    def ledger_page() -> Answer:
        rows = sandbox.store.find("ledger", order="id DESC", limit=LEDGER_PAGE)
        return flask.render_template("ledger.html", rows=rows, times=[_clock(row["at"]) for row in rows])


def _starts(sandbox: Sandbox) -> dict[str, str]:
    """Each utility's own host for customers, by slug: the first that serves pages."""
    own = [(slug, host) for host, slug in sandbox.hosts.items() if slug and host not in sandbox.api_hosts]
    return dict(reversed(own))


def _add_json(sandbox: Sandbox, app: flask.Flask) -> None:
    @app.get("/_sandbox/ledger")
    def ledger() -> Answer:
        return flask.jsonify(_rows(sandbox, "ledger"))

    @app.get("/_sandbox/deliveries")
    def deliveries() -> Answer:
        return flask.jsonify([{**row, "channels": json.loads(row["channels"])} for row in _rows(sandbox, "deliveries")])

    @app.get("/_sandbox/notifications")
    def notifications() -> Answer:
        rows = _rows(sandbox, "notifications")
        return flask.jsonify(
            [{**row, "body": row["body"].decode(), "url": _without_secret(row["url"])} for row in rows]
        )

    @app.get("/_sandbox/authorizations")
    def authorizations() -> Answer:
        return flask.jsonify(_rows(sandbox, "authorizations"))

    @app.get("/_sandbox/faults")
    def armed() -> Answer:
        rows = [row for row in sandbox.store.find("faults") if row["remaining"]]
        return {"catalogue": faults.CATALOGUE, "armed": [_fault(row) for row in rows]}


def _add_actions(sandbox: Sandbox, app: flask.Flask) -> None:
    @app.post("/_sandbox/faults")
    def arm() -> Answer:
        asked = flask.request.get_json(silent=True) if flask.request.is_json else _from_form()
        try:
            fault = _fault_request(asked)
            faults.arm(sandbox, **fault)
        except ValueError as error:
            return {"error": str(error)}, 400
        return {"armed": fault["name"]} if flask.request.is_json else flask.redirect(flask.url_for("front"))

    @app.delete("/_sandbox/faults")
    @app.post("/_sandbox/faults/clear")
    def disarm() -> Answer:
        cleared = sandbox.store.delete("faults")
        return flask.redirect(flask.url_for("front")) if flask.request.method == "POST" else {"cleared": cleared}

    @app.post("/_sandbox/deliver")
    def deliver() -> Answer:
        sent = notify.deliver_due(sandbox, everything="all" in flask.request.values)
        return {"sent": [{"id": row["id"], "status": row["status"]} for row in sent]}

    @app.post("/_sandbox/reset")
    def reset() -> Answer:
        sandbox.store.reset()
        return {"reset": True}


def _rows(sandbox: Sandbox, table: str) -> list[Row]:
    """Rows of a table as the query asks: ``after`` an id, and equal values of some columns."""
    given = flask.request.args
    wanted: dict[str, Any] = {name: given[name] for name in FILTERS if name in given and name in TABLES[table]}
    if (authorization := given.get("authorization", type=int)) is not None and "authorization" in TABLES[table]:
        wanted["authorization"] = authorization
    return sandbox.store.find(table, after=given.get("after", 0, type=int), **wanted)


def _from_form() -> dict[str, Any]:
    form = flask.request.form
    return {"name": form.get("name"), "utility": form.get("utility"), "count": form.get("count", 1, type=int)}


def _fault_request(asked: Any) -> dict[str, Any]:
    """The arguments of ``faults.arm``. Raises ValueError when the request is not of that shape."""
    if not isinstance(asked, dict) or not isinstance(asked.get("name"), str):
        raise ValueError("Send an object with the name of a fault.")
    count = asked.get("count", 1)
    if not isinstance(count, int):
        raise ValueError("count is a whole number.")
    return {"name": asked["name"], "utility": asked.get("utility"), "count": count, "args": asked.get("args", {})}


def _fault(row: Row) -> Row:
    return {"name": row["name"], "utility": row["utility"], "remaining": row["remaining"], "args": row["data"]}


def _without_secret(url: str) -> str:
    """A notify address without its last, secret part."""
    return url.rpartition("/")[0] + "/***"


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"
