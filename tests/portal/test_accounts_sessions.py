"""Sessions: how long they last, what ends them, and what their cookies allow."""

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.usersessions.models import UserSession
from cryptography.fernet import Fernet
from django.contrib.sessions.models import Session
from django.core import signing
from django.core.management import CommandError, call_command
from django.test import Client

from espi import fields
from portal.flows import mailing
from portal.letters import TOPICS
from portal.models import User, UtilityVisit
from portal.templatetags.browsers import browser_name
from tests.portal.people import PASSWORD, mailbox, mailed_code, person, sign_in, staff, totp_code

pytestmark = pytest.mark.django_db
START = "2026-11-20 10:00:00Z"


def signed_in_staff(client):
    user = staff()
    sign_in(client, user.email)
    client.post("/account/2fa/authenticate/", {"code": totp_code(user.totp_secret)})
    return user


def is_in(client):
    return client.get("/account/").status_code == 200


def test_a_customer_is_signed_out_after_half_an_hour_without_a_request(client):
    with time_machine.travel(START, tick=False) as clock:
        person()
        sign_in(client)
        assert is_in(client)
        clock.shift(29 * 60)
        assert is_in(client)
        clock.shift(31 * 60)
        answer = client.get("/account/?page=2")
        assert answer["Location"] == "/account/login/?next=%2Faccount%2F%3Fpage%3D2"
        assert b"You were signed out because some time had passed." in client.get(answer["Location"]).content


def test_who_opens_no_page_after_the_sign_in_is_signed_out_all_the_same(client):
    with time_machine.travel(START, tick=False) as clock:
        person()
        sign_in(client)
        clock.shift(31 * 60)
        assert not is_in(client)


@pytest.mark.parametrize("query", ["code=s3cret&state=s3cret", "error=access_denied&state=s3cret"])
def test_an_answer_of_a_utility_that_comes_after_the_session_ended_goes_into_no_other_address(client, query):
    with time_machine.travel(START, tick=False) as clock:
        person()
        sign_in(client)
        assert is_in(client)
        clock.shift(31 * 60)
        answer = client.get(f"/espi/1_1/OAuthCallBack/pge?{query}")
        assert (answer.status_code, answer["Cache-Control"]) == (400, "no-store")
        assert "s3cret" not in f"{answer.headers} {answer.content.decode()} {dict(client.session)}"
        assert not is_in(client)


def test_a_visit_from_a_utility_that_comes_after_the_session_ended_is_kept_without_its_account_number(client):
    with time_machine.travel(START, tick=False) as clock:
        person()
        sign_in(client)
        assert is_in(client)
        clock.shift(31 * 60)
        answer = client.get("/espi/1_1/ScopeSelection?accountid=998877665544")
        assert (answer.status_code, answer["Location"]) == (303, "/connect/arrival")
        assert UtilityVisit.objects.get().account_number == "998877665544"
        assert not is_in(client)


def test_whoever_ends_letters_after_his_session_ended_has_ended_them(client):
    with time_machine.travel(START, tick=False) as clock:
        user = person()
        sign_in(client)
        assert is_in(client)
        clock.shift(31 * 60)
        topic = TOPICS[0].id
        token = signing.dumps([user.pk, topic], salt=mailing.UNSUBSCRIBE)
        assert client.post(f"/letters/unsubscribe/{token}").status_code == 200
        user.refresh_from_db()
        assert user.letters_declined == [topic]
        assert not is_in(client)


def test_a_customer_is_signed_out_after_twelve_hours_however_busy(client):
    with time_machine.travel(START, tick=False) as clock:
        person()
        sign_in(client)
        for _ in range(36):
            assert is_in(client)
            clock.shift(20 * 60)
        assert is_in(client)
        clock.shift(60)
        assert not is_in(client)


def test_staff_are_signed_out_after_a_quarter_of_an_hour(client):
    with time_machine.travel(START, tick=False) as clock:
        signed_in_staff(client)
        assert client.get("/staff/").status_code == 200
        clock.shift(14 * 60)
        assert client.get("/staff/").status_code == 200
        clock.shift(16 * 60)
        assert client.get("/staff/").status_code == 302


def test_staff_are_signed_out_after_eight_hours(client):
    with time_machine.travel(START, tick=False) as clock:
        signed_in_staff(client)
        for _ in range(48):
            assert is_in(client)
            clock.shift(10 * 60)
        assert is_in(client)
        clock.shift(60)
        assert not is_in(client)


def test_one_click_keeps_a_quiet_session_and_only_a_post_does(client):
    with time_machine.travel(START, tick=False) as clock:
        person()
        sign_in(client)
        assert is_in(client)
        clock.shift(28 * 60)
        assert client.get("/account/stay").status_code == 405
        assert client.post("/account/stay").status_code == 204
        clock.shift(28 * 60)
        assert is_in(client)


def test_the_page_knows_when_to_warn_and_only_when_signed_in(client):
    assert b"session-warning" not in client.get("/account/login/").content
    client.force_login(person())
    assert b'data-idle-seconds="1800"' in client.get("/account/").content


def test_b01_the_session_id_changes_at_sign_in_and_the_old_one_is_dead(client):
    person()
    client.get("/account/login/")
    client.session.save()
    before = client.session.session_key
    client.cookies["portal_session"] = before
    sign_in(client)
    after = client.cookies["portal_session"].value
    assert after != before
    stale = Client()
    stale.cookies["portal_session"] = before
    assert not is_in(stale)


