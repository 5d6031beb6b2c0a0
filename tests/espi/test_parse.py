"""The reader: any shape of document, the same result as a slow and obvious reference."""

import re
import xml.etree.ElementTree as ET
from collections import Counter
from decimal import Decimal
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espi import atom, parse, resources
from tests.espi import documents, samples
from tests.espi.documents import BASE, METER, MIDNIGHT, POINT, block, entry, espi, reading
from tests.examples import cases

NAMESPACE = "{http://naesb.org/espi}"
NAMES = ("IntervalReading", "intervalReading")


def read(content):
    return list(parse.read(BytesIO(content)))


def blocks(content):
    return [each for each in read(content) if isinstance(each, resources.IntervalBlock)]


def rows(content):
    """(start, duration, value, cost, quality, tou) of every reading kept, block by block."""
    found = []
    for each in blocks(content):
        columns = each.columns
        nothing = [None] * len(columns.starts)
        optional = [column or nothing for column in (columns.costs, columns.qualities, columns.tous)]
        found += zip(columns.starts, columns.durations, columns.values, *optional, strict=True)
    return found


def reference(content):
    """The slow way: a whole tree, one reading after the other, in plain words."""
    found = []
    for element in ET.fromstring(content).iter():
        if element.tag in [NAMESPACE + name for name in NAMES]:
            row = _reference_row(element)
            if row:
                found.append(row)
    return found


def _text(element, path):
    return (element.findtext("/".join(NAMESPACE + name for name in path.split("/"))) or "").strip()


def _reference_row(element):
    value, start = _text(element, "value"), _text(element, "timePeriod/start")
    duration = _text(element, "timePeriod/duration")
    number = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)
    if not number.fullmatch(value) or not number.fullmatch(start):
        return None
    optional = [_text(element, path) for path in ("cost", "ReadingQuality/quality", "tou")]
    return (
        int(Decimal(start)) if abs(Decimal(start)) < 10**11 else int(Decimal(start)) // 1000,
        int(duration) if duration else None,
        Decimal(value),
        *(int(text) if text else None for text in optional),
    )


NOT_ESPI = ("gba40__Retail_Customer_Statement_Example.xml", "composed__no-espi.xml")
FILES = [sample.path for sample in samples.stated() if sample.is_well_formed and sample.path.name not in NOT_ESPI]
FILES += samples.pge_files()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_sample_reads_as_the_reference_reads_it(path):
    content = path.read_bytes()
    assert rows(content) == reference(content)


FIELDS = st.fixed_dictionaries({
    "value": st.integers(-(10**12), 10**12) | st.decimals(-1000, 1000, places=3),
    "duration": st.sampled_from([900, 3600, 0]),
    "cost": st.none() | st.integers(0, 10**6),
    "quality": st.none() | st.integers(0, 19),
    "tou": st.none() | st.integers(0, 10),
})  # fmt: skip


@given(st.lists(st.lists(FIELDS, min_size=1, max_size=8), min_size=1, max_size=4))
@settings(max_examples=cases(25), deadline=None)
def test_any_mixture_of_optional_fields_reads_as_the_reference_reads_it(made):
    start = MIDNIGHT
    content = documents.feed(*[block([reading(start + 900 * i, **f) for i, f in enumerate(each)]) for each in made])
    assert rows(content) == reference(content)


def test_prefixes_wrappers_and_type_noise_do_not_matter():
    plain = documents.feed(documents.hours(3))
    text = plain.decode().replace(f' xmlns="{documents.ESPI}"', "")
    text = re.sub(r"<(/?)(feed|entry|link|title|content|updated|published)\b", r"<\1ns1:\2", text)
    text = re.sub(r"<(/?)(?!ns1:|/)([A-Za-z])", r"<\1ns0:\2", text)
    noise = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="ns1:linkType"'
    text = text.replace("<ns1:link", f"<ns1:link {noise}")
    text = text.replace(
        f'<ns1:feed xmlns="{documents.ATOM}"', f'<ns1:feed xmlns:ns1="{documents.ATOM}" xmlns:ns0="{documents.ESPI}"'
    )
    assert rows(text.encode()) == rows(plain)
    assert len(rows(plain)) == 3


def test_a_single_entry_and_a_bare_resource_are_documents_too():
    one = documents.hours(2).replace("<entry>", f'<entry xmlns="{documents.ATOM}">')
    assert len(rows(one.encode())) == 2
    assert len(rows(espi("IntervalBlock", reading(MIDNIGHT, 5)).encode())) == 1
    found = read(espi("UsagePoint", "<ServiceCategory><kind>1</kind></ServiceCategory>").encode())
    assert [each.service_kind for each in found] == [1]


