"""Documents -> rows: one transaction per document, the same result however often and in whatever order they come.

The document is read once, streaming. Blocks that a later entry has yet to explain (its ReadingType, its time zone) are
left for a second reading of the same bytes, so memory stays bounded whatever the order of entries.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal
from urllib.parse import unquote

from django.db import connection, transaction

from espi import (
    archive,
    bills,
    customer_resources,
    gas,
    links,
    models,
    packing,
    parse,
    resources,
    storage,
    temporary,
    usage,
    zones,
)
from espi import describe as description
from espi.atom import DocumentRefused
from espi.channels import Channel, Channels, OtherTimeZone, TooFine
from espi.contents import EVERYBODYS, Content, Whole, owner
from espi.dialect import STANDARD, Dialect
from espi.enums import (
    ADDABLE_UNITS,
    CUBIC_FEET,
    PROVISIONAL,
    AccumulationKind,
    CommodityKind,
    MeasurementKind,
    ServiceKind,
)
from espi.merging import NotStorable
from espi.packing import Publication
from espi.particulars import Particulars
from espi.places import Places

__all__ = [
    "ALL",
    "BILLS",
    "CONSUMPTION",
    "CUSTOMER",
    "USAGE",
    "DocumentRefused",
    "OtherSubscription",
    "describe",
    "store",
]

# What a customer can allow, by the standard's resource that carries it.
USAGE = "IntervalBlock"
BILLS = "UsageSummary"
CONSUMPTION = "UsageSummary/overallConsumptionLastPeriod"  # of a bill, its period and energy but no money
QUALITY = "ElectricPowerQualitySummary"
CUSTOMER = "Customer"
ALL = frozenset({USAGE, BILLS}) | customer_resources.KINDS

_NO_MONEY: dict[str, Any] = {
    "bill_last_period": None,
    "bill_to_date": None,
    "cost_additional_last_period": None,
    "currency": None,
    "details": [],
    "extra": {},
}
Source = BinaryIO | Path | bytes
_CHUNK = 1 << 20
_CELLS_AT_ONCE = 60_000
_MOST_LONG = 10_000
_MOST_NAMES = 200
_MORE = "more"
_MOST_BESIDE = 16_000_000  # characters, of what a document says beside readings: it waits for the end of the document
_BESIDE = ("said", "details", "extra", "values")  # where resources keep what can be long
_WEIGHT_OF_ONE = 1_000
_LOCK = 0x45535049  # "ESPI": first half of the advisory lock's key


class OtherSubscription(DocumentRefused):
    """The document belongs to another subscription than expected, or does not say that it belongs to this one."""


def describe(source: Source, dialect: Dialect = STANDARD) -> dict[str, Any]:
    """What a document says, without storing it; see `espi.describe`. Raises DocumentRefused."""
    with _opened(source) as file:
        return description.describe(file, dialect)


def store(
    source: Source | Content,
    *,
    subscription: models.Subscription,
    dialect: Dialect = STANDARD,
    now: datetime,
    url: str = "",
    file_name: str = "",
    content_type: str = "",
    fetch_job: models.FetchJob | None = None,
    application_information: models.ApplicationInformation | None = None,
    accepts: frozenset[str] = ALL,
    expected_subscription_id: str | None = None,
    others: Literal["refuse", "skip"] = "refuse",
    must_name: bool = False,
) -> models.Document:
    """Store what a document says under `subscription`, in one transaction; bytes that were read before change nothing.

    `accepts`: the kinds that the customer allowed (names of ESPI resources, see ALL); the rest is counted as refused,
    and such a document's bytes are not kept. `expected_subscription_id`: entries of another subscription refuse the
    document, or with `others="skip"` (bulk files of many customers) are passed over. An entry that names no subscription
    is believed to be of the expected one, unless `others="skip"` or `must_name` (nobody knows yet whose file it is):
    then whatever tells of a customer has to name it. Raises OtherSubscription, and DocumentRefused in plain words, with
    nothing stored. `now` is aware UTC.
    """
    is_provisional = bool(dialect.provisional_path) and f"/{dialect.provisional_path}/" in url
    must_name = must_name or others == "skip"
    rules = _Rules(dialect, accepts, expected_subscription_id, others, must_name, now, is_provisional)
    receipt = models.Document(
        subscription=subscription,
        application_information=application_information,
        fetch_job=fetch_job,
        url=url[:2048],
        file_name=file_name[:255],
        content_type=content_type[:255],
        received_at=now,
    )
    with _read(source) as content, transaction.atomic():
        lock(subscription)
        return _stored(receipt, content, rules)


def _stored(document: models.Document, content: Content, rules: "_Rules") -> models.Document:
    """The document with all it says; or the one of before, if these bytes were read under the same rules."""
    document.sha256, document.size = content.digest()
    before = models.Document.objects.filter(subscription=document.subscription, sha256=document.sha256)
    if known := before.filter(summary__reader=rules.as_json()).first():
        return known
    document.save()
    return _fill(document, content, rules)


def lock(subscription: models.Subscription) -> None:
    """One writer per subscription until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [(_LOCK << 31) + subscription.pk])


