"""Everything a customer has here, prepared as one file."""

import csv
import io
import json
import zipfile
from datetime import date, timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from espi.export import Days
from espi.models import Authorization, IntervalReading
from espi.models.customer import Customer
from portal import limits
from portal.flows import bundle, deletion, exporting, mailing
from portal.models import Consent, ConsentEvent, Export, ExportPart, Letter
from tests.portal import rows
from tests.portal.people import mailbox, person

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann():
    user = person()
    authorization = rows.authorization(
        rows.registration(), user=user, account_number="998877665544", account_hint="•••• 5544"
    )
    point = rows.usage_point(user)
    channel = rows.channel(point)
    rows.day(channel, "2025-01-15", list(range(24)))
    consent = Consent.objects.create(
        retail_customer=user,
        reference="AAAA-BBBB",
        utility="cecony",
        environment="sandbox",
        text_version="2026-11",
        statement="I agree.",
        agreed_at=timezone.now(),
        authorization=authorization,
    )
    ConsentEvent.objects.create(
        consent=consent, kind="agreed", at=timezone.now(), text_version="2026-11", language="en"
    )
    Customer.objects.create(subscription=authorization.subscription, said={"name": "Ann Other"})
    return user


def unpacked(answer):
    return zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))


def test_everything_is_prepared_announced_and_fetched_by_its_owner_only(client, ann):
    client.force_login(ann)
    assert client.post("/download/everything").status_code == 303
    assert b"it is being prepared" in client.get("/download").content
    exporting.prepare_exports()
    (message,) = mailbox()
    assert message.subject == "The file you asked for is ready"
    assert "/download" in message.body
    export = Export.objects.get()
    assert str(export.public_id) not in message.body
    address = f"/download/prepared/{export.public_id}"
    answer = client.get(address)
    assert answer["Cache-Control"] == "private, no-store"
    assert "attachment" in answer["Content-Disposition"]
    found = unpacked(answer)
    assert found.testzip() is None
    names = set(found.namelist())
    assert {
        "README.txt",
        "account.json",
        "consents.json",
        "customer-data.json",
        "bills.csv",
        "green-button.xml",
    } <= names
    assert "receipts/AAAA-BBBB.txt" in names
    (readings,) = [name for name in names if name.startswith("readings/")]
    table = list(csv.DictReader(io.StringIO(found.read(readings).decode())))
    assert [row["value"] for row in table] == [str(number) for number in range(24)]
    assert json.loads(found.read("account.json"))["email"] == "ann@example.com"
    assert json.loads(found.read("consents.json"))[0]["events"][0]["kind"] == "agreed"
    assert json.loads(found.read("customer-data.json"))["Customer"] == [{"name": "Ann Other"}]
    everything = b"".join(found.read(name) for name in names)
    for secret in (b"access-976", b"refresh-976", b"998877665544", ann.password.encode()):
        assert secret not in everything
    assert Client().get(address).status_code == 302
    stranger = Client()
    stranger.force_login(person("eve@example.com"))
    assert stranger.get(address).status_code == 404


def test_a_prepared_file_rests_encrypted_and_goes_after_a_week(client, ann):
    exporting.ask_for_everything(ann, now=timezone.now())
    exporting.prepare_exports()
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT content FROM portal_exportpart")
        assert all(bytes(row[0])[:2] != b"PK" for row in cursor.fetchall())
    export = Export.objects.get()
    client.force_login(ann)
    later = timezone.now() + timedelta(days=8)
    assert exporting.let_go(later) == 1
    assert not ExportPart.objects.exists()
    assert client.get(f"/download/prepared/{export.public_id}").status_code == 404


def test_a_process_that_dies_leaves_the_file_to_another(ann):
    now = timezone.now()
    exporting.ask_for_everything(ann, now=now)
    dead = exporting.claim(now)
    assert exporting.claim(now + timedelta(minutes=1)) is None
    assert exporting.prepare_next(now + exporting.CLAIM_LASTS)
    exporting._prepare(dead)  # it was only slow, and comes too late
    export = Export.objects.get()
    assert (export.state, export.attempts) == ("ready", 2)
    assert Letter.objects.filter(kind="export_ready").count() == 1
    assert ExportPart.objects.count() == 1


def test_a_file_that_cannot_be_prepared_is_told_and_stops_no_other(ann, monkeypatch):
    now = timezone.now()
    exporting.ask_for_everything(ann, now=now)
    monkeypatch.setattr(bundle, "write", lambda *args, **more: 1 / 0)
    for _ in range(exporting.MOST_ATTEMPTS):
        exporting.prepare_next(now)
        now += timedelta(hours=1)
    monkeypatch.undo()
    eve = person("eve@example.com")
    exporting.ask_for_everything(eve, now=now)
    while exporting.prepare_next(now):
        now += timedelta(hours=1)
    assert dict(Export.objects.values_list("retail_customer__email", "state")) == {
        "ann@example.com": "failed",
        "eve@example.com": "ready",
    }
    mailing.send_due(now)
    assert {message.subject for message in mail.outbox} == {
        "We could not prepare the file you asked for",
        "The file you asked for is ready",
    }


