"""The authorization form that customers of the platform's utilities see, and the third parties' settings.

Source: https://utilityapi.com/docs/greenbutton/oauth and .../scope; look-up by latest bill and test scenarios:
https://utilityapi.com/docs/utilities/essex.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import flask
from werkzeug.datastructures import MultiDict

from utilities.sandbox import meters, signin
from utilities.sandbox import utilityapi_events as events
from utilities.sandbox import utilityapi_oauth as oauth
from utilities.sandbox import utilityapi_scope as scopes
from utilities.sandbox import utilityapi_utilities as utilities
from utilities.sandbox.context import with_query
from utilities.sandbox.state import Row

if TYPE_CHECKING:
    from utilities.sandbox.context import Sandbox

Answer = flask.typing.ResponseReturnValue
DEMO_PATH = "/DataCustodian/thirdparty-demo"
THREE_YEARS, OPEN_ENDED = 3 * 365 * 86400, 30 * 365 * 86400
HISTORY_CHOICES = {63072000: "The last two years", 31536000: "The last year", 0: "Nothing from before today"}
DATA_WORDS = {
    scopes.USAGE: "Usage: how much electricity was used, hour by hour",
    scopes.BILLS: "Bills: billing periods and what they cost",
    scopes.DETAILS: "Customer details: name, address and account number",
}


class BadRequest(Exception):
    """A request that cannot be sent back to a third party: the platform shows the customer a page."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


class Returned(Exception):
    """A request that goes back to the redirect URI with an OAuth error."""

    def __init__(self, error: str, asked: "AuthorizeRequest") -> None:
        super().__init__(error)
        self.error, self.asked = error, asked


class NotFound(Exception):
    """The look-up found nobody; the message is shown on the page."""


class Incomplete(Exception):
    """The customer's form lacks something; the message is shown on the page."""


@dataclass(frozen=True)
class AuthorizeRequest:
    """A good authorize request. `redirect_uri` is None when it was left out: then the customer ends on a receipt."""

    utility: utilities.Utility
    registration: Row
    redirect_uri: str | None
    state: str | None
    scope: scopes.Scope

    @property
    def company(self) -> str:
        return self.registration["data"].get("company") or self.registration["client_id"]

    @property
    def live(self) -> bool:
        return is_live(self.registration)


def is_live(registration: Row) -> bool:
    """Sandbox or Live is a property of the registration alone: new ones are in Sandbox mode, going live is two acts."""
    usual = "live" if registration["environment"] == "production" else "sandbox"
    return registration["data"].get("mode", usual) == "live"


def authorize(sandbox: "Sandbox", utility: utilities.Utility) -> Answer:
    """The authorize endpoint, on the utility's own host or on utilityapi.com."""
    sandbox.note(utility=utility.slug)
    try:
        return _step(sandbox, _read(sandbox, utility, _query()))
    except BadRequest as error:
        page = _message(utility, "This request cannot be processed", str(error))
        return flask.make_response(page, error.status)
    except Returned as error:
        return _return(sandbox, error.asked, error=error.error)


def _query() -> MultiDict[str, str]:
    """The query as the platform's stack reads it: an unencoded semicolon ends a parameter, and so truncates a scope."""
    text = flask.request.query_string.decode("latin-1").replace(";", "&")
    return MultiDict(parse_qsl(text, keep_blank_values=True))


def _message(utility: utilities.Utility, title: str, text: str) -> str:
    return flask.render_template(
        "utilityapi/message.html", utility=utility.name, slug=utility.slug, title=title, text=text
    )


