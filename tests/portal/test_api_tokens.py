"""The page of API tokens: made by their owner who has just proven who he is, shown once, taken back."""

import hashlib
import re
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone
from lxml import html

from portal.flows import api_tokens
from portal.models import ApiToken, User
from tests.portal.people import PASSWORD, mailbox, person, sign_in

pytestmark = pytest.mark.django_db
PAGE = "/account/tokens"
SECRET = re.compile(r"smm_[A-Za-z0-9_-]{43}")


@pytest.fixture
def ann():
    return person()


@pytest.fixture
def client(ann):
    """A browser in which ann has just proven again who she is."""
    client = Client()
    sign_in(client)
    client.post("/account/reauthenticate/", {"password": PASSWORD})
    return client


def make(client, name="Home", days="90"):
    return client.post(PAGE, {"name": name, "days": days})


def test_a_token_is_shown_once_and_kept_as_a_digest_only(client, ann):
    answer = make(client)
    assert answer.status_code == 200
    (secret,) = set(SECRET.findall(answer.content.decode()))
    token = ApiToken.objects.get()
    assert token.digest == hashlib.sha256(secret.encode()).hexdigest()
    assert secret.startswith(token.prefix)
    assert secret not in repr(ApiToken.objects.values())
    assert {"private", "no-store"} <= set(answer["Cache-Control"].split(", "))
    again = client.get(PAGE).content.decode()
    assert not SECRET.search(again)
    assert f"{token.prefix}…" in again
    assert Client().get("/api/v1/connections", headers={"Authorization": f"Bearer {secret}"}).status_code == 200


@pytest.mark.parametrize(("days", "expected"), [("30", 30), ("90", 90), ("365", 365), ("0", None)])
def test_its_owner_chooses_how_long_it_works(client, days, expected):
    make(client, days=days)
    expires = ApiToken.objects.get().expires_at
    if expected is None:
        assert expires is None
    else:
        assert abs(expires - timezone.now() - timedelta(days=expected)) < timedelta(minutes=1)


def test_the_page_says_when_it_was_last_used_and_when_it_ends(client, ann):
    api_tokens.create(ann, "Old", days=30, now=timezone.now() - timedelta(days=40))
    secret = SECRET.search(make(client).content.decode())[0]
    Client().get("/api/v1/connections", headers={"Authorization": f"Bearer {secret}"})
    page = html.fromstring(client.get(PAGE).content.decode())
    used, old = (" ".join(row.text_content().split()) for row in page.xpath("//li[@class='card']"))
    assert used.startswith("Home smm_")
    assert "Last used on" in used
    assert "Never used." in old
    assert "Expired" in old


def test_taking_it_back_ends_it_at_once(client, ann):
    secret = SECRET.search(make(client).content.decode())[0]
    token = ApiToken.objects.get()
    assert client.get(f"{PAGE}/{token.public_id}/take-back").status_code == 405
    answer = client.post(f"{PAGE}/{token.public_id}/take-back")
    assert (answer.status_code, answer["Location"]) == (303, PAGE)
    assert not ApiToken.objects.exists()
    assert Client().get("/api/v1/connections", headers={"Authorization": f"Bearer {secret}"}).status_code == 401


def test_b09_another_customers_token_is_neither_shown_nor_taken_back(client):
    other, _ = api_tokens.create(person("eve@example.com"), "Eve's", days=None, now=timezone.now())
    assert b"Eve&#x27;s" not in client.get(PAGE).content
    assert client.post(f"{PAGE}/{other.public_id}/take-back").status_code == 404
    assert ApiToken.objects.filter(pk=other.pk).exists()


def test_b09_somebody_who_is_not_signed_in_is_asked_to():
    for method in ("get", "post"):
        answer = getattr(Client(), method)(PAGE)
        assert answer.status_code in (302, 303)
        assert answer["Location"].startswith("/account/login/")


