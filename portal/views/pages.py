"""Pages that need no account: what this is, how to stop, what we keep."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

import utilities


@require_safe
def start(request: HttpRequest) -> HttpResponse:
    """What we collect, why, from which utilities, what it costs, how to stop."""
    return render(request, "portal/start.html", {"utilities": utilities.all(), "offered": _offered()})


@require_safe
def help_page(request: HttpRequest) -> HttpResponse:
    """Questions people ask."""
    return render(request, "portal/help.html")


@require_safe
def how_to_stop(request: HttpRequest) -> HttpResponse:
    """How sharing ends, here and at each utility."""
    return render(request, "portal/how_to_stop.html", {"utilities": utilities.all()})


@require_safe
def privacy(request: HttpRequest) -> HttpResponse:
    """What we keep, for how long, and who sees it."""
    return render(request, "portal/privacy.html")


def _offered() -> set[str]:
    return {utility.slug for utility, _app in utilities.offered()}
