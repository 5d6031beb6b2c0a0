"""What a document says beside readings and bills -> rows: of usage points, clock, codes, power quality, and its customer.

A later document corrects an earlier one, whatever the order they come in.
"""

from collections.abc import Callable
from typing import Any

from espi import links, models, resources, usage_points
from espi.channels import Channels, short
from espi.customers import Customers
from espi.packing import Publication
from espi.records import Record

_QUALITY = ("duration", "values", "extra")
_LOCAL_TIME = ("tz_offset", "dst_offset", "dst_start_rule", "dst_end_rule", "extra")


class Particulars:
    """Collects them while a document is read; `store` puts them into the rows when it has been read to its end.

    Each comes with when it was said.
    """

    def __init__(self, document: models.Document, is_allowed: Callable[[str], bool]) -> None:
        """`is_allowed`: whether the customer shares resources of a noun of the Retail Customer schema."""
        assert document.subscription is not None
        self.document = document
        self.customers = Customers(document.subscription, is_allowed)
        self._usage_points: dict[str, tuple[resources.Entry, Record]] = {}
        self._mappings: dict[tuple[str, int], tuple[resources.ProgramIdMapping, Publication]] = {}
        self._local_times: dict[str, tuple[resources.LocalTimeParameters, Publication]] = {}
        self._qualities: list[tuple[resources.ElectricPowerQualitySummary, Publication]] = []

    def usage_point(self, said: resources.UsagePoint, key: str, publication: Publication) -> None:
        """A UsagePoint; `key` tells those of one document apart."""
        record = Record.of(said.said, publication)
        known = self._usage_points.get(key)
        self._usage_points[key] = (said.entry, known[1].merged(record) if known else record)

    def local_time(self, said: resources.LocalTimeParameters, publication: Publication) -> None:
        """LocalTimeParameters."""
        _keep_later(self._local_times, short(said.entry.resource_id or links.UNNAMED), said, publication)

    def program_ids(self, said: resources.ProgramIdMappings, publication: Publication) -> None:
        """ProgramIdMappings."""
        for each in said.mappings:
            _keep_later(self._mappings, (each.kind, each.code), each, publication)

    def quality(self, said: resources.ElectricPowerQualitySummary, publication: Publication) -> None:
        """An ElectricPowerQualitySummary, whose `start` is known."""
        self._qualities.append((said, publication))

    def store(self, channels: Channels, directory: links.Directory) -> None:
        """Write what is news."""
        self.customers.store(self.document)
        for entry, record in self._usage_points.values():
            usage_points.store(record, channels.usage_point(directory.usage_point_id(entry)))
        for resource_id, (local_time, publication) in self._local_times.items():
            self._store_local_time(resource_id, local_time, publication)
        for mapping, publication in self._mappings.values():
            self._store_mapping(mapping, publication)
        for quality, publication in self._qualities:
            self._store_quality(quality, publication, channels.usage_point(directory.usage_point_id(quality.entry)))

    def _store_local_time(
        self, resource_id: str, said: resources.LocalTimeParameters, publication: Publication
    ) -> None:
        key = {"subscription": self.document.subscription, "resource_id": resource_id}
        row = models.LocalTimeParameters.objects.filter(**key).first() or models.LocalTimeParameters(**key)
        _bring_up_to_date(row, {name: getattr(said, name) for name in _LOCAL_TIME}, publication)

    def _store_mapping(self, said: resources.ProgramIdMapping, publication: Publication) -> None:
        key: dict[str, Any] = {"subscription": self.document.subscription, "kind": said.kind, "code": said.code}
        row = models.ProgramIdMapping.objects.filter(**key).first() or models.ProgramIdMapping(**key)
        _bring_up_to_date(row, {"name": said.name, "note": said.note}, publication)

    def _store_quality(
        self, said: resources.ElectricPowerQualitySummary, publication: Publication, point: models.UsagePoint
    ) -> None:
        key: dict[str, Any] = {"usage_point": point, "start": said.start}
        rows = models.ElectricPowerQualitySummary.objects
        row = rows.filter(**key).first() or models.ElectricPowerQualitySummary(**key)
        told = {name: getattr(said, name) for name in _QUALITY} | {"resource_id": short(said.entry.resource_id)}
        if _bring_up_to_date(row, told, publication):
            rows.filter(pk=row.pk).update(document=self.document)


def _keep_later(kept: dict[Any, tuple[Any, Publication]], key: Any, said: Any, publication: Publication) -> None:
    if key not in kept or kept[key][1].at <= publication.at:
        kept[key] = (said, publication)


def _bring_up_to_date(row: Any, told: dict[str, Any], publication: Publication) -> bool:
    """Set what was told, unless something was told later; whether the row says something else now."""
    if row.pk and row.published_at and row.published_at > publication.at:
        return False
    is_news = row.pk is None or any(getattr(row, name) != value for name, value in told.items())
    if is_news or (publication.is_told and row.published_at != publication.at):
        for name, value in (told | {"published_at": publication.at}).items():
            setattr(row, name, value)
        row.save()
    return is_news
