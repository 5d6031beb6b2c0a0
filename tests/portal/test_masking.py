"""Evidence of acceptance tests: what a utility sends in whatever shape, nothing of a customer is left in it."""

import time

import pytest

from portal.acceptance import calling, masking, tracing
from portal.models import AcceptancePart, AcceptanceTest
from tests.portal import rows
from tests.portal.people import person

NAME = "Ann Other"


def shown(body: bytes, content_type: str = "application/atom+xml") -> str:
    return str(calling.evidence(calling.Answered(200, {"Content-Type": content_type}, body), []))


def test_what_an_answer_holds_is_counted_in_a_moment_however_it_is_made_up():
    began = time.perf_counter()
    calling.holds(calling.Answered(200, body=b"<content " * 100_000))
    assert time.perf_counter() - began < 2


DOCUMENT = f"<Customer><name>{NAME}</name><kind>0</kind></Customer>"


@pytest.mark.parametrize(
    "body",
    [
        DOCUMENT.encode(),
        DOCUMENT.encode("utf-8-sig"),
        DOCUMENT.encode("utf-16"),
        DOCUMENT.replace(NAME, f"<![CDATA[{NAME}]]>").encode(),
        DOCUMENT.replace("<name>", '<name said="a > b">').encode(),
        DOCUMENT.replace("</kind>", f"</kind>{NAME}").encode(),
        f"<Customer><!-- {NAME} --></Customer>".encode(),
        f"<Customer><![CDATA[{NAME}</Customer>".encode(),
        f"<Customer><name>{NAME}".encode(),
        f"<Customer><!-- {NAME} -- and more --></Customer>".encode(),
    ],
    ids=[
        "plain",
        "byte order mark",
        "utf-16",
        "quoted",
        "a value with >",
        "beside",
        "comment",
        "open",
        "cut short",
        "--",
    ],
)
def test_a_customers_name_is_in_no_evidence_however_a_utility_writes_it(body):
    assert NAME not in shown(body)
    assert "\0" not in shown(body)


def test_what_says_how_the_answer_looks_is_shown():
    assert masking.body(DOCUMENT.encode(), "text/xml") == "<Customer><name>••••</name><kind>0</kind></Customer>"
    feed = b'<?xml version="1.0"?><a:title type="x">T</a:title><link href="https://h/b?x=1&amp;startIndex=2"/>'
    assert masking.body(feed, "text/xml") == (
        '<?xml version="1.0"?><a:title type="x">T</a:title><link href="https://h/b?x=••••&startIndex=2"/>'
    )


def test_markup_that_never_ends_is_masked_in_a_moment():
    began = time.perf_counter()
    masking.body(b"<a '" * 20_000 + b">", "text/xml")
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("said", ["\\ud800", "\\u0000", "\\u202e"], ids=["half a pair", "nothing", "turned round"])
@pytest.mark.django_db
def test_a_hop_that_holds_no_text_for_the_database_is_kept_and_ends_no_call(said):
    test = AcceptanceTest.objects.create(
        application_information=rows.registration(), tester=person(), tester_name="ann", started_at=rows.NOW
    )
    part = AcceptancePart.objects.create(test=test, kind="scenario", not_before=rows.NOW, started_at=rows.NOW)
    body = masking.body(f'{{"error": "bad {said}"}}'.encode(), "application/json")
    tracing.keep(part, "out", at=rows.NOW, method="POST", address="https://h/token", response=body, milliseconds=1)
    kept = part.hops.get().response
    assert '"error": "bad ' in kept
    assert not set(kept) & {"\ud800", "\0", "\u202e"}
