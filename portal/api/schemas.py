"""What the API answers. Field texts stand in the OpenAPI document."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from ninja import Field, Schema

Amount = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$", description="An exact decimal.", examples=["1.234"])]
Instant = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$",
        description="ISO 8601 with the offset of the meter's clock at that time.",
        examples=["2025-11-02T01:00:00-05:00"],
    ),
]
Epoch = Annotated[int, Field(description="Seconds since 1970-01-01T00:00:00Z.")]
Currency = Annotated[str | None, Field(description="ISO 4217, for example USD.")]


class Error(Schema):
    """What went wrong: a word for programs, and a sentence for people."""

    error: Annotated[str, Field(examples=["not_found"])]
    message: str


class Connection(Schema):
    """A connection to a utility, or the files that the customer uploaded."""

    id: UUID
    name: Annotated[str, Field(description="The utility, in words.")]
    utility: Annotated[str | None, Field(description="The utility's short name; null for uploaded files.")]
    state: Annotated[str, Field(description="As on the dashboard.", examples=["Receiving data"])]
    detail: Annotated[str, Field(description="More about the state, in words.")]
    connected_on: date | None
    allowed_until: Annotated[date | None, Field(description="The last day that the customer agreed to, if any.")]
    usage_points: Annotated[list[UUID], Field(description="The ids of its meters.")]


class Channel(Schema):
    """One series of a meter's readings."""

    id: UUID
    measurement: Annotated[str | None, Field(examples=["energy"])]
    flow_direction: Annotated[
        str | None,
        Field(description="delivered to the customer, received from him, net, total.", examples=["delivered"]),
    ]
    unit: Annotated[str | None, Field(description="The plain unit of every value: Wh, not kWh.", examples=["Wh"])]
    currency: Currency
    is_register: Annotated[bool, Field(description="Dial readings, which include all earlier ones.")]
    is_addable: Annotated[bool, Field(description="Whether values may be added over time.")]
    interval_lengths: Annotated[list[int], Field(description="Seconds; readings of other lengths may be there too.")]
    first_date: Annotated[date | None, Field(description="The local day on which the first reading begins.")]
    last_date: Annotated[date | None, Field(description="The local day on which the last reading begins.")]


class UsagePoint(Schema):
    """A meter: a service at a place."""

    id: UUID
    name: Annotated[str, Field(description="As the dashboard calls it.", examples=["Electricity"])]
    connection: Annotated[UUID, Field(description="The id of its connection.")]
    service: Annotated[str | None, Field(examples=["electricity"])]
    time_zone: Annotated[str, Field(description="In which its days are cut.", examples=["America/New_York"])]
    first_date: Annotated[date | None, Field(description="The first local day with a reading.")]
    last_date: Annotated[date | None, Field(description="The last local day that a reading covers.")]
    has_bills: bool


class Reading(Schema):
    """One reading."""

    start: Instant
    start_epoch: Epoch
    duration: Annotated[int, Field(description="Seconds; 0 for an instant.")]
    value: Amount
    quality: Annotated[str | None, Field(examples=["validated"])]
    quality_code: Annotated[int | None, Field(description="As the standard numbers it (QualityOfReading).")]
    cost: Amount | None
    tou: Annotated[int | None, Field(description="Time of use, as the utility numbers it.")]
    consumption_tier: int | None
    cpp: Annotated[int | None, Field(description="Critical peak pricing, as the utility numbers it.")]


class Readings(Schema):
    """Readings in order of start and duration, and where to go on."""

    channel: Channel
    readings: list[Reading]
    next: Annotated[str | None, Field(description="The address of what follows; null at the end.")]


class Day(Schema):
    """One local day."""

    date: date
    value: Amount
    cost: Amount | None
    readings: Annotated[int, Field(description="How many are known.")]
    is_complete: Annotated[bool, Field(description="Whether they cover the whole day, of 23 to 25 hours.")]


class ChannelDays(Schema):
    """The days of a channel. A day of which nothing is known is not listed: absent is not zero."""

    channel: Channel
    days: list[Day]


class Month(Schema):
    """One local calendar month."""

    month: Annotated[date, Field(description="Its first day.")]
    value: Amount
    cost: Amount | None
    days: Annotated[int, Field(description="How many days of it have data.")]
    is_complete: bool
    from_long_readings: Annotated[
        bool, Field(description="Made of readings longer than a day, each put whole into the month of its middle.")
    ]


class ChannelMonths(Schema):
    """The months of a channel."""

    channel: Channel
    months: list[Month]


class Bill(Schema):
    """A bill; what the utility did not say is null."""

    period_start: Instant
    period_start_epoch: Epoch
    period_duration: Annotated[int | None, Field(description="Seconds.")]
    commodity: Annotated[str | None, Field(examples=["electricity"], description="Tells bills of one period apart.")]
    consumption: Amount | None
    unit: Annotated[str | None, Field(examples=["Wh"])]
    cost: Amount | None
    cost_to_date: Amount | None
    additional_cost: Amount | None
    currency: Currency
    quality: str | None
    tariff: str | None
    items: Annotated[list["BillItem"], Field(description="Line items.")]


class BillItem(Schema):
    """A line item, as far as it is what the standard has; what is not is in the Green Button file."""

    note: str | None
    kind: Annotated[str | None, Field(examples=["energy usage fee"])]
    cost: Amount | None
    quantity: Amount | None
    unit: str | None


class Bills(Schema):
    """Bills, the oldest first, and where to go on."""

    bills: list[Bill]
    next: Annotated[str | None, Field(description="The address of what follows; null at the end.")]


class Statement(Schema):
    """What a document said of a reading."""

    value: Amount
    quality: Annotated[str | None, Field(examples=["validated"])]
    quality_code: int | None
    cost: Amount | None
    tou: int | None
    consumption_tier: int | None
    cpp: int | None
    published_at: Annotated[datetime | None, Field(description="When the utility said it, as far as it tells.")]


class Revision(Schema):
    """A reading of which two things were said."""

    start: Instant
    start_epoch: Epoch
    duration: Annotated[int, Field(description="Seconds; 0 for an instant.")]
    old: Annotated[Statement, Field(description="What does not hold.")]
    new: Annotated[Statement, Field(description="What held instead when this was noted.")]
    revised_at: Annotated[datetime, Field(description="When this was noted.")]


class Revisions(Schema):
    """Revisions in order of the readings' start and duration, and where to go on."""

    channel: Channel
    revisions: list[Revision]
    next: Annotated[str | None, Field(description="The address of what follows; null at the end.")]


class CustomerResource(Schema):
    """What the utility told of the customer: a resource of the standard's Retail Customer schema."""

    id: UUID
    kind: Annotated[str, Field(description="The standard's name for it.", examples=["ServiceLocation"])]
    belongs_to: Annotated[list[UUID], Field(description="The ids of those it belongs to, the outermost first.")]
    said: Annotated[dict[str, Any], Field(description="Every element, by the standard's names.")]
    said_at: Annotated[dict[str, str], Field(description="When each element was said last (ISO 8601, UTC).")]


class CustomerData(Schema):
    """Resources, those first that others belong to, and where to go on."""

    resources: list[CustomerResource]
    next: Annotated[str | None, Field(description="The address of what follows; null at the end.")]


Bill.model_rebuild()
