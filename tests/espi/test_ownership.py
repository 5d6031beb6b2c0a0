"""Whose data a document holds: in a file of many, or one that may be anybody's, whatever is personal says whose it is."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth import get_user_model

from espi import ingest, models
from espi.dialect import Dialect
from tests.espi import documents

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
BARE = "https://utility.example/espi/1_1/resource"
BILL = "<billingPeriod><duration>2678400</duration><start>1768453200</start></billingPeriod>"
UNNAMED = {
    "UsagePoint": documents.usage_point(f"{BARE}/UsagePoint/U2"),
    "MeterReading": documents.meter_reading(f"{BARE}/UsagePoint/U2/MeterReading/M2"),
    "IntervalBlock": documents.hours(24, href=f"{BARE}/UsagePoint/U2/MeterReading/M2"),
    "UsageSummary": documents.entry(documents.espi("UsageSummary", BILL), f"{BARE}/UsagePoint/U2/UsageSummary/B1"),
    "Customer": documents.entry('<Customer xmlns="http://naesb.org/espi/customer"/>'),
}


@pytest.fixture
def subscription():
    user = get_user_model().objects.create_user("ada@example.com")
    return models.Subscription.objects.create(retail_customer=user, utility="cecony", time_zone="America/New_York")


def store(subscription, content, **more):
    return ingest.store(
        content, subscription=subscription, now=NOW, dialect=Dialect(), expected_subscription_id="976", **more
    )


@pytest.mark.parametrize("name", UNNAMED)
def test_c10_in_a_file_of_many_what_names_nobody_is_nobodys(subscription, name):
    document = store(subscription, documents.feed(documents.hours(24), UNNAMED[name]), others="skip")
    assert list(models.UsagePoint.objects.values_list("resource_id", flat=True)) == ["U1"]
    assert (models.UsageSummary.objects.exists(), document.parts.exists()) == (False, False)
    assert sum(block.count for block in models.IntervalBlock.objects.all()) == 24


@pytest.mark.parametrize("name", UNNAMED)
def test_c10_a_file_that_may_be_anybodys_has_to_name_its_customer_everywhere(subscription, name):
    with pytest.raises(ingest.OtherSubscription):
        store(subscription, documents.feed(documents.hours(24), UNNAMED[name]), must_name=True)
    assert not models.Document.objects.exists()


def test_what_readings_mean_and_the_time_zone_need_not_name_anybody(subscription):
    document = store(subscription, documents.feed(documents.hours(24)), others="skip")
    assert models.IntervalBlock.objects.get().count == 24
    assert document.parts.exists()


def test_a_resource_may_name_its_customer_by_the_link_to_what_it_belongs_to(subscription):
    bill = documents.entry(documents.espi("UsageSummary", BILL), "urn:uuid:1", up=f"{documents.POINT}/UsageSummary")
    store(subscription, documents.bare_feed(bill), must_name=True)
    assert models.UsageSummary.objects.count() == 1


def test_con_edisons_first_edition_names_the_customer_in_every_link(subscription):
    store(subscription, documents.v1_feed(documents.v1_entry("KWH", ["0.25"] * 96)), must_name=True)
    assert models.IntervalBlock.objects.get().count == 96
    with pytest.raises(ingest.OtherSubscription):
        ingest.store(
            documents.v1_feed(documents.v1_entry("KWH", ["0.26"] * 96)),
            subscription=subscription, now=NOW, expected_subscription_id="977", must_name=True,
        )  # fmt: skip


def test_without_a_subscription_to_expect_nothing_can_be_proved(subscription):
    with pytest.raises(ingest.OtherSubscription):
        ingest.store(documents.feed(documents.hours(24)), subscription=subscription, now=NOW, must_name=True)


def test_the_one_customers_own_file_may_leave_him_out(subscription):
    store(subscription, documents.feed(documents.hours(24), UNNAMED["UsagePoint"]))
    assert models.UsagePoint.objects.count() >= 1
