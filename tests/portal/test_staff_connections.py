"""A connection as support sees it: found, a reason first, every look written down, and told in words."""

from datetime import timedelta

import pytest
from django.utils import timezone
from lxml import html

from espi.models import Document
from portal.flows import consents, looking
from portal.models import Consent, ConsentEvent, FetchPlan, StaffAccess
from tests.portal import rows
from tests.portal.people import staff
from tests.portal.rows import NOW
from tests.portal.test_roles import WHY, member
from tests.portal.test_staff_actions import FILE
from tests.portal.test_staff_pages import said

pytestmark = pytest.mark.django_db


@pytest.fixture
def held():
    return rows.authorization(
        rows.registration(), account_hint="•••• 4711", access_token="c4n4ry-access", refresh_token="c4n4ry-refresh"
    )


@pytest.fixture
def helper(client):
    user = member("support")
    client.force_login(user)
    return user


def page_of(held):
    return f"/staff/connections/{held.public_id}/"


def give(client, held, words=WHY):
    return client.post(f"/staff/reason/{held.retail_customer_id}/?next={page_of(held)}", {"reason": words})


def consent(held, reference="ABCD-EFGH"):
    made = Consent.objects.create(
        retail_customer=held.retail_customer,
        authorization=held,
        reference=reference,
        utility="cecony",
        environment="sandbox",
        text_version="x",
        statement="x",
        agreed_at=NOW,
    )
    ConsentEvent.objects.create(consent=made, kind="connected", at=NOW, text_version=consents.TEXT_VERSION)
    return made


def work_of(held):
    """A row of each table of work that is of this customer."""
    job = rows.job(held, FILE)
    paper = Document.objects.create(
        application_information=held.application_information, subscription=held.subscription, fetch_job=job,
        sha256="0", size=1, received_at=NOW,
    )  # fmt: skip
    plan = FetchPlan.objects.create(
        application_information=held.application_information, authorization=held, part="usage", next_at=NOW
    )
    return [f"/staff/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/" for row in (job, paper, plan)]


def test_e10_work_of_a_customer_is_shown_to_support_for_a_reason_and_to_operators_without_one(client, held):
    helper, operator, pages = member("support"), member("operator"), work_of(held)
    for page in pages:
        client.force_login(helper)
        assert client.get(page)["Location"].startswith(f"/staff/reason/{held.retail_customer_id}/")
        client.force_login(operator)
        assert client.get(page).status_code == 200
    client.force_login(helper)
    give(client, held)
    assert {client.get(page).status_code for page in pages[1:]} == {200}
    lines = StaffAccess.objects.filter(kind="look", customer=held.retail_customer).values_list("staff", "reason")
    assert sorted(lines) == sorted([(operator.pk, "")] * 3 + [(helper.pk, WHY)] * 2)


# --- Search -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["ABCD-EFGH", "abcd-efgh ", "4711", "711", "123 456 4711"])
def test_a_connection_is_found_by_reference_or_masked_account(client, helper, held, asked):
    consent(held)
    rows.authorization(held.application_information, "977", account_hint="•••• 1234")
    answer = client.post("/staff/connections/", {"asked": asked})
    found = html.fromstring(answer.content.decode()).xpath("//table//a/@href")
    assert found == [page_of(held)]
    assert held.retail_customer.email not in answer.content.decode()


@pytest.mark.parametrize("asked", ["", "11", "nobody", "%", "\0", "x" * 5000, "9" * 5000])
def test_what_fits_nothing_finds_nothing(client, helper, held, asked):
    answer = client.post("/staff/connections/", {"asked": asked})
    assert answer.status_code == 200
    assert page_of(held) not in answer.content.decode()


# --- A reason first -----------------------------------------------------------------------------------------------------


def test_e07_e10_support_gives_a_reason_and_each_look_is_written_down(client, helper, held):
    asked = client.get(page_of(held))
    assert asked.status_code == 303
    assert asked["Location"].startswith(f"/staff/reason/{held.retail_customer_id}/?next=")
    assert not StaffAccess.objects.filter(kind="look").exists()
    assert give(client, held)["Location"] == page_of(held)
    assert client.get(page_of(held)).status_code == 200
    line = StaffAccess.objects.get(kind="look")
    told = (line.staff, line.customer, line.what, line.reason)
    assert told == (helper, held.retail_customer, f"espi.authorization {held.pk}", WHY)


