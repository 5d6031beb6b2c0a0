"""Notification bodies in every shape that the three platforms send."""

import pytest

from espi import batchlist

DOWNLOAD = (
    "https://api.coned.com/gbc/v1/resource/Batch/Download?requestId=11111111-1111-1111-1111-111111111111"
    "&responseId=22222222-2222-2222-2222-222222222222"
)
ESCAPED = DOWNLOAD.replace("&", "&amp;")


def test_con_edison_v1_sends_a_lower_camel_root_with_line_breaks_around_the_address():
    body = f"""<espi:batchList xmlns:espi="http://naesb.org/espi">
      <espi:resources>
        {ESCAPED}
      </espi:resources>
      <espi:resources>{ESCAPED.replace("requestId", "subscriptionId=976&amp;requestId")}</espi:resources>
    </espi:batchList>"""
    assert batchlist.read(body.encode()) == [DOWNLOAD, DOWNLOAD.replace("requestId", "subscriptionId=976&requestId")]


def test_con_edison_v1_may_wrap_the_list_into_an_atom_feed():
    body = f"""<feed xmlns="http://www.w3.org/2005/Atom" xmlns:espi="http://naesb.org/espi"><entry><content>
      <espi:batchList><espi:resources>{ESCAPED}</espi:resources></espi:batchList></content></entry></feed>"""
    assert batchlist.read(body.encode()) == [DOWNLOAD]


def test_pge_uses_a_prefix_and_sends_two_addresses():
    base = "https://api.pge.com/GreenButtonConnect/espi/1_1/resource/Batch/Bulk/50123?correlationID="
    body = f"""<?xml version="1.0" encoding="UTF-8"?>
<ns0:BatchList xmlns:ns0="http://naesb.org/espi">
  <ns0:resources>{base}1a2b</ns0:resources>
  <ns0:resources>{base}5e6f</ns0:resources>
</ns0:BatchList>"""
    assert batchlist.read(body.encode()) == [f"{base}1a2b", f"{base}5e6f"]


def test_utilityapi_uses_the_default_namespace():
    url = "https://utilityapi.com/DataCustodian/espi/1_1/resource/Bulk/b-17"
    body = f'<BatchList xmlns="http://naesb.org/espi"><resources>{url}</resources></BatchList>'
    assert batchlist.read(body.encode()) == [url]


def test_bare_ampersands_are_repaired_once():
    body = f'<BatchList xmlns="http://naesb.org/espi"><resources>{DOWNLOAD}</resources></BatchList>'
    assert batchlist.read(body.encode()) == [DOWNLOAD]


def test_escaped_ampersands_stay_as_they_are_beside_bare_ones():
    body = f'<BatchList xmlns="http://naesb.org/espi"><resources>{ESCAPED}&amp;a=1&b=2</resources></BatchList>'
    assert batchlist.read(body.encode()) == [f"{DOWNLOAD}&a=1&b=2"]


def test_an_empty_list_is_a_list():
    assert batchlist.read(b'<BatchList xmlns="http://naesb.org/espi"/>') == []


def test_a_byte_order_mark_and_utf_16_are_read():
    body = '<BatchList xmlns="http://naesb.org/espi"><resources>https://a.example/x</resources></BatchList>'
    assert batchlist.read(body.encode("utf-8-sig")) == ["https://a.example/x"]
    assert batchlist.read(f'<?xml version="1.0" encoding="UTF-16"?>{body}'.encode("utf-16")) == ["https://a.example/x"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"   \n", "empty"),
        (b"<BatchList xmlns='http://naesb.org/espi'>", "well-formed"),
        (b"{}", "well-formed"),
        (b"<html/>", "no BatchList"),
        (b"<BatchList><resources>https://a.example</resources></BatchList>", "no BatchList"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><BatchList xmlns='http://naesb.org/espi'/>", "document type"),
        (b"<BatchList xmlns='http://naesb.org/espi'><resources>&evil;</resources></BatchList>&x", "well-formed"),
        (b"<a>" * 10_000 + b"</a>" * 10_000, "well-formed"),
        (b'<?xml version="1.0" encoding="UTF-7"?><BatchList xmlns="http://naesb.org/espi"/>', ""),
    ],
)
def test_anything_else_is_refused_in_words(body, words):
    with pytest.raises(batchlist.NotABatchList) as caught:
        batchlist.read(body)
    assert words in caught.value.reason


def test_an_entity_is_never_expanded(tmp_path):
    canary = tmp_path / "canary"
    canary.write_text("https://leaked.example/")
    body = f"""<!DOCTYPE x [<!ENTITY c SYSTEM "file://{canary}">]>
    <BatchList xmlns="http://naesb.org/espi"><resources>&c;</resources></BatchList>"""
    with pytest.raises(batchlist.NotABatchList) as caught:
        batchlist.read(body.encode())
    assert "leaked" not in caught.value.reason
