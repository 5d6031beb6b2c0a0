"""A bare Django view that keeps what it is sent in one INSERT, and does nothing else.

It writes a row of the same table as the notification endpoint, so that both pay for the same indexes.
"""

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone

from espi.models import Notification


def one_insert(request: HttpRequest, app_id: int) -> HttpResponse:
    """200, after the row is committed."""
    Notification.objects.create(application_information_id=app_id, received_at=timezone.now(), body=request.body)
    return HttpResponse()


urlpatterns = [path("bare/<int:app_id>", one_insert)]
