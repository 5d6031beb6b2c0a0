"""The staff site's own pages: how the work stands, the queues, and who may see and do what there."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from lxml import html

from espi.models import FetchJob, Notification
from portal.flows import alerts, looking
from portal.models import Circuit, FetchPlan, Heartbeat, StaffAccess, UtilityCall
from tests.portal import rows
from tests.portal.people import staff
from tests.portal.rows import PGE
from tests.portal.test_roles import member
from tests.portal.test_staff_actions import FILE
from utilities import pge
from utilities.base import Budget

pytestmark = pytest.mark.django_db
MOST_STATEMENTS = 25


@pytest.fixture
def held():
    return rows.authorization(rows.registration())


@pytest.fixture
def operator(client):
    user = member("operator")
    client.force_login(user)
    return user


def said(answer):
    return " ".join(
        html.fromstring(answer.content.decode()).xpath("//*[@class='staff-page']")[0].text_content().split()
    )


def act(client, slug, key, *chosen):
    return client.post(f"/staff/work/{slug}/act", {"act": key, "row": [row.pk for row in chosen]}, follow=True)


# --- Health ---------------------------------------------------------------------------------------------------------


def test_health_tells_how_each_registration_stands(client, operator, held):
    now, app = timezone.now(), held.application_information
    Circuit.objects.create(application_information=app, opened_at=now, cause="credentials")
    FetchPlan.objects.create(
        application_information=app, authorization=held, part="usage", answered_at=now - timedelta(hours=3)
    )
    for _ in range(10):
        UtilityCall.objects.create(scope=f"registration {app.pk}", is_token=True, at=now)
    UtilityCall.objects.create(scope=f"registration {app.pk}", is_token=True, at=now - timedelta(minutes=2))
    old = rows.job(held, FILE, kind="download", not_before=now - timedelta(hours=5))
    FetchJob.objects.filter(pk=old.pk).update(created_at=now - timedelta(hours=25))
    rows.job(held, FILE + "&young", kind="download", not_before=now)
    for state in ("quarantined", "quarantined", "resolved"):
        Notification.objects.create(application_information=app, received_at=now, body=b"", state=state)
    Heartbeat.objects.create(name="worker one", at=now)
    Heartbeat.objects.create(name="scheduler", at=now - timedelta(seconds=400))
    alerts.begin("k", "Something to look at", "", now=now)
    answer = client.get("/staff/health/")
    table = html.fromstring(answer.content.decode()).xpath("//table/tbody/tr")[0]
    cells = [" ".join(cell.text_content().split()) for cell in table.xpath("td")]
    assert cells[0].startswith("Stopped since") and cells[0].endswith(
        "It does not accept our credentials or certificate"
    )
    assert cells[1] == "3 hours ago"
    assert cells[2] == "25 % of 40 token calls in 60 seconds"
    assert (cells[3], cells[5], cells[6]) == ("2", "1", "2")
    assert cells[4].startswith("since ")
    words = said(answer)
    assert "worker one: alive" in words
    assert "scheduler: silent, last seen 40" in words
    assert "Something to look at" in words


@pytest.mark.parametrize(
    ("circuit", "words"),
    [
        ({"paused_until": datetime(2100, 1, 1, tzinfo=UTC)}, "The utility asked us to wait."),
        (
            {"opened_at": datetime(2026, 1, 1, tzinfo=UTC), "cause": "service"},
            "The utility&#x27;s service is not available at the moment",
        ),
        (
            {"opened_at": datetime(2026, 1, 1, tzinfo=UTC), "cause": "credentials"},
            "does not accept our own credentials",
        ),
        ({}, "This utility lets us ask only so often."),
    ],
)
def test_a_job_that_was_asked_for_while_nothing_may_be_asked_says_why_it_waits(client, monkeypatch, circuit, words):
    app = rows.registration("pge", "")
    held, now = rows.authorization(app), timezone.now()
    job = rows.job(held, f"{PGE}/Batch/Subscription/976")
    if circuit:
        Circuit.objects.create(application_information=app, **circuit)
    else:
        monkeypatch.setattr(pge.PGE, "budgets", (Budget(10, 3600),))
        UtilityCall.objects.bulk_create(UtilityCall(scope="pge sandbox", is_token=False, at=now) for _ in range(10))
    user = staff()
    client.force_login(user)
    looking.give_reason(staff=user, customer=held.retail_customer, reason="He asked why he waits", now=now)
    pages = ("/staff/work/due/", "/staff/espi/fetchjob/", f"/staff/espi/fetchjob/{job.pk}/change/")
    told = [client.get(page).content.decode() for page in pages]
    told.append(client.get(f"/staff/connections/{held.public_id}/").content.decode())
    assert [words in page for page in told] == [True] * 4


@pytest.fixture
def used_up(monkeypatch):
    """A registration whose budget is used up."""
    app, now = rows.registration("pge", ""), timezone.now()
    monkeypatch.setattr(pge.PGE, "budgets", (Budget(10, 3600),))
    UtilityCall.objects.bulk_create(UtilityCall(scope="pge sandbox", is_token=False, at=now) for _ in range(10))
    return app


def test_pages_of_twenty_jobs_that_a_budget_holds_take_as_many_statements_as_of_two(client, used_up):
    held, user, now = rows.authorization(used_up), staff(), timezone.now()
    client.force_login(user)
    looking.give_reason(staff=user, customer=held.retail_customer, reason="He asked why he waits", now=now)
    pages = ("/staff/work/due/", "/staff/espi/fetchjob/", f"/staff/connections/{held.public_id}/")

    def statements():
        taken = []
        for page in pages:
            with CaptureQueriesContext(connection) as said:
                words = client.get(page).content.decode()
            taken.append((len(said), words.count("This utility lets us ask only so often.")))
        return taken

    for number in range(2):
        rows.job(held, f"{PGE}/Batch/Subscription/{number}")
    statements()  # what is looked up once in a process
    few = statements()
    for number in range(2, 20):
        rows.job(held, f"{PGE}/Batch/Subscription/{number}")
    many = statements()
    assert [told for _, told in (*few, *many)] == [2, 2, 3, 20, 20, 21]  # once more as its customer reads it
    assert [taken for taken, _ in many] == [taken for taken, _ in few]


def test_lists_of_jobs_and_connections_say_until_when_a_utility_asked_us_to_wait(client, held):
    client.force_login(staff())
    until = timezone.now() + timedelta(hours=2)
    circuit = Circuit.objects.create(application_information=held.application_information, paused_until=until)
    rows.job(held, FILE)
    pages = ("/staff/work/due/", "/staff/espi/fetchjob/", "/staff/espi/authorization/")

    def told():
        found = [client.get(page).content.decode() for page in pages]
        found.append(client.post("/staff/connections/", {"asked": str(held.public_id)}).content.decode())
        return [f"{until:%Y-%m-%d %H:%M}" in page for page in found]

    assert told() == [True] * 4
    circuit.is_pause_of_tokens = True
    circuit.save()
    assert told() == [False] * 4


def test_health_says_when_nobody_works(client, operator):
    words = said(client.get("/staff/health/"))
    assert "No worker has shown" in words
    assert "No scheduler has shown" in words


@pytest.mark.parametrize("page", ["health/", "work/failed/", "work/due/", "work/set-aside/"])
def test_pages_of_work_take_few_statements_however_much_there_is(
    client, operator, held, page, django_assert_max_num_queries
):
    for slug, edition in (("pge", ""), ("oru", "v1"), ("essex", "")):
        rows.registration(slug, edition)
    app = held.application_information
    for number in range(60):
        rows.job(held, f"{FILE}{number}", state="failed" if number % 2 else "due")
        Notification.objects.create(application_information=app, received_at=rows.NOW, body=b"", state="quarantined")
    client.get(f"/staff/{page}")
    with django_assert_max_num_queries(MOST_STATEMENTS):
        assert client.get(f"/staff/{page}").status_code == 200


# --- Queues ---------------------------------------------------------------------------------------------------------


def test_a_queue_is_read_page_by_page_and_misses_none(client, operator, held):
    jobs = [rows.job(held, f"{FILE}{number}", state="failed", reason=f"reason {number}") for number in range(60)]
    first = client.get("/staff/work/failed/")
    shown = html.fromstring(first.content.decode()).xpath("//input[@name='row']/@value")
    older = html.fromstring(first.content.decode()).xpath("//a[text()='Older ones']/@href")[0]
    second = html.fromstring(client.get(f"/staff/work/failed/{older}").content.decode())
    shown += second.xpath("//input[@name='row']/@value")
    assert shown == [str(job.pk) for job in reversed(jobs)]
    assert not second.xpath("//a[text()='Older ones']")
    assert "reason 59" in said(first)


def test_a_queue_shows_one_registration_and_nothing_hostile(client, operator, held):
    other = rows.authorization(rows.registration("pge", ""), "1")
    rows.job(held, FILE, state="failed", reason="mine 123456789")
    rows.job(other, FILE, state="failed", reason="of another")
    words = said(client.get(f"/staff/work/failed/?registration={held.application_information.pk}"))
    assert "mine •••" in words
    assert "123456789" not in words
    assert "of another" not in words
    for hostile in ("?before=x", "?before=-1", "?before=" + "9" * 40, "?registration=%00"):
        assert client.get(f"/staff/work/failed/{hostile}").status_code == 200
    assert client.get("/staff/work/nowhere/").status_code == 404


@pytest.mark.parametrize(
    ("slug", "key", "state", "then"),
    [
        ("failed", "retry", "failed", ["due"]),
        ("due", "cancel", "due", ["superseded"]),
        ("running", "cancel", "running", ["superseded"]),
        ("failed", "ask-again", "failed", ["failed", "due"]),
    ],
)
def test_what_staff_do_is_done_once_and_written_down(client, operator, held, slug, key, state, then):
    job = rows.job(held, FILE, state=state, window_start=rows.NOW)
    act(client, slug, key, job)
    act(client, slug, key, job)
    states = list(FetchJob.objects.order_by("pk").values_list("state", flat=True))
    assert states == then
    assert FetchJob.objects.filter(window_start=rows.NOW, url=FILE).count() == len(then)
    line = StaffAccess.objects.get(kind="act", staff=operator)
    assert line.what.startswith(f"espi.fetchjob {job.pk}: ")
    assert line.customer == held.retail_customer
    assert LogEntry.objects.filter(user=operator, object_id=job.pk).exists()


def test_nothing_is_asked_for_again_for_a_customer_who_stopped(client, operator, held):
    job = rows.job(held, FILE, state="failed")
    held.status = "withdrawn"
    held.save()
    act(client, "failed", "ask-again", job)
    act(client, "failed", "retry", job)
    assert list(FetchJob.objects.values_list("state", flat=True)) == ["failed"]
    assert not StaffAccess.objects.filter(kind="act").exists()


def test_what_was_set_aside_is_replayed_and_written_down(client, operator, held):
    app = held.application_information
    kept = Notification.objects.create(
        application_information=app, received_at=rows.NOW, body=b"", state="quarantined", reason="not understood"
    )
    act(client, "set-aside", "replay", kept)
    kept.refresh_from_db()
    assert kept.state == "received"
    assert StaffAccess.objects.get(kind="act", staff=operator).what == f"espi.notification {kept.pk}: Replayed."


def test_e07_support_sees_the_queues_and_can_do_nothing_there(client, held):
    job = rows.job(held, FILE, state="failed")
    client.force_login(member("support"))
    page = client.get("/staff/work/failed/")
    assert page.status_code == 200
    assert b'name="act"' not in page.content
    assert client.post("/staff/work/failed/act", {"act": "retry", "row": [job.pk]}).status_code == 403
    job.refresh_from_db()
    assert job.state == "failed"


def test_an_act_is_a_post_with_a_known_word(client, operator, held):
    job = rows.job(held, FILE, state="failed")
    assert client.get("/staff/work/failed/act").status_code == 405
    assert client.post("/staff/work/failed/act", {"act": "cancel", "row": [job.pk]}).status_code == 404
    assert "Nothing was chosen" in client.post("/staff/work/failed/act", {"act": "retry"}, follow=True).content.decode()


@pytest.mark.parametrize("page", ["health/", "work/failed/"])
def test_e08_a_tester_and_a_customer_open_none_of_these_pages(client, held, page):
    client.force_login(member("tester"))
    assert client.get(f"/staff/{page}").status_code == 403
    client.force_login(held.retail_customer)
    assert client.get(f"/staff/{page}", follow=True).status_code == 403
    client.force_login(staff("later@example.com", with_totp=False))
    assert client.get(f"/staff/{page}")["Location"] == "/account/2fa/totp/activate/"
