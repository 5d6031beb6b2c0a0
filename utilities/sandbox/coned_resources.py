"""The resources of both editions: who may ask for what, and the answers.

401 says no more than that the access token is not good (also when the authorization was revoked, ended or lapsed);
403 that this kind of token, or this authorization, does not reach so far.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import flask

from utilities.sandbox import coned_batch as batch
from utilities.sandbox import coned_data as data
from utilities.sandbox import coned_terms as terms
from utilities.sandbox import coned_token, coned_v1, coned_v2, faults
from utilities.sandbox.context import Sandbox
from utilities.sandbox.people import Service
from utilities.sandbox.state import Row

ATOM, ATOM_SPACE = "application/atom+xml", "http://www.w3.org/2005/Atom"
USAGE = "/Subscription/<subscription>/UsagePoint"
READING = USAGE + "/<usage_point>/MeterReading"
PUBLISHED = frozenset(("published-min", "published-max"))
AUTHORIZATION_FILTERS = frozenset(("publishedMin", "publishedMax", "updatedMin", "updatedMax"))
PAGER = frozenset(("startIndex",))


class Stop(Exception):
    """The request ends here with this answer."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message)
        body = json.dumps({"statusCode": status, "message": message}) if message else ""
        self.response = flask.Response(body, status, content_type="application/json" if message else "text/plain")


@dataclass(frozen=True)
class Call:
    """One request that was let through."""

    sandbox: Sandbox
    token: Row
    registration: Row
    authorization: Row | None
    resource: str  # address of the resource root, in the style the request came in by

    @property
    def holder(self) -> Row:
        """The authorization behind a customer's access token."""
        if self.authorization is None:
            raise Stop(403)
        return self.authorization

    @property
    def query(self) -> dict[str, str]:
        """The query parameters, one value each."""
        return flask.request.args.to_dict()


@dataclass(frozen=True)
class Rule:
    """A resource: path below /resource, kinds of token, the query parameters it knows, and what answers."""

    path: str
    kinds: tuple[str, ...]
    answer: Callable[..., flask.Response]
    query: frozenset[str] = frozenset()
    methods: tuple[str, ...] = ("GET",)


def add_resources(sandbox: Sandbox, app: flask.Flask) -> None:
    """Routes of both editions."""
    for edition, base, rules in (("v1", terms.V1, V1_RULES), ("v2", terms.V2, V2_RULES)):
        for rule in rules:
            name = f"{edition}{'/'.join(rule.methods)}{rule.path}".replace(".", "_")
            view = _view(sandbox, edition, f"{base}/resource", rule)
            address = f"{base}/resource{rule.path}"
            app.add_url_rule(address, name, view, methods=list(rule.methods), provide_automatic_options=False)


def _view(sandbox: Sandbox, edition: str, root: str, rule: Rule) -> Callable[..., flask.Response]:
    def view(**ids: str) -> flask.Response:
        try:
            call = _admit(sandbox, edition, root, rule, ids)
            spoiled = faults.resource_answer(sandbox, call.registration["utility"]) or _not_ready(call)
            return spoiled or _finish(call, edition, rule.answer(call, **ids))
        except Stop as stop:
            return stop.response

    return view


def _admit(sandbox: Sandbox, edition: str, root: str, rule: Rule, ids: dict[str, str]) -> Call:
    """Check subscription key, token, class, authorization and query. Raises Stop."""
    environment = terms.environment(sandbox.host)
    if edition == "v1":
        _check_key(sandbox, None)
    kind, _, value = flask.request.headers.get("Authorization", "").partition(" ")
    token = sandbox.token(value) if kind.lower() == "bearer" else None
    if token is None or token["kind"] == "refresh":
        raise Stop(401)
    sandbox.note(token_class=token["kind"], authorization=token["authorization"], utility=token["utility"])
    registration = sandbox.registration(environment, id=token["registration"], edition=edition)
    if registration is None:
        raise Stop(401)
    if edition == "v1":
        _check_key(sandbox, registration)
    if token["kind"] not in rule.kinds:
        raise Stop(403)
    authorization = coned_token.active(sandbox, token["authorization"]) if token["kind"] == "access" else None
    if token["kind"] == "access":
        if authorization is None:
            raise Stop(401)
        if ids.get("subscription", str(authorization["subscription"])) != str(authorization["subscription"]):
            raise Stop(403)
    if edition == "v2":
        _check_query(rule)
    return Call(sandbox, token, registration, authorization, sandbox.base(sandbox.host) + root)