@contextmanager
def _read(source: Source | Content) -> Iterator[Content]:
    """What a document says."""
    if isinstance(source, Content):
        yield source
    else:
        with _opened(source) as file:
            yield Whole(file)


@contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    """The document as a file that can be read again."""
    if isinstance(source, bytes):
        yield BytesIO(source)
    elif isinstance(source, Path):
        with source.open("rb") as file:
            yield file
    elif source.seekable():
        source.seek(0)
        yield source
    else:
        with temporary.file() as copy:
            while chunk := source.read(_CHUNK):
                copy.write(chunk)
            copy.seek(0)
            yield copy


@dataclass(frozen=True)
class _Rules:
    dialect: Dialect
    accepts: frozenset[str]
    expected_subscription_id: str | None
    others: Literal["refuse", "skip"]
    must_name: bool
    now: datetime
    is_provisional: bool = False

    def as_json(self) -> dict[str, Any]:
        """What decides how bytes are understood: the same bytes under the same rules change nothing."""
        dialect = self.dialect
        return {
            "version": parse.VERSION,
            "accepts": sorted(self.accepts),
            "time_zone": dialect.time_zone,
            "values": dialect.interval_values,
            "units": _units(dialect),
            "meters": [dialect.is_per_meter, dialect.usage_points, dialect.agreement_is_usage_point],
            "currency": dialect.default_currency,
            "provisional": [self.is_provisional, dialect.provisional_path],
            "subscription_id": self.expected_subscription_id,
            "others": [self.others, self.must_name],
        }


def _units(dialect: Dialect) -> list[Any]:
    """What a custodian declared that its numbers count: documents are read again when that changes."""
    declared = (dialect.link_units, dialect.gas_units, dialect.gas_bill_units)
    return [sorted([str(code), *astuple(unit)] for code, unit in units.items()) for units in declared]


def _fill(document: models.Document, content: Content, rules: _Rules) -> models.Document:
    """Store what the file says, and with it the document. The bytes are kept unless they hold what is not allowed."""
    try:
        ingest = _Ingest(document, rules)
        ingest.run(content)
    except (OtherTimeZone, zones.UnknownTimeZone) as error:
        raise DocumentRefused(str(error)) from None
    if not ingest.is_partly_foreign:
        content.file.seek(0)
        archive.keep(document, content.file)
    document.published_at = ingest.published_at
    document.summary = ingest.summary() | {"reader": rules.as_json()}
    document.save(update_fields=["published_at", "summary"])
    document.touched = ingest.channels.touched
    return document


