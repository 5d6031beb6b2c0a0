"""Con Edison's and O&R's web pages: Share My Data, the V1 authorization with its hop to the third party, V2's consent.

Onboarding document (V1) section 2.1; document 4.4 for /en/oauth/authorize.
"""

import secrets
from datetime import date, timedelta
from typing import Any
from urllib.parse import unquote_plus

import flask

from utilities.sandbox import coned_terms as terms
from utilities.sandbox import meters, signin
from utilities.sandbox.context import Sandbox, with_query
from utilities.sandbox.state import Row

Answer = flask.typing.ResponseReturnValue


def add_pages(sandbox: Sandbox, app: flask.Flask) -> None:
    """Routes of the web hosts; the /en prefix is optional for V1."""
    rules = (
        ("/", "home", lambda: flask.redirect(flask.request.script_root + terms.CONNECTIONS), ["GET"]),
        (terms.CONNECTIONS, "connections", lambda: _signed_in(sandbox, _connections), ["GET"]),
        (terms.CONNECTIONS + "/stop", "stop", lambda: _signed_in(sandbox, _stop), ["POST"]),
        (f"{terms.CONNECTIONS}/third-party-authorization", "arrive", lambda: _signed_in(sandbox, _arrive), ["GET"]),
        (f"{terms.CONNECTIONS}/third-party-authorization", "leave", lambda: _signed_in(sandbox, _leave), ["POST"]),
        (
            f"{terms.CONNECTIONS}/third-party-authorization/redirect",
            "back",
            lambda: _signed_in(sandbox, _back),
            ["GET"],
        ),
    )
    for rule, name, view, methods in rules:
        for prefix in ("", "/en"):
            app.add_url_rule(prefix + rule, f"{name}{prefix}", view, methods=methods)
    app.add_url_rule("/en/oauth/authorize", "authorize", lambda: _authorize(sandbox), methods=["GET"])
    app.add_url_rule("/en/oauth/authorize", "decide", lambda: _decide(sandbox), methods=["POST"])


def _signed_in(sandbox: Sandbox, view: Any) -> Answer:
    """Call a view with the utility and the session, after sign-in."""
    slug = terms.WEB_HOSTS[sandbox.host]
    session = signin.session(sandbox, slug)
    return view(sandbox, slug, session) if session else signin.to_sign_in()


def page(sandbox: Sandbox, slug: str, template: str, **values: Any) -> str:
    """A page in the utility's dress."""
    return flask.render_template(f"coned/{template}.html", slug=slug, utility=sandbox.utilities[slug], **values)


def error_page(sandbox: Sandbox, slug: str, why: str, status: int = 400) -> flask.Response:
    """The utility's error page: the customer stays here, the third party hears nothing."""
    return flask.make_response(page(sandbox, slug, "error", why=why), status)


def _third_parties(sandbox: Sandbox, slug: str) -> list[Row]:
    environment = terms.environment(sandbox.host)
    rows = sandbox.store.find("registrations", utility=slug)
    return [row for row in rows if row["environment"] in ("sandbox", environment) and row["data"].get("third_party_id")]


def _third_party(sandbox: Sandbox, slug: str, third_party_id: str) -> Row | None:
    rows = _third_parties(sandbox, slug)
    return next((row for row in rows if row["data"]["third_party_id"] == third_party_id), None)


def _connections(sandbox: Sandbox, slug: str, session: Row, unknown: str = "") -> Answer:
    """Share My Data: the registered third parties, and who receives data now."""
    rows = sandbox.store.find("authorizations", utility=slug, username=session["username"], status="active")
    names = {row["id"]: row["data"]["company"] for row in sandbox.store.find("registrations", utility=slug)}
    shared = [{**row, "company": names.get(row["registration"], "")} for row in rows]
    third_parties = _third_parties(sandbox, slug)
    answer = page(sandbox, slug, "connections", third_parties=third_parties, shared=shared, unknown=unknown)
    return flask.make_response(answer, 404 if unknown else 200)


