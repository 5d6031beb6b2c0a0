"""The page "Download my data" in a real Chromium, wide and narrow: it fits, and the file arrives."""

from pathlib import Path

import pytest

from tests.portal import rows
from tests.portal.people import person, sign_in_there

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("script", [True, False])
def test_a_file_is_chosen_and_arrives_with_and_without_script(chromium, live_server, width, script):
    rows.day(rows.channel(rows.usage_point(person())), "2025-01-15", [1500] * 24)
    context = chromium.new_context(viewport={"width": width, "height": 740}, java_script_enabled=script)
    page = context.new_page()
    sign_in_there(page, live_server, "/download")
    page.select_option("[name=period]", "dates")
    page.fill("[name=first]", "2025-01-15")
    with page.expect_navigation():
        page.get_by_role("button", name="Download", exact=True).click()
    assert page.locator(".field-error").count() == 1
    if script:  # only then can the page be measured
        assert page.evaluate("document.documentElement.scrollWidth") == width
    page.fill("[name=last]", "2025-01-15")
    with page.expect_download() as arriving:
        page.get_by_role("button", name="Download", exact=True).click()
    name, content = arriving.value.suggested_filename, Path(arriving.value.path()).read_text()
    assert name == "share-my-meter-electricity-readings-2025-01-15-to-2025-01-15.csv"
    assert len(content.splitlines()) == 25
