"""Middleware: the test customer's way out and back while a walk is open. What a utility posts is kept as it comes anyway."""

import time
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone

from portal.acceptance import masking
from portal.acceptance.tracing import Way, keep, listening, open_parts, registrations_in_a_walk
from portal.models import AcceptancePart, User

WALK = "acceptance_walk"  # in the tester's session: the part that is being walked
MACHINES, LEAVING = "/espi/1_1/", "/connect/leave/"
GetResponse = Callable[[HttpRequest], HttpResponseBase]


def keep_hops(get_response: GetResponse) -> GetResponse:
    """Costs one question every two seconds while no walk is open."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith((MACHINES, LEAVING)) or not registrations_in_a_walk():
            return get_response(request)
        began, at = time.monotonic(), timezone.now()
        part = walk_of(request)
        if part is None:
            return get_response(request)
        with listening(part.test.application_information, tester_id=part.test.tester_id):
            response = get_response(request)
        took = round((time.monotonic() - began) * 1000)
        _keep_incoming(part, request, response, at, took)
        return response

    return middleware


def walk_of(request: HttpRequest) -> AcceptancePart | None:
    """The walk that this browser's tester is on."""
    try:
        walk = UUID(request.session.get(WALK, ""))
    except ValueError:
        return None
    if not isinstance(request.user, User):
        return None
    mine = open_parts().filter(public_id=walk, test__tester=request.user)
    return mine.select_related("test__application_information").first()


def _keep_incoming(
    part: AcceptancePart, request: HttpRequest, response: HttpResponseBase, at: datetime, took: int
) -> None:
    target = response.headers.get("Location", "") if isinstance(response, HttpResponse) else ""
    secrets = masking.secrets_of(part.test.application_information)
    keep(
        part,
        Way.BROWSER,
        at=at,
        method=str(request.method),
        address=masking.without(masking.address(f"{settings.PORTAL_BASE_URL}{request.get_full_path()}"), secrets),
        status=response.status_code,
        response=masking.without(f"Location: {masking.address(target)}" if target else "", secrets),
        milliseconds=took,
    )


def arrival_of_walk(request: HttpRequest) -> str:
    """Where a tester goes on whom the utility has sent to us in the middle of a walk; empty for everybody else."""
    part = walk_of(request) if request.session.get(WALK) else None
    if part is None or part.state != AcceptancePart.State.BY_HAND or part.journey_id:
        return ""
    return reverse("testing:walk", args=[part.public_id])
