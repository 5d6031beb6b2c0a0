"""The report of an acceptance test: written once when it is finished, as JSON; shown as a page, or as CSV."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

import utilities
from espi.export import tables
from espi.models import Notification
from portal.acceptance import masking, platforms, scenarios
from portal.acceptance.running import TestRefused, held_open
from portal.models import AcceptanceHop, AcceptancePart, AcceptanceStep, AcceptanceTest, Outcome

Kind, State = AcceptancePart.Kind, AcceptancePart.State
WORDS = dict(Outcome.choices)
COLUMNS = ("section", "item", "owner", "expected", "actual", "outcome", "at_utc", "milliseconds", "evidence")


def newest(test: AcceptanceTest) -> dict[str, AcceptancePart]:
    """The newest part of each kind and name, by `kind` or `scenario:NAME`."""
    return {key_of(part): part for part in test.parts.order_by("pk")}


def key_of(part: AcceptancePart) -> str:
    """How a step names it."""
    return f"{part.kind}:{part.name}" if part.name else part.kind


def steps(test: AcceptanceTest) -> list[dict[str, Any]]:
    """The utility's own steps with how each stands: by a part of this test, or as a person reported it."""
    parts = newest(test)
    reported = {step.key: step for step in test.steps.all()}
    return [
        _step(step, parts.get(step.part), reported.get(step.key))
        for step in platforms.steps(test.application_information)
    ]


def _step(step: platforms.Step, part: AcceptancePart | None, reported: AcceptanceStep | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "key": step.key,
        "phase": step.phase,
        "title": step.title,
        "owner": step.owner,
        "words": step.words,
    }
    row |= {"by_itself": bool(step.part), "outcome": Outcome.WAITING.value, "evidence": "", "at": ""}
    if part:
        row |= {"outcome": part.outcome, "evidence": part.actual, "at": moment(part.finished_at)}
    if reported and not (part and part.outcome != Outcome.WAITING):
        row |= {"outcome": reported.outcome, "evidence": reported.evidence, "at": moment(reported.changed_at)}
        row["owner"] = reported.owner or step.owner
    return {**row, "outcome_words": WORDS[row["outcome"]]}


def moment(at: datetime | None) -> str:
    """ISO 8601 in UTC, to the second; empty for none."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else ""


def lines(part: AcceptancePart) -> list[dict[str, Any]]:
    """The lines of a checklist or of the connectivity checks."""
    return [
        {
            "number": row.number,
            "item": row.title,
            "expected": row.expected,
            "actual": row.actual,
            "remedy": row.remedy,
            "outcome": row.outcome,
            "outcome_words": WORDS[row.outcome],
            "at": moment(row.at),
            "milliseconds": row.milliseconds,
            "evidence": row.evidence,
        }
        for row in part.results.order_by("number")
    ]


def hops(part: AcceptancePart) -> list[dict[str, Any]]:
    """What went over the wire in a scenario, masked: our calls, the browser's, and what the utility posted."""
    kept = [(hop.at, _hop(hop)) for hop in part.hops.order_by("at", "pk")]
    came = [(one.received_at, _posted(part, one)) for one in _notifications(part)]
    return [row for _, row in sorted([*kept, *came], key=lambda each: each[0])]


def _hop(hop: AcceptanceHop) -> dict[str, Any]:
    row = {name: getattr(hop, name) for name in ("method", "address", "request", "status", "response", "milliseconds")}
    return {"way": hop.get_way_display(), "at": moment(hop.at), **row}


def _notifications(part: AcceptancePart) -> Iterable[Notification]:
    """Posted while the scenario was open; they are answered before any middleware, and kept as they came."""
    came = Notification.objects.filter(
        application_information=part.test.application_information, received_at__gte=part.started_at
    )
    return (came.filter(received_at__lte=part.finished_at) if part.finished_at else came).order_by("pk")[:50]


def _posted(part: AcceptancePart, one: Notification) -> dict[str, Any]:
    app = part.test.application_information
    utility = utilities.get(app.utility)
    is_events = one.channel == Notification.Channel.EVENTS
    url = utility.webhook_uri(app) if is_events else utility.notify_uri(app)
    body = masking.body(bytes(one.body)[: masking.LONGEST], one.content_type)
    return {
        "way": AcceptanceHop.Way.IN.label,
        "at": moment(one.received_at),
        "method": "POST",
        "address": masking.address(url),
        "request": masking.without(body, masking.secrets_of(app)),
        "status": 200,
        "response": "",
        "milliseconds": None,
    }


