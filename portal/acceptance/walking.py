"""A walk: a tester goes through a utility's pages as the test customer, through the registration under test."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

import utilities
from espi.models import ApplicationInformation, AuthorizationRequest
from portal.acceptance import sandbox, scenarios
from portal.acceptance.running import TestRefused, held_open, wake
from portal.flows import authorize
from portal.models import AcceptancePart, User, UtilityVisit
from utilities.addresses import in_sandbox

State = AcceptancePart.State
SANDBOX = ApplicationInformation.Environment.SANDBOX
# Where a customer begins who picks us at his utility, beside the authorize address (contracts: PG&E §5, Con Edison §2).
FRONT_PAGES = {"pge": "https://sharemydata.pge.com/", "cecony": "https://www.coned.com/", "oru": "https://www.oru.com/"}


def begin(
    part: AcceptancePart,
    *,
    tester: User,
    chosen: Sequence[str],
    browser: str,
    now: datetime,
    visit: UtilityVisit | None = None,
) -> AuthorizationRequest:
    """The journey of this walk: the tester's own, through this registration. In the sandbox its fault is armed first.

    Raises TestRefused, sandbox.SandboxAway, and authorize.JourneyRefused for choices that cannot be.
    """
    app = part.test.application_information
    if part.test.tester_id != tester.pk or part.state == State.DONE:
        raise TestRefused("This walk is over, or somebody else's. Begin a new one.")
    if left_at_utility(tester).filter(memory__armed=True).exists():
        sandbox.disarm()  # or the fault of the walk that was left would befall this one
    scenario = scenarios.find(app, part.name)
    if scenario.fault and app.environment == SANDBOX and not part.memory.get("armed"):
        sandbox.arm(scenario.fault, app.utility, **scenario.args)
        part.memory["armed"] = True
    return _attach(part, tester, chosen, browser, now, visit)


@transaction.atomic
def _attach(
    part: AcceptancePart,
    tester: User,
    chosen: Sequence[str],
    browser: str,
    now: datetime,
    visit: UtilityVisit | None,
) -> AuthorizationRequest:
    held_open(part.test)
    app = part.test.application_information
    end_earlier(tester)
    journey = authorize.begin(user=tester, app=app, chosen=chosen, browser=browser, now=now, visit=visit)
    part.journey, part.state, part.not_before = journey, State.DUE, now
    part.save(update_fields=["journey", "state", "not_before", "memory"])
    wake(part, countdown=2)
    return journey


def end_earlier(tester: User) -> None:
    """Walks that were left at the utility (a bad login is) end, or nobody could tell which of two comes back."""
    for part in left_at_utility(tester).select_related("journey"):
        if part.journey:
            authorize.close(part.journey, AuthorizationRequest.Status.CLOSED, "The tester began another walk.")


def left_at_utility(tester: User) -> QuerySet[AcceptancePart]:
    """His walks that did not come back."""
    return AcceptancePart.objects.filter(test__tester=tester, journey__status__in=AuthorizationRequest.OPEN)


def front_page(app: ApplicationInformation) -> str:
    """Where a customer begins at the utility: its sign-in page with our id, or its web site. Empty where nobody does."""
    utility = utilities.get(app.utility)
    if not utility.starts_at_utility:
        return ""
    if address := utility.login_url(app):
        return address
    page = FRONT_PAGES.get(app.utility, utility.website)
    return in_sandbox(page, utility.tls_hosts) if app.environment == SANDBOX else page


def waits_for_arrival(part: AcceptancePart) -> bool:
    """Whether the utility is to send the test customer to us, and we have to go on with this walk's registration."""
    return part.state == State.BY_HAND and part.journey_id is None
