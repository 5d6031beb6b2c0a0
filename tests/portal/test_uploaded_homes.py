"""Uploaded files of different homes stay apart, though utilities give many meters the same number; one home's meet."""

from io import BytesIO

import pytest
from django.utils import timezone

from espi import ingest
from espi.models import IntervalBlock, Subscription, UsagePoint, UsageSummary
from portal.flows import upload
from portal.models import User
from tests.espi import documents, samples

pytestmark = pytest.mark.django_db
DAY = 86400


@pytest.fixture
def user():
    return User.objects.create_user("ann@example.com")


def put(user, content):
    return upload.store(user, BytesIO(content), file_name="usage.xml", now=timezone.now())


def home(point, *more, start=documents.MIDNIGHT, value=100, with_point=True):
    """A day of one home's hours; without `with_point` its blocks alone say whose they are."""
    meter = f"{point}/MeterReading/01"
    entries = [documents.local_time(), documents.reading_type(), documents.meter_reading(meter)]
    entries += [documents.usage_point(point)] if with_point else []
    return documents.bare_feed(*entries, documents.hours(24, start, href=meter, value=lambda _: value), *more)


def points():
    return sorted(UsagePoint.objects.values_list("resource_id", flat=True))


def totals():
    return sorted(IntervalBlock.objects.values_list("meter_reading__usage_point__resource_id", "total"))


ONE = "https://localhost:8080/DataCustodian/espi/1_1/resource/RetailCustomer/9B6C7088/UsagePoint/5446AF3F"
OTHER = "/espi/1_1/resource/RetailCustomer/9B6C7066/UsagePoint/5446AF3F"
NEIGHBOUR = ONE.replace("9B6C7088", "9B6C7089")


@pytest.mark.parametrize("other", [OTHER, NEIGHBOUR, ONE.replace("localhost", "elsewhere")])
@pytest.mark.parametrize("with_point", [True, False])
def test_two_homes_whose_meters_have_one_number_stay_two_meters(user, other, with_point):
    put(user, home(ONE, value=1, with_point=with_point))
    put(user, home(other, value=2, with_point=with_point))
    names = [link.partition("//")[2] or link for link in (ONE, other)]
    assert points() == sorted(names)
    assert totals() == sorted([(names[0], 24), (names[1], 48)])


def test_two_homes_in_one_file_stay_two_meters_also_when_they_are_named_after_their_readings(user):
    first, second = home(ONE, value=1, with_point=False), home(NEIGHBOUR, value=2, with_point=False)
    entries = second.partition(b"</updated>")[2].rpartition(b"</feed>")[0]
    named = "".join(documents.usage_point(link) for link in (ONE, NEIGHBOUR)).encode()
    put(user, first.replace(b"</feed>", entries + named + b"</feed>"))
    assert [total for _, total in totals()] == [24, 48]
    assert len(points()) == 2


def test_files_of_one_home_meet_whether_or_not_they_name_the_usage_point(user):
    put(user, home(ONE))
    put(user, home(ONE, start=documents.MIDNIGHT + DAY, with_point=False))
    put(user, home(ONE.replace("https:", "http:") + "?published-min=1", start=documents.MIDNIGHT + 2 * DAY))
    assert len(points()) == 1
    assert IntervalBlock.objects.count() == 3


def test_a_usage_point_whose_own_links_lead_elsewhere_is_one(user):
    account, person = "/v1/BillingAccount/7/UsagePoint/NET", "/v1/User/7/UsagePoint/NET"
    named = documents.entry(documents.espi("UsagePoint"), account, related=[f"{person}/MeterReading"])
    put(user, home(person, named, with_point=False))
    assert points() == [account]


def test_a_file_leads_to_its_meter_also_when_another_corrected_an_hour_of_each_of_its_days(user):
    link = f"{documents.POINT}/MeterReading/M1"
    first = put(user, documents.feed(documents.hours(24, published="2026-01-16T00:00:00Z", href=link)))
    second = put(
        user, documents.feed(documents.hours(1, published="2026-01-18T00:00:00Z", href=link, value=lambda _: 7))
    )
    (point,) = UsagePoint.objects.all()
    assert [*upload.usage_points(first)] == [*upload.usage_points(second)] == [point]


def test_a_bill_goes_to_the_home_its_address_names(user):
    def bill(point, amount):
        inner = f"<billingPeriod><duration>{DAY}</duration><start>{documents.MIDNIGHT}</start></billingPeriod>"
        inner += f"<billLastPeriod>{amount}</billLastPeriod>"
        return documents.entry(documents.espi("UsageSummary", inner), f"{point}/UsageSummary/1")

    put(user, home(ONE, bill(ONE, 1)))
    put(user, home(NEIGHBOUR, bill(NEIGHBOUR, 2)))
    assert UsageSummary.objects.count() == 2
    assert UsageSummary.objects.get(usage_point__resource_id__contains="9B6C7089").bill_last_period == 2


def test_a_utility_numbers_its_own_usage_points_however_their_addresses_change(user):
    connected = Subscription.objects.create(retail_customer=user, utility="pge", time_zone="America/Los_Angeles")
    for link, start in ((ONE, 0), (NEIGHBOUR, DAY)):
        content = home(link, start=documents.MIDNIGHT + start)
        ingest.store(content, subscription=connected, now=timezone.now())
    assert points() == ["5446AF3F"]


PUBLIC = [
    ("asciipip__Desert_Multi_Family_Jan_1_2011_to_Jan_1_2012_RetailCustomer_6.xml", "verdigris__PGEIntervalBlock.xml"),
    ("cmdtest__Meter_Data_12-09-2013_12-15-2013.xml", "openespi__test_usage_data.xml"),
]
PAIRS = [[home(ONE), home(OTHER)]]
if samples.FOLDER.exists():
    PAIRS += [[(samples.FOLDER / "xml" / name).read_bytes() for name in names] for names in PUBLIC]


@pytest.mark.parametrize("contents", PAIRS, ids=lambda contents: f"{sum(map(len, contents))}-bytes")
def test_files_of_different_homes_stay_apart(user, contents):
    for content in contents:
        put(user, content)
    assert UsagePoint.objects.filter(meter_readings__isnull=False).distinct().count() == 2
