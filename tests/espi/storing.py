"""Storing a document in tests, and all that is stored."""

from datetime import UTC, date, datetime

from django.apps import apps

from espi import archive, ingest, models
from espi.dialect import Dialect

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = date(2026, 1, 15)  # in New York it begins at documents.MIDNIGHT
V1 = Dialect(time_zone="America/New_York", interval_values="decimal_kwh", default_currency=840)


def store(subscription, content, **more):
    return ingest.store(content, subscription=subscription, **({"now": NOW} | more))


def kept(document):
    return b"".join(archive.content(document))


def rows(*, without=("Document", "DocumentPart")):
    """Every row of the app, without what the receipt of a document leaves."""
    found = {}
    for model in apps.get_app_config("espi").get_models():
        if model.__name__ not in without:
            found[model.__name__] = sorted(map(repr, model.objects.values()))
    return found


def history():
    """{(channel, start, duration): value} of everything stored, whatever rows hold it; by start."""
    found = {}
    for each in models.IntervalBlock.objects.select_related("meter_reading"):
        for index, value in enumerate(each.values):
            if value is not None:
                start = each.start + index * each.interval_length
                found[each.meter_reading.channel, start, each.interval_length] = value
    for each in models.IntervalReading.objects.select_related("meter_reading"):
        found[each.meter_reading.channel, each.start, each.duration] = each.value
    return dict(sorted(found.items(), key=lambda item: item[0][1]))


def channels():
    return {row.channel: row for row in models.MeterReading.objects.all()}
