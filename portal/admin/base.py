"""What all its tables share: filters, what may be seen, a reason before a customer's row."""

from datetime import timedelta
from functools import reduce
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_permission_codename
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.forms import ActionForm
from unfold.paginator import InfinitePaginator

from espi.fields import EncryptedTextField
from portal.flows import looking
from portal.flows.staffing.masking import masked_email
from portal.models import StaffAccess, User
from portal.views.connect import see_other
from portal.views.staff.pages import member, reason_address

FILTER_KINDS = ("", "exact", "id__exact", "isnull")
SINCE = {1: "The last 24 hours", 7: "The last 7 days", 30: "The last 30 days", 365: "The last year"}


class Since(admin.SimpleListFilter):
    """Rows of the last days, by the moment that `newest_by` of the table's class names.

    Not by Django's date hierarchy, which reads the whole table for the years that it offers.
    """

    title = "when"
    parameter_name = "since"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Days, in words."""
        return [(str(days), words) for days, words in SINCE.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those, or all."""
        days = next((each for each in SINCE if str(each) == self.value()), None)
        if days is None:
            return queryset
        return queryset.filter(**{f"{self.newest_by}__gte": timezone.now() - timedelta(days=days)})

    newest_by = "created_at"


def since(field: str) -> type[Since]:
    """The filter, by this field."""
    return type("Since", (Since,), {"newest_by": field})


class Ticked(ActionForm):
    """What to do with the rows that were ticked, a page of them at most: never with "all", for which there is no button."""

    select_across = forms.BooleanField(disabled=True, required=False, initial=False, widget=forms.HiddenInput)


class StaffModelAdmin(ModelAdmin):
    """Lists are never counted: page by page, back and forth. Filters only by what its page offers: any other lookup would tell a hidden field's letters one by one.

    `owner`: the way from a row to the customer whose data it holds ("subscription__retail_customer"; "self": the row is
    the customer). Such a row is shown only after a reason was given, and each look is written down.
    `is_work`: operators, who see no customer, open it without a reason; that they looked is written down all the same.
    """

    owner: ClassVar[str] = ""
    is_work: ClassVar[bool] = False
    paginator = InfinitePaginator
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_disable_select_all = True
    action_form = Ticked

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """The row's page."""
        return self.first_a_reason(request, object_id) or super().changeform_view(request, object_id, *args, **kwargs)

    def history_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> Any:
        """What staff did with the row."""
        return self.first_a_reason(request, object_id) or super().history_view(request, object_id, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """The list. Looking through customers' rows is written down, too."""
        if "\0" in "".join(value for _, values in request.GET.lists() for value in values):  # no row's text has one
            return see_other(request.path)
        if self.owner and self.has_view_permission(request):
            what = f"list of {self.opts.label_lower}"
            looking.note(StaffAccess.Kind.LOOK, what, staff=member(request), now=timezone.now())
        return super().changelist_view(request, *args, **kwargs)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """What is done to ticked rows; back to the list where something posted cannot be the number of a row."""
        try:
            queryset.filter(pk__in=request.POST.getlist(ACTION_CHECKBOX_NAME))
        except (ValueError, ValidationError):
            return see_other(request.path)
        return super().response_action(request, queryset)

    def first_a_reason(self, request: HttpRequest, object_id: str | None) -> HttpResponse | None:
        """Writes the look down; or to the page that asks for the reason. None: the page may be shown, or is refused."""
        row = self.get_object(request, unquote(object_id)) if self.owner and object_id else None
        if row is None or not self.has_view_permission(request, row):
            return None
        customer = row if self.owner == "self" else reduce(_of, self.owner.split("__"), row)
        if not isinstance(customer, User):
            return None
        what, now = f"{self.opts.label_lower} {row.pk}", timezone.now()
        if self.is_work and not looking.may_look(member(request)):
            looking.note(StaffAccess.Kind.LOOK, what, staff=member(request), customer=customer, now=now)
            return None
        try:
            looking.look(staff=member(request), customer=customer, what=what, now=now)
        except looking.NoReason:
            return see_other(reason_address(customer.pk, request.path))
        return None

    @admin.display(description="Customer")
    def customer(self, row: Any) -> str:
        """Whose it is, masked."""
        return masked_email(str(row.retail_customer)) if row.retail_customer else "-"

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """The page's filters, and the row's number."""
        name, _, kind = lookup.partition("__")
        if lookup in {each.parameter_name for each in self.list_filter if hasattr(each, "parameter_name")}:
            return True
        if name in ("pk", self.model._meta.pk.name):
            return kind in ("", "exact")
        return name in self.list_filter and kind in FILTER_KINDS


def _of(row: Any, name: str) -> Any:
    """What a row leads to by this name; None for none."""
    return None if row is None else getattr(row, name)


class ReadOnly(StaffModelAdmin):
    """Rows to look at. Encrypted fields, and those named in `hidden`, are left out whatever the model gains.

    `deferred`: fields too long to be read for a list.
    """

    hidden: ClassVar[tuple[str, ...]] = ()
    more: ClassVar[tuple[str, ...]] = ()
    deferred: ClassVar[tuple[str, ...]] = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Without what is read only for a row's own page."""
        return super().get_queryset(request).defer(*self.deferred)

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
