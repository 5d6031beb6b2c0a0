"""Pacific Gas and Electric's Share My Data. References: its "Supported APIs" table, its third-party developer pages."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from urllib.parse import parse_qs, quote, urlsplit

from django.utils.translation import gettext_noop as _

from espi import client
from espi.customer_resources import PROGRAMS
from espi.dialect import Dialect
from espi.models import ApplicationInformation, Authorization
from espi.scope import Scope
from utilities.addresses import Addresses
from utilities.base import (
    BILLING_KINDS,
    BULK_CUSTOMERS,
    CUSTOMER_KINDS,
    USAGE_KINDS,
    WEEKLY,
    AuthorizationParameters,
    Budget,
    DataChoice,
    Environment,
    Gas,
    PlannedRequest,
    PostalArea,
    Regulator,
    Utility,
    encoded,
    in_bulk,
    segment,
    zulu,
)
from utilities.oauth import SUBSCRIPTION_FROM_EITHER, TokenDialect

API = "https://api.pge.com"
RESOURCES = f"{API}/GreenButtonConnect/espi/1_1/resource"
WINDOW_DAYS = 365
PROGRAM_KINDS = frozenset({PROGRAMS, "ProgramDateIdMappings"})  # a data group of its own: ProgramEnrollment
# Captured gas files: ReadingType uom 169 with multiplier -8; bills the same (open-energy-view, PGE-notify-xml, 2020).
GAS = Gas("therms (uom 169)", "its own files: every gas ReadingType and bill names uom 169", is_confirmed=True)


class PGE(Utility):
    """Everything but the customer's page wants our client certificate, the token endpoint too."""

    slug = "pge"
    name = "PG&E"
    long_name = "Pacific Gas and Electric (PG&E)"
    area = _("Northern and central California")
    website = "https://www.pge.com/"
    help_words = _("Your bill says PG&E. You need your pge.com sign-in, or go on as a guest with your account number.")
    # A hint, never a decision: inside its area some cities and districts have an electric company of their own.
    postal_areas = (
        PostalArea(("933", "937", "939", "940", "941", "944", "945", "946", "947", "948", "949", "951", "954", "955")),
        PostalArea(
            (
                "94301",
                "94303",
                "94306",
                "94501",
                "95050",
                "95051",
                "95054",
                "952",
                "953",
                "956",
                "957",
                "958",
                "959",
                "960",
            ),
            words=_(
                "Here a company of your city or district may bring the electricity, and PG&E only the gas. Look at your bill."
            ),
        ),
        PostalArea(("936", "943", "950")),
        PostalArea(
            ("932", "934", "935", "961"),
            is_usual=False,
            words=_(
                "Here it may also be Southern California Edison or another company, which are not here. Look at your bill."
            ),
        ),
    )
    leaving_help = _("Choose there which services and which groups of data you share, and until when.")
    stopping_help = _("You can end it on PG&E's side too: sign in at pge.com, open Share My Data and cancel us there.")
    regulator = Regulator(
        "California Public Utilities Commission", "https://www.cpuc.ca.gov/complaints", "1-800-649-7570"
    )
    time_zone = "America/Los_Angeles"
    starts_at_utility = True
    revokes_with_client_token = True
    replaces_earlier = (
        True  # "Phase 2 Online Customer Authorization": the old SubscriptionID and its token are cancelled
    )
    bills_begin_days_late = 1  # its billingPeriod begins the day before the bill's first, and ends before its last
    not_routed = "listener for endpoint"  # "No listener for endpoint: …": contract §10
    stale_token_statuses = frozenset({401, 403})
    bulk_paths = frozenset({"Bulk", "BulkRetailCustomerInfo", "BulkRetailDRPrgInfo"})
    # Third-party developer page, rate limits: one request a second per vendor, across all its client ids; 2,000 an hour
    # and 20,000 a day per client id, the day's counter beginning anew at 17:00 Pacific. Token calls count. A second of
    # ours may arrive as a shorter one of theirs, so ours is longer.
    budgets = (
        Budget(1, 1.2),
        Budget(2000, 3600),
        Budget(20_000, 86_400, resets_at=time(17), time_zone="America/Los_Angeles"),
    )
    budget_is_shared = True
    limits_together = "everything"  # its limits are a vendor's and a client id's, never a customer's
    # Yesterday's data appear during the day; a client waits for about 18:00Z. The vendor once asked for recurring calls
    # between 18:00 and 6:00 Pacific (beta overview); the day's counter is fresh by then too.
    news_from_hour, news_hours = 18, 12
    tls_hosts = frozenset({"api.pge.com"})
    # "OAuth URLs are not prefixed with https://api.pge.com/GreenButtonConnect"; only they have a test form.
    addresses = {
        (Environment.PRODUCTION.value, ""): Addresses(
            "https://sharemydata.pge.com/myAuthorization",
            f"{API}/datacustodian/oauth/v2/token",
            RESOURCES,
            web_hosts=("api.pge.com",),
        ),
        (Environment.TEST.value, ""): Addresses(
            f"{API}/datacustodian/test/oauth/v2/authorize",
            f"{API}/datacustodian/test/oauth/v2/token",
            RESOURCES,
            web_hosts=("sharemydata.pge.com",),
        ),
    }
    required = {
        **Utility.required,
        "client_certificate_path": "client certificate file",
        "client_key_path": "client key file",
    }
    client_paths = (
        "Authorization",
        "ReadServiceStatus",
        "DownloadSampleData",
        "Batch/Bulk",
        "Batch/BulkRetailCustomerInfo",
        "Batch/BulkRetailDRPrgInfo",
    )
    # AuthorizationID = SubscriptionID = RetailCustomerID.
    subscription_paths = ("Subscription", "RetailCustomer", "RetailDRPrgInfo", "Authorization")
    identified_by = ("third_party_id", "bulk_id")
    # 15 comes with usage or billing, 16 with billing alone; 46 and 47 with basic or account information.
    granting_blocks = {
        "usage": frozenset({"4"}),
        "billing": frozenset({"16"}),
        "customer": frozenset({"46", "47"}),
    }
    catalogue = (
        DataChoice(
            id="usage",
            name=_("Usage"),
            content=_(
                "How much electricity and gas your meters measured: electricity every 15 or 60 minutes, gas by "
                "the day. With solar panels, what you took and what you gave, apart."
            ),
            example=_("1 March, 00:00 to 01:00: 0.8425 kWh"),
            history=_("Up to two years back"),
            frequency=_("The utility has new readings every day"),
            why=_("To draw your use by day, week and month."),
            kinds=USAGE_KINDS | {"UsageSummary/overallConsumptionLastPeriod"},  # "costs only if Billing was granted"
        ),
        DataChoice(
            id="billing",
            name=_("Billing"),
            content=_(
                "For each bill: its period, the energy billed, the amount and its line items, and your rate plan."
            ),
            example=_("1 March to 29 March: 500 kWh, $48.00"),
            history=_("Up to two years back"),
            frequency=_("The utility has new figures with each bill"),
            why=_("To show what your energy costs beside what you used."),
            kinds=BILLING_KINDS,
        ),
        DataChoice(
            id="customer",
            name=_("Basic and account information"),
            content=_("Your name, account number, service agreement numbers, service address and meter numbers."),
            example=_("Account 1234567890-1, 1 Example St, San Francisco, CA"),
            history=_("As they are now"),
            frequency=_("They change seldom"),
            why=_("To tell your meters apart by address."),
            kinds=CUSTOMER_KINDS - PROGRAM_KINDS,
        ),
        DataChoice(
            id="programs",
            name=_("Demand response programs"),
            content=_("Which demand response programs your service agreements take part in, and since when."),
            example=_("SmartRate: enrolled"),
            history=_("As they are now"),
            frequency=_("They change seldom"),
            why=_("To tell days with special prices from ordinary ones."),
            kinds=PROGRAM_KINDS,
        ),
    )

    def required_fields(self, app: ApplicationInformation) -> Mapping[str, str]:
        """The sandbox's certificate is its own, so its authority must be known."""
        if app.environment != Environment.SANDBOX:
            return self.required
        return {**self.required, "ca_bundle_path": "file of certificate authorities"}

    # --- What is shared ---

    def utility_chooses_data(self, app: ApplicationInformation) -> bool:
        """The customer picks service agreements and data groups on PG&E's page."""
        return True

    def requested_scope(
        self, app: ApplicationInformation, choice_ids: Sequence[str], *, end_date: date | None = None
    ) -> str:
        """Not data: only the end the customer would like, in epoch seconds. Empty if he named none."""
        self.chosen(app, choice_ids)
        if end_date is None:
            return ""
        end = self.midnight(end_date + timedelta(days=1))
        return f"PreferredAuthEndDate={int(end.timestamp())}"

    def granted_choices(self, app: ApplicationInformation, scope: str) -> frozenset[str]:
        """By blocks. A scope without any (once it was just the subscription's number) leaves it to PG&E's answers."""
        if not Scope.parse(scope).function_blocks:
            return frozenset(self.granting_blocks)
        granted, groups = super().granted_choices(app, scope), set(Scope.parse(scope).values("AdditionalScope"))
        # Blocks 46 and 47 also come with programmes alone (§7); the groups, where they stand, tell more.
        if groups and not groups & {"Basic", "Account"}:
            granted -= {"customer"}
        return granted | {"programs"} if "ProgramEnrollment" in groups else granted

    def authorization_url(self, app: ApplicationInformation, params: AuthorizationParameters) -> str:
        """The standard's, but an empty scope is left out."""
        query = {
            "client_id": app.client_id,
            "redirect_uri": params.redirect_uri,
            "response_type": "code",
            "state": params.state,
        }
        return f"{self.authorize_url(app)}?{encoded(query | ({'scope': params.scope} if params.scope else {}))}"

    def gas(self, app: ApplicationInformation) -> Gas:
        """As every file says itself."""
        return GAS

    def dialect(self, app: ApplicationInformation) -> Dialect:
        """Since 2023 each meter of a service agreement has a MeterReading of its own (developer page, release notes).

        A usage point is a service agreement (Supported APIs table): its id is that of the CustomerAgreement.
        """
        return replace(super().dialect(app), is_per_meter=True, agreement_is_usage_point=True)

    # --- Tokens ---

    def token_dialect(self, app: ApplicationInformation) -> TokenDialect:
        """Its page prints the client grant's answer as XML; its servers were seen to send JSON. Ids may stand in either URI.

        A dead code or refresh token is reported as `invalid_request`.
        """
        return TokenDialect(
            client_grant_member="client_access_token",
            may_answer_in_xml=True,
            numbers_may_be_text=True,
            subscription_from=SUBSCRIPTION_FROM_EITHER,
            dead_grant_errors=frozenset({"invalid_grant", "invalid_request"}),
        )

    # --- What to ask for ---

    def why_not_fetched(self, app: ApplicationInformation, url: str) -> str:
        """`correlationID=000000000` was seen in announcements, with nothing behind it."""
        ids = parse_qs(urlsplit(url).query).get("correlationID", [])
        if any(id_ and not id_.strip("0") for id_ in ids):
            return "It is a placeholder; there is no file behind it."
        return super().why_not_fetched(app, url)

    def first_requests(
        self, app: ApplicationInformation, authorization: Authorization, now: datetime
    ) -> list[PlannedRequest]:
        """Asynchronous batches, the latest year first; the customer's data at once.

        No limit is published for an asynchronous window. Every window costs an announcement and a file per commodity,
        which the budget of one call per second pays; `smaller_requests` halves one that is "Too Large".
        """
        requests = []
        if {"usage", "billing"} & set(authorization.data_granted):
            id_ = segment(authorization.utility_subscription_id)
            requests = [self._batch(app, id_, start, after) for start, after in self._windows(now)]
        return [*requests, *self._customer_requests(app, authorization)]

    def plan(self, app: ApplicationInformation, authorization: Authorization) -> Mapping[str, timedelta]:
        """Programmes are asked for with the customer's data."""
        parts = super().plan(app, authorization)
        return {**parts, "customer": WEEKLY} if "programs" in authorization.data_granted else parts

    def _customer_requests(self, app: ApplicationInformation, authorization: Authorization) -> list[PlannedRequest]:
        """`Batch/RetailDRPrgInfo` beside the standard's: "current values" (Supported APIs table)."""
        requests = super()._customer_requests(app, authorization)
        if "programs" in authorization.data_granted:
            id_ = segment(authorization.utility_subscription_id)
            requests.append(PlannedRequest("customer", self.resource(app, f"Batch/RetailDRPrgInfo/{id_}")))
        return requests

    def _windows(self, now: datetime) -> Iterator[tuple[date, date]]:
        first, after = self.history(now)
        while after > first:
            start = max(first, after - timedelta(days=WINDOW_DAYS))
            yield start, after
            after = start

    def _batch(
        self, app: ApplicationInformation, id_: str, start: date, after: date, of: str = "Subscription"
    ) -> PlannedRequest:
        """Both ends are inclusive: a `published-max` at midnight would bring the day that begins there."""
        begin, end = self.midnight(start), self.midnight(after)
        window = {"published-min": zulu(begin), "published-max": zulu(end - timedelta(seconds=1))}
        query = "&".join(f"{name}={quote(value, safe=':')}" for name, value in window.items())
        url = f"{self.resource(app, f'Batch/{of}/{id_}')}?{query}"
        return PlannedRequest("usage", url, window_start=begin, window_end=end)

    def window_requests(
        self, app: ApplicationInformation, authorization: Authorization, first: date, after: date
    ) -> list[PlannedRequest]:
        """Asynchronous, like the history."""
        return [self._batch(app, segment(authorization.utility_subscription_id), first, after)]

    def bulk_requests(self, app: ApplicationInformation, first: date, after: date) -> list[PlannedRequest]:
        """`Batch/Bulk/{BulkID}`: all authorizations, "the daily delta" (Supported APIs table)."""
        if not app.bulk_id:
            return []
        return [in_bulk(self._batch(app, segment(app.bulk_id), first, after, "Bulk"))]

    def bulk_customer_requests(self, app: ApplicationInformation) -> list[PlannedRequest]:
        """`Batch/BulkRetailCustomerInfo/{BulkID}` (Supported APIs table): asynchronous, of all customers, without a window."""
        if not app.bulk_id:
            return []
        url = self.resource(app, f"Batch/BulkRetailCustomerInfo/{segment(app.bulk_id)}")
        return [PlannedRequest("customer", url, token_class="client", data=BULK_CUSTOMERS)]  # noqa: S106

    def smaller_requests(self, app: ApplicationInformation, request: PlannedRequest) -> list[PlannedRequest]:
        """Two halves of a window that was answered "Date Range Too Large"; none if it is a single day."""
        if request.window_start is None or request.window_end is None:
            return []
        start, after = self.today(request.window_start), self.today(request.window_end)
        middle = start + (after - start) // 2
        id_ = segment(self.url_subscription_id(app, request.url))
        return (
            [self._batch(app, id_, *halves) for halves in ((start, middle), (middle, after))] if middle > start else []
        )

    # --- The end ---

    def can_revoke(self, app: ApplicationInformation) -> bool:
        """DELETE Authorization/{id}, since the click-through release (Supported APIs table)."""
        return True

    def revoke(self, app: ApplicationInformation, authorization: Authorization, *, client_token: str) -> None:
        """DELETE with our own token. Raises a TryLater or a NeedsAttention. Gone already is done.

        The table prints the path as `Authorziation`; the feed's own links, and clients, spell it rightly.
        """
        id_ = authorization.utility_authorization_id or authorization.utility_subscription_id  # one and the same here
        url = authorization.authorization_uri or self.resource(app, f"Authorization/{segment(id_)}")
        self.check_url(app, url)
        headers = self.resource_headers(app, client_token)
        with suppress(client.Gone), self.gone_or_not_routed(), self.session(app) as session:
            client.send(session, "DELETE", url, headers=headers)


PGE_UTILITY = PGE()
