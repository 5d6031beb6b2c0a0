"""Two ids of one service become one history; two homes never do."""

import itertools
from datetime import UTC, date, datetime, timedelta

import pytest

from espi import ingest, joining, merging, models, successions, usage
from espi.dialect import Dialect
from portal.models import User
from tests.espi import documents
from tests.espi.documents import BASE, MIDNIGHT

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = date(2026, 1, 15)
DAYS = 86400
Reason = models.Succession.Reason
DIALECT = Dialect(time_zone="America/New_York", is_per_meter=True, agreement_is_usage_point=True)
CUSTOMER = "http://naesb.org/espi/customer"


@pytest.fixture
def subscription():
    return new_subscription(User.objects.create_user("ann@example.com"))


def new_subscription(user):
    return models.Subscription.objects.create(retail_customer=user, utility="pge", time_zone="America/New_York")


def store(subscription, content, **more):
    return ingest.store(content, subscription=subscription, **({"now": NOW, "dialect": DIALECT} | more))


def href(name):
    return f"{BASE}/Subscription/976/UsagePoint/{name}"


def usage_of(name, start_day, days, value, *, kind=0, published="2026-02-01T00:00:00Z", meter="M", **codes):
    """A document: so many days of hours of one usage point; `value` is a function of the hour since MIDNIGHT."""
    meter_href, kind_href = f"{href(name)}/MeterReading/{meter}-{name}", f"{BASE}/ReadingType/1"
    blocks = [
        documents.hours(24, MIDNIGHT + day * DAYS, href=meter_href, value=lambda i, day=day: value(day * 24 + i))
        for day in range(start_day, start_day + days)
    ]
    parts = (documents.usage_point(href(name), kind), documents.reading_type(kind_href, **codes))
    return documents.bare_feed(*parts, documents.meter_reading(meter_href, kind_href), *blocks, updated=published)


def customer_of(name, *, place="LOC-00001", address="1 EXAMPLE ST", serials=()):
    """Customer data: where a usage point is and which meters serve it, as PG&E's links tell it (its contract, 9.5)."""
    base = f"{BASE}/RetailCustomer/976/Customer/C1/CustomerAccount/A1/CustomerAgreement/{name}/ServiceLocation/{place}"
    told = f"<mainAddress><streetDetail><addressGeneral>{address}</addressGeneral></streetDetail></mainAddress>"
    entries = [documents.entry(f'<ServiceLocation xmlns="{CUSTOMER}">{told}</ServiceLocation>', base)]
    entries += [
        documents.entry(
            f'<Meter xmlns="{CUSTOMER}"><serialNumber>{serial}</serialNumber></Meter>', f"{base}/Meter/{serial}"
        )
        for serial in serials
    ]
    return documents.bare_feed(*entries)


def home(hour):
    return 300 + hour * 37 % 211


def neighbour(hour):
    return 280 + hour * 53 % 197


def point(name):
    return models.UsagePoint.objects.get(resource_id=name)


def why(one="U1", other="U2"):
    """What the evidence is, by its reason."""
    points = point(one), point(other)
    others = models.UsagePoint.objects.exclude(pk__in=[each.pk for each in points])
    found = joining.Comparison([*points, *others]).evidence(*points)
    return found and found.reason


def evidence(one, other):
    return joining.Comparison([one, other]).evidence(one, other)


def may_follow(one, other):
    return joining.Comparison([one, other]).may_follow(one, other)


def join(one="U1", other="U2"):
    kept, joined = point(one), point(other)
    found = evidence(kept, joined)
    assert found
    joining.join(kept, joined, found, None)
    return found


def total(usage_point, days):
    (sums,) = usage.daily_totals(usage_point, DAY, DAY + timedelta(days=days)).values()
    assert all(day.is_complete for day in sums)
    return sum(day.value for day in sums)


# --- The same readings ------------------------------------------------------------------------------------------------


def test_f48_readings_sent_again_under_another_id_are_one_history_with_the_same_totals(subscription):
    store(subscription, usage_of("U1", 0, 10, home))
    store(subscription, usage_of("U2", 4, 10, home))
    assert why() == Reason.SAME_READINGS
    found = join()
    kept = models.UsagePoint.objects.get()
    assert total(kept, 14) == sum(home(hour) for hour in range(14 * 24))
    assert models.IntervalBlock.objects.count() == 14
    assert not models.IntervalRevision.objects.exists()
    assert found.at == MIDNIGHT + 10 * DAYS
    assert [note.reason for note in successions.notes(kept)] == [Reason.SAME_READINGS]


