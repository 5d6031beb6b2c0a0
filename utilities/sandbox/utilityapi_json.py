"""The platform's JSON API, as far as a Green Button third party needs it: authorizations, revoking, events, collection.

Source: https://utilityapi.com/docs/api/authorizations, /docs/api/list and /docs/webhooks. Token: the one in the settings.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import flask

from utilities.sandbox import utilityapi_api as api
from utilities.sandbox import utilityapi_oauth as oauth
from utilities.sandbox import utilityapi_utilities as utilities
from utilities.sandbox.state import Row
from utilities.sandbox.utilityapi_api import Refused

if TYPE_CHECKING:
    from utilities.sandbox.context import Sandbox

Answer = flask.Response
PAGE = 100


def add_endpoints(sandbox: "Sandbox", app: flask.Flask) -> None:
    """Route /api/v2."""
    rules: tuple[tuple[str, str, Callable[..., Any]], ...] = (
        ("GET", "/authorizations", _list),
        ("GET", "/authorizations/<uid>", _one),
        ("POST", "/authorizations/<uid>/revoke", _revoke),
        ("DELETE", "/authorizations/<uid>", _delete),
        ("GET", "/events", _events),
        ("POST", "/meters/historical-collection", _collect),
    )
    for number, (method, path, handler) in enumerate(rules):
        view = _guarded(sandbox, handler)
        app.add_url_rule(f"/api/v2{path}", f"json{number}", view, methods=[method])


def _guarded(sandbox: "Sandbox", handler: Callable[..., Any]) -> Callable[..., Answer]:
    def view(**path: str) -> Answer:
        scheme, _, value = flask.request.headers.get("Authorization", "").partition(" ")
        row = api.settings_token(sandbox, value) if scheme.lower() == "bearer" and value else None
        if row is None or row["kind"] != "api":
            return Refused(401, "unauthorized", "The API token is invalid or missing.").answer()
        owner = sandbox.store.get("registrations", id=row["registration"]) or {}
        sandbox.note(token_class="api", utility=owner["utility"])  # noqa: S106 -- the class of a token
        try:
            return flask.Response(json.dumps(handler(sandbox, owner, **path)), 200, content_type="application/json")
        except Refused as refusal:
            return refusal.answer()

    return view


def _iso(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).isoformat()


def _shown(sandbox: "Sandbox", row: Row) -> Row:
    alive = oauth.is_alive(sandbox, row)
    return {
        "uid": row["subscription"],
        "created": _iso(row["created"]),
        "expires": _iso(row["ends"]),
        "is_expired": row["ends"] <= sandbox.now(),
        "is_revoked": row["status"] != "active",
        "is_test": False,
        "status": "updated" if alive else "revoked",
        "utility": utilities.BY_SLUG[row["utility"]].utility_id,
        "scope": row["scope"],
        "meters": {"meters": [{"uid": service} for service in row["data"]["services"]] if alive else []},
        "notes": [{"type": "access_valid" if alive else "access_invalid", "msg": "", "ts": _iso(row["updated"])}],
    }


def _page(rows: list[Row], name: str, key: Callable[[Row], str]) -> Row:
    """A list with `next`: a full address or null; `after` names the last uid the caller has."""
    after = flask.request.args.get("after")
    if after:
        places = [place for place, row in enumerate(rows) if key(row) == after]
        rows = rows[places[0] + 1 :] if places else []
    shown, more = rows[:PAGE], len(rows) > PAGE
    return {name: shown, "next": f"{flask.request.base_url}?after={key(shown[-1])}" if more else None}


def _list(sandbox: "Sandbox", owner: Row) -> Row:
    rows = sandbox.store.find("authorizations", registration=owner["id"])
    return _page([_shown(sandbox, row) for row in rows], "authorizations", lambda row: row["uid"])


def _find(sandbox: "Sandbox", owner: Row, uid: str) -> Row:
    row = sandbox.store.get("authorizations", registration=owner["id"], subscription=uid)
    if row is None:
        raise api.not_found()
    return row


def _one(sandbox: "Sandbox", owner: Row, uid: str) -> Row:
    return _shown(sandbox, _find(sandbox, owner, uid))


def _revoke(sandbox: "Sandbox", owner: Row, uid: str) -> Row:
    """Ends the authorization and deletes its meters and data at the platform; the second time there is nothing left."""
    row = _find(sandbox, owner, uid)
    if row["status"] != "active":
        raise api.not_found()
    sandbox.note(authorization=row["id"])
    sandbox.revoke(row["id"])
    return {"success": True}


def _delete(sandbox: "Sandbox", owner: Row, uid: str) -> Row:
    """Only authorizations made by test-submit can be deleted, and a Green Button consent is none."""
    _find(sandbox, owner, uid)
    raise Refused(400, "not_test", "Only test submissions can be deleted. Revoke this authorization instead.")


def _events(sandbox: "Sandbox", owner: Row) -> Row:
    """Every event of the webhooks, delivered or not."""
    found: dict[str, Row] = {}
    for row in sandbox.store.find("notifications", registration=owner["id"], kind="webhook"):
        for event in row["data"].get("events", []):
            delivered = row["status"] == 200 or found.get(event["uid"], {}).get("is_delivered", False)
            found[event["uid"]] = {**event, "is_delivered": delivered}
    return _page(list(found.values()), "events", lambda row: row["uid"])


def _collect(sandbox: "Sandbox", owner: Row) -> Row:
    """History is collected without being asked for, so this says yes to meters that are shared. An empty list is 404."""
    body = flask.request.get_json(silent=True)
    asked = body.get("meters") if isinstance(body, dict) else None
    if not isinstance(asked, list):
        raise Refused(400, "invalid_param", "meters must be a list of uids")
    rows = sandbox.store.find("authorizations", registration=owner["id"], status="active")
    shared = {service for row in rows for service in row["data"]["services"]}
    if not asked or not set(map(str, asked)) <= shared:
        raise api.not_found()
    return {"success": True, "meters": asked}
