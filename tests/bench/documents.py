"""Documents to measure with: composed in the shapes of each utility, of any size, the same bytes every time.

Shapes follow the payload chapters of the utilities' contracts. Values, costs and qualities vary as a home's do: sizes and
times depend on how well numbers compress, and a run of equal digits would flatter both.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

ATOM = "http://www.w3.org/2005/Atom"
ESPI = "http://naesb.org/espi"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
NEW_YORK, LOS_ANGELES = ZoneInfo("America/New_York"), ZoneInfo("America/Los_Angeles")
FIRST_DAY = date(2015, 1, 1)
METER_BYTES = 5_000_000  # of a document: longer ones hold more meters, as a subscription's do
PUBLISHED = "2026-02-01T04:04:06.072Z"


class Reading(NamedTuple):
    """One reading as it will be written; `start` in epoch seconds, what is None is left out."""

    start: int
    duration: int
    value: int | str
    cost: int | None = None
    quality: int | None = None
    tou: int | None = None


class Writer:
    """How a utility writes. This one is Con Edison, V2: `espi:` declared once, no white space (its contract, 5.5)."""

    base = "https://api.coned.com/gbc/espi/1_1/resource"
    opening = (
        f'<?xml version="1.0" encoding="UTF-8"?><feed xmlns="{ATOM}" xmlns:espi="{ESPI}"><updated>{PUBLISHED}</updated>'
    )
    closing = "</feed>"
    prefix = "espi:"
    declaration = ""  # of the prefix, on the element that is an entry's content
    entry_parts = (  # before the links, around each link, around the content
        f"<entry><published>{PUBLISHED}</published><updated>{PUBLISHED}</updated>",
        '<link rel="{rel}" href="{href}"/>',
        "<content>",
        "</content></entry>",
    )

    def entry(self, name: str, inner: str, self_href: str, up: str = "", related: Sequence[str] = ()) -> str:
        """A whole entry that holds one resource."""
        return f"{self.begin(name, self_href, up, related)}{inner}{self.end(name)}"

    def begin(self, name: str, self_href: str, up: str = "", related: Sequence[str] = ()) -> str:
        """An entry up to the inside of its resource."""
        before, link, content, _ = self.entry_parts
        hrefs = [("up", up), ("self", self_href), *(("related", href) for href in related)]
        links = "".join(link.format(rel=rel, href=href) for rel, href in hrefs if href)
        return f"{before}{links}{content}<{self.prefix}{name}{self.declaration}>"

    def end(self, name: str) -> str:
        """What `begin` left open."""
        return f"</{self.prefix}{name}>{self.entry_parts[3]}"

    def fields(self, **values: int | str) -> str:
        return "".join(f"<{self.prefix}{name}>{value}</{self.prefix}{name}>" for name, value in values.items())

    def reading(self, reading: Reading) -> str:
        """In the order of the schema: cost, ReadingQuality, timePeriod, value, tou."""
        p = self.prefix
        cost = "" if reading.cost is None else f"<{p}cost>{reading.cost}</{p}cost>"
        quality = ""
        if reading.quality is not None:
            quality = f"<{p}ReadingQuality><{p}quality>{reading.quality}</{p}quality></{p}ReadingQuality>"
        tou = "" if reading.tou is None else f"<{p}tou>{reading.tou}</{p}tou>"
        return (
            f"<{p}IntervalReading>{cost}{quality}<{p}timePeriod><{p}duration>{reading.duration}</{p}duration>"
            f"<{p}start>{reading.start}</{p}start></{p}timePeriod><{p}value>{reading.value}</{p}value>{tou}"
            f"</{p}IntervalReading>"
        )


class PgeWriter(Writer):
    """PG&E: prefixes declared again on each entry and content, xsi:type on all of Atom (its contract, 9.1 and 9.3)."""

    base = "https://api.pge.com/GreenButtonConnect/espi/1_1/resource"
    opening = (
        f'<ns1:feed xmlns:ns0="{ESPI}" xmlns:ns1="{ATOM}"><ns1:updated xmlns:ns1="{ATOM}">{PUBLISHED}</ns1:updated>'
    )
    closing = "</ns1:feed>"
    prefix = "ns0:"
    declaration = f' xmlns:ns0="{ESPI}"'
    entry_parts = (
        f'<ns1:entry xmlns:ns1="{ATOM}"><ns1:id xmlns:xsi="{XSI}" xsi:type="ns1:idType">'
        f'030d647d-0000-4000-8000-000000000001</ns1:id><ns1:title type="text" xmlns:xsi="{XSI}" xsi:type="ns1:textType">'
        f'Green Button Data File</ns1:title><ns1:published xmlns:xsi="{XSI}" xsi:type="ns1:dateTimeType">{PUBLISHED}'
        f'</ns1:published><ns1:updated xmlns:xsi="{XSI}" xsi:type="ns1:dateTimeType">{PUBLISHED}</ns1:updated>',
        f'<ns1:link href="{{href}}" rel="{{rel}}" xmlns:xsi="{XSI}" xsi:type="ns1:linkType"/>',
        f'<ns1:content xmlns:xsi="{XSI}" xsi:type="ns1:contentType">',
        "</ns1:content></ns1:entry>",
    )


class UtilityApiWriter(Writer):
    """UtilityAPI: the payload declares its namespace, and all is indented (Essex contract, 5.1 and 5.4)."""

    base = "https://utilityapi.com/DataCustodian/espi/1_1/resource"
    opening = f'<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="{ATOM}">\n  <updated>{PUBLISHED}</updated>\n'
    closing = "</feed>\n"
    prefix = ""
    declaration = f' xmlns="{ESPI}"'
    entry_parts = (
        f"  <entry>\n    <published>{PUBLISHED}</published>\n    <updated>{PUBLISHED}</updated>\n",
        '    <link rel="{rel}" href="{href}" type="espi-entry/Resource"/>\n',
        '    <content type="atom+xml">\n      ',
        "\n    </content>\n  </entry>\n",
    )

    def reading(self, reading: Reading) -> str:
        return (
            f"\n        <IntervalReading>\n          <timePeriod>\n            <duration>{reading.duration}</duration>\n"
            f"            <start>{reading.start}</start>\n          </timePeriod>\n"
            f"          <value>{reading.value}</value>\n        </IntervalReading>"
        )


# --- What meters measure: (a source of chance, epoch seconds, seconds) -> a reading -----------------------------------


def home(draw: random.Random, start: int, step: int) -> Reading:
    """Watt-hours and what they cost; quality 17 (validated), now and then 8 (estimated)."""
    value = 40 + int(draw.random() ** 3 * 1100)
    return Reading(start, step, value, value * 23 + int(draw.random() * 20), 8 if draw.random() < 0.01 else 17)


def decimal_home(draw: random.Random, start: int, step: int) -> Reading:
    """The same in kilowatt-hours with a decimal point, which Con Edison's contract expects of V2 (5.5)."""
    plain = home(draw, start, step)
    return plain._replace(value=f"{int(plain.value) / 1000:.3f}")


