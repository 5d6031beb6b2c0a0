"""A database for the bench: on the embedded PostgreSQL with everything synced to disk, or on the one that is given."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from portal.local import servers


@contextmanager
def opened(directory: Path) -> Iterator[str]:
    """The address of a new, empty database; it is dropped at the end, and the server stopped if it was ours."""
    with _server(directory) as address:
        name = f"bench_{secrets.token_hex(4)}"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlunsplit(urlsplit(address)._replace(path=f"/{name}"))
        finally:
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def _server(directory: Path) -> Iterator[str]:
    if address := servers.given("DATABASE_URL"):
        yield address
        return
    directory.mkdir(parents=True, exist_ok=True)
    server = servers.Postgres(Path(tempfile.mkdtemp(prefix="postgres-", dir=directory)))
    try:
        server.start()
        yield server.url
    finally:
        server.stop()
        servers.remove(server)


def connect(address: str) -> psycopg.Connection:
    return psycopg.connect(address, autocommit=True)
