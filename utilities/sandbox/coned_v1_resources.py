"""The resources of V1: lower-camel documents, windows of whole days, files announced one by one."""

from typing import Any

import flask

from utilities.sandbox import coned_batch as batch
from utilities.sandbox import coned_data as data
from utilities.sandbox import coned_terms as terms
from utilities.sandbox import coned_token, coned_v1, coned_v2
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
from utilities.sandbox.people import Service


def _window(call: Call, limits: tuple[int, int]) -> tuple[int, int, int | None]:
    try:
        return data.v1_window(call.query, limits)
    except ValueError as error:
        raise Stop(400, str(error)) from None


def customer(call: Call, subscription: str) -> flask.Response:
    """Twice the same entry: identical ones do occur."""
    need(data.granted(call.holder, terms.RETAIL_CUSTOMER))
    entry = coned_v1.retail_customer(data.account_of(call.sandbox, call.holder))
    return document(coned_v1.feed([entry, entry], coned_v1.CUSTOMER_HEAD))


def _subscription(call: Call) -> str:
    return f"{call.resource}/Subscription/{call.holder['subscription']}"


def usage_points(call: Call, subscription: str) -> flask.Response:
    """Usage points of the account."""
    found = data.services(call.sandbox, call.holder)
    need(found)
    return document(coned_v1.feed([coned_v1.usage_point(_subscription(call), service) for service in found]))


def meter_readings(call: Call, subscription: str, usage_point: str) -> flask.Response:
    """Meter readings of a usage point; none for a customer without data."""
    need(data.granted(call.holder, terms.CONSUMPTION, terms.REAL_TIME))
    service = service_of(call, usage_point)
    found = data.installed(service, data.history(call.sandbox)[1])
    return document(coned_v1.feed([coned_v1.meter_reading(_subscription(call), service, meter) for meter in found]))


def interval_blocks(
    call: Call, subscription: str, usage_point: str, meter_reading: str, block: str = ""
) -> flask.Response:
    """Readings of the days asked for; requests without both days, or longer than about three weeks, fail."""
    need(data.granted(call.holder, terms.CONSUMPTION))
    service = service_of(call, usage_point)
    found = [meter for meter in service.meters if coned_v1.reading_id(meter) == meter_reading]
    need(found, 404)
    start, end, days = _window(call, data.history(call.sandbox))
    if days is None or days > terms.LONGEST_V1_WINDOW:
        raise Stop(400, "Give publishedMin and publishedMax, not more than three weeks apart.")
    return _blocks(call, service, found[0], (start, end), block)


def real_time(call: Call, subscription: str, usage_point: str, meter_reading: str) -> flask.Response:
    """Electricity of the last 24 hours, 45 minutes behind, of meters that read every 5 or 15 minutes."""
    need(data.granted(call.holder, terms.REAL_TIME))
    service = service_of(call, usage_point)
    found = [meter for meter in service.meters if coned_v1.reading_id(meter) == meter_reading]
    need(found and service.kind == "electricity", 404)
    window = data.real_time(call.sandbox) if found[0].length <= 900 else (0, 0)
    return _blocks(call, service, found[0], window, "", tree="/RealTime")


def _blocks(
    call: Call, service: Service, meter: Any, window: tuple[int, int], block: str, *, tree: str = ""
) -> flask.Response:
    quantities = [
        quantity
        for quantity in data.quantities(service, reactive=True)
        if block in ("", coned_v1.block_name(service, quantity, meter.length))
    ]
    need(quantities, 404)
    all_series = [data.series(service, meter, *window, quantity) for quantity in quantities]
    subscription = f"{call.resource}{tree}/Subscription/{call.holder['subscription']}"
    entries = [coned_v1.interval_block(subscription, one) for one in all_series if one.values]
    return document(batch.record(call.sandbox, call.holder, coned_v1.feed(entries), all_series))


