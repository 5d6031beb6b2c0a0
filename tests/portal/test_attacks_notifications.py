"""Attack cases C01-C14: what anybody may post to a notification address, and where its URLs may lead.

The server of C01-C03 is the real one, on a real socket. More of these cases stand in `test_notify`, `test_fetch`,
`tests/espi/test_session` and `tests/espi/test_ownership`, named by the same ids; the last test here counts all of them.
"""

import io
import logging
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client

from espi.models import FetchJob, IntervalBlock, Notification
from portal.flows import announcements, fetch, notify
from portal.models import StaffAlert
from tests import fresh
from tests.portal import rows, standin
from tests.portal.rows import NOW, V1
from tests.portal.test_notify import FILE, address, batch_list, post, resolved
from tests.raw_server import raw_server, response

pytestmark = pytest.mark.django_db
HOST = "api.coned.com"
RESOURCE = f"https://{HOST}/gbc/v1/resource"


@pytest.fixture
def app():
    return rows.registration()


@pytest.fixture
def live():
    """A registration whose addresses are the utility's own."""
    app = rows.registration()
    app.environment = "production"
    app.save()
    return app


# --- C01, C02, C03: the real server -----------------------------------------------------------------------------------


@contextmanager
def portal():
    """The site under gunicorn, as it is run, on the test database; (port, process)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["--config", "python:portal.gunicorn_conf", "--no-control-socket", "--bind", f"127.0.0.1:{port}"]
    command = [sys.executable, "-m", "gunicorn", *words, "portal.wsgi:application"]
    environment = fresh.environment(STATICFILES_STORAGE="django.contrib.staticfiles.storage.StaticFilesStorage")
    with subprocess.Popen(command, cwd=fresh.ROOT, env=environment, stderr=subprocess.PIPE) as server:
        try:
            wait_for(port)
            yield port, server
        finally:
            server.terminate()


def wait_for(port):
    for _ in range(1200):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10).close()
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the site did not start")


def says(port, head, body=b"", method="POST"):
    """The status of a request of which no more than this is sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as there:
        there.sendall(f"{method} {head}\r\nHost: localhost\r\n".encode() + body)
        return int(there.recv(65536).split()[1])


