"""Posting as many utilities at once would: connections that stay open, one request at a time on each, raw sockets."""

import re
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

END_OF_HEAD = b"\r\n\r\n"
PATIENCE = 30.0  # seconds


@dataclass
class Posted:
    """`seconds` of the whole, the `latencies` of all answers in seconds, sorted; `refused`: not answered 200."""

    seconds: float
    latencies: list[float]
    refused: int

    @property
    def a_second(self) -> float:
        return len(self.latencies) / self.seconds

    @property
    def p99(self) -> float:
        """Seconds."""
        return self.latencies[int(len(self.latencies) * 0.99)]


@dataclass
class Line:
    """A connection and the request that is on it."""

    port: int
    sent_at: float = 0.0
    request: bytes = b""
    received: bytes = b""
    there: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self.there = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def send(self, request: bytes) -> None:
        self.request, self.sent_at, self.received = request, time.perf_counter(), b""
        self.there.sendall(request)

    def is_answered(self) -> bool:
        """Read what there is. Raises ConnectionResetError when the server closed the connection."""
        more = self.there.recv(65536)
        if not more:
            raise ConnectionResetError("the server closed the connection")
        self.received += more
        return is_whole(self.received)


def is_whole(answer: bytes) -> bool:
    """Whether nothing of an answer is still to come: its head, and the body that the head announces."""
    head, end, body = answer.partition(END_OF_HEAD)
    if not end:
        return False
    said = head.lower()
    if b"transfer-encoding: chunked" in said:
        return body.endswith(b"0\r\n\r\n")
    length = re.search(rb"content-length: ([0-9]+)", said)
    return len(body) >= int(length[1] if length else 0)


def post(port: int, path: str, body: Callable[[int], bytes], *, count: int, at_once: int) -> Posted:
    """Post so many bodies, so many at once."""
    with selectors.DefaultSelector() as selector:
        lines = [Line(port) for _ in range(at_once)]
        number, found, refused = 0, [], 0
        began = time.perf_counter()
        for line in lines:
            selector.register(line.there, selectors.EVENT_READ, line)
            line.send(written(path, body(number)))
            number += 1
        while len(found) < count:
            for key, _ in selector.select(PATIENCE):
                line = key.data
                if not line.is_answered():
                    continue
                found.append(time.perf_counter() - line.sent_at)
                refused += not line.received.startswith(b"HTTP/1.1 200")
                if number < count:
                    line.send(written(path, body(number)))
                    number += 1
        seconds = time.perf_counter() - began
        for line in lines:
            line.there.close()
    return Posted(seconds, sorted(found), refused)


def written(path: str, body: bytes) -> bytes:
    """A request as it is sent."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
