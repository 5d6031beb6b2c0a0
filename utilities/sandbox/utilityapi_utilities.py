"""The utilities on the UtilityAPI platform. Another one is one more entry of TABLE.

Source: https://utilityapi.com/docs/utilities/essex (and the page of each utility).
"""

from dataclasses import dataclass, replace
from datetime import date

from utilities.sandbox import meters, people


@dataclass(frozen=True)
class Scenario:
    """One test account of a utility's published sandbox table; `meter` is None where no customer must be found.

    `amount` and `bill_date` are what the look-up asks for, as the utility prints them.
    """

    name: str  # without the "test_" its test account has
    account: str
    amount: str
    bill_date: str
    about: str
    customer: str = ""
    meter: meters.Meter | None = None


@dataclass(frozen=True)
class Utility:
    """One utility: `zone` is its customers' time zone, `currency` ISO 4217 of its bills."""

    slug: str
    utility_id: str
    name: str
    portal_host: str
    currency: int
    zone: str
    tariff: meters.Tariff
    scenarios: tuple[Scenario, ...]
    city: str
    region: str
    postal_code: str
    reading_currency: int = 840  # the platform's test data carry US dollars whatever the country
    offset: int = -18000  # seconds east of UTC in winter
    public_client: str = ""

    def scenario(self, name: str) -> Scenario | None:
        """The scenario of a test account such as `test_residential`."""
        return next((one for one in self.scenarios if f"test_{one.name}" == name), None)


ONTARIO = "America/Toronto"


def _meter(slug: str, name: str, daily: int, profile: str = "home") -> meters.Meter:
    seed = f"{slug}/test_{name}"
    return meters.Meter(
        f"E{sum(map(ord, seed)) * 7919 % 10**8:08d}", seed, "electricity", 3600, daily, profile, zone=ONTARIO
    )


def _published_scenarios(slug: str) -> tuple[Scenario, ...]:
    """The table Essex Powerlines publishes: account, last bill amount and date, outcome."""
    home, shop = _meter(slug, "residential", 21_000), _meter(slug, "commercial", 185_000, "office")
    return (
        Scenario(
            "residential", "111111111-1", "100.0", "2023-07-01", "A home with one electric service", "Rita Test", home
        ),
        Scenario(
            "commercial",
            "222222222-2",
            "200.0",
            "2023-07-02",
            "A business with one electric service",
            "Corner Shop",
            shop,
        ),
        Scenario("badlogin", "333333333-3", "300.0", "2023-07-03", "Nobody is found, whatever is entered"),
    )


TABLE: tuple[Utility, ...] = (
    Utility(
        slug="essex",
        utility_id="ESSEX",
        name="Essex Powerlines",
        portal_host="greenbutton.essexpowerlines.ca",
        currency=124,
        zone=ONTARIO,
        tariff=people.PLACES["essex"].electric,
        scenarios=_published_scenarios("essex"),
        city="LEAMINGTON",
        region="ON",
        postal_code="N8H 1A1",
        public_client="ESSEX_ccccccccc",
    ),
    Utility(
        slug="welland",
        utility_id="WELLAND",
        name="Welland Hydro",
        portal_host="greenbutton.wellandhydro.com",
        currency=124,
        zone=ONTARIO,
        tariff=meters.Tariff(79_000, 12_100),
        scenarios=_published_scenarios("welland"),
        city="WELLAND",
        region="ON",
        postal_code="L3B 3W6",
    ),
)
BY_SLUG = {utility.slug: utility for utility in TABLE}
BY_ID = {utility.utility_id: utility for utility in TABLE}
BY_HOST = {utility.portal_host: utility for utility in TABLE}


@dataclass(frozen=True)
class Customer:
    """Somebody the platform can find: a test account, or a customer of the utility who is real to the sandbox."""

    username: str
    name: str
    account: people.Account
    about: str
    test: bool


def customers(utility: Utility, born: int) -> list[Customer]:
    """Test accounts first, then those that only a third party in Live mode may ask for."""
    found = [_test_customer(utility, one) for one in utility.scenarios if one.meter]
    cast = people.people(utility.slug, born) if utility.slug in people.PLACES else ()
    for person in cast:
        found += [Customer(person.username, person.name, one, person.about, test=False) for one in person.accounts]
    return found


def _test_customer(utility: Utility, scenario: Scenario) -> Customer:
    meter = scenario.meter
    number = f"8{sum((place + 3) * ord(letter) for place, letter in enumerate(scenario.account)):05d}"
    service = people.Service(number, "electricity", (meter,), utility.tariff, 1, "Electricity")  # type: ignore[arg-type]
    place = ("12 SAMPLE AVE", utility.city, utility.region, utility.postal_code)
    account = people.Account(scenario.account, *place, (service,))
    return Customer(f"test_{scenario.name}", scenario.customer, account, scenario.about, test=True)


def find(utility: Utility, number: str, born: int) -> Customer | None:
    """The customer with this account number; ``load1@example.com`` and so on for trials with many customers."""
    if (
        utility.slug in people.PLACES
        and people.LOAD.fullmatch(number)
        and (many := people.find(utility.slug, number, born))
    ):
        account = replace(many.accounts[0], number=number)
        return Customer(many.username, many.name, account, many.about, test=True)
    return next((one for one in customers(utility, born) if one.account.number == number), None)


def last_bill(utility: Utility, customer: Customer, now: float) -> tuple[str, str] | None:
    """Amount and date of the latest bill as the look-up asks for them, or None when there has been no bill."""
    for scenario in utility.scenarios:
        if scenario.account == customer.account.number:
            return scenario.amount, scenario.bill_date
    service = customer.account.services[0]
    start = max(meters.history_start(now, utility.zone, 70), customer.account.opened or 0)
    bills = meters.bills(service.meters, service.tariff, service.cycle_day, start, int(now))
    if not bills:
        return None
    day: date = meters.local_day(bills[-1].end, utility.zone)
    return f"{bills[-1].cost // 100_000}.{bills[-1].cost // 1000 % 100:02d}", day.isoformat()
