"""What ends soon and what is idle; and how complete a meter's data are, day by day."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.utils import timezone
from lxml import html

from espi.models import Document, FetchJob, IntervalReading, IntervalRevision
from portal.admin import exchange
from portal.flows import alerts, looking
from portal.flows.staffing import completeness, ending
from portal.models import FetchPlan, StaffAccess, StaffAlert
from tests.portal import rows
from tests.portal.people import staff
from tests.portal.test_roles import WHY, member
from tests.portal.test_staff_actions import FILE
from tests.portal.test_staff_pages import MOST_STATEMENTS, said

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client):
    user = member("operator")
    client.force_login(user)
    return user


# --- What ends soon -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (5, "5 days left: within 7 days"),
        (30, "30 days left: within 30 days"),
        (60, "60 days left: within 60 days"),
        (61, "61 days left"),
        (-1, "Ended, or cannot be read."),
        (None, "Not known: the date is not filled in."),
    ],
)
def test_a_secret_says_how_near_its_end_is(client, operator, days, words):
    ends = None if days is None else timezone.now().date() + timedelta(days=days)
    app = rows.registration(secret_ends_on=ends)
    text = said(client.get("/staff/ending/"))
    assert f"{app}, client secret: {words} Announced" in text


def test_a_certificate_that_cannot_be_read_stands_first(client, operator):
    rows.registration(secret_ends_on=timezone.now().date() + timedelta(days=3))
    rows.registration("pge", "", client_certificate_path="/nowhere/at/all.pem")
    first = html.fromstring(client.get("/staff/ending/").content.decode()).xpath("//ul/li[contains(., 'client ')]")[0]
    assert "client certificate: Ended, or cannot be read." in " ".join(first.text_content().split())


def test_files_idle_connections_and_stale_tokens_are_listed(client, operator):
    now = timezone.now()
    app = rows.registration()
    held = rows.authorization(app, access_token_expires_at=now - timedelta(days=50))
    used = rows.authorization(app, "977", access_token_expires_at=now + timedelta(hours=1))
    for each, days in ((held, 41), (used, 1)):
        FetchPlan.objects.create(
            application_information=app, authorization=each, part="usage", answered_at=now - timedelta(days=days)
        )
        type(each).objects.filter(pk=each.pk).update(created_at=now - timedelta(days=100))
    old, young = (rows.job(held, f"{FILE}{number}", kind="download") for number in range(2))
    FetchJob.objects.filter(pk=old.pk).update(created_at=now - timedelta(hours=25))
    words = said(client.get("/staff/ending/"))
    assert f"Job {old.pk}, " in words
    assert f"Job {young.pk}, " not in words
    assert f"Connection {held.pk}, {app}: 41 days" in words
    assert f"Connection {held.pk}, {app}: since" in words
    assert f"Connection {used.pk}, " not in words


def test_staff_are_mailed_once_at_thirty_seven_and_one_day_before_a_secret_ends(settings):
    settings.ADMINS = [("Staff", "staff@example.com")]
    now = timezone.now()
    app = rows.registration(secret_ends_on=now.date() + timedelta(days=40))
    told = []
    for days in (0, 10, 11, 33, 34, 39, 40, 41):
        ending.tell(now + timedelta(days=days))
        alerts.send_mails(now + timedelta(days=days))
        told.append(len(mail.outbox))
    assert told == [0, 1, 1, 2, 2, 3, 3, 3]
    assert [message.subject.partition(": ")[2] for message in mail.outbox] == [
        f"client secret ends within {words}" for words in ("30 days", "7 days", "1 day")
    ]
    assert StaffAlert.objects.get(closed_at=None).application_information == app


def test_a_certificate_that_was_renewed_is_no_alert_any_more_and_the_next_one_is_told_anew():
    now = timezone.now()
    app = rows.registration(client_secret="", client_certificate_path="/nowhere/at/all.pem")
    ending.tell(now)
    assert StaffAlert.objects.get().subject == f"{app}: client certificate ends within 1 day"
    app.client_certificate_path, app.client_secret, app.secret_ends_on = "", "s", now.date() + timedelta(days=90)
    app.save()
    ending.tell(now)
    assert StaffAlert.objects.get(closed_at=now).subject.endswith("1 day")
    assert not StaffAlert.objects.filter(closed_at=None).exists()


# --- Completeness ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def point():
    return rows.usage_point(rows.customer())


def page_of(point):
    return f"/staff/meters/{point.public_id}/"


def test_each_day_is_told_as_whole_part_or_missing_by_the_meters_own_clock(point):
    kwh = rows.channel(point)
    rows.day(kwh, "2026-03-07", [1] * 24)
    rows.day(kwh, "2026-03-08", [1] * 23)  # clocks go forward: 23 hours are the whole day
    rows.day(kwh, "2026-03-09", [1] * 23 + [None])
    rows.day(kwh, "2026-03-11", [None] * 24)
    [calendar] = completeness.calendars(point, date(2026, 3, 1))
    assert [month for month, _ in calendar.months][0::11] == [date(2025, 4, 1), date(2026, 3, 1)]
    march = calendar.months[-1][1]
    assert march[6:11] == ["all", "all", "part", "none", "none"]
    assert calendar.months[-2][1][27:] == ["none", "", "", ""]  # February has 28 days


def single(channel, start, hours, day):
    begins = int(datetime.fromisoformat(start).replace(tzinfo=ZoneInfo("America/New_York")).timestamp())
    IntervalReading.objects.create(
        meter_reading=channel, start=begins, duration=hours * 3600, local_date=date.fromisoformat(day), value=1
    )


def test_days_and_months_told_in_one_reading_are_whole(point):
    gas, water = rows.channel(point, "gas"), rows.channel(point, "water")
    single(gas, "2026-03-06T00:00:01", 24, "2026-03-06")
    single(gas, "2026-03-08T00:00:00", 24, "2026-03-08")  # clocks go forward
    single(gas, "2026-03-09T00:30:00", 12, "2026-03-09")
    single(water, "2026-01-20T12:00:00", 24 * 30, "2026-01-20")
    first, second = completeness.calendars(point, date(2026, 3, 1))
    assert first.months[-1][1][5:9] == ["all", "none", "all", "part"]
    (_, january), (_, february), (_, march) = second.months[-3:]
    assert january[18:31] == ["none", "part", *["all"] * 11]
    assert february[:20] == [*["all"] * 18, "part", "none"]
    assert set(march) == {"none"}
    (calendar,) = [each for each in completeness.calendars(point, date(2027, 1, 1)) if each.channel == water]
    assert calendar.months[0][1][:20] == [*["all"] * 18, "part", "none"]  # a year that begins within the reading


def test_the_page_wants_a_reason_and_tells_what_was_refused_and_revised(client, point, django_assert_max_num_queries):
    kwh = rows.channel(point, multiplier=-3)
    rows.day(kwh, "2026-03-07", [1] * 24)
    otherwise = {"old_value": 1, "new_value": 2, "old_quality": 17, "new_quality": 19}
    IntervalRevision.objects.create(meter_reading=kwh, start=1, duration=3600, **otherwise)
    refused = {"refused": [{"what": "IntervalReading", "why": "its duration is zero", "count": 7}]}
    for number in range(2):
        Document.objects.create(
            subscription=point.subscription, sha256=str(number), size=1, received_at=rows.NOW, summary=refused
        )
    helper, owner = member("support"), point.subscription.retail_customer
    client.force_login(helper)
    assert client.get(page_of(point))["Location"].startswith(f"/staff/reason/{owner.pk}/")
    looking.give_reason(staff=helper, customer=owner, reason=WHY, now=timezone.now())
    with django_assert_max_num_queries(MOST_STATEMENTS):
        answer = client.get(page_of(point))
    words = said(answer)
    assert "1 readings were said otherwise" in words
    assert f"1969-12-31 19:00 {kwh.pk} 0.001 Wh, quality 17 0.002 Wh, quality 19 20" in words
    assert "IntervalReading: its duration is zero (14 times)" in words
    cells = html.fromstring(answer.content.decode()).xpath("//tr[th='2026-03']/td/span/text()")
    assert cells[5:8] == ["none", "all", "none"]
    assert StaffAccess.objects.get(kind="look").what == f"espi.usagepoint {point.pk}"


def test_a_document_leads_to_its_readings_and_a_meter_to_its_documents(client, point):
    helper, owner = member("support"), point.subscription.retail_customer
    client.force_login(helper)
    looking.give_reason(staff=helper, customer=owner, reason=WHY, now=timezone.now())
    paper, empty = (
        Document.objects.create(subscription=point.subscription, sha256=each, size=1, received_at=rows.NOW)
        for each in "ab"
    )
    kwh = rows.channel(point)
    rows.day(kwh, "2026-03-07", [1] * 24, document=paper)
    rows.day(kwh, "2026-03-08", [1] * 23, document=paper)
    page = html.fromstring(client.get(f"/staff/espi/document/{paper.pk}/change/").content.decode())
    (link,) = page.xpath("//a[contains(@href, '/staff/meters/')]")
    assert link.text == f"Meter {point.pk}, channel {kwh.pk}: 2026-03-07 to 2026-03-08, 47 readings"
    assert link.get("href") == f"{page_of(point)}?month=2026-03"
    back = html.fromstring(client.get(page_of(point)).content.decode()).xpath("//section[h2[@id='sources']]//a/@href")
    assert back == [f"/staff/espi/document/{paper.pk}/change/"]
    nothing = client.get(f"/staff/espi/document/{empty.pk}/change/").content.decode()
    assert "None: refused, known before, or replaced" in nothing


def test_of_a_document_of_very_many_channels_the_first_are_links_and_the_rest_a_number(client, point, monkeypatch):
    monkeypatch.setattr(exchange, "MOST_LINKS", 1)
    client.force_login(staff())
    monkeypatch.setattr(looking, "reason", lambda **asked: WHY)
    paper = Document.objects.create(subscription=point.subscription, sha256="a", size=1, received_at=rows.NOW)
    for name in ("gas", "water", "steam"):
        single(channel := rows.channel(point, name), "2026-03-06T00:00:01", 24, "2026-03-06")
        IntervalReading.objects.filter(meter_reading=channel).update(document=paper)
    page = client.get(f"/staff/espi/document/{paper.pk}/change/").content.decode()
    assert (page.count("/staff/meters/"), "<div>And 2 more</div>" in page) == (1, True)
    assert completeness.sources(point) == [paper.pk]  # where no reading fits a grid, too


@pytest.mark.parametrize("month", ["x", "0000-00", "9999-12", "0001-01", "2026-13", "%00", "1" * 500])
def test_b14_hostile_months_are_no_fault(client, point, month):
    helper = member("support")
    client.force_login(helper)
    looking.give_reason(staff=helper, customer=point.subscription.retail_customer, reason=WHY, now=timezone.now())
    rows.channel(point)
    assert client.get(f"{page_of(point)}?month={month}").status_code == 200


@pytest.mark.parametrize("by", [-12, -1, 0, 1, 11, 12])
def test_months_are_shifted_as_on_a_calendar(by):
    month = datetime(2026, 3, 1, tzinfo=UTC).date()
    found = completeness.shifted(month, by)
    assert (found.year - month.year) * 12 + found.month - month.month == by
    assert found.day == 1


def test_e08_pages_of_meters_are_not_for_operators(client, operator, point):
    assert client.get(page_of(point)).status_code == 403
