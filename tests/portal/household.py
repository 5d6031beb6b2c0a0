"""A customer as the figures of pages are promised for: three connections, five meters, two years of quarter-hours.

The readings are the sandbox's, so that they look like a home's: a sunny roof in New York, two flats, gas by the hour.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from espi.models import IntervalBlock, IntervalRevision, MeterReading, Subscription, UsagePoint, UsageSummary
from portal.models import User
from tests.portal import rows
from utilities.sandbox.meters import Meter, readings

FIRST, AFTER = date(2024, 3, 1), date(2026, 3, 20)
CENTS = 1000  # hundred-thousandths
PRICE = 25  # hundred-thousandths of a dollar per Wh
LATER = timedelta(days=1)


def household(user: User, first: date = FIRST, after: date = AFTER) -> list[UsagePoint]:
    """Their usage points, the one with solar panels first; readings from `first` up to and without `after`."""
    points = []
    for number, (slug, edition, zone) in enumerate(
        (("cecony", "v2", "America/New_York"), ("pge", "", "America/Los_Angeles"), ("essex", "", "America/Toronto"))
    ):
        held = rows.authorization(rows.registration(slug, edition), str(number), user=user).subscription
        Subscription.objects.filter(pk=held.pk).update(time_zone=zone)
        points += list(meters(held, zone, "gas" if slug != "essex" else ""))
    for point in points:
        fill(point, first, after)
    return points


def meters(held: Subscription, zone: str, second: str) -> Iterator[UsagePoint]:
    made = {"subscription": held, "time_zone": zone}
    yield UsagePoint.objects.create(**made, resource_id="1", service_kind=0)
    if second:
        yield UsagePoint.objects.create(**made, resource_id="2", service_kind=1)


def fill(point: UsagePoint, first: date, after: date) -> None:
    """Electricity, at Con Edison's with what the roof sends out and what it costs; or gas."""
    seed, zone = f"{point.subscription.utility}{point.resource_id}", point.time_zone
    if point.service_kind == 1:
        gas = rows.channel(point, "gas", uom=169, multiplier=-5, commodity=7)
        keep(gas, Meter(seed, seed, "gas", 900, 140_000, "gas", 0, zone), "forward", first, after)
        return
    is_sunny = point.subscription.utility == "cecony"
    meter = Meter(seed, seed, "electricity", 900, 21_000, "home", 16_000 if is_sunny else 0, zone)
    priced = {"currency": 840} if point.subscription.utility == "cecony" else {}
    keep(rows.channel(point, "in", **priced), meter, "forward", first, after, price=PRICE if is_sunny else 0)
    if is_sunny:
        keep(rows.channel(point, "out", flow_direction=19), meter, "reverse", first, after)
    for month in range(4, 16):
        bill(point, date(2024 + month // 12, month % 12 + 1, 1))


def keep(channel: MeterReading, meter: Meter, kind: str, first: date, after: date, *, price: int = 0) -> None:
    """The days of a channel: some estimated, the last ones provisional, one missing, one told otherwise before."""
    zone = ZoneInfo(meter.zone)
    blocks = []
    for number in range((after - first).days):
        day = first + LATER * number
        if number % 97 == 50:
            continue
        start, end = (
            int(datetime(each.year, each.month, each.day, tzinfo=zone).timestamp()) for each in (day, day + LATER)
        )
        values = readings(meter, start, end, channel=kind)
        quality = 14 if number > (after - first).days - 3 else 8 if number % 61 == 30 else 17
        blocks.append(
            IntervalBlock(
                meter_reading=channel,
                local_date=day,
                interval_length=900,
                start=start,
                values=values,
                costs=[value * price for value in values] if price else None,
                qualities=[quality] * len(values),
                total=sum(values),
                total_cost=sum(values) * price if price else None,
                count=len(values),
            )
        )
    IntervalBlock.objects.bulk_create(blocks)
    if len(blocks) > 9:
        told = {"start": blocks[-9].start, "duration": 900, "old_value": -1, "new_value": blocks[-9].values[0]}
        IntervalRevision.objects.create(meter_reading=channel, **told)


def bill(point: UsagePoint, month: date) -> None:
    """A bill of that month that agrees with the meter."""
    after = (month + timedelta(days=31)).replace(day=1)
    zone = ZoneInfo(point.time_zone)
    start, end = (int(datetime(each.year, each.month, 1, tzinfo=zone).timestamp()) for each in (month, after))
    blocks = IntervalBlock.objects.filter(
        meter_reading__usage_point=point, meter_reading__channel="in", local_date__gte=month, local_date__lt=after
    )
    used = sum(blocks.values_list("total", flat=True))
    UsageSummary.objects.create(
        usage_point=point, resource_id=str(month), start=start, duration=end - start, currency=840, consumption_uom=72,
        consumption=used, bill_last_period=used * PRICE + 17 * 100 * CENTS,
        details=[
            {"amount": used * PRICE, "note": "Energy", "itemKind": 3},
            {"amount": 17 * 100 * CENTS, "itemKind": 4},
        ],
    )  # fmt: skip