def test_what_comes_later_under_either_id_goes_into_the_one_history(subscription):
    store(subscription, usage_of("U1", 0, 10, home))
    store(subscription, usage_of("U2", 4, 10, home))
    join()
    store(subscription, usage_of("U2", 14, 2, home))
    store(subscription, usage_of("U1", 0, 1, lambda hour: home(hour) + 1, published="2026-02-03T00:00:00Z"))
    kept = models.UsagePoint.objects.get()
    assert total(kept, 16) == sum(home(hour) for hour in range(16 * 24)) + 24
    assert models.MeterReading.objects.count() == 1


def test_where_they_differ_the_later_publication_stands_and_the_other_is_in_the_audit_trail(subscription):
    store(subscription, usage_of("U1", 0, 10, home))
    corrected = usage_of("U2", 0, 10, lambda hour: home(hour) + (hour == 5), published="2026-02-03T00:00:00Z")
    store(subscription, corrected)
    join()
    assert total(models.UsagePoint.objects.get(), 10) == sum(home(hour) for hour in range(240)) + 1
    revision = models.IntervalRevision.objects.get()
    assert (revision.old_value, revision.new_value) == (home(5), home(5) + 1)


def test_other_multipliers_are_brought_together_exactly(subscription):
    store(subscription, usage_of("U1", 0, 10, home))
    store(subscription, usage_of("U2", 0, 12, lambda hour: home(hour) * 1000, powerOfTenMultiplier=-3))
    join()
    kept = models.UsagePoint.objects.get()
    ((channel, days),) = usage.daily_totals(kept, DAY, DAY + timedelta(days=12)).items()
    assert usage.amount(channel, sum(day.value for day in days)) == sum(home(hour) for hour in range(12 * 24))


def test_gas_days_that_fit_no_grid_are_compared_too(subscription):
    gas = {"commodity": 7, "uom": 169, "powerOfTenMultiplier": -8}

    def days(name, count):
        meter, kind = f"{href(name)}/MeterReading/G", f"{BASE}/ReadingType/1"
        readings = [documents.reading(MIDNIGHT + day * DAYS + 1, 1000 + 7 * day, DAYS) for day in range(count)]
        parts = documents.usage_point(href(name), 1), documents.reading_type(kind, **gas)
        return documents.bare_feed(*parts, documents.meter_reading(meter, kind), documents.block(readings, meter))

    store(subscription, days("U1", 30))
    store(subscription, days("U2", 40))
    assert why() == Reason.SAME_READINGS
    join()
    assert models.IntervalReading.objects.count() == 40


def test_bills_of_both_stay_and_of_one_period_the_later(subscription):
    month = 30 * DAYS
    told = [("U1", 0, 100, "02-01"), ("U1", 1, 200, "02-02"), ("U2", 1, 222, "02-09"), ("U2", 2, 300, "02-09")]
    for name, number, amount, day in told:
        start, published = MIDNIGHT + (number - 3) * month, f"2026-{day}T00:00:00Z"
        bill = documents.bill(start, month, (amount, 3, 72), href=href(name), name=f"B{number}", published=published)
        store(subscription, documents.bare_feed(documents.usage_point(href(name)), bill))
    for name in ("U1", "U2"):
        store(subscription, usage_of(name, 0, 10, home))
    join()
    kept = models.UsagePoint.objects.get()
    assert list(kept.usage_summaries.order_by("start").values_list("consumption", flat=True)) == [100, 222, 300]


@pytest.mark.parametrize("shift", [0, DAYS])
def test_a_bill_told_again_without_its_money_under_the_new_id_keeps_it_and_is_one_bill(subscription, shift):
    start, month = MIDNIGHT - 30 * DAYS, 30 * DAYS
    for name, at, money, day in (
        ("U1", start, "<billLastPeriod>13127000</billLastPeriod>", "02-01"),
        ("U2", start - shift, "", "02-10"),
    ):
        bill = documents.bill(at, month, (500, 3, 72), href=href(name), name="B", published=f"2026-{day}T00:00:00Z")
        bill = bill.replace("</billingPeriod>", f"</billingPeriod>{money}")
        store(subscription, documents.bare_feed(documents.usage_point(href(name)), bill))
        store(subscription, usage_of(name, 0, 10, home))
    join()
    kept = models.UsageSummary.objects.get()
    assert (kept.bill_last_period, kept.consumption, kept.start) == (13127000, 500, start - shift)


