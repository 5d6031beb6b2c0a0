"""Orange & Rockland, on Con Edison's platform: another web site, another registration."""

from utilities.coned import ConEdison, addresses


class OrangeAndRockland(ConEdison):
    """Rockland and Orange counties."""

    slug = "oru"
    name = "Orange & Rockland"
    long_name = "Orange & Rockland (O&R)"
    area = "Orange, Rockland and part of Sullivan counties, New York"
    website = "https://www.oru.com/"
    help_words = "Your bill says Orange & Rockland or O&R. You need your oru.com sign-in."
    addresses = addresses("oru.com")


ORU = OrangeAndRockland()
