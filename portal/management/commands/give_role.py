"""Who of the staff may do what."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from portal import roles
from portal.flows import looking
from portal.models import User


class Command(BaseCommand):
    """`manage.py give_role ann@example.com support --reason "Joins the help desk"`; `--take` takes it away."""

    help = "Give a member of staff a role, or take it away: " + " ".join(f"{r.name}: {r.words}" for r in roles.ROLES)

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whom, what, why."""
        parser.add_argument("email")
        parser.add_argument("role", choices=[role.name for role in roles.ROLES])
        parser.add_argument("--reason", required=True, help="kept in the audit trail")
        parser.add_argument("--take", action="store_true", help="take the role away")

    def handle(self, *args: Any, **options: Any) -> None:
        """Acts at once; the person needs an authenticator app before the staff pages open."""
        user = User.objects.filter(email__iexact=options["email"]).first()
        if user is None:
            raise CommandError("Nobody has registered with this address. Register first, then give the role.")
        act = looking.take_role if options["take"] else looking.give_role
        try:
            act(user, roles.get(options["role"]), by=None, reason=options["reason"], now=timezone.now())
        except looking.NoReason as problem:
            raise CommandError(str(problem)) from None
        held = ", ".join(sorted(roles.held_by(user))) or "none"
        self.stdout.write(self.style.SUCCESS(f"Roles now: {held}."))
