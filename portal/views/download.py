"""The page "Download my data": the customer's own readings and bills as files."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from espi.export import Days
from portal import limits, periods
from portal.flows import exports
from portal.views.connect import customer
from portal.views.problems import too_many_requests

_EVERYTHING, _DATES = "all", "dates"


class DayField(forms.DateField):
    """A day as browsers send it, between the ends of our calendar."""

    def __init__(self, label: str) -> None:
        super().__init__(
            label=label,
            required=False,
            input_formats=["%Y-%m-%d"],
            widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
            error_messages={"invalid": f"{label}: write the day as year-month-day, for example 2025-03-14."},
        )

    def to_python(self, value: Any) -> date | None:
        """The day. Raises ValidationError."""
        day = super().to_python(value)
        if day and not periods.EARLIEST <= day <= periods.LATEST:
            raise forms.ValidationError(
                f"{self.label}: the day must lie between {periods.EARLIEST.year} and {periods.LATEST.year}."
            )
        return day


class DownloadForm(forms.Form):
    """Which meters, which days, and what kind of file."""

    meter = forms.MultipleChoiceField(
        label="Meters",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one meter."},
    )
    kind = forms.ChoiceField(
        label="Kind of file",
        widget=forms.RadioSelect,
        choices=[
            (exports.READINGS, "Readings, as a table for a spreadsheet (CSV)"),
            (exports.BILLS, "Bills, as a table for a spreadsheet (CSV)"),
            (exports.GREEN_BUTTON, "Readings and bills, for other energy programs (Green Button XML)"),
        ],
        initial=exports.READINGS,
        error_messages={"required": "Choose a kind of file.", "invalid_choice": "Choose a kind of file from the list."},
    )
    period = forms.ChoiceField(
        label="Days",
        error_messages={"required": "Choose which days.", "invalid_choice": "Choose which days from the list."},
    )
    first = DayField("First day")
    last = DayField("Last day")

    def __init__(self, found: list[exports.Choice], *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        meters: forms.MultipleChoiceField = self.fields["meter"]  # type: ignore[assignment]
        meters.choices = [(str(each.public_id), each.name) for each in found]
        period: forms.ChoiceField = self.fields["period"]  # type: ignore[assignment]
        years = [(str(each), str(each)) for each in exports.years(found, today=timezone.now().date())]
        last = (_DATES, "Only the days below")
        period.choices = [(_EVERYTHING, "Everything we hold"), *years, last]

    def clean(self) -> dict[str, Any]:
        """Days and the choice above them have to agree, and the days have to be in order."""
        cleaned = super().clean() or {}
        first, last = cleaned.get("first"), cleaned.get("last")
        if self.errors.keys() & {"period", "first", "last"}:
            return cleaned
        if cleaned["period"] != _DATES:
            if first or last:
                self.add_error("period", "You gave days below: choose them here, or leave the days empty.")
        elif not first:
            self.add_error("first", "Enter the first day.")
        elif not last:
            self.add_error("last", "Enter the last day.")
        elif first > last:
            self.add_error("last", "The last day must not be before the first day.")
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
            return _file(request, form)
        except exports.Nothing as error:
            form.add_error("period", str(error))
        except limits.TooMany as error:
            return too_many_requests(request, retry_after=error.retry_after)
    status = 422 if form.is_bound else 200
    return render(request, "portal/download.html", {"form": form, "has_meters": bool(found)}, status=status)


def _file(request: HttpRequest, form: DownloadForm) -> HttpResponseBase:
    user, cleaned = customer(request), form.cleaned_data
    ids = [UUID(each) for each in cleaned["meter"]]
    file = exports.write(user, ids, cleaned["kind"], form.days(), now=timezone.now())
    limits.one_export(user.pk)
    response = StreamingHttpResponse(file.content, content_type=file.content_type)
    response["Content-Disposition"] = f'attachment; filename="{file.name}"'
    return response
