"""Looking at energy: a meter's page, its habits, its bills, and all meters side by side. Everything is read, nothing changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import wraps
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import resolve, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

import utilities
from espi import usage
from espi.models import UsagePoint
from portal import bills, history, measured, meters, panels, patterns, periods, standing, writing
from portal.flows import overview
from portal.views.connect import customer, see_other

MOST_METERS = 40  # on one page
PERIOD_NAMES = {
    "day": gettext_lazy("Day"),
    "week": gettext_lazy("Week"),
    "month": gettext_lazy("Month"),
    "year": gettext_lazy("Year"),
}
EARLIER = {
    "day": gettext_lazy("Day before"),
    "week": gettext_lazy("Week before"),
    "month": gettext_lazy("Month before"),
    "year": gettext_lazy("Year before"),
}
LATER = {
    "day": gettext_lazy("Day after"),
    "week": gettext_lazy("Week after"),
    "month": gettext_lazy("Month after"),
    "year": gettext_lazy("Year after"),
}
ROWS = {
    "day": gettext_lazy("Time"),
    "week": gettext_lazy("Day"),
    "month": gettext_lazy("Day"),
    "year": gettext_lazy("Month"),
}


@dataclass(frozen=True)
class Meter:
    """What every page of one meter needs."""

    point: UsagePoint
    channels: Sequence[usage.Channel]
    today: date

    @property
    def by_month(self) -> bool:
        """Whether only the year has figures."""
        return panels.comes_by_the_month(self.channels)

    @property
    def utility(self) -> utilities.base.Utility | None:
        """None for files that the customer uploaded."""
        slug = self.point.subscription.utility
        return utilities.get(slug) if slug else None

    @property
    def currency(self) -> int | None:
        """Of bills that name none, ISO 4217."""
        return int(self.utility.currency) if self.utility else None

    @property
    def reach(self) -> tuple[date, date] | None:
        """From the first reading to today, or to the last reading if it lies in the future; None without readings."""
        held = usage.coverage(self.point, known=self.channels)
        return (held[0], max(held[1], self.today)) if held else None

    @property
    def complete_to(self) -> str:
        """The last local day to which everything is here, in words; empty where we cannot say, or where it is the last."""
        reached, held = self.point.subscription.complete_to, usage.coverage(self.point, known=self.channels)
        if reached is None or held is None:
            return ""
        last = (reached.astimezone(ZoneInfo(self.point.time_zone)) - timedelta(seconds=1)).date()
        return writing.day(last) if held[0] <= last < held[1] else ""

    def context(self) -> dict[str, Any]:
        """What their templates share."""
        return {
            "point": self.point,
            "zone_name": writing.zone(self.point.time_zone),
            "service": overview.service_name(self.point),
            "source": overview.name_of(self.point.subscription),
            "covered": usage.coverage(self.point, known=self.channels),
            "complete_to": self.complete_to,
            "by_month": self.by_month,
            "standing": standing.standings({self.point: self.channels}, self.today)[self.point.pk],
        }


class MeterView(Protocol):
    """A page of one meter."""

    def __call__(self, request: HttpRequest, meter: Meter) -> HttpResponse: ...


class PointView(Protocol):
    """The same, as an address names it."""

    def __call__(self, request: HttpRequest, public_id: UUID) -> HttpResponse: ...


def of_a_meter(view: MeterView) -> PointView:
    """A page of one meter, for its owner only; a period that cannot be shown is answered 400, in words.

    One that was joined to another leads to that one's page.
    """

    @wraps(view)
    def page(request: HttpRequest, public_id: UUID) -> HttpResponse:
        own = UsagePoint.objects.filter(subscription__retail_customer=customer(request))
        point = own.select_related("subscription").filter(public_id=public_id).first()
        if point is None:
            joined = get_object_or_404(own, former=public_id)
            here = resolve(request.path_info).view_name
            return see_other(reverse(here, args=[joined.public_id], query=request.GET))
        today = timezone.now().astimezone(ZoneInfo(point.time_zone)).date()
        try:
            return view(request, Meter(point, usage.channels(point), today))
        except periods.BadPeriod as error:
            return render(request, "portal/usage_problem.html", {"point": point, "reason": str(error)}, status=400)

    return require_GET(never_cache(login_required(page)))


def asked(request: HttpRequest, channels: Sequence[usage.Channel], today: date, default_name: str) -> periods.Period:
    """The period of ?period=day|week|month|year&date=YYYY-MM-DD. Raises BadPeriod."""
    return periods.asked(
        request.GET.get("period", ""),
        request.GET.get("date", ""),
        default=panels.latest_day(channels) or today,
        default_name=default_name,
    )


def moving(
    period: periods.Period, names: Sequence[str], held: tuple[date, date] | None, more: str = ""
) -> dict[str, Any]:
    """The links to other periods. `held`: beyond these days there is nothing to go to; `more` goes along in each."""
    earlier, later = period.previous(), period.next()
    if held and earlier and earlier.end <= held[0]:
        earlier = None
    if held and later and later.first > held[1]:
        later = None
    return {
        "period": period,
        "more": more,
        "period_links": [
            {
                "name": PERIOD_NAMES[name],
                "link": panels.link_to(name, period.first) + more,
                "is_current": name == period.name,
            }
            for name in names
        ],
        "earlier": earlier and {"title": earlier.title, "link": panels.link_to(earlier.name, earlier.first) + more},
        "later": later and {"title": later.title, "link": panels.link_to(later.name, later.first) + more},
        "earlier_name": EARLIER[period.name],
        "later_name": LATER[period.name],
        "row_name": ROWS[period.name],
    }


@of_a_meter
def usage_point(request: HttpRequest, meter: Meter) -> HttpResponse:
    """One meter in a period."""
    period = asked(request, meter.channels, meter.today, "year" if meter.by_month else "month")
    shows_cost = request.GET.get("show") == "cost"
    changes = history.changes(meter.point)
    found = panels.panels(
        meter.point,
        period,
        meter.channels,
        measured.measured({meter.point: meter.channels}, period),
        show_cost=shows_cost,
        seams=[(int(change.at.timestamp()), change.short) for change in changes],
        default_currency=meter.currency,
    )
    context = meter.context()
    context |= moving(period, periods.NAMES, meter.reach, "&show=cost" if shows_cost else "")
    context |= {"panels": found, "changes": changes, "shows_cost": shows_cost, "page": "usage"}
    context |= {"has_costs": any(each.has_costs for each in found)}
    return render(request, "portal/usage.html", context)


@of_a_meter
def usage_patterns(request: HttpRequest, meter: Meter) -> HttpResponse:
    """How a meter's energy spreads over the hours of the day."""
    period = periods.one_of(patterns.NAMES, asked(request, meter.channels, meter.today, "month"))
    totals = usage.hourly_totals(meter.point, period.first, period.end, known=meter.channels)
    context = meter.context()
    context |= moving(period, patterns.NAMES, meter.reach)
    context |= {"patterns": patterns.patterns(period, meter.channels, totals), "page": "patterns"}
    return render(request, "portal/usage_patterns.html", context)


