"""Pages for what went wrong: what happened to the visitor's input, and what he can do."""

import sys
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

BACKENDS_DOWN = (OperationalError, InterfaceError, RedisConnectionError, RedisTimeoutError)
RETRY_SOON = 60  # seconds


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400: the address or what was sent is not in order."""
    return HttpResponse(_plain("400.html"), status=HTTPStatus.BAD_REQUEST)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403: signed in, but not for this."""
    return render(request, "403.html", status=HTTPStatus.FORBIDDEN)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403: a form that did not come from our page, or from one that is too old."""
    return render(request, "403.html", {"stale_form": True}, status=HTTPStatus.FORBIDDEN)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404."""
    return render(request, "404.html", status=HTTPStatus.NOT_FOUND)


def too_many_requests(request: HttpRequest, *, retry_after: int = RETRY_SOON) -> HttpResponse:
    """429, with the seconds to wait in Retry-After and in words."""
    minutes = max(1, round(retry_after / 60))
    response = render(request, "429.html", {"minutes": minutes}, status=HTTPStatus.TOO_MANY_REQUESTS)
    response["Retry-After"] = str(retry_after)
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """500; or 503 when the database or the cache does not answer. Needs neither to say so."""
    if isinstance(sys.exc_info()[1], BACKENDS_DOWN):
        response = HttpResponse(_plain("503.html"), status=HTTPStatus.SERVICE_UNAVAILABLE)
        response["Retry-After"] = str(RETRY_SOON)
        return response
    return HttpResponse(_plain("500.html"), status=HTTPStatus.INTERNAL_SERVER_ERROR)


def _plain(template: str) -> str:
    context: dict[str, Any] = {
        "portal_name": settings.PORTAL_NAME,
        "support_email": settings.SUPPORT_EMAIL,
        "stylesheet": f"{settings.STATIC_URL}portal/site.css",
    }
    return render_to_string(template, context)