def quality_summaries(point, starts, day):
    """Rows of power quality, published on a day of February."""
    at = datetime(2026, 2, day, tzinfo=UTC)
    models.ElectricPowerQualitySummary.objects.bulk_create(
        models.ElectricPowerQualitySummary(usage_point=point, resource_id=str(start), start=start, published_at=at)
        for start in starts
    )


def test_of_rows_with_one_key_the_later_published_moves_or_stays_in_as_many_statements_however_many(
    subscription, django_assert_max_num_queries
):
    kept, joined = (subscription.usage_points.create(resource_id=name) for name in ("U1", "U2"))
    quality_summaries(kept, range(20), 5)
    quality_summaries(joined, range(10, 15), 4)
    quality_summaries(joined, range(15, 30), 6)
    models.Succession.objects.bulk_create(
        models.Succession(usage_point=point, earlier_id=str(number), later_id="x", at=point.pk, reason=Reason.MAYBE)
        for point, numbers in ((kept, range(20)), (joined, range(10, 30)))
        for number in numbers
    )
    with django_assert_max_num_queries(15):
        merging.move_rows(models.UsagePoint, joined, kept)
    held = kept.quality_summaries.order_by("start").values_list("start", "published_at__day")
    assert list(held) == [*((start, 5) for start in range(15)), *((start, 6) for start in range(15, 30))]
    assert list(joined.quality_summaries.order_by("start").values_list("start", flat=True)) == [*range(10, 15)]
    told = {int(each.earlier_id): each.at for each in kept.successions.all()}
    assert told == {number: kept.pk if number < 20 else joined.pk for number in range(30)}


def test_two_meters_of_one_service_find_their_own_histories_under_the_new_id(subscription):
    def both(name, first, second, start=0):
        kind = f"{BASE}/ReadingType/1"
        parts = [documents.usage_point(href(name)), documents.reading_type(kind)]
        for meter, value in (("A", first), ("B", second)):
            meter_href = f"{href(name)}/MeterReading/{meter}-{name}"
            parts.append(documents.meter_reading(meter_href, kind))
            parts += [
                documents.hours(
                    24, MIDNIGHT + day * DAYS, href=meter_href, value=lambda i, d=day, v=value: v(d * 24 + i)
                )
                for day in range(start, start + 5)
            ]
        return documents.bare_feed(*parts)

    store(subscription, both("U1", home, neighbour))
    store(subscription, both("U2", neighbour, home, start=2))
    assert why() == Reason.SAME_READINGS
    join()
    sums = {sum(block.total for block in row.interval_blocks.all()) for row in models.MeterReading.objects.all()}
    assert sums == {sum(map(home, range(168))), sum(map(neighbour, range(168)))}


# --- What is no proof -------------------------------------------------------------------------------------------------


def test_two_homes_with_readings_of_their_own_are_never_one(subscription):
    store(subscription, usage_of("U1", 0, 10, home))
    store(subscription, usage_of("U2", 0, 10, neighbour))
    assert joining.Comparison([point("U1"), point("U2")]).compare(point("U1"), point("U2")) == joining.Verdict.DIFFERENT
    assert why() is None


@pytest.mark.parametrize(
    "value", [lambda _: 0, lambda _: 1, lambda hour: hour % 3], ids=["empty flats", "a lamp", "few small numbers"]
)
def test_readings_that_two_homes_may_have_alike_prove_nothing(subscription, value):
    for name in ("U1", "U2"):
        store(subscription, usage_of(name, 0, 10, value))
    assert why() is None


def test_equal_shares_of_one_roofs_solar_power_do_not_make_two_flats_one(subscription):
    for name, value in (("U1", home), ("U2", neighbour)):
        store(subscription, usage_of(name, 0, 10, value))
        store(subscription, usage_of(name, 0, 10, home, meter="SUN", flowDirection=19))
    assert why() is None


@pytest.mark.parametrize("serial", ["0", "N/A", "00000000", "1", "unknown"])
def test_what_is_written_for_a_serial_number_where_there_is_none_names_no_meter(subscription, serial):
    for name, start, value in (("U1", 0, home), ("U2", 50, neighbour)):
        store(subscription, usage_of(name, start, 10, value))
        store(subscription, customer_of(name, serials=(serial,)))
    assert why() is None


