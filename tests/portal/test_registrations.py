"""What a utility gave us is stored beside what we hold already, and takes nothing away from it."""

import threading

import pytest
from django.db import connection, transaction

from espi.models import ApplicationInformation
from portal.flows import registrations
from tests.portal import rows
from tests.portal.rows import NOW


def holding(**more):
    return rows.registration(client_access_token="ours", client_access_token_expires_at=NOW, **more)


def stored(**values):
    registrations.store("cecony", "sandbox", "v1", values)
    return ApplicationInformation.objects.get()


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["client_id", "client_secret"])
def test_other_credentials_want_another_client_token(name):
    holding()
    assert stored(**{name: "another"}).client_access_token is None


@pytest.mark.django_db
def test_the_same_credentials_again_keep_the_client_token():
    app = holding()
    assert stored(client_id=app.client_id, bulk_id="7").client_access_token == "ours"


@pytest.mark.django_db
def test_another_certificate_wants_another_client_token(tmp_path):
    holding()
    (tmp_path / "c.pem").write_text("")
    assert stored(client_certificate_path=str(tmp_path / "c.pem")).client_access_token is None


@pytest.mark.django_db(transaction=True)
def test_two_people_who_store_different_things_at_once_undo_nothing():
    holding()

    def other():
        registrations.store("cecony", "sandbox", "v1", {"bulk_id": "theirs"})
        connection.close()

    thread = threading.Thread(target=other)
    with transaction.atomic():
        registrations.store("cecony", "sandbox", "v1", {"third_party_id": "ours"})
        thread.start()
        thread.join(0.5)
    thread.join()
    app = ApplicationInformation.objects.get()
    assert (app.third_party_id, app.bulk_id) == ("ours", "theirs")
