"""The page "I already have a file"."""

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from espi import ingest
from espi.models import Document, Subscription
from portal import limits
from portal.flows import overview
from portal.flows import upload as flow
from portal.models import User
from portal.views.connect import customer, see_other
from portal.views.problems import too_many_requests

_MOST_LINKS = 5
_ENVELOPE = 64 * 1024  # bytes of a posted form beside the file
_TOO_LARGE = "The file is larger than 100 MB. Ask your utility for a shorter period, and upload the parts one by one."
_ZONES = [
    ("", "As the file says"),
    ("America/St_Johns", "Newfoundland"),
    ("America/Halifax", "Atlantic"),
    ("America/New_York", "Eastern (New York)"),
    ("America/Toronto", "Eastern (Toronto)"),
    ("America/Chicago", "Central"),
    ("America/Denver", "Mountain"),
    ("America/Phoenix", "Arizona"),
    ("America/Los_Angeles", "Pacific"),
    ("America/Anchorage", "Alaska"),
    ("Pacific/Honolulu", "Hawaii"),
    ("UTC", "UTC"),
]


class UploadForm(forms.Form):
    """A file and, where the customer knows better than the file, its time zone."""

    file = forms.FileField(
        label="Green Button file",
        help_text="An XML file of up to 100 MB, as you downloaded it from your utility.",
        widget=forms.FileInput(attrs={"accept": ".xml,application/xml,text/xml,application/atom+xml"}),
        error_messages={
            "required": "Choose the file you want to upload.",
            "empty": "The file is empty. Download it again from your utility.",
            "missing": "Choose the file you want to upload.",
            "invalid": "The file did not arrive. Please choose it again.",
        },
    )
    time_zone = forms.ChoiceField(
        label="Time zone of the meter",
        choices=_ZONES,
        required=False,
        help_text="Days begin at midnight there. Most files say it themselves.",
        error_messages={"invalid_choice": "Choose a time zone from the list."},
    )

    def clean_file(self) -> UploadedFile:
        """At most 100 MB."""
        file = self.cleaned_data["file"]
        if file.size > flow.LARGEST:
            raise forms.ValidationError(_TOO_LARGE)
        return file


@csrf_exempt  # so that the size is judged before anything reads the body; `_upload` checks the token
@require_http_methods(["GET", "POST"])
@never_cache
@login_required
def upload(request: HttpRequest) -> HttpResponse:
    """Choose a file; it is read at once, and the answer says what was found."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > flow.LARGEST + _ENVELOPE:
        form = UploadForm(data={})
        form.errors["file"] = form.error_class([_TOO_LARGE], renderer=form.renderer)
        return render(request, "portal/upload.html", {"form": form}, status=413)
    if request.method == "GET":
        return _upload(request)
    try:
        with limits.one_upload(customer(request).pk):
            return _upload(request)
    except limits.TooMany as error:
        return too_many_requests(request, retry_after=error.retry_after)


@csrf_protect
def _upload(request: HttpRequest) -> HttpResponse:
    form = UploadForm(request.POST, request.FILES) if request.method == "POST" else UploadForm()
    if request.method == "GET":
        return render(request, "portal/upload.html", {"form": form})
    if form.is_valid():
        try:
            document, summary = _store(customer(request), form)
        except ingest.DocumentRefused as error:
            form.add_error("file", str(error))
        else:
            _tell(request, document, summary)
            return see_other(reverse("dashboard"))
    return render(request, "portal/upload.html", {"form": form}, status=422)


def _store(user: User, form: UploadForm) -> tuple[Document, dict[str, Any]]:
    file = form.cleaned_data["file"]
    now, zone = timezone.now(), form.cleaned_data["time_zone"] or None
    document = flow.store(user, file.file, file_name=file.name or "", now=now, time_zone=zone)
    return document, flow.outcome(document, now=now)


def _tell(request: HttpRequest, document: Document, summary: dict[str, Any]) -> None:
    readings, bills = summary["readings"], summary["summaries"]
    refused = sum(each["count"] for each in summary["refused"])
    if not readings and not bills:
        details = " Its account details are kept with your files." if flow.tells_of_customer(summary) else ""
        messages.warning(request, f"The file is Green Button data, but it holds no readings and no bills.{details}")
        return
    known = " All of it was here already." if not summary["stored"] + summary["revised"] and not refused else ""
    read = f"{flow.counted(readings, 'reading')} and {flow.counted(bills, 'bill')}"
    messages.success(request, format_html("We read {} from your file.{}{}", read, known, _links(document)))
    if refused:
        reasons = "; ".join(dict.fromkeys(each["why"] for each in summary["refused"]))
        entries = "1 entry" if refused == 1 else f"{refused} entries"
        messages.warning(request, f"{entries} could not be used: {reasons}.")


def _links(document: Document) -> SafeString:
    """To the pages of the file's meters, as the dashboard calls them; of many, to the first few."""
    ours = set(flow.usage_points(document).values_list("pk", flat=True))
    subscription = cast(Subscription, document.subscription)
    meters = [each for each in overview.meters_of([subscription])[subscription.pk] if each.usage_point.pk in ours]
    places = [(reverse("usage_point", args=[each.usage_point.public_id]), each.name) for each in meters[:_MOST_LINKS]]
    links = format_html_join("; ", '<a href="{}">{}</a>', places)
    return format_html(" Look at: {}.", links) if places else SafeString("")
