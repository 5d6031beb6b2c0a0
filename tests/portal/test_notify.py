"""The addresses utilities post to, and what becomes of a notification."""

import hashlib
import io
import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from espi.models import ApplicationInformation, Authorization, FetchJob, Notification
from portal.flows import announcements, fetch, notify
from portal.models import FetchPlan
from tests.portal import rows
from tests.portal.rows import NOW, PGE, V1, V2

pytestmark = pytest.mark.django_db
FILE = f"{V1}/Batch/Download?requestId=1111&responseId=2222&subscriptionId=976"


def batch_list(*urls, name="BatchList", prefix="espi:"):
    members = "".join(f"<{prefix}resources>\n  {url.replace('&', '&amp;')}\n</{prefix}resources>" for url in urls)
    space = f"xmlns{':' + prefix[:-1] if prefix else ''}"
    return f'<{prefix}{name} {space}="http://naesb.org/espi">{members}</{prefix}{name}>'.encode()


@pytest.fixture
def app():
    return rows.registration()


def address(app, *, secret=None, kind="Notification", slug=None):
    return f"/espi/1_1/{kind}/{slug or app.utility}/{secret or app.notify_secret}"


def post(app, body, *, content_type="application/xml", **more):
    address_given = more.pop("address", None) or address(app)
    return Client(enforce_csrf_checks=True).post(address_given, body, content_type=content_type, **more)


def resolved(app, *urls, body=None):
    """Post a list of addresses, let the worker resolve it, and read the row again."""
    assert post(app, body if body is not None else batch_list(*urls)).status_code == 200
    notification = Notification.objects.latest("pk")
    notify.resolve(notification.pk, now=NOW)
    notification.refresh_from_db()
    return notification


# --- The endpoint -----------------------------------------------------------------------------------------------------


def test_a_notification_is_answered_200_with_an_empty_body_and_kept(app):
    response = post(app, batch_list(FILE))
    assert (response.status_code, response.content) == (200, b"")
    kept = Notification.objects.get()
    assert (bytes(kept.body), kept.state, kept.source_address) == (batch_list(FILE), "received", "127.0.0.1")
    assert not FetchJob.objects.exists()


def test_keeping_a_notification_costs_one_look_now_and_then_and_one_insert(app):
    with CaptureQueriesContext(connection) as queries:
        for number in range(3):
            assert post(app, batch_list(f"{FILE}&n={number}")).status_code == 200
    said = [query["sql"].split()[0] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert said == ["SELECT", "INSERT", "INSERT", "INSERT"]


def test_c01_a_secret_that_was_changed_opens_nothing_any_more(app):
    before = address(app)
    assert post(app, batch_list(FILE)).status_code == 200
    app.notify_secret = "another" * 6
    app.save()
    assert post(app, batch_list(FILE), address=before).status_code == 404
    assert post(app, batch_list(FILE)).status_code == 200


def test_c01_a_secret_that_another_process_changed_opens_nothing_after_a_few_seconds(app, monkeypatch):
    before = address(app)
    assert post(app, batch_list(FILE)).status_code == 200
    ApplicationInformation.objects.filter(pk=app.pk).update(notify_secret="another" * 6)  # no signal reaches us
    monkeypatch.setattr(notify, "KNOWN_FOR", 0.0)
    assert post(app, batch_list(FILE), address=before).status_code == 404


def test_what_a_utility_posts_meets_nothing_that_belongs_to_pages(app):
    answer = post(app, batch_list(FILE))
    assert not answer.cookies
    assert "Content-Security-Policy" not in answer.headers
    assert post(app, batch_list(FILE), headers={"Host": "evil.example"}).status_code == 400


def test_c11_the_same_notification_is_kept_once_while_it_waits_and_counted(app):
    rows.authorization(app)
    for _ in range(100):
        assert post(app, batch_list(FILE)).status_code == 200
    kept = Notification.objects.get()
    assert (kept.state, kept.repeats) == ("received", 99)
    notify.resolve(kept.pk, now=NOW)
    assert post(app, batch_list(FILE)).status_code == 200
    assert Notification.objects.count() == 2
    notify.resolve(Notification.objects.latest("pk").pk, now=NOW)
    assert FetchJob.objects.count() == 1


def test_the_same_body_for_two_registrations_is_two_notifications(app):
    second = rows.registration("cecony", "v2")
    for each in (app, second):
        assert post(each, batch_list(FILE)).status_code == 200
    assert Notification.objects.count() == 2


def test_one_that_was_set_aside_is_replayed_beside_the_same_that_waits(app):
    post(app, batch_list(FILE))
    first = Notification.objects.get()
    notify.set_aside(first.pk, "A fault of ours.")
    post(app, batch_list(FILE))
    assert notify.replay(first.pk, now=NOW)
    assert Notification.objects.filter(state="received").count() == 2


def test_the_broker_is_not_asked_while_the_utility_waits(app):
    with patch("celery.Celery.send_task", side_effect=AssertionError("the broker was asked")):
        assert post(app, batch_list(FILE)).status_code == 200


@pytest.mark.parametrize("slug", ["cecony", "oru", "pge", "no-such-utility"])
def test_c01_a_wrong_secret_is_not_found_whatever_the_utility(app, slug):
    assert post(app, b"x", address=address(app, secret="wrong" * 8, slug=slug)).status_code == 404
    assert not Notification.objects.exists()


def test_c01_the_secret_of_another_utility_does_not_fit(app):
    other = rows.registration("pge", "")
    assert post(app, batch_list(FILE), address=address(app, secret=other.notify_secret)).status_code == 404


def test_each_registration_of_a_utility_has_its_own_address(app):
    second = rows.registration("cecony", "v2")
    assert post(second, batch_list()).status_code == 200
    assert Notification.objects.get().application_information == second


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "head", "options"])
def test_c02_only_post_is_taken(app, method):
    assert getattr(Client(), method)(address(app)).status_code == 405


