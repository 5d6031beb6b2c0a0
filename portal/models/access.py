"""What lets a customer's own programs read what he holds here."""

import uuid

from django.db import models

from portal.models.people import User


class ApiToken(models.Model):
    """A key to the read-only API. Of the secret only a digest is kept: whoever reads this table cannot use it."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    retail_customer = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=60)
    prefix = models.CharField(max_length=12, help_text="The token's first letters, by which its owner knows it again.")
    digest = models.CharField(max_length=64, unique=True, editable=False, help_text="SHA-256 of the token.")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["retail_customer", "name"], name="one_api_token_per_name")]

    def __str__(self) -> str:
        return f"{self.prefix}…"
