"""Readings that wait for the end of their entry, which may say when they were published: few in memory, many in a file."""

import pickle
from collections.abc import Iterator
from typing import IO

from espi import resources, temporary

_MOST_IN_MEMORY = 20_000  # readings


class Spool:
    """Parts of IntervalBlocks, in their order. Each is read once."""

    def __init__(self) -> None:
        self.parts = 0
        self._few: list[resources.BlockPart] = []
        self._readings = 0
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        return self.parts

    def add(self, part: resources.BlockPart) -> None:
        """Keep a part; a file without a name takes them once they have become many."""
        self.parts += 1
        self._readings += part.columns.written
        self._few.append(part)
        if self._readings > _MOST_IN_MEMORY:
            self._file = self._file or temporary.file()
            for each in self._few:
                pickle.dump(each, self._file, pickle.HIGHEST_PROTOCOL)
            self._few, self._readings = [], 0

    def __iter__(self) -> Iterator[resources.BlockPart]:
        """Every part, from the file first; it is gone then."""
        if self._file:
            with self._file as file:
                end = file.tell()
                file.seek(0)
                while file.tell() < end:
                    yield pickle.load(file)  # noqa: S301  # nobody else can open the file
        yield from self._few
