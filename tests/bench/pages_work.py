"""What the measured process does with the pages: a household moves in, and its customer opens each page, in turns."""

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.urls import reverse
from django.utils import timezone

from espi.models import ApplicationInformation, Authorization, AuthorizationRequest, UsagePoint
from portal.flows import consents
from portal.models import Consent, FetchPlan, User
from tests.bench.measure import Sample, measuring
from tests.bench.stored import session
from tests.portal.household import household
from tests.portal.people import person, sign_in

PLAIN = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}


def visit(days: int, repeats: int) -> Sample:
    """Milliseconds (medians), statements and bytes of every page, by name. The last day with readings is yesterday.

    `cpu`: those in which a processor worked for it, ours or that of the database session; `ms`: those that passed.
    """
    today = timezone.now().date()
    user = person()
    points = household(user, today - timedelta(days=days), today)
    pages = addresses(user, points)
    with connection.cursor() as cursor:  # as it is an hour after a load
        cursor.execute("ANALYZE")
    with override_settings(STORAGES=PLAIN, ALLOWED_HOSTS=["*"], DEBUG=False), measuring() as sample:
        client = Client()
        sign_in(client)
        pages |= journey(client, pages["choose data"])
        sample.told = {"pages": _measured(client, pages, repeats)}
    return sample


def addresses(user: User, points: list[UsagePoint]) -> dict[str, str]:
    """The customer's pages, by what people call them. The bare page is the first."""
    now = datetime.now(UTC)
    for authorization in Authorization.objects.filter(retail_customer=user):
        FetchPlan.objects.create(
            application_information=authorization.application_information,
            authorization=authorization,
            part="usage",
            next_at=now + timedelta(hours=5),
        )
    ApplicationInformation.objects.update(is_offered=True)
    consent = _consent(user)
    held = points[0].subscription.authorizations.get()
    meter = reverse("usage_point", args=[points[0].public_id])
    fixed = [
        "help",
        "start",
        "dashboard",
        "account",
        "language",
        "download",
        "upload",
        "api-tokens",
        "consents",
        "letters",
    ]
    fixed += ["how-to-stop", "privacy", "api-description", "account_email", "account_change_password"]
    fixed += ["usersessions_list", "mfa_index", "delete-account"]
    found = {name: reverse(name) for name in fixed}
    found |= {
        "choose utility": reverse("connect:choose-utility"),
        "choose data": reverse("connect:choose-data", args=["cecony"]),
        "receipt": reverse("receipt", args=[consent.public_id]),
        "renew": reverse("renew", args=[held.public_id]),
        "stop": reverse("stop", args=[held.public_id]),
        "result": reverse("connect:result", args=[consent.request.public_id]) if consent.request else "",
        "bills": reverse("usage-bills", args=[points[0].public_id]),
    }
    for name in ("year", "month", "week", "day"):
        found[f"usage, a {name}"] = f"{meter}?period={name}"
    for name in ("year", "month", "week"):
        found[f"all meters, a {name}"] = f"{reverse('all-meters')}?period={name}"
        found[f"habits, a {name}"] = f"{meter}/patterns?period={name}"
    return found


def journey(client: Client, choose_data: str) -> dict[str, str]:
    """The pages between choosing and leaving, of two journeys on their way."""
    check, other = (client.post(choose_data, {"kinds": ["usage"]})["Location"] for _ in range(2))
    shown = re.search(r'name="shown" value="([^"]+)"', client.get(other).content.decode())
    assert shown is not None, other
    return {"check": check, "leave": client.post(other, {"shown": shown[1]})["Location"]}


def _consent(user: User) -> Consent:
    """That of the first connection, as agreeing makes it."""
    held = Authorization.objects.filter(retail_customer=user).earliest("pk")
    now = timezone.now()
    journey = AuthorizationRequest.objects.create(
        retail_customer=user,
        application_information=held.application_information,
        authorization=held,
        profile_version="x",
        browser_hash="x",
        data_requested=["usage", "billing"],
        status=AuthorizationRequest.Status.CONNECTED,
        expires_at=now + timedelta(hours=1),
    )
    consent = consents.record_consent(journey, language="en", now=now)
    Consent.objects.filter(pk=consent.pk).update(authorization=held)
    return consent


def _measured(client: Client, pages: dict[str, str], repeats: int) -> dict[str, dict[str, Any]]:
    """Each page once to warm up and to count, then in turns."""
    told = {name: _counted(client, address) for name, address in pages.items()}
    server = session()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in pages}
    for _ in range(repeats):
        for name, address in pages.items():
            began, spent = time.perf_counter(), _spent(server)
            client.get(address)
            times[name].append((1000 * (time.perf_counter() - began), 1000 * (_spent(server) - spent)))
    medians = {name: tuple(map(median, zip(*each, strict=True))) for name, each in times.items()}
    return {name: each | dict(zip(("ms", "cpu"), medians[name], strict=True)) for name, each in told.items()}


def _spent(server: int) -> float:
    """Seconds in which a processor worked: for us, and for that process (nanoseconds in its first number)."""
    return time.process_time() + int(Path(f"/proc/{server}/schedstat").read_text().split()[0]) / 1e9


def _counted(client: Client, address: str) -> dict[str, int]:
    client.get(address)
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return {"statements": len(queries), "bytes": len(answer.content)}
