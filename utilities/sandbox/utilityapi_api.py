"""The platform's Green Button API: the endpoint index, three token classes, 202 with Retry-After, errors as documented.

Source: https://utilityapi.com/docs/greenbutton/api. All utilities share this resource base.
"""

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import flask

from utilities.sandbox import faults, people
from utilities.sandbox import utilityapi_documents as documents
from utilities.sandbox import utilityapi_events as events
from utilities.sandbox import utilityapi_oauth as oauth
from utilities.sandbox import utilityapi_pages as pages
from utilities.sandbox import utilityapi_utilities as utilities
from utilities.sandbox import utilityapi_xml as xml
from utilities.sandbox.state import Row
from utilities.sandbox.utilityapi_xml import Link

if TYPE_CHECKING:
    from utilities.sandbox.context import Sandbox

Answer = flask.Response
Handler = Callable[..., Answer]
ATOM = "application/atom+xml"
RETRY_AFTER = 1
DOCS = "https://utilityapi.com/docs/greenbutton/api"


class Refused(Exception):
    """An error document: status, slug, description."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status, self.error, self.description = status, error, description

    def answer(self) -> Answer:
        body = {"error": self.error, "error_description": self.description, "url": DOCS}
        return flask.Response(json.dumps(body), self.status, content_type="application/json")


def not_found() -> Refused:
    return Refused(404, "not_found", "This endpoint does not exist or you cannot see it.")


def add_endpoints(sandbox: "Sandbox", app: flask.Flask) -> None:
    """Route the endpoint index. Each rule: path, token class, handler."""
    point = "/Subscription/<uid>/UsagePoint"
    rules: tuple[tuple[str, str, Handler], ...] = (
        ("/ReadServiceStatus", "any", service_status),
        ("/ApplicationInformation/<app_uid>", "registration", application_information),
        ("/Authorization", "client", authorization_feed),
        ("/Authorization/<uid>", "client", authorization_entry),
        ("/Bulk/<bulk>", "client", bulk_feed),
        ("/LocalTimeParameters/<tz_uid>", "access", local_time_parameters),
        ("/ReadingType/<type_uid>", "access", reading_type),
        (point, "access", usage_points),
        (f"{point}/<meter>", "access", usage_points),
        (f"{point}/<meter>/MeterReading", "access", readings),
        (f"{point}/<meter>/MeterReading/<reading>", "access", readings),
        (f"{point}/<meter>/MeterReading/<reading>/IntervalBlock", "access", interval_blocks),
        (f"{point}/<meter>/MeterReading/<reading>/IntervalBlock/<block>", "access", interval_blocks),
        (f"{point}/<meter>/UsageSummary", "access", summaries),
        (f"{point}/<meter>/UsageSummary/<summary>", "access", summaries),
        (f"{point}/<meter>/ElectricPowerQualitySummary", "access", power_quality),
        ("/RetailCustomer/<uid>/<path:rest>", "access", retail_customer),
        ("/Batch/Subscription/<uid>", "access", batch),
        (f"/Batch{point}/<meter>", "access", batch),
        ("/Batch/RetailCustomer/<uid>", "access", batch_customer),
    )
    for number, (path, kind, handler) in enumerate(rules):
        app.add_url_rule(f"{events.RESOURCES}{path}", f"espi{number}", _guarded(sandbox, kind, handler))


def _guarded(sandbox: "Sandbox", kind: str, handler: Handler) -> Handler:
    """The token and its class first (401, then 403), then armed faults, then the handler."""

    def view(**path: str) -> Answer:
        try:
            token = _bearer(sandbox)
            if kind not in ("any", token["kind"]):
                raise Refused(403, "wrong_token_type", "The access token is not the correct type for this endpoint.")
            answer = faults.resource_answer(sandbox, token["utility"]) or handler(sandbox, token, **path)
        except Refused as refusal:
            return refusal.answer()
        except documents.BadParameter as error:
            return Refused(400, "invalid_param", str(error)).answer()
        if answer.status_code == 200:
            answer.set_data(faults.truncated(sandbox, token["utility"], answer.get_data()))
        return answer

    return view


def _bearer(sandbox: "Sandbox") -> Row:
    """The token's row with its registration as `owner`: access and client tokens, or one shown in the settings."""
    scheme, _, value = flask.request.headers.get("Authorization", "").partition(" ")
    row = sandbox.token(value) if scheme.lower() == "bearer" and value else None
    if row is None and scheme.lower() == "bearer" and value:
        row = settings_token(sandbox, value)
    owner = sandbox.store.get("registrations", id=row["registration"]) if row else None
    if row is None or owner is None or owner["utility"] not in utilities.BY_SLUG or row["kind"] == "refresh":
        raise Refused(401, "unauthorized", "The access token is invalid, expired, or missing.")
    sandbox.note(token_class=row["kind"], authorization=row["authorization"], utility=owner["utility"])
    return {**row, "owner": owner, "utility": owner["utility"]}