def peak(pid):
    """MiB of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    status = [Path(f"/proc/{each}/status").read_text() for each in (pid, *children)]
    return max(int(text.split("VmHWM:")[1].split()[0]) for text in status) // 1024


@pytest.mark.django_db(transaction=True)
def test_c01_c02_c03_at_the_real_server_nothing_is_read_that_need_not_be():
    app = rows.registration()
    wrong = f"{address(app, secret='wrong' * 8)} HTTP/1.1"
    right = f"{address(app)} HTTP/1.1"
    with portal() as (port, server):
        assert says(port, wrong, b"Content-Length: 1000000\r\n\r\n") == 404  # and no byte of the body was sent
        for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD"):
            assert says(port, right, b"Content-Length: 0\r\n\r\n", method) == 405
        body = batch_list(FILE)
        assert says(port, right, f"Content-Length: {len(body)}\r\n\r\n".encode() + body) == 200
        assert says(port, right, b"Content-Length: 99999999999\r\n\r\n") == 413
        before = peak(server.pid)
        with socket.create_connection(("127.0.0.1", port), timeout=20) as there:
            there.sendall(f"POST {right}\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
            assert status_of_an_endless_body(there) == 413
        assert peak(server.pid) - before < 40
    assert Notification.objects.count() == 1


def status_of_an_endless_body(there, most=400):
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    there.settimeout(0.01)
    for _ in range(most):
        try:
            there.settimeout(10)
            there.sendall(chunk)
            there.settimeout(0.005)
            return int(there.recv(65536).split()[1])
        except TimeoutError:
            continue
        except OSError:
            there.settimeout(10)
            return int(there.recv(65536).split()[1])
    raise AssertionError("everything was taken")


# --- C04: what cannot be read -----------------------------------------------------------------------------------------


def in_utf_7(text):
    return b"<?xml version='1.0' encoding='UTF-7'?>" + text.encode("utf-7")


EVIL = "<!DOCTYPE b [<!ENTITY a 'https://evil.example/'>]><BatchList xmlns='http://naesb.org/espi'><resources>&a;</resources></BatchList>"
TRICKS = {
    "UTF-7": in_utf_7(EVIL),
    "UTF-16 without a mark": EVIL.encode("utf-16-le"),
    "UTF-16": ("<?xml version='1.0' encoding='UTF-16'?>" + EVIL).encode("utf-16"),
    "UTF-16 that says UTF-8": b"\xff\xfe" + ("<?xml version='1.0' encoding='UTF-8'?>" + EVIL).encode("utf-16-le"),
    "EBCDIC": ("<?xml version='1.0' encoding='IBM037'?>" + EVIL).encode("cp037"),
    "UTF-32": EVIL.encode("utf-32"),
    "overlong UTF-8": b"<BatchList xmlns='http://naesb.org/espi'><resources>\xc0\xbcx\xc0\xbe</resources></BatchList>",
    "two roots": batch_list(FILE) * 2,
    "gzip": b"\x1f\x8b\x08" + bytes(100),
    "a form": b"resources=https%3A%2F%2Fevil.example",
    "entities without end": b"<!DOCTYPE b [<!ENTITY a 'x'>" + b"<!ENTITY b '&a;&a;'>" * 2000 + b"]><b>&b;</b>",
}


@pytest.mark.parametrize("body", TRICKS.values(), ids=TRICKS)
def test_c04_no_trick_of_encodings_is_understood_and_staff_are_told(app, body):
    assert post(app, body).status_code == 200
    kept = Notification.objects.get()
    assert (kept.state, bool(kept.reason), "evil.example" in kept.reason) == ("quarantined", True, False)
    alert = StaffAlert.objects.get()
    assert (alert.application_information, "set aside" in alert.subject, alert.is_mailed) == (app, True, True)


def test_c04_staff_are_told_once_and_again_when_all_was_replayed_and_another_one_comes(app):
    for _ in range(3):
        post(app, b"unreadable")
    assert StaffAlert.objects.count() == 1
    for pk in Notification.objects.values_list("pk", flat=True):
        assert notify.replay(pk, now=NOW)
    assert StaffAlert.objects.get().closed_at == NOW
    post(app, b"unreadable")
    assert StaffAlert.objects.filter(closed_at=None).count() == 1


# --- C05, C07: addresses ----------------------------------------------------------------------------------------------


def test_c05_white_space_and_a_missing_content_type_are_no_obstacle(app):
    rows.authorization(app)
    body = batch_list(f"\t\n {FILE} \r\n")
    answer = Client(enforce_csrf_checks=True).generic("POST", address(app), body, content_type="")
    assert answer.status_code == 200
    notify.resolve(Notification.objects.get().pk, now=NOW)
    assert FetchJob.objects.get().url == FILE


NOT_THEIRS = [
    f"https://sub.{HOST}/gbc/v1/resource/Batch/Download?requestId=1",
    "https://coned.com/gbc/v1/resource/Batch/Download?requestId=1",
    f"https://{HOST}.evil.example/gbc/v1/resource/Batch/Download?requestId=1",
    f"https://{HOST}./gbc/v1/resource/Batch/Download?requestId=1",
    f"http://{HOST}/gbc/v1/resource/Batch/Download?requestId=1",
    f"https://{HOST}:8443/gbc/v1/resource/Batch/Download?requestId=1",
    f"https://{HOST}:443@evil.example/gbc/v1/resource/Batch/Download",
    f"https://evil.example\\@{HOST}/gbc/v1/resource/Batch/Download",
    f"https://evil.example#@{HOST}/gbc/v1/resource/Batch/Download",
    f"https://evil.example?@{HOST}/gbc/v1/resource/Batch/Download",
    f"https://{HOST}/gbc/v1/resource/%2e%2e/%2e%2e/oauth/v1/Token",
    f"https://{HOST}/gbc/v1/resource/%252e%252e/x",
    f"https://{HOST}/gbc/v1/resource/..;/..;/x",
    f"https://{HOST}/gbc/v1/resource/.%09./x",
    f"https://{HOST}/gbc/v1/resourceful/Batch/Download",
    f"https://{HOST}\u3002evil.example/gbc/v1/resource/Batch/Download",
    "https://\u0430pi.coned.com/gbc/v1/resource/Batch/Download",
    "https://xn--pi-6kc.coned.com/gbc/v1/resource/Batch/Download",
    f"https://{HOST}\u0000.evil.example/gbc/v1/resource/Batch/Download".replace("\0", "%00"),
    "https://2130706433/gbc/v1/resource/Batch/Download",
    "https://0x7f000001/gbc/v1/resource/Batch/Download",
    "https://127.1/gbc/v1/resource/Batch/Download",
    "https://[::1]/gbc/v1/resource/Batch/Download",
    "https://[::ffff:169.254.169.254]/gbc/v1/resource/Batch/Download",
    "file:///gbc/v1/resource/Batch/Download",
    "gopher://api.coned.com/gbc/v1/resource/x",
    "javascript:alert(1)//api.coned.com/gbc/v1/resource/x",
    "data:text/xml,x",
    "",
]


def test_c07_no_address_that_only_looks_like_the_utilitys_leads_anywhere(live):
    rows.authorization(live)
    good = f"{RESOURCE}/Batch/Download?requestId=1&responseId=2&subscriptionId=976"
    notification = resolved(live, *NOT_THEIRS, good)
    assert [job.url for job in FetchJob.objects.all()] == [good]
    assert len(notification.refused_urls) == len([url for url in NOT_THEIRS if url])


# --- C08, C09, C10: where a request goes ------------------------------------------------------------------------------

METADATA = [
    "127.0.0.1",
    "169.254.169.254",
    "168.63.129.16",
    "10.0.0.1",
    "100.64.0.1",
    "fd00:ec2::254",
    "64:ff9b::a9fe:a9fe",
]


def resolving_to(monkeypatch, *addresses):
    """The utility's name leads to these, one after another; how often it was looked up."""
    looked_up, really = [], socket.getaddrinfo

    def getaddrinfo(host, port, *rest, **more):
        if host != HOST:
            return really(host, port, *rest, **more)
        found = addresses[min(len(looked_up), len(addresses) - 1)]
        looked_up.append(found)
        family = socket.AF_INET6 if ":" in found else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (found, port, 0, 0)[: 4 if ":" in found else 2])]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return looked_up


