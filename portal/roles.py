"""The roles of staff: what each may see and do. This page is the truth; after every `migrate` the groups follow it.

A role is a Django group of the same name. Only a superuser gives one (`manage.py give_role`, or the page of a user);
`owner` is the role of superusers, who alone may edit registrations and rights.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.apps import AppConfig
from django.contrib.auth.models import Group, Permission

from espi import customers
from espi.models import ApplicationInformation
from portal.models import User

Environment = ApplicationInformation.Environment
WORK = ("fetchjob", "notification", "document", "circuit", "fetchplan", "datagap", "staffalert", "heartbeat")
CUSTOMERS = (
    "authorization",
    "authorizationrequest",
    "subscription",
    "usagepoint",
    "consent",
    "consentevent",
    "departure",
    "export",
    "letter",
    "utilityvisit",
    "succession",
    "programidmapping",
    "electricpowerqualitysummary",
    "user",
    *(noun._meta.model_name or "" for noun in customers.MODELS.values()),
)
LOOK, OPERATE, TEST = "look_at_customer_data", "operate", "run_acceptance_tests"


@dataclass(frozen=True)
class Role:
    """A group's name, what it is for in words, and the codenames of its permissions."""

    name: str
    words: str
    permissions: frozenset[str]


def _view(models: Iterable[str]) -> frozenset[str]:
    return frozenset(f"view_{model}" for model in models)


SUPPORT_MAY = _view((*CUSTOMERS, *WORK)) | {LOOK}
OPERATOR_MAY = _view((*WORK, "applicationinformation")) | {"change_fetchjob", "change_notification", OPERATE}
ROLES = (
    Role(
        "tester", "Runs acceptance tests, in the sandbox and in utilities' test environments only.", frozenset({TEST})
    ),
    Role(
        "support", "Helps customers: sees their data masked, after giving a reason, and changes nothing.", SUPPORT_MAY
    ),
    Role("operator", "Keeps the work going: tries again, cancels, replays. Sees no customer.", OPERATOR_MAY),
    Role(
        "owner", "Answers for the site: every right, registrations and roles too.", SUPPORT_MAY | OPERATOR_MAY | {TEST}
    ),
)
OWNER = "owner"
PRETENDED = frozenset({Environment.SANDBOX.value, Environment.TEST.value})


def get(name: str) -> Role:
    """The role of this name. Raises KeyError."""
    return {role.name: role for role in ROLES}[name]


def held_by(user: User) -> frozenset[str]:
    """The names of a person's roles; a superuser holds `owner`, whatever his groups. Nobody who is no staff holds any."""
    if not (user.is_active and user.is_staff):
        return frozenset()
    groups = frozenset(user.groups.values_list("name", flat=True)) & {role.name for role in ROLES}
    return groups | {OWNER} if user.is_superuser else groups - {OWNER}


def environments(user: User) -> frozenset[str]:
    """The environments whose rows a person may see: testers who are nothing else see no production."""
    roles = held_by(user)
    if not roles:
        return frozenset()
    return PRETENDED if roles == {"tester"} else frozenset(Environment.values)


def settle(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """Make the groups what this page says. Django calls it after `migrate`, once all permissions exist."""
    for role in ROLES:
        group, _ = Group.objects.using(using).get_or_create(name=role.name)
        found = Permission.objects.using(using).filter(
            codename__in=role.permissions, content_type__app_label__in=("espi", "portal")
        )
        group.permissions.set(found)
