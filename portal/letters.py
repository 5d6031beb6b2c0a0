"""Every letter the portal writes to people: one list, and how a letter becomes a subject, plain text and HTML.

The words of a letter stand once, in `templates/letters/<id>.txt`, and both forms are made of them. In these files

* a blank line ends a paragraph, and every line keeps its own line;
* lines that begin with `- ` are a list;
* four blanks before a line make a code, to be typed in somewhere;
* an address on a line of its own belongs to the words before it, and is a button in HTML.

No letter tells readings, bills, account numbers or tokens of a utility, and none loads anything when it is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from espi.models import Authorization

Status = Authorization.Status
A_CODE_LASTS = timedelta(minutes=15)  # settings.ACCOUNT_PASSWORD_RESET_BY_CODE_TIMEOUT, and allauth's own for e-mail
LIVE = tuple(str(status) for status in Authorization.LIVE)


@dataclass(frozen=True)
class Topic:
    """Letters that a customer may do without, as one choice of his."""

    id: str
    name: Promise
    words: Promise


TOPICS = (
    Topic("first_data", _("Your first data are here"), _("Once after you connect, when there is something to see.")),
    Topic(
        "trouble",
        _("Something needs you"),
        _("When we can get no data before you do something. At most once a week for one cause."),
    ),
    Topic("ending", _("A permission ends soon"), _("14 days, 7 days and 1 day before its last day.")),
    Topic("summary", _("What is being shared, every 90 days"), _("Which connections are open, and how to stop.")),
    Topic("yearly", _("Yearly reminder"), _("Once a year: what you agreed to, and how to change it.")),
)


@dataclass(frozen=True)
class Kind:
    """One letter. `when`: for staff. `topic`: of TOPICS; empty for a letter that people cannot do without.

    `lasts`: after that it is of no use and not sent any more. `takes`: names of its values, which are plain texts,
    numbers or lists of texts. `holds_while`: states of the connection in which it is still true when its turn comes;
    empty: whatever its state. `until_repaired`: not sent if a newer connection has taken the place of the old one.
    """

    id: str
    subject: Promise
    when: str
    topic: str = ""
    lasts: timedelta = timedelta(days=3)
    holds_while: tuple[str, ...] = ()
    until_repaired: bool = False
    example: Mapping[str, Any] = field(default_factory=dict)

    @property
    def takes(self) -> frozenset[str]:
        """The names of its values."""
        return frozenset(self.example)


_CODE = {"code": "K7QM-3XWD"}
_CHANGE = {
    "when": "2026-11-26T13:05:00+00:00",
    "ip": "192.0.2.7",
    "user_agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/150.0",
}
_AN_ID = "6d0b6b6e-6a0e-4c5f-8f0f-0d5a3f1f2b11"
_CONNECTION = {"utility": "Con Edison", "connection": _AN_ID}


def _security(id_: str, subject: Promise, when: str, **example: Any) -> Kind:
    return Kind(id_, subject, when, lasts=timedelta(days=7), example=_CHANGE | example)


LETTERS = (
    # To prove an address, or who somebody is
    Kind(
        "confirm_address",
        _("Your code to confirm your e-mail address"),
        "Somebody registers, or changes his address.",
        lasts=A_CODE_LASTS,
        example=_CODE,
    ),
    Kind("already_registered", _("You already have an account with us"), "Somebody registers with a known address."),
    Kind(
        "unknown_account",
        _("There is no account for this address"),
        "Somebody asks for a new password for an unknown address.",
        example={"email": "ann@example.com"},
    ),
    Kind(
        "reset_code",
        _("Your code to set a new password"),
        "Somebody asks for a new password.",
        lasts=A_CODE_LASTS,
        example=_CODE,
    ),
    Kind("please_reset", _("Please set a new password"), "Staff ask somebody to set a new password."),
    # What changed about an account
    _security(
        "email_changed",
        _("Your e-mail address was changed"),
        "To the old address and the new one.",
        old="ann@example.com",
        new="ann@new.example",
    ),
    _security(
        "address_removed",
        _("An e-mail address was removed"),
        "An address that was never confirmed was removed.",
        email="ann@old.example",
    ),
    _security("email_confirmed", _("Your e-mail address is confirmed"), "An address was confirmed later on."),
    _security("password_changed", _("Your password was changed"), "With the old password."),
    _security("password_reset", _("Your password was changed"), "With a code from an e-mail."),
    _security("password_set", _("A password was set"), "For an account that had none."),
    _security("app_on", _("An authenticator app was set up"), "The second step is on."),
    _security("app_off", _("Your authenticator app was removed"), "The second step is off."),
    _security("recovery_codes", _("You have new recovery codes"), "Recovery codes were made."),
    _security("passkey_added", _("A passkey was added"), "A passkey was added."),
    _security("passkey_removed", _("A passkey was removed"), "A passkey was removed."),
    _security("api_token_created", _("A program may now read your data"), "A token for an own program was made."),
    Kind(
        "account_deleted",
        _("Your account is deleted"),
        "The account, and all that was kept in it, was deleted.",
        lasts=timedelta(days=7),
        example={"connections": ["Con Edison"], "steps": ["Con Edison: sign in there and remove us."]},
    ),
    # About a connection
    Kind(
        "receipt",
        _("Your receipt: you share data from %(utility)s"),
        "A utility has granted what was agreed to, or less.",
        lasts=timedelta(days=14),
        example=_CONNECTION
        | {
            "reference": "K7QM-3XWD",
            "receipt": _AN_ID,
            "data": ["Electricity and gas usage", "Bills"],
            "ends": "30 November 2027",
            "complaints": "New York State Department of Public Service, https://dps.ny.gov/file-complaint",
        },
    ),
    Kind(
        "first_data",
        _("Your first data from %(utility)s are here"),
        "The first readings or bills of a new connection are stored.",
        topic="first_data",
        holds_while=LIVE,
        example=_CONNECTION,
    ),
    Kind(
        "action_needed",
        _("Please connect %(utility)s again"),
        "The utility refuses our permission until the customer connects again. Four times at most, a week apart.",
        topic="trouble",
        holds_while=(Status.NEEDS_RECONNECT,),
        until_repaired=True,
        example=_CONNECTION,
    ),
    Kind(
        "expiring",
        _("Your permission for %(utility)s ends soon"),
        "14, 7 and 1 days before the last day.",
        topic="ending",
        lasts=timedelta(days=1),
        holds_while=(Status.ACTIVE,),
        until_repaired=True,
        example=_CONNECTION | {"days": 7, "ends": "3 December 2026"},
    ),
    Kind(
        "expired",
        _("Your permission for %(utility)s has ended"),
        "The last day is over.",
        holds_while=(Status.EXPIRED,),
        until_repaired=True,
        example=_CONNECTION | {"ends": "25 November 2026"},
    ),
    Kind(
        "stopped_there",
        _("Sharing from %(utility)s was stopped there"),
        "The utility says that the customer, or it, has ended the permission.",
        holds_while=(Status.REVOKED,),
        until_repaired=True,
        example=_CONNECTION,
    ),
    Kind(
        "withdrawn",
        _("You stopped sharing from %(utility)s"),
        "The customer stopped sharing here.",
        lasts=timedelta(days=14),
        example=_CONNECTION | {"reference": "K7QM-3XWD", "deleted": True, "steps": "Sign in there and remove us."},
    ),
    # Now and then
    Kind(
        "summary",
        _("What you share with us"),
        "Every 90 days while something is shared.",
        topic="summary",
        example={"connections": ["Con Edison, since 3 March 2026", "PG&E, since 12 June 2026"]},
    ),
    Kind(
        "yearly",
        _("Your yearly reminder: what you share with us"),
        "Once a year while something is shared.",
        topic="yearly",
        example={"connections": ["Con Edison, since 3 March 2025"]},
    ),
    # What was asked for
    Kind(
        "export_ready",
        _("The file you asked for is ready"),
        "A file with the customer's data can be fetched.",
        lasts=timedelta(days=7),
        example={"until": "3 December 2026"},
    ),
    Kind(
        "export_failed",
        _("We could not prepare the file you asked for"),
        "A file with the customer's data could not be prepared.",
        lasts=timedelta(days=7),
    ),
)
KINDS = {kind.id: kind for kind in LETTERS}
NOT_NECESSARY = frozenset(topic.id for topic in TOPICS)


@dataclass(frozen=True)
class Rendered:
    """A letter as it is sent: a line, plain text, and HTML that loads nothing."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class Block:
    """A piece of a letter: `words`, a `list` of lines, a `code`, or a `link` with an address."""

    sort: str
    lines: tuple[str, ...]
    address: str = ""


