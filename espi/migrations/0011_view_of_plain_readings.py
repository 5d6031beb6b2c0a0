from django.db import migrations

VIEW = """
CREATE VIEW espi_reading AS
SELECT point.subscription_id, channel.usage_point_id, told.meter_reading_id, channel.channel,
       to_timestamp(told.start) AS start, told.duration, told.local_date, told.value,
       channel.power_of_ten_multiplier AS multiplier, kind.uom,
       told.value * (10::numeric ^ channel.power_of_ten_multiplier) AS quantity,
       kind.flow_direction, channel.is_register, told.cost, kind.currency, told.quality, told.tou, told.tier, told.cpp,
       told.published_at, told.document_id
FROM (
    SELECT block.meter_reading_id, block.start + (each.place - 1) * block.interval_length AS start,
           block.interval_length::bigint AS duration, block.local_date, each.value, each.cost, each.quality, each.tou,
           each.tier, each.cpp, coalesce(each.published_at, block.published_at) AS published_at,
           coalesce(each.document_id, block.document_id) AS document_id
    FROM espi_intervalblock AS block CROSS JOIN LATERAL unnest(
        block."values", block.costs, block.qualities, block.tous, block.tiers, block.cpps, block.publications,
        block.documents
    ) WITH ORDINALITY AS each (value, cost, quality, tou, tier, cpp, published_at, document_id, place)
    WHERE each.value IS NOT NULL
    UNION ALL
    SELECT meter_reading_id, start, duration, local_date, value, cost, quality, tou, tier, cpp, published_at, document_id
    FROM espi_intervalreading
) AS told
JOIN espi_meterreading AS channel ON channel.id = told.meter_reading_id
JOIN espi_readingtype AS kind ON kind.id = channel.reading_type_id
JOIN espi_usagepoint AS point ON point.id = channel.usage_point_id
"""


class Migration(migrations.Migration):
    """For analysts: every reading as a plain row. `quantity` is in the unit `uom`, `cost` in hundred-thousandths."""

    dependencies = [("espi", "0010_blocks_by_channel_and_day")]

    operations = [migrations.RunSQL(VIEW, "DROP VIEW espi_reading")]
