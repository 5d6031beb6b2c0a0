"""A backup as docs/operations.md makes one, restored beside the site it was made of: every table equal, secrets readable."""

import subprocess
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from espi import fields
from espi.models import ApplicationInformation
from portal.local import programs
from portal.models import StaffAccess
from tests.portal import rows

RESTORED = "portal_restored"


@pytest.fixture
def tools():
    """Where pg_dump and pg_restore are, of the version of the server."""
    found = programs.postgres(Path("/nowhere"))
    if not (found / "pg_dump").exists():
        pytest.skip("This PostgreSQL came without pg_dump.")
    return found


def server(name):
    given = connection.get_connection_params()
    return {key: given[key] for key in ("user", "password", "host", "port") if given.get(key)} | {"dbname": name}


def run(program, name, *words):
    given = server(name)
    options = (("host", "host"), ("port", "port"), ("username", "user"))
    place = [f"--{option}={given[key]}" for option, key in options if key in given]
    done = subprocess.run([program, *place, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def contents(name):
    """{table: (how many rows, a digest of all of them)}."""
    with psycopg.connect(**server(name)) as asked:
        tables = asked.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
        digest = (
            "SELECT count(*), md5(string_agg(each, '|' ORDER BY each)) FROM (SELECT t::text AS each FROM {} t) AS x"
        )
        return {table: asked.execute(digest.format(f'"{table}"')).fetchone() for (table,) in tables}


@pytest.fixture
def restored():
    """The name of an empty database beside the site's."""
    with psycopg.connect(**server("postgres"), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {RESTORED}")
        admin.execute(f"CREATE DATABASE {RESTORED}")
        yield RESTORED
        admin.execute(f"DROP DATABASE {RESTORED} WITH (FORCE)")


@pytest.mark.django_db(transaction=True)
def test_a_backup_restores_every_row_and_the_keys_open_its_secrets(tools, restored, tmp_path):
    app = rows.registration(client_secret="what the utility gave us")
    held = rows.authorization(app)
    point = rows.usage_point(held.retail_customer)
    rows.day(rows.channel(point), "2026-01-15", list(range(96)), length=900)
    StaffAccess.objects.create(at=rows.NOW, kind="look", what="espi.authorization 1")
    site, dump = connection.settings_dict["NAME"], str(tmp_path / "portal.dump")
    run(tools / "pg_dump", site, "--format=custom", f"--file={dump}", site)
    run(tools / "pg_restore", site, f"--dbname={restored}", "--no-owner", "--exit-on-error", dump)
    before = contents(site)
    assert contents(restored) == before
    assert before["espi_intervalblock"][0] == 1
    with psycopg.connect(**server(restored)) as asked:
        stored, readings = asked.execute(
            "SELECT client_secret, (SELECT count(*) FROM espi_reading) FROM espi_applicationinformation"
        ).fetchone()
    assert (fields.decrypt(stored), readings) == ("what the utility gave us", 96)
    assert "what the utility gave us" not in stored


@pytest.mark.django_db(transaction=True)
def test_a_backup_does_not_hold_a_secret_in_clear(tools, tmp_path):
    app = rows.registration(client_secret="c4n4ry-client", api_token="c4n4ry-api", notify_secret="c4n4ry-notify")
    rows.authorization(app, access_token="c4n4ry-access", refresh_token="c4n4ry-refresh", account_number="c4n4ry-1")
    site, dump = connection.settings_dict["NAME"], tmp_path / "portal.sql"
    run(tools / "pg_dump", site, "--format=plain", f"--file={dump}", site)
    text = dump.read_text()
    assert "client-of-cecony" in text
    assert "c4n4ry" not in text


@pytest.mark.django_db(transaction=True)
def test_what_was_restored_with_the_old_key_comes_under_the_new_one(settings):
    from cryptography.fernet import Fernet

    app = rows.registration(client_secret="kept")
    new = Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [new, *settings.FIELD_ENCRYPTION_KEYS]
    call_command("rotate_field_keys", verbosity=0)
    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert ApplicationInformation.objects.get(pk=app.pk).client_secret == "kept"
