"""Secrets, logs and administration: attack cases E01 to E14, each a test that bears its number.

The secrets are real ones of a journey: customers connect two utilities in the sandbox, work is done, and then everything
that could have leaked is searched for what was told in confidence.
"""

import inspect
import io
import json
import logging
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit, urlunsplit

import pytest
import requests
from celery import current_app
from django.conf import settings as django_settings
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

import utilities
from espi import client as espi_client
from espi import fields
from espi.models import ApplicationInformation, Authorization, FetchJob, Notification
from espi.session import AddressRefused
from portal import roles
from portal.flows import fetch, looking, mailing, telling, tokens
from portal.models import StaffAccess, User
from tests.journeys.conftest import PORTAL, World, world
from tests.journeys.customers import CECONY_V1, PGE
from tests.journeys.test_first_data import connect
from tests.portal import rows
from tests.portal.people import mailbox, person, staff
from utilities.oauth import UntrustedAddress

__all__ = ["world"]
ROOT = Path(__file__).resolve().parents[2]
THIS = Path(__file__).read_text()
ROLES = ["tester", "support", "operator", "owner"]
KEPT_SECRET = (
    *("client_secret", "subscription_key", "registration_access_token", "api_token", "webhook_secret"),
    *("notify_secret", "client_access_token"),
)
LEAST = 5  # characters that a secret has, for it to be looked for: shorter ones are words


def test_every_attack_case_of_this_part_is_a_test_here():
    found = {match.upper() for match in re.findall(r"^def test_(e\d\d)_", THIS, re.M)}
    assert found == {f"E{number:02}" for number in range(1, 15)}


# --- What is searched, and for what ------------------------------------------------------------------------------------


@pytest.fixture
def written():
    """Everything that is logged, at the level DEBUG."""
    root = logging.getLogger()
    handler = next(each for each in root.handlers if each.get_name() == "stdout")
    stream, before, level = io.StringIO(), handler.stream, root.level
    handler.setStream(stream)
    root.setLevel(logging.DEBUG)
    yield stream
    root.setLevel(level)
    handler.setStream(before)


@pytest.fixture
def sent():
    """Every Celery message as it would go to the broker: (task, what it carries)."""
    messages = []

    def keep(name, args=None, kwargs=None, **more):
        messages.append((name, {"positional": list(args or ()), **(kwargs or {})}))

    with patch.object(current_app, "send_task", side_effect=keep):
        yield messages


@pytest.fixture
def lived(world, written, sent, django_capture_on_commit_callbacks):
    """A world in which a customer connected Con Edison and PG&E, and their data came."""
    with django_capture_on_commit_callbacks(execute=True):
        connect(world, CECONY_V1, "usage", "billing", "customer")
        connect_second(world)
        world.work()
        telling.tell(timezone.now())
    mailing.send_due(timezone.now())
    return world


def connect_second(world: World):
    browser = world.signed_in()
    world.to_utility(browser, PGE.slug, "usage")
    PGE.approve(browser, PGE.who)
    assert browser.heading == "You are connected", browser.text


def secrets_of(world: World) -> dict[str, str]:
    """{what it is: the secret itself} of all that the utilities told us, or we them, in confidence."""
    found = {}
    for app in ApplicationInformation.objects.all():
        found |= {f"{app} {name}": getattr(app, name) or "" for name in KEPT_SECRET}
    for held in Authorization.objects.all():
        for name in ("access_token", "refresh_token", "account_number"):
            found[f"{name} of {held.pk}"] = getattr(held, name) or ""
    for row in world.sandbox.store.find("tokens"):
        found[f"{row['kind']} {row['id']} in the utility's own books"] = row["token"]
    found |= {f"code {row['id']}": row["code"] for row in world.sandbox.store.find("codes")}
    found |= {f"account {row['account']}": row["account"] for row in world.sandbox.store.find("authorizations")}
    return {name: secret for name, secret in found.items() if secret and len(secret) >= LEAST}


def visitor(**more) -> Client:
    """A browser at the address that the sandbox knows us by."""
    return Client(SERVER_NAME="localhost", **more)


def leaks(text: str, secrets: dict[str, str]) -> list[str]:
    return [name for name, secret in secrets.items() if secret in text]