def test_several_blocks_in_one_content_are_all_read():
    content = "".join(espi("IntervalBlock", reading(MIDNIGHT + 86400 * day, day)) for day in range(5))
    found = blocks(documents.bare_feed(entry(content, f"{documents.METER}/IntervalBlock/1")))
    assert [each.columns.values for each in found] == [[0], [1], [2], [3], [4]]


def test_links_that_stand_after_the_content_are_seen():
    text = f"""<feed xmlns="{documents.ATOM}"><entry><content>{espi("IntervalBlock", reading(MIDNIGHT, 1))}</content>
      <link rel="self" href="{documents.METER}/IntervalBlock/9"/><published>2024-05-01</published></entry></feed>"""
    (found,) = blocks(text.encode())
    assert found.entry.resource_id == "9"
    assert found.entry.published_at.isoformat() == "2024-05-01T00:00:00+00:00"


def test_published_inside_the_content_counts():
    inner = espi("IntervalBlock", reading(MIDNIGHT, 1)) + "<published>2023-08-01T15:57:21.787877+00:00</published>"
    (found,) = blocks(documents.bare_feed(entry(inner, "x"), updated=""))
    assert found.entry.published_at.microsecond == 787877


def test_a_byte_order_mark_stray_text_and_comments_are_no_obstacle():
    text = documents.feed(documents.hours(2)).decode().replace("<entry>", "\\n<!-- a --><entry>")
    text = text.replace("<value>100</value>", "<value>1<!-- split -->0<![CDATA[0]]></value>")
    assert [row[2] for row in rows(text.encode("utf-8-sig"))] == [100, 101]


def test_milliseconds_and_fractions_become_seconds():
    content = documents.feed(block([reading(f"{MIDNIGHT}000", 1), reading(f"{MIDNIGHT + 3600}.66136", 2)]))
    assert [row[0] for row in rows(content)] == [MIDNIGHT, MIDNIGHT + 3600]


def test_decimal_values_stay_exact():
    content = documents.feed(block([reading(MIDNIGHT + 900 * i, v, 900) for i, v in enumerate(["0.1", "0.2", "0.7"])]))
    (found,) = blocks(content)
    assert found.columns.raw_sum == Decimal("1.0")
    assert found.columns.values == [Decimal("0.1"), Decimal("0.2"), Decimal("0.7")]


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (reading(MIDNIGHT, "NaN"), "no number"),
        (reading(MIDNIGHT, "1e5"), "no number"),
        (reading(MIDNIGHT, "1_000"), "no number"),
        (reading(MIDNIGHT, "٣"), "no number"),
        (reading(MIDNIGHT, 2**64), "no number"),
        (reading(MIDNIGHT, None), "without a value"),
        (reading(-2208988800, 1), "between 1990 and 2100"),
        (reading(4102444800, 1), "between 1990 and 2100"),
        (reading("soon", 1), "between 1990 and 2100"),
        (reading("", 1), "without a start"),
        (reading(MIDNIGHT, 1, -900), "duration"),
        (reading(MIDNIGHT, 1, 10**12), "duration"),
        (reading(MIDNIGHT, 1, "1.5"), "duration"),
    ],
)
def test_d08_a_hostile_number_refuses_its_reading_and_no_other(odd, reason):
    (found,) = blocks(documents.feed(block([reading(MIDNIGHT + 3600, 7), odd])))
    assert found.columns.values == [7]
    assert found.columns.written == 2
    assert [reason in why for why in found.columns.refused] == [True]


