"""Ending a connection because its customer says so: at once, whatever else is going on."""

from datetime import datetime

from django.db import transaction

from espi.models import Authorization, FetchJob
from portal.flows import deletion, fetch

LIVE = (Authorization.Status.ACTIVE, Authorization.Status.NEEDS_RECONNECT)
UNFINISHED = (FetchJob.State.DUE, FetchJob.State.RUNNING, FetchJob.State.AWAITING_NOTIFICATION)


@transaction.atomic
def withdraw(authorization: Authorization, *, delete_data: bool, now: datetime) -> None:
    """Stop, destroy the tokens, drop the waiting work, tell the utility and, if asked, delete what was collected.

    An account that was connected twice (Con Edison gives each its own id) is one card to its customer: both stop. A second
    call changes nothing.
    """
    row = Authorization.objects.select_for_update().get(pk=authorization.pk)
    if row.status not in LIVE:
        return
    same = Authorization.objects.select_for_update().filter(subscription=row.subscription_id, status__in=LIVE)
    for each in [row, *same.exclude(pk=row.pk).order_by("pk")] if row.subscription_id else [row]:
        _stop(each, now)
    if delete_data and row.subscription:
        deletion.delete_data(row.subscription)


def _stop(row: Authorization, now: datetime) -> None:
    row.status, row.status_reason, row.ended_at = Authorization.Status.WITHDRAWN, "Stopped by the customer.", now
    row.access_token = row.refresh_token = row.access_token_expires_at = None
    row.save()
    row.fetch_jobs.filter(state__in=UNFINISHED).update(
        state=FetchJob.State.SUPERSEDED, reason="The customer stopped sharing.", finished_at=now, lease_expires_at=None
    )
    fetch.enqueue_revocation(row, now=now)
