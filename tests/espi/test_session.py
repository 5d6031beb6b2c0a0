"""Whom a session calls, whom it trusts, and what it never sends; over real sockets."""

import ssl
import time

import pytest
import requests
from cryptography.hazmat.primitives import serialization

from espi import session
from espi.session import AddressRefused, CertificateUnusable, Deadline, Reach
from tests.certificates import Authority
from tests.raw_server import raw_server, response, trickles

OK = response(b"ok", "Content-Length: 2")


def local(**options):
    return session.build(allow_loopback=True, **options)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.10",
        "::1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "168.63.129.16",
        "100.64.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "198.18.0.1",
        "192.88.99.1",
        "fe80::1%eth0",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001:0:53aa:64c::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "::",
        "192.0.0.192",
        "192.0.0.9",
        "::ffff:0:127.0.0.1",
        "::ffff:0:169.254.169.254",
        "3fff::1",
        "5f00::1",
        "2606:4700::5efe:127.0.0.1",
        "2606:4700::200:5efe:169.254.169.254",
        "2606:4700::5efe:192.0.0.192",
    ],
)
def test_c08_an_address_that_is_not_on_the_public_internet_is_refused(address):
    assert not Reach().permits(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "20.42.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "2606:4700::5efe:8.8.8.8"]
)
def test_a_public_address_is_permitted(address):
    assert Reach().permits(address)


def test_c08_nothing_is_sent_to_a_name_that_leads_to_this_machine():
    with raw_server(OK) as server:
        with pytest.raises(AddressRefused) as refusal, session.build() as http:
            http.get(f"{server.url}/secret-path", headers={"Authorization": "Bearer secret"})
        assert server.connections == 0
    assert "localhost" in str(refusal.value)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "0x7f000001", "2130706433", "127.1", "[::ffff:127.0.0.1]"])
def test_c07_however_the_address_of_this_machine_is_written_it_is_refused(host):
    with pytest.raises((AddressRefused, requests.RequestException)) as refusal, session.build() as http:
        http.get(f"http://{host}:9/")
    if isinstance(refusal.value, requests.RequestException):
        assert not isinstance(refusal.value, requests.ConnectTimeout)
        assert "refused" not in str(refusal.value).lower(), "a connection was tried"


def test_an_allowed_network_may_be_reached_and_only_that_one():
    with raw_server(OK) as server:
        with session.build(allowed_networks=["127.0.0.0/8", "::1/128"]) as http:
            assert http.get(server.url).text == "ok"
        with pytest.raises(AddressRefused), session.build(allowed_networks=["10.0.0.0/8"]) as http:
            http.get(server.url)


@pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "307 T", "308 P"])
def test_c09_a_redirect_is_not_followed_and_no_header_leaves(status):
    with raw_server(OK) as foreign:
        there = response(b"", f"Location: {foreign.url}/collect", "Content-Length: 0", status=status)
        with raw_server(there) as utility, local() as http:
            answer = http.get(
                utility.url,
                headers={"Authorization": "Bearer t", "ocp-apim-subscription-key": "k"},
                allow_redirects=True,
            )
        assert answer.status_code == int(status[:3])
        assert foreign.connections == 0


