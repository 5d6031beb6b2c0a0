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
from tests.journeys.customers import CECONY_V1, CECONY_V2, ESSEX, PGE, Profile

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
    world.quiet(120)
    held.refresh_from_db()
    check(held.status == "active", f"it is {held.status}: {held.status_reason}")
    refused = [row["status"] for row in invariants.token_calls(world, began)]

    began = time.time()
    store = world.store
    number = next(iter(invariants.numbers(world, other.subscription)))
    store.update("tokens", {"authorization": number, "kind": "refresh"}, revoked=1)
    expire(other)
    queue(other, 1)
    world.quiet(120)
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
def our_own_credentials_are_wrong(world: World) -> dict[str, Any]:
    """With a wrong client secret, or a certificate that has run out, no customer is asked to reconnect, staff are told once."""
    secret = refused_until_mended(world, ESSEX, {"client_secret": "not-the-secret"})
    path, key = run_out(world)
    certificate = refused_until_mended(world, PGE, {"client_certificate_path": path, "client_key_path": key})
    return {"secret": secret, "certificate": certificate}


def refused_until_mended(world: World, profile: Profile, wrong: dict[str, str]) -> dict[str, Any]:
    """A registration with something wrong in it: its jobs wait, and go on once that is right again."""
    from espi.models import ApplicationInformation, Authorization, FetchJob
    from portal.models import Circuit, StaffAlert

    since = time.time()
    held = [ready(world, profile) for _ in range(2)]
    app = ApplicationInformation.objects.get(pk=held[0].application_information_id)
    right = {name: getattr(app, name) for name in wrong}
    save(app, wrong)
    expire(*held)
    jobs = [job.pk for each in held for job in queue_for(each)]
    alerts = StaffAlert.objects.filter(opened_at__gte=invariants.at(since), application_information=app)
    until(alerts.exists, 60, "staff are told")
    time.sleep(8)
    calls = len(invariants.token_calls(world, since))
    mine = Authorization.objects.filter(pk__in=[each.pk for each in held])
    statuses = Counter(mine.values_list("status", flat=True))
    check(statuses == {"active": len(held)}, f"customers are asked to reconnect: {statuses}")
    check(alerts.count() == 1, f"staff were told {alerts.count()} times")
    circuit = Circuit.objects.get(application_information=app)
    check(circuit.opened_at and circuit.cause == Circuit.Cause.CREDENTIALS, f"its circuit is {circuit.cause!r}")
    save(app, right)
    took = world.quiet(180)
    done = FetchJob.objects.filter(pk__in=jobs, state="done").count()
    check(done == len(jobs), f"{done} of {len(jobs)} jobs are done")
    found = {"says": circuit.reason, "token_calls": calls, "done_after": round(took, 1)}
    return found | invariants.hold(world, held, since)


def save(app: Any, values: dict[str, str]) -> None:
    for name, value in values.items():
        setattr(app, name, value)
    app.save(update_fields=list(values))


def run_out(world: World) -> tuple[str, str]:
    """Files of a client certificate that ended yesterday, and of its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "run out")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=30)).not_valid_after(now - timedelta(days=1))
    paths = (world.directory / "run-out.pem", world.directory / "run-out.key")
    paths[0].write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    paths[1].write_bytes(key.private_bytes(*form))
    return str(paths[0]), str(paths[1])


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
    again = Counter(
        r["query"]
        for r in invariants.ledger(world, since)
        if r["status"] == 200 and r["path"].endswith("/Batch/Download")
    )
    check(set(again.values()) == {1}, f"a file that was here was fetched again: {sorted(again.values())}")
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
    world.quiet(120)
    time.sleep(5)
    asked = Counter(r["path"].rpartition("/resource/")[2].split("/")[0] for r in resources(world, began))
    calls = len(invariants.token_calls(world, began))
    job.refresh_from_db()
    check(job.state == "failed" and job.reason, f"the job is {job.state}: {job.reason}")
    check(asked["Batch"] == 2, f"it was asked {asked['Batch']} times")
    check(sum(asked.values()) <= 6 and calls <= 3, f"{dict(asked)} and {calls} token calls")
    world.disarm()
    check(fetch.retry(job.pk, now=datetime.now(UTC)), "it cannot be retried")
    world.quiet(120)
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
    world.quiet(120)
    return {"heading": heading} | invariants.hold(world, [held], since)
