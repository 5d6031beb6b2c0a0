"""Rows that tests of the portal begin with."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import connection

from espi.models import (
    ApplicationInformation,
    Authorization,
    FetchJob,
    IntervalBlock,
    MeterReading,
    ReadingType,
    Subscription,
    UsagePoint,
)
from portal.models import User

NOW = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
V1 = "http://localhost:8001/api.coned.com/gbc/v1/resource"
V2 = "http://localhost:8001/api.coned.com/gbc/espi/1_1/resource"
PGE = "https://localhost:8002/api.pge.com/GreenButtonConnect/espi/1_1/resource"
ESSEX = "http://localhost:8001/utilityapi.com/DataCustodian/espi/1_1/resource"
SCOPES = {
    "v1": "FB=1_3_4_5_7_10_13_14_18_32_33_35_37_38_41_44;IntervalDuration=Monthly_3600_900_300;"
    "BlockDuration=Monthly_Daily;HistoryLength=63113904;",
    "v2": "FB=1_3_4_5;IntervalDuration=3600;BlockDuration=Daily;HistoryLength=63072000;BR=000092",
    "": "FB=4_16_39",
}


def registration(slug="cecony", edition="v1", **more):
    """A complete registration in the sandbox."""
    fields = {
        "client_id": f"client-of-{slug}{edition}",
        "client_secret": "s3cret-of-ours",
        "third_party_id": "000092",
        "subscription_key": "apim-key",
        "bulk_id": "50123",
        "webhook_secret": "secret",
    }
    return ApplicationInformation.objects.create(
        utility=slug, environment="sandbox", edition=edition, **(fields | more)
    )


def customer(email="ada@example.com"):
    """A customer who signs in by other means than a password (`force_login`), which saves its hashing."""
    return User.objects.create_user(email)


def authorization(app, number="976", *, user=None, **more):
    """A live connection whose access token has forty minutes left."""
    user = user or User.objects.filter(email="ada@example.com").first() or customer()
    held = Subscription.objects.create(retail_customer=user, utility=app.utility, time_zone="America/New_York")
    fields = {
        "access_token": f"access-{number}",
        "access_token_expires_at": NOW + timedelta(minutes=40),
        "refresh_token": f"refresh-{number}",
        "scope_granted": SCOPES[app.edition],
        "data_granted": ["usage"],
        "utility_authorization_id": f"a{number}",
    }
    return Authorization.objects.create(
        retail_customer=user,
        application_information=app,
        subscription=held,
        utility_subscription_id=number,
        **(fields | more),
    )


def job(authorization, url, **more):
    """A job that is due."""
    fields = {"kind": FetchJob.Kind.USAGE, "not_before": NOW}
    return FetchJob.objects.create(
        application_information=authorization.application_information,
        authorization=authorization,
        url=url,
        **(fields | more),
    )


def usage_point(user, *, zone="America/New_York", utility="cecony", **more):
    held = Subscription.objects.create(retail_customer=user, utility=utility, time_zone=zone)
    fields = {"resource_id": "4100000001", "service_kind": 0, "time_zone": zone}
    return UsagePoint.objects.create(subscription=held, **(fields | more))


def channel(point, name="kwh", *, multiplier=0, is_register=False, **kind):
    """A channel of a usage point; Wh delivered, unless said otherwise."""
    fields = {"uom": 72, "flow_direction": 1, "kind": 12} | kind
    signature = repr(sorted(fields.items()))[:64]
    reading_type, _ = ReadingType.objects.get_or_create(signature=signature, defaults=fields)
    return MeterReading.objects.create(
        usage_point=point,
        channel=name,
        reading_type=reading_type,
        power_of_ten_multiplier=multiplier,
        is_register=is_register,
    )


def day(meter_reading, local_date, values, *, length=3600, **more):
    """One local day of readings on its grid."""
    local_date = date.fromisoformat(local_date) if isinstance(local_date, str) else local_date
    zone = ZoneInfo(meter_reading.usage_point.time_zone)
    start = datetime(local_date.year, local_date.month, local_date.day, tzinfo=zone)
    known = [value for value in values if value is not None]
    return IntervalBlock.objects.create(
        meter_reading=meter_reading,
        local_date=local_date,
        interval_length=length,
        start=int(start.timestamp()),
        values=values,
        total=sum(known),
        count=len(known),
        **more,
    )


def copies(row, source, **other):
    """As many more rows like this one as `source` has; `other`: what differs, in SQL."""
    table = row._meta.db_table
    columns = [field.column for field in row._meta.concrete_fields if not field.primary_key]
    values = [other.get(column, f"like_this.{column}") for column in columns]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {table} AS like_this, {source}"
            f" WHERE like_this.id = {row.pk}"
        )
