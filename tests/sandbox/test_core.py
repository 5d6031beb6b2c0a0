"""The sandbox's own parts: store, people, meters, faults, registration, addresses, pages, certificates, processes."""

import itertools
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.sandbox.coned_helpers import NOW, World
from utilities.sandbox import meters, notify, people, pki
from utilities.sandbox.app import Config, create_app, register_forms
from utilities.sandbox.faults import CATALOGUE

NEW_YORK = "America/New_York"


def meter(**more: object) -> meters.Meter:
    values = {"serial": "E1", "seed": "test", "commodity": "electricity", "length": 900, "daily": 20_000}
    return meters.Meter(**(values | more))  # type: ignore[arg-type]


def day(year: int, month: int, number: int) -> tuple[int, int]:
    first = date(year, month, number)
    return meters.local_midnight(first, NEW_YORK), meters.local_midnight(first + timedelta(days=1), NEW_YORK)


@pytest.mark.parametrize(
    ("when", "five", "fifteen", "hourly"),
    [
        ((2025, 9, 15), 288, 96, 24),
        ((2025, 2, 15), 288, 96, 24),
        ((2025, 3, 9), 276, 92, 23),
        ((2024, 11, 3), 300, 100, 25),
        ((2026, 11, 1), 300, 100, 25),
    ],
)
def test_a_day_has_as_many_readings_as_the_clock_has_intervals(when, five, fifteen, hourly):
    counts = [len(meters.readings(meter(length=length), *day(*when))) for length in (300, 900, 3600)]
    assert counts == [five, fifteen, hourly]


def test_readings_depend_on_meter_and_instant_only():
    start, end = day(2026, 3, 8)[0], day(2026, 3, 12)[1]
    whole = meters.readings(meter(), start, end)
    pieces = [
        value for low in range(start, end, 7 * 900) for value in meters.readings(meter(), low, min(low + 7 * 900, end))
    ]
    assert whole == pieces
    assert whole != meters.readings(meter(seed="another"), start, end)
    assert all(isinstance(value, int) for value in whole)


def test_longer_intervals_add_up_shorter_ones():
    period = day(2026, 11, 1)
    fifteen, hourly = meters.readings(meter(), *period), meters.readings(meter(), *period, 3600)
    assert len(hourly) == 25
    assert sum(hourly) == sum(fifteen)
    with pytest.raises(ValueError, match="multiple"):
        meters.readings(meter(), *period, 1000)


def test_a_solar_meter_splits_into_what_is_taken_and_what_is_fed_back():
    solar, period = meter(solar=25_000), day(2026, 6, 10)
    net, forward, reverse = (meters.readings(solar, *period, channel=name) for name in ("net", "forward", "reverse"))
    assert net == [taken - given for taken, given in zip(forward, reverse, strict=True)]
    assert min(net) < 0 < max(net)
    assert all(min(pair) == 0 for pair in zip(forward, reverse, strict=True))


