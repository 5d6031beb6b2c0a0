"""How the work with each utility stands: whether it is called at all, what staff must look at, who is alive."""

from django.db import models
from django.db.models import Q

from espi.models import ApplicationInformation, FetchJob

REMEMBERED = 20  # calls


class Circuit(models.Model):
    """Whether a utility is called through one of our registrations. Open: it is not, but for one probe a minute."""

    class Cause(models.TextChoices):
        SERVICE = "service", "Its service does not answer"
        CREDENTIALS = "credentials", "It does not accept our credentials or certificate"
        UNPROVEN = "unproven", "We could not prove that we reached it"

    application_information = models.OneToOneField(
        ApplicationInformation, on_delete=models.CASCADE, primary_key=True, related_name="circuit"
    )
    outcomes = models.CharField(
        max_length=REMEMBERED, default="1" * REMEMBERED, help_text="Of the last calls, newest last: 1 answered, 0 not."
    )
    cause = models.CharField(max_length=12, choices=Cause.choices, blank=True)
    reason = models.CharField(max_length=500, blank=True, help_text="In words.")
    opened_at = models.DateTimeField(null=True, help_text="Empty: closed, which is the good state.")
    closed_at = models.DateTimeField(null=True, help_text="When it last closed; work comes back step by step.")
    probe_at = models.DateTimeField(null=True, help_text="When the next probe may be made.")
    probe_job = models.ForeignKey(FetchJob, on_delete=models.SET_NULL, null=True, related_name="+")

    def __str__(self) -> str:
        return f"{self.application_information}: {'open' if self.opened_at else 'closed'}"


class UtilityCall(models.Model):
    """A call to a utility that limits how often it may be called; kept for as long as it counts."""

    scope = models.CharField(max_length=60, help_text="What shares the budget.")
    is_token = models.BooleanField(help_text="A request for a token.")
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["scope", "at"], include=["is_token"], name="utilitycall_counted")]


class StaffAlert(models.Model):
    """Something that staff must look at. One row, and one mail, from its beginning to its end."""

    key = models.CharField(max_length=100, help_text="What it is about; one that is open under a key is enough.")
    application_information = models.ForeignKey(ApplicationInformation, on_delete=models.CASCADE, null=True)
    subject = models.CharField(max_length=150)
    words = models.TextField(blank=True)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    is_mailed = models.BooleanField(default=True, help_text="Whether it goes to the staff's mail addresses too.")
    mailed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key"], condition=Q(closed_at=None), name="one_open_alert_per_key"),
        ]

    def __str__(self) -> str:
        return self.subject


class Heartbeat(models.Model):
    """A worker or the scheduler, and when it last showed that it is alive."""

    name = models.CharField(max_length=200, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
