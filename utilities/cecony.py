"""Con Edison, the Consolidated Edison Company of New York."""

from django.utils.translation import gettext_noop as _

from utilities.base import PostalArea
from utilities.coned import ConEdison, addresses


class Cecony(ConEdison):
    """New York City and Westchester."""

    slug = "cecony"
    name = "Con Edison"
    long_name = "Con Edison (CECONY)"
    area = _("New York City and Westchester County, New York")
    website = "https://www.coned.com/"
    help_words = _("Your bill says Con Edison or conEd. You need your coned.com sign-in.")
    # The five boroughs but the Rockaways, and Westchester but its north-east. ZIP codes are a hint, never a decision.
    postal_areas = (
        PostalArea(("100", "101", "102", "103", "104", "112", "113", "114", "107", "108", "11101", "11102", "11103")),
        PostalArea(("11104", "11105", "11106", "11109", "11001", "11004", "11005", "106")),
        PostalArea(
            ("105",),
            words=_(
                "In the north and east of Westchester the company may be NYSEG, which is not here. Look at your bill."
            ),
        ),
        PostalArea(
            ("116",),
            is_usual=False,
            words=_("In the Rockaways the company is mostly PSEG Long Island, which is not here. Look at your bill."),
        ),
    )
    addresses = addresses("coned.com")


CECONY = Cecony()
