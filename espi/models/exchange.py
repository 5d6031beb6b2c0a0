"""Where every row came from: the work that asked, the notification that announced, the document that said it."""

import uuid

from django.db import models

from espi.fields import EncryptedBinaryField
from espi.models.authorization import ApplicationInformation, Authorization, Subscription


class Document(models.Model):
    """The raw bytes received, compressed, and what was found in them."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, null=True, related_name="documents")
    application_information = models.ForeignKey(ApplicationInformation, on_delete=models.SET_NULL, null=True)
    fetch_job = models.ForeignKey("FetchJob", on_delete=models.SET_NULL, null=True, related_name="documents")
    url = models.CharField(max_length=2048, blank=True)
    file_name = models.CharField(max_length=255, blank=True, help_text="Of an uploaded file.")
    content_type = models.CharField(max_length=255, blank=True)
    sha256 = models.CharField(max_length=64, db_index=True)
    size = models.BigIntegerField(help_text="Bytes before compression.")
    received_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True)
    summary = models.JSONField(default=dict, help_text="Counts of what it said and of what was refused, and why.")

    def __str__(self) -> str:
        return self.file_name or f"document {self.public_id}"


class DocumentPart(models.Model):
    """A piece of a document's bytes, so that neither the site nor the database ever holds a large file in one piece.

    The pieces in their order are one gzip stream of the bytes as received. They go when they are kept long enough
    (DOCUMENT_DAYS in the settings); the Document itself stays, as what its readings lead to.
    """

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="parts", db_index=False)
    number = models.IntegerField()
    content = EncryptedBinaryField()  # may name the customer and his account

    class Meta:
        constraints = [models.UniqueConstraint(fields=["document", "number"], name="one_part_per_number")]


class FetchJob(models.Model):
    """Work that waits. The row is the truth; a Celery message is only a wake-up that carries its id."""

    class Kind(models.TextChoices):
        USAGE = "usage", "Usage and bills"
        CUSTOMER = "customer", "Customer data"
        DOWNLOAD = "download", "A file that was announced"
        AUTHORIZATION = "authorization", "State of an authorization"
        REVOCATION = "revocation", "Telling the utility that the customer stopped"

    class TokenClass(models.TextChoices):
        ACCESS = "access", "Customer's access token"
        CLIENT = "client", "Client access token"
        REGISTRATION = "registration", "Registration access token"

    class State(models.TextChoices):
        DUE = "due", "Due"
        RUNNING = "running", "Running"
        AWAITING_NOTIFICATION = "awaiting_notification", "Accepted by the utility; waiting for its notification"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        SUPERSEDED = "superseded", "Superseded"

    OPEN = (State.DUE, State.RUNNING, State.AWAITING_NOTIFICATION)

    application_information = models.ForeignKey(ApplicationInformation, on_delete=models.CASCADE)
    authorization = models.ForeignKey(Authorization, on_delete=models.CASCADE, null=True, related_name="fetch_jobs")
    notification = models.ForeignKey("Notification", on_delete=models.SET_NULL, null=True, related_name="fetch_jobs")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    token_class = models.CharField(max_length=16, choices=TokenClass.choices, default=TokenClass.ACCESS)
    url = models.CharField(max_length=2048)
    window_start = models.DateTimeField(null=True)
    window_end = models.DateTimeField(null=True)
    state = models.CharField(max_length=24, choices=State.choices, default=State.DUE)
    reason = models.CharField(max_length=500, blank=True, help_text="In words: why it waits, failed or was replaced.")
    attempts = models.SmallIntegerField(default=0)
    not_before = models.DateTimeField()
    lease_expires_at = models.DateTimeField(null=True)
    claim = models.UUIDField(null=True, editable=False, help_text="Of the worker that runs it; each one has its own.")
    accepted_at = models.DateTimeField(
        null=True, help_text="When the utility first answered that it prepares the data."
    )
    held_up_since = models.DateTimeField(
        null=True, help_text="Since when the utility cannot be reached or asks us to wait."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["state", "not_before"], name="fetchjob_due")]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"


class Notification(models.Model):
    """A body that was posted to us: kept before it is believed."""

    class Channel(models.TextChoices):
        BATCH_LIST = "batch_list", "ESPI notification"
        EVENTS = "events", "UtilityAPI webhook, its signature checked"

    class State(models.TextChoices):
        RECEIVED = "received", "Received"
        RESOLVED = "resolved", "Turned into jobs"
        QUARANTINED = "quarantined", "Not understood; kept for staff"

    application_information = models.ForeignKey(ApplicationInformation, on_delete=models.CASCADE)
    channel = models.CharField(max_length=12, choices=Channel.choices, default=Channel.BATCH_LIST)
    received_at = models.DateTimeField()
    source_address = models.GenericIPAddressField(null=True)
    content_type = models.CharField(max_length=255, blank=True)
    body = models.BinaryField()
    state = models.CharField(max_length=12, choices=State.choices, default=State.RECEIVED)
    reason = models.CharField(max_length=500, blank=True)
    refused_urls = models.JSONField(default=list, help_text="[url cut to 200 characters, reason] of each refused URL.")

    class Meta:
        indexes = [models.Index(fields=["state", "received_at"], name="notification_open")]
