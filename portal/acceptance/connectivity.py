"""Connectivity checks: our addresses, the utility's, certificates, clocks, a token, its status and its sample data."""

import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import certifi
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from django.conf import settings
from django.utils import timezone

import utilities
from espi import session
from espi.models import ApplicationInformation
from espi.session import AddressRefused, CertificateUnusable, Deadline, Reach
from portal.acceptance import calling, masking
from portal.acceptance.platforms import Operation, operations
from portal.acceptance.turns import Turn
from portal.flows import budgets, tokens
from portal.models import AcceptancePart, AcceptanceResult, Outcome
from utilities.base import Utility
from utilities.oauth import TokenError

SECONDS = 10.0
LEAST_DAYS = 30  # of a certificate
MOST_OFFSET = 30  # seconds between two clocks
SANDBOX = ApplicationInformation.Environment.SANDBOX
HERE = (
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
)  # our own addresses may be
ONLY_LOOKING = {"Sec-Purpose": "prefetch"}  # our own pages then begin nothing


@dataclass(frozen=True)
class Finding:
    """How one check came out. `remedy`: what helps, in words, where it failed."""

    outcome: str
    actual: str
    remedy: str = ""
    evidence: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """What is checked and what is expected."""

    key: str
    title: str
    expected: str
    look: Callable[[], Finding]


def turn(part: AcceptancePart, now: datetime) -> Turn:
    """All checks, one line each."""
    app = part.test.application_information
    listed = list(checks(utilities.get(app.utility), app))
    rows = [
        AcceptanceResult(part=part, number=number, key=check.key, title=check.title, expected=check.expected)
        for number, check in enumerate(listed, 1)
    ]
    AcceptanceResult.objects.bulk_create(rows, ignore_conflicts=True)
    for row in part.results.filter(outcome=Outcome.WAITING).order_by("number"):
        fill(row, listed[row.number - 1])
    failed = part.results.filter(outcome=Outcome.FAILED).count()
    words = f"{failed} of {len(listed)} checks failed." if failed else f"None of {len(listed)} checks failed."
    return Turn.done(Outcome.FAILED if failed else Outcome.PASSED, words)


def fill(row: AcceptanceResult, check: Check) -> None:
    """Look, and write the line."""
    began = time.monotonic()
    finding = check.look()
    row.outcome, row.actual, row.remedy = finding.outcome, finding.actual[:500], finding.remedy[:500]
    row.evidence, row.at = finding.evidence, timezone.now()
    row.milliseconds = round((time.monotonic() - began) * 1000)
    row.save()


def passed(actual: str, **evidence: object) -> Finding:
    """As expected."""
    return Finding(Outcome.PASSED, actual, evidence=evidence)


def failed(actual: str, remedy: str, **evidence: object) -> Finding:
    """Not as expected, and what helps."""
    return Finding(Outcome.FAILED, actual, remedy, evidence)


def not_needed(why: str) -> Finding:
    """It does not apply here."""
    return Finding(Outcome.NOT_NEEDED, why)


def checks(utility: Utility, app: ApplicationInformation) -> Iterator[Check]:
    """Every check of a registration, in order."""
    ours, days = settings.PORTAL_BASE_URL, f"valid, with {LEAST_DAYS} days left at least"
    yield Check("our-tls", "TLS on our own addresses", "TLS 1.2 or newer, nothing older", lambda: our_tls(app, ours))
    yield Check(
        "our-certificate", "Certificate of our own addresses", days, lambda: certificate_at(app, ours, Reach.of(HERE))
    )
    for key, title, url, status in our_addresses(utility, app):
        yield Check(key, title, f"{status}: reachable, and refuses an empty visit", reachable(url, status))
    places = dict.fromkeys(urlsplit(url).netloc for url in (utility.token_url(app), utility.resource_base(app)))
    for host in places:
        yield Check(
            f"utility-tls-{host}"[:80], f"TLS and certificate of {host}", f"TLS 1.2 or newer; {days}",
            partial(their_tls, app, host),
        )  # fmt: skip
    yield Check(
        "client-certificate", "Our client certificate", f"fits its key; {days}", lambda: own_certificate(utility, app)
    )
    yield Check("clock", "Our clock beside theirs", f"{MOST_OFFSET} seconds apart at most", lambda: clock(utility, app))
    yield Check("token", "Client access token", "200 with a token", lambda: token(app))
    for name, kind in (("ReadServiceStatus", "ServiceStatus"), ("DownloadSampleData", "feed")):
        yield Check(name, WORDS[name], f"200 with a {kind}", partial(listed_operation, utility, app, name))


WORDS = {"ReadServiceStatus": "Service status", "DownloadSampleData": "Sample data"}


