"""Bad input to a registration: the field is named, and what helps; nothing is saved and nothing is sent."""

import pytest
from django.test import Client

from espi import session as espi_session
from espi.models import ApplicationInformation
from portal.flows import registration_checks, registrations
from tests.certificates import Authority
from tests.portal import rows
from tests.portal.people import staff
from tests.portal.standin import StandIn, refusal, token

pytestmark = pytest.mark.django_db
V1 = "accounts-billing/dashboard/billing-and-usage/share-my-data-connections/third-party-authorization/redirect"
# As the onboarding document prints them; what the message must say.
MISPRINTED = {
    f"https://uat10-core.coned.com/en/{V1}".replace("billing-and-usage", "billing-andusage"): "billing-and-usage",
    f"https://uat10-core.coned.com/en/{V1}".replace("third-party-a", "third-partya"): "third-party-authorization",
    f"https://uat10-core.coned.com/en/{V1}??client_id=<<Third-Party Client ID>>": "one question mark",
    f"https:/uat10-core.coned.com/en/{V1}": "two slashes",
    f"https://uat10-core.coned.com/en/{V1}?scope= FB": "blank",
    f"https://uat10-core.coned.com/en/{V1}?redirectUri=http%3A%2F%2host%3F323": "no escape",
}


def cecony(environment="test", **more):
    fields = {
        "client_id": "client",
        "client_secret": "the-secret",
        "subscription_key": "key",
        "third_party_id": "000092",
    }
    return ApplicationInformation(utility="cecony", edition="v1", environment=environment, **(fields | more))


@pytest.mark.parametrize(("address", "meant"), MISPRINTED.items())
def test_each_misprint_of_the_onboarding_document_is_named_with_what_is_meant(address, meant):
    found = registration_checks.problems(cecony(authorize_url=address))
    assert set(found) == {"authorize_url"}
    assert meant in found["authorize_url"]


@pytest.mark.parametrize(
    ("environment", "field", "address", "words"),
    [
        (
            "production",
            "token_url",
            "https://apit.coned.com/gbc/v1/oauth/v1/Token",
            "belongs to utility's test environment",
        ),
        (
            "production",
            "authorize_url",
            f"https://uat10-core.coned.com/en/{V1}",
            "belongs to utility's test environment",
        ),
        ("test", "resource_base", "https://api.coned.com/gbc/v1/resource", "belongs to production"),
        ("test", "token_url", "https://evil.example/Token", "not one of the utility's"),
    ],
)
def test_a_host_of_another_environment_is_named_and_where_it_belongs(environment, field, address, words):
    found = registration_checks.problems(cecony(environment, **{field: address}))
    assert words in found[field]
    with pytest.raises(registrations.RegistrationRefused, match=field):
        registrations.store("cecony", environment, "v1", {field: address})
    assert not ApplicationInformation.objects.exists()


def test_the_right_addresses_are_no_problem():
    assert registration_checks.problems(cecony(authorize_url=f"https://uat10-core.coned.com/en/{V1}")) == {}
    assert registration_checks.problems(cecony("production")) == {}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("client_id", "Thirdparty_CLIENT_ID_HERE", "not the example of its document"),
        ("client_secret", "<<Third-Party Client Secret>>", "not the example of its document"),
        ("client_secret", "client", "This is the client id"),
        ("third_party_id", "client", "This is the client id"),
        ("subscription_key", "a b", "without blanks"),
    ],
)
def test_a_value_that_cannot_be_one_is_named(field, value, words):
    assert words in registration_checks.problems(cecony(**{field: value}))[field]


def files(folder, *, days=30):
    authority = Authority(folder)
    certificate, key = authority.certificate("portal.example", days=days)
    _, other_key = authority.certificate("other.example", days=days)
    return certificate, key, other_key


def test_a_certificate_that_does_not_fit_its_key_is_named(tmp_path):
    certificate, key, other = files(tmp_path)
    app = rows.registration("pge", "", client_certificate_path=certificate, client_key_path=key)
    assert registration_checks.problems(app) == {}
    with pytest.raises(registrations.RegistrationRefused, match="client_key_path: This key does not fit"):
        registrations.store("pge", "sandbox", "", {"client_key_path": other})
    app.refresh_from_db()
    assert app.client_key_path == key


def test_a_certificate_that_ended_and_a_file_that_is_none_are_named(tmp_path):
    certificate, key, _ = files(tmp_path, days=-1)
    ended = ApplicationInformation(
        utility="pge", environment="test", client_certificate_path=certificate, client_key_path=key
    )
    assert "ended on" in registration_checks.problems(ended)["client_certificate_path"]
    ended.client_certificate_path = key
    assert "no certificate in PEM form" in registration_checks.problems(ended)["client_certificate_path"]
    ended.client_certificate_path = str(tmp_path / "none.pem")
    assert "no such file" in registration_checks.problems(ended)["client_certificate_path"]
    ended.client_certificate_path, ended.client_key_path = certificate, ""
    assert "Name both files" in registration_checks.problems(ended)["client_key_path"]


# --- On the registration's page ------------------------------------------------------------------------------------


@pytest.fixture
def utility():
    stand_in = StandIn()
    with espi_session.mounted("http://localhost:8001", stand_in.adapter):
        yield stand_in


@pytest.fixture
def page(client):
    client.force_login(staff())
    return client


def posted(client: Client, app, **changes):
    """The registration's form as the page has it, with these changes."""
    address = f"/staff/espi/applicationinformation/{app.pk}/change/"
    form = client.get(address).context["adminform"].form
    values = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    sent = {name: "on" if value is True else value for name, value in values.items() if value not in (None, False, "")}
    return client.post(address, sent | changes)


def test_a_wrong_secret_is_tried_before_it_is_saved(page, utility):
    app = rows.registration()
    utility.says("Token", refusal("invalid_client", 401))
    answer = posted(page, app, client_secret="not-the-secret")
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "Con Edison does not accept it" in text
    assert "Copy again, from its mail: client id and client secret" in text
    assert "not-the-secret" not in text
    app.refresh_from_db()
    assert app.client_secret == "s3cret-of-ours"
    assert len(utility.asked) == 1


def test_a_right_secret_is_saved(page, utility):
    app = rows.registration()
    utility.says("Token", token(refresh=""))
    assert posted(page, app, client_secret="the-new-one").status_code == 303
    app.refresh_from_db()
    assert app.client_secret == "the-new-one"


def test_nobody_is_asked_about_credentials_that_did_not_change(page, utility):
    app = rows.registration()
    assert posted(page, app, bulk_id="7").status_code == 303
    assert utility.asked == []


def test_a_misprint_is_told_beside_its_field_and_nothing_is_saved_or_sent(page, utility):
    app = cecony(client_secret="")
    app.save()
    address = next(iter(MISPRINTED))
    answer = posted(page, app, authorize_url=address, client_secret="another")
    assert "billing-and-usage" in answer.context["adminform"].form.errors["authorize_url"][0]
    app.refresh_from_db()
    assert (app.authorize_url, app.client_secret) == ("", "")
    assert utility.asked == []
