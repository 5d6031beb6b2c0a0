"""What every template may use."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _

import utilities
from espi.models import ApplicationInformation
from portal.acceptance.incoming import WALK
from portal.middleware import limits_of
from portal.models import User
from portal.words import listed


def environment_words() -> str:
    """Said on every page while a utility is offered through a registration that is not production; else ""."""
    offered = ApplicationInformation.objects.filter(is_offered=True).values_list("utility", "environment")
    pretended = {slug: environment for slug, environment in offered if environment != "production"}
    if not pretended:
        return ""
    kinds = {"sandbox": _("the sandbox"), "test": _("a test environment of the utilities")}
    places = listed([kinds.get(name, name) for name in sorted(set(pretended.values()))])
    if len(pretended) == len(offered):
        return _("You are using %(places)s. Nothing here reaches a real utility account.") % {"places": places}
    names = ", ".join(sorted(utility.name for utility in utilities.all() if utility.slug in pretended))
    return _("Not real here: %(names)s (%(places)s). The other utilities are.") % {"names": names, "places": places}


def idle_seconds(request: HttpRequest) -> int:
    """After how many quiet seconds this visitor is signed out; 0 for one who is not signed in."""
    user = getattr(request, "user", None)
    return limits_of(user)[0] if isinstance(user, User) else 0


def walk_page(request: HttpRequest) -> str:
    """The page of the walk that this browser's tester is on; empty for everybody else, without a question."""
    walk = request.session.get(WALK) if hasattr(request, "session") else None
    return reverse("testing:part", args=[walk]) if walk else ""


def site(request: HttpRequest) -> dict[str, Any]:
    """The site's own name and contact, and a warning where utilities are not the real ones (asked only if shown)."""
    return {
        "portal_name": settings.PORTAL_NAME,
        "site_languages": settings.LANGUAGES,  # each by its own name, whatever is spoken
        "support_email": settings.SUPPORT_EMAIL,
        "not_production": SimpleLazyObject(environment_words),
        "acceptance_walk": SimpleLazyObject(lambda: walk_page(request)),
        "session_idle_seconds": SimpleLazyObject(lambda: idle_seconds(request)),
    }


def staff_badge(request: HttpRequest) -> list[str]:
    """For the staff site's header: ["sandbox, test", "warning"] where utilities are not the real ones."""
    kinds = ApplicationInformation.objects.filter(is_offered=True).values_list("environment", flat=True)
    names = sorted(set(kinds)) or ["nothing offered"]
    return [", ".join(names), "danger" if names == ["production"] else "warning"]