def pages_of(client: Client, starts: list[str], most: int = 80) -> dict[str, str]:
    """Every page that links lead to from `starts`, staying on the site; {address: its source}."""
    found: dict[str, str] = {}
    waiting = list(starts)
    while waiting and len(found) < most:
        path = waiting.pop(0)
        if path in found or "logout" in path:
            continue
        answer = client.get(path)
        if "attachment" in answer.get("Content-Disposition", ""):
            continue  # the customer's own data, for him alone: his account number belongs there
        streamed = b"".join(answer) if answer.streaming else answer.content
        found[path] = streamed.decode("utf-8", "replace") + str(answer.headers)
        if "text/html" in answer.get("Content-Type", ""):
            links = re.findall(r'(?:href|action)="([^"#]+)"', found[path])
            waiting += [link.replace("&amp;", "&") for link in links if link.startswith("/") and "/static/" not in link]
    return found


def staff_pages(client: Client, secrets: dict[str, str]) -> dict[str, str]:
    """Every list, detail, history and search of the staff site that this client may open."""
    found = {}
    for model in admin.site._registry:
        place = f"/staff/{model._meta.app_label}/{model._meta.model_name}/"
        rows_of_it = list(model._default_manager.order_by("-pk")[:2])
        paths = [place, *(f"{place}{row.pk}/{page}/" for row in rows_of_it for page in ("change", "history"))]
        paths += [f"{place}?q={secret[:60]}" for secret in list(secrets.values())[:2]]
        for path in paths:
            answer = client.get(path)
            if "?q=" not in path:  # such a page repeats what was typed
                found[path] = answer.content.decode()
            assert answer.status_code < 500, path
    return found


def member(role: str) -> User:
    user = staff(f"{role}@example.com", is_superuser=False)
    looking.give_role(user, roles.get(role), by=None, reason="for the test", now=timezone.now())
    return User.objects.get(pk=user.pk)


# --- E01 to E05: what leaves the program -------------------------------------------------------------------------------


def test_e01_no_secret_of_a_real_journey_is_found_anywhere(lived, written, sent):
    secrets = secrets_of(lived)
    assert len(secrets) > 20
    assert any("access_token of" in name for name in secrets)
    assert any("account_number of" in name for name in secrets)
    found = {}
    ada = User.objects.get(email="ada@example.com")
    customer = visitor()
    customer.force_login(ada)
    starts = ["/", "/dashboard", "/account/", "/download", "/help", "/privacy", "/connect", "/api", "/upload"]
    found |= pages_of(customer, starts)
    assert len(found) > 25
    for role in ROLES:
        client, helper = visitor(), member(role)
        client.force_login(helper)
        for each in User.objects.all() if looking.may_look(helper) else ():
            looking.give_reason(staff=helper, customer=each, reason="looking for secrets", now=timezone.now())
        found |= {f"{role} {path}": page for path, page in staff_pages(client, secrets).items()}
        found |= {f"{role} {path}": page for path, page in pages_of(client, ["/staff/", "/testing/"], 40).items()}
    found |= {f"mail {each.subject}": f"{each.subject}{each.body}{each.alternatives}" for each in mail.outbox}
    found |= {"log": written.getvalue(), "Celery": json.dumps(sent, default=str)}
    found |= {"Valkey": everything_in_redis(), "database": everything_in_the_database()}
    assert mail.outbox
    assert "job" in found["log"]
    told = {place: leaks(text, secrets) for place, text in found.items()}
    assert {place: names for place, names in told.items() if names} == {}


def test_e01_the_search_would_find_what_is_there(lived):
    """The same search, for things that do stand there, and with the key turned."""
    client = next(iter(ApplicationInformation.objects.exclude(client_id="").values_list("client_id", flat=True)))
    assert leaks(everything_in_the_database(), {"a client id is not secret": client})
    cache.set("planted", "c4n4ry-in-redis")
    assert leaks(everything_in_redis(), {"planted": "c4n4ry-in-redis"})


def everything_in_redis() -> str:
    """Keys and values."""
    server = cache._cache.get_client(None, write=True)
    return "\n".join(f"{key!r} {server.dump(key)!r}" for key in server.scan_iter())