def _read(sandbox: "Sandbox", utility: utilities.Utility, query: MultiDict[str, str]) -> AuthorizeRequest:
    """Check the request: without a known client and a registered address nothing is sent back."""
    if any(len(query.getlist(name)) > 1 for name in query):
        raise BadRequest("A parameter of the request is repeated.")
    registration = sandbox.store.get("registrations", utility=utility.slug, client_id=query.get("client_id", ""))
    if registration is None:
        # Called without parameters the platform answers 401.
        raise BadRequest("The company that sent you here is not registered with this utility.", 401)
    where = query.get("redirect_uri")
    if where is not None and where not in _registered(sandbox, registration):
        raise BadRequest("The address to return to is not one this company registered.")
    asked = AuthorizeRequest(utility, registration, where, query.get("state"), scopes.Scope())
    if query.get("response_type") != "code":
        raise Returned("unsupported_response_type" if query.get("response_type") else "invalid_request", asked)
    try:
        scope = scopes.parse(query["scope"]) if query.get("scope") else scopes.Scope()
    except scopes.InvalidScope as error:
        raise Returned("invalid_scope", asked) from error
    return AuthorizeRequest(utility, registration, where, query.get("state"), scope)


def _registered(sandbox: "Sandbox", registration: Row) -> tuple[str, ...]:
    if registration["data"].get("public"):
        return registration["redirect_uri"], sandbox.base(events.PLATFORM_HOST) + DEMO_PATH
    return (registration["redirect_uri"],)


def _return(sandbox: "Sandbox", asked: AuthorizeRequest, **answer: str) -> Answer:
    """Back to the third party, or to a page of the platform when no redirect URI was given."""
    if asked.redirect_uri is None:
        if "code" in answer:
            return _receipt(asked)
        return _message(asked.utility, "Nothing was shared", "You did not share any data.")
    silent = sandbox.fault("no_state_echo", asked.utility.slug) is not None
    where = with_query(asked.redirect_uri, **answer, state=None if silent else asked.state)
    return flask.Response("", 302, {"Location": where})


def _receipt(asked: AuthorizeRequest) -> str:
    return flask.render_template(
        "utilityapi/receipt.html", utility=asked.utility.name, slug=asked.utility.slug, company=asked.company
    )


def _step(sandbox: "Sandbox", asked: AuthorizeRequest) -> Answer:
    action = flask.request.form.get("action", "") if flask.request.method == "POST" else ""
    if action == "cancel":
        return _declined(sandbox, asked)
    if action in ("lastbill", "test"):
        return _verify(sandbox, asked, action)
    customer = _verified(sandbox, asked)
    if customer is None or action == "again":
        return _identity_page(sandbox, asked)
    if action != "authorize":
        return _consent_page(sandbox, asked, customer)
    try:
        choice = _choice(sandbox, asked, customer)
    except Incomplete as error:
        return flask.make_response(_consent_page(sandbox, asked, customer, str(error)), 422)
    if sandbox.fault("decline", asked.utility.slug) is not None:
        return _declined(sandbox, asked)
    return _authorize(sandbox, asked, customer, choice)


def _declined(sandbox: "Sandbox", asked: AuthorizeRequest) -> Answer:
    events.webhook(sandbox, asked.registration, ["authorization_declined"])
    return _return(sandbox, asked, error="access_denied")


def _preferred(asked: AuthorizeRequest) -> tuple[str, str]:
    """The first way to identify that this utility offers, with its prefilled value."""
    return next(((kind, value) for kind, value in asked.scope.auth if kind in ("lastbill", "test")), ("lastbill", ""))


def _identity_page(sandbox: "Sandbox", asked: AuthorizeRequest, error: str = "") -> str:
    preferred, value = _preferred(asked)
    return flask.render_template(
        "utilityapi/identity.html", utility=asked.utility.name, slug=asked.utility.slug, company=asked.company,
        unknown=value if preferred == "test" and not asked.utility.scenario(value) else "",
        live=asked.live, preferred=preferred, value=value, form=flask.request.form, error=error,
        scenarios=asked.utility.scenarios, customers=_with_bills(sandbox, asked.utility),
        settings=f"{sandbox.base(events.PLATFORM_HOST)}/settings",
    )  # fmt: skip


