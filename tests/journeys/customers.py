"""What a customer does on each utility's own pages, from its first page to the redirect back."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.journeys.browser import Browser

PASSWORD = "green-button"


def con_edison_v1(browser: Browser, who: str) -> None:
    """Sign in, choose account and dates, come back to the portal's check page, agree, and let the utility finish."""
    sign_in(browser, who)
    browser.press("Continue to the third party", terms="yes")
    browser.press("Agree and continue")
    browser.press("Continue to")


def con_edison_v2(browser: Browser, who: str) -> None:
    """Sign in and authorize everything that was asked."""
    sign_in(browser, who)
    browser.press("Authorize")


def sign_in(browser: Browser, who: str) -> None:
    """The utilities' shared sign-in page, unless the utility still knows this browser."""
    if browser.page.xpath("//input[@name='username']"):
        browser.press("Sign in", username=who, password=PASSWORD)


def pge(browser: Browser, who: str) -> None:
    """Sign in, and authorize every data group of every service agreement."""
    sign_in(browser, who)
    browser.press("Share my data", terms="yes")


def essex(browser: Browser, who: str) -> None:
    """Say what the latest bill says, and authorize."""
    account, amount, day = who.split("|")
    browser.press("Find my account", account=account, amount=amount, date=day)
    browser.press("Authorize")


@dataclass(frozen=True)
class Profile:
    """One way to connect: a utility, an edition of its contract, a customer of the sandbox.

    `who` has hourly readings: most journeys are about something else than their number.
    """

    slug: str
    edition: str
    who: str
    approve: Callable[[Browser, str], None]

    @property
    def with_most_data(self) -> "Profile":
        """The same way, for a customer with electricity every quarter of an hour and gas, where the utility has both."""
        return self if "|" in self.who else replace(self, who="home@example.com")

    def __str__(self) -> str:
        return f"{self.slug}-{self.edition}" if self.edition else self.slug


CECONY_V1 = Profile("cecony", "v1", "hourly@example.com", con_edison_v1)
CECONY_V2 = Profile("cecony", "v2", "hourly@example.com", con_edison_v2)
ORU = Profile("oru", "v1", "hourly@example.com", con_edison_v1)
PGE = Profile("pge", "", "hourly@example.com", pge)
ESSEX = Profile("essex", "", "111111111-1|100.0|2023-07-01", essex)
WELLAND = Profile("welland", "", "111111111-1|100.0|2023-07-01", essex)
PROFILES = (CECONY_V1, CECONY_V2, ORU, PGE, ESSEX, WELLAND)
