"""Rows in PostgreSQL's binary form, which Django's cursors do not ask for: half the work for arrays of integers."""

from collections.abc import Sequence
from typing import Any

import psycopg
from django.db import connection


def fetched(statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """What a SELECT finds; Django counts and logs it as one of its own."""
    connection.ensure_connection()
    plain: Any = psycopg.Cursor(connection.connection)
    plain.format = psycopg.pq.Format.BINARY
    with connection.make_debug_cursor(plain) if connection.queries_logged else connection.make_cursor(plain) as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()
