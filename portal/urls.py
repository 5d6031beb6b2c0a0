"""Every address of the site. Machine-facing ones keep the standard's shape and stay for good."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("account/", include("allauth.urls")),
    path("staff/", admin.site.urls),
]
