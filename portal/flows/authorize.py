"""A customer's journey to a utility and back: choose, agree, leave, return with a code, connected.

Every function takes values, never a web request. A refusal raises `JourneyRefused` before anything is changed; an answer
that was accepted as ours but is wrong ends the journey with a named reason on its row.
"""

import base64
import hashlib
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

import utilities
from espi.models import ApplicationInformation, Authorization, AuthorizationRequest, Subscription
from portal.flows import fetch
from portal.flows.consents import record_consent
from portal.models import Consent, User, UtilityVisit
from utilities.base import AuthorizationParameters, Utility
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

JOURNEY_LIFE = timedelta(minutes=60)
VISIT_LIFE = timedelta(minutes=60)
LONGEST_PARAMETER = 2048

Status = AuthorizationRequest.Status


class JourneyRefused(Exception):
    """This cannot go on, and nothing was changed. `reason` is meant for the customer."""

    def __init__(self, reason: str, *, restart: AuthorizationRequest | None = None) -> None:
        """`restart` is the journey whose choices a new one may take over."""
        super().__init__(reason)
        self.reason = reason
        self.restart = restart


# --- Before leaving ----------------------------------------------------------------------------------------------


def digest(text: str) -> str:
    """What is stored in place of a random value that only the browser (or the utility) may show again."""
    return hashlib.sha256(text.encode()).hexdigest()


def masked(account_number: str) -> str:
    """The account number as people may see it: its last four characters."""
    return f"•••• {account_number[-4:]}" if len(account_number) > 5 else ("••••" if account_number else "")


def choices_of(utility: Utility, app: ApplicationInformation, chosen: Sequence[str]) -> list[str]:
    """The chosen ids in the catalogue's order. Raises JourneyRefused for none, too many or unknown ones (A22)."""
    known = [choice.id for choice in utility.data_choices(app)]
    least, most = utility.choices_limits(app)
    if set(chosen) - set(known) or len(set(chosen)) != len(chosen):
        raise JourneyRefused("That is not one of the kinds of data on this page. Please choose from the list.")
    if not least <= len(chosen) <= most:
        raise JourneyRefused(
            f"Please choose between {least} and {most} kinds of data."
            if least < most
            else "Please choose what to share."
        )
    return [id_ for id_ in known if id_ in chosen]


def begin(
    *,
    user: User,
    app: ApplicationInformation,
    chosen: Sequence[str],
    browser: str,
    now: datetime,
    visit: UtilityVisit | None = None,
) -> AuthorizationRequest:
    """Keep what the customer chose. Nothing is agreed or sent yet."""
    utility = utilities.get(app.utility)
    data = choices_of(utility, app, chosen)
    journey = AuthorizationRequest(
        retail_customer=user,
        application_information=app,
        profile_version=utility.profile_version(app),
        browser_hash=digest(browser),
        data_requested=data,
        redirect_uri=utility.redirect_uri(app),
        expires_at=now + JOURNEY_LIFE,
    )
    if visit:
        _take_over(journey, visit)
    journey.save()
    return journey


def change_choices(journey: AuthorizationRequest, chosen: Sequence[str]) -> None:
    """The customer went back from the check page and chose again."""
    journey.data_requested = choices_of(
        utilities.get(journey.application_information.utility), journey.application_information, chosen
    )
    journey.agreed_at = None
    journey.save(update_fields=["data_requested", "agreed_at"])


def _take_over(journey: AuthorizationRequest, visit: UtilityVisit) -> None:
    journey.account_number, journey.account_hint = visit.account_number, visit.account_hint
    journey.start_date, journey.end_date = visit.start_date, visit.end_date
    journey.came_from_utility = True


def attach_visit(journey: AuthorizationRequest, visit: UtilityVisit, *, now: datetime) -> None:
    """The utility sent the customer of this journey back with the account he picked there (Con Edison V1, hop 2)."""
    _take_over(journey, visit)
    journey.status = Status.CHOOSING
    journey.agreed_at = None
    journey.expires_at = now + JOURNEY_LIFE
    journey.save()


