"""How a journey ended, in words: what happened, whether anything was shared, and what to do next."""

import time
from dataclasses import dataclass

import utilities
from espi.models import AuthorizationRequest
from utilities.base import DataChoice

Status = AuthorizationRequest.Status
WAIT_SECONDS = 2.0


@dataclass(frozen=True)
class Result:
    """The words of a result page. `tone` is a notice class: success, warning, error or empty."""

    heading: str
    shared: str
    next_step: str
    tone: str = ""
    may_restart: bool = False
    pending: bool = False


NOTHING = "Nothing was shared with us."

RESULTS: dict[str, Result] = {
    Status.CONNECTED: Result(
        "You are connected",
        "Your utility will now share what you agreed to.",
        "We are asking for your data. The first figures usually appear within an hour; it can take a day.",
        "success",
    ),
    Status.NARROWER: Result(
        "You are connected, with less than you chose here",
        "Your utility will share only part of what you chose here, as you allowed there. We collect nothing else.",
        "We are asking for your data. To share more, connect again.",
        "warning",
    ),
    Status.ALREADY: Result(
        "This account was already connected",
        "Your permission was renewed. Your history stays as it is; nothing is counted twice.",
        "There is nothing else to do.",
        "success",
    ),
    Status.DECLINED: Result("You are not connected", NOTHING, "You can try again whenever you like.", "", True),
    Status.PARKED: Result(
        "We could not finish this connection",
        "No data was collected.",
        "Something about this account needs a person to look at it. Please write to us.",
        "warning",
    ),
    Status.FAILED: Result("The connection did not work", NOTHING, "You can start again.", "error", True),
    Status.EXPIRED: Result("That took too long", NOTHING, "Start again: your choices are kept.", "warning", True),
    Status.CLOSED: Result("This connection was stopped", NOTHING, "You can start again.", "", True),
    Status.RETURNED: Result(
        "Checking with your utility", "We are just asking.", "This page looks again by itself.", "", False, True
    ),
}
# PG&E's test of its OAuth endpoints ends like this: its tokens open nothing.
NOTHING_ALLOWED = Result(
    "You are connected, but nothing is shared",
    "Your utility allows none of the data you chose here.",
    "We ask for nothing. To share something, connect again.",
    "warning",
)
STILL_OPEN = Result("This connection is not finished", NOTHING, "You can go on or start again.", "", True)


def describe(journey: AuthorizationRequest) -> Result:
    """The words for this journey's outcome."""
    if journey.status == Status.NARROWER and not granted(journey):
        return NOTHING_ALLOWED
    return RESULTS.get(journey.status, STILL_OPEN)


def wait_until_answered(journey: AuthorizationRequest) -> None:
    """Give a twin request that is exchanging the code a few seconds, so that both show the same result (A08)."""
    until = time.monotonic() + WAIT_SECONDS
    while journey.status == Status.RETURNED and time.monotonic() < until:
        time.sleep(0.1)
        journey.refresh_from_db()


def granted(journey: AuthorizationRequest) -> list[DataChoice]:
    """What the utility allowed, of what it offers."""
    return _choices(journey, journey.authorization.data_granted if journey.authorization else [])


def not_collected(journey: AuthorizationRequest) -> list[DataChoice]:
    """What the utility allows beyond what was chosen here: we leave it alone."""
    if journey.authorization is None:
        return []
    app = journey.application_information
    allowed = utilities.get(app.utility).granted_choices(app, journey.authorization.scope_granted)
    return _choices(journey, [id_ for id_ in allowed if id_ not in journey.data_requested])


def not_granted(journey: AuthorizationRequest) -> list[DataChoice]:
    """What was asked and not allowed."""
    if journey.authorization is None:
        return []
    given = set(journey.authorization.data_granted)
    return _choices(journey, [id_ for id_ in journey.data_requested if id_ not in given])


def _choices(journey: AuthorizationRequest, ids: list[str]) -> list[DataChoice]:
    app = journey.application_information
    return [choice for choice in utilities.get(app.utility).data_choices(app) if choice.id in ids]
