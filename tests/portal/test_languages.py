"""The language of a page: the customer's own, the visitor's choice, the browser's."""

from datetime import UTC, date, datetime

import pytest
from django.test import Client
from django.utils import translation
from lxml import html

from portal import writing
from portal.models import User
from tests.portal.people import PASSWORD, person, staff

pytestmark = pytest.mark.django_db


def language(answer):
    return html.fromstring(answer.content).get("lang")


@pytest.mark.parametrize(
    ("asked", "given"),
    [("es-MX,es;q=0.9", "es"), ("fr-CA", "fr-ca"), ("fr-FR,fr", "fr-ca"), ("de", "en"), ("en-GB", "en")],
)
def test_a_new_visitor_meets_the_language_of_his_browser(client, asked, given):
    assert language(client.get("/", headers={"accept-language": asked})) == given


def test_a_visitor_switches_and_stays_where_he_was(client):
    answer = client.post("/language", {"language": "es", "next": "/help?x=1"}, headers={"accept-language": "fr"})
    assert (answer.status_code, answer["Location"]) == (303, "/help?x=1")
    assert language(client.get("/help", headers={"accept-language": "fr"})) == "es"
    cookie = client.cookies["portal_language"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


@pytest.mark.parametrize("place", ["//e.example", "https://e.example", "/\\e.example", "javascript:alert(1)", ""])
def test_a27_the_switch_leads_nowhere_else(client, place):
    assert client.post("/language", {"language": "es", "next": place})["Location"] == "/"


def test_the_switch_wants_our_form_and_one_of_our_languages(client):
    assert Client(enforce_csrf_checks=True).post("/language", {"language": "es"}).status_code == 403
    assert client.get("/language").status_code == 405
    assert "portal_language" not in client.post("/language", {"language": "xx"}).cookies


def test_a_customers_own_language_holds_in_every_browser(client):
    user = person()
    client.force_login(user)
    answer = client.post("/account/language", {"language": "fr-ca"})
    assert answer["Location"] == "/account/"
    user.refresh_from_db()
    assert user.language == "fr-ca"
    elsewhere = Client(headers={"accept-language": "es"})
    elsewhere.force_login(user)
    assert language(elsewhere.get("/account/")) == "fr-ca"


def test_a_signed_in_customer_who_uses_the_footer_keeps_his_choice(client):
    user = person()
    client.force_login(user)
    client.post("/language", {"language": "es"})
    user.refresh_from_db()
    assert user.language == "es"


def test_a_time_of_day_is_written_as_each_language_writes_it():
    """Django's own French for Canada writes 00 12 05 for five past midnight."""
    said = {}
    for each in ("en", "es", "fr-ca"):
        with translation.override(each):
            said[each] = writing.clock(datetime(2026, 3, 14, 0, 5, tzinfo=UTC))
    assert said == {"en": "00:05", "es": "00:05", "fr-ca": "00\xa0h\xa005"}


@pytest.mark.parametrize(
    ("code", "zones", "months"),
    [
        ("en", ["Pacific Time", "Eastern Time", "Etc/GMT+5"], ["Jun", "Jul"]),
        ("es", ["hora del Pacífico", "hora oriental", "Etc/GMT+5"], ["junio", "julio"]),
        ("fr-ca", ["heure du Pacifique", "heure de l’Est", "Etc/GMT+5"], ["juin", "juil."]),
    ],
)
def test_zones_and_months_are_named_as_people_name_them(code, zones, months):
    with translation.override(code):
        assert [writing.zone(name) for name in ("America/Los_Angeles", "America/Toronto", "Etc/GMT+5")] == zones
        assert [writing.short_month(date(2026, month, 1)) for month in (6, 7)] == months


def test_a_language_nobody_speaks_is_refused_in_words(client):
    client.force_login(person())
    answer = client.post("/account/language", {"language": "xx"})
    assert answer.status_code == 400
    assert html.fromstring(answer.content).xpath("//*[@id='error-summary']")


def test_who_registers_keeps_the_language_he_registered_in(client):
    client.post("/language", {"language": "es"})
    client.post("/account/signup/", {"email": "eva@example.com", "password1": PASSWORD})
    assert User.objects.get(email="eva@example.com").language == "es"


def test_staff_pages_are_english(client):
    user = staff()
    user.language = "es"
    user.save()
    client.force_login(user)
    assert client.get("/staff/").wsgi_request.LANGUAGE_CODE == "en"
    assert client.get("/account/").wsgi_request.LANGUAGE_CODE == "es"


def test_what_comes_back_from_a_utility_does_not_stand_in_the_page(client):
    answer = client.get("/espi/1_1/OAuthCallBack/pge?code=s3cret&state=s3cret", headers={"accept-language": "es"})
    assert b"s3cret" not in answer.content
    assert language(answer) == "es"


def test_the_style_guide_is_for_staff(client, settings):
    assert client.get("/styleguide").status_code == 404
    client.force_login(staff())
    assert client.get("/styleguide").status_code == 200
    assert b"There is a problem" in client.get("/styleguide?wrong").content
    settings.DEBUG = True
    assert Client().get("/styleguide").status_code == 200
