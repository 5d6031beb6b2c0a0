"""GET one resource: its bytes go to a file, its outcome is named after who can do something about it."""

import ssl
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO

import requests
import urllib3

from espi.session import Deadline, NeedsAttention, TryLater

MIB = 1024 * 1024
DEADLINE_SECONDS = 15 * 60.0
SEND_SECONDS = 20.0
MAX_BYTES = 512 * MIB
MAX_WIRE_BYTES = 256 * MIB
RATIO, RATIO_FROM = 200, 10 * MIB
PACE_SECONDS, PACE_BYTES = 60.0, 60 * 10 * 1024
CHUNK = 64 * 1024
EXCERPT = 200
# In OpenSSL's reasons. Without our certificate a server of TLS 1.2 only says that the handshake failed.
CERTIFICATE_SIGNS = ("CERT", "UNKNOWN_CA", "HANDSHAKE_FAILURE")


@dataclass(frozen=True)
class Answer:
    """A 200 or a 204. `size` counts the bytes written, `wire_size` those received before they were inflated."""

    status: int
    content_type: str = ""
    size: int = 0
    wire_size: int = 0
    transaction: str = ""

    @property
    def empty(self) -> bool:
        """Nothing was sent: 204, or 200 without a body."""
        return self.size == 0


class NotReady(TryLater):
    """202: accepted. The file is announced later, or the same request succeeds later; the utility says which."""

    def __init__(self, retry_after: int | None = None, transaction: str = "") -> None:
        """`transaction`: the label by which PG&E ties its announcement to this call (contract §8.3), or empty."""
        super().__init__("the utility is still preparing the data")
        self.retry_after, self.transaction = retry_after, transaction


class Throttled(TryLater):
    """429."""

    def __init__(self, retry_after: int | None = None) -> None:
        """`retry_after` in seconds, as asked."""
        super().__init__("the utility asked us to wait")
        self.retry_after = retry_after


class Unavailable(TryLater):
    """5xx, or no connection."""

    def __init__(self, reason: str, retry_after: int | None = None, status: int = 0) -> None:
        """`status` 0: there was no answer."""
        super().__init__(reason)
        self.retry_after, self.status = retry_after, status


class Incomplete(TryLater):
    """The answer ended too early or took too long. What was written is not to be used."""


class Refused(NeedsAttention):
    """The utility, or we, will not do this. `status` 0: there was no answer we could look at."""

    def __init__(self, status: int, reason: str) -> None:
        """`reason` holds at most 200 characters of the answer, escaped."""
        super().__init__(f"{status or 'no answer'}: {reason}")
        self.status, self.reason = status, reason


class Unauthorized(Refused):
    """401: the token is expired, revoked or unknown."""


class WrongTokenClass(Refused):
    """403: the token is of the wrong class for this address."""


class Gone(Refused):
    """404 or 410."""


class NotRouted(Refused):
    """A 404 of the gateway: the path leads nowhere there. It says nothing of what the path names."""


class Unproven(Refused):
    """The other side's certificate does not prove that it is who we called. Nothing was sent to it."""


class TooLarge(NeedsAttention):
    """More bytes, or better compressed ones, than any utility sends."""


STATUSES: Mapping[int, type[Refused]] = {401: Unauthorized, 403: WrongTokenClass, 404: Gone, 410: Gone}


def get(
    session: requests.Session,
    url: str,
    *,
    headers: Mapping[str, str],
    into: BinaryIO,
    deadline_seconds: float = DEADLINE_SECONDS,
    max_bytes: int = MAX_BYTES,
    max_wire_bytes: int = MAX_WIRE_BYTES,
) -> Answer:
    """The resource at `url`, written to `into`, inflated. Raises a TryLater or a NeedsAttention for everything else.

    An answer without a length ends where the connection does: whether a document is whole, only its reader can tell.
    No message holds the query of the URL or a header we sent.
    """
    with Deadline(deadline_seconds) as deadline:
        try:
            with session.get(url, headers={"Accept-Encoding": "gzip", **headers}, stream=True) as response:
                _raise_for_status(response, [*headers.values(), *_queries(url)])
                return _receive(response, into, deadline, max_bytes, max_wire_bytes)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if deadline.expired:
                raise Incomplete(f"the answer was not complete after {deadline_seconds:g} seconds") from None
            raise translate(error) from None


def send(
    session: requests.Session,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
    deadline_seconds: float = SEND_SECONDS,
) -> int:
    """The status of a call whose answer does not matter: any 2xx. Raises as `get` does."""
    with Deadline(deadline_seconds) as deadline:
        try:
            with session.request(method, url, headers=dict(headers), data=body, stream=True) as response:
                if not 200 <= response.status_code < 300:
                    _raise_for_status(response, [*headers.values(), *_queries(url)])
                return response.status_code
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if deadline.expired:
                raise Unavailable("no answer in time") from None
            raise translate(error) from None


def _queries(url: str) -> list[str]:
    query = url.partition("?")[2]
    return [query, *(pair.partition("=")[2] for pair in query.split("&"))]


