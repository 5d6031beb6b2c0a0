"""A real worker behind a real broker: wake-ups arrive, and a broker that is away is survived."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from celery import current_app
from django.db import connection, transaction
from django.utils import timezone

from espi.models import FetchJob, IntervalBlock, Notification
from portal import tasks
from portal.flows import fetch
from portal.local import processes
from tests.portal import rows, standin
from tests.portal.rows import NOW

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db(transaction=True)


class Silent(WSGIRequestHandler):
    """Says nothing on the terminal."""

    def log_message(self, *args):
        """Nothing."""


@pytest.fixture
def utility(settings):
    """A utility behind a real socket, where the sandbox would be."""
    stand_in = standin.StandIn()
    server = make_server("127.0.0.1", 0, stand_in, handler_class=Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.SANDBOX_BASE_URL = f"http://localhost:{server.server_port}"
    yield stand_in
    server.shutdown()
    server.server_close()


@pytest.fixture
def worker(utility, settings, tmp_path):
    """A Celery worker in a process of its own, on the test database."""
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    environment = os.environ | {
        "DATABASE_URL": database,
        "SANDBOX_BASE_URL": settings.SANDBOX_BASE_URL,
        "VAR_DIR": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "portal",
        "worker",
        "--pool",
        "solo",
        "--without-gossip",
        "--without-mingle",
    ]
    with (tmp_path / "log").open("wb") as log:
        ending = processes.ending_with_parent(signal.SIGKILL)  # also when the tests themselves are killed
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, preexec_fn=ending)
    yield process
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def eventually(condition, seconds=40):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, list(FetchJob.objects.values_list("state", "reason"))
        time.sleep(0.2)


def test_a_job_that_was_asked_for_is_run_by_a_worker_and_a_lost_wake_up_by_the_sweep(worker, utility, settings):
    base = f"{settings.SANDBOX_BASE_URL}/utilityapi.com/DataCustodian/espi/1_1/resource"
    app = rows.registration("essex", "")
    held = rows.authorization(app, access_token_expires_at=timezone.now() + timezone.timedelta(hours=1))
    utility.says("/Batch", (202, b"", {"Retry-After": "2"}), (200, standin.feed(), {}))
    with transaction.atomic():
        (job,) = fetch.enqueue_first(held, now=timezone.now())
    eventually(lambda: FetchJob.objects.get(pk=job.pk).state == "done")
    assert IntervalBlock.objects.get().total == 6
    assert len(utility.paths("/Batch")) == 2

    lost = rows.job(held, f"{base}/Subscription/976/UsagePoint")
    body = standin.feed()
    utility.says("/UsagePoint", (200, body, {}))
    notification = Notification.objects.create(
        application_information=app, received_at=NOW, body=b'<BatchList xmlns="http://naesb.org/espi"/>'
    )
    tasks.sweep.delay()
    eventually(lambda: FetchJob.objects.get(pk=lost.pk).state == "done")
    eventually(lambda: Notification.objects.get(pk=notification.pk).state == "resolved")


@pytest.fixture
def broker_at(settings):
    """Point Celery at another broker for a while."""
    before = current_app.conf.broker_url

    def move(url):
        current_app.conf.broker_url = url
        current_app.pool.force_close_all()
        current_app._pool = None
        current_app.amqp._producer_pool = None

    yield move
    move(before)


def test_f12_a_broker_that_is_down_costs_a_web_request_no_more_than_a_moment(broker_at):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        broker_at(f"redis://127.0.0.1:{closed.getsockname()[1]}/0")
        began = time.monotonic()
        assert fetch.publish(fetch.RUN_JOBS, job_ids=[1]) is False
    assert time.monotonic() - began < 3


def test_f11_a_frozen_broker_is_waited_for_no_longer_than_its_time_out(broker_at, settings):
    with socket.socket() as frozen:
        frozen.bind(("127.0.0.1", 0))
        frozen.listen()
        broker_at(f"redis://127.0.0.1:{frozen.getsockname()[1]}/0")
        current_app.conf.broker_transport_options = current_app.conf.broker_transport_options | {
            "socket_timeout": 0.5,
            "socket_connect_timeout": 0.5,
        }
        began = time.monotonic()
        assert fetch.publish(fetch.RUN_JOBS, job_ids=[1]) is False
    assert time.monotonic() - began < 3
