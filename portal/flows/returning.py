"""A customer comes back from a utility with an answer: whose it is, whether it may be used, and using it once."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from celery import shared_task
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

import utilities
from espi.models import ApplicationInformation, AuthorizationRequest
from portal.flows import authorize, budgets, circuits, fetch, grants
from portal.models import Circuit, User
from utilities.oauth import (
    BadTokenAnswer,
    Grant,
    InvalidClient,
    InvalidGrant,
    NoConnection,
    TokenError,
    TokenThrottled,
    TokenUnavailable,
    UnprovenServer,
    UntrustedAddress,
)

log = logging.getLogger(__name__)

LONGEST_PARAMETER = 2048
EXCHANGED_WITHIN = timedelta(minutes=2)  # deadline of two token requests, and the time to store the answer

Status = AuthorizationRequest.Status


@dataclass(frozen=True)
class Callback:
    """The query of a callback (RFC 6749 §4.1.2), one value each or empty."""

    code: str = ""
    state: str = ""
    error: str = ""
    issuer: str = ""


def read_callback(query: Mapping[str, Sequence[str]]) -> Callback:
    """Raises JourneyRefused for what no utility would send: repeats, code beside error, control characters (A14, A16)."""
    values = {}
    for name in ("code", "state", "error", "iss"):
        given = query.get(name, ())
        if len(given) > 1:
            raise authorize.JourneyRefused(
                gettext_noop("The address you came back with is not one a utility would send.")
            )
        values[name] = given[0] if given else ""
    for name, value in values.items():
        # A13 of the log, not of the page: `error` may be anything; we only show our own words for it.
        if name != "error" and (len(value) > LONGEST_PARAMETER or not value.isascii() or not value.isprintable()):
            raise authorize.JourneyRefused(
                gettext_noop("The address you came back with is not one a utility would send.")
            )
    if bool(values["code"]) == bool(values["error"]):
        raise authorize.JourneyRefused(
            gettext_noop("The address you came back with has no answer from the utility in it.")
        )
    return Callback(code=values["code"], state=values["state"], error=values["error"], issuer=values["iss"])


def find_journey(callback: Callback, *, slug: str, user: User, browser: str, now: datetime) -> AuthorizationRequest:
    """The journey this callback answers. Raises JourneyRefused if it is not this customer's in this browser (A01-A05).

    Con Edison V1 is not known to send `state` back (contract, trap 12): there the browser's own journey, if it is
    exactly one, takes its place.
    """
    journeys = AuthorizationRequest.objects.select_related("application_information")
    mine = {
        "retail_customer": user,
        "browser_hash": authorize.digest(browser),
        "application_information__utility": slug,
    }
    if callback.state:
        journey = journeys.filter(state_hash=authorize.digest(callback.state)).first()
    else:
        journey = _journey_without_state(journeys.filter(**mine), callback, now)
    if journey is None:
        raise authorize.JourneyRefused(
            gettext_noop("We do not know this answer, so we did not use it. Nothing was shared with us.")
        )
    _require_own(journey, slug=slug, user=user, browser=browser)
    return journey


def _require_own(journey: AuthorizationRequest, *, slug: str, user: User, browser: str) -> None:
    """Raises JourneyRefused, and ends a journey that was answered to somebody else or to another address."""
    if journey.retail_customer_id != user.pk:
        authorize.close(journey, Status.CLOSED, gettext_noop("Somebody else was signed in when the utility answered."))
        raise authorize.JourneyRefused(
            gettext_noop("This connection was started by another user of this browser, so we stopped it.")
        )
    if journey.browser_hash != authorize.digest(browser):
        raise authorize.JourneyRefused(
            gettext_noop("This connection was started in another browser. Please finish it there, or start again.")
        )
    if journey.application_information.utility != slug:
        authorize.close(journey, Status.CLOSED, gettext_noop("An answer came to another utility's address."))
        raise authorize.JourneyRefused(
            gettext_noop("The answer came to the wrong address, so we stopped to be safe."), restart=journey
        )


def _journey_without_state(
    mine: QuerySet[AuthorizationRequest], callback: Callback, now: datetime
) -> AuthorizationRequest | None:
    """The journey whose code this was, or the only one that waits at this utility for an answer of this kind."""
    if callback.code and (used := mine.filter(code_hash=authorize.digest(callback.code)).first()):
        return used
    waiting = [
        journey
        for journey in mine.filter(status__in=_waiting_for(callback), expires_at__gt=now)
        if not utilities.get(journey.application_information.utility).state_required(journey.application_information)
    ]
    return waiting[0] if len(waiting) == 1 else None


def _waiting_for(callback: Callback) -> tuple[str, ...]:
    """A code answers a departure; a refusal may also come from Con Edison V1's first page, before there is a state."""
    return (Status.DEPARTED, Status.AT_LOGIN) if callback.error else (Status.DEPARTED,)