def translate(error: Exception) -> TryLater | NeedsAttention:
    """What an exception of the HTTP library means. Its own message, which may hold a URL, is not kept."""
    about_certificates = _about_certificates(error)
    if isinstance(about_certificates, ssl.SSLCertVerificationError):
        return Unproven(0, f"the certificate of the other side is not accepted: {about_certificates.verify_message}")
    if about_certificates:
        return Refused(0, "the other side did not accept our certificate, or misses it")
    if isinstance(error, urllib3.exceptions.HTTPError | requests.exceptions.ChunkedEncodingError):
        return Incomplete("the connection ended in the middle of the answer")
    if isinstance(error, requests.Timeout | TimeoutError):
        return Unavailable("no answer in time")
    if isinstance(error, requests.ConnectionError):
        return Unavailable("no connection")
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        raise error  # our own disk
    return Refused(0, f"not a request that can be sent ({type(error).__name__})")


def _about_certificates(error: BaseException | None) -> ssl.SSLError | None:
    """Looks through the causes: a failed verification, or an alert about our certificate."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, ssl.SSLError) and any(sign in (one.reason or "") for sign in CERTIFICATE_SIGNS):
            return one
        waiting += [*one.args, one.__cause__, one.__context__, getattr(one, "reason", None)]
    return None


def retry_after(headers: Mapping[str, str]) -> int | None:
    """Seconds from `Retry-After`, written as a number or as an HTTP date; None when absent or senseless."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return int(value[:10])
    try:
        when = parsedate_to_datetime(value)
        now = parsedate_to_datetime(headers.get("Date", "")) if headers.get("Date") else datetime.now(UTC)
        return max(0, int((when - now).total_seconds()))
    except (ValueError, TypeError, OverflowError):
        return None


def _transaction(response: requests.Response) -> str:
    names = ("x-transaction", "x-transaction-id", "x-tracking-id")
    return next((response.headers[name][:255] for name in names if response.headers.get(name)), "")


def _raise_for_status(response: requests.Response, private: list[str]) -> None:
    status, wait = response.status_code, retry_after(response.headers)
    if status in (200, 204):
        return
    if status == 202:
        raise NotReady(wait, _transaction(response))
    if status == 429:
        raise Throttled(wait)
    if status >= 500 or status == 408:
        raise Unavailable(f"the utility answered {status}", wait, status)
    if 300 <= status < 400:
        raise Refused(status, "a redirect, which is not followed")
    raise STATUSES.get(status, Refused)(status, _excerpt(response, private))


def _excerpt(response: requests.Response, private: list[str]) -> str:
    """The first characters of an error's body, escaped, without anything we sent."""
    try:
        text = (response.raw.read1(4 * EXCERPT, decode_content=False) or b"").decode("utf-8", "replace")
    except (OSError, urllib3.exceptions.HTTPError, RuntimeError):
        return "the answer could not be read"
    for value in private:
        for part in (value, value.rpartition(" ")[2]):
            text = text.replace(part, "…") if len(part) > 5 else text
    return text.strip().encode("unicode_escape").decode()[:EXCERPT] or "no explanation"


# --- Receiving ---------------------------------------------------------------------------------------------------


class _Plain:
    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> bytes:
        return b""


class _Gunzip:
    """Inflates a little at a time, so that a bomb meets the limit long before it fills the memory."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member.eof:
                if not data.strip(b"\0"):
                    return
                self._member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
            try:
                yield self._member.decompress(data, MIB)
            except zlib.error:
                raise Refused(200, "the answer says it is gzip and is not") from None
            data = self._member.unconsumed_tail or self._member.unused_data

    def finish(self) -> bytes:
        rest = self._member.flush()
        if not self._member.eof:
            raise Incomplete("the compressed answer ended too early")
        return rest


def _decoder(response: requests.Response) -> _Plain | _Gunzip:
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return _Plain()
    if encoding in ("gzip", "x-gzip"):
        return _Gunzip()
    raise Refused(200, "the answer is compressed in a way we did not ask for")


def _receive(
    response: requests.Response, into: BinaryIO, deadline: Deadline, max_bytes: int, max_wire_bytes: int
) -> Answer:
    wire, size = 0, 0
    if response.status_code == 200:
        decoder = _decoder(response)
        for chunk in _chunks(response.raw, deadline):
            wire += len(chunk)
            for piece in decoder.feed(chunk):
                size += len(piece)
                _limit(size, wire, max_bytes, max_wire_bytes)
                into.write(piece)
        size += into.write(decoder.finish()) if wire else 0
        if not wire and not any(name in response.headers for name in ("Content-Length", "Transfer-Encoding")):
            raise Incomplete("the connection was closed before anything arrived")
    content_type = response.headers.get("Content-Type", "")[:255]
    return Answer(response.status_code, content_type, size, wire, _transaction(response))


def _limit(size: int, wire: int, max_bytes: int, max_wire_bytes: int) -> None:
    if size > max_bytes or wire > max_wire_bytes:
        raise TooLarge(f"the answer is longer than {min(max_bytes, max_wire_bytes)} bytes")
    if size > RATIO_FROM and size > RATIO * wire:
        raise TooLarge(f"the answer inflates more than {RATIO} times")


def _chunks(raw: Any, deadline: Deadline) -> Iterator[bytes]:
    """Whatever has arrived, at once; never waits for a full chunk. Ends what comes too slowly."""
    since, received = time.monotonic(), 0
    while chunk := raw.read1(CHUNK, decode_content=False):
        received += len(chunk)
        yield chunk
        if time.monotonic() - since > PACE_SECONDS:
            if received < PACE_BYTES:
                raise Incomplete("the answer came too slowly")
            since, received = time.monotonic(), 0
    if deadline.expired:  # shutting the socket down looks like the end of an answer without a length
        raise Incomplete("the answer was not complete in time")
