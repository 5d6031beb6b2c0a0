"""Documents -> rows: one transaction per document, the same result however often and in whatever order they come.

The document is read once, streaming. Blocks that a later entry has yet to explain (its ReadingType, its time zone) are
left for a second reading of the same bytes, so memory stays bounded whatever the order of entries.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal

from django.db import connection, transaction

from espi import (
    archive,
    bills,
    customer_resources,
    gas,
    links,
    models,
    resources,
    temporary,
    zones,
)
from espi import describe as description
from espi.atom import DocumentRefused
from espi.blocks import Blocks
from espi.channels import Channels, OtherTimeZone
from espi.contents import Content, Whole
from espi.dialect import STANDARD, Dialect
from espi.enums import CUBIC_FEET, CommodityKind, ServiceKind
from espi.particulars import Particulars
from espi.places import Places
from espi.rules import Rules

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
    rules = Rules(dialect, accepts, expected_subscription_id, others, must_name, now, is_provisional)
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


def _stored(document: models.Document, content: Content, rules: Rules) -> models.Document:
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


def _fill(document: models.Document, content: Content, rules: Rules) -> models.Document:
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

    def __init__(self, document: models.Document, rules: Rules) -> None:
        self.document, self.rules = document, rules
        self.directory = links.Directory(rules.dialect)
        assert document.subscription is not None
        self.counts: Counter[str] = Counter()
        self.particulars = Particulars(document, rules.accepts.__contains__)
        self.places = Places(rules.dialect)
        self.resources: Counter[str] = Counter()
        self.other: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()
        self.remarks: Counter[tuple[str, str]] = Counter()
        self.blocks = Blocks(document.pk, rules, self.refused, self.remarks)
        self.channels = Channels(document.subscription, self.directory, rules.dialect.time_zone, self.blocks.write)
        self.bills: list[resources.UsageSummary] = []
        self.deferred: set[Any] = set()
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
            "stored": self.blocks.written.stored,
            "unchanged": self.blocks.written.unchanged,
            "revised": self.blocks.written.revised,
        }
        told = {"refused": _listed(self.refused), "remarks": _listed(self.remarks)}
        by_name = {"resources": self.resources, "other": self.other, "unknown": self.unknown}
        return counts | outcome | told | {name: dict(sorted(found.items())) for name, found in by_name.items()}

    def _is_ours(self, resource: resources.Resource) -> bool:
        if self.rules.let_in(resource):
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
                self._take_usage_point(resource)
            case resources.MeterReading():
                self.counts["meter_readings"] += 1
            case resources.Refused():
                self.refused[resource.what, resource.why] += 1
            case resources.Unknown():
                _note(self.unknown, resource.path, _MORE)
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
            case _:
                self._take_named(resource)

    def _take_named(self, said: resources.Resource) -> None:
        """Counted by its name; two of them are kept as they are said."""
        self.resources[type(said).__name__] += 1
        if isinstance(said, resources.LocalTimeParameters):
            self.particulars.local_time(said, self.rules.publication(said.entry))
        elif isinstance(said, resources.ProgramIdMappings):
            self.particulars.program_ids(said, self.rules.publication(said.entry))

    def _weigh(self, resource: resources.Resource) -> None:
        """Raises DocumentRefused when too much waits for the end of the document."""
        long = [value for name in _BESIDE if (value := getattr(resource, name, None))]
        self.beside += sum(_WEIGHT_OF_ONE + len(repr(value)) for value in long)
        if self.beside > _MOST_BESIDE:
            words = "The file says more beside its readings than can be read at once. Ask for a shorter period."
            raise DocumentRefused(words)

    def _take_usage_point(self, said: resources.UsagePoint) -> None:
        self.counts["usage_points"] += 1
        key = self.directory.written_usage_point(said.entry)
        self.particulars.usage_point(said, key, self.rules.publication(said.entry))

    def _take_quality(self, said: resources.ElectricPowerQualitySummary) -> None:
        if not self.rules.accepts & {USAGE, QUALITY}:
            self._refuse_kind(QUALITY)
        elif said.start is None:
            self.refused[QUALITY, "an interval without a start between 1990 and 2100"] += 1
        else:
            self.resources[QUALITY] += 1
            self.particulars.quality(said, self.rules.publication(said.entry))

    def _note_time(self, entry: resources.Entry) -> None:
        if entry.published_at and (self.published_at is None or entry.published_at > self.published_at):
            self.published_at = entry.published_at

    def _take_customer(self, said: resources.CustomerResource) -> None:
        allowed = customer_resources.allowed(said, self.rules.accepts)
        if allowed is None or len(allowed.said) < len(said.said):
            self._refuse_kind(said.noun)
        if allowed is None:
            return
        if self.particulars.customers.take(allowed, self.rules.publication(said.entry)):
            self.resources[said.noun] += 1
            self.places.learn(allowed)
        else:
            self.refused[said.noun, "more of one customer than can be kept"] += 1

    def _take_other(self, resource: resources.Other) -> None:
        if resource.is_customer and CUSTOMER not in self.rules.accepts:
            self._refuse_kind(resource.name)
        else:
            _note(self.other, resource.name, _MORE)

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
            self.blocks.take(block, source, self.channels)
        return True

    def _finish(self) -> None:
        self.blocks.write()
        self.channels.settle(self.document)
        for bill in self.bills:
            self._store_bill(bill)
        self.particulars.store(self.channels, self.directory)
        self.places.store(self.channels.subscription)
        self._cross_check()

    def _cross_check(self) -> None:
        """Count where the document says one thing twice, and differently. The numbers stand as they are."""
        if self.blocks.written.contradicted:
            self.remarks["reading", "it is told twice, and differently (the last one was taken)"] = (
                self.blocks.written.contradicted
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
            publication=self.rules.publication(bill.entry),
            document=self.document,
            default_currency=self.rules.dialect.default_currency,
        )
        self.counts[f"summaries_{outcome}"] += 1


def _listed(counted: Counter[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{"what": what, "why": why, "count": n} for (what, why), n in sorted(counted.items())]


def _note(counted: Counter[Any], key: Any, more: Any, count: int = 1) -> None:
    """Count. Names are the file's own: so many are told apart, and the rest counted together."""
    counted[key if key in counted or len(counted) < _MOST_NAMES else more] += count
