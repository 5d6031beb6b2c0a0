"""What staff must look at: one row, and one mail, however often it is met."""

import logging
from datetime import datetime

from django.conf import settings
from django.core.mail import mail_admins
from django.db import transaction

from espi.models import ApplicationInformation
from portal.models import StaffAlert

log = logging.getLogger(__name__)


def begin(
    key: str,
    subject: str,
    words: str,
    *,
    now: datetime,
    app: ApplicationInformation | None = None,
    is_mailed: bool = True,
) -> None:
    """Tell staff, unless they were told of this already and it goes on. No personal data in `words`."""
    alert = StaffAlert(
        key=key, application_information=app, subject=subject, words=words, opened_at=now, is_mailed=is_mailed
    )
    StaffAlert.objects.bulk_create([alert], ignore_conflicts=True)


def end(key: str, *, now: datetime) -> None:
    """What an alert was about is over."""
    StaffAlert.objects.filter(key=key, closed_at=None).update(closed_at=now)


def send_mails(now: datetime) -> int:
    """Mail what was not mailed yet; how many. While the mail server is away they wait (F57)."""
    sent = 0
    waiting = StaffAlert.objects.filter(is_mailed=True, mailed_at=None).order_by("opened_at")
    for pk in list(waiting.values_list("pk", flat=True)[:20]) if settings.ADMINS else []:
        try:
            sent += send(pk, now)
        except OSError as error:  # smtplib's errors are OSErrors
            log.warning("mail to staff not sent: %s", type(error).__name__)
            return sent
    return sent


@transaction.atomic
def send(pk: int, now: datetime) -> bool:
    """Mail one alert, unless somebody else does; the mark and the mail stand or fall together."""
    found = StaffAlert.objects.select_for_update(skip_locked=True).filter(pk=pk, mailed_at=None).first()
    if found is None:
        return False
    found.mailed_at = now
    found.save(update_fields=["mailed_at"])
    mail_admins(found.subject, f"{found.words}\n\n{settings.PORTAL_BASE_URL}/staff/portal/staffalert/{pk}/change/")
    return True
