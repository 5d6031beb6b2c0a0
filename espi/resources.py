"""What a document says, as it says it: numbers as sent, links verbatim, times as aware UTC. No database."""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Entry:
    """The Atom envelope of a resource (RFC 4287): its links by relation, and when it was said."""

    self_href: str = ""
    up_hrefs: tuple[str, ...] = ()
    related_hrefs: tuple[str, ...] = ()
    title: str = ""
    published_at: datetime | None = None

    @property
    def hrefs(self) -> tuple[str, ...]:
        """All links, the most telling first."""
        own = (self.self_href,) if self.self_href else ()
        return own + self.up_hrefs + self.related_hrefs

    def segment(self, noun: str) -> str:
        """The id after `/<noun>/` in the first link that has one; "" when none has."""
        for href in self.hrefs:
            if found := segment(href, noun):
                return found
        return ""

    @property
    def resource_id(self) -> str:
        """The resource's own id: the last path segment of its self link, "" without one.

        Con Edison V1 puts a bill's id into the query (`?electricPowerUsageSummaryId=B0001`; its contract, 5.3).
        """
        parts = urlsplit_leniently(self.self_href)
        ids = [value for key, value in parse_qsl(parts[1]) if key.lower().endswith("id")]
        return ids[0] if ids else parts[0].rstrip("/").rpartition("/")[2]


def segment(href: str, noun: str) -> str:
    """The path segment that follows `noun` in a link, as it is written there."""
    found = _after(noun).search(href)
    return found[1] if found else ""