def test_an_unreadable_cost_or_quality_costs_only_itself():
    (found,) = blocks(
        documents.feed(block([reading(MIDNIGHT, 7, cost="free", quality="good"), reading(MIDNIGHT + 3600, 8)]))
    )
    assert found.columns.values == [7, 8]
    assert found.columns.costs is None
    assert sum(found.columns.remarks.values()) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not well-formed"),
        (b"<feed xmlns='http://www.w3.org/2005/Atom'><entry>", "not well-formed"),
        (b"<html><p>Sign in</p></html>", "not Green Button"),
        (b"<html><p>Sign in<br></html>", "not well-formed"),
        (b'{"error": 1}', "not well-formed"),
        (b"<feed xmlns='urn:other'/>", "not Green Button"),
        (
            documents.feed(documents.hours(1)).replace(b"http://naesb.org/espi", b"urn:other"),
            "None of the file's entries",
        ),
        (b"<a/><b/>", "not well-formed"),
        (b"<feed xmlns='http://www.w3.org/2005/Atom'>&undefined;</feed>", "not well-formed"),
        (b"<!DOCTYPE feed><feed xmlns='http://www.w3.org/2005/Atom'/>", "DOCTYPE"),
    ],
)
def test_d04_d07_what_is_no_espi_is_refused_in_words(content, words):
    with pytest.raises(atom.DocumentRefused) as caught:
        read(content)
    assert words in str(caught.value)


def test_d05_entities_are_neither_fetched_nor_expanded(tmp_path):
    canary = tmp_path / "canary"
    canary.write_text("42")
    doctype = f'<!DOCTYPE feed [<!ENTITY c SYSTEM "file://{canary}"><!ENTITY i "42">]>'
    for name in "ci":
        text = documents.feed(block([reading(MIDNIGHT, f"&{name};")])).decode()
        with pytest.raises(atom.DocumentRefused) as caught:
            read((doctype + text).encode())
        assert "42" not in str(caught.value).replace("DOCTYPE", "")


def test_d06_amplification_depth_and_giant_text_refuse_the_file():
    bomb = "<!DOCTYPE feed [<!ENTITY a0 'aaaaaaaaaa'>" + "".join(
        f"<!ENTITY a{i} '{f'&a{i - 1};' * 10}'>" for i in range(1, 12)
    )
    for content in (
        f"{bomb}]><feed xmlns='{documents.ATOM}'><entry><title>&a11;</title></entry></feed>",
        f"<feed xmlns='{documents.ATOM}'>" + "<entry>" * 300 + "</entry>" * 300 + "</feed>",
        f"<feed xmlns='{documents.ATOM}'><title>{'x' * 11_000_000}</title></feed>",
    ):
        with pytest.raises(atom.DocumentRefused):
            read(content.encode())


def test_memory_does_not_grow_with_the_number_of_entries():
    import tracemalloc

    def peak(days):
        content = documents.feed(*[documents.hours(24, MIDNIGHT + 86400 * day) for day in range(days)])
        tracemalloc.start()
        for _ in parse.read(BytesIO(content)):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(400) < peak(40) * 1.5


def test_con_edison_v1_spelling_is_read_and_told_apart():
    content = documents.v1_feed(documents.v1_entry("KVARH", ["0.011"]), documents.v1_entry("KWH", ["0.236", "0.241"]))
    found = blocks(content)
    assert [each.is_lower_camel for each in found] == [True, True]
    assert [each.columns.values for each in found] == [[Decimal("0.011")], [Decimal("0.236"), Decimal("0.241")]]


def test_a_bill_is_read_with_its_line_items_and_its_own_multiplier():
    inner = """<billingPeriod><duration>2505600</duration><start>1709280000</start></billingPeriod>
      <billLastPeriod>4800000</billLastPeriod><costAdditionalDetailLastPeriod><amount>-1170000</amount><note>Rebate</note>
      <measurement><powerOfTenMultiplier>-3</powerOfTenMultiplier><uom>72</uom><value>50000000</value></measurement>
      <itemKind>8</itemKind></costAdditionalDetailLastPeriod><overallConsumptionLastPeriod>
      <powerOfTenMultiplier>-3</powerOfTenMultiplier><uom>72</uom><value>500000000</value></overallConsumptionLastPeriod>
      <qualityOfReading>17</qualityOfReading><statusTimeStamp>1711700000000</statusTimeStamp><commodity>1</commodity>
      <tariffProfile>HETOUC</tariffProfile><readCycle>Q</readCycle>"""
    (bill,) = read(documents.bare_feed(entry(espi("UsageSummary", inner), f"{documents.POINT}/UsageSummary/1,436,684")))
    assert (bill.start, bill.duration, bill.bill_last_period) == (1709280000, 2505600, 4800000)
    assert (bill.consumption, bill.consumption_multiplier, bill.consumption_uom) == (500000000, -3, 72)
    assert bill.status_timestamp.isoformat() == "2024-03-29T08:13:20+00:00"
    assert bill.details[0]["amount"] == -1170000
    assert bill.details[0]["measurement"]["value"] == 50000000
    assert bill.extra == {"readCycle": "Q"}


