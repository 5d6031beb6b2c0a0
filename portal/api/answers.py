"""What is stored, as the API's schemas have it. Pure functions."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from espi import models, numbers, usage, words
from espi.readings import Stored
from portal.flows import exports, overview

MONEY = -5  # power of ten: amounts are hundred-thousandths


def connection(card: overview.Card) -> dict[str, Any]:
    """schemas.Connection."""
    return {
        "id": card.subscription.public_id,
        "name": card.name,
        "utility": card.subscription.utility or None,
        "state": card.state,
        "detail": card.detail,
        "connected_on": card.connected_on,
        "allowed_until": card.authorization.end_date if card.authorization else None,
        "usage_points": [meter.usage_point.public_id for meter in card.meters],
    }


def usage_point(choice: exports.Choice) -> dict[str, Any]:
    """schemas.UsagePoint."""
    meter = choice.meter
    point = meter.usage_point
    return {
        "id": point.public_id,
        "name": meter.name,
        "connection": point.subscription.public_id,
        "service": words.word(words.SERVICES, point.service_kind) or None,
        "time_zone": point.time_zone,
        "first_date": meter.first_day,
        "last_date": meter.last_day,
        "has_bills": meter.has_bills,
    }


def channel(found: usage.Channel) -> dict[str, Any]:
    """schemas.Channel."""
    return {
        "id": found.public_id,
        "measurement": words.word(words.MEASUREMENTS, found.kind) or None,
        "flow_direction": words.word(words.FLOW_DIRECTIONS, found.flow_direction) or None,
        "unit": words.unit(found.uom) or None,
        "currency": words.word(words.CURRENCIES, found.currency) or None,
        "is_register": found.is_register,
        "is_addable": found.is_addable,
        "interval_lengths": list(found.interval_lengths),
        "first_date": found.first_date,
        "last_date": found.last_date,
    }


def reading(each: Stored, multiplier: int, zone: ZoneInfo) -> dict[str, Any]:
    """schemas.Reading."""
    return {
        "start": local(each.start, zone),
        "start_epoch": each.start,
        "duration": each.duration,
        "value": numbers.exact(each.value, multiplier),
        "quality": words.word(words.QUALITIES, each.quality) or None,
        "quality_code": each.quality,
        "cost": money(each.cost),
        "tou": each.tou,
        "consumption_tier": each.tier,
        "cpp": each.cpp,
    }


def day(total: usage.DayTotal, found: usage.Channel) -> dict[str, Any]:
    """schemas.Day."""
    return {
        "date": total.date,
        "value": numbers.exact(total.value, found.multiplier),
        "cost": money(total.cost),
        "readings": total.count,
        "is_complete": total.is_complete,
    }


def month(total: usage.MonthTotal, found: usage.Channel) -> dict[str, Any]:
    """schemas.Month."""
    return {
        "month": total.month,
        "value": numbers.exact(total.value, found.multiplier),
        "cost": money(total.cost),
        "days": total.days,
        "is_complete": total.is_complete,
        "from_long_readings": total.from_long_readings,
    }


def bill(row: models.UsageSummary, zone: ZoneInfo) -> dict[str, Any]:
    """schemas.Bill."""
    has_energy = row.consumption is not None
    return {
        "period_start": local(row.start, zone),
        "period_start_epoch": row.start,
        "period_duration": row.duration,
        "consumption": _quantity(row.consumption, row.consumption_multiplier),
        "unit": (words.unit(row.consumption_uom) or None) if has_energy else None,
        "cost": money(row.bill_last_period),
        "cost_to_date": money(row.bill_to_date),
        "additional_cost": money(row.cost_additional_last_period),
        "currency": words.word(words.CURRENCIES, row.currency) or None,
        "quality": words.word(words.QUALITIES, row.quality) or None,
        "tariff": row.tariff_profile or None,
        "items": [_item(each) for each in row.details if isinstance(each, dict)],
    }


def _item(said: dict[str, Any]) -> dict[str, Any]:
    """schemas.BillItem: what is no number where the standard has one is left out."""
    measured = said.get("measurement")
    measured = measured if isinstance(measured, dict) else {}
    kind, note = _integer(said.get("itemKind")), said.get("note")
    multiplier = _integer(measured.get("powerOfTenMultiplier")) or 0
    value = _integer(measured.get("value")) if multiplier in numbers.MULTIPLIERS else None
    return {
        "note": str(note) if isinstance(note, str | int) else None,
        "kind": words.word(words.ITEM_KINDS, kind) or None,
        "cost": money(_integer(said.get("amount"))),
        "quantity": _quantity(value, multiplier),
        "unit": words.unit(_integer(measured.get("uom"))) or None,
    }


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _quantity(value: int | None, multiplier: int) -> str | None:
    return None if value is None else numbers.exact(value, multiplier)


def money(amount: int | None) -> str | None:
    """`131.27` for 13127000 hundred-thousandths."""
    return None if amount is None else numbers.exact(amount, MONEY)


def local(epoch: int, zone: ZoneInfo) -> str:
    """ISO 8601 with the offset of the meter's clock."""
    return datetime.fromtimestamp(epoch, UTC).astimezone(zone).isoformat()
