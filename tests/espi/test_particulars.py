"""What a document says beside readings and bills becomes rows, and the last word on each of them stands."""

import itertools
from datetime import UTC, datetime

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import FieldError
from django.core.management import call_command
from django.db import connection

from espi import ingest, models
from espi.packing import Publication
from espi.records import Record
from tests.espi import documents
from tests.espi.documents import BASE, POINT, entry, espi

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def store(subscription, *entries, **more):
    return ingest.store(documents.bare_feed(*entries), subscription=subscription, **({"now": NOW} | more))


def point(inner, day=1, href=POINT):
    return entry(espi("UsagePoint", inner), href, published=f"2026-01-{day:02}T00:00:00Z")


def delivery(tariff):
    return (
        f"<serviceDeliveryPoint><name>Back house</name><tariffProfile>{tariff}</tariffProfile></serviceDeliveryPoint>"
    )


# --- Usage points -----------------------------------------------------------------------------------------------------


def test_a_usage_point_is_kept_whole(subscription):
    inner = "<roleFlags>0081</roleFlags><ServiceCategory><kind>0</kind></ServiceCategory><status>1</status>"
    inner += "<connectionState>connected</connectionState><amiBillingReady>enabled</amiBillingReady>"
    inner += "<phaseCode>769</phaseCode><readCycle>Q</readCycle><isSdp>true</isSdp><colour>blue</colour>"
    document = store(subscription, point(inner + delivery("E-TOU-C")))
    row = models.UsagePoint.objects.get()
    assert (row.service_kind, row.status, row.role_flags, row.phase_code) == (0, 1, "0081", 769)
    assert (row.connection_state, row.ami_billing_ready, row.read_cycle) == ("connected", "enabled", "Q")
    assert row.tariff_profile == "E-TOU-C"
    assert (row.said["isSdp"], row.said["colour"]) == ("true", "blue")
    assert document.summary["unknown"] == {"UsagePoint/colour": 1}


def test_whatever_order_documents_come_in_the_last_word_on_each_element_stands(subscription):
    told = [
        point("<status>1</status><readCycle>Q</readCycle>", 1),
        point("<status>0</status>" + delivery("OLD"), 2),
        point(delivery("NEW"), 3),
    ]
    for order in itertools.permutations(told):
        models.UsagePoint.objects.all().delete()
        models.Document.objects.all().delete()
        for each in order:
            store(subscription, each)
        row = models.UsagePoint.objects.get()
        assert (row.status, row.tariff_profile, row.read_cycle) == (0, "NEW", "Q")


def test_two_words_of_the_same_instant_are_one_whichever_comes_first():
    told = Publication(NOW, True)
    first, second = Record.of({"status": 1}, told), Record.of({"status": 0, "name": "x"}, told)
    assert first.merged(second) == second.merged(first)
    assert first.merged(first) == first


def test_the_same_word_again_writes_nothing(subscription):
    store(subscription, point("<status>1</status>"))
    before = models.UsagePoint.objects.values().get()
    store(subscription, point("<status>1</status>"), "<!-- other bytes -->")
    assert models.UsagePoint.objects.values().get() == before
    assert models.Document.objects.count() == 2


