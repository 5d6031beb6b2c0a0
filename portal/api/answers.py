"""What is stored, as the API's schemas have it. Pure functions."""

from typing import Any
from zoneinfo import ZoneInfo

from espi import customers, models, numbers, revisions, usage, words
from espi.readings import Stored
from portal.flows import exports, overview


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
        "start": numbers.local(each.start, zone),
        "start_epoch": each.start,
        "duration": each.duration,
        **_statement(each, multiplier),
    }


def revision(each: revisions.Revision, zone: ZoneInfo) -> dict[str, Any]:
    """schemas.Revision."""
    return {
        "start": numbers.local(each.start, zone),
        "start_epoch": each.start,
        "duration": each.duration,
        "old": _statement(each.old, each.multiplier),
        "new": _statement(each.new, each.multiplier),
        "revised_at": each.revised_at,
    }


def _statement(said: Stored | revisions.Statement, multiplier: int) -> dict[str, Any]:
    """What readings and what was said of them otherwise have alike."""
    return {
        "value": numbers.exact(said.value, multiplier),
        "quality": words.word(words.QUALITIES, said.quality) or None,
        "quality_code": said.quality,
        "cost": money(said.cost),
        "tou": said.tou,
        "consumption_tier": said.tier,
        "cpp": said.cpp,
        "published_at": said.published_at,
    }


def customer_resource(told: customers.Told) -> dict[str, Any]:
    """schemas.CustomerResource."""
    return {
        "id": told.public_id,
        "kind": told.noun,
        "belongs_to": told.above,
        "said": told.said,
        "said_at": told.said_at,
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
        "period_start": numbers.local(row.start, zone),
        "period_start_epoch": row.start,
        "period_duration": row.duration,
        "commodity": words.word(words.COMMODITIES, row.commodity) or None,
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
    kind, note = numbers.json_integer(said.get("itemKind")), said.get("note")
    multiplier = numbers.json_integer(measured.get("powerOfTenMultiplier")) or 0
    value = numbers.json_integer(measured.get("value")) if multiplier in numbers.MULTIPLIERS else None
    return {
        "note": str(note) if isinstance(note, str | int) else None,
        "kind": words.word(words.ITEM_KINDS, kind) or None,
        "cost": money(numbers.json_integer(said.get("amount"))),
        "quantity": _quantity(value, multiplier),
        "unit": words.unit(numbers.json_integer(measured.get("uom"))) or None,
    }


def _quantity(value: int | None, multiplier: int) -> str | None:
    return None if value is None else numbers.exact(value, multiplier)


def money(amount: int | None) -> str | None:
    """`131.27` for 13127000 hundred-thousandths."""
    return None if amount is None else numbers.exact(amount, numbers.MONEY)
