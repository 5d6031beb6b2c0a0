"""Stored, exported as Green Button XML, and stored again by somebody else: what has to be the same."""

from datetime import UTC, datetime
from io import BytesIO

from lxml import etree

from espi import models
from espi.export import Days, Meter, feed
from portal.flows import upload
from portal.models import User
from tests.espi import green_button
from tests.espi.documents import MIDNIGHT, POINT, entry, espi
from tests.espi.green_button import ATOM, ESPI

NOW = datetime(2026, 11, 1, 12, 30, tzinfo=UTC)
OURS = "https://portal.example/espi/1_1/resource"
PERIOD = f"<billingPeriod><duration>{30 * 86400}</duration><start>{MIDNIGHT}</start></billingPeriod>"


def owner(name):
    return User.objects.get_or_create(email=f"{name}@example.com")[0]


def store(content, name="ann", **more):
    return upload.store(owner(name), BytesIO(content), file_name="usage.xml", now=NOW, **more)


def points(name="ann"):
    return models.UsagePoint.objects.filter(subscription__retail_customer=owner(name)).order_by("pk")


def export(name="ann", days=None, now=NOW, **more):
    meters = [Meter(point, "Electricity", **more) for point in points(name)]
    return b"".join(feed.of(meters, days or Days(), base=OURS, title="Usage", now=now))


def entries(content, noun=""):
    return [
        each
        for each in etree.fromstring(content).iter(f"{ATOM}entry")
        if not noun or each.find(f".//{ESPI}{noun}") is not None
    ]


def bill(inner, name="1"):
    href = f"{POINT}/UsageSummary/{name}"
    return entry(espi("UsageSummary", inner), href, up=f"{POINT}/UsageSummary", published="2026-02-01T00:00:00Z")


# --- What was stored, without what names it ----------------------------------------------------------------------------

KIND = [field.name for field in models.ReadingType._meta.fields if field.name not in ("id", "signature")]
UNNAMED = ("id", "pk", "meter_reading", "usage_point", "subscription", "document", "documents", "resource_id")
UNNAMED += ("public_id", "created_at", "said_at")


def values(model):
    return [field.attname for field in model._meta.fields if field.name not in UNNAMED]


def rows(queryset):
    """Rows without their names; an array of nothing is nothing."""
    found = queryset.values(*values(queryset.model))
    return sorted(repr(sorted((name, plain(value)) for name, value in row.items())) for row in found)


def plain(value):
    return None if isinstance(value, list) and value and all(each is None for each in value) else value


def stored(name):
    """Everything that a customer holds, by content alone."""
    found = [
        (
            {field: plain(getattr(point, field)) for field in values(point)},
            sorted(map(repr, map(channel, point.meter_readings.select_related("reading_type")))),
            rows(point.usage_summaries),
            rows(point.quality_summaries),
        )
        for point in points(name)
    ]
    return sorted(found, key=repr), rows(
        models.ProgramIdMapping.objects.filter(subscription__retail_customer=owner(name))
    )


def channel(row):
    kind = {field: getattr(row.reading_type, field) for field in KIND} | {
        "power_of_ten_multiplier": row.power_of_ten_multiplier
    }
    series = row.channel.partition("#")[2]
    return (
        sorted(kind.items(), key=repr),
        series,
        row.is_register,
        rows(row.interval_blocks),
        rows(row.interval_readings),
    )


def assert_it_comes_back(name="ann", *, twice=False):
    """Exported, it is valid, and stored by bob it is what `name` has; with `twice` what bob exports is, too."""
    content = export(name)
    assert green_button.problems(content) == []
    document = store(content, "bob")
    assert document.summary["refused"] == []
    assert {each["what"] for each in document.summary["remarks"]} <= {"ServiceCategory", "gas", "reading"}
    assert stored("bob") == stored(name)
    if twice:
        store(export("bob"), "cyd")
        assert stored("cyd") == stored(name)
