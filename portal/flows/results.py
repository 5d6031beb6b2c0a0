"""How a journey ended, in words: what happened, whether anything was shared, and what to do next."""

import time
from dataclasses import dataclass, replace

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

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


NOTHING = _("Nothing was shared with us.")

RESULTS: dict[str, Result] = {
    Status.CONNECTED: Result(
        _("You are connected"),
        _("Your utility will now share what you agreed to."),
        _("We are asking for your data. The first figures usually appear within an hour; it can take a day."),
        "success",
    ),
    Status.NARROWER: Result(
        _("You are connected, with less than you chose here"),
        _("Your utility will share only part of what you chose here, as you allowed there. We collect nothing else."),
        _("We are asking for your data. To share more, connect again."),
        "warning",
    ),
    Status.ALREADY: Result(
        _("This account was already connected"),
        _("Your permission was renewed. Your history stays as it is; nothing is counted twice."),
        _("There is nothing else to do."),
        "success",
    ),
    Status.DECLINED: Result(_("You are not connected"), NOTHING, _("You can try again whenever you like."), "", True),
    Status.PARKED: Result(
        _("We could not finish this connection"),
        _("No data was collected."),
        _("Something about this account needs a person to look at it. Please write to us."),
        "warning",
    ),
    Status.FAILED: Result(_("The connection did not work"), NOTHING, _("You can start again."), "error", True),
    Status.EXPIRED: Result(_("That took too long"), NOTHING, _("Start again: your choices are kept."), "warning", True),
    Status.CLOSED: Result(_("This connection was stopped"), NOTHING, _("You can start again."), "", True),
    Status.RETURNED: Result(
        _("Checking with your utility"),
        _("We are just asking."),
        _("This page looks again by itself."),
        "",
        False,
        True,
    ),
}
# PG&E's test of its OAuth endpoints ends like this: its tokens open nothing.
NOTHING_ALLOWED = Result(
    _("You are connected, but nothing is shared"),
    _("Your utility allows none of the data you chose here."),
    _("We ask for nothing. To share something, connect again."),
    "warning",
)
STILL_OPEN = Result(_("This connection is not finished"), NOTHING, _("You can go on or start again."), "", True)


def describe(journey: AuthorizationRequest) -> Result:
    """The words for this journey's outcome, in the reader's language."""
    nothing_allowed = journey.status == Status.NARROWER and not granted(journey)
    found = NOTHING_ALLOWED if nothing_allowed else RESULTS.get(journey.status, STILL_OPEN)
    return replace(
        found, heading=gettext(found.heading), shared=gettext(found.shared), next_step=gettext(found.next_step)
    )


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
