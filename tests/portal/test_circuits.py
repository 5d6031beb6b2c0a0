"""A utility that does not answer, or does not know us, is left alone; staff are told once; work comes back in steps."""

from datetime import timedelta
from unittest.mock import patch

import pytest
from django.core import mail

from espi import session
from espi.models import ApplicationInformation, Authorization, FetchJob
from portal import beat, heartbeats
from portal.flows import alerts, circuits, fetch, registrations
from portal.models import Circuit, Heartbeat, StaffAlert
from tests.portal import rows, standin
from tests.portal.rows import NOW, V1

pytestmark = pytest.mark.django_db
BATCH = f"{V1}/Batch/Subscription/976"
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
DOWN, OK = (503, b"", {}), (200, standin.feed(), {})


@pytest.fixture
def utility(utility):
    utility.says("/Batch", OK)
    return utility


@pytest.fixture
def held():
    return rows.authorization(rows.registration())


def jobs(held, count, **more):
    return [rows.job(held, f"{BATCH}?part={number}", **more) for number in range(count)]


def run(*some, now=NOW):
    return [fetch.run(job.pk, now=now) is not None for job in some]


def swept(now):
    """The ids of jobs a sweep wakes, and the names of other tasks it sends."""
    with patch("portal.flows.fetch.waking.publish") as publish, patch("portal.flows.fetch.sweeping.publish", publish):
        fetch.sweep(now)
    calls = publish.call_args_list
    ids = [id_ for call in calls for id_ in call.kwargs.get("job_ids", [])]
    return ids, [call.args[0] for call in calls if call.args[0] != fetch.RUN_JOBS]


# --- Opening ----------------------------------------------------------------------------------------------------------


def test_f30_five_failures_in_a_row_open_it_and_then_nobody_calls(held, utility):
    utility.says("/Batch", DOWN)
    some = jobs(held, 7)
    assert run(*some[:5]) == [True] * 5
    assert run(*some[5:]) == [False] * 2
    assert len(utility.paths("/Batch")) == 5
    assert set(FetchJob.objects.values_list("state", "attempts")) == {("due", 0)}
    assert swept(NOW + 50 * SECOND) == ([], [])
    assert not StaffAlert.objects.get().is_mailed


def test_ten_failures_among_twenty_calls_open_it(held, utility):
    utility.says("/Batch", *[DOWN, OK] * 9, DOWN, OK)
    some = jobs(held, 20)
    assert run(*some[:19]) == [True] * 19
    assert Circuit.objects.get().opened_at
    assert run(some[19]) == [False]


def test_a_utility_that_always_answers_has_no_row(held, utility):
    utility.says("/Batch", OK, (429, b"", {}), (404, b"", {}), (202, b"", {}))
    assert run(*jobs(held, 4)) == [True] * 4
    assert not Circuit.objects.exists()


def test_one_utilitys_trouble_keeps_no_other_waiting(held, utility):
    utility.says("/Batch", DOWN)
    run(*jobs(held, 5))
    other = rows.authorization(rows.registration("oru"), "977")
    ours = rows.job(other, f"{V1}/Batch/Subscription/977")
    assert swept(NOW)[0] == [ours.pk]
    assert run(ours) == [True]


# --- Probing, and closing ---------------------------------------------------------------------------------------------


@pytest.fixture
def down(held, utility):
    """An open circuit, and a hundred jobs that wait."""
    utility.says("/Batch", DOWN)
    run(*jobs(held, 5))
    return jobs(rows.authorization(held.application_information, "977"), 100)


def test_one_job_a_minute_tries_whether_it_is_back(down, utility):
    assert swept(NOW + 59 * SECOND) == ([], [])
    (probe,), _ = swept(NOW + 61 * SECOND)
    assert swept(NOW + 62 * SECOND) == ([], [])
    assert run(*down, now=NOW + 63 * SECOND).count(True) == 1
    assert FetchJob.objects.get(pk=probe).held_up_since
    assert swept(NOW + 100 * SECOND) == ([], [])
    assert len(swept(NOW + 122 * SECOND)[0]) == 1