def journey_at_login(*, user: User, browser: str, now: datetime) -> AuthorizationRequest | None:
    """The one journey of this customer and browser that is at a utility's sign-in; None when there is not exactly one."""
    waiting = AuthorizationRequest.objects.filter(
        retail_customer=user, browser_hash=digest(browser), status=Status.AT_LOGIN, expires_at__gt=now
    )
    found = list(waiting.select_related("application_information")[:2])
    return found[0] if len(found) == 1 else None


def open_journey(public_id: UUID, *, user: User, browser: str, now: datetime) -> AuthorizationRequest:
    """A journey that may still change hands with its customer. Raises JourneyRefused if it is over."""
    journey = (
        AuthorizationRequest.objects.select_related("application_information")
        .filter(public_id=public_id, retail_customer=user)
        .first()
    )
    if journey is None or journey.browser_hash != digest(browser):
        raise JourneyRefused("We could not find that connection in this browser. Nothing was shared.")
    if journey.status not in AuthorizationRequest.OPEN:
        raise JourneyRefused("This connection was already finished or stopped.", restart=journey)
    if journey.expires_at <= now:
        raise JourneyRefused("This took longer than an hour, so we stopped it to be safe.", restart=journey)
    return journey


def agree(journey: AuthorizationRequest, *, language: str, now: datetime) -> Consent:
    """Write down what the customer agreed to, in the words on the page, before he leaves for the utility."""
    if not profile_unchanged(journey):
        close(journey, Status.CLOSED, "The utility's settings changed meanwhile.")
        raise JourneyRefused("Something about this utility changed while you were choosing.", restart=journey)
    journey.agreed_at = now
    journey.save(update_fields=["agreed_at"])
    return record_consent(journey, language=language, now=now)


def profile_unchanged(journey: AuthorizationRequest) -> bool:
    """Addresses and client id are still those the journey began with, and the utility is still offered (A11)."""
    app = journey.application_information
    utility = utilities.get(app.utility)
    return utility.profile_version(app) == journey.profile_version and not utility.missing(app)


def depart(journey: AuthorizationRequest, *, now: datetime) -> str:
    """The utility's address to send the customer to; the journey now waits for his return.

    Con Edison V1 wants a customer who started here to sign in there first (onboarding document 2.1.2, step 3).
    Raises JourneyRefused unless he has agreed.
    """
    if journey.agreed_at is None:
        raise JourneyRefused("Please read and agree before you continue.", restart=journey)
    app = journey.application_information
    utility = utilities.get(app.utility)
    login_url = utility.login_url(app)
    if login_url and not journey.came_from_utility:
        _leave(journey, Status.AT_LOGIN, now)
        return login_url
    state = secrets.token_urlsafe(32)
    verifier = secrets.token_urlsafe(48) if utility.uses_pkce else None
    journey.state_hash, journey.code_verifier = digest(state), verifier
    journey.scope_requested = utility.requested_scope(app, journey.data_requested, end_date=journey.end_date)
    _leave(journey, Status.DEPARTED, now)
    return utility.authorization_url(app, _parameters(journey, state, verifier))


def _leave(journey: AuthorizationRequest, status: str, now: datetime) -> None:
    journey.status, journey.departed_at, journey.expires_at = status, now, now + JOURNEY_LIFE
    journey.save()


def _parameters(journey: AuthorizationRequest, state: str, verifier: str | None) -> AuthorizationParameters:
    return AuthorizationParameters(
        scope=journey.scope_requested,
        state=state,
        redirect_uri=journey.redirect_uri,
        account_number=journey.account_number,
        start_date=journey.start_date,
        end_date=journey.end_date,
        code_challenge=_challenge(verifier) if verifier else "",
    )


