"""Wake-ups: Celery messages that carry ids. The row is the truth; losing a message costs a sweep.

Who asks for work (a web request, above all) never waits for the broker: the message is handed to a thread of the process.
The sweep, which must know whether the broker takes its messages, sends them itself.
"""

import logging
import os
import queue as queues
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from celery import current_app

from espi.models import FetchJob

log = logging.getLogger(__name__)

RUN_JOBS = "portal.run_fetch_jobs"
PROBE = "portal.probe_credentials"
EXPIRES_AFTER = 120  # seconds: by then a sweep has found the row
# The queues (settings.CELERY_TASK_QUEUES): what a person waits for stands behind no download, and no download behind
# what nobody waits for.
INTERACTIVE, DOWNLOADS, HOUSEKEEPING = "interactive", "downloads", "housekeeping"


def queue_of(priority: int) -> str:
    """Which queue a job of this priority is woken up through."""
    if priority <= FetchJob.Priority.FIRST_DATA:
        return INTERACTIVE
    return DOWNLOADS if priority < FetchJob.Priority.UPKEEP else HOUSEKEEPING


def wake(job_ids: Sequence[int], *, queue: str = DOWNLOADS, countdown: float = 0, expires: float = 0) -> bool:
    """Wake a worker for these jobs; whether the broker took it."""
    return publish(RUN_JOBS, queue=queue, countdown=countdown, expires=expires, job_ids=list(job_ids))


def publish(task: str, *, queue: str = INTERACTIVE, countdown: float = 0, expires: float = 0, **kwargs: Any) -> bool:
    """Send a wake-up; whether the broker took it. It is never waited for longer than its socket's time-out."""
    until = countdown + (expires or EXPIRES_AFTER)
    try:
        current_app.send_task(task, kwargs=kwargs, queue=queue, countdown=countdown or None, expires=until, retry=False)
    except Exception as error:  # whatever is wrong with the broker, the row is safe
        log.warning("wake-up not sent: task=%s cause=%s", task, type(error).__name__)
        return False
    return True


# --- For those who must not wait --------------------------------------------------------------------------------------

MOST_WAITING = 1000  # wake-ups in a process; what is more is left to the sweep


class Outbox:
    """Wake-ups that a thread of this process sends. What the broker does not take at once, the sweep sends again."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Empty, without a thread: as in a new process."""
        self.lock = threading.Lock()
        self.waiting: queues.Queue[tuple[str, dict[str, Any]]] = queues.Queue(MOST_WAITING)
        self.thread: threading.Thread | None = None

    def put(self, task: str, **message: Any) -> None:
        """Returns at once, whatever the broker does."""
        with suppress(queues.Full):
            self.waiting.put_nowait((task, message))
        with self.lock:
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self._send, name="wake-ups", daemon=True)
                self.thread.start()

    def _send(self) -> None:
        while True:
            task, message = self.waiting.get()
            if not publish(task, **message):
                self._forget()
            self.waiting.task_done()

    def _forget(self) -> None:
        """While the broker is away nothing piles up that it would be given, out of date, when it is back."""
        with suppress(queues.Empty):
            while True:
                self.waiting.get_nowait()
                self.waiting.task_done()


outbox = Outbox()
os.register_at_fork(after_in_child=outbox.begin)  # a thread does not live on in a child


def wake_soon(job_ids: Sequence[int], *, queue: str = DOWNLOADS, countdown: float = 0) -> None:
    """Wake a worker for these jobs without waiting for the broker."""
    outbox.put(RUN_JOBS, queue=queue, countdown=countdown, job_ids=list(job_ids))
