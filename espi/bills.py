"""UsageSummary -> row. A bill is told again over days, corrected or with a shifted period: what was said last stands.

It is one bill all the while: in whatever order its versions come, of each part of it the last word is kept.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Q

from espi import enums, models, numbers, resources
from espi.channels import short
from espi.dialect import Unit
from espi.packing import Publication
from espi.records import Record

_MONEY = ("bill_last_period", "bill_to_date", "cost_additional_last_period", "details")
_CONSUMPTION = ("consumption", "consumption_multiplier", "consumption_uom")
_SINGLE = ("currency", "quality", "status_timestamp", "commodity", "tariff_profile")
NO_SERVICE = 100  # and the commodity: of those that no ServiceCategory stands for
_NO_END = 9999  # a year that stands for "no end"; no day comes after its last one
_EXTRA = "extra."  # before the names of what else was said


def restated(said: resources.UsageSummary, units: Mapping[int, Unit]) -> resources.UsageSummary:
    """A gas bill in the unit that its custodian declares for its `uom` (Dialect.gas_bill_units)."""
    unit = units.get(said.consumption_uom) if said.consumption_uom is not None else None
    if unit is None:
        return said
    multiplier = said.consumption_multiplier + unit.multiplier
    return replace(said, consumption_uom=unit.uom, consumption_multiplier=multiplier)


def store(
    said: resources.UsageSummary,
    point: models.UsagePoint,
    *,
    publication: Publication,
    document: models.Document,
    default_currency: int | None,
) -> str:
    """Make or change the row of a bill; "stored", "revised" or "unchanged". `said.start` is known.

    A later word that leaves something out takes nothing back: PG&E tells what a period cost only while it is the last one
    (its contract, 9.4), and its period and consumption ever after.
    """
    values = _values(said, ZoneInfo(point.time_zone))
    rows = _same_bill(values, point)
    record = Record.of(_elements(values), publication)
    before = [_record(row) for row in rows]
    for each in before:
        record = each.merged(record)
    if len(rows) == 1 and record == before[0]:
        return "unchanged"
    row = rows[0] if rows else models.UsageSummary(usage_point=point)
    for other in rows[1:]:
        other.delete()
    for name, value in _columns(record, default_currency).items():
        setattr(row, name, value)
    row.service, row.said_at, row.document = told_service(vars(row)), record.said_at, document
    row.published_at = max(filter(None, (publication.at, *(each.published_at for each in rows))))
    row.save()
    return "revised" if rows else "stored"


def move(row: models.UsageSummary, point: models.UsagePoint) -> None:
    """Let a bill belong to another usage point, as if its document had told it of that one."""
    rows = _same_bill(vars(row), point)
    if not rows:
        row.usage_point = point
        row.save(update_fields=["usage_point"])
        return
    kept, *others = rows
    latest = max((kept, *others, row), key=lambda each: (each.published_at is not None, each.published_at))
    record = _record(row)
    for each in rows:
        record = _record(each).merged(record)
    for each in (*others, row):
        each.delete()
    for name, value in _columns(record, kept.currency if kept.currency is not None else row.currency).items():
        setattr(kept, name, value)
    kept.service, kept.said_at = told_service(vars(kept)), record.said_at
    kept.document, kept.published_at = latest.document, latest.published_at
    kept.save()


def _values(said: resources.UsageSummary, zone: ZoneInfo) -> dict[str, Any]:
    values = {name: getattr(said, name) for name in (*_MONEY, *_CONSUMPTION, *_SINGLE, "start", "extra")}
    return values | {"resource_id": short(said.entry.resource_id), "duration": said.duration or _until(said, zone)}


def _elements(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is told together is corrected together: the period, the money, the energy; all else by itself."""
    found = {"period": {name: values[name] for name in ("start", "duration", "resource_id")}}
    for group, names, telling in (("money", _MONEY, _MONEY), ("consumption", _CONSUMPTION, _CONSUMPTION[:1])):
        if any(values[name] not in (None, []) for name in telling):
            found[group] = {name: values[name] for name in names}
    found |= {name: values[name] for name in _SINGLE if values[name] not in (None, "")}
    return found | {f"{_EXTRA}{name}": value for name, value in values["extra"].items()}


def _record(row: models.UsageSummary) -> Record:
    """What a row says, and since when; rows from before do not tell it of each element."""
    names = (*_MONEY, *_CONSUMPTION, *_SINGLE, "start", "extra", "resource_id", "duration")
    said = _elements({name: getattr(row, name) for name in names})
    once = row.published_at.astimezone(UTC).isoformat(timespec="microseconds") if row.published_at else ""
    return Record(said, {name: row.said_at.get(name, once) for name in said})


def _columns(record: Record, default_currency: int | None) -> dict[str, Any]:
    said = record.said
    nothing = {"quality": None, "status_timestamp": None, "commodity": None, "tariff_profile": ""}
    single = {name: said[name] for name in _SINGLE if name in said}
    extra = {name.removeprefix(_EXTRA): value for name, value in said.items() if name.startswith(_EXTRA)}
    columns = {"currency": default_currency} | nothing | single | said["period"]
    return columns | said.get("money", {}) | said.get("consumption", {}) | {"extra": extra}


def _until(said: resources.UsageSummary, zone: ZoneInfo) -> int | None:
    """Con Edison V1 gives the end of the period as a local date (its contract, 5.3), read as its last day.

    Its example starts at a local midnight, is billed to the 12th, and has its status of the 13th: a bill is made out when
    its last day is over, and the next one starts on that 13th. Read otherwise, a day would belong to no bill.
    """
    if said.end is None or said.start is None:
        return None
    if said.end.year >= _NO_END:
        return None
    after = said.end + timedelta(days=1) if said.end.time() == time() else said.end
    seconds = int(after.replace(tzinfo=zone).timestamp()) - said.start
    return seconds if 0 < seconds < numbers.LONGEST else None


def told_service(values: Mapping[str, Any]) -> int | None:
    """What a bill itself tells to be for, by its commodity or else its unit: a ServiceKind, 100 and more, or None."""
    if commodity := values["commodity"]:
        kind = enums.service_of(None, commodity)
        return NO_SERVICE + commodity if kind is None else kind
    return enums.service_of(values["consumption_uom"], None)


def _service(values: Mapping[str, Any], point: models.UsagePoint) -> int:
    """What tells bills of one period apart. Its own words and its usage point's decide, never what came before it.

    A bill that tells neither commodity nor unit is for what the usage point delivers; where nobody told that either, for
    electricity.
    """
    known = (told_service(values), point.service_kind)
    return next((each for each in known if each is not None), enums.ServiceKind.ELECTRICITY)


def _same_bill(values: Mapping[str, Any], point: models.UsagePoint) -> list[models.UsageSummary]:
    """The bills of that service and start, and those of another start that cover more than half of the longer period.

    PG&E publishes a bill again with another period (its contract, 9.4).
    """
    start, duration, service = values["start"], values["duration"], _service(values, point)
    rows: Any = point.usage_summaries.filter(Q(service=service) | Q(service=None))
    found = [row for row in rows.filter(start=start) if _service(vars(row), point) == service]
    if not duration:
        return found
    within = {"start__gt": start - duration, "start__lt": start + duration}
    near = rows.filter(**within, duration__gt=duration // 2, duration__lt=2 * duration)
    for row in near.exclude(start=start):
        shared = min(start + duration, row.start + row.duration) - max(start, row.start)
        if shared * 2 > max(duration, row.duration) and _service(vars(row), point) == service:
            found.append(row)
    return found
