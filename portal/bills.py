"""A meter's bills, each beside what the meter measured in the same days."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from espi import enums, models, usage
from espi.bills import NO_SERVICE, told_service
from espi.usage import Channel, DayTotal
from espi.zones import day_start
from portal import charts, writing
from portal.charts import Slot, Value
from portal.flows import overview
from portal.pairs import Pair, pairs
from portal.periods import EARLIEST, LATEST

CLOCKS = 7200  # seconds; a period of whole times 86400 s ends an hour off midnight when clocks change within it
MOST = 60  # bills on a page: five years
MOST_DRAWN = 24
LONGEST_NAME = 200  # of a line
LONGEST = timedelta(days=400)  # of a billing period; a longer one is a mistake and is not added up
ITEM_KINDS: dict[int, Promise] = {
    enums.ItemKind.ENERGY_GENERATION_FEE: gettext_lazy("Making the energy"),
    enums.ItemKind.ENERGY_DELIVERY_FEE: gettext_lazy("Bringing the energy to you"),
    enums.ItemKind.ENERGY_USAGE_FEE: gettext_lazy("Energy used"),
    enums.ItemKind.ADMINISTRATIVE_FEE: gettext_lazy("Service fee"),
    enums.ItemKind.TAX: gettext_lazy("Tax"),
    enums.ItemKind.ENERGY_GENERATION_CREDIT: gettext_lazy("Credit for making the energy"),
    enums.ItemKind.ENERGY_DELIVERY_CREDIT: gettext_lazy("Credit for bringing the energy"),
    enums.ItemKind.ADMINISTRATIVE_CREDIT: gettext_lazy("Service credit"),
    enums.ItemKind.PAYMENT: gettext_lazy("Payment"),
    enums.ItemKind.INFORMATION: gettext_lazy("For your information"),
}
MEASURED = gettext_lazy("the meter measured {amount}")


@dataclass(frozen=True)
class Item:
    """A line of a bill as the utility words it."""

    name: str
    amount: str


@dataclass(frozen=True)
class Measured:
    """What the meter measured in the days of a bill: `days` of `of` days have readings from end to end.

    `is_net`: what was used less what was sent out, as most bills of a home with solar panels have it.
    """

    amount: Decimal
    text: str
    days: int
    of: int
    is_net: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether every day is there."""
        return self.days == self.of

    @property
    def note(self) -> str:
        """How much of the period the number covers, if not all of it, and what it is, if not what was used."""
        days = "" if self.is_complete else _("{days} of {all} days").format(days=self.days, all=self.of)
        return ", ".join(filter(None, (_("used less sent out") if self.is_net else "", days)))


@dataclass(frozen=True)
class Bill:
    """One row of the bills table; an empty text means that the utility did not say. `last` is its last day.

    `kind`: what it tells to be for (`espi.bills.told_service`); `service`: that in words, where bills are for several.
    """

    first: date
    last: date | None
    consumption: str
    cost: str
    amount: Decimal | None = None
    unit: charts.Unit | None = None
    measured: Measured | None = None
    daily_cost: str = ""
    items: tuple[Item, ...] = ()
    kind: int | None = None
    service: str = ""

    @property
    def days(self) -> int | None:
        """How long the period is."""
        return (self.last - self.first).days + 1 if self.last else None

    @property
    def period(self) -> str:
        """`Jun 1 to Jun 30, 2025`; with `(Gas)` behind it where the meter has bills for several services."""
        begin = _("From {day}").format(day=writing.day(self.first))
        days = writing.short_span(self.first, self.last) if self.last else begin
        return f"{days} ({self.service})" if self.service else days

    @property
    def length(self) -> str:
        """`30 days`."""
        return ngettext("{count} day", "{count} days", self.days).format(count=self.days) if self.days else ""

    @property
    def anchor(self) -> str:
        """Where its row is on the page."""
        return "-".join(["bill", self.first.isoformat(), *([] if self.kind is None else [str(self.kind)])])

    @property
    def difference(self) -> str:
        """How far the bill is from the meter, in words; nothing where they cannot be compared."""
        if not self.measured or not self.measured.is_complete or self.amount is None or not self.measured.amount:
            return ""
        change = (self.amount - self.measured.amount) / abs(self.measured.amount)
        if abs(change) < Decimal("0.005"):
            return _("the bill agrees")
        if self.measured.amount < 0:
            return ""
        share = writing.percent(change) if abs(change) >= Decimal("0.015") else writing.percent(Decimal("0.01"))
        return (_("the bill says {share} more") if change > 0 else _("the bill says {share} less")).format(share=share)


