"""Asynchronous requests: 202, a notification, then download links (V1) or resource addresses (V2).

Onboarding document 2.2 for V1, document 4.4 for V2. Duplicates are rejected while a request is pending; data are
deleted when the notify address does not answer 200.
"""

import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.sax.saxutils import escape

from utilities.sandbox import coned_data as data
from utilities.sandbox import coned_terms as terms
from utilities.sandbox import coned_v1, coned_v2, meters, notify
from utilities.sandbox.coned_data import Series
from utilities.sandbox.context import Sandbox
from utilities.sandbox.state import Row

BYTES_PER_READING = {"v1": 180, "v2": 238}
MONTH = 31  # days in one entry of a V1 file, so that KVARH and KWH entries alternate
ESPI = 'xmlns:espi="http://naesb.org/espi"'
Window = tuple[int, int]


class Duplicate(Exception):
    """The same request is still being worked on."""


def canonical(query: str) -> str:
    """A query string in an order of its own, so that equal requests compare equal."""
    return urlencode(sorted(parse_qsl(query, keep_blank_values=True)))


def pending(sandbox: Sandbox, batch: Row) -> bool:
    """Is a batch request still being worked on? It ends when its notification is sent, or lost."""
    row = sandbox.store.get("notifications", id=batch["data"].get("notification"))
    return row is not None and row["sent"] is None


def find(sandbox: Sandbox, registration: Row, path: str, query: str, authorization: int | None) -> Row | None:
    """The latest batch for a request that is neither deleted nor expired."""
    where = {"registration": registration["id"], "path": path, "query": canonical(query)}
    rows = sandbox.store.find("batches", order="id DESC", **where, authorization=authorization)
    live = (row for row in rows if row["status"] == "kept" and row["expires"] > sandbox.now())
    return next(live, None)


def accept(
    sandbox: Sandbox, registration: Row, authorization: Row | None, kind: str, path: str, query: str,
    files: list[tuple[int, dict[str, Any]]], url: Any,
) -> None:  # fmt: skip
    """Take a request: keep its files -> [(authorization id, plan)], and announce ``url(request, response, id)`` of each.

    Raises Duplicate while the same request is pending.
    """
    number = authorization["id"] if authorization else None
    earlier = find(sandbox, registration, path, query, number)
    if earlier and pending(sandbox, earlier):
        raise Duplicate
    now, request = sandbox.now(), str(uuid.uuid4())
    batch = sandbox.store.insert(
        "batches", request=request, utility=registration["utility"], registration=registration["id"],
        authorization=number, token_kind=kind, path=path, query=canonical(query), status="kept", created=now,
        expires=now + terms.BATCH_LIFETIME,
    )  # fmt: skip
    urls = []
    for holder, plan in files:
        response = plan.get("address") or str(uuid.uuid4())
        sandbox.store.insert(
            "responses", response=response, batch=batch, authorization=holder, created=now,
            expires=now + terms.BATCH_LIFETIME, data=plan,
        )  # fmt: skip
        urls.append(url(request, response, holder))
    _announce(sandbox, registration, batch, urls)


def _announce(sandbox: Sandbox, registration: Row, batch: int, urls: list[str]) -> None:
    slug = registration["utility"]
    body = notification_body(sandbox, registration, urls)
    early = sandbox.fault("early_notification", slug) is not None
    number = notify.queue(
        sandbox, registration, body, "batch", {"Content-Type": "application/atom+xml"}, delay=0 if early else None,
        data={"batch": batch},
    )  # fmt: skip
    sandbox.store.update("batches", {"id": batch}, data={"notification": number})
    if early and number:
        notify.send(sandbox, number)


