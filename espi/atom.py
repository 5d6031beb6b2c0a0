"""Bytes -> Atom entries and bare resources, streaming (RFC 4287). One entry is in memory at a time.

Of an entry that goes on for megabytes, finished readings are taken out while it is still being read, and what remains
of it is counted: a few bytes of XML become hundreds in memory. Matches on namespace and local name only. Nothing is
fetched, no entity is expanded, no broken file is repaired, and a document type declaration refuses the file.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO

from lxml import etree

from espi import columns, numbers, resources
from espi.runs import Runs
from espi.spool import Spool

ATOM = "http://www.w3.org/2005/Atom"
ESPI = columns.ESPI
CUSTOMER = "http://naesb.org/espi/customer"
_A = f"{{{ATOM}}}"
_FEED, _ENTRY, _CONTENT, _LINK = f"{_A}feed", f"{_A}entry", f"{_A}content", f"{_A}link"
_OF_BOTH = ("author", "category", "contributor", "id", "link", "rights", "title", "updated")  # RFC 4287, 4.1
_OF_FEED = frozenset(
    f"{_A}{name}" for name in (*_OF_BOTH, "entry", "generator", "icon", "logo", "subtitle", "published")
)
_OF_ENTRY = frozenset(f"{_A}{name}" for name in (*_OF_BOTH, "content", "published", "source", "summary"))
_BLOCKS = (f"{{{ESPI}}}IntervalBlock", f"{{{ESPI}}}intervalBlock")
# Not `collect_ids: False`: with it libxml2 opens the files that a DOCTYPE names, whatever `load_dtd` says.
_PARSER = {
    "resolve_entities": False,
    "load_dtd": False,
    "no_network": True,
    "huge_tree": False,
    "recover": False,
    "remove_comments": True,
    "remove_pis": True,
}
_CHUNK = 64 * 1024
_SPAN = 512 * 1024  # bytes without the end of an entry after which its tree is looked at; they make 28 MiB of tree
_MANY_RUNS = 8  # of an open block, after which their readings are put aside
_MOST_NODES = 400_000  # of a tree: elements, attributes, texts
_MOST_TEXT = 16 * 1024 * 1024  # characters of a tree, in texts and in attributes
_MOST_IDS = 1_000  # attributes xml:id; the parser remembers each to the end of the file, and ESPI has none
_MOST_EQUALS = 500_000  # signs "=" in an entry: declarations of namespaces are no nodes
_MOST_BLOCKS = 200_000  # IntervalBlocks in an entry: more than five years of quarter-hours, each in its own
_MOST_STRANGERS = 10_000  # entries without an ESPI resource
_OURS = "{http://naesb.org/espi"  # both namespaces of the standard begin so
_TOO_LARGE = (
    "One entry of the file is too large to be read. Ask for a shorter period, or for a file with an entry for each day "
    "or month."
)
_NODES = etree.XPath("count(//node()) + count(//@*)")
_TEXT = etree.XPath("string-length(/)")
_ATTRIBUTES = etree.XPath("//@*", smart_strings=False)


class DocumentRefused(ValueError):
    """A document that cannot be taken in; the message says why in words a customer understands."""


class CutOff(DocumentRefused):
    """Green Button data that break off before their root element ends: the rest was lost on the way."""


class NothingUnderstood(DocumentRefused):
    """A well-formed feed none of whose entries is ESPI."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """An entry, the resource elements in its content, the text beside them, and its IntervalBlocks, read already.

    `strange`: paths of elements around the content that Atom does not have there, of the feed too since the last entry.
    `is_entry` is False of what stands in no entry.
    """

    entry: resources.Entry
    payloads: list[etree._Element]
    blocks: Spool
    text: str = ""
    strange: list[str] = field(default_factory=list)
    is_entry: bool = True


@dataclass(slots=True)
class _Feed:
    """What the feed says of itself before its entries, and what of the document is still in memory."""

    head: bytes = b""  # of the file
    published_at: datetime | None = None
    entries: int = 0
    strangers: int = 0
    blocks: Spool = field(default_factory=Spool)
    block_count: int = 0  # of the entry
    last_href: str = ""
    open_block: etree._Element | None = None
    has_begun: bool = False  # some of the open block's readings are in `blocks`
    runs: Runs = field(init=False)
    place: etree._Element | None = None  # some element of the tree as it stands
    ids: int = 0
    span: int = 0  # bytes since the last end of an entry
    equals: int = 0
    next_look: int = _SPAN

    def __post_init__(self) -> None:
        self.runs = Runs(self._is_block_open)

    def grow(self, piece: bytes) -> None:
        """So many more bytes are in the tree. Raises DocumentRefused when it has become too large."""
        self.span += len(piece)
        self.ids += piece.count(b"xml:id") or piece.count(b"x\0m\0l\0:\0i\0d")
        if self.ids > _MOST_IDS:
            raise DocumentRefused("The file marks its elements with xml:id, which Green Button data never has.")
        if self.span <= _CHUNK:
            return
        self.equals += piece.count(b"=")
        if self.equals > _MOST_EQUALS:
            raise DocumentRefused(_TOO_LARGE)
        if self.span > self.next_look:
            self.next_look += _SPAN
            self.take_readings()
            if self.place is None or _is_large(self.place):
                raise DocumentRefused(_TOO_LARGE)

    def begin_block(self, element: etree._Element) -> None:
        """A block opens."""
        self.open_block, self.has_begun = element, False

    def end_block(self, element: etree._Element) -> None:
        """Keep a block's readings and let go of its tree."""
        for part in columns.read(element, self.runs.found):
            self._keep(part, element)
        element.clear()
        self.open_block = None
        self.block_count += 1
        if self.block_count > _MOST_BLOCKS:
            raise DocumentRefused(_TOO_LARGE)

    def take_readings(self) -> None:
        """Keep what has been read of a block that goes on."""
        if self.open_block is not None:
            for part in columns.take(self.open_block, self.runs.found):
                self._keep(part, self.open_block)

    def end_entry(self) -> Spool:
        """The blocks of the entry that ends."""
        blocks, self.blocks = self.blocks, Spool()
        self.runs.found.clear()
        self.entries += 1
        self.block_count = 0
        return blocks

    @property
    def seems_ours(self) -> bool:
        """Whether the file names a namespace of ours near its beginning, in any encoding."""
        return any(name.encode() in self.head.replace(b"\0", b"") for name in (ATOM, ESPI, CUSTOMER))

    def start_span(self) -> None:
        """Nothing is in the tree any more."""
        self.span, self.equals, self.next_look = 0, 0, _SPAN

    def _keep(self, part: resources.Columns, block: etree._Element) -> None:
        if part.written or not self.has_begun:
            self.blocks.add(resources.BlockPart(part, block.tag == _BLOCKS[1], not self.has_begun))
        self.has_begun = True

    def _is_block_open(self, prefix: str, is_lower_camel: bool) -> bool:
        block = self.open_block
        if block is None or columns.is_lower_camel(block) != is_lower_camel:
            return False
        return block.nsmap.get(prefix or None) == ESPI


