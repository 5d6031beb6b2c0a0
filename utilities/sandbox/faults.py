"""Faults that can be asked for by name, and what they do to an answer.

``POST /_sandbox/faults`` with {"name", "utility" (else all), "count" (default 1, 0 = until cleared), "args"} arms one.
A platform asks ``sandbox.fault(name, utility)`` where it could go wrong: the arguments when armed, else None.
"""

import json
import time
from typing import TYPE_CHECKING, Any

import flask

from utilities.sandbox.state import Row

if TYPE_CHECKING:
    from utilities.sandbox.context import Sandbox

CATALOGUE = {
    "decline": "The customer's consent is answered with error=access_denied whatever button was pressed.",
    "narrower_scope": "The token response grants less than was agreed to.",
    "wider_scope": "The token response grants more than was agreed to.",
    "expired_code": "The authorization code is already too old when it reaches the third party.",
    "token_500": "The token endpoint answers 500.",
    "token_html": "The token endpoint answers 200 with an HTML page.",
    "token_non_json": "The token endpoint answers 200 with text that is no JSON.",
    "token_xml": "The token endpoint answers with the same fields as XML.",
    "token_empty": "The token endpoint answers 200 with an empty body.",
    "token_missing_access_token": "The token response lacks its access token.",
    "token_wrong_type": "The access token is a number and the scope a list.",
    "token_expires_text": "expires_in is the text 'soon'.",
    "token_expires_string": "expires_in is a number written as text (seen at Con Edison and PG&E).",
    "token_account_number_key": "Con Edison V1's accountNumber comes as AccountNumber, as its document prints it.",
    "token_expires_negative": "expires_in is -1.",
    "token_huge": "The token response is 5 MB long.",
    "token_error_200": "An OAuth error is sent with status 200.",
    "token_foreign_resource_uri": "One address of the token response points elsewhere. args: field (resourceURI,"
    " authorizationURI, customerResourceURI), value (an address; default https://attacker.example/resource/1).",
    "token_slow": "The token endpoint waits. args: seconds (default 15).",
    "no_refresh_token": "The token response has no refresh token.",
    "no_state_echo": "The redirect back leaves out state.",
    "resource_401": "A resource answers 401.",
    "resource_403": "A resource answers 403.",
    "resource_404": "A resource answers 404.",
    "resource_204": "A resource answers 204: no content.",
    "resource_410": "A resource answers 410.",
    "resource_429": "A resource answers 429. args: retry_after (any text, default 2 seconds; null: no such header).",
    "resource_500": "A resource answers 500.",
    "resource_503": "A resource answers 503.",
    "resource_504": "A resource answers 504.",
    "resource_json": "A resource answers 200 with JSON.",
    "resource_html": "A resource answers 200 with an HTML page.",
    "resource_empty": "A resource answers 200 with an empty body.",
    "resource_truncated": "A resource's document is cut in the middle.",
    "revised_readings": "Con Edison V1: a file tells other values of the last days. args: days (default 3), add"
    " (default 7).",
    "small_files": "Con Edison V1: a batch is cut into files of about so many bytes. args: bytes (default 2000000).",
    "resource_slow": "A resource waits before it answers. args: seconds (default 15).",
    "not_ready_202": "A resource answers 202 before it is ready. Ask for it n times with count n.",
    "no_notification": "A notification is lost.",
    "duplicate_notification": "A notification is sent twice.",
    "late_notification": "A notification is sent later than usual. args: seconds (default 20).",
    "early_notification": "The notification is delivered before the 202 is returned.",
    "raw_ampersand": "Ampersands in the notification are not escaped.",
    "notification_shape": "args: shape = batchlist_lower | atom | standard.",
    "extra_resources": "PG&E: a BatchList names further addresses. args: urls (default: a placeholder correlationID).",
    "token_scope_number": "PG&E: the scope is just the subscription number.",
    "token_no_resource_uri": "PG&E: the token response has no resourceURI.",
    "client_token_xml": "PG&E: the client token comes as an XML Response document.",
    "callback_scope_escaped": "PG&E: the scope on the way back is percent-encoded.",
    "empty_feed": "PG&E, UtilityAPI: a feed without entries instead of data.",
    "shuffled_entries": "PG&E: a feed's entries come in reverse order.",
    "interval_blocks_alone": "PG&E: a feed has its IntervalBlocks only.",
    "changed_prefixes": "PG&E: the Atom namespace has another prefix.",
    "millisecond_periods": "PG&E: an Authorization's periods are in milliseconds, as in 2015.",
    "webhook_compact": "UtilityAPI: a webhook's body is sent without the indentation it was signed with.",
    "webhook_bad_signature": "UtilityAPI: a webhook's signature is wrong.",
    "service_down": "ReadServiceStatus answers 0.",
    "revoke": "Ends an authorization now. args: authorization (id; default the newest).",
    "expire_token": "Every access token of the utility is expired now.",
}
AT_ONCE = ("revoke", "expire_token")
HTML = "<!doctype html><html><head><title>Service unavailable</title></head><body><h1>We'll be right back</h1></body></html>"


