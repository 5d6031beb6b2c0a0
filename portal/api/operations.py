"""The API's operations. Each takes a token's owner and gives what is his."""

import re
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from itertools import islice
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import reverse
from ninja import NinjaAPI, Query

from espi import customers, models, numbers, readings, revisions, usage
from espi.export import Days
from portal import periods
from portal.api import answers, schemas
from portal.api.access import BadRange, Moved, TokenAuth, explain, owner
from portal.flows import exports, overview

MOST_READINGS = 10_000
MOST_BILLS = 100
LONGEST_OF_DAYS = 1100  # three years
LONGEST_OF_MONTHS = 366 * 20
MOST_REVISIONS = 1_000
MOST_RESOURCES = 500
_T = TypeVar("_T")
_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)
_UNCHANGED = "after: take it from the address in “next”, unchanged."
_PLACE = re.compile(r"([0-9]{1,12})\.([0-9]{1,12})", re.ASCII)
_REFUSALS = frozenset({401, 403, 404, 422, 429, 503})
_ERRORS = {_REFUSALS: schemas.Error}
_ERRORS_OF_A_METER = {_REFUSALS | {308}: schemas.Error}

First = Annotated[date | None, Query(description="The first local day. Without it: as far back as there is data.")]
End = Annotated[
    date | None, Query(description="The first local day that is not meant any more. Without it: up to now.")
]

api = NinjaAPI(
    title=f"{settings.PORTAL_NAME} API",
    version="1",
    description="Read-only: what the portal holds of the owner of the token. Exact decimals are text, never floats.",
    auth=TokenAuth(),
    docs_url=None,  # a page of our own describes it, without a script from elsewhere
    urls_namespace="api",
)
explain(api)


@api.get("/connections", response={200: list[schemas.Connection], **_ERRORS}, summary="Connections and their state")
def connections(request: HttpRequest) -> list[dict[str, Any]]:
    """Every connection to a utility, and the uploaded files, with its state in words and the ids of its meters."""
    return [answers.connection(card) for card in overview.cards(owner(request))]


@api.get(
    "/connections/{connection}/customer-data",
    response={200: schemas.CustomerData, **_ERRORS},
    summary="Account, places and agreements",
)
def customer_data(
    request: HttpRequest,
    connection: UUID,
    limit: Annotated[int, Query(ge=1, le=MOST_RESOURCES, description="How many at most.")] = MOST_RESOURCES,
    after: Annotated[str | None, Query(max_length=50, description="From “next” of the answer before.")] = None,
) -> dict[str, Any]:
    """What the utility told of the customer, where he shares that: accounts, agreements, places, meters, …."""
    own = models.Subscription.objects.filter(retail_customer=owner(request))
    subscription = get_object_or_404(own, public_id=connection)
    place = _numbers(after, 2)
    taken, last = _piece(customers.each(subscription, after=place), limit)  # type: ignore[arg-type]
    return {
        "resources": [answers.customer_resource(each) for each in taken],
        "next": _next(request, last.place, limit=limit) if last else None,
    }


@api.get("/usage-points", response={200: list[schemas.UsagePoint], **_ERRORS}, summary="Meters")
def usage_points(request: HttpRequest) -> list[dict[str, Any]]:
    """Every meter, also of connections that have ended while the data is kept."""
    return [answers.usage_point(each) for each in exports.choices(owner(request))]


@api.get("/usage-points/{usage_point}", response={200: schemas.UsagePoint, **_ERRORS_OF_A_METER}, summary="One meter")
def usage_point(request: HttpRequest, usage_point: UUID) -> dict[str, Any]:
    """A meter."""
    point = _point(request, usage_point)
    return next(
        answers.usage_point(each) for each in exports.choices(owner(request)) if each.public_id == point.public_id
    )


@api.get(
    "/usage-points/{usage_point}/channels",
    response={200: list[schemas.Channel], **_ERRORS_OF_A_METER},
    summary="Series of a meter",
)
def channels(request: HttpRequest, usage_point: UUID) -> list[dict[str, Any]]:
    """The series of readings that a meter has: energy delivered, energy received, demand, …."""
    return [answers.channel(each) for each in usage.channels(_point(request, usage_point))]


