"""Both cards of one account are stopped at the same time."""

import threading

import pytest
from django.db import connection

from espi.models import Authorization
from portal.flows import withdraw
from tests.portal import rows
from tests.portal.rows import NOW


@pytest.fixture
def both():
    app = rows.registration("cecony", "v2")
    first, _ = rows.authorization(app, "1"), rows.authorization(app, "2")
    Authorization.objects.update(subscription=first.subscription)
    return Authorization.objects.order_by("pk")


@pytest.mark.django_db(transaction=True)
def test_f20_stopping_an_account_by_both_of_its_authorizations_at_once_ends_both(both):
    failures = []
    for _ in range(10):
        Authorization.objects.update(status="active")
        start = threading.Barrier(2)

        def stop(each, start=start):
            try:
                start.wait()
                withdraw.withdraw(each, delete_data=False, now=NOW)
            except Exception as error:
                failures.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=stop, args=[each]) for each in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [each.status for each in Authorization.objects.all()] == ["withdrawn"] * 2
    assert failures == []


@pytest.mark.django_db
def test_what_ended_before_keeps_its_own_end(both):
    first, second = both
    Authorization.objects.filter(pk=first.pk).update(status="revoked", status_reason="Before.")
    withdraw.withdraw(second, delete_data=False, now=NOW)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status_reason, second.status) == ("Before.", "withdrawn")
