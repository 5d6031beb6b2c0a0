"""Of two statements the later holds, the other is kept, and nothing is written twice."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from espi import ingest, models, parse
from tests.espi import documents
from tests.espi.documents import MIDNIGHT, block, reading
from tests.espi.storing import NOW, V1, history, rows, store
from tests.examples import cases

pytestmark = pytest.mark.django_db


def test_a_later_publication_corrects_and_the_earlier_value_is_kept(subscription):
    first = store(subscription, documents.feed(documents.hours(24, published="2026-01-16T08:00:00Z")))
    second = store(
        subscription, documents.feed(documents.hours(1, published="2026-01-20T08:00:00Z", value=lambda _: 999))
    )
    row = models.IntervalBlock.objects.get()
    assert row.values[:2] == [999, 101]
    assert row.total == sum(range(101, 124)) + 999
    revision = models.IntervalRevision.objects.get()
    assert (revision.old_value, revision.new_value, revision.start) == (100, 999, MIDNIGHT)
    assert (revision.old_document, revision.new_document) == (first, second)
    assert second.summary["revised"] == 1


def test_an_earlier_publication_that_arrives_late_changes_no_reading_and_is_kept_beside_it(subscription):
    standing = store(subscription, documents.feed(documents.hours(24, published="2026-01-20T08:00:00Z")))
    before = rows(without=("Document", "DocumentPart", "IntervalRevision"))
    late = documents.feed(documents.hours(2, published="2026-01-16T08:00:00Z", value=lambda _: 1))
    document = store(subscription, late)
    assert rows(without=("Document", "DocumentPart", "IntervalRevision")) == before
    kept_beside = models.IntervalRevision.objects.order_by("start").values_list(
        "start", "old_value", "new_value", "old_document", "new_document"
    )
    assert list(kept_beside) == [
        (MIDNIGHT, 1, 100, document.pk, standing.pk),
        (MIDNIGHT + 3600, 1, 101, document.pk, standing.pk),
    ]
    assert document.summary["revised"] == 0
    store(subscription, late + b"\n")
    assert models.IntervalRevision.objects.count() == 2


@pytest.mark.parametrize("duration", [3600, 7])
def test_another_time_of_use_is_a_correction_too_and_tells_both(subscription, duration):
    for tou, day in ((3, 16), (4, 17), (5, 18)):
        content = block([reading(MIDNIGHT, 1, duration, tou=tou)], published=f"2026-01-{day}T00:00:00Z")
        store(subscription, documents.feed(content))
    told = models.IntervalRevision.objects.order_by("old_tou").values_list("old_tou", "new_tou", "old_value")
    assert list(told) == [(3, 4, 1), (4, 5, 1)]


@pytest.mark.parametrize("length", [3600, 86401])
def test_a_value_that_is_confirmed_later_is_not_undone_by_a_document_from_between(subscription, length):
    def content(value, published):
        return documents.feed(block([reading(MIDNIGHT, value, length)], published=published))

    store(subscription, content(1, "2026-01-16T00:00:00Z"))
    store(subscription, content(1, "2026-01-20T00:00:00Z"))
    store(subscription, content(2, "2026-01-18T00:00:00Z"))
    assert list(history().values()) == [1]
    assert list(models.IntervalRevision.objects.values_list("old_value", "new_value")) == [(2, 1)]


def test_a_day_said_again_by_parts_is_not_undone_where_its_first_word_is_the_later_one(subscription):
    def part(hours, published, name, value=100):
        return block([reading(MIDNIGHT + hour * 3600, value) for hour in hours], published=published, name=name)

    store(subscription, documents.feed(part(range(24), "2026-01-20T00:00:00Z", "1")))
    halves = part(range(12), "2026-01-16T00:00:00Z", "1"), part(range(12, 24), "2026-01-24T00:00:00Z", "2")
    store(subscription, documents.feed(*halves))
    store(subscription, documents.feed(part(range(1), "2026-01-18T00:00:00Z", "1", value=7)))
    assert set(history().values()) == {100}


STATEMENTS = st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(1, 3), st.integers(16, 18))


@settings(max_examples=cases(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.lists(STATEMENTS, min_size=2, max_size=4, unique=True), data=st.data())
def test_what_holds_does_not_depend_on_the_order_in_which_documents_arrive(subscription, said, data):
    """Each statement: from which hour, how many hours, which value, published on which day; some at the same time."""
    content = [
        documents.feed(
            documents.hours(
                count, MIDNIGHT + hour * 3600, published=f"2026-01-{day}T08:00:00Z", value=lambda _, value=value: value
            )
        )
        for hour, count, value, day in said
    ]

    def outcome(order):
        subscription.usage_points.all().delete()
        models.Document.objects.all().delete()
        for index in order:
            store(subscription, content[index])
        stands = history()
        told = {(each.start, each.old_value) for each in models.IntervalRevision.objects.all()}
        return stands, told | {(start, value) for (_, start, _), value in stands.items()}

    one, other = outcome(range(len(said))), outcome(data.draw(st.permutations(range(len(said)))))
    assert one == other
    everything = {(MIDNIGHT + (hour + n) * 3600, value) for hour, count, value, _ in said for n in range(count)}
    assert one[1] == everything


def test_every_element_of_a_day_leads_to_the_document_that_said_it(subscription):
    first = store(subscription, documents.feed(documents.hours(10, published="2026-01-15T16:00:00Z")))
    second = store(
        subscription, documents.feed(documents.hours(14, MIDNIGHT + 36000, published="2026-01-16T16:00:00Z"))
    )
    third = store(subscription, documents.feed(documents.hours(1, published="2026-01-17T16:00:00Z", value=lambda _: 7)))
    row = models.IntervalBlock.objects.get()
    assert row.documents == [third.pk, *[first.pk] * 9, *[second.pk] * 14]
    assert row.document == third


def test_the_same_bytes_are_read_again_by_a_later_reader(subscription, monkeypatch):
    content = documents.bare_feed(block([reading(MIDNIGHT, 1)]))
    first = store(subscription, content)
    assert store(subscription, content) == first
    monkeypatch.setattr(parse, "VERSION", parse.VERSION + 1)
    assert store(subscription, content) != first
    assert list(history().values()) == [1]


@pytest.mark.parametrize(
    "change",
    [{"is_per_meter": True}, {"agreement_is_usage_point": True}, {"default_currency": 124}, {"provisional_path": "x"}],
)
def test_the_same_bytes_are_read_again_where_a_utility_is_known_better(subscription, change):
    content = documents.bare_feed(block([reading(MIDNIGHT, 1)]))
    first = store(subscription, content, dialect=V1)
    assert store(subscription, content, dialect=V1) == first
    assert store(subscription, content, dialect=replace(V1, **change)) != first


@pytest.mark.parametrize(
    "change",
    [
        {"must_name": True},
        {"others": "skip"},
        {"expected_subscription_id": None},
        {"accepts": frozenset({ingest.USAGE})},
    ],
)
def test_the_same_bytes_are_read_again_where_other_rules_tell_whose_they_are(subscription, change):
    content, rules = documents.feed(documents.hours(1)), {"expected_subscription_id": "976"}
    first = store(subscription, content, **rules)
    assert store(subscription, content, **rules) == first
    assert store(subscription, content, **(rules | change)) != first


def test_the_same_bytes_change_nothing_at_all(subscription):
    content = documents.feed(documents.hours(24), block([reading(MIDNIGHT + 1, 5, 86400)], name="2"))
    first = store(subscription, content)
    before = rows(without=())
    assert store(subscription, content, now=NOW + timedelta(days=1)) == first
    assert rows(without=()) == before


@pytest.mark.parametrize("updated", ["2026-02-01T00:00:00Z", ""])
def test_the_same_data_in_other_bytes_writes_no_row(subscription, updated):
    content = documents.feed(documents.hours(24), block([reading(MIDNIGHT + 1, 5, 86400)], name="2"), updated=updated)
    store(subscription, content)
    before = rows()
    again = store(subscription, content + b"\n", now=NOW + timedelta(days=1))
    assert rows() == before
    assert (again.summary["stored"], again.summary["revised"], again.summary["unchanged"]) == (0, 0, 25)


def test_a_part_of_a_day_completes_the_day(subscription):
    store(subscription, documents.feed(documents.hours(10, published="2026-01-15T16:00:00Z")))
    store(subscription, documents.feed(documents.hours(14, MIDNIGHT + 36000, published="2026-01-16T16:00:00Z")))
    row = models.IntervalBlock.objects.get()
    assert row.count == 24
    assert models.IntervalRevision.objects.count() == 0
    assert row.published_at == datetime(2026, 1, 16, 16, tzinfo=UTC)
    assert row.publications[0] == datetime(2026, 1, 15, 16, tzinfo=UTC)


def test_a_publication_in_the_future_does_not_block_corrections(subscription):
    store(subscription, documents.feed(documents.hours(1, published="2099-01-01T00:00:00Z")))
    later = documents.hours(1, published="2026-03-02T00:00:00Z", value=lambda _: 7)
    store(subscription, documents.feed(later), now=NOW + timedelta(days=2))
    assert list(history().values()) == [7]


PART = st.tuples(st.integers(0, 40), st.integers(1, 30), st.sampled_from([900, 3600, 7200]), st.integers(0, 3))


@given(st.lists(PART, min_size=1, max_size=5), st.randoms(use_true_random=False))
@settings(max_examples=cases(6), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_neither_order_nor_repetition_of_documents_matters(subscription, parts, random):
    """Each document has a publication of its own; every order, with some twice, ends in the same history."""
    contents = []
    for index, (offset, count, step, value) in enumerate(parts):
        readings = [reading(MIDNIGHT + offset * 3600 + i * step, value * 100 + i % 2, step) for i in range(count)]
        contents.append(documents.feed(block(readings, published=f"2026-01-{index + 10}T00:00:00Z")))
    expected = None
    for _ in range(3):
        models.UsagePoint.objects.all().delete()
        models.Document.objects.all().delete()
        for content in contents:
            store(subscription, content)
        store(subscription, random.choice(contents) + b"\n")
        stored = sorted(models.IntervalBlock.objects.values_list("local_date", "interval_length", "values", "total", "count",
                                                                 "published_at", "publications"))  # fmt: skip
        found = (history(), stored)
        expected = expected or found
        assert found == expected
        random.shuffle(contents)


@pytest.mark.django_db(transaction=True)
def test_two_documents_at_the_same_moment_wait_for_each_other(subscription):
    """Two workers, two corrections of one day: the later publication stands whoever comes first."""
    contents = [
        documents.feed(
            documents.hours(24, published=f"2026-01-2{each}T00:00:00Z", value=lambda i, each=each: each * 1000 + i)
        )
        for each in range(6)
    ]

    def work(content):
        try:
            store(subscription, content)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, contents))
    assert models.IntervalBlock.objects.get().values == [5000 + i for i in range(24)]
    assert models.Document.objects.count() == 6