def written(test: AcceptanceTest, *, now: datetime) -> dict[str, Any]:
    """The whole report."""
    app = test.application_information
    parts = newest(test)
    return {
        "utility": utilities.get(app.utility).long_name,
        "environment": app.get_environment_display(),
        "edition": app.edition,
        "client_id": app.client_id,
        "company": settings.PORTAL_COMPANY,
        "portal": settings.PORTAL_BASE_URL,
        "tester": test.tester_name,
        "started_at": moment(test.started_at),
        "finished_at": moment(now),
        "steps": steps(test),
        "connectivity": section(parts.get(Kind.CONNECTIVITY)),
        "checklist": section(parts.get(Kind.CHECKLIST)),
        "scenarios": [scenario(test, each, parts.get(f"scenario:{each.name}")) for each in scenarios.offered(app)],
    }


def section(part: AcceptancePart | None) -> dict[str, Any]:
    """A part with its lines; one that was never begun says so."""
    if part is None:
        return {"outcome": Outcome.WAITING.value, "outcome_words": WORDS[Outcome.WAITING], "actual": "", "lines": []}
    head = {"outcome": part.outcome, "outcome_words": WORDS[part.outcome], "actual": part.actual}
    return {**head, "at": moment(part.finished_at), "lines": lines(part)}


def scenario(test: AcceptanceTest, each: scenarios.Scenario, part: AcceptancePart | None) -> dict[str, Any]:
    """A scenario, what was expected and what came."""
    row: dict[str, Any] = {"title": each.title, "expected": each.expected, "actual": "", "at": "", "hops": []}
    row["outcome"] = Outcome.WAITING.value
    if part:
        row |= {"actual": part.actual, "at": moment(part.finished_at), "outcome": part.outcome, "hops": hops(part)}
    return {**row, "outcome_words": WORDS[str(row["outcome"])]}


@transaction.atomic
def finish(test: AcceptanceTest, *, now: datetime) -> AcceptanceTest:
    """Write the report; from now on nothing of it can be changed. Raises TestRefused while a part is still running."""
    row = held_open(test)
    if row.parts.filter(state=State.DUE).exists():
        raise TestRefused("A part of this test is still running. Wait for it, then finish.")
    row.parts.exclude(state=State.DONE).update(
        state=State.DONE, finished_at=now, actual="Not done when the test was finished.", outcome=Outcome.WAITING
    )
    row.report = written(row, now=now)
    row.digest = digest(row.report)
    row.finished_at = now
    row.save(update_fields=["report", "digest", "finished_at"])
    return row


def digest(report: dict[str, Any]) -> str:
    """SHA-256 of the report, in a form that does not depend on how it is stored."""
    return hashlib.sha256(json.dumps(report, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


# --- CSV -------------------------------------------------------------------------------------------------------------


def as_csv(test: AcceptanceTest) -> str:
    """One line per step, check, operation and scenario; UTF-8, times in UTC."""
    rows = [tuple(row.get(name) for name in COLUMNS) for row in _rows(test.report or {})]
    return table([COLUMNS, *rows])


def table(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV, in cells that no spreadsheet computes."""
    file = io.StringIO()
    csv.writer(file).writerows([tables.text("" if cell is None else str(cell)) for cell in row] for row in rows)
    return file.getvalue()


def _rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    about = [{"section": "report", "item": name, "actual": report.get(name)} for name in ABOUT]
    steps_ = [
        {**step, "section": f"step: {step['phase']}", "item": step["title"], "outcome": step["outcome_words"],
         "at_utc": step["at"], "actual": step["evidence"], "evidence": ""}
        for step in report["steps"]
    ]  # fmt: skip
    called = [
        {**line, "section": name, "outcome": line["outcome_words"], "at_utc": line["at"], "evidence": proof(line)}
        for name in ("connectivity", "checklist")
        for line in report[name]["lines"]
    ]
    walked = [
        {**each, "section": "scenario", "item": each["title"], "outcome": each["outcome_words"], "at_utc": each["at"],
         "evidence": f"{len(each['hops'])} hops"}
        for each in report["scenarios"]
    ]  # fmt: skip
    return [*about, *steps_, *called, *walked]


ABOUT = ("utility", "environment", "edition", "client_id", "company", "portal", "tester", "started_at", "finished_at")


def proof(line: dict[str, Any]) -> str:
    """The evidence of a line on one line: request, type, what it held, how it was read."""
    told = line["evidence"]
    return "; ".join(
        str(told[name]) for name in ("request", "content_type", "holds", "parsed", "sha256") if told.get(name)
    )
