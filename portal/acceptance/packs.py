"""The registration pack: every value that a utility's form asks for, exactly as it is sent."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from django.conf import settings

import utilities
from espi.models import ApplicationInformation
from portal.acceptance import masking
from portal.acceptance.connectivity import fingerprint
from portal.acceptance.platforms import platform
from utilities.base import Utility

SANDBOX = ApplicationInformation.Environment.SANDBOX


@dataclass(frozen=True)
class Entry:
    """A field of the form. `problem`: why the utility would refuse the value, and what helps; empty if it would not.

    `shown`: the value as a page may show it; the last part of a notification address is a secret.
    """

    field: str
    value: str
    note: str = ""
    problem: str = ""
    is_secret: bool = False

    @property
    def shown(self) -> str:
        """Without the secret."""
        return masking.address(self.value) if self.is_secret else self.value


def pack(app: ApplicationInformation) -> list[Entry]:
    """What is sent to the utility for this registration."""
    utility = utilities.get(app.utility)
    addresses = [_judged(app, entry) for entry in FORMS[platform(app)](utility, app)]
    return [*_who(app), *addresses, *_certificates(app)]


def _who(app: ApplicationInformation) -> Iterator[Entry]:
    yield Entry("Company", settings.PORTAL_COMPANY)
    yield Entry("Environment", app.get_environment_display(), "Each environment has a form of its own.")
    yield Entry("Contact person", settings.CONTACT_NAME, problem=_empty(settings.CONTACT_NAME, "CONTACT_NAME"))
    yield Entry("Contact e-mail", settings.CONTACT_EMAIL, problem=_empty(settings.CONTACT_EMAIL, "CONTACT_EMAIL"))
    yield Entry("Contact telephone", settings.CONTACT_PHONE, problem=_empty(settings.CONTACT_PHONE, "CONTACT_PHONE"))
    yield Entry("Web site", settings.PORTAL_BASE_URL)


def _empty(value: str, setting: str) -> str:
    return "" if value else f"It is empty. Set {setting}, then print the pack again."


# --- Each platform's form --------------------------------------------------------------------------------------------


def _coned(utility: Utility, app: ApplicationInformation) -> Iterator[Entry]:
    """Fields by the names that the onboarding document uses (sections 2.1.1 and 2.2)."""
    yield Entry("Third-party portal (web site for customers)", f"{settings.PORTAL_BASE_URL}/connect")
    yield Entry(
        "ThirdPartyScopeSelectionScreenURI",
        utility.scope_selection_uri(app),
        "Customers who began at the utility come here.",
    )
    yield Entry("Redirect URI", utility.redirect_uri(app), "Authorization codes come here.")
    yield Entry(
        "third_party_notify_uri", utility.notify_uri(app), "Notifications are posted here. Its last part is secret.",
        is_secret=True,
    )  # fmt: skip


def _pge(utility: Utility, app: ApplicationInformation) -> Iterator[Entry]:
    """Fields by the names of PG&E's registration pages."""
    yield Entry("Redirect URI", utility.redirect_uri(app), "Authorization codes come here.")
    yield Entry("Third-Party Portal URI", utility.portal_uri(app), "Customers who pick us on PG&E's site come here.")
    yield Entry("Notification URI", utility.notify_uri(app), "Its last part is secret.", is_secret=True)
    yield Entry("OAuth URL", utility.scope_selection_uri(app), "Not used since 2018, but the form wants an address.")


def _standard(utility: Utility, app: ApplicationInformation) -> Iterator[Entry]:
    """What ESPI's ApplicationInformation calls them."""
    yield Entry("Redirect URI", utility.redirect_uri(app), "Authorization codes come here.")
    yield Entry("Notify URL", utility.notify_uri(app), "Its last part is secret.", is_secret=True)
    if utility.sends_events:
        yield Entry("Webhook endpoint", utility.webhook_uri(app), "Its last part is secret.", is_secret=True)
    if utility.uses_scope_selection:
        yield Entry("Scope selection screen URI", utility.scope_selection_uri(app))


FORMS = {"coned": _coned, "pge": _pge, "utilityapi": _standard, "espi": _standard}


def _judged(app: ApplicationInformation, entry: Entry) -> Entry:
    """An address that the utility could not reach is no address to send it."""
    parts = urlsplit(entry.value)
    if app.environment == SANDBOX or (parts.scheme == "https" and "." in (parts.hostname or "")):
        return entry
    words = (
        "The utility takes only https addresses that it can reach. Set PORTAL_BASE_URL to this site's public address."
    )
    return Entry(entry.field, entry.value, entry.note, words, entry.is_secret)


# --- Certificates ----------------------------------------------------------------------------------------------------


def _certificates(app: ApplicationInformation) -> Iterator[Entry]:
    if not app.client_certificate_path:
        return
    try:
        certificate = x509.load_pem_x509_certificate(Path(app.client_certificate_path).read_bytes())
    except (OSError, ValueError):
        words = "The certificate file cannot be read. Look at “client certificate path” of the registration."
        yield Entry("Client certificate", "", problem=words)
        return
    yield Entry("Client certificate, subject", certificate.subject.rfc4514_string())
    yield Entry("Client certificate, valid until", f"{certificate.not_valid_after_utc:%Y-%m-%d}")
    yield Entry("Client certificate, SHA-256 fingerprint", fingerprint(certificate))
