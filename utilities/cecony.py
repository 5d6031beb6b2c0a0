"""Con Edison, the Consolidated Edison Company of New York."""

from utilities.coned import ConEdison, addresses


class Cecony(ConEdison):
    """New York City and Westchester."""

    slug = "cecony"
    name = "Con Edison"
    long_name = "Con Edison (CECONY)"
    area = "New York City and Westchester County, New York"
    website = "https://www.coned.com/"
    help_words = "Your bill says Con Edison or conEd. You need your coned.com sign-in."
    addresses = addresses("coned.com")


CECONY = Cecony()
