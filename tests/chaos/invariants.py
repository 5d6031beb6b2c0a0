"""I1 to I10 of the fault experiments, from the sandbox's own record of what it delivered and was asked.

The sandbox's readings are a pure function of meter and time. Its deliveries say which meters and which span each
document held, with count and sum; from these the exact set of readings that must be here is composed, and compared
with the rows, reading by reading.
"""

import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.chaos.world import World, check
from utilities.sandbox import meters, people

Channel = tuple[str, int, int]  # usage point, unit, flow (0 where the ledger does not tell)
Readings = dict[int, int]  # start -> value in the meter's own unit

UNITS = {"Wh": 72, "varh": 73, "0.00001 CCF": 119}
POWERS = {169: 5, 119: 3}  # the ledger counts 1/100000 therm, and 1/100000 CCF of a hundred cubic feet
DAILY = 169  # PG&E's gas: one reading per local day, one second after midnight
MEMORY_MIB = 512
TOKEN_CALLS_A_MINUTE = 40
PGE_CALLS_IN_TEN_SECONDS = 10 + 3  # one a second; on the way some come later than others, and a code cannot wait
MOST_ATTEMPTS = 8
IDLE = timedelta(minutes=15)


# --- I1, I2: nothing lost, nothing doubled ----------------------------------------------------------------------------


def no_reading_lost_or_doubled(world: World, authorizations: Iterable[Any]) -> dict[str, int]:
    """I1 and I2 for the subscriptions of these authorizations: what is stored is exactly what was delivered."""
    found = {"delivered": 0, "documents": 0}
    for subscription in {each.subscription for each in authorizations}:
        sent, documents = delivered(world, subscription)
        here = stored(subscription, with_flow=any(flow for _, _, flow in sent))
        check(set(here) == set(sent), f"channels delivered {list(sent)}, stored {list(here)}")
        for channel, readings in sent.items():
            compare(channel, readings, here[channel])
        found["delivered"] += sum(map(len, sent.values()))
        found["documents"] += documents
    check(found["delivered"], "nothing at all was delivered")
    return found


def compare(channel: Channel, sent: Readings, here: list[tuple[int, int]]) -> None:
    """Raises NotSo with figures unless both are the same."""
    held = dict(here)
    doubled = len(here) - len(held)
    missing, extra = len(sent.keys() - held.keys()), len(held.keys() - sent.keys())
    differing = sum(1 for start, value in sent.items() if held.get(start, value) != value)
    words = f"{channel}: {missing} lost, {extra} never delivered, {doubled} doubled, {differing} of another value"
    check(not (doubled or missing or extra or differing), words)


def delivered(world: World, subscription: Any) -> tuple[dict[Channel, Readings], int]:
    """Every reading the sandbox delivered for a subscription of ours, by channel; and in how many documents."""
    services = world_services(world)
    held = numbers(world, subscription)
    found: dict[Channel, Readings] = defaultdict(dict)
    documents = 0
    for row in world.said("deliveries"):
        if row["authorization"] not in held:
            continue
        documents += 1
        for said in row["channels"]:
            readings = composed(services[said["usage_point"]], said)
            unit = UNITS.get(said["unit"], said["unit"])
            key = (said["usage_point"], unit, 0 if unit == DAILY else said.get("flow") or 0)
            found[key].update(readings)
    return dict(found), documents


def composed(service: people.Service, said: dict[str, Any]) -> Readings:
    """The readings of one delivered channel. Raises NotSo when they are not what the ledger counted."""
    found: Readings = {}
    named = [meter for meter in service.meters if meter.serial == said["meter_reading"]] or service.meters
    for meter in named:
        found.update(of_meter(meter, said))
    revised, add = said.get("revision") or (0, 0)
    found = {at: value + add * (at >= revised) for at, value in found.items() if said["first"] <= at <= said["last"]}
    if len(found) != said["count"] and said.get("flow") == 19:  # Essex: no reading where nothing was exported
        found = {at: value for at, value in found.items() if value}
    ours, theirs = (len(found), sum(found.values())), (said["count"], said["sum"])
    check(ours == theirs, f"the ledger counted {theirs}, its meter says {ours}: {said}")
    return found


