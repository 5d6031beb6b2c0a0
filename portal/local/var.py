"""The var/ directory: one launcher at a time, and a note of what it runs."""

import contextlib
import fcntl
import json
import os
import signal
import stat
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from portal.local import Problem, processes

SOCKET_PATH_LIMIT = 90  # the kernel takes 107 bytes, less the longest file name we put in such a directory


@contextlib.contextmanager
def exclusive(var: Path) -> Iterator[None]:
    """Hold var/ for this process alone. Raises Problem, saying where the first one runs, when another holds it."""
    var.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (var / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Problem(already_running(var)) from None
        yield


def already_running(var: Path) -> str:
    """The words for a second start: who runs, where its pages are, how to stop it."""
    record = read_record(var)
    where = "".join(f"\n  {name}: {address}" for name, address in record.get("addresses", {}).items())
    pid = record.get("pid")
    who = f"process {pid}" if pid else "another process"
    return f"It is already running in {var} ({who}).{where or ' It is just starting.'}\nTo stop it: make stop"


def read_record(var: Path) -> dict[str, Any]:
    """What the launcher wrote into var/run.json last; {} when it wrote nothing readable."""
    try:
        record = json.loads((var / "run.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write_record(var: Path, record: dict[str, Any]) -> None:
    """Replace var/run.json in one step, so that a reader sees the old one or the new one."""
    write_private(var / "run.json", json.dumps(record, indent=2) + "\n")


def remove_record(var: Path) -> None:
    (var / "run.json").unlink(missing_ok=True)


def write_private(path: Path, text: str) -> None:
    """Write a file that only we may read (mode 0600), in one step."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    new.replace(path)


def noted(name: str, pid: int) -> dict[str, Any]:
    """A child for the record: enough to know it again although process numbers are reused."""
    return {"name": name, "pid": pid, "began": processes.identity(pid)}


def stop_orphans(var: Path) -> list[str]:
    """Stop what a launcher that was killed left running; the names of what was stopped.

    Call with var/ held. The servers among them are told to stop last, as they would be in an ordinary stop.
    """
    left = [child for child in read_record(var).get("children", []) if _alive(child)]
    for child in left:
        signum = signal.SIGINT if child["name"] == "PostgreSQL" else signal.SIGTERM
        processes.stop(child["pid"], child["began"], signum, patience=5)
    return [child["name"] for child in left]


def _alive(child: dict[str, Any]) -> bool:
    return bool(child["began"]) and processes.identity(child["pid"]) == child["began"]


def socket_directory(wanted: Path, owner: int | None = None) -> Path:
    """`wanted`, or a short stand-in under /tmp where its path is too long for a Unix socket.

    Only `owner` (ourselves when None) may enter it. Raises Problem when it is there and somebody else's.
    """
    directory = wanted.absolute()
    if len(os.fsencode(directory)) > SOCKET_PATH_LIMIT:
        name = sha256(os.fsencode(directory)).hexdigest()[:16]
        directory = Path(tempfile.gettempdir()) / f"portal-{os.geteuid()}-{name}"
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700, parents=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), owner):
        raise Problem(f"{directory} belongs to somebody else. Remove it, or choose another place with VAR_DIR.")
    if owner is not None:
        os.chown(directory, owner, owner)
    return directory
