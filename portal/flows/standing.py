"""How an authorization stands at the utility, as the utility says it, and what follows here."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils.translation import gettext_noop

import utilities
from espi import atom, authorizations
from espi.models import Authorization, FetchJob
from espi.scope import Scope
from portal import words
from portal.flows import consents
from portal.models import ConsentEvent
from utilities.base import DataChoice

log = logging.getLogger(__name__)

ACTIVE = gettext_noop("The utility says that sharing is active.")
STOPPED = gettext_noop("Sharing was stopped at the utility.")
OVER = gettext_noop("The last day you agreed to is over.")
REPLACED = gettext_noop("Replaced by your newer connection.")
HAPPENED = {
    Authorization.Status.EXPIRED: ConsentEvent.Kind.EXPIRED,
    Authorization.Status.REVOKED: ConsentEvent.Kind.STOPPED,
    Authorization.Status.SUPERSEDED: ConsentEvent.Kind.REPLACED,
}
SETTLING = timedelta(hours=1)  # PG&E: the resource may not be readable right after the exchange (contract §6)


class NotAnAuthorization(Exception):
    """An answer that does not say how the authorization stands; `reason` in words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotYet(NotAnAuthorization):
    """The resource of a brand-new authorization is not readable yet."""


def read(authorization: Authorization, body: bytes, *, now: datetime) -> str:
    """Do what an Authorization resource says; returns it in words. Changes nothing where it raises.

    Raises NotAnAuthorization, and atom.CutOff for one that breaks off.
    """
    try:
        found = authorizations.read(body)
    except atom.CutOff:
        raise
    except atom.DocumentRefused as error:
        raise NotAnAuthorization(f"{words.UNREADABLE} {error}") from None
    id_ = authorization.utility_authorization_id or authorization.utility_subscription_id
    ours = [each for each in found if each.id == id_] or (found if len(found) == 1 and not found[0].id else [])
    if len(ours) != 1 or not ours[0].status:
        raise NotAnAuthorization(gettext_noop("The utility's answer does not say how this permission stands."))
    if ours[0].status == "active":
        return note(authorization, ours[0], now=now)
    return ended(authorization, now)


def note(authorization: Authorization, said: authorizations.AuthorizationStatus, *, now: datetime) -> str:
    """What the utility says of one that is active: its last day, and what is shared; in words."""
    _note_end(authorization, said)
    return _note_scope(authorization, said.scope, now) if said.scope else ACTIVE


def _note_end(authorization: Authorization, said: authorizations.AuthorizationStatus) -> None:
    """The last day, on the meter's clock, of a permission whose end the customer chose at the utility."""
    if not said.says_end or authorization.subscription is None:
        return
    zone = ZoneInfo(authorization.subscription.time_zone)
    last = (said.ends_at - timedelta(seconds=1)).astimezone(zone).date() if said.ends_at else None
    if last == authorization.end_date:
        return
    Authorization.objects.filter(pk=authorization.pk).update(end_date=last)


@transaction.atomic
def _note_scope(authorization: Authorization, scope: str, now: datetime) -> str:
    """What is shared now, where the customer changed it at the utility (PG&E contract §5.4); in words."""
    rows = Authorization.objects.select_for_update(no_key=True, of=("self",)).select_related("application_information")
    row = rows.get(pk=authorization.pk)
    app, utility = row.application_information, utilities.get(row.application_information.utility)
    if not Scope.parse(scope).function_blocks or scope.strip("; ") == row.scope_granted.strip("; "):
        return ACTIVE
    if utility.scope_is_foreign(app, scope, row.scope_requested):
        log.warning("scope of another kind ignored: authorization=%s", row.public_id)
        return ACTIVE
    granted = utility.granted_choices(app, scope)
    if granted == utility.granted_choices(app, row.scope_granted):  # the same in other words (PG&E contract §8.4)
        return ACTIVE
    before = set(row.data_granted)
    if granted - before:  # what was added is asked for from its beginning, whoever dies meanwhile
        row.is_planned = False
        row.fetch_plans.update(complete_to=None)
    row.scope_granted = scope
    row.data_granted = [choice.id for choice in utility.data_choices(app) if choice.id in granted]
    row.status_reason = _what_changed(before, set(row.data_granted), utility.data_choices(app))
    row.save(update_fields=["scope_granted", "data_granted", "status_reason", "is_planned", "updated_at"])
    consents.note_on(row, ConsentEvent.Kind.CHANGED, now=now, words=row.status_reason)
    return row.status_reason or ACTIVE


