"""What went over the wire during a walk: each request and its answer, masked, on the rows of the part that is open.

Our own calls are listened to through `espi.session.listening`; `incoming` keeps what comes to us. Nobody listens where no
scenario is open, and never to a production registration.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime

from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from espi import session
from espi.models import ApplicationInformation
from portal.acceptance import masking
from portal.models import AcceptanceHop, AcceptancePart

log = logging.getLogger(__name__)

MOST_HOPS = 200  # of one part
KNOWN_FOR = 2.0  # seconds that a process remembers which registrations have an open walk
Way = AcceptanceHop.Way
_known: dict[str, tuple[float, frozenset[int]]] = {}


def registrations_in_a_walk() -> frozenset[int]:
    """Registrations with a scenario that is not done; asked of the database every two seconds at most."""
    at, found = _known.get("open", (0.0, frozenset()))
    if time.monotonic() - at > KNOWN_FOR:
        parts = open_parts().values_list("test__application_information", flat=True)
        found = frozenset(parts)
        _known["open"] = time.monotonic(), found
    return found


def forget_known() -> None:
    """A walk began or ended."""
    _known.clear()


def open_parts() -> QuerySet[AcceptancePart]:
    """Scenarios that are not done, of tests that are not finished."""
    parts = AcceptancePart.objects.filter(kind=AcceptancePart.Kind.SCENARIO, test__finished_at=None)
    return parts.exclude(state=AcceptancePart.State.DONE)


@contextmanager
def listening(app: ApplicationInformation, *, tester_id: int | None = None) -> Iterator[None]:
    """Our calls inside are kept for the open walk of this registration, if there is one. `tester_id`: only for his."""
    if app.environment == ApplicationInformation.Environment.PRODUCTION or app.pk not in registrations_in_a_walk():
        yield
        return
    mine = open_parts().filter(test__application_information=app)
    if tester_id is not None:
        mine = mine.filter(test__tester=tester_id)
    part = mine.order_by("-pk").first()
    with session.listening(Listener(part, app)) if part else nullcontext():
        yield


class Listener:
    """Keeps the exchanges of one walk."""

    def __init__(self, part: AcceptancePart, app: ApplicationInformation) -> None:
        self.part, self.secrets = part, masking.secrets_of(app)

    def heard(self, exchange: session.Exchange) -> None:
        """One exchange is over."""
        sent = exchange.request
        posted = sent.body.encode() if isinstance(sent.body, str) else sent.body or b""
        token = str(sent.headers.get("Authorization", "")).partition(" ")[2]
        secrets = [*self.secrets, token]
        request = [masking.headers({**sent.headers}), _body(posted, sent.headers.get("Content-Type", ""))]
        response = [exchange.problem]
        if exchange.status is not None:
            kind = exchange.headers.get("Content-Type", "")
            response = [masking.headers(exchange.headers), masking.body(exchange.beginning, kind)]
        keep(
            self.part,
            Way.OUT,
            at=exchange.began_at,
            method=str(sent.method),
            address=masking.without(masking.address(str(sent.url)), secrets),
            request=masking.without("\n\n".join(filter(None, request)), secrets),
            status=exchange.status,
            response=masking.without("\n\n".join(filter(None, response)), secrets),
            milliseconds=exchange.milliseconds,
        )


def _body(posted: object, kind: str | bytes) -> str:
    return masking.body(posted, str(kind)) if isinstance(posted, bytes) else ""


def keep(part: AcceptancePart, way: str, *, at: datetime, **values: object) -> None:
    """One more hop, up to MOST_HOPS. What is listened to goes on if it cannot be kept."""
    try:
        with transaction.atomic():
            if part.hops.count() < MOST_HOPS:
                AcceptanceHop.objects.create(part=part, way=way, at=at, **values)
    except DatabaseError as error:
        log.warning("a hop of a walk was not kept: %s", type(error).__name__)
