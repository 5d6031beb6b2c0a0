"""What documents say of a UsagePoint -> its row. Whatever order they come in, the last word on each element stands."""

from espi import models, parse, resources
from espi.records import Record

_FIELDS = (
    "status",
    "role_flags",
    "tariff_profile",
    "connection_state",
    "ami_billing_ready",
    "phase_code",
    "read_cycle",
)


def store(record: Record, row: models.UsagePoint) -> None:
    """Add to the row what was said."""
    before = Record(row.said, row.said_at)
    after = before.merged(record)
    if after == before:
        return
    row.said, row.said_at = after.said, after.said_at
    understood = parse.usage_point(resources.Entry(), after.said)
    for name in _FIELDS:
        value = getattr(understood, name)
        if value not in (None, ""):
            setattr(row, name, value)
    row.save(update_fields=["said", "said_at", *_FIELDS])
