"""Attack cases D01-D12 and D16: what a utility, or somebody in its place, may send.

Here they go the whole way: a real socket where the utility would be, the worker's flow, PostgreSQL; where memory is at
stake, a process of its own. Parts of them stand beside the code they are about, named by the same ids: `test_client`,
`test_session`, `test_parse`, `test_large_documents`, `test_ingest`.
"""

import gzip
import os
import re
import ssl
import subprocess
import tempfile
import threading
import time
import tomllib
import zlib
from base64 import b64encode
from contextlib import suppress
from importlib import metadata
from io import BytesIO
from pathlib import Path
from random import Random
from urllib.parse import quote, unquote
from urllib.request import urlopen
from xml.sax.saxutils import escape

import pytest
import requests
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.db.models import UniqueConstraint
from django.utils import timezone
from lxml import etree

import portal.settings
from espi import archive, atom, authorizations, batchlist, channels, ingest, links, parse, session
from espi import client as module
from espi.models import ApplicationInformation, Document, FetchJob, IntervalBlock, IntervalReading, UsagePoint
from portal.flows import fetch, looking, upload
from portal.flows.fetch import calling
from tests import fresh
from tests.canary import SONG, canary
from tests.certificates import Authority
from tests.espi import documents
from tests.portal import rows
from tests.portal.people import staff
from tests.portal.rows import NOW
from tests.raw_server import raw_server, response, says, trickles
from utilities import oauth
from utilities.oauth import TokenDialect

MIB = 1024 * 1024
MEMORY = 512  # MiB: what a worker may take, whatever the file
FEED = documents.feed(documents.hours(24))
FILE = "Batch/Download?requestId=1&responseId=2&subscriptionId=976"
RECORDS = {
    "ApplicationInformation",
    "Authorization",
    "AuthorizationRequest",
    "Subscription",
    "FetchJob",
    "Document",
    "DocumentPart",
}


@pytest.fixture
def utility(settings):
    """A program that says what it is told to at the address of Con Edison's first edition, in place of the sandbox."""
    with raw_server(b"") as server:
        settings.SANDBOX_BASE_URL = server.url
        yield server


@pytest.fixture
def held(db):
    return rows.authorization(rows.registration())


def resource(path=FILE):
    from django.conf import settings

    return f"{settings.SANDBOX_BASE_URL}/api.coned.com/gbc/v1/resource/{path}"


def run(job, now=NOW):
    fetch.run(job.pk, now=now)
    job.refresh_from_db()
    return job


def fetched(utility, held, said):
    """A file that was announced, after one attempt to get it from a utility that says this."""
    utility.script = said if callable(said) else says(said)
    return run(rows.job(held, resource(), kind="download"))


def sized(body, *headers, status="200 OK"):
    return response(body, f"Content-Length: {len(body)}", *headers, status=status)


def nothing_is_stored():
    """No table of the standard holds a row, but those of the connection, its jobs, and what was refused."""
    models = [model for model in apps.get_app_config("espi").get_models() if model.__name__ not in RECORDS]
    return not ([model for model in models if model.objects.exists()] or Document.objects.filter(refusal="").exists())


# --- D01: bombs -------------------------------------------------------------------------------------------------------


