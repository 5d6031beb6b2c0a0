"""Numbers, money, days and hours, written as the reader's language writes them.

The language is the active one (`django.utils.translation`). Days and times are the meter's own: whoever calls has put
them into its time zone.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache, wraps
from math import gcd
from zoneinfo import ZoneInfo

from babel.dates import get_timezone_name
from django.utils.formats import date_format, get_format, time_format
from django.utils.translation import get_language, pgettext, to_locale
from django.utils.translation import gettext as _

from espi import words

FINEST = 3  # decimals
LARGEST_WRITTEN_OUT = 15  # powers of ten; beyond, a nonsense reading would break the page's layout
HUNDRED_THOUSANDTHS = -5  # what costs are counted in
US_DOLLAR, CANADIAN_DOLLAR = 840, 124  # ISO 4217


def number(amount: Decimal, places: int | None = None) -> str:
    """`1,234.5`: with `places` decimals; without it at most three, and no zeros at the end."""
    if amount.adjusted() > LARGEST_WRITTEN_OUT:
        return f"{amount:.3E}"
    rounded = rounded_to(amount, FINEST if places is None else places)
    decimals = _decimals(rounded) if places is None else places
    return f"{rounded:,.{decimals}f}".translate(_separators(get_language()))


@lru_cache
def _separators(language: str | None) -> dict[int, str]:
    """From Python's separators to those of a language; Django's own way takes ten times as long."""
    return str.maketrans(
        {",": str(get_format("THOUSAND_SEPARATOR", language)), ".": str(get_format("DECIMAL_SEPARATOR", language))}
    )


def wholes(values: Iterable[int | None], exponent: int, places: int) -> list[str]:
    """What `number` writes of each, times 10 ^ `exponent`, for tables of hundreds of them; nothing for None."""
    separators = _separators(get_language())
    return ["" if value is None else _whole(value, exponent, places, separators) for value in values]


def _whole(value: int, exponent: int, places: int, separators: dict[int, str]) -> str:
    shift = -exponent - places
    if shift < 0 or len(str(value)) + exponent > LARGEST_WRITTEN_OUT:
        return number(Decimal(value).scaleb(exponent), places)
    units, rest = divmod((abs(value) + 10**shift // 2) // 10**shift, 10**places)
    text = f"{units:,}.{rest:0{places}d}" if places else f"{units:,}"
    sign = "-" if value < 0 and (units or rest) else ""
    return sign + text.translate(separators)


def about(amount: Decimal) -> str:
    """`1,235`, `123.5`, `1.235`: a number in a sentence, of four digits or so."""
    return number(rounded_to(amount, places_for(amount)))


def places_for(amount: Decimal) -> int:
    """How many decimals tell something beside a number of that size."""
    return max(0, min(FINEST, FINEST - max(0, amount.adjusted()))) if amount else 0


def rounded_to(amount: Decimal, places: int) -> Decimal:
    """Half away from zero; never a negative zero."""
    return amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP) + 0


def places_of(amounts: Iterable[Decimal]) -> int:
    """How many decimals a column of numbers needs to be written alike: at most three, fewer beside large ones."""
    written = [rounded_to(amount, FINEST) for amount in amounts if amount.adjusted() <= LARGEST_WRITTEN_OUT]
    largest = max(map(abs, written), default=Decimal(0))
    return min(max(map(_decimals, written), default=0), max(1, places_for(largest) + 1))


def places_of_whole(values: Iterable[int], exponent: int) -> int:
    """The same for integers times 10 ^ `exponent`."""
    shift = -exponent - FINEST
    if shift < 0:
        return places_of(Decimal(value).scaleb(exponent) for value in values)
    half, unit = 10**shift // 2, 10**shift
    longest = LARGEST_WRITTEN_OUT + 1 - exponent
    written = [(abs(value) + half) // unit for value in values if len(str(abs(value))) <= longest]
    common = gcd(*written)
    decimals = next((FINEST - zeros for zeros in range(FINEST) if common % 10 ** (zeros + 1)), 0)
    return min(decimals, max(1, places_for(Decimal(max(written, default=0)).scaleb(-FINEST)) + 1))


def _decimals(amount: Decimal) -> int:
    exponent = amount.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def percent(share: Decimal) -> str:
    """`4%` for 0.04: a whole number without a sign."""
    return _("{number}%").format(number=number(abs(share) * 100, 0))


def money(amount: Decimal, currency: int | None) -> str:
    """`$131.27`; `currency` is a number of ISO 4217, None where nobody said which money it is."""
    text, sign = number(abs(amount), 2), "-" if amount < 0 else ""
    if currency == US_DOLLAR:
        # Translators: US dollars. In Canadian French this is written "{amount} $ US".
        return sign + pgettext("US dollars", "${amount}").format(amount=text)
    if currency == CANADIAN_DOLLAR:
        # Translators: Canadian dollars. In Canadian French this is written "{amount} $".
        return sign + pgettext("Canadian dollars", "CA${amount}").format(amount=text)
    return f"{sign}{text} {currency_code(currency)}"


def cost(stored: int) -> Decimal:
    """Units of the currency, of hundred-thousandths."""
    return Decimal(stored).scaleb(HUNDRED_THOUSANDTHS)


def currency_code(number_of_currency: int | None) -> str:
    """`USD` for 840; words for a code we do not know, and for none."""
    if number_of_currency is None:
        return _("currency not stated")
    unknown = _("currency number {number}").format(number=number_of_currency)
    return words.CURRENCIES.get(number_of_currency, unknown)


def remembered(write: Callable[[date], str]) -> Callable[[date], str]:
    """A page writes the same days many times. By their number: instants of different clocks can be equal."""

    @lru_cache(maxsize=4096)
    def written(ordinal: int, language: str | None) -> str:
        return write(date.fromordinal(ordinal))

    return wraps(write)(lambda moment: written(moment.toordinal(), get_language()))


@remembered
def day(moment: date) -> str:
    """`March 14, 2025`."""
    return date_format(moment, "DATE_FORMAT")


@remembered
def weekday_and_day(moment: date) -> str:
    """`Friday, March 14, 2025`."""
    # Translators: a weekday and a date, as in "Friday, March 14, 2025".
    return _("{weekday}, {date}").format(weekday=date_format(moment, "l"), date=day(moment))


@remembered
def day_of_year(moment: date) -> str:
    """`Fri, Mar 14`: a day where the year is known."""
    # Translators: a short weekday and a day of a month, as in "Fri, Mar 14".
    return _("{weekday}, {day}").format(weekday=date_format(moment, "D"), day=date_format(moment, "MONTH_DAY_FORMAT"))


@remembered
def weekday_and_number(moment: date) -> str:
    """`Fri 14`: a day under a picture."""
    return f"{date_format(moment, 'D')} {moment.day}"


def short_span(first: date, last: date) -> str:
    """`Mar 10 to Apr 9, 2025`; with both years where they differ."""
    is_one_year = first.year == last.year
    begin = date_format(first, "MONTH_DAY_FORMAT" if is_one_year else "SHORT_DATE_FORMAT")
    return from_to(begin, date_format(last, "SHORT_DATE_FORMAT"))


@remembered
def month(moment: date) -> str:
    """`March 2025`."""
    return date_format(moment, "YEAR_MONTH_FORMAT")


@remembered
def short_month(moment: date) -> str:
    """`Mar`; in other languages than English three letters do not tell all months apart: `juin`, `juil.`"""
    return date_format(moment, "M" if (get_language() or "en").startswith("en") else "N")


def clock(moment: datetime) -> str:
    """`15:00`: the time of day."""
    return _clock(moment.hour, moment.minute, get_language())


@lru_cache(maxsize=4096)
def _clock(hours: int, minutes: int, language: str | None) -> str:
    return time_format(time(hours, minutes), "TIME_FORMAT")


def hour(number_of_hour: int) -> str:
    """The beginning of an hour of the day, 0 to 23."""
    return _clock(number_of_hour, 0, get_language())


def zone(name: str) -> str:
    """`Pacific Time` for America/Los_Angeles; a zone without a name for people, such as Etc/GMT+5, by its own."""
    return _zone(name, to_locale(get_language() or "en"))


@lru_cache(maxsize=256)
def _zone(name: str, locale: str) -> str:
    if "/" not in name or name.startswith("Etc/"):
        return name
    return get_timezone_name(ZoneInfo(name), zone_variant="generic", locale=locale)


def from_to(first: str, last: str) -> str:
    """`March 10 to March 16`."""
    return _("{first} to {last}").format(first=first, last=last)
