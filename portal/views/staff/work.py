"""How the work stands: health of each utility, and the queues with what staff may do."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from espi.models import ApplicationInformation
from portal.flows import holding
from portal.flows.staffing import ending as soon
from portal.flows.staffing import health as standing
from portal.flows.staffing import work
from portal.flows.staffing.masking import masked
from portal.views.connect import see_other
from portal.views.staff.pages import member, number, show, staff_page, tell_acted


@staff_page("portal.view_heartbeat")
@require_GET
def health(request: HttpRequest) -> HttpResponse:
    """Each utility, the workers, the queues and what staff must look at."""
    context = {"health": standing.look(timezone.now()), "queues": work.QUEUES.values(), "sizes": work.sizes()}
    return show(request, "health.html", "Health", **context)


@staff_page("portal.view_heartbeat")
@require_GET
def ending(request: HttpRequest) -> HttpResponse:
    """Files, certificates, secrets, tokens and connections that are running out."""
    now = timezone.now()
    context = {
        "credentials": soon.credentials(now),
        "files": soon.files(now),
        "tokens": soon.stale_tokens(now),
        "idle": soon.idle_connections(now),
        "most": soon.MOST,
    }
    return show(request, "ending.html", "What ends soon", **context)


@staff_page("espi.view_fetchjob")
@require_GET
def queue(request: HttpRequest, slug: str) -> HttpResponse:
    """A page of one queue, newest first; with its reasons, masked."""
    if slug not in work.QUEUES:
        raise Http404
    chosen, app, now = work.QUEUES[slug], number(request.GET.get("registration")), timezone.now()
    rows, older = work.rows(chosen, before=number(request.GET.get("before")), app_id=app)
    has_room = holding.rooms(now)
    acts = {key: work.ACTS[key] for key in chosen.acts if member(request).has_perm(work.ACTS[key].permission)}
    context = {
        "queue": chosen,
        "queues": work.QUEUES.values(),
        "rows": [(row, masked(work.why(row, now, has_room)), work.paused_until(row, now)) for row in rows],
        "older": older,
        "acts": acts,
        "registrations": ApplicationInformation.objects.order_by("utility", "edition", "environment"),
        "registration": app,
    }
    return show(request, "queue.html", f"Work: {chosen.name.lower()}", **context)


@staff_page("espi.change_fetchjob", "espi.change_notification")
@require_POST
def act(request: HttpRequest, slug: str) -> HttpResponse:
    """Do something with the rows that were chosen; then back to the queue."""
    if slug not in work.QUEUES:
        raise Http404
    queue, key = work.QUEUES[slug], request.POST.get("act", "")
    if key not in queue.acts:
        raise Http404
    if not member(request).has_perm(work.ACTS[key].permission):
        raise PermissionDenied
    chosen = [found for each in request.POST.getlist("row")[: work.AT_ONCE] if (found := number(each)) is not None]
    rows = list(queue.model._default_manager.filter(pk__in=chosen, state=queue.state).order_by("pk"))
    if rows:
        tell_acted(request, work.ACTS[key], rows)
    if moved := len(set(chosen)) - len(rows):
        messages.warning(request, f"Rows that are not in this queue any more: {moved}.")
    if not chosen:
        messages.warning(request, "Nothing was chosen. Tick the rows first.")
    return see_other(reverse("staff:queue", args=[slug]))
