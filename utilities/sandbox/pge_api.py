"""PG&E's resource server: every path of the Supported APIs table, token classes, synchronous and asynchronous calls."""

import json
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import flask

from utilities.sandbox import faults, pge_data, pge_documents, pge_notify, pge_oauth, pge_xml
from utilities.sandbox.pge_oauth import Refused
from utilities.sandbox.state import Row

if TYPE_CHECKING:
    from utilities.sandbox.context import Sandbox

Answer = flask.Response
Handler = Callable[..., Answer]
ESPI = pge_documents.ESPI_PATH
# PG&E's limit is unpublished; clients ask for 28 days or a month, and longer windows are refused.
LONGEST_WINDOW = 31 * 86400 + 3600
BATCH_LIFETIME = 5 * 86400
TEXT, ATOM = "text/plain; charset=utf-8", "application/atom+xml"


class Text(Exception):
    """A refusal PG&E words in plain text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


def add_endpoints(sandbox: "Sandbox", app: flask.Flask) -> None:
    """Route the ESPI paths. Each rule: path, token class, handler, methods."""
    sid, up = "/Subscription/<sid>", "/Subscription/<sid>/UsagePoint/<up>"
    rules: tuple[tuple[str, str, Handler], ...] = (
        ("/DownloadSampleData", "client", sample_data),
        ("/ReadServiceStatus", "client", service_status),
        ("/ApplicationInformation/<uid>", "registration", application_information),
        ("/Authorization", "client", authorization_feed),
        ("/Authorization/<sid>", "client", authorization_entry),
        ("/LocalTimeParameters", "access", local_time_parameters),
        ("/LocalTimeParameters/<uid>", "access", local_time_parameters),
        ("/ReadingType", "access", reading_types),
        ("/ReadingType/<uid>", "access", reading_types),
        (f"{sid}/UsagePoint", "access", usage_points),
        (up, "access", usage_points),
        (f"{up}/MeterReading", "access", meter_readings),
        (f"{up}/MeterReading/<mr>", "access", meter_readings),
        (f"{up}/MeterReading/<mr>/IntervalBlock", "access", interval_blocks),
        (f"{up}/MeterReading/<mr>/IntervalBlock/<int:ib>", "access", interval_blocks),
        (f"{up}/UsageSummary", "access", usage_summaries),
        (f"{up}/UsageSummary/<us>", "access", usage_summaries),
        (f"/Batch{up}", "access", batch_usage_point),
        ("/Batch/Subscription/<sid>", "access", batch_subscription),
        ("/Batch/Bulk/<bulk>", "client", batch_bulk),
        ("/Batch/RetailCustomer/<sid>", "access", batch_customer),
        ("/Batch/RetailDRPrgInfo/<sid>", "access", batch_programmes),
        ("/Batch/BulkRetailCustomerInfo/<bulk>", "client", batch_bulk),
        ("/Batch/BulkRetailDRPrgInfo/<bulk>", "client", batch_bulk),
    )
    for number, (path, kind, handler) in enumerate(rules):
        app.add_url_rule(f"{ESPI}{path}", f"espi{number}", _guarded(sandbox, kind, handler))
    view = _guarded(sandbox, "client", cancel_authorization)
    app.add_url_rule(f"{ESPI}/Authorization/<sid>", "cancel", view, methods=["DELETE"])


def _guarded(sandbox: "Sandbox", kind: str, handler: Handler) -> Handler:
    """Certificate first, then the token and its class, then armed faults, then the handler."""

    def view(**path: Any) -> Answer:
        presented = pge_oauth.presented_certificate()
        if presented is None:
            return pge_oauth.invalid_certificate()
        try:
            token = _bearer(sandbox)
            if not pge_oauth.is_registered_certificate(token["owner"], presented):
                return pge_oauth.invalid_certificate()
            if token["kind"] != kind:
                raise Refused(403, "access_denied", "Invalid access token for this resource")
            return _finished(sandbox, faults.resource_answer(sandbox, "pge") or handler(sandbox, token, **path))
        except Refused as refusal:
            return refusal.answer()
        except Text as refusal:
            return flask.Response(refusal.text, refusal.status, content_type=TEXT)
        except pge_data.BadWindow:
            return flask.Response("Bad Request", 400, content_type=TEXT)

    return view


def _finished(sandbox: "Sandbox", answer: Answer) -> Answer:
    if answer.status_code == 200 and flask.request.method == "GET":
        answer.set_data(faults.truncated(sandbox, "pge", answer.get_data()))
    return answer


def _bearer(sandbox: "Sandbox") -> Row:
    """The token's row with its registration as `owner`; a dead or missing one is 401."""
    scheme, _, value = flask.request.headers.get("Authorization", "").partition(" ")
    row = sandbox.token(value) if scheme.lower() == "bearer" and value else None
    if row is None and scheme.lower() == "bearer" and value:
        owners = sandbox.store.find("registrations", utility="pge")
        owner = next((one for one in owners if one["data"].get("registration_access_token") == value), None)
        row = {"kind": "registration", "authorization": None, "registration": owner["id"]} if owner else None
    owner = sandbox.store.get("registrations", id=row["registration"], utility="pge") if row else None
    if row is None or owner is None:
        raise Refused(401, "invalid_token", "Invalid access token")
    sandbox.note(token_class=row["kind"], authorization=row["authorization"])
    return {**row, "owner": owner}


