"""Pages do not wait for the broker: while it stands still they are as quick as ever, and limits go on counting."""

import os
import signal
import threading
import time
from unittest.mock import patch

import pytest
from celery import current_app
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone
from kombu import pools

from espi.models import FetchJob
from portal import limits
from portal.acceptance import running
from portal.cache import ImpatientCache
from portal.flows import exporting, fetch, mailing
from portal.local import servers
from portal.models import Export, Letter
from portal.settings import broker_url
from tests.portal import rows
from tests.portal.people import staff
from tests.portal.rows import PGE, V1

BATCH = f"{V1}/Batch/Subscription/976"
PATIENCE = current_app.conf.broker_pool_acquire_timeout  # seconds: the least that who waits for the broker waits


@pytest.fixture
def frozen(tmp_path):
    """A Valkey of our own that stands still: it keeps its connections and answers nothing."""
    valkey = servers.Valkey(tmp_path, durable=False)
    valkey.start()
    before = current_app.conf.broker_url
    move(broker_url(valkey.url))
    current_app.send_task("portal.tasks.nothing_yet", queue="interactive")
    os.kill(valkey.process.pid, signal.SIGSTOP)
    yield valkey
    os.kill(valkey.process.pid, signal.SIGCONT)
    fetch.outbox.waiting.join()
    move(before)
    valkey.stop()


def move(url):
    current_app.conf.broker_url = url
    current_app._pool = current_app.amqp._producer_pool = None
    pools.reset()


def took(call):
    began = time.monotonic()
    result = call()
    return time.monotonic() - began, result


@pytest.mark.django_db(transaction=True)
def test_f11_work_is_asked_for_while_the_broker_stands_still_and_nobody_waits(frozen):
    held = rows.authorization(rows.registration("pge", ""), authorization_uri=f"{PGE}/Authorization/a976")
    seconds, jobs = took(
        lambda: [*fetch.begin(held, now=timezone.now()), *fetch.enqueue_status(held, now=timezone.now())]
    )
    assert len(jobs) >= 2
    assert seconds < PATIENCE
    assert FetchJob.objects.filter(state="due").count() == len(jobs)


@pytest.mark.django_db(transaction=True)
def test_f11_a_letter_and_a_file_are_asked_for_while_the_broker_stands_still_and_nobody_waits(frozen):
    user, now = rows.customer(), timezone.now()
    seconds, _ = took(lambda: mailing.post("please_reset", "1", now=now, user=user))
    assert seconds < PATIENCE
    seconds, _ = took(lambda: exporting.ask_for_everything(user, now=now))
    assert seconds < PATIENCE
    assert (Letter.objects.count(), Export.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_f11_the_page_on_which_staff_try_a_job_again_does_not_wait_for_the_broker(frozen, client):
    held = rows.authorization(rows.registration())
    failed = [rows.job(held, f"{BATCH}?part={number}", state="failed") for number in range(20)]
    client.force_login(staff())
    page = reverse("admin:espi_fetchjob_changelist")
    client.get(page)
    data = {"action": "retry", "_selected_action": [job.pk for job in failed]}
    seconds, answer = took(lambda: client.post(page, data))
    assert answer.status_code in (302, 303)
    assert FetchJob.objects.filter(state="due").count() == 20
    assert seconds < PATIENCE  # less than one of the twenty would have waited


@pytest.mark.django_db(transaction=True)
def test_f11_a_part_of_an_acceptance_test_is_begun_while_the_broker_stands_still_and_nobody_waits(frozen):
    test = running.begin(rows.registration(), staff(), now=timezone.now())
    seconds, part = took(lambda: running.start(test, "connectivity", now=timezone.now()))
    assert part.state == "due"
    assert seconds < PATIENCE


def test_wake_ups_are_sent_by_a_thread_in_their_order():
    sent = []
    with patch("portal.flows.fetch.waking.publish", side_effect=lambda task, **more: sent.append(more) or True):
        for number in range(5):
            fetch.wake_soon([number])
        fetch.outbox.waiting.join()
    assert [each["job_ids"] for each in sent] == [[0], [1], [2], [3], [4]]


def test_what_waits_behind_a_wake_up_that_was_not_taken_is_left_to_the_sweep():
    asked, go_on = [], threading.Event()

    def away(task, **more):
        asked.append(more["job_ids"])
        return not go_on.wait(5)

    with patch("portal.flows.fetch.waking.publish", side_effect=away):
        for number in range(5):
            fetch.wake_soon([number])
        go_on.set()
        fetch.outbox.waiting.join()
    assert asked == [[0]]


def test_no_more_wake_ups_are_kept_than_fit_and_nobody_waits_for_room():
    go_on = threading.Event()
    with patch("portal.flows.fetch.waking.publish", side_effect=lambda *args, **more: go_on.wait(10)):
        seconds, _ = took(lambda: [fetch.wake_soon([number]) for number in range(2 * fetch.MOST_WAITING)])
        assert seconds < 2
        assert fetch.outbox.waiting.qsize() <= fetch.MOST_WAITING
        go_on.set()
        fetch.outbox.waiting.join()


# --- The cache --------------------------------------------------------------------------------------------------------


@pytest.fixture
def cache_without_redis(tmp_path):
    """A cache whose Redis stands still."""
    valkey = servers.Valkey(tmp_path, durable=False)
    valkey.start()
    ours = ImpatientCache(valkey.url, {})
    ours.set("before", 1)
    os.kill(valkey.process.pid, signal.SIGSTOP)
    yield ours
    os.kill(valkey.process.pid, signal.SIGCONT)
    ImpatientCache.away_until = 0.0
    valkey.stop()


def test_while_redis_stands_still_the_cache_waits_once_and_then_counts_by_itself(cache_without_redis):
    seconds, found = took(lambda: cache_without_redis.get("before"))
    assert found is None
    assert seconds < 1
    seconds, counts = took(lambda: [cache_without_redis.incr("tries") for _ in range(3)])
    assert counts == [1, 2, 3]
    assert cache_without_redis.add("tries", 9) is False
    assert seconds < 1  # had each waited, it were 1.5


def test_limits_hold_while_redis_stands_still(cache_without_redis):
    with patch.object(limits, "cache", cache_without_redis):
        for _ in range(limits.EXPORTS_AN_HOUR):
            limits.one_export(7)
        with pytest.raises(limits.TooMany):
            limits.one_export(7)
        with limits.one_upload(7), pytest.raises(limits.TooMany), limits.one_upload(7):
            pass


def test_strangers_cannot_push_out_a_count_while_redis_stands_still(cache_without_redis):
    with patch.object(limits, "cache", cache_without_redis):
        for _ in range(limits.WRONG_TOKENS_AN_HOUR):
            limits.one_wrong_token("192.0.2.1")
        for number in range(2000):
            limits.one_wrong_token(f"2001:db8::{number:x}")
        with pytest.raises(limits.TooMany):
            limits.one_wrong_token("192.0.2.1")


def test_a_count_that_redis_has_lost_begins_anew():
    cache.add("lost", 0)
    cache.delete("lost")
    assert [cache.incr("lost"), cache.incr("lost")] == [1, 2]
    cache.delete("lost")


def test_redis_is_asked_again_after_a_while(cache_without_redis, monkeypatch):
    monkeypatch.setattr("portal.cache.LEFT_ALONE_FOR", 0.0)
    assert cache_without_redis.get("before") is None
    monkeypatch.setattr(cache_without_redis, "_servers", cache._servers)
    del cache_without_redis.__dict__["_cache"]
    cache_without_redis.set("later", 3)
    assert cache.get("later") == 3
