"""Access tokens: kept, refreshed in time, one refresh in flight."""

import contextlib
import json
import threading
from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from espi import session
from espi.models import ApplicationInformation, Authorization
from portal.flows import registrations, tokens, withdraw
from tests.portal import rows, standin
from tests.portal.rows import NOW
from utilities import oauth

TOKEN = "/oauth/"


@pytest.fixture
def utility():
    stand_in = standin.StandIn()
    with (
        session.mounted("http://localhost:8001", stand_in.adapter),
        session.mounted("https://localhost:8002", stand_in.adapter),
    ):
        yield stand_in


@pytest.fixture
def held(db):
    return rows.authorization(rows.registration())


def expiring(held, minutes=9):
    held.access_token_expires_at = NOW + timedelta(minutes=minutes)
    held.save()
    return held


def test_a_token_with_more_than_ten_minutes_left_is_used_as_it_is(held, utility):
    assert tokens.current(expiring(held, 11), now=NOW) == "access-976"
    assert utility.asked == []


def test_a_token_with_less_than_ten_minutes_left_is_renewed_and_the_new_pair_kept(held, utility):
    utility.says(TOKEN, standin.token())
    assert tokens.current(expiring(held), now=NOW) == "new"
    held.refresh_from_db()
    assert (held.access_token, held.refresh_token) == ("new", "refresh-new")
    assert held.access_token_expires_at == NOW + timedelta(hours=1)


def test_con_edison_v1_is_given_the_subscription_id_on_refresh(held, utility):
    utility.says(TOKEN, standin.token())
    tokens.current(expiring(held), now=NOW)
    (asked,) = utility.asked
    body = json.loads(asked["body"])
    assert (body["grantType"], body["refreshToken"], body["subscriptionId"]) == ("refresh_token", "refresh-976", "976")


def test_f38_an_answer_without_a_refresh_token_leaves_the_old_one(held, utility):
    utility.says(TOKEN, standin.token(refresh=""))
    tokens.current(expiring(held), now=NOW)
    held.refresh_from_db()
    assert (held.access_token, held.refresh_token) == ("new", "refresh-976")


def test_f39_one_refusal_is_not_believed(held, utility):
    utility.says(TOKEN, standin.refusal(), standin.token())
    assert tokens.current(expiring(held), now=NOW) == "new"
    held.refresh_from_db()
    assert held.status == "active"


def test_a_refusal_that_is_confirmed_asks_the_customer_to_reconnect(held, utility):
    utility.says(TOKEN, standin.refusal())
    with pytest.raises(tokens.NotAllowed) as raised:
        tokens.current(expiring(held), now=NOW)
    held.refresh_from_db()
    assert (held.status, held.status_reason) == ("needs_reconnect", raised.value.reason)
    assert "connect again" in raised.value.reason
    assert (held.access_token, held.refresh_token) == (None, None)
    assert len(utility.asked) == 2


def test_f40_a_wrong_secret_of_ours_asks_nothing_of_the_customer(held, utility):
    utility.says(TOKEN, standin.refusal("invalid_client", 401))
    with pytest.raises(oauth.InvalidClient):
        tokens.current(expiring(held), now=NOW)
    held.refresh_from_db()
    assert (held.status, held.refresh_token) == ("active", "refresh-976")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((500, b"<html>", {}), oauth.TokenUnavailable),
        ((429, b"", {"Retry-After": "7"}), oauth.TokenThrottled),
        ((200, b"<html>", {}), oauth.BadTokenAnswer),
        ((200, {"token_type": "Bearer"}, {}), oauth.BadTokenAnswer),
    ],
    ids=["500", "429", "html", "no token"],
)
def test_a_faulty_answer_changes_nothing(held, utility, answer, error):
    utility.says(TOKEN, answer)
    with pytest.raises(error):
        tokens.current(expiring(held), now=NOW)
    held.refresh_from_db()
    assert (held.access_token, held.refresh_token, held.status) == ("access-976", "refresh-976", "active")


@pytest.mark.parametrize("status", ["revoked", "withdrawn", "needs_reconnect", "parked", "expired", "superseded"])
def test_a_connection_that_ended_gives_no_token_even_if_it_has_one(held, utility, status):
    held.status = status
    held.save()
    with pytest.raises(tokens.NotAllowed):
        tokens.current(held, now=NOW)
    assert utility.asked == []


