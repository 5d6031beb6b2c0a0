"""What several documents said of one resource, as one record: of each element what was published last.

An element that a later document leaves out is not taken back by that: what a utility tells depends on what was asked for
and granted (PG&E contract, 9.5). Merging is the same in any order.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from espi.packing import Publication


@dataclass(frozen=True)
class Record:
    """Elements by name (see `espi.elements`), and when each was said, as text that sorts like time.

    `is_dated` is False of a word whose document does not tell when it was said: repeated, it is no later word.
    """

    said: dict[str, Any] = field(default_factory=dict)
    said_at: dict[str, str] = field(default_factory=dict)
    is_dated: bool = field(default=True, compare=False)

    @classmethod
    def of(cls, said: dict[str, Any], publication: Publication) -> "Record":
        """One document's word."""
        at = publication.at.astimezone(UTC).isoformat(timespec="microseconds")
        return cls(said, dict.fromkeys(said, at), publication.is_told)

    def merged(self, other: "Record") -> "Record":
        """Both, element by element the later one."""
        said, said_at = dict(self.said), dict(self.said_at)
        for name, value in other.said.items():
            if not other.is_dated and said.get(name) == value:
                continue
            if name not in said or _rank(other, name) > _rank(self, name):
                said[name], said_at[name] = value, other.said_at.get(name, "")
        return Record(said, said_at)


def _rank(record: Record, name: str) -> tuple[str, str]:
    """What was said later is higher; of two words of the same instant always the same one."""
    return record.said_at.get(name, ""), json.dumps(record.said[name], sort_keys=True, default=str)
