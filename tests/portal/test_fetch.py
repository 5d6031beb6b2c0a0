"""Fetch jobs against a utility that answers what it is told to."""

import threading
import time
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
import requests
from django.db import connection, transaction

import utilities
from espi import atom, client, ingest
from espi.models import Authorization, Document, FetchJob, IntervalBlock, Notification
from portal.flows import continuity, fetch, withdraw
from portal.flows.fetch import asking, calling, claiming, sweeping
from portal.flows.fetch import tasks as running_tasks
from portal.models import Circuit
from tests.portal import rows, standin
from tests.portal.rows import ESSEX, NOW, PGE, V1, V2
from utilities.base import PlannedRequest

pytestmark = pytest.mark.django_db
BATCH = f"{V1}/Batch/Subscription/976"
FILE = f"{V1}/Batch/Download?requestId=1&responseId=2&subscriptionId=976"
Priority = FetchJob.Priority
HOUR, SECOND, MIB = timedelta(hours=1), timedelta(seconds=1), 1024 * 1024
OK = (200, standin.feed(), {})


@pytest.fixture
def held():
    return rows.authorization(rows.registration())


@pytest.fixture
def essex():
    return rows.authorization(rows.registration("essex", ""))


def run(job, now=NOW):
    fetch.run(job.pk, now=now)
    job.refresh_from_db()
    return job


# --- What becomes of each answer --------------------------------------------------------------------------------------


def test_a_file_is_read_into_the_customers_data_and_the_job_is_done(held, utility):
    utility.says("/Download", OK)
    job = run(rows.job(held, FILE, kind="download"))
    assert (job.state, job.attempts, job.lease_expires_at, job.reason) == ("done", 1, None, "")
    document = Document.objects.get()
    assert (document.fetch_job, document.subscription, document.url) == (job, held.subscription, FILE)
    assert document.content_type == "application/atom+xml"
    assert IntervalBlock.objects.get().total == 6
    assert utility.asked[0]["token"] == "Bearer access-976"


def test_reading_a_file_twice_changes_nothing(held, utility):
    utility.says("/Download", OK)
    for _ in range(2):
        run(rows.job(held, FILE, kind="download"))
    assert (IntervalBlock.objects.get().total, Document.objects.count()) == (6, 1)


def test_no_temporary_file_is_left_behind(held, utility, settings):
    utility.says("/Download", OK)
    run(rows.job(held, FILE, kind="download"))
    folder = Path(settings.PRIVATE_DIR)
    assert (folder.stat().st_mode & 0o777, list(folder.iterdir())) == (0o700, [])


def test_d04_204_is_done_with_nothing(held, utility):
    utility.says("/Batch", (204, b"", {}))
    job = run(rows.job(held, BATCH))
    assert (job.state, job.reason) == ("done", "The utility has no data for this period.")


@pytest.mark.parametrize(("app", "url"), [(("cecony", "v1"), BATCH), (("pge", ""), f"{PGE}/Batch/Subscription/976")])
def test_202_at_con_edison_and_pge_waits_for_the_notification(utility, app, url):
    utility.says("/Batch", (202, b"", {}))
    job = run(rows.job(rows.authorization(rows.registration(*app)), url))
    assert (job.state, job.lease_expires_at) == ("awaiting_notification", None)
    assert job.not_before > NOW + timedelta(hours=25)
    assert "will tell us" in job.reason


def test_a_request_whose_notification_never_came_is_asked_again(held, utility):
    utility.says("/Batch", (202, b"", {}))
    job = run(rows.job(held, BATCH))
    assert run(job, NOW + timedelta(hours=25)).attempts == 1
    assert run(job, NOW + timedelta(hours=27)).attempts == 2


def test_202_at_utilityapi_is_the_same_request_again_when_it_says(essex, utility):
    utility.says("/Batch", (202, b"", {"Retry-After": "3"}), (202, b"", {"Retry-After": "3"}), OK)
    job = rows.job(essex, f"{ESSEX}/Batch/Subscription/976")
    run(job)
    assert (job.state, job.attempts) == ("due", 0)
    assert timedelta(seconds=3) <= job.not_before - NOW < timedelta(seconds=5)
    run(job, NOW + timedelta(seconds=6))
    assert run(job, NOW + timedelta(seconds=12)).state == "done"
    assert len(set(utility.paths("/Batch"))) == 1


def test_202_without_a_time_at_utilityapi_is_asked_again_after_a_minute(essex, utility):
    utility.says("/Batch", (202, b"", {}))
    job = run(rows.job(essex, f"{ESSEX}/Batch/Subscription/976"))
    assert timedelta(seconds=60) <= job.not_before - NOW < timedelta(seconds=62)


def test_202_for_ever_ends_visibly(essex, utility):
    utility.says("/Batch", (202, b"", {"Retry-After": "3"}))
    job = rows.job(essex, f"{ESSEX}/Batch/Subscription/976")
    late = job.created_at + timedelta(days=2)  # the worker was away: its own waiting is not the utility's
    for hours in (0, 25):
        assert run(job, late + timedelta(hours=hours)).state == "due"
    job = run(job, late + timedelta(hours=27))
    assert (job.state, job.reason) == ("failed", "The utility was still preparing the data after a day.")


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [("7", 30, 60), ("900", 900, 901), (str(10**9), 6 * 3600, 6 * 3600 + 1), ("soon", 30, 60), ("", 30, 60)],
)
def test_429_is_obeyed_up_to_six_hours_and_never_sooner_than_our_own_pause(held, utility, retry_after, least, most):
    utility.says("/Batch", (429, b"<html>", {"Retry-After": retry_after}))
    job = run(rows.job(held, BATCH))
    assert (job.state, job.attempts, job.reason) == ("due", 0, "The utility asked us to wait.")
    assert timedelta(seconds=least) <= job.not_before - NOW <= timedelta(seconds=most + 2)


def unreachable():
    raise requests.ConnectionError("refused")


