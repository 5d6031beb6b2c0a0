"""What every template may use."""

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, str]:
    """The site's own name and contact."""
    return {"portal_name": settings.PORTAL_NAME, "support_email": settings.SUPPORT_EMAIL}
