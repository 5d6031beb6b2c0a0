"""One history for one account, however often its customer connects it, and whatever the utility calls his meters today.

A token answer without an account number (PG&E, UtilityAPI) does not say whose account it opens. The first usage does: the
ids of its usage points are the utility's own and outlive the authorization (PG&E contract §9.2). Where all of them are
new, what they measured, and the customer data, may still tell (`espi.joining`): that shows when documents are stored.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import cast
from urllib.parse import unquote

from django.db import transaction
from django.db.models import Q, QuerySet

import utilities
from espi import customers, ingest, joining, links, merging
from espi.channels import short
from espi.contents import Content, owner
from espi.models import Authorization, Document, Subscription, UsagePoint
from portal.flows import standing

MOST_COMPARED = 40  # usage points, each with as many others
NEW = timedelta(days=30)  # during which a usage point's readings are compared with those of the customer's others


def subscription_of(authorization: Authorization, content: Content, *, now: datetime) -> Subscription:
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
    ids = _usage_points(authorization, content)
    known = Q(usage_points__resource_id__in=ids) | Q(usage_points__aliases__resource_id__in=ids)
    found = earlier.filter(known).first()
    return _join(authorization, own, found, now) if found else own


def settle(authorization: Authorization, document: Document, *, now: datetime) -> None:
    """Once a document is stored: usage points of the customer that it shows to be one become one history.

    In the same transaction. What the document touched is compared with the customer's others: readings while one of
    them is new, everything when customer data arrive. Where that is more than MOST_COMPARED times as many, only ids
    tell (`subscription_of`). Locks the earlier subscriptions that it joins to (docs/readings.md, "Locks").
    """
    own = cast(Subscription, authorization.subscription)
    registration = Q(subscription=own) | Q(subscription__in=_histories(authorization).filter(pk__lt=own.pk))
    points = list(UsagePoint.objects.filter(registration).select_related("subscription").order_by("pk"))
    tells_of_places = bool(document.summary.get("resources", {}).keys() & {"ServiceLocation", "Meter"})
    touched = {point.pk for point in points if tells_of_places or point.pk in document.touched}
    if not touched or len(touched) * len(points) > MOST_COMPARED**2:
        return
    joining.forget_what_no_longer_holds(points)
    since = None if tells_of_places else now - NEW
    pairs = [pair for pair in _pairs(points, own, since) if touched & {point.pk for point in pair}]
    while pairs and (found := _join_first(points, pairs, document)):
        kept, joined = found
        if kept.subscription_id != own.pk:
            _absorb(authorization, own, kept.subscription, now)
            return
        points = [point for point in points if point != joined]
        pairs = [pair for pair in pairs if joined not in pair]


def _pairs(points: list[UsagePoint], own: Subscription, since: datetime | None) -> list[joining.Pair]:
    """Earlier and later ones that may be one; the later is of the connection's own, and new (or `since` is None)."""
    laters = [point for point in points if point.subscription_id == own.pk and (not since or point.created_at > since)]
    return [
        (earlier, later)
        for later in laters
        for earlier in points
        if (earlier.subscription_id, earlier.pk) < (later.subscription_id, later.pk)
    ]


def _join_first(points: list[UsagePoint], pairs: list[joining.Pair], document: Document) -> joining.Pair | None:
    """Join the first two that are one: (kept, joined). Two that may be one are told of each other."""
    comparison = joining.Comparison(points, pairs)
    for earlier, later in pairs:
        if found := comparison.evidence(earlier, later):
            _lock(earlier.subscription)
            # Readings that fit no common scale stay apart: a join is for looking at, the data are what matters.
            with suppress(merging.NotStorable), transaction.atomic():
                joining.join(earlier, later, found, document)
                return earlier, later
        elif earlier.subscription_id == later.subscription_id and (maybe := comparison.may_follow(earlier, later)):
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


def _usage_points(authorization: Authorization, content: Content) -> set[str]:
    """Ids of the usage points a document names for this authorization."""
    expected = unquote(authorization.utility_subscription_id)
    ours = (resource.entry for resource in content.resources() if owner(resource) == expected)
    return {short(links.usage_point_id(entry, default="")) for entry in ours} - {""}


def _join(authorization: Authorization, own: Subscription, earlier: Subscription, now: datetime) -> Subscription:
    authorization.subscription = earlier
    authorization.save(update_fields=["subscription", "updated_at"])
    own.documents.update(subscription=earlier)
    _lock(earlier)
    customers.move(own, earlier)
    if not own.authorizations.exists():
        merging.move_rows(Subscription, own, earlier)
        own.delete()
    _end_what_it_replaces(authorization, now)
    return earlier


def _lock(subscription: Subscription) -> None:
    """The rows of its connections, then itself: in the order that whoever stores for one of them keeps too."""
    list(subscription.authorizations.select_for_update(no_key=True).order_by("pk"))
    ingest.lock(subscription)


def _end_what_it_replaces(authorization: Authorization, now: datetime) -> None:
    if utilities.get(authorization.application_information.utility).replaces_earlier:
        standing.supersede_earlier(authorization, now)