def _atom(body: str) -> Answer:
    return flask.Response(f'<?xml version="1.0" encoding="UTF-8"?>{body}', 200, content_type=ATOM)


def _feed_or_nothing(sandbox: "Sandbox", writer: pge_documents.Writer, entries: list[str], token: Row) -> Answer:
    """A feed, 204 when there is no data in the window, or an empty feed when that fault is armed."""
    if sandbox.fault("empty_feed", "pge") is not None:
        entries, writer.channels = [], []
    elif not entries:
        return flask.Response("", 204)
    if sandbox.fault("shuffled_entries", "pge") is not None:
        entries = entries[::-1]
    if sandbox.fault("interval_blocks_alone", "pge") is not None:
        entries = [one for one in entries if "<ns0:IntervalBlock " in one]
    answer = _atom(pge_xml.feed(_here(sandbox), entries, writer.now))
    if sandbox.fault("changed_prefixes", "pge") is not None:
        answer.set_data(answer.get_data().replace(b"ns1:", b"a:").replace(b":ns1=", b":a="))
    sandbox.delivered("pge", token["authorization"], len(answer.get_data()), writer.channels)
    return answer


def _here(sandbox: "Sandbox") -> str:
    return sandbox.base("api.pge.com") + flask.request.path


def _writer(sandbox: "Sandbox", now: float | None = None) -> pge_documents.Writer:
    return pge_documents.Writer(pge_notify.root(sandbox), now or sandbox.now())


def grant_of(sandbox: "Sandbox", authorization: Row) -> pge_documents.Grant:
    """What an authorization opens. Raises KeyError when its customer no longer exists."""
    person, data = sandbox.person("pge", authorization["username"]), authorization["data"]
    if person is None:
        raise KeyError(authorization["username"])
    chosen = set(data["services"])
    accounts = tuple(one for one in person.accounts if chosen & {service.id for service in one.services})
    return pge_documents.Grant(
        subscription=authorization["subscription"],
        accounts=accounts,
        person=person,
        services=tuple(service for one in accounts for service in one.services if service.id in chosen),
        groups=frozenset(data["groups"]),
        hourly=data["hourly"],
        history_start=pge_data.history_start(authorization["created"], accounts),
    )


def _grant(sandbox: "Sandbox", token: Row, sid: str) -> pge_documents.Grant:
    """The grant behind a customer token; another subscription's address is not this client's."""
    authorization = sandbox.store.get("authorizations", id=token["authorization"])
    if authorization is None or authorization["subscription"] != sid:
        raise Text(400, "client credentials doesn't match")
    if not pge_oauth.is_alive(sandbox, authorization):
        raise Refused(401, "invalid_token", "Invalid access token")
    return grant_of(sandbox, authorization)


def _service(grant: pge_documents.Grant, up: str) -> Any:
    service = next((one for one in grant.services if one.id == up), None)
    if service is None:
        raise Text(404, "Request failed.")
    return service


def _window(limited: bool = False, now: float = 0) -> pge_data.Window:
    window = pge_data.window(flask.request.args.to_dict())
    length = window.length
    if length is None and window.published_min is not None:
        length = int(now) - window.published_min
    if limited and length is not None and length > LONGEST_WINDOW:
        raise Text(400, "Date Range Too Large")
    return window


