"""What staff looked at and did, for whoever has to answer for it later."""

from typing import Any, ClassVar

from django.db import models

from portal.models.people import User


class StaffAccessIsKept(RuntimeError):
    """Somebody tried to change or delete a line of the audit trail."""


class StaffAccessManager(models.Manager["StaffAccess"]):
    """Adds lines, and nothing else."""

    def get_queryset(self) -> "StaffAccessLines":
        """Lines that can be read and added."""
        return StaffAccessLines(self.model, using=self._db)


class StaffAccessLines(models.QuerySet["StaffAccess"]):
    """Lines of the audit trail. Nobody changes or deletes one from the program."""

    def update(self, **kwargs: Any) -> int:
        """Raises StaffAccessIsKept."""
        raise StaffAccessIsKept("a line of the audit trail is never changed")

    def delete(self) -> tuple[int, dict[str, int]]:
        """Raises StaffAccessIsKept."""
        raise StaffAccessIsKept("a line of the audit trail is never deleted")


class StaffAccess(models.Model):
    """One look at a customer's data, or one act, by a member of staff: who, whom, when, what, why.

    It outlives both people: their numbers stay when their rows are gone, and no name or address stands here.
    """

    class Kind(models.TextChoices):
        REASON = "reason", "Gave a reason to look"
        LOOK = "look", "Looked"
        ACT = "act", "Did something"
        EXPORT = "export", "Took data out"
        ROLE = "role", "Gave or took a role"

    at = models.DateTimeField()
    staff = models.ForeignKey(
        User,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        null=True,
        related_name="+",
        help_text="Empty: a command.",
    )
    customer = models.ForeignKey(
        User, on_delete=models.DO_NOTHING, db_constraint=False, null=True, db_index=False, related_name="+"
    )
    kind = models.CharField(max_length=8, choices=Kind.choices)
    what = models.CharField(max_length=200, help_text="A page or a row, by its number; what was done with it.")
    reason = models.CharField(max_length=300, blank=True, help_text="In the words of whoever looked.")

    objects: ClassVar[StaffAccessManager] = StaffAccessManager()

    class Meta:
        verbose_name = "line of the audit trail"
        verbose_name_plural = "audit trail"
        indexes = [
            models.Index(fields=["customer", "-at"], name="staffaccess_of_customer"),
            models.Index(fields=["-at"], name="staffaccess_newest"),
        ]
        permissions = [
            ("look_at_customer_data", "Look at a customer's data, masked, after giving a reason"),
            ("operate", "Retry, cancel, replay and ask again"),
            ("run_acceptance_tests", "Run acceptance tests in the sandbox and in utilities' test environments"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.what}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add it. Raises StaffAccessIsKept for a line that is there already."""
        if not self._state.adding:
            raise StaffAccessIsKept("a line of the audit trail is never changed")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Raises StaffAccessIsKept."""
        raise StaffAccessIsKept("a line of the audit trail is never deleted")
