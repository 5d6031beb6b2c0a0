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
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
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
from portal.words import retold

_MOST_LINKS = 5
_ENVELOPE = 64 * 1024  # bytes of a posted form beside the file
_TOO_LARGE = _(
    "The file is larger than 100 MB. Ask your utility for a shorter period, and upload the parts one by one."
)
_ZONES = [
    ("", _("As the file says")),
    ("America/St_Johns", _("Newfoundland")),
    ("America/Halifax", _("Atlantic")),
    ("America/New_York", _("Eastern (New York)")),
    ("America/Toronto", _("Eastern (Toronto)")),
    ("America/Chicago", _("Central")),
    ("America/Denver", _("Mountain")),
    ("America/Phoenix", _("Arizona")),
    ("America/Los_Angeles", _("Pacific")),
    ("America/Anchorage", _("Alaska")),
    ("Pacific/Honolulu", _("Hawaii")),
    ("UTC", "UTC"),
]


class UploadForm(forms.Form):
    """A file and, where the customer knows better than the file, its time zone."""

    file = forms.FileField(
        label=_("Green Button file"),
        help_text=_("An XML file of up to 100 MB, as you downloaded it from your utility."),
        widget=forms.FileInput(attrs={"accept": ".xml,application/xml,text/xml,application/atom+xml"}),
        error_messages={
            "required": _("Choose the file you want to upload."),
            "empty": _("The file is empty. Download it again from your utility."),
            "missing": _("Choose the file you want to upload."),
            "invalid": _("The file did not arrive. Please choose it again."),
        },
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone of the meter"),
        choices=_ZONES,
        required=False,
        help_text=_("Days begin at midnight there. Most files say it themselves."),
        error_messages={"invalid_choice": _("Choose a time zone from the list.")},
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
        form.errors["file"] = form.error_class([str(_TOO_LARGE)], renderer=form.renderer)
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
            form.add_error("file", retold(str(error)) or str(error))
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
        said = [gettext("The file is Green Button data, but it holds no readings and no bills.")]
        if flow.tells_of_customer(summary):
            said.append(gettext("Its account details are kept with your files."))
        messages.warning(request, " ".join(said))
        return
    messages.success(request, format_html("{} {}", _read(summary, is_known=not refused), _links(document)))
    if refused:
        reasons = "; ".join(dict.fromkeys(each["why"] for each in summary["refused"]))
        words = ngettext(
            "%(number)s entry could not be used: %(why)s.", "%(number)s entries could not be used: %(why)s.", refused
        )
        messages.warning(request, words % {"number": refused, "why": reasons})


def _read(summary: dict[str, Any], *, is_known: bool) -> str:
    """How much was read, and, if `is_known` and nothing new was in it, that it was here already."""
    readings, bills = summary["readings"], summary["summaries"]
    counted = {
        "readings": ngettext("%(number)s reading", "%(number)s readings", readings) % {"number": readings},
        "bills": ngettext("%(number)s bill", "%(number)s bills", bills) % {"number": bills},
    }
    said = gettext("We read %(readings)s and %(bills)s from your file.") % counted
    if is_known and not summary["stored"] + summary["revised"]:
        said += " " + gettext("All of it was here already.")
    return said


def _links(document: Document) -> SafeString:
    """To the pages of the file's meters, as the dashboard calls them; of many, to the first few."""
    ours = set(flow.usage_points(document).values_list("pk", flat=True))
    subscription = cast(Subscription, document.subscription)
    meters = [each for each in overview.meters_of([subscription])[subscription.pk] if each.usage_point.pk in ours]
    places = [(reverse("usage_point", args=[each.usage_point.public_id]), each.name) for each in meters[:_MOST_LINKS]]
    links = format_html_join("; ", '<a href="{}">{}</a>', places)
    return format_html("{} {}.", gettext("Look at:"), links) if places else SafeString("")
