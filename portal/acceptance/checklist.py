"""The endpoint checklist: every operation of the platform's list, one after the other, with the token each wants."""

import re
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import unquote

from django.utils import timezone

import utilities
from espi import batchlist
from espi.models import ApplicationInformation, Authorization, FetchJob, Notification
from portal.acceptance import calling, customers, masking
from portal.acceptance.calling import Answered
from portal.acceptance.platforms import Operation, operations
from portal.acceptance.turns import Turn
from portal.flows import budgets, fetch, tokens
from portal.models import AcceptancePart, AcceptanceResult, AcceptanceTest, Outcome
from utilities.base import Utility, encoded, segment, zulu
from utilities.oauth import TokenError

TURN_SECONDS = 6.0  # then somebody else may have the worker
Environment = ApplicationInformation.Environment
# How long a notification is waited for: the sandbox sends it at once, Con Edison within a day (contract §6).
PATIENCE = {Environment.SANDBOX: timedelta(seconds=25), Environment.TEST: timedelta(hours=26)}
LOOK_AGAIN = {Environment.SANDBOX: 1.0, Environment.TEST: 60.0}
ANOTHER_TOKEN = 403


class NotPossible(Exception):
    """An operation cannot be called yet; the message says what is missing."""


class WaitForIt(Exception):
    """An operation has to wait for so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__("waiting")
        self.seconds = seconds


def turn(part: AcceptancePart, now: datetime) -> Turn:
    """Work through the list for a few seconds. What waits for a notification is looked at again later."""
    began = time.monotonic()
    app = part.test.application_information
    listed = operations(app)
    make_rows(part, listed)
    for row in part.results.filter(outcome=Outcome.WAITING).order_by("number"):
        if time.monotonic() - began > TURN_SECONDS:
            return Turn.again(0)
        try:
            one(part, row, listed[row.number - 1], now=timezone.now())
        except WaitForIt as wait:
            return Turn.again(wait.seconds)
    return ended(part)


def why_not_whole(test: AcceptanceTest) -> str:
    """Why some operations would fail if the list were run now, and what helps; empty when all can be called."""
    customer = customers.connection(test)
    if customer is None:
        return "Your test customer is not connected, so most operations would fail: connect first."
    lacking = {each.choice for each in operations(test.application_information)} - {"", *customer.data_granted}
    if lacking:
        return f"Your test customer shares less than the list asks for ({', '.join(sorted(lacking))}): connect again with everything."
    return ""


def make_rows(part: AcceptancePart, listed: tuple[Operation, ...]) -> None:
    """A line per operation, before the first is called: so that a reader sees how many there are."""
    if part.results.exists():
        return
    rows = [
        AcceptanceResult(part=part, number=number, key=f"{each.method} {each.path}"[:80], title=each.name,
                         expected=expected(each))
        for number, each in enumerate(listed, 1)
    ]  # fmt: skip
    AcceptanceResult.objects.bulk_create(rows, ignore_conflicts=True)


def expected(operation: Operation) -> str:
    """In words."""
    statuses = " or ".join(map(str, operation.expect))
    kind = f", with a {operation.kind.replace('|', ' or ')}" if operation.kind and 200 in operation.expect else ""
    token = {
        "access": "customer's access token",
        "client": "our client access token",
        "registration": "registration access token",
        "none": "our credentials",
    }[operation.token]
    return f"{statuses}{kind}; {token}"


def ended(part: AcceptancePart) -> Turn:
    """Passed if nothing failed."""
    outcomes = list(part.results.values_list("outcome", flat=True))
    passed, failed = outcomes.count(Outcome.PASSED), outcomes.count(Outcome.FAILED)
    words = (
        f"{passed} of {len(outcomes)} operations passed, {failed} failed, {len(outcomes) - passed - failed} not needed."
    )
    return Turn.done(Outcome.FAILED if failed else Outcome.PASSED, words)


# --- One operation ---------------------------------------------------------------------------------------------------


def one(part: AcceptancePart, row: AcceptanceResult, operation: Operation, *, now: datetime) -> None:
    """Call one operation and write its line. Raises WaitForIt."""
    app = part.test.application_information
    utility = utilities.get(app.utility)
    try:
        if operation.token == "none":  # noqa: S105 - a class of tokens, not a token
            by_token_request(part, row, operation, utility)
        else:
            by_call(part, row, operation, utility, now=now)
    except budgets.Spent as spent:
        raise WaitForIt(min(spent.retry_after or 1, 30)) from None
    except NotPossible as missing:
        outcome = Outcome.NOT_NEEDED if operation.if_there_is_one else Outcome.FAILED
        written(row, outcome, str(missing), now=now)
    except (TokenError, tokens.NotAllowed) as error:  # UntrustedAddress is one of them
        written(row, Outcome.FAILED, error.reason, now=now)


def by_call(
    part: AcceptancePart, row: AcceptanceResult, operation: Operation, utility: Utility, *, now: datetime
) -> None:
    """A resource: its address filled in, asked for, and judged."""
    app = part.test.application_information
    customer = customers.connection(part.test)
    known = values(part, utility, customer, now)
    needs_customer = operation.token == "access" or operation.ends_authorization  # noqa: S105
    if needs_customer and customer is None:
        raise NotPossible("There is no connected test customer. Walk through a connection first.")
    if operation.choice and customer and operation.choice not in customer.data_granted:
        raise NotPossible(f"The test customer did not share “{operation.choice}”. Connect again and share everything.")
    if operation.ends_authorization and not part.memory.get("cancel"):
        written(row, Outcome.NOT_NEEDED, "Not asked for: it would end the test customer's sharing.", now=now)
        return
    url = announced(part, operation, now=now) if operation.notified else address(utility, app, operation, known)
    token = token_for(operation, app, customer, now)
    budgets.take(app, now=now, is_urgent=True)
    answer = calling.ask(utility, app, operation.method, url, token)
    if operation.notified and answer.status == ANOTHER_TOKEN:
        pass_over(part, url)
    learn(part, operation, answer)
    remember_request(part, operation, answer, url, customer, now)
    outcome, words = judged(operation, answer)
    proof = calling.evidence(answer, [*masking.secrets_of(app), token])
    proof["request"] = f"{operation.method} {masking.address(url)}"
    written(row, outcome, words, now=now, milliseconds=answer.milliseconds, proof=proof)
    if operation.ends_authorization and outcome == Outcome.PASSED and customer:
        fetch.enqueue_status(customer, now=now)


def judged(operation: Operation, answer: Answered) -> tuple[str, str]:
    """Passed or failed, and what came."""
    if answer.problem:
        return Outcome.FAILED, f"No answer: {answer.problem}"
    found = calling.holds(answer)
    words = f"{answer.status}" + (f" with {found}" if found else "")
    if answer.status not in operation.expect:
        return Outcome.FAILED, words
    if answer.status == 200 and operation.kind and not calling.has(answer, operation.kind):
        return Outcome.FAILED, f"{words or answer.status}, without a {operation.kind}"
    return Outcome.PASSED, words


def written(
    row: AcceptanceResult, outcome: str, actual: str, *, now: datetime, milliseconds: int | None = None,
    proof: Mapping[str, object] | None = None,
) -> None:  # fmt: skip
    """Fill in a line."""
    row.outcome, row.actual, row.at = outcome, actual[:500], now
    row.milliseconds, row.evidence = milliseconds, dict(proof or {})
    row.save()


def token_for(operation: Operation, app: ApplicationInformation, customer: Authorization | None, now: datetime) -> str:
    """The class of token this operation wants."""
    if operation.token == "client":  # noqa: S105
        return tokens.client(app, now=now, is_urgent=True)
    if operation.token == "registration":  # noqa: S105
        if not app.registration_access_token:
            raise NotPossible("The registration holds no registration access token. Ask the utility for it.")
        return app.registration_access_token
    if customer is None:
        raise NotPossible("There is no connected test customer. Walk through a connection first.")
    return tokens.current(customer, now=now, is_urgent=True)


# --- Addresses -------------------------------------------------------------------------------------------------------


def values(part: AcceptancePart, utility: Utility, customer: Authorization | None, now: datetime) -> dict[str, str]:
    """What braces are filled with. The window of days is another one each time: a utility refuses what it has in hand."""
    app = part.test.application_information
    after = utility.today(part.started_at) - timedelta(days=4 + part.pk * 2 % 300)
    first = after - timedelta(days=5)
    known = {
        "applicationInformationId": app.third_party_id,
        "bulkId": app.bulk_id,
        "customerBulkId": app.customer_bulk_id,
        "windowStart": zulu(utility.midnight(first)),
        "windowEnd": zulu(utility.midnight(after) - timedelta(seconds=1)),
        "yearStart": zulu(utility.midnight(after - timedelta(days=300))),
        "yearStartDay": (after - timedelta(days=300)).isoformat(),
        "dayStart": first.isoformat(),
        "dayEnd": (after - timedelta(days=1)).isoformat(),
    }
    if customer:
        known["subscriptionId"] = customer.utility_subscription_id
        known["authorizationId"] = customer.utility_authorization_id
    return {**known, **part.memory.get("ids", {})}


def address(utility: Utility, app: ApplicationInformation, operation: Operation, known: Mapping[str, str]) -> str:
    """The operation's address. Raises NotPossible while a part of it is not known."""

    def filled(text: str, *, as_segment: bool) -> str:
        def value(match: re.Match[str]) -> str:
            found = known.get(match[1], "")
            if not found:
                raise NotPossible(f"No answer named a {match[1]}, which is a part of this address.")
            return segment(unquote(found)) if as_segment else found

        return re.sub(r"\{(\w+)\}", value, text)

    path = filled(operation.path.removeprefix("/resource"), as_segment=True)
    query = {name: filled(value, as_segment=False) for name, value in operation.query.items()}
    return f"{utility.resource_base(app)}{path}" + (f"?{encoded(query)}" if query else "")


