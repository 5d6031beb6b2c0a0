"""A customer takes his data along: from the page "Download my data", only his own, also when sharing has ended."""

import csv
import io
import logging
from datetime import date

import pytest
from django.test import Client
from django.utils import timezone
from lxml import html

from espi.models import Authorization, CustomerAccount, IntervalRevision, UsagePoint, UsageSummary
from portal import limits
from portal.flows.withdraw import withdraw
from portal.models import User
from tests.espi import green_button
from tests.portal import rows

pytestmark = pytest.mark.django_db
WINTER = 1736917200  # 15 January 2025, midnight in New York


@pytest.fixture
def held():
    """A live connection of ada's with a meter, a day of readings and a bill."""
    authorization = rows.authorization(rows.registration())
    point = meter(authorization.subscription)
    UsageSummary.objects.create(
        usage_point=point, resource_id="b", start=WINTER, duration=86400, bill_last_period=100000, currency=840
    )
    return authorization


def meter(subscription, number="1", day="2025-01-15", **more):
    point = UsagePoint.objects.create(
        subscription=subscription, resource_id=number, **{"service_kind": 0, "time_zone": "America/New_York"} | more
    )
    rows.day(rows.channel(point, multiplier=-3), day, [1500] * 24)
    return point


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def client(held):
    return signed_in(held.retail_customer)


def form(*points, **more):
    return {"meter": [str(point.public_id) for point in points], "kind": "readings", "period": "all"} | more


def body(answer):
    return b"".join(answer.streaming_content)


def table(answer):
    assert answer.status_code == 200, answer.content
    return list(csv.DictReader(io.StringIO(body(answer).decode())))


def point():
    return UsagePoint.objects.get()


def test_readings_arrive_as_a_table_with_a_plain_name_that_nobody_caches(client):
    answer = client.post("/download", form(point()))
    lines = table(answer)
    assert len(lines) == 24
    assert lines[0]["start"] == "2025-01-15T00:00:00-05:00"
    assert (lines[0]["value"], lines[0]["unit"]) == ("1.5", "Wh")
    assert lines[0]["meter"] == "Electricity, Con Edison (CECONY)"
    assert answer["Content-Type"].startswith("text/csv; charset=utf-8")
    assert answer["Content-Disposition"] == 'attachment; filename="share-my-meter-electricity-readings-all.csv"'
    assert {"private", "no-store"} <= set(answer["Cache-Control"].split(", "))
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer.streaming


def test_bills_arrive_as_a_table(client):
    answer = client.post("/download", form(point(), kind="bills", period="2025"))
    assert [(line["cost"], line["currency"]) for line in table(answer)] == [("1", "USD")]
    assert "bills-2025-01-01-to-2025-12-31.csv" in answer["Content-Disposition"]


def test_d14_green_button_xml_is_valid_and_named_as_xml(client):
    answer = client.post("/download", form(point(), kind="green-button"))
    content = body(answer)
    assert green_button.problems(content) == []
    assert content.count(b"<IntervalReading>") == 24
    assert b"http://localhost:8000/espi/1_1/resource/Subscription/" in content
    assert answer["Content-Type"] == "application/atom+xml; charset=utf-8"
    assert answer["Content-Disposition"].endswith('green-button-all.xml"')
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_d14_a_file_name_holds_nothing_but_letters_digits_and_hyphens(client, settings):
    settings.PORTAL_NAME = 'Zähler"; filename="evil.exe\r\nX: y/../..'
    answer = client.post("/download", form(point()))
    assert answer["Content-Disposition"] == (
        'attachment; filename="zahler-filenameevilexe-x-y-electricity-readings-all.csv"'
    )


def test_days_from_one_to_another_include_both(client):
    subscription = point().subscription
    second = meter(subscription, "2", "2025-01-16")
    asked = form(*UsagePoint.objects.all(), period="dates", first="2025-01-15", last="2025-01-15")
    assert len(table(client.post("/download", asked))) == 24
    assert len(table(client.post("/download", asked | {"last": "2025-01-16"}))) == 48
    assert {line["meter"] for line in table(client.post("/download", form(second)))} == {
        "Electricity, meter 2, Con Edison (CECONY)"
    }


def test_several_meters_of_several_connections_share_a_file(client, held):
    other = rows.usage_point(held.retail_customer, zone="America/Los_Angeles", utility="pge", service_kind=1)
    rows.day(rows.channel(other, uom=169), "2025-02-01", [1] * 24)
    answer = client.post("/download", form(*UsagePoint.objects.order_by("pk")))
    assert "energy-readings-all.csv" in answer["Content-Disposition"]
    found = {(line["meter"], line["service"], line["unit"], line["start"][-6:]) for line in table(answer)}
    assert found == {
        ("Electricity, Con Edison (CECONY)", "electricity", "Wh", "-05:00"),
        ("Gas, Pacific Gas and Electric (PG&E)", "gas", "therm", "-08:00"),
    }