def of_meter(meter: meters.Meter, said: dict[str, Any]) -> Readings:
    if said["unit"] == DAILY:
        days = meters.local_days(said["first"], said["last"] + 1, meter.zone)
        return {low + 1: sum(meters.readings(meter, low, high)) for low, high in days}
    quantity = {"reactive": "reactive"}.get(said.get("quantity", ""), "net")
    channel = {1: "forward", 19: "reverse"}.get(said.get("flow") or 0, quantity)
    first = meters.first_interval(meter, said["first"])
    values = meters.readings(meter, first, said["last"] + meter.length, channel=channel)
    return {first + n * meter.length: value for n, value in enumerate(values)}


def world_services(world: World) -> dict[str, people.Service]:
    """Every service of every customer who has authorized something, by its id."""
    store = world.store
    born, found = int(store.meta("born", "0")), {}
    for row in store.find("authorizations"):
        person = people.find(row["utility"], row["username"], born)
        for account in person.accounts if person else ():
            found.update({service.id: service for service in account.services})
    store.close()
    return found


def numbers(world: World, subscription: Any) -> set[int]:
    """The sandbox's numbers of the authorizations that fill a subscription of ours."""
    ours = {
        (each.application_information.utility, each.utility_subscription_id)
        for each in subscription.authorizations.select_related("application_information")
    }
    return {
        row["id"] for row in world.said("authorizations") if (row["utility"], str(row["subscription"] or "")) in ours
    }


def stored(subscription: Any, *, with_flow: bool) -> dict[Channel, list[tuple[int, int]]]:
    """Every reading we hold of a subscription, by channel: (start, value in the meter's own unit)."""
    from espi.models import IntervalBlock, IntervalReading

    owned = {"meter_reading__usage_point__subscription": subscription}
    together = ("meter_reading__usage_point", "meter_reading__reading_type")
    found: dict[Channel, list[tuple[int, int]]] = defaultdict(list)
    for block in IntervalBlock.objects.filter(**owned).select_related(*together):
        key, factor = scale(block.meter_reading, with_flow=with_flow)
        pairs = enumerate(block.values)
        found[key] += [(block.start + n * block.interval_length, int(v * factor)) for n, v in pairs if v is not None]
        check(block.total == sum(filter(None, block.values)), "a day's total is not the sum of its readings")
    for reading in IntervalReading.objects.filter(**owned).select_related(*together):
        key, factor = scale(reading.meter_reading, with_flow=with_flow)
        found[key].append((reading.start, int(reading.value * factor)))
    return dict(found)


def scale(channel: Any, *, with_flow: bool) -> tuple[Channel, Decimal]:
    kind = channel.reading_type
    factor = Decimal(1).scaleb(channel.power_of_ten_multiplier + POWERS.get(kind.uom, 0))
    flow = kind.flow_direction or 0 if with_flow and kind.uom != DAILY else 0
    return (channel.usage_point.resource_id, kind.uom, flow), factor


# --- I3, I5: notifications --------------------------------------------------------------------------------------------