def test_a_con_edison_v1_bill_is_in_dollars_and_kilowatt_hours():
    inner = """<billingPeriod><start>1765342800</start></billingPeriod><billToDate>2026-01-12T00:00:00</billToDate>
      <statusTimeStamp>2026-01-13T00:00:00</statusTimeStamp><currency>840</currency>
      <electricConsumption>412</electricConsumption><electricBilledAmount>131.27</electricBilledAmount>
      <serviceClass>1</serviceClass><qualityOfReading>17</qualityOfReading><ICAPtag>1.2</ICAPtag>"""
    href = f"{documents.V1_BASE}/ElectricPowerUsageSummary?electricPowerUsageSummaryId=B0001"
    (bill,) = read(documents.bare_feed(entry(espi("UsageSummary", inner), href)))
    assert bill.bill_last_period == 13127000
    assert (bill.consumption, bill.consumption_multiplier, bill.consumption_uom) == (412, 3, 72)
    assert (bill.end.isoformat(), bill.tariff_profile, bill.extra) == ("2026-01-12T00:00:00", "1", {"ICAPtag": "1.2"})
    assert bill.entry.resource_id == "B0001"


def test_what_is_not_understood_is_named_and_counted():
    found = read(documents.bare_feed(entry(espi("Weather", "<sky>blue</sky>"), f"{BASE}/x")))
    assert Counter(each.name for each in found) == {"Weather": 1}


# --- Everything a resource says -----------------------------------------------------------------------------------------


def said_by(*elements_, noun="UsagePoint"):
    (found,) = [each for each in read(espi(noun, "".join(elements_)).encode()) if type(each).__name__ == noun]
    return found


def unknown(content):
    return [each.path for each in read(content) if isinstance(each, resources.Unknown)]


@pytest.mark.parametrize("by_runs", [True, False])
def test_elements_around_the_entries_that_atom_does_not_have_are_told(by_runs):
    entries = documents.entry(documents.espi("UsagePoint"), documents.POINT)
    strange = entries.replace(
        "<content>", '<x:gift xmlns:x="urn:x"><id/></x:gift><contents/><summary>fine</summary><content>'
    )
    feed = (
        f'<feed xmlns="{documents.ATOM}" xmlns:o="urn:o"><title/><o:total>2</o:total>{entries}'
        f"<o:between/>{strange}<o:after/><subtitle/></feed>"
    )
    found = list(parse.read(BytesIO(feed.encode()), by_runs=by_runs))
    told = [each.path for each in found if isinstance(each, resources.Unknown)]
    assert told == ["feed/total", "feed/between", "entry/gift", "entry/contents", "feed/after"]


def test_a_feed_without_entries_is_empty_and_not_refused_whatever_stands_in_it():
    assert unknown(f'<feed xmlns="{documents.ATOM}"><total xmlns="urn:o">0</total></feed>'.encode()) == ["feed/total"]


def test_a_usage_point_is_read_whole():
    found = said_by(
        "<roleFlags>0081</roleFlags><ServiceCategory><kind>0</kind></ServiceCategory><status>1</status>",
        "<serviceDeliveryPoint><name>Front</name><tariffProfile>E-TOU-C</tariffProfile></serviceDeliveryPoint>",
        "<amiBillingReady>billingApproved</amiBillingReady><connectionState>connected</connectionState>",
        "<estimatedLoad><powerOfTenMultiplier>3</powerOfTenMultiplier><uom>38</uom><value>12</value></estimatedLoad>",
        "<isSdp>true</isSdp><phaseCode>769</phaseCode><readCycle>Q</readCycle><readRoute>0007</readRoute>",
        "<pnodeRefs><pnodeRef><apnodeType>SP</apnodeType><ref>N1</ref></pnodeRef><pnodeRef><ref>N2</ref></pnodeRef></pnodeRefs>",
    )
    assert (found.service_kind, found.status, found.role_flags, found.phase_code) == (0, 1, "0081", 769)
    assert (found.tariff_profile, found.read_cycle) == ("E-TOU-C", "Q")
    assert (found.ami_billing_ready, found.connection_state) == ("billingApproved", "connected")
    assert found.said["estimatedLoad"] == {"powerOfTenMultiplier": 3, "uom": 38, "value": 12}
    assert found.said["pnodeRefs"]["pnodeRef"] == [{"apnodeType": "SP", "ref": "N1"}, {"ref": "N2"}]
    assert (found.said["readRoute"], found.said["isSdp"]) == ("0007", "true")
    assert found.said["serviceDeliveryPoint"]["name"] == "Front"