def everything_in_the_database() -> str:
    """Each row of each table as text; encrypted columns as they rest."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        parts = []
        for table in tables:
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            parts += [f"{table}: {row[0]}" for row in cursor.fetchall()]
    return "\n".join(parts)


BROKEN = requests.ConnectionError(
    "HTTPSConnectionPool(host='api.coned.com'): https://u:c4n4ry@api.coned.com/x?code=c4n4ry&refresh_token=c4n4ry "
    "Bearer c4n4ryc4n4ry postgres://portal:c4n4ry@db/portal"
)


@pytest.mark.parametrize("place", ["exchange", "refresh"])
def test_e02_an_exception_of_a_token_call_is_told_without_what_it_was_about(world, written, place):
    held = rows.authorization(world.offer("cecony", "v1"), user=world.user(), access_token_expires_at=rows.NOW)
    with patch.object(requests.Session, "send", side_effect=BROKEN), pytest.raises(Exception) as told:
        if place == "refresh":
            tokens.current(held, now=timezone.now())
        else:
            utilities.get("cecony").exchange_code(
                held.application_information, code="c4n4ry", redirect_uri="https://portal.example/"
            )
    logging.getLogger("portal").error("it failed", exc_info=told.value)
    assert "c4n4ry" not in str(told.value)
    assert "Traceback" in written.getvalue()
    assert "c4n4ry" not in written.getvalue()
    assert mail.outbox == []


@pytest.mark.parametrize("place", ["download", "read_data"])
def test_e02_an_exception_in_a_job_is_told_without_what_it_was_about(world, written, place):
    held = rows.authorization(world.offer("cecony", "v1"), user=world.user())
    job = rows.job(held, f"{rows.V1}/Batch/Subscription/976?token=c4n4ry")
    with patch("portal.flows.fetch.running.download"), patch(f"portal.flows.fetch.running.{place}", side_effect=BROKEN):
        fetch.run(job.pk, now=timezone.now())
    job.refresh_from_db()
    assert job.state in ("due", "failed")
    assert job.reason
    assert "c4n4ry" not in job.reason
    assert "c4n4ry" not in written.getvalue()
    assert mail.outbox == []


def test_e02_the_page_and_the_mail_of_a_fault_tell_nothing(settings, written):
    settings.ADMINS = [("Staff", "staff@example.com")]
    client = visitor(raise_request_exception=False)
    with patch("portal.views.pages.render", side_effect=BROKEN):
        answer = client.get("/help?code=c4n4ry", headers={"Cookie": "portal_session=c4n4ry"})
    assert answer.status_code == 500
    assert b"c4n4ry" not in answer.content
    assert "ConnectionError" in written.getvalue()
    assert "c4n4ry" not in written.getvalue()
    assert mail.outbox == []


@pytest.mark.django_db
def test_e03_an_error_of_the_http_client_is_logged_without_its_address(written):
    app = rows.registration()
    held = rows.authorization(app, access_token_expires_at=timezone.now() + timedelta(hours=1))
    job = rows.job(held, f"{rows.V1}/Batch/Subscription/976?published-min=c4n4ry")
    with patch.object(requests.Session, "send", side_effect=BROKEN):
        fetch.run(job.pk, now=timezone.now())
    job.refresh_from_db()
    for text in (job.reason, written.getvalue()):
        assert "c4n4ry" not in text
        assert "published-min" not in text
        assert "Bearer" not in text


def test_e04_the_log_of_requests_has_no_query_and_no_token_travels_in_an_address(lived, written):
    client = visitor()
    for path in ("/espi/1_1/OAuthCallBack/pge", "/espi/1_1/ScopeSelection"):
        client.get(path, {"code": "c4n4ry", "state": "c4n4ry", "accountid": "c4n4ry", "MAID": "c4n4ry"})
        assert path in written.getvalue()
    assert "c4n4ry" not in written.getvalue()
    issued = {row["token"] for row in lived.sandbox.store.find("tokens") if row["kind"] != "code"}
    assert issued
    for row in lived.sandbox.store.find("ledger"):
        asked = f"{row['path']} {row.get('query', '')}"
        assert not [token for token in issued if token in asked], row["path"]


def test_e05_messages_carry_ids_alone_and_a_task_looks_at_the_rows_again(lived, sent):
    assert sent
    for task, carried in sent:
        for value in (carried or {}).values():
            numbers = value if isinstance(value, list) else [value]
            assert all(type(number) is int for number in numbers), (task, carried)
    held = Authorization.objects.filter(status="active").first()
    job = rows.job(held, held.resource_uri)
    Authorization.objects.filter(pk=held.pk).update(status="withdrawn")
    before = len(lived.sandbox.store.find("ledger"))
    fetch.run(job.pk, now=timezone.now())
    assert len(lived.sandbox.store.find("ledger")) == before


# --- E06 to E10: what staff can see and do -----------------------------------------------------------------------------


def test_e06_secrets_go_in_and_do_not_come_out_and_rest_sealed_under_old_and_new_key(settings, client, db):
    from cryptography.fernet import Fernet, InvalidToken

    app = rows.registration(client_secret="c4n4ry-one")
    client.force_login(staff())
    assert "c4n4ry" not in client.get(f"/staff/espi/applicationinformation/{app.pk}/change/").content.decode()
    with connection.cursor() as cursor:
        cursor.execute("SELECT client_secret FROM espi_applicationinformation WHERE id = %s", [app.pk])
        (rests,) = cursor.fetchone()
    assert "c4n4ry" not in rests
    changed = rests[:-6] + ("A" if rests[-6] != "A" else "B") + rests[-5:]
    with pytest.raises(InvalidToken):
        fields.decrypt(changed)
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.FIELD_ENCRYPTION_KEYS]
    assert fields.decrypt(rests) == "c4n4ry-one"
    call_command("rotate_field_keys", verbosity=0, stdout=io.StringIO())
    settings.FIELD_ENCRYPTION_KEYS = settings.FIELD_ENCRYPTION_KEYS[:1]
    assert ApplicationInformation.objects.get(pk=app.pk).client_secret == "c4n4ry-one"


@pytest.mark.parametrize("role", ROLES)
def test_e07_each_role_sees_and_does_what_is_its_own(client, db, role):
    app = rows.registration()
    held = rows.authorization(app)
    job = rows.job(held, "https://api.coned.com/x", state="failed")
    client.force_login(member(role))
    edit = client.post(f"/staff/espi/applicationinformation/{app.pk}/change/", {"client_id": "other"})
    app.refresh_from_db()
    assert app.client_id != "other" or role == "owner"
    assert (edit.status_code == 403) is (role != "owner")
    with patch("portal.flows.fetch.waking.publish", return_value=True):
        client.post("/staff/espi/fetchjob/", {"action": "retry", "_selected_action": [job.pk]})
    job.refresh_from_db()
    assert (job.state == "due") is (role in ("operator", "owner"))
    assert (client.get("/staff/espi/authorization/").status_code == 200) is (role in ("support", "owner"))


def test_e07_nobody_can_be_somebody_else(db):
    """No page of the site signs a member of staff in as a customer."""
    from django.urls import get_resolver

    names = " ".join(str(name) for name in get_resolver().reverse_dict)
    assert not re.search(r"impersonat|hijack|login_as|switch_user|become", names)
    backends = django_settings.AUTHENTICATION_BACKENDS
    assert backends == ["allauth.account.auth_backends.AuthenticationBackend"]


@pytest.mark.parametrize("role", ["tester", "support", "operator"])
def test_e08_nobody_but_an_owner_reaches_rights_or_another_roles_pages(client, db, role):
    user, ann = member(role), person()
    client.force_login(user)
    for whom in (ann, user):
        client.post(
            f"/staff/portal/user/{whom.pk}/change/", {"is_staff": "on", "is_superuser": "on", "is_active": "on"}
        )
        whom.refresh_from_db()
        assert not whom.is_superuser
    assert not User.objects.get(pk=ann.pk).is_staff
    assert client.get("/staff/auth/group/").status_code == 404
    assert roles.held_by(User.objects.get(pk=user.pk)) == {role}
    for model in admin.site._registry:
        path = f"/staff/{model._meta.app_label}/{model._meta.model_name}/"
        may = user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}")
        assert client.get(path).status_code in ((200, 302) if may else (302, 403)), path


def test_e09_without_a_second_step_no_staff_page_opens_and_no_password_can_be_set(client, db):
    client.force_login(staff("new@example.com", with_totp=False))
    answer = client.get("/staff/")
    assert answer["Location"].endswith("/account/2fa/totp/activate/")
    owner, ann = member("owner"), person()
    client.force_login(owner)
    looking.give_reason(staff=owner, customer=ann, reason="Ticket 12: a new password", now=timezone.now())
    page = client.get(f"/staff/portal/user/{ann.pk}/change/").content.decode()
    assert 'name="password' not in page
    client.post(f"/staff/portal/user/{ann.pk}/change/", {"password": "x", "password1": "x", "is_active": "on"})
    ann.refresh_from_db()
    assert ann.check_password("three quiet words")
    client.post("/staff/portal/user/", {"action": "ask_for_new_password", "_selected_action": [ann.pk]})
    assert [message.to for message in mailbox()] == [["ann@example.com"]]


def test_e10_every_look_at_a_customer_is_written_down_with_who_whom_when_and_why(db):
    helper, ann, now = member("support"), person(), timezone.now()
    with pytest.raises(looking.NoReason):
        looking.look(staff=helper, customer=ann, what="espi.authorization 1", now=now)
    looking.give_reason(staff=helper, customer=ann, reason="Ticket 12: no data since May", now=now)
    looking.look(staff=helper, customer=ann, what="espi.authorization 1", now=now)
    line = StaffAccess.objects.get(kind="look")
    assert (line.staff, line.customer, line.at, line.reason) == (helper, ann, now, "Ticket 12: no data since May")
    assert "ann@example.com" not in everything_in("portal_staffaccess")
    assert not LogEntry.objects.filter(user=helper).exists()


def everything_in(table: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT t::text FROM "{table}" t')
        return "\n".join(row[0] for row in cursor.fetchall())


# --- E11 to E14: the deployment ----------------------------------------------------------------------------------------

PRODUCTION = {
    "ENVIRONMENT_NAME": "production",
    "PORTAL_BASE_URL": "https://portal.example",
    "ALLOWED_HOSTS": "portal.example",
    "BEHIND_PROXY": "true",
    "SECRET_KEY": "8rYV9mB2wqTgkH5xUeJzP3sLnCa7dQfW0oXiKtEvRb4hN6yMGj1uSAlZpDcF",
    "DJANGO_SETTINGS_MODULE": "portal.settings",
    "PYTHONPATH": str(ROOT),
}
ASK = """
import django; django.setup()
from django.conf import settings
from django.test import Client
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
client = Client(headers={"Host": "portal.example", "X-Forwarded-Proto": "https"})
page = client.get("/help")
strange = Client(headers={"Host": "evil.example", "X-Forwarded-Proto": "https"}).get("/help")
plain = Client(headers={"Host": "portal.example"}).get("/help")
import json
print(json.dumps([settings.DEBUG, page.status_code, dict(page.headers), strange.status_code, plain.status_code,
    settings.SESSION_COOKIE_NAME, settings.SESSION_COOKIE_SECURE]))
