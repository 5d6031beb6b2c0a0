"""The resources of V2: the standard's documents, filters of the Swagger file, one file for a whole request."""

from collections.abc import Callable
from typing import Any

import flask

from utilities.sandbox import coned_batch as batch
from utilities.sandbox import coned_data as data
from utilities.sandbox import coned_terms as terms
from utilities.sandbox import coned_token, coned_v2
from utilities.sandbox.coned_call import (
    ACCESS,
    CLIENT,
    READING,
    USAGE,
    Call,
    Rule,
    Stop,
    accept,
    active,
    authorization_of,
    document,
    need,
    service_of,
)
from utilities.sandbox.state import Row

PUBLISHED = frozenset(("published-min", "published-max"))
AUTHORIZATION_FILTERS = frozenset(("publishedMin", "publishedMax", "updatedMin", "updatedMax"))
PAGER = frozenset(("startIndex",))


def _window(call: Call, limits: tuple[int, int]) -> tuple[int, int]:
    try:
        return data.v2_window(call.query, limits)
    except ValueError as error:
        raise Stop(400, str(error)) from None


def _page(entries: list[str]) -> list[str]:
    """startIndex counts from 1. Raises Stop when it is no such number."""
    text = flask.request.args.get("startIndex", "1")
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise Stop(400, "startIndex is a whole number from 1.")
    return entries[int(text) - 1 :]


def _feed(call: Call, title: str, entries: list[str]) -> flask.Response:
    address = call.sandbox.base(call.sandbox.host) + flask.request.path
    return document(coned_v2.feed(title, address, call.sandbox.now(), _page(entries)))


def application(call: Call, application: str) -> flask.Response:
    """The third party's own record, with the registration access token."""
    need(application == call.registration["data"]["third_party_id"], 404)
    site = "www.coned.com" if call.registration["utility"] == "cecony" else "www.oru.com"
    web = call.sandbox.base(site) if flask.request.environ["sandbox.style"] == "path" else f"https://{site}"
    return document(coned_v2.lone(coned_v2.application_information(call.resource, web, call.registration)))


def authorizations(call: Call) -> flask.Response:
    """All authorizations of the third party; filters are instants of grant and change."""
    rows = call.sandbox.store.find("authorizations", registration=call.registration["id"])
    for row in rows:
        _lapse(call, row)
    rows = call.sandbox.store.find("authorizations", registration=call.registration["id"])
    low, high = _filters(call, "published")
    changed_low, changed_high = _filters(call, "updated")
    entries = [
        coned_v2.authorization(call.resource, row)
        for row in rows
        if row["subscription"] and low <= row["created"] < high and changed_low <= row["updated"] < changed_high
    ]
    return _feed(call, "Authorizations", entries)


def _lapse(call: Call, row: Row) -> None:
    """An authorization whose time is over, or that was not used for a year, is revoked when somebody looks."""
    now = call.sandbox.now()
    over = row["ends"] is not None and row["ends"] <= now
    if row["status"] == "active" and (over or row["accessed"] <= now - terms.INACTIVITY["v2"]):
        call.sandbox.revoke(row["id"])


def _filters(call: Call, name: str) -> tuple[float, float]:
    query = {
        f"published-{end.lower()}": call.query[f"{name}{end}"] for end in ("Min", "Max") if f"{name}{end}" in call.query
    }
    try:
        return data.v2_window(query, (0, 2**40))
    except ValueError as error:
        raise Stop(400, str(error)) from None


def authorization(call: Call, authorization: str) -> flask.Response:
    """One of them."""
    _lapse(call, authorization_of(call, authorization))
    return document(coned_v2.lone(coned_v2.authorization(call.resource, authorization_of(call, authorization))))


def status(call: Call) -> flask.Response:
    """1: the service is up."""
    content = f'<?xml version="1.0" encoding="UTF-8"?><espi:ServiceStatus {batch.ESPI}>'
    return document(f"{content}<espi:currentStatus>1</espi:currentStatus></espi:ServiceStatus>".encode())


def usage_points(call: Call, subscription: str, usage_point: str = "") -> flask.Response:
    """Usage points, or one."""
    found = [service_of(call, usage_point)] if usage_point else data.services(call.sandbox, call.holder)
    need(found)
    number, now = call.holder["subscription"], call.sandbox.now()
    entries = [coned_v2.usage_point(call.resource, number, service, now) for service in found]
    return document(coned_v2.lone(entries[0])) if usage_point else _feed(call, "Usage Points", entries)