def test_capital_letters_are_written_as_the_utility_pleases():
    found = said_by(
        "<serviceCategory><Kind>1</Kind></serviceCategory><ServiceDeliveryPoint><tariffProfile>R1</tariffProfile>"
        "</ServiceDeliveryPoint>"
    )
    assert (found.service_kind, found.tariff_profile) == (1, "R1")
    v1 = espi("usagePoint", "<ServiceCategory><kind>0</kind></ServiceCategory>").encode()
    assert [type(each) for each in read(v1)] == [resources.UsagePoint]
    assert unknown(v1) == []


def test_a_reading_type_is_read_whole():
    ratios = "<{0}><numerator>{1}</numerator><denominator>{2}</denominator></{0}>"
    found = said_by(
        "<commodity>1</commodity><consumptionTier>2</consumptionTier><cpp>1</cpp><measuringPeriod>7</measuringPeriod>",
        ratios.format("interharmonic", 1, 5),
        ratios.format("argument", "half", 2),
        noun="ReadingType",
    )
    assert (found.commodity, found.consumption_tier, found.cpp, found.measuring_period) == (1, 2, 1, 7)
    assert found.interharmonic == "1/5"
    assert (found.argument, found.extra) == ("", {"argument": {"numerator": "half", "denominator": 2}})


def test_what_is_no_code_is_no_field_and_is_kept_as_it_was_said():
    found = said_by("<kind>energy</kind><uom>72</uom><tou>99999</tou>", noun="ReadingType")
    assert (found.kind, found.uom, found.tou) == (None, 72, None)
    assert found.extra == {"kind": "energy", "tou": 99999}


def test_what_a_bill_says_beside_its_fields_is_kept():
    measured = "<{0}><powerOfTenMultiplier>-3</powerOfTenMultiplier><uom>{1}</uom><value>{2}</value></{0}>"
    found = said_by(
        "<billingPeriod><duration>86400</duration><start>1709280000</start></billingPeriod>",
        measured.format("overallConsumptionLastPeriod", 72, 5).replace("</o", "<readingTypeRef>r</readingTypeRef></o"),
        measured.format("peakDemand", 38, 4200),
        measured.format("previousDayNetConsumption", 72, -7),
        "<ratchetDemandPeriod><duration>1</duration></ratchetDemandPeriod>",
        "<billingChargeSource><agencyName>CCA</agencyName></billingChargeSource>",
        noun="UsageSummary",
    )
    assert (found.consumption, found.consumption_multiplier, found.consumption_uom) == (5, -3, 72)
    assert found.extra == {
        "overallConsumptionLastPeriod": {"readingTypeRef": "r"},
        "peakDemand": {"powerOfTenMultiplier": -3, "uom": 38, "value": 4200},
        "previousDayNetConsumption": {"powerOfTenMultiplier": -3, "uom": 72, "value": -7},
        "ratchetDemandPeriod": {"duration": 1},
        "billingChargeSource": {"agencyName": "CCA"},
    }


def test_a_power_quality_summary_is_read():
    inner = "<flickerPlt>1</flickerPlt><mainsVoltage>5</mainsVoltage><tempOvervoltage>no</tempOvervoltage>"
    period = "<summaryInterval><duration>86400</duration><start>1709280000</start></summaryInterval>"
    found = said_by(inner, period, noun="ElectricPowerQualitySummary")
    assert (found.start, found.duration) == (1709280000, 86400)
    assert found.values == {"flickerPlt": 1, "mainsVoltage": 5}
    assert found.extra == {"tempOvervoltage": "no"}


def test_names_of_times_of_use_are_read():
    one = "<programIdMapping><tOUorCPPorConsumptionTier>tou</tOUorCPPorConsumptionTier><code>{}</code><name>{}</name></programIdMapping>"
    content = espi("ProgramIdMappings", one.format(1, "SPK") + one.format("x", "?") + one.format(2, "SOP")).encode()
    refused, found = read(content)
    assert (refused.what, refused.why) == ("ProgramIdMapping", "its code is no number")
    assert [(each.kind, each.code, each.name) for each in found.mappings] == [("tou", 1, "SPK"), ("tou", 2, "SOP")]


