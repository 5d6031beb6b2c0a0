"""F36: five hundred tokens that run out together."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.chaos import invariants
from tests.chaos.experiments import experiment
from tests.chaos.travel import travel
from tests.chaos.work import expire, has_his_data, ready
from tests.chaos.world import World, check, until
from tests.journeys.customers import CECONY_V2, ESSEX

CONNECTIONS = 500
FOR_ANYBODY = 32  # of the 40 token calls a minute; the rest is kept for what a person waits for
OUT_OF_TURN = FOR_ANYBODY // 2  # places; those of one minute go by several processes, and one may be faster


@experiment("F36")
def many_run_out_together(world: World) -> dict[str, Any]:
    """Five hundred tokens run out together: the budget holds, those who wait longest begin, and nobody new waits."""
    held = copies(world, ready(world, CECONY_V2, kinds=("billing",)), CONNECTIONS)
    world.arm("resource_204", "cecony", count=0)  # no news: it is the tokens that count here
    since = time.time() - 3600
    expire(*held)
    overdue(held)
    until(lambda: asked_for(held).count() == CONNECTIONS, 60, "the news of everybody are asked for")
    until(lambda: spent(FOR_ANYBODY), 120, "the first minute's budget is spent")
    waited = {"a new customer": has_his_data(world.connect(ESSEX)), "a customer who asks": urgent(world, held[-1])}
    minutes = 1
    while asked_for(held).exclude(state="done").exists():
        until(
            lambda: spent(FOR_ANYBODY) or asked_for(held).filter(state="done").count() == CONNECTIONS, 120, "a budget"
        )
        a_minute_passes(world)
        minutes += 1
    world.disarm()
    order = refreshed(world, held, since)
    check(sorted(order) == list(range(CONNECTIONS)), f"{len(order)} token calls, for {len(set(order))} connections")
    line = [place for place in order if place != CONNECTIONS - 1]  # a person asked for that one
    far = max(abs(place - turn) for turn, place in enumerate(line))
    check(far <= OUT_OF_TURN, f"one was {far} places from his turn: {line}")
    found = {"connections": CONNECTIONS, "minutes": minutes, "waited": waited, "places out of turn": far}
    found |= invariants.one_refresh_in_flight(world, since) | invariants.limits_of_retry_hold(since)
    return found | invariants.nobody_is_asked_to_reconnect(world, held) | invariants.memory_is_bounded(world)


def copies(world: World, first: Any, count: int) -> list[Any]:
    """So many connections like this one, at the utility and here: each with its own customer, ids and tokens."""
    return [copy(world, first, number) for number in range(count)]


def copy(world: World, first: Any, number: int) -> Any:
    from espi.models import Subscription
    from portal.flows.fetch.planning import keep_plans
    from portal.models import User

    theirs = copy_there(world, first, number)
    mine = type(first).objects.select_related("application_information").get(pk=first.pk)
    old, uri = (mine.utility_authorization_id, mine.utility_subscription_id), mine.authorization_uri
    mine.pk, mine._state.adding = None, True
    mine.public_id = type(first)._meta.get_field("public_id").get_default()
    mine.retail_customer = User.objects.create(email=f"storm-{theirs['id']}@example.com", password="!")
    mine.subscription = Subscription.objects.create(
        retail_customer=mine.retail_customer, utility="cecony", time_zone=first.subscription.time_zone
    )
    mine.utility_authorization_id = mine.utility_authorization_id and str(theirs["id"])
    mine.authorization_uri = uri.replace(f"/{old[0]}", f"/{theirs['id']}") if old[0] else uri
    mine.utility_subscription_id = str(theirs["subscription"])
    mine.resource_uri = mine.resource_uri.replace(old[1], str(theirs["subscription"]))
    mine.access_token, mine.refresh_token = theirs["access"], theirs["refresh"]
    mine.save()
    keep_plans(mine, now=datetime.now(UTC))
    return mine


def copy_there(world: World, first: Any, number: int) -> dict[str, Any]:
    """Another permission like this one at the utility, for another of its customers."""
    from utilities.sandbox import people

    store, username = world.store, f"load{7000 + number}@example.com"
    person = people.find("cecony", username, int(store.meta("born", "0")))
    assert person is not None
    original = store.get("authorizations", id=next(iter(invariants.numbers(world, first.subscription))))
    columns = {name: value for name, value in original.items() if name != "id"}
    own = {"username": username, "account": person.accounts[0].number}
    id_ = store.insert("authorizations", **columns | own)
    subscription = 970_000 + id_ * 7
    store.update("authorizations", {"id": id_}, subscription=subscription)
    tokens = {}
    for kind in ("access", "refresh"):
        row = store.find("tokens", authorization=original["id"], kind=kind, order="id DESC", limit=1)[0]
        tokens[kind] = f"storm-{kind}-{number}-{time.time_ns()}"
        kept = {name: value for name, value in row.items() if name != "id"}
        store.insert("tokens", **kept | {"token": tokens[kind], "authorization": id_})
    store.close()
    return {"id": id_, "subscription": subscription} | tokens


def overdue(held: list[Any]) -> None:
    """News of everybody are due: of the first for the longest."""
    from portal.models import FetchPlan

    now = datetime.now(UTC)
    for number, each in enumerate(held):
        due = now - timedelta(minutes=len(held) - number)
        usage = FetchPlan.objects.filter(authorization=each, part="usage")
        usage.update(next_at=due, complete_to=now - timedelta(days=2))


def asked_for(held: list[Any]) -> Any:
    return held[0].fetch_jobs.model.objects.filter(authorization__in=held, kind="usage")


def spent(calls: int) -> bool:
    """Whether so many token calls were made within a minute."""
    from portal.models import UtilityCall

    minute = datetime.now(UTC) - timedelta(seconds=60)
    return bool(UtilityCall.objects.filter(is_token=True, at__gt=minute).count() >= calls)


def urgent(world: World, authorization: Any) -> float:
    """How long somebody waits who asks for his data while the budget is spent: a part of it is kept for him."""
    from portal.flows import fetch

    began = time.monotonic()
    job = authorization.fetch_jobs.get(kind="usage")
    check(job.state == "due", f"his job is {job.state} already")
    check(fetch.retry(job.pk, now=datetime.now(UTC)), "it cannot be asked for")
    until(lambda: type(job).objects.get(pk=job.pk).state == "done", 60, "his data are here")
    return round(time.monotonic() - began, 1)


def a_minute_passes(world: World) -> None:
    """Between two calls: what is on its way arrives before the clock moves on. The utility begins to count anew."""
    time.sleep(1)
    with world.frozen_workers():
        world.sandbox.kill()
        world.sandbox.start()
        until(lambda: world.answers(world.sandbox_url("/_sandbox/faults")), 60, "the sandbox answers")
    travel(world, hours=61 / 3600)


def refreshed(world: World, held: list[Any], since: float) -> list[int]:
    """Whose tokens were renewed, one call after another: the places of the connections in `held`."""
    places = {each.utility_subscription_id: number for number, each in enumerate(held)}
    theirs = {row["id"]: str(row["subscription"]) for row in world.said("authorizations")}
    calls = [row for row in invariants.token_calls(world, since) if row["utility"] == "cecony" and row["authorization"]]
    found = [places.get(theirs[row["authorization"]], -1) for row in sorted(calls, key=lambda row: row["at"])]
    return [place for place in found if place >= 0]
