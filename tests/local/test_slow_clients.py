"""A real gunicorn with few threads, and clients that take their time."""

import socket
import subprocess
import sys
import time

import pytest

from portal.local.place import ROOT

CONFIG = """
from portal import server
from portal.gunicorn_conf import *
server.GRACE, server.SLOWEST, server.SENDING = 2.0, 1024 * 1024, 2.0
threads = 2
"""
PROGRAM = """
def application(environ, start_response):
    if environ["PATH_INFO"] == "/large":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"x" * 1_000_000] * 200
    body = str(len(environ["wsgi.input"].read())).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.fixture
def port(tmp_path):
    (tmp_path / "conf.py").write_text(CONFIG)
    (tmp_path / "program.py").write_text(PROGRAM)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["--config", str(tmp_path / "conf.py"), "--no-control-socket", "--bind", f"127.0.0.1:{port}"]
    words += ["--chdir", str(tmp_path), "--pythonpath", str(ROOT), "program:application"]
    with subprocess.Popen([sys.executable, "-m", "gunicorn", *words], cwd=ROOT, stderr=subprocess.PIPE) as server:
        wait_for(port)
        yield port
        server.terminate()
        assert b"Traceback" not in server.stderr.read()


def wait_for(port):
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10).close()
        except OSError:
            time.sleep(0.1)
    raise AssertionError("gunicorn did not start")


def connect(port, begin):
    connection = socket.create_connection(("127.0.0.1", port), timeout=15)
    connection.sendall(begin)
    return connection


def whole(port, size=5):
    head = f"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
    connection = connect(port, head.encode() + b"a" * size)
    answer = b""
    while part := connection.recv(65536):
        answer += part
    return answer.rpartition(b"\r\n")[2]


def trickle(connections, part, seconds):
    """Send a byte now and then to each; how many were closed by the server meanwhile."""
    ends = time.monotonic() + seconds
    closed = set()
    while time.monotonic() < ends:
        for connection in connections:
            try:
                connection.sendall(part)
            except OSError:
                closed.add(connection)
        time.sleep(0.2)
    return len(closed)


HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"


@pytest.mark.parametrize(("begin", "part"), [(HEAD, b"a"), (b"GET / HTTP/1.1\r\n", b"X: y\r\n")], ids=["body", "head"])
def test_f31_clients_that_trickle_do_not_hold_the_threads(port, begin, part):
    slow = [connect(port, begin) for _ in range(2)]
    assert trickle(slow, part, 4) == 2
    assert whole(port) == b"5"


def test_f31_clients_that_say_nothing_more_do_not_hold_the_threads(port):
    slow = [connect(port, HEAD) for _ in range(4)]
    began = time.monotonic()
    assert whole(port) == b"5"
    assert time.monotonic() - began < 8
    assert [connection.recv(1) for connection in slow[:2]] == [b"", b""]


def test_f31_clients_that_do_not_take_their_answer_do_not_hold_the_threads(port):
    slow = [connect(port, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(2)]
    began = time.monotonic()
    assert whole(port) == b"5"
    assert time.monotonic() - began < 8
    assert slow


def test_a_large_request_at_a_fair_speed_is_read_whole_and_a_connection_is_kept(port):
    assert whole(port, 20_000_000) == b"20000000"
    connection = connect(port, b"")
    for _ in range(3):
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab")
        answer = b""
        while not answer.endswith(b"\r\n\r\n2"):
            answer += connection.recv(65536) or pytest.fail("the connection was closed")
        time.sleep(1)