def settings_token(sandbox: "Sandbox", value: str) -> Row | None:
    """A token that lives in the settings: the registration access token or the JSON API's token."""
    for owner in sandbox.store.find("registrations"):
        for kind, name in (("registration", "registration_access_token"), ("api", "api_token")):
            if owner["utility"] in utilities.BY_SLUG and owner["data"].get(name) == value:
                return {"kind": kind, "authorization": None, "registration": owner["id"]}
    return None


def _xml(body: str) -> Answer:
    return flask.Response(body, 200, content_type=ATOM)


def _entry(body: str) -> Answer:
    return _xml(xml.document(body))


def _here(sandbox: "Sandbox") -> str:
    return sandbox.base(events.PLATFORM_HOST) + flask.request.path


def _feed(sandbox: "Sandbox", kind: str, entries: list[str], prefix: str = "espi") -> Answer:
    return _xml(xml.feed(kind, _here(sandbox), f"{prefix}-feed/{kind}", entries, sandbox.now()))


def _writer(sandbox: "Sandbox") -> documents.Writer:
    return documents.Writer(events.root(sandbox), sandbox.now())


def grant_of(sandbox: "Sandbox", row: Row) -> documents.Grant:
    """What an authorization opens. Raises KeyError when its customer no longer exists."""
    utility = utilities.BY_SLUG[row["utility"]]
    customer = utilities.find(utility, row["account"], sandbox.born)
    if customer is None:
        raise KeyError(row["account"])
    chosen = set(row["data"]["services"])
    return documents.Grant(
        uid=row["subscription"],
        utility=utility,
        customer=customer,
        services=tuple(service for service in customer.account.services if service.id in chosen),
        blocks=frozenset(row["data"]["blocks"]),
        created=int(row["created"]),
        history=row["data"]["history"],
    )


def _grant(sandbox: "Sandbox", token: Row, uid: str) -> documents.Grant:
    """The grant behind an access token: other authorizations cannot be seen with it, and a dead one opens nothing."""
    row = sandbox.store.get("authorizations", id=token["authorization"])
    if row is None or row["subscription"] != uid:
        raise not_found()
    if not oauth.is_alive(sandbox, row):
        raise Refused(401, "unauthorized", "The access token is invalid, expired, or missing.")
    return grant_of(sandbox, row)


def _own_grant(sandbox: "Sandbox", token: Row) -> documents.Grant:
    row = sandbox.store.get("authorizations", id=token["authorization"])
    if row is None:
        raise not_found()
    return _grant(sandbox, token, row["subscription"])


def _service(grant: documents.Grant, meter: str) -> people.Service:
    service = next((one for one in grant.services if one.id == meter), None)
    if service is None:
        raise not_found()
    return service


def service_status(sandbox: "Sandbox", token: Row) -> Answer:
    status = 0 if sandbox.fault("service_down", token["utility"]) is not None else 1
    return flask.Response(xml.service_status(status), 200, content_type="application/xml")


def application_information(sandbox: "Sandbox", token: Row, app_uid: str) -> Answer:
    """The third party's registration; its secrets are in the settings, not here."""
    owner, root = token["owner"], events.root(sandbox)
    utility, data = utilities.BY_SLUG[owner["utility"]], owner["data"]
    if app_uid != data.get("app_uid"):
        raise not_found()
    portal = sandbox.base(utility.portal_host)
    fields = [
        ("dataCustodianId", utility.utility_id),
        ("dataCustodianApplicationStatus", 2 if pages.is_live(owner) else 1),
        ("thirdPartyNotifyUri", data.get("notify_uri")),
        ("authorizationServerAuthorizationEndpoint", f"{portal}/oauth/authorize"),
        ("authorizationServerTokenEndpoint", f"{portal}/oauth/token"),
        ("dataCustodianBulkRequestURI", f"{root}/Bulk/b-{owner['id']}"),
        ("dataCustodianResourceEndpoint", root),
        ("client_name", data.get("company")),
        ("redirect_uri", owner["redirect_uri"]),
        ("client_id", owner["client_id"]),
        ("token_endpoint_auth_method", "client_secret_basic"),
    ]
    up = f"{root}/ApplicationInformation"
    links = [Link("self", f"{up}/{app_uid}", "espi-entry/ApplicationInformation")]
    links.append(Link("up", up, "espi-feed/ApplicationInformation"))
    content = xml.espi("ApplicationInformation", fields)
    return _entry(xml.entry("ApplicationInformation", links, content, owner["created"], owner["created"]))


