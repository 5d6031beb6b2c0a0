"""What a utility says of an Authorization: bytes of an entry or a feed -> values (ESPI 4.0, Authorization).

UtilityAPI means the end of the authorization by `expires_at`, PG&E that of a token (contracts §5.2 and §8.4); so it is
not read here.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Literal

from lxml import etree

from espi import atom, resources

STATUSES: dict[str, Literal["revoked", "active", "denied"]] = {"0": "revoked", "1": "active", "2": "denied"}


@dataclass(frozen=True)
class AuthorizationStatus:
    """One Authorization. `id` is the last segment of its own link; `status` is empty for a code we do not know."""

    id: str
    status: Literal["revoked", "active", "denied", ""]
    scope: str
    resource_uri: str


def read(body: bytes) -> list[AuthorizationStatus]:
    """Every Authorization of a document. Raises atom.DocumentRefused."""
    found = []
    for parcel in atom.read(BytesIO(body)):
        for element in parcel.payloads:
            if etree.QName(element).localname.lower() == "authorization":
                found.append(_status(parcel.entry, element))
    return found


def _status(entry: resources.Entry, element: etree._Element) -> AuthorizationStatus:
    own = entry.self_href or _text(element, "authorizationURI")
    return AuthorizationStatus(
        id=resources.segment(own, "Authorization"),
        status=STATUSES.get(_text(element, "status"), ""),
        scope=_text(element, "scope"),
        resource_uri=_text(element, "resourceURI"),
    )


def _text(element: etree._Element, name: str) -> str:
    return (element.findtext(f"{{*}}{name}") or "").strip()
