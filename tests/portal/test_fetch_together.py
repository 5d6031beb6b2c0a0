"""Two files of one authorization arrive together, and the first joins it to the history its customer has."""

import threading

import pytest
from django.db import connection, transaction

from espi.models import Authorization, Subscription
from portal.flows import fetch
from tests.portal import rows

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_file_that_waits_while_another_joins_the_authorization_to_its_history_is_not_refused():
    held = rows.authorization(rows.registration("pge", ""))
    own = held.subscription
    history = Subscription.objects.create(retail_customer=held.retail_customer, utility="pge")
    found: list[object] = []

    def second_file() -> None:
        try:
            with transaction.atomic():
                found.append(fetch.standing_authorization(held).subscription)
        except Exception as error:
            found.append(error)
        finally:
            connection.close()

    waiting = threading.Thread(target=second_file)
    with transaction.atomic():
        first = fetch.standing_authorization(held)
        waiting.start()
        wait_until_blocked()
        Authorization.objects.filter(pk=first.pk).update(subscription=history)
        own.delete()
    waiting.join(10)
    assert found == [history]


def wait_until_blocked() -> None:
    """Until another connection waits for a lock."""
    with connection.cursor() as cursor:
        for _ in range(200):
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
            cursor.execute("SELECT pg_sleep(0.02)")
    raise AssertionError("nobody waited")