def test_what_is_kept_after_sharing_ended_can_still_be_downloaded(client, held):
    withdraw(held, delete_data=False, now=timezone.now())
    assert Authorization.objects.get().status == Authorization.Status.WITHDRAWN
    assert len(table(client.post("/download", form(point())))) == 24


# --- Whose data it is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "post"])
def test_b09_another_customers_meter_is_not_there(client, method):
    stranger = User.objects.create_user("eve@example.com")
    own = form(point())
    asked = form(point(), rows.usage_point(stranger))
    assert getattr(client, method)("/download", asked).status_code == 404
    assert getattr(signed_in(stranger), method)("/download", own).status_code == 404


@pytest.mark.parametrize("name", ["not-a-uuid", "00000000-0000-4000-8000-000000000000", "' OR 1=1", "\0"])
def test_b09_a_meter_that_nobody_has_is_not_there(client, name):
    assert client.post("/download", form() | {"meter": [name]}).status_code == 404


def test_b09_somebody_who_is_not_signed_in_is_asked_to(held):
    for method in ("get", "post"):
        answer = getattr(Client(), method)("/download", form(point()))
        assert answer.status_code in (302, 303)
        assert answer["Location"].startswith("/account/login/")


def test_b13_a_get_downloads_nothing(client):
    answer = client.get("/download", form(point()))
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/html")


def test_b13_a_form_without_our_token_is_refused(held):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(held.retail_customer)
    assert strict.post("/download", form(point())).status_code == 403


def test_b15_after_six_files_in_an_hour_the_next_one_has_to_wait(client):
    for _ in range(limits.EXPORTS_AN_HOUR):
        assert len(table(client.post("/download", form(point())))) == 24
    answer = client.post("/download", form(point()))
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 3600
    assert "Please wait a little" in answer.content.decode()


def test_a_mistake_costs_no_file(client):
    for _ in range(limits.EXPORTS_AN_HOUR + 2):
        assert client.post("/download", form(point(), kind="")).status_code == 422
    assert client.post("/download", form(point())).status_code == 200


def test_each_file_leaves_a_line_without_what_is_in_it(client, held):
    handler = next(handler for handler in logging.getLogger().handlers if handler.get_name() == "stdout")
    stream, before = io.StringIO(), handler.stream
    handler.setStream(stream)
    try:
        body(client.post("/download", form(point())))
    finally:
        handler.setStream(before)
    (line,) = [each for each in stream.getvalue().splitlines() if "data exported" in each]
    assert f"user={held.retail_customer.pk}" in line
    assert "kind=readings" in line
    assert "Electricity" not in line


# --- Mistakes --------------------------------------------------------------------------------------------------------

MISTAKES = [
    ({"meter": []}, "Choose at least one meter."),
    ({"kind": "exe"}, "Choose a kind of file from the list."),
    ({"kind": ""}, "Choose a kind of file."),
    ({"period": "1999"}, "Choose which days from the list."),
    ({"period": "dates"}, "Enter the first day."),
    ({"period": "dates", "first": "2025-01-01"}, "Enter the last day."),
    (
        {"period": "dates", "first": "2025-02-01", "last": "2025-01-01"},
        "The last day must not be before the first day.",
    ),
    ({"period": "dates", "first": "yesterday", "last": "2025-01-01"}, "First day: write the day as year-month-day"),
    ({"period": "dates", "first": "0001-01-01", "last": "9999-12-31"}, "First day: the day must lie between 1990"),
    ({"period": "dates", "first": "2025-01-01", "last": "9999-12-31"}, "Last day: the day must lie between 1990"),
    ({"period": "dates", "first": "2025-02-30", "last": "2025-03-01"}, "First day: write the day as year-month-day"),
    ({"period": "dates", "first": "1" * 9000, "last": "2025-03-01"}, "First day: write the day as year-month-day"),
    ({"period": "all", "first": "2025-01-01"}, "You gave days below"),
    ({"period": "dates", "first": "2031-01-01", "last": "2031-01-02"}, "We hold no readings of what you chose"),
    ({"period": "dates", "first": "2031-01-01", "last": "2031-01-02", "kind": "bills"}, "We hold no bills"),
    (
        {"period": "dates", "first": "2031-01-01", "last": "2031-01-02", "kind": "green-button"},
        "We hold no readings and no bills",
    ),
]


