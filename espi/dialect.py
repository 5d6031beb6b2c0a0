"""What a data custodian's documents do differently from the standard; handed in by the caller, who knows whose they are."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Dialect:
    """How to understand one custodian's documents. Without arguments: the standard, and the document's own words.

    `time_zone` is an IANA name; None means that the document's LocalTimeParameters say it.
    `interval_values`: "decimal_kwh" where values come in kilowatt-hours with a decimal point and no ReadingType
    (Con Edison V1); "integer" is the standard's integer with powerOfTenMultiplier (decimals are read exactly too).
    `default_currency` is the ISO 4217 number of amounts that name none.
    `usage_points`: by what a usage point is known again. "id", its last path segment, within a utility that numbers all
    of its own; "address", host and path of its link, for files that may come from anywhere: many give the first meter of
    every customer the same number.
    """

    time_zone: str | None = None
    interval_values: Literal["integer", "decimal_kwh"] = "integer"
    default_currency: int | None = None
    usage_points: Literal["id", "address"] = "id"


STANDARD = Dialect()
