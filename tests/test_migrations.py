"""The migrations say what the models say, and carry over what a site of before holds."""

import base64
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

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


# --- Zero-downtime: a new version's migrations run while the old version serves visitors -------------------------------

# Tables that grow with customers and time. Locking or rewriting one stops the site for as long as it takes.
LARGE = (
    *("espi_intervalblock", "espi_intervalreading", "espi_intervalrevision", "espi_document", "espi_documentpart"),
    *("espi_fetchjob", "espi_notification", "espi_usagesummary", "portal_fetchplan", "portal_utilitycall"),
    *("portal_staffaccess", "espi_authorization", "espi_subscription", "espi_usagepoint", "espi_meterreading"),
)
# Made before the site first ran for customers: an upgrade from 0.1 needs a pause, and CHANGELOG.md says so.
FIRST_RELEASE = {"espi": 21, "portal": 7}
# A later one that does stop the site for a while, and why that is all right: {("espi", "0099_name"): "why"}.
LISTED: dict[tuple[str, str], str] = {
    ("espi", "0023_queues_that_staff_look_through"): (
        "Jobs that ended well are deleted after 90 days, and the index holds only those that did not: seconds."
    ),
    ("espi", "0022_what_a_crash_left"): (
        "Connections and notifications are few beside the readings, and both indexes hold almost none of them."
    ),
    ("espi", "0026_bills_of_one_period"): (
        "A meter has a dozen bills a year beside thousands of readings: the key is made anew in seconds."
    ),
    ("espi", "0028_bills_by_service"): (
        "A meter has a dozen bills a year beside thousands of readings: the key is made anew in seconds."
    ),
    ("espi", "0025_joined_pages_and_codes_in_the_audit_trail"): (
        "The audit trail has a row per correction, a small part of the readings: its key is made anew in seconds."
    ),
}
RISKS = (
    (r'ALTER TABLE "(\w+)" ALTER COLUMN "\w+" TYPE', "writes every row anew"),
    (r'ALTER TABLE "(\w+)" ALTER COLUMN "\w+" SET NOT NULL', "reads every row under a lock"),
    (r'ALTER TABLE "(\w+)" ADD COLUMN "\w+" (?:(?!DEFAULT).)*NOT NULL(?!.*DEFAULT)', "fails while there are rows"),
    (r'ALTER TABLE "(\w+)" ADD COLUMN .*DEFAULT \S*\(', "writes every row anew"),
    (r'ALTER TABLE "(\w+)" DROP COLUMN', "the version that still runs reads this column"),
    (r'ALTER TABLE "(\w+)" RENAME', "the version that still runs reads the old name"),
    (r'DROP TABLE "(\w+)"', "the version that still runs reads this table"),
    (
        r'CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY)"\w+" ON "(\w+)"',
        "nobody can write meanwhile; use AddIndexConcurrently",
    ),
    (r'ALTER TABLE "(\w+)" ADD CONSTRAINT "\w+" (?:UNIQUE|CHECK|EXCLUDE)', "reads every row under a lock"),
)


def risks(sql, new_tables=frozenset()):
    """[(table, why)] of statements on large tables, but for those that the same migrations make."""
    found = [(match[1], why) for pattern, why in RISKS for match in re.finditer(pattern, sql, re.I)]
    return [(table, why) for table, why in found if table in LARGE and table not in new_tables]


def statements(migration, loader):
    with connection.schema_editor(collect_sql=True, atomic=migration.atomic) as editor:
        state = loader.project_state((migration.app_label, migration.name), at_end=False)
        migration.apply(state, editor, collect_sql=True)
    return "\n".join(editor.collected_sql)


def later_migrations(loader):
    """Ours that came after the first release, in their order."""
    return [
        migration
        for (app, name), migration in sorted(loader.disk_migrations.items())
        if app in FIRST_RELEASE and int(name[:4]) > FIRST_RELEASE[app]
    ]


@pytest.mark.django_db(
    transaction=True
)  # CREATE INDEX CONCURRENTLY stands in no transaction, also where it is only written
def test_no_migration_locks_or_rewrites_a_large_table_unless_it_is_listed():
    loader = MigrationLoader(connection)
    for migration in later_migrations(loader):
        sql = statements(migration, loader)
        made = frozenset(re.findall(r'CREATE TABLE "(\w+)"', sql))
        if (migration.app_label, migration.name) not in LISTED:
            assert risks(sql, made) == [], f"{migration}: add it to LISTED with the reason, or do it in steps"


@pytest.mark.django_db
def test_every_listed_migration_exists():
    known = {(migration.app_label, migration.name) for migration in later_migrations(MigrationLoader(connection))}
    assert set(LISTED) - known == set()
    assert all(len(why) > 20 for why in LISTED.values())


@pytest.mark.parametrize(
    "sql",
    [
        'ALTER TABLE "espi_fetchjob" ALTER COLUMN "url" TYPE text USING "url"::text',
        'ALTER TABLE "espi_document" ALTER COLUMN "size" SET NOT NULL',
        'ALTER TABLE "espi_document" ADD COLUMN "x" integer NOT NULL',
        'ALTER TABLE "espi_document" ADD COLUMN "x" uuid DEFAULT gen_random_uuid() NOT NULL',
        'ALTER TABLE "espi_fetchjob" DROP COLUMN "url" CASCADE',
        'ALTER TABLE "espi_fetchjob" RENAME COLUMN "url" TO "address"',
        'CREATE INDEX "some" ON "espi_intervalblock" ("count")',
        'CREATE UNIQUE INDEX "some" ON "espi_intervalblock" ("count")',
        'ALTER TABLE "espi_authorization" ADD CONSTRAINT "c" CHECK ("x" > 0)',
    ],
)
def test_what_would_stop_the_site_is_found(sql):
    assert len(risks(sql)) == 1


@pytest.mark.parametrize(
    "sql",
    [
        'ALTER TABLE "espi_document" ADD COLUMN "x" integer NULL',
        'ALTER TABLE "espi_document" ADD COLUMN "x" boolean DEFAULT false NOT NULL',
        'CREATE INDEX CONCURRENTLY "some" ON "espi_intervalblock" ("count")',
        'CREATE INDEX "some" ON "portal_consent" ("agreed_at")',
    ],
)
def test_what_stops_nobody_is_let_through(sql):
    assert risks(sql) == []
