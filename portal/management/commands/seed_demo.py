"""The demo's people: two customers, staff and a tester, with passwords made up here and kept in var/."""

import json
import os
import secrets
import string
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from espi import fields
from portal.models import User

KEY = 'Add the key to an authenticator app, or: make manage do="totp_code ADDRESS"'
PEOPLE = (
    ("customer", "demo@example.com", "A customer with nothing connected yet."),
    ("another customer", "second@example.com", "For two people at one time."),
    ("staff", "staff@example.com", f"Opens /staff/. {KEY}"),
    ("tester", "tester@example.com", f"Opens /testing/. {KEY}"),
)
WITH_RIGHTS = ("staff", "tester")
ALPHABET = string.ascii_lowercase + string.digits


class Command(BaseCommand):
    """`manage.py seed_demo`: running it again changes nothing, unless var/demo-logins.json was lost."""

    help = "Create the demo logins. Refuses to run in production."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Nothing but where to write."""
        default = Path(settings.VAR_DIR) / "demo-logins.json"
        parser.add_argument("--output", type=Path, default=default, help=f"JSON file, mode 0600 (default {default})")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError in production."""
        if settings.ENVIRONMENT_NAME == "production":
            raise CommandError("ENVIRONMENT_NAME is production: the demo logins are not for there.")
        path: Path = options["output"]
        known = {login["email"]: login for login in read(path)}
        logins = [seed(who, email, note, known.get(email, {})) for who, email, note in PEOPLE]
        write(path, logins)
        self.stdout.write(f"{len(logins)} demo logins are in {path}")


def seed(who: str, email: str, note: str, known: dict[str, str]) -> dict[str, str]:
    """One person, made or left as he is. Returns {who, email, password, note} and, for staff and testers, totp_secret."""
    login = {"who": who, "email": email, "password": known.get("password") or new_password(), "note": note}
    is_staff, is_superuser = who in WITH_RIGHTS, who == "staff"
    user, _ = User.objects.get_or_create(email=email, defaults={"is_staff": is_staff, "is_superuser": is_superuser})
    if who == "tester":
        user.groups.add(*Group.objects.filter(name="tester"))
    if not user.check_password(login["password"]):
        user.set_password(login["password"])
        user.save(update_fields=["password"])
    EmailAddress.objects.get_or_create(user=user, email=email, defaults={"verified": True, "primary": True})
    if is_staff:
        login["totp_secret"] = known.get("totp_secret") or generate_totp_secret()
        activate_totp(user, login["totp_secret"])
    return login


def activate_totp(user: User, secret: str) -> None:
    """Give the person this authenticator key, unless it is his already."""
    held = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP)
    if secret not in map(secret_of, held):
        held.delete()
        TOTP.activate(user, secret)


def secret_of(authenticator: Authenticator) -> str:
    """The key in clear; "" where it was stored under keys we no longer have."""
    try:
        return fields.decrypt(authenticator.data["secret"])
    except InvalidToken:
        return ""


def new_password() -> str:
    """Four groups of four: 80 bits, easy to type."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(4))


def read(path: Path) -> list[dict[str, str]]:
    """What an earlier run wrote; [] where there is nothing readable."""
    try:
        return list(json.loads(path.read_text()))
    except (FileNotFoundError, ValueError):
        return []


def write(path: Path, logins: list[dict[str, str]]) -> None:
    """Replace the file in one step; only we may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # made with mode 0600
    with os.fdopen(handle, "w") as file:
        json.dump(logins, file, indent=2)
        file.write("\n")
    os.replace(temporary, path)