def test_c03_a_body_of_more_than_a_mebibyte_is_too_large(app):
    assert post(app, b" " * (notify.BODY_LIMIT + 1)).status_code == 413
    assert not Notification.objects.exists()


def test_c03_a_declared_length_is_believed_before_anything_is_read(app):
    response = Client().generic("POST", address(app), b"", CONTENT_LENGTH=str(10**12))
    assert response.status_code == 413


def test_a_body_of_exactly_a_mebibyte_is_kept(app):
    body = batch_list(FILE)
    assert post(app, body + b" " * (notify.BODY_LIMIT - len(body))).status_code == 200
    assert Notification.objects.get().state == "received"


UNREADABLE = {
    "nothing": b"",
    "no XML": b"hello",
    "cut off": b"<BatchList xmlns='http://naesb.org/espi'><resources>",
    "another root": b"<feed xmlns='http://www.w3.org/2005/Atom'/>",
    "doctype": b"<!DOCTYPE BatchList SYSTEM 'http://evil.example/x.dtd'><BatchList xmlns='http://naesb.org/espi'/>",
    "bomb": b"<!DOCTYPE b [<!ENTITY a 'aaaa'><!ENTITY c '&a;&a;&a;'>]><BatchList xmlns='http://naesb.org/espi'>&c;</BatchList>",
    "deep": b"<a>" * 10_000 + b"</a>" * 10_000,
    "UTF-7": b"<?xml version='1.0' encoding='UTF-7'?>+ADw-BatchList xmlns='http://naesb.org/espi'/+AD4-",
    "NUL": b"\0" * 100,
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_c04_what_cannot_be_read_is_answered_200_and_set_aside(app, body):
    assert post(app, body).status_code == 200
    kept = Notification.objects.get()
    assert kept.state == "quarantined"
    assert kept.reason
    notify.resolve(kept.pk, now=NOW)
    assert not FetchJob.objects.exists()


def test_c04_a_long_unreadable_body_is_kept_cut_short(app):
    post(app, b"x" * 500_000)
    assert len(Notification.objects.get().body) == notify.KEPT_OF_UNREADABLE


def test_f18_without_a_database_the_utility_is_asked_to_come_again(app):
    with patch("portal.flows.notify.receive", side_effect=OperationalError("server closed the connection")):
        response = post(app, batch_list(FILE))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "60")


