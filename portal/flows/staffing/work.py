"""The queues of work as staff see them: page by page from the newest, never counted as a whole; and what they may do."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction
from django.db.models import Model, QuerySet

from espi.models import FetchJob, Notification
from portal.flows import circuits, fetch, holding, looking, notify
from portal.models import StaffAccess, User

AT_ONCE = 50  # rows of a page
MOST_COUNTED = 1000  # of a queue; what is longer is told as "more than"


@dataclass(frozen=True)
class Act:
    """Something staff may do with rows: its word on the button, what is written down, and why it may not happen."""

    button: str
    done: str
    undone: str
    flow: Callable[..., bool]
    permission: str


RETRY = Act(
    "Try again now",
    "Tried again.",
    "Only what failed or is due can be tried again, and only while the customer shares.",
    fetch.retry,
    "espi.change_fetchjob",
)
CANCEL = Act("Cancel", "Cancelled.", "Only what has not ended can be cancelled.", fetch.cancel, "espi.change_fetchjob")
ASK_AGAIN = Act(
    "Ask again",
    "Asked again.",
    "Only what has ended can be asked for again, once at a time, and only while the customer shares.",
    fetch.ask_again,
    "espi.change_fetchjob",
)
REPLAY = Act(
    "Replay",
    "Replayed.",
    "Only what was set aside, or has refused entries, can be replayed.",
    notify.replay,
    "espi.change_notification",
)
ACTS = {"retry": RETRY, "cancel": CANCEL, "ask-again": ASK_AGAIN, "replay": REPLAY}


@dataclass(frozen=True)
class Queue:
    """Rows in one state: what they are called, what that means, and which acts fit (keys of ACTS)."""

    slug: str
    name: str
    words: str
    state: str
    acts: tuple[str, ...]
    model: type[FetchJob] | type[Notification] = FetchJob


State = FetchJob.State
QUEUES = {
    queue.slug: queue
    for queue in (
        Queue("failed", "Failed", "Ended without what was asked for.", State.FAILED, ("retry", "ask-again")),
        Queue("due", "Due", "Waits for its time, or for a worker.", State.DUE, ("retry", "cancel")),
        Queue("running", "Running", "A worker has it now.", State.RUNNING, ("cancel",)),
        Queue(
            "awaiting",
            "Waiting for the utility",
            "The utility prepares the data and will tell us.",
            State.AWAITING_NOTIFICATION,
            ("cancel",),
        ),
        Queue(
            "set-aside",
            "Notifications set aside",
            "Posted to us and not understood. Nothing was lost: replay them after a fix.",
            Notification.State.QUARANTINED,
            ("replay",),
            Notification,
        ),
    )
}


def rows(queue: Queue, *, before: int | None = None, app_id: int | None = None) -> tuple[list[Any], int | None]:
    """A page of a queue from the newest, and the number that the next page begins below; None: it was the last.

    `before`: only rows with a smaller number. `app_id`: of one registration.
    """
    found: QuerySet[Any] = queue.model._default_manager.filter(state=queue.state)
    if before is not None:
        found = found.filter(pk__lt=before)
    if app_id is not None:
        found = found.filter(application_information=app_id)
    page = list(found.select_related("application_information__circuit").order_by("-pk")[: AT_ONCE + 1])
    return page[:AT_ONCE], page[AT_ONCE - 1].pk if len(page) > AT_ONCE else None


def why(row: Model, now: datetime, has_room: holding.HasRoom) -> str:
    """Why a row of a queue waits, failed or was set aside. `has_room`: of `holding.rooms`, one for a whole page."""
    if isinstance(row, FetchJob):
        return holding.why(row, row.application_information, now=now, has_room=has_room)
    return str(getattr(row, "reason", ""))


def paused_until(row: Model, now: datetime) -> datetime | None:
    """Until when the utility asked all calls of this row's registration to wait; None: it did not, or that is over.

    Ask for rows with `application_information__circuit`, which costs no statement of its own then.
    """
    circuit = getattr(getattr(row, "application_information", None), "circuit", None)
    if circuit is None or circuit.is_pause_of_tokens or not circuits.is_paused(circuit, now):
        return None
    return cast(datetime, circuit.paused_until)


def sizes() -> dict[str, str]:
    """How long each queue is; never counted beyond MOST_COUNTED."""
    told = {}
    for queue in QUEUES.values():
        number = len(queue.model._default_manager.filter(state=queue.state).values_list("pk")[: MOST_COUNTED + 1])
        told[queue.slug] = f"more than {MOST_COUNTED:,}" if number > MOST_COUNTED else f"{number:,}"
    return told


@transaction.atomic
def act(act: Act, row: Model, *, staff: User, now: datetime) -> bool:
    """Do it with one row; whether it could be done. What was done stays in the row's history and in the audit trail."""
    if not act.flow(row.pk, now=now):
        return False
    write_down(row, act.done, staff=staff, now=now)
    return True


def write_down(row: Model, done: str, *, staff: User, now: datetime) -> None:
    """In the row's history, and in the audit trail with the customer whom it concerns."""
    LogEntry.objects.log_actions(staff.pk, [row], CHANGE, change_message=done, single_object=True)
    what = f"{row._meta.label_lower} {row.pk}: {done}"
    looking.note(StaffAccess.Kind.ACT, what, staff=staff, customer=customer_of(row), now=now)


def customer_of(row: Model) -> User | None:
    """Whom a row concerns; None for what concerns all of a registration."""
    authorization = getattr(row, "authorization", None)
    return authorization.retail_customer if authorization else None
