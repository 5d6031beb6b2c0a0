"""Con Edison's Share My Data platform, which serves Con Edison (CECONY) and Orange & Rockland (O&R).

Two editions of its contract exist and are two dialects: `v1` (third-party onboarding document, JSON token requests) and
`v2` ("DCX GBC API V2", its Swagger file and Postman collection; RFC 6749). References: "onboarding" is the onboarding
document of edition 1, "Swagger" and "Postman" are Con Edison's own files of edition 2.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import ClassVar
from urllib.parse import parse_qs, quote, urlsplit

from django.utils.translation import gettext_noop as _

from espi.customer_resources import PROGRAMS
from espi.dialect import HUNDRED_CUBIC_FEET, Dialect
from espi.enums import ServiceKind
from espi.models import ApplicationInformation, Authorization, UsagePoint
from espi.scope import Scope, join
from utilities.addresses import LONGEST_URL, Addresses
from utilities.base import (
    BILLING_KINDS,
    CUSTOMER_KINDS,
    HISTORY_SECONDS,
    USAGE_KINDS,
    AuthorizationParameters,
    Budget,
    DataChoice,
    Environment,
    Gas,
    PlannedRequest,
    Regulator,
    Utility,
    encoded,
    in_bulk,
    segment,
    zulu,
)
from utilities.oauth import TokenDialect, UntrustedAddress

V1, V2 = "v1", "v2"
# Its own tree of resources; "not billing quality" (version 4.4 of the document), 45 minutes behind the meter.
REAL_TIME = "RealTime"
MOST_FOLLOW_UPS = 200  # of one document
USAGE_POINT = 3  # the place of its id in Subscription/{s}/UsagePoint/{u}

# Onboarding 2.1.1, step 5: "The Share My Data system will accept ONLY the above scope strings." Byte for byte.
V1_SCOPES: Mapping[str, str] = {
    "usage": (
        "FB=1_3_4_5_7_10_13_14_18_32_33_35_37_38_41_44;"
        "IntervalDuration=Monthly_3600_900_300;BlockDuration=Monthly_Daily;HistoryLength=63113904;"
    ),
    "billing": (
        "FB=1_3_6_10_13_14_15_16_28_32_33_35_37_38_41_44;"
        "IntervalDuration=Monthly;BlockDuration=Monthly;HistoryLength=63113904;"
    ),
    "realtime": (
        "FB=1_3_4_5_7_13_14_18_32_33_35_37_38_41_44;IntervalDuration=900_300;BlockDuration=Daily;HistoryLength=86400;"
    ),
    "customer": "FB=1_3_13_14_46_47;",
}

# Onboarding 2.1.1 step 9 and 3.2. A recorded answer has `expires_in` as text and `accountNumber` in base64.
V1_TOKENS = TokenDialect(
    body="json",
    authentication="body",
    names={
        "grant_type": "grantType",
        "client_id": "clientId",
        "client_secret": "clientSecret",
        "redirect_uri": "redirectUri",
        "code": "authCode",
        "refresh_token": "refreshToken",
        "subscription_id": "subscriptionId",
    },
    refresh_fields=("subscription_id",),
    client_scope="FB=3_35_47",
    numbers_may_be_text=True,
    account_number_is_base64=True,
)
# Postman, folder of tokens: Basic, a form, `redirect_uri` on refresh too.
V2_TOKENS = TokenDialect(refresh_fields=("scope", "redirect_uri"), client_scope="FB=34_35")

# Onboarding 2.1.1 step 6. The document's test addresses have lost hyphens where their lines break.
V1_REDIRECT = (
    "accounts-billing/dashboard/billing-and-usage/share-my-data-connections/third-party-authorization/redirect"
)


# Edition 1 names no element and no link of gas; integrators' code reads `..._KWH...` and `..._KVARH...` only. A link that
# says CCF is taken at its word, since gas is billed in CCF (version 4.4 of the document).
V1_GAS = Gas(
    "hundreds of cubic feet (CCF), where a link says CCF",
    "not documented for edition 1; version 4.4 says that gas is billed in CCF",
    link_units={"CCF": HUNDRED_CUBIC_FEET},
)
# "Currently 3 for electricity with uom 72, 0 for gas with uom 119" (version 4.4, data model): so readings count cubic feet,
# and 119 stands as it is. The same document says that gas is billed in CCF: should a bill show a hundred times what its
# readings add up to (espi.gas says so beside the document), the units are HUNDRED_CUBIC_FEET.
V2_GAS = Gas(
    "cubic feet (uom 119, multiplier 0)",
    "version 4.4 of the document, data model; it also says that gas is billed in CCF, so compare a bill first",
)


def addresses(domain: str) -> dict[tuple[str, str], Addresses]:
    """Both editions of one of the two web sites; both have the one API host. Test hosts have moved over time."""
    live, test = "https://api.coned.com/gbc", "https://apit.coned.com/gbc"
    tests = (f"uat10-core.{domain}", f"uat10.{domain}", f"wem-cm-t1.{domain}")
    return {
        (Environment.PRODUCTION.value, V1): _v1(f"https://www.{domain}/{V1_REDIRECT}", live),
        (Environment.TEST.value, V1): _v1(f"https://uat10-core.{domain}/en/{V1_REDIRECT}", test, tests),
        (Environment.PRODUCTION.value, V2): _v2(f"https://www.{domain}/en/oauth/authorize", live),
        (Environment.TEST.value, V2): _v2(f"https://uat10.{domain}/en/oauth/authorize", test, tests),
    }


def _v1(authorize_url: str, api: str, web_hosts: tuple[str, ...] = ()) -> Addresses:
    return Addresses(authorize_url, f"{api}/v1/oauth/v1/Token", f"{api}/v1/resource", web_hosts)


def _v2(authorize_url: str, api: str, web_hosts: tuple[str, ...] = ()) -> Addresses:
    return Addresses(authorize_url, f"{api}/espi/1_1/oauth/Token", f"{api}/espi/1_1/resource", web_hosts)


CATALOGUE = (
    DataChoice(
        id="usage",
        name=_("Energy use"),
        content=_(
            "How much electricity and gas your meters measured, every 5, 15 or 60 minutes, or monthly where your "
            "meter is read once a month. With solar panels: the net of what you took and what you gave."
        ),
        example=_("15 January, 18:00 to 18:15: 0.236 kWh"),
        history=_("Up to two years back"),
        frequency=_("The utility has new readings every day"),
        why=_("To draw your use by day, week and month."),
        kinds=USAGE_KINDS,
    ),
    DataChoice(
        id="billing",
        name=_("Bills"),
        content=_(
            "For each bill: its period, the energy billed and the amount, with your supplier's charges where they "
            "are on the bill."
        ),
        example=_("13 December to 12 January: 412 kWh, $131.27"),
        history=_("Up to two years back"),
        frequency=_("The utility has new figures with each bill"),
        why=_("To show what your energy costs beside what you used."),
        kinds=BILLING_KINDS,
    ),
    DataChoice(
        id="realtime",
        name=_("Recent electricity use"),
        content=_(
            "Electricity readings of the last 24 hours, about 45 minutes behind. Provisional: not yet checked "
            "for billing. Electricity only."
        ),
        example=_("Today, 14:00 to 14:15: 0.241 kWh (provisional)"),
        history=_("The last 24 hours"),
        frequency=_("The utility has newer readings all through the day"),
        why=_("To show today before the checked readings arrive."),
        kinds=USAGE_KINDS,
    ),
    DataChoice(
        id="customer",
        name=_("Account details"),
        content=_("Your account number and service address: street, city, state and postal code."),
        example=_("Account 41…0123, 1 Example St, New York, NY"),
        history=_("As they are now"),
        frequency=_("They change seldom"),
        why=_("To tell your meters apart by address."),
        kinds=CUSTOMER_KINDS,
    ),
)
# Version 4.4 of the document, scopes: 51 is the customer, and each of these a part of the tree below.
V2_CUSTOMER_BLOCKS: Mapping[str, frozenset[str]] = {
    "56": frozenset({"CustomerAccount"}),
    "57": frozenset({"CustomerAgreement", PROGRAMS}),
    "58": frozenset({"ServiceLocation"}),
    "60": frozenset({"Meter"}),
}
V2_CATALOGUE = tuple(choice for choice in CATALOGUE if choice.id != "realtime")


class ConEdison(Utility):
    """What the platform's two utilities have in common; each names only itself and its web site."""

    website: ClassVar[str]
    time_zone = "America/New_York"
    editions = (V1, V2)
    starts_at_utility = True
    uses_scope_selection = True
    has_follow_ups = True
    # Edition 2: 50 token calls a minute for a client, `authorization_code` not counted (its document, rate limits; V1
    # states none). Ten are left for what is on its way when a minute begins.
    budgets = (Budget(40, 60, tokens_only=True),)
    limits_together = "tokens"  # "for a client"; of resources no limit is stated, so a 429 there is one connection's
    # A download wants the class of token that asked for it (onboarding 2.2, note): ours ask with customers' tokens.
    client_paths = ("Authorization", "ReadServiceStatus", "Batch/Bulk", "RealTime/Batch/Bulk")
    subscription_paths = ("Subscription", "RetailCustomer", "Customer")
    bulk_paths = frozenset({"Bulk"})
    # Blocks of edition 2 (version 4.4 of the document, scopes): 53 is the customer's Connect My Data.
    requested_blocks = {
        "usage": ("1", "3", "4", "5", "7", "8", "10"),
        "billing": ("1", "3", "15", "16"),
        "customer": ("51", "53", "56", "57", "58", "60"),
    }
    granting_blocks = {
        "usage": frozenset({"4"}),
        "billing": frozenset({"15", "16"}),
        "customer": frozenset({"51"}),
    }
    leaving_help = _("Choose there the account and the dates for which you share.")
    stopping_help = _(
        "Your utility lets only you end the sharing on its side: sign in on its site, open Share My Data and remove us "
        "there."
    )
    regulator = Regulator(
        "New York State Department of Public Service", "https://dps.ny.gov/file-complaint", "1-800-342-3377"
    )

    def required_fields(self, app: ApplicationInformation) -> Mapping[str, str]:
        """Edition 1 needs the key of the developer portal too (onboarding 2.1.1 step 9, header)."""
        fields = {**self.required, "third_party_id": "third-party id"}
        return fields | {"subscription_key": "subscription key"} if app.edition == V1 else fields

    # --- What is shared ---

    def data_choices(self, app: ApplicationInformation) -> tuple[DataChoice, ...]:
        """Edition 1: exactly the four strings. Edition 2 documents no scope for real-time data."""
        return CATALOGUE if app.edition == V1 else V2_CATALOGUE

    def state_required(self, app: ApplicationInformation) -> bool:
        """Edition 1 shows `state` in its address, and nothing shows that it comes back."""
        return app.edition != V1

    def requested_scope(
        self, app: ApplicationInformation, choice_ids: Sequence[str], *, end_date: date | None = None
    ) -> str:
        """Edition 1: complete strings joined by a pipe. Edition 2: one string that ends in our BR. Raises UnknownChoice."""
        if app.edition == V1:
            return join(V1_SCOPES[id_] for id_ in self.chosen(app, choice_ids))
        scope = [super().requested_scope(app, choice_ids)]
        if "usage" in choice_ids:
            scope += ["IntervalDuration=Monthly_3600_900_300", "BlockDuration=Monthly_Daily"]
        elif "billing" in choice_ids:
            scope += ["IntervalDuration=Monthly", "BlockDuration=Monthly"]
        if {"usage", "billing"} & set(choice_ids):
            scope.append(f"HistoryLength={HISTORY_SECONDS}")
        return ";".join((*scope, f"BR={app.third_party_id}"))

    def granted_choices(self, app: ApplicationInformation, scope: str) -> frozenset[str]:
        """Edition 1 answers with blanks between its strings and in its own order (recorded answer)."""
        if app.edition != V1:
            return super().granted_choices(app, scope)
        named = {_bare(string): id_ for id_, string in V1_SCOPES.items()}
        return frozenset(named[part] for part in _parts(scope) if part in named)

    def granted_kinds(self, app: ApplicationInformation, authorization: Authorization) -> frozenset[str]:
        """Edition 2 shares customer data block by block, and the customer may have removed some."""
        kinds = super().granted_kinds(app, authorization)
        if app.edition == V1:
            return kinds
        blocks = set(Scope.parse(authorization.scope_granted).function_blocks)
        return kinds.difference(*(kept_back for block, kept_back in V2_CUSTOMER_BLOCKS.items() if block not in blocks))

    def details_left_out(self, app: ApplicationInformation, scope: str, requested: str) -> bool:
        """Edition 2 lets the customer remove single blocks, such as what the bills cost."""
        return app.edition == V2 and not set(Scope.parse(requested).function_blocks) <= set(
            Scope.parse(scope).function_blocks
        )

    def scope_is_foreign(self, app: ApplicationInformation, scope: str, requested: str) -> bool:
        """Edition 1: any string we did not ask for. Edition 2: another BR, or more than we asked for."""
        if app.edition != V1:
            return super().scope_is_foreign(app, scope, requested)
        return not _parts(scope) <= _parts(requested)

    # --- Leaving ---

    def login_url(self, app: ApplicationInformation) -> str | None:
        """Onboarding 2.1.2 step 3: the address before `/redirect`, with our registration id."""
        if app.edition != V1:
            return None
        page = self.authorize_url(app).removesuffix("/redirect")
        return f"{page}?{encoded({'ThirdPartyId': app.third_party_id})}"

    def authorization_url(self, app: ApplicationInformation, params: AuthorizationParameters) -> str:
        """Edition 1: onboarding 2.1.1 step 6, without MAID, which nobody tells us. Edition 2: the standard's."""
        if app.edition != V1:
            return super().authorization_url(app, params)
        query = {"client_id": app.client_id, "scope": params.scope, "state": params.state}
        query["redirectUri"] = params.redirect_uri
        optional = {
            "accountNumber": params.account_number,
            "startDate": us_date(params.start_date),
            "endDate": us_date(params.end_date),
        }
        query |= {name: value for name, value in optional.items() if value}
        return f"{self.authorize_url(app)}?{encoded({**query, 'response_type': 'code'})}"

    # --- Tokens and resources ---

    def token_dialect(self, app: ApplicationInformation) -> TokenDialect:
        """One per edition."""
        return V1_TOKENS if app.edition == V1 else V2_TOKENS

    def token_headers(self, app: ApplicationInformation) -> dict[str, str]:
        """Edition 1 goes through a gateway that wants its key on every call."""
        return {"ocp-apim-subscription-key": app.subscription_key} if app.edition == V1 else {}

    def resource_headers(self, app: ApplicationInformation, token: str) -> dict[str, str]:
        """Bearer token, and in edition 1 the gateway's key."""
        return {**super().resource_headers(app, token), **self.token_headers(app)}

    def url_subscription_id(self, app: ApplicationInformation, url: str) -> str:
        """Edition 1's downloads carry it in the query (onboarding 2.2, second note)."""
        if not self._is_download(app, url):
            return super().url_subscription_id(app, url)
        ids = parse_qs(urlsplit(url).query).get("subscriptionId", [])
        return ids[0] if len(ids) == 1 else ""

    def url_request(self, app: ApplicationInformation, url: str) -> str:
        """Edition 1 names it in the query; one request may be answered by several files (contract §6)."""
        ids = parse_qs(urlsplit(url).query).get("requestId", []) if self._is_download(app, url) else []
        return ids[0] if len(ids) == 1 else ""

    def _is_download(self, app: ApplicationInformation, url: str) -> bool:
        return self.path(app, url)[:2] == ["Batch", "Download"]

    def gas(self, app: ApplicationInformation) -> Gas:
        """By edition; neither has been compared with a bill yet."""
        return V1_GAS if app.edition == V1 else V2_GAS

    def dialect(self, app: ApplicationInformation) -> Dialect:
        """Edition 1 writes kilowatt-hours with a decimal point; edition 2 has ReadingTypes."""
        # "One MeterReading, one IntervalBlock; one UsagePoint, one meter" (version 4.4 of the document, data model).
        standard = replace(super().dialect(app), provisional_path=REAL_TIME, is_per_meter=True)
        return replace(standard, interval_values="decimal_kwh") if app.edition == V1 else standard

    # --- What to ask for ---

    def first_requests(
        self, app: ApplicationInformation, authorization: Authorization, now: datetime
    ) -> list[PlannedRequest]:
        """One batch over two years: the platform cuts it into files itself, and an answer names no window."""
        granted, id_ = set(authorization.data_granted), segment(authorization.utility_subscription_id)
        requests = [self._batch(app, id_, *self.history(now))] if {"usage", "billing"} & granted else []
        if "realtime" in granted:
            requests += self._realtime(app, id_)
        if "customer" in granted:
            path = f"Customer/{id_}" if app.edition == V1 else f"Batch/RetailCustomer/{id_}"
            requests.append(PlannedRequest("customer", self.resource(app, path)))
        return requests

    def plan(self, app: ApplicationInformation, authorization: Authorization) -> Mapping[str, timedelta]:
        """Real-time data are those of the last 24 hours (§8): asked for four times a day, none is missed by one failure."""
        parts = dict(super().plan(app, authorization))
        return parts | ({"realtime": timedelta(hours=6)} if "realtime" in authorization.data_granted else {})

    def next_requests(
        self, app: ApplicationInformation, authorization: Authorization, part: str, first: date, after: date
    ) -> list[PlannedRequest]:
        """Real-time data have no window."""
        if part == "realtime":
            return self._realtime(app, segment(authorization.utility_subscription_id))
        return super().next_requests(app, authorization, part, first, after)

    def window_requests(
        self, app: ApplicationInformation, authorization: Authorization, first: date, after: date
    ) -> list[PlannedRequest]:
        """One batch."""
        return [self._batch(app, segment(authorization.utility_subscription_id), first, after)]

    def bulk_requests(self, app: ApplicationInformation, first: date, after: date) -> list[PlannedRequest]:
        """Edition 2: `Batch/Bulk/{bulkId}` (Swagger). None is documented for edition 1."""
        if app.edition == V1 or not app.bulk_id:
            return []
        return [in_bulk(self._batch(app, segment(app.bulk_id), first, after, "Bulk"))]

    def authorization_feed(self, app: ApplicationInformation) -> str:
        """Edition 1 shows single authorizations only (§4.2)."""
        return "" if app.edition == V1 else super().authorization_feed(app)

    def _realtime(self, app: ApplicationInformation, id_: str) -> list[PlannedRequest]:
        return [PlannedRequest("usage", self.resource(app, f"Subscription/{id_}/UsagePoint"), data="realtime")]

    def _batch(
        self, app: ApplicationInformation, id_: str, first: date, after: date, of: str = "Subscription"
    ) -> PlannedRequest:
        """Edition 1: `publishedMin` and `publishedMax`, days, both inclusive. Edition 2: New York midnights in Zulu.

        In both the window is that of the readings, not of their publication.
        """
        start, end = self.midnight(first), self.midnight(after)
        if app.edition == V1:
            last = after - timedelta(days=1)
            window = {"publishedMin": first.isoformat(), "publishedMax": last.isoformat()}
        else:
            window = {"published-min": zulu(start), "published-max": zulu(end)}
        query = "&".join(f"{name}={quote(value, safe=':')}" for name, value in window.items())
        url = f"{self.resource(app, f'Batch/{of}/{id_}')}?{query}"
        return PlannedRequest("usage", url, window_start=start, window_end=end)

    def follow_up_requests(
        self, app: ApplicationInformation, authorization: Authorization, self_links: Sequence[str]
    ) -> list[PlannedRequest]:
        """Edition 1 has real-time data only below a MeterReading: usage points lead to them, they to the readings.

        Of electricity only: below a usage point that we know as gas there are none, and to ask is answered 404.
        """
        if app.edition != V1 or "realtime" not in authorization.data_granted:
            return []
        paths = [path for path in (self._path_of_link(app, link) for link in self_links) if len(path) > USAGE_POINT]
        others = _not_electric(authorization) if authorization.subscription_id else set()
        found = [self._realtime_path(path) for path in paths if path[USAGE_POINT] not in others]
        leading = (self.resource(app, path) for path in dict.fromkeys(found) if path)
        short = [url for url in leading if len(url) <= LONGEST_URL]
        return [PlannedRequest("usage", url, data="realtime") for url in short[:MOST_FOLLOW_UPS]]

    def _path_of_link(self, app: ApplicationInformation, link: str) -> list[str]:
        """Of a link in a document; nothing of one that leads elsewhere."""
        try:
            return self.path(app, link)
        except UntrustedAddress:
            return []

    def _realtime_path(self, path: list[str]) -> str:
        """Below `Subscription/{s}/UsagePoint/{u}` its MeterReadings; below one of those its real-time blocks."""
        here = "/".join(path)
        if re.fullmatch(r"Subscription/[^/]+/UsagePoint/[^/]+", here):
            return f"{here}/MeterReading"
        if re.fullmatch(r"Subscription/[^/]+/UsagePoint/[^/]+/MeterReading/[^/]+", here):
            return f"{REAL_TIME}/{here}/IntervalBlock"
        return ""


def _not_electric(authorization: Authorization) -> set[str]:
    """Ids of the stored usage points that measure something else."""
    points = UsagePoint.objects.filter(subscription=authorization.subscription_id, service_kind__isnull=False)
    return set(points.exclude(service_kind=ServiceKind.ELECTRICITY).values_list("resource_id", flat=True))


def _parts(scope: str) -> set[str]:
    """The strings of an edition 1 scope, without the last semicolon, which the document's own sample lacks once."""
    return {_bare(str(part)) for part in Scope.parse(scope).parts}


def _bare(part: str) -> str:
    return part.rstrip("; ")


def us_date(day: date | None) -> str:
    """MM/DD/YYYY, or nothing."""
    return f"{day:%m/%d/%Y}" if day else ""
