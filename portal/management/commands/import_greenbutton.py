"""Import a Green Button (ESPI) file for a user, or say what is in it."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from espi import ingest
from portal.flows import upload
from portal.models import User


class Command(BaseCommand):
    """Exit code 1 and nothing stored when the file cannot be used."""

    help = "Import a Green Button (ESPI) file for a user; the same file twice changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="XML file, as downloaded from a utility.")
        parser.add_argument("--user", metavar="EMAIL", help="Whose data it becomes.")
        parser.add_argument("--time-zone", metavar="ZONE", help="IANA name; default: as the file says, then UTC.")
        parser.add_argument("--dry-run", action="store_true", help="Only say what the file holds; store nothing.")
        parser.add_argument("--json", action="store_true", help="Answer with one JSON object.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with options["file"].open("rb") as file:
                found = self._dry_run(file, options) if options["dry_run"] else self._import(file, options)
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from None
        except ingest.DocumentRefused as error:
            raise CommandError(f"{options['file'].name} was not used. {error}") from None
        self.stdout.write(json.dumps(found) if options["json"] else _words(found, stored=not options["dry_run"]))

    def _dry_run(self, file: BinaryIO, options: dict[str, Any]) -> dict[str, Any]:
        return upload.describe(file, time_zone=options["time_zone"])

    def _import(self, file: BinaryIO, options: dict[str, Any]) -> dict[str, Any]:
        if not options["user"]:
            raise CommandError("Say whose data it becomes with --user EMAIL, or use --dry-run.")
        user = User.objects.filter(email__iexact=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']}.")
        now, name = timezone.now(), options["file"].name
        document = upload.store(user, file, file_name=name, now=now, time_zone=options["time_zone"])
        return upload.outcome(document, now=now)


def _words(found: dict[str, Any], *, stored: bool) -> str:
    """The same for people."""
    nouns = {"usage_points": "usage point", "blocks": "block", "readings": "reading"}
    lines = [", ".join(upload.counted(found[name], noun) for name, noun in nouns.items()) + "."]
    if stored:
        lines.append(
            f"{upload.counted(found['stored'], 'reading')} new, {found['revised']} corrected, {found['unchanged']} already here; "
            f"{upload.counted(found['summaries'], 'bill')}."
        )
    lines += [f"Refused: {each['count']} x {each['what']}: {each['why']}." for each in found["refused"]]
    return "\n".join(lines)
