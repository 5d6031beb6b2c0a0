"""The scheduler. Any number may run: one holds a lock of the database and schedules, the others stand by."""

import logging
import time
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError, InterfaceError
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from portal import heartbeats

log = logging.getLogger(__name__)

LOCK = 0x62656174  # "beat"
LOOK_AGAIN = 5.0  # seconds


class Scheduler(DatabaseScheduler):
    """The scheduler of the settings' table, as long as it holds the lock. PostgreSQL frees it when the process dies."""

    held_by: BaseDatabaseWrapper | None = None
    shown_at = 0.0

    def setup_schedule(self) -> None:
        """What never ran counts as run a day ago.

        Otherwise its time would begin anew with every start, and a scheduler that is restarted daily would never send
        what is due once a day.
        """
        super().setup_schedule()
        PeriodicTask.objects.filter(last_run_at=None).update(last_run_at=timezone.now() - timedelta(days=1))

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Seconds until it looks again."""
        if not self.is_in_charge():
            heartbeats.touch()
            return LOOK_AGAIN
        if time.monotonic() - self.shown_at >= heartbeats.EVERY:
            heartbeats.show("scheduler")
            self.shown_at = time.monotonic()
        return min(super().tick(*args, **kwargs), heartbeats.EVERY)

    def is_in_charge(self) -> bool:
        """Whether the lock is ours, on a connection that nothing else uses and nothing closes."""
        try:
            if self.held_by is not None:
                asked(self.held_by, "SELECT 1")
                return True
            candidate = connection.copy()
            if asked(candidate, f"SELECT pg_try_advisory_lock({LOCK})"):
                self.held_by = candidate
                log.info("this scheduler is in charge")
                return True
            candidate.close()
        except (DatabaseError, InterfaceError) as error:
            log.warning("the scheduler cannot reach the database: %s", type(error).__name__)
            self.held_by = None
        return False


def asked(wrapper: BaseDatabaseWrapper, question: str) -> Any:
    """The one value of an answer."""
    with wrapper.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]
