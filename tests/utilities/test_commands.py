"""Registrations by command, and the system checks: on a real database."""

import io
import json
import stat
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import connection

import utilities
from espi.models import ApplicationInformation
from tests.certificates import Authority
from tests.utilities.conftest import PROFILES

pytestmark = pytest.mark.django_db

CREDENTIALS = {
    "client_id": "cid",
    "client_secret": "canary-secret",
    "subscription_key": "canary-key",
    "third_party_id": "92",
}


def run(*words, **options):
    out = io.StringIO()
    call_command(*words, stdout=out, **options)
    assert "canary" not in out.getvalue()
    return out.getvalue()


def refused(*words, **options):
    with pytest.raises(CommandError) as caught:
        run(*words, **options)
    assert "canary" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def file(tmp_path):
    def write(value, name="creds.json"):
        path = tmp_path / name
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return str(path)

    return write


def stored(utility="cecony", environment="production", edition="v1"):
    return ApplicationInformation.objects.get(utility=utility, environment=environment, edition=edition)


# --- registration_form ---


def test_the_form_holds_our_addresses_for_every_profile_and_is_the_same_again(tmp_path, settings):
    settings.PORTAL_BASE_URL = "https://portal.example"
    path = tmp_path / "onboarding" / "forms.json"
    run("registration_form", output=str(path))
    forms = json.loads(path.read_text())
    assert [(form["utility"], form["edition"]) for form in forms] == PROFILES
    assert {form["environment"] for form in forms} == {"sandbox"}
    app = stored("pge", "sandbox", "")
    assert forms[4] == {
        "utility": "pge",
        "environment": "sandbox",
        "edition": "",
        "company": settings.PORTAL_COMPANY,
        "portal_uri": "https://portal.example/espi/1_1/ThirdPartyPortal/pge",
        "scope_selection_uri": "https://portal.example/espi/1_1/ScopeSelection",
        "redirect_uri": "https://portal.example/espi/1_1/OAuthCallBack/pge",
        "notify_uri": f"https://portal.example/espi/1_1/Notification/pge/{app.notify_secret}",
    }
    webhooks = {form["utility"]: form["webhook_uri"] for form in forms if "webhook_uri" in form}
    assert webhooks == {
        slug: f"https://portal.example/espi/1_1/Webhook/{slug}/{stored(slug, 'sandbox', '').notify_secret}"
        for slug in ("essex", "welland")
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(run("registration_form")) == forms
    assert ApplicationInformation.objects.count() == 7
    assert json.loads(run("registration_form", environment="production"))[0]["environment"] == "production"
    assert not ApplicationInformation.objects.filter(is_offered=True).exists()


# --- load_welcome_package ---


def packages(folder):
    authority = Authority(folder)
    certificate, key = authority.certificate("third party")
    files = {"client_certificate_path": certificate, "client_key_path": key, "ca_bundle_path": authority.path}
    common = {**CREDENTIALS, "environment": "sandbox", "bulk_id": "7", "unheard_of": "ignored", "api_token": None}
    return [
        {**common, "utility": slug, "edition": edition, **(files if slug == "pge" else {})}
        for slug, edition in PROFILES
    ]


def test_the_exchange_with_a_sandbox_makes_every_utility_offered_once(file, tmp_path):
    run("registration_form", output=str(tmp_path / "forms.json"))
    secret = stored("oru", "sandbox", "v2").notify_secret
    welcome = file(packages(tmp_path))
    for _ in range(2):
        run("load_welcome_package", welcome)
    offered = [(utility.slug, app.edition) for utility, app in utilities.offered()]
    assert offered == [("cecony", "v1"), ("oru", "v1"), ("pge", ""), ("essex", ""), ("welland", "")]
    app = stored("oru", "sandbox", "v2")
    assert (app.client_secret, app.notify_secret, app.bulk_id) == ("canary-secret", secret, "7")


def test_what_is_offered_already_stays_offered(file, tmp_path):
    run("load_welcome_package", file(packages(tmp_path)))
    run("offer_utility", "cecony", "sandbox", "v2")
    run("load_welcome_package", file(packages(tmp_path)))
    assert stored("cecony", "sandbox", "v2").is_offered


def test_e13_a_production_deployment_is_never_offered_the_sandbox_by_itself(file, tmp_path, settings):
    settings.ENVIRONMENT_NAME = "production"
    run("load_welcome_package", file(packages(tmp_path)))
    assert utilities.offered() == []


def test_nothing_is_offered_when_that_was_asked(file, tmp_path):
    run("load_welcome_package", file(packages(tmp_path)), no_offer=True)
    assert utilities.offered() == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"utility": "nobody"}, "There are: cecony, oru, pge, essex, welland"),
        ({"environment": "moon"}, "environments sandbox, test and production"),
        ({"edition": 1}, "are texts"),
        ({"client_id": ["canary"]}, "client_id must be one line of text"),
    ],
)
def test_one_bad_package_changes_nothing(file, tmp_path, change, words):
    bad = packages(tmp_path)
    bad[-1] |= change
    assert words in refused("load_welcome_package", file(bad))
    assert ApplicationInformation.objects.count() == 0


