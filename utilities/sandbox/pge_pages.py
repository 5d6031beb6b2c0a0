"""The customers' site of PG&E: authorizing a third party, looking after what is shared, and starting from PG&E's side.

Source: PG&E "Phase 2 Online Customer Authorization: 3rd Party Initiated" flow chart; developer page (Authorization).
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

import flask
from werkzeug.datastructures import MultiDict

from utilities.sandbox import meters, people, pge_api, pge_data, pge_notify, pge_oauth, pge_scope, signin
from utilities.sandbox.context import with_query
from utilities.sandbox.state import Row

if TYPE_CHECKING:
    from utilities.sandbox.context import Sandbox

Answer = flask.typing.ResponseReturnValue
ATTEMPTS = 3
GROUP_WORDS = {
    "Usage": "Usage: how much electricity and gas was used, in intervals and by bill",
    "Billing": "Billing: what the bills cost, line by line",
    "Basic": "Basic: name and service address",
    "Account": "Account: account number, service agreement numbers and meters",
    "ProgramEnrollment": "Programs: which demand response programs the service takes part in",
}


class BadRequest(Exception):
    """A request that cannot be sent back to a third party: PG&E shows the customer a page with status 400."""


class Returned(Exception):
    """A request that goes back to the redirect URI with an OAuth error."""

    def __init__(self, error: str, registration: Row, state: str | None) -> None:
        super().__init__(error)
        self.error, self.registration, self.state = error, registration, state


class Incomplete(Exception):
    """The customer's form lacks something; the message is shown on the page."""


@dataclass(frozen=True)
class AuthorizeRequest:
    """A good authorize request: who asks, what to echo, and the end dates the third party would like."""

    registration: Row
    state: str | None
    guest: bool
    end_dates: Mapping[str, int]


@dataclass(frozen=True)
class Choice:
    """What the customer agreed to; `ends` in epoch seconds, None when it has no end date."""

    services: tuple[people.Service, ...]
    groups: tuple[str, ...]
    hourly: bool
    ends: int | None


def add_pages(sandbox: "Sandbox", app: flask.Flask) -> None:
    """The customer's pages and the registration portal's page for third parties."""

    @app.route("/myAuthorization", methods=["GET", "POST"])
    def my_authorization() -> Answer:
        return _answer(sandbox)

    @app.get("/")
    def share_my_data() -> Answer:
        """Customers may also begin here, and are sent to the third party they choose."""
        return flask.render_template("pge/start.html", third_parties=_third_parties(sandbox))

    @app.post("/go")
    def go() -> Answer:
        return _to_third_party(sandbox, flask.request.form.get("third_party", ""))

    @app.route("/manage", methods=["GET", "POST"])
    def manage() -> Answer:
        return _manage(sandbox)

    @app.route("/registration", methods=["GET", "POST"])
    def registration() -> Answer:
        return _registration_portal(sandbox)


def _answer(sandbox: "Sandbox") -> Answer:
    try:
        asked = _read(sandbox, flask.request.args)
        return _step(sandbox, asked)
    except BadRequest as error:
        page = flask.render_template("pge/message.html", title="We cannot process this request", text=str(error))
        return flask.make_response(page, 400)
    except Returned as error:
        where = error.registration["redirect_uri"]
        return _redirect(with_query(where, error=error.error, state=_state(sandbox, error.state)))


def _redirect(location: str) -> flask.Response:
    return flask.Response("", 302, {"Location": location})


def _state(sandbox: "Sandbox", state: str | None) -> str | None:
    return None if sandbox.fault("no_state_echo", "pge") is not None else state


def _read(sandbox: "Sandbox", query: MultiDict[str, str]) -> AuthorizeRequest:
    """Check an authorize request in PG&E's order: client and redirect URI first, since they decide where errors go."""
    for name in ("client_id", "redirect_uri"):
        if len(query.getlist(name)) != 1 or not query[name]:
            raise BadRequest(f"The request has no {name}.")
    registration = sandbox.registration("production", utility="pge", client_id=query["client_id"])
    if registration is None:
        raise BadRequest("The company that sent you here is not registered with Share My Data.")
    if query["redirect_uri"] != registration["redirect_uri"]:
        raise BadRequest("The address to return to is not the one this company registered.")
    state = query.get("state")
    if query.get("response_type") != "code":
        raise Returned("invalid_request", registration, state)
    try:
        dates = pge_scope.requested_end_dates(query["scope"]) if query.get("scope") else {}
    except pge_scope.InvalidScope as error:
        raise Returned("invalid_request", registration, state) from error
    if any(at <= sandbox.now() for at in dates.values()):
        raise Returned("invalid_request", registration, state)
    return AuthorizeRequest(registration, state, query.get("login") == "guest", dates)


