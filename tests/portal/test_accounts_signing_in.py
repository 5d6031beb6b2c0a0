"""Registering, signing in, resetting: for whom, where it leads, and what a stranger learns from it."""

import time

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.test import Client

from portal.accounts import is_own_path
from portal.models import User
from tests.portal.people import PASSWORD, mailbox, mailed_code, person, remember_visit, sign_in, staff, totp_code

pytestmark = pytest.mark.django_db

HOSTILE = [
    "//e.com",
    "/\\e.com",
    "\\\\e.com",
    "https:e.com",
    "https:/e.com",
    "https://e.com",
    "/%09/e.com",
    "/%5Ce.com",
    "/%2Fe.com",
    "javascript:alert(1)",
    "https://portal@e.com",
    "https://localhost@e.com/dashboard",
    "\t//e.com",
    "\n//e.com",
    " //e.com",
    "/\t/e.com",
    "/\n/e.com",
    "dashboard",
    "",
]


@pytest.mark.parametrize("address", HOSTILE)
def test_a27_no_hostile_next_is_an_address_of_ours(address):
    assert not is_own_path(address)


@pytest.mark.parametrize(
    "address", ["/", "/dashboard", "/usage/1?from=2026-01-01&to=2026-02-01", "/connect/pge?next=//e.com"]
)
def test_a_path_of_ours_is_kept(address):
    assert is_own_path(address)


@pytest.mark.parametrize("address", HOSTILE)
def test_a27_signing_in_with_a_hostile_next_leads_to_the_dashboard(client, address):
    person()
    answer = sign_in(client, next=address)
    assert (answer.status_code, answer["Location"]) == (303, "/dashboard")


@pytest.mark.parametrize("address", HOSTILE)
def test_a27_signing_out_with_a_hostile_next_leads_to_the_start_page(client, address):
    client.force_login(person())
    assert client.post("/account/logout/", {"next": address})["Location"] == "/"


def test_signing_in_leads_where_the_visitor_was_going(client):
    person()
    assert sign_in(client, next="/connect/pge?again=1")["Location"] == "/connect/pge?again=1"


def register(client, email="new@example.com", **more):
    return client.post("/account/signup/", {"email": email, "password1": PASSWORD, **more})


def confirm(client, code):
    return client.post("/account/confirm-email/", {"code": code})


def test_registering_takes_a_code_and_then_one_is_signed_in_and_where_one_was_going(client):
    answer = register(client, next="/connect/pge")
    assert (answer.status_code, answer["Location"]) == (303, "/account/confirm-email/")
    assert "_auth_user_id" not in client.session
    answer = confirm(client, mailed_code())
    assert answer["Location"] == "/connect/pge"
    user = User.objects.get(email="new@example.com")
    assert client.session["_auth_user_id"] == str(user.pk)
    assert EmailAddress.objects.get(user=user).verified
    assert not user.is_staff


def test_the_message_with_the_code_says_who_writes_and_holds_no_address_to_click(client):
    register(client)
    (message,) = mailbox()
    assert message.subject == "Your code to confirm your e-mail address"
    assert "Share My Meter" in message.body
    assert "http" not in message.body


def test_a_wrong_code_says_so_and_the_third_one_ends_it(client):
    register(client)
    for _ in range(2):
        answer = confirm(client, "ZZZZZZ")
        assert answer.status_code == 200
        assert b"There is a problem" in answer.content
        assert b"<title>Error: " in answer.content
    assert confirm(client, "ZZZZZZ")["Location"] == "/account/login/"
    assert "_auth_user_id" not in client.session


def test_a_code_is_good_for_fifteen_minutes_only(client):
    with time_machine.travel("2026-11-20 10:00:00Z") as clock:
        register(client)
        code = mailed_code()
        clock.shift(16 * 60)
        assert confirm(client, code)["Location"] == "/account/login/"
    assert "_auth_user_id" not in client.session


def test_registering_does_not_take_rights_from_the_form(client):
    register(client, is_staff="on", is_superuser="on", user="1")
    user = User.objects.get(email="new@example.com")
    assert not user.is_staff
    assert not user.is_superuser


