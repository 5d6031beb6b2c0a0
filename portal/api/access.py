"""Who asks, how often he may, and what he is told when something is wrong: JSON, in plain words."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

import structlog
from allauth.core.internal import ratelimit
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, ValidationError
from ninja.security import HttpBearer

from espi import readings
from portal import limits
from portal.flows import api_tokens
from portal.models import ApiToken, User

log = structlog.get_logger("portal.api")

ADDRESS = "/api/v1/"
WORDS = {
    308: ("moved", "This meter was joined to another one: what it had is there."),
    400: ("bad_request", "We could not read that request."),
    401: (
        "unauthorized",
        "Send a token of yours as “Authorization: Bearer TOKEN”. Tokens are made on the page “My account”.",
    ),
    403: ("forbidden", "This account is closed."),
    404: ("not_found", "There is nothing of yours at this address."),
    405: ("method_not_allowed", "This API only reads: use GET."),
    422: ("invalid", "Something in the address is not as it should be."),
    429: ("too_many_requests", "That was too often. Wait, as long as Retry-After says."),
    500: ("our_fault", "Something went wrong here. The fault is ours; ask again later."),
    503: ("try_again", "This was being written just now. Ask again in a moment."),
}
_EXPIRED = "This token has expired. Make another one on the page “My account”."
_UNKNOWN = "We do not know this token, or it was taken back."


class Refused(Exception):
    """An answer that is no data: its status, and the sentence where it is not the usual one."""

    def __init__(self, status: int, message: str = "", *, retry_after: int | None = None) -> None:
        super().__init__(status)
        self.status, self.message, self.retry_after = status, message, retry_after


class Moved(Exception):
    """What is asked for is at another address."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


class BadRange(ValueError):
    """What was asked for cannot be; the message says why."""


class TokenAuth(HttpBearer):
    """`Authorization: Bearer smm_…`."""

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken:
        """The token, as one of the calls its owner may make in an hour. Raises Refused."""
        try:
            found = api_tokens.find(token.strip(), now=timezone.now())
        except api_tokens.Closed:
            raise Refused(403) from None
        except api_tokens.Unknown as error:
            _count(limits.one_wrong_token, ratelimit.get_ip(request))
            raise Refused(401, _EXPIRED if isinstance(error, api_tokens.Expired) else _UNKNOWN) from None
        _count(limits.one_api_call, found.retail_customer_id)
        log.info("api read", user=found.retail_customer_id, api_token=str(found.public_id), path=request.path)
        return found


def _count(one: Callable[[Any], None], whom: Any) -> None:
    try:
        one(whom)
    except limits.TooMany as error:
        raise Refused(429, retry_after=error.retry_after) from None


def owner(request: HttpRequest) -> User:
    """Whose token it is."""
    return cast(ApiToken, request.auth).retail_customer  # type: ignore[attr-defined]


def refusal(status: int, message: str = "", *, retry_after: int | None = None) -> HttpResponse:
    """An error as JSON."""
    word, usual = WORDS[status]
    response = JsonResponse({"error": word, "message": message or usual}, status=status)
    response["Cache-Control"] = "private, no-store"
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = 'Bearer realm="api"'
    if retry_after is not None:
        response["Retry-After"] = str(retry_after)
    return response


def moved(address: str) -> HttpResponse:
    """A redirect; where it leads is not for ever, so nobody keeps it."""
    response = refusal(308)
    response["Location"] = address
    return response


def json_errors(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: under the API's address every error is JSON, also those that the site answers with a page."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if not request.path_info.startswith(ADDRESS):
            return response
        if response.status_code in WORDS and not response.get("Content-Type", "").startswith("application/json"):
            again = refusal(response.status_code)
            for header in ("Allow", "Retry-After"):
                if header in response:
                    again[header] = response[header]
            return again
        response["Cache-Control"] = "private, no-store"
        return response

    return middleware


def explain(api: NinjaAPI) -> None:
    """Make every error of the API one of ours."""
    handlers: dict[type[Exception], Callable[[Any], HttpResponse]] = {
        AuthenticationError: lambda error: refusal(401),
        Refused: lambda error: refusal(error.status, error.message, retry_after=error.retry_after),
        Http404: lambda error: refusal(404),
        Moved: lambda error: moved(error.address),
        BadRange: lambda error: refusal(422, str(error)),
        ValidationError: lambda error: refusal(422, _sentences(error)),
        readings.Rewritten: lambda error: refusal(503, retry_after=1),
    }
    for kind, answer in handlers.items():
        api.add_exception_handler(kind, _answering(answer))


def _answering(answer: Callable[[Any], HttpResponse]) -> Callable[[HttpRequest, Any], HttpResponse]:
    return lambda request, error: answer(error)


def _sentences(error: ValidationError) -> str:
    """`limit: Input should be less than or equal to 10000.` for each field; what was sent is not repeated."""
    return " ".join(f"{each['loc'][-1]}: {each['msg']}." for each in error.errors)
