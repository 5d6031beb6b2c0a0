"""What a utility sends after registration, for several registrations at once."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from espi.models import ApplicationInformation
from portal.flows import registrations
from portal.management.commands.set_registration import read_json

IDENTITY = ("utility", "environment", "edition")


class Command(BaseCommand):
    """Stores every package of a file, or none. Running it again changes nothing."""

    help = "Load welcome packages (a JSON list) into our registrations. Each utility that has none offered gets one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Values are read from a file, never from the command line."""
        parser.add_argument("file", nargs="?", default="-", help="JSON file; - or nothing for standard input.")
        parser.add_argument("--no-offer", action="store_true", help="Offer nothing to customers.")

    def handle(self, *args: Any, **options: Any) -> None:
        """One transaction."""
        packages = read_json(options["file"])
        if not isinstance(packages, list) or not all(isinstance(package, dict) for package in packages):
            raise CommandError("A welcome file is a JSON list of objects.")
        with transaction.atomic():
            apps = [_load(package) for package in packages]
            if not options["no_offer"]:
                _offer_first(apps)
        for app in apps:
            state = "offered to customers" if app.is_offered else "kept"
            self.stdout.write(f"{app}: {state}")


def _load(package: dict[str, Any]) -> ApplicationInformation:
    profile = {name: package.get(name, "") for name in IDENTITY}
    if not all(isinstance(value, str) for value in profile.values()):
        raise CommandError("utility, environment and edition are texts.")
    values = {name: value for name, value in package.items() if name in registrations.FIELDS and value is not None}
    try:
        return registrations.store(**_named(profile), values=values)
    except registrations.RegistrationRefused as refusal:
        raise CommandError(f"{' '.join(filter(None, profile.values()))}: {refusal}") from None


def _named(profile: dict[str, str]) -> dict[str, str]:
    return {"slug": profile["utility"], "environment": profile["environment"], "edition": profile["edition"]}


def _offer_first(apps: list[ApplicationInformation]) -> None:
    """Where nothing is offered yet. In production the sandbox is never offered by itself."""
    for app in apps:
        is_misplaced = app.environment == "sandbox" and settings.ENVIRONMENT_NAME == "production"
        is_settled = ApplicationInformation.objects.filter(utility=app.utility, is_offered=True).exists()
        if is_misplaced or is_settled:
            continue
        try:
            registrations.offer(app)
        except registrations.RegistrationRefused as refusal:
            raise CommandError(str(refusal)) from None
