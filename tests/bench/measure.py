"""One measurement, made inside the process that does the work: two clocks, and the most memory it ever held."""

import gc
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HELPERS = ("io worker", "checkpointer", "background writer", "walwriter")  # of PostgreSQL, as they are named to ps


@dataclass
class Sample:
    """`wall` and `cpu` in seconds: cpu is of this process and, where one is named, of its database session and server.

    `peak` is the process's largest resident size in KiB; `told` whatever else the measured function has to say.
    """

    wall: float = 0.0
    cpu: float = 0.0
    peak: int = 0
    told: dict[str, Any] = field(default_factory=dict)


@contextmanager
def measuring(session: int | None = None) -> Iterator[Sample]:
    """Measure what happens inside. `session`: process number of a database session on this machine."""
    sample = Sample()
    gc.collect()
    served, worked, began = cpu_of_server(session), time.process_time(), time.perf_counter()
    yield sample
    sample.wall = time.perf_counter() - began
    sample.cpu = time.process_time() - worked + cpu_of_server(session) - served
    sample.peak = peak()


def cpu_of_server(session: int | None) -> float:
    """CPU seconds so far of a database session, and of the processes of its server that read and write for everybody.

    0 where they are not to be seen: no session, or a database on another machine.
    """
    if session is None or (server := _parent(session)) is None:
        return 0.0
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    helpers = [pid for pid in pids if _parent(pid) == server and _title(pid).startswith(HELPERS)]
    return sum(map(_cpu, [session, *helpers]))


def _parent(process: int) -> int | None:
    with suppress(OSError):
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return None


def _title(process: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_text().removeprefix("postgres: ")
    return ""


def _cpu(process: int) -> float:
    with suppress(OSError):
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9
    return 0.0


def peak() -> int:
    """KiB. Linux's ru_maxrss starts at the size of the process that started this one; VmHWM is this program's own."""
    with suppress(OSError):
        return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
