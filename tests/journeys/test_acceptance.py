"""Acceptance tests against the sandbox, in process: every operation, every scenario, every hop, and the report."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.auth.models import Group
from django.db import DatabaseError, transaction
from django.urls import reverse

import utilities
from espi import session as espi_session
from espi.models import ApplicationInformation, Authorization, FetchJob, Notification
from portal import urls
from portal.acceptance import platforms, reports, running, scenarios, tracing
from portal.flows import fetch
from portal.models import AcceptanceHop, AcceptancePart, AcceptanceResult, AcceptanceTest, Circuit, StaffAccess
from tests.journeys.browser import Browser, origin
from tests.journeys.conftest import PASSWORD, PORTAL, World
from tests.journeys.customers import CECONY_V1, CECONY_V2, ESSEX, PGE, PROFILES, Profile, sign_in
from tests.journeys.test_real_names import real
from tests.portal.people import totp_code

State = AcceptancePart.State
__all__ = ["real"]  # a fixture


@pytest.fixture(autouse=True)
def _known_at_once(monkeypatch):
    monkeypatch.setattr(tracing, "KNOWN_FOR", -1)


@pytest.fixture(autouse=True)
def _own_addresses_in_process(world):
    """The portal's own checks of its addresses reach it without sockets too."""
    with espi_session.mounted(PORTAL, world.portal_adapter):
        yield


class Tester:
    """Somebody with the tester role, his browser, and workers that take turns with the sandbox."""

    __test__ = False

    def __init__(self, world: World, profile: Profile, environment: str = "sandbox", browser=None) -> None:
        self.world, self.profile, self.who = world, profile, profile.who
        self.user = world.user("tester@example.com", is_staff=True)
        self.user.groups.add(Group.objects.get(name="tester"))
        secret = generate_totp_secret()
        TOTP.activate(self.user, secret)
        self.browser = browser or world.browser()
        self.browser.get(f"{PORTAL}/account/login/")
        self.browser.press("Sign in", login=self.user.email, password=PASSWORD)
        self.browser.press("Sign in", code=totp_code(secret))
        self.app = ApplicationInformation.objects.get(
            utility=profile.slug, edition=profile.edition, environment=environment
        )

    def begin(self) -> None:
        """As the overview lets him."""
        self.browser.get(f"{PORTAL}/testing/")
        self.browser.press(f"Begin the test of {self.app}")
        self.home = self.browser.url

    @property
    def test(self) -> AcceptanceTest:
        """The newest."""
        return AcceptanceTest.objects.latest("pk")

    @property
    def part(self) -> AcceptancePart:
        """The newest."""
        return AcceptancePart.objects.latest("pk")

    def start(self, words: str) -> Browser:
        """Press a button of the test's page."""
        self.browser.get(self.home)
        return self.browser.press(words)

    def walk(self, title: str, *, approve=None, **choices: list[str]) -> None:
        """Start a scenario that is walked, and walk it to the end of the utility's pages."""
        self.start(f": {title}")
        self.browser.press("Go on as the test customer", **choices)
        self.browser.press("Agree and continue")
        self.browser.press("Continue to")
        (approve or self.profile.approve)(self.browser, self.who)

    def work(self, rounds: int = 60) -> AcceptancePart:
        """Workers and sandbox take turns until the newest part is done."""
        part = self.part
        for _ in range(rounds):
            self.world.work()
            running.take_turn(part.pk, now=datetime.now(UTC) + timedelta(seconds=1))
            AcceptancePart.objects.filter(pk=part.pk).update(not_before=datetime.now(UTC))
            part.refresh_from_db()
            if part.state == State.DONE:
                break
        return part


@pytest.fixture
def tester(world, request) -> Tester:
    person = Tester(world, getattr(request, "param", CECONY_V1))
    person.begin()
    return person


each = pytest.mark.parametrize("tester", PROFILES, ids=str, indirect=True)


def told(part: AcceptancePart) -> str:
    """Everything that did not pass, for a failing test's message."""
    wrong = part.results.exclude(outcome="passed")
    return "\n".join([part.actual, *(f"{row.outcome}: {row.title}: {row.actual} {row.remedy}" for row in wrong)])


