"""Welland Hydro-Electric System, Ontario, on the UtilityAPI platform (utilityapi.com/docs/utilities/welland)."""

from django.utils.translation import gettext_noop as _

from utilities.utilityapi import ONTARIO_ENERGY_BOARD, UtilityAPI, addresses


class Welland(UtilityAPI):
    """Customers prove who they are with the account number, date and amount of their latest bill."""

    slug = "welland"
    name = "Welland Hydro"
    long_name = "Welland Hydro"
    area = _("Welland, Ontario")
    website = "https://www.wellandhydro.com/"
    help_words = _("Your bill says Welland Hydro.")
    leaving_help = _("Have your latest bill at hand: you are asked for its account number, date and amount.")
    country = "CA"
    regulator = ONTARIO_ENERGY_BOARD
    currency = 124  # ISO 4217: Canadian dollar
    languages = ("en", "fr-ca")
    time_zone = "America/Toronto"
    addresses = addresses("greenbutton.wellandhydro.com")


WELLAND = Welland()