def test_f30_the_work_comes_back_in_steps_and_not_in_one_burst(down, utility):
    utility.says("/Batch", OK)
    (probe,), _ = swept(NOW + 61 * SECOND)
    fetch.run(probe, now=NOW + 62 * SECOND)
    assert Circuit.objects.get().opened_at is None
    assert StaffAlert.objects.get().closed_at
    woken = [len(swept(NOW + (63 + 15 * step) * SECOND)[0]) for step in range(3)]
    assert woken == [20, 40, 44]  # the five that failed before, and a hundred without the probe


def test_while_calls_fail_here_and_there_retries_are_a_tenth_of_the_work(held, utility):
    Circuit.objects.create(application_information=held.application_information, outcomes="1" * 17 + "010")
    fresh = jobs(held, 30)
    again = [rows.job(held, f"{BATCH}?again={number}", attempts=1) for number in range(30)]
    woken, _ = swept(NOW)
    assert len(set(woken) & {job.pk for job in fresh}) == 30
    assert len(set(woken) & {job.pk for job in again}) == 3


# --- Our own credentials ----------------------------------------------------------------------------------------------


@pytest.fixture
def refused(held, utility, settings):
    """Twenty connections whose tokens ran out, at a utility that does not know our secret any more."""
    settings.ADMINS = [("Staff", "ops@example.com")]
    utility.says("/oauth/", standin.refusal("invalid_client", 401))
    more = [rows.authorization(held.application_information, str(number)) for number in range(1000, 1020)]
    Authorization.objects.update(access_token_expires_at=NOW)
    waiting = [rows.job(each, BATCH.replace("976", each.utility_subscription_id)) for each in more]
    run(*waiting)
    return waiting


def test_f40_a_wrong_secret_stops_one_utility_asks_no_customer_and_tells_staff_once(refused, utility):
    assert len(utility.paths("/oauth/")) == 1
    assert set(Authorization.objects.values_list("status", flat=True)) == {"active"}
    assert set(FetchJob.objects.values_list("state", "attempts")) == {("due", 0)}
    for _ in range(3):
        alerts.send_mails(NOW)
    assert [message.to for message in mail.outbox] == [["ops@example.com"]]
    assert "does not accept our credentials" in mail.outbox[0].subject
    assert "s3cret" not in mail.outbox[0].body


def test_f40_once_a_minute_a_token_is_asked_for_and_when_it_is_given_the_work_goes_on(refused, utility):
    app = refused[0].application_information
    ids, others = swept(NOW + 61 * SECOND)
    assert (ids, others) == ([], ["portal.probe_credentials"])
    assert not fetch.probing.probe(app.pk, now=NOW + 61 * SECOND)
    assert swept(NOW + 62 * SECOND) == ([], [])
    utility.says("/oauth/", standin.token())
    assert fetch.probing.probe(app.pk, now=NOW + 122 * SECOND)
    assert len(swept(NOW + 123 * SECOND)[0]) == 20
    assert StaffAlert.objects.get().closed_at
    assert not fetch.probing.probe(app.pk, now=NOW + 130 * SECOND)


def test_f40_a_new_secret_sets_the_work_going_at_once(refused):
    registrations.store("cecony", "sandbox", "v1", {"client_secret": "the new one"})
    assert len(swept(NOW + MINUTE)[0]) == 20


# --- A refresh that is refused without a reason -----------------------------------------------------------------------


def says_to(utility, *, refresh, ours):
    """The token endpoint answers a refresh of 976, and a request for our own token, in these ways; others get a token."""

    def answer():
        body = utility.asked[-1]["body"]
        if "client_credentials" in body:
            return ours
        return refresh if "refresh-976" in body else standin.token()

    utility.says("/oauth/", answer)


def dead(held, at):
    """A job of a connection whose access token has run out."""
    held.access_token_expires_at, held.authorization_uri = NOW, f"{V1}/Authorization/a976"
    held.save()
    return rows.job(held, BATCH, not_before=at)