def authorization_xml(sandbox: "Sandbox", row: Row) -> str:
    """An Authorization entry. Its resource URIs have /Batch/, unlike those of the token response; no content type."""
    root, start = events.root(sandbox), int(row["created"])
    own = f"{root}/Authorization/{row['subscription']}"
    content = xml.authorization(
        start=start,
        duration=int(row["ends"]) - start,
        status=1 if oauth.is_alive(sandbox, row) else 0,
        scope=row["scope"],
        resource=f"{root}/Batch/Subscription/{row['subscription']}",
        own=own,
        customer_resource=f"{root}/Batch/RetailCustomer/{row['subscription']}",
    )
    links = [
        Link("self", own, "espi-entry/Authorization"),
        Link("up", f"{root}/Authorization", "espi-feed/Authorization"),
        Link("related", xml.CERTIFICATE, "text/html"),
    ]
    return xml.entry("Authorization", links, content, row["created"], row["updated"], typed=False)


def authorization_feed(sandbox: "Sandbox", token: Row) -> Answer:
    rows = sandbox.store.find("authorizations", registration=token["registration"])
    return _feed(sandbox, "Authorization", [authorization_xml(sandbox, row) for row in rows])


def authorization_entry(sandbox: "Sandbox", token: Row, uid: str) -> Answer:
    row = sandbox.store.get("authorizations", registration=token["registration"], subscription=uid)
    if row is None:
        raise not_found()
    return _entry(authorization_xml(sandbox, row))


def bulk_feed(sandbox: "Sandbox", token: Row, bulk: str) -> Answer:
    """New authorizations mixed with new bills and readings of several customers; gone after a few days."""
    row = sandbox.store.get("batches", request=bulk, registration=token["registration"])
    if row is None or (row["expires"] is not None and row["expires"] < sandbox.now()):
        raise not_found()
    made, writer = row["created"], _writer(sandbox)
    if row["data"].get("standing"):
        made, since = writer.now, writer.now - 86400
    else:
        since = row["data"]["since"]
    only, entries = row["data"].get("authorizations"), []
    for one in sandbox.store.find("authorizations", registration=token["registration"]):
        if only is not None and one["id"] not in only:
            continue
        if one["updated"] >= since:
            entries.append(authorization_xml(sandbox, one))
        if oauth.is_alive(sandbox, one) and 39 in one["data"]["blocks"]:
            # A consent's own bulk brings the last month; later ones what was added since the last.
            bounds = {"published_min": int(since)} if only else {"updated_min": int(since)}
            entries += writer.news(grant_of(sandbox, one), documents.Window(updated_max=int(made), **bounds))
    answer = _feed(sandbox, "Bulk", entries)
    sandbox.delivered(token["utility"], None, len(answer.get_data()), writer.channels)
    return answer


def local_time_parameters(sandbox: "Sandbox", token: Row, tz_uid: str) -> Answer:
    grant, writer = _own_grant(sandbox, token), _writer(sandbox)
    service = next((one for one in grant.services if tz_uid == f"TIMEZONE_{grant.uid}_{one.id}"), None)
    if service is None:
        raise not_found()
    return _entry(writer.zone(grant, service))


def _block(grant: documents.Grant, service: people.Service, uid: str, now: float) -> documents.Block:
    """The block a MeterReading id names: meter, end, start, unit and direction."""
    match = re.fullmatch(rf"{re.escape(service.id)}-(\d{{1,12}})-(\d{{1,12}})_kwh_(?:1|19)", uid)
    if match is None:
        raise not_found()
    when = documents.Window(published_min=int(match[2]), published_max=int(match[1]))
    found = (one for one in documents.blocks(grant, service, when, now) if one.uid == uid)
    block = next(found, None)
    if block is None:
        raise not_found()
    return block


def reading_type(sandbox: "Sandbox", token: Row, type_uid: str) -> Answer:
    grant, writer = _own_grant(sandbox, token), _writer(sandbox)
    for service in grant.services:
        prefix = f"{grant.uid}_{service.id}_"
        if type_uid.startswith(prefix):
            block = _block(grant, service, type_uid.removeprefix(prefix), writer.now)
            return _entry(writer.reading_type(grant, service, block))
    raise not_found()


def usage_points(sandbox: "Sandbox", token: Row, uid: str, meter: str = "") -> Answer:
    grant, writer = _grant(sandbox, token, uid), _writer(sandbox)
    if meter:
        return _entry(writer.usage_point(grant, _service(grant, meter)))
    return _feed(sandbox, "UsagePoint", [writer.usage_point(grant, service) for service in grant.services])