def _check_key(sandbox: Sandbox, registration: Row | None) -> None:
    """The gateway wants a subscription key it knows, and the one of this third party. Raises Stop."""
    key = flask.request.headers.get("ocp-apim-subscription-key")
    if not key:
        raise Stop(401, coned_token.NO_KEY)
    rows = [registration] if registration else sandbox.store.find("registrations", edition="v1")
    if all(row["data"].get("subscription_key") != key for row in rows):
        raise Stop(401, coned_token.WRONG_KEY)


def _check_query(rule: Rule) -> None:
    """V2 takes the parameters of its Swagger file and no others: camelCase time filters only on Authorization."""
    for name, values in flask.request.args.lists():
        if name not in rule.query or len(values) != 1:
            raise Stop(400, f"{name} is not a parameter of this operation.")


def _not_ready(call: Call) -> flask.Response | None:
    if call.sandbox.fault("not_ready_202", call.registration["utility"]) is None:
        return None
    return flask.Response("", 202)


def _finish(call: Call, edition: str, response: flask.Response) -> flask.Response:
    """V1 sends XML whatever Accept says. V2 prefers JSON unless Atom or XML is asked for."""
    if response.status_code != 200:
        return response
    if edition == "v2" and not any(kind in flask.request.headers.get("Accept", "") for kind in (ATOM, "/xml")):
        return flask.jsonify(_as_json(response.get_data()))
    body = faults.truncated(call.sandbox, call.registration["utility"], response.get_data())
    return flask.Response(body, 200, content_type=ATOM)


def _as_json(body: bytes) -> Row:
    """A document as the Swagger file's Feed model: titles, ids and links; usage has no JSON model there."""
    root = ElementTree.fromstring(body)  # noqa: S314 -- a document of our own making
    entries = [root] if root.tag == f"{{{ATOM_SPACE}}}entry" else root.findall(f"{{{ATOM_SPACE}}}entry")
    return {"Feed": _named(root) | {"Entry": [_named(entry) for entry in entries], "Xmlns": ATOM_SPACE}}


def _named(element: ElementTree.Element) -> Row:
    links = [one.attrib for one in element.findall(f"{{{ATOM_SPACE}}}link")]
    return {
        "Title": {"Type": "text", "Text": element.findtext(f"{{{ATOM_SPACE}}}title", "")},
        "Id": element.findtext(f"{{{ATOM_SPACE}}}id", ""),
        "Updated": element.findtext(f"{{{ATOM_SPACE}}}updated", ""),
        "Link": [{"Href": link["href"], "Rel": link["rel"]} for link in links],
    }


def _xml(body: bytes) -> flask.Response:
    return flask.Response(body, 200, content_type=ATOM)


def _need(condition: object, status: int = 403) -> None:
    """Raises Stop unless the condition holds."""
    if not condition:
        raise Stop(status, "Resource not found" if status == 404 else "")


def _service(call: Call, usage_point: str) -> Service:
    found = [service for service in data.services(call.sandbox, call.holder) if service.id == usage_point]
    _need(found, 404)
    return found[0]


def _window_v2(call: Call, limits: tuple[int, int]) -> tuple[int, int]:
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


# --- V1 ---------------------------------------------------------------------------------------------------------------


def _v1_window(call: Call, limits: tuple[int, int]) -> tuple[int, int, int | None]:
    try:
        return data.v1_window(call.query, limits)
    except ValueError as error:
        raise Stop(400, str(error)) from None


def v1_customer(call: Call, subscription: str) -> flask.Response:
    """Twice the same entry: identical ones do occur."""
    _need(data.granted(call.holder, terms.RETAIL_CUSTOMER))
    entry = coned_v1.retail_customer(data.account_of(call.sandbox, call.holder))
    return _xml(coned_v1.feed([entry, entry], coned_v1.CUSTOMER_HEAD))


def _v1_subscription(call: Call) -> str:
    return f"{call.resource}/Subscription/{call.holder['subscription']}"