def test_the_resources_of_the_exchange_are_read_without_their_secrets():
    told = said_by("<currentStatus>1</currentStatus>", noun="ServiceStatus")
    assert told.current_status == 1
    listed = said_by("<resources> https://a.example/1 </resources><resources>b</resources>", noun="BatchList")
    assert listed.resources == ("https://a.example/1", "b")
    allowed = said_by(
        "<authorizedPeriod><duration>10</duration><start>20</start></authorizedPeriod><status>1</status>"
        "<scope>FB=4</scope><resourceURI>r</resourceURI><accessToken>s3cret</accessToken><token_type>Bearer</token_type>",
        noun="Authorization",
    )
    assert (allowed.status, allowed.scope, allowed.authorized_period) == ("1", "FB=4", (20, 10))
    assert allowed.extra == {"token_type": "Bearer"}
    ours = said_by(
        "<client_secret>s3cret</client_secret><registration_access_token>s3cret</registration_access_token>"
        "<redirect_uri>https://a.example/1</redirect_uri><redirect_uri>https://a.example/2</redirect_uri>"
        "<scope>FB=1</scope><client_name>We</client_name>",
        noun="ApplicationInformation",
    )
    assert ours.redirect_uris == ("https://a.example/1", "https://a.example/2")
    assert (ours.scopes, ours.extra) == (("FB=1",), {"client_name": "We"})
    assert "s3cret" not in repr((allowed, ours))


def test_an_element_without_a_name_in_the_standard_is_kept_and_told_by_its_path():
    inner = """<ServiceCategory><kind>0</kind><colour shade="7">blue</colour></ServiceCategory><extension><any>1</any></extension>
      <o:roof xmlns:o="http://o.example/">flat</o:roof>loose words"""
    content = espi("UsagePoint", inner).encode()
    assert unknown(content) == [
        "UsagePoint/ServiceCategory/colour",
        "UsagePoint/{http://o.example/}roof",
        "UsagePoint/#text",
    ]
    found = next(each for each in read(content) if isinstance(each, resources.UsagePoint))
    assert found.said["ServiceCategory"]["colour"] == {"@shade": "7", "#text": "blue"}
    assert found.said["{http://o.example/}roof"] == "flat"
    assert (found.said["extension"], found.said["#text"]) == ({"any": 1}, "loose words")


def test_what_stands_in_an_entry_beside_its_resource_is_told_too():
    inner = (
        espi("MeterReading", "<batchItemInfo><name>01</name></batchItemInfo>") + '<o:note xmlns:o="http://o.example/"/>'
    )
    assert unknown(documents.bare_feed(entry(inner, METER))) == [
        "MeterReading/batchItemInfo",
        "{http://o.example/}note",
    ]


def test_type_noise_is_no_element_of_its_own():
    noise = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xsd:int"'
    content = espi("UsagePoint", f"<status {noise}>1</status>").encode()
    assert unknown(content) == []
    assert read(content)[0].status == 1


@pytest.mark.parametrize("inner", ["<a/>" * 20_001, f"<a>{'x' * 1_000_001}</a>", f'<a b="{"x" * 10_001}"/>'])
def test_a_resource_that_would_fill_the_memory_is_refused_alone(inner):
    found = read(documents.bare_feed(entry(espi("UsagePoint", inner), POINT), documents.hours(1)))
    assert [type(each) for each in found] == [resources.Refused, resources.IntervalBlock]


def test_customer_data_are_texts():
    inner = "<customerName>Ann</customerName><Organisation><streetAddress><postalCode>10001</postalCode></streetAddress></Organisation>"
    (found,) = read(
        documents.bare_feed(entry(documents.customer("Customer", inner), f"{BASE}/RetailCustomer/9/Customer/1"))
    )
    assert (found.noun, found.said["customerName"]) == ("Customer", "Ann")
    assert found.said["Organisation"] == {"streetAddress": {"postalCode": "10001"}}


def test_con_edison_v1_tells_an_account_and_its_place_in_one():
    inner = """<accountNumber>0410</accountNumber><mainAddress><streetDetail>1 EXAMPLE ST APT 2</streetDetail>
      <cityDetail>NEW YORK</cityDetail><stateDetail>NY</stateDetail><postalCode>01001</postalCode></mainAddress>"""
    account, place = read(documents.bare_feed(entry(documents.customer("retailCustomer", inner))))
    assert (account.noun, account.said) == ("CustomerAccount", {"accountNumber": "0410"})
    assert place.noun == "ServiceLocation"
    assert place.said["mainAddress"]["postalCode"] == "01001"
