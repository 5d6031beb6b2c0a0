"""What every test of the portal's pages shares."""

import pytest

from espi import session
from tests.portal import standin


@pytest.fixture(autouse=True)
def _quick_passwords(settings):
    """Hundreds of sign-ins: passwords are hashed the quick way, except where a test asks for the real one."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def utility():
    """All utilities of the sandbox, played by one that gives tokens and says besides what it is told to."""
    stand_in = standin.StandIn()
    stand_in.says("/oauth/", standin.token())
    with (
        session.mounted("http://localhost:8001", stand_in.adapter),
        session.mounted("https://localhost:8002", stand_in.adapter),
    ):
        yield stand_in