def complete(journey: AuthorizationRequest, callback: Callback, *, now: datetime) -> None:
    """Use the answer once: exchange the code and store what was granted, or write down why not.

    The claim is a conditional update, so of two identical callbacks exactly one makes a token request (A08). A journey
    that was claimed before is left as it is: its result page tells. What stops us after the claim ends the journey too.
    """
    answered = AuthorizationRequest.objects.filter(
        pk=journey.pk, status__in=_waiting_for(callback), state_hash=journey.state_hash
    )
    code_hash = authorize.digest(callback.code) if callback.code else ""
    if not answered.update(status=Status.RETURNED, returned_at=now, code_hash=code_hash):
        return
    journey.refresh_from_db()
    try:
        problem = _why_not(journey, callback, now) or _exchange(journey, callback.code, now)
    except Exception as fault:  # a fault of ours must not leave the customer waiting
        log.error("a callback met a fault of ours: journey=%s", journey.public_id, exc_info=fault)
        problem = Status.FAILED, gettext_noop("A fault of ours stopped this. Our staff can see it. Please start again.")
    if problem:
        _end(journey, *problem)


def _end(journey: AuthorizationRequest, status: str, reason: str) -> None:
    AuthorizationRequest.objects.filter(pk=journey.pk, status=Status.RETURNED).update(
        status=status, reason=reason, code_verifier=None
    )


def _why_not(journey: AuthorizationRequest, callback: Callback, now: datetime) -> tuple[str, str] | None:
    """A status and a reason if the answer must not be exchanged."""
    if journey.expires_at <= now:
        return Status.EXPIRED, gettext_noop("It took longer than an hour to come back.")
    if journey.agreed_at is None:
        return Status.FAILED, gettext_noop("You had not agreed to what was going to be shared.")
    if not authorize.profile_unchanged(journey):
        return Status.FAILED, gettext_noop(
            "Our settings for this utility changed while you were away, so we did not use its answer."
        )
    if callback.issuer and callback.issuer != _issuer(journey.application_information):
        return Status.FAILED, gettext_noop("The answer names another sender than this utility, so we did not use it.")
    if callback.error:
        return _declined_or_failed(journey, callback.error)
    return None


def _issuer(app: ApplicationInformation) -> str:
    """RFC 9207 `iss`. None of the utilities documents one; an unexpected value is compared with its own origin."""
    address = urlsplit(utilities.get(app.utility).authorize_url(app))
    return f"{address.scheme}://{address.netloc}"


# RFC 6749 §4.1.2.1. Who can do something about it: the customer, our staff, or time.
_ERRORS = {
    "access_denied": (
        Status.DECLINED,
        gettext_noop("You chose not to share, or the utility could not confirm who you are."),
    ),
    "server_error": (Status.FAILED, gettext_noop("The utility had a problem of its own. Please try again later.")),
    "temporarily_unavailable": (
        Status.FAILED,
        gettext_noop("The utility is busy at the moment. Please try again later."),
    ),
}
_OUR_FAULT = (
    Status.FAILED,
    gettext_noop("The utility did not accept our request. This is for us to mend; our staff can see it."),
)