def test_c14_a_forwarded_address_counts_only_behind_our_own_proxies(app, settings):
    post(app, batch_list(FILE), headers={"X-Forwarded-For": "203.0.113.9"})
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    post(app, batch_list(FILE, FILE), headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.9"})
    post(app, batch_list(), headers={"X-Forwarded-For": "not an address"})
    assert list(Notification.objects.order_by("pk").values_list("source_address", flat=True)) == [
        "127.0.0.1",
        "203.0.113.9",
        None,
    ]


# --- From a list to jobs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        batch_list(FILE),
        batch_list(FILE, name="batchList"),
        batch_list(FILE, prefix=""),
        batch_list(FILE, prefix="ns0:"),
        batch_list(FILE).replace(b"&amp;", b"&"),
        b'<feed xmlns="http://www.w3.org/2005/Atom"><entry><content>' + batch_list(FILE) + b"</content></entry></feed>",
    ],
    ids=["standard", "lower camel", "no prefix", "PG&E's prefix", "bare ampersands", "in a feed"],
)
def test_c05_every_shape_of_list_leads_to_the_same_job(app, body):
    held = rows.authorization(app)
    resolved(app, body=body)
    job = FetchJob.objects.get()
    assert (job.url, job.kind, job.token_class, job.state) == (FILE, "download", "access", "due")
    assert job.authorization == held


def test_c06_good_addresses_are_fetched_and_each_bad_one_is_recorded_with_its_reason(app):
    rows.authorization(app)
    bad = "https://evil.example/gbc/v1/resource/Batch/Download?requestId=1"
    notification = resolved(app, bad, FILE, f"{V1}/Batch/Download?requestId=1&subscriptionId=no-such")
    assert [job.url for job in FetchJob.objects.all()] == [FILE]
    assert notification.state == "resolved"
    assert [entry for entry, _ in notification.refused_urls] == [
        bad,
        f"{V1}/Batch/Download?requestId=1&subscriptionId=no-such",
    ]
    assert all(reason for _, reason in notification.refused_urls)
    assert notification.reason == "2 of its entries led to no download."


HOST = "localhost:8001/api.coned.com/gbc/v1/resource"
HOSTILE = [
    "https://api.coned.com.evil.example/gbc/v1/resource/Batch/Download?requestId=1",
    f"https://{HOST}/Batch/Download?requestId=1",
    f"http://evil@{HOST}/Batch/Download",
    f"http://evil.example\\@{HOST}/Batch/Download",
    "http://localhost:8001/api.coned.com/gbc/v1/resource/../../../_sandbox/reset",
    "http://localhost:8001/api.coned.com/gbc/v1/resource/%2e%2e/%2e%2e/secret",
    "http://localhost:8001/api.coned.com/gbc/v1/resource/..;/x",
    "http://localhost:9999/api.coned.com/gbc/v1/resource/Batch/Download",
    "http://localhost.:8001/api.coned.com/gbc/v1/resource/Batch/Download",
    "http://127.0.0.1:8001/api.coned.com/gbc/v1/resource/Batch/Download",
    "http://2130706433:8001/api.coned.com/gbc/v1/resource/Batch/Download",
    "http://[::ffff:127.0.0.1]:8001/api.coned.com/gbc/v1/resource/Batch/Download",
    "http://169.254.169.254/latest/meta-data/",
    "file:///etc/passwd",
    "gopher://localhost:8001/x",
    "javascript:alert(1)",
    "//localhost:8001/api.coned.com/gbc/v1/resource/Batch/Download",
    "Batch/Download?requestId=1",
    f"{V1}/Batch/Download?requestId=" + "9" * 3000,
]


def test_c07_addresses_that_are_not_exactly_the_utilitys_lead_nowhere(app):
    rows.authorization(app)
    fetch_nothing = resolved(app, *HOSTILE)
    assert not FetchJob.objects.exists()
    assert len(fetch_nothing.refused_urls) == len(HOSTILE)
    assert all(len(url) <= 200 for url, _ in fetch_nothing.refused_urls)


