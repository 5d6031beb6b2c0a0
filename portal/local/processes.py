"""Processes: who they are beyond their number, how they end with us, how to end them."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent(signum: int) -> None:
    """Ask the kernel to send us `signum` when the process that started us ends, however it ends (Linux only)."""
    if LINUX:
        _libc.prctl(PR_SET_PDEATHSIG, signum)


def ending_with_parent(signum: int) -> Callable[[], None]:
    """A `preexec_fn`: the new program gets `signum` when its parent ends. The setting survives exec and unshare."""
    parent = os.getpid()

    def before_exec() -> None:
        end_with_parent(signum)
        if LINUX and os.getppid() != parent:
            os.kill(os.getpid(), signum)

    return before_exec


def identity(pid: int) -> str:
    """When process `pid` began, in the kernel's own words; "" where there is none, or only a zombie.

    Numbers are used again: a number together with this value names one process for good.
    """
    if not LINUX:
        return _ps(pid, "lstart")
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    fields = stat.rpartition(")")[2].split()  # state is the first field after the name, the start time the twentieth
    return "" if fields[0] in "ZX" else fields[19]


def command_line(pid: int) -> str:
    """The words process `pid` was started with, joined by blanks; "" where it is gone or not ours to see."""
    if not LINUX:
        return _ps(pid, "command")
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


def _ps(pid: int, column: str) -> str:
    found = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", f"{column}=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return found.stdout.strip()


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask `condition` every 50 ms for at most `seconds`; whether it came true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def stop(pid: int, began: str, signum: int, patience: float) -> None:
    """Stop a process that need not be our child: `signum`, then after `patience` seconds kill its whole group.

    Does nothing when `pid` no longer names the process that began at `began`.
    """
    if not began or identity(pid) != began:
        return
    os.kill(pid, signum)
    if wait_until(lambda: identity(pid) != began, patience):
        return
    group = os.getpgid(pid)
    if group == pid:  # never the group of somebody else
        os.killpg(group, signal.SIGKILL)
    else:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: identity(pid) != began, 2)


def stop_child(child: "subprocess.Popen[bytes]", signum: int, patience: float) -> None:
    """Stop our own child: `signum`, then after `patience` seconds SIGKILL. Returns when it is gone."""
    if child.poll() is not None:
        return
    child.send_signal(signum)
    try:
        child.wait(patience)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
