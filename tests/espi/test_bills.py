"""Bills are told again, corrected, with another period: what was said last of each part holds."""

import csv
import io
import itertools
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from lxml import etree

from espi import models, usage
from espi.export import EVERY_DAY, Meter, feed, tables
from portal.bills import bills as bills_shown
from tests.espi import documents
from tests.espi.documents import MIDNIGHT, POINT, entry, espi, paid_bill
from tests.espi.storing import NOW, V1, store

pytestmark = pytest.mark.django_db


def test_a_corrected_bill_replaces_the_earlier_one_and_an_old_one_does_not(subscription):
    store(subscription, documents.feed(paid_bill(amount=100, published="2026-02-16T00:00:00Z")))
    store(subscription, documents.feed(paid_bill(amount=200, published="2026-02-18T00:00:00Z")))
    store(subscription, documents.feed(paid_bill(amount=150, published="2026-02-17T00:00:00Z")))
    assert models.UsageSummary.objects.get().bill_last_period == 200


def test_a_bill_with_a_shifted_period_displaces_the_earlier_one_and_its_neighbour_stays(subscription):
    month = 30 * 86400
    store(subscription, documents.feed(paid_bill(), paid_bill(MIDNIGHT - month, name="B0")))
    store(subscription, documents.feed(paid_bill(MIDNIGHT + 86400, published="2026-02-20T00:00:00Z", name="B2")))
    starts = models.UsageSummary.objects.order_by("start").values_list("start", flat=True)
    assert list(starts) == [MIDNIGHT - month, MIDNIGHT + 86400]


def test_a_con_edison_v1_bill_ends_with_the_local_day_it_names(subscription):
    inner = """<billingPeriod><start>1765342800</start></billingPeriod><billToDate>2026-01-12T00:00:00</billToDate>
      <electricConsumption>412</electricConsumption><electricBilledAmount>131.27</electricBilledAmount>"""
    href = f"{documents.V1_BASE}/ElectricPowerUsageSummary?electricPowerUsageSummaryId=B0001"
    store(subscription, documents.bare_feed(documents.entry(documents.espi("UsageSummary", inner), href)), dialect=V1)
    found = models.UsageSummary.objects.get()
    assert found.duration == int(datetime(2026, 1, 13, 5, tzinfo=UTC).timestamp()) - 1765342800
    assert (found.currency, found.bill_last_period, found.resource_id) == (840, 13127000, "B0001")


@pytest.mark.parametrize("end", ["9999-12-31", "2099-12-31"])
def test_a_bill_that_ends_at_no_time_of_this_world_is_stored_without_an_end(subscription, end):
    inner = f"""<billingPeriod><start>1765342800</start></billingPeriod><billToDate>{end}T00:00:00</billToDate>
      <electricBilledAmount>131.27</electricBilledAmount>"""
    href = f"{documents.V1_BASE}/ElectricPowerUsageSummary?electricPowerUsageSummaryId=B0001"
    store(subscription, documents.bare_feed(documents.entry(documents.espi("UsageSummary", inner), href)), dialect=V1)
    found = models.UsageSummary.objects.get()
    assert (found.duration, found.bill_last_period) == (None, 13127000)


@pytest.mark.parametrize(
    ("first", "last", "following"),
    [("2026-01-12", "2026-02-10", "2026-02-11"), ("2026-02-11", "2026-03-12", "2026-03-13")],
    ids=["winter", "over the change of clocks"],
)
def test_consecutive_con_edison_v1_bills_leave_no_day_out(subscription, first, last, following):
    def told(number, start, end):
        instant = int(datetime.fromisoformat(start).replace(tzinfo=ZoneInfo("America/New_York")).timestamp())
        inner = f"<billingPeriod><start>{instant}</start></billingPeriod><billToDate>{end}T00:00:00</billToDate>"
        href = f"{documents.V1_BASE}/ElectricPowerUsageSummary?electricPowerUsageSummaryId=B{number}"
        return documents.entry(documents.espi("UsageSummary", inner), href)

    bills = told(1, first, last), told(2, following, "2026-04-13")
    store(subscription, documents.bare_feed(*bills), dialect=V1)
    one, other = models.UsageSummary.objects.order_by("start")
    assert one.start + one.duration == other.start
    shown = bills_shown(one.usage_point, usage.channels(one.usage_point), default_currency=840)
    assert [(str(each.first), str(each.last)) for each in shown] == [(following, "2026-04-13"), (first, last)]


# --- Part by part ------------------------------------------------------------------------------------------------------


def bill(day, inner, start=1767243600):
    period = f"<billingPeriod><duration>2592000</duration><start>{start}</start></billingPeriod>"
    return entry(espi("UsageSummary", period + inner), f"{POINT}/UsageSummary/{day}", published=f"2026-02-{day:02}")


