"""What a utility says of an Authorization: bytes of an entry or a feed -> values (ESPI 4.0, Authorization).

UtilityAPI means the end of the authorization by `expires_at`, PG&E that of a token (contracts §5.2 and §8.4); so that
is not read here: `authorizedPeriod` says the same to all of them.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import BinaryIO, Literal

from espi import atom, parse, resources

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
    with suppress(atom.NothingUnderstood):  # an Atom feed of something else holds none
        for resource in parse.read(file):
            if isinstance(resource, resources.Authorization):
                yield _status(resource)


def _status(said: resources.Authorization) -> AuthorizationStatus:
    says_end, ends_at = _end(*said.authorized_period)
    return AuthorizationStatus(
        id=resources.segment(said.entry.self_href or said.authorization_uri, "Authorization"),
        status=STATUSES.get(said.status, ""),
        scope=said.scope,
        resource_uri=said.resource_uri,
        says_end=says_end,
        ends_at=ends_at,
    )


MILLISECONDS = 10**11  # a start above this is in milliseconds, and its duration too (PG&E contract §8.4)
ENDLESS = 4102444800  # 2100: "indefinite" comes as an end that no customer would choose
SHORTEST = 3600  # seconds; less is no period that anybody agreed to


def _end(start: int | None, duration: int | None) -> tuple[bool, datetime | None]:
    """Whether the resource tells how long it stands, and until when."""
    if start is None or duration is None or start <= 0 or duration < 0:
        return False, None
    if start > MILLISECONDS:
        start, duration = start // 1000, duration // 1000
    if duration == 0 or start + duration >= ENDLESS:
        return True, None
    return (True, datetime.fromtimestamp(start + duration, UTC)) if duration >= SHORTEST else (False, None)
