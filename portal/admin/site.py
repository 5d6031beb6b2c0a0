"""The site itself: our own sign-in, and what other packages would show here that nobody should open."""

from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.views.generic import RedirectView
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule

from portal.views import problems


def staff_login(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """The site's own sign-in; whoever is signed in and no staff gets the 403 page, without a fault in the log."""
    if request.user.is_authenticated and not (request.user.is_staff and request.user.is_active):
        return problems.forbidden(request)
    return _secure_login(request, extra_context)


_secure_login = secure_admin_login(admin.site.login)
admin.site.login = staff_login  # type: ignore[method-assign]
admin.site.password_change = RedirectView.as_view(  # type: ignore[assignment,method-assign]
    pattern_name="account_change_password"
)
# django-allauth's own pages here would show session keys, and let staff confirm addresses and take second steps away.
# The settings say what runs when: the scheduler would run any task that somebody writes into its tables.
SCHEDULES = (PeriodicTask, ClockedSchedule, CrontabSchedule, IntervalSchedule, SolarSchedule)
for model in (EmailAddress, Authenticator, UserSession, Group, *SCHEDULES):
    if admin.site.is_registered(model):
        admin.site.unregister(model)
