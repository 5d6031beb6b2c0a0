"""The page "Download my data": the customer's own readings and bills as files."""

from contextlib import suppress
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from espi.export import Days
from portal import limits, periods
from portal.flows import exporting, exports
from portal.models import Export
from portal.views.connect import customer, see_other
from portal.views.problems import too_many_requests

_EVERYTHING, _DATES = "all", "dates"


class DayField(forms.DateField):
    """A day as browsers send it, between the ends of our calendar."""

    def __init__(self, label: Any) -> None:
        super().__init__(
            label=label,
            required=False,
            input_formats=["%Y-%m-%d"],
            widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
            error_messages={
                "invalid": format_lazy(
                    gettext_lazy("{day}: write the day as year-month-day, for example 2025-03-14."), day=label
                )
            },
        )

    def to_python(self, value: Any) -> date | None:
        """The day. Raises ValidationError."""
        day = super().to_python(value)
        if day and not periods.EARLIEST <= day <= periods.LATEST:
            raise forms.ValidationError(
                _("%(day)s: the day must lie between %(first)s and %(last)s.")
                % {"day": self.label, "first": periods.EARLIEST.year, "last": periods.LATEST.year}
            )
        return day


class DownloadForm(forms.Form):
    """Which meters, which days, and what kind of file."""

    meter = forms.MultipleChoiceField(
        label=gettext_lazy("Meters"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": gettext_lazy("Choose at least one meter.")},
    )
    kind = forms.ChoiceField(
        label=gettext_lazy("Kind of file"),
        widget=forms.RadioSelect,
        choices=[
            (exports.READINGS, gettext_lazy("Readings, as a table for a spreadsheet (CSV)")),
            (exports.BILLS, gettext_lazy("Bills, as a table for a spreadsheet (CSV)")),
            (
                exports.REVISIONS,
                gettext_lazy("Corrected readings: what was said first and what was said later, as a table (CSV)"),
            ),
            (exports.GREEN_BUTTON, gettext_lazy("Readings and bills, for other energy programs (Green Button XML)")),
        ],
        initial=exports.READINGS,
        error_messages={
            "required": gettext_lazy("Choose a kind of file."),
            "invalid_choice": gettext_lazy("Choose a kind of file from the list."),
        },
    )
    period = forms.ChoiceField(
        label=gettext_lazy("Days"),
        error_messages={
            "required": gettext_lazy("Choose which days."),
            "invalid_choice": gettext_lazy("Choose which days from the list."),
        },
    )
    first = DayField(gettext_lazy("First day"))
    last = DayField(gettext_lazy("Last day"))

    def __init__(self, found: list[exports.Choice], *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        meters: forms.MultipleChoiceField = self.fields["meter"]  # type: ignore[assignment]
        meters.choices = [(str(each.public_id), each.name) for each in found]
        period: forms.ChoiceField = self.fields["period"]  # type: ignore[assignment]
        years = [(str(each), str(each)) for each in exports.years(found, today=timezone.now().date())]
        last = (_DATES, _("Only the days below"))
        period.choices = [(_EVERYTHING, _("Everything we hold")), *years, last]

    def clean(self) -> dict[str, Any]:
        """Days and the choice above them have to agree, and the days have to be in order."""
        cleaned = super().clean() or {}
        first, last = cleaned.get("first"), cleaned.get("last")
        if self.errors.keys() & {"period", "first", "last"}:
            return cleaned
        if cleaned["period"] != _DATES:
            if first or last:
                self.add_error("period", _("You gave days below: choose them here, or leave the days empty."))
        elif not first:
            self.add_error("first", _("Enter the first day."))
        elif not last:
            self.add_error("last", _("Enter the last day."))
        elif first > last:
            self.add_error("last", _("The last day must not be before the first day."))
        return cleaned

    def days(self) -> Days:
        """The local days of the meters that were asked for."""
        period = self.cleaned_data["period"]
        if period == _DATES:
            return Days(self.cleaned_data["first"], self.cleaned_data["last"] + timedelta(days=1))
        if period == _EVERYTHING:
            return Days()
        return Days(date(int(period), 1, 1), date(int(period) + 1, 1, 1))


@require_http_methods(["GET", "POST"])
@never_cache
@login_required
def download(request: HttpRequest) -> HttpResponseBase:
    """Choose; the answer to the form is the file. 404 for a meter that is not his, 429 after EXPORTS_AN_HOUR."""
    found = exports.choices(customer(request))
    own = {str(each.public_id) for each in found}
    posted = request.POST if request.method == "POST" else None
    asked = posted.getlist("meter") if posted is not None else request.GET.getlist("meter")
    if not own.issuperset(asked):
        raise Http404
    form = DownloadForm(found, posted, initial={"meter": asked or sorted(own)})
    if form.is_valid():
        try:
            return _answer(request, form)
        except exports.Nothing as error:
            form.add_error("period", str(error))
        except limits.TooMany as error:
            return too_many_requests(request, retry_after=error.retry_after)
    status = 422 if form.is_bound else 200
    context = {
        "form": form,
        "has_meters": bool(found),
        "prepared": exporting.of(customer(request), now=timezone.now()),
    }
    return render(request, "portal/download.html", context, status=status)


def _answer(request: HttpRequest, form: DownloadForm) -> HttpResponseBase:
    """The file, or, where it is a very large one, the page again, which says that it is being prepared."""
    ids = [UUID(each) for each in form.cleaned_data["meter"]]
    if form.cleaned_data["kind"] not in exports.OF_READINGS or not exporting.is_large(ids, form.days()):
        return _file(request, form)
    user, kind = customer(request), form.cleaned_data["kind"]
    with suppress(exporting.AlreadyAsked):
        exporting.ask_for_files(user, ids, kind, form.days(), now=timezone.now())
    messages.success(request, _("This is a large file. We prepare it and send you an e-mail when it is ready."))
    return see_other(reverse("download"))


def _file(request: HttpRequest, form: DownloadForm) -> HttpResponseBase:
    user, cleaned = customer(request), form.cleaned_data
    ids = [UUID(each) for each in cleaned["meter"]]
    file = exports.write(user, ids, cleaned["kind"], form.days(), now=timezone.now())
    limits.one_export(user.pk)
    return _sent(file)


def _sent(file: exports.File) -> HttpResponseBase:
    response = StreamingHttpResponse(file.content, content_type=file.content_type)
    response["Content-Disposition"] = f'attachment; filename="{file.name}"'
    return response


@require_POST
@never_cache
@login_required
def customer_data(request: HttpRequest) -> HttpResponseBase:
    """What utilities told of the customer himself. 429 after EXPORTS_AN_HOUR."""
    try:
        file = exports.customer_data(customer(request))
        limits.one_export(customer(request).pk)
    except exports.Nothing as error:
        messages.info(request, str(error))
        return see_other(reverse("download"))
    except limits.TooMany as error:
        return too_many_requests(request, retry_after=error.retry_after)
    return _sent(file)


@require_POST
@never_cache
@login_required
def everything(request: HttpRequest) -> HttpResponse:
    """Ask for everything that is kept of the customer. 429 after EXPORTS_AN_HOUR."""
    try:
        exporting.ask_for_everything(customer(request), now=timezone.now())
    except exporting.AlreadyAsked:
        messages.info(request, _("We are preparing that file already. We send you an e-mail when it is ready."))
    except limits.TooMany as error:
        return too_many_requests(request, retry_after=error.retry_after)
    else:
        messages.success(request, _("We are preparing your file. We send you an e-mail when it is ready."))
    return see_other(reverse("download"))


@require_safe
@login_required
def prepared(request: HttpRequest, public_id: UUID) -> HttpResponseBase:
    """A prepared file. 404 for one that is not his, not ready, or over."""
    mine = exporting.of(customer(request), now=timezone.now()).filter(state=Export.State.READY)
    export = get_object_or_404(mine, public_id=public_id)
    response = StreamingHttpResponse(exporting.content(export), content_type=export.content_type)
    response["Content-Disposition"] = f'attachment; filename="{export.file_name}"'
    response["Content-Length"] = str(export.size)
    response["Cache-Control"] = "private, no-store"
    return response