def inflating_to(size, piece=b"\0" * MIB):
    """gzip of so many bytes, made without holding them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return b"".join([packer.compress(piece) for _ in range(size // len(piece))] + [packer.flush()])


@pytest.mark.django_db(transaction=True)
def test_d01_a_gzip_bomb_is_stopped_within_the_memory_of_a_worker(utility, held):
    bomb = inflating_to(300 * MIB)
    assert len(bomb) < 310_000
    utility.script = says(sized(bomb, "Content-Encoding: gzip"))
    job = rows.job(held, resource(), kind="download")
    assert fresh.attempts([job.pk], NOW) < MEMORY / 2
    job.refresh_from_db()
    assert (job.state, job.reason) == ("failed", "The file is larger than we accept.")
    assert nothing_is_stored()


def entries_of_noise(size):
    """An honest feed that no compression makes smaller, and as long as asked for."""
    entry = b'<entry><content><e:ServiceStatus xmlns:e="%s"><e:x>%s</e:x></e:ServiceStatus></content></entry>'
    yield FEED.removesuffix(b"</feed>")
    for number in range(size // 120_000):
        yield entry % (documents.ESPI.encode(), b64encode(Random(number).randbytes(90_000)))
    yield b"</feed>"


@pytest.mark.django_db(transaction=True)
def test_d01_a_long_document_that_cannot_be_compressed_fits_a_worker(utility, held):
    def script(connection):
        connection.sendall(response(b"", "Transfer-Encoding: chunked"))
        for part in entries_of_noise(70 * MIB):
            connection.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        connection.sendall(b"0\r\n\r\n")

    utility.script = script
    job = rows.job(held, resource(), kind="download")
    assert fresh.attempts([job.pk], NOW) < MEMORY
    job.refresh_from_db()
    assert (job.state, job.reason) == ("done", "")
    assert Document.objects.get().size > 69 * MIB


POINT = "https://utility.example/resource/Subscription/976/UsagePoint"
BILL = "<billingPeriod><start>1768453200</start></billingPeriod>" + "<costAdditionalDetailLastPeriod><note>%s</note>"
CROWDS = {
    "usage points": (lambda n: documents.usage_point(f"{POINT}/{n}"), 3_100),
    "meter readings": (lambda n: documents.meter_reading(f"{POINT}/1/MeterReading/{n}"), 20_100),
    "reading types": (lambda n: documents.reading_type(f"/ReadingType/{n}"), 5_100),
    "reading types one id": (lambda n: documents.reading_type(intervalLength=n + 1), 100),
    "local times": (lambda n: documents.local_time(), 5_100),
    "more beside its readings": (
        lambda n: documents.entry(
            documents.espi("UsageSummary", BILL % ("x" * 9_000) + "</costAdditionalDetailLastPeriod>"),
            f"{POINT}/1/UsageSummary/{n}",
        ),
        2_000,
    ),
}


@pytest.mark.parametrize("noun", CROWDS)
def test_d01_a_document_that_tells_of_more_than_a_customer_has_is_refused_at_once(utility, held, noun):
    one, number = CROWDS[noun]
    job = fetched(utility, held, sized(documents.bare_feed(*map(one, range(number)))))
    assert (job.state, noun in job.reason, nothing_is_stored()) == ("failed", True, True)


def test_d01_blocks_of_usage_points_and_meters_without_end_are_refused(utility, held, monkeypatch):
    monkeypatch.setattr(links, "MOST_USAGE_POINTS", 20)
    monkeypatch.setattr(channels, "_MOST_NEW_IDS", 20)
    points = [documents.hours(1, href=f"{POINT}/{n}/MeterReading/1") for n in range(30)]
    meters = [documents.hours(1, documents.MIDNIGHT + 3600 * n, href=f"{POINT}/1/MeterReading/{n}") for n in range(30)]
    for blocks, noun in ((points, "usage points"), (meters, "meter readings")):
        job = fetched(utility, held, sized(documents.bare_feed(*blocks)))
        assert (job.state, noun in job.reason, nothing_is_stored()) == ("failed", True, True)


def test_d01_names_that_a_file_makes_up_are_counted_together(utility, held):
    odd = "".join(f"<IntervalReading><e{n}/></IntervalReading>" for n in range(3_000))
    strange = [documents.entry(documents.espi(f"Strange{n}")) for n in range(3_000)]
    content = documents.feed(documents.hours(24), documents.block([odd], name="2"), *strange)
    job = fetched(utility, held, sized(content))
    assert job.state == "done"
    assert len(str(Document.objects.get().summary)) < 30_000


CODED = {
    "stacked": sized(gzip.compress(gzip.compress(FEED)), "Content-Encoding: gzip, gzip"),
    "gzip that is none": sized(FEED, "Content-Encoding: gzip"),
    "deflate": sized(zlib.compress(FEED), "Content-Encoding: deflate"),
    "gzip that does not say so": sized(gzip.compress(FEED)),
    "gzip in gzip": sized(gzip.compress(gzip.compress(FEED)), "Content-Encoding: gzip"),
}


@pytest.mark.parametrize("said", CODED.values(), ids=CODED)
def test_d01_what_is_coded_otherwise_than_we_asked_fails_in_words(utility, held, said):
    job = fetched(utility, held, said)
    assert (job.state, nothing_is_stored()) == ("failed", True)
    assert "compressed" in job.reason or "gzip" in job.reason or "not XML" in job.reason


# --- D02, D03: slow and short -----------------------------------------------------------------------------------------


SLOW = {
    "the body": trickles(sized(FEED), 0.02),
    "the head": trickles(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 5000, 0.02),
    "nothing but patience": trickles(b"HTTP/1.1 100 Continue\r\n\r\n" * 500, 0.01),
    "the trailer": trickles(response(b"2\r\n<a\r\n0\r\n" + b"X: y\r\n" * 500, "Transfer-Encoding: chunked"), 0.01),
}


@pytest.mark.parametrize("script", SLOW.values(), ids=SLOW)
def test_d02_bytes_that_trickle_are_given_up_when_the_time_is_over_and_tried_again(utility, held, monkeypatch, script):
    monkeypatch.setattr(calling, "DOWNLOAD_SECONDS", 0.5)
    job = fetched(utility, held, script)
    assert (job.state, job.reason) == ("due", "The utility's answer was cut off; we keep trying.")
    assert nothing_is_stored()


CHUNK = f"{len(FEED):x}\r\n".encode() + FEED
SHORT = {
    "short of its length": response(FEED[:-200], f"Content-Length: {len(FEED)}"),
    "longer than its length": response(FEED, f"Content-Length: {len(FEED) - 200}"),
    "cut in a chunk": response(CHUNK[:-200], "Transfer-Encoding: chunked"),
    "without the last chunk": response(CHUNK + b"\r\n", "Transfer-Encoding: chunked"),
    "whole chunks, half a file": response(b"64\r\n" + FEED[:100] + b"\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
    "closed without a length": response(FEED[:-200]),
    "closed between two entries": response(FEED[: FEED.rindex(b"<entry>")]),
    "closed after the head": response(b""),
    "gzip cut short": sized(gzip.compress(FEED)[:-12], "Content-Encoding: gzip"),
    "gzip of half a file": sized(gzip.compress(FEED[:-200]), "Content-Encoding: gzip"),
    "UTF-16 cut short": response(FEED.decode().encode("utf-16")[:-200]),
}


@pytest.mark.parametrize("said", SHORT.values(), ids=SHORT)
def test_d03_a_file_that_ends_early_stores_nothing_and_is_fetched_again(utility, held, said):
    job = fetched(utility, held, said)
    assert (job.state, job.attempts, job.reason) == ("due", 0, "The utility's answer was cut off; we keep trying.")
    assert nothing_is_stored()
    utility.script = says(sized(FEED))
    assert run(job, job.not_before).state == "done"
    assert IntervalBlock.objects.get().count == 24


def test_d03_what_tells_how_a_permission_stands_is_asked_again_too(utility, held):
    answer = f'<entry xmlns="{documents.ATOM}"><content><Authorization xmlns="{documents.ESPI}"><status>0</status>'
    utility.script = says(response(answer.encode()))
    job = run(rows.job(held, resource("Authorization/a976"), kind="authorization"))
    held.refresh_from_db()
    assert (job.state, held.status) == ("due", "active")


WHOLE = {
    "a feed": documents.feed(documents.hours(3)),
    "UTF-16": documents.feed(documents.hours(3)).decode().encode("utf-16"),
    "Con Edison V1": documents.v1_feed(documents.v1_entry("KWH", ["1.5"] * 3)),
    "a bare block": documents.espi("IntervalBlock", documents.reading(documents.MIDNIGHT, 5)).encode(),
}


def reads(content):
    return list(parse.read(BytesIO(content)))


@pytest.mark.parametrize("content", WHOLE.values(), ids=WHOLE)
def test_d03_wherever_a_document_breaks_off_it_is_told_from_one_that_is_wrong(content):
    assert reads(content)
    for length in range(100, len(content)):
        with pytest.raises(atom.CutOff):
            reads(content[:length])


def test_d03_a_document_that_is_wrong_is_not_taken_for_one_that_breaks_off():
    content = documents.feed(documents.hours(3))
    for wrong in (
        content.replace(b"</entry>", b"</entri>", 1),
        content.replace(b"<value>101", b"<value>&nothing;", 1),
        content.replace(b"<title>", b"<title>\x01", 1),
        content + b"<more/>",
        b"<html><body><p>Sign in",
        b"",
    ):
        with pytest.raises(atom.DocumentRefused) as caught:
            reads(wrong)
        assert not isinstance(caught.value, atom.CutOff)


# --- D04: what is no Green Button data ------------------------------------------------------------------------------------

SIGN_IN = (
    b"<!doctype html><html><head><title>Sign in</title></head><body><form><input name=user><br></form></body></html>"
)
OTHERS = {
    "a login page": sized(SIGN_IN, "Content-Type: text/html"),
    "a page in well-formed XHTML": sized(b'<html xmlns="http://www.w3.org/1999/xhtml"><body>Sign in</body></html>'),
    "a page cut short": response(b"<html><body><p>Sign in"),
    "JSON": sized(b'{"error": "maintenance"}', "Content-Type: application/json"),
    "a JSON list": sized(b"[]"),
    "plain text": sized(b"Service unavailable"),
    "an empty body": sized(b""),
    "white space": sized(b"\r\n\r\n"),
    "a picture": sized(b"\x89PNG\r\n\x1a\n" + bytes(200)),
}


@pytest.mark.parametrize("said", OTHERS.values(), ids=OTHERS)
def test_d04_a_200_that_is_no_green_button_data_is_a_failure_in_words(utility, held, said):
    job = fetched(utility, held, said)
    assert (job.state, nothing_is_stored()) == ("failed", True)
    assert job.reason.startswith("The file could not be used. ")
    assert any(words in job.reason for words in ("not a Green Button file", "not Green Button (ESPI)", "is empty"))
    sent = said.partition(b"\r\n\r\n")[2]
    kept = [(each.refusal, b"".join(archive.content(each))) for each in job.documents.all()]
    assert kept == ([(job.reason, sent)] if sent else [])


def test_d04_a_204_is_done_with_no_readings(utility, held):
    job = fetched(utility, held, response(b"", status="204 No Content"))
    assert (job.state, job.reason, nothing_is_stored()) == ("done", "The utility has no data for this period.", True)


# --- D05: files and addresses that a document names -------------------------------------------------------------------

LURES = {
    "external entity": '<!DOCTYPE {root} [<!ENTITY c SYSTEM "{lure}">]>|&c;|',
    "public entity": '<!DOCTYPE {root} [<!ENTITY c PUBLIC "-//x//y" "{lure}">]>|&c;|',
    "parameter entity": '<!DOCTYPE {root} [<!ENTITY % p SYSTEM "{lure}"> %p;]>|1|',
    "entity of an entity": '<!DOCTYPE {root} [<!ENTITY a "&b;"><!ENTITY b SYSTEM "{lure}">]>|&a;|',
    "external DTD": '<!DOCTYPE {root} SYSTEM "{lure}">|1|',
    "internal entity": '<!DOCTYPE {root} [<!ENTITY c "42">]>|&c;|',
    "XInclude": '|<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{lure}" parse="text"/>|',
    "stylesheet": '<?xml-stylesheet type="text/xsl" href="{lure}"?>|1|',
    "schema": '|1|xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:schemaLocation="http://naesb.org/espi {lure}"',
    "base": '|1|xml:base="{lure}"',
}
WITHOUT_DOCTYPE = ("XInclude", "stylesheet", "schema", "base")
READERS = {
    "feed": (
        reads,
        '{before}<feed xmlns="{atom}" {attributes}><entry><link rel="self" href="x/UsagePoint/1"/><content>'
        '<IntervalBlock xmlns="{espi}"><IntervalReading><timePeriod><duration>900</duration><start>1768453200</start>'
        "</timePeriod><value>{inside}</value></IntervalReading></IntervalBlock></content></entry></feed>",
    ),
    "Authorization": (
        authorizations.read,
        '{before}<feed xmlns="{atom}" {attributes}><entry><content><Authorization xmlns="{espi}"><status>{inside}</status>'
        "</Authorization></content></entry></feed>",
    ),
    "BatchList": (
        batchlist.read,
        '{before}<BatchList xmlns="{espi}" {attributes}><resources>{inside}</resources></BatchList>',
    ),
    "token": (
        lambda body: oauth.read_grant(body, TokenDialect(may_answer_in_xml=True)),
        "{before}<token {attributes}><access_token>{inside}</access_token><token_type>Bearer</token_type>"
        "<expires_in>3600</expires_in></token>",
    ),
}


def lured(name, lure, form):
    """A body of this form that holds the lure."""
    before, inside, attributes = LURES[name].format(root=form.partition("<")[2].split()[0], lure=lure).split("|")
    names = {"atom": documents.ATOM, "espi": documents.ESPI}
    return form.format(before=before, inside=inside, attributes=attributes, **names).encode()


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", LURES)
def test_d05_no_reader_touches_what_a_body_points_at(tmp_path, name, reader):
    read, form = READERS[reader]
    with canary(tmp_path) as bird:
        for lure in (bird.path.as_uri(), str(bird.path), bird.url):
            said = ""
            try:
                said = repr(read(lured(name, lure, form)))
            except (ValueError, oauth.TokenError) as refusal:
                said = str(refusal)
            assert (bird.touched(), SONG in said) == ([], False)
        assert bird.path.read_text() == SONG
        urlopen(bird.url).read()
        assert bird.touched() == ["file", "address"]  # the canary is alive


def test_d05_a_reader_that_is_less_careful_would_be_caught(tmp_path):
    careless = etree.XMLParser(resolve_entities=True, load_dtd=True)
    with canary(tmp_path) as bird:
        body = lured("external entity", bird.path.as_uri(), READERS["BatchList"][1])
        assert SONG in etree.tostring(etree.fromstring(body, careless), encoding="unicode")
        assert bird.touched() == ["file"]


@pytest.mark.parametrize("name", LURES)
def test_d05_a_file_that_points_at_another_is_refused_or_read_without_it(utility, held, tmp_path, name):
    with canary(tmp_path) as bird:
        job = fetched(utility, held, sized(lured(name, bird.path.as_uri(), READERS["feed"][1])))
        assert bird.touched() == []
    if name not in WITHOUT_DOCTYPE:
        assert "document type declaration" in job.reason
    assert (job.state, SONG in job.reason) == ("done" if name in WITHOUT_DOCTYPE[1:] else "failed", False)


# --- D06: what is small and becomes large -----------------------------------------------------------------------------

LAUGHS = "".join(f"<!ENTITY a{i} '{f'&a{i - 1};' * 10}'>" for i in range(1, 12))
ENTRY = f"<feed xmlns='{documents.ATOM}'><entry>%s</entry></feed>"
LARGE_INSIDE = {
    "a billion laughs": f"<!DOCTYPE feed [<!ENTITY a0 'ha'>{LAUGHS}]>" + ENTRY % "<title>&a11;</title>",
    "one long entity, often": f"<!DOCTYPE feed [<!ENTITY a '{'a' * 100_000}'>]>" + ENTRY % ("&a;" * 10_000),
    "parameter entities": "<!DOCTYPE feed [<!ENTITY % a '<!ENTITY b \"c\">'>" + "%a;" * 9_999 + "]>" + ENTRY % "&b;",
    "depth": ENTRY % ("<content>" + "<a>" * 300 + "</a>" * 300 + "</content>"),
    "entries in entries": f"<feed xmlns='{documents.ATOM}'>" + "<entry>" * 300 + "</entry>" * 300 + "</feed>",
    "depth in a bill": ENTRY % f"<content><UsageSummary xmlns='{documents.ESPI}'>" + "<a>" * 300,
    "a text": ENTRY % f"<title>{'x' * 11_000_000}</title>",
    "a value": documents.feed(documents.block([documents.reading(documents.MIDNIGHT, "1" * 11_000_000)])).decode(),
    "an attribute": ENTRY % f"<link rel='self' href='{'x' * 11_000_000}'/>",
    "CDATA": ENTRY % f"<title><![CDATA[{'x' * 11_000_000}]]></title>",
    "a comment": ENTRY % f"<!--{'x' * 11_000_000}-->",
    "an instruction": ENTRY % f"<?x {'x' * 11_000_000}?>",
    "a name": ENTRY % f"<{'x' * 11_000_000}/>",
    "attributes of one element": ENTRY % ("<a " + "".join(f"a{n}='' " for n in range(1_000_000)) + "/>"),
}


@pytest.mark.django_db(transaction=True)
def test_d06_whatever_swells_is_refused_and_the_worker_lives_to_read_the_next_file(utility, held):
    bodies = [content.encode() for content in LARGE_INSIDE.values()] + [FEED]

    def script(connection):
        number = int(utility.heard[-1].partition(b"requestId=")[2].partition(b"&")[0])
        connection.sendall(sized(bodies[number]))

    utility.script = script
    path = FILE.replace("requestId=1", "requestId={}")
    jobs = [rows.job(held, resource(path.format(number)), kind="download") for number in range(len(bodies))]
    assert fresh.attempts([job.pk for job in jobs], NOW) < MEMORY / 2
    for job in jobs:
        job.refresh_from_db()
    states = dict(zip(LARGE_INSIDE, [job.state for job in jobs], strict=False))
    assert states == dict.fromkeys(LARGE_INSIDE, "failed")
    assert (jobs[-1].state, IntervalBlock.objects.get().count) == ("done", 24)


# --- D07: nothing in it -----------------------------------------------------------------------------------------------

FEED_OF_OTHERS = FEED.replace(b"http://naesb.org/espi", b"urn:other")
READING_OF_OTHERS = FEED.replace(b"<IntervalReading>", b'<IntervalReading xmlns="urn:other">')
NOTHING_IN_IT = {
    "another namespace": (FEED_OF_OTHERS, "None of the file's entries is Green Button (ESPI) data."),
    "readings of another namespace": (READING_OF_OTHERS, "None of the readings in its 1 blocks could be used"),
    "no reading in its blocks": (documents.feed(documents.block([])), "None of the readings in its 1 blocks"),
    "no value that can be": (
        documents.feed(documents.block([documents.reading(documents.MIDNIGHT, "NaN")])),
        "a value that is no number of up to 64 bits",
    ),
    "no known unit": (documents.feed(documents.hours(2), uom=9999), "an unknown unit"),
    "text where elements should be": (
        documents.bare_feed(documents.entry("&lt;IntervalBlock/&gt;", documents.METER)),
        "None of the file's entries",
    ),
}


@pytest.mark.parametrize(("content", "words"), NOTHING_IN_IT.values(), ids=NOTHING_IN_IT)
def test_d07_a_feed_that_is_full_and_brings_nothing_is_a_failure(utility, held, content, words):
    job = fetched(utility, held, sized(content))
    assert (job.state, nothing_is_stored()) == ("failed", True)
    assert words in job.reason


def test_d07_a_feed_that_is_empty_or_tells_of_meters_only_is_none(utility, held):
    for content in (documents.bare_feed(), documents.feed()):
        assert fetched(utility, held, sized(content)).state == "done"


# --- D08: hostile numbers ---------------------------------------------------------------------------------------------

START = documents.MIDNIGHT
GOOD = [documents.reading(START + 3600 * hour, 100) for hour in range(3)]
ODD = {
    "a value of 65 bits": documents.reading(START + 9000, 2**64),
    "a value that cannot be added up": documents.reading(START + 9000, 2**62),
    "minus that": documents.reading(START + 9000, -(2**62)),
    "NaN": documents.reading(START + 9000, "NaN"),
    "infinity": documents.reading(START + 9000, "-Infinity"),
    "an exponent": documents.reading(START + 9000, "1e5"),
    "hexadecimal": documents.reading(START + 9000, "0x10"),
    "two points": documents.reading(START + 9000, "1.2.3"),
    "a comma": documents.reading(START + 9000, "1,5"),
    "other digits": documents.reading(START + 9000, "\u0663"),
    "ten thousand digits": documents.reading(START + 9000, "9" * 10_000),
    "no value": documents.reading(START + 9000, None),
    "lasting less than nothing": documents.reading(START + 9000, 1, -900),
    "lasting for ever": documents.reading(START + 9000, 1, 10**18),
    "of 1900": documents.reading(-2208988800, 1),
    "of 2100": documents.reading(4102444800, 1),
    "of no time": documents.reading("yesterday", 1),
    "beyond all time": documents.reading(2**63, 1),
}
UNREADABLE = {
    "powerOfTenMultiplier": ["99", "-99", "NaN", "1e3", "3.5", "kilo", "9" * 40],
    "uom": ["9999", "kWh", "-1"],
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_d08_a_hostile_number_costs_its_own_reading_and_is_counted(utility, held, odd):
    job = fetched(utility, held, sized(documents.feed(documents.block([*GOOD, odd]))))
    assert (job.state, IntervalBlock.objects.get().total) == ("done", 300)
    assert job.reason.startswith("Readings that were refused: 1. ")
    assert not IntervalReading.objects.exists()


@pytest.mark.parametrize(("field", "text"), [(field, text) for field, texts in UNREADABLE.items() for text in texts])
def test_d08_a_series_whose_scale_or_unit_is_no_code_is_refused_also_where_the_channel_is_known(
    utility, held, field, text
):
    assert fetched(utility, held, sized(documents.feed(documents.block(GOOD)))).state == "done"
    other = documents.METER.replace("M1", "M2")
    hostile = [
        documents.reading_type(f"{documents.BASE}/ReadingType/2", **{field: text}),
        documents.meter_reading(other, f"{documents.BASE}/ReadingType/2"),
        documents.hours(24, href=other),
        documents.hours(1, START + 86400, value=lambda _: 7),
    ]
    job = fetched(utility, held, sized(documents.feed(*hostile)))
    assert job.reason.startswith("Readings that were refused: 24. ")
    known = documents.feed(documents.hours(24, value=lambda _: 5), published="", **{field: text})
    assert fetched(utility, held, sized(known)).state == "failed"
    assert [block.total for block in IntervalBlock.objects.order_by("local_date")] == [300, 7]


def test_d08_staff_see_how_much_was_refused_and_why(utility, held, client):
    fetched(utility, held, sized(documents.feed(documents.block([*GOOD, *list(ODD.values())[:5]]))))
    boss = staff()
    client.force_login(boss)
    looking.give_reason(staff=boss, customer=held.retail_customer, reason="Ticket 7: refused", now=timezone.now())
    job, document = FetchJob.objects.get(), Document.objects.get()
    for row in (job, document):
        page = client.get(f"/staff/espi/{row._meta.model_name}/{row.pk}/change/").content.decode()
        assert "a value that is no number of up to 64 bits" in page
        listed = client.get(f"/staff/espi/{row._meta.model_name}/").content.decode()
        assert ">5<" in listed or "Readings that were refused: 5." in listed
    assert (
        f"/staff/espi/document/{document.pk}/change/"
        in client.get(f"/staff/espi/fetchjob/{job.pk}/change/").content.decode()
    )


HOSTILE_TEXTS = (
    "", "-1", "0", "99", "-99", "32768", "2147483648", str(2**63), str(-(2**63)), "9" * 400, "1e400", "NaN", "-0", "+5", "1.5",
    "1_000", "\u0663", "0x10", "true", "1900-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01", "\ud7ff\ufffd", "'; --",
    "<b>&", "../" * 50, "x" * 10_000, "=1+1", " \n\t ", "2147483648000", "-2208988800", "4102444800",
)  # fmt: skip
XML = Path(__file__).resolve().parents[1] / "samples" / "espi" / "xml"
COMPOSED = [path for path in sorted(XML.glob("*.xml")) if not path.stem.endswith("cut-short")]


def mutated(content, random):
    """The same document, in which every seventh text and link says something else."""
    root = etree.fromstring(content)
    for element in root.iter("{*}*"):
        if not len(element) and random.random() < 0.15:
            element.text = random.choice(HOSTILE_TEXTS)
        if element.get("href") and random.random() < 0.05:
            element.set("href", random.choice(HOSTILE_TEXTS).replace("\n", " "))
    return etree.tostring(root)


@pytest.mark.parametrize("path", COMPOSED, ids=lambda path: path.stem.removeprefix("composed__"))
def test_d08_whatever_is_written_where_a_number_or_a_link_should_be_a_document_is_read_or_refused(held, path):
    content = path.read_bytes()
    for seed in range(8):
        with transaction.atomic():
            try:
                ingest.store(mutated(content, Random(seed)), subscription=held.subscription, now=NOW)
            except ingest.DocumentRefused as refusal:
                assert str(refusal)
            transaction.set_rollback(True)


# --- D09: hostile ids and links ---------------------------------------------------------------------------------------

SCRIPT = "<script>alert(1)</script>"
ODD_ID = quote(f"{SCRIPT}../../etc/passwd", safe="<>()./ ")
LONG_ID = "x" * 10_000


def odd_feed(point, meter):
    """A feed whose links, ids and titles are these."""
    point, meter = (escape(text, {'"': "&quot;"}) for text in (point, meter))
    href = f"{POINT}/{point}"
    own = f"{href}/MeterReading/{meter}"
    kind = documents.reading_type(f"/ReadingType/{meter}")
    told = documents.meter_reading(own, f"/ReadingType/{meter}")
    return documents.bare_feed(
        documents.local_time(),
        kind,
        documents.usage_point(href, title=escape(SCRIPT)),
        told,
        documents.hours(24, href=own),
    )


@pytest.mark.parametrize("point", [ODD_ID, LONG_ID, "..", "%2e%2e%2f%2e%2e", "%00", "a'b\"c", "\u202egnp.exe"])
def test_d09_an_id_is_text_whatever_it_says(utility, held, client, point):
    job = fetched(utility, held, sized(odd_feed(point, point)))
    assert (job.state, IntervalBlock.objects.get().count) == ("done", 24)
    client.force_login(held.retail_customer)
    pages = [client.get("/"), client.get(f"/usage/{UsagePoint.objects.get().public_id}")]
    boss = staff()
    client.force_login(boss)
    looking.give_reason(staff=boss, customer=held.retail_customer, reason="Ticket 12: odd ids", now=timezone.now())
    names = ("usagepoint", "document", "fetchjob", "subscription")
    pages += [client.get(f"/staff/espi/{name}/") for name in names]
    pages.append(client.get(f"/staff/espi/usagepoint/{UsagePoint.objects.get().pk}/change/"))
    for page in pages:
        assert (page.status_code, b"<script>alert(1)" in page.content) == (200, False), page.request["PATH_INFO"]


def test_d09_links_of_a_document_lead_nowhere_but_to_the_utility(utility, db):
    held = rows.authorization(rows.registration(), data_granted=["realtime"])
    good = resource("Subscription/976/UsagePoint/41")
    links = [
        "http://evil.example/gbc/v1/resource/Subscription/976/UsagePoint/42",
        good.replace("/41", "/../../../43"),
        good.replace("/41", "/%2e%2e/%2e%2e/44"),
        good.replace("/41", f"/{LONG_ID}"),
        good.replace("/41", "/" + "y" * (2047 - len(good))),
        "javascript:alert(1)",
        f"//{SCRIPT}",
        "",
        good,
    ]
    entries = [documents.entry(documents.espi("usagePoint"), escape(link)) for link in links]
    entries += [
        documents.entry(documents.espi("usagePoint"), good.replace("/41", f"/n{number}")) for number in range(300)
    ]
    utility.script = says(sized(documents.bare_feed(*entries)))
    job = run(rows.job(held, resource("Subscription/976/UsagePoint")))
    asked = list(FetchJob.objects.exclude(pk=job.pk).values_list("url", flat=True))
    assert (job.state, f"{good}/MeterReading" in asked, len(asked)) == ("done", True, 200)
    assert all(url.startswith(resource("Subscription/976/UsagePoint/")) and ".." not in unquote(url) for url in asked)


# --- D10: a usage point of somebody else ------------------------------------------------------------------------------


def test_d10_a_file_that_names_the_meter_of_another_connection_fills_its_own_only(utility, held):
    other = rows.authorization(held.application_information, "977", user=rows.customer("bea@example.com"))
    theirs = FEED.replace(b"Subscription/976/", b"Subscription/977/")
    utility.script = says(sized(theirs))
    assert run(rows.job(other, resource(FILE.replace("976", "977")), kind="download")).state == "done"
    before = list(IntervalBlock.objects.values_list("meter_reading__usage_point__subscription", "total"))
    assert fetched(utility, held, sized(FEED.replace(b"<value>100<", b"<value>999<"))).state == "done"
    points = UsagePoint.objects.order_by("pk")
    assert [point.resource_id for point in points] == ["U1", "U1"]
    assert [point.subscription for point in points] == [other.subscription, held.subscription]
    stored = dict(IntervalBlock.objects.values_list("meter_reading__usage_point__subscription", "total"))
    assert (stored[other.subscription_id], stored[held.subscription_id] - stored[other.subscription_id]) == (
        before[0][1],
        899,
    )
    job = fetched(utility, held, sized(theirs))
    assert (job.state, job.documents.get().refusal) == ("failed", job.reason)


GIVEN_BY_US = {"public_id", "claim", "notify_secret", "state_hash", "reference", "signature", "id", "pk"}


def test_d10_whatever_is_unique_is_so_within_its_connection():
    def is_of_one_customer(model, names, seen=()):
        """Whether one of these fields leads to a subscription, an authorization or a registration."""
        owners = {"Subscription", "Authorization", "ApplicationInformation", "User"}
        targets = [field.related_model for field in map(model._meta.get_field, names) if field.related_model]
        if any(target.__name__ in owners for target in targets):
            return True
        return any(
            is_of_one_customer(target, [each.name for each in target._meta.fields if each.many_to_one], (*seen, model))
            for target in targets
            if target not in seen
        )

    looked_at = 0
    for model in apps.get_app_config("espi").get_models():
        sets = [[field.name] for field in model._meta.fields if field.unique and not field.primary_key]
        sets += [each.fields for each in model._meta.constraints if isinstance(each, UniqueConstraint) and each.fields]
        sets += [[part.name for part in getattr(model._meta.pk, "fields", ())]]
        for names in filter(None, sets):
            if set(names) <= GIVEN_BY_US or model is ApplicationInformation:
                continue
            looked_at += 1
            assert is_of_one_customer(model, names), (model.__name__, names)
    assert looked_at > 10


# --- D11, D12: the environment and the other side's certificate -------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_d11_no_variable_of_the_environment_leads_a_worker_elsewhere(utility, held, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login somebody password of-the-file\ndefault login x password y\n")
    netrc.chmod(0o600)
    utility.script = says(sized(FEED))
    with raw_server(sized(b"<feed/>")) as proxy:
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
        names_of_none = {"NO_PROXY": "", "no_proxy": "", "NETRC": str(netrc), "HOME": str(tmp_path)}
        job = rows.job(held, resource(), kind="download")
        fresh.attempts([job.pk], NOW, **dict.fromkeys(names, proxy.url), **names_of_none)
        assert (proxy.connections, utility.connections) == (0, 1)
    job.refresh_from_db()
    assert job.state == "done"
    assert b"Authorization: Bearer access-976\r\n" in utility.heard[0]


def test_d11_no_variable_of_the_environment_adds_an_authority_or_writes_down_keys(tmp_path, monkeypatch):
    authority = Authority(tmp_path)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, authority.path)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    monkeypatch.setenv("PYTHONHTTPSVERIFY", "0")
    session._context.cache_clear()
    with raw_server(sized(b"ok"), serving(authority.certificate("localhost"))) as server:
        with pytest.raises(requests.exceptions.SSLError), session.build(allow_loopback=True) as http:
            http.get(server.url)
        with session.build(allow_loopback=True, extra_ca=authority.path) as http:
            assert http.get(server.url).text == "ok"
    assert "CLIENT" not in (tmp_path / "keys").read_text()  # a line about itself is all that Python writes into it


def serving(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.mark.parametrize("fault", ["nobody's", "expired", "another host's"])
def test_d12_a_server_that_does_not_prove_who_it_is_gets_nothing_and_the_job_waits_for_staff(
    settings, tmp_path, db, fault
):
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    certificate = {
        "nobody's": lambda: theirs.certificate("localhost"),
        "expired": lambda: ours.certificate("localhost", days=-1),
        "another host's": lambda: ours.certificate("other.example"),
    }[fault]()
    held = rows.authorization(rows.registration("pge", "", ca_bundle_path=ours.path))
    with raw_server(sized(FEED), serving(certificate)) as server:
        settings.SANDBOX_TLS_BASE_URL = server.url
        url = f"{server.url}/api.pge.com/GreenButtonConnect/espi/1_1/resource/Batch/Subscription/976?correlationID=1"
        job = run(rows.job(held, url, kind="download"))
        assert (server.heard, nothing_is_stored()) == ([], True)
    assert (job.state, job.attempts) == ("due", 0)
    assert job.reason.startswith("We could not prove that we had reached the utility, so nothing was sent.")


def test_d12_no_setting_turns_verification_off():
    ours = Path(session.__file__).parents[1]
    sources = [path for folder in ("espi", "utilities", "portal") for path in (ours / folder).rglob("*.py")]
    text = {path: path.read_text() for path in sources if "sandbox" not in path.parts}
    careless = re.compile(r"CERT_NONE|check_hostname\s*=\s*False|_create_unverified|disable_warnings")
    # One check for testers offers our own address an outdated TLS, to see it refused: nothing is sent through it.
    assert [path.name for path, source in text.items() if careless.search(source)] == ["connectivity.py"]
    assert [path.name for path, source in text.items() if "verify=" in source] == ["session.py"]  # which refuses False
    assert [name for name in dir(portal.settings) if re.search("VERIFY|UNVERIFIED|CHECK_HOST", name)] == []


# --- D16: temporary files ---------------------------------------------------------------------------------------------


def private_names(settings):
    folder = Path(settings.PRIVATE_DIR)
    return [path.name for path in folder.iterdir()] if folder.exists() else []


@pytest.mark.django_db(transaction=True)
def test_d16_a_download_has_no_name_nobody_else_can_open_it_and_it_is_gone_when_the_worker_is_killed(
    utility, held, settings, tmp_path
):
    settings.VAR_DIR = tmp_path
    settings.PRIVATE_DIR = tmp_path / "private"
    begun = threading.Event()

    def script(connection):
        connection.sendall(response(FEED[:1000], f"Content-Length: {len(FEED)}"))
        begun.set()
        connection.recv(1)

    utility.script = script
    job = rows.job(held, resource(), kind="download")
    worker = subprocess.Popen(fresh.command([job.pk], NOW), env=fresh.environment(), cwd=fresh.ROOT)
    try:
        assert begun.wait(60)
        opened = eventually(lambda: files_in(settings.PRIVATE_DIR, worker.pid))
        assert [name.endswith("(deleted)") for name, _ in opened] == [True]
        assert (settings.PRIVATE_DIR.stat().st_mode & 0o777, opened[0][1] & 0o077) == (0o700, 0)
        assert private_names(settings) == []
    finally:
        worker.kill()
        worker.wait()
    assert private_names(settings) == []
    job.refresh_from_db()
    assert (job.state, nothing_is_stored()) == ("running", True)


def files_in(folder, pid):
    """(name, mode) of the files in a folder that a process holds open."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            if str(folder) in (name := os.readlink(link)):
                found.append((name, link.stat().st_mode))
    return found


