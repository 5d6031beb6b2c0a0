"""Channel names lose codes of 0, which say no more than absent ones. Where both names exist, both stay as they are."""

import re

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

ZERO = re.compile(r"(?:commodity|kind|flow|accumulation|qualifier|phase|tou|cpp|tier)=0(?:;|(?=#)|$)")


def shorten(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    channels = apps.get_model("espi", "MeterReading").objects
    for row in channels.filter(channel__contains="=0").exclude(channel__startswith="meter_reading="):
        stem, mark, ordinal = row.channel.partition("#")
        name = (ZERO.sub("", stem).rstrip(";") or "untold") + mark + ordinal
        if name != row.channel and not channels.filter(usage_point=row.usage_point_id, channel=name).exists():
            channels.filter(pk=row.pk).update(channel=name)


class Migration(migrations.Migration):
    dependencies = [("espi", "0011_view_of_plain_readings")]
    operations = [migrations.RunPython(shorten, migrations.RunPython.noop)]
