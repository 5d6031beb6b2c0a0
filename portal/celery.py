"""The Celery application. A message is only a wake-up that carries a row's id; the row is the truth."""

import os

from celery import Celery
from celery.signals import worker_ready
from kombu.transport.redis import Channel

from portal import heartbeats

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["portal"])
worker_ready.connect(heartbeats.keep_showing)
# What a worker had fetched and not begun is not given back: a lost wake-up costs a sweep. To give it back while the broker
# is away raises AttributeError (kombu 5.7.0, Channel.close), at which Celery ends the worker instead of connecting again.
Channel.do_restore = False
