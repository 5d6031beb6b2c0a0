"""What a person may see of a request and its answer: which fields there were, and never a secret or a customer's data.

Of a query or a form only the fields in PLAIN keep their values, of JSON likewise; of XML the elements in SHOWN. Whatever
else is known to be secret is taken out of the result once more.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from espi.models import ApplicationInformation
from portal.logs import redact

HIDDEN = "••••"
LONGEST = 1500  # characters of a body
SHORTEST_SECRET = 6
SECRET_FIELDS = (
    "client_secret",
    "subscription_key",
    "registration_access_token",
    "api_token",
    "webhook_secret",
    "notify_secret",
    "client_access_token",
)
# Fields whose values say how something is asked for, not by whom or about whom.
PLAIN = frozenset(
    {
        "response_type", "grant_type", "grantType", "redirect_uri", "redirectUri", "scope", "token_type", "expires_in",
        "resourceURI", "authorizationURI", "customerResourceURI", "error", "statusCode", "message", "requestId",
        "responseId", "subscriptionId", "DataCustodianID", "startdate", "enddate", "startDate", "endDate",
        "published-min", "published-max", "publishedMin", "publishedMax", "updated-min", "updated-max", "startIndex",
        "correlationID", "electricPowerUsageSummaryId", "code_challenge_method", "type", "Message",
    }
)  # fmt: skip
SHOWN = frozenset(
    {
        "title", "published", "updated", "kind", "uom", "powerOfTenMultiplier", "flowDirection", "commodity", "start",
        "intervalLength", "accumulationBehaviour", "duration", "value", "quality", "currentStatus", "status", "currency",
        "tzOffset", "dstOffset", "dstStartRule", "dstEndRule", "resources", "timeStamp", "dataQualifier", "phase",
        "defaultQuality", "measurementPeriod", "billToDate", "statusTimeStamp", "qualityOfReading",
    }
)  # fmt: skip
HEADERS_SHOWN = ("Content-Type", "Accept", "Retry-After", "Date", "x-transaction", "Content-Length")
# XML in pieces: what is quoted whole or is a comment, a tag (a value may hold ">"), text, and a "<" that begins nothing.
_PIECE = re.compile(
    r"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)"
    r"|<(?:(?P<end>/)|[?!])?(?:[\w.-]+:)?(?P<name>[\w.-]+)(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>|[^<]+|<",
    re.S,
)
_QUERY = re.compile(r"(?<!<)\?([^\s\"'<>]*)")


def address(url: str) -> str:
    """A URL whose query tells its fields; the secret part of a notification address is left out."""
    parts = urlsplit(url)
    query = "&".join(f"{name}={value}" for name, value in fields(parts.query).items())
    whole = f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
    path = re.sub(r"(/(?:Notification|Webhook)/[^/]+/)[^/]+", rf"\1{HIDDEN}", parts.path)
    return f"{whole}{path}{'?' + query if query else ''}"[:1000]


def fields(encoded: str) -> dict[str, str]:
    """Names and masked values of a query or a form."""
    return {name: value if name in PLAIN else HIDDEN for name, value in parse_qsl(encoded, keep_blank_values=True)}


def headers(sent: Mapping[str, str]) -> str:
    """One line each: those in HEADERS_SHOWN as sent, credentials as the way they are given."""
    lines = [f"{name}: {sent[name]}" for name in HEADERS_SHOWN if name in sent]
    if "Authorization" in sent:
        lines.append(f"Authorization: {sent['Authorization'].partition(' ')[0]} {HIDDEN}")
    if "ocp-apim-subscription-key" in sent:
        lines.append(f"ocp-apim-subscription-key: {HIDDEN}")
    return "\n".join(lines)


def body(content: bytes, content_type: str) -> str:
    """The beginning of a body, masked by what it is."""
    text = content.decode("utf-8", "replace").lstrip("\ufeff").strip()
    if not text:
        return ""
    if "\0" in text:
        masked = f"neither text nor UTF-8 ({len(content)} bytes)"
    elif text[:1] in "{[" or "json" in content_type:
        masked = _json(text)
    elif text.startswith("<"):
        masked = _xml(text)
    elif "urlencoded" in content_type:
        masked = "&".join(f"{name}={value}" for name, value in fields(text).items())
    else:
        masked = redact(text)
    return _storable(masked[:LONGEST]) + ("…" if len(masked) > LONGEST else "")


def _storable(text: str) -> str:
    """Without what PostgreSQL takes for no text, and what turns the line round for its reader."""
    return "".join(each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}" for each in text)


def _json(text: str) -> str:
    try:
        return json.dumps(_masked(json.loads(text)), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return f"JSON that was cut short or cannot be read ({len(text)} characters)"


def _masked(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _masked(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_masked(each, name) for each in value[:20]]
    return value if name in PLAIN else HIDDEN


def _xml(text: str) -> str:
    """Texts of elements that are not in SHOWN are hidden, and so are comments and queries in addresses."""
    name, hidden = "", ""
    # What is cut off in the middle of a text has no end that tells which element it is of.
    for piece in _PIECE.finditer(text[: text.rfind(">") + 1]):
        if piece["name"]:
            name = "" if piece["end"] else piece["name"]
            hidden += piece[0]
        else:
            hidden += piece[0] if name in SHOWN or not piece[0].strip() else HIDDEN
    return _QUERY.sub(lambda match: "?" + "&".join(f"{k}={v}" for k, v in fields(_unescaped(match[1])).items()), hidden)


def _unescaped(query: str) -> str:
    return query.replace("&amp;", "&")


def secrets_of(app: ApplicationInformation) -> list[str]:
    """Every secret of a registration, and how its credentials look in a header."""
    found = [getattr(app, name) or "" for name in SECRET_FIELDS]
    pair = f"{app.client_id}:{app.client_secret}".encode()
    return [*found, base64.b64encode(pair).decode()]


def without(text: str, secrets: Iterable[str]) -> str:
    """The text without any of these, wherever they stand."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, HIDDEN)
    return text
