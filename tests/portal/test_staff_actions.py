"""Staff set work going again, or end it: through flows, by POST, in valid states only, and on the record."""

from datetime import timedelta
from unittest.mock import patch

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import InterfaceError, OperationalError
from django.test import Client

from espi import batchlist
from espi.models import FetchJob, Notification
from portal.flows import fetch, notify
from portal.models import StaffAlert
from tests.portal import rows
from tests.portal.people import staff
from tests.portal.rows import NOW, V1

pytestmark = pytest.mark.django_db
JOBS, NOTIFICATIONS = "/staff/espi/fetchjob/", "/staff/espi/notification/"
FILE = f"{V1}/Batch/Download?requestId=1&responseId=2&subscriptionId=976"
BODY = (
    f'<BatchList xmlns="http://naesb.org/espi"><resources>{FILE.replace("&", "&amp;")}</resources></BatchList>'.encode()
)


@pytest.fixture
def held():
    return rows.authorization(rows.registration())


@pytest.fixture
def boss(client):
    client.force_login(staff())
    return client


def act(client, page, action, *chosen, **more):
    data = {"action": action, "_selected_action": [row.pk for row in chosen]}
    with patch("portal.flows.fetch.waking.publish", return_value=True):
        return client.post(page, data, follow=True, **more)


def said(answer):
    return " ".join(str(message) for message in answer.context["messages"])


def operator(client, *rights):
    """Somebody of the staff who may do what `rights` say."""
    user = staff(f"{len(rights)}@example.com", is_superuser=False)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(user)
    return user


def notification(app, **more):
    return Notification.objects.create(application_information=app, received_at=NOW, body=BODY, **more)


# --- Fetch jobs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["failed", "due"])
def test_a_job_that_failed_or_waits_is_tried_again_with_all_its_attempts(boss, held, state):
    job = rows.job(held, FILE, state=state, attempts=8, held_up_since=NOW, not_before=NOW + timedelta(days=900))
    answer = act(boss, JOBS, "retry", job)
    job.refresh_from_db()
    assert (job.state, job.attempts, job.held_up_since) == ("due", 0, None)
    assert "Tried again. Rows: 1." in said(answer)
    assert LogEntry.objects.get().get_change_message() == "Tried again."


@pytest.mark.parametrize("state", ["running", "awaiting_notification", "done", "superseded"])
def test_other_jobs_are_not_tried_again(boss, held, state):
    job = rows.job(held, FILE, state=state)
    answer = act(boss, JOBS, "retry", job)
    job.refresh_from_db()
    assert (job.state, LogEntry.objects.count()) == (state, 0)
    assert "Rows left as they are: 1." in said(answer)


def test_nothing_is_fetched_again_for_a_customer_who_stopped_but_the_utility_may_be_told(boss, held):
    held.status = "withdrawn"
    held.save()
    job, revocation = (rows.job(held, FILE, kind=kind, state="failed") for kind in ("usage", "revocation"))
    act(boss, JOBS, "retry", job, revocation)
    assert list(FetchJob.objects.order_by("pk").values_list("state", flat=True)) == ["failed", "due"]


@pytest.mark.parametrize("state", FetchJob.OPEN)
def test_a_job_that_has_not_ended_is_cancelled(boss, held, state):
    job = rows.job(held, FILE, state=state)
    act(boss, JOBS, "cancel", job)
    job.refresh_from_db()
    assert (job.state, job.reason) == ("superseded", "Cancelled by our staff.")
    assert LogEntry.objects.get().get_change_message() == "Cancelled."


def test_a_job_that_has_ended_is_not_cancelled(boss, held):
    job = rows.job(held, FILE, state="done")
    act(boss, JOBS, "cancel", job)
    job.refresh_from_db()
    assert (job.state, LogEntry.objects.count()) == ("done", 0)


def test_e07_whoever_may_only_look_cannot_act_and_an_operator_can(client, held):
    job = rows.job(held, FILE, state="failed")
    operator(client, "view_fetchjob")
    assert b'value="retry"' not in client.get(JOBS).content
    act(client, JOBS, "retry", job)
    job.refresh_from_db()
    assert job.state == "failed"
    user = operator(client, "view_fetchjob", "change_fetchjob")
    act(client, JOBS, "retry", job)
    job.refresh_from_db()
    assert (job.state, LogEntry.objects.get().user) == ("due", user)


