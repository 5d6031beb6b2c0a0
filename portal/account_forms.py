"""allauth's forms in our words: a label above each field, no placeholder that vanishes while one types."""

from typing import Any

from allauth.account import forms as account
from allauth.mfa.base import forms as mfa
from allauth.mfa.totp import forms as totp
from allauth.mfa.webauthn import forms as webauthn
from django import forms
from django.utils.translation import gettext_lazy as _

from portal.accounts import ResetCodes

LABELS = {
    "login": _("E-mail address"),
    "email": _("E-mail address"),
    "password": _("Password"),
    "oldpassword": _("Current password"),
    "password1": _("New password"),
    "password2": _("New password again"),
    "code": _("Code"),
}
CHOOSING_HINT = _("At least 8 characters. Longer is better than complicated: three or four words do well.")


class Plain:
    """Labels from LABELS, hints in plain words. Mixed into a form before allauth's own class."""

    fields: dict[str, Any]
    labels: dict[str, Any] = {}
    hints: dict[str, Any] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        words = {**LABELS, **self.labels}
        for name, field in self.fields.items():
            field.widget.attrs.pop("placeholder", None)
            field.label = words.get(name, field.label)
            if name in self.hints:
                field.help_text = self.hints[name]
            if name == "code":
                field.widget.attrs.update(
                    {"class": "code-input", "autocapitalize": "characters", "spellcheck": "false"}
                )


class LoginForm(Plain, account.LoginForm):
    """Sign in by e-mail and password; the page itself carries the link to the reset."""

    hints = {"password": ""}


class SignupForm(Plain, account.SignupForm):
    """Register: an address and a password."""

    labels = {"password1": _("Choose a password")}
    hints = {"email": _("We send a code to it, and write to you when something needs you."), "password1": CHOOSING_HINT}


class ChangePasswordForm(Plain, account.ChangePasswordForm):
    """The current password and a new one, twice."""

    hints = {"oldpassword": "", "password1": CHOOSING_HINT}


class ResetPasswordForm(Plain, account.ResetPasswordForm):
    """Ask for a code to set a new password."""


class ResetPasswordKeyForm(Plain, account.ResetPasswordKeyForm):
    """The new password after a reset, twice."""

    hints = {"password1": CHOOSING_HINT}


class ReauthenticateForm(Plain, account.ReauthenticateForm):
    """The password once more, before something sensitive."""

    hints = {"password": ""}


class ConfirmEmailForm(Plain, account.ConfirmEmailVerificationCodeForm):
    """The code sent to a new address."""


class ConfirmPasswordResetForm(Plain, account.ConfirmPasswordResetCodeForm):
    """The code sent for a reset: the newest one, to an address that is still the account's."""

    def clean_code(self) -> str:
        """Raises ValidationError for a wrong code, and for one that holds no more."""
        code: str = super().clean_code()
        if not ResetCodes.holds(self.expected_code):
            raise forms.ValidationError(_("This code no longer holds. Ask for a new one."))
        return code


class ChangeEmailForm(Plain, account.ChangeEmailForm):
    """Another address while registering."""

    labels = {"email": _("Another e-mail address")}


class AddEmailForm(Plain, account.AddEmailForm):
    """The address to change to."""

    labels = {"email": _("New e-mail address")}
    hints = {"email": _("We send a code to it. Your present address stays until you have entered the code.")}


class AuthenticateForm(Plain, mfa.AuthenticateForm):
    """Second step of signing in."""

    hints = {"code": _("Six digits from your authenticator app, or one of your recovery codes.")}


class ReauthenticateByAppForm(Plain, mfa.ReauthenticateForm):
    """The second step once more, before something sensitive."""

    hints = {"code": _("Six digits from your authenticator app, or one of your recovery codes.")}


class ActivateTOTPForm(Plain, totp.ActivateTOTPForm):
    """The first code of a newly set up authenticator app."""

    hints = {"code": _("The six digits that the app shows now.")}


class AddPasskeyForm(Plain, webauthn.AddWebAuthnForm):
    """A name for a passkey, and what it may do."""

    labels = {"name": _("Name"), "passwordless": _("Sign in with it alone, without my password")}
    hints = {
        "name": _("What tells your devices apart, for example “phone”."),
        "passwordless": _("Your device then asks for your fingerprint, your face or its own code each time."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["passwordless"].initial = True


class RenamePasskeyForm(Plain, webauthn.EditWebAuthnForm):
    """Another name for a passkey."""

    labels = {"name": _("Name")}
