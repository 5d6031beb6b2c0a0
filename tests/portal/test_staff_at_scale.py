"""The staff site's pages among very many rows: few statements, and no table of jobs read from end to end."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal.models import FetchPlan
from tests.portal import rows
from tests.portal.people import staff
from tests.portal.rows import copies
from tests.portal.test_at_a_million import MANY, scanned
from tests.portal.test_staff_pages import MOST_STATEMENTS

pytestmark = pytest.mark.django_db


@pytest.fixture
def crowd():
    app = rows.registration("pge", "")
    held = rows.authorization(app, is_planned=True, access_token_expires_at=timezone.now())
    FetchPlan.objects.create(application_information=app, authorization=held, part="usage", answered_at=timezone.now())
    for state, many in (("done", MANY), ("failed", 200), ("due", 200)):
        job = rows.job(held, f"https://utility.example/{state}", state=state)
        copies(job, f"generate_series(1, {many}) AS n", url=f"'https://utility.example/{state}' || n")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def test_pages_of_work_read_indexes_whatever_else_is_in_the_table(client, crowd):
    client.force_login(staff())
    for place in ("health/", "work/failed/", "work/due/", "work/running/", "work/failed/?before=99999999", "ending/"):
        with CaptureQueriesContext(connection) as asked:
            assert client.get(f"/staff/{place}").status_code == 200
        assert len(asked) <= MOST_STATEMENTS, place
        selects = [each["sql"] for each in asked.captured_queries if each["sql"].startswith("SELECT")]
        assert any("espi_fetchjob" in each for each in selects), place
        for statement in selects:
            assert "espi_fetchjob" not in scanned(statement), (place, statement)
