"""The upload page in a real Chromium on a telephone."""

import pytest

from tests.portal.people import person, sign_in_there

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_upload_page_is_no_wider_than_a_telephone(chromium, live_server, tmp_path):
    picture = tmp_path / f"{'a-rather-long-name-' * 8}.xml"
    picture.write_bytes(b"\xff\xd8\xff\xe0")
    broken = tmp_path / "broken.xml"
    broken.write_bytes(b'<feed xmlns="http://www.w3.org/2005/Atom"><' + b"x" * 150 + b"></y></feed>")
    person()
    page = chromium.new_page(viewport={"width": 360, "height": 740})
    sign_in_there(page, live_server, "/upload")
    widths = [page.evaluate("document.documentElement.scrollWidth")]
    for file in (picture, broken):
        page.set_input_files("[name=file]", file)
        widths.append(page.evaluate("document.documentElement.scrollWidth"))
        with page.expect_navigation():
            page.get_by_role("button", name="Upload").click()
        assert page.locator(".field-error").count() == 1
        widths.append(page.evaluate("document.documentElement.scrollWidth"))
    assert widths == [360] * 5