TROUBLES = {
    "500": (500, b"<html>", {}),
    "503": (503, b"<html>", {}),
    "429": (429, b"", {}),
    "cut off": (200, standin.feed()[:-100], {"Content-Length": ""}),
    "no connection": unreachable,
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_f30_an_outage_of_the_utility_is_waited_out_for_three_days_and_costs_no_attempt(held, utility, trouble):
    utility.says("/Batch", TROUBLES[trouble])
    since = NOW - timedelta(days=2, hours=22)
    job, now, pauses = rows.job(held, BATCH, held_up_since=since), NOW, []
    while run(job, now).state == "due" and len(pauses) < 500:
        assert job.attempts == 0
        pauses.append(job.not_before - now)
        now = job.not_before + timedelta(seconds=1)
        Circuit.objects.all().delete()  # it keeps other jobs away; this one is the probe
    assert timedelta(days=3) < now - since < timedelta(days=3, hours=2)
    assert (job.state, job.reason.startswith("We tried for 3 days without success.")) == ("failed", True)
    assert (min(pauses) >= timedelta(seconds=30), max(pauses) <= timedelta(hours=1, seconds=2)) == (True, True)


def test_f30_the_data_come_when_the_outage_ends_and_the_next_outage_is_another_one(held, utility):
    utility.says("/Batch", (503, b"", {}), (202, b"", {}), (503, b"", {}), OK)
    job = rows.job(held, BATCH)
    assert run(job).held_up_since - NOW < SECOND
    FetchJob.objects.update(not_before=NOW)
    two_days = NOW + timedelta(days=2)
    assert (run(job, two_days).state, job.held_up_since) == ("awaiting_notification", None)
    four_days = NOW + timedelta(days=4)
    assert run(job, four_days).state == "due"
    assert timedelta(0) <= job.held_up_since - four_days < SECOND
    assert run(job, job.not_before + timedelta(seconds=1)).state == "done"


@pytest.mark.parametrize("status", [500, 429])
def test_an_outage_of_the_token_endpoint_costs_no_attempt_either(held, utility, status):
    Authorization.objects.update(access_token_expires_at=NOW)
    utility.says("/oauth/", (status, b"", {}))
    job = run(rows.job(held, BATCH))
    assert (job.state, job.attempts, job.held_up_since - NOW < SECOND) == ("due", 0, True)


def test_an_answer_nobody_understands_is_asked_for_eight_times(held, utility):
    Authorization.objects.update(access_token_expires_at=NOW)
    utility.says("/oauth/", (200, b"<html>", {}))
    job, now = rows.job(held, BATCH), NOW
    for _ in range(8):
        run(job, now)
        now = job.not_before + timedelta(seconds=1)
    assert (job.state, job.attempts) == ("failed", 8)
    assert job.reason.startswith("We tried 8 times without success.")


def test_d03_an_answer_cut_short_stores_nothing_and_is_tried_again(held, utility):
    utility.says("/Download", (200, standin.feed()[:-100], {"Content-Length": ""}))
    job = run(rows.job(held, FILE, kind="download"))
    assert (job.state, job.reason) == ("due", "The utility's answer was cut off; we keep trying.")
    assert not Document.objects.filter(refusal="").exists()


@pytest.mark.parametrize("body", [b"<html><body>Sign in</body></html>", b'{"error": "x"}', b""])
def test_d04_what_is_not_espi_is_a_failure_that_can_be_read(held, utility, body):
    utility.says("/Download", (200, body, {}))
    job = run(rows.job(held, FILE, kind="download"))
    assert job.state == "failed"
    assert job.reason.startswith("The file could not be used.")
    assert not Document.objects.filter(refusal="").exists()


def test_f41_a_401_is_answered_with_one_renewed_token(held, utility):
    utility.says("/Download", (401, b"", {}), OK)
    assert run(rows.job(held, FILE, kind="download")).state == "done"
    assert [each["token"] for each in utility.asked if "Download" in each["path"]] == [
        "Bearer access-976",
        "Bearer new",
    ]


def test_f42_a_401_with_a_new_token_stops_the_job_and_asks_how_the_permission_stands(utility):
    url = f"{V2}/Authorization/a976"
    held = rows.authorization(rows.registration("cecony", "v2"), authorization_uri=url)
    utility.says("/Batch", (401, b"", {}))
    job = run(rows.job(held, f"{V2}/Batch/Subscription/976"))
    assert (job.state, job.reason) == ("failed", "The utility refused our access, also after we renewed it.")
    assert len(utility.paths("/Batch")) == 2
    assert FetchJob.objects.get(kind="authorization").url == url
    held.refresh_from_db()
    assert held.status == "active"


def test_403_means_the_wrong_kind_of_token_and_is_neither_refreshed_nor_revoked(held, utility):
    utility.says("/Batch", (403, b"", {}))
    job = run(rows.job(held, BATCH))
    assert (job.state, job.reason) == ("failed", "The utility says this address needs another kind of access.")
    assert utility.paths("/oauth/") == []


def test_403_at_pge_may_be_a_token_that_ran_out_so_one_new_token_is_tried(utility):
    held = rows.authorization(rows.registration("pge", ""), authorization_uri=f"{PGE}/Authorization/976")
    url = f"{PGE}/Batch/Subscription/976?correlationID=1a2b"
    utility.says("/datacustodian/", standin.token())
    utility.says("/Batch", (403, b"", {}), OK)
    assert run(rows.job(held, url, kind="download")).state == "done"
    assert [each["token"] for each in utility.asked if "Batch" in each["path"]] == ["Bearer access-976", "Bearer new"]


def test_403_at_pge_with_a_new_token_asks_how_the_permission_stands(utility):
    held = rows.authorization(rows.registration("pge", ""), authorization_uri=f"{PGE}/Authorization/976")
    utility.says("/datacustodian/", standin.token())
    utility.says("/Batch", (403, b"", {}))
    job = run(rows.job(held, f"{PGE}/Batch/Subscription/976"))
    assert (job.state, len(utility.paths("/Batch"))) == ("failed", 2)
    assert FetchJob.objects.get(kind="authorization").url == f"{PGE}/Authorization/976"


def test_a_refresh_refused_without_a_reason_we_know_asks_how_the_permission_stands(utility):
    url = f"{V1}/Authorization/a976"
    held = rows.authorization(rows.registration(), access_token_expires_at=NOW, authorization_uri=url)
    utility.says("/oauth/", (400, {"statusCode": 400, "message": "The refresh token is invalid."}, {}))
    job = run(rows.job(held, BATCH))
    assert (job.state, job.reason) == ("due", "The utility refused to renew our access. We ask it why.")
    assert FetchJob.objects.get(kind="authorization").url == url
    held.refresh_from_db()
    assert (held.status, held.refresh_token) == ("active", "refresh-976")


PGE_SCOPE = "FB=1_3_8_13_14_18_19_31_32_35_37_38_39{};AdditionalScope={};BR=50123;dataCustodianId=PGE"


def stands_with(utility, scope, *granted):
    """What becomes of a PG&E connection that shared usage and bills, when its Authorization says this scope."""
    url = f"{PGE}/Authorization/976"
    more = {"scope_granted": PGE_SCOPE.format("_4_5_15_16", "Usage_Billing"), "data_granted": ["usage", "billing"]}
    held = rows.authorization(
        rows.registration("pge", ""), authorization_uri=url, utility_authorization_id="976", **more
    )
    utility.says("/oauth/", (200, {"client_access_token": "c", "token_type": "Bearer", "expires_in": 3600}, {}))
    body = f"""<entry xmlns="http://www.w3.org/2005/Atom"><link rel="self" href="{url}"/><content>
      <Authorization xmlns="http://naesb.org/espi"><status>1</status><scope>{scope}</scope></Authorization>
      </content></entry>"""
    utility.says("/Authorization", (200, body.encode(), {}))
    assert run(rows.job(held, url, kind="authorization", token_class="client")).state == "done"
    held.refresh_from_db()
    return held


def test_less_that_is_shared_since_is_noted(utility):
    held = stands_with(utility, PGE_SCOPE.format("_4_5_15", "Usage"))
    assert (held.data_granted, "_16" in held.scope_granted) == (["usage"], False)
    assert FetchJob.objects.count() == 1


def test_more_that_is_shared_since_is_noted_and_asked_for(utility):
    held = stands_with(utility, PGE_SCOPE.format("_4_5_15_16_46_47", "Usage_Billing_Basic"))
    assert held.data_granted == ["usage", "billing", "customer"]
    assert FetchJob.objects.filter(kind="customer", state="due").count() == 1


@pytest.mark.parametrize("scope", ["", "976", PGE_SCOPE.format("_4", "Usage").replace("50123", "66666")])
def test_a_scope_that_says_nothing_or_is_another_third_partys_changes_nothing(utility, scope):
    assert stands_with(utility, scope).data_granted == ["usage", "billing"]


def test_a_202_that_names_a_time_is_no_invitation_to_poll_where_the_utility_announces(held, utility):
    utility.says("/Batch", (202, b"", {"Retry-After": "3"}))
    assert run(rows.job(held, BATCH)).state == "awaiting_notification"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_c09_redirects_are_not_followed(held, utility, status):
    utility.says("/Batch", (status, b"", {"Location": "http://localhost:8001/api.coned.com/gbc/v1/resource/Evil"}))
    assert run(rows.job(held, BATCH)).state == "failed"
    assert len(utility.asked) == 1


def test_an_address_of_somebody_else_is_never_asked(held, utility):
    job = run(rows.job(held, "http://localhost:8001/evil.example/gbc/v1/resource/Batch"))
    assert (job.state, utility.asked) == ("failed", [])
    assert job.reason.startswith("The address is not one of this utility's.")


def test_f40_credentials_of_ours_that_are_refused_wait_for_staff(held, utility):
    held.access_token_expires_at = NOW
    held.save()
    utility.says("/oauth/", standin.refusal("invalid_client", 401))
    job = run(rows.job(held, BATCH))
    assert (job.state, job.attempts) == ("due", 0)
    assert Circuit.objects.get().cause == "credentials"
    assert "our own credentials" in job.reason
    held.refresh_from_db()
    assert held.status == "active"


def test_pge_without_its_certificate_waits_for_staff(utility):
    utility.says("/Batch", (400, b'"Invalid Certificate"', {}))
    job = run(rows.job(rows.authorization(rows.registration("pge", "")), f"{PGE}/Batch/Subscription/976"))
    assert (job.state, job.attempts) == ("due", 0)
    assert "our own credentials" in job.reason


def test_a_period_that_is_too_long_for_pge_is_asked_for_in_halves(utility):
    held = rows.authorization(rows.registration("pge", ""))
    request = utilities.get("pge").first_requests(held.application_information, held, NOW)[0]
    utility.says("/Batch", (400, b"Date Range Too Large", {}))
    window = {"window_start": request.window_start, "window_end": request.window_end}
    job = run(rows.job(held, request.url, **window))
    assert (job.state, job.reason) == ("superseded", "The period was too long; it is asked for in 2 parts.")
    first, second = FetchJob.objects.filter(state="due").order_by("window_start")
    assert (first.window_start, second.window_end) == (job.window_start, job.window_end)
    assert first.window_end == second.window_start


def test_a_fault_of_ours_is_written_down_and_tried_again(held, utility, caplog):
    utility.says("/Download", OK)
    with patch("espi.ingest.store", side_effect=ZeroDivisionError("access-976")):
        job = run(rows.job(held, FILE, kind="download"))
    assert (job.state, job.reason) == ("due", "A fault of ours (ZeroDivisionError); we try again.")


# --- What may be stored -----------------------------------------------------------------------------------------------


def test_c10_a_file_of_another_customer_is_refused_whole(held, utility):
    utility.says("/Download", (200, standin.feed("977"), {}))
    job = run(rows.job(held, FILE, kind="download"))
    assert job.state == "failed"
    assert not Document.objects.filter(refusal="").exists()


def test_a23_what_was_not_granted_is_not_stored(held, utility):
    held.data_granted = ["billing"]
    held.save()
    utility.says("/Download", OK)
    run(rows.job(held, FILE, kind="download"))
    assert not IntervalBlock.objects.exists()


def test_f53_nothing_is_written_after_the_customer_stopped(held, utility):
    def meanwhile():
        withdraw.withdraw(held, delete_data=True, now=NOW)
        return OK

    utility.says("/Download", meanwhile)
    job = run(rows.job(held, FILE, kind="download"))
    assert (job.state, job.reason) == ("superseded", "The customer stopped sharing.")
    assert not Document.objects.filter(refusal="").exists()


def test_a_file_that_names_nobody_finds_its_owner_among_those_who_wait(utility):
    app = rows.registration()
    waiting = []
    for number in ("975", "976", "977"):
        one = rows.authorization(app, number, user=rows.customer(f"{number}@example.com"))
        rows.job(
            one, f"{V1}/Batch/Subscription/{number}", state="awaiting_notification", not_before=NOW + timedelta(days=1)
        )
        waiting.append(one)
    utility.says("/Download", OK)
    job = rows.job(waiting[0], f"{V1}/Batch/Download?requestId=1&responseId=2", kind="download")
    job.authorization = None
    job.save()
    for _ in range(3):
        FetchJob.objects.filter(pk=job.pk).update(not_before=NOW)
        run(job)
    assert (job.state, job.authorization) == ("done", waiting[1])
    assert Document.objects.get().subscription == waiting[1].subscription
    states = FetchJob.objects.exclude(kind="download").order_by("pk").values_list("state", flat=True)
    assert list(states) == ["awaiting_notification", "done", "awaiting_notification"]


def test_a_bulk_file_is_read_for_every_customer_it_names_and_for_nobody_else(utility):
    app = rows.registration("essex", "")
    ada, _, cy = [
        rows.authorization(app, number, user=rows.customer(f"{number}@example.com")) for number in ("976", "977", "978")
    ]
    cy.status = "withdrawn"
    cy.save()
    entries = [standin.feed(number).split(b"</updated>")[1].removesuffix(b"</feed>") for number in ("976", "978", "5")]
    body = standin.feed("976").split(b"<entry>")[0] + b"".join(entries) + b"</feed>"
    utility.says("/Bulk", (200, body, {}))
    job = FetchJob.objects.create(
        application_information=app, kind="download", token_class="client", url=f"{ESSEX}/Bulk/b-17", not_before=NOW
    )
    run(job)
    told = "Read for 1 of the 3 connections it names. Of 2 nothing was kept, as nobody shares them with us: 5, 978."
    assert (job.state, job.reason) == ("done", told)
    assert list(IntervalBlock.objects.values_list("meter_reading__usage_point__subscription", flat=True)) == [
        ada.subscription_id
    ]


def bulk_job(utility, app, entries):
    body = standin.feed("976").split(b"<entry>")[0] + b"".join(entries) + b"</feed>"
    utility.says("/Bulk", (200, body, {}))
    return FetchJob.objects.create(
        application_information=app, kind="download", token_class="client", url=f"{ESSEX}/Bulk/b-17", not_before=NOW
    )


def entries_of(number, **more):
    return standin.feed(number, **more).split(b"</updated>")[1].removesuffix(b"</feed>")


def customers_of(app, *numbers):
    return [rows.authorization(app, number, user=rows.customer(f"{number}@example.com")) for number in numbers]


def test_a_bulk_file_is_read_once_however_many_customers_it_names(utility, monkeypatch):
    app = rows.registration("essex", "")
    numbers = [str(each) for each in range(970, 980)]
    customers_of(app, *numbers)
    reads, read = [], atom.read
    monkeypatch.setattr(atom, "read", lambda *told, **more: reads.append(1) or read(*told, **more))
    parts = [entries_of(number, values=(int(number), 2)) for number in numbers]
    job = run(bulk_job(utility, app, parts))
    assert (job.state, len(reads)) == ("done", 1)
    held = IntervalBlock.objects.order_by("total").values_list("total", "meter_reading__usage_point__subscription")
    assert [total for total, _ in held] == [int(number) + 2 for number in numbers]
    assert len({subscription for _, subscription in held}) == 10


def test_a_part_that_cannot_be_read_changes_nothing_for_the_others(utility):
    app = rows.registration("essex", "")
    ada, ben, cy = customers_of(app, "976", "977", "978")
    bad = entries_of("977").replace(b"<value>", b"<value>x")
    job = run(bulk_job(utility, app, [entries_of("976"), bad, entries_of("978")]))
    assert (job.state, job.reason.startswith("Read for 2 of the 3 connections it names. Not for 1: None of")) == (
        "done",
        True,
    )
    held = Document.objects.values_list("subscription", flat=True)
    assert sorted(held) == [ada.subscription_id, cy.subscription_id]
    assert not ben.subscription.usage_points.exists()


def test_an_error_of_our_own_in_one_part_is_tried_again_and_the_others_are_stored(utility, monkeypatch):
    app = rows.registration("essex", "")
    _, ben, _ = customers_of(app, "976", "977", "978")
    settle = continuity.settle

    def broken(authorization, document, *, now):
        if authorization == ben:
            raise RuntimeError("ours")
        settle(authorization, document, now=now)

    monkeypatch.setattr(continuity, "settle", broken)
    job = run(bulk_job(utility, app, [entries_of(number) for number in ("976", "977", "978")]))
    assert job.state == "due"
    assert Document.objects.count() == 2
    monkeypatch.setattr(continuity, "settle", settle)
    FetchJob.objects.update(not_before=NOW)
    job = run(job)
    assert (job.state, Document.objects.count()) == ("done", 3)


def test_a_bulk_file_that_breaks_off_is_stored_for_nobody(utility):
    app = rows.registration("essex", "")
    customers_of(app, "976", "977")
    job = bulk_job(utility, app, [entries_of("976"), entries_of("977")[:-40]])
    assert run(job).state != "done"
    assert not Document.objects.filter(refusal="").exists()


def test_of_a_bulk_file_that_cannot_be_read_only_the_reason_is_kept(utility):
    """Its bytes are of many: nobody could have his part of them deleted."""
    app = rows.registration("essex", "")
    customers_of(app, "976", "977")
    job = run(bulk_job(utility, app, [entries_of("976"), entries_of("977").replace(b"<value>", b"<value>&;")]))
    kept = Document.objects.get()
    assert (job.state, bool(kept.refusal), kept.size > 0, kept.parts.count()) == ("failed", True, True, 0)


@pytest.mark.parametrize(("holds_readings", "state"), [(True, "due"), (False, "done")])
def test_only_a_bulk_file_of_readings_waits_for_the_first_data_of_a_new_connection(utility, holds_readings, state):
    app = rows.registration("essex", "")
    _, ben = customers_of(app, "976", "977")
    awaiting(ben, f"{ESSEX}/Batch/Subscription/977")
    entries = [b"<entry>" + each for number in ("976", "977") for each in entries_of(number).split(b"<entry>")[1:]]
    kept = [each for each in entries if holds_readings or b"IntervalReading>" not in each]
    assert run(bulk_job(utility, app, kept)).state == state


# --- The request that was waiting -------------------------------------------------------------------------------------


def awaiting(held, url=BATCH, **more):
    return rows.job(held, url, state="awaiting_notification", **({"not_before": NOW + timedelta(days=1)} | more))


def test_the_request_is_done_when_its_file_is_here(held, utility):
    request = awaiting(held)
    utility.says("/Download", OK)
    run(rows.job(held, FILE, kind="download"))
    request.refresh_from_db()
    assert (request.state, request.finished_at is not None) == ("done", True)


def test_of_several_requests_the_one_whose_window_the_readings_lie_in_is_done(held, utility):
    march = NOW.replace(day=1, hour=0)
    old = awaiting(held, BATCH + "?1", window_start=march - timedelta(days=365), window_end=march)
    new = awaiting(held, BATCH + "?2", window_start=march, window_end=march + timedelta(days=31))
    utility.says("/Download", OK)
    run(rows.job(held, FILE, kind="download"))
    assert [FetchJob.objects.get(pk=each.pk).state for each in (old, new)] == ["awaiting_notification", "done"]


def test_at_con_edison_v2_the_announced_address_is_the_requests_own(utility):
    held = rows.authorization(rows.registration("cecony", "v2"))
    url = f"{V2}/Batch/Subscription/976?published-min=2026-01-15T05:00:00Z&published-max=2026-01-16T05:00:00Z"
    other, request = awaiting(held, f"{V2}/Batch/Subscription/976"), awaiting(held, url)
    utility.says("/Batch", OK)
    run(rows.job(held, url, kind="download"))
    assert [FetchJob.objects.get(pk=each.pk).state for each in (other, request)] == ["awaiting_notification", "done"]


def test_f24_a_file_whose_request_was_sent_once_more_gives_way_to_it(utility):
    owner = rows.authorization(rows.registration(edition="v2"))
    utility.says("/Batch/Subscription/976", (400, b"The same request is still being processed.", {}))
    asked = rows.job(owner, f"{V2}/Batch/Subscription/976", state="awaiting_notification", asked_again=True)
    job = run(rows.job(owner, asked.url, kind="download"))
    assert (job.state, "asked for again" in job.reason) == ("superseded", True)
    asked.refresh_from_db()
    assert asked.state == "awaiting_notification"


def gone(job, utility, now=NOW):
    """A file that the utility does not have any more; the request that is sent once more."""
    utility.says(job.url.partition("?")[0].partition("/resource")[2], (404, b"", {}))
    assert run(job, now).state == "superseded"
    return FetchJob.objects.get(asked_again=True)


def test_a_lost_file_of_a_period_is_asked_for_by_the_request_of_that_period(utility):
    """PG&E: two years are asked for in two requests; electricity of the first is here, its gas is gone (contract §8.3)."""
    held = rows.authorization(rows.registration("pge", ""))
    march, year = NOW.replace(day=1, hour=0), timedelta(days=365)
    requests = [
        awaiting(
            held, f"{PGE}/Batch/Subscription/976?{n}", window_start=march - n * year, window_end=march - (n - 1) * year
        )
        for n in (0, 1)
    ]
    rows.job(held, f"{PGE}/Batch/RetailCustomer/976", kind="customer", state="running", lease_expires_at=NOW + HOUR)
    app = held.application_information
    told = Notification.objects.create(application_information=app, received_at=NOW, body=b"", channel="batch list")
    files = [
        rows.job(held, f"{PGE}/Batch/Subscription/976?correlationID={n}", kind="download", notification=told)
        for n in (1, 2)
    ]
    utility.says("/Batch", OK)
    run(files[0])
    assert [FetchJob.objects.get(pk=each.pk).state for each in requests] == ["done", "awaiting_notification"]
    utility.answers.pop("/Batch")
    assert gone(files[1], utility).url == requests[0].url
    assert FetchJob.objects.get(kind="customer").state == "running"


def test_a_lost_file_that_may_be_anybodys_takes_nobodys_request_away(held, utility):
    """Con Edison V1 names nobody in an address (contract §6)."""
    other = rows.authorization(held.application_information, "977", user=rows.customer("ben@example.com"))
    requests = [awaiting(held), awaiting(other, f"{V1}/Batch/Subscription/977")]
    utility.says("/Download", (410, b"", {}))
    job = rows.job(held, f"{V1}/Batch/Download?requestId=1&responseId=2", kind="download")
    assert run(job).state == "failed"
    assert {FetchJob.objects.get(pk=each.pk).state for each in requests} == {"awaiting_notification"}


def test_a_request_that_is_asked_again_where_nothing_is_announced_may_be_answered_202(essex, utility):
    utility.says("/Batch", (202, b"", {"Retry-After": "3"}), OK)
    job = rows.job(essex, f"{ESSEX}/Batch/Subscription/976", asked_again=True)
    run(job)
    assert run(job, NOW + timedelta(minutes=2)).state == "done"


def test_a_file_that_was_refused_is_not_kept_for_a_customer_who_stopped_meanwhile(held, utility, monkeypatch):
    def reads(*_):
        withdraw.withdraw(Authorization.objects.get(pk=held.pk), delete_data=True, now=NOW)
        raise atom.DocumentRefused("It is no XML.")

    monkeypatch.setattr("portal.flows.fetch.running.read_data", reads)
    utility.says("/Download", (200, b"no XML", {}))
    run(rows.job(held, FILE, kind="download"))
    assert not Document.objects.exists()


def test_a_file_that_failed_leaves_its_request_waiting(held, utility):
    request = awaiting(held)
    utility.says("/Download", (400, b"No", {}))
    job = run(rows.job(held, FILE, kind="download"))
    request.refresh_from_db()
    assert job.state == "failed"
    assert request.state == "awaiting_notification"


# --- How an authorization stands --------------------------------------------------------------------------------------


def status_of(held, utility, code):
    entry = f"""<entry xmlns="http://www.w3.org/2005/Atom"><link rel="self" href="{V2}/Authorization/a976"/><content>
    <Authorization xmlns="http://naesb.org/espi"><status>{code}</status></Authorization></content></entry>"""
    utility.says("/Authorization", (200, entry.encode(), {}))
    waiting = awaiting(held)
    job = run(rows.job(held, f"{V2}/Authorization/a976", kind="authorization", token_class="client"))
    held.refresh_from_db()
    waiting.refresh_from_db()
    return job, waiting


@pytest.mark.parametrize("code", ["0", "2"])
def test_f54_a_permission_that_was_revoked_at_the_utility_ends_here(utility, code):
    held = rows.authorization(rows.registration("cecony", "v2"))
    job, waiting = status_of(held, utility, code)
    assert (job.state, job.reason) == ("done", "Sharing was stopped at the utility.")
    assert (held.status, held.access_token, held.refresh_token) == ("revoked", None, None)
    assert waiting.state == "superseded"


def test_a_permission_that_stands_goes_on(utility):
    held = rows.authorization(rows.registration("cecony", "v2"))
    job, waiting = status_of(held, utility, "1")
    assert (job.state, held.status, waiting.state) == ("done", "active", "awaiting_notification")


@pytest.mark.parametrize("code", ["7", "", "revoked"])
def test_a_status_we_do_not_know_changes_nothing(utility, code):
    held = rows.authorization(rows.registration("cecony", "v2"))
    job, _ = status_of(held, utility, code)
    assert (job.state, held.status) == ("failed", "active")


@pytest.mark.parametrize(("age", "status"), [(timedelta(minutes=1), "active"), (timedelta(days=3), "revoked")])
def test_a_permission_that_is_gone_has_ended_unless_it_is_brand_new(utility, age, status):
    held = rows.authorization(rows.registration("cecony", "v2"))
    Authorization.objects.update(created_at=NOW - age)
    held.refresh_from_db()
    utility.says("/Authorization", (404, b"", {}))
    run(rows.job(held, f"{V2}/Authorization/a976", kind="authorization", token_class="client"))
    held.refresh_from_db()
    assert held.status == status


@pytest.mark.parametrize(("kind", "status"), [("authorization", "active"), ("revocation", "withdrawn")])
def test_a_gateway_without_a_way_to_a_permission_says_nothing_about_it(utility, kind, status):
    """Nor does it stop anybody else's work."""
    held = rows.authorization(rows.registration("pge", ""), status=status)
    Authorization.objects.update(created_at=NOW - timedelta(days=3))
    held.refresh_from_db()
    ours = (200, {"client_access_token": "ours", "token_type": "Bearer", "expires_in": 3600}, {})
    utility.answers = {"/token": [ours]}
    utility.says("/Authorization", (404, b"No listener for endpoint: /Authorization/a976", {}))
    job = rows.job(held, f"{PGE}/Authorization/a976", kind=kind, token_class="client")
    for attempt in range(6):
        assert (run(job, NOW + attempt * HOUR).state, job.attempts) == ("due", 0)
    held.refresh_from_db()
    assert held.status == status
    assert not Circuit.objects.filter(opened_at__isnull=False).exists()


# --- Asking, claiming, sweeping ---------------------------------------------------------------------------------------


def test_the_first_requests_are_asked_for_once(held, django_capture_on_commit_callbacks):
    with patch("portal.flows.fetch.waking.publish") as publish:
        with django_capture_on_commit_callbacks(execute=True):
            (job,) = fetch.enqueue_first(held, now=NOW)
            assert fetch.enqueue_first(held, now=NOW) == []
        fetch.outbox.waiting.join()
    assert (job.kind, job.state, job.url.startswith(BATCH)) == ("usage", "due", True)
    publish.assert_called_once_with(fetch.RUN_JOBS, queue="interactive", job_ids=[job.pk], countdown=0)


def test_real_time_data_of_con_edison_v1_are_found_by_following_its_links(utility):
    held = rows.authorization(rows.registration(), data_granted=["realtime"])
    (job,) = fetch.enqueue_first(held, now=NOW)
    link = f"{V1}/Subscription/976/UsagePoint/41"
    body = f"""<feed xmlns="http://www.w3.org/2005/Atom"><entry><link rel="self" href="{link}"/><content>
    <usagePoint xmlns="http://naesb.org/espi"/></content></entry></feed>"""
    utility.says("/Subscription/976/UsagePoint", (200, body.encode(), {}))
    run(job)
    assert FetchJob.objects.exclude(pk=job.pk).get().url == f"{link}/MeterReading"


def test_a_job_is_claimed_once(held):
    job = rows.job(held, BATCH)
    assert fetch.claim(job.pk, now=NOW).attempts == 1
    assert fetch.claim(job.pk, now=NOW) is None
    assert fetch.claim(job.pk, now=NOW + timedelta(minutes=4)) is None
    assert fetch.claim(job.pk, now=NOW + timedelta(minutes=6)).attempts == 2


def test_a_job_is_not_claimed_before_its_time(held):
    job = rows.job(held, BATCH, not_before=NOW + timedelta(seconds=1))
    assert fetch.claim(job.pk, now=NOW) is None


@pytest.mark.parametrize("state", ["done", "failed", "superseded"])
def test_a_job_that_is_over_is_not_claimed(held, state):
    assert fetch.claim(rows.job(held, BATCH, state=state).pk, now=NOW) is None


def test_f06_a_job_that_kills_every_worker_is_closed_after_eight_claims(held):
    job = rows.job(held, BATCH)
    now = NOW
    for _ in range(8):
        assert fetch.claim(job.pk, now=now)
        now += timedelta(minutes=6)
    assert fetch.claim(job.pk, now=now) is None
    job.refresh_from_db()
    assert (job.state, job.attempts, job.reason) == ("failed", 8, "We tried 8 times without success.")


def test_f15_a_worker_that_lost_its_lease_writes_nothing(held, utility):
    job = rows.job(held, FILE, kind="download")

    def slow():
        fetch.claim(job.pk, now=NOW + timedelta(minutes=6))
        return OK

    utility.says("/Download", slow)
    run(job)
    assert (job.state, job.attempts) == ("running", 2)
    assert not Document.objects.filter(refusal="").exists()


@pytest.mark.django_db(transaction=True)
def test_the_lease_is_renewed_however_long_a_file_is_read(held, utility, monkeypatch):
    monkeypatch.setattr(claiming, "RENEW_EVERY", 0.05)
    monkeypatch.setattr(claiming, "LEASE", timedelta(seconds=3))
    job, really = rows.job(held, FILE, kind="download"), ingest.store
    claims = []

    def slowly(*arguments, **more):
        for tenth in range(15):
            time.sleep(0.1)
            claims.append(elsewhere(lambda: fetch.claim(job.pk, now=NOW + timedelta(seconds=2.2 + tenth / 10))))  # noqa: B023
        return really(*arguments, **more)

    utility.says("/Download", OK)
    with patch("espi.ingest.store", slowly):
        run(job)
    assert claims == [None] * 15
    assert (job.state, job.attempts, job.lease_expires_at) == ("done", 1, None)


@pytest.mark.django_db(transaction=True)
def test_f53_a_download_ends_when_the_job_is_taken_away(held, utility, monkeypatch):
    monkeypatch.setattr(claiming, "RENEW_EVERY", 0.05)

    def meanwhile():
        elsewhere(lambda: FetchJob.objects.update(state="superseded", reason="The customer stopped sharing."))
        time.sleep(0.5)
        return OK

    utility.says("/Download", meanwhile)
    with patch("espi.ingest.store", side_effect=AssertionError("it was read")):
        job = run(rows.job(held, FILE, kind="download"))
    assert (job.state, job.reason) == ("superseded", "The customer stopped sharing.")


def elsewhere(work):
    """Do it on a connection of its own."""
    done = []

    def begin():
        done.append(work())
        connection.close()

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    return done[0]


def test_an_attempt_ends_before_its_worker_is_killed(settings):
    reading = 4 * 60
    assert running_tasks.BATCH_SECONDS + calling.DOWNLOAD_SECONDS + reading <= settings.CELERY_TASK_TIME_LIMIT


def test_a_second_try_has_only_what_the_first_one_left_of_the_time(held, utility, monkeypatch):
    monkeypatch.setattr(calling, "DOWNLOAD_SECONDS", 0.3)

    def slowly():
        time.sleep(0.25)
        return 401, b"", {}

    given = []
    monkeypatch.setattr(client, "get", spy(client.get, given))
    utility.says("/Download", slowly, OK)
    run(rows.job(held, FILE, kind="download"))
    assert all(sent["deadline_seconds"] <= 0.3 for sent in given)
    assert len(given) == 1 or given[1]["deadline_seconds"] < 0.06


def spy(function, given):
    """The same function, which notes what it is given by name."""

    def noting(*arguments, **named):
        given.append(named)
        return function(*arguments, **named)

    return noting


def test_a_file_may_be_256_mib_on_the_wire_and_512_inflated_an_authorization_one(held, utility, monkeypatch):
    given = []
    monkeypatch.setattr(client, "get", spy(client.get, given))
    utility.says("/Download", OK)
    utility.says("/Authorization", (200, b"x" * (MIB + 1), {}))
    run(rows.job(held, FILE, kind="download"))
    job = run(rows.job(held, f"{V1}/Authorization/a976", kind="authorization"))
    assert [(sent["max_wire_bytes"] // MIB, sent["max_bytes"] // MIB) for sent in given] == [(256, 512), (1, 1)]
    assert (job.state, job.reason) == ("failed", "The file is larger than we accept.")


# --- Telling the utility that a customer stopped ---------------------------------------------------------------------


def revocation(held):
    return rows.job(held, held.authorization_uri, kind="revocation", token_class="client")


@pytest.fixture
def at_pge():
    app = rows.registration("pge", "", client_access_token="ours", client_access_token_expires_at=NOW + HOUR)
    return rows.authorization(app, status="withdrawn", authorization_uri=f"{PGE}/Authorization/976")


def test_pge_is_told_with_the_token_we_have(at_pge, utility):
    utility.says("/Authorization", (200, b"", {}))
    assert run(revocation(at_pge)).state == "done"
    assert [each["token"] for each in utility.asked] == ["Bearer ours"]


def test_a_401_to_our_token_is_answered_with_one_new_one(at_pge, utility):
    client_token = {"client_access_token": "c", "token_type": "Bearer", "expires_in": 3600}
    utility.answers = {"/token": [(200, client_token, {})]}
    utility.says("/Authorization", (401, b"", {}), (200, b"", {}))
    assert run(revocation(at_pge)).state == "done"
    assert [each["token"] for each in utility.asked if "/Authorization" in each["path"]] == ["Bearer ours", "Bearer c"]


def test_a_utility_that_cannot_be_told_is_a_failure_in_words(held, utility):
    Authorization.objects.filter(pk=held.pk).update(status="withdrawn")
    job = run(rows.job(held, "", kind="revocation", token_class="client"))
    assert job.state == "failed"
    assert job.reason.startswith("We could not end the sharing on the utility's side. ")


def numbered(held, count, **more):
    return [rows.job(held, f"{BATCH}?part={more.get('priority', 0)}-{number}", **more) for number in range(count)]


def swept(now=NOW):
    """(queue, ids) of every message of a sweep."""
    with patch("portal.flows.fetch.waking.publish") as publish:
        count = fetch.sweep(now)
    sent = [(call.kwargs["queue"], call.kwargs["job_ids"]) for call in publish.call_args_list]
    assert count == sum(len(ids) for _, ids in sent)
    return sent


def test_the_sweep_wakes_workers_for_what_is_due_in_batches_and_queues(held):
    waited_for = numbered(held, 23, priority=Priority.FIRST_DATA)
    due = numbered(held, 101, priority=Priority.DAILY)
    upkeep = numbered(held, 1, priority=Priority.UPKEEP)
    lapsed = rows.job(held, f"{BATCH}?lapsed", state="running", lease_expires_at=NOW - timedelta(seconds=1))
    rows.job(held, f"{BATCH}?later", not_before=NOW + timedelta(seconds=1))
    rows.job(held, f"{BATCH}?runs", state="running", lease_expires_at=NOW + timedelta(seconds=1))
    rows.job(held, f"{BATCH}?done", state="done")
    awaiting(held)
    sent = swept()
    assert [len(ids) for queue, ids in sent if queue == "interactive"] == [1] * 23
    assert [len(ids) for queue, ids in sent if queue == "downloads"] == [1, *[2] * 50, 1]
    assert [ids for queue, ids in sent if queue == "housekeeping"] == [[upkeep[0].pk]]
    assert {id_ for _, ids in sent for id_ in ids} == {job.pk for job in (*waited_for, *due, *upkeep, lapsed)}


def test_of_few_jobs_each_is_a_message_of_its_own_so_that_no_worker_idles_beside_one_that_has_them_all(held):
    due = numbered(held, 100, priority=Priority.DAILY)
    assert swept() == [("downloads", [job.pk]) for job in due]


@pytest.mark.parametrize(
    ("queue", "count", "size"),
    [("downloads", 101, 2), ("downloads", 1000, 10), ("downloads", 10_000, 100), ("interactive", 10_000, 10)],
)
def test_the_longer_a_queue_is_the_more_jobs_one_message_names(queue, count, size):
    assert sweeping.batch_size(queue, count) == size


def test_of_one_urgency_the_oldest_is_begun_first_however_often_it_was_turned_away(held):
    jobs = [rows.job(held, f"{BATCH}?{number}", not_before=NOW - number * SECOND) for number in range(205)]
    assert [id_ for _, ids in swept() for id_ in ids] == [job.pk for job in jobs]


def test_the_news_of_one_utility_do_not_stand_behind_all_those_of_another(held):
    numbered(held, 30, priority=Priority.DAILY)
    other = rows.authorization(rows.registration("essex", ""), "977")
    (job,) = numbered(other, 1, priority=Priority.DAILY)
    assert [ids for _, ids in swept()].index([job.pk]) <= 1


def test_f45_what_one_sweep_woke_another_leaves_alone_until_the_message_must_be_lost(held):
    (job,) = numbered(held, 1)
    assert swept() == [("downloads", [job.pk])]
    assert swept(NOW + 15 * SECOND) == []
    assert swept(NOW + 45 * SECOND) == [("downloads", [job.pk])]


def test_a_message_that_still_waits_holds_until_a_later_sweep_has_sent_another(held, settings):
    numbered(held, 1)
    with patch("portal.flows.fetch.waking.publish") as publish:
        woken = [now for now in range(0, 120, settings.SWEEP_SECONDS) if fetch.sweep(NOW + now * SECOND)]
    assert publish.call_args_list[0].kwargs["expires"] > woken[1] - woken[0]


def test_a_long_history_of_one_customer_stands_behind_everybodys_first_data(held):
    parts = [PlannedRequest("usage", f"{BATCH}?part={number}") for number in range(60)]
    long = fetch.enqueue_planned(held, parts, now=NOW, of_history=True)
    other = rows.authorization(held.application_information, "977")
    first, second = fetch.enqueue_planned(other, parts[:2], now=NOW + SECOND, of_history=True)
    woken = [id_ for _, ids in swept(NOW + 2 * SECOND) for id_ in ids]
    assert woken[:2] == [long[0].pk, first.pk]
    assert woken.index(second.pk) == 3
    assert max(job.priority for job in long) < Priority.UPKEEP


@pytest.mark.django_db(transaction=True)
def test_f45_two_who_ask_for_the_same_at_the_same_instant_make_one_job(held):
    planned = [PlannedRequest("usage", f"{BATCH}?part={number}") for number in range(2)]
    ours = [asking.planned_job(held, each, None, NOW) for each in planned]
    elsewhere(lambda: fetch.enqueue_planned(held, planned[:1], now=NOW))
    made = fetch.enqueue(ours)
    assert [job.url for job in made] == [planned[1].url]
    assert FetchJob.objects.count() == 2


def test_a_failed_job_is_not_tried_again_while_the_same_is_being_asked_for(held):
    failed = rows.job(held, BATCH, state="failed")
    rows.job(held, BATCH)
    assert not fetch.retry(failed.pk, now=NOW)
    failed.refresh_from_db()
    assert failed.state == "failed"


def test_a_broker_that_is_away_never_reaches_the_web_request(held):
    with patch("celery.Celery.send_task", side_effect=OSError("connection refused")), transaction.atomic():
        assert fetch.publish(fetch.RUN_JOBS, job_ids=[1]) is False
        assert fetch.enqueue(
            [
                FetchJob(
                    application_information=held.application_information,
                    authorization=held,
                    kind="usage",
                    url=BATCH,
                    not_before=NOW,
                )
            ]
        )
    assert FetchJob.objects.get().state == "due"


def test_only_granted_choices_are_accepted(held):
    app = held.application_information
    held.data_granted = ["usage", "no longer offered"]
    kinds = fetch.accepted_kinds(utilities.get("cecony"), app, held)
    assert "IntervalBlock" in kinds
    assert "UsageSummary" not in kinds


def test_planned_requests_keep_their_window(held):
    request = PlannedRequest("usage", BATCH, "access", NOW - timedelta(days=1), NOW)
    (job,) = fetch.enqueue_planned(held, [request, request], now=NOW)
    assert (job.window_start, job.window_end, job.not_before) == (NOW - timedelta(days=1), NOW, NOW)
