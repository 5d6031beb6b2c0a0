"""How complete a meter's data are: a calendar, what was refused, what was revised."""

from datetime import date
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from espi.models import UsagePoint
from portal import roles
from portal.flows import looking
from portal.flows.staffing import completeness
from portal.views.connect import see_other
from portal.views.staff.pages import member, reason_address, show, staff_page


@staff_page(f"portal.{roles.LOOK}")
@require_GET
def meter(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Twelve months, day by day; after a reason was given."""
    now = timezone.now()
    try:
        point = completeness.look(public_id, staff=member(request), now=now)
    except UsagePoint.DoesNotExist:
        raise Http404 from None
    except looking.NoReason:
        owners = UsagePoint.objects.filter(public_id=public_id)
        return see_other(
            reason_address(owners.values_list("subscription__retail_customer", flat=True)[0], request.path)
        )
    last = asked_month(request) or completeness.last_month(point, now)
    context = {
        "point": point,
        "calendars": completeness.calendars(point, last),
        "days": range(1, 32),
        "earlier": completeness.shifted(last, -completeness.MONTHS),
        "later": completeness.shifted(last, completeness.MONTHS),
        "revised": completeness.revised(point),
        "most_revised": completeness.MOST_REVISED,
        "sources": completeness.sources(point),
        "refused": completeness.refused(point),
        "gaps": completeness.gaps(point),
    }
    return show(request, "meter.html", f"How complete meter {point.pk} is", **context)


def asked_month(request: HttpRequest) -> date | None:
    """Out of "2026-03" in the address; None for anything else."""
    try:
        return date.fromisoformat(f"{request.GET.get('month', '')[:7]}-01")
    except ValueError:
        return None