@pytest.mark.parametrize("found", METADATA)
def test_c08_a_name_that_leads_into_a_private_network_is_not_connected_to(live, monkeypatch, found):
    held = rows.authorization(live)
    tried = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, there: tried.append(there))
    resolving_to(monkeypatch, found)
    job = rows.job(held, f"{RESOURCE}/Batch/Download?requestId=1&subscriptionId=976", kind="download")
    with connection.cursor():  # the database's own connection is open by now
        fetch.run(job.pk, now=NOW)
    job.refresh_from_db()
    assert [there for there in tried if str(there[0]) == found] == []
    assert job.reason.startswith("We could not prove that we had reached the utility, so nothing was sent.")


def test_c08_what_is_judged_is_what_is_connected_to(live, monkeypatch):
    """DNS rebinding: a second look would find this machine."""
    held = rows.authorization(live)
    looked_up = resolving_to(monkeypatch, "192.0.2.1", "127.0.0.1")
    job = rows.job(held, f"{RESOURCE}/Batch/Download?requestId=1&subscriptionId=976", kind="download")
    fetch.run(job.pk, now=NOW)
    assert looked_up == ["192.0.2.1"]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 Other", "307 Temporary", "308 Permanent"])
def test_c09_a_redirect_of_the_utility_takes_no_token_anywhere(settings, status):
    with raw_server(response(b"x", "Content-Length: 1")) as foreign:
        there = response(b"", f"Location: {foreign.url}/collect", "Content-Length: 0", status=status)
        with raw_server(there) as utility:
            settings.SANDBOX_BASE_URL = utility.url
            held = rows.authorization(rows.registration())
            job = rows.job(held, V1.replace("http://localhost:8001", utility.url) + "/Batch/Download?requestId=1")
            fetch.run(job.pk, now=NOW)
        assert (foreign.connections, utility.connections) == (0, 1)
    job.refresh_from_db()
    assert job.state == "failed"


def test_c10_an_address_with_the_number_of_another_customer_brings_his_data_to_nobody_else(settings):
    app = rows.registration()
    mine = rows.authorization(app)
    rows.authorization(app, "977", user=rows.customer("bea@example.com"))
    with raw_server(standing(standin.feed("977"))) as utility:
        settings.SANDBOX_BASE_URL = utility.url
        url = V1.replace("http://localhost:8001", utility.url) + "/Batch/Download?requestId=1&subscriptionId=976"
        job = rows.job(mine, url, kind="download")
        fetch.run(job.pk, now=NOW)
    job.refresh_from_db()
    assert (job.state, IntervalBlock.objects.count()) == ("failed", 0)
    assert job.documents.get().refusal == job.reason  # quarantined: staff can look at it


