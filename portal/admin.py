"""The staff site: what the standard's resources are doing, and our registrations with the utilities.

Nothing secret is ever shown. Rows are read-only unless their class says otherwise, and none is deleted by hand: they
end through flows.
"""

import ipaddress
from functools import reduce
from typing import Any, ClassVar

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_permission_codename
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import CharField, Model, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.views.generic import RedirectView
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from unfold.admin import ModelAdmin
from unfold.widgets import (
    UnfoldAdminDateWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminURLInputWidget,
    UnfoldBooleanSwitchWidget,
)

import utilities
from espi import archive, customers
from espi.fields import EncryptedTextField
from espi.models import (
    ApplicationInformation,
    Authorization,
    AuthorizationRequest,
    Document,
    ElectricPowerQualitySummary,
    FetchJob,
    Notification,
    ProgramIdMapping,
    Subscription,
    Succession,
    UsagePoint,
)
from espi.models.customer import CustomerResource
from portal.acceptance import masking
from portal.flows import looking, mailing, registration_checks, registrations
from portal.flows.staffing import work
from portal.flows.staffing.masking import masked, masked_email
from portal.models import Circuit, Consent, DataGap, FetchPlan, Heartbeat, StaffAccess, StaffAlert, User, UtilityVisit
from portal.views import problems
from portal.views.connect import see_other
from portal.views.staff.pages import member, reason_address, tell_acted


