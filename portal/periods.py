"""The stretch of local time a usage page shows: a day, a week, a month or a year of the meter's own calendar."""

from __future__ import annotations  # a period leads to others

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

from django.utils.translation import gettext as _

from portal import writing

NAMES = ("day", "week", "month", "year")
EARLIEST = date(1990, 1, 1)
LATEST = date(2100, 12, 31)
ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class BadPeriod(ValueError):
    """What was wrong with the period asked for, in words for the person who asked."""


@dataclass(frozen=True)
class Period:
    """`name` is one of NAMES; `first` is its first local day, `end` the first local day after it."""

    name: str
    first: date
    end: date

    @cached_property
    def days(self) -> list[date]:
        """Every local day of it."""
        return [self.first + timedelta(days=number) for number in range((self.end - self.first).days)]

    @property
    def months(self) -> list[tuple[date, date]]:
        """(first day, first day after) of every calendar month of it."""
        starts = [day for day in self.days if day.day == 1]
        return list(zip(starts, [*starts[1:], self.end], strict=True))

    @property
    def title(self) -> str:
        """The period in words: `Friday, March 14, 2025`, `March 10, 2025 to March 16, 2025`, `March 2025`, `2025`."""
        if self.name == "day":
            return writing.weekday_and_day(self.first)
        if self.name == "week":
            return writing.from_to(writing.day(self.first), writing.day(self.end - timedelta(days=1)))
        return writing.month(self.first) if self.name == "month" else str(self.first.year)

    @property
    def before(self) -> Period:
        """The same days a year earlier: of a month or a year; a week begins on the same date."""
        year = self.first.year - 1
        return Period(self.name, same_day(self.first, year), same_day(self.end, year + self.end.year - self.first.year))

    def previous(self) -> Period | None:
        """The one before; None before the earliest date we show."""
        return of(self.name, self.first - timedelta(days=1)) if self.first > EARLIEST else None

    def next(self) -> Period | None:
        """The one after; None after the latest date we show."""
        return of(self.name, self.end) if self.end <= LATEST else None


def same_day(day: date, year: int) -> date:
    """The day of that month and number in another year; of February 29th the 28th."""
    return day.replace(year=year, day=28) if (day.month, day.day) == (2, 29) else day.replace(year=year)


def of(name: str, day: date) -> Period:
    """The period of that name that holds `day`. Weeks begin on Monday."""
    if name == "day":
        return Period(name, day, day + timedelta(days=1))
    if name == "week":
        monday = day - timedelta(days=day.weekday())
        return Period(name, monday, monday + timedelta(days=7))
    if name == "month":
        first = day.replace(day=1)
        return Period(name, first, first + timedelta(days=calendar.monthrange(day.year, day.month)[1]))
    return Period("year", date(day.year, 1, 1), date(day.year + 1, 1, 1))


def asked(name: str, text: str, *, default: date, default_name: str = "month") -> Period:
    """The period a page's address asks for; empty texts mean the defaults. Raises BadPeriod."""
    name = name or default_name
    if name not in NAMES:
        raise BadPeriod(_("The period must be a day, a week, a month or a year."))
    if not text:
        return of(name, default)
    if not ISO_DATE.fullmatch(text):
        raise BadPeriod(_("The date must be written as year-month-day, for example 2025-03-14."))
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadPeriod(_("There is no such date in the calendar.")) from None
    if not EARLIEST <= day <= LATEST:
        raise BadPeriod(
            _("The date must lie between {first} and {last}.").format(first=EARLIEST.year, last=LATEST.year)
        )
    return of(name, day)


def one_of(names: Sequence[str], period: Period) -> Period:
    """The period, if it is one of these. Raises BadPeriod."""
    if period.name not in names:
        raise BadPeriod(_("This page shows a week, a month or a year."))
    return period