def arm(sandbox: "Sandbox", name: str, utility: str | None, count: int, args: dict[str, Any]) -> int | None:
    """Arm a fault (or do it at once, for revoke and expire_token). Raises ValueError on an unknown name or count."""
    if name not in CATALOGUE:
        raise ValueError(f"There is no fault called {name}.")
    if utility and utility not in sandbox.utilities:
        raise ValueError(f"There is no utility called {utility}.")
    if count < 0 or not isinstance(args, dict):
        raise ValueError("count is a whole number from 0, args is an object.")
    if name == "revoke":
        _revoke(sandbox, utility, args)
    elif name == "expire_token":
        tokens = {"kind": "access"} | ({"utility": utility} if utility else {})
        sandbox.store.update("tokens", tokens, expires=sandbox.now() - 1)
    if name in AT_ONCE:
        return None
    row = {"name": name, "utility": utility or None, "remaining": count or -1, "created": sandbox.now()}
    return sandbox.store.insert("faults", **row, data=args)


def _revoke(sandbox: "Sandbox", utility: str | None, args: dict[str, Any]) -> None:
    where: dict[str, Any] = {"utility": utility} if utility else {}
    if "authorization" in args:
        where["id"] = args["authorization"]
    newest = sandbox.store.find("authorizations", order="id DESC", limit=1, **where)
    if not newest:
        raise ValueError("There is no such authorization to revoke.")
    sandbox.revoke(newest[0]["id"])


def take(sandbox: "Sandbox", name: str, utility: str) -> dict[str, Any] | None:
    """Use up one of an armed fault: its arguments, or None when it is not armed for this utility."""
    for row in sandbox.store.find("faults", name=name):
        if row["utility"] not in (None, utility) or row["remaining"] == 0:
            continue
        if row["remaining"] > 0 and not _use_one(sandbox, row):
            continue
        return row["data"]
    return None


def _use_one(sandbox: "Sandbox", row: Row) -> int:
    here = {"id": row["id"], "remaining": row["remaining"]}
    return sandbox.store.update("faults", here, remaining=row["remaining"] - 1)


def token_answer(sandbox: "Sandbox", utility: str, answer: dict[str, Any]) -> flask.Response | None:
    """The spoiled token response when a token fault is armed, else None. ``answer`` may be changed in place."""
    if (args := sandbox.fault("token_slow", utility)) is not None:
        time.sleep(float(args.get("seconds", 15)))
    for name, (status, kind, body) in _whole_answers(answer).items():
        if sandbox.fault(name, utility) is not None:
            return flask.Response(body, status, content_type=kind)
    _spoil_fields(sandbox, utility, answer)
    return None


def _whole_answers(answer: dict[str, Any]) -> dict[str, tuple[int, str, str]]:
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in answer.items())
    error = {"error": "server_error", "error_description": "The request could not be processed."}
    return {
        "token_500": (500, "application/json", json.dumps({"statusCode": 500, "message": "Internal server error"})),
        "token_html": (200, "text/html; charset=utf-8", HTML),
        "token_non_json": (200, "application/json", "OK access_token granted"),
        "token_xml": (200, "application/xml", f"<token>{fields}</token>"),
        "token_empty": (200, "application/json", ""),
        "token_error_200": (200, "application/json", json.dumps(error)),
        "token_huge": (200, "application/json", json.dumps({**answer, "padding": "x" * 5_000_000})),
    }


def _spoil_fields(sandbox: "Sandbox", utility: str, answer: dict[str, Any]) -> None:
    if sandbox.fault("token_missing_access_token", utility) is not None:
        answer.pop("access_token", None)
        answer.pop("client_access_token", None)
    if sandbox.fault("token_wrong_type", utility) is not None:
        answer.update(access_token=12345, scope=[answer.get("scope")])
    if sandbox.fault("token_expires_text", utility) is not None:
        answer["expires_in"] = "soon"
    if sandbox.fault("token_expires_string", utility) is not None:
        answer["expires_in"] = str(answer.get("expires_in", ""))
    if "accountNumber" in answer and sandbox.fault("token_account_number_key", utility) is not None:
        answer["AccountNumber"] = answer.pop("accountNumber")
    if sandbox.fault("token_expires_negative", utility) is not None:
        answer["expires_in"] = -1
    if sandbox.fault("no_refresh_token", utility) is not None:
        answer.pop("refresh_token", None)
    if (args := sandbox.fault("token_foreign_resource_uri", utility)) is not None:
        answer[args.get("field", "resourceURI")] = args.get("value", "https://attacker.example/resource/1")


def resource_answer(sandbox: "Sandbox", utility: str) -> flask.Response | None:
    """What a resource answers instead of its document when a fault is armed, else None."""
    if (args := sandbox.fault("resource_slow", utility)) is not None:
        time.sleep(float(args.get("seconds", 15)))
    for status in (204, 401, 403, 404, 410, 500, 503, 504):
        if sandbox.fault(f"resource_{status}", utility) is not None:
            return flask.Response("", status, content_type="text/plain")
    if (args := sandbox.fault("resource_429", utility)) is not None:
        wait = args.get("retry_after", 2)
        headers = {} if wait is None else {"Retry-After": str(wait)}
        return flask.Response("", 429, headers, content_type="text/plain")
    if sandbox.fault("resource_html", utility) is not None:
        return flask.Response(HTML, 200, content_type="text/html; charset=utf-8")
    if sandbox.fault("resource_json", utility) is not None:
        return flask.Response('{"status": "ok"}', 200, content_type="application/json")
    if sandbox.fault("resource_empty", utility) is not None:
        return flask.Response("", 200, content_type="application/atom+xml")
    return None


def truncated(sandbox: "Sandbox", utility: str, body: bytes) -> bytes:
    """The document, or its first part when resource_truncated is armed."""
    return body[: len(body) * 2 // 3] if sandbox.fault("resource_truncated", utility) is not None else body