@pytest.mark.parametrize("text", ["{}", '"canary"', "[1]", "canary, no JSON", ""])
def test_a_file_that_is_no_welcome_file_is_refused(file, text):
    assert "JSON" in refused("load_welcome_package", file(text))


# --- set_registration, offer_utility ---


def test_credentials_come_from_a_file_or_standard_input_and_are_encrypted(file, monkeypatch):
    assert "stored" in run("set_registration", "cecony", "production", "v1", file=file(CREDENTIALS))
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"client_id": "another"})))
    run("set_registration", "cecony", "production", "v1")
    app = stored()
    assert (app.client_id, app.client_secret, app.is_offered) == ("another", "canary-secret", False)
    with connection.cursor() as cursor:
        cursor.execute("SELECT client_secret, subscription_key FROM espi_applicationinformation")
        assert "canary" not in str(cursor.fetchall())


def test_a_registration_can_be_offered_at_once(file):
    run("set_registration", "cecony", "production", "v1", file=file(CREDENTIALS), offer=True)
    assert [app for _, app in utilities.offered()] == [stored()]


@pytest.mark.parametrize(
    ("words", "values", "reason"),
    [
        (("cecony", "production"), CREDENTIALS, "editions: v1, v2"),
        (("pge", "production", "v1"), CREDENTIALS, "none: leave it out"),
        (("nobody", "production"), CREDENTIALS, "no utility of that name"),
        (("cecony", "production", "v1"), {"client_secrte": "canary"}, "Unknown: client_secrte"),
        (("cecony", "production", "v1"), {"is_offered": True}, "Unknown: is_offered"),
        (("cecony", "production", "v1"), {"notify_secret": "canary"}, "Unknown: notify_secret"),
        (("cecony", "production", "v1"), {"client_secret": " canary"}, "without blanks around it"),
        (("cecony", "production", "v1"), {"client_secret": "canary\nX: y"}, "one line of text"),
        (("cecony", "production", "v1"), {"client_id": "c" * 256}, "more than 255"),
        (("cecony", "production", "v1"), {"ca_bundle_path": "/nowhere.pem"}, "no such file"),
        (("cecony", "production", "v1"), {"token_url": "https://canary.example/"}, "token_url: This address is not one of the utility's"),
        (("cecony", "production", "v1"), ["canary"], "one JSON object"),
        (("cecony", "production", "v1"), "canary", "does not hold JSON"),
    ],
)  # fmt: skip
def test_bad_values_are_refused_in_words_and_change_nothing(file, words, values, reason):
    assert reason in refused("set_registration", *words, file=file(values))
    assert not ApplicationInformation.objects.exists()


def test_a_file_that_is_not_there_is_named():
    assert "/nowhere.json cannot be read" in refused("set_registration", "essex", "test", file="/nowhere.json")


def test_an_incomplete_registration_is_kept_and_not_offered(file):
    path = file({"client_id": "cid"})
    assert "Still missing: client secret" in run("set_registration", "essex", "test", file=path)
    assert "Missing: client secret" in refused("set_registration", "essex", "test", file=path, offer=True)
    assert "Missing: client secret" in refused("offer_utility", "essex", "test")
    assert utilities.offered() == []


def test_one_registration_is_offered_in_place_of_another(file):
    run("set_registration", "cecony", "production", "v1", file=file(CREDENTIALS), offer=True)
    run("set_registration", "cecony", "production", "v2", file=file(CREDENTIALS))
    assert "in place of cecony v1 production" in run("offer_utility", "cecony", "production", "v2")
    assert [app.edition for _, app in utilities.offered()] == ["v2"]
    assert "no credentials yet" in refused("offer_utility", "cecony", "test", "v2")


# --- check_utility ---