def staff_login(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """The site's own sign-in; whoever is signed in and no staff gets the 403 page, without a fault in the log."""
    if request.user.is_authenticated and not (request.user.is_staff and request.user.is_active):
        return problems.forbidden(request)
    return _secure_login(request, extra_context)


_secure_login = secure_admin_login(admin.site.login)
admin.site.login = staff_login  # type: ignore[method-assign]
admin.site.password_change = RedirectView.as_view(  # type: ignore[assignment,method-assign]
    pattern_name="account_change_password"
)
# django-allauth's own pages here would show session keys, and let staff confirm addresses and take second steps away.
# The settings say what runs when: the scheduler would run any task that somebody writes into its tables.
SCHEDULES = (PeriodicTask, ClockedSchedule, CrontabSchedule, IntervalSchedule, SolarSchedule)
for model in (EmailAddress, Authenticator, UserSession, Group, *SCHEDULES):
    if admin.site.is_registered(model):
        admin.site.unregister(model)

SECRETS = ("client_secret", "subscription_key", "registration_access_token", "api_token", "webhook_secret")
ADDRESSES = ("authorize_url", "token_url", "resource_base")
IDENTITY = ("utility", "environment", "edition")
LONGEST_BODY = 4000
MOST_LINKS = 200
DATE_PARTS = {"year": range(1990, 2101), "month": range(1, 13), "day": range(1, 32)}
FILTER_KINDS = ("", "exact", "id__exact", "isnull")


class StaffModelAdmin(ModelAdmin):
    """Filters only by what its page offers: any other lookup would tell a hidden field's letters one by one.

    `owner`: the way from a row to the customer whose data it holds ("subscription__retail_customer"; "self": the row is
    the customer). Such a row is shown only after a reason was given, and each look is written down.
    """

    owner: ClassVar[str] = ""

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """The row's page."""
        return self.first_a_reason(request, object_id) or super().changeform_view(request, object_id, *args, **kwargs)

    def history_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> Any:
        """What staff did with the row."""
        return self.first_a_reason(request, object_id) or super().history_view(request, object_id, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """The list. Looking through customers' rows is written down, too."""
        if self.owner and self.has_view_permission(request):
            what = f"list of {self.opts.label_lower}"
            looking.note(StaffAccess.Kind.LOOK, what, staff=member(request), now=timezone.now())
        return super().changelist_view(request, *args, **kwargs)

    def first_a_reason(self, request: HttpRequest, object_id: str | None) -> HttpResponse | None:
        """Writes the look down; or to the page that asks for the reason. None: the page may be shown, or is refused."""
        row = self.get_object(request, unquote(object_id)) if self.owner and object_id else None
        if row is None or not self.has_view_permission(request, row):
            return None
        customer = row if self.owner == "self" else reduce(getattr, self.owner.split("__"), row)
        if not isinstance(customer, User):
            return None
        try:
            what = f"{self.opts.label_lower} {row.pk}"
            looking.look(staff=member(request), customer=customer, what=what, now=timezone.now())
        except looking.NoReason:
            return see_other(reason_address(customer.pk, request.path))
        return None

    @admin.display(description="Customer")
    def customer(self, row: Any) -> str:
        """Whose it is, masked."""
        return masked_email(str(row.retail_customer)) if row.retail_customer else "-"

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """The page's filters, whole dates of its date hierarchy, and the row's number."""
        name, _, kind = lookup.partition("__")
        if self.date_hierarchy and name == self.date_hierarchy:
            return kind in DATE_PARTS and value.isdecimal() and len(value) <= 4 and int(value) in DATE_PARTS[kind]
        if name in ("pk", self.model._meta.pk.name):
            return kind in ("", "exact")
        return name in self.list_filter and kind in FILTER_KINDS


class ReadOnly(StaffModelAdmin):
    """Rows to look at. Encrypted fields, and those named in `hidden`, are left out whatever the model gains."""

    hidden: ClassVar[tuple[str, ...]] = ()
    more: ClassVar[tuple[str, ...]] = ()
    list_per_page = 50
    show_full_result_count = False

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Every field that may be seen, then the computed ones."""
        shown = [field.name for field in self.model._meta.fields if not isinstance(field, EncryptedTextField)]
        return [name for name in shown if name not in self.hidden] + list(self.more)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """All of them."""
        return self.get_fields(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody."""
        return False


class Operated(ReadOnly):
    """Rows whose work staff may set going or end, through flows; the row's history says who did."""

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Staff who may change such rows, and superusers."""
        options = self.model._meta
        return request.user.has_perm(f"{options.app_label}.{get_permission_codename('change', options)}")


# --- Registrations -----------------------------------------------------------------------------------------------


def standing(app: ApplicationInformation) -> str:
    """Whether customers are offered this registration and, if they are not, why."""
    try:
        utility = utilities.get(app.utility)
        utility.declared(app)
    except KeyError:
        return "Not offered: we know no such utility, environment and edition."
    missing = utility.missing(app)
    if missing:
        return f"Not offered to customers. Still missing: {', '.join(missing)}."
    if not app.is_offered:
        return "Not offered to customers, although nothing is missing: “Is offered” is off."
    return f"Customers are offered {utility.long_name} through this registration."


def address_field() -> forms.CharField:
    """An address that replaces a declared one; `registration_checks` says what is wrong with one that cannot."""
    help_text = "Empty: the declared address. It can only lead to hosts that the utility is known by."
    return forms.CharField(required=False, max_length=500, widget=UnfoldAdminURLInputWidget, help_text=help_text)


class RegistrationForm(forms.ModelForm):
    """Secrets go in and never come out: an empty box keeps what is stored."""

    authorize_url = address_field()
    token_url = address_field()
    resource_base = address_field()
    try_credentials = forms.BooleanField(
        required=False,
        initial=True,
        label="Try changed credentials first",
        help_text="Asks the utility for a client token with them, and saves nothing that it does not accept.",
        widget=UnfoldBooleanSwitchWidget,
    )

    class Meta:
        model = ApplicationInformation
        fields = (
            *IDENTITY,
            "is_offered",
            "client_id",
            "third_party_id",
            "bulk_id",
            "customer_bulk_id",
            *SECRETS,
            "secret_ends_on",
            "client_certificate_path",
            "client_key_path",
            "ca_bundle_path",
            "notify_networks",
            *ADDRESSES,
        )
        widgets: ClassVar[dict[str, forms.Widget]] = {
            **{name: UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}) for name in SECRETS},
            "secret_ends_on": UnfoldAdminDateWidget(),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in SECRETS:
            if name in self.fields:
                self.initial.pop(name, None)
                stored = "Stored. Leave empty to keep it." if getattr(self.instance, name) else "Not set."
                self.fields[name].help_text = f"{stored} {self.fields[name].help_text}"
        if "utility" in self.fields:
            choices = [(utility.slug, utility.long_name) for utility in utilities.all()]
            self.fields["utility"] = forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget)

    def clean_notify_networks(self) -> str:
        """Networks that can be read."""
        said: str = self.cleaned_data["notify_networks"]
        try:
            return " ".join(str(ipaddress.ip_network(each)) for each in said.replace(",", " ").split())
        except ValueError as problem:
            raise forms.ValidationError(f"Not a network: {problem}.") from None

    def clean(self) -> dict[str, Any]:
        """Keep stored secrets; judge addresses by the utility's own list of hosts."""
        cleaned = super().clean() or self.cleaned_data
        for name in SECRETS:
            if name in self.fields:
                cleaned[name] = cleaned.get(name) or getattr(self.instance, name)
        app = ApplicationInformation(**{name: cleaned.get(name, getattr(self.instance, name)) for name in IDENTITY})
        self._check_identity(app)
        if not self.errors:
            self._check_values(cleaned)
            self._check_takes_over(cleaned)
        if not self.errors and cleaned.get("try_credentials"):
            self._try_credentials(cleaned)
        return cleaned

    def _check_identity(self, app: ApplicationInformation) -> None:
        try:
            utilities.get(app.utility).declared(app)
        except KeyError:
            self.add_error(None, "This utility has no such environment and edition.")

    def _told(self, cleaned: dict[str, Any]) -> ApplicationInformation:
        """The registration as it would be saved."""
        fields = [field.name for field in ApplicationInformation._meta.concrete_fields]
        return ApplicationInformation(**{name: cleaned.get(name, getattr(self.instance, name)) for name in fields})

    def _check_values(self, cleaned: dict[str, Any]) -> None:
        for name, words in registration_checks.problems(self._told(cleaned)).items():
            if name in self.fields and (name in self.changed_data or name in ADDRESSES):
                self.add_error(name, words)

    def _try_credentials(self, cleaned: dict[str, Any]) -> None:
        """Only what was changed is worth a call; nothing is saved that the utility does not accept."""
        if {*registration_checks.CREDENTIALS, "client_certificate_path", "client_key_path"} & set(self.changed_data):
            name, words = registration_checks.refused_credentials(self._told(cleaned))
            if name:
                self.add_error(name, words)

    def _check_takes_over(self, cleaned: dict[str, Any]) -> None:
        """One that is ticked takes the place of the one offered now, unless nobody could connect through it."""
        told = {name: cleaned.get(name, getattr(self.instance, name)) for name in RegistrationForm.Meta.fields}
        app = ApplicationInformation(**told)
        others = ApplicationInformation.objects.filter(utility=app.utility, is_offered=True).exclude(
            pk=self.instance.pk
        )
        missing = utilities.get(app.utility).missing(app)
        if app.is_offered and missing and (other := others.first()):
            words = f"It cannot take the place of “{other}” yet. Still missing: {', '.join(missing)}."
            self.add_error("is_offered", words)

    def _post_clean(self) -> None:
        """The database lets one registration of a utility be offered. Saving sees to that, so it is no mistake here."""
        wanted = self.cleaned_data.get("is_offered", False)
        self.cleaned_data["is_offered"] = False
        super()._post_clean()  # type: ignore[misc]  # Django documents it in ModelForm, its stubs do not
        self.cleaned_data["is_offered"] = self.instance.is_offered = wanted


@admin.register(ApplicationInformation)
class ApplicationInformationAdmin(StaffModelAdmin):
    """Our registrations. Superusers edit them; what a utility gave us goes in and cannot be read back."""

    form = RegistrationForm
    list_display = ("utility", "edition", "environment", "standing", "updated_at")
    list_filter = ("utility", "environment", "is_offered")
    search_fields = ("utility", "client_id", "third_party_id")
    ordering = ("utility", "edition", "environment")
    fieldsets = (
        (None, {"fields": ("standing", *IDENTITY, "is_offered")}),
        (
            "What the utility gave us",
            {
                "fields": (
                    "client_id",
                    "third_party_id",
                    "bulk_id",
                    "customer_bulk_id",
                    *SECRETS,
                    "secret_ends_on",
                    "try_credentials",
                )
            },
        ),
        ("Where notifications come from", {"fields": ("notify_networks",)}),
        ("Files on the server", {"fields": ("client_certificate_path", "client_key_path", "ca_bundle_path")}),
        ("Addresses, where they differ from the declared ones", {"fields": ADDRESSES}),
        ("What we gave the utility", {"fields": ("our_addresses",)}),
    )

    @admin.display(description="Offered to customers?")
    def standing(self, app: ApplicationInformation) -> str:
        """In words, with what is missing."""
        return standing(app) if app.pk else "Not saved yet."

    @admin.display(description="Our addresses")
    def our_addresses(self, app: ApplicationInformation) -> str:
        """As they stand on the registration form; the notification address ends in a secret and is not shown."""
        if not app.pk:
            return "Known once this is saved."
        try:
            utility = utilities.get(app.utility)
        except KeyError:
            return "-"
        places = (utility.redirect_uri(app), utility.scope_selection_uri(app), utility.portal_uri(app))
        return format_html_join("\n", "<div>{}</div>", ((place,) for place in places))

    def get_fieldsets(self, request: HttpRequest, obj: ApplicationInformation | None = None) -> Any:
        """Whoever may only look sees every field as text: for him the secrets are left out."""
        if self.has_change_permission(request, obj):
            return self.fieldsets
        left = ((title, [name for name in group["fields"] if name not in SECRETS]) for title, group in self.fieldsets)
        return [(title, {"fields": names}) for title, names in left]

    def get_readonly_fields(self, request: HttpRequest, obj: ApplicationInformation | None = None) -> tuple[str, ...]:
        """Which profile a row belongs to is settled when it is made: authorizations hang on it."""
        return ("standing", "our_addresses", *(IDENTITY if obj else ()))

    def save_model(
        self, request: HttpRequest, obj: ApplicationInformation, form: forms.ModelForm, change: bool
    ) -> None:
        """What was changed on the page and nothing else: a token may have been renewed since it was opened.

        One that is offered takes the place of what was, as with `offer_utility`, and staff are told.
        """
        changed = set(form.changed_data) - {"try_credentials"}
        with transaction.atomic():
            before = registrations.take_over(obj) if obj.is_offered else None
            registrations.save(obj, changed)
        if before:
            words = f"Customers are now offered “{obj}”, in place of “{before}”, which is no longer offered."
            messages.warning(request, words)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Superusers."""
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Superusers."""
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody: switch it off instead."""
        return False


# --- Customers' connections --------------------------------------------------------------------------------------


@admin.register(Authorization)
class AuthorizationAdmin(ReadOnly):
    """How each connection stands. Tokens appear as dates only."""

    owner = "retail_customer"
    list_display = ("application_information", "customer", "account_hint", "status", "created_at", "ended_at")
    list_filter = ("status", "application_information")
    search_fields = ("public_id", "account_hint", "retail_customer__email", "utility_subscription_id")
    list_select_related = ("application_information", "retail_customer")
    date_hierarchy = "created_at"


@admin.register(AuthorizationRequest)
class AuthorizationRequestAdmin(ReadOnly):
    """Each journey to a utility and back, and how it ended."""

    owner = "retail_customer"
    hidden = ("browser_hash", "state_hash", "code_hash")
    list_display = ("application_information", "customer", "status", "reason", "created_at", "returned_at")
    list_filter = ("status", "application_information")
    search_fields = ("public_id", "retail_customer__email")
    list_select_related = ("application_information", "retail_customer")
    date_hierarchy = "created_at"


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
    hidden = ("title", "said_at")
    list_display = ("resource_id", "subscription", "service_kind", "time_zone", "created_at")
    list_filter = ("service_kind",)
    search_fields = ("public_id", "subscription__retail_customer__email")
    list_select_related = ("subscription",)


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


# --- Exchange with the utilities ---------------------------------------------------------------------------------


@admin.register(FetchJob)
class FetchJobAdmin(Operated):
    """Work that waits, runs or ended, and why."""

    hidden = ("url", "claim", "reason")
    actions = ("retry", "cancel", "ask_again")
    more = ("address", "why", "documents")
    list_display = ("kind", "application_information", "state", "why", "attempts", "not_before", "finished_at")
    list_filter = ("state", "kind", "application_information")
    list_select_related = ("application_information",)
    date_hierarchy = "created_at"

    @admin.display(description="Reason")
    def why(self, job: FetchJob) -> str:
        """In words. It may repeat a link of the file, whose ids can be account numbers."""
        return masked(job.reason)

    @admin.display(description="Documents")
    def documents(self, job: FetchJob) -> str:
        """What it brought, or was sent and refused."""
        found = job.documents.order_by("pk")
        rows = ((reverse("admin:espi_document_change", args=[each.pk]), each) for each in found)
        return format_html_join("\n", '<div><a href="{}">{}</a></div>', rows) or "None"

    @admin.display(description="Address")
    def address(self, job: FetchJob) -> str:
        """Where it asks, without the query."""
        return masked(job.url)

    @admin.action(description="Try again now", permissions=["operate"])
    def retry(self, request: HttpRequest, jobs: QuerySet[FetchJob]) -> None:
        """What failed or waits, as if it had just been asked for."""
        tell_acted(request, work.RETRY, list(jobs))

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, jobs: QuerySet[FetchJob]) -> None:
        """What has not ended yet."""
        tell_acted(request, work.CANCEL, list(jobs))

    @admin.action(description="Ask again", permissions=["operate"])
    def ask_again(self, request: HttpRequest, jobs: QuerySet[FetchJob]) -> None:
        """The same once more, for what has ended."""
        tell_acted(request, work.ASK_AGAIN, list(jobs))


@admin.register(Notification)
class NotificationAdmin(Operated):
    """What was posted to us, masked."""

    hidden = ("body", "refused_urls")
    actions = ("replay",)
    more = ("beginning", "refused", "jobs")
    list_display = ("application_information", "state", "reason", "received_at", "source_address")
    list_filter = ("state", "application_information")
    list_select_related = ("application_information",)
    date_hierarchy = "received_at"

    @admin.display(description="Body")
    def beginning(self, notification: Notification) -> str:
        """The first characters, as text."""
        text = bytes(notification.body[: LONGEST_BODY * 4]).decode("utf-8", errors="replace")
        return masked(text[:LONGEST_BODY])

    @admin.display(description="Refused URLs")
    def refused(self, notification: Notification) -> str:
        """Each with its reason."""
        rows = ((masked(str(url)), str(reason)) for url, reason in notification.refused_urls)
        return format_html_join("\n", "<div>{}: {}</div>", rows) or "None"

    @admin.display(description="Jobs")
    def jobs(self, notification: Notification) -> str:
        """What it led to."""
        found = notification.fetch_jobs.order_by("pk")[:MOST_LINKS]
        rows = ((reverse("admin:espi_fetchjob_change", args=[each.pk]), each.pk, each) for each in found)
        return format_html_join("\n", '<div><a href="{}">{}: {}</a></div>', rows) or "None"

    @admin.action(description="Replay", permissions=["operate"])
    def replay(self, request: HttpRequest, notifications: QuerySet[Notification]) -> None:
        """What was set aside, or led to less than it named, is looked at again."""
        tell_acted(request, work.REPLAY, list(notifications))


@admin.register(Document)
class DocumentAdmin(ReadOnly):
    """What arrived: its size, where from, and what was found in it. Of contents, only those that were refused.

    What a customer called his file may be his name or street.
    """

    hidden = ("url", "refusal", "file_name")
    actions = ("download",)
    more = ("address", "refused", "left_out", "contradictions", "beginning")
    list_display = (
        "received_at",
        "application_information",
        "subscription",
        "size",
        "refused",
        "left_out",
        "contradictions",
    )
    list_filter = ("application_information",)
    search_fields = ("public_id", "sha256")
    list_select_related = ("application_information", "subscription")
    date_hierarchy = "received_at"

    @admin.display(description="Address")
    def address(self, document: Document) -> str:
        """Where it came from, without the query."""
        return masked(document.url) or "-"

    @admin.display(description="Why it was refused")
    def refused(self, document: Document) -> str:
        """In words; a dash for what was taken in."""
        return masked(document.refusal) or "-"

    @admin.display(description="Refused readings and other things")
    def left_out(self, document: Document) -> int:
        """How many of its statements were refused; the summary says which, and why."""
        return sum(each["count"] for each in document.summary.get("refused", ()))

    @admin.display(description="Where it contradicts itself, or its utility")
    def contradictions(self, document: Document) -> str:
        """In words, with how often."""
        found = [f"{each['what']}: {each['why']} ({each['count']})" for each in document.summary.get("remarks", ())]
        return "; ".join(found) or "-"

    @admin.display(description="Beginning of what was refused")
    def beginning(self, document: Document) -> str:
        """Its elements, without what they say of a customer."""
        if not document.refusal:
            return "-"
        return masked(masking.body(next(archive.content(document), b"")[:LONGEST_BODY], document.content_type))

    def has_download_permission(self, request: HttpRequest) -> bool:
        """Superusers: nothing in it is masked."""
        return request.user.is_superuser

    @admin.action(description="Download what was refused, as it was received", permissions=["download"])
    def download(self, request: HttpRequest, documents: QuerySet[Document]) -> HttpResponseBase | None:
        """One document's bytes, for whoever has to find out what the utility sent. The row's history says who took them."""
        document = documents.exclude(refusal="").first()
        if document is None or documents.count() > 1:
            self.message_user(request, "Choose one document that was refused.", messages.WARNING)
            return None
        self.log_change(request, document, "Downloaded.")
        headers = {
            "Content-Disposition": f'attachment; filename="{document.public_id}.bin"',
            "Cache-Control": "no-store",
        }
        return StreamingHttpResponse(archive.content(document), "application/octet-stream", headers=headers)


# --- How the work stands ---------------------------------------------------------------------------------------------


@admin.register(Circuit)
class CircuitAdmin(ReadOnly):
    """Whether each utility is called, and if not, why. Saving new credentials closes one."""

    list_display = ("application_information", "opened_at", "cause", "reason", "probe_at", "outcomes")
    list_select_related = ("application_information",)


@admin.register(FetchPlan)
class FetchPlanAdmin(ReadOnly):
    """What is asked for again and again, when next, and how far it is complete."""

    list_display = ("authorization", "part", "next_at", "asked_to", "answered_at", "complete_to")
    list_filter = ("part", "application_information")
    list_select_related = ("authorization__application_information", "application_information")


@admin.register(DataGap)
class DataGapAdmin(ReadOnly):
    """Days without readings between others, and how often they were asked for again."""

    list_display = ("meter_reading", "first_day", "last_day", "times_asked", "asked_at", "filled_at")


@admin.register(StaffAlert)
class StaffAlertAdmin(ReadOnly):
    """What staff must look at, or had to."""

    list_display = ("subject", "opened_at", "closed_at", "mailed_at")
    list_filter = ("application_information",)
    date_hierarchy = "opened_at"


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnly):
    """Workers and the scheduler, and when each last showed that it is alive."""

    list_display = ("name", "at")


# --- People ------------------------------------------------------------------------------------------------------


@admin.register(User)
class UserAdmin(StaffModelAdmin):
    """People. Staff cannot set a password; they can ask somebody to set a new one. Only superusers change rights."""

    owner = "self"
    fields = ("email", "is_active", "is_staff", "is_superuser", "date_joined", "last_login")
    list_display = ("masked_address", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email",)
    ordering = ("email",)
    actions = ("ask_for_new_password",)

    @admin.display(description="E-mail address", ordering="email")
    def masked_address(self, user: User) -> str:
        """Enough to tell people apart; in full on the person's own page."""
        return masked_email(user.email)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Addresses change only by their owner; rights only by a superuser."""
        fixed = ("email", "date_joined", "last_login")
        return fixed if request.user.is_superuser else (*fixed, "is_active", "is_staff", "is_superuser")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """People register themselves."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """An account is closed by switching it off."""
        return False

    @admin.action(description="Ask by e-mail to set a new password", permissions=["view"])
    def ask_for_new_password(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """A message with the address of the reset page, once an hour. The code is sent only when its owner asks for it there."""
        now = timezone.now()
        for user in users:
            mailing.post("please_reset", f"{user.pk} {now:%Y-%m-%d %H}", now=now, user=user)
            what = f"portal.user {user.pk}: asked to set a new password"
            looking.note(StaffAccess.Kind.ACT, what, staff=member(request), customer=user, now=now)
        self.message_user(request, f"Sent to {users.count()} address(es).")


from portal import letters_admin  # noqa: E402, F401 - its pages belong to this site too
