"""Notifications: a queue in the store, and a thread that posts what is due."""

import json
import logging
import threading
from typing import TYPE_CHECKING

import requests

from utilities.sandbox.state import Row

if TYPE_CHECKING:
    from utilities.sandbox.context import Sandbox

log = logging.getLogger(__name__)


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """POST without following redirects; the status, or 0 when nobody answered."""
    try:
        return requests.post(url, data=body, headers=headers, timeout=10, allow_redirects=False).status_code
    except requests.RequestException as error:
        log.warning("A notification was not delivered: %s", type(error).__name__)
        return 0


def queue(
    sandbox: "Sandbox", registration: Row, body: bytes, kind: str, headers: dict[str, str] | None = None,
    *, url: str = "", delay: float | None = None, data: Row | None = None,
) -> int | None:  # fmt: skip
    """Put a notification in the queue; its id, or None when there is no address or a fault swallows it.

    ``url`` defaults to the notify address on the registration form, ``delay`` (seconds) to the configured one.
    The faults no_notification, late_notification and duplicate_notification act here.
    """
    slug, url = registration["utility"], url or registration["data"].get("notify_uri", "")
    if not url or sandbox.fault("no_notification", slug) is not None:
        return None
    now = sandbox.now()
    if (late := sandbox.fault("late_notification", slug)) is not None:
        delay = float(late.get("seconds", 20))
    row = {
        "utility": slug, "registration": registration["id"], "kind": kind, "url": url, "headers": headers or {},
        "body": body, "created": now, "due": now + (sandbox.config.notify_delay if delay is None else delay),
        "data": data or {},
    }  # fmt: skip
    number = sandbox.store.insert("notifications", **row)
    if sandbox.fault("duplicate_notification", slug) is not None:
        sandbox.store.insert("notifications", **row)
    return number


def deliver_due(sandbox: "Sandbox", *, everything: bool = False) -> list[Row]:
    """Send what is due (or everything unsent), once each, oldest first; returns the rows sent with their status."""
    waiting = sandbox.store.find("notifications", order="due, id", sent=None)
    rows = [row for row in waiting if everything or row["due"] <= sandbox.now()]
    return [sent for row in rows if (sent := send(sandbox, row["id"]))]


def send(sandbox: "Sandbox", number: int) -> Row | None:
    """Send one notification unless somebody else has; records the status of the answer."""
    if not sandbox.store.update("notifications", {"id": number, "sent": None}, sent=sandbox.now()):
        return None
    row = sandbox.store.get("notifications", id=number)
    if row is None:
        return None
    status = sandbox.config.deliver(row["url"], row["body"], json.loads(row["headers"]))
    sandbox.store.update("notifications", {"id": number}, status=status)
    if callback := sandbox.on_notified.get(row["utility"]):
        callback({**row, "status": status})
    return {**row, "status": status}


def start(sandbox: "Sandbox", stopping: threading.Event) -> threading.Thread:
    """Deliver what is due every half second until ``stopping`` is set."""

    def run() -> None:
        while not stopping.wait(0.5):
            try:
                deliver_due(sandbox)
            except Exception:
                log.exception("The notification thread met an error and goes on")

    thread = threading.Thread(target=run, name="notifications", daemon=True)
    thread.start()
    return thread
