"""One real history under several names: what followed what, and when."""

from django.db import models

from espi.models.exchange import Document
from espi.models.usage import MeterReading, UsagePoint


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
    """A meter that was followed by another, or by itself under another name. Its figures are one history; people see this."""

    class Reason(models.TextChoices):
        REPLACED = "replaced", "The utility lists two meters here; the readings of one end where the other's begin"
        RENUMBERED = "renumbered", "The utility lists the meter here under another id since, and does not say why"

    usage_point = models.ForeignKey(UsagePoint, on_delete=models.CASCADE, related_name="successions")
    meter_reading = models.ForeignKey(MeterReading, on_delete=models.CASCADE, null=True, db_index=False)
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
        return f"{self.earlier_id} -> {self.later_id}"
