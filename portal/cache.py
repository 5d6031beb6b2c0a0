"""What the shared cache holds: JSON. Django's own way is pickle, and whoever could write into Redis could run code here."""

import json
from typing import Any


class JSONSerializer:
    """Whole numbers as such, so that Redis can count them; anything else as JSON."""

    def dumps(self, value: Any) -> bytes | int:
        """Raises TypeError for what JSON does not know."""
        if type(value) is int:
            return value
        return json.dumps(value).encode()

    def loads(self, data: bytes) -> Any:
        """What `dumps` was given, tuples as lists; None, as if it had never been there, for what nobody of us wrote."""
        try:
            return json.loads(data)
        except ValueError:
            return None
