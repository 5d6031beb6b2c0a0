"""Scenarios: what the utility may do, what we have to do then, and whether we did.

Those of a connection are walked by the tester in a browser; those of the work are watched by workers. In the sandbox a
named fault brings them about; at a real test environment the words say what the tester has to do there.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import utilities
from espi.models import ApplicationInformation, Authorization, AuthorizationRequest, Document, FetchJob, Notification
from portal.acceptance import customers, sandbox
from portal.acceptance.turns import Turn
from portal.flows import fetch
from portal.models import AcceptancePart, Outcome
from utilities.base import Utility

Environment = ApplicationInformation.Environment
Status, State, Kind = AuthorizationRequest.Status, FetchJob.State, FetchJob.Kind
LOOK_AGAIN = 1.0  # seconds
RETRY_AFTER = 3  # seconds, of the 429
JOURNEY = timedelta(minutes=70)  # a little longer than a journey may last
# In the sandbox a 429 of PG&E, which counts for all, holds everything up for as much as a minute.
PATIENCE = {"sandbox": timedelta(minutes=3), "test": timedelta(hours=30)}
ENDED = (State.DONE, State.FAILED, State.SUPERSEDED)


@dataclass(frozen=True)
class Scenario:
    """`fault` and `args`: how the sandbox is made to do it; empty where it needs no fault, or the tester does it.

    `here`: what the tester does in the sandbox; `there`: at a real test environment. `watch`: of a scenario of the work.
    `by_page`: the tester walks it; `starts_at_utility` and `needs_announcements` say which utilities have it.
    """

    name: str
    title: str
    expected: str
    here: str
    there: str
    fault: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    by_page: bool = True
    statuses: Sequence[str] = ()
    judged_by_tester: bool = False
    starts_at_utility: bool = False
    needs_announcements: bool = False
    watch: Callable[[AcceptancePart, datetime], Turn] | None = None

    @property
    def connects(self) -> bool:
        """Whether it leaves the test customer connected, as the other parts want him."""
        return self.name.startswith("success")

    def is_by_hand(self, app: ApplicationInformation) -> bool:
        """Whether the tester has to do something before it can be judged."""
        return self.by_page or app.environment != Environment.SANDBOX


NEXT: dict[str, str] = {
    Status.CHOOSING: "You read what is shared, agree, and leave for {utility}.",
    Status.AT_LOGIN: "You sign in at {utility}, choose the account, and it sends you to our scope-selection address.",
    Status.DEPARTED: "You allow (or refuse) at {utility}, and it sends you to our redirect address with a code or an error.",
    Status.RETURNED: "We exchange the code for tokens at {utility}'s token endpoint.",
}
AFTER_GRANT = "Workers ask {utility} for the first data: 202 and a notification, or the data at once."


# --- Watching the work -----------------------------------------------------------------------------------------------


def turn(part: AcceptancePart, now: datetime) -> Turn:
    """One look at a scenario of the work."""
    app = part.test.application_information
    scenario = find(app, part.name)
    patience = JOURNEY if scenario.by_page else PATIENCE[app.environment]
    if now - part.started_at > patience:
        minutes = patience.total_seconds() / 60
        return Turn.done(Outcome.FAILED, f"It did not come to that within {minutes:.0f} minutes. {seen(part)}".strip())
    try:
        return scenario.watch(part, now) if scenario.watch else watch_walk(part, scenario)
    except sandbox.SandboxAway as problem:
        return Turn.done(Outcome.FAILED, str(problem))


# --- Watching a walk -------------------------------------------------------------------------------------------------


def watch_walk(part: AcceptancePart, scenario: Scenario) -> Turn:
    """How the journey ended; of a success, whether its first data came too."""
    journey = part.journey
    if journey is None or journey.status in (*AuthorizationRequest.OPEN, Status.RETURNED):
        return Turn.again(LOOK_AGAIN)
    words = f"The connection is “{journey.get_status_display()}”. {journey.reason}".strip()
    if scenario.judged_by_tester or journey.status not in scenario.statuses:
        return Turn.done(Outcome.FAILED, words)
    if journey.authorization is None or Status.CONNECTED not in scenario.statuses:
        return Turn.done(Outcome.PASSED, words)
    return first_data(journey.authorization, words)


def first_data(authorization: Authorization, words: str) -> Turn:
    """Whether a first document was read."""
    if not authorization.data_granted:
        return Turn.done(Outcome.PASSED, f"{words} The utility's test grants no data, so none are asked for.")
    jobs = authorization.fetch_jobs.filter(kind__in=[Kind.USAGE, Kind.CUSTOMER, Kind.DOWNLOAD])
    if waits_for_first_file(authorization):
        return Turn.again(LOOK_AGAIN)
    if Document.objects.filter(fetch_job__in=jobs, refusal="").exists():
        return Turn.done(Outcome.PASSED, f"{words} The first data arrived.")
    failed = jobs.filter(state=State.FAILED).first()
    if failed and not jobs.filter(state__in=FetchJob.OPEN).exists():
        return Turn.done(Outcome.FAILED, f"{words} But its data did not come: {failed.reason}")
    return Turn.again(LOOK_AGAIN)


def waits_for_first_file(authorization: Authorization) -> bool:
    """Whether the sandbox is yet to announce its first file: it does so in seconds. A utility may take a day."""
    if authorization.application_information.environment != Environment.SANDBOX:
        return False
    jobs = authorization.fetch_jobs
    has_file = jobs.filter(kind=Kind.DOWNLOAD, state=State.DONE).exists()
    return not has_file and jobs.filter(state=State.AWAITING_NOTIFICATION).exists()


def next_event(part: AcceptancePart) -> str:
    """What is to happen next in a walk, and where it comes from."""
    journey = part.journey
    if part.state == AcceptancePart.State.DONE:
        return "Nothing: this scenario is over."
    if journey is None:
        return "You choose what to share, on this page or after the utility has sent you to us."
    utility = utilities.get(part.test.application_information.utility)
    return NEXT.get(journey.status, AFTER_GRANT).format(utility=utility.name)


def seen(part: AcceptancePart) -> str:
    """How its job stands, in words."""
    job = asked_job(part)
    return f"The request is “{job.get_state_display()}”: {job.reason}" if job else ""


def asked_job(part: AcceptancePart) -> FetchJob | None:
    """The request that this scenario made."""
    return FetchJob.objects.filter(pk=part.memory.get("job")).first()


def begin_request(part: AcceptancePart, now: datetime, *faults: tuple[str, Mapping[str, Any]]) -> Turn:
    """Arm the faults, then ask for a week of data in the ordinary way."""
    app = part.test.application_information
    utility, customer = utilities.get(app.utility), customers.connection(part.test)
    if customer is None:
        return Turn.done(Outcome.FAILED, "There is no connected test customer. Walk through a connection first.")
    for name, args in faults:
        sandbox.arm(name, app.utility, **args)
    jobs = fetch.enqueue_planned(customer, a_week(utility, app, customer, part), now=now)
    if not jobs:
        return Turn.done(Outcome.FAILED, "The same request is on its way already. Try again when it is done.")
    part.memory |= {"job": jobs[0].pk, "saw": []}
    FetchJob.objects.filter(pk=jobs[0].pk).update(priority=FetchJob.Priority.WAITED_FOR)
    return Turn.again(LOOK_AGAIN)


def a_week(utility: Utility, app: ApplicationInformation, customer: Authorization, part: AcceptancePart) -> list[Any]:
    """A request for a week that no other part has asked for: some utilities answer a repeated one at once."""
    days_ago = 8 + part.pk * 3 % 690
    after = utility.today(part.started_at) - timedelta(days=days_ago)
    return list(utility.window_requests(app, customer, after - timedelta(days=7), after))[:1]


def state_of(part: AcceptancePart) -> FetchJob | None:
    """Look at the request and remember the state it was seen in."""
    job = asked_job(part)
    if job and job.state not in part.memory["saw"]:
        part.memory["saw"] = [*part.memory["saw"], job.state]
    return job


def asked_since(part: AcceptancePart) -> datetime:
    """When this scenario's request was made."""
    job = asked_job(part)
    return job.created_at if job else part.started_at