def test_c11_the_same_notification_a_hundred_times_makes_one_job(app):
    rows.authorization(app)
    for _ in range(100):
        resolved(app, FILE, FILE)
    assert FetchJob.objects.count() == 1


def test_a_file_that_was_fetched_is_not_fetched_again_within_its_life(app):
    rows.authorization(app)
    resolved(app, FILE)
    FetchJob.objects.update(state="done", created_at=NOW)
    resolved(app, FILE)
    assert FetchJob.objects.count() == 1
    FetchJob.objects.update(created_at=NOW - timedelta(hours=49))
    resolved(app, FILE)
    assert FetchJob.objects.count() == 2


def test_a_file_asked_for_anew_under_its_old_address_is_fetched_when_it_is_announced(app):
    held = rows.authorization(app)
    rows.job(held, FILE, kind="download", state="awaiting_notification")
    resolved(app, FILE)
    assert FetchJob.objects.get().state == "due"


def test_a_file_without_a_name_goes_to_the_connection_that_waits(app):
    rows.authorization(app, "1", user=rows.customer("early@example.com"))
    waits = rows.authorization(app, "2", user=rows.customer("waits@example.com"))
    rows.job(waits, f"{V1}/Batch/Subscription/2", state="awaiting_notification")
    resolved(app, f"{V1}/Batch/Download?requestId=1&responseId=2")
    assert FetchJob.objects.get(kind="download").authorization == waits


def test_f26_a_file_nobody_waits_for_is_kept_and_matched_later(app):
    resolved(app, f"{V1}/Batch/Download?requestId=1&responseId=2")
    job = FetchJob.objects.get()
    assert job.authorization is None
    fetch.run(job.pk, now=NOW)
    job.refresh_from_db()
    assert (job.state, job.reason) == ("due", "We do not know yet which connection this file belongs to.")


@pytest.mark.parametrize("status", ["withdrawn", "revoked", "parked", "superseded", "needs_reconnect"])
def test_nothing_is_fetched_for_a_connection_that_has_ended(app, status):
    rows.authorization(app, status=status)
    notification = resolved(app, FILE)
    assert not FetchJob.objects.exists()
    assert len(notification.refused_urls) == 1


def test_a_changed_authorization_is_looked_up_with_our_own_token():
    app = rows.registration("cecony", "v2")
    held = rows.authorization(app)
    resolved(app, f"{V2}/Authorization/a976", f"{V2}/Authorization/unknown")
    job = FetchJob.objects.get()
    assert (job.kind, job.token_class, job.authorization) == ("authorization", "client", held)


def test_how_a_permission_stands_is_asked_where_the_utility_said_whatever_address_a_notification_thinks_of():
    """A path of nothing, or a query that nothing fits, would be answered "not found", and that would be believed."""
    app = rows.registration("cecony", "v2")
    rows.authorization(app, authorization_uri=f"{V2}/Authorization/a976")
    resolved(app, f"{V2}/Authorization/a976?publishedMin=2099-01-01T00:00:00Z")
    assert [job.url for job in FetchJob.objects.all()] == [f"{V2}/Authorization/a976"]
    FetchJob.objects.all().delete()
    resolved(app, f"{V2}/x/resource/Authorization/a976", f"{V2}/Authorization/a976/x")
    assert not FetchJob.objects.filter(kind="authorization").exists()


@pytest.mark.parametrize(
    ("slug", "edition", "url", "words"),
    [
        ("pge", "", f"{PGE}/Batch/Bulk/99999?correlationID=1a2b", "not ours"),
        ("pge", "", f"{PGE}/Batch/BulkRetailCustomerInfo/99999?correlationID=1a2b", "not ours"),
        ("pge", "", f"{PGE}/Batch/Bulk/50123?correlationID=000000000", "placeholder"),
        ("cecony", "v2", f"{V2}/Batch/Bulk/99999", "not ours"),
        ("cecony", "v2", f"{V2}/ApplicationInformation/000092", "our own registration"),
    ],
)
def test_announcements_that_lead_to_nothing_of_ours_are_recorded_and_not_fetched(slug, edition, url, words):
    notification = resolved(rows.registration(slug, edition), url)
    assert not FetchJob.objects.exists()
    [[refused, why]] = notification.refused_urls
    assert (refused, words in why) == (url, True)


