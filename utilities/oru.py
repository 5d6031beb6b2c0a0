"""Orange & Rockland, on Con Edison's platform: another web site, another registration."""

from django.utils.translation import gettext_noop as _

from utilities.base import PostalArea
from utilities.coned import ConEdison, addresses

NEW_JERSEY = _(
    "In the north of New Jersey the company is Rockland Electric. It belongs to Orange & Rockland: if your bill says so, "
    "try Orange & Rockland here."
)


class OrangeAndRockland(ConEdison):
    """Rockland and Orange counties."""

    slug = "oru"
    name = "Orange & Rockland"
    long_name = "Orange & Rockland (O&R)"
    area = _("Orange, Rockland and part of Sullivan counties, New York")
    website = "https://www.oru.com/"
    help_words = _("Your bill says Orange & Rockland or O&R. You need your oru.com sign-in.")
    # Rockland, Orange and part of Sullivan; Rockland Electric is its company in New Jersey. A hint, never a decision.
    postal_areas = (
        PostalArea(("109", "12729", "12771", "12780")),
        PostalArea(
            ("10992", "10996", "127", "12518", "12543", "12549", "12566", "12577"),
            is_usual=False,
            words=_("Here it may also be Central Hudson or NYSEG, which are not here. Look at your bill."),
        ),
        PostalArea(
            (
                "07401",
                "07417",
                "07430",
                "07432",
                "07436",
                "07446",
                "07456",
                "07458",
                "07461",
                "07463",
                "07480",
                "07481",
            ),
            is_usual=False,
            words=NEW_JERSEY,
        ),
        PostalArea(
            ("07620", "07624", "07627", "07640", "07645", "07647", "07648", "07656", "07675", "07676", "07677"),
            is_usual=False,
            words=NEW_JERSEY,
        ),
    )
    addresses = addresses("oru.com")


ORU = OrangeAndRockland()
