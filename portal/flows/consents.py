"""What a customer agreed to, kept in the words he was shown."""

import hashlib
import secrets
from datetime import date, datetime

from django.conf import settings

import utilities
from espi.models import AuthorizationRequest
from portal.models import Consent
from utilities.base import DataChoice

TEXT_VERSION = "2026-11"
REFERENCE_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # none that is mistaken for another on the telephone


def chosen_data(journey: AuthorizationRequest) -> list[DataChoice]:
    """The catalogue entries the customer chose, in the catalogue's order."""
    app = journey.application_information
    return [choice for choice in utilities.get(app.utility).data_choices(app) if choice.id in journey.data_requested]


def statement(journey: AuthorizationRequest) -> list[str]:
    """The sentences above the button "Agree and continue"."""
    utility = utilities.get(journey.application_information.utility)
    names = [choice.name for choice in chosen_data(journey)]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return [
        f"I ask {utility.long_name} to give {settings.PORTAL_COMPANY} this data about my account: {listed}.",
        f"{settings.PORTAL_COMPANY} collects it so that I can see and understand my energy use here. "
        "It is not sold and not passed on.",
        _period(journey.start_date, journey.end_date),
        "I can stop at any time on my dashboard, as easily as I agreed. What was collected is then deleted, "
        "unless I ask to keep it.",
    ]


def shown(journey: AuthorizationRequest) -> str:
    """A digest of everything the check page shows of this journey; it changes when any of it does."""
    parts = (TEXT_VERSION, journey.account_hint, *journey.data_requested, *statement(journey))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _period(start: date | None, end: date | None) -> str:
    """The dates are those of the permission. Every utility here also gives the history before it, up to two years."""
    since = f"from {start:%B} {start.day}, {start.year}" if start else "from today"
    until = f"until {end:%B} {end.day}, {end.year}" if end else "until I stop it or it ends at the utility"
    return f"My permission runs {since} {until}. The data may go back up to two years before it."


def record_consent(journey: AuthorizationRequest, *, language: str, now: datetime) -> Consent:
    """One consent per journey; agreeing again after a change replaces it as long as nothing was shared."""
    app = journey.application_information
    words = {
        "retail_customer_id": journey.retail_customer_id,
        "utility": app.utility,
        "environment": app.environment,
        "account_hint": journey.account_hint,
        "data": journey.data_requested,
        "text_version": TEXT_VERSION,
        "language": language,
        "statement": "\n".join(statement(journey)),
        "starts_on": journey.start_date,
        "ends_on": journey.end_date,
        "agreed_at": now,
    }
    consent, _ = Consent.objects.update_or_create(
        request=journey, defaults=words, create_defaults={**words, "reference": new_reference()}
    )
    return consent


def new_reference() -> str:
    """Such as `K7QM-3XWD`: 40 bits, to read out on the telephone."""
    letters = "".join(secrets.choice(REFERENCE_LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"
