"""Customers' connections for support: a search, the reason before the look, and what happened in words."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods

from espi.models import Authorization
from portal import roles
from portal.flows import looking
from portal.flows.staffing import connections, work
from portal.flows.staffing.masking import masked
from portal.models import StaffAccess, User
from portal.views.connect import see_other
from portal.views.staff.pages import member, reason_address, show, staff_page

LOOK = f"portal.{roles.LOOK}"


@staff_page(LOOK)
@require_http_methods(["GET", "POST"])
def search(request: HttpRequest) -> HttpResponse:
    """By reference, or by the end of an account number. By POST: what is asked stands in no address and no log.

    That somebody searched is written down, so that trying one ending after the other shows.
    """
    asked = request.POST.get("asked", "").replace("\0", "")[:100]
    found = list(connections.find(asked)) if asked else []
    if asked:
        what = f"search of connections: {len(found)} found"
        looking.note(StaffAccess.Kind.LOOK, what, staff=member(request), now=timezone.now())
    rows = [(each, work.paused_until(each, timezone.now())) for each in found]
    return show(request, "connections.html", "Connections", asked=asked, found=rows, most=connections.MOST_FOUND)


@staff_page(LOOK)
@require_GET
def connection(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One connection; after a reason was given."""
    try:
        held = connections.look(public_id, staff=member(request), now=timezone.now())
    except Authorization.DoesNotExist:
        raise Http404 from None
    except looking.NoReason:
        customer = Authorization.objects.values_list("retail_customer", flat=True).get(public_id=public_id)
        return see_other(reason_address(customer, request.path))
    card = connections.seen_by_customer(held)
    context = {
        "held": held,
        "paused": work.paused_until(held, timezone.now()),
        "card": card,
        "detail": masked(card.detail) if card else "",
        "meters": connections.meters(held),
        "why": connections.why_seen(held, card),
        "events": [(event, row_address(event)) for event in connections.timeline(held)],
    }
    return show(request, "connection.html", "Connection", **context)


def row_address(event: connections.Event) -> str:
    """Of the row that an event is about; "" for none."""
    if event.row is None:
        return ""
    label, pk = event.row
    return reverse(f"admin:{label.replace('.', '_')}_change", args=[pk])


@staff_page(LOOK)
@require_http_methods(["GET", "POST"])
def reason(request: HttpRequest, pk: int) -> HttpResponse:
    """Why do you look at this customer's data? Asked before, and again after half an hour."""
    customer = get_object_or_404(User, pk=pk)
    then = request.GET.get("next", "")
    if not (then.startswith("/staff/") and url_has_allowed_host_and_scheme(then, allowed_hosts=None)):
        then = reverse("staff:connections")
    words = request.POST.get("reason", "").replace("\0", "")
    error = ""
    if request.method == "POST":
        try:
            looking.give_reason(staff=member(request), customer=customer, reason=words, now=timezone.now())
        except looking.NotAllowed as problem:
            raise PermissionDenied from problem
        except looking.NoReason as problem:
            error = str(problem)
        else:
            messages.info(request, "Your reason is written down. It holds for 30 minutes, for this customer only.")
            return see_other(then)
    title = "Error: why do you look?" if error else "Why do you look?"
    context = {"error": error, "words": words, "then": then, "most": looking.LONGEST_REASON, "customer": customer.pk}
    return show(request, "reason.html", title, **context)
