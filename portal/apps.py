"""The portal's Django app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class PortalConfig(AppConfig):
    """Users, consents and the pages."""

    name = "portal"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """After `migrate` the groups of staff are what `portal.roles` says."""
        from portal import roles

        post_migrate.connect(roles.settle, sender=self, dispatch_uid="portal.roles")
