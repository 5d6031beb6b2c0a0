"""What was collected, or uploaded, goes: all of a subscription's data, and nothing of the connection's own record."""

from dataclasses import dataclass
from datetime import date

from django.db import transaction
from django.utils import timezone

from espi import customers, ingest, usage
from espi.models import Authorization, LocalTimeParameters, Subscription, UsageSummary
from portal.models import Export, ExportPart, FetchPlan


class StillFilled(Exception):
    """A live authorization goes on filling the subscription: sharing has to be stopped first."""


@dataclass(frozen=True)
class Held:
    """What there is to delete; `first_day` and `last_day` of readings, local to their meters."""

    meters: int
    bills: int
    documents: int
    first_day: date | None
    last_day: date | None

    def __bool__(self) -> bool:
        return bool(self.meters or self.documents)


def held(subscription: Subscription) -> Held:
    """Count it."""
    points = list(subscription.usage_points.all())
    days = usage.days_held(points).values()
    return Held(
        meters=len(points),
        bills=UsageSummary.objects.filter(usage_point__subscription=subscription).count(),
        documents=subscription.documents.count(),
        first_day=min((first for first, _ in days), default=None),
        last_day=max((last for _, last in days), default=None),
    )


def filling(subscription: Subscription) -> Authorization | None:
    """The live authorization that fills the subscription, if there is one."""
    return subscription.authorizations.filter(status__in=Authorization.LIVE).first()


@transaction.atomic
def delete(subscription: Subscription) -> None:
    """Delete the data at the customer's word. Raises StillFilled, deleting nothing.

    A collection of uploaded files goes with its data. Its row is held as an upload holds it.
    """
    list(subscription.authorizations.select_for_update().order_by("pk"))
    if not Subscription.objects.select_for_update().filter(pk=subscription.pk).first():
        return
    if filling(subscription):
        raise StillFilled
    delete_data(subscription)
    if not subscription.authorizations.exists():
        subscription.delete()


@transaction.atomic
def delete_data(subscription: Subscription) -> None:
    """Usage points with their readings and bills, documents, customer data, the utility's words about its clock and codes.

    Nothing is complete any more: who connects again is asked for the whole history.
    """
    ingest.lock(subscription)
    _forget_files(subscription)
    subscription.usage_points.all().delete()
    subscription.documents.all().delete()
    subscription.places.all().delete()
    customers.delete(subscription)
    LocalTimeParameters.objects.filter(subscription=subscription).delete()
    subscription.program_id_mappings.all().delete()
    Subscription.objects.filter(pk=subscription.pk).update(complete_to=None)
    FetchPlan.objects.filter(authorization__subscription=subscription).update(complete_to=None)


def _forget_files(subscription: Subscription) -> None:
    """Prepared files that hold these data go too; one that is being written is begun anew, and will be without them."""
    points = {str(each) for each in subscription.usage_points.values_list("public_id", flat=True)}
    files = Export.objects.filter(retail_customer=subscription.retail_customer_id)
    rows = files.filter(state__in=(*Export.OPEN, Export.State.READY)).select_for_update()  # nobody begins one meanwhile
    holding = [row.pk for row in rows if row.kind == Export.Kind.EVERYTHING or points & set(row.wanted["meters"])]
    ExportPart.objects.filter(export__in=holding).delete()
    held = Export.objects.filter(pk__in=holding)
    held.filter(state=Export.State.READY).update(state=Export.State.OVER)
    held.filter(state=Export.State.RUNNING).update(state=Export.State.DUE, claim=None, not_before=timezone.now())