@dataclass(frozen=True)
class Sort:
    """How bills are read: the meter's clock, the money where a bill names none, and how late a period is told."""

    zone: ZoneInfo
    default_currency: int | None
    later: timedelta = timedelta()


def bills(
    usage_point: models.UsagePoint,
    channels: Sequence[Channel],
    *,
    default_currency: int | None,
    days_late: int = 0,
) -> list[Bill]:
    """The bills of a usage point, newest first, with the days that are printed on them.

    `days_late`: by how many days what the utility sends is earlier than what it prints (PG&E: one).
    """
    sort = Sort(ZoneInfo(usage_point.time_zone), default_currency, timedelta(days=days_late))
    rows = list(usage_point.usage_summaries.order_by("-start", "commodity", "service", "pk")[:MOST])
    periods = [dates(row, sort) for row in rows]
    days = days_of(usage_point, channels, [(first, last) for first, last in periods if last])
    by_unit, are_several = measuring(channels), len({told_service(vars(row)) for row in rows} - {None}) > 1
    shown = [
        bill(row, first, last, sort, measured_in(row, first, last, by_unit, days))
        for row, (first, last) in zip(rows, periods, strict=True)
    ]
    return [replace(each, service=service(each.kind)) for each in shown] if are_several else shown


def service(kind: int | None) -> str:
    """What a bill is for, in the reader's language; nothing where it does not tell."""
    return "" if kind is None or kind >= NO_SERVICE else overview.service_word(kind)


def bill(
    row: models.UsageSummary, first: date, last: date | None, sort: Sort, measured: Measured | None = None
) -> Bill:
    """The texts of one row."""
    unit = charts.unit_of(row.consumption_uom)
    amount = None if row.consumption is None else unit.shown(row.consumption, row.consumption_multiplier)
    currency = row.currency if row.currency is not None else sort.default_currency
    total = None if row.bill_last_period is None else writing.cost(row.bill_last_period)
    days = (last - first).days + 1 if last else 0
    return Bill(
        first,
        last,
        consumption="" if amount is None else unit.words(amount),
        cost="" if total is None else writing.money(total, currency),
        amount=amount,
        unit=unit,
        measured=measured,
        daily_cost="" if total is None or days < 1 else writing.money(total / days, currency),
        items=tuple(items(row.details, currency)),
        kind=told_service(vars(row)),
    )


def items(details: Iterable[Any], currency: int | None) -> Iterable[Item]:
    """The lines of a bill that name an amount of money."""
    for each in details:
        if isinstance(each, Mapping) and type(each.get("amount")) is int:
            name = str(each.get("note") or ITEM_KINDS.get(_integer(each.get("itemKind"))) or _("Not named"))
            yield Item(name[:LONGEST_NAME], writing.money(writing.cost(each["amount"]), currency))


def _integer(value: Any) -> int:
    return value if isinstance(value, int) else -1


def dates(row: models.UsageSummary, sort: Sort) -> tuple[date, date | None]:
    """The first and the last local day that are printed on a bill."""
    last = (
        local_day(max(row.start, row.start + row.duration - CLOCKS), sort.zone) + sort.later if row.duration else None
    )
    return local_day(row.start, sort.zone) + sort.later, last


def local_day(epoch: int, zone: ZoneInfo) -> date:
    """The day of that clock that an instant falls on."""
    return datetime.fromtimestamp(epoch, UTC).astimezone(zone).date()


# --- Beside the meter -------------------------------------------------------------------------------------------------


def measuring(channels: Sequence[Channel]) -> dict[str, Pair]:
    """The one series of each unit that a bill may be held against; none where several run side by side."""
    found: dict[str, list[Pair]] = {}
    for pair in pairs([channel for channel in channels if channel.is_addable]):
        if pair.delivered and not pair.first.tou:
            found.setdefault(str(charts.unit_of(pair.first.uom).symbol), []).append(pair)
    return {symbol: several[0] for symbol, several in found.items() if len(several) == 1}