def _stop(sandbox: Sandbox, slug: str, session: Row) -> Answer:
    number = flask.request.form.get("authorization", 0, type=int)
    row = sandbox.store.get("authorizations", id=number, utility=slug, username=session["username"])
    if row is None:
        return error_page(sandbox, slug, "There is no such connection.", 404)
    sandbox.revoke(row["id"])
    return flask.redirect(flask.request.script_root + terms.CONNECTIONS)


def _arrive(sandbox: Sandbox, slug: str, session: Row) -> Answer:
    """Hop 1: ThirdPartyId is the registration id. A dummy or another id leads to the list to choose from."""
    asked = flask.request.args.get("ThirdPartyId", "")
    third_party = _third_party(sandbox, slug, asked)
    if third_party is None:
        return _connections(sandbox, slug, session, asked or "(none)")
    return _consent_page(sandbox, slug, session, third_party)


def _consent_page(
    sandbox: Sandbox, slug: str, session: Row, third_party: Row, problems: tuple[str, ...] = ()
) -> flask.Response:
    person = sandbox.person(slug, session["username"])
    today = meters.local_day(sandbox.now(), terms.ZONE)
    form = flask.request.form
    answer = page(
        sandbox,
        slug,
        "authorization",
        third_party=third_party,
        person=person,
        problems=problems,
        chosen=form.get("account") or (person.accounts[0].number if person else ""),
        start=form.get("start") or today.isoformat(),
        end=form.get("end") or (today + timedelta(days=365)).isoformat(),
        today=today.isoformat(),
    )
    return flask.make_response(answer, 400 if problems else 200)


def _leave(sandbox: Sandbox, slug: str, session: Row) -> Answer:
    """Hop 2: remember the choice and send the customer to the third party's scope-selection page."""
    form = flask.request.form
    third_party = _third_party(sandbox, slug, form.get("third_party", ""))
    if third_party is None:
        return error_page(sandbox, slug, "The third party is not registered.", 404)
    if form.get("decision") == "cancel":
        return flask.redirect(with_query(third_party["redirect_uri"], error="access_denied"))
    account = sandbox.account(slug, session["username"], form.get("account", ""))
    start, end = _date(form.get("start", "")), _date(form.get("end", ""))
    today = meters.local_day(sandbox.now(), terms.ZONE)
    problems = _problems(account is not None, start, end, today, "terms" in form)
    if problems or account is None or start is None or end is None:
        return _consent_page(sandbox, slug, session, third_party, problems)
    target = third_party["data"].get("scope_selection_uri")
    if not target:
        return error_page(sandbox, slug, "The third party has not told us the address of its scope-selection page.")
    journey = {"registration": third_party["id"], "account": account.number, "start": str(start), "end": str(end)}
    signin.remember(sandbox, session, journey=journey)
    return flask.redirect(
        with_query(
            target, accountid=account.number, startdate=f"{start:%m/%d/%Y}", enddate=f"{end:%m/%d/%Y}",
            DataCustodianID="ConEdison",
        )
    )  # fmt: skip


def _problems(account: bool, start: date | None, end: date | None, today: date, agreed: bool) -> tuple[str, ...]:
    """What is wrong with the form, in words for the customer."""
    checks = (
        (account, "Choose one of your accounts."),
        (start is not None and end is not None, "Give both dates."),
        (start is None or start <= today, "The first day is today or earlier."),
        (end is None or end > today, "The last day is after today."),
        (agreed, "Accept the terms and conditions to go on."),
    )
    return tuple(words for fine, words in checks if not fine)


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def query_parameters(raw: str) -> dict[str, list[str]]:
    """Parameters of a raw query string, decoded once. Both & and ; separate them here, so a bare ; cuts a scope."""
    values: dict[str, list[str]] = {}
    for part in raw.replace(";", "&").split("&"):
        name, _, value = part.partition("=")
        values.setdefault(unquote_plus(name), []).append(unquote_plus(value))
    return values


