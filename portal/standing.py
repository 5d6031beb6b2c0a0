"""How fresh the figures of a meter are, and why, in words: waited for, late, failed, ended."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from espi.models import Authorization, UsagePoint
from espi.usage import Channel
from portal import writing
from portal.flows import overview
from portal.panels import comes_by_the_month, latest_day


@dataclass(frozen=True)
class Standing:
    """`tone` is that of the site's notices: "" for a quiet word, wait or bad for what a customer should know."""

    tone: str
    words: str


def standings(known: Mapping[UsagePoint, Sequence[Channel]], today: date) -> dict[int, Standing | None]:
    """By the usage point's primary key; None where there is nothing to say. Two queries, however many there are."""
    subscriptions = {point.subscription_id: point.subscription for point in known}
    meters: dict[int, list[overview.Meter]] = {pk: [] for pk in subscriptions}
    for point, channels in known.items():
        has_days = not comes_by_the_month(channels)
        meters[point.subscription_id].append(overview.Meter(point, "", None, latest_day(channels), has_days=has_days))
    cards = overview.standing(subscriptions.values(), meters)
    return {point.pk: _standing(cards[point.subscription_id], channels, today) for point, channels in known.items()}


def _standing(card: overview.Card, channels: Iterable[Channel], today: date) -> Standing | None:
    channels = list(channels)
    last = latest_day(channels)
    if card.authorization is None:
        return None
    if card.authorization.status not in Authorization.LIVE:
        return Standing("", _("{state}: no new readings arrive. What is here stays as it is.").format(state=card.state))
    if card.tone != "ok" or last is None:
        return Standing(card.tone, f"{card.state}. {card.detail}".strip())
    days = (today - last).days
    patience = overview.LATE_AFTER_BY_THE_MONTH if comes_by_the_month(channels) else overview.LATE_AFTER
    if days > patience.days:
        return Standing("wait", _late(last, days))
    return None


def _late(last: date, days: int) -> str:
    return ngettext(
        "Your utility is late: the newest reading is from {day}, {count} day ago. We keep asking for the rest.",
        "Your utility is late: the newest reading is from {day}, {count} days ago. We keep asking for the rest.",
        days,
    ).format(day=writing.day(last), count=days)
