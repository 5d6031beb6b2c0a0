"""The notification endpoint beside a bare view that makes one INSERT: the same server, processes and sockets."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from espi.models import Notification
from portal.local import servers
from tests.bench import posting
from tests.bench.engine_work import emptied
from tests.bench.measure import Sample
from tests.portal import rows

WORKERS = 2
STARTS_WITHIN = 30.0  # seconds
LOOK_EVERY = 0.05


def compared(count: int, at_once: int, rounds: int) -> Sample:
    """`told`: of both, the medians of requests a second and of the 99th percentile in seconds; and the slowest answer in
    seconds while Valkey stands still."""
    emptied()
    app = rows.registration()
    ours, bare = f"/espi/1_1/Notification/cecony/{app.notify_secret}", f"/bare/{app.pk}"
    found: dict[str, list[posting.Posted]] = {"ours": [], "bare": []}
    with broker() as valkey, server("portal.wsgi") as port:
        with server("tests.bench.bare_wsgi") as bare_port:
            for each, path in ((port, ours), (bare_port, bare)):
                posting.post(each, path, batch_list("warm"), count=min(count, 400), at_once=at_once)
            for number in range(rounds):
                for name, each, path in (("ours", port, ours), ("bare", bare_port, bare)):
                    body = batch_list(f"{name}-{number}")
                    found[name].append(posting.post(each, path, body, count=count, at_once=at_once))
        before = Notification.objects.count()
        with frozen(valkey):
            cold = posting.post(port, ours, batch_list("frozen"), count=min(count, 400), at_once=at_once)
    assert not any(each.refused for some in found.values() for each in some), found
    assert cold.refused == 0
    assert Notification.objects.count() - before == len(cold.latencies)
    told = {"frozen": cold.latencies[-1]}
    for name, some in found.items():
        told[f"{name}_a_second"] = median(each.a_second for each in some)
        told[f"{name}_p99"] = median(each.p99 for each in some)
    return Sample(told=told)


def batch_list(name: str) -> Callable[[int], bytes]:
    """Bodies as Con Edison sends them, none like another."""

    def body(number: int) -> bytes:
        base = "http://localhost:8001/api.coned.com/gbc/v1/resource/Batch/Download"
        url = f"{base}?requestId={name}-{number}&amp;responseId=2&amp;subscriptionId=976"
        return f'<batchList xmlns="http://naesb.org/espi"><resources>{url}</resources></batchList>'.encode()

    return body


@contextmanager
def broker() -> Iterator[servers.Valkey]:
    """A Valkey of our own, which can be made to stand still; it is the REDIS_URL of what is started inside."""
    ours, before = servers.Valkey(Path(tempfile.mkdtemp(prefix="valkey-")), durable=False), os.environ.get("REDIS_URL")
    try:
        ours.start()
        os.environ["REDIS_URL"] = ours.url
        yield ours
    finally:
        ours.stop()
        servers.remove(ours)
        os.environ.pop("REDIS_URL") if before is None else os.environ.update(REDIS_URL=before)


@contextmanager
def frozen(valkey: servers.Valkey) -> Iterator[None]:
    """It keeps its connections and answers nothing."""
    assert valkey.process is not None
    os.kill(valkey.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(valkey.process.pid, signal.SIGCONT)


@contextmanager
def server(module: str) -> Iterator[int]:
    """gunicorn as the product starts it; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "gunicorn", f"{module}:application", "--config", "python:portal.gunicorn_conf"]
    words += ["--no-control-socket", "--workers", str(WORKERS), "--bind", f"127.0.0.1:{port}", "--log-level", "error"]
    own = {"BROKER_SOCKET_TIMEOUT": "0.5"}
    process = subprocess.Popen(words, env=os.environ | own, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Until it answers. Raises RuntimeError."""
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as there:
            there.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if there.recv(100):
                return
        time.sleep(LOOK_EVERY)
    raise RuntimeError("the server did not start")
