"""The real processes of one world: started, asked to end, killed, frozen and thawed, watched for their memory."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from portal.local import processes
from portal.local.place import ROOT


class Program:
    """One program of the product with its children; its output goes to a file."""

    def __init__(self, name: str, words: list[str], environment: dict[str, str], log: Path) -> None:
        self.name, self.words, self.environment, self.log = name, words, environment, log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Program":
        """Start it, unless it runs."""
        if not self.runs():
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    self.words,
                    cwd=ROOT,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=processes.ending_with_parent(signal.SIGKILL),
                )
        return self

    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self.name} was not started"
        return self.process.pid

    def signal(self, signum: int) -> None:
        """To its first process alone, as a supervisor does it."""
        if self.runs():
            os.kill(self.pid, signum)

    def kill(self) -> None:
        """SIGKILL for it and all its children, at once."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self, patience: float = 20.0) -> float:
        """SIGTERM, and SIGKILL after so many seconds; how long it took."""
        import time

        began = time.monotonic()
        if self.process is not None and self.runs():
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
        self.kill()
        return time.monotonic() - began

    def children(self) -> list[int]:
        """Numbers of its direct children."""
        return children(self.pid) if self.runs() else []

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """All its processes stand still inside (SIGSTOP)."""
        with frozen(self.pid):
            yield

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def children(pid: int) -> list[int]:
    with suppress(FileNotFoundError, ProcessLookupError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@contextmanager
def frozen(leader: int) -> Iterator[None]:
    """The process group of `leader` stands still inside."""
    os.killpg(leader, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(leader, signal.SIGCONT)


class Memory:
    """Looks every half second at the largest resident size that each child of some programs has had, in MiB."""

    def __init__(self) -> None:
        self.programs: list[Program] = []
        self.peaks: dict[tuple[str, int], float] = {}
        self.over = threading.Event()
        threading.Thread(target=self.watch, name="memory", daemon=True).start()

    def watch(self) -> None:
        while not self.over.wait(0.5):
            for program in list(self.programs):
                if program.runs():
                    for pid in [program.pid, *program.children()]:
                        self.look(program.name, pid)

    def look(self, name: str, pid: int) -> None:
        with suppress(OSError, ValueError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    key = (name, pid)
                    self.peaks[key] = max(self.peaks.get(key, 0), int(line.split()[1]) / 1024)

    def peak(self) -> float:
        """The largest so far."""
        return max(self.peaks.values(), default=0.0)
