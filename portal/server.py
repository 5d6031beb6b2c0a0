"""gunicorn's threads, with an end to their patience: a client that trickles holds one only for so long.

A thread reads a request while it arrives, and there are few of them. A proxy that buffers requests in front of the site
is better still (docs/environments.md); this is what stands where there is none, or where it fails.
"""

import errno
import socket
import time
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]

GRACE = 20.0  # seconds that any request may take to arrive
SLOWEST = 16 * 1024  # bytes per second; so long may a large one take beside
SENDING = 60.0  # seconds for taking a piece of the answer


class PatientSocket(socket.socket):
    """A connection on which one request arrives in GRACE seconds and at least at SLOWEST, or not at all."""

    began = 0.0
    received = 0

    def begin(self) -> None:
        """A new request."""
        self.began, self.received = time.monotonic(), 0

    def recv(self, *args: Any) -> bytes:
        """Bytes; raises ConnectionResetError when the request has taken too long."""
        left = self.began + GRACE + self.received / SLOWEST - time.monotonic()
        given = self.gettimeout()
        if left <= 0:
            raise ConnectionResetError(errno.ECONNRESET, "the request arrives too slowly")
        self.settimeout(left if given is None else min(given, left))
        try:
            data = super().recv(*args)
        except TimeoutError:
            if given is not None and given < left:
                raise
            raise ConnectionResetError(errno.ECONNRESET, "the request arrives too slowly") from None
        finally:
            self.settimeout(given)
        self.received += len(data)
        return data

    def sendall(self, *args: Any) -> None:
        """Send; raises ConnectionResetError when the client does not take it."""
        given = self.gettimeout()
        self.settimeout(SENDING)
        try:
            super().sendall(*args)
        except TimeoutError:
            raise ConnectionResetError(errno.ECONNRESET, "the answer is not taken") from None
        finally:
            self.settimeout(given)


class PatientWorker(ThreadWorker):
    """gunicorn's threaded worker on such connections."""

    def enqueue_req(self, conn: TConn) -> None:
        """Every connection comes by here before anything is read from it."""
        if not isinstance(conn.sock, PatientSocket):
            conn.sock = PatientSocket(fileno=conn.sock.detach())
            conn.sock.setblocking(False)
        super().enqueue_req(conn)

    def handle(self, conn: TConn) -> Any:
        """One request of a connection, in a thread."""
        conn.sock.begin()
        return super().handle(conn)
