"""The utilities a customer may choose, each with what is wrong there at the moment."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

import utilities
from espi.models import ApplicationInformation
from portal.flows import circuits
from portal.models import Circuit
from utilities.base import Utility


@dataclass(frozen=True)
class Offer:
    """A utility and the registration to use. `trouble`: a fault at the utility, in words; empty if there is none."""

    utility: Utility
    app: ApplicationInformation
    trouble: str = ""


def offers() -> list[Offer]:
    """In the order in which they are shown; two queries."""
    offered = utilities.offered()
    opened = Circuit.objects.filter(
        application_information__in=[app for _utility, app in offered], opened_at__isnull=False
    )
    causes = dict(opened.values_list("application_information", "cause"))
    return [Offer(utility, app, _trouble(utility, causes.get(app.pk))) for utility, app in offered]


def trouble(app: ApplicationInformation) -> str:
    """What is wrong at the utility of this registration at the moment, in words; empty if nothing is."""
    circuit = circuits.of(app)
    return _trouble(utilities.get(app.utility), circuit.cause if circuit.opened_at else None)


def _trouble(utility: Utility, cause: str | None) -> str:
    if cause is None:
        return ""
    if cause == Circuit.Cause.SERVICE:
        words = _("%(utility)s does not answer us at the moment. You can connect; your data will come later.")
    else:
        words = _("Something between %(utility)s and us is being repaired. Connecting may not work today.")
    return words % {"utility": utility.name}
