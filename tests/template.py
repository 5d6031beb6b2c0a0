"""A PostgreSQL that has every table already: made once for each state of the migrations, and copied by whoever needs one.

The tests start some twenty PostgreSQLs; applying all migrations takes each of them as long as a hundred tests.
"""

import base64
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portal.local import servers
from portal.local.place import ROOT

HOME = ROOT / "var" / "template"
DECIDING = ("espi/migrations/*.py", "portal/migrations/*.py", "portal/settings.py", "uv.lock")


def seeded(server: servers.Postgres) -> servers.Postgres:
    """The same server, not started yet, with the tables in its database `portal`, and no row that migrations did not make."""
    if not (server.data / "PG_VERSION").exists():
        with _alone():
            source = _template()
        unfinished = server.data.with_name("data.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        subprocess.run(["cp", "-a", str(source), str(unfinished)], check=True)
        unfinished.rename(server.data)
    return server


@contextmanager
def _alone() -> Iterator[None]:
    HOME.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _template() -> Path:
    """The data of a stopped server with the tables of now; that of earlier tables is removed."""
    here = HOME / _digest()
    made = here / "made"
    server = servers.Postgres(here, durable=False)
    if not made.exists():
        for other in HOME.glob("[0-9a-f]*"):
            servers.remove(servers.Postgres(other, durable=False))
        server = servers.Postgres(here, durable=False)
        server.start()
        try:
            _migrate(server)
        finally:
            server.stop()
        made.touch()
    return server.data


def _migrate(server: servers.Postgres) -> None:
    keys = {name: base64.urlsafe_b64encode(os.urandom(32)).decode() for name in ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS")}
    own = {"DATABASE_URL": server.url, "DJANGO_SETTINGS_MODULE": "portal.settings", "VAR_DIR": str(server.directory)}
    words = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(words, cwd=ROOT, env=os.environ | own | keys, check=True)


def _digest() -> str:
    found = hashlib.sha256()
    for pattern in DECIDING:
        for path in sorted(ROOT.glob(pattern)):
            found.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return found.hexdigest()[:16]