def notification_body(sandbox: Sandbox, registration: Row, urls: list[str]) -> bytes:
    """The batch list, in the shape of the edition or of the fault notification_shape."""
    slug = registration["utility"]
    shape = "batchlist_lower" if registration["edition"] == "v1" else "standard"
    if (args := sandbox.fault("notification_shape", slug)) is not None:
        shape = args.get("shape", "atom")
    raw = sandbox.fault("raw_ampersand", slug) is not None
    texts = urls if raw else [escape(url) for url in urls]
    if shape == "standard":
        inner = "".join(f"<espi:resources>{text}</espi:resources>" for text in texts)
        return f"<espi:BatchList {ESPI}>{inner}</espi:BatchList>".encode()
    if shape == "atom":
        inner = "".join(
            f"<entry><content><espi:batchList><espi:resources>{text}</espi:resources></espi:batchList></content></entry>"
            for text in texts
        )
        return f'<feed xmlns="http://www.w3.org/2005/Atom" {ESPI}>{inner}</feed>'.encode()
    inner = "".join(f"  <espi:resources>\n    {text}\n  </espi:resources>\n" for text in texts)
    return f"<espi:batchList {ESPI}>\n{inner}</espi:batchList>\n".encode()


def after_notification(sandbox: Sandbox, row: Row) -> None:
    """200 completes the request and its two days begin; anything else deletes the prepared data."""
    batch = row["data"].get("batch")
    if row["status"] == 200:
        sandbox.store.update("batches", {"id": batch}, expires=sandbox.now() + terms.BATCH_LIFETIME)
    elif batch:
        sandbox.store.update("batches", {"id": batch}, status="deleted")
        sandbox.store.delete("responses", batch=batch)


# --- V1: what is in a file --------------------------------------------------------------------------------------------


def v1_files(sandbox: Sandbox, authorization: Row, window: Window) -> list[dict[str, Any]]:
    """Plans of the files of one subscription, each up to 25 MB: parts of [service, meter, quantity, start, end]."""
    files: list[dict[str, Any]] = [{"parts": [], "first": True, "window": list(window)}]
    small = sandbox.fault("small_files", authorization["utility"])
    size = terms.BATCH_FILE["v1"] if small is None else int(small.get("bytes", 2_000_000))
    room = size // BYTES_PER_READING["v1"]
    left = room
    for parts, readings in _v1_parts(sandbox, authorization, window):
        if readings > left:
            files.append({"parts": [], "first": False, "window": list(window)})
            left = room
        files[-1]["parts"] += parts
        left -= readings
    return files


def _v1_parts(sandbox: Sandbox, authorization: Row, window: Window) -> Iterator[tuple[list[list[Any]], int]]:
    """(parts, number of readings) of a month of a meter at a time."""
    services = data.services(sandbox, authorization) if data.granted(authorization, terms.CONSUMPTION) else []
    for service, meter in [(one, meter) for one in services for meter in data.installed(one, window[1])]:
        quantities = data.quantities(service, reactive=True)
        low, high = max(window[0], meter.installed), min(window[1], meter.removed or window[1])
        days = meters.local_days(low, high, meter.zone)
        for month in (days[index : index + MONTH] for index in range(0, len(days), MONTH)):
            start, end = max(month[0][0], low), min(month[-1][1], high)
            parts = [[service.id, meter.serial, quantity, start, end] for quantity in quantities]
            yield parts, (end - start) // meter.length * len(quantities)


