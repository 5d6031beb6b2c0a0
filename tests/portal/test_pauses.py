"""A utility that asks one of us to wait and means all of us: its calls stop, nobody loses an attempt, customers see why."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.translation import override

from espi.models import FetchJob
from portal.flows import circuits, fetch, overview
from portal.models import Circuit, UtilityCall
from tests.portal import rows, standin
from tests.portal.rows import ESSEX, NOW, PGE, V2
from tests.portal.test_fetch import swept
from utilities import pge
from utilities.base import Budget, PlannedRequest

pytestmark = pytest.mark.django_db
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
WAIT = "The utility asked us to wait."


def throttled(retry_after=None):
    return 429, b"<html>slow down</html>", {} if retry_after is None else {"Retry-After": str(retry_after)}


def run(job, now=NOW):
    fetch.run(job.pk, now=now)
    job.refresh_from_db()
    return job


def several(app, base, count=3):
    held = [rows.authorization(app, f"97{number}") for number in range(count)]
    return [rows.job(each, f"{base}/Batch/Subscription/{each.utility_subscription_id}") for each in held]


def test_f29_a_429_at_pge_holds_up_every_call_of_the_registration_and_costs_nobody_an_attempt(utility):
    first, *others = several(rows.registration("pge", ""), PGE)
    utility.says("/Batch", throttled(900), (200, standin.feed("970"), {}))
    run(first)
    assert (first.state, first.attempts, first.reason) == ("due", 0, WAIT)
    for job in others:
        run(job, NOW + 60 * SECOND)
        assert (job.state, job.attempts, job.reason) == ("due", 0, WAIT)
    assert len(utility.paths("/Batch")) == 1
    assert swept(NOW + 890 * SECOND) == []
    woken = [id_ for _, ids in swept(NOW + 970 * SECOND) for id_ in ids]
    assert set(woken) == {first.pk, *(job.pk for job in others)}


def test_f29_customers_of_other_connections_see_that_the_utility_asked_us_to_wait(utility):
    first, second = several(rows.registration("pge", ""), PGE, 2)
    utility.says("/Batch", throttled(900))
    run(first)
    second.refresh_from_db()
    cards = overview.cards(second.authorization.retail_customer)
    assert [WAIT in card.detail for card in cards] == [True, True]


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [("900", 900, 901), (str(10**9), 6 * 3600, 6 * 3600 + 1), (None, 30, 61), ("soon", 30, 61)],
)
def test_f29_a_pause_is_as_long_as_the_utility_says_and_never_longer_than_six_hours(utility, retry_after, least, most):
    (job,) = several(rows.registration("pge", ""), PGE, 1)
    utility.says("/Batch", throttled(retry_after))
    run(job)
    seconds = (Circuit.objects.get().paused_until - NOW).total_seconds()
    assert least <= seconds <= most


def test_f29_a_utility_that_says_no_time_again_and_again_is_left_alone_longer_each_time(utility):
    (job,) = several(rows.registration("pge", ""), PGE, 1)
    utility.says("/Batch", throttled())
    now, ceilings = NOW, []
    for _ in range(9):
        run(job, now)
        circuit = Circuit.objects.get()
        ceilings.append(circuit.pauses)
        now = max(circuit.paused_until, job.not_before) + SECOND
    assert ceilings == list(range(1, 10))
    assert (circuit.paused_until - NOW).total_seconds() <= 9 * 3600
    assert len(utility.paths("/Batch")) == 9


def test_a_pause_is_over_once_the_utility_serves_us_and_work_comes_back_step_by_step(utility):
    app = rows.registration("pge", "")
    jobs = several(app, PGE, 3)
    utility.says("/Batch", throttled(600), (200, standin.feed("971"), {}))
    run(jobs[0])
    until = Circuit.objects.get().paused_until
    assert circuits.room(Circuit.objects.get(), 10_000, now=until - SECOND) == 0
    assert circuits.room(Circuit.objects.get(), 10_000, now=until + SECOND) == circuits.FIRST_STEP
    assert run(jobs[1], until + SECOND).state == "done"
    circuit = Circuit.objects.get()
    assert (circuit.paused_until, circuit.pauses) == (None, 0)


def test_f29_a_429_of_con_edisons_token_endpoint_holds_up_tokens_and_no_data(utility):
    app = rows.registration("cecony", "v2")
    stale, other, fresh = several(app, V2)
    for job in (stale, other):
        type(job.authorization).objects.filter(pk=job.authorization_id).update(access_token_expires_at=NOW)
    utility.says("/oauth/", throttled(900))
    utility.says("/Batch", (200, standin.feed("972"), {}))
    for job in (stale, other):
        assert (run(job).state, job.attempts, job.reason) == ("due", 0, WAIT)
    assert len(utility.paths("/oauth/")) == 1
    assert run(fresh).state == "done"
    assert other.not_before >= NOW + 900 * SECOND


def test_a_429_of_data_at_con_edison_and_utilityapi_is_one_connections(utility):
    for app, base in ((rows.registration("cecony", "v2"), V2), (rows.registration("essex", ""), ESSEX)):
        first, second = several(app, base, 2)
        utility.says("/Batch", throttled(900), (200, standin.feed("971"), {}))
        assert run(first).reason == WAIT
        assert run(second).state == "done"
    assert not Circuit.objects.filter(paused_until__isnull=False).exists()


def test_registrations_that_a_vendor_counts_as_one_wait_together():
    live = [rows.registration("pge", "") for _ in range(0)]
    for environment in ("test", "production"):
        app = rows.registration("pge", "", bulk_id="")
        app.environment = environment
        app.save()
        live.append(app)
    played = rows.registration("pge", "")
    circuits.pause(live[0], 60, what=circuits.EVERYTHING, now=NOW)
    assert set(Circuit.objects.values_list("application_information", flat=True)) == {app.pk for app in live}
    circuits.pause(played, 60, what=circuits.EVERYTHING, now=NOW)
    assert Circuit.objects.count() == 3


def test_a_shorter_pause_never_takes_the_place_of_a_longer_one():
    app = rows.registration("pge", "")
    circuits.pause(app, 3600, what=circuits.EVERYTHING, now=NOW)
    circuits.pause(app, 60, what=circuits.EVERYTHING, now=NOW)
    assert Circuit.objects.get().paused_until == NOW + HOUR


def test_a_job_that_is_asked_for_during_a_pause_waits_for_its_end(utility):
    app = rows.registration("pge", "")
    held = rows.authorization(app)
    circuits.pause(app, 600, what=circuits.EVERYTHING, now=NOW)
    job = rows.job(held, f"{PGE}/Batch/Subscription/976", not_before=NOW + 5 * SECOND)
    assert fetch.claim(job.pk, now=NOW + 599 * SECOND) is None
    assert FetchJob.objects.get().attempts == 0
    assert fetch.claim(job.pk, now=NOW + 601 * SECOND)


# --- What a customer reads whose job was asked for meanwhile ---------------------------------------------------------


def paused(app, now):
    circuits.pause(app, 3600, what=circuits.EVERYTHING, now=now)


def used_up(app, now):
    UtilityCall.objects.bulk_create(UtilityCall(scope="pge sandbox", is_token=False, at=now) for _ in range(10))


@pytest.mark.parametrize(
    ("hold", "said"),
    [
        (
            paused,
            {
                "en": WAIT,
                "es": "La empresa nos pidió que esperáramos.",
                "fr-ca": "Le distributeur nous a demandé d’attendre.",
            },
        ),
        (
            used_up,
            {
                "en": "It is soon your turn.",
                "es": "Pronto es su turno.",
                "fr-ca": "Ce sera bientôt votre tour.",
            },
        ),
    ],
)
@pytest.mark.parametrize("language", ["en", "es", "fr-ca"])
def test_who_is_asked_for_while_nothing_may_be_asked_reads_why_in_his_language(monkeypatch, language, hold, said):
    monkeypatch.setattr(pge.PGE, "budgets", (Budget(10, 3600),))
    app, now = rows.registration("pge", ""), timezone.now()
    held = rows.authorization(app)
    hold(app, now)
    planned = [PlannedRequest("usage", f"{PGE}/Batch/Subscription/976")]
    fetch.enqueue_planned(held, planned, now=now)
    assert fetch.sweep(now) == 0
    with override(language):
        (card,) = overview.cards(held.retail_customer)
    assert (card.state != "", said[language] in card.detail) == (True, True), card.detail
