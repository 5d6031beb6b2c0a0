"""Ending a connection because its customer says so: at once, whatever else is going on."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_noop

from espi.models import Authorization, FetchJob, Subscription
from portal.flows import consents, deletion, fetch, telling
from portal.models import ConsentEvent


@transaction.atomic
def withdraw(authorization: Authorization, *, delete_data: bool, now: datetime, is_told: bool = True) -> None:
    """Stop, destroy the tokens, drop the waiting work, tell the utility and, if asked, delete what was collected.

    The customer gets a letter, unless another one tells him (`is_told`).

    An account that was connected twice (Con Edison gives each its own id) is one card to its customer: both stop. A second
    call changes nothing.
    """
    rows, subscription = _held(authorization)
    if not any(row.pk == authorization.pk and row.status in Authorization.LIVE for row in rows):
        return
    for row in rows:
        if row.status in Authorization.LIVE:
            _stop(row, now)
    if delete_data and subscription:
        deletion.delete_data(subscription)
        consents.note_on(authorization, ConsentEvent.Kind.DELETED, now=now)
    if is_told:
        telling.withdrawn(authorization, deleted=delete_data, now=now)


def _held(authorization: Authorization) -> tuple[list[Authorization], Subscription | None]:
    """Every authorization of the account, held in one order: two of its cards may be stopped at once; and its data.

    Its first file, stored while we waited for it, may have joined it to an earlier connection's data: then we look again.
    """
    while True:
        authorization.refresh_from_db(fields=["subscription"])
        found = authorization.subscription_id
        same = Q(pk=authorization.pk) | Q(subscription=found, subscription__isnull=False)
        rows = list(Authorization.objects.select_for_update(no_key=True).filter(same).order_by("pk"))
        if all(row.subscription_id == found for row in rows if row.pk == authorization.pk):
            return rows, Subscription.objects.filter(pk=found or 0).first()


def _stop(row: Authorization, now: datetime) -> None:
    row.status, row.status_reason = Authorization.Status.WITHDRAWN, gettext_noop("Stopped by the customer.")
    row.ended_at = now
    row.access_token = row.refresh_token = row.access_token_expires_at = None
    row.save()
    consents.note_on(row, ConsentEvent.Kind.WITHDRAWN, now=now)
    row.fetch_jobs.filter(state__in=FetchJob.OPEN).update(
        state=FetchJob.State.SUPERSEDED,
        reason=gettext_noop("The customer stopped sharing."),
        finished_at=now,
        lease_expires_at=None,
    )
    fetch.enqueue_revocation(row, now=now)
