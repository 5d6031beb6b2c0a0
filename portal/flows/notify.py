"""Notifications: kept before they are believed, turned into fetch jobs by a worker.

Con Edison, PG&E and UtilityAPI post a BatchList without any signature (their contracts §6, §8.3, §4.3): it is taken as a
hint. Every address in it is judged by the utility's own rules before a token goes anywhere.
UtilityAPI also posts signed JSON events (§4.4).
"""

import hashlib
import hmac
import ipaddress
import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from celery import shared_task
from django.db import DataError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Q
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.utils import timezone

from espi import batchlist
from espi.models import ApplicationInformation, FetchJob, Notification
from portal.flows import alerts, fetch
from portal.flows.announcements import UNFIT, NotOurs, connection_of, jobs_of_urls
from utilities.oauth import UntrustedAddress

log = logging.getLogger(__name__)

BODY_LIMIT = 1024 * 1024  # bytes
KEPT_OF_UNREADABLE = 64 * 1024
MOST_URLS = 1000
MOST_UNREADABLE = 100  # of one registration in an hour; more are counted on the newest
SIGNATURE = re.compile(r"[0-9a-fA-F]{64}")
DEEPEST = 20  # levels of a webhook's JSON; UtilityAPI's have four
INDENTED_LIMIT = 2 * BODY_LIMIT  # characters
SWEEP_LIMIT, RESOLVED_AT_ONCE = 1000, 10
RESOLVE = "portal.resolve_notifications"
LOCK_SPACE = 0x6E6F7469  # "noti": first half of the advisory lock's key

# UtilityAPI's events (contract §4.2, §4.4). Others, and ones yet to be invented, ask nothing of us.
EVENTS_OF_HISTORY = frozenset({  # there is more than news: of a new permission, a new meter, a first collection
    "authorization_created", "authorization_renewed", "meter_created", "meter_historical_collection_finished_successful",
})  # fmt: skip
EVENTS_OF_NEWS = frozenset({  # something was added; the platform looks for more again and again
    "authorization_update_finished_successful", "meter_bills_added", "meter_intervals_added",
})  # fmt: skip
EVENTS_OF_STATUS = frozenset({"authorization_declined", "authorization_expired", "authorization_revoked"})


# --- In the web request: find whom it is for, keep it -----------------------------------------------------------------


def registration(slug: str, secret: str) -> ApplicationInformation | None:
    """The registration that a notification address belongs to. Every secret is compared, each in constant time.

    What a process read of them in the last seconds is believed where a secret fits; otherwise it reads them anew.
    """
    given = secret.encode(errors="replace")
    read_at, apps = _registrations.get(slug, (0.0, []))
    found = fitting(apps, given) if time.monotonic() - read_at < KNOWN_FOR else None
    if found is None:
        apps = list(ApplicationInformation.objects.filter(utility=slug).only(*OF_A_REGISTRATION))
        found = fitting(apps, given)
        if found:
            _registrations[slug] = time.monotonic(), apps
    return found


KNOWN_FOR = 5.0  # seconds, after which a changed secret, or list of networks, holds in every process
OF_A_REGISTRATION = ("utility", "notify_secret", "webhook_secret", "notify_networks")
_registrations: dict[str, tuple[float, list[ApplicationInformation]]] = {}


@receiver([post_save, post_delete], sender=ApplicationInformation)
def forget_registrations(**kwargs: Any) -> None:
    """In this process a change holds at once."""
    _registrations.clear()


def fitting(apps: Iterable[ApplicationInformation], given: bytes) -> ApplicationInformation | None:
    """The one whose secret this is."""
    found = None
    for app in apps:
        if app.notify_secret and hmac.compare_digest(app.notify_secret.encode(), given):
            found = app
    return found


def may_post(app: ApplicationInformation, source_address: str | None) -> bool:
    """Whether notifications of this registration may come from there."""
    if not app.notify_networks:
        return True
    networks = (ipaddress.ip_network(each) for each in app.notify_networks.split())
    return source_address is not None and any(ipaddress.ip_address(source_address) in each for each in networks)


