"""Brings every encrypted value under the newest key."""

from argparse import ArgumentParser
from typing import Any

from cryptography.fernet import InvalidToken
from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import models, transaction

from espi.fields import EncryptedBinaryField, EncryptedTextField
from portal.accounts import rotate_second_steps

CHUNK = 200
FEW = 5  # of rows that hold whole documents
ENCRYPTED = (EncryptedTextField, EncryptedBinaryField)


class Command(BaseCommand):
    """Put a new key in front of FIELD_ENCRYPTION_KEYS, restart, run this, then take the old key away."""

    help = "Re-encrypt all encrypted fields with the first key of FIELD_ENCRYPTION_KEYS."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """None."""

    def handle(self, *args: Any, **options: Any) -> None:
        """A few hundred rows at a time, each chunk locked while it is rewritten."""
        for model in apps.get_models():
            fields = [field.name for field in model._meta.concrete_fields if isinstance(field, ENCRYPTED)]
            if fields and not model._meta.proxy:
                self.stdout.write(f"{model._meta.label}: {_rotate(model, fields)} rows")
        try:
            self.stdout.write(f"Second steps of signing in: {rotate_second_steps()} rows")
        except InvalidToken:
            raise CommandError("A second step opens under no key of FIELD_ENCRYPTION_KEYS. None was changed.") from None
        self.stdout.write(self.style.SUCCESS("Everything is encrypted with the newest key."))


def _rotate(model: type[models.Model], fields: list[str]) -> int:
    count, last = 0, None
    while chunk := _rotate_chunk(model, fields, last):
        count, last = count + len(chunk), chunk[-1]
    return count


@transaction.atomic
def _rotate_chunk(model: type[models.Model], fields: list[str], after: Any) -> list[Any]:
    rows = model._default_manager.select_for_update(no_key=True).order_by("pk").only("pk", *fields)
    are_large = any(isinstance(model._meta.get_field(name), EncryptedBinaryField) for name in fields)
    try:
        chunk = list((rows.filter(pk__gt=after) if after is not None else rows)[: FEW if are_large else CHUNK])
    except InvalidToken:
        raise CommandError(
            f"{model._meta.label} holds values that no key of FIELD_ENCRYPTION_KEYS opens. Nothing of it was changed."
        ) from None
    model._default_manager.bulk_update(chunk, fields)
    return [row.pk for row in chunk]