def standing(body):
    return response(body, f"Content-Length: {len(body)}", "Content-Type: application/atom+xml")


# --- C11, C12: many ---------------------------------------------------------------------------------------------------


def test_c11_the_same_notification_a_hundred_times_is_a_hundred_times_200_and_one_job(app):
    rows.authorization(app)
    other = f"{FILE}&n=2"
    assert [post(app, batch_list(FILE, other, FILE)).status_code for _ in range(100)] == [200] * 100
    ids = list(Notification.objects.values_list("pk", flat=True))
    notify.resolve_notifications(notification_ids=ids)
    notify.resolve_notifications(notification_ids=ids)
    assert sorted(FetchJob.objects.values_list("url", flat=True)) == sorted([FILE, other])


def test_c12_of_hundreds_of_forged_notifications_few_are_kept_and_all_are_counted(app):
    statuses = {post(app, b"forged %d" % number).status_code for number in range(300)}
    kept = Notification.objects.filter(state="quarantined")
    assert (statuses, kept.count()) == ({200}, notify.MOST_UNREADABLE)
    assert kept.count() + sum(each.repeats for each in kept) == 300
    post(app, batch_list(FILE))  # a genuine one in the midst of them
    assert Notification.objects.filter(state="received").count() == 1


def test_c12_made_up_files_of_the_right_host_wait_only_up_to_a_limit_and_can_be_replayed(app, monkeypatch):
    monkeypatch.setattr(announcements, "MOST_WAITING", 20)
    rows.authorization(app)
    for number in range(5):
        notification = resolved(app, *[f"{FILE}&n={number}-{each}" for each in range(10)])
    assert FetchJob.objects.count() == 24  # four more for the one connection
    assert {reason[:20] for _, reason in notification.refused_urls} == {"More downloads wait "}
    FetchJob.objects.update(state="done")
    assert notify.replay(notification.pk, now=NOW)
    notify.resolve(notification.pk, now=NOW)
    assert FetchJob.objects.filter(state="due").count() == 10


# --- C13: what is written down ----------------------------------------------------------------------------------------


def test_c13_line_breaks_in_what_is_posted_make_no_line_of_the_log(app):
    root = logging.getLogger()
    (stream_handler,) = [each for each in root.handlers if type(each) is logging.StreamHandler]
    written = io.StringIO()
    before = stream_handler.setStream(written)
    try:
        post(
            app,
            b"<x\r\n2026-01-01 [error] forged line/>\x1b[31m",
            content_type="text/xml\r\nforged: line",
            headers={
                "User-Agent": "a\r\nforged line",
                "X-Request-Id": "b\nforged line",
                "X-Forwarded-For": "c\nforged",
            },
        )
        resolved(app, f"{FILE}%0d%0aforged line", "https://evil.example/\nforged line")
    finally:
        stream_handler.setStream(before)
    lines = written.getvalue().splitlines()
    assert lines
    assert not [line for line in lines if not re.match(r"\d{4}-\d\d-\d\dT|[{]", line)]
    assert "\x1b" not in written.getvalue()


# --- C14: from where --------------------------------------------------------------------------------------------------


def test_c14_a_registration_that_names_networks_takes_notifications_from_these_only(app, settings):
    app.notify_networks = "203.0.113.0/24 2001:db8::/32"
    app.save()
    body = batch_list(FILE)
    assert post(app, body).status_code == 403
    assert post(app, body, headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 403  # anybody can write that
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    assert post(app, body, headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.1"}).status_code == 403
    for source in ("203.0.113.9", "198.51.100.1, 203.0.113.9", "2001:db8::5"):
        assert post(app, batch_list(f"{FILE}&from={source}"), headers={"X-Forwarded-For": source}).status_code == 200
    assert post(app, body, headers={"X-Forwarded-For": "nonsense"}).status_code == 403
    assert Notification.objects.count() == 3


# --- All of them ------------------------------------------------------------------------------------------------------

CASES = {"c": range(1, 15), "d": range(1, 17)}


def test_every_case_on_notifications_and_documents_is_a_test():
    names = [
        name
        for path in (fresh.ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def test_(\w+)\(", path.read_text(), re.MULTILINE)
    ]
    found = {case for name in names for case in re.findall(r"(?:^|_)([cd]\d\d)(?=_)", name)}
    wanted = {f"{letter}{number:02}" for letter, numbers in CASES.items() for number in numbers}
    assert wanted - found == set()
