"""A customer stops sharing and the process is killed in the middle: it never stays half done, and what is left is finished."""

import os
import signal
import threading
import time
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import connection, transaction

from espi import session
from espi.models import Authorization, Document, FetchJob, IntervalBlock, Subscription, UsagePoint
from portal.flows import fetch, leaving, withdraw
from tests.portal import rows, standin
from tests.portal.rows import NOW, PGE

pytestmark = pytest.mark.django_db(transaction=True)
ADDRESS = f"{PGE}/Authorization/a976"
KILLED = -signal.SIGKILL


@pytest.fixture
def held():
    """A connection with PG&E that has data, and work under way."""
    app = rows.registration("pge", "")
    held = rows.authorization(app, authorization_uri=ADDRESS)
    point = UsagePoint.objects.create(
        subscription=held.subscription, resource_id="1", service_kind=0, time_zone="America/Los_Angeles"
    )
    rows.day(rows.channel(point), "2026-03-01", [1, 2, 3])
    Document.objects.create(subscription=held.subscription, sha256="0" * 64, size=1, received_at=NOW)
    rows.job(held, f"{PGE}/Batch/Subscription/976")
    return held


@pytest.fixture
def utility():
    stand_in = standin.StandIn()
    stand_in.says("/oauth/", (200, {"client_access_token": "ours", "token_type": "Bearer", "expires_in": 3600}, {}))
    with session.mounted("https://localhost:8002", stand_in.adapter):
        yield stand_in


def in_a_child(act, *, killed_at):
    """Let a child process act, and kill it just before its n-th statement; how it ended, and statements it made."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        ours = connection.connection  # the parent's socket: neither used nor closed
        connection.connection = None
        count = 0

        def one_more(execute, sql, params, many, context):
            nonlocal count
            count += 1
            os.write(writing, b".")
            if count == killed_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(one_more):
            act()
        os._exit(0 if ours else 1)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        statements = len(told.read())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), statements


def stop(held, *, delete_data):
    withdraw.withdraw(Authorization.objects.get(pk=held.pk), delete_data=delete_data, now=NOW)


def is_untouched(held):
    held.refresh_from_db()
    tokens = held.access_token and held.refresh_token
    jobs = list(FetchJob.objects.values_list("kind", "state"))
    return held.status == "active" and bool(tokens) and jobs == [("usage", "due")] and IntervalBlock.objects.exists()


def is_ended(held, *, delete_data):
    held.refresh_from_db()
    jobs = sorted(FetchJob.objects.values_list("kind", "state"))
    assert jobs == [("revocation", "due"), ("usage", "superseded")]
    assert (held.status, held.access_token, held.refresh_token) == ("withdrawn", None, None)
    left = (IntervalBlock, Document, UsagePoint)
    assert [model.objects.exists() for model in left] == [not delete_data] * 3
    return True


@pytest.mark.parametrize("delete_data", [True, False])
def test_killed_before_any_of_its_statements_nothing_was_changed_and_the_next_try_ends_it(held, delete_data):
    ended, statements = 1, 0
    for killed_at in range(1, 200):
        ended, statements = in_a_child(lambda: stop(held, delete_data=delete_data), killed_at=killed_at)
        if ended == 0:
            break
        assert ended == KILLED
        assert is_untouched(held), f"killed before statement {killed_at}"
    assert ended == 0
    assert statements > 8
    assert is_ended(held, delete_data=delete_data)


def run(job, now):
    fetch.run(job.pk, now=now)
    job.refresh_from_db()
    return job


def test_killed_between_the_utilitys_answer_and_our_note_of_it_the_utility_is_told_again_and_agrees(held, utility):
    stop(held, delete_data=False)
    job = FetchJob.objects.get(kind="revocation")
    utility.says("/Authorization", (200, b"", {}), (404, b"", {}))
    with patch("portal.flows.fetch.running.finish", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        fetch.run(job.pk, now=NOW)
    job.refresh_from_db()
    assert job.state == "running"
    assert run(job, NOW + timedelta(minutes=4)).state == "running"  # its lease has not run out
    assert run(job, NOW + timedelta(minutes=6)).state == "done"
    assert utility.paths("/Authorization") == [ADDRESS.partition(":8002")[2]] * 2


def test_a_wake_up_that_was_lost_with_the_process_is_sent_by_the_sweep(held):
    assert in_a_child(lambda: stop(held, delete_data=False), killed_at=0)[0] == 0  # it died with its thread of wake-ups
    job = FetchJob.objects.get(kind="revocation")
    with patch("portal.flows.fetch.waking.publish") as publish:
        fetch.sweep(NOW)
    assert [call.kwargs["job_ids"] for call in publish.call_args_list] == [[job.pk]]


def test_while_the_utility_is_away_the_customer_has_stopped_all_the_same_and_it_is_told_later(held, utility):
    stop(held, delete_data=True)
    job = FetchJob.objects.get(kind="revocation")
    utility.says("/Authorization", (503, b"", {}), (204, b"", {}))
    assert run(job, NOW).state == "due"
    assert is_ended(held, delete_data=True)
    assert run(job, job.not_before).state == "done"


def test_where_a_utility_has_no_call_for_it_nothing_is_sent_and_the_page_says_what_to_do(held):
    other = rows.authorization(rows.registration("cecony", "v2"), "977")
    stop(other, delete_data=False)
    assert not FetchJob.objects.filter(authorization=other).exists()


def test_who_connects_again_is_not_ended_by_what_was_to_tell_the_utility_that_he_stopped(held, utility):
    stop(held, delete_data=False)
    job = FetchJob.objects.get(kind="revocation")
    utility.says("/Authorization", (503, b"", {}), (204, b"", {}))
    run(job, NOW)
    Authorization.objects.filter(pk=held.pk).update(status="active")
    assert (run(job, job.not_before).state, job.reason) == ("superseded", "The customer connected again.")
    assert len(utility.paths("/Authorization")) == 1


def test_who_deletes_his_account_ends_nobody_elses_connection(held):
    """The account is another customer's too, and the platform knows both by one id: his was set aside."""
    ben = rows.customer("ben@example.com")
    rows.authorization(held.application_information, user=ben, status="parked", authorization_uri=ADDRESS)
    leaving.leave(ben, now=NOW)
    assert not FetchJob.objects.filter(kind="revocation").exists()
    held.refresh_from_db()
    assert held.status == "active"


def blocked():
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return cursor.fetchone()[0]


def test_data_that_join_those_of_an_earlier_connection_while_the_customer_stops_are_deleted(held):
    """His first file is being stored: it shows that the meter is known (flows.continuity)."""
    earlier = held.subscription
    own = Subscription.objects.create(retail_customer=held.retail_customer, utility="pge", time_zone=earlier.time_zone)
    Authorization.objects.filter(pk=held.pk).update(subscription=own)

    def stops():
        stop(held, delete_data=True)
        connection.close()

    with transaction.atomic():
        Authorization.objects.select_for_update(no_key=True).get(pk=held.pk)
        stopping = threading.Thread(target=stops)
        stopping.start()
        until = time.monotonic() + 20
        while not blocked():
            assert time.monotonic() < until
            time.sleep(0.05)
        Authorization.objects.filter(pk=held.pk).update(subscription=earlier)
        own.delete()
    stopping.join()
    assert is_ended(held, delete_data=True)
