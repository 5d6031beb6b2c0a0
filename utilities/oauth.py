"""The three grants of RFC 6749 through one request builder, and the answers brought into one form."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, unquote, urlencode, urlsplit

import requests
import urllib3
from lxml import etree

from espi import client
from espi.session import AddressRefused, CertificateUnusable, Deadline, NeedsAttention, TryLater

DEADLINE_SECONDS = 15.0
MAX_ANSWER = 64 * 1024
LONGEST_TOKEN = 16 * 1024
LONGEST_LIFE = 366 * 24 * 3600

# --- What can go wrong -------------------------------------------------------------------------------------------


class TokenError(Exception):
    """A token request did not give a grant. `reason` is ours: no token, code, address or body is in it."""

    retry_after: int | None = None

    def __init__(self, reason: str) -> None:
        """`reason` in plain words."""
        super().__init__(reason)
        self.reason = reason


class TokenUnavailable(TokenError, TryLater):
    """No answer in time, or 5xx. What was sent may have been used up."""


class TokenThrottled(TokenError, TryLater):
    """429."""

    def __init__(self, retry_after: int | None = None) -> None:
        """`retry_after` in seconds, as asked."""
        super().__init__("the utility asked us to wait before asking for a token")
        self.retry_after = retry_after


class NoConnection(TokenError, TryLater):
    """No connection was made, so nothing was sent: it may be tried once more."""


class TokenRefused(TokenError, NeedsAttention):
    """The token endpoint says no."""


class InvalidGrant(TokenRefused):
    """The code or the refresh token is unknown, used, expired or revoked."""


class InvalidClient(TokenRefused):
    """The utility does not accept who we say we are: client id, secret, key or certificate."""


class UnclearRefusal(TokenRefused):
    """401 or 403 to a refresh, and not why: the refresh token is dead, or our credentials are wrong."""


class BadTokenAnswer(TokenError, NeedsAttention):
    """The answer is not what the utility's document promises."""


class UntrustedAddress(TokenError, NeedsAttention):
    """An address that is not this utility's."""


class UnprovenServer(UntrustedAddress):
    """What stands at the utility's address is not proven to be the utility: its network, or its certificate."""


# --- A utility's dialect, and the common form --------------------------------------------------------------------

SUBSCRIPTION_FROM_RESOURCE = ("resource_uri",)
SUBSCRIPTION_FROM_EITHER = ("resource_uri", "authorization_uri")


@dataclass(frozen=True)
class TokenDialect:
    """How a utility wants token requests written and writes its answers; the defaults are RFC 6749's.

    `names` maps the standard's field names to the utility's. `refresh_fields` are sent on refresh beside the token.
    `dead_grant_errors` are the error codes that mean a code or refresh token is of no more use.
    """

    body: Literal["form", "json"] = "form"
    authentication: Literal["basic", "body"] = "basic"
    names: Mapping[str, str] = field(default_factory=dict)
    refresh_fields: tuple[str, ...] = ()
    client_scope: str = ""
    client_grant_member: str = "access_token"
    may_answer_in_xml: bool = False
    numbers_may_be_text: bool = False
    account_number_is_base64: bool = False
    subscription_from: tuple[str, ...] = SUBSCRIPTION_FROM_RESOURCE
    dead_grant_errors: frozenset[str] = frozenset({"invalid_grant"})


@dataclass(frozen=True)
class Credentials:
    """Who asks. The secret stays out of `repr`."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True)
class Grant:
    """A token answer in the standard's terms. `scope` verbatim, empty if the utility sent none; ids empty if unknown.

    `expires_in`: seconds from the answer. `refresh_token` None: keep the one there is.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: int
    scope: str = ""
    resource_uri: str = ""
    authorization_uri: str = ""
    customer_resource_uri: str = ""
    account_number: str = field(default="", repr=False)
    subscription_id: str = ""
    authorization_id: str = ""


@dataclass(frozen=True)
class Endpoint:
    """Where and how to ask: one utility's token endpoint as one registration reaches it."""

    url: str
    dialect: TokenDialect
    credentials: Credentials
    headers: Mapping[str, str] = field(repr=False)
    open_session: Callable[[], requests.Session]
    check_url: Callable[[str], None]


# --- The three grants --------------------------------------------------------------------------------------------


def exchange_code(endpoint: Endpoint, *, code: str, redirect_uri: str, code_verifier: str | None = None) -> Grant:
    """RFC 6749 §4.1.3. Raises a TokenError. The code is sent at most once."""
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
    if code_verifier:
        fields["code_verifier"] = code_verifier
    grant = _ask(endpoint, fields, "access_token")
    if not grant.subscription_id:
        raise BadTokenAnswer("the answer names no subscription")
    return grant


