"""Registrations with utilities: what they gave us is stored, and one of each utility's is offered to customers."""

from collections.abc import Collection, Mapping
from pathlib import Path

from django.db import transaction
from django.utils import timezone

import utilities
from espi.models import ApplicationInformation
from portal.flows import circuits, registration_checks, tokens
from utilities.base import Utility

SECRETS = ("client_secret", "subscription_key", "registration_access_token", "api_token", "webhook_secret")
FILES = ("client_certificate_path", "client_key_path", "ca_bundle_path")
ADDRESSES = ("authorize_url", "token_url", "resource_base")
FIELDS = ("client_id", "third_party_id", "bulk_id", "customer_bulk_id", *SECRETS, *FILES, *ADDRESSES)


class RegistrationRefused(Exception):
    """The registration was not changed; the message says why, without any of its values."""


def find(slug: str, environment: str, edition: str) -> tuple[Utility, ApplicationInformation]:
    """The utility, and its registration in this environment and edition: the stored row or a new, unsaved one.

    Raises RegistrationRefused for a profile that the utility does not have.
    """
    utility = _utility(slug)
    profile = {"utility": slug, "environment": environment, "edition": edition}
    app = ApplicationInformation.objects.filter(**profile).first() or ApplicationInformation(**profile)
    try:
        utility.declared(app)
    except KeyError:
        editions = ", ".join(edition for edition in utility.editions if edition) or "none: leave it out"
        raise RegistrationRefused(
            f"{utility.name} has the environments sandbox, test and production; editions: {editions}."
        ) from None
    return utility, app


def _utility(slug: str) -> Utility:
    try:
        return utilities.get(slug)
    except KeyError:
        known = ", ".join(utility.slug for utility in utilities.all())
        raise RegistrationRefused(f"There is no utility of that name. There are: {known}.") from None


@transaction.atomic
def store(slug: str, environment: str, edition: str, values: Mapping[str, object]) -> ApplicationInformation:
    """Fill in what the utility gave us; fields not named keep what they have. Raises RegistrationRefused."""
    _, app = find(slug, environment, edition)
    if app.pk:
        app = ApplicationInformation.objects.select_for_update(no_key=True).get(pk=app.pk)
    unknown = sorted(set(values) - set(FIELDS))
    if unknown:
        raise RegistrationRefused(f"Unknown: {', '.join(unknown)}. Known are: {', '.join(FIELDS)}.")
    before = {field: getattr(app, field) for field in values}
    for field, value in values.items():
        setattr(app, field, _checked(field, value))
    for field, words in registration_checks.problems(app, values).items():
        raise RegistrationRefused(f"{field}: {words}")
    save(app, {field for field in values if getattr(app, field) != before[field]})
    return app


def save(app: ApplicationInformation, changed: Collection[str]) -> None:
    """Save these fields and no others: the client token may be renewed meanwhile. Other credentials want another token."""
    if app._state.adding:
        app.save()
        return
    fields = {*changed, "updated_at"}
    if set(changed) & set(tokens.CREDENTIALS):
        app.client_access_token = app.client_access_token_expires_at = None
        fields |= {"client_access_token", "client_access_token_expires_at"}
    app.save(update_fields=fields)
    if set(changed) & {*tokens.CREDENTIALS, *SECRETS, *FILES, *ADDRESSES}:
        circuits.mended(app, now=timezone.now())


def _checked(field: str, value: object) -> str:
    if not isinstance(value, str) or not value.isprintable() or value != value.strip():
        raise RegistrationRefused(f"{field} must be one line of text without blanks around it.")
    longest = getattr(ApplicationInformation._meta.get_field(field), "max_length", None)
    if longest and len(value) > longest:
        raise RegistrationRefused(f"{field} has more than {longest} characters.")
    if value and field in FILES and not Path(value).is_file():
        raise RegistrationRefused(f"{field}: there is no such file.")
    return value


@transaction.atomic
def offer(app: ApplicationInformation) -> ApplicationInformation | None:
    """Offer this registration, and no other of its utility; the one offered before. Raises RegistrationRefused."""
    lacking = _utility(app.utility).missing(app)
    if lacking:
        raise RegistrationRefused(f"{app} cannot be offered yet. Missing: {', '.join(lacking)}.")
    before = take_over(app)
    app.is_offered = True
    app.save(update_fields=["is_offered", "updated_at"])
    return before


def take_over(app: ApplicationInformation) -> ApplicationInformation | None:
    """Withdraw the offer of the utility's other registrations; the one it was. To be called inside a transaction."""
    others = ApplicationInformation.objects.select_for_update().filter(utility=app.utility, is_offered=True)
    before = others.exclude(pk=app.pk).first()
    others.exclude(pk=app.pk).update(is_offered=False)
    return before
