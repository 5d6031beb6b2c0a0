"""What a data custodian's documents do differently from the standard; handed in by the caller, who knows whose they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from espi import enums


@dataclass(frozen=True)
class Unit:
    """What a number counts: 10 ** `multiplier` of a UnitSymbolKind, of which kind and commodity (codes of ESPI 4.0)."""

    uom: int
    multiplier: int
    kind: int
    commodity: int


def _electric(uom: int, kind: int) -> Unit:
    return Unit(uom, 3, kind, enums.CommodityKind.ELECTRICITY_SECONDARY_METERED)


ELECTRIC_WORDS: Mapping[str, Unit] = {
    "KWH": _electric(enums.UnitSymbolKind.WH, enums.MeasurementKind.ENERGY),
    "KVARH": _electric(enums.UnitSymbolKind.VARH, enums.MeasurementKind.ENERGY),
    "KVAH": _electric(enums.UnitSymbolKind.VAH, enums.MeasurementKind.ENERGY),
    "KW": _electric(enums.UnitSymbolKind.W, enums.MeasurementKind.DEMAND),
    "KVAR": _electric(enums.UnitSymbolKind.VAR, enums.MeasurementKind.DEMAND),
    "KVA": _electric(enums.UnitSymbolKind.VA, enums.MeasurementKind.DEMAND),
}
_GAS = enums.CommodityKind.NATURAL_GAS
CUBIC_FEET = Unit(enums.UnitSymbolKind.FT3, 0, enums.MeasurementKind.VOLUME, _GAS)
HUNDRED_CUBIC_FEET = Unit(enums.UnitSymbolKind.FT3, 2, enums.MeasurementKind.VOLUME, _GAS)  # CCF


@dataclass(frozen=True)
class Dialect:
    """How to understand one custodian's documents. Without arguments: the standard, and the document's own words.

    `time_zone` is an IANA name; None means that the document's LocalTimeParameters say it.
    `interval_values`: "decimal_kwh" where values come in kilowatt-hours with a decimal point and no ReadingType
    (Con Edison V1); "integer" is the standard's integer with powerOfTenMultiplier (decimals are read exactly too).
    `link_units`: words in a block's link that name its unit, where there is no ReadingType. What a word for gas means
    differs between utilities, so it is known only where one declares it.
    `gas_units`: units that a utility's gas numbers are really in, by the `uom` that its ReadingTypes name;
    `gas_bill_units` the same of its bills, which may be in others.
    `provisional_path`: a segment of links and addresses below which all readings are provisional; they are stored with
    the quality RAW, and give way to any other, whichever came first.
    `is_per_meter`: each MeterReading is one meter's, so that readings under another id are another meter's, or of the
    same one under another number. Otherwise ids say nothing of meters (UtilityAPI has one for each window).
    `agreement_is_usage_point`: the CustomerAgreement of customer data has the id of the UsagePoint.
    `default_currency` is the ISO 4217 number of amounts that name none.
    `usage_points`: by what a usage point is known again. "id", its last path segment, within a utility that numbers all
    of its own; "address", host and path of its link, for files that may come from anywhere: many give the first meter of
    every customer the same number.
    """

    time_zone: str | None = None
    interval_values: Literal["integer", "decimal_kwh"] = "integer"
    link_units: Mapping[str, Unit] = field(default_factory=lambda: ELECTRIC_WORDS)
    gas_units: Mapping[int, Unit] = field(default_factory=dict)
    gas_bill_units: Mapping[int, Unit] = field(default_factory=dict)
    provisional_path: str = ""
    is_per_meter: bool = False
    agreement_is_usage_point: bool = False
    default_currency: int | None = None
    usage_points: Literal["id", "address"] = "id"


STANDARD = Dialect()