def v1_usage_points(call: Call, subscription: str) -> flask.Response:
    """Usage points of the account."""
    found = data.services(call.sandbox, call.holder)
    _need(found)
    return _xml(coned_v1.feed([coned_v1.usage_point(_v1_subscription(call), service) for service in found]))


def v1_meter_readings(call: Call, subscription: str, usage_point: str) -> flask.Response:
    """Meter readings of a usage point; none for a customer without data."""
    _need(data.granted(call.holder, terms.CONSUMPTION, terms.REAL_TIME))
    service = _service(call, usage_point)
    found = data.installed(service, data.history(call.sandbox)[1])
    return _xml(coned_v1.feed([coned_v1.meter_reading(_v1_subscription(call), service, meter) for meter in found]))


def v1_interval_blocks(
    call: Call, subscription: str, usage_point: str, meter_reading: str, block: str = ""
) -> flask.Response:
    """Readings of the days asked for; requests without both days, or longer than about three weeks, fail."""
    _need(data.granted(call.holder, terms.CONSUMPTION))
    service = _service(call, usage_point)
    found = [meter for meter in service.meters if coned_v1.reading_id(meter) == meter_reading]
    _need(found, 404)
    start, end, days = _v1_window(call, data.history(call.sandbox))
    if days is None or days > terms.LONGEST_V1_WINDOW:
        raise Stop(400, "Give publishedMin and publishedMax, not more than three weeks apart.")
    return _v1_blocks(call, service, found[0], (start, end), block)


def v1_real_time(call: Call, subscription: str, usage_point: str, meter_reading: str) -> flask.Response:
    """Electricity of the last 24 hours, 45 minutes behind, of meters that read every 5 or 15 minutes."""
    _need(data.granted(call.holder, terms.REAL_TIME))
    service = _service(call, usage_point)
    found = [meter for meter in service.meters if coned_v1.reading_id(meter) == meter_reading]
    _need(found and service.kind == "electricity", 404)
    window = data.real_time(call.sandbox) if found[0].length <= 900 else (0, 0)
    return _v1_blocks(call, service, found[0], window, "", tree="/RealTime")


def _v1_blocks(
    call: Call, service: Service, meter: Any, window: tuple[int, int], block: str, *, tree: str = ""
) -> flask.Response:
    quantities = [
        quantity
        for quantity in data.quantities(service, reactive=True)
        if block in ("", coned_v1.block_name(service, quantity, meter.length))
    ]
    _need(quantities, 404)
    all_series = [data.series(service, meter, *window, quantity) for quantity in quantities]
    subscription = f"{call.resource}{tree}/Subscription/{call.holder['subscription']}"
    entries = [coned_v1.interval_block(subscription, one) for one in all_series if one.values]
    return _xml(batch.record(call.sandbox, call.holder, coned_v1.feed(entries), all_series))


def v1_summaries(call: Call, subscription: str, usage_point: str) -> flask.Response:
    """Bills of an electric usage point; one of them with electricPowerUsageSummaryId."""
    _need(data.granted(call.holder, terms.BILLING))
    service = _service(call, usage_point)
    start, end, _ = _v1_window(call, data.history(call.sandbox))
    wanted = call.query.get("electricPowerUsageSummaryId")
    found = data.bills(call.sandbox, call.holder, service, (start, end)) if service.kind == "electricity" else []
    entries = [
        coned_v1.summary(_v1_subscription(call), service, bill) for bill in found if wanted in (None, bill.number)
    ]
    return _xml(coned_v1.feed(entries))


def v1_authorization(call: Call, authorization: str) -> flask.Response:
    """An authorization's record."""
    row = _authorization(call, authorization)
    return _xml(coned_v1.feed([coned_v2.authorization(call.resource, row, "v1")]))


def _authorization(call: Call, number: str) -> Row:
    """One of this third party's authorizations; with a customer's token, only its own. Raises Stop."""
    row = call.sandbox.store.get("authorizations", id=number, registration=call.registration["id"])
    if row is None or row["subscription"] is None:
        raise Stop(404, "Resource not found")
    _need(call.authorization is None or call.authorization["id"] == row["id"])
    return row


