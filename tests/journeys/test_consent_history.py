"""From agreeing to stopping: the receipt, its letter, renewing, and the history that tells all of it."""

from datetime import date, datetime, timedelta

import pytest
from django.core import mail
from django.utils import timezone

from espi.models import Authorization, AuthorizationRequest, UsagePoint
from portal import consent_texts
from portal.flows import mailing, telling
from portal.models import Consent, ConsentEvent, Letter, User
from tests.journeys.conftest import PORTAL
from tests.journeys.customers import CECONY_V1, CECONY_V2, ESSEX, PGE
from tests.journeys.test_first_data import connect


def events(**of):
    return list(ConsentEvent.objects.filter(**of).order_by("pk").values_list("kind", flat=True))


def sent():
    mailing.send_due(timezone.now())
    return [message.subject for message in mail.outbox]


@pytest.mark.parametrize("profile", [CECONY_V2, PGE, ESSEX], ids=str)
def test_a_receipt_is_mailed_at_once_and_says_nothing_secret(world, profile):
    authorization = connect(world, profile)
    (subject,) = sent()
    assert subject.startswith("Your receipt: you share data from ")
    message = mail.outbox[0]
    consent = Consent.objects.get()
    page = message.alternatives[0][0]
    for text in (message.body, page):
        assert consent.reference in text
        assert f"/receipts/{consent.public_id}" in text
        assert f"/connections/{authorization.public_id}/stop" in text
        assert authorization.access_token not in text
        assert authorization.account_number not in text or not authorization.account_number
    assert events() == ["agreed", "connected"]


def test_a_receipt_keeps_the_words_that_were_shown(world):
    connect(world, PGE)
    browser = world.signed_in()
    browser.get(f"{PORTAL}/consents").click("See the receipt")
    consent = Consent.objects.get()
    text = browser.text
    for sentence in consent.statement.split("\n"):
        assert sentence in text
    for name, content in consent.shown["data"]:
        assert f"{name}: {content}" in text
    assert consent.reference in text
    assert "California Public Utilities Commission" in text
    file = browser.raw("GET", f"{PORTAL}/receipts/{consent.public_id}/file")
    assert file.headers["Content-Disposition"] == f'attachment; filename="receipt-{consent.reference}.txt"'
    assert "no-store" in file.headers["Cache-Control"]
    for sentence in consent.statement.split("\n"):
        assert sentence in file.text


def test_a_utilitys_new_words_change_no_receipt(world, monkeypatch):
    connect(world, PGE)
    browser = world.signed_in()
    address = f"{PORTAL}/receipts/{Consent.objects.get().public_id}"
    before = browser.get(address).text
    import utilities.pge as declared

    monkeypatch.setattr(declared.PGE, "long_name", "Another name")
    monkeypatch.setattr(declared.PGE, "catalogue", ())
    assert browser.get(address).text == before


@pytest.mark.parametrize(("profile", "kind"), [(PGE, "connected"), (CECONY_V1, "renewed")], ids=str)
def test_renewing_is_one_button_and_the_same_connection(world, profile, kind):
    """PG&E does not say which account it is: that it is the same is known once the first data are here."""
    first = connect(world, profile)
    world.work()
    points = set(UsagePoint.objects.values_list("pk", flat=True))
    Authorization.objects.update(end_date=date.today() + timedelta(days=7))
    browser = world.signed_in()
    browser.get(f"{PORTAL}/connections/{first.public_id}/renew")
    assert "Permission ends Changed" in browser.text
    assert "Data Changed" not in browser.text
    browser.press("Renew and continue")
    browser.press("Continue to")
    profile.approve(browser, profile.who)
    world.work()
    second = Authorization.objects.filter(status="active").latest("pk")
    assert second.subscription_id == first.subscription_id
    assert set(UsagePoint.objects.values_list("pk", flat=True)) == points
    old, new = Consent.objects.order_by("pk")
    assert events(consent=old) == ["agreed", "connected", "replaced"]
    assert events(consent=new) == ["agreed", kind]
    browser.get(f"{PORTAL}/consents")
    assert browser.text.count("Not sharing") == 1


def test_renewing_marks_another_version_of_the_text_and_what_was_on_offer_before(world):
    first = connect(world, ESSEX)
    consent = Consent.objects.get()
    consent.text_version, consent.shown = "2025-01", consent.shown | {"data": [["Old name", "old content"]]}
    consent.save()
    browser = world.signed_in()
    browser.get(f"{PORTAL}/connections/{first.public_id}/renew")
    assert "Data Changed" in browser.text
    assert "Old name: old content" in browser.text
    assert "Text Changed" in browser.text
    assert "2025-01" in browser.text


def test_another_language_of_the_page_is_no_change_of_the_data(world):
    first = connect(world, ESSEX)
    browser = world.signed_in()
    User.objects.update(language="fr-ca")
    browser.get(f"{PORTAL}/connections/{first.public_id}/renew")
    assert "Renouvelez" in browser.text
    assert "Données Changé" not in browser.text


def test_a_renewal_page_that_is_out_of_date_is_shown_again(world):
    first = connect(world, ESSEX)
    browser = world.signed_in()
    browser.get(f"{PORTAL}/connections/{first.public_id}/renew").press("Renew and continue", shown="0" * 64)
    assert browser.response.status_code == 409
    assert "Please read it again" in browser.text
    assert AuthorizationRequest.objects.count() == 1


def test_stopping_takes_two_clicks_and_is_told_by_mail_and_in_the_history(world):
    connect(world, CECONY_V2)
    world.work()
    browser = world.signed_in()
    browser.get(f"{PORTAL}/dashboard")
    browser.click("Stop sharing")  # the first
    assert "We cannot tell Con Edison for you" in browser.text
    browser.press("Stop sharing")  # the second
    assert "sign in on its site" in browser.text
    assert events() == ["agreed", "connected", "withdrawn", "deleted"]
    assert sent()[-1] == "You stopped sharing from Con Edison"
    assert "What we had collected was deleted." in mail.outbox[-1].body
    assert "sign in on its site" in mail.outbox[-1].body
    browser.get(f"{PORTAL}/consents")
    assert "You stopped sharing" in browser.text
    assert Consent.objects.get().text_version in browser.text


def test_the_consent_is_kept_in_the_language_it_was_shown_in(world):
    browser = world.signed_in()
    world.to_check(browser, "pge", "usage")
    from django.utils import translation

    from portal.flows import consents

    journey = world.journey()
    with translation.override("es"):
        consent = consents.record_consent(journey, language="es", now=timezone.now())
    assert consent.language == "es"
    assert consent.statement.startswith("Pido a Pacific Gas and Electric (PG&E)")


def test_first_data_are_told_once(world):
    connect(world, ESSEX)
    telling.tell(timezone.now())
    assert not Letter.objects.filter(kind="first_data").exists()
    world.work()
    for _ in range(2):
        telling.tell(timezone.now())
    assert "Your first data from Essex Powerlines are here" in sent()
    assert Letter.objects.filter(kind="first_data").count() == 1


def test_a_text_of_this_version_exists_in_every_language():
    assert set(consent_texts.TEXTS[consent_texts.VERSION]) == {"en", "es", "fr-ca"}
    assert datetime.strptime(consent_texts.VERSION, "%Y-%m")
