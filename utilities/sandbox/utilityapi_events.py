"""What the platform tells third parties: Green Button notifications (a BatchList) and, separately, JSON webhooks.

Source: https://utilityapi.com/docs/webhooks; the notification's shape is the standard's.
"""

import hashlib
import json
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from utilities.sandbox import notify
from utilities.sandbox import utilityapi_xml as xml
from utilities.sandbox.state import Row

if TYPE_CHECKING:
    from utilities.sandbox.context import Sandbox

PLATFORM_HOST = "utilityapi.com"
RESOURCES = "/DataCustodian/espi/1_1/resource"
BULK_LIFETIME = 3 * 86400
RETRY_EVERY, RETRIES = 3600, 72
COLLECTED = (
    "authorization_update_started",
    "meter_created",
    "authorization_update_finished_successful",
    "meter_historical_collection_finished_successful",
)


def root(sandbox: "Sandbox") -> str:
    """The resource base of all utilities on the platform."""
    return sandbox.base(PLATFORM_HOST) + RESOURCES


def remember_root(sandbox: "Sandbox", registration: Row) -> None:
    """Keep the address by which a third party itself calls, for what is sent to it later from a customer's page."""
    if registration["data"].get("root") != root(sandbox):
        registration["data"]["root"] = root(sandbox)
        sandbox.store.update("registrations", {"id": registration["id"]}, data=registration["data"])


def new_bulk(sandbox: "Sandbox", registration: Row, since: float, authorizations: list[int] | None = None) -> str:
    """Prepare a bulk feed of what was added since an instant; returns its address, good for three days."""
    now = sandbox.now()
    uid = f"b-{secrets.token_hex(4)}"
    sandbox.store.insert(
        "batches", request=uid, utility=registration["utility"], registration=registration["id"], status="ready",
        token_kind="client", created=now, expires=now + BULK_LIFETIME,  # noqa: S106
        data={"since": since, "authorizations": authorizations},
    )  # fmt: skip
    return f"{registration['data'].get('root') or root(sandbox)}/Bulk/{uid}"


def announce(sandbox: "Sandbox", registration: Row, resources: list[str]) -> None:
    """Queue one BatchList for the notify address. It is not signed, and the platform does not repeat it."""
    slug = registration["utility"]
    body = xml.batch_list(resources)
    if (args := sandbox.fault("notification_shape", slug)) is not None:
        body = _shaped(args.get("shape", "standard"), resources, body)
    if sandbox.fault("raw_ampersand", slug) is not None:
        body = body.replace("</resources>", "?a=1&b=2</resources>", 1)
    early = sandbox.fault("early_notification", slug) is not None
    headers = {"Content-Type": "application/atom+xml"}
    number = notify.queue(sandbox, registration, body.encode(), "batchlist", headers, delay=0 if early else None)
    if early and number:
        notify.send(sandbox, number)


def _shaped(shape: str, resources: list[str], body: str) -> str:
    rows = "".join(f"<resources>{uri}</resources>" for uri in resources)
    if shape == "batchlist_lower":
        return f'<batchList xmlns="{xml.ESPI}">{rows}</batchList>'
    if shape == "atom":
        inner = xml.espi("BatchList", [("resources", uri) for uri in resources])
        return f'<entry xmlns="{xml.ATOM}"><content type="application/xml">{inner}</content></entry>'
    return body


def signature(secret: str, salt: str, body: bytes) -> str:
    """Lower-case hex of plain SHA-256 over secret.salt.body; not an HMAC."""
    return hashlib.sha256(f"{secret}.{salt}.".encode() + body).hexdigest()


def webhook(sandbox: "Sandbox", registration: Row, types: list[str], **about: str) -> None:
    """Queue one webhook request with an event of each type; nothing when no endpoint is set."""
    url, slug = registration["data"].get("webhook_uri", ""), registration["utility"]
    if not url:
        return
    events = [_event(sandbox, kind, url, about) for kind in types]
    content = {"events": events, "next": None}
    indented = json.dumps(content, indent=4).encode()
    # Captures leave open whether the bytes sent are the bytes signed: the fault sends them compact.
    compact = sandbox.fault("webhook_compact", slug) is not None
    salt = secrets.token_hex(16)
    signed = signature(registration["data"].get("webhook_secret", ""), salt, indented)
    if sandbox.fault("webhook_bad_signature", slug) is not None:
        signed = "0" * 64
    headers = {
        "Content-Type": "application/json",
        "X-UtilityAPI-Webhook-Salt": salt,
        "X-UtilityAPI-Webhook-Signature": signed,
    }
    body = json.dumps(content).encode() if compact else indented
    notify.queue(sandbox, registration, body, "webhook", headers, url=url, data={"attempt": 1, "events": events})


def _event(sandbox: "Sandbox", kind: str, url: str, about: dict[str, str]) -> dict[str, Any]:
    return {
        "uid": secrets.token_hex(8),
        "type": kind,
        "ts": datetime.fromtimestamp(sandbox.now(), UTC).isoformat(),
        "delivery_method": "webhook",
        "delivery_target": url,
        "is_delivered": False,
        **about,
    }


def retry(sandbox: "Sandbox", row: Row) -> None:
    """Webhooks come again every hour for 72 hours until one is answered with 200; notifications do not."""
    attempt = row["data"].get("attempt", 0)
    if row["kind"] != "webhook" or row["status"] == 200 or attempt >= RETRIES:
        return
    again = {name: row[name] for name in ("utility", "registration", "kind", "url", "headers", "body")}
    due = sandbox.now() + RETRY_EVERY
    sandbox.store.insert(
        "notifications", **again, created=sandbox.now(), due=due, data={**row["data"], "attempt": attempt + 1}
    )


def consented(sandbox: "Sandbox", registration: Row, authorization: Row, meters: list[str], *, renewed: bool) -> None:
    """All that follows a customer's consent: collection events, and a bulk feed when notifications were granted."""
    uid = authorization["subscription"]
    first = "authorization_renewed" if renewed else "authorization_created"
    webhook(sandbox, registration, [first], authorization_uid=uid)
    for kind in COLLECTED:
        for meter in meters if kind.startswith("meter_") else [""]:
            about = {"authorization_uid": uid} | ({"meter_uid": meter} if meter else {})
            webhook(sandbox, registration, [kind], **about)
    if 39 in authorization["data"]["blocks"]:
        since = sandbox.now() - 31 * 86400
        announce(sandbox, registration, [new_bulk(sandbox, registration, since, [authorization["id"]])])