@pytest.mark.parametrize("path", ["Batch/Bulk/50123?correlationID=1a2b", "Batch/BulkRetailDRPrgInfo/50123"])
def test_our_own_bulk_files_are_fetched_with_our_own_token(path):
    resolved(rows.registration("pge", ""), f"{PGE}/{path}")
    assert FetchJob.objects.get().token_class == "client"


def test_a_thousand_addresses_take_as_many_statements_as_ten(django_assert_max_num_queries):
    app = rows.registration("cecony", "v2")
    user = rows.customer("many@example.com")
    for number in range(30):
        rows.authorization(app, str(number), user=user)
    with CaptureQueriesContext(connection) as few:
        resolved(app, *several_kinds(range(10)))
    with django_assert_max_num_queries(len(few)):
        notification = resolved(app, *several_kinds(range(10, 1000)))
    jobs = FetchJob.objects.exclude(authorization=None)
    kinds = Counter(jobs.values_list("kind", flat=True))
    assert kinds == {"download": 637, "authorization": 30}
    assert len(notification.refused_urls) == 330  # of a connection that we do not hold
    first = jobs.filter(kind="download", priority=FetchJob.Priority.FIRST_DATA)
    assert sorted(first.values_list("authorization__utility_subscription_id", flat=True), key=int) == [
        str(number) for number in range(30)
    ]


def several_kinds(numbers):
    """Of each three a file of one of thirty connections, a file of nobody we know, an authorization or another file."""
    for number in numbers:
        named = number // 3 % 30
        yield [
            f"{V2}/Batch/Subscription/{named}?n={number}",
            f"{V2}/Batch/Subscription/of-nobody?n={number}",
            f"{V2}/Authorization/a{named}" if number < 90 else f"{V2}/Batch/Subscription/{named}?n={number}",
        ][number % 3]


def test_a_thousand_addresses_are_taken_and_one_more_is_recorded(app):
    rows.authorization(app)
    notification = resolved(app, *[f"{FILE}&n={number}" for number in range(1001)])
    assert FetchJob.objects.count() == 1000
    assert len(notification.refused_urls) == 1


def test_a_fault_of_ours_sets_the_notification_aside_whole_and_keeps_the_others_going(app):
    rows.authorization(app)
    for number in range(2):
        post(app, batch_list(FILE) + b" " * number)
    first, second = Notification.objects.order_by("pk")
    broken = patch("portal.flows.notify.resolved", side_effect=[ZeroDivisionError, ([], [])])
    with broken:
        notify.resolve_notifications(notification_ids=[first.pk, second.pk])
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, bytes(first.body)) == ("quarantined", batch_list(FILE))
    assert second.state == "resolved"


# --- UtilityAPI's signed events ---------------------------------------------------------------------------------------


def signed_post(app, body, *, salt="salt", secret="secret", form=None):
    digest = hashlib.sha256(f"{secret}.{salt}.".encode() + (form if form is not None else body)).hexdigest()
    headers = {"X-UtilityAPI-Webhook-Salt": salt, "X-UtilityAPI-Webhook-Signature": digest}
    return post(app, body, content_type="application/json", address=address(app, kind="Webhook"), headers=headers)


def events(*types, uid="a976"):
    return json.dumps({"events": [{"type": name, "authorization_uid": uid} for name in types], "next": None}).encode()


@pytest.fixture
def essex():
    return rows.registration("essex", "")


@pytest.mark.parametrize(
    ("signature", "right"),
    [
        ("a20942713b01b240a81845300f79a7c767480af910f0586b774274166ba2847d", True),
        ("6cd59ee8461872a3e0deea0d6428b5cdad5049452b4914ad66ed1cc1081b5e7d", True),
        ("A20942713B01B240A81845300F79A7C767480AF910F0586B774274166BA2847D", True),
        ("0" * 64, False),
        ("", False),
    ],
)
def test_the_documented_signatures_are_right_and_others_wrong(signature, right):
    assert notify.signed(b'{"json": "object"}', secret="secret", salt="salt", signature=signature) is right