class _Ingest:
    """One document on its way into the rows."""

    def __init__(self, document: models.Document, rules: _Rules) -> None:
        self.document, self.rules = document, rules
        self.directory = links.Directory(rules.dialect)
        assert document.subscription is not None
        self.channels = Channels(document.subscription, self.directory, rules.dialect.time_zone, self._write)
        self.batch = storage.Batch(document.pk)
        self.written = storage.Written()
        self.counts: Counter[str] = Counter()
        self.particulars = Particulars(document, rules.accepts.__contains__)
        self.places = Places(rules.dialect)
        self.resources: Counter[str] = Counter()
        self.other: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()
        self.remarks: Counter[tuple[str, str]] = Counter()
        self.bills: list[resources.UsageSummary] = []
        self.local_times: list[resources.LocalTimeParameters] = []
        self.deferred: set[Any] = set()
        # Durations of readings longer than a day, by channel and start.
        self.long: dict[tuple[int, int], int | None] = {}
        self.steps: dict[tuple[str, str, int], int] = {}  # of series whose readings say to last longer than they do
        self.is_partly_foreign = False
        self.beside = 0
        self.published_at: datetime | None = None

    def run(self, content: Content) -> None:
        """Read and store everything."""
        self.is_partly_foreign = content.is_shared
        for resource in content.resources():
            if self._is_ours(resource):
                self._take(resource)
        if self.deferred:
            self._take_deferred(content)
        self._finish()

    def summary(self) -> dict[str, Any]:
        """Counts of what the document said, what became of it, what was refused and why, and where it contradicts itself."""
        counts = {
            name: self.counts[name] for name in ("usage_points", "meter_readings", "blocks", "readings", "summaries")
        }
        outcome = {
            "stored": self.written.stored,
            "unchanged": self.written.unchanged,
            "revised": self.written.revised,
        }
        told = {"refused": _listed(self.refused), "remarks": _listed(self.remarks)}
        by_name = {"resources": self.resources, "other": self.other, "unknown": self.unknown}
        return counts | outcome | told | {name: dict(sorted(found.items())) for name, found in by_name.items()}

    def _is_ours(self, resource: resources.Resource) -> bool:
        if _belongs(resource, self.rules):
            return True
        if self.rules.others == "refuse":
            raise OtherSubscription("The file belongs to another subscription than the one that asked for it.")
        self.is_partly_foreign = True
        return False

    def _take(self, resource: resources.Resource) -> None:
        self._note_time(resource.entry)
        self.directory.learn(resource)
        self._weigh(resource)
        match resource:
            case resources.UsagePoint():
                self.counts["usage_points"] += 1
                self._take_usage_point(resource)
            case resources.MeterReading():
                self.counts["meter_readings"] += 1
            case resources.ReadingType():
                self.resources["ReadingType"] += 1
            case resources.LocalTimeParameters():
                self.resources["LocalTimeParameters"] += 1
                self.local_times.append(resource)
                self.particulars.local_time(resource, self._publication(resource.entry))
            case resources.Refused():
                self.refused[resource.what, resource.why] += 1
            case resources.Unknown():
                self._take_unknown(resource)
            case resources.CustomerResource():
                self._take_customer(resource)
            case resources.Other():
                self._take_other(resource)
            case resources.UsageSummary():
                self._take_bill(resource)
            case resources.IntervalBlock():
                self._take_block(resource)
            case resources.ElectricPowerQualitySummary():
                self._take_quality(resource)
            case resources.ProgramIdMappings():
                self.resources["ProgramIdMappings"] += 1
                self.particulars.program_ids(resource, self._publication(resource.entry))
            case resources.ServiceStatus() | resources.BatchList():
                self.resources[type(resource).__name__] += 1
            case resources.Authorization() | resources.ApplicationInformation():
                self.resources[type(resource).__name__] += 1

    def _weigh(self, resource: resources.Resource) -> None:
        """Raises DocumentRefused when too much waits for the end of the document."""
        long = [value for name in _BESIDE if (value := getattr(resource, name, None))]
        self.beside += sum(_WEIGHT_OF_ONE + len(repr(value)) for value in long)
        if self.beside > _MOST_BESIDE:
            words = "The file says more beside its readings than can be read at once. Ask for a shorter period."
            raise DocumentRefused(words)

    def _take_usage_point(self, said: resources.UsagePoint) -> None:
        key = self.directory.written_usage_point(said.entry)
        self.particulars.usage_point(said, key, self._publication(said.entry))

    def _take_quality(self, said: resources.ElectricPowerQualitySummary) -> None:
        if not self.rules.accepts & {USAGE, QUALITY}:
            self._refuse_kind(QUALITY)
        elif said.start is None:
            self.refused[QUALITY, "an interval without a start between 1990 and 2100"] += 1
        else:
            self.resources[QUALITY] += 1
            self.particulars.quality(said, self._publication(said.entry))

    def _note_time(self, entry: resources.Entry) -> None:
        if entry.published_at and (self.published_at is None or entry.published_at > self.published_at):
            self.published_at = entry.published_at

    def _take_customer(self, said: resources.CustomerResource) -> None:
        allowed = customer_resources.allowed(said, self.rules.accepts)
        if allowed is None or len(allowed.said) < len(said.said):
            self._refuse_kind(said.noun)
        if allowed is None:
            return
        if self.particulars.customers.take(allowed, self._publication(said.entry)):
            self.resources[said.noun] += 1
            self.places.learn(allowed)
        else:
            self.refused[said.noun, "more of one customer than can be kept"] += 1

    def _take_other(self, resource: resources.Other) -> None:
        if resource.is_customer and CUSTOMER not in self.rules.accepts:
            self._refuse_kind(resource.name)
        else:
            _note(self.other, resource.name, _MORE)

    def _take_unknown(self, resource: resources.Unknown) -> None:
        _note(self.unknown, resource.path, _MORE)

    def _take_bill(self, bill: resources.UsageSummary) -> None:
        self.counts["summaries"] += 1
        if BILLS not in self.rules.accepts and CONSUMPTION in self.rules.accepts:
            bill = self._without_money(bill)
        elif BILLS not in self.rules.accepts:
            self._refuse_kind(BILLS)
            return
        if bill.start is None:
            self.refused[BILLS, "a billing period without a start between 1990 and 2100"] += 1
        else:
            self.bills.append(bill)

    def _without_money(self, bill: resources.UsageSummary) -> resources.UsageSummary:
        plain = replace(bill, **_NO_MONEY)
        if plain != replace(bill, currency=None, extra={}):
            self._refuse_kind(f"{BILLS}/billLastPeriod")
        return plain

    def _refuse_kind(self, name: str) -> None:
        self.refused[name, "outside of what the customer allowed"] += 1
        self.is_partly_foreign = True

    def _take_block(self, block: resources.IntervalBlock) -> None:
        columns = block.columns
        self.counts["blocks"] += block.is_first
        self.counts["readings"] += columns.written
        if USAGE not in self.rules.accepts:
            self._refuse_kind(USAGE)
            return
        for reason, count in (columns.refused + columns.remarks).items():
            _note(self.refused, ("reading", reason), ("reading", "other reasons"), count)
        key = self._address(block)
        if key not in self.deferred and not self._place(block, is_final=False):
            self.deferred.add(key)

    def _take_deferred(self, content: Content) -> None:
        for resource in content.resources():
            if not isinstance(resource, resources.IntervalBlock) or not self._is_ours(resource):
                continue
            if self._address(resource) in self.deferred:
                self._place(resource, is_final=True)

    def _address(self, block: resources.IntervalBlock) -> Any:
        """What blocks of one series share before it is known which one it is."""
        entry = block.entry
        key = (self.directory.written_usage_point(entry), entry.segment("MeterReading"))
        return key if key[1] and not block.is_lower_camel else entry.hrefs

    def _place(self, block: resources.IntervalBlock, *, is_final: bool) -> bool:
        """Put a block's readings among the rows to write; False if the document has yet to say where."""
        source = self.directory.source(block, is_final=is_final)
        if source is None or self.channels.zone_name(source.usage_point_id, is_final=is_final) is None:
            return False
        if block.columns.starts:
            try:
                self._store_block(block, source)
            except NotStorable as error:
                self.refused["reading", str(error)] += len(block.columns.starts)
        return True

    def _store_block(self, block: resources.IntervalBlock, source: links.Source) -> None:
        kind = source.reading_type
        columns = self._marked(block.entry, self._with_durations(block.columns, source))
        channel = self.channels.channel(source, columns)
        self._note_long(channel, columns)
        # Blocks may come without their ReadingType (bulk files; PG&E's FB 19): what was said of the channel holds.
        multiplier = (kind or channel.row.reading_type).power_of_ten_multiplier or 0
        columns = self._scaled(columns, channel, multiplier)
        pieces = packing.cut(
            columns,
            meter_reading_id=channel.row.pk,
            zone=channel.zone,
            publication=self._publication(block.entry),
            document_id=self.document.pk,
        )
        for days, singles, changes in pieces:
            self.batch.add(days, singles, changes)
            if self.batch.size > _CELLS_AT_ONCE:
                self._write()

    def _with_durations(self, columns: resources.Columns, source: links.Source) -> resources.Columns:
        """A reading that does not say how long it is is as long as its ReadingType says; of no length if nobody does.

        Amounts that follow each other faster than they say to last (duration 86400 with hourly starts) last until the
        next one: an hour is not counted in two readings.
        """
        kind, durations = source.reading_type, columns.durations
        if None in durations:
            length = (kind.interval_length if kind else None) or 0
            durations = [length if each is None else each for each in durations]
        longest = durations[0] or 0
        if kind and _is_delta(kind) and durations.count(longest) == len(durations):
            step = self._true_step(columns.starts, longest, (source.usage_point_id, source.meter_reading_id, longest))
            if step:
                why = "it lasts longer than until the next one (that time was taken)"
                self.remarks["reading", why] += len(durations)
                durations = [step] * len(durations)
        return columns if durations is columns.durations else replace(columns, durations=durations)

    def _true_step(self, starts: list[int], longest: int, series: tuple[str, str, int]) -> int:
        """How long readings last that say to last longer than until the next one; 0 where they do not.

        One alone, as a part of a block can be, is as long as those of its series that came before.
        """
        if len(starts) == 1:
            return self.steps.get(series, 0)
        step = _step(starts) if _seem_to_overlap(starts, longest) else 0
        if not 0 < step < longest or longest % step:  # a day of 86400 seconds where clocks change, a month of 31 days
            return 0
        if len(self.steps) < _MOST_LONG:
            self.steps[series] = step
        return step

    def _note_long(self, channel: Channel, columns: resources.Columns) -> None:
        """A utility wrote the instant of its export as the start of every month: they are kept, and told."""
        if (columns.durations[0] or 0) <= usage.LONGEST_DAY or len(self.long) > _MOST_LONG:
            return
        for start, duration in zip(columns.starts, columns.durations, strict=True):
            if self.long.setdefault((channel.row.pk, start), duration) != duration:
                self.remarks["reading", "it begins with a longer or shorter one: one of the starts is wrong"] += 1

    def _marked(self, entry: resources.Entry, columns: resources.Columns) -> resources.Columns:
        """With the quality RAW where all is provisional, whatever quality is told there."""
        path = self.rules.dialect.provisional_path
        if not path or not (self.rules.is_provisional or any(f"/{path}/" in href for href in entry.hrefs)):
            return columns
        return replace(columns, qualities=[int(PROVISIONAL)] * len(columns.starts))

    def _scaled(self, columns: resources.Columns, channel: Channel, multiplier: int) -> resources.Columns:
        try:
            values = self.channels.fit(channel, columns.values, multiplier)
        except TooFine as error:
            return self._scaled(self._without_fine(columns, str(error)), channel, multiplier)
        columns = columns if values is columns.values else replace(columns, values=list(values))
        if packing.fit(columns.values) and packing.fit(columns.costs or ()):
            return columns
        return self._without_giants(columns)

    def _without_fine(self, columns: resources.Columns, why: str) -> resources.Columns:
        keep = [index for index, value in enumerate(columns.values) if not packing.is_too_fine(value)]
        self.refused["reading", why] += len(columns.values) - len(keep)
        return _picked(columns, keep)

    def _without_giants(self, columns: resources.Columns) -> resources.Columns:
        keep = [
            index
            for index, value in enumerate(columns.values)
            if abs(value) <= packing.LARGEST and abs((columns.costs or {index: 0})[index] or 0) <= packing.LARGEST
        ]
        self.refused["reading", "a value or cost too large to be stored"] += len(columns.values) - len(keep)
        return _picked(columns, keep)

    def _publication(self, entry: resources.Entry) -> Publication:
        """When it was said; never later than now, or nothing could correct it any more."""
        if entry.published_at is None:
            return Publication(self.rules.now, False)
        return Publication(min(entry.published_at, self.rules.now), True)

    def _write(self) -> None:
        self.written.add(self.batch.write())

    def _finish(self) -> None:
        self._write()
        self.channels.settle(self.document)
        for bill in self.bills:
            self._store_bill(bill)
        self.particulars.store(self.channels, self.directory)
        self.places.store(self.channels.subscription)
        self._cross_check()

    def _cross_check(self) -> None:
        """Count where the document says one thing twice, and differently. The numbers stand as they are."""
        if self.written.contradicted:
            self.remarks["reading", "it is told twice, and differently (the last one was taken)"] = (
                self.written.contradicted
            )
        if unclear := self.directory.unclear_types():
            why = "several share one id, and not one for each meter reading (their readings are kept without a unit)"
            self.remarks["ReadingType", why] += unclear
        for what, why in self.channels.contradictions():
            self.remarks[what, why] += 1
        for said, name in self.channels.clocks():
            if why := zones.contradiction(said, name, self.rules.now.year):
                self.remarks["LocalTimeParameters", why] += 1
        for point in self.channels.points_in(CUBIC_FEET):
            if gas.disagrees(point):
                self.remarks["gas", gas.WORDS] += 1

    def _store_bill(self, bill: resources.UsageSummary) -> None:
        point = self.channels.usage_point(self.directory.usage_point_id(bill.entry))
        if bill.commodity == CommodityKind.NATURAL_GAS or point.service_kind == ServiceKind.GAS:
            bill = bills.restated(bill, self.rules.dialect.gas_bill_units)
        outcome = bills.store(
            bill,
            point,
            publication=self._publication(bill.entry),
            document=self.document,
            default_currency=self.rules.dialect.default_currency,
        )
        self.counts[f"summaries_{outcome}"] += 1


