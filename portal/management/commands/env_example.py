"""The page of variables that a deployment may set."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from portal import environment


class Command(BaseCommand):
    """Prints, writes or checks `.env.example`."""

    help = "Print .env.example, as the settings have it."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do with it."""
        parser.add_argument("--write", action="store_true", help="write the file")
        parser.add_argument("--check", action="store_true", help="fail when the file says something else")

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError when `--check` finds a difference."""
        path, text = settings.BASE_DIR / ".env.example", environment.example()
        if options["write"]:
            path.write_text(text)
        elif options["check"]:
            if not path.exists() or path.read_text() != text:
                raise CommandError(".env.example is not what the settings say: manage.py env_example --write")
        else:
            self.stdout.write(text)