def v1_batch(call: Call, subscription: str) -> flask.Response:
    """202; the links to the files follow in a notification."""
    start, end, _ = _v1_window(call, data.history(call.sandbox))
    plans = batch.v1_files(call.sandbox, call.holder, (start, end))
    files = [(call.holder["id"], {**plan, "customer": False}) for plan in plans]
    return _v1_accept(call, files)


def v1_bulk(call: Call, bulk_id: str) -> flask.Response:
    """The same for all customers of the third party; each link names its subscription."""
    _need(bulk_id == call.registration["data"]["bulk_id"], 404)
    start, end, _ = _v1_window(call, data.history(call.sandbox))
    files = [
        (row["id"], {**plan, "customer": True})
        for row in _active(call)
        for plan in batch.v1_files(call.sandbox, row, (start, end))
    ]
    return _v1_accept(call, files)


def _active(call: Call) -> list[Row]:
    rows = call.sandbox.store.find("authorizations", registration=call.registration["id"], status="active")
    return [row for row in rows if row["ends"] is None or row["ends"] > call.sandbox.now()]


def _v1_accept(call: Call, files: list[tuple[int, dict[str, Any]]]) -> flask.Response:
    subscriptions = {row["id"]: row["subscription"] for row in _active(call)}
    bulk = call.authorization is None

    def url(request: str, response: str, holder: int) -> str:
        owner = f"subscriptionId={subscriptions[holder]}&" if bulk else ""
        return f"{call.resource}/Batch/Download?{owner}requestId={request}&responseId={response}"

    return _accept(call, files, url)


def _accept(call: Call, files: list[tuple[int, dict[str, Any]]], url: Callable[..., str]) -> flask.Response:
    request = flask.request
    try:
        batch.accept(
            call.sandbox, call.registration, call.authorization, call.token["kind"], request.path,
            request.query_string.decode("latin-1"), files, url,
        )  # fmt: skip
    except batch.Duplicate:
        raise Stop(400, "The same request is still being processed.") from None
    return flask.Response("", 202)


def v1_download(call: Call) -> flask.Response:
    """A file, for 48 hours, with the kind of token that asked for it."""
    query, store = call.query, call.sandbox.store
    request = store.get("batches", request=query.get("requestId", ""), registration=call.registration["id"])
    response = store.get("responses", response=query.get("responseId", ""))
    _need(request and response and response["batch"] == request["id"], 404)
    if request is None or response is None or response["expires"] <= call.sandbox.now():
        raise Stop(404, "Resource not found")
    _need(request["token_kind"] == call.token["kind"] and request["authorization"] == call.token["authorization"])
    holder = coned_token.active(call.sandbox, response["authorization"])
    if holder is None:
        raise Stop(404, "Resource not found")
    plan = response["data"]
    return _xml(batch.v1_document(call.sandbox, call.resource, holder, plan, customer=plan["customer"]))


# --- V2 ---------------------------------------------------------------------------------------------------------------


def _feed(call: Call, title: str, entries: list[str]) -> flask.Response:
    address = call.sandbox.base(call.sandbox.host) + flask.request.path
    return _xml(coned_v2.feed(title, address, call.sandbox.now(), _page(entries)))


def v2_application(call: Call, application: str) -> flask.Response:
    """The third party's own record, with the registration access token."""
    _need(application == call.registration["data"]["third_party_id"], 404)
    site = "www.coned.com" if call.registration["utility"] == "cecony" else "www.oru.com"
    web = call.sandbox.base(site) if flask.request.environ["sandbox.style"] == "path" else f"https://{site}"
    return _xml(coned_v2.lone(coned_v2.application_information(call.resource, web, call.registration)))


def v2_authorizations(call: Call) -> flask.Response:
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


def v2_authorization(call: Call, authorization: str) -> flask.Response:
    """One of them."""
    _lapse(call, _authorization(call, authorization))
    return _xml(coned_v2.lone(coned_v2.authorization(call.resource, _authorization(call, authorization))))


def v2_status(call: Call) -> flask.Response:
    """1: the service is up."""
    content = f'<?xml version="1.0" encoding="UTF-8"?><espi:ServiceStatus {batch.ESPI}>'
    return _xml(f"{content}<espi:currentStatus>1</espi:currentStatus></espi:ServiceStatus>".encode())


