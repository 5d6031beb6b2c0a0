"""Numbers and times as documents write them. Exact or not at all: no floats."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Context, Decimal, InvalidOperation, localcontext
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

INT64 = range(-(2**63), 2**63)
INT16 = range(-(2**15), 2**15)
# Instants a meter can have been read at; anything else is a mistake or an attack.
EARLIEST = int(datetime(1990, 1, 1, tzinfo=UTC).timestamp())
LATEST = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
LONGEST = 5 * 366 * 86400
DIGITS = 19  # that a stored value can have
LONGEST_TIME = 64  # characters of a written time: what is remembered must not grow with what a document says
# UnitMultiplierKind; PG&E also sends -8 and -5, and ours go down to -18 where decimals came.
MULTIPLIERS = range(-18, 13)
MONEY = -5  # power of ten of amounts of money: hundred-thousandths
MILLISECONDS = 10**11  # above this an epoch is in milliseconds

EXACT = Context(prec=200)  # enough for every sum of 19 digits before and 18 after the point

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,19}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})")
_INTEGERS = re.compile(r"-?[0-9]{1,18}(?:,-?[0-9]{1,18})*")
_DECIMALS = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:,-?[0-9]{1,18}(?:\.[0-9]{1,18})?)*")
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?\s*(Z|z|[+-]\d\d:?\d\d)?", re.ASCII
)


def integer(text: str | None, within: range = INT64) -> int | None:
    """A decimal integer inside a range; None for anything else."""
    stripped = (text or "").strip()
    if not _INTEGER.fullmatch(stripped):
        return None
    number = int(stripped)
    return number if number in within else None


def hexadecimal(text: str) -> int | None:
    """A number of eight hexadecimal digits, as DstRuleType writes it; None for anything else."""
    return int(text, 16) if re.fullmatch(r"[0-9A-Fa-f]{8}", text) else None


def integers(column: list[str]) -> list[int] | None:
    """A whole column at once, when every text is a plain integer of up to 18 digits; otherwise None."""
    times = 1
    if column and column[0] == column[-1] and column.count(column[0]) == len(column):
        column, times = column[:1], len(column)  # durations and qualities mostly are all the same
    together = "".join(column)
    if not (together.isascii() and together.isdigit()) and not _INTEGERS.fullmatch(",".join(column)):
        return None
    try:
        found = list(map(int, column))
    except ValueError:  # an empty text, or thousands of digits
        return None
    return found * times if found and max(found) < 10**18 else None


def converted(column: list[str]) -> list[int] | None:
    """A column of numbers at once, each an integer of up to 18 digits or a decimal number; None when one is decimal."""
    times = 1
    if column and column[0] == column[-1] and column.count(column[0]) == len(column):
        column, times = column[:1], len(column)
    try:
        return list(map(int, column)) * times
    except ValueError:
        return None


def decimals(column: list[str]) -> list[Decimal] | None:
    """A whole column at once, when every text is a plain decimal number; otherwise None."""
    try:
        return list(map(Decimal, column)) if _DECIMALS.fullmatch(",".join(column)) else None
    except InvalidOperation:  # a text with a comma of its own
        return None


def total(values: Iterable[int | Decimal]) -> int | Decimal:
    """The exact sum of integers and Decimals."""
    with localcontext(EXACT):
        return sum(values)


def number(text: str | None) -> int | Decimal | None:
    """An integer, or an exact Decimal when there is a decimal point; None for NaN, exponents and other words."""
    stripped = (text or "").strip()
    if _INTEGER.fullmatch(stripped):
        return integer(stripped)
    return Decimal(stripped) if _DECIMAL.fullmatch(stripped) else None


def exact(value: int, exponent: int) -> str:
    """`value` times 10 ** `exponent` as a plain decimal: no exponent, no thousands, no zeros at the end of a fraction."""
    if exponent >= 0:
        return f"{value}{'0' * exponent}" if value else "0"
    digits = str(abs(value)).rjust(1 - exponent, "0")
    whole, fraction = digits[:exponent], digits[exponent:].rstrip("0")
    sign = "-" if value < 0 else ""
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def epoch(text: str | None) -> int | None:
    """Epoch seconds of an instant written in seconds, in milliseconds or with a fraction; None if out of range."""
    found = number(text)
    if found is None:
        return None
    seconds = int(found)
    if abs(seconds) >= MILLISECONDS:
        seconds //= 1000
    return seconds if EARLIEST <= seconds < LATEST else None


def instant(text: str | None) -> datetime | None:
    """An Atom time as aware UTC: many fraction digits, a bare date, no zone (then UTC); None if unreadable or too long."""
    stripped = (text or "").strip()
    return _instant(stripped) if len(stripped) <= LONGEST_TIME else None


@lru_cache(maxsize=1024)  # most entries of a document were published at once
def _instant(text: str) -> datetime | None:
    moment, zone = _moment(text)
    if moment is None:
        return None
    try:
        return moment.replace(tzinfo=zone or UTC).astimezone(UTC)
    except OverflowError:
        return None


def local_time(text: str | None) -> datetime | None:
    """A time written without a zone, naive; None if it is no time or names a zone."""
    moment, zone = _moment(text)
    return moment if zone is None else None


def _moment(text: str | None) -> tuple[datetime | None, timezone | None]:
    found = _TIME.fullmatch((text or "").strip())
    if not found:
        return None, None
    parts = [int(part or 0) for part in found.groups()[:6]]
    micro = int(((found[7] or "") + "000000")[:6])
    try:
        return datetime(*parts, micro), _zone(found[8])  # type: ignore[arg-type,call-arg]  # noqa: DTZ001
    except ValueError:
        return None, None


def _zone(text: str | None) -> timezone | None:
    if not text:
        return None
    if text in "Zz":
        return UTC
    digits = text.replace(":", "")
    offset = timedelta(hours=int(digits[1:3]), minutes=int(digits[3:5]))
    return timezone(-offset if digits[0] == "-" else offset)


def from_epoch(seconds: int) -> datetime:
    """Epoch seconds as aware UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def timestamp(text: str | None) -> datetime | None:
    """An instant as epoch seconds or as an Atom time, whichever was written: aware UTC; None if it is neither."""
    seconds = epoch(text)
    return from_epoch(seconds) if seconds is not None else instant(text)


def local(seconds: int, zone: ZoneInfo) -> str:
    """Epoch seconds as ISO 8601 with the offset of that zone's clock."""
    return from_epoch(seconds).astimezone(zone).isoformat()


def json_integer(value: Any) -> int | None:
    """A JSON value that is an integer; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
