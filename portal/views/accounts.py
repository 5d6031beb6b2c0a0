"""A customer's account: what is set up and where to change it. The pages behind the links are django-allauth's."""

import time
from typing import cast

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from portal.flows import api_tokens
from portal.middleware import SEEN_AT
from portal.models import User


@require_safe
@never_cache
@login_required
def overview(request: HttpRequest) -> HttpResponse:
    """E-mail address, password, second step, sessions."""
    user = cast(User, request.user)
    kinds = list(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    context = {
        "has_app": Authenticator.Type.TOTP in kinds,
        "passkeys": kinds.count(Authenticator.Type.WEBAUTHN),
        "api_tokens": api_tokens.of(user).count(),
        "sessions": UserSession.objects.filter(user=user).count(),
    }
    return render(request, "portal/account.html", context)


@require_POST
@login_required
def stay_signed_in(request: HttpRequest) -> HttpResponse:
    """The visitor said that he is still there: 204, and his idle time starts anew."""
    request.session[SEEN_AT] = int(time.time())
    return HttpResponse(status=204)