"""


def as_production(*words: str) -> subprocess.CompletedProcess:
    database = urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}"))
    given = {name: value for name, value in os.environ.items() if name not in ("DEBUG", "DJANGO_ALLOW_ASYNC_UNSAFE")}
    given |= PRODUCTION | {"DATABASE_URL": database}
    return subprocess.run([sys.executable, *words], env=given, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.django_db
def test_e11_a_deployment_as_documented_has_nothing_that_djangos_own_check_finds():
    done = as_production("-m", "django", "check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


@pytest.mark.django_db
def test_e11_production_is_strict_about_transport_scripts_and_hosts():
    done = as_production("-c", ASK)
    assert done.returncode == 0, done.stderr
    debug, status, headers, strange, plain, cookie, secure = json.loads(done.stdout.splitlines()[-1])
    assert (debug, status, strange, plain) == (False, 200, 400, 301)
    assert int(re.search(r"max-age=(\d+)", headers["Strict-Transport-Security"])[1]) >= 31_536_000
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert cookie.startswith("__Host-")
    assert secure


def test_e12_whoever_writes_into_redis_can_only_name_known_tasks_and_ids(world, sent):
    assert django_settings.CELERY_ACCEPT_CONTENT == ["json"]
    app = world.offer("cecony", "v2")
    held = rows.authorization(app, user=world.user())
    done = rows.job(held, f"{rows.V2}/Batch/Subscription/976", state="done")
    parked = rows.authorization(app, "977", status="withdrawn")
    stopped = rows.job(parked, f"{rows.V2}/Batch/Subscription/977")
    with patch.object(requests.Session, "send", side_effect=AssertionError("nobody may be called")) as called:
        for task in [each for name, each in current_app.tasks.items() if name.startswith("portal")]:
            wanted = inspect.signature(task.run).parameters
            ids = {name: [done.pk, stopped.pk, 10**9] for name in wanted if name.endswith("_ids")}
            one = {name: 10**9 for name in wanted if name.endswith("_id")}
            if ids or one:
                task.run(**ids, **one)
    assert not called.called
    states = dict(FetchJob.objects.filter(pk__in=[done.pk, stopped.pk]).values_list("pk", "state"))
    assert states[done.pk] == "done"
    assert not Notification.objects.exists()


def test_e12_what_is_written_into_the_cache_is_never_run(db, tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    server = cache._cache.get_client(None, write=True)
    server.set(cache.make_and_validate_key("some"), pickle.dumps(Evil()))
    assert cache.get("some") is None
    assert not (tmp_path / "owned").exists()
    for value in (7, True, 1.5, "word", [1.5, 2.5], {"a": None}, None):
        cache.set("some", value)
        assert cache.get("some") == value
    cache.set("count", 1)
    assert cache.incr("count") == 2


@pytest.mark.parametrize("slug", [utility.slug for utility in utilities.all()])
def test_e13_sandbox_and_production_cannot_be_mixed(slug):
    utility = utilities.get(slug)
    edition = utility.editions[0]
    apps = {
        name: ApplicationInformation(utility=slug, environment=name, edition=edition)
        for name in ("sandbox", "production")
    }
    there = {name: utility.resource(app, "Batch/Subscription/1") for name, app in apps.items()}
    for name, other in (("sandbox", "production"), ("production", "sandbox")):
        with pytest.raises(UntrustedAddress):
            utility.check_url(apps[name], there[other])
        for field in ("authorize_url", "token_url", "resource_base"):
            with pytest.raises(UntrustedAddress):
                utility.check_address(apps[name], field, getattr(utility, field)(apps[other]))
    assert urlsplit(there["sandbox"]).hostname == "localhost"
    with pytest.raises(AddressRefused), utility.session(apps["production"]) as session:
        espi_client.send(session, "GET", "https://127.0.0.1:1/x", headers={})


def test_e13_the_environment_stands_on_every_page(world):
    world.offer("cecony", "v1")
    ada = visitor()
    ada.force_login(world.user())
    for path in ("/", "/help", "/connect", "/dashboard", "/account/", "/privacy", "/account/login/"):
        assert "the sandbox" in ada.get(path, follow=True).content.decode(), path
    boss = visitor()
    boss.force_login(staff())
    for path in ("/staff/", "/staff/espi/fetchjob/", "/staff/portal/user/"):
        assert "sandbox" in boss.get(path).content.decode(), path


REAL = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}",
    "a signed token": r"\beyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\.",
    "a key of a cloud": r"\b(?:AKIA[0-9A-Z]{16}|ghp_[A-Za-z0-9]{30,}|xox[bp]-[0-9]{8,}|sk_live_[A-Za-z0-9]{16,})\b",
    "a token of our own": r"\bsmm_[A-Za-z0-9_-]{32,}",
}
MADE_UP = re.compile(r"(?:^|\.)(?:example|example\.(?:com|org|net|ca)|invalid|test|localhost)$")
ADDRESS = re.compile(r"[A-Za-z0-9_.+-]+@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,})\b")
HOSTILE = {"e.com", "api.coned.com"}  # hosts behind a user name, in addresses that tests refuse


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_e14_no_real_secret_and_nobodys_address_is_in_the_repository():
    found, addresses = [], set()
    for path in tracked():
        if path.suffix in (".png", ".woff2", ".mo", ".lock", ".ico", ".jar") or path.name in ("package-lock.json",):
            continue
        text = path.read_text(errors="replace")
        found += [f"{path}: {what}" for what, pattern in REAL.items() if re.search(pattern, text)]
        addresses |= {
            (path.name, domain.lower())
            for domain in ADDRESS.findall(text)
            if not MADE_UP.search(domain.lower()) and domain not in HOSTILE
        }
    assert found == []
    assert sorted(addresses) == []


def test_e14_what_is_secret_here_is_not_under_version_control():
    names = {str(path.relative_to(ROOT)) for path in tracked()}
    assert not [
        name for name in names if re.search(r"(^|/)(\.env|secrets\.env|demo-logins\.json)$|^var/|deploy/secrets/", name)
    ]


@pytest.mark.parametrize("what", REAL)
def test_e14_the_search_would_find_one(what):
    planted = {
        "a private key": "-----BEGIN " + "PRIVATE KEY-----\n" + "A" * 44,
        "a signed token": "ey" + "J" + "a" * 24 + ".ey" + "J" + "b" * 24 + ".c",
        "a key of a cloud": "AKI" + "A" + "ABCDEFGHIJKLMNOP",
        "a token of our own": "smm" + "_" + "x" * 40,
    }
    assert re.search(REAL[what], planted[what])
    assert PORTAL == "http://localhost:8000"