def refresh(
    endpoint: Endpoint, *, refresh_token: str, subscription_id: str, scope: str, redirect_uri: str = ""
) -> Grant:
    """RFC 6749 §6, with the fields this utility wants beside the token. Raises a TokenError."""
    known = {"subscription_id": subscription_id, "scope": scope, "redirect_uri": redirect_uri}
    wanted = {name: known[name] for name in endpoint.dialect.refresh_fields if known[name]}
    return _ask(endpoint, {"grant_type": "refresh_token", "refresh_token": refresh_token, **wanted}, "access_token")


def client_token(endpoint: Endpoint) -> Grant:
    """RFC 6749 §4.4: our own token, for what concerns all customers. Raises a TokenError."""
    fields = {"grant_type": "client_credentials"}
    if endpoint.dialect.client_scope:
        fields["scope"] = endpoint.dialect.client_scope
    return _ask(endpoint, fields, endpoint.dialect.client_grant_member)


def _ask(endpoint: Endpoint, fields: Mapping[str, str], member: str) -> Grant:
    headers, body = build(endpoint, fields)
    status, answer_headers, answer = _post(endpoint, headers, body)
    if status == 200:
        grant = read_grant(answer, endpoint.dialect, member)
        for uri in (grant.resource_uri, grant.authorization_uri, grant.customer_resource_uri):
            if uri:
                endpoint.check_url(uri)
        return grant
    raise _refusal(status, answer_headers, answer, endpoint.dialect, fields["grant_type"])


def build(endpoint: Endpoint, fields: Mapping[str, str]) -> tuple[dict[str, str], bytes]:
    """The one place that writes a token request: its headers and its body, for every grant alike."""
    dialect, credentials = endpoint.dialect, endpoint.credentials
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", **endpoint.headers}
    values = dict(fields)
    if dialect.authentication == "basic":
        pair = f"{credentials.client_id}:{credentials.client_secret}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    else:
        values |= {"client_id": credentials.client_id, "client_secret": credentials.client_secret}
    named = {dialect.names.get(name, name): value for name, value in values.items()}
    if dialect.body == "json":
        return headers | {"Content-Type": "application/json"}, json.dumps(named).encode()
    form = urlencode(named, quote_via=quote).encode()
    return headers | {"Content-Type": "application/x-www-form-urlencoded"}, form


# --- Sending -----------------------------------------------------------------------------------------------------


def _post(endpoint: Endpoint, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
    with Deadline(DEADLINE_SECONDS) as deadline:
        try:
            with (
                endpoint.open_session() as session,
                session.post(endpoint.url, data=body, headers=dict(headers), stream=True) as response,
            ):
                answer = _read(response)
                if deadline.expired:
                    raise TokenUnavailable("the token answer was not complete in time")
                return response.status_code, response.headers, answer
        except AddressRefused as error:
            raise UnprovenServer(str(error)) from None
        except CertificateUnusable as error:
            raise InvalidClient(str(error)) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            if deadline.expired:
                raise TokenUnavailable("there was no complete token answer in time") from None
            raise _failure(error) from None


def _read(response: requests.Response) -> bytes:
    answer = bytearray()
    while chunk := response.raw.read1(8192, decode_content=False):
        answer += chunk
        if len(answer) > MAX_ANSWER:
            raise BadTokenAnswer("the token answer is longer than 64 KiB")
    return bytes(answer)


def _failure(error: Exception) -> TokenError:
    if _nothing_was_sent(error):
        return NoConnection("there was no connection to the token endpoint")
    meaning = client.translate(error)
    if isinstance(meaning, client.Unproven):
        return UnprovenServer(meaning.reason)
    if isinstance(meaning, NeedsAttention):
        return InvalidClient(f"the token request could not be made: {meaning}")
    return TokenUnavailable("there was no complete token answer")


def _nothing_was_sent(error: Exception) -> bool:
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", None), urllib3.exceptions.NewConnectionError)


# --- Reading a refusal -------------------------------------------------------------------------------------------

# RFC 6749 §5.2 and ESPI's OAuthError; a code outside this list is never repeated in a message.
ERROR_CODES = (
    "invalid_client_metadata",
    "invalid_client_id",
    "invalid_client",
    "invalid_grant",
    "invalid_redirect_uri",
    "invalid_request",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "access_denied",
    "server_error",
    "temporarily_unavailable",
)
CLIENT_ERRORS = frozenset({"invalid_client", "invalid_client_id", "invalid_client_metadata", "unauthorized_client"})


def _refusal(
    status: int, headers: Mapping[str, str], answer: bytes, dialect: TokenDialect, grant_type: str
) -> TokenError:
    wait, code = client.retry_after(headers), _error_code(answer)
    if status == 429:
        return TokenThrottled(wait)
    if status >= 500 or status == 408:
        unavailable = TokenUnavailable(f"the token endpoint answered {status}")
        unavailable.retry_after = wait
        return unavailable
    if code in CLIENT_ERRORS or b"invalid certificate" in answer[:500].lower():
        return InvalidClient(f"the token endpoint answered {status}: it does not accept our credentials")
    if code in dialect.dead_grant_errors and grant_type != "client_credentials":
        return InvalidGrant(f"the token endpoint answered {status}: {code}")
    if status in (401, 403) and grant_type == "refresh_token":
        return UnclearRefusal(f"the token endpoint answered {status} to a refresh, without a reason we know")
    if status in (401, 403):
        return InvalidClient(f"the token endpoint answered {status}: it does not accept our credentials")
    if 400 <= status < 500:
        return TokenRefused(f"the token endpoint answered {status}: {code or 'without a reason we know'}")
    return BadTokenAnswer(f"the token endpoint answered {status}")


def _error_code(answer: bytes) -> str:
    """The OAuth error code an answer holds, wherever it stands: an object, a JSON string or plain text (PG&E §10)."""
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict) and isinstance(said.get("error"), str):
        return said["error"] if said["error"] in ERROR_CODES else ""
    text = answer[:500].decode("utf-8", "replace")
    return next((code for code in ERROR_CODES if code in text), "")