def eventually(look, seconds=30):
    ends = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < ends
        time.sleep(0.05)
    return found


ENDS = {"success": sized(FEED), "failure": sized(SIGN_IN), "too short": response(FEED[:500], "Content-Length: 9999")}


@pytest.mark.parametrize("said", ENDS.values(), ids=ENDS)
def test_d16_however_a_download_ends_no_file_is_left(utility, held, settings, said):
    before = set(os.listdir(tempfile.gettempdir()))
    fetched(utility, held, said)
    assert private_names(settings) == []
    assert not {name for name in os.listdir(tempfile.gettempdir()) if name not in before and "tmp" in name}


@pytest.mark.parametrize("is_good", [True, False])
def test_d16_what_a_customer_uploads_has_no_name_either(held, client, settings, monkeypatch, is_good):
    seen, really = [], upload.store

    def store(user, file, **more):
        held_open = files_in(settings.PRIVATE_DIR, os.getpid())
        seen.append((private_names(settings), [name.endswith("(deleted)") for name, _ in held_open]))
        return really(user, file, **more)

    monkeypatch.setattr(upload, "store", store)
    client.force_login(held.retail_customer)
    padding = b"<!--" + b"x" * 2_000_000 + b"-->"
    body = FEED.replace(b"</feed>", padding + (b"</feed>" if is_good else b""))
    answer = client.post("/upload", {"file": SimpleUploadedFile("usage.xml", body), "time_zone": ""})
    assert answer.status_code == (303 if is_good else 422)
    assert (seen, private_names(settings)) == ([([], [True])], [])


