"""The Retail Customer schema (http://naesb.org/espi/customer): what a resource says, and what people look at of it.

Names, addresses and numbers are personal data: nothing here logs them or puts them into a message.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from espi import resources, shapes
from espi.elements import Said


def _reader(noun: str) -> Callable[[resources.Entry, Any], Iterator[resources.Resource]]:
    def read(entry: resources.Entry, said: Any) -> Iterator[resources.Resource]:
        yield resources.CustomerResource(entry, noun, Said(said).rest)

    return read


def _retail_customer(entry: resources.Entry, said: Any) -> Iterator[resources.Resource]:
    """Con Edison V1's flat resource (its contract, 5.4): an account, and the place it is for."""
    told = Said(said)
    address = told.all("mainAddress")
    yield resources.CustomerResource(entry, "CustomerAccount", told.rest)
    if address:
        yield resources.CustomerResource(entry, "ServiceLocation", {"mainAddress": address[0]})


READERS: dict[str, tuple[shapes.Shape, Callable[[resources.Entry, Any], Iterable[resources.Resource]]]] = {
    "Customer": (shapes.CUSTOMER, _reader("Customer")),
    "CustomerAccount": (shapes.CUSTOMER_ACCOUNT, _reader("CustomerAccount")),
    "CustomerAgreement": (shapes.CUSTOMER_AGREEMENT, _reader("CustomerAgreement")),
    "ServiceSupplier": (shapes.SERVICE_SUPPLIER, _reader("ServiceSupplier")),
    "ServiceLocation": (shapes.SERVICE_LOCATION, _reader("ServiceLocation")),
    "Meter": (shapes.METER, _reader("Meter")),
    "EndDevice": (shapes.END_DEVICE, _reader("EndDevice")),
    "ProgramDateIdMappings": (shapes.PROGRAM_DATES, _reader("ProgramDateIdMappings")),
    "Statement": (shapes.STATEMENT, _reader("Statement")),
    "RetailCustomer": (shapes.shape("accountNumber", mainAddress=shapes.ADDRESS), _retail_customer),
}
NOUNS = frozenset(READERS)