@each
def test_every_operation_of_the_list_passes_against_the_sandbox_and_no_secret_is_in_what_is_shown_of_it(tester):
    """One walk, the connectivity check, the checklist and the report: each takes a while, so they are looked at together."""
    tester.who = tester.profile.with_most_data.who
    tester.walk("Success, started here")
    walked = tester.work()
    assert walked.outcome == "passed", walked.actual
    every_hop_is_there(walked)
    tester.start("Check connectivity")
    tester.work()
    assert not without_sockets(tester.part), told(tester.part)
    # Con Edison's passes again, although files of the first time are announced late (V1) or kept for two days (V2).
    for _ in range(2 if tester.app.utility == "cecony" else 1):
        tester.start("Run the checklist")
        part = tester.work()
        assert part.outcome == "passed", told(part)
    every_operation_has_passed(tester, part)
    the_report_says_so_and_no_secret(tester)


def every_operation_has_passed(tester: Tester, part: AcceptancePart) -> None:
    listed = platforms.operations(tester.app)
    assert part.results.count() == len(listed)
    passed = part.results.filter(outcome="passed").count()
    optional = sum(each.if_there_is_one for each in listed)
    assert passed >= len(listed) - optional, told(part)
    for row in part.results.filter(outcome="passed").exclude(evidence={}):
        assert row.evidence["status"], row.title
    tester.browser.get(f"{PORTAL}/testing/parts/{part.public_id}")
    assert f"{len(listed)}" in tester.browser.text


def every_hop_is_there(part: AcceptancePart) -> None:
    ways = {hop["way"] for hop in reports.hops(part)}
    assert {"We asked the utility", "The test customer's browser"} <= ways
    assert ("The utility posted to us" in ways) == Notification.objects.exists()
    addresses = list(part.hops.values_list("address", flat=True))
    assert any("/OAuthCallBack/" in each for each in addresses)
    assert any(each.lower().endswith("/token") for each in addresses)
    assert any("/connect/leave/" in each for each in addresses)


def the_report_says_so_and_no_secret(tester: Tester) -> None:
    found = secrets_of(tester)
    assert len(found) > 8
    tester.browser.get(tester.home).press("Finish and write the report")
    assert tester.browser.heading == "Acceptance test report"
    table = tester.browser.raw("GET", f"{tester.browser.url}/csv").text
    everything = everything_shown(tester) + table + tester.browser.response.text + json.dumps(tester.test.report)
    for secret in found:
        assert secret not in everything, secret
    rows = list(csv.DictReader(io.StringIO(table)))
    listed = platforms.operations(tester.app)
    assert [row["item"] for row in rows if row["section"] == "checklist"] == [each.name for each in listed]
    assert {row["outcome"] for row in rows if row["section"] == "checklist"} <= {"Passed", "Not needed here"}


WORKED = ("ready_later", "throttled", "duplicate_notification", "late_notification", "expired_file", "revoked")


@each
def test_every_scenario_of_the_work_comes_out_as_expected(tester, monkeypatch):
    at_once(tester.world, monkeypatch)
    monkeypatch.setattr(scenarios, "RETRY_AFTER", 0)  # workers here do not wait
    tester.walk("Success, started here")
    assert tester.work().outcome == "passed"
    offered = {scenario.name: scenario for scenario in scenarios.offered(tester.app)}
    names = [name for name in WORKED if name in offered]
    assert {"ready_later", "throttled", "revoked"} <= set(names)
    for name in names:
        tester.start(f": {offered[name].title}")
        part = tester.work()
        assert part.outcome == "passed", f"{name}: {part.actual} {part.memory}"
        assert part.expected == offered[name].expected
    assert Authorization.objects.get().status == "revoked"


def at_once(world: World, monkeypatch) -> None:
    """A notification that is late in the sandbox is held back until a turn has seen that we wait for it."""

    def held_back(rounds: int = 40) -> None:
        Circuit.objects.update(paused_until=None)  # nor for the end of a pause
        waiting = AcceptancePart.objects.exclude(state=State.DONE).filter(
            name__in=["late_notification", "expired_file"]
        )
        for part in waiting:
            if "awaiting_notification" not in part.memory.get("saw", []):
                run_what_is_due()
                return
        ordinary(rounds)

    ordinary = world.work
    monkeypatch.setattr(world, "work", held_back)


def run_what_is_due() -> None:
    for job in FetchJob.objects.filter(state="due"):
        fetch.run(job.pk, now=datetime.now(UTC) + timedelta(seconds=5))


OUTCOMES = {"declined": "declined", "narrower": "narrower", "expired_code": "failed"}