def test_e01_what_is_said_of_a_usage_point_rests_encrypted(subscription, settings):
    remark = "<serviceDeliveryRemark>dog in the yard</serviceDeliveryRemark>"
    store(subscription, entry(espi("UsagePoint", remark), POINT, title="1 Example St"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT said, title FROM espi_usagepoint")
        assert [text[:5] for text in cursor.fetchone()] == ["gAAAA", "gAAAA"]
    assert models.UsagePoint.objects.get().title == "1 Example St"
    newest = Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [newest, *settings.FIELD_ENCRYPTION_KEYS]
    call_command("rotate_field_keys", verbosity=0)
    settings.FIELD_ENCRYPTION_KEYS = [newest]
    assert models.UsagePoint.objects.get().said == {"serviceDeliveryRemark": "dog in the yard"}
    with pytest.raises(FieldError):
        models.UsagePoint.objects.filter(said={})
    with pytest.raises(TypeError):
        models.UsagePoint(subscription=subscription, resource_id="x", said="text").save()


# --- Reading types, clocks, codes, power quality ----------------------------------------------------------------------


def test_a_reading_type_is_kept_whole_and_one_row_is_made_of_the_same_content(subscription):
    ratio = "<numerator>1</numerator><denominator>5</denominator>"
    more = {"interharmonic": ratio, "cpp": 1, "measuringPeriod": 7, "shade": "<a>1</a><b>2</b>"}
    store(subscription, documents.feed(documents.hours(1), **more).decode())
    row = models.ReadingType.objects.get()
    assert (row.interharmonic, row.cpp, row.measuring_period, row.extra) == ("1/5", 1, 7, {"shade": {"a": 1, "b": 2}})
    other = more | {"shade": "<b>2</b><a>1</a>"}
    store(subscription, documents.feed(documents.hours(2), **other).decode())
    assert models.ReadingType.objects.count() == 1


def test_the_utilitys_clock_is_what_it_said_last(subscription):
    def clock(offset, day):
        inner = f"<tzOffset>{offset}</tzOffset><dstOffset>3600</dstOffset><city>Reno</city>"
        return entry(espi("LocalTimeParameters", inner), f"{BASE}/LocalTimeParameters/1", published=f"2026-01-0{day}")

    store(subscription, clock(-28800, 2))
    store(subscription, clock(-25200, 1))
    row = models.LocalTimeParameters.objects.get()
    assert (row.tz_offset, row.extra) == (-28800, {"city": "Reno"})
    store(subscription, clock(-25200, 3))
    assert models.LocalTimeParameters.objects.get().tz_offset == -25200


def test_codes_of_times_of_use_have_the_names_that_were_said_last(subscription):
    def names(word, day, href=f"{BASE}/ProgramIdMapping/1"):
        one = "<programIdMapping><tOUorCPPorConsumptionTier>tou</tOUorCPPorConsumptionTier><code>{}</code>"
        one += "<name>{}</name><note>note</note></programIdMapping>"
        return entry(
            espi("ProgramIdMappings", one.format(1, word) + one.format(2, "SOP")), href, published=f"2026-01-0{day}"
        )

    store(subscription, names("SPK", 2))
    document = store(subscription, names("old", 1))
    found = models.ProgramIdMapping.objects.order_by("code").values_list("kind", "code", "name", "note")
    assert list(found) == [("tou", 1, "SPK", "note"), ("tou", 2, "SOP", "note")]
    assert document.summary["resources"] == {"ProgramIdMappings": 1}


def test_codes_are_everybodys_in_a_bulk_file(subscription):
    one = "<programIdMapping><code>1</code><name>SPK</name></programIdMapping>"
    mapping = entry(espi("ProgramIdMappings", one), f"{BASE}/ProgramIdMapping/1")
    store(subscription, point("<status>1</status>"), mapping, expected_subscription_id="976", others="skip")
    assert models.ProgramIdMapping.objects.get().name == "SPK"


def quality(value, day, start=1767243600):
    inner = f"<longInterruptions>{value}</longInterruptions><flickerPst>x</flickerPst>"
    period = f"<summaryInterval><duration>86400</duration><start>{start}</start></summaryInterval>"
    href = f"{POINT}/ElectricPowerQualitySummary/{day}"
    return entry(espi("ElectricPowerQualitySummary", inner + period), href, published=f"2026-01-0{day}")


def test_a_power_quality_summary_is_kept_by_its_interval(subscription):
    store(subscription, quality(2, 2))
    document = store(subscription, quality(9, 1), quality(7, 1, start=1767330000))
    found = {row.start: row for row in models.ElectricPowerQualitySummary.objects.all()}
    assert {start: row.values for start, row in found.items()} == {
        1767243600: {"longInterruptions": 2},
        1767330000: {"longInterruptions": 7},
    }
    row = found[1767330000]
    assert (row.usage_point.resource_id, row.duration, row.document) == ("U1", 86400, document)
    assert row.extra == {"flickerPst": "x"}


def test_a_power_quality_summary_outside_of_what_was_allowed_is_refused(subscription):
    document = store(subscription, quality(2, 2), accepts=frozenset({ingest.BILLS}))
    assert models.ElectricPowerQualitySummary.objects.count() == 0
    (refused,) = document.summary["refused"]
    assert (refused["what"], refused["why"]) == (ingest.QUALITY, "outside of what the customer allowed")


def test_a_power_quality_summary_of_no_time_is_refused_and_counted(subscription):
    document = store(subscription, quality(2, 2, start="soon"))
    assert [each["what"] for each in document.summary["refused"]] == [ingest.QUALITY]


# --- What is counted --------------------------------------------------------------------------------------------------


def test_resources_of_the_exchange_and_strangers_are_counted_by_name(subscription):
    document = store(
        subscription,
        entry(espi("ServiceStatus", "<currentStatus>1</currentStatus>")),
        entry(espi("Authorization", "<status>1</status>")),
        entry(espi("Weather", "<sky>blue</sky>")),
        entry('<o:note xmlns:o="http://o.example/">x</o:note>'),
    )
    assert document.summary["resources"] == {"Authorization": 1, "ServiceStatus": 1}
    assert document.summary["other"] == {"Weather": 1}
    assert document.summary["unknown"] == {"{http://o.example/}note": 1}


def test_d09_a_thousand_unknown_names_are_counted_in_two_hundred_places(subscription):
    document = store(subscription, point("".join(f"<a{each}>1</a{each}>" for each in range(1000))))
    counted = document.summary["unknown"]
    assert len(counted) == 201
    assert (counted["more"], sum(counted.values())) == (800, 1000)
