"""Utility: everything a utility says about itself, with the standard's answer as the default."""

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import ClassVar
from urllib.parse import quote, unquote, urlencode, urlsplit
from zoneinfo import ZoneInfo

import requests
from django.conf import settings

from espi import client, customer_resources, session
from espi.dialect import ELECTRIC_WORDS, Dialect, Unit
from espi.models import ApplicationInformation, Authorization
from espi.scope import Scope
from utilities import oauth
from utilities.addresses import URL_FIELDS, Addresses, as_sent, require_within, sandboxed
from utilities.oauth import Credentials, Endpoint, Grant, TokenDialect, UntrustedAddress

Environment = ApplicationInformation.Environment
DAILY, WEEKLY, EVERY_FOUR_WEEKS = timedelta(days=1), timedelta(days=7), timedelta(days=28)
BULK, BULK_CUSTOMERS = "bulk", "bulk customers"  # parts of a plan that ask once for all connections
HISTORY_DAYS = 730
HISTORY_SECONDS = HISTORY_DAYS * 24 * 3600  # 63072000, the two years every one of these utilities offers
URL_WORDS = {
    "authorize_url": "an authorize address at a host of this utility",
    "token_url": "a token address at a host of this utility",
    "resource_base": "a resource address at a host of this utility",
}


class UnknownChoice(ValueError):
    """An id that is not in the utility's catalogue, or too many or too few of them."""


class RevocationRefused(session.NeedsAttention):
    """The utility offers no call to end an authorization, or did not accept ours."""


@dataclass(frozen=True)
class DataChoice:
    """One kind of data a customer may share, in words for him.

    `kinds`: the ESPI resources that belong to it.
    """

    id: str
    name: str
    content: str
    example: str
    history: str
    frequency: str
    why: str
    kinds: frozenset[str]


@dataclass(frozen=True)
class PostalArea:
    """Beginnings of ZIP or postal codes of one kind. `is_usual`: most homes there are this utility's; `words` what else to know."""

    starts: tuple[str, ...]
    is_usual: bool = True
    words: str = ""


@dataclass(frozen=True)
class AuthorizationParameters:
    """What goes along with a customer who leaves for the utility. Dates are the utility's local days."""

    scope: str
    state: str
    redirect_uri: str
    account_number: str = ""
    start_date: date | None = None
    end_date: date | None = None
    code_challenge: str = ""


@dataclass(frozen=True)
class Regulator:
    """Who hears a customer who complains about his utility, or about us; the telephone number as people dial it."""

    name: str
    address: str
    telephone: str

    def __str__(self) -> str:
        return f"{self.name}, {self.telephone}, {self.address}"


@dataclass(frozen=True)
class Budget:
    """At most `calls` calls in any `seconds` in a row, or, with `resets_at`, from that time of the local day to the next.

    `tokens_only`: of requests for tokens alone. `time_zone`: in which `resets_at` is told.
    """

    calls: int
    seconds: float
    tokens_only: bool = False
    resets_at: time | None = None
    time_zone: str = "UTC"

    def counts_from(self, now: datetime) -> datetime:
        """Calls after this instant count now."""
        if self.resets_at is None:
            return now - timedelta(seconds=self.seconds)
        local = now.astimezone(ZoneInfo(self.time_zone))
        reset = datetime.combine(local.date(), self.resets_at, local.tzinfo)
        day_before = datetime.combine(local.date() - timedelta(days=1), self.resets_at, local.tzinfo)
        return (reset if reset <= local else day_before).astimezone(UTC)

    def free_after(self, call: datetime) -> datetime:
        """When this call counts no more."""
        if self.resets_at is None:
            return call + timedelta(seconds=self.seconds)
        local = call.astimezone(ZoneInfo(self.time_zone))
        reset = datetime.combine(local.date(), self.resets_at, local.tzinfo)
        day_after = datetime.combine(local.date() + timedelta(days=1), self.resets_at, local.tzinfo)
        return (reset if reset > local else day_after).astimezone(UTC)


