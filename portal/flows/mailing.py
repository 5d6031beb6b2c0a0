"""Letters on their way: written down as rows with what caused them, and sent by a worker, each of them once.

Whoever sends a letter claims it first, for CLAIM_LASTS. A process that dies with it loses the claim, and the letter is
sent by another. If it died in the instant between the mail server's answer and our mark, the server gets it a second
time under the same Message-ID, by which mail programs know it again. While the server is away letters wait.
"""

import logging
import random
import smtplib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from celery import shared_task
from django.conf import settings
from django.core import signing
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from espi.models import Authorization
from portal.flows.fetch.waking import INTERACTIVE, outbox
from portal.letters import KINDS, NOT_NECESSARY, Kind, render
from portal.models import Letter, User

log = logging.getLogger(__name__)

SEND = "portal.send_letters"
CLAIM_LASTS = timedelta(minutes=5)
FIRST_WAIT, LONGEST_WAIT = 30, 600  # seconds: ten minutes after the mail server is back all is sent, at the latest
MOST_LOST = 8  # processes that died over one letter, without a word of why
AT_ONCE = 200
UNSUBSCRIBE = "letters.unsubscribe"
KEPT = timedelta(days=400)  # a year and a bit: what was told once a year is not told again
State = Letter.State


# --- Writing ------------------------------------------------------------------------------------------------------


def post(
    kind_id: str,
    key: str,
    *,
    now: datetime,
    user: User | None = None,
    address: str = "",
    authorization: Authorization | None = None,
    language: str = "",
    **values: Any,
) -> None:
    """Write a letter down, in the transaction of what caused it, unless there is one under this key.

    To `address`, or to the customer at his own. Raises ValueError for values that its kind does not take.
    """
    kind = KINDS[kind_id]
    if values.keys() != kind.takes:
        raise ValueError(f"{kind_id} takes {sorted(kind.takes)}, not {sorted(values)}")
    letter = Letter(
        kind=kind_id,
        key=f"{kind_id} {key}",
        retail_customer=user,
        authorization=authorization,
        address=address,
        language=language or language_of(user),
        values={name: _one_line(value) for name, value in values.items()},
        not_before=now,
        created_at=now,
        expires_at=now + kind.lasts,
    )
    Letter.objects.bulk_create([letter], ignore_conflicts=True)
    transaction.on_commit(lambda: outbox.put(SEND, queue=INTERACTIVE), robust=True)


def language_of(user: User | None) -> str:
    """In which language somebody is written to."""
    return (user.language if user else "") or settings.LANGUAGE_CODE


def _one_line(value: Any) -> Any:
    """Texts without line breaks: what comes from elsewhere cannot add a line, a list or a link to a letter."""
    if isinstance(value, str):
        return " ".join(value.split())
    return [_one_line(each) for each in value] if isinstance(value, list) else value


# --- Sending ------------------------------------------------------------------------------------------------------


@shared_task(name=SEND)
def send_letters(**kwargs: Any) -> None:
    """Send what is due. It may run many times at once."""
    send_due(timezone.now())


def send_due(now: datetime) -> int:
    """Send every letter whose time has come, the most urgent first; how many were sent."""
    give_up(now)
    waiting = Letter.objects.filter(state=State.WAITING, not_before__lte=now).order_by("expires_at", "pk")
    found = list(waiting.values_list("pk", flat=True)[:AT_ONCE])
    if not found:
        return 0
    connection = get_connection()
    sent = 0
    try:
        for pk in found:
            letter = claim(pk, now)
            sent += bool(letter and send(letter, connection, now))
    except MailServerAway as fault:
        log.warning("letters wait: %s", fault)
    finally:
        _close(connection)
    return sent


def give_up(now: datetime) -> None:
    """What is of no use any more, or was lost by every process that took it, is not tried again."""
    waiting = Letter.objects.filter(state=State.WAITING)
    waiting.filter(expires_at__lte=now).update(
        state=State.FAILED, reason="Its time was over before it could be sent.", values={}
    )
    lost = waiting.filter(attempts__gte=MOST_LOST, reason="", not_before__lte=now)
    lost.update(state=State.FAILED, reason="Each process that began to send it ended.", values={})


def claim(pk: int, now: datetime) -> Letter | None:
    """Take a letter to send it, unless somebody else has; for CLAIM_LASTS. The attempt is counted now."""
    free = Letter.objects.filter(pk=pk, state=State.WAITING, not_before__lte=now)
    if not free.update(not_before=now + CLAIM_LASTS, attempts=F("attempts") + 1, reason=""):
        return None
    return Letter.objects.select_related("retail_customer", "authorization").get(pk=pk)


class MailServerAway(Exception):
    """It cannot be reached, or takes nothing now; the next letter would fare no better."""


def send(letter: Letter, connection: BaseEmailBackend, now: datetime) -> bool:
    """Send a claimed letter, or drop it if it is no longer true or wanted. Raises MailServerAway."""
    if moot := why_moot(letter):
        _settle(letter, State.DROPPED, moot)
        return False
    try:
        connection.open()
        connection.send_messages([message(letter)])
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, ValueError) as fault:
        _close(connection)
        return _refused(letter, fault, now)
    except OSError as fault:  # smtplib's errors are OSErrors
        _wait(letter, f"The mail server cannot be reached ({type(fault).__name__}).", now)
        raise MailServerAway(type(fault).__name__) from None
    _settle(letter, State.SENT, "", sent_at=timezone.now())
    return True


