"""A worker's work in a process of its own, on the test database: for tests of memory, of being killed, of the environment.

The database has to be one that tests commit to (`django_db(transaction=True)`).
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parents[1]
CPU_SECONDS = (
    120  # far more than any of these documents takes, and far less than what grows with the square of its size
)
ATTEMPTS = """
import json, resource, sys
from datetime import datetime
from pathlib import Path
import django
django.setup()
from portal.flows import fetch
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[3]), int(sys.argv[3])))
for pk in json.loads(sys.argv[1]):
    fetch.run(pk, now=datetime.fromisoformat(sys.argv[2]))
print(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024)
"""


def environment(**more: str) -> dict[str, str]:
    """What a process of ours is started with, to find the servers of this test."""
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    ours = {"DATABASE_URL": database, "SANDBOX_BASE_URL": settings.SANDBOX_BASE_URL, "PYTHONPATH": str(ROOT)}
    return os.environ | ours | {"VAR_DIR": str(settings.VAR_DIR), "LOG_LEVEL": "ERROR"} | more


def command(job_ids: Sequence[int], now: datetime) -> list[str]:
    """One attempt at each of these jobs; prints the peak of its memory in MiB."""
    return [sys.executable, "-c", ATTEMPTS, json.dumps(list(job_ids)), now.isoformat(), str(CPU_SECONDS)]


def attempts(job_ids: Sequence[int], now: datetime, **more: str) -> int:
    """Run them to their end; the peak of memory in MiB."""
    done = subprocess.run(
        command(job_ids, now), env=environment(**more), cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout.splitlines()[-1])
