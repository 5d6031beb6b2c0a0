"""Access tokens: kept for their life, refreshed before it ends, one refresh in flight.

The row of the authorization (or of the registration) stays locked while its token is renewed. Con Edison and PG&E may
void the old pair at once (contracts §3.2, §6), so the new pair is committed before anybody can use it.
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction

import utilities
from espi.models import ApplicationInformation, Authorization
from utilities.base import Utility
from utilities.oauth import Grant, InvalidGrant

log = logging.getLogger(__name__)

LEAST_LEFT = timedelta(minutes=10)
REFUSED = "The utility no longer accepts the permission you gave. Please connect again."


class NotAllowed(Exception):
    """There is no live permission to fetch with; `reason` says why, in words for the customer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def current(authorization: Authorization, *, now: datetime) -> str:
    """The customer's access token, good for ten minutes at least.

    Raises NotAllowed when the permission has ended, and the errors of utilities.oauth: TokenUnavailable,
    TokenThrottled, NoConnection (try later), InvalidClient, BadTokenAnswer (for staff).
    """
    if is_fresh(authorization.access_token, authorization.access_token_expires_at, now) and is_active(authorization):
        return authorization.access_token or ""
    return renewed(authorization, now=now)


def renewed(authorization: Authorization, *, now: datetime, rejected: str = "") -> str:
    """A fresh access token other than `rejected`: somebody else's, if he was faster; else from one refresh.

    Raises as `current` does.
    """
    with transaction.atomic(durable=True):
        row = locked(authorization)
        if is_fresh(row.access_token, row.access_token_expires_at, now) and row.access_token != rejected:
            return row.access_token or ""
        grant = refresh(row)
        if grant is None:
            end(row, now)
        else:
            keep(row, grant, now)
    if grant is None:
        raise NotAllowed(REFUSED)
    return grant.access_token


def locked(authorization: Authorization) -> Authorization:
    """The row as it is now, held against other refreshes but not against new jobs of it. Raises NotAllowed."""
    rows = Authorization.objects.select_for_update(no_key=True, of=("self",)).select_related("application_information")
    row = rows.get(pk=authorization.pk)
    if not is_active(row):
        raise NotAllowed(row.status_reason or f"{row.get_status_display()}.")
    if not row.refresh_token:
        raise NotAllowed("The utility gave us no means to renew its permission. Please connect again.")
    return row


def is_active(authorization: Authorization) -> bool:
    """Whether the customer's permission stands."""
    return authorization.status == Authorization.Status.ACTIVE


def is_fresh(token: str | None, expires_at: datetime | None, now: datetime) -> bool:
    """Whether a token may still be used."""
    return bool(token) and expires_at is not None and expires_at - now > LEAST_LEFT


def refresh(row: Authorization) -> Grant | None:
    """A new grant, or None when the utility refused our refresh token twice: only then is it believed."""
    utility = utilities.get(row.application_information.utility)
    for _ in range(2):
        try:
            return ask(utility, row)
        except InvalidGrant:
            log.warning("refresh refused: authorization=%s utility=%s", row.public_id, utility.slug)
    return None


def ask(utility: Utility, row: Authorization) -> Grant:
    """One refresh. Con Edison V1 wants the subscription id with it, V2 the scope as granted (contract §3)."""
    return utility.refresh(
        row.application_information,
        refresh_token=row.refresh_token or "",
        subscription_id=row.utility_subscription_id,
        scope=row.scope_granted,
    )


def keep(row: Authorization, grant: Grant, now: datetime) -> None:
    """Store the new pair. An answer without a refresh token leaves the old one in force (RFC 6749 §6)."""
    row.access_token = grant.access_token
    row.access_token_expires_at = now + timedelta(seconds=grant.expires_in)
    row.refresh_token = grant.refresh_token or row.refresh_token
    row.save(update_fields=["access_token", "access_token_expires_at", "refresh_token", "updated_at"])


def end(row: Authorization, now: datetime) -> None:
    """The customer has to connect again; tokens that open nothing are not kept."""
    row.status, row.status_reason = Authorization.Status.NEEDS_RECONNECT, REFUSED
    row.access_token = row.access_token_expires_at = row.refresh_token = None
    row.ended_at = now
    row.save()


def client(app: ApplicationInformation, *, now: datetime) -> str:
    """Our own token at a utility (client credentials), good for ten minutes at least. Raises errors of oauth."""
    if is_fresh(app.client_access_token, app.client_access_token_expires_at, now):
        return app.client_access_token or ""
    return renewed_client(app, now=now)


def renewed_client(app: ApplicationInformation, *, now: datetime, rejected: str = "") -> str:
    """A fresh client token other than `rejected`; one request in flight. Raises errors of oauth."""
    with transaction.atomic(durable=True):
        row = ApplicationInformation.objects.select_for_update(no_key=True).get(pk=app.pk)
        token = row.client_access_token
        if is_fresh(token, row.client_access_token_expires_at, now) and token != rejected:
            return token or ""
        grant = utilities.get(row.utility).client_token(row)
        row.client_access_token = grant.access_token
        row.client_access_token_expires_at = now + timedelta(seconds=grant.expires_in)
        row.save(update_fields=["client_access_token", "client_access_token_expires_at", "updated_at"])
    return grant.access_token