def test_b13_a_form_without_our_token_is_refused(ann):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ann)
    assert strict.post(PAGE, {"name": "x", "days": "30"}).status_code == 403
    assert not ApiToken.objects.exists()


def test_whoever_makes_one_proves_again_who_he_is_and_goes_on_where_he_was(ann):
    client = Client()
    sign_in(client)
    answer = make(client)
    assert answer.status_code in (302, 303)
    assert answer["Location"].startswith("/account/reauthenticate/")
    wrong = client.post(answer["Location"], {"password": "not it", "next": PAGE})
    assert not SECRET.search(wrong.content.decode())
    assert not ApiToken.objects.exists()
    resumed = client.post(answer["Location"], {"password": PASSWORD, "next": PAGE})
    assert SECRET.search(resumed.content.decode())
    assert {"private", "no-store"} <= set(resumed["Cache-Control"].split(", "))
    assert ApiToken.objects.get().name == "Home"


def test_its_owner_is_told_by_mail_without_the_token(client, ann):
    secret = SECRET.search(make(client, "Spreadsheet").content.decode())[0]
    message = mailbox()[-1]
    assert message.to == [ann.email]
    assert message.subject == "A program may now read your data"
    assert "take it back" in message.body
    assert secret[:8] not in message.body


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"name": "", "days": "30"}, "Give the token a name."),
        ({"name": "x" * 61, "days": "30"}, "The name may have up to 60 letters."),
        ({"name": "x", "days": "7"}, "Choose from the list."),
        ({"name": "x"}, "Choose how long it works."),
        ({"name": "\0", "days": "30"}, "Null characters are not allowed."),
    ],
)
def test_a_mistake_is_said_at_its_place(client, said, words):
    answer = client.post(PAGE, said)
    assert answer.status_code == 422
    page = html.fromstring(answer.content.decode())
    assert words in page.xpath("//div[@id='error-summary']")[0].text_content()
    assert not ApiToken.objects.exists()


def test_two_tokens_have_two_names(client):
    make(client)
    answer = make(client)
    assert answer.status_code == 422
    assert b"You have a token of that name." in answer.content
    assert not SECRET.search(answer.content.decode())
    assert ApiToken.objects.count() == 1


def test_nobody_has_more_than_ten(client, ann):
    for number in range(api_tokens.MOST):
        api_tokens.create(ann, str(number), days=None, now=timezone.now())
    answer = make(client)
    assert answer.status_code == 422
    assert b"You have 10 tokens. Take one back that you no longer need." in answer.content


def test_b12_a_name_is_inert(client):
    make(client, "<script>alert(1)</script>")
    assert b"<script>alert(1)" not in client.get(PAGE).content


def test_b11_other_fields_of_the_form_are_ignored(client, ann):
    eve = person("eve@example.com")
    client.post(PAGE, {"name": "x", "days": "30", "retail_customer": eve.pk, "prefix": "mine", "digest": "0" * 64})
    token = ApiToken.objects.get()
    assert token.retail_customer == ann
    assert token.prefix.startswith("smm_")


def test_the_database_keeps_one_name_per_customer(ann):
    held, _ = api_tokens.create(ann, "x", days=None, now=timezone.now())
    held.pk, held.public_id, held.digest = None, None, "1" * 64
    with pytest.raises(IntegrityError), transaction.atomic():
        held.save(force_insert=True)


def test_the_account_page_leads_there_and_to_the_download(client):
    page = html.fromstring(client.get("/account/").content.decode())
    assert page.xpath(f"//main//a[@href='{PAGE}']")
    assert page.xpath("//main//a[@href='/download']")
    make(client)
    assert "1 token" in client.get("/account/").content.decode()


def test_tokens_are_random_and_long():
    user = User.objects.create_user("x@example.com")
    made = {api_tokens.create(user, str(number), days=None, now=timezone.now())[1] for number in range(10)}
    assert len(made) == 10
    assert all(SECRET.fullmatch(each) for each in made)
