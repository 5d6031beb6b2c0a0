"""From consent to readings, in process: token, request, 202, notification or Retry-After, download, rows.

What is stored is compared with what the sandbox's own ledger says it delivered, not with what the portal thinks it read.
"""

import json
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from espi.models import (
    ApplicationInformation,
    Authorization,
    FetchJob,
    IntervalBlock,
    IntervalReading,
    IntervalRevision,
    Notification,
)
from portal.flows import fetch, notify
from portal.models import StaffAlert
from tests.journeys.conftest import PORTAL, World
from tests.journeys.customers import CECONY_V1, ESSEX, PGE, PROFILES, Profile
from utilities.sandbox.notify import deliver_due

# How the ledger writes units, and its powers of ten below them: 1/100000 therm, 1/100000 CCF (of a hundred ft³).
LEDGER_NAMES = {"Wh": 72, "varh": 73, "0.00001 CCF": 119}
LEDGER_POWERS = {169: 5, 119: 3}


def connect(world: World, profile: Profile, *chosen: str) -> Authorization:
    """A customer connects from the portal."""
    if profile.edition:
        world.offer(profile.slug, profile.edition)
    browser = world.signed_in()
    world.to_utility(browser, profile.slug, *chosen)
    profile.approve(browser, profile.who)
    assert browser.heading == "You are connected", browser.text
    return Authorization.objects.latest("pk")


def delivered(world: World) -> dict[tuple[str, int], list[int]]:
    """Count and sum for each usage point and unit, as the ledger has them; announcements of what came before left out."""
    found: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    for row in world.sandbox.store.find("deliveries"):
        for channel in json.loads(row["channels"]) if "/Bulk/" not in row["path"] else []:
            totals = found[channel["usage_point"], LEDGER_NAMES.get(channel["unit"], channel["unit"])]
            totals[0] += channel["count"]
            totals[1] += channel["sum"]
    return dict(found)


def stored(authorization: Authorization) -> dict[tuple[str, int], list[int]]:
    """The same of what the portal holds."""
    found: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    owned = {"meter_reading__usage_point__subscription": authorization.subscription}
    together = ("meter_reading__usage_point", "meter_reading__reading_type")
    rows = [(row, row.total, row.count) for row in IntervalBlock.objects.filter(**owned).select_related(*together)]
    rows += [(row, row.value, 1) for row in IntervalReading.objects.filter(**owned).select_related(*together)]
    for row, value, count in rows:
        channel = row.meter_reading
        unit = channel.reading_type.uom
        totals = found[channel.usage_point.resource_id, unit]
        amount = Decimal(value).scaleb(channel.power_of_ten_multiplier + LEDGER_POWERS.get(unit, 0))
        totals[0] += count
        totals[1] += int(amount) if amount == int(amount) else amount
    return dict(found)


@pytest.mark.parametrize("profile", PROFILES, ids=str)
def test_two_years_of_readings_arrive_as_the_utility_sent_them(world, profile):
    authorization = connect(world, profile.with_most_data)
    world.work()
    unfinished = FetchJob.objects.exclude(state="done").values_list("kind", "state", "reason", "url")
    assert list(unfinished) == []
    assert not Notification.objects.exclude(state="resolved").exists()
    sent = delivered(world)
    assert stored(authorization) == sent
    assert sum(count for count, _ in sent.values()) > 10_000
    assert not IntervalRevision.objects.exists()
    look_at_every_meter(world, authorization)


def look_at_every_meter(world: World, authorization: Authorization) -> None:
    """Every view of every usage point draws something, in a unit, within two seconds."""
    browser = world.signed_in()
    for point in authorization.subscription.usage_points.all():
        for period in ("day", "week", "month", "year"):
            began = time.monotonic()
            browser.get(f"{PORTAL}/usage/{point.public_id}?period={period}")
            assert time.monotonic() - began < 2
            assert browser.response.status_code == 200
            assert browser.page.xpath("//figure"), browser.text
            assert "not stated" not in browser.text


@pytest.mark.parametrize("profile", [CECONY_V1, PGE], ids=str)
def test_f25_a_notification_that_overtakes_our_own_note_of_the_202_loses_nothing(world, profile):
    world.arm("early_notification", profile.slug)
    authorization = connect(world, profile)
    world.work()
    assert not FetchJob.objects.exclude(state="done").exists()
    assert stored(authorization) == delivered(world)


@pytest.mark.parametrize("profile", [CECONY_V1, PGE], ids=str)
def test_f21_a_notification_that_comes_twice_changes_nothing(world, profile):
    world.arm("duplicate_notification", profile.slug)
    authorization = connect(world, profile)
    world.work()
    urls = list(FetchJob.objects.filter(kind="download").values_list("url", flat=True))
    assert len(urls) == len(set(urls)) > 0
    assert stored(authorization) == delivered(world)