def _close(connection: BaseEmailBackend) -> None:
    try:
        connection.close()
    except OSError:
        log.info("the mail server did not say good-bye")


def _refused(letter: Letter, fault: Exception, now: datetime) -> bool:
    """The server, or the mail library, did not take this letter: for good, or for the moment (a code of 4xx)."""
    codes = [code for code, _ in fault.recipients.values()] if isinstance(fault, smtplib.SMTPRecipientsRefused) else []
    if isinstance(fault, smtplib.SMTPDataError):
        codes = [fault.smtp_code]
    if codes and all(400 <= code < 500 for code in codes):
        _wait(letter, f"The mail server asked to wait ({codes[0]}).", now)
    else:
        said = f" ({codes[0]})" if codes else ""
        _settle(letter, State.FAILED, f"The mail server does not take it{said}.")
    log.warning("letter not sent: letter=%s cause=%s", letter.public_id, type(fault).__name__)
    return False


def _wait(letter: Letter, reason: str, now: datetime) -> None:
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(letter.attempts - 1, 10))
    later = now + timedelta(seconds=random.uniform(longest / 2, longest))  # noqa: S311 - no secret
    Letter.objects.filter(pk=letter.pk).update(not_before=later, reason=reason)


def _settle(letter: Letter, state: str, reason: str, *, sent_at: datetime | None = None) -> None:
    """A letter's end: what it said is not kept."""
    Letter.objects.filter(pk=letter.pk, state=State.WAITING).update(
        state=state, reason=reason, sent_at=sent_at, values={}, address=""
    )


def why_moot(letter: Letter) -> str:
    """Why a letter is not sent after all, in words; "" if it is."""
    kind, user, authorization = KINDS.get(letter.kind), letter.retail_customer, letter.authorization
    if kind is None:
        return "No such letter is written any more."
    if not letter.address and (user is None or not user.is_active):
        return "The account is closed."
    if user and kind.topic in NOT_NECESSARY.intersection(user.letters_declined):
        return "The customer does not want letters of this kind."
    if authorization and kind.holds_while and authorization.status not in kind.holds_while:
        return "It is no longer so."
    if authorization and kind.until_repaired and is_repaired(authorization):
        return "Another connection has taken its place."
    return ""


def is_repaired(authorization: Authorization) -> bool:
    """Whether a newer connection of the same account has taken the place of this one."""
    if authorization.subscription_id is None:
        return False
    newer = Authorization.objects.filter(subscription=authorization.subscription_id, pk__gt=authorization.pk)
    return newer.filter(status=Authorization.Status.ACTIVE).exists()


# --- The message --------------------------------------------------------------------------------------------------


def message(letter: Letter) -> EmailMultiAlternatives:
    """What is handed to the mail server: text and HTML, marked as written by a machine, with a way out where there is one."""
    kind, user = KINDS[letter.kind], letter.retail_customer
    way_out = unsubscribe_address(user, kind) if user and kind.topic else ""
    rendered = render(kind, letter.language, letter.values, unsubscribe=way_out)
    to = letter.address or (user.email if user else "")
    mail = EmailMultiAlternatives(rendered.subject, rendered.text, to=[to], headers=_headers(letter, way_out))
    mail.attach_alternative(rendered.html, "text/html")
    return mail


def _headers(letter: Letter, way_out: str) -> dict[str, str]:
    host = urlsplit(settings.PORTAL_BASE_URL).hostname or "localhost"
    headers = {
        "Message-ID": f"<{letter.public_id}@{host}>",
        "Content-Language": letter.language,
        "Auto-Submitted": "auto-generated",  # RFC 3834: no answering machine answers
    }
    if way_out:  # RFC 8058 §3.1: both headers, one https address that takes a POST
        headers |= {"List-Unsubscribe": f"<{way_out}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    return headers


def unsubscribe_address(user: User, kind: Kind) -> str:
    """An address that ends letters of this topic for this customer, and can do nothing else."""
    token = signing.dumps([user.pk, kind.topic], salt=UNSUBSCRIBE)
    return settings.PORTAL_BASE_URL.rstrip("/") + reverse("unsubscribe", args=[token])


# --- What people want ---------------------------------------------------------------------------------------------


class NotOurs(ValueError):
    """An address to unsubscribe that we did not write."""


def read_unsubscribe(token: str) -> tuple[User | None, str]:
    """Whose letters of which topic; None for a customer who is gone. Raises NotOurs."""
    try:
        user_id, topic = signing.loads(token, salt=UNSUBSCRIBE)
    except (signing.BadSignature, ValueError):
        raise NotOurs from None
    return User.objects.filter(pk=user_id).first(), topic


@transaction.atomic
def decline(user: User, topics: Sequence[str]) -> None:
    """From now on no letters of exactly these topics; those that wait are dropped when their turn comes."""
    unknown = set(topics) - NOT_NECESSARY
    if unknown:
        raise ValueError(f"no topics that can be declined: {sorted(unknown)}")
    User.objects.filter(pk=user.pk).update(letters_declined=sorted(set(topics)))


@transaction.atomic
def decline_one(user: User, topic: str) -> None:
    """This topic no more, whatever else stands. Twice does no harm."""
    held = User.objects.select_for_update().get(pk=user.pk)
    decline(held, [*held.letters_declined, topic] if topic in NOT_NECESSARY else held.letters_declined)


def forget(now: datetime) -> int:
    """Delete letters that ended more than KEPT ago; how many."""
    return Letter.objects.filter(~Q(state=State.WAITING), created_at__lt=now - KEPT).delete()[0]
