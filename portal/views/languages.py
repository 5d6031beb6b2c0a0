"""The language of pages and e-mails: a visitor's choice in the footer, a customer's on the account pages."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from portal.accounts import is_own_path
from portal.forms import LanguageForm
from portal.views.connect import customer, see_other


@require_POST
def switch(request: HttpRequest) -> HttpResponse:
    """Any visitor's choice, kept in a cookie; a signed-in one's also with the account. Back to the page he was on."""
    form = LanguageForm(request.POST)
    back = request.POST.get("next", "")
    response = see_other(back if is_own_path(back) else reverse("start"))
    if form.is_valid():
        _remember(request, response, form.cleaned_data["language"])
    return response


@require_http_methods(["GET", "POST"])
@never_cache
@login_required
def language_page(request: HttpRequest) -> HttpResponse:
    """The same choice among the account pages, where e-mails are mentioned."""
    form = LanguageForm(request.POST or None, initial={"language": translation.get_language()})
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data["language"]
        response = see_other(reverse("account"))
        _remember(request, response, chosen)
        with translation.override(chosen):
            messages.success(request, _("Pages and e-mails are now in English."))
        return response
    return render(request, "portal/language.html", {"form": form}, status=400 if form.errors else 200)


def _remember(request: HttpRequest, response: HttpResponse, language: str) -> None:
    if request.user.is_authenticated:
        user = customer(request)
        user.language = language
        user.save(update_fields=["language"])
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
        samesite="Lax",
    )
