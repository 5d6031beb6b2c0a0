"""The staff site's menu: our own pages first, then the tables; to each person only what his role opens."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

from portal.roles import LOOK

PAGES = (
    ("Health", "staff:health", (), "portal.view_heartbeat"),
    ("Work", "staff:queue", ("failed",), "espi.view_fetchjob"),
    ("What ends soon", "staff:ending", (), "portal.view_heartbeat"),
    ("Connections", "staff:connections", (), f"portal.{LOOK}"),
    ("Evidence for a review", "staff:evidence", (), "portal.view_staffaccess"),
)


def stylesheet(request: HttpRequest) -> str:
    """Of our own pages."""
    return static("portal/staff.css")


def groups(request: HttpRequest) -> list[dict[str, Any]]:
    """As the theme wants it: groups with a title, each with items that have a title and a link."""
    ours = [
        {"title": title, "link": reverse(name, args=args)}
        for title, name, args, permission in PAGES
        if request.user.has_perm(permission)
    ]
    tables = [
        {
            "title": app["name"],
            "separator": True,
            "collapsible": True,
            "items": [{"title": str(model["name"]), "link": model["admin_url"]} for model in app["models"]],
        }
        for app in admin.site.get_app_list(request)
    ]
    return [{"title": "How it stands", "items": ours}, *tables]