def test_a_few_equal_hours_prove_nothing(subscription):
    store(subscription, usage_of("U1", 0, 10, home))
    store(subscription, usage_of("U2", 9, 10, lambda hour: home(hour) if hour < 230 else neighbour(hour)))
    assert why() is None


def test_one_that_ends_where_another_begins_is_told_and_not_joined(subscription):
    """He may have moved."""
    store(subscription, usage_of("U1", 0, 10, home))
    store(subscription, usage_of("U2", 10, 10, neighbour))
    assert why() is None
    found = may_follow(point("U1"), point("U2"))
    assert (found.earlier, found.later, found.at) == (point("U1"), point("U2"), MIDNIGHT + 10 * DAYS)
    joining.note_that_one_may_follow(found, None)
    before, after = successions.notes(point("U1"))[0], successions.notes(point("U2"))[0]
    assert (before.other, before.is_before) == (point("U2").public_id, False)
    assert (after.other, after.is_before) == (point("U1").public_id, True)


def test_what_was_told_is_forgotten_when_both_go_on(subscription):
    store(subscription, usage_of("U1", 0, 10, home))
    store(subscription, usage_of("U2", 10, 10, neighbour))
    joining.note_that_one_may_follow(may_follow(point("U1"), point("U2")), None)
    store(subscription, usage_of("U1", 10, 5, home))
    joining.forget_what_no_longer_holds(list(models.UsagePoint.objects.all()))
    assert not models.Succession.objects.exists()


@pytest.mark.parametrize(("days", "is_told"), [(30, True), (33, False)])
def test_a_long_pause_is_no_succession(subscription, days, is_told):
    store(subscription, usage_of("U1", 0, 10, home))
    store(subscription, usage_of("U2", 10 + days, 5, neighbour))
    assert bool(may_follow(point("U1"), point("U2"))) == is_told


def test_electricity_and_gas_are_never_one(subscription):
    store(subscription, usage_of("U1", 0, 10, home))
    store(subscription, usage_of("U2", 0, 10, home, kind=1))
    store(subscription, customer_of("U1", serials=("E1002003",)))
    store(subscription, customer_of("U2", serials=("E1002003",)))
    assert why() is None


# --- The same place, the same meter -----------------------------------------------------------------------------------


def test_f50_a_new_service_id_at_the_same_place_is_one_history_with_its_seam(subscription):
    store(subscription, usage_of("U1", 0, 10, home))
    store(subscription, usage_of("U2", 10, 10, neighbour))
    for name in ("U1", "U2"):
        store(subscription, customer_of(name))
    assert why() == Reason.SAME_PLACE
    join()
    kept = models.UsagePoint.objects.get()
    assert total(kept, 20) == sum(map(home, range(240))) + sum(map(neighbour, range(240, 480)))
    assert [(note.at.timestamp(), note.reason) for note in successions.notes(kept)] == [
        (MIDNIGHT + 10 * DAYS, Reason.SAME_PLACE)
    ]


def test_the_same_meter_under_another_service_id_is_one_history(subscription):
    store(subscription, usage_of("U1", 0, 10, home))
    store(subscription, usage_of("U2", 50, 10, neighbour))
    store(subscription, customer_of("U1", place="LOC-00001", serials=("E100200300",)))
    store(subscription, customer_of("U2", place="LOC-00001", serials=("e100200300",)))
    assert why() == Reason.SAME_METER


@pytest.mark.parametrize(
    ("place", "address"),
    [("LOC-00002", "1 EXAMPLE ST"), ("LOC-00001", "2 EXAMPLE ST"), ("01", "1 EXAMPLE ST")],
    ids=["another place at the address", "another address", "a number that is no name of a place"],
)
def test_another_place_is_another_home(subscription, place, address):
    store(subscription, usage_of("U1", 0, 10, home))
    store(subscription, usage_of("U2", 10, 10, neighbour))
    store(subscription, customer_of("U1", place="01" if place == "01" else "LOC-00001"))
    store(subscription, customer_of("U2", place=place, address=address))
    assert why() is None


def test_another_place_speaks_against_equal_readings_and_against_an_equal_meter(subscription):
    for name, place in (("U1", "LOC-00001"), ("U2", "LOC-00002")):
        store(subscription, usage_of(name, 0, 10, home))
        store(subscription, customer_of(name, place=place, serials=("E1002003",)))
    assert why() is None


def test_different_readings_at_the_same_time_speak_against_one_meter(subscription):
    for name, value in (("U1", home), ("U2", neighbour)):
        store(subscription, usage_of(name, 0, 10, value))
        store(subscription, customer_of(name, serials=("E1002003",)))
    assert why() is None