def summaries(call: Call, subscription: str, usage_point: str) -> flask.Response:
    """Bills of an electric usage point; one of them with electricPowerUsageSummaryId."""
    need(data.granted(call.holder, terms.BILLING))
    service = service_of(call, usage_point)
    start, end, _ = _window(call, data.history(call.sandbox))
    wanted = call.query.get("electricPowerUsageSummaryId")
    found = data.bills(call.sandbox, call.holder, service, (start, end)) if service.kind == "electricity" else []
    entries = [coned_v1.summary(_subscription(call), service, bill) for bill in found if wanted in (None, bill.number)]
    return document(coned_v1.feed(entries))


def authorization(call: Call, authorization: str) -> flask.Response:
    """An authorization's record."""
    row = authorization_of(call, authorization)
    return document(coned_v1.feed([coned_v2.authorization(call.resource, row, "v1")]))


def usage_batch(call: Call, subscription: str) -> flask.Response:
    """202; the links to the files follow in a notification."""
    start, end, _ = _window(call, data.history(call.sandbox))
    plans = batch.v1_files(call.sandbox, call.holder, (start, end))
    files = [(call.holder["id"], {**plan, "customer": False}) for plan in plans]
    return _accept(call, files)


def bulk(call: Call, bulk_id: str) -> flask.Response:
    """The same for all customers of the third party; each link names its subscription."""
    need(bulk_id == call.registration["data"]["bulk_id"], 404)
    start, end, _ = _window(call, data.history(call.sandbox))
    files = [
        (row["id"], {**plan, "customer": True})
        for row in active(call)
        for plan in batch.v1_files(call.sandbox, row, (start, end))
    ]
    return _accept(call, files)


def _accept(call: Call, files: list[tuple[int, dict[str, Any]]]) -> flask.Response:
    subscriptions = {row["id"]: row["subscription"] for row in active(call)}
    bulk = call.authorization is None

    def url(request: str, response: str, holder: int) -> str:
        owner = f"subscriptionId={subscriptions[holder]}&" if bulk else ""
        return f"{call.resource}/Batch/Download?{owner}requestId={request}&responseId={response}"

    return accept(call, files, url)


def download(call: Call) -> flask.Response:
    """A file, for 48 hours, with the kind of token that asked for it."""
    query, store = call.query, call.sandbox.store
    request = store.get("batches", request=query.get("requestId", ""), registration=call.registration["id"])
    response = store.get("responses", response=query.get("responseId", ""))
    need(request and response and response["batch"] == request["id"], 404)
    if request is None or response is None or response["expires"] <= call.sandbox.now():
        raise Stop(404, "Resource not found")
    need(request["token_kind"] == call.token["kind"] and request["authorization"] == call.token["authorization"])
    holder = coned_token.active(call.sandbox, response["authorization"])
    if holder is None:
        raise Stop(404, "Resource not found")
    plan = response["data"]
    return document(batch.v1_document(call.sandbox, call.resource, holder, plan, customer=plan["customer"]))


RULES = (
    Rule("/Customer/<subscription>", ACCESS, customer),
    Rule(USAGE, ACCESS, usage_points),
    Rule(READING, ACCESS, meter_readings),
    Rule(READING + "/<meter_reading>/IntervalBlock", ACCESS, interval_blocks),
    Rule(READING + "/<meter_reading>/IntervalBlock/<block>", ACCESS, interval_blocks),
    Rule(USAGE + "/<usage_point>/ElectricPowerUsageSummary", ACCESS, summaries),
    Rule("/RealTime" + READING + "/<meter_reading>/IntervalBlock", ACCESS, real_time),
    Rule("/Batch/Subscription/<subscription>", ACCESS, usage_batch),
    Rule("/Batch/Bulk/<bulk_id>", CLIENT, bulk),
    Rule("/Batch/Download", ACCESS + CLIENT, download),
    Rule("/Authorization/<int:authorization>", ACCESS + CLIENT, authorization),
)
