"""A customer deletes his account: nothing of him is left anywhere in the database, and the utilities are told."""

import uuid
from datetime import datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core import mail
from django.db import connection
from django.utils import timezone

from espi.models import (
    Authorization,
    AuthorizationRequest,
    Document,
    FetchJob,
    IntervalBlock,
    Subscription,
    UsagePoint,
)
from portal.flows import exporting, grants, leaving, mailing
from portal.models import Consent, Departure, Letter, User
from tests.journeys.conftest import PASSWORD, PORTAL
from tests.journeys.customers import CECONY_V2, ESSEX, PGE
from tests.journeys.test_first_data import connect
from tests.portal.people import staff
from utilities.oauth import Grant


def leave(world):
    browser = world.signed_in()
    browser.get(f"{PORTAL}/account/delete").press("Delete my account", sure="on")
    if "reauthenticate" in browser.url:
        browser.press(password=PASSWORD)
    return browser


def anywhere(*words):
    """Tables, other than Django's own of what exists, in whose rows one of these words stands."""
    found = set()
    for table in connection.introspection.table_names():
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT string_agg(each::text, ' ') FROM \"{table}\" each")
            (text,) = cursor.fetchone()
        found |= {(table, word) for word in words if word in (text or "")}
    return found


def test_b16_nothing_of_the_person_is_left_and_the_audit_keeps_numbers_only(world):
    authorization = connect(world, PGE, "usage", "customer")
    world.work()
    user = User.objects.get()
    exporting.ask_for_everything(user, now=timezone.now())
    exporting.prepare_exports()
    LogEntry.objects.create(
        user=staff("boss@example.net"),
        content_type=ContentType.objects.get_for_model(User),
        object_id=str(user.pk),
        object_repr=str(user),
        action_flag=2,
    )
    reference = Consent.objects.get().reference
    assert anywhere("ada@example.com")
    browser = leave(world)
    assert browser.heading == "Your account is deleted"
    assert browser.get(f"{PORTAL}/dashboard").url.startswith(f"{PORTAL}/account/login/")
    for model in (IntervalBlock, UsagePoint, Document, Subscription, Consent):
        assert not model.objects.exists(), model
    world.work()
    assert [row["status"] for row in world.sandbox.store.find("authorizations")] == ["revoked"]
    mailing.send_due(timezone.now())
    leaving.finish(timezone.now())
    assert not User.objects.filter(pk=user.pk).exists()
    assert not Authorization.objects.exists()
    held = [authorization.account_hint, authorization.account_number, str(authorization.public_id)]
    assert anywhere("ada@example.com", *filter(None, held)) == set()
    departure = Departure.objects.get()
    assert (departure.user_id, departure.references) == (user.pk, [reference])
    assert departure.done_at
    assert mail.outbox[-1].to == ["ada@example.com"]
    assert mail.outbox[-1].subject == "Your account is deleted"
    assert LogEntry.objects.get(object_id=str(user.pk)).object_repr == f"user {user.pk}"


def test_where_no_utility_is_to_be_told_everything_goes_at_once(world):
    connect(world, CECONY_V2)
    world.work()
    leave(world)
    assert not User.objects.exists()
    mailing.send_due(timezone.now())
    assert "sign in on its site" in mail.outbox[-1].body
    assert set(Letter.objects.values_list("address", "retail_customer")) == {("", None)}


def test_a_utility_that_cannot_be_told_is_waited_for_a_week_only(world):
    connect(world, ESSEX)
    world.work()
    leave(world)
    assert FetchJob.objects.filter(kind="revocation", state="due").exists()
    (row,) = Authorization.objects.all()
    assert (row.account_number, row.access_token, row.refresh_token, row.subscription) == ("", None, None, None)
    assert User.objects.get().email.endswith("@deleted.invalid")
    assert leaving.finish(timezone.now()) == 0
    assert leaving.finish(timezone.now() + timedelta(days=8)) == 1
    assert not User.objects.exists()


def test_an_account_is_deleted_once_and_its_address_can_register_again(world):
    user = world.user()
    leaving.leave(user, now=timezone.now())
    leaving.leave(user, now=timezone.now())
    assert Departure.objects.count() == 1
    world.user()


def test_the_page_needs_the_box_and_the_password(world):
    browser = world.signed_in()
    browser.get(f"{PORTAL}/account/delete").press("Delete my account")
    if "reauthenticate" in browser.url:
        browser.press(password="wrong")
        assert User.objects.get().is_active
        browser.press(password=PASSWORD)
    assert "There is a problem" in browser.text
    assert User.objects.get().is_active


def test_staff_do_not_delete_themselves(db):
    with pytest.raises(leaving.StaffStay):
        leaving.leave(staff(), now=datetime.now().astimezone())


@pytest.mark.parametrize("profile", [ESSEX, CECONY_V2], ids=["a utility that is told", "one that is not"])
def test_what_a_utility_grants_while_the_account_is_deleted_connects_nobody(world, profile):
    connect(world, profile)
    journey, user = AuthorizationRequest.objects.get(), User.objects.get()
    leaving.leave(user, now=timezone.now())
    granted = Grant("access", "refresh", 3600, subscription_id="555", authorization_id="556")
    if profile is ESSEX:  # his account waits until it has been told of the first connection
        assert grants.keep(journey, granted, now=timezone.now()).status == Authorization.Status.PARKED
        assert FetchJob.objects.filter(kind="revocation", authorization__utility_authorization_id="556").exists()
        other = Authorization.objects.get(status=Authorization.Status.WITHDRAWN)
        other.pk, other.utility_subscription_id, other.utility_authorization_id = None, "777", "777"
        other.public_id, other.retail_customer = uuid.uuid4(), world.user("ben@example.com")
        other.status = Authorization.Status.ACTIVE
        other.save()
        theirs = Grant("access", "refresh", 3600, subscription_id="777", authorization_id="777")
        parked = grants.keep(journey, theirs, now=timezone.now())
        assert (parked.status, parked.fetch_jobs.count()) == (Authorization.Status.PARKED, 0)
        other.delete()
    else:
        with pytest.raises(grants.NoAccount):
            grants.keep(journey, granted, now=timezone.now())
    assert not Authorization.objects.filter(status=Authorization.Status.ACTIVE).exists()