def service_status(sandbox: "Sandbox", token: Row) -> Answer:
    status = 0 if sandbox.fault("service_down", "pge") is not None else 1
    return flask.Response(pge_xml.service_status(status), 200, content_type="application/xml")


def sample_data(sandbox: "Sandbox", token: Row) -> Answer:
    """The connectivity test's document: an Atom feed without anybody's data."""
    _milestone(sandbox, token["owner"], "connectivity_test")
    writer = _writer(sandbox)
    types = [writer.reading_type(kind) for kind in pge_xml.READING_TYPES]
    return _atom(pge_xml.feed(_here(sandbox), [writer.local_time_parameters(), *types], writer.now))


def _milestone(sandbox: "Sandbox", owner: Row, name: str) -> None:
    """A test of the registration milestones is passed; PG&E's registration portal shows it."""
    sandbox.store.update("registrations", {"id": owner["id"]}, data={**owner["data"], name: True})


def application_uid(registration: Row) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"sandbox/pge/{registration['client_id']}"))


def application_information(sandbox: "Sandbox", token: Row, uid: str) -> Answer:
    """The third party's own record; some of its addresses date from before 2018, as at PG&E. Secrets are left out."""
    owner, api, root = token["owner"], sandbox.base("api.pge.com"), pge_notify.root(sandbox)
    if uid != application_uid(owner):
        raise Text(400, "client credentials doesn't match")
    data = owner["data"]
    fields = (
        ("dataCustodianId", "PGE"),
        ("dataCustodianApplicationStatus", 2),
        ("thirdPartyApplicationType", 1),
        ("authorizationServerUri", api),
        ("thirdPartyNotifyUri", data.get("notify_uri", "")),
        ("authorizationServerAuthorizationEndpoint", f"{api}/datacustodian/oauth/v2/authorize"),
        ("authorizationServerTokenEndpoint", f"{api}/datacustodian/oauth/v2/token"),
        ("dataCustodianBulkRequestURI", f"{root}/Batch/Bulk/{data['bulk_id']}"),
        ("dataCustodianResourceEndpoint", root),
        ("thirdPartyScopeSelectionScreenURI", data.get("scope_selection_uri", "")),
        ("thirdPartyUserPortalScreenURI", data.get("portal_uri", "")),
        ("client_name", data.get("company", "")),
        ("redirect_uri", owner["redirect_uri"]),
        ("client_id", owner["client_id"]),
        ("client_id_issued_at", int(owner["created"] * 1000)),
        ("client_secret_expires_at", 0),
        ("token_endpoint_auth_method", "client_secret_basic"),
        ("grant_types", "authorization_code"),
        ("grant_types", "client_credentials"),
        ("grant_types", "refresh_token"),
        ("response_types", "code"),
        ("registration_client_uri", f"{root}/ApplicationInformation/{uid}"),
        (
            "dataCustodianScopeSelectionScreenURI",
            f"{sandbox.base('sharemydata.pge.com')}/myAuthorization/?clientId={data['third_party_id']}&verified=true",
        ),
    )
    up = f"{root}/ApplicationInformation"
    content = pge_xml.application_information(fields)
    return _atom(
        pge_xml.entry("DataCustodian Application", (("up", up), ("self", f"{up}/{uid}")), content, sandbox.now())
    )


def _authorization_xml(sandbox: "Sandbox", row: Row) -> str:
    root, created = pge_notify.root(sandbox), int(row["created"])
    ends = int(row["ends"] or 4102444800)
    history = grant_of(sandbox, row).history_start
    scale = 1000 if sandbox.fault("millisecond_periods", "pge") is not None else 1
    tokens = sandbox.store.find("tokens", authorization=row["id"], kind="access", order="id DESC", limit=1)
    content = pge_xml.authorization(
        authorized=(created * scale, (ends - created) * scale),
        published=(history * scale, (ends - history) * scale),
        status=1 if pge_oauth.is_alive(sandbox, row) else 0,
        expires_at=int(tokens[0]["expires"] if tokens else created + pge_oauth.ACCESS_LIFETIME),
        scope=row["scope"],
        resource_uri=f"{root}/Subscription/{row['subscription']}",
        authorization_uri=f"{root}/Authorization/{row['subscription']}",
    )
    href = f"{root}/Authorization/{row['subscription']}"
    return pge_xml.entry("Authorization", (("up", f"{root}/Authorization"), ("self", href)), content, row["updated"])