def v2_usage_points(call: Call, subscription: str, usage_point: str = "") -> flask.Response:
    """Usage points, or one."""
    found = [_service(call, usage_point)] if usage_point else data.services(call.sandbox, call.holder)
    _need(found)
    number, now = call.holder["subscription"], call.sandbox.now()
    entries = [coned_v2.usage_point(call.resource, number, service, now) for service in found]
    return _xml(coned_v2.lone(entries[0])) if usage_point else _feed(call, "Usage Points", entries)


def v2_meter_readings(call: Call, subscription: str, usage_point: str, meter_reading: str = "") -> flask.Response:
    """Meter readings of a usage point, or one."""
    _need("4" in data.blocks(call.holder))
    service, number = _service(call, usage_point), call.holder["subscription"]
    found = data.installed(service, data.history(call.sandbox)[1])
    if meter_reading:
        found = [meter for meter in found if coned_v2.reading_id(meter) == meter_reading]
        _need(found, 404)
    now = call.sandbox.now()
    entries = [coned_v2.meter_reading(call.resource, number, service, meter, now) for meter in found]
    return _xml(coned_v2.lone(entries[0])) if meter_reading else _feed(call, "Meter Readings", entries)


def _v2_blocks(call: Call, usage_point: str, meter_reading: str, block: str, *, real_time: bool) -> flask.Response:
    _need("4" in data.blocks(call.holder))
    service = _service(call, usage_point)
    found = [meter for meter in service.meters if coned_v2.reading_id(meter, real_time=real_time) == meter_reading]
    _need(found and not (real_time and service.kind == "gas"), 404)
    _need(block in ("", coned_v2.block_id(found[0], real_time=real_time)), 404)
    limits = data.real_time(call.sandbox) if real_time else data.history(call.sandbox, call.holder)
    one = data.series(service, found[0], *_window_v2(call, limits), data.quantities(service, reactive=False)[0])
    now, number = call.sandbox.now(), call.holder["subscription"]
    entries = [coned_v2.interval_block(call.resource, number, one, now, real_time=real_time)] if one.values else []
    _need(entries or not block, 404)
    document = _xml(coned_v2.lone(entries[0])) if block else _feed(call, "Interval Blocks", entries)
    batch.record(call.sandbox, call.holder, document.get_data(), [one])
    return document


def v2_interval_blocks(
    call: Call, subscription: str, usage_point: str, meter_reading: str, block: str = ""
) -> flask.Response:
    """Readings of the window (reading time, UTC)."""
    return _v2_blocks(call, usage_point, meter_reading, block, real_time=False)


def v2_real_time_blocks(
    call: Call, subscription: str, usage_point: str, meter_reading: str, block: str = ""
) -> flask.Response:
    """The last 24 hours, provisional, under ids of their own."""
    return _v2_blocks(call, usage_point, meter_reading, block, real_time=True)


def _types(call: Call, wanted: str, *, real_time: bool) -> flask.Response:
    now, entries = call.sandbox.now(), {}
    for service in data.services(call.sandbox, call.holder):
        for meter in service.meters if not (real_time and service.kind == "gas") else ():
            name = coned_v2.reading_type_id(service, meter, real_time=real_time)
            entries[name] = coned_v2.reading_type(call.resource, service, meter, now, real_time=real_time)
    if wanted:
        _need(wanted in entries, 404)
        return _xml(coned_v2.lone(entries[wanted]))
    return _feed(call, "Reading Types", list(entries.values()))


def v2_reading_types(call: Call, reading_type: str = "") -> flask.Response:
    """Reading types of this subscription."""
    return _types(call, reading_type, real_time=False)


def v2_real_time_types(call: Call, reading_type: str = "") -> flask.Response:
    """Reading types of its real-time tree."""
    return _types(call, reading_type, real_time=True)


def v2_local_time(call: Call, local_time: str = "") -> flask.Response:
    """US Eastern time."""
    _need(local_time in ("", "1"), 404)
    entry = coned_v2.local_time(call.resource, call.sandbox.now())
    return _xml(coned_v2.lone(entry)) if local_time else _feed(call, "Local Time Parameters", [entry])