def _back(sandbox: Sandbox, slug: str, session: Row) -> Answer:
    """Hop 3: the third party sends the customer back with the scope strings chosen there; hop 4 answers with a code."""
    query = query_parameters(flask.request.query_string.decode("latin-1"))
    journey = session["data"].get("journey")
    if not journey:
        return error_page(sandbox, slug, "We do not know which account to share. Start again at Share My Data.")
    third_party = sandbox.store.get("registrations", id=journey["registration"])
    if third_party is None or third_party["edition"] != "v1":
        return error_page(sandbox, slug, "This third party cannot be authorized on this page.")
    try:
        scopes = _check_back(query, third_party, journey)
    except ValueError as error:
        return error_page(sandbox, slug, f"The authorization process failed. {error}")
    signin.remember(sandbox, session, journey=None)
    state = None if sandbox.fault("no_state_echo", slug) is not None else query.get("state", [None])[0]
    if sandbox.fault("decline", slug) is not None:
        return flask.redirect(with_query(third_party["redirect_uri"], error="access_denied", state=state))
    end = meters.local_midnight(date.fromisoformat(journey["end"]) + timedelta(days=1), terms.ZONE)
    start = meters.local_midnight(date.fromisoformat(journey["start"]), terms.ZONE)
    scope = " ".join(scope for scope in terms.V1_SCOPES if scope in scopes)
    code = _code(sandbox, slug, third_party, session["username"], journey["account"], scope, start, end)
    return flask.redirect(with_query(third_party["redirect_uri"], code=code, state=state))


def _check_back(query: dict[str, list[str]], third_party: Row, journey: Row) -> list[str]:
    """The chosen scope strings. What the third party was told at hop 2 must come back as it was told, if it comes.

    Raises ValueError with what is wrong.
    """
    expected = {
        "client_id": third_party["client_id"],
        "redirectUri": third_party["redirect_uri"],
        "accountNumber": journey["account"],
        "response_type": "code",
        "startDate": f"{date.fromisoformat(journey['start']):%m/%d/%Y}",
        "endDate": f"{date.fromisoformat(journey['end']):%m/%d/%Y}",
    }
    for name in ("client_id", "scope"):
        if len(query.get(name, [])) != 1:
            raise ValueError(f"{name} is required, once.")
    for name, value in expected.items():
        if name in query and query[name] != [value]:
            raise ValueError(f"{name} is not what we expect.")
    return terms.v1_scopes(query["scope"][0])


def _code(
    sandbox: Sandbox, slug: str, third_party: Row, username: str, account: str, scope: str, start: float,
    end: float | None, data: Row | None = None,
) -> str:  # fmt: skip
    """Keep what the customer agreed to; a code good once, for a minute."""
    now, code = sandbox.now(), secrets.token_urlsafe(24)
    authorization = sandbox.store.insert(
        "authorizations", utility=slug, edition=third_party["edition"], registration=third_party["id"],
        username=username, account=account, scope=scope, status="pending", starts=start, ends=end, created=now,
        updated=now, accessed=now, data=data or {},
    )  # fmt: skip
    late = sandbox.fault("expired_code", slug) is not None
    sandbox.store.insert(
        "codes", code=code, registration=third_party["id"], authorization=authorization,
        redirect_uri=third_party["redirect_uri"], created=now, expires=now + (-1 if late else terms.CODE_LIFETIME),
    )  # fmt: skip
    return code


def _authorization_request(sandbox: Sandbox, slug: str) -> tuple[Row, terms.V2Scope, str]:
    """(third party, requested scope, state) of a V2 request. Raises ValueError when a parameter is missing or wrong."""
    query = flask.request.args
    for name in ("response_type", "client_id", "redirect_uri", "scope", "state"):
        if len(query.getlist(name)) != 1 or not query[name]:
            raise ValueError(f"{name} is required, once.")
    environment = terms.environment(sandbox.host)
    third_party = sandbox.registration(environment, utility=slug, edition="v2", client_id=query["client_id"])
    if third_party is None:
        raise ValueError("client_id is not known here.")
    if query["redirect_uri"] != third_party["redirect_uri"]:
        raise ValueError("redirect_uri is not the registered one.")
    if query["response_type"] != "code":
        raise ValueError("response_type is code.")
    return third_party, terms.v2_scope(query["scope"], third_party["data"]["third_party_id"]), query["state"]


