"""Which usage point and channel an IntervalBlock belongs to, told by links in any order of entries.

A block names its MeterReading by its own, its `up` or its `related` link; a MeterReading names its ReadingType by a
`related` link; every path names its UsagePoint. Con Edison V1 has no ReadingType: the link's text tells KWH from KVARH
(its contract, 5.2). Link `type` attributes are not believed (Essex contract, 5.2).

What a unit means is the document's word, or the dialect's; nothing is guessed from how large numbers are.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sized
from dataclasses import replace
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from espi import enums, resources
from espi.atom import DocumentRefused
from espi.dialect import Dialect, Unit

UNNAMED = "unnamed"
UNTOLD = "untold"  # the channel of an empty ReadingType
# What one document may tell apart: far more than a customer has, and little enough to be looked through.
MOST_USAGE_POINTS = 3_000  # of one document
_MOST_METER_READINGS = 20_000
_MOST_READING_TYPES = 5_000
_MOST_OF_ONE_ID = 50  # reading types
_MOST_LOCAL_TIMES = 5_000
_MOST_BLOCK_LINKS = 500_000


# A word for a unit in the last part of a V1 link: `SP_4100000001_KVARH%2015%20Minute%20Interval`.
_WORD = re.compile(r"(?<![A-Za-z])(KVARH|KVAH|KWH|KVAR|KVA|KW|CCF|MCF|CF|DTH|THERM)S?(?![A-Za-z])", re.IGNORECASE)


class Source(NamedTuple):
    """Where a block belongs: ids as the utility spells them, and what its numbers mean, if the document says it.

    `series`: which of several like channels of the usage point it is, where the document says that.
    """

    usage_point_id: str
    meter_reading_id: str
    reading_type: resources.ReadingType | None
    series: int = 1


class Directory:
    """Collects what a document says of its resources, and answers for its blocks."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.usage_points: dict[str, resources.UsagePoint] = {}
        self.meter_readings: dict[tuple[str, str], tuple[str, int]] = {}  # -> ReadingType id, rank among its users
        self.reading_types: dict[str, list[resources.ReadingType]] = {}
        self._written: dict[str, list[resources.ReadingType]] = defaultdict(list)  # with those that come again
        self.local_times: list[resources.LocalTimeParameters] = []
        self._clocks: set[str] = set()  # the addresses of these
        self._series: dict[str, int] = {}
        self._of_block_link: dict[str, tuple[str, str]] = {}
        self._users: Counter[str] = Counter()  # how many MeterReadings name a ReadingType
        self._keys: dict[str, list[tuple[str, str]]] = defaultdict(list)  # of meter_readings, by MeterReading id
        self._also: dict[str, str] = {}  # addresses that a usage point's own entry gives it besides its own

    def learn(self, resource: resources.Resource) -> None:
        """Take note of a resource that others may point to. Raises DocumentRefused when they are too many."""
        match resource:
            case resources.UsagePoint():
                self._learn_usage_point(resource)
            case resources.ReadingType():
                self._learn_reading_type(resource)
            case resources.LocalTimeParameters():
                self.local_times.append(resource)
                self._clocks.add(resource.entry.self_href)
            case resources.MeterReading():
                self._learn_meter_reading(resource.entry)
                if resource.series > 1:
                    self._series[resource.entry.segment("MeterReading")] = resource.series
            case _:
                return
        for known, most, noun in self._limits():
            if len(known) > most:
                raise DocumentRefused(f"The file names more than {most:,} {noun}. Ask for a file of fewer meters.")

    def _limits(self) -> tuple[tuple[Sized, int, str], ...]:
        return (
            (self.usage_points, MOST_USAGE_POINTS, "usage points"),
            (self.meter_readings, _MOST_METER_READINGS, "meter readings"),
            (self.reading_types, _MOST_READING_TYPES, "reading types"),
            (self.local_times, _MOST_LOCAL_TIMES, "local times"),
            (self._of_block_link, _MOST_BLOCK_LINKS, "interval blocks"),
        )

    def source(self, block: resources.IntervalBlock, *, is_final: bool) -> Source | None:
        """Where a block belongs; None while a later entry of the document could still tell more.

        With `is_final` the document has been read to its end: the answer is then the best there is.
        """
        hinted = self._hinted(block)
        point, meter_reading, type_key = self._meter_reading(block.entry)
        if point and not is_final and not self._is_told(point):
            return None
        point = self._also.get(point, point)
        kind = self._reading_type(*type_key, is_final=is_final) or self._own_type(block.entry, is_final=is_final)
        kind = kind if kind and kind.uom is not None else hinted or kind
        if kind and point:
            return Source(point, meter_reading, self._restated(kind, point), self._series.get(meter_reading, 1))
        if not is_final:
            return None
        point = point or self._only(self.usage_points) or UNNAMED
        kind = self._restated(kind or self._fallback(point), point)
        return Source(point, meter_reading, kind, self._series.get(meter_reading, 1))

    def usage_point_id(self, entry: resources.Entry) -> str:
        """The usage point that an entry belongs to; of a document that was read to its end."""
        point = self.written_usage_point(entry) or UNNAMED
        return self._also.get(point, point)

    def local_times_of(self, usage_point_id: str) -> list[resources.LocalTimeParameters]:
        """Those that the usage point's entry links to; all of the document where it links to none of them."""
        said = self.usage_points.get(usage_point_id)
        related = said.entry.related_hrefs if said else ()
        own = [each for each in self.local_times if each.entry.self_href and each.entry.self_href in related]
        return own or self.local_times

    def awaits_local_time(self, usage_point_id: str) -> bool:
        """Whether the usage point's entry links to LocalTimeParameters that have not come so far."""
        said = self.usage_points.get(usage_point_id)
        related = said.entry.related_hrefs if said else ()
        return any("LocalTimeParameters" in href and href not in self._clocks for href in related)

    def written_usage_point(self, entry: resources.Entry) -> str:
        """The usage point that an entry names, as the dialect knows them; "" where it names none."""
        if self.dialect.usage_points == "id":
            return usage_point_id(entry, default="")
        return next((found for href in entry.hrefs if (found := _address(href))), "")

    def _is_told(self, point: str) -> bool:
        return self.dialect.usage_points == "id" or point in self.usage_points or point in self._also

    def _learn_usage_point(self, said: resources.UsagePoint) -> None:
        """One whose links lead elsewhere (`/BillingAccount/7/UsagePoint/1`, `/User/7/UsagePoint/1`) is one all the same."""
        own = self.written_usage_point(said.entry) or UNNAMED
        self.usage_points[own] = said
        self._also.pop(own, None)
        for href in said.entry.hrefs if self.dialect.usage_points == "address" else ():
            other = _address(href)
            if other and other not in self.usage_points and other.rpartition("/")[2] == own.rpartition("/")[2]:
                self._also.setdefault(other, own)

    def _learn_reading_type(self, kind: resources.ReadingType) -> None:
        key = kind.entry.segment("ReadingType") or kind.entry.resource_id
        known = self.reading_types.setdefault(key, [])
        same = next((each for each in known if replace(kind, entry=each.entry) == each), None)
        if same is None:
            known.append(kind)
        if len(known) > _MOST_OF_ONE_ID:
            raise DocumentRefused(f"The file gives more than {_MOST_OF_ONE_ID} reading types one id.")
        if len(self._written[key]) < _MOST_METER_READINGS:
            self._written[key].append(same or kind)

    def _reading_type(self, key: str, rank: int = 0, *, is_final: bool) -> resources.ReadingType | None:
        """The ReadingType of that id; None while a later entry could tell more, or where nobody can tell which it is.

        Where different ones share one id, its MeterReadings take them in the order in which they are written.
        """
        known = self.reading_types.get(key, [])
        if self._are_different(known):
            fitting = self._fitting(key)
            return fitting[rank] if is_final and rank < len(fitting) else None
        is_early = not is_final and self.dialect.usage_points == "address" and rank >= len(self._written.get(key, ()))
        return None if is_early or not known else known[min(rank, len(known) - 1)]

    def unclear_types(self) -> int:
        """Ids that several ReadingTypes share of which nobody can tell whose they are; after the whole document."""
        shared = (key for key, known in self.reading_types.items() if self._are_different(known))
        return sum(bool(self._users[key]) and not self._fitting(key) for key in shared)

    def _fitting(self, key: str) -> list[resources.ReadingType]:
        """The ReadingTypes of one id, one for each MeterReading that names it; empty where their numbers differ."""
        each = (self._written[key], self.reading_types[key])
        return next((kinds for kinds in each if len(kinds) == self._users[key]), [])

    @staticmethod
    def _are_different(kinds: list[resources.ReadingType]) -> bool:
        """Whether they give numbers different meanings."""
        return len(kinds) > 1 and len({(identity(each), each.power_of_ten_multiplier or 0) for each in kinds}) > 1

    def _learn_meter_reading(self, entry: resources.Entry) -> None:
        key = (self.written_usage_point(entry), entry.segment("MeterReading") or entry.resource_id)
        kinds = [resources.segment(href, "ReadingType") for href in entry.related_hrefs]
        if key not in self.meter_readings:
            type_id = next((kind for kind in kinds if kind), "")
            self.meter_readings[key] = (type_id, self._users[type_id])
            self._users[type_id] += 1
            self._keys[key[1]].append(key)
        for href in entry.related_hrefs:
            if "IntervalBlock" in href:
                self._of_block_link[href.rstrip("/")] = key

    def _meter_reading(self, entry: resources.Entry) -> tuple[str, str, tuple[str, int]]:
        """Usage point and meter reading ids of a block, ReadingType id and rank; "" for what no link says."""
        point, meter_reading = self.written_usage_point(entry), entry.segment("MeterReading")
        linked = (self._of_block_link.get(href.rstrip("/")) for href in entry.hrefs)
        known = next((key for key in linked if key), ("", "")) if not meter_reading else (point, meter_reading)
        if known not in self.meter_readings:
            same = self._keys.get(known[1], [])
            same = [key for key in (("", known[1]),) if key in self.meter_readings] if point else same
            known = same[0] if len(same) == 1 else known
        return point or known[0], meter_reading or known[1], self.meter_readings.get(known, ("", 0))

    def _own_type(self, entry: resources.Entry, *, is_final: bool) -> resources.ReadingType | None:
        keys = (resources.segment(href, "ReadingType") for href in entry.related_hrefs)
        found = (self._reading_type(key, is_final=is_final) for key in keys)
        return next((kind for kind in found if kind), None)

    def _hinted(self, block: resources.IntervalBlock) -> resources.ReadingType | None:
        """What the link's word says; a ReadingType of no unit where the dialect does not declare what the word means."""
        word = self._word(block)
        if not word:
            return None
        unit = self.dialect.link_units.get(word)
        return _type_of(unit) if unit else resources.ReadingType()

    def _word(self, block: resources.IntervalBlock) -> str:
        if not block.is_lower_camel and self.dialect.interval_values != "decimal_kwh":
            return ""
        found = (_WORD.search(unquote(href).rpartition("/")[2]) for href in block.entry.hrefs)
        return next((match[1].upper() for match in found if match), "")

    def _fallback(self, point: str) -> resources.ReadingType | None:
        """What numbers mean that no link explains: the document's only ReadingType, or the dialect's unit."""
        if len(self.reading_types) == 1:
            (known,) = self.reading_types.values()
            return None if self._are_different(known) else known[0]
        is_decimal = self.dialect.interval_values == "decimal_kwh"
        return _type_of(self.dialect.link_units["KWH"]) if is_decimal and not self._is_other_service(point) else None

    def _is_other_service(self, point: str) -> bool:
        known = self.usage_points.get(point)
        return known is not None and known.service_kind not in (None, enums.ServiceKind.ELECTRICITY)

    def _restated(self, kind: resources.ReadingType | None, point: str) -> resources.ReadingType | None:
        """A gas ReadingType in the unit that the dialect declares for its `uom`."""
        unit = self.dialect.gas_units.get(kind.uom) if kind and kind.uom is not None else None
        if kind is None or unit is None or not self._is_gas(kind, point):
            return kind
        multiplier = (kind.power_of_ten_multiplier or 0) + unit.multiplier
        return replace(kind, uom=unit.uom, power_of_ten_multiplier=multiplier)

    def _is_gas(self, kind: resources.ReadingType, point: str) -> bool:
        if kind.commodity is not None:
            return kind.commodity == enums.CommodityKind.NATURAL_GAS
        known = self.usage_points.get(point)
        return known is not None and known.service_kind == enums.ServiceKind.GAS

    @staticmethod
    def _only(known: Iterable[str]) -> str:
        keys = list(known)
        return keys[0] if len(keys) == 1 else ""


