"""What is wrong with the values of a registration: which field, why, and what helps. Nothing is saved here.

Only `refused_credentials` calls anybody: the utility, for a client token.
"""

import re
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

import utilities
from espi.models import ApplicationInformation
from utilities.base import Utility
from utilities.oauth import InvalidClient, TokenError, UntrustedAddress

Environment = ApplicationInformation.Environment
ADDRESSES = ("authorize_url", "token_url", "resource_base")
CREDENTIALS = ("client_id", "client_secret", "subscription_key")
# As Con Edison's onboarding document prints its addresses: words that lost a hyphen where a line breaks, two question
# marks, one slash, blanks and an escape that is none. Each with the word that is meant.
MISPRINTS = (
    ("billing-andusage", "“billing-and-usage”: the document lost a hyphen where its line breaks"),
    ("third-partyauthorization", "“third-party-authorization”: the document lost a hyphen where its line breaks"),
    ("usage/share-mydata", "“share-my-data”: the document lost a hyphen where its line breaks"),
    ("redirect??", "one question mark: the document prints two"),
    ("%2host", "no “%2host”: that is an example of the document, and no escape"),
    ("<<", "the value itself in place of “<<…>>”"),
    ("{applicationInformationId}", "the address without its query: the id has a field of its own"),
)


def problems(app: ApplicationInformation, names: Mapping[str, object] | None = None) -> dict[str, str]:
    """Field -> what is wrong with it and what helps. `names`: look at these fields only; default: all."""
    utility = utilities.get(app.utility)
    found = {**dict(_addresses(utility, app)), **dict(_texts(app)), **dict(_certificate(app))}
    return {field: words for field, words in found.items() if names is None or field in names}


# --- Addresses -------------------------------------------------------------------------------------------------------


def _addresses(utility: Utility, app: ApplicationInformation) -> Iterator[tuple[str, str]]:
    for field in ADDRESSES:
        url = getattr(app, field)
        if url and (words := address_problem(utility, app, field, url)):
            yield field, words


def address_problem(utility: Utility, app: ApplicationInformation, field: str, url: str) -> str:
    """Why this address may not stand there, in words; empty if it may."""
    if re.match(r"https?:/(?!/)", url):
        return "Write two slashes after “https:”: the document prints one. Or leave the field empty."
    for printed, meant in MISPRINTS:
        if printed in url:
            return f"Write {meant}. Or leave the field empty: the right address is declared already."
    if re.search(r"\s", url):
        return "Take the blank out: the document has one where its line breaks. Or leave the field empty."
    try:
        utility.check_address(app, field, url)
    except UntrustedAddress as refusal:
        return _of_another_environment(utility, app, url) or (
            f"This address is not one of the utility's: {refusal.reason}. Leave the field empty to use the declared one."
        )
    return ""


def _of_another_environment(utility: Utility, app: ApplicationInformation, url: str) -> str:
    """Whether an address belongs to another environment of the same utility, in words."""
    host = urlsplit(url).netloc
    ours = _hosts(utility, app.environment)
    for environment in (Environment.TEST, Environment.PRODUCTION):
        if environment != app.environment and host in _hosts(utility, environment) - ours:
            there, here = Environment(environment).label.lower(), Environment(app.environment).label.lower()
            return (
                f"{host} belongs to {there}, and this registration is for {here}. Leave the field empty, or enter it in "
                f"the registration for {there}."
            )
    return ""


def _hosts(utility: Utility, environment: str) -> set[str]:
    known = [addresses for (each, _), addresses in utility.addresses.items() if each == environment]
    named = {urlsplit(getattr(addresses, field)).netloc for addresses in known for field in ADDRESSES}
    return named.union(*(set(addresses.web_hosts) | set(addresses.api_hosts) for addresses in known))


# --- Texts -----------------------------------------------------------------------------------------------------------


def _texts(app: ApplicationInformation) -> Iterator[tuple[str, str]]:
    for field in (*CREDENTIALS, "third_party_id", "bulk_id"):
        value = getattr(app, field) or ""
        # A client id or secret may hold a blank (RFC 6749, appendix A); the gateway's key is one word.
        if "<<" in value or "_HERE" in value or (field == "subscription_key" and re.search(r"\s", value)):
            yield (
                field,
                "Enter the value that the utility sent, whole and without blanks, not the example of its document.",
            )
    if app.client_secret and app.client_secret == app.client_id:
        yield (
            "client_secret",
            "This is the client id. The secret is the longer one of the two values in the utility's mail.",
        )
    if app.third_party_id and app.third_party_id == app.client_id:
        words = "This is the client id. The third-party id is the id of the registration itself, a short number."
        yield "third_party_id", words


# --- Certificates ----------------------------------------------------------------------------------------------------


def _certificate(app: ApplicationInformation) -> Iterator[tuple[str, str]]:
    certificate, key = app.client_certificate_path, app.client_key_path
    for field, path in (("client_certificate_path", certificate), ("client_key_path", key)):
        if path and not Path(path).is_file():
            yield field, "There is no such file on this server, or it may not be read."
            return
    if not certificate or not key:
        if certificate or key:
            missing = "client_key_path" if certificate else "client_certificate_path"
            yield missing, "Name both files: the certificate, and the key it was made from."
        return
    yield from _pair(certificate, key)


def _pair(certificate: str, key: str) -> Iterator[tuple[str, str]]:
    try:
        loaded = x509.load_pem_x509_certificate(Path(certificate).read_bytes())
    except (OSError, ValueError):
        yield "client_certificate_path", "This file holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)."
        return
    try:
        ssl.create_default_context().load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError):
        words = (
            "This key does not fit the certificate, or has a password. Name the key that the certificate was made from."
        )
        yield "client_key_path", words
    if loaded.not_valid_after_utc < datetime.now(UTC):
        ended = f"{loaded.not_valid_after_utc:%Y-%m-%d}"
        yield (
            "client_certificate_path",
            f"This certificate ended on {ended}. Renew it, and tell the utility its fingerprint.",
        )


# --- Asking the utility ----------------------------------------------------------------------------------------------


def refused_credentials(app: ApplicationInformation) -> tuple[str, str]:
    """Try the credentials with a request for a client token: (field, words) if the utility does not take them.

    ("", words) if nobody could say; ("", "") if they are good. The row is not saved.
    """
    utility = utilities.get(app.utility)
    try:
        utility.client_token(app)
    except InvalidClient as refusal:
        names = " and ".join(utility.required_fields(app).values())
        words = f"{utility.name} does not accept it: {refusal.reason}. Copy again, from its mail: {names}."
        return "client_secret", words
    except (TokenError, UntrustedAddress) as problem:
        return "", f"{utility.name} could not be asked whether it accepts these: {problem.reason}."
    return "", ""
