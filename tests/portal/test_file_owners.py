"""Whose file it is, where its address names nobody (Con Edison V1)."""

from datetime import timedelta

import pytest

from espi.models import Document, FetchJob, Notification, UsagePoint
from portal.flows import fetch
from portal.flows.fetch import announced as announced_files
from tests.espi import documents
from tests.portal import rows, standin
from tests.portal.rows import NOW, V1

pytestmark = pytest.mark.django_db
NOBODYS = f"{V1}/Batch/Download?requestId=1&responseId=2"


@pytest.fixture
def waiting():
    """Three customers of Con Edison, each of whom waits for a file."""
    app = rows.registration()
    held = [rows.authorization(app, number, user=rows.customer(f"{number}@example.com")) for number in ("1", "2", "3")]
    for one in held:
        url = f"{V1}/Batch/Subscription/{one.utility_subscription_id}"
        rows.job(one, url, state="awaiting_notification", not_before=NOW + timedelta(days=1))
    return held


def announced(app):
    return FetchJob.objects.create(application_information=app, kind="download", url=NOBODYS, not_before=NOW)


def run(job, times=4):
    for _ in range(times):
        FetchJob.objects.filter(pk=job.pk).update(not_before=NOW)
        fetch.run(job.pk, now=NOW)
    job.refresh_from_db()
    return job


def asked(utility):
    return [each["token"] for each in utility.asked if "Download" in each["path"]]


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"<html>Sign in</html>", {}),
        (200, b"<feed", {}),
        (400, b"Malformed", {}),
        (410, b"", {}),
        (301, b"", {"Location": "/elsewhere"}),
    ],
)
def test_a_file_that_is_nobodys_fault_is_not_carried_from_customer_to_customer(waiting, utility, answer):
    utility.says("/Download", answer)
    job = run(announced(waiting[0].application_information))
    assert job.state == "failed"
    assert set(FetchJob.objects.exclude(pk=job.pk).values_list("state", "asked_again")) == {
        ("awaiting_notification", False)
    }
    assert asked(utility) == ["Bearer access-1"]


@pytest.mark.parametrize("status", [403, 404])
def test_a_customer_who_may_not_have_the_file_is_not_its_owner(waiting, utility, status):
    utility.says("/Download", (status, b"", {}), (200, standin.feed("2"), {}))
    job = run(announced(waiting[0].application_information))
    assert (job.state, job.authorization) == ("done", waiting[1])


def test_a_file_that_names_nobody_at_all_is_stored_for_nobody(waiting, utility):
    body = standin.feed("1").replace(b"/Subscription/1", b"")
    utility.says("/Download", (200, body, {}))
    job = run(announced(waiting[0].application_information))
    assert job.state == "failed"
    assert asked(utility) == ["Bearer access-1", "Bearer access-2", "Bearer access-3"]
    assert not Document.objects.filter(refusal="").exists()
    assert not UsagePoint.objects.exists()


def test_a_file_whose_address_names_its_customer_may_leave_him_out(waiting, utility):
    utility.says("/Download", (200, standin.feed("1").replace(b"/Subscription/1", b""), {}))
    job = rows.job(waiting[0], f"{NOBODYS}&subscriptionId=1", kind="download")
    assert run(job, 1).state == "done"
    assert UsagePoint.objects.count() == 1


def test_one_customers_bill_among_anothers_readings_refuses_the_file(waiting, utility):
    bill = documents.espi(
        "UsageSummary", "<billingPeriod><duration>1</duration><start>1765342800</start></billingPeriod>"
    )
    body = standin.feed("1").replace(b"</feed>", documents.entry(bill).encode() + b"</feed>")
    utility.says("/Download", (200, body, {}))
    assert run(announced(waiting[0].application_information)).state == "failed"
    assert not Document.objects.filter(refusal="").exists()


def test_the_second_file_of_one_request_finishes_no_other_request(waiting, utility):
    app = waiting[0].application_information
    later = rows.job(waiting[0], f"{V1}/Batch/Subscription/1?publishedMin=2026-01-01", state="awaiting_notification")
    utility.says("/Download", (200, standin.feed("1"), {}))
    posted = Notification.objects.create(application_information=app, received_at=NOW, body=b"")
    files = [
        rows.job(waiting[0], f"{V1}/Batch/Download?requestId={ids}", kind="download", notification=posted)
        for ids in ("1&responseId=2", "1&responseId=3", "4&responseId=5")
    ]
    first = waiting[0].fetch_jobs.get(url=f"{V1}/Batch/Subscription/1")
    found = []
    for file in files:
        run(file, 1)
        found.append([FetchJob.objects.get(pk=each.pk).state for each in (first, later)])
    assert found == [["done", "awaiting_notification"], ["done", "awaiting_notification"], ["done", "done"]]


def test_a_second_list_of_one_request_finishes_no_other_request_whatever_its_file_says(waiting, utility):
    app = waiting[0].application_information
    earlier = rows.job(waiting[0], f"{V1}/Batch/Subscription/1?publishedMin=2024-01-01", state="awaiting_notification")
    asked = waiting[0].fetch_jobs.get(url=f"{V1}/Batch/Subscription/1")
    utility.says("responseId=2", (200, standin.feed("1"), {}))
    utility.says("responseId=3", (204, b"", {}))
    found = []
    for number in (2, 3):
        posted = Notification.objects.create(application_information=app, received_at=NOW, body=b"")
        url = f"{V1}/Batch/Download?requestId=1&responseId={number}"
        run(rows.job(waiting[0], url, kind="download", notification=posted), 1)
        found.append([FetchJob.objects.get(pk=each.pk).state for each in (asked, earlier)])
    assert found == [["done", "awaiting_notification"]] * 2


def test_of_two_files_of_one_request_that_arrive_at_once_only_the_older_documents_finishes_a_request(waiting):
    app, held = waiting[0].application_information, waiting[0].subscription
    posted = Notification.objects.create(application_information=app, received_at=NOW, body=b"")
    urls = [f"{V1}/Batch/Download?requestId=1&responseId={number}" for number in (2, 3)]
    files = [rows.job(waiting[0], url, kind="download", notification=posted, state="running") for url in urls]
    stored = [
        Document.objects.create(subscription=held, fetch_job=file, sha256=file.url[-1], size=1, received_at=NOW)
        for file in reversed(files)
    ]
    assert [announced_files.is_one_more(*each) for each in zip(reversed(files), stored, strict=True)] == [False, True]
