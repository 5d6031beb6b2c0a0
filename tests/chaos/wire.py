"""The line between us and the utilities' plain HTTP: it passes everything on, and spoils the answers it is told to.

What no web server would send comes from here: a body that breaks off in each of three framings, or that trickles.
"""

import contextlib
import socket
import threading
import time
from dataclasses import dataclass

PIECE = 64 * 1024


@dataclass
class Rule:
    """What happens to answers of requests whose target contains `part`, so many times.

    `how`: short (fewer bytes than announced), chunk (a chunk that is not finished), unframed (no length, and closed),
    each after a share of the body; trickle, the whole in so many seconds; or repeat, its entries so many times over.
    """

    part: str
    how: str
    times: int = 1
    share: float = 0.5
    seconds: float = 5.0
    copies: int = 1


class Wire:
    """Listens on `port` and passes on to `target`, both on this machine."""

    def __init__(self, port: int, target: int) -> None:
        self.target = target
        self.rules: list[Rule] = []
        self.late = 0.0  # seconds that every request is on its way
        self.spoiled: list[str] = []  # targets of requests whose answers were spoiled
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=100)
        threading.Thread(target=self._listen, name="wire", daemon=True).start()

    def close(self) -> None:
        self.rules.clear()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def spoil(self, part: str, how: str, **more: float) -> None:
        """Spoil answers from now on."""
        self.rules.append(Rule(part, how, **more))  # type: ignore[arg-type]

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """One request and its answer; both connections are closed afterwards."""
        with contextlib.suppress(OSError), client:
            head, body = read_message(client)
            if not head:
                return
            time.sleep(self.late)
            with socket.create_connection(("127.0.0.1", self.target)) as server:
                server.sendall(closing(head) + body)
                rule = self._rule(head)
                if rule is None:
                    while piece := server.recv(PIECE):
                        client.sendall(piece)
                    return
                answer = b"".join(iter(lambda: server.recv(PIECE), b""))
            send_spoiled(client, answer, rule)

    def _rule(self, head: bytes) -> Rule | None:
        """The rule for this request, used up once."""
        asked = head.split(b" ", 2)[1].decode("latin-1")
        with self.lock:
            for rule in self.rules:
                if rule.times and rule.part in asked:
                    rule.times -= 1
                    self.spoiled.append(asked)
                    return rule
        return None


def read_message(connection: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of one request; ours always say how long they are."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(PIECE)
        if not piece:
            return b"", b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(v) for k, v in headers(head) if k == b"content-length"), 0)
    while len(body) < length:
        body += connection.recv(PIECE)
    return head, body


def headers(head: bytes) -> list[tuple[bytes, bytes]]:
    pairs = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    return [(name.strip().lower(), value.strip()) for name, _, value in pairs]


def closing(head: bytes) -> bytes:
    """The head with `Connection: close`, and its end."""
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])


def send_spoiled(client: socket.socket, answer: bytes, rule: Rule) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    if rule.how == "trickle":
        pieces = 40
        client.sendall(head + b"\r\n\r\n")
        for number in range(pieces):
            client.sendall(body[len(body) * number // pieces : len(body) * (number + 1) // pieces])
            time.sleep(rule.seconds / pieces)
        return
    if rule.how == "repeat" and b"</entry>" not in body:
        client.sendall(answer)
        return
    if rule.how == "repeat":
        send_repeated(client, head, body, rule.copies)
        return
    part = body[: int(len(body) * rule.share)]
    if rule.how == "short":
        client.sendall(head + b"\r\n\r\n" + part)
        return
    dropped = (b"content-length:", b"transfer-encoding:")
    plain = b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(dropped))
    if rule.how == "chunk":
        plain += b"\r\nTransfer-Encoding: chunked"
        part = b"%x\r\n" % len(body) + part
    client.sendall(plain + b"\r\n\r\n" + part)


def send_repeated(client: socket.socket, head: bytes, body: bytes, copies: int) -> None:
    """The same document with its entries so many times, and its true length."""
    first, last = body.index(b"<entry"), body.rindex(b"</entry>") + len(b"</entry>")
    entries = body[first:last]
    length = len(body) + (copies - 1) * len(entries)
    plain = b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:"))
    client.sendall(plain + b"\r\nContent-Length: %d\r\n\r\n" % length + body[:first])
    for _ in range(copies):
        client.sendall(entries)
    client.sendall(body[last:])