def meter_readings(call: Call, subscription: str, usage_point: str, meter_reading: str = "") -> flask.Response:
    """Meter readings of a usage point, or one."""
    need("4" in data.blocks(call.holder))
    service, number = service_of(call, usage_point), call.holder["subscription"]
    found = data.installed(service, data.history(call.sandbox)[1])
    if meter_reading:
        found = [meter for meter in found if coned_v2.reading_id(meter) == meter_reading]
        need(found, 404)
    now = call.sandbox.now()
    entries = [coned_v2.meter_reading(call.resource, number, service, meter, now) for meter in found]
    return document(coned_v2.lone(entries[0])) if meter_reading else _feed(call, "Meter Readings", entries)


def _blocks(call: Call, usage_point: str, meter_reading: str, block: str, *, real_time: bool) -> flask.Response:
    need("4" in data.blocks(call.holder))
    service = service_of(call, usage_point)
    found = [meter for meter in service.meters if coned_v2.reading_id(meter, real_time=real_time) == meter_reading]
    need(found and not (real_time and service.kind == "gas"), 404)
    need(block in ("", coned_v2.block_id(found[0], real_time=real_time)), 404)
    limits = data.real_time(call.sandbox) if real_time else data.history(call.sandbox, call.holder)
    one = data.series(service, found[0], *_window(call, limits), data.quantities(service, reactive=False)[0])
    now, number = call.sandbox.now(), call.holder["subscription"]
    entries = [coned_v2.interval_block(call.resource, number, one, now, real_time=real_time)] if one.values else []
    need(entries or not block, 404)
    answer = document(coned_v2.lone(entries[0])) if block else _feed(call, "Interval Blocks", entries)
    batch.record(call.sandbox, call.holder, answer.get_data(), [one])
    return answer


def interval_blocks(
    call: Call, subscription: str, usage_point: str, meter_reading: str, block: str = ""
) -> flask.Response:
    """Readings of the window (reading time, UTC)."""
    return _blocks(call, usage_point, meter_reading, block, real_time=False)


def real_time_blocks(
    call: Call, subscription: str, usage_point: str, meter_reading: str, block: str = ""
) -> flask.Response:
    """The last 24 hours, provisional, under ids of their own."""
    return _blocks(call, usage_point, meter_reading, block, real_time=True)


def _types(call: Call, wanted: str, *, real_time: bool) -> flask.Response:
    now, entries = call.sandbox.now(), {}
    for service in data.services(call.sandbox, call.holder):
        for meter in service.meters if not (real_time and service.kind == "gas") else ():
            name = coned_v2.reading_type_id(service, meter, real_time=real_time)
            entries[name] = coned_v2.reading_type(call.resource, service, meter, now, real_time=real_time)
    if wanted:
        need(wanted in entries, 404)
        return document(coned_v2.lone(entries[wanted]))
    return _feed(call, "Reading Types", list(entries.values()))


def reading_types(call: Call, reading_type: str = "") -> flask.Response:
    """Reading types of this subscription."""
    return _types(call, reading_type, real_time=False)


def real_time_types(call: Call, reading_type: str = "") -> flask.Response:
    """Reading types of its real-time tree."""
    return _types(call, reading_type, real_time=True)


def local_time(call: Call, local_time: str = "") -> flask.Response:
    """US Eastern time."""
    need(local_time in ("", "1"), 404)
    entry = coned_v2.local_time(call.resource, call.sandbox.now())
    return document(coned_v2.lone(entry)) if local_time else _feed(call, "Local Time Parameters", [entry])


def summaries(call: Call, subscription: str, usage_point: str) -> flask.Response:
    """Bills; both ends of the window are required."""
    if not set(call.query) >= PUBLISHED:
        raise Stop(400, "published-min and published-max are required.")
    window = _window(call, data.history(call.sandbox, call.holder))
    return _feed(call, "Usage Summaries", list(_summaries(call, usage_point, window).values()))


def summary(call: Call, subscription: str, usage_point: str, summary: str) -> flask.Response:
    """One bill, by POST with an empty body."""
    entries = _summaries(call, usage_point, data.history(call.sandbox, call.holder))
    need(summary in entries, 404)
    return document(coned_v2.lone(entries[summary]))


def _summaries(call: Call, usage_point: str, window: tuple[int, int]) -> dict[str, str]:
    held = data.blocks(call.holder)
    need("15" in held)
    service, number, now = service_of(call, usage_point), call.holder["subscription"], call.sandbox.now()
    return {
        bill.number: coned_v2.summary(call.resource, number, service, bill, now, cost="16" in held)
        for bill in data.bills(call.sandbox, call.holder, service, window)
    }


def _customer_tree(call: Call, authorization: Row) -> dict[str, str]:
    """{address: entry} of what the granted blocks show of a customer. Raises Stop."""
    held = data.blocks(authorization)
    need("51" in held)
    person = call.sandbox.person(authorization["utility"], authorization["username"])
    account = data.account_of(call.sandbox, authorization)
    need(person, 404)
    tree = {}
    if person:
        tree = coned_v2.customer_entries(
            call.resource, authorization["subscription"], person, account, call.sandbox.now()
        )
    needed = {"CustomerAccount": "56", "CustomerAgreement": "57", "ServiceLocation": "58", "Meter": "60"}
    return {href: entry for href, entry in tree.items() if needed.get(href.split("/")[-2], "51") in held}


