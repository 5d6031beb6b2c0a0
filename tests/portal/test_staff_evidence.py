"""Evidence for a utility's review: complete, without personal data, and only for owners."""

import csv
import io
import zipfile
from datetime import timedelta

import pytest
from django.utils import timezone

from espi.fields import EncryptedBinaryField, EncryptedTextField
from portal.flows import looking
from portal.flows.staffing.evidence import _models
from portal.models import StaffAccess
from tests.portal import rows
from tests.portal.people import staff
from tests.portal.test_roles import WHY, member
from tests.portal.test_staff_connections import consent

pytestmark = pytest.mark.django_db
PAGE = "/staff/evidence/"


def asked(client, **changes):
    today = timezone.now().date()
    given = {"first": "2026-01-01", "last": str(today), "reason": "Yearly review by the utility"}
    return client.post(PAGE, given | changes)


def files(answer):
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_the_zip_holds_everything_and_nothing_personal(client):
    held = rows.authorization(rows.registration(), account_number="123456784711", account_hint="•••• 4711")
    agreed = consent(held)
    agreed.account_hint = held.account_hint
    agreed.save()
    boss, helper = staff(), member("support")
    looking.give_reason(
        staff=helper, customer=held.retail_customer, reason="=HYPERLINK(1) for a ticket", now=timezone.now()
    )
    client.force_login(boss)
    answer = asked(client)
    assert answer["Content-Type"] == "application/zip"
    found = files(answer)
    assert sorted(found) == [
        "README.txt",
        "access-log.csv",
        "consents.csv",
        "data-inventory.csv",
        "encryption.csv",
        "retention.csv",
    ]
    everything = "".join(found.values())
    for personal in ("ada@example.com", boss.email, "123456784711", "access-976", "refresh-976"):
        assert personal not in everything
    log = list(csv.reader(io.StringIO(found["access-log.csv"])))
    line = [str(helper.pk), str(held.retail_customer_id), "reason", f"user {held.retail_customer_id}"]
    assert [*line, "'=HYPERLINK(1) for a ticket"] in [row[1:] for row in log]
    assert (
        found["consents.csv"]
        .splitlines()[1]
        .startswith(f"ABCD-EFGH,{held.retail_customer_id},cecony,sandbox,•••• 4711,")
    )
    locked = {(row[0], row[1]) for row in csv.reader(io.StringIO(found["encryption.csv"]))} - {("table", "column")}
    kinds = (EncryptedTextField, EncryptedBinaryField)
    assert locked == {
        (model._meta.db_table, field.column)
        for model in _models()
        for field in model._meta.concrete_fields
        if isinstance(field, kinds)
    }
    assert ("espi_authorization", "access_token") in locked
    taken = StaffAccess.objects.get(kind="export")
    assert (taken.staff, taken.reason) == (boss, "Yearly review by the utility")


def test_only_the_days_that_were_asked_for_are_in_it(client):
    held = rows.authorization(rows.registration())
    now = timezone.now()
    for days in (0, 5):
        looking.note(
            StaffAccess.Kind.ACT,
            f"{days} days",
            staff=None,
            customer=held.retail_customer,
            now=now - timedelta(days=days),
        )
    client.force_login(staff())
    day = str((now - timedelta(days=5)).date())
    log = files(asked(client, first=day, last=day))["access-log.csv"]
    assert "5 days" in log
    assert "0 days" not in log


@pytest.mark.parametrize(
    "wrong",
    [
        {"first": "x"},
        {"first": "2026-02-30"},
        {"first": "2026-12-31", "last": "2026-01-01"},
        {"reason": "x"},
        {"last": "9999-12-31"},
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_taken(client, wrong):
    client.force_login(staff())
    answer = asked(client, **wrong)
    assert answer.status_code == 200
    assert "There is a problem" in answer.content.decode()
    assert not StaffAccess.objects.filter(kind="export").exists()


@pytest.mark.parametrize("role", ["tester", "support", "operator"])
def test_e08_nobody_but_an_owner_takes_evidence(client, role):
    client.force_login(member(role))
    assert client.get(PAGE).status_code == 403
    assert asked(client, reason=WHY).status_code == 403
