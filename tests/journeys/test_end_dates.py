"""A permission's end that the customer chose at the utility is on his dashboard."""

from datetime import UTC, date, datetime, timedelta

import pytest

from espi.models import Authorization, FetchJob
from portal.flows import fetch
from tests.journeys.conftest import PORTAL
from tests.journeys.customers import CECONY_V2, ESSEX, PGE, sign_in

LAST = date(datetime.now(UTC).year + 1, 6, 30)


def pge(browser, **form):
    sign_in(browser, PGE.who)
    browser.press("Share my data", terms="yes", **form)


def coned(browser, **form):
    sign_in(browser, CECONY_V2.who)
    browser.press("Authorize", **form)


def essex(browser, **form):
    account, amount, day = ESSEX.who.split("|")
    browser.press("Find my account", account=account, amount=amount, date=day)
    browser.press("Authorize", **form)


UNTIL = [
    (PGE, pge, {"period": "until", "until": str(LAST)}),
    (CECONY_V2, coned, {"duration": "fixed", "end": str(LAST)}),
    (ESSEX, essex, {"until": str(LAST)}),
]
ENDLESS = [(PGE, pge, {"period": "indefinite"}), (CECONY_V2, coned, {"duration": "until_revoked"})]


def connect(world, profile, approve, form):
    if profile.edition:
        world.offer(profile.slug, profile.edition)
    browser = world.signed_in()
    world.to_utility(browser, profile.slug)
    approve(browser, **form)
    assert browser.heading == "You are connected", browser.text
    return browser


@pytest.mark.parametrize(("profile", "approve", "form"), UNTIL, ids=[str(each[0]) for each in UNTIL])
def test_the_last_day_the_customer_chose_at_the_utility_is_shown(world, profile, approve, form):
    browser = connect(world, profile, approve, form)
    world.work()
    assert Authorization.objects.get().end_date == LAST
    assert f"Your permission ends June 30, {LAST.year}" in browser.get(f"{PORTAL}/dashboard").text
    assert FetchJob.objects.filter(kind="authorization").count() == 1


@pytest.mark.parametrize(("profile", "approve", "form"), ENDLESS, ids=[str(each[0]) for each in ENDLESS])
def test_a_permission_without_an_end_shows_none(world, profile, approve, form):
    browser = connect(world, profile, approve, form)
    world.work()
    assert Authorization.objects.get().end_date is None
    assert "Your permission ends When you stop it" in browser.get(f"{PORTAL}/dashboard").text


def test_an_authorization_that_is_not_readable_yet_is_asked_again_and_breaks_nothing(world):
    browser = connect(world, *UNTIL[0])
    job = FetchJob.objects.get(kind="authorization")
    FetchJob.objects.exclude(pk=job.pk).delete()
    address = job.url
    FetchJob.objects.update(url=f"{address}0")
    now = Authorization.objects.get().created_at
    fetch.run(job.pk, now=now + timedelta(seconds=1))
    job.refresh_from_db()
    assert (job.state, job.reason) == ("due", "The utility does not know this permission yet.")
    assert "Connected" in browser.get(f"{PORTAL}/dashboard").text
    assert "does not know" not in browser.text
    FetchJob.objects.update(url=address)
    fetch.run(job.pk, now=job.not_before)
    assert Authorization.objects.get().end_date == LAST


def test_one_that_stays_unreadable_for_its_first_hour_is_let_be(world):
    browser = connect(world, *UNTIL[0])
    job = FetchJob.objects.get(kind="authorization")
    FetchJob.objects.exclude(pk=job.pk).delete()
    FetchJob.objects.update(url=f"{job.url}0")
    job.refresh_from_db()
    while job.state == "due":
        fetch.run(job.pk, now=max(job.not_before, Authorization.objects.get().created_at))
        job.refresh_from_db()
    assert job.state == "failed"
    assert Authorization.objects.get().status == "active"
    page = browser.get(f"{PORTAL}/dashboard").text
    assert "could not fetch" not in page
    assert "Stopped at the utility" not in page
