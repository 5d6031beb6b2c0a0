"""The utilities' customers: who can sign in, their accounts, services and meters. All of them are made up."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from utilities.sandbox.meters import Meter, Tariff

PASSWORD = "green-button"  # noqa: S105 -- the demo password, shown on the sandbox's own pages
YEAR = 365 * 86400


@dataclass(frozen=True)
class Service:
    """One service at one place (a usage point): meters follow each other in time."""

    id: str
    kind: str  # "electricity" or "gas"
    meters: tuple[Meter, ...]
    tariff: Tariff
    cycle_day: int
    name: str = ""

    @property
    def meter(self) -> Meter:
        """The meter in place now."""
        return self.meters[-1]


@dataclass(frozen=True)
class Account:
    """One customer account: ``opened`` is None for one with all its history, else an epoch second."""

    number: str
    street: str
    city: str
    state: str
    postal_code: str
    services: tuple[Service, ...]
    opened: int | None = None
    meter_account: str = ""  # ConEd's MAID: 12 digits


@dataclass(frozen=True)
class Person:
    """A customer who can sign in at one utility."""

    utility: str
    username: str
    name: str
    accounts: tuple[Account, ...]
    about: str
    phone: str = "555-0100"
    guest: bool = False


@dataclass(frozen=True)
class Place:
    """What a utility's customers have in common."""

    utility: str
    zone: str
    prefix: str  # leading digits of account numbers
    digits: int
    city: str
    state: str
    postal_code: str
    electric: Tariff
    gas: Tariff


EAST, WEST, ONTARIO = "America/New_York", "America/Los_Angeles", "America/Toronto"
PLACES = {
    "cecony": Place(
        "cecony", EAST, "41", 15, "NEW YORK", "NY", "10003", Tariff(65_000, 27_400), Tariff(91_000, 168_000, 100_000)
    ),
    "oru": Place(
        "oru", EAST, "62", 15, "PEARL RIVER", "NY", "10965", Tariff(62_000, 21_900), Tariff(72_000, 139_000, 100_000)
    ),
    "pge": Place(
        "pge",
        WEST,
        "35",
        10,
        "OAKLAND",
        "CA",
        "94607",
        Tariff(38_000, 36_100, credit=6_200),
        Tariff(12_000, 241_000, 100_000),
    ),
    "essex": Place(
        "essex",
        ONTARIO,
        "80",
        9,
        "LEAMINGTON",
        "ON",
        "N8H 1A1",
        Tariff(81_000, 11_300),
        Tariff(70_000, 96_000, 100_000),
    ),
}

Builder = Callable[[Place, str, int], tuple[Account, ...]]


def _number(place: Place, seed: str, length: int | None = None) -> str:
    """A number that depends on the name only, with the place's leading digits."""
    length = length or place.digits
    figure = 0
    for letter in f"{place.utility}/{seed}":
        figure = (figure * 131 + ord(letter)) % 10**12
    return place.prefix + str(figure).zfill(12)[-(length - len(place.prefix)) :].zfill(length - len(place.prefix))


def _meter(place: Place, seed: str, commodity: str, length: int, daily: int, **more: object) -> Meter:
    serial = ("G" if commodity == "gas" else "E") + _number(place, f"{seed}/serial", 9)
    return Meter(serial, f"{place.utility}/{seed}", commodity, length, daily, zone=place.zone, **more)  # type: ignore[arg-type]


def _service(place: Place, seed: str, kind: str, *meters: Meter) -> Service:
    number = _number(place, f"{seed}/service", 10)
    tariff = place.gas if kind == "gas" else place.electric
    return Service(number, kind, meters, tariff, int(number[-2:]) % 27 + 1, "Gas" if kind == "gas" else "Electricity")


def _account(place: Place, seed: str, street: str, *services: Service, opened: int | None = None) -> Account:
    maid = _number(place, f"{seed}/maid", 12)
    return Account(_number(place, seed), street, place.city, place.state, place.postal_code, services, opened, maid)


def _home(place: Place, seed: str, born: int) -> tuple[Account, ...]:
    electricity = _meter(place, f"{seed}/e", "electricity", 3600 if place.utility == "essex" else 900, 19_500)
    services = [_service(place, f"{seed}/e", "electricity", electricity)]
    if place.utility != "essex":  # Essex Powerlines delivers electricity only
        gas = _meter(place, f"{seed}/g", "gas", 3600, 210_000, profile="gas")
        services.append(_service(place, f"{seed}/g", "gas", gas))
    return (_account(place, seed, "1 EXAMPLE ST APT 2", *services),)


