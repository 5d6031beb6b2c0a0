"""Whose data the tests of this folder store."""

import pytest

from espi import models
from portal.models import User


@pytest.fixture
def subscription():
    user = User.objects.create_user("ann@example.com")
    return models.Subscription.objects.create(retail_customer=user, utility="pge", time_zone="America/New_York")
