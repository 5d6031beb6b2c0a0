"""How long a permission stands, as Authorization resources of the utilities say it."""

from datetime import UTC, datetime

import pytest

from espi import authorizations

START = 1709280000  # 1 March 2024, 08:00 UTC
YEAR = 31536000


def read(period):
    entry = f"""<entry xmlns="http://www.w3.org/2005/Atom"><link rel="self" href="https://u.example/Authorization/61234"/>
      <content><Authorization xmlns="http://naesb.org/espi">{period}
      <publishedPeriod><duration>94608000</duration><start>1646208000</start></publishedPeriod>
      <status>1</status><expires_at>1709283600</expires_at><scope>FB=4</scope></Authorization></content></entry>"""
    (found,) = authorizations.read(entry.encode())
    return found.says_end, found.ends_at


def period(start, duration):
    return f"<authorizedPeriod><duration>{duration}</duration><start>{start}</start></authorizedPeriod>"


@pytest.mark.parametrize("scale", [1, 1000], ids=["seconds", "milliseconds"])
def test_the_authorized_period_says_the_end_in_either_unit_and_expires_at_is_not_believed(scale):
    assert read(period(START * scale, YEAR * scale)) == (True, datetime(2025, 3, 1, 8, tzinfo=UTC))


@pytest.mark.parametrize("duration", [0, 4102444800 - START, 10**15])
def test_a_period_without_an_end_is_told_as_such(duration):
    assert read(period(START, duration)) == (True, None)


@pytest.mark.parametrize("words", ["", period("", YEAR), period(START, "long"), period(0, YEAR), period(START, -1)])
def test_what_is_no_period_tells_nothing(words):
    assert read(words) == (False, None)


def test_milliseconds_without_a_unit_of_their_own_are_not_taken_for_a_few_hours():
    assert read(period(START * 1000, 3_000_000)) == (False, None)