def _solar(place: Place, seed: str, born: int) -> tuple[Account, ...]:
    meter = _meter(place, f"{seed}/e", "electricity", 3600 if place.utility == "essex" else 900, 24_000, solar=21_000)
    return (_account(place, seed, "22 SUNNY LN", _service(place, f"{seed}/e", "electricity", meter)),)


def _business(place: Place, seed: str, born: int) -> tuple[Account, ...]:
    accounts = []
    for shop, daily in enumerate((310_000, 145_000), start=1):
        length = 3600 if place.utility == "essex" else 300
        meter = _meter(place, f"{seed}/{shop}/e", "electricity", length, daily, profile="office")
        service = _service(place, f"{seed}/{shop}/e", "electricity", meter)
        accounts.append(_account(place, f"{seed}/{shop}", f"{shop}00 MARKET PLAZA", service))
    return tuple(accounts)


def _hourly(place: Place, seed: str, born: int) -> tuple[Account, ...]:
    meter = _meter(place, f"{seed}/e", "electricity", 3600, 14_800)
    return (_account(place, seed, "7 BROOK RD", _service(place, f"{seed}/e", "electricity", meter)),)


def _empty(place: Place, seed: str, born: int) -> tuple[Account, ...]:
    meter = _meter(place, f"{seed}/e", "electricity", 900, 12_000, installed=born + 50 * YEAR)
    service = _service(place, f"{seed}/e", "electricity", meter)
    return (_account(place, seed, "9 NEW HOUSE CT", service, opened=born),)


def _swapped(place: Place, seed: str, born: int) -> tuple[Account, ...]:
    """A meter replaced nine months before the sandbox first started, at a whole hour in the morning."""
    at = (born - 270 * 86400) // 86400 * 86400 + 15 * 3600
    length = 3600 if place.utility == "essex" else 900
    old = _meter(place, f"{seed}/old", "electricity", length, 17_200, removed=at)
    new = _meter(place, f"{seed}/new", "electricity", length, 17_200, installed=at)
    return (_account(place, seed, "315 OLD MILL RD", _service(place, f"{seed}/e", "electricity", old, new)),)


CAST: tuple[tuple[str, str, Builder, str], ...] = (
    ("home", "Maria Santos", _home, "a flat: electricity every 15 minutes and gas every hour"),
    ("solar", "Samuel Okafor", _solar, "a house with solar panels, feeds electricity back"),
    ("business", "Lin Chen", _business, "two shops, two accounts, electricity every 5 minutes"),
    ("hourly", "Ruth Abrams", _hourly, "a house with an hourly meter"),
    ("empty", "Tom Newman", _empty, "has just moved in: no readings and no bills yet"),
    ("swapped", "Priya Patel", _swapped, "the electricity meter was replaced, same service"),
)
LOAD = re.compile(r"load(\d{1,6})@example\.com")


def people(utility: str, born: int) -> tuple[Person, ...]:
    """Everybody who can sign in at a utility; ``born`` is when this sandbox first started (epoch seconds)."""
    place = PLACES.get(utility)
    if place is None:
        return ()
    cast = (
        CAST
        if utility != "essex"
        else tuple((*row[:3], row[3].replace("15 minutes and gas every ", "")) for row in CAST)
    )
    return tuple(
        Person(utility, f"{seed}@example.com", name, build(place, seed, born), about)
        for seed, name, build, about in cast
    )


def find(utility: str, username: str, born: int) -> Person | None:
    """The person with this login; ``load1@example.com`` and so on exist for trials with many customers."""
    username = username.strip().lower()
    if match := LOAD.fullmatch(username):
        seed = f"load{int(match[1])}"
        about = "one of many alike, for trials under load"
        return Person(utility, username, f"Customer {int(match[1])}", _home(PLACES[utility], seed, born), about)
    return next((person for person in people(utility, born) if person.username == username), None)


def account(person: Person, number: str) -> Account | None:
    """The person's account with this number."""
    return next((one for one in person.accounts if one.number == number), None)