def test_b13_a_page_of_somebody_else_cannot_make_staff_act(held):
    job = rows.job(held, FILE, state="failed")
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff())
    assert act(client, JOBS, "retry", job).status_code == 403
    client.get(JOBS, {"action": "retry", "_selected_action": job.pk})
    job.refresh_from_db()
    assert job.state == "failed"


# --- Notifications ----------------------------------------------------------------------------------------------------


def test_f58_a_notification_that_was_set_aside_is_replayed_after_a_fix(boss, held):
    kept = notification(held.application_information, state="quarantined", reason="A fault of ours.")
    answer = act(boss, NOTIFICATIONS, "replay", kept)
    assert "Replayed. Rows: 1." in said(answer)
    notify.resolve_notifications(notification_ids=[kept.pk])
    kept.refresh_from_db()
    assert (kept.state, FetchJob.objects.get().url) == ("resolved", FILE)
    assert LogEntry.objects.get().get_change_message() == "Replayed."


def test_one_that_led_to_less_than_it_named_is_replayed_and_asks_for_nothing_twice(boss, held):
    kept = notification(held.application_information)
    notify.resolve(kept.pk, now=NOW)
    Notification.objects.update(refused_urls=[["x", "It names a connection that we do not hold."]])
    act(boss, NOTIFICATIONS, "replay", kept)
    notify.resolve_notifications(notification_ids=[kept.pk])
    kept.refresh_from_db()
    assert (kept.state, kept.refused_urls, FetchJob.objects.count()) == ("resolved", [], 1)


def test_one_that_was_understood_is_not_replayed(boss, held):
    kept = notification(held.application_information, state="resolved")
    act(boss, NOTIFICATIONS, "replay", kept)
    kept.refresh_from_db()
    assert (kept.state, LogEntry.objects.count()) == ("resolved", 0)


def test_one_that_cannot_be_read_is_set_aside_again_with_its_reason(held):
    kept = notification(held.application_information)
    Notification.objects.update(body=b"<html/>")
    notify.resolve_notifications(notification_ids=[kept.pk])
    kept.refresh_from_db()
    assert kept.state == "quarantined"
    assert "fault of ours" not in kept.reason


@pytest.mark.parametrize(
    "fault", [RuntimeError("a fault of ours"), batchlist.NotABatchList("It is no list.")], ids=["ours", "theirs"]
)
def test_staff_are_told_once_of_what_a_worker_sets_aside_until_it_is_replayed(boss, held, fault):
    first, second = (notification(held.application_information) for _ in range(2))
    with patch("portal.flows.notify.resolved", side_effect=fault):
        notify.resolve_notifications(notification_ids=[first.pk, second.pk])
    alert = StaffAlert.objects.get()
    assert (alert.key, alert.closed_at) == (notify.set_aside_key(held.application_information), None)
    assert alert.application_information == held.application_information
    assert "notifications that were set aside" in alert.subject
    for each in (first, second):
        act(boss, NOTIFICATIONS, "replay", each)
    alert.refresh_from_db()
    assert alert.closed_at


def test_staff_are_not_told_of_what_was_resolved_meanwhile(held):
    kept = notification(held.application_information, state="resolved")
    notify.set_aside(kept.pk, "A fault of ours.")
    assert not StaffAlert.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("trouble", [OperationalError("deadlock detected"), InterfaceError("connection closed")])
def test_f17_trouble_with_the_database_leaves_a_notification_for_the_next_sweep(held, trouble):
    first, second = (notification(held.application_information) for _ in range(2))
    with patch("portal.flows.notify.resolved", side_effect=[trouble, ([], [])]):
        notify.resolve_notifications(notification_ids=[first.pk, second.pk])
    assert [Notification.objects.get(pk=each.pk).state for each in (first, second)] == ["received", "resolved"]
    with patch("portal.flows.fetch.publish") as publish:
        assert notify.sweep() == 1
    assert publish.call_args.kwargs == {"notification_ids": [first.pk]}


def test_a_cancelled_job_stores_nothing(held):
    job = rows.job(held, FILE)
    claimed = fetch.claim(job.pk, now=NOW)
    assert fetch.cancel(job.pk, now=NOW)
    with pytest.raises(fetch.Taken):
        fetch.Lease(claimed, NOW).renew()
