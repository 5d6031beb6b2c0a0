"""Customers' connections and what was agreed, their meters, and what is known of them besides readings."""

from django.contrib import admin
from django.db.models import CharField
from django.http import HttpRequest
from django.utils import timezone

from espi import customers
from espi.models import (
    Authorization,
    AuthorizationRequest,
    ElectricPowerQualitySummary,
    ProgramIdMapping,
    Subscription,
    Succession,
    UsagePoint,
)
from espi.models.customer import CustomerResource
from portal.admin.base import ReadOnly, since
from portal.flows.staffing import work
from portal.flows.staffing.masking import masked
from portal.models import Consent, UtilityVisit


@admin.register(Authorization)
class AuthorizationAdmin(ReadOnly):
    """How each connection stands. Tokens appear as dates only."""

    owner = "retail_customer"
    list_display = ("application_information", "customer", "account_hint", "status", "paused", "created_at", "ended_at")
    list_filter = ("status", "application_information", since("created_at"))
    search_fields = ("public_id", "account_hint", "retail_customer__email", "utility_subscription_id")
    list_select_related = ("application_information__circuit", "retail_customer")

    @admin.display(description="Paused until")
    def paused(self, authorization: Authorization) -> str:
        """Until when its utility asked all of us to wait."""
        until = work.paused_until(authorization, timezone.now())
        return f"{until:%Y-%m-%d %H:%M}" if until else "-"


@admin.register(AuthorizationRequest)
class AuthorizationRequestAdmin(ReadOnly):
    """Each journey to a utility and back, and how it ended."""

    owner = "retail_customer"
    hidden = ("browser_hash", "state_hash", "code_hash")
    list_display = ("application_information", "customer", "status", "reason", "created_at", "returned_at")
    list_filter = ("status", "application_information", since("created_at"))
    search_fields = ("public_id", "retail_customer__email")
    list_select_related = ("application_information", "retail_customer")


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnly):
    """Where a customer's readings are kept, and up to when they are complete."""

    owner = "retail_customer"
    list_display = ("utility", "customer", "name", "complete_to", "created_at")
    list_filter = ("utility",)
    search_fields = ("public_id", "retail_customer__email")
    list_select_related = ("retail_customer",)


@admin.register(UsagePoint)
class UsagePointAdmin(ReadOnly):
    """Meters as a utility names them. Titles can hold a street address and are not shown."""

    owner = "subscription__retail_customer"
    hidden = ("title", "said_at", "resource_id")
    more = ("number",)
    list_display = ("number", "subscription", "service_kind", "time_zone", "created_at")
    list_filter = ("service_kind",)
    search_fields = ("public_id", "subscription__retail_customer__email")
    list_select_related = ("subscription",)

    @admin.display(description="Number of the utility")
    def number(self, point: UsagePoint) -> str:
        """Masked: it can be the number of the account."""
        return masked(point.resource_id)


@admin.register(ElectricPowerQualitySummary)
class QualitySummaryAdmin(ReadOnly):
    """How good the power was, as a utility counted it."""

    owner = "usage_point__subscription__retail_customer"
    list_display = ("usage_point", "start", "duration", "published_at")
    search_fields = ("usage_point__public_id", "usage_point__subscription__retail_customer__email")
    list_select_related = ("usage_point",)


@admin.register(ProgramIdMapping)
class ProgramIdMappingAdmin(ReadOnly):
    """What utilities call the codes of their readings."""

    owner = "subscription__retail_customer"
    list_display = ("subscription", "kind", "code", "name", "note")
    list_filter = ("kind",)
    search_fields = ("subscription__public_id",)
    list_select_related = ("subscription",)


class CustomerDataAdmin(ReadOnly):
    """Customer data: kinds, states and dates, and which elements the utility told. Never what they say."""

    owner = "subscription__retail_customer"
    hidden = ("said_at",)
    more = ("told",)
    search_fields = ("subscription__public_id", "subscription__retail_customer__email")
    list_select_related = ("subscription",)

    def get_list_display(self, request: HttpRequest) -> list[str]:
        """Its number, whose it is, and every plain text of it."""
        plain = [field.name for field in self.model._meta.fields if isinstance(field, CharField)]
        return ["__str__", "subscription", *plain, "published_at"]

    @admin.display(description="Told")
    def told(self, row: CustomerResource) -> str:
        """The names of its elements."""
        return ", ".join(row.said) or "-"


for noun in customers.MODELS.values():
    admin.site.register(noun, CustomerDataAdmin)


@admin.register(Succession)
class SuccessionAdmin(ReadOnly):
    """Meters that followed each other in one history, and why we think so. Their numbers are masked."""

    owner = "usage_point__subscription__retail_customer"
    hidden = ("earlier_id", "later_id")
    more = ("before", "after")
    list_display = ("usage_point", "before", "after", "reason", "found_at")
    list_filter = ("reason",)
    search_fields = ("usage_point__public_id", "usage_point__subscription__retail_customer__email")
    list_select_related = ("usage_point",)

    @admin.display(description="Before")
    def before(self, succession: Succession) -> str:
        """What the utility called it."""
        return masked(succession.earlier_id)

    @admin.display(description="After")
    def after(self, succession: Succession) -> str:
        """What it calls it since."""
        return masked(succession.later_id)


@admin.register(Consent)
class ConsentAdmin(ReadOnly):
    """What people agreed to, in the words they saw."""

    owner = "retail_customer"
    list_display = ("reference", "customer", "utility", "environment", "agreed_at")
    list_filter = ("utility", "environment")
    search_fields = ("reference", "retail_customer__email", "account_hint")
    list_select_related = ("retail_customer",)


@admin.register(UtilityVisit)
class UtilityVisitAdmin(ReadOnly):
    """People who began at a utility and have not agreed to anything yet."""

    list_display = ("public_id", "utility", "account_hint", "created_at", "expires_at")
    list_filter = ("utility",)