def test_without_a_secret_nothing_is_signed():
    digest = hashlib.sha256(b".salt.{}").hexdigest()
    assert not notify.signed(b"{}", secret="", salt="salt", signature=digest)


def test_c14_a_webhook_with_a_bad_signature_is_refused_and_not_kept(essex):
    assert signed_post(essex, events("meter_created"), secret="wrong").status_code == 401
    unsigned = post(essex, events("meter_created"), address=address(essex, kind="Webhook"))
    assert unsigned.status_code == 401
    assert not Notification.objects.exists()


def test_events_about_new_data_ask_for_them_once(essex):
    rows.authorization(essex)
    body = events("meter_created", "meter_intervals_added", "authorization_update_finished_successful", "ping")
    assert signed_post(essex, body).status_code == 200
    notify.resolve(Notification.objects.get().pk, now=NOW)
    job = FetchJob.objects.get()
    assert (job.kind, job.url) == ("usage", f"{rows.ESSEX}/Batch/Subscription/976")


UP_TO, LATER = datetime(2026, 3, 19, 4, tzinfo=UTC), NOW + timedelta(days=5)
NEWS = f"{rows.ESSEX}/Batch/Subscription/976?updated-min=2026-03-12T04%3A00%3A00Z"
ADDED = ("meter_intervals_added", "meter_bills_added", "authorization_update_finished_successful")


@pytest.fixture
def complete(essex):
    """A connection whose usage is here up to a day, and is asked for again in some days."""
    held = rows.authorization(essex)
    whose = {"application_information": essex, "authorization": held, "next_at": LATER}
    FetchPlan.objects.create(part="usage", asked_at=UP_TO, asked_to=UP_TO, complete_to=UP_TO, **whose)
    FetchPlan.objects.create(part="gaps", **whose)
    return held


def told(app, *types):
    signed_post(app, events(*types))
    return notify.resolve(Notification.objects.latest("pk").pk, now=NOW)


@pytest.mark.parametrize("added", ADDED)
def test_events_that_something_was_added_to_what_is_complete_ask_for_the_news_only(essex, complete, added):
    (job,) = told(essex, added)
    assert (job.url, job.priority, job.data) == (NEWS, FetchJob.Priority.DAILY, "usage")
    assert set(FetchPlan.objects.values_list("next_at", flat=True)) == {LATER}
    plan = FetchPlan.objects.get(part="usage")
    assert (plan.asked_at, plan.asked_to) == (NOW, datetime(2026, 3, 20, 4, tzinfo=UTC))


def test_news_that_are_on_their_way_are_not_asked_for_again(essex, complete):
    assert len(told(essex, *ADDED)) == 1
    assert told(essex, *ADDED) == []
    FetchJob.objects.update(state="done")
    assert [job.url for job in told(essex, "meter_bills_added")] == [NEWS]


def test_news_are_not_asked_for_beside_everything(essex, complete):
    (job,) = told(essex, "meter_created", "meter_intervals_added")
    assert (job.url, job.priority) == (f"{rows.ESSEX}/Batch/Subscription/976", FetchJob.Priority.FIRST_DATA)


@pytest.mark.parametrize("added", ADDED)
def test_of_a_connection_whose_history_is_not_here_an_event_asks_for_all_of_it(essex, complete, added):
    FetchPlan.objects.update(complete_to=None)
    (job,) = told(essex, added)
    assert (job.url, job.priority) == (f"{rows.ESSEX}/Batch/Subscription/976", FetchJob.Priority.FIRST_DATA)


@pytest.mark.parametrize("kind", sorted(notify.EVENTS_OF_HISTORY))
def test_events_of_a_new_permission_or_meter_ask_for_all_there_is(essex, complete, kind):
    (job,) = told(essex, kind)
    assert (job.url, job.priority) == (f"{rows.ESSEX}/Batch/Subscription/976", FetchJob.Priority.FIRST_DATA)


