"""gunicorn, here and in the container image. What differs between them (addresses, workers) is on the command line."""

import re

from gunicorn.glogging import Logger

worker_class = "gthread"
threads = 4
timeout = 60
graceful_timeout = 8
keepalive = 5
accesslog = "-"
# Path only: a query string carries account numbers, and at the callback the code and the state.
access_log_format = "%(m)s %(U)s %(s)s %(B)sB %(M)sms"

# The last part of these paths is a secret: the registered notify addresses, and links sent by e-mail.
SECRET_PATH = re.compile(r"^(/espi/1_1/(?:Notification|Webhook)/[^/]*/|/account/.*/key/)[^ ]+")


class PathLogger(Logger):
    """The access log with the secret parts of paths taken out."""

    def atoms(self, resp, req, environ, request_time):  # noqa: ANN001, ANN201
        found = super().atoms(resp, req, environ, request_time)
        return found | {"U": SECRET_PATH.sub(r"\1…", found["U"] or "")}


logger_class = PathLogger