@api.get(
    "/usage-points/{usage_point}/channels/{channel}/readings",
    response={200: schemas.Readings, **_ERRORS_OF_A_METER},
    summary="Readings",
)
def channel_readings(
    request: HttpRequest,
    usage_point: UUID,
    channel: UUID,
    start: First = None,
    end: End = None,
    limit: Annotated[int, Query(ge=1, le=MOST_READINGS, description="How many at most.")] = 1000,
    after: Annotated[str | None, Query(max_length=30, description="From “next” of the answer before.")] = None,
) -> dict[str, Any]:
    """Readings in order of time. While there are more, “next” is the address of what follows."""
    point = _point(request, usage_point)
    found = _channel(point, channel)
    place, zone = _place(after), ZoneInfo(point.time_zone)
    _check(start, end)
    span = Days(start, end).of(found)
    taken, last = _piece(readings.of_channel(found, zone, *span, after=place) if span else (), limit)
    return {
        "channel": answers.channel(found),
        "readings": [answers.reading(each, found.multiplier, zone) for each in taken],
        "next": _next(request, last.place, start=start, end=end, limit=limit) if last else None,
    }


@api.get(
    "/usage-points/{usage_point}/channels/{channel}/revisions",
    response={200: schemas.Revisions, **_ERRORS_OF_A_METER},
    summary="Corrected readings",
)
def revisions_of(
    request: HttpRequest,
    usage_point: UUID,
    channel: UUID,
    start: First = None,
    end: End = None,
    limit: Annotated[int, Query(ge=1, le=MOST_REVISIONS, description="How many at most.")] = MOST_REVISIONS,
    after: Annotated[str | None, Query(max_length=50, description="From “next” of the answer before.")] = None,
) -> dict[str, Any]:
    """Readings of which two things were said: what does not hold, and what held instead when that was noted."""
    point = _point(request, usage_point)
    found, zone = _channel(point, channel), ZoneInfo(point.time_zone)
    place = _numbers(after, 3)
    _check(start, end)
    span = Days(start, end).of(found)
    taken, last = _piece(revisions.of_channel(found, zone, *span, after=place) if span else (), limit)  # type: ignore[arg-type]
    return {
        "channel": answers.channel(found),
        "revisions": [answers.revision(each, zone) for each in taken],
        "next": _next(request, last.place, start=start, end=end, limit=limit) if last else None,
    }


@api.get(
    "/usage-points/{usage_point}/daily",
    response={200: list[schemas.ChannelDays], **_ERRORS_OF_A_METER},
    summary="Daily totals",
)
def daily(request: HttpRequest, usage_point: UUID, start: First = None, end: End = None) -> list[dict[str, Any]]:
    """Sums per local day of the channels that can be added, three years at most; without “start” the last ones."""
    found = _totals(usage.daily_totals, _point(request, usage_point), start, end, LONGEST_OF_DAYS)
    return [
        {"channel": answers.channel(channel), "days": [answers.day(each, channel) for each in days]}
        for channel, days in found.items()
    ]


@api.get(
    "/usage-points/{usage_point}/monthly",
    response={200: list[schemas.ChannelMonths], **_ERRORS_OF_A_METER},
    summary="Monthly totals",
)
def monthly(request: HttpRequest, usage_point: UUID, start: First = None, end: End = None) -> list[dict[str, Any]]:
    """Sums per local calendar month of the channels that can be added, of the days asked for."""
    found = _totals(usage.monthly_totals, _point(request, usage_point), start, end, LONGEST_OF_MONTHS)
    return [
        {"channel": answers.channel(channel), "months": [answers.month(each, channel) for each in months]}
        for channel, months in found.items()
    ]


@api.get("/usage-points/{usage_point}/bills", response={200: schemas.Bills, **_ERRORS_OF_A_METER}, summary="Bills")
def bills(
    request: HttpRequest,
    usage_point: UUID,
    start: First = None,
    end: End = None,
    limit: Annotated[int, Query(ge=1, le=MOST_BILLS, description="How many at most.")] = MOST_BILLS,
    after: Annotated[str | None, Query(max_length=50, description="From “next” of the answer before.")] = None,
) -> dict[str, Any]:
    """Bills whose period begins on the days asked for, the oldest first."""
    point = _point(request, usage_point)
    _check(start, end)
    place = _numbers(after, 2) or (0, 0)
    taken, last = _piece(usage.bills(point, start, end, after=place), limit)  # type: ignore[arg-type]
    return {
        "bills": [answers.bill(each, ZoneInfo(point.time_zone)) for each in taken],
        "next": _next(request, (last.start, last.pk), start=start, end=end, limit=limit) if last else None,
    }