def _is_delta(kind: resources.ReadingType) -> bool:
    """Whether values are amounts of the time they cover, which cannot overlap."""
    is_amount = kind.uom in ADDABLE_UNITS and kind.kind != MeasurementKind.DEMAND
    return is_amount and kind.accumulation_behaviour in (None, AccumulationKind.NONE, AccumulationKind.DELTA_DATA)


def _listed(counted: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{"what": what, "why": why, "count": n} for (what, why), n in sorted(counted.items())]


def _note(counted: Counter[Any], key: Any, more: Any, count: int = 1) -> None:
    """Count. Names are the file's own: so many are told apart, and the rest counted together."""
    counted[key if key in counted or len(counted) < _MOST_NAMES else more] += count


def _belongs(resource: resources.Resource, rules: _Rules) -> bool:
    """Whether it is the expected customer's. What readings mean, and where clocks change, is everybody's."""
    expected, found = unquote(rules.expected_subscription_id or ""), owner(resource)
    if found and expected:
        return found == expected
    return not rules.must_name or isinstance(resource, EVERYBODYS)


def _seem_to_overlap(starts: list[int], duration: int) -> bool:
    """Whether the first reading lasts beyond the start of the second."""
    return len(starts) > 1 and 0 < abs(starts[1] - starts[0]) < duration


def _step(starts: list[int]) -> int:
    """The seconds between the starts of readings, gaps left out, where they are a grid; else 0."""
    ordered = sorted(set(starts))
    steps = {later - earlier for earlier, later in itertools.pairwise(ordered)}
    least = min(steps, default=0)
    return least if least and all(step % least == 0 for step in steps) else 0


def _picked(columns: resources.Columns, keep: list[int]) -> resources.Columns:
    picked = replace(columns)
    for name in ("starts", "durations", "values", "costs", "qualities", "tous", "tiers", "cpps"):
        column = getattr(columns, name)
        setattr(picked, name, column and [column[index] for index in keep])
    return picked
