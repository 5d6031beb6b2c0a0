"""By which rules a document is read."""

from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import unquote

from espi import parse, resources
from espi.contents import EVERYBODYS, owner
from espi.dialect import Dialect
from espi.packing import Publication


@dataclass(frozen=True)
class Rules:
    """What the customer allowed, whose the document may be, and how its utility's words are meant. `now` is aware UTC."""

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

    def let_in(self, resource: resources.Resource) -> bool:
        """Whether it is the expected customer's. What readings mean, and where clocks change, is everybody's."""
        expected, found = unquote(self.expected_subscription_id or ""), owner(resource)
        if found and expected:
            return found == expected
        return not self.must_name or isinstance(resource, EVERYBODYS)

    def are_provisional(self, entry: resources.Entry) -> bool:
        """Whether the readings of an entry are not checked yet, whatever quality is told there."""
        path = self.dialect.provisional_path
        return bool(path) and (self.is_provisional or any(f"/{path}/" in href for href in entry.hrefs))

    def publication(self, entry: resources.Entry) -> Publication:
        """When it was said; never later than now, or nothing could correct it any more."""
        if entry.published_at is None:
            return Publication(self.now, False)
        return Publication(min(entry.published_at, self.now), True)


def _units(dialect: Dialect) -> list[Any]:
    """What a custodian declared that its numbers count: documents are read again when that changes."""
    declared = (dialect.link_units, dialect.gas_units, dialect.gas_bill_units)
    return [sorted([str(code), *astuple(unit)] for code, unit in units.items()) for units in declared]
