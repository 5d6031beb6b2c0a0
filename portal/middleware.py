"""What happens around every request: its log line, the limits of a session, the rules of the staff site."""

import time
import uuid
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import cast
from urllib.parse import urlsplit

import structlog
from allauth.mfa.models import Authenticator
from csp import constants as csp
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.core.exceptions import DisallowedHost
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import resolve, reverse
from django.utils import translation
from django.utils.cache import add_never_cache_headers
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from portal import metrics
from portal.models import User

GetResponse = Callable[[HttpRequest], HttpResponse]
log = structlog.get_logger("portal.request")

SIGNED_IN_AT, SEEN_AT = "signed_in_at", "seen_at"
ENGLISH_ONLY = ("/staff/", "/testing/", "/styleguide", "/api")
# Need no session, and their addresses hold what must not be written into another one.
FOR_ANYBODY = ("/espi/1_1/", "/letters/unsubscribe/")
SEEN_GRAIN = 60  # seconds: how often a session is written only to say that it is alive


def request_log(get_response: GetResponse) -> GetResponse:
    """One line per request: method, path without its query, status, milliseconds, and an id that its events share."""

    def middleware(request: HttpRequest) -> HttpResponse:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=uuid.uuid4().hex[:12])
        began = time.perf_counter()
        response = get_response(request)
        took = time.perf_counter() - began
        status, ms = int(response.status_code), round(took * 1000)
        log.info("request", method=request.method, path=request.path, status=status, ms=ms)
        metrics.note_request(request, response, took)
        return response

    return middleware


# Where utilities post. Nothing that belongs to a page (session, visitor, language, policy) belongs to these.
MACHINES = ("/espi/1_1/Notification/", "/espi/1_1/Webhook/")


def straight_to_machines(get_response: GetResponse) -> GetResponse:
    """Let what a utility posts reach its view without what pages need: that costs more than keeping it does."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(MACHINES) or not is_as_it_should_be(request):
            return get_response(request)
        try:
            view, args, kwargs = request.resolver_match = resolve(request.path_info)  # figures are told by page
            return cast(HttpResponse, view(request, *args, **kwargs))
        except Http404:
            return HttpResponse(status=HTTPStatus.NOT_FOUND)

    return middleware


def is_as_it_should_be(request: HttpRequest) -> bool:
    """Whether it came to a host of ours, and over TLS where we have it; else the middleware of pages says what is wrong."""
    try:
        request.get_host()
    except DisallowedHost:
        return False
    return request.is_secure() or not settings.SECURE_SSL_REDIRECT


def see_other(get_response: GetResponse) -> GetResponse:
    """After a POST the answer is 303: whatever the browser, the next request is a GET and carries nothing over."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.method == "POST" and response.status_code in (HTTPStatus.FOUND, HTTPStatus.MOVED_PERMANENTLY):
            response.status_code = HTTPStatus.SEE_OTHER
        return response

    return middleware


def session_limits(get_response: GetResponse) -> GetResponse:
    """End a session that was idle too long or is too old (SESSION_LIMITS), and keep signed-in pages out of caches."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.user.is_authenticated:
            response = get_response(request)
            _begin(request)
            return response
        if _is_over(request, now=int(time.time())):
            _sign_out(request)
            return get_response(request) if request.path_info.startswith(FOR_ANYBODY) else _sign_in_page(request)
        response = get_response(request)
        if "Cache-Control" not in response:
            add_never_cache_headers(response)
        return response

    return middleware


def own_language(get_response: GetResponse) -> GetResponse:
    """Speak the language the signed-in person chose; what only staff and programs read is English.

    Before it Django's LocaleMiddleware has taken the visitor's own choice (a cookie) or his browser's.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        chosen = "en" if request.path_info.startswith(ENGLISH_ONLY) else getattr(request.user, "language", "")
        if chosen:
            translation.activate(chosen)
            request.LANGUAGE_CODE = translation.get_language() or chosen
        return get_response(request)

    return middleware


def limits_of(user: User) -> tuple[int, int]:
    """(seconds a session may be idle, seconds it may last) for this person."""
    return settings.SESSION_LIMITS["staff" if user.is_staff else "customer"]


def _is_over(request: HttpRequest, *, now: int) -> bool:
    session = request.session
    idle, age = limits_of(cast(User, request.user))
    began, seen = session.setdefault(SIGNED_IN_AT, now), session.setdefault(SEEN_AT, now)
    if now - seen > idle or now - began > age:
        return True
    if now - seen >= SEEN_GRAIN:
        session[SEEN_AT] = now
    return False


def _begin(request: HttpRequest) -> None:
    """Somebody signed in by this very request: both limits begin with it, whether or not another one follows."""
    if request.user.is_authenticated:
        _is_over(request, now=int(time.time()))


def _sign_out(request: HttpRequest) -> None:
    visit = request.session.get("utility_visit")
    logout(request)
    if visit:
        request.session["utility_visit"] = visit
    words = _("You were signed out because some time had passed. Nothing was lost. Please sign in again.")
    messages.info(request, words)


def _sign_in_page(request: HttpRequest) -> HttpResponse:
    query = f"?{urlencode({'next': request.get_full_path()})}" if request.method == "GET" else ""
    return redirect(reverse(settings.LOGIN_URL) + query)


def staff_site(get_response: GetResponse) -> GetResponse:
    """Under /staff/: nobody without a second step, and the looser policy that its theme needs, there only.

    django-unfold runs on Alpine.js, which evaluates expressions and sets styles from script.
    """
    prefix = reverse("admin:index")

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(prefix):
            return get_response(request)
        if request.user.is_authenticated and request.user.is_staff and not has_totp(request.user):
            words = _("The staff pages need a second step. Set up an authenticator app first.")
            messages.warning(request, words)
            return redirect("mfa_activate_totp")
        response = get_response(request)
        update = {"script-src": [csp.UNSAFE_EVAL], "style-src": [csp.UNSAFE_INLINE]}
        response._csp_update = update  # type: ignore[attr-defined]
        return response

    return middleware


def has_totp(user: User) -> bool:
    """Whether this person set up an authenticator app."""
    return Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists()


def allow_departure(response: HttpResponse, addresses: Iterable[str]) -> HttpResponse:
    """Let a form on this page end at the hosts of `addresses` (URLs; only scheme and host count).

    Browsers hold `form-action` against every redirect that follows a submitted form. A utility may send the customer on
    to a sign-in host that only it knows, so on this page any https address is let through. Returns the same response.
    """
    origins = {"https:", *(f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, addresses))}
    response._csp_update = {"form-action": sorted(origins)}  # type: ignore[attr-defined]
    return response
