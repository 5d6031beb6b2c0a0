"""Letters: what they say, that they are sent once, and that people who want none get none."""

import re
from datetime import timedelta
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from django.conf import settings as django_settings
from django.core import mail, signing
from django.test import Client
from django.utils import timezone

from portal import letters
from portal.flows import mailing
from portal.letters import KINDS, LETTERS, TOPICS
from portal.models import Letter, User
from tests.portal import rows
from tests.portal.people import mailbox, person
from tests.portal.rows import NOW

LANGUAGES = ("en", "es", "fr-ca")
EXAMPLE_URL = "https://portal.example/letters/unsubscribe/x"
THERE = {"utility": "PG&E", "connection": "6d0b6b6e-6a0e-4c5f-8f0f-0d5a3f1f2b11"}


class Loads(HTMLParser):
    """Everything in an HTML text that a mail program would load, run or send."""

    def __init__(self, text):
        super().__init__()
        self.found, self.links = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("img", "script", "iframe", "link", "object", "form", "video", "base") or "src" in given:
            self.found.append(tag)
        self.found += [name for name in given if name.startswith("on") or name == "style"]
        self.links += [given["href"]] if tag == "a" else []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", LETTERS, ids=lambda kind: kind.id)
def test_every_letter_can_be_written_in_every_language_and_loads_nothing(kind, language):
    written = letters.render(kind, language, kind.example, unsubscribe=EXAMPLE_URL)
    assert written.subject
    assert "%(" not in written.subject
    page = Loads(written.html)
    assert page.found == []
    assert "url(" not in written.html
    assert "@import" not in written.html
    own = {urlsplit(django_settings.PORTAL_BASE_URL).netloc, "portal.example"}
    assert {urlsplit(link).netloc for link in page.links} <= own
    assert not any(urlsplit(link).query for link in page.links)
    assert f'<html lang="{language}">' in written.html
    for link in page.links:
        assert link in written.text


@pytest.mark.parametrize("kind", LETTERS, ids=lambda kind: kind.id)
def test_text_and_html_say_the_same_words(kind):
    written = letters.render(kind, "en", kind.example, unsubscribe=EXAMPLE_URL)
    plain = re.sub(r"<[^>]+>", " ", written.html.partition("<main>")[2])
    for entity, letter in {"&quot;": '"', "&#x27;": "'", "&lt;": "<", "&gt;": ">", "&amp;": "&"}.items():
        plain = plain.replace(entity, letter)
    words = [word for word in written.text.split() if not word.startswith("http") and word not in ("-", "--")]
    assert set(words) <= set(plain.split())


@pytest.mark.parametrize("kind", LETTERS, ids=lambda kind: kind.id)
def test_a_letter_that_can_be_done_without_says_how_and_no_other_does(kind):
    written = letters.render(kind, "en", kind.example, unsubscribe=EXAMPLE_URL if kind.topic else "")
    assert ("Stop messages of this kind" in written.text) == bool(kind.topic)
    assert ("it always comes" in written.text) != bool(kind.topic)


def test_every_topic_has_letters_and_every_letter_a_known_topic():
    assert {kind.topic for kind in LETTERS} - {""} == {topic.id for topic in TOPICS}
    assert len(KINDS) == len(LETTERS)


def test_b12_what_others_wrote_is_inert_in_a_letter():
    kind = KINDS["receipt"]
    evil = "<script>alert(1)</script>\n\n    CODE\n- x\nhttp://localhost:8000/evil"
    post_able = mailing._one_line(evil)
    written = letters.render(kind, "en", dict(kind.example) | {"utility": post_able, "data": [post_able]})
    assert "<script>" not in written.html
    assert "\n" not in written.subject
    assert not any("evil" in link for link in Loads(written.html).links)


@pytest.mark.django_db
def test_values_that_a_letter_does_not_take_are_refused():
    with pytest.raises(ValueError, match="first_data takes"):
        mailing.post("first_data", "x", now=NOW, utility="PG&E", token="secret")


# --- Sending ----------------------------------------------------------------------------------------------------------


def post(user, key="1", now=None, kind="first_data", **more):
    mailing.post(kind, key, now=now or timezone.now(), user=user, **(THERE | more))


@pytest.mark.django_db
def test_a_letter_is_sent_once_and_what_it_said_is_not_kept():
    user = person()
    post(user)
    post(user)  # the same thing again
    (message,) = mailbox()
    assert message.to == ["ann@example.com"]
    assert message.subject == "Your first data from PG&E are here"
    assert [part[1] for part in message.alternatives] == ["text/html"]
    assert mailing.send_due(timezone.now() + timedelta(days=1)) == 0
    letter = Letter.objects.get()
    assert (letter.state, letter.values, letter.attempts) == ("sent", {}, 1)
    assert message.extra_headers["Message-ID"] == f"<{letter.public_id}@localhost>"


@pytest.mark.django_db
def test_the_words_of_a_waiting_letter_rest_encrypted(django_assert_num_queries):
    mailing.post("reset_code", "1", now=NOW, address="ann@example.com", code="SECRET-CODE")
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT letter::text FROM portal_letter letter")
        (stored,) = cursor.fetchone()
    assert "SECRET-CODE" not in stored
    assert "ann@example.com" not in stored