def v2_summaries(call: Call, subscription: str, usage_point: str) -> flask.Response:
    """Bills; both ends of the window are required."""
    if not set(call.query) >= PUBLISHED:
        raise Stop(400, "published-min and published-max are required.")
    window = _window_v2(call, data.history(call.sandbox, call.holder))
    return _feed(call, "Usage Summaries", list(_summaries(call, usage_point, window).values()))


def v2_summary(call: Call, subscription: str, usage_point: str, summary: str) -> flask.Response:
    """One bill, by POST with an empty body."""
    entries = _summaries(call, usage_point, data.history(call.sandbox, call.holder))
    _need(summary in entries, 404)
    return _xml(coned_v2.lone(entries[summary]))


def _summaries(call: Call, usage_point: str, window: tuple[int, int]) -> dict[str, str]:
    held = data.blocks(call.holder)
    _need("15" in held)
    service, number, now = _service(call, usage_point), call.holder["subscription"], call.sandbox.now()
    return {
        bill.number: coned_v2.summary(call.resource, number, service, bill, now, cost="16" in held)
        for bill in data.bills(call.sandbox, call.holder, service, window)
    }


def _customer_tree(call: Call, authorization: Row) -> dict[str, str]:
    """{address: entry} of what the granted blocks show of a customer. Raises Stop."""
    held = data.blocks(authorization)
    _need("51" in held)
    person = call.sandbox.person(authorization["utility"], authorization["username"])
    account = data.account_of(call.sandbox, authorization)
    _need(person, 404)
    tree = {}
    if person:
        tree = coned_v2.customer_entries(
            call.resource, authorization["subscription"], person, account, call.sandbox.now()
        )
    needed = {"CustomerAccount": "56", "CustomerAgreement": "57", "ServiceLocation": "58", "Meter": "60"}
    return {href: entry for href, entry in tree.items() if needed.get(href.split("/")[-2], "51") in held}


def v2_customer(call: Call, subscription: str) -> flask.Response:
    """The customer; the id is the subscription's."""
    tree = _customer_tree(call, call.holder)
    return _feed(call, "Customer", list(tree.values())[:1])


def v2_customer_batch(call: Call, subscription: str) -> flask.Response:
    """The whole tree at once, synchronously."""
    return _feed(call, "Retail Customer", list(_customer_tree(call, call.holder).values()))


def v2_customer_part(call: Call, subscription: str, rest: str) -> flask.Response:
    """CustomerAccount, and what is below it: the vendor's collection expects 202 from CustomerAgreement down."""
    address = call.sandbox.base(call.sandbox.host) + flask.request.path
    parts = rest.split("/")
    block = {"CustomerAccount": "56", "CustomerAgreement": "57", "ServiceLocation": "58", "Meter": "60"}
    names = ("CustomerAccount", "CustomerAgreement", "ServiceLocation", "Meter")
    _need(tuple(parts[::2]) == names[: len(parts[::2])], 404)
    _need(block[parts[::2][-1]] in data.blocks(call.holder))
    tree = _customer_tree(call, call.holder)
    one = len(parts) % 2 == 0
    found = [
        entry for href, entry in tree.items() if href == address or (not one and href.rpartition("/")[0] == address)
    ]
    _need(found, 404)
    if len(parts) > 2 and not _ready(call):
        return _accept(call, [(call.holder["id"], {})], lambda *_: address)
    return _xml(coned_v2.lone(found[0])) if one else _feed(call, parts[-1], found)


def _ready(call: Call) -> bool:
    """Was this very request announced, within two days? Raises Stop while it is pending."""
    query = flask.request.query_string.decode("latin-1")
    number = call.authorization["id"] if call.authorization else None
    found = batch.find(call.sandbox, call.registration, flask.request.path, query, number)
    if found and batch.pending(call.sandbox, found):
        raise Stop(400, "The same request is still being processed.")
    return found is not None


def _v2_batch(
    call: Call, holders: list[Row], title: str, make: Callable[[Row], tuple[list[str], list[Any]]]
) -> flask.Response:
    """202 the first time; after the notification, the document of these authorizations."""
    if not _ready(call):
        address = call.sandbox.base(call.sandbox.host) + flask.request.full_path.rstrip("?")
        owner = call.authorization or {"id": None}
        return _accept(call, [(owner["id"], {})], lambda *_: address)
    entries: list[str] = []
    for holder in holders:
        fresh, all_series = make(holder)
        entries += fresh
        batch.record(call.sandbox, holder, "".join(fresh).encode(), all_series)
    return _feed(call, title, entries)