def every_notification_came_to_an_end(world: World, since: float) -> dict[str, int]:
    """I3: of each that was answered 200 there is a row, and it and its jobs have ended, or have a next time soon."""
    from espi.models import FetchJob, Notification

    accepted = [row for row in world.said("notifications") if row["status"] == 200 and row["created"] >= since]
    rows = Notification.objects.filter(received_at__gte=at(since))
    kept = rows.count() + sum(rows.values_list("repeats", flat=True))  # the same again is counted while the first waits
    check(kept >= len(accepted), f"{len(accepted)} answered 200, {kept} kept")
    nameless = rows.filter(state=Notification.State.QUARANTINED, reason="").count()
    check(not nameless, f"{nameless} notifications were set aside without a reason")
    left = rows.filter(state=Notification.State.RECEIVED).count()
    check(not left, f"{left} notifications were not resolved")
    silent = FetchJob.objects.filter(state__in=[FetchJob.State.FAILED, FetchJob.State.SUPERSEDED], reason="").count()
    check(not silent, f"{silent} jobs ended without a reason")
    now, due = datetime.now(UTC), FetchJob.objects.filter(state=FetchJob.State.DUE)
    check(not due.filter(not_before__lt=now - IDLE).exists(), "a job was due a quarter of an hour ago, and lies there")
    late = due.filter(not_before__gt=now + timedelta(hours=6, minutes=5))
    check(not late.exists(), f"{late.count()} jobs wait longer than six hours")
    return {"accepted": len(accepted)}


# --- I4: tokens -------------------------------------------------------------------------------------------------------


def token_calls(world: World, since: float) -> list[dict[str, Any]]:
    """What reached the utilities' token endpoints, from the sandbox's ledger."""
    return [row for row in ledger(world, since) if re.search(r"/token(/v\d)?$", row["path"].lower())]


def ledger(world: World, since: float) -> list[dict[str, Any]]:
    return [row for row in world.said("ledger") if row["at"] >= since]


def one_refresh_in_flight(world: World, since: float) -> dict[str, int]:
    """I4: no two token calls for one authorization at the same time; never more calls than the budgets allow."""
    calls = token_calls(world, since)
    spans: dict[Any, list[tuple[float, float]]] = defaultdict(list)
    for row in calls:
        if row["authorization"]:
            spans[row["authorization"]].append((row["at"] - row["data"].get("took", 0.0), row["at"]))
    for number, each in spans.items():
        each.sort()
        for (_, ended), (began, _) in itertools.pairwise(each):
            check(began >= ended - 0.001, f"two token calls at once for authorization {number}")
    for utility in ("cecony", "oru"):
        most = busiest([row for row in calls if row["utility"] == utility], 60)
        check(most <= TOKEN_CALLS_A_MINUTE, f"{most} token calls in a minute at {utility}")
    theirs = [row for row in ledger(world, since) if row["host"] == "api.pge.com"]
    most = busiest(theirs, 10)
    check(most <= PGE_CALLS_IN_TEN_SECONDS, f"{most} calls in ten seconds at PG&E")
    return {"token_calls": len(calls)} | ({"pge_calls_in_ten_seconds": most} if theirs else {})


def busiest(rows: list[dict[str, Any]], seconds: float) -> int:
    """The most calls in any time of so many seconds."""
    times = [row["at"] for row in rows]
    return max((sum(1 for t in times if began <= t < began + seconds) for began in times), default=0)


# --- I6: secrets ------------------------------------------------------------------------------------------------------


def no_secret_outside(world: World) -> dict[str, int]:
    """I6: no token, client secret, code or account number in a log, in Valkey's file or in a table in clear."""
    wanted = known_secrets(world)
    places = {
        f"{program.name}'s log": program.text() for program in world.programs.values() if program.name != "sandbox"
    }
    places |= {path.name: path.read_bytes().decode("latin-1") for path in world.valkey.directory.rglob("*.aof")}
    places |= {f"table {name}": text for name, text in tables(world)}
    for name, text in places.items():
        found = [value for value in wanted if value in text]
        check(not found, f"{len(found)} secrets stand in {name}, such as {found[:1]} ...")
    return {"secrets": len(wanted), "places": len(places)}


def known_secrets(world: World) -> list[str]:
    store = world.store
    found = {row["token"] for row in store.find("tokens")} | {row["code"] for row in store.find("codes")}
    found |= {row["client_secret"] for row in store.find("registrations")}
    found |= {row["account"] for row in store.find("authorizations") if len(str(row["account"] or "")) > 8}
    store.close()
    return sorted(value for value in found if value)