def learn(part: AcceptancePart, operation: Operation, answer: Answered) -> None:
    """Keep the ids that an answer's links carry."""
    text = answer.body.decode("utf-8", "replace") if operation.learns and answer.status == 200 else ""
    for name, noun in operation.learns.items():
        if found := first_id(text, noun):
            part.memory.setdefault("ids", {})[name] = found


def first_id(text: str, noun: str) -> str:
    """The first id after `/Noun/` in a document's addresses; `RealTime Noun` looks at the real-time tree, `?name` at a query."""
    if noun.startswith("?"):
        match = re.search(rf"[?&;]{re.escape(noun[1:])}=([^&\"'<\s]+)", text)
        return match[1] if match else ""
    tree, _, name = noun.rpartition(" ")
    for address_found in re.findall(r"https?://[^\"'<\s]+", text):
        if tree and f"/{tree}/" not in address_found:
            continue
        if match := re.search(rf"/{name}/([^/?\"'<\s]+)", address_found):
            return match[1]
    return ""


# --- What is announced -----------------------------------------------------------------------------------------------


def pass_over(part: AcceptancePart, url: str) -> None:
    """It is a file that somebody else's token asked for, such as our own of a bulk. Raises WaitForIt for the next one."""
    part.memory.setdefault("passed_over", []).append(url)
    raise WaitForIt(0)