def test_a_rejected_token_is_renewed_although_it_is_young(held, utility):
    utility.says(TOKEN, standin.token())
    assert tokens.renewed(held, now=NOW, rejected="access-976") == "new"


def test_a_rejected_token_that_somebody_else_renewed_is_not_renewed_again(held, utility):
    assert tokens.renewed(held, now=NOW, rejected="an older one") == "access-976"
    assert utility.asked == []


def test_our_own_token_is_kept_for_its_life(db, utility):
    app = rows.registration("cecony", "v2")
    utility.says(TOKEN, standin.token("ours", refresh=""))
    assert tokens.client(app, now=NOW) == "ours"
    app.refresh_from_db()
    assert tokens.client(app, now=NOW + timedelta(minutes=49)) == "ours"
    assert len(utility.asked) == 1
    tokens.client(app, now=NOW + timedelta(minutes=51))
    assert len(utility.asked) == 2


@pytest.mark.django_db(transaction=True)
def test_f35_many_workers_that_meet_one_expired_token_refresh_it_once(utility):
    held = expiring(rows.authorization(rows.registration()))
    utility.says(TOKEN, standin.token("first", "refresh-first"), standin.token("second", "refresh-second"))
    got, start = [], threading.Barrier(50)

    def work():
        row = Authorization.objects.get(pk=held.pk)
        start.wait()
        got.append(tokens.current(row, now=NOW))
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(50)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert got == ["first"] * 50
    assert len(utility.asked) == 1


@pytest.mark.django_db(transaction=True)
def test_the_new_pair_is_committed_before_anybody_can_use_it(utility):
    held = expiring(rows.authorization(rows.registration()))
    seen = []

    def elsewhere():
        seen.append(ApplicationInformation.objects.count())
        connection.close()

    def answer():
        thread = threading.Thread(target=elsewhere)  # other work goes on while the utility thinks
        thread.start()
        thread.join(5)
        return standin.token()

    utility.says(TOKEN, answer)
    assert tokens.current(held, now=NOW) == "new"
    assert seen == [1]
    assert not connection.in_atomic_block
    assert Authorization.objects.get().refresh_token == "refresh-new"


def in_another_thread(work):
    """Do it on a connection of its own; whether it was done within a second."""

    def begin():
        work()
        connection.close()

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join(1)
    return not thread.is_alive()


