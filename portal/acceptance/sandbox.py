"""Steering the sandbox: its named faults, asked for over HTTP as anybody may. It knows nothing of this portal's rows."""

from typing import Any

import requests
from django.conf import settings

from espi import session
from espi.session import Deadline

SECONDS = 10.0


class SandboxAway(Exception):
    """The sandbox did not do as it was asked; the message says why."""


def arm(fault: str, utility: str, *, count: int = 1, **args: Any) -> None:
    """Let the played utility do one thing wrong. Raises SandboxAway."""
    _send("POST", "/_sandbox/faults", {"name": fault, "utility": utility, "count": count, "args": args})


def disarm() -> None:
    """No utility is to do anything wrong any more. Raises SandboxAway."""
    _send("DELETE", "/_sandbox/faults", None)


def authorization_id(utility: str, subscription_id: str) -> int | None:
    """The sandbox's own number of an authorization. Raises SandboxAway."""
    rows = _send("GET", f"/_sandbox/authorizations?utility={utility}", None)
    mine = [row["id"] for row in rows if str(row["subscription"]) == subscription_id]
    return int(mine[-1]) if mine else None


def _send(method: str, path: str, asked: object) -> Any:
    url = settings.SANDBOX_BASE_URL.rstrip("/") + path
    try:
        with Deadline(SECONDS), session.build(allow_loopback=True) as http:
            answer = http.request(method, url, json=asked)
            answer.raise_for_status()
            return answer.json()
    except (requests.RequestException, ValueError) as error:
        raise SandboxAway(
            f"The sandbox at {settings.SANDBOX_BASE_URL} did not do it ({type(error).__name__})."
        ) from None
