"""The six digits of a demo login's authenticator app, for who has none at hand."""

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from allauth.mfa import app_settings
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from portal.management.commands.seed_demo import read


class Command(BaseCommand):
    """`manage.py totp_code tester@example.com`: reads the file that seed_demo wrote."""

    help = "Print the present code of a demo login. Refuses to run in production."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose."""
        parser.add_argument("email")
        default = Path(settings.VAR_DIR) / "demo-logins.json"
        parser.add_argument("--logins", type=Path, default=default, help=f"JSON file of seed_demo (default {default})")

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError in production and for somebody without a key."""
        if settings.ENVIRONMENT_NAME == "production":
            raise CommandError("ENVIRONMENT_NAME is production: there are no demo logins.")
        keys = {login["email"]: login.get("totp_secret", "") for login in read(options["logins"])}
        if not keys.get(options["email"]):
            raise CommandError(f"There is no key of {options['email']} in {options['logins']}.")
        counter, passed = divmod(int(time.time()), app_settings.TOTP_PERIOD)
        self.stderr.write(f"It holds for {app_settings.TOTP_PERIOD - passed} more seconds; each code can be used once.")
        self.stdout.write(format_hotp_value(hotp_value(keys[options["email"]], counter)))
