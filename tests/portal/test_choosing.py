"""Choosing a utility: "which one am I?" by ZIP or postal code, and what is wrong at a utility today."""

import pytest
from django.utils import timezone
from lxml import html

import utilities
from portal.models import Circuit
from tests.portal import rows
from utilities import places

pytestmark = pytest.mark.django_db


def words(answer):
    return " ".join(html.fromstring(answer.content).text_content().split())


@pytest.mark.parametrize(
    ("code", "slug", "is_usual"),
    [
        ("10001", "cecony", True),  # Manhattan
        ("10451-1234", "cecony", True),  # the Bronx
        ("11101", "cecony", True),  # Queens
        ("10580", "cecony", True),  # Rye, Westchester
        ("11691", "cecony", False),  # the Rockaways
        ("10901", "oru", True),  # Suffern
        ("12701", "oru", False),  # Monticello
        ("07430", "oru", False),  # Mahwah, New Jersey
        ("94102", "pge", True),  # San Francisco
        ("95814", "pge", True),  # Sacramento
        ("93501", "pge", False),  # Mojave
        ("n9v 1a1", "essex", True),  # Amherstburg
        ("N8N2M3", "essex", True),  # Tecumseh
        ("N0R 1A0", "essex", False),
    ],
)
def test_a_code_leads_to_its_utility(code, slug, is_usual):
    (match,) = places.serving(code)
    assert (match.utility.slug, match.area.is_usual) == (slug, is_usual)
    assert match.area.words or is_usual


@pytest.mark.parametrize("code", ["90001", "60601", "M5V 2T6", "08540"])
def test_elsewhere_none_is_named(code):
    assert places.serving(code) == []


@pytest.mark.parametrize("code", ["", "1000", "100011", "N9V", "N9V 1A", "hello", "<b>", "١٠٠٠١"])
def test_what_is_no_code_is_refused(code):
    with pytest.raises(places.NotACode):
        places.normalized(code)


def test_no_two_utilities_claim_the_same_beginning():
    starts = [start for utility in utilities.all() for area in utility.postal_areas for start in area.starts]
    assert len(starts) == len(set(starts))


def test_the_page_answers_in_words_and_names_the_way_on(client):
    rows.registration(is_offered=True)  # Con Edison
    said = words(client.get("/connect?code=10580"))
    assert "At 10580 it is usually Con Edison (CECONY). In the north and east of Westchester" in said
    assert "Connect Con Edison" in said
    said = words(client.get("/connect?code=07430"))
    assert "At 07430 it may be Orange & Rockland (O&R). In the north of New Jersey" in said
    assert "Orange & Rockland cannot be connected here yet." in said
    assert "None of these utilities serves 60601" in words(client.get("/connect?code=60601"))


def test_the_page_says_what_is_wrong_with_a_code(client):
    for code in ("", "12", "<script>"):
        answer = client.get("/connect", {"code": code})
        assert answer.status_code == 400
        page = html.fromstring(answer.content)
        assert page.xpath("//title/text()")[0].startswith("Error:")
        assert page.xpath("//*[@id='error-summary']//a/@href") == ["#id_code"]
        assert not page.xpath("//main//script")


def test_a_utility_that_does_not_answer_says_so_before_one_begins(client):
    app = rows.registration(is_offered=True)
    assert "does not answer" not in words(client.get("/connect"))
    Circuit.objects.create(application_information=app, opened_at=timezone.now(), cause=Circuit.Cause.SERVICE)
    assert "Con Edison does not answer us at the moment. You can connect" in words(client.get("/connect"))


def test_the_next_page_says_it_too(client):
    app = rows.registration(is_offered=True)
    client.force_login(rows.customer())
    assert "does not answer us" not in words(client.get("/connect/cecony"))
    Circuit.objects.create(application_information=app, opened_at=timezone.now(), cause=Circuit.Cause.CREDENTIALS)
    assert "is being repaired. Connecting may not work today." in words(client.get("/connect/cecony"))
