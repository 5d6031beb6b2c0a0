"""Which channels of a meter belong in one picture, and what it is called.

A quantity is a unit in one direction. Several channels of it (a meter that was swapped) make one picture as long as
they follow each other in time; channels that run side by side are shown side by side, because their sum may count the
same energy twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from espi import enums
from espi.usage import Channel
from portal.charts import Slot

QUANTITIES: dict[int, Promise] = {
    enums.UnitSymbolKind.CELSIUS: gettext_lazy("Temperature"),
    enums.UnitSymbolKind.V: gettext_lazy("Voltage"),
    enums.UnitSymbolKind.W: gettext_lazy("Power"),
    enums.UnitSymbolKind.VA: gettext_lazy("Apparent power"),
    enums.UnitSymbolKind.VAH: gettext_lazy("Apparent energy"),
    enums.UnitSymbolKind.VARH: gettext_lazy("Reactive energy"),
}
USED: dict[int | None, Promise] = {
    enums.CommodityKind.NATURAL_GAS: gettext_lazy("Gas used"),
    enums.CommodityKind.POTABLE_WATER: gettext_lazy("Water used"),
}


@dataclass(frozen=True)
class Pair:
    """Channels of one unit: those that measure what was delivered, and those that measure what was received."""

    delivered: tuple[Channel, ...]
    received: tuple[Channel, ...]
    number: int = 0

    @property
    def channels(self) -> tuple[Channel, ...]:
        """All of them."""
        return self.delivered + self.received

    @property
    def first(self) -> Channel:
        """Any of them: they agree in unit."""
        return self.channels[0]


def pairs(channels: Sequence[Channel]) -> list[Pair]:
    """Channels grouped by what they measure; both directions of a quantity in one picture where each is one series.

    A series for each time of use is not added to the others: it may be a part of one of them.
    """
    kinds: dict[tuple[int | None, bool, int], list[Channel]] = {}
    for channel in channels:
        kinds.setdefault((channel.uom, channel.is_register, channel.tou or 0), []).append(channel)
    found: list[Pair] = []
    for members in kinds.values():
        delivered = successions(each for each in members if not each.is_reverse)
        received = successions(each for each in members if each.is_reverse)
        if len(delivered) <= 1 and len(received) <= 1:
            found.append(Pair(delivered[0] if delivered else (), received[0] if received else ()))
            continue
        alone = [Pair(chain, ()) for chain in delivered] + [Pair((), chain) for chain in received]
        found += [Pair(pair.delivered, pair.received, number) for number, pair in enumerate(alone, 1)]
    return found


def successions(channels: Iterable[Channel]) -> list[tuple[Channel, ...]]:
    """Channels in groups whose members follow each other in time; they may share the day of the change."""
    groups: list[tuple[Channel, ...]] = []
    for channel in sorted(channels, key=lambda each: (each.first_date or date.max, each.id)):
        for number, group in enumerate(groups):
            if follows(group[-1], channel):
                groups[number] = (*group, channel)
                break
        else:
            groups.append((channel,))
    return groups


def follows(earlier: Channel, later: Channel) -> bool:
    if earlier.last_date is None or later.first_date is None:
        return False
    alike = (earlier.flow_direction, earlier.kind, earlier.currency) == (
        later.flow_direction,
        later.kind,
        later.currency,
    )
    return alike and earlier.last_date <= later.first_date


def shows_net(pair: Pair, slots: Iterable[Slot]) -> bool:
    """Whether numbers are what was used less what was sent out: so they say, or so the energy below zero tells.

    Con Edison V1 sends solar customers' net without saying so (its contract, 5.5); it never has a reverse series.
    """
    if any(channel.flow_direction == enums.FlowDirectionKind.NET for channel in pair.delivered):
        return True
    if pair.first.uom != enums.UnitSymbolKind.WH or not pair.first.is_addable or pair.received:
        return False
    if any(channel.goes_below_zero for channel in pair.delivered):  # a winter's day is net too, if a summer's was
        return True
    return any(slot.delivered is not None and slot.delivered.amount < 0 for slot in slots)


def title_of(pair: Pair, *, is_net: bool = False) -> str:
    """What the picture shows, in words."""
    name = _quantity(pair, is_net=is_net)
    if pair.first.tou:
        name = _("{name}, time of use {number}").format(name=name, number=pair.first.tou)
    return _("{name}, series {number}").format(name=name, number=pair.number) if pair.number else name


def _quantity(pair: Pair, *, is_net: bool) -> str:
    channel = pair.first
    if channel.is_register:
        return _("Meter reading")
    if channel.uom in QUANTITIES:
        return str(QUANTITIES[channel.uom])
    if is_net:
        return _("Net energy")
    if not pair.delivered:
        return _("Energy received from you")
    return _("Energy used and sent out") if pair.received else str(USED.get(channel.commodity, _("Energy used")))
