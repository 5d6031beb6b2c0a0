"""Which letters are due about a connection, and to whom.

What a customer does here is told in the transaction that does it (`receipt`, `withdrawn`). The rest is looked for: every
minute what has happened (`tell`), every hour what is near (`remind`). Looking twice, or twice at once, tells nothing
twice: each letter has a key.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import translation
from django.utils.formats import date_format
from django.utils.translation import gettext

import utilities
from espi.models import Authorization, IntervalBlock, IntervalReading, UsageSummary
from portal.flows import consents, mailing
from portal.models import Consent, Letter, User
from utilities.base import Utility

Status = Authorization.Status
RECENTLY = timedelta(days=3)  # what is older was told, or is no news any more
SETTLED_AFTER = timedelta(hours=1)  # what ended at PG&E may turn out to be replaced by the customer's newer connection
NOTICES = (1, 7, 14)  # days before the last one
A_WEEK, A_MONTH, A_SUMMARY, A_YEAR = (timedelta(days=days) for days in (7, 30, 90, 365))
MOST_REPEATS = 4
AT_ONCE = 500


# --- At the moment it happens -------------------------------------------------------------------------------------


def receipt(consent: Consent, authorization: Authorization, *, now: datetime) -> None:
    """What was agreed to, as it was granted."""
    utility, language = utility_of(authorization), mailing.language_of(consent.retail_customer)
    with translation.override(language):
        names = [
            gettext(choice.name)
            for choice in utility.data_choices(authorization.application_information)
            if choice.id in authorization.data_granted
        ]
        ends = day(authorization.end_date) if authorization.end_date else ""
        complaints = str(utility.regulator)
    mailing.post(
        "receipt",
        str(consent.public_id),
        now=now,
        user=consent.retail_customer,
        authorization=authorization,
        language=language,
        **about(authorization),
        reference=consent.reference,
        receipt=str(consent.public_id),
        data=names,
        ends=ends,
        complaints=complaints,
    )


def withdrawn(authorization: Authorization, *, deleted: bool, now: datetime) -> None:
    """The customer stopped sharing: what that did, and what is left to do at the utility."""
    consent, language = consents.current(authorization), mailing.language_of(authorization.retail_customer)
    with translation.override(language):
        steps = gettext(utility_of(authorization).stopping_help)
    mailing.post(
        "withdrawn",
        f"{authorization.public_id} {now.isoformat()}",
        now=now,
        user=authorization.retail_customer,
        authorization=authorization,
        language=language,
        **about(authorization),
        reference=consent.reference if consent else "",
        deleted=deleted,
        steps=steps,
    )


def utility_of(authorization: Authorization) -> Utility:
    """Whose it is."""
    return utilities.get(authorization.application_information.utility)


def about(authorization: Authorization) -> dict[str, Any]:
    """What every letter about a connection says: the utility's name, and which one it is."""
    return {"utility": utility_of(authorization).name, "connection": str(authorization.public_id)}


def day(value: date) -> str:
    """In words, in the active language."""
    return date_format(value, "DATE_FORMAT")


# --- What has happened --------------------------------------------------------------------------------------------


def tell(now: datetime) -> None:
    """Look for what its customer was not told yet. Every minute; it may run twice at once."""
    for authorization in with_first_data(now)[:AT_ONCE]:
        post("first_data", authorization, str(authorization.public_id), now)
    for authorization in in_need(now)[:AT_ONCE]:
        post("action_needed", authorization, f"{authorization.public_id} reconnect {times_told(authorization)}", now)
    for authorization in ended(Status.REVOKED, "stopped_there", now)[:AT_ONCE]:
        post("stopped_there", authorization, ending_key(authorization), now)
    for authorization in ended(Status.EXPIRED, "expired", now)[:AT_ONCE]:
        last = authorization.end_date or now.date()
        post("expired", authorization, ending_key(authorization), now, ends=last)


def post(kind: str, authorization: Authorization, key: str, now: datetime, **more: date | int) -> None:
    """A letter about a connection; days are put into words."""
    language = mailing.language_of(authorization.retail_customer)
    with translation.override(language):
        values = {name: day(value) if isinstance(value, date) else value for name, value in more.items()}
    user = authorization.retail_customer
    told: dict[str, Any] = about(authorization) | values
    mailing.post(kind, key, now=now, user=user, authorization=authorization, language=language, **told)


def ending_key(authorization: Authorization) -> str:
    """One connection may end, be renewed, and end again."""
    return f"{authorization.public_id} {authorization.ended_at}"


def connections(**more: object) -> QuerySet[Authorization]:
    """Connections with what a letter needs; without those that a newer one of the same account has replaced."""
    newer = Authorization.objects.filter(
        subscription=OuterRef("subscription"), pk__gt=OuterRef("pk"), status=Status.ACTIVE
    )
    rows = Authorization.objects.select_related("application_information", "retail_customer", "subscription")
    return rows.filter(~Exists(newer), retail_customer__is_active=True, **more).order_by("pk")


