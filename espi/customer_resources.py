"""The Retail Customer schema (http://naesb.org/espi/customer): what a resource says, and what people look at of it.

`READERS` turn an element's JSON into resources, `columns` what was said into the fields of a row. Names, addresses and
numbers are personal data: nothing here logs them or puts them into a message.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from espi import numbers, resources, shapes
from espi.elements import Fields

_Reader = Callable[[resources.Entry, Any], Iterable[resources.Resource]]


def _reader(noun: str) -> _Reader:
    def read(entry: resources.Entry, said: Any) -> Iterator[resources.Resource]:
        yield resources.CustomerResource(entry, noun, Fields(said).rest)

    return read


def _retail_customer(entry: resources.Entry, said: Any) -> Iterator[resources.Resource]:
    """Con Edison V1's flat resource (its contract, 5.4): an account, and the place it is for, known by its number."""
    told = Fields(said)
    address = told.all("mainAddress")
    yield resources.CustomerResource(entry, "CustomerAccount", told.rest)
    if address:
        place = {"mainAddress": address[0], "accountNumber": told.peek("accountNumber")}
        yield resources.CustomerResource(entry, "ServiceLocation", place)


_SHAPES: Mapping[str, shapes.Shape] = {
    "Customer": shapes.CUSTOMER,
    "CustomerAccount": shapes.CUSTOMER_ACCOUNT,
    "CustomerAgreement": shapes.CUSTOMER_AGREEMENT,
    "ServiceSupplier": shapes.SERVICE_SUPPLIER,
    "ServiceLocation": shapes.SERVICE_LOCATION,
    "Meter": shapes.METER,
    "EndDevice": shapes.END_DEVICE,
    "ProgramDateIdMappings": shapes.PROGRAM_DATES,
    "Statement": shapes.STATEMENT,
}
NOUNS = frozenset(_SHAPES)
AGREEMENT = "CustomerAgreement"
PROGRAMS = "CustomerAgreement/DemandResponseProgram"  # of an agreement, the programmes alone; PG&E grants them apart
KINDS = NOUNS | {PROGRAMS}  # what a customer can allow or not
READERS: Mapping[str, tuple[shapes.Shape, _Reader]] = {
    **{noun: (shape, _reader(noun)) for noun, shape in _SHAPES.items()},
    "RetailCustomer": (shapes.shape("accountNumber", mainAddress=shapes.ADDRESS), _retail_customer),
}


def allowed(said: resources.CustomerResource, kinds: Container[str]) -> resources.CustomerResource | None:
    """What of a resource belongs to these kinds; None if nothing does."""
    if said.noun != AGREEMENT:
        return said if said.noun in kinds else None
    has_rest, has_programs = AGREEMENT in kinds, PROGRAMS in kinds
    kept = {
        name: value
        for name, value in said.said.items()
        if (has_programs if name.lower() == "demandresponseprogram" else has_rest)
    }
    return replace(said, said=kept) if kept or has_rest else None


# --- What people look at ----------------------------------------------------------------------------------------------


def columns(noun: str, said: dict[str, Any]) -> dict[str, Any]:
    """The fields of the row of that noun (`espi.models.customer`), read out of what was said of it."""
    return _COLUMNS[noun](Fields(said))


def number(noun: str, said: dict[str, Any]) -> str:
    """What a resource is known by to people, whatever its id: an account, an agreement or a serial number; "" else."""
    return _first(Fields(said), _NUMBERS.get(noun, ()))


def address_lines(address: Any) -> tuple[str, ...]:
    """A StreetAddress as the lines of a letter: of the standard, PG&E's general lines, Con Edison V1's plain texts."""
    told = Fields(address)
    street = [told.peek(f"streetDetail/{name}") for name in ("number", "prefix", "name", "type", "suffix")]
    lines = [told.peek("streetDetail/buildingName"), told.peek("streetDetail"), " ".join(filter(None, street))]
    lines += [told.peek(f"streetDetail/addressGeneral{n}") for n in ("", "2", "3")]
    lines += [told.peek("streetDetail/suiteNumber"), _po_box(told.peek("poBox")), _town(told)]
    lines.append(told.peek("townDetail/country"))
    return tuple(line for line in lines if line)


