"""One measurement, made inside the process that does the work: two clocks, and the most memory it ever held."""

import gc
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Sample:
    """`wall` and `cpu` in seconds: cpu is of this process and, where one is named, of its database session.

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
    served, worked, began = cpu_of(session), time.process_time(), time.perf_counter()
    yield sample
    sample.wall = time.perf_counter() - began
    sample.cpu = time.process_time() - worked + cpu_of(session) - served
    sample.peak = peak()


def cpu_of(process: int | None) -> float:
    """CPU seconds of another process so far; 0 where that is not to be seen (a database on another machine)."""
    if process is not None:
        with suppress(OSError):
            return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9
    return 0.0


def peak() -> int:
    """KiB. Linux's ru_maxrss starts at the size of the process that started this one; VmHWM is this program's own."""
    with suppress(OSError):
        return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
