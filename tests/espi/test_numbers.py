"""Times as documents write them."""

from datetime import UTC, datetime

import pytest

from espi import numbers

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2026-01-02T03:04:05." + "0" * 100_000 + "Z", "2026-01-02T03:04:05." + "0" * 44 + "Z"]
)
def test_a_time_of_endless_digits_is_no_time(text):
    assert numbers.instant(text) is None


@pytest.mark.parametrize("text", ["2026-01-02T03:04:05." + "0" * 43 + "Z", " " * 1000 + "2026-01-02T03:04:05Z\n"])
def test_many_digits_and_white_space_around_a_time_do_no_harm(text):
    assert numbers.instant(text) == MOMENT