def signed(body: bytes, *, secret: str, salt: str, signature: str) -> bool:
    """Whether UtilityAPI signed it: plain SHA-256 over secret.salt.body, of the raw bytes or of the 4-space form.

    The platform's documents leave open which of the two is hashed (contract §4.4).
    """
    if not (secret and salt and SIGNATURE.fullmatch(signature)):
        return False
    digest = hashlib.sha256(f"{secret}.{salt}.".encode(errors="replace"))
    of_indented = digest.copy()
    digest.update(body)
    if hmac.compare_digest(digest.hexdigest(), signature.lower()):
        return True
    return indented(body, into=of_indented) and hmac.compare_digest(of_indented.hexdigest(), signature.lower())


def indented(body: bytes, *, into: "hashlib._Hash") -> bool:
    """Hash the same JSON indented by four blanks; False when it is not JSON, or none that anybody would write.

    Nobody has proved yet who sent it: a mebibyte of nested brackets would become gigabytes.
    """
    try:
        value = json.loads(body)
        if not is_shallow(value):
            return False
        length = 0
        for part in json.JSONEncoder(indent=4, ensure_ascii=False).iterencode(value):
            length += len(part)
            if length > INDENTED_LIMIT:
                return False
            into.update(part.encode())
    except (ValueError, RecursionError):
        return False
    return True


def is_shallow(value: Any) -> bool:
    """Whether lists and objects stand at most DEEPEST inside each other."""
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [each for each in level if isinstance(each, list | dict)]
        if not level:
            return True
        level = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
    return False


def receive(
    app: ApplicationInformation,
    body: bytes,
    *,
    content_type: str,
    source_address: str | None,
    now: datetime,
    channel: str = Notification.Channel.BATCH_LIST,
) -> Notification:
    """Keep what was posted, in one INSERT. What cannot be read is kept cut short, for staff, who are told once.

    One that waits already, byte for byte, is counted instead of kept twice: it will be resolved later than this moment.
    Of very many that cannot be read in an hour the newest stands for the rest.
    UtilityAPI's events name the address they are delivered to (contract §4.4); the secret in it is not kept.
    """
    body = body.replace(app.notify_secret.encode(), b"[removed]") if app.notify_secret else body
    notification = Notification(
        application_information=app,
        channel=channel,
        received_at=now,
        source_address=source_address,
        content_type=content_type.replace("\0", "")[:255],
        body=body,
        digest=hashlib.sha256(body).hexdigest(),
    )
    try:
        READERS[channel](body)
    except batchlist.NotABatchList as error:
        if counted := one_more(app, now):
            return counted
        quarantine(notification, error.reason)
        tell_staff(app, now)
    keep(notification)
    return notification


KEEP = """
    INSERT INTO espi_notification (application_information_id, channel, received_at, source_address, content_type, body,
        digest, state, reason)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (application_information_id, channel, digest) WHERE state = 'received' AND NOT digest = ''
    DO UPDATE SET repeats = espi_notification.repeats + 1
    RETURNING id
"""


def keep(one: Notification) -> None:
    """Save a new one, or count it on the same that waits."""
    said = [one.received_at, one.source_address, one.content_type, bytes(one.body), one.digest, one.state, one.reason]
    with connection.cursor() as cursor:
        cursor.execute(KEEP, [one.application_information_id, one.channel, *said])
        (one.pk,) = cursor.fetchone()


def one_more(app: ApplicationInformation, now: datetime) -> Notification | None:
    """The notification on which another one that cannot be read is counted, where many came; None while it is kept."""
    mine = Notification.objects.filter(application_information=app, state=Notification.State.QUARANTINED)
    recent = mine.filter(received_at__gt=now - timedelta(hours=1)).order_by("-received_at", "-pk").defer("body")
    newest = recent.first()
    if newest is None or recent.count() < MOST_UNREADABLE:
        return None
    Notification.objects.filter(pk=newest.pk).update(repeats=F("repeats") + 1)
    return newest


