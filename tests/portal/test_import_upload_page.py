"""The page "I already have a file", as a signed-in customer uses it."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from lxml import html

from espi.models import CustomerAccount, Document, IntervalBlock, Subscription, UsagePoint
from portal import limits
from portal.flows import upload
from portal.models import User
from tests.espi import documents

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return User.objects.create_user("ann@example.com", "three quiet words")


@pytest.fixture
def page(user):
    client = Client()
    client.force_login(user)
    return client


def file(content, name="my usage.xml"):
    return SimpleUploadedFile(name, content, "application/xml")


def post(page, content, **more):
    return page.post(reverse("upload"), {"file": file(content), "time_zone": "", **more}, follow=True)


def test_a_visitor_is_asked_to_sign_in_first():
    answer = Client().get(reverse("upload"))
    assert answer.status_code == 302
    assert reverse("account_login") in answer["Location"]


def test_a_file_becomes_data_of_the_customer_and_of_nobody_else(page, user):
    answer = post(page, documents.feed(documents.hours(24)))
    assert "We read 24 readings" in answer.content.decode()
    assert answer.redirect_chain[0][1] == 303
    assert Subscription.objects.get().retail_customer == user
    assert IntervalBlock.objects.get().count == 24


def test_the_same_file_again_changes_nothing(page):
    post(page, documents.feed(documents.hours(24)))
    before = list(IntervalBlock.objects.values()), list(Document.objects.values())
    again = post(page, documents.feed(documents.hours(24)))
    assert "All of it was here already" in again.content.decode()
    assert (list(IntervalBlock.objects.values()), list(Document.objects.values())) == before


def test_two_files_are_kept_in_one_place(page):
    post(page, documents.feed(documents.hours(24)))
    post(page, documents.feed(documents.hours(24, start=documents.MIDNIGHT + 86400)))
    assert Subscription.objects.count() == 1
    assert IntervalBlock.objects.count() == 2


def test_the_time_zone_of_the_customer_wins_over_the_file(page):
    post(page, documents.feed(documents.hours(24)), time_zone="America/Los_Angeles")
    assert IntervalBlock.objects.count() == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<feed", "not well-formed XML"),
        (b"<html><body>Sign in</body></html>", "not Green Button"),
        (b'{"error": "x"}', "not well-formed XML"),
        (b"<!DOCTYPE feed [<!ENTITY a 'b'>]><feed xmlns='http://www.w3.org/2005/Atom'/>", "DOCTYPE"),
        (b"PK\x03\x04 not xml at all", "not well-formed XML"),
    ],
)
def test_an_unusable_file_is_refused_in_words_and_nothing_is_stored(page, content, words):
    answer = post(page, content)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert Document.objects.count() == 0
    assert Subscription.objects.count() == 0


def test_no_file_and_an_empty_file_are_told_apart(page):
    assert "Choose the file" in page.post(reverse("upload"), {}).content.decode()
    assert "is empty" in post(page, b"").content.decode()


def test_a_made_up_time_zone_is_refused(page):
    answer = post(page, documents.feed(documents.hours(24)), time_zone="Mars/Olympus")
    assert "Choose a time zone from the list" in answer.content.decode()
    assert Document.objects.count() == 0


def test_a_larger_file_than_100_mb_is_refused_before_its_body_is_read(page):
    answer = page.post(
        reverse("upload"), b"", content_type="multipart/form-data; boundary=x", CONTENT_LENGTH=str(2**30)
    )
    assert answer.status_code == 413
    assert "larger than 100 MB" in answer.content.decode()


def test_a_file_slightly_over_the_limit_is_refused_too(page, monkeypatch):
    monkeypatch.setattr(upload, "LARGEST", 1000)
    answer = post(page, documents.feed(documents.hours(24)))
    assert "larger than 100 MB" in answer.content.decode()
    assert Document.objects.count() == 0


def test_a_post_without_the_token_of_the_form_is_refused(user):
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    answer = client.post(reverse("upload"), {"file": file(documents.feed(documents.hours(24)))})
    assert answer.status_code == 403
    assert Document.objects.count() == 0


def test_script_in_a_title_is_inert_on_the_page(page):
    title = "<script>alert(1)</script>"
    answer = post(page, documents.feed(documents.hours(24), title="&lt;script&gt;alert(1)&lt;/script&gt;"))
    assert title not in answer.content.decode()


def test_a_refusal_is_told_with_its_reason(page):
    block = documents.block([documents.reading(documents.MIDNIGHT, 5), documents.reading(documents.MIDNIGHT, "NaN")])
    answer = post(page, documents.feed(block))
    assert "1 entry could not be used: a value that is no number" in answer.content.decode()


def test_b15_one_upload_at_a_time_and_the_next_is_asked_to_wait(page, user):
    with limits.one_upload(user.pk):
        answer = post(page, documents.feed(documents.hours(24)))
    assert (answer.status_code, answer["Retry-After"]) == (429, "60")
    assert not Document.objects.exists()
    assert "We read 24 readings" in post(page, documents.feed(documents.hours(24))).content.decode()


def test_b15_twenty_uploads_an_hour_and_no_more_for_this_user_only(page, user):
    statuses = [page.post(reverse("upload"), {"file": file(b"<feed")}).status_code for _ in range(21)]
    assert statuses == [422] * 20 + [429]
    assert page.get(reverse("upload")).status_code == 200
    other = Client()
    other.force_login(User.objects.create_user("bob@example.com", "three quiet words"))
    assert "We read 24 readings" in post(other, documents.feed(documents.hours(24))).content.decode()


def test_an_upload_that_failed_does_not_stand_in_the_way_of_the_next(page, monkeypatch):
    monkeypatch.setattr(upload, "store", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        post(page, documents.feed(documents.hours(24)))
    monkeypatch.undo()
    assert post(page, documents.feed(documents.hours(24))).status_code == 200


def test_f51_a_file_that_takes_too_long_to_read_is_refused_in_words_and_nothing_is_stored(page, monkeypatch):
    monkeypatch.setattr(upload, "DEADLINE", 0.0)
    answer = post(page, documents.feed(documents.hours(24)))
    assert answer.status_code == 422
    assert "Reading this file takes too long" in answer.content.decode()
    assert not Document.objects.exists()


@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", b"PK\x03\x04", b"%PDF-1.4", b"a,b\n1,2\n"])
def test_what_is_no_xml_at_all_is_told_as_such_and_where_it_shows(page, content):
    words = html.fromstring(post(page, content).content).text_content()
    assert "This is not a Green Button file (it is not XML). The file is not well-formed XML:" in words
    assert "(line 1, column 1)" in words


def test_xml_that_breaks_off_is_not_taken_for_something_else(page):
    words = post(page, documents.feed(documents.hours(24))[:-20]).content.decode()
    assert "not well-formed XML" in words
    assert "it is not XML" not in words


BILL = f"""<billingPeriod><duration>2592000</duration><start>{documents.MIDNIGHT}</start></billingPeriod>"""


def test_one_is_told_in_the_singular_and_the_words_lead_to_the_meter(page):
    bill = documents.entry(documents.espi("UsageSummary", BILL), f"{documents.POINT}/UsageSummary/1")
    answer = post(page, documents.feed(documents.hours(1), bill))
    (notice,) = html.fromstring(answer.content).xpath("//li[contains(@class, 'notice')]")
    assert "We read 1 reading and 1 bill from your file. Look at: Electricity." in notice.text_content()
    point = UsagePoint.objects.get()
    assert notice.xpath(".//a/@href") == [reverse("usage_point", args=[point.public_id])]
    again = post(page, documents.feed(documents.hours(1), bill))
    assert "Look at: Electricity." in html.fromstring(again.content).text_content()


def test_the_words_after_an_upload_lead_to_the_meters_of_that_file_only(page):
    post(page, documents.feed(documents.hours(24)))
    other = documents.feed(documents.hours(24)).replace(b"/Subscription/976/", b"/Subscription/977/")
    (notice,) = html.fromstring(post(page, other).content).xpath("//li[contains(@class, 'notice')]")
    point = UsagePoint.objects.get(resource_id__contains="977")
    assert notice.xpath(".//a/@href") == [reverse("usage_point", args=[point.public_id])]
    assert "Look at: Electricity, meter 2." in notice.text_content()


def test_a_file_of_account_details_alone_says_that_they_are_kept(page):
    details = documents.entry(documents.customer("CustomerAccount", "<accountId>1</accountId>"))
    answer = post(page, documents.bare_feed(details))
    words = (
        page.get(answer.headers["Location"]).content.decode() if answer.status_code == 303 else answer.content.decode()
    )
    assert "no readings and no bills. Its account details are kept" in words
    assert CustomerAccount.objects.get().account_number == "1"