def remember_request(
    part: AcceptancePart,
    operation: Operation,
    answer: Answered,
    url: str,
    customer: Authorization | None,
    now: datetime,
) -> None:
    """A request that was accepted with 202 is one of ours: its file, once announced, belongs to this customer.

    One that is answered at once was made before, and is not announced again (Con Edison V2, for two days).
    """
    if answer.status == 200 and 202 in operation.expect:
        part.memory.setdefault("at_once", {})[operation.path] = url
    if answer.status != 202 or operation.token != "access" or customer is None:  # noqa: S105
        return
    part.memory.setdefault("asked", {})[operation.path] = now.isoformat()
    job = FetchJob(
        application_information=part.test.application_information,
        authorization=customer,
        kind=FetchJob.Kind.USAGE,
        url=url,
        state=FetchJob.State.AWAITING_NOTIFICATION,
        reason="Asked for by an acceptance test.",
        accepted_at=now,
        not_before=now + timedelta(hours=26),
    )
    if utilities.get(part.test.application_information.utility).announces_batches:
        FetchJob.objects.bulk_create([job], ignore_conflicts=True)


def announced(part: AcceptancePart, operation: Operation, *, now: datetime) -> str:
    """The address that a notification named since this list began. Raises WaitForIt, and NotPossible when none came."""
    app = part.test.application_information
    if at_once := part.memory.get("at_once", {}).get(operation.path):
        return str(at_once)
    passed_over = part.memory.get("passed_over", [])
    came = Notification.objects.filter(application_information=app, received_at__gte=part.started_at).order_by("pk")
    for notification in came[:50]:
        found = [url for url in named(notification) if operation.notified in url and url not in passed_over]
        if found:
            part.memory["notified_at"] = notification.received_at.isoformat()
            return found[0]
    if now - part.started_at < PATIENCE[app.environment]:  # type: ignore[index]
        raise WaitForIt(LOOK_AGAIN[app.environment])  # type: ignore[index]
    raise NotPossible("No notification named this address in time. Look at the notification address and at the log.")


def named(notification: Notification) -> list[str]:
    try:
        return batchlist.read(bytes(notification.body))
    except batchlist.NotABatchList:
        return []


# --- Token requests --------------------------------------------------------------------------------------------------


def by_token_request(part: AcceptancePart, row: AcceptanceResult, operation: Operation, utility: Utility) -> None:
    """A grant: asked for now, or shown by a walk. Tokens are kept where they belong; none is evidence."""
    app, customer = part.test.application_information, customers.connection(part.test)
    began, now = time.monotonic(), timezone.now()
    if operation.grant == "code":
        shown_by_a_walk(part, row, now)
        return
    if operation.grant == "client":
        app = ApplicationInformation.objects.get(pk=app.pk)
        tokens.renewed_client(app, now=now, rejected=app.client_access_token or "", is_urgent=True)
    else:
        if customer is None:
            raise NotPossible("There is no connected test customer. Walk through a connection first.")
        tokens.renewed(customer, now=now, rejected=customer.access_token or "", is_urgent=True)
    passed = round((time.monotonic() - began) * 1000)
    proof = {"request": f"POST {masking.address(utility.token_url(app))}", "grant": operation.grant, "status": 200}
    written(row, Outcome.PASSED, "200 with a token", now=now, milliseconds=passed, proof=proof)


def shown_by_a_walk(part: AcceptancePart, row: AcceptanceResult, now: datetime) -> None:
    """A code can be had only by walking through the utility's pages."""
    journey = customers.granted_journey(part.test)
    if journey is None:
        raise NotPossible("No walk came back with a code that could be exchanged. Walk through a connection first.")
    words = f"200 with tokens, in the walk of {journey.returned_at:%Y-%m-%d %H:%M} UTC"
    written(row, Outcome.PASSED, words, now=now)
