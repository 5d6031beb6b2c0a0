"""Everything the sandbox remembers, in one SQLite file."""

import json
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Every table has an integer id and a JSON column ``data`` for whatever one platform alone needs.
TABLES = {
    "registrations": "utility, environment, edition, client_id, client_secret, redirect_uri, created, UNIQUE(client_id)",
    "sessions": "utility, session, username, created, UNIQUE(session)",
    "codes": "code, registration, authorization, redirect_uri, created, expires, used DEFAULT 0, UNIQUE(code)",
    "authorizations": "utility, edition, registration, username, account, subscription, scope, status, starts, ends,"
    " created, updated, accessed",
    "tokens": "token, kind, utility, registration, authorization, scope, created, expires, revoked DEFAULT 0,"
    " UNIQUE(token)",
    "batches": "request, utility, registration, authorization, token_kind, path, query, status, created, expires",
    "responses": "response, batch, authorization, created, expires, body BLOB",
    "notifications": "utility, registration, kind, url, headers, body BLOB, created, due, sent, status",
    "faults": "name, utility, remaining, created",
    "ledger": "at, kind, utility, host, method, path, query, token_class, authorization, status, bytes, fault",
    "deliveries": "at, utility, authorization, path, bytes, channels",
    "meta": "name, value, UNIQUE(name)",
}
INDEXES = (
    "CREATE INDEX IF NOT EXISTS tokens_authorization ON tokens(authorization)",
    "CREATE INDEX IF NOT EXISTS authorizations_registration ON authorizations(registration)",
    "CREATE INDEX IF NOT EXISTS notifications_sent ON notifications(sent, due)",
    "CREATE INDEX IF NOT EXISTS responses_batch ON responses(batch)",
    "CREATE INDEX IF NOT EXISTS ledger_at ON ledger(at)",
)

Row = dict[str, Any]


class Store:
    """Rows as dictionaries over SQLite; safe with several threads and processes, and it survives a restart.

    Instants are epoch seconds (float or int). Column and table names come from this package's code only.
    """

    def __init__(self, path: str) -> None:
        if path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._create()

    def _create(self) -> None:
        for table, columns in TABLES.items():
            names, unique, constraint = columns.partition(", UNIQUE")
            self._connection.execute(
                f"CREATE TABLE IF NOT EXISTS {table} (id INTEGER PRIMARY KEY AUTOINCREMENT, {names},"
                f" data TEXT NOT NULL DEFAULT '{{}}'{unique}{constraint})"
            )
        for index in INDEXES:
            self._connection.execute(index)

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        """Run one statement; the cursor's rows are already read when several threads are at work."""
        with self._lock:
            return self._connection.execute(sql, values)

    def insert(self, table: str, **columns: Any) -> int:
        """Add a row, return its id. ``data`` may be a mapping. Raises sqlite3.IntegrityError on a duplicate."""
        row = _packed(columns)
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        cursor = self.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))  # noqa: S608
        return int(cursor.lastrowid or 0)

    def find(self, table: str, order: str = "id", limit: int = -1, after: int = 0, **where: Any) -> list[Row]:
        """Rows behind the id ``after`` whose columns equal ``where``, in ``order`` (a column, or a column and DESC)."""
        clause, values = _clause(where)
        clause = f"{clause} AND id > ?" if clause else "WHERE id > ?"
        sql = f"SELECT * FROM {table} {clause} ORDER BY {order} LIMIT ?"  # noqa: S608
        with self._lock:
            return [_unpacked(row) for row in self._connection.execute(sql, (*values, after, limit)).fetchall()]

    def get(self, table: str, **where: Any) -> Row | None:
        """The first such row, or None."""
        rows = self.find(table, limit=1, **where)
        return rows[0] if rows else None

    def update(self, table: str, where: Mapping[str, Any], **columns: Any) -> int:
        """Change rows that equal ``where``; returns how many. With 0 somebody else was first."""
        row = _packed(columns)
        clause, values = _clause(where)
        names = ", ".join(f"{name}=?" for name in row)
        return self.execute(f"UPDATE {table} SET {names} {clause}", (*row.values(), *values)).rowcount  # noqa: S608

    def delete(self, table: str, **where: Any) -> int:
        """Remove rows that equal ``where``; returns how many."""
        clause, values = _clause(where)
        return self.execute(f"DELETE FROM {table} {clause}", values).rowcount  # noqa: S608

    def meta(self, name: str, default: str) -> str:
        """A value kept under a name; the default is kept when there was none."""
        self.execute("INSERT OR IGNORE INTO meta (name, value) VALUES (?, ?)", (name, default))
        row = self.get("meta", name=name)
        return str(row["value"]) if row else default

    def reset(self) -> None:
        """Forget what happened; registrations stay, since the third party holds their credentials."""
        for table in TABLES:
            if table not in ("registrations", "meta"):
                self.execute(f"DELETE FROM {table}")  # noqa: S608

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def _packed(columns: Mapping[str, Any]) -> Row:
    return {
        name: json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value
        for name, value in columns.items()
    }


def _unpacked(row: sqlite3.Row) -> Row:
    return {**dict(row), "data": json.loads(row["data"])}


def _clause(where: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
    tests = " AND ".join(f"{name} IS ?" for name in where)
    return (f"WHERE {tests}" if tests else ""), tuple(where.values())