def usage_point_id(entry: resources.Entry, default: str = UNNAMED) -> str:
    """The id of the UsagePoint that an entry is, or belongs to."""
    return entry.segment("UsagePoint") or entry.segment("usagePoint") or default


def _address(href: str) -> str:
    """Host and path of a link up to the id of its usage point; a relative link as it stands. "" where it names none."""
    found = re.match(r"[^?#]*?(?:^|/)[uU]sagePoint/[^/?#]+", href)
    if not found:
        return ""
    try:
        parts = urlsplit(found[0])
    except ValueError:
        return found[0]
    return f"{parts.netloc.lower()}{parts.path}"


def subscription_id(entry: resources.Entry) -> str:
    """The utility's subscription that an entry belongs to; "" where its links do not say it.

    All these utilities number a customer's RetailCustomer as his subscription (contracts: Con Edison §4.1, PG&E §3,
    UtilityAPI §1.4). Con Edison has no RetailCustomer: there it stands after `/Customer/`.
    """
    nouns = ("Subscription", "RetailCustomer", "RetailDRPrgInfo", "Customer")
    return next((found for noun in nouns if (found := entry.segment(noun))), "")


def _type_of(unit: Unit) -> resources.ReadingType:
    return resources.ReadingType(
        commodity=unit.commodity,
        kind=unit.kind,
        uom=unit.uom,
        accumulation_behaviour=None if unit.kind == enums.MeasurementKind.DEMAND else enums.AccumulationKind.DELTA_DATA,
        power_of_ten_multiplier=unit.multiplier,
    )


# What tells series of one usage point apart. Not: interval length (a meter may change it), multiplier (rescaled),
# default quality, measuring period (follows the interval length), currency. 0 is the standard's "not applicable" in all
# of these lists, and says no more than a code that is absent; only of a unit it is a statement.
_IDENTITY = {
    "commodity": "commodity",
    "kind": "kind",
    "uom": "uom",
    "flow": "flow_direction",
    "accumulation": "accumulation_behaviour",
    "qualifier": "data_qualifier",
    "phase": "phase",
    "tou": "tou",
    "cpp": "cpp",
    "tier": "consumption_tier",
}


def identity(kind: resources.ReadingType) -> str:
    """The channel's name within its usage point, such as "commodity=1;kind=12;uom=72;flow=1;accumulation=4"."""
    return _name(_codes(kind))


_codes = attrgetter(*_IDENTITY.values())


@lru_cache(maxsize=1024)
def _name(codes: tuple[int | None, ...]) -> str:
    told = zip(_IDENTITY, codes, strict=True)
    return ";".join(f"{name}={code}" for name, code in told if code or (code == 0 and name == "uom")) or UNTOLD
