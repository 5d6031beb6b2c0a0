"""How much one person may ask of the site at once. Counted in the cache, which every process shares."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.cache import cache

UPLOADS_AN_HOUR = 20
LONGEST_UPLOAD = 600  # seconds, arrival of the file included; after that a lost process no longer stands in the way
EXPORTS_AN_HOUR = 6
API_CALLS_AN_HOUR = 1000
WRONG_TOKENS_AN_HOUR = 100  # per address
HOUR = 3600


class TooMany(Exception):
    """More than is allowed; `retry_after` seconds from now there is room again."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


@contextmanager
def one_upload(user_id: int) -> Iterator[None]:
    """The only upload of this user while it lasts, and one of UPLOADS_AN_HOUR. Raises TooMany."""
    _count(f"uploads:{user_id}", UPLOADS_AN_HOUR)
    key, mine = f"upload:{user_id}", uuid.uuid4().hex
    if not cache.add(key, mine, timeout=LONGEST_UPLOAD):
        raise TooMany(60)
    try:
        yield
    finally:
        if cache.get(key) == mine:
            cache.delete(key)


def one_export(user_id: int) -> None:
    """One of EXPORTS_AN_HOUR of this user. Raises TooMany."""
    _count(f"exports:{user_id}", EXPORTS_AN_HOUR)


def one_api_call(user_id: int) -> None:
    """One of API_CALLS_AN_HOUR of this user, whatever token he uses. Raises TooMany."""
    _count(f"api:{user_id}", API_CALLS_AN_HOUR)


def one_wrong_token(address: str) -> None:
    """One of WRONG_TOKENS_AN_HOUR that came from this address. Raises TooMany."""
    _count(f"wrong-tokens:{address}", WRONG_TOKENS_AN_HOUR)


def _count(what: str, most: int) -> None:
    hour, seconds = divmod(int(time.time()), HOUR)
    key = f"{what}:{hour}"
    cache.add(key, 0, timeout=2 * HOUR)
    if cache.incr(key) > most:
        raise TooMany(HOUR - seconds)
