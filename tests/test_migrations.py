"""The migrations say what the models say, and carry over what a site of before holds."""

import base64
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent
BEFORE = """
INSERT INTO portal_user (id, password, is_superuser, first_name, last_name, email, is_staff, is_active, date_joined)
    VALUES (1, '', false, '', '', 'ann@example.com', false, true, now());
INSERT INTO espi_subscription (id, public_id, retail_customer_id, utility, name, time_zone, created_at)
    VALUES (1, gen_random_uuid(), 1, 'pge', '', 'America/Los_Angeles', now());
INSERT INTO espi_document (id, public_id, subscription_id, url, file_name, content_type, sha256, size, content,
    received_at, summary) VALUES (1, gen_random_uuid(), 1, '', '', '', '', 7, '\\x1f8b00', now(), '{}');
INSERT INTO espi_usagepoint (id, public_id, subscription_id, resource_id, title, time_zone, created_at)
    VALUES (1, gen_random_uuid(), 1, 'U1', 'Home', 'America/Los_Angeles', now());
INSERT INTO espi_readingtype (id, signature, uom, power_of_ten_multiplier) VALUES (1, 's', 72, 0);
INSERT INTO espi_meterreading (id, usage_point_id, channel, reading_type_id, power_of_ten_multiplier, is_register)
    VALUES (1, 1, 'uom=72', 1, 0, false);
INSERT INTO espi_intervalblock (meter_reading_id, local_date, interval_length, start, "values", total, count,
    published_at, document_id) VALUES (1, '2026-01-15', 43200, 1768464000, '{5,NULL}', 5, 1, now(), 1);
INSERT INTO espi_intervalreading (meter_reading_id, start, duration, local_date, value, document_id)
    VALUES (1, 1768464001, 86400, '2026-01-15', 9, 1);
INSERT INTO espi_intervalrevision (meter_reading_id, start, duration, old_value, new_value, revised_at)
    VALUES (1, 1768464000, 43200, 4, 5, now()), (1, 1768464000, 43200, 4, 5, now());
"""


@pytest.mark.django_db
def test_no_change_of_a_model_is_without_its_migration():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.fixture
def older_site(db):
    """The address of a database of its own, as version 0.1 left it, with a row of each kind."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    name, server = "portal_upgrade", connection.get_connection_params() | {"dbname": "postgres"}
    plain = {key: server[key] for key in ("dbname", "user", "password", "host", "port") if server.get(key)}
    with psycopg.connect(**plain, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name}")
        admin.execute(f"CREATE DATABASE {name}")
        address = urlunsplit(parts._replace(path=f"/{name}"))
        manage(address, "migrate", "espi", "0009")
        manage(address, "migrate", "portal", "0001")
        with psycopg.connect(**plain | {"dbname": name}) as older:
            older.execute(BEFORE)
        yield address, plain | {"dbname": name}
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def manage(address, *words):
    settings = {"DATABASE_URL": address, "FIELD_ENCRYPTION_KEYS": base64.urlsafe_b64encode(bytes(32)).decode()}
    command = [sys.executable, "manage.py", *words, "--verbosity", "0"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_site_of_version_0_1_keeps_every_reading_and_document(older_site):
    address, server = older_site
    manage(address, "migrate")
    with psycopg.connect(**server) as upgraded:
        readings = upgraded.execute("SELECT duration, value, document_id FROM espi_reading ORDER BY start").fetchall()
        parts = upgraded.execute("SELECT document_id, number, content FROM espi_documentpart").fetchall()
        revisions = upgraded.execute("SELECT old_value, new_value FROM espi_intervalrevision").fetchall()
    assert readings == [(43200, 5, 1), (86400, 9, 1)]
    assert [(row[0], row[1], bytes(row[2])) for row in parts] == [(1, 0, b"\x1f\x8b\x00")]
    assert revisions == [(4, 5)]
