"""Environments test and production at the utilities' own host names: a stand-in there needs configuration, no code.

The sandbox plays it, by its Host header. Nothing answers at its own addresses, so a call to them would fail.
"""

import contextlib
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command

from espi import session as espi_session
from espi.models import ApplicationInformation, Authorization, FetchJob
from tests.journeys.browser import Browser, origin
from tests.journeys.conftest import PASSWORD, PORTAL, World
from tests.journeys.customers import CECONY_V1, CECONY_V2, ESSEX, ORU, PGE, Profile
from tests.journeys.test_first_data import delivered, stored
from tests.wsgi_adapter import WsgiAdapter
from utilities.sandbox.app import register_forms

API = {"production": "https://api.coned.com", "test": "https://apit.coned.com"}
CONNECTIONS = "/accounts-billing/dashboard/billing-and-usage/share-my-data-connections/third-party-authorization"
V1_TOKEN, V2_TOKEN = "/gbc/v1/oauth/v1/Token", "/gbc/espi/1_1/oauth/Token"
V1_RESOURCES, V2_RESOURCES = "/gbc/v1/resource/", "/gbc/espi/1_1/resource/"
UTILITY_API = "https://utilityapi.com/DataCustodian/espi/1_1/resource/"
ESSEX_PORTAL = "https://greenbutton.essexpowerlines.ca/oauth"
PGE_API = "https://api.pge.com"
# Profile, environment: the address customers leave for first, the token endpoint, what every resource begins with.
PLACES: dict[tuple[Profile, str], tuple[str, str, str]] = {
    (CECONY_V1, "production"): (f"https://www.coned.com{CONNECTIONS}", V1_TOKEN, V1_RESOURCES),
    (CECONY_V1, "test"): (f"https://uat10-core.coned.com/en{CONNECTIONS}", V1_TOKEN, V1_RESOURCES),
    (CECONY_V2, "production"): ("https://www.coned.com/en/oauth/authorize", V2_TOKEN, V2_RESOURCES),
    (CECONY_V2, "test"): ("https://uat10.coned.com/en/oauth/authorize", V2_TOKEN, V2_RESOURCES),
    (ORU, "production"): (f"https://www.oru.com{CONNECTIONS}", V1_TOKEN, V1_RESOURCES),
    (ORU, "test"): (f"https://uat10-core.oru.com/en{CONNECTIONS}", V1_TOKEN, V1_RESOURCES),
    (PGE, "production"): (
        "https://sharemydata.pge.com/myAuthorization",
        f"{PGE_API}/datacustodian/oauth/v2/token",
        f"{PGE_API}/GreenButtonConnect/espi/1_1/resource/",
    ),
    (ESSEX, "production"): (f"{ESSEX_PORTAL}/authorize", f"{ESSEX_PORTAL}/token", UTILITY_API),
    (ESSEX, "test"): (f"{ESSEX_PORTAL}/authorize", f"{ESSEX_PORTAL}/token", UTILITY_API),
}
PGE_TEST = (f"{PGE_API}/datacustodian/test/oauth/v2/authorize", f"{PGE_API}/datacustodian/test/oauth/v2/token")


class Listening(WsgiAdapter):
    """Keeps every address that was called, without its query, and which certificate files went along."""

    def __init__(self, program) -> None:
        super().__init__(program)
        self.called: list[str] = []
        self.certificates: set = set()

    def send(self, request, stream=False, timeout=None, verify=True, cert=None, proxies=None):
        self.called.append(request.url.partition("?")[0])
        self.certificates.add(cert)
        return super().send(request, stream, timeout, verify, cert, proxies)


class RealNames:
    """The portal with the sandbox at the utilities' own names: `pages` is what browsers reach, `calls` what we call."""

    def __init__(self, world: World, folder) -> None:
        self.world, self.folder = world, folder
        self.pages, self.calls = Listening(world.app), Listening(world.app)
        self.origins = [f"https://{host}" for host in world.sandbox.hosts]

    def onboard(self, environment: str) -> None:
        """The forms and the answers of one environment, as with a real utility."""
        forms, welcome = self.folder / "real-forms.json", self.folder / "real-welcome.json"
        call_command("registration_form", environment=environment, output=str(forms), verbosity=0)
        welcome.write_text(json.dumps(register_forms(self.world.sandbox, json.loads(forms.read_text()))))
        call_command("load_welcome_package", str(welcome), verbosity=0)

    def signed_in(self) -> Browser:
        """A customer whose browser reaches the portal and the real names, and nothing else."""
        self.world.user()
        browser = Browser({PORTAL: self.world.portal_adapter, **dict.fromkeys(self.origins, self.pages)})
        browser.get(f"{PORTAL}/account/login/")
        return browser.press("Sign in", login="ada@example.com", password=PASSWORD)

    def leave(self, profile: Profile, environment: str, *chosen: str) -> Browser:
        """Offer one registration, and go through the portal's pages up to the utility's first one."""
        self.onboard(environment)
        call_command("offer_utility", *filter(None, (profile.slug, environment, profile.edition)), verbosity=0)
        browser = self.signed_in()
        return self.world.to_utility(browser, profile.slug, *chosen)