def tables(world: World) -> Iterable[tuple[str, str]]:
    """Every table of ours as text, without readings."""
    from django.apps import apps
    from django.db import connection

    for model in apps.get_models():
        if model._meta.app_label in ("espi", "portal", "django_celery_beat") and not model.__name__.startswith(
            "Interval"
        ):
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT coalesce(string_agg(t::text, chr(10)), '') FROM \"{model._meta.db_table}\" t")
                yield model._meta.db_table, cursor.fetchone()[0]


# --- I7, I8: what customers are told ----------------------------------------------------------------------------------


def nobody_is_asked_to_reconnect(world: World, authorizations: Iterable[Any]) -> dict[str, int]:
    """I7: a connection that the utility still serves is active here."""
    alive = {(r["utility"], str(r["subscription"])) for r in world.said("authorizations") if r["status"] == "active"}
    counted: Counter[str] = Counter()
    for each in authorizations:
        each.refresh_from_db()
        counted[each.status] += 1
        is_alive = (each.application_information.utility, each.utility_subscription_id) in alive
        words = f"connection {each.pk} is {each.status!r} here ({each.status_reason}), and active at the utility"
        check(not is_alive or each.status == "active", words)
    return dict(counted)


def complete_to_is_true(world: World, authorizations: Iterable[Any]) -> None:
    """I8: nothing claims to be complete beyond what was delivered."""
    for subscription in {each.subscription for each in authorizations}:
        subscription.refresh_from_db()
        if subscription.complete_to is None:
            continue
        sent, _ = delivered(world, subscription)
        last = max((start for readings in sent.values() for start in readings), default=0)
        beyond = subscription.complete_to.timestamp() - last
        check(beyond <= 86400 + 3600, f"complete to {subscription.complete_to}, but delivered up to {at(last)}")


# --- I9, I10 ----------------------------------------------------------------------------------------------------------


def limits_of_retry_hold(since: float) -> dict[str, int]:
    """I9: no job has more attempts than allowed, and none waits for longer than six hours."""
    from espi.models import FetchJob

    most = max(FetchJob.objects.filter(created_at__gte=at(since)).values_list("attempts", flat=True), default=0)
    check(most <= MOST_ATTEMPTS, f"a job was tried {most} times")
    return {"attempts": most}


def memory_is_bounded(world: World) -> dict[str, int]:
    """I10: no process of ours was ever larger than the limit."""
    peak = round(world.memory.peak())
    check(peak <= MEMORY_MIB, f"a process took {peak} MiB")
    return {"mib": peak}


# --- All of them ------------------------------------------------------------------------------------------------------


def hold(world: World, authorizations: Iterable[Any], since: float, besides: tuple[str, ...] = ()) -> dict[str, Any]:
    """Check every invariant that can be told from the outside, except those named in `besides`; what was found."""
    held = list(authorizations)
    every = {
        "I1 I2": lambda: no_reading_lost_or_doubled(world, held),
        "I3": lambda: every_notification_came_to_an_end(world, since),
        "I4": lambda: one_refresh_in_flight(world, since),
        "I6": lambda: no_secret_outside(world),
        "I7": lambda: nobody_is_asked_to_reconnect(world, held),
        "I8": lambda: complete_to_is_true(world, held),
        "I9": lambda: limits_of_retry_hold(since),
        "I10": lambda: memory_is_bounded(world),
    }
    found: dict[str, Any] = {}
    for name, look in every.items():
        if not set(name.split()) & set(besides):
            found |= look() or {}
    return found | {"invariants": " ".join(name for name in every if not set(name.split()) & set(besides))}


def at(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def as_json(found: dict[str, Any]) -> str:
    return json.dumps(found, default=str)
