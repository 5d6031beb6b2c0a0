"""The addresses a utility's registration form asks for."""

import json
import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

import utilities
from espi.models import ApplicationInformation
from utilities.base import Utility


class Command(BaseCommand):
    """Prints or writes one form for each utility and edition. The addresses stay the same however often it runs."""

    help = (
        "Our addresses for the registration forms of every utility, as JSON. Notification addresses end in a secret: "
        "hand the file to nobody but the utility."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """`--output` writes a file that only its owner can read."""
        environments = ApplicationInformation.Environment.values
        parser.add_argument("--environment", choices=environments, default="sandbox")
        parser.add_argument("--output", help="A file to write instead of printing.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Makes the registration's row, without credentials, so that its notification secret stands."""
        forms = [
            _form(utility, options["environment"], edition)
            for utility in utilities.all()
            for edition in utility.editions
        ]
        text = json.dumps(forms, indent=2)
        if options["output"]:
            write_private(Path(options["output"]), text)
        else:
            self.stdout.write(text)


def _form(utility: Utility, environment: str, edition: str) -> dict[str, str]:
    app, _ = ApplicationInformation.objects.get_or_create(
        utility=utility.slug, environment=environment, edition=edition
    )
    form = {
        "utility": utility.slug,
        "environment": environment,
        "edition": edition,
        "company": settings.PORTAL_COMPANY,
        "portal_uri": utility.portal_uri(app),
        "scope_selection_uri": utility.scope_selection_uri(app),
        "redirect_uri": utility.redirect_uri(app),
        "notify_uri": utility.notify_uri(app),
    }
    return form | ({"webhook_uri": utility.webhook_uri(app)} if utility.sends_events else {})


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text + "\n")
