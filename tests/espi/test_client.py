"""GET a resource over real sockets: what is complete is kept, everything else is named."""

import gzip
import io
import ssl
import time
import zlib

import pytest

from espi import client, session
from tests.certificates import Authority
from tests.raw_server import raw_server, response, trickles

FEED = b'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>caf\xc3\xa9</title></feed>'
HEADERS = {"Authorization": "Bearer canary-token", "ocp-apim-subscription-key": "canary-key"}


def fetch(server, path="/resource?correlationID=canary-query", **options):
    into = io.BytesIO()
    with session.build(allow_loopback=True) as http:
        answer = client.get(http, server.url + path, headers=HEADERS, into=into, **options)
    return answer, into.getvalue()


def raised(said, **options):
    """The error that an answer raises; nothing secret is in it."""
    with raw_server(said) as server, pytest.raises((session.TryLater, session.NeedsAttention)) as caught:
        fetch(server, **options)
    for text in (str(caught.value), repr(caught.value), repr(caught.value.__cause__)):
        assert "canary" not in text
    return caught.value


def sized(body, *headers, status="200 OK"):
    return response(body, f"Content-Length: {len(body)}", *headers, status=status)


def chunked(*chunks):
    body = b"".join(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in chunks)
    return response(body + b"0\r\n\r\n", "Transfer-Encoding: chunked")


# --- Complete ---


def test_a_document_is_written_as_it_was_sent():
    with raw_server(sized(FEED, "Content-Type: application/atom+xml", "x-transaction: 17")) as server:
        answer, body = fetch(server)
    assert body == FEED
    assert (answer.status, answer.size, answer.wire_size) == (200, len(FEED), len(FEED))
    assert (answer.content_type, answer.transaction, answer.empty) == ("application/atom+xml", "17", False)


def test_the_address_and_the_headers_are_sent_verbatim():
    with raw_server(sized(FEED)) as server:
        fetch(server, "/r/UsageSummary/1,436,684,400,000?published-min=2026-01-15T05:00:00Z&id=a%3D%3D")
    head = server.heard[0].decode()
    assert head.startswith(
        "GET /r/UsageSummary/1,436,684,400,000?published-min=2026-01-15T05:00:00Z&id=a%3D%3D HTTP/1.1"
    )
    assert "Authorization: Bearer canary-token\r\n" in head
    assert "ocp-apim-subscription-key: canary-key\r\n" in head


@pytest.mark.parametrize(
    "said",
    [
        chunked(FEED[:30], FEED[30:]),
        sized(gzip.compress(FEED), "Content-Encoding: gzip"),
        sized(gzip.compress(FEED[:40]) + gzip.compress(FEED[40:]) + b"\0" * 8, "Content-Encoding: x-gzip"),
        response(FEED + b"\n<!-- made by hand -->\n"),
        response(b'<?xml version="1.0"?><ns1:feed xmlns:ns1="http://www.w3.org/2005/Atom"/>\n'),
    ],
    ids=["chunked", "gzip", "gzip of two members", "without a length", "an empty feed without a length"],
)
def test_every_way_to_send_a_whole_document_is_understood(said):
    with raw_server(said) as server:
        _, body = fetch(server)
    assert body in (FEED, FEED + b"\n<!-- made by hand -->\n") or b"feed xmlns:ns1" in body


def test_a_large_document_arrives_whole():
    document = b"<feed>" + bytes(range(48, 58)) * 1_000_000 + b"</feed>"
    with raw_server(sized(gzip.compress(document, 1), "Content-Encoding: gzip")) as server:
        answer, body = fetch(server)
    assert body == document
    assert answer.wire_size < answer.size


@pytest.mark.parametrize("said", [response(b"", status="204 No Content"), sized(b"")])
def test_d04_no_content_is_an_answer(said):
    with raw_server(said) as server:
        answer, body = fetch(server)
    assert answer.empty
    assert body == b""