def test_a_year_of_quarter_hours_takes_less_than_a_second():
    started = time.perf_counter()
    values = meters.readings(meter(seed="speed"), NOW // 900 * 900 - 365 * 86400, NOW // 900 * 900)
    assert len(values) == 35_040
    assert time.perf_counter() - started < 1


def test_home_use_peaks_in_the_evening_and_gas_in_winter():
    week = meters.readings(meter(), day(2026, 3, 16)[0], day(2026, 3, 20)[1], 3600)
    by_hour = [sum(week[hour::24]) for hour in range(24)]
    assert by_hour[18] > 2 * by_hour[3]
    gas = meter(commodity="gas", profile="gas", length=3600)
    winter, summer = (sum(meters.readings(gas, day(2026, month, 1)[0], day(2026, month, 28)[1])) for month in (1, 7))
    assert winter > 5 * summer


def test_bills_are_the_sum_of_the_readings_of_their_period():
    person = people.find("cecony", "home@example.com", NOW)
    service = person.accounts[0].services[0]
    bills = meters.bills(service.meters, service.tariff, service.cycle_day, NOW - 730 * 86400, NOW)
    assert 22 <= len(bills) <= 24
    assert all(earlier.end == later.start for earlier, later in itertools.pairwise(bills))
    assert bills[5].usage == sum(meters.readings(service.meter, bills[5].start, bills[5].end))
    assert len({bill.number for bill in bills}) == len(bills)


def test_a_swapped_meter_leaves_no_gap_and_no_overlap():
    old, new = people.find("oru", "swapped@example.com", NOW).accounts[0].services[0].meters
    assert old.removed == new.installed
    assert old.serial != new.serial
    start, end = old.removed - 86400, old.removed + 86400
    before, after = meters.readings(old, start, end), meters.readings(new, start, end)
    assert len(before) + len(after) == 192
    assert len(before) == 96


def test_the_two_custodians_have_different_customers():
    for username in ("home@example.com", "solar@example.com"):
        accounts = {people.find(slug, username, NOW).accounts[0].number for slug in ("cecony", "oru")}
        assert len(accounts) == 2


def test_many_customers_exist_for_trials_under_load():
    one, two = (people.find("cecony", f"load{number}@example.com", NOW) for number in (1, 2))
    assert one.accounts[0].number != two.accounts[0].number
    assert people.find("cecony", "loadx@example.com", NOW) is None


def test_registering_twice_gives_the_same_credentials_and_new_addresses():
    world = World()
    again = world.register("cecony", "v1")
    assert again == world.package
    other = world.register("oru", "v1")
    assert other["client_id"] != again["client_id"]
    assert len({again["client_id"], again["third_party_id"], again["subscription_key"]}) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"utility": "nowhere"},
        {"environment": "staging"},
        {"redirect_uri": ""},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "https://portal.example/#fragment"},
        {"edition": "v3"},
    ],
)
def test_a_form_with_a_wrong_value_is_refused_in_words(change):
    world = World()
    form = {"utility": "cecony", "environment": "sandbox", "edition": "v1", "redirect_uri": "https://portal.example/cb"}
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        register_forms(world.sandbox, [form | change])


def test_the_store_survives_a_restart(tmp_path):
    config = Config(state_path=str(tmp_path / "state" / "sandbox.sqlite3"), clock=lambda: NOW)
    first = create_app(config).extensions["sandbox"]
    first.store.insert("authorizations", utility="oru", status="active", data={"kept": [1, 2]})
    first.store.close()
    second = create_app(Config(state_path=config.state_path, clock=lambda: NOW + 99)).extensions["sandbox"]
    assert second.store.get("authorizations", utility="oru")["data"] == {"kept": [1, 2]}
    assert second.born == NOW


def test_a_fault_is_used_up_after_its_count():
    world = World()
    world.fault("resource_500", count=2, utility="oru", args={"x": 1})
    assert world.sandbox.fault("resource_500", "cecony") is None
    assert [world.sandbox.fault("resource_500", "oru") for _ in range(3)] == [{"x": 1}, {"x": 1}, None]


def test_a_fault_with_count_zero_lasts_until_cleared():
    world = World()
    world.fault("token_500", count=0)
    assert all(world.sandbox.fault("token_500", "oru") == {} for _ in range(5))
    assert len(world.api.get("/_sandbox/faults").get_json()["armed"]) == 1
    assert world.api.delete("/_sandbox/faults").get_json() == {"cleared": 1}
    assert world.sandbox.fault("token_500", "oru") is None


@pytest.mark.parametrize(
    "asked",
    [{}, {"name": "unheard_of"}, {"name": "token_500", "count": "two"}, {"name": "token_500", "count": -1}, [1]],
)
def test_an_impossible_fault_is_refused(asked):
    world = World()
    response = world.api.post("/_sandbox/faults", json=asked)
    assert response.status_code == 400
    assert response.get_json()["error"]
    assert world.api.get("/_sandbox/faults").get_json()["armed"] == []