def _step(sandbox: "Sandbox", asked: AuthorizeRequest) -> Answer:
    action = flask.request.form.get("action", "") if flask.request.method == "POST" else ""
    if action == "cancel":
        raise Returned("access_denied", asked.registration, asked.state)
    if action in ("sign-in", "guest"):
        return _sign_in(sandbox, asked, action)
    session = signin.session(sandbox, "pge")
    if session is None or action == "sign-out":
        return _sign_in_page(sandbox, asked)
    person, accounts = _customer(sandbox, session)
    if action != "authorize":
        return _review_page(sandbox, asked, person, accounts)
    try:
        choice = _choice(sandbox, asked, accounts)
    except Incomplete as error:
        return flask.make_response(_review_page(sandbox, asked, person, accounts, str(error)), 422)
    if sandbox.fault("decline", "pge") is not None:
        raise Returned("access_denied", asked.registration, asked.state)
    return _authorize(sandbox, asked, person, choice)


def _sign_in_page(sandbox: "Sandbox", asked: AuthorizeRequest, error: str = "", attempts: int = 0) -> str:
    return flask.render_template(
        "pge/sign_in.html", company=_company(asked.registration), guest=asked.guest, error=error, attempts=attempts,
        password=people.PASSWORD, people=people.people("pge", sandbox.born),
    )  # fmt: skip


def _company(registration: Row) -> str:
    return registration["data"].get("company") or "A registered third party"


def _sign_in(sandbox: "Sandbox", asked: AuthorizeRequest, action: str) -> Answer:
    """Sign in with a PG&E login, or as a guest with account number and ZIP code. The third failure ends the request."""
    form = flask.request.form
    if action == "guest":
        username, account = _guest(sandbox, form.get("account", ""), form.get("postal_code", ""))
    else:
        person = sandbox.person("pge", form.get("username", ""))
        good = person is not None and form.get("password") == people.PASSWORD
        username, account = (person.username if person and good else ""), ""
    if username:
        return _signed_in(sandbox, username, account)
    attempts = form.get("attempts", 0, type=int) + 1
    if attempts >= ATTEMPTS:
        raise Returned("access_denied", asked.registration, asked.state)
    words = "account number and ZIP code" if action == "guest" else "e-mail address and password"
    left = ATTEMPTS - attempts
    error = f"That {words} do not belong together. You can try {left} more time{'s' if left > 1 else ''}."
    return flask.make_response(_sign_in_page(sandbox, asked, error, attempts), 401)


def _guest(sandbox: "Sandbox", account: str, postal_code: str) -> tuple[str, str]:
    wanted = account.replace("-", "").replace(" ", "")
    for person in people.people("pge", sandbox.born):
        for one in person.accounts:
            if one.number == wanted and one.postal_code == postal_code.strip():
                return person.username, one.number
    return "", ""


def _signed_in(sandbox: "Sandbox", username: str, guest_account: str) -> Answer:
    session = secrets.token_urlsafe(32)
    data = {"guest": guest_account} if guest_account else {}
    sandbox.store.insert(
        "sessions", utility="pge", session=session, username=username, created=sandbox.now(), data=data
    )
    query = flask.request.query_string.decode("latin-1")
    answer = _redirect(f"{flask.request.script_root}{flask.request.path}?{query}")
    answer.set_cookie("sandbox_pge", session, httponly=True, samesite="Lax", path="/")
    return answer


def _customer(sandbox: "Sandbox", session: Row) -> tuple[people.Person, tuple[people.Account, ...]]:
    """The signed-in customer and the accounts to choose from: a guest has shown to own one only."""
    person = sandbox.person("pge", session["username"])
    if person is None:
        raise BadRequest("This customer no longer exists in the sandbox.")
    guest = session["data"].get("guest")
    return person, tuple(one for one in person.accounts if guest in (None, one.number))


