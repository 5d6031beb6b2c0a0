"""The pages about consent, letters and leaving in a real Chromium: no axe finding, narrow enough, in every language."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone

from portal.flows import consents, exporting
from portal.models import Consent, User
from tests.portal import rows
from tests.portal.people import PASSWORD, person
from tests.portal.test_accounts_browser import (  # noqa: F401 - fixtures
    SMALL,
    page,
    picture,
    prove,
    sign_in,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def look(page):  # noqa: F811
    """Wide and light, narrow and dark: no finding of any severity, no sideways scrolling, targets of 24 pixels, one h1."""
    for width, scheme in ((1280, "light"), (320, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found = [(one["id"], one["nodes"][0]["html"]) for one in Axe().run(page).response["violations"]]
        assert found == [], (page.url, width, scheme)
        picture(page, f"{width}-{scheme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url
        assert page.evaluate(SMALL) == [], page.url
        assert page.locator("h1").count() == 1


@pytest.fixture
def ann():
    """A customer with a connection that ends soon, one that was stopped, and a prepared file."""
    user = person()
    app = rows.registration(is_offered=True, edition="v2")
    live = rows.authorization(
        app, user=user, account_hint="•••• 5544", end_date=timezone.localdate(), data_granted=["usage", "billing"]
    )
    stopped = rows.authorization(app, "977", user=user, status="withdrawn", ended_at=timezone.now())
    for number, authorization in enumerate((live, stopped)):
        consent = Consent.objects.create(
            retail_customer=user,
            authorization=authorization,
            reference=f"AAAA-BBB{number}",
            utility="cecony",
            environment="sandbox",
            account_hint="•••• 5544",
            data=["usage", "billing"],
            text_version="2026-10",
            statement="I ask Con Edison to give data.\nI can stop at any time.",
            shown={
                "utility": "Con Edison",
                "receiver": "Share My Meter",
                "purpose": "To show you your energy use",
                "data": [["Electricity", "Readings"], ["Bills", "What each bill says"]],
            },
            ends_on=timezone.localdate(),
            agreed_at=timezone.now(),
        )
        consents.note(consent, consents.Kind.AGREED, now=timezone.now())
        consents.note(consent, consents.Kind.CONNECTED, now=timezone.now())
    consents.note(consent, consents.Kind.WITHDRAWN, now=timezone.now())
    exporting.ask_for_everything(user, now=timezone.now())
    exporting.prepare_exports()
    user.addresses = [
        "/consents",
        f"/receipts/{Consent.objects.first().public_id}",
        f"/connections/{live.public_id}/renew",
        f"/connections/{live.public_id}/stop",
        f"/connections/{stopped.public_id}/stopped",
        "/account/",
        "/account/letters",
        "/account/delete",
        "/account/deleted",
        "/download",
    ]
    return user


@pytest.mark.parametrize("language", ["en", "es", "fr-ca"])
def test_pages_of_consent_have_no_finding_in_any_language(page, live_server, ann, language):  # noqa: F811
    User.objects.filter(pk=ann.pk).update(language=language)
    sign_in(page, live_server, ann.email) if language == "en" else sign_in_by_cookie(page, live_server, ann)
    for address in ann.addresses:
        page.goto(live_server.url + address)
        prove(page)
        look(page)
        assert page.locator("html").get_attribute("lang") == language


def sign_in_by_cookie(page, live_server, user):  # noqa: F811
    """The labels of the sign-in page are in another language then."""
    from django.test import Client

    client = Client()
    client.login(email=user.email, password=PASSWORD)
    cookie = client.cookies["portal_session"].value
    page.context.add_cookies([{"name": "portal_session", "value": cookie, "url": live_server.url}])


def test_a_letters_html_has_no_finding_and_fits_a_telephone(page, ann):  # noqa: F811
    from portal import letters

    for kind_id in ("receipt", "reset_code", "expiring"):
        kind = letters.KINDS[kind_id]
        way_out = "http://localhost:8000/letters/unsubscribe/x" if kind.topic else ""
        page.set_content(letters.render(kind, "en", kind.example, unsubscribe=way_out).html)
        for width, scheme in ((1280, "light"), (320, "dark")):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)
            assert [one["id"] for one in Axe().run(page).response["violations"]] == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_declining_a_letter_and_stopping_work_by_keyboard_alone(page, live_server, ann):  # noqa: F811
    sign_in(page, live_server, ann.email)
    page.goto(live_server.url + "/account/letters")
    page.locator("#topic-first_data").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Save").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Saved.").wait_for()
    ann.refresh_from_db()
    assert ann.letters_declined == ["first_data"]
    page.goto(live_server.url + ann.addresses[3])
    page.locator("input[value=delete]").focus()
    page.keyboard.press("ArrowDown")
    page.get_by_role("button", name="Stop sharing").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/stopped")
    assert page.locator("h1").inner_text() == "Sharing is stopped"
