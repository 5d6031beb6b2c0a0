"""The portal's Django app."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """Users, consents and the pages."""

    name = "portal"
    default_auto_field = "django.db.models.BigAutoField"