def _with_bills(sandbox: "Sandbox", utility: utilities.Utility) -> Iterator[tuple[utilities.Customer, tuple[str, str]]]:
    for customer in utilities.customers(utility, sandbox.born):
        bill = utilities.last_bill(utility, customer, sandbox.now())
        if bill and not customer.test:
            yield customer, bill


def _verify(sandbox: "Sandbox", asked: AuthorizeRequest, action: str) -> Answer:
    """Find the customer by latest bill or test scenario. Failing leaves the customer on this page."""
    form = flask.request.form
    try:
        if action == "test":
            customer = _by_scenario(sandbox, asked, form.get("scenario", ""))
        else:
            customer = _by_bill(sandbox, asked, form)
    except NotFound as error:
        return flask.make_response(_identity_page(sandbox, asked, str(error)), 422)
    session = secrets.token_urlsafe(32)
    query = flask.request.query_string.decode("latin-1")
    sandbox.store.insert(
        "sessions", utility=asked.utility.slug, session=session, username=customer.username, created=sandbox.now(),
        data={"account": customer.account.number, "query": query},
    )  # fmt: skip
    answer = flask.Response("", 302, {"Location": f"{flask.request.script_root}{flask.request.path}?{query}"})
    answer.set_cookie(f"sandbox_{asked.utility.slug}", session, httponly=True, samesite="Lax", path="/")
    return answer


def _by_scenario(sandbox: "Sandbox", asked: AuthorizeRequest, name: str) -> utilities.Customer:
    scenario = asked.utility.scenario(name)
    if asked.live or scenario is None:
        # The platform's generic test logins (UAPI_TEST_...) do not work here.
        raise NotFound(f"There is no test account called {name[:60]}.")
    return _test_account(sandbox, asked, scenario.account)


def _test_account(sandbox: "Sandbox", asked: AuthorizeRequest, number: str) -> utilities.Customer:
    customer = utilities.find(asked.utility, number, sandbox.born)
    if customer is None:
        raise NotFound("We could not find that customer.")
    return customer


def _by_bill(sandbox: "Sandbox", asked: AuthorizeRequest, form: MultiDict[str, str]) -> utilities.Customer:
    customer = _test_account(sandbox, asked, form.get("account", "").strip())
    bill = utilities.last_bill(asked.utility, customer, sandbox.now())
    if bill is None or not _same_amount(form.get("amount", ""), bill[0]) or form.get("date", "").strip() != bill[1]:
        raise NotFound("We could not find that customer. Check the account number, date and amount of the latest bill.")
    if not customer.test and not asked.live:
        raise NotFound(f"{asked.company} is still in Sandbox mode and can only ask for data of test accounts.")
    return customer


def _same_amount(given: str, expected: str) -> bool:
    """100, 100.0, 100.00 and $100.00 are the same amount."""
    try:
        return Decimal(given.strip().removeprefix("$").replace(",", "")) == Decimal(expected)
    except InvalidOperation:
        return False


def _verified(sandbox: "Sandbox", asked: AuthorizeRequest) -> utilities.Customer | None:
    """The customer found for this very request; another request asks again."""
    session = signin.session(sandbox, asked.utility.slug)
    if session is None or session["data"].get("query") != flask.request.query_string.decode("latin-1"):
        return None
    return utilities.find(asked.utility, session["data"]["account"], sandbox.born)


@dataclass(frozen=True)
class Choice:
    """What the customer agreed to; `ends` in epoch seconds, `history` in seconds back."""

    blocks: tuple[int, ...]
    services: tuple[str, ...]
    ends: int
    history: int


def _preferred_end(sandbox: "Sandbox", asked: AuthorizeRequest) -> int:
    """Now and three years unless the scope names an end; 0 there means open ended."""
    end = asked.scope.end_date
    if end == 0:
        return int(sandbox.now()) + OPEN_ENDED
    return end if end and end < 2**36 else int(sandbox.now()) + THREE_YEARS