# --- The limits, and all cases ----------------------------------------------------------------------------------------


def test_the_limits_are_those_that_were_agreed():
    assert (session.CONNECT_SECONDS, session.READ_SECONDS, calling.DOWNLOAD_SECONDS) == (10, 60, 15 * 60)
    assert (module.PACE_BYTES / module.PACE_SECONDS, module.MAX_WIRE_BYTES, module.MAX_BYTES) == (
        10240,
        256 * MIB,
        512 * MIB,
    )
    assert (module.RATIO, module.RATIO_FROM) == (200, 10 * MIB)
    flags = {"resolve_entities": False, "load_dtd": False, "no_network": True, "huge_tree": False, "recover": False}
    assert atom._PARSER.items() >= flags.items()


@pytest.mark.parametrize(
    ("name", "least"), [("lxml", (6, 1)), ("urllib3", (2, 7)), ("celery", (5, 7)), ("redis", (4, 5))]
)
def test_the_libraries_are_no_older_than_what_mended_them(name, least):
    installed = tuple(int(part) for part in metadata.version(name).split(".")[:2])
    assert installed >= least


def test_the_floors_of_libraries_stand_in_the_project_file():
    declared = tomllib.loads((fresh.ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    floors = {re.split(r"[>=<]", each)[0]: each.partition(">=")[2].partition(",")[0] for each in declared}
    assert {name: floors[name] for name in ("lxml", "urllib3", "celery[redis]")} == {
        "lxml": "6.1",
        "urllib3": "2.7.0",
        "celery[redis]": "5.7",
    }
