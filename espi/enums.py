"""The standard's code lists, under the standard's names (NAESB ESPI 4.0, espi.xsd).

Codes arrive as numbers and are stored as numbers: a code that is absent here is kept, only a unit must be known.
"""

from enum import IntEnum


class ServiceKind(IntEnum):
    """ServiceCategory/kind: what a UsagePoint delivers."""

    ELECTRICITY = 0
    GAS = 1
    WATER = 2
    TIME = 3
    HEAT = 4
    REFUSE = 5
    SEWERAGE = 6
    RATES = 7
    TV_LICENCE = 8
    INTERNET = 9


class AccumulationKind(IntEnum):
    """ReadingType/accumulationBehaviour: how values relate to time."""

    NONE = 0
    BULK_QUANTITY = 1
    CONTINUOUS_CUMULATIVE = 2
    CUMULATIVE = 3
    DELTA_DATA = 4
    INDICATING = 6
    SUMMATION = 9
    TIME_DELAY = 10
    INSTANTANEOUS = 12
    LATCHING_QUANTITY = 13
    BOUNDED_QUANTITY = 14


class FlowDirectionKind(IntEnum):
    """ReadingType/flowDirection: the ones that energy is sent with."""

    NONE = 0
    FORWARD = 1
    NET = 4
    REVERSE = 19
    TOTAL = 20


class CommodityKind(IntEnum):
    """ReadingType/commodity: the ones a customer's meter measures."""

    NONE = 0
    ELECTRICITY_SECONDARY_METERED = 1
    ELECTRICITY_PRIMARY_METERED = 2
    NATURAL_GAS = 7
    PROPANE = 8
    POTABLE_WATER = 9
    STEAM = 10
    WASTE_WATER = 11
    HEATING_FLUID = 12
    COOLING_FLUID = 13


class MeasurementKind(IntEnum):
    """ReadingType/kind: the ones met beside energy."""

    NONE = 0
    DEMAND = 8
    ENERGY = 12
    POWER = 37
    TEMPERATURE = 46
    VOLTAGE = 54
    VOLUME = 58


class QualityOfReading(IntEnum):
    """ReadingQuality/quality. PG&E sends 19 on data of older days (its contract, 9.3)."""

    VALID = 0
    MANUALLY_EDITED = 7
    ESTIMATED_USING_REFERENCE_DAY = 8
    ESTIMATED_USING_LINEAR_INTERPOLATION = 9
    QUESTIONABLE = 10
    DERIVED = 11
    PROJECTED = 12
    MIXED = 13
    RAW = 14
    NORMALIZED_FOR_WEATHER = 15
    OTHER = 16
    VALIDATED = 17
    VERIFIED = 18
    REVENUE_QUALITY = 19


# Not validated yet: a later reading of the same time takes its place, whichever arrived first.
PROVISIONAL = QualityOfReading.RAW


class ItemKind(IntEnum):
    """LineItem/itemKind of a bill."""

    ENERGY_GENERATION_FEE = 1
    ENERGY_DELIVERY_FEE = 2
    ENERGY_USAGE_FEE = 3
    ADMINISTRATIVE_FEE = 4
    TAX = 5
    ENERGY_GENERATION_CREDIT = 6
    ENERGY_DELIVERY_CREDIT = 7
    ADMINISTRATIVE_CREDIT = 8
    PAYMENT = 9
    INFORMATION = 10


class UnitSymbolKind(IntEnum):
    """ReadingType/uom: the units that meters are read in."""

    NOT_APPLICABLE = 0
    A = 5
    CELSIUS = 23
    V = 29
    J = 31
    HZ = 33
    W = 38
    M3 = 42
    VA = 61
    VAR = 63
    COS = 65
    VAH = 71
    WH = 72
    VARH = 73
    FT3 = 119
    FT3_COMPENSATED = 120
    US_GALLON = 128
    IMPERIAL_GALLON = 130
    BTU = 132
    LITRE = 134
    LITRE_UNCOMPENSATED = 156
    LITRE_COMPENSATED = 157
    M3_UNCOMPENSATED = 166
    M3_COMPENSATED = 167
    THERM = 169


# Every code of UnitSymbolKind in espi.xsd: a value in another unit cannot be understood.
KNOWN_UNITS = frozenset(
    {0, *range(2, 12), *range(21, 26), *range(27, 40), *range(41, 52), 53, 54, 61, 63, *range(65, 83)}
    | {*range(100, 112), 113, 114, *range(115, 121), 123, *range(125, 135), *range(137, 170)}
)

CUBIC_FEET = frozenset({UnitSymbolKind.FT3, UnitSymbolKind.FT3_COMPENSATED})

# Amounts: adding them over time has a meaning. All other units are rates and states.
ADDABLE_UNITS = frozenset(
    {
        UnitSymbolKind.J,
        UnitSymbolKind.M3,
        UnitSymbolKind.VAH,
        UnitSymbolKind.WH,
        UnitSymbolKind.VARH,
        UnitSymbolKind.FT3,
        UnitSymbolKind.FT3_COMPENSATED,
        UnitSymbolKind.US_GALLON,
        UnitSymbolKind.IMPERIAL_GALLON,
        UnitSymbolKind.BTU,
        UnitSymbolKind.LITRE,
        UnitSymbolKind.LITRE_UNCOMPENSATED,
        UnitSymbolKind.LITRE_COMPENSATED,
        UnitSymbolKind.M3_UNCOMPENSATED,
        UnitSymbolKind.M3_COMPENSATED,
        UnitSymbolKind.THERM,
    }
)

_SERVICE_OF_UNIT: dict[int | None, ServiceKind] = {
    **dict.fromkeys((38, 61, 63, 71, 72, 73), ServiceKind.ELECTRICITY),
    UnitSymbolKind.THERM: ServiceKind.GAS,
}
_SERVICE_OF_COMMODITY: dict[int | None, ServiceKind] = {
    CommodityKind.ELECTRICITY_SECONDARY_METERED: ServiceKind.ELECTRICITY,
    CommodityKind.ELECTRICITY_PRIMARY_METERED: ServiceKind.ELECTRICITY,
    CommodityKind.NATURAL_GAS: ServiceKind.GAS,
    CommodityKind.POTABLE_WATER: ServiceKind.WATER,
}


def service_of(uom: int | None, commodity: int | None) -> ServiceKind | None:
    """The service that readings in such a unit, or of such a commodity, belong to; None where neither tells.

    Volumes are of gas, water or something else: there the commodity tells.
    """
    of_unit = _SERVICE_OF_UNIT.get(uom)
    return of_unit if of_unit is not None else _SERVICE_OF_COMMODITY.get(commodity)


# Meter dials: each value includes all earlier ones, so values are never added up.
REGISTERS = frozenset(
    {
        AccumulationKind.BULK_QUANTITY,
        AccumulationKind.CONTINUOUS_CUMULATIVE,
        AccumulationKind.CUMULATIVE,
        AccumulationKind.SUMMATION,
    }
)