@of_a_meter
def usage_bills(request: HttpRequest, meter: Meter) -> HttpResponse:
    """A meter's bills, beside what it measured."""
    late = meter.utility.bills_begin_days_late if meter.utility else 0
    found = bills.bills(meter.point, meter.channels, default_currency=meter.currency, days_late=late)
    chart = bills.picture(found, ZoneInfo(meter.point.time_zone))
    context = meter.context() | {"bills": found, "chart": chart, "page": "bills"}
    return render(request, "portal/usage_bills.html", context)


@require_GET
@never_cache
@login_required
def all_meters(request: HttpRequest) -> HttpResponse:
    """Every meter of this customer in one period, side by side."""
    points = list(
        UsagePoint.objects.filter(subscription__retail_customer=customer(request))
        .select_related("subscription")
        .order_by("subscription__created_at", "service_kind", "resource_id")[:MOST_METERS]
    )
    channels = usage.channels_of(points)
    known = {point: channels[point.pk] for point in points}
    today = timezone.now().astimezone(ZoneInfo(points[0].time_zone)).date() if points else timezone.now().date()
    every = [channel for members in known.values() for channel in members]
    try:
        period = periods.one_of(patterns.NAMES, asked(request, every, today, "month"))
    except periods.BadPeriod as error:
        return render(request, "portal/usage_problem.html", {"reason": str(error)}, status=400)
    found = meters.meters(known, period, measured.measured(known, period), standing.standings(known, today))
    held = [days for point in points if (days := usage.coverage(point, known=channels[point.pk]))]
    reach = (min(first for first, _last in held), max(today, *(last for _first, last in held))) if held else None
    context = moving(period, patterns.NAMES, reach) | {"meters": found, "groups": meters.groups(found)}
    return render(request, "portal/usage_all.html", context)