def test_registering_a_known_address_looks_the_same_and_only_its_owner_learns_of_it(client):
    person("new@example.com")
    answer = register(client)
    known_page = client.get(answer["Location"]).content
    stranger = Client()
    page = stranger.get(register(stranger, "other@example.com")["Location"]).content
    assert strip(known_page) == strip(page).replace(b"other@example.com", b"new@example.com")
    told = {message.to[0]: message.subject for message in mailbox()}
    assert told["new@example.com"] == "You already have an account with us"
    assert User.objects.filter(email="new@example.com").count() == 1


def test_a_mistyped_address_is_put_right_without_losing_the_way(client):
    remember_visit(client)
    register(client, "mistypd@example.com", next="/connect/pge")
    page = client.get("/account/confirm-email/?next=/connect/pge").content.decode()
    assert 'value="/account/signup/?next=/connect/pge"' in page
    answer = client.post("/account/logout/", {"next": "/account/signup/?next=/connect/pge"})
    assert answer["Location"] == "/account/signup/?next=/connect/pge"
    register(client, "mistyped@example.com")
    assert confirm(client, mailed_code())["Location"] == "/connect/arrival"


def test_registering_takes_as_long_for_a_known_address_as_for_a_new_one(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    person("new@example.com")
    times = {}
    for email in ("new@example.com", "other@example.com"):
        began = time.process_time()
        register(Client(), email)
        times[email] = time.process_time() - began
    assert times["new@example.com"] > times["other@example.com"] / 2


def strip(page):
    """A page without what is random in it."""
    return b"\n".join(line for line in page.splitlines() if b"csrfmiddlewaretoken" not in line)


def test_resetting_an_unknown_address_looks_the_same(client):
    person()
    for email in ("ann@example.com", "nobody@example.com"):
        answer = client.post("/account/password/reset/", {"email": email})
        assert answer["Location"] == "/account/password/reset/confirm/"
    assert [message.to for message in mailbox()] == [["ann@example.com"], ["nobody@example.com"]]


def test_a_wrong_password_and_an_unknown_address_get_the_same_words(client):
    person()
    pages = [sign_in(Client(), email, "not the one") for email in ("ann@example.com", "nobody@example.com")]
    texts = [strip(page.content).replace(b"ann@", b"nobody@") for page in pages]
    assert texts[0] == texts[1]
    assert b"There is a problem" in texts[0]


@pytest.mark.parametrize("password", ["seven77", "password", "12345678", "ann@example.com"])
def test_short_common_and_telling_passwords_are_refused(client, password):
    answer = client.post("/account/signup/", {"email": "ann@example.com", "password1": password})
    assert answer.status_code == 200
    assert b'href="#id_password1"' in answer.content
    assert not User.objects.exists()


def test_a_password_of_two_hundred_characters_with_blanks_is_taken(client):
    long = "correct horse battery staple " * 7
    client.post("/account/signup/", {"email": "new@example.com", "password1": long})
    confirm(client, mailed_code())
    client.post("/account/logout/")
    assert sign_in(client, "new@example.com", long)["Location"] == "/dashboard"


@pytest.mark.parametrize(
    "path", ["/account/login/", "/account/signup/", "/account/password/reset/", "/account/logout/"]
)
def test_a_form_without_its_token_is_refused_in_plain_words(path):
    answer = Client(enforce_csrf_checks=True).post(
        path, {"login": "a@b.example", "password": "x", "email": "a@b.example"}
    )
    assert answer.status_code == 403
    assert b"That form is out of date" in answer.content


def test_the_password_field_can_be_filled_by_a_manager(client):
    page = client.get("/account/login/").content
    assert b'autocomplete="current-password"' in page
    assert b'autocomplete="new-password"' in client.get("/account/signup/").content


# --- A visit that began at a utility ---------------------------------------------------------------------------------


def test_a_visit_from_a_utility_survives_signing_in(client):
    person()
    remember_visit(client)
    assert sign_in(client)["Location"] == "/connect/arrival"
    assert client.session["utility_visit"] == "c0ffee"


def test_a_visit_from_a_utility_comes_before_next(client):
    person()
    remember_visit(client)
    assert sign_in(client, next="/dashboard")["Location"] == "/connect/arrival"


def test_a_visit_from_a_utility_survives_the_second_step(client):
    user = staff()
    remember_visit(client)
    assert sign_in(client, user.email)["Location"] == "/account/2fa/authenticate/"
    answer = client.post("/account/2fa/authenticate/", {"code": totp_code(user.totp_secret)})
    assert answer["Location"] == "/connect/arrival"
    assert client.session["utility_visit"] == "c0ffee"


def test_a_visit_from_a_utility_survives_registering(client):
    remember_visit(client)
    register(client)
    assert confirm(client, mailed_code())["Location"] == "/connect/arrival"
    assert client.session["utility_visit"] == "c0ffee"


def test_a_visit_from_a_utility_survives_setting_a_new_password(client):
    person()
    remember_visit(client)
    assert reset(client, "another three words")["Location"] == "/connect/arrival"
    assert client.session["utility_visit"] == "c0ffee"


def test_a_visit_from_a_utility_survives_being_signed_out_for_idling(client):
    with time_machine.travel("2026-11-20 10:00:00Z") as clock:
        person()
        sign_in(client)
        client.get("/account/")
        remember_visit(client)
        clock.shift(31 * 60)
        assert client.get("/account/").status_code == 302
        assert client.session["utility_visit"] == "c0ffee"


def reset(client, password, email="ann@example.com"):
    client.post("/account/password/reset/", {"email": email})
    client.post("/account/password/reset/confirm/", {"code": mailed_code()})
    return client.post("/account/password/reset/complete/", {"password1": password, "password2": password})


def test_a_new_password_signs_in_ends_other_sessions_and_is_told_by_mail(client):
    user = person()
    elsewhere = Client()
    sign_in(elsewhere)
    assert reset(client, "another three words")["Location"] == "/dashboard"
    user.refresh_from_db()
    assert user.check_password("another three words")
    assert elsewhere.get("/account/").status_code == 302
    assert mailbox()[-1].subject == "Your password was changed"


def test_a_reset_does_not_get_round_the_second_step(client):
    user = staff()
    assert reset(client, "another three words", user.email)["Location"] == "/account/2fa/authenticate/"
    assert "_auth_user_id" not in client.session


# --- Limits -----------------------------------------------------------------------------------------------------------


def test_ten_failures_close_the_door_for_fifteen_minutes_from_that_place_only(client):
    with time_machine.travel("2026-11-20 10:00:00Z") as clock:
        person()
        for _ in range(10):
            assert sign_in(client, password="a guess").status_code == 200
        closed = sign_in(client)
        assert (closed.status_code, closed["Retry-After"]) == (429, "900")
        assert b"Please wait a little" in closed.content
        assert b"/account/password/reset/" in closed.content
        assert sign_in(Client(REMOTE_ADDR="192.0.2.7"))["Location"] == "/dashboard"
        clock.shift(15 * 60 + 1)
        assert sign_in(client)["Location"] == "/dashboard"


def test_the_owner_can_set_a_new_password_while_the_door_is_closed(client):
    person()
    for _ in range(11):
        sign_in(client, password="a guess")
    assert reset(client, "another three words")["Location"] == "/dashboard"
    client.post("/account/logout/")
    assert sign_in(client, password="another three words")["Location"] == "/dashboard"


def test_fifty_failures_an_hour_from_one_place_close_every_door(client):
    with time_machine.travel("2026-11-20 10:00:00Z") as clock:
        person()
        for number in range(50):
            clock.shift(5)
            assert sign_in(client, f"guess{number}@example.com", "a guess").status_code == 200
        assert sign_in(client).status_code == 429
        clock.shift(3600)
        assert sign_in(client)["Location"] == "/dashboard"


def test_a_mail_server_that_is_down_keeps_nobody_waiting_and_the_code_comes_when_it_is_back(client, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    with time_machine.travel("2026-11-20 10:00:00Z") as clock:
        assert register(client)["Location"] == "/account/confirm-email/"
        assert mailbox() == []
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        assert mailbox() == []  # not asked again at once
        clock.shift(60)
        assert confirm(client, mailed_code())["Location"] == "/dashboard"
