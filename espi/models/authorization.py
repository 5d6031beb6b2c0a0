"""Who we are at a utility, and what a customer allowed there (ESPI 4.0: ApplicationInformation, Authorization)."""

import secrets
import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from espi.fields import EncryptedTextField


def new_notify_secret() -> str:
    """256 random bits for the path of a notification address."""
    return secrets.token_urlsafe(32)


class ApplicationInformation(models.Model):
    """Our registration with one utility, in one of its environments, under one edition of its contract."""

    class Environment(models.TextChoices):
        SANDBOX = "sandbox", "Sandbox"
        TEST = "test", "Utility's test environment"
        PRODUCTION = "production", "Production"

    utility = models.SlugField(max_length=40)
    environment = models.CharField(max_length=12, choices=Environment.choices)
    edition = models.CharField(max_length=8, blank=True, help_text="Con Edison and O&R: v1 or v2. Others: empty.")
    is_offered = models.BooleanField(
        default=False, help_text="Customers are offered this utility through this registration."
    )
    client_id = models.CharField(max_length=255, blank=True)
    client_secret = EncryptedTextField(blank=True)
    secret_ends_on = models.DateField(
        null=True,
        blank=True,
        help_text="When the utility lets this secret end, if it has told; staff are warned before.",
    )
    subscription_key = EncryptedTextField(blank=True, help_text="Con Edison V1: ocp-apim-subscription-key.")
    third_party_id = models.CharField(
        max_length=100, blank=True, help_text="ApplicationInformation id; Con Edison's ThirdPartyId and BR."
    )
    registration_access_token = EncryptedTextField(blank=True)
    bulk_id = models.CharField(max_length=100, blank=True)
    customer_bulk_id = models.CharField(max_length=100, blank=True)
    api_token = EncryptedTextField(blank=True, help_text="UtilityAPI's JSON API.")
    webhook_secret = EncryptedTextField(blank=True, help_text="UtilityAPI's JSON webhooks.")
    notify_secret = EncryptedTextField(default=new_notify_secret)
    client_certificate_path = models.CharField(max_length=500, blank=True)
    client_key_path = models.CharField(max_length=500, blank=True)
    ca_bundle_path = models.CharField(
        max_length=500, blank=True, help_text="Extra certificate authorities (PEM) trusted for this utility."
    )
    notify_networks = models.CharField(
        max_length=500,
        blank=True,
        help_text="Networks (CIDR, with blanks between) that notifications may come from. Empty: any; no contract names one.",
    )
    authorize_url = models.URLField(max_length=500, blank=True, help_text="Empty: the declared address.")
    token_url = models.URLField(max_length=500, blank=True, help_text="Empty: the declared address.")
    resource_base = models.URLField(max_length=500, blank=True, help_text="Empty: the declared address.")
    client_access_token = EncryptedTextField(null=True, editable=False)
    client_access_token_expires_at = models.DateTimeField(null=True, editable=False)
    refreshing_until = models.DateTimeField(
        null=True, editable=False, help_text="Whoever asks for a token has till then."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "application information"
        verbose_name_plural = "application information"
        constraints = [
            models.UniqueConstraint(fields=["utility", "environment", "edition"], name="one_registration_per_profile"),
            models.UniqueConstraint(
                fields=["utility"], condition=Q(is_offered=True), name="one_offered_registration_per_utility"
            ),
        ]

    def __str__(self) -> str:
        return " ".join(part for part in (self.utility, self.edition, self.environment) if part)


class Subscription(models.Model):
    """The meter data one customer keeps here from one source. It outlives the authorizations that fill it."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    retail_customer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="subscriptions"
    )
    utility = models.SlugField(max_length=40, blank=True, help_text="Empty: files the customer uploaded.")
    name = models.CharField(max_length=200, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    complete_to = models.DateTimeField(null=True, blank=True, help_text="Every reading before this instant is here.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["retail_customer"], condition=Q(utility=""), name="one_place_for_uploads"),
        ]

    def __str__(self) -> str:
        return f"{self.utility or 'upload'} {self.public_id}"


class Authorization(models.Model):
    """A customer's permission at a utility: its tokens, its scope as granted, and how it stands."""

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        PARKED = "parked", "Parked: the account belongs to another portal user"
        NEEDS_RECONNECT = "needs_reconnect", "Needs the customer to reconnect"
        REVOKED = "revoked", "Stopped at the utility"
        WITHDRAWN = "withdrawn", "Stopped here by the customer"
        EXPIRED = "expired", "Expired"
        SUPERSEDED = "superseded", "Replaced by a newer authorization"

    LIVE = (Status.ACTIVE, Status.NEEDS_RECONNECT)

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    retail_customer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="authorizations"
    )
    application_information = models.ForeignKey(ApplicationInformation, on_delete=models.PROTECT)
    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, null=True, related_name="authorizations")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    status_reason = models.CharField(max_length=500, blank=True)
    utility_authorization_id = models.CharField(max_length=255, blank=True, help_text="Its id at the utility.")
    utility_subscription_id = models.CharField(max_length=255, blank=True, help_text="Its id at the utility.")
    resource_uri = models.CharField(max_length=2048, blank=True)
    authorization_uri = models.CharField(max_length=2048, blank=True)
    customer_resource_uri = models.CharField(max_length=2048, blank=True)
    scope_requested = models.TextField(blank=True)
    scope_granted = models.TextField(blank=True, help_text="Verbatim: Con Edison accepts only its own strings back.")
    data_requested = models.JSONField(default=list)
    data_granted = models.JSONField(default=list)
    access_token = EncryptedTextField(null=True, editable=False)
    access_token_expires_at = models.DateTimeField(null=True, editable=False)
    refresh_token = EncryptedTextField(null=True, editable=False)
    refreshing_until = models.DateTimeField(
        null=True, editable=False, help_text="Whoever refreshes the token has till then."
    )
    is_planned = models.BooleanField(
        default=False, db_default=False, editable=False, help_text="Whether what was granted last has been asked for."
    )
    account_number = EncryptedTextField(blank=True, editable=False)
    account_hint = models.CharField(max_length=16, blank=True, help_text="The account number, masked for people.")
    start_date = models.DateField(null=True, blank=True)
    end_date = models.DateField(null=True, blank=True, help_text="The last day the customer agreed to, if any.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["application_information", "utility_subscription_id"],
                condition=~Q(status__in=["parked", "superseded"]) & ~Q(utility_subscription_id=""),
                name="one_authorization_per_subscription_id",
            ),
        ]
        indexes = [
            models.Index(fields=["application_information", "utility_authorization_id"], name="authorization_its_id"),
            # What is looked for every minute, among millions that are well: what a crash left undone,
            models.Index(
                fields=["updated_at"], condition=Q(status="active", is_planned=False), name="authorization_unplanned"
            ),
            # whose last day is over,
            models.Index(
                fields=["end_date"], condition=Q(status="active", end_date__isnull=False), name="authorization_last_day"
            ),
            # and of whom something is to be told: what is new, needs its customer, or has ended
            models.Index(fields=["created_at"], condition=Q(status="active"), name="authorization_new"),
            models.Index(fields=["id"], condition=Q(status="needs_reconnect"), name="authorization_in_need"),
            models.Index(
                fields=["ended_at"], condition=Q(status__in=["revoked", "expired"]), name="authorization_ended"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.application_information} {self.pk}"  # not its utility's id: that can be an account number


class AuthorizationRequest(models.Model):
    """One journey to a utility and back (RFC 6749 §4.1.1), from the customer's choices to its outcome."""

    class Status(models.TextChoices):
        CHOOSING = "choosing", "Choices made here, not yet agreed"
        AT_LOGIN = "at_login", "At the utility's sign-in, coming back to agree"
        DEPARTED = "departed", "At the utility"
        RETURNED = "returned", "Back with an answer, which is being checked"
        CONNECTED = "connected", "Connected"
        NARROWER = "narrower", "Connected with less than was asked"
        ALREADY = "already", "Connected before; renewed"
        DECLINED = "declined", "Declined by the customer"
        PARKED = "parked", "The account belongs to another portal user"
        FAILED = "failed", "Failed"
        EXPIRED = "expired", "Expired"
        CLOSED = "closed", "Closed here"

    OPEN = (Status.CHOOSING, Status.AT_LOGIN, Status.DEPARTED)

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    retail_customer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    application_information = models.ForeignKey(ApplicationInformation, on_delete=models.CASCADE)
    profile_version = models.CharField(max_length=64, help_text="Digest of the addresses and client id it began with.")
    browser_hash = models.CharField(max_length=64, help_text="Digest of the browser session's own random value.")
    state_hash = models.CharField(max_length=64, null=True, unique=True)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.CHOOSING)
    reason = models.CharField(max_length=500, blank=True)
    data_requested = models.JSONField(default=list)
    scope_requested = models.TextField(blank=True)
    redirect_uri = models.CharField(max_length=500, blank=True)
    code_verifier = EncryptedTextField(null=True, editable=False)
    code_hash = models.CharField(max_length=64, blank=True)
    account_number = EncryptedTextField(blank=True, editable=False)
    account_hint = models.CharField(max_length=16, blank=True)
    came_from_utility = models.BooleanField(
        default=False, help_text="The utility has sent the customer, or sent him back."
    )
    start_date = models.DateField(null=True, blank=True)
    end_date = models.DateField(null=True, blank=True)
    authorization = models.ForeignKey(Authorization, on_delete=models.SET_NULL, null=True, related_name="requests")
    created_at = models.DateTimeField(auto_now_add=True)
    agreed_at = models.DateTimeField(null=True)
    departed_at = models.DateTimeField(null=True)
    returned_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["retail_customer", "status"], name="authreq_customer_status"),
            models.Index(fields=["returned_at"], condition=Q(status="returned"), name="authreq_unfinished"),
        ]

    def __str__(self) -> str:
        return f"{self.application_information} {self.status}"