def test_d11_netrc_and_proxies_of_the_environment_have_no_effect(tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login somebody password secret\n")
    netrc.chmod(0o600)
    with raw_server(OK) as proxy, raw_server(OK) as server:
        monkeypatch.setenv("NETRC", str(netrc))
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with local() as http:
            assert http.get(server.url).text == "ok"
        assert proxy.connections == 0
    assert b"authorization" not in server.heard[0].lower()


def test_no_cookie_is_kept():
    with (
        raw_server(response(b"ok", "Set-Cookie: id=1; Path=/", "Content-Length: 2", "Connection: close")) as server,
        local() as http,
    ):
        http.get(server.url)
        http.get(server.url)
    assert all(b"cookie" not in head.lower() for head in server.heard)


def test_the_user_agent_says_who_calls(settings):
    with raw_server(OK) as server, local() as http:
        http.get(server.url)
    assert settings.PORTAL_BASE_URL.encode() in server.heard[0]


# --- Certificates ---


def tls(certificate, client_authority=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if client_authority:
        context.load_verify_locations(client_authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_d12_an_unknown_authority_is_refused_and_an_extra_one_accepted(tmp_path):
    authority = Authority(tmp_path)
    with raw_server(OK, tls(authority.certificate("localhost"))) as server:
        with pytest.raises(requests.exceptions.SSLError), local() as http:
            http.get(server.url)
        with local(extra_ca=authority.path) as http:
            assert http.get(server.url).text == "ok"
        with local(verify=authority.path) as http:
            assert http.get(server.url).text == "ok"


@pytest.mark.parametrize(("host", "days"), [("other.example", 1), ("localhost", -1)])
def test_d12_a_certificate_for_another_host_or_an_expired_one_is_refused(tmp_path, host, days):
    authority = Authority(tmp_path)
    with raw_server(OK, tls(authority.certificate(host, days=days))) as server:
        with pytest.raises(requests.exceptions.SSLError), local(extra_ca=authority.path) as http:
            http.get(server.url)
        assert server.heard == []


def test_d12_verification_cannot_be_turned_off(tmp_path):
    with pytest.raises(ValueError, match="cannot be turned off"):
        session.build(verify=False)
    with raw_server(OK, tls(Authority(tmp_path).certificate("localhost"))) as server:
        with pytest.raises(requests.exceptions.SSLError), local() as http:
            http.verify = False
            http.get(server.url, verify=False)
        assert server.heard == []


def test_a_utility_that_wants_our_certificate_gets_it(tmp_path):
    authority = Authority(tmp_path)
    context = tls(authority.certificate("localhost"), client_authority=authority.path)
    with raw_server(OK, context) as server:
        with local(extra_ca=authority.path, certificate=authority.certificate("client")) as http:
            assert http.get(server.url).text == "ok"
        with pytest.raises(requests.RequestException), local(extra_ca=authority.path) as http:
            http.get(server.url)


def test_a_certificate_that_was_renewed_is_used_at_once(tmp_path):
    old, new = Authority(tmp_path, "old"), Authority(tmp_path, "new")
    bundle = tmp_path / "bundle.pem"
    bundle.write_text((tmp_path / "old.pem").read_text())
    with raw_server(OK, tls(new.certificate("localhost"))) as server:
        with pytest.raises(requests.exceptions.SSLError), local(extra_ca=str(bundle)) as http:
            http.get(server.url)
        time.sleep(0.01)
        bundle.write_text((tmp_path / "new.pem").read_text())
        with local(extra_ca=str(bundle)) as http:
            assert http.get(server.url).text == "ok"
    assert old.path != new.path


def test_a_certificate_file_that_cannot_be_used_is_named(tmp_path):
    authority = Authority(tmp_path)
    (tmp_path / "empty.pem").write_text("nothing")
    locked = serialization.BestAvailableEncryption(b"secret")
    for options, name in (
        ({"extra_ca": str(tmp_path / "absent.pem")}, "absent.pem"),
        ({"extra_ca": str(tmp_path / "empty.pem")}, "empty.pem"),
        ({"certificate": authority.certificate("client", encryption=locked)}, "client-1-key.pem"),
    ):
        with pytest.raises(CertificateUnusable, match=name):
            session.build(**options)


# --- Deadlines ---


def test_d02_a_head_that_trickles_in_is_cut_off_at_the_deadline():
    with raw_server(trickles(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 500, 0.05)) as server, local() as http:
        began = time.monotonic()
        with Deadline(0.4) as deadline, pytest.raises(requests.RequestException):
            http.get(server.url)
        assert time.monotonic() - began < 2
        assert deadline.expired


def test_a_handshake_that_never_ends_is_cut_off_at_the_deadline():
    with raw_server(lambda connection: time.sleep(5)) as server, local() as http:
        began = time.monotonic()
        with Deadline(0.4) as deadline, pytest.raises(requests.RequestException):
            http.get(server.url.replace("http:", "https:"))
        assert time.monotonic() - began < 2
        assert deadline.expired


def test_a_kept_connection_comes_under_the_deadline_of_its_next_use():
    def script(connection):
        connection.sendall(OK)
        connection.recv(65536)
        trickles(OK, 0.1)(connection)

    with raw_server(script) as server, local() as http:
        assert http.get(server.url).text == "ok"
        with Deadline(0.3) as deadline, pytest.raises(requests.RequestException):
            http.get(server.url)
        assert deadline.expired
        assert server.connections == 1


def test_a_deadline_that_was_kept_leaves_the_connection_alone():
    def script(connection):
        connection.sendall(OK)
        connection.recv(65536)
        connection.sendall(OK)

    with raw_server(script) as server, local() as http:
        with Deadline(0.2):
            http.get(server.url)
        time.sleep(0.3)
        assert http.get(server.url).text == "ok"
        assert server.connections == 1


# --- In process ---


class Recorder(requests.adapters.BaseAdapter):
    def __init__(self):
        super().__init__()
        self.certificates = []

    def send(self, request, **kwargs):
        self.certificates.append(kwargs["cert"])
        answer = requests.Response()
        answer.status_code, answer.request, answer.url = 204, request, request.url
        return answer

    def close(self):
        pass


def test_a_mounted_program_answers_inside_and_is_gone_afterwards(tmp_path):
    certificate = Authority(tmp_path).certificate("client")
    recorder = Recorder()
    with session.mounted("https://api.pge.com", recorder), session.build(certificate=certificate) as http:
        assert http.get("https://api.pge.com/x").status_code == 204
    assert recorder.certificates == [certificate]
    assert not isinstance(session.build().get_adapter("https://api.pge.com/x"), Recorder)
