"""What all staff pages share: who may open them, and the staff site's frame around them."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from portal.flows.staffing import work
from portal.models import User

View = Callable[..., HttpResponseBase]


def staff_page(*permissions: str) -> Callable[[View], View]:
    """A page for staff who hold one of these permissions; everybody else is refused. Never kept by a browser."""

    def wrap(view: View) -> View:
        @wraps(view)
        def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not any(request.user.has_perm(each) for each in permissions):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return cast(View, admin.site.admin_view(page))

    return wrap


def member(request: HttpRequest) -> User:
    """Who is signed in."""
    return cast(User, request.user)


def show(request: HttpRequest, template: str, title: str, **context: Any) -> HttpResponse:
    """A page in the staff site's frame."""
    return render(request, f"staff/{template}", {**admin.site.each_context(request), "title": title, **context})


def number(text: str | None) -> int | None:
    """A row's number out of an address; None for anything else."""
    return int(text) if text and text.isdecimal() and len(text) <= 18 else None


def tell_acted(request: HttpRequest, act: work.Act, rows: Sequence[Model]) -> None:
    """Do it with each of these rows, and say on the next page how many it was done with."""
    staff = member(request)
    acted = sum(work.act(act, row, staff=staff, now=timezone.now()) for row in rows)
    messages.success(request, f"{act.done} Rows: {acted}.")
    if left := len(rows) - acted:
        messages.warning(request, f"{act.undone} Rows left as they are: {left}.")


def reason_address(customer_pk: int, then: str) -> str:
    """Of the page that asks why somebody looks, and leads to `then`."""
    return reverse("staff:reason", args=[customer_pk], query={"next": then})
