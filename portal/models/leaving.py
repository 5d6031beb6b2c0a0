"""What a customer takes with him, and what stays of him when he has gone."""

import uuid

from django.db import models
from django.db.models import Q

from espi.fields import EncryptedBinaryField
from portal.models.people import User


class Export(models.Model):
    """Files that are prepared for a customer to fetch: everything he has here, or more readings than fit one answer."""

    class Kind(models.TextChoices):
        EVERYTHING = "everything", "Everything"
        FILES = "files", "Readings or bills"

    class State(models.TextChoices):
        DUE = "due", "Waits to be prepared"
        RUNNING = "running", "Is being prepared"
        READY = "ready", "Ready"
        FAILED = "failed", "Could not be prepared"
        OVER = "over", "No longer kept"

    OPEN = (State.DUE, State.RUNNING)

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    retail_customer = models.ForeignKey(User, on_delete=models.CASCADE, related_name="exports", db_index=False)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    wanted = models.JSONField(
        default=dict, help_text="Of files: meters (public ids), kind, first day, day after the last."
    )
    file_name = models.CharField(max_length=200, blank=True)
    content_type = models.CharField(max_length=100, blank=True)
    size = models.BigIntegerField(default=0, help_text="Bytes.")
    state = models.CharField(max_length=8, choices=State.choices, default=State.DUE)
    reason = models.CharField(max_length=200, blank=True, help_text="In words.")
    attempts = models.SmallIntegerField(default=0, help_text="Counted when somebody begins.")
    not_before = models.DateTimeField()
    claim = models.UUIDField(null=True, editable=False, help_text="Of the worker that prepares it.")
    asked_at = models.DateTimeField()
    ready_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["retail_customer", "kind", "wanted"],
                condition=Q(state__in=["due", "running"]),
                name="one_open_export_of_a_kind",
            ),
        ]
        indexes = [models.Index(fields=["retail_customer", "-asked_at"], name="export_of_customer")]

    def __str__(self) -> str:
        return f"{self.kind} {self.public_id}"


class ExportPart(models.Model):
    """A piece of a prepared file, encrypted. The pieces in their order are the file; they go when it is over."""

    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="parts", db_index=False)
    number = models.IntegerField()
    content = EncryptedBinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["export", "number"], name="one_export_part_per_number")]


class Departure(models.Model):
    """That somebody deleted his account, and when: numbers and references, nothing of the person."""

    user_id = models.BigIntegerField(unique=True)
    references = models.JSONField(default=list, help_text="Of his consents.")
    left_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, help_text="When the last row of the account went.")

    def __str__(self) -> str:
        return f"user {self.user_id}"
