"""A customer's own data as a file: what he can choose from, and the file in pieces.

It is written while it is taken, a few thousand readings at a time. `exporting` prepares very large ones ahead.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.utils.text import slugify
from django.utils.translation import gettext as _

from espi import customers, revisions, usage, words
from espi.export import Days, Meter, feed, tables
from espi.models import Subscription, UsagePoint
from portal.flows import overview
from portal.models import User

log = structlog.get_logger(__name__)

READINGS, BILLS, GREEN_BUTTON = "readings", "bills", "green-button"
REVISIONS = "corrections"
OF_READINGS = (READINGS, GREEN_BUTTON)  # these can be large
_CSV = ("text/csv; charset=utf-8; header=present", "csv")
RESOURCES = "/espi/1_1/resource"  # where a data custodian has its resources; ours exist only as links in a file
_TYPES = {
    READINGS: _CSV,
    BILLS: _CSV,
    REVISIONS: _CSV,
    GREEN_BUTTON: ("application/atom+xml; charset=utf-8", "xml"),
}


class NotHis(LookupError):
    """A meter that this customer does not have."""


class Nothing(Exception):
    """There is no data of the kind on those days; the message says so."""


@dataclass(frozen=True)
class Choice:
    """A meter of the customer's, as his dashboard calls it, and whose it is. The days are local to the meter."""

    meter: overview.Meter
    source: str

    @property
    def public_id(self) -> UUID:
        """Of its usage point."""
        return self.meter.usage_point.public_id

    @property
    def name(self) -> str:
        """In one line."""
        return f"{self.meter.name}, {self.source}"


@dataclass(frozen=True)
class File:
    """What is sent: headers and content. The content is read from the database while it is taken."""

    name: str
    content_type: str
    content: Iterator[bytes]


def choices(user: User) -> list[Choice]:
    """Every meter of the customer's, also of connections that have ended, in the dashboard's order."""
    subscriptions = list(Subscription.objects.filter(retail_customer=user).order_by("-created_at"))
    meters = overview.meters_of(subscriptions)
    return [Choice(meter, overview.name_of(each)) for each in subscriptions for meter in meters[each.pk]]


def years(found: Iterable[Choice], *, today: date) -> list[int]:
    """The calendar years that may hold something, the newest first."""
    days = [day for each in found for day in (each.meter.first_day, each.meter.last_day) if day]
    return list(range(max(days).year, min(days).year - 1, -1)) if days else [today.year]


def check(user: User, public_ids: Iterable[UUID], kind: str, days: Days) -> list[Meter]:
    """The meters that a file would be of. Raises NotHis, and Nothing where it would be empty."""
    known = {each.public_id: each for each in choices(user)}
    wanted = list(dict.fromkeys(public_ids))
    if not all(each in known for each in wanted):
        raise NotHis
    meters = [Meter(known[each].meter.usage_point, known[each].name) for each in wanted]
    _require_something(meters, kind, days)
    return meters


def write(user: User, public_ids: Iterable[UUID], kind: str, days: Days, *, now: datetime) -> File:
    """The file. Raises NotHis, and Nothing where it would be empty; later, while it is taken, readings.Rewritten."""
    meters = check(user, public_ids, kind, days)
    content_type, ending = _TYPES[kind]
    log.info("data exported", user=user.pk, kind=kind, meters=len(meters), first=str(days.first), end=str(days.end))
    return File(f"{_name(meters, kind, days)}.{ending}", content_type, _content(meters, kind, days, now))


def _content(meters: list[Meter], kind: str, days: Days, now: datetime) -> Iterator[bytes]:
    if kind == READINGS:
        return tables.of_readings(meters, days)
    if kind == BILLS:
        return tables.of_bills(meters, days)
    if kind == REVISIONS:
        return tables.of_revisions(meters, days)
    base = f"{settings.PORTAL_BASE_URL.rstrip('/')}{RESOURCES}"
    return feed.of(meters, days, base=base, title=f"{settings.PORTAL_NAME}: usage and bills", now=now)


def customer_data(user: User) -> File:
    """What utilities told of the customer himself, of all his connections, as a table. Raises Nothing."""
    held = list(Subscription.objects.filter(retail_customer=user).order_by("-created_at"))
    if not any(next(customers.each(each), None) for each in held):
        raise Nothing(_("Your utilities have told us nothing about your account."))
    log.info("data exported", user=user.pk, kind="customer-data", connections=len(held))
    content_type, ending = _CSV
    name = f"{slugify(f'{settings.PORTAL_NAME} customer-data')}.{ending}"
    return File(name, content_type, tables.of_customers([(overview.name_of(each), each) for each in held]))


def _require_something(meters: list[Meter], kind: str, days: Days) -> None:
    points = [meter.usage_point for meter in meters]
    if kind == REVISIONS and not any(_has_revisions(point, days) for point in points):
        raise Nothing(_("No reading of what you chose was told otherwise on those days."))
    has_readings = any(days.of(channel) for point in points for channel in usage.channels(point))
    has_bills = any(next(usage.bills(point, days.first, days.end), None) for point in points)
    if kind == READINGS and not has_readings:
        raise Nothing(_("We hold no readings of what you chose on those days."))
    if kind == BILLS and not has_bills:
        raise Nothing(_("We hold no bills of what you chose that begin on those days."))
    if not (has_readings or has_bills):
        raise Nothing(_("We hold no readings and no bills of what you chose on those days."))


def _has_revisions(point: UsagePoint, days: Days) -> bool:
    zone, channels = ZoneInfo(point.time_zone), usage.channels(point)
    spans = ((channel, span) for channel in channels if (span := days.of(channel)))
    return any(next(revisions.of_channel(channel, zone, *span), None) for channel, span in spans)


def _name(meters: list[Meter], kind: str, days: Days) -> str:
    """Letters, digits and hyphens of our own: nothing that a utility wrote."""
    services = {words.word(words.SERVICES, point.service_kind) for point in (m.usage_point for m in meters)}
    last = days.end - timedelta(days=1) if days.end else None
    span = f"{days.first or 'begin'}-to-{last or 'now'}" if days.first or last else "all"
    service = services.pop() if len(services) == 1 else "energy"
    return slugify(f"{settings.PORTAL_NAME} {service} {kind} {span}")
