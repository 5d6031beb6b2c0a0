"""The cache in Redis, with an end to its patience: no page waits for it, and none fails because it is away.

Limits on how often somebody may do a thing live in it. While Redis does not answer, each process counts by itself.
What it holds is JSON: Django's own way is pickle, and whoever could write into Redis could run code here.
"""

import functools
import json
import time
from collections.abc import Callable
from typing import Any

from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

PATIENCE = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5, "retry": Retry(NoBackoff(), 0)}
LEFT_ALONE_FOR = 15.0  # seconds, after it did not answer
MOST_OF_OURS = 100_000  # then old ones go: of Django's 300 a stranger could push out anybody's count
LIFE = 3600  # seconds of what is counted meanwhile


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


class ImpatientCache(RedisCache):
    """Redis, or the memory of this process while Redis does not answer."""

    away_until = 0.0  # of the process: Django makes one of these for each thread

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, {**params, "OPTIONS": PATIENCE | params.get("OPTIONS", {})})
        self.ours = LocMemCache("while redis is away", {"max_entries": MOST_OF_OURS})  # one, by its name

    def first_there(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Ask Redis; ask ourselves if it does not answer, or did not a moment ago."""
        if time.monotonic() >= self.away_until:
            try:
                if name == "incr":
                    super().add(args[0], 0, LIFE)  # it may have been added here, while Redis was away
                return getattr(super(), name)(*args, **kwargs)
            except (RedisError, OSError):
                ImpatientCache.away_until = time.monotonic() + LEFT_ALONE_FOR
        if name == "incr":
            self.ours.add(args[0], 0, LIFE)  # what was counted there begins anew
        return getattr(self.ours, name)(*args, **kwargs)


def _guarded(name: str) -> Callable[..., Any]:
    @functools.wraps(getattr(RedisCache, name))
    def method(self: ImpatientCache, *args: Any, **kwargs: Any) -> Any:
        return self.first_there(name, *args, **kwargs)

    return method


for _name in (
    "add",
    "get",
    "set",
    "touch",
    "delete",
    "get_many",
    "set_many",
    "delete_many",
    "has_key",
    "incr",
    "clear",
):
    setattr(ImpatientCache, _name, _guarded(_name))