@pytest.mark.parametrize("status", [401, 403])
def test_one_dead_refresh_token_stops_nobody_else_and_its_job_ends_in_words(held, utility, status):
    says_to(utility, refresh=(status, b"", {}), ours=standin.token("ours", refresh=""))
    utility.says("/Batch", (200, standin.feed("977"), {}))
    job, other = dead(held, NOW), rows.authorization(held.application_information, "977")
    for hour in range(0, 20, 2):  # an attempt each, while there are some left
        FetchJob.objects.filter(kind="authorization").delete()  # what the utility says of it is another matter
        now = NOW + hour * timedelta(hours=1)
        run(job, now=now)
        Authorization.objects.filter(pk=other.pk).update(access_token_expires_at=NOW)
        assert run(rows.job(other, f"{V1}/Batch/Subscription/977?hour={hour}"), now=now) == [True]
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("failed", 8)
    assert "We tried 8 times" in job.reason
    assert [each["body"].count("refresh-976") for each in utility.asked].count(1) == 8
    assert FetchJob.objects.filter(authorization=other, state="done").count() == 10
    assert set(Authorization.objects.values_list("status", flat=True)) == {"active"}
    assert not Circuit.objects.filter(opened_at__isnull=False).exists()
    assert not StaffAlert.objects.exists()


def test_of_a_dead_refresh_token_the_utility_is_asked_how_the_permission_stands(held, utility):
    says_to(utility, refresh=(401, b"", {}), ours=standin.token("ours", refresh=""))
    run(dead(held, NOW))
    assert FetchJob.objects.filter(kind="authorization", authorization=held, state="due").exists()


def test_f40_a_wrong_secret_that_is_refused_without_a_reason_opens_it_and_asks_no_customer(held, utility):
    says_to(utility, refresh=(401, b"", {}), ours=(401, b"", {}))
    first, second = dead(held, NOW), rows.job(held, f"{BATCH}?part=2")
    got_before = {"client_access_token": "ours", "client_access_token_expires_at": NOW + timedelta(minutes=40)}
    ApplicationInformation.objects.update(**got_before)  # which proves nothing of the secret there is now
    assert run(first, second) == [True, False]
    assert Circuit.objects.get().cause == "credentials"
    assert Authorization.objects.get().status == "active"
    assert set(FetchJob.objects.values_list("state", "attempts")) == {("due", 0)}
    assert StaffAlert.objects.get().is_mailed


@pytest.mark.parametrize("trouble", [(503, b"", {}), (429, b"", {"Retry-After": "60"})])
def test_where_our_own_token_is_not_to_be_had_nothing_is_concluded(held, utility, trouble):
    says_to(utility, refresh=(401, b"", {}), ours=trouble)
    run(dead(held, NOW))
    assert Authorization.objects.get().status == "active"
    assert set(FetchJob.objects.values_list("state", "attempts")) == {("due", 0)}
    assert not StaffAlert.objects.exists()


# --- A utility that is not proven to be itself ------------------------------------------------------------------------


def elsewhere():
    """A name that leads into our own network; a certificate that proves nothing is met in the same place."""
    raise session.AddressRefused("localhost leads to an address that is not on the public internet")


def test_a_utility_that_is_not_proven_to_be_itself_is_told_to_staff_and_called_no_more(held, utility):
    utility.says("/Batch", elsewhere)
    first, second = jobs(held, 2)
    assert run(first, second) == [True, False]
    assert StaffAlert.objects.get().is_mailed


@pytest.mark.parametrize("count", [1, 5])
def test_while_it_stays_unproven_one_call_a_minute_is_made_and_staff_are_told_once(held, utility, count):
    utility.says("/Batch", elsewhere)
    waiting = jobs(held, count)
    run(*waiting)
    for second in range(1, 5 * 60):  # sweeps, and the wake-ups that each attempt asks for
        now = NOW + second * SECOND
        if second % 15 == 0:
            swept(now)
        run(*waiting, now=now)
    assert 4 <= len(utility.paths("/Batch")) <= 6
    assert Circuit.objects.get().probe_job is None
    assert set(FetchJob.objects.values_list("state", "attempts")) == {("due", 0)}
    assert StaffAlert.objects.get().closed_at is None