def used(value):
    parts = f"<powerOfTenMultiplier>0</powerOfTenMultiplier><uom>72</uom><value>{value}</value>"
    return f"<overallConsumptionLastPeriod>{parts}</overallConsumptionLastPeriod><commodity>1</commodity>"


def cost(amount):
    line = f"<costAdditionalDetailLastPeriod><amount>{amount}</amount></costAdditionalDetailLastPeriod>"
    return f"<billLastPeriod>{amount}</billLastPeriod>{line}<readCycle>Q</readCycle>"


def test_a_bill_that_is_told_again_without_its_costs_keeps_them_whatever_the_order(subscription):
    told = [
        bill(10, cost(100) + used(5)),
        bill(11, cost(150) + used(6) + "<qualityOfReading>8</qualityOfReading>"),
        bill(20, used(7), start=1767243600 + 86400),
    ]
    for order in itertools.permutations(told):
        models.UsagePoint.objects.all().delete()
        models.Document.objects.all().delete()
        for each in order:
            store(subscription, documents.bare_feed(each))
        row = models.UsageSummary.objects.get()
        assert (row.bill_last_period, row.details, row.extra) == (150, [{"amount": 150}], {"readCycle": "Q"})
        assert (row.consumption, row.quality, row.resource_id) == (7, 8, "20")
        assert (row.start, row.published_at.day) == (1767243600 + 86400, 20)


def test_line_items_are_corrected_with_the_amount_they_belong_to(subscription):
    store(subscription, documents.bare_feed(bill(10, cost(100))))
    document = store(subscription, documents.bare_feed(bill(11, "<billLastPeriod>90</billLastPeriod>")))
    row = models.UsageSummary.objects.get()
    assert (row.bill_last_period, row.details, row.document) == (90, [], document)


# --- Two of one period ------------------------------------------------------------------------------------------------


def of(commodity, value, uom, day=10, start=MIDNIGHT, **more):
    told = {} if commodity is None else {"commodity": commodity}
    name, published = f"B{commodity}-{day}", f"2026-02-{day}T00:00:00Z"
    return documents.bill(start, 30 * 86400, (value, 0, uom), name=name, published=published, **told, **more)


GAS, ELECTRICITY = of(7, 30, 169), of(1, 500, 72)


@pytest.mark.parametrize("order", [*itertools.permutations([GAS, ELECTRICITY, of(7, 31, 169, day=12)])])
def test_bills_of_one_start_for_two_commodities_are_two_whatever_the_order(subscription, order):
    for each in order:
        store(subscription, documents.feed(each))
    told = models.UsageSummary.objects.order_by("commodity").values_list("commodity", "consumption", "consumption_uom")
    assert list(told) == [(1, 500, 72), (7, 31, 169)]


@pytest.mark.parametrize("order", [*itertools.permutations([ELECTRICITY, of(None, 501, 72, day=12)])])
def test_a_bill_that_leaves_its_commodity_out_is_the_one_that_tells_it(subscription, order):
    for each in order:
        store(subscription, documents.feed(each))
    row = models.UsageSummary.objects.get()
    assert (row.commodity, row.consumption) == (1, 501)


@pytest.mark.parametrize("order", [*itertools.permutations([GAS, ELECTRICITY, of(None, 501, 72, day=12)])])
def test_a_bill_without_a_commodity_beside_two_that_tell_theirs_is_the_one_of_its_unit(subscription, order):
    for each in order:
        store(subscription, documents.feed(each))
    told = models.UsageSummary.objects.order_by("commodity").values_list("commodity", "consumption")
    assert list(told) == [(1, 501), (7, 30)]


GAS_POINT = documents.usage_point(kind=1)
MOVED = of(7, 31, 42, day=12, start=MIDNIGHT + 86400)


@pytest.mark.parametrize("order", [*itertools.permutations([of(None, 30, 42), ELECTRICITY, MOVED])])
def test_a_bill_that_tells_no_service_is_for_what_its_usage_point_delivers_whatever_the_order(subscription, order):
    for each in (GAS_POINT, *order):
        store(subscription, documents.bare_feed(documents.local_time(), each))
    told = models.UsageSummary.objects.order_by("commodity").values_list("commodity", "start", "consumption")
    assert list(told) == [(1, MIDNIGHT, 500), (7, MIDNIGHT + 86400, 31)]


@pytest.mark.parametrize("order", [*itertools.permutations([of(None, 30, 42), GAS_POINT, of(7, 31, 42, day=12)])])
def test_what_a_usage_point_delivers_may_be_told_after_its_bills(subscription, order):
    for each in (*order, of(7, 31, 42, day=13)):  # a bill is told again and again
        store(subscription, documents.bare_feed(documents.local_time(), each))
    assert list(models.UsageSummary.objects.values_list("commodity", "consumption")) == [(7, 31)]