def _challenge(verifier: str) -> str:
    """PKCE S256 (RFC 7636 §4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def close(journey: AuthorizationRequest, status: str, reason: str) -> None:
    """End a journey, whatever it was at; its state can never be used again."""
    journey.status, journey.reason = status, reason
    journey.save(update_fields=["status", "reason"])


# --- A visit that began at the utility ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Arrival:
    """What a utility told us of the customer it sent (onboarding document 2.1.1, step 4), checked."""

    account_number: str = ""
    start_date: date | None = None
    end_date: date | None = None


def arrive(arrival: Arrival, *, utility: str = "", now: datetime) -> UtilityVisit:
    """Keep the arrival on our side, so that sign-in, registration and password reset cannot lose it."""
    return UtilityVisit.objects.create(
        utility=utility,
        account_number=arrival.account_number,
        account_hint=masked(arrival.account_number),
        start_date=arrival.start_date,
        end_date=arrival.end_date,
        expires_at=now + VISIT_LIFE,
    )


# --- The answer --------------------------------------------------------------------------------------------------


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
            raise JourneyRefused("The address you came back with is not one a utility would send.")
        values[name] = given[0] if given else ""
    for name, value in values.items():
        # A13 of the log, not of the page: `error` may be anything; we only show our own words for it.
        if name != "error" and (len(value) > LONGEST_PARAMETER or not value.isascii() or not value.isprintable()):
            raise JourneyRefused("The address you came back with is not one a utility would send.")
    if bool(values["code"]) == bool(values["error"]):
        raise JourneyRefused("The address you came back with has no answer from the utility in it.")
    return Callback(code=values["code"], state=values["state"], error=values["error"], issuer=values["iss"])


def find_journey(callback: Callback, *, slug: str, user: User, browser: str) -> AuthorizationRequest:
    """The journey this callback answers. Raises JourneyRefused if it is not this customer's in this browser (A01-A05).

    Con Edison V1 is not known to send `state` back (contract, trap 12): there the browser's own journey, if it is
    exactly one, takes its place.
    """
    journeys = AuthorizationRequest.objects.select_related("application_information")
    if callback.state:
        journey = journeys.filter(state_hash=digest(callback.state)).first()
    else:
        journey = _journey_without_state(journeys.filter(retail_customer=user), callback, slug, browser)
    if journey is None:
        raise JourneyRefused("We do not know this answer, so we did not use it. Nothing was shared with us.")
    if journey.retail_customer_id != user.pk:
        _close_if_open(journey, "Somebody else was signed in when the utility answered.")
        raise JourneyRefused("This connection was started by another user of this browser, so we stopped it.")
    if journey.browser_hash != digest(browser):
        raise JourneyRefused("This connection was started in another browser. Please finish it there, or start again.")
    if journey.application_information.utility != slug:
        _close_if_open(journey, "An answer came to another utility's address.")
        raise JourneyRefused("The answer came to the wrong address, so we stopped to be safe.", restart=journey)
    return journey


def _journey_without_state(
    mine: QuerySet[AuthorizationRequest], callback: Callback, slug: str, browser: str
) -> AuthorizationRequest | None:
    mine = mine.filter(browser_hash=digest(browser), application_information__utility=slug)
    if callback.code and (used := mine.filter(code_hash=digest(callback.code)).first()):
        return used
    waiting = [
        journey
        for journey in mine.filter(status=Status.DEPARTED)[:2]
        if not utilities.get(slug).state_required(journey.application_information)
    ]
    return waiting[0] if len(waiting) == 1 else None


def _close_if_open(journey: AuthorizationRequest, reason: str) -> None:
    AuthorizationRequest.objects.filter(pk=journey.pk, status__in=AuthorizationRequest.OPEN).update(
        status=Status.CLOSED, reason=reason
    )


def complete(journey: AuthorizationRequest, callback: Callback, *, now: datetime) -> None:
    """Use the answer once: exchange the code and store what was granted, or write down why not.

    The claim is a conditional update, so of two identical callbacks exactly one makes a token request (A08). A journey
    that was claimed before is left as it is: its result page tells.
    """
    claimed = AuthorizationRequest.objects.filter(pk=journey.pk, status=Status.DEPARTED).update(
        status=Status.RETURNED, returned_at=now, code_hash=digest(callback.code) if callback.code else ""
    )
    if not claimed:
        return
    journey.refresh_from_db()
    problem = _why_not(journey, callback, now)
    if problem:
        close(journey, *problem)
    else:
        _exchange(journey, callback.code, now)


def _why_not(journey: AuthorizationRequest, callback: Callback, now: datetime) -> tuple[str, str] | None:
    """A status and a reason if the answer must not be exchanged."""
    if journey.expires_at <= now:
        return Status.EXPIRED, "It took longer than an hour to come back."
    if not profile_unchanged(journey):
        return Status.FAILED, "Our settings for this utility changed while you were away, so we did not use its answer."
    if callback.issuer and callback.issuer != _issuer(journey.application_information):
        return Status.FAILED, "The answer names another sender than this utility, so we did not use it."
    if callback.error:
        return _declined_or_failed(journey, callback.error)
    return None


def _issuer(app: ApplicationInformation) -> str:
    """RFC 9207 `iss`. None of the utilities documents one; an unexpected value is compared with its own origin."""
    address = urlsplit(utilities.get(app.utility).authorize_url(app))
    return f"{address.scheme}://{address.netloc}"


# RFC 6749 §4.1.2.1. Who can do something about it: the customer, our staff, or time.
_ERRORS = {
    "access_denied": (Status.DECLINED, "You chose not to share, or the utility could not confirm who you are."),
    "server_error": (Status.FAILED, "The utility had a problem of its own. Please try again later."),
    "temporarily_unavailable": (Status.FAILED, "The utility is busy at the moment. Please try again later."),
}
_OUR_FAULT = (Status.FAILED, "The utility did not accept our request. This is for us to mend; our staff can see it.")


def _declined_or_failed(journey: AuthorizationRequest, error: str) -> tuple[str, str]:
    status, reason = _ERRORS.get(error, _OUR_FAULT)
    if status == Status.FAILED:
        # The raw value is the sender's: cut and escaped, for staff only (A15).
        log.warning("authorization answer with an error: journey=%s error=%s", journey.public_id, ascii(error[:200]))
    return status, reason


def _exchange(journey: AuthorizationRequest, code: str, now: datetime) -> None:
    try:
        grant = _token_request(journey, code)
    except TokenError as fault:
        cause = f"{type(fault).__name__}: {fault.reason}"  # of which nothing is secret
        log.warning("code exchange failed: journey=%s cause=%s", journey.public_id, cause)
        close(journey, Status.FAILED, _in_words(fault))
        return
    authorization = _keep(journey, grant, now)
    if authorization.status == Authorization.Status.ACTIVE:
        fetch.enqueue_first(authorization, now=now)
        fetch.enqueue_checks_of_earlier(authorization, now=now)


def _token_request(journey: AuthorizationRequest, code: str) -> Grant:
    """One request; a second only if no connection was made, so that a code is never sent twice."""
    app = journey.application_information
    utility = utilities.get(app.utility)

    def ask() -> Grant:
        return utility.exchange_code(
            app, code=code, redirect_uri=journey.redirect_uri, code_verifier=journey.code_verifier
        )

    try:
        return ask()
    except NoConnection:
        return ask()


_WORDS: tuple[tuple[type[TokenError], str], ...] = (
    (InvalidGrant, "The utility says its permission was already used or ran out. Please start again."),
    (InvalidClient, "The utility did not recognise us. This is for us to mend; our staff can see it."),
    (
        UnprovenServer,
        "We could not prove that we had reached the utility, so we sent nothing. Our staff must mend this.",
    ),
    (UntrustedAddress, "The utility's answer pointed to an untrusted address, so we did not use it."),
    (BadTokenAnswer, "The utility's answer was not in the form it promised, so we did not use it."),
    (TokenThrottled, "The utility asked us to wait. Please try again in a few minutes."),
    (NoConnection, "We could not reach the utility. Please try again later."),
    (TokenUnavailable, "The utility did not answer in time. Please start again."),
)


def _in_words(fault: TokenError) -> str:
    for kind, words in _WORDS:
        if isinstance(fault, kind):
            return words
    return "The utility refused to finish the connection. Our staff can see why."


# --- Keeping what was granted ------------------------------------------------------------------------------------


def _keep(journey: AuthorizationRequest, grant: Grant, now: datetime) -> Authorization:
    """Commit the grant before anything else: the refresh token is given once."""
    try:
        with transaction.atomic():
            return _store(journey, grant, now)
    except IntegrityError:
        # Two journeys brought the same subscription at the same instant: the other one made the row.
        with transaction.atomic():
            return _store(journey, grant, now)


def _store(journey: AuthorizationRequest, grant: Grant, now: datetime) -> Authorization:
    held = _held(journey.application_information, grant)
    if held and held.retail_customer_id != journey.retail_customer_id:
        return _park(journey, grant, "The account is already connected by another portal user.")
    app, utility = journey.application_information, utilities.get(journey.application_information.utility)
    if utility.scope_is_foreign(app, grant.scope, journey.scope_requested):
        return _park(journey, grant, "The utility granted something else than was asked.")
    authorization = held or Authorization(application_information=app, retail_customer_id=journey.retail_customer_id)
    _fill(authorization, journey, grant, now)
    authorization.status, authorization.status_reason = Authorization.Status.ACTIVE, ""
    authorization.ended_at = None
    authorization.subscription = authorization.subscription or _subscription(journey, grant)
    authorization.save()
    _finish(journey, authorization, _outcome(authorization, renewed=held is not None))
    return authorization


def _held(app: ApplicationInformation, grant: Grant) -> Authorization | None:
    """The authorization that already has this subscription, whoever owns it; locked until the end of the transaction."""
    held = Authorization.objects.select_for_update().filter(
        ~Q(status__in=[Authorization.Status.PARKED, Authorization.Status.SUPERSEDED]),
        application_information=app,
        utility_subscription_id=grant.subscription_id,
    )
    return held.first()


def _fill(authorization: Authorization, journey: AuthorizationRequest, grant: Grant, now: datetime) -> None:
    utility = utilities.get(journey.application_information.utility)
    account = grant.account_number or journey.account_number
    authorization.utility_subscription_id = grant.subscription_id
    authorization.utility_authorization_id = grant.authorization_id
    authorization.resource_uri = grant.resource_uri
    authorization.authorization_uri = grant.authorization_uri
    authorization.customer_resource_uri = grant.customer_resource_uri
    authorization.scope_requested = journey.scope_requested
    authorization.scope_granted = grant.scope or journey.scope_requested
    authorization.data_requested = journey.data_requested
    granted = utility.granted_choices(journey.application_information, authorization.scope_granted)
    authorization.data_granted = [
        c.id for c in utility.data_choices(journey.application_information) if c.id in granted
    ]
    authorization.access_token = grant.access_token
    authorization.access_token_expires_at = now + timedelta(seconds=grant.expires_in)
    authorization.refresh_token = grant.refresh_token or authorization.refresh_token
    authorization.account_number, authorization.account_hint = account, masked(account)
    authorization.start_date, authorization.end_date = journey.start_date, journey.end_date


def _subscription(journey: AuthorizationRequest, grant: Grant) -> Subscription:
    """The customer's history with this account goes on if he had one; otherwise it begins."""
    app = journey.application_information
    utility = utilities.get(app.utility)
    account = grant.account_number or journey.account_number
    if account:
        earlier = Authorization.objects.filter(
            retail_customer_id=journey.retail_customer_id,
            application_information__utility=app.utility,
            application_information__environment=app.environment,
            subscription__isnull=False,
        ).select_related("subscription")
        for authorization in earlier:
            if authorization.account_number == account and authorization.subscription:
                return authorization.subscription
    return Subscription.objects.create(
        retail_customer_id=journey.retail_customer_id,
        utility=app.utility,
        name=utility.name,
        time_zone=utility.time_zone,
    )


def _outcome(authorization: Authorization, *, renewed: bool) -> str:
    if set(authorization.data_requested) - set(authorization.data_granted):
        return Status.NARROWER
    return Status.ALREADY if renewed else Status.CONNECTED


def _park(journey: AuthorizationRequest, grant: Grant, reason: str) -> Authorization:
    """Keep the grant for staff; fetch nothing, show nothing, leave the other customer's connection alone (A13, A23)."""
    parked = Authorization(
        application_information=journey.application_information,
        retail_customer_id=journey.retail_customer_id,
        status=Authorization.Status.PARKED,
        status_reason=reason,
    )
    _fill(parked, journey, grant, journey.returned_at or journey.created_at)
    parked.save()
    log.warning("authorization parked: journey=%s reason=%s", journey.public_id, reason)
    _finish(journey, parked, Status.PARKED)
    return parked


def _finish(journey: AuthorizationRequest, authorization: Authorization, outcome: str) -> None:
    journey.authorization, journey.status, journey.code_verifier = authorization, outcome, None
    journey.save()
    Consent.objects.filter(request=journey).update(authorization=authorization, account_hint=authorization.account_hint)
