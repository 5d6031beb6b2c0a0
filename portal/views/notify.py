"""Where utilities post. Machine addresses: no sign-in, no CSRF token, a secret in the path."""

import ipaddress
import logging

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from espi.models import Notification
from portal.flows import notify

log = logging.getLogger(__name__)


@csrf_exempt
@require_POST
def notification(request: HttpRequest, slug: str, secret: str) -> HttpResponse:
    """ESPI notification: 200 with an empty body once it is kept; 503 asks the utility to send it again."""
    return accept(request, slug, secret, Notification.Channel.BATCH_LIST)


@csrf_exempt
@require_POST
def webhook(request: HttpRequest, slug: str, secret: str) -> HttpResponse:
    """UtilityAPI's signed JSON events (contract §4.4): 401 unless the signature is right."""
    return accept(request, slug, secret, Notification.Channel.EVENTS)


def accept(request: HttpRequest, slug: str, secret: str, channel: Notification.Channel) -> HttpResponse:
    try:
        app = notify.registration(slug, secret)
        if app is None:
            raise Http404
        if not notify.may_post(app, source_address(request)):
            log.warning("notification of %s refused: it comes from elsewhere", app.utility)
            return HttpResponse(status=403)
        if is_coded(request):
            return HttpResponse(status=400)
        body = read(request)
        if body is None:
            return HttpResponse(status=413)
        if channel == Notification.Channel.EVENTS and not is_signed(request, body, app.webhook_secret):
            log.warning("webhook of %s refused: bad signature", app.utility)
            return HttpResponse(status=401)
        notify.receive(
            app,
            body,
            content_type=request.META.get("CONTENT_TYPE", ""),
            source_address=source_address(request),
            now=timezone.now(),
            channel=channel,
        )
    except (DatabaseError, InterfaceError) as error:
        log.error("notification not kept: %s", type(error).__name__)
        return HttpResponse(status=503, headers={"Retry-After": "60"})
    return HttpResponse(status=200)


def read(request: HttpRequest) -> bytes | None:
    """The body; None when it is longer than allowed, of which no more than the limit was read."""
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isascii() and length.isdigit() and int(length) > notify.BODY_LIMIT:
        return None
    # Django takes a body without Content-Length for an empty one; the server has unpacked the chunks.
    stream = request.environ["wsgi.input"] if is_chunked(request) else request  # type: ignore[attr-defined]
    body: bytes = stream.read(notify.BODY_LIMIT + 1)
    return body if len(body) <= notify.BODY_LIMIT else None


def is_chunked(request: HttpRequest) -> bool:
    coding = request.META.get("HTTP_TRANSFER_ENCODING", "").strip().lower()
    return coding == "chunked" and bool(request.META.get("wsgi.input_terminated"))


def is_coded(request: HttpRequest) -> bool:
    """Whether the body is in a transfer coding that nobody has unpacked: it would be taken for an empty one."""
    return bool(request.META.get("HTTP_TRANSFER_ENCODING")) and not is_chunked(request)


def is_signed(request: HttpRequest, body: bytes, secret: str) -> bool:
    return notify.signed(
        body,
        secret=secret,
        salt=request.headers.get("X-UtilityAPI-Webhook-Salt", ""),
        signature=request.headers.get("X-UtilityAPI-Webhook-Signature", ""),
    )


def source_address(request: HttpRequest) -> str | None:
    """Who posted. X-Forwarded-For counts only behind our own proxies, which are as many as the settings say."""
    proxies = getattr(settings, "ALLAUTH_TRUSTED_PROXY_COUNT", 0)
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    text = forwarded[-proxies] if 0 < proxies <= len(forwarded) else request.META.get("REMOTE_ADDR", "")
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return None
