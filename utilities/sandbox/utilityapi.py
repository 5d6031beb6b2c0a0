"""The UtilityAPI platform: white-label portals of its utilities, and utilityapi.com with the API they share."""

import secrets
import uuid

import flask

from utilities.sandbox import utilityapi_api as api
from utilities.sandbox import utilityapi_events as events
from utilities.sandbox import utilityapi_json as json_api
from utilities.sandbox import utilityapi_oauth as oauth
from utilities.sandbox import utilityapi_pages as pages
from utilities.sandbox import utilityapi_utilities as utilities
from utilities.sandbox.context import Sandbox, platform_app
from utilities.sandbox.registration import kept
from utilities.sandbox.state import Row

Answer = flask.typing.ResponseReturnValue
UTILITIES = {utility.slug: utility.name for utility in utilities.TABLE}
HOSTS = {utility.portal_host: utility.slug for utility in utilities.TABLE} | {events.PLATFORM_HOST: ""}
API_HOSTS = frozenset((events.PLATFORM_HOST,))
TLS_HOSTS: frozenset[str] = frozenset()
# What the look-up asks for, for the sandbox's front page: {slug: ((account, amount, date, about), ...)}.
LOOKUPS = {
    utility.slug: tuple((one.account, one.amount, one.bill_date, one.about) for one in utility.scenarios)
    for utility in utilities.TABLE
}


def make_app(sandbox: Sandbox) -> flask.Flask:
    """One application for all its hosts; a utility's portal answers its own paths only."""
    app = platform_app(sandbox, "utilityapi")
    _add_portals(sandbox, app)
    _add_platform(sandbox, app)
    api.add_endpoints(sandbox, app)
    json_api.add_endpoints(sandbox, app)
    app.before_request(_right_host)
    app.register_error_handler(404, _unknown)
    sandbox.lookups.update(LOOKUPS)
    for utility in utilities.TABLE:
        sandbox.on_notified[utility.slug] = lambda row: events.retry(sandbox, row)
        sandbox.on_revoked[utility.slug] = lambda row: _revoked(sandbox, row)
    register_public_clients(sandbox)
    return app


def _portal() -> utilities.Utility:
    return utilities.BY_HOST[flask.request.environ["sandbox.host"]]


def _add_portals(sandbox: Sandbox, app: flask.Flask) -> None:
    @app.route("/oauth/authorize", methods=["GET", "POST"])
    def authorize() -> Answer:
        return pages.authorize(sandbox, _portal())

    @app.post("/oauth/token")
    def token() -> Answer:
        return oauth.token(sandbox, _portal())

    @app.route("/", methods=["GET", "POST"])
    def manage() -> Answer:
        return pages.manage(sandbox, _portal())


def _add_platform(sandbox: Sandbox, app: flask.Flask) -> None:
    def named(utility: str) -> utilities.Utility:
        found = utilities.BY_SLUG.get(utility.lower())
        if found is None:
            flask.abort(404)
        return found

    @app.route("/DataCustodian/<utility>/oauth/authorize", methods=["GET", "POST"])
    def platform_authorize(utility: str) -> Answer:
        return pages.authorize(sandbox, named(utility))

    @app.post("/DataCustodian/<utility>/oauth/token")
    def platform_token(utility: str) -> Answer:
        return oauth.token(sandbox, named(utility))

    @app.get(pages.DEMO_PATH)
    def demo() -> Answer:
        """Where the public client's customers come back to: it shows what a third party would be told."""
        told = {name: flask.request.args[name] for name in ("code", "state", "error") if name in flask.request.args}
        return flask.render_template("utilityapi/demo.html", told=told)

    @app.route("/settings", methods=["GET", "POST"])
    def settings() -> Answer:
        return pages.settings(sandbox)


def _right_host() -> Answer | None:
    path, host = flask.request.path, flask.request.environ["sandbox.host"]
    if path.startswith("/_sandbox/"):
        return None
    on_portal = path == "/" or path.startswith("/oauth/")
    return None if on_portal == (host != events.PLATFORM_HOST) else _unknown(None)


def _unknown(_error: object) -> Answer:
    if flask.request.path.startswith(("/DataCustodian/espi", "/api/")):
        return api.no_such_endpoint()
    return flask.render_template(
        "utilityapi/message.html", title="Page not found", text="There is no such page here."
    ), 404


def _revoked(sandbox: Sandbox, authorization: Row) -> None:
    registration = sandbox.store.get("registrations", id=authorization["registration"])
    if registration:
        uid = authorization["subscription"]
        events.webhook(sandbox, registration, ["authorization_revoked"], authorization_uid=uid)


def register_public_clients(sandbox: Sandbox) -> None:
    """The clients anybody may try: they stay in Sandbox mode, and their customers come back to the platform's demo page."""
    for utility in utilities.TABLE:
        _register_public_client(sandbox, utility)


def _register_public_client(sandbox: Sandbox, utility: utilities.Utility) -> None:
    if not utility.public_client or sandbox.store.get("registrations", client_id=utility.public_client):
        return
    sandbox.store.insert(
        "registrations", utility=utility.slug, environment="sandbox", edition="", client_id=utility.public_client,
        client_secret=secrets.token_hex(32), redirect_uri=f"https://{events.PLATFORM_HOST}{pages.DEMO_PATH}",
        created=sandbox.now(), data={"company": "Test Company", "mode": "sandbox", "public": True},
    )  # fmt: skip


def welcome(sandbox: Sandbox, registration: Row) -> dict[str, str]:
    """What the third party's settings show. New registrations are in Sandbox mode; the third party flips it itself."""
    utility = utilities.BY_SLUG[registration["utility"]]
    if not registration["client_id"].startswith(f"{utility.utility_id}_"):
        client_id = f"{utility.utility_id}_{secrets.token_hex(8)}"
        sandbox.store.update("registrations", {"id": registration["id"]}, client_id=client_id)
    app_uid = kept(registration, "app_uid", lambda: str(uuid.uuid4()))
    return {
        "registration_access_token": kept(registration, "registration_access_token", lambda: secrets.token_hex(32)),
        "api_token": kept(registration, "api_token", lambda: secrets.token_hex(32)),
        "webhook_secret": kept(registration, "webhook_secret", lambda: secrets.token_hex(32)),
        "app_uid": app_uid,
        "third_party_id": app_uid,
        "bulk_id": f"b-{registration['id']}",
    }
