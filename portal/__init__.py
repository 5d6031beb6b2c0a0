"""The Django site: the customer's journey, the staff site, and the work behind both."""

from portal.celery import app as celery_app

__all__ = ["celery_app"]