@pytest.fixture
def real(world, tmp_path) -> Iterator[RealNames]:
    """Our own calls reach the real names only: the sandbox's addresses are taken away."""
    names = RealNames(world, tmp_path)
    with contextlib.ExitStack() as stack:
        taken = [*espi_session._mounted]
        espi_session._mounted.clear()
        stack.callback(espi_session._mounted.extend, taken)
        for name in names.origins:
            stack.enter_context(espi_session.mounted(name, names.calls))
        yield names


def plain(trail: list[str]) -> list[str]:
    return [address.partition("?")[0] for address in trail]


def absolute(place: str, environment: str) -> str:
    return place if place.startswith("https:") else f"{API[environment]}{place}"


@pytest.mark.parametrize(("profile", "environment"), PLACES, ids=lambda value: str(value))
def test_every_step_to_stored_readings_is_at_the_utilitys_own_names(real, profile, environment):
    first, token, resources = PLACES[profile, environment]
    browser = real.leave(profile, environment)
    profile.approve(browser, profile.who)
    assert browser.heading == "You are connected", browser.text
    real.world.work()
    assert not FetchJob.objects.exclude(state="done").exists()
    assert stored(Authorization.objects.get()) == delivered(real.world) != {}
    left_for = next(address for address in browser.trail if not address.startswith(PORTAL))
    assert left_for.partition("?")[0] == first
    if profile.edition == "v1":
        assert f"{first}/redirect" in plain(browser.trail)
    assert_hosts(browser, real, profile, environment)
    tokens = [address for address in real.calls.called if address.lower().endswith("/token")]
    assert set(tokens) == {absolute(token, environment)}
    others = [address for address in real.calls.called if address not in tokens]
    assert others
    assert all(address.startswith(absolute(resources, environment)) for address in others), others


def assert_hosts(browser: Browser, real: RealNames, profile: Profile, environment: str) -> None:
    """Beside the portal a browser was at this utility's pages only, and everything else was https there too."""
    first, token, resources = PLACES[profile, environment]
    visited = {origin(address) for address in browser.trail} - {PORTAL}
    assert visited == {origin(first)}
    wanted = {origin(absolute(place, environment)) for place in (token, resources)}
    assert {origin(address) for address in real.calls.called} == wanted
    app = ApplicationInformation.objects.get(utility=profile.slug, environment=environment, edition=profile.edition)
    ours = (app.client_certificate_path, app.client_key_path) if profile == PGE else None
    assert real.calls.certificates == {ours}
    assert all(urlsplit(address).scheme == "https" for address in (*real.pages.called, *real.calls.called))


def test_pges_test_of_its_oauth_endpoints_ends_at_tokens_that_open_nothing(real):
    """Its test environment has no customers: the authorize address answers at once, with a code for dummy tokens."""
    browser = real.leave(PGE, "test")
    assert browser.heading == "You are connected, but nothing is shared"
    authorize, token = PGE_TEST
    assert [address for address in plain(browser.trail) if not address.startswith(PORTAL)] == [authorize]
    assert real.calls.called == [token]
    assert Authorization.objects.get().data_granted == []
    assert not FetchJob.objects.exclude(kind=FetchJob.Kind.AUTHORIZATION).exists()
    browser.get(f"{PORTAL}/dashboard")
    assert "we have asked for nothing" in browser.text


def start_at_con_edison(browser: Browser, profile: Profile) -> None:
    """Sign in at the utility, choose us, choose account and dates, and be sent to our scope-selection page."""
    browser.press("Sign in", username=profile.who, password="green-button")
    browser.press("Continue to the third party", terms="yes")
    if "Which company" in browser.heading:
        browser.press("Continue", utility=profile.slug)


@pytest.mark.parametrize(
    ("profile", "environment"), [(CECONY_V1, "test"), (ORU, "production"), (PGE, "production")], ids=str
)
def test_customers_who_start_at_the_utilitys_own_site_come_through_it_again(real, profile, environment):
    real.onboard(environment)
    call_command("offer_utility", *filter(None, (profile.slug, environment, profile.edition)), verbosity=0)
    app = ApplicationInformation.objects.get(utility=profile.slug, environment=environment, edition=profile.edition)
    browser = real.signed_in()
    first = PLACES[profile, environment][0]
    if profile == PGE:
        browser.get("https://sharemydata.pge.com/").press("Continue")
    else:
        browser.get(f"{first}?ThirdPartyId={app.third_party_id}")
        start_at_con_edison(browser, profile)
    browser.press("Continue", kinds=["usage"])
    browser.press("Agree and continue")
    browser.press("Continue to")
    if profile == PGE:
        PGE.approve(browser, PGE.who)
    assert browser.heading == "You are connected", browser.text
    assert (first if profile == PGE else f"{first}/redirect") in plain(browser.trail)
    real.world.work()
    assert stored(Authorization.objects.get()) == delivered(real.world) != {}
    assert_hosts(browser, real, profile, environment)