def render(kind: Kind, language: str, values: Mapping[str, Any], *, unsubscribe: str = "") -> Rendered:
    """In one of settings.LANGUAGES. `unsubscribe`: the address that ends letters of this topic.

    Raises KeyError for a value that is missing.
    """
    told = {name: values[name] for name in kind.takes}
    with translation.override(language):
        subject = " ".join((str(kind.subject) % told).split())
        context = told | frame(kind, unsubscribe)
        text = _tidy(render_to_string(f"letters/{kind.id}.txt", context))
        foot = _tidy(render_to_string("letters/foot.txt", context))
        shown = context | {"subject": subject, "body": blocks(text), "foot": blocks(foot), "language": language}
        html = render_to_string("letters/frame.html", shown)
    return Rendered(subject, f"{text}\n\n-- \n{foot}\n", html)


def frame(kind: Kind, unsubscribe: str) -> dict[str, Any]:
    """What every letter may use."""
    return {
        "portal_name": settings.PORTAL_NAME,
        "support_email": settings.SUPPORT_EMAIL,
        "base": settings.PORTAL_BASE_URL.rstrip("/"),
        "is_necessary": not kind.topic,
        "unsubscribe": unsubscribe,
    }


def _tidy(text: str) -> str:
    """Without the blank lines that template tags leave."""
    paragraphs = [part.strip("\n") for part in text.split("\n\n")]
    return "\n\n".join(part.rstrip() for part in paragraphs if part.strip())


def blocks(text: str) -> list[Block]:
    """The pieces of a text, for HTML."""
    return [_block(tuple(paragraph.split("\n"))) for paragraph in text.split("\n\n")]


def _block(lines: tuple[str, ...]) -> Block:
    if all(line.startswith("- ") for line in lines):
        return Block("list", tuple(line[2:] for line in lines))
    if all(line.startswith("    ") for line in lines):
        return Block("code", tuple(line.strip() for line in lines))
    if len(lines) > 1 and lines[-1].startswith(settings.PORTAL_BASE_URL):
        return Block("link", lines[:-1], lines[-1])
    return Block("words", lines)
