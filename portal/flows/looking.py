"""Staff and customers' data: a reason first, then every look is written down. And who gave whom which role."""

from datetime import datetime, timedelta

from django.contrib.auth.models import Group
from django.db import transaction

from portal import roles
from portal.models import StaffAccess, User

Kind = StaffAccess.Kind
REASON_HOLDS = timedelta(minutes=30)  # then it is asked for again
SHORTEST_REASON, LONGEST_REASON = 10, 300  # characters


class NoReason(ValueError):
    """Somebody wants to look at a customer's data and has not said why."""


class NotAllowed(PermissionError):
    """This person may not do that."""


def give_reason(*, staff: User, customer: User, reason: str, now: datetime) -> StaffAccess:
    """Say why. It holds for this person and this customer for REASON_HOLDS. Raises NoReason, NotAllowed."""
    words = " ".join(reason.split())
    if not may_look(staff):
        raise NotAllowed("This role does not see customers' data.")
    if not SHORTEST_REASON <= len(words) <= LONGEST_REASON:
        raise NoReason(f"Say in {SHORTEST_REASON} to {LONGEST_REASON} characters why you look.")
    return StaffAccess.objects.create(
        at=now, staff=staff, customer=customer, kind=Kind.REASON, what=f"user {customer.pk}", reason=words
    )


def reason(*, staff: User, customer: User, now: datetime) -> str:
    """The reason that holds now; "" where one has to be given first."""
    if not may_look(staff):
        return ""
    given = StaffAccess.objects.filter(
        staff=staff, customer=customer, kind=Kind.REASON, at__gt=now - REASON_HOLDS, at__lte=now
    )
    return given.order_by("-at").values_list("reason", flat=True).first() or ""


def look(*, staff: User, customer: User, what: str, now: datetime) -> StaffAccess:
    """Write one look down, before the page is made. Raises NoReason where none was given, or it is too long ago.

    `what`: the page or row by its number, for example "espi.authorization 12"; no name, no account number.
    """
    why = reason(staff=staff, customer=customer, now=now)
    if not why:
        raise NoReason("Say first why you look at this customer's data.")
    return note(Kind.LOOK, what, staff=staff, customer=customer, now=now, reason=why)


def note(
    kind: StaffAccess.Kind,
    what: str,
    *,
    staff: User | None,
    now: datetime,
    customer: User | None = None,
    reason: str = "",
) -> StaffAccess:
    """Add a line to the audit trail. `staff`: None for a command that somebody ran on the server."""
    return StaffAccess.objects.create(
        at=now, staff=staff, customer=customer, kind=kind, what=what[:200], reason=reason[:LONGEST_REASON]
    )


def may_look(user: User) -> bool:
    """Whether this person's role lets him see customers' data at all."""
    return user.is_active and user.is_staff and user.has_perm(f"portal.{roles.LOOK}")


@transaction.atomic
def give_role(user: User, role: roles.Role, *, by: User | None, reason: str, now: datetime) -> None:
    """Make somebody staff with this role, from his next request on. `by`: a superuser, or None for a command.

    Raises NotAllowed, NoReason.
    """
    _require_right_to_give(by, reason)
    user.groups.add(Group.objects.get(name=role.name))
    user.is_staff = True
    user.is_superuser = user.is_superuser or role.name == roles.OWNER
    user.save(update_fields=["is_staff", "is_superuser"])
    note(Kind.ROLE, f"gave {role.name} to user {user.pk}", staff=by, customer=user, now=now, reason=reason)


@transaction.atomic
def take_role(user: User, role: roles.Role, *, by: User | None, reason: str, now: datetime) -> None:
    """Take it away, from his next request on; without any role he is no staff. Raises NotAllowed, NoReason."""
    _require_right_to_give(by, reason)
    user.groups.remove(Group.objects.get(name=role.name))
    user.is_superuser = user.is_superuser and role.name != roles.OWNER
    user.is_staff = user.is_superuser or user.groups.filter(name__in=[each.name for each in roles.ROLES]).exists()
    user.save(update_fields=["is_staff", "is_superuser"])
    note(Kind.ROLE, f"took {role.name} from user {user.pk}", staff=by, customer=user, now=now, reason=reason)


def _require_right_to_give(by: User | None, reason: str) -> None:
    if by is not None and not (by.is_active and by.is_superuser):
        raise NotAllowed("Only an owner gives and takes roles.")
    if len(reason.strip()) < SHORTEST_REASON:
        raise NoReason(f"Say in at least {SHORTEST_REASON} characters why.")
