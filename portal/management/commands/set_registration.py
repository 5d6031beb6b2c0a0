"""What a utility gave us for one registration."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

import utilities
from espi.models import ApplicationInformation
from portal.flows import registrations


class Command(BaseCommand):
    """Reads a JSON object; no secret is ever an argument, where other users of the machine could see it."""

    help = f"Store a registration's credentials. The JSON object may have: {', '.join(registrations.FIELDS)}."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which registration, and where its values are."""
        add_profile(parser)
        parser.add_argument("--file", default="-", help="JSON file; - or nothing for standard input.")
        parser.add_argument("--offer", action="store_true", help="Offer it to customers from now on.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Stores all values or none."""
        values = read_json(options["file"])
        if not isinstance(values, dict):
            raise CommandError("The credentials are one JSON object.")
        try:
            app = registrations.store(options["utility"], options["environment"], options["edition"], values)
            if options["offer"]:
                registrations.offer(app)
        except registrations.RegistrationRefused as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(self.style.SUCCESS(f"{app}: {', '.join(sorted(values)) or 'nothing'} stored."))
        lacking = utilities.get(app.utility).missing(app)
        if lacking:
            self.stdout.write(f"Still missing: {', '.join(lacking)}.")


def add_profile(parser: ArgumentParser) -> None:
    """The three words that name a registration."""
    parser.add_argument("utility")
    parser.add_argument("environment", choices=ApplicationInformation.Environment.values)
    parser.add_argument("edition", nargs="?", default="", help="Con Edison and O&R: v1 or v2. Others: none.")


def read_json(name: str) -> Any:
    """The JSON value of a file, `-` for standard input. Raises CommandError that shows nothing of it."""
    try:
        if name == "-":
            return json.load(sys.stdin)
        with open(name, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise CommandError(f"{'Standard input' if name == '-' else name} does not hold JSON.") from None