def test_an_event_that_sharing_ended_is_checked_with_the_utility(essex):
    url = f"{rows.ESSEX}/Authorization/a976"
    held = rows.authorization(essex, authorization_uri=url)
    signed_post(essex, events("authorization_revoked", "authorization_expired"))
    notify.resolve(Notification.objects.get().pk, now=NOW)
    job = FetchJob.objects.get()
    assert (job.kind, job.token_class, job.url, job.authorization) == ("authorization", "client", url, held)
    assert Authorization.objects.get().status == "active"


def test_events_of_a_connection_we_do_not_hold_are_recorded(essex):
    signed_post(essex, events("meter_created", uid="someone"))
    notification = Notification.objects.get()
    notify.resolve(notification.pk, now=NOW)
    notification.refresh_from_db()
    assert notification.refused_urls == [["meter_created someone", "It names a connection that we do not hold."]]


def test_unsigned_events_on_the_notification_address_do_nothing(essex):
    rows.authorization(essex)
    post(essex, events("meter_created"))
    assert Notification.objects.get().state == "quarantined"
    assert not FetchJob.objects.exists()


@pytest.mark.parametrize(("size", "status"), [(0, 200), (notify.BODY_LIMIT, 413)])
def test_c03_a_body_in_chunks_without_a_length_is_read_and_limited_alike(app, size, status):
    body = batch_list(FILE) + b" " * size
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    chunked["wsgi.input"] = io.BytesIO(body)
    response = Client().generic("POST", address(app), body, content_type="text/xml", **chunked)
    assert response.status_code == status
    assert Notification.objects.filter(state="received").exists() is (status == 200)


@pytest.mark.parametrize("missing", ["salt", "signature"])
def test_without_salt_or_signature_nothing_is_signed(missing):
    given = {"salt": "salt", "signature": hashlib.sha256(b"secret..{}").hexdigest()} | {missing: ""}
    assert not notify.signed(b"{}", secret="secret", **given)


@pytest.mark.parametrize("signature", ["é" * 64, "0" * 64 + "\n", "٣" * 64, "0" * 10_000])
def test_c14_a_signature_that_is_no_digest_is_refused_not_a_fault(essex, signature):
    headers = {"X-UtilityAPI-Webhook-Salt": "salt", "X-UtilityAPI-Webhook-Signature": signature}
    there = address(essex, kind="Webhook")
    assert post(essex, events("meter_created"), address=there, headers=headers).status_code == 401
    assert not notify.signed(b"{}", secret="secret", salt="salt", signature=signature)


def nested(depth):
    return b"[" * depth + b"1" + b"]" * depth


@pytest.mark.parametrize(("depth", "right"), [(20, True), (21, False), (30_000, False)])
def test_the_indented_form_is_compared_down_to_twenty_levels(depth, right):
    form = json.dumps(json.loads(nested(min(depth, 100))), indent=4).encode()
    digest = hashlib.sha256(b"secret.salt." + form).hexdigest()
    assert notify.signed(nested(depth), secret="secret", salt="salt", signature=digest) is right


# Peak of the memory it takes, in MiB, to find the signature of a hostile body wrong.
CHECK = """
import sys
from pathlib import Path
import django
django.setup()
from portal.flows import notify
def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
before = peak()
assert not notify.signed(eval(sys.argv[1]), secret="secret", salt="salt", signature="0" * 64)
print((peak() - before) // 1024)
"""


@pytest.mark.parametrize(
    "body",
    ["b'[' * 900 + b'1,' * 500_000 + b'1' + b']' * 900", "b'[' * 18 + b'[],' * 340_000 + b'1' + b']' * 18"],
    ids=["deep and long", "long"],
)
def test_checking_the_signature_of_a_hostile_body_takes_little_memory(body):
    done = subprocess.run([sys.executable, "-c", CHECK, body], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) < 100