def customer(call: Call, subscription: str) -> flask.Response:
    """The customer; the id is the subscription's."""
    tree = _customer_tree(call, call.holder)
    return _feed(call, "Customer", list(tree.values())[:1])


def customer_batch(call: Call, subscription: str) -> flask.Response:
    """The whole tree at once, synchronously."""
    return _feed(call, "Retail Customer", list(_customer_tree(call, call.holder).values()))


def customer_part(call: Call, subscription: str, rest: str) -> flask.Response:
    """CustomerAccount, and what is below it: the vendor's collection expects 202 from CustomerAgreement down."""
    address = call.sandbox.base(call.sandbox.host) + flask.request.path
    parts = rest.split("/")
    block = {"CustomerAccount": "56", "CustomerAgreement": "57", "ServiceLocation": "58", "Meter": "60"}
    names = ("CustomerAccount", "CustomerAgreement", "ServiceLocation", "Meter")
    need(tuple(parts[::2]) == names[: len(parts[::2])], 404)
    need(block[parts[::2][-1]] in data.blocks(call.holder))
    tree = _customer_tree(call, call.holder)
    one = len(parts) % 2 == 0
    found = [
        entry for href, entry in tree.items() if href == address or (not one and href.rpartition("/")[0] == address)
    ]
    need(found, 404)
    if len(parts) > 2 and not _ready(call):
        return accept(call, [(call.holder["id"], {})], lambda *_: address)
    return document(coned_v2.lone(found[0])) if one else _feed(call, parts[-1], found)


def _ready(call: Call) -> bool:
    """Was this very request announced, within two days? Raises Stop while it is pending."""
    query = flask.request.query_string.decode("latin-1")
    number = call.authorization["id"] if call.authorization else None
    found = batch.find(call.sandbox, call.registration, flask.request.path, query, number)
    if found and batch.pending(call.sandbox, found):
        raise Stop(400, "The same request is still being processed.")
    return found is not None


def _batch(
    call: Call, holders: list[Row], title: str, make: Callable[[Row], tuple[list[str], list[Any]]]
) -> flask.Response:
    """202 the first time; after the notification, the document of these authorizations."""
    if not _ready(call):
        address = call.sandbox.base(call.sandbox.host) + flask.request.full_path.rstrip("?")
        owner = call.authorization or {"id": None}
        return accept(call, [(owner["id"], {})], lambda *_: address)
    entries: list[str] = []
    for holder in holders:
        fresh, all_series = make(holder)
        entries += fresh
        batch.record(call.sandbox, holder, "".join(fresh).encode(), all_series)
    return _feed(call, title, entries)


def usage_batch(call: Call, subscription: str, usage_point: str = "") -> flask.Response:
    """All usage of a subscription, or of one of its usage points."""
    if call.authorization is None:
        return _from_bulk(call)
    holder = call.holder
    if usage_point:
        service_of(call, usage_point)
    window = _window(call, data.history(call.sandbox, holder))
    return _batch(call, [holder], "Batch", lambda row: batch.v2_entries(
        call.sandbox, call.resource, row, window, usage_point=usage_point
    ))  # fmt: skip


def _from_bulk(call: Call) -> flask.Response:
    """With the client's token: only what its bulk request announced one by one. Raises Stop."""
    path, query = flask.request.path, flask.request.query_string.decode("latin-1")
    found = batch.announced(call.sandbox, call.registration, f"{path}?{batch.canonical(query)}")
    holder = coned_token.active(call.sandbox, found["authorization"]) if found else None
    if holder is None:
        raise Stop(403)
    window = _window(call, data.history(call.sandbox, holder))
    entries, all_series = batch.v2_entries(call.sandbox, call.resource, holder, window)
    answer = _feed(call, "Batch", entries)
    batch.record(call.sandbox, holder, answer.get_data(), all_series)
    return answer


def real_time_batch(call: Call, subscription: str, usage_point: str = "") -> flask.Response:
    """The same for the last 24 hours."""
    if usage_point:
        service_of(call, usage_point)
    window = _window(call, data.real_time(call.sandbox))
    return _batch(call, [call.holder], "Real Time Batch", lambda row: batch.v2_entries(
        call.sandbox, call.resource, row, window, usage_point=usage_point, real_time=True
    ))  # fmt: skip