def _consent_page(sandbox: "Sandbox", asked: AuthorizeRequest, customer: utilities.Customer, error: str = "") -> str:
    zone = asked.utility.zone
    choices = {**{asked.scope.history: f"{asked.scope.history // 86400} days back"}, **HISTORY_CHOICES}
    return flask.render_template(
        "utilityapi/consent.html", utility=asked.utility.name, slug=asked.utility.slug, company=asked.company,
        customer=customer, scope=asked.scope, words=DATA_WORDS, error=error, form=flask.request.form,
        again=flask.request.form.get("action") == "authorize", today=meters.local_day(sandbox.now(), zone).isoformat(),
        until=meters.local_day(_preferred_end(sandbox, asked), zone).isoformat(),
        histories={seconds: text for seconds, text in choices.items() if seconds <= asked.scope.history},
    )  # fmt: skip


def _choice(sandbox: "Sandbox", asked: AuthorizeRequest, customer: utilities.Customer) -> Choice:
    """The form as a choice: less than was asked for, never more. Under `noedit` it is what was asked for."""
    everything = tuple(service.id for service in customer.account.services)
    if not asked.scope.editable:
        blocks = tuple(block for block in scopes.HONOURED if asked.scope.wants(block))
        return Choice(blocks, everything, _preferred_end(sandbox, asked), asked.scope.history)
    form = flask.request.form
    ticked = {int(one) for one in form.getlist("data") if one.isdigit()}
    data = tuple(block for block in DATA_WORDS if block in ticked and asked.scope.wants(block))
    if not data:
        raise Incomplete("Choose at least one kind of data, or cancel.")
    services = tuple(one for one in everything if one in form.getlist("meter"))
    if not services:
        raise Incomplete("Choose at least one meter, or cancel.")
    notifications = (scopes.NOTIFICATIONS,) if asked.scope.wants(scopes.NOTIFICATIONS) else ()
    history = form.get("history", asked.scope.history, type=int)
    history = min(history, asked.scope.history) if history >= 0 else asked.scope.history
    return Choice((*data, *notifications), services, _ends(sandbox, asked, form.get("until", "")), history)


def _ends(sandbox: "Sandbox", asked: AuthorizeRequest, text: str) -> int:
    """The end of a day, no later than what was asked for."""
    try:
        day = date.fromisoformat(text) + timedelta(days=1)
        ends = meters.local_midnight(day, asked.utility.zone)
    except (ValueError, OverflowError) as error:
        raise Incomplete("Write the end date as year-month-day.") from error
    if ends <= sandbox.now() + 60:
        raise Incomplete("The end date must be in the future.")
    return min(ends, _preferred_end(sandbox, asked) + 86400)


def _authorize(sandbox: "Sandbox", asked: AuthorizeRequest, customer: utilities.Customer, choice: Choice) -> Answer:
    """Save the authorization (or renew the one this customer has) and go back with a code."""
    length = customer.account.services[0].meter.length
    scope = scopes.granted(choice.blocks, choice.history, asked.scope.frequency, len(choice.services), length)
    row, renewed = _keep(sandbox, asked, customer, choice, scope)
    events.consented(sandbox, asked.registration, row, list(choice.services), renewed=renewed)
    if asked.redirect_uri is None:
        return _receipt(asked)
    code, now = secrets.token_urlsafe(24), sandbox.now()
    lifetime = 0 if sandbox.fault("expired_code", asked.utility.slug) is not None else oauth.CODE_LIFETIME
    sandbox.store.insert(
        "codes", code=code, registration=asked.registration["id"], authorization=row["id"],
        redirect_uri=asked.redirect_uri, created=now, expires=now + lifetime,
    )  # fmt: skip
    return _return(sandbox, asked, code=code)


