"""Evidence for a utility's review: owners take it out, with a reason that is written down."""

import tempfile
from datetime import date, timedelta

from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from portal.flows import looking
from portal.flows.staffing import evidence
from portal.models import StaffAccess
from portal.views.staff.pages import member, show, staff_page

IN_MEMORY = 5_000_000  # bytes


@staff_page("portal.view_staffaccess")
@require_http_methods(["GET", "POST"])
def export(request: HttpRequest) -> HttpResponseBase:
    """Choose the days, say what for, and take the ZIP."""
    today = timezone.now().date()
    first, last = request.POST.get("first", str(today - timedelta(days=365))), request.POST.get("last", str(today))
    reason = request.POST.get("reason", "").replace("\0", "")
    error = problem(first, last, reason) if request.method == "POST" else ""
    if request.method == "POST" and not error:
        return made(request, date.fromisoformat(first), date.fromisoformat(last), reason)
    title = "Error: evidence for a review" if error else "Evidence for a review"
    return show(request, "evidence.html", title, error=error, first=first, last=last, reason=reason)


def problem(first: str, last: str, reason: str) -> str:
    """What is wrong with what was typed; "" for nothing."""
    try:
        begins, ends = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        return "Write both days as in 2026-03-31."
    if not date(2000, 1, 1) <= begins <= ends <= date(2100, 1, 1):
        return "The first day must not be after the last one, and both must be in this century."
    if not looking.SHORTEST_REASON <= len(reason.strip()) <= looking.LONGEST_REASON:
        return f"Say in {looking.SHORTEST_REASON} to {looking.LONGEST_REASON} characters what it is for."
    return ""


def made(request: HttpRequest, first: date, last: date, reason: str) -> FileResponse:
    """The file, once it is written down that it was taken."""
    now = timezone.now()
    looking.note(
        StaffAccess.Kind.EXPORT, f"evidence {first} to {last}", staff=member(request), now=now, reason=reason.strip()
    )
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - the answer closes it
    evidence.write(file, first=first, last=last, now=now)  # type: ignore[arg-type]
    file.seek(0)
    answer = FileResponse(
        file, as_attachment=True, filename=f"evidence-{first}-{last}.zip", content_type="application/zip"
    )
    answer["Cache-Control"] = "private, no-store"
    return answer