def test_the_secret_of_our_address_is_not_kept_with_what_was_posted(essex):
    body = json.loads(events("meter_created")) | {"url": f"http://localhost:8000{address(essex, kind='Webhook')}"}
    assert signed_post(essex, json.dumps(body).encode()).status_code == 200
    kept = Notification.objects.get()
    assert essex.notify_secret.encode() not in bytes(kept.body)
    assert kept.state == "received"
    post(essex, f"no XML: {essex.notify_secret}".encode())
    assert essex.notify_secret.encode() not in bytes(Notification.objects.latest("pk").body)


# What a list or an event may name, and what of it no connection can be called.
ODD_IDS = ["a%00", "%ED%A0%80", "%0a", "a%20b", "%C3%A9", "9" * 256, "%f0%9f"]


def test_c06_an_id_that_nobody_can_have_costs_only_its_own_entry():
    app = rows.registration("cecony", "v2")
    rows.authorization(app)
    odd = [f"{V2}/Authorization/{name}" for name in ODD_IDS] + [f"{V2}/Batch/Subscription/{name}" for name in ODD_IDS]
    notification = resolved(app, *odd, f"{V2}/Authorization/a976")
    assert [job.url for job in FetchJob.objects.all()] == [f"{V2}/Authorization/a976"]
    assert notification.state == "resolved"
    assert len(notification.refused_urls) == len(odd)


def test_c06_an_id_in_the_query_that_nobody_can_have_costs_only_its_own_entry(app):
    rows.authorization(app)
    odd = [f"{V1}/Batch/Download?requestId=1&subscriptionId={name}" for name in ODD_IDS]
    assert len(resolved(app, *odd, FILE).refused_urls) == len(odd)
    assert [job.url for job in FetchJob.objects.all()] == [FILE]


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "meter_created", "authorization_uid": "\0"},
        {"type": "meter_created", "authorization_uid": "\ud800"},
        {"type": "meter_created", "authorization_uid": ["a976"]},
        {"type": "meter_created", "authorization_uid": 976},
        {"type": "meter_created"},
        {"type": ["meter_created"], "authorization_uid": "a976"},
        {"type": {"\ud800": 1}},
        {"type": None},
    ],
)
def test_c06_an_odd_event_costs_only_its_own_entry(essex, odd):
    rows.authorization(essex)
    good = json.loads(events("meter_created"))["events"]
    signed_post(essex, json.dumps({"events": [odd, *good]}).encode())
    notification = Notification.objects.get()
    notify.resolve(notification.pk, now=NOW)
    notification.refresh_from_db()
    assert FetchJob.objects.count() == 1
    assert notification.state == "resolved"
    [[_, why]] = notification.refused_urls
    assert why


def test_an_event_whose_connection_has_an_address_elsewhere_costs_only_itself(essex):
    rows.authorization(essex, authorization_uri="http://elsewhere.example/Authorization/a976")
    signed_post(essex, events("meter_created", "authorization_revoked"))
    notification = Notification.objects.get()
    notify.resolve_notifications(notification_ids=[notification.pk])
    notification.refresh_from_db()
    assert [job.kind for job in FetchJob.objects.all()] == ["usage"]
    assert notification.state == "resolved"
    assert notification.refused_urls == [["authorization_revoked a976", "the address is at another host"]]


def test_c06_an_entry_the_database_refuses_costs_only_itself(app):
    rows.authorization(app)
    bad, known = f"{FILE}&bad=1", announcements.not_known

    def fails(app, judged, now):
        if bad in [each.url for each in judged]:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
        return known(app, judged, now)

    good = [f"{FILE}&good={number}" for number in range(5)]
    with patch("portal.flows.announcements.not_known", fails):
        notification = resolved(app, *good[:3], bad, *good[3:])
    assert sorted(job.url for job in FetchJob.objects.all()) == good
    assert notification.refused_urls == [[bad, "It holds something that cannot be looked up."]]


def test_a_body_whose_coding_nobody_unpacked_is_refused(app):
    there = address(app)
    for coding in ("identity, chunked", "gzip, chunked", "identity", "chunked"):
        answer = Client().generic("POST", there, b"", headers={"Transfer-Encoding": coding})
        assert answer.status_code == 400
    assert not Notification.objects.exists()
