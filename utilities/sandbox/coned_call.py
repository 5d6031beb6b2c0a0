"""A request for a resource of either edition: who may ask for what, and what every answer goes through.

401 says no more than that the access token is not good (also when the authorization was revoked, ended or lapsed);
403 that this kind of token, or this authorization, does not reach so far.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import flask

from utilities.sandbox import coned_batch as batch
from utilities.sandbox import coned_data as data
from utilities.sandbox import coned_terms as terms
from utilities.sandbox import coned_token, faults
from utilities.sandbox.context import Sandbox
from utilities.sandbox.people import Service
from utilities.sandbox.state import Row

ATOM, ATOM_SPACE = "application/atom+xml", "http://www.w3.org/2005/Atom"
USAGE = "/Subscription/<subscription>/UsagePoint"
READING = USAGE + "/<usage_point>/MeterReading"
ACCESS, CLIENT = ("access",), ("client",)


class Stop(Exception):
    """The request ends here with this answer."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message)
        body = json.dumps({"statusCode": status, "message": message}) if message else ""
        self.response = flask.Response(body, status, content_type="application/json" if message else "text/plain")


@dataclass(frozen=True)
class Call:
    """One request that was let through."""

    sandbox: Sandbox
    token: Row
    registration: Row
    authorization: Row | None
    resource: str  # address of the resource root, in the style the request came in by

    @property
    def holder(self) -> Row:
        """The authorization behind a customer's access token."""
        if self.authorization is None:
            raise Stop(403)
        return self.authorization

    @property
    def query(self) -> dict[str, str]:
        """The query parameters, one value each."""
        return flask.request.args.to_dict()


@dataclass(frozen=True)
class Rule:
    """A resource: path below /resource, kinds of token, the query parameters it knows, and what answers."""

    path: str
    kinds: tuple[str, ...]
    answer: Callable[..., flask.Response]
    query: frozenset[str] = frozenset()
    methods: tuple[str, ...] = ("GET",)


def view(sandbox: Sandbox, edition: str, root: str, rule: Rule) -> Callable[..., flask.Response]:
    """What Flask calls for a rule below `root`, the path of the edition's resources."""

    def answer(**ids: str) -> flask.Response:
        try:
            call = _admit(sandbox, edition, root, rule, ids)
            spoiled = faults.resource_answer(sandbox, call.registration["utility"]) or _not_ready(call)
            return spoiled or _finish(call, edition, rule.answer(call, **ids))
        except Stop as stop:
            return stop.response

    return answer


def _admit(sandbox: Sandbox, edition: str, root: str, rule: Rule, ids: dict[str, str]) -> Call:
    """Check subscription key, token, class, authorization and query. Raises Stop."""
    environment = terms.environment(sandbox.host)
    if edition == "v1":
        _check_key(sandbox, None)
    kind, _, value = flask.request.headers.get("Authorization", "").partition(" ")
    token = sandbox.token(value) if kind.lower() == "bearer" else None
    if token is None or token["kind"] == "refresh":
        raise Stop(401)
    sandbox.note(token_class=token["kind"], authorization=token["authorization"], utility=token["utility"])
    registration = sandbox.registration(environment, id=token["registration"], edition=edition)
    if registration is None:
        raise Stop(401)
    if edition == "v1":
        _check_key(sandbox, registration)
    if token["kind"] not in rule.kinds:
        raise Stop(403)
    authorization = coned_token.active(sandbox, token["authorization"]) if token["kind"] == "access" else None
    if token["kind"] == "access":
        if authorization is None:
            raise Stop(401)
        if ids.get("subscription", str(authorization["subscription"])) != str(authorization["subscription"]):
            raise Stop(403)
    if edition == "v2":
        _check_query(rule)
    return Call(sandbox, token, registration, authorization, sandbox.base(sandbox.host) + root)


def _check_key(sandbox: Sandbox, registration: Row | None) -> None:
    """The gateway wants a subscription key it knows, and the one of this third party. Raises Stop."""
    key = flask.request.headers.get("ocp-apim-subscription-key")
    if not key:
        raise Stop(401, coned_token.NO_KEY)
    rows = [registration] if registration else sandbox.store.find("registrations", edition="v1")
    if all(row["data"].get("subscription_key") != key for row in rows):
        raise Stop(401, coned_token.WRONG_KEY)


