"""Every meter of a customer side by side: one picture each, and one table for each unit."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext as _

import utilities
from espi.models import UsagePoint
from portal import charts, panels, writing
from portal.flows.overview import service_name
from portal.measured import Known, Measured
from portal.panels import Panel
from portal.periods import Period
from portal.standing import Standing

FULL = Decimal(100)  # per cent


@dataclass(frozen=True)
class Meter:
    """A usage point with its pictures; `name` tells it apart from the others of its utility."""

    point: UsagePoint
    name: str
    source: str
    panels: list[Panel]
    standing: Standing | None

    @property
    def title(self) -> str:
        """`Electricity, Con Edison`."""
        # Translators: a service and who delivers it, as in "Electricity, Con Edison".
        return _("{service}, {utility}").format(service=self.name, utility=self.source)


@dataclass(frozen=True)
class Line:
    """A meter among those of one unit: what it delivered, and as a bar beside the largest."""

    meter: Meter
    panel: Panel
    width: str


@dataclass(frozen=True)
class Group:
    """All meters of one unit. `rows`: of the table, a label and a text for each line."""

    unit: charts.Unit
    lines: list[Line]

    @property
    def rows(self) -> list[tuple[str, list[str]]]:
        """The same figures as in the pictures."""
        series = [[amount_of(slot) for slot in line.panel.slots] for line in self.lines]
        places = writing.places_of(value for amounts in series for value in amounts if value is not None)
        texts = [["" if value is None else writing.number(value, places) for value in amounts] for amounts in series]
        labels = [slot.label for slot in self.lines[0].panel.slots]
        return list(zip(labels, [list(row) for row in zip(*texts, strict=True)], strict=True))


def amount_of(slot: charts.Slot) -> Decimal | None:
    """Of a meter that only sends out, what it sent."""
    value = slot.delivered or slot.received
    return value.amount if value else None


def meters(known: Known, period: Period, measured: Measured, standings: Mapping[int, Standing | None]) -> list[Meter]:
    """In the order of `known`: meters with their channels."""
    names = names_of(list(known))
    found = []
    for point, channels in known.items():
        slug = point.subscription.utility
        utility = utilities.get(slug) if slug else None
        source = utility.name if utility else point.subscription.name or _("your files")
        currency = int(utility.currency) if utility else None
        made = panels.panels(point, period, channels, measured, default_currency=currency)
        shown = [each for each in made if each.can_be_added and not each.is_empty]
        found.append(Meter(point, names[point.pk], source, shown, standings.get(point.pk)))
    return found


def names_of(points: Sequence[UsagePoint]) -> dict[int, str]:
    """By primary key; several of one service of a utility are numbered."""
    services = {point.pk: service_name(point) for point in points}
    many = Counter((point.subscription_id, services[point.pk]) for point in points)
    so_far: Counter[tuple[int, str]] = Counter()
    names = {}
    for point in points:
        key = (point.subscription_id, services[point.pk])
        so_far[key] += 1
        numbered = _("{service}, meter {number}").format(service=key[1], number=so_far[key])
        names[point.pk] = key[1] if many[key] == 1 else numbered
    return names


def groups(found: Sequence[Meter]) -> list[Group]:
    """The first quantity of each meter, those of one unit together."""
    by_unit: dict[str, list[tuple[Meter, Panel]]] = defaultdict(list)
    for meter in found:
        for panel in meter.panels[:1]:
            by_unit[str(panel.unit.symbol)].append((meter, panel))
    return [group(members) for members in by_unit.values()]


def group(members: Sequence[tuple[Meter, Panel]]) -> Group:
    """Bars are as long as what was delivered, the longest over the whole width."""
    totals = [
        abs(sum((amount_of(slot) or Decimal(0) for slot in panel.slots), Decimal(0))) for _meter, panel in members
    ]
    longest = max(totals) or Decimal(1)
    lines = [
        Line(meter, panel, charts.percent(total / longest * FULL))
        for (meter, panel), total in zip(members, totals, strict=True)
    ]
    return Group(members[0][1].unit, lines)
