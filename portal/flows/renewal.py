"""Renewing a connection: the same choices agreed to once more, with everything that is different now said first."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

import utilities
from espi.models import ApplicationInformation, Authorization, AuthorizationRequest
from portal.flows import authorize, consents, receipts
from portal.models import Consent, User


class CannotRenew(Exception):
    """Nothing of what was shared is on offer any more: the customer has to choose anew."""


@dataclass(frozen=True)
class Line:
    """What one line of the agreement says now, and what it said before if that was something else."""

    label: str
    now: list[str]
    before: list[str]

    @property
    def is_changed(self) -> bool:
        """Whether it differs from what was agreed to before."""
        return bool(self.before) and self.before != self.now


@dataclass(frozen=True)
class Offer:
    """A renewal as its page shows it; `shown` is the digest of the words, which the button sends back."""

    authorization: Authorization
    lines: list[Line]
    statement: list[str]
    shown: str
    is_text_changed: bool


def draft(authorization: Authorization, app: ApplicationInformation) -> AuthorizationRequest:
    """A journey like the last one, not stored. Raises CannotRenew."""
    utility = utilities.get(app.utility)
    last = consents.current(authorization)
    wanted = last.data if last else authorization.data_requested or authorization.data_granted
    known = [choice.id for choice in utility.data_choices(app) if choice.id in wanted]
    least, most = utility.choices_limits(app)
    if not least <= len(known) <= most:
        raise CannotRenew
    return AuthorizationRequest(
        retail_customer_id=authorization.retail_customer_id, application_information=app, data_requested=known
    )


def offer(authorization: Authorization, app: ApplicationInformation, *, language: str) -> Offer:
    """What the customer is asked to agree to. Raises CannotRenew."""
    journey, last = draft(authorization, app), consents.current(authorization)
    sentences = consents.statement(journey, language)
    return Offer(
        authorization=authorization,
        lines=_lines(authorization, journey, last),
        statement=sentences,
        shown=consents.shown(journey, language),
        is_text_changed=last is not None and last.text_version != consents.TEXT_VERSION,
    )


def _lines(authorization: Authorization, journey: AuthorizationRequest, last: Consent | None) -> list[Line]:
    utility = utilities.get(journey.application_information.utility)
    now = _data(journey)
    ended = receipts.day(authorization.end_date) if authorization.end_date else ""
    ends = _("When you stop it, or on the date you choose at %(utility)s") % {"utility": utility.name}
    version = last.text_version if last else ""
    return [
        Line(_("Utility"), [utility.long_name], [str(last.shown["utility"])] if last and last.shown else []),
        Line(_("Account"), [authorization.account_hint] if authorization.account_hint else [], []),
        Line(_("Data"), now, _data_before(journey, last)),
        Line(_("Permission ends"), [ends], [ended] if ended else []),
        Line(_("Text"), [consents.TEXT_VERSION], [version] if version else []),
    ]


def _data(journey: AuthorizationRequest) -> list[str]:
    return [f"{_(choice.name)}: {_(choice.content)}" for choice in consents.chosen_data(journey)]


def _data_before(journey: AuthorizationRequest, last: Consent | None) -> list[str]:
    """In the words agreed to; what is the same in the language of that day has not changed, whatever the page's is."""
    told = last.shown.get("data") if last else None
    if not last or not told:
        return []
    before = [f"{name}: {content}" for name, content in told]
    with translation.override(last.language):
        is_same = _data(journey) == before
    return [] if is_same else before


@transaction.atomic
def renew(
    authorization: Authorization,
    app: ApplicationInformation,
    *,
    user: User,
    browser: str,
    shown: str,
    language: str,
    now: datetime,
) -> AuthorizationRequest:
    """The journey, agreed to and ready to leave for the utility. Raises CannotRenew, JourneyRefused and WordsChanged."""
    chosen = draft(authorization, app).data_requested
    journey = authorize.begin(user=user, app=app, chosen=chosen, browser=browser, now=now)
    authorize.agree(journey, shown=shown, language=language, now=now)
    return journey
