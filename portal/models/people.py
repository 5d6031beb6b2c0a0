"""People, what they agreed to, and visits that began at a utility."""

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models

from espi.fields import EncryptedTextField
from espi.models import Authorization, AuthorizationRequest


class EmailUserManager(UserManager["User"]):
    """Makes users who have an e-mail address and no user name."""

    def _create_user(self, username: str | None, email: str | None, password: str | None, **extra: Any) -> "User":
        user = self.model(email=self.normalize_email(email or username or ""), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_user(self, email: str, password: str | None = None, **extra: Any) -> "User":  # type: ignore[override]
        """An ordinary customer."""
        extra.setdefault("is_staff", False)
        extra.setdefault("is_superuser", False)
        return self._create_user(None, email, password, **extra)

    def create_superuser(self, email: str, password: str | None = None, **extra: Any) -> "User":  # type: ignore[override]
        """A member of staff with every right."""
        extra.update(is_staff=True, is_superuser=True)
        return self._create_user(None, email, password, **extra)

    def get_by_natural_key(self, username: str | None) -> "User":
        """E-mail addresses are compared without regard to case."""
        return self.get(email__iexact=username)


class User(AbstractUser):
    """A RetailCustomer or a member of staff; signs in by e-mail."""

    username = None  # type: ignore[assignment]
    email = models.EmailField("e-mail address", unique=True)
    language = models.CharField(
        max_length=10,
        blank=True,
        choices=settings.LANGUAGES,
        help_text="Of pages and e-mails; empty: as the browser asks, and English in e-mails.",
    )
    letters_declined = models.JSONField(
        default=list, blank=True, help_text="Topics (portal.letters.TOPICS) of which no e-mails are wanted."
    )

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = EmailUserManager()  # type: ignore[misc]

    def __str__(self) -> str:
        return self.email


class UtilityVisit(models.Model):
    """A customer who began at the utility: what it told us of him, kept through sign-in and registration.

    The browser session holds only `public_id`; nothing is linked to a user before he confirms the check page.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    utility = models.SlugField(max_length=40, blank=True, help_text="Empty while the customer has not said which.")
    account_number = EncryptedTextField(blank=True)
    account_hint = models.CharField(max_length=16, blank=True)
    start_date = models.DateField(null=True)
    end_date = models.DateField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()


class Consent(models.Model):
    """What a customer agreed to, in the words he was shown: his receipt."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    reference = models.CharField(max_length=20, unique=True, help_text="Short, to read out on the telephone.")
    retail_customer = models.ForeignKey(User, on_delete=models.CASCADE, related_name="consents")
    request = models.OneToOneField(AuthorizationRequest, on_delete=models.SET_NULL, null=True)
    authorization = models.ForeignKey(Authorization, on_delete=models.SET_NULL, null=True)
    utility = models.SlugField(max_length=40)
    environment = models.CharField(max_length=12)
    account_hint = models.CharField(max_length=16, blank=True)
    data = models.JSONField(default=list, help_text="Ids of the data choices.")
    text_version = models.CharField(max_length=20)
    language = models.CharField(max_length=10, default="en")
    statement = models.TextField(help_text="The sentences that stood above the button.")
    shown = models.JSONField(
        default=dict,
        help_text="The other words he was shown: utility, purpose, and name and content of each data choice.",
    )
    starts_on = models.DateField(null=True)
    ends_on = models.DateField(null=True)
    agreed_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.reference


class ConsentEvent(models.Model):
    """Something that happened to a consent: the history a customer can read."""

    class Kind(models.TextChoices):
        AGREED = "agreed", "Agreed here"
        CONNECTED = "connected", "Allowed at the utility; sharing began"
        RENEWED = "renewed", "Renewed"
        CHANGED = "changed", "Changed at the utility"
        WITHDRAWN = "withdrawn", "Stopped by the customer"
        STOPPED = "stopped", "Stopped at the utility"
        EXPIRED = "expired", "Ended on its last day"
        REPLACED = "replaced", "Replaced by a newer consent"
        DELETED = "deleted", "What was collected was deleted"

    consent = models.ForeignKey(Consent, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    at = models.DateTimeField()
    text_version = models.CharField(max_length=20, help_text="Of the text that held then.")
    language = models.CharField(max_length=10)
    words = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["at", "pk"]

    def __str__(self) -> str:
        return f"{self.consent} {self.kind}"
