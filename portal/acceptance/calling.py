"""One call of an operation, and what it answered: for evidence, not for data."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO

import requests
from lxml import etree

from espi import atom, client, parse, resources
from espi.models import ApplicationInformation
from espi.session import AddressRefused, Deadline
from portal.acceptance import masking
from utilities.base import Utility

SECONDS = 30.0
MOST_BYTES = 1024 * 1024  # of an answer; the rest is not read
STATUSES_WITHOUT_BODY = (202, 204)


@dataclass(frozen=True)
class Answered:
    """`status` 0: no answer; `problem` says why. `is_whole`: the answer was read to its end."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_whole: bool = True
    milliseconds: int = 0
    problem: str = ""

    @property
    def kind(self) -> str:
        """Its content type."""
        return self.headers.get("Content-Type", "")[:100]


def ask(utility: Utility, app: ApplicationInformation, method: str, url: str, token: str) -> Answered:
    """One request with this token. Raises UntrustedAddress for an address outside this environment, and sends nothing."""
    utility.check_url(app, url)
    headers = {**utility.resource_headers(app, token), "Accept-Encoding": "identity"}
    began = time.monotonic()
    try:
        with (
            Deadline(SECONDS),
            utility.session(app) as session,
            session.request(method, url, headers=headers, stream=True) as response,
        ):
            body = _read(response)
            passed = round((time.monotonic() - began) * 1000)
            whole = len(body) < MOST_BYTES
            return Answered(response.status_code, response.headers, body[:MOST_BYTES], whole, passed)
    except AddressRefused as error:
        return Answered(0, problem=str(error))
    except (requests.RequestException, OSError) as error:
        passed = round((time.monotonic() - began) * 1000)
        return Answered(0, problem=str(client.translate(error)), milliseconds=passed)


def _read(response: requests.Response) -> bytes:
    read = bytearray()
    while len(read) < MOST_BYTES and (chunk := response.raw.read1(64 * 1024, decode_content=False)):
        read += chunk
    return bytes(read)


def holds(answer: Answered) -> str:
    """What a document holds, in words: its resources, each with how many. Empty for none."""
    counts: dict[str, int] = {}
    for name in re.findall(rb"<(?:[\w.-]+:)?content\b[^<>]*>\s*<(?:[\w.-]+:)?([\w.-]+)", answer.body):
        counts[name.decode()] = counts.get(name.decode(), 0) + 1
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def has(answer: Answered, kind: str) -> bool:
    """Whether it holds a resource of this kind (or, with `|`, of one of these), whichever way its letters are cased (Con Edison contract, trap 19)."""
    return re.search(rf"<(?:[\w.-]+:)?(?:{kind})[\s/>]".encode(), answer.body, re.I) is not None


def understood(answer: Answered) -> str:
    """How our own reader of ESPI finds the document, in words."""
    if answer.status in STATUSES_WITHOUT_BODY or not answer.body:
        return "no document"
    if not answer.is_whole:
        return f"longer than {MOST_BYTES // 1024} KiB; its beginning was looked at"
    try:
        found = list(parse.read(BytesIO(answer.body)))
    except (atom.DocumentRefused, etree.LxmlError) as error:
        return f"not ESPI: {error}"[:200]
    refused = sum(isinstance(each, resources.Refused) for each in found)
    unknown = sum(isinstance(each, resources.Unknown) for each in found)
    return f"well-formed ESPI; {len(found)} resources read, {refused} refused, {unknown} elements without a name"


def evidence(answer: Answered, secrets: list[str]) -> dict[str, str | int]:
    """What is kept of an answer: status, type, first bytes masked, what it holds."""
    return {
        "status": answer.status,
        "content_type": answer.kind,
        "size": len(answer.body),
        "holds": holds(answer),
        "parsed": understood(answer),
        "headers": masking.without(masking.headers(answer.headers), secrets),
        "first_bytes": masking.without(masking.body(answer.body[: masking.LONGEST], answer.kind), secrets),
    }