@pytest.mark.django_db
def test_a_letter_that_is_claimed_is_nobody_elses_until_the_claim_lapses():
    post(person(), now=NOW)
    pk = Letter.objects.get().pk
    assert mailing.claim(pk, NOW)
    assert mailing.claim(pk, NOW) is None
    assert mailing.send_due(NOW + timedelta(minutes=4)) == 0
    assert mailing.send_due(NOW + timedelta(minutes=5)) == 1  # its process died
    assert Letter.objects.get().attempts == 2


@pytest.mark.django_db
def test_f57_while_the_mail_server_is_away_letters_wait_and_then_each_is_sent_once(settings):
    user = person()
    for number in range(3):
        post(user, str(number), now=NOW)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    now = NOW
    for _ in range(20):  # an hour without it
        assert mailing.send_due(now) == 0
        now += timedelta(minutes=3)
    assert set(Letter.objects.values_list("state", flat=True)) == {"waiting"}
    assert "cannot be reached" in Letter.objects.exclude(reason="").first().reason
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    for _ in range(4):
        mailing.send_due(now)
        now += timedelta(minutes=5)
    assert len(mail.outbox) == 3


@pytest.mark.django_db
def test_a_code_that_is_too_old_is_not_sent_any_more():
    mailing.post("reset_code", "1", now=NOW, address="ann@example.com", code="ABC")
    assert mailing.send_due(NOW + timedelta(minutes=16)) == 0
    letter = Letter.objects.get()
    assert (letter.state, letter.values) == ("failed", {})
    assert mail.outbox == []


@pytest.mark.django_db
def test_a_letter_that_every_process_dies_over_is_given_up_in_words():
    post(person(), now=NOW)
    pk, now = Letter.objects.get().pk, NOW
    for _ in range(mailing.MOST_LOST):
        assert mailing.claim(pk, now)
        now += mailing.CLAIM_LASTS
    assert mailing.send_due(now) == 0
    assert Letter.objects.get().reason == "Each process that began to send it ended."


@pytest.mark.django_db
def test_a_letter_that_is_no_longer_true_is_dropped():
    user = person()
    authorization = rows.authorization(rows.registration("pge", ""), user=user, status="needs_reconnect")
    post(user, kind="action_needed", authorization=authorization)
    authorization.status = "active"
    authorization.save()
    assert mailbox() == []
    assert Letter.objects.get().reason == "It is no longer so."


@pytest.mark.django_db
def test_a_closed_account_gets_no_letters():
    user = person(is_active=False)
    post(user)
    assert mailbox() == []


# --- What people want -------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_one_click_ends_letters_of_that_topic_without_signing_in(client):
    user = person()
    post(user)
    (message,) = mailbox()
    way_out = message.extra_headers["List-Unsubscribe"].strip("<>")
    assert message.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    path = urlsplit(way_out).path
    mail_program = Client(enforce_csrf_checks=True)
    assert mail_program.get(path).status_code == 200  # a scanner of links
    user.refresh_from_db()
    assert user.letters_declined == []
    answer = mail_program.post(path, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 200
    assert mail_program.post(path).status_code == 200  # twice does no harm
    user.refresh_from_db()
    assert user.letters_declined == ["first_data"]
    post(user, "2")
    assert len(mailbox()) == 1


@pytest.mark.django_db
def test_letters_that_must_come_have_no_way_out():
    user = person()
    steps = {"reference": "X", "deleted": True, "steps": ""}
    post(user, kind="withdrawn", **steps)
    (message,) = mailbox()
    assert "List-Unsubscribe" not in message.extra_headers


@pytest.mark.django_db
@pytest.mark.parametrize(
    "token",
    ["x", signing.dumps([1, "first_data"], salt="another"), signing.dumps([1, "first_data"])],
    ids=["no signature", "signed for something else", "signed for nothing"],
)
def test_an_address_to_unsubscribe_that_we_did_not_write_is_none(client, token):
    assert client.post(f"/letters/unsubscribe/{token}").status_code == 404


@pytest.mark.django_db
def test_what_must_come_cannot_be_declined_by_a_crafted_address(client):
    user = person()
    for topic in ("receipt", "", "nonsense"):
        client.post(f"/letters/unsubscribe/{signing.dumps([user.pk, topic], salt=mailing.UNSUBSCRIBE)}")
    user.refresh_from_db()
    assert user.letters_declined == []


@pytest.mark.django_db
def test_the_page_of_choices_keeps_them_and_shows_them(client):
    user = person()
    client.force_login(user)
    page = client.get("/account/letters").content.decode()
    assert page.count("checked") == len(TOPICS)
    client.post("/account/letters", {"topics": ["trouble", "ending"]})
    user.refresh_from_db()
    assert user.letters_declined == ["first_data", "summary", "yearly"]
    assert client.get("/account/letters").content.decode().count("checked") == 2
    assert client.post("/account/letters", {"topics": ["receipt"]}).status_code == 422
    client.post("/account/letters", {})
    assert set(User.objects.get(pk=user.pk).letters_declined) == {topic.id for topic in TOPICS}
