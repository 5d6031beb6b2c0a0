"""Through which registration customers connect a utility."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal.flows import registrations
from portal.management.commands.set_registration import add_profile


class Command(BaseCommand):
    """Switches; connections made through the registration offered before stay as they are."""

    help = "Offer one registration of a utility to customers, in place of the one offered now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which registration."""
        add_profile(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Refuses a registration that is not stored or lacks something."""
        try:
            _, app = registrations.find(options["utility"], options["environment"], options["edition"])
            if app.pk is None:
                raise registrations.RegistrationRefused(f"{app} has no credentials yet: use set_registration.")
            before = registrations.offer(app)
        except registrations.RegistrationRefused as refusal:
            raise CommandError(str(refusal)) from None
        instead = f", in place of {before}" if before else ""
        self.stdout.write(self.style.SUCCESS(f"Customers are offered {app}{instead}."))
