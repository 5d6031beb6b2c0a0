"""The UtilityAPI platform's scope string: what a third party asks for, and what the customer granted.

Source: https://utilityapi.com/docs/greenbutton/scope and .../oauth; `auth-lastbill` and `auth-test` from
https://utilityapi.com/docs/utilities/essex. Only blocks 4, 16, 39 and 51 are honoured; the rest is accepted and ignored.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

USAGE, BILLS, NOTIFICATIONS, DETAILS = 4, 16, 39, 51
HONOURED = (USAGE, BILLS, NOTIFICATIONS, DETAILS)
DEFAULT_HISTORY = 63072000
_OPTION_PREFIXES = ("auth-", "historical-", "ongoing-", "meters-", "sou-", "noedit")
_FREQUENCIES = ("billingperiod", "daily", "monthly", "seasonal", "weekly")
_DATED = re.compile(r"(historical|ongoing)-(none|\d{4}-\d{2}-\d{2})")
_AUTH = re.compile(r"auth-([A-Za-z0-9]+)(?:-(.+))?")
_NUMBERS = re.compile(r"\d+(_\d+)*")


class InvalidScope(ValueError):
    """The scope of an authorize request does not follow the documented grammar."""


@dataclass(frozen=True)
class Scope:
    """A request, read. `auth` holds (type, value) pairs in order; `history` is seconds, `end_date` epoch seconds or None."""

    blocks: tuple[int, ...] = (USAGE, BILLS, NOTIFICATIONS, DETAILS)
    history: int = DEFAULT_HISTORY
    end_date: int | None = None
    frequency: str = "billingPeriod"
    auth: tuple[tuple[str, str], ...] = ()
    editable: bool = True

    def wants(self, block: int) -> bool:
        return block in self.blocks


def options(text: str) -> list[str]:
    """AdditionalScope to its options: `_` separates them and also stands inside scenario names."""
    found: list[str] = []
    for piece in text.split("_"):
        if piece.startswith(_OPTION_PREFIXES) or not found:
            found.append(piece)
        else:
            found[-1] += f"_{piece}"
    return found


def _additional(scope: Scope, text: str) -> Scope:
    for option in options(text):
        auth = _AUTH.fullmatch(option)
        if auth:
            scope = replace(scope, auth=(*scope.auth, (auth[1], auth[2] or "")))
        elif option == "noedit":
            scope = replace(scope, editable=False)
        elif option not in ("meters-all", "sou-default") and not _DATED.fullmatch(option):
            raise InvalidScope(f"AdditionalScope has an unknown option: {option[:60]}")
    return scope


def _whole(key: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 15:
        raise InvalidScope(f"{key} is not a number")
    return int(value)


def _term(scope: Scope, key: str, value: str) -> Scope:
    if key == "HistoryLength":
        return replace(scope, history=_whole(key, value))
    if key == "PreferredAuthEndDate":
        return replace(scope, end_date=_whole(key, value))
    if key == "SubscriptionFrequency":
        if value.lower() not in _FREQUENCIES and not value.isdigit():
            raise InvalidScope("SubscriptionFrequency is unknown")
        return replace(scope, frequency=value)
    if key == "AdditionalScope":
        return _additional(scope, value)
    # One client sends IntervalDuration in its request without harm, though only the final scope is documented to have it.
    if key in ("IntervalDuration", "BlockDuration", "AccountCollection", "BR"):
        return scope
    raise InvalidScope(f"unknown term {key[:40]}")


def parse(text: str) -> Scope:
    """The scope of an authorize request; InvalidScope says what is wrong. FB must come first and have a number."""
    terms = text.removesuffix(";").split(";")
    head, _, numbers = terms[0].partition("=")
    if head != "FB" or not _NUMBERS.fullmatch(numbers):
        raise InvalidScope("the scope must begin with FB= and at least one function block number")
    scope = Scope(blocks=tuple(dict.fromkeys(int(number) for number in numbers.split("_"))))
    for term in terms[1:]:
        key, equals, value = term.partition("=")
        if not equals or not value:
            raise InvalidScope(f"the term {term[:40]} has no value")
        scope = _term(scope, key, value)
    return scope


def granted(blocks: Iterable[int], history: int, frequency: str, meters: int, interval: int) -> str:
    """The scope returned with the tokens: authoritative, with blocks and terms the request never named."""
    chosen = set(blocks) & set(HONOURED)
    informational = {1, 3, 13, 14, 18, 19, 35}
    if USAGE in chosen:
        informational |= {5}
    numbers = "_".join(str(block) for block in sorted(chosen | informational))
    return (
        f"FB={numbers};IntervalDuration={interval};BlockDuration=daily;HistoryLength={history};"
        f"SubscriptionFrequency={frequency};AccountCollection={meters}"
    )
