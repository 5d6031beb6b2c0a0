"""Three addresses for machines that watch the site, answered before anything else looks at the request.

/healthz: this process answers. /readyz: it may be sent visitors, which needs PostgreSQL, with all migrations. The broker
is not asked: without it pages and notifications work, and what they leave to workers is found by the next sweep.
/metrics: figures for Prometheus, for whoever shows METRICS_TOKEN.
"""

from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from prometheus_client import CONTENT_TYPE_LATEST

from portal import metrics

GetResponse = Callable[[HttpRequest], HttpResponse]


class MigrationsMissing(RuntimeError):
    """The database is older than this program."""


def answer(get_response: GetResponse) -> GetResponse:
    """Middleware: such a request ends here. Probes come by address, so no host name is asked of them."""
    pages = {"/healthz": live, "/readyz": ready, "/metrics": figures}

    def middleware(request: HttpRequest) -> HttpResponse:
        page = pages.get(request.path_info)
        if page is None:
            return get_response(request)
        response = page(request)
        response["Cache-Control"] = "no-store"
        return response

    return middleware


def live(request: HttpRequest) -> HttpResponse:
    """200 as long as the process can answer at all."""
    return HttpResponse("ok\n", content_type="text/plain")


def ready(request: HttpRequest) -> HttpResponse:
    """200, or 503 with the reason in words."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        require_migrations()
    except (DatabaseError, InterfaceError):
        return HttpResponse("the database does not answer\n", status=503, content_type="text/plain")
    except MigrationsMissing:
        return HttpResponse("the database lacks migrations\n", status=503, content_type="text/plain")
    return HttpResponse("ready\n", content_type="text/plain")


@cache
def require_migrations() -> None:
    """Raises MigrationsMissing. Asked until it was once so: a database does not become older."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise MigrationsMissing


def figures(request: HttpRequest) -> HttpResponse:
    """The figures; 404, as for an address that does not exist, without the token."""
    shown = request.headers.get("Authorization", "")
    if not settings.METRICS_TOKEN or not constant_time_compare(shown, f"Bearer {settings.METRICS_TOKEN}"):
        return HttpResponse("not found\n", status=404, content_type="text/plain")
    return HttpResponse(metrics.exposition(), content_type=CONTENT_TYPE_LATEST)
