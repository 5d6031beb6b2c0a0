"""A customer's journey to a utility: choose, agree, leave. `returning` is about the way back.

Every function takes values, never a web request. A refusal raises `JourneyRefused` and changes nothing. Each step holds
the journey's row: a customer may have two windows open, or click twice.
"""

import base64
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

import utilities
from espi.models import ApplicationInformation, AuthorizationRequest
from portal.flows import consents
from portal.models import Consent, User, UtilityVisit
from utilities.base import AuthorizationParameters, Utility
from utilities.oauth import UntrustedAddress

JOURNEY_LIFE = timedelta(minutes=60)
VISIT_LIFE = timedelta(minutes=60)

Status = AuthorizationRequest.Status


class JourneyOver(Exception):
    """The journey has an outcome already; its result page tells."""

    def __init__(self, journey: AuthorizationRequest) -> None:
        super().__init__("journey over")
        self.journey = journey


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
        raise JourneyRefused(_("That is not one of the kinds of data on this page. Please choose from the list."))
    if not least <= len(chosen) <= most:
        few = _("Please choose between %(least)s and %(most)s kinds of data.") % {"least": least, "most": most}
        raise JourneyRefused(few if least < most else _("Please choose what to share."))
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
    """The customer went back and chose again: what he agreed to, and any state he left with, no longer count."""
    app = journey.application_information
    data = choices_of(utilities.get(app.utility), app, chosen)
    with transaction.atomic():
        row = _held_open(journey)
        row.data_requested, row.agreed_at, row.status = data, None, Status.CHOOSING
        row.state_hash = row.code_verifier = None
        row.save(update_fields=["data_requested", "agreed_at", "status", "state_hash", "code_verifier"])


def _held_open(journey: AuthorizationRequest) -> AuthorizationRequest:
    """The journey as it is now, held until the end of the transaction: a customer may have two windows, or click twice.

    Raises JourneyOver if it ended meanwhile.
    """
    rows = AuthorizationRequest.objects.select_for_update(of=("self",)).select_related("application_information")
    row = rows.get(pk=journey.pk)
    if row.status not in AuthorizationRequest.OPEN:
        raise JourneyOver(row)
    return row


def _take_over(journey: AuthorizationRequest, visit: UtilityVisit) -> None:
    journey.account_number, journey.account_hint = visit.account_number, visit.account_hint
    journey.start_date, journey.end_date = visit.start_date, visit.end_date
    journey.came_from_utility = True


@transaction.atomic
def attach_visit(journey: AuthorizationRequest, visit: UtilityVisit, *, now: datetime) -> None:
    """The utility sent the customer of this journey back with the account he picked there (Con Edison V1, hop 2)."""
    row = _held_open(journey)
    _take_over(row, visit)
    row.status, row.agreed_at, row.expires_at = Status.CHOOSING, None, now + JOURNEY_LIFE
    row.save()


def journey_at_login(*, user: User, browser: str, now: datetime) -> AuthorizationRequest | None:
    """The one journey of this customer and browser that is at a utility's sign-in; None when there is not exactly one."""
    waiting = AuthorizationRequest.objects.filter(
        retail_customer=user, browser_hash=digest(browser), status=Status.AT_LOGIN, expires_at__gt=now
    )
    found = list(waiting.select_related("application_information")[:2])
    return found[0] if len(found) == 1 else None


def open_journey(public_id: UUID, *, user: User, browser: str, now: datetime) -> AuthorizationRequest:
    """A journey its customer may go on with. Raises JourneyOver if it ended, JourneyRefused if it is not his or too old."""
    journey = (
        AuthorizationRequest.objects.select_related("application_information")
        .filter(public_id=public_id, retail_customer=user)
        .first()
    )
    if journey is None or journey.browser_hash != digest(browser):
        raise JourneyRefused(_("We could not find that connection in this browser. Nothing was shared."))
    if journey.status not in AuthorizationRequest.OPEN:
        raise JourneyOver(journey)
    if journey.expires_at <= now:
        raise JourneyRefused(_("This took longer than an hour, so we stopped it to be safe."), restart=journey)
    if not profile_unchanged(journey):
        close(journey, Status.CLOSED, gettext_noop("Our settings for the utility changed meanwhile."))
        raise JourneyRefused(_("Something about this utility changed while you were choosing."), restart=journey)
    return journey


@transaction.atomic
def agree(journey: AuthorizationRequest, *, shown: str, language: str, now: datetime) -> Consent:
    """Write down what the customer agreed to, in the words on the page, before he leaves for the utility.

    `shown` is the digest of what his page showed (`consents.shown`) in `language`. Raises WordsChanged if that is no longer so.
    """
    row = _held_open(journey)
    if shown != consents.shown(row, language):
        raise WordsChanged
    if row.agreed_at is None:
        row.agreed_at = now
        row.save(update_fields=["agreed_at"])
    return consents.record_consent(row, language=language, now=row.agreed_at)


class WordsChanged(Exception):
    """The customer was about to agree to something that another window of his has changed."""


def profile_unchanged(journey: AuthorizationRequest) -> bool:
    """Addresses and client id are still those the journey began with, and the utility is still offered (A11)."""
    app = journey.application_information
    utility = utilities.get(app.utility)
    try:
        return utility.profile_version(app) == journey.profile_version and not utility.missing(app)
    except (UntrustedAddress, KeyError):
        return False


@transaction.atomic
def depart(journey: AuthorizationRequest, *, now: datetime) -> str:
    """The utility's address to send the customer to; the journey now waits for his return.

    Con Edison V1 wants a customer who started here to sign in there first (onboarding document 2.1.2, step 3). Leaving
    again makes the state of the first time useless. Raises JourneyRefused unless he has agreed.
    """
    row = _held_open(journey)
    if row.agreed_at is None:
        raise JourneyRefused(_("Please read and agree before you continue."), restart=row)
    app = row.application_information
    utility = utilities.get(app.utility)
    row.departed_at, row.expires_at = now, now + JOURNEY_LIFE
    login_url = utility.login_url(app)
    if login_url and not row.came_from_utility:
        row.status = Status.AT_LOGIN
        row.save()
        return login_url
    state = secrets.token_urlsafe(32)
    verifier = secrets.token_urlsafe(48) if utility.uses_pkce else None
    row.status, row.state_hash, row.code_verifier = Status.DEPARTED, digest(state), verifier
    row.scope_requested = utility.requested_scope(app, row.data_requested, end_date=row.end_date)
    row.save()
    return utility.authorization_url(app, _parameters(row, state, verifier))


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


def close(journey: AuthorizationRequest, status: str, reason: str) -> bool:
    """End an open journey; its state can never be used again. False if it was over already: that outcome stands."""
    still_open = AuthorizationRequest.objects.filter(pk=journey.pk, status__in=AuthorizationRequest.OPEN)
    return bool(still_open.update(status=status, reason=reason, code_verifier=None))


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