def test_a_third_meter_that_begins_at_the_same_place_then_leaves_it_open_which_one_follows(subscription):
    store(subscription, usage_of("U1", 0, 10, home))
    store(subscription, usage_of("U2", 10, 10, neighbour))
    store(subscription, usage_of("U3", 10, 10, lambda hour: neighbour(hour) + 9))
    for name in ("U1", "U2", "U3"):
        store(subscription, customer_of(name))
    assert (why("U1", "U2"), why("U1", "U3"), why("U2", "U3")) == (None, None, None)


def test_usage_points_are_named_by_the_service_location_too(subscription):
    """ServiceLocation/UsagePoints/UsagePoint is the standard's way; Con Edison V2 and UtilityAPI write it (a link with blanks)."""
    location = f"{BASE}/Customer/976/CustomerAccount/A1/CustomerAgreement/G1/ServiceLocation/LOC-00001"
    for name in ("U1", "U2"):
        told = f"<UsagePoints><UsagePoint>\n  {href(name)}\n</UsagePoint></UsagePoints>"
        entry = documents.entry(f'<ServiceLocation xmlns="{CUSTOMER}">{told}</ServiceLocation>', location)
        store(subscription, documents.bare_feed(entry), dialect=Dialect(time_zone="America/New_York"))
    store(subscription, usage_of("U1", 0, 10, home))
    store(subscription, usage_of("U2", 10, 10, neighbour))
    assert why() == Reason.SAME_PLACE


def test_nothing_of_a_place_or_a_meter_can_be_read_from_what_is_kept(subscription):
    store(subscription, customer_of("U1", place="LOC-00001", serials=("E100200300",)))
    kept = list(models.ServicePlace.objects.values_list("kind", "digest"))
    assert sorted(kind for kind, _ in kept) == ["location", "meter"]
    assert all(len(digest) == 64 and "E100" not in digest for _, digest in kept)


def test_customer_data_that_were_not_allowed_leave_no_place(subscription):
    store(subscription, customer_of("U1", serials=("E1002003",)), accepts=frozenset({ingest.USAGE}))
    assert not models.ServicePlace.objects.exists()


# --- Another subscription ---------------------------------------------------------------------------------------------


def test_a_subscription_is_absorbed_with_all_it_has(subscription):
    other = new_subscription(subscription.retail_customer)
    store(subscription, usage_of("U1", 0, 10, home))
    store(subscription, usage_of("S1", 0, 5, neighbour))
    document = store(other, usage_of("U2", 0, 12, home))
    store(other, usage_of("S1", 0, 8, neighbour))
    store(other, usage_of("N1", 0, 3, lambda hour: hour))
    store(other, customer_of("N1"))
    kept, joined = point("U1"), point("U2")
    joining.join(kept, joined, evidence(kept, joined), document)
    joining.absorb(subscription, other)
    assert list(models.Subscription.objects.all()) == [subscription]
    assert sorted(subscription.usage_points.values_list("resource_id", flat=True)) == ["N1", "S1", "U1"]
    assert total(point("U1"), 12) == sum(map(home, range(12 * 24)))
    assert total(point("S1"), 8) == sum(map(neighbour, range(8 * 24)))
    assert models.Document.objects.filter(subscription=subscription).count() == 6
    assert models.ServicePlace.objects.filter(subscription=subscription).exists()
    store(subscription, usage_of("U2", 12, 1, home))
    assert total(point("U1"), 13) == sum(map(home, range(13 * 24)))


def test_joining_in_any_order_ends_in_the_same_history(subscription):
    contents = [usage_of("U1", 0, 10, home), usage_of("U2", 4, 10, home), usage_of("U3", 8, 10, home)]
    found = set()
    for order in itertools.permutations(range(3)):
        models.UsagePoint.objects.all().delete()
        models.Document.objects.all().delete()
        for place in order:
            store(subscription, contents[place])
            for one, other in itertools.combinations(models.UsagePoint.objects.order_by("pk"), 2):
                if found_out := evidence(one, other):
                    joining.join(one, other, found_out, None)
                    break
        for one, other in itertools.combinations(models.UsagePoint.objects.order_by("pk"), 2):
            if found_out := evidence(one, other):
                joining.join(one, other, found_out, None)
                break
        found.add(total(models.UsagePoint.objects.get(), 18))
    assert found == {sum(map(home, range(18 * 24)))}
