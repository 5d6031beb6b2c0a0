"""UsageSummary -> row. A bill is told again over days, corrected or with a shifted period: what was said last stands."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from espi import models, resources
from espi.channels import short
from espi.dialect import Unit
from espi.packing import Publication

_FIELDS = (
    "bill_last_period",
    "bill_to_date",
    "cost_additional_last_period",
    "consumption",
    "consumption_multiplier",
    "consumption_uom",
    "quality",
    "status_timestamp",
    "commodity",
    "tariff_profile",
    "details",
    "extra",
)


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
    """Make or change the row of a bill; "stored", "revised" or "unchanged". `said.start` is known."""
    values = _values(said, ZoneInfo(point.time_zone), default_currency)
    rows = models.UsageSummary.objects.filter(usage_point=point)
    if _is_displaced(rows, values, publication.at):
        return "unchanged"
    row = rows.filter(start=values["start"]).first()
    if row is None:
        _displace(rows, values)
        row = models.UsageSummary(usage_point=point, start=values["start"])
    elif not _is_news(row, values, publication):
        return "unchanged"
    outcome = "stored" if row.pk is None else "revised"
    for name, value in values.items():
        setattr(row, name, value)
    row.published_at, row.document = publication.at, document
    row.save()
    return outcome


def _values(said: resources.UsageSummary, zone: ZoneInfo, default_currency: int | None) -> dict[str, Any]:
    values = {name: getattr(said, name) for name in _FIELDS}
    currency = said.currency if said.currency is not None else default_currency
    return values | {
        "resource_id": short(said.entry.resource_id),
        "start": said.start,
        "duration": said.duration or _until(said, zone),
        "currency": currency,
    }


def _until(said: resources.UsageSummary, zone: ZoneInfo) -> int | None:
    """Con Edison V1 gives the end of the period as a local date (its contract, 5.3), read as its last day.

    Its example starts at a local midnight, is billed to the 12th, and has its status of the 13th: a bill is made out when
    its last day is over, and the next one starts on that 13th. Read otherwise, a day would belong to no bill.
    """
    if said.end is None or said.start is None:
        return None
    after = said.end + timedelta(days=1) if said.end.time() == time() else said.end
    seconds = int(after.replace(tzinfo=zone).timestamp()) - said.start
    return seconds if seconds > 0 else None


def _is_news(row: models.UsageSummary, values: dict[str, Any], publication: Publication) -> bool:
    is_same = all(getattr(row, name) == value for name, value in values.items())
    if row.published_at is None:
        return True
    if is_same:
        return publication.is_told and publication.at > row.published_at
    return publication.at >= row.published_at


def _is_displaced(rows: Any, values: dict[str, Any], published_at: datetime) -> bool:
    return any(row.published_at and row.published_at > published_at for row in _same_period(rows, values))


def _displace(rows: Any, values: dict[str, Any]) -> None:
    for row in _same_period(rows, values):
        row.delete()


def _same_period(rows: Any, values: dict[str, Any]) -> list[models.UsageSummary]:
    """Bills of another start that cover more than half of the longer period: the same bill, told with a shifted period.

    PG&E publishes a bill again with another period (its contract, 9.4).
    """
    start, duration = values["start"], values["duration"]
    if not duration:
        return []
    near = rows.filter(
        start__gt=start - duration, start__lt=start + duration, duration__isnull=False, commodity=values["commodity"]
    )
    found = []
    for row in near.exclude(start=start):
        shared = min(start + duration, row.start + row.duration) - max(start, row.start)
        if shared * 2 > max(duration, row.duration):
            found.append(row)
    return found