# --- Reading a grant ---------------------------------------------------------------------------------------------


def read_grant(answer: bytes, dialect: TokenDialect, member: str = "access_token") -> Grant:
    """A 200 answer in the common form. Raises BadTokenAnswer that says what is wrong, never what was there."""
    said = _object(answer, dialect)
    if "error" in said:
        raise BadTokenAnswer("the answer reports an error and calls it a success")
    if not isinstance(said.get("token_type"), str) or said["token_type"].strip().lower() != "bearer":
        raise BadTokenAnswer("the answer's token_type is not Bearer")
    uris = {name: _text(said, name.replace("_", "")) for name in _URIS}
    return Grant(
        access_token=_token(said, member),
        refresh_token=_token(said, "refresh_token") if said.get("refresh_token") else None,
        expires_in=_seconds(said.get("expires_in"), dialect),
        scope=_text(said, "scope"),
        account_number=_account_number(said, dialect),
        subscription_id=next((id_ for id_ in (_last_segment(uris[n]) for n in dialect.subscription_from) if id_), ""),
        authorization_id=_last_segment(uris["authorization_uri"]),
        **uris,
    )


_URIS = ("resource_uri", "authorization_uri", "customer_resource_uri")


def _object(answer: bytes, dialect: TokenDialect) -> dict[str, Any]:
    """The members, by lower-case name: Con Edison prints `AccountNumber` and sends `accountNumber` (contract §3.1)."""
    if dialect.may_answer_in_xml and answer.lstrip().startswith(b"<"):
        return _xml_members(answer)
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        raise BadTokenAnswer("the answer is not JSON") from None
    if not isinstance(said, dict):
        raise BadTokenAnswer("the answer is not a JSON object")
    return {name.lower(): value for name, value in said.items()}


def _xml_members(answer: bytes) -> dict[str, Any]:
    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(answer, parser)
    except etree.XMLSyntaxError:
        raise BadTokenAnswer("the answer is neither JSON nor well-formed XML") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise BadTokenAnswer("the answer has a document type declaration")
    return {etree.QName(child).localname.lower(): (child.text or "").strip() for child in root.iterchildren("*")}


def _token(said: Mapping[str, Any], name: str) -> str:
    token = said.get(name)
    if not isinstance(token, str) or not token:
        raise BadTokenAnswer(f"the answer has no {name}")
    # It goes into a header: RFC 6750 b64token allows no blank, control or non-ASCII character.
    if len(token) > LONGEST_TOKEN or not re.fullmatch(r"[!-~]+", token):
        raise BadTokenAnswer(f"the answer's {name} cannot be a token")
    return token


def _seconds(value: Any, dialect: TokenDialect) -> int:
    if dialect.numbers_may_be_text and isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadTokenAnswer("the answer's expires_in is not a whole number")
    if not 0 < value <= LONGEST_LIFE:
        raise BadTokenAnswer("the answer's expires_in is not a possible number of seconds")
    return value


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    if value is None:
        return ""
    if (
        not isinstance(value, str)
        or len(value) > 8192
        or not all(char >= " " and not "\ud800" <= char <= "\udfff" for char in value)
    ):
        raise BadTokenAnswer(f"the answer's {name} is not a line of text")
    return value


def _last_segment(uri: str) -> str:
    """The id at the end of a resource's path; empty if there is none that could be one."""
    try:
        last = unquote(urlsplit(uri).path.rstrip("/").rpartition("/")[2])
    except ValueError:
        raise BadTokenAnswer("the answer holds an address that cannot be read") from None
    return last if re.fullmatch(r"[\w.~=,:+-]{1,255}", last, re.ASCII) else ""


def _account_number(said: Mapping[str, Any], dialect: TokenDialect) -> str:
    """Con Edison V1 sends it in base64 (contract §3.1); what does not decode to a number is taken as it stands."""
    value = _text(said, "accountnumber")
    if not dialect.account_number_is_base64 or not value:
        return value
    try:
        decoded = base64.b64decode(value, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return value
    return decoded if re.fullmatch(r"[0-9A-Za-z-]{1,64}", decoded) else value
