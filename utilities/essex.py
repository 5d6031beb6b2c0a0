"""Essex Powerlines, Ontario, on the UtilityAPI platform (utilityapi.com/docs/utilities/essex)."""

from django.utils.translation import gettext_noop as _

from utilities.base import PostalArea
from utilities.utilityapi import ONTARIO_ENERGY_BOARD, UtilityAPI, addresses


class Essex(UtilityAPI):
    """Customers prove who they are with the account number, date and amount of their latest bill."""

    slug = "essex"
    name = "Essex Powerlines"
    long_name = "Essex Powerlines"
    area = _("Amherstburg, LaSalle, Leamington and Tecumseh, Ontario")
    website = "https://greenbutton.essexpowerlines.ca/"
    help_words = _("Your bill says Essex Powerlines.")
    leaving_help = _("Have your latest bill at hand: you are asked for its account number, date and amount.")
    # Its four towns; around them is Hydro One, in Windsor Enwin. A hint, never a decision.
    postal_areas = (
        PostalArea(("N9V", "N9J", "N8H", "N8N")),
        PostalArea(
            ("N9H", "N9K", "N8P", "N0R", "N0P"),
            is_usual=False,
            words=_("Here it may also be Hydro One or Enwin, which are not here. Look at your bill."),
        ),
    )
    country = "CA"
    regulator = ONTARIO_ENERGY_BOARD
    currency = 124  # ISO 4217: Canadian dollar
    languages = ("en", "fr-ca")
    time_zone = "America/Toronto"
    addresses = addresses("greenbutton.essexpowerlines.ca")


ESSEX = Essex()
