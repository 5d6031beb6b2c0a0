"""A bill is known by the service it is for, which a bill that leaves its commodity out has, too.

Rows of before, and of a version of before that runs on beside this one, have no service until they are told again.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("espi", "0027_room_beside_jobs")]

    operations = [
        migrations.AddField(
            "usagesummary",
            "service",
            models.IntegerField(
                null=True,
                help_text="What it tells to be for: a ServiceCategory/kind, or 100 and a commodity that is no service.",
            ),
        ),
        migrations.RemoveConstraint("usagesummary", "one_summary_per_start_and_commodity"),
        migrations.AddConstraint(
            "usagesummary",
            models.UniqueConstraint(
                fields=["usage_point", "start", "service"], name="one_summary_per_start_and_service"
            ),
        ),
    ]
