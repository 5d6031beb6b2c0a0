"""The standard's codes in plain words, for people and for files they open (NAESB ESPI 4.0, espi.xsd).

Units are plain: the one that a code names, without a prefix and in ASCII, since a spreadsheet may read a file in any
code page. A code that is not listed here is told by its number.
"""

SERVICES = {0: "electricity", 1: "gas", 2: "water", 4: "heat", 6: "sewerage"}

# UnitSymbolKind
UNITS = {
    5: "A",
    23: "degC",
    29: "V",
    31: "J",
    33: "Hz",
    38: "W",
    42: "m3",
    61: "VA",
    63: "var",
    65: "cos",
    71: "VAh",
    72: "Wh",
    73: "varh",
    106: "Ah",
    119: "ft3",
    120: "ft3 (compensated)",
    128: "US gal",
    130: "imp gal",
    132: "Btu",
    134: "L",
    156: "L (uncompensated)",
    157: "L (compensated)",
    166: "m3 (uncompensated)",
    167: "m3 (compensated)",
    169: "therm",
}

# MeasurementKind
MEASUREMENTS = {
    4: "current",
    8: "demand",
    12: "energy",
    15: "frequency",
    37: "power",
    38: "power factor",
    46: "temperature",
    54: "voltage",
    58: "volume",
}

# CommodityKind
COMMODITIES = {
    0: "none",
    1: "electricity",
    2: "electricity (primary metered)",
    7: "natural gas",
    8: "propane",
    9: "water",
    10: "steam",
    11: "waste water",
    12: "heating fluid",
    13: "cooling fluid",
}

# FlowDirectionKind, from where the customer stands
FLOW_DIRECTIONS = {1: "delivered", 4: "net", 19: "received", 20: "total"}

# QualityOfReading
QUALITIES = {
    0: "valid",
    7: "manually edited",
    8: "estimated from a similar day",
    9: "estimated by interpolation",
    10: "questionable",
    11: "derived",
    12: "projected",
    13: "mixed",
    14: "raw",
    15: "normalized for weather",
    16: "other",
    17: "validated",
    18: "verified",
    19: "revenue quality",
}

# LineItem/itemKind
ITEM_KINDS = {
    1: "energy generation fee",
    2: "energy delivery fee",
    3: "energy usage fee",
    4: "administrative fee",
    5: "tax",
    6: "energy generation credit",
    7: "energy delivery credit",
    8: "administrative credit",
    9: "payment",
    10: "information",
}

# ISO 4217
CURRENCIES = {
    36: "AUD",
    124: "CAD",
    156: "CNY",
    208: "DKK",
    356: "INR",
    392: "JPY",
    554: "NZD",
    578: "NOK",
    643: "RUB",
    752: "SEK",
    756: "CHF",
    826: "GBP",
    840: "USD",
    978: "EUR",
}


def word(words: dict[int, str], code: int | None) -> str:
    """The word of a code, its number where there is none, and nothing where nothing was said."""
    return "" if code is None else words.get(code, str(code))


def unit(uom: int | None) -> str:
    """`Wh`; `uom 47` for a unit without a name here; nothing where the utility did not say."""
    return "" if uom is None else UNITS.get(uom, f"uom {uom}")