@pytest.mark.parametrize("name", OUTCOMES)
@pytest.mark.parametrize("tester", [CECONY_V1, CECONY_V2, PGE, ESSEX], ids=str, indirect=True)
def test_a_scenario_that_is_walked_is_judged_by_how_the_connection_ended(tester, name):
    scenario = scenarios.find(tester.app, name)
    tester.walk(scenario.title)
    part = tester.work()
    assert part.outcome == "passed", part.actual
    assert part.journey.status == OUTCOMES[name]


def test_the_page_says_when_the_list_cannot_be_whole_and_a_walk_that_is_over_is_left(tester):
    assert "not connected, so most operations would fail" in tester.browser.get(tester.home).text
    tester.walk("Narrower scope")
    assert "Back to your walk" in tester.browser.get(tester.home).text
    part = tester.work()
    assert "Back to your walk" not in tester.browser.get(f"{PORTAL}/testing/parts/{part.public_id}").text
    assert "shares less than the list asks for" in tester.browser.get(tester.home).text


def test_a_scenario_that_went_otherwise_fails_and_says_how(tester):
    tester.walk("Success, started here", approve=refused_by(tester.world))
    part = tester.work()
    assert part.outcome == "failed"
    assert "Declined by the customer" in part.actual


def refused_by(world: World):
    def approve(browser: Browser, who: str) -> None:
        world.arm("decline", "cecony")
        CECONY_V1.approve(browser, who)

    return approve


def test_a_bad_login_is_what_the_tester_saw_and_the_next_walk_is_told_from_it(tester):
    tester.start(": Bad login")
    tester.browser.press("Go on as the test customer")
    tester.browser.press("Agree and continue")
    tester.browser.press("Continue to")
    tester.browser.press("Sign in", username="home@example.com", password="wrong")
    assert tester.browser.response.status_code == 401
    tester.browser.get(f"{PORTAL}/testing/parts/{tester.part.public_id}")
    tester.browser.press("Write it down", outcome="passed")
    assert "Write what you saw" in tester.browser.text
    tester.browser.press("Write it down", outcome="passed", seen="Refused: the password was wrong.")
    assert tester.part.outcome == "passed"
    assert not Authorization.objects.exists()
    tester.walk("Success, started here")
    assert tester.work().outcome == "passed"
    assert tester.test.parts.get(name="bad_login").journey.status == "closed"


def test_the_fault_of_a_walk_that_was_left_does_not_befall_the_next_one(tester):
    tester.start(": Declined")
    tester.browser.press("Go on as the test customer")
    tester.walk("Success, started here")
    assert tester.work().outcome == "passed"


@pytest.mark.parametrize("tester", [CECONY_V1, PGE], ids=str, indirect=True)
def test_a_walk_that_starts_at_the_utility_goes_on_with_the_registration_under_test(tester):
    ApplicationInformation.objects.update(is_offered=False)
    tester.start(": Success, started at the utility")
    page = tester.browser
    page.get(page.page.xpath("//a[@rel='noreferrer']/@href")[0])
    if tester.profile == PGE:
        page.press("Continue")
    else:
        sign_in(page, tester.profile.who)
        page.press("Continue to the third party", terms="yes")
    assert "The utility has sent you back" in page.text, page.text
    page.press("Go on as the test customer")
    page.press("Agree and continue")
    page.press("Continue to")
    if tester.profile == PGE:
        tester.profile.approve(page, tester.profile.who)
    assert page.heading == "You are connected", page.text
    part = tester.work()
    assert part.outcome == "passed", part.actual
    assert part.journey.application_information == tester.app


# --- What is shown of it -------------------------------------------------------------------------------------------


def secrets_of(tester: Tester) -> list[str]:
    """Every secret, token, code and account number that went over the wire."""
    app = tester.app
    app.refresh_from_db()
    named = ("client_secret", "subscription_key", "registration_access_token", "api_token", "notify_secret")
    found = [getattr(app, name) for name in named] + [app.client_access_token]
    authorization = Authorization.objects.get()
    found += [authorization.access_token, authorization.refresh_token, authorization.account_number]
    store = tester.world.sandbox.store
    found += [row["token"] for row in store.find("tokens")] + [row["code"] for row in store.find("codes")]
    return [each for each in found if each]


def everything_shown(tester: Tester) -> str:
    """Every page and row of the test."""
    pages = [f"{PORTAL}/testing/parts/{part.public_id}" for part in AcceptancePart.objects.all()]
    texts = [tester.browser.get(page).response.text for page in [*pages, tester.home, f"{PORTAL}/testing/"]]
    rows = [*AcceptanceHop.objects.values(), *AcceptanceResult.objects.values(), *AcceptancePart.objects.values()]
    return "\n".join([*texts, json.dumps(rows, default=str)])


