"""System checks of the utilities: a key to encrypt with, and nothing offered that cannot or must not be used."""

from collections.abc import Iterator, Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

import utilities


@register(Tags.security)
def check_encryption_keys(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Tokens and client secrets are stored encrypted: outside development there must be a key."""
    keys = settings.FIELD_ENCRYPTION_KEYS
    if not keys and not settings.DEBUG:
        hint = 'Make one: python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
        return [Error("FIELD_ENCRYPTION_KEYS is empty.", hint=hint, id="utilities.E001")]
    bad = [str(number) for number, key in enumerate(keys, 1) if not _is_key(key)]
    if bad:
        return [Error(f"FIELD_ENCRYPTION_KEYS: not a Fernet key: number {', '.join(bad)}.", id="utilities.E002")]
    return []


def _is_key(key: str) -> bool:
    try:
        Fernet(key)
    except (ValueError, TypeError):
        return False
    return True


@register(Tags.database)
def check_registrations(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Runs where a database may be asked: `manage.py check --database default`, and before each migration."""
    from espi.models import ApplicationInformation

    if "default" not in (databases or ()):
        return []
    try:
        apps = list(ApplicationInformation.objects.defer("notify_secret"))
    except InvalidToken:
        words = "Registrations hold values that no key of FIELD_ENCRYPTION_KEYS opens."
        return [Error(words, hint="Put the key they were written with back into the list.", id="utilities.E004")]
    except (DatabaseError, ImproperlyConfigured):
        return []  # not migrated yet, no database, or no key: others report that
    return [message for app in apps for message in _about(app)]


def _about(app: Any) -> Iterator[CheckMessage]:
    try:
        utility = utilities.get(app.utility)
    except KeyError:
        yield Warning(f"A registration names a utility that is not declared: {app}.", id="utilities.W001")
        return
    if not app.is_offered:
        return
    if app.environment == "sandbox" and settings.ENVIRONMENT_NAME == "production":
        hint = f"manage.py offer_utility {app.utility} production {app.edition}".strip()
        yield Error(
            f"Customers of a production deployment are offered the sandbox: {app}.", hint=hint, id="utilities.E003"
        )
    if lacking := utility.missing(app):
        yield Warning(f"{app} is marked as offered but lacks: {', '.join(lacking)}.", id="utilities.W002")
