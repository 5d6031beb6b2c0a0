"""Once a day, what nobody needs any more goes."""

from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone

from espi import archive
from espi.models import AuthorizationRequest, Document, FetchJob
from portal import tasks
from portal.celery import app as celery
from portal.flows import purge
from portal.models import UtilityVisit
from tests.portal import rows

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
LATER, EARLIER = NOW + timedelta(minutes=10), NOW - timedelta(minutes=10)


def journey(status, expires_at=EARLIER, number="411111111100007"):
    return AuthorizationRequest.objects.create(
        retail_customer=rows.customer(f"{status}-{expires_at:%d%H%M}@example.com"),
        application_information=rows.ApplicationInformation.objects.first() or rows.registration(),
        status=status,
        account_number=number,
        account_hint="•••• 0007",
        expires_at=expires_at,
    )


def kept(row):
    row.refresh_from_db()
    return bool(row.account_number)


def test_visits_go_when_their_time_is_over():
    for expires_at in (EARLIER, LATER):
        UtilityVisit.objects.create(utility="pge", account_number="1", expires_at=expires_at)
    assert purge.purge(NOW)["visits"] == 1
    assert UtilityVisit.objects.get().expires_at == LATER


@pytest.mark.parametrize(
    "status", ["connected", "narrower", "already", "declined", "parked", "failed", "expired", "closed"]
)
def test_a_journey_that_is_over_keeps_the_masked_account_number_only(status):
    row = journey(status, LATER)
    assert purge.purge(NOW)["account_numbers"] == 1
    assert (kept(row), row.account_hint) == (False, "•••• 0007")
    assert purge.purge(NOW)["account_numbers"] == 0


@pytest.mark.parametrize("status", ["choosing", "at_login", "departed", "returned"])
def test_a_journey_that_goes_on_or_may_be_taken_up_again_keeps_its_number_for_a_day(status):
    going_on, old = journey(status), journey(status, NOW - timedelta(days=2))
    purge.purge(NOW)
    assert (kept(going_on), kept(old)) == (True, False)


def test_sessions_go_when_their_time_is_over():
    now = timezone.now()
    for name, expires in (("old", now - timedelta(days=1)), ("new", now + timedelta(days=1))):
        Session.objects.create(session_key=name, session_data="", expire_date=expires)
    tasks.purge()
    assert list(Session.objects.values_list("session_key", flat=True)) == ["new"]


def test_everything_on_the_schedule_is_a_task_that_a_worker_knows():
    celery.loader.import_default_modules()
    assert {each["task"] for each in settings.CELERY_BEAT_SCHEDULE.values()} <= set(celery.tasks)
    assert settings.CELERY_BEAT_SCHEDULE["purge"]["schedule"] == timedelta(days=1).total_seconds()


def test_the_bytes_of_a_document_go_after_its_time_and_the_document_stays(settings):
    settings.DOCUMENT_DAYS = 30
    rows_kept = [
        Document.objects.create(sha256="0" * 64, size=1, received_at=NOW - timedelta(days=days)) for days in (29, 31)
    ]
    for each in rows_kept:
        archive.keep(each, BytesIO(b"<feed/>"))
    assert purge.purge(NOW)["document_parts"] == 1
    assert [b"".join(archive.content(each)) for each in rows_kept] == [b"<feed/>", b""]
    assert Document.objects.count() == 2
    settings.DOCUMENT_DAYS = 0
    assert purge.purge(NOW + timedelta(days=9999))["document_parts"] == 0


def test_jobs_that_ended_well_go_after_ninety_days_and_what_failed_or_waits_stays(db):
    held = rows.authorization(rows.registration())
    for number, state in enumerate(("done", "superseded", "failed", "due")):
        long_ago = None if state == "due" else NOW - timedelta(days=91)
        rows.job(held, f"https://utility.example/{number}", state=state, finished_at=long_ago)
    rows.job(held, "https://utility.example/lately", state="done", finished_at=NOW - timedelta(days=89))
    assert purge.purge(NOW)["jobs"] == 2
    assert set(FetchJob.objects.values_list("state", flat=True)) == {"done", "failed", "due"}
