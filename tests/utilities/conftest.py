"""Registrations as a utility would have given them to us. Every value is made up."""

import pytest

import utilities
from espi.models import ApplicationInformation, Authorization

PROFILES = [
    ("cecony", "v1"),
    ("cecony", "v2"),
    ("oru", "v1"),
    ("oru", "v2"),
    ("pge", ""),
    ("essex", ""),
    ("welland", ""),
]
CREDENTIALS = {
    "client_id": "0oa-client",
    "client_secret": "s3cr:et/+",
    "subscription_key": "apim-key",
    "third_party_id": "000092",
    "bulk_id": "50123",
    "api_token": "api-token",
    "notify_secret": "notify-secret",
}


def registration(slug: str, edition: str = "", environment: str = "sandbox", **values: str) -> ApplicationInformation:
    """Not saved."""
    return ApplicationInformation(utility=slug, edition=edition, environment=environment, **({**CREDENTIALS} | values))


def connection(slug: str, edition: str = "", *granted: str, **values: str) -> Authorization:
    """Not saved."""
    app = registration(slug, edition, values.pop("environment", "production"))
    return Authorization(
        application_information=app,
        utility_subscription_id=values.pop("subscription_id", "976"),
        utility_authorization_id=values.pop("authorization_id", "1482"),
        data_granted=list(granted),
        **values,
    )


@pytest.fixture(params=PROFILES, ids=lambda profile: " ".join(filter(None, profile)))
def profile(request):
    """Each of the profiles: its utility and a registration in production."""
    slug, edition = request.param
    return utilities.get(slug), registration(slug, edition, "production")
