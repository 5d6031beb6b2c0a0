"""One real history under several names: what tells that two names are one, and what followed what."""

from django.db import models

from espi.models.authorization import Subscription
from espi.models.exchange import Document
from espi.models.usage import MeterReading, UsagePoint


class UsagePointAlias(models.Model):
    """Another id of a usage point: what comes under it belongs to the same history."""

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="+", db_index=False)
    resource_id = models.CharField(max_length=255)
    usage_point = models.ForeignKey(UsagePoint, on_delete=models.CASCADE, related_name="aliases")

    class Meta:
        verbose_name_plural = "usage point aliases"
        constraints = [
            models.UniqueConstraint(fields=["subscription", "resource_id"], name="one_usage_point_per_alias"),
        ]


class FormerUsagePoint(models.Model):
    """A usage point that was joined to another: its addresses lead there."""

    public_id = models.UUIDField(primary_key=True)
    usage_point = models.ForeignKey(UsagePoint, on_delete=models.CASCADE, related_name="former")

    def __str__(self) -> str:
        return str(self.public_id)


class ServicePlace(models.Model):
    """What the Retail Customer schema says of a usage point: the place it is at, the meter that serves it.

    Only digests: they are compared, and shown to nobody.
    """

    class Kind(models.TextChoices):
        LOCATION = "location", "ServiceLocation"
        METER = "meter", "Meter's serial number"

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="places", db_index=False)
    resource_id = models.CharField(max_length=255, help_text="Of the usage point, as in UsagePoint or its alias.")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    digest = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "resource_id", "kind", "digest"], name="one_place_per_usage_point"
            ),
        ]


class MeterSpan(models.Model):
    """From when to when a channel's readings came under one MeterReading id (without the instants an id may hold)."""

    meter_reading = models.ForeignKey(MeterReading, on_delete=models.CASCADE, related_name="spans", db_index=False)
    resource_id = models.CharField(max_length=255)
    first_start = models.BigIntegerField(help_text="Epoch seconds at which the first reading begins.")
    last_end = models.BigIntegerField(help_text="Epoch seconds at which the last reading ends.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["meter_reading", "resource_id"], name="one_span_per_meter_reading_id"),
        ]


class Succession(models.Model):
    """A meter or service that was followed by another, or by itself under another name, and how we know.

    Its figures are one history, and people see this beside them. Only with `MAYBE` they are two, each telling of the other.
    """

    class Reason(models.TextChoices):
        REPLACED = "replaced", "The utility lists two meters here; the readings of one end where the other's begin"
        RENUMBERED = "renumbered", "The utility lists the meter here under another id since, and does not say why"
        SAME_READINGS = "same_readings", "Under the new id the utility sent the same readings for the same times"
        SAME_METER = "same_meter", "The utility's customer data name the same meter under both ids"
        SAME_PLACE = "same_place", "The customer data name one place; the readings of one end where the other's begin"
        MAYBE = (
            "maybe",
            "The readings of one end where the other's begin; nothing else says that they are one: kept apart",
        )

    usage_point = models.ForeignKey(UsagePoint, on_delete=models.CASCADE, related_name="successions")
    meter_reading = models.ForeignKey(MeterReading, on_delete=models.CASCADE, null=True, db_index=False)
    other = models.ForeignKey(
        UsagePoint, on_delete=models.CASCADE, null=True, related_name="+", help_text="Of MAYBE: what went before."
    )
    earlier_id = models.CharField(max_length=255, help_text="What the utility called it before.")
    later_id = models.CharField(max_length=255, help_text="What the utility calls it since.")
    at = models.BigIntegerField(help_text="Epoch seconds at which readings begin under the later id.")
    reason = models.CharField(max_length=16, choices=Reason.choices)
    document = models.ForeignKey(Document, on_delete=models.SET_NULL, null=True, help_text="In which it showed.")
    found_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["usage_point", "meter_reading", "earlier_id", "later_id"],
                name="one_succession_per_pair",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return self.get_reason_display()  # not the ids: they may be serial numbers