# --- What is asked for -------------------------------------------------------------------------------------------------


def _point(request: HttpRequest, public_id: UUID) -> models.UsagePoint:
    """A meter of the token's owner. Raises Http404 for any other, and Moved for one that was joined to another."""
    own = models.UsagePoint.objects.filter(subscription__retail_customer=owner(request))
    point = own.select_related("subscription").filter(public_id=public_id).first()
    if point is None:
        raise Moved(_address_since(public_id, get_object_or_404(own, former=public_id), request))
    return point


def _address_since(former: UUID, point: models.UsagePoint, request: HttpRequest) -> str:
    """Where that what is asked for is since its meter was joined; a series keeps its number, not its id."""
    here = request.resolver_match
    assert here is not None
    since = {str(usage.channel_id(former, each.id)): each.public_id for each in usage.channels(point)}
    ids = {name: since.get(str(value), value) for name, value in here.kwargs.items()} | {"usage_point": point.public_id}
    return reverse(here.view_name, kwargs=ids, query=request.GET)


def _totals(
    of: Callable[..., dict[usage.Channel, list[_T]]],
    point: models.UsagePoint,
    start: date | None,
    end: date | None,
    longest: int,
) -> dict[usage.Channel, list[_T]]:
    """Sums of the days asked for, so many at most. Raises BadRange and readings.Rewritten."""
    known = usage.channels(point)
    span = _span(usage.coverage(point, known=known), start, end, longest)
    found = of(point, *span, known=known) if span else {}
    if not usage.are_as_known(found):
        raise readings.Rewritten
    return found


def _channel(point: models.UsagePoint, public_id: UUID) -> usage.Channel:
    """A channel of the meter. Raises Http404 for any other."""
    found = next((each for each in usage.channels(point) if each.public_id == public_id), None)
    if found is None:
        raise Http404
    return found


def _numbers(text: str | None, count: int) -> tuple[int, ...] | None:
    """A place as `_joined` wrote it. Raises BadRange."""
    if text is None:
        return None
    found = tuple(int(each) for each in text.split(".") if _NUMBER.fullmatch(each))
    if len(found) != count or _joined(found) != text or max(found) not in numbers.INT64:
        raise BadRange(_UNCHANGED)
    return found


def _joined(place: tuple[int, ...]) -> str:
    return ".".join(map(str, place))


def _piece(found: Iterable[_T], limit: int) -> tuple[list[_T], _T | None]:
    """The first of them, so many at most, and the last of these where more follow."""
    taken = list(islice(found, limit + 1))
    return taken[:limit], taken[limit - 1] if len(taken) > limit else None


def _check(start: date | None, end: date | None) -> None:
    """Raises BadRange."""
    for name, day in (("start", start), ("end", end)):
        if day and not periods.EARLIEST <= day <= periods.LATEST:
            raise BadRange(f"{name}: the day must lie between {periods.EARLIEST.year} and {periods.LATEST.year}.")
    if start and end and start >= end:
        raise BadRange("end: it is the first day that is not meant any more, so it must be after start.")


def _span(
    covered: tuple[date, date] | None, start: date | None, end: date | None, longest: int
) -> tuple[date, date] | None:
    """The days meant, of those that there are; None where there are none. Raises BadRange."""
    _check(start, end)
    if start and end and (end - start).days > longest:
        raise BadRange(f"end: at most {longest} days can be asked for at once.")
    if covered is None:
        return None
    after = min(end or date.max, covered[1] + timedelta(days=1))
    if start and not end:
        after = min(after, max(start, covered[0]) + timedelta(days=longest))
    first = max(start or date.min, covered[0], after - timedelta(days=longest))
    return (first, after) if first < after else None


def _place(text: str | None) -> readings.Place | None:
    """Raises BadRange, also for a place where no reading can be."""
    if text is None:
        return None
    found = _PLACE.fullmatch(text)
    start, duration = (int(found[1]), int(found[2])) if found else (numbers.LATEST, 0)
    if start >= numbers.LATEST or duration > numbers.LONGEST:
        raise BadRange(_UNCHANGED)
    return start, duration


def _next(request: HttpRequest, after: tuple[int, ...], **more: date | int | None) -> str:
    """The same address with the place after which to go on."""
    told = {name: str(value) for name, value in more.items() if value is not None}
    return f"{settings.PORTAL_BASE_URL.rstrip('/')}{request.path}?{urlencode(told | {'after': _joined(after)})}"