def tou_home(draw: random.Random, start: int, step: int) -> Reading:
    """PG&E: thousandths of a watt-hour, quality and time-of-use code, no cost (its contract, 9.3)."""
    return Reading(start, step, 100 * (400 + int(draw.random() ** 3 * 29_000)), None, 17, 1 + start // 3600 % 3)


def plain_home(draw: random.Random, start: int, step: int) -> Reading:
    """UtilityAPI: thousandths of a watt-hour, nothing else."""
    return Reading(start, step, 10_000 * (4 + int(draw.random() ** 3 * 110)))


def gas(draw: random.Random, start: int, step: int) -> Reading:
    """PG&E's gas: therms at 10^-8, from one second after midnight (its contract, 9.3)."""
    return Reading(start + 1, step, int(draw.random() ** 2 * 6e8), None, 17)


@dataclass(frozen=True)
class Shape:
    """A kind of document: `step` is the seconds of a reading; `in_one_block`: all of it is one IntervalBlock.

    `meters`: how many share the document; 0: as many as its size asks for.
    """

    writer: Writer
    zone: ZoneInfo
    tz_offset: int
    step: int
    draw: Callable[[random.Random, int, int], Reading]
    uom: int = 72
    commodity: int = 1
    multiplier: int = 0
    meters: int = 0
    in_one_block: bool = False


_CONED = (Writer(), NEW_YORK, -18000)
_PGE = (PgeWriter(), LOS_ANGELES, -28800)
_UTILITYAPI = (UtilityApiWriter(), NEW_YORK, -18000)
SHAPES = {
    "coned": Shape(*_CONED, 900, home),
    "coned_decimals": Shape(*_CONED, 900, decimal_home, multiplier=3),
    "five_minutes": Shape(*_CONED, 300, home),
    "one_block": Shape(*_CONED, 300, home, meters=1, in_one_block=True),
    "one_meter": Shape(*_CONED, 900, home, meters=1),
    "pge": Shape(*_PGE, 3600, tou_home, multiplier=-3),
    "gas": Shape(*_PGE, 86400, gas, uom=169, commodity=7, multiplier=-8),
    "utilityapi": Shape(*_UTILITYAPI, 900, plain_home, multiplier=-3),
}


def document(cache: Path, name: str, size: int) -> Path:
    """The file of that shape, `size` bytes and at most a day of readings more; made if it is not there yet."""
    edition = sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    path = cache / f"{name}-{size}-{edition}.xml"
    if not path.exists():
        for old in cache.glob(f"{name}-{size}-*"):
            old.unlink()
    return path if path.exists() else _kept(path, written(SHAPES[name], size))


def one_byte_more(path: Path) -> Path:
    """The same document and a line feed: read again, because its digest is another."""
    longer = path.with_name(f"{path.stem}-longer.xml")
    return longer if longer.exists() else _kept(longer, [path.read_text(), "\n"])


def _kept(path: Path, parts: Iterator[str] | list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("w", encoding="ascii", newline="") as file:
        file.writelines(parts)
    return unfinished.rename(path)


def written(shape: Shape, size: int) -> Iterator[str]:
    """The text of a document of that size, in parts. Its meters follow each other, each from the same first day on."""
    draw, done = random.Random(20260201), 0
    meters = shape.meters or -(-size // METER_BYTES)
    for meter in range(meters):
        goal = size * (meter + 1) // meters
        opening = [shape.writer.opening, _kinds(shape)] if meter == 0 else []
        for part in chain(opening, [_meter(shape, meter)], _blocks(shape, meter, draw)):
            yield part
            done += len(part)
            if done >= goal:
                break
    if shape.in_one_block:
        yield shape.writer.end("IntervalBlock")
    yield shape.writer.closing


def _kinds(shape: Shape) -> str:
    """The entries that say what numbers and clocks mean."""
    writer = shape.writer
    clock = {"dstEndRule": "B40E2000", "dstOffset": 3600, "dstStartRule": "360E2000", "tzOffset": shape.tz_offset}
    kind = {"accumulationBehaviour": 4, "commodity": shape.commodity, "flowDirection": 1, "intervalLength": shape.step}
    kind |= {"kind": 12, "powerOfTenMultiplier": shape.multiplier, "uom": shape.uom}
    return writer.entry("LocalTimeParameters", writer.fields(**clock), f"{writer.base}/LocalTimeParameters/1") + (
        writer.entry("ReadingType", writer.fields(**kind), f"{writer.base}/ReadingType/RT1")
    )


def _point(shape: Shape, meter: int) -> str:
    return f"{shape.writer.base}/Subscription/976/UsagePoint/{4_100_000_001 + meter}"


def _meter(shape: Shape, meter: int) -> str:
    """The entries UsagePoint and MeterReading."""
    writer, point = shape.writer, _point(shape, meter)
    service = f"<{writer.prefix}ServiceCategory>{writer.fields(kind=int(shape.commodity == 7))}"
    service += f"</{writer.prefix}ServiceCategory>"
    related = [f"{point}/MeterReading/M1/IntervalBlock", f"{writer.base}/ReadingType/RT1"]
    up = f"{point}/MeterReading"
    return writer.entry("UsagePoint", service, point, point.rpartition("/")[0], [up]) + (
        writer.entry("MeterReading", "", f"{up}/M1", up, related)
    )


def _blocks(shape: Shape, meter: int, draw: random.Random) -> Iterator[str]:
    """IntervalBlocks without end, one for each local day; or the days of one IntervalBlock."""
    writer, up = shape.writer, f"{_point(shape, meter)}/MeterReading/M1/IntervalBlock"
    for day in count():
        start, end = (midnight(FIRST_DAY + timedelta(days=each), shape.zone) for each in (day, day + 1))
        readings = "".join(writer.reading(shape.draw(draw, at, shape.step)) for at in range(start, end, shape.step))
        interval = (
            f"<{writer.prefix}interval>{writer.fields(duration=end - start, start=start)}</{writer.prefix}interval>"
        )
        if not shape.in_one_block:
            yield writer.entry("IntervalBlock", interval + readings, f"{up}/{start}", up)
        elif day == 0:
            yield writer.begin("IntervalBlock", f"{up}/{start}", up) + readings
        else:
            yield readings


@lru_cache(maxsize=100_000)
def midnight(day: date, zone: ZoneInfo) -> int:
    """Epoch seconds of the first instant of a local day."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC).timestamp())
