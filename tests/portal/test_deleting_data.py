"""What a customer uploaded or kept he can delete: asked plainly, all of it, and only by himself."""

import uuid
from io import BytesIO

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from lxml import html

from espi import customers, ingest
from espi.contents import Whole
from espi.models import (
    Authorization,
    Customer,
    CustomerAccount,
    CustomerAgreement,
    Document,
    IntervalBlock,
    LocalTimeParameters,
    ProgramIdMapping,
    Subscription,
    UsagePoint,
)
from portal.flows import continuity, deletion, upload
from portal.flows.withdraw import withdraw
from portal.models import FetchPlan
from tests.espi import documents
from tests.portal import rows

pytestmark = pytest.mark.django_db
DATA = (UsagePoint, IntervalBlock, Document, LocalTimeParameters)
STATUS = Authorization.Status


@pytest.fixture
def page():
    return signed_in(rows.customer())


def signed_in(user):
    client = Client()
    client.force_login(user)
    client.user = user
    return client


def uploaded(user):
    upload.store(user, BytesIO(documents.feed(documents.hours(24))), file_name="usage.xml", now=timezone.now())
    return Subscription.objects.get(utility="", retail_customer=user)


def connected(user, status=STATUS.ACTIVE):
    held = rows.authorization(rows.registration("pge", ""), user=user, status=status)
    ingest.store(documents.feed(documents.hours(24)), subscription=held.subscription, now=timezone.now())
    return held


def address(subscription):
    return reverse("delete-data", args=[subscription.public_id])


def links(client):
    return html.fromstring(client.get(reverse("dashboard")).content).xpath("//main//a/@href")


def test_uploaded_files_are_deleted_after_a_plain_question(page):
    held = uploaded(page.user)
    assert address(held) in links(page)
    asked = " ".join(html.fromstring(page.get(address(held)).content).text_content().split())
    assert "1 meter with all its readings, January 15, 2026 to January 15, 2026" in asked
    assert "0 bills" in asked
    assert "1 file as it came to us" in asked
    assert all(model.objects.exists() for model in DATA)
    answer = page.post(address(held), follow=True)
    assert answer.redirect_chain == [(reverse("dashboard"), 303)]
    assert "Deleted. We no longer have the data of “Files you uploaded”." in answer.content.decode()
    assert "Nothing is connected yet" in answer.content.decode()
    assert not any(model.objects.exists() for model in DATA)


def test_the_same_file_can_be_uploaded_again_afterwards(page):
    page.post(address(uploaded(page.user)))
    uploaded(page.user)
    assert IntervalBlock.objects.get().count == 24


@pytest.mark.parametrize("status", [STATUS.WITHDRAWN, STATUS.REVOKED, STATUS.EXPIRED])
def test_what_was_kept_of_an_ended_connection_is_deleted_and_its_record_stays(page, status):
    held = connected(page.user, status)
    assert address(held.subscription) in links(page)
    page.post(address(held.subscription))
    assert not any(model.objects.exists() for model in DATA)
    assert Authorization.objects.get().status == status
    assert address(held.subscription) not in links(page)


@pytest.mark.parametrize("status", [STATUS.ACTIVE, STATUS.NEEDS_RECONNECT])
def test_while_a_live_connection_fills_it_nothing_is_deleted_and_the_way_out_is_shown(page, status):
    held = connected(page.user, status)
    assert address(held.subscription) not in links(page)
    assert reverse("stop", args=[held.public_id]) in links(page)
    for answer in (page.get(address(held.subscription)), page.post(address(held.subscription))):
        assert answer.status_code == 409
        assert reverse("stop", args=[held.public_id]) in answer.content.decode()
    assert all(model.objects.exists() for model in DATA)
    with pytest.raises(deletion.StillFilled):
        deletion.delete(held.subscription)


def test_somebody_else_and_a_wrong_address_are_told_nothing(page):
    held = uploaded(page.user)
    stranger = signed_in(rows.customer("eve@example.com"))
    assert {stranger.get(address(held)).status_code, stranger.post(address(held)).status_code} == {404}
    assert page.get(reverse("delete-data", args=[uuid.uuid4()])).status_code == 404
    assert Client().post(address(held)).status_code == 303  # to sign in
    assert all(model.objects.exists() for model in DATA)


def test_deleting_needs_a_form_of_ours(page):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(page.user)
    assert strict.post(address(uploaded(page.user))).status_code == 403
    assert IntervalBlock.objects.exists()


def test_only_the_data_of_that_subscription_go(page):
    kept, gone = connected(page.user), uploaded(page.user)
    page.post(address(gone))
    assert list(UsagePoint.objects.values_list("subscription", flat=True)) == [kept.subscription_id]
    assert LocalTimeParameters.objects.get().subscription_id == kept.subscription_id


def test_stopping_with_deletion_leaves_no_word_of_the_utilitys_clock_either(page):
    withdraw(connected(page.user), delete_data=True, now=timezone.now())
    assert not any(model.objects.exists() for model in DATA)


def test_customer_data_and_the_names_of_codes_go_with_the_rest(page):
    held = connected(page.user, STATUS.REVOKED)
    codes = documents.espi("ProgramIdMappings", "<programIdMapping><code>1</code></programIdMapping>")
    content = documents.bare_feed(*tree("61234"), documents.entry(codes))
    ingest.store(content, subscription=held.subscription, now=timezone.now())
    assert CustomerAccount.objects.exists() and ProgramIdMapping.objects.exists()
    page.post(address(held.subscription))
    assert not any(model.objects.exists() for model in (*customers.MODELS.values(), ProgramIdMapping))


def tree(number):
    """A customer, his account and his agreement for the usage point U1, under an authorization's number."""
    top = f"{documents.BASE}/RetailCustomer/{number}/Customer/{number}-c"
    account = f"{top}/CustomerAccount/{number}-a"
    inner = {"Customer": "<customerName>Ann</customerName>", "CustomerAccount": "<accountId>1</accountId>"}
    hrefs = {"Customer": top, "CustomerAccount": account, "CustomerAgreement": f"{account}/CustomerAgreement/U1"}
    return [
        documents.entry(documents.customer(noun, inner.get(noun, "")), href, published="2026-01-01T00:00:00Z")
        for noun, href in hrefs.items()
    ]


def test_customer_data_that_came_first_go_to_the_history_that_their_usage_shows(page):
    first = connected(page.user, STATUS.SUPERSEDED)
    ingest.store(documents.bare_feed(*tree("976")), subscription=first.subscription, now=timezone.now())
    later = rows.authorization(first.application_information, "977", user=page.user)
    ingest.store(documents.bare_feed(*tree("977")), subscription=later.subscription, now=timezone.now())
    usage = documents.feed(documents.hours(24)).replace(b"/976/", b"/977/")
    with transaction.atomic():
        found = continuity.subscription_of(later, Whole(BytesIO(usage)), now=timezone.now())
    assert found == first.subscription
    for model in (Customer, CustomerAccount, CustomerAgreement):
        assert model.objects.get().subscription == first.subscription
    assert set(Customer.objects.get().ids) == {"976", "977"}


def test_of_what_was_deleted_nothing_is_complete_any_more(page):
    held = connected(page.user, STATUS.WITHDRAWN)
    plan = FetchPlan.objects.create(
        application_information=held.application_information, authorization=held, part="usage", complete_to=rows.NOW
    )
    Subscription.objects.update(complete_to=rows.NOW)
    deletion.delete(held.subscription)
    plan.refresh_from_db()
    assert (Subscription.objects.get().complete_to, plan.complete_to) == (None, None)
