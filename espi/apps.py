"""The standard: NAESB ESPI resources, their documents and their storage."""

from django.apps import AppConfig


class EspiConfig(AppConfig):
    """Knows no utility and no web page."""

    name = "espi"
    verbose_name = "ESPI resources"
    default_auto_field = "django.db.models.BigAutoField"
