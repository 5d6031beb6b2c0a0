"""What nobody needs any more goes: visits that led to nothing, account numbers of old journeys, sessions, raw documents."""

from datetime import datetime, timedelta

from django.conf import settings
from django.core.management import call_command
from django.db.models import Q, QuerySet
from django.db.models.functions import Length

from espi import archive
from espi.models import AuthorizationRequest, FetchJob, Notification
from portal.flows import budgets, exporting, mailing
from portal.models import UtilityVisit

Status = AuthorizationRequest.Status
JOBS_KEPT_FOR = timedelta(days=90)
AT_ONCE = 5000  # rows
RESTART_WITHIN = timedelta(days=1)  # a customer who came back too late goes on with the choices he made


def purge(now: datetime) -> dict[str, int]:
    """Delete and blank what is over; how many rows of each. It may run twice at once."""
    visits, _ = UtilityVisit.objects.filter(expires_at__lt=now).delete()
    numbers = _over(now).annotate(length=Length("account_number")).filter(length__gt=0).update(account_number="")
    parts = archive.let_go(now - timedelta(days=settings.DOCUMENT_DAYS)) if settings.DOCUMENT_DAYS else 0
    call_command("clearsessions")
    return {
        "visits": visits,
        "account_numbers": numbers,
        "document_parts": parts,
        "calls": budgets.forget(now),
        "jobs": jobs(now),
        "notifications": notifications(now),
        "prepared_files": exporting.let_go(now),
        "letters": mailing.forget(now),
    }


def jobs(now: datetime) -> int:
    """Delete jobs that ended well long ago; what failed stays, for staff. A few thousand at a time; how many."""
    ended = {"state__in": [FetchJob.State.DONE, FetchJob.State.SUPERSEDED], "finished_at__lt": now - JOBS_KEPT_FOR}
    gone = 0
    while some := list(FetchJob.objects.filter(**ended).values_list("pk", flat=True)[:AT_ONCE]):
        gone += FetchJob.objects.filter(pk__in=some).delete()[1].get("espi.FetchJob", 0)
    return gone


def notifications(now: datetime) -> int:
    """Delete notifications that were understood long ago; what was set aside stays, for staff."""
    understood = {"state": Notification.State.RESOLVED, "received_at__lt": now - JOBS_KEPT_FOR}
    return Notification.objects.filter(**understood).delete()[1].get("espi.Notification", 0)


def _over(now: datetime) -> QuerySet[AuthorizationRequest]:
    """Journeys that have ended, or whose time was over a day ago. The masked number stays with them."""
    unfinished = Q(status__in=[*AuthorizationRequest.OPEN, Status.RETURNED])
    return AuthorizationRequest.objects.filter(~unfinished | Q(expires_at__lt=now - RESTART_WITHIN))
