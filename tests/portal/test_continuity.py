"""A customer's history goes on when everything about it has another name: subscription, usage points, meters."""

from datetime import date, timedelta

import lxml.html
import pytest
from django.db import connection as connection_of_database
from django.db import transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from espi import session, usage
from espi.models import Authorization, Document, IntervalRevision, ServicePlace, Subscription, Succession, UsagePoint
from portal.flows import continuity, deletion, fetch
from tests.portal import rows, standin
from tests.portal.rows import NOW, PGE

pytestmark = pytest.mark.django_db
Status = Authorization.Status
FIRST = 1773903600  # midnight of 19 March 2026 in California
DAY = 86400


def home(hour):
    return 300 + hour * 37 % 211


def flat(hour):
    return 280 + hour * 53 % 197


def hours(first, count, value=home):
    """Values of `count` days from day `first`."""
    return [value(hour) for hour in range(first * 24, (first + count) * 24)]


@pytest.fixture
def utility():
    stand_in = standin.StandIn()
    with session.mounted("https://localhost:8002", stand_in.adapter):
        yield stand_in


@pytest.fixture
def pge():
    return rows.registration("pge", "")


def connection(pge, number, **more):
    held = rows.authorization(pge, number, data_granted=["usage", "customer"], **more)
    Subscription.objects.filter(pk=held.subscription_id).update(time_zone="America/Los_Angeles")
    return held


def receive(utility, authorization, content, path="Batch/Subscription", now=NOW):
    """The authorization's own batch answers with this document."""
    url = f"{PGE}/{path}/{authorization.utility_subscription_id}"
    utility.answers = {path: [(200, content, {})]}
    kind = "customer" if "Retail" in path else "usage"
    job = rows.job(authorization, url, kind=kind)
    fetch.run(job.pk, now=now)
    job.refresh_from_db()
    assert job.state == "done", job.reason
    authorization.refresh_from_db()


def usage_of(authorization, point, first, count, value=home):
    return standin.feed(
        authorization.utility_subscription_id, start=FIRST + first * DAY, values=hours(first, count, value), point=point
    )


def customer_of(authorization, point, serial="1009283746"):
    """Customer data as PG&E's links tell them (its contract, 9.5)."""
    base = f"{PGE}/RetailCustomer/{authorization.utility_subscription_id}/Customer/QzE=/CustomerAccount/A1"
    place = f"{base}/CustomerAgreement/{point}/ServiceLocation/TE9DLTE="
    told = {
        place: "<ServiceLocation$><mainAddress><streetDetail><addressGeneral>1 EXAMPLE ST</addressGeneral>"
        "</streetDetail></mainAddress></ServiceLocation>",
        f"{place}/Meter/{serial}": f"<Meter$><serialNumber>{serial}</serialNumber></Meter>",
    }
    entries = "".join(
        f'<entry><link rel="self" href="{href}"/><content>{content}</content></entry>' for href, content in told.items()
    )
    namespaced = entries.replace("$", ' xmlns="http://naesb.org/espi/customer"')
    return f'<feed xmlns="http://www.w3.org/2005/Atom">{namespaced}</feed>'.encode()


def total(point, count):
    (days,) = usage.daily_totals(point, date(2026, 3, 19), date(2026, 3, 19) + timedelta(days=count)).values()
    return sum(day.value for day in days)


def pages(*points):
    client = Client()
    client.force_login(points[0].subscription.retail_customer)
    found = [lxml.html.fromstring(client.get(f"/usage/{point.public_id}").content) for point in points]
    return [[" ".join(note.text_content().split()) for note in page.xpath("//p[@class='notice']")] for page in found]


def test_f48_a_reauthorization_with_new_ids_of_everything_goes_on_with_the_old_history(utility, pge):
    first, second = connection(pge, "61234"), connection(pge, "70001")
    receive(utility, first, usage_of(first, "1000000001", 0, 20))
    known = UsagePoint.objects.get()
    receive(utility, second, usage_of(second, "2000000002", 0, 25))
    first.refresh_from_db()
    assert (UsagePoint.objects.get(), Subscription.objects.get()) == (known, first.subscription)
    assert second.subscription == first.subscription
    assert (first.status, first.access_token) == (Status.SUPERSEDED, None)
    assert total(known, 25) == sum(hours(0, 25))
    assert not IntervalRevision.objects.exists()
    receive(utility, second, usage_of(second, "2000000002", 25, 5))
    assert total(UsagePoint.objects.get(), 30) == sum(hours(0, 30))
    (told,) = pages(known)
    assert told == [
        "Since April 8, 2026, 00:00, your utility lists this service under another number. It is the same meter: it sent the "
        "same readings under both. The figures from before and after are shown together."
    ]


def test_the_page_of_a_meter_that_was_joined_leads_its_owner_to_the_other(utility, pge):
    first, second = connection(pge, "61234"), connection(pge, "70001")
    receive(utility, first, usage_of(first, "1000000001", 0, 20))
    receive(utility, first, customer_of(first, "1000000001"), "Batch/RetailCustomer")
    receive(utility, second, usage_of(second, "2000000002", 22, 5))
    kept, joined = UsagePoint.objects.order_by("pk")
    receive(utility, second, customer_of(second, "2000000002"), "Batch/RetailCustomer")
    assert UsagePoint.objects.get() == kept
    client = Client()
    client.force_login(kept.subscription.retail_customer)
    answer = client.get(f"/usage/{joined.public_id}?period=day&date=2026-03-20")
    assert (answer.status_code, answer["Location"]) == (303, f"/usage/{kept.public_id}?period=day&date=2026-03-20")
    assert client.get(answer["Location"]).status_code == 200
    client.force_login(rows.customer("eve@example.com"))
    assert client.get(f"/usage/{joined.public_id}").status_code == 404


