"""One history for one account, however often its customer connects it, and whatever the utility calls his meters today.

A token answer without an account number (PG&E, UtilityAPI) does not say whose account it opens. The first usage does: the
ids of its usage points are the utility's own and outlive the authorization (PG&E contract §9.2). Where all of them are
new, what they measured, and the customer data, may still tell (`espi.joining`): that shows when documents are stored.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import IO, BinaryIO, cast
from urllib.parse import unquote

from django.db import transaction
from django.db.models import Q, QuerySet

import utilities
from espi import atom, customers, ingest, joining, links, merging
from espi.channels import short
from espi.models import Authorization, Document, Subscription, UsagePoint
from portal.flows import standing

MOST_COMPARED = 40  # usage points of one customer: every pair is looked at, with queries of its own
NEW = timedelta(days=30)  # during which a usage point's readings are compared with those of the customer's others


def subscription_of(authorization: Authorization, file: IO[bytes], *, now: datetime) -> Subscription:
    """Where a document's data belong: the customer's earlier history of its usage points, or the authorization's own.

    Joins the authorization to that history, and ends what it replaces. To be called inside a transaction that holds the
    authorization's row. Raises atom.DocumentRefused.
    """
    own = cast(Subscription, authorization.subscription)
    if authorization.account_number or own.usage_points.exists():
        return own
    earlier = _histories(authorization).order_by("-pk")
    if not earlier.exists():
        return own
    ids = _usage_points(authorization, file)
    known = Q(usage_points__resource_id__in=ids) | Q(usage_points__aliases__resource_id__in=ids)
    found = earlier.filter(known).first()
    return _join(authorization, own, found, now) if found else own


def settle(authorization: Authorization, document: Document, *, now: datetime) -> None:
    """Once a document is stored: usage points of the customer that it shows to be one become one history.

    In the same transaction. A usage point is looked at while it is new, and when customer data arrive; where there are
    more than MOST_COMPARED, only their ids tell (`subscription_of`).
    """
    own = cast(Subscription, authorization.subscription)
    registration = Q(subscription=own) | Q(subscription__in=_histories(authorization).filter(pk__lt=own.pk))
    points = list(UsagePoint.objects.filter(registration).select_related("subscription").order_by("pk"))
    if not 2 <= len(points) <= MOST_COMPARED:
        return
    joining.forget_what_no_longer_holds(points)
    tells_of_places = bool(document.summary.get("resources", {}).keys() & {"ServiceLocation", "Meter"})
    for later in [point for point in points if point.subscription_id == own.pk]:
        if not (tells_of_places or later.created_at > now - NEW):
            continue
        if earlier := _one_with(later, points, document):
            points = [point for point in points if point.pk != later.pk]
            if earlier.subscription_id != own.pk:
                _absorb(authorization, own, earlier.subscription, now)
                return


def _one_with(later: UsagePoint, points: list[UsagePoint], document: Document) -> UsagePoint | None:
    """The usage point that another one is joined to, if there is one; two that may be one are told of each other."""
    for earlier in [point for point in points if (point.subscription_id, point.pk) < (later.subscription_id, later.pk)]:
        others = [point for point in points if point.pk not in (earlier.pk, later.pk)]
        if found := joining.evidence(earlier, later, others):
            ingest.lock(earlier.subscription)
            # Readings that fit no common scale stay apart: a join is for looking at, the data are what matters.
            with suppress(merging.NotStorable), transaction.atomic():
                joining.join(earlier, later, found, document)
                return earlier
            continue
        if earlier.subscription_id == later.subscription_id and (maybe := joining.may_follow(earlier, later, others)):
            joining.note_that_one_may_follow(maybe, document)
    return None


def _absorb(authorization: Authorization, own: Subscription, earlier: Subscription, now: datetime) -> None:
    """What is left of the new connection's own history belongs to the same account."""
    joining.absorb(earlier, own)
    authorization.subscription = earlier
    _end_what_it_replaces(authorization, now)


def _histories(authorization: Authorization) -> QuerySet[Subscription]:
    """The other histories this customer has through the same registration."""
    held = {
        "retail_customer_id": authorization.retail_customer_id,
        "authorizations__application_information": authorization.application_information_id,
        "usage_points__isnull": False,
    }
    own = cast(Subscription, authorization.subscription)
    return Subscription.objects.filter(**held).exclude(pk=own.pk).distinct()


def _usage_points(authorization: Authorization, file: IO[bytes]) -> set[str]:
    """Ids of the usage points a document names for this authorization."""
    file.seek(0)
    entries = (parcel.entry for parcel in atom.read(cast(BinaryIO, file)))
    ours = (each for each in entries if unquote(links.subscription_id(each)) == authorization.utility_subscription_id)
    return {short(links.usage_point_id(entry, default="")) for entry in ours} - {""}


def _join(authorization: Authorization, own: Subscription, earlier: Subscription, now: datetime) -> Subscription:
    authorization.subscription = earlier
    authorization.save(update_fields=["subscription", "updated_at"])
    own.documents.update(subscription=earlier)
    ingest.lock(earlier)
    customers.move(own, earlier)
    if not own.authorizations.exists():
        merging.move_rows(Subscription, own, earlier)
        own.delete()
    _end_what_it_replaces(authorization, now)
    return earlier


def _end_what_it_replaces(authorization: Authorization, now: datetime) -> None:
    if utilities.get(authorization.application_information.utility).replaces_earlier:
        standing.supersede_earlier(authorization, now)
