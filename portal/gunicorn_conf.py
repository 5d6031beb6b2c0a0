"""gunicorn, here and in the container image. What differs between them (addresses, workers) is on the command line.

It keeps no access log of its own: `portal.request` writes one line per request, without query strings and secrets.
"""

import os
from typing import Any

from prometheus_client import multiprocess

worker_class = "portal.server.PatientWorker"  # gthread
preload_app = True  # it listens only once everything is loaded, so no visitor waits at a server that is starting
threads = 4
timeout = 60
graceful_timeout = 8
keepalive = 5


def child_exit(server: Any, worker: Any) -> None:
    """Its counts of requests stay, its gauges go."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        multiprocess.mark_process_dead(worker.pid)