def test_customer_data_that_come_later_join_what_readings_could_not(utility, pge):
    """The new authorization brings only what was read since: nothing overlaps, but the meter is the same."""
    first, second = connection(pge, "61234"), connection(pge, "70001")
    receive(utility, first, usage_of(first, "1000000001", 0, 20))
    receive(utility, first, customer_of(first, "1000000001"), "Batch/RetailCustomer")
    receive(utility, second, usage_of(second, "2000000002", 22, 5))
    assert UsagePoint.objects.update(created_at=NOW - timedelta(days=400)) == 2
    receive(utility, second, customer_of(second, "2000000002"), "Batch/RetailCustomer")
    assert Subscription.objects.count() == 1
    assert total(UsagePoint.objects.get(), 30) == sum(hours(0, 20)) + sum(hours(22, 5))
    assert Succession.objects.get(meter_reading=None).reason == Succession.Reason.SAME_METER


def test_a_home_one_moved_to_stays_another_history_and_both_pages_say_so(utility, pge):
    held = connection(pge, "61234")
    receive(utility, held, usage_of(held, "1000000001", 0, 20))
    receive(utility, held, usage_of(held, "2000000002", 20, 5, flat))
    before, after = UsagePoint.objects.order_by("resource_id")
    told_before, told_after = pages(before, after)
    assert told_before[0].startswith("Since April 8, 2026, 00:00, readings go on with another meter of yours")
    assert told_after[0].startswith("Since April 8, 2026, 00:00, readings begin here")
    assert told_after[0].endswith("and we keep them apart. See the other meter")


def statements(authorization, document):
    with CaptureQueriesContext(connection_of_database) as caught, transaction.atomic():
        continuity.settle(authorization, document, now=NOW)
    return len(caught)


def test_many_usage_points_are_compared_in_as_many_statements_as_a_few(utility, pge):
    """Four, then sixteen homes of one customer, each with readings of its own and new."""
    held, seen = connection(pge, "61234"), []
    for number in (4, 16):
        for home_number in range(len(seen) and 4, number):
            content = usage_of(
                held, f"10000000{home_number:02}", 0, 12, lambda hour, n=home_number: hour * (7 + n) % 331
            )
            receive(utility, held, content)
        document = Document.objects.latest("pk")
        document.touched = frozenset(UsagePoint.objects.values_list("pk", flat=True))
        seen.append(statements(held, document))
    assert seen[0] == seen[1] < 20
    assert UsagePoint.objects.count() == 16


def test_of_more_usage_points_than_can_all_be_compared_those_are_that_a_document_touches(utility, pge, monkeypatch):
    monkeypatch.setattr(continuity, "MOST_COMPARED", 2)
    held = connection(pge, "61234")
    receive(utility, held, usage_of(held, "1000000001", 0, 20))
    receive(utility, held, usage_of(held, "1000000002", 0, 20, flat))
    receive(utility, held, usage_of(held, "1000000003", 0, 22))
    assert sorted(UsagePoint.objects.values_list("resource_id", flat=True)) == ["1000000001", "1000000002"]
    document = Document.objects.latest("pk")
    document.touched = frozenset(UsagePoint.objects.values_list("pk", flat=True))
    monkeypatch.setattr(continuity, "MOST_COMPARED", 1)
    assert statements(held, document) < 5


def test_two_homes_of_one_customer_in_two_connections_stay_two(utility, pge):
    first, second = connection(pge, "61234"), connection(pge, "70001")
    receive(utility, first, usage_of(first, "1000000001", 0, 20))
    receive(utility, second, usage_of(second, "2000000002", 0, 20, flat))
    assert (UsagePoint.objects.count(), Subscription.objects.count()) == (2, 2)
    assert list(Authorization.objects.values_list("status", flat=True).distinct()) == [Status.ACTIVE]
    assert not Succession.objects.exists()


def test_another_customers_equal_readings_are_never_joined(utility, pge):
    """Two people of one household, each with a login of their own: each keeps his own."""
    first = connection(pge, "61234")
    second = connection(pge, "70001", user=rows.customer("bob@example.com"))
    for held, name in ((first, "1000000001"), (second, "2000000002")):
        receive(utility, held, usage_of(held, name, 0, 20))
        receive(utility, held, customer_of(held, name), "Batch/RetailCustomer")
    assert (UsagePoint.objects.count(), Subscription.objects.count()) == (2, 2)


def test_the_readings_of_a_usage_point_that_is_no_longer_new_are_not_compared_again(utility, pge):
    """That would be work without end; customer data may still join them."""
    first, second = connection(pge, "61234"), connection(pge, "70001")
    receive(utility, first, usage_of(first, "1000000001", 0, 20))
    receive(utility, second, usage_of(second, "2000000002", 60, 1))
    UsagePoint.objects.update(created_at=NOW - timedelta(days=31))
    receive(utility, second, usage_of(second, "2000000002", 0, 20))
    assert UsagePoint.objects.count() == 2
    UsagePoint.objects.update(created_at=NOW - timedelta(days=29))
    receive(utility, second, usage_of(second, "2000000002", 0, 21))
    assert UsagePoint.objects.count() == 1


def test_what_is_deleted_takes_what_was_known_of_places_along(utility, pge):
    held = connection(pge, "61234")
    receive(utility, held, usage_of(held, "1000000001", 0, 5))
    receive(utility, held, customer_of(held, "1000000001"), "Batch/RetailCustomer")
    assert ServicePlace.objects.exists()
    deletion.delete_data(held.subscription)
    assert not (ServicePlace.objects.exists() or UsagePoint.objects.exists())