def test_check_utility_says_what_is_missing_and_where_it_calls(file):
    assert "no registration" in run("check_utility", "essex")
    run("set_registration", "essex", "production", file=file({"client_id": "cid"}))
    said = run("check_utility", "essex")
    assert "https://greenbutton.essexpowerlines.ca/oauth/token" in said
    assert "missing: client secret" in said
    assert "There are: cecony, oru, pge, essex, welland" in refused("check_utility", "nobody")


def test_check_utility_looks_into_the_files(file, tmp_path):
    certificate, key = Authority(tmp_path).certificate("portal.example")
    files = {"client_certificate_path": certificate, "client_key_path": key}
    run("set_registration", "pge", "production", file=file(CREDENTIALS | files))
    Path(certificate).write_text("no certificate")
    assert "does not hold a usable certificate" in run("check_utility", "pge")
    Path(certificate).unlink()
    assert f"there is no file {certificate}" in run("check_utility", "pge")
    ApplicationInformation.objects.update(is_offered=True)
    assert "cannot use what they are offered: pge production" in refused("check_utility", "pge")


def test_check_utility_is_content_with_a_complete_registration(file, tmp_path):
    run("load_welcome_package", file(packages(tmp_path)))
    for utility in utilities.all():
        assert "nothing is missing" in run("check_utility", utility.slug)


# --- rotate_field_keys ---


def raw_values():
    with connection.cursor() as cursor:
        cursor.execute("SELECT client_secret, notify_secret, api_token FROM espi_applicationinformation ORDER BY id")
        return cursor.fetchall()


def test_e06_after_rotation_the_old_key_opens_nothing_and_the_new_one_everything(settings):
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    settings.FIELD_ENCRYPTION_KEYS = [old]
    made = [
        ApplicationInformation.objects.create(
            utility=f"u{number}", environment="test", client_secret=f"secret {number}"
        )
        for number in range(205)
    ]
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    assert "espi.ApplicationInformation: 205 rows" in run("rotate_field_keys")
    settings.FIELD_ENCRYPTION_KEYS = [new]
    for app in made:
        again = ApplicationInformation.objects.get(pk=app.pk)
        assert (again.client_secret, again.notify_secret, again.updated_at) == (
            app.client_secret,
            app.notify_secret,
            app.updated_at,
        )
    for secret, notify, empty in raw_values():
        assert Fernet(new).decrypt(secret.encode())
        assert Fernet(new).decrypt(notify.encode())
        assert empty == ""


def test_e06_a_key_that_is_missing_is_reported_and_nothing_is_lost(settings):
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    ApplicationInformation.objects.create(utility="essex", environment="test", client_secret="canary")
    before = raw_values()
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert "no key of FIELD_ENCRYPTION_KEYS opens" in refused("rotate_field_keys")
    assert raw_values() == before


# --- System checks ---


def found(**options):
    return {message.id for message in run_checks(**options) if message.id.startswith("utilities.")}


def test_e06_without_an_encryption_key_only_development_goes_on(settings):
    settings.FIELD_ENCRYPTION_KEYS, settings.DEBUG = [], False
    assert found() == {"utilities.E001"}
    settings.DEBUG = True
    assert found() == set()
    settings.FIELD_ENCRYPTION_KEYS = ["not a key"]
    assert found() == {"utilities.E002"}


def test_e13_the_sandbox_offered_in_production_is_an_error(file, tmp_path, settings):
    run("load_welcome_package", file(packages(tmp_path)))
    assert found(databases=["default"]) == set()
    settings.ENVIRONMENT_NAME = "production"
    assert found(databases=["default"]) == {"utilities.E003"}


def test_rows_that_name_nobody_or_lack_something_are_warned_about():
    ApplicationInformation.objects.create(utility="nobody", environment="test")
    assert found(databases=["default"]) == {"utilities.W001"}
    ApplicationInformation.objects.create(utility="essex", environment="test", is_offered=True)
    assert found(databases=["default"]) == {"utilities.W001", "utilities.W002"}


def test_values_no_key_opens_are_an_error(settings):
    ApplicationInformation.objects.create(utility="essex", environment="test", client_secret="canary")
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert found(databases=["default"]) == {"utilities.E004"}


def test_no_check_asks_the_database_unless_it_was_told_to(django_assert_num_queries):
    ApplicationInformation.objects.create(utility="nobody", environment="test")
    with django_assert_num_queries(0):
        assert found() == set()
