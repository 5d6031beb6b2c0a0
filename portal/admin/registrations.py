"""Our registrations with the utilities. Secrets go in and never come out."""

import ipaddress
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html_join
from unfold.widgets import (
    UnfoldAdminDateWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminURLInputWidget,
    UnfoldBooleanSwitchWidget,
)

import utilities
from espi.models import (
    ApplicationInformation,
)
from portal.admin.base import StaffModelAdmin
from portal.flows import registration_checks, registrations

SECRETS = ("client_secret", "subscription_key", "registration_access_token", "api_token", "webhook_secret")
ADDRESSES = ("authorize_url", "token_url", "resource_base")
IDENTITY = ("utility", "environment", "edition")


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
