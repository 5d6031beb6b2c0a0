"""Who is alive: every worker, and the scheduler in charge, writes down a few times a minute that it still is."""

import logging
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

log = logging.getLogger(__name__)

EVERY = 15.0  # seconds
FORGOTTEN_AFTER = timedelta(days=1)


def show(name: str) -> None:
    """Write down that `name` is alive. A database that is away is no reason to die."""
    from portal.models import Heartbeat  # the models are not ready while Celery configures itself

    now = timezone.now()
    try:
        Heartbeat.objects.bulk_create(
            [Heartbeat(name=name, at=now)], update_conflicts=True, unique_fields=["name"], update_fields=["at"]
        )
        Heartbeat.objects.filter(at__lt=now - FORGOTTEN_AFTER).delete()
    except (DatabaseError, InterfaceError) as error:
        log.warning("no heartbeat: %s", type(error).__name__)
    else:
        touch()
    finally:
        connection.close()


def touch() -> None:
    """For whoever watches this one process by HEARTBEAT_FILE (docs/deploy.md)."""
    if settings.HEARTBEAT_FILE:
        Path(settings.HEARTBEAT_FILE).touch()


def keep_showing(sender: Any, **kwargs: Any) -> None:
    """Show a Celery worker's heartbeat from its main process, in a thread of its own."""
    name = f"worker {sender.hostname}"
    over = threading.Event()

    def show_until_over() -> None:
        show(name)
        while not over.wait(EVERY):
            show(name)

    threading.Thread(target=show_until_over, name="heartbeat", daemon=True).start()
