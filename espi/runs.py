"""Runs of readings in a document's bytes -> columns, without the XML parser making nine elements of every reading.

A run is what stands between two places of an IntervalBlock when all of it looks like its first reading: the same tags in
the same order with the same white space, only the numbers differ. One regular expression, learned from that first
reading, takes the numbers of the whole run; the parser is given one empty element in its place, a marker.

Whatever the XML parser would read otherwise stays with it. A run is taken only where

* bytes below 128 mean what they mean in ASCII (UTF-8, Latin-1 and their like);
* no comment, CDATA section or processing instruction is open, and no DOCTYPE was seen;
* the parser has an IntervalBlock of ESPI open, and the readings' prefix stands for ESPI in it;
* the expression covers every byte of it, its elements are known, and each number passes the checks of `espi.columns`.

Where the marker ends up in the tree, the parser says: only as a child of the block does it count (`espi.columns`).
"""

import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from espi import columns, resources

_PLAIN_ENCODINGS = {b"utf-8", b"us-ascii", b"ascii", b"iso-8859-1", b"latin-1", b"iso-8859-15", b"windows-1252"}
_DECLARATION = re.compile(rb"""(?:\xef\xbb\xbf)?<\?xml\s[^>]*?encoding\s*=\s*["']([^"'>]*)["']""")
_OTHER_BEGINNINGS = (b"\xff\xfe", b"\xfe\xff", b"\x00", b"<\x00")  # UTF-16 and UTF-32
_LONGEST_DECLARATION = 1024
_READING = re.compile(rb"<(?:!|\?|((?:[A-Za-z_][A-Za-z0-9_.-]*:)?)([iI])ntervalReading>)")
_END_OF_BLOCK = re.compile(rb"<(?:!|\?|/(?:[A-Za-z_][A-Za-z0-9_.-]*:)?[iI]ntervalBlock>)")
_LONGEST_MARK = 256  # bytes of a tag's beginning that may be cut by the end of a chunk
_LONGEST_RUN = 48 * 1024  # bytes: two days of quarter-hours, more than most blocks have
_MOST_LESSONS = 32  # expressions learned for one document
_SECTIONS = {b"<!--": b"-->", b"<![CDATA[": b"]]>", b"<?": b"?>"}

_TOKEN = re.compile(r"<(/?)(?:([A-Za-z_][A-Za-z0-9_.-]*):)?([A-Za-z]+)>|([^<>]+)")
_NUMBER = re.compile(r"\s*+(-?[0-9]+(?:\.[0-9]+)?)\s*+", re.ASCII)
_INTEGER_GROUP = "(-?[0-9]{1,18})"
_VALUE_GROUP = r"(-?[0-9]{1,18}(?:\.[0-9]{1,18})?)"
_FIELDS = {
    ("timePeriod", "start"): "start",
    ("timePeriod", "duration"): "duration",
    ("value",): "value",
    ("cost",): "cost",
    ("ReadingQuality", "quality"): "quality",
    ("tou",): "tou",
    ("consumptionTier",): "tier",
    ("cpp",): "cpp",
}
_KNOWN = {path[:depth] for path in _FIELDS for depth in range(len(path) + 1)}


