"""F35, F37 to F43: one refresh at a time, tokens that survive a crash, and nobody asked to reconnect without a cause."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.chaos import invariants
from tests.chaos.experiments import experiment
from tests.chaos.gates import gate
from tests.chaos.notifications import hold, let_go
from tests.chaos.work import BLOCKS, expire, kill_busy, queue, queue_for, ready
from tests.chaos.world import World, check, until
from tests.journeys.customers import CECONY_V1, CECONY_V2, ESSEX

AUTHORIZATIONS = "espi_authorization"
REFRESHED = "UPDATE OF refresh_token"


def rotation(world: World, utility: str, value: str) -> None:
    """What the sandbox's UtilityAPI does with a refresh token: rotate, same, or omit."""
    store = world.store
    for row in store.find("registrations", utility=utility):
        store.update("registrations", {"id": row["id"]}, data=row["data"] | {"rotation": value})
    store.close()


@experiment("F35")
def fifty_meet_one_expired_token(world: World) -> dict[str, Any]:
    """Fifty jobs meet one token that has run out, as we know or as only the utility knows: one refresh, all finish."""
    since = time.time()
    held = ready(world, ESSEX)
    found = {}
    with_many = world.program("many", like="downloads", concurrency=6).start()
    try:
        for who in ("we", "the utility"):
            began = time.time()
            with world.frozen_workers(), with_many.frozen():
                expire(held) if who == "we" else world.arm("expire_token", "essex")
                jobs = [job.pk for job in queue(held, 50)]
            world.quiet(120)
            calls = [row for row in invariants.token_calls(world, began) if row["token_class"] == "access"]
            check(len(calls) == 1, f"{len(calls)} token calls when {who} knew")
            done = held.fetch_jobs.filter(pk__in=jobs, state="done").count()
            check(done == 50, f"{done} of 50 finished when {who} knew")
            found[f"calls when {who} knew"] = len(calls)
    finally:
        with_many.stop()
    return found | invariants.hold(world, [held], since)


@experiment("F36")
def many_run_out_together(world: World) -> dict[str, Any]:
    """Sixty tokens run out together: the budget of forty a minute holds, and a new customer is not kept waiting."""
    browser = world.signed_in()
    held = [world.connect(CECONY_V2, browser=browser, kinds=("billing",)) for _ in range(60)]
    world.quiet(240)
    since = time.time()
    with world.frozen_workers():
        expire(*held)
        jobs = [job.pk for each in held for job in queue_for(each)]
    time.sleep(5)
    began = time.monotonic()
    other = world.connect(ESSEX)
    until(lambda: other.fetch_jobs.filter(kind="usage", state="done").exists(), 60, "the new customer has his data")
    waited = round(time.monotonic() - began, 1)
    took = world.quiet(240)
    done = held[0].fetch_jobs.model.objects.filter(pk__in=jobs, state="done").count()
    check(done == len(jobs), f"{done} of {len(jobs)} jobs are done")
    calls = [row for row in invariants.token_calls(world, since) if row["utility"] == "cecony"]
    check(len(calls) == 60 and {row["status"] for row in calls} == {200}, f"{len(calls)} token calls")
    found = {"new_customer_after": waited, "done_after": round(took, 1)}
    return found | invariants.hold(world, [other], since) | invariants.one_refresh_in_flight(world, since)


@experiment("F37")
def died_before_keeping_a_token(world: World) -> dict[str, Any]:
    """A process that dies between a token's arrival and our commit: the connection heals alone, or says why it cannot."""
    since, found, connected = time.time(), {}, []
    for profile, turns in ((CECONY_V2, ""), (ESSEX, "same"), (ESSEX, "rotate")):
        if turns:
            rotation(world, "essex", turns)
        held = ready(world, profile)
        with gate(world, AUTHORIZATIONS, REFRESHED) as held_at:
            expire(held)
            queue_for(held)
            held_at.arrival()
            kill_busy(world)
        world.quiet(150)
        held.refresh_from_db()
        found[f"{profile} {turns}".strip()] = f"{held.status} {held.status_reason}".strip()
        if turns == "rotate":
            check(held.status == "active" or held.status_reason, "it does not say why it cannot go on")
        else:
            check(held.status == "active", f"{profile} {turns}: {held.status}: {held.status_reason}")
            connected.append(held)
    return found | invariants.hold(world, connected, since)


