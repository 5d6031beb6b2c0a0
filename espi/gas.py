"""Cubic feet or hundreds of them? A bill and the readings of its period tell, where a utility's words are in doubt.

Con Edison's document gives readings in uom 119, cubic feet, and says that gas is billed in CCF, hundreds of them (its
contract, 5.5). A mistake would be a factor of 100, which no other cause brings about.
"""

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from espi import enums, models, usage

_HUNDREDFOLD = (Decimal(50), Decimal(200))
_MOST_BILLS = 3
WORDS = "a bill and the readings of its period differ by a factor of about 100: cubic feet, or hundreds of them (CCF)?"


def disagrees(usage_point: models.UsagePoint) -> bool:
    """Whether one of the latest bills in cubic feet counts about a hundred times what was read, or a hundredth of it."""
    bills = usage_point.usage_summaries.filter(
        consumption_uom__in=enums.CUBIC_FEET, consumption__gt=0, duration__isnull=False
    )
    return any(_is_hundredfold(usage_point, bill) for bill in bills.order_by("-start")[:_MOST_BILLS])


def _is_hundredfold(usage_point: models.UsagePoint, bill: models.UsageSummary) -> bool:
    read = _read(usage_point, bill)
    if not read or bill.consumption is None:
        return False
    billed = Decimal(bill.consumption).scaleb(bill.consumption_multiplier)
    return any(low < ratio < high for ratio in (billed / read, read / billed) for low, high in [_HUNDREDFOLD])


def _read(usage_point: models.UsagePoint, bill: models.UsageSummary) -> Decimal:
    """The sum of the readings of a bill's days in cubic feet; 0 unless nearly all of them are here."""
    zone = ZoneInfo(usage_point.time_zone)
    first, after = (datetime.fromtimestamp(at, zone).date() for at in (bill.start, bill.start + (bill.duration or 0)))
    for channel, days in usage.daily_totals(usage_point, first, after).items():
        if channel.uom in enums.CUBIC_FEET and len(days) * 10 >= (after - first).days * 9:
            return usage.amount(channel, sum(day.value for day in days))
    return Decimal(0)