def _check_query(rule: Rule) -> None:
    """V2 takes the parameters of its Swagger file and no others: camelCase time filters only on Authorization."""
    for name, values in flask.request.args.lists():
        if name not in rule.query or len(values) != 1:
            raise Stop(400, f"{name} is not a parameter of this operation.")


def _not_ready(call: Call) -> flask.Response | None:
    if call.sandbox.fault("not_ready_202", call.registration["utility"]) is None:
        return None
    return flask.Response("", 202)


def _finish(call: Call, edition: str, response: flask.Response) -> flask.Response:
    """V1 sends XML whatever Accept says. V2 prefers JSON unless Atom or XML is asked for."""
    if response.status_code != 200:
        return response
    if edition == "v2" and not any(kind in flask.request.headers.get("Accept", "") for kind in (ATOM, "/xml")):
        return flask.jsonify(_as_json(response.get_data()))
    body = faults.truncated(call.sandbox, call.registration["utility"], response.get_data())
    return flask.Response(body, 200, content_type=ATOM)


def _as_json(body: bytes) -> Row:
    """A document as the Swagger file's Feed model: titles, ids and links; usage has no JSON model there."""
    root = ElementTree.fromstring(body)  # noqa: S314 -- a document of our own making
    entries = [root] if root.tag == f"{{{ATOM_SPACE}}}entry" else root.findall(f"{{{ATOM_SPACE}}}entry")
    return {"Feed": _named(root) | {"Entry": [_named(entry) for entry in entries], "Xmlns": ATOM_SPACE}}


def _named(element: ElementTree.Element) -> Row:
    links = [one.attrib for one in element.findall(f"{{{ATOM_SPACE}}}link")]
    return {
        "Title": {"Type": "text", "Text": element.findtext(f"{{{ATOM_SPACE}}}title", "")},
        "Id": element.findtext(f"{{{ATOM_SPACE}}}id", ""),
        "Updated": element.findtext(f"{{{ATOM_SPACE}}}updated", ""),
        "Link": [{"Href": link["href"], "Rel": link["rel"]} for link in links],
    }


def document(body: bytes) -> flask.Response:
    """XML as it goes out, before `Accept` is looked at."""
    return flask.Response(body, 200, content_type=ATOM)


def need(condition: object, status: int = 403) -> None:
    """Raises Stop unless the condition holds."""
    if not condition:
        raise Stop(status, "Resource not found" if status == 404 else "")


def service_of(call: Call, usage_point: str) -> Service:
    """The service of one of the customer's usage points. Raises Stop."""
    found = [service for service in data.services(call.sandbox, call.holder) if service.id == usage_point]
    need(found, 404)
    return found[0]


def authorization_of(call: Call, number: str) -> Row:
    """One of this third party's authorizations; with a customer's token, only its own. Raises Stop."""
    row = call.sandbox.store.get("authorizations", id=number, registration=call.registration["id"])
    if row is None or row["subscription"] is None:
        raise Stop(404, "Resource not found")
    need(call.authorization is None or call.authorization["id"] == row["id"])
    return row


def active(call: Call) -> list[Row]:
    """This third party's authorizations that hold today."""
    rows = call.sandbox.store.find("authorizations", registration=call.registration["id"], status="active")
    return [row for row in rows if row["ends"] is None or row["ends"] > call.sandbox.now()]


def accept(call: Call, files: list[tuple[int, dict[str, Any]]], url: Callable[..., str]) -> flask.Response:
    """202: the files are made, and `url` says where each is to be had. Raises Stop while the same is being made."""
    request = flask.request
    try:
        batch.accept(
            call.sandbox, call.registration, call.authorization, call.token["kind"], request.path,
            request.query_string.decode("latin-1"), files, url,
        )  # fmt: skip
    except batch.Duplicate:
        raise Stop(400, "The same request is still being processed.") from None
    return flask.Response("", 202)
