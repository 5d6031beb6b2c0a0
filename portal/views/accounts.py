"""A customer's account: what is set up and where to change it. The pages behind the links are django-allauth's."""

import time
from typing import cast

from allauth.account.decorators import reauthentication_required
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal.flows import api_tokens, leaving
from portal.middleware import SEEN_AT
from portal.models import User
from portal.views.connect import see_other


@require_safe
@never_cache
@login_required
def overview(request: HttpRequest) -> HttpResponse:
    """E-mail address, password, language, second step, sessions, e-mails, consents, data, and how to leave."""
    user = cast(User, request.user)
    kinds = list(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    context = {
        "has_app": Authenticator.Type.TOTP in kinds,
        "passkeys": kinds.count(Authenticator.Type.WEBAUTHN),
        "api_tokens": api_tokens.of(user).count(),
        "consents": user.consents.count(),
        "sessions": UserSession.objects.filter(user=user).count(),
    }
    return render(request, "portal/account.html", context)


class DeleteForm(forms.Form):
    """So that nobody deletes his account by a slip of the finger."""

    sure = forms.BooleanField(
        label=_("Yes, delete my account and everything in it"),
        error_messages={"required": _("Tick the box if you want to delete your account.")},
    )


@require_http_methods(["GET", "POST"])
@never_cache
@login_required
@reauthentication_required(allow_get=True)
def delete(request: HttpRequest) -> HttpResponse:
    """What goes, and when; and then it goes. Asks for the password first."""
    user = cast(User, request.user)
    form = DeleteForm(request.POST if request.method == "POST" else None)
    if form.is_valid() and not user.is_staff:
        leaving.leave(user, now=timezone.now())
        logout(request)
        return see_other(reverse("account-deleted"))
    context = {"form": form, "belongings": leaving.belongings(user), "days": leaving.WAITS_FOR_UTILITIES.days}
    return render(request, "portal/delete_account.html", context, status=422 if form.errors else 200)


@require_safe
def deleted(request: HttpRequest) -> HttpResponse:
    """A good-bye; the same for everybody, so it tells nothing."""
    return render(request, "portal/account_deleted.html")


@require_POST
@login_required
def stay_signed_in(request: HttpRequest) -> HttpResponse:
    """The visitor said that he is still there: 204, and his idle time starts anew."""
    request.session[SEEN_AT] = int(time.time())
    return HttpResponse(status=204)
