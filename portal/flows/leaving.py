"""A customer deletes his account: what goes at once, what a few days later, and what stays of it.

Sharing ends and the data go at once, in one transaction. A utility that is to be told needs the connection's own ids for
that, so these stay, without anything else, until it has been told, WAITS_FOR_UTILITIES at most. A Departure stays: numbers only.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import translation
from django.utils.translation import gettext

import utilities
from espi.models import Authorization, AuthorizationRequest, Document, FetchJob, Subscription, UsagePoint, UsageSummary
from portal.flows import deletion, fetch, mailing
from portal.flows.withdraw import withdraw
from portal.models import Departure, User

WAITS_FOR_UTILITIES = timedelta(days=7)


class StaffStay(Exception):
    """A member of staff: what he did is on record under his account, so a superuser switches it off instead."""


@dataclass(frozen=True)
class Belongings:
    """What there is to go."""

    connections: list[str]
    meters: int
    bills: int
    files: int
    consents: int


def belongings(user: User) -> Belongings:
    """Count it; the connections that are live, by their utilities' names."""
    held = Subscription.objects.filter(retail_customer=user)
    return Belongings(
        connections=[utilities.get(row.application_information.utility).name for row in live(user)],
        meters=UsagePoint.objects.filter(subscription__in=held).count(),
        bills=UsageSummary.objects.filter(usage_point__subscription__in=held).count(),
        files=Document.objects.filter(subscription__in=held).count(),
        consents=user.consents.count(),
    )


def live(user: User) -> QuerySet[Authorization]:
    """Connections that share."""
    rows = Authorization.objects.filter(retail_customer=user, status__in=Authorization.LIVE)
    return rows.select_related("application_information").order_by("pk")


@transaction.atomic
def leave(user: User, *, now: datetime) -> None:
    """Delete the account. A second call changes nothing. Raises StaffStay."""
    held = User.objects.select_for_update().filter(pk=user.pk, is_active=True).first()
    if held is None:
        return
    if held.is_staff:
        raise StaffStay
    _say_goodbye(held, now)
    for authorization in live(held):
        withdraw(authorization, delete_data=True, now=now, is_told=False)
    for parked in Authorization.objects.filter(retail_customer=held, status=Authorization.Status.PARKED):
        fetch.enqueue_revocation(parked, now=now)
    references = list(held.consents.order_by("pk").values_list("reference", flat=True))
    Departure.objects.create(user_id=held.pk, references=references, left_at=now)
    _erase(held)
    finish(now)


def _say_goodbye(user: User, now: datetime) -> None:
    """The last letter, to the address that is about to go."""
    language = mailing.language_of(user)
    with translation.override(language):
        found = {row.application_information.utility for row in live(user)}
        left = [utilities.get(slug) for slug in sorted(found)]
        names = [utility.name for utility in left]
        steps = [f"{utility.name}: {gettext(utility.stopping_help)}" for utility in left]
    mailing.post(
        "account_deleted",
        str(user.pk),
        now=now,
        address=user.email,
        language=language,
        connections=names,
        steps=steps,
    )


def _erase(user: User) -> None:
    """Everything but the connections that a utility is still to be told of, and of those everything but their ids."""
    for session in UserSession.objects.filter(user=user):
        session.end()
    for subscription in Subscription.objects.filter(retail_customer=user):
        deletion.delete_data(subscription)
    Document.objects.filter(fetch_job__authorization__retail_customer=user).delete()
    AuthorizationRequest.objects.filter(retail_customer=user).delete()
    for name in ("consents", "letters", "exports", "api_tokens"):
        getattr(user, name).all().delete()
    EmailAddress.objects.filter(user=user).delete()
    Authenticator.objects.filter(user=user).delete()
    _bare(Authorization.objects.filter(retail_customer=user))
    Subscription.objects.filter(retail_customer=user).delete()
    seen = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(User), object_id=str(user.pk))
    seen.update(object_repr=f"user {user.pk}")
    user.set_unusable_password()
    user.email, user.first_name, user.last_name = f"user-{user.pk}@deleted.invalid", "", ""
    user.is_active, user.letters_declined = False, []
    user.save()


def _bare(rows: QuerySet[Authorization]) -> None:
    """Connections without tokens, account, scope and data; their ids at the utility stay."""
    rows.update(
        subscription=None,
        access_token=None,
        access_token_expires_at=None,
        refresh_token=None,
        account_number="",
        account_hint="",
        scope_requested="",
        scope_granted="",
        data_requested=[],
        data_granted=[],
        resource_uri="",
        customer_resource_uri="",
    )


def finish(now: datetime) -> int:
    """Delete what is left of accounts whose utilities have been told, or were not told in time; how many."""
    telling = FetchJob.objects.filter(
        authorization__retail_customer=OuterRef("user_id"), kind=FetchJob.Kind.REVOCATION, state__in=FetchJob.OPEN
    )
    waiting = Departure.objects.filter(done_at=None).annotate(is_telling=Exists(telling))
    done = 0
    for departure in waiting:
        if departure.is_telling and now - departure.left_at < WAITS_FOR_UTILITIES:
            continue
        User.objects.filter(pk=departure.user_id, is_active=False).delete()
        done += Departure.objects.filter(pk=departure.pk, done_at=None).update(done_at=now)
    return done
