"""Uploads that happen at the same time as something else."""

import io
import threading
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from django.db import connection, transaction

from espi import ingest
from espi.models import Document, Subscription, UsagePoint
from portal.flows import deletion, upload
from portal.models import User
from tests.espi import documents

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)


@pytest.fixture
def user():
    return User.objects.create_user("ann@example.com")


def send(user, count=24):
    content = io.BytesIO(documents.feed(documents.hours(count)))
    return upload.store(user, content, file_name="a.xml", now=NOW)


def begin(work):
    def on_its_own_connection():
        work()
        connection.close()

    thread = threading.Thread(target=on_its_own_connection)
    thread.start()
    return thread


def while_reading(work, seconds=1.0):
    """Do it on another connection while a file is read; the threads, and whether each was done at once."""
    really, begun = ingest.store, []

    def slowly(*arguments, **more):
        thread = begin(work)
        thread.join(seconds)
        begun.append((thread, not thread.is_alive()))
        return really(*arguments, **more)

    return patch("espi.ingest.store", slowly), begun


def test_a_customer_can_sign_in_and_change_himself_while_his_file_is_read(user):
    def sign_in():
        with transaction.atomic():
            held = User.objects.select_for_update(no_key=True).get(pk=user.pk)
            held.last_login = NOW
            held.save(update_fields=["last_login"])

    send(user)
    for count in (25, 26):
        reading, begun = while_reading(sign_in)
        with reading:
            send(user, count)
        assert begun[0][1]


def test_two_first_files_at_once_are_kept_in_one_place(user):
    workers = [begin(lambda count=count: send(user, count)) for count in (24, 25, 26)]
    for worker in workers:
        worker.join()
    assert Subscription.objects.count() == 1
    assert (Document.objects.count(), UsagePoint.objects.count()) == (3, 1)


def test_a_file_that_is_refused_leaves_no_place_behind(user):
    with pytest.raises(ingest.DocumentRefused):
        upload.store(user, io.BytesIO(b"<html/>"), file_name="a.xml", now=NOW)
    assert not Subscription.objects.exists()


def test_a_deletion_waits_for_the_file_and_the_next_file_begins_anew(user):
    place = send(user).subscription
    reading, begun = while_reading(lambda: deletion.delete(place), seconds=0.3)
    with reading:
        send(user, 25)
    begun[0][0].join()
    assert (begun[0][1], Subscription.objects.count()) == (False, 0)
    assert send(user, 26).subscription != place


def test_a_file_that_comes_during_a_deletion_begins_anew(user):
    place, sent = send(user).subscription, []
    with transaction.atomic():
        deletion.delete(place)
        thread = begin(lambda: sent.append(send(user, 25).subscription_id))
        thread.join(0.3)
    thread.join()
    assert list(Subscription.objects.values_list("pk", flat=True)) == sent
    assert sent != [place.pk]