def test_once_it_proves_itself_the_next_probe_sets_the_work_going_and_the_alert_closes(held, utility):
    utility.says("/Batch", elsewhere)
    waiting = jobs(held, 30)
    run(*waiting)
    (probe,), _ = swept(NOW + 61 * SECOND)
    fetch.run(probe, now=NOW + 62 * SECOND)
    assert Circuit.objects.get().opened_at
    utility.says("/Batch", OK)
    (probe,), _ = swept(NOW + 122 * SECOND)
    fetch.run(probe, now=NOW + 122 * SECOND)
    circuit = Circuit.objects.get()
    assert (circuit.opened_at, circuit.cause, circuit.probe_job) == (None, "", None)
    assert StaffAlert.objects.get().closed_at
    assert run(*waiting, now=NOW + 123 * SECOND).count(True) == 29
    assert set(FetchJob.objects.values_list("state", flat=True)) == {"done"}
    assert len(utility.paths("/Batch")) == 32


def test_a_job_that_asks_nobody_proves_nothing_of_the_utility(held, utility):
    utility.says("/Batch", elsewhere)
    run(*jobs(held, 1))
    FetchJob.objects.all().delete()
    nobodys = rows.job(held, f"{V1}/revoked", kind="revocation")  # its customer has connected again
    (probe,), _ = swept(NOW + 61 * SECOND)
    assert probe == nobodys.pk
    fetch.run(probe, now=NOW + 62 * SECOND)
    nobodys.refresh_from_db()
    assert (nobodys.state, Circuit.objects.get().cause) == ("superseded", "unproven")


def test_one_that_proves_itself_and_then_does_not_know_us_waits_for_our_credentials(held, utility):
    utility.says("/Batch", elsewhere)
    waiting = jobs(held, 2)
    run(*waiting)
    utility.says("/Batch", (400, b"Invalid Certificate", {}))
    (probe,), _ = swept(NOW + 61 * SECOND)
    fetch.run(probe, now=NOW + 62 * SECOND)
    circuit = Circuit.objects.get()
    assert (circuit.cause, circuit.probe_job) == ("credentials", None)
    utility.says("/Batch", OK)
    assert run(*waiting, now=NOW + 122 * SECOND) == [False, False]
    assert swept(NOW + 123 * SECOND) == ([], ["portal.probe_credentials"])


# --- Telling staff ----------------------------------------------------------------------------------------------------


def test_f57_while_the_mail_server_is_away_the_mail_waits_and_is_sent_once(settings):
    settings.ADMINS = [("Staff", "ops@example.com")]
    alerts.begin("a", "Subject", "Words", now=NOW)
    with patch("portal.flows.alerts.mail_admins", side_effect=ConnectionRefusedError):
        assert alerts.send_mails(NOW) == 0
    assert StaffAlert.objects.get().mailed_at is None
    assert [alerts.send_mails(NOW), alerts.send_mails(NOW)] == [1, 0]
    assert len(mail.outbox) == 1


def test_what_comes_back_after_it_ended_is_told_again(settings):
    settings.ADMINS = [("Staff", "ops@example.com")]
    for _ in range(2):
        alerts.begin("a", "Subject", "Words", now=NOW)
        alerts.begin("a", "Subject", "Words", now=NOW)
        alerts.send_mails(NOW)
        alerts.end("a", now=NOW)
    assert (StaffAlert.objects.count(), len(mail.outbox)) == (2, 2)


# --- Who is alive -----------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_heartbeat_is_one_row_however_often_it_is_shown():
    for _ in range(2):
        heartbeats.show("scheduler")
    assert Heartbeat.objects.get().name == "scheduler"


@pytest.mark.django_db(transaction=True)
def test_f45_of_two_schedulers_one_is_in_charge_and_the_other_takes_over_when_it_is_gone():
    first, second = (object.__new__(beat.Scheduler) for _ in range(2))
    assert [first.is_in_charge(), second.is_in_charge(), first.is_in_charge()] == [True, False, True]
    first.held_by.close()
    assert second.is_in_charge()
    second.held_by.close()


def test_a_job_whose_circuit_is_open_may_run_only_as_the_probe(held):
    job, other = jobs(held, 2)
    Circuit.objects.create(application_information=held.application_information, opened_at=NOW, probe_job=job)
    assert FetchJob.objects.filter(circuits.closed(NOW)).get() == job
    assert fetch.claim(other.pk, now=NOW) is None


def test_the_dashboard_says_that_a_connection_is_paused(down, client):
    client.force_login(Authorization.objects.first().retail_customer)
    text = client.get("/dashboard").content.decode()
    assert "Paused: we keep trying" in text
    assert "service does not answer at the moment." in text
