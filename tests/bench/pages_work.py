"""What the measured process does with the pages: a household moves in, and its customer opens each page, in turns."""

import time
from datetime import UTC, datetime, timedelta
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
from tests.portal.household import household

PLAIN = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}


def visit(days: int, repeats: int) -> Sample:
    """Milliseconds (median), statements and bytes of every page, by name. The last day with readings is yesterday."""
    today = timezone.now().date()
    user = User.objects.create_user("bench@example.com")
    points = household(user, today - timedelta(days=days), today)
    pages = addresses(user, points)
    with override_settings(STORAGES=PLAIN, ALLOWED_HOSTS=["*"], DEBUG=False), measuring() as sample:
        client = Client()
        client.force_login(user)
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
    meter = reverse("usage_point", args=[points[0].public_id])
    fixed = ["help", "start", "dashboard", "account", "language", "download", "upload", "api-tokens", "consents"]
    found = {name: reverse(name) for name in fixed}
    found |= {
        "choose utility": reverse("connect:choose-utility"),
        "choose data": reverse("connect:choose-data", args=["cecony"]),
        "receipt": reverse("receipt", args=[consent.public_id]),
        "stop": reverse("stop", args=[points[0].subscription.authorizations.get().public_id]),
        "result": reverse("connect:result", args=[consent.request.public_id]) if consent.request else "",
        "all meters": reverse("all-meters"),
        "bills": reverse("usage-bills", args=[points[0].public_id]),
        "patterns": reverse("usage-patterns", args=[points[0].public_id]),
    }
    return found | {f"usage, a {name}": f"{meter}?period={name}" for name in ("year", "month", "week", "day")}


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
    times: dict[str, list[float]] = {name: [] for name in pages}
    for _ in range(repeats):
        for name, address in pages.items():
            began = time.perf_counter()
            client.get(address)
            times[name].append(1000 * (time.perf_counter() - began))
    return {name: each | {"ms": median(times[name])} for name, each in told.items()}


def _counted(client: Client, address: str) -> dict[str, int]:
    client.get(address)
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return {"statements": len(queries), "bytes": len(answer.content)}