def _administrative(sandbox: "Sandbox", owner: Row) -> list[str]:
    """The feed's entries that are no customers: the bulk resource and the application record."""
    root, created = pge_notify.root(sandbox), int(owner["created"])
    entries = []
    resources = (f"Batch/Bulk/{owner['data']['bulk_id']}", f"ApplicationInformation/{application_uid(owner)}")
    for number, resource in enumerate(resources, start=1):
        href = f"{root}/Authorization/{owner['data']['third_party_id']}{number}"
        content = pge_xml.authorization(
            authorized=(created, 94608000), published=(created, 94608000), status=1, expires_at=created + 94608000,
            scope="FB=3_13_14_19_32_35_37_38_39_40", resource_uri=f"{root}/{resource}", authorization_uri=href,
        )  # fmt: skip
        entries.append(
            pge_xml.entry("Authorization", (("up", f"{root}/Authorization"), ("self", href)), content, created)
        )
    return entries


def authorization_feed(sandbox: "Sandbox", token: Row) -> Answer:
    rows = sandbox.store.find("authorizations", registration=token["registration"])
    entries = _administrative(sandbox, token["owner"]) + [_authorization_xml(sandbox, row) for row in rows]
    return _atom(pge_xml.feed(_here(sandbox), entries, sandbox.now(), "Green Button Authorization Feed"))


def _authorization(sandbox: "Sandbox", token: Row, sid: str) -> Row:
    row = sandbox.store.get("authorizations", utility="pge", subscription=sid)
    if row is None:
        raise Text(404, "Request failed.")
    if row["registration"] != token["registration"]:
        raise Text(400, "client credentials doesn't match")
    sandbox.note(authorization=row["id"])
    return row


def authorization_entry(sandbox: "Sandbox", token: Row, sid: str) -> Answer:
    return _atom(_authorization_xml(sandbox, _authorization(sandbox, token, sid)))


def cancel_authorization(sandbox: "Sandbox", token: Row, sid: str) -> Answer:
    """Revocation by the third party, irreversible. The success code is undocumented: 200 without a body."""
    row = _authorization(sandbox, token, sid)
    if row["status"] != "active":
        raise Text(404, "Request failed.")
    sandbox.revoke(row["id"])
    return flask.Response("", 200)


def local_time_parameters(sandbox: "Sandbox", token: Row, uid: str = "") -> Answer:
    if uid not in ("", "1"):
        raise Text(404, "Request failed.")
    writer = _writer(sandbox)
    entry = writer.local_time_parameters()
    return _atom(entry if uid else pge_xml.feed(_here(sandbox), [entry], writer.now))


def reading_types(sandbox: "Sandbox", token: Row, uid: str = "") -> Answer:
    writer = _writer(sandbox)
    entries = [writer.reading_type(kind) for kind in pge_xml.READING_TYPES if uid in ("", kind.uid)]
    if not entries:
        raise Text(404, "Request failed.")
    return _atom(entries[0] if uid else pge_xml.feed(_here(sandbox), entries, writer.now))


def usage_points(sandbox: "Sandbox", token: Row, sid: str, up: str = "") -> Answer:
    grant, writer = _grant(sandbox, token, sid), _writer(sandbox)
    if up:
        return _atom(writer.usage_point(grant, _service(grant, up)))
    entries = [writer.usage_point(grant, service) for service in grant.services]
    return _feed_or_nothing(sandbox, writer, entries, token)


def _channel(grant: pge_documents.Grant, up: str, mr: str) -> pge_data.Channel:
    found = pge_data.channels(_service(grant, up), grant.hourly)
    channel = next((one for one in found if one.uid == mr), None)
    if channel is None:
        raise Text(404, "Request failed.")
    return channel


def meter_readings(sandbox: "Sandbox", token: Row, sid: str, up: str, mr: str = "") -> Answer:
    grant, writer = _grant(sandbox, token, sid), _writer(sandbox)
    if mr:
        return _atom(writer.meter_reading(grant, _channel(grant, up, mr)))
    found = pge_data.channels(_service(grant, up), grant.hourly)
    return _feed_or_nothing(sandbox, writer, [writer.meter_reading(grant, one) for one in found], token)