def v1_document(sandbox: Sandbox, resource: str, authorization: Row, plan: dict[str, Any], *, customer: bool) -> bytes:
    """One file as planned. The first one has usage points, readings, bills and (in bulk) the customer too."""
    subscription = f"{resource}/Subscription/{authorization['subscription']}"
    services = {service.id: service for service in data.services(sandbox, authorization)}
    entries: list[str] = []
    window = (plan["window"][0], plan["window"][1])
    if plan["first"]:
        for service in services.values():
            entries.append(coned_v1.usage_point(subscription, service))
            found = data.installed(service, window[1]) if data.granted(authorization, terms.CONSUMPTION) else []
            entries += [coned_v1.meter_reading(subscription, service, meter) for meter in found]
    all_series = []
    revision = sandbox.fault("revised_readings", authorization["utility"])
    for service_id, serial, quantity, start, end in plan["parts"]:
        service = services[service_id]
        meter = next(meter for meter in service.meters if meter.serial == serial)
        one = data.series(service, meter, start, end, quantity)
        if revision is not None:
            one = one.revised(window[1] - 86400 * revision.get("days", 3), revision.get("add", 7))
        all_series.append(one)
        entries.append(coned_v1.interval_block(subscription, one))
    if plan["first"]:
        entries += v1_bills(sandbox, subscription, authorization, list(services.values()), window)
        if customer and data.granted(authorization, terms.RETAIL_CUSTOMER):
            entries.append(coned_v1.retail_customer(data.account_of(sandbox, authorization)))
    head = coned_v1.HEAD.replace(">", ' xmlns:cust="http://naesb.org/espi/customer">')
    return record(sandbox, authorization, coned_v1.feed(entries, head), all_series)


def v1_bills(sandbox: Sandbox, subscription: str, authorization: Row, services: list[Any], window: Window) -> list[str]:
    """Entries of the electric bills, when they are granted; how a gas bill looks is not documented."""
    if not data.granted(authorization, terms.BILLING):
        return []
    return [
        coned_v1.summary(subscription, service, bill)
        for service in services
        if service.kind == "electricity"
        for bill in data.bills(sandbox, authorization, service, window)
    ]


def record(sandbox: Sandbox, authorization: Row, body: bytes, all_series: list[Series]) -> bytes:
    """Tell the deliveries what a document holds, and give it back."""
    channels = [one.channel() for one in all_series if one.values]
    sandbox.delivered(authorization["utility"], authorization["id"], len(body), channels)
    return body


# --- V2 ---------------------------------------------------------------------------------------------------------------


def v2_entries(
    sandbox: Sandbox, resource: str, authorization: Row, window: Window, *, usage_point: str = "",
    real_time: bool = False,
) -> tuple[list[str], list[Series]]:  # fmt: skip
    """Everything of a subscription (or of one usage point) in the window."""
    number, held, now = authorization["subscription"], data.blocks(authorization), sandbox.now()
    entries, all_series, types = [coned_v2.local_time(resource, now)], [], {}
    for service in data.services(sandbox, authorization):
        if usage_point not in ("", service.id) or (real_time and service.kind == "gas"):
            continue
        entries.append(coned_v2.usage_point(resource, number, service, now))
        for meter in data.installed(service, window[1]) if "4" in held else []:
            quantity = data.quantities(service, reactive=False)[0]
            one = data.series(service, meter, *window, quantity)
            if not one.values:
                continue
            all_series.append(one)
            types[coned_v2.reading_type_id(service, meter)] = coned_v2.reading_type(
                resource, service, meter, now, real_time=real_time
            )
            entries.append(coned_v2.meter_reading(resource, number, service, meter, now, real_time=real_time))
            entries.append(coned_v2.interval_block(resource, number, one, now, real_time=real_time))
        if "15" in held and not real_time:
            entries += [
                coned_v2.summary(resource, number, service, bill, now, cost="16" in held)
                for bill in data.bills(sandbox, authorization, service, window)
            ]
    return [*types.values(), *entries], all_series


def v2_size(sandbox: Sandbox, authorization: Row, window: Window) -> int:
    """About how many bytes a subscription's usage takes."""
    lengths = [service.meter.length for service in data.services(sandbox, authorization)]
    return sum((window[1] - window[0]) // length * BYTES_PER_READING["v2"] for length in lengths)


def announced(sandbox: Sandbox, registration: Row, address: str) -> Row | None:
    """The response a client's batch request announced at this address, while it is kept."""
    for response in sandbox.store.find("responses", order="id DESC", response=address):
        batch = sandbox.store.get("batches", id=response["batch"], registration=registration["id"], status="kept")
        if batch and batch["expires"] > sandbox.now():
            return response
    return None
