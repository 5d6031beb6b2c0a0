"""Probing: a utility that did not accept our credentials is asked for a token, once a minute, until it gives one."""

import logging
from datetime import datetime

from espi.models import ApplicationInformation
from espi.session import NeedsAttention, TryLater
from portal.flows import circuits, tokens
from portal.models import Circuit

log = logging.getLogger(__name__)


def probe(application_information_id: int, *, now: datetime) -> bool:
    """Whether our credentials are accepted; if they are, the work goes on. Only where they were not."""
    stopped = {"circuit__opened_at__isnull": False, "circuit__cause": Circuit.Cause.CREDENTIALS}
    app = ApplicationInformation.objects.filter(pk=application_information_id, **stopped).first()
    if app is None:
        return False
    try:
        tokens.renewed_client(app, now=now, rejected=app.client_access_token or "", is_urgent=True)
    except (TryLater, NeedsAttention) as error:
        log.info("credentials not accepted yet: registration=%s cause=%s", app, type(error).__name__)
        return False
    circuits.mended(app, now=now)
    return True
