"""Meter data (ESPI 4.0 usage schema). Readings are packed: a row holds one channel's local day as arrays."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models

from espi.fields import EncryptedJSONField, EncryptedTextField
from espi.models.authorization import Subscription
from espi.models.exchange import Document


class LocalTimeParameters(models.Model):
    """A utility's own statement of its time zone; we cross-check with it, we do not compute with it."""

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE)
    resource_id = models.CharField(max_length=255)
    tz_offset = models.IntegerField(null=True)
    dst_offset = models.IntegerField(null=True)
    dst_start_rule = models.CharField(max_length=16, blank=True)
    dst_end_rule = models.CharField(max_length=16, blank=True)
    extra = models.JSONField(default=dict, help_text="What else was said, by the standard's names.")
    published_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "local time parameters"
        constraints = [models.UniqueConstraint(fields=["subscription", "resource_id"], name="one_local_time_per_id")]


class ProgramIdMapping(models.Model):
    """What a utility calls a code of its readings' `tou`, `cpp` or `consumptionTier`: 6 is "Winter Off Peak" at PG&E."""

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="program_id_mappings")
    kind = models.CharField(max_length=32, help_text="tou, cpp or consumptionTier.")
    code = models.IntegerField()
    name = models.CharField(max_length=255, blank=True)
    note = models.CharField(max_length=255, blank=True)
    published_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subscription", "kind", "code"], name="one_program_id_mapping_per_code")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.code}"


