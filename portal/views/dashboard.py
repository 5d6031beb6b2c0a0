"""The customer's dashboard, and the page to stop a connection."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

import utilities
from espi.models import Authorization, Subscription
from portal.flows import deletion, overview
from portal.flows.withdraw import withdraw
from portal.views.connect import customer, see_other


class StopForm(forms.Form):
    """Delete is what happens unless the customer chooses to keep."""

    collected = forms.ChoiceField(
        label="What should happen to what we have collected?",
        widget=forms.RadioSelect,
        choices=[("delete", "Delete it"), ("keep", "Keep it for me, so that I can still see it here")],
        initial="delete",
    )


@require_GET
@never_cache
@login_required
def dashboard(request: HttpRequest) -> HttpResponse:
    """Every connection with its state in words."""
    return render(request, "portal/dashboard.html", {"cards": overview.cards(customer(request))})


@require_http_methods(["GET", "POST"])
@never_cache
@login_required
def stop(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Stop sharing: as easy as agreeing was, and effective at once."""
    authorization = get_object_or_404(
        Authorization.objects.select_related("application_information", "subscription"),
        public_id=public_id,
        retail_customer=customer(request),
        status__in=Authorization.LIVE,
    )
    utility = utilities.get(authorization.application_information.utility)
    form = StopForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        delete = form.cleaned_data["collected"] == "delete"
        withdraw(authorization, delete_data=delete, now=timezone.now())
        kept = "What we had collected was deleted." if delete else "What we had collected is kept for you."
        messages.success(
            request, f"Stopped. We no longer collect anything from {utility.name}. {kept} {utility.stopping_help}"
        )
        return see_other(reverse("dashboard"))
    return render(request, "portal/stop.html", {"authorization": authorization, "utility": utility, "form": form})


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
            messages.success(request, f"Deleted. We no longer have the data of “{name}”.")
            return see_other(reverse("dashboard"))
    newest = subscription.authorizations.order_by("-created_at").first()
    context = {
        "name": name,
        "hint": newest.account_hint if newest else "",
        "held": deletion.held(subscription),
        "filling": filling,
    }
    return render(request, "portal/delete_data.html", context, status=409 if filling else 200)
