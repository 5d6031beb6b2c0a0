"""The UtilityAPI platform: one adapter for every utility whose Green Button Connect runs on it.

References: utilityapi.com/docs/greenbutton/{api,oauth,scope,xml}, and /docs/utilities/<utility> for each utility.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from typing import ClassVar

from django.utils.translation import gettext_noop as _

from espi import client
from espi.dialect import Dialect
from espi.models import ApplicationInformation, Authorization
from utilities.addresses import Addresses, in_sandbox
from utilities.base import (
    BILLING_KINDS,
    CUSTOMER_KINDS,
    HISTORY_SECONDS,
    USAGE_KINDS,
    DataChoice,
    Environment,
    PlannedRequest,
    Regulator,
    RevocationRefused,
    Utility,
    segment,
    zulu,
)
from utilities.oauth import SUBSCRIPTION_FROM_EITHER, TokenDialect

PLATFORM = "https://utilityapi.com"
RESOURCES = f"{PLATFORM}/DataCustodian/espi/1_1/resource"
NOTIFICATIONS = "39"  # "push notifications to your notify URL"

CATALOGUE = (
    DataChoice(
        id="usage",
        name=_("Energy use"),
        content=_(
            "How much electricity your meters measured, usually every hour. With solar panels, what you took and "
            "what you gave, apart."
        ),
        example=_("1 July, 18:00 to 19:00: 0.32 kWh"),
        history=_("Up to two years back"),
        frequency=_("The utility has new readings every day"),
        why=_("To draw your use by day, week and month."),
        kinds=USAGE_KINDS,
    ),
    DataChoice(
        id="billing",
        name=_("Bills"),
        content=_("For each bill: its period, the energy billed, the amount and its line items."),
        example=_("1 June to 1 July: 612 kWh, $100.00"),
        history=_("Up to two years back"),
        frequency=_("The utility has new figures with each bill"),
        why=_("To show what your energy costs beside what you used."),
        kinds=BILLING_KINDS,
    ),
    DataChoice(
        id="customer",
        name=_("Account details"),
        content=_("Your name, account number, service address and meter numbers."),
        example=_("Account 11…1-1, 1 Example St, Tecumseh, ON"),
        history=_("As they are now"),
        frequency=_("They change seldom"),
        why=_("To tell your meters apart by address."),
        kinds=CUSTOMER_KINDS,
    ),
)


def addresses(portal: str) -> dict[tuple[str, str], Addresses]:
    """A utility's own front of the platform. The exact OAuth addresses stand in its settings after registration.

    Sandbox and live mode are a property of the registration there, not of any address: `test` is their Sandbox mode.
    """
    front = f"https://{portal}/oauth"
    known = ("utilityapi.com",)
    both = Addresses(f"{front}/authorize", f"{front}/token", RESOURCES, web_hosts=known, api_hosts=known)
    return {(Environment.PRODUCTION.value, ""): both, (Environment.TEST.value, ""): both}


ONTARIO_ENERGY_BOARD = Regulator("Ontario Energy Board", "https://www.oeb.ca/contact-us", "1-877-632-2727")


class UtilityAPI(Utility):
    """What all utilities on the platform have in common."""

    sends_events = True  # docs/webhooks
    announces_batches = False  # a 202 names the time after which to repeat it: docs/greenbutton/api
    authentication: ClassVar[str] = "auth-lastbill"  # how the customer proves who he is, docs/utilities/<utility>
    client_paths = ("Authorization", "ReadServiceStatus", "Bulk")
    # One identifier serves as Authorization, Subscription and RetailCustomer id.
    subscription_paths = ("Subscription", "RetailCustomer", "Authorization")
    identified_by = ("bulk_id",)
    requested_blocks = {"usage": ("4",), "billing": ("16",), "customer": ("51",)}
    # 46 stood for customer details in older texts of the platform, and does at other utilities.
    granting_blocks = {
        "usage": frozenset({"4"}),
        "billing": frozenset({"15", "16"}),
        "customer": frozenset({"51", "46"}),
    }
    catalogue = CATALOGUE
    leaving_help = _("You are shown what is shared and for how long; you may share less than you chose here.")
    stopping_help = _(
        "You can end it on your utility's Green Button site too: open its list of shared data and revoke us."
    )

    def requested_scope(
        self, app: ApplicationInformation, choice_ids: Sequence[str], *, end_date: date | None = None
    ) -> str:
        """`FB=` first, then terms; it pre-fills the form on which the customer agrees. Raises UnknownChoice."""
        wanted = [block for id_ in self.chosen(app, choice_ids) for block in self.requested_blocks[id_]]
        scope = ["FB=" + "_".join([*wanted, NOTIFICATIONS]), f"HistoryLength={HISTORY_SECONDS}"]
        if end_date:
            end = self.midnight(end_date + timedelta(days=1))
            scope.append(f"PreferredAuthEndDate={int(end.timestamp())}")
        return ";".join((*scope, "SubscriptionFrequency=daily", f"AdditionalScope={self.authentication}"))

    def token_dialect(self, app: ApplicationInformation) -> TokenDialect:
        """RFC 6749. The token answer's `resourceURI` has no `Batch`, the Authorization's has; ids are the same."""
        return TokenDialect(subscription_from=SUBSCRIPTION_FROM_EITHER)

    def dialect(self, app: ApplicationInformation) -> Dialect:
        """The uid of an agreement is that of its meter, which is the usage point's (captured customer feed)."""
        return replace(super().dialect(app), agreement_is_usage_point=True)

    def next_requests(
        self, app: ApplicationInformation, authorization: Authorization, part: str, first: date, after: date
    ) -> list[PlannedRequest]:
        """`updated-min` counts from when the platform added the data, so that late corrections come too (docs/greenbutton/api).

        A day, not an instant: the address must stay the same while a 202 is answered.
        """
        if part != "usage":
            return super().next_requests(app, authorization, part, first, after)
        return [self._batch(app, authorization, first, after, {"updated-min": zulu(self.midnight(first))})]

    def window_requests(
        self, app: ApplicationInformation, authorization: Authorization, first: date, after: date
    ) -> list[PlannedRequest]:
        """`published-min` and `-max` count by the time the usage is about."""
        window = {"published-min": zulu(self.midnight(first)), "published-max": zulu(self.midnight(after))}
        return [self._batch(app, authorization, first, after, window)]

    def _batch(
        self, app: ApplicationInformation, authorization: Authorization, first: date, after: date, query: dict[str, str]
    ) -> PlannedRequest:
        url = self.resource(app, f"Batch/Subscription/{segment(authorization.utility_subscription_id)}", **query)
        return PlannedRequest("usage", url, window_start=self.midnight(first), window_end=self.midnight(after))

    def can_revoke(self, app: ApplicationInformation) -> bool:
        """With a token of the JSON API."""
        return bool(app.api_token)

    def revoke(self, app: ApplicationInformation, authorization: Authorization, *, client_token: str) -> None:
        """Through the platform's JSON API, with its own token. Raises a TryLater or a NeedsAttention. Gone is done."""
        if not app.api_token:
            raise RevocationRefused(f"There is no API token for {self.name}; the customer can end it on its site.")
        id_ = authorization.utility_authorization_id or authorization.utility_subscription_id  # one and the same here
        url = self.api_url(app, f"authorizations/{segment(id_)}/revoke")
        headers = {"Authorization": f"Bearer {app.api_token}", "Accept": "application/json"}
        with suppress(client.Gone), self.session(app) as session:
            client.send(session, "POST", url, headers=headers)

    def api_url(self, app: ApplicationInformation, path: str) -> str:
        """An address of the JSON API."""
        url = f"{PLATFORM}/api/v2/{path}"
        return in_sandbox(url, self.tls_hosts) if app.environment == Environment.SANDBOX else url