def test_another_site_cannot_steer_the_sandbox():
    world = World()
    headers = {"Origin": "https://attacker.example"}
    assert world.api.post("/_sandbox/reset", headers=headers).status_code == 403


def test_addresses_have_the_style_the_request_came_in_by():
    world = World()
    by_path = world.tokens()["resourceURI"]
    assert by_path.startswith("http://localhost/api.coned.com/gbc/v1/resource/Batch/Subscription/")
    code = world.v1_code()
    body = {
        "grantType": "authorization_code",
        "clientId": world.package["client_id"],
        "clientSecret": world.package["client_secret"],
        "redirectUri": "https://portal.example/espi/1_1/OAuthCallBack/cecony",
        "authCode": code,
    }
    headers = {"Host": "api.coned.com", "ocp-apim-subscription-key": world.package["subscription_key"]}
    response = world.api.post("/gbc/v1/oauth/v1/Token", json=body, headers=headers, base_url="https://api.coned.com")
    assert response.get_json()["resourceURI"].startswith("https://api.coned.com/gbc/v1/resource/")


def test_the_ledger_keeps_requests_and_no_secrets():
    world = World()
    world.browser.get("/www.coned.com/sign-in?code=very-secret&client_secret=also&other=plain")
    row = world.api.get("/_sandbox/ledger").get_json()[-1]
    assert row["query"] == "code=***&client_secret=***&other=plain"
    assert (row["method"], row["host"], row["status"], row["kind"]) == ("GET", "www.coned.com", 200, "page")
    tokens = world.tokens()
    world.get("/Customer/1", tokens["access_token"])
    row = world.api.get("/_sandbox/ledger?kind=api").get_json()[-1]
    assert (row["token_class"], row["status"], row["utility"]) == ("access", 403, "cecony")


def test_json_pages_can_be_read_in_pieces_and_by_column():
    world = World()
    world.sign_in()
    rows = world.api.get("/_sandbox/ledger").get_json()
    rest = world.api.get(f"/_sandbox/ledger?after={rows[0]['id']}&kind=page&utility=cecony").get_json()
    assert [row["id"] for row in rest] == [row["id"] for row in rows[1:]]
    assert world.api.get("/_sandbox/ledger?kind=api").get_json() == []
    for name in ("deliveries", "notifications", "authorizations"):
        assert world.api.get(f"/_sandbox/{name}?kind=x&authorization=7&status=9").get_json() == []


def test_the_thread_sends_what_is_due_once():
    world = World()
    tokens = world.tokens()
    world.get(tokens["resourceURI"], tokens["access_token"])
    stopping = threading.Event()
    thread = notify.start(world.sandbox, stopping)
    time.sleep(0.7)
    assert world.posted == []
    world.now += 3
    for _ in range(50):
        if world.posted:
            break
        time.sleep(0.1)
    time.sleep(0.6)
    stopping.set()
    thread.join(5)
    assert len(world.posted) == 1
    assert not thread.is_alive()


def test_a_notification_to_nobody_is_recorded_as_unanswered():
    assert notify.post(f"http://127.0.0.1:{free_port()}/", b"<x/>", {}) == 0


def test_the_index_shows_ids_but_never_a_secret():
    world = World()
    page = world.api.get("/_sandbox/").text
    assert world.package["client_id"] in page
    assert people.PASSWORD in page
    assert all(name in page for name in CATALOGUE)
    assert world.package["client_secret"] not in page
    assert world.package["subscription_key"] not in page
    assert world.api.get("/_sandbox/ledger/view").status_code == 200


def test_reset_forgets_customers_consents_but_keeps_registrations():
    world = World()
    tokens = world.tokens()
    world.api.post("/_sandbox/reset")
    assert world.get("/Customer/1", tokens["access_token"]).status_code == 401
    assert world.register("cecony", "v1") == world.package


