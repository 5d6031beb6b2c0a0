"""The acceptance tests' looks at handshakes go where our other calls may go, and nowhere else."""

import pytest

from espi import session
from espi.session import AddressRefused, Reach
from portal.acceptance import connectivity
from tests.raw_server import raw_server

PRIVATE = ("127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "localhost")


@pytest.mark.parametrize("host", PRIVATE)
def test_c05_no_handshake_is_begun_with_an_address_that_no_utility_has(host):
    with pytest.raises(AddressRefused):
        session.connect(host, 443, Reach(), seconds=1)
    assert "not on the public internet" in connectivity.handshake(host, 443, Reach())
    assert connectivity.takes_old_tls(host, 443, Reach()) == ""


def test_a_handshake_within_reach_is_begun_and_its_failure_told_in_words(monkeypatch):
    monkeypatch.setattr(connectivity, "SECONDS", 0.3)
    with raw_server(b"") as server:
        told = connectivity.handshake("localhost", server.port, Reach.of(["127.0.0.0/8", "::1/128"]))
        assert told == "No TLS connection to localhost (TimeoutError)."
        assert server.connections == 1
