"""What every test of the sandbox shares."""

from collections.abc import Iterator

import pytest

from tests import sandbox_app


@pytest.fixture(autouse=True)
def _sandbox_given_back() -> Iterator[None]:
    with sandbox_app.given_back():
        yield
