"""People for tests of accounts: made, signed in, and their mail read."""

import base64
import hmac
import re
import struct
import time

from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core import mail
from django.test import Client
from django.utils import timezone

from portal.flows import mailing
from portal.models import User

PASSWORD = "three quiet words"


def person(email="ann@example.com", **rights) -> User:
    """Somebody with a confirmed address and PASSWORD."""
    user = User.objects.create_user(email, PASSWORD, **rights)
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    return user


def staff(email="staff@example.com", *, with_totp=True, **rights) -> User:
    """A superuser, unless told otherwise, with an authenticator app."""
    user = person(email, is_staff=True, is_superuser=rights.pop("is_superuser", True), **rights)
    if with_totp:
        user.totp_secret = generate_totp_secret()
        TOTP.activate(user, user.totp_secret)
    return user


def totp_code(secret, at=None):
    """RFC 6238, six digits, SHA-1, 30 seconds; computed here on its own."""
    counter = struct.pack(">Q", int(at or time.time()) // 30)
    digest = hmac.new(base64.b32decode(secret), counter, "sha1").digest()
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


def sign_in(client: Client, email="ann@example.com", password=PASSWORD, **more):
    """Through the page, as a person does."""
    return client.post("/account/login/", {"login": email, "password": password, **more})


def sign_in_there(page, base, to, user=None):
    """In a window of a browser, as a person does, Ann unless told otherwise; until the page he is led to is open."""
    page.goto(f"{base}/account/login/?next={to}")
    page.fill("[name=login]", user.email if user else "ann@example.com")
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    if user and user.is_staff:
        page.get_by_label("Code").fill(totp_code(user.totp_secret))
        page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{base}{to}")


def mailbox():
    """Every message that was sent, after whatever waits to be sent has been."""
    mailing.send_due(timezone.now())
    return mail.outbox


def mailed_code():
    """The code in the newest message."""
    return re.findall(r"^    (\S+)$", mailbox()[-1].body, re.M)[-1]


def remember_visit(client: Client, value="c0ffee"):
    """As if this browser had come from a utility."""
    session = client.session
    session["utility_visit"] = value
    session.save()
