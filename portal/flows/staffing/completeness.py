"""How complete a meter's data are: each channel day by day, what was refused, and what was said otherwise later."""

from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import chain
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Count, F, Max, Min, Sum

from espi import usage, words, zones
from espi.models import Document, IntervalBlock, IntervalReading, IntervalRevision, MeterReading, UsagePoint
from portal.flows import looking
from portal.models import DataGap, User

ALL, PART, NONE, NO_DAY = "all", "part", "none", ""
MONTHS = 12
A_DAY = 86_400  # seconds that a day told in one reading has, also where clocks change
MOST_DOCUMENTS = 200  # looked through for what was refused, the newest
MOST_REVISED = 100  # shown with what was said before, the newest
MOST_SOURCES = 20


@dataclass(frozen=True)
class Calendar:
    """A channel over a year: the first day of each month and what each of 31 days has (ALL, PART, NONE or NO_DAY)."""

    channel: MeterReading
    months: list[tuple[date, list[str]]]
    revised: int
    last_revised: datetime | None


@dataclass(frozen=True)
class Refused:
    """What was left out of documents: in words, with why, and how often."""

    what: str
    why: str
    count: int


@dataclass(frozen=True)
class Revised:
    """A reading that a document said and another one says otherwise; `before` and `after` in words, with the unit.

    `start`: by the meter's own clock.
    """

    channel: int
    start: str
    before: str
    after: str
    at: datetime
    document: int | None


@dataclass(frozen=True)
class Stored:
    """What holds of a document in one channel: the meter (its public id), and in words the days and how many readings."""

    meter: UUID
    last: date
    words: str


def look(public_id: UUID, *, staff: User, now: datetime) -> UsagePoint:
    """The meter, once the look is written down. Raises NoReason, UsagePoint.DoesNotExist."""
    point = UsagePoint.objects.select_related("subscription__retail_customer").get(public_id=public_id)
    what = f"espi.usagepoint {point.pk}"
    looking.look(staff=staff, customer=point.subscription.retail_customer, what=what, now=now)
    return point


def last_month(point: UsagePoint, now: datetime) -> date:
    """The month of the newest day that is held, by the meter's own clock; without any, the present one."""
    _, newest = usage.days_held([point]).get(point.pk, (None, now.astimezone(ZoneInfo(point.time_zone)).date()))
    return newest.replace(day=1)


