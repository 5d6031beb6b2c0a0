"""scratch"""

from datetime import UTC, datetime, timedelta
from espi.models import Authorization, FetchJob, Subscription, UsageSummary
from tests.journeys.conftest import PORTAL, World
from tests.journeys.customers import CECONY_V1, CECONY_V2, ESSEX, PGE, Profile
from tests.journeys.test_first_data import connect, stored, delivered
from dataclasses import replace


def show(world):
    for a in Authorization.objects.order_by("pk"):
        print("AUTH", a.pk, a.status, a.status_reason, a.utility_subscription_id, a.subscription_id, a.data_granted)
    for j in FetchJob.objects.order_by("pk"):
        print("JOB", j.pk, j.authorization_id, j.kind, j.state, j.attempts, j.reason, j.url[-90:])


def test_pge_again(world):
    connect(world, PGE)
    world.work()
    browser = world.signed_in()
    world.to_utility(browser, "pge", "usage")
    PGE.approve(browser, PGE.who)
    print(browser.heading)
    show(world)
    world.work()
    show(world)
    browser.get(f"{PORTAL}/dashboard")
    print(browser.text)


def test_v1_revoked(world):
    a = connect(world, CECONY_V1)
    world.work()
    world.arm("revoke", "cecony")
    Authorization.objects.update(access_token_expires_at=datetime.now(UTC))
    from portal.flows import fetch

    fetch.enqueue_first(a, now=datetime.now(UTC))
    world.work(3)
    show(world)


def test_v2_revoked(world):
    a = connect(world, CECONY_V2)
    world.work()
    world.arm("revoke", "cecony")
    Authorization.objects.update(access_token_expires_at=datetime.now(UTC))
    from portal.flows import fetch

    fetch.enqueue_first(a, now=datetime.now(UTC))
    world.work(3)
    show(world)


def test_pge_revoked(world):
    a = connect(world, PGE)
    world.work()
    world.arm("revoke", "pge")
    from portal.flows import fetch

    fetch.enqueue_first(a, now=datetime.now(UTC))
    world.work(3)
    show(world)


def test_essex_revoked(world):
    a = connect(world, ESSEX)
    world.work()
    world.arm("revoke", "essex")
    Authorization.objects.update(access_token_expires_at=datetime.now(UTC))
    from portal.flows import fetch

    fetch.enqueue_first(a, now=datetime.now(UTC))
    world.work(3)
    show(world)


def test_solar(world):
    a = connect(world, replace(CECONY_V1, who="solar@example.com"))
    world.work()
    browser = world.signed_in()
    for point in a.subscription.usage_points.all():
        for period in ("month", "day", "year"):
            browser.get(f"{PORTAL}/usage/{point.public_id}?period={period}&date=2026-06-15")
            print(browser.text[:1800])
            print("-----")
