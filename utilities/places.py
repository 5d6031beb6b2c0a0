"""Which utility serves a ZIP or postal code: what each utility declares, asked all at once."""

import re
from dataclasses import dataclass

import utilities
from utilities.base import PostalArea, Utility

US_ZIP = re.compile(r"([0-9]{5})(?:-?[0-9]{4})?")
CANADIAN = re.compile(r"([A-Z][0-9][A-Z])[0-9][A-Z][0-9]")


class NotACode(ValueError):
    """Neither a ZIP code of the United States nor a Canadian postal code."""


@dataclass(frozen=True)
class Match:
    """A utility that serves a code, and how sure that is."""

    utility: Utility
    area: PostalArea


def normalized(code: str) -> str:
    """The part that tells the place: five digits, or the first three characters. Raises NotACode."""
    plain = code.upper().replace(" ", "").replace("\u00a0", "")
    found = US_ZIP.fullmatch(plain) or CANADIAN.fullmatch(plain)
    if not found:
        raise NotACode
    return found[1]


def serving(code: str) -> list[Match]:
    """The utilities that may serve this code, the likely ones first; none where no declaration fits. Raises NotACode."""
    place = normalized(code)
    found = [Match(utility, area) for utility in utilities.all() if (area := _area(utility, place))]
    return sorted(found, key=lambda match: not match.area.is_usual)


def _area(utility: Utility, place: str) -> PostalArea | None:
    """Of the declared beginnings the longest that fits: 07430 may be told apart from the rest of 07."""
    fitting = [
        (len(start), -order, area)
        for order, area in enumerate(utility.postal_areas)
        for start in area.starts
        if place.startswith(start)
    ]
    return max(fitting, key=lambda fit: fit[:2])[2] if fitting else None