@dataclass(frozen=True)
class PlannedRequest:
    """A request to make. `kind` and `token_class` as in FetchJob; the window is aware UTC, its end exclusive.

    `data`: the part of a connection's plan that it serves, where that is not the kind itself.
    """

    kind: str
    url: str
    token_class: str = "access"  # noqa: S105 - a class of tokens, not a token
    window_start: datetime | None = None
    window_end: datetime | None = None
    data: str = ""


@dataclass(frozen=True)
class Gas:
    """In what a utility sends how much gas was used: a fact it states, not one we find out from the numbers.

    `unit` completes "gas readings are in ..."; `source` is where the utility says it; `is_confirmed`: a real bill has
    agreed with the readings of its period. `link_units`, `units` and `bill_units` as in `espi.dialect.Dialect`.
    """

    unit: str
    source: str
    is_confirmed: bool = False
    link_units: Mapping[str, Unit] = field(default_factory=dict)
    units: Mapping[int, Unit] = field(default_factory=dict)
    bill_units: Mapping[int, Unit] = field(default_factory=dict)


USAGE_KINDS = frozenset(
    {"UsagePoint", "MeterReading", "ReadingType", "IntervalBlock", "LocalTimeParameters", "ElectricPowerQualitySummary"}
)
BILLING_KINDS = frozenset({"UsagePoint", "UsageSummary", "LocalTimeParameters"})
CUSTOMER_KINDS = customer_resources.KINDS