def without_sockets(part: AcceptancePart) -> list[str]:
    """Checks that failed although they need no socket: TLS does, and the date that a server adds."""
    failed = part.results.filter(outcome="failed").exclude(key__startswith="utility-tls").exclude(key="clock")
    return list(failed.values_list("title", flat=True))


def test_the_registration_pack_shows_the_secret_only_in_the_document_and_who_took_it_is_written_down(tester):
    app = tester.app
    tester.browser.get(f"{PORTAL}/testing/registrations/{app.pk}/pack")
    assert app.notify_secret not in tester.browser.response.text
    assert f"{PORTAL}/espi/1_1/ScopeSelection" in tester.browser.text
    tester.browser.press("Show the document to print")
    utility = utilities.get("cecony")
    for address in (utility.redirect_uri(app), utility.scope_selection_uri(app), utility.notify_uri(app)):
        assert address in tester.browser.text
    assert "no-store" in tester.browser.response.headers["Cache-Control"]
    line = StaffAccess.objects.get(kind="export")
    assert (line.staff, line.what) == (tester.user, f"registration pack of registration {app.pk}")
    tester.browser.get(f"{PORTAL}/testing/registrations/{app.pk}/pack").press("Download as CSV")
    rows = dict(csv.reader(io.StringIO(tester.browser.response.text)))
    assert rows["third_party_notify_uri"] == utility.notify_uri(app)


# --- What holds ----------------------------------------------------------------------------------------------------


def test_a_finished_test_is_never_changed(tester):
    tester.browser.get(tester.home).press("Finish and write the report")
    test = tester.test
    assert reports.digest(test.report) == test.digest
    with pytest.raises(running.TestRefused, match="finished"):
        running.start(test, "connectivity", now=datetime.now(UTC))
    with pytest.raises(running.TestRefused, match="finished"):
        running.report_step(test, "form", outcome="passed", owner="", evidence="", now=datetime.now(UTC))
    for change in ({"report": {}}, {"digest": "x"}, {"finished_at": None}, {"tester_name": "eve"}):
        with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
            AcceptanceTest.objects.filter(pk=test.pk).update(**change)
    AcceptanceTest.objects.filter(pk=test.pk).update(tester=None)  # a person may leave
    tester.browser.get(f"{PORTAL}/testing/")
    assert f"by {tester.user.email}" in tester.browser.text


def test_it_cannot_be_finished_while_a_part_is_running(tester):
    tester.start("Check connectivity")
    tester.browser.get(tester.home).press("Finish and write the report")
    assert "still running" in tester.browser.text
    assert tester.test.finished_at is None


def test_item_30_production_is_neither_listed_nor_tested(tester):
    app = ApplicationInformation.objects.create(utility="essex", environment="production", client_id="x")
    tester.browser.get(f"{PORTAL}/testing/")
    assert "Production" not in [tag.text_content() for tag in tester.browser.page.xpath("//*[@class='tag']")]
    for path in ("pack", "begin", "pack/document", "pack/csv"):
        for method in ("GET", "POST"):
            answer = tester.browser.raw(method, f"{PORTAL}/testing/registrations/{app.pk}/{path}")
            assert answer.status_code in (403, 404, 405)
    with pytest.raises(running.TestRefused, match="Production is never tested"):
        running.begin(app, tester.user, now=datetime.now(UTC))


def test_only_the_testers_own_connection_is_asked_for(tester):
    connected = tester.world.signed_in("ada@example.com")
    tester.world.offer("cecony", "v1")
    tester.world.to_utility(connected, "cecony")
    CECONY_V1.approve(connected, CECONY_V1.who)
    tester.world.work()
    tester.start("Run the checklist")
    part = tester.work()
    assert part.outcome == "failed"
    assert "Walk through a connection first" in told(part)
    asked = part.results.exclude(evidence={}).values_list("evidence__request", flat=True)
    assert not [each for each in asked if "/Subscription/" in (each or "")]


def test_a_turn_that_breaks_off_is_tried_again_and_then_given_up(tester, monkeypatch):
    tester.start("Check connectivity")
    monkeypatch.setitem(running.TURNS, "connectivity", lambda part, now: 1 / 0)
    part = tester.work()
    assert (part.outcome, part.attempts) == ("failed", 3)
    assert "A fault of ours: ZeroDivisionError" in part.actual


