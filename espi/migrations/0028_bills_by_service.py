"""A bill is known by the service it is for, which a bill that leaves its commodity out has, too.

Rows that were two and are one by the new key stay two: the second has its commodity, or -1, in place of the service.
"""

from django.db import migrations, models

BACKFILL = """
    WITH told AS (
        SELECT bill.id, CASE
            WHEN commodity IN (1, 2) THEN 0 WHEN commodity = 7 THEN 1 WHEN commodity = 9 THEN 2
            WHEN commodity > 0 THEN 100 + commodity
            WHEN consumption_uom IN (38, 61, 63, 71, 72, 73) THEN 0 WHEN consumption_uom = 169 THEN 1
            ELSE coalesce(point.service_kind, 0) END AS service
        FROM espi_usagesummary bill JOIN espi_usagepoint point ON point.id = usage_point_id
    ), ranked AS (
        SELECT id, told.service, coalesce(100 + commodity, -1) AS otherwise,
            row_number() OVER (PARTITION BY usage_point_id, start, told.service ORDER BY commodity, id) AS place
        FROM told JOIN espi_usagesummary USING (id)
    )
    UPDATE espi_usagesummary bill SET service = CASE WHEN place = 1 THEN ranked.service ELSE otherwise END
    FROM ranked WHERE ranked.id = bill.id AND (place > 1 OR ranked.service <> 0)"""


class Migration(migrations.Migration):
    dependencies = [("espi", "0027_room_beside_jobs")]

    operations = [
        migrations.AddField(
            "usagesummary",
            "service",
            models.IntegerField(
                db_default=0,
                help_text="What it is for, by ServiceCategory/kind; 100 and the commodity where that is no service.",
            ),
        ),
        migrations.RunSQL(BACKFILL, migrations.RunSQL.noop),
        migrations.RemoveConstraint("usagesummary", "one_summary_per_start_and_commodity"),
        migrations.AddConstraint(
            "usagesummary",
            models.UniqueConstraint(fields=["usage_point", "start", "service"], name="one_summary_per_start_and_service"),
        ),
    ]
