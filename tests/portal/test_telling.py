"""Which letters are due about a connection, and when."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.core import mail

from espi.models import Authorization, IntervalReading
from portal.flows import mailing, telling
from portal.models import Letter, User
from tests.portal import rows
from tests.portal.people import person

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 20, 7, 0, tzinfo=UTC)  # midnight in California


@pytest.fixture
def held():
    user = person()
    authorization = rows.authorization(rows.registration("pge", ""), user=user)
    return made(authorization, START)


def made(authorization, at):
    Authorization.objects.filter(pk=authorization.pk).update(created_at=at)
    authorization.refresh_from_db()
    return authorization


def days_on(number):
    return START + timedelta(days=number)


def written(first, last, look, *, step=12):
    """The days, counted from START, on which something was written, if one looks every `step` hours."""
    found, before = [], Letter.objects.count()
    for hour in range(first * 24, last * 24, step):
        look(START + timedelta(hours=hour))
        if Letter.objects.count() > before:
            found.append(hour // 24)
            before = Letter.objects.count()
    return found


def test_a_permission_that_ends_is_told_14_7_and_1_days_before(held):
    held.end_date = date(2026, 5, 1)  # 42 days on
    held.save()
    assert written(26, 43, telling.remind) == [28, 35, 41]
    mailing.send_due(days_on(41) + timedelta(hours=1))
    assert "Tomorrow is the last day" in mail.outbox[-1].body
    assert set(Letter.objects.values_list("kind", flat=True)) == {"expiring"}


def test_a_permission_agreed_to_for_ten_days_is_told_7_and_1_days_before(held):
    held.end_date = date(2026, 3, 30)
    held.save()
    assert written(0, 12, telling.remind) == [3, 9]


def test_the_notices_stop_when_it_was_repaired_elsewhere(held):
    held.end_date = date(2026, 5, 1)
    held.save()
    telling.remind(days_on(28))
    newer = rows.authorization(held.application_information, "977", user=held.retail_customer)
    newer.subscription = held.subscription
    newer.save()
    assert mailing.send_due(days_on(28)) == 0
    assert Letter.objects.get().reason == "Another connection has taken its place."
    assert written(28, 43, telling.remind) == []


def test_what_needs_the_customer_is_told_once_a_week_and_four_times_at_most(held):
    held.status = "needs_reconnect"
    held.save()
    assert written(0, 30, telling.tell, step=24) == [0, 7, 14, 21]


def test_an_end_is_told_once_and_a_second_end_again(held):
    for day in (1, 40):
        held.status, held.ended_at, held.end_date = "expired", days_on(day), days_on(day).date()
        held.save()
        telling.tell(days_on(day))
        assert not Letter.objects.filter(created_at=days_on(day)).exists()  # it may turn out to be replaced
        telling.tell(days_on(day) + timedelta(hours=1))
        telling.tell(days_on(day + 1))
        held.status = "active"
        held.save()
    assert Letter.objects.filter(kind="expired").count() == 2


def test_what_was_stopped_at_the_utility_is_told(held):
    held.status, held.ended_at = "revoked", START
    held.save()
    for _ in range(2):
        telling.tell(days_on(1))
    mailing.send_due(days_on(1))
    assert [message.subject for message in mail.outbox] == ["Sharing from PG&E was stopped there"]


def test_an_end_of_long_ago_is_no_news(held):
    held.status, held.ended_at = "revoked", days_on(-30)
    held.save()
    telling.tell(START)
    assert not Letter.objects.exists()


def test_a_summary_comes_every_90_days_and_once_a_year_the_reminder_takes_its_place(held):
    for day in range(0, 740, 5):
        telling.remind(days_on(day))
    days = [((letter.created_at - START).days, letter.kind) for letter in Letter.objects.order_by("pk")]
    first, second = [(95, "summary"), (185, "summary"), (275, "summary")], [(460, "summary"), (550, "summary")]
    assert days == [*first, (370, "yearly"), *second, (640, "summary"), (735, "yearly")]


def test_who_shares_nothing_is_reminded_of_nothing(held):
    Authorization.objects.update(status="withdrawn")
    assert written(364, 368, telling.remind) == []


def test_words_are_in_the_customers_language(held):
    User.objects.filter(pk=held.retail_customer_id).update(language="fr-ca")
    held.end_date = date(2026, 5, 1)
    held.save()
    telling.remind(days_on(28))
    letter = Letter.objects.get()
    assert (letter.language, letter.values["ends"]) == ("fr-ca", "1 mai 2026")


def test_the_first_data_are_told_also_where_they_fit_no_grid(held):
    channel = rows.channel(held.subscription.usage_points.create(resource_id="1"))
    telling.tell(days_on(1))
    assert not Letter.objects.filter(kind="first_data").exists()
    IntervalReading.objects.create(meter_reading=channel, start=1, duration=7, local_date=date(2026, 3, 18), value=5)
    telling.tell(days_on(1))
    assert Letter.objects.filter(kind="first_data").count() == 1
