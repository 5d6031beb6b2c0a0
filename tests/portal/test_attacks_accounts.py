"""Attacks on accounts, sessions and access: each case of the list is a test named by its number.

B09 is tests/portal/test_object_sweep.py, generated from the URL map; B16 is tests/journeys/test_leaving.py.
"""

import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.conf import settings as django_settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client
from django.urls import get_resolver
from lxml import html

from espi import usage
from espi.models import Authorization, AuthorizationRequest, Document, Subscription, UsagePoint
from portal import limits
from portal.flows import exporting
from portal.models import Consent, Export, Letter, User
from tests.portal import rows
from tests.portal.people import PASSWORD, mailbox, mailed_code, person, sign_in, staff, totp_code
from tests.portal.test_object_sweep import Owner, patterns, state

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]
EVIL = "<script>alert('evil')</script><img src=x onerror=alert(1)>"
NEW = "four quiet words here"
# Random, or made of a random one (a channel's, of its usage point's).
NOT_GUESSED = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[45][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Slow(PBKDF2PasswordHasher):
    """Long enough that a hash that is left out would be seen, short enough for a hundred tries."""

    iterations = 40_000  # some 10 ms


def is_in(client):
    return client.get("/account/").status_code == 200


def begin_reset(client, email="ann@example.com"):
    return client.post("/account/password/reset/", {"email": email})


def enter_code(client, code):
    return client.post("/account/password/reset/confirm/", {"code": code})


# --- Sessions ---------------------------------------------------------------------------------------------------------


def test_b01_the_session_changes_when_somebody_signs_in_or_gains_a_right_and_the_old_one_is_dead(client):
    user = staff()
    client.get("/account/login/")
    client.session.save()
    keys = [client.session.session_key]
    client.cookies["portal_session"] = keys[0]
    sign_in(client, user.email)
    client.post("/account/2fa/authenticate/", {"code": totp_code(user.totp_secret)})
    keys.append(client.cookies["portal_session"].value)
    assert client.get("/staff/").status_code == 200
    assert keys[0] != keys[1]
    client.post("/account/logout/")
    for key in keys:
        stale = Client()
        stale.cookies["portal_session"] = key
        assert not is_in(stale)
    assert not Session.objects.filter(session_key=keys[1]).exists()


@pytest.mark.parametrize(
    "path", ["/account/login/", "/account/signup/", "/account/password/reset/", "/account/password/reset/confirm/"]
)
def test_b02_forms_of_strangers_need_their_token(path):
    person()
    told = {"login": "ann@example.com", "password": PASSWORD, "email": "new@example.com", "password1": PASSWORD}
    answer = Client(enforce_csrf_checks=True).post(path, told)
    assert answer.status_code == 403
    assert User.objects.count() == 1
    assert not Letter.objects.exists()


# --- What a stranger learns -------------------------------------------------------------------------------------------

FORMS = {
    "signing in": lambda client, email: sign_in(client, email, "not the one"),
    "registering": lambda client, email: client.post("/account/signup/", {"email": email, "password1": NEW}),
    "resetting": begin_reset,
}


def plain(answer, email):
    """A page without what is random in it, and without the address that was entered."""
    lines = [line for line in answer.content.decode().splitlines() if "csrfmiddlewaretoken" not in line]
    text = re.sub(r'nonce="[^"]*"|data-token="[^"]*"', "", "\n".join(lines))
    return answer.status_code, answer.get("Location"), text.replace(email, "…")


@pytest.mark.parametrize("form", FORMS)
def test_b03_a_known_and_an_unknown_address_get_the_same_page_and_as_many_letters_at_the_same_time(form):
    person()
    seen = []
    for email in ("ann@example.com", "somebody@example.com"):
        before = Letter.objects.count()
        answer = FORMS[form](Client(), email)
        seen.append((plain(answer, email), Letter.objects.count() - before))
    assert seen[0] == seen[1]
    assert mail.outbox == []  # no letter is sent while anybody waits


@pytest.mark.parametrize("form", FORMS)
def test_b03_the_clock_does_not_tell_a_known_address_from_an_unknown_one(form, settings):
    settings.PASSWORD_HASHERS = [f"{Slow.__module__}.{Slow.__qualname__}"]
    took = {"known": [], "unknown": []}  # of this thread: what else the machine does is no part of it
    for number in range(50):  # each address once: no limit of one address shortens its way
        person(f"known{number}@example.com")
        for which, times in took.items():
            client = Client(REMOTE_ADDR=f"198.51.{number}.{len(which)}")
            began = time.thread_time()
            answer = FORMS[form](client, f"{which}{number}@example.com")
            times.append(time.thread_time() - began)
            assert answer.status_code in (200, 302, 303)
    known, unknown = (statistics.median(times) for times in took.values())
    assert abs(known - unknown) < 0.020, (known, unknown)


def test_b04_guessing_ends_in_429_and_hurts_the_victim_in_nothing(client):
    with time_machine.travel("2026-11-20 10:00:00Z") as clock:
        person()
        for number in range(10):
            assert sign_in(client, password=f"guess {number}").status_code == 200
        closed = sign_in(client, password="guess")
        assert (closed.status_code, closed["Retry-After"]) == (429, "900")
        assert sign_in(client).status_code == 429  # the right one too, from there
        victim = Client(REMOTE_ADDR="192.0.2.7")
        assert sign_in(victim)["Location"] == "/dashboard"
        begin_reset(client)
        assert enter_code(client, mailed_code()).status_code == 303
        clock.shift(15 * 60 + 1)
        assert sign_in(client)["Location"] == "/dashboard"


# --- Setting a new password -------------------------------------------------------------------------------------------


def reset_with(client, code):
    """Whether a new password could be set with it."""
    enter_code(client, code)
    new = {"password1": NEW, "password2": NEW}
    client.post("/account/password/reset/complete/", new)
    return User.objects.get(email__contains="ann").check_password(NEW)


def test_b05_a_code_to_set_a_password_works_once(client):
    person()
    begin_reset(client)
    code = mailed_code()
    assert reset_with(client, code)
    again = Client()
    begin_reset(again)
    User.objects.get().set_password(PASSWORD)
    assert enter_code(again, code).status_code == 200  # "incorrect"


def test_b05_it_dies_after_a_quarter_of_an_hour(client):
    with time_machine.travel("2026-11-20 10:00:00Z", tick=False) as clock:
        person()
        begin_reset(client)
        code = mailed_code()
        clock.shift(15 * 60 + 1)
        assert not reset_with(client, code)


def test_b05_it_dies_when_a_newer_one_is_asked_for_even_elsewhere(client):
    person()
    begin_reset(client)
    old = mailed_code()
    newer = Client()
    begin_reset(newer)
    assert not reset_with(client, old)
    assert reset_with(newer, mailed_code())


def test_b05_it_dies_when_the_address_is_changed(client):
    person()
    begin_reset(client)
    code = mailed_code()
    owner = Client()
    sign_in(owner)
    change_address(owner)
    assert EmailAddress.objects.get().email == "ann@new.example"
    assert not reset_with(client, code)


def test_b05_a_forged_host_is_refused_and_never_in_a_letter(client, settings):
    settings.ALLOWED_HOSTS = ["localhost", "testserver"]
    person()
    for path, told in (
        ("/account/password/reset/", {"email": "ann@example.com"}),
        ("/account/signup/", {"email": "ann@example.com", "password1": NEW}),
    ):
        assert client.post(path, told, headers={"Host": "evil.example"}).status_code == 400
        client.post(path, told, headers={"X-Forwarded-Host": "evil.example"})
    for message in mailbox():
        assert "evil" not in message.body + message.alternatives[0][0]
    assert len(mail.outbox) == 2


# --- Changing an account ----------------------------------------------------------------------------------------------


def change_address(client, email="ann@new.example"):
    proof = client.post("/account/email/", {"email": email, "action_add": ""})
    if "reauthenticate" in proof.get("Location", ""):
        client.post(proof["Location"], {"password": PASSWORD})
    return client.post("/account/confirm-email/", {"code": mailed_code()})


def test_b06_another_password_takes_the_old_one_is_told_and_ends_other_sessions(client):
    person()
    sign_in(client)
    elsewhere = Client()
    sign_in(elsewhere)
    new = {"password1": NEW, "password2": NEW}
    client.post("/account/password/change/", {"oldpassword": "wrong", **new})
    assert is_in(elsewhere)
    assert mailbox() == []
    client.post("/account/password/change/", {"oldpassword": PASSWORD, **new})
    assert (is_in(client), is_in(elsewhere)) == (True, False)
    assert [message.to for message in mailbox()] == [["ann@example.com"]]


def test_b06_another_address_takes_the_password_is_told_to_both_and_ends_other_sessions(client):
    person()
    sign_in(client)
    elsewhere = Client()
    sign_in(elsewhere)
    proof = client.post("/account/email/", {"email": "ann@new.example", "action_add": ""})
    assert proof["Location"].startswith("/account/reauthenticate/")
    assert mailbox() == []
    client.post(proof["Location"], {"password": PASSWORD})
    client.post("/account/confirm-email/", {"code": mailed_code()})
    told = {message.to[0] for message in mailbox() if message.subject == "Your e-mail address was changed"}
    assert told == {"ann@example.com", "ann@new.example"}
    assert (is_in(client), is_in(elsewhere)) == (True, False)


# --- Cookies ----------------------------------------------------------------------------------------------------------

SAID = """
from django.conf import settings as s
print(s.SESSION_COOKIE_NAME, s.SESSION_COOKIE_SECURE, s.SESSION_COOKIE_HTTPONLY, s.SESSION_COOKIE_SAMESITE,
      s.SESSION_COOKIE_PATH, s.SESSION_COOKIE_DOMAIN)
print(s.CSRF_COOKIE_NAME, s.CSRF_COOKIE_SECURE, s.CSRF_COOKIE_HTTPONLY, s.CSRF_COOKIE_SAMESITE,
      s.CSRF_COOKIE_PATH, s.CSRF_COOKIE_DOMAIN)
"""


def test_b07_cookies_of_a_real_site_are_secure_out_of_reach_and_bound_to_their_host():
    environment = os.environ | {
        "PORTAL_BASE_URL": "https://portal.example",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
    }
    said = subprocess.run([sys.executable, "-c", SAID], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert said.stdout.split("\n")[:2] == [
        "__Host-session True True Lax / None",
        "__Host-csrf True True Lax / None",
    ]


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_b07_under_strict_a_customer_would_come_back_from_the_utility_signed_out(chromium, live_server, httpserver):
    client = Client()
    client.force_login(person())
    portal = live_server.url.replace("127.0.0.1", "localhost")
    utility = f"http://127.0.0.1:{httpserver.port}/authorize"  # another site than localhost, for a browser
    callback = {"Location": f"{portal}/espi/1_1/OAuthCallBack/pge?error=access_denied&state=x"}
    httpserver.expect_request("/authorize").respond_with_data("", status=302, headers=callback)
    httpserver.expect_request("/").respond_with_data(f'<a href="{utility}">Allow</a>', content_type="text/html")
    seen = {}
    for kind in ("Lax", "Strict"):
        context = chromium.new_context()
        value = client.cookies["portal_session"].value
        cookie = {"name": "portal_session", "value": value, "url": portal, "sameSite": kind, "httpOnly": True}
        context.add_cookies([cookie])
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{httpserver.port}/")
        page.get_by_role("link", name="Allow").click()
        page.wait_for_url("**/OAuthCallBack/**")
        seen[kind] = "no longer signed in" in page.content()
    assert seen == {"Lax": False, "Strict": True}
    assert django_settings.SESSION_COOKIE_SAMESITE == "Lax"


def test_b08_a_disabled_user_and_staff_without_the_right_are_out_at_the_next_request(client):
    user = person()
    sign_in(client)
    assert is_in(client)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert not is_in(client)
    boss = staff()
    office = Client()
    sign_in(office, boss.email)
    office.post("/account/2fa/authenticate/", {"code": totp_code(boss.totp_secret)})
    assert office.get("/staff/portal/user/").status_code == 200
    User.objects.filter(pk=boss.pk).update(is_superuser=False)
    assert office.get("/staff/portal/user/").status_code == 403
    User.objects.filter(pk=boss.pk).update(is_staff=False)
    assert office.get("/staff/").status_code in (302, 403)


# --- Whose it is ------------------------------------------------------------------------------------------------------


def test_b09_is_the_sweep_of_every_address():
    swept = (Path(__file__).parent / "test_object_sweep.py").read_text()
    assert swept.count("def test_b09_") >= 4


def test_b10_what_leaves_as_a_file_is_private_uncached_and_has_no_id_to_guess():
    owner = Owner()
    exporting.ask_for_everything(owner.user, now=rows.NOW)
    exporting.prepare_exports()
    made = Export.objects.exclude(pk=owner.export.pk).get()
    client = Client(headers={"Authorization": f"Bearer {owner.secret}"})
    client.force_login(owner.user)
    channel = usage.channels(owner.point)[0]
    addresses = [
        f"/receipts/{owner.consent.public_id}",
        f"/receipts/{owner.consent.public_id}/file",
        f"/download/prepared/{made.public_id}",
        f"/usage/{owner.point.public_id}",
        f"/api/v1/usage-points/{owner.point.public_id}/channels/{channel.public_id}/readings",
    ]
    answers = [client.get(address) for address in addresses]
    form = {"meter": [str(owner.point.public_id)], "kind": "readings", "period": "all"}
    answers.append(client.post("/download", form))
    for answer in answers:
        assert answer.status_code == 200
        kept = answer["Cache-Control"]
        assert "no-store" in kept, answer.request["PATH_INFO"]
        assert "private" in kept, answer.request["PATH_INFO"]
    for route in patterns(get_resolver()):
        if not route.startswith(("staff/", "testing/", "account/", "espi/", "connect/<slug", "letters/")):
            assert re.search(r"<uuid:|<(usage_point|channel|connection)>", route), route
    for address in addresses:
        assert all(NOT_GUESSED.fullmatch(part) for part in address.split("/") if part.count("-") == 4)


def test_b11_fields_that_no_form_has_change_nothing(client):
    more = {
        "user": "1", "is_staff": "on", "is_superuser": "on", "status": "active", "utility": "pge", "retail_customer": "1",
        "token_url": "https://evil.example", "letters_declined": "[]", "is_active": "",
    }  # fmt: skip
    rows.registration(is_offered=True)
    eve = person("eve@example.com")
    client.post("/account/signup/", {"email": "new@example.com", "password1": PASSWORD, **more})
    client.post("/account/confirm-email/", {"code": mailed_code(), **more})
    user = User.objects.get(email="new@example.com")
    assert (user.is_staff, user.is_superuser, user.is_active) == (False, False, True)
    client.post("/connect/cecony", {"kinds": ["usage"], **more})
    journey = AuthorizationRequest.objects.get()
    assert (journey.retail_customer, journey.application_information.utility) == (user, "cecony")
    assert journey.status == "choosing"
    client.post("/account/letters", {"topics": ["ending"], **more})
    held = rows.authorization(journey.application_information, user=user, status="needs_reconnect")
    client.post(f"/connections/{held.public_id}/stop", {"collected": "keep", **more})
    held.refresh_from_db()
    assert (held.status, held.retail_customer, held.application_information.token_url) == ("withdrawn", user, "")
    eve.refresh_from_db()
    assert eve.letters_declined == []


def harmless(answer):
    """That no script of a stranger's is in a page, and that his words are."""
    text = answer.content.decode()
    page = html.fromstring(text)
    assert not page.xpath("//script[contains(., 'evil')] | //*[@onerror]"), answer.request["PATH_INFO"]
    assert "<script>alert" not in text, answer.request["PATH_INFO"]
    return "evil" in page.text_content()


def test_b12_script_in_what_others_wrote_is_inert_everywhere(client):
    user = rows.customer()
    rows.registration(is_offered=True)
    held = Subscription.objects.create(retail_customer=user, utility="", name=EVIL[:200])
    point = UsagePoint.objects.create(
        subscription=held, resource_id=EVIL, title=EVIL, service_kind=0, time_zone="America/New_York"
    )
    rows.day(rows.channel(point, name=EVIL), "2025-01-15", [1] * 24)
    document = Document.objects.create(
        subscription=held, file_name=EVIL, sha256="x", size=1, received_at=rows.NOW, refusal=EVIL, summary={EVIL: EVIL}
    )
    client.force_login(user)
    address = f"/usage/{point.public_id}?period=day&date=2025-01-15"
    pages = [client.get(each) for each in ("/dashboard", "/download", "/upload", "/consents", address)]
    shown = [harmless(each) for each in pages]
    assert any(shown)
    boss = staff()
    office = Client()
    sign_in(office, boss.email)
    office.post("/account/2fa/authenticate/", {"code": totp_code(boss.totp_secret)})
    seen = []
    for each in (
        "/staff/espi/usagepoint/",
        f"/staff/espi/usagepoint/{point.pk}/change/",
        "/staff/espi/document/",
        f"/staff/espi/document/{document.pk}/change/",
        f"/staff/espi/subscription/{held.pk}/change/",
    ):
        answer = office.get(each, follow=True)
        seen.append(harmless(answer))
    assert any(seen)
    readings = client.post("/download", {"meter": [str(point.public_id)], "kind": "green-button", "period": "all"})
    assert b"<script>alert" not in b"".join(readings.streaming_content)


CHANGES = ("/download/everything", "/account/delete", "/account/letters", "/account/logout/", "/account/stay")


def test_b13_what_changes_something_takes_a_post_with_a_token():
    owner = Owner()
    strict, seen = Client(enforce_csrf_checks=True), Client()
    for each in (strict, seen):
        each.force_login(owner.user)
    before = (state(owner), Export.objects.count(), Letter.objects.count(), Consent.objects.count())
    addresses = [f"/{each}" for each in owner.addresses().values() if not each.startswith("api/")]
    for address in [*addresses, *CHANGES]:
        assert strict.post(address).status_code in (403, 405), address
        seen.get(address)
    assert (state(owner), Export.objects.count(), Letter.objects.count(), Consent.objects.count()) == before
    owner.user.refresh_from_db()
    assert owner.user.is_active
    assert is_in(seen)
    assert Authorization.objects.get(pk=owner.authorization.pk).status == "active"


HOSTILE = [
    "0001-01-01", "9999-12-31", "1900-01-01", "2100-01-01", "-1-01-01", "2025-13-45", "' OR 1=1 --", "1e99", "\x00",
    "9" * 5000, "2025-01-01T00:00:00Z", "٢٠٢٥-٠١-٠١", "%00",
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE)
def test_b14_hostile_dates_are_400_or_capped_and_quick(client, value):
    owner = Owner()
    client.force_login(owner.user)
    point = owner.point.public_id
    api = Client(headers={"Authorization": f"Bearer {owner.secret}"})
    channel = usage.channels(owner.point)[0].public_id
    began = time.perf_counter()
    answers = [
        client.get(f"/usage/{point}", {"period": period, "date": value}) for period in ("day", "week", "month", "year")
    ]
    answers.append(client.get(f"/usage/{point}", {"period": value, "date": "2025-01-15"}))
    answers.append(client.get("/dashboard", {"order": value, "date": value, "page": value}))
    form = {"meter": [str(point)], "kind": "readings", "period": "dates", "first": value, "last": value}
    answers.append(client.post("/download", form))
    base = f"/api/v1/usage-points/{point}"
    for address in (f"{base}/daily", f"{base}/monthly", f"{base}/channels/{channel}/readings"):
        answers.append(api.get(address, {"from": value, "to": value, "limit": value, "cursor": value}))
    took = time.perf_counter() - began
    assert {answer.status_code for answer in answers} <= {200, 400, 404, 422}
    assert took < 2 * len(answers)


def test_b14_a_hundred_years_are_capped_and_quick(client):
    owner = Owner()
    client.force_login(owner.user)
    began = time.perf_counter()
    form = {"meter": [str(owner.point.public_id)], "kind": "readings", "period": "dates"}
    answer = client.post("/download", form | {"first": "1900-01-01", "last": "2099-12-31"})
    assert answer.status_code in (200, 422)
    b"".join(getattr(answer, "streaming_content", []))
    api = Client(headers={"Authorization": f"Bearer {owner.secret}"})
    api.get(f"/api/v1/usage-points/{owner.point.public_id}/daily", {"from": "1900-01-01", "to": "2099-12-31"})
    assert time.perf_counter() - began < 2


def test_b15_of_exports_and_codes_there_are_six_an_hour_and_then_429(client):
    user = person()
    client.force_login(user)
    for _ in range(limits.EXPORTS_AN_HOUR):
        assert client.post("/download/everything").status_code == 303
        exporting.prepare_exports()
    closed = client.post("/download/everything")
    assert closed.status_code == 429
    assert int(closed["Retry-After"]) > 0
    assert b"Please wait a little" in closed.content
    Letter.objects.all().delete()
    with time_machine.travel("2026-11-20 10:00:00Z") as clock:
        stranger = Client()
        answers = []
        for _ in range(8):
            answers.append(begin_reset(stranger).status_code)
            clock.shift(60)
        assert Letter.objects.filter(kind="reset_code").count() == 6
        assert answers[-1] == 429
        resent = Client()
        resent.post("/account/signup/", {"email": "new@example.com", "password1": PASSWORD})
        for _ in range(9):
            clock.shift(30)
            resent.post("/account/confirm-email/", {"action": "resend"})
        assert Letter.objects.filter(kind="confirm_address").count() <= 6


def test_b16_is_the_journey_of_somebody_who_leaves():
    assert "def test_b16_" in (ROOT / "tests/journeys/test_leaving.py").read_text()


def test_every_case_on_accounts_is_a_test():
    files = [Path(__file__), Path(__file__).parent / "test_object_sweep.py", ROOT / "tests/journeys/test_leaving.py"]
    named = {case for file in files for case in re.findall(r"def test_(b\d\d)_", file.read_text())}
    assert named == {f"b{number:02}" for number in range(1, 17)}
