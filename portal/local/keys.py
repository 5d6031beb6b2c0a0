"""The secrets of a developer's machine: made once, kept in var/secrets.env, never in the repository."""

import base64
import os
from pathlib import Path

from portal.local import Problem, var

FILE = "secrets.env"
LOST = """{file} is gone, but the database in {var} is still there: what is encrypted in it cannot be read any more.
Put the file back, give SECRET_KEY and FIELD_ENCRYPTION_KEYS in the environment, or start afresh with `make clean`."""


def load(directory: Path) -> dict[str, str]:
    """SECRET_KEY and FIELD_ENCRYPTION_KEYS, made on the first run; values in the environment come first.

    Raises Problem when the file was lost while data encrypted with it remain.
    """
    given = {name: os.environ[name] for name in ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS") if os.environ.get(name)}
    if len(given) == 2:
        return given
    file = directory / FILE
    if not file.exists():
        if "FIELD_ENCRYPTION_KEYS" not in given and (directory / "postgres").exists():
            raise Problem(LOST.format(file=file, var=directory))
        var.write_private(file, "".join(f"{name}={value}\n" for name, value in fresh().items()))
    file.chmod(0o600)
    return read(file) | given


def fresh() -> dict[str, str]:
    """New values: the key of Django's signatures, and one Fernet key (32 random bytes, URL-safe base64)."""
    return {
        "SECRET_KEY": base64.urlsafe_b64encode(os.urandom(48)).decode(),
        "FIELD_ENCRYPTION_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),
    }


def read(file: Path) -> dict[str, str]:
    """The NAME=value lines of `file`. Raises Problem when a needed one is missing."""
    pairs = (line.partition("=") for line in file.read_text().splitlines() if "=" in line and line[0] != "#")
    found = {name.strip(): value.strip() for name, _, value in pairs}
    for name in ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS"):
        if not found.get(name):
            raise Problem(f"{file} has no {name}. Put the line back, or start afresh with `make clean`.")
    return found
