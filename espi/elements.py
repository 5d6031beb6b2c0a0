"""Elements of a resource <-> plain JSON values, and from these to typed fields. Nothing that was said is lost on the way.

An element becomes its text, or an object of its children by local name, in their order; a name that comes again holds a
list. Attributes are `@name`, text beside them or beside children `#text`. A child of a foreign namespace keeps it:
`{http://example.org}name`. What an XML library writes for itself (`xsi:type`, `xsi:schemaLocation`) is left out.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from lxml import etree

from espi import numbers
from espi.shapes import ANYTHING, NOTHING, Shape

Understood = TypeVar("Understood")
TEXT = "#text"
_INSTANCE = "{http://www.w3.org/2001/XMLSchema-instance}"


def as_json(element: etree._Element, *, integers: bool = True) -> Any:
    """An element as JSON. With `integers`, what is written like a plain integer becomes one; all else stays text."""
    said: dict[str, Any] = {}
    for attribute, value in element.items():
        if not (name := str(attribute)).startswith(_INSTANCE):
            said[f"@{name}"] = value
    space, text = element.tag.rpartition("}")[0], (element.text or "").strip()
    for child in element.iterchildren("*"):
        found, _, name = child.tag.rpartition("}")
        _add(said, name if found == space else child.tag, as_json(child, integers=integers))
        if (tail := child.tail) and not tail.isspace():
            text = f"{text} {tail.strip()}".lstrip()
    if not said:
        return _plain(text) if integers else text
    return said | {TEXT: text} if text else said


def _add(said: dict[str, Any], name: str, value: Any) -> None:
    if name not in said:
        said[name] = value
    elif isinstance(said[name], list):
        said[name].append(value)
    else:
        said[name] = [said[name], value]


def _plain(text: str) -> int | str:
    digits = text.removeprefix("-")
    if not digits.isdecimal() or len(digits) > 18 or not digits.isascii():
        return text
    return text if digits[0] == "0" and text != "0" else int(text)


def unknown(said: Any, shape: Shape, path: str) -> Iterator[str]:
    """The paths of what the standard, and the dialects we know, have no name for."""
    if not isinstance(said, dict) or shape is ANYTHING:
        return
    for name, value in said.items():
        inner = NOTHING if name == TEXT and not shape else shape.get(name.lower())
        if inner is None:
            yield f"{path}/{name}"
        elif isinstance(value, dict | list):
            for each in value if isinstance(value, list) else [value]:
                yield from unknown(each, inner, f"{path}/{name}")


class Fields:
    """What a resource says, from which fields are taken out as they are understood; `rest` is what nobody took.

    Paths are names with slashes between them, in any mixture of small and capital letters (Con Edison V1 mixes them; its
    contract, 9). Of a name that comes again the first is taken.
    """

    def __init__(self, said: Any) -> None:
        self.rest: dict[str, Any] = dict(said) if isinstance(said, dict) else {TEXT: said} if said != "" else {}
        self._keys = {key.lower(): key for key in reversed(self.rest)}

    def peek(self, path: str) -> str:
        """The text at a path, left where it is; "" when there is none."""
        name, *inner = path.split("/")
        value = _first(self.rest.get(self._keys.get(name.lower(), ""), ""))
        for each in inner:
            key = _key(value, each)
            value = _first(value[key]) if key is not None else ""
        text = value.get(TEXT, "") if isinstance(value, dict) else value
        return str(text)

    def take(self, path: str, understand: Callable[[str], Understood | None]) -> Understood | None:
        """The text at a path as `understand` reads it. It stays among the rest when that is None."""
        found = understand(text) if (text := self.peek(path)) else None
        if found is not None or not text:
            self.drop(path)
        return found

    def text(self, path: str, most: int = 255) -> str:
        """The text at a path; of one that is longer the beginning, and the whole of it stays among the rest."""
        found = self.peek(path)
        if len(found) <= most:
            self.drop(path)
        return found[:most]

    def integer(self, path: str, within: range = numbers.INT64) -> int | None:
        """The integer at a path."""
        found = self.rest.get(path)
        if type(found) is int and found in within:  # as most are written
            return self.rest.pop(path)
        return self.take(path, lambda text: numbers.integer(text, within))

    def code(self, path: str) -> int | None:
        """The code of one of the standard's lists at a path."""
        return self.integer(path, numbers.INT16)

    def epoch(self, path: str) -> int | None:
        """Epoch seconds of the instant at a path."""
        return self.take(path, numbers.epoch)

    def under(self, path: str) -> list[Any]:
        """Everything at a path, in order, left where it is."""
        value: Any = self.rest
        for name in path.split("/"):
            value = _first(value)
            key = _key(value, name)
            value = value[key] if key is not None else []
        return value if isinstance(value, list) else [value]

    def all(self, path: str) -> list[Any]:
        """Everything under a name of the first level, in order."""
        found = self.rest.pop(self._keys.get(path.lower(), ""), [])
        return found if isinstance(found, list) else [found]

    def drop(self, path: str) -> None:
        """Take out the text at a path, and what it leaves empty."""
        key = self._keys.get(path.lower())
        if key is not None and not isinstance(self.rest.get(key), dict | list):
            self.rest.pop(key, None)
        elif "/" in path or key is not None:
            self.rest = _without(self.rest, path.split("/"))


def _key(said: Any, name: str) -> str | None:
    if not isinstance(said, dict):
        return None
    if name in said:
        return name
    small = name.lower()
    return next((key for key in said if key.lower() == small), None)


def _first(value: Any) -> Any:
    return next(iter(value), "") if isinstance(value, list) else value


def _without(said: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """A copy without the text at a path: what was said may be read again."""
    key = _key(said, names[0])
    if key is None:
        return said
    first, *others = said[key] if isinstance(said[key], list) else [said[key]]
    if isinstance(first, dict):
        left: Any = _without(first, names[1:]) if names[1:] else {k: v for k, v in first.items() if k != TEXT}
    else:
        left = first if names[1:] else ""
    kept = ([left] if left not in ({}, "") else []) + others
    if not kept:
        return {name: value for name, value in said.items() if name != key}
    return said | {key: kept if len(kept) > 1 else kept[0]}
