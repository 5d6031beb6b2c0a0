"""How the site uses django-allauth: where people go after signing in, which letters are written, how second-step secrets rest."""

import hashlib
import logging
import re
import uuid
from typing import Any
from urllib.parse import unquote

from allauth.account import signals
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal import ratelimit
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.dispatch import receiver
from django.forms import ValidationError
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import get_language

from espi import fields
from portal.flows import mailing
from portal.letters import A_CODE_LASTS, KINDS
from portal.models import User

log = logging.getLogger(__name__)
LOGIN_WINDOW = 15 * 60  # seconds; ACCOUNT_RATE_LIMITS
# What django-allauth writes, and the letter of ours (portal.letters) that says it.
ALLAUTHS = {
    "account/email/account_already_exists": "already_registered",
    "account/email/email_changed": "email_changed",
    "account/email/email_confirm": "email_confirmed",
    "account/email/email_deleted": "address_removed",
    "account/email/email_confirmation": "confirm_address",
    "account/email/email_confirmation_signup": "confirm_address",
    "account/email/password_changed": "password_changed",
    "account/email/password_reset": "password_reset",
    "account/email/password_reset_code": "reset_code",
    "account/email/password_set": "password_set",
    "account/email/unknown_account": "unknown_account",
    "mfa/email/recovery_codes_generated": "recovery_codes",
    "mfa/email/totp_activated": "app_on",
    "mfa/email/totp_deactivated": "app_off",
    "mfa/email/webauthn_added": "passkey_added",
    "mfa/email/webauthn_removed": "passkey_removed",
    # of our own, with the time and place that django-allauth notes
    "api_token_created": "api_token_created",
}
UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")


def is_own_path(url: str) -> bool:
    """Whether `url` is a path of this site that a browser cannot read as another place.

    Refused: addresses with a scheme or host, `//`, backslashes, control characters and blanks, also percent-encoded.
    """
    plain = unquote(url)
    if not url.startswith("/") or UNSAFE.search(url) or UNSAFE.search(plain.partition("?")[0]):
        return False
    return not any(form.startswith("//") for form in (url, plain))


def page(name: str, otherwise: str = "/") -> str:
    """The address of a named page, or `otherwise` where this site has none by that name."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return otherwise


def after_sign_in(request: HttpRequest) -> str:
    """Where a journey that began at a utility goes on, or the dashboard."""
    return page("connect:arrival", page("dashboard")) if "utility_visit" in request.session else page("dashboard")


class ResetCodes:
    """Which code to set a new password still holds: the newest for its address, for as long as a code lasts.

    Kept in the cache that all processes share, as digests; an emptied cache ends every code.
    """

    @staticmethod
    def begin(email: str, code: str) -> None:
        """This code holds now, and the one before it no more."""
        ResetCodes.end(email)
        lasts = int(A_CODE_LASTS.total_seconds())
        cache.set(_digest("reset of", email.lower()), code_key := _digest("reset code", code), lasts)
        cache.set(code_key, True, lasts)

    @staticmethod
    def end(email: str) -> None:
        """No code sent to this address holds any more."""
        if before := cache.get(_digest("reset of", email.lower())):
            cache.delete(before)

    @staticmethod
    def holds(code: str) -> bool:
        """Whether it was not replaced, and its address is still the account's."""
        return bool(cache.get(_digest("reset code", code)))


def _digest(*parts: str) -> str:
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