def test_b01_signing_out_deletes_the_session_here_too(client):
    person()
    sign_in(client)
    key = client.cookies["portal_session"].value
    client.post("/account/logout/")
    assert not Session.objects.filter(session_key=key).exists()
    stale = Client()
    stale.cookies["portal_session"] = key
    assert not is_in(stale)


def test_signing_out_takes_a_post(client):
    client.force_login(person())
    client.get("/account/logout/")
    assert is_in(client)


def test_a_new_password_needs_the_old_one_and_ends_every_other_session(client):
    person()
    sign_in(client)
    elsewhere = Client()
    sign_in(elsewhere)
    new = {"password1": "four quiet words here", "password2": "four quiet words here"}
    client.post("/account/password/change/", {"oldpassword": "wrong", **new})
    assert is_in(elsewhere)
    answer = client.post("/account/password/change/", {"oldpassword": PASSWORD, **new})
    assert answer["Location"] == "/account/"
    assert is_in(client)
    assert not is_in(elsewhere)
    assert mailbox()[-1].subject == "Your password was changed"


def test_a_new_address_takes_a_code_tells_the_old_one_and_ends_other_sessions(client):
    user = person()
    sign_in(client)
    elsewhere = Client()
    sign_in(elsewhere)
    assert is_in(elsewhere)
    proof = client.post("/account/email/", {"email": "ann@new.example", "action_add": ""})["Location"]
    assert proof.startswith("/account/reauthenticate/")
    client.post(proof, {"password": "wrong"})
    assert not mailbox()
    client.post(proof, {"password": PASSWORD})
    user.refresh_from_db()
    assert user.email == "ann@example.com"
    client.post("/account/confirm-email/", {"code": mailed_code()})
    user.refresh_from_db()
    assert user.email == "ann@new.example"
    told = [message.to for message in mailbox() if message.subject == "Your e-mail address was changed"]
    assert ["ann@example.com"] in told
    assert is_in(client)
    assert not is_in(elsewhere)


def test_all_other_browsers_can_be_signed_out(client):
    person()
    sign_in(client)
    elsewhere = Client()
    sign_in(elsewhere)
    assert is_in(client)
    assert is_in(elsewhere)
    assert UserSession.objects.count() == 2
    client.post("/account/sessions/")
    assert is_in(client)
    assert not is_in(elsewhere)


def test_b08_an_account_that_is_switched_off_is_out_at_the_next_request(client):
    user = person()
    sign_in(client)
    assert is_in(client)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert not is_in(client)


def test_b08_staff_who_lose_the_right_lose_the_pages_at_the_next_request(client):
    user = signed_in_staff(client)
    assert client.get("/staff/").status_code == 200
    User.objects.filter(pk=user.pk).update(is_staff=False)
    assert client.get("/staff/").status_code in (302, 403)


def test_pages_of_the_signed_in_are_kept_by_no_cache(client):
    client.force_login(person())
    for path in ("/", "/account/", "/help"):
        assert "no-store" in client.get(path)["Cache-Control"]


def test_b07_cookies_are_out_of_reach_of_scripts_and_lax(client):
    person()
    client.get("/account/login/")
    sign_in(client)
    for name in ("portal_session", "portal_csrf"):
        cookie = client.cookies[name]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")


def test_the_key_of_an_authenticator_app_and_the_seed_of_recovery_codes_rest_encrypted(client):
    user = staff()
    RecoveryCodes.activate(user)
    rows = {row.type: row.data for row in Authenticator.objects.filter(user=user)}
    assert user.totp_secret not in str(rows)
    assert fields.decrypt(rows["totp"]["secret"]) == user.totp_secret
    assert len(fields.decrypt(rows["recovery_codes"]["seed"])) >= 16


def test_second_steps_survive_a_change_of_keys(client, settings):
    user = staff()
    codes = RecoveryCodes.activate(user).get_unused_codes()
    old, new = settings.FIELD_ENCRYPTION_KEYS[0], Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    call_command("rotate_field_keys", verbosity=0)
    settings.FIELD_ENCRYPTION_KEYS = [new]
    sign_in(client, user.email)
    assert client.post("/account/2fa/authenticate/", {"code": totp_code(user.totp_secret)}).status_code == 303
    again = Client()
    sign_in(again, user.email)
    assert again.post("/account/2fa/authenticate/", {"code": codes[0]}).status_code == 303


def test_a_second_step_that_no_key_opens_stops_the_change_of_keys(settings):
    staff()
    before = list(Authenticator.objects.values())
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CommandError, match="opens under no key"):
        call_command("rotate_field_keys", verbosity=0)
    assert list(Authenticator.objects.values()) == before


def test_a_code_from_the_app_works_once(client):
    user = staff()
    code = totp_code(user.totp_secret)
    sign_in(client, user.email)
    assert client.post("/account/2fa/authenticate/", {"code": code}).status_code == 303
    again = Client()
    sign_in(again, user.email)
    assert again.post("/account/2fa/authenticate/", {"code": code}).status_code == 200
    assert not is_in(again)


def test_turning_the_second_step_off_asks_for_proof_again(client):
    with time_machine.travel(START, tick=False) as clock:
        user = signed_in_staff(client)
        assert is_in(client)
        clock.shift(10 * 60)
        answer = client.post("/account/2fa/totp/deactivate/")
        assert "/reauthenticate/" in answer["Location"]
        assert Authenticator.objects.filter(user=user, type="totp").exists()


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36",
            "Chrome on Windows",
        ),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Mobile Safari/604.1", "Safari on iPhone"),
        ("curl/8.5.0", "curl/8.5.0"),
    ],
)
def test_a_browser_is_named_as_people_name_it(user_agent, name):
    assert browser_name(user_agent) == name