def interval_blocks(sandbox: "Sandbox", token: Row, sid: str, up: str, mr: str, ib: int | None = None) -> Answer:
    grant, writer = _grant(sandbox, token, sid), _writer(sandbox)
    channel = _channel(grant, up, mr)
    window = _window(limited=ib is None, now=writer.now)
    entries = list(writer.blocks(grant, channel, window, ib))
    if ib is None or not entries:
        return _feed_or_nothing(sandbox, writer, entries, token)
    sandbox.delivered("pge", token["authorization"], len(entries[0]), writer.channels)
    return _atom(entries[0])


def usage_summaries(sandbox: "Sandbox", token: Row, sid: str, up: str, us: str = "") -> Answer:
    grant, writer = _grant(sandbox, token, sid), _writer(sandbox)
    service = _service(grant, up)
    found = [bill for bill in writer.bills(grant, service, _window()) if us in ("", bill.uid)]
    entries = [writer.summary(grant, service, bill) for bill in found]
    if us and entries:
        return _atom(entries[0])
    return _feed_or_nothing(sandbox, writer, entries, token)


def batch_usage_point(sandbox: "Sandbox", token: Row, sid: str, up: str) -> Answer:
    """The whole feed of one service agreement, at once."""
    grant, writer = _grant(sandbox, token, sid), _writer(sandbox)
    service = _service(grant, up)
    entries = writer.usage([grant], _window(limited=True, now=writer.now), service.id)
    return _feed_or_nothing(sandbox, writer, entries, token)


def batch_customer(sandbox: "Sandbox", token: Row, sid: str) -> Answer:
    grant, writer = _grant(sandbox, token, sid), _writer(sandbox)
    if not {"Basic", "Account"} & grant.groups:
        raise Refused(403, "access_denied", "The customer did not share this information")
    entries = pge_documents.customer_entries(writer.root, grant, writer.now)
    return _feed_or_nothing(sandbox, writer, entries, token)


def batch_programmes(sandbox: "Sandbox", token: Row, sid: str) -> Answer:
    grant, writer = _grant(sandbox, token, sid), _writer(sandbox)
    if "ProgramEnrollment" not in grant.groups:
        raise Refused(403, "access_denied", "The customer did not share this information")
    entries = pge_documents.programme_entries(writer.root, grant, writer.now)
    return _feed_or_nothing(sandbox, writer, entries, token)


def batch_subscription(sandbox: "Sandbox", token: Row, sid: str) -> Answer:
    """All service agreements of one authorization: 202 now, the file after its notification."""
    grant = _grant(sandbox, token, sid)
    if correlation := flask.request.args.get("correlationID"):
        return _collect(sandbox, token, correlation)
    return _start(sandbox, token, [grant])


def batch_bulk(sandbox: "Sandbox", token: Row, bulk: str) -> Answer:
    """All authorizations of the third party; a wrong bulk id is somebody else's."""
    if bulk != token["owner"]["data"]["bulk_id"]:
        raise Text(400, "client credentials doesn't match")
    if correlation := flask.request.args.get("correlationID"):
        return _collect(sandbox, token, correlation)
    return _start(sandbox, token, _all_grants(sandbox, token["registration"]))


def _all_grants(sandbox: "Sandbox", registration: int) -> list[pge_documents.Grant]:
    rows = sandbox.store.find("authorizations", registration=registration, status="active")
    return [grant_of(sandbox, row) for row in rows if pge_oauth.is_alive(sandbox, row)]


def _start(sandbox: "Sandbox", token: Row, grants: list[pge_documents.Grant]) -> Answer:
    """Begin an asynchronous job: 204 when nothing will come of it, else 202 and later one notification."""
    query = flask.request.args.to_dict()
    pge_data.window(query)
    now = sandbox.now()
    commodities = [kind for kind in ("electricity", "gas") if _has_data(grants, query, kind, now)]
    parts = _parts(commodities, grants)
    if not parts:
        return flask.Response("", 204)
    batch = {**token, "path": flask.request.path, "query": query}
    addresses = make_files(sandbox, batch, parts, now)
    pge_notify.announce(sandbox, token["owner"], addresses, "batch")
    transaction = {"x-transaction": addresses[0].rpartition("=")[2], "x-transaction-id": str(uuid.uuid4())}
    return flask.Response("", 202, transaction)


def _parts(commodities: list[str], grants: list[pge_documents.Grant]) -> list[str]:
    """What the files of a job hold: usage is split by commodity, customer and programme records are one file."""
    path = flask.request.path
    if "BulkRetailCustomerInfo" in path:
        return ["customers"] if any({"Basic", "Account"} & grant.groups for grant in grants) else []
    if "BulkRetailDRPrgInfo" in path:
        return ["programmes"] if any("ProgramEnrollment" in grant.groups for grant in grants) else []
    return commodities