def _declined_or_failed(journey: AuthorizationRequest, error: str) -> tuple[str, str]:
    status, reason = _ERRORS.get(error, _OUR_FAULT)
    if status == Status.FAILED:
        # The raw value is the sender's: cut and escaped, for staff only (A15).
        log.warning("authorization answer with an error: journey=%s error=%s", journey.public_id, ascii(error[:200]))
    return status, reason


def _exchange(journey: AuthorizationRequest, code: str, now: datetime) -> tuple[str, str] | None:
    """Redeem the code and keep the grant; a status and a reason if that failed."""
    try:
        grant = _token_request(journey, code)
    except TokenError as fault:
        cause = f"{type(fault).__name__}: {fault.reason}"  # of which nothing is secret
        log.warning("code exchange failed: journey=%s cause=%s", journey.public_id, cause)
        if isinstance(fault, InvalidClient):
            circuits.misconfigured(journey.application_information, Circuit.Cause.CREDENTIALS, fault.reason, now=now)
        return Status.FAILED, _in_words(fault)
    try:
        grants.keep(journey, grant, now=now)
    except grants.NoAccount:
        log.warning("grant of a deleted account not kept: journey=%s", journey.public_id)
        return Status.FAILED, gettext_noop("The account was deleted meanwhile.")
    return None


def _token_request(journey: AuthorizationRequest, code: str) -> Grant:
    """One request; a second only if no connection was made, so that a code is never sent twice."""
    app = journey.application_information
    utility = utilities.get(app.utility)

    def ask() -> Grant:
        budgets.note(app, now=timezone.now())
        return utility.exchange_code(
            app, code=code, redirect_uri=journey.redirect_uri, code_verifier=journey.code_verifier
        )

    try:
        return ask()
    except NoConnection:
        return ask()


_WORDS: tuple[tuple[type[TokenError], str], ...] = (
    (InvalidGrant, gettext_noop("The utility says its permission was already used or ran out. Please start again.")),
    (InvalidClient, gettext_noop("The utility did not recognise us. This is for us to mend; our staff can see it.")),
    (
        UnprovenServer,
        gettext_noop(
            "We could not prove that we had reached the utility, so we sent nothing. Our staff must mend this."
        ),
    ),
    (UntrustedAddress, gettext_noop("The utility's answer pointed to an untrusted address, so we did not use it.")),
    (BadTokenAnswer, gettext_noop("The utility's answer was not in the form it promised, so we did not use it.")),
    (TokenThrottled, gettext_noop("The utility asked us to wait. Please try again in a few minutes.")),
    (NoConnection, gettext_noop("We could not reach the utility. Please try again later.")),
    (TokenUnavailable, gettext_noop("The utility's service is not available at the moment. Please start again later.")),
)


def _in_words(fault: TokenError) -> str:
    for kind, words in _WORDS:
        if isinstance(fault, kind):
            return words
    return gettext_noop("The utility refused to finish the connection. Our staff can see why.")


# --- What a crash in the middle leaves behind --------------------------------------------------------------------


@shared_task
def heal(**kwargs: object) -> None:
    """Finish what a process began and did not live to end. Every minute; twice at once does no harm."""
    now = timezone.now()
    end_unfinished(now)
    fetch.begin_what_was_left(now, before=now - EXCHANGED_WITHIN)


def end_unfinished(now: datetime) -> int:
    """Journeys whose exchange never ended: the code is spent and its answer lost, so the customer starts again."""
    stuck = AuthorizationRequest.objects.filter(status=Status.RETURNED, returned_at__lt=now - EXCHANGED_WITHIN)
    return stuck.update(
        status=Status.FAILED,
        reason=gettext_noop("A fault of ours stopped this. Please start again."),
        code_verifier=None,
    )