# --- Our side --------------------------------------------------------------------------------------------------------


def our_addresses(utility: Utility, app: ApplicationInformation) -> Iterator[tuple[str, str, str, int]]:
    """Those that stand on the registration form; each answers an empty visit by refusing it in its own way."""
    yield "redirect", "Our redirect address", utility.redirect_uri(app), 400
    if utility.uses_scope_selection:
        yield "scope-selection", "Our scope-selection address", utility.scope_selection_uri(app), 400
    elif utility.starts_at_utility:
        yield "portal", "Our portal address", utility.portal_uri(app), 400
    yield "notify", "Our notification address", utility.notify_uri(app), 405
    if utility.sends_events:
        yield "webhook", "Our webhook address", utility.webhook_uri(app), 405


def reachable(url: str, status: int) -> Callable[[], Finding]:
    """Visit one of our own addresses, as a stranger would."""

    def look() -> Finding:
        try:
            with Deadline(SECONDS), session.build(allowed_networks=HERE) as http:
                got = http.get(url, headers=ONLY_LOOKING, timeout=SECONDS).status_code
        except (requests.RequestException, AddressRefused) as error:
            words = f"{masking.address(url)} cannot be reached ({type(error).__name__})."
            return failed(
                words, "Check that the web server runs and that PORTAL_BASE_URL is the address it is reached by."
            )
        if got != status:
            return failed(f"{got}", "Check that the address leads to this portal and to nothing in front of it.")
        return passed(f"{got}", address=masking.address(url))

    return look


def our_tls(app: ApplicationInformation, url: str) -> Finding:
    """Which versions of TLS our own host takes."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        if app.environment == SANDBOX:
            return not_needed("The sandbox calls us over plain HTTP on this machine. A utility wants TLS.")
        return failed(f"{url} is not https.", "Give PORTAL_BASE_URL an https address; utilities refuse others.")
    newest = handshake(parts.hostname or "", parts.port or 443, Reach.of(HERE))
    if isinstance(newest, str):
        return failed(newest, "Check the certificate and that port 443 is open to the internet.")
    if old := takes_old_tls(parts.hostname or "", parts.port or 443, Reach.of(HERE)):
        return failed(f"{newest.version}, but also {old}", "Switch everything before TLS 1.2 off in the proxy.")
    return passed(newest.version)


def certificate_at(app: ApplicationInformation, url: str, reach: Reach, authorities: tuple[str, ...] = ()) -> Finding:
    """The chain and the days left of the certificate at an https address."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        if app.environment == SANDBOX:
            return not_needed("There is none: the sandbox calls us over plain HTTP on this machine.")
        return failed("There is none.", "Set up TLS with a certificate of a public authority.")
    found = handshake(parts.hostname or "", parts.port or 443, reach, authorities)
    if isinstance(found, str):
        return failed(found, "Serve the whole chain, for this very name, from an authority that browsers trust.")
    return by_days(found.certificate, f"{found.version}; ")


@dataclass(frozen=True)
class Handshake:
    """What a TLS connection agreed on."""

    version: str
    certificate: x509.Certificate