def _authorize(sandbox: Sandbox) -> Answer:
    """V2: the utility shows what is asked for; the customer can only leave things out."""
    slug = terms.WEB_HOSTS[sandbox.host]
    try:
        third_party, scope, _ = _authorization_request(sandbox, slug)
    except ValueError as error:
        return error_page(sandbox, slug, f"The request of the third party is not valid. {error}")
    session = signin.session(sandbox, slug)
    if session is None:
        return signin.to_sign_in()
    return _v2_page(sandbox, slug, session, third_party, scope)


def _v2_page(
    sandbox: Sandbox, slug: str, session: Row, third_party: Row, scope: terms.V2Scope, problems: tuple[str, ...] = ()
) -> flask.Response:
    person = sandbox.person(slug, session["username"])
    journey = session["data"].get("journey") or {}
    form, choices = flask.request.form, terms.v2_choices(scope)
    answer = page(
        sandbox,
        slug,
        "consent",
        third_party=third_party,
        person=person,
        choices=choices,
        kept=form.getlist("choice") if form else list(choices),
        chosen=form.get("account") or journey.get("account") or (person.accounts[0].number if person else ""),
        duration=form.get("duration", "until_revoked"),
        end=form.get("end", ""),
        problems=problems,
    )
    return flask.make_response(answer, 400 if problems else 200)


def _decide(sandbox: Sandbox) -> Answer:
    """V2: the customer's answer, as a redirect to the registered address."""
    slug = terms.WEB_HOSTS[sandbox.host]
    try:
        third_party, scope, state = _authorization_request(sandbox, slug)
    except ValueError as error:
        return error_page(sandbox, slug, f"The request of the third party is not valid. {error}")
    session = signin.session(sandbox, slug)
    if session is None:
        return signin.to_sign_in()
    echoed = None if sandbox.fault("no_state_echo", slug) is not None else state
    form, target = flask.request.form, third_party["redirect_uri"]
    if form.get("decision") != "authorize" or sandbox.fault("decline", slug) is not None:
        denied = {"error": "access_denied", "error_description": "Customer denied authorization."}
        return flask.redirect(with_query(target, **denied, state=echoed))
    account = sandbox.account(slug, session["username"], form.get("account", ""))
    kept = set(form.getlist("choice")) & set(terms.v2_choices(scope))
    ends, problem = _ends(sandbox.now(), form.get("duration", ""), _date(form.get("end", "")))
    checks = (
        (account, "Choose one of your accounts."),
        (kept, "Leave at least one kind of data."),
        (not problem, problem),
    )
    problems = tuple(words for fine, words in checks if not fine)
    if problems or account is None:
        return _v2_page(sandbox, slug, session, third_party, scope, problems)
    data = {"duration": form["duration"]}
    granted = scope.kept(kept).text()
    code = _code(sandbox, slug, third_party, session["username"], account.number, granted, sandbox.now(), ends, data)
    return flask.redirect(with_query(target, code=code, state=echoed))


def _ends(now: float, duration: str, end: date | None) -> tuple[float | None, str]:
    """(when the authorization ends, or None; what is wrong with the choice, or "")."""
    if duration == "until_revoked":
        return None, ""
    if duration == "one_time":
        return now + terms.ONE_TIME, ""
    if duration == "fixed" and end and end > meters.local_day(now, terms.ZONE):
        return meters.local_midnight(end + timedelta(days=1), terms.ZONE), ""
    return None, "Give a last day after today, or choose another duration."
