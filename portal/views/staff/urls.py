"""Addresses of the staff pages; they stand before the staff site's own."""

from django.urls import path

from portal.views.staff import work

urlpatterns = [
    path("health/", work.health, name="health"),
    path("work/<slug:slug>/", work.queue, name="queue"),
    path("work/<slug:slug>/act", work.act, name="act"),
]
