"""One history for one account, however often its customer connects it.

A token answer without an account number (PG&E, UtilityAPI) does not say whose account it opens. The first usage does: the
ids of its usage points are the utility's own and outlive the authorization (PG&E contract §9.2).
"""

from datetime import datetime
from typing import IO, BinaryIO, cast
from urllib.parse import unquote

from django.db.models import QuerySet

import utilities
from espi import atom, links
from espi.channels import short
from espi.models import Authorization, Subscription
from portal.flows import standing


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
    found = earlier.filter(usage_points__resource_id__in=_usage_points(authorization, file)).first()
    return _join(authorization, own, found, now) if found else own


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
    if not own.authorizations.exists():
        own.delete()
    if utilities.get(authorization.application_information.utility).replaces_earlier:
        standing.supersede_earlier(authorization, now)
    return earlier