@pytest.mark.parametrize(("change", "words"), MISTAKES)
def test_a_mistake_is_said_at_its_place_and_what_was_chosen_stays(client, change, words):
    answer = client.post("/download", form(point()) | change)
    assert answer.status_code == 422
    page = html.fromstring(answer.content)
    (summary,) = page.xpath("//div[@id='error-summary']")
    assert words in summary.text_content()
    assert page.xpath("string(//title)").strip().startswith("Error: ")
    for link in summary.xpath(".//a/@href"):
        assert page.xpath(f"//*[@id='{link[1:]}']")
    checked = page.xpath("//input[@name='meter'][@checked]")
    assert len(checked) == len((form(point()) | change)["meter"])


# --- The page --------------------------------------------------------------------------------------------------------


def test_the_page_offers_every_meter_and_every_year(client):
    meter(point().subscription, "2", "2023-05-01")
    page = html.fromstring(client.get("/download").content.decode())
    labels = [" ".join(each.text_content().split()) for each in page.xpath("//fieldset[@id='id_meter']//label")]
    assert labels == ["Electricity, meter 1, Con Edison (CECONY)", "Electricity, meter 2, Con Edison (CECONY)"]
    assert len(page.xpath("//input[@name='meter'][@checked]")) == 2
    assert page.xpath("//select[@name='period']/option/@value") == ["all", "2025", "2024", "2023", "dates"]
    assert page.xpath("//form[@method='post']//button[text()='Download']")


def test_the_page_of_a_meter_leads_to_its_download_and_the_dashboard_to_all(client):
    usage = html.fromstring(client.get(f"/usage/{point().public_id}").content)
    (link,) = usage.xpath("//main//a[contains(@href, '/download')]/@href")
    assert link == f"/download?meter={point().public_id}"
    meter(point().subscription, "2")
    page = html.fromstring(client.get(link).content)
    assert page.xpath("//input[@name='meter'][@checked]/@value") == [link.partition("=")[2]]
    dashboard = html.fromstring(client.get("/dashboard").content)
    assert dashboard.xpath("//main//a[@href='/download']")


def test_somebody_without_data_is_told_how_to_get_some():
    page = html.fromstring(signed_in(User.objects.create_user("new@example.com")).get("/download").content)
    assert "We hold no data of yours yet." in page.text_content()
    assert page.xpath("//main//form/@action") == ["/download/customer-data", "/download/everything"]
    assert page.xpath("//main//a[@href='/upload']")


def test_b12_what_a_utility_wrote_is_inert_on_the_page(client):
    UsagePoint.objects.update(title="<script>alert(1)</script>")
    assert b"<script>alert(1)" not in client.get("/download").content


def test_the_years_offered_are_those_of_the_data():
    user = rows.customer("x@example.com")
    rows.day(rows.channel(rows.usage_point(user)), date(2019, 3, 1), [1] * 24)
    page = html.fromstring(signed_in(user).get("/download").content)
    assert page.xpath("//select[@name='period']/option/@value") == ["all", "2019", "dates"]


# --- Corrections and customer data ------------------------------------------------------------------------------------


def test_corrections_are_a_file_too_or_said_not_to_be_there(client):
    answer = client.post("/download", form(point(), kind="corrections"))
    assert (answer.status_code, "told otherwise" in answer.content.decode()) == (422, True)
    IntervalRevision.objects.create(
        meter_reading=point().meter_readings.get(), start=WINTER, duration=3600, old_value=1400, new_value=1500
    )
    (corrected,) = table(client.post("/download", form(point(), kind="corrections")))
    assert (corrected["old_value"], corrected["new_value"]) == ("1.4", "1.5")


def test_customer_data_are_a_file_also_of_a_connection_without_meters(client, held):
    answer = client.post("/download/customer-data", follow=True)
    assert "Your utilities have told us nothing about your account." in answer.content.decode()
    UsagePoint.objects.all().delete()
    CustomerAccount.objects.create(subscription=held.subscription, said={"accountId": "7011"})
    others = rows.customer("eve@example.com").subscriptions.create(utility="pge")
    CustomerAccount.objects.create(subscription=others, said={"accountId": "9022"})
    page = html.fromstring(client.get("/download").content)
    assert "/download/customer-data" in page.xpath("//main//form/@action")
    (account,) = table(client.post("/download/customer-data"))
    assert (account["element"], account["value"]) == ("accountId", "7011")
    assert account["connection_id"] == str(held.subscription.public_id)


def test_customer_data_count_among_the_files_of_an_hour(client, held, monkeypatch):
    CustomerAccount.objects.create(subscription=held.subscription, said={"accountId": "7011"})
    monkeypatch.setattr(limits, "EXPORTS_AN_HOUR", 1)
    assert client.post("/download/customer-data").status_code == 200
    answer = client.post("/download/customer-data")
    assert (answer.status_code, "Retry-After" in answer) == (429, True)
    assert client.get("/download/customer-data").status_code == 405