def make_files(sandbox: "Sandbox", batch: Row, parts: list[str], now: float) -> list[str]:
    """Keep a job and its files; returns the addresses to announce, each with a correlationID PG&E minted."""
    number = sandbox.store.insert(
        "batches", request=str(uuid.uuid4()), utility="pge", registration=batch["registration"],
        authorization=batch["authorization"], token_kind=batch["kind"], path=batch["path"],
        query=json.dumps(batch["query"]), status="accepted", created=now, expires=now + BATCH_LIFETIME,
    )  # fmt: skip
    addresses = []
    for part in parts:
        correlation = str(uuid.uuid4())
        sandbox.store.insert(
            "responses", response=correlation, batch=number, authorization=batch["authorization"], created=now,
            expires=now + BATCH_LIFETIME, data={"part": part},
        )  # fmt: skip
        addresses.append(f"{sandbox.base('api.pge.com')}{batch['path']}?correlationID={correlation}")
    return addresses


def _has_data(grants: list[pge_documents.Grant], query: dict[str, str], commodity: str, now: float) -> bool:
    """Whether a file of this commodity would hold anything, without writing it."""
    window, writer = pge_data.window(query), pge_documents.Writer("", now)
    for grant in grants:
        for service in grant.services:
            if service.kind != commodity:
                continue
            if writer.bills(grant, service, window):
                return True
            found = pge_data.channels(service, grant.hourly) if "Usage" in grant.groups else []
            if any(next(pge_data.days(channel, window, grant.history_start, now), None) for channel in found):
                return True
    return False


def _collect(sandbox: "Sandbox", token: Row, correlation: str) -> Answer:
    """The announced file, as it stood when the job was accepted; the address belongs to one client and path."""
    row = sandbox.store.get("responses", response=correlation)
    batch = sandbox.store.get("batches", id=row["batch"]) if row else None
    if row is None or batch is None or batch["path"] != flask.request.path or row["expires"] < sandbox.now():
        raise Text(404, "Request failed.")
    if batch["registration"] != token["registration"] or batch["authorization"] != token["authorization"]:
        raise Text(400, "client credentials doesn't match")
    if sandbox.fault("not_ready_202", "pge") is not None:
        return flask.Response("", 202)
    writer = _writer(sandbox, row["created"])
    grants = _batch_grants(sandbox, token)
    return _feed_or_nothing(
        sandbox, writer, _part(writer, grants, row["data"]["part"], json.loads(batch["query"])), token
    )


def _batch_grants(sandbox: "Sandbox", token: Row) -> list[pge_documents.Grant]:
    if token["authorization"] is None:
        return _all_grants(sandbox, token["registration"])
    authorization = sandbox.store.get("authorizations", id=token["authorization"])
    return [grant_of(sandbox, authorization)] if authorization else []


def _part(
    writer: pge_documents.Writer, grants: list[pge_documents.Grant], part: str, query: dict[str, str]
) -> list[str]:
    if part == "customers":
        shared = [grant for grant in grants if {"Basic", "Account"} & grant.groups]
        return [entry for one in shared for entry in pge_documents.customer_entries(writer.root, one, writer.now)]
    if part == "programmes":
        shared = [grant for grant in grants if "ProgramEnrollment" in grant.groups]
        return [entry for one in shared for entry in pge_documents.programme_entries(writer.root, one, writer.now)]
    return writer.usage(grants, pge_data.window(query), commodity=part)


def send_daily_file(sandbox: "Sandbox", registration: Row) -> int:
    """The opt-in daily subscription: announce the latest day and the last 24 hours' corrections. Number of files."""
    now = sandbox.now()
    query = {"updated-min": pge_xml.instant(now - 86400)[:19] + "Z"}
    grants = _all_grants(sandbox, registration["id"])
    parts = [kind for kind in ("electricity", "gas") if _has_data(grants, query, kind, now)]
    path = f"{ESPI}/Batch/Bulk/{registration['data']['bulk_id']}"
    batch = {"registration": registration["id"], "authorization": None, "kind": "client", "path": path, "query": query}
    if parts:
        pge_notify.announce(sandbox, registration, make_files(sandbox, batch, parts, now), "daily")
    return len(parts)
