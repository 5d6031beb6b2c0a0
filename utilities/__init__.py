"""Each utility: who it is and which dialect of the standard it speaks."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from espi.models import ApplicationInformation
    from utilities.base import Utility


def all() -> "tuple[Utility, ...]":
    """Every utility, in the order in which they are shown."""
    # Models exist only after Django's apps are loaded, and this package is one of them.
    from utilities.cecony import CECONY
    from utilities.essex import ESSEX
    from utilities.oru import ORU
    from utilities.pge import PGE_UTILITY
    from utilities.welland import WELLAND

    return CECONY, ORU, PGE_UTILITY, ESSEX, WELLAND


def get(slug: str) -> "Utility":
    """The utility of this name. Raises KeyError."""
    return {utility.slug: utility for utility in all()}[slug]


def offered() -> "list[tuple[Utility, ApplicationInformation]]":
    """The utilities customers may choose, each with the registration to use: offered, and nothing is missing."""
    from espi.models import ApplicationInformation

    apps = {app.utility: app for app in ApplicationInformation.objects.filter(is_offered=True)}
    found = ((utility, apps.get(utility.slug)) for utility in all())
    return [(utility, app) for utility, app in found if app and not utility.missing(app)]