def test_bills_of_before_without_a_service_are_found_and_doubled_ones_become_one(subscription):
    store(subscription, documents.feed(GAS, ELECTRICITY))
    models.UsageSummary.objects.update(service=None)  # as an older version wrote them
    models.UsageSummary.objects.create(
        usage_point=models.UsagePoint.objects.get(), resource_id="B", start=MIDNIGHT, duration=30 * 86400,
        consumption=499, consumption_uom=72,
    )  # fmt: skip
    store(subscription, documents.feed(of(1, 501, 72, day=12)))
    told = models.UsageSummary.objects.order_by("commodity").values_list("commodity", "consumption", "service")
    assert list(told) == [(1, 501, 0), (7, 30, None)]


def test_two_bills_of_one_period_that_tell_their_units_only_leave_under_names_of_their_own(subscription):
    store(subscription, documents.feed(of(None, 30, 169, day=10), of(None, 500, 72, day=11)))
    (point,) = models.UsagePoint.objects.select_related("subscription")
    content = b"".join(feed.of([Meter(point, "Home")], EVERY_DAY, base="https://portal.example", title="", now=NOW))
    ids = [found.text for found in etree.fromstring(content).iter("{*}id")]
    assert len(set(ids)) == len(ids)
    shown = bills_shown(point, usage.channels(point), default_currency=840)
    assert {each.period.rpartition(" ")[2] for each in shown} == {"(Electricity)", "(Gas)"}
    assert len({each.anchor for each in shown}) == 2


def test_a_shifted_period_displaces_the_bill_of_its_own_commodity_only(subscription):
    store(subscription, documents.feed(GAS, ELECTRICITY))
    store(subscription, documents.feed(of(7, 31, 169, day=12, start=MIDNIGHT + 86400)))
    told = models.UsageSummary.objects.order_by("commodity").values_list("commodity", "start", "consumption")
    assert list(told) == [(1, MIDNIGHT, 500), (7, MIDNIGHT + 86400, 31)]


def test_a_shifted_period_without_a_commodity_leaves_no_second_row_of_one_bill(subscription):
    store(subscription, documents.feed(ELECTRICITY))
    store(subscription, documents.feed(of(1, 502, 72, day=11, start=MIDNIGHT + 86400)))
    store(subscription, documents.feed(of(None, 503, 72, day=12, start=MIDNIGHT + 86400)))
    row = models.UsageSummary.objects.get()
    assert (row.commodity, row.start, row.consumption) == (1, MIDNIGHT + 86400, 503)


def test_both_bills_of_one_period_leave_as_a_table_and_as_green_button_and_come_back(subscription):
    store(subscription, documents.feed(GAS, ELECTRICITY))
    (point,) = models.UsagePoint.objects.select_related("subscription")
    meters = [Meter(point, "Home")]
    table = list(csv.DictReader(io.StringIO(b"".join(tables.of_bills(meters, EVERY_DAY)).decode())))
    assert [(row["commodity"], row["unit"]) for row in table] == [("natural gas", "therm"), ("electricity", "Wh")]
    content = b"".join(feed.of(meters, EVERY_DAY, base="https://portal.example", title="Home", now=NOW))
    ids = [found.text for found in etree.fromstring(content).iter("{*}id")]
    assert len(set(ids)) == len(ids)
    before = sorted(point.usage_summaries.values_list("commodity", "start", "consumption"))
    models.UsagePoint.objects.all().delete()
    store(subscription, content)
    assert sorted(models.UsageSummary.objects.values_list("commodity", "start", "consumption")) == before


def test_no_bill_is_left_out_where_one_part_of_a_list_ends_between_two_of_one_start(subscription, monkeypatch):
    monkeypatch.setattr(usage, "_BILLS_AT_ONCE", 1)
    store(subscription, documents.feed(GAS, ELECTRICITY))
    assert len(list(usage.bills(models.UsagePoint.objects.get()))) == 2


def test_the_page_tells_both_bills_of_one_period_apart(subscription):
    store(subscription, documents.feed(GAS, ELECTRICITY))
    point = models.UsagePoint.objects.get()
    shown = bills_shown(point, usage.channels(point), default_currency=840)
    assert [each.period.rpartition(" ")[2] for each in shown] == ["(Electricity)", "(Gas)"]
    assert len({each.anchor for each in shown}) == 2


def test_of_very_many_bills_of_one_start_few_are_looked_at_for_each(subscription, monkeypatch):
    def told(number):
        period = f"<billingPeriod><duration>2592000</duration><start>{MIDNIGHT}</start></billingPeriod>"
        return entry(espi("UsageSummary", f"{period}<commodity>{number}</commodity>"), f"{POINT}/UsageSummary/{number}")

    seen, plain = [], models.UsageSummary.from_db.__func__
    store(subscription, documents.feed(*map(told, range(100, 130))))
    monkeypatch.setattr(models.UsageSummary, "from_db", classmethod(lambda *row: seen.append(1) or plain(*row)))
    store(subscription, documents.feed(*map(told, range(130, 140))))
    assert (models.UsageSummary.objects.count(), len(seen)) == (40, 0)