def v2_batch(call: Call, subscription: str, usage_point: str = "") -> flask.Response:
    """All usage of a subscription, or of one of its usage points."""
    if call.authorization is None:
        return _v2_from_bulk(call)
    holder = call.holder
    if usage_point:
        _service(call, usage_point)
    window = _window_v2(call, data.history(call.sandbox, holder))
    return _v2_batch(call, [holder], "Batch", lambda row: batch.v2_entries(
        call.sandbox, call.resource, row, window, usage_point=usage_point
    ))  # fmt: skip


def _v2_from_bulk(call: Call) -> flask.Response:
    """With the client's token: only what its bulk request announced one by one. Raises Stop."""
    path, query = flask.request.path, flask.request.query_string.decode("latin-1")
    found = batch.announced(call.sandbox, call.registration, f"{path}?{batch.canonical(query)}")
    holder = coned_token.active(call.sandbox, found["authorization"]) if found else None
    if holder is None:
        raise Stop(403)
    window = _window_v2(call, data.history(call.sandbox, holder))
    entries, all_series = batch.v2_entries(call.sandbox, call.resource, holder, window)
    document = _feed(call, "Batch", entries)
    batch.record(call.sandbox, holder, document.get_data(), all_series)
    return document


def v2_real_time_batch(call: Call, subscription: str, usage_point: str = "") -> flask.Response:
    """The same for the last 24 hours."""
    if usage_point:
        _service(call, usage_point)
    window = _window_v2(call, data.real_time(call.sandbox))
    return _v2_batch(call, [call.holder], "Real Time Batch", lambda row: batch.v2_entries(
        call.sandbox, call.resource, row, window, usage_point=usage_point, real_time=True
    ))  # fmt: skip


def v2_bulk(call: Call, bulk_id: str) -> flask.Response:
    """bulkId gives the usage of all customers, custbulkid their customer data."""
    ids = call.registration["data"]
    _need(bulk_id in (ids["bulk_id"], ids["customer_bulk_id"]), 404)
    if bulk_id == ids["customer_bulk_id"]:
        holders = [row for row in _active(call) if "51" in data.blocks(row)]
        return _v2_batch(call, holders, "Customer Bulk", lambda row: (list(_customer_tree(call, row).values()), []))
    holders = [row for row in _active(call) if data.services(call.sandbox, row)]
    window = _window_v2(call, data.history(call.sandbox))
    if sum(batch.v2_size(call.sandbox, row, window) for row in holders) > terms.BATCH_FILE["v2"]:
        return _v2_one_by_one(call, holders)
    return _v2_batch(
        call, holders, "Bulk", lambda row: batch.v2_entries(call.sandbox, call.resource, row, window)
    )  # fmt: skip


def _v2_one_by_one(call: Call, holders: list[Row]) -> flask.Response:
    """A bulk answer above 200 MB is announced as one address for each subscription."""
    query = batch.canonical(flask.request.query_string.decode("latin-1"))
    root = flask.request.path.partition("/Batch/Bulk/")[0]
    addresses = {row["id"]: f"{root}/Batch/Subscription/{row['subscription']}?{query}" for row in holders}
    files = [(number, {"address": address}) for number, address in addresses.items()]
    base = call.sandbox.base(call.sandbox.host)
    return _accept(call, files, lambda _request, _response, holder: base + addresses[holder].rstrip("?"))


def v2_real_time_bulk(call: Call, bulk_id: str) -> flask.Response:
    """Real-time data of all customers."""
    _need(bulk_id == call.registration["data"]["bulk_id"], 404)
    holders = [row for row in _active(call) if data.services(call.sandbox, row)]
    window = _window_v2(call, data.real_time(call.sandbox))
    return _v2_batch(
        call, holders, "Real Time Bulk",
        lambda row: batch.v2_entries(call.sandbox, call.resource, row, window, real_time=True),
    )  # fmt: skip


