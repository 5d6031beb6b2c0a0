"""What letters need beside Django's own tags."""

from datetime import UTC, datetime

from django import template
from django.utils.formats import date_format

register = template.Library()


@register.filter
def instant(written: str) -> str:
    """An instant in ISO 8601, for people, in the language of the letter: date, time of day, and that it is UTC."""
    at = datetime.fromisoformat(written).astimezone(UTC)
    return f"{date_format(at, 'DATETIME_FORMAT')} UTC"