def shifted(month: date, by: int) -> date:
    """The first day of the month so many months later; within the years 1 to 9999."""
    number = min(max(month.year * 12 + month.month - 1 + by, 12), 9999 * 12 + 11)
    return date(number // 12, number % 12 + 1, 1)


def calendars(point: UsagePoint, last: date) -> list[Calendar]:
    """Each channel over the twelve months that end with `last`, in four statements."""
    months = [shifted(last, by) for by in range(1 - MONTHS, 1)]
    span = (months[0], last.replace(day=monthrange(last.year, last.month)[1]))
    held, revised = days_held(point, span), revisions(point)
    return [
        Calendar(channel, [_month(month, held[channel.pk]) for month in months], *revised.get(channel.pk, (0, None)))
        for channel in MeterReading.objects.filter(usage_point=point).order_by("is_register", "channel")
    ]


def _month(month: date, held: dict[date, str]) -> tuple[date, list[str]]:
    length = monthrange(month.year, month.month)[1]
    days = [held.get(month.replace(day=day), NONE) if day <= length else NO_DAY for day in range(1, 32)]
    return month, days


def days_held(point: UsagePoint, span: tuple[date, date]) -> dict[int, dict[date, str]]:
    """What each local day has, by channel; a day with 23 or 25 hours is judged by its own length."""
    zone = ZoneInfo(point.time_zone)
    found: dict[int, dict[date, str]] = defaultdict(dict)
    for channel, day, is_whole in chain(_on_grids(point, span, zone), _on_no_grid(point, span, zone)):
        found[channel][day] = ALL if is_whole or found[channel].get(day) == ALL else PART
    return found


def _on_grids(point: UsagePoint, span: tuple[date, date], zone: ZoneInfo) -> Iterator[tuple[int, date, bool]]:
    blocks = IntervalBlock.objects.filter(meter_reading__usage_point=point, local_date__range=span, count__gt=0)
    for channel, day, length, count in blocks.values_list("meter_reading", "local_date", "interval_length", "count"):
        yield channel, day, count * length >= zones.day_length(day, zone)


def _on_no_grid(point: UsagePoint, span: tuple[date, date], zone: ZoneInfo) -> Iterator[tuple[int, date, bool]]:
    """Readings that begin beside the grid are counted to the day they begin on; months, to all days they reach into."""
    singles = IntervalReading.objects.filter(meter_reading__usage_point=point)
    short = singles.filter(local_date__range=span, duration__lte=usage.LONGEST_DAY).values(
        "meter_reading", "local_date"
    )
    told = short.annotate(covered=Sum("duration"), number=Count("start")).order_by()
    for channel, day, covered, number in told.values_list("meter_reading", "local_date", "covered", "number"):
        length = zones.day_length(day, zone)
        yield channel, day, covered >= (min(length, A_DAY) if number == 1 else length)
    long = singles.filter(local_date__lte=span[1], duration__gt=usage.LONGEST_DAY)
    reaching = long.filter(start__gt=zones.day_start(span[0], zone) - F("duration"))
    for channel, start, duration in reaching.values_list("meter_reading", "start", "duration"):
        first, last = (datetime.fromtimestamp(at, zone).date() for at in (start, start + duration - 1))
        for day in _days(max(first, span[0]), min(last, span[1])):
            after = zones.day_start(day + timedelta(days=1), zone)
            yield channel, day, start <= zones.day_start(day, zone) and after <= start + duration


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def revisions(point: UsagePoint) -> dict[int, tuple[int, datetime | None]]:
    """How many statements of each channel were replaced, and when last."""
    rows = IntervalRevision.objects.filter(meter_reading__usage_point=point).order_by().values_list("meter_reading")
    counted = rows.annotate(number=Count("pk"), newest=Max("revised_at"))
    return {channel: (number, newest) for channel, number, newest in counted}


def revised(point: UsagePoint) -> list[Revised]:
    """The newest readings that were said otherwise, with what was said before and what held when that was noticed."""
    rows = IntervalRevision.objects.filter(meter_reading__usage_point=point).order_by("-revised_at", "-pk")
    zone = ZoneInfo(point.time_zone)
    return [
        Revised(
            row.meter_reading_id,
            f"{datetime.fromtimestamp(row.start, zone):%Y-%m-%d %H:%M}",
            _said(row, "old"),
            _said(row, "new"),
            row.revised_at,
            row.new_document_id,
        )
        for row in rows.select_related("meter_reading__reading_type")[:MOST_REVISED]
    ]


def _said(row: IntervalRevision, side: str) -> str:
    """One side of a revision: the value, and of what else was said whatever the other side says otherwise."""
    channel = row.meter_reading
    amount = Decimal(getattr(row, f"{side}_value")).scaleb(channel.power_of_ten_multiplier)
    told = [f"{amount:f} {words.unit(channel.reading_type.uom)}".strip()]
    for name in ("cost", "quality", "tou", "tier", "cpp"):
        if getattr(row, f"old_{name}") != getattr(row, f"new_{name}"):
            value = getattr(row, f"{side}_{name}")
            told.append(f"{name} {'none' if value is None else value}")
    return ", ".join(told)


def stored(document: Document) -> list[Stored]:
    """What holds of a document now, channel by channel; [] when all of it was refused, known before, or replaced."""
    found: list[Stored] = []
    for model, count in ((IntervalBlock, Sum("count")), (IntervalReading, Count("pk"))):
        rows = model._default_manager.filter(document=document).order_by()
        by_channel = rows.values_list(
            "meter_reading", "meter_reading__usage_point", "meter_reading__usage_point__public_id"
        )
        told = by_channel.annotate(number=count, first=Min("local_date"), last=Max("local_date"))
        for channel, meter, public_id, number, first, last in told.order_by("meter_reading"):
            said = f"Meter {meter}, channel {channel}: {first} to {last}, {number:,} readings"
            found.append(Stored(public_id, last, said))
    return found


def sources(point: UsagePoint) -> list[int]:
    """The newest documents that readings of this meter hold from, by number."""
    told = {"meter_reading__usage_point": point, "document__isnull": False}
    singles = IntervalReading.objects.filter(**told).values_list("document")
    held = IntervalBlock.objects.filter(**told).values_list("document").union(singles).order_by("-document")
    return [number for (number,) in held[:MOST_SOURCES]]


def refused(point: UsagePoint) -> list[Refused]:
    """What was left out of the newest documents of the connection, most often first."""
    documents = Document.objects.filter(subscription=point.subscription).order_by("-pk")
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for summary in documents.values_list("summary", flat=True)[:MOST_DOCUMENTS]:
        for each in summary.get("refused", ()):
            counts[str(each["what"]), str(each["why"])] += each["count"]
    return [Refused(*key, count) for key, count in sorted(counts.items(), key=lambda item: -item[1])]


def gaps(point: UsagePoint) -> list[DataGap]:
    """Days between others that are missing, and how often they were asked for again."""
    found = DataGap.objects.filter(meter_reading__usage_point=point, filled_at=None).select_related("meter_reading")
    return list(found.order_by("-first_day")[:100])
