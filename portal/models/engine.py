"""How the work with each utility stands: whether it is called at all, what staff must look at, who is alive."""

from django.db import models
from django.db.models import Q

from espi.models import ApplicationInformation, Authorization, FetchJob, MeterReading

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
    paused_until = models.DateTimeField(null=True, help_text="The utility asked all of us to wait until then.")
    is_pause_of_tokens = models.BooleanField(
        default=False, db_default=False, help_text="Only requests for tokens wait meanwhile."
    )
    pauses = models.SmallIntegerField(default=0, db_default=0, help_text="How often in a row it asked us to wait.")

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


class FetchPlan(models.Model):
    """A part of what a connection is asked for again and again: when next, and how far it is complete.

    A row without an authorization asks once for all of a registration: the bulk request, the list of authorizations.
    """

    application_information = models.ForeignKey(ApplicationInformation, on_delete=models.CASCADE, db_index=False)
    authorization = models.ForeignKey(
        Authorization, on_delete=models.CASCADE, null=True, related_name="fetch_plans", db_index=False
    )
    part = models.CharField(
        max_length=16,
        help_text="usage (with bills), realtime, customer, gaps; of all: bulk, bulk customers, authorizations.",
    )
    next_at = models.DateTimeField(null=True, help_text="When to ask next; empty once sharing has ended.")
    asked_at = models.DateTimeField(null=True, help_text="When it was last asked for.")
    asked_to = models.DateTimeField(null=True, help_text="Up to which instant, exclusive.")
    answered_at = models.DateTimeField(null=True, help_text="When the utility last gave something.")
    complete_to = models.DateTimeField(null=True, help_text="All it had before this instant is here; never goes back.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["authorization", "part", "application_information"],
                nulls_distinct=False,
                name="one_plan_per_part",
            ),
        ]
        indexes = [models.Index(fields=["next_at"], name="fetchplan_due")]

    def __str__(self) -> str:
        return f"{self.part} of {self.authorization or self.application_information}"


class DataGap(models.Model):
    """Days between others for which a channel has no readings. Asked for again a few times; some stay empty for good."""

    meter_reading = models.ForeignKey(MeterReading, on_delete=models.CASCADE, related_name="gaps", db_index=False)
    first_day = models.DateField(help_text="Local to the meter.")
    last_day = models.DateField()
    times_asked = models.SmallIntegerField(default=0)
    asked_at = models.DateTimeField()
    filled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["meter_reading", "first_day"], name="one_gap_per_first_day")]

    def __str__(self) -> str:
        return f"{self.first_day} to {self.last_day}"