def _review_page(
    sandbox: "Sandbox",
    asked: AuthorizeRequest,
    person: people.Person,
    accounts: tuple[people.Account, ...],
    error: str = "",
) -> str:
    today = meters.local_day(sandbox.now(), pge_data.ZONE)
    wished = asked.end_dates.get("PreferredAuthEndDate") or asked.end_dates.get("MinAuthEndDate")
    until = meters.local_day(wished, pge_data.ZONE) if wished and wished < 2**37 else today + timedelta(days=365)
    form = flask.request.form
    return flask.render_template(
        "pge/review.html", company=_company(asked.registration), person=person, accounts=accounts, error=error,
        groups=GROUP_WORDS, until=form.get("until") or until.isoformat(), today=today.isoformat(), form=form,
        again=flask.request.method == "POST", minimum=_minimum(asked),
    )  # fmt: skip


def _minimum(asked: AuthorizeRequest) -> date | None:
    wished = asked.end_dates.get("MinAuthEndDate")
    return meters.local_day(wished, pge_data.ZONE) if wished and wished < 2**37 else None


def _choice(sandbox: "Sandbox", asked: AuthorizeRequest, accounts: tuple[people.Account, ...]) -> Choice:
    """The customer's form as a choice; Incomplete, in plain words, when something is missing."""
    form = flask.request.form
    chosen, groups = set(form.getlist("service")), tuple(one for one in GROUP_WORDS if one in form.getlist("group"))
    services = tuple(service for one in accounts for service in one.services if service.id in chosen)
    if not services:
        raise Incomplete("Choose at least one service agreement.")
    if not groups:
        raise Incomplete("Choose at least one kind of data.")
    ends = None if form.get("period") == "indefinite" else _ends(sandbox, form.get("until", ""))
    if ends is not None and ends < asked.end_dates.get("MinAuthEndDate", 0):
        raise Incomplete("This company asks for a later end date. Choose a later date, or cancel.")
    if not form.get("terms"):
        raise Incomplete("Tick the box to accept the terms, or cancel.")
    return Choice(services, groups, form.get("interval") == "3600", ends)


def _ends(sandbox: "Sandbox", text: str) -> int:
    """The last second of a day written as 2026-12-31."""
    try:
        day = date.fromisoformat(text)
        ends = meters.local_midnight(day + timedelta(days=1), pge_data.ZONE) - 1
    except (ValueError, OverflowError) as error:
        raise Incomplete("Write the end date as year-month-day.") from error
    if ends <= sandbox.now():
        raise Incomplete("The end date must be in the future.")
    return ends


def scope_of(choice: Choice, registration: Row, *, offline: bool = False) -> str:
    """The granted scope in PG&E's words."""
    durations = {channel.kind.length for one in choice.services for channel in pge_data.channels(one, choice.hourly)}
    kinds = {service.kind for service in choice.services}
    scope = pge_scope.granted(
        choice.groups, durations, electric="electricity" in kinds, gas="gas" in kinds, accounts=len(choice.services),
        third_party=registration["data"]["third_party_id"],
    )  # fmt: skip
    return scope.replace(";", "_40;", 1) if offline else scope


def keep(sandbox: "Sandbox", registration: Row, person: people.Person, choice: Choice, scope: str) -> int:
    """Save an authorization; its number is subscription and retail customer number as well."""
    now = sandbox.now()
    data = {"groups": choice.groups, "services": [one.id for one in choice.services], "hourly": choice.hourly}
    number = sandbox.store.insert(
        "authorizations", utility="pge", edition="", registration=registration["id"], username=person.username,
        account=person.accounts[0].number, scope=scope, status="active", starts=now, ends=choice.ends, created=now,
        updated=now, data=data,
    )  # fmt: skip
    sandbox.store.update("authorizations", {"id": number}, subscription=str(4_000_000 + number))
    return number


def _authorize(sandbox: "Sandbox", asked: AuthorizeRequest, person: people.Person, choice: Choice) -> Answer:
    """Save the authorization and return to the third party: the scope already says what was granted, unescaped."""
    scope = scope_of(choice, asked.registration)
    number = keep(sandbox, asked.registration, person, choice, scope)
    code = pge_oauth.issue_code(sandbox, asked.registration, number, {})
    where = with_query(asked.registration["redirect_uri"], code=code)
    escaped = sandbox.fault("callback_scope_escaped", "pge") is not None
    where += "&scope=" + (quote(scope, safe="") if escaped else scope)
    if (state := _state(sandbox, asked.state)) is not None:
        where += "&state=" + quote(state, safe="")
    return _redirect(where)


