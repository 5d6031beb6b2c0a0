"""Everything that is kept of a customer, as one ZIP: readings, bills, Green Button XML, customer data, consents, account.

It is written into a file piece by piece: a few thousand readings are held at a time.
"""

import json
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, BinaryIO

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.conf import settings
from django.urls import reverse
from django.utils import translation
from django.utils.text import slugify
from django.utils.translation import gettext as _

from espi.export import EVERY_DAY, Days, Meter, feed, tables
from espi.models import Authorization, Subscription
from espi.models.customer import CustomerResource
from portal.flows import exports, mailing, overview, receipts
from portal.models import User


def name(now: datetime) -> str:
    """Of the file: letters, digits and hyphens of our own."""
    return f"{slugify(settings.PORTAL_NAME)}-everything-{now:%Y-%m-%d}.zip"


def write(user: User, file: BinaryIO, *, now: datetime) -> None:
    """Write the ZIP. Raises readings.Rewritten if data changed under it so often that no state of them could be read."""
    with zipfile.ZipFile(file, "w", compression=zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path, pieces in members(user, now):
            with archive.open(path, "w", force_zip64=True) as member:
                for piece in pieces:
                    member.write(piece)


def members(user: User, now: datetime) -> Iterator[tuple[str, Iterable[bytes]]]:
    """Each file in it: its path and its content in pieces."""
    yield "README.txt", [_readme(user).encode()]
    yield "account.json", [_json(account(user))]
    yield "consents.json", [_json(consents(user))]
    yield "customer-data.json", [_json(customer_data(user))]
    for receipt in receipts.all_of(user):
        yield f"receipts/{receipt.consent.reference}.txt", [_receipt(user, receipt).encode()]
    yield from _energy(user, EVERY_DAY, now)


def _energy(user: User, days: Days, now: datetime) -> Iterator[tuple[str, Iterable[bytes]]]:
    meters = [Meter(each.meter.usage_point, each.name) for each in exports.choices(user)]
    if not meters:
        return
    for number, meter in enumerate(meters, start=1):
        yield f"readings/{number:02}-{slugify(meter.name)}.csv", tables.of_readings([meter], days)
    yield "bills.csv", tables.of_bills(meters, days)
    base = f"{settings.PORTAL_BASE_URL.rstrip('/')}{exports.RESOURCES}"
    title = f"{settings.PORTAL_NAME}: usage and bills"
    yield "green-button.xml", feed.of(meters, days, base=base, title=title, now=now)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str).encode()


def _readme(user: User) -> str:
    with translation.override(mailing.language_of(user)):
        lines = [
            _("This is everything that %(portal)s keeps of you.") % {"portal": settings.PORTAL_NAME},
            "",
            _("readings: each meter's readings as a table, one line for each reading"),
            _("bills.csv: the bills as a table"),
            _("green-button.xml: readings and bills for other energy programs"),
            _("customer-data.json: what your utilities told about you and your accounts"),
            _("consents.json and receipts: what you agreed to, and what happened since"),
            _("account.json: your account, your connections, and the e-mails we sent"),
            "",
            _("Passwords and keys are not in it: we keep no password as you typed it."),
            "",
        ]
        return "\n".join(lines)


def _receipt(user: User, receipt: receipts.Receipt) -> str:
    base = settings.PORTAL_BASE_URL.rstrip("/")
    with translation.override(mailing.language_of(user)):
        return receipts.as_text(receipt, review=base + reverse("consents"), stop="")


def account(user: User) -> dict[str, Any]:
    """The account itself, without secrets. Instants are ISO 8601, UTC."""
    sessions = UserSession.objects.filter(user=user).values("created_at", "last_seen_at", "ip", "user_agent")
    steps = Authenticator.objects.filter(user=user).values("type", "created_at", "last_used_at")
    tokens = user.api_tokens.values("name", "prefix", "created_at", "expires_at", "last_used_at")
    letters = user.letters.order_by("pk").values("kind", "language", "state", "created_at", "sent_at")
    return {
        "email": user.email,
        "email_addresses": list(EmailAddress.objects.filter(user=user).values("email", "verified", "primary")),
        "language": mailing.language_of(user),
        "registered_at": user.date_joined,
        "last_sign_in_at": user.last_login,
        "letters_declined": user.letters_declined,
        "second_steps": list(steps),
        "signed_in_browsers": list(sessions),
        "api_tokens": list(tokens),
        "letters": list(letters),
        "connections": connections(user),
        "uploads_and_sources": [overview.name_of(each) for each in Subscription.objects.filter(retail_customer=user)],
    }


def connections(user: User) -> list[dict[str, Any]]:
    """Each authorization, without tokens, its account masked."""
    rows = Authorization.objects.filter(retail_customer=user).select_related("application_information").order_by("pk")
    return [
        {
            "utility": row.application_information.utility,
            "environment": row.application_information.environment,
            "account": row.account_hint,
            "state": row.status,
            "reason": row.status_reason,
            "data_requested": row.data_requested,
            "data_granted": row.data_granted,
            "scope_granted": row.scope_granted,
            "start_date": row.start_date,
            "end_date": row.end_date,
            "connected_at": row.created_at,
            "ended_at": row.ended_at,
        }
        for row in rows
    ]


def consents(user: User) -> list[dict[str, Any]]:
    """Each consent in the words that were shown, and what happened to it."""
    rows = user.consents.prefetch_related("events").order_by("agreed_at")
    return [
        {
            "reference": row.reference,
            "utility": row.utility,
            "environment": row.environment,
            "account": row.account_hint,
            "text_version": row.text_version,
            "language": row.language,
            "statement": row.statement.split("\n"),
            "shown": row.shown,
            "starts_on": row.starts_on,
            "ends_on": row.ends_on,
            "agreed_at": row.agreed_at,
            "events": [
                {"at": event.at, "kind": event.kind, "words": event.words, "text_version": event.text_version}
                for event in row.events.all()
            ],
        }
        for row in rows
    ]


def customer_data(user: User) -> dict[str, list[Any]]:
    """What utilities told of the customer (ESPI's Retail Customer schema), each element as it was sent, by kind."""
    kinds = [model for model in apps.get_app_config("espi").get_models() if issubclass(model, CustomerResource)]
    return {
        kind.__name__: [row.said for row in kind._default_manager.filter(subscription__retail_customer=user)]
        for kind in kinds
    }