# --- Try later ---


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (("Retry-After: 120",), 120),
        (("Date: Sat, 21 Nov 2026 12:00:00 GMT", "Retry-After: Sat, 21 Nov 2026 12:05:00 GMT"), 300),
        (("Date: Sat, 21 Nov 2026 12:00:00 GMT", "Retry-After: Sat, 21 Nov 2026 11:00:00 GMT"), 0),
        (("Retry-After: soon",), None),
        (("Retry-After: -5",), None),
        (("Retry-After: 99999999999999999999",), 9999999999),
        ((), None),
    ],
)
def test_a_202_says_how_long_to_wait(header, seconds):
    error = raised(response(b"", "Content-Length: 0", "x-transaction-id: t-1", *header, status="202 Accepted"))
    assert (type(error), error.retry_after, error.transaction) == (client.NotReady, seconds, "t-1")


def test_f29_a_429_says_how_long_to_wait_whatever_its_body():
    said = sized(b"<html>slow down</html>", "Retry-After: 7", status="429 Too Many Requests")
    error = raised(said)
    assert (type(error), error.retry_after) == (client.Throttled, 7)


@pytest.mark.parametrize("status", ["500 Oops", "502 Bad", "503 Down", "504 Late", "408 Late"])
def test_f30_a_fault_of_the_server_is_tried_again(status):
    error = raised(sized(b"<html>", "Retry-After: 30", status=status))
    assert type(error) is client.Unavailable
    assert (error.status, error.retry_after) == (int(status[:3]), 30)


def test_no_connection_is_tried_again():
    with raw_server(b"") as server:
        server.stop()
        with pytest.raises(client.Unavailable):
            fetch(server)


def test_a_connection_closed_without_a_word_is_tried_again():
    assert type(raised(b"")) is client.Unavailable


@pytest.mark.parametrize(
    "said",
    [
        response(FEED[:-20], f"Content-Length: {len(FEED)}"),
        response(b"", f"Content-Length: {len(FEED)}"),
        response(b""),
        response(f"{len(FEED):x}\r\n".encode() + FEED[:50], "Transfer-Encoding: chunked"),
        response(f"{len(FEED):x}\r\n".encode() + FEED + b"\r\n", "Transfer-Encoding: chunked"),
        response(b"zz\r\n" + FEED, "Transfer-Encoding: chunked"),
        sized(gzip.compress(FEED)[:-12], "Content-Encoding: gzip"),
    ],
    ids=[
        "short of its length",
        "nothing of its length",
        "nothing and no length",
        "cut in a chunk",
        "without the last chunk",
        "a chunk that is none",
        "gzip cut",
    ],
)
def test_d03_an_answer_that_ends_early_is_incomplete(said):
    assert type(raised(said)) is client.Incomplete


def test_d02_one_byte_at_a_time_meets_the_deadline():
    began = time.monotonic()
    assert type(raised(trickles(sized(FEED * 100), 0.02), deadline_seconds=0.5)) is client.Incomplete
    assert time.monotonic() - began < 3


def test_d02_the_deadline_also_ends_an_answer_without_a_length():
    assert (
        type(raised(trickles(response(b"plain text and no end of it " * 50), 0.02), deadline_seconds=0.6))
        is client.Incomplete
    )


def test_an_answer_slower_than_ten_kibibytes_a_second_is_given_up(monkeypatch):
    monkeypatch.setattr(client, "PACE_SECONDS", 0.2)
    assert type(raised(trickles(sized(FEED * 100), 0.02))) is client.Incomplete


# --- Needs attention ---


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("400 Bad", client.Refused),
        ("401 No", client.Unauthorized),
        ("403 Wrong", client.WrongTokenClass),
        ("404 Not here", client.Gone),
        ("410 Gone", client.Gone),
        ("418 Teapot", client.Refused),
    ],
)
def test_a_refusal_is_named_by_its_status(status, kind):
    error = raised(sized(b'"Invalid Certificate"', status=status))
    assert type(error) is kind
    assert error.status == int(status[:3])
    assert "Invalid Certificate" in error.reason


