from django.db import migrations

ROOM = "ALTER TABLE espi_fetchjob SET (fillfactor = 80)"
NO_ROOM = "ALTER TABLE espi_fetchjob RESET (fillfactor)"


class Migration(migrations.Migration):
    """A job's row is updated some five times in its life, mostly in columns of no index: with room on its page
    PostgreSQL writes the new row there and leaves the indexes alone (heap-only tuples)."""

    dependencies = [
        ("espi", "0026_bills_of_one_period"),
    ]

    operations = [migrations.RunSQL(ROOM, NO_ROOM)]
