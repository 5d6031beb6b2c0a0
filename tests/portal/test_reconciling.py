"""The utility's own list of authorizations against our rows; idle connections; what the customer reads."""

from datetime import UTC, date, datetime, timedelta

import pytest

from espi import session
from espi.models import Authorization, FetchJob
from portal.flows import fetch, idle
from portal.models import FetchPlan, StaffAlert
from tests.portal import rows, standin
from tests.portal.rows import NOW, PGE

pytestmark = pytest.mark.django_db
FEED = f"{PGE}/Authorization"
SCOPE = "FB=1_3_4_5_15_16;AdditionalScope=Usage_Billing;BR=50123"
DAY = timedelta(days=1)


@pytest.fixture
def utility():
    stand_in = standin.StandIn()
    client_token = {"client_access_token": "c", "token_type": "Bearer", "expires_in": 3600}
    stand_in.says("/oauth/", (200, client_token, {}))
    with session.mounted("https://localhost:8002", stand_in.adapter):
        yield stand_in


@pytest.fixture
def app(db):
    return rows.registration("pge", "")


def held(app, number, **more):
    fields = {
        "authorization_uri": f"{FEED}/{number}",
        "utility_authorization_id": number,
        "scope_granted": SCOPE,
        "data_granted": ["usage", "billing"],
        "created_at": NOW - DAY,
    }
    return rows.authorization(app, number, **(fields | more))


def entry(number, status=1, scope=SCOPE, resource="Subscription", ends=None):
    period = f"<authorizedPeriod><duration>{ends - 1}</duration><start>1</start></authorizedPeriod>" if ends else ""
    return f"""<entry><link rel="self" href="{FEED}/{number}"/><content>
      <Authorization xmlns="http://naesb.org/espi">{period}<status>{status}</status><scope>{scope}</scope>
      <resourceURI>{PGE}/{resource}/{number}</resourceURI></Authorization></content></entry>"""


def reconciled(app, utility, *entries, now=NOW):
    body = f'<feed xmlns="http://www.w3.org/2005/Atom">{"".join(entries)}</feed>'
    utility.says("/Authorization", (200, body.encode(), {}))
    job = FetchJob.objects.create(
        application_information=app, kind="reconciliation", token_class="client", url=FEED, not_before=now
    )
    fetch.run(job.pk, now=now)
    job.refresh_from_db()
    assert job.state == "done", job.reason
    return job


def asked():
    """Of which authorizations the state is being asked for."""
    return sorted(
        FetchJob.objects.filter(kind="authorization").values_list("authorization__utility_subscription_id", flat=True)
    )


def test_what_agrees_costs_nothing(app, utility):
    for number in ("1", "2"):
        held(app, number)
    job = reconciled(app, utility, entry(1), entry(2))
    assert job.reason == "2 known, 0 unknown, 0 looked into."
    assert (asked(), StaffAlert.objects.count()) == ([], 0)
    assert utility.asked[-1]["token"] == "Bearer c"


def test_f54_one_that_is_revoked_in_the_list_or_missing_from_it_is_asked_for_by_itself(app, utility):
    for number in ("1", "2", "3"):
        held(app, number)
    held(app, "4")
    Authorization.objects.update(created_at=NOW - DAY)
    Authorization.objects.filter(utility_subscription_id="4").update(created_at=NOW)  # too new to be listed
    job = reconciled(app, utility, entry(1), entry(2, status=0))
    assert asked() == ["2", "3"]
    assert job.reason == "2 known, 0 unknown, 2 looked into."
    assert set(Authorization.objects.values_list("status", flat=True)) == {"active"}
    utility.says(
        "/Authorization/2",
        (200, entry(2, status=0).replace("<entry>", '<entry xmlns="http://www.w3.org/2005/Atom">').encode(), {}),
    )
    utility.answers = {"/Authorization/2": utility.answers["/Authorization/2"], **utility.answers}
    fetch.run(FetchJob.objects.get(kind="authorization", authorization__utility_subscription_id="2").pk, now=NOW + DAY)
    ended = Authorization.objects.get(utility_subscription_id="2")
    assert (ended.status, ended.status_reason) == ("revoked", "Sharing was stopped at the utility.")


def test_one_made_on_paper_is_told_to_staff_once_and_an_administrative_entry_is_none(app, utility):
    for _ in range(2):
        reconciled(app, utility, entry(77), entry(50123, resource="Batch/Bulk"))
    alert = StaffAlert.objects.get()
    assert "77" in alert.words
    assert "50123" not in alert.words
    reconciled(app, utility)
    alert.refresh_from_db()
    assert alert.closed_at


