"""Elements of a document without prefixes, as two of the platforms write them."""

from collections.abc import Sequence
from xml.sax.saxutils import escape


def nested(body: Sequence[tuple[str, object]]) -> str:
    """Elements one after the other; a value that is itself a list becomes nested elements, None is left out."""
    parts = []
    for tag, value in body:
        if value is None:
            continue
        parts.append(f"<{tag}>{nested(value) if isinstance(value, list) else escape(str(value))}</{tag}>")
    return "".join(parts)