def _po_box(text: str) -> str:
    return f"PO Box {text}" if any(letter.isdigit() for letter in text) else ""  # "N/A" is written there too


def _town(told: Fields) -> str:
    town = _first(told, ("townDetail/name", "cityDetail"))
    state = _first(told, ("townDetail/stateOrProvince", "stateDetail"))
    code = _first(told, ("postalCode", "townDetail/code"))
    return " ".join(part for part in (f"{town}," if town and state else town, state, code) if part)


def _first(told: Fields, paths: Iterable[str]) -> str:
    return next((text for path in paths if (text := told.peek(path))), "")


def _short(told: Fields, *paths: str, most: int = 64) -> str:
    return _first(told, paths)[:most]


def _address(told: Fields, *paths: str) -> str:
    found = (address_lines(each) for path in paths for each in told.under(path))
    return "\n".join(next((lines for lines in found if lines), ()))


_NUMBERS = {
    "CustomerAccount": ("accountId", "accountNumber", "name"),
    "CustomerAgreement": ("agreementId", "name"),
    "Meter": ("serialNumber",),
    "EndDevice": ("serialNumber",),
    "ServiceSupplier": ("kind",),
    "ServiceLocation": ("accountNumber",),
}


def _customer(told: Fields) -> dict[str, Any]:
    return {
        "name": _first(told, ("customerName", "Organisation/organisationName", "name", "Organisation/name")),
        "address": _address(told, "mainAddress", "Organisation/streetAddress", "Organisation/postalAddress"),
        "kind": _short(told, "kind"),
        "status": _short(told, "status/value", "status"),
    }


def _account(told: Fields) -> dict[str, Any]:
    return {
        "account_number": _first(told, _NUMBERS["CustomerAccount"]),
        "billing_cycle": _short(told, "billingCycle"),
        "status": _short(told, "docStatus/value", "docStatus", "status/value", "status"),
    }


def _agreement(told: Fields) -> dict[str, Any]:
    programs = [Fields(each) for each in told.under("DemandResponseProgram")]
    return {
        "agreement_number": _first(told, _NUMBERS["CustomerAgreement"]),
        "type": _short(told, "type"),
        "status": _short(told, "docStatus/value", "docStatus", "status/value", "status"),
        "sign_date": numbers.timestamp(told.peek("signDate")),
        "currency": numbers.integer(told.peek("currency"), numbers.INT16),
        "programs": [
            {"name": _short(each, "programName", most=256), "status": _short(each, "enrollmentStatus")}
            for each in programs
        ],
    }


def _supplier(told: Fields) -> dict[str, Any]:
    return {
        "name": _short(told, "Organisation/organisationName", "name", "Organisation/name", most=255),
        "kind": _short(told, "kind"),
        "issuer": _short(told, "issuerIdentificationNumber", most=255),
    }


def _location(told: Fields) -> dict[str, Any]:
    return {
        "address": _address(told, "mainAddress", "secondaryAddress"),
        "outage_block": _short(told, "outageBlock", most=32),
    }


def _device(told: Fields) -> dict[str, Any]:
    return {"serial_number": told.peek("serialNumber"), "type": _short(told, "type")}


def _meter(told: Fields) -> dict[str, Any]:
    length = numbers.integer(told.peek("intervalLength"), range(1, 2**31))
    return _device(told) | {"form_number": _short(told, "formNumber"), "interval_length": length}


def _program_dates(told: Fields) -> dict[str, Any]:
    return {"mappings": [each for each in told.under("programDateIdMapping") if each != ""]}


def _statement(told: Fields) -> dict[str, Any]:
    return {"issued_at": numbers.timestamp(told.peek("issueDateTime"))}


_COLUMNS: Mapping[str, Callable[[Fields], dict[str, Any]]] = {
    "Customer": _customer,
    "CustomerAccount": _account,
    "CustomerAgreement": _agreement,
    "ServiceSupplier": _supplier,
    "ServiceLocation": _location,
    "Meter": _meter,
    "EndDevice": _device,
    "ProgramDateIdMappings": _program_dates,
    "Statement": _statement,
}
