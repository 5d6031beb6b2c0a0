"""A database for the bench: on the embedded PostgreSQL with everything synced to disk, or on the one that is given."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from portal.local import servers
from tests import template


@contextmanager
def server(directory: Path) -> Iterator[str]:
    """The address of a server: the one in DATABASE_URL, or one of our own, stopped and removed at the end."""
    if address := servers.given("DATABASE_URL"):
        yield address
        return
    directory.mkdir(parents=True, exist_ok=True)
    ours = servers.Postgres(Path(tempfile.mkdtemp(prefix="postgres-", dir=directory)))
    try:
        template.seeded(ours).start()
        yield ours.url
    finally:
        ours.stop()
        servers.remove(ours)


@contextmanager
def opened(address: str) -> Iterator[str]:
    """The address of a new database without any row on that server; it is dropped at the end."""
    name = f"bench_{secrets.token_hex(4)}"
    with connect(address) as connection:
        tables = "" if servers.given("DATABASE_URL") else f" TEMPLATE {servers.DATABASE}"
        connection.execute(f'CREATE DATABASE "{name}"{tables}')
    try:
        yield urlunsplit(urlsplit(address)._replace(path=f"/{name}"))
    finally:
        with connect(address) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def connect(address: str) -> psycopg.Connection:
    return psycopg.connect(address, autocommit=True)
