"""Notification body -> resource URLs, verbatim.

Three shapes are met: the standard's root `BatchList`; Con Edison V1's lower-camel `batchList`, bare or inside an Atom
feed (its contract, 6); PG&E's `ns0:BatchList` (8.3). So every element `resources` of the ESPI namespace counts, at any
depth. Con Edison's bodies were seen with bare ampersands, which are escaped in a second try.
"""

import re

from lxml import etree

ESPI = "http://naesb.org/espi"
_ENCODINGS = {"UTF-8", "UTF-16", "UTF-16LE", "UTF-16BE", "US-ASCII", "ASCII", "ISO-8859-1", "WINDOWS-1252"}
_BARE_AMPERSAND = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#[0-9]+|#x[0-9A-Fa-f]+);)")


class NotABatchList(ValueError):
    """A body that is no list of resources; `reason` says why in words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read(body: bytes) -> list[str]:
    """The URLs of a BatchList, stripped of surrounding white space and otherwise as written; may be empty.

    Raises NotABatchList.
    """
    root = _parse(body)
    lists = [element for name in ("BatchList", "batchList") for element in root.iter(f"{{{ESPI}}}{name}")]
    found = list(root.iter(f"{{{ESPI}}}resources"))
    if not lists and not found:
        raise NotABatchList(f"It is XML, but no BatchList: its root is {etree.QName(root).localname[:60]!r}.")
    urls = ["".join(map(str, element.itertext())).strip() for element in found]
    return [url for url in urls if url]


def _parse(body: bytes) -> etree._Element:
    if not body.strip():
        raise NotABatchList("It is empty.")
    try:
        return _root(body)
    except etree.XMLSyntaxError:
        pass
    try:
        return _root(_BARE_AMPERSAND.sub(b"&amp;", body))
    except etree.XMLSyntaxError as error:
        reason = (error.msg or "no XML").partition(", line ")[0][:200]
        raise NotABatchList(f"It is not well-formed XML: {reason}.") from None


def _root(body: bytes) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
    )
    root = etree.fromstring(body, parser)
    info = root.getroottree().docinfo
    if info.doctype:  # type: ignore[union-attr]
        raise NotABatchList("It holds a document type declaration.")
    if (info.encoding or "UTF-8").upper() not in _ENCODINGS:
        raise NotABatchList(f"It is written in an encoding that is not read: {info.encoding!r:.60}.")
    return root
