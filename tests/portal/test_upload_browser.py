"""The upload page in a real Chromium on a telephone."""

import pytest
from playwright.sync_api import sync_playwright

from tests.portal.people import PASSWORD, person

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def test_the_upload_page_is_no_wider_than_a_telephone(chromium_path, live_server, monkeypatch, tmp_path):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    picture = tmp_path / f"{'a-rather-long-name-' * 8}.xml"
    picture.write_bytes(b"\xff\xd8\xff\xe0")
    broken = tmp_path / "broken.xml"
    broken.write_bytes(b'<feed xmlns="http://www.w3.org/2005/Atom"><' + b"x" * 150 + b"></y></feed>")
    person()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium_path, args=FLAGS)
        page = browser.new_page(viewport={"width": 360, "height": 740})
        page.goto(f"{live_server}/account/login/?next=/upload")
        page.fill("[name=login]", "ann@example.com")
        page.fill("[name=password]", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{live_server}/upload")
        widths = [page.evaluate("document.documentElement.scrollWidth")]
        for file in (picture, broken):
            page.set_input_files("[name=file]", file)
            widths.append(page.evaluate("document.documentElement.scrollWidth"))
            with page.expect_navigation():
                page.get_by_role("button", name="Upload").click()
            assert page.locator(".field-error").count() == 1
            widths.append(page.evaluate("document.documentElement.scrollWidth"))
        browser.close()
    assert widths == [360] * 5
