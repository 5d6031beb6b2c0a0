"""The customer's dashboard, and the page to delete what is kept."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from espi.models import Subscription
from portal.flows import deletion, overview
from portal.views.connect import customer, see_other


@require_GET
@never_cache
@login_required
def dashboard(request: HttpRequest) -> HttpResponse:
    """Every connection with its state in words."""
    return render(request, "portal/dashboard.html", {"cards": overview.cards(customer(request))})


@require_http_methods(["GET", "POST"])
@never_cache
@login_required
def delete_data(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Delete what was uploaded, or kept of a connection that has ended. 409 while a live one fills it."""
    subscription = get_object_or_404(Subscription, public_id=public_id, retail_customer=customer(request))
    name = overview.name_of(subscription)
    filling = deletion.filling(subscription)
    if request.method == "POST" and not filling:
        try:
            deletion.delete(subscription)
        except deletion.StillFilled:  # connected again, meanwhile
            filling = deletion.filling(subscription)
        else:
            messages.success(request, _("Deleted. We no longer have the data of “%(name)s”.") % {"name": name})
            return see_other(reverse("dashboard"))
    newest = subscription.authorizations.order_by("-created_at").first()
    context = {
        "name": name,
        "hint": newest.account_hint if newest else "",
        "held": deletion.held(subscription),
        "filling": filling,
    }
    return render(request, "portal/delete_data.html", context, status=409 if filling else 200)
