"""People, and what staff may do for them."""

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from portal.admin.base import StaffModelAdmin
from portal.flows import looking, mailing
from portal.flows.staffing.masking import masked_email
from portal.models import StaffAccess, User
from portal.views.staff.pages import member

RIGHTS = ("is_active", "is_staff", "is_superuser")


@admin.register(User)
class UserAdmin(StaffModelAdmin):
    """People. Staff cannot set a password; they can ask somebody to set a new one. Only superusers change rights."""

    owner = "self"
    fields = ("email", "is_active", "is_staff", "is_superuser", "date_joined", "last_login")
    list_display = ("masked_address", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email",)
    ordering = ("email",)
    actions = ("ask_for_new_password",)

    @admin.display(description="E-mail address", ordering="email")
    def masked_address(self, user: User) -> str:
        """Enough to tell people apart; in full on the person's own page."""
        return masked_email(user.email)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Addresses change only by their owner; rights only by a superuser."""
        fixed = ("email", "date_joined", "last_login")
        return fixed if request.user.is_superuser else (*fixed, *RIGHTS)

    def save_model(self, request: HttpRequest, obj: User, form: forms.ModelForm, change: bool) -> None:
        """Each right that changed is a line of the audit trail."""
        super().save_model(request, obj, form, change)
        rights = [f"{name} {'on' if getattr(obj, name) else 'off'}" for name in RIGHTS if name in form.changed_data]
        if rights:
            what = f"portal.user {obj.pk}: {', '.join(rights)}"
            looking.note(StaffAccess.Kind.ROLE, what, staff=member(request), customer=obj, now=timezone.now())

    def has_add_permission(self, request: HttpRequest) -> bool:
        """People register themselves."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """An account is closed by switching it off."""
        return False

    @admin.action(description="Ask by e-mail to set a new password", permissions=["view"])
    def ask_for_new_password(self, request: HttpRequest, users: QuerySet[User]) -> None:
        """A message with the address of the reset page, once an hour. The code is sent only when its owner asks for it there."""
        now = timezone.now()
        for user in users:
            mailing.post("please_reset", f"{user.pk} {now:%Y-%m-%d %H}", now=now, user=user)
            what = f"portal.user {user.pk}: asked to set a new password"
            looking.note(StaffAccess.Kind.ACT, what, staff=member(request), customer=user, now=now)
        self.message_user(request, f"Sent to {users.count()} address(es).")