class Utility:
    """What a utility is called, where it answers and which dialect of the standard it speaks."""

    slug: ClassVar[str]
    name: ClassVar[str]
    long_name: ClassVar[str]
    area: ClassVar[str]
    website: ClassVar[str]
    help_words: ClassVar[str]  # "which one am I?"
    postal_areas: ClassVar[tuple[PostalArea, ...]] = ()  # the same, by ZIP or postal code
    leaving_help: ClassVar[str]  # what the customer needs and meets on the utility's pages
    stopping_help: ClassVar[str]  # how he ends the sharing at the utility
    time_zone: ClassVar[str]
    regulator: ClassVar[Regulator]  # the state's or the province's
    country: ClassVar[str] = "US"
    currency: ClassVar[int] = 840  # ISO 4217: US dollar
    languages: ClassVar[tuple[str, ...]] = ("en",)
    editions: ClassVar[tuple[str, ...]] = ("",)
    starts_at_utility: ClassVar[bool] = False
    sends_events: ClassVar[bool] = False  # posts JSON events to our webhook, besides notifications
    uses_scope_selection: ClassVar[bool] = False  # sends customers to our scope-selection page
    uses_pkce: ClassVar[bool] = False
    announces_batches: ClassVar[bool] = True  # after a 202 a notification follows; False: the same request again
    bills_begin_days_late: ClassVar[int] = 0  # days from a billingPeriod's first day to the first one on paper
    replaces_earlier: ClassVar[bool] = False  # a customer's new authorization cancels his earlier one at the utility
    not_routed: ClassVar[str] = ""  # words in a 404 of its gateway: the path leads nowhere; nothing is gone for that
    stale_token_statuses: ClassVar[frozenset[int]] = frozenset({401})  # answers after which a new token is tried, once
    bulk_paths: ClassVar[frozenset[str]] = frozenset()  # parts of a path before one of our bulk ids
    budgets: ClassVar[tuple[Budget, ...]] = ()
    news_from_hour: ClassVar[int] = 0  # local: when yesterday's data are there, and the utility likes to be asked
    news_hours: ClassVar[int] = 24  # for so long from then
    budget_is_shared: ClassVar[bool] = False  # by all our registrations with this vendor; else each has its own
    limits_together: ClassVar[str | None] = None  # by a 429: "everything", "tokens"; None: one connection
    revokes_with_client_token: ClassVar[bool] = False
    has_follow_ups: ClassVar[bool] = False  # whether `follow_up_requests` wants to see self links
    tls_hosts: ClassVar[frozenset[str]] = frozenset()
    addresses: ClassVar[Mapping[tuple[str, str], Addresses]]
    required: ClassVar[Mapping[str, str]] = {"client_id": "client id", "client_secret": "client secret"}
    client_paths: ClassVar[tuple[str, ...]] = ("Authorization", "ReadServiceStatus", "Batch/Bulk")
    subscription_paths: ClassVar[tuple[str, ...]] = ("Subscription", "RetailCustomer")
    identified_by: ClassVar[tuple[str, ...]] = ("third_party_id",)  # fields of the registration a scope's BR may name
    requested_blocks: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    granting_blocks: ClassVar[Mapping[str, frozenset[str]]] = {}
    catalogue: ClassVar[tuple[DataChoice, ...]] = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.slug}>"

    # --- The registration ---

    def undeclared(self) -> list[str]:
        """Names that this utility's declaration still lacks, and that have no answer in the standard."""
        return [name for name in Utility.__annotations__ if not hasattr(self, name)]

    def missing(self, app: ApplicationInformation) -> list[str]:
        """What the registration still lacks, in words; empty if customers may be offered it."""
        if (app.environment, app.edition) not in {*self.addresses, *self._sandbox_profiles()}:
            return [f"an environment and edition that {self.name} has"]
        lacking = [words for field, words in self.required_fields(app).items() if not getattr(app, field)]
        return lacking + [words for field, words in URL_WORDS.items() if not self._may_stand(app, field)]

    def required_fields(self, app: ApplicationInformation) -> Mapping[str, str]:
        """Field names of the registration that must be filled in, each with its name in words."""
        return self.required

    def _sandbox_profiles(self) -> set[tuple[str, str]]:
        return {(Environment.SANDBOX.value, edition) for edition in self.editions}

    def _may_stand(self, app: ApplicationInformation, field: str) -> bool:
        try:
            self._address(app, field)
        except UntrustedAddress:
            return False
        return True

    def profile_version(self, app: ApplicationInformation) -> str:
        """A digest that changes with any address, the client id or the edition."""
        parts = (app.environment, app.edition, app.client_id, *(self._address(app, field) for field in URL_FIELDS))
        return hashlib.sha256("\n".join((*parts, self.redirect_uri(app))).encode()).hexdigest()

    # --- Our own addresses, as they stand on registration forms ---

    def redirect_uri(self, app: ApplicationInformation) -> str:
        """Where codes arrive."""
        return f"{settings.PORTAL_BASE_URL}/espi/1_1/OAuthCallBack/{self.slug}"

    def scope_selection_uri(self, app: ApplicationInformation) -> str:
        """Where a utility sends customers who began there."""
        return f"{settings.PORTAL_BASE_URL}/espi/1_1/ScopeSelection"

    def portal_uri(self, app: ApplicationInformation) -> str:
        """Where PG&E sends customers who picked us on its site."""
        return f"{settings.PORTAL_BASE_URL}/espi/1_1/ThirdPartyPortal/{self.slug}"

    def notify_uri(self, app: ApplicationInformation) -> str:
        """Where notifications are posted. Its last part is secret."""
        return f"{settings.PORTAL_BASE_URL}/espi/1_1/Notification/{self.slug}/{app.notify_secret}"

    def webhook_uri(self, app: ApplicationInformation) -> str:
        """Where UtilityAPI posts its JSON events. Its last part is secret."""
        return f"{settings.PORTAL_BASE_URL}/espi/1_1/Webhook/{self.slug}/{app.notify_secret}"

    # --- The utility's addresses ---

    def declared(self, app: ApplicationInformation) -> Addresses:
        """The addresses of this environment and edition. Raises KeyError for one the utility does not have."""
        if app.environment == Environment.SANDBOX:
            return sandboxed(self.addresses[Environment.PRODUCTION, app.edition], self.tls_hosts)
        return self.addresses[app.environment, app.edition]

    def authorize_url(self, app: ApplicationInformation) -> str:
        """The page customers are sent to."""
        return self._address(app, "authorize_url")

    def token_url(self, app: ApplicationInformation) -> str:
        """The token endpoint."""
        return self._address(app, "token_url")

    def resource_base(self, app: ApplicationInformation) -> str:
        """What every resource's URL begins with, without a slash at its end."""
        return self._address(app, "resource_base").rstrip("/")

    def login_url(self, app: ApplicationInformation) -> str | None:
        """Where a customer who starts here signs in first, if the utility wants that."""
        return None

    def check_address(self, app: ApplicationInformation, field: str, url: str) -> None:
        """Raises UntrustedAddress unless `url` may stand in `field` of the registration: only on known hosts."""
        refused = UntrustedAddress("no such address")
        for place in self.declared(app).places(field):
            try:
                return require_within(url, place)
            except UntrustedAddress as error:
                refused = error
        raise refused

    def _address(self, app: ApplicationInformation, field: str) -> str:
        """The registration's own address if it has one and may have it, else the declared one."""
        own = getattr(app, field)
        if not own:
            return getattr(self.declared(app), field)
        self.check_address(app, field, own)
        return own

    # --- What is shared ---

    def data_choices(self, app: ApplicationInformation) -> tuple[DataChoice, ...]:
        """The catalogue, in the order it is shown."""
        return self.catalogue

    def choices_limits(self, app: ApplicationInformation) -> tuple[int, int]:
        """The least and the most choices a customer may make."""
        return 1, len(self.data_choices(app))

    def utility_chooses_data(self, app: ApplicationInformation) -> bool:
        """True where the customer makes the choice at the utility, and ours is only what we hope for."""
        return False

    def state_required(self, app: ApplicationInformation) -> bool:
        """True where the utility is known to send `state` back."""
        return True

    def requested_scope(
        self, app: ApplicationInformation, choice_ids: Sequence[str], *, end_date: date | None = None
    ) -> str:
        """The scope for these ids of the catalogue. Raises UnknownChoice. `end_date`: the last day, local."""
        wanted = {block for id_ in self.chosen(app, choice_ids) for block in self.requested_blocks[id_]}
        return "FB=" + "_".join(sorted(wanted, key=int))

    def chosen(self, app: ApplicationInformation, choice_ids: Sequence[str]) -> list[str]:
        """The ids in the catalogue's order. Raises UnknownChoice."""
        known = [choice.id for choice in self.data_choices(app)]
        least, most = self.choices_limits(app)
        if set(choice_ids) - set(known) or len(set(choice_ids)) != len(choice_ids):
            raise UnknownChoice(f"{self.name} offers {', '.join(known)}, each once")
        if not least <= len(choice_ids) <= most:
            raise UnknownChoice(f"{self.name} takes between {least} and {most} choices")
        return [id_ for id_ in known if id_ in choice_ids]

    def granted_choices(self, app: ApplicationInformation, scope: str) -> frozenset[str]:
        """The ids of the catalogue that a scope covers, told by its function blocks."""
        granted = set(Scope.parse(scope).function_blocks)
        return frozenset(id_ for id_, telling in self.granting_blocks.items() if telling & granted)

    def granted_kinds(self, app: ApplicationInformation, authorization: Authorization) -> frozenset[str]:
        """The ESPI resources that belong to what was granted (`data_granted`): nothing else is stored."""
        granted = [choice.kinds for choice in self.data_choices(app) if choice.id in authorization.data_granted]
        return frozenset().union(*granted)

    def details_left_out(self, app: ApplicationInformation, scope: str, requested: str) -> bool:
        """True where a customer can leave out details of a choice at the utility, and did."""
        return False

    def scope_is_foreign(self, app: ApplicationInformation, scope: str, requested: str) -> bool:
        """True if a scope is another third party's, or wider than what was asked for: to be looked at by a person."""
        ours = {getattr(app, field) for field in self.identified_by} - {""}
        named = Scope.parse(scope).get("BR")
        if named and ours and named not in ours:
            return True
        if self.utility_chooses_data(app):
            return False
        wider = self.granted_choices(app, scope) - self.granted_choices(app, requested)
        return bool(wider) or _history(scope) > (_history(requested) or HISTORY_SECONDS)

    # --- Leaving ---

    def authorization_url(self, app: ApplicationInformation, params: AuthorizationParameters) -> str:
        """RFC 6749 §4.1.1. Every value is percent-encoded once, a blank as %20."""
        query = {
            "response_type": "code",
            "client_id": app.client_id,
            "redirect_uri": params.redirect_uri,
            "scope": params.scope,
            "state": params.state,
        }
        if params.code_challenge:
            query |= {"code_challenge": params.code_challenge, "code_challenge_method": "S256"}
        return f"{self.authorize_url(app)}?{encoded(query)}"

    # --- Tokens ---

    def token_dialect(self, app: ApplicationInformation) -> TokenDialect:
        """How token requests are written."""
        return TokenDialect()

    def token_headers(self, app: ApplicationInformation) -> dict[str, str]:
        """Headers of token requests beside the usual ones."""
        return {}

    def endpoint(self, app: ApplicationInformation) -> Endpoint:
        """The token endpoint as this registration reaches it."""
        return Endpoint(
            url=self.token_url(app),
            dialect=self.token_dialect(app),
            credentials=Credentials(app.client_id, app.client_secret),
            headers=self.token_headers(app),
            open_session=lambda: self.session(app),
            check_url=lambda url: self.check_url(app, url),
        )

    def exchange_code(
        self, app: ApplicationInformation, *, code: str, redirect_uri: str, code_verifier: str | None = None
    ) -> Grant:
        """Raises a TokenError; nothing in it is secret."""
        return oauth.exchange_code(
            self.endpoint(app), code=code, redirect_uri=redirect_uri, code_verifier=code_verifier
        )

    def refresh(self, app: ApplicationInformation, *, refresh_token: str, subscription_id: str, scope: str) -> Grant:
        """`scope`: as granted, verbatim. A Grant without refresh token means: keep the old one. Raises a TokenError."""
        return oauth.refresh(
            self.endpoint(app),
            refresh_token=refresh_token,
            subscription_id=subscription_id,
            scope=scope,
            redirect_uri=self.redirect_uri(app),
        )

    def client_token(self, app: ApplicationInformation) -> Grant:
        """Our own token. Raises a TokenError."""
        return oauth.client_token(self.endpoint(app))

    # --- Resources ---

    def session(self, app: ApplicationInformation) -> requests.Session:
        """A session with this registration's certificates. Only the sandbox may be on this machine."""
        certificate = (app.client_certificate_path, app.client_key_path) if app.client_certificate_path else None
        return session.build(
            extra_ca=app.ca_bundle_path,
            certificate=certificate,
            allowed_networks=settings.OUTBOUND_ALLOWED_NETWORKS,
            allow_loopback=app.environment == Environment.SANDBOX,
        )

    def resource_headers(self, app: ApplicationInformation, token: str) -> dict[str, str]:
        """Headers of a resource request."""
        return {"Authorization": f"Bearer {token}", "Accept": "application/atom+xml"}

    def check_url(self, app: ApplicationInformation, url: str) -> None:
        """Raises UntrustedAddress unless the URL is a resource of this utility in this environment."""
        require_within(url, self.resource_base(app))

    def path(self, app: ApplicationInformation, url: str) -> list[str]:
        """The parts of a resource's path below the base. Raises UntrustedAddress."""
        self.check_url(app, url)
        below = urlsplit(as_sent(url)).path.removeprefix(urlsplit(self.resource_base(app)).path)
        return [part for part in below.split("/") if part]

    def token_class(self, app: ApplicationInformation, url: str) -> str:
        """`access`, `client` or `registration`: which token this resource wants. Raises UntrustedAddress."""
        path = self.path(app, url)
        if path[:1] == ["ApplicationInformation"]:
            return "registration"
        ours = (prefix.split("/") for prefix in self.client_paths)
        return "client" if any(path[: len(prefix)] == prefix for prefix in ours) else "access"

    def url_subscription_id(self, app: ApplicationInformation, url: str) -> str:
        """The subscription a URL names; empty if it names none. Raises UntrustedAddress."""
        path = self.path(app, url)
        follows = (after for part, after in itertools.pairwise(path) if part in self.subscription_paths)
        return unquote(next(follows, ""))

    def url_request(self, app: ApplicationInformation, url: str) -> str:
        """Which request an announced URL answers, as the utility numbers it; empty where its addresses do not tell."""
        return ""

    def why_not_fetched(self, app: ApplicationInformation, url: str) -> str:
        """Why nothing is to be fetched from an announced URL, in words; empty if it may be. Raises UntrustedAddress."""
        ours = {app.bulk_id, app.customer_bulk_id} - {""}
        named = {unquote(after) for part, after in itertools.pairwise(self.path(app, url)) if part in self.bulk_paths}
        return "It names a bulk id that is not ours." if ours and named - ours else ""

    def first_requests(
        self, app: ApplicationInformation, authorization: Authorization, now: datetime
    ) -> list[PlannedRequest]:
        """What to ask for after a customer connected: two years of what was granted (`data_granted`).

        The standard's answer is all there is (ESPI 4.0, Batch), and the Retail Customer's batch.
        """
        return [*self._usage_requests(app, authorization), *self._customer_requests(app, authorization)]

    def plan(self, app: ApplicationInformation, authorization: Authorization) -> Mapping[str, timedelta]:
        """The parts of what is asked for again and again, each with how often.

        Where one bulk request brings the news of everybody, each connection is still asked by itself, if less often: some
        utilities end an authorization that lay idle for 45 days (Con Edison, third-party FAQ).
        """
        granted = set(authorization.data_granted)
        parts = {}
        if {"usage", "billing"} & granted:
            parts["usage"] = WEEKLY if self.bulk_requests(app, *self.history(authorization.created_at)) else DAILY
        if "customer" in granted:
            parts["customer"] = EVERY_FOUR_WEEKS if self.bulk_customer_requests(app) else WEEKLY
        return parts

    def next_requests(
        self, app: ApplicationInformation, authorization: Authorization, part: str, first: date, after: date
    ) -> list[PlannedRequest]:
        """What to ask for to have the news of one part of the plan; `first` day is told again, `after` is not."""
        if part == "customer":
            return self._customer_requests(app, authorization)
        return self.window_requests(app, authorization, first, after) if part == "usage" else []

    def window_requests(
        self, app: ApplicationInformation, authorization: Authorization, first: date, after: date
    ) -> list[PlannedRequest]:
        """Usage and bills of these local days, `after` exclusive. The standard has no such window: all there is."""
        return self._usage_requests(app, authorization)

    def bulk_requests(self, app: ApplicationInformation, first: date, after: date) -> list[PlannedRequest]:
        """One request for these days of all customers at once, by our own token, where the utility has that."""
        return []

    def bulk_customer_requests(self, app: ApplicationInformation) -> list[PlannedRequest]:
        """One request for the account details of all customers at once, by our own token, where the utility has that."""
        return []

    def authorization_feed(self, app: ApplicationInformation) -> str:
        """The address that lists every authorization we hold there; empty where there is none."""
        return self.resource(app, "Authorization")

    def _usage_requests(self, app: ApplicationInformation, authorization: Authorization) -> list[PlannedRequest]:
        if not {"usage", "billing"} & set(authorization.data_granted):
            return []
        id_ = segment(authorization.utility_subscription_id)
        return [PlannedRequest("usage", self.resource(app, f"Batch/Subscription/{id_}"))]

    def _customer_requests(self, app: ApplicationInformation, authorization: Authorization) -> list[PlannedRequest]:
        if "customer" not in authorization.data_granted:
            return []
        id_ = segment(authorization.utility_subscription_id)
        return [PlannedRequest("customer", self.resource(app, f"Batch/RetailCustomer/{id_}"))]

    def follow_up_requests(
        self, app: ApplicationInformation, authorization: Authorization, self_links: Sequence[str]
    ) -> list[PlannedRequest]:
        """What to ask for once a document named these resources, where the utility has no batch for it."""
        return []

    def smaller_requests(self, app: ApplicationInformation, request: PlannedRequest) -> list[PlannedRequest]:
        """The same window in parts, for one the utility finds too long; empty where it cannot be divided."""
        return []

    def gas(self, app: ApplicationInformation) -> Gas | None:
        """What its gas numbers count; None where it delivers no gas, or says it in every document."""
        return None

    def dialect(self, app: ApplicationInformation) -> Dialect:
        """What this utility's documents do differently."""
        plain = Dialect(time_zone=self.time_zone, default_currency=self.currency)
        gas = self.gas(app)
        if gas is None:
            return plain
        words = {**ELECTRIC_WORDS, **gas.link_units}
        return replace(plain, link_units=words, gas_units=gas.units, gas_bill_units=gas.bill_units)

    def resource(self, app: ApplicationInformation, path: str, **query: str) -> str:
        """The URL of a resource below the base."""
        return f"{self.resource_base(app)}/{path}" + (f"?{encoded(query)}" if query else "")

    def midnight(self, day: date) -> datetime:
        """The beginning of a local day, as an instant."""
        return self.clock(day, 0)

    def clock(self, day: date, hour: int) -> datetime:
        """When the utility's clocks show a full hour of a local day, as an instant."""
        return datetime.combine(day, time(hour), ZoneInfo(self.time_zone)).astimezone(UTC)

    def today(self, now: datetime) -> date:
        """The utility's local day."""
        return now.astimezone(ZoneInfo(self.time_zone)).date()

    def history(self, now: datetime) -> tuple[date, date]:
        """The first day of two years of whole days, and the day after their last: today."""
        today = self.today(now)
        return today - timedelta(days=HISTORY_DAYS), today

    # --- The end ---

    def can_revoke(self, app: ApplicationInformation) -> bool:
        """Whether we can end an authorization at the utility ourselves."""
        return False

    @contextmanager
    def gone_or_not_routed(self) -> Iterator[None]:
        """A call in which a 404 of the utility's gateway is told from one of the resource. Raises client.NotRouted."""
        try:
            yield
        except client.Gone as error:
            if self.not_routed and self.not_routed in error.reason:
                raise client.NotRouted(error.status, error.reason) from None
            raise

    def revoke(self, app: ApplicationInformation, authorization: Authorization, *, client_token: str) -> None:
        """End an authorization at the utility. Raises RevocationRefused where it has no call for that.

        `client_token`: our own token, where `revokes_with_client_token`; else empty.
        """
        raise RevocationRefused(self.stopping_help)


def encoded(query: Mapping[str, str]) -> str:
    """A query string, every value percent-encoded exactly once."""
    return urlencode(query, quote_via=quote)


def in_bulk(request: PlannedRequest) -> PlannedRequest:
    """The same request as one for everybody's data, by our own token."""
    return replace(request, token_class="client", data=BULK)  # noqa: S106 - a class of tokens, not a token


def segment(id_: str) -> str:
    """An id as one part of a path."""
    return quote(id_, safe="=,:~")


def zulu(instant: datetime) -> str:
    """`YYYY-MM-DDTHH:MM:SSZ`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _history(scope: str) -> int:
    length = Scope.parse(scope).get("HistoryLength")
    return int(length[:12]) if length.isascii() and length.isdigit() else 0