def _what_changed(before: set[str], now: set[str], choices: Sequence[DataChoice]) -> str:
    """For the customer: what his utility has begun, or ceased, to share."""
    said = []
    for told, ids in ((words.SHARES_NO_MORE, before - now), (words.SHARES_NOW, now - before)):
        names = ", ".join(choice.name for choice in choices if choice.id in ids)
        said += [told.format(names=names)] if names else []
    return " ".join(said)


def gone(authorization: Authorization, *, now: datetime) -> str:
    """404 or 410: the authorization no longer exists, unless it is so new that it does not exist yet: NotYet."""
    if now - authorization.created_at < SETTLING:
        raise NotYet(gettext_noop("The utility does not know this permission yet."))
    return ended(authorization, now)


def ended(authorization: Authorization, now: datetime) -> str:
    """Stop what the utility says has ended; in words."""
    revoke(authorization, now)
    return STOPPED


@transaction.atomic
def expire(authorization: Authorization, now: datetime) -> None:
    """The last day the customer agreed to is over: stop, destroy the tokens, keep what was collected."""
    row = Authorization.objects.select_for_update(no_key=True).get(pk=authorization.pk)
    if row.status in Authorization.LIVE:
        _close(row, Authorization.Status.EXPIRED, OVER, now)


@transaction.atomic
def revoke(authorization: Authorization, now: datetime) -> None:
    """Sharing ended at the utility: stop, destroy the tokens, keep what was collected."""
    row = Authorization.objects.select_for_update(no_key=True).get(pk=authorization.pk)
    if row.status not in Authorization.LIVE:
        return
    if _goes_on(row):
        _close(row, Authorization.Status.SUPERSEDED, REPLACED, now)
    else:
        _close(row, Authorization.Status.REVOKED, STOPPED, now)


def _goes_on(row: Authorization) -> bool:
    """Whether a newer authorization of the same account took its place."""
    newer = Authorization.objects.filter(subscription=row.subscription_id, pk__gt=row.pk)
    return row.subscription_id is not None and newer.filter(status=Authorization.Status.ACTIVE).exists()


def supersede_earlier(authorization: Authorization, now: datetime) -> None:
    """End what came before on the same account, where the utility cancels it by itself (PG&E contract §5.4)."""
    earlier = Authorization.objects.select_for_update(no_key=True).filter(
        subscription=authorization.subscription_id,
        application_information=authorization.application_information_id,
        pk__lt=authorization.pk,
        status__in=[*Authorization.LIVE, Authorization.Status.REVOKED],
    )
    for row in earlier.order_by("pk"):
        _close(row, Authorization.Status.SUPERSEDED, REPLACED, now)


def _close(row: Authorization, status: Authorization.Status, reason: str, now: datetime) -> None:
    row.status, row.status_reason, row.ended_at = status, reason, now
    row.access_token = row.access_token_expires_at = row.refresh_token = None
    row.save()
    consents.note_on(row, HAPPENED[status], now=now)
    waiting = row.fetch_jobs.filter(state__in=FetchJob.OPEN).exclude(kind=FetchJob.Kind.AUTHORIZATION)
    waiting.update(state=FetchJob.State.SUPERSEDED, reason=reason, finished_at=now, lease_expires_at=None)
