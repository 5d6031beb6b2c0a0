"""What stands and what is missing at one utility, in words."""

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

import utilities
from espi.models import ApplicationInformation
from espi.session import CertificateUnusable
from portal.flows.registrations import FILES
from utilities.base import Utility
from utilities.oauth import UntrustedAddress


class Command(BaseCommand):
    """Looks at rows and files only; calls nobody. Fails if a registration that is offered lacks something."""

    help = "Say for every registration of a utility what is missing, whether its files can be used, and where it calls."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which utility."""
        parser.add_argument("utility")

    def handle(self, *args: Any, **options: Any) -> None:
        """One paragraph per registration."""
        try:
            utility = utilities.get(options["utility"])
        except KeyError:
            known = ", ".join(utility.slug for utility in utilities.all())
            raise CommandError(f"There is no utility of that name. There are: {known}.") from None
        if lacking := utility.undeclared():
            raise CommandError(f"The declaration of {utility.slug} lacks: {', '.join(lacking)}.")
        apps = ApplicationInformation.objects.filter(utility=utility.slug).order_by("environment", "edition")
        if not apps:
            self.stdout.write(f"{utility.long_name} has no registration. Start with: manage.py registration_form")
        broken = []
        for app in apps:
            faults = list(_faults(utility, app))
            self.stdout.write("\n".join(_paragraph(utility, app, faults)))
            if app.is_offered and faults:
                broken.append(str(app))
        if broken:
            raise CommandError(f"Customers cannot use what they are offered: {', '.join(broken)}.")


def _paragraph(utility: Utility, app: ApplicationInformation, faults: list[str]) -> Iterator[str]:
    yield f"{app} ({'offered to customers' if app.is_offered else 'not offered'})"
    try:
        yield f"  customers go to    {utility.login_url(app) or utility.authorize_url(app)}"
        yield f"  tokens come from   {utility.token_url(app)}"
        yield f"  data come from     {utility.resource_base(app)}"
    except (KeyError, UntrustedAddress):
        yield "  its addresses cannot be used"
    if gas := utility.gas(app):
        doubt = "" if gas.is_confirmed else "; not confirmed by a bill yet"
        yield f"  gas readings are   {gas.unit}{doubt}"
        yield f"                     ({gas.source})"
    yield from (f"  - {fault}" for fault in faults or ["nothing is missing"])


def _faults(utility: Utility, app: ApplicationInformation) -> Iterator[str]:
    yield from (f"missing: {field}" for field in utility.missing(app))
    for field in FILES:
        path = getattr(app, field)
        if path and not Path(path).is_file():
            yield f"{field.replace('_', ' ')}: there is no file {path}"
            return
    try:
        utility.session(app).close()
    except CertificateUnusable as problem:
        yield str(problem)