def bulk(call: Call, bulk_id: str) -> flask.Response:
    """bulkId gives the usage of all customers, custbulkid their customer data."""
    ids = call.registration["data"]
    need(bulk_id in (ids["bulk_id"], ids["customer_bulk_id"]), 404)
    if bulk_id == ids["customer_bulk_id"]:
        holders = [row for row in active(call) if "51" in data.blocks(row)]
        return _batch(call, holders, "Customer Bulk", lambda row: (list(_customer_tree(call, row).values()), []))
    holders = [row for row in active(call) if data.services(call.sandbox, row)]
    window = _window(call, data.history(call.sandbox))
    if sum(batch.v2_size(call.sandbox, row, window) for row in holders) > terms.BATCH_FILE["v2"]:
        return _one_by_one(call, holders)
    return _batch(
        call, holders, "Bulk", lambda row: batch.v2_entries(call.sandbox, call.resource, row, window)
    )  # fmt: skip


def _one_by_one(call: Call, holders: list[Row]) -> flask.Response:
    """A bulk answer above 200 MB is announced as one address for each subscription."""
    query = batch.canonical(flask.request.query_string.decode("latin-1"))
    root = flask.request.path.partition("/Batch/Bulk/")[0]
    addresses = {row["id"]: f"{root}/Batch/Subscription/{row['subscription']}?{query}" for row in holders}
    files = [(number, {"address": address}) for number, address in addresses.items()]
    base = call.sandbox.base(call.sandbox.host)
    return accept(call, files, lambda _request, _response, holder: base + addresses[holder].rstrip("?"))


def real_time_bulk(call: Call, bulk_id: str) -> flask.Response:
    """Real-time data of all customers."""
    need(bulk_id == call.registration["data"]["bulk_id"], 404)
    holders = [row for row in active(call) if data.services(call.sandbox, row)]
    window = _window(call, data.real_time(call.sandbox))
    return _batch(
        call, holders, "Real Time Bulk",
        lambda row: batch.v2_entries(call.sandbox, call.resource, row, window, real_time=True),
    )  # fmt: skip


RULES = (
    Rule("/ApplicationInformation/<application>", ("registration",), application),
    Rule("/Authorization", CLIENT, authorizations, AUTHORIZATION_FILTERS),
    Rule("/Authorization/<int:authorization>", CLIENT, authorization, AUTHORIZATION_FILTERS),
    Rule("/ReadServiceStatus", CLIENT, status),
    Rule(USAGE, ACCESS, usage_points, PAGER),
    Rule(USAGE + "/<usage_point>", ACCESS, usage_points, PAGER),
    Rule(READING, ACCESS, meter_readings, PAGER),
    Rule(READING + "/<meter_reading>", ACCESS, meter_readings, PAGER),
    Rule(READING + "/<meter_reading>/IntervalBlock", ACCESS, interval_blocks, PUBLISHED | PAGER),
    Rule(READING + "/<meter_reading>/IntervalBlock/<block>", ACCESS, interval_blocks, PUBLISHED | PAGER),
    Rule("/ReadingType", ACCESS, reading_types, PAGER),
    Rule("/ReadingType/<reading_type>", ACCESS, reading_types, PAGER),
    Rule("/LocalTimeParameters", ACCESS, local_time, PAGER),
    Rule("/LocalTimeParameters/<local_time>", ACCESS, local_time, PAGER),
    Rule(USAGE + "/<usage_point>/UsageSummary", ACCESS, summaries, PUBLISHED | PAGER),
    Rule(USAGE + "/<usage_point>/UsageSummary/<summary>", ACCESS, summary, methods=("POST",)),
    Rule("/Customer/<subscription>", ACCESS, customer),
    Rule("/Customer/<subscription>/<path:rest>", ACCESS, customer_part),
    Rule("/Batch/Subscription/<subscription>", ACCESS + CLIENT, usage_batch, PUBLISHED),
    Rule("/Batch/Subscription/<subscription>/UsagePoint/<usage_point>", ACCESS, usage_batch, PUBLISHED),
    Rule("/Batch/RetailCustomer/<subscription>", ACCESS, customer_batch),
    Rule("/Batch/Bulk/<bulk_id>", CLIENT, bulk, PUBLISHED),
    Rule("/RealTime/ReadingType", ACCESS, real_time_types, PAGER),
    Rule("/RealTime/ReadingType/<reading_type>", ACCESS, real_time_types, PAGER),
    Rule("/RealTime" + READING + "/<meter_reading>/IntervalBlock", ACCESS, real_time_blocks, PAGER),
    Rule("/RealTime" + READING + "/<meter_reading>/IntervalBlock/<block>", ACCESS, real_time_blocks, PAGER),
    Rule("/RealTime/Batch/Subscription/<subscription>", ACCESS, real_time_batch, PUBLISHED),
    Rule("/RealTime/Batch/Subscription/<subscription>/UsagePoint/<usage_point>", ACCESS, real_time_batch, PUBLISHED),
    Rule("/RealTime/Batch/Bulk/<bulk_id>", CLIENT, real_time_bulk, PUBLISHED),
)
