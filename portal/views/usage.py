"""A meter's page: what was used, when, and what was billed."""

from collections.abc import Sequence
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

import utilities
from espi import usage
from espi.models import UsagePoint
from portal import history, panels, periods
from portal.flows.overview import SERVICE_NAMES


@require_GET
@never_cache
@login_required
def usage_point(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One meter in the period of ?period=day|week|month|year&date=YYYY-MM-DD; its owner only."""
    point = get_object_or_404(
        UsagePoint.objects.select_related("subscription"),
        public_id=public_id,
        subscription__retail_customer=request.user,
    )
    channels = usage.channels(point)
    today = timezone.now().astimezone(ZoneInfo(point.time_zone)).date()
    by_month = panels.comes_by_the_month(channels)
    try:
        period = periods.asked(
            request.GET.get("period", ""),
            request.GET.get("date", ""),
            default=panels.latest_day(channels) or today,
            default_name="year" if by_month else "month",
        )
    except periods.BadPeriod as error:
        return render(request, "portal/usage_problem.html", {"point": point, "reason": str(error)}, status=400)
    return render(request, "portal/usage.html", page(point, period, channels) | {"by_month": by_month})


def page(point: UsagePoint, period: periods.Period, channels: Sequence[usage.Channel]) -> dict[str, object]:
    """Everything the template shows."""
    slug = point.subscription.utility
    utility = utilities.get(slug) if slug else None
    currency = int(utility.currency) if utility else None
    return {
        "point": point,
        "service": SERVICE_NAMES.get(point.service_kind if point.service_kind is not None else -1, "Energy"),
        "source": utility.long_name if utility else point.subscription.name or "a file you uploaded",
        "period": period,
        "period_names": periods.NAMES,
        "covered": usage.coverage(point, known=channels),
        "changes": history.changes(point),
        "panels": panels.panels(point, period, channels),
        "bills": panels.bills(
            point, default_currency=currency, days_late=utility.bills_begin_days_late if utility else 0
        ),
    }