@experiment("F38")
def no_new_refresh_token(world: World) -> dict[str, Any]:
    """A refresh that brings no refresh token leaves the old one in force."""
    since = time.time()
    held = ready(world, CECONY_V1)
    before = held.refresh_token
    for count in (1, 2):
        world.arm("no_refresh_token", "cecony")
        expire(held)
        queue_for(held)
        world.quiet(120)
        held.refresh_from_db()
        check(held.refresh_token == before, f"after refresh {count} the refresh token is another one, or gone")
    return invariants.hold(world, [held], since)


@experiment("F39")
def refused_because_another_was_faster(world: World) -> dict[str, Any]:
    """A refresh that is refused because somebody else refreshed changes nothing; a real refusal is confirmed once."""
    since = time.time()
    held, other = ready(world, ESSEX), ready(world, ESSEX)
    began = time.time()
    with world.sandbox.frozen():
        expire(held)
        queue(held, 1)
        until(lambda: refreshing(held), 30, "a worker refreshes")
        time.sleep(1)
        renew_elsewhere(world, held)
    world.quiet(60)
    held.refresh_from_db()
    check(held.status == "active", f"it is {held.status}: {held.status_reason}")
    refused = [row["status"] for row in invariants.token_calls(world, began)]

    began = time.time()
    store = world.store
    number = next(iter(invariants.numbers(world, other.subscription)))
    store.update("tokens", {"authorization": number, "kind": "refresh"}, revoked=1)
    expire(other)
    queue(other, 1)
    world.quiet(60)
    other.refresh_from_db()
    genuine = [row["status"] for row in invariants.token_calls(world, began) if row["token_class"] != "client"]
    check(other.status == "needs_reconnect", f"after a real refusal it is {other.status}: {other.status_reason}")
    check(len(genuine) == 2, f"a real refusal was confirmed by {len(genuine)} calls")
    check(other.status_reason, "no reason is given")
    return {"faster": refused, "genuine": genuine} | invariants.hold(world, [held], since)


def refreshing(authorization: Any) -> bool:
    authorization.refresh_from_db(fields=["refreshing_until"])
    return authorization.refreshing_until is not None


def renew_elsewhere(world: World, authorization: Any) -> None:
    """Another worker has just renewed this token: at the utility, and in our row."""
    authorization.refresh_from_db()
    store = world.store
    old = store.get("tokens", token=authorization.refresh_token)
    store.update("tokens", {"id": old["id"]}, revoked=1)
    new = {name: old[name] for name in ("utility", "registration", "authorization", "scope")}
    pair = [f"renewed-elsewhere-{kind}-{time.time_ns()}" for kind in ("access", "refresh")]
    for token, kind, seconds in ((pair[0], "access", 3600), (pair[1], "refresh", None)):
        ends = time.time() + seconds if seconds else None
        store.insert("tokens", token=token, kind=kind, created=time.time(), expires=ends, **new)
    authorization.access_token, authorization.refresh_token = pair
    authorization.access_token_expires_at = datetime.now(UTC) + timedelta(hours=1)
    authorization.save(update_fields=["access_token", "refresh_token", "access_token_expires_at"])
    store.close()


@experiment("F40")
def our_own_secret_is_wrong(world: World) -> dict[str, Any]:
    """With a wrong client secret no customer is asked to reconnect, staff are told once, and all goes on once it is right."""
    from espi.models import ApplicationInformation, Authorization
    from portal.models import StaffAlert

    since = time.time()
    held = [ready(world, ESSEX) for _ in range(4)]
    app = ApplicationInformation.objects.get(pk=held[0].application_information_id)
    right, app.client_secret = app.client_secret, "not-the-secret"
    app.save(update_fields=["client_secret"])
    expire(*held)
    jobs = [job.pk for each in held for job in queue(each, 2)]
    alerts = StaffAlert.objects.filter(opened_at__gte=datetime.fromtimestamp(since, UTC))
    until(alerts.exists, 60, "staff are told")
    time.sleep(8)
    calls = len(invariants.token_calls(world, since))
    statuses = Counter(Authorization.objects.filter(pk__in=[each.pk for each in held]).values_list("status", flat=True))
    check(statuses == {"active": 4}, f"customers are asked to reconnect: {statuses}")
    check(alerts.count() == 1, f"staff were told {alerts.count()} times")
    app.client_secret = right
    app.save(update_fields=["client_secret"])
    took = world.quiet(120)
    done = held[0].fetch_jobs.model.objects.filter(pk__in=jobs, state="done").count()
    check(done == len(jobs), f"{done} of {len(jobs)} jobs are done")
    return {"token_calls_meanwhile": calls, "done_after": round(took, 1)} | invariants.hold(world, held, since)


