"""Bytes -> Atom entries and bare resources, streaming (RFC 4287). One entry is in memory at a time.

Matches on namespace and local name only. Nothing is fetched, no entity is expanded, no broken file is repaired, and a
document type declaration refuses the file.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from lxml import etree

from espi import columns, numbers, resources

ATOM = "http://www.w3.org/2005/Atom"
ESPI = columns.ESPI
CUSTOMER = "http://naesb.org/espi/customer"
_A = f"{{{ATOM}}}"
_ENTRY, _CONTENT, _LINK = f"{_A}entry", f"{_A}content", f"{_A}link"
_BLOCKS = (f"{{{ESPI}}}IntervalBlock", f"{{{ESPI}}}intervalBlock")
_PARSER = {
    "resolve_entities": False,
    "load_dtd": False,
    "no_network": True,
    "huge_tree": False,
    "recover": False,
    "remove_comments": True,
    "remove_pis": True,
}


class DocumentRefused(ValueError):
    """A document that cannot be taken in; the message says why in words a customer understands."""


class NothingUnderstood(DocumentRefused):
    """A well-formed feed none of whose entries is ESPI."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """An entry, the resource elements in its content, the text beside them, and its IntervalBlocks, read already."""

    entry: resources.Entry
    payloads: list[etree._Element]
    blocks: list[tuple[bool, resources.Columns]]
    text: str = ""


@dataclass(slots=True)
class _Feed:
    """What the feed says of itself before its entries."""

    published_at: datetime | None = None
    entries: int = 0
    blocks: list[tuple[bool, resources.Columns]] = field(default_factory=list)
    last_href: str = ""


def read(source: BinaryIO) -> Iterator[Parcel]:
    """Every entry of a feed, a single entry, or a bare resource. The elements are valid until the next step.

    Raises DocumentRefused when it is not well-formed XML, holds a document type declaration or is not ESPI.
    """
    feed = _Feed()
    events = etree.iterparse(source, events=("end",), tag=(_ENTRY, *_BLOCKS), **_PARSER)
    try:
        for _, element in events:
            if element.tag == _ENTRY:
                yield _parcel(element, feed)
                _forget(element)
            else:
                feed.blocks.append((element.tag == _BLOCKS[1], columns.read(element)))
                element.clear()
    except etree.XMLSyntaxError as error:
        raise DocumentRefused(_not_well_formed(error, feed)) from None
    yield from _rest(events.root, feed)


def _parcel(element: etree._Element, feed: _Feed) -> Parcel:
    if feed.entries == 0:
        _refuse_doctype(element)
        feed.published_at = _feed_time(element)
    feed.entries += 1
    blocks, feed.blocks = feed.blocks, []
    entry = _entry(element, feed.published_at)
    feed.last_href = entry.self_href or feed.last_href
    contents = element.findall(_CONTENT)
    payloads = [child for content in contents for child in content.iterchildren("{*}*")]
    return Parcel(entry, payloads, blocks, text="".join(content.text or "" for content in contents).strip())


def _rest(root: etree._Element | None, feed: _Feed) -> Iterator[Parcel]:
    """What is not in an entry: a bare resource, or IntervalBlocks that stand outside."""
    if root is None:
        raise DocumentRefused("The file is empty.")
    _refuse_doctype(root)
    namespace = etree.QName(root).namespace
    if namespace not in (ATOM, ESPI, CUSTOMER):
        raise DocumentRefused(
            f"This is XML, but not Green Button (ESPI) data: it begins with {etree.QName(root).localname[:60]!r}."
        )
    bare = [root] if namespace != ATOM and root.tag not in _BLOCKS else []
    if bare or feed.blocks:
        yield Parcel(resources.Entry(published_at=feed.published_at), bare, feed.blocks)


def _entry(element: etree._Element, feed_time: datetime | None) -> resources.Entry:
    links: dict[str, list[str]] = {"self": [], "up": [], "related": []}
    times = []
    title = ""
    for child in element.iter(_LINK, f"{_A}published", f"{_A}updated", f"{_A}title"):
        if child.tag == _LINK:
            links.get((child.get("rel") or "related").strip(), []).append((child.get("href") or "").strip())
        elif child.tag == f"{_A}title":
            title = title or (child.text or "").strip()
        else:
            times.append(numbers.instant(child.text))
    said = [time for time in times if time]
    return resources.Entry(
        self_href=(links["self"] or [""])[0],
        up_hrefs=tuple(links["up"]),
        related_hrefs=tuple(links["related"]),
        title=title,
        published_at=max(said) if said else feed_time,
    )


def _feed_time(entry: etree._Element) -> datetime | None:
    feed = entry.getparent()
    return numbers.instant(feed.findtext(f"{_A}updated")) if feed is not None else None


def _forget(entry: etree._Element) -> None:
    parent = entry.getparent()
    entry.clear()
    if parent is not None:
        while entry.getprevious() is not None:
            del parent[0]


def _refuse_doctype(element: etree._Element) -> None:
    if element.getroottree().docinfo.doctype:  # type: ignore[attr-defined]
        raise DocumentRefused(
            "The file holds a document type declaration (DOCTYPE), which Green Button data never has."
        )


def _not_well_formed(error: etree.XMLSyntaxError, feed: _Feed) -> str:
    where = f" after {feed.last_href[:200]}" if feed.last_href else ""
    line, column = error.position
    reason = (error.msg or "it is empty").partition(", line ")[0][:200]
    return f"The file is not well-formed XML: {reason} (line {line}, column {column}{where})."
