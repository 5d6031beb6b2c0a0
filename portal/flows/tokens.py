"""Access tokens: kept for their life, refreshed before it ends, one refresh in flight.

Whoever refreshes claims the row for a minute and asks without holding a lock: a customer who stops sharing waits for
nobody. The others look again until the new pair stands there. Con Edison and PG&E may void the old pair at once
(contracts §3.2, §6), so the new one is committed before anybody can use it.
"""

import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Q
from django.utils.translation import gettext_noop

import utilities
from espi.models import ApplicationInformation, Authorization
from espi.session import TryLater
from portal.flows import budgets
from utilities.base import Utility
from utilities.oauth import Grant, InvalidGrant, UnclearRefusal

log = logging.getLogger(__name__)

LEAST_LEFT = timedelta(minutes=10)
CLAIM = timedelta(seconds=settings.REFRESH_CLAIM_SECONDS)  # a request has 15 seconds, and a refused one is sent twice
LOOK_EVERY = 0.2  # seconds
KEEP_TRYING_FOR = 30  # seconds; PostgreSQL is back by then, where it was only restarted
CREDENTIALS = ("client_id", "client_secret", "token_url", "client_certificate_path", "client_key_path")
REFUSED = gettext_noop("The utility no longer accepts the permission you gave. Please connect again.")


class NotAllowed(Exception):
    """There is no live permission to fetch with; `reason` says why, in words for the customer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Busy(TryLater):
    """Somebody else has been renewing the token for longer than that takes."""


def current(authorization: Authorization, *, now: datetime, is_urgent: bool = False) -> str:
    """The customer's access token, good for ten minutes at least.

    Raises NotAllowed when the permission has ended, and the errors of utilities.oauth: TokenUnavailable,
    TokenThrottled, NoConnection (try later), InvalidClient, BadTokenAnswer (for staff), UnclearRefusal (the authorization
    tells why); Busy and budgets.Spent (try later).
    """
    if is_fresh(authorization.access_token, authorization.access_token_expires_at, now) and is_active(authorization):
        return authorization.access_token or ""
    return renewed(authorization, now=now, is_urgent=is_urgent)


def renewed(authorization: Authorization, *, now: datetime, rejected: str = "", is_urgent: bool = False) -> str:
    """A fresh access token other than `rejected`: somebody else's, if he was faster; else from one refresh.

    Raises as `current` does.
    """
    for moment in moments(now):
        row = latest(authorization)
        token = row.access_token or ""
        if is_fresh(token, row.access_token_expires_at, moment) and token != rejected:
            return token
        if claim(row, moment) and (grant := refreshed_under_claim(row, token, moment, is_urgent=is_urgent)):
            return grant.access_token
    raise Busy("the token is being renewed")


def moments(now: datetime) -> Iterator[datetime]:
    """`now`, and now again every time one may look: until any claim there was has run out."""
    began, moment = time.monotonic(), now
    while moment - now <= CLAIM + timedelta(seconds=1):
        yield moment
        time.sleep(LOOK_EVERY)
        moment = now + timedelta(seconds=time.monotonic() - began)


def latest(authorization: Authorization) -> Authorization:
    """The row as it is now. Raises NotAllowed."""
    row = Authorization.objects.select_related("application_information__circuit").get(pk=authorization.pk)
    if not is_active(row):
        raise NotAllowed(row.status_reason or f"{row.get_status_display()}.")
    if not row.refresh_token:
        raise NotAllowed(gettext_noop("The utility gave us no means to renew its permission. Please connect again."))
    return row


def claim(row: Authorization | ApplicationInformation, now: datetime) -> bool:
    """Take the right to renew this row's token, unless somebody has it. No transaction is open afterwards."""
    until = now + CLAIM
    with transaction.atomic(durable=True):
        free = Q(refreshing_until=None) | Q(refreshing_until__lt=now)
        taken = type(row).objects.filter(free, pk=row.pk).update(refreshing_until=until)
    row.refreshing_until = until
    return bool(taken)


def release(row: Authorization | ApplicationInformation) -> None:
    """Give the right back, if it is still ours. Where the database is away it runs out by itself."""
    try:
        type(row).objects.filter(pk=row.pk, refreshing_until=row.refreshing_until).update(refreshing_until=None)
    except (OperationalError, InterfaceError) as error:  # what came of the refresh is told, not this
        log.warning("claim not given back: %s", type(error).__name__)
        connection.close()


def insisting(store: Callable[[], bool]) -> bool:
    """Store what nobody can ask for twice, also if PostgreSQL was restarted meanwhile: a rotated pair is here alone."""
    began = time.monotonic()
    while True:
        try:
            return store()
        except (OperationalError, InterfaceError) as error:
            if time.monotonic() - began > KEEP_TRYING_FOR:
                raise
            log.warning("tokens not kept yet: %s", type(error).__name__)
            connection.close()  # the next try connects anew; no transaction is open here
            time.sleep(LOOK_EVERY)


