"""What every test of the portal's pages shares."""

import pytest


@pytest.fixture(autouse=True)
def _quick_passwords(settings):
    """Hundreds of sign-ins: passwords are hashed the quick way, except where a test asks for the real one."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