@pytest.mark.django_db(transaction=True)
def test_a_customer_who_stops_does_not_wait_for_the_utility_and_his_tokens_stay_destroyed(utility):
    held, stopped = expiring(rows.authorization(rows.registration())), []

    def answer():
        stopped.append(in_another_thread(lambda: withdraw.withdraw(held, delete_data=False, now=NOW)))
        return standin.token()

    utility.says(TOKEN, answer)
    with pytest.raises(tokens.NotAllowed, match="Stopped by the customer"):
        tokens.current(held, now=NOW)
    held.refresh_from_db()
    assert stopped == [True]
    assert (held.status, held.access_token, held.refresh_token) == ("withdrawn", None, None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("answered", [standin.token(), standin.refusal()], ids=["renewed", "refused"])
def test_a_pair_that_came_by_connecting_again_is_not_touched_by_an_older_refresh(utility, answered):
    held = expiring(rows.authorization(rows.registration()))
    again = {"access_token": "again", "refresh_token": "refresh-again"}

    def answer():
        row = Authorization.objects.get()
        row.access_token, row.refresh_token = again["access_token"], again["refresh_token"]
        row.access_token_expires_at = NOW + timedelta(hours=1)
        row.save()
        return answered

    utility.says(TOKEN, answer)
    assert tokens.current(held, now=NOW) == "again"
    held.refresh_from_db()
    assert (held.status, held.refresh_token) == ("active", "refresh-again")


@pytest.mark.django_db(transaction=True)
def test_saving_a_registration_does_not_wait_for_its_token(utility):
    app, changed = rows.registration("cecony", "v2"), []
    secrets = {"client_secret": "another"}

    def answer():
        changed.append(in_another_thread(lambda: registrations.store("cecony", "sandbox", "v2", secrets)))
        return standin.token("of-the-old-secret", refresh="")

    utility.says(TOKEN, answer, standin.token("of-the-new-secret", refresh=""))
    assert tokens.client(app, now=NOW) == "of-the-new-secret"
    app.refresh_from_db()
    assert (changed, app.client_secret, app.client_access_token) == ([True], "another", "of-the-new-secret")


def test_a_claim_whose_worker_died_is_taken_over_after_a_minute(held, utility):
    utility.says(TOKEN, standin.token())
    expiring(held)
    Authorization.objects.update(refreshing_until=NOW + timedelta(seconds=30))
    assert tokens.claim(held, NOW) is False
    assert utility.asked == []
    assert tokens.current(held, now=NOW + timedelta(seconds=31)) == "new"


def test_while_somebody_else_renews_a_token_the_others_look_again(held, utility, monkeypatch):
    expiring(held)
    Authorization.objects.update(refreshing_until=NOW + timedelta(seconds=30))

    def renewed_by_somebody_else(seconds):
        row = Authorization.objects.get()
        row.access_token, row.access_token_expires_at = "theirs", NOW + timedelta(hours=1)
        row.save()

    monkeypatch.setattr("time.sleep", renewed_by_somebody_else)
    assert tokens.current(held, now=NOW) == "theirs"
    assert utility.asked == []


@pytest.mark.parametrize("answer", [standin.token(), (500, b"", {}), standin.refusal()])
def test_the_claim_ends_with_the_answer_whatever_it_was(held, utility, answer):
    utility.says(TOKEN, answer)
    with contextlib.suppress(tokens.NotAllowed, oauth.TokenError):
        tokens.current(expiring(held), now=NOW)
    held.refresh_from_db()
    assert held.refreshing_until is None


# --- PostgreSQL is restarted meanwhile --------------------------------------------------------------------------------


def lose_the_database():
    """The server ends our connection, as when it is restarted; whoever asks next is told so, and has to connect again."""
    pid = connection.connection.info.backend_pid

    def end():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    assert in_another_thread(end)


def losing_the_database(answer):
    """An answer during which it happens."""

    def say():
        lose_the_database()
        return answer

    return say


@pytest.mark.django_db(transaction=True)
def test_a_pair_that_came_while_postgresql_was_restarted_is_kept(utility):
    held = expiring(rows.authorization(rows.registration()))
    utility.says(TOKEN, losing_the_database(standin.token()))
    assert tokens.current(held, now=NOW) == "new"
    held.refresh_from_db()
    assert (held.access_token, held.refresh_token, held.refreshing_until) == ("new", "refresh-new", None)
    assert len(utility.asked) == 1


@pytest.mark.django_db(transaction=True)
def test_our_own_token_that_came_while_postgresql_was_restarted_is_kept(utility):
    app = rows.registration("cecony", "v2")
    utility.says(TOKEN, losing_the_database(standin.token("ours", refresh="")))
    assert tokens.client(app, now=NOW) == "ours"
    app.refresh_from_db()
    assert (app.client_access_token, app.refreshing_until) == ("ours", None)
    assert len(utility.asked) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("answer", [standin.token(), standin.refusal()], ids=["renewed", "refused"])
def test_a_claim_that_cannot_be_given_back_hides_no_outcome(utility, monkeypatch, answer):
    held, kept = expiring(rows.authorization(rows.registration())), tokens.keep

    def keep_and_lose(*given):
        stored = kept(*given)
        lose_the_database()
        return stored

    monkeypatch.setattr(tokens, "keep", keep_and_lose)
    utility.says(TOKEN, answer)
    if answer[0] == 200:
        assert tokens.current(held, now=NOW) == "new"
    else:
        with pytest.raises(tokens.NotAllowed, match="connect again"):
            tokens.current(held, now=NOW)
    held.refresh_from_db()
    assert held.status == ("active" if answer[0] == 200 else "needs_reconnect")


@pytest.mark.django_db(transaction=True)
def test_a_database_that_stays_away_is_told_as_it_is(utility, monkeypatch):
    held = expiring(rows.authorization(rows.registration()))
    tries = []

    def away(*given):
        tries.append(given)
        raise OperationalError("the database system is shutting down")

    monkeypatch.setattr(tokens, "KEEP_TRYING_FOR", 0.5)
    monkeypatch.setattr(tokens, "keep", away)
    utility.says(TOKEN, standin.token())
    with pytest.raises(OperationalError, match="shutting down"):
        tokens.current(held, now=NOW)
    assert 2 <= len(tries) <= 4
