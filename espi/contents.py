"""What documents say, as it can be read more than once: a file of one customer's, or his part of a file of many.

A file of many customers is read to its end before anything of it is used; what it says lies, customer by customer, in a
file without a name until all of them have been served. In memory is only where each of its resources lies.
"""

import hashlib
import heapq
import pickle
from array import array
from collections import defaultdict
from collections.abc import Iterator
from typing import BinaryIO, Self
from urllib.parse import unquote

from espi import links, parse, resources, temporary
from espi.atom import DocumentRefused

_CHUNK = 1 << 20
# What readings mean, and where clocks change, is everybody's; so is an element that is unknown in one of these.
EVERYBODYS = (
    resources.ReadingType,
    resources.LocalTimeParameters,
    resources.ProgramIdMappings,
    resources.Unknown,
)


def owner(resource: resources.Resource) -> str:
    """The id of the subscription that a resource names; "" for none."""
    return unquote(links.subscription_id(resource.entry))


class Whole:
    """A document that is read as it is."""

    is_shared = False

    def __init__(self, file: BinaryIO) -> None:
        """`file` can be read again."""
        self.file = file

    def digest(self) -> tuple[str, int]:
        """SHA-256 and size in bytes. Raises DocumentRefused when it is empty."""
        return digest(self.file)

    def resources(self) -> Iterator[resources.Resource]:
        """All of it, in its order. Raises DocumentRefused, possibly after some have been given."""
        self.file.seek(0)
        return parse.read(self.file)


class Split:
    """A document of many customers, after it was read once. To be closed."""

    def __init__(self, file: BinaryIO) -> None:
        """Raises DocumentRefused when it cannot be read to its end."""
        self.file, self.count = file, 0
        self.sha256, self.size = digest(file)
        self._lies: dict[str, array[int]] = defaultdict(lambda: array("q"))  # places in `_pieces`, by subscription
        self._everybodys = array("q")
        self._pieces = temporary.file()
        self.has_readings = False
        try:
            self._divide()
        except BaseException:
            self._pieces.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._pieces.close()

    @property
    def named(self) -> set[str]:
        """The ids of the subscriptions that it names."""
        return set(self._lies)

    def part(self, subscription_id: str) -> "Part":
        """What it says of one of them, and of everybody."""
        return Part(self, unquote(subscription_id))

    def places(self, subscription_id: str) -> Iterator[int]:
        """Where that lies, in the order of the document."""
        return heapq.merge(self._lies.get(subscription_id, ()), self._everybodys)

    def at(self, place: int) -> resources.Resource:
        """What lies there."""
        self._pieces.seek(place)
        found: resources.Resource = pickle.load(self._pieces)  # noqa: S301  # nobody else can open the file
        return found

    def is_shared_by_others(self, subscription_id: str) -> bool:
        """Whether it holds something that belongs neither to that subscription nor to everybody."""
        return self.count > len(self._lies.get(subscription_id, ())) + len(self._everybodys)

    def _divide(self) -> None:
        for resource in parse.read(self.file):
            self.count += 1
            self.has_readings |= isinstance(resource, resources.IntervalBlock)
            name = owner(resource)
            if name:
                lies = self._lies[name]
            elif isinstance(resource, EVERYBODYS):
                lies = self._everybodys
            else:
                continue  # nobody's
            lies.append(self._pieces.tell())
            pickle.dump(resource, self._pieces, pickle.HIGHEST_PROTOCOL)


class Part:
    """One customer's part of a document of many."""

    def __init__(self, split: Split, subscription_id: str) -> None:
        self.file, self.is_shared = split.file, split.is_shared_by_others(subscription_id)
        self._split, self._subscription_id = split, subscription_id

    def digest(self) -> tuple[str, int]:
        """SHA-256 and size in bytes, of the whole document."""
        return self._split.sha256, self._split.size

    def resources(self) -> Iterator[resources.Resource]:
        """What is his and what is everybody's, in the order of the document."""
        return map(self._split.at, self._split.places(self._subscription_id))


Content = Whole | Part


def digest(file: BinaryIO) -> tuple[str, int]:
    """SHA-256 and size of a file, which is then at its beginning again. Raises DocumentRefused when it is empty."""
    found, size = hashlib.sha256(), 0
    file.seek(0)
    while chunk := file.read(_CHUNK):
        found.update(chunk)
        size += len(chunk)
    if not size:
        raise DocumentRefused("The file is empty.")
    file.seek(0)
    return found.hexdigest(), size
