"""Every minute connections are looked for whose last day is over, or of which a customer was not told yet.

Utilities name an authorization by its id, in notifications, events and their daily list.
"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False  # an index that is made beside those who write needs no transaction around it

    dependencies = [("espi", "0028_bills_by_service")]

    operations = [
        AddIndexConcurrently(
            "authorization",
            models.Index(fields=["application_information", "utility_authorization_id"], name="authorization_its_id"),
        ),
        AddIndexConcurrently(
            "authorization",
            models.Index(
                fields=["end_date"], condition=Q(status="active", end_date__isnull=False), name="authorization_last_day"
            ),
        ),
        AddIndexConcurrently(
            "authorization",
            models.Index(fields=["created_at"], condition=Q(status="active"), name="authorization_new"),
        ),
        AddIndexConcurrently(
            "authorization",
            models.Index(fields=["id"], condition=Q(status="needs_reconnect"), name="authorization_in_need"),
        ),
        AddIndexConcurrently(
            "authorization",
            models.Index(
                fields=["ended_at"], condition=Q(status__in=["revoked", "expired"]), name="authorization_ended"
            ),
        ),
    ]
