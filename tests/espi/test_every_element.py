"""No element of any sample is dropped silently: the slow way, text by text."""

import contextlib
import dataclasses
from collections import Counter
from datetime import datetime
from decimal import Decimal, InvalidOperation
from io import BytesIO

import pytest
from lxml import etree

from espi import ingest, models, parse, resources
from portal.models import User
from tests.espi import samples
from tests.espi.test_parse import FILES

ATOM = "{http://www.w3.org/2005/Atom}"
OURS = ("{http://naesb.org/espi}", "{http://naesb.org/espi/customer}")
BLOCKS = ("intervalblock", "intervalblocks", "intervalreading")
SECRETS = ("client_secret", "registration_access_token", "accesstoken", "datacustodianthirdpartysecret")
NOW = datetime.fromisoformat("2026-03-01T12:00:00+00:00")


def name(element):
    return etree.QName(element).localname


def payloads(content):
    """The resource elements of a document, those of readings left out: they have tests of their own."""
    root = etree.fromstring(content)
    tops = [child for each in root.iter(f"{ATOM}content") for child in each.iterchildren("*")]
    if not root.tag.startswith(ATOM):
        tops = [root]
    ours = [each for each in tops if each.tag.startswith(OURS)]
    return [each for each in ours if name(each).lower() not in BLOCKS]


def texts(element):
    """Every text of an element that a person could miss: of its leaves, and of its attributes."""
    for each in element.iter("*"):
        if name(each).lower() in SECRETS:
            continue
        yield from (value for key, value in each.attrib.items() if "XMLSchema-instance" not in key)
        for text in (each.text, *(child.tail for child in each)):
            if text and text.strip():
                yield text.strip()


def said(value):
    """Every value that a resource or a row holds, as text."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            if field.name != "entry":
                yield from said(getattr(value, field.name))
    elif isinstance(value, dict):
        yield from (each for inner in value.values() for each in said(inner))
    elif isinstance(value, list | tuple):
        yield from (each for inner in value for each in said(inner))
    elif isinstance(value, datetime):
        yield str(int(value.replace(tzinfo=value.tzinfo or NOW.tzinfo).timestamp()))
    elif isinstance(value, str) and value.count("/") == 1 and value.replace("/", "").lstrip("-").isdigit():
        yield from value.split("/")  # a RationalNumber
    elif value not in (None, ""):
        yield str(value)


def forms(text):
    """What a text may have become: itself, a number, hundred-thousandths of an amount, seconds of an instant."""
    yield text
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = None
    if number is not None and number.is_finite():
        yield from (str(int(number)), str(int(number * 10**5)), str(int(number) // 1000))
        yield from (str(int(number.scaleb(places))) for places in range(1, 4))
    with contextlib.suppress(ValueError):
        yield from said(datetime.fromisoformat(text))


def missing(wanted, found):
    """The texts that no value stands for, each value used once."""
    left = []
    for text in wanted:
        form = next((each for each in forms(text) if found[each]), None)
        if form is None:
            left.append(text)
        else:
            found[form] -= 1
    return left


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_text_of_every_sample_is_in_a_field_or_beside_the_fields(path):
    content = path.read_bytes()
    found, elsewhere = Counter(), Counter()
    for each in parse.read(BytesIO(content)):
        if isinstance(each, resources.Other | resources.Refused):
            elsewhere[each.name if isinstance(each, resources.Other) else each.what] += 1
        elif isinstance(each, resources.Unknown):
            elsewhere[each.path.rpartition("/")[2]] += 1
        elif not isinstance(each, resources.IntervalBlock):
            found.update(said(each))
    wanted = [text for each in payloads(content) if not elsewhere[name(each)] for text in texts(each)]
    assert missing(wanted, found) == []


@pytest.mark.django_db
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_resource_of_every_sample_is_counted_with_its_document(path):
    user = User.objects.create_user("ann@example.com")
    place = models.Subscription.objects.create(retail_customer=user, time_zone="UTC")
    content = path.read_bytes()
    summary = ingest.store(content, subscription=place, now=NOW).summary
    counted = Counter(summary["resources"]) + Counter(summary["other"])
    counted["UsagePoint"], counted["MeterReading"] = summary["usage_points"], summary["meter_readings"]
    found = Counter(map(spelled, payloads(content)))
    assert counted["UsageSummary"] == 0
    found_bills = found.pop("UsageSummary", 0) + found.pop("ElectricPowerUsageSummary", 0)
    assert found_bills == summary["summaries"]
    flat = found.pop("RetailCustomer", 0)
    assert +counted == +(found + Counter(CustomerAccount=flat, ServiceLocation=flat))


def spelled(element):
    return name(element)[0].upper() + name(element)[1:]


def test_the_own_samples_know_every_dialect():
    names = {sample.path.name for sample in samples.stated()}
    for dialect in (
        "everything-4.0",
        "first-generation-2012",
        "pge-customer",
        "coned-v1-customer",
        "utilityapi-customer",
    ):
        assert f"composed__{dialect}.xml" in names
