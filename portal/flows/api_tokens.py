"""Tokens of the read-only API: made, found again by their secret, taken back. One of them opens one customer's data."""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import QuerySet

from portal.models import ApiToken, User

log = structlog.get_logger(__name__)

MOST = 10  # per customer
BEGINNING = "smm_"  # so that people, and programs that look for leaked secrets, know what it is
_SHOWN = 8  # letters, of which the owner knows it again; the 39 others are 230 random bits and more
_USE_GRAIN = timedelta(minutes=1)  # how often a row is written only to say that the token was used


class TooMany(Exception):
    """The customer has MOST tokens already."""


class NameTaken(Exception):
    """Another token of his has that name."""


class Unknown(LookupError):
    """No such token, or it was taken back."""


class Expired(Unknown):
    """Its time is over."""


class Closed(Unknown):
    """Its owner may not use the site any more."""


def of(user: User) -> QuerySet[ApiToken]:
    """The customer's tokens, the newest first."""
    return ApiToken.objects.filter(retail_customer=user).order_by("-created_at", "-pk")


@transaction.atomic
def create(user: User, name: str, *, days: int | None, now: datetime) -> tuple[ApiToken, str]:
    """A new token and its secret, which is known to nobody but the caller. Raises TooMany and NameTaken.

    `days`: after how many it expires; None: never.
    """
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    held = of(user)
    if held.filter(name=name).exists():
        raise NameTaken
    if held.count() >= MOST:
        raise TooMany
    secret = f"{BEGINNING}{secrets.token_urlsafe(32)}"
    token = ApiToken.objects.create(
        retail_customer=user,
        name=name,
        prefix=secret[:_SHOWN],
        digest=digest(secret),
        created_at=now,
        expires_at=None if days is None else now + timedelta(days=days),
    )
    log.info("api token created", user=user.pk, api_token=str(token.public_id), days=days)
    return token, secret


def revoke(user: User, public_id: UUID) -> None:
    """Take a token back: it opens nothing from now on. Raises Unknown."""
    deleted, _ = of(user).filter(public_id=public_id).delete()
    if not deleted:
        raise Unknown
    log.info("api token revoked", user=user.pk, api_token=str(public_id))


def find(secret: str, *, now: datetime) -> ApiToken:
    """The token of that secret, with its owner; notes that it was used. Raises Unknown, Expired and Closed."""
    found = ApiToken.objects.select_related("retail_customer").filter(digest=digest(secret)).first()
    if found is None:
        raise Unknown
    if found.expires_at is not None and found.expires_at <= now:
        raise Expired
    if not found.retail_customer.is_active:
        raise Closed
    if found.last_used_at is None or now - found.last_used_at >= _USE_GRAIN:
        ApiToken.objects.filter(pk=found.pk).update(last_used_at=now)
    return found


def digest(secret: str) -> str:
    """What is kept of it. It is random and long: nothing slower than SHA-256 is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
