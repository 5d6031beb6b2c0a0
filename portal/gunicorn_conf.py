"""gunicorn, here and in the container image. What differs between them (addresses, workers) is on the command line.

It keeps no access log of its own: `portal.request` writes one line per request, without query strings and secrets.
"""

worker_class = "portal.server.PatientWorker"  # gthread
threads = 4
timeout = 60
graceful_timeout = 8
keepalive = 5