def letters_about(kind: str) -> QuerySet[Letter]:
    """Letters of a kind about the connection of the query around it."""
    return Letter.objects.filter(authorization=OuterRef("pk"), kind=kind)


def with_first_data(now: datetime) -> QuerySet[Authorization]:
    """New connections that have brought something, on accounts that had not been connected before."""
    earlier = Authorization.objects.filter(subscription=OuterRef("subscription"), pk__lt=OuterRef("pk"))
    of_meter = {"meter_reading__usage_point__subscription": OuterRef("subscription")}
    readings = Exists(IntervalBlock.objects.filter(**of_meter)) | Exists(IntervalReading.objects.filter(**of_meter))
    bills = Exists(UsageSummary.objects.filter(usage_point__subscription=OuterRef("subscription")))
    return connections(status=Status.ACTIVE, created_at__gte=now - RECENTLY).filter(
        readings | bills, ~Exists(earlier), ~Exists(letters_about("first_data"))
    )


def in_need(now: datetime) -> QuerySet[Authorization]:
    """Connections that need their customer, who was not told in the last seven days, nor often enough."""
    lately = letters_about("action_needed").filter(created_at__gt=now - A_WEEK)
    told = Count("letters", filter=Q(letters__kind="action_needed"))
    rows = connections(status=Status.NEEDS_RECONNECT).filter(~Exists(lately))
    return rows.alias(told=told).filter(told__lt=MOST_REPEATS)


def times_told(authorization: Authorization) -> int:
    """How often its customer was asked to do something about it."""
    return Letter.objects.filter(authorization=authorization, kind="action_needed").count()


def ended(status: str, kind: str, now: datetime) -> QuerySet[Authorization]:
    """Connections that ended lately, of which nothing was told since."""
    told = letters_about(kind).filter(created_at__gte=OuterRef("ended_at"))
    lately = {"ended_at__gte": now - RECENTLY, "ended_at__lte": now - SETTLED_AFTER}
    return connections(status=status, **lately).filter(~Exists(told))


# --- What is near, or was long ago --------------------------------------------------------------------------------


def remind(now: datetime) -> None:
    """Look for permissions that end soon, and for customers who were told nothing for long. Every hour."""
    for authorization in ending(now):
        notice(authorization, now)
    for user in long_untold("yearly", A_YEAR, now)[:AT_ONCE]:
        remember(user, "yearly", now)
    near = long_untold("yearly", A_YEAR - A_MONTH, now).order_by().values("pk")
    for user in long_untold("summary", A_SUMMARY, now).exclude(pk__in=near)[:AT_ONCE]:
        remember(user, "summary", now)


def ending(now: datetime) -> Iterable[Authorization]:
    """Live connections whose last day is near."""
    last = now.date() + timedelta(days=max(NOTICES) + 1)
    return connections(status=Status.ACTIVE, end_date__gte=now.date() - timedelta(days=1), end_date__lte=last)


def notice(authorization: Authorization, now: datetime) -> None:
    """14, 7 and 1 days before the last day, on the utility's clock; none from before the customer agreed to that day."""
    zone = ZoneInfo(utility_of(authorization).time_zone)
    last = authorization.end_date
    assert last is not None
    left = (last - now.astimezone(zone).date()).days
    due = next((days for days in NOTICES if left <= days), None)
    consent = consents.current(authorization)
    agreed_at = consent.agreed_at if consent else authorization.created_at
    if due is None or left < 0 or (last - agreed_at.astimezone(zone).date()).days <= due:
        return
    post("expiring", authorization, f"{authorization.public_id} {last} {due}", now, days=max(left, 1), ends=last)


def long_untold(kind: str, gap: timedelta, now: datetime) -> QuerySet[User]:
    """Customers who have shared something for longer than `gap` and had no such letter, nor a yearly one, since."""
    shared = Authorization.objects.filter(
        retail_customer=OuterRef("pk"), status=Status.ACTIVE, created_at__lt=now - gap
    )
    told = Letter.objects.filter(retail_customer=OuterRef("pk"), kind__in={kind, "yearly"}, created_at__gt=now - gap)
    return User.objects.filter(Exists(shared), ~Exists(told), is_active=True).order_by("pk")


def remember(user: User, kind: str, now: datetime) -> None:
    """List what somebody shares, each connection with the day it began."""
    rows = Authorization.objects.filter(retail_customer=user, status=Status.ACTIVE).order_by("created_at")
    earlier = Letter.objects.filter(retail_customer=user, kind=kind).count()
    language = mailing.language_of(user)
    with translation.override(language):
        listed = [_since(row) for row in rows.select_related("application_information")]
    mailing.post(kind, f"{user.pk} {earlier}", now=now, user=user, language=language, connections=listed)


def _since(authorization: Authorization) -> str:
    utility = utility_of(authorization)
    began = authorization.created_at.astimezone(ZoneInfo(utility.time_zone)).date()
    words = {"utility": utility.name, "day": day(began)}
    return gettext("%(utility)s, since %(day)s") % words