class UsagePoint(models.Model):
    """A service at a place: what a customer calls "my electricity" or "my gas"."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="usage_points")
    resource_id = models.CharField(
        max_length=255,
        help_text="Last path segment of its self link, of an uploaded file the whole address; a digest if longer.",
    )
    service_kind = models.SmallIntegerField(null=True, help_text="ServiceCategory/kind: 0 electricity, 1 gas, 2 water.")
    status = models.SmallIntegerField(null=True)
    title = EncryptedTextField(blank=True, help_text="atom:title; can hold a street address.")
    role_flags = models.CharField(max_length=16, blank=True, help_text="Hexadecimal, as sent.")
    tariff_profile = models.CharField(max_length=255, blank=True, help_text="Of its service delivery point.")
    connection_state = models.CharField(max_length=32, blank=True)
    ami_billing_ready = models.CharField(max_length=32, blank=True)
    phase_code = models.SmallIntegerField(null=True)
    read_cycle = models.CharField(max_length=255, blank=True)
    said = EncryptedJSONField(
        default=dict, editable=False, help_text="Every element of it by the standard's name; some are personal data."
    )
    said_at = models.JSONField(default=dict, editable=False, help_text="When each of these was said.")
    time_zone = models.CharField(max_length=64, default="UTC")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subscription", "resource_id"], name="one_usage_point_per_id")]

    def __str__(self) -> str:
        return f"usage point {self.pk}"  # not what its utility calls it: that can be an account number


class ReadingType(models.Model):
    """What numbers mean; rows with the same content are one row."""

    signature = models.CharField(max_length=64, unique=True, help_text="SHA-256 of all fields.")
    commodity = models.SmallIntegerField(null=True)
    kind = models.SmallIntegerField(null=True)
    uom = models.SmallIntegerField(null=True)
    flow_direction = models.SmallIntegerField(null=True)
    accumulation_behaviour = models.SmallIntegerField(null=True)
    data_qualifier = models.SmallIntegerField(null=True)
    default_quality = models.SmallIntegerField(null=True)
    power_of_ten_multiplier = models.SmallIntegerField(default=0)
    interval_length = models.IntegerField(null=True, help_text="Seconds.")
    time_attribute = models.SmallIntegerField(null=True)
    measuring_period = models.SmallIntegerField(null=True)
    phase = models.SmallIntegerField(null=True)
    tou = models.SmallIntegerField(null=True)
    cpp = models.SmallIntegerField(null=True)
    consumption_tier = models.SmallIntegerField(null=True)
    currency = models.SmallIntegerField(null=True)
    interharmonic = models.CharField(max_length=64, blank=True, help_text="numerator/denominator")
    argument = models.CharField(max_length=64, blank=True, help_text="numerator/denominator")
    extra = models.JSONField(default=dict, help_text="What else was said, by the standard's names.")


class MeterReading(models.Model):
    """One real channel: its history survives the MeterReading ids a utility changes from answer to answer."""

    usage_point = models.ForeignKey(UsagePoint, on_delete=models.CASCADE, related_name="meter_readings")
    channel = models.CharField(max_length=255, help_text="What tells channels of one usage point apart.")
    reading_type = models.ForeignKey(ReadingType, on_delete=models.PROTECT)
    power_of_ten_multiplier = models.SmallIntegerField(default=0, help_text="Of every value stored below.")
    is_register = models.BooleanField(default=False, help_text="Meter dial readings: never added up.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["usage_point", "channel"], name="one_meter_reading_per_channel")]

    def __str__(self) -> str:
        return f"channel {self.pk}"  # not its name: that can be what its utility calls it


class MeterReadingAlias(models.Model):
    """An id that a utility gave a channel: later documents may hold IntervalBlocks and name no more than this."""

    usage_point = models.ForeignKey(UsagePoint, on_delete=models.CASCADE, related_name="+")
    resource_id = models.CharField(max_length=255, help_text="Last path segment of the MeterReading's self link.")
    meter_reading = models.ForeignKey(MeterReading, on_delete=models.CASCADE, related_name="aliases")

    class Meta:
        verbose_name_plural = "meter reading aliases"
        constraints = [
            models.UniqueConstraint(fields=["usage_point", "resource_id"], name="one_channel_per_meter_reading_id"),
        ]


class IntervalBlock(models.Model):
    """One channel, one local day, one interval length. Element i starts at `start + i * interval_length` seconds.

    A NULL element is a reading we do not have; absent is not zero. Values are integers at the channel's multiplier.
    All arrays of a row are equally long. `publications` and `documents` are there where elements came from several
    documents (a day told in parts, a correction); otherwise `published_at` and `document` hold for every element.
    The key begins with the channel and its local day, so that the table can be partitioned by either.
    """

    pk = models.CompositePrimaryKey("meter_reading", "local_date", "interval_length")
    meter_reading = models.ForeignKey(
        MeterReading, on_delete=models.CASCADE, related_name="interval_blocks", db_index=False
    )
    local_date = models.DateField()
    interval_length = models.IntegerField(help_text="Seconds.")
    start = models.BigIntegerField(help_text="Epoch seconds of element 0: the first instant of the local day's grid.")
    values = ArrayField(models.BigIntegerField(null=True))
    costs = ArrayField(models.BigIntegerField(null=True), null=True, help_text="Hundred-thousandths of the currency.")
    qualities = ArrayField(models.SmallIntegerField(null=True), null=True)
    tous = ArrayField(models.SmallIntegerField(null=True), null=True, help_text="Time-of-use buckets.")
    tiers = ArrayField(models.SmallIntegerField(null=True), null=True, help_text="consumptionTier of each reading.")
    cpps = ArrayField(models.SmallIntegerField(null=True), null=True, help_text="Critical peak pricing buckets.")
    total = models.BigIntegerField()
    total_cost = models.BigIntegerField(null=True)
    count = models.IntegerField()
    published_at = models.DateTimeField(null=True, help_text="When the utility said this, as its document tells.")
    document = models.ForeignKey(Document, on_delete=models.SET_NULL, null=True)
    publications = ArrayField(
        models.DateTimeField(null=True), null=True, help_text="The same per element, where elements differ."
    )
    documents = ArrayField(
        models.BigIntegerField(null=True), null=True, help_text="Id of the document per element, where elements differ."
    )


class IntervalReading(models.Model):
    """A reading that fits no grid: months, 0 seconds, 7200 seconds, an odd start."""

    pk = models.CompositePrimaryKey("meter_reading", "start", "duration")
    meter_reading = models.ForeignKey(
        MeterReading, on_delete=models.CASCADE, related_name="interval_readings", db_index=False
    )
    start = models.BigIntegerField(help_text="Epoch seconds.")
    duration = models.BigIntegerField(help_text="Seconds.")
    local_date = models.DateField()
    value = models.BigIntegerField()
    cost = models.BigIntegerField(null=True)
    quality = models.SmallIntegerField(null=True)
    tou = models.SmallIntegerField(null=True)
    tier = models.SmallIntegerField(null=True)
    cpp = models.SmallIntegerField(null=True)
    published_at = models.DateTimeField(null=True)
    document = models.ForeignKey(Document, on_delete=models.SET_NULL, null=True)


class IntervalRevision(models.Model):
    """The audit trail: what a document said of a reading that another document says otherwise.

    `old_` is what does not hold any more, or never held because it arrived after its correction; `new_` is what held
    when this row was written. Whatever the order of arrival, every value that was ever said is either here or stands,
    with its cost, quality, time of use, tier and critical-peak code: where any of them differs there is a row. One thing
    is not here: what a provisional reading said beside its value, once a checked one of the same value took its place.
    """

    meter_reading = models.ForeignKey(MeterReading, on_delete=models.CASCADE, db_index=False)
    start = models.BigIntegerField(help_text="Epoch seconds.")
    duration = models.BigIntegerField(help_text="Seconds.")
    old_value = models.BigIntegerField()
    old_cost = models.BigIntegerField(null=True)
    old_quality = models.SmallIntegerField(null=True)
    old_tou = models.SmallIntegerField(null=True)
    old_tier = models.SmallIntegerField(null=True)
    old_cpp = models.SmallIntegerField(null=True)
    old_published_at = models.DateTimeField(null=True)
    old_document = models.ForeignKey(Document, on_delete=models.SET_NULL, null=True, related_name="+")
    new_value = models.BigIntegerField()
    new_cost = models.BigIntegerField(null=True)
    new_quality = models.SmallIntegerField(null=True)
    new_tou = models.SmallIntegerField(null=True)
    new_tier = models.SmallIntegerField(null=True)
    new_cpp = models.SmallIntegerField(null=True)
    new_published_at = models.DateTimeField(null=True)
    new_document = models.ForeignKey(Document, on_delete=models.SET_NULL, null=True, related_name="+")
    revised_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "meter_reading",
                    "start",
                    "duration",
                    "old_value",
                    "old_cost",
                    "old_quality",
                    "old_tou",
                    "old_tier",
                    "old_cpp",
                    "old_published_at",
                ],
                name="one_revision_per_statement",
                nulls_distinct=False,
            ),
        ]


class UsageSummary(models.Model):
    """A bill. Money is in hundred-thousandths of the currency; `consumption` has its own multiplier and unit.

    A usage point may have two of one period, such as one for electricity and one for gas: `service` tells them apart.
    """

    usage_point = models.ForeignKey(UsagePoint, on_delete=models.CASCADE, related_name="usage_summaries")
    resource_id = models.CharField(max_length=255)
    start = models.BigIntegerField(help_text="Epoch seconds of the billing period.")
    duration = models.BigIntegerField(null=True, help_text="Seconds.")
    bill_last_period = models.BigIntegerField(null=True)
    bill_to_date = models.BigIntegerField(null=True)
    cost_additional_last_period = models.BigIntegerField(null=True)
    currency = models.SmallIntegerField(null=True, help_text="ISO 4217 number as sent: 840 USD, 124 CAD.")
    consumption = models.BigIntegerField(null=True)
    consumption_multiplier = models.SmallIntegerField(default=0)
    consumption_uom = models.SmallIntegerField(null=True)
    quality = models.SmallIntegerField(null=True)
    status_timestamp = models.DateTimeField(null=True)
    commodity = models.SmallIntegerField(null=True)
    service = models.IntegerField(
        null=True,
        help_text="What it tells to be for: a ServiceCategory/kind, or 100 and a commodity that is no service.",
    )
    tariff_profile = models.CharField(max_length=255, blank=True)
    details = models.JSONField(default=list, help_text="Line items as sent, integers as integers.")
    extra = models.JSONField(default=dict, help_text="What else the utility said of this bill.")
    said_at = models.JSONField(default=dict, editable=False, help_text="When each part of it was said.")
    published_at = models.DateTimeField(null=True)
    document = models.ForeignKey(Document, on_delete=models.SET_NULL, null=True)

    class Meta:
        verbose_name_plural = "usage summaries"
        constraints = [
            models.UniqueConstraint(
                fields=["usage_point", "start", "service"], name="one_summary_per_start_and_service"
            ),
        ]


class ElectricPowerQualitySummary(models.Model):
    """Counts and figures of how good the power was in a period, by the standard's names."""

    usage_point = models.ForeignKey(UsagePoint, on_delete=models.CASCADE, related_name="quality_summaries")
    resource_id = models.CharField(max_length=255)
    start = models.BigIntegerField(help_text="Epoch seconds of the summary's interval.")
    duration = models.BigIntegerField(null=True, help_text="Seconds.")
    values = models.JSONField(
        default=dict, help_text="flickerPlt, mainsVoltage, longInterruptions ...: integers as sent."
    )
    extra = models.JSONField(default=dict, help_text="What else was said, by the standard's names.")
    published_at = models.DateTimeField(null=True)
    document = models.ForeignKey(Document, on_delete=models.SET_NULL, null=True)

    class Meta:
        verbose_name_plural = "electric power quality summaries"
        constraints = [models.UniqueConstraint(fields=["usage_point", "start"], name="one_quality_summary_per_start")]
