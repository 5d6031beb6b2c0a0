"""A consent as its customer reads it: what was agreed to, in rows and word for word, and what happened since."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Prefetch
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

import utilities
from espi.models import Authorization
from portal import consent_texts
from portal.flows import consents
from portal.models import Consent, ConsentEvent, User
from portal.words import retold
from utilities.base import Utility

Kind = ConsentEvent.Kind
WORDS: dict[str, Promise] = {
    Kind.AGREED: gettext_lazy("You agreed here"),
    Kind.CONNECTED: gettext_lazy("You allowed it at your utility, and sharing began"),
    Kind.RENEWED: gettext_lazy("You renewed it at your utility, and sharing goes on"),
    Kind.CHANGED: gettext_lazy("You, or your utility, changed what is shared"),
    Kind.WITHDRAWN: gettext_lazy("You stopped sharing"),
    Kind.STOPPED: gettext_lazy("Sharing was stopped at your utility"),
    Kind.EXPIRED: gettext_lazy("The last day was over, and sharing ended"),
    Kind.REPLACED: gettext_lazy("A newer agreement took its place"),
    Kind.DELETED: gettext_lazy("What had been collected was deleted"),
}


@dataclass(frozen=True)
class Row:
    """A line of a receipt: what it is about, and one value or several. `language`: of words kept as they were shown."""

    label: str
    values: list[str]
    language: str = ""


@dataclass(frozen=True)
class Happening:
    """Something that happened, at a time on the utility's clock, in words, and the version of the text that held."""

    when: str
    words: str
    detail: str
    text_version: str


@dataclass(frozen=True)
class Receipt:
    """Everything a receipt says. The sentences are in the language they were agreed to in."""

    consent: Consent
    utility: Utility
    is_sharing: bool
    rows: list[Row]
    sentences: list[str]
    events: list[Happening]


def all_of(user: User) -> list[Receipt]:
    """Every consent of a customer's, the newest first; a handful of queries however many there are."""
    rows = Consent.objects.filter(retail_customer=user).select_related(
        "authorization", "request__application_information"
    )
    found = list(rows.prefetch_related(Prefetch("events")).order_by("-agreed_at", "-pk"))
    newest: dict[int, int] = {}
    for consent in reversed(found):
        newest[consent.authorization_id or 0] = consent.pk
    return [of(consent, is_newest=newest[consent.authorization_id or 0] == consent.pk) for consent in found]


def of(consent: Consent, *, is_newest: bool | None = None) -> Receipt:
    """The receipt of one consent. `is_newest` of its connection: found out if not given."""
    utility = utilities.get(consent.utility)
    authorization = consent.authorization
    if is_newest is None:
        newer = Consent.objects.filter(authorization=authorization, agreed_at__gt=consent.agreed_at)
        is_newest = authorization is not None and not newer.exists()
    events = list(consent.events.all())
    has_ended = any(event.kind in consents.ENDS for event in events)
    is_active = authorization is not None and authorization.status == Authorization.Status.ACTIVE and not has_ended
    return Receipt(
        consent=consent,
        utility=utility,
        is_sharing=is_active and is_newest,
        rows=_rows(consent, utility),
        sentences=consent.statement.split("\n"),
        events=[_happening(event, utility) for event in events],
    )


def _rows(consent: Consent, utility: Utility) -> list[Row]:
    name = consent.shown.get("utility") or utility.long_name
    place = f"{name} ({consent.environment})" if consent.environment != "production" else name
    rows = [
        Row(_("Reference"), [consent.reference]),
        Row(_("Utility"), [place]),
        Row(_("Account"), [consent.account_hint]),
        Row(_("Data you chose"), data_names(consent, utility), consent.language if consent.shown.get("data") else ""),
        Row(_("Who receives it"), [consent.shown.get("receiver") or settings.PORTAL_COMPANY]),
        Row(_("What for"), [consent.shown.get("purpose") or consent_texts.text().purpose], consent.language),
        Row(_("Agreed"), [moment(consent.agreed_at, utility)]),
        Row(_("Permission starts"), [day(consent.starts_on) if consent.starts_on else _("The day you agreed")]),
        Row(_("Permission ends"), [ends(consent)]),
        Row(_("Text"), [_("Version %(version)s") % {"version": consent.text_version}]),
    ]
    return [row for row in rows if any(row.values)]


def ends(consent: Consent) -> str:
    """The last day, as it was agreed here or chosen at the utility."""
    last = consent.ends_on or (consent.authorization.end_date if consent.authorization else None)
    return day(last) if last else _("When you stop it, or when it ends at the utility")


def data_names(consent: Consent, utility: Utility) -> list[str]:
    """What was chosen, in the words that were shown; for a consent of before these were kept, in today's."""
    if told := consent.shown.get("data"):
        return [f"{name}: {content}" for name, content in told]
    app = consent.request.application_information if consent.request else None
    catalogue = utility.data_choices(app) if app else ()
    return [_(choice.name) for choice in catalogue if choice.id in consent.data]


def _happening(event: ConsentEvent, utility: Utility) -> Happening:
    version = _("Version %(version)s") % {"version": event.text_version}
    words = WORDS.get(event.kind, event.kind)
    return Happening(moment(event.at, utility), str(words), retold(event.words), f"{version} ({event.language})")


def moment(at: datetime, utility: Utility) -> str:
    """An instant on the utility's clock, with the name of its zone."""
    local = at.astimezone(ZoneInfo(utility.time_zone))
    return f"{date_format(local, 'DATETIME_FORMAT')} {local:%Z}"


def day(value: date) -> str:
    """A day in words."""
    return date_format(value, "DATE_FORMAT")


def as_text(receipt: Receipt, *, review: str, stop: str) -> str:
    """A receipt as a plain text to keep. `review` and `stop`: the addresses of those pages."""
    lines = [settings.PORTAL_NAME, _("Your receipt"), ""]
    for row in receipt.rows:
        lines += [f"{row.label}: {row.values[0]}"] if len(row.values) == 1 else [f"{row.label}:", *_listed(row.values)]
    lines += ["", _("The words you agreed to"), "", *_listed(receipt.sentences)]
    lines += ["", _("What happened since"), ""]
    lines += _listed(" ".join(filter(None, (f"{each.when}:", each.words, each.detail))) for each in receipt.events)
    lines += ["", _("See what you agreed to: %(address)s") % {"address": review}]
    lines += [_("Stop sharing: %(address)s") % {"address": stop}] if stop else []
    lines += [_(receipt.utility.stopping_help)]
    lines += [_("Complain: %(who)s") % {"who": receipt.utility.regulator}]
    lines += [_("Questions? Write to %(address)s") % {"address": settings.SUPPORT_EMAIL}, ""]
    return "\n".join(lines)


def _listed(lines: Iterable[str]) -> list[str]:
    return [f"  - {line}" for line in lines]