ACCESS, CLIENT = ("access",), ("client",)
V1_RULES = (
    Rule("/Customer/<subscription>", ACCESS, v1_customer),
    Rule(USAGE, ACCESS, v1_usage_points),
    Rule(READING, ACCESS, v1_meter_readings),
    Rule(READING + "/<meter_reading>/IntervalBlock", ACCESS, v1_interval_blocks),
    Rule(READING + "/<meter_reading>/IntervalBlock/<block>", ACCESS, v1_interval_blocks),
    Rule(USAGE + "/<usage_point>/ElectricPowerUsageSummary", ACCESS, v1_summaries),
    Rule("/RealTime" + READING + "/<meter_reading>/IntervalBlock", ACCESS, v1_real_time),
    Rule("/Batch/Subscription/<subscription>", ACCESS, v1_batch),
    Rule("/Batch/Bulk/<bulk_id>", CLIENT, v1_bulk),
    Rule("/Batch/Download", ACCESS + CLIENT, v1_download),
    Rule("/Authorization/<int:authorization>", ACCESS + CLIENT, v1_authorization),
)
V2_RULES = (
    Rule("/ApplicationInformation/<application>", ("registration",), v2_application),
    Rule("/Authorization", CLIENT, v2_authorizations, AUTHORIZATION_FILTERS),
    Rule("/Authorization/<int:authorization>", CLIENT, v2_authorization, AUTHORIZATION_FILTERS),
    Rule("/ReadServiceStatus", CLIENT, v2_status),
    Rule(USAGE, ACCESS, v2_usage_points, PAGER),
    Rule(USAGE + "/<usage_point>", ACCESS, v2_usage_points, PAGER),
    Rule(READING, ACCESS, v2_meter_readings, PAGER),
    Rule(READING + "/<meter_reading>", ACCESS, v2_meter_readings, PAGER),
    Rule(READING + "/<meter_reading>/IntervalBlock", ACCESS, v2_interval_blocks, PUBLISHED | PAGER),
    Rule(READING + "/<meter_reading>/IntervalBlock/<block>", ACCESS, v2_interval_blocks, PUBLISHED | PAGER),
    Rule("/ReadingType", ACCESS, v2_reading_types, PAGER),
    Rule("/ReadingType/<reading_type>", ACCESS, v2_reading_types, PAGER),
    Rule("/LocalTimeParameters", ACCESS, v2_local_time, PAGER),
    Rule("/LocalTimeParameters/<local_time>", ACCESS, v2_local_time, PAGER),
    Rule(USAGE + "/<usage_point>/UsageSummary", ACCESS, v2_summaries, PUBLISHED | PAGER),
    Rule(USAGE + "/<usage_point>/UsageSummary/<summary>", ACCESS, v2_summary, methods=("POST",)),
    Rule("/Customer/<subscription>", ACCESS, v2_customer),
    Rule("/Customer/<subscription>/<path:rest>", ACCESS, v2_customer_part),
    Rule("/Batch/Subscription/<subscription>", ACCESS + CLIENT, v2_batch, PUBLISHED),
    Rule("/Batch/Subscription/<subscription>/UsagePoint/<usage_point>", ACCESS, v2_batch, PUBLISHED),
    Rule("/Batch/RetailCustomer/<subscription>", ACCESS, v2_customer_batch),
    Rule("/Batch/Bulk/<bulk_id>", CLIENT, v2_bulk, PUBLISHED),
    Rule("/RealTime/ReadingType", ACCESS, v2_real_time_types, PAGER),
    Rule("/RealTime/ReadingType/<reading_type>", ACCESS, v2_real_time_types, PAGER),
    Rule("/RealTime" + READING + "/<meter_reading>/IntervalBlock", ACCESS, v2_real_time_blocks, PAGER),
    Rule("/RealTime" + READING + "/<meter_reading>/IntervalBlock/<block>", ACCESS, v2_real_time_blocks, PAGER),
    Rule("/RealTime/Batch/Subscription/<subscription>", ACCESS, v2_real_time_batch, PUBLISHED),
    Rule("/RealTime/Batch/Subscription/<subscription>/UsagePoint/<usage_point>", ACCESS, v2_real_time_batch, PUBLISHED),
    Rule("/RealTime/Batch/Bulk/<bulk_id>", CLIENT, v2_real_time_bulk, PUBLISHED),
)
