"""What every group of figures is given: documents, a database, fresh processes, interleaved rounds, medians."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from tests.bench import child, database, documents
from tests.bench.measure import Sample

ROOT = Path(__file__).resolve().parents[2]
MEGABYTE = 1_000_000
KEYS = ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS")  # made for the run: nothing of it is kept
SMALL = 400  # of sizes in a smoke: one four-hundredth


class Failed(RuntimeError):
    """A measurement that came to no result; the message ends with what its process said."""


@dataclass
class Bench:
    """One run. `rounds`: how often each method is measured; `quick`: tiny sizes, to see that all of it works.

    `full`: also what takes many minutes. `directory` keeps documents between runs, and the database while one lasts.
    """

    directory: Path
    rounds: int = 5
    quick: bool = False
    full: bool = False
    log: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True)
    _open: ExitStack = field(default_factory=ExitStack)
    _keys: dict[str, str] = field(default_factory=lambda: {name: _key() for name in KEYS})

    def close(self) -> None:
        """Drop the database and stop the server, if there were any."""
        self._open.close()

    def document(self, shape: str, megabytes: int) -> Path:
        """A file of that shape (see tests.bench.documents), its bytes in the page cache."""
        size = megabytes * MEGABYTE // (SMALL if self.quick else 1)
        path = documents.document(self.directory / "documents", shape, size)
        path.read_bytes()
        return path

    @cached_property
    def database(self) -> str:
        """The address of a database of our own with all tables; made when first asked for."""
        return self.another_database()

    def another_database(self) -> str:
        """One more. In a smoke it is the same: Django stays with one for the life of a process."""
        if self.quick and "database" in self.__dict__:
            return self.database
        self.log("  (setting up a database)")
        address = self._open.enter_context(database.opened(self._server))
        self._call("rows:make_tables", {}, self._environment(address))
        return address

    def emptied(self) -> None:
        """Remove every customer with what is stored of him, and every registration."""
        with database.connect(self.database) as connection:
            connection.execute("TRUNCATE portal_user, espi_applicationinformation, bench_plainreading CASCADE")

    def settled(self, address: str = "") -> None:
        """Bring a database to where it stands a day after a load: vacuumed, and a checkpoint has been."""
        with database.connect(address or self.database) as connection:
            connection.execute("VACUUM (ANALYZE)")
            with suppress(psycopg.errors.InsufficientPrivilege):
                connection.execute("CHECKPOINT")

    def fresh(self, function: str, **arguments: Any) -> Sample:
        """Call `module:function` in a process of its own, without Django. Raises Failed."""
        return self._call(function, arguments, os.environ | {"DJANGO_SETTINGS_MODULE": ""})

    def stored(self, function: str, *, at: str = "", **arguments: Any) -> Sample:
        """The same with Django on our database, or on the one at that address. Raises Failed."""
        return self._call(function, arguments, self._environment(at or self.database))

    def _call(self, function: str, arguments: dict[str, Any], environment: dict[str, str]) -> Sample:
        """A smoke saves the seconds of starting processes: there, everything happens in this one."""
        if self.quick:
            os.environ.update(environment)
            return child.call(f"tests.bench.{function}", arguments)
        words = [sys.executable, "-m", "tests.bench.child", f"tests.bench.{function}", json.dumps(arguments)]
        done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"{function} {arguments}: {done.stderr.strip()[-2000:]}")
        return Sample(**json.loads(done.stdout.splitlines()[-1]))

    def interleaved(self, methods: Mapping[Any, Callable[[], Sample]], rounds: int | None = None) -> "Measured":
        """Measure methods in turns, so that what else the machine does falls on all of them alike."""
        found: dict[Any, list[Sample]] = {name: [] for name in methods}
        for _ in range(rounds or self.rounds):
            for name, method in methods.items():
                found[name].append(method())
        return Measured(found)

    @cached_property
    def _server(self) -> str:
        return self._open.enter_context(database.server(self.directory))

    def _environment(self, address: str) -> dict[str, str]:
        """Of a process that uses Django on that database."""
        where = {"DATABASE_URL": address, "DJANGO_SETTINGS_MODULE": "portal.settings", "VAR_DIR": str(self.directory)}
        return os.environ | self._keys | where


def _key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


@dataclass(frozen=True)
class Measured:
    """The samples of each method."""

    samples: dict[Any, list[Sample]]

    def cpu(self, name: Any) -> float:
        return median(sample.cpu for sample in self.samples[name])

    def wall(self, name: Any) -> float:
        return median(sample.wall for sample in self.samples[name])

    def peak(self, name: Any) -> float:
        """MiB."""
        return median(sample.peak for sample in self.samples[name]) / 1024

    def told(self, name: Any, what: str) -> Any:
        return median(sample.told[what] for sample in self.samples[name])

    def ratio(self, name: Any, to: Any) -> tuple[float, str]:
        """CPU time of one method in units of another's; and the same by the clock on the wall, in words."""
        ratio = self.cpu(name) / self.cpu(to)
        by_wall = self.wall(name) / self.wall(to)
        return ratio, f"{self.cpu(name):.3f} s / {self.cpu(to):.3f} s; by the wall clock {by_wall:.3g}"