def refreshed_under_claim(row: Authorization, seen: str, now: datetime, *, is_urgent: bool) -> Grant | None:
    """One refresh under our claim, its outcome kept. None: the row changed meanwhile, so look again.

    `seen`: the access token there was before the claim. Raises NotAllowed for a refusal that is confirmed.
    """
    try:
        standing = latest(row)
        if (standing.access_token or "") != seen:  # renewed between our look and our claim
            return None
        grant = refresh(standing, now, is_urgent=is_urgent)
        if not insisting(lambda: keep(standing, grant, now)):
            return None
    finally:
        release(row)
    if grant is None:
        raise NotAllowed(REFUSED)
    return grant


def is_active(authorization: Authorization) -> bool:
    """Whether the customer's permission stands."""
    return authorization.status == Authorization.Status.ACTIVE


def is_fresh(token: str | None, expires_at: datetime | None, now: datetime) -> bool:
    """Whether a token may still be used."""
    return bool(token) and expires_at is not None and expires_at - now > LEAST_LEFT


def refresh(row: Authorization, now: datetime, *, is_urgent: bool = False) -> Grant | None:
    """A new grant, or None when the utility refused our refresh token twice: only then is it believed.

    A 401 that does not say why may mean us: it is UnclearRefusal if our credentials are good, else InvalidClient.
    """
    app = row.application_information
    utility, began, asked = utilities.get(app.utility), time.monotonic(), now
    for _ in range(2):
        now = asked + timedelta(seconds=time.monotonic() - began)  # a budget may let us wait a moment
        budgets.take(app, now=now, is_token=True, is_urgent=is_urgent)
        try:
            return ask(utility, row)
        except InvalidGrant:
            log.warning("refresh refused: authorization=%s utility=%s", row.public_id, utility.slug)
        except UnclearRefusal:
            # Only a new token of our own proves the credentials. One dead refresh token must not stop all customers.
            renewed_client(app, now=now, rejected=app.client_access_token or "", is_urgent=is_urgent)
            log.warning("refresh refused without a reason: authorization=%s utility=%s", row.public_id, utility.slug)
            raise
    return None


def ask(utility: Utility, row: Authorization) -> Grant:
    """One refresh. Con Edison V1 wants the subscription id with it, V2 the scope as granted (contract §3)."""
    return utility.refresh(
        row.application_information,
        refresh_token=row.refresh_token or "",
        subscription_id=row.utility_subscription_id,
        scope=row.scope_granted,
    )


@transaction.atomic(durable=True)
def keep(asked_with: Authorization, grant: Grant | None, now: datetime) -> bool:
    """Store what a refresh brought, unless the customer stopped or connected again meanwhile; whether it was stored."""
    row = Authorization.objects.select_for_update(no_key=True).get(pk=asked_with.pk)
    if not is_active(row) or row.refresh_token != asked_with.refresh_token:
        return False
    if grant is None:
        end(row, now)
    else:
        fill(row, grant, now)
    return True


def fill(row: Authorization, grant: Grant, now: datetime) -> None:
    """The new pair. An answer without a refresh token leaves the old one in force (RFC 6749 §6)."""
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


def client(app: ApplicationInformation, *, now: datetime, is_urgent: bool = False) -> str:
    """Our own token at a utility (client credentials), good for ten minutes at least. Raises as `current` does."""
    if is_fresh(app.client_access_token, app.client_access_token_expires_at, now):
        return app.client_access_token or ""
    return renewed_client(app, now=now, is_urgent=is_urgent)


def renewed_client(app: ApplicationInformation, *, now: datetime, rejected: str = "", is_urgent: bool = False) -> str:
    """A fresh client token other than `rejected`; one request in flight. Raises as `current` does."""
    for moment in moments(now):
        row = ApplicationInformation.objects.get(pk=app.pk)
        token = row.client_access_token or ""
        if is_fresh(token, row.client_access_token_expires_at, moment) and token != rejected:
            return token
        if claim(row, moment) and (grant := client_token_under_claim(row, token, moment, is_urgent=is_urgent)):
            return grant.access_token
    raise Busy("our token is being renewed")


def client_token_under_claim(row: ApplicationInformation, seen: str, now: datetime, *, is_urgent: bool) -> Grant | None:
    """One client token under our claim, kept where it was asked for. None: the row changed meanwhile, so look again."""
    try:
        standing = ApplicationInformation.objects.get(pk=row.pk)
        if (standing.client_access_token or "") != seen:
            return None
        budgets.take(standing, now=now, is_token=True, is_urgent=is_urgent)
        grant = utilities.get(standing.utility).client_token(standing)
        return grant if insisting(lambda: keep_ours(standing, grant, now)) else None
    finally:
        release(row)


@transaction.atomic(durable=True)
def keep_ours(asked_with: ApplicationInformation, grant: Grant, now: datetime) -> bool:
    """Store a client token, unless the registration's credentials were changed meanwhile; whether it was stored."""
    row = ApplicationInformation.objects.select_for_update(no_key=True).get(pk=asked_with.pk)
    if any(getattr(row, name) != getattr(asked_with, name) for name in CREDENTIALS):
        return False
    row.client_access_token = grant.access_token
    row.client_access_token_expires_at = now + timedelta(seconds=grant.expires_in)
    row.save(update_fields=["client_access_token", "client_access_token_expires_at", "updated_at"])
    return True
