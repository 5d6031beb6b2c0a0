"""A server that says exactly the bytes it is told to, and remembers what it heard: for answers no library would send."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Script = Callable[[socket.socket], None]


class RawServer:
    """One script per connection; `heard` holds the head of each request."""

    def __init__(self, script: Script, context: ssl.SSLContext | None = None) -> None:
        self.script, self.context, self.heard = script, context, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http{'s' if self.context else ''}://localhost:{self.port}"

    def stop(self) -> None:
        """Closing alone would leave the port open until the waiting accept returns."""
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection: socket.socket) -> None:
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            with connection:
                connection.settimeout(10)
                head = b""
                while b"\r\n\r\n" not in head and (part := connection.recv(65536)):
                    head += part
                self.heard.append(head)
                self.script(connection)
        except OSError:
            connection.close()


@contextmanager
def raw_server(script: Script | bytes, context: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    server = RawServer(script if callable(script) else says(script), context)
    try:
        yield server
    finally:
        server.stop()


def says(data: bytes) -> Script:
    """Send it and close the connection."""
    return lambda connection: connection.sendall(data)


def trickles(data: bytes, pause: float) -> Script:
    """Send it byte by byte, as slowly as no read timeout notices."""

    def script(connection: socket.socket) -> None:
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(pause)

    return script


def response(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """An HTTP answer with these headers and no others."""
    return "\r\n".join((f"HTTP/1.1 {status}", *headers, "", "")).encode() + body
