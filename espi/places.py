"""Customer data -> where a usage point is and which meter serves it, as far as that tells two usage points to be one.

    CustomerAgreement/{agreement}/ServiceLocation/{location}/Meter/{serial}    (the standard's tree of links)

A ServiceLocation names its usage points (ServiceLocation/UsagePoints/UsagePoint, a link); with some utilities the
agreement's id is the usage point's (Dialect.agreement_is_usage_point). Two places are one if id and address are the same:
a number like 01 may be every customer's first place, and one address may be many homes'.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from django.utils.crypto import salted_hmac

from espi import models, resources
from espi.channels import short
from espi.dialect import Dialect

Kind = models.ServicePlace.Kind
_SHORTEST_ID = 6


class Places:
    """Collects them while a document is read."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._points: dict[str, set[str]] = defaultdict(set)  # of a location: ids of usage points
        self._serials: dict[str, set[str]] = defaultdict(set)  # of a location
        self._addresses: dict[str, str] = {}

    def learn(self, said: resources.CustomerResource) -> None:
        """Take note of a ServiceLocation or a Meter; other resources say nothing of places."""
        if said.noun not in ("ServiceLocation", "Meter"):
            return
        location = said.entry.segment("ServiceLocation")
        if len(location) < _SHORTEST_ID:
            return
        if self.dialect.agreement_is_usage_point and (agreement := said.entry.segment("CustomerAgreement")):
            self._points[location].add(agreement)
        if said.noun == "ServiceLocation":
            self._points[location].update(_usage_points(said.said))
            self._addresses[location] = json.dumps(said.said.get("mainAddress", ""), sort_keys=True)
        elif _names_a_meter(serial := _serial(said)):
            self._serials[location].add(serial)

    def store(self, subscription: models.Subscription) -> None:
        """Keep what is new of them."""
        rows = [
            models.ServicePlace(subscription=subscription, resource_id=point, kind=kind, digest=digest(kind, text))
            for location, points in self._points.items()
            for point in map(short, points)
            for kind, text in self._told_of(location)
        ]
        models.ServicePlace.objects.bulk_create(rows, ignore_conflicts=True)

    def _told_of(self, location: str) -> Iterator[tuple[str, str]]:
        if location in self._addresses:
            yield Kind.LOCATION, f"{location} {self._addresses[location]}"
        serials = self._serials[location]
        # Of two meters at one place it is not told which one serves which usage point, unless there is only one of those.
        if len(serials) == 1 or len(self._points[location]) == 1:
            yield from ((Kind.METER, serial) for serial in serials)


def digest(kind: str, text: str) -> str:
    """What stands for a place or a meter: the same for the same, and nothing can be read from it."""
    return salted_hmac(f"espi.places.{kind}", text.strip().upper(), algorithm="sha256").hexdigest()


def _usage_points(said: dict[str, Any]) -> Iterator[str]:
    held = said.get("UsagePoints")
    links = held.get("UsagePoint", []) if isinstance(held, dict) else []
    for link in links if isinstance(links, list) else [links]:
        if found := resources.segment(str(link).strip(), "UsagePoint"):
            yield found


def _names_a_meter(serial: str) -> bool:
    """Not `0`, `N/A`, `00000000` or a number like 1 that many a meter may be given."""
    return len(serial) >= _SHORTEST_ID and sum(each.isdigit() for each in serial) >= 4 and len(set(serial)) > 2


def _serial(said: resources.CustomerResource) -> str:
    told = said.said.get("serialNumber")
    return str(told).strip() if isinstance(told, str | int) else unquote(said.entry.segment("Meter"))
