"""Essex Powerlines, Ontario, on the UtilityAPI platform (utilityapi.com/docs/utilities/essex)."""

from utilities.base import Regulator
from utilities.utilityapi import UtilityAPI, addresses


class Essex(UtilityAPI):
    """Customers prove who they are with the account number, date and amount of their latest bill."""

    slug = "essex"
    name = "Essex Powerlines"
    long_name = "Essex Powerlines"
    area = "Amherstburg, LaSalle, Leamington and Tecumseh, Ontario"
    website = "https://greenbutton.essexpowerlines.ca/"
    help_words = "Your bill says Essex Powerlines."
    leaving_help = "Have your latest bill at hand: you are asked for its account number, date and amount."
    regulator = Regulator("Ontario Energy Board", "https://www.oeb.ca/contact-us", "1-877-632-2727")
    country = "CA"
    currency = 124  # ISO 4217: Canadian dollar
    languages = ("en", "fr-ca")
    time_zone = "America/Toronto"
    addresses = addresses("greenbutton.essexpowerlines.ca")


ESSEX = Essex()
