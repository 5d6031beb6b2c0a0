"""docs/adding-a-utility.md holds: a utility that follows the standard is added by declaring it, and nothing else.

Welland Hydro, which is on a platform that is known, runs through all journeys (customers.PROFILES). Here a made-up
utility is declared on the standard's own class, as the page says, and a customer connects it and sees two years of data.
"""

import inspect

import pytest
from django.core.management import CommandError, call_command

import utilities
from espi.models import FetchJob, IntervalBlock, Notification, UsageSummary
from tests.journeys.conftest import World
from tests.journeys.customers import Profile, essex
from tests.journeys.test_first_data import connect, delivered, stored
from utilities.addresses import Addresses
from utilities.base import Environment, Regulator, Utility
from utilities.sandbox import meters, utilityapi, utilityapi_utilities
from utilities.utilityapi import CATALOGUE

pytestmark = pytest.mark.django_db
SITE = "https://greenbutton.lakeside.example"


# --- The declaration: this is all there is ----------------------------------------------------------------------------


class Lakeside(Utility):
    """Follows ESPI 4.0 and RFC 6749 to the letter; repeats a request after a 202."""

    slug = "lakeside"
    name = long_name = "Lakeside Electric"
    area = "The villages around the lake"
    website = SITE
    help_words = "Your bill says Lakeside Electric."
    leaving_help = "Have your latest bill at hand."
    stopping_help = "You can end it on the site of Lakeside Electric too."
    time_zone = "America/Toronto"
    regulator = Regulator("Energy board of the lake", "https://board.example/complain", "555-0100")
    currency = 124
    country = "CA"
    announces_batches = False
    catalogue = CATALOGUE
    requested_blocks = {"usage": ("4",), "billing": ("16",), "customer": ("51",)}
    granting_blocks = {name: frozenset(blocks) for name, blocks in requested_blocks.items()}
    addresses = {
        (Environment.PRODUCTION.value, ""): Addresses(
            f"{SITE}/oauth/authorize",
            f"{SITE}/oauth/token",
            "https://utilityapi.com/DataCustodian/espi/1_1/resource",
        )
    }


# --- Its side, played by the sandbox ----------------------------------------------------------------------------------

PLAYED = utilityapi_utilities.Utility(
    slug="lakeside",
    utility_id="LAKESIDE",
    name="Lakeside Electric",
    portal_host="greenbutton.lakeside.example",
    currency=124,
    zone="America/Toronto",
    tariff=meters.Tariff(80_000, 12_000),
    scenarios=utilityapi_utilities._published_scenarios("lakeside"),
    city="LAKESIDE",
    region="ON",
    postal_code="N0N 0N0",
)
CUSTOMER = Profile("lakeside", "", "111111111-1|100.0|2023-07-01", essex)


@pytest.fixture
def added(monkeypatch):
    """A world in which there is one more utility on both sides."""
    known = utilities.all()
    monkeypatch.setattr(utilities, "all", lambda: (*known, Lakeside()))
    table = (*utilityapi_utilities.TABLE, PLAYED)
    monkeypatch.setattr(utilityapi_utilities, "TABLE", table)
    for index, key in (("BY_SLUG", "slug"), ("BY_ID", "utility_id"), ("BY_HOST", "portal_host")):
        monkeypatch.setattr(utilityapi_utilities, index, {getattr(each, key): each for each in table})
    monkeypatch.setitem(utilityapi.UTILITIES, PLAYED.slug, PLAYED.name)
    monkeypatch.setitem(utilityapi.HOSTS, PLAYED.portal_host, PLAYED.slug)


@pytest.fixture
def lakeside(added, request):
    """That world, its portal and sandbox connected."""
    return request.getfixturevalue("world")


def test_a_utility_that_follows_the_standard_needs_nothing_but_its_declaration(lakeside: World, capsys):
    call_command("check_utility", "lakeside")
    said = capsys.readouterr().out
    assert "lakeside sandbox (offered to customers)" in said
    assert "nothing is missing" in said
    held = connect(lakeside, CUSTOMER, "usage", "billing")
    lakeside.work()
    assert list(FetchJob.objects.exclude(state="done").values_list("kind", "state", "reason")) == []
    assert not Notification.objects.exclude(state="resolved").exists()
    sent = delivered(lakeside)
    assert sent
    assert stored(held) == sent
    assert IntervalBlock.objects.count() > 700
    assert UsageSummary.objects.exists()


def test_what_a_declaration_lacks_is_told_by_name(monkeypatch):
    class Nameless(Utility):
        slug = "nameless"

    monkeypatch.setattr(utilities, "get", lambda slug: Nameless())
    with pytest.raises(CommandError, match=r"lacks: name, long_name, .*regulator.*addresses"):
        call_command("check_utility", "nameless")


def test_the_declaration_has_few_lines():
    lines = [line for line in inspect.getsource(Lakeside).splitlines() if line.strip()]
    assert len(lines) <= 28
    functions = [name for name, value in vars(Lakeside).items() if callable(value) and not name.startswith("__")]
    assert functions == []
