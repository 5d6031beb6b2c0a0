"""Account details, from consent to rows: who, which account, where, which meter; one row of each, however often they come."""

from datetime import UTC, datetime

import pytest

from espi import customers
from espi.models import Authorization, Customer, CustomerAccount, CustomerAgreement, FetchJob, ServiceLocation
from portal.flows import fetch
from portal.models import FetchPlan
from tests.journeys.customers import PGE, PROFILES
from tests.journeys.test_first_data import connect


def counts():
    return {noun: model.objects.count() for noun, model in customers.MODELS.items() if model.objects.exists()}


@pytest.mark.parametrize("profile", PROFILES, ids=str)
def test_account_details_arrive(world, profile):
    authorization = connect(world, profile, "customer")
    world.work()
    assert not FetchJob.objects.exclude(state="done").exists()
    account = CustomerAccount.objects.get()
    assert account.subscription == authorization.subscription
    assert account.account_number.strip("-0123456789") == ""
    assert len(account.account_number) > 8
    places = [row.address for row in ServiceLocation.objects.all()]
    assert places and all("\n" in place for place in places)
    document = authorization.subscription.documents.get()
    assert (document.summary["other"], document.summary["refused"]) == ({}, [])


def test_pges_programs_come_in_a_file_of_their_own(world):
    connect(world, PGE.with_most_data, "customer", "programs")
    world.work()
    assert not FetchJob.objects.exclude(state="done").exists()
    told = {row.agreement_number: row.programs for row in CustomerAgreement.objects.all()}
    assert [{"name": "SmartRate", "status": "enrolledPending"}] in told.values()
    assert all(told)


def test_pges_programs_are_not_kept_where_they_were_not_chosen(world):
    connect(world, PGE.with_most_data, "customer")
    world.work()
    assert not any(row.programs for row in CustomerAgreement.objects.all())


def test_a_customer_who_connects_again_is_the_same_customer(world):
    first = connect(world, PGE.with_most_data, "usage", "customer", "programs")
    world.work()
    before, name = counts(), Customer.objects.get().name
    again = connect(world, PGE.with_most_data, "usage", "customer", "programs")
    world.work()
    again.refresh_from_db()
    assert again.subscription == first.subscription
    assert again.utility_subscription_id != first.utility_subscription_id
    assert counts() == before
    assert Customer.objects.get().name == name
    assert Authorization.objects.count() == 2


def test_pges_bulk_file_of_account_details_reaches_those_who_share_them_and_nobody_else(world):
    """One request a week for all; what it says of somebody who stopped here is not kept."""
    held = []
    for number, chosen in enumerate((["customer"], ["customer"], ["usage"], ["customer"])):
        browser = world.signed_in(f"bulk{number}@example.com")
        world.to_utility(browser, "pge", *chosen)
        PGE.approve(browser, f"load{number + 1}@example.com")
        held.append(Authorization.objects.latest("pk"))
    world.work()
    names = {row.subscription_id: row.name for row in Customer.objects.all()}
    Customer.objects.all().delete()
    CustomerAccount.objects.all().delete()
    Authorization.objects.filter(pk=held[3].pk).update(status="withdrawn")
    FetchPlan.objects.update(answered_at=None)
    ask_for_all(world)
    found = {row.subscription_id: row.name for row in Customer.objects.all()}
    assert found == {each.subscription_id: names[each.subscription_id] for each in held[:2]}
    assert {row.subscription_id for row in CustomerAccount.objects.all()} == set(found)
    asked, file = FetchJob.objects.filter(url__contains="BulkRetailCustomerInfo").order_by("pk")
    assert (asked.state, asked.token_class, file.state, file.token_class) == ("done", "client", "done", "client")
    assert held[3].utility_subscription_id in file.reason
    plan = FetchPlan.objects.get(part="bulk customers")
    assert plan.answered_at and (plan.next_at - plan.asked_at).days >= 6
    assert not FetchPlan.objects.filter(part="bulk", answered_at=plan.answered_at).exists()
    given = FetchPlan.objects.filter(part="customer", answered_at__isnull=False)  # they do not look idle
    assert {each.authorization_id for each in given} == {each.pk for each in held[:2]}


def ask_for_all(world):
    now = datetime.now(UTC)
    fetch.plan(now)
    FetchPlan.objects.filter(part="bulk customers").update(next_at=now)
    fetch.plan(now)
    world.work()