class AccountAdapter(DefaultAccountAdapter):
    """Sign-in, registration and reset end where the visitor was going."""

    def is_safe_url(self, url: str) -> bool:
        """Only our own paths: `next` never leads elsewhere."""
        return is_own_path(url)

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Without `next`: the utility's visit, or the dashboard."""
        return after_sign_in(request)

    def get_signup_redirect_url(self, request: HttpRequest) -> str:
        """A new customer goes the same way."""
        return after_sign_in(request)

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """A new customer's pages and e-mails stay in the language he registered in."""
        user.language = get_language() or settings.LANGUAGE_CODE
        return super().save_user(request, user, form, commit)

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        """Back to the overview, where the message is shown."""
        return page("account")

    def post_login(self, request: HttpRequest, user: User, **hints: Any) -> HttpResponse:
        """Every way of signing in ends here. A utility's visit comes before `next`."""
        if "utility_visit" in request.session:
            hints["redirect_url"] = after_sign_in(request)
        return super().post_login(request, user, **hints)

    def logout(self, request: HttpRequest) -> None:
        """Leaving a half-finished sign-in or registration keeps the utility's visit; signing out does not."""
        visit = None if request.user.is_authenticated else request.session.get("utility_visit")
        super().logout(request)
        if visit:
            request.session["utility_visit"] = visit

    def send_account_already_exists_mail(self, email: str) -> None:
        """Takes as long as registering does: the clock must not tell who has an account."""
        User().set_password(email)
        super().send_account_already_exists_mail(email)

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Failures count per account *and* address: a stranger's guesses never lock the owner out."""
        return f"{super()._get_login_attempts_cache_key(request, **credentials)}:{ratelimit.get_ip(request)}"

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Too many failures: a page that says so and when to come back (429), not a form to try again."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            from portal.views.problems import too_many_requests

            log.warning("sign-in refused: too many failures")
            raise ImmediateHttpResponse(too_many_requests(request, retry_after=LOGIN_WINDOW)) from None

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """One security line without the address that was tried."""
        log.warning("sign-in failed")

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Write the letter down; a worker sends it. Nobody waits for the mail server, whether he is known here or not."""
        kind = KINDS[ALLAUTHS[template_prefix]]
        given = {"old": context.get("from_email"), "new": context.get("to_email"), **context}
        given |= {"when": timezone.now().isoformat(), "email": context.get("deleted_email", email)}
        if kind.id == "reset_code":
            ResetCodes.begin(email, context["code"])
        user = context.get("user") or User.objects.filter(email__iexact=email).first()
        language = mailing.language_of(user) if user else get_language()
        values = {name: given[name] for name in kind.takes}
        for address in {email, values.get("new", email)}:
            mailing.post(
                kind.id, str(uuid.uuid4()), now=timezone.now(), address=address, language=language or "", **values
            )


class MFAAdapter(DefaultMFAAdapter):
    """Secrets of authenticator apps and seeds of recovery codes rest encrypted, under the same keys as tokens."""

    def encrypt(self, text: str) -> str:
        """For the database."""
        return fields.encrypt(text)

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        """A first proposal: "Passkey 1"."""
        return f"Passkey {Authenticator.objects.filter(user=user, type=type).count() + 1}"

    def decrypt(self, encrypted_text: str) -> str:
        """From the database. Raises cryptography.fernet.InvalidToken under a wrong key."""
        return fields.decrypt(encrypted_text)


@transaction.atomic
def rotate_second_steps() -> int:
    """Bring the secrets that MFAAdapter encrypts under the newest key; returns how many rows hold one.

    Raises cryptography.fernet.InvalidToken, and changes nothing, when a secret opens under no key.
    """
    rows = Authenticator.objects.select_for_update().filter(type__in=("totp", "recovery_codes"))
    for row in rows:
        held = {name: row.data[name] for name in ("secret", "seed") if name in row.data}
        row.data |= {name: fields.encrypt(fields.decrypt(token)) for name, token in held.items()}
        row.save(update_fields=["data"])
    return len(rows)


@receiver(signals.email_changed)
def end_reset_codes(request: HttpRequest, user: User, from_email_address: Any, **kwargs: Any) -> None:
    """A code that went to the old address sets no password any more."""
    if from_email_address:
        ResetCodes.end(from_email_address.email)


@receiver(signals.email_changed)
@receiver(signals.password_reset)
def end_other_sessions(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Whoever else is signed in to the account has to sign in anew."""
    for session in UserSession.objects.filter(user=user).exclude(session_key=request.session.session_key or ""):
        session.end()