@pytest.mark.parametrize("words", ["", "because", "x" * 301])
def test_a_reason_that_is_none_is_asked_for_again_and_what_was_typed_stays(client, helper, held, words):
    answer = give(client, held, words)
    assert answer.status_code == 200
    assert "There is a problem" in said(answer)
    assert html.fromstring(answer.content.decode()).xpath("//input[@id='reason']/@value") == [words]
    assert client.get(page_of(held)).status_code == 303


@pytest.mark.parametrize("then", ["//evil.example", "https://evil.example/staff/", "/dashboard", "/staff/\\evil", ""])
def test_a27_the_reason_leads_to_pages_of_the_staff_site_only(client, helper, held, then):
    answer = client.post(f"/staff/reason/{held.retail_customer_id}/", {"reason": WHY}, query_params={"next": then})
    assert answer["Location"] in ("/staff/connections/", "/staff/%5Cevil")  # the latter is a place of ours


@pytest.mark.parametrize("role", ["operator", "tester"])
def test_e08_who_does_not_see_customers_opens_none_of_these_pages(client, held, role):
    client.force_login(member(role))
    for page in ("/staff/connections/", page_of(held), f"/staff/reason/{held.retail_customer_id}/"):
        assert client.get(page).status_code == 403
    assert give(client, held).status_code == 403


@pytest.mark.parametrize("model", ["espi/authorization", "espi/subscription", "portal/user", "portal/consent"])
@pytest.mark.parametrize("page", ["change", "history"])
def test_e10_rows_of_a_customer_want_the_reason_too_from_owners_as_well(client, held, model, page):
    row = {
        "espi/authorization": held,
        "espi/subscription": held.subscription,
        "portal/user": held.retail_customer,
        "portal/consent": consent(held),
    }[model]
    boss = staff()
    client.force_login(boss)
    place = f"/staff/{model}/{row.pk}/{page}/"
    assert client.get(place)["Location"].startswith(f"/staff/reason/{held.retail_customer_id}/")
    looking.give_reason(staff=boss, customer=held.retail_customer, reason=WHY, now=timezone.now())
    assert client.get(place).status_code == 200
    line = StaffAccess.objects.get(kind="look")
    assert (line.what, line.customer, line.reason) == (f"{model.replace('/', '.')} {row.pk}", held.retail_customer, WHY)


def test_e10_lists_are_masked_and_looking_through_them_is_written_down(client, helper, held):
    consent(held)
    for model in ("espi/authorization", "espi/subscription", "portal/user", "portal/consent"):
        assert "ada@example.com" not in client.get(f"/staff/{model}/").content.decode(), model
    looked = StaffAccess.objects.filter(kind="look").order_by("pk").values_list("what", "staff")
    assert list(looked)[:2] == [("list of espi.authorization", helper.pk), ("list of espi.subscription", helper.pk)]


# --- In words -------------------------------------------------------------------------------------------------------------


def test_a_connection_is_told_in_words_oldest_first(client, helper, held):
    consent(held)
    done = rows.job(held, FILE, state="failed", reason="The utility refused account 123456789.", finished_at=NOW)
    Document.objects.create(
        fetch_job=done,
        sha256="x",
        size=1234,
        received_at=NOW + timedelta(minutes=1),
        summary={"refused": [{"what": "x", "why": "y", "count": 7}]},
    )
    give(client, held)
    answer = client.get(page_of(held))
    words = said(answer)
    for part in (
        "Consent: Consent ABCD-EFGH: Allowed at the utility; sharing began.",
        "Fetch: Asked for: Usage and bills.",
        "Usage and bills: Failed. The utility refused account •••",
        "Data: 1,234 bytes arrived; 7 readings or other things of them were refused.",
        "Token: The access token holds until then",
        "We could not fetch your data",
        f"Job {done.pk} failed last",
    ):
        assert part in words, part
    for secret in ("c4n4ry", "123456789", held.retail_customer.email):
        assert secret not in answer.content.decode()
    times = html.fromstring(answer.content.decode()).xpath("//time/@datetime")
    assert times == sorted(times)
    assert len(times) >= 6


def test_the_page_of_a_connection_takes_few_statements_however_much_happened(
    client, helper, held, django_assert_max_num_queries
):
    consent(held)
    for number in range(150):
        rows.job(held, f"{FILE}{number}", state="done", finished_at=NOW)
    give(client, held)
    with django_assert_max_num_queries(25):
        assert client.get(page_of(held)).status_code == 200


def test_a_connection_that_is_not_there_is_not_found(client, helper, held):
    other = page_of(held).replace(str(held.public_id), "00000000-0000-4000-8000-000000000000")
    assert client.get(other).status_code == 404
