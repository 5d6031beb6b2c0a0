"""What a utility granted, kept: tokens, subscription, scope as granted, and whose it is."""

import logging
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext_noop

import utilities
from espi.models import ApplicationInformation, Authorization, AuthorizationRequest, Subscription
from portal.flows import authorize, consents, fetch, telling
from portal.models import Consent, User
from utilities.oauth import Grant

log = logging.getLogger(__name__)

Status = AuthorizationRequest.Status


class NoAccount(Exception):
    """The customer deleted his account while the utility was asked, and nothing is left of it."""


def keep(journey: AuthorizationRequest, grant: Grant, *, now: datetime) -> Authorization:
    """Commit the grant, before anything else: the refresh token is given once. Then the first data are asked for.

    Raises NoAccount.
    """
    try:
        authorization = _store(journey, grant, now)
    except IntegrityError:
        # Two journeys brought the same subscription at the same instant: the other one made the row.
        authorization = _store(journey, grant, now)
    if authorization.status == Authorization.Status.ACTIVE:
        fetch.begin(authorization, now=now)
        fetch.enqueue_checks_of_earlier(authorization, now=now)
    return authorization


@transaction.atomic
def _store(journey: AuthorizationRequest, grant: Grant, now: datetime) -> Authorization:
    if not _customer(journey).is_active:
        parked = _park(journey, grant, gettext_noop("The customer's account was closed meanwhile."))
        fetch.enqueue_revocation(parked, now=now)
        return parked
    held = _held(journey.application_information, grant)
    if held and held.retail_customer_id != journey.retail_customer_id:
        return _park(journey, grant, gettext_noop("The account is already connected by another portal user."))
    if _another_account(journey.account_number, grant.account_number):
        return _park(
            journey, grant, gettext_noop("The utility answered for another account than the customer had chosen.")
        )
    app, utility = journey.application_information, utilities.get(journey.application_information.utility)
    if utility.scope_is_foreign(app, grant.scope, journey.scope_requested):
        return _park(journey, grant, gettext_noop("The utility granted something else than was asked."))
    authorization = held or Authorization(application_information=app, retail_customer_id=journey.retail_customer_id)
    _fill(authorization, journey, grant, now)
    authorization.status, authorization.status_reason = Authorization.Status.ACTIVE, ""
    authorization.ended_at, authorization.is_planned = None, False
    authorization.subscription = authorization.subscription or _subscription(journey, grant)
    authorization.save()
    if held:
        fetch.drop_revocations(held, now=now)
    _finish(journey, authorization, _outcome(authorization, renewed=held is not None or _was_connected(authorization)))
    if consent := consents.connected(journey, authorization, now=now):
        telling.receipt(consent, authorization, now=now)
    return authorization


def _customer(journey: AuthorizationRequest) -> User:
    """Whose it is. He stays until the end of the transaction: flows.leaving holds the same row. Raises NoAccount."""
    customer = User.objects.select_for_update(no_key=True).filter(pk=journey.retail_customer_id).first()
    if customer is None:
        raise NoAccount
    return customer


def _held(app: ApplicationInformation, grant: Grant) -> Authorization | None:
    """The authorization that already has this subscription, whoever owns it; locked until the end of the transaction."""
    held = Authorization.objects.select_for_update().filter(
        ~Q(status__in=[Authorization.Status.PARKED, Authorization.Status.SUPERSEDED]),
        application_information=app,
        utility_subscription_id=grant.subscription_id,
    )
    return held.first()


def _another_account(chosen: str, granted: str) -> bool:
    """Whether two account numbers cannot be the same account's.

    Con Edison's are seen with 11 and with 15 digits (contract §3.1), so the shorter may be a part of the longer.
    """
    chosen, granted = (number.replace("-", "").lstrip("0") for number in (chosen, granted))
    return bool(chosen and granted) and chosen not in granted and granted not in chosen


def _fill(authorization: Authorization, journey: AuthorizationRequest, grant: Grant, now: datetime) -> None:
    utility = utilities.get(journey.application_information.utility)
    account = grant.account_number or journey.account_number
    authorization.utility_subscription_id = grant.subscription_id
    authorization.utility_authorization_id = grant.authorization_id
    authorization.resource_uri = grant.resource_uri
    authorization.authorization_uri = grant.authorization_uri
    authorization.customer_resource_uri = grant.customer_resource_uri
    authorization.scope_requested = journey.scope_requested
    authorization.scope_granted = grant.scope or journey.scope_requested
    authorization.data_requested = journey.data_requested
    granted = utility.granted_choices(journey.application_information, authorization.scope_granted)
    # PG&E's customers tick once more there, and may tick more than they agreed to here: that is not collected.
    authorization.data_granted = [id_ for id_ in journey.data_requested if id_ in granted]
    authorization.access_token = grant.access_token
    authorization.access_token_expires_at = now + timedelta(seconds=grant.expires_in)
    authorization.refresh_token = grant.refresh_token or authorization.refresh_token
    authorization.account_number, authorization.account_hint = account, authorize.masked(account)
    authorization.start_date, authorization.end_date = journey.start_date, journey.end_date


def _subscription(journey: AuthorizationRequest, grant: Grant) -> Subscription:
    """The customer's history with this account goes on if he had one; otherwise it begins."""
    app = journey.application_information
    utility = utilities.get(app.utility)
    account = grant.account_number or journey.account_number
    if account:
        earlier = Authorization.objects.filter(
            retail_customer_id=journey.retail_customer_id,
            application_information__utility=app.utility,
            application_information__environment=app.environment,
            subscription__isnull=False,
        ).select_related("subscription")
        for authorization in earlier:
            if authorization.account_number == account and authorization.subscription:
                return authorization.subscription
    return Subscription.objects.create(
        retail_customer_id=journey.retail_customer_id,
        utility=app.utility,
        name=utility.name,
        time_zone=utility.time_zone,
    )


def _was_connected(authorization: Authorization) -> bool:
    """Whether this customer's account was being shared already, under another id (Con Edison gives each its own)."""
    others = Authorization.objects.filter(
        subscription=authorization.subscription_id, status=Authorization.Status.ACTIVE
    )
    return others.exclude(pk=authorization.pk).exists()


def _outcome(authorization: Authorization, *, renewed: bool) -> str:
    app = authorization.application_information
    left_out = utilities.get(app.utility).details_left_out(
        app, authorization.scope_granted, authorization.scope_requested
    )
    if left_out or set(authorization.data_requested) - set(authorization.data_granted):
        return Status.NARROWER
    return Status.ALREADY if renewed else Status.CONNECTED


def _park(journey: AuthorizationRequest, grant: Grant, reason: str) -> Authorization:
    """Keep the grant for staff; fetch nothing, show nothing, leave the other customer's connection alone (A13, A23)."""
    parked = Authorization(
        application_information=journey.application_information,
        retail_customer_id=journey.retail_customer_id,
        status=Authorization.Status.PARKED,
        status_reason=reason,
    )
    _fill(parked, journey, grant, journey.returned_at or journey.created_at)
    parked.save()
    log.warning("authorization parked: journey=%s reason=%s", journey.public_id, reason)
    _finish(journey, parked, Status.PARKED)
    return parked


def _finish(journey: AuthorizationRequest, authorization: Authorization, outcome: str) -> None:
    AuthorizationRequest.objects.filter(pk=journey.pk).update(
        authorization=authorization, status=outcome, reason="", code_verifier=None
    )
    Consent.objects.filter(request=journey).update(authorization=authorization, account_hint=authorization.account_hint)
