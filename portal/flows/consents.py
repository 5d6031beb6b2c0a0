"""What a customer agreed to, kept in the words he was shown, and what happened to it since."""

import hashlib
import secrets
from datetime import datetime

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext

import utilities
from espi.models import Authorization, AuthorizationRequest
from portal import consent_texts
from portal.models import Consent, ConsentEvent
from utilities.base import DataChoice

TEXT_VERSION = consent_texts.VERSION
REFERENCE_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # none that is mistaken for another on the telephone
Kind = ConsentEvent.Kind
ENDS = (Kind.WITHDRAWN, Kind.STOPPED, Kind.EXPIRED, Kind.REPLACED)


# --- What is shown ------------------------------------------------------------------------------------------------


def chosen_data(journey: AuthorizationRequest) -> list[DataChoice]:
    """The catalogue entries the customer chose, in the catalogue's order."""
    app = journey.application_information
    return [choice for choice in utilities.get(app.utility).data_choices(app) if choice.id in journey.data_requested]


def statement(journey: AuthorizationRequest, language: str = "") -> list[str]:
    """The sentences above the button "Agree and continue", in `language`, or in that of the page."""
    language = consent_texts.written_in(language)
    text = consent_texts.text(TEXT_VERSION, language)
    words = {
        "utility": utilities.get(journey.application_information.utility).long_name,
        "company": settings.PORTAL_COMPANY,
        "data": text.listed([name for name, _ in _data(journey, language)]),
        "since": text.since(journey.start_date, language),
        "until": text.until(journey.end_date, language),
    }
    return [sentence.format(**words) for sentence in (text.ask, text.use, text.period, text.stop)]


def shown(journey: AuthorizationRequest, language: str = "") -> str:
    """A digest of everything the check page shows of this journey; it changes when any of it does."""
    parts = (TEXT_VERSION, journey.account_hint, *journey.data_requested, *statement(journey, language))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _data(journey: AuthorizationRequest, language: str) -> list[list[str]]:
    """Name and content of each choice, in words."""
    with translation.override(language):
        return [[gettext(choice.name), gettext(choice.content)] for choice in chosen_data(journey)]


def _other_words(journey: AuthorizationRequest, language: str) -> dict[str, object]:
    """What else stood on the page, word for word."""
    return {
        "utility": utilities.get(journey.application_information.utility).long_name,
        "receiver": settings.PORTAL_COMPANY,
        "purpose": consent_texts.text(TEXT_VERSION, language).purpose,
        "data": _data(journey, language),
    }


# --- What is kept -------------------------------------------------------------------------------------------------


def record_consent(journey: AuthorizationRequest, *, language: str, now: datetime) -> Consent:
    """One consent per journey; agreeing again after a change replaces it as long as nothing was shared.

    `language`: of the visitor's page.
    """
    app = journey.application_information
    written_in = consent_texts.written_in(language)
    words = {
        "retail_customer_id": journey.retail_customer_id,
        "utility": app.utility,
        "environment": app.environment,
        "account_hint": journey.account_hint,
        "data": journey.data_requested,
        "text_version": TEXT_VERSION,
        "language": written_in,
        "statement": "\n".join(statement(journey, language)),
        "shown": _other_words(journey, written_in),
        "starts_on": journey.start_date,
        "ends_on": journey.end_date,
        "agreed_at": now,
    }
    consent, _ = Consent.objects.update_or_create(
        request=journey, defaults=words, create_defaults={**words, "reference": new_reference()}
    )
    ConsentEvent.objects.filter(consent=consent, kind=Kind.AGREED).delete()
    note(consent, Kind.AGREED, now=now)
    return consent


def new_reference() -> str:
    """Such as `K7QM-3XWD`: 40 bits, to read out on the telephone."""
    letters = "".join(secrets.choice(REFERENCE_LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


def note(consent: Consent, kind: ConsentEvent.Kind, *, now: datetime, words: str = "") -> None:
    """Write down that something happened to a consent, under the text that holds for it."""
    ConsentEvent.objects.create(
        consent=consent,
        kind=kind,
        at=now,
        text_version=consent.text_version,
        language=consent.language,
        words=words[:500],
    )


def current(authorization: Authorization) -> Consent | None:
    """The consent under which a connection stands: the newest."""
    return Consent.objects.filter(authorization=authorization).order_by("-agreed_at", "-pk").first()


def note_on(authorization: Authorization, kind: ConsentEvent.Kind, *, now: datetime, words: str = "") -> None:
    """The same for a connection; one of before consents were kept has no history.

    What has ended does not end again; but what seemed to be stopped at the utility may turn out to be replaced (PG&E).
    """
    consent = current(authorization)
    if consent is None:
        return
    ended = consent.events.filter(kind__in=ENDS).last() if kind in ENDS else None
    if ended is None:
        note(consent, kind, now=now, words=words)
    elif (ended.kind, kind) == (Kind.STOPPED, Kind.REPLACED):
        consent.events.filter(pk=ended.pk).update(kind=kind)


def connected(journey: AuthorizationRequest, authorization: Authorization, *, now: datetime) -> Consent | None:
    """The utility granted what this journey agreed to: its consent holds now, and takes the place of earlier ones."""
    consent = Consent.objects.filter(request=journey).first()
    if consent is None:
        return None
    consent.authorization, consent.account_hint = authorization, authorization.account_hint
    consent.save(update_fields=["authorization", "account_hint"])
    same_account = Consent.objects.filter(authorization__subscription=authorization.subscription_id)
    earlier = same_account.filter(events__kind=Kind.CONNECTED) | same_account.filter(events__kind=Kind.RENEWED)
    before = list(earlier.exclude(pk=consent.pk).distinct()) if authorization.subscription_id else []
    for each in before:
        if not each.events.filter(kind__in=ENDS).exists():
            note(each, Kind.REPLACED, now=now, words=consent.reference)
    note(consent, Kind.RENEWED if before else Kind.CONNECTED, now=now)
    return consent
