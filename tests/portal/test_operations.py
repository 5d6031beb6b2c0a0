"""What a deployment relies on: probes, figures, the files that are deployed, backup and restore."""

import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from espi.models import Notification
from portal import environment, health, heartbeats, metrics
from portal.models import Circuit, FetchPlan, Heartbeat, StaffAlert, UtilityCall
from tests.certificates import Authority
from tests.portal import rows

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
ALERTS = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text()
DASHBOARD = (ROOT / "deploy" / "grafana" / "dashboard.json").read_text()
TOKEN = "metrics-token"


@pytest.fixture
def watcher(settings):
    settings.METRICS_TOKEN = TOKEN
    return Client(headers={"Authorization": f"Bearer {TOKEN}"})


def told(client):
    """{(name, labels as a frozenset): value} of /metrics."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {(each.name, frozenset(each.labels.items())): each.value for one in families for each in one.samples}


def value(found, name, **labels):
    return found[name, frozenset(labels.items())]


# --- Probes -----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_probe_by_address_is_answered_whatever_the_host_and_without_a_session(settings):
    settings.SECURE_SSL_REDIRECT = True
    for path, word in (("/healthz", b"ok"), ("/readyz", b"ready")):
        answer = Client(headers={"Host": "10.1.2.3:8000"}).get(path)
        assert (answer.status_code, answer.content.strip(), answer["Cache-Control"]) == (200, word, "no-store")
        assert not answer.cookies


def test_without_its_database_a_server_lives_but_gets_no_visitors():
    """No database mark: any question to it fails the test, which is what /healthz must not ask."""
    assert Client().get("/healthz").status_code == 200
    with patch.object(health.connection, "cursor", side_effect=OperationalError("password=secret")):
        answer = Client().get("/readyz")
    assert (answer.status_code, answer.content) == (503, b"the database does not answer\n")


@pytest.mark.django_db
def test_a_program_that_is_newer_than_its_database_gets_no_visitors():
    health.require_migrations.cache_clear()
    with patch("portal.health.MigrationExecutor.migration_plan", return_value=["one"]):
        assert Client().get("/readyz").content == b"the database lacks migrations\n"
    assert Client().get("/readyz").status_code == 200


def test_a_process_shows_by_a_file_that_it_is_alive(settings, tmp_path):
    heartbeats.touch()
    settings.HEARTBEAT_FILE = str(tmp_path / "alive")
    heartbeats.touch()
    assert (tmp_path / "alive").exists()


# --- Figures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "shown"), [("", ""), ("", "Bearer "), (TOKEN, ""), (TOKEN, "Bearer other"), (TOKEN, TOKEN), (TOKEN, "é")]
)
def test_figures_are_for_whoever_shows_the_token(settings, token, shown):
    settings.METRICS_TOKEN = token
    assert Client(headers={"Authorization": shown}).get("/metrics").status_code == 404


@pytest.mark.django_db
def test_figures_come_from_the_rows(watcher, tmp_path):
    now = timezone.now()
    app = rows.registration(client_certificate_path=str(certificate(tmp_path)))
    held = rows.authorization(app, access_token_expires_at=now - timedelta(days=2))
    old = rows.job(held, "https://api.coned.com/1", not_before=now - timedelta(minutes=20))
    download = rows.job(held, "https://api.coned.com/2", kind="download", not_before=now + timedelta(hours=1))
    type(old).objects.filter(pk=download.pk).update(created_at=now - timedelta(hours=30))
    Notification.objects.create(application_information=app, received_at=now, body=b"", state="quarantined")
    Notification.objects.create(application_information=app, received_at=now - timedelta(minutes=9), body=b"")
    UtilityCall.objects.bulk_create(
        UtilityCall(scope=f"registration {app.pk}", is_token=True, at=now) for _ in range(10)
    )
    FetchPlan.objects.create(
        application_information=app, authorization=held, part="usage", next_at=now, answered_at=now - timedelta(days=33)
    )
    Heartbeat.objects.create(name="scheduler", at=now - timedelta(seconds=30))
    Heartbeat.objects.create(name="worker a@b", at=now)
    Heartbeat.objects.create(name="worker gone@b", at=now - timedelta(minutes=5))
    StaffAlert.objects.create(key="x", subject="x", opened_at=now)
    found, name = told(watcher), str(app)
    assert value(found, "portal_database_up") == 1
    assert value(found, "portal_jobs_open", registration=name, state="due") == 2
    assert 1190 < value(found, "portal_oldest_due_job_seconds", registration=name) < 1300
    files = [value(found, "portal_files_waiting", registration=name, older_than=age) for age in ("6h", "24h", "48h")]
    assert files == [1, 1, 0]
    assert value(found, "portal_notifications_quarantined", registration=name) == 1
    assert 530 < value(found, "portal_oldest_notification_seconds") < 640
    assert value(found, "portal_budget_used_ratio", registration=name, budget="40 tokens in 60s") == 0.25
    assert value(found, "portal_connections", registration=name, status="active") == 1
    assert 172_000 < value(found, "portal_oldest_expired_token_seconds", registration=name) < 173_500
    assert value(found, "portal_idle_connections", registration=name, days="30") == 1
    assert value(found, "portal_idle_connections", registration=name, days="40") == 0
    assert value(found, "portal_workers_alive") == 1
    assert 29 < value(found, "portal_scheduler_seconds") < 120
    assert value(found, "portal_alerts_open") == 1
    assert 0 < value(found, "portal_certificate_days_left", registration=name) < 400
    assert (
        value(found, "portal_circuit_open", registration=name, cause="none") if Circuit.objects.exists() else 0
    ) == 0


def certificate(folder):
    return Authority(folder).certificate("client.example", days=300)[0]


@pytest.mark.django_db
def test_an_open_circuit_is_told_and_its_jobs_do_not_count_as_late(watcher):
    held = rows.authorization(rows.registration())
    rows.job(held, "https://api.coned.com/1", not_before=timezone.now() - timedelta(hours=1))
    Circuit.objects.create(
        application_information=held.application_information, cause="credentials", opened_at=rows.NOW
    )
    found = told(watcher)
    assert value(found, "portal_circuit_open", registration="cecony v1 sandbox", cause="credentials") == 1
    assert not [key for key in found if key[0] == "portal_oldest_due_job_seconds"]


def test_a_certificate_that_cannot_be_read_is_told_as_such(tmp_path):
    assert metrics.days_left(tmp_path / "none.pem", timezone.now()) == -1
    (tmp_path / "bad.pem").write_text("no certificate")
    assert metrics.days_left(tmp_path / "bad.pem", timezone.now()) == -1


def test_a_database_that_is_away_is_a_figure_and_requests_are_told_all_the_same(watcher):
    with patch("portal.metrics.transaction.atomic", side_effect=OperationalError("host=secret")):
        found = told(watcher)
    assert value(found, "portal_database_up") == 0
    assert not [name for name, _ in found if name.startswith("portal_jobs")]


@pytest.mark.django_db
def test_requests_are_counted_by_page_and_never_by_what_stands_in_the_address(watcher, client):
    rows.registration()
    before = told(watcher)
    client.get("/usage/2f1d7c50-0000-4000-8000-000000000000?code=c4n4ry")
    client.get("/c4n4ry")
    after = told(watcher)
    labels = {"view": "none", "method": "GET", "status": "4xx"}
    key = ("portal_request_seconds_count", frozenset(labels.items()))
    assert after[key] == before.get(key, 0) + 1
    assert "c4n4ry" not in watcher.get("/metrics").content.decode()
    assert any(("view", "usage_point") in key[1] for key in after)


@pytest.mark.django_db
def test_notifications_are_timed_by_themselves_and_their_secret_is_no_label(watcher, client):
    app = rows.registration()
    address = f"/espi/1_1/Notification/{app.utility}/{app.notify_secret}"
    assert client.post(address, b"<x/>", content_type="application/atom+xml").status_code == 200
    labels = {"view": "espi:notification", "method": "POST", "status": "2xx"}
    assert value(told(watcher), "portal_request_seconds_count", **labels) >= 1
    assert app.notify_secret not in watcher.get("/metrics").content.decode()


@pytest.mark.django_db
def test_figures_cost_few_questions_whatever_is_stored(watcher, django_assert_max_num_queries):
    rows.authorization(rows.registration())
    rows.registration("pge", "")
    told(watcher)
    with django_assert_max_num_queries(30):
        told(watcher)


def test_processes_of_one_server_count_together(tmp_path):
    """Two processes that end, and a third that tells: it must know of both."""
    script = (
        "from portal.wsgi import application; from django.test import RequestFactory; from portal import metrics\n"
        "request = RequestFactory().get('/'); from django.http import HttpResponse\n"
        "metrics.note_request(request, HttpResponse(), 0.01)"
    )
    tell = "from portal.wsgi import application; from portal import metrics; print(metrics.exposition().decode())"
    given = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}

    def run(code):
        done = subprocess.run([sys.executable, "-c", code], env=given, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(script), run(script)
    assert 'portal_request_seconds_count{method="GET",status="2xx",view="none"} 2.0' in run(tell)


# --- What is deployed -------------------------------------------------------------------------------------------------


def names_in(text):
    return set(re.findall(r"\bportal_[a-z_]+", text))


@pytest.mark.django_db
def test_every_metric_that_an_alert_or_the_dashboard_names_exists(watcher):
    client = Client()
    client.get("/")
    families = text_string_to_metric_families(watcher.get("/metrics").content.decode())
    known = {each.name for each in families} | {"portal_request_seconds_bucket", "portal_request_seconds_count"}
    assert names_in(ALERTS) - known == set()
    assert names_in(DASHBOARD) - known == set()
    assert len(names_in(ALERTS)) > 12


@pytest.mark.django_db
def test_every_figure_has_an_alert_or_a_place_on_the_dashboard(watcher):
    families = text_string_to_metric_families(watcher.get("/metrics").content.decode())
    ours = {each.name for each in families if each.name.startswith("portal_") and "request" not in each.name}
    assert ours - names_in(ALERTS) - names_in(DASHBOARD) == set()


def test_every_alert_says_what_is_wrong_and_the_handbook_what_to_do():
    rules = [rule for group in yaml.safe_load(ALERTS)["groups"] for rule in group["rules"]]
    handbook = (ROOT / "docs" / "operations.md").read_text()
    for rule in rules:
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("page", "warn")
        assert f"`{rule['alert']}`" in handbook, rule["alert"]
    assert all(panel["targets"][0]["expr"] for panel in json.loads(DASHBOARD)["panels"])


def test_the_compose_file_is_one():
    command = [ROOT / ".venv/bin/check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"]
    if not Path(command[0]).exists():
        command[:1] = [sys.executable, "-m", "check_jsonschema"]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_every_container_is_limited_without_rights_and_read_only(name):
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"memory", "cpus", "pids"}
    assert "healthcheck" in service or name == "migrate"
    assert not service.get("privileged")


def test_no_container_runs_as_root():
    stages = re.split(r"^FROM ", (ROOT / "Dockerfile").read_text(), flags=re.M)[1:]
    built = {re.search(r" AS (\w+)", stage)[1]: stage for stage in stages}
    for service in COMPOSE["services"].values():
        if "build" in service:
            assert re.search(r"^USER \d{5}$", built[service["build"]["target"]], re.M)
        else:
            assert service["user"] in ("postgres", "valkey")


def test_no_secret_is_in_the_environment_of_a_container():
    for service in COMPOSE["services"].values():
        for name, given in service.get("environment", {}).items():
            secret = re.search(r"SECRET|KEY|PASSWORD|TOKEN|DATABASE_URL|EMAIL_URL", name)
            assert not secret or (name.endswith("_FILE") and given.startswith("/run/secrets/")), name


def test_every_file_that_a_container_reads_a_secret_from_is_given_to_it():
    for service in COMPOSE["services"].values():
        for name, path in service.get("environment", {}).items():
            if name.endswith("_FILE") and path.startswith("/run/secrets/"):
                assert Path(path).name in service["secrets"]
    assert set(COMPOSE["secrets"]) == {
        name for service in COMPOSE["services"].values() for name in service.get("secrets", ())
    }


def test_secrets_of_a_deployment_stay_out_of_the_image_and_the_repository():
    assert "deploy/secrets" in (ROOT / ".dockerignore").read_text().split()
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text().split()


def test_secrets_are_made_once_and_are_good(tmp_path):
    (tmp_path / "deploy").mkdir()
    script = tmp_path / "deploy" / "make-secrets.sh"
    script.write_text((ROOT / "deploy" / "make-secrets.sh").read_text())
    for _ in range(2):
        subprocess.run(["sh", str(script)], check=True, capture_output=True)
        made = {path.name: path.read_text() for path in (tmp_path / "deploy" / "secrets").iterdir()}
    assert set(made) == set(COMPOSE["secrets"])
    assert (tmp_path / "deploy" / "secrets").stat().st_mode & 0o777 == 0o700
    assert urlsplit(made["database_url"]).password == made["postgres_password"]
    assert len(made["secret_key"]) >= 50
    from cryptography.fernet import Fernet

    Fernet(made["field_encryption_keys"])


# --- Settings ---------------------------------------------------------------------------------------------------------


def test_the_example_of_the_environment_is_what_the_settings_say():
    call_command("env_example", check=True)


def test_a_variable_that_is_missing_in_the_example_is_noticed(monkeypatch):
    monkeypatch.setattr(environment, "example", lambda: "another")
    with pytest.raises(CommandError, match="env_example --write"):
        call_command("env_example", check=True)


def test_variables_are_found_with_their_defaults_and_words():
    source = '# --- Mail ---\n# Who is told.\nA = env.list("STAFF", default=["a", "b"])  # one or more\nB = env.bool("ON", default=X)\n'
    first, second = environment.variables(source)
    assert first == environment.Variable("STAFF", "Mail", "list", "a,b", ("Who is told.", "one or more"))
    assert (second.name, second.default) == ("ON", "<X>")


def test_the_deploy_page_names_only_variables_that_exist():
    page = (ROOT / "docs" / "deploy.md").read_text()
    known = {each.name for each in environment.variables(environment.SETTINGS.read_text())}
    known |= {"SITE_ADDRESS", "TAG", "POSTGRES_PASSWORD"}  # of docker-compose.yml itself
    named = {name.removesuffix("_FILE") for name in re.findall(r"^\| `([A-Z_]+)`", page, re.M)}
    assert named - known == set()
    assert {"SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "DATABASE_URL", "PORTAL_BASE_URL"} <= named


def test_a_value_may_come_from_a_file_and_its_last_line_break_is_not_part_of_it(tmp_path):
    (tmp_path / "key").write_text("s3cret\n")
    files = environment.Files({"SECRET_KEY_FILE": str(tmp_path / "key"), "OTHER": "x\n"}, cache=False)
    assert (files["SECRET_KEY"], files["OTHER"]) == ("s3cret", "x\n")
    with pytest.raises(FileNotFoundError):
        environment.Files({"SECRET_KEY_FILE": str(tmp_path / "none")}, cache=False)["SECRET_KEY"]