def read(source: BinaryIO, *, by_runs: bool = True) -> Iterator[Parcel]:
    """Every entry of a feed, a single entry, or a bare resource. The elements are valid until the next step.

    `by_runs`: with the short way for regular readings (`espi.runs`); without it the result is the same.
    Raises DocumentRefused when it is not well-formed XML, holds a document type declaration, is not ESPI, or has an
    entry too large to be read in 512 MiB of memory; CutOff when it is ESPI that breaks off.
    """
    feed = _Feed()
    parser = etree.XMLPullParser(events=("start", "end"), tag=(_ENTRY, *_BLOCKS), **_PARSER)  # type: ignore[arg-type]
    try:
        for piece in _pieces(source, feed, by_runs=by_runs):
            parser.feed(piece)
            yield from _parcels(parser, feed)
            feed.grow(piece)
    except etree.XMLSyntaxError as error:
        raise DocumentRefused(_not_well_formed(error, feed)) from None
    yield from _rest(_close(parser, feed), feed)


def _close(parser: etree.XMLPullParser, feed: _Feed) -> etree._Element | None:
    """The root. Unless a mistake inside the file has shown by now, what is missing at its end was lost."""
    mistakes = [*parser.feed_error_log.filter_from_fatals()]
    try:
        return parser.close()
    except etree.XMLSyntaxError as error:
        kind = CutOff if feed.seems_ours and not mistakes else DocumentRefused
        raise kind(_not_well_formed(mistakes[0] if mistakes else error, feed)) from None


def _is_large(place: etree._Element) -> bool:
    """Whether the tree that holds an element would take more than some 200 MiB of memory."""
    if int(_NODES(place)) > _MOST_NODES or int(_TEXT(place)) > _MOST_TEXT:  # type: ignore[arg-type]
        return True
    return sum(map(len, _ATTRIBUTES(place))) > _MOST_TEXT  # type: ignore[arg-type]