def announcements(part: AcceptancePart) -> list[Notification]:
    """What the utility posted since we asked."""
    since = asked_since(part)
    came = Notification.objects.filter(
        application_information=part.test.application_information, received_at__gte=since
    )
    return list(came.order_by("pk"))


def watch_ready_later(part: AcceptancePart, now: datetime) -> Turn:
    """202, then the data: by notification, or by asking again where the utility says so."""
    app = part.test.application_information
    announces = utilities.get(app.utility).announces_batches
    if not part.memory.get("job"):
        return begin_request(part, now, *(() if announces else (("not_ready_202", {}),)))
    job = state_of(part)
    if job is None or job.state not in ENDED:
        return Turn.again(LOOK_AGAIN)
    accepted = job.accepted_at is not None
    good = job.state == State.DONE and accepted
    how = "announced by a notification" if announcements(part) and announces else "asked for again"
    words = f"{'Accepted with 202, then ' + how if accepted else 'Answered at once'}; it ended as “{job.get_state_display()}”."
    return Turn.done(Outcome.PASSED if good else Outcome.FAILED, f"{words} {job.reason}".strip())


def watch_throttled(part: AcceptancePart, now: datetime) -> Turn:
    """429 with Retry-After: we wait that long, and ask again. What went over the wire tells."""
    if not part.memory.get("job"):
        return begin_request(part, now, ("resource_429", {"retry_after": RETRY_AFTER}))
    job = state_of(part)
    refused = part.hops.filter(status=429).order_by("at").first()
    again = refused and part.hops.filter(address=refused.address, at__gt=refused.at).order_by("at").first()
    if job is None or job.state not in ENDED:
        return Turn.again(LOOK_AGAIN)
    if refused is None or again is None:
        return Turn.done(Outcome.FAILED, f"No 429 came, or we did not ask again. {seen(part)}")
    waited = (again.at - refused.at).total_seconds()
    good = job.state == State.DONE and waited >= RETRY_AFTER
    words = f"Asked to wait {RETRY_AFTER} seconds, we asked again after {waited:.1f}."
    return Turn.done(Outcome.PASSED if good else Outcome.FAILED, f"{words} It ended as “{job.get_state_display()}”.")