@experiment("F41", kind="tokens")
def token_runs_out_between_files(world: World) -> dict[str, Any]:
    """A 401 in the middle of five files: one refresh, and the rest is fetched from there."""
    since = time.time()
    world.arm("small_files", "cecony", bytes=6_700_000)
    held = world.connect(CECONY_V1)
    (row,) = hold(world, "cecony", 1)
    began = time.time()
    with gate(world, BLOCKS) as held_at:
        let_go(world, row)
        held_at.arrival()
        world.arm("expire_token", "cecony")
    world.quiet(120)
    asked = Counter(r["status"] for r in invariants.ledger(world, since) if r["path"].endswith("/Batch/Download"))
    calls = len(invariants.token_calls(world, began))
    check(asked[401] >= 1 and asked[200] == 5, f"the files were answered {dict(asked)}")
    check(calls == 1, f"{calls} token calls")
    return {"asked": dict(asked), "token_calls": calls} | invariants.hold(world, [held], since)


@experiment("F42")
def refused_again_after_a_refresh(world: World) -> dict[str, Any]:
    """A 401 that stays after a refresh stops the job: no loop, no customer asked to reconnect, and staff can retry it."""
    from portal.flows import fetch

    since = time.time()
    held = ready(world, ESSEX)
    began = time.time()
    world.arm("resource_401", "essex", count=0)
    (job,) = queue(held, 1)
    world.quiet(60)
    time.sleep(5)
    asked = Counter(r["path"].rpartition("/resource/")[2].split("/")[0] for r in resources(world, began))
    calls = len(invariants.token_calls(world, began))
    job.refresh_from_db()
    check(job.state == "failed" and job.reason, f"the job is {job.state}: {job.reason}")
    check(asked["Batch"] == 2, f"it was asked {asked['Batch']} times")
    check(sum(asked.values()) <= 6 and calls <= 3, f"{dict(asked)} and {calls} token calls")
    world.disarm()
    check(fetch.retry(job.pk, now=datetime.now(UTC)), "it cannot be retried")
    world.quiet(60)
    return {"asked": dict(asked), "reason": job.reason} | invariants.hold(world, [held], since)


def resources(world: World, since: float) -> list[dict[str, Any]]:
    return [row for row in invariants.ledger(world, since) if "/resource/" in row["path"]]


@experiment("F43")
def exchange_takes_too_long(world: World) -> dict[str, Any]:
    """A code exchange that takes too long: the code is not used twice, and the customer can start again."""
    from espi.models import Authorization

    since = time.time()
    browser = world.signed_in()
    before = Authorization.objects.count()
    world.arm("token_slow", "essex", seconds=18)
    world.offer(ESSEX)
    world.customers += 1
    browser.get(world.url("/connect/essex")).press("Continue", kinds=["usage"])
    browser.press("Agree and continue")
    browser.press("Continue to")
    ESSEX.approve(browser, world.somebody(ESSEX))
    heading, words = browser.heading, browser.text
    check("connected" not in heading.lower(), f"the page says {heading!r}")
    check("again" in words.lower(), f"the page offers no new start: {words[:600]}")
    check(Authorization.objects.count() == before, "half a connection was left")
    time.sleep(6)
    calls = [row["status"] for row in invariants.token_calls(world, since) if row["token_class"] != "client"]
    check(len(calls) == 1, f"the code was sent {len(calls)} times")
    held = world.connect(ESSEX, browser=browser)
    world.quiet(60)
    return {"heading": heading} | invariants.hold(world, [held], since)