def test_a_body_with_raw_ampersands_is_understood(world):
    world.arm("raw_ampersand", "cecony")
    authorization = connect(world, CECONY_V1)
    world.work()
    assert any(b"&amp;" not in body and b"&" in body for _, body, _ in world.delivered)
    assert stored(authorization) == delivered(world)


def test_without_a_notification_the_request_waits_and_says_so(world):
    world.arm("no_notification", "cecony")
    connect(world, CECONY_V1)
    world.work()
    job = FetchJob.objects.get()
    assert (job.state, job.attempts) == ("awaiting_notification", 1)
    assert "will tell us" in job.reason


def test_the_first_file_of_a_new_connection_is_waited_for_and_later_ones_can_wait(world):
    connect(world, CECONY_V1.with_most_data)
    fetch.run(FetchJob.objects.get().pk, now=datetime.now(UTC))
    deliver_due(world.sandbox, everything=True)
    notify.resolve(Notification.objects.get().pk, now=datetime.now(UTC))
    files = FetchJob.objects.filter(kind="download").order_by("pk")
    expected = [FetchJob.Priority.FIRST_DATA, FetchJob.Priority.ANNOUNCED]
    assert list(files.values_list("priority", flat=True)) == expected


def test_f23_a_request_that_the_utility_still_has_in_hand_goes_on_waiting(world):
    authorization = connect(world, CECONY_V1)
    job = FetchJob.objects.get()
    fetch.run(job.pk, now=datetime.now(UTC))
    fetch.run(job.pk, now=datetime.now(UTC) + timedelta(hours=27))
    asked = [row["status"] for row in world.sandbox.store.find("ledger") if "/Batch/" in row["path"]]
    job.refresh_from_db()
    assert asked == [202, 400]
    assert job.state == "awaiting_notification"
    assert "still preparing" in job.reason
    world.work()
    job.refresh_from_db()
    assert job.state == "done"
    assert stored(authorization) == delivered(world)


def test_essex_is_asked_the_same_again_until_it_is_ready(world):
    connect(world, ESSEX)
    job = FetchJob.objects.get(kind="usage")
    fetch.run(job.pk, now=datetime.now(UTC))
    job.refresh_from_db()
    assert (job.state, job.attempts, job.reason) == ("due", 0, "The utility is still preparing the data.")
    world.work()
    job.refresh_from_db()
    assert job.state == "done"
    asked = [row for row in world.sandbox.store.find("ledger") if "/Batch/" in row["path"]]
    assert [row["status"] for row in asked][-2:] == [202, 200]
    assert len({(row["path"], row["query"]) for row in asked}) == 1


def test_a_bulk_file_that_overtakes_the_first_batch_waits_for_it(world):
    authorization = connect(world, ESSEX)
    deliver_due(world.sandbox, everything=True)
    for notification in Notification.objects.filter(channel=Notification.Channel.BATCH_LIST):
        notify.resolve(notification.pk, now=datetime.now(UTC))
    bulk = FetchJob.objects.filter(kind="download").latest("pk")
    fetch.run(bulk.pk, now=datetime.now(UTC))
    bulk.refresh_from_db()
    assert (bulk.state, bulk.attempts) == ("due", 0)
    assert "first data" in bulk.reason
    assert not IntervalBlock.objects.exists()
    world.work()
    assert stored(authorization) == delivered(world)


def test_a_token_that_expired_between_asking_and_downloading_is_renewed_once(world):
    authorization = connect(world, CECONY_V1)
    before = len(world.token_requests())
    fetch.run(FetchJob.objects.get().pk, now=datetime.now(UTC))
    Authorization.objects.update(access_token_expires_at=datetime.now(UTC))
    deliver_due(world.sandbox, everything=True)
    for notification in Notification.objects.all():
        notify.resolve(notification.pk, now=datetime.now(UTC))
    world.work()
    assert len(world.token_requests()) - before == 1
    assert stored(authorization) == delivered(world)


def test_f40_a_utility_that_does_not_know_us_at_the_callback_is_told_to_staff_once(world):
    app = world.offer("pge")
    ApplicationInformation.objects.filter(pk=app.pk).update(client_secret="wrong")
    for number in range(2):
        browser = world.signed_in(f"ada{number}@example.com")
        world.to_utility(browser, "pge")
        PGE.approve(browser, PGE.who)
        assert "did not recognise us" in browser.text
    assert StaffAlert.objects.get().is_mailed