@cache  # the nouns are ours, and few
def _after(noun: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|/){noun}/([^/?#]+)")


def urlsplit_leniently(href: str) -> tuple[str, str]:
    """Path and query of any text that stands where a link should be; never raises."""
    try:
        parts = urlsplit(href)
    except ValueError:
        return href, ""
    return parts.path, parts.query


@dataclass(frozen=True, slots=True)
class UsagePoint:
    """UsagePoint: codes as sent, and in `said` each of its elements by name (see `espi.elements`)."""

    entry: Entry
    service_kind: int | None
    status: int | None
    role_flags: str = ""
    tariff_profile: str = ""
    connection_state: str = ""
    ami_billing_ready: str = ""
    phase_code: int | None = None
    read_cycle: str = ""
    said: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MeterReading:
    """MeterReading: its links. `series`: which of several like channels it is, in a file that we wrote (`espi.own`)."""

    entry: Entry
    series: int = 1


@dataclass(frozen=True, slots=True)
class ReadingType:
    """ReadingType: each code as sent, None where it is absent or no number.

    `interharmonic` and `argument` are `numerator/denominator`; `extra` holds what else was said.
    """

    entry: Entry = Entry()
    commodity: int | None = None
    kind: int | None = None
    uom: int | None = None
    flow_direction: int | None = None
    accumulation_behaviour: int | None = None
    data_qualifier: int | None = None
    default_quality: int | None = None
    power_of_ten_multiplier: int | None = None
    interval_length: int | None = None
    time_attribute: int | None = None
    measuring_period: int | None = None
    phase: int | None = None
    tou: int | None = None
    cpp: int | None = None
    consumption_tier: int | None = None
    currency: int | None = None
    interharmonic: str = ""
    argument: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LocalTimeParameters:
    """LocalTimeParameters: offsets in seconds, rules as hexadecimal text."""

    entry: Entry
    tz_offset: int | None
    dst_offset: int | None
    dst_start_rule: str
    dst_end_rule: str
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Columns:
    """The readings of a block as columns of equal length; `costs` to `cpps` are None when absent.

    `starts` are epoch seconds, `durations` seconds (None: not said), `values` int or exact Decimal as sent.
    `written` counts the IntervalReadings in the document and `raw_sum` adds their values, refused ones included;
    `refused` counts by reason those that are not in the columns; `remarks` what was left out of a reading that is.
    """

    written: int = 0
    raw_sum: int | Decimal = 0
    starts: list[int] = field(default_factory=list)
    durations: list[int | None] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    costs: list[int | None] | None = None
    qualities: list[int | None] | None = None
    tous: list[int | None] | None = None
    tiers: list[int | None] | None = None
    cpps: list[int | None] | None = None
    refused: Counter[str] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class BlockPart:
    """Readings of an IntervalBlock that follow one another. `is_first`: a block begins with them; large ones have more.

    `is_lower_camel`: Con Edison V1's spelling (its contract, 5.2).
    """

    columns: Columns
    is_lower_camel: bool = False
    is_first: bool = True


@dataclass(frozen=True, slots=True)
class IntervalBlock:
    """IntervalBlock, or where it is a large one a part of it: see BlockPart."""

    entry: Entry
    columns: Columns
    is_lower_camel: bool = False
    is_first: bool = True


@dataclass(frozen=True, slots=True)
class UsageSummary:
    """UsageSummary or ElectricPowerUsageSummary: a bill. Money in hundred-thousandths.

    `start` is in epoch seconds. `end` is the local end of the period where that is what is said (Con Edison V1).
    """

    entry: Entry
    start: int | None
    duration: int | None
    end: datetime | None = None
    bill_last_period: int | None = None
    bill_to_date: int | None = None
    cost_additional_last_period: int | None = None
    currency: int | None = None
    consumption: int | None = None
    consumption_multiplier: int = 0
    consumption_uom: int | None = None
    quality: int | None = None
    status_timestamp: datetime | None = None
    commodity: int | None = None
    tariff_profile: str = ""
    details: list[Any] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ElectricPowerQualitySummary:
    """ElectricPowerQualitySummary: `start` in epoch seconds, `duration` in seconds, `values` by the standard's names."""

    entry: Entry
    start: int | None
    duration: int | None
    values: dict[str, int] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


class ProgramIdMapping(NamedTuple):
    """What a code of a reading's `tou`, `cpp` or `consumptionTier` (`kind`) means to people."""

    kind: str
    code: int
    name: str
    note: str


@dataclass(frozen=True, slots=True)
class ProgramIdMappings:
    """ProgramIdMappings: one entry for all codes of a data custodian (PG&E contract, 9.3)."""

    entry: Entry
    mappings: tuple[ProgramIdMapping, ...]


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """ServiceStatus: 1 means that the data custodian works normally, 0 that it does not."""

    entry: Entry
    current_status: int | None


@dataclass(frozen=True, slots=True)
class BatchList:
    """BatchList: URLs as written."""

    entry: Entry
    resources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Authorization:
    """Authorization, without any token. Periods are (start, duration) as sent: in seconds, or PG&E's milliseconds."""

    entry: Entry
    status: str
    scope: str
    resource_uri: str
    authorization_uri: str
    customer_resource_uri: str
    authorized_period: tuple[int | None, int | None]
    published_period: tuple[int | None, int | None]
    expires_at: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ApplicationInformation:
    """ApplicationInformation: how a data custodian has us registered, without the secrets in it."""

    entry: Entry
    data_custodian_id: str
    client_id: str
    status: str
    redirect_uris: tuple[str, ...]
    notify_uri: str
    scope_selection_uri: str
    portal_uri: str
    scopes: tuple[str, ...]
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CustomerResource:
    """A resource of the Retail Customer schema: its noun, and in `said` each of its elements by name, texts as texts."""

    entry: Entry
    noun: str
    said: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Other:
    """A resource that is counted and kept with its document; `is_customer`: of the Retail Customer schema."""

    entry: Entry
    name: str
    is_customer: bool


@dataclass(frozen=True, slots=True)
class Unknown:
    """An element that we have no name for, by its path from its resource: `UsagePoint/colour`. It is counted."""

    entry: Entry
    path: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A part of the document that cannot be understood: what it is and why not, in words."""

    entry: Entry
    what: str
    why: str


Resource = (
    UsagePoint
    | MeterReading
    | ReadingType
    | LocalTimeParameters
    | IntervalBlock
    | UsageSummary
    | ElectricPowerQualitySummary
    | ProgramIdMappings
    | ServiceStatus
    | BatchList
    | Authorization
    | ApplicationInformation
    | CustomerResource
    | Other
    | Unknown
    | Refused
)
