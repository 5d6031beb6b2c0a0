"""Places in the database's work where an experiment can hold a real process: triggers that wait for a lock we hold.

Nothing of the product knows of them; a worker just finds that PostgreSQL takes its time at this statement.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from tests.chaos.world import World, until

KEYS = itertools.count(0x63680000)  # "ch"
FUNCTION = """
CREATE OR REPLACE FUNCTION chaos_wait() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(TG_ARGV[0]::bigint);
  RETURN NULL;
END $$
"""
ROW = "CREATE CONSTRAINT TRIGGER {name} AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
STATEMENT = "CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH STATEMENT"


class Gate:
    """Holds whoever comes to a statement, until it is opened."""

    def __init__(self, connection: psycopg.Connection[Any], key: int) -> None:
        self.connection, self.key = connection, key

    def waiting(self) -> list[int]:
        """Sessions of PostgreSQL that stand here."""
        sql = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objid = %s AND NOT granted"
        return [row[0] for row in self.connection.execute(sql, [self.key])]

    def arrival(self, seconds: float = 60, count: int = 1) -> list[int]:
        """Wait until so many stand here."""
        return list(until(lambda: len(found := self.waiting()) >= count and found, seconds, f"{count} at the gate"))

    def open(self) -> None:
        """Let everybody pass from now on."""
        self.connection.execute("SELECT pg_advisory_unlock(%s)", [self.key])

    def shut(self) -> None:
        self.connection.execute("SELECT pg_advisory_lock(%s)", [self.key])


@contextmanager
def gate(world: World, table: str, event: str = "INSERT", *, at_commit: bool = False) -> Iterator[Gate]:
    """Hold whoever writes to this table: after the statement, or (of inserts) when he commits."""
    key = next(KEYS)
    with world.postgres.connect("portal") as connection:
        opened = Gate(connection, key)
        opened.shut()
        connection.execute(FUNCTION)
        shape = (ROW if at_commit else STATEMENT).format(name=f"chaos_{key}", table=table, event=event)
        connection.execute(f"{shape} EXECUTE FUNCTION chaos_wait('{key}')")
        try:
            yield opened
        finally:
            with suppress(psycopg.Error):  # the server may have been restarted: then nobody waits
                opened.open()
            with world.postgres.connect("portal") as again:
                again.execute(f"DROP TRIGGER chaos_{key} ON {table}")
