"""The portal's Django app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import trans_real


class PortalConfig(AppConfig):
    """Users, consents and the pages."""

    name = "portal"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """After `migrate` the groups of staff are what `portal.roles` says.

        Django and django-allauth have no catalogue of Canadian French: what ours leaves open is said in French.
        """
        from portal import roles

        post_migrate.connect(roles.settle, sender=self, dispatch_uid="portal.roles")
        trans_real.translation("fr-ca")._fallback = trans_real.translation("fr")  # type: ignore[attr-defined]