@pytest.mark.parametrize("wanted", ["https://attacker.example/", "//attacker.example/", "/\\attacker.example", "x"])
def test_sign_in_never_leads_to_another_site(wanted):
    world = World()
    form = {"username": "home@example.com", "password": people.PASSWORD, "next": wanted}
    response = world.browser.post("/www.coned.com/sign-in", data=form)
    assert response.headers["Location"] == "/www.coned.com/"


def test_a_wrong_password_is_refused():
    world = World()
    response = world.browser.post("/www.coned.com/sign-in", data={"username": "home@example.com", "password": "guess"})
    assert response.status_code == 401
    assert "do not belong together" in response.text
    assert "Set-Cookie" not in response.headers


def test_a_session_at_one_custodian_is_none_at_the_other():
    world = World()
    world.sign_in()
    assert (
        world.browser.get(
            "/www.coned.com" + "/accounts-billing/dashboard/billing-and-usage/share-my-data-connections"
        ).status_code
        == 200
    )
    response = world.browser.get("/www.oru.com/accounts-billing/dashboard/billing-and-usage/share-my-data-connections")
    assert "/sign-in" in response.headers["Location"]


def test_every_page_says_it_is_a_sandbox_and_loads_nothing_from_elsewhere():
    world = World()
    for path in ("/_sandbox/", "/www.coned.com/sign-in", "/www.oru.com/nowhere"):
        response = world.api.get(path)
        assert "this is not" in response.text
        assert response.text.count("<h1>") == 1
        assert '<html lang="en">' in response.text
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "<script" not in response.text


def test_certificates_are_kept_and_keys_are_private(tmp_path):
    certificate, key = pki.client(tmp_path, "third-party")
    assert pki.client(tmp_path, "third-party") == (certificate, key)
    assert pki.fingerprint(certificate.read_bytes())
    pki.server(tmp_path, ["api.pge.com"])
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.key")} == {0o600}
    first = certificate.read_bytes()
    pki.client(tmp_path, "third-party")
    assert certificate.read_bytes() == first


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_the_process_registers_serves_both_ports_and_stops_cleanly(tmp_path):
    forms = [{"utility": "oru", "environment": "sandbox", "edition": "v1", "redirect_uri": "https://portal.example/cb"}]
    forms.append(forms[0] | {"environment": "production"})
    (tmp_path / "forms.json").write_text(json.dumps(forms))
    state, welcome = str(tmp_path / "state"), tmp_path / "welcome.json"
    command = [sys.executable, "-m", "utilities.sandbox"]
    root = Path(__file__).resolve().parents[2]
    register = [*command, "register", str(tmp_path / "forms.json"), "--output", str(welcome), "--state", state]
    subprocess.run(register, check=True, cwd=root, timeout=60)
    packages = [json.loads(welcome.read_text())]
    subprocess.run(register, check=True, cwd=root, timeout=60)
    packages.append(json.loads(welcome.read_text()))
    assert packages[0] == packages[1]
    authority = str(tmp_path / "state" / "pki" / "ca.pem")
    assert [package.get("ca_bundle_path") for package in packages[0]] == [None, authority]
    assert welcome.stat().st_mode & 0o777 == 0o600
    port, tls_port = free_port(), free_port()
    serve = [*command, "serve", "--port", str(port), "--tls-port", str(tls_port), "--state", state]
    process = subprocess.Popen(serve, cwd=root, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        page = wait_for(f"http://localhost:{port}/_sandbox/")
        assert packages[0][0]["client_id"] in page
        context = ssl.create_default_context(cafile=str(tmp_path / "state" / "pki" / "ca.pem"))
        with urllib.request.urlopen(f"https://localhost:{tls_port}/_sandbox/", context=context, timeout=10) as answer:
            assert answer.status == 200
        with socket.create_connection(("127.0.0.1", tls_port), timeout=10) as plain:
            context.wrap_socket(plain, server_hostname="www.coned.com").close()
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0


def wait_for(url: str) -> str:
    for _ in range(100):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{url} did not answer")