def watch_duplicate(part: AcceptancePart, now: datetime) -> Turn:
    """The same notification twice: both answered 200, one download for each file."""
    if not part.memory.get("job"):
        return begin_request(part, now, ("duplicate_notification", {}))
    job = state_of(part)
    came = announcements(part)
    posted: Counter[bytes] = Counter()
    for one in came:  # one that waited already is counted on the row of the first
        posted[bytes(one.body)] += 1 + one.repeats
    twice = [body for body, times in posted.items() if times > 1]
    if job is None or job.state not in ENDED or not twice or any(one.state == "received" for one in came):
        return Turn.again(LOOK_AGAIN)
    urls = list(downloads_since(part).values_list("url", flat=True))
    doubled = len(urls) - len(set(urls))
    words = f"{posted.total()} notifications, {len(set(urls))} files, {doubled} fetched twice."
    return Turn.done(Outcome.FAILED if doubled or not urls else Outcome.PASSED, words)


def downloads_since(part: AcceptancePart) -> Any:
    """The announced files that were fetched since we asked."""
    since = asked_since(part)
    app = part.test.application_information
    return FetchJob.objects.filter(application_information=app, kind=Kind.DOWNLOAD, created_at__gte=since)


def watch_late(part: AcceptancePart, now: datetime) -> Turn:
    """A notification that comes late: the request waits for it, and is done then."""
    if not part.memory.get("job"):
        return begin_request(part, now, ("late_notification", {"seconds": 8}))
    job = state_of(part)
    if job is None or job.state not in ENDED:
        return Turn.again(LOOK_AGAIN)
    waited = State.AWAITING_NOTIFICATION in part.memory["saw"]
    good = job.state == State.DONE and waited
    words = "It waited for the notification and ended as" if waited else "It ended, without waiting, as"
    return Turn.done(Outcome.PASSED if good else Outcome.FAILED, f"{words} “{job.get_state_display()}”.")


