"""Gaps: days between others for which a channel has no readings, found for many connections in one query.

They are asked for again a few times, each time after a longer pause. Some stay empty: a meter that was off has none.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from django.db import connection

from espi import usage
from espi.models import Authorization
from portal.models import DataGap

MOST_TIMES = 3
PAUSES = {1: timedelta(days=3), 2: timedelta(days=30)}  # after having asked so many times
LONGEST_INTERVAL = usage.LONGEST_DAY  # seconds: of months there is no day to miss
LOOKED_BACK = timedelta(days=730)
WIDEST = timedelta(days=31)  # in one request

FIND = """
    WITH channel AS MATERIALIZED (
        SELECT channel.id, point.subscription_id
        FROM espi_meterreading AS channel JOIN espi_usagepoint AS point ON point.id = channel.usage_point_id
        WHERE point.subscription_id = ANY(%(subscriptions)s) AND NOT channel.is_register
    ), day AS (
        SELECT channel.*, block.local_date
        FROM channel JOIN espi_intervalblock AS block ON channel.id = block.meter_reading_id
        WHERE block.interval_length <= %(longest)s AND block.local_date >= %(since)s
        UNION ALL
        SELECT channel.*, single.local_date
        FROM channel JOIN espi_intervalreading AS single ON channel.id = single.meter_reading_id
        WHERE single.duration <= %(longest)s AND single.local_date >= %(since)s
    ), held AS (
        SELECT *, lead(local_date) OVER (PARTITION BY id ORDER BY local_date) AS following FROM day
    )
    SELECT subscription_id, id, local_date + 1, following - 1 FROM held WHERE following > local_date + 1
"""


def to_ask_for(authorizations: Sequence[Authorization], *, now: datetime) -> list[tuple[Authorization, date, date]]:
    """(connection, first day, day after the last) of what is missing and is to be asked for now; noted as asked for."""
    owners = {each.subscription_id: each for each in authorizations if each.subscription_id}
    if not owners:
        return []
    windows: dict[int, list[tuple[date, date]]] = defaultdict(list)
    for subscription_id, meter_reading_id, first, last in found(list(owners), now):
        if is_asked_for(meter_reading_id, first, last, now):
            windows[subscription_id].append((first, last + timedelta(days=1)))
    return [
        (owners[subscription_id], first, after)
        for subscription_id, some in windows.items()
        for first, after in merged(some)
    ]


def found(subscription_ids: list[int], now: datetime) -> list[tuple[int, int, date, date]]:
    """(subscription, channel, first and last missing day). Notes as filled what is not missing any more."""
    with connection.cursor() as cursor:
        since = (now - LOOKED_BACK).date()
        cursor.execute(FIND, {"subscriptions": subscription_ids, "longest": LONGEST_INTERVAL, "since": since})
        missing = cursor.fetchall()
    known = DataGap.objects.filter(
        meter_reading__usage_point__subscription__in=subscription_ids, filled_at=None
    ).values_list("pk", "meter_reading_id", "first_day")
    still = {(channel, first) for _, channel, first, _ in missing}
    filled = [pk for pk, channel, first in known if (channel, first) not in still]
    DataGap.objects.filter(pk__in=filled).update(filled_at=now)
    return missing


def is_asked_for(meter_reading_id: int, first: date, last: date, now: datetime) -> bool:
    """Whether a gap is to be asked for now; it is noted."""
    gap, is_new = DataGap.objects.get_or_create(
        meter_reading_id=meter_reading_id, first_day=first, defaults={"last_day": last, "asked_at": now}
    )
    rested = is_new or now - gap.asked_at >= PAUSES.get(gap.times_asked, timedelta(0))
    if gap.times_asked >= MOST_TIMES or not rested:
        return False
    gap.times_asked, gap.asked_at, gap.last_day, gap.filled_at = gap.times_asked + 1, now, last, None
    gap.save()
    return True


def merged(windows: list[tuple[date, date]]) -> list[tuple[date, date]]:
    """The same days in fewer windows, none wider than a month."""
    together: list[tuple[date, date]] = []
    for first, after in sorted(windows):
        if together and first <= together[-1][1]:
            together[-1] = (together[-1][0], max(after, together[-1][1]))
        else:
            together.append((first, after))
    return [part for window in together for part in cut(*window)]


def cut(first: date, after: date) -> list[tuple[date, date]]:
    """A window in parts of a month at most."""
    parts = []
    while first < after:
        parts.append((first, min(after, first + WIDEST)))
        first += WIDEST
    return parts