def test_asking_twice_prepares_once_and_only_so_many_an_hour(client, ann):
    client.force_login(ann)
    for _ in range(3):
        assert client.post("/download/everything").status_code == 303
    assert Export.objects.count() == 1
    for _ in range(limits.EXPORTS_AN_HOUR - 1):
        exporting.prepare_exports()
        assert client.post("/download/everything").status_code == 303
    exporting.prepare_exports()
    answer = client.post("/download/everything")
    assert answer.status_code == 429
    assert answer["Retry-After"]
    assert client.get("/download/everything").status_code == 405


def test_a_very_large_file_of_readings_is_prepared_too(client, ann, monkeypatch):
    monkeypatch.setattr(exporting, "LARGE", 10)
    client.force_login(ann)
    (point,) = ann.subscriptions.get(usage_points__isnull=False).usage_points.all()
    form = {"meter": [str(point.public_id)], "kind": "readings", "period": "all"}
    answer = client.post("/download", form, follow=True)
    assert b"We prepare it" in answer.content
    exporting.prepare_exports()
    export = Export.objects.get()
    assert export.file_name.endswith(".csv")
    answer = client.get(f"/download/prepared/{export.public_id}")
    assert len(list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))) == 25
    assert answer["Content-Length"] == str(export.size)


def test_readings_that_fit_no_grid_make_a_file_large_too(ann, monkeypatch):
    monkeypatch.setattr(exporting, "LARGE", 30)
    (point,) = ann.subscriptions.get(usage_points__isnull=False).usage_points.all()
    days = Days(date(2026, 1, 1), date(2026, 2, 1))
    for number in range(1, 31):
        IntervalReading.objects.create(
            meter_reading=point.meter_readings.first(),
            start=number,
            duration=1,
            local_date=date(2026, 1, number),
            value=1,
        )
    assert exporting.is_large([point.public_id], Days())
    assert not exporting.is_large([point.public_id], Days(end=date(2025, 1, 1)))
    assert not exporting.is_large([point.public_id], Days(date(2026, 1, 30), days.end))


@pytest.fixture
def prepared(ann):
    """A file with everything, ready to be fetched."""
    exporting.ask_for_everything(ann, now=timezone.now())
    exporting.prepare_exports()
    export = Export.objects.get()
    assert (export.state, export.parts.exists()) == ("ready", True)
    return export


def test_what_a_customer_has_deleted_is_in_no_prepared_file_either(client, ann, prepared):
    client.force_login(ann)
    held = Authorization.objects.get()
    assert client.post(f"/connections/{held.public_id}/stop", {"collected": "delete"}).status_code == 303
    assert not ExportPart.objects.exists()
    assert client.get(f"/download/prepared/{prepared.public_id}").status_code == 404


def test_what_he_stops_but_keeps_stays_in_the_prepared_file(client, ann, prepared):
    client.force_login(ann)
    held = Authorization.objects.get()
    assert client.post(f"/connections/{held.public_id}/stop", {"collected": "keep"}).status_code == 303
    assert client.get(f"/download/prepared/{prepared.public_id}").status_code == 200


def test_a_file_that_was_being_written_while_its_data_were_deleted_is_begun_anew(ann, monkeypatch):
    exporting.ask_for_everything(ann, now=timezone.now())
    write = bundle.write

    def and_meanwhile(user, file, *, now):
        write(user, file, now=now)
        monkeypatch.setattr(bundle, "write", write)
        for subscription in ann.subscriptions.all():
            deletion.delete_data(subscription)

    monkeypatch.setattr(bundle, "write", and_meanwhile)
    exporting.prepare_exports()
    export = Export.objects.get()
    assert export.state == "ready"
    found = zipfile.ZipFile(io.BytesIO(b"".join(exporting.content(export))))
    assert not [name for name in found.namelist() if name.startswith("readings/")]
    assert json.loads(found.read("customer-data.json"))["Customer"] == []


def test_a_second_click_on_stop_shows_that_it_has_stopped(client, ann):
    client.force_login(ann)
    held = Authorization.objects.get()
    for _ in range(2):
        answer = client.post(f"/connections/{held.public_id}/stop", {"collected": "keep"})
        assert (answer.status_code, answer["Location"]) == (303, f"/connections/{held.public_id}/stopped")
    assert Authorization.objects.get().status == "withdrawn"