def _third_parties(sandbox: "Sandbox") -> list[Row]:
    rows = sandbox.store.find("registrations", utility="pge")
    return [{**row["data"], "company": _company(row), "id": row["id"]} for row in rows]


def _to_third_party(sandbox: "Sandbox", third_party: str) -> Answer:
    """To the Third-Party Portal URI, with the dummy scope and ThirdPartyID that PG&E's OAuth test also sends."""
    for row in sandbox.store.find("registrations", utility="pge"):
        if row["data"].get("third_party_id") == third_party and row["data"].get("portal_uri"):
            return _redirect(with_query(row["data"]["portal_uri"], scope="xxx", ThirdPartyID=third_party))
    page = flask.render_template("pge/message.html", title="Company not found", text="Choose a company from the list.")
    return flask.make_response(page, 404)


def _manage(sandbox: "Sandbox") -> Answer:
    """What the signed-in customer shares; changing or stopping it here notifies the third party."""
    session = signin.session(sandbox, "pge")
    if session is None:
        return signin.to_sign_in()
    if flask.request.method == "POST":
        _change(sandbox, session["username"])
        return _redirect(flask.url_for("manage"))
    rows = sandbox.store.find("authorizations", utility="pge", username=session["username"], order="id DESC")
    companies = {row["id"]: _company(row) for row in sandbox.store.find("registrations", utility="pge")}
    return flask.render_template(
        "pge/manage.html", rows=rows, companies=companies, groups=GROUP_WORDS, person=session["username"]
    )


def _change(sandbox: "Sandbox", username: str) -> None:
    form = flask.request.form
    row = sandbox.store.get("authorizations", utility="pge", username=username, subscription=form.get("subscription"))
    if row is None or row["status"] != "active":
        return
    groups = tuple(one for one in GROUP_WORDS if one in form.getlist("group"))
    if form.get("action") == "stop":
        sandbox.revoke(row["id"])
    elif groups:
        grant = pge_api.grant_of(sandbox, row)
        registration = sandbox.store.get("registrations", id=row["registration"]) or {}
        scope = scope_of(Choice(grant.services, groups, grant.hourly, row["ends"]), registration)
        data = {**row["data"], "groups": groups}
        sandbox.store.update("authorizations", {"id": row["id"]}, data=data, scope=scope, updated=sandbox.now())
        pge_notify.authorization_changed(sandbox, row)


def _registration_portal(sandbox: "Sandbox") -> Answer:
    """For the third party's staff: the OAuth test, the daily file, and an authorization made on paper."""
    form, note = flask.request.form, ""
    rows = sandbox.store.find("registrations", utility="pge")
    registration = next((row for row in rows if str(row["id"]) == form.get("registration")), None)
    if registration and form.get("action") == "oauth-test":
        return _to_third_party(sandbox, registration["data"]["third_party_id"])
    if registration and form.get("action") == "daily":
        files = pge_api.send_daily_file(sandbox, registration)
        note = f"{files} daily files are announced." if files else "There is nothing new to announce."
    if registration and form.get("action") == "offline":
        note = _offline(sandbox, registration, form.get("username", ""))
    return flask.render_template(
        "pge/registration.html", third_parties=_third_parties(sandbox), note=note,
        customers=people.people("pge", sandbox.born),
    )  # fmt: skip


def _offline(sandbox: "Sandbox", registration: Row, username: str) -> str:
    """An authorization on paper: no browser, no code, hence no customer token; feed, notification and bulk files only."""
    person = sandbox.person("pge", username)
    if person is None:
        return "Choose a customer."
    services = tuple(service for one in person.accounts for service in one.services)
    choice = Choice(services, ("Usage", "Billing"), False, None)
    number = keep(sandbox, registration, person, choice, scope_of(choice, registration, offline=True))
    row = sandbox.store.get("authorizations", id=number)
    if row:
        pge_notify.authorization_changed(sandbox, row)
    return f"The paper authorization of {person.name} is entered."