def test_e02_what_a_refusal_repeats_of_our_request_is_left_out():
    body = (
        b"Bearer canary-token, canary-token, canary-key, correlationID=canary-query, canary-query: client credentials"
    )
    error = raised(sized(body, status="400 Bad"))
    assert type(error) is client.Refused
    assert "client credentials" in error.reason


def test_a_refusal_of_any_length_and_content_is_cut_and_escaped():
    error = raised(sized(b"line\r\nline\x00\xff<b>" + b"a" * 100_000, status="400 Bad"))
    assert type(error) is client.Refused
    assert len(error.reason) <= 200
    assert error.reason.isprintable()


def test_c09_a_redirect_is_refused():
    said = response(b"", "Location: http://localhost:1/?token=canary", "Content-Length: 0", status="302 Found")
    error = raised(said)
    assert type(error) is client.Refused
    assert "redirect" in error.reason


def test_d01_a_gzip_bomb_is_stopped_at_the_ratio():
    bomb = gzip.compress(b"\0" * 60_000_000)
    assert len(bomb) < 100_000
    error = raised(sized(bomb, "Content-Encoding: gzip"))
    assert type(error) is client.TooLarge
    assert "200 times" in str(error)


def test_d01_an_answer_over_the_limit_is_stopped_inflated_or_not():
    assert type(raised(sized(b"a" * 5000), max_bytes=4999)) is client.TooLarge
    assert type(raised(sized(b"a" * 5000), max_wire_bytes=4999)) is client.TooLarge
    assert (
        type(raised(sized(gzip.compress(b"abcdefgh" * 1000), "Content-Encoding: gzip"), max_bytes=7999))
        is client.TooLarge
    )


@pytest.mark.parametrize(
    "said",
    [
        sized(FEED, "Content-Encoding: gzip"),
        sized(gzip.compress(gzip.compress(FEED)), "Content-Encoding: gzip, gzip"),
        sized(zlib.compress(FEED), "Content-Encoding: deflate"),
        sized(FEED, "Content-Encoding: br"),
    ],
    ids=["gzip that is none", "stacked", "deflate", "brotli"],
)
def test_d01_an_encoding_we_did_not_ask_for_is_refused(said):
    assert type(raised(said)) is client.Refused


def test_d12_a_certificate_nobody_vouches_for_needs_attention(tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*Authority(tmp_path).certificate("localhost"))
    with raw_server(sized(FEED), context) as server, pytest.raises(client.Refused, match="certificate"):
        fetch(server)


def test_f40_a_server_that_misses_our_certificate_needs_attention(tmp_path):
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certificate("localhost"))
    context.load_verify_locations(authority.path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # later ones may reset the connection before the reason is read
    with (
        raw_server(sized(FEED), context) as server,
        session.build(allow_loopback=True, extra_ca=authority.path) as http,
        pytest.raises(client.Refused, match="certificate"),
    ):
        client.get(http, server.url, headers={}, into=io.BytesIO())


def test_an_address_that_is_none_is_refused():
    with session.build() as http, pytest.raises(client.Refused):
        client.get(http, "http://[::1", headers={}, into=io.BytesIO())


def test_our_own_full_disk_is_not_the_utilitys_fault():
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    with (
        raw_server(sized(FEED)) as server,
        session.build(allow_loopback=True) as http,
        pytest.raises(OSError, match="space"),
    ):
        client.get(http, server.url, headers={}, into=Full())


# --- Calls whose answer does not matter ---


def test_a_call_sends_its_method_and_body():
    with raw_server(response(b"", "Content-Length: 0", status="202 Accepted")) as server:
        with session.build(allow_loopback=True) as http:
            assert client.send(http, "DELETE", f"{server.url}/a", headers=HEADERS) == 202
        assert server.heard[0].startswith(b"DELETE /a HTTP/1.1")


def test_a_call_that_finds_nothing_says_so():
    with raw_server(response(b"", "Content-Length: 0", status="404 No")) as server, pytest.raises(client.Gone):
        client.send(session.build(allow_loopback=True), "POST", server.url, headers=HEADERS)
