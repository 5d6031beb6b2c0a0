"""Resources of the Retail Customer schema -> rows. One row per real thing, whatever ids its utility uses today.

Ids are unique only within an agreement (one utility numbers every location of a customer 1), and some are made anew with
every authorization. So a thing is known again, in this order, by its id within its agreement; by the number that people
know it by; and, told under another authorization, as the only one of its kind there.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import unquote
from uuid import UUID, uuid5

from espi import customer_resources, links, models, resources
from espi.models.customer import CustomerResource
from espi.packing import Publication
from espi.records import Record

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
_AT_ONCE = 200
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
        self._known: dict[str, _Known] = {}

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
        known, agreement = self._rows(noun), above.get("customer_agreement")
        row = known.find(ids, number, agreement.pk if agreement else None, is_one_home=bool(self.subscription.utility))
        if row is None:
            row = MODELS[noun](subscription=self.subscription)
        news = {field: outer for field, outer in above.items() if outer and getattr(row, f"{field}_id") is None}
        if row.pk is None or news or not ids.items() <= row.ids.items():
            known.forget(row)
            row.ids = row.ids | ids
            for field, outer in news.items():
                setattr(row, field, outer)
            row.save()
            known.learn(row)
        return row

    def tell(self, row: Any, record: Record, at: datetime | None, document: models.Document | None) -> None:
        """Add to a row what was said of it."""
        before = Record(row.said, row.said_at)
        after = before.merged(record)
        if after == before and row.document_id:
            return
        known = self._rows(_noun(row))
        known.forget(row)
        row.said, row.said_at = after.said, after.said_at
        known.learn(row)
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

    def _rows(self, noun: str) -> "_Known":
        if noun not in self._known:
            rows = MODELS[noun]._default_manager.filter(subscription=self.subscription).order_by("pk")
            self._known[noun] = _Known(rows.select_related(*_ABOVE[noun].values()))
        return self._known[noun]


class _Known:
    """The rows of one noun, by what they are known by: no search looks at each of them."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self._by_id: dict[tuple[int | None, str], dict[int, Any]] = defaultdict(dict)
        # By agreement, and by the authorizations under which a row has an id; within those by number.
        self._groups: dict[int | None, dict[frozenset[str], dict[str, dict[int, Any]]]] = defaultdict(dict)
        for row in rows:
            self.learn(row)

    def learn(self, row: Any) -> None:
        """Take note of a row that is stored."""
        agreement = _agreement(row)
        for each in row.ids.values():
            self._by_id[agreement, each][row.pk] = row
        by_number = self._groups[agreement].setdefault(frozenset(row.ids), defaultdict(dict))
        by_number[_number(row)][row.pk] = row

    def forget(self, row: Any) -> None:
        """A row is about to be changed."""
        agreement = _agreement(row)
        for each in row.ids.values():
            self._by_id[agreement, each].pop(row.pk, None)
        by_number = self._groups[agreement].get(frozenset(row.ids), {})
        if (number := _number(row)) in by_number:
            by_number[number].pop(row.pk, None)
            if not by_number[number]:
                del by_number[number]

    def find(self, ids: dict[str, str], number: str, agreement: int | None, *, is_one_home: bool) -> Any | None:
        """By id; by number, or as the only one, where it was told under other authorizations. Of several the oldest.

        Of files that somebody uploaded, and that may be of several homes, nothing is taken for the only one.
        """
        if same := _oldest(self._by_id.get((agreement, each), {}) for each in ids.values()):
            return same
        groups = {names: each for names, each in self._groups[agreement].items() if not names & ids.keys()}
        if number and (same := _oldest(group.get(number, {}) for group in groups.values())):
            return same
        if not is_one_home:
            return None
        alike = [group for names, group in groups.items() if bool(names) == bool(ids)]
        numbers = (([group.get("", {})] if number else group.values()) for group in alike)
        left = [*islice((row for each in numbers for rows in each for row in rows.values()), 2)]
        return left[0] if len(left) == 1 else None


def _oldest(found: Iterable[dict[int, Any]]) -> Any | None:
    rows = {pk: row for each in found for pk, row in each.items()}
    return rows[min(rows)] if rows else None


def _agreement(row: Any) -> int | None:
    return getattr(row, "customer_agreement_id", None)


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


Place = tuple[int, int]  # which noun, in order, and the row's number: where to go on


class Told(NamedTuple):
    """A resource, and all that was said of it, by the standard's names; `above`: what it belongs to.

    `public_id` stays the same for as long as it is here; `said_at` is when each element was said (ISO 8601, UTC).
    """

    place: Place
    noun: str
    public_id: UUID
    above: list[UUID]
    said: dict[str, Any]
    said_at: dict[str, str]


def each(subscription: models.Subscription, *, after: Place | None = None) -> Iterator[Told]:
    """All customer data of a subscription, a few at a time: what others belong to comes before them."""
    for order, (noun, model) in enumerate(MODELS.items()):
        if after and order < after[0]:
            continue
        last = after[1] if after and order == after[0] else 0
        rows = model._default_manager.filter(subscription=subscription).order_by("pk")
        while piece := list(rows.filter(pk__gt=last)[:_AT_ONCE]):
            yield from (_told((order, row.pk), noun, subscription, row) for row in piece)
            last = piece[-1].pk


def _told(place: Place, noun: str, subscription: models.Subscription, row: Any) -> Told:
    outer = [(name, getattr(row, f"{field}_id")) for name, field in _ABOVE[noun].items()]
    above = [_public_id(subscription, name, pk) for name, pk in outer if pk]
    return Told(place, noun, _public_id(subscription, noun, row.pk), above, row.said, row.said_at)


def _public_id(subscription: models.Subscription, noun: str, pk: int) -> UUID:
    return uuid5(subscription.public_id, f"{noun}/{pk}")


def delete(subscription: models.Subscription) -> None:
    """Delete all of a subscription's customer data."""
    for model in reversed(MODELS.values()):
        model._default_manager.filter(subscription=subscription).delete()
