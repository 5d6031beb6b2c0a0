"""The page of a customer's API tokens: made here, shown once, taken back here."""

from uuid import UUID

from allauth.account.adapter import get_adapter
from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from portal.flows import api_tokens
from portal.views.connect import customer, see_other


class TokenForm(forms.Form):
    """What a new token is called, and how long it holds."""

    name = forms.CharField(
        label=_("Name"),
        max_length=60,
        help_text=_("So that you know it again, for example “Spreadsheet at home”."),
        error_messages={
            "required": _("Give the token a name."),
            "max_length": _("The name may have up to 60 letters."),
        },
    )
    days = forms.TypedChoiceField(
        label=_("Works for"),
        choices=[
            ("30", _("30 days")),
            ("90", _("90 days")),
            ("365", _("One year")),
            ("0", _("Until you take it back")),
        ],
        initial="90",
        coerce=int,
        error_messages={"required": _("Choose how long it works."), "invalid_choice": _("Choose from the list.")},
    )


@require_http_methods(["GET", "POST"])
@never_cache
@login_required
@reauthentication_required(allow_get=True)
def api_tokens_page(request: HttpRequest) -> HttpResponse:
    """The tokens, and a form for a new one, which this answer shows and no other ever will."""
    form = TokenForm(request.POST if request.method == "POST" else None)
    secret = _create(request, form) if form.is_valid() else ""
    context = {
        "form": TokenForm() if secret else form,
        "secret": secret,
        "tokens": api_tokens.of(customer(request)),
        "most": api_tokens.MOST,
        "now": timezone.now(),
    }
    return render(request, "portal/api_tokens.html", context, status=422 if form.errors else 200)


def _create(request: HttpRequest, form: TokenForm) -> str:
    user, cleaned = customer(request), form.cleaned_data
    try:
        _token, secret = api_tokens.create(user, cleaned["name"], days=cleaned["days"] or None, now=timezone.now())
    except api_tokens.NameTaken:
        form.add_error("name", _("You have a token of that name. Choose another name."))
    except api_tokens.TooMany:
        words = _("You have %(most)s tokens. Take one back that you no longer need.")
        form.add_error(None, words % {"most": api_tokens.MOST})
    else:
        get_adapter(request).send_notification_mail("api_token_created", user)
        return secret
    return ""


@require_POST
@never_cache
@login_required
def revoke_api_token(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take a token back. 404 for one that is not his."""
    try:
        api_tokens.revoke(customer(request), public_id)
    except api_tokens.Unknown:
        raise Http404 from None
    messages.success(request, _("Taken back. Whatever used that token can read nothing any more."))
    return see_other(reverse("api-tokens"))