def days_of(
    usage_point: models.UsagePoint, channels: Sequence[Channel], periods: Sequence[tuple[date, date]]
) -> dict[Channel, dict[date, DayTotal]]:
    """The sums of every day that a bill covers."""
    sound = [(first, last) for first, last in periods if EARLIEST <= first <= last <= LATEST and last - first < LONGEST]
    if not sound:
        return {}
    first, after = min(first for first, _last in sound), max(last for _first, last in sound) + timedelta(days=1)
    found = usage.daily_totals(usage_point, first, after, known=channels)
    return {channel: {day.date: day for day in days} for channel, days in found.items()}


def measured_in(
    row: models.UsageSummary,
    first: date,
    last: date | None,
    by_unit: Mapping[str, Pair],
    days: Mapping[Channel, Mapping[date, DayTotal]],
) -> Measured | None:
    """The sum of the days of a bill, in the unit of the bill; None where nothing was measured in it."""
    unit = charts.unit_of(row.consumption_uom)
    pair = by_unit.get(str(unit.symbol))
    if pair is None or last is None or not timedelta() <= last - first < LONGEST:
        return None
    every = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    used, sent_out = (_sum(channels, every, days) for channels in (pair.delivered, pair.received))
    if used is None:
        return None
    amounts = {False: used} | ({True: (used[0] - sent_out[0], used[1] & sent_out[1])} if sent_out else {})
    is_net = sent_out is not None and row.consumption is not None and _is_nearer(row, amounts)
    amount, whole = amounts[is_net]
    return Measured(amount, unit.words(amount), len(whole), len(every), is_net)


_Sum = tuple[Decimal, set[date]]


def _sum(
    channels: Iterable[Channel], every: Sequence[date], days: Mapping[Channel, Mapping[date, DayTotal]]
) -> _Sum | None:
    """What these measured, and which days they have from end to end; None where they have none."""
    found = [
        (day, charts.unit_of(channel.uom).shown(day.value, channel.multiplier))
        for channel in channels
        for each in every
        if (day := days.get(channel, {}).get(each))
    ]
    whole = {day.date for day, _value in found if day.is_complete}
    return (sum((value for _day, value in found), Decimal(0)), whole) if found else None


def _is_nearer(row: models.UsageSummary, amounts: Mapping[bool, _Sum]) -> bool:
    """Whether a bill is about what was used less what was sent out, and not about what was used: none says so."""
    billed = charts.unit_of(row.consumption_uom).shown(row.consumption or 0, row.consumption_multiplier)
    return abs(billed - amounts[True][0]) < abs(billed - amounts[False][0])


# --- The picture ------------------------------------------------------------------------------------------------------


def picture(shown: Sequence[Bill], zone: ZoneInfo) -> charts.Chart | None:
    """The newest bills as bars as wide as their time, with a line for what the meter measured; None without any."""
    units = [bill.unit.symbol for bill in shown if bill.unit and bill.amount is not None]
    drawn = [bill for bill in shown[:MOST_DRAWN] if bill.amount is not None and bill.last and bill.last > bill.first]
    drawn = sorted((bill for bill in drawn if bill.unit and bill.unit.symbol == units[0]), key=lambda bill: bill.first)
    if len(drawn) < 2 or drawn[0].unit is None:
        return None
    slots = [slot(bill, zone) for bill in drawn]
    return charts.draw(slots, drawn[0].unit, (slots[0].start, max(slot.end for slot in slots)), beside=str(MEASURED))


def slot(bill: Bill, zone: ZoneInfo) -> Slot:
    """A bill in its place on the time axis."""
    last = bill.last or bill.first
    return Slot(
        day_start(bill.first, zone),
        day_start(last + timedelta(days=1), zone),
        bill.period,
        writing.short_month(bill.first + (last - bill.first) / 2),
        delivered=Value(bill.amount or Decimal(0)),
        before=Value(bill.measured.amount) if bill.measured and bill.measured.is_complete else None,
        link=f"#{bill.anchor}",
    )