def readings(sandbox: "Sandbox", token: Row, uid: str, meter: str, reading: str = "") -> Answer:
    grant, writer = _grant(sandbox, token, uid), _writer(sandbox)
    service = _service(grant, meter)
    if reading:
        return _entry(writer.meter_reading(grant, service, _block(grant, service, reading, writer.now)))
    found = documents.blocks(grant, service, documents.Window(), writer.now)
    return _feed(sandbox, "MeterReading", [writer.meter_reading(grant, service, block) for block in found])


def interval_blocks(sandbox: "Sandbox", token: Row, uid: str, meter: str, reading: str, block: str = "") -> Answer:
    grant, writer = _grant(sandbox, token, uid), _writer(sandbox)
    service = _service(grant, meter)
    if block not in ("", "000001"):
        raise not_found()
    entry = writer.interval_block(grant, service, _block(grant, service, reading, writer.now))
    answer = _entry(entry) if block else _feed(sandbox, "IntervalBlock", [entry])
    sandbox.delivered(token["utility"], token["authorization"], len(answer.get_data()), writer.channels)
    return answer


def summaries(sandbox: "Sandbox", token: Row, uid: str, meter: str, summary: str = "") -> Answer:
    grant, writer = _grant(sandbox, token, uid), _writer(sandbox)
    service = _service(grant, meter)
    found = [
        writer.summary(grant, service, added, bill)
        for added, bill in writer.bills(grant, service, documents.Window())
        if summary in ("", f"{service.id}-{bill.start}")
    ]
    if summary and not found:
        raise not_found()
    return _entry(found[0]) if summary else _feed(sandbox, "UsageSummary", found)


def power_quality(sandbox: "Sandbox", token: Row, uid: str, meter: str) -> Answer:
    """No customer of the sandbox has power quality summaries: an empty feed."""
    _service(_grant(sandbox, token, uid), meter)
    return _feed(sandbox, "ElectricPowerQualitySummary", [])


def batch(sandbox: "Sandbox", token: Row, uid: str, meter: str = "") -> Answer:
    """Everything, at once or after 202: the first request for an address starts building, the same one later gets it."""
    grant, writer = _grant(sandbox, token, uid), _writer(sandbox)
    when = documents.window(flask.request.args.to_dict())
    services = (_service(grant, meter),) if meter else grant.services
    if _still_building(sandbox, token, when):
        return flask.Response("", 202, {"Retry-After": str(RETRY_AFTER)})
    empty = sandbox.fault("empty_feed", token["utility"]) is not None
    answer = _feed(sandbox, "Subscription", [] if empty else writer.batch(grant, services, when))
    sandbox.delivered(token["utility"], token["authorization"], len(answer.get_data()), writer.channels)
    return answer


def _still_building(sandbox: "Sandbox", token: Row, when: documents.Window) -> bool:
    """Whether this answer is 202: a long window is built on first request, a changed address starts another build."""
    if sandbox.fault("not_ready_202", token["utility"]) is not None:
        return True
    if when.published_min or when.updated_min:
        return False
    key = {"path": flask.request.path, "query": flask.request.query_string.decode("latin-1")}
    known = sandbox.store.get("batches", utility=token["utility"], authorization=token["authorization"], **key)
    if known is None:
        sandbox.store.insert(
            "batches", utility=token["utility"], authorization=token["authorization"], token_kind="access",  # noqa: S106
            registration=token["registration"], status="building", created=sandbox.now(), **key,
        )  # fmt: skip
    return known is None


def batch_customer(sandbox: "Sandbox", token: Row, uid: str) -> Answer:
    grant = _grant(sandbox, token, uid)
    entries = list(documents.customer_tree(_writer(sandbox), grant).values())
    return _feed(sandbox, "RetailCustomer", entries, "cust")


def retail_customer(sandbox: "Sandbox", token: Row, uid: str, rest: str) -> Answer:
    """Any address of the customer tree: an entry when it ends with a uid, else a feed of what lies right below it."""
    grant, here = _grant(sandbox, token, uid), _here(sandbox)
    tree = documents.customer_tree(_writer(sandbox), grant)
    if here in tree:
        return _entry(tree[here])
    kinds = ("Customer", "CustomerAccount", "CustomerAgreement", "ServiceSupplier", "ProgramDateIdMappings")
    kind = rest.rpartition("/")[2]
    if kind not in (*kinds, "ServiceLocation", "Meter", "EndDevice"):
        raise not_found()
    parent = here.rpartition("/")[0]
    if kind != "Customer" and parent not in tree and tree:
        raise not_found()
    found = [entry for href, entry in tree.items() if href.rpartition("/")[0] == here]
    return _feed(sandbox, kind, found, "cust")


def no_such_endpoint() -> Answer:
    return not_found().answer()