def handshake(host: str, port: int, reach: Reach, authorities: tuple[str, ...] = ()) -> Handshake | str:
    """Connect within `reach`, with the chain and the name checked; a sentence says why it did not work."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        for file in authorities:
            context.load_verify_locations(file)
        with (
            session.connect(host, port, reach, seconds=SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as connected,
        ):
            certificate = x509.load_der_x509_certificate(connected.getpeercert(binary_form=True) or b"")
            return Handshake(connected.version() or "", certificate)
    except ssl.SSLCertVerificationError as error:
        return f"The certificate of {host} is not accepted: {error.verify_message}."
    except AddressRefused as error:
        return f"{error}."
    except (OSError, ValueError) as error:
        return f"No TLS connection to {host} ({type(error).__name__})."


def takes_old_tls(host: str, port: int, reach: Reach) -> str:
    """The newest version before TLS 1.2 that a host still takes; empty for none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        with (
            session.connect(host, port, reach, seconds=SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as connected,
        ):
            return connected.version() or ""
    except (OSError, ValueError, AddressRefused):
        return ""


def by_days(certificate: x509.Certificate, before: str = "") -> Finding:
    """Judge a certificate by how long it still holds."""
    left = (certificate.not_valid_after_utc - datetime.now(UTC)).days
    words = f"{before}{certificate.subject.rfc4514_string() or 'no name'}, valid until "
    words += f"{certificate.not_valid_after_utc:%Y-%m-%d}, {left} days"
    told = {"sha256": fingerprint(certificate)}
    if left < LEAST_DAYS:
        return failed(words, "Renew it, put the new file in place, and tell the utility its new fingerprint.", **told)
    return passed(words, **told)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256, in pairs with colons, as forms and tools write it."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


# --- Their side ------------------------------------------------------------------------------------------------------


def their_tls(app: ApplicationInformation, place: str) -> Finding:
    """The certificate at a host of the utility's."""
    utility = utilities.get(app.utility)
    url = next(each for each in (utility.token_url(app), utility.resource_base(app)) if urlsplit(each).netloc == place)
    if urlsplit(url).scheme != "https":
        return not_needed("The sandbox plays this host over plain HTTP on this machine.")
    reach = Reach.of(settings.OUTBOUND_ALLOWED_NETWORKS, loopback=app.environment == SANDBOX)
    return certificate_at(app, url, reach, (app.ca_bundle_path,) if app.ca_bundle_path else ())


def own_certificate(utility: Utility, app: ApplicationInformation) -> Finding:
    """Whether the client certificate fits its key, and how long it holds."""
    if not app.client_certificate_path:
        return not_needed(f"{utility.name} asks for none.")
    try:
        utility.session(app).close()
        certificate = x509.load_pem_x509_certificate(Path(app.client_certificate_path).read_bytes())
    except (CertificateUnusable, OSError, ValueError) as problem:
        remedy = "Name the certificate and the key it was made from, both as PEM, the key without a password."
        return failed(f"Client certificate file: {problem}", remedy)
    return by_days(certificate)


def clock(utility: Utility, app: ApplicationInformation) -> Finding:
    """The Date of an answer beside our own time. Whatever the answer is, it has one."""
    try:
        with Deadline(SECONDS), utility.session(app) as http:
            sent = datetime.now(UTC)
            date = http.get(utility.resource_base(app), timeout=SECONDS).headers.get("Date", "")
    except (requests.RequestException, AddressRefused, CertificateUnusable) as error:
        return failed(f"No answer: {type(error).__name__}.", "Check the name, the firewall and the certificate.")
    try:
        offset = (parsedate_to_datetime(date) - sent).total_seconds()
    except (TypeError, ValueError):
        return failed("The answer has no date.", "Ask the utility; look at the clock of this machine.")
    if abs(offset) > MOST_OFFSET:
        return failed(f"{offset:+.0f} seconds", "Let this machine take its time from a time server (NTP).")
    return passed(f"{offset:+.0f} seconds")


def token(app: ApplicationInformation) -> Finding:
    """A new client access token, by our credentials."""
    row = ApplicationInformation.objects.get(pk=app.pk)
    try:
        tokens.renewed_client(row, now=timezone.now(), rejected=row.client_access_token or "", is_urgent=True)
    except TokenError as error:
        return failed(error.reason, remedy_of(row, error))
    except (tokens.Busy, budgets.Spent) as error:
        return failed(str(error), "Wait a minute and check again.")
    return passed("200 with a token")


def remedy_of(app: ApplicationInformation, error: TokenError) -> str:
    """Which field of the registration to look at."""
    fields = ", ".join(utilities.get(app.utility).required_fields(app).values())
    if "credentials" in error.reason or "certificate" in error.reason:
        return f"Look at these fields of the registration, each as the utility sent it: {fields}."
    return "Look at the token address of the registration, and at the utility's service status."


def listed_operation(utility: Utility, app: ApplicationInformation, name: str) -> Finding:
    """An operation of the platform's list that needs no customer."""
    operation = next((each for each in operations(app) if each.path.endswith(f"/{name}")), None)
    if operation is None:
        return not_needed(f"{utility.name} has no such call in this edition.")
    try:
        answer = ask_by_client_token(utility, app, operation)
    except TokenError as error:
        return failed(error.reason, remedy_of(app, error))
    except (tokens.Busy, budgets.Spent) as error:
        return failed(str(error), "Wait a minute and check again.")
    proof = calling.evidence(answer, masking.secrets_of(app))
    if answer.status not in operation.expect or (operation.kind and not calling.has(answer, operation.kind)):
        return failed(answer.problem or f"{answer.status}", "Ask the utility's onboarding team.", **proof)
    is_down = name == "ReadServiceStatus" and b"currentStatus>1<" not in answer.body
    if is_down:
        return failed("200, and it says that its service is down", "Wait, and check again.", **proof)
    return passed(f"{answer.status} with {calling.holds(answer) or operation.kind}", **proof)


def ask_by_client_token(utility: Utility, app: ApplicationInformation, operation: Operation) -> calling.Answered:
    """Call it."""
    now = timezone.now()
    bearer = tokens.client(app, now=now, is_urgent=True)
    budgets.take(app, now=now, is_urgent=True)
    url = utility.resource_base(app) + operation.path.removeprefix("/resource")
    return calling.ask(utility, app, operation.method, url, bearer)
