"""Where every row came from: the work that asked, the notification that announced, the document that said it."""

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import MD5

from espi.fields import EncryptedBinaryField
from espi.models.authorization import ApplicationInformation, Authorization, Subscription


class Document(models.Model):
    """The raw bytes received, compressed, and what was found in them; or why nothing of them was stored."""

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
    refusal = models.CharField(
        max_length=500, blank=True, help_text="Why nothing of it was stored; empty for one that was taken in."
    )

    touched: frozenset[int] = frozenset()  # usage points that it told of (pk); for whoever has just stored it

    def __str__(self) -> str:
        return f"document {self.public_id}"  # not the file's name: it may be a person's


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
        RECONCILIATION = "reconciliation", "All authorizations, as the utility lists them"

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

    class Priority(models.IntegerChoices):
        """Lower first. A history comes in portions: the n-th has HISTORY + n, so that everybody's first comes first."""

        WAITED_FOR = 0, "A person waits for it"
        FIRST_DATA = 10, "First data of a new connection"
        ANNOUNCED = 20, "A file the utility keeps for two days"
        DAILY = 30, "News"
        HISTORY = 40, "Earlier data, portion by portion"
        UPKEEP = 90, "Nobody waits for it"

    OPEN = (State.DUE, State.RUNNING, State.AWAITING_NOTIFICATION)

    application_information = models.ForeignKey(ApplicationInformation, on_delete=models.CASCADE)
    authorization = models.ForeignKey(Authorization, on_delete=models.CASCADE, null=True, related_name="fetch_jobs")
    notification = models.ForeignKey("Notification", on_delete=models.SET_NULL, null=True, related_name="fetch_jobs")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    data = models.CharField(
        max_length=16, blank=True, db_default="", help_text="The part of the connection's plan that it serves."
    )
    priority = models.SmallIntegerField(default=Priority.DAILY, db_default=Priority.DAILY, help_text="Lower first.")
    token_class = models.CharField(max_length=16, choices=TokenClass.choices, default=TokenClass.ACCESS)
    url = models.CharField(max_length=2048)
    window_start = models.DateTimeField(null=True)
    window_end = models.DateTimeField(null=True)
    state = models.CharField(max_length=24, choices=State.choices, default=State.DUE)
    reason = models.CharField(max_length=500, blank=True, help_text="In words: why it waits, failed or was replaced.")
    attempts = models.SmallIntegerField(default=0)
    not_before = models.DateTimeField()
    lease_expires_at = models.DateTimeField(null=True)
    woken_at = models.DateTimeField(null=True, editable=False, help_text="When the sweep last sent a wake-up for it.")
    asked_again = models.BooleanField(
        default=False, db_default=False, help_text="Its result was lost, or never came, and was asked for once more."
    )
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
        constraints = [
            models.UniqueConstraint(
                "application_information",
                "authorization",
                "kind",
                MD5("url"),
                condition=Q(state__in=["due", "running", "awaiting_notification"]),
                nulls_distinct=False,
                name="one_open_job_per_request",
            ),
        ]
        # Of a million rows few are open: every question the engine asks has an index over those alone.
        indexes = [
            models.Index(
                fields=["application_information", "not_before"],
                condition=Q(state__in=["due", "awaiting_notification"]),
                name="fetchjob_due",
            ),
            models.Index(fields=["lease_expires_at"], condition=Q(state="running"), name="fetchjob_running"),
            models.Index(
                fields=["application_information", "authorization"],
                condition=Q(state__in=["running", "awaiting_notification"]),
                name="fetchjob_asked",
            ),
            models.Index(  # the queues that staff look through, from the newest
                fields=["state", "-id"],
                condition=Q(state__in=["due", "running", "awaiting_notification", "failed"]),
                name="fetchjob_looked_through",
            ),
        ]

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
    digest = models.CharField(
        max_length=64, blank=True, db_default="", editable=False, help_text="SHA-256 of the body."
    )
    repeats = models.IntegerField(
        default=0, db_default=0, help_text="How many more of its kind were counted, not kept."
    )
    refused_urls = models.JSONField(
        default=list, db_default=[], help_text="[url cut to 200 characters, reason] of each refused URL."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["application_information", "channel", "digest"],
                condition=Q(state="received") & ~Q(digest=""),
                name="one_waiting_notification_per_body",
            ),
        ]
        indexes = [models.Index(fields=["state", "received_at"], name="notification_open")]
