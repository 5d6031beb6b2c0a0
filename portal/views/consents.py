"""What a customer agreed to: receipts, their history, renewing, stopping."""

from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

import utilities
from espi.models import ApplicationInformation, Authorization
from portal.flows import authorize, consents, receipts, renewal
from portal.flows.withdraw import withdraw
from portal.models import Consent, ConsentEvent
from portal.views.connect import browser, customer, journey_page, offered_or_404, see_other


class StopForm(forms.Form):
    """Delete is what happens unless the customer chooses to keep."""

    collected = forms.ChoiceField(
        label=_("What should happen to what we have collected?"),
        widget=forms.RadioSelect,
        choices=[("delete", _("Delete it")), ("keep", _("Keep it for me, so that I can still see it here"))],
        initial="delete",
        error_messages={
            "required": _("Choose whether to delete or keep it."),
            "invalid_choice": _("Choose from the list."),
        },
    )


# --- Receipts -----------------------------------------------------------------------------------------------------


@require_GET
@never_cache
@login_required
def history(request: HttpRequest) -> HttpResponse:
    """Every consent, change, renewal and withdrawal, the newest first."""
    return render(request, "portal/consents/history.html", {"receipts": receipts.all_of(customer(request))})


def _own_receipt(request: HttpRequest, public_id: UUID) -> receipts.Receipt:
    rows = Consent.objects.select_related("authorization", "request__application_information")
    return receipts.of(get_object_or_404(rows, public_id=public_id, retail_customer=customer(request)))


@require_GET
@never_cache
@login_required
def receipt(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """What the customer agreed to, to read or print."""
    return render(request, "portal/consents/receipt.html", {"receipt": _own_receipt(request, public_id)})


@require_GET
@never_cache
@login_required
def receipt_file(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The same as a plain text file, to keep."""
    found = _own_receipt(request, public_id)
    base = settings.PORTAL_BASE_URL.rstrip("/")
    authorization = found.consent.authorization
    stop = base + reverse("stop", args=[authorization.public_id]) if found.is_sharing and authorization else ""
    text = receipts.as_text(found, review=base + reverse("consents"), stop=stop)
    response = HttpResponse(text, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="receipt-{found.consent.reference}.txt"'
    return response


# --- Renewing -----------------------------------------------------------------------------------------------------


def _own_connection(request: HttpRequest, public_id: UUID, **more: Any) -> Authorization:
    rows = Authorization.objects.select_related("application_information", "subscription")
    return get_object_or_404(rows, public_id=public_id, retail_customer=customer(request), **more)


@require_http_methods(["GET", "POST"])
@journey_page
def renew(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The same agreement once more, with what is different marked, and one button."""
    known = [status for status in Authorization.Status if status != Authorization.Status.PARKED]
    authorization = _own_connection(request, public_id, status__in=known)
    utility, app = offered_or_404(authorization.application_information.utility)
    try:
        if request.method == "POST":
            return _renewed(request, authorization, app)
        return _renewal_page(request, authorization, app)
    except authorize.WordsChanged:
        return _renewal_page(request, authorization, app, was_changed=True)
    except renewal.CannotRenew:
        return see_other(reverse("connect:choose-data", args=[utility.slug]))


def _renewed(request: HttpRequest, authorization: Authorization, app: ApplicationInformation) -> HttpResponse:
    journey = renewal.renew(
        authorization,
        app,
        user=customer(request),
        browser=browser(request),
        shown=request.POST.get("shown", ""),
        language=get_language() or "en",
        now=timezone.now(),
    )
    return see_other(reverse("connect:leave", args=[journey.public_id]))


def _renewal_page(
    request: HttpRequest, authorization: Authorization, app: ApplicationInformation, *, was_changed: bool = False
) -> HttpResponse:
    offer = renewal.offer(authorization, app, language=get_language() or "en")
    context = {"offer": offer, "utility": utilities.get(app.utility), "was_changed": was_changed}
    return render(request, "portal/consents/renew.html", context, status=409 if was_changed else 200)


# --- Stopping -----------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@never_cache
@login_required
def stop(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Stop sharing: as easy as agreeing was, and effective at once."""
    stopping = (*Authorization.LIVE, Authorization.Status.WITHDRAWN)
    authorization = _own_connection(request, public_id, status__in=stopping)
    if authorization.status == Authorization.Status.WITHDRAWN:  # a second click
        return see_other(reverse("stopped", args=[authorization.public_id]))
    form = StopForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        withdraw(authorization, delete_data=form.cleaned_data["collected"] == "delete", now=timezone.now())
        return see_other(reverse("stopped", args=[authorization.public_id]))
    app = authorization.application_information
    utility = utilities.get(app.utility)
    context = {"authorization": authorization, "utility": utility, "form": form, "is_told": utility.can_revoke(app)}
    return render(request, "portal/consents/stop.html", context, status=422 if form.errors else 200)


@require_GET
@never_cache
@login_required
def stopped(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """That it has stopped, what became of the data, and what is left to do at the utility."""
    authorization = _own_connection(request, public_id, status=Authorization.Status.WITHDRAWN)
    app = authorization.application_information
    utility, consent = utilities.get(app.utility), consents.current(authorization)
    held = authorization.subscription
    context = {
        "authorization": authorization,
        "utility": utility,
        "is_told": utility.can_revoke(app),
        "is_kept": bool(held and (held.usage_points.exists() or held.documents.exists())),
        "was_deleted": bool(consent and consent.events.filter(kind=ConsentEvent.Kind.DELETED).exists()),
        "consent": consent,
    }
    return render(request, "portal/consents/stopped.html", context)