def test_a_part_that_a_dead_worker_holds_is_swept_up(tester, monkeypatch):
    woken = []
    monkeypatch.setattr(running, "publish", lambda task, **more: woken.append(more["part_ids"]) or True)
    tester.start("Check connectivity")
    now = datetime.now(UTC)
    part = tester.part
    AcceptancePart.objects.filter(pk=part.pk).update(lease_expires_at=now + timedelta(seconds=80), not_before=now)
    assert running.take_turn(part.pk, now=now) is None
    assert running.sweep(now) == 0
    assert running.sweep(now + timedelta(seconds=90)) == 1
    assert woken[-1] == [part.pk]


@pytest.mark.parametrize(
    ("groups", "second_step", "status"), [([], True, 403), (["support"], True, 403), (["tester"], False, 302)]
)
def test_the_pages_are_for_testers_with_a_second_step(client, world, settings, groups, second_step, status):
    settings.ALLOWED_HOSTS = ["testserver", "localhost"]
    person = world.user("staff@example.com", is_staff=True)
    person.groups.set(Group.objects.filter(name__in=groups))
    if second_step:
        TOTP.activate(person, generate_totp_secret())
    client.force_login(person)
    assert client.get("/testing/").status_code == status


def test_customers_and_strangers_see_nothing_of_it(client, world, settings):
    settings.ALLOWED_HOSTS = ["testserver", "localhost"]
    assert client.get("/testing/").status_code == 302
    client.force_login(world.user("ada@example.com"))
    assert client.get("/testing/").status_code == 403


def test_every_page_of_it_is_for_testers_and_an_open_test_for_its_own(tester, client, world, settings):
    settings.ALLOWED_HOSTS = ["testserver", "localhost"]
    tester.start("Check connectivity")
    names = {
        "pk": tester.app.pk,
        "public_id": tester.test.public_id,
        "kind": "checklist",
        "name": "success",
        "key": "form",
    }
    other = world.user("other@example.com", is_staff=True)
    other.groups.add(Group.objects.get(name="support"))
    TOTP.activate(other, generate_totp_secret())
    colleague = world.user("colleague@example.com", is_staff=True)
    colleague.groups.add(Group.objects.get(name="tester"))
    TOTP.activate(colleague, generate_totp_secret())
    for pattern in urls.acceptance:
        wanted = {name: names[name] for name in pattern.pattern.converters}
        if "parts/" in str(pattern.pattern):
            wanted["public_id"] = tester.part.public_id
        address = f"/testing/{reverse_of(pattern, wanted)}"
        for method in ("get", "post"):
            client.logout()
            assert getattr(client, method)(address).status_code in (302, 303, 405), address
            client.force_login(other)
            assert getattr(client, method)(address).status_code in (403, 405), address
            if "public_id" in wanted:
                client.force_login(colleague)
                assert getattr(client, method)(address).status_code in (404, 405), address


def reverse_of(pattern, wanted: dict) -> str:
    return reverse(f"testing:{pattern.name}", kwargs=wanted).removeprefix("/testing/")


# --- A utility's test environment ----------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [CECONY_V1, CECONY_V2, ESSEX], ids=str)
def test_by_configuration_only_the_same_is_done_at_the_test_environments_own_hosts(real, profile):
    """Nothing answers at the sandbox's addresses: a call there would fail."""
    real.onboard("test")
    browser = Browser({PORTAL: real.world.portal_adapter, **dict.fromkeys(real.origins, real.pages)})
    with espi_session.mounted(PORTAL, real.world.portal_adapter):
        tester = Tester(real.world, profile.with_most_data, "test", browser)
        tester.begin()
        assert "Utility's test environment" in tester.browser.text
        tester.walk("Success, started here")
        assert tester.work().outcome == "passed", tester.part.actual
        tester.start("Run the checklist")
        assert tester.work().outcome == "passed", told(tester.part)
        by_hand_at_the_utility(tester)
    utility, app = utilities.get(profile.slug), tester.app
    own = {origin(utility.token_url(app)), origin(utility.resource_base(app))}
    assert {origin(address) for address in real.calls.called} == own


def by_hand_at_the_utility(tester: Tester) -> None:
    """What the sandbox would bring about is said in words, and the tester says how it went."""
    tester.start(": 429")
    assert "Ask the utility's team to limit your client" in tester.browser.text
    assert tester.part.state == State.BY_HAND
    tester.browser.press("Write it down", outcome="failed", seen="We asked again too early.")
    assert (tester.part.outcome, tester.part.actual) == ("failed", "We asked again too early.")
