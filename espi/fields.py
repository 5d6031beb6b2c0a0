"""Fields that are encrypted at rest with keys that can be rotated."""

import base64
import json
from functools import cache
from typing import Any

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.core.signals import setting_changed
from django.db import models


@cache
def cipher() -> MultiFernet:
    """The keys of `FIELD_ENCRYPTION_KEYS`: the first encrypts, all of them decrypt.

    Raises ImproperlyConfigured when no key is set.
    """
    if not settings.FIELD_ENCRYPTION_KEYS:
        raise ImproperlyConfigured("FIELD_ENCRYPTION_KEYS is empty: set at least one Fernet key.")
    return MultiFernet([Fernet(key) for key in settings.FIELD_ENCRYPTION_KEYS])


def _forget_cipher(*, setting: str, **kwargs: Any) -> None:
    if setting == "FIELD_ENCRYPTION_KEYS":
        cipher.cache_clear()


setting_changed.connect(_forget_cipher)


def encrypt(text: str) -> str:
    """Authenticated encryption (Fernet: AES-128-CBC and HMAC-SHA256) of a text, as ASCII."""
    return cipher().encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    """The text that `encrypt` was given. Raises cryptography.fernet.InvalidToken under a wrong key."""
    return cipher().decrypt(token.encode()).decode()


class EncryptedTextField(models.TextField):
    """Plain text in Python, a Fernet token in the database. Empty text and NULL stay what they are.

    Every comparison but `isnull` is refused: equal texts have different ciphertexts, so it could never match.
    """

    def get_prep_value(self, value: Any) -> Any:
        """Encrypt on the way to the database."""
        text = super().get_prep_value(value)
        return encrypt(text) if text else text

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        """Decrypt on the way back."""
        return decrypt(value) if value else value

    def get_lookup(self, lookup_name: str) -> Any:
        """Only `isnull` means anything on ciphertext."""
        if lookup_name != "isnull":
            raise FieldError(f"{self.name} is encrypted and cannot be searched with '{lookup_name}'.")
        return super().get_lookup(lookup_name)


class EncryptedJSONField(EncryptedTextField):
    """A JSON value in Python, a Fernet token in the database; the order of an object's names is kept.

    An empty object is stored as empty text. There is no NULL.
    """

    _pyi_private_set_type: Any  # for django-stubs: what Python sees
    _pyi_private_get_type: Any

    def get_prep_value(self, value: Any) -> Any:
        """Write as JSON and encrypt on the way to the database."""
        if value is None or isinstance(value, str):
            raise TypeError(f"{self.name} takes a JSON object or list, not {type(value).__name__}.")
        return super().get_prep_value(json.dumps(value, ensure_ascii=False) if value else "")

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        """Decrypt and read on the way back."""
        text = super().from_db_value(value, expression, connection)
        return json.loads(text) if text else {}


class EncryptedBinaryField(models.BinaryField):
    """Plain bytes in Python, the bytes of a Fernet token in the database. Empty bytes and NULL stay what they are.

    Rows from before hold gzip, which is told by its first bytes (a token begins with 0x80) and read as it is.
    """

    GZIP = b"\x1f\x8b"

    def get_prep_value(self, value: Any) -> Any:
        """Encrypt on the way to the database."""
        plain = super().get_prep_value(value)
        return base64.urlsafe_b64decode(cipher().encrypt(bytes(plain))) if plain else plain

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> bytes | None:
        """Decrypt on the way back."""
        if value is None or not (stored := bytes(value)) or stored.startswith(self.GZIP):
            return value if value is None else stored
        return cipher().decrypt(base64.urlsafe_b64encode(stored))
