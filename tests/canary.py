"""Files and addresses that nobody may touch, and the proof that nobody did (inotify, a listening socket)."""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.raw_server import RawServer, raw_server, response

OPENED, READ = 0x20, 0x01  # IN_OPEN, IN_ACCESS
SONG = "canary-7b1d"  # what stands in the file, and what the address answers
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass
class Canary:
    """`path` and `url` say the same word; `touched` what was done to them since the last look."""

    path: Path
    server: RawServer
    watch: int

    @property
    def url(self) -> str:
        return f"{self.server.url}/canary"

    def touched(self) -> list[str]:
        try:
            events = os.read(self.watch, 65536)
        except BlockingIOError:
            events = b""
        _, mask, _, _ = struct.unpack_from("iIII", events.ljust(16, b"\0"))
        calls, self.server.connections = self.server.connections, 0
        return [word for word, done in (("file", mask), ("address", calls)) if done]


@contextmanager
def canary(folder: Path) -> Iterator[Canary]:
    """In a folder of its own."""
    path = folder / "canary.txt"
    path.write_text(SONG)
    watch = LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert LIBC.inotify_add_watch(watch, os.fsencode(path), OPENED | READ) > 0, os.strerror(ctypes.get_errno())
    try:
        with raw_server(response(SONG.encode(), f"Content-Length: {len(SONG)}")) as server:
            yield Canary(path, server, watch)
    finally:
        os.close(watch)
