"""The demo's logins: made once, kept private, never in production."""

import json
import stat

import pytest
from django.core.management import CommandError, call_command

from portal.models import User
from tests.portal.people import sign_in, totp_code

pytestmark = pytest.mark.django_db


def seed(path):
    call_command("seed_demo", output=path, verbosity=0)
    return json.loads(path.read_text())


def test_the_demo_logins_work_and_staff_get_in_with_their_key(client, tmp_path):
    logins = {login["who"]: login for login in seed(tmp_path / "logins.json")}
    customer, staff = logins["customer"], logins["staff"]
    assert sign_in(client, customer["email"], customer["password"])["Location"] == "/dashboard"
    client.post("/account/logout/")
    sign_in(client, staff["email"], staff["password"])
    client.post("/account/2fa/authenticate/", {"code": totp_code(staff["totp_secret"])})
    assert client.get("/staff/").status_code == 200


def test_the_file_can_be_read_by_its_owner_only(tmp_path):
    seed(tmp_path / "logins.json")
    assert stat.S_IMODE((tmp_path / "logins.json").stat().st_mode) == 0o600


def test_seeding_again_changes_nothing(tmp_path):
    first = seed(tmp_path / "logins.json")
    before = list(User.objects.order_by("pk").values())
    assert seed(tmp_path / "logins.json") == first
    assert list(User.objects.order_by("pk").values()) == before


def test_when_the_file_is_lost_new_passwords_are_made_and_work(client, tmp_path):
    first = seed(tmp_path / "logins.json")
    second = seed(tmp_path / "others.json")
    assert first[0]["password"] != second[0]["password"]
    assert sign_in(client, second[0]["email"], second[0]["password"])["Location"] == "/dashboard"
    staff = second[2]
    client.post("/account/logout/")
    sign_in(client, staff["email"], staff["password"])
    assert client.post("/account/2fa/authenticate/", {"code": totp_code(staff["totp_secret"])}).status_code == 303


def test_staff_whose_key_was_written_under_lost_keys_get_a_new_one(settings, client, tmp_path):
    from cryptography.fernet import Fernet

    seed(tmp_path / "logins.json")
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    staff = seed(tmp_path / "logins.json")[2]
    sign_in(client, staff["email"], staff["password"])
    assert client.post("/account/2fa/authenticate/", {"code": totp_code(staff["totp_secret"])}).status_code == 303


def test_in_production_it_refuses_and_makes_nobody(settings, tmp_path):
    settings.ENVIRONMENT_NAME = "production"
    with pytest.raises(CommandError, match="not for there"):
        seed(tmp_path / "logins.json")
    assert not User.objects.exists()
    assert not list(tmp_path.iterdir())