def watch_expired_file(part: AcceptancePart, now: datetime) -> Turn:
    """An announced file that is gone: its period is asked for again, once, and comes."""
    app = part.test.application_information
    if not part.memory.get("job"):
        return begin_request(part, now, ("late_notification", {"seconds": 8}))
    job = state_of(part)
    if job and job.state == State.AWAITING_NOTIFICATION and not part.memory.get("armed"):
        sandbox.arm("resource_404", app.utility)
        part.memory["armed"] = True
    again = FetchJob.objects.filter(
        authorization=job.authorization_id if job else None, asked_again=True, created_at__gte=part.started_at
    ).first()
    if again is None or again.state not in ENDED:
        return Turn.again(LOOK_AGAIN)
    good = again.state == State.DONE
    words = f"The file was gone; its period was asked for again and ended as “{again.get_state_display()}”."
    return Turn.done(Outcome.PASSED if good else Outcome.FAILED, f"{words} {again.reason}".strip())


def watch_revoked(part: AcceptancePart, now: datetime) -> Turn:
    """The utility ended the authorization: we notice, stop, and say so to the customer."""
    app = part.test.application_information
    if not part.memory.get("job"):
        customer = customers.connection(part.test)
        if customer is None:
            return Turn.done(Outcome.FAILED, "There is no connected test customer. Walk through a connection first.")
        return begin_revocation(part, app, customer, now)
    customer = Authorization.objects.get(pk=part.memory["authorization"])
    if customer.status != Authorization.Status.ACTIVE:
        good = customer.status == Authorization.Status.REVOKED
        words = f"The connection is “{customer.get_status_display()}”. {customer.status_reason}"
        return Turn.done(Outcome.PASSED if good else Outcome.FAILED, words)
    job = asked_job(part)
    if job and job.state in ENDED:
        return Turn.done(Outcome.FAILED, f"We asked, and the connection still counts as active. {job.reason}")
    return Turn.again(LOOK_AGAIN)


def begin_revocation(part: AcceptancePart, app: ApplicationInformation, customer: Authorization, now: datetime) -> Turn:
    """Let the sandbox end it, then ask how it stands, as we do every day."""
    number = sandbox.authorization_id(app.utility, customer.utility_subscription_id)
    sandbox.arm("revoke", app.utility, **({"authorization": number} if number else {}))
    jobs = fetch.enqueue_status(customer, now=now)
    if not jobs:
        return Turn.done(Outcome.FAILED, "How this connection stands is being asked already. Try again in a minute.")
    part.memory |= {"job": jobs[0].pk, "authorization": customer.pk, "saw": []}
    return Turn.again(LOOK_AGAIN)


