"""Each utility: who it is and which dialect of the standard it speaks."""

from django.apps import AppConfig


class UtilitiesConfig(AppConfig):
    """Has no tables; brings the system checks."""

    name = "utilities"

    def ready(self) -> None:
        """Register the checks."""
        from utilities import checks  # noqa: F401
