"""What a utility says of an Authorization: bytes of an entry or a feed -> values (ESPI 4.0, Authorization).

UtilityAPI means the end of the authorization by `expires_at`, PG&E that of a token (contracts §5.2 and §8.4); so that
is not read here: `authorizedPeriod` says the same to all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import BinaryIO, Literal

from lxml import etree

from espi import atom, resources

STATUSES: dict[str, Literal["revoked", "active", "denied"]] = {"0": "revoked", "1": "active", "2": "denied"}


@dataclass(frozen=True)
class AuthorizationStatus:
    """One Authorization. `id` is the last segment of its own link; `status` is empty for a code we do not know.

    `ends_at` is the first instant after the authorized period; None where the period has no end, or (`says_end` is
    False) where none is told.
    """

    id: str
    status: Literal["revoked", "active", "denied", ""]
    scope: str
    resource_uri: str
    says_end: bool = False
    ends_at: datetime | None = None


def read(body: bytes) -> list[AuthorizationStatus]:
    """Every Authorization of a document. Raises atom.DocumentRefused."""
    return list(each(BytesIO(body)))


def each(file: BinaryIO) -> Iterator[AuthorizationStatus]:
    """Every Authorization of a document of any length, one after another. Raises atom.DocumentRefused."""
    for parcel in atom.read(file):
        for element in parcel.payloads:
            if etree.QName(element).localname.lower() == "authorization":
                yield _status(parcel.entry, element)


def _status(entry: resources.Entry, element: etree._Element) -> AuthorizationStatus:
    own = entry.self_href or _text(element, "authorizationURI")
    says_end, ends_at = _end(element)
    return AuthorizationStatus(
        id=resources.segment(own, "Authorization"),
        status=STATUSES.get(_text(element, "status"), ""),
        scope=_text(element, "scope"),
        resource_uri=_text(element, "resourceURI"),
        says_end=says_end,
        ends_at=ends_at,
    )


MILLISECONDS = 10**11  # a start above this is in milliseconds, and its duration too (PG&E contract §8.4)
ENDLESS = 4102444800  # 2100: "indefinite" comes as an end that no customer would choose
SHORTEST = 3600  # seconds; less is no period that anybody agreed to


def _end(element: etree._Element) -> tuple[bool, datetime | None]:
    """Whether the resource tells how long it stands, and until when."""
    start, duration = (_number(element, f"authorizedPeriod/{{*}}{name}") for name in ("start", "duration"))
    if start is None or duration is None or start <= 0 or duration < 0:
        return False, None
    if start > MILLISECONDS:
        start, duration = start // 1000, duration // 1000
    if duration == 0 or start + duration >= ENDLESS:
        return True, None
    return (True, datetime.fromtimestamp(start + duration, UTC)) if duration >= SHORTEST else (False, None)


def _number(element: etree._Element, name: str) -> int | None:
    text = _text(element, name)
    return int(text) if text.isascii() and text.removeprefix("-").isdigit() and len(text) < 20 else None


def _text(element: etree._Element, name: str) -> str:
    return (element.findtext(f"{{*}}{name}") or "").strip()
