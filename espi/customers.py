"""Resources of the Retail Customer schema -> rows. One row per real thing, whatever ids its utility uses today.

Ids are unique only within an agreement (one utility numbers every location of a customer 1), and some are made anew with
every authorization. So a thing is known again, in this order, by its id within its agreement; by the number that people
know it by; and, told under another authorization, as the only one of its kind there.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from espi import customer_resources, links, models, resources
from espi.models.customer import CustomerResource
from espi.packing import Publication
from espi.said import Record

MODELS: dict[str, type[CustomerResource]] = {
    "Customer": models.Customer,
    "CustomerAccount": models.CustomerAccount,
    "CustomerAgreement": models.CustomerAgreement,
    "ServiceSupplier": models.ServiceSupplier,
    "ServiceLocation": models.ServiceLocation,
    "EndDevice": models.EndDevice,
    "Meter": models.Meter,
    "ProgramDateIdMappings": models.ProgramDateIdMappings,
    "Statement": models.Statement,
}
_MOST = 10_000  # resources of one document
# What a resource may stand below in its address, the outermost first, and the field that leads there.
_ABOVE: dict[str, dict[str, str]] = {
    "Customer": {},
    "CustomerAccount": {"Customer": "customer"},
    "CustomerAgreement": {"CustomerAccount": "customer_account"},
    "ServiceSupplier": {"CustomerAgreement": "customer_agreement"},
    "ServiceLocation": {"CustomerAgreement": "customer_agreement"},
    "EndDevice": {"CustomerAgreement": "customer_agreement", "ServiceLocation": "service_location"},
    "Meter": {"CustomerAgreement": "customer_agreement", "ServiceLocation": "service_location"},
    "ProgramDateIdMappings": {"CustomerAgreement": "customer_agreement"},
    "Statement": {"Customer": "customer"},
}
_ORDER = list(MODELS)  # what stands above others comes before them


class Customers:
    """The customer data of one document on their way into the rows of a subscription."""

    def __init__(
        self, subscription: models.Subscription, is_allowed: Callable[[str], bool] = lambda noun: True
    ) -> None:
        """`is_allowed`: whether the customer shares resources of that noun; of others not even an id is kept."""
        self.subscription, self.is_allowed = subscription, is_allowed
        self._said: list[tuple[resources.CustomerResource, Publication]] = []
        self._rows: dict[str, list[Any]] = {}

    def take(self, said: resources.CustomerResource, publication: Publication) -> bool:
        """Keep it until `store`; False when there are too many."""
        if len(self._said) >= _MOST:
            return False
        self._said.append((said, publication))
        return True

    def store(self, document: models.Document) -> None:
        """Write what is news."""
        for said, publication in sorted(self._said, key=lambda each: _ORDER.index(each[0].noun)):
            row = self._row(said.noun, said.entry, customer_resources.number(said.noun, said.said))
            self.tell(row, Record.of(said.said, publication), publication.at, document)

    def place(self, noun: str, ids: dict[str, str], number: str, above: dict[str, Any]) -> Any:
        """The row of a resource, made if need be: by its id under an authorization, its number, what it stands below."""
        row = self._find(noun, ids, number, above.get("customer_agreement"))
        if row is None:
            row = MODELS[noun](subscription=self.subscription)
            self._all(noun).append(row)
        news = {field: outer for field, outer in above.items() if outer and getattr(row, f"{field}_id") is None}
        if row.pk is None or news or not ids.items() <= row.ids.items():
            row.ids = row.ids | ids
            for field, outer in news.items():
                setattr(row, field, outer)
            row.save()
        return row

    def tell(self, row: Any, record: Record, at: datetime | None, document: models.Document | None) -> None:
        """Add to a row what was said of it."""
        before = Record(row.said, row.said_at)
        after = before.merged(record)
        if after == before and row.document_id:
            return
        row.said, row.said_at = after.said, after.said_at
        row.published_at = max(filter(None, (row.published_at, at)), default=None)
        row.document = document or row.document
        for name, value in customer_resources.columns(_noun(row), after.said).items():
            setattr(row, name, value)
        row.save()

    def _row(self, noun: str, entry: resources.Entry, number: str = "") -> Any:
        own = unquote(entry.segment(noun))
        ids = {unquote(links.subscription_id(entry)): own} if own else {}
        above = {
            field: self._row(outer, entry) for outer, field in _ABOVE[noun].items() if self._is_named(outer, entry)
        }
        return self.place(noun, ids, number, above)

    def _is_named(self, noun: str, entry: resources.Entry) -> bool:
        return bool(entry.segment(noun)) and self.is_allowed(noun)

    def _find(self, noun: str, ids: dict[str, str], number: str, agreement: Any) -> Any | None:
        rows = [row for row in self._all(noun) if getattr(row, "customer_agreement", None) == agreement]
        if same := [row for row in rows if set(ids.values()) & set(row.ids.values())]:
            return same[0]
        others = [row for row in rows if not ids.keys() & row.ids.keys()]
        if number and (same := [row for row in others if _number(row) == number]):
            return same[0]
        if not self.subscription.utility:
            return None  # files that somebody uploaded may be of several homes
        left = [row for row in others if bool(row.ids) == bool(ids) and not (number and _number(row))]
        return left[0] if len(left) == 1 else None

    def _all(self, noun: str) -> list[Any]:
        if noun not in self._rows:
            self._rows[noun] = list(MODELS[noun]._default_manager.filter(subscription=self.subscription).order_by("pk"))
        return self._rows[noun]


def _noun(row: Any) -> str:
    return type(row).__name__


def _number(row: Any) -> str:
    return customer_resources.number(_noun(row), row.said)


def move(source: models.Subscription, target: models.Subscription) -> None:
    """Tell one subscription what another was told of its customer, and delete it there."""
    there = Customers(target)
    moved: dict[Any, Any] = {}  # rows there by rows here
    for noun, model in MODELS.items():
        for row in model._default_manager.filter(subscription=source).order_by("pk"):
            above = {field: moved.get(getattr(row, field)) for field in _ABOVE[noun].values()}
            found = there.place(noun, row.ids, _number(row), above)
            there.tell(found, Record(row.said, row.said_at), row.published_at, row.document)
            moved[row] = found
    delete(source)


def delete(subscription: models.Subscription) -> None:
    """Delete all of a subscription's customer data."""
    for model in reversed(MODELS.values()):
        model._default_manager.filter(subscription=subscription).delete()