@dataclass(frozen=True, slots=True)
class _Template:
    """How the readings of a run look: an expression with a group for each number, and what the groups hold."""

    expression: re.Pattern[str]
    fields: tuple[str, ...]

    def columns(self, run: str) -> resources.Columns | None:
        """The numbers of a run; None when a byte of it is not as the first reading was, or a number is odd."""
        pieces = self.expression.split(run)
        width = len(self.fields) + 1
        if any(pieces[::width]):
            return None
        texts = {name: pieces[place::width] for place, name in enumerate(self.fields, start=1)}
        return columns.regular(len(pieces) // width, texts, are_numbers=True)


class Runs:
    """Divides a document's bytes into what the parser has to see and the runs it need not."""

    def __init__(self, is_block_open: Callable[[str, bool], bool]) -> None:
        """`is_block_open(prefix, is_lower_camel)`: whether such readings belong to a block that the parser is in.

        It is an IntervalBlock, or else an intervalBlock, and the prefix stands for ESPI in it.
        """
        self.found: dict[str, resources.Columns] = {}  # by marker, until somebody takes them
        self._is_block_open = is_block_open
        self._secret = secrets.token_hex(16)
        self.count = 0
        self._templates: dict[str, _Template | None] = {}
        self._latest: _Template | None = None
        self._buffer = b""
        self._has_begun = self._is_off = self._passes_block_by = False
        self._section_end = b""

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """What to feed the parser next, piece by piece. The parser's events are to be read after each piece."""
        self._buffer += chunk
        if not self._has_begun and not self._begin():
            return
        if not self._is_off:
            yield from self._divide()
        if self._is_off:
            yield self.rest()

    def rest(self) -> bytes:
        """What was held back: to be fed when the document has ended."""
        buffer, self._buffer = self._buffer, b""
        return buffer

    def _begin(self) -> bool:
        """Look at the document's first bytes; False while there are too few."""
        if b">" not in self._buffer and len(self._buffer) < _LONGEST_DECLARATION:
            return False
        declared = _DECLARATION.match(self._buffer)
        is_plain = declared is None or declared[1].lower() in _PLAIN_ENCODINGS
        self._is_off = not is_plain or self._buffer.startswith(_OTHER_BEGINNINGS)
        self._has_begun = True
        return True

    def _divide(self) -> Iterator[bytes]:
        given = place = 0
        while not self._is_off:
            found = self._next(place)
            if isinstance(found, int):
                yield self._buffer[given:found]
                given = found
                break
            if found[0][1:2] in b"!?/":
                place = self._pass(found)
                continue
            if found.start() > given:
                yield self._buffer[given : found.start()]
            given = place = found.start()
            end = self._end_of_run(found)
            if not end:
                break
            if run := self._read(found, end):
                yield self._marker(found, run) + b"\n" * self._buffer.count(b"\n", place, end)
                given = place = end
            else:
                self._passes_block_by = True
                place = found.end()
        self._buffer = self._buffer[given:]

    def _next(self, place: int) -> re.Match[bytes] | int:
        """The next thing to look at; or, when there is none, up to where the parser may be given the bytes."""
        if self._section_end:
            end = self._buffer.find(self._section_end, place)
            if end < 0:
                return max(place, len(self._buffer) - len(self._section_end) + 1)
            place, self._section_end = end + len(self._section_end), b""
        found = (_END_OF_BLOCK if self._passes_block_by else _READING).search(self._buffer, place)
        if found:
            is_cut = found[0] == b"<!" and len(self._buffer) - found.start() < len(b"<![CDATA[")
            return found.start() if is_cut else found
        last = self._buffer.rfind(b"<", max(place, len(self._buffer) - _LONGEST_MARK))
        return last if last >= 0 and b">" not in self._buffer[last:] else len(self._buffer)

    def _pass(self, found: re.Match[bytes]) -> int:
        """Go past the beginning of a comment and its like, or the end of a block that was left to the parser."""
        if found[0].startswith(b"</"):
            self._passes_block_by = False
            return found.end()
        for begin, end in _SECTIONS.items():
            if self._buffer.startswith(begin, found.start()):
                self._section_end = end
                return found.start() + len(begin)
        self._is_off = True  # a DOCTYPE
        return found.start()

    def _end_of_run(self, found: re.Match[bytes]) -> int:
        """Where the run ends that begins here: with its block, or of a large block where it may be cut; 0: wait for it."""
        name = found[0][1:-1]
        end = self._buffer.find(b"</" + name.replace(b"ntervalReading", b"ntervalBlock") + b">", found.end())
        if end > 0:
            return end
        if len(self._buffer) - found.start() < _LONGEST_RUN:
            return 0
        tag = b"</" + name + b">"
        last = self._buffer.rfind(tag, found.end())
        return last + len(tag) if last > 0 else len(self._buffer)

    def _read(self, found: re.Match[bytes], end: int) -> resources.Columns | None:
        prefix = found[1].rstrip(b":").decode()
        if not self._is_block_open(prefix, found[2] == b"i"):
            return None
        try:
            run = self._buffer[found.start() : end].decode("ascii")
        except UnicodeDecodeError:
            return None
        if self._latest and (read := self._latest.columns(run)):
            return read
        self._latest = self._learn(run, found[0][1:-1].decode())
        return self._latest.columns(run) if self._latest else None

    def _marker(self, found: re.Match[bytes], run: resources.Columns) -> bytes:
        """An element that stands for the run. Its name and prefix are the readings' own, its number nobody can guess."""
        self.count += 1
        marker = f"{self._secret}-{self.count}"
        self.found[marker] = run
        return b'%s %s="%s"/>' % (found[0][:-1], columns.MARKER.encode(), marker.encode())

    def _learn(self, run: str, name: str) -> _Template | None:
        """The template of the run's first reading, `name` being its tag."""
        end = run.find(f"</{name}>")
        first = run[: end + len(name) + 3] if end >= 0 else ""
        pattern = _NUMBER_BETWEEN_TAGS.sub(r"\1#\3", first)
        if pattern not in self._templates and len(self._templates) < _MOST_LESSONS:
            self._templates[pattern] = _learn(first)
        return self._templates.get(pattern)


_NUMBER_BETWEEN_TAGS = re.compile(r"(>\s*+)(-?[0-9][0-9.]*+)(\s*+<)", re.ASCII)


def _learn(reading: str) -> _Template | None:
    """A template from one reading; None when it is not made of known elements, each at most once, with a number each."""
    tokens = list(_TOKEN.finditer(reading))
    if not tokens or "".join(token[0] for token in tokens) != reading:
        return None
    prefix, root = tokens[0][2], tokens[0][3]
    path: list[str] = []
    seen: set[tuple[str, ...]] = set()
    parts: list[str] = []
    fields: list[str] = []
    for token in tokens:
        if token[4] is None:
            if token[2] != prefix or not _walk(path, seen, token):
                return None
            parts.append(re.escape(token[0]))
        elif token[4].strip():
            field, number = _FIELDS.get(tuple(path[1:])), _NUMBER.fullmatch(token[4])
            if field is None or field in fields or number is None:
                return None
            fields.append(field)
            group = _VALUE_GROUP if field == "value" else _INTEGER_GROUP
            parts.append(re.escape(token[4][: number.start(1)]) + group + re.escape(token[4][number.end(1) :]))
        else:
            parts.append(re.escape(token[4]))
    is_whole = not path and tokens[-1][3] == root and len(fields) > 0
    return _Template(re.compile("".join(parts) + r"[ \t\r\n]*+"), tuple(fields)) if is_whole else None


def _walk(path: list[str], seen: set[tuple[str, ...]], tag: re.Match[str]) -> bool:
    """Enter or leave an element; False where it is unknown, came before, or the end tag is another's."""
    if tag[1]:
        return bool(path) and path.pop() == tag[3]
    path.append(tag[3])
    place = tuple(path[1:])
    is_new = place in _KNOWN and place not in seen
    seen.add(place)
    return is_new
