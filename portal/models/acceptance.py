"""A third party's acceptance test with one utility: its parts, what each operation answered, and what a walk met."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from espi.models import ApplicationInformation, AuthorizationRequest


class Outcome(models.TextChoices):
    """How something that was expected turned out."""

    WAITING = "waiting", "Not done yet"
    PASSED = "passed", "Passed"
    FAILED = "failed", "Failed"
    NOT_NEEDED = "not_needed", "Not needed here"


class AcceptanceTest(models.Model):
    """One acceptance test through one registration; its report is written once and then stands.

    Only registrations of the sandbox and of a utility's test environment have one.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    application_information = models.ForeignKey(
        ApplicationInformation, on_delete=models.PROTECT, related_name="acceptance_tests"
    )
    tester = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    tester_name = models.CharField(max_length=254, help_text="The tester's e-mail address when the test began.")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    report = models.JSONField(null=True, help_text="What was found, as it was when the test was finished.")
    digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the report.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["application_information", "tester"],
                condition=Q(finished_at=None),
                name="one_open_acceptance_test",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.application_information} {self.started_at:%Y-%m-%d}"


class AcceptancePart(models.Model):
    """A part of a test that workers carry out turn by turn, or that waits for its tester. The row is the work."""

    class Kind(models.TextChoices):
        CONNECTIVITY = "connectivity", "Connectivity checks"
        CHECKLIST = "checklist", "Endpoint checklist"
        SCENARIO = "scenario", "Scenario"

    class State(models.TextChoices):
        DUE = "due", "Running"
        BY_HAND = "by_hand", "Waiting for the tester"
        DONE = "done", "Done"

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    test = models.ForeignKey(AcceptanceTest, on_delete=models.CASCADE, related_name="parts")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    name = models.CharField(max_length=40, blank=True, help_text="Of a scenario.")
    state = models.CharField(max_length=8, choices=State.choices, default=State.DUE)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.WAITING)
    expected = models.CharField(max_length=500, blank=True)
    actual = models.CharField(max_length=500, blank=True)
    memory = models.JSONField(default=dict, help_text="Ids met on the way, and how far it has come. Nothing secret.")
    journey = models.ForeignKey(AuthorizationRequest, on_delete=models.SET_NULL, null=True, related_name="+")
    not_before = models.DateTimeField()
    lease_expires_at = models.DateTimeField(null=True, help_text="Whoever takes a turn has till then.")
    attempts = models.SmallIntegerField(default=0, help_text="Turns that broke off, one after another.")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["not_before"], condition=Q(state="due"), name="acceptancepart_due")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip()


class AcceptanceResult(models.Model):
    """One line of a checklist: an operation or a check, what was expected of it, and what came."""

    part = models.ForeignKey(AcceptancePart, on_delete=models.CASCADE, related_name="results")
    number = models.SmallIntegerField()
    key = models.CharField(max_length=80)
    title = models.CharField(max_length=300)
    expected = models.CharField(max_length=300)
    actual = models.CharField(max_length=500, blank=True)
    remedy = models.CharField(max_length=500, blank=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.WAITING)
    milliseconds = models.IntegerField(null=True)
    evidence = models.JSONField(default=dict, help_text="Status, type and first bytes of the answer, masked.")
    at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["part", "number"], name="one_result_per_number")]

    def __str__(self) -> str:
        return self.title


class AcceptanceHop(models.Model):
    """One request that went along with a walk, and its answer. Masked before it is stored."""

    class Way(models.TextChoices):
        OUT = "out", "We asked the utility"
        IN = "in", "The utility posted to us"
        BROWSER = "browser", "The test customer's browser"

    part = models.ForeignKey(AcceptancePart, on_delete=models.CASCADE, related_name="hops")
    way = models.CharField(max_length=8, choices=Way.choices)
    at = models.DateTimeField()
    method = models.CharField(max_length=8)
    address = models.CharField(max_length=1000)
    request = models.TextField(blank=True)
    status = models.SmallIntegerField(null=True, help_text="Empty: no answer came.")
    response = models.TextField(blank=True)
    milliseconds = models.IntegerField(null=True)

    def __str__(self) -> str:
        return f"{self.method} {self.address}"


class AcceptanceStep(models.Model):
    """A step of the utility's own procedure that people report: who has done it, and what shows it."""

    test = models.ForeignKey(AcceptanceTest, on_delete=models.CASCADE, related_name="steps")
    key = models.CharField(max_length=40)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.WAITING)
    owner = models.CharField(max_length=100, blank=True)
    evidence = models.CharField(max_length=1000, blank=True)
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["test", "key"], name="one_row_per_acceptance_step")]

    def __str__(self) -> str:
        return self.key
