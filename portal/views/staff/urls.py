"""Addresses of the staff pages; they stand before the staff site's own."""

from django.urls import path

from portal.views.staff import connections, evidence, meters, work

urlpatterns = [
    path("connections/", connections.search, name="connections"),
    path("connections/<uuid:public_id>/", connections.connection, name="connection"),
    path("ending/", work.ending, name="ending"),
    path("evidence/", evidence.export, name="evidence"),
    path("meters/<uuid:public_id>/", meters.meter, name="meter"),
    path("reason/<int:pk>/", connections.reason, name="reason"),
    path("health/", work.health, name="health"),
    path("work/<slug:slug>/", work.queue, name="queue"),
    path("work/<slug:slug>/act", work.act, name="act"),
]