def _pieces(source: BinaryIO, feed: _Feed, *, by_runs: bool) -> Iterator[bytes]:
    while chunk := source.read(_CHUNK):
        feed.head = feed.head or chunk
        yield from feed.runs.pieces(chunk) if by_runs else [chunk]
        if len(feed.runs.found) > _MANY_RUNS:
            feed.take_readings()
    if rest := feed.runs.rest():
        yield rest


def _parcels(parser: etree.XMLPullParser, feed: _Feed) -> Iterator[Parcel]:
    """What ended since the last call."""
    events: Any = parser.read_events()
    for event, element in events:
        if event == "start":
            if feed.place is None:  # before anything is read: an entity is no element
                _refuse_doctype(element)
            feed.place = element
            if element.tag in _BLOCKS:
                feed.begin_block(element)
        elif element.tag == _ENTRY:
            yield _parcel(element, feed)
            _forget(element, feed)
        else:
            feed.end_block(element)


def _parcel(element: etree._Element, feed: _Feed) -> Parcel:
    if feed.entries == 0:
        feed.published_at = _feed_time(element)
    blocks = feed.end_entry()
    entry = _entry(element, feed.published_at)
    feed.last_href = entry.self_href or feed.last_href
    contents = element.findall(_CONTENT)
    payloads = [child for content in contents for child in content.iterchildren("{*}*")]
    if not blocks and not any(payload.tag.startswith(_OURS) for payload in payloads):
        feed.strangers += 1
        if feed.strangers > _MOST_STRANGERS:
            raise DocumentRefused(
                f"More than {_MOST_STRANGERS:,} of the file's entries are not Green Button (ESPI) data."
            )
    text = "".join(content.text or "" for content in contents).strip()
    strange = _strange("feed", _before(element), _OF_FEED) + _strange("entry", element, _OF_ENTRY)
    return Parcel(entry, payloads, blocks, text, strange)


def _before(entry: etree._Element) -> Iterable[etree._Element]:
    """What stands in the feed since the entry before."""
    feed = entry.getparent()
    return () if feed is None or feed.tag != _FEED else entry.itersiblings(preceding=True)


def _strange(path: str, children: Iterable[etree._Element], known: frozenset[str]) -> list[str]:
    """Paths of the children that Atom does not have there. IntervalBlocks are read wherever they stand."""
    tags = [child.tag for child in children]
    return [f"{path}/{tag.rpartition('}')[2]}" for tag in tags if tag not in known and tag not in _BLOCKS]


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
    strange = _strange("feed", root, _OF_FEED) if root.tag == _FEED else []
    if bare or feed.blocks or strange:
        entry = resources.Entry(published_at=feed.published_at)
        yield Parcel(entry, bare, feed.blocks, strange=strange, is_entry=bool(bare or feed.blocks))


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


def _forget(entry: etree._Element, feed: _Feed) -> None:
    """Let go of an entry and of what stands before it, unless that belongs to an entry around it."""
    entry.clear()
    feed.place = entry
    _clear_before(entry)
    if next(entry.iterancestors(_ENTRY), None) is None:
        for ancestor in entry.iterancestors():
            _clear_before(ancestor)
        feed.start_span()


def _clear_before(element: etree._Element) -> None:
    parent = element.getparent()
    if parent is not None:
        while element.getprevious() is not None:
            del parent[0]


def _refuse_doctype(element: etree._Element) -> None:
    if element.getroottree().docinfo.doctype:  # type: ignore[attr-defined]
        raise DocumentRefused(
            "The file holds a document type declaration (DOCTYPE), which Green Button data never has."
        )


# Whatever it holds, no "<" begins it: a picture, an archive, a table.
_NO_BEGINNING = etree.ErrorTypes.ERR_DOCUMENT_EMPTY


def _not_well_formed(error: Any, feed: _Feed) -> str:
    """In words, of an XMLSyntaxError or of an entry of an error log."""
    where = f" after {feed.last_href[:200]}" if feed.last_href else ""
    is_logged = not isinstance(error, etree.XMLSyntaxError)
    line, column = (error.line, error.column) if is_logged else error.position
    place = f"line {line}" if feed.runs.count else f"line {line}, column {column}"  # a run is longer than its marker
    message = error.message if is_logged else error.msg
    # Of a comment, or of CDATA without an end, libxml2 repeats what stands in it.
    reason = re.split(r", line |\n|: <!--", message or "it is empty", maxsplit=1)[0].strip()[:200]
    no_xml = not is_logged and error.code == _NO_BEGINNING
    kind = "This is not a Green Button file (it is not XML). " if no_xml else ""
    kind = kind or ("" if feed.seems_ours else "This is not a Green Button file. ")
    return f"{kind}The file is not well-formed XML: {reason} ({place}{where})."