def _keep(
    sandbox: "Sandbox", asked: AuthorizeRequest, customer: utilities.Customer, choice: Choice, scope: str
) -> tuple[Row, bool]:
    """The saved row and whether it is a renewal. A third party's settings say if renewing keeps the uid."""
    now = sandbox.now()
    data = {"blocks": choice.blocks, "services": choice.services, "history": choice.history}
    what = {"scope": scope, "ends": choice.ends, "updated": now, "data": data}
    same = {"utility": asked.utility.slug, "registration": asked.registration["id"], "account": customer.account.number}
    earlier = sandbox.store.get("authorizations", status="active", **same)
    if earlier and oauth.is_alive(sandbox, earlier) and asked.registration["data"].get("renewal", "same") == "same":
        sandbox.store.update("authorizations", {"id": earlier["id"]}, **what)
        return sandbox.store.get("authorizations", id=earlier["id"]) or earlier, True
    number = sandbox.store.insert(
        "authorizations",
        **same,
        **what,
        edition="",
        username=customer.username,
        status="active",
        starts=now,
        created=now,
    )
    sandbox.store.update("authorizations", {"id": number}, subscription=str(700_000 + number))
    return sandbox.store.get("authorizations", id=number) or {}, False


def manage(sandbox: "Sandbox", utility: utilities.Utility) -> Answer:
    """The customer's own page: what is shared from an account, found by its number, and a way to stop it."""
    sandbox.note(utility=utility.slug)
    number = flask.request.values.get("account", "").strip()
    if flask.request.method == "POST":
        wanted = {"utility": utility.slug, "account": number, "subscription": flask.request.form.get("authorization")}
        row = sandbox.store.get("authorizations", **wanted, status="active")
        if row:
            sandbox.revoke(row["id"])
    rows = sandbox.store.find("authorizations", utility=utility.slug, account=number, order="id DESC") if number else []
    companies = {row["id"]: row["data"].get("company") or row["client_id"] for row in _clients(sandbox, utility.slug)}
    return flask.render_template(
        "utilityapi/manage.html", utility=utility.name, slug=utility.slug, account=number, rows=rows,
        companies=companies, third_parties=_clients(sandbox, utility.slug), scenarios=utility.scenarios,
    )  # fmt: skip


def _clients(sandbox: "Sandbox", slug: str) -> list[Row]:
    return sandbox.store.find("registrations", utility=slug)


def settings(sandbox: "Sandbox") -> Answer:
    """A third party's settings: its exact OAuth addresses, its mode, and switches for what is not published."""
    if flask.request.method == "POST":
        _change_settings(sandbox)
        return flask.redirect(flask.url_for("settings"))
    shown = []
    for utility in utilities.TABLE:
        for row in _clients(sandbox, utility.slug):
            base = f"{sandbox.base(utility.portal_host)}/oauth"
            shown.append(
                {
                    "live": is_live(row),
                    "row": row,
                    "utility": utility,
                    "authorize": f"{base}/authorize",
                    "token": f"{base}/token",
                }
            )
    return flask.render_template("utilityapi/settings.html", shown=shown, rotations=oauth.ROTATIONS)


def _change_settings(sandbox: "Sandbox") -> None:
    form = flask.request.form
    rows = (row for row in sandbox.store.find("registrations") if row["utility"] in utilities.BY_SLUG)
    row = next((row for row in rows if str(row["id"]) == form.get("registration")), None)
    if row is None:
        return
    data = row["data"]
    if form.get("action") == "mode" and not data.get("public"):
        data["mode"] = "sandbox" if is_live(row) else "live"
    elif form.get("action") == "behaviour":
        rotation, renewal = form.get("rotation", ""), form.get("renewal", "")
        data["rotation"] = rotation if rotation in oauth.ROTATIONS else "rotate"
        data["renewal"] = renewal if renewal in ("same", "new") else "same"
    elif form.get("action") == "ping":
        events.webhook(sandbox, row, ["ping"])
    elif form.get("action") == "bulk":
        events.announce(sandbox, row, [events.new_bulk(sandbox, row, sandbox.now() - 2 * 86400)])
    sandbox.store.update("registrations", {"id": row["id"]}, data=data)
