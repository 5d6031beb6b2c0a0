"""Letters: e-mails to customers, each of them a row until it is sent, and for a year after."""

import uuid

from django.db import models
from django.db.models import Q

from espi.fields import EncryptedJSONField, EncryptedTextField
from espi.models import Authorization
from portal.models.people import User


class Letter(models.Model):
    """An e-mail to one person. The row is the truth; a Celery message only wakes somebody up to send it.

    What it says is made when it is sent, from its kind (`portal.letters`), its language and `values`.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waits to be sent"
        SENT = "sent", "Sent"
        FAILED = "failed", "Could not be sent"
        DROPPED = "dropped", "No longer true, or not wanted, when its turn came"

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False, help_text="Also its Message-ID.")
    kind = models.CharField(max_length=30)
    key = models.CharField(max_length=150, unique=True, help_text="What it is about: told once under this key.")
    retail_customer = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="letters")
    authorization = models.ForeignKey(
        Authorization, on_delete=models.CASCADE, null=True, related_name="letters", db_index=False
    )
    address = EncryptedTextField(blank=True, editable=False, help_text="Empty: the customer's own, when it is sent.")
    language = models.CharField(max_length=10, default="en")
    values = EncryptedJSONField(blank=True, default=dict, editable=False, help_text="Emptied once it is sent.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    reason = models.CharField(max_length=200, blank=True, help_text="In words: why it waits, failed or was dropped.")
    attempts = models.SmallIntegerField(default=0, help_text="Counted when somebody begins to send it.")
    not_before = models.DateTimeField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(help_text="After this it would be of no use.")
    sent_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(state="waiting"), name="letter_waiting"),
            models.Index(fields=["authorization", "kind"], name="letter_of_connection"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.public_id}"
