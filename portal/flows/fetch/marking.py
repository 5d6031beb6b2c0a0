"""Marking: which due jobs of a registration a sweep wakes, in whose turn, and that it woke them."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from espi.models import ApplicationInformation, FetchJob
from portal.flows import budgets, tokens

WOKEN_FOR = timedelta(seconds=2.5 * settings.SWEEP_SECONDS)

Job = tuple[int, int]  # its id and its priority

# Few rows are open, and of those few are due: what is due is found in a small index (FetchJob.Meta). The rows are locked,
# so they are marked where they stand (ctid), without looking for their ids among all jobs. Who was turned away by a used-up
# budget keeps his place: it is the age of the job that counts, not when its wait is over.
DUE = """
    WITH chosen AS (
        SELECT ctid FROM espi_fetchjob AS job
        WHERE application_information_id = %(app)s AND state IN ('due', 'awaiting_notification') AND not_before <= %(now)s
            AND (woken_at IS NULL OR woken_at <= %(lost)s)
            AND {of_this_kind} AND {whose_turn_it_is}
        ORDER BY {order} LIMIT %(most)s
        FOR UPDATE SKIP LOCKED
    )
    UPDATE espi_fetchjob AS job SET woken_at = %(now)s FROM chosen WHERE job.ctid = chosen.ctid
    RETURNING job.priority, job.held_up_since IS NOT NULL, job.id
"""
OF_THIS_KIND = "(%(retries)s::boolean IS NULL OR (attempts > 0 OR held_up_since IS NOT NULL) = %(retries)s)"
# A job that will have its connection's token renewed first, and for which nobody waits.
NEEDS_RENEWAL = """
    job.token_class = 'access' AND job.priority > %(for_people)s AND EXISTS (
        SELECT FROM espi_authorization AS owner WHERE owner.id = job.authorization_id
            AND (owner.access_token_expires_at IS NULL OR owner.access_token_expires_at <= %(stale)s)
    )
"""
# Where tokens are rationed: the connections whose jobs are under way for one, and those who have waited longest.
UNDER_WAY = """
    SELECT DISTINCT authorization_id FROM espi_fetchjob AS job
    WHERE application_information_id = %(app)s AND {needs_renewal}
        AND (
            (state = 'running' AND lease_expires_at >= %(now)s)
            OR (state IN ('due', 'awaiting_notification') AND not_before <= %(now)s AND woken_at > %(lost)s)
        )
"""
NEXT_IN_LINE = """
    SELECT authorization_id FROM espi_fetchjob AS job
    WHERE application_information_id = %(app)s AND state IN ('due', 'awaiting_notification') AND not_before <= %(now)s
        AND (woken_at IS NULL OR woken_at <= %(lost)s) AND {of_this_kind} AND {needs_renewal}
    GROUP BY authorization_id ORDER BY min(priority), bool_and(held_up_since IS NOT NULL), min(id) LIMIT %(most)s
"""
OLDEST = "priority, held_up_since IS NOT NULL, id"  # what the utility did not answer before stands behind the rest
LONGEST_UNTRIED = "priority, not_before, id"  # for probes: one job that always fails keeps no circuit open
SHARE_OF_RETRIES = 10  # one retry for ten fresh jobs, while calls fail here and there
ANYBODY, OF_THE_LINE = "TRUE", f"(authorization_id = ANY(%(in_line)s) OR NOT ({NEEDS_RENEWAL}))"


def take(
    app: ApplicationInformation, most: int, *, now: datetime, retries: bool | None = None, order: str = OLDEST
) -> list[Job]:
    """Mark at most so many due jobs of a registration as woken: what matters most first, of this what waits longest.

    `retries`: only, or none. Where a utility rations tokens, no more connections are begun with than it lets us renew.
    """
    renewals = budgets.renewals(app, now=now)
    values = values_of(app, now) | {"retries": retries}
    turn = ANYBODY
    if renewals is not None:
        turn = OF_THE_LINE
        kept = max(1, renewals // SHARE_OF_RETRIES) if retries is False else 0  # the retries', which come after
        values["in_line"] = next_in_line(values, renewals - kept)
    with connection.cursor() as cursor:
        statement = DUE.format(whose_turn_it_is=turn, of_this_kind=OF_THIS_KIND, order=order)
        cursor.execute(statement, values | {"most": most})
        return [(id_, priority) for priority, _, id_ in sorted(cursor.fetchall())]


def next_in_line(values: dict[str, Any], renewals: int) -> list[int]:
    """The connections, by number, whose tokens may be renewed now: who is under way counts among so many."""
    with connection.cursor() as cursor:
        cursor.execute(UNDER_WAY.format(needs_renewal=NEEDS_RENEWAL), values)
        under_way = [id_ for (id_,) in cursor.fetchall()]
        statement = NEXT_IN_LINE.format(needs_renewal=NEEDS_RENEWAL, of_this_kind=OF_THIS_KIND)
        cursor.execute(statement, values | {"most": max(0, renewals - len(under_way))})
        return under_way + [id_ for (id_,) in cursor.fetchall()]


def values_of(app: ApplicationInformation, now: datetime) -> dict[str, Any]:
    """What the statements above are asked with."""
    return {
        "app": app.pk,
        "now": now,
        "lost": now - WOKEN_FOR,  # a wake-up from before counts as lost
        "stale": now + tokens.LEAST_LEFT,
        "for_people": FetchJob.Priority.FIRST_DATA,
    }