def tell_staff(app: ApplicationInformation, now: datetime) -> None:
    """There is something to look at; told again when the last one has been replayed and another one comes."""
    words = "They were set aside, each with its reason. Look at them, and replay them once they can be understood."
    alerts.begin(set_aside_key(app), f"{app}: notifications that were set aside", words, now=now, app=app)


def set_aside_key(app: ApplicationInformation) -> str:
    """Of the alert."""
    return f"notifications:{app.pk}"


def quarantine(notification: Notification, reason: str) -> None:
    """Set a notification aside; the caller saves it."""
    notification.state = Notification.State.QUARANTINED
    notification.reason = reason[:500]
    notification.body = bytes(notification.body)[:KEPT_OF_UNREADABLE]
    log.warning("notification of %s quarantined: %s", notification.application_information.utility, reason[:200])


def events(body: bytes) -> list[dict[str, Any]]:
    """The events of a webhook. Raises NotABatchList for anything but the documented shape."""
    try:
        found = json.loads(body)["events"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise batchlist.NotABatchList("It is not a JSON object with a list of events.") from None
    if not isinstance(found, list) or not all(isinstance(event, dict) for event in found):
        raise batchlist.NotABatchList("Its events are not a list of objects.")
    return found


READERS: dict[str, Callable[[bytes], list[Any]]] = {
    Notification.Channel.BATCH_LIST: batchlist.read,
    Notification.Channel.EVENTS: events,
}


# --- In a worker: turn it into jobs -----------------------------------------------------------------------------------


def resolve(notification_id: int, *, now: datetime) -> list[FetchJob]:
    """Make one job for each distinct address (or event) of a notification; [] when somebody else has.

    What leads to no job is recorded on the row with its reason.
    """
    waiting = Notification.objects.filter(pk=notification_id, state=Notification.State.RECEIVED)
    with transaction.atomic():
        app_id = waiting.values_list("application_information", flat=True).first()
        if app_id is None:
            return []
        lock(app_id)
        notification = waiting.select_related("application_information").first()
        if notification is None:
            return []
        jobs, refused = resolved(notification, now)
        reason = f"{len(refused)} of its entries led to no download." if refused else ""
        # Only now is the row written: whoever posts the same again meanwhile has not waited for us.
        waiting.update(state=Notification.State.RESOLVED, refused_urls=refused, reason=reason)
    return jobs


def lock(app_id: int) -> None:
    """One notification of a registration at a time, until the transaction ends: the same list may come twice at once."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_SPACE, app_id])


def resolved(notification: Notification, now: datetime) -> tuple[list[FetchJob], list[list[str]]]:
    """The jobs of a notification, and [what, reason] of everything that led to none, in the order of its entries."""
    channel = notification.channel
    entries: list[Any] = READERS[channel](bytes(notification.body))
    if channel == Notification.Channel.EVENTS:
        jobs, refused = jobs_of_events(notification, entries[:MOST_URLS], now)
    else:
        entries = list(dict.fromkeys(entries))
        jobs, why = jobs_of_urls(notification, entries[:MOST_URLS], now)
        refused = [[shown(url), why[url]] for url in entries if url in why]
    too_many = f"A notification may name {MOST_URLS} addresses; this is one more."
    refused += [[shown(entry), too_many] for entry in entries[MOST_URLS:]]
    return jobs, refused[:MOST_URLS]


def shown(entry: Any) -> str:
    """An entry for the record: 200 characters at most, no control characters."""
    text = entry if isinstance(entry, str) else f"{entry.get('type')} {entry.get('authorization_uid')}"
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:200])


def jobs_of_events(
    notification: Notification, events: Sequence[Any], now: datetime
) -> tuple[list[FetchJob], list[list[str]]]:
    """The jobs that UtilityAPI's events ask for, and [what, reason] of those that lead to none."""
    jobs: list[FetchJob] = []
    refused: list[list[str]] = []
    for event in events:
        try:
            with transaction.atomic():
                jobs += job_of_event(notification, event, now)
        except (NotOurs, UntrustedAddress) as error:
            refused.append([shown(event), error.reason])
        except (DataError, ValueError):
            refused.append([shown(event), UNFIT])
    return jobs, refused


def job_of_event(notification: Notification, event: dict[str, Any], now: datetime) -> list[FetchJob]:
    """The jobs a UtilityAPI event asks for; [] for events that ask nothing of us.

    Raises NotOurs, and UntrustedAddress where the address that the connection was given is not the utility's.
    """
    kind, named = event.get("type"), event.get("authorization_uid")
    if not isinstance(kind, str):
        raise NotOurs("Its type is not a text.")
    if kind not in EVENTS_OF_HISTORY | EVENTS_OF_NEWS | EVENTS_OF_STATUS:
        return []
    if not isinstance(named, str):
        raise NotOurs("It does not name an authorization by a text.")
    authorization = connection_of(notification.application_information, named)
    if kind in EVENTS_OF_HISTORY:
        return fetch.enqueue_first(authorization, now=now, notification=notification)
    if kind in EVENTS_OF_NEWS:
        return fetch.enqueue_news(authorization, now=now, notification=notification)
    return fetch.enqueue_status(authorization, now=now, notification=notification)


def sweep() -> int:
    """Wake workers up for notifications that were kept and not yet resolved; how many."""
    received = Notification.objects.filter(state=Notification.State.RECEIVED).order_by("received_at")
    ids = list(received.values_list("pk", flat=True)[:SWEEP_LIMIT])
    for first in range(0, len(ids), RESOLVED_AT_ONCE):
        if not wake(ids[first : first + RESOLVED_AT_ONCE]):
            break
    return len(ids)


@shared_task(name=RESOLVE)
def resolve_notifications(*, notification_ids: list[int], **kwargs: Any) -> None:
    """Resolve a batch; one that fails does not keep the others waiting."""
    for notification_id in notification_ids:
        try:
            resolve(notification_id, now=timezone.now())
        except (OperationalError, InterfaceError) as error:  # the database's trouble: the sweep comes again
            log.warning("notification %s has to wait: %s", notification_id, type(error).__name__)
            connection.close_if_unusable_or_obsolete()
        except batchlist.NotABatchList as error:
            set_aside(notification_id, error.reason)
        except Exception as error:
            log.exception("notification %s could not be resolved", notification_id)
            set_aside(notification_id, f"A fault of ours: {type(error).__name__}.")


def set_aside(notification_id: int, reason: str) -> None:
    """Quarantine a notification that we fail on, whole, so that it can be replayed after a fix; staff are told once."""
    waiting = Notification.objects.filter(pk=notification_id, state=Notification.State.RECEIVED)
    with transaction.atomic():
        if waiting.update(state=Notification.State.QUARANTINED, reason=reason[:500]):
            tell_staff(ApplicationInformation.objects.get(notification=notification_id), timezone.now())


def replay(notification_id: int, *, now: datetime) -> bool:
    """Look again at one that was set aside, or that led to less than it named; whether there is such a one.

    What it led to already is not asked for twice.
    """
    state = Notification.State
    left = Q(state=state.QUARANTINED) | Q(state=state.RESOLVED) & ~Q(refused_urls=[])
    again = {
        "state": state.RECEIVED,
        "reason": "",
        "digest": "",
    }  # it stands beside the same that waits, if there is one
    if not Notification.objects.filter(left, pk=notification_id).update(**again):
        return False
    app = ApplicationInformation.objects.get(notification=notification_id)
    if not Notification.objects.filter(application_information=app, state=state.QUARANTINED).exists():
        alerts.end(set_aside_key(app), now=now)
    transaction.on_commit(lambda: fetch.outbox.put(RESOLVE, notification_ids=[notification_id]), robust=True)
    return True


def wake(notification_ids: list[int]) -> bool:
    """Wake a worker; whether the broker took it."""
    return fetch.publish(RESOLVE, notification_ids=notification_ids)