def test_one_that_was_narrowed_is_told_to_the_customer(app, utility, client):
    row = held(app, "1")
    reconciled(app, utility, entry(1, scope="FB=1_3_4_5_15;AdditionalScope=Usage;BR=50123"))
    row.refresh_from_db()
    assert (row.status, row.data_granted) == ("active", ["usage"])
    client.force_login(row.retail_customer)
    assert "Your utility does not share any more: Billing." in client.get("/dashboard").content.decode()


def test_one_that_was_widened_is_asked_for_what_it_shares_now(app, utility):
    held(app, "1")
    reconciled(app, utility, entry(1, scope="FB=1_3_4_5_15_16_46_47;AdditionalScope=Usage_Billing_Basic;BR=50123"))
    assert FetchJob.objects.filter(kind="customer", state="due").exists()
    assert FetchPlan.objects.filter(part="customer").exists()


def test_one_that_was_renewed_has_its_new_last_day(app, utility):
    row = held(app, "1", end_date=date(2026, 4, 1))
    ends = int(datetime(2027, 3, 20, 4, tzinfo=UTC).timestamp())
    reconciled(app, utility, entry(1, ends=ends))
    row.refresh_from_db()
    assert row.end_date == date(2027, 3, 19)


def test_the_utility_is_told_again_of_one_that_the_customer_stopped(app, utility):
    held(app, "1", status="withdrawn")
    reconciled(app, utility, entry(1))
    assert FetchJob.objects.filter(kind="revocation", state="due").count() == 1


def test_the_list_is_asked_for_daily_where_there_is_one(app):
    fetch.enqueue_first(held(app, "1"), now=NOW)
    fetch.enqueue_first(rows.authorization(rows.registration()), now=NOW)
    fetch.plan(NOW)
    FetchPlan.objects.filter(authorization=None).update(next_at=NOW)
    fetch.plan(NOW)
    job = FetchJob.objects.get(kind="reconciliation")
    assert (job.url, job.token_class, job.priority) == (FEED, "client", FetchJob.Priority.UPKEEP)
    assert FetchPlan.objects.get(part="authorizations").next_at > NOW


def test_an_entry_is_compared_with_the_connection_of_its_authorization_and_not_of_a_subscription_with_its_number(
    app, utility
):
    """Con Edison numbers them apart: subscription 976, authorization 1482 (contract §3.1)."""
    ben = held(app, "400", utility_authorization_id="976", scope_granted="FB=1_3")
    ada = held(app, "976", utility_authorization_id="1482")
    last = int((NOW + 30 * DAY).timestamp())
    reconciled(app, utility, entry(976, ends=last), entry(1482))
    for each in (ben, ada):
        each.refresh_from_db()
    assert (ben.end_date, ada.end_date) == ((NOW + 30 * DAY).date(), None)
    assert asked() == []


def test_what_a_customer_added_is_asked_for_though_we_died_after_noting_it(app, utility, monkeypatch):
    row = held(app, "1", scope_granted="FB=1_3_15;BR=50123", data_granted=["billing"], is_planned=True)
    FetchPlan.objects.create(application_information=app, authorization=row, part="usage", complete_to=NOW)

    def dies(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("portal.flows.fetch.reconciling.fetch_what_was_added", dies)
    with pytest.raises(KeyboardInterrupt):
        reconciled(app, utility, entry(1))
    row.refresh_from_db()
    assert row.data_granted == ["usage", "billing"]
    assert not FetchJob.objects.filter(kind="usage").exists()
    fetch.begin_what_was_left(NOW + DAY, before=NOW + 10_000 * DAY)
    assert FetchJob.objects.filter(kind="usage", priority=FetchJob.Priority.FIRST_DATA).exists()


# --- Idle connections -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "alerts"), [(29, 0), (31, 1), (41, 2)])
def test_f55_staff_are_told_after_30_and_40_days_of_connections_that_gave_nothing(app, days, alerts):
    row = held(app, "1")
    Authorization.objects.update(created_at=NOW - 50 * DAY)
    FetchPlan.objects.create(application_information=app, authorization=row, part="usage", answered_at=NOW - days * DAY)
    for _ in range(2):
        idle.review(NOW)
    assert StaffAlert.objects.filter(closed_at=None).count() == alerts
    FetchPlan.objects.update(answered_at=NOW)
    idle.review(NOW)
    assert not StaffAlert.objects.filter(closed_at=None).exists()