# --- The list --------------------------------------------------------------------------------------------------------

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "success",
        "Success, started here",
        "The test customer comes back connected, and the first data arrive.",
        "Sign in as one of the sandbox's customers (its sign-in page lists them, with the password) and allow everything.",
        "Sign in with the test customer that the utility gave you and allow everything.",
        statuses=(Status.CONNECTED, Status.ALREADY),
    ),
    Scenario(
        "success_there",
        "Success, started at the utility",
        "The utility sends the test customer to us; he agrees here, and comes back connected.",
        "Open the utility's page with the link below, sign in, pick us, and follow the pages.",
        "Ask the utility's team to start at its own site, or start there with your test customer, in this browser.",
        statuses=(Status.CONNECTED, Status.ALREADY),
        starts_at_utility=True,
    ),
    Scenario(
        "declined",
        "Declined",
        "“You are not connected”, and nothing was shared.",
        "Go through the utility's pages as far as its button to allow: whichever button you press, it counts as no.",
        "Refuse on the utility's own page.",
        fault="decline",
        statuses=(Status.DECLINED,),
    ),
    Scenario(
        "bad_login",
        "Bad login",
        "The utility refuses the sign-in and nobody comes back; nothing is shared here.",
        "On the utility's sign-in page type a wrong password (or a bill that does not exist); where it still knows you from "
        "another walk, press “I am somebody else” first. Then come back to this page and say what you saw.",
        "On the utility's sign-in page use a login that is wrong. Then come back to this page and say what happened.",
        judged_by_tester=True,
    ),
    Scenario(
        "narrower",
        "Narrower scope",
        "Connected, with less than was asked; nothing else is collected, and the page says so.",
        "Choose at least two kinds of data here and allow everything there: the utility grants less.",
        "Choose at least two kinds of data here and take one away on the utility's page.",
        fault="narrower_scope",
        statuses=(Status.NARROWER,),
    ),
    Scenario(
        "expired_code",
        "Expired code",
        "The connection fails in words, and nothing is shared or kept.",
        "Allow everything: the code that comes back is too old already.",
        "Ask the utility for a code that is no longer valid, or wait on its last page longer than its codes live.",
        fault="expired_code",
        statuses=(Status.FAILED,),
    ),
    Scenario(
        "duplicate_notification",
        "Duplicate notification",
        "Both are answered 200; each file is fetched once.",
        "Nothing: the sandbox posts the same notification twice.",
        "Ask the utility's team to post one notification twice, then say what happened.",
        by_page=False,
        needs_announcements=True,
        watch=watch_duplicate,
    ),
    Scenario(
        "late_notification",
        "Late notification",
        "The request waits for its notification and is done when it comes.",
        "Nothing: the sandbox posts the notification eight seconds late.",
        "Ask for data and wait for the utility's notification; then say what happened.",
        by_page=False,
        needs_announcements=True,
        watch=watch_late,
    ),
    Scenario(
        "ready_later",
        "202, then ready",
        "The request is accepted with 202, and its data arrive.",
        "Nothing: it is asked for and watched.",
        "Ask for data and wait; then say what happened.",
        by_page=False,
        watch=watch_ready_later,
    ),
    Scenario(
        "throttled",
        "429",
        "We wait as long as we are asked to, then ask again, and the data arrive.",
        "Nothing: the sandbox answers 429 once.",
        "Ask the utility's team to limit your client for a minute; then say what happened.",
        by_page=False,
        watch=watch_throttled,
    ),
    Scenario(
        "expired_file",
        "Expired file",
        "The file is gone; its period is asked for again, once, and arrives.",
        "Nothing: the sandbox answers 404 to the download.",
        "Let an announced file expire (Con Edison keeps it for 48 hours) and replay the notification; then say what "
        "happened.",
        by_page=False,
        needs_announcements=True,
        watch=watch_expired_file,
    ),
    Scenario(
        "revoked",
        "Revoked",
        "We notice that the utility ended the sharing, stop, and show it as stopped at the utility. Connect again "
        "afterwards.",
        "Nothing: the sandbox ends the authorization.",
        "End the sharing on the utility's site as your test customer; wait a day at most; then say what happened.",
        by_page=False,
        watch=watch_revoked,
    ),
)


def offered(app: ApplicationInformation) -> list[Scenario]:
    """Those that this registration's utility has."""
    utility = utilities.get(app.utility)
    starts_there, announces = utility.starts_at_utility, utility.announces_batches
    return [
        each
        for each in SCENARIOS
        if (starts_there or not each.starts_at_utility) and (announces or not each.needs_announcements)
    ]


def find(app: ApplicationInformation, name: str) -> Scenario:
    """By name. Raises KeyError for one that this utility does not have."""
    return {each.name: each for each in offered(app)}[name]
